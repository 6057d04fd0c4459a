/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stress fuzzer: random privileged actions on a few address spaces, in lock step on any emulator. All that can be seen of each step
 * (cause, tval, epc, registers) goes into a hash, at the end with the pages and tables; stress.py compares hashes.
 *
 * A change of page tables, PMP or code is always followed by the fence that the architecture asks for before anything may depend on it, so
 * that there is one right answer. It is the least fence, or by random a wider one. Jumps lead forward only, to stubs that end.
 */
#include "stress.h"

enum { FLAG_PRINT = 1, FLAG_PEER = 2 }; /* PEER: nothing that another emulator may do differently */
enum { BARE = N_SPACES };

static u64 rng, hash, flags;
static u64 current; /* space in satp, or BARE */
static u64 status;  /* SUM, MXR */
static u64 global[N_REGIONS]
                 [N_SLOTS]; /* the slot is the same in all spaces, its entries may have G */
static u64 giga_global;
/* By seed. G says that an entry is in all spaces: then none of them may hide its tables from the walk, nor have A and D of its own. */
static u64 with_g, with_adue;

/* Most of what happens is about these few slots, for a while, so that what was remembered of one is asked for again. */
typedef struct Slot {
    u64 region, slot;
} Slot;
enum { N_FOCUS = 4 };
static Slot focus[N_FOCUS];

static u64 rnd(u64 n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (rng * 0x2545f4914f6cdd1dul >> 33) % n;
}

static int one_in(u64 n)
{
    return rnd(n) == 0;
}

static int is_peer(void)
{
    return flags & FLAG_PEER;
}

static void say(const char *what, u64 a, u64 b, u64 c)
{
    if (flags & FLAG_PRINT) {
        print(what);
        print(" ");
        print_hex(a);
        print_hex(b);
        print_hex(c);
    }
}

static void fold(u64 value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ul;
    hash ^= hash >> 29;
}

static Slot some_slot(u64 n_regions)
{
    Slot s = focus[rnd(N_FOCUS)];

    if (one_in(3) || s.region >= n_regions) {
        s = (Slot){ rnd(n_regions), rnd(N_SLOTS) };
    }
    return s;
}

static void change_focus(void)
{
    focus[rnd(N_FOCUS)] = (Slot){ rnd(N_REGIONS), rnd(N_SLOTS) };
}

/* ---- Fences ---- */

static void sinval(u64 form, u64 va, u64 asid)
{
    __asm__ volatile(".insn r 0x73, 0, 0x0c, x0, x0, x0" ::: "memory"); /* sfence.w.inval */
    switch (form) {
    case 0:
        __asm__ volatile(".insn r 0x73, 0, 0x0b, x0, x0, x0" ::: "memory");
        break;
    case 1:
        __asm__ volatile(".insn r 0x73, 0, 0x0b, x0, %0, x0" ::"r"(va) : "memory");
        break;
    case 2:
        __asm__ volatile(".insn r 0x73, 0, 0x0b, x0, x0, %0" ::"r"(asid) : "memory");
        break;
    default:
        __asm__ volatile(".insn r 0x73, 0, 0x0b, x0, %0, %1" ::"r"(va), "r"(asid) : "memory");
        break;
    }
    __asm__ volatile(".insn r 0x73, 0, 0x0c, x0, x0, x1" ::: "memory"); /* sfence.inval.ir */
}

/* After a leaf entry of @va changed: in one space, or (@all) in all or as a global one. */
static void fence_leaf(u64 va, u64 asid, int all)
{
    u64 form = rnd(all ? 2 : 4);

    va += rnd(4096);
    say("fence", form, va, asid);
    if (!is_peer() && one_in(4)) {
        sinval(form, va, asid);
        return;
    }
    switch (form) {
    case 0:
        fence_all();
        break;
    case 1:
        fence_va(va);
        break;
    case 2:
        fence_asid(asid);
        break;
    default:
        fence_va_asid(va, asid);
        break;
    }
}

