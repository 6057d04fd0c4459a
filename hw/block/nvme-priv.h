/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the NVMe controller share: nvme.c (device, registers), nvme-queue.c (queues, doorbells, interrupts), nvme-dma.c (data in guest
 * memory), nvme-admin.c, nvme-identify.c and nvme-features.c (admin commands), nvme-io.c (commands that need the disk).
 *
 * A command is taken off its submission queue only when its completion queue has room for the answer, so answers never wait and
 * a driver cannot make them pile up. What cannot be taken now stays in the queue, which is remembered in `work`.
 */
#ifndef HW_BLOCK_NVME_PRIV_H
#define HW_BLOCK_NVME_PRIV_H

#include "block/block.h"
#include "hw/block/nvme-regs.h"
#include "hw/pci/pci.h"

enum {
    NVME_N_QUEUES = 128,     /* pairs, the admin queues too */
    NVME_MAX_ENTRIES = 2048, /* of an I/O queue */
    NVME_SQE = 64,
    NVME_CQE = 16,
    NVME_PAGE = 4096,
    NVME_MAX_PAGE_SHIFT = 4,   /* pages of up to 64 KiB */
    NVME_MAX_IN_FLIGHT = 1024, /* commands that use the disk */
    NVME_ALL_QUEUES = 1 << 16,
    NVME_MAX_EVENTS = 4,    /* Asynchronous Event Requests that wait */
    NVME_TEMPERATURE = 323, /* K */
    NVME_WARNING_TEMPERATURE = 343,
    NVME_PENDING = 0xffff, /* instead of a status: the answer comes later */
};

typedef struct NvmeRing {
    uint64_t addr;
    uint16_t size; /* entries; 0: there is no such queue */
    uint16_t head, tail;
    uint8_t *host;        /* valid while that is the view of memory whose serial number this is: */
    uint64_t view_serial; /* 0: to be looked up */
} NvmeRing;

typedef struct NvmeSq {
    NvmeRing ring;
    uint16_t cq;
} NvmeSq;

typedef struct NvmeCq {
    NvmeRing ring;
    uint16_t vector;
    bool interrupts;   /* it may */
    bool phase;        /* of the next entry */
    bool dirty;        /* has entries that the driver was not told of */
    unsigned reserved; /* entries for commands under way */
} NvmeCq;

/* The last error, for the log. */
typedef struct NvmeError {
    uint16_t sq, cid, status;
} NvmeError;

typedef struct HwNvme {
    HwPciDevice parent;
    BlockBackend *blk;
    char *serial;
    uint32_t max_ioqpairs, cmb_size_mb;
    uint32_t logical_block_size, physical_block_size;
    uint16_t msix_qsize;
    uint8_t mdts;
    bool use_intel_id;
    MemoryRegion region;

    /* Registers and what else a driver sees. */
    uint32_t cc, csts, interrupt_mask, aqa;
    uint64_t asq, acq;
    NvmeSq sqs[NVME_N_QUEUES];
    NvmeCq cqs[NVME_N_QUEUES];
    uint32_t features[NVME_N_FEATURES];
    uint16_t cold;                      /* the lower threshold of the temperature */
    uint8_t uncoalesced[NVME_N_QUEUES]; /* vectors for which coalescing is off */
    uint16_t event_cids[NVME_MAX_EVENTS];
    uint8_t n_event_cids;
    /* Events by type: to be told; told, and no more of them until the log is read; information and log. */
    bool event_pending[NVME_N_EVENT_TYPES], event_masked[NVME_N_EVENT_TYPES];
    uint8_t event_info[NVME_N_EVENT_TYPES], event_log[NVME_N_EVENT_TYPES];
    uint64_t reads, writes, sectors_read, sectors_written, n_errors;
    NvmeError error;

    /* Of this process. */
    uint64_t work[NVME_N_QUEUES / 64]; /* bit: a submission queue that may have commands */
    unsigned in_flight;                /* requests to the disk */
    bool running;                      /* nvme_run() is: it is not entered again */
    bool stopping;                     /* nothing new is begun */
    unsigned stopping_sq;              /* then: the queue that goes away, or NVME_ALL_QUEUES */
    struct NvmeRequest *parked;        /* then: others' commands, between two of their ranges */
    unsigned first;                    /* the queue whose turn it is */
    unsigned top;                      /* no queue above it was made */
    Timer again;
    BlockRequest shutdown; /* the flush of one */
} HwNvme;

