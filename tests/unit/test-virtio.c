/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio devices as a driver sees them (tests/unit/virtio-driver.h): the transport, rings, and disks; what a hostile driver
 * (tests/unit/virtio-hostile.h) does to these, to a SCSI adapter and to a network card.
 */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include "block/block.h"
#include "hw/net/virtio-net.h"
#include "hw/scsi/scsi-hd.h"
#include "hw/virtio/virtio-blk.h"
#include "hw/virtio/virtio-rng.h"
#include "hw/virtio/virtio-scsi.h"
#include "net/net.h"
#include "softmmu/clock.h"
#include "softmmu/memory.h"
#include "tests/unit/bare.h"
#include "tests/unit/virtio-hostile.h"

enum { DISK = 1 << 20, SECTOR = 512 };

static char *disk;
static BlockAio engine; /* of disk_slot() */

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
    g_assert_true(hw_device_set_prop(dev, "packed", "on", &error)); /* to be offered */
    return slot_new(dev, legacy);
}

static void disk_slot_free(Slot *s)
{
    slot_free(s);
    machine_lock();
    block_close_all();
    machine_unlock();
}

/* One block request with @len bytes of data at heap + 0x100; returns the status byte. */
static uint8_t request(Queue *q, uint32_t type, uint64_t sector, uint32_t len, bool from_device)
{
    const Buffer b[] = { { q->heap, 16, false },
                         { q->heap + 0x100, len, from_device },
                         { q->heap + 0x80, 1, true } };

    guest_put(q->heap, type, 8);
    guest_put(q->heap + 8, sector, 8);
    guest_put(q->heap + 0x80, 0xff, 1);
    if (len) {
        queue_add(q, b, 3);
    } else {
        queue_add(q, (Buffer[]){ b[0], b[2] }, 2);
    }
    if (q->events && q->packed) {
        guest_put(q->avail, q->last_used | (unsigned)q->used_wrap << 15, 2);
        guest_put(q->avail + 2, 2, 2);
    } else if (q->events) {
        guest_put(q->avail + 4 + 2 * q->num, q->last_used, 2);
    }
    queue_kick(q);
    queue_wait_used(q, 1);
    return guest_ram[q->heap + 0x80 - RAM_BASE];
}

static uint8_t *data_of(const Queue *q)
{
    return guest_ram + (q->heap + 0x100 - RAM_BASE);
}

/* ---- Transport ---- */

static void test_empty_slot(void)
{
    Slot *s = slot_new(NULL, false);

    g_assert_cmphex(slot_reg(s, MAGIC), ==, 0x74726976);
    g_assert_cmpuint(slot_reg(s, VERSION), ==, 2);
    g_assert_cmpuint(slot_reg(s, DEVICE_ID), ==, 0);
    slot_set_reg(s, STATUS, 1);
    slot_set_reg(s, NOTIFY, 0);
    g_assert_cmpuint(slot_reg(s, STATUS), ==, 0);
    slot_free(s);
}

static void test_features(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    uint64_t value;

    g_assert_cmpuint(slot_reg(s, DEVICE_ID), ==, 2);
    g_assert_cmphex(slot_offered(s) & (VERSION_1 | EVENT_IDX | INDIRECT_DESC), ==,
                    VERSION_1 | EVENT_IDX | INDIRECT_DESC);
    slot_negotiate(s, 0); /* without version 1 */
    g_assert_cmpuint(slot_reg(s, STATUS) & FEATURES_OK, ==, 0);
    slot_negotiate(s, VERSION_1 | 1ull << 50); /* never offered */
    g_assert_cmpuint(slot_reg(s, STATUS) & FEATURES_OK, ==, 0);
    slot_negotiate(s, VERSION_1);
    g_assert_cmpuint(slot_reg(s, STATUS) & FEATURES_OK, ==, FEATURES_OK);
    g_assert_cmpuint(slot_reg(s, CONFIG), ==, DISK / SECTOR);
    g_assert_cmpint(memory_load(s->base + CONFIG + 32, 1, &value), ==, MEM_OK);
    slot_set_reg(s, QUEUE_SEL, 1);
    g_assert_cmpuint(slot_reg(s, QUEUE_MAX), ==, 0);
    slot_set_reg(s, QUEUE_SEL, 0);
    g_assert_cmpuint(slot_reg(s, QUEUE_MAX), ==, 256);
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
    slot_set_reg(q->slot, INT_ACK, slot_reg(q->slot, INT_STATUS));
    g_assert_false(q->slot->level);
}

