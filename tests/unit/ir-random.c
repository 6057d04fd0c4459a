/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The random program generator and its guest; ir-random.h tells how they are used.
 *
 * Choices depend on the random numbers and on how many values there are, never on what a builder
 * returned (which folding changes), so that one seed means one program under every ir_opt_mask. For
 * the same reason the length is limited by counting calls of builders, not by the room in the
 * block.
 */
#include <string.h>
#include "tests/unit/ir-random.h"

enum {
    N_X = IR_RANDOM_N_X,
    N_W = IR_RANDOM_N_W,
    MEM = IR_RANDOM_MEM,
    MEM_SIZE = IR_RANDOM_MEM_SIZE,
    PAGE = 4096,
    MAX_CALLS = 550, /* of builders; each appends up to 3 operations */
    MAX_EXITS = 40,
};

/* ---- Numbers ---- */

void ir_random_seed(IrRandom *r, uint64_t seed)
{
    r->state = (seed + 1) * 0x9e3779b97f4a7c15 | 1;
}

uint64_t ir_random_next(IrRandom *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state * 0x2545f4914f6cdd1d;
}

unsigned ir_random_below(IrRandom *r, unsigned n)
{
    return (unsigned)(ir_random_next(r) >> 32) % n;
}

uint64_t ir_random_edge(IrRandom *r)
{
    static const uint8_t powers[] = { 1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 24, 31, 32, 33, 48, 63 };
    uint64_t v;

    switch (ir_random_below(r, 4)) {
    case 0:
        return ir_random_next(r) >> ir_random_below(r, 64);
    case 1:
        return ir_random_below(r, 5);
    case 2: /* a shift count */
        return powers[ir_random_below(r, G_N_ELEMENTS(powers))] + ir_random_below(r, 2);
    default: /* beside a power of two, either sign */
        v = (1ull << powers[ir_random_below(r, G_N_ELEMENTS(powers))]) + ir_random_below(r, 3) - 1;
        return ir_random_below(r, 3) ? v : -v;
    }
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    return (h ^ v) * 0x9e3779b97f4a7c15 + (h >> 29);
}

/* ---- The guest's memory ---- */

static uint64_t hash_regs(const IrRandomCpu *cpu, uint64_t h)
{
    for (unsigned i = 0; i < N_X; i++) {
        h = mix(h, cpu->x[i]);
    }
    for (unsigned i = 0; i < N_W; i++) {
        h = mix(h, cpu->w[i]);
    }
    return h;
}

static G_NORETURN void fault(IrRandomCpu *cpu)
{
    siglongjmp(cpu->loop, 1);
}

/* Before an access of @memop at @va: faults if it is outside or must be aligned. */
static void check_access(IrRandomCpu *cpu, uint64_t va, uint32_t memop)
{
    unsigned n = 1u << (memop & IR_MEM_SIZE);

    cpu->accesses++;
    if (cpu->trace) {
        cpu->log = hash_regs(cpu, mix(cpu->log, va));
    }
    if (va - MEM > MEM_SIZE - PAGE / 2 - n || (memop & IR_MEM_ALIGN && va & (n - 1))) {
        fault(cpu);
    }
}

static uint64_t guest_load(IrRandomCpu *cpu, uint64_t va, uint32_t memop)
{
    unsigned n = 1u << (memop & IR_MEM_SIZE);
    uint64_t v = 0;

    check_access(cpu, va, memop);
    for (unsigned i = 0; i < n; i++) {
        v |= (uint64_t)cpu->mem[va - MEM + i] << 8 * (memop & IR_MEM_BE ? n - 1 - i : i);
    }
    if (memop & IR_MEM_SIGN) {
        v = (uint64_t)((int64_t)(v << (64 - 8 * n)) >> (64 - 8 * n));
    }
    return v;
}

