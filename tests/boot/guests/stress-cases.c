/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Directed cases of address translation, by number (stress.py): address spaces that share a vCPU's caches and must not see each
 * other's pages, and fences that must be enough. Pages tell who they are: the number in t0 of code that ran, the first word of data.
 */
#include "stress.h"

enum { S_BITS = PTE_RWX, U_BITS = PTE_RWX | PTE_U, G_BITS = PTE_RWX | PTE_G };
enum { ALL_TABLE = 512 };

static void map(u64 space, u64 region, u64 slot, u64 page, u64 bits)
{
    *slot_pte(space, region, slot, 0) = pool_pte(page, bits);
}

static void enter(u64 space)
{
    set_satp(satp_of(space));
}

/* Runs a stub that must end with its ecall; t0. */
static u64 run_at(Run *run, u64 va, u64 privilege)
{
    go(run, va, privilege);
    check_at(run->cause == (privilege == USER ? ECALL_U : ECALL_S), run->cause, run->epc);
    return run->t0;
}

static u64 id_at(u64 va, u64 privilege)
{
    Run run = { 0 };

    return run_at(&run, va, privilege);
}

static u64 cause_at(u64 va, u64 privilege)
{
    Run run = { 0 };

    go(&run, va, privilege);
    return run.cause;
}

/* The pool page that S or U finds @va mapped to by a load; the stub is at @code. */
static u64 page_of(u64 va, u64 code, u64 privilege)
{
    Run run = { .a = { va + DATA, 0, 0, va + DATA } };

    run_at(&run, code + STUB_LOADS, privilege);
    return run.a[1] >> 32;
}

static u64 load_cause(u64 va, u64 code)
{
    Run run = { .a = { va + DATA, 0, 0, va + DATA } };

    go(&run, code + STUB_LOADS, SUPERVISOR);
    return run.cause;
}

/* What a store to @va and a load behind it end with. */
static u64 store_at(u64 va, u64 value, u64 code)
{
    Run run = { .a = { va, value } };

    go(&run, code + STUB_STORE, SUPERVISOR);
    return run.cause;
}

/* Code for S in slot 7 of HIGH, global, the same everywhere: page 23. */
static u64 kernel(void)
{
    for (u64 s = 0; s < N_SPACES; s++) {
        map(s, HIGH, 7, 23, G_BITS);
    }
    fence_all();
    return slot_va(HIGH, 7, 0);
}

/* The same addresses in two spaces, data and code, S and U, without a fence in between. */
static void case_two_spaces(void)
{
    u64 code = kernel(), va = slot_va(LOW, 0, 0), user = slot_va(LOW, 1, 0);

    for (u64 s = 0; s < N_SPACES; s++) {
        map(s, LOW, 0, s, S_BITS);
        map(s, LOW, 1, 8 + s, U_BITS);
    }
    fence_all();
    for (u64 round = 0; round < 60; round++) {
        u64 s = round < 20 ? round & 1 : round % N_SPACES;

        enter(s);
        check_at(id_at(va + STUB_ID, SUPERVISOR) == page_id(s), round, s);
        check_at(page_of(va, code, SUPERVISOR) == s, round, s);
        check_at(id_at(user + STUB_ID, USER) == page_id(8 + s), round, s);
        check_at(page_of(user, user, USER) == 8 + s, round, s);
        check_at(store_at(va + DATA + 8, round, code) == ECALL_S, round, s);
        check_at(*(volatile u64 *)(POOL + s * 4096 + DATA + 8) == round, round, s);
        check_at(cause_at(user + STUB_ID, SUPERVISOR) == FETCH_PAGE, round, s);
        check_at(cause_at(va + STUB_ID, USER) == FETCH_PAGE, round, s);
    }
}

/* S changes satp itself: the next insn is the other space's, where the page is private. */
static void case_switch_in_s(void)
{
    u64 va = slot_va(LOW, 2, 0), data = slot_va(ALIAS, 2, 0);

    for (u64 s = 0; s < N_SPACES; s++) {
        map(s, LOW, 2, s, S_BITS);
        map(s, ALIAS, 2, 10 + s, S_BITS);
    }
    fence_all();
    for (u64 round = 0; round < 60; round++) {
        u64 from = round % N_SPACES, to = (round * 5 + 1) % N_SPACES;
        Run run = { .a = { satp_of(to), 0, 0, data + DATA } };

        enter(from);
        check_at(page_of(data, va, SUPERVISOR) == 10 + from, round, from);
        check_at(run_at(&run, va + STUB_SATP, SUPERVISOR) == page_id(to), round, run.t0);
        check_at(run.a[1] >> 32 == 10 + to, round, run.a[1]);
        check(get_satp() == satp_of(to));
    }
}

