/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See vsock.h. The thread holds the lock except in poll(). A stream that was closed meanwhile is known by its fd of -1; the list that is polled
 * keeps it alive. A descriptor is waited for only as long as somebody wants to know, and never again after its other end went, so the loop cannot
 * spin.
 */
#define _GNU_SOURCE
#include "net/vsock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "net/net-priv.h"

enum { MAX_LINE = 32, MAX_GREETING = 64, BACKLOG = 64, DEAF_MS = 1000 };
enum { PORT_SUFFIX = 11 }; /* "_4294967295" */

struct VsockStream {
    VsockHost *host;
    int refs;
    int fd; /* -1: closed */
    void *user;
    bool wants_read, wants_write, gone;
    bool greeting; /* has not said yet which port it wants */
    char line[MAX_LINE];
    unsigned line_len;
};

struct VsockHost {
    char *path;
    const VsockOps *ops;
    void *opaque;
    int listener, wake_fd;
    GPtrArray *streams;  /* of VsockStream *, a reference each */
    unsigned n_greeting; /* of them */
    GThread *thread;
    bool polling, woken; /* the thread waits; and it will not for long */
    bool deaf;           /* no connection can be taken for a while */
    bool stopping, freed;
};

static GPtrArray *hosts; /* of VsockHost * */

static void stream_unref(void *data)
{
    VsockStream *s = data;

    if (--s->refs == 0) {
        g_free(s);
    }
}

/* The thread is to look at the streams again. */
static void wake(VsockHost *h)
{
    uint64_t one = 1;

    if (h->polling && !h->woken) {
        h->woken = true;
        if (write(h->wake_fd, &one, sizeof(one)) < 0) {
            return; /* the counter is full: it wakes */
        }
    }
}

static VsockStream *stream_new(VsockHost *h, int fd)
{
    VsockStream *s = g_new0(VsockStream, 1);

    s->host = h;
    s->refs = 1;
    s->fd = fd;
    g_ptr_array_add(h->streams, s);
    wake(h);
    return s;
}

/* ---- Streams, for the device ---- */

static bool fill_address(const char *path, struct sockaddr_un *addr)
{
    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    return g_strlcpy(addr->sun_path, path, sizeof(addr->sun_path)) < sizeof(addr->sun_path);
}

/* A socket that is connected to whoever listens at @path, or -1. */
static int connect_to(const char *path)
{
    struct sockaddr_un addr;
    int fd = -1;

    if (fill_address(path, &addr)) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

VsockStream *vsock_open(VsockHost *h, uint32_t port)
{
    g_autofree char *path = g_strdup_printf("%s_%u", h->path, port);
    int fd = connect_to(path);

    return fd >= 0 ? stream_new(h, fd) : NULL;
}

void vsock_set_user(VsockStream *s, void *user)
{
    s->user = user;
}

void vsock_accept(VsockStream *s, uint32_t host_port)
{
    g_autofree char *line = g_strdup_printf("OK %u\n", host_port);
    struct iovec iov = { line, strlen(line) };

    vsock_write(s, &iov, 1); /* the first bytes have room; if nobody is there, that will be seen */
}

ssize_t vsock_read(VsockStream *s, const struct iovec *iov, int n)
{
    ssize_t got = readv(s->fd, iov, n);

    if (got >= 0 || (errno != EAGAIN && errno != EINTR) || s->gone) {
        return MAX(got, 0);
    }
    s->wants_read = true;
    wake(s->host);
    return -1;
}

ssize_t vsock_write(VsockStream *s, const struct iovec *iov, int n)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
    ssize_t put = sendmsg(s->fd, &msg, MSG_NOSIGNAL);

    if (put >= 0) {
        return put;
    }
    if (errno != EAGAIN && errno != EINTR) {
        return -1;
    }
    s->wants_write = true;
    wake(s->host);
    return 0;
}

void vsock_shut(VsockStream *s, bool read, bool write)
{
    if (read || write) {
        shutdown(s->fd, read && write ? SHUT_RDWR : read ? SHUT_RD : SHUT_WR);
    }
}

