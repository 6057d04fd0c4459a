/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unix and TCP sockets, as a client or as a server of one peer at a time. A server listens again
 * when its peer went; with wait=on (the default, as in QEMU) the program starts only when the first
 * peer is there. A client may try again every `reconnect` seconds. Output without a peer is
 * dropped.
 */
#include "chardev/chardev-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct ChardevSocket {
    Chardev base;
    char *path; /* unix; NULL: TCP */
    char *host, *port;
    bool server, wait, nodelay;
    uint64_t reconnect; /* seconds, 0: never */
    int listener;       /* -1: none */
    GSource *accept_source;
    guint timer;
} ChardevSocket;
typedef ChardevClass ChardevSocketClass;

G_DEFINE_TYPE(ChardevSocket, chardev_socket, CHARDEV_TYPE)

/* ---- Making sockets; -1 with errno or a resolver's text in *why ---- */

static bool fill_unix_address(const char *path, struct sockaddr_un *addr)
{
    memset(addr, 0, sizeof(*addr));
    addr->sun_family = AF_UNIX;
    return g_strlcpy(addr->sun_path, path, sizeof(addr->sun_path)) < sizeof(addr->sun_path);
}

/* A socket file that nobody serves any more would refuse the bind. */
static void remove_stale_socket(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        unlink(path);
    }
}

static int open_unix(ChardevSocket *s, const char **why)
{
    struct sockaddr_un addr;
    int fd, err;

    if (!fill_unix_address(s->path, &addr)) {
        *why = "the path is too long for a socket";
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && s->server) {
        remove_stale_socket(s->path);
    }
    if (fd >= 0 && (s->server ? bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1)
                              : connect(fd, (struct sockaddr *)&addr, sizeof(addr)))) {
        err = errno;
        close(fd);
        errno = err;
        fd = -1;
    }
    *why = fd < 0 ? g_strerror(errno) : NULL;
    return fd;
}

static int try_address(const struct addrinfo *ai, bool server)
{
    int one = 1, err;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    if (server) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    }
    if (server ? bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, 1)
               : connect(fd, ai->ai_addr, ai->ai_addrlen)) {
        err = errno;
        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static int open_tcp(ChardevSocket *s, const char **why)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = s->server ? AI_PASSIVE : 0 };
    struct addrinfo *list;
    int fd = -1;
    int r = getaddrinfo(*s->host ? s->host : NULL, s->port, &hints, &list);

    if (r) {
        *why = gai_strerror(r);
        return -1;
    }
    for (struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next) {
        fd = try_address(ai, s->server);
    }
    *why = fd < 0 ? g_strerror(errno) : NULL;
    freeaddrinfo(list);
    return fd;
}

static int open_socket(ChardevSocket *s, const char **why)
{
    return s->path ? open_unix(s, why) : open_tcp(s, why);
}

/* ---- Connections ---- */

static void listen_for_peer(ChardevSocket *s);
static void retry_later(ChardevSocket *s);

