/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qcow2 header: reading and checking it, its extensions and the backing file's name, and changing it. All but the fixed fields stays
 * as it was found (extensions that are not known, too) until a backing file is set, which makes the area behind the fields anew. Fields
 * are written singly, each within one sector, so that a cut leaves the old or the new value.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/qcow2.h"

enum { FEATURES = 8, FEATURES_BYTES = 8 + FEATURES * 48 };

#define EXT_FORMAT    0xe2792acau
#define EXT_FEATURES  0x6803f857u
#define EXT_BITMAPS   0x23852875u
#define EXT_CRYPT     0x0537be77u
#define EXT_DATA_FILE 0x44415441u

static const uint8_t magic[4] = { 'Q', 'F', 'I', 0xfb };

int qcow2_header_write(Qcow2 *s, uint32_t from, uint32_t to)
{
    return node_pwrite(s->node->file, from, s->head + from, to - from);
}

void qcow2_header_fill(Qcow2 *s)
{
    uint8_t *h = s->head;

    bytes_put_be64(h + QH_SIZE, s->node->exact_length ? s->node->exact_length : s->node->length);
    bytes_put_be32(h + QH_L1_SIZE, s->l1_size);
    bytes_put_be64(h + QH_L1_OFFSET, s->l1_offset);
    bytes_put_be64(h + QH_REFTABLE_OFFSET, s->reftable_offset);
    bytes_put_be32(h + QH_REFTABLE_CLUSTERS, (uint32_t)q_clusters(s, (uint64_t)s->reftable_n * 8));
    bytes_put_be32(h + QH_SNAPSHOTS, s->snapshots->len);
    bytes_put_be64(h + QH_SNAPSHOTS_OFFSET, s->snapshots_offset);
    if (s->version >= 3) {
        bytes_put_be64(h + QH_INCOMPATIBLE, s->incompatible);
        bytes_put_be64(h + QH_COMPATIBLE, s->compatible);
        bytes_put_be64(h + QH_AUTOCLEAR, s->autoclear);
    }
}

int qcow2_set_incompatible(Qcow2 *s, uint64_t features)
{
    uint64_t before = s->incompatible;
    int err;

    s->incompatible = features;
    bytes_put_be64(s->head + QH_INCOMPATIBLE, features);
    err = qcow2_header_write(s, QH_INCOMPATIBLE, QH_INCOMPATIBLE + 8);
    err = err ? err : node_flush(s->node->file);
    if (err) {
        s->incompatible = before;
        bytes_put_be64(s->head + QH_INCOMPATIBLE, before);
    }
    return err;
}

int qcow2_prepare_write(Qcow2 *s)
{
    uint64_t kept = (s->external ? Q_RAW_DATA : 0) | (s->bitmaps_broken ? 0 : Q_BITMAPS);
    int err;

    if (s->modified || s->damaged) {
        return s->damaged ? -EIO : 0;
    }
    if (s->autoclear & ~kept) {
        s->autoclear &= kept;
        bytes_put_be64(s->head + QH_AUTOCLEAR, s->autoclear);
        err = qcow2_header_write(s, QH_AUTOCLEAR, QH_AUTOCLEAR + 8);
        err = err ? err : node_flush(s->node->file);
        if (err) {
            return err;
        }
    }
    if (s->lazy && !(s->incompatible & Q_DIRTY)) {
        err = qcow2_set_incompatible(s, s->incompatible | Q_DIRTY);
        if (err) {
            return err;
        }
        s->dirty = true;
    }
    s->modified = true;
    return 0;
}

int qcow2_mark_clean(Qcow2 *s)
{
    int err = s->dirty ? qcow2_set_incompatible(s, s->incompatible & ~(uint64_t)Q_DIRTY) : 0;

    if (!err) {
        s->modified &= !s->dirty; /* the next write marks it again */
        s->dirty = false;
    }
    return err;
}

