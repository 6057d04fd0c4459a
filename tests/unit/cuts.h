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

#endif
