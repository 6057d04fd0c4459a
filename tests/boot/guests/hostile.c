/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile guests of one hart or a few, apart from those of virtio (hostile-virtio.c): jumps and accesses to where nothing is, page
 * tables in odd places, code that changes itself and that other harts change, more code than the code cache holds.
 */
#include "hostile.h"

extern volatile u64 case_number;
void (*volatile work)(u64 hart);
static volatile u64 started[8], finished[8];

Trap attempt(void (*f)(u64), u64 arg, u64 mode)
{
    Hart *h = self();

    if (!attempt_asm(f, arg, mode)) {
        return (Trap){ NO_TRAP, 0, 0 };
    }
    return (Trap){ h->cause, h->tval, h->epc };
}

/* ---- Reports ---- */

static void print(const char *text)
{
    while (*text) {
        *(volatile u8 *)UART = (u8)*text++;
    }
}

static void print_hex(u64 value)
{
    for (int shift = 60; shift >= 0; shift -= 4) {
        *(volatile u8 *)UART = (u8) "0123456789abcdef"[value >> shift & 15];
    }
    print(" ");
}

void fail(const char *file, u64 line, u64 a, u64 b)
{
    char text[8] = "0000 ";

    for (int i = 3; i >= 0; i--, line /= 10) {
        text[i] = (char)('0' + line % 10);
    }
    print("FAIL ");
    print(file);
    print(":");
    print(text);
    print_hex(a);
    print_hex(b);
    print_hex(self()->id);
    print("\n");
    finish(1 << 16 | 0x3333);
}

void unexpected(u64 cause, u64 tval, u64 epc)
{
    print("TRAP ");
    print_hex(cause);
    print_hex(tval);
    print_hex(epc);
    print_hex(self()->id);
    print("\n");
    finish(2 << 16 | 0x3333);
}

/* ---- Harts ---- */

void start_others(void (*f)(u64 hart), u64 n)
{
    work = f;
    for (u64 i = 1; i < n; i++) {
        finished[i] = 0;
        __sync_synchronize();
        started[i] = 1;
    }
}

void join_others(u64 n)
{
    for (u64 i = 1; i < n; i++) {
        while (!finished[i]) {}
    }
}

void other(u64 unused)
{
    u64 id = self()->id;

    while (!started[id]) {}
    started[id] = 0;
    __sync_synchronize();
    work(id);
    __sync_synchronize();
    finished[id] = 1;
}

/* ---- Code made at run time ---- */

typedef u64 Fn(void);

/* li a0, @value (0-31); ret: 4 bytes. */
static u32 li_ret(u64 value)
{
    return 0x8082u << 16 | 0x4501 | (u32)(value & 31) << 2;
}

static u64 call(u64 address)
{
    return ((Fn *)address)();
}

/* ---- Jumps ---- */

static void jump(u64 target)
{
    __asm__ volatile("jr %0" ::"r"(target));
}

static void check_jump(u64 target, u64 cause, u64 tval)
{
    Trap t = attempt(jump, target, 3);

    check(t.cause == cause);
    check(t.epc == (target & ~1ul));
    check(t.tval == tval);
}

static void case_jumps(void)
{
    static const u64 nowhere[] = {
        NOWHERE,
        NOWHERE + 2,
        NOWHERE + 0xffe,
        0,
        0xffe,
        2,
        RAM_END,
        RAM - 4,
        1ul << 55,
        1ul << 63,
        ~1ul,
        ~3ul,
        0x7ffffffffffffffe,
        0xfffffffffffff000,
        UART,
        CLINT,
        PLIC,
        VIRTIO,
        TEST_DEVICE,
        CLINT + 0xffe,
        UART + 0x80,
        UART + 0x100,
        0x101022,
        0x101024,
    };

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < sizeof(nowhere) / sizeof(*nowhere); i++) {
            check_jump(nowhere[i], FETCH_ACCESS, nowhere[i]);
            check_jump(nowhere[i] | 1, FETCH_ACCESS, nowhere[i]);
        }
    }
}

static void case_jump_flash(void)
{
    Trap t = attempt(jump, FLASH + 0x100, 3);

    /* Empty flash is legal to fetch from and holds no instruction. */
    check(t.cause == ILLEGAL);
    check(t.epc == FLASH + 0x100);
}

