/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the stress guest's files share (tests/boot/stress.py): a bare rv64 program for -M virt in M mode that keeps several address
 * spaces (page tables, ASIDs) over a small pool of pages and runs code stubs (stress-start.S) in them in S and U mode.
 *
 * Addresses: regions of 8 pages, so placed that they share slots of direct-mapped caches (TLB, fetch TLB, jump cache). Each page of
 * a region is a slot with a page-table entry of its own; the last regions are under a 2 MiB or a 1 GiB entry.
 */
#ifndef TESTS_STRESS_H
#define TESTS_STRESS_H

typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define UART   0x10000000ul
#define RAM    0x80000000ul
#define POOL   0x80400000ul /* pages that get mapped */
#define TABLES 0x80600000ul

enum {
    N_POOL = 24,
    FIRST_DATA = 16, /* the fuzzer executes nothing from here on */
    N_SPACES = 6,
    N_TABLES = 9, /* of a space */
    N_SLOTS = 8,  /* of a region */
};
enum { LOW, LOW_TOO, ALIAS, HIGH, SUPER, GIGA, SUPER_HIGH, N_REGIONS };

/* Offsets of the stubs (stress-start.S). */
enum {
    STUB_ID = 0x40,
    STUB_LOADS = 0x80,
    STUB_STORE = 0xc0,
    STUB_ATOMICS = 0x100,
    STUB_RESERVE = 0x140,
    STUB_JUMPS = 0x180,
    STUB_LOOP = 0x1c0,
    STUB_CHANGE = 0x200,
    STUB_SATP = 0x27c,
    STUB_FENCE = 0x2c0,
    STUB_EDIT = 0x300,
    STUB_STATUS = 0x340,
    STUB_RETURN = 0x380,
    STUB_HANDLER = 0x3c0,
    STUB_CROSS = 0x400,
    STUB_ZERO = 0x440,
    STUB_FENCES = 0x480,
    STUB_END = 0x4c0,
    DATA = 0x800, /* from here to STUB_FALL */
    STUB_FALL = 0xfe0,
    CROSSING = 0xffe,
};

enum {
    PTE_V = 1,
    PTE_R = 2,
    PTE_W = 4,
    PTE_X = 8,
    PTE_U = 16,
    PTE_G = 32,
    PTE_A = 64,
    PTE_D = 128,
    PTE_RWX = 0xcf, /* with V, A and D */
};

enum {
    FETCH_ACCESS = 1,
    ILLEGAL = 2,
    LOAD_ACCESS = 5,
    STORE_ACCESS = 7,
    ECALL_U = 8,
    ECALL_S = 9,
    ECALL_M = 11,
    FETCH_PAGE = 12,
    LOAD_PAGE = 13,
    STORE_PAGE = 15
};

enum { USER, SUPERVISOR, MACHINE = 3 };
#define MSTATUS_MPRV 0x20000ul
#define MSTATUS_SUM  0x40000ul
#define MSTATUS_MXR  0x80000ul
#define SSTATUS_SPP  0x100ul

/* Registers of a run and how it ended; stress-start.S knows the offsets. */
typedef struct Run {
    u64 a[8];
    u64 cause, tval, epc, mstatus;
    u64 sp, t0;
} Run;

/* Page tables: a root, tables on the way down by number, and the ASID. */
typedef struct Space {
    u64 mode; /* satp.MODE: 8 Sv39, 9 Sv48, 10 Sv57 */
    u64 asid;
    u64 *tables; /* N_TABLES pages, the first is the root */
} Space;

extern u64 parameters[4];
extern Space spaces[N_SPACES];
extern unsigned char stub_page[4096];
void run_asm(Run *run, u64 pc, u64 mstatus);
extern char mprv_lb[], mprv_lw[], mprv_ld[], mprv_sb[], mprv_sw[], mprv_sd[], mprv_amo[];
__attribute__((noreturn)) void finish(u32 word);

/* ---- stress-space.c ---- */
void print(const char *text);
void print_hex(u64 value);
/* Ends the test: where, and two values. */
__attribute__((noreturn)) void fail(u64 line, u64 a, u64 b);
#define check_at(condition, a, b) ((condition) ? (void)0 : fail(__LINE__, (a), (b)))
#define check(condition)          check_at(condition, 0, 0)

/* Address of byte @offset of a slot. */
u64 slot_va(u64 region, u64 slot, u64 offset);
/* The entry of a slot; of the last regions the one of all slots, of SUPER with @leaf that in the table of pages which it may point to. */
u64 *slot_pte(u64 space, u64 region, u64 slot, int leaf);
u64 satp_of(u64 space);
/* An entry for pool page @page. */
u64 pool_pte(u64 page, u64 bits);
/* Fills the pool with stubs and all spaces with tables; nothing is mapped. */
void make_spaces(void);
/* "lui t0, @id". */
u32 id_insn(u64 id);
/* Number of pool page @page as it is after make_spaces(), in t0 when a stub of it ran. */
u64 page_id(u64 page);

/* Runs at @pc in @privilege. */
static inline void go(Run *run, u64 pc, u64 privilege)
{
    run_asm(run, pc, privilege << 11);
}

static inline void fence_all(void)
{
    __asm__ volatile("sfence.vma" ::: "memory");
}

static inline void fence_va(u64 va)
{
    __asm__ volatile("sfence.vma %0, zero" ::"r"(va) : "memory");
}

static inline void fence_asid(u64 asid)
{
    __asm__ volatile("sfence.vma zero, %0" ::"r"(asid) : "memory");
}

static inline void fence_va_asid(u64 va, u64 asid)
{
    __asm__ volatile("sfence.vma %0, %1" ::"r"(va), "r"(asid) : "memory");
}

static inline void fence_i(void)
{
    __asm__ volatile("fence.i" ::: "memory");
}

static inline u64 get_satp(void)
{
    u64 value;

    __asm__ volatile("csrr %0, satp" : "=r"(value));
    return value;
}

static inline void set_satp(u64 value)
{
    __asm__ volatile("csrw satp, %0" ::"r"(value) : "memory");
}

/* ---- stress-cases.c, stress.c ---- */
void run_case(u64 number);
void fuzz(u64 seed, u64 steps, u64 flags);
#endif
