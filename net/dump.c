/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -object filter-dump: a back end's frames in a pcap file (the classic format, version 2.4), as port and back end exchange them: a large one that
 * is still to be cut is one packet. Frames are written whole, so that the file is readable at any time; only the back end's thread writes.
 */
#include "net/net-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAGIC = 0xa1b2c3d4, LINK_ETHERNET = 1, DEFAULT_MAXLEN = 65536 };

struct NetDump {
    int fd;
    bool to_port, from_port;
    uint32_t maxlen;
};

static bool write_all(int fd, const struct iovec *iov, int n, size_t len)
{
    return writev(fd, iov, n) == (ssize_t)len;
}

void net_dump_frame(NetDump *d, const NetFrame *f, bool to_port)
{
    int64_t now = g_get_real_time();
    uint32_t len = MIN(f->len, d->maxlen);
    uint32_t header[4] = { (uint32_t)(now / G_USEC_PER_SEC), (uint32_t)(now % G_USEC_PER_SEC), len,
                           f->len };
    struct iovec iov[2] = { { header, sizeof(header) }, { (void *)f->data, len } };

    if (d->fd >= 0 && (to_port ? d->to_port : d->from_port) &&
        !write_all(d->fd, iov, 2, sizeof(header) + len)) {
        close(d->fd); /* the disk is full: what is there stays readable */
        d->fd = -1;
    }
}

void net_dump_free(void *dump)
{
    NetDump *d = dump;

    if (d->fd >= 0) {
        close(d->fd);
    }
    g_free(d);
}

static NetDump *fail(NetDump *d, GError **error, int err, const char *key, const char *value)
{
    g_set_error(error, G_FILE_ERROR, err ? g_file_error_from_errno(err) : G_FILE_ERROR_INVAL,
                "filter-dump: %s=%s: %s", key, value ? value : "",
                err ? g_strerror(err) : "wrong or missing");
    net_dump_free(d);
    return NULL;
}

NetDump *net_dump_new(const KeyVals *kv, GError **error)
{
    const char *file = keyvals_get(kv, "file"), *queue = keyvals_get(kv, "queue");
    uint32_t header[6] = { MAGIC, 2 | 4 << 16, 0, 0, 0, LINK_ETHERNET };
    struct iovec iov = { header, sizeof(header) };
    uint64_t maxlen = DEFAULT_MAXLEN;
    NetDump *d = g_new0(NetDump, 1);
    bool on = true;

    d->fd = -1;
    queue = queue ? queue : "all";
    if (!keyvals_get_uint(kv, "filter-dump", "maxlen", 0, UINT32_MAX, &maxlen, error) ||
        !keyvals_get_bool(kv, "filter-dump", "status", &on, error)) {
        net_dump_free(d);
        return NULL;
    }
    d->maxlen = (uint32_t)maxlen;
    header[4] = d->maxlen;
    d->to_port = on && strcmp(queue, "tx");
    d->from_port = on && strcmp(queue, "rx");
    if (strcmp(queue, "tx") && strcmp(queue, "rx") && strcmp(queue, "all")) {
        return fail(d, error, 0, "queue", queue);
    }
    d->fd = file ? open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    if (d->fd < 0 || !write_all(d->fd, &iov, 1, sizeof(header))) {
        return fail(d, error, file ? errno : 0, "file", file);
    }
    return d;
}
