/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmaps of a qcow2 image: docs/interop/qcow2.txt, "Bitmaps extension" and "Bitmaps". They are read with the header, but their tables and bits only
 * when something asks for them: a cluster of bits ("page") is in memory once it is changed.
 *
 * Enabled bitmaps record writes (qcow2_bitmaps_mark()). Before the first one they are marked as in use in the file, so that after a crash they are
 * known to be wrong. When the image is closed the changed pages, tables and the directory are written to new clusters, and the header switches to
 * them (qcow2_bitmaps_store()); what they replace is free only after that.
 *
 * A directory that makes no sense is treated as if a program that knows no bitmaps had written the image: there are none.
 */
#include <errno.h>
#include <string.h>
#include "block/bitmap.h"
#include "block/formats/qcow2.h"

enum {
    ENTRY_BYTES = 24,
    MAX_BITMAPS = 65535,
    MAX_DIRECTORY = 1024 * MAX_BITMAPS,
    MAX_BITMAP_BYTES = 512 << 20, /* others read no more */
    MIN_GRANULARITY = 9,
    MAX_GRANULARITY = 31,
    DEFAULT_MIN = 4096,
    DEFAULT_MAX = 65536
};

enum { QB_IN_USE = 1, QB_AUTO = 2, QB_EXTRA_COMPATIBLE = 4, QB_KNOWN = 7 };

struct Qcow2Bitmap {
    char *name;
    uint32_t flags;
    uint8_t type, bits; /* of the granularity */
    uint8_t *extra;
    uint32_t extra_size;
    uint64_t table_offset;
    uint32_t table_size; /* entries, in the file */
    uint64_t entry_at;   /* in the file; 0: not there yet */
    bool usable, changed;
    uint64_t *table; /* NULL: not read */
    uint32_t n;      /* of .table and .pages */
    uint8_t **pages; /* NULL: as the table says */
    uint8_t *seen;   /* page @seen_page, only to be read */
    uint32_t seen_page;
};

/* ---- Reading the directory ---- */

static void bitmap_free(gpointer bitmap)
{
    Qcow2Bitmap *b = bitmap;

    for (uint32_t i = 0; b->pages && i < b->n; i++) {
        g_free(b->pages[i]);
    }
    g_free(b->pages);
    g_free(b->table);
    g_free(b->seen);
    g_free(b->extra);
    g_free(b->name);
    g_free(b);
}

static uint64_t exact_length(const Qcow2 *s)
{
    return s->node->exact_length ? s->node->exact_length : s->node->length;
}

static uint64_t bits_for(uint64_t length, unsigned granularity_bits)
{
    return (length >> granularity_bits) + ((length & ((1ull << granularity_bits) - 1)) != 0);
}

/* Table entries that a bitmap of a disk of @length bytes has. */
static uint64_t entries_for(const Qcow2 *s, uint64_t length, unsigned granularity_bits)
{
    return MAX(q_clusters(s, (bits_for(length, granularity_bits) + 7) / 8), 1);
}

static bool table_fits(const Qcow2 *s, const Qcow2Bitmap *b)
{
    uint64_t end = s->node->file->length;

    return b->table_size && (uint64_t)b->table_size << s->cluster_bits <= MAX_BITMAP_BYTES &&
           b->table_offset && b->table_offset % s->cluster_size == 0 && b->table_offset <= end &&
           (uint64_t)b->table_size * 8 <= end - b->table_offset;
}

static bool is_usable(const Qcow2 *s, const Qcow2Bitmap *b)
{
    return !(b->flags & (QB_IN_USE | ~(uint32_t)QB_KNOWN)) && b->type == 1 &&
           b->bits >= MIN_GRANULARITY && b->bits <= MAX_GRANULARITY &&
           (!b->extra_size || (b->flags & QB_EXTRA_COMPATIBLE)) && table_fits(s, b) &&
           b->table_size >= entries_for(s, exact_length(s), b->bits);
}

