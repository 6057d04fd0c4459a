/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A snapshot as bytes, wherever they are (snapshot-store.c). All numbers are little-endian.
 *
 *     "MENURAST"  u32 version  u32 CRC of the head  u64 length of the head
 *     head: sections: u32 n, name; u32 n, layout; u64 n, data
 *     chunks: u32 area  u32 raw bytes  u32 packed bytes  u32 CRC of the packed data  u64 offset  packed data (a zstd frame)
 *     the last chunk: area ~0, offset: number of chunks
 */
#include "hw/core/snapshot-priv.h"
#include "softmmu/memory-lazy.h"
#include "softmmu/memory.h"
#include "util/bytes.h"
#include <errno.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum {
    VERSION = 1,
    LEVEL = 1,
    MAX_HEAD = 256 << 20,
    MAX_NAME = 1 << 20,
    JOBS_PER_THREAD = 4,
    PAGE = 4096
};
#define MAGIC      "MENURAST"
#define AREA_END   UINT32_MAX
#define PACKED_MAX ((uint32_t)ZSTD_COMPRESSBOUND(SNAPSHOT_CHUNK))

typedef struct Head {
    char magic[8];
    uint32_t version, crc;
    uint64_t length;
} Head;

typedef struct Chunk {
    uint32_t area, bytes, packed, crc;
    uint64_t offset;
} Chunk;

static bool fail(GError **error, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);
static bool fail(GError **error, const char *path, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: %s", path, text);
    return false;
}

static uint32_t crc_of(const void *data, size_t len)
{
    return (uint32_t)crc32_z(0, data, len);
}

/* ---- Sections ---- */

SnapshotSection *snapshot_section_new(GPtrArray *sections, const char *name, const char *layout)
{
    SnapshotSection *s = g_new(SnapshotSection, 1);

    *s = (SnapshotSection){ g_strdup(name), g_strdup(layout), g_byte_array_new() };
    g_ptr_array_add(sections, s);
    return s;
}

SnapshotSection *snapshot_section_find(const GPtrArray *sections, const char *name)
{
    for (unsigned i = 0; i < sections->len; i++) {
        SnapshotSection *s = g_ptr_array_index(sections, i);

        if (!strcmp(s->name, name)) {
            return s;
        }
    }
    return NULL;
}

void snapshot_section_free(void *section)
{
    SnapshotSection *s = section;

    g_free(s->name);
    g_free(s->layout);
    g_byte_array_unref(s->data);
    g_free(s);
}

static void put_text(GByteArray *out, const char *text)
{
    uint32_t n = GUINT32_TO_LE((uint32_t)strlen(text));

    g_byte_array_append(out, (const uint8_t *)&n, sizeof(n));
    g_byte_array_append(out, (const uint8_t *)text, (guint)strlen(text));
}

static GByteArray *pack_sections(const GPtrArray *sections)
{
    GByteArray *out = g_byte_array_new();

    for (unsigned i = 0; i < sections->len; i++) {
        const SnapshotSection *s = g_ptr_array_index(sections, i);
        uint64_t n = GUINT64_TO_LE((uint64_t)s->data->len);

        put_text(out, s->name);
        put_text(out, s->layout);
        g_byte_array_append(out, (const uint8_t *)&n, sizeof(n));
        g_byte_array_append(out, s->data->data, s->data->len);
    }
    return out;
}

typedef struct Cursor {
    const uint8_t *p;
    size_t left;
} Cursor;

static bool take(Cursor *c, void *to, size_t n)
{
    if (n > c->left) {
        return false;
    }
    memcpy(to, c->p, n);
    c->p += n;
    c->left -= n;
    return true;
}

static char *take_text(Cursor *c)
{
    uint32_t n;
    char *text;

    if (!take(c, &n, sizeof(n)) || GUINT32_FROM_LE(n) > MIN(c->left, MAX_NAME)) {
        return NULL;
    }
    text = g_strndup((const char *)c->p, GUINT32_FROM_LE(n));
    c->p += GUINT32_FROM_LE(n);
    c->left -= GUINT32_FROM_LE(n);
    return text;
}

static bool unpack_sections(Cursor c, GPtrArray *sections)
{
    while (c.left) {
        g_autofree char *name = take_text(&c), *layout = name ? take_text(&c) : NULL;
        uint64_t n;

        if (!layout || !take(&c, &n, sizeof(n)) || GUINT64_FROM_LE(n) > c.left) {
            return false;
        }
        n = GUINT64_FROM_LE(n);
        g_byte_array_append(snapshot_section_new(sections, name, layout)->data, c.p, (guint)n);
        c.p += n;
        c.left -= n;
    }
    return true;
}

/* ---- Writing ---- */

