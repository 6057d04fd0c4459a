/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets to connect to, the clients that are there, and the end: by a signal, or (unless it is persistent) when the last client has gone.
 *
 * The main thread only accepts, waits and ends; clients have their own threads. While as many are there as may be, nobody is accepted: the
 * others wait in the kernel's queue.
 */
#include <errno.h>
#include <glib-unix.h>
#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "nbd/nbd-priv.h"

enum { STOP_SECONDS = 5, RETRY_SECONDS = 1, N_SIGNALS = 3 };

struct NbdServer {
    const NbdServerOptions *options;
    NbdImage *image;
    GMainLoop *loop;
    GPtrArray *sockets; /* of GSocket: to connect to */
    GPtrArray *sources; /* of GSource, for .sockets; empty: nobody is accepted now */
    unsigned retry, signals[N_SIGNALS]; /* sources' ids */
    GMutex lock;                        /* of what follows */
    GPtrArray *sessions;
};

static void verbose(const NbdServer *s, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void verbose(const NbdServer *s, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    if (s->options->verbose) {
        va_start(args, format);
        text = g_strdup_vprintf(format, args);
        va_end(args);
        g_printerr("menura-nbd: %s\n", text);
    }
}

/* ---- Sockets ---- */

static bool fail(const char *place, const GError *error)
{
    nbd_complain("Failed to listen on %s: %s", place, error->message);
    return false;
}

static bool listen_on(NbdServer *s, GSocketAddress *address, const char *place)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket =
        g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM,
                     G_SOCKET_PROTOCOL_DEFAULT, &error);

    if (!socket || !g_socket_bind(socket, address, true, &error)) {
        return fail(place, error);
    }
    g_socket_set_listen_backlog(socket, 64);
    if (!g_socket_listen(socket, &error)) {
        return fail(place, error);
    }
    g_socket_set_blocking(socket, false);
    g_ptr_array_add(s->sockets, g_steal_pointer(&socket));
    return true;
}

/* Removes a socket that nobody listens on any more. */
static bool clear_path(const char *path, GSocketAddress *address)
{
    g_autoptr(GSocket) socket = NULL;
    g_autoptr(GError) error = NULL;
    struct stat st;

    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        return true; /* bind() says what is wrong */
    }
    socket =
        g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
    if (socket && g_socket_connect(socket, address, NULL, &error)) {
        nbd_complain("Failed to listen on %s: another server does", path);
        return false;
    }
    unlink(path);
    return true;
}

static bool listen_unix(NbdServer *s, const char *path)
{
    g_autoptr(GSocketAddress) address = NULL;

    if (strlen(path) > NBD_MAX_SOCKET_PATH) {
        nbd_complain("socket path '%s' is too long", path);
        return false;
    }
    address = g_unix_socket_address_new(path);
    return clear_path(path, address) && listen_on(s, address, path);
}

/* All addresses of a name. */
static bool listen_tcp(NbdServer *s, const char *name, uint16_t port)
{
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    g_autofree char *place = g_strdup_printf("%s:%u", name, port);
    g_autoptr(GError) error = NULL;
    GList *found = g_resolver_lookup_by_name(resolver, name, NULL, &error);
    bool ok = found != NULL || fail(place, error);

    for (GList *i = found; i && ok; i = i->next) {
        g_autoptr(GSocketAddress) address = g_inet_socket_address_new(i->data, port);

        ok = listen_on(s, address, place);
    }
    g_resolver_free_addresses(found);
    return ok;
}

static bool listen_all(NbdServer *s)
{
    const NbdServerOptions *o = s->options;

    return o->socket_path ? listen_unix(s, o->socket_path)
                          : listen_tcp(s, o->bind ? o->bind : "0.0.0.0", o->port);
}

/* ---- Accepting ---- */

static bool may_accept(NbdServer *s)
{
    unsigned most = s->options->shared ? MIN(s->options->shared, (unsigned)MAX_SESSIONS)
                                       : (unsigned)MAX_SESSIONS;
    bool ok;

    g_mutex_lock(&s->lock);
    ok = s->sessions->len < most;
    g_mutex_unlock(&s->lock);
    return ok;
}

static void stop_accepting(NbdServer *s)
{
    for (unsigned i = 0; i < s->sources->len; i++) {
        g_source_destroy(g_ptr_array_index(s->sources, i));
    }
    g_ptr_array_set_size(s->sources, 0);
}

static uint16_t flags_of(const NbdServer *s)
{
    unsigned write = NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES | NBD_FLAG_SEND_FAST_ZERO;

    return (uint16_t)(NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
                      NBD_FLAG_SEND_CACHE | (s->image->readonly ? NBD_FLAG_READ_ONLY : write) |
                      (s->options->shared != 1 ? NBD_FLAG_CAN_MULTI_CONN : 0));
}

static void begin_session(NbdServer *s, GSocket *socket)
{
    NbdSession *session;

    nbd_tune_socket(g_socket_get_fd(socket));
    g_unix_set_fd_nonblocking(g_socket_get_fd(socket), false, NULL);
    g_mutex_lock(&s->lock); /* it may end at once */
    session = session_start(s, s->image, flags_of(s), socket);
    if (session) {
        g_ptr_array_add(s->sessions, session);
    }
    g_mutex_unlock(&s->lock);
    if (!session) {
        verbose(s, "no thread for a client");
    }
}

