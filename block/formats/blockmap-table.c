/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pages of a block map's table that are kept in memory, with those of their sectors marked that the file does not have yet. Guest data
 * may lie beside the table in a page but not in a sector, and what is here of it is old: only marked sectors are written.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/blockmap.h"

enum { PAGE = BLOCKMAP_PAGE, MAX_PAGES = 1024, MAX_DIRTY = 512 };

typedef struct BlockMapCached {
    uint64_t number; /* offset / PAGE */
    uint8_t dirty;   /* a bit for each sector */
    bool writing;
    uint8_t data[PAGE];
} Page;

static gboolean is_clean(void *key, void *value, void *opaque)
{
    const Page *page = value;

    return !page->dirty && !page->writing;
}

static int get_page(BlockMap *m, uint64_t offset, bool peek, Page **found)
{
    BlockNode *file = m->node->file;
    uint64_t number = offset / PAGE;
    struct iovec iov = { NULL, PAGE };
    IovCursor c = { &iov, 1, 0 };
    Page *page;
    int err;

    if (!m->pages) {
        m->pages = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, g_free);
    }
    *found =
        m->last && m->last->number == number ? m->last : g_hash_table_lookup(m->pages, &number);
    if (*found) {
        m->last = *found;
        return 0;
    }
    if (peek) {
        return -EAGAIN;
    }
    if (g_hash_table_size(m->pages) >= MAX_PAGES) {
        m->last = NULL;
        g_hash_table_foreach_remove(m->pages, is_clean, NULL);
    }
    page = g_new0(Page, 1);
    page->number = number;
    iov.iov_base = page->data;
    err = file->driver->read(file, number * PAGE, PAGE, &c); /* zeroes behind the end */
    if (err) {
        g_free(page);
        return err;
    }
    g_hash_table_insert(m->pages, &page->number, page);
    *found = page;
    return 0;
}

int blockmap_table_get(BlockMap *m, uint64_t offset, bool peek, void *value, unsigned bytes)
{
    Page *page;
    int err = get_page(m, offset, peek, &page);

    if (!err) {
        memcpy(value, page->data + offset % PAGE, bytes);
    }
    return err;
}

static void mark(BlockMap *m, Page *page, uint8_t sectors)
{
    m->n_dirty += !page->dirty;
    page->dirty |= sectors;
}

int blockmap_table_set(BlockMap *m, uint64_t offset, const void *value, unsigned bytes)
{
    Page *page;
    int err = get_page(m, offset, false, &page);

    if (!err) {
        memcpy(page->data + offset % PAGE, value, bytes);
        mark(m, page, (uint8_t)(1u << offset % PAGE / BLOCK_SECTOR));
    }
    return err;
}

int blockmap_table_write_through(BlockMap *m, uint64_t offset, const void *value, unsigned bytes)
{
    Page *page;

    if (!get_page(m, offset, true, &page)) {
        memcpy(page->data + offset % PAGE, value, bytes);
    }
    return node_pwrite(m->node->file, offset, value, bytes);
}

void blockmap_table_forget(BlockMap *m)
{
    g_clear_pointer(&m->pages, g_hash_table_unref);
    m->last = NULL;
    m->n_dirty = 0;
}

bool blockmap_table_full(const BlockMap *m)
{
    return __atomic_load_n(&m->n_dirty, __ATOMIC_RELAXED) >= MAX_DIRTY;
}

/* ---- Flush ---- */

typedef struct Copy {
    Page *page;
    uint8_t dirty;
    uint8_t data[PAGE];
} Copy;

/* The dirty pages as they are now; they stay in memory until copies_done(). */
static GPtrArray *copies_of_dirty(BlockMap *m)
{
    GPtrArray *copies = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter i;
    void *value;

    if (!m->n_dirty) {
        return copies;
    }
    g_hash_table_iter_init(&i, m->pages);
    while (g_hash_table_iter_next(&i, NULL, &value)) {
        Page *page = value;

        if (page->dirty) {
            Copy *copy = g_new(Copy, 1);

            copy->page = page;
            copy->dirty = page->dirty;
            memcpy(copy->data, page->data, PAGE);
            page->dirty = 0;
            page->writing = true;
            g_ptr_array_add(copies, copy);
        }
    }
    m->n_dirty = 0;
    return copies;
}

static void copies_done(BlockMap *m, const GPtrArray *copies, bool written)
{
    for (guint i = 0; i < copies->len; i++) {
        Copy *copy = g_ptr_array_index(copies, i);

        copy->page->writing = false;
        if (!written) {
            mark(m, copy->page, copy->dirty);
        }
    }
}

static int write_copy(BlockNode *file, const Copy *copy)
{
    unsigned sectors = PAGE / BLOCK_SECTOR, n;
    int err = 0;

    for (unsigned i = 0; i < sectors && !err; i += n) {
        n = 1;
        if (copy->dirty >> i & 1) {
            while (i + n < sectors && copy->dirty >> (i + n) & 1) {
                n++;
            }
            err = node_pwrite(file, copy->page->number * PAGE + i * BLOCK_SECTOR,
                              copy->data + i * BLOCK_SECTOR, n * BLOCK_SECTOR);
        }
    }
    return err;
}

static int by_number(const void *a, const void *b)
{
    const Copy *const *x = a, *const *y = b;

    return (*x)->page->number < (*y)->page->number ? -1 : 1;
}

static int write_copies(BlockMap *m, const GPtrArray *copies)
{
    g_autofree BlockMapPage *pages = g_new(BlockMapPage, copies->len);
    BlockNode *file = m->node->file;
    int err = 0;

    for (guint i = 0; i < copies->len && !err; i++) {
        const Copy *copy = g_ptr_array_index(copies, i);

        pages[i] = (BlockMapPage){ copy->page->number * PAGE, copy->data };
        err = m->ops->commit ? 0 : write_copy(file, copy);
    }
    if (m->ops->commit) {
        return m->ops->commit(m, pages, copies->len);
    }
    return err ? err : node_flush(file);
}

int blockmap_table_flush(BlockMap *m)
{
    BlockNode *file = m->node->file;
    g_autoptr(GPtrArray) copies = NULL;
    int err;

    g_mutex_lock(&m->lock);
    err = m->ops->before_flush ? m->ops->before_flush(m) : 0;
    if (err) {
        g_mutex_unlock(&m->lock);
        return err;
    }
    copies = copies_of_dirty(m);
    g_mutex_unlock(&m->lock);
    err = node_flush(file);
    if (!copies->len) {
        return err;
    }
    g_ptr_array_sort(copies, by_number);
    err = err ? err : write_copies(m, copies);
    g_mutex_lock(&m->lock);
    copies_done(m, copies, !err);
    g_mutex_unlock(&m->lock);
    return err;
}
