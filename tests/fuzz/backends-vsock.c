/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's end of virtual sockets (net/vsock.h) for fuzzing; see backends.h. Each stream is an allocation: the use of a closed one is seen. */
#include <string.h>
#include "net/vsock.h"
#include "tests/fuzz/backends.h"

enum { MAX_STREAMS = 16, MAX_WRITE = 4096 };

struct VsockHost {
    const VsockOps *ops;
    void *opaque;
};

struct VsockStream {
    void *user;
    size_t readable; /* bytes */
    bool gone, full;
};

static struct {
    VsockHost host;
    VsockStream *streams[MAX_STREAMS];
} self;

static VsockStream *stream_new(void)
{
    for (unsigned i = 0; i < MAX_STREAMS; i++) {
        if (!self.streams[i]) {
            return self.streams[i] = g_new0(VsockStream, 1);
        }
    }
    return NULL;
}

VsockHost *vsock_new(const char *path, const VsockOps *ops, void *opaque, GError **error)
{
    self.host = (VsockHost){ ops, opaque };
    return &self.host;
}

void vsock_free(VsockHost *h)
{
    for (unsigned i = 0; i < MAX_STREAMS; i++) {
        g_clear_pointer(&self.streams[i], g_free);
    }
    self.host.ops = NULL;
}

VsockStream *vsock_open(VsockHost *h, uint32_t port)
{
    return port % 8 ? stream_new() : NULL;
}

void vsock_set_user(VsockStream *s, void *user)
{
    s->user = user;
}

void vsock_accept(VsockStream *s, uint32_t host_port)
{
    s->gone |= !host_port;
}

ssize_t vsock_read(VsockStream *s, const struct iovec *iov, int n)
{
    size_t got = 0;

    for (int i = 0; i < n; i++) {
        size_t piece = MIN(iov[i].iov_len, s->readable);

        memset(iov[i].iov_base, 'v', piece);
        s->readable -= piece;
        got += piece;
    }
    return got ? (ssize_t)got : s->gone ? 0 : -1;
}

ssize_t vsock_write(VsockStream *s, const struct iovec *iov, int n)
{
    size_t put = 0;

    if (s->gone || s->full) {
        return s->gone ? -1 : 0;
    }
    for (int i = 0; i < n && put < MAX_WRITE; i++) {
        size_t piece = MIN(iov[i].iov_len, MAX_WRITE - put);
        uint8_t copy[MAX_WRITE];

        memcpy(copy, iov[i].iov_base, piece);
        put += piece;
    }
    s->full = put == MAX_WRITE;
    return (ssize_t)put;
}

void vsock_shut(VsockStream *s, bool read, bool write)
{
    s->readable = read ? 0 : s->readable;
    s->full |= write;
}

void vsock_close(VsockStream *s)
{
    for (unsigned i = 0; i < MAX_STREAMS; i++) {
        if (self.streams[i] == s) {
            self.streams[i] = NULL;
        }
    }
    g_free(s);
}

static void happen(VsockStream *s, unsigned what, uint32_t value)
{
    static const unsigned kinds[] = { VSOCK_READABLE, VSOCK_WRITABLE, VSOCK_GONE };

    what %= G_N_ELEMENTS(kinds);
    s->readable += what == 0 ? value % 100000 : 0;
    s->full &= what != 1;
    s->gone |= what == 2;
    self.host.ops->ready(self.host.opaque, s->user, kinds[what]);
}

void backends_stream(unsigned n, unsigned what, uint32_t value)
{
    VsockStream *s = self.streams[n % MAX_STREAMS];

    if (!self.host.ops) {
        return;
    }
    if (what % 4 == 3) {
        s = stream_new();
        if (s) {
            self.host.ops->connect(self.host.opaque, s, value);
        }
    } else if (s && s->user) {
        happen(s, what % 4, value);
    }
    self.host.ops->done(self.host.opaque);
}