/* After an entry that is or was a pointer changed. */
static void fence_tree(u64 asid)
{
    if (one_in(2)) {
        fence_asid(asid);
    } else {
        fence_all();
    }
}

/* ---- Page tables ---- */

static u64 random_bits(void)
{
    static const unsigned char perms[] = { PTE_R | PTE_W | PTE_X,
                                           PTE_R | PTE_W | PTE_X,
                                           PTE_R | PTE_W | PTE_X,
                                           PTE_R | PTE_W,
                                           PTE_R | PTE_X,
                                           PTE_R | PTE_X,
                                           PTE_R,
                                           PTE_X,
                                           PTE_W };
    u64 bits = perms[rnd(sizeof(perms))] | PTE_V;

    bits |= one_in(3) ? PTE_U : 0;
    bits |= one_in(12) ? 0 : PTE_A;
    bits |= one_in(5) ? 0 : PTE_D;
    return one_in(12) ? bits & ~(u64)PTE_V : bits;
}

static u64 random_leaf(void)
{
    u64 bits = random_bits(), page;

    if (!is_peer() && one_in(24)) {
        return 0x70000000ul >> 12 << 10 | bits; /* nothing is there */
    }
    if (!is_peer() && one_in(24)) {
        bits |= one_in(2) ? 1ul << 54 : 1ul << 63; /* reserved; 64 KiB */
        return pool_pte(8, bits);
    }
    page = rnd(N_POOL);
    if (page >= FIRST_DATA) { /* no page with code has a write entry in the TLB */
        bits = (bits & ~(u64)PTE_X) | PTE_R;
    }
    return pool_pte(page, bits);
}

static u64 some_space(void)
{
    return current < N_SPACES && !one_in(3) ? current : rnd(N_SPACES);
}

/* The same entry for all spaces; whether G is set in each is random. */
static void write_global(u64 region, u64 slot, u64 pte)
{
    u64 mask = rnd(1 << N_SPACES);

    mask = !with_g ? 0 : one_in(2) ? ~0ul : mask;
    pte |= with_adue ? PTE_A | PTE_D : 0;
    for (u64 s = 0; s < N_SPACES; s++) {
        *slot_pte(s, region, slot, 0) = mask >> s & 1 ? pte | PTE_G : pte;
    }
}

static void edit_slot(void)
{
    Slot at = some_slot(SUPER);
    u64 region = at.region, slot = at.slot, space = some_space(), pte = random_leaf();
    int was_global = global[region][slot] != 0;

    if (one_in(16)) {
        global[region][slot] ^= 1;
    }
    say("edit", region << 8 | slot, space, pte);
    if (global[region][slot]) {
        write_global(region, slot, pte);
    } else if (was_global) {
        for (u64 s = 0; s < N_SPACES; s++) {
            *slot_pte(s, region, slot, 0) = random_leaf();
        }
    } else {
        *slot_pte(space, region, slot, 0) = pte;
    }
    fence_leaf(slot_va(region, slot, 0), spaces[space].asid, was_global || global[region][slot]);
}

/* Several entries, one fence. */
static void edit_many(void)
{
    u64 space = some_space();

    say("many", space, 0, 0);
    for (u64 n = 1 + rnd(12); n; n--) {
        Slot at = some_slot(SUPER);

        if (!global[at.region][at.slot]) {
            *slot_pte(space, at.region, at.slot, 0) = random_leaf();
        }
    }
    fence_tree(spaces[space].asid);
}

