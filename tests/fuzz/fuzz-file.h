/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file in memory that has a base's bytes again and again: only what was touched since is set back, so that neither the file's size nor the
 * host's kernel counts. It is as sparse as the base, and may become as long as a node can be.
 */
#ifndef TESTS_FUZZ_FUZZ_FILE_H
#define TESTS_FUZZ_FUZZ_FILE_H

#include <glib.h>
#include "block/node.h"

typedef struct FuzzFile FuzzFile;

/* @base (up to 32 MiB) must stay as it is. There is no end of it. */
FuzzFile *fuzz_file_new(const GByteArray *base);
/* As the base is. */
void fuzz_file_reset(FuzzFile *f);
uint64_t fuzz_file_length(const FuzzFile *f);
/* The bytes, as many as the base has. Written by fuzz_file_put() only. */
const uint8_t *fuzz_file_data(const FuzzFile *f);
/* Within the base. */
void fuzz_file_put(FuzzFile *f, uint64_t offset, const void *bytes, uint64_t n);
/* False: it is there as in the base. */
bool fuzz_file_is_touched(const FuzzFile *f, uint64_t offset, uint64_t n);
void fuzz_file_set_length(FuzzFile *f, uint64_t length);
/* A node over it, to be closed; one at a time. */
BlockNode *fuzz_file_open(FuzzFile *f, const char *name, bool readonly);

#endif