static void guest_store(IrRandomCpu *cpu, uint64_t va, uint64_t value, uint32_t memop)
{
    unsigned n = 1u << (memop & IR_MEM_SIZE);

    check_access(cpu, va, memop);
    for (unsigned i = 0; i < n; i++) {
        cpu->mem[va - MEM + i] = (uint8_t)(value >> 8 * (memop & IR_MEM_BE ? n - 1 - i : i));
    }
}

/* ---- The guest's helpers: of each kind of effect ---- */

static uint64_t help_pure0(IrRandomCpu *cpu, uint32_t k)
{
    return mix(k, 3);
}

static uint64_t help_pure3(IrRandomCpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t k)
{
    return mix(mix(mix(a, b), c), k);
}

/* Neither pure nor with an effect on registers: it counts. */
static uint64_t help_count(IrRandomCpu *cpu, uint64_t a, uint64_t b, uint32_t k)
{
    g_assert_cmpuint(a >> 32, ==, 0);
    cpu->log = mix(mix(cpu->log, a), k);
    return mix(mix(a, b), k);
}

static uint64_t help_read(IrRandomCpu *cpu, uint64_t a, uint32_t k)
{
    uint64_t h = hash_regs(cpu, mix(a, k));

    cpu->log = mix(cpu->log, h);
    return h;
}

static void help_write(IrRandomCpu *cpu, uint64_t a, uint64_t b, uint32_t k)
{
    g_assert_cmpuint(b >> 32, ==, 0);
    cpu->x[k % N_X] = a;
    cpu->w[k % N_W] = (uint32_t)b;
}

static uint64_t help_fault(IrRandomCpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t k)
{
    g_assert_cmpuint(b >> 32, ==, 0);
    if (a % 16 == 3) {
        fault(cpu);
    }
    return mix(mix(mix(a, b), c), k);
}

/* All at once: as a CSR instruction of a real guest. */
static uint64_t help_all(IrRandomCpu *cpu, uint64_t a, uint32_t k)
{
    cpu->log = hash_regs(cpu, cpu->log);
    if (a % 32 == 5) {
        fault(cpu);
    }
    cpu->x[k % N_X] ^= cpu->x[(k + 1) % N_X] + a;
    return cpu->log;
}

#define FN(f) (void (*)(void))(f)
static const IrHelper helpers[] = {
    { "pure0", FN(help_pure0), IR_I64, 0, { IR_VOID }, IR_HELPER_PURE, 0 },
    { "pure3", FN(help_pure3), IR_I64, 3, { IR_I64, IR_I64, IR_I64 }, IR_HELPER_PURE, 0 },
    { "count", FN(help_count), IR_I32, 2, { IR_I32, IR_I64 }, 0, 0 },
    { "read", FN(help_read), IR_I64, 1, { IR_I64 }, IR_HELPER_READS, 0 },
    { "write", FN(help_write), IR_VOID, 2, { IR_I64, IR_I32 }, IR_HELPER_WRITES, 0 },
    { "fault", FN(help_fault), IR_I32, 3, { IR_I64, IR_I32, IR_I64 }, IR_HELPER_FAULTS, 0 },
    { "all",
      FN(help_all),
      IR_I64,
      1,
      { IR_I64 },
      IR_HELPER_READS | IR_HELPER_WRITES | IR_HELPER_FAULTS,
      0 },
};
static void *helper_table[G_N_ELEMENTS(helpers)];

#define X_REG(n, rank)                                           \
    {                                                            \
        "x" #n, offsetof(IrRandomCpu, x) + 8 * (n), IR_I64, rank \
    }
#define W_REG(n, rank)                                           \
    {                                                            \
        "w" #n, offsetof(IrRandomCpu, w) + 4 * (n), IR_I32, rank \
    }
static const IrReg regs[IR_RANDOM_N_REGS] = {
    X_REG(0, 1),  X_REG(1, 2),  X_REG(2, 3), X_REG(3, 4), X_REG(4, 5),  X_REG(5, 6),
    X_REG(6, 9),  X_REG(7, 10), X_REG(8, 0), X_REG(9, 0), X_REG(10, 0), X_REG(11, 0),
    X_REG(12, 0), X_REG(13, 0), W_REG(0, 7), W_REG(1, 8), W_REG(2, 0),  W_REG(3, 0),
};

