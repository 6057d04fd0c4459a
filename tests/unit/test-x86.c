/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86-64 back end: every IR operation in all operand shapes against ir_eval(), the memory
 * fast and slow path, exits and their patching, instruction counting, and random blocks against the IR interpreter.
 *
 * The guest is made up: 14 i64 and 4 i32 registers of which some are pinned, 4 pages of memory from 0x10000 on: the first
 * is in both TLBs, the second only in the read TLB, the third in none, and the upper half of the fourth faults.
 */
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "tcg/abi.h"
#include "tcg/x86_64/features.h"

enum {
    N_X = 14,
    N_W = 4,
    MEM_BASE = 0x10000,
    MEM_SIZE = 0x4000,
    PAGE = 4096,
    TLB_ENTRIES = 256,
    JC_ENTRIES = 256,
    CODE_AT = 8192,
    CODE_SIZE = 1 << 20,
};

typedef struct TlbSlot {
    uint64_t tag, addend;
} TlbSlot;

typedef struct Ctx {
    struct {
        uint64_t va;
        const void *code;
    } jc[JC_ENTRIES];
    TlbSlot read[TLB_ENTRIES], write[TLB_ENTRIES];
} Ctx;

typedef struct Fake {
    uint32_t exit_request;
    uint64_t pc, pc_page;
    Ctx *ctx;
    uint64_t host_pc;
    int64_t icount_left;
    uint64_t arg[4], save[32], spill[TCG_N_SPILLS];
    void *fn_table[TCG_N_FNS];
    void *helper_table;
    uint64_t x[N_X];
    uint32_t w[N_W];
    sigjmp_buf loop;
    const IrInsn *volatile at;
    unsigned slow; /* calls of the slow path */
    bool fill;     /* these make TLB entries */
    uint64_t log;  /* hash of what helpers saw */
    Ctx context;
    uint8_t mem[MEM_SIZE];
} Fake;

#define X_REG(n, pin_rank)                                    \
    {                                                         \
        "x" #n, offsetof(Fake, x) + 8 * (n), IR_I64, pin_rank \
    }
#define W_REG(n, pin_rank)                                    \
    {                                                         \
        "w" #n, offsetof(Fake, w) + 4 * (n), IR_I32, pin_rank \
    }
/* x0-x5, w0 and w1 get host registers. */
static const IrReg regs[] = {
    X_REG(0, 1),  X_REG(1, 2),  X_REG(2, 3), X_REG(3, 4), X_REG(4, 5),  X_REG(5, 6),
    X_REG(6, 9),  X_REG(7, 10), X_REG(8, 0), X_REG(9, 0), X_REG(10, 0), X_REG(11, 0),
    X_REG(12, 0), X_REG(13, 0), W_REG(0, 7), W_REG(1, 8), W_REG(2, 0),  W_REG(3, 0),
};
enum { W0 = N_X, N_REGS = G_N_ELEMENTS(regs) };

/* ---- The made-up guest's C functions ---- */

static G_NORETURN void fault(Fake *f)
{
    siglongjmp(f->loop, 1);
}

static bool is_bad(uint64_t va, uint32_t memop)
{
    unsigned n = 1u << (memop & IR_MEM_SIZE);

    return va - MEM_BASE > MEM_SIZE - PAGE / 2 - n || (memop & IR_MEM_ALIGN && va & (n - 1));
}

static void fill(Fake *f, TlbSlot *table, uint64_t va)
{
    uint64_t page = va & ~(uint64_t)(PAGE - 1);

    if (f->fill && va - MEM_BASE < MEM_SIZE - PAGE) {
        table[va >> 12 & (TLB_ENTRIES - 1)] =
            (TlbSlot){ page, (uint64_t)(f->mem + (page - MEM_BASE)) };
    }
}

static uint64_t fake_load(Fake *f, uint64_t va, uint32_t memop)
{
    unsigned n = 1u << (memop & IR_MEM_SIZE);
    uint64_t v = 0;

    f->slow++;
    if (is_bad(va, memop)) {
        fault(f);
    }
    fill(f, f->context.read, va);
    for (unsigned i = 0; i < n; i++) {
        unsigned shift = 8 * (memop & IR_MEM_BE ? n - 1 - i : i);

        v |= (uint64_t)f->mem[va - MEM_BASE + i] << shift;
    }
    if (memop & IR_MEM_SIGN && n < 8) {
        v = (uint64_t)((int64_t)(v << (64 - 8 * n)) >> (64 - 8 * n));
    }
    return v;
}

static void fake_store(Fake *f, uint64_t va, uint64_t value, uint32_t memop)
{
    unsigned n = 1u << (memop & IR_MEM_SIZE);

    f->slow++;
    if (is_bad(va, memop)) {
        fault(f);
    }
    fill(f, f->context.write, va);
    for (unsigned i = 0; i < n; i++) {
        f->mem[va - MEM_BASE + i] = (uint8_t)(value >> 8 * (memop & IR_MEM_BE ? n - 1 - i : i));
    }
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    return (h ^ v) * 0x9e3779b97f4a7c15 + (h >> 29);
}

