/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums and segmentation in software: what a sender left to do in a frame (NetOffload) and its receiver cannot. Frames come from guests and
 * peers: every length in them is checked.
 */
#ifndef NET_OFFLOAD_H
#define NET_OFFLOAD_H

#include "net/net.h"

/* A list of frames that owns them. */
typedef struct NetList {
    NetFrame *first, *last;
    uint32_t n;
    uint64_t bytes;
} NetList;

void net_list_append(NetList *list, NetFrame *f);
/* NULL: it is empty. The caller owns the frame. */
NetFrame *net_list_pop(NetList *list);
/* Puts all of @from behind @to. */
void net_list_splice(NetList *to, NetList *from);
void net_list_clear(NetList *list);

/* A frame of @len bytes, uninitialized but for its offload (none) and length. g_free() it. */
NetFrame *net_frame_new(size_t len);

/* The offload fields fit a frame of @len bytes. */
bool net_offload_is_sound(const NetOffload *o, size_t len);
/* NET_TAKES_* that a receiver of the frame must have. */
uint32_t net_offload_needs(const NetOffload *o);
/* Appends @f (which it takes) to @out as a receiver with @takes can have it: as it is, with checksums, or cut into packets.
 * @big: packets of any length are fine, they need checksums only. What cannot be cut (it is not what it says it is) is dropped. */
void net_offload_finish(NetFrame *f, uint32_t takes, bool big, NetList *out);
/* Folded sum (not inverted) of @len bytes, in network order. */
uint16_t net_sum(const void *data, size_t len);
/* IPv4 packets over @mtu bytes, which are not TCP, as fragments; others as they are. Takes @f. */
void net_fragment(NetFrame *f, size_t mtu, NetList *out);
/* A TCP packet that opens a connection and offers segments that fit @mtu or more now offers @mss bytes. */
void net_tcp_raise_mss(NetFrame *f, size_t mtu, uint16_t mss);
/* A TCP packet over @mtu bytes is marked to be cut (NET_GSO_TCP4, NET_GSO_TCP6). */
void net_tcp_mark(NetFrame *f, size_t mtu);

#endif