const IrTarget ir_random_target = {
    .name = "random",
    .regs = regs,
    .n_regs = G_N_ELEMENTS(regs),
    .helpers = helpers,
    .n_helpers = G_N_ELEMENTS(helpers),
    .max_insn_bytes = 4,
};

const TcgAbi ir_random_abi = {
    .target = &ir_random_target,
    .exit_request = offsetof(IrRandomCpu, exit_request),
    .pc = offsetof(IrRandomCpu, pc),
    .pc_page = offsetof(IrRandomCpu, pc_page),
    .ctx = offsetof(IrRandomCpu, ctx),
    .host_pc = offsetof(IrRandomCpu, host_pc),
    .icount_left = offsetof(IrRandomCpu, icount_left),
    .arg = offsetof(IrRandomCpu, arg),
    .spill = offsetof(IrRandomCpu, spill),
    .save = offsetof(IrRandomCpu, save),
    .fn_table = offsetof(IrRandomCpu, fn_table),
    .helper_table = offsetof(IrRandomCpu, helper_table),
    .jc_offset = offsetof(IrRandomContext, jc),
    .jc_mask = (IR_RANDOM_JC_ENTRIES - 1) << 1,
    .tlb_read = offsetof(IrRandomContext, read),
    .tlb_write = offsetof(IrRandomContext, write),
    .tlb_mask = IR_RANDOM_TLB_ENTRIES - 1,
};

/* ---- The generator ---- */

enum { MAX_POOL = 1024 };

typedef struct Generator {
    IrRandom *r;
    IrBlock *ir;
    IrVal pool[2][MAX_POOL]; /* values to use, by type: i32, i64 */
    unsigned n_pool[2];
    unsigned calls; /* of builders */
    unsigned exits;
} Generator;

static unsigned below(Generator *g, unsigned n)
{
    return ir_random_below(g->r, n);
}

static IrVal give(Generator *g, IrVal v)
{
    unsigned t = ir_type(g->ir, v) == IR_I64;

    g->calls++;
    if (g->n_pool[t] < MAX_POOL) {
        g->pool[t][g->n_pool[t]++] = v;
    }
    return v;
}

static IrVal constant(Generator *g, IrType type, uint64_t value)
{
    g->calls++;
    return ir_const(g->ir, type, value);
}

static unsigned any_reg(Generator *g, IrType type)
{
    return type == IR_I64 ? below(g, N_X) : N_X + below(g, N_W);
}

/* A value: one of the last few, any one, a register or a constant. */
static IrVal take(Generator *g, IrType type)
{
    unsigned t = type == IR_I64, n = g->n_pool[t], recent = below(g, 4) ? MIN(n, 6) : n;

    if (n && below(g, 8)) {
        return g->pool[t][n - 1 - below(g, recent)];
    }
    if (below(g, 3)) {
        return give(g, ir_getreg(g->ir, any_reg(g, type)));
    }
    return give(g, ir_const(g->ir, type, ir_random_edge(g->r)));
}

static IrType any_type(Generator *g)
{
    return below(g, 3) ? IR_I64 : IR_I32;
}

static IrCond any_cond(Generator *g)
{
    return (IrCond)below(g, IR_GTU + 1);
}

static void generate_pure(Generator *g)
{
    IrOp op = (IrOp)(IR_ADD + below(g, IR_TRUNC - IR_ADD + 1));
    IrType type = any_type(g);
    IrVal a, b;

    if (op == IR_CLMUL || op == IR_CLMULH || op == IR_TRUNC) {
        type = IR_I64;
    } else if (op == IR_SEXT || op == IR_ZEXT) {
        type = IR_I32;
    }
    a = take(g, type);
    if (ir_op_info[op].n_args == 1) {
        give(g, ir_unary(g->ir, op, a));
        return;
    }
    b = below(g, 3) ? take(g, type) : constant(g, type, ir_random_edge(g->r));
    if (below(g, 16) == 0) {
        b = a;
    }
    give(g, below(g, 8) ? ir_binary(g->ir, op, a, b) : ir_binary(g->ir, op, b, a));
}