static void scratch(void)
{
    /* Whatever C may clobber. */
    __asm__ volatile("" ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
    __asm__ volatile("mov $0xdead, %%rax\n mov %%rax, %%rcx\n mov %%rax, %%rdx\n mov %%rax, "
                     "%%rsi\n mov %%rax, %%rdi\n"
                     "mov %%rax, %%r8\n mov %%rax, %%r9\n mov %%rax, %%r10\n mov %%rax, %%r11" ::
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
}

static uint64_t help_pure0(Fake *f, uint32_t k)
{
    scratch();
    return k * 3ull;
}

static uint64_t help_pure3(Fake *f, uint64_t a, uint64_t b, uint64_t c, uint32_t k)
{
    g_assert_cmpuint((uintptr_t)__builtin_frame_address(0) & 15, ==, 0);
    scratch();
    return mix(mix(mix(a, b), c), k);
}

static uint64_t help_pure2w(Fake *f, uint64_t a, uint64_t b, uint32_t k)
{
    g_assert_cmpuint(a >> 32, ==, 0);
    scratch();
    return mix(mix(a, b), k);
}

static uint64_t help_read(Fake *f, uint64_t a, uint32_t k)
{
    uint64_t h = mix(a, k);

    for (unsigned i = 0; i < N_X; i++) {
        h = mix(h, f->x[i]);
    }
    for (unsigned i = 0; i < N_W; i++) {
        h = mix(h, f->w[i]);
    }
    f->log = mix(f->log, h);
    scratch();
    return h;
}

static uint64_t help_write(Fake *f, uint64_t a, uint64_t b, uint32_t k)
{
    f->x[k % N_X] = a;
    f->w[k % N_W] = (uint32_t)b;
    scratch();
    return 0;
}

static uint64_t help_fault(Fake *f, uint64_t a, uint64_t b, uint64_t c, uint32_t k)
{
    g_assert_cmpuint((uintptr_t)__builtin_frame_address(0) & 15, ==, 0);
    if (a % 16 == 3) {
        fault(f);
    }
    scratch();
    return mix(mix(mix(a, b), c), k);
}

static const IrHelper helpers[] = {
    { "pure0", (void (*)(void))help_pure0, IR_I64, 0, { 0 }, IR_HELPER_PURE, 0 },
    { "pure3",
      (void (*)(void))help_pure3,
      IR_I64,
      3,
      { IR_I64, IR_I64, IR_I64 },
      IR_HELPER_PURE,
      0 },
    { "pure2w", (void (*)(void))help_pure2w, IR_I32, 2, { IR_I32, IR_I64 }, 0, 0 },
    { "read", (void (*)(void))help_read, IR_I64, 1, { IR_I64 }, IR_HELPER_READS, 0 },
    { "write", (void (*)(void))help_write, IR_VOID, 2, { IR_I64, IR_I32 }, IR_HELPER_WRITES, 0 },
    { "fault",
      (void (*)(void))help_fault,
      IR_I32,
      3,
      { IR_I64, IR_I32, IR_I64 },
      IR_HELPER_FAULTS,
      0 },
};

static const IrTarget target = {
    .name = "fake",
    .regs = regs,
    .n_regs = N_REGS,
    .helpers = helpers,
    .n_helpers = G_N_ELEMENTS(helpers),
};

static const TcgAbi abi = {
    .target = &target,
    .exit_request = offsetof(Fake, exit_request),
    .pc = offsetof(Fake, pc),
    .pc_page = offsetof(Fake, pc_page),
    .ctx = offsetof(Fake, ctx),
    .host_pc = offsetof(Fake, host_pc),
    .icount_left = offsetof(Fake, icount_left),
    .arg = offsetof(Fake, arg),
    .spill = offsetof(Fake, spill),
    .save = offsetof(Fake, save),
    .fn_table = offsetof(Fake, fn_table),
    .helper_table = offsetof(Fake, helper_table),
    .jc_offset = offsetof(Ctx, jc),
    .jc_mask = (JC_ENTRIES - 1) << 1,
    .tlb_read = offsetof(Ctx, read),
    .tlb_write = offsetof(Ctx, write),
    .tlb_mask = TLB_ENTRIES - 1,
};

/* ---- Running ---- */

static void *helper_table[G_N_ELEMENTS(helpers)];
static uint8_t *exec;
static void *thunks[TCG_N_FNS];
static TcgEnterFn *enter;
static TcgCompiler *compiler;
static IrBlock *ir;

static void fake_init(Fake *f)
{
    memset(f, 0, sizeof(*f));
    f->ctx = &f->context;
    f->context.jc[0].va = 1;
    f->context.read[0].tag = f->context.write[0].tag = 0x1000;
    for (unsigned i = 0; i < 2; i++) {
        unsigned e = (MEM_BASE >> 12) + i;

        f->context.read[e].tag = MEM_BASE + i * PAGE;
        f->context.read[e].addend = (uint64_t)(f->mem + i * PAGE);
        if (i == 0) {
            f->context.write[e].tag = MEM_BASE;
            f->context.write[e].addend = (uint64_t)f->mem;
        }
    }
    memcpy(f->fn_table, thunks, sizeof(thunks));
    f->fn_table[TCG_FN_LOAD] = (void *)fake_load;
    f->fn_table[TCG_FN_STORE] = (void *)fake_store;
    f->helper_table = helper_table;
    f->pc_page = 0x40000000;
    f->icount_left = 1000;
}

static void setup(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(helpers); i++) {
        helper_table[i] = (void *)helpers[i].fn;
    }
    exec = mmap(NULL, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
    g_assert_true(exec != MAP_FAILED);
    tcg_backend_make_thunks(&abi, exec, exec, CODE_AT, thunks, &enter);
    compiler = tcg_compiler_new(&abi);
    ir = ir_block_new(&target);
}

static void print_code(const TcgCode *code)
{
    g_autoptr(GString) s = g_string_new(NULL);

    ir_print(ir, s);
    tcg_backend_disassemble(code->code, code->size, 0, s);
    g_print("%s\n", s->str);
}

/* Compiles ir and puts it at @at from the start of the code area. */
static const uint8_t *compile_at(unsigned at, TcgCode *code)
{
    g_autoptr(GError) error = NULL;
    uint8_t *p = exec + CODE_AT + at;

    if (!ir_verify(ir, &error)) {
        g_error("%s", error->message);
    }
    g_assert_true(tcg_compiler_compile(compiler, ir, code));
    memcpy(p, code->code, code->size);
    return p;
}

static const TcgSite *find_site(const TcgCode *code, const uint8_t *block, uint64_t host_pc)
{
    for (unsigned i = 0; i < code->n_sites; i++) {
        if (i) {
            g_assert_cmpuint(code->sites[i].host_offset, >, code->sites[i - 1].host_offset);
        }
    }
    for (unsigned i = 0; i < code->n_sites; i++) {
        if (code->sites[i].host_offset == host_pc - (uint64_t)block) {
            return &code->sites[i];
        }
    }
    g_assert_not_reached();
}

static void parse(const char *text)
{
    g_autoptr(GError) error = NULL;

    if (!ir_parse(ir, text, &error)) {
        g_error("%s", error->message);
    }
}

/* ---- Every pure operation in every shape ---- */

static const uint64_t edges[] = {
    0,
    1,
    2,
    63,
    0xff,
    0x8000,
    0x80000000,
    0xffffffff,
    0x7fffffffffffffff,
    0x8000000000000000,
    0xffffffffffffffff,
    0xfedcba9876543210,
};
enum { N_EDGES = G_N_ELEMENTS(edges) };

typedef enum Place { PINNED, SLOT, CONSTANT, N_PLACES } Place;

typedef struct Shape {
    IrOp op;
    IrType type, arg_type;
    uint64_t imm;
    Place a, b;
    unsigned dest; /* guest register number among those of the result's type */
    bool same, keep,
        late; /* a == b; operands used afterwards; an operand's register was overwritten before */
} Shape;

static unsigned reg_number(IrType type, unsigned which)
{
    return type == IR_I64 ? which : N_X + which;
}

/* Operand 0 or 1: x0/x1 or w0/w1 pinned, x8/x9 or w2/w3 in slots. */
static unsigned operand_reg(IrType type, Place place, unsigned which)
{
    return reg_number(type, (place == PINNED ? 0 : type == IR_I64 ? 8 : 2) + which);
}

static IrVal operand(const Shape *s, Place place, unsigned which, uint64_t value)
{
    if (place == CONSTANT) {
        return ir_const(ir, s->arg_type, value);
    }
    return ir_getreg(ir, operand_reg(s->arg_type, place, which));
}

static void build_shape(const Shape *s, uint64_t va, uint64_t vb)
{
    IrVal a, b, r;

    ir_block_reset(ir, 0, 0);
    ir_insn(ir, 0, 0);
    a = operand(s, s->a, 0, va);
    b = s->same ? a : operand(s, s->b, 1, vb);
    if (s->late && s->a != CONSTANT) {
        ir_setreg(ir, operand_reg(s->arg_type, s->a, 0), ir_const(ir, s->arg_type, 0x1234));
    }
    if (s->op == IR_SETCC) {
        r = ir_setcc(ir, (IrCond)s->imm, a, b);
    } else if (s->op == IR_SELECT) { /* a < b ? b : a, or a ? b : a */
        r = s->imm ? ir_select(ir, ir_setcc(ir, (IrCond)(s->imm - 1), a, b), b, a)
                   : ir_select(ir, a, b, a);
    } else if (ir_op_info[s->op].n_args == 2) {
        r = ir_binary(ir, s->op, a, b);
    } else {
        r = ir_unary(ir, s->op, a);
    }
    ir_setreg(ir, reg_number(s->type, s->dest), r);
    if (s->keep) {
        ir_setreg(ir, reg_number(s->arg_type, s->arg_type == IR_I64 ? 12 : 3), a);
        ir_setreg(ir, reg_number(s->arg_type, s->arg_type == IR_I64 ? 5 : 1), b);
    }
    ir_exit(ir, 64);
}

static uint64_t get_reg(const Fake *f, unsigned reg)
{
    return reg < N_X ? f->x[reg] : f->w[reg - N_X];
}

static void put_reg(Fake *f, unsigned reg, uint64_t v)
{
    if (reg < N_X) {
        f->x[reg] = v;
    } else {
        f->w[reg - N_X] = (uint32_t)v;
    }
}

static uint64_t expect(const Shape *s, uint64_t a, uint64_t b)
{
    if (s->op == IR_SELECT) {
        bool yes = s->imm ? ir_cond_eval((IrCond)(s->imm - 1), s->arg_type, a, b) : a != 0;

        return yes ? b : a;
    }
    return ir_eval(s->op, s->type, s->arg_type, s->imm, a, b, 0);
}

static void run_shape(Fake *f, const Shape *s, uint64_t va, uint64_t vb, const uint8_t *code,
                      const TcgCode *tc)
{
    uint64_t a = s->arg_type == IR_I32 ? (uint32_t)va : va;
    uint64_t b = s->same ? a : s->arg_type == IR_I32 ? (uint32_t)vb : vb;
    uint64_t want, got;

    for (unsigned i = 0; i < N_REGS; i++) {
        put_reg(f, i, 0x1111111111111111ull * i);
    }
    if (s->a != CONSTANT) {
        put_reg(f, operand_reg(s->arg_type, s->a, 0), a);
    }
    if (s->b != CONSTANT && !s->same) {
        put_reg(f, operand_reg(s->arg_type, s->b, 1), b);
    }
    g_assert_cmpint(enter(f, code), ==, TCG_EXIT_DIRECT);
    want = expect(s, a, b);
    got = get_reg(f, reg_number(s->type, s->dest));
    if (want != got) {
        print_code(tc);
        g_error("%s type %d imm %d a %#lx b %#lx: %#lx, not %#lx", ir_op_info[s->op].text, s->type,
                (int)s->imm, a, b, got, want);
    }
    if (s->keep) {
        g_assert_cmphex(get_reg(f, reg_number(s->arg_type, s->arg_type == IR_I64 ? 12 : 3)), ==, a);
        g_assert_cmphex(get_reg(f, reg_number(s->arg_type, s->arg_type == IR_I64 ? 5 : 1)), ==, b);
    }
}

static void try_shape(const Shape *s)
{
    bool constant = s->a == CONSTANT || (s->b == CONSTANT && !s->same);
    static Fake f;
    const uint8_t *code = NULL;
    TcgCode tc;

    fake_init(&f);
    for (unsigned i = 0; i < N_EDGES; i++) {
        for (unsigned j = 0; j < N_EDGES; j++) {
            if (!code || constant) {
                build_shape(s, edges[i], edges[j]);
                code = compile_at(0, &tc);
            }
            run_shape(&f, s, edges[i], edges[j], code, &tc);
            if (ir_op_info[s->op].n_args == 1 && j > 0) {
                break;
            }
        }
    }
}

static void try_op(IrOp op, IrType type, IrType arg_type, uint64_t imm)
{
    static const unsigned dests64[] = { 0, 1, 2, 8, 9, 10 }, dests32[] = { 0, 1, 2, 3 };
    unsigned n_dests = type == IR_I64 ? G_N_ELEMENTS(dests64) : G_N_ELEMENTS(dests32);
    bool two = ir_op_info[op].n_args > 1;

    for (unsigned k = 0; k < N_PLACES * N_PLACES * n_dests * 8; k++) {
        unsigned rest = k;
        Shape s = { .op = op, .type = type, .arg_type = arg_type, .imm = imm };

        s.keep = rest & 1;
        s.same = rest & 2;
        s.late = rest & 4;
        rest /= 8;
        s.a = (Place)(rest % N_PLACES);
        rest /= N_PLACES;
        s.b = (Place)(rest % N_PLACES);
        rest /= N_PLACES;
        s.dest = type == IR_I64 ? dests64[rest] : dests32[rest];
        if ((s.same && s.b) || (!two && (s.b || !s.same)) ||
            (s.keep && type == IR_I32 && (s.dest == 1 || s.dest == 3))) {
            continue;
        }
        if (s.a == CONSTANT && s.b == CONSTANT && (s.keep || s.late || s.dest > 1)) {
            continue;
        }
        try_shape(&s);
    }
}

static void try_all_ops(uint32_t features)
{
    unsigned mask = ir_opt_mask;

    tcg_backend_set_features(features);
    ir_opt_mask = 0;
    for (unsigned op = IR_ADD; op <= IR_TRUNC; op++) {
        for (IrType type = IR_I32; type <= IR_I64; type++) {
            if ((op == IR_SEXT || op == IR_ZEXT) && type == IR_I64) {
                try_op((IrOp)op, IR_I64, IR_I32, 0);
            } else if (op == IR_TRUNC && type == IR_I32) {
                try_op((IrOp)op, IR_I32, IR_I64, 0);
            } else if (op < IR_SEXT && !((op == IR_CLMUL || op == IR_CLMULH) && type == IR_I32)) {
                try_op((IrOp)op, type, type, 0);
            }
        }
    }
    ir_opt_mask = mask;
    tcg_backend_set_features(~0u);
}

static void test_ops(void)
{
    try_all_ops(~0u);
}

static void test_ops_fallback(void)
{
    try_all_ops(0);
}

static void test_conditions(void)
{
    unsigned mask = ir_opt_mask;

    ir_opt_mask = 0;
    for (IrType type = IR_I32; type <= IR_I64; type++) {
        for (unsigned cond = IR_EQ; cond <= IR_GTU; cond++) {
            try_op(IR_SETCC, type, type, cond);
            try_op(IR_SELECT, type, type, cond + 1);
        }
        try_op(IR_SELECT, type, type, 0);
    }
    ir_opt_mask = mask;
}

/* ---- Memory ---- */

typedef struct Access {
    uint64_t va;
    unsigned slow;
    bool faults;
} Access;

/* Runs the block at @code; true if it faulted. */
static bool run(Fake *f, const uint8_t *code, TcgExit *exit)
{
    if (sigsetjmp(f->loop, 0)) {
        return true;
    }
    *exit = enter(f, code);
    return false;
}

static void fill_memory(Fake *f)
{
    for (unsigned i = 0; i < MEM_SIZE; i++) {
        f->mem[i] = (uint8_t)(i * 37 + 129 + (i >> 8));
    }
}

static void try_load(IrType type, uint32_t memop, unsigned dest, unsigned base, int32_t disp,
                     const Access *access)
{
    static Fake f, g;
    uint64_t want;
    bool faulted;
    const uint8_t *code;
    TcgCode tc;
    TcgExit exit;

    ir_block_reset(ir, 0x20, 0);
    ir_insn(ir, 0x20, 0x11);
    ir_setreg(ir, 1, ir_const(ir, IR_I64, 99));
    ir_insn(ir, 0x24, 0xabcd1234);
    ir_setreg(ir, dest, ir_load(ir, type, ir_getreg(ir, base), disp, memop));
    ir_exit(ir, 0x30);
    code = compile_at(0, &tc);
    fake_init(&f);
    fill_memory(&f);
    put_reg(&f, dest, 0x5555);
    f.x[base] = access->va - (uint64_t)(int64_t)disp;
    faulted = run(&f, code, &exit);
    g_assert_cmpuint(f.slow, ==, access->slow);
    g_assert_cmpint(faulted, ==, access->faults);
    g_assert_cmpuint(f.x[1], ==, 99);
    if (faulted) {
        const TcgSite *site = find_site(&tc, code, f.host_pc);

        g_assert_cmpint(site->page_offset, ==, 0x24);
        g_assert_cmphex(site->word, ==, 0xabcd1234);
        g_assert_cmpint(site->insn, ==, 1);
        g_assert_cmpint(site->kind, ==, TCG_SITE_FAULT);
        g_assert_cmphex(get_reg(&f, dest), ==, dest == base ? f.x[base] : 0x5555);
        return;
    }
    g_assert_cmphex(f.host_pc - (uint64_t)code, ==, tc.sites[tc.n_sites - 1].host_offset);
    memcpy(g.mem, f.mem, MEM_SIZE);
    want = fake_load(&g, access->va, memop);
    g_assert_cmphex(get_reg(&f, dest), ==, type == IR_I32 ? (uint32_t)want : want);
}

static void try_store(IrType type, uint32_t memop, unsigned value, unsigned base, int32_t disp,
                      const Access *access)
{
    static Fake f, g;
    const uint8_t *code;
    uint64_t v = 0x8182838485868788;
    TcgCode tc;
    TcgExit exit;

    ir_block_reset(ir, 0x20, 0);
    ir_insn(ir, 0x24, 0x55);
    ir_store(ir, ir_getreg(ir, base), disp, memop,
             value == N_REGS ? ir_const(ir, type, 0xfedcba98) : ir_getreg(ir, value));
    ir_exit(ir, 0x30);
    code = compile_at(0, &tc);
    fake_init(&f);
    fill_memory(&f);
    memcpy(g.mem, f.mem, MEM_SIZE);
    if (value < N_REGS) {
        put_reg(&f, value, v);
    } else {
        v = 0xfedcba98;
    }
    f.x[base] = access->va - (uint64_t)(int64_t)disp;
    v = value == base ? f.x[base] : v;
    g_assert_cmpint(run(&f, code, &exit), ==, access->faults);
    g_assert_cmpuint(f.slow, ==, access->slow);
    if (!access->faults) {
        fake_store(&g, access->va, v, memop);
        if (value < N_REGS) {
            g_assert_cmphex(get_reg(&f, value), ==, value >= N_X ? (uint32_t)v : v);
        }
    }
    g_assert_cmpmem(f.mem, MEM_SIZE, g.mem, MEM_SIZE);
}

static void try_accesses(IrType type, uint32_t memop)
{
    unsigned n = 1u << (memop & IR_MEM_SIZE);
    bool align = memop & IR_MEM_ALIGN && n > 1;
    const Access loads[] = {
        { MEM_BASE, 0, false },
        { MEM_BASE + 8, 0, false },
        { MEM_BASE + PAGE - n, 0, false },
        { MEM_BASE + PAGE - n + (n > 1), n > 1, align },
        { MEM_BASE + PAGE + 16, 0, false },
        { MEM_BASE + PAGE + 0x101, align, align },
        { MEM_BASE + 2 * PAGE, 1, false },
        { MEM_BASE + 3 * PAGE + PAGE / 2, 1, true },
        { MEM_BASE + 0x1000000, 1, true },
        { 0, 1, true },
        { 0xfffffffffffffff8, 1, true },
        { MEM_BASE | 1ull << 40, 1, true },
        { MEM_BASE | 1ull << 63, 1, true },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(loads); i++) {
        Access store = loads[i];
        unsigned first = reg_number(type, 0), slot = reg_number(type, type == IR_I64 ? 9 : 2);

        store.slow = loads[i].va >> 12 == (MEM_BASE >> 12) + 1 ? 1 : loads[i].slow;
        try_load(type, memop, first, 0, 0, &loads[i]);
        try_load(type, memop, slot, 0, 40, &loads[i]);
        try_load(type, memop, first, 9, -40, &loads[i]);
        try_load(type, memop, slot, 9, 0, &loads[i]);
        try_store(type, memop, first, 2, 0, &store);
        try_store(type, memop, slot, 2, 0x7ffff, &store);
        try_store(type, memop, first, 10, 0, &store);
        try_store(type, memop, N_REGS, 3, 4, &store);
        if (type == IR_I64) {
            try_store(type, memop, 3, 3, 0, &store);
            try_store(type, memop, 11, 11, 0, &store);
        }
    }
}

static void test_memory(void)
{
    static const uint32_t features[] = { ~0u, 0 };

    for (unsigned k = 0; k < 2; k++) {
        tcg_backend_set_features(features[k]);
        for (IrType type = IR_I32; type <= IR_I64; type++) {
            for (uint32_t memop = 0; memop < 32; memop++) {
                if (type == IR_I64 || (memop & IR_MEM_SIZE) != IR_MEM_64) {
                    try_accesses(type, memop);
                }
            }
        }
    }
    tcg_backend_set_features(~0u);
}

/* Addresses with an index and a scale, all operands alive and not. */
static void test_addresses(void)
{
    static Fake f;
    const uint8_t *code;
    TcgCode tc;

    for (unsigned base = 2; base < 12; base += 7) {
        for (unsigned index = 3; index < 12; index += 7) {
            for (unsigned shift = 0; shift < 4; shift++) {
                IrVal i, sum;

                ir_block_reset(ir, 0, 0);
                ir_insn(ir, 0, 0);
                i = ir_shl(ir, ir_getreg(ir, index), ir_const(ir, IR_I64, shift));
                sum = shift & 1 ? ir_add(ir, ir_getreg(ir, base), i)
                                : ir_add(ir, i, ir_getreg(ir, base));
                ir_setreg(ir, 0, ir_load(ir, IR_I64, sum, 8, IR_MEM_64));
                ir_store(ir, ir_add(ir, ir_getreg(ir, base), ir_getreg(ir, index)), 0, IR_MEM_8,
                         ir_getreg(ir, 0));
                ir_exit(ir, 8);
                ir_optimise(ir);
                code = compile_at(0, &tc);
                fake_init(&f);
                fill_memory(&f);
                f.x[base] = MEM_BASE;
                f.x[index] = 48;
                g_assert_cmpint(enter(&f, code), ==, TCG_EXIT_DIRECT);
                g_assert_cmpmem(&f.x[0], 8, f.mem + (48u << shift) + 8, 8);
                g_assert_cmphex(f.mem[48], ==, f.x[0] & 0xff);
                g_assert_cmpuint(f.slow, ==, 0);
            }
        }
    }
}

/* ---- Exits ---- */

static void run_to(Fake *f, const uint8_t *code, TcgExit exit)
{
    g_assert_cmpint(enter(f, code), ==, exit);
}

static void test_exits(void)
{
    static Fake f;
    TcgCode tc;
    const uint8_t *from, *to;
    const TcgSite *site;
    TcgSite first;

    fake_init(&f);
    parse("insn 0x10 0\n %1 = getreg.i64 x0\n %2 = const.i64 7\n exitcc.i64.eq %1 %2 0x40\n insn "
          "0x14 0\n exit 0x80\n");
    from = compile_at(0, &tc);
    f.x[0] = 7;
    run_to(&f, from, TCG_EXIT_DIRECT);
    site = find_site(&tc, from, f.host_pc);
    g_assert_cmpint(site->page_offset, ==, 0x40);
    g_assert_cmpint(site->insn, ==, 1);
    g_assert_cmpint(site->kind, ==, TCG_SITE_EXIT);
    g_assert_cmpuint(site->word % 4, ==, 0);
    first = *site;
    f.x[0] = 8;
    run_to(&f, from, TCG_EXIT_DIRECT);
    site = find_site(&tc, from, f.host_pc);
    g_assert_cmpint(site->page_offset, ==, 0x80);
    g_assert_cmpint(site->insn, ==, 2);
    g_assert_cmpuint(site->word % 4, ==, 0);

    parse("insn 0x40 0\n %1 = getreg.i64 x0\n %2 = const.i64 100\n %3 = add.i64 %1 %2\n setreg x0 "
          "%3\n exit 0x44\n");
    to = compile_at(4096, &tc);
    tcg_backend_link_exit(exec + CODE_AT, from, &first, to + tc.entry_link);
    f.x[0] = 7;
    run_to(&f, from, TCG_EXIT_DIRECT);
    g_assert_cmpint(find_site(&tc, to, f.host_pc)->page_offset, ==, 0x44);
    g_assert_cmpuint(f.x[0], ==, 107);
    tcg_backend_kill_entry(&abi, exec + CODE_AT + 4096);
    run_to(&f, to, TCG_EXIT_DEAD);
    g_assert_cmpuint(f.host_pc - (uint64_t)to, <=, 8);
    g_assert_cmpuint(f.x[0], ==, 107);
    tcg_backend_unlink_exit(exec + CODE_AT, from, &first);
    f.x[0] = 7;
    run_to(&f, from, TCG_EXIT_DIRECT);
    g_assert_cmphex(f.host_pc - (uint64_t)from, ==, first.host_offset);
    g_assert_cmpuint(f.x[0], ==, 7);
}

/* Backward exits leave at once if asked to, and only if they are taken. */
static void test_poll(void)
{
    static Fake f;
    TcgCode tc;
    const uint8_t *code;
    const TcgSite *site;

    fake_init(&f);
    parse("insn 0x40 0\n %1 = getreg.i64 x0\n %2 = const.i64 -1\n %3 = add.i64 %1 %2\n setreg x0 "
          "%3\n %5 = const.i64 0\n"
          "exitcc.i64.ne %3 %5 0x40\n insn 0x44 0\n exit 0x40\n");
    code = compile_at(0, &tc);
    f.x[0] = 5;
    run_to(&f, code, TCG_EXIT_DIRECT);
    site = find_site(&tc, code, f.host_pc);
    g_assert_cmpint(site->insn, ==, 1);
    g_assert_cmpuint(f.x[0], ==, 4);
    tcg_backend_link_exit(exec + CODE_AT, code, site, code + tc.entry_link); /* a loop now */
    run_to(&f, code, TCG_EXIT_DIRECT);
    g_assert_cmpuint(f.x[0], ==, 0);
    g_assert_cmpint(find_site(&tc, code, f.host_pc)->insn, ==, 2);
    f.exit_request = 1;
    f.x[0] = 5;
    run_to(&f, code, TCG_EXIT_DIRECT);
    g_assert_cmpuint(f.x[0], ==, 4);
    g_assert_true(find_site(&tc, code, f.host_pc) == site);
    f.x[0] = 1;
    run_to(&f, code, TCG_EXIT_DIRECT);
    g_assert_cmpuint(f.x[0], ==, 0);
    g_assert_cmpint(find_site(&tc, code, f.host_pc)->insn, ==, 2);
}

static void put_jump(Fake *f, uint64_t va, const void *code)
{
    f->context.jc[va >> 1 & (JC_ENTRIES - 1)].va = va;
    f->context.jc[va >> 1 & (JC_ENTRIES - 1)].code = code;
}

static void test_lookup(void)
{
    static const char *const texts[] = {
        "insn 0xff0 0\n exit 0x1234\n",
        "insn 0xff0 0\n %1 = getreg.i64 x0\n exitcc.i64.eq %1 %1 0x1234\n insn 0xff4 0\n exit 0\n",
        "insn 0xff0 0\n %1 = pcrel.i64 0x1234\n exitind %1\n",
        "insn 0xff0 0\n %1 = getreg.i64 x1\n exitind %1\n",
        "insn 0xff0 0\n %1 = getreg.i64 x9\n exitind %1\n",
        "insn 0xff0 0\n leave 0\n",
    };
    const uint64_t va = 0x40001234;
    static Fake f;
    TcgCode tc;
    const uint8_t *code, *to;

    parse("insn 0x234 0\n %1 = pcrel.i64 0\n setreg x2 %1\n exit 0x238\n");
    to = compile_at(4096, &tc);
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        parse(texts[i]);
        code = compile_at(0, &tc);
        fake_init(&f);
        f.x[1] = f.x[9] = f.pc = va;
        run_to(&f, code, TCG_EXIT_INDIRECT);
        g_assert_cmphex(f.pc, ==, va);
        g_assert_cmphex(f.pc_page, ==, 0x40000000);
        put_jump(&f, va, to);
        run_to(&f, code, TCG_EXIT_DIRECT);
        g_assert_cmphex(f.pc_page, ==, 0x40001000);
        g_assert_cmphex(f.x[2], ==, 0x40001000);
        f.pc_page = 0x40000000;
        f.pc = va;
        f.exit_request = 1;
        f.x[2] = 0;
        run_to(&f, code, TCG_EXIT_INDIRECT);
        g_assert_cmphex(f.pc, ==, va);
        g_assert_cmphex(f.x[2], ==, 0);
    }
}

/* An insn at 0xffe may cross: never linked. IR_CF_NO_LINK: always back to the loop. */
static void test_no_link(void)
{
    static Fake f;
    TcgCode tc;
    const uint8_t *code;

    fake_init(&f);
    parse("insn 0x10 0\n exit 0xffe\n");
    code = compile_at(0, &tc);
    run_to(&f, code, TCG_EXIT_INDIRECT);
    g_assert_cmphex(f.pc, ==, 0x40000ffe);
    for (unsigned i = 0; i < 4; i++) {
        ir_block_reset(ir, 0, IR_CF_NO_LINK);
        ir_insn(ir, 0, 0);
        if (i == 1) {
            ir_exitcc(ir, IR_EQ, ir_getreg(ir, 0), ir_getreg(ir, 1), 0x2000);
        }
        if (i == 2) {
            ir_exitind(ir, ir_getreg(ir, 8));
        } else if (i == 3) {
            ir_leave(ir, false);
        } else {
            ir_exit(ir, 0x20);
        }
        code = compile_at(0, &tc);
        f.x[8] = 0x1230;
        put_jump(&f, 0x1230, exec);
        run_to(&f, code, i == 2 ? TCG_EXIT_INDIRECT : i == 3 ? TCG_EXIT_LEAVE : TCG_EXIT_DIRECT);
        if (i < 2) {
            const TcgSite *site = find_site(&tc, code, f.host_pc);

            g_assert_cmpuint(site->word, ==, 0);
            g_assert_cmpint(site->page_offset, ==, i ? 0x2000 : 0x20);
        } else if (i == 2) {
            g_assert_cmphex(f.pc, ==, 0x1230);
        }
    }
}

static void test_icount(void)
{
    static const int32_t targets[] = { 0x40, 0, 0x2000 };
    static Fake f;
    TcgCode tc;
    const uint8_t *code;

    fake_init(&f);
    for (unsigned i = 0; i < G_N_ELEMENTS(targets); i++) {
        ir_block_reset(ir, 0, IR_CF_ICOUNT);
        for (int k = 0; k < 5; k++) {
            ir_insn(ir, 4 * k, 0);
            ir_exitcc(ir, IR_EQ, ir_getreg(ir, 0), ir_const(ir, IR_I64, (uint64_t)k), targets[i]);
        }
        ir_exit(ir, 20);
        code = compile_at(0, &tc);
        for (unsigned k = 0; k < 6; k++) {
            f.x[0] = k;
            f.icount_left = 5;
            f.exit_request = k & 1;
            run_to(&f, code, targets[i] < 4096 || k == 5 ? TCG_EXIT_DIRECT : TCG_EXIT_INDIRECT);
            g_assert_cmpint(f.icount_left, ==, 5 - (int)MIN(k + 1, 5));
            f.icount_left = 4;
            run_to(&f, code, TCG_EXIT_ICOUNT);
            g_assert_cmpint(f.icount_left, ==, 4);
            g_assert_cmphex(f.host_pc - (uint64_t)code, <, tc.size);
        }
    }
}

/* ---- Random blocks against the interpreter ---- */

static uint64_t seed;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1d;
}

