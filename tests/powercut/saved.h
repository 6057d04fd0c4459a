/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What "savevm" has said is kept, and whether a disk after a cut has it.
 */
#ifndef TESTS_POWERCUT_SAVED_H
#define TESTS_POWERCUT_SAVED_H

#include "block/node.h"

/* A line of the monitor's. "savevm NAME" is done once the next command stands there. False: it failed. */
bool saved_read_line(const char *line);
/* How many were done. */
unsigned saved_count(void);
/* Whether @node (read-only; it has some snapshot's contents afterwards) has a snapshot of each name that was done, not older than that, and
 * all that it lists have their machine's state whole. NULL, or what is wrong; g_free() it. */
char *saved_verify(BlockNode *node);

#endif