static void test_disk(void)
{
    const uint64_t sets[] = { 0,
                              EVENT_IDX,
                              INDIRECT_DESC,
                              EVENT_IDX | INDIRECT_DESC | 1 << 9,
                              RING_PACKED,
                              RING_PACKED | EVENT_IDX,
                              RING_PACKED | INDIRECT_DESC,
                              RING_PACKED | EVENT_IDX | INDIRECT_DESC | 1 << 9 };
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    g_autofree char *contents = NULL;
    gsize size;
    Queue q;

    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        queue_start(&q, s, sets[i]);
        for (unsigned n = 0; n < 8; n++) { /* more than once round the ring */
            use_disk(&q);
        }
    }
    disk_slot_free(s);
    g_assert_true(g_file_get_contents(disk, &contents, &size, NULL));
    g_assert_cmpuint((uint8_t)contents[100 * SECTOR], ==, 0xa5);
}

static void test_legacy(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, true);
    Queue q;

    g_assert_cmpuint(slot_reg(s, VERSION), ==, 1);
    queue_start_legacy(&q, s);
    use_disk(&q);
    slot_set_reg(s, QUEUE_PFN, 0);
    queue_start_legacy(&q, s);
    use_disk(&q);
    disk_slot_free(s);
}

static void test_ranges(void)
{
    const uint64_t features = 1 << 13 | 1 << 14;
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    Queue q;

    queue_start(&q, s, features);
    guest_put(q.heap + 0x100, 8, 8); /* sectors 8-15 and 24-25 */
    guest_put(q.heap + 0x108, 8, 8);
    guest_put(q.heap + 0x110, 24, 8);
    guest_put(q.heap + 0x118, 2 | 1ull << 32, 8);
    g_assert_cmpuint(request(&q, 13, 0, 32, false), ==, 0);
    g_assert_cmpuint(request(&q, 11, 0, 32, false), ==, 2); /* discard knows no unmap flag */
    guest_put(q.heap + 0x118, 2, 8);
    g_assert_cmpuint(request(&q, 11, 0, 32, false), ==, 0);
    g_assert_cmpuint(request(&q, 11, 0, 31, false), ==, 1);
    g_assert_cmpuint(request(&q, 0, 7, 1024, true), ==, 0);
    g_assert_cmpuint(data_of(&q)[1], ==, 8);
    g_assert_cmpuint(data_of(&q)[513], ==, 0);
    guest_put(q.heap + 0x100, DISK / SECTOR, 8);
    guest_put(q.heap + 0x108, 8, 8);
    g_assert_cmpuint(request(&q, 13, 0, 16, false), ==, 1);
    queue_start(&q, s, 0);
    g_assert_cmpuint(request(&q, 13, 0, 16, false), ==, 2);
    disk_slot_free(s);
}

static void test_readonly(void)
{
    Slot *s = disk_slot((BlockOptions){ .readonly = true }, false);
    Queue q;

    g_assert_cmpuint(slot_offered(s) & 1 << 5, ==, 1 << 5);
    queue_start(&q, s, 1 << 5);
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

    queue_start(&q, s, 0);
    guest_put(q.heap, 0, 8);
    guest_put(q.heap + 8, 3, 8);
    queue_add(&q,
              (Buffer[]){ { q.heap, 3, false },
                          { q.heap + 3, 13, false },
                          { q.heap + 0x100, 500, true },
                          { q.heap + 0x300, 13, true } },
              4);
    queue_kick(&q);
    queue_wait_used(&q, 1);
    g_assert_cmpuint(data_of(&q)[0], ==, 3);
    g_assert_cmpuint(guest_ram[q.heap + 0x300 + 12 - RAM_BASE], ==, 0);
    disk_slot_free(s);
}

