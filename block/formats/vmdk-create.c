/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMDK: new images. A sparse extent is made with all its grain tables, twice; a flat one is a file of holes.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/vmdk.h"

typedef struct Subformat {
    const char *name;
    bool flat, split, stream;
} Subformat;

typedef struct Wanted {
    const Subformat *format;
    uint64_t length;
    const char *adapter, *hardware, *tools, *backing;
    bool zeroed_grain;
    uint32_t parent_cid;
    unsigned heads;
} Wanted;

#define SPLIT (2ull << 30)

/* ---- Options ---- */

static const Subformat subformats[] = {
    { "monolithicSparse", false, false, false },    { "monolithicFlat", true, false, false },
    { "twoGbMaxExtentSparse", false, true, false }, { "twoGbMaxExtentFlat", true, true, false },
    { "streamOptimized", false, false, true },
};

static bool read_subformat(const KeyVals *options, Wanted *w, GError **error)
{
    const char *text = keyvals_get(options, "subformat");

    for (unsigned i = 0; i < G_N_ELEMENTS(subformats); i++) {
        if (!strcmp(text ? text : "monolithicSparse", subformats[i].name)) {
            w->format = &subformats[i];
            return true;
        }
    }
    return create_fail(error, "invalid parameter value: %s", text);
}

static bool read_adapter(const KeyVals *options, Wanted *w, GError **error)
{
    static const char *const known[] = { "ide", "buslogic", "lsilogic", "legacyESX", NULL };

    w->adapter = keyvals_get(options, "adapter_type") ?: "ide";
    w->heads = !strcmp(w->adapter, "ide") ? 16 : 255;
    return g_strv_contains(known, w->adapter) ||
           create_fail(error, "invalid parameter value: %s", w->adapter);
}

/* What stands between quotes, and in one line. */
static bool check_text(const char *key, const char *value, GError **error)
{
    for (const char *p = value; p && *p; p++) {
        if (*p == '"' || (unsigned char)*p < 0x20) {
            return create_fail(error, "%s: has a character that a descriptor cannot have", key);
        }
    }
    return true;
}

static bool read_versions(const KeyVals *options, Wanted *w, GError **error)
{
    const char *hardware = keyvals_get(options, "hwversion");
    bool compat6 = false;

    if (!keyvals_get_bool(options, "vmdk", "compat6", &compat6, error)) {
        return false;
    }
    hardware = hardware && strcmp(hardware, "undefined") != 0 ? hardware : NULL;
    if (compat6 && hardware) {
        return create_fail(error, "compat6 cannot be enabled with hwversion set");
    }
    w->hardware = hardware ? hardware : compat6 ? "6" : "4";
    w->tools = keyvals_get(options, "toolsversion") ?: "2147483647";
    return check_text("hwversion", w->hardware, error) &&
           check_text("toolsversion", w->tools, error);
}

static bool read_backing(const char *file, const KeyVals *options, Wanted *w, GError **error)
{
    const char *format = keyvals_get(options, "backing_fmt");
    g_autofree char *path = NULL;

    w->backing = keyvals_get(options, "backing_file");
    w->parent_cid = VMDK_NO_CID;
    if (!w->backing || !*w->backing) {
        w->backing = NULL;
        return true;
    }
    if (w->format->flat) {
        return create_fail(error, "Flat image can't have backing file");
    }
    if (format && strcmp(format, "vmdk") != 0) {
        return create_fail(error, "backing_file must be a vmdk image");
    }
    path = node_backing_path(file, w->backing);
    return check_text("backing_file", w->backing, error) &&
           vmdk_cid_of(path, &w->parent_cid, error);
}

static bool read_wanted(const char *file, const KeyVals *options, Wanted *w, GError **error)
{
    *w = (Wanted){ 0 };
    if (!create_option_length(options, &w->length, error) || !read_subformat(options, w, error) ||
        !read_adapter(options, w, error) || !read_versions(options, w, error) ||
        !keyvals_get_bool(options, "vmdk", "zeroed_grain", &w->zeroed_grain, error)) {
        return false;
    }
    w->length = bm_round_up(w->length, BLOCK_SECTOR);
    if (w->format->flat && w->zeroed_grain) {
        return create_fail(error, "Flat image can't enable zeroed grain");
    }
    if (!w->format->flat &&
        w->length >= (uint64_t)VMDK_MAX_TABLES * VMDK_GTES * VMDK_GRAIN * BLOCK_SECTOR) {
        return create_fail(error, "size: %" PRIu64 " bytes are too many for sparse extents",
                           w->length);
    }
    return read_backing(file, options, w, error);
}

/* ---- Extents ---- */