/* ---- nvme-queue.c ---- */

/* The driver rang doorbell @n (twice the queue, odd: of completions). */
void nvme_doorbell(HwNvme *s, unsigned n, uint32_t value);
/* Takes commands off all queues that may have some, and tells the driver what is complete. */
void nvme_run(HwNvme *s);
/* The same, soon: from where commands must not be begun. */
void nvme_run_later(HwNvme *s);
/* Marks all queues that have commands. */
void nvme_look_for_work(HwNvme *s);
/* The answer to a command of queue @sq, for which its completion queue has an entry reserved. */
void nvme_complete(HwNvme *s, unsigned sq, uint16_t cid, uint16_t status, uint32_t result);
/* The entry that was reserved for a command is free again: it has no answer yet. */
void nvme_unreserve(HwNvme *s, unsigned sq);
/* Tells the driver of new entries; sets the interrupt pin. */
void nvme_interrupt(HwNvme *s);
/* Fatal status: the driver did something that cannot be answered. Logged. */
void nvme_fail(HwNvme *s, const char *what);
/* Makes queue @n of @size entries at @addr; NVME_OK or why not. */
uint16_t nvme_make_sq(HwNvme *s, unsigned n, uint64_t addr, unsigned size, unsigned cq);
uint16_t nvme_make_cq(HwNvme *s, unsigned n, uint64_t addr, unsigned size);
/* False: a state has rings that cannot be. */
bool nvme_rings_are_good(const HwNvme *s);
/* Waits until no command of submission queue @sq, or NVME_ALL_QUEUES, is under way; what they were is answered if the queues are still there. */
void nvme_drain(HwNvme *s, unsigned sq);

/* ---- nvme-dma.c ---- */

uint32_t nvme_page_size(const HwNvme *s);
uint64_t nvme_max_transfer(const HwNvme *s);
/* How many elements nvme_map() needs at most for @bytes. */
unsigned nvme_max_iov(const HwNvme *s, uint64_t bytes);
/* The command's data, @bytes, as memory of the host. @to_guest: it is written. NVME_OK or why not. */
uint16_t nvme_map(HwNvme *s, const NvmeCommand *c, uint64_t bytes, bool to_guest, struct iovec *iov,
                  int *n_iov);
/* The first @n bytes of a transfer of @bytes to or from @buf. */
uint16_t nvme_copy_to_guest(HwNvme *s, const NvmeCommand *c, uint64_t bytes, const void *buf,
                            uint64_t n);
uint16_t nvme_copy_from_guest(HwNvme *s, const NvmeCommand *c, uint64_t bytes, void *buf,
                              uint64_t n);

/* ---- nvme-admin.c ---- */

/* A command of the admin queue. */
void nvme_admin(HwNvme *s, const NvmeCommand *c);
/* Something happened that an Asynchronous Event Request may tell. */
void nvme_event(HwNvme *s, unsigned type, unsigned info, unsigned log);
/* Tells what is to be told, if there are requests and room. */
void nvme_report_events(HwNvme *s);

/* ---- nvme-identify.c ---- */

uint16_t nvme_identify(HwNvme *s, const NvmeCommand *c);
uint16_t nvme_get_log_page(HwNvme *s, const NvmeCommand *c);
/* Logical blocks of the namespace, and the power of 2 that they are. */
uint64_t nvme_n_blocks(const HwNvme *s);
unsigned nvme_block_shift(const HwNvme *s);

/* ---- nvme-features.c ---- */

void nvme_features_reset(HwNvme *s);
uint16_t nvme_get_features(HwNvme *s, const NvmeCommand *c, uint32_t *result);
uint16_t nvme_set_features(HwNvme *s, const NvmeCommand *c, uint32_t *result);
bool nvme_is_too_hot_or_cold(const HwNvme *s);

/* ---- nvme-io.c ---- */

/* A command of I/O queue @sq. */
void nvme_io(HwNvme *s, unsigned sq, const NvmeCommand *c);
/* Goes on with the commands that were parked. */
void nvme_io_go_on(HwNvme *s);
/* Admin commands that end later. The first answers @c when all that was written before is on the disk. NVME_PENDING, or why not. */
uint16_t nvme_flush_for(HwNvme *s, const NvmeCommand *c);
uint16_t nvme_format(HwNvme *s, const NvmeCommand *c);

#endif