static void use_connection(ChardevSocket *s, int fd)
{
    int one = 1;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (!s->path && s->nodelay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    stream_open(&s->base, fd, fd);
    chardev_send_event(&s->base, CHARDEV_OPENED);
}

static gboolean on_peer(gint listener, GIOCondition condition, gpointer data)
{
    ChardevSocket *s = data;
    int fd = accept(listener, NULL, NULL);

    if (fd < 0) {
        return G_SOURCE_CONTINUE;
    }
    g_clear_pointer(&s->accept_source, g_source_unref);
    use_connection(s, fd);
    return G_SOURCE_REMOVE;
}

static void listen_for_peer(ChardevSocket *s)
{
    s->accept_source = g_unix_fd_source_new(s->listener, G_IO_IN);
    g_source_set_callback(s->accept_source, G_SOURCE_FUNC(on_peer), s, NULL);
    g_source_attach(s->accept_source, NULL);
}

static gboolean on_retry(gpointer data)
{
    ChardevSocket *s = data;
    const char *why;
    int fd = open_socket(s, &why);

    if (fd < 0) {
        return G_SOURCE_CONTINUE;
    }
    s->timer = 0;
    use_connection(s, fd);
    return G_SOURCE_REMOVE;
}

static void retry_later(ChardevSocket *s)
{
    s->timer = g_timeout_add_seconds(s->reconnect, on_retry, s);
}

static void socket_hangup(Chardev *chr)
{
    ChardevSocket *s = (ChardevSocket *)chr;

    stream_close(chr, true);
    if (s->server) {
        listen_for_peer(s);
    } else if (s->reconnect) {
        retry_later(s);
    }
    chardev_send_event(chr, CHARDEV_CLOSED);
}

/* ---- Options ---- */

static bool parse_options(ChardevSocket *s, const KeyVals *opts, GError **error)
{
    Chardev *chr = &s->base;
    const char *host = keyvals_get(opts, "host");
    bool wait_given = keyvals_get(opts, "wait") != NULL;

    s->path = g_strdup(keyvals_get(opts, "path"));
    s->port = g_strdup(keyvals_get(opts, "port"));
    s->host = g_strdup(host ? host : "");
    if (!s->path == !s->port) {
        chardev_set_error(chr, error, 0, "a socket needs either path= or port= (with host=)");
        return false;
    }
    if (!keyvals_get_bool(opts, chr->id, "server", &s->server, error) ||
        !keyvals_get_bool(opts, chr->id, "wait", &s->wait, error) ||
        !keyvals_get_bool(opts, chr->id, "nodelay", &s->nodelay, error) ||
        !keyvals_get_uint(opts, chr->id, "reconnect", 0, 86400, &s->reconnect, error)) {
        return false;
    }
    if (!s->server && wait_given) {
        chardev_set_error(chr, error, 0, "wait= is for servers only (server=on)");
        return false;
    }
    if (s->server && s->reconnect) {
        chardev_set_error(chr, error, 0, "reconnect= is for clients only");
        return false;
    }
    /* As QEMU: an IPv6 address may stand in brackets. */
    if (s->host[0] == '[' && g_str_has_suffix(s->host, "]")) {
        char *bare = g_strndup(s->host + 1, strlen(s->host) - 2);

        g_free(s->host);
        s->host = bare;
    }
    chr->label =
        s->path ? g_strdup_printf("unix:%s%s", s->path, s->server ? ",server=on" : "")
                : g_strdup_printf("tcp:%s:%s%s", s->host, s->port, s->server ? ",server=on" : "");
    return true;
}

static bool socket_open(Chardev *chr, const KeyVals *opts, GError **error)
{
    ChardevSocket *s = (ChardevSocket *)chr;
    const char *why = NULL;
    int fd;

    s->wait = true;
    if (!parse_options(s, opts, error)) {
        return false;
    }
    fd = open_socket(s, &why);
    if (fd < 0 && s->reconnect) {
        retry_later(s);
        return true;
    }
    if (fd < 0) {
        chardev_set_error(chr, error, 0, "%s: %s", chr->label, why);
        return false;
    }
    if (!s->server) {
        use_connection(s, fd);
        return true;
    }
    s->listener = fd;
    if (s->wait) {
        g_printerr("waiting for a connection on %s\n", chr->label);
        do {
            fd = accept(s->listener, NULL, NULL);
        } while (fd < 0 && errno == EINTR);
        use_connection(s, fd);
    } else {
        listen_for_peer(s);
    }
    return true;
}

static void socket_close(Chardev *chr)
{
    ChardevSocket *s = (ChardevSocket *)chr;

    g_clear_handle_id(&s->timer, g_source_remove);
    if (s->accept_source) {
        g_source_destroy(s->accept_source);
        g_source_unref(s->accept_source);
    }
    if (s->listener >= 0) {
        close(s->listener);
        if (s->path) {
            unlink(s->path);
        }
    }
    g_free(s->path);
    g_free(s->host);
    g_free(s->port);
}

static void chardev_socket_class_init(ChardevSocketClass *klass)
{
    static const char *const options[] = { "path", "host",      "port",    "server",
                                           "wait", "reconnect", "nodelay", NULL };

    klass->kind = "socket";
    klass->desc =
        "path=FILE or host=HOST,port=PORT [,server=on][,wait=off][,reconnect=SECONDS][,nodelay=on]";
    klass->options = options;
    klass->open = socket_open;
    klass->close = socket_close;
    klass->hangup = socket_hangup;
}

static void chardev_socket_init(ChardevSocket *s)
{
    s->listener = -1;
}
