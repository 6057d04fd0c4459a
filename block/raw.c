/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw files and host block devices: positioned reads and writes that go on until everything is done, flushes, holes. Any thread; no state
 * but the file descriptor.
 */
#define _GNU_SOURCE
#include "block/block-priv.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW = 64, ZEROES = 1024 * 1024, AT_HAND_MAX = 256 * 1024 };

/*
 * Bytes of one write. For a larger one file systems take memory in as large pieces, which the kernel has to make, or to get back from a host that it
 * is a guest of itself: then 2 MiB at a time are ten times as slow as 256 KiB.
 */
enum { WRITE_MAX = 256 * 1024 };

/* ---- Buffers ---- */

int iov_window(const IovCursor *c, struct iovec *out, int max, uint64_t limit, uint64_t *bytes)
{
    size_t skip = c->skip;
    int n = 0;

    *bytes = 0;
    for (int i = 0; i < c->n && n < max && *bytes < limit; i++, skip = 0) {
        uint64_t len = MIN(c->iov[i].iov_len - skip, limit - *bytes);

        if (len) {
            out[n++] = (struct iovec){ (char *)c->iov[i].iov_base + skip, len };
            *bytes += len;
        }
    }
    return n;
}

void iov_advance(IovCursor *c, uint64_t bytes)
{
    while (bytes) {
        uint64_t left;

        g_assert(c->n > 0);
        left = c->iov->iov_len - c->skip;
        if (bytes < left) {
            c->skip += bytes;
            return;
        }
        bytes -= left;
        c->skip = 0;
        c->iov++;
        c->n--;
    }
}

void iov_copy_in(IovCursor *c, const void *buf, uint64_t bytes)
{
    struct iovec piece;
    uint64_t len;

    while (bytes && iov_window(c, &piece, 1, bytes, &len)) {
        memcpy(piece.iov_base, buf, len);
        iov_advance(c, len);
        buf = (const char *)buf + len;
        bytes -= len;
    }
}

void iov_copy_out(IovCursor *c, void *buf, uint64_t bytes)
{
    struct iovec piece;
    uint64_t len;

    while (bytes && iov_window(c, &piece, 1, bytes, &len)) {
        memcpy(buf, piece.iov_base, len);
        iov_advance(c, len);
        buf = (char *)buf + len;
        bytes -= len;
    }
}

void iov_zero(IovCursor *c, uint64_t bytes)
{
    struct iovec piece;
    uint64_t len;

    while (bytes && iov_window(c, &piece, 1, bytes, &len)) {
        memset(piece.iov_base, 0, len);
        iov_advance(c, len);
        bytes -= len;
    }
}

/* ---- Opening ---- */

static bool fail(GError **error, const char *file, int err, const char *what)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(err), "%s: %s", file, what);
    return false;
}

static bool find_length(int fd, const char *file, uint64_t *length, GError **error)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return fail(error, file, errno, g_strerror(errno));
    }
    if (S_ISREG(st.st_mode)) {
        *length = (uint64_t)st.st_size;
        return true;
    }
    if (!S_ISBLK(st.st_mode)) {
        return fail(error, file, EINVAL,
                    S_ISDIR(st.st_mode) ? "is a directory, not a disk image"
                                        : "is neither a regular file nor a block device");
    }
    return ioctl(fd, BLKGETSIZE64, length) == 0 || fail(error, file, errno, g_strerror(errno));
}

int raw_open(const char *file, bool readonly, uint64_t *length, GError **error)
{
    /* O_NONBLOCK: a FIFO must be refused, not waited for; it changes nothing for files and block devices. */
    int fd = open(file, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == EISDIR) {
        fail(error, file, EISDIR, "is a directory, not a disk image");
        return -1;
    }
    if (fd < 0) {
        int err = errno;
        bool refused =
            !readonly && (err == EACCES || err == EROFS || err == EPERM) && access(file, R_OK) == 0;
        g_autofree char *text = g_strdup_printf(
            "%s%s", g_strerror(err), refused ? " (readonly=on or snapshot=on opens it)" : "");

        fail(error, file, err, text);
        return -1;
    }
    if (!find_length(fd, file, length, error)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- Access ---- */

int raw_read(int fd, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    while (bytes) {
        struct iovec window[WINDOW];
        uint64_t len;
        int n = iov_window(c, window, WINDOW, bytes, &len);
        ssize_t got = preadv(fd, window, n, (off_t)offset);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            iov_zero(c, bytes);
            return 0;
        }
        iov_advance(c, (uint64_t)got);
        offset += (uint64_t)got;
        bytes -= (uint64_t)got;
    }
    return 0;
}

int raw_write(int fd, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    while (bytes) {
        struct iovec window[WINDOW];
        uint64_t len;
        int n = iov_window(c, window, WINDOW, MIN(bytes, WRITE_MAX), &len);
        ssize_t put = pwritev(fd, window, n, (off_t)offset);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? -errno : -ENOSPC;
        }
        iov_advance(c, (uint64_t)put);
        offset += (uint64_t)put;
        bytes -= (uint64_t)put;
    }
    return 0;
}

bool raw_read_at_hand(int fd, uint64_t offset, uint64_t bytes, const struct iovec *iov, int n_iov)
{
    return bytes <= AT_HAND_MAX && n_iov <= IOV_MAX &&
           preadv2(fd, iov, n_iov, (off_t)offset, RWF_NOWAIT) == (ssize_t)bytes;
}

int raw_flush(int fd)
{
    while (fdatasync(fd) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

static int allocate(int fd, int mode, uint64_t offset, uint64_t bytes)
{
    while (fallocate(fd, mode, (off_t)offset, (off_t)bytes) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int raw_discard(int fd, uint64_t offset, uint64_t bytes)
{
    int err = allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);

    return err == -EIO ? err : 0;
}

int raw_allocate(int fd, uint64_t offset, uint64_t bytes)
{
    return allocate(fd, 0, offset, bytes);
}

int raw_fill_zeroes(int fd, uint64_t offset, uint64_t bytes)
{
    g_autofree char *zeroes = g_malloc0(MIN(bytes, ZEROES));
    int err = 0;

    while (bytes && !err) {
        struct iovec iov = { zeroes, MIN(bytes, ZEROES) };
        IovCursor c = { &iov, 1, 0 };

        err = raw_write(fd, offset, iov.iov_len, &c);
        offset += iov.iov_len;
        bytes -= iov.iov_len;
    }
    return err;
}

int raw_write_zeroes(int fd, uint64_t offset, uint64_t bytes, bool unmap)
{
    int hole = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    if ((unmap && allocate(fd, hole, offset, bytes) == 0) ||
        allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, bytes) == 0) {
        return 0;
    }
    return raw_fill_zeroes(fd, offset, bytes);
}
