/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Power failures under an image: its file goes through a log that keeps what is on the disk for sure (as of the last flush), and what was
 * written since, of which any sectors may be there or not.
 */
#ifndef TESTS_UNIT_CUTS_H
#define TESTS_UNIT_CUTS_H

#include "block/node.h"

/* From now on, until the node is closed; one node at a time. @look: called at every @every-th write or flush, before it. */
void cuts_begin(BlockNode *node, const char *image, unsigned every, void (*look)(void));
void cuts_end(void);
/* A file that a power failure now could leave, with random sectors of what was not flushed. */
void cuts_leave(const char *copy);

/* ---- What a disk must have after a cut: what it had when it was flushed, but in sectors that were written since ---- */

/* The disk, of @length bytes, is @model now, and was flushed. */
void cuts_flushed(const uint8_t *model, uint64_t length);
/* About to be written. */
void cuts_touch(uint64_t offset, uint64_t bytes);
void cuts_assert_flushed(BlockNode *node);

#endif