/* The SUPER region: its table, a 2 MiB page or nothing; or a page in the table. */
static void edit_super(void)
{
    u64 space = some_space(), *top = slot_pte(space, SUPER, 0, 0), old = *top;
    u64 *leaf = slot_pte(space, SUPER, rnd(N_SLOTS), 1);
    u64 table = (u64)leaf >> 12 << 10 | PTE_V;

    say("super", space, old, 0);
    if (one_in(2)) {
        *leaf = random_leaf();
    }
    if (one_in(2)) {
        *top = one_in(3) ? table : pool_pte(one_in(16), random_bits());
        if (old != table && *top != table && (old & PTE_V) && one_in(2)) {
            fence_leaf(slot_va(SUPER, rnd(N_SLOTS), 0), spaces[space].asid, 0);
            return;
        }
    }
    fence_tree(spaces[space].asid);
}

/* A 2 MiB page in the upper half. */
static void edit_super_high(void)
{
    u64 space = some_space();

    say("super high", space, 0, 0);
    *slot_pte(space, SUPER_HIGH, 0, 0) = pool_pte(one_in(16), random_bits());
    fence_leaf(slot_va(SUPER_HIGH, rnd(N_SLOTS), 0), spaces[space].asid, 0);
}

/* RAM at its own address, mostly for S. */
static void edit_giga(void)
{
    u64 bits = PTE_RWX, space = some_space();
    int was_global = giga_global != 0;

    bits = one_in(3) ? random_bits() : one_in(3) ? bits | PTE_U : bits;
    if (with_g && one_in(4)) {
        giga_global ^= 1;
    }
    bits |= with_adue && giga_global ? PTE_A | PTE_D : 0;
    say("giga", space, bits, giga_global);
    for (u64 s = 0; s < N_SPACES; s++) {
        if (giga_global || was_global || s == space) {
            *slot_pte(s, GIGA, 0, 0) =
                RAM >> 12 << 10 | bits | (giga_global && one_in(2) ? PTE_G : 0);
        }
    }
    fence_leaf(slot_va(GIGA, rnd(N_SLOTS), 0), spaces[space].asid, was_global || giga_global);
}

/* ---- What the hart is in ---- */

static u64 random_satp(void)
{
    return one_in(10) ? 0 : satp_of(rnd(N_SPACES));
}

static void note_current(void)
{
    u64 satp = get_satp();

    current = BARE;
    for (u64 s = 0; s < N_SPACES; s++) {
        if (satp >> 60 && satp == satp_of(s)) {
            current = s;
        }
    }
}

static void switch_space(void)
{
    set_satp(random_satp());
    note_current();
    say("satp", current, 0, 0);
}

static void change_asid(void)
{
    u64 space = rnd(N_SPACES), asid = 1 + rnd(12);

    for (u64 s = 0; s < N_SPACES; s++) {
        if (spaces[s].asid == asid) {
            return;
        }
    }
    say("asid", space, asid, 0);
    spaces[space].asid = asid;
    fence_tree(asid);
    if (current == space) {
        set_satp(satp_of(space));
    }
}

/* Entries 0-2: a hole in the pool, the tables, by bytes. All that follows them is in entry 7. */
static void change_pmp(void)
{
    u64 cfg = 0x1ful << 56, first = POOL + rnd(N_POOL) * 4096;

    first = is_peer() || one_in(2) ? first : first + rnd(1024) * 4;
    __asm__ volatile("csrw pmpaddr0, %0" ::"r"(first >> 2));
    __asm__ volatile("csrw pmpaddr1, %0" ::"r"((first + 4096 * (1 + rnd(3))) >> 2));
    __asm__ volatile(
        "csrw pmpaddr2, %0" ::"r"((TABLES + rnd(N_SPACES * N_TABLES) * 4096) >> 2 | 511));
    if (one_in(2)) {
        static const unsigned char perms[] = { 0, 1, 3, 4, 5, 7 };

        cfg |= (8ul | perms[rnd(sizeof(perms))]) << 8; /* TOR, from entry 0's address */
    }
    if (!with_g && one_in(4)) {
        /* NAPOT of a page: no access, or no A and D, which the peer writes nevertheless */
        cfg |= (0x18ul | (!is_peer() && one_in(2) ? 1 : 0)) << 16;
    }
    __asm__ volatile("csrw pmpcfg0, %0" ::"r"(cfg));
    fence_all();
    say("pmp", cfg, first, 0);
}