/* Writes go through the worker threads; all are in flight at once. */
static void test_flight(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    Queue q;

    queue_start(&q, s, EVENT_IDX | INDIRECT_DESC);
    for (unsigned round = 0; round < 50; round++) {
        unsigned before = s->interrupts;

        guest_put(q.avail + 4 + 2 * q.num, (uint16_t)(q.last_used + QUEUE - 1),
                  2); /* one interrupt, for the last */
        for (unsigned i = 0; i < QUEUE; i++) {
            uint64_t header = RAM_BASE + 0x40000 + i * 1024;

            guest_put(header, 1, 8);
            guest_put(header + 8, i, 8);
            guest_ram[header + 16 - RAM_BASE] = 0xff;
            memset(guest_ram + (header + 512 - RAM_BASE), (int)(i + round), SECTOR);
            queue_add(&q,
                      (Buffer[]){ { header, 16, false },
                                  { header + 512, SECTOR, false },
                                  { header + 16, 1, true } },
                      3);
        }
        queue_kick(&q);
        queue_wait_used(&q, QUEUE);
        machine_lock(); /* the worker raises the interrupt before it lets go */
        machine_unlock();
        g_assert_cmpuint(s->interrupts, ==, before + 1);
        slot_set_reg(s, INT_ACK, 3);
        for (unsigned i = 0; i < QUEUE; i++) {
            g_assert_cmpuint(guest_ram[0x40000 + i * 1024 + 16], ==, 0);
        }
        g_assert_cmpuint(request(&q, 0, 63, SECTOR, true), ==, 0);
        g_assert_cmpuint(data_of(&q)[5], ==, (uint8_t)(63 + round));
        slot_set_reg(s, INT_ACK, 3);
    }
    disk_slot_free(s);
}

