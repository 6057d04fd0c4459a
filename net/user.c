/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev user: a network inside the process, made by libslirp: gateway, DHCP, DNS and TFTP servers, and the guest's connections as sockets of
 * this program's user.
 *
 * libslirp takes packets of any length, and its own TCP packets may be as long as the guest's offer allows. So the guest's packets are not cut
 * (takes_big), and its offers are raised on their way in: what comes back is marked to be cut for its network (GSO), by the device's driver if
 * it takes that. Both ways a segment of 32 KiB costs what one of 1460 bytes would.
 */
#include "net/net-priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libslirp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MTU = 1500, BIG_MTU = 65521, BIG_MSS = 11 * 1460 };
enum { NS_PER_MS = 1000000 };

typedef struct UserTimer {
    SlirpTimerCb cb;
    void *opaque;
    int64_t deadline; /* ms; -1: none */
} UserTimer;

typedef struct User {
    NetBackend *b;
    Slirp *slirp;
    GPtrArray *timers; /* of UserTimer */
    GArray *fds;       /* during slirp's callbacks */
    struct in_addr net, mask;
    bool can_ping; /* or it was told that it cannot */
} User;

/* ---- Callbacks ---- */

static ssize_t from_slirp(const void *buf, size_t len, void *opaque)
{
    User *u = opaque;
    NetOffload valid = { .flags = NET_DATA_VALID };
    NetFrame *f;

    if (len < NET_MIN_FRAME || len > NET_MAX_FRAME) {
        return (ssize_t)len;
    }
    f = net_frame_new(len);
    memcpy(f->data, buf, len);
    f->offload = valid;
    net_tcp_mark(f, MTU);
    net_fragment(f, MTU, &u->b->fresh);
    return (ssize_t)len;
}

static void on_guest_error(const char *message, void *opaque)
{
}

static int64_t clock_ns(void *opaque)
{
    return g_get_monotonic_time() * 1000;
}

static void *timer_new(SlirpTimerCb cb, void *cb_opaque, void *opaque)
{
    User *u = opaque;
    UserTimer *t = g_new0(UserTimer, 1);

    *t = (UserTimer){ cb, cb_opaque, -1 };
    g_ptr_array_add(u->timers, t);
    return t;
}

static void timer_free(void *timer, void *opaque)
{
    User *u = opaque;

    g_ptr_array_remove_fast(u->timers, timer);
}

static void timer_mod(void *timer, int64_t deadline, void *opaque)
{
    ((UserTimer *)timer)->deadline = deadline;
}

static void ignore_fd(int fd, void *opaque)
{
}

/* Only called in the thread, which looks at everything again before it sleeps. */
static void ignore_notify(void *opaque)
{
}

static const SlirpCb callbacks = { .send_packet = from_slirp,
                                   .guest_error = on_guest_error,
                                   .clock_get_ns = clock_ns,
                                   .timer_new = timer_new,
                                   .timer_free = timer_free,
                                   .timer_mod = timer_mod,
                                   .register_poll_fd = ignore_fd,
                                   .unregister_poll_fd = ignore_fd,
                                   .notify = ignore_notify };

/* ---- The loop ---- */