static void change_status(void)
{
    static const u64 faults[] = { 0, 0, 1 << LOAD_PAGE, 1 << STORE_PAGE,
                                  1 << LOAD_PAGE | 1 << STORE_PAGE | 1 << LOAD_ACCESS };
    u64 delegated = faults[rnd(sizeof(faults) / 8)];

    status = (!is_peer() && one_in(2) ? MSTATUS_SUM : 0) | (one_in(3) ? MSTATUS_MXR : 0);
    __asm__ volatile("csrc mstatus, %0\n csrs mstatus, %1" ::"r"(MSTATUS_SUM | MSTATUS_MXR),
                     "r"(status));
    __asm__ volatile("csrw medeleg, %0" ::"r"(delegated));
    __asm__ volatile("csrw stvec, %0" ::"r"(slot_va(rnd(N_REGIONS), rnd(N_SLOTS), STUB_HANDLER)));
    say("status", status, delegated, 0);
}

/* ---- Running ---- */

static u64 some_va(u64 offset)
{
    Slot at = some_slot(N_REGIONS);

    return slot_va(at.region, at.slot, offset);
}

static u64 data_va(u64 align)
{
    u64 offset = DATA + rnd(STUB_FALL - DATA - 8);

    if (one_in(8)) {
        offset = DATA + rnd(8);
    }
    return some_va(offset & ~((is_peer() ? 8 : align) - 1));
}

static u64 load_va(void)
{
    return !is_peer() && one_in(6) ? some_va(4096 - 1 - rnd(8)) : data_va(one_in(4) ? 1 : 8);
}

/* Where a jump from a stub may lead: stubs that do nothing endless with any registers. */
static u64 jump_va(void)
{
    static const u16 stubs[] = { STUB_ID,    STUB_ID,   STUB_JUMPS, STUB_JUMPS, STUB_JUMPS,
                                 STUB_CROSS, STUB_FALL, STUB_LOADS, CROSSING };

    /* LOADS may load from there, and the peer has another tval for misaligned faults. */
    return some_va(stubs[rnd(sizeof(stubs) / 2 - is_peer())]);
}

static void end_run(const Run *run)
{
    enum { STATUS = 0xc1900 }; /* MXR, SUM, MPP, SPP */

    for (u64 i = 0; i < 8; i++) {
        fold(run->a[i]);
    }
    fold(run->cause);
    fold(run->tval);
    fold(run->epc);
    fold(run->mstatus & STATUS);
    fold(run->t0);
    note_current();
    /* A stub may have set them. */
    __asm__ volatile(
        "csrc mstatus, %0\n csrs mstatus, %1" ::"r"(MSTATUS_SUM | MSTATUS_MXR | SSTATUS_SPP),
        "r"(status));
    if (flags & FLAG_PRINT) {
        print("-> ");
        print_hex(run->cause);
        print_hex(run->tval);
        print_hex(run->epc);
        print_hex(run->t0);
        for (u64 i = 0; i < 8; i++) {
            print_hex(run->a[i]);
        }
    }
}

/* What is stored across a page's end must be code: c.nop, the halves of an insn, an ecall. */
static void crossing_store(Run *run)
{
    u64 at_end = 0x02b7 | rnd(0xffff) << 16 | 0x73ul << 32;

    if (one_in(2)) {
        run->a[0] = some_va(CROSSING);
        run->a[1] = at_end;
    } else {
        run->a[0] = some_va(CROSSING - 2);
        run->a[1] = 1 | at_end << 16;
    }
}

