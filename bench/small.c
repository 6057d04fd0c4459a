/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Times of small things on bare metal (machine virt, -bios none -kernel, 256 MiB): a call from U to S mode and back, reading the time, a
 * direct jump to another page, a TLB entry made anew, how late a timer's interrupt comes. Prints "SMALL NAME VALUE UNIT" lines and powers
 * off. bench/small.py runs it.
 *
 * It stays in M mode. What is translated are its loads and stores, by mstatus.MPRV: 64 MiB of 4 KiB pages at WINDOW, RAM itself as
 * one gigapage. The clock is the machine's, of 100 ns.
 */
typedef unsigned long u64;

enum { TICK_NS = 100, PAGES = 16384, PAGE = 4096, N_LATENCIES = 1000, INTERVAL = 10000 };
enum { MSTATUS_MIE = 8, MPP_S = 1 << 11, MPP = 3 << 11, MPRV = 1 << 17, MIE_TIMER = 1 << 7 };
enum { PTE_V = 1, PTE_RWX = 14, PTE_AD = 0xc0 };
#define UART        ((volatile unsigned char *)0x10000000)
#define TEST_DEVICE ((volatile unsigned *)0x100000)
#define MTIMECMP    ((volatile u64 *)0x2004000)
#define RAM         0x80000000ul
#define FRAMES      0x88000000ul /* what is mapped at WINDOW */
#define WINDOW      0xc0000000ul

#define csr_write(name, value) __asm__ volatile("csrw " #name ", %0" ::"r"((u64)(value)) : "memory")
#define csr_set(name, bits)    __asm__ volatile("csrs " #name ", %0" ::"r"((u64)(bits)) : "memory")
#define csr_clear(name, bits)  __asm__ volatile("csrc " #name ", %0" ::"r"((u64)(bits)) : "memory")

void user_calls(u64 n); /* n calls from U mode, which S mode answers with a return */
void far_jumps(u64 n);  /* n rounds of three jumps, each to another page */
extern char timer_trap[];
volatile u64 timer_came; /* when; 0: not yet */

static u64 tables[2 + PAGES / 512][512] __attribute__((aligned(PAGE)));
static u64 latencies[N_LATENCIES];

__asm__(".section .init, \"ax\"\n"
        "    .globl _start\n"
        "_start: la sp, _start + 0x100000\n"
        "    li t0, -1\n"
        "    csrw pmpaddr0, t0\n"
        "    li t0, 0x1f\n"
        "    csrw pmpcfg0, t0\n"
        "    j main\n"
        ".text\n"
        "    .globl user_calls\n"
        "user_calls: li t0, 0x100\n" /* calls from U go to S, the breakpoint at the end to M */
        "    csrw medeleg, t0\n"
        "    la t0, answer\n"
        "    csrw stvec, t0\n"
        "    la t0, back\n"
        "    csrw mtvec, t0\n"
        "    la t0, user\n"
        "    csrw mepc, t0\n"
        "    li t0, 0x1800\n"
        "    csrc mstatus, t0\n"
        "    mret\n"
        "    .balign 4\n"
        "user: ecall\n"
        "    addi a0, a0, -1\n"
        "    bnez a0, user\n"
        "    ebreak\n"
        "    .balign 4\n"
        "answer: csrr t0, sepc\n"
        "    addi t0, t0, 4\n"
        "    csrw sepc, t0\n"
        "    sret\n"
        "    .balign 4\n"
        "back: ret\n"
        "    .balign 4\n"
        "    .globl timer_trap\n"
        "timer_trap: csrw mscratch, t0\n"
        "    rdtime t0\n"
        "    sd t1, -16(sp)\n"
        "    la t1, timer_came\n"
        "    sd t0, 0(t1)\n"
        "    li t0, 0x2004000\n"
        "    li t1, -1\n"
        "    sd t1, 0(t0)\n"
        "    ld t1, -16(sp)\n"
        "    csrr t0, mscratch\n"
        "    mret\n"
        "    .option push\n"
        "    .option norvc\n"
        "    .balign 4096\n"
        "    .globl far_jumps\n"
        "far_jumps: j 1f\n"
        "    .skip 4096\n"
        "1:  j 2f\n"
        "    .skip 4096\n"
        "2:  addi a0, a0, -1\n"
        "    beqz a0, 3f\n"
        "    j far_jumps\n"
        "3:  ret\n"
        "    .option pop\n");

static u64 now(void)
{
    u64 t;

    __asm__ volatile("rdtime %0" : "=r"(t)::"memory");
    return t;
}

/* ---- Printing ---- */

static void put(const char *s)
{
    for (; *s; s++) {
        while (!(UART[5] & 0x20)) {}
        UART[0] = (unsigned char)*s;
    }
}