/* A global page stays over switches, and goes by the fences that are for it. */
static void case_global(void)
{
    u64 code = kernel(), va = slot_va(HIGH, 0, 0), own = slot_va(HIGH, 1, 0);

    for (u64 page = 0; page < 8; page++) {
        for (u64 s = 0; s < N_SPACES; s++) {
            map(s, HIGH, 0, page, s & 1 ? S_BITS : G_BITS); /* it need not be marked everywhere */
            map(s, HIGH, 1, 8 + s, S_BITS);
        }
        if (page & 1) {
            fence_va(va + 8);
        } else {
            fence_all();
        }
        for (u64 round = 0; round < 12; round++) {
            u64 s = round % N_SPACES;

            enter(s);
            check_at(id_at(va + STUB_ID, SUPERVISOR) == page_id(page), round, page);
            check_at(page_of(va, code, SUPERVISOR) == page, round, page);
            check_at(id_at(own + STUB_ID, SUPERVISOR) == page_id(8 + s), round, s);
            check_at(page_of(own, code, SUPERVISOR) == 8 + s, round, s);
        }
    }
    /* No longer global: each its own. */
    for (u64 s = 0; s < N_SPACES; s++) {
        map(s, HIGH, 0, 16 + s, S_BITS);
    }
    fence_va(va);
    for (u64 round = 0; round < 12; round++) {
        enter(round % N_SPACES);
        check_at(id_at(va + STUB_ID, SUPERVISOR) == page_id(16 + round % N_SPACES), round, 0);
    }
}

/* Jumps from page to page that every space maps differently. */
static void case_private_jumps(void)
{
    u64 code = kernel();

    for (u64 s = 0; s < N_SPACES; s++) {
        for (u64 i = 0; i < 4; i++) {
            map(s, LOW, i, 4 * s % 20 + i, S_BITS);
            map(s, LOW_TOO, i, 4 * s % 20 + 3 - i, S_BITS);
        }
    }
    fence_all();
    for (u64 round = 0; round < 60; round++) {
        u64 s = round % 5, sum = 0;
        Run run = { .a = { slot_va(LOW, 0, STUB_JUMPS), slot_va(LOW_TOO, 1, STUB_JUMPS),
                           slot_va(LOW, 2, STUB_JUMPS), slot_va(LOW_TOO, 3, STUB_JUMPS),
                           slot_va(LOW, 3, STUB_JUMPS) } };
        const u64 pages[] = { 23, 4 * s, 4 * s + 2, 4 * s + 2, 4 * s, 4 * s + 3 };

        for (u64 i = 0; i < 6; i++) {
            sum = 3 * sum + page_id(pages[i]);
        }
        enter(s);
        run_at(&run, code + STUB_JUMPS, SUPERVISOR);
        check_at(run.a[7] == sum, round, run.a[7]);
    }
}

/* S reads user pages, which differ by space, with SUM only. */
static void case_sum(void)
{
    u64 code = kernel(), va = slot_va(ALIAS, 0, 0), own = slot_va(ALIAS, 1, 0);

    for (u64 s = 0; s < N_SPACES; s++) {
        map(s, ALIAS, 0, s, U_BITS);
        map(s, ALIAS, 1, 10 + s, S_BITS);
    }
    fence_all();
    for (u64 round = 0; round < 60; round++) {
        u64 s = (round / 2) % N_SPACES;
        Run run = { .a = { va + DATA, 0, MSTATUS_SUM, 0, own + DATA } };

        enter(s);
        run_at(&run, code + STUB_STATUS, SUPERVISOR);
        check_at(run.a[1] >> 32 == s && run.a[3] >> 32 == 10 + s, round, run.a[1]);
        run.a[2] = MSTATUS_MXR;
        run.a[0] = va + DATA;
        go(&run, code + STUB_STATUS, SUPERVISOR);
        check_at(run.cause == LOAD_PAGE && run.tval == va + DATA, round, run.cause);
        __asm__ volatile("csrc mstatus, %0" ::"r"(MSTATUS_SUM | MSTATUS_MXR));
    }
}