struct SnapshotWriter {
    SnapshotStore *store;
    GThreadPool *pool;
    GMutex lock; /* what follows, and the file's end */
    GCond less;
    unsigned jobs, max_jobs;
    uint64_t chunks;
    int err; /* the first one, errno */
};

typedef struct WriteJob {
    Chunk chunk;
    const void *data;
} WriteJob;

static Chunk chunk_le(Chunk c)
{
    return (Chunk){ GUINT32_TO_LE(c.area), GUINT32_TO_LE(c.bytes), GUINT32_TO_LE(c.packed),
                    GUINT32_TO_LE(c.crc), GUINT64_TO_LE(c.offset) };
}

static void write_chunk(SnapshotWriter *w, Chunk chunk, const void *packed)
{
    Chunk le = chunk_le(chunk);

    g_mutex_lock(&w->lock);
    if (!w->err) {
        w->err = snapshot_store_append(w->store, &le, sizeof(le));
    }
    if (!w->err) {
        w->err = snapshot_store_append(w->store, packed, chunk.packed);
    }
    w->chunks++;
    g_mutex_unlock(&w->lock);
}

static void compress_job(gpointer data, gpointer opaque)
{
    SnapshotWriter *w = opaque;
    WriteJob *job = data;

    if (!bytes_are_zero(job->data, job->chunk.bytes)) {
        g_autofree uint8_t *packed = g_malloc(PACKED_MAX);
        size_t n = ZSTD_compress(packed, PACKED_MAX, job->data, job->chunk.bytes, LEVEL);

        g_assert(!ZSTD_isError(n)); /* the room is enough for anything */
        job->chunk.packed = (uint32_t)n;
        job->chunk.crc = crc_of(packed, n);
        write_chunk(w, job->chunk, packed);
    }
    g_mutex_lock(&w->lock);
    w->jobs--;
    g_cond_signal(&w->less);
    g_mutex_unlock(&w->lock);
    g_free(job);
}

static void wait_for_less(SnapshotWriter *w, unsigned jobs)
{
    g_mutex_lock(&w->lock);
    while (w->jobs > jobs) {
        g_cond_wait(&w->less, &w->lock);
    }
    g_mutex_unlock(&w->lock);
}

/* The store has gone elsewhere. */
static void writer_free(SnapshotWriter *w)
{
    g_thread_pool_free(w->pool, FALSE, TRUE);
    g_free(w);
}

SnapshotWriter *snapshot_writer_new(SnapshotStore *store, const GPtrArray *sections)
{
    SnapshotWriter *w = g_new0(SnapshotWriter, 1);
    g_autoptr(GByteArray) body = pack_sections(sections);
    Head head = { .magic = MAGIC,
                  .version = GUINT32_TO_LE(VERSION),
                  .crc = GUINT32_TO_LE(crc_of(body->data, body->len)),
                  .length = GUINT64_TO_LE((uint64_t)body->len) };

    w->store = store;
    w->err = snapshot_store_append(store, &head, sizeof(head));
    w->err = w->err ? w->err : snapshot_store_append(store, body->data, body->len);
    w->max_jobs = g_get_num_processors() * JOBS_PER_THREAD;
    w->pool = g_thread_pool_new(compress_job, w, (int)g_get_num_processors(), FALSE, NULL);
    return w;
}

void snapshot_writer_add(SnapshotWriter *w, unsigned area, uint64_t offset, const void *data,
                         uint32_t bytes)
{
    WriteJob *job = g_new(WriteJob, 1);

    *job = (WriteJob){ { .area = area, .bytes = bytes, .offset = offset }, data };
    g_assert(bytes <= SNAPSHOT_CHUNK);
    wait_for_less(w, w->max_jobs);
    g_mutex_lock(&w->lock);
    w->jobs++;
    g_mutex_unlock(&w->lock);
    g_thread_pool_push(w->pool, job, NULL);
}

void snapshot_writer_wait(SnapshotWriter *w)
{
    wait_for_less(w, 0);
}

void snapshot_writer_abandon(SnapshotWriter *w)
{
    snapshot_writer_wait(w);
    snapshot_store_abandon(w->store);
    writer_free(w);
}

bool snapshot_writer_finish(SnapshotWriter *w, const char *tag, uint64_t clock_ns, GError **error)
{
    int err;
    bool ok;

    snapshot_writer_wait(w);
    write_chunk(w, (Chunk){ .area = AREA_END, .offset = w->chunks }, "");
    err = w->err;
    if (err) {
        fail(error, snapshot_store_name(w->store), "cannot be written: %s", g_strerror(err));
        snapshot_store_abandon(w->store);
    }
    ok = !err && snapshot_store_commit(w->store, tag, clock_ns, error);
    writer_free(w);
    return ok;
}