/* Off the end of RAM: by running there, and by an instruction that lies across. */
static void case_ram_end(void)
{
    volatile u16 *p = (volatile u16 *)(RAM_END - 256);
    Trap t;

    for (unsigned i = 0; i < 128; i++) {
        p[i] = 0x0505; /* addi a0, a0, 1 */
    }
    fence_i();
    t = attempt(jump, RAM_END - 256, 3);
    check(t.cause == FETCH_ACCESS && t.epc == RAM_END && t.tval == RAM_END);
    p[127] = 0x0513; /* half of addi a0, rs, imm */
    fence_i();
    for (unsigned i = 0; i < 3; i++) {
        t = attempt(jump, RAM_END - 256 + 2 * i, 3);
        check(t.cause == FETCH_ACCESS && t.epc == RAM_END - 2 && t.tval == RAM_END);
        t = attempt(jump, RAM_END - 2, 3);
        check(t.cause == FETCH_ACCESS && t.epc == RAM_END - 2 && t.tval == RAM_END);
    }
}

/* -cpu rv64,c=off */
static void jump_imm(u64 unused)
{
    __asm__ volatile(".option push\n.option norelax\n.word 0x0020006f\n.option pop"); /* j . + 2 */
}

static void case_misaligned_jump(void)
{
    Trap t = attempt(jump, RAM_END - 4094, 3);

    check(t.cause == 0 && t.tval == RAM_END - 4094);
    check(t.epc >= (u64)jump && t.epc < (u64)jump + 16);
    t = attempt(jump_imm, 0, 3);
    check(t.cause == 0 && t.tval == t.epc + 2 && t.epc >= (u64)jump_imm &&
          t.epc < (u64)jump_imm + 16);
    t = attempt(jump, NOWHERE + 2, 3);
    check(t.cause == 0 && t.tval == NOWHERE + 2);
}

/* ---- Data ---- */

#define LOADER(name, insn)                                      \
    static void name(u64 va)                                    \
    {                                                           \
        u64 t;                                                  \
        __asm__ volatile(insn : "=&r"(t) : "r"(va) : "memory"); \
    }
LOADER(do_lb, "lb %0, 0(%1)")
LOADER(do_lh, "lh %0, 0(%1)")
LOADER(do_lw, "lw %0, 0(%1)")
LOADER(do_ld, "ld %0, 0(%1)")
LOADER(do_sb, "li %0, 0; sb %0, 0(%1)")
LOADER(do_sh, "li %0, 0; sh %0, 0(%1)")
LOADER(do_sw, "li %0, 0; sw %0, 0(%1)")
LOADER(do_sd, "li %0, 0; sd %0, 0(%1)")
LOADER(do_lr, "lr.w %0, (%1)")
LOADER(do_lrd, "lr.d %0, (%1)")
LOADER(do_sc, "sc.w %0, zero, (%1)")
LOADER(do_scd, "sc.d %0, zero, (%1)")
LOADER(do_add, "amoadd.w %0, zero, (%1)")
LOADER(do_addd, "amoadd.d %0, zero, (%1)")
LOADER(do_max, "amomaxu.w %0, zero, (%1)")
LOADER(do_swap, "amoswap.d %0, zero, (%1)")
LOADER(do_fld, "li %0, 0x2000; csrs mstatus, %0; fld fa0, 0(%1)")
LOADER(do_fsd, "li %0, 0x2000; csrs mstatus, %0; fsd fa0, 0(%1)")
LOADER(do_zero, "mv a5, %1; .word 0x0047a00f") /* cbo.zero (a5) */
LOADER(do_clean, "mv a5, %1; .word 0x0017a00f")

typedef struct Op {
    void (*f)(u64);
    u8 size, store, atomic;
} Op;

static const Op ops[] = {
    { do_lb, 1, 0, 0 },  { do_lh, 2, 0, 0 },   { do_lw, 4, 0, 0 },  { do_ld, 8, 0, 0 },
    { do_sb, 1, 1, 0 },  { do_sh, 2, 1, 0 },   { do_sw, 4, 1, 0 },  { do_sd, 8, 1, 0 },
    { do_lr, 4, 0, 1 },  { do_lrd, 8, 0, 1 },  { do_sc, 4, 1, 1 },  { do_scd, 8, 1, 1 },
    { do_add, 4, 1, 1 }, { do_addd, 8, 1, 1 }, { do_max, 4, 1, 1 }, { do_swap, 8, 1, 1 },
    { do_fld, 8, 0, 0 }, { do_fsd, 8, 1, 0 },
};
enum { N_OPS = sizeof(ops) / sizeof(*ops) };

