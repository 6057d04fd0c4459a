/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The table of helpers for the tcg, made from the list in helpers.h, and the helper of jumps
 * without the C extension.
 */
#include "target/riscv/helpers.h"
#include "target/riscv/cpu.h"

/* Result, number of arguments and their types by signature. */
#define RV_SIGNATURE_I0           \
    IR_I64, 0,                    \
    {                             \
        IR_VOID, IR_VOID, IR_VOID \
    }
#define RV_SIGNATURE_I1          \
    IR_I64, 1,                   \
    {                            \
        IR_I64, IR_VOID, IR_VOID \
    }
#define RV_SIGNATURE_I2         \
    IR_I64, 2,                  \
    {                           \
        IR_I64, IR_I64, IR_VOID \
    }
#define RV_SIGNATURE_I3        \
    IR_I64, 3,                 \
    {                          \
        IR_I64, IR_I64, IR_I64 \
    }
#define RV_SIGNATURE_V0           \
    IR_VOID, 0,                   \
    {                             \
        IR_VOID, IR_VOID, IR_VOID \
    }
#define RV_SIGNATURE_V1          \
    IR_VOID, 1,                  \
    {                            \
        IR_I64, IR_VOID, IR_VOID \
    }
#define RV_SIGNATURE_V2         \
    IR_VOID, 2,                 \
    {                           \
        IR_I64, IR_I64, IR_VOID \
    }

#define RV_HELPER_ENTRY(number, function, signature, flags, inlined) \
    [number] = { #function, (void (*)(void))function, RV_SIGNATURE_##signature, flags, inlined },

const IrHelper rv_helpers[RV_N_HELPERS] = { RV_HELPERS(RV_HELPER_ENTRY) };

void rv_helper_check_jump(Cpu *cpu, uint64_t target, uint32_t constant)
{
    if (target & 2) {
        rv_helper_raise(cpu, target, RV_EXC_FETCH_ALIGN);
    }
}
