/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TargetOps.translate for RISC-V: the loop over a block's instructions, access to registers and
 * memory, and the ways out.
 *
 * A block follows fall-through past conditional branches and direct jumps ahead within the page;
 * a jump back ends it, so that every loop contains an exit that polls. It ends before an insn
 * that does not lie wholly in the page, unless that is its first.
 *
 * Constants and page-relative addresses in registers are followed within the block (lui, auipc,
 * addi, jal), so that an auipc-jalr pair becomes a direct exit.
 */
#include "target/riscv/translate-priv.h"
#include "target/riscv/cpu.h"

/* ---- Register table ---- */

#define X_REG(n, name, pin)                             \
    {                                                   \
        name, offsetof(RvCpu, x) + 8 * (n), IR_I64, pin \
    }
#define F_REG(n, name, pin)                                                           \
    {                                                                                 \
        name, offsetof(RvCpu, f) + 8 * (n), IR_I64, (pin) ? IR_PIN_VECTOR + (pin) : 0 \
    }

/* Pinned first are the registers that compiled code names most (counted in C libraries; inner
 * loops of leaf functions live in a0-a5). */
const IrReg rv_ir_regs[RV_N_REGS] = {
    X_REG(0, "zero", 0),
    X_REG(1, "ra", 11),
    X_REG(2, "sp", 5),
    X_REG(3, "gp", 0),
    X_REG(4, "tp", 0),
    X_REG(5, "t0", 0),
    X_REG(6, "t1", 16),
    X_REG(7, "t2", 0),
    X_REG(8, "s0", 8),
    X_REG(9, "s1", 9),
    X_REG(10, "a0", 3),
    X_REG(11, "a1", 6),
    X_REG(12, "a2", 7),
    X_REG(13, "a3", 4),
    X_REG(14, "a4", 2),
    X_REG(15, "a5", 1),
    X_REG(16, "a6", 12),
    X_REG(17, "a7", 14),
    X_REG(18, "s2", 10),
    X_REG(19, "s3", 13),
    X_REG(20, "s4", 15),
    X_REG(21, "s5", 0),
    X_REG(22, "s6", 0),
    X_REG(23, "s7", 0),
    X_REG(24, "s8", 0),
    X_REG(25, "s9", 0),
    X_REG(26, "s10", 0),
    X_REG(27, "s11", 0),
    X_REG(28, "t3", 0),
    X_REG(29, "t4", 0),
    X_REG(30, "t5", 0),
    X_REG(31, "t6", 0),
    F_REG(0, "ft0", 9),
    F_REG(1, "ft1", 10),
    F_REG(2, "ft2", 0),
    F_REG(3, "ft3", 0),
    F_REG(4, "ft4", 0),
    F_REG(5, "ft5", 0),
    F_REG(6, "ft6", 0),
    F_REG(7, "ft7", 0),
    F_REG(8, "fs0", 7),
    F_REG(9, "fs1", 8),
    F_REG(10, "fa0", 5),
    F_REG(11, "fa1", 6),
    F_REG(12, "fa2", 4),
    F_REG(13, "fa3", 3),
    F_REG(14, "fa4", 2),
    F_REG(15, "fa5", 1),
    F_REG(16, "fa6", 0),
    F_REG(17, "fa7", 0),
    F_REG(18, "fs2", 0),
    F_REG(19, "fs3", 0),
    F_REG(20, "fs4", 0),
    F_REG(21, "fs5", 0),
    F_REG(22, "fs6", 0),
    F_REG(23, "fs7", 0),
    F_REG(24, "fs8", 0),
    F_REG(25, "fs9", 0),
    F_REG(26, "fs10", 0),
    F_REG(27, "fs11", 0),
    F_REG(28, "ft8", 0),
    F_REG(29, "ft9", 0),
    F_REG(30, "ft10", 0),
    F_REG(31, "ft11", 0),
    { "pc", offsetof(RvCpu, parent.pc), IR_I64, 0 },
    { "fp_ready", offsetof(RvCpu, fp_ready), IR_I32, 0 },
};

