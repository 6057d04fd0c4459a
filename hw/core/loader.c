/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files and blobs: reading guest images, finding data files, and the list of what every reset
 * writes into guest memory.
 */
#include "hw/core/loader.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "softmmu/memory.h"
#include "util/size.h"

typedef struct Blob {
    char *name;
    uint64_t addr;
    uint8_t *data; /* NULL: in the file */
    int fd;
    struct timespec written; /* the file, when it was opened */
    size_t size;
    uint64_t zeroes;
} Blob;

static GPtrArray *blobs; /* of Blob * */

/* ---- Files ---- */

static LoaderFile *file_new(const char *name, size_t size)
{
    LoaderFile *file = g_new0(LoaderFile, 1);

    file->name = g_strdup(name);
    file->size = size;
    file->data = g_try_malloc(size + 1);
    if (file->data) {
        file->data[size] = 0;
    }
    return file;
}

static bool file_error(GError **error, const char *name, const char *why)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: %s", name, why);
    return false;
}

static bool check_size(const char *name, const struct stat *st, uint64_t max, GError **error)
{
    g_autofree char *limit = size_format(max), *size = size_format((uint64_t)st->st_size);

    if (!S_ISREG(st->st_mode)) {
        return file_error(error, name,
                          S_ISDIR(st->st_mode) ? "is a directory" : "is not a regular file");
    }
    if (st->st_size == 0) {
        return file_error(error, name, "is empty");
    }
    if ((uint64_t)st->st_size > max) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "%s: has %s, there is room for %s; give more with -m", name, size, limit);
        return false;
    }
    return true;
}

static bool read_all(int fd, LoaderFile *file, GError **error)
{
    size_t at = 0;

    if (!file->data) {
        return file_error(error, file->name, "does not fit into the host's memory");
    }
    while (at < file->size) {
        ssize_t n = read(fd, file->data + at, file->size - at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return file_error(error, file->name,
                              n < 0 ? g_strerror(errno) : "became shorter while it was read");
        }
        at += (size_t)n;
    }
    return true;
}

/* The opened file, or -1. */
static int open_file(const char *name, uint64_t max, struct stat *st, GError **error)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, st) < 0) {
        file_error(error, name, g_strerror(errno));
    } else if (check_size(name, st, max, error)) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static LoaderFile *read_file(const char *name, uint64_t max, uint64_t most, uint64_t *size,
                             GError **error)
{
    g_autoptr(LoaderFile) file = NULL;
    struct stat st;
    int fd = open_file(name, max, &st, error);

    if (fd < 0) {
        return NULL;
    }
    *size = (uint64_t)st.st_size;
    file = file_new(name, (size_t)MIN(*size, most));
    if (!read_all(fd, file, error)) {
        g_clear_pointer(&file, loader_file_free);
    }
    close(fd);
    return g_steal_pointer(&file);
}

LoaderFile *loader_file_read(const char *name, uint64_t max, GError **error)
{
    uint64_t size;

    return read_file(name, max, UINT64_MAX, &size, error);
}

LoaderFile *loader_file_peek(const char *name, uint64_t max, uint64_t *size, GError **error)
{
    return read_file(name, max, 4096, size, error);
}

LoaderFile *loader_file_from(const char *name, const void *data, size_t size)
{
    LoaderFile *file = file_new(name, size);

    memcpy(file->data, data, size);
    return file;
}

void loader_file_free(LoaderFile *file)
{
    if (file) {
        g_free(file->name);
        g_free(file->data);
        g_free(file);
    }
}

static char *find_in(const char *dir, const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);

    return g_file_test(path, G_FILE_TEST_IS_REGULAR) ? g_steal_pointer(&path) : NULL;
}

char *loader_find_data(const char *name, const char *const *dirs, const char *const *system_dirs)
{
    const char *guests = g_getenv("MENURA_GUESTS");
    g_autofree char *cache =
        guests ? g_strdup(guests) : g_build_filename(g_get_user_cache_dir(), "menura", NULL);
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *beside = program ? g_path_get_dirname(program) : g_strdup(".");
    g_autofree char *share = g_build_filename(beside, "..", "share", "menura", NULL);
    const char *own[] = { beside, share, cache, NULL };
    const char *const *lists[] = { dirs, own, system_dirs };

    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        for (const char *const *dir = lists[i]; dir && *dir; dir++) {
            char *path = find_in(*dir, name);

            if (path) {
                return path;
            }
        }
    }
    return NULL;
}

/* ---- Blobs ---- */

static void blob_free(void *data)
{
    Blob *blob = data;

    if (blob->fd >= 0) {
        close(blob->fd);
    }
    g_free(blob->name);
    g_free(blob->data);
    g_free(blob);
}

