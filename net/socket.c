/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks over the host's sockets: "stream" and "dgram" as QEMU 7.2 spells them, and its older "socket" (listen=, connect=, mcast=, udp=) on the
 * same code.
 *
 * On a stream each frame has its length before it (32 bits, big-endian). Two Menuras find each other by a greeting, a frame of an
 * EtherType for local experiments that other programs' guests ignore; from then on bit 31 of a length says that an offload header of 10
 * bytes (little-endian, as virtio's) is before the frame: large segments go as they are, without checksums. A datagram is a frame.
 */
#define _GNU_SOURCE
#include "net/net-priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "util/bytes.h"

enum { BUFFER = 512 << 10, MAX_IOV = 128, PREFIX = 4, OFFLOAD = 10 };
enum { SOCKET_BYTES = 1 << 20, MAX_DATAGRAMS = 64, MAX_OUT = 8 << 20 };
#define HAS_OFFLOAD 0x80000000u

static const uint8_t greeting[60] = { 0x01, 0x80, 0xc2, 0,   0,   0x0e, 0x02, 0,   0,   0,   0,
                                      0,    0x88, 0xb5, 'M', 'e', 'n',  'u',  'r', 'a', ' ', '1' };

typedef struct Link {
    bool datagram;
    int listen_fd, fd;
    bool connecting, greeted;
    struct sockaddr_storage addr,
        peer; /* where to listen, or to connect to; dgram: where to send */
    socklen_t addr_len, peer_len;
    bool is_server;
    int64_t reconnect_at; /* us of the monotonic clock; 0: not */
    unsigned reconnect;   /* seconds; 0: never again */
    char *unlink_path;

    uint8_t *in;
    size_t n_in;
    NetList out;
    size_t out_done; /* bytes of the first one and its prefix that went */
} Link;

/* ---- Connections ---- */

static void greet(NetBackend *b)
{
    Link *l = b->priv;
    NetFrame *f = net_frame_new(sizeof(greeting));

    memcpy(f->data, greeting, sizeof(greeting));
    net_list_append(&l->out, f);
}

static void set_up_fd(int fd)
{
    int one = 1, bytes = SOCKET_BYTES;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

static void connected(NetBackend *b, bool yes)
{
    Link *l = b->priv;

    l->n_in = l->out_done = 0;
    l->greeted = l->connecting = false;
    b->takes = 0;
    net_list_clear(&l->out);
    if (yes) {
        greet(b);
    }
    b->now_connected = yes;
}

static void wait_to_reconnect(Link *l)
{
    l->reconnect_at = !l->is_server && l->reconnect
                          ? g_get_monotonic_time() + (int64_t)l->reconnect * G_USEC_PER_SEC
                          : 0;
}

static void hang_up(NetBackend *b)
{
    Link *l = b->priv;

    close(l->fd);
    l->fd = -1;
    wait_to_reconnect(l);
    connected(b, false);
}

/* False: it failed for good (errno). */
static bool begin_connect(NetBackend *b)
{
    Link *l = b->priv;

    l->reconnect_at = 0;
    l->fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0) {
        wait_to_reconnect(l);
        return false;
    }
    set_up_fd(l->fd);
    if (connect(l->fd, (struct sockaddr *)&l->addr, l->addr_len) == 0) {
        connected(b, true);
        return true;
    }
    l->connecting = errno == EINPROGRESS;
    if (!l->connecting) {
        int err = errno;

        hang_up(b);
        errno = err;
    }
    return l->connecting;
}

static void take_connection(NetBackend *b)
{
    Link *l = b->priv;
    int fd = accept4(l->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        set_up_fd(fd);
        l->fd = fd;
        connected(b, true);
    }
}

static void finish_connect(NetBackend *b)
{
    Link *l = b->priv;
    int err = 0;
    socklen_t len = sizeof(err);

    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 || err) {
        hang_up(b);
    } else {
        connected(b, true);
    }
}

/* ---- Streams ---- */

static NetOffload get_offload(const uint8_t *h)
{
    return (NetOffload){ .flags = h[0] & (NET_NEEDS_CSUM | NET_DATA_VALID),
                         .gso = h[1],
                         .hdr_len = (uint16_t)(h[2] | h[3] << 8),
                         .gso_size = (uint16_t)(h[4] | h[5] << 8),
                         .csum_start = (uint16_t)(h[6] | h[7] << 8),
                         .csum_offset = (uint16_t)(h[8] | h[9] << 8) };
}

