/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Floating point inline: calls of helpers that are one operation (IrHelper.inlined) become SSE2 or AVX instructions. MXCSR has
 * the guest's rounding mode and collects its exceptions (fpenv.c).
 *
 * What the host does differently is done behind the block: a NaN result is replaced by the canonical one; anything else rare (a single
 * that is not boxed, a conversion out of range, a NaN as an operand of min) calls the helper itself, which gets the operands as they were.
 * Accrued exceptions only ever grow, so it does no harm that the host has noted some of them already: an operation is left to the helper
 * before it notes one too many.
 *
 * Single-precision values carry their box through scalar instructions, which leave the destination's (AVX: the first operand's) upper
 * half alone. All registers are allocated before the first jump out of line, which skips what follows it.
 */
#include "tcg/x86_64/fp-priv.h"
#include "tcg/x86_64/x86-priv.h"

enum { MAX_CALLS = 4, NAN_D_HIGH = 0x7ff80000, ALL_FLAGS = 31 };

/* One operation being emitted. */
typedef struct Fp {
    TcgCompiler *c;
    const IrInsn *in;
    const IrHelper *helper;
    IrFp op;
    bool single;
    IrVal args[3];
    int r[3];                  /* the arguments' registers */
    int t;                     /* a general register for checks, or X86_NO_REG */
    X86Cold *calls[MAX_CALLS]; /* jumps to the helper */
    unsigned n_calls;
} Fp;

/* ---- Which ---- */

static const IrHelper *helper_of(const TcgCompiler *c, const IrInsn *in)
{
    return &c->abi->target->helpers[(uint32_t)in->imm];
}

static IrFp op_of(const IrHelper *helper)
{
    return (IrFp)(helper->inlined & ~IR_FP_SINGLE);
}

bool x86_fp_is_inline(const TcgCompiler *c, const IrInsn *in)
{
    const IrHelper *helper = helper_of(c, in);
    uint32_t round = (uint32_t)(in->imm >> 32);
    bool current = round == IR_ROUND_CURRENT;

    if (!(ir_opt_mask & IR_OPT_FP)) {
        return false;
    }
    switch (op_of(helper)) {
    case IR_FP_NONE:
        return false;
    case IR_FP_ADD:
    case IR_FP_SUB:
    case IR_FP_MUL:
    case IR_FP_DIV:
    case IR_FP_SQRT:
    case IR_FP_NARROW:
    case IR_FP_FROM_L:
    case IR_FP_FROM_LU:
        return current;
    case IR_FP_MADD:
    case IR_FP_MSUB:
    case IR_FP_NMSUB:
    case IR_FP_NMADD:
        return current && c->features & X86_FEAT_FMA;
    case IR_FP_TO_W:
    case IR_FP_TO_L:
        return current || round == IR_ROUND_ZERO ||
               (round <= IR_ROUND_UP && c->features & X86_FEAT_SSE41);
    case IR_FP_TO_WU:
    case IR_FP_TO_LU:
        return round == IR_ROUND_ZERO;
    case IR_FP_FROM_W:
    case IR_FP_FROM_WU:
        return current || !(helper->inlined & IR_FP_SINGLE);
    default:
        return true;
    }
}

unsigned x86_fp_args(const IrHelper *helper)
{
    IrFp op = op_of(helper);

    bool integer = (op >= IR_FP_FROM_W && op <= IR_FP_FROM_LU) || op == IR_FP_SET_FLAGS;

    return integer ? 0 : (1u << helper->n_args) - 1;
}

bool x86_is_box(const TcgCompiler *c, const IrInsn *in)
{
    const IrInsn *b = &c->insns[in->b];

    return in->type == IR_I64 && b->op == IR_CONST && b->imm == X86_BOX &&
           c->insns[in->a].op != IR_CONST;
}

/* ---- Instructions, with VEX prefixes if the host has AVX ---- */

static bool has_avx(const TcgCompiler *c)
{
    return c->features & X86_FEAT_AVX;
}

static X86Rm constant(const TcgCompiler *c, unsigned k)
{
    return (X86Rm){ X86_NO_REG, (int32_t)(c->abi->fp + offsetof(TcgFp, consts) + 16 * k) };
}