/* Each of the fences is enough for a page of one space, also when it is not the current one, and made by S. */
static void case_fences(void)
{
    u64 code = kernel(), va = slot_va(LOW, 5, 0);
    u64 now[2] = { 0, 1 };

    map(0, LOW, 5, 0, S_BITS);
    map(1, LOW, 5, 1, S_BITS);
    fence_all();
    for (u64 round = 0; round < 200; round++) {
        u64 s = round & 1, other = round >> 1 & 1, asid = spaces[s].asid;
        Run run = { .a = { va + 16, asid, 0, code + DATA, 0, code + DATA } };

        enter(0);
        check_at(page_of(va, code, SUPERVISOR) == now[0] &&
                     id_at(va + STUB_ID, SUPERVISOR) == page_id(now[0]),
                 round, now[0]);
        enter(1);
        check_at(page_of(va, code, SUPERVISOR) == now[1] &&
                     id_at(va + STUB_ID, SUPERVISOR) == page_id(now[1]),
                 round, now[1]);
        enter(other);
        now[s] = (now[s] + 5) % 20;
        map(s, LOW, 5, now[s], S_BITS);
        switch (round % 5) {
        case 0:
            fence_va_asid(va, asid);
            break;
        case 1:
            fence_asid(asid);
            break;
        case 2:
            fence_va(va + 4095);
            break;
        case 3:
            run_at(&run, code + STUB_FENCE, SUPERVISOR);
            break;
        default:
            run_at(&run, code + STUB_FENCES, SUPERVISOR);
            break;
        }
        enter(s);
        check_at(store_at(va + DATA + 8, 0x100 + round, code) == ECALL_S, round, s);
        check_at(*(volatile u64 *)(POOL + now[s] * 4096 + DATA + 8) == 0x100 + round, round, s);
    }
}

/* More private pages than are noted one by one, and just as many. */
static void case_many_private(void)
{
    static const u64 counts[] = { 255, 256, 257, 258, 500 };
    u64 code = kernel(), base = slot_va(LOW, 0, 0) & ~0x1ffffful;
    u64 *tables[2] = { slot_pte(0, LOW, 0, 0), slot_pte(1, LOW, 0, 0) };

    for (u64 s = 0; s < 2; s++) {
        tables[s] -= slot_va(LOW, 0, 0) >> 12 & 511;
        for (u64 i = 0; i < ALL_TABLE; i++) {
            tables[s][i] = pool_pte(10 * s + i % 10, S_BITS);
        }
    }
    fence_all();
    for (u64 round = 0; round < 10; round++) {
        u64 n = counts[round / 2];

        for (u64 s = 0; s < 2; s++) {
            enter(s);
            for (u64 i = 0; i < n; i++) {
                u64 va = base + i * 4096;

                check_at(page_of(va, code, SUPERVISOR) == 10 * s + i % 10, n, i);
                if ((round & 1) && i % 7 == 0) { /* a fetch notes its page again */
                    check_at(id_at(va + STUB_ID, SUPERVISOR) == page_id(10 * s + i % 10), n, i);
                }
            }
        }
    }
}

/* An insn that begins in a global page and ends in one that differs by space; entered by a jump within the page, by falling into it, at itself. */
static void case_crossing(void)
{
    u64 first = slot_va(HIGH, 3, 0), second = slot_va(HIGH, 4, 0);

    for (u64 s = 0; s < N_SPACES; s++) {
        map(s, HIGH, 3, 20, G_BITS);
        map(s, HIGH, 4, s, S_BITS);
    }
    fence_all();
    for (u64 round = 0; round < 120; round++) {
        static const u16 entries[] = { STUB_CROSS, STUB_FALL, CROSSING };
        u64 s = round % 4, page = round < 60 ? s : 8 + s;

        enter(s);
        check_at(id_at(first + entries[round / 5 % 3], SUPERVISOR) == (page + 1) << 20, round, s);
        if (round == 59) {
            for (u64 i = 0; i < N_SPACES; i++) {
                map(i, HIGH, 4, 8 + i, S_BITS);
                fence_va_asid(second, spaces[i].asid);
            }
        }
    }
    /* Not executable any more, in one of them. */
    map(1, HIGH, 4, 1, S_BITS & ~PTE_X);
    fence_va_asid(second, spaces[1].asid);
    for (u64 round = 0; round < 12; round++) {
        Run run = { 0 };

        enter(round & 1);
        go(&run, first + STUB_CROSS, SUPERVISOR);
        check_at(run.cause == (round & 1 ? FETCH_PAGE : ECALL_S), round, run.cause);
        check_at(!(round & 1) || (run.tval == second && run.epc == first + CROSSING), run.tval,
                 run.epc);
    }
}