static unsigned below(unsigned n)
{
    return (unsigned)(rnd() >> 32) % n;
}

enum { MAX_POOL = 600 };
static IrVal pool[2][MAX_POOL]; /* values by type: i32, i64 */
static unsigned n_pool[2];

static void give(IrVal v)
{
    unsigned t = ir_type(ir, v) == IR_I64;

    if (n_pool[t] < MAX_POOL) {
        pool[t][n_pool[t]++] = v;
    }
}

static IrVal take(IrType type)
{
    unsigned t = type == IR_I64, n = n_pool[t], recent = below(4) ? MIN(n, 6) : n;
    IrVal v;

    if (n && below(8)) {
        return pool[t][n - 1 - below(recent)];
    }
    v = below(3) ? ir_getreg(ir, type == IR_I64 ? below(N_X) : N_X + below(N_W))
                 : ir_const(ir, type, below(3) ? edges[below(N_EDGES)] : rnd() >> below(64));
    give(v);
    return v;
}

static IrType any_type(void)
{
    return below(3) ? IR_I64 : IR_I32;
}

static uint32_t random_memop(IrType type)
{
    uint32_t memop = below(type == IR_I64 ? 4 : 3) | (below(2) ? IR_MEM_SIGN : 0);

    return memop | (below(5) ? 0 : IR_MEM_BE) | (below(6) ? 0 : IR_MEM_ALIGN);
}