/* @op at @va must fail as an access or, if it is misaligned, an alignment fault; tval within the access. */
static void check_refused(const Op *op, u64 va)
{
    Trap t = attempt(op->f, va, 3);
    u64 align = op->store ? STORE_ALIGN : LOAD_ALIGN,
        access = op->store ? STORE_ACCESS : LOAD_ACCESS;

    check_at(t.cause == access || ((va & (op->size - 1ul)) && t.cause == align), (u64)(op - ops),
             va);
    check(t.tval - va < op->size);
    check(t.tval == va || (va & (op->size - 1ul)));
    check(t.epc >= (u64)op->f && t.epc < (u64)op->f + 64);
}

static void case_access_nowhere(void)
{
    static const u64 bad[] = { NOWHERE,
                               NOWHERE + 1,
                               NOWHERE + 0xffd,
                               RAM_END,
                               RAM_END + 4,
                               FLASH + (64ul << 20),
                               8,
                               1ul << 56,
                               1ul << 63,
                               -8ul,
                               -4096ul,
                               0x7ffffffffffffff8,
                               UART + 0x100,
                               0x101028 };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        for (unsigned n = 0; n < N_OPS; n++) {
            check_refused(&ops[n], bad[i]);
        }
        check(attempt(do_zero, bad[i], 3).cause == STORE_ACCESS);
        /* The block's beginning may be a device. */
        check((bad[i] & ~63ul) == 0x101000 || attempt(do_clean, bad[i], 3).cause == STORE_ACCESS);
    }
    /* Across the end of RAM and of the address space. */
    for (unsigned n = 0; n < N_OPS; n++) {
        for (unsigned back = 1; back < ops[n].size; back++) {
            check_refused(&ops[n], RAM_END - back);
            check_refused(&ops[n], 0ul - back);
        }
    }
}

static void case_access_devices(void)
{
    static const u64 devices[] = { UART,   CLINT,           CLINT + 0x4000, PLIC,
                                   VIRTIO, TEST_DEVICE + 8, 0x101000,       UART + 0xfc };

    for (unsigned i = 0; i < sizeof(devices) / sizeof(*devices); i++) {
        for (unsigned n = 0; n < N_OPS; n++) {
            for (unsigned offset = 0; offset < 9; offset++) {
                if (ops[n].atomic) {
                    check_refused(&ops[n], devices[i] + offset);
                } else {
                    Trap t = attempt(ops[n].f, devices[i] + offset, 3);

                    check(t.cause == NO_TRAP ||
                          t.cause == (ops[n].store ? STORE_ACCESS : LOAD_ACCESS) ||
                          ((offset & (ops[n].size - 1ul)) &&
                           t.cause == (ops[n].store ? STORE_ALIGN : LOAD_ALIGN)));
                    check(t.cause == NO_TRAP || t.tval - (devices[i] + offset) < ops[n].size);
                }
            }
        }
        check(attempt(do_zero, devices[i], 3).cause == STORE_ACCESS);
        check(attempt(do_zero, devices[i] + 17, 3).cause == STORE_ACCESS);
    }
    /* Pages whose next one is not there, or another device. */
    for (unsigned n = 0; n < N_OPS; n++) {
        for (unsigned back = 1; back < ops[n].size; back++) {
            check_refused(&ops[n], CLINT + 0x10000 - back);
            check_refused(&ops[n], PLIC + 0x600000 - back);
        }
    }
}

/* Stores to flash and ROM change nothing that is fetched, atomics are refused. */
static void case_access_rom(void)
{
    volatile u64 *mrom = (volatile u64 *)0x1000;
    u64 before = mrom[1];
    Trap t;

    t = attempt(do_sd, 0x1008, 3);
    check(t.cause == NO_TRAP || t.cause == STORE_ACCESS);
    check(mrom[1] == before);
    check(attempt(do_addd, 0x1008, 3).cause == STORE_ACCESS);
    check(attempt(do_zero, 0x1000, 3).cause == STORE_ACCESS);
    check(attempt(do_scd, 0x1008, 3).cause == STORE_ACCESS);
    check(attempt(do_add, FLASH, 3).cause == STORE_ACCESS);
    check(attempt(do_zero, FLASH, 3).cause == STORE_ACCESS);
    check(mrom[1] == before);
    check(attempt(do_lrd, 0x1008, 3).cause == NO_TRAP);
}

/* ---- Page tables ---- */

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };
#define PTE(phys, bits) ((u64)(phys) >> 12 << 10 | (bits))
#define WINDOW          0xc0000000ul

static u64 root[512] __attribute__((aligned(4096)));
static u64 middle[512] __attribute__((aligned(4096)));
static u64 leaves[512] __attribute__((aligned(4096)));
static u8 spare[3 * 4096] __attribute__((aligned(4096)));

static void flush(void)
{
    __asm__ volatile("sfence.vma" ::: "memory");
}