/* One access from M as S or U would make it. */
static void access_as(void)
{
    static unsigned char *const accesses[] = {
        (unsigned char *)mprv_lb, (unsigned char *)mprv_lw, (unsigned char *)mprv_ld,
        (unsigned char *)mprv_sb, (unsigned char *)mprv_sd, (unsigned char *)mprv_amo
    };
    u64 n = rnd(is_peer() ? 5 : 6), pc = (u64)accesses[n];
    Run run = { .a = { n < 3 ? load_va() : data_va(n == 5 ? 8 : 1), rng } };

    run.a[7] = MSTATUS_MPRV | rnd(2) << 11;
    if (n == 4 && !is_peer() && one_in(4)) {
        crossing_store(&run);
    }
    say("as", n, run.a[0], run.a[7]);
    go(&run, pc, MACHINE);
    end_run(&run);
}

/* Registers for an EDIT stub: a new entry for a slot of the current space, which is not where the stub is. */
static void prepare_edit(Run *run, u64 pc)
{
    Slot at = some_slot(SUPER);
    u64 va = slot_va(at.region, at.slot, 0);

    while (global[at.region][at.slot] || va >> 12 == pc >> 12) {
        at = (Slot){ rnd(SUPER), rnd(N_SLOTS) };
        va = slot_va(at.region, at.slot, 0);
    }
    run->a[0] = (u64)slot_pte(current, at.region, at.slot, 0);
    run->a[1] = random_leaf();
    run->a[2] = va;
    run->a[3] = spaces[current].asid;
    run->a[4] = va + DATA + rnd(64) * 8;
}

static u64 prepare(Run *run, u64 pc, u64 stub)
{
    static const u16 changed[] = { STUB_ID, STUB_JUMPS, STUB_LOADS, STUB_FALL, STUB_CROSS };

    for (u64 i = 0; i < 6; i++) {
        run->a[i] = jump_va();
    }
    run->a[7] = 1;
    switch (stub) {
    case STUB_STORE:
        run->a[0] = data_va(one_in(4) ? 1 : 8);
        if (!is_peer() && one_in(4)) {
            crossing_store(run);
        }
        break;
    case STUB_ATOMICS:
        run->a[0] = data_va(is_peer() ? 8 : 4);
        run->a[3] = data_va(is_peer() ? 4 : 2);
        break;
    case STUB_RESERVE:
    case STUB_ZERO:
        run->a[0] = data_va(8);
        break;
    case STUB_LOADS:
    case STUB_STATUS:
        run->a[0] = load_va();
        run->a[3] = run->a[4] = load_va();
        run->a[2] = (is_peer() ? 2 : rnd(4)) << 18;
        break;
    case STUB_LOOP:
        run->a[0] = load_va();
        run->a[3] = data_va(8);
        break;
    case STUB_CHANGE:
        run->a[2] = some_va(changed[rnd(5)]);
        run->a[0] = one_in(2) ? run->a[2] : some_va(run->a[2] & 4095);
        /* JUMPS may jump to it: above all that a machine may have there. */
        run->a[1] = id_insn(rnd(0xfffff)) | 1ul << 40;
        break;
    case STUB_SATP:
        run->a[0] = random_satp();
        run->a[3] = load_va();
        break;
    case STUB_FENCE:
    case STUB_FENCES:
        run->a[0] = some_va(0);
        run->a[1] = 1 + rnd(12);
        run->a[3] = run->a[5] = load_va();
        break;
    case STUB_EDIT:
        if (current == BARE) {
            return STUB_ID;
        }
        prepare_edit(run, pc);
        break;
    case STUB_RETURN:
        run->a[2] = SSTATUS_SPP;
        run->a[3] = one_in(2) ? 0 : SSTATUS_SPP;
        break;
    default:
        break;
    }
    return stub;
}

