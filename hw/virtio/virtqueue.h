/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtqueues, split and packed (virtio 1.2, sections 2.7 and 2.8), the device's side: descriptor chains come out as host buffers, used ones go
 * back.
 *
 * The guest owns the rings and may write anything into them at any time: every value is read once and checked, and a mistake
 * breaks the whole device (hw_virtio_fail) until the driver resets it. The rings are reached through host pointers that are looked up again when
 * the memory map changes. All functions: machine lock held.
 */
#ifndef HW_VIRTIO_VIRTQUEUE_H
#define HW_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include "softmmu/memory.h"

enum { VIRTQUEUE_MAX_SIZE = 1024 };

typedef struct HwVirtio HwVirtio;

typedef struct VirtQueue {
    HwVirtio *dev; /* NULL: the device has no such queue */
    uint16_t max;  /* largest size; 0: no such queue */

    /* State (in the device's table). */
    uint16_t num; /* size the driver chose; split: a power of 2 */
    bool ready;
    uint64_t desc, avail,
        used; /* guest-physical addresses: packed: ring, driver's, device's event structure */
    /* Positions; split: running indices, packed: index and wrap counter. */
    uint16_t last_avail; /* the next available entry to look at */
    uint16_t next_used;  /* the next used entry to fill */
    uint16_t published;  /* next_used when the guest was told last */

    /* Derived. */
    uint32_t generation; /* changes when chains taken before are void */
    uint64_t map_serial; /* of the memory map that the pointers are right for; 0: none */
    uint8_t *desc_host, *avail_host, *used_host;
} VirtQueue;

/* A chain: buffers the device reads (out) and, behind them, those it writes (in). */
typedef struct VirtqElement {
    uint16_t head;     /* first descriptor, or the buffer's id */
    uint16_t slots;    /* entries of the ring that it takes */
    uint16_t position; /* last_avail before it was taken */
    uint32_t generation;
    int n_out, n_in;
    struct iovec *out, *in;   /* into iov */
    uint64_t out_len, in_len; /* bytes, at most 4 GiB together */
    struct iovec iov[];
} VirtqElement;

/* Takes the next available chain; NULL: there is none, or the queue is not usable. The caller frees it with g_free(), after
 * virtqueue_push(). */
VirtqElement *virtqueue_pop(VirtQueue *q);
/* @first and the chains taken after it, of which none was pushed, are available again; the caller frees them. */
void virtqueue_unpop(VirtQueue *q, const VirtqElement *first);
/* Whether virtqueue_pop() would find a chain. */
bool virtqueue_has_work(VirtQueue *q);
/* Gives a chain back, of whose `in` buffers the first @written bytes were written. The guest sees it at virtqueue_publish().
 * Chains of before a reset are ignored. */
void virtqueue_push(VirtQueue *q, const VirtqElement *e, uint64_t written);
/* Shows the guest what was pushed; true: it wants an interrupt for that. */
bool virtqueue_publish(VirtQueue *q);
/* Asks the driver to notify of the next chain it adds; true: there is one already. To be called before a device that found the
 * queue empty turns away from it. */
bool virtqueue_arm(VirtQueue *q);
/* Looks the rings up; false: they are not usable (the device is failed). */
bool virtqueue_map(VirtQueue *q);
/* Forgets pointers and chains; for resets, after the state fields were set. */
void virtqueue_forget(VirtQueue *q);
/* The same, and all begins with the first entry. */
void virtqueue_rewind(VirtQueue *q);
/* Whether the driver may choose @num entries. */
bool virtqueue_size_is_good(const VirtQueue *q, uint32_t num);

/* ---- Buffers of a chain ---- */

/* Copies up to @len bytes from or to offset @at of the buffers; returns what there was. */
uint64_t virtq_iov_read(const struct iovec *iov, int n, uint64_t at, void *buf, uint64_t len);
uint64_t virtq_iov_write(const struct iovec *iov, int n, uint64_t at, const void *buf,
                         uint64_t len);
/* Takes @len bytes (that must be there) off the front or the back, in place. */
void virtq_iov_trim_front(struct iovec **iov, int *n, uint64_t len);
void virtq_iov_trim_back(struct iovec *iov, int *n, uint64_t len);

#endif
