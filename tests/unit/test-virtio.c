/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio devices as a driver sees them: a small driver here builds rings in guest memory and talks to the registers of a slot. Then the
 * same slots are given to a driver that writes nonsense into registers, rings and descriptors; afterwards the good driver must
 * still get its answers.
 */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "hw/core/device.h"
#include "hw/virtio/virtio-blk.h"
#include "hw/virtio/virtio-console.h"
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-rng.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"

#define RAM_BASE 0x80000000ull
#define SLOT     0x10001000ull

enum { RAM_SIZE = 1 << 20, DISK = 1 << 20, SECTOR = 512, QUEUE = 64 };
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
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

static const uint64_t version_1 = 1ull << 32, event_idx = 1 << 29, indirect_desc = 1 << 28;

static bool deterministic;
static MemoryRegion ram;
static uint8_t *ram_host;
static char *folder, *disk;
static BlockAio engine; /* of disk_slot() */

/* All that devices and clock ask of the CPUs, of which there are none here. */
bool cpu_icount_enabled(void)
{
    return deterministic;
}

void icount_timer_changed(void);

void icount_timer_changed(void)
{
}

/* ---- A slot with a device in it ---- */

typedef struct Slot {
    HwDevice *mmio, *dev;
    uint64_t base;
    Irq irq;
    bool level;
    unsigned interrupts; /* rising edges */
} Slot;

static void irq_changed(void *opaque, unsigned n, bool level)
{
    Slot *s = opaque;

    s->interrupts += level && !s->level;
    s->level = level;
}

static uint32_t reg(const Slot *s, uint64_t offset)
{
    uint64_t value;

    g_assert_cmpint(memory_load(s->base + offset, 4, &value), ==, MEM_OK);
    return (uint32_t)value;
}

static void set_reg(const Slot *s, uint64_t offset, uint32_t value)
{
    g_assert_cmpint(memory_store(s->base + offset, 4, value), ==, MEM_OK);
}

static Slot *slot_new(HwDevice *dev, bool legacy)
{
    static unsigned n;
    Slot *s = g_new0(Slot, 1);
    g_autoptr(GError) error = NULL;

    s->mmio = hw_virtio_mmio_new(n);
    s->base = SLOT + 0x1000 * n++;
    s->dev = dev;
    irq_init(&s->irq, irq_changed, s, 0);
    g_assert_true(hw_device_set_prop(s->mmio, "force-legacy", legacy ? "on" : "off", &error));
    machine_lock();
    g_assert_true(hw_device_realize(s->mmio, &error));
    hw_device_map(s->mmio, 0, NULL, s->base);
    hw_device_connect_irq(s->mmio, 0, &s->irq, 1);
    if (dev) {
        HwBus *bus;

        bus = dev->bus = hw_bus_find("virtio-bus", NULL);
        g_assert_true(hw_device_realize(dev, &error));
        g_assert_no_error(error);
        g_assert_true(bus->plug(bus, dev, &error));
        g_ptr_array_add(bus->children, dev);
    }
    memory_commit();
    hw_devices_reset();
    machine_unlock();
    return s;
}

static void slot_free(Slot *s)
{
    machine_lock();
    g_object_unref(s->mmio);
    memory_commit();
    machine_unlock();
    g_free(s);
}

static Slot *disk_slot(BlockOptions options, bool legacy)
{
    HwDevice *dev = hw_device_new(hw_virtio_blk_get_type(), "disk");
    g_autofree uint8_t *data = g_malloc(DISK);
    g_autoptr(GError) error = NULL;

    for (unsigned i = 0; i < DISK; i++) {
        data[i] = (uint8_t)(i / SECTOR + i);
    }
    g_assert_true(g_file_set_contents(disk, (const char *)data, DISK, NULL));
    options.id = "d";
    options.file = disk;
    options.aio = engine;
    g_assert_nonnull(block_open(&options, &error));
    g_assert_no_error(error);
    g_assert_true(hw_device_set_prop(dev, "drive", "d", &error));
    g_assert_true(hw_device_set_prop(dev, "serial", "SN-1", &error));
    return slot_new(dev, legacy);
}

static void disk_slot_free(Slot *s)
{
    slot_free(s);
    machine_lock();
    block_close_all();
    machine_unlock();
}

/* ---- The driver ---- */

typedef struct Queue {
    Slot *slot;
    unsigned n, num;
    uint64_t desc, avail, used, table, heap;
    uint16_t free_desc, next_avail, last_used;
    bool indirect, events;
} Queue;

static void put(uint64_t addr, uint64_t value, unsigned size)
{
    value = GUINT64_TO_LE(value);
    memcpy(ram_host + (addr - RAM_BASE), &value, size);
}

static uint16_t get16(uint64_t addr)
{
    uint16_t value;

    memcpy(&value, ram_host + (addr - RAM_BASE), sizeof(value));
    return GUINT16_FROM_LE(value);
}

