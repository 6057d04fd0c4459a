/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The back ends by id, ports, link state, and the way of frames between a port and a back end's thread; see net.h and net-priv.h.
 */
#include "net/net-priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "util/suggest.h"

enum { MAX_TX_FRAMES = 1024, MAX_TX_BYTES = 8 << 20 }; /* then net_send() refuses */
enum {
    MAX_RX_FRAMES = 1024,
    MAX_RX_BYTES = 8 << 20
};                       /* then frames are dropped, or not read from the host */
enum { RETRY_MS = 100 }; /* frames that the port has no room for are offered again */

static const NetDriver *const drivers[] = { &net_driver_dgram,  &net_driver_hubport,
                                            &net_driver_socket, &net_driver_stream,
                                            &net_driver_tap,    &net_driver_user };
/* QEMU's that are not here. */
static const char *const unsupported[] = { "bridge",     "l2tpv3",     "vde",
                                           "vhost-user", "vhost-vdpa", NULL };

static GPtrArray *registry; /* of NetBackend *, in order of creation */
static void (*lock_hook)(void);
static void (*unlock_hook)(void);

void net_set_lock(void (*lock)(void), void (*unlock)(void))
{
    lock_hook = lock;
    unlock_hook = unlock;
}

void net_take_lock(void)
{
    if (lock_hook) {
        lock_hook();
    }
}

void net_leave_lock(void)
{
    if (unlock_hook) {
        unlock_hook();
    }
}

/* ---- The thread's side ---- */

NetList net_take(NetBackend *b)
{
    NetList sent, done = { 0 };

    g_mutex_lock(&b->tx_lock);
    sent = b->tx;
    b->tx = (NetList){ 0 };
    g_mutex_unlock(&b->tx_lock);
    for (NetFrame *f; (f = net_list_pop(&sent));) {
        for (unsigned i = 0; i < b->dumps->len; i++) {
            net_dump_frame(g_ptr_array_index(b->dumps, i), f, false);
        }
        net_offload_finish(f, b->takes, b->takes_big, &done);
    }
    return done;
}

void net_push(NetBackend *b, const NetOffload *offload, const void *data, size_t len)
{
    NetFrame *f;

    if (len < NET_MIN_FRAME || len > NET_MAX_FRAME ||
        (offload && !net_offload_is_sound(offload, len))) {
        return;
    }
    f = net_frame_new(len);
    memcpy(f->data, data, len);
    if (offload) {
        f->offload = *offload;
    }
    net_list_append(&b->fresh, f);
}

bool net_is_full(const NetBackend *b)
{
    return g_atomic_int_get(&b->rx_waiting) >= MAX_RX_FRAMES / 2;
}

void net_add_poll(GArray *fds, int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };

    g_array_append_val(fds, p);
}

void net_wake(NetBackend *b)
{
    uint64_t one = 1;

    g_atomic_int_set(&b->woken, 1);
    if (g_atomic_int_get(&b->sleeping) && write(b->wake_fd, &one, sizeof(one)) < 0) {
        return; /* the counter is full: it wakes */
    }
}

/* Offers the port what waits. Lock held. */
static void offer(NetBackend *b)
{
    bool any = false;

    while (b->rx.first && (!b->port || b->link_down || b->port->receive(b->opaque, b->rx.first))) {
        g_free(net_list_pop(&b->rx));
        any = true;
    }
    g_atomic_int_set(&b->rx_waiting, (int)b->rx.n);
    if (any && b->port && b->port->received) {
        b->port->received(b->opaque);
    }
}

/* Frames of this round, as far as the port needs them finished, behind those that wait. */
static void deliver(NetBackend *b)
{
    uint32_t takes = (uint32_t)g_atomic_int_get(&b->port_takes);
    NetList done = { 0 };

    for (NetFrame *f; (f = net_list_pop(&b->fresh));) {
        for (unsigned i = 0; i < b->dumps->len; i++) {
            net_dump_frame(g_ptr_array_index(b->dumps, i), f, true);
        }
        net_offload_finish(f, takes, false, &done);
    }
    if (!done.n && !g_atomic_int_get(&b->rx_waiting)) {
        return;
    }
    net_take_lock();
    if (b->rx.n < MAX_RX_FRAMES && b->rx.bytes < MAX_RX_BYTES) {
        net_list_splice(&b->rx, &done);
    }
    offer(b);
    net_leave_lock();
    net_list_clear(&done);
}

/* The peer came or went. */
static void report_connection(NetBackend *b)
{
    if (b->disconnected != b->now_connected) {
        return;
    }
    net_take_lock();
    b->disconnected = !b->now_connected;
    if (b->port && b->port->link_changed) {
        b->port->link_changed(b->opaque);
    }
    net_leave_lock();
}