static void set_satp(u64 table)
{
    __asm__ volatile("csrw satp, %0" ::"r"(table ? 8ul << 60 | table >> 12 : 0));
    flush();
}

/* Identity below 4 GiB but for the third GiB, where WINDOW's pages come from leaves[]. */
static void make_tables(void)
{
    root[0] = PTE(0, V | R | W | X | A | D);
    root[1] = PTE(0x40000000, V | R | W | X | A | D);
    root[2] = PTE(RAM, V | R | W | X | A | D);
    root[3] = PTE(middle, V);
    middle[0] = PTE(leaves, V);
    set_satp((u64)root);
}

static void case_crossing_fetch(void)
{
    static const u64 second[] = {
        0,
        PTE(RAM, V | R | W | A | D), /* not executable */
        PTE(RAM, V | R | X | U | A), /* the user's */
        PTE(RAM, V | W | X | A | D), /* reserved */
        PTE(UART, V | R | X | A),    /* a device */
        PTE(NOWHERE, V | R | X | A), /* nothing */
        PTE(RAM_END, V | R | X | A),
        PTE(1ul << 55, V | R | X | A),
    };
    volatile u16 *end = (volatile u16 *)(spare + 4096 - 2);

    make_tables();
    leaves[4] = PTE(spare, V | R | W | X | A | D);
    *end = 0x0513; /* addi a0, ... */
    *(volatile u16 *)(spare + 4096 - 4) = 1;
    fence_i();
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < sizeof(second) / sizeof(*second); i++) {
            u64 cause = i < 4 ? FETCH_PAGE : FETCH_ACCESS;

            leaves[5] = second[i];
            flush();
            for (unsigned back = 2; back <= 4; back += 2) {
                Trap t = attempt(jump, WINDOW + 0x5000 - back, 1);

                check(t.cause == cause);
                check(t.epc == WINDOW + 0x4ffe && t.tval == WINDOW + 0x5000);
            }
        }
    }
}

/* The second half lies in the first page of RAM, and in the first of flash. */
static void case_crossing_into_first_page(void)
{
    static const u64 second[] = { RAM, FLASH, 0x1000, FLASH + 0x2000000 };
    volatile u16 *end = (volatile u16 *)(spare + 4096 - 2);

    make_tables();
    leaves[4] = PTE(spare, V | R | W | X | A | D);
    *end = 0x0513;
    fence_i();
    for (unsigned i = 0; i < sizeof(second) / sizeof(*second); i++) {
        Trap t;

        leaves[5] = PTE(second[i], V | R | X | A | D);
        flush();
        t = attempt(jump, WINDOW + 0x4ffe, 1);
        /* The insn is executed. What follows ends soon: in RAM is _start, whose csrw is illegal in S mode, elsewhere 0. */
        check(t.cause == ILLEGAL && t.epc > WINDOW + 0x5000);
    }
}

/* The same first page before two second ones, at two addresses; and the second one changed. */
static void case_crossing_two_views(void)
{
    volatile u16 *end = (volatile u16 *)(spare + 4096 - 2);
    Trap t;

    make_tables();
    leaves[4] = leaves[8] = PTE(spare, V | R | W | X | A | D);
    leaves[5] = PTE(spare + 4096, V | R | W | X | A | D);
    leaves[9] = PTE(spare + 8192, V | R | W | X | A | D);
    *end = 0x0513;
    *(volatile u16 *)(spare + 4096 - 4) = 0x0001;
    *(volatile u16 *)(spare + 4096 - 6) = 0x0001;
    *(volatile u32 *)(spare + 4096) = 0x80820010; /* li a0, 1; ret */
    *(volatile u32 *)(spare + 8192) = 0x80820020; /* li a0, 2; ret */
    fence_i();
    for (unsigned i = 0; i < 200; i++) {
        u64 at = i & 1 ? 0x8ffa : 0x4ffa, want = i & 1 ? 2 : 1;

        if (i == 100) {
            u64 swap = leaves[5];

            leaves[5] = leaves[9];
            leaves[9] = swap;
            flush();
        }
        if (i >= 100) {
            want = 3 - want;
        }
        if (i == 150) {
            *(volatile u32 *)(spare + 4096) = 0x80820030; /* 3 */
            fence_i();
        }
        if (i >= 150 && want == 1) {
            want = 3;
        }
        t = attempt((void (*)(u64))(WINDOW + at), 77, 1);
        check(t.cause == NO_TRAP);
        check(self()->result == want);
    }
}