/* All of [addr, last] is RAM or ROM. */
static bool is_memory(uint64_t addr, uint64_t last)
{
    for (;;) {
        const FlatRange *r = memory_find(memory_view(), addr);

        if (!r || (r->region->kind != MEM_RAM && r->region->kind != MEM_ROM)) {
            return false;
        }
        if (r->last >= last) {
            return true;
        }
        addr = r->last + 1;
    }
}

static const Blob *find_overlap(uint64_t addr, uint64_t last)
{
    for (unsigned i = 0; i < blobs->len; i++) {
        const Blob *b = g_ptr_array_index(blobs, i);

        if (b->addr <= last && addr <= b->addr + b->size + b->zeroes - 1) {
            return b;
        }
    }
    return NULL;
}

static bool check_place(const char *name, uint64_t addr, size_t size, uint64_t zeroes,
                        GError **error)
{
    uint64_t len = size + zeroes, last = addr + len - 1;
    const Blob *other;

    if (len < zeroes || last < addr || !is_memory(addr, last)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "%s: needs %#" PRIx64 " bytes at address %#" PRIx64
                    ", which is not all memory of this machine%s",
                    name, len, addr, is_memory(addr, addr) ? " (more with -m)" : "");
        return false;
    }
    other = find_overlap(addr, last);
    if (other) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "%s: at %#" PRIx64 "-%#" PRIx64 " it overlaps %s at %#" PRIx64 "-%#" PRIx64,
                    name, addr, last, other->name, other->addr,
                    other->addr + other->size + other->zeroes - 1);
        return false;
    }
    return true;
}

/* Keeps @blob, whose contents are taken over even if there is no place for it. */
static bool add(Blob blob, const char *name, GError **error)
{
    Blob *b = g_memdup2(&blob, sizeof(blob));

    b->name = g_strdup(name);
    if (!blobs) {
        blobs = g_ptr_array_new_with_free_func(blob_free);
    }
    if (!check_place(name, b->addr, b->size, b->zeroes, error)) {
        blob_free(b);
        return false;
    }
    g_ptr_array_add(blobs, b);
    return true;
}

bool loader_add_blob(const char *name, uint64_t addr, uint8_t *data, size_t size, uint64_t zeroes,
                     GError **error)
{
    if (size + zeroes == 0) {
        g_free(data);
        return true;
    }
    return add((Blob){ .addr = addr, .data = data, .fd = -1, .size = size, .zeroes = zeroes }, name,
               error);
}

bool loader_add_file(const char *name, uint64_t addr, size_t size, GError **error)
{
    struct stat st;
    int fd = open_file(name, UINT64_MAX, &st, error);

    if (fd < 0) {
        return false;
    }
    return add((Blob){ .addr = addr, .fd = fd, .written = st.st_mtim, .size = size }, name, error);
}

static bool is_unchanged(const Blob *b)
{
    struct stat st;

    return fstat(b->fd, &st) == 0 && st.st_mtim.tv_sec == b->written.tv_sec &&
           st.st_mtim.tv_nsec == b->written.tv_nsec;
}

static void write_file(const Blob *b)
{
    uint64_t at = 0;

    if (!is_unchanged(b)) {
        g_printerr("menura: %s: was changed since the machine started, which now gets what it has "
                   "become; start anew if it does not boot\n",
                   b->name);
    }
    while (at < b->size) {
        uint64_t n = b->size - at;
        void *host = memory_map(b->addr + at, &n, true);
        ssize_t got = host ? pread(b->fd, host, n, (off_t)at) : 0;

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            g_printerr("menura: %s: cannot be read into the machine: %s\n", b->name,
                       got < 0 ? g_strerror(errno) : "it became shorter");
            return;
        }
        memory_written(host, (uint64_t)got);
        at += (uint64_t)got;
    }
}

static void write_zeroes(uint64_t addr, uint64_t len)
{
    static const uint8_t zeroes[4096];

    while (len) {
        uint64_t n = len;
        void *host = memory_map(addr, &n, true);

        if (host) {
            memset(host, 0, n);
            memory_written(host, n);
        } else {
            n = MIN(len, sizeof(zeroes));
            memory_write_rom(addr, zeroes, n);
        }
        addr += n;
        len -= n;
    }
}

void loader_reset(void)
{
    for (unsigned i = 0; blobs && i < blobs->len; i++) {
        const Blob *b = g_ptr_array_index(blobs, i);

        if (b->fd >= 0) {
            write_file(b);
        } else {
            memory_write_rom(b->addr, b->data, b->size);
        }
        write_zeroes(b->addr + b->size, b->zeroes);
    }
}

void loader_clear(void)
{
    g_clear_pointer(&blobs, g_ptr_array_unref);
}