/* What compilers write again and again, and what folding looks for. */
static void generate_idiom(Generator *g)
{
    IrBlock *ir = g->ir;
    IrVal v = take(g, IR_I64);
    uint64_t k = below(g, 64);

    switch (below(g, 6)) {
    case 0: /* addw and the like */
        v = ir_trunc(ir, v);
        give(g, ir_sext(ir, give(g, ir_add(ir, v, take(g, IR_I32)))));
        break;
    case 1:
        give(g, ir_addi(ir, give(g, ir_addi(ir, v, (int32_t)ir_random_edge(g->r))),
                        (int32_t)ir_random_edge(g->r)));
        break;
    case 2:
        v = give(g, ir_shl(ir, v, constant(g, IR_I64, k)));
        give(g, ir_binary(ir, below(g, 2) ? IR_SHR : IR_SAR, v,
                          constant(g, IR_I64, below(g, 3) ? k : below(g, 64))));
        break;
    case 3:
        v = give(g, ir_setcc(ir, any_cond(g), v, take(g, IR_I64)));
        give(g, ir_xor(ir, v, constant(g, IR_I64, 1)));
        break;
    case 4:
        v = give(g, ir_setcc(ir, any_cond(g), v, take(g, IR_I64)));
        give(g, ir_setcc(ir, (IrCond)below(g, 2), v, constant(g, IR_I64, below(g, 2))));
        break;
    default:
        v = give(g, ir_trunc(ir, v));
        give(g, below(g, 2) ? ir_sext(ir, v) : ir_zext(ir, v));
        break;
    }
}

static void generate_select(Generator *g)
{
    IrType type = any_type(g), by = any_type(g);
    IrVal cond = take(g, by), b, c;

    if (below(g, 2)) {
        cond = give(g, ir_setcc(g->ir, any_cond(g), cond, take(g, by)));
    }
    b = take(g, type);
    c = take(g, type);
    give(g, ir_select(g->ir, cond, b, c));
}

/* Mostly in the guest's memory. */
static IrVal generate_address(Generator *g)
{
    uint64_t mask = below(g, 8) ? 0x1ff8 : below(g, 2) ? 0x1fff : 0x3fff;
    IrVal v = ir_and(g->ir, take(g, IR_I64), constant(g, IR_I64, mask));

    g->calls += 4;
    if (below(g, 3)) {
        uint64_t base = MEM + (below(g, 8) ? 0 : below(g, 0x4000));

        return ir_add(g->ir, v, constant(g, IR_I64, base));
    }
    v = ir_and(g->ir, v, constant(g, IR_I64, 0x1f8));
    v = ir_shl(g->ir, v, constant(g, IR_I64, below(g, 4)));
    return ir_add(g->ir, constant(g, IR_I64, MEM), v);
}

static void generate_memory(Generator *g)
{
    IrType type = any_type(g);
    IrVal address = generate_address(g);
    int32_t disp = below(g, 4) ? (int32_t)below(g, 64) * 8 : (int32_t)below(g, 200) - 100;
    uint32_t memop = below(g, type == IR_I64 ? 4 : 3);

    memop |= (below(g, 5) ? 0 : IR_MEM_BE) | (below(g, 6) ? 0 : IR_MEM_ALIGN);
    if (below(g, 4) == 0) {
        give(g, address);
    }
    if (below(g, 2)) {
        memop |= below(g, 2) ? IR_MEM_SIGN : 0;
        give(g, ir_load(g->ir, type, address, disp, memop));
    } else {
        g->calls++;
        ir_store(g->ir, address, disp, memop, take(g, type));
    }
}

