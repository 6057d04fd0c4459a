/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The helpers once more, each with a counter in front: TargetOps.counted_helpers, which generated code calls instead under
 * -accel ...,profile=on, so that counting costs nothing otherwise. Nothing names these functions but the table.
 */
#include "target/riscv/helpers.h"
#include "target/riscv/profile.h"

#define COUNTED_I0(number, function)                       \
    static uint64_t counted_##number(Cpu *cpu, uint32_t k) \
    {                                                      \
        cpu->helper_calls[number]++;                       \
        return function(cpu, k);                           \
    }
#define COUNTED_I1(number, function)                                   \
    static uint64_t counted_##number(Cpu *cpu, uint64_t a, uint32_t k) \
    {                                                                  \
        cpu->helper_calls[number]++;                                   \
        return function(cpu, a, k);                                    \
    }
#define COUNTED_I2(number, function)                                               \
    static uint64_t counted_##number(Cpu *cpu, uint64_t a, uint64_t b, uint32_t k) \
    {                                                                              \
        cpu->helper_calls[number]++;                                               \
        return function(cpu, a, b, k);                                             \
    }
#define COUNTED_I3(number, function)                                                           \
    static uint64_t counted_##number(Cpu *cpu, uint64_t a, uint64_t b, uint64_t c, uint32_t k) \
    {                                                                                          \
        cpu->helper_calls[number]++;                                                           \
        return function(cpu, a, b, c, k);                                                      \
    }
#define COUNTED_V0(number, function)                   \
    static void counted_##number(Cpu *cpu, uint32_t k) \
    {                                                  \
        cpu->helper_calls[number]++;                   \
        function(cpu, k);                              \
    }
#define COUNTED_V1(number, function)                               \
    static void counted_##number(Cpu *cpu, uint64_t a, uint32_t k) \
    {                                                              \
        cpu->helper_calls[number]++;                               \
        function(cpu, a, k);                                       \
    }
#define COUNTED_V2(number, function)                                           \
    static void counted_##number(Cpu *cpu, uint64_t a, uint64_t b, uint32_t k) \
    {                                                                          \
        cpu->helper_calls[number]++;                                           \
        function(cpu, a, b, k);                                                \
    }

#define COUNTED(number, function, signature, flags, inlined) COUNTED_##signature(number, function)
RV_HELPERS(COUNTED)

#define COUNTED_ENTRY(number, function, signature, flags, inlined) \
    [number] = (void (*)(void))counted_##number,

void (*const rv_counted_helpers[RV_N_HELPERS])(void) = { RV_HELPERS(COUNTED_ENTRY) };