/* ---- Reading ---- */

/* The names that the image's own table gives these incompatible features, and the bits that it gives none. */
static char *feature_names(const uint8_t *table, uint32_t bytes, uint64_t bits)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (uint32_t at = 0; table && at + 2 < bytes; at += 48, table += 48) {
        if (table[0] == 0 && table[1] < 64 && bits & 1ull << table[1]) {
            g_autofree char *name = g_strndup((const char *)table + 2, MIN(46, bytes - at - 2));
            g_autofree char *plain = g_str_to_ascii(name, "C");

            g_string_append_printf(text, "%s%s", text->len ? ", " : "", plain);
            bits &= ~(1ull << table[1]);
        }
    }
    if (bits) {
        g_string_append_printf(text, "%sUnknown incompatible feature: %" G_GINT64_MODIFIER "x",
                               text->len ? ", " : "", bits);
    }
    return g_strdup(text->str);
}

static bool check_features(Qcow2 *s, const NodeOptions *options, const uint8_t *table,
                           uint32_t bytes, GError **error)
{
    uint64_t unknown = s->incompatible &
                       ~(uint64_t)(Q_DIRTY | Q_CORRUPT | Q_DATA_FILE | Q_COMPRESSION | Q_EXTENDED);

    if (unknown) {
        g_autofree char *names = feature_names(table, bytes, unknown);

        return node_fail(s->node, error, "Unsupported qcow2 feature(s): %s", names);
    }
    if ((s->incompatible & Q_CORRUPT) && !options->readonly && !options->repair) {
        return node_fail(s->node, error, "Image is corrupt; cannot be opened read/write");
    }
    return true;
}

static bool read_backing_name(Qcow2 *s, GError **error)
{
    uint64_t offset = bytes_get_be64(s->head + QH_BACKING_OFFSET);
    uint32_t size = bytes_get_be32(s->head + QH_BACKING_SIZE);

    if (!offset) {
        return true;
    }
    if (size > QCOW2_MAX_NAME || size > s->cluster_size - offset) {
        return node_fail(s->node, error, "Backing file name too long");
    }
    if (offset < s->header_length) {
        return node_fail(s->node, error, "Invalid backing file offset");
    }
    if (!size) {
        return true;
    }
    s->has_backing = true;
    s->node->backing_name = g_strndup((const char *)s->head + offset, size);
    return true;
}

static bool read_bitmaps(Qcow2 *s, const uint8_t *p, uint32_t len, GError **error)
{
    if (len != 24) {
        return node_fail(s->node, error, "its bitmaps extension has a wrong size");
    }
    s->n_bitmaps = bytes_get_be32(p);
    s->bitmaps_size = bytes_get_be64(p + 8);
    s->bitmaps_offset = bytes_get_be64(p + 16);
    return true;
}

static bool read_extension(Qcow2 *s, uint32_t type, const uint8_t *p, uint32_t len, GError **error)
{
    switch (type) {
    case EXT_FORMAT:
        g_free(s->node->backing_format);
        s->node->backing_format = len ? g_strndup((const char *)p, len) : NULL;
        return true;
    case EXT_DATA_FILE:
        if (len > QCOW2_MAX_NAME) {
            return node_fail(s->node, error, "the name of its data file is too long");
        }
        g_free(s->data_file);
        s->data_file = g_strndup((const char *)p, len);
        return true;
    case EXT_BITMAPS:
        return !(s->autoclear & Q_BITMAPS) || read_bitmaps(s, p, len, error);
    case EXT_CRYPT:
        return node_fail(s->node, error, "is encrypted (LUKS), which is not supported");
    default:
        return true;
    }
}

/* Where the extensions must end. */
static uint64_t extensions_end(const Qcow2 *s)
{
    uint64_t backing = bytes_get_be64(s->head + QH_BACKING_OFFSET);

    return backing && backing < s->cluster_size ? backing : s->cluster_size;
}