static uint64_t offered(const Slot *s)
{
    uint64_t low;

    set_reg(s, FEATURES_SEL, 0);
    low = reg(s, FEATURES);
    set_reg(s, FEATURES_SEL, 1);
    return low | (uint64_t)reg(s, FEATURES) << 32;
}

static void negotiate(const Slot *s, uint64_t features)
{
    set_reg(s, STATUS, 0);
    g_assert_cmpuint(reg(s, STATUS), ==, 0);
    set_reg(s, STATUS, ACKNOWLEDGE | DRIVER);
    set_reg(s, DRIVER_SEL, 0);
    set_reg(s, DRIVER_FEATURES, (uint32_t)features);
    set_reg(s, DRIVER_SEL, 1);
    set_reg(s, DRIVER_FEATURES, (uint32_t)(features >> 32));
    set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

static void place_queue(Queue *q, Slot *s, unsigned n, unsigned num)
{
    uint64_t at = RAM_BASE + 0x1000 + n * 0x8000;

    *q = (Queue){ .slot = s,
                  .n = n,
                  .num = num,
                  .desc = at,
                  .avail = at + 16 * num,
                  .table = at + 0x4000,
                  .heap = at + 0x6000 };
    q->used = (q->avail + 6 + 2 * num + 4095) & ~4095ull;
    memset(ram_host + (at - RAM_BASE), 0, 0x8000);
}

static void set_address(const Slot *s, unsigned at, uint64_t value)
{
    set_reg(s, at, (uint32_t)value);
    set_reg(s, at + 4, (uint32_t)(value >> 32));
}

static void enable_queue(Queue *q, Slot *s, unsigned n, unsigned num)
{
    place_queue(q, s, n, num);
    set_reg(s, QUEUE_SEL, n);
    set_reg(s, QUEUE_NUM, num);
    set_address(s, DESC, q->desc);
    set_address(s, AVAIL, q->avail);
    set_address(s, USED, q->used);
    set_reg(s, QUEUE_READY, 1);
    g_assert_cmpuint(reg(s, QUEUE_READY), ==, 1);
}

/* The whole start of a driver with one queue. */
static void start(Queue *q, Slot *s, uint64_t features)
{
    negotiate(s, features | version_1);
    g_assert_cmpuint(reg(s, STATUS), ==, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    enable_queue(q, s, 0, QUEUE);
    q->indirect = features & indirect_desc;
    q->events = features & event_idx;
    set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void start_legacy(Queue *q, Slot *s)
{
    set_reg(s, STATUS, 0);
    set_reg(s, STATUS, ACKNOWLEDGE | DRIVER);
    set_reg(s, DRIVER_SEL, 0);
    set_reg(s, DRIVER_FEATURES, 0);
    set_reg(s, PAGE_SIZE, 4096);
    place_queue(q, s, 0, QUEUE);
    set_reg(s, QUEUE_SEL, 0);
    set_reg(s, QUEUE_NUM, QUEUE);
    set_reg(s, QUEUE_ALIGN, 4096);
    set_reg(s, QUEUE_PFN, (uint32_t)(q->desc / 4096));
    g_assert_cmpuint(reg(s, QUEUE_PFN), ==, q->desc / 4096);
    set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
}

typedef struct Buffer {
    uint64_t addr;
    uint32_t len;
    bool write;
} Buffer;

static void put_desc(uint64_t at, uint64_t addr, uint32_t len, unsigned flags, unsigned next)
{
    put(at, addr, 8);
    put(at + 8, len, 4);
    put(at + 12, flags, 2);
    put(at + 14, next, 2);
}

/* Makes a chain available without telling the device. */
static void add(Queue *q, const Buffer *b, unsigned n)
{
    uint64_t table = q->indirect ? q->table + q->free_desc * 128 : q->desc;
    unsigned first = q->indirect ? 0 : q->free_desc, head = q->free_desc;

    for (unsigned i = 0; i < n; i++) {
        unsigned flags = (b[i].write ? WRITE : 0) | (i + 1 < n ? NEXT : 0);

        put_desc(table + 16 * ((first + i) % q->num), b[i].addr, b[i].len, flags,
                 (first + i + 1) % q->num);
    }
    if (q->indirect) {
        put_desc(q->desc + 16 * head, table, 16 * n, INDIRECT, 0);
        n = 1;
    }
    q->free_desc = (uint16_t)((q->free_desc + n) % q->num);
    put(q->avail + 4 + 2 * (q->next_avail % q->num), head, 2);
    put(q->avail + 2, ++q->next_avail, 2);
}

static void kick(Queue *q)
{
    set_reg(q->slot, NOTIFY, q->n);
}

static void settle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {}
}

/* Waits until @n more chains were used. */
static void wait_used(Queue *q, unsigned n)
{
    uint16_t want = (uint16_t)(q->last_used + n);

    for (unsigned i = 0; get16(q->used + 2) != want; i++) {
        g_assert_cmpuint(i, <, 100000);
        settle();
        g_usleep(100);
    }
    q->last_used = want;
}

/* One block request with @len bytes of data at heap + 0x100; returns the status byte. */
static uint8_t request(Queue *q, uint32_t type, uint64_t sector, uint32_t len, bool from_device)
{
    const Buffer b[] = { { q->heap, 16, false },
                         { q->heap + 0x100, len, from_device },
                         { q->heap + 0x80, 1, true } };

    put(q->heap, type, 8);
    put(q->heap + 8, sector, 8);
    put(q->heap + 0x80, 0xff, 1);
    if (len) {
        add(q, b, 3);
    } else {
        add(q, (Buffer[]){ b[0], b[2] }, 2);
    }
    if (q->events) {
        put(q->avail + 4 + 2 * q->num, q->last_used, 2);
    }
    kick(q);
    wait_used(q, 1);
    return ram_host[q->heap + 0x80 - RAM_BASE];
}

static uint8_t *data_of(const Queue *q)
{
    return ram_host + (q->heap + 0x100 - RAM_BASE);
}

/* ---- Transport ---- */

static void test_empty_slot(void)
{
    Slot *s = slot_new(NULL, false);

    g_assert_cmphex(reg(s, MAGIC), ==, 0x74726976);
    g_assert_cmpuint(reg(s, VERSION), ==, 2);
    g_assert_cmpuint(reg(s, DEVICE_ID), ==, 0);
    set_reg(s, STATUS, 1);
    set_reg(s, NOTIFY, 0);
    g_assert_cmpuint(reg(s, STATUS), ==, 0);
    slot_free(s);
}

static void test_features(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    uint64_t value;

    g_assert_cmpuint(reg(s, DEVICE_ID), ==, 2);
    g_assert_cmphex(offered(s) & (version_1 | event_idx | indirect_desc), ==,
                    version_1 | event_idx | indirect_desc);
    negotiate(s, 0); /* without version 1 */
    g_assert_cmpuint(reg(s, STATUS) & FEATURES_OK, ==, 0);
    negotiate(s, version_1 | 1ull << 50); /* never offered */
    g_assert_cmpuint(reg(s, STATUS) & FEATURES_OK, ==, 0);
    negotiate(s, version_1);
    g_assert_cmpuint(reg(s, STATUS) & FEATURES_OK, ==, FEATURES_OK);
    g_assert_cmpuint(reg(s, CONFIG), ==, DISK / SECTOR);
    g_assert_cmpint(memory_load(s->base + CONFIG + 32, 1, &value), ==, MEM_OK);
    set_reg(s, QUEUE_SEL, 1);
    g_assert_cmpuint(reg(s, QUEUE_MAX), ==, 0);
    set_reg(s, QUEUE_SEL, 0);
    g_assert_cmpuint(reg(s, QUEUE_MAX), ==, 256);
    disk_slot_free(s);
}

/* ---- Disk ---- */

static void use_disk(Queue *q)
{
    uint8_t pattern[1024];

    memset(pattern, 0xa5, sizeof(pattern));
    g_assert_cmpuint(request(q, 0, 2, 1024, true), ==, 0);
    for (unsigned i = 0; i < 1024; i++) {
        g_assert_cmpuint(data_of(q)[i], ==, (uint8_t)(2 + i / SECTOR + i));
    }
    memset(data_of(q), 0xa5, 1024);
    g_assert_cmpuint(request(q, 1, 100, 1024, false), ==, 0);
    memset(data_of(q), 0, 1024);
    g_assert_cmpuint(request(q, 4, 0, 0, false), ==, 0);
    g_assert_cmpuint(request(q, 0, 100, 1024, true), ==, 0);
    g_assert_cmpmem(data_of(q), 1024, pattern, 1024);
    g_assert_cmpuint(request(q, 8, 0, 20, true), ==, 0);
    g_assert_cmpstr((char *)data_of(q), ==, "SN-1");
    g_assert_cmpuint(request(q, 77, 0, 0, false), ==, 2);
    g_assert_cmpuint(request(q, 0, DISK / SECTOR - 1, 1024, true), ==, 1);
    g_assert_cmpuint(request(q, 0, UINT64_MAX / SECTOR, 512, true), ==, 1);
    g_assert_cmpuint(request(q, 0, 0, 100, true), ==, 1);
    g_assert_true(q->slot->level);
    set_reg(q->slot, INT_ACK, reg(q->slot, INT_STATUS));
    g_assert_false(q->slot->level);
}

static void test_disk(void)
{
    static const uint64_t sets[] = { 0, event_idx, indirect_desc,
                                     event_idx | indirect_desc | 1 << 9 };
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    g_autofree char *contents = NULL;
    gsize size;
    Queue q;

    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        start(&q, s, sets[i]);
        use_disk(&q);
    }
    disk_slot_free(s);
    g_assert_true(g_file_get_contents(disk, &contents, &size, NULL));
    g_assert_cmpuint((uint8_t)contents[100 * SECTOR], ==, 0xa5);
}

static void test_legacy(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, true);
    Queue q;

    g_assert_cmpuint(reg(s, VERSION), ==, 1);
    start_legacy(&q, s);
    use_disk(&q);
    set_reg(s, QUEUE_PFN, 0);
    start_legacy(&q, s);
    use_disk(&q);
    disk_slot_free(s);
}