static void generate_call(Generator *g)
{
    unsigned h = below(g, G_N_ELEMENTS(helpers));
    IrVal a[3] = { IR_NONE, IR_NONE, IR_NONE }, v;

    for (unsigned i = 0; i < helpers[h].n_args; i++) {
        a[i] = take(g, (IrType)helpers[h].args[i]);
    }
    g->calls++;
    v = ir_call(g->ir, h, a[0], a[1], a[2], (uint32_t)ir_random_next(g->r));
    if (v != IR_NONE) {
        give(g, v);
    }
}

static void generate_exit(Generator *g, int32_t offset)
{
    IrType type = any_type(g);
    IrVal a = take(g, type), b = take(g, type);
    int32_t to = below(g, 3) ? (int32_t)below(g, 4096) & ~1 : (int32_t)below(g, 12288) - 4096;

    if (++g->exits > MAX_EXITS) {
        return;
    }
    g->calls += 2;
    to = below(g, 2) ? to : offset;
    if (below(g, 2)) {
        ir_exitcc(g->ir, any_cond(g), a, b, to);
    } else { /* a condition in a register */
        a = give(g, ir_setcc(g->ir, any_cond(g), a, b));
        ir_exitcc(g->ir, (IrCond)below(g, 2), a, constant(g, type, below(g, 8) == 0), to);
    }
}

static void generate_operation(Generator *g, int32_t offset)
{
    unsigned kind = below(g, 64);
    IrType type = any_type(g);

    if (kind < 24) {
        generate_pure(g);
    } else if (kind < 30) {
        generate_idiom(g);
    } else if (kind < 33) {
        IrVal a = take(g, type);

        give(g, ir_setcc(g->ir, any_cond(g), a, take(g, type)));
    } else if (kind < 36) {
        generate_select(g);
    } else if (kind < 49) {
        g->calls++;
        ir_setreg(g->ir, any_reg(g, type), take(g, type));
    } else if (kind < 57) {
        generate_memory(g);
    } else if (kind < 60) {
        generate_call(g);
    } else if (kind < 61) {
        give(g, ir_pcrel(g->ir, (int64_t)below(g, 8192) - 4096));
    } else if (kind < 63) {
        if (below(g, 4) == 0) {
            generate_exit(g, offset);
        }
    } else {
        g->calls++;
        ir_fence(g->ir, below(g, 2));
    }
}

static void generate_end(Generator *g, int32_t offset)
{
    if (below(g, 3) == 0) {
        IrVal v = take(g, IR_I64);

        ir_exitind(g->ir, ir_and(g->ir, v, constant(g, IR_I64, ~1ull)));
    } else if (below(g, 8) == 0) {
        ir_leave(g->ir, below(g, 2));
    } else {
        ir_exit(g->ir, below(g, 3) ? offset : (int32_t)below(g, 8192) - 2048);
    }
}

void ir_random_block(IrRandom *r, IrBlock *ir, uint32_t cflags)
{
    Generator g = { .r = r, .ir = ir };
    unsigned n = 1 + below(&g, below(&g, 4) ? 12 : 40);
    int32_t offset = (int32_t)below(&g, 1024) * 2;

    ir_block_reset(ir, (uint32_t)offset, cflags);
    for (unsigned i = 0; i < n && g.calls < MAX_CALLS; i++) {
        unsigned ops = 1 + below(&g, below(&g, 5) ? 5 : 20);

        g.calls++;
        ir_insn(ir, offset, (uint32_t)ir_random_next(r));
        while (ops-- && g.calls < MAX_CALLS) {
            generate_operation(&g, offset);
        }
        offset += 4;
    }
    generate_end(&g, offset);
}

/* ---- The guest's state ---- */

static void map_memory(IrRandomCpu *cpu)
{
    IrRandomContext *c = &cpu->context;

    memset(c, 0, sizeof(*c));
    cpu->ctx = c;
    c->jc[0].va = 1;
    c->read[0].tag = c->write[0].tag = 0x1000;
    for (unsigned i = 0; i < 2; i++) {
        c->read[(MEM >> 12) + i].tag = MEM + i * PAGE;
        c->read[(MEM >> 12) + i].addend = (uint64_t)(cpu->mem + i * PAGE);
    }
    c->write[MEM >> 12].tag = MEM;
    c->write[MEM >> 12].addend = (uint64_t)cpu->mem;
}

