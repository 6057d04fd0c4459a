/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev hubport: a port of a hub inside the process, for a device or, with netdev=, for another back end. What comes in at one port goes out at all
 * others. Each port has an inbox, as its frames come from the threads of the others.
 */
#include "net/net-priv.h"

#include <string.h>

enum { MAX_INBOX = 1024 };

typedef struct HubPort {
    NetBackend *b;
    NetBackend *uplink; /* netdev=; NULL: a device is here */
    uint64_t hub;
    GMutex lock;
    NetList inbox; /* lock */
} HubPort;

static GMutex ports_lock;
static GPtrArray *ports; /* of HubPort, of all hubs; ports_lock */

/* To all others of the hub. */
static void distribute(HubPort *from, const NetFrame *f)
{
    g_mutex_lock(&ports_lock);
    for (unsigned i = 0; i < ports->len; i++) {
        HubPort *to = g_ptr_array_index(ports, i);
        NetFrame *copy;

        if (to == from || to->hub != from->hub || net_is_full(to->b)) {
            continue;
        }
        copy = net_frame_new(f->len);
        memcpy(copy->data, f->data, f->len);
        copy->offload = f->offload;
        g_mutex_lock(&to->lock);
        if (to->inbox.n < MAX_INBOX) {
            net_list_append(&to->inbox, g_steal_pointer(&copy));
        }
        g_mutex_unlock(&to->lock);
        g_free(copy); /* lost: its thread is behind */
        net_wake(to->b);
    }
    g_mutex_unlock(&ports_lock);
}

static void hub_fill(NetBackend *b, GArray *fds, int *timeout)
{
}

static void hub_run(NetBackend *b, GArray *fds)
{
    HubPort *p = b->priv;
    NetList sent = net_take(b), arrived;

    for (NetFrame *f; (f = net_list_pop(&sent));) {
        distribute(p, f);
        g_free(f);
    }
    g_mutex_lock(&p->lock);
    arrived = p->inbox;
    p->inbox = (NetList){ 0 };
    g_mutex_unlock(&p->lock);
    if (!p->uplink) {
        net_list_splice(&b->fresh, &arrived);
        return;
    }
    for (NetFrame *f; (f = net_list_pop(&arrived));) {
        struct iovec iov = { f->data, f->len };

        net_send(p->uplink, &f->offload, &iov, 1); /* what it has no room for is lost */
        g_free(f);
    }
    net_flush(p->uplink);
}

/* The uplink's frames. */
static bool hub_receive(void *opaque, const NetFrame *f)
{
    distribute(opaque, f);
    return true;
}

static const NetPortOps uplink_ops = { .receive = hub_receive };

static bool hub_open(NetBackend *b, const KeyVals *kv, GError **error)
{
    const char *netdev = keyvals_get(kv, "netdev");
    HubPort *p = g_new0(HubPort, 1);

    p->b = b;
    g_mutex_init(&p->lock);
    b->priv = p;
    b->takes = NET_TAKES_CSUM | NET_TAKES_TSO4 | NET_TAKES_TSO6 | NET_TAKES_ECN;
    g_mutex_lock(&ports_lock);
    ports = ports ? ports : g_ptr_array_new();
    g_ptr_array_add(ports, p);
    g_mutex_unlock(&ports_lock);
    if (!keyvals_get(kv, "hubid")) {
        return net_error(b, error, 0, "hubid= is missing");
    }
    if (!keyvals_get_uint(kv, b->id, "hubid", 0, INT32_MAX, &p->hub, error)) {
        return false;
    }
    net_set_label(b, "hubid=%d", (int)p->hub);
    if (!netdev) {
        return true;
    }
    p->uplink = net_find(netdev);
    if (!p->uplink) {
        return net_error(b, error, 0, "netdev=%s: no -netdev before has this id", netdev);
    }
    if (!net_attach(p->uplink, &uplink_ops, p, b->id, NULL, error)) {
        p->uplink = NULL;
        return false;
    }
    net_set_port_features(p->uplink, b->takes);
    return true;
}

static void hub_close(NetBackend *b)
{
    HubPort *p = b->priv;

    g_mutex_lock(&ports_lock);
    g_ptr_array_remove(ports, p);
    g_mutex_unlock(&ports_lock);
    net_list_clear(&p->inbox);
    g_mutex_clear(&p->lock);
    g_free(p);
}

static const char *const options[] = { "hubid", "netdev", NULL };

const NetDriver net_driver_hubport = { .kind = "hubport",
                                       .desc = "a port of a hub that joins devices and networks",
                                       .options = options,
                                       .open = hub_open,
                                       .close = hub_close,
                                       .fill = hub_fill,
                                       .run = hub_run };