/* The port was refused before: now there is room. */
static void allow_sending(NetBackend *b)
{
    if (!g_atomic_int_get(&b->tx_refused)) {
        return;
    }
    net_take_lock();
    g_atomic_int_set(&b->tx_refused, 0);
    if (b->port && b->port->can_send) {
        b->port->can_send(b->opaque);
    }
    net_leave_lock();
}

static void wait_for_work(NetBackend *b, GArray *fds, int timeout)
{
    uint64_t count;

    g_atomic_int_set(&b->sleeping, 1);
    if (__atomic_exchange_n(&b->woken, 0, __ATOMIC_SEQ_CST)) {
        timeout = 0;
    }
    if (poll((struct pollfd *)(void *)fds->data, fds->len, timeout) < 0) {
        for (unsigned i = 0; i < fds->len; i++) {
            g_array_index(fds, struct pollfd, i).revents = 0;
        }
    }
    g_atomic_int_set(&b->sleeping, 0);
    if (g_array_index(fds, struct pollfd, 0).revents &&
        read(b->wake_fd, &count, sizeof(count)) < 0) {
        return; /* somebody else's wake-up was read before */
    }
}

static gpointer run_thread(gpointer data)
{
    NetBackend *b = data;
    g_autoptr(GArray) fds = g_array_new(FALSE, TRUE, sizeof(struct pollfd));

    while (!g_atomic_int_get(&b->stopping)) {
        int timeout = g_atomic_int_get(&b->rx_waiting) ? RETRY_MS : -1;

        g_array_set_size(fds, 0);
        net_add_poll(fds, b->wake_fd, POLLIN);
        g_mutex_lock(&b->lock);
        b->driver->fill(b, fds, &timeout);
        g_mutex_unlock(&b->lock);
        wait_for_work(b, fds, timeout);
        g_mutex_lock(&b->lock);
        b->driver->run(b, fds);
        g_mutex_unlock(&b->lock);
        report_connection(b);
        deliver(b);
        allow_sending(b);
    }
    return NULL;
}

/* ---- The port's side ---- */

bool net_attach(NetBackend *b, const NetPortOps *ops, void *opaque, const char *name,
                const uint8_t *mac, GError **error)
{
    if (b->port) {
        return net_error(b, error, 0, "already used by %s", b->port_name);
    }
    b->port = ops;
    b->opaque = opaque;
    b->port_name = name;
    b->mac = mac;
    return true;
}

void net_detach(NetBackend *b, void *opaque)
{
    if (b->opaque == opaque) {
        b->port = NULL;
        b->opaque = NULL;
        b->port_name = NULL;
        b->mac = NULL;
    }
}

void net_set_port_features(NetBackend *b, uint32_t takes)
{
    g_atomic_int_set(&b->port_takes, (int)takes);
}

static bool queue_has_room(NetBackend *b, size_t len)
{
    bool room;

    g_mutex_lock(&b->tx_lock);
    room = b->tx.n < MAX_TX_FRAMES && b->tx.bytes + len <= MAX_TX_BYTES;
    if (!room) {
        g_atomic_int_set(&b->tx_refused, 1);
    }
    g_mutex_unlock(&b->tx_lock);
    return room;
}