static void test_ranges(void)
{
    const uint64_t features = 1 << 13 | 1 << 14;
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    Queue q;

    start(&q, s, features);
    put(q.heap + 0x100, 8, 8); /* sectors 8-15 and 24-25 */
    put(q.heap + 0x108, 8, 8);
    put(q.heap + 0x110, 24, 8);
    put(q.heap + 0x118, 2 | 1ull << 32, 8);
    g_assert_cmpuint(request(&q, 13, 0, 32, false), ==, 0);
    g_assert_cmpuint(request(&q, 11, 0, 32, false), ==, 2); /* discard knows no unmap flag */
    put(q.heap + 0x118, 2, 8);
    g_assert_cmpuint(request(&q, 11, 0, 32, false), ==, 0);
    g_assert_cmpuint(request(&q, 11, 0, 31, false), ==, 1);
    g_assert_cmpuint(request(&q, 0, 7, 1024, true), ==, 0);
    g_assert_cmpuint(data_of(&q)[1], ==, 8);
    g_assert_cmpuint(data_of(&q)[513], ==, 0);
    put(q.heap + 0x100, DISK / SECTOR, 8);
    put(q.heap + 0x108, 8, 8);
    g_assert_cmpuint(request(&q, 13, 0, 16, false), ==, 1);
    start(&q, s, 0);
    g_assert_cmpuint(request(&q, 13, 0, 16, false), ==, 2);
    disk_slot_free(s);
}