static gboolean try_again(gpointer data);

static gboolean accept_client(GSocket *listener, GIOCondition condition, gpointer data)
{
    NbdServer *s = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(GSocket) socket = NULL;

    if (!may_accept(s)) {
        stop_accepting(s);
        return G_SOURCE_REMOVE;
    }
    socket = g_socket_accept(listener, NULL, &error);
    if (socket) {
        begin_session(s, socket);
    } else if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
        verbose(s, "cannot accept a client: %s", error->message);
        stop_accepting(s);
        s->retry = g_timeout_add_seconds(RETRY_SECONDS, try_again, s);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static void accept_clients(NbdServer *s)
{
    for (unsigned i = 0; i < s->sockets->len && s->sources->len < s->sockets->len; i++) {
        GSource *source = g_socket_create_source(g_ptr_array_index(s->sockets, i), G_IO_IN, NULL);

        g_source_set_callback(source, G_SOURCE_FUNC(accept_client), s, NULL);
        g_source_attach(source, NULL);
        g_ptr_array_add(s->sources, source);
    }
}

static gboolean try_again(gpointer data)
{
    NbdServer *s = data;

    s->retry = 0;
    accept_clients(s);
    return G_SOURCE_REMOVE;
}

/* ---- Ends ---- */

typedef struct Ended {
    NbdServer *server;
    NbdSession *session;
} Ended;

/* In the main thread. */
static gboolean remove_session(gpointer data)
{
    g_autofree Ended *ended = data;
    NbdServer *s = ended->server;
    bool negotiated = ended->session->negotiated, any;

    g_mutex_lock(&s->lock);
    g_ptr_array_remove_fast(s->sessions, ended->session);
    any = s->sessions->len > 0;
    g_mutex_unlock(&s->lock);
    session_free(ended->session);
    if (negotiated && !any && !s->options->persistent) {
        g_main_loop_quit(s->loop);
    } else if (!s->retry) {
        accept_clients(s);
    }
    return G_SOURCE_REMOVE;
}

void server_session_ended(NbdServer *s, NbdSession *session)
{
    Ended *ended = g_new(Ended, 1);

    *ended = (Ended){ s, session };
    g_idle_add(remove_session, ended);
}

static void stop_sessions(NbdServer *s, bool now)
{
    g_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->sessions->len; i++) {
        session_stop(g_ptr_array_index(s->sessions, i), now);
    }
    g_mutex_unlock(&s->lock);
}

static unsigned count_sessions(NbdServer *s)
{
    unsigned n;

    g_mutex_lock(&s->lock);
    n = s->sessions->len;
    g_mutex_unlock(&s->lock);
    return n;
}

static gboolean cut_off(gpointer data)
{
    stop_sessions(data, true);
    return G_SOURCE_CONTINUE;
}

/* What clients have asked for is still done, and answered if they listen. */
static void stop(NbdServer *s)
{
    unsigned timer;

    stop_accepting(s);
    g_ptr_array_set_size(s->sockets, 0); /* so that accept_clients() has none */
    if (s->retry) {
        g_source_remove(s->retry);
    }
    stop_sessions(s, false);
    timer = g_timeout_add_seconds(STOP_SECONDS, cut_off, s);
    while (count_sessions(s)) {
        g_main_context_iteration(NULL, true);
    }
    g_source_remove(timer);
}

static gboolean on_signal(gpointer data)
{
    g_main_loop_quit(((NbdServer *)data)->loop);
    return G_SOURCE_CONTINUE;
}

static const int signals[N_SIGNALS] = { SIGTERM, SIGINT, SIGHUP };

static void add_signals(NbdServer *s)
{
    for (unsigned i = 0; i < N_SIGNALS; i++) {
        s->signals[i] = g_unix_signal_add(signals[i], on_signal, s);
    }
}

int server_run(const NbdServerOptions *options, NbdImage *image, bool (*ready)(void))
{
    NbdServer s = { .options = options, .image = image };
    bool ok;

    s.loop = g_main_loop_new(NULL, false);
    s.sockets = g_ptr_array_new_with_free_func(g_object_unref);
    s.sources = g_ptr_array_new_with_free_func((GDestroyNotify)g_source_unref);
    s.sessions = g_ptr_array_new();
    g_mutex_init(&s.lock);
    add_signals(&s);
    ok = listen_all(&s) && ready();
    if (ok) {
        accept_clients(&s);
        g_main_loop_run(s.loop);
    }
    stop(&s);
    if (ok && options->socket_path) {
        unlink(options->socket_path);
    }
    for (unsigned i = 0; i < N_SIGNALS; i++) {
        g_source_remove(s.signals[i]);
    }
    g_ptr_array_unref(s.sockets);
    g_ptr_array_unref(s.sources);
    g_ptr_array_unref(s.sessions);
    g_mutex_clear(&s.lock);
    g_main_loop_unref(s.loop);
    return ok ? 0 : 1;
}