static void put_offload(uint8_t *h, const NetOffload *o)
{
    const uint16_t words[4] = { o->hdr_len, o->gso_size, o->csum_start, o->csum_offset };

    h[0] = o->flags;
    h[1] = o->gso;
    for (unsigned i = 0; i < 4; i++) {
        h[2 + 2 * i] = (uint8_t)words[i];
        h[3 + 2 * i] = (uint8_t)(words[i] >> 8);
    }
}

static void take_frame(NetBackend *b, const NetOffload *o, const uint8_t *data, size_t len)
{
    Link *l = b->priv;

    if (!l->greeted && len == sizeof(greeting) && !memcmp(data, greeting, len)) {
        l->greeted = true;
        b->takes = NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6 | NET_TAKES_ECN;
        return;
    }
    net_push(b, o, data, len);
}

/* The whole frames of the buffer. False: no frame can be that long. */
static bool split(NetBackend *b)
{
    Link *l = b->priv;
    size_t at = 0;

    while (l->n_in - at >= PREFIX) {
        uint32_t word = bytes_get_be32(l->in + at), len = word & ~HAS_OFFLOAD;
        size_t head = PREFIX + (word & HAS_OFFLOAD ? OFFLOAD : 0);
        NetOffload o = { 0 };

        if (len > NET_MAX_FRAME || (word & HAS_OFFLOAD && !l->greeted)) {
            return false;
        }
        if (l->n_in - at < head + len) {
            break;
        }
        if (word & HAS_OFFLOAD) {
            o = get_offload(l->in + at + PREFIX);
        }
        take_frame(b, &o, l->in + at + head, len);
        at += head + len;
    }
    l->n_in -= at;
    memmove(l->in, l->in + at, l->n_in);
    return true;
}

static void read_stream(NetBackend *b)
{
    Link *l = b->priv;
    ssize_t n = read(l->fd, l->in + l->n_in, BUFFER - l->n_in);

    if (n > 0) {
        l->n_in += (size_t)n;
        if (!split(b)) {
            fprintf(stderr, "menura: netdev %s: the peer sends something else than frames\n",
                    b->id);
            hang_up(b);
        }
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        hang_up(b);
    }
}

static size_t make_prefix(const NetFrame *f, uint8_t *prefix)
{
    bool offload = f->offload.flags || f->offload.gso;

    bytes_put_be32(prefix, f->len | (offload ? HAS_OFFLOAD : 0));
    if (offload) {
        put_offload(prefix + PREFIX, &f->offload);
    }
    return PREFIX + (offload ? OFFLOAD : 0);
}

/* Drops what was written from the list. */
static void written(Link *l, size_t n)
{
    uint8_t prefix[PREFIX + OFFLOAD];

    l->out_done += n;
    while (l->out.first) {
        size_t whole = make_prefix(l->out.first, prefix) + l->out.first->len;

        if (l->out_done < whole) {
            return;
        }
        l->out_done -= whole;
        g_free(net_list_pop(&l->out));
    }
}

static void write_stream(NetBackend *b)
{
    Link *l = b->priv;
    uint8_t prefixes[MAX_IOV / 2][PREFIX + OFFLOAD];
    struct iovec iov[MAX_IOV];

    while (l->out.first && l->fd >= 0) {
        struct msghdr msg = { .msg_iov = iov };
        size_t skip = l->out_done;
        unsigned i = 0;
        ssize_t n;

        for (NetFrame *f = l->out.first; f && i < MAX_IOV / 2; f = f->next, i++) {
            size_t head = make_prefix(f, prefixes[i]), from = MIN(skip, head);

            iov[2 * i] = (struct iovec){ prefixes[i] + from, head - from };
            skip -= from;
            iov[2 * i + 1] = (struct iovec){ f->data + skip, f->len - skip };
            skip = 0;
        }
        msg.msg_iovlen = 2 * i;
        n = sendmsg(l->fd, &msg, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                hang_up(b);
            }
            return;
        }
        written(l, (size_t)n);
    }
}

/* ---- Datagrams ---- */

static void read_datagrams(NetBackend *b)
{
    Link *l = b->priv;

    for (unsigned i = 0; i < MAX_DATAGRAMS; i++) {
        ssize_t n = recv(l->fd, l->in, BUFFER, 0);

        if (n < 0) {
            return;
        }
        /* A group's members hear themselves. */
        if (n < NET_MIN_FRAME || !b->mac || memcmp(l->in + NET_MAC_LEN, b->mac, NET_MAC_LEN)) {
            net_push(b, NULL, l->in, (size_t)n);
        }
    }
}