static IrVal random_address(void)
{
    IrVal v = ir_and(ir, take(IR_I64),
                     ir_const(ir, IR_I64,
                              below(8)   ? 0x1ff8
                              : below(2) ? 0x1fff
                                         : 0x3fff));

    if (below(3)) {
        return ir_add(ir, v, ir_const(ir, IR_I64, MEM_BASE + (below(8) ? 0 : below(0x4000))));
    }
    v = ir_shl(ir, ir_and(ir, v, ir_const(ir, IR_I64, 0x1f8)), ir_const(ir, IR_I64, below(4)));
    return ir_add(ir, ir_const(ir, IR_I64, MEM_BASE), v);
}

static void random_access(IrVal address, int32_t disp)
{
    IrType type = any_type();
    uint32_t memop = random_memop(type);

    if (below(2)) {
        IrVal v = ir_load(ir, type, address, disp, memop);

        give(v);
        if (below(2)) {
            ir_setreg(ir, type == IR_I64 ? below(N_X) : N_X + below(N_W), v);
        }
    } else {
        ir_store(ir, address, disp, memop & ~(uint32_t)IR_MEM_SIGN, take(type));
    }
}

/* One access or several through one base, now and then with constants added to it in between. */
static void random_memory(void)
{
    unsigned n = below(3) ? 1 : 2 + below(5), range = below(3) ? 64 : below(2) ? 1024 : 10000;
    IrVal address = random_address();

    if (below(4) == 0) {
        give(address);
    }
    for (unsigned i = 0; i < n; i++) {
        int32_t disp =
            below(3) ? (int32_t)below(range) & ~7 : (int32_t)below(2 * range) - (int32_t)range;

        if (below(8) == 0) {
            address = ir_addi(ir, address, (int32_t)below(64) - 32);
        }
        random_access(address, disp);
    }
}