void ir_random_cpu_init(IrRandom *r, IrRandomCpu *cpu)
{
    memset(cpu, 0, sizeof(*cpu));
    map_memory(cpu);
    for (unsigned i = 0; i < G_N_ELEMENTS(helpers); i++) {
        helper_table[i] = (void *)helpers[i].fn;
    }
    cpu->helper_table = helper_table;
    cpu->fn_table[TCG_FN_LOAD] = (void *)guest_load;
    cpu->fn_table[TCG_FN_STORE] = (void *)guest_store;
    for (unsigned i = 0; i < N_X; i++) {
        cpu->x[i] = ir_random_edge(r);
    }
    for (unsigned i = 0; i < N_W; i++) {
        cpu->w[i] = (uint32_t)ir_random_edge(r);
    }
    for (unsigned i = 0; i < MEM_SIZE; i += 8) {
        uint64_t v = ir_random_next(r);

        memcpy(cpu->mem + i, &v, sizeof(v));
    }
    cpu->pc_page = 0x40000000;
    cpu->pc = ir_random_next(r) & ~1ull;
    cpu->exit_request = ir_random_below(r, 4) == 0;
    cpu->icount_left = ir_random_below(r, 8) ? 1000 : ir_random_below(r, 30);
}

void ir_random_cpu_copy(IrRandomCpu *to, const IrRandomCpu *from)
{
    memcpy(to, from, sizeof(*to));
    map_memory(to);
}

/* Whether the guest faulted. In a function of its own: nothing lives across the return by
 * longjmp. */
static bool interpret(const IrBlock *ir, IrRandomCpu *cpu)
{
    if (sigsetjmp(cpu->loop, 0)) {
        return true;
    }
    cpu->exit = tcg_interp_run(&ir_random_abi, ir, cpu, &cpu->at);
    return false;
}

void ir_random_interp(const IrBlock *ir, IrRandomCpu *cpu)
{
    cpu->faulted = interpret(ir, cpu);
    if (cpu->faulted) {
        cpu->pc = cpu->pc_page + cpu->at->imm;
        cpu->log = mix(cpu->log, (uint32_t)cpu->at->a | (uint32_t)cpu->at->b << 16);
        cpu->icount_left += ir->cflags & IR_CF_ICOUNT ? 1 : 0;
    } else if (cpu->exit == TCG_EXIT_DIRECT) {
        cpu->pc = cpu->pc_page + cpu->arg[0];
    }
}

static void differ(GString *why, const char *what, uint64_t a, uint64_t b)
{
    if (a != b) {
        g_string_append_printf(why, "%s: %#" G_GINT64_MODIFIER "x, %#" G_GINT64_MODIFIER "x\n",
                               what, a, b);
    }
}

bool ir_random_cpu_same(const IrRandomCpu *a, const IrRandomCpu *b, GString *why)
{
    gsize before = why->len;

    for (unsigned i = 0; i < N_X; i++) {
        differ(why, regs[i].name, a->x[i], b->x[i]);
    }
    for (unsigned i = 0; i < N_W; i++) {
        differ(why, regs[N_X + i].name, a->w[i], b->w[i]);
    }
    for (unsigned i = 0; i < MEM_SIZE; i++) {
        g_autofree char *at = a->mem[i] != b->mem[i] ? g_strdup_printf("byte %#x", i) : NULL;

        differ(why, at, a->mem[i], b->mem[i]);
    }
    differ(why, "faulted", a->faulted, b->faulted);
    differ(why, "exit", a->exit, b->exit);
    differ(why, "pc", a->pc, b->pc);
    differ(why, "icount", (uint64_t)a->icount_left, (uint64_t)b->icount_left);
    differ(why, "log", a->log, b->log);
    return why->len == before;
}