/* The shutdown is seen by the other end at once, and by poll(), which holds the socket as long as it waits for it. */
void vsock_close(VsockStream *s)
{
    VsockHost *h = s->host;

    h->n_greeting -= s->greeting;
    shutdown(s->fd, SHUT_RDWR);
    close(s->fd);
    s->fd = -1;
    wake(h);
    g_ptr_array_remove_fast(h->streams, s);
}

/* ---- The thread ---- */

static void take_connection(VsockHost *h)
{
    int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    VsockStream *s;

    if (fd < 0) {
        h->deaf = errno != EAGAIN && errno != EINTR && errno != ECONNABORTED;
        return;
    }
    s = stream_new(h, fd);
    s->greeting = s->wants_read = true;
    h->n_greeting++;
}

static bool parse_greeting(VsockStream *s, uint32_t *port)
{
    static const char word[] = "CONNECT ";
    guint64 value = 0;
    bool good;

    s->line[s->line_len] = 0;
    good = g_str_has_prefix(s->line, word) &&
           g_ascii_string_to_unsigned(s->line + strlen(word), 10, 0, UINT32_MAX, &value, NULL);
    *port = (uint32_t)value;
    return good;
}

/* Byte by byte, as what follows the line is for the guest. */
static void read_greeting(VsockStream *s)
{
    VsockHost *h = s->host;
    uint32_t port;
    char c = 0;

    while (c != '\n') {
        struct iovec iov = { &c, 1 };
        ssize_t got = vsock_read(s, &iov, 1);

        if (got < 0) {
            return;
        }
        if (got == 0 || (c != '\n' && s->line_len == MAX_LINE - 1)) {
            vsock_close(s);
            return;
        }
        s->line[s->line_len++] = c;
    }
    s->line_len--;
    if (!parse_greeting(s, &port)) {
        vsock_close(s);
        return;
    }
    s->greeting = false;
    h->n_greeting--;
    h->ops->connect(h->opaque, s, port);
}

static void handle_stream(VsockStream *s, short revents)
{
    unsigned what = (revents & POLLIN ? VSOCK_READABLE : 0) |
                    (revents & POLLOUT ? VSOCK_WRITABLE : 0) |
                    (revents & (POLLHUP | POLLERR) ? VSOCK_GONE : 0);

    s->wants_read &= !(what & VSOCK_READABLE);
    s->wants_write &= !(what & VSOCK_WRITABLE);
    s->gone |= !!(what & VSOCK_GONE);
    if (what && s->greeting) {
        read_greeting(s);
    } else if (what) {
        s->host->ops->ready(s->host->opaque, s->user, what);
    }
}

/* What to wait for: the wake-up, the listener, and the streams of @polled. */
static void fill(VsockHost *h, GArray *fds, GPtrArray *polled)
{
    bool full = h->deaf || h->n_greeting >= MAX_GREETING;

    g_array_set_size(fds, 0);
    g_ptr_array_set_size(polled, 0);
    net_add_poll(fds, h->wake_fd, POLLIN);
    net_add_poll(fds, full ? -1 : h->listener, POLLIN);
    for (unsigned i = 0; i < h->streams->len; i++) {
        VsockStream *s = g_ptr_array_index(h->streams, i);

        if (!s->gone) {
            s->refs++;
            g_ptr_array_add(polled, s);
            net_add_poll(fds, s->fd,
                         (short)((s->wants_read ? POLLIN : 0) | (s->wants_write ? POLLOUT : 0)));
        }
    }
}

/* Without the lock in between. False: nothing happened. */
static bool wait_for_streams(VsockHost *h, GArray *fds)
{
    uint64_t count;
    int n;

    h->polling = true;
    h->woken = false;
    net_leave_lock();
    n = poll((struct pollfd *)(void *)fds->data, fds->len, h->deaf ? DEAF_MS : -1);
    net_take_lock();
    h->polling = false;
    h->deaf = false;
    if (n > 0 && g_array_index(fds, struct pollfd, 0).revents &&
        read(h->wake_fd, &count, sizeof(count)) < 0) {
        return true; /* somebody else's wake-up was read before */
    }
    return n > 0;
}