/* The entry at @*at of @dir, which is moved on; false: it makes no sense. */
static bool read_entry(Qcow2 *s, const uint8_t *dir, uint64_t *at, GHashTable *names)
{
    const uint8_t *e = dir + *at;
    uint64_t left = s->bitmaps_size - *at, bytes;
    uint32_t name_size, extra_size;
    Qcow2Bitmap *b;

    if (left < ENTRY_BYTES) {
        return false;
    }
    name_size = bytes_get_be16(e + 18);
    extra_size = bytes_get_be32(e + 20);
    bytes = ENTRY_BYTES + (uint64_t)extra_size + name_size;
    if (!name_size || name_size > QCOW2_MAX_NAME || bytes > left) {
        return false;
    }
    b = g_new0(Qcow2Bitmap, 1);
    b->table_offset = bytes_get_be64(e);
    b->table_size = bytes_get_be32(e + 8);
    b->flags = bytes_get_be32(e + 12);
    b->type = e[16];
    b->bits = e[17];
    b->extra_size = extra_size;
    b->extra = extra_size ? g_memdup2(e + ENTRY_BYTES, extra_size) : NULL;
    b->name = g_strndup((const char *)e + ENTRY_BYTES + extra_size, name_size);
    b->entry_at = s->bitmaps_offset + *at;
    b->usable = is_usable(s, b);
    g_ptr_array_add(s->bitmaps, b);
    *at += MIN((bytes + 7) / 8 * 8, left);
    return strlen(b->name) == name_size && g_hash_table_add(names, b->name);
}

static bool read_directory(Qcow2 *s)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    uint64_t end = s->node->file->length, at = 0;
    g_autofree uint8_t *dir = NULL;
    bool ok;

    if (!s->n_bitmaps || s->n_bitmaps > MAX_BITMAPS || s->bitmaps_size > MAX_DIRECTORY ||
        s->bitmaps_offset % s->cluster_size || s->bitmaps_offset > end ||
        s->bitmaps_size > end - s->bitmaps_offset) {
        return false;
    }
    dir = g_try_malloc(s->bitmaps_size + 1);
    ok = dir && !qcow2_pread(s, s->bitmaps_offset, dir, s->bitmaps_size);
    for (uint32_t i = 0; i < s->n_bitmaps && ok; i++) {
        ok = read_entry(s, dir, &at, names);
    }
    return ok;
}

/* Those that record writes. */
static void count_recording(Qcow2 *s)
{
    s->bitmaps_recording = 0;
    for (guint i = 0; i < s->bitmaps->len; i++) {
        const Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);

        s->bitmaps_recording += (b->flags & (QB_AUTO | QB_IN_USE)) == QB_AUTO;
    }
}

void qcow2_bitmaps_read(Qcow2 *s)
{
    if ((s->autoclear & Q_BITMAPS) && !read_directory(s)) {
        s->bitmaps_broken = true;
        g_ptr_array_set_size(s->bitmaps, 0);
    }
    count_recording(s);
}

void qcow2_bitmaps_init(Qcow2 *s)
{
    s->bitmaps = g_ptr_array_new_with_free_func(bitmap_free);
    s->bitmaps_freed = g_array_new(FALSE, FALSE, sizeof(Qcow2Run));
}

void qcow2_bitmaps_free(Qcow2 *s)
{
    g_ptr_array_unref(s->bitmaps);
    g_array_unref(s->bitmaps_freed);
}

/* ---- Bits ---- */

static int load_table(Qcow2 *s, Qcow2Bitmap *b)
{
    int err;

    if (b->table) {
        return 0;
    }
    if (!table_fits(s, b)) {
        return -EIO;
    }
    b->table = qcow2_l1_read(s, b->table_offset, b->table_size, &err);
    b->pages = b->table ? g_try_new0(uint8_t *, b->table_size) : NULL;
    if (!b->pages) {
        g_clear_pointer(&b->table, g_free);
        return err ? err : -ENOMEM;
    }
    b->n = b->table_size;
    return 0;
}