/* @tenths of a unit. */
static void report(const char *name, u64 tenths, const char *unit)
{
    char digits[24], *p = digits + sizeof(digits);

    *--p = 0;
    *--p = (char)('0' + tenths % 10);
    *--p = '.';
    do {
        tenths /= 10;
        *--p = (char)('0' + tenths % 10);
    } while (tenths >= 10);
    put("SMALL ");
    put(name);
    put(" ");
    put(p);
    put(" ");
    put(unit);
    put("\n");
}

/* ---- What is measured ---- */

static void calls(void)
{
    enum { N = 1000000 };
    u64 begin;

    user_calls(1000);
    begin = now();
    user_calls(N);
    report("ecall", (now() - begin) * TICK_NS * 10 / N, "ns");
}

static void reading_time(void)
{
    enum { N = 4000000 };
    u64 begin = now();

    for (unsigned i = 0; i < N; i++) {
        now();
    }
    report("rdtime", (now() - begin) * TICK_NS * 10 / N, "ns");
}

static void jumps(void)
{
    enum { N = 10000000 };
    u64 begin;

    far_jumps(1000);
    begin = now();
    far_jumps(N);
    report("jump-far", (now() - begin) * TICK_NS * 10 / N / 3, "ns");
}

static void map(void)
{
    u64 *root = tables[0], *middle = tables[1];

    root[0] = PTE_V | PTE_RWX | PTE_AD; /* devices */
    root[RAM >> 30] = RAM >> 2 | PTE_V | PTE_RWX | PTE_AD;
    root[WINDOW >> 30] = (u64)middle >> 2 | PTE_V;
    for (unsigned i = 0; i < PAGES / 512; i++) {
        middle[i] = (u64)tables[2 + i] >> 2 | PTE_V;
    }
    for (unsigned i = 0; i < PAGES; i++) {
        tables[2 + i / 512][i % 512] = (FRAMES + i * (u64)PAGE) >> 2 | PTE_V | PTE_RWX | PTE_AD;
    }
    csr_write(satp, 8ul << 60 | (u64)root >> 12);
    __asm__ volatile("sfence.vma" ::: "memory");
}

/* Ticks to load a word of each page, in an order without a pattern; each from another line of its page. */
static u64 touch_pages(void)
{
    u64 begin = now(), sum = 0;
    unsigned page = 1;

    for (unsigned i = 0; i < PAGES; i++) {
        page = (page * 5 + 4099) % PAGES; /* comes by all of them */
        sum += *(volatile u64 *)(WINDOW + page * (u64)PAGE + page % 64 * 64);
    }
    return now() - begin;
}

static void refills(void)
{
    enum { ROUNDS = 50 };
    u64 cold = 0, warm = 0;

    map();
    csr_set(mstatus, MPP_S | MPRV);
    touch_pages();
    for (unsigned i = 0; i < ROUNDS; i++) {
        __asm__ volatile("sfence.vma" ::: "memory");
        cold += touch_pages();
        warm += touch_pages();
    }
    csr_clear(mstatus, MPP | MPRV);
    report("page-cold", cold * TICK_NS * 10 / ROUNDS / PAGES, "ns");
    report("page-warm", warm * TICK_NS * 10 / ROUNDS / PAGES, "ns");
}

static void sort(u64 *v, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        for (unsigned j = i; j && v[j - 1] > v[j]; j--) {
            u64 t = v[j];

            v[j] = v[j - 1];
            v[j - 1] = t;
        }
    }
}

/* How late a timer's interrupt is taken by a hart that computes. */
static void latency(void)
{
    volatile u64 work = 1;

    csr_write(mtvec, timer_trap);
    csr_write(mie, MIE_TIMER);
    for (unsigned i = 0; i < N_LATENCIES; i++) {
        u64 due = now() + INTERVAL;

        timer_came = 0;
        *MTIMECMP = due;
        csr_set(mstatus, MSTATUS_MIE);
        while (!timer_came) {
            for (unsigned n = 0; n < 100; n++) {
                work = work * 3 + n;
            }
        }
        csr_clear(mstatus, MSTATUS_MIE);
        latencies[i] = timer_came - due;
    }
    sort(latencies, N_LATENCIES);
    report("timer-median", latencies[N_LATENCIES / 2] * TICK_NS / 100, "us");
    report("timer-99%", latencies[N_LATENCIES * 99 / 100] * TICK_NS / 100, "us");
    report("timer-max", latencies[N_LATENCIES - 1] * TICK_NS / 100, "us");
}

int main(void)
{
    *MTIMECMP = ~0ul;
    calls();
    reading_time();
    jumps();
    refills();
    latency();
    *TEST_DEVICE = 0x5555;
    for (;;) {}
}
