/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RAM pool: one memfd that backs all RAM and ROM of the machine, mapped into an address range
 * that was reserved at the start, so that ram_base never moves and a RAM page has a number. Pages
 * come into being when they are first touched.
 */
#define _GNU_SOURCE
#include "softmmu/memory-priv.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "softmmu/memory-lazy.h"

/* Of the host; a region that large is aligned to it, and the pool's base too. */
enum { HUGE_PAGE = 2 << 20 };

uint8_t *ram_base;
uint64_t ram_size;

static uint64_t max_size;
static int pool_fd = -1;

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) & ~(to - 1);
}

static bool fail(GError **error, const char *what, uint64_t size)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                "%s %" G_GUINT64_FORMAT " MiB of guest memory: %s", what, size >> 20,
                g_strerror(errno));
    return false;
}

bool memory_init(uint64_t max, GError **error)
{
    void *reserved;

    g_assert(pool_fd < 0);
    max_size = round_up(max, HUGE_PAGE);
    if (max_size < max || max_size > (1ull << 46)) {
        errno = ENOMEM;
        return fail(error, "cannot reserve", max);
    }
    reserved = mmap(NULL, max_size + HUGE_PAGE, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
        return fail(error, "cannot reserve", max_size);
    }
    pool_fd = memfd_create("menura-ram", MFD_CLOEXEC);
    if (pool_fd < 0) {
        return fail(error, "cannot make a file for", max_size);
    }
    ram_base = (uint8_t *)round_up((uintptr_t)reserved, HUGE_PAGE);
    return true;
}

uint64_t memory_max_ram(void)
{
    return max_size;
}

bool memory_pool_next_data(uint64_t from, uint64_t *start, uint64_t *end)
{
    off_t data = lseek(pool_fd, (off_t)from, SEEK_DATA), hole;

    if (data < 0) {
        return false; /* ENXIO: nothing but holes */
    }
    hole = lseek(pool_fd, data, SEEK_HOLE);
    *start = (uint64_t)data;
    *end = hole < 0 ? ram_size : MIN((uint64_t)hole, ram_size);
    return *start < *end;
}

bool memory_pool_write(uint64_t offset, const void *data, uint64_t bytes)
{
    while (bytes) {
        ssize_t n = pwrite(pool_fd, data, bytes, (off_t)offset);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data = (const uint8_t *)data + n;
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return true;
}

void memory_pool_clear(void)
{
    g_assert(!memory_pending);
    memory_set_lost(false);
    if (fallocate(pool_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)ram_size) < 0) {
        memset(ram_base, 0, ram_size);
    }
}

void memory_discard(uint8_t *host, uint64_t len)
{
    uint64_t start = round_up((uint64_t)(host - ram_base), MEM_PAGE);
    uint64_t end = ((uint64_t)(host - ram_base) + len) & ~(uint64_t)(MEM_PAGE - 1);

    if (start < end && fallocate(pool_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
                                 (off_t)(end - start)) < 0) {
        memset(ram_base + start, 0, end - start);
    }
    if (start < end) {
        memory_written(ram_base + start, end - start);
    }
}

bool memory_pool_take(uint64_t size, uint64_t *offset, GError **error)
{
    uint64_t start = size >= HUGE_PAGE ? round_up(ram_size, HUGE_PAGE) : ram_size;

    g_assert(pool_fd >= 0);
    if (start > max_size || size > max_size - start) {
        errno = ENOMEM;
        return fail(error, "cannot get", size);
    }
    if (ftruncate(pool_fd, (off_t)(start + size)) < 0 ||
        mmap(ram_base + start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
             pool_fd, (off_t)start) == MAP_FAILED) {
        return fail(error, "cannot get", size);
    }
    /* Only advice: what the host does not do costs speed, nothing else. */
    madvise(ram_base + start, size, MADV_HUGEPAGE);
    madvise(ram_base + start, size, MADV_DONTDUMP);
    ram_size = start + size;
    *offset = start;
    return true;
}
