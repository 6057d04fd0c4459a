/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fuzzer for what is driven by operations one after the other: an input is a program of them, in a form that any change leaves a program. It
 * learns from the coverage of the code under test as fuzz.h's does: programs that reach something new are shortened, kept and changed further,
 * beginning with the target's own (seeds), which reach what is far from where chance gets to.
 */
#ifndef TESTS_FUZZ_PROGRAM_H
#define TESTS_FUZZ_PROGRAM_H

#include <glib.h>
#include <stdint.h>

enum { PROGRAM_MAX_OPS = 256 };

/* What the fields mean is the target's business; all must mean something whatever their values. */
typedef struct FuzzOp {
    char kind;
    uint8_t size, window, count;
    uint32_t at;
    uint64_t a, b;
} FuzzOp;

typedef struct FuzzProgram {
    uint32_t n;
    FuzzOp ops[PROGRAM_MAX_OPS];
} FuzzProgram;

/* Adds @op if there is room. */
void program_add(FuzzProgram *p, FuzzOp op);

typedef struct ProgramTarget ProgramTarget;
struct ProgramTarget {
    const char *name;
    const char
        *kinds; /* letters for new operations, more often for those that are to come more often */
    const uint64_t *
        places; /* values that make good addresses, 0 at the end; operations' .at are from the first */
    /* Adds programs (owned by the array). */
    void (*seeds)(const ProgramTarget *target, GPtrArray *programs);
    /* Must come to an end, do the same each time, and leave nothing behind. */
    void (*run)(const ProgramTarget *target, const FuzzOp *ops, unsigned n);
};

/* main() of a program with the targets that @target() gives by number, up to NULL; returns the exit status. */
int program_main(const ProgramTarget *(*target)(unsigned n), int argc, char **argv);

#endif
