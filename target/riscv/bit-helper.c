/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pure helpers for permutations of bits (Zbkb, Zbkx) that the IR has no operation for. Under RV32
 * operands are zero-extended and the translator truncates the result.
 */
#include "target/riscv/helpers.h"

uint64_t rv_helper_brev8(Cpu *cpu, uint64_t a, uint32_t constant)
{
    a = (a & 0x5555555555555555) << 1 | (a >> 1 & 0x5555555555555555);
    a = (a & 0x3333333333333333) << 2 | (a >> 2 & 0x3333333333333333);
    return (a & 0x0f0f0f0f0f0f0f0f) << 4 | (a >> 4 & 0x0f0f0f0f0f0f0f0f);
}

/* Bit n of the 16 goes to bit 2n. */
static uint32_t spread(uint32_t a)
{
    a = (a | a << 8) & 0x00ff00ff;
    a = (a | a << 4) & 0x0f0f0f0f;
    a = (a | a << 2) & 0x33333333;
    return (a | a << 1) & 0x55555555;
}

/* The inverse. */
static uint32_t gather(uint32_t a)
{
    a &= 0x55555555;
    a = (a | a >> 1) & 0x33333333;
    a = (a | a >> 2) & 0x0f0f0f0f;
    a = (a | a >> 4) & 0x00ff00ff;
    return (a | a >> 8) & 0xffff;
}

uint64_t rv_helper_zip(Cpu *cpu, uint64_t a, uint32_t constant)
{
    return spread(a & 0xffff) | spread(a >> 16 & 0xffff) << 1;
}

uint64_t rv_helper_unzip(Cpu *cpu, uint64_t a, uint32_t constant)
{
    return gather((uint32_t)a) | gather((uint32_t)a >> 1) << 16;
}

/* Elements of @width bits: each of @index chooses one of @table, 0 beyond @xlen bits. */
static uint64_t permute(uint64_t table, uint64_t index, unsigned width, unsigned xlen)
{
    uint64_t mask = (1ull << width) - 1, result = 0;

    for (unsigned n = 0; n < xlen; n += width) {
        uint64_t from = (index >> n & mask) * width;

        if (from < xlen) {
            result |= (table >> from & mask) << n;
        }
    }
    return result;
}

uint64_t rv_helper_xperm4(Cpu *cpu, uint64_t a, uint64_t b, uint32_t xlen)
{
    return permute(a, b, 4, xlen);
}

uint64_t rv_helper_xperm8(Cpu *cpu, uint64_t a, uint64_t b, uint32_t xlen)
{
    return permute(a, b, 8, xlen);
}
