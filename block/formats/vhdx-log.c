/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VHDX: the log, a ring of 4-KiB sectors. An entry is a header with descriptors (of zeroes, or of a page of data), and then a sector for
 * each page. Each entry has a number, one more than the one before it, and the place of the first entry that is still needed, its tail; all
 * are found again by their checksums.
 *
 * All numbers are the file's: an entry is used only if every sector of it is what it must be, in order, so that no sector is looked at for
 * more than two entries.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/vhdx.h"

/* Of an entry, and of descriptors: offsets. */
enum {
    XL_CHECKSUM = 4,
    XL_LENGTH = 8,
    XL_TAIL = 12,
    XL_SEQUENCE = 16,
    XL_COUNT = 24,
    XL_GUID = 32,
    XL_FLUSHED = 48,
    XL_LAST = 56,
    XL_DESCRIPTORS = 64
};
enum { XD_BYTES = 32, XD_TRAILING = 4, XD_LEADING = 8, XD_OFFSET = 16, XD_SEQUENCE = 24 };
/* Of a sector of data: the page's bytes but the first 8 and the last 4, which are in the descriptor. */
enum { XS_SEQUENCE_HIGH = 4, XS_DATA = 8, XS_DATA_BYTES = 4084, XS_SEQUENCE_LOW = 4092 };
/* Descriptors that fit into an entry's first sector. */
enum { MAX_PAGES = (VHDX_PAGE - XL_DESCRIPTORS) / XD_BYTES };

typedef struct Entry {
    uint32_t at, bytes, tail, n;
    uint64_t sequence, flushed, last;
} Entry;

static int log_read(const Vhdx *s, uint32_t at, uint8_t *sector)
{
    return node_pread(s->map.node->file, s->log_offset + at % s->log_length, sector, VHDX_PAGE);
}

static uint32_t head_bytes(uint32_t n)
{
    return (uint32_t)bm_round_up(XL_DESCRIPTORS + (uint64_t)n * XD_BYTES, VHDX_PAGE);
}

/* ---- Finding entries ---- */

static bool parse_head(const Vhdx *s, const uint8_t *h, uint32_t at, Entry *e)
{
    *e = (Entry){
        .at = at,
        .bytes = bytes_get_le32(h + XL_LENGTH),
        .tail = bytes_get_le32(h + XL_TAIL),
        .n = bytes_get_le32(h + XL_COUNT),
        .sequence = bytes_get_le64(h + XL_SEQUENCE),
        .flushed = bytes_get_le64(h + XL_FLUSHED),
        .last = bytes_get_le64(h + XL_LAST),
    };
    return !memcmp(h, "loge", 4) && !memcmp(h + XL_GUID, s->header + XH_LOG, VHDX_GUID) &&
           e->bytes >= VHDX_PAGE && e->bytes <= s->log_length && e->bytes % VHDX_PAGE == 0 &&
           e->tail < s->log_length && e->tail % VHDX_PAGE == 0 && e->sequence &&
           e->n <= e->bytes / XD_BYTES && head_bytes(e->n) <= e->bytes;
}

/* The descriptors of one sector, from @from on; *@data counts those of pages. */
static bool check_descriptors(const Entry *e, const uint8_t *sector, uint32_t from, uint32_t first,
                              uint32_t *data)
{
    uint32_t n = MIN(e->n - first, (VHDX_PAGE - from) / XD_BYTES);

    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *d = sector + from + i * XD_BYTES;

        if ((memcmp(d, "desc", 4) && memcmp(d, "zero", 4)) ||
            bytes_get_le64(d + XD_SEQUENCE) != e->sequence) {
            return false;
        }
        *data += d[0] == 'd';
    }
    return true;
}

static bool check_data(const Entry *e, const uint8_t *sector)
{
    return !memcmp(sector, "data", 4) &&
           bytes_get_le32(sector + XS_SEQUENCE_HIGH) == (uint32_t)(e->sequence >> 32) &&
           bytes_get_le32(sector + XS_SEQUENCE_LOW) == (uint32_t)e->sequence;
}