/* @reg, @v: encoder's numbers; @rm: vector register or memory. */
static void emit_rm(TcgCompiler *c, uint32_t op, int reg, int v, X86Rm rm)
{
    if (x86_is_xmm(rm.reg)) {
        rm.reg = x86_xmm(rm.reg);
    }
    if (has_avx(c)) {
        x86_vex_rmx(c, op, reg, v, rm);
    } else {
        x86_op_rm(c, op, reg, rm);
    }
}

/* Instructions with one source. */
static void emit2(TcgCompiler *c, uint32_t op, int d, X86Rm rm)
{
    emit_rm(c, op, x86_xmm(d), 0, rm);
}

/* @d = @a op @rm. Without AVX @rm must not be @d unless @a is. */
static void emit3(TcgCompiler *c, uint32_t op, int d, int a, X86Rm rm)
{
    if (has_avx(c)) {
        emit_rm(c, op, x86_xmm(d), x86_xmm(a), rm);
        return;
    }
    x86_xmm_move(c, d, a);
    emit_rm(c, op, x86_xmm(d), 0, rm);
}

static uint32_t mask_of(int reg)
{
    return reg >= 0 ? 1u << reg : 0;
}

static X86Rm in_reg(int reg)
{
    return (X86Rm){ reg, 0 };
}

void x86_xmm_move(TcgCompiler *c, int to, int from)
{
    if (to != from) {
        emit2(c, X86_MOVAPS, to, in_reg(from));
    }
}

void x86_xmm_load(TcgCompiler *c, int x, X86Mem m, bool single)
{
    uint32_t op = single ? X86_MOVSS : X86_MOVSD;

    if (has_avx(c)) {
        x86_vex_rm(&c->as, op, x86_xmm(x), 0, m);
    } else {
        x86_rm(&c->as, op, x86_xmm(x), m);
    }
}

void x86_xmm_store(TcgCompiler *c, int x, X86Mem m, bool single)
{
    uint32_t op = single ? X86_MOVSS_MR : X86_MOVSD_MR;

    if (has_avx(c)) {
        x86_vex_rm(&c->as, op, x86_xmm(x), 0, m);
    } else {
        x86_rm(&c->as, op, x86_xmm(x), m);
    }
}

void x86_xmm_to_reg(TcgCompiler *c, int reg, int x)
{
    emit_rm(c, X86_MOVQ_R, x86_xmm(x), 0, in_reg(reg));
}

void x86_reg_to_xmm(TcgCompiler *c, int x, int reg)
{
    emit_rm(c, X86_MOVQ_X, x86_xmm(x), 0, in_reg(reg));
}

static void zero(TcgCompiler *c, int x)
{
    emit_rm(c, X86_XORPS, x86_xmm(x), x86_xmm(x), in_reg(x));
}

/* The scalar form of a packed opcode. */
static uint32_t scalar(const Fp *f, uint32_t op)
{
    return op | (f->single ? X86_PF3 : X86_PF2);
}

/* ---- Out of line ---- */

void x86_fp_host(X86Asm *as, const TcgAbi *abi)
{
    x86_rm(as, X86_G15, X86_G15_STMXCSR, x86_cpu(abi->fp + offsetof(TcgFp, saved)));
    x86_rm(as, X86_G15, X86_G15_LDMXCSR, x86_cpu(abi->fp + offsetof(TcgFp, host)));
}

void x86_fp_guest(X86Asm *as, const TcgAbi *abi)
{
    x86_rm(as, X86_G15, X86_G15_LDMXCSR, x86_cpu(abi->fp + offsetof(TcgFp, saved)));
}

/* r1: the result's register. */
void x86_cold_nan(TcgCompiler *c, const X86Cold *cold)
{
    x86_xmm_load(c, cold->r1, x86_cpu((uint32_t)constant(c, X86_K_NAN + cold->cc).disp), false);
    x86_bind_to(x86_jmp(&c->as), cold->back);
}