static void random_call(void)
{
    unsigned h = below(G_N_ELEMENTS(helpers));
    IrVal a[3] = { IR_NONE, IR_NONE, IR_NONE }, v;

    for (unsigned i = 0; i < helpers[h].n_args; i++) {
        a[i] = take((IrType)helpers[h].args[i]);
    }
    v = ir_call(ir, h, a[0], a[1], a[2], (uint32_t)rnd());
    if (v != IR_NONE) {
        give(v);
    }
}

static void random_pure(void)
{
    IrOp op = (IrOp)(IR_ADD + below(IR_TRUNC - IR_ADD + 1));
    IrType type = op == IR_CLMUL || op == IR_CLMULH || op == IR_TRUNC ? IR_I64
                  : op == IR_SEXT || op == IR_ZEXT                    ? IR_I32
                                                                      : any_type();

    if (ir_op_info[op].n_args == 2) {
        IrVal a = take(type),
              b = below(4) ? take(type)
                           : ir_const(ir, type, below(2) ? below(5) : rnd() >> below(64));

        give(ir_binary(ir, op, a, b));
    } else {
        give(ir_unary(ir, op, take(type)));
    }
}

static void random_operation(int32_t offset)
{
    IrType type = any_type();
    unsigned kind = below(32);

    if (kind < 12) {
        random_pure();
    } else if (kind < 14) {
        give(ir_setcc(ir, (IrCond)below(10), take(type), take(type)));
    } else if (kind < 16) {
        IrType by = any_type();
        IrVal cond = below(2) ? take(by) : ir_setcc(ir, (IrCond)below(10), take(by), take(by));

        give(ir_select(ir, cond, take(type), take(type)));
    } else if (kind < 23) {
        unsigned reg = type == IR_I64 ? below(N_X) : N_X + below(N_W);

        ir_setreg(ir, reg, take(type));
    } else if (kind < 27) {
        random_memory();
    } else if (kind < 28) {
        random_call();
    } else if (kind < 29) {
        give(ir_pcrel(ir, (int64_t)below(8192) - 4096));
    } else if (kind < 30 && below(3) == 0) {
        int32_t to = below(3) ? (int32_t)below(4096) & ~1 : (int32_t)below(3 * 4096) - 4096;

        if (below(2)) {
            ir_exitcc(ir, (IrCond)below(10), take(type), take(type), below(2) ? to : offset);
        } else {
            ir_exitcc(ir, (IrCond)below(2), ir_setcc(ir, (IrCond)below(10), take(type), take(type)),
                      ir_const(ir, type, 0), to);
        }
    } else if (kind < 31 && below(4) == 0) {
        ir_fence(ir, below(2));
    } else {
        give(ir_add(ir, take(type), take(type)));
    }
}

