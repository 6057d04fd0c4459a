/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the image formats share: their drivers' names, and how the options of "create" are read.
 */
#ifndef BLOCK_FORMATS_FORMATS_H
#define BLOCK_FORMATS_FORMATS_H

#include "block/node.h"

extern const BlockDriver block_raw_driver, block_qcow2_driver, block_qed_driver, block_vmdk_driver,
    block_vpc_driver, block_vhdx_driver, block_vdi_driver, block_parallels_driver;

/* A number of bytes like "10G". *@value is left alone if the option is not given; false: what is given is none. */
bool create_option_size(const KeyVals *options, const char *key, uint64_t *value, GError **error);
/* The disk's size, "size", which must be given and not too large. */
bool create_option_length(const KeyVals *options, uint64_t *length, GError **error);
/* "preallocation"; NODE_PREALLOC_OFF if it is not given. */
bool create_option_prealloc(const KeyVals *options, NodePrealloc *prealloc, GError **error);
/* 16 random bytes, marked as such. */
void create_uuid(uint8_t *uuid);
/* Always false. */
bool create_fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Closes a new file, in which all was written that shall be if @ok; false: not @ok, or it cannot be closed. */
bool create_close(BlockNode *file, bool ok, GError **error);

#endif