/* The cluster of bits as the file has it. */
static int read_page(Qcow2 *s, const Qcow2Bitmap *b, uint32_t i, uint8_t *page)
{
    uint64_t entry = b->table[i], offset = entry & QE_OFFSET;

    if (!offset && entry <= 1) {
        memset(page, entry ? 0xff : 0, s->cluster_size);
        return 0;
    }
    if (entry != offset || offset % s->cluster_size || offset > q_file_length(s)) {
        return -EIO;
    }
    return qcow2_pread(s, offset, page, s->cluster_size);
}

/* To be changed. */
static int get_page(Qcow2 *s, Qcow2Bitmap *b, uint32_t i, uint8_t **page)
{
    uint8_t *new;
    int err;

    if (!b->pages[i]) {
        new = g_try_malloc(s->cluster_size);
        err = new ? read_page(s, b, i, new) : -ENOMEM;
        if (err) {
            g_free(new);
            return err;
        }
        b->pages[i] = new;
    }
    *page = b->pages[i];
    return 0;
}

/* What the file has there is not needed any more once the bitmaps are stored. */
static void give_back(Qcow2 *s, uint64_t offset, uint64_t clusters)
{
    Qcow2Run run = { offset >> s->cluster_bits, clusters };

    if (offset && !qcow2_metadata_at(s, offset)) {
        g_array_append_val(s->bitmaps_freed, run);
    }
}

/* All of it is the same from now on. */
static void flatten_page(Qcow2 *s, Qcow2Bitmap *b, uint32_t i, bool value)
{
    g_clear_pointer(&b->pages[i], g_free);
    g_clear_pointer(&b->seen, g_free);
    give_back(s, b->table[i] & QE_OFFSET, 1);
    b->table[i] = value;
}

static void fill_bits(uint8_t *page, uint64_t from, uint64_t to, bool value)
{
    for (; from < to && from % 8; from++) {
        page[from / 8] =
            (uint8_t)(value ? page[from / 8] | 1u << from % 8 : page[from / 8] & ~(1u << from % 8));
    }
    memset(page + from / 8, value ? 0xff : 0, (to - from) / 8);
    for (from += (to - from) / 8 * 8; from < to; from++) {
        page[from / 8] =
            (uint8_t)(value ? page[from / 8] | 1u << from % 8 : page[from / 8] & ~(1u << from % 8));
    }
}

/* Bits @from .. @to - 1, all of which the table has. */
static int set_bits(Qcow2 *s, Qcow2Bitmap *b, uint64_t from, uint64_t to, bool value)
{
    uint64_t page_bits = s->cluster_size * 8;
    int err = load_table(s, b);

    while (from < to && !err) {
        uint32_t i = (uint32_t)(from / page_bits);
        uint64_t end = MIN(to, (i + 1ull) * page_bits);
        uint8_t *page;

        if (end - from == page_bits) {
            flatten_page(s, b, i, value);
        } else if (!(err = get_page(s, b, i, &page))) {
            fill_bits(page, from % page_bits, (end - 1) % page_bits + 1, value);
        }
        from = end;
    }
    b->changed = s->bitmaps_changed = true;
    return err;
}

static int set_range(Qcow2 *s, Qcow2Bitmap *b, uint64_t offset, uint64_t bytes, bool value)
{
    return set_bits(s, b, offset >> b->bits, ((offset + bytes - 1) >> b->bits) + 1, value);
}

/* How many bits from @from to @to are like the first one, which is *@value. */
static uint64_t run_of_bits(const uint8_t *page, uint64_t from, uint64_t to, bool *value)
{
    uint64_t at = from;

    *value = page[from / 8] >> from % 8 & 1;
    while (at < to) {
        if (at % 8 == 0 && page[at / 8] == (*value ? 0xff : 0)) {
            at = MIN(to, at + 8);
        } else if ((page[at / 8] >> at % 8 & 1) == *value) {
            at++;
        } else {
            break;
        }
    }
    return at - from;
}

