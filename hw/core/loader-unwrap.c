/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compressed and wrapped kernels: gzip files, and Linux's EFI zboot images (a PE program that holds
 * the compressed kernel: "MZ", "zimg" at 4, offset and size of the payload at 8 and 12, the
 * compression's name at 24). What comes out is the plain image.
 */
#include "hw/core/loader.h"
#include <gio/gio.h>
#include <string.h>
#include <zstd.h>
#include "util/size.h"

enum { MAX_LAYERS = 4, CHUNK = 1 << 20, ZBOOT_HEADER = 64, ZBOOT_TYPE = 24, ZBOOT_TYPE_MAX = 32 };

static bool unwrap_error(GError **error, const LoaderFile *file, const char *why)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: %s", file->name, why);
    return false;
}

static bool too_large(GError **error, const LoaderFile *file, uint64_t max)
{
    g_autofree char *room = size_format(max);

    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                "%s: uncompressed it is larger than the guest's memory (%s)", file->name, room);
    return false;
}

/* Puts @out in the place of the file's contents. */
static void replace(LoaderFile *file, GByteArray *out)
{
    static const uint8_t zero;

    g_byte_array_append(out, &zero, 1);
    g_free(file->data);
    file->size = out->len - 1;
    file->data = g_byte_array_free(g_byte_array_ref(out), FALSE);
}

static bool gunzip(LoaderFile *file, size_t offset, size_t size, uint64_t max, GError **error)
{
    g_autoptr(GZlibDecompressor) zlib = g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP);
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree uint8_t *chunk = g_malloc(CHUNK);
    GConverterResult result = G_CONVERTER_CONVERTED;

    while (result != G_CONVERTER_FINISHED) {
        gsize used = 0, made = 0;

        result = g_converter_convert(G_CONVERTER(zlib), file->data + offset, size, chunk, CHUNK,
                                     G_CONVERTER_INPUT_AT_END, &used, &made, NULL);
        if (result == G_CONVERTER_ERROR) {
            return unwrap_error(error, file, "its gzip data are broken or truncated");
        }
        offset += used;
        size -= used;
        g_byte_array_append(out, chunk, (unsigned)made);
        if (out->len > max) {
            return too_large(error, file, max);
        }
    }
    replace(file, out);
    return true;
}

static bool unzstd(LoaderFile *file, size_t offset, size_t size, uint64_t max, GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree uint8_t *chunk = g_malloc(CHUNK);
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = { file->data + offset, size, 0 };
    size_t left = 1;
    bool stuck = false;

    while (left && !ZSTD_isError(left) && !stuck && out->len <= max) {
        ZSTD_outBuffer to = { chunk, CHUNK, 0 };
        size_t before = in.pos;

        left = ZSTD_decompressStream(stream, &to, &in);
        stuck = left && in.pos == before && to.pos == 0;
        g_byte_array_append(out, chunk, (unsigned)to.pos);
    }
    ZSTD_freeDStream(stream);
    if (out->len > max) {
        return too_large(error, file, max);
    }
    if (left) {
        return unwrap_error(error, file, "its zstd data are broken or truncated");
    }
    replace(file, out);
    return true;
}

static uint32_t le32_at(const LoaderFile *file, size_t offset)
{
    uint32_t v;

    memcpy(&v, file->data + offset, sizeof(v));
    return GUINT32_FROM_LE(v);
}

static bool is_zboot(const LoaderFile *file)
{
    return file->size >= ZBOOT_HEADER && !memcmp(file->data, "MZ", 2) &&
           !memcmp(file->data + 4, "zimg", 4);
}

static bool unwrap_zboot(LoaderFile *file, uint64_t max, GError **error)
{
    uint32_t offset = le32_at(file, 8), size = le32_at(file, 12);
    g_autofree char *type = g_strndup((const char *)file->data + ZBOOT_TYPE, ZBOOT_TYPE_MAX);
    g_autofree char *shown = g_strescape(type, NULL);

    if (offset > file->size || size > file->size - offset) {
        return unwrap_error(
            error, file,
            "bad EFI zboot image: its payload lies outside the file (it may be truncated)");
    }
    if (g_str_has_prefix(type, "gzip")) {
        return gunzip(file, offset, size, max, error);
    }
    if (g_str_has_prefix(type, "zstd")) {
        return unzstd(file, offset, size, max, error);
    }
    g_set_error(
        error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
        "%s: EFI zboot image with unsupported compression '%s' (gzip and zstd are supported)",
        file->name, shown);
    return false;
}

bool loader_unwrap(LoaderFile *file, uint64_t max, bool *changed, GError **error)
{
    *changed = false;
    max = MIN(max, G_MAXUINT / 2); /* of a GByteArray */
    for (unsigned layer = 0; layer < MAX_LAYERS; layer++) {
        if (is_zboot(file)) {
            if (!unwrap_zboot(file, max, error)) {
                return false;
            }
        } else if (file->size > 2 && file->data[0] == 0x1f && file->data[1] == 0x8b) {
            if (!gunzip(file, 0, file->size, max, error)) {
                return false;
            }
        } else if (file->size > 4 && le32_at(file, 0) == 0xfd2fb528) {
            if (!unzstd(file, 0, file->size, max, error)) {
                return false;
            }
        } else {
            return true;
        }
        *changed = true;
    }
    return true;
}