/* r1-r3: the arguments' registers, X86_NO_REG: the canonical NaN; .result; .word: helper, .memop: its constant. */
void x86_cold_fp(TcgCompiler *c, const X86Cold *cold)
{
    const int8_t args[] = { cold->r1, cold->r2, cold->r3 };
    unsigned n = c->abi->target->helpers[cold->word].n_args;

    for (unsigned i = 0; i < n; i++) {
        if (args[i] == X86_NO_REG) {
            x86_store_imm32(c, x86_arg(c, i), 0);
            x86_store_imm32(c, x86_arg(c, i) + 4, NAN_D_HIGH);
        } else if (x86_is_xmm(args[i])) {
            x86_xmm_store(c, args[i], x86_cpu(x86_arg(c, i)), false);
        } else {
            x86_rm(&c->as, X86_MOV_MR | X86_W, args[i], x86_cpu(x86_arg(c, i)));
        }
    }
    x86_store_imm32(c, x86_arg(c, n), cold->memop);
    x86_store_imm32(c, x86_arg(c, 3) + 4, cold->word);
    x86_call_fn(&c->as, c->abi, TCG_THUNK_CALL_FP);
    if (x86_is_xmm(cold->result)) {
        x86_xmm_load(c, cold->result, x86_cpu(x86_arg(c, 0)), false);
    } else if (cold->result >= 0) {
        x86_rm(&c->as, X86_MOV | X86_W, cold->result, x86_cpu(x86_arg(c, 0)));
    }
    x86_bind_to(x86_jmp(&c->as), cold->back);
}

/* The helper does the operation if @jump is taken. */
static void call_if(Fp *f, uint8_t *jump)
{
    X86Cold *last = f->n_calls ? f->calls[f->n_calls - 1] : NULL;

    if (last && !last->from2 && last->r3 == f->r[2]) {
        last->from2 = jump;
        return;
    }
    g_assert(f->n_calls < MAX_CALLS);
    last = x86_cold(f->c, X86_COLD_FP, jump);
    last->r1 = (int8_t)f->r[0];
    last->r2 = (int8_t)f->r[1];
    last->r3 = (int8_t)f->r[2];
    last->word = (uint32_t)f->in->imm;
    last->memop = (uint32_t)(f->in->imm >> 32);
    f->calls[f->n_calls++] = last;
}

/* The operation ends here, with its result in @result. */
static int end(Fp *f, int result)
{
    for (unsigned i = 0; i < f->n_calls; i++) {
        f->calls[i]->result = (int8_t)result;
        f->calls[i]->back = f->c->as.p;
    }
    return result;
}

/* ---- Operands and results ---- */

static void use_args(Fp *f)
{
    bool check = false;

    for (unsigned i = 0; i < f->helper->n_args; i++) {
        f->r[i] = x86_use_x(f->c, f->args[i]);
        check |= f->single && !(f->c->vals[f->args[i]].flags & X86_VAL_BOXED);
    }
    f->t = check ? x86_temp(f->c) : X86_NO_REG;
}

/* Singles that are not boxed are the helper's. */
static void check_boxes(Fp *f)
{
    TcgCompiler *c = f->c;

    for (unsigned i = 0; f->single && i < f->helper->n_args; i++) {
        const X86Val *v = &c->vals[f->args[i]];

        if (v->flags & X86_VAL_BOXED || (i && f->args[i] == f->args[i - 1])) {
            continue;
        }
        if (v->home) {
            x86_alu_mi(&c->as, 0, X86_G1_CMP, x86_cpu((uint32_t)v->home + 4), -1);
        } else {
            x86_xmm_to_reg(c, f->t, f->r[i]);
            x86_shift_ri(&c->as, X86_W, X86_G2_SHR, f->t, 32);
            x86_alu_ri(&c->as, 0, X86_G1_CMP, f->t, -1);
        }
        call_if(f, x86_jcc(&c->as, X86_CC_NE));
    }
}

static void compare(Fp *f, uint32_t op, int a, X86Rm b)
{
    emit2(f->c, op | (f->single ? 0 : X86_P66), a, b);
}