/* The same of the bits up to @to in one page. */
static int run_in_page(Qcow2 *s, Qcow2Bitmap *b, uint64_t from, uint64_t to, bool *value,
                       uint64_t *run)
{
    uint64_t page_bits = s->cluster_size * 8, end;
    uint32_t i = (uint32_t)(from / page_bits);
    const uint8_t *page = b->pages[i];
    int err;

    end = MIN(to, (i + 1ull) * page_bits);
    if (!page && b->table[i] <= 1) {
        *value = b->table[i];
        *run = end - from;
        return 0;
    }
    if (!page && (!b->seen || b->seen_page != i)) {
        b->seen = b->seen ? b->seen : g_malloc(s->cluster_size);
        err = read_page(s, b, i, b->seen);
        if (err) {
            g_clear_pointer(&b->seen, g_free);
            return err;
        }
        b->seen_page = i;
    }
    *run = run_of_bits(page ? page : b->seen, from % page_bits, (end - 1) % page_bits + 1, value);
    return 0;
}

/* ---- Recording writes ---- */

/* It cannot be kept right any more. */
static void spoil(Qcow2Bitmap *b)
{
    b->usable = false;
    b->flags |= QB_IN_USE;
}

/* Marks those that record writes (@all: all) as in use, for sure. */
static int begin_use(Qcow2 *s, bool all)
{
    int err = 0;

    for (guint i = 0; i < s->bitmaps->len && !err; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);
        uint8_t flags[4];

        if ((b->flags & QB_IN_USE) || !(all || (b->flags & QB_AUTO))) {
            continue;
        }
        bytes_put_be32(flags, b->flags | QB_IN_USE);
        err = b->entry_at ? node_pwrite(s->node->file, b->entry_at + 12, flags, 4) : 0;
    }
    err = err ? err : node_flush(s->node->file);
    for (guint i = 0; i < s->bitmaps->len && !err; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);

        b->flags |= !b->usable && (b->flags & QB_AUTO) ? QB_IN_USE : 0; /* for good */
    }
    if (!err) {
        s->bitmaps_in_use = s->bitmaps_changed = true;
    }
    return err;
}

int qcow2_bitmaps_mark(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    int err = s->bitmaps_recording && !s->bitmaps_in_use ? begin_use(s, false) : 0;

    for (guint i = 0; i < s->bitmaps->len && s->bitmaps_recording && bytes && !err; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);

        if (b->usable && (b->flags & QB_AUTO) && set_range(s, b, offset, bytes, true)) {
            spoil(b);
        }
    }
    return err;
}

bool qcow2_bitmaps_marked(Qcow2 *s, uint64_t offset, uint64_t bytes)
{
    bool marked = !s->bitmaps_recording || s->bitmaps_in_use;

    for (guint i = 0; i < s->bitmaps->len && s->bitmaps_recording && marked; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);
        uint64_t from = offset >> b->bits, to = ((offset + bytes - 1) >> b->bits) + 1, run;
        uint64_t page_bits = s->cluster_size * 8;
        bool dirty;

        if (b->usable && (b->flags & QB_AUTO)) {
            marked = b->table && from / page_bits == (to - 1) / page_bits &&
                     b->pages[from / page_bits] && !run_in_page(s, b, from, to, &dirty, &run) &&
                     dirty && run == to - from;
        }
    }
    return marked;
}

/* ---- Storing ---- */

static int write_page(Qcow2 *s, const uint8_t *page, uint64_t *entry)
{
    uint64_t got;
    int err;

    *entry = 0;
    if (bytes_are_zero(page, s->cluster_size)) {
        return 0;
    }
    err = qcow2_alloc(s, 1, entry, &got);
    return err ? err : node_pwrite(s->node->file, *entry, page, s->cluster_size);
}