/* A reset while requests are on their way. */
static void test_reset_in_flight(void)
{
    Slot *s = disk_slot((BlockOptions){ .snapshot = true }, false);
    Queue q;

    for (unsigned round = 0; round < 100; round++) {
        queue_start(&q, s, INDIRECT_DESC);
        guest_put(q.heap, 1, 8);
        guest_put(q.heap + 8, 5, 8);
        for (unsigned i = 0; i < 16; i++) {
            queue_add(&q,
                      (Buffer[]){ { q.heap, 16, false },
                                  { q.heap + 0x100, SECTOR, false },
                                  { q.heap + 0x80, 1, true } },
                      3);
        }
        queue_kick(&q);
        if (round % 2) {
            machine_lock();
            hw_devices_reset();
            machine_unlock();
        } else {
            slot_set_reg(s, STATUS, 0);
        }
        g_assert_cmpuint(slot_reg(s, STATUS), ==, 0);
        g_assert_false(s->level);
    }
    queue_start(&q, s, 0);
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
    queue_start(&q, s, EVENT_IDX | INDIRECT_DESC);
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
    g_assert_cmpuint(slot_reg(q->slot, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
    g_assert_cmpuint(slot_reg(q->slot, INT_STATUS) & 2, ==, 2);
    queue_start(q, q->slot, 0);
    g_assert_cmpuint(request(q, 0, 0, 512, true), ==, 0);
    queue_start(q, q->slot, 0);
}

static void test_mistakes(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, false);
    Queue q;

    queue_start(&q, s, 0);
    queue_add(&q, (Buffer[]){ { 0x10, 16, false }, { q.heap, 1, true } }, 2); /* not memory */
    queue_kick(&q);
    assert_failed(&q);
    queue_add(&q, (Buffer[]){ { SLOT, 16, false }, { q.heap, 1, true } }, 2); /* a device */
    queue_kick(&q);
    assert_failed(&q);
    queue_add(&q, (Buffer[]){ { q.heap, 1, true }, { q.heap, 16, false } }, 2); /* writable first */
    queue_kick(&q);
    assert_failed(&q);
    queue_add(&q, (Buffer[]){ { q.heap, 8, false }, { q.heap, 1, true } }, 2); /* no header */
    queue_kick(&q);
    assert_failed(&q);
    queue_add(&q, (Buffer[]){ { q.heap, 16, false } }, 1); /* no status */
    queue_kick(&q);
    assert_failed(&q);
    queue_add(&q, (Buffer[]){ { q.heap, 0, false } }, 1);
    guest_put_desc(q.desc, q.heap, 16, NEXT, 0); /* a loop */
    queue_kick(&q);
    assert_failed(&q);
    guest_put_desc(q.desc, q.heap, 16, NEXT, QUEUE); /* outside the table */
    guest_put(q.avail + 2, 1, 2);
    queue_kick(&q);
    assert_failed(&q);
    guest_put(q.avail + 2, QUEUE + 1, 2); /* index runs ahead */
    queue_kick(&q);
    assert_failed(&q);
    guest_put(q.avail + 4, QUEUE, 2); /* head outside */
    guest_put(q.avail + 2, 1, 2);
    queue_kick(&q);
    assert_failed(&q);
    queue_add(&q, (Buffer[]){ { RAM_BASE + RAM_SIZE - 8, 16, false }, { q.heap, 1, true } },
              2); /* over the end */
    queue_kick(&q);
    assert_failed(&q);
    disk_slot_free(s);
}

static void try_rings(Slot *s, uint64_t desc, uint64_t avail, uint64_t used, uint32_t num)
{
    slot_negotiate(s, VERSION_1);
    slot_set_reg(s, QUEUE_SEL, 0);
    slot_set_reg(s, QUEUE_NUM, num);
    slot_set_address(s, DESC, desc);
    slot_set_address(s, AVAIL, avail);
    slot_set_address(s, USED, used);
    slot_set_reg(s, QUEUE_READY, 1);
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    slot_set_reg(s, NOTIFY, 0);
    g_assert_cmpuint(slot_reg(s, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
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
    queue_start(&q, s, 0);
    use_disk(&q);
    disk_slot_free(s);
}

/* ---- Entropy ---- */

static void test_rng(void)
{
    Slot *s = slot_new(hw_device_new(hw_virtio_rng_get_type(), NULL), false);
    uint8_t first[64];
    Queue q;

    for (unsigned i = 0; i < 4; i++) {
        bare_is_deterministic = i >= 2;
        slot_negotiate(s, VERSION_1);
        queue_enable(&q, s, 0, 8);
        slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
        queue_add(&q, (Buffer[]){ { q.heap, 64, true } }, 1);
        queue_kick(&q);
        queue_wait_used(&q, 1);
        g_assert_cmpuint(guest_get16(q.used + 8), ==, 64);
        if (i % 2) {
            g_assert_true(!memcmp(first, guest_ram + (q.heap - RAM_BASE), 64) ==
                          bare_is_deterministic);
        }
        memcpy(first, guest_ram + (q.heap - RAM_BASE), 64);
    }
    bare_is_deterministic = false;
    slot_free(s);
}

/* ---- The hostile driver ---- */

static void test_hostile_disk(void)
{
    Slot *s = disk_slot((BlockOptions){ .snapshot = true }, false);
    Queue q;

    hostile_drive(s, 1, false, hostile_steps(), hostile_add_chain);
    queue_start(&q, s, EVENT_IDX);
    g_assert_cmpuint(request(&q, 0, 2, 1024, true), ==, 0);
    disk_slot_free(s);
}

static void test_hostile_legacy(void)
{
    Slot *s = disk_slot((BlockOptions){ 0 }, true);
    Queue q;

    hostile_drive(s, 1, true, hostile_steps(), hostile_add_chain);
    queue_start_legacy(&q, s);
    g_assert_cmpuint(request(&q, 0, 2, 1024, true), ==, 0);
    disk_slot_free(s);
}

static void test_hostile_rng(void)
{
    Slot *s = slot_new(hw_device_new(hw_virtio_rng_get_type(), NULL), false);

    hostile_drive(s, 1, false, hostile_steps(), hostile_add_chain);
    slot_free(s);
}

/* A request to a SCSI disk, but for one mistake in a few. */
static void wild_scsi(Queue *q)
{
    static const uint8_t operations[] = { 0x00, 0x03, 0x12, 0x1a, 0x1b, 0x25, 0x28, 0x2a, 0x2f,
                                          0x35, 0x42, 0x5a, 0x88, 0x8a, 0x91, 0x9e, 0xa0, 0xa8 };
    uint8_t *header = guest_ram + (q->heap - RAM_BASE);
    bool to_host = hostile_one_in(2);
    unsigned n = 0;
    Buffer b[4];

    for (unsigned i = 0; i < 51; i++) {
        header[i] = hostile_one_in(4) ? (uint8_t)g_test_rand_int() : 0;
    }
    header[0] = !hostile_one_in(64);
    header[1] = hostile_one_in(16);
    header[2] = header[3] = 0;
    header[19] = operations[g_test_rand_int_range(0, G_N_ELEMENTS(operations))];
    header[19 + 8] = (uint8_t)g_test_rand_int_range(0, 8);
    b[n++] = (Buffer){ q->heap, hostile_one_in(64) ? hostile_length() : 51, false };
    if (!to_host) {
        b[n++] = (Buffer){ hostile_one_in(64) ? hostile_address() : q->heap + 0x400,
                           (uint32_t)g_test_rand_int_range(0, 8) * 256, false };
    }
    b[n++] = (Buffer){ q->heap + 0x200, hostile_one_in(64) ? hostile_length() : 108, true };
    if (to_host) {
        b[n++] = (Buffer){ hostile_one_in(64) ? hostile_address() : q->heap + 0x400,
                           (uint32_t)g_test_rand_int_range(0, 8) * 256, true };
    }
    queue_add(q, b, n);
}

static void test_hostile_scsi(void)
{
    HwDevice *hd = hw_device_new(hw_scsi_hd_get_type(), NULL);
    BlockOptions options = { .id = "d", .file = disk, .snapshot = true };
    g_autofree char *data = g_malloc0(DISK);
    g_autoptr(GError) error = NULL;
    HwDevice *adapter = hw_device_new(hw_virtio_scsi_get_type(), NULL);
    Slot *s;

    g_assert_true(g_file_set_contents(disk, data, DISK, NULL));
    g_assert_nonnull(block_open(&options, &error));
    g_assert_true(hw_device_set_prop(hd, "drive", "d", &error));
    g_assert_true(hw_device_set_prop(adapter, "packed", "on", &error));
    s = slot_new(adapter, false);
    machine_lock();
    driver_plug(hd, HW_SCSI_BUS_TYPE);
    hw_devices_reset();
    machine_unlock();
    hostile_drive(s, 3, false, hostile_steps(), wild_scsi);
    disk_slot_free(s);
}

/* The other end of the card's network: sends all the time, and hears what the hostile driver sends. */
static bool hear(void *opaque, const NetFrame *f)
{
    return f->len >= NET_MIN_FRAME && f->len <= NET_MAX_FRAME;
}

static int flood_ends;

static gpointer flood(gpointer data)
{
    static uint8_t frame[3000] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0, 0x45
    };
    NetOffload none = { 0 };

    for (size_t len = NET_MIN_FRAME; !g_atomic_int_get(&flood_ends); len = len % 2900 + 14) {
        struct iovec iov = { frame, len };

        machine_lock();
        net_send(data, &none, &iov, 1);
        net_flush(data);
        machine_unlock();
        g_usleep(20);
    }
    return NULL;
}

static void test_hostile_net(void)
{
    static const NetPortOps ops = { .receive = hear };
    HwDevice *dev = hw_device_new(hw_virtio_net_get_type(), NULL);
    g_autoptr(GError) error = NULL;
    GThread *thread;
    Slot *s;

    g_assert_true(net_new("hubport,id=a,hubid=0", &error) &&
                  net_new("hubport,id=b,hubid=0", &error));
    g_assert_true(hw_device_set_prop(dev, "netdev", "a", &error));
    s = slot_new(dev, false);
    g_assert_true(net_attach(net_find("b"), &ops, &flood_ends, "flood", NULL, &error));
    net_start();
    thread = g_thread_new("flood", flood, net_find("b"));
    hostile_drive(s, 3, false, hostile_steps(), hostile_add_chain);
    g_atomic_int_set(&flood_ends, 1);
    g_thread_join(thread);
    slot_free(s);
    net_cleanup();
}

int main(int argc, char **argv)
{
    driver_init(&argc, &argv);
    disk = g_build_filename(driver_folder, "disk", NULL);
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
    g_test_add_func("/virtio/hostile/disk", test_hostile_disk);
    g_test_add_func("/virtio/hostile/legacy", test_hostile_legacy);
    g_test_add_func("/virtio/hostile/rng", test_hostile_rng);
    g_test_add_func("/virtio/hostile/scsi", test_hostile_scsi);
    g_test_add_func("/virtio/hostile/net", test_hostile_net);
    return driver_run();
}