/* A NaN in @d, the result of arithmetic, becomes the canonical one. Ends the operation. */
static int end_arithmetic(Fp *f, int d)
{
    X86Cold *cold;

    compare(f, X86_UCOMISS, d, in_reg(d));
    cold = x86_cold(f->c, X86_COLD_NAN, x86_jcc(&f->c->as, X86_CC_P));
    cold->r1 = (int8_t)d;
    cold->cc = f->single;
    cold->back = f->c->as.p;
    return end(f, d);
}

/* ---- Operations ---- */

static int emit_arithmetic(Fp *f, uint32_t op)
{
    X86Rm b;
    int d;

    if (f->single) {
        use_args(f);
        b = in_reg(f->r[1]);
    } else {
        f->r[0] = x86_use_x(f->c, f->args[0]);
        b = x86_use_x_rm(f->c, f->args[1]);
    }
    d = x86_dest_x(f->c, f->r[0], has_avx(f->c) || b.reg == f->r[0] ? 0 : mask_of(b.reg));
    check_boxes(f);
    emit3(f->c, scalar(f, op), d, f->r[0], b);
    return end_arithmetic(f, d);
}

static int emit_sqrt(Fp *f)
{
    int d;

    use_args(f);
    d = x86_dest_x(f->c, f->r[0], 0);
    check_boxes(f);
    if (!has_avx(f->c)) { /* the box is in the destination */
        x86_xmm_move(f->c, d, f->r[0]);
    }
    emit_rm(f->c, scalar(f, X86_SQRTPS), x86_xmm(d), x86_xmm(f->r[0]), in_reg(f->r[0]));
    return end_arithmetic(f, d);
}

/* The result replaces the addend. inf * 0 + NaN is invalid here, not on the host: every NaN result is the helper's, which gets a
 * quiet NaN for the addend that is gone: exceptions that come from that one the host has noted. */
static int emit_fused(Fp *f)
{
    static const uint32_t ops[] = { X86_FMADD231, X86_FMSUB231, X86_FNMADD231, X86_FNMSUB231 };
    TcgCompiler *c = f->c;
    int d;

    use_args(f);
    d = x86_dest_x(c, f->r[2], mask_of(f->r[0]) | mask_of(f->r[1]));
    check_boxes(f);
    x86_xmm_move(c, d, f->r[2]);
    emit_rm(c, ops[f->op - IR_FP_MADD] | (f->single ? 0 : X86_W), x86_xmm(d), x86_xmm(f->r[0]),
            in_reg(f->r[1]));
    compare(f, X86_UCOMISS, d, in_reg(d));
    f->r[2] = X86_NO_REG;
    call_if(f, x86_jcc(&c->as, X86_CC_P));
    return end(f, d);
}

static int emit_narrow(Fp *f)
{
    int d;

    f->r[0] = x86_use_x(f->c, f->args[0]);
    d = x86_dest_x(f->c, X86_NO_REG, mask_of(f->r[0]));
    x86_xmm_load(f->c, d, x86_cpu((uint32_t)constant(f->c, X86_K_BOX).disp), false);
    emit_rm(f->c, X86_CVTSD2SS, x86_xmm(d), x86_xmm(d), in_reg(f->r[0]));
    f->single = true;
    return end_arithmetic(f, d);
}

static int emit_widen(Fp *f)
{
    int d;

    f->single = true;
    use_args(f);
    d = x86_dest_x(f->c, X86_NO_REG, mask_of(f->r[0]));
    check_boxes(f);
    zero(f->c, d);
    emit_rm(f->c, X86_CVTSS2SD, x86_xmm(d), x86_xmm(d), in_reg(f->r[0]));
    f->single = false;
    return end_arithmetic(f, d);
}

/* Equal operands are the same number or zeros of either sign. */
static int emit_min_max(Fp *f, uint32_t op, uint32_t merge)
{
    TcgCompiler *c = f->c;
    uint8_t *differ;
    int d;

    use_args(f);
    d = x86_dest_x(c, X86_NO_REG, mask_of(f->r[0]) | mask_of(f->r[1]));
    check_boxes(f);
    compare(f, X86_UCOMISS, f->r[0], in_reg(f->r[1]));
    call_if(f, x86_jcc(&c->as, X86_CC_P));
    emit3(c, scalar(f, op), d, f->r[0], in_reg(f->r[1]));
    differ = x86_jcc8(&c->as, X86_CC_NE);
    emit3(c, merge, d, f->r[0], in_reg(f->r[1]));
    x86_bind8(&c->as, differ);
    return end(f, d);
}