static int write_table(Qcow2 *s, const uint64_t *table, uint32_t n, uint64_t *offset)
{
    g_autofree uint8_t *out = g_try_malloc0(q_clusters(s, (uint64_t)n * 8) << s->cluster_bits);
    int err = out ? qcow2_alloc_exactly(s, q_clusters(s, (uint64_t)n * 8), offset) : -ENOMEM;

    for (uint32_t i = 0; i < n && !err; i++) {
        bytes_put_be64(out + (uint64_t)i * 8, table[i]);
    }
    return err ? err
               : node_pwrite(s->node->file, *offset, out,
                             q_clusters(s, (uint64_t)n * 8) << s->cluster_bits);
}

/* The changed pages and the table, at new places. */
static int write_bitmap(Qcow2 *s, Qcow2Bitmap *b)
{
    uint64_t offset, entry;
    int err = load_table(s, b);

    for (uint32_t i = 0; i < b->n && !err; i++) {
        if (b->pages[i] && !(err = write_page(s, b->pages[i], &entry))) {
            flatten_page(s, b, i, false);
            b->table[i] = entry;
        }
    }
    err = err ? err : write_table(s, b->table, b->n, &offset);
    if (!err) {
        give_back(s, b->table_offset, q_clusters(s, (uint64_t)b->table_size * 8));
        b->table_offset = offset;
        b->table_size = b->n;
        b->changed = false;
    }
    return err;
}

static void put_entry(GByteArray *out, const Qcow2Bitmap *b)
{
    static const uint8_t zeroes[8];
    uint8_t e[ENTRY_BYTES] = { 0 };

    bytes_put_be64(e, b->table_offset);
    bytes_put_be32(e + 8, b->table_size);
    bytes_put_be32(e + 12, b->flags);
    e[16] = b->type;
    e[17] = b->bits;
    bytes_put_be16(e + 18, (uint16_t)strlen(b->name));
    bytes_put_be32(e + 20, b->extra_size);
    g_byte_array_append(out, e, sizeof(e));
    g_byte_array_append(out, b->extra ? b->extra : zeroes, b->extra_size);
    g_byte_array_append(out, (const uint8_t *)b->name, (guint)strlen(b->name));
    g_byte_array_append(out, zeroes, -out->len & 7);
}

/* A new directory, which the header has at the end. */
static int write_directory(Qcow2 *s)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autofree uint64_t *at = g_new(uint64_t, s->bitmaps->len + 1);
    uint64_t offset = 0;
    int err = 0;

    for (guint i = 0; i < s->bitmaps->len; i++) {
        at[i] = out->len;
        put_entry(out, g_ptr_array_index(s->bitmaps, i));
    }
    if (out->len > MAX_DIRECTORY) {
        return -EFBIG;
    }
    if (out->len) {
        err = qcow2_alloc_exactly(s, q_clusters(s, out->len), &offset);
        err = err ? err : node_pwrite(s->node->file, offset, out->data, out->len);
    }
    err = err ? err : qcow2_flush_all(s);
    err = err ? err : qcow2_header_set_bitmaps(s, s->bitmaps->len, out->len, offset);
    if (err) {
        return err;
    }
    qcow2_free(s, s->bitmaps_offset, q_clusters(s, s->bitmaps_size));
    s->n_bitmaps = s->bitmaps->len;
    s->bitmaps_offset = offset;
    s->bitmaps_size = out->len;
    for (guint i = 0; i < s->bitmaps->len; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);

        b->entry_at = offset + at[i];
    }
    return 0;
}

