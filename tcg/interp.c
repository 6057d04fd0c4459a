/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The IR interpreter: the oracle of the JIT and the portable back end (-accel interp). It keeps i32
 * values zero-extended in an array by value number, does the commonest operations in place and the
 * others by ir_eval().
 *
 * Guest registers stay in the Cpu all the time, so the guest state is exact wherever something may
 * leave by longjmp: a load, a store, a helper. Nothing needs cleaning up then.
 */
#include "tcg/abi.h"
#include "tcg/ir-priv.h"

typedef uint64_t LoadFn(void *cpu, uint64_t va, uint32_t memop);
typedef void StoreFn(void *cpu, uint64_t va, uint64_t value, uint32_t memop);
typedef uint64_t Helper0(void *cpu, uint32_t constant);
typedef uint64_t Helper1(void *cpu, uint64_t a, uint32_t constant);
typedef uint64_t Helper2(void *cpu, uint64_t a, uint64_t b, uint32_t constant);
typedef uint64_t Helper3(void *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t constant);

static uint64_t *field64(void *cpu, uint32_t offset)
{
    return (uint64_t *)((uint8_t *)cpu + offset);
}

static void *function(const TcgAbi *abi, void *cpu, TcgFn fn)
{
    return ((void **)((uint8_t *)cpu + abi->fn_table))[fn];
}

static uint64_t reg_read(const IrReg *reg, void *cpu)
{
    const void *slot = (uint8_t *)cpu + reg->offset;

    return reg->type == IR_I32 ? *(const uint32_t *)slot : *(const uint64_t *)slot;
}

static void reg_write(const IrReg *reg, void *cpu, uint64_t value)
{
    void *slot = (uint8_t *)cpu + reg->offset;

    if (reg->type == IR_I32) {
        *(uint32_t *)slot = (uint32_t)value;
    } else {
        *(uint64_t *)slot = value;
    }
}

static uint64_t call_helper(const TcgAbi *abi, const IrInsn *insn, void *cpu, const uint64_t *v)
{
    uint32_t number = (uint32_t)insn->imm, constant = (uint32_t)(insn->imm >> 32);
    void **table = *(void ***)((uint8_t *)cpu + abi->helper_table);
    void *fn = table[number];

    switch (abi->target->helpers[number].n_args) {
    case 0:
        return ((Helper0 *)fn)(cpu, constant);
    case 1:
        return ((Helper1 *)fn)(cpu, v[insn->a], constant);
    case 2:
        return ((Helper2 *)fn)(cpu, v[insn->a], v[insn->b], constant);
    default:
        return ((Helper3 *)fn)(cpu, v[insn->a], v[insn->b], v[insn->c], constant);
    }
}

/* A result as it is kept. */
static uint64_t narrow(const IrInsn *insn, uint64_t v)
{
    return insn->type == IR_I32 ? (uint32_t)v : v;
}

static uint64_t pure(const IrBlock *ir, const IrInsn *insn, const uint64_t *v)
{
    unsigned n = ir_op_info[insn->op].n_args;
    IrType arg_type = n ? ir_type(ir, insn->a) : IR_VOID;

    return ir_eval((IrOp)insn->op, (IrType)insn->type, arg_type, insn->imm, n > 0 ? v[insn->a] : 0,
                   n > 1 ? v[insn->b] : 0, n > 2 ? v[insn->c] : 0);
}

TcgExit tcg_interp_run(const TcgAbi *abi, const IrBlock *ir, void *cpu, const IrInsn *volatile *at)
{
    int64_t *icount_left = (int64_t *)field64(cpu, abi->icount_left);
    LoadFn *load = (LoadFn *)function(abi, cpu, TCG_FN_LOAD);
    StoreFn *store = (StoreFn *)function(abi, cpu, TCG_FN_STORE);
    bool icount = ir->cflags & IR_CF_ICOUNT;
    uint64_t v[IR_MAX_INSNS];

    if (icount && *icount_left < ir->n_guest_insns) {
        return TCG_EXIT_ICOUNT;
    }
    for (unsigned i = 0;; i++) {
        const IrInsn *insn = &ir->insns[i];
        uint32_t high = (uint32_t)(insn->imm >> 32);

        switch (insn->op) {
        case IR_INSN:
            *at = insn;
            *icount_left -= icount;
            break;
        case IR_GETREG:
            v[i] = reg_read(&ir->target->regs[insn->imm], cpu);
            break;
        case IR_SETREG:
            reg_write(&ir->target->regs[insn->imm], cpu, v[insn->a]);
            break;
        case IR_CONST:
            v[i] = insn->imm;
            break;
        case IR_PCREL:
            v[i] = *field64(cpu, abi->pc_page) + insn->imm;
            break;
        case IR_ADD:
            v[i] = narrow(insn, v[insn->a] + v[insn->b]);
            break;
        case IR_SUB:
            v[i] = narrow(insn, v[insn->a] - v[insn->b]);
            break;
        case IR_AND:
            v[i] = v[insn->a] & v[insn->b];
            break;
        case IR_OR:
            v[i] = v[insn->a] | v[insn->b];
            break;
        case IR_XOR:
            v[i] = v[insn->a] ^ v[insn->b];
            break;
        case IR_SEXT:
            v[i] = (uint64_t)(int32_t)v[insn->a];
            break;
        case IR_ZEXT:
            v[i] = v[insn->a];
            break;
        case IR_TRUNC:
            v[i] = (uint32_t)v[insn->a];
            break;
        case IR_SELECT:
            v[i] = v[insn->a] ? v[insn->b] : v[insn->c];
            break;
        case IR_LOAD:
            v[i] = narrow(insn, load(cpu, v[insn->a] + (uint64_t)(int32_t)insn->imm, high));
            break;
        case IR_STORE:
            store(cpu, v[insn->a] + (uint64_t)(int32_t)insn->imm, v[insn->b], high);
            break;
        case IR_FENCE:
            if (insn->imm) {
                __atomic_thread_fence(__ATOMIC_SEQ_CST);
            }
            break;
        case IR_CALL:
            v[i] = narrow(insn, call_helper(abi, insn, cpu, v));
            break;
        case IR_GUARD:
            if (!v[insn->a]) {
                call_helper(abi, insn, cpu, v);
            }
            break;
        case IR_EXITCC:
            if (ir_cond_eval((IrCond)high, (IrType)insn->type, v[insn->a], v[insn->b])) {
                *field64(cpu, abi->arg) = (uint64_t)(int32_t)insn->imm;
                return TCG_EXIT_DIRECT;
            }
            break;
        case IR_EXIT:
            *field64(cpu, abi->arg) = insn->imm;
            return TCG_EXIT_DIRECT;
        case IR_EXITIND:
            *field64(cpu, abi->pc) = v[insn->a];
            return TCG_EXIT_INDIRECT;
        case IR_LEAVE:
            return TCG_EXIT_LEAVE;
        default:
            v[i] = pure(ir, insn, v);
            break;
        }
    }
}