static void load_mprv(u64 va)
{
    u64 bits = 1ul << 17 | 1ul << 11, clear = 1ul << 12;

    __asm__ volatile("csrc mstatus, %1\ncsrs mstatus, %0\nld %0, 0(%2)\n"
                     : "+r"(bits)
                     : "r"(clear), "r"(va));
    __asm__ volatile("csrc mstatus, %0" ::"r"(1ul << 17));
}

static void store_mprv(u64 va)
{
    u64 bits = 1ul << 17 | 1ul << 11, clear = 1ul << 12;

    __asm__ volatile("csrc mstatus, %1\ncsrs mstatus, %0\nsd zero, 0(%2)\n"
                     : "+r"(bits)
                     : "r"(clear), "r"(va));
    __asm__ volatile("csrc mstatus, %0" ::"r"(1ul << 17));
}

static void case_tables_nowhere(void)
{
    static const u64 tables[] = { UART,
                                  CLINT,
                                  PLIC,
                                  VIRTIO,
                                  NOWHERE,
                                  RAM_END,
                                  1ul << 40,
                                  1ul << 50,
                                  0xffffffffffful << 12,
                                  0,
                                  TEST_DEVICE,
                                  0x101000,
                                  FLASH + 0x4000000 };

    for (unsigned i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        Trap t;

        /* The root itself. */
        if (tables[i]) {
            set_satp(tables[i] & 0xffffffffffful << 12);
            check(attempt(load_mprv, 0x80000000, 3).cause == LOAD_ACCESS);
            check(attempt(store_mprv, 0xffffffff80000000, 3).cause == STORE_ACCESS);
            t = attempt(jump, RAM, 1); /* jump() itself cannot be fetched */
            check(t.cause == FETCH_ACCESS && t.tval == (u64)jump && t.epc == (u64)jump);
        }
        /* The next level. */
        make_tables();
        root[3] = PTE(tables[i] & 0xffffffffffful << 12, V);
        flush();
        t = attempt(load_mprv, WINDOW, 3);
        check(t.cause == LOAD_ACCESS && t.tval == WINDOW);
        check(attempt(store_mprv, WINDOW, 3).cause == STORE_ACCESS);
        t = attempt(jump, WINDOW, 1);
        check(t.cause == FETCH_ACCESS && t.tval == WINDOW && t.epc == WINDOW);
    }
    set_satp(0);
}

static void case_tables_flash(void)
{
    Trap t;

    /* Flash reads as something; hostile.py gives an image with tables in it when there are to be some: root at 0 whose entry 3
     * points to RAM without A and D, entry 2 to RAM with them. */
    set_satp(FLASH);
    check(attempt(load_mprv, RAM, 3).cause == NO_TRAP);
    check(attempt(store_mprv, RAM_END - 8, 3).cause == NO_TRAP);
    t = attempt(load_mprv, WINDOW, 3); /* A cannot be set in flash */
    check(t.cause == LOAD_PAGE || t.cause == LOAD_ACCESS);
    check(t.tval == WINDOW);
    t = attempt(store_mprv, WINDOW + 8, 3);
    check(t.cause == STORE_PAGE || t.cause == STORE_ACCESS);
    check(((volatile u64 *)FLASH)[3] == PTE(RAM, V | R | W | X));
    set_satp(0);
}

static void case_tables_recursive(void)
{
    Trap t;

    make_tables();
    root[511] = root[256] = root[5] = PTE(root, V);
    root[6] = PTE(root, V | R | W | A | D); /* misaligned superpage */
    flush();
    t = attempt(load_mprv, -8ul, 3);
    check(t.cause == LOAD_PAGE && t.tval == -8ul);
    t = attempt(jump, -2ul, 1);
    check(t.cause == FETCH_PAGE && t.tval == -2ul && t.epc == -2ul);
    t = attempt(store_mprv, 5ul << 30 | 5ul << 21 | 5ul << 12, 3);
    check(t.cause == STORE_PAGE);
    check(attempt(load_mprv, 6ul << 30, 3).cause == LOAD_PAGE);
    /* Through the root as last level: entry 2's superpage bits make a 4 KiB page of it. */
    check(attempt(load_mprv, 5ul << 30 | 5ul << 21 | 2ul << 12, 3).cause == NO_TRAP);
    /* Not canonical. */
    check(attempt(load_mprv, 1ul << 39, 3).cause == LOAD_PAGE);
    check(attempt(load_mprv, 1ul << 63, 3).cause == LOAD_PAGE);
    /* A page table that maps itself and is stored to while it is in use. */
    leaves[1] = PTE(leaves, V | R | W | A | D);
    leaves[2] = PTE(spare, V | R | W | A | D);
    flush();
    check(attempt(load_mprv, WINDOW + 0x2000, 3).cause == NO_TRAP);
    check(attempt(store_mprv, WINDOW + 0x1000 + 16, 3).cause == NO_TRAP);
    flush();
    check(attempt(load_mprv, WINDOW + 0x2000, 3).cause == LOAD_PAGE);
    set_satp(0);
}

