/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes that stand over another one, BlockNode.file, and change how it is accessed; and those over nothing. They are asked for by
 * driver=NAME in options, never found by an image's bytes. What is behind the end of the node below reads as zeroes, as of a file.
 */
#ifndef BLOCK_FILTER_H
#define BLOCK_FILTER_H

#include "block/node.h"

/* "copy-on-read", "compress", "null-co", "null-aio" or "blkdebug"; NULL: there is none of that name. */
const BlockDriver *filter_find(const char *name);
/* Over an image that is used as a file. */
extern const BlockDriver filter_plain_driver;

/* The driver's operations of a filter that changes nothing. */
int filter_close(BlockNode *node);
int filter_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int filter_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c);
int filter_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap);
int filter_discard(BlockNode *node, uint64_t offset, uint64_t bytes);
int filter_flush(BlockNode *node);
int filter_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status);
bool filter_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error);
/* Takes the length from the node below. */
void filter_update(BlockNode *node);

/* ---- blkdebug.c ---- */

extern const BlockDriver filter_blkdebug_driver;
/* Requests that come to @event stop there and are called @tag; false: @node has no blkdebug. */
bool blkdebug_break(BlockNode *node, const char *event, const char *tag);
/* False: there is none of that tag. */
bool blkdebug_remove_break(BlockNode *node, const char *tag);
bool blkdebug_resume(BlockNode *node, const char *tag);
bool blkdebug_is_suspended(BlockNode *node, const char *tag);
bool blkdebug_is_below(BlockNode *node);

#endif
