/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See fuzz-file.h. Pages of the lower part are accounted for one by one; what is above was touched, or not.
 */
#include "tests/fuzz/fuzz-file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, LOW_PAGES = 8192, LOW = LOW_PAGES * PAGE };
/* Address space. Zeroes may be written behind it, nothing else. */
#define SPACE (1ull << 36)

enum { HAS_DATA = 1, TOUCHED = 2 };

struct FuzzFile {
    const GByteArray *base;
    uint8_t *data;
    uint64_t length;
    bool high; /* something was written at LOW or above */
    unsigned n_touched;
    uint32_t touched[LOW_PAGES];
    uint8_t pages[LOW_PAGES]; /* HAS_DATA: in the base */
};

/* [@from, SPACE) reads as zeroes, and takes no memory. */
static uint8_t *map_from(uint8_t *data, uint64_t from)
{
    uint8_t *at = mmap(data ? data + from : NULL, SPACE - from, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (data ? MAP_FIXED : 0), -1, 0);

    g_assert(at != MAP_FAILED);
    return at;
}

FuzzFile *fuzz_file_new(const GByteArray *base)
{
    static const uint8_t zeroes[PAGE];
    FuzzFile *f = g_new0(FuzzFile, 1);

    g_assert(base->len <= LOW);
    f->base = base;
    f->data = map_from(NULL, 0);
    memcpy(f->data, base->data, base->len);
    f->length = base->len;
    for (unsigned i = 0; i < LOW_PAGES; i++) {
        f->pages[i] = memcmp(f->data + i * PAGE, zeroes, PAGE) ? HAS_DATA : 0;
    }
    return f;
}

void fuzz_file_reset(FuzzFile *f)
{
    for (unsigned i = 0; i < f->n_touched; i++) {
        uint32_t page = f->touched[i], at = page * PAGE;
        uint32_t n = at < f->base->len ? MIN(PAGE, f->base->len - at) : 0;

        memcpy(f->data + at, f->base->data + at, n);
        memset(f->data + at + n, 0, PAGE - n);
        f->pages[page] &= (uint8_t)~TOUCHED;
    }
    f->n_touched = 0;
    if (f->high) {
        map_from(f->data, LOW);
    }
    f->high = false;
    f->length = f->base->len;
}

uint64_t fuzz_file_length(const FuzzFile *f)
{
    return f->length;
}

const uint8_t *fuzz_file_data(const FuzzFile *f)
{
    return f->data;
}

static void touch(FuzzFile *f, uint64_t from, uint64_t to)
{
    for (uint64_t page = from / PAGE; page * PAGE < MIN(to, LOW); page++) {
        if (!(f->pages[page] & TOUCHED)) {
            f->pages[page] |= TOUCHED;
            f->touched[f->n_touched++] = (uint32_t)page;
        }
    }
    f->high |= to > LOW;
}

void fuzz_file_put(FuzzFile *f, uint64_t offset, const void *bytes, uint64_t n)
{
    touch(f, offset, offset + n);
    memcpy(f->data + offset, bytes, n);
}

bool fuzz_file_is_touched(const FuzzFile *f, uint64_t offset, uint64_t n)
{
    bool touched = false;

    for (uint64_t page = offset / PAGE; page * PAGE < offset + n; page++) {
        touched |= f->pages[page] & TOUCHED;
    }
    return touched;
}

static void set_zero(FuzzFile *f, uint64_t from, uint64_t to)
{
    for (uint64_t at = from, end; at < MIN(to, LOW); at = end) {
        end = MIN(MIN(to, LOW), (at / PAGE + 1) * PAGE);
        if (f->pages[at / PAGE]) {
            touch(f, at, end);
            memset(f->data + at, 0, end - at);
        }
    }
    from = MAX(from, LOW);
    to = MIN(to, SPACE);
    if (f->high && from < to) {
        uint64_t whole = MIN((from + PAGE - 1) / PAGE * PAGE, to),
                 end = MAX(to / PAGE * PAGE, whole);

        memset(f->data + from, 0, whole - from);
        if (end > whole) {
            madvise(f->data + whole, end - whole, MADV_DONTNEED);
        }
        memset(f->data + end, 0, to - end);
    }
}

void fuzz_file_set_length(FuzzFile *f, uint64_t length)
{
    if (length < f->length) {
        set_zero(f, length, f->length);
    }
    f->length = length;
}

/* ---- The node ---- */

static int memory_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    FuzzFile *f = node->priv;
    uint64_t end = MIN(f->length, f->high ? SPACE : LOW);
    uint64_t n = offset < end ? MIN(bytes, end - offset) : 0;

    iov_copy_in(c, f->data + (n ? offset : 0), n);
    iov_zero(c, bytes - n);
    return 0;
}

static void grow_to(BlockNode *node, uint64_t end)
{
    FuzzFile *f = node->priv;

    f->length = MAX(f->length, end);
    node->length = f->length;
}

static int memory_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    FuzzFile *f = node->priv;

    if (offset > SPACE || bytes > SPACE - offset) {
        return -ENOSPC;
    }
    touch(f, offset, offset + bytes);
    iov_copy_out(c, f->data + offset, bytes);
    grow_to(node, offset + bytes);
    return 0;
}

static int memory_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    if (offset > NODE_MAX_LENGTH || bytes > NODE_MAX_LENGTH - offset) {
        return -EFBIG;
    }
    set_zero(node->priv, offset, offset + bytes);
    grow_to(node, offset + bytes);
    return 0;
}

static int memory_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    set_zero(node->priv, offset, offset + bytes);
    return 0;
}

static int memory_flush(BlockNode *node)
{
    return 0;
}

static bool is_hole(const FuzzFile *f, uint64_t offset)
{
    return offset < LOW ? !f->pages[offset / PAGE] : !f->high;
}

static int memory_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    const FuzzFile *f = node->priv;
    bool hole = is_hole(f, offset);
    uint64_t end = offset / PAGE * PAGE + PAGE;

    while (end < offset + bytes && end < LOW && is_hole(f, end) == hole) {
        end += PAGE;
    }
    status->flags = (hole ? NODE_ZERO : NODE_DATA) | NODE_ALLOCATED | NODE_MAPPED;
    status->map = offset;
    status->bytes = offset < LOW ? MIN(bytes, end - offset) : bytes;
    return 0;
}

static bool memory_truncate(BlockNode *node, uint64_t length, NodePrealloc prealloc, GError **error)
{
    fuzz_file_set_length(node->priv, length);
    node->length = length;
    return true;
}

static int memory_close(BlockNode *node)
{
    return 0;
}

BlockNode *fuzz_file_open(FuzzFile *f, const char *name, bool readonly)
{
    static const BlockDriver driver = {
        .name = "memory",
        .is_protocol = true,
        .close = memory_close,
        .read = memory_read,
        .write = memory_write,
        .write_zeroes = memory_write_zeroes,
        .discard = memory_discard,
        .flush = memory_flush,
        .status = memory_status,
        .truncate = memory_truncate,
    };
    BlockNode *node = g_new0(BlockNode, 1);

    node->driver = &driver;
    node->name = g_strdup(name);
    node->readonly = readonly;
    node->length = f->length;
    node->priv = f;
    return node;
}