/* fmv, fneg, fabs: both operands are one. */
static int emit_sign_same(Fp *f)
{
    TcgCompiler *c = f->c;
    int d = x86_dest_x(c, f->r[0], 0);

    check_boxes(f);
    if (f->op == IR_FP_SGNJ) {
        x86_xmm_move(c, d, f->r[0]);
    } else if (f->op == IR_FP_SGNJN) {
        emit3(c, X86_XORPS, d, f->r[0], constant(c, X86_K_SIGN + f->single));
    } else {
        emit3(c, X86_ANDPS, d, f->r[0], constant(c, X86_K_ABS + f->single));
    }
    return end(f, d);
}

static int emit_sign(Fp *f)
{
    TcgCompiler *c = f->c;
    int d, sign;

    use_args(f);
    if (f->args[0] == f->args[1]) {
        return emit_sign_same(f);
    }
    sign = x86_temp_x(c);
    d = x86_dest_x(c, f->r[0], 0);
    check_boxes(f);
    emit3(c, f->op == IR_FP_SGNJN ? X86_ANDNPS : X86_ANDPS, sign, f->r[1],
          constant(c, X86_K_SIGN + f->single));
    if (f->op == IR_FP_SGNJX) {
        emit3(c, X86_XORPS, d, f->r[0], in_reg(sign));
    } else {
        emit3(c, X86_ANDPS, d, f->r[0], constant(c, X86_K_ABS + f->single));
        emit3(c, X86_ORPS, d, d, in_reg(sign));
    }
    return end(f, d);
}

static int emit_equal(Fp *f)
{
    TcgCompiler *c = f->c;
    int d, t;

    use_args(f);
    t = x86_temp(c);
    d = x86_dest(c, X86_NO_REG);
    x86_zero(c, t);
    x86_zero(c, d);
    check_boxes(f);
    compare(f, X86_UCOMISS, f->r[0], in_reg(f->r[1]));
    x86_rr(&c->as, X86_SETCC | X86_CC_NP, 0, d);
    x86_rr(&c->as, X86_CMOV | X86_CC_NE, d, t);
    return end(f, d);
}

/* a < b as b > a: "above" and "above or equal" are false for NaNs. */
static int emit_less(Fp *f, uint32_t op, unsigned cc)
{
    TcgCompiler *c = f->c;
    int d;

    use_args(f);
    d = x86_dest(c, X86_NO_REG);
    x86_zero(c, d);
    check_boxes(f);
    compare(f, op, f->r[1], in_reg(f->r[0]));
    x86_rr(&c->as, X86_SETCC | cc, 0, d);
    return end(f, d);
}

/* Converts to a signed integer of the type that @w says; only this value minus 1 overflows if it does not fit. */
static void emit_convert(Fp *f, int d, uint32_t w)
{
    bool truncate = f->in->imm >> 32 != IR_ROUND_CURRENT;

    emit_rm(f->c, scalar(f, truncate ? X86_CVTT2SI : X86_CVT2SI) | w, d, 0, in_reg(f->r[0]));
}

/* Rounds the argument to an integer by a mode of its own, for which the conversion then truncates. What does not fit 31 bits afterwards must
 * not be noted as inexact; all that does not fit 63 is an integer already. */
static void emit_round(Fp *f, int to)
{
    static const uint8_t rc[] = { [IR_ROUND_NEAREST] = 0, [IR_ROUND_DOWN] = 1, [IR_ROUND_UP] = 2 };
    TcgCompiler *c = f->c;

    if (f->op == IR_FP_TO_W) {
        emit3(c, X86_ANDPS, to, f->r[0], constant(c, X86_K_ABS + f->single));
        compare(f, X86_UCOMISS, to, constant(c, X86_K_ROUNDS_TO_W + f->single));
        call_if(f, x86_jcc(&c->as, X86_CC_AE));
    }
    emit_rm(c, f->single ? X86_ROUNDSS : X86_ROUNDSD, x86_xmm(to), x86_xmm(to), in_reg(f->r[0]));
    x86_put8(&c->as, rc[f->in->imm >> 32]);
    f->r[0] = to;
}