static void test_readonly(void)
{
    Slot *s = disk_slot((BlockOptions){ .readonly = true }, false);
    Queue q;

    g_assert_cmpuint(offered(s) & 1 << 5, ==, 1 << 5);
    start(&q, s, 1 << 5);
    g_assert_cmpuint(request(&q, 0, 0, 512, true), ==, 0);
    g_assert_cmpuint(request(&q, 1, 0, 512, false), ==, 1);
    g_assert_cmpuint(request(&q, 4, 0, 0, false), ==, 0);
    disk_slot_free(s);
}

/* The header in two pieces, data and status in one. */
static void test_framing(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    Queue q;

    start(&q, s, 0);
    put(q.heap, 0, 8);
    put(q.heap + 8, 3, 8);
    add(&q,
        (Buffer[]){ { q.heap, 3, false },
                    { q.heap + 3, 13, false },
                    { q.heap + 0x100, 500, true },
                    { q.heap + 0x300, 13, true } },
        4);
    kick(&q);
    wait_used(&q, 1);
    g_assert_cmpuint(data_of(&q)[0], ==, 3);
    g_assert_cmpuint(ram_host[q.heap + 0x300 + 12 - RAM_BASE], ==, 0);
    disk_slot_free(s);
}

/* Writes go through the worker threads; all are in flight at once. */
static void test_flight(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    Queue q;

    start(&q, s, event_idx | indirect_desc);
    for (unsigned round = 0; round < 50; round++) {
        unsigned before = s->interrupts;

        put(q.avail + 4 + 2 * q.num, (uint16_t)(q.last_used + QUEUE - 1),
            2); /* one interrupt, for the last */
        for (unsigned i = 0; i < QUEUE; i++) {
            uint64_t header = RAM_BASE + 0x40000 + i * 1024;

            put(header, 1, 8);
            put(header + 8, i, 8);
            ram_host[header + 16 - RAM_BASE] = 0xff;
            memset(ram_host + (header + 512 - RAM_BASE), (int)(i + round), SECTOR);
            add(&q,
                (Buffer[]){ { header, 16, false },
                            { header + 512, SECTOR, false },
                            { header + 16, 1, true } },
                3);
        }
        kick(&q);
        wait_used(&q, QUEUE);
        machine_lock(); /* the worker raises the interrupt before it lets go */
        machine_unlock();
        g_assert_cmpuint(s->interrupts, ==, before + 1);
        set_reg(s, INT_ACK, 3);
        for (unsigned i = 0; i < QUEUE; i++) {
            g_assert_cmpuint(ram_host[0x40000 + i * 1024 + 16], ==, 0);
        }
        g_assert_cmpuint(request(&q, 0, 63, SECTOR, true), ==, 0);
        g_assert_cmpuint(data_of(&q)[5], ==, (uint8_t)(63 + round));
        set_reg(s, INT_ACK, 3);
    }
    disk_slot_free(s);
}