/* An entry that is whole. False: there is none at @at. */
static bool find_entry(const Vhdx *s, uint32_t at, Entry *e)
{
    uint8_t sector[VHDX_PAGE];
    uint32_t crc, wanted, heads, first = 0, data = 0;

    if (log_read(s, at, sector) || !parse_head(s, sector, at, e)) {
        return false;
    }
    wanted = bytes_get_le32(sector + XL_CHECKSUM);
    bytes_put_le32(sector + XL_CHECKSUM, 0);
    crc = vhdx_crc(0, sector, VHDX_PAGE);
    heads = head_bytes(e->n);
    for (uint32_t done = 0; done < heads; done += VHDX_PAGE) {
        uint32_t from = done ? 0 : XL_DESCRIPTORS;

        if (done && log_read(s, at + done, sector)) {
            return false;
        }
        if (!check_descriptors(e, sector, from, first, &data)) {
            return false;
        }
        first += MIN(e->n - first, (VHDX_PAGE - from) / XD_BYTES);
        crc = done ? vhdx_crc(crc, sector, VHDX_PAGE) : crc;
    }
    if (data != (e->bytes - heads) / VHDX_PAGE) {
        return false;
    }
    for (uint32_t done = heads; done < e->bytes; done += VHDX_PAGE) {
        if (log_read(s, at + done, sector) || !check_data(e, sector)) {
            return false;
        }
        crc = vhdx_crc(crc, sector, VHDX_PAGE);
    }
    return crc == wanted;
}

/* Entries that follow each other, the first of which is @first; returns their length. */
static uint64_t follow(const Vhdx *s, const Entry *first, GArray *entries)
{
    uint64_t bytes = first->bytes;
    Entry e = *first, next;

    g_array_set_size(entries, 0);
    g_array_append_val(entries, e);
    while (bytes < s->log_length &&
           find_entry(s, (uint32_t)((first->at + bytes) % s->log_length), &next) &&
           next.sequence == e.sequence + 1 && next.bytes <= s->log_length - bytes) {
        g_array_append_val(entries, next);
        bytes += next.bytes;
        e = next;
    }
    return bytes;
}

/* Only the entries from the last one's tail on are left; false: that is none of them. */
static bool cut_at_tail(GArray *entries)
{
    uint32_t tail = g_array_index(entries, Entry, entries->len - 1).tail;

    for (guint i = 0; i < entries->len; i++) {
        if (g_array_index(entries, Entry, i).at == tail) {
            if (i) {
                g_array_remove_range(entries, 0, i);
            }
            return true;
        }
    }
    return false;
}

/* The newest entries, to be done in order; none if there are no such. */
static GArray *find_active(const Vhdx *s)
{
    GArray *best = g_array_new(FALSE, FALSE, sizeof(Entry));
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(Entry));
    uint64_t newest = 0;

    for (uint64_t at = 0; at < s->log_length;) {
        Entry first;

        if (!find_entry(s, (uint32_t)at, &first)) {
            at += VHDX_PAGE;
            continue;
        }
        at += follow(s, &first, entries);
        if (cut_at_tail(entries) &&
            g_array_index(entries, Entry, entries->len - 1).sequence > newest) {
            GArray *old = best;

            best = entries;
            entries = old;
            newest = g_array_index(best, Entry, best->len - 1).sequence;
        }
    }
    g_array_unref(entries);
    return best;
}

/* ---- Replay ---- */

static bool is_target(const Vhdx *s, uint64_t offset, uint64_t bytes, uint64_t end)
{
    return offset % VHDX_PAGE == 0 && bytes % VHDX_PAGE == 0 && offset >= VHDX_REGIONS_AT &&
           offset <= end && bytes <= end - offset &&
           (offset >= s->log_offset + s->log_length || offset + bytes <= s->log_offset);
}

