/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bit fields and alignment. Positions count from the least significant bit. Functions, not macros, so that arguments are
 * checked and evaluated once; all are pure and fold to a host instruction or two.
 */
#ifndef UTIL_BITS_H
#define UTIL_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* The lowest @len bits set; @len 0..64. */
static inline uint64_t bits_mask64(unsigned len)
{
    return len ? UINT64_MAX >> (64 - len) : 0;
}

/* Bits @pos .. @pos + @len - 1 of @v, moved down to bit 0. @len 1..64, @pos + @len <= 64. */
static inline uint64_t bits_extract64(uint64_t v, unsigned pos, unsigned len)
{
    return v >> pos & bits_mask64(len);
}

/* As above for 32 bits: @len 1..32, @pos + @len <= 32. */
static inline uint32_t bits_extract32(uint32_t v, unsigned pos, unsigned len)
{
    return v >> pos & UINT32_MAX >> (32 - len);
}

/* @v with bits @pos .. @pos + @len - 1 replaced by the low bits of @field (higher ones are ignored). */
static inline uint64_t bits_deposit64(uint64_t v, unsigned pos, unsigned len, uint64_t field)
{
    uint64_t mask = bits_mask64(len) << pos;

    return (v & ~mask) | (field << pos & mask);
}

static inline uint32_t bits_deposit32(uint32_t v, unsigned pos, unsigned len, uint32_t field)
{
    uint32_t mask = UINT32_MAX >> (32 - len) << pos;

    return (v & ~mask) | (field << pos & mask);
}

/* The low @nbits of @v (1..64), sign-extended. Higher bits are ignored. */
static inline int64_t bits_sext64(uint64_t v, unsigned nbits)
{
    return (int64_t)(v << (64 - nbits)) >> (64 - nbits);
}

static inline int32_t bits_sext32(uint32_t v, unsigned nbits)
{
    return (int32_t)(v << (32 - nbits)) >> (32 - nbits);
}

/* Field @pos, @len of @v as a signed number. */
static inline int64_t bits_sextract64(uint64_t v, unsigned pos, unsigned len)
{
    return bits_sext64(v >> pos, len);
}

/* Bit @n of @v. */
static inline bool bits_test64(uint64_t v, unsigned n)
{
    return v >> n & 1;
}

static inline bool bits_is_pow2(uint64_t v)
{
    return v && !(v & (v - 1));
}

/* @v rounded to a multiple of @align, a power of two. Rounding up wraps to 0 past the last multiple. */
static inline uint64_t bits_align_down(uint64_t v, uint64_t align)
{
    return v & ~(align - 1);
}

static inline uint64_t bits_align_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) & ~(align - 1);
}

static inline bool bits_is_aligned(uint64_t v, uint64_t align)
{
    return !(v & (align - 1));
}

/* Zero bits above the highest and below the lowest set bit; 64 for 0. */
static inline unsigned bits_clz64(uint64_t v)
{
    return v ? (unsigned)__builtin_clzll(v) : 64;
}

static inline unsigned bits_ctz64(uint64_t v)
{
    return v ? (unsigned)__builtin_ctzll(v) : 64;
}

/* [@a, @a + @a_len) and [@b, @b + @b_len) share a byte. The ranges may end at 2^64, not wrap. */
static inline bool bits_ranges_overlap(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a_len && b_len && (a < b ? b - a < a_len : a - b < b_len);
}

#endif