int qcow2_bitmaps_store(Qcow2 *s)
{
    int err = s->bitmaps_changed ? qcow2_prepare_write(s) : 0;

    if (!s->bitmaps_changed) {
        return 0;
    }
    for (guint i = 0; i < s->bitmaps->len && !err; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);

        err = b->changed && b->usable ? write_bitmap(s, b) : 0;
    }
    err = err ? err : write_directory(s);
    if (err) {
        return err;
    }
    for (guint i = 0; i < s->bitmaps_freed->len; i++) {
        const Qcow2Run *run = &g_array_index(s->bitmaps_freed, Qcow2Run, i);

        qcow2_free(s, run->first << s->cluster_bits, run->n);
    }
    g_array_set_size(s->bitmaps_freed, 0);
    s->bitmaps_changed = s->bitmaps_in_use = false;
    count_recording(s);
    return qcow2_flush_all(s);
}

/* ---- Size ---- */

bool qcow2_bitmaps_can_resize(Qcow2 *s, uint64_t length, GError **error)
{
    for (guint i = 0; i < s->bitmaps->len; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);
        int err = b->usable ? load_table(s, b) : 0;

        if (!b->usable) {
            return qcow2_refuse(error, BITMAP_INCONSISTENT, b->name);
        }
        if (err) {
            return node_fail_errno(s->node, error, err, "bitmap '%s' cannot be read", b->name);
        }
        if (entries_for(s, length, b->bits) << s->cluster_bits > MAX_BITMAP_BYTES) {
            return qcow2_refuse(error, "Bitmap '%s' would become too large", b->name);
        }
    }
    return true;
}

int qcow2_bitmaps_resize_begin(Qcow2 *s)
{
    return s->bitmaps->len ? begin_use(s, true) : 0;
}

/* What is behind the end becomes clean. */
static int resize_bitmap(Qcow2 *s, Qcow2Bitmap *b)
{
    uint64_t page_bits = s->cluster_size * 8, bits = bits_for(exact_length(s), b->bits);
    uint32_t n = (uint32_t)entries_for(s, exact_length(s), b->bits);

    for (uint32_t i = n; i < b->n; i++) {
        flatten_page(s, b, i, false);
    }
    b->table = g_realloc_n(b->table, MAX(n, b->n), 8);
    b->pages = g_realloc_n(b->pages, MAX(n, b->n), sizeof(*b->pages));
    for (uint32_t i = b->n; i < n; i++) {
        b->table[i] = 0;
        b->pages[i] = NULL;
    }
    b->n = n;
    b->changed = true;
    return bits < n * page_bits && (b->pages[n - 1] || b->table[n - 1])
               ? set_bits(s, b, bits, n * page_bits, false)
               : 0;
}

int qcow2_bitmaps_resize_end(Qcow2 *s, int err)
{
    for (guint i = 0; i < s->bitmaps->len; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);

        if (b->usable && (err || resize_bitmap(s, b))) {
            spoil(b);
        }
    }
    return err ? err : qcow2_bitmaps_store(s);
}

/* ---- For others ---- */

static Qcow2Bitmap *find(Qcow2 *s, const char *name, guint *index)
{
    for (guint i = 0; i < s->bitmaps->len; i++) {
        Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);

        if (!strcmp(b->name, name)) {
            *index = i;
            return b;
        }
    }
    return NULL;
}

/* With the lock; NULL: it is not there, or not usable. */
static Qcow2Bitmap *find_usable(Qcow2 *s, const char *name, GError **error)
{
    guint index;
    Qcow2Bitmap *b = find(s, name, &index);

    if (!b || !b->usable) {
        qcow2_refuse(error, b ? BITMAP_INCONSISTENT : "Dirty bitmap '%s' not found", name);
        return NULL;
    }
    return b;
}

static GPtrArray *list_bitmaps(BlockNode *node)
{
    Qcow2 *s = node->priv;
    GPtrArray *list = g_ptr_array_new_with_free_func(node_bitmap_free);
    unsigned op;

    qcow2_begin(s, &op);
    for (guint i = 0; i < s->bitmaps->len; i++) {
        const Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);
        NodeBitmap *n = g_new0(NodeBitmap, 1);

        n->name = g_strdup(b->name);
        n->granularity = 1ull << (b->bits & 63);
        n->enabled = b->flags & QB_AUTO;
        n->inconsistent = !b->usable;
        g_ptr_array_add(list, n);
    }
    qcow2_end(s, op);
    return list;
}