/* The same addresses with and without translation. */
static void case_bare(void)
{
    u64 va = slot_va(GIGA, 2, 0);

    *slot_pte(0, GIGA, 0, 0) = RAM >> 12 << 10 | S_BITS;
    *slot_pte(2, GIGA, 0, 0) = RAM >> 12 << 10 | G_BITS;
    fence_all();
    for (u64 round = 0; round < 40; round++) {
        u64 how = round % 4;

        set_satp(how < 3 ? satp_of(how) : 0);
        check_at(cause_at(va + STUB_ID, SUPERVISOR) == (how == 1 ? FETCH_PAGE : ECALL_S) ||
                     how == 1,
                 round, how);
        check_at(how != 3 || page_of(va, va, USER) == 2, round, how);
        if (how == 0 || how == 3) {
            check_at(page_of(va, va, SUPERVISOR) == 2, round, how);
        }
    }
}

static void pmp_hole(u64 first, u64 last, u64 perms)
{
    __asm__ volatile("csrw pmpaddr0, %0\n csrw pmpaddr1, %1\n csrw pmpcfg0, %2" ::"r"(first >> 2),
                     "r"(last >> 2), "r"(0x1ful << 56 | (8 | perms) << 8));
    fence_all();
}

/* Pages of which the PMP forbids a part are asked for at each access: and still belong to one space. */
static void case_split_pages(void)
{
    u64 code = kernel(), va = slot_va(LOW, 6, 0);

    map(0, LOW, 6, 0, S_BITS);
    map(1, LOW, 6, 1, S_BITS);
    pmp_hole(POOL + 0xf00, POOL + 4096 + 0x80, 0); /* the end of page 0, the beginning of page 1 */
    for (u64 round = 0; round < 40; round++) {
        u64 s = round & 1;

        enter(s);
        check_at(page_of(va, code, SUPERVISOR) == s, round, s);
        check_at(cause_at(va + STUB_ID, SUPERVISOR) == (s ? FETCH_ACCESS : ECALL_S), round, s);
        check_at(cause_at(va + STUB_FALL, SUPERVISOR) == (s ? FETCH_PAGE : FETCH_ACCESS), round, s);
        check_at(store_at(va + 0xef0, 1, code) == ECALL_S, round, s);
        check_at(store_at(va + 0xf08, 1, code) == (s ? ECALL_S : STORE_ACCESS), round, s);
    }
    /* The hole begins behind a stub's first insn. */
    pmp_hole(POOL + STUB_ID + 4, POOL + 0x100, 0);
    enter(0);
    for (u64 round = 0; round < 4; round++) {
        Run run = { 0 };

        go(&run, va + STUB_ID, SUPERVISOR);
        check_at(run.cause == FETCH_ACCESS && run.epc == va + STUB_ID + 4 && run.t0 == page_id(0),
                 run.cause, run.epc);
    }
    pmp_hole(0, 0, 0);
}

/* More contexts than a vCPU keeps, by MPRV, SUM and MXR. */
static void case_many_contexts(void)
{
    u64 va = slot_va(LOW, 0, 0), user = slot_va(LOW, 1, 0);

    for (u64 s = 0; s < N_SPACES; s++) {
        map(s, LOW, 0, s, S_BITS);
        map(s, LOW, 1, 8 + s, U_BITS);
    }
    fence_all();
    for (u64 round = 0; round < 300; round++) {
        u64 s = round * 7 % N_SPACES, as_user = round >> 1 & 1;
        u64 more = (round & 4 ? MSTATUS_SUM : 0) | (round & 8 ? MSTATUS_MXR : 0);
        Run run = { .a = { (as_user ? user : va) + DATA } };

        enter(s);
        run.a[7] = MSTATUS_MPRV | (as_user ? USER : SUPERVISOR) << 11 | more;
        go(&run, (u64)mprv_ld, MACHINE);
        check_at(run.cause == ECALL_M && run.a[1] >> 32 == s + 8 * as_user, round, run.a[1]);
        run.a[0] = (as_user ? va : user) + DATA;
        go(&run, (u64)mprv_ld, MACHINE);
        check_at(run.cause == (!as_user && more & MSTATUS_SUM ? ECALL_M : LOAD_PAGE), round,
                 run.cause);
        __asm__ volatile("csrc mstatus, %0" ::"r"(MSTATUS_SUM | MSTATUS_MXR));
    }
}