static int add_poll(int fd, int events, void *opaque)
{
    User *u = opaque;

    net_add_poll(u->fds, fd,
                 (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
                         (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
                         (events & SLIRP_POLL_PRI ? POLLPRI : 0)));
    return (int)u->fds->len - 1;
}

static int get_revents(int i, void *opaque)
{
    User *u = opaque;
    short e = g_array_index(u->fds, struct pollfd, i).revents;

    return (e & POLLIN ? SLIRP_POLL_IN : 0) | (e & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (e & POLLPRI ? SLIRP_POLL_PRI : 0) | (e & POLLERR ? SLIRP_POLL_ERR : 0) |
           (e & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void user_fill(NetBackend *b, GArray *fds, int *timeout)
{
    User *u = b->priv;
    uint32_t ms = *timeout < 0 ? UINT32_MAX : (uint32_t)*timeout;
    int64_t now = clock_ns(NULL) / NS_PER_MS;

    u->fds = fds;
    slirp_pollfds_fill(u->slirp, &ms, add_poll, u);
    for (unsigned i = 0; i < u->timers->len; i++) {
        UserTimer *t = g_ptr_array_index(u->timers, i);

        if (t->deadline >= 0) {
            ms = (uint32_t)MIN((int64_t)ms, MAX(t->deadline - now, 0));
        }
    }
    *timeout = ms > INT_MAX ? -1 : (int)ms;
}

static void fire_timers(User *u)
{
    int64_t now = clock_ns(NULL) / NS_PER_MS;

    for (unsigned i = 0; i < u->timers->len; i++) {
        UserTimer *t = g_ptr_array_index(u->timers, i);

        if (t->deadline >= 0 && t->deadline <= now) {
            t->deadline = -1;
            t->cb(t->opaque);
        }
    }
}

/* Says so when the guest pings the outside first and the host does not let it. */
static void check_ping(User *u, const NetFrame *f)
{
    struct in_addr to;

    if (u->can_ping || f->len < 34 || f->data[12] != 8 || f->data[13] ||
        f->data[23] != IPPROTO_ICMP) {
        return;
    }
    memcpy(&to, f->data + 30, 4);
    if ((to.s_addr & u->mask.s_addr) != u->net.s_addr) {
        u->can_ping = true;
        fprintf(stderr,
                "menura: netdev %s: this host lets its user not ping (sysctl "
                "net.ipv4.ping_group_range): the guest's pings go "
                "unanswered\n",
                u->b->id);
    }
}

static void user_run(NetBackend *b, GArray *fds)
{
    User *u = b->priv;
    NetList sent = net_take(b);

    u->fds = fds;
    slirp_pollfds_poll(u->slirp, 0, get_revents, u);
    for (NetFrame *f; (f = net_list_pop(&sent));) {
        check_ping(u, f);
        net_tcp_raise_mss(f, MTU, BIG_MSS);
        slirp_input(u->slirp, f->data, (int)f->len);
        g_free(f);
    }
    fire_timers(u);
}

/* ---- Forwarding ---- */

static bool parse_port(const char *text, int *port)
{
    uint64_t value;

    if (!keyval_parse_uint(text, &value) || value > UINT16_MAX) {
        return false;
    }
    *port = (int)value;
    return true;
}

/* "ADDRESS:PORT"; an empty address leaves *@addr alone. */
static bool parse_address(const char *text, struct in_addr *addr, int *port)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = colon ? g_strndup(text, (gsize)(colon - text)) : NULL;

    return colon && (!*host || inet_pton(AF_INET, host, addr) == 1) && parse_port(colon + 1, port);
}

/* "tcp:" or "udp:", or just ":". */
static bool parse_protocol(const char **text, bool *udp)
{
    *udp = g_str_has_prefix(*text, "udp:");
    if (*udp || g_str_has_prefix(*text, "tcp:")) {
        *text += 4;
        return true;
    }
    return *(*text)++ == ':';
}

static bool add_hostfwd(NetBackend *b, const char *rule, const char *rest, bool udp, GError **error)
{
    User *u = b->priv;
    struct in_addr host = { INADDR_ANY }, guest = { 0 };
    int host_port, guest_port;
    g_auto(GStrv) parts = g_strsplit(rest, "-", 2);

    if (!parts[0] || !parts[1] || !parse_address(parts[0], &host, &host_port) ||
        !parse_address(parts[1], &guest, &guest_port) || !guest_port) {
        return net_error(b, error, 0,
                         "hostfwd=%s: expected [tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT",
                         rule);
    }
    if (slirp_add_hostfwd(u->slirp, udp, host, host_port, guest, guest_port) < 0) {
        return net_error(b, error, errno, "hostfwd=%s: cannot be set up", rule);
    }
    return true;
}

bool net_user_hostfwd(NetBackend *b, const char *rule, bool add, GError **error)
{
    User *u = b->priv;
    struct in_addr host = { INADDR_ANY };
    const char *rest = rule;
    int port;
    bool udp;

    if (!parse_protocol(&rest, &udp)) {
        return net_error(b, error, 0, "hostfwd=%s: expected tcp: or udp: at its beginning", rule);
    }
    if (add) {
        return add_hostfwd(b, rule, rest, udp, error);
    }
    if (!parse_address(rest, &host, &port)) {
        return net_error(b, error, 0, "hostfwd_remove %s: expected [tcp|udp]:[HOSTADDR]:HOSTPORT",
                         rule);
    }
    return slirp_remove_hostfwd(u->slirp, udp, host, port) == 0 ||
           net_error(b, error, 0, "hostfwd_remove %s: there is no such rule", rule);
}

/* "tcp:ADDR:PORT-cmd:COMMAND" or "-unix:PATH". */
static bool add_guestfwd(NetBackend *b, const char *rule, GError **error)
{
    User *u = b->priv;
    const char *dash = strchr(rule, '-'), *rest = rule;
    g_autofree char *where = NULL;
    struct in_addr addr = { 0 };
    int port, result;
    bool udp;

    if (!dash || !parse_protocol(&rest, &udp) || udp || dash < rest) {
        return net_error(b, error, 0, "guestfwd=%s: expected tcp:ADDR:PORT-cmd:COMMAND", rule);
    }
    where = g_strndup(rest, (gsize)(dash - rest));
    if (!parse_address(where, &addr, &port) || !port) {
        return net_error(b, error, 0, "guestfwd=%s: expected an address and a port", rule);
    }
    if (g_str_has_prefix(dash, "-cmd:")) {
        b->runs_programs = true;
        result = slirp_add_exec(u->slirp, dash + 5, &addr, port);
    } else if (g_str_has_prefix(dash, "-unix:")) {
        result = slirp_add_unix(u->slirp, dash + 6, &addr, port);
    } else {
        return net_error(b, error, 0, "guestfwd=%s: not supported (cmd:COMMAND and unix:PATH are)",
                         rule);
    }
    return result == 0 ||
           net_error(b, error, 0, "guestfwd=%s: the address is taken or outside of the network",
                     rule);
}

static bool add_forwards(NetBackend *b, const KeyVals *kv, GError **error)
{
    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        const char *key = keyvals_key(kv, i), *value = keyvals_value(kv, i);

        if ((!strcmp(key, "hostfwd") && !net_user_hostfwd(b, value, true, error)) ||
            (!strcmp(key, "guestfwd") && !add_guestfwd(b, value, error))) {
            return false;
        }
    }
    return true;
}

/* ---- Options ---- */

static bool get_address(NetBackend *b, const KeyVals *kv, const char *key, struct in_addr *addr,
                        GError **error)
{
    const char *text = keyvals_get(kv, key);

    return !text || inet_pton(AF_INET, text, addr) == 1 ||
           net_error(b, error, 0, "%s=%s is no IPv4 address", key, text);
}

static bool get_address6(NetBackend *b, const KeyVals *kv, const char *key, struct in6_addr *addr,
                         GError **error)
{
    const char *text = keyvals_get(kv, key);

    return !text || inet_pton(AF_INET6, text, addr) == 1 ||
           net_error(b, error, 0, "%s=%s is no IPv6 address", key, text);
}

static struct in_addr inside(struct in_addr net, struct in_addr mask, uint32_t host)
{
    return (struct in_addr){ (net.s_addr & mask.s_addr) | (htonl(host) & ~mask.s_addr) };
}

/* net=ADDR[/BITS or /MASK] */
static bool parse_net(NetBackend *b, const KeyVals *kv, SlirpConfig *c, GError **error)
{
    const char *text = keyvals_get(kv, "net");
    g_auto(GStrv) parts = text ? g_strsplit(text, "/", 2) : NULL;
    uint64_t bits = 24;

    inet_pton(AF_INET, "10.0.2.0", &c->vnetwork);
    if (parts && inet_pton(AF_INET, parts[0], &c->vnetwork) != 1) {
        return net_error(b, error, 0, "net=%s: expected ADDRESS[/BITS]", text);
    }
    if (parts && parts[1] && inet_pton(AF_INET, parts[1], &c->vnetmask) == 1) {
        bits = (uint64_t)__builtin_popcount(c->vnetmask.s_addr);
    } else if (parts && parts[1] && !keyval_parse_uint(parts[1], &bits)) {
        bits = 0;
    }
    if (bits < 4 || bits > 30) {
        return net_error(b, error, 0, "net=%s: a network of 4 to 30 bits is needed", text);
    }
    c->vnetmask.s_addr = htonl(~0u << (32 - bits));
    c->vnetwork.s_addr &= c->vnetmask.s_addr;
    return true;
}

static bool parse_ip4(NetBackend *b, const KeyVals *kv, SlirpConfig *c, GError **error)
{
    const char *keys[] = { "host", "dhcpstart", "dns" };
    struct in_addr *fields[] = { &c->vhost, &c->vdhcp_start, &c->vnameserver };
    uint32_t low;

    if (!parse_net(b, kv, c, error)) {
        return false;
    }
    low = ntohl(~c->vnetmask.s_addr);
    c->vhost = inside(c->vnetwork, c->vnetmask, MIN(2, low - 1));
    c->vnameserver = inside(c->vnetwork, c->vnetmask, MIN(3, low - 1));
    c->vdhcp_start = inside(c->vnetwork, c->vnetmask, low >= 16 ? 15 : 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (!get_address(b, kv, keys[i], fields[i], error)) {
            return false;
        }
        if ((fields[i]->s_addr & c->vnetmask.s_addr) != c->vnetwork.s_addr) {
            return net_error(b, error, 0, "%s is outside of the network", keys[i]);
        }
    }
    if (c->vhost.s_addr == c->vnameserver.s_addr) {
        return net_error(b, error, 0, "host and dns have the same address");
    }
    return true;
}

/* ipv6-net=PREFIX[/BITS], or ipv6-prefix= and ipv6-prefixlen=. */
static bool parse_ip6(NetBackend *b, const KeyVals *kv, SlirpConfig *c, GError **error)
{
    const char *net = keyvals_get(kv, "ipv6-net");
    g_auto(GStrv) parts = net ? g_strsplit(net, "/", 2) : NULL;
    uint64_t bits = 64;

    inet_pton(AF_INET6, "fec0::", &c->vprefix_addr6);
    if (parts && inet_pton(AF_INET6, parts[0], &c->vprefix_addr6) != 1) {
        return net_error(b, error, 0, "ipv6-net=%s: expected PREFIX[/BITS]", net);
    }
    if ((parts && parts[1] && !keyval_parse_uint(parts[1], &bits)) ||
        !keyvals_get_uint(kv, b->id, "ipv6-prefixlen", 0, 126, &bits, error) ||
        !get_address6(b, kv, "ipv6-prefix", &c->vprefix_addr6, error)) {
        return error && *error ? false : net_error(b, error, 0, "ipv6-net=%s: wrong length", net);
    }
    if (bits > 126) {
        return net_error(b, error, 0, "ipv6-net=%s: at most 126 bits", net);
    }
    c->vprefix_len = (uint8_t)bits;
    c->vhost6 = c->vnameserver6 = c->vprefix_addr6;
    c->vhost6.s6_addr[15] |= 2;
    c->vnameserver6.s6_addr[15] |= 3;
    return get_address6(b, kv, "ipv6-host", &c->vhost6, error) &&
           get_address6(b, kv, "ipv6-dns", &c->vnameserver6, error);
}

static bool parse_switches(NetBackend *b, const KeyVals *kv, SlirpConfig *c, GError **error)
{
    bool restricted = false, has4 = false, has6 = false;
    const char *four = keyvals_get(kv, "ipv4"), *six = keyvals_get(kv, "ipv6");

    if (!keyvals_get_bool(kv, b->id, "restrict", &restricted, error) ||
        !keyvals_get_bool(kv, b->id, "ipv4", &has4, error) ||
        !keyvals_get_bool(kv, b->id, "ipv6", &has6, error)) {
        return false;
    }
    c->restricted = restricted;
    c->in_enabled = four ? has4 : !six || !has6; /* one that is asked for alone is alone */
    c->in6_enabled = six ? has6 : !four || !has4;
    if (!c->in_enabled && !c->in6_enabled) {
        return net_error(b, error, 0, "ipv4=off and ipv6=off leave no network");
    }
    return true;
}

/* Whether ICMP sockets can be had: those for everybody, or raw ones. */
static bool host_can_ping(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

    if (fd < 0) {
        fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    }
    return fd >= 0 && close(fd) == 0;
}

static GPtrArray *all_values(const KeyVals *kv, const char *key)
{
    GPtrArray *values = g_ptr_array_new();

    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        if (!strcmp(keyvals_key(kv, i), key)) {
            g_ptr_array_add(values, (void *)keyvals_value(kv, i));
        }
    }
    g_ptr_array_add(values, NULL);
    return values;
}

static bool user_open(NetBackend *b, const KeyVals *kv, GError **error)
{
    User *u = g_new0(User, 1);
    g_autoptr(GPtrArray) search = all_values(kv, "dnssearch");
    SlirpConfig c = { .version = 1,
                      .vhostname = keyvals_get(kv, "hostname"),
                      .tftp_server_name = keyvals_get(kv, "tftp-server-name"),
                      .tftp_path = keyvals_get(kv, "tftp"),
                      .bootfile = keyvals_get(kv, "bootfile"),
                      .vdnssearch = search->len > 1 ? (const char **)search->pdata : NULL,
                      .vdomainname = keyvals_get(kv, "domainname"),
                      .if_mtu = BIG_MTU,
                      .if_mru = BIG_MTU };

    b->priv = u;
    b->takes_big = true;
    u->b = b;
    u->timers = g_ptr_array_new_with_free_func(g_free);
    u->can_ping = host_can_ping();
    if (keyvals_get(kv, "smb") || keyvals_get(kv, "smbserver")) {
        return net_error(b, error, 0, "smb= is not supported");
    }
    if (!parse_switches(b, kv, &c, error) || !parse_ip4(b, kv, &c, error) ||
        !parse_ip6(b, kv, &c, error)) {
        return false;
    }
    u->net = c.vnetwork;
    u->mask = c.vnetmask;
    u->slirp = slirp_new(&c, &callbacks, u);
    if (!u->slirp) {
        return net_error(b, error, 0, "libslirp refuses these options");
    }
    net_set_label(b, "net=%s,restrict=%s", inet_ntoa(c.vnetwork), c.restricted ? "on" : "off");
    return add_forwards(b, kv, error);
}

static void user_close(NetBackend *b)
{
    User *u = b->priv;

    if (u->slirp) {
        slirp_cleanup(u->slirp);
    }
    g_ptr_array_unref(u->timers);
    g_free(u);
}

void net_user_info(NetBackend *b, GString *out)
{
    g_autofree char *text = slirp_connection_info(((User *)b->priv)->slirp);

    g_string_append(out, text);
}

static const char *const options[] = { "net",
                                       "host",
                                       "dhcpstart",
                                       "dns",
                                       "hostname",
                                       "domainname",
                                       "dnssearch",
                                       "hostfwd",
                                       "guestfwd",
                                       "tftp",
                                       "bootfile",
                                       "restrict",
                                       "tftp-server-name",
                                       "ipv4",
                                       "ipv6",
                                       "ipv6-net",
                                       "ipv6-prefix",
                                       "ipv6-prefixlen",
                                       "ipv6-host",
                                       "ipv6-dns",
                                       "smb",
                                       "smbserver",
                                       NULL };

const NetDriver net_driver_user = { .kind = "user",
                                    .desc = "a network inside the program: no privileges needed",
                                    .options = options,
                                    .sockets = true,
                                    .reads_files = true,
                                    .open = user_open,
                                    .close = user_close,
                                    .fill = user_fill,
                                    .run = user_run };
