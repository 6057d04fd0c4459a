/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev tap: a network interface of the host (Linux' tun driver), which somebody has set up: there is no script. With vnet_hdr=on (the default)
 * the host's kernel takes and gives large segments without checksums.
 */
#include "net/net-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { HEADER = 10, MAX_FRAMES = 64 };

typedef struct Tap {
    int fd;
    bool vnet_hdr;
    uint8_t *buffer; /* a header and a frame */
} Tap;

static void tap_fill(NetBackend *b, GArray *fds, int *timeout)
{
    Tap *t = b->priv;

    net_add_poll(fds, t->fd, net_is_full(b) ? 0 : POLLIN);
}

static void read_frames(NetBackend *b)
{
    Tap *t = b->priv;
    size_t head = t->vnet_hdr ? HEADER : 0;

    for (unsigned i = 0; i < MAX_FRAMES; i++) {
        ssize_t n = read(t->fd, t->buffer, HEADER + NET_MAX_FRAME);
        NetOffload o = { 0 };

        if (n < (ssize_t)head) {
            return;
        }
        if (head) {
            memcpy(&o, t->buffer, head); /* the same fields in the host's order */
            o.flags &= NET_NEEDS_CSUM | NET_DATA_VALID;
        }
        net_push(b, &o, t->buffer + head, (size_t)n - head);
    }
}

static void tap_run(NetBackend *b, GArray *fds)
{
    Tap *t = b->priv;
    NetList sent = net_take(b);

    for (NetFrame *f; (f = net_list_pop(&sent));) {
        struct iovec iov[2] = { { &f->offload, HEADER }, { f->data, f->len } };
        ssize_t n = t->vnet_hdr ? writev(t->fd, iov, 2) : write(t->fd, f->data, f->len);

        (void)n; /* an interface that is down loses frames */
        g_free(f);
    }
    if (fds->len > 1 && g_array_index(fds, struct pollfd, 1).revents) {
        read_frames(b);
    }
}

static bool open_interface(NetBackend *b, const char *name, bool vnet_hdr, GError **error)
{
    struct ifreq ifr = { .ifr_flags =
                             (short)(IFF_TAP | IFF_NO_PI | (vnet_hdr ? IFF_VNET_HDR : 0)) };
    Tap *t = b->priv;

    if (name && strlen(name) >= IFNAMSIZ) {
        return net_error(b, error, 0, "ifname=%s: too long", name);
    }
    if (name) {
        strcpy(ifr.ifr_name, name);
    }
    t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (t->fd < 0) {
        return net_error(b, error, errno, "/dev/net/tun");
    }
    if (ioctl(t->fd, TUNSETIFF, &ifr) < 0) {
        return net_error(b, error, errno, "ifname=%s", name ? name : "");
    }
    t->vnet_hdr = vnet_hdr;
    net_set_label(b, "ifname=%.*s,script=no,downscript=no", IFNAMSIZ, ifr.ifr_name);
    return true;
}

static bool take_fd(NetBackend *b, uint64_t fd, GError **error)
{
    struct ifreq ifr = { 0 };
    Tap *t = b->priv;

    t->fd = (int)fd;
    if (ioctl(t->fd, TUNGETIFF, &ifr) < 0 || !(ifr.ifr_flags & IFF_TAP) ||
        fcntl(t->fd, F_SETFL, O_NONBLOCK) < 0) {
        return net_error(b, error, errno, "fd=%d: no tap interface", t->fd);
    }
    t->vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
    net_set_label(b, "fd=%d", t->fd);
    return true;
}

static bool use_offloads(NetBackend *b, GError **error)
{
    Tap *t = b->priv;
    int size = HEADER;

    if (!t->vnet_hdr) {
        return true;
    }
    if (ioctl(t->fd, TUNSETVNETHDRSZ, &size) < 0 ||
        ioctl(t->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0) {
        return net_error(b, error, errno, "vnet_hdr=on");
    }
    b->takes = NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6 | NET_TAKES_ECN;
    return true;
}

static bool tap_open(NetBackend *b, const KeyVals *kv, GError **error)
{
    static const char *const scripts[] = { "script", "downscript" };
    Tap *t = g_new0(Tap, 1);
    bool vnet_hdr = true;
    uint64_t fd = 0;

    t->fd = -1;
    t->buffer = g_malloc(HEADER + NET_MAX_FRAME);
    b->priv = t;
    for (unsigned i = 0; i < G_N_ELEMENTS(scripts); i++) {
        const char *script = keyvals_get(kv, scripts[i]);

        if (script && strcmp(script, "no")) {
            return net_error(b, error, 0,
                             "%s=%s: not supported (only no is); set the interface up beforehand",
                             scripts[i], script);
        }
    }
    if (!keyvals_get_bool(kv, b->id, "vnet_hdr", &vnet_hdr, error) ||
        !keyvals_get_uint(kv, b->id, "fd", 0, INT_MAX, &fd, error)) {
        return false;
    }
    return (keyvals_get(kv, "fd")
                ? take_fd(b, fd, error)
                : open_interface(b, keyvals_get(kv, "ifname"), vnet_hdr, error)) &&
           use_offloads(b, error);
}

static void tap_close(NetBackend *b)
{
    Tap *t = b->priv;

    if (t && t->fd >= 0) {
        close(t->fd);
    }
    if (t) {
        g_free(t->buffer);
    }
    g_free(t);
}

static const char *const options[] = { "ifname", "fd", "script", "downscript", "vnet_hdr", NULL };

const NetDriver net_driver_tap = { .kind = "tap",
                                   .desc = "a tap interface of the host",
                                   .options = options,
                                   .open = tap_open,
                                   .close = tap_close,
                                   .fill = tap_fill,
                                   .run = tap_run };