static bool read_extensions(Qcow2 *s, const NodeOptions *options, GError **error)
{
    uint64_t at = s->header_length, end = extensions_end(s);
    const uint8_t *features = NULL;
    uint32_t features_len = 0;

    if (bytes_get_be64(s->head + QH_BACKING_OFFSET) > s->cluster_size) {
        return node_fail(s->node, error, "Invalid backing file offset");
    }
    while (at < end && bytes_get_be32(s->head + at)) {
        uint32_t type = bytes_get_be32(s->head + at), len = bytes_get_be32(s->head + at + 4);

        at += 8;
        if (at > end || len > end - at) {
            return node_fail(s->node, error, "Header extension too large");
        }
        if (type == EXT_FEATURES) {
            features = s->head + at;
            features_len = len;
        } else if (!read_extension(s, type, s->head + at, len, error)) {
            return false;
        }
        at += MIN(end - at, ((uint64_t)len + 7) / 8 * 8);
    }
    return check_features(s, options, features, features_len, error);
}

static bool read_v3_fields(Qcow2 *s, GError **error)
{
    const uint8_t *h = s->head;

    if (s->version < 3) {
        s->refcount_order = 4;
        s->header_length = QCOW2_V2_HEADER;
        return true;
    }
    s->incompatible = bytes_get_be64(h + QH_INCOMPATIBLE);
    s->compatible = bytes_get_be64(h + QH_COMPATIBLE);
    s->autoclear = bytes_get_be64(h + QH_AUTOCLEAR);
    s->refcount_order = bytes_get_be32(h + QH_REFCOUNT_ORDER);
    s->header_length = bytes_get_be32(h + QH_LENGTH);
    if (s->header_length > s->cluster_size) {
        return node_fail(s->node, error, "qcow2 header exceeds cluster size");
    }
    if (s->header_length < 104 || s->header_length % 8) {
        return node_fail(s->node, error, "its header has a length of %u bytes", s->header_length);
    }
    if (s->refcount_order > 6) {
        return node_fail(s->node, error, "has refcounts of 2^%u bits", s->refcount_order);
    }
    s->compression = s->header_length > QH_COMPRESSION ? h[QH_COMPRESSION] : 0;
    if (!(s->incompatible & Q_COMPRESSION) != !s->compression) {
        return node_fail(s->node, error, "its compression type contradicts its features");
    }
    if (!qcow2_compression_known(s->compression)) {
        return node_fail(s->node, error, "has compression type %u, which is not supported",
                         s->compression);
    }
    s->external = s->incompatible & Q_DATA_FILE;
    s->extended = s->incompatible & Q_EXTENDED;
    return true;
}

static bool read_length(Qcow2 *s, GError **error)
{
    uint64_t length = bytes_get_be64(s->head + QH_SIZE);

    if (length > NODE_MAX_LENGTH) {
        return node_fail(s->node, error, "says to be %" G_GUINT64_FORMAT " bytes long", length);
    }
    s->node->length = (length + BLOCK_SECTOR - 1) / BLOCK_SECTOR * BLOCK_SECTOR;
    s->node->exact_length = s->node->length == length ? 0 : length;
    return true;
}

static bool read_geometry(Qcow2 *s, const uint8_t *first, GError **error)
{
    uint32_t crypt = bytes_get_be32(first + QH_CRYPT);

    s->version = bytes_get_be32(first + QH_VERSION);
    if (memcmp(first, magic, sizeof(magic))) {
        return node_fail(s->node, error, "is no qcow2 image");
    }
    if (s->version != 2 && s->version != 3) {
        return node_fail(s->node, error, "is of version %u of qcow; supported are 2 and 3",
                         s->version);
    }
    if (crypt) {
        return node_fail(s->node, error, "is encrypted (%s), which is not supported",
                         crypt == 1   ? "AES"
                         : crypt == 2 ? "LUKS"
                                      : "an unknown method");
    }
    s->cluster_bits = bytes_get_be32(first + QH_CLUSTER_BITS);
    if (s->cluster_bits < QCOW2_MIN_BITS || s->cluster_bits > QCOW2_MAX_BITS) {
        return node_fail(s->node, error, "has clusters of 2^%u bytes; supported are 512 to 2M",
                         s->cluster_bits);
    }
    s->cluster_size = 1ull << s->cluster_bits;
    return true;
}