/* ---- Reading ---- */

typedef struct Place { /* of a chunk */
    Chunk chunk;
    uint64_t at; /* of its packed data in the file */
} Place;

struct SnapshotReader {
    SnapshotStore *store;
    uint64_t at;    /* the first chunk */
    GArray *chunks; /* of Place; a lazy one's sorted by area and offset, so that memory is first */
    bool lazy;
    unsigned n_memory; /* of the chunks, if lazy */
};

void snapshot_reader_free(SnapshotReader *r)
{
    snapshot_store_free(r->store);
    g_array_unref(r->chunks);
    g_free(r);
}

static bool read_at(const SnapshotReader *r, uint64_t at, void *to, size_t n)
{
    return snapshot_store_read(r->store, at, to, n);
}

static bool read_head(SnapshotReader *r, GPtrArray *sections, GError **error)
{
    g_autofree uint8_t *body = NULL;
    Head head;
    uint64_t length;

    if (!read_at(r, 0, &head, sizeof(head)) || memcmp(head.magic, MAGIC, sizeof(head.magic)) != 0) {
        return fail(error, snapshot_store_name(r->store), "is no snapshot of Menura's");
    }
    if (GUINT32_FROM_LE(head.version) != VERSION) {
        return fail(error, snapshot_store_name(r->store),
                    "is a snapshot of version %u; this program knows version %d",
                    GUINT32_FROM_LE(head.version), VERSION);
    }
    length = GUINT64_FROM_LE(head.length);
    if (length <= MIN(snapshot_store_size(r->store), MAX_HEAD)) {
        body = g_malloc(length + 1);
    }
    if (!body || !read_at(r, sizeof(head), body, (size_t)length) ||
        crc_of(body, (size_t)length) != GUINT32_FROM_LE(head.crc) ||
        !unpack_sections((Cursor){ body, (size_t)length }, sections)) {
        return fail(error, snapshot_store_name(r->store), "is damaged (its head)");
    }
    r->at = sizeof(head) + length;
    return true;
}

/* Finds the chunks. False: the file is not whole. */
static bool list_chunks(SnapshotReader *r)
{
    uint64_t at = r->at;

    for (;;) {
        Place place;
        Chunk le;

        if (!read_at(r, at, &le, sizeof(le))) {
            return false;
        }
        place = (Place){ chunk_le(le), at + sizeof(le) }; /* there and back are the same */
        at = place.at + place.chunk.packed;
        if (place.chunk.area == AREA_END) {
            return place.chunk.offset == r->chunks->len && at == snapshot_store_size(r->store);
        }
        if (!place.chunk.bytes || place.chunk.bytes > SNAPSHOT_CHUNK ||
            place.chunk.packed > PACKED_MAX || at > snapshot_store_size(r->store)) {
            return false;
        }
        g_array_append_val(r->chunks, place);
    }
}