bool net_send(NetBackend *b, const NetOffload *offload, const struct iovec *iov, int n)
{
    size_t len = 0, at = 0;
    NetFrame *f;

    for (int i = 0; i < n; i++) {
        len = iov[i].iov_len > NET_MAX_FRAME ? NET_MAX_FRAME + 1 : len + iov[i].iov_len;
        if (len > NET_MAX_FRAME) {
            return true;
        }
    }
    if (len < NET_MIN_FRAME || !net_link_is_up(b) || !net_offload_is_sound(offload, len)) {
        return true;
    }
    if (!queue_has_room(b, len)) {
        return false;
    }
    f = net_frame_new(len);
    f->offload = *offload;
    for (int i = 0; i < n; i++) {
        memcpy(f->data + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    g_mutex_lock(&b->tx_lock);
    net_list_append(&b->tx, f);
    g_mutex_unlock(&b->tx_lock);
    return true;
}

void net_flush(NetBackend *b)
{
    net_wake(b);
}

void net_receive_again(NetBackend *b)
{
    if (b->rx.first) {
        offer(b);
        if (!b->rx.first) {
            net_wake(b); /* it may read from the host again */
        }
    }
}

bool net_link_is_up(const NetBackend *b)
{
    return !b->link_down && !b->disconnected;
}

void net_default_mac(uint8_t mac[NET_MAC_LEN])
{
    static unsigned n;
    const uint8_t first[NET_MAC_LEN] = { 0x52, 0x54, 0x00, 0x12, 0x34, (uint8_t)(0x56 + n++) };

    memcpy(mac, first, NET_MAC_LEN);
}

bool net_parse_mac(const char *text, uint8_t mac[NET_MAC_LEN])
{
    for (unsigned i = 0; i < NET_MAC_LEN; i++, text += 3) {
        if (!g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(text[1]) ||
            (i < NET_MAC_LEN - 1 ? text[2] != ':' && text[2] != '-' : text[2] != 0)) {
            return false;
        }
        mac[i] = (uint8_t)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
    }
    return !(mac[0] & 1);
}

/* ---- Making one ---- */

bool net_error(const NetBackend *b, GError **error, int err, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_set_error(error, G_FILE_ERROR, err ? g_file_error_from_errno(err) : G_FILE_ERROR_FAILED,
                "netdev %s: %s%s%s", b->id, text, err ? ": " : "", err ? g_strerror(err) : "");
    return false;
}

void net_set_label(NetBackend *b, const char *format, ...)
{
    va_list ap;

    g_free(b->label);
    va_start(ap, format);
    b->label = g_strdup_vprintf(format, ap);
    va_end(ap);
}

static const NetDriver *find_driver(const char *kind, GError **error)
{
    const char *names[G_N_ELEMENTS(drivers) + 1] = { 0 };
    g_autofree char *hint = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(drivers); i++) {
        names[i] = drivers[i]->kind;
        if (!strcmp(kind, names[i])) {
            return drivers[i];
        }
    }
    if (g_strv_contains(unsupported, kind)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "netdev %s: not supported",
                    kind);
        return NULL;
    }
    hint = suggest_text(kind, names);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "netdev: unknown kind '%s'%s",
                kind, hint);
    return NULL;
}

static void backend_free(void *p)
{
    NetBackend *b = p;

    if (b->priv) {
        b->driver->close(b);
    }
    net_list_clear(&b->rx);
    net_list_clear(&b->tx);
    net_list_clear(&b->fresh);
    g_ptr_array_unref(b->dumps);
    close(b->wake_fd);
    g_mutex_clear(&b->lock);
    g_mutex_clear(&b->tx_lock);
    g_free(b->label);
    g_free(b->id);
    g_free(b);
}

static NetBackend *backend_new(const NetDriver *driver, const char *id)
{
    NetBackend *b = g_new0(NetBackend, 1);

    b->driver = driver;
    b->now_connected = true;
    b->id = g_strdup(id);
    b->label = g_strdup("");
    b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    g_mutex_init(&b->lock);
    g_mutex_init(&b->tx_lock);
    b->dumps = g_ptr_array_new_with_free_func(net_dump_free);
    return b;
}

static bool check_options(const NetDriver *driver, KeyVals *kv, const char *id, GError **error)
{
    g_autoptr(GPtrArray) allowed = g_ptr_array_new();
    g_autofree char *what = g_strdup_printf("netdev %s", id);

    g_ptr_array_add(allowed, (void *)"type");
    g_ptr_array_add(allowed, (void *)"id");
    for (const char *const *p = driver->options; *p; p++) {
        g_ptr_array_add(allowed, (void *)*p);
    }
    g_ptr_array_add(allowed, NULL);
    return keyvals_check(kv, what, (const char *const *)allowed->pdata, error);
}

bool net_new(const char *spec, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(spec, "type");
    const char *kind = keyvals_get(kv, "type"), *id = keyvals_get(kv, "id");
    const NetDriver *driver = find_driver(kind ? kind : "", error);
    NetBackend *b;

    if (!driver) {
        return false;
    }
    if (!id || !*id || net_find(id)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "netdev %s: %s",
                    id && *id ? id : kind, id && *id ? "the id is given twice" : "id= is missing");
        return false;
    }
    if (!check_options(driver, kv, id, error)) {
        return false;
    }
    b = backend_new(driver, id);
    if (b->wake_fd < 0 ? !net_error(b, error, errno, "eventfd") : !driver->open(b, kv, error)) {
        backend_free(b);
        return false;
    }
    if (!registry) {
        registry = g_ptr_array_new_with_free_func(backend_free);
    }
    g_ptr_array_add(registry, b);
    return true;
}

NetBackend *net_find(const char *id)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        NetBackend *b = g_ptr_array_index(registry, i);

        if (!strcmp(b->id, id)) {
            return b;
        }
    }
    return NULL;
}

const char *net_id(const NetBackend *b)
{
    return b->id;
}