static int write_page(const Vhdx *s, const uint8_t *d, uint32_t at)
{
    uint8_t page[VHDX_PAGE], sector[VHDX_PAGE];
    int err = log_read(s, at, sector);

    memcpy(page, d + XD_LEADING, 8);
    memcpy(page + 8, sector + XS_DATA, XS_DATA_BYTES);
    memcpy(page + 8 + XS_DATA_BYTES, d + XD_TRAILING, 4);
    return err ? err
               : node_pwrite(s->map.node->file, bytes_get_le64(d + XD_OFFSET), page, VHDX_PAGE);
}

/* -EINVAL: what it says to write must not be. */
static int replay_entry(const Vhdx *s, const Entry *e)
{
    BlockNode *file = s->map.node->file;
    uint32_t data = e->at + head_bytes(e->n);
    uint64_t end = MAX(e->last, file->length);
    uint8_t sector[VHDX_PAGE];
    int err = e->flushed > file->length || e->last > VHDX_MAX_FILE ? -EINVAL : 0;

    for (uint32_t i = 0; i < e->n && !err; i++) {
        uint32_t in = XL_DESCRIPTORS + i * XD_BYTES;
        const uint8_t *d = sector + in % VHDX_PAGE;
        uint64_t offset, bytes;
        bool zero;

        err = i && in % VHDX_PAGE ? 0 : log_read(s, e->at + in / VHDX_PAGE * VHDX_PAGE, sector);
        zero = d[0] == 'z';
        offset = bytes_get_le64(d + XD_OFFSET);
        bytes = zero ? bytes_get_le64(d + XD_LEADING) : VHDX_PAGE;
        if (!err && !is_target(s, offset, bytes, end)) {
            err = -EINVAL;
        } else if (!err && zero) {
            err = node_write_zeroes(file, offset, bytes, true);
        } else if (!err) {
            err = write_page(s, d, data);
            data += VHDX_PAGE;
        }
    }
    return err;
}

static int replay_all(Vhdx *s, const GArray *entries)
{
    BlockNode *file = s->map.node->file;
    uint64_t last = 0;
    int err = 0;

    for (guint i = 0; i < entries->len && !err; i++) {
        const Entry *e = &g_array_index(entries, Entry, i);

        err = replay_entry(s, e);
        last = e->last;
    }
    if (!err && file->length < last) {
        err = node_write_zeroes(file, file->length, last - file->length, true);
    }
    return err ? err : node_flush(file);
}

/* The program that checks images, by the name that this one is called by. */
static char *img_program_name(void)
{
    const char *name = g_get_prgname();
    const char *tail = name ? strrchr(name, '-') : NULL;
    bool image = tail && (!strcmp(tail, "-io") || !strcmp(tail, "-img") || !strcmp(tail, "-nbd"));

    return image ? g_strdup_printf("%.*s-img", (int)(tail - name), name) : g_strdup("menura-img");
}

bool vhdx_log_replay(Vhdx *s, bool readonly, GError **error)
{
    static const uint8_t none[VHDX_GUID];
    BlockNode *node = s->map.node;
    g_autoptr(GArray) entries = NULL;
    int err;

    if (!memcmp(s->header + XH_LOG, none, VHDX_GUID)) {
        return true;
    }
    if (vhdx_get16(s->header + XH_LOG_VERSION)) {
        return node_fail(node, error, "its log is of the unknown version %u",
                         vhdx_get16(s->header + XH_LOG_VERSION));
    }
    entries = find_active(s);
    if (readonly) {
        g_autofree char *program = img_program_name();

        return !entries->len ||
               node_fail(node, error,
                         "VHDX image file '%s' opened read-only, but contains a log that needs to "
                         "be replayed\nTo replay the log, run:\n%s check -r all '%s'",
                         node->name, program, node->name);
    }
    err = replay_all(s, entries);
    if (err == -EINVAL) {
        return node_fail(node, error, "its log is damaged");
    }
    if (!err) {
        memset(s->header + XH_LOG, 0, VHDX_GUID);
        err = vhdx_header_write(s);
    }
    s->replayed = entries->len != 0;
    return !err || node_fail_errno(node, error, err, "its log cannot be replayed");
}