/* Table walks that set A and D in a page that holds code. */
static void case_tables_in_code(void)
{
    static u64 page[512] __attribute__((aligned(4096)));
    volatile u32 *code = (volatile u32 *)&page[256];

    make_tables();
    middle[0] = PTE(page, V);
    for (unsigned i = 0; i < 200; i++) {
        *code = li_ret(i);
        page[1] = PTE(spare, V | R | W);
        fence_i();
        flush();
        check(call((u64)code) == (i & 31));
        attempt(load_mprv, WINDOW + 0x1000, 3);
        attempt(store_mprv, WINDOW + 0x1000, 3);
        check((call((u64)code) & 31) == (i & 31));
    }
    set_satp(0);
}

/* ---- Code that changes ---- */

static u8 area[64 * 4096] __attribute__((aligned(4096)));

static void put(u64 at, u32 word, unsigned how)
{
    volatile u8 *b = (volatile u8 *)at;

    switch (how) {
    case 0:
        for (unsigned i = 0; i < 4; i++) {
            b[i] = (u8)(word >> 8 * i);
        }
        break;
    case 1:
        ((volatile u16 *)at)[1] = (u16)(word >> 16);
        ((volatile u16 *)at)[0] = (u16)word;
        break;
    case 2:
        *(volatile u32 *)at = word;
        break;
    case 3:
        __asm__ volatile("amoswap.w zero, %0, (%1)" ::"r"((u64)word), "r"(at) : "memory");
        break;
    case 4:
        __asm__ volatile("1: lr.w t0, (%1)\nsc.w t0, %0, (%1)\nbnez t0, 1b" ::"r"((u64)word),
                         "r"(at)
                         : "memory", "t0");
        break;
    case 5: /* misaligned, beginning 4 bytes before */
        __asm__ volatile("sd %0, -3(%1)" ::"r"((u64)word << 24 | 1), "r"(at) : "memory");
        break;
    case 6:
        __asm__ volatile("mv a5, %1; .word 0x0047a00f\namoor.w zero, %0, (%1)" ::"r"((u64)word),
                         "r"(at)
                         : "memory", "a5");
        break;
    case 7: /* misaligned, both neighbours */
        __asm__ volatile("sw %0, -1(%1)\nsb %2, 3(%1)" ::"r"((u64)word << 8), "r"(at),
                         "r"(word >> 24)
                         : "memory");
        break;
    }
}

static void case_smc_stores(void)
{
    /* In a page of code only; at the beginning of one, where misaligned stores cross into it; at 64-byte chunks' ends. */
    u64 at[] = { (u64)area + 0x100, (u64)area + 4096, (u64)area + 8192 + 0xffc,
                 (u64)area + 3 * 4096 + 60 };

    for (unsigned i = 0; i < 4000; i++) {
        u64 a = at[i & 3];

        if ((i >> 2 & 7) == 6 && (a & 63)) {
            continue;
        }
        put(a, li_ret(i >> 5), i >> 2 & 7);
        fence_i();
        check((call(a) & 31) == (i >> 5 & 31));
        check((call(a) & 31) == (i >> 5 & 31));
    }
}

/* An instruction stored right before it is reached, in its own block: without fence.i old or new, with it the new one. */
static void case_smc_same_block(void)
{
    volatile u32 *code = (volatile u32 *)area;
    u64 old = 0;

    for (unsigned fence = 0; fence < 2; fence++) {
        /* a0: address of the patched insn, a1: word */
        unsigned n = 0;

        code[n++] = 0x00b52023; /* sw a1, 0(a0) */
        code[n++] = fence ? 0x0000100f : 0x00000013;
        code[n++] = 0x00000013;
        code[n++] = li_ret(0);
        fence_i();
        for (u64 i = 1; i < 300; i++) {
            u64 got = ((u64(*)(u64, u64))area)((u64)&code[3], li_ret(i)) & 31;

            check(got == (i & 31) || (!fence && got == old));
            fence_i();
            check((call((u64)&code[3]) & 31) == (i & 31));
            old = i & 31;
        }
    }
}

