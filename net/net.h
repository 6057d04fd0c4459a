/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network back ends: user (a whole network in the process), sockets, tap, hubs. A device attaches its port to one and exchanges
 * Ethernet frames (without FCS) with it; back ends never know a device.
 *
 * Each back end works in a thread of its own. The device calls net_send() for each frame and net_flush() once for a batch; the thread takes the
 * frames, makes checksums and segments where the back end cannot (offload.h) and brings what arrives in batches to the port, under the lock
 * that net_set_lock() names (the machine lock). So a device offers its guest all offloads and only moves frames between rings and here.
 * Queue pairs are the device's matter: it spreads what it receives.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct NetBackend NetBackend;

enum { NET_MAC_LEN = 6, NET_MIN_FRAME = 14, NET_MAX_FRAME = 14 + 4 + 65535 };

/* What is left to do with a frame; the values are those of virtio_net_hdr (virtio 1.2, section 5.1.6), in host byte order. */
enum { NET_NEEDS_CSUM = 1, NET_DATA_VALID = 2 };
enum { NET_GSO_NONE = 0, NET_GSO_TCP4 = 1, NET_GSO_UDP = 3, NET_GSO_TCP6 = 4, NET_GSO_ECN = 0x80 };

typedef struct NetOffload {
    uint8_t
        flags; /* NET_NEEDS_CSUM: of the bytes from csum_start; NET_DATA_VALID: checksums were checked */
    uint8_t gso;       /* NET_GSO_*: to be cut into packets */
    uint16_t hdr_len;  /* a hint only */
    uint16_t gso_size; /* bytes of payload in each packet */
    uint16_t csum_start, csum_offset;
} NetOffload;

/* What a receiver can be given (features of a port or back end). Without NET_TAKES_CSUM none of the others. */
enum {
    NET_TAKES_CSUM = 1,
    NET_TAKES_TSO4 = 2,
    NET_TAKES_TSO6 = 4,
    NET_TAKES_ECN = 8,
    NET_TAKES_UFO = 16,
};

typedef struct NetFrame {
    struct NetFrame *next; /* the list's */
    NetOffload offload;
    uint32_t len; /* NET_MIN_FRAME to NET_MAX_FRAME */
    uint8_t data[];
} NetFrame;

/* All are called with the lock held, from any thread. */
typedef struct NetPortOps {
    /* A frame arrived (borrowed). False: no room now; it is offered again after net_receive_again(). */
    bool (*receive)(void *opaque, const NetFrame *frame);
    /* No further frame is there for now: show the guest what came. May be NULL. */
    void (*received)(void *opaque);
    /* net_send() refused one before, now there is room. May be NULL. */
    void (*can_send)(void *opaque);
    /* set_link, or a peer that came or went. May be NULL. */
    void (*link_changed)(void *opaque);
} NetPortOps;

/* ---- For devices: the lock held ---- */

/* Connects a port. @name: as "info network" shows it (borrowed); @mac: its address then (borrowed). False: already in use. */
bool net_attach(NetBackend *b, const NetPortOps *ops, void *opaque, const char *name,
                const uint8_t *mac, GError **error);
/* Afterwards no function of the port is called any more. */
void net_detach(NetBackend *b, void *opaque);
/* NET_TAKES_* of the port, 0 at first: what needs more is finished before it is delivered. */
void net_set_port_features(NetBackend *b, uint32_t takes);
/* Queues a frame for the back end (copied). False: it has enough for now, can_send() will be called. Frames of impossible length and frames
 * on a link that is down are dropped (true). Offload fields are checked: a frame with bad ones is dropped. */
bool net_send(NetBackend *b, const NetOffload *offload, const struct iovec *iov, int n);
/* After a batch of net_send(). */
void net_flush(NetBackend *b);
/* The port has room again after receive() said no. */
void net_receive_again(NetBackend *b);
bool net_link_is_up(const NetBackend *b);
/* What a device without mac= has: 52:54:00:12:34:56 and upwards, each time another. */
void net_default_mac(uint8_t mac[NET_MAC_LEN]);
/* "52:54:00:12:34:56". False: it is none, or that of a group. */
bool net_parse_mac(const char *text, uint8_t mac[NET_MAC_LEN]);

/* ---- Back ends ---- */

/* Makes one of a -netdev argument ("user,id=n0,..."). The error begins with "netdev ID". */
bool net_new(const char *spec, GError **error);
/* By -netdev id=; NULL: none. */
NetBackend *net_find(const char *id);
const char *net_id(const NetBackend *b);
/* -object filter-dump,id=,netdev=,file=[,maxlen=][,queue=all|rx|tx][,status=]: all frames into a pcap file. */
bool net_add_dump(const char *spec, GError **error);
/* Starts all threads; after the devices are there. */
void net_start(void);
/* Ends all threads and frees the back ends; the lock not held. */
void net_cleanup(void);
void net_set_lock(void (*lock)(void), void (*unlock)(void));
/* What some back end does while it runs: make or take connections, open files for reading, start programs. */
bool net_has_sockets(void);
bool net_reads_files(void);
bool net_runs_programs(void);
/* "-netdev help". */
void net_list(GString *out);

/* ---- Monitor: the lock held ---- */

/* "info network", "info usernet". */
void net_info(GString *out);
void net_info_user(GString *out);
/* set_link NAME on|off, by the id of a back end or the name of a port. */
bool net_set_link(const char *name, bool up, GError **error);
/* hostfwd_add [ID] RULE and hostfwd_remove [ID] RULE; @id NULL: the first user network. */
bool net_hostfwd_add(const char *id, const char *rule, GError **error);
bool net_hostfwd_remove(const char *id, const char *rule, GError **error);

#endif
