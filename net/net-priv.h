/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kinds of network back ends share: the object and its thread's loop.
 *
 * The thread holds `lock` while a driver's functions run and lets go of it in poll() and while it delivers. Order: the machine lock, then
 * `lock`, then `tx_lock`. `rx` belongs to the machine lock, `fresh` to the thread.
 */
#ifndef NET_NET_PRIV_H
#define NET_NET_PRIV_H

#include <poll.h>
#include "net/net.h"
#include "net/offload.h"
#include "util/keyval.h"

typedef struct NetDriver {
    const char *kind; /* as -netdev spells it */
    const char *desc;
    const char *const *options; /* its keys besides id, NULL-terminated */
    bool sockets;               /* makes or takes connections while it runs */
    bool reads_files;           /* opens files for reading while it runs */
    /* Opens the host side into b->priv. */
    bool (*open)(NetBackend *b, const KeyVals *kv, GError **error);
    /* Frees b->priv; also after a failed open(). */
    void (*close)(NetBackend *b);
    /* Appends what to wait for to @fds (the first belongs to the loop); may lower @timeout (ms, -1: none). */
    void (*fill)(NetBackend *b, GArray *fds, int *timeout);
    /* Does all there is to do: sends net_take()'s frames, net_push()es those that came. */
    void (*run)(NetBackend *b, GArray *fds);
} NetDriver;

struct NetBackend {
    const NetDriver *driver;
    void *priv;
    char *id;
    char *label;        /* for "info network"; owned; `lock` */
    uint32_t takes;     /* NET_TAKES_*, thread only */
    bool takes_big;     /* packets over the MTU need no cutting, only checksums */
    bool runs_programs; /* starts some while it runs */
    bool link_down;     /* set_link off; lock_hook's */
    bool disconnected;  /* the peer is away; lock_hook's */
    bool now_connected; /* the driver's word on it; `lock` */

    GMutex lock;
    GThread *thread;
    int wake_fd;  /* eventfd */
    int sleeping; /* atomic: somebody has to write to wake_fd */
    int woken;    /* atomic: there is something to do before it sleeps */
    int stopping; /* atomic */

    /* The port; lock_hook's. */
    const NetPortOps *port;
    void *opaque;
    const char *port_name;
    const uint8_t *mac;
    int port_takes; /* atomic */
    NetList rx;     /* arrived, not delivered; lock_hook's */
    int rx_waiting; /* atomic: frames in it */

    GMutex tx_lock;
    NetList tx; /* sent by the port */
    int tx_refused;

    NetList fresh;    /* arrived in this round; thread only */
    GPtrArray *dumps; /* of NetDump * */
};

extern const NetDriver net_driver_user, net_driver_socket, net_driver_stream, net_driver_dgram,
    net_driver_tap, net_driver_hubport;

/* The frames that the port sent, finished as far as the driver needs it; the caller frees them. */
NetList net_take(NetBackend *b);
/* A frame arrived: a copy of it goes to the port after run(). Impossible lengths are dropped. @offload NULL: nothing is left to do. */
void net_push(NetBackend *b, const NetOffload *offload, const void *data, size_t len);
/* The port has more than enough waiting: drivers that can let the host wait do not read now. */
bool net_is_full(const NetBackend *b);
/* Wakes the thread. Any thread. */
void net_wake(NetBackend *b);
/* Replaces the label. */
void net_set_label(NetBackend *b, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Sets "netdev ID: ...", with errno's text behind it if @err is not 0; returns false. */
bool net_error(const NetBackend *b, GError **error, int err, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
/* net_set_lock()'s. */
void net_take_lock(void);
void net_leave_lock(void);
/* Adds a descriptor to wait for. */
void net_add_poll(GArray *fds, int fd, short events);

/* dump.c */
typedef struct NetDump NetDump;
void net_dump_frame(NetDump *d, const NetFrame *f, bool to_port);
void net_dump_free(void *dump);
NetDump *net_dump_new(const KeyVals *kv, GError **error);

/* user.c */
void net_user_info(NetBackend *b, GString *out);
bool net_user_hostfwd(NetBackend *b, const char *rule, bool add, GError **error);

#endif