/* Superpages: fences name any address within; a page becomes a table and back. */
static void case_superpages(void)
{
    u64 code = kernel(), *top = slot_pte(0, SUPER, 0, 0), table = *top, asid = spaces[0].asid;

    for (u64 i = 0; i < N_SLOTS; i++) {
        *slot_pte(0, SUPER, i, 1) = pool_pte(8 + i, S_BITS);
    }
    fence_all();
    enter(0);
    for (u64 round = 0; round < 30; round++) {
        u64 i = round % N_SLOTS, va = slot_va(SUPER, i, 0);

        *top = table;
        fence_asid(asid);
        check_at(page_of(va, code, SUPERVISOR) == 8 + i, round, i);
        check_at(id_at(va + STUB_ID, SUPERVISOR) == page_id(8 + i), round, i);
        *top = pool_pte(0, S_BITS);
        fence_asid(asid);
        check_at(page_of(va, code, SUPERVISOR) == i, round, i);
        check_at(id_at(va + STUB_ID, SUPERVISOR) == page_id(i), round, i);
        *top = pool_pte(0, PTE_V | PTE_R | PTE_A);
        fence_va_asid(slot_va(SUPER, (i + 3) % N_SLOTS, 0), asid);
        check_at(store_at(va + DATA, 0, code) == STORE_PAGE, round, i);
        check_at(cause_at(va + STUB_ID, SUPERVISOR) == FETCH_PAGE, round, i);
        *top = 0;
        fence_va_asid(slot_va(SUPER, 5, 0), asid);
        check_at(cause_at(va + STUB_ID, SUPERVISOR) == FETCH_PAGE, round, i);
        *slot_pte(0, SUPER_HIGH, 0, 0) = pool_pte(0, S_BITS);
        fence_va(slot_va(SUPER_HIGH, 1, 0));
        check_at(page_of(slot_va(SUPER_HIGH, i, 0), code, SUPERVISOR) == i, round, i);
        *slot_pte(0, SUPER_HIGH, 0, 0) = 0;
        fence_va(slot_va(SUPER_HIGH, 7, 0));
        check_at(cause_at(slot_va(SUPER_HIGH, i, STUB_ID), SUPERVISOR) == FETCH_PAGE, round, i);
        check_at(load_cause(slot_va(SUPER_HIGH, i, 0), code) == LOAD_PAGE, round, i);
    }
}

/* Code under several addresses, changed through another one; the tail of a crossing insn too. */
static void case_code_aliases(void)
{
    u64 code = kernel(), write = slot_va(ALIAS, 3, 0);

    for (u64 s = 0; s < 2; s++) {
        map(s, LOW, 3, 5, S_BITS);
        map(s, LOW, 4, 6, S_BITS);
        map(s, HIGH, 3, 5, G_BITS);
        map(s, HIGH, 4, 6, G_BITS);
        map(s, ALIAS, 3, 5, S_BITS & ~PTE_X);
        map(s, ALIAS, 4, 6, S_BITS & ~PTE_X);
    }
    fence_all();
    for (u64 round = 0; round < 120; round++) {
        u64 id = round * 0x123 & 0x7fff,
            run_va = round & 2 ? slot_va(LOW, 3, 0) : slot_va(HIGH, 3, 0);
        Run run = { .a = { write + STUB_ID, id_insn(id), run_va + STUB_ID } };

        enter(round & 1);
        check_at(run_at(&run, code + STUB_CHANGE, SUPERVISOR) == id << 12, round, run.t0);
        check_at(id_at(slot_va(LOW, 3, STUB_ID), SUPERVISOR) == id << 12, round, id);
        check_at(id_at(slot_va(HIGH, 3, STUB_ID), SUPERVISOR) == id << 12, round, id);
        check(store_at(write + CROSSING - 2, 1 | 0x02b7 << 16 | id << 32 | 0x73ul << 48, code) ==
              ECALL_S);
        fence_i();
        check_at(id_at(run_va + (round & 4 ? STUB_CROSS : STUB_FALL), SUPERVISOR) == id << 16,
                 round, id);
    }
}