/* A loop that runs on into what it stores: the patched insn is behind, in the same page, another page, across pages. */
static void case_smc_crossing(void)
{
    u64 at = (u64)area + 4096 - 2;

    for (unsigned i = 0; i < 600; i++) {
        u32 word = 0x513 | (i & 1023) << 20; /* li a0, i */

        *(volatile u16 *)(at + 4) = 0x8082;
        switch (i % 3) {
        case 0:
            *(volatile u16 *)at = (u16)word;
            *(volatile u16 *)(at + 2) = (u16)(word >> 16);
            break;
        case 1:
            __asm__ volatile("sw %0, 0(%1)" ::"r"(word), "r"(at) : "memory");
            break;
        case 2:
            *(volatile u16 *)(at + 2) = (u16)(word >> 16); /* the first half stays */
            break;
        }
        fence_i();
        check(call(at) == (i & 1023));
    }
}

/* One hart runs in a loop what another changes; the IPI's fence.i is the protocol. */
static volatile u64 stop, seen[8];

#define SHARED_CODE ((u64)area + 0x800)

static void run_shared(u64 hart)
{
    __asm__ volatile("csrs mie, %0\ncsrs mstatus, %1" ::"r"(8ul), "r"(8ul));
    while (!stop) {
        seen[hart] = call(SHARED_CODE) & 31;
    }
    __asm__ volatile("csrc mstatus, %0" ::"r"(8ul));
}

extern Hart harts[];
static Hart *hart_at(u64 i)
{
    return (Hart *)((u64)harts + 128 * i);
}

static void case_smc_ipi(u64 n)
{
    *(volatile u32 *)SHARED_CODE = li_ret(0);
    fence_i();
    start_others(run_shared, n);
    /* More harts than host CPUs take turns of milliseconds. */
    for (unsigned i = 1; i < (n > 2 ? 60 : 600); i++) {
        u64 before[8];

        put(SHARED_CODE, li_ret(i), (i & 3) + 1);
        __sync_synchronize();
        for (u64 h = 1; h < n; h++) {
            before[h] = hart_at(h)->ipis;
            *(volatile u32 *)(CLINT + 4 * h) = 1;
        }
        for (u64 h = 1; h < n; h++) {
            while (hart_at(h)->ipis == before[h]) {}
        }
        __sync_synchronize();
        for (u64 h = 1; h < n; h++) {
            /* A call that was under way may report the old value; the next is new. */
            seen[h] = 99;
            while (seen[h] == 99) {}
            seen[h] = 99;
            while (seen[h] == 99) {}
            check_at(seen[h] == (i & 31), seen[h], i << 8 | h);
        }
    }
    stop = 1;
    join_others(n);
}

/* Many functions in a page to which another hart stores all the time: each must come to be translated. */
static void store_forever(u64 hart)
{
    volatile u64 *word = (volatile u64 *)(area + 8 * hart);

    while (!stop) {
        for (unsigned i = 0; i < 100; i++) {
            *word = i;
        }
    }
}

static void case_smc_busy_page(u64 n)
{
    volatile u32 *code = (volatile u32 *)area;

    for (unsigned i = 64; i < 1024; i++) {
        code[i] = li_ret(i);
    }
    fence_i();
    start_others(store_forever, n);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 64; i < 1024; i++) {
            check((call((u64)&code[i]) & 31) == (i & 31));
        }
        for (unsigned i = 64; i < 1024; i++) {
            code[i] = li_ret(i);
        }
        fence_i();
    }
    stop = 1;
    join_others(n);
}

/* Each hart changes and runs code in a page of its own, to which all others store: its translation must wait for them. */
static void store_everywhere(u64 hart, u64 value)
{
    for (u64 page = 0; page < 4; page++) {
        *(volatile u64 *)(area + 4096 * page + 8 * hart) = value;
    }
}

static u64 rounds;

/* Ends on hart 0, while the others go on. */
static void churn(u64 hart)
{
    u64 at = (u64)area + 4096 * hart + 0x200;

    for (u64 i = 0; hart || i < rounds; i++) {
        put(at, li_ret(i), (i & 3) + 1);
        fence_i();
        check(call(at) == (i & 31));
        store_everywhere(hart, i);
    }
}

static void case_smc_churn(u64 n, u64 times)
{
    rounds = times;
    start_others(churn, n);
    churn(0);
}

/* The same with the machine reset again and again under the harts: after a reset none may run what it was about to, which
 * would end in an ebreak since tp is 0, and in a hart that is lost. */