static bool set_derived(Qcow2 *s, GError **error)
{
    if (s->extended && s->cluster_bits < 14) {
        return node_fail(s->node, error, "has extended L2 entries but clusters of less than 16K");
    }
    s->sub_bits = s->cluster_bits - (s->extended ? 5 : 0);
    s->entry_bytes = s->extended ? 16 : 8;
    s->l2_bits = s->cluster_bits - (s->extended ? 4 : 3);
    s->block_entries = s->cluster_size * 8 >> s->refcount_order;
    return true;
}

bool qcow2_header_read(Qcow2 *s, const NodeOptions *options, GError **error)
{
    uint8_t first[QCOW2_V3_HEADER];
    int err = qcow2_pread(s, 0, first, sizeof(first));

    if (err) {
        return node_fail_errno(s->node, error, err, "its header cannot be read");
    }
    if (s->node->file->length < QCOW2_V2_HEADER) {
        return node_fail(s->node, error, "is too short for a qcow2 image");
    }
    if (!read_geometry(s, first, error)) {
        return false;
    }
    s->head = g_malloc(s->cluster_size);
    err = qcow2_pread(s, 0, s->head, s->cluster_size);
    if (err) {
        return node_fail_errno(s->node, error, err, "its header cannot be read");
    }
    return read_length(s, error) && read_v3_fields(s, error) && set_derived(s, error) &&
           read_extensions(s, options, error) && read_backing_name(s, error);
}

/* ---- Writing ---- */

static void put_extension(GByteArray *out, uint32_t type, const void *data, size_t len)
{
    static const uint8_t zeroes[8];
    uint8_t head[8];

    bytes_put_be32(head, type);
    bytes_put_be32(head + 4, (uint32_t)len);
    g_byte_array_append(out, head, 8);
    if (len) {
        g_byte_array_append(out, data, (guint)len);
        g_byte_array_append(out, zeroes, (guint)(-len & 7));
    }
}

/* The names of all features, for programs that do not know them: type, bit and name. */
static void put_features(GByteArray *out)
{
    static const struct {
        uint8_t type, bit;
        const char *name;
    } features[FEATURES] = { { 0, 0, "dirty bit" },
                             { 0, 1, "corrupt bit" },
                             { 0, 2, "external data file" },
                             { 0, 3, "compression type" },
                             { 0, 4, "extended L2 entries" },
                             { 1, 0, "lazy refcounts" },
                             { 2, 0, "bitmaps" },
                             { 2, 1, "raw external data" } };
    uint8_t table[G_N_ELEMENTS(features) * 48] = { 0 };

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        table[i * 48] = features[i].type;
        table[i * 48 + 1] = features[i].bit;
        memcpy(table + i * 48 + 2, features[i].name, strlen(features[i].name));
    }
    put_extension(out, EXT_FEATURES, table, sizeof(table));
}

/* The extensions of the header that are in no way known, or only those of bitmaps (@bitmaps). */
static void keep_extensions(Qcow2 *s, GByteArray *out, bool bitmaps)
{
    uint64_t at = s->header_length, end = extensions_end(s);

    while (at + 8 <= end && bytes_get_be32(s->head + at)) {
        uint32_t type = bytes_get_be32(s->head + at), len = bytes_get_be32(s->head + at + 4);

        at += 8;
        if (len > end - at) {
            return;
        }
        if (bitmaps ? type == EXT_BITMAPS
                    : type != EXT_BITMAPS && type != EXT_FORMAT && type != EXT_DATA_FILE &&
                          type != EXT_FEATURES) {
            put_extension(out, type, s->head + at, len);
        }
        at += MIN(end - at, ((uint64_t)len + 7) / 8 * 8);
    }
}

