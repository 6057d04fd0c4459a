/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fuzzer for what reads files: valid ones with a few words changed, and then used in random ways. It learns from the coverage of the code under
 * test, if that was compiled for it (./configure --fuzz): an input that reaches something new is kept and changed further.
 *
 * An input is small whatever the file's size: which of the target's base files, what to change in it, what to do then.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "tests/fuzz/fuzz-file.h"

enum { FUZZ_MAX_PATCHES = 12, FUZZ_MAX_ACTIONS = 16 };

typedef struct FuzzPatch {
    uint32_t offset;
    uint8_t len; /* 1, 2, 4 or 8 */
    uint8_t bytes[8];
} FuzzPatch;

typedef struct FuzzAction {
    uint8_t what, where, length, value;
} FuzzAction;

typedef struct FuzzInput {
    uint8_t base;
    bool checksums; /* the target puts them right after the changes */
    bool truncated; /* the file ends at... */
    uint32_t length;
    uint8_t n_patches, n_actions;
    FuzzPatch patches[FUZZ_MAX_PATCHES];
    FuzzAction actions[FUZZ_MAX_ACTIONS];
} FuzzInput;

typedef struct FuzzTarget FuzzTarget;
struct FuzzTarget {
    const char *name;
    const void *data; /* the target's own */
    /* The files that inputs change, of GByteArray, made for this. */
    GPtrArray *(*make_bases)(const FuzzTarget *target);
    /* Optional. @file is as long as its base. */
    void (*fix_checksums)(FuzzFile *file);
    /* Must come to an end and leave nothing behind but what it writes into @file: to be used by @input's actions. */
    void (*run)(const FuzzTarget *target, FuzzFile *file, const FuzzInput *input);
};

/* main() of a program with these targets, up to a NULL name; returns the exit status. */
int fuzz_main(const FuzzTarget *targets, int argc, char **argv);

#endif
