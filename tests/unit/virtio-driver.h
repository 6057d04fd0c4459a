/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small virtio driver for tests of devices: slots of the MMIO transport with a device in each, and the driver, which builds rings in guest
 * memory and talks to the slots' registers. A mistake of the caller or an answer that does not come fails the test. Numbers of
 * sections are of the virtio specification 1.2.
 */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include "hw/core/device.h"

#define RAM_BASE 0x80000000ull /* guest memory, RAM_SIZE bytes */
#define SLOT     0x10001000ull /* registers of the first slot */

enum { RAM_SIZE = 1 << 20, QUEUE = 64 };
/* Registers, 4.2.2 and 4.2.4. */
enum {
    MAGIC = 0x00,
    VERSION = 0x04,
    DEVICE_ID = 0x08,
    FEATURES = 0x10,
    FEATURES_SEL = 0x14,
    DRIVER_FEATURES = 0x20,
    DRIVER_SEL = 0x24,
    PAGE_SIZE = 0x28,
    QUEUE_SEL = 0x30,
    QUEUE_MAX = 0x34,
    QUEUE_NUM = 0x38,
    QUEUE_ALIGN = 0x3c,
    QUEUE_PFN = 0x40,
    QUEUE_READY = 0x44,
    NOTIFY = 0x50,
    INT_STATUS = 0x60,
    INT_ACK = 0x64,
    STATUS = 0x70,
    DESC = 0x80,
    AVAIL = 0x90,
    USED = 0xa0,
    GENERATION = 0xfc,
    CONFIG = 0x100,
};
/* The status register, 2.1. */
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };
/* Flags of descriptors, 2.7.5 and 2.8.1. */
enum { NEXT = 1, WRITE = 2, INDIRECT = 4, AVAIL_FLAG = 1 << 7, USED_FLAG = 1 << 15 };
/* Feature bits, 6. */
#define VERSION_1     (1ull << 32)
#define EVENT_IDX     (1ull << 29)
#define INDIRECT_DESC (1ull << 28)
#define RING_PACKED   (1ull << 34)

extern uint8_t *guest_ram;  /* what is at RAM_BASE */
extern char *driver_folder; /* an empty folder of this test's own */

/* Before all else, with main()'s arguments; and the tests that were added after it, whose result it returns; the folder's files go. */
void driver_init(int *argc, char ***argv);
int driver_run(void);
/* Runs what the main loop has to do; the same as the @i-th time of waiting for something that must not take ten seconds. */
void driver_settle(void);
void driver_wait(unsigned i);
/* A device on the first bus of a type, with the machine lock held. */
void driver_plug(HwDevice *dev, const char *bus_type);
/* Waits until a file descriptor has given exactly @text, of up to 63 bytes. */
void host_expect(int fd, const char *text);

/* ---- A slot with a device in it ---- */

typedef struct Slot {
    HwDevice *mmio, *dev;
    uint64_t base;
    Irq irq;
    bool level;
    unsigned interrupts; /* rising edges */
} Slot;

/* @dev (owned by the slot then, NULL: none) in the next slot; @legacy: with the registers of before virtio 1.0. */
Slot *slot_new(HwDevice *dev, bool legacy);
void slot_free(Slot *s);
uint32_t slot_reg(const Slot *s, uint64_t offset);
void slot_set_reg(const Slot *s, uint64_t offset, uint32_t value);
/* Two registers, the one at @at and the next. */
void slot_set_address(const Slot *s, unsigned at, uint64_t value);
/* The feature bits that the device offers. */
uint64_t slot_offered(const Slot *s);
/* Initialization up to FEATURES_OK, which the device may refuse, 3.1. */
void slot_negotiate(const Slot *s, uint64_t features);

/* ---- Guest memory ---- */

/* Little-endian numbers of up to 8 bytes. */
void guest_put(uint64_t addr, uint64_t value, unsigned size);
uint16_t guest_get16(uint64_t addr);
/* A descriptor of a split ring or of its tables. */
void guest_put_desc(uint64_t at, uint64_t addr, uint32_t len, unsigned flags, unsigned next);

/* ---- A queue ---- */

typedef struct Queue {
    Slot *slot;
    unsigned n, num;
    uint64_t desc, avail, used, table, heap;
    uint16_t free_desc, next_avail, last_used;
    bool indirect, events;
    bool packed, avail_wrap, used_wrap; /* then next_avail and last_used are places in the ring */
    uint8_t slots[QUEUE];               /* of each chain */
} Queue;

typedef struct Buffer {
    uint64_t addr;
    uint32_t len;
    bool write;
} Buffer;

/* Queue @n with @num entries, up to QUEUE, in a place of its own in guest memory; heap has 8 KiB for buffers. For devices of virtio 1.0. */
void queue_enable(Queue *q, Slot *s, unsigned n, unsigned num);
/* The whole start of a driver with one queue. The second: by the registers of before virtio 1.0. */
void queue_start(Queue *q, Slot *s, uint64_t features);
void queue_start_legacy(Queue *q, Slot *s);
/* Makes a chain of @n buffers available without telling the device, and tells it. */
void queue_add(Queue *q, const Buffer *b, unsigned n);
void queue_kick(Queue *q);
/* Whether the device used a chain that was not waited for. Waits until @n more were used, and no others; until one more was. */
bool queue_has_used(const Queue *q);
void queue_wait_used(Queue *q, unsigned n);
void queue_wait_next(Queue *q);

#endif