/* An ASID passes to another space. */
static void case_asid_reuse(void)
{
    u64 code = kernel(), va = slot_va(LOW, 0, 0);

    for (u64 s = 0; s < N_SPACES; s++) {
        map(s, LOW, 0, s, S_BITS);
        map(s, LOW, 1, 8 + s, U_BITS);
    }
    fence_all();
    for (u64 round = 0; round < 60; round++) {
        u64 s = round % N_SPACES;

        spaces[s].asid = 100;
        fence_asid(100);
        enter(s);
        check_at(page_of(va, code, SUPERVISOR) == s &&
                     id_at(va + STUB_ID, SUPERVISOR) == page_id(s),
                 round, s);
        check_at(id_at(slot_va(LOW, 1, STUB_ID), USER) == page_id(8 + s), round, s);
    }
}

/* Stores to pages without code, of which the TLB remembers that they may be written: by space, and over fences. */
static void case_stores(void)
{
    u64 code = kernel(), va = slot_va(LOW, 7, 0), at = DATA + 24;
    u64 now[2] = { 16, 17 };

    map(0, LOW, 7, 16, S_BITS);
    map(1, LOW, 7, 17, S_BITS);
    fence_all();
    for (u64 round = 0; round < 120; round++) {
        u64 s = round & 1, asid = spaces[s].asid;

        enter(s);
        check_at(store_at(va + at, round, code) == ECALL_S, round, s);
        check_at(*(volatile u64 *)(POOL + now[s] * 4096 + at) == round, round, s);
        if (round % 8 < 2) {
            enter(round >> 3 & 1);
            now[s] = 16 + (now[s] + 1) % 6;
            map(s, LOW, 7, now[s], S_BITS);
            if (round & 16) {
                fence_va_asid(va, asid);
            } else if (round & 32) {
                fence_va(va);
            } else {
                fence_asid(asid);
            }
            enter(s);
            check_at(store_at(va + at, ~round, code) == ECALL_S, round, s);
            check_at(*(volatile u64 *)(POOL + now[s] * 4096 + at) == ~round, round, s);
        }
    }
    /* Read-only, and clean: D is set by the next store. */
    map(1, LOW, 7, 17, S_BITS & ~PTE_W);
    fence_va_asid(va, spaces[1].asid);
    enter(1);
    check(store_at(va + at, 0, code) == STORE_PAGE && load_cause(va, code) == ECALL_S);
    __asm__ volatile("csrs menvcfg, %0" ::"r"(1ul << 61));
    map(1, LOW, 7, 17, S_BITS & ~(PTE_D | PTE_A));
    fence_va_asid(va, spaces[1].asid);
    check(load_cause(va, code) == ECALL_S && (*slot_pte(1, LOW, 7, 0) & (PTE_A | PTE_D)) == PTE_A);
    check(store_at(va + at, 0, code) == ECALL_S && (*slot_pte(1, LOW, 7, 0) & PTE_D));
}

/* A short insn as a page's last, which might have gone on in the next page; it changes and comes back, then the next page changes. */
static void case_page_end(void)
{
    u64 va = slot_va(LOW, 0, 0);
    volatile u16 *last = (u16 *)(POOL + CROSSING), *next = (u16 *)(POOL + 4096);

    map(0, LOW, 0, 0, S_BITS);
    map(0, LOW, 1, 1, S_BITS);
    fence_all();
    enter(0);
    next[0] = 1; /* c.nop */
    for (u64 round = 0; round < 60; round++) {
        u64 add = 1 + (round & 1), more = round / 12 & 1;
        Run run = { 0 };

        *last = (u16)(0x0885 + 4 * (add - 1)); /* c.addi a7, add */
        if (round % 12 == 0) {
            next[0] = more ? 0x0885 : 1;
        }
        fence_i();
        run_at(&run, va + CROSSING, SUPERVISOR);
        check_at(run.a[7] == add + more, round, run.a[7]);
    }
}

void run_case(u64 number)
{
    static void (*const cases[])(
        void) = { case_two_spaces,   case_switch_in_s, case_global,        case_private_jumps,
                  case_sum,          case_fences,      case_many_private,  case_crossing,
                  case_bare,         case_split_pages, case_many_contexts, case_superpages,
                  case_code_aliases, case_asid_reuse,  case_page_end,      case_stores };

    check(number <= sizeof(cases) / sizeof(cases[0]));
    cases[number - 1]();
    print("passed\n");
}