static void random_block(uint32_t cflags)
{
    unsigned n = 1 + below(below(4) ? 12 : 40);
    int32_t offset = (int32_t)below(1024) * 2;

    n_pool[0] = n_pool[1] = 0;
    ir_block_reset(ir, (uint32_t)offset, cflags);
    for (unsigned i = 0; i < n && ir_block_has_room(ir); i++) {
        unsigned ops = 1 + below(below(5) ? 5 : 20);

        ir_insn(ir, offset, (uint32_t)rnd());
        for (unsigned k = 0; k < ops && ir_block_has_room(ir); k++) {
            random_operation(offset);
        }
        offset += 4;
    }
    if (below(3) == 0) {
        ir_exitind(ir, ir_and(ir, take(IR_I64), ir_const(ir, IR_I64, ~1ull)));
    } else if (below(8) == 0) {
        ir_leave(ir, below(2));
    } else {
        ir_exit(ir, below(3) ? offset : (int32_t)below(8192) - 2048);
    }
    ir_optimise(ir);
}

static Fake jit, interp;

static void random_state(void)
{
    fake_init(&jit);
    fill_memory(&jit);
    for (unsigned i = 0; i < N_REGS; i++) {
        put_reg(&jit, i, below(2) ? edges[below(N_EDGES)] : rnd() >> below(64));
    }
    jit.pc = rnd() & ~1ull;
    jit.exit_request = below(4) == 0;
    jit.fill = below(2);
    if (below(8) == 0) {
        jit.icount_left = below(30);
    }
    interp = jit;
    interp.ctx = &interp.context;
    for (unsigned i = 0; i < 2; i++) {
        interp.context.read[(MEM_BASE >> 12) + i].addend += (uint64_t)&interp - (uint64_t)&jit;
    }
}