/* A reset while requests are on their way. */
static void test_reset_in_flight(void)
{
    Slot *s = disk_slot((BlockOptions){ .snapshot = true }, false);
    Queue q;

    for (unsigned round = 0; round < 100; round++) {
        start(&q, s, indirect_desc);
        put(q.heap, 1, 8);
        put(q.heap + 8, 5, 8);
        for (unsigned i = 0; i < 16; i++) {
            add(&q,
                (Buffer[]){ { q.heap, 16, false },
                            { q.heap + 0x100, SECTOR, false },
                            { q.heap + 0x80, 1, true } },
                3);
        }
        kick(&q);
        if (round % 2) {
            machine_lock();
            hw_devices_reset();
            machine_unlock();
        } else {
            set_reg(s, STATUS, 0);
        }
        g_assert_cmpuint(reg(s, STATUS), ==, 0);
        g_assert_false(s->level);
    }
    start(&q, s, 0);
    use_disk(&q);
    disk_slot_free(s);
}

/* The host's error is the guest's, and not the end. */
static void test_io_error(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    struct rlimit before, none;
    Queue q;

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    none = before;
    none.rlim_cur = 0;
    start(&q, s, event_idx | indirect_desc);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &none), ==, 0);
    g_assert_cmpuint(request(&q, 1, 100, 1024, false), ==, 1);
    g_assert_cmpuint(request(&q, 0, 100, 1024, true), ==, 0);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    g_assert_cmpuint(request(&q, 1, 100, 1024, false), ==, 0);
    disk_slot_free(s);
}

/* Those that have requests in flight, with an engine of their own. Where there is no ring, the threads are tested twice. */
static void test_threads(void)
{
    engine = BLOCK_AIO_THREADS;
    test_disk();
    test_flight();
    test_reset_in_flight();
    test_io_error();
    engine = BLOCK_AIO_DEFAULT;
}

static void test_io_uring(void)
{
    engine = BLOCK_AIO_URING;
    test_disk();
    test_flight();
    test_reset_in_flight();
    test_io_error();
    engine = BLOCK_AIO_DEFAULT;
}

/* ---- Mistakes ---- */