/* ---- Extension sets ---- */

static uint64_t ext_sets[RV_MAX_EXT_SETS];
static unsigned n_ext_sets;
static GMutex ext_lock;

unsigned rv_ext_set_register(uint64_t exts)
{
    unsigned n;

    g_mutex_lock(&ext_lock);
    for (n = 0; n < n_ext_sets && ext_sets[n] != exts; n++) {}
    g_assert(n < RV_MAX_EXT_SETS);
    ext_sets[n] = exts;
    n_ext_sets = MAX(n_ext_sets, n + 1);
    g_mutex_unlock(&ext_lock);
    return n;
}

uint64_t rv_ext_set_get(unsigned index)
{
    return ext_sets[index];
}

/* ---- Registers ---- */

IrVal rv_const(RvTrans *t, int64_t value)
{
    return ir_const(t->ir, t->xl, rv_is_64(t) ? (uint64_t)value : (uint32_t)value);
}

IrVal rv_address(RvTrans *t, int64_t offset)
{
    IrVal v = ir_pcrel(t->ir, offset);

    return rv_is_64(t) ? v : ir_zext(t->ir, ir_trunc(t->ir, v));
}

IrVal rv_get(RvTrans *t, unsigned n)
{
    IrVal v;

    if (!n || t->constant >> n & 1) {
        return rv_const(t, n ? t->known[n] : 0);
    }
    v = ir_getreg(t->ir, RV_REG_X0 + n);
    return rv_is_64(t) ? v : ir_trunc(t->ir, v);
}

IrVal rv_get32(RvTrans *t, unsigned n)
{
    IrVal v = rv_get(t, n);

    return rv_is_64(t) ? ir_trunc(t->ir, v) : v;
}

IrVal rv_get_arg(RvTrans *t, unsigned n)
{
    IrVal v = rv_get(t, n);

    return rv_is_64(t) ? v : ir_zext(t->ir, v);
}

/* Notes that x@n is written with @v. */
static void learn(RvTrans *t, unsigned n, IrVal v)
{
    uint64_t value;

    t->constant &= ~(1u << n);
    t->pcrel &= ~(1u << n);
    if (ir_is_const(t->ir, v, &value)) {
        t->constant |= 1u << n;
        t->known[n] = (int64_t)value;
    }
}

static void set64(RvTrans *t, unsigned n, IrVal v)
{
    if (n) {
        ir_setreg(t->ir, RV_REG_X0 + n, v);
        learn(t, n, v);
    }
}

void rv_set(RvTrans *t, unsigned n, IrVal v)
{
    if (n) {
        set64(t, n, rv_is_64(t) ? v : ir_sext(t->ir, v));
    }
}

void rv_set32(RvTrans *t, unsigned n, IrVal v)
{
    if (n) {
        set64(t, n, ir_sext(t->ir, v));
    }
}

void rv_set_result(RvTrans *t, unsigned n, IrVal v)
{
    if (n) {
        set64(t, n, rv_is_64(t) ? v : ir_sext(t->ir, ir_trunc(t->ir, v)));
    }
}

void rv_set_pcrel(RvTrans *t, unsigned n, int64_t offset)
{
    if (n) {
        rv_set_result(t, n, ir_pcrel(t->ir, offset));
        t->pcrel |= 1u << n;
        t->known[n] = offset;
    }
}

/* ---- Memory ---- */

/* x@base + *@disp as an address; what remains to be added is left in *@disp. RV32 addresses wrap
 * at 32 bits. */
static IrVal address(RvTrans *t, unsigned base, int32_t *disp)
{
    IrVal v = rv_get(t, base);

    if (rv_is_64(t)) {
        return v;
    }
    v = ir_zext(t->ir, ir_addi(t->ir, v, *disp));
    *disp = 0;
    return v;
}

IrVal rv_load(RvTrans *t, IrType type, unsigned base, int32_t disp, uint32_t memop)
{
    IrVal addr = address(t, base, &disp);

    return ir_load(t->ir, type, addr, disp, memop);
}