static int emit_to_signed(Fp *f)
{
    TcgCompiler *c = f->c;
    uint32_t w = f->op == IR_FP_TO_L ? X86_W : 0;
    uint32_t round = (uint32_t)(f->in->imm >> 32);
    int d, t = X86_NO_REG;

    use_args(f);
    d = x86_dest(c, X86_NO_REG);
    if (round != IR_ROUND_CURRENT && round != IR_ROUND_ZERO) {
        t = x86_temp_x(c);
    }
    check_boxes(f);
    if (t >= 0) {
        emit_round(f, t);
    }
    emit_convert(f, d, w);
    x86_alu_ri(&c->as, w, X86_G1_CMP, d, 1);
    call_if(f, x86_jcc(&c->as, X86_CC_O));
    if (!w) {
        x86_rr(&c->as, X86_MOVSXD, d, d);
    }
    return end(f, d);
}

/* What the signed conversion of 64 bits does too; its range is checked before, lest it notes that others are inexact. */
static int emit_to_unsigned(Fp *f)
{
    TcgCompiler *c = f->c;
    bool word = f->op == IR_FP_TO_WU;
    int d;

    use_args(f);
    d = x86_dest(c, X86_NO_REG);
    check_boxes(f);
    compare(f, X86_UCOMISS, f->r[0], constant(c, (word ? X86_K_TWO_32 : X86_K_TWO_63) + f->single));
    call_if(f, x86_jcc(&c->as, X86_CC_AE));
    compare(f, X86_UCOMISS, f->r[0], constant(c, X86_K_MINUS_1 + f->single));
    call_if(f, x86_jcc(&c->as, X86_CC_BE));
    emit_convert(f, d, X86_W);
    if (word) {
        x86_rr(&c->as, X86_MOVSXD, d, d);
    }
    return end(f, d);
}

static int emit_from(Fp *f)
{
    TcgCompiler *c = f->c;
    bool is_word = f->op == IR_FP_FROM_W || f->op == IR_FP_FROM_WU;
    int r = x86_use(c, f->args[0]);
    int d = x86_dest_x(c, X86_NO_REG, 0);

    f->r[0] = r;
    if (f->op == IR_FP_FROM_WU) {
        r = x86_temp(c);
        x86_rr(&c->as, X86_MOV, r, f->r[0]);
    } else if (f->op == IR_FP_FROM_LU) {
        x86_rr(&c->as, X86_TEST | X86_W, r, r);
        call_if(f, x86_jcc(&c->as, X86_CC_S));
    }
    if (f->single) {
        x86_xmm_load(c, d, x86_cpu((uint32_t)constant(c, X86_K_BOX).disp), false);
    } else {
        zero(c, d);
    }
    emit_rm(c, scalar(f, X86_CVTSI2) | (is_word && f->op == IR_FP_FROM_W ? 0 : X86_W), x86_xmm(d),
            x86_xmm(d), in_reg(r));
    return end(f, d);
}

static int emit_get_flags(Fp *f)
{
    TcgCompiler *c = f->c;
    uint32_t fp = c->abi->fp;
    int d = x86_dest(c, X86_NO_REG);

    x86_rm(&c->as, X86_G15, X86_G15_STMXCSR, x86_cpu(fp + offsetof(TcgFp, saved)));
    x86_rm(&c->as, X86_MOV, d, x86_cpu(fp + offsetof(TcgFp, saved)));
    x86_alu_ri(&c->as, 0, X86_G1_AND, d, sizeof(((TcgFp *)NULL)->flag_map) - 1);
    x86_rm(&c->as, X86_MOVZX8, d,
           x86_mem_index(X86_CPU, d, 0, (int32_t)(fp + offsetof(TcgFp, flag_map))));
    x86_rm(&c->as, X86_OR, d, x86_cpu(fp + offsetof(TcgFp, flags)));
    return d;
}

