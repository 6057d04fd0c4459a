/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Helpers of the A extension. Memory is reached by cpu_atomic_ptr(), which checks translation,
 * permission and natural alignment and raises what is due, so the bodies are host atomics, all
 * sequentially consistent.
 *
 * A reservation is the address and the value that LR loaded; SC succeeds if the address is the
 * same and memory still holds the value (compare and exchange). A value that went away and came
 * back is not noticed, which the usual LR/SC loops do not need. Traps, xRET and every SC drop the
 * reservation (manual: Zalrsc).
 */
#include "target/riscv/cpu.h"

/* ---- LR/SC ---- */

static uint64_t load_reserved(RvCpu *cpu, uint64_t va, uint64_t value)
{
    cpu->res_addr = va;
    cpu->res_value = value;
    cpu->res_valid = 1;
    return value;
}

uint64_t rv_helper_lr_w(Cpu *cpu, uint64_t va, uint32_t constant)
{
    const int32_t *p = cpu_atomic_ptr(cpu, va, 4, MEM_LOAD);

    return load_reserved(rv_cpu(cpu), va, (uint64_t)__atomic_load_n(p, __ATOMIC_SEQ_CST));
}

uint64_t rv_helper_lr_d(Cpu *cpu, uint64_t va, uint32_t constant)
{
    const uint64_t *p = cpu_atomic_ptr(cpu, va, 8, MEM_LOAD);

    return load_reserved(rv_cpu(cpu), va, __atomic_load_n(p, __ATOMIC_SEQ_CST));
}

/* Whether an SC to @va may try; ends the reservation. */
static bool take_reservation(RvCpu *cpu, uint64_t va)
{
    bool valid = cpu->res_valid && cpu->res_addr == va;

    cpu->res_valid = 0;
    return valid;
}

uint64_t rv_helper_sc_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    uint32_t *p = cpu_atomic_ptr(cpu, va, 4, MEM_STORE);
    uint32_t expected = (uint32_t)rv_cpu(cpu)->res_value;

    return !take_reservation(rv_cpu(cpu), va) ||
           !__atomic_compare_exchange_n(p, &expected, (uint32_t)value, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_sc_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    uint64_t *p = cpu_atomic_ptr(cpu, va, 8, MEM_STORE);
    uint64_t expected = rv_cpu(cpu)->res_value;

    return !take_reservation(rv_cpu(cpu), va) ||
           !__atomic_compare_exchange_n(p, &expected, value, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST);
}

/* ---- AMOs with a host atomic ---- */

uint64_t rv_helper_amoswap_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int32_t *p = cpu_atomic_ptr(cpu, va, 4, MEM_STORE);

    return (uint64_t)__atomic_exchange_n(p, (int32_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoadd_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int32_t *p = cpu_atomic_ptr(cpu, va, 4, MEM_STORE);

    return (uint64_t)__atomic_fetch_add(p, (int32_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoxor_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int32_t *p = cpu_atomic_ptr(cpu, va, 4, MEM_STORE);

    return (uint64_t)__atomic_fetch_xor(p, (int32_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoand_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int32_t *p = cpu_atomic_ptr(cpu, va, 4, MEM_STORE);

    return (uint64_t)__atomic_fetch_and(p, (int32_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoor_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int32_t *p = cpu_atomic_ptr(cpu, va, 4, MEM_STORE);

    return (uint64_t)__atomic_fetch_or(p, (int32_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoswap_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int64_t *p = cpu_atomic_ptr(cpu, va, 8, MEM_STORE);

    return (uint64_t)__atomic_exchange_n(p, (int64_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoadd_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int64_t *p = cpu_atomic_ptr(cpu, va, 8, MEM_STORE);

    return (uint64_t)__atomic_fetch_add(p, (int64_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoxor_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int64_t *p = cpu_atomic_ptr(cpu, va, 8, MEM_STORE);

    return (uint64_t)__atomic_fetch_xor(p, (int64_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoand_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int64_t *p = cpu_atomic_ptr(cpu, va, 8, MEM_STORE);

    return (uint64_t)__atomic_fetch_and(p, (int64_t)value, __ATOMIC_SEQ_CST);
}

uint64_t rv_helper_amoor_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    int64_t *p = cpu_atomic_ptr(cpu, va, 8, MEM_STORE);

    return (uint64_t)__atomic_fetch_or(p, (int64_t)value, __ATOMIC_SEQ_CST);
}

/* ---- Minimum and maximum: the host has none ---- */

typedef bool Less(uint64_t a, uint64_t b);

static bool less_signed(uint64_t a, uint64_t b)
{
    return (int64_t)a < (int64_t)b;
}

static bool less_unsigned(uint64_t a, uint64_t b)
{
    return a < b;
}

/* Stores @value if @less(value, memory) is @want, in one step; returns the old value. */
static inline uint64_t store_if_32(Cpu *cpu, uint64_t va, uint64_t value, Less *less, bool want)
{
    int32_t *p = cpu_atomic_ptr(cpu, va, 4, MEM_STORE);
    int32_t old = __atomic_load_n(p, __ATOMIC_SEQ_CST), new;

    do {
        /* Sign extension keeps the order of unsigned words too. */
        new = less((uint64_t)(int32_t)value, (uint64_t)old) == want ? (int32_t)value : old;
    } while (!__atomic_compare_exchange_n(p, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return (uint64_t)old;
}

static inline uint64_t store_if_64(Cpu *cpu, uint64_t va, uint64_t value, Less *less, bool want)
{
    uint64_t *p = cpu_atomic_ptr(cpu, va, 8, MEM_STORE);
    uint64_t old = __atomic_load_n(p, __ATOMIC_SEQ_CST), new;

    do {
        new = less(value, old) == want ? value : old;
    } while (!__atomic_compare_exchange_n(p, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return old;
}

uint64_t rv_helper_amomin_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    return store_if_32(cpu, va, value, less_signed, true);
}

uint64_t rv_helper_amomax_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    return store_if_32(cpu, va, value, less_signed, false);
}

uint64_t rv_helper_amominu_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    return store_if_32(cpu, va, value, less_unsigned, true);
}

uint64_t rv_helper_amomaxu_w(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    return store_if_32(cpu, va, value, less_unsigned, false);
}

uint64_t rv_helper_amomin_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    return store_if_64(cpu, va, value, less_signed, true);
}

uint64_t rv_helper_amomax_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    return store_if_64(cpu, va, value, less_signed, false);
}

uint64_t rv_helper_amominu_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    return store_if_64(cpu, va, value, less_unsigned, true);
}

uint64_t rv_helper_amomaxu_d(Cpu *cpu, uint64_t va, uint64_t value, uint32_t constant)
{
    return store_if_64(cpu, va, value, less_unsigned, false);
}
