/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two kinds of rings share: guest memory, chains on their way to an element; and how virtqueue.c finds the kind. */
#ifndef HW_VIRTIO_VIRTQUEUE_PRIV_H
#define HW_VIRTIO_VIRTQUEUE_PRIV_H

#include <glib.h>
#include "hw/virtio/virtio.h"

enum { DESC_SIZE = 16, DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };

/* One entry of a table, of either kind. */
typedef struct VirtqDesc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t link; /* split: the next one; packed: the buffer's id */
} VirtqDesc;

typedef struct VirtqChain {
    VirtQueue *q;
    unsigned n_desc, n_out, n_iov;
    uint64_t out_len, in_len;
    struct iovec iov[VIRTQUEUE_MAX_SIZE];
} VirtqChain;

/* A format of rings. All are called for queues that are usable and mapped. */
typedef struct VirtqFormat {
    /* Bytes of the three parts. */
    void (*sizes)(const VirtQueue *q, uint64_t *desc, uint64_t *avail, uint64_t *used);
    bool (*has_work)(VirtQueue *q);
    /* Fills @c and says the element's head and how many entries of the ring it takes. False: the device is failed. */
    bool (*take)(VirtQueue *q, VirtqChain *c, uint16_t *head, uint16_t *slots);
    void (*put)(VirtQueue *q, const VirtqElement *e, uint32_t written);
    /* As virtqueue_publish(), if something was put. */
    bool (*publish)(VirtQueue *q);
    /* Asks the driver for a notification of its next chain. */
    void (*arm)(VirtQueue *q);
    /* Position of the first entry, as last_avail and next_used have it. */
    uint16_t start;
} VirtqFormat;

extern const VirtqFormat virtq_split, virtq_packed;

uint16_t virtq_get16(const uint8_t *host);
void virtq_put16(uint8_t *host, uint16_t value);
/* Entry @i of a table at any address, read once. The last two fields are where split tables have flags and next. */
VirtqDesc virtq_read_desc(const uint8_t *table, unsigned i);
/* All of [@addr, @addr + @len) as host memory, or NULL. */
uint8_t *virtq_map(uint64_t addr, uint64_t len, bool write);
/* Adds a descriptor's buffer; false: it is wrong, the device is failed. */
bool virtq_chain_add(VirtqChain *c, const VirtqDesc *d);
/* The table that @d points to, of *@n entries; NULL: it is wrong, the device is failed. */
const uint8_t *virtq_chain_table(VirtqChain *c, const VirtqDesc *d, unsigned *n);

#endif
