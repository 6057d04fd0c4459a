/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "block/formats/formats.h"
#include <string.h>
#include "util/size.h"

const BlockDriver *const block_drivers[] = {
    &block_raw_driver,  &block_qcow2_driver,     &block_qed_driver,
    &block_vmdk_driver, &block_vpc_driver,       &block_vhdx_driver,
    &block_vdi_driver,  &block_parallels_driver, NULL
};

bool create_option_size(const KeyVals *options, const char *key, uint64_t *value, GError **error)
{
    const char *text = keyvals_get(options, key);

    return !text || size_parse(text, 'b', key, value, error);
}

bool create_option_length(const KeyVals *options, uint64_t *length, GError **error)
{
    if (!keyvals_get(options, "size")) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "size is missing");
        return false;
    }
    if (!create_option_size(options, "size", length, error)) {
        return false;
    }
    if (*length > NODE_MAX_LENGTH) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "size: %" G_GUINT64_FORMAT " bytes are too many", *length);
        return false;
    }
    return true;
}

bool create_option_prealloc(const KeyVals *options, NodePrealloc *prealloc, GError **error)
{
    static const char *const names[] = {
        [NODE_PREALLOC_OFF] = "off",
        [NODE_PREALLOC_METADATA] = "metadata",
        [NODE_PREALLOC_FALLOC] = "falloc",
        [NODE_PREALLOC_FULL] = "full",
    };
    const char *text = keyvals_get(options, "preallocation");

    *prealloc = NODE_PREALLOC_OFF;
    for (unsigned i = 0; text && i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(text, names[i])) {
            *prealloc = (NodePrealloc)i;
            return true;
        }
    }
    if (text) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "Parameter 'preallocation' does not accept value '%s'", text);
    }
    return !text;
}

void create_uuid(uint8_t *uuid)
{
    for (unsigned i = 0; i < 16; i++) {
        uuid[i] = (uint8_t)g_random_int();
    }
    uuid[7] = (uint8_t)((uuid[7] & 0x0f) | 0x40); /* of the fields that are little-endian */
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

bool create_fail(GError **error, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, text);
    return false;
}

bool create_close(BlockNode *file, bool ok, GError **error)
{
    g_autofree char *name = g_strdup(file->name);
    int err = node_close(file);

    if (ok && err) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-err), "%s: cannot be written: %s",
                    name, g_strerror(-err));
    }
    return ok && !err;
}