static void run_stub(void)
{
    static const u16 stubs[] = { STUB_ID,    STUB_LOADS,  STUB_STORE,  STUB_ATOMICS, STUB_RESERVE,
                                 STUB_JUMPS, STUB_JUMPS,  STUB_LOOP,   STUB_CHANGE,  STUB_SATP,
                                 STUB_FENCE, STUB_EDIT,   STUB_STATUS, STUB_RETURN,  STUB_CROSS,
                                 STUB_ZERO,  STUB_FENCES, STUB_FALL,   STUB_CHANGE,  STUB_EDIT,
                                 CROSSING };
    u64 stub = stubs[rnd(sizeof(stubs) / 2)], page = some_va(0),
        privilege = one_in(3) ? USER : SUPERVISOR;
    Run run = { 0 };

    if (is_peer() &&
        (stub == STUB_ZERO || stub == STUB_ATOMICS)) { /* it tells load faults of atomics */
        stub = STUB_ID;
    }
    stub = prepare(&run, page, stub);
    if (stub == STUB_EDIT) { /* it must not end between entry and fence */
        privilege = SUPERVISOR;
    }
    say("run", privilege << 12 | stub, page, current);
    go(&run, page + stub, privilege);
    end_run(&run);
}

/* New numbers in a page's stubs, written by M where it is. */
static void change_code(void)
{
    u64 page = POOL + rnd(N_POOL) * 4096,
        stub = one_in(4) ? STUB_FALL : STUB_ID + rnd((STUB_END - STUB_ID) / 64) * 64;

    *(volatile u32 *)(page + stub) = id_insn(rnd(0xfffff));
    if (one_in(3)) {
        *(volatile u16 *)page = (u16)rnd(0xffff);
    }
    fence_i();
    say("code", page, stub, 0);
}

static void step(void)
{
    u64 what = rnd(64);

    fence_i();
    if (one_in(16)) {
        change_focus();
    }
    if (what < 5) {
        edit_slot();
    } else if (what < 6) {
        edit_many();
    } else if (what < 8) {
        edit_super();
    } else if (what < 9) {
        if (one_in(2)) {
            edit_giga();
        } else {
            edit_super_high();
        }
    } else if (what < 15) {
        switch_space();
    } else if (what < 16) {
        change_asid();
    } else if (what < 17) {
        change_pmp();
    } else if (what < 20) {
        change_status();
    } else if (what < 23) {
        change_code();
    } else if (what < 36) {
        access_as();
    } else {
        run_stub();
    }
}

static void fill(void)
{
    for (u64 region = 0; region < SUPER; region++) {
        for (u64 slot = 0; slot < N_SLOTS; slot++) {
            global[region][slot] = one_in(4);
            write_global(region, slot, random_leaf());
            for (u64 s = 0; s < N_SPACES && !global[region][slot]; s++) {
                *slot_pte(s, region, slot, 0) = random_leaf();
            }
        }
    }
    for (u64 n = 0; n < 20; n++) {
        edit_super();
        edit_super_high();
        edit_giga();
        change_focus();
    }
    fence_all();
}

void fuzz(u64 seed, u64 steps, u64 with)
{
    flags = with;
    with_g = seed & 3;
    with_adue = is_peer() || (seed >> 2 & 1);
    rng = seed * 0x9e3779b97f4a7c15ul + 1;
    rnd(2);
    rnd(2);
    /* cbo.zero; A and D set by hardware (the peer does it always) */
    __asm__ volatile("csrw senvcfg, %0" ::"r"(0x80));
    __asm__ volatile("csrw menvcfg, %0" ::"r"(0x80 | with_adue << 61));
    fill();
    for (u64 n = 0; n < steps; n++) {
        say("step", n, hash, 0);
        step();
        if (flags & FLAG_PRINT) {
            print("\n");
        }
    }
    for (u64 at = POOL; at < POOL + N_POOL * 4096; at += 8) {
        fold(*(u64 *)at);
    }
    for (u64 at = TABLES; at < TABLES + N_SPACES * N_TABLES * 4096; at += 8) {
        fold(*(u64 *)at);
    }
    print("hash ");
    print_hex(hash);
    print("\n");
}