static void write_datagrams(NetBackend *b)
{
    Link *l = b->priv;

    for (NetFrame *f; (f = net_list_pop(&l->out));) {
        ssize_t n = sendto(l->fd, f->data, f->len, MSG_NOSIGNAL | MSG_DONTWAIT,
                           (struct sockaddr *)&l->peer, l->peer_len);

        (void)n; /* a network may lose frames */
        g_free(f);
    }
}

/* ---- The loop ---- */

static void link_fill(NetBackend *b, GArray *fds, int *timeout)
{
    Link *l = b->priv;
    short events = (short)((net_is_full(b) ? 0 : POLLIN) | (l->out.first ? POLLOUT : 0));

    if (l->fd >= 0) {
        net_add_poll(fds, l->fd, l->connecting ? POLLOUT : events);
    } else if (l->is_server) {
        net_add_poll(fds, l->listen_fd, POLLIN);
    } else if (l->reconnect_at) {
        int64_t ms = (l->reconnect_at - g_get_monotonic_time()) / 1000;

        *timeout = (int)CLAMP(ms, 1, *timeout < 0 ? INT_MAX : *timeout);
    }
}

static short result(GArray *fds)
{
    return fds->len > 1 ? g_array_index(fds, struct pollfd, 1).revents : 0;
}

static void link_run(NetBackend *b, GArray *fds)
{
    Link *l = b->priv;
    NetList sent = net_take(b);
    short events = result(fds);

    if (l->fd < 0) {
        net_list_clear(&sent); /* nobody hears it */
        if (events && l->is_server) {
            take_connection(b);
        } else if (l->reconnect_at && g_get_monotonic_time() >= l->reconnect_at) {
            begin_connect(b);
        }
        return;
    }
    if (l->connecting) {
        net_list_clear(&sent);
        if (events) {
            finish_connect(b);
        }
        return;
    }
    if (!l->datagram && l->out.bytes >= MAX_OUT) {
        net_list_clear(&sent); /* the peer does not read: a network may lose frames */
    }
    net_list_splice(&l->out, &sent);
    if (l->datagram) {
        write_datagrams(b);
    } else {
        write_stream(b);
    }
    if (l->fd >= 0 && (events & (POLLIN | POLLHUP | POLLERR))) {
        (l->datagram ? read_datagrams : read_stream)(b);
    }
    if (!l->datagram && l->fd >= 0) {
        write_stream(b); /* a greeting's answer */
    }
}

/* ---- Opening ---- */

static bool resolve(NetBackend *b, const char *host, const char *port,
                    struct sockaddr_storage *addr, socklen_t *len, GError **error)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found = NULL;
    int err = getaddrinfo(host && *host ? host : NULL, port, &hints, &found);

    if (err) {
        return net_error(b, error, 0, "%s:%s: %s", host ? host : "", port, gai_strerror(err));
    }
    memcpy(addr, found->ai_addr, found->ai_addrlen);
    *len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

/* "HOST:PORT" */
static bool resolve_pair(NetBackend *b, const char *text, struct sockaddr_storage *addr,
                         socklen_t *len, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? g_strndup(text, (gsize)(colon - text)) : NULL;

    return colon ? resolve(b, host, colon + 1, addr, len, error)
                 : net_error(b, error, 0, "%s: expected HOST:PORT", text);
}

static bool set_unix(NetBackend *b, const char *path, struct sockaddr_storage *addr, socklen_t *len,
                     GError **error)
{
    struct sockaddr_un *un = (struct sockaddr_un *)addr;

    if (!path || !*path || strlen(path) >= sizeof(un->sun_path)) {
        return net_error(b, error, 0, "%s: a path of at most %zu bytes is needed", path ? path : "",
                         sizeof(un->sun_path) - 1);
    }
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    *len = sizeof(*un);
    return true;
}

static Link *link_new(NetBackend *b)
{
    Link *l = g_new0(Link, 1);

    l->listen_fd = l->fd = -1;
    l->in = g_malloc(BUFFER);
    b->priv = l;
    return l;
}