static void assert_failed(Queue *q)
{
    g_assert_cmpuint(reg(q->slot, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
    g_assert_cmpuint(reg(q->slot, INT_STATUS) & 2, ==, 2);
    start(q, q->slot, 0);
    g_assert_cmpuint(request(q, 0, 0, 512, true), ==, 0);
    start(q, q->slot, 0);
}

static void test_mistakes(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    Queue q;

    start(&q, s, 0);
    add(&q, (Buffer[]){ { 0x10, 16, false }, { q.heap, 1, true } }, 2); /* not memory */
    kick(&q);
    assert_failed(&q);
    add(&q, (Buffer[]){ { SLOT, 16, false }, { q.heap, 1, true } }, 2); /* a device */
    kick(&q);
    assert_failed(&q);
    add(&q, (Buffer[]){ { q.heap, 1, true }, { q.heap, 16, false } }, 2); /* writable first */
    kick(&q);
    assert_failed(&q);
    add(&q, (Buffer[]){ { q.heap, 8, false }, { q.heap, 1, true } }, 2); /* no header */
    kick(&q);
    assert_failed(&q);
    add(&q, (Buffer[]){ { q.heap, 16, false } }, 1); /* no status */
    kick(&q);
    assert_failed(&q);
    add(&q, (Buffer[]){ { q.heap, 0, false } }, 1);
    put_desc(q.desc, q.heap, 16, NEXT, 0); /* a loop */
    kick(&q);
    assert_failed(&q);
    put_desc(q.desc, q.heap, 16, NEXT, QUEUE); /* outside the table */
    put(q.avail + 2, 1, 2);
    kick(&q);
    assert_failed(&q);
    put(q.avail + 2, QUEUE + 1, 2); /* index runs ahead */
    kick(&q);
    assert_failed(&q);
    put(q.avail + 4, QUEUE, 2); /* head outside */
    put(q.avail + 2, 1, 2);
    kick(&q);
    assert_failed(&q);
    add(&q, (Buffer[]){ { RAM_BASE + RAM_SIZE - 8, 16, false }, { q.heap, 1, true } },
        2); /* over the end */
    kick(&q);
    assert_failed(&q);
    disk_slot_free(s);
}

static void try_rings(Slot *s, uint64_t desc, uint64_t avail, uint64_t used, uint32_t num)
{
    negotiate(s, version_1);
    set_reg(s, QUEUE_SEL, 0);
    set_reg(s, QUEUE_NUM, num);
    set_address(s, DESC, desc);
    set_address(s, AVAIL, avail);
    set_address(s, USED, used);
    set_reg(s, QUEUE_READY, 1);
    set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    set_reg(s, NOTIFY, 0);
    g_assert_cmpuint(reg(s, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
}

static void test_rings(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    Queue q;

    try_rings(s, 0, 0, 0, 64);
    try_rings(s, RAM_BASE, RAM_BASE + 0x1000, SLOT, 64);
    try_rings(s, RAM_BASE, RAM_BASE + 0x100, RAM_BASE + 0x4000, 64); /* overlap */
    try_rings(s, RAM_BASE, RAM_BASE + 0x1000, RAM_BASE + 0x4000, 0);
    try_rings(s, RAM_BASE, RAM_BASE + 0x1000, RAM_BASE + 0x4000, 3);
    try_rings(s, RAM_BASE, RAM_BASE + 0x1000, RAM_BASE + 0x4000, 512);
    try_rings(s, RAM_BASE + 8, RAM_BASE + 0x1000, RAM_BASE + 0x4000, 64); /* misaligned */
    try_rings(s, RAM_BASE, RAM_BASE + 0x1000, RAM_BASE + RAM_SIZE - 64, 64);
    try_rings(s, UINT64_MAX - 15, RAM_BASE + 0x1000, RAM_BASE + 0x4000, 64);
    start(&q, s, 0);
    use_disk(&q);
    disk_slot_free(s);
}

/* ---- The other devices ---- */

static void test_rng(void)
{
    Slot *s = slot_new(hw_device_new(hw_virtio_rng_get_type(), NULL), false);
    uint8_t first[64];
    Queue q;

    for (unsigned i = 0; i < 4; i++) {
        deterministic = i >= 2;
        negotiate(s, version_1);
        enable_queue(&q, s, 0, 8);
        set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        add(&q, (Buffer[]){ { q.heap, 64, true } }, 1);
        kick(&q);
        wait_used(&q, 1);
        g_assert_cmpuint(get16(q.used + 8), ==, 64);
        if (i % 2) {
            g_assert_true(!memcmp(first, ram_host + (q.heap - RAM_BASE), 64) == deterministic);
        }
        memcpy(first, ram_host + (q.heap - RAM_BASE), 64);
    }
    deterministic = false;
    slot_free(s);
}

static void wait_for_pipe(int fd, const char *text)
{
    char buf[64] = { 0 };
    size_t done = 0;

    while (done < strlen(text)) {
        ssize_t n = read(fd, buf + done, sizeof(buf) - 1 - done);

        g_assert_cmpint(n, >, 0);
        done += (size_t)n;
    }
    g_assert_cmpstr(buf, ==, text);
}

static void test_console(void)
{
    g_autofree char *base = g_build_filename(folder, "con", NULL),
                    *in = g_strconcat(base, ".in", NULL);
    g_autofree char *out = g_strconcat(base, ".out", NULL),
                    *spec = g_strconcat("pipe,path=", base, NULL);
    HwDevice *dev = hw_device_new(hw_virtio_console_get_type(), NULL);
    g_autoptr(GError) error = NULL;
    Queue rx, tx;
    Chardev *chr;
    Slot *s;
    int in_fd, out_fd;

    g_assert_true(mkfifo(in, 0600) == 0 && mkfifo(out, 0600) == 0);
    in_fd = open(in, O_RDWR);
    out_fd = open(out, O_RDWR);
    g_assert_true(chardev_new("con", spec, &chr, &error));
    g_assert_no_error(error);
    g_assert_true(hw_device_set_prop(dev, "chardev", "con", &error));
    s = slot_new(dev, false);
    negotiate(s, version_1 | 1 << 2);
    enable_queue(&rx, s, 0, 8);
    enable_queue(&tx, s, 1, 8);
    set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    memcpy(ram_host + (tx.heap - RAM_BASE), "hello", 5);
    add(&tx, (Buffer[]){ { tx.heap, 2, false }, { tx.heap + 2, 3, false } }, 2);
    kick(&tx);
    wait_used(&tx, 1);
    set_reg(s, CONFIG + 8, '!');
    wait_for_pipe(out_fd, "hello!");
    /* Input of five bytes for a buffer of three, then another. */
    g_assert_cmpint(write(in_fd, "abcde", 5), ==, 5);
    add(&rx, (Buffer[]){ { rx.heap, 3, true } }, 1);
    kick(&rx);
    wait_used(&rx, 1);
    g_assert_cmpmem(ram_host + (rx.heap - RAM_BASE), 3, "abc", 3);
    add(&rx, (Buffer[]){ { rx.heap, 3, true } }, 1);
    kick(&rx);
    wait_used(&rx, 1);
    g_assert_cmpmem(ram_host + (rx.heap - RAM_BASE), 3, "dec", 3);
    g_assert_cmpuint(get16(rx.used + 4 + 8 + 4), ==, 2);
    slot_free(s);
    close(in_fd);
    close(out_fd);
    chardev_cleanup();
    g_unlink(in);
    g_unlink(out);
}

/* ---- The hostile driver ---- */

static uint64_t wild_address(void)
{
    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        return (uint64_t)(uint32_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();
    case 1:
        return RAM_BASE + RAM_SIZE - (uint64_t)g_test_rand_int_range(0, 64);
    case 2:
        return SLOT + (uint64_t)g_test_rand_int_range(0, 0x200);
    default:
        return RAM_BASE +
               (uint64_t)(g_test_rand_int_range(0, 0x10000) & ~(g_test_rand_bit() ? 15 : 0));
    }
}

static uint32_t wild_length(void)
{
    return g_test_rand_bit() ? (uint32_t)g_test_rand_int_range(0, 4096)
                             : (uint32_t)g_test_rand_int() >> g_test_rand_int_range(0, 32);
}

static bool one_in(int n)
{
    return g_test_rand_int_range(0, n) == 0;
}

/* A chain as a driver of a disk makes it, but for one mistake in a few. */
static void wild_chain(Queue *q)
{
    Buffer b[8];
    unsigned n = one_in(8) ? (unsigned)g_test_rand_int_range(1, 8) : 3;
    uint64_t header = q->heap + (uint64_t)g_test_rand_int_range(0, 64) * 16;

    put(header, (uint64_t)g_test_rand_int_range(0, 15), 8);
    put(header + 8, (uint64_t)g_test_rand_int_range(0, one_in(4) ? 4096 : 16), 8);
    if (one_in(4)) {
        put(q->heap + 0x400, (uint64_t)g_test_rand_int_range(0, 4096), 8);
        put(q->heap + 0x408, (uint64_t)g_test_rand_int_range(0, 64) | (uint64_t)one_in(4) << 32, 8);
    }
    for (unsigned i = 0; i < n; i++) {
        b[i] = (Buffer){ q->heap + 0x400,
                         (uint32_t)g_test_rand_int_range(0, 4) * (one_in(2) ? 16 : 512), i > 1 };
        b[i].addr = one_in(64) ? wild_address() : b[i].addr;
        b[i].len = one_in(64) ? wild_length() : b[i].len;
        b[i].write ^= one_in(64);
    }
    b[0] = one_in(64) ? b[0] : (Buffer){ header, 16, false };
    b[1].write = one_in(2);
    b[n - 1] =
        n == 1 ? b[0]
               : (Buffer){ q->heap, (uint32_t)g_test_rand_int_range(one_in(64) ? 0 : 1, 64), true };
    add(q, b, n);
}

/* A descriptor of a queue or of its tables. */
static void wild_desc(const Queue *q)
{
    uint64_t at = (q->indirect && !one_in(4) ? q->table : q->desc) +
                  (uint64_t)g_test_rand_int_range(0, QUEUE) * 16;
    unsigned flags = (unsigned)g_test_rand_int_range(0, one_in(4) ? 9 : 4);

    put_desc(at, wild_address(), wild_length(), flags,
             (unsigned)g_test_rand_int_range(0, QUEUE + 2));
}

static void wild_write(const Slot *s)
{
    static const uint16_t registers[] = {
        FEATURES_SEL, DRIVER_FEATURES, DRIVER_SEL, PAGE_SIZE, QUEUE_SEL,   QUEUE_NUM, QUEUE_ALIGN,
        QUEUE_PFN,    QUEUE_READY,     NOTIFY,     INT_ACK,   STATUS,      DESC,      DESC + 4,
        AVAIL,        AVAIL + 4,       USED,       USED + 4,  CONFIG + 32,
    };
    uint64_t offset = registers[g_test_rand_int_range(0, G_N_ELEMENTS(registers))];
    uint32_t value =
        g_test_rand_bit() ? (uint32_t)g_test_rand_int_range(0, 70) : (uint32_t)wild_address();

    if (g_test_rand_int_range(0, 4) == 0) {
        offset = (uint64_t)g_test_rand_int_range(0, 0x200);
    }
    memory_store(s->base + offset, 1u << g_test_rand_int_range(0, 4), value);
}

/* A working setup, so that the nonsense gets further. @n: the device's queues. */
static void wild_start(Queue *q, unsigned n, Slot *s, bool legacy)
{
    uint64_t features = (uint64_t)g_test_rand_int() & offered(s);

    if (legacy) {
        start_legacy(q, s);
        return;
    }
    negotiate(s, version_1 | features);
    for (unsigned i = 0; i < n; i++) {
        set_reg(s, QUEUE_SEL, i);
        enable_queue(&q[i], s, i, MIN(1u << g_test_rand_int_range(0, 7), reg(s, QUEUE_MAX)));
        q[i].indirect = features & indirect_desc;
    }
    set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void wild_step(Queue *q, Slot *s)
{
    uint64_t value;

    switch (g_test_rand_int_range(0, 100)) {
    case 0:
        wild_write(s);
        break;
    case 1:
        memory_load(s->base + (uint64_t)g_test_rand_int_range(0, 0x210),
                    1u << g_test_rand_int_range(0, 4), &value);
        break;
    case 2:
    case 3:
        wild_write(s);
        break;
    case 4:
        put(q->desc + (uint64_t)g_test_rand_int_range(0, 0x8000 - 4), (uint32_t)g_test_rand_int(),
            4);
        break;
    case 5:
        put(q->avail + 2, one_in(2) ? q->next_avail : (uint64_t)g_test_rand_int(), 2);
        break;
    case 6:
    case 7:
        set_reg(s, INT_ACK, (uint32_t)g_test_rand_int_range(0, 4));
        break;
    default:
        for (unsigned i = (unsigned)g_test_rand_int_range(1, 4); i-- > 0;) {
            wild_chain(q);
        }
        for (unsigned i = one_in(32) ? 16 : 0; i-- > 0;) {
            wild_desc(q);
        }
        kick(q);
    }
}

static void be_hostile(Slot *s, unsigned n, bool legacy, unsigned steps)
{
    Queue q[2];

    wild_start(q, n, s, legacy);
    for (unsigned i = 0; i < steps; i++) {
        wild_step(&q[g_test_rand_int_range(0, (gint32)n)], s);
        if (one_in(400) || (reg(s, STATUS) & (DRIVER_OK | NEEDS_RESET)) != DRIVER_OK) {
            wild_start(q, n, s, legacy);
        }
        if (i % 64 == 0) {
            settle();
        }
    }
    set_reg(s, STATUS, 0);
    settle();
}

static unsigned hostile_steps(void)
{
    return g_test_thorough() ? 3000000 : 150000;
}

static void test_hostile_disk(void)
{
    Slot *s = disk_slot((BlockOptions){ .snapshot = true }, false);
    Queue q;

    be_hostile(s, 1, false, hostile_steps());
    start(&q, s, event_idx);
    g_assert_cmpuint(request(&q, 0, 2, 1024, true), ==, 0);
    disk_slot_free(s);
}

static void test_hostile_legacy(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, true);
    Queue q;

    be_hostile(s, 1, true, hostile_steps());
    start_legacy(&q, s);
    g_assert_cmpuint(request(&q, 0, 2, 1024, true), ==, 0);
    disk_slot_free(s);
}

static void test_hostile_others(void)
{
    HwDevice *dev = hw_device_new(hw_virtio_console_get_type(), NULL);
    g_autoptr(GError) error = NULL;
    Chardev *chr;
    Slot *s;

    g_assert_true(chardev_new("nul", "null", &chr, &error));
    g_assert_true(hw_device_set_prop(dev, "chardev", "nul", &error));
    s = slot_new(dev, false);
    be_hostile(s, 2, false, hostile_steps());
    slot_free(s);
    s = slot_new(hw_device_new(hw_virtio_rng_get_type(), NULL), false);
    be_hostile(s, 1, false, hostile_steps());
    slot_free(s);
    chardev_cleanup();
}

static void set_up(void)
{
    g_autoptr(GError) error = NULL;

    clock_init();
    g_assert_true(memory_init(16 << 20, &error));
    g_assert_true(memory_region_init_ram(&ram, "ram", RAM_SIZE, &error));
    memory_region_add(memory_system(), RAM_BASE, &ram, 0);
    ram_host = memory_region_host(&ram);
    block_set_lock(machine_lock, machine_unlock);
    chardev_set_lock(machine_lock, machine_unlock);
    clock_set_running(true);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-virtio-XXXXXX", NULL);
    disk = g_build_filename(folder, "disk", NULL);
    set_up();
    g_test_add_func("/virtio/empty-slot", test_empty_slot);
    g_test_add_func("/virtio/features", test_features);
    g_test_add_func("/virtio/legacy", test_legacy);
    g_test_add_func("/virtio/ranges", test_ranges);
    g_test_add_func("/virtio/readonly", test_readonly);
    g_test_add_func("/virtio/framing", test_framing);
    g_test_add_func("/virtio/disk/threads", test_threads);
    g_test_add_func("/virtio/disk/io_uring", test_io_uring);
    g_test_add_func("/virtio/mistakes", test_mistakes);
    g_test_add_func("/virtio/rings", test_rings);
    g_test_add_func("/virtio/rng", test_rng);
    g_test_add_func("/virtio/console", test_console);
    g_test_add_func("/virtio/hostile/disk", test_hostile_disk);
    g_test_add_func("/virtio/hostile/legacy", test_hostile_legacy);
    g_test_add_func("/virtio/hostile/others", test_hostile_others);
    status = g_test_run();
    g_unlink(disk);
    g_rmdir(folder);
    return status;
}