static void host_free(VsockHost *h)
{
    g_ptr_array_unref(h->streams);
    close(h->listener);
    close(h->wake_fd);
    g_free(h->path);
    g_free(h);
}

static gpointer run_thread(gpointer data)
{
    VsockHost *h = data;
    GArray *fds = g_array_new(FALSE, TRUE, sizeof(struct pollfd));
    GPtrArray *polled = g_ptr_array_new_with_free_func(stream_unref);

    net_take_lock();
    while (!h->stopping) {
        fill(h, fds, polled);
        if (!wait_for_streams(h, fds)) {
            continue;
        }
        for (unsigned i = 0; i < polled->len && !h->stopping; i++) {
            VsockStream *s = g_ptr_array_index(polled, i);

            if (s->fd >= 0) {
                handle_stream(s, g_array_index(fds, struct pollfd, i + 2).revents);
            }
        }
        if (!h->stopping && g_array_index(fds, struct pollfd, 1).revents) {
            take_connection(h);
        }
        if (!h->stopping) {
            h->ops->done(h->opaque);
        }
    }
    g_ptr_array_unref(polled);
    if (h->freed) {
        host_free(h);
    }
    net_leave_lock();
    g_array_unref(fds);
    return NULL;
}

/* ---- Hosts ---- */

static bool refuse(GError **error, const char *path, const char *why)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: %s", path, why);
    return false;
}

/* A file that a program left behind would refuse the bind; one that is served stays. */
static bool remove_stale_socket(const char *path, GError **error)
{
    struct stat st;
    int fd = connect_to(path);

    if (fd >= 0 || errno == EAGAIN) {
        if (fd >= 0) {
            close(fd);
        }
        return refuse(error, path, "another program listens there");
    }
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(path);
    }
    return true;
}

static bool start_listening(VsockHost *h, GError **error)
{
    struct sockaddr_un addr;

    if (!fill_address(h->path, &addr) || strlen(h->path) + PORT_SUFFIX >= sizeof(addr.sun_path)) {
        return refuse(error, h->path, "the path is too long for sockets");
    }
    if (!remove_stale_socket(h->path, error)) {
        return false;
    }
    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->wake_fd < 0 || h->listener < 0 ||
        bind(h->listener, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        return refuse(error, h->path, g_strerror(errno));
    }
    if (listen(h->listener, BACKLOG) < 0) {
        refuse(error, h->path, g_strerror(errno));
        unlink(h->path);
        return false;
    }
    return true;
}

VsockHost *vsock_new(const char *path, const VsockOps *ops, void *opaque, GError **error)
{
    VsockHost *h = g_new0(VsockHost, 1);

    h->path = g_strdup(path);
    h->ops = ops;
    h->opaque = opaque;
    h->listener = h->wake_fd = -1;
    h->streams = g_ptr_array_new_with_free_func(stream_unref);
    if (!start_listening(h, error)) {
        host_free(h);
        return NULL;
    }
    if (!hosts) {
        hosts = g_ptr_array_new();
    }
    g_ptr_array_add(hosts, h);
    h->thread = g_thread_new("vsock", run_thread, h);
    return h;
}

static void stop_thread(VsockHost *h)
{
    unlink(h->path);
    h->stopping = true;
    wake(h);
}

/* The thread frees the rest, as it may be waiting for the lock. */
void vsock_free(VsockHost *h)
{
    while (h->streams->len) {
        vsock_close(g_ptr_array_index(h->streams, h->streams->len - 1));
    }
    g_ptr_array_remove(hosts, h);
    g_thread_unref(h->thread);
    h->freed = true;
    stop_thread(h);
}

void vsock_cleanup(void)
{
    for (unsigned i = 0; hosts && i < hosts->len; i++) {
        VsockHost *h = g_ptr_array_index(hosts, i);

        net_take_lock();
        stop_thread(h);
        net_leave_lock();
        g_thread_join(h->thread);
    }
}

bool vsock_is_used(void)
{
    return hosts && hosts->len;
}