static bool check_new(Qcow2 *s, const char *name, uint64_t granularity, GError **error)
{
    guint index;

    if (!*name) {
        return qcow2_refuse(error, "Bitmap name cannot be empty");
    }
    if (strlen(name) > QCOW2_MAX_NAME) {
        return qcow2_refuse(
            error,
            "Can't make bitmap '%s' persistent in '%s': Name length exceeds maximum (%d "
            "characters)",
            name, s->node->name, QCOW2_MAX_NAME);
    }
    if (granularity & (granularity - 1) || granularity < 1u << MIN_GRANULARITY ||
        granularity > 1u << MAX_GRANULARITY) {
        return qcow2_refuse(error, "Granularity must be power of 2 and at least 512");
    }
    if (find(s, name, &index)) {
        return qcow2_refuse(error, "Bitmap already exists: %s", name);
    }
    if (s->version < 3 || s->bitmaps_broken || s->bitmaps->len >= MAX_BITMAPS) {
        return qcow2_refuse(
            error, "Can't make bitmap '%s' persistent in '%s': %s", name, s->node->name,
            s->version < 3      ? "Cannot store dirty bitmaps in qcow2 v2 files"
            : s->bitmaps_broken ? "The directory of bitmaps is damaged"
                                : "Maximum number of persistent bitmaps is already reached");
    }
    if (entries_for(s, exact_length(s), (unsigned)__builtin_ctzll(granularity)) << s->cluster_bits >
        MAX_BITMAP_BYTES) {
        return qcow2_refuse(
            error,
            "Can't make bitmap '%s' persistent in '%s': Too much space will be occupied by "
            "the bitmap. Use larger granularity",
            name, s->node->name);
    }
    return true;
}

static void add_locked(Qcow2 *s, const char *name, uint64_t granularity)
{
    Qcow2Bitmap *b = g_new0(Qcow2Bitmap, 1);

    b->name = g_strdup(name);
    b->flags = QB_AUTO;
    b->type = 1;
    b->bits = (uint8_t)__builtin_ctzll(granularity);
    b->n = (uint32_t)entries_for(s, exact_length(s), b->bits);
    b->table = g_new0(uint64_t, b->n);
    b->pages = g_new0(uint8_t *, b->n);
    b->usable = b->changed = s->bitmaps_changed = true;
    g_ptr_array_add(s->bitmaps, b);
    count_recording(s);
}

static bool add_bitmap(BlockNode *node, const char *name, uint64_t granularity, GError **error)
{
    Qcow2 *s = node->priv;
    bool ok;

    granularity = granularity ? granularity : CLAMP(s->cluster_size, DEFAULT_MIN, DEFAULT_MAX);
    qcow2_alone_begin(s);
    ok = check_new(s, name, granularity, error);
    if (ok) {
        add_locked(s, name, granularity);
    }
    qcow2_alone_end(s);
    return ok;
}

static bool remove_bitmap(BlockNode *node, const char *name, GError **error)
{
    Qcow2 *s = node->priv;
    Qcow2Bitmap *b;
    guint index;

    qcow2_alone_begin(s);
    b = find(s, name, &index);
    if (b && !load_table(s, b)) {
        for (uint32_t i = 0; i < b->n; i++) {
            flatten_page(s, b, i, false);
        }
        give_back(s, b->table_offset, q_clusters(s, (uint64_t)b->table_size * 8));
    }
    if (b) {
        g_ptr_array_remove_index(s->bitmaps, index);
        s->bitmaps_changed = true;
        count_recording(s);
    }
    qcow2_alone_end(s);
    return b || qcow2_refuse(error, "Dirty bitmap '%s' not found", name);
}

