/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Formats that are known by sight and refused by name: taken for raw, such an image would be overwritten.
 */
#include <string.h>
#include "block/formats/formats.h"

static bool begins(const uint8_t *head, size_t n, size_t at, const char *magic, size_t len)
{
    return n >= at + len && !memcmp(head + at, magic, len);
}

static bool refuse(BlockNode *node, const NodeOptions *options, GError **error)
{
    return node_fail(
        node, error,
        "is a %s image, a format that is not supported yet; format=raw uses its bytes as "
        "they are",
        node->driver->name);
}

#define UNSUPPORTED(format, condition)                                         \
    static int format##_probe(const uint8_t *head, size_t n, const char *file) \
    {                                                                          \
        return (condition) ? 100 : 0;                                          \
    }                                                                          \
    const BlockDriver block_##format##_driver = {                              \
        .name = #format,                                                       \
        .probe = format##_probe,                                               \
        .open = refuse,                                                        \
    };

UNSUPPORTED(vmdk, begins(head, n, 0, "KDMV", 4) || begins(head, n, 0, "COWD", 4) ||
                      begins(head, n, 0, "# Disk DescriptorFile", 21))