bool net_add_dump(const char *spec, GError **error)
{
    static const char *const allowed[] = { "type",   "id",    "netdev", "file",
                                           "maxlen", "queue", "status", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(spec, "type");
    const char *netdev = keyvals_get(kv, "netdev");
    NetBackend *b = netdev ? net_find(netdev) : NULL;
    NetDump *dump;

    if (!keyvals_check(kv, "filter-dump", allowed, error)) {
        return false;
    }
    if (!b) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "filter-dump: netdev=%s: no -netdev has this id", netdev ? netdev : "");
        return false;
    }
    dump = net_dump_new(kv, error);
    if (dump) {
        g_ptr_array_add(b->dumps, dump);
    }
    return dump != NULL;
}

void net_start(void)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        NetBackend *b = g_ptr_array_index(registry, i);
        g_autofree char *name = g_strdup_printf("net %.10s", b->id);

        b->thread = g_thread_new(name, run_thread, b);
    }
}

/* Threads use other back ends (hubs), so all end before the first goes. */
void net_cleanup(void)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        NetBackend *b = g_ptr_array_index(registry, i);

        if (b->thread) {
            g_atomic_int_set(&b->stopping, 1);
            net_wake(b);
            g_thread_join(b->thread);
        }
    }
    g_clear_pointer(&registry, g_ptr_array_unref);
}

bool net_has_sockets(void)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        if (((NetBackend *)g_ptr_array_index(registry, i))->driver->sockets) {
            return true;
        }
    }
    return false;
}

bool net_reads_files(void)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        if (((NetBackend *)g_ptr_array_index(registry, i))->driver->reads_files) {
            return true;
        }
    }
    return false;
}

bool net_runs_programs(void)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        if (((NetBackend *)g_ptr_array_index(registry, i))->runs_programs) {
            return true;
        }
    }
    return false;
}

/* ---- Listings and the monitor ---- */

void net_list(GString *out)
{
    g_string_append(out, "Network back ends (-netdev KIND,id=ID[,PROP=VALUE...]):\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(drivers); i++) {
        g_string_append_printf(out, "  %-10s %s\n", drivers[i]->kind, drivers[i]->desc);
    }
}

void net_info(GString *out)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        NetBackend *b = g_ptr_array_index(registry, i);

        if (b->port) {
            g_string_append_printf(out, "%s: index=0,type=nic,macaddr=", b->port_name);
            for (unsigned j = 0; b->mac && j < NET_MAC_LEN; j++) {
                g_string_append_printf(out, "%s%02x", j ? ":" : "", b->mac[j]);
            }
            g_string_append_printf(out, "%s\n \\ ", net_link_is_up(b) ? "" : " (link down)");
        }
        g_mutex_lock(&b->lock);
        g_string_append_printf(out, "%s: index=0,type=%s,%s%s\n", b->id, b->driver->kind, b->label,
                               b->disconnected ? " (disconnected)" : "");
        g_mutex_unlock(&b->lock);
    }
}

static NetBackend *find_user(const char *id)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        NetBackend *b = g_ptr_array_index(registry, i);

        if (b->driver == &net_driver_user && (!id || !strcmp(b->id, id))) {
            return b;
        }
    }
    return NULL;
}

void net_info_user(GString *out)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        NetBackend *b = g_ptr_array_index(registry, i);

        if (b->driver == &net_driver_user) {
            g_string_append_printf(out, "%s:\n", b->id);
            g_mutex_lock(&b->lock);
            net_user_info(b, out);
            g_mutex_unlock(&b->lock);
        }
    }
}

bool net_set_link(const char *name, bool up, GError **error)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        NetBackend *b = g_ptr_array_index(registry, i);

        if (!strcmp(b->id, name) || !g_strcmp0(b->port_name, name)) {
            b->link_down = !up;
            if (b->port && b->port->link_changed) {
                b->port->link_changed(b->opaque);
            }
            return true;
        }
    }
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "set_link: no device is called '%s'", name);
    return false;
}

static bool change_hostfwd(const char *id, const char *rule, bool add, GError **error)
{
    NetBackend *b = find_user(id);
    bool ok;

    if (!b) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "hostfwd: no user network%s%s",
                    id ? " is called " : "", id ? id : "");
        return false;
    }
    g_mutex_lock(&b->lock);
    ok = net_user_hostfwd(b, rule, add, error);
    g_mutex_unlock(&b->lock);
    net_wake(b);
    return ok;
}

bool net_hostfwd_add(const char *id, const char *rule, GError **error)
{
    return change_hostfwd(id, rule, true, error);
}

bool net_hostfwd_remove(const char *id, const char *rule, GError **error)
{
    return change_hostfwd(id, rule, false, error);
}