typedef struct Layout {
    uint64_t n_tables, directory, tables; /* sectors of each of the two */
    uint64_t rgd, gd, overhead;
} Layout;

static Layout lay_out(uint64_t sectors)
{
    Layout l = { .rgd = VMDK_DESCRIPTOR_AT + VMDK_DESCRIPTOR_SECTORS };

    l.n_tables = (sectors + VMDK_GTES * VMDK_GRAIN - 1) / (VMDK_GTES * VMDK_GRAIN);
    l.directory = (l.n_tables * 4 + BLOCK_SECTOR - 1) / BLOCK_SECTOR;
    l.tables = l.n_tables * (VMDK_GTES * 4 / BLOCK_SECTOR);
    l.gd = l.rgd + l.directory + l.tables;
    l.overhead = bm_round_up(l.gd + l.directory + l.tables, VMDK_GRAIN);
    return l;
}

static int write_header(BlockNode *file, const Wanted *w, const Layout *l, uint64_t sectors)
{
    uint8_t h[VM_BYTES] = "KDMV";
    uint32_t flags = VMF_LINES | VMF_RGD | (w->zeroed_grain ? VMF_ZEROED_GRAIN : 0) |
                     (w->format->stream ? VMF_COMPRESSED | VMF_MARKERS : 0);

    bytes_put_le32(h + VM_VERSION, w->format->stream ? 3 : w->zeroed_grain ? 2 : 1);
    bytes_put_le32(h + VM_FLAGS, flags);
    bytes_put_le64(h + VM_CAPACITY, sectors);
    bytes_put_le64(h + VM_GRAIN, VMDK_GRAIN);
    bytes_put_le64(h + VM_DESCRIPTOR, VMDK_DESCRIPTOR_AT);
    bytes_put_le64(h + VM_DESCRIPTOR_SIZE, VMDK_DESCRIPTOR_SECTORS);
    bytes_put_le32(h + VM_GTES, VMDK_GTES);
    bytes_put_le64(h + VM_RGD, l->rgd);
    bytes_put_le64(h + VM_GD, l->gd);
    bytes_put_le64(h + VM_OVERHEAD, l->overhead);
    memcpy(h + VM_LINES, "\n \r\n", 4);
    h[VM_COMPRESSION] = w->format->stream;
    return node_pwrite(file, 0, h, sizeof(h));
}

/* The directory at sector @at, whose tables are behind it. */
static int write_directory(BlockNode *file, const Layout *l, uint64_t at)
{
    enum { PIECE = 65536 };
    g_autofree uint8_t *piece = g_malloc(PIECE * 4);
    int err = 0;

    for (uint64_t i = 0; i < l->n_tables && !err; i += PIECE) {
        uint64_t n = MIN(PIECE, l->n_tables - i);

        for (uint64_t j = 0; j < n; j++) {
            bytes_put_le32(piece + j * 4, (uint32_t)(at + l->directory +
                                                     (i + j) * (VMDK_GTES * 4 / BLOCK_SECTOR)));
        }
        err = node_pwrite(file, at * BLOCK_SECTOR + i * 4, piece, n * 4);
    }
    return err;
}

static bool write_sparse(BlockNode *file, const Wanted *w, uint64_t length, const GString *text,
                         GError **error)
{
    Layout l = lay_out(length / BLOCK_SECTOR);
    int err;

    if (!node_truncate(file, l.overhead * BLOCK_SECTOR, true, NODE_PREALLOC_OFF, error)) {
        return false;
    }
    err = write_header(file, w, &l, length / BLOCK_SECTOR);
    err = err ? err : write_directory(file, &l, l.rgd);
    err = err ? err : write_directory(file, &l, l.gd);
    if (!err && text) {
        if (text->len > VMDK_DESCRIPTOR_SECTORS * BLOCK_SECTOR) {
            return create_fail(error, "backing_file: the name is too long");
        }
        err = node_pwrite(file, VMDK_DESCRIPTOR_AT * BLOCK_SECTOR, text->str, text->len);
    }
    return !err || node_fail_errno(file, error, err, "cannot be written");
}

static bool make_extent(const char *path, const Wanted *w, uint64_t length, GError **error)
{
    BlockNode *file = node_create_file(path, error);
    bool ok;

    if (!file) {
        return false;
    }
    ok = w->format->flat ? node_truncate(file, length, true, NODE_PREALLOC_OFF, error)
                         : write_sparse(file, w, length, NULL, error);
    return create_close(file, ok, error);
}

/* ---- The image ---- */