static void churn_marked(u64 hart)
{
    u64 at = (u64)area + 4096 * hart + 0x200;

    for (u64 i = 0; hart || i < 100; i++) {
        ((volatile u16 *)at)[0] = (u16)li_ret(i);
        ((volatile u32 *)(at + 2))[0] = 0x00020363; /* beqz tp, . + 6 */
        ((volatile u16 *)at)[3] = 0x8082;
        ((volatile u16 *)at)[4] = 0x9002; /* ebreak */
        fence_i();
        check(call(at) == (i & 31));
        store_everywhere(hart, i);
        seen[hart]++;
    }
}

/* Outside of .bss: what a reset keeps. */
#define RESETS (*(volatile u64 *)(RAM_END - 4096))

static void case_reset_under_load(u64 n)
{
    u64 before[8];

    for (u64 i = 0; i < n; i++) {
        before[i] = seen[i];
    }
    start_others(churn_marked, n);
    churn_marked(0);
    for (u64 i = 1; i < n; i++) {
        while (seen[i] == before[i]) {}
    }
    if (RESETS++ < 60) {
        finish(0x7777);
    }
}

/* ---- More code than fits ---- */

enum { SLOT = 8 };

static u64 run_slots(u64 first, u64 count)
{
    register u64 a0 __asm__("a0") = 0, a1 __asm__("a1") = first, a2 __asm__("a2") = SLOT;

    (void)count;
    __asm__ volatile("jalr a1" : "+r"(a0), "+r"(a1) : "r"(a2) : "ra", "memory");
    return a0;
}

static void make_slots(u64 first, u64 count)
{
    for (u64 i = 0; i < count; i++) {
        /* addi a0, a0, 1; add a1, a1, a2; jr a1 */
        *(volatile u64 *)(first + i * SLOT) = 0x8582ul << 32 | 0x95b20505ul;
    }
    *(volatile u64 *)(first + (count - 1) * SLOT) = 0x8082ul << 32 | 0x00010505ul;
}

enum { SLOTS = 120000 };
#define SLOTS_AT 0x80800000ul

static void slots_of_hart(u64 hart)
{
    u64 first = SLOTS_AT + hart * 0x100000;

    for (unsigned i = 0; i < 2; i++) {
        check(run_slots(first, SLOTS / 4) == SLOTS / 4);
        check(run_slots(SLOTS_AT, SLOTS / 4) == SLOTS / 4);
    }
}

static void case_exhaust(void)
{
    make_slots(SLOTS_AT, SLOTS);
    fence_i();
    for (unsigned i = 0; i < 2; i++) {
        check(run_slots(SLOTS_AT, SLOTS) == SLOTS);
    }
}

static void case_exhaust_smp(u64 n)
{
    for (u64 i = 0; i < n; i++) {
        make_slots(SLOTS_AT + i * 0x100000, SLOTS / 4);
    }
    fence_i();
    start_others(slots_of_hart, n);
    slots_of_hart(0);
    join_others(n);
}

void case_virtio_queues(void);
void case_virtio_sizes(void);
void case_virtio_dma_on_code(void);
void case_virtio_no_driver(void);

void main(void)
{
    switch (case_number & 0xff) {
    case 1:
        case_jumps();
        break;
    case 2:
        case_jump_flash();
        break;
    case 3:
        case_ram_end();
        break;
    case 4:
        case_misaligned_jump();
        break;
    case 5:
        case_access_nowhere();
        break;
    case 6:
        case_access_devices();
        break;
    case 7:
        case_access_rom();
        break;
    case 8:
        case_crossing_fetch();
        break;
    case 9:
        case_crossing_into_first_page();
        break;
    case 10:
        case_crossing_two_views();
        break;
    case 11:
        case_tables_nowhere();
        break;
    case 12:
        case_tables_flash();
        break;
    case 13:
        case_tables_recursive();
        break;
    case 14:
        case_tables_in_code();
        break;
    case 20:
        case_smc_stores();
        break;
    case 21:
        case_smc_same_block();
        break;
    case 22:
        case_smc_crossing();
        break;
    case 23:
        case_smc_ipi(case_number >> 8);
        break;
    case 24:
        case_smc_busy_page(case_number >> 8);
        break;
    case 25:
        case_smc_churn(case_number >> 8, 3000);
        break;
    case 27:
        case_smc_churn(case_number >> 8, 20000);
        break;
    case 26:
        case_reset_under_load(case_number >> 8);
        break;
    case 30:
        case_exhaust();
        break;
    case 31:
        case_exhaust_smp(case_number >> 8);
        break;
    case 40:
        case_virtio_queues();
        break;
    case 41:
        case_virtio_sizes();
        break;
    case 42:
        case_virtio_dma_on_code();
        break;
    case 43:
        case_virtio_no_driver();
        break;
    default:
        check(0);
    }
}