static void link_close(NetBackend *b)
{
    Link *l = b->priv;

    if (!l) {
        return;
    }
    if (l->fd >= 0) {
        close(l->fd);
    }
    if (l->listen_fd >= 0) {
        close(l->listen_fd);
    }
    if (l->unlink_path) {
        unlink(l->unlink_path);
    }
    net_list_clear(&l->out);
    g_free(l->unlink_path);
    g_free(l->in);
    g_free(l);
}

static bool start_stream(NetBackend *b, GError **error)
{
    Link *l = b->priv;
    int one = 1;

    b->disconnected = true;
    b->now_connected = false;
    if (!l->is_server) {
        bool ok = begin_connect(b);

        b->disconnected = !b->now_connected;
        return ok || l->reconnect || net_error(b, error, errno, "connect");
    }
    l->listen_fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->addr.ss_family == AF_UNIX) {
        unlink(((struct sockaddr_un *)&l->addr)->sun_path);
    }
    if (l->listen_fd < 0 ||
        setsockopt(l->listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(l->listen_fd, (struct sockaddr *)&l->addr, l->addr_len) < 0 ||
        listen(l->listen_fd, 1) < 0) {
        return net_error(b, error, errno, "listen");
    }
    if (l->addr.ss_family == AF_UNIX) {
        l->unlink_path = g_strdup(((struct sockaddr_un *)&l->addr)->sun_path);
    }
    return true;
}

static bool start_datagram(NetBackend *b, GError **error)
{
    Link *l = b->priv;
    sa_family_t family = l->addr_len ? l->addr.ss_family : l->peer.ss_family;

    l->datagram = true;
    l->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0) {
        return net_error(b, error, errno, "socket");
    }
    set_up_fd(l->fd);
    if (family == AF_UNIX && l->addr_len) {
        unlink(((struct sockaddr_un *)&l->addr)->sun_path);
        l->unlink_path = g_strdup(((struct sockaddr_un *)&l->addr)->sun_path);
    }
    if (l->addr_len && bind(l->fd, (struct sockaddr *)&l->addr, l->addr_len) < 0) {
        return net_error(b, error, errno, "bind");
    }
    return true;
}

/* What arrives is also what this socket sends, unless it is told not to hear itself; other programs of this host are to hear it. */
static bool start_multicast(NetBackend *b, const char *local, GError **error)
{
    Link *l = b->priv;
    struct sockaddr_in *group = (struct sockaddr_in *)&l->peer;
    struct ip_mreq join = { .imr_multiaddr = group->sin_addr };
    int one = 1;

    if (group->sin_family != AF_INET || !IN_MULTICAST(ntohl(group->sin_addr.s_addr))) {
        return net_error(b, error, 0, "mcast: no multicast address");
    }
    if (local && inet_pton(AF_INET, local, &join.imr_interface) != 1) {
        return net_error(b, error, 0, "localaddr=%s is no IPv4 address", local);
    }
    l->datagram = true;
    l->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0 || setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(l->fd, (struct sockaddr *)group, sizeof(*group)) < 0 ||
        setsockopt(l->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join)) < 0 ||
        setsockopt(l->fd, IPPROTO_IP, IP_MULTICAST_LOOP, &one, sizeof(one)) < 0 ||
        (local && setsockopt(l->fd, IPPROTO_IP, IP_MULTICAST_IF, &join.imr_interface,
                             sizeof(join.imr_interface)) < 0)) {
        return net_error(b, error, errno, "mcast");
    }
    return true;
}

static bool socket_open(NetBackend *b, const KeyVals *kv, GError **error)
{
    Link *l = link_new(b);
    const char *listen = keyvals_get(kv, "listen"), *connect = keyvals_get(kv, "connect");
    const char *mcast = keyvals_get(kv, "mcast"), *udp = keyvals_get(kv, "udp");
    const char *local = keyvals_get(kv, "localaddr");

    if (!!listen + !!connect + !!mcast + !!udp != 1) {
        return net_error(b, error, 0, "one of listen=, connect=, mcast= and udp= is needed");
    }
    net_set_label(b, "%s=%s",
                  listen    ? "listen"
                  : connect ? "connect"
                  : mcast   ? "mcast"
                            : "udp",
                  listen    ? listen
                  : connect ? connect
                  : mcast   ? mcast
                            : udp);
    if (listen || connect) {
        l->is_server = listen != NULL;
        return resolve_pair(b, listen ? listen : connect, &l->addr, &l->addr_len, error) &&
               start_stream(b, error);
    }
    if (!resolve_pair(b, mcast ? mcast : udp, &l->peer, &l->peer_len, error)) {
        return false;
    }
    if (mcast) {
        return start_multicast(b, local, error);
    }
    if (!local) {
        return net_error(b, error, 0, "udp= needs localaddr=");
    }
    return resolve_pair(b, local, &l->addr, &l->addr_len, error) && start_datagram(b, error);
}