/* ---- Writing ---- */

static int log_begin(Vhdx *s)
{
    int err;

    vhdx_make_guid(s->header + XH_LOG);
    vhdx_put16(s->header + XH_LOG_VERSION, 0);
    err = vhdx_header_write(s);
    s->log_used = !err;
    s->log_at = 0;
    s->log_sequence = 1;
    return err;
}

static int log_write(const Vhdx *s, const uint8_t *entry, uint32_t bytes)
{
    uint32_t first = MIN(bytes, s->log_length - s->log_at);
    BlockNode *file = s->map.node->file;
    int err = node_pwrite(file, s->log_offset + s->log_at, entry, first);

    if (!err && first < bytes) {
        err = node_pwrite(file, s->log_offset, entry + first, bytes - first);
    }
    return err ? err : node_flush(file);
}

static void fill_entry(const Vhdx *s, const BlockMapPage *pages, uint32_t n, uint8_t *entry)
{
    memcpy(entry, "loge", 4);
    bytes_put_le32(entry + XL_LENGTH, (n + 1) * VHDX_PAGE);
    bytes_put_le32(entry + XL_TAIL, s->log_at);
    bytes_put_le64(entry + XL_SEQUENCE, s->log_sequence);
    bytes_put_le32(entry + XL_COUNT, n);
    memcpy(entry + XL_GUID, s->header + XH_LOG, VHDX_GUID);
    bytes_put_le64(entry + XL_FLUSHED, s->flushed);
    bytes_put_le64(entry + XL_LAST, s->flushed);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *d = entry + XL_DESCRIPTORS + i * XD_BYTES, *sector = entry + (i + 1) * VHDX_PAGE;
        const uint8_t *page = pages[i].data;

        memcpy(d, "desc", 4);
        memcpy(d + XD_TRAILING, page + 8 + XS_DATA_BYTES, 4);
        memcpy(d + XD_LEADING, page, 8);
        bytes_put_le64(d + XD_OFFSET, pages[i].offset);
        bytes_put_le64(d + XD_SEQUENCE, s->log_sequence);
        memcpy(sector, "data", 4);
        bytes_put_le32(sector + XS_SEQUENCE_HIGH, (uint32_t)(s->log_sequence >> 32));
        memcpy(sector + XS_DATA, page + 8, XS_DATA_BYTES);
        bytes_put_le32(sector + XS_SEQUENCE_LOW, (uint32_t)s->log_sequence);
    }
    vhdx_seal(entry, (n + 1) * VHDX_PAGE, XL_CHECKSUM);
}

static int commit_some(Vhdx *s, const BlockMapPage *pages, uint32_t n)
{
    g_autofree uint8_t *entry = g_malloc0((n + 1) * VHDX_PAGE);
    BlockNode *file = s->map.node->file;
    int err;

    fill_entry(s, pages, n, entry);
    err = log_write(s, entry, (n + 1) * VHDX_PAGE);
    s->log_at = (s->log_at + (n + 1) * VHDX_PAGE) % s->log_length;
    s->log_sequence++;
    for (uint32_t i = 0; i < n && !err; i++) {
        err = node_pwrite(file, pages[i].offset, pages[i].data, VHDX_PAGE);
    }
    return err ? err : node_flush(file);
}

int vhdx_log_commit(BlockMap *m, const BlockMapPage *pages, unsigned n)
{
    Vhdx *s = (Vhdx *)m;
    int err = s->log_used ? 0 : log_begin(s);

    for (unsigned i = 0; i < n && !err; i += MAX_PAGES) {
        err = commit_some(s, pages + i, MIN(n - i, MAX_PAGES));
    }
    return err;
}

int vhdx_log_close(Vhdx *s)
{
    if (!s->log_used) {
        return 0;
    }
    memset(s->header + XH_LOG, 0, VHDX_GUID);
    return vhdx_header_write(s);
}