static int compare_places(gconstpointer a, gconstpointer b)
{
    const Chunk *x = &((const Place *)a)->chunk, *y = &((const Place *)b)->chunk;

    if (x->area != y->area) {
        return x->area < y->area ? -1 : 1;
    }
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Whole pages of one unit. */
static bool is_in_one_unit(const Chunk *c)
{
    uint64_t unit = memory_lazy_unit();

    return !(c->offset % PAGE) && !(c->bytes % PAGE) && c->offset < ram_size &&
           c->bytes <= ram_size - c->offset &&
           c->offset / unit == (c->offset + c->bytes - 1) / unit;
}

static bool make_lazy(SnapshotReader *r)
{
    g_array_sort(r->chunks, compare_places);
    for (r->n_memory = 0; r->n_memory < r->chunks->len; r->n_memory++) {
        const Chunk *c = &g_array_index(r->chunks, Place, r->n_memory).chunk;

        if (c->area != SNAPSHOT_MEMORY) {
            break;
        }
        if (!is_in_one_unit(c)) {
            return false;
        }
    }
    return true;
}

typedef struct ReadJobs {
    const SnapshotReader *r;
    SnapshotPlace *place; /* NULL: the chunks are only verified */
    SnapshotPlaced *placed;
    void *opaque;
    int failed; /* atomic */
} ReadJobs;

/* The packed data, verified; NULL: they are not what was written. */
static uint8_t *read_packed(const SnapshotReader *r, const Place *p)
{
    g_autofree uint8_t *packed = g_malloc(p->chunk.packed + 1);

    return read_at(r, p->at, packed, p->chunk.packed) &&
                   crc_of(packed, p->chunk.packed) == p->chunk.crc
               ? g_steal_pointer(&packed)
               : NULL;
}

static bool read_chunk(const ReadJobs *jobs, const Place *p)
{
    const Chunk *c = &p->chunk;
    g_autofree uint8_t *packed = read_packed(jobs->r, p);
    void *to;

    if (!packed) {
        return false;
    }
    if (!jobs->place) {
        return ZSTD_getFrameContentSize(packed, c->packed) == c->bytes;
    }
    to = jobs->place(jobs->opaque, c->area, c->offset, c->bytes);
    return to && ZSTD_decompress(to, c->bytes, packed, c->packed) == c->bytes &&
           jobs->placed(jobs->opaque, c->area, c->offset, to, c->bytes);
}

static void read_job(gpointer data, gpointer opaque)
{
    ReadJobs *jobs = opaque;

    if (!read_chunk(jobs, data)) {
        g_atomic_int_set(&jobs->failed, 1);
    }
}

/* All chunks but lazy ones, by all the host's CPUs. */
static bool read_chunks(ReadJobs *jobs)
{
    const GArray *chunks = jobs->r->chunks;
    GThreadPool *pool = g_thread_pool_new(read_job, jobs, (int)g_get_num_processors(), FALSE, NULL);

    for (unsigned i = jobs->r->lazy ? jobs->r->n_memory : 0; i < chunks->len; i++) {
        g_thread_pool_push(pool, &g_array_index(chunks, Place, i), NULL);
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    return !g_atomic_int_get(&jobs->failed);
}

static SnapshotReader *open_reader(SnapshotStore *store, GPtrArray *sections, GError **error)
{
    SnapshotReader *r = g_new0(SnapshotReader, 1);

    r->store = store;
    r->chunks = g_array_new(FALSE, FALSE, sizeof(Place));
    if (!read_head(r, sections, error)) {
        snapshot_reader_free(r);
        return NULL;
    }
    return r;
}

SnapshotReader *snapshot_reader_new(SnapshotStore *store, GPtrArray *sections, bool lazy,
                                    GError **error)
{
    SnapshotReader *r = open_reader(store, sections, error);
    ReadJobs jobs = { .r = r };

    bool ok = r && list_chunks(r);

    if (ok) {
        r->lazy = lazy && make_lazy(r);
        ok = read_chunks(&jobs);
    }
    if (r && !ok) {
        fail(error, snapshot_store_name(store), "is damaged or not whole");
        g_clear_pointer(&r, snapshot_reader_free);
    }
    return r;
}

bool snapshot_sections_read(SnapshotStore *store, GPtrArray *sections, GError **error)
{
    SnapshotReader *r = open_reader(store, sections, error);
    bool ok = r;

    g_clear_pointer(&r, snapshot_reader_free);
    return ok;
}

bool snapshot_reader_run(SnapshotReader *r, SnapshotPlace *place, SnapshotPlaced *placed,
                         void *opaque, GError **error)
{
    ReadJobs jobs = { r, place, placed, opaque, 0 };

    return read_chunks(&jobs) || fail(error, snapshot_store_name(r->store), "cannot be loaded");
}

/* ---- Lazy memory ---- */

bool snapshot_reader_is_lazy(const SnapshotReader *r)
{
    return r->lazy;
}

const char *snapshot_reader_name(const SnapshotReader *r)
{
    return snapshot_store_name(r->store);
}

bool *snapshot_reader_units(const SnapshotReader *r)
{
    bool *units = g_new0(bool, memory_lazy_units());

    for (unsigned i = 0; i < r->n_memory; i++) {
        units[g_array_index(r->chunks, Place, i).chunk.offset / memory_lazy_unit()] = true;
    }
    return units;
}

/* The first chunk at or behind @offset. */
static unsigned find_chunk(const SnapshotReader *r, uint64_t offset)
{
    unsigned low = 0, high = r->n_memory;

    while (low < high) {
        unsigned mid = low + (high - low) / 2;

        if (g_array_index(r->chunks, Place, mid).chunk.offset < offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

bool snapshot_reader_fill(const SnapshotReader *r, uint64_t unit)
{
    uint64_t start = unit * memory_lazy_unit(), end = start + memory_lazy_unit();
    g_autofree uint8_t *data = g_malloc(SNAPSHOT_CHUNK);

    for (unsigned i = find_chunk(r, start); i < r->n_memory; i++) {
        const Place *p = &g_array_index(r->chunks, Place, i);
        const Chunk *c = &p->chunk;
        g_autofree uint8_t *packed = c->offset < end ? read_packed(r, p) : NULL;

        if (c->offset >= end) {
            break;
        }
        if (!packed || ZSTD_decompress(data, SNAPSHOT_CHUNK, packed, c->packed) != c->bytes ||
            !memory_pool_write(c->offset, data, c->bytes)) {
            return false;
        }
    }
    return true;
}