static bool enable_bitmap(BlockNode *node, const char *name, bool enabled, GError **error)
{
    Qcow2 *s = node->priv;
    Qcow2Bitmap *b;

    qcow2_alone_begin(s);
    b = find_usable(s, name, error);
    if (b && !!(b->flags & QB_AUTO) != enabled) {
        b->flags ^= QB_AUTO;
        s->bitmaps_changed = true;
        s->bitmaps_in_use = false; /* of those that are enabled now it may not be so in the file */
        count_recording(s);
    }
    qcow2_alone_end(s);
    return b != NULL;
}

static bool set_bitmap(BlockNode *node, const char *name, uint64_t offset, uint64_t bytes,
                       bool dirty, GError **error)
{
    Qcow2 *s = node->priv;
    Qcow2Bitmap *b;
    int err;

    qcow2_alone_begin(s);
    b = find_usable(s, name, error);
    err = b && bytes ? set_range(s, b, offset, bytes, dirty) : 0;
    qcow2_alone_end(s);
    return b && (!err ||
                 qcow2_refuse(error, "Bitmap '%s' cannot be changed: %s", name, g_strerror(-err)));
}

static int status_locked(Qcow2 *s, Qcow2Bitmap *b, uint64_t offset, uint64_t bytes, bool *dirty,
                         uint64_t *run)
{
    uint64_t at = offset >> b->bits, to = ((offset + bytes - 1) >> b->bits) + 1, n = 0;
    int err = load_table(s, b);
    bool value;

    if (!err && (to - 1) / (s->cluster_size * 8) >= b->n) {
        err = -ERANGE; /* of a snapshot that is longer */
    }
    err = err ? err : run_in_page(s, b, at, to, dirty, &n);
    while (!err && (at += n) < to) {
        err = run_in_page(s, b, at, to, &value, &n);
        if (!err && value != *dirty) {
            break;
        }
    }
    *run = MIN(bytes, (at << b->bits) - offset);
    return err;
}

static int bitmap_status(BlockNode *node, const char *name, uint64_t offset, uint64_t bytes,
                         bool *dirty, uint64_t *run)
{
    Qcow2 *s = node->priv;
    Qcow2Bitmap *b;
    unsigned op;
    int err;

    qcow2_begin(s, &op);
    b = find_usable(s, name, NULL);
    err = b ? status_locked(s, b, offset, bytes, dirty, run) : -ENOENT;
    qcow2_end(s, op);
    return err;
}

const BitmapDriver qcow2_bitmap_driver = {
    .list = list_bitmaps,
    .add = add_bitmap,
    .remove = remove_bitmap,
    .enable = enable_bitmap,
    .set = set_bitmap,
    .status = bitmap_status,
};

/* ---- What "info" says ---- */

static void add_info(GPtrArray *keys, GPtrArray *values, guint i, const char *key, char *value)
{
    g_ptr_array_add(keys, g_strdup_printf("bitmaps/%u/%s", i, key));
    g_ptr_array_add(values, value);
}

void qcow2_bitmaps_info(Qcow2 *s, GPtrArray *keys, GPtrArray *values)
{
    for (guint i = 0; i < s->bitmaps->len; i++) {
        const Qcow2Bitmap *b = g_ptr_array_index(s->bitmaps, i);

        add_info(
            keys, values, i, "flags[]",
            g_strdup_printf("%s%s%s", b->flags & QB_IN_USE ? "in-use" : "",
                            (b->flags & (QB_IN_USE | QB_AUTO)) == (QB_IN_USE | QB_AUTO) ? " " : "",
                            b->flags & QB_AUTO ? "auto" : ""));
        add_info(keys, values, i, "name", g_strdup(b->name));
        add_info(keys, values, i, "granularity",
                 g_strdup_printf("%" G_GUINT64_FORMAT, UINT64_C(1) << (b->bits & 63)));
    }
}