static GString *begin_descriptor(const Wanted *w)
{
    GString *text = g_string_new("# Disk DescriptorFile\nversion=1\n");

    g_string_append_printf(text, "CID=%08x\nparentCID=%08x\ncreateType=\"%s\"\n", vmdk_cid_new(),
                           w->parent_cid, w->format->name);
    if (w->backing) {
        g_string_append_printf(text, "parentFileNameHint=\"%s\"\n", w->backing);
    }
    g_string_append(text, "\n# Extent description\n");
    return text;
}

static void end_descriptor(const Wanted *w, GString *text)
{
    g_string_append_printf(text,
                           "\n# The Disk Data Base\n#DDB\n\n"
                           "ddb.virtualHWVersion = \"%s\"\n"
                           "ddb.geometry.cylinders = \"%" PRIu64 "\"\n"
                           "ddb.geometry.heads = \"%u\"\n"
                           "ddb.geometry.sectors = \"63\"\n"
                           "ddb.adapterType = \"%s\"\n"
                           "ddb.toolsVersion = \"%s\"\n",
                           w->hardware, w->length / BLOCK_SECTOR / (63 * w->heads), w->heads,
                           w->adapter, w->tools);
}

/* The name of extent @i, beside @file: "disk.vmdk" has "disk-s001.vmdk". */
static char *extent_name(const char *file, const Wanted *w, unsigned i)
{
    g_autofree char *base = g_path_get_basename(file), *number = NULL;
    char *dot = strrchr(base, '.');
    g_autofree char *end = g_strdup(dot ? dot : "");

    if (dot) {
        *dot = 0;
    }
    number = w->format->split ? g_strdup_printf("-%c%03u", w->format->flat ? 'f' : 's', i)
                              : g_strdup("-flat");
    return g_strconcat(base, number, end, NULL);
}

static bool make_extents(const char *file, const Wanted *w, GString *text, GError **error)
{
    uint64_t n = 0;

    for (uint64_t at = 0; at < w->length; at += n) {
        g_autofree char *name = extent_name(file, w, (unsigned)(at / SPLIT + 1));
        g_autofree char *path = node_backing_path(file, name);

        n = w->format->split ? MIN(SPLIT, w->length - at) : w->length;
        if (!check_text("the file's name", name, error) || !make_extent(path, w, n, error)) {
            return false;
        }
        g_string_append_printf(text, "RW %" PRIu64 " %s \"%s\"%s\n", n / BLOCK_SECTOR,
                               w->format->flat ? "FLAT" : "SPARSE", name,
                               w->format->flat ? " 0" : "");
    }
    return true;
}

static bool make_described(const char *file, const Wanted *w, GString *text, GError **error)
{
    BlockNode *node;
    int err;

    if (node_is_remote(file)) {
        return create_fail(error, "%s is remote, but would have extents in files", file);
    }
    if (!make_extents(file, w, text, error) || !(node = node_create_file(file, error))) {
        return false;
    }
    end_descriptor(w, text);
    err = node_pwrite(node, 0, text->str, text->len);
    return create_close(node, !err || node_fail_errno(node, error, err, "cannot be written"),
                        error);
}

static bool make_monolithic(const char *file, const Wanted *w, GString *text, GError **error)
{
    g_autofree char *base = g_path_get_basename(file);
    BlockNode *node = NULL;

    if (!check_text("the file's name", base, error) || !(node = node_create_file(file, error))) {
        return false;
    }
    g_string_append_printf(text, "RW %" PRIu64 " SPARSE \"%s\"\n", w->length / BLOCK_SECTOR, base);
    end_descriptor(w, text);
    return create_close(node, write_sparse(node, w, w->length, text, error), error);
}

bool vmdk_create(const char *file, const KeyVals *options, GError **error)
{
    g_autoptr(GString) text = NULL;
    Wanted w;

    if (!read_wanted(file, options, &w, error)) {
        return false;
    }
    text = begin_descriptor(&w);
    return w.format->flat || w.format->split ? make_described(file, &w, text, error)
                                             : make_monolithic(file, &w, text, error);
}

const NodeOptionInfo vmdk_create_options[] = {
    { "adapter_type",
      "Virtual adapter type, can be one of ide (default), lsilogic, buslogic or legacyESX" },
    { "backing_file", "File name of a base image" },
    { "backing_fmt", "Must be 'vmdk' if present" },
    { "compat6", "VMDK version 6 image" },
    { "hwversion", "VMDK hardware version" },
    { "size", "Virtual disk size" },
    { "subformat",
      "VMDK flat extent format, can be one of {monolithicSparse (default) | monolithicFlat | "
      "twoGbMaxExtentSparse | twoGbMaxExtentFlat | streamOptimized} " },
    { "toolsversion", "VMware guest tools version" },
    { "zeroed_grain", "Enable efficient zero writes using the zeroed-grain GTE feature" },
    { NULL, NULL }
};