/* Where the guest goes on, and credit at a fault: what the run loop does (tcg/abi.h). */
static void settle_jit(const TcgCode *tc, const uint8_t *code, bool faulted, TcgExit exit)
{
    if (faulted) {
        const TcgSite *site = find_site(tc, code, jit.host_pc);

        g_assert_cmpint(site->kind, ==, TCG_SITE_FAULT);
        jit.pc = jit.pc_page + (uint64_t)(int64_t)site->page_offset;
        jit.log = mix(jit.log, site->word);
        if (ir->cflags & IR_CF_ICOUNT) {
            jit.icount_left += ir->n_guest_insns - site->insn;
        }
    } else if (exit == TCG_EXIT_DIRECT) {
        const TcgSite *site = find_site(tc, code, jit.host_pc);

        g_assert_cmpint(site->kind, ==, TCG_SITE_EXIT);
        jit.pc = jit.pc_page + (uint64_t)(int64_t)site->page_offset;
    } else {
        g_assert_cmphex(jit.host_pc && exit != TCG_EXIT_ICOUNT, ==, 0);
    }
}

static void settle_interp(bool faulted, TcgExit exit)
{
    if (faulted) {
        interp.pc = interp.pc_page + interp.at->imm;
        interp.log = mix(interp.log, (uint32_t)interp.at->a | (uint32_t)interp.at->b << 16);
        interp.icount_left += ir->cflags & IR_CF_ICOUNT ? 1 : 0;
    } else if (exit == TCG_EXIT_DIRECT) {
        interp.pc = interp.pc_page + interp.arg[0];
    }
}

