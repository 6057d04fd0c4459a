/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Preloaded into the emulator (LD_PRELOAD): notes every change of the files in $WRITE_LOG_FILES (names separated by ':') in the file $WRITE_LOG.
 * One of them is the guest's console (-serial file:...): what is written with write(2) is text. Only what goes through the C library's functions
 * is seen, so aio=threads is needed.
 *
 * While the file $WRITE_LOG_FAULTS begins with "r", "w" or "f" and the number of an error, reads, writes or flushes of these files fail with it.
 *
 * A record is made once the call has ended and before its caller hears of that, so what the guest says comes after what it was told.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "tests/powercut/write-log.h"

enum { MAX_FILES = 16 };

static struct {
    pthread_mutex_t lock;
    int fd;
    struct stat files[MAX_FILES];
    unsigned n_files;
    uint64_t syncs;
    int faults;
} log_state = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1, .faults = -1 };

static void *next_of(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("WRITE_LOG"), *list = getenv("WRITE_LOG_FILES");
    char *names = list ? strdup(list) : NULL, *rest = names;

    for (char *name; (name = strsep(&rest, ":")) && log_state.n_files < MAX_FILES;) {
        if (stat(name, &log_state.files[log_state.n_files++]) < 0) {
            abort();
        }
    }
    free(names);
    if (getenv("WRITE_LOG_FAULTS")) {
        log_state.faults = open(getenv("WRITE_LOG_FAULTS"), O_RDONLY | O_CLOEXEC);
    }
    log_state.fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    if (log_state.fd < 0) {
        abort();
    }
}

/* Its place in the list, or -1. */
static int find_file(int fd)
{
    struct stat st;

    if (log_state.fd >= 0 && fstat(fd, &st) == 0) {
        for (unsigned i = 0; i < log_state.n_files; i++) {
            if (st.st_ino == log_state.files[i].st_ino && st.st_dev == log_state.files[i].st_dev) {
                return (int)i;
            }
        }
    }
    return -1;
}

/* Whether an operation on @file is to fail; errno says how. */
static bool is_fault(int file, char operation)
{
    char text[8] = { 0 };

    if (file < 0 || log_state.faults < 0 ||
        pread(log_state.faults, text, sizeof(text) - 1, 0) < 2 || text[0] != operation) {
        return false;
    }
    errno = atoi(text + 1);
    return true;
}

static void put(const struct iovec *iov, int n, size_t limit)
{
    ssize_t (*real)(int, const void *, size_t) = next_of("write");

    for (int i = 0; i < n && limit; i++) {
        size_t len = iov[i].iov_len < limit ? iov[i].iov_len : limit;

        if (real(log_state.fd, iov[i].iov_base, len) != (ssize_t)len) {
            abort(); /* a log with a gap proves nothing */
        }
        limit -= len;
    }
}

static void note(WriteLogKind kind, int file, uint64_t offset, uint64_t bytes,
                 const struct iovec *iov, int n)
{
    WriteLogRecord r = { kind, (uint32_t)file, offset, bytes };
    struct iovec head = { &r, sizeof(r) }, filler = { (char[8]){ 0 }, 8 };
    int kept = errno;

    pthread_mutex_lock(&log_state.lock);
    put(&head, 1, sizeof(r));
    if (n) {
        put(iov, n, bytes);
        put(&filler, 1, -bytes % 8);
    }
    pthread_mutex_unlock(&log_state.lock);
    errno = kept;
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    ssize_t (*real)(int, const struct iovec *, int, off64_t) = next_of("pwritev64");
    int file = find_file(fd);
    ssize_t done = is_fault(file, 'w') ? -1 : real(fd, iov, n, offset);

    if (file >= 0 && done > 0) {
        note(LOG_WRITE, file, (uint64_t)offset, (uint64_t)done, iov, n);
    }
    return done;
}

ssize_t preadv64(int fd, const struct iovec *iov, int n, off64_t offset)
{
    ssize_t (*real)(int, const struct iovec *, int, off64_t) = next_of("preadv64");

    return is_fault(find_file(fd), 'r') ? -1 : real(fd, iov, n, offset);
}

/* Nothing is at hand while reads fail. */
ssize_t preadv64v2(int fd, const struct iovec *iov, int n, off64_t offset, int flags)
{
    ssize_t (*real)(int, const struct iovec *, int, off64_t, int) = next_of("preadv64v2");

    return is_fault(find_file(fd), 'r') ? -1 : real(fd, iov, n, offset, flags);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t bytes)
{
    int (*real)(int, int, off64_t, off64_t) = next_of("fallocate64");
    int file = find_file(fd), r = is_fault(file, 'w') ? -1 : real(fd, mode, offset, bytes);

    if (file >= 0 && r == 0) {
        bool zero = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);

        note(zero ? LOG_ZERO : LOG_GROW, file, (uint64_t)offset, (uint64_t)bytes, NULL, 0);
    }
    return r;
}

int ftruncate64(int fd, off64_t length)
{
    int (*real)(int, off64_t) = next_of("ftruncate64");
    int file = find_file(fd), r = real(fd, length);

    if (file >= 0 && r == 0) {
        note(LOG_RESIZE, file, (uint64_t)length, 0, NULL, 0);
    }
    return r;
}

int fdatasync(int fd)
{
    int (*real)(int) = next_of("fdatasync");
    int file = find_file(fd), r;
    uint64_t number = __atomic_add_fetch(&log_state.syncs, 1, __ATOMIC_RELAXED);

    if (file >= 0) {
        note(LOG_SYNC_BEGIN, file, number, 0, NULL, 0);
    }
    r = is_fault(file, 'f') ? -1 : real(fd);
    if (file >= 0 && r == 0) {
        note(LOG_SYNC_END, file, number, 0, NULL, 0);
    }
    return r;
}

ssize_t write(int fd, const void *buf, size_t len)
{
    ssize_t (*real)(int, const void *, size_t) = next_of("write");
    int file = find_file(fd);
    struct iovec iov = { (void *)buf, len };

    if (file >= 0) { /* before it is seen: no later than that */
        note(LOG_TEXT, file, 0, len, &iov, 1);
    }
    return real(fd, buf, len);
}
