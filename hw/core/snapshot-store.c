/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a snapshot's bytes are: a file, which gets its name when all is in it, or a disk's image that keeps a machine's state with a snapshot of its
 * own, which is made when all is written.
 */
#include "hw/core/snapshot-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct SnapshotStore {
    char *name;
    uint64_t size; /* to be read, or written up to now */
    /* a file */
    int fd; /* -1: none */
    char *temporary;
    /* an image */
    BlockBackend *blk;
    BlockState *state; /* to be read */
};

static SnapshotStore *store_new(const char *name)
{
    SnapshotStore *s = g_new0(SnapshotStore, 1);

    s->name = g_strdup(name);
    s->fd = -1;
    return s;
}

void snapshot_store_free(SnapshotStore *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    if (s->state) {
        block_state_close(s->state);
    }
    g_free(s->name);
    g_free(s->temporary);
    g_free(s);
}

static SnapshotStore *fail(SnapshotStore *s, const char *what, int err, GError **error)
{
    g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(err), "%s: %s%s", s->name, what,
                g_strerror(err));
    snapshot_store_free(s);
    return NULL;
}

static char *image_name(BlockBackend *blk, const char *tag)
{
    return g_strdup_printf("%s: snapshot '%s'", block_file(blk), tag);
}

const char *snapshot_store_name(const SnapshotStore *s)
{
    return s->name;
}

uint64_t snapshot_store_size(const SnapshotStore *s)
{
    return s->size;
}

/* ---- Opening ---- */

SnapshotStore *snapshot_store_create_file(const char *path, GError **error)
{
    SnapshotStore *s = store_new(path);

    s->temporary = g_strdup_printf("%s.part", path);
    s->fd = open(s->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return s->fd < 0 ? fail(s, "cannot be made: ", errno, error) : s;
}

SnapshotStore *snapshot_store_open_file(const char *path, GError **error)
{
    SnapshotStore *s = store_new(path);
    struct stat st;

    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (s->fd < 0 || fstat(s->fd, &st) < 0) {
        return fail(s, "", errno, error);
    }
    s->size = (uint64_t)st.st_size;
    return s;
}

SnapshotStore *snapshot_store_create_in(BlockBackend *blk, const char *tag, GError **error)
{
    g_autofree char *name = image_name(blk, tag);
    SnapshotStore *s = store_new(name);
    int err = block_state_clear(blk);

    s->blk = blk;
    return err ? fail(s, "cannot be written: ", -err, error) : s;
}

SnapshotStore *snapshot_store_open_in(BlockBackend *blk, const char *id, GError **error)
{
    g_autofree char *name = image_name(blk, id);
    SnapshotStore *s = store_new(name);

    s->blk = blk;
    s->state = block_state_open(blk, id, error);
    if (!s->state) {
        snapshot_store_free(s);
        return NULL;
    }
    s->size = block_state_size(s->state);
    return s;
}

/* ---- Access ---- */

static int write_file(SnapshotStore *s, const void *data, size_t n)
{
    while (n) {
        ssize_t put = write(s->fd, data, n);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return put < 0 ? errno : ENOSPC;
        }
        data = (const char *)data + put;
        n -= (size_t)put;
    }
    return 0;
}

int snapshot_store_append(SnapshotStore *s, const void *data, size_t n)
{
    int err = s->blk ? -block_state_write(s->blk, s->size, data, n) : write_file(s, data, n);

    s->size += err ? 0 : n;
    return err;
}

static bool read_file(const SnapshotStore *s, uint64_t at, void *to, size_t n)
{
    while (n) {
        ssize_t got = pread(s->fd, to, n, (off_t)at);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        to = (char *)to + got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

bool snapshot_store_read(const SnapshotStore *s, uint64_t at, void *to, size_t n)
{
    if (at > s->size || n > s->size - at) {
        return false;
    }
    return s->state ? block_state_read(s->state, at, to, n) == 0 : read_file(s, at, to, n);
}

/* ---- The end of writing ---- */

static bool commit_file(SnapshotStore *s, GError **error)
{
    if (fsync(s->fd) < 0 || rename(s->temporary, s->name) < 0) {
        int err = errno;

        unlink(s->temporary);
        return fail(s, "cannot be written: ", err, error);
    }
    snapshot_store_free(s);
    return true;
}

static bool commit_image(SnapshotStore *s, const char *tag, uint64_t clock_ns, GError **error)
{
    g_autofree char *id = block_snapshot_create(s->blk, tag, s->size, clock_ns, error);

    block_state_clear(s->blk); /* only the snapshot has it from now on; else it is space, no more */
    snapshot_store_free(s);
    return id;
}

bool snapshot_store_commit(SnapshotStore *s, const char *tag, uint64_t clock_ns, GError **error)
{
    return s->blk ? commit_image(s, tag, clock_ns, error) : commit_file(s, error);
}

void snapshot_store_abandon(SnapshotStore *s)
{
    if (s->blk) {
        block_state_clear(s->blk);
    } else {
        unlink(s->temporary);
    }
    snapshot_store_free(s);
}
