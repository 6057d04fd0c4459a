/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the hostile guests (tests/boot/hostile.py) share: a bare rv64 program for -M virt, in M mode. Each case is a function that
 * returns; check() prints where it failed and ends the run through the test device.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

enum {
    FETCH_ACCESS = 1,
    ILLEGAL = 2,
    LOAD_ALIGN = 4,
    LOAD_ACCESS = 5,
    STORE_ALIGN = 6,
    STORE_ACCESS = 7,
    FETCH_PAGE = 12,
    LOAD_PAGE = 13,
    STORE_PAGE = 15,
    NO_TRAP = 99
};

#define TEST_DEVICE 0x100000ul
#define CLINT       0x2000000ul
#define PLIC        0xc000000ul
#define UART        0x10000000ul
#define VIRTIO      0x10001000ul
#define FLASH       0x20000000ul
#define NOWHERE     0x18000000ul
#define RAM         0x80000000ul
#define RAM_END     0x82000000ul /* -m 32M */

typedef struct Trap {
    u64 cause, tval, epc;
} Trap;

/* By hart, in tp (start.S knows the offsets). */
typedef struct Hart {
    u64 recover_sp;       /* 0: a trap is not expected */
    u64 cause, tval, epc; /* of the trap that was caught */
    u64 scratch[4];
    volatile u64 ipis; /* machine software interrupts taken; each did a fence.i */
    u64 id;
    u64 result; /* a0 of the function that attempt() called, if it returned */
} Hart;

/* Calls @f(@arg) at privilege @mode (3: M, 1: S) and gives back the trap it ended in, cause NO_TRAP if it returned. */
Trap attempt(void (*f)(u64), u64 arg, u64 mode);
u64 attempt_asm(void (*f)(u64), u64 arg, u64 mode);
__attribute__((noreturn)) void finish(u32 word);

/* Ends the run: where, and two values. */
__attribute__((noreturn)) void fail(const char *file, u64 line, u64 a, u64 b);

#define check(condition) \
    ((condition) ? (void)0 : fail(__FILE_NAME__, __LINE__, self()->cause, self()->tval))
#define check_at(condition, a, b) ((condition) ? (void)0 : fail(__FILE_NAME__, __LINE__, (a), (b)))

static inline Hart *self(void)
{
    Hart *h;

    __asm__("mv %0, tp" : "=r"(h));
    return h;
}

static inline void fence_i(void)
{
    __asm__ volatile("fence.i" ::: "memory");
}

/* Harts other than 0 call the function that hart 0 stores here, once. */
extern void (*volatile work)(u64 hart);
/* Starts @f on the other harts of @n. */
void start_others(void (*f)(u64 hart), u64 n);
/* Waits until they have returned. */
void join_others(u64 n);
#endif