static bool run_interp(TcgExit *exit)
{
    if (sigsetjmp(interp.loop, 0)) {
        return true;
    }
    *exit = tcg_interp_run(&abi, ir, &interp, &interp.at);
    return false;
}

static bool compare(void)
{
    return !memcmp(jit.x, interp.x, sizeof(jit.x)) && !memcmp(jit.w, interp.w, sizeof(jit.w)) &&
           jit.pc == interp.pc && jit.icount_left == interp.icount_left && jit.log == interp.log &&
           !memcmp(jit.mem, interp.mem, MEM_SIZE);
}

static void try_random(unsigned n, uint32_t features)
{
    unsigned faults = 0, compiled = 0;

    tcg_backend_set_features(features);
    seed = 0x1234567 + features;
    for (unsigned i = 0; i < n; i++) {
        uint64_t at_start = seed;
        const uint8_t *code;
        bool jf, nf;
        TcgExit je = TCG_EXIT_LEAVE, ie = TCG_EXIT_LEAVE;
        TcgCode tc;

        ir_opt_mask = below(4) ? IR_OPT_ALL : below(8);
        random_block(below(4) ? 0 : IR_CF_ICOUNT);
        if (!tcg_compiler_compile(compiler, ir, &tc)) {
            continue; /* too many values alive */
        }
        compiled++;
        code = compile_at(0, &tc);
        for (unsigned k = 0; k < 4; k++) {
            random_state();
            jf = run(&jit, code, &je);
            settle_jit(&tc, code, jf, je);
            nf = run_interp(&ie);
            settle_interp(nf, ie);
            faults += jf;
            if (jf != nf || !compare()) {
                print_code(&tc);
                for (unsigned r = 0; r < N_REGS; r++) {
                    if (get_reg(&jit, r) != get_reg(&interp, r)) {
                        g_print("%s: %#lx, not %#lx\n", regs[r].name, get_reg(&jit, r),
                                get_reg(&interp, r));
                    }
                }
                g_error("block %u seed %#lx: faulted %d/%d exit %d/%d pc %#lx/%#lx icount %ld/%ld "
                        "log %#lx/%#lx",
                        i, at_start, jf, nf, je, ie, jit.pc, interp.pc, jit.icount_left,
                        interp.icount_left, jit.log, interp.log);
            }
        }
    }
    ir_opt_mask = IR_OPT_ALL;
    tcg_backend_set_features(~0u);
    g_assert_cmpuint(compiled, >, n * 9 / 10);
    g_test_message("%u blocks, %u of %u runs faulted", compiled, faults, 4 * n);
}

static void test_random(void)
{
    try_random(g_test_slow() ? 2000000 : 20000, ~0u);
}

static void test_random_fallback(void)
{
    try_random(g_test_slow() ? 500000 : 10000, 0);
}

/* Blocks that do not fit are refused: too many values alive, too many sites, too many bytes. */
static void test_limits(void)
{
    static IrVal v[512];
    TcgCode tc;

    for (unsigned n = 8; n <= 512; n *= 2) {
        ir_block_reset(ir, 0, 0);
        ir_insn(ir, 0, 0);
        for (unsigned i = 0; i < n; i++) {
            v[i] = ir_load(ir, IR_I64, ir_getreg(ir, 0), (int32_t)(8 * i), IR_MEM_64);
        }
        for (unsigned i = 0; i < n; i++) {
            ir_store(ir, ir_getreg(ir, 0), (int32_t)(8 * i), IR_MEM_64, v[i]);
        }
        ir_exit(ir, 8);
        g_assert_cmpint(tcg_compiler_compile(compiler, ir, &tc), ==, n <= TCG_N_SPILLS);
    }
    for (unsigned n = 500; n <= 2000; n += 500) {
        ir_block_reset(ir, 0, 0);
        ir_insn(ir, 0, 0);
        v[0] = ir_getreg(ir, 0);
        for (unsigned i = 0; i < n; i++) {
            ir_store(ir, v[0], (int32_t)(16384 * i), IR_MEM_64, v[0]);
        }
        ir_exit(ir, 8);
        g_assert_cmpint(tcg_compiler_compile(compiler, ir, &tc), ==, n == 500);
    }
}

static double cpu_time_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void test_speed(void)
{
    unsigned rounds = g_test_perf() ? 20000 : 500, n = 0;
    double start, ns;
    TcgCode tc;

    seed = 99;
    random_block(0);
    do {
        random_block(0);
    } while (ir->n < 150 || ir->n > 250);
    start = cpu_time_ns();
    for (unsigned i = 0; i < rounds; i++) {
        g_assert_true(tcg_compiler_compile(compiler, ir, &tc));
        n += ir->n;
    }
    ns = (cpu_time_ns() - start) / n;
    g_test_minimized_result(ns, "%.1f ns an IR operation, %u operations, %u bytes", ns, ir->n,
                            tc.size);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    setup();
    g_test_add_func("/x86/ops", test_ops);
    g_test_add_func("/x86/ops-fallback", test_ops_fallback);
    g_test_add_func("/x86/conditions", test_conditions);
    g_test_add_func("/x86/memory", test_memory);
    g_test_add_func("/x86/addresses", test_addresses);
    g_test_add_func("/x86/exits", test_exits);
    g_test_add_func("/x86/poll", test_poll);
    g_test_add_func("/x86/lookup", test_lookup);
    g_test_add_func("/x86/no-link", test_no_link);
    g_test_add_func("/x86/icount", test_icount);
    g_test_add_func("/x86/limits", test_limits);
    g_test_add_func("/x86/random", test_random);
    g_test_add_func("/x86/random-fallback", test_random_fallback);
    g_test_add_func("/x86/speed", test_speed);
    return g_test_run();
}