bool qcow2_header_layout(Qcow2 *s, const char *backing, const char *format, GError **error)
{
    g_autoptr(GByteArray) out = g_byte_array_new(), kept = g_byte_array_new();
    size_t name = backing ? strlen(backing) : 0;

    if (backing && format) {
        put_extension(out, EXT_FORMAT, format, strlen(format));
    }
    if (s->data_file) {
        put_extension(out, EXT_DATA_FILE, s->data_file, strlen(s->data_file));
    }
    keep_extensions(s, kept, true);
    keep_extensions(s, kept, false);
    if (s->header_length > QCOW2_V2_HEADER &&
        s->header_length + out->len + FEATURES_BYTES + kept->len + 8 + name <= s->cluster_size) {
        put_features(out);
    }
    g_byte_array_append(out, kept->data, kept->len);
    put_extension(out, 0, NULL, 0);
    if (name > QCOW2_MAX_NAME || s->header_length + out->len + name > s->cluster_size) {
        return node_fail(s->node, error, "the name of the backing file is too long");
    }
    memset(s->head + s->header_length, 0, s->cluster_size - s->header_length);
    memcpy(s->head + s->header_length, out->data, out->len);
    if (name) {
        memcpy(s->head + s->header_length + out->len, backing, name);
    }
    bytes_put_be64(s->head + QH_BACKING_OFFSET, name ? s->header_length + out->len : 0);
    bytes_put_be32(s->head + QH_BACKING_SIZE, (uint32_t)name);
    return true;
}

/* ---- The extension of bitmaps ---- */

enum { BITMAPS_BODY = 24, BITMAPS_BYTES = 8 + BITMAPS_BODY, HEADER_SECTOR = 512 };

/* Where the extension @type begins in the header; 0: there is none. *@end: where the list ends. */
static uint32_t find_extension(const Qcow2 *s, uint32_t type, uint32_t *end)
{
    uint64_t at = s->header_length, limit = extensions_end(s), found = 0;

    while (at + 8 <= limit && bytes_get_be32(s->head + at)) {
        found = bytes_get_be32(s->head + at) == type ? at : found;
        at += 8 + ((uint64_t)bytes_get_be32(s->head + at + 4) + 7) / 8 * 8; /* was checked */
    }
    *end = (uint32_t)MIN(at, limit);
    return (uint32_t)found;
}

static int write_for_sure(Qcow2 *s, uint32_t from, uint32_t to)
{
    int err = qcow2_header_write(s, from, to);

    return err ? err : node_flush(s->node->file);
}

static int say_bitmaps(Qcow2 *s, bool valid)
{
    s->autoclear = valid ? s->autoclear | Q_BITMAPS : s->autoclear & ~(uint64_t)Q_BITMAPS;
    bytes_put_be64(s->head + QH_AUTOCLEAR, s->autoclear);
    return write_for_sure(s, QH_AUTOCLEAR, QH_AUTOCLEAR + 8);
}

/* In a header of one sector, which is written at once, the names of features may have to go. */
static int drop_features(Qcow2 *s)
{
    uint32_t end, at = find_extension(s, EXT_FEATURES, &end), bytes;

    if (!at || s->cluster_size > HEADER_SECTOR) {
        return -ENOSPC;
    }
    bytes = 8 + (bytes_get_be32(s->head + at + 4) + 7) / 8 * 8;
    memmove(s->head + at, s->head + at + bytes, end - at - bytes);
    memset(s->head + end - bytes, 0, bytes);
    return write_for_sure(s, 0, HEADER_SECTOR);
}