void rv_store(RvTrans *t, unsigned base, int32_t disp, uint32_t memop, IrVal v)
{
    IrVal addr = address(t, base, &disp);

    ir_store(t->ir, addr, disp, memop, v);
}

/* ---- Ends ---- */

void rv_jump(RvTrans *t, int64_t target)
{
    if (target > t->pc && target < 4096) {
        t->next = (int32_t)target;
        return;
    }
    if (target == (int32_t)target) {
        ir_exit(t->ir, (int32_t)target);
    } else {
        ir_exitind(t->ir, rv_address(t, target));
    }
    t->ended = true;
}

void rv_end_indirect(RvTrans *t, IrVal target)
{
    ir_exitind(t->ir, target);
    t->ended = true;
}

void rv_end_pc_set(RvTrans *t)
{
    ir_leave(t->ir, false);
    t->ended = true;
}

void rv_end_system(RvTrans *t, int32_t target)
{
    ir_setreg(t->ir, RV_REG_PC, rv_address(t, target));
    rv_end_pc_set(t);
}

void rv_end_raise(RvTrans *t, unsigned cause, IrVal tval)
{
    ir_call(t->ir, RV_HELPER_RAISE, tval, IR_NONE, IR_NONE, cause);
    rv_end_pc_set(t);
}

/* ---- The loop ---- */

/* Reads the insn at t->pc into *@word and sets t->next. False: it does not lie in the page, or
 * cannot be read. */
static bool fetch(RvTrans *t, CodeReader *reader, uint32_t *word)
{
    bool first = !t->ir->n_guest_insns;
    uint16_t low, high;

    if (!code_reader_u16(reader, (uint32_t)t->pc, &low)) {
        return false;
    }
    *word = low;
    t->next = t->pc + 2;
    if ((low & 3) == 3) {
        if ((t->next > 4094 && !first) || !code_reader_u16(reader, (uint32_t)t->next, &high)) {
            return false;
        }
        *word |= (uint32_t)high << 16;
        t->next += 2;
    }
    return true;
}

static void translate_insn(RvTrans *t, uint32_t word)
{
    bool legal;

    ir_insn(t->ir, t->pc, word);
    if ((word & 3) == 3) {
        legal = rv_decode32(t, t->exts, word);
    } else {
        legal = rv_decode16(t, t->exts, word);
    }
    if (!legal) {
        rv_end_raise(t, RV_EXC_ILLEGAL, ir_const(t->ir, IR_I64, word));
    }
}

static void init(RvTrans *t, IrBlock *ir, const BlockKey *key)
{
    bool is_32 = key->mode & RV_MODE_XLEN32;
    uint64_t base = RV_EXT_BIT(RV_EXT_RV32) | RV_EXT_BIT(RV_EXT_RV64);

    t->ir = ir;
    t->mode = key->mode;
    t->xl = is_32 ? IR_I32 : IR_I64;
    t->exts = rv_ext_set_get((key->mode & RV_MODE_EXT_MASK) >> RV_MODE_EXT_SHIFT) & ~base;
    t->exts |= RV_EXT_BIT(is_32 ? RV_EXT_RV32 : RV_EXT_RV64);
    t->next = (int32_t)(key->phys & 4095);
    t->ended = false;
    t->constant = t->pcrel = 0;
    t->has_fp = false;
}

void rv_translate(IrBlock *ir, const BlockKey *key, CodeReader *reader, unsigned max_insns)
{
    RvTrans t;

    init(&t, ir, key);
    while (!t.ended) {
        uint32_t word;

        t.pc = t.next;
        if (t.pc >= 4096 || ir->n_guest_insns >= max_insns || !ir_block_has_room(ir) ||
            !fetch(&t, reader, &word)) {
            /* Without a readable first insn the block stays empty: the caller faults. */
            if (ir->n_guest_insns) {
                ir_exit(ir, t.pc);
            }
            return;
        }
        translate_insn(&t, word);
    }
}