/* An address of "PREFIX.type=inet,PREFIX.host=,PREFIX.port=" or "PREFIX.type=unix,PREFIX.path=". */
static bool get_address(NetBackend *b, const KeyVals *kv, const char *prefix,
                        struct sockaddr_storage *addr, socklen_t *len, GError **error)
{
    g_autofree char *type_key = g_strdup_printf("%s.type", prefix);
    g_autofree char *host_key = g_strdup_printf("%s.host", prefix);
    g_autofree char *port_key = g_strdup_printf("%s.port", prefix);
    g_autofree char *path_key = g_strdup_printf("%s.path", prefix);
    const char *type = keyvals_get(kv, type_key), *port = keyvals_get(kv, port_key);

    if (!g_strcmp0(type, "unix")) {
        return set_unix(b, keyvals_get(kv, path_key), addr, len, error);
    }
    if (g_strcmp0(type, "inet")) {
        return net_error(b, error, 0, "%s=%s: expected inet or unix", type_key, type ? type : "");
    }
    return port ? resolve(b, keyvals_get(kv, host_key), port, addr, len, error)
                : net_error(b, error, 0, "%s= is missing", port_key);
}

static bool stream_open(NetBackend *b, const KeyVals *kv, GError **error)
{
    Link *l = link_new(b);
    uint64_t seconds = 0;

    if (!keyvals_get_bool(kv, b->id, "server", &l->is_server, error) ||
        !keyvals_get_uint(kv, b->id, "reconnect", 0, 3600, &seconds, error) ||
        !get_address(b, kv, "addr", &l->addr, &l->addr_len, error)) {
        return false;
    }
    l->reconnect = (unsigned)seconds;
    net_set_label(b, "%s", l->is_server ? "server" : "client");
    return start_stream(b, error);
}

static bool dgram_open(NetBackend *b, const KeyVals *kv, GError **error)
{
    Link *l = link_new(b);
    bool local = keyvals_get(kv, "local.type"), remote = keyvals_get(kv, "remote.type");
    struct sockaddr_in *in = (struct sockaddr_in *)&l->peer;

    if ((remote && !get_address(b, kv, "remote", &l->peer, &l->peer_len, error)) ||
        (local && !get_address(b, kv, "local", &l->addr, &l->addr_len, error))) {
        return false;
    }
    if (!remote) {
        return net_error(b, error, 0, "remote.type= is missing");
    }
    net_set_label(b, "%s", in->sin_family == AF_UNIX ? "unix" : "inet");
    if (in->sin_family == AF_INET && IN_MULTICAST(ntohl(in->sin_addr.s_addr))) {
        return start_multicast(b, keyvals_get(kv, "local.host"), error);
    }
    if (!local) {
        return net_error(b, error, 0, "local.type= is missing");
    }
    return start_datagram(b, error);
}

static const char *const socket_options[] = {
    "listen", "connect", "mcast", "udp", "localaddr", NULL
};
static const char *const stream_options[] = { "server",    "addr.type", "addr.host", "addr.port",
                                              "addr.path", "reconnect", NULL };
static const char *const dgram_options[] = { "local.type",  "local.host",  "local.port",
                                             "local.path",  "remote.type", "remote.host",
                                             "remote.port", "remote.path", NULL };

const NetDriver net_driver_socket = { .kind = "socket",
                                      .desc = "another emulator, over TCP, UDP or multicast",
                                      .options = socket_options,
                                      .sockets = true,
                                      .open = socket_open,
                                      .close = link_close,
                                      .fill = link_fill,
                                      .run = link_run };
const NetDriver net_driver_stream = { .kind = "stream",
                                      .desc = "another emulator, over a TCP or unix connection",
                                      .options = stream_options,
                                      .sockets = true,
                                      .open = stream_open,
                                      .close = link_close,
                                      .fill = link_fill,
                                      .run = link_run };
const NetDriver net_driver_dgram = { .kind = "dgram",
                                     .desc = "others, by UDP, multicast or unix datagrams",
                                     .options = dgram_options,
                                     .sockets = true,
                                     .open = dgram_open,
                                     .close = link_close,
                                     .fill = link_fill,
                                     .run = link_run };