/* The guest's control word has no exceptions. */
static int emit_set_flags(Fp *f)
{
    TcgCompiler *c = f->c;
    uint32_t fp = c->abi->fp;
    int t = x86_temp(c);

    x86_load_to(c, t, f->args[0]);
    x86_alu_ri(&c->as, 0, X86_G1_AND, t, ALL_FLAGS);
    x86_rm(&c->as, X86_MOV_MR, t, x86_cpu(fp + offsetof(TcgFp, flags)));
    x86_rm(&c->as, X86_G15, X86_G15_LDMXCSR, x86_cpu(fp + offsetof(TcgFp, guest)));
    return X86_NO_REG;
}

static int emit_op(Fp *f)
{
    switch (f->op) {
    case IR_FP_ADD:
        return emit_arithmetic(f, X86_ADDPS);
    case IR_FP_SUB:
        return emit_arithmetic(f, X86_SUBPS);
    case IR_FP_MUL:
        return emit_arithmetic(f, X86_MULPS);
    case IR_FP_DIV:
        return emit_arithmetic(f, X86_DIVPS);
    case IR_FP_SQRT:
        return emit_sqrt(f);
    case IR_FP_MADD:
    case IR_FP_MSUB:
    case IR_FP_NMSUB:
    case IR_FP_NMADD:
        return emit_fused(f);
    case IR_FP_NARROW:
        return emit_narrow(f);
    case IR_FP_WIDEN:
        return emit_widen(f);
    case IR_FP_TO_W:
    case IR_FP_TO_L:
        return emit_to_signed(f);
    case IR_FP_TO_WU:
    case IR_FP_TO_LU:
        return emit_to_unsigned(f);
    case IR_FP_FROM_W:
    case IR_FP_FROM_WU:
    case IR_FP_FROM_L:
    case IR_FP_FROM_LU:
        return emit_from(f);
    case IR_FP_MIN:
        return emit_min_max(f, X86_MINPS, X86_ORPS);
    case IR_FP_MAX:
        return emit_min_max(f, X86_MAXPS, X86_ANDPS);
    case IR_FP_SGNJ:
    case IR_FP_SGNJN:
    case IR_FP_SGNJX:
        return emit_sign(f);
    case IR_FP_EQ:
        return emit_equal(f);
    case IR_FP_LT:
        return emit_less(f, X86_COMISS, X86_CC_A);
    case IR_FP_LE:
        return emit_less(f, X86_COMISS, X86_CC_AE);
    case IR_FP_LTQ:
        return emit_less(f, X86_UCOMISS, X86_CC_A);
    case IR_FP_LEQ:
        return emit_less(f, X86_UCOMISS, X86_CC_AE);
    case IR_FP_GET_FLAGS:
        return emit_get_flags(f);
    case IR_FP_SET_FLAGS:
        return emit_set_flags(f);
    case IR_FP_NONE:
    case IR_FP_SINGLE:
        break;
    }
    g_assert_not_reached();
}

int x86_emit_fp(TcgCompiler *c, const IrInsn *in)
{
    const IrHelper *helper = helper_of(c, in);
    Fp f = {
        .c = c,
        .in = in,
        .helper = helper,
        .op = op_of(helper),
        .single = helper->inlined & IR_FP_SINGLE,
        .args = { in->a, in->b, in->c },
        .r = { X86_NO_REG, X86_NO_REG, X86_NO_REG },
        .t = X86_NO_REG,
    };
    int d = emit_op(&f);

    if (x86_is_xmm(d) && (f.single)) {
        c->vals[c->at].flags |= X86_VAL_BOXED;
    }
    return d;
}

int x86_emit_box(TcgCompiler *c, const IrInsn *in)
{
    int a = x86_use_x(c, in->a);
    int d = x86_dest_x(c, a, 0);

    emit3(c, X86_ORPS, d, a, constant(c, X86_K_BOX));
    c->vals[c->at].flags |= X86_VAL_BOXED;
    return d;
}