/* Moves the backing file's name away from what is needed up to @end. */
static int move_name(Qcow2 *s, uint32_t end)
{
    uint32_t from = (uint32_t)bytes_get_be64(s->head + QH_BACKING_OFFSET);
    uint32_t bytes = bytes_get_be32(s->head + QH_BACKING_SIZE);
    uint32_t to = MAX(end, (from + bytes + 7) / 8 * 8);
    int err;

    if (!from || from >= end) {
        return 0;
    }
    if (to > s->cluster_size || bytes > s->cluster_size - to) {
        return -ENOSPC;
    }
    memcpy(s->head + to, s->head + from, bytes);
    err = write_for_sure(s, to, to + bytes);
    bytes_put_be64(s->head + QH_BACKING_OFFSET, to);
    return err ? err : write_for_sure(s, QH_BACKING_OFFSET, QH_BACKING_OFFSET + 8);
}

/* At the end of the list, whose end mark is overwritten last. */
static int add_bitmaps(Qcow2 *s, const uint8_t *body)
{
    uint32_t at;
    int err;

    find_extension(s, EXT_BITMAPS, &at);
    if (at + BITMAPS_BYTES + 8 > s->cluster_size) {
        err = drop_features(s);
        if (err) {
            return err;
        }
        find_extension(s, EXT_BITMAPS, &at);
    }
    if (at + 8 > extensions_end(s)) {
        return -ENOSPC;
    }
    err = move_name(s, at + BITMAPS_BYTES + 8);
    if (err) {
        return err;
    }
    memcpy(s->head + at + 8, body, BITMAPS_BODY);
    memset(s->head + at + BITMAPS_BYTES, 0, 8);
    err = write_for_sure(s, at + 8, at + BITMAPS_BYTES + 8);
    bytes_put_be32(s->head + at, EXT_BITMAPS);
    bytes_put_be32(s->head + at + 4, BITMAPS_BODY);
    return err ? err : write_for_sure(s, at, at + 8);
}

static int remove_bitmaps(Qcow2 *s)
{
    uint32_t end, at = find_extension(s, EXT_BITMAPS, &end), after = at + BITMAPS_BYTES;
    int err = s->autoclear & Q_BITMAPS ? say_bitmaps(s, false) : 0;

    if (err || !at) {
        return err;
    }
    if (after >= end) { /* the last one: the list ends here */
        memset(s->head + at, 0, 8);
        return write_for_sure(s, at, at + 8);
    }
    bytes_put_be32(s->head + at, EXT_FEATURES); /* not kept */
    if (!qcow2_header_layout(s, s->node->backing_name, s->node->backing_format, NULL)) {
        return -ENOSPC;
    }
    return write_for_sure(s, 0, (uint32_t)s->cluster_size);
}

int qcow2_header_set_bitmaps(Qcow2 *s, uint32_t n, uint64_t bytes, uint64_t offset)
{
    uint8_t body[BITMAPS_BODY] = { 0 };
    uint32_t end, at = find_extension(s, EXT_BITMAPS, &end);
    int err = 0;

    if (!n) {
        return remove_bitmaps(s);
    }
    bytes_put_be32(body, n);
    bytes_put_be64(body + 8, bytes);
    bytes_put_be64(body + 16, offset);
    if (!at) {
        err = add_bitmaps(s, body);
    } else if (bytes_get_be32(s->head + at + 4) != BITMAPS_BODY) {
        return -EINVAL;
    } else {
        bool torn = (at + 8) / HEADER_SECTOR != (at + BITMAPS_BYTES - 1) / HEADER_SECTOR;

        err = torn && (s->autoclear & Q_BITMAPS) ? say_bitmaps(s, false) : 0;
        memcpy(s->head + at + 8, body, BITMAPS_BODY);
        err = err ? err : write_for_sure(s, at + 8, at + BITMAPS_BYTES);
    }
    return err || (s->autoclear & Q_BITMAPS) ? err : say_bitmaps(s, true);
}
