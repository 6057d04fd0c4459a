/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/virtio-driver.h"
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "hw/virtio/virtio-mmio.h"
#include "softmmu/clock.h"
#include "softmmu/memory.h"
#include "tests/unit/bare.h"

uint8_t *guest_ram;
char *driver_folder;

void driver_init(int *argc, char ***argv)
{
    g_test_init(argc, argv, NULL);
    driver_folder = g_dir_make_tmp("test-virtio-XXXXXX", NULL);
    guest_ram = bare_init(16 << 20, RAM_BASE, RAM_SIZE);
}

int driver_run(void)
{
    int status = g_test_run();
    g_autoptr(GDir) dir = g_dir_open(driver_folder, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(driver_folder, name, NULL);

        g_unlink(path);
    }
    g_assert_cmpint(g_rmdir(driver_folder), ==, 0);
    return status;
}

void driver_settle(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {}
}

void driver_wait(unsigned i)
{
    g_assert_cmpuint(i, <, 100000);
    driver_settle();
    g_usleep(100);
}

void driver_plug(HwDevice *dev, const char *bus_type)
{
    HwBus *bus = dev->bus = hw_bus_find(bus_type, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(hw_device_realize(dev, &error));
    g_assert_true(bus->plug(bus, dev, &error));
    g_assert_no_error(error);
    g_ptr_array_add(bus->children, dev);
}

void host_expect(int fd, const char *text)
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

/* ---- A slot with a device in it ---- */

static void irq_changed(void *opaque, unsigned n, bool level)
{
    Slot *s = opaque;

    s->interrupts += level && !s->level;
    s->level = level;
}

uint32_t slot_reg(const Slot *s, uint64_t offset)
{
    uint64_t value;

    g_assert_cmpint(memory_load(s->base + offset, 4, &value), ==, MEM_OK);
    return (uint32_t)value;
}

void slot_set_reg(const Slot *s, uint64_t offset, uint32_t value)
{
    g_assert_cmpint(memory_store(s->base + offset, 4, value), ==, MEM_OK);
}

Slot *slot_new(HwDevice *dev, bool legacy)
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

void slot_free(Slot *s)
{
    machine_lock();
    g_object_unref(s->mmio);
    memory_commit();
    machine_unlock();
    g_free(s);
}

uint64_t slot_offered(const Slot *s)
{
    uint64_t low;

    slot_set_reg(s, FEATURES_SEL, 0);
    low = slot_reg(s, FEATURES);
    slot_set_reg(s, FEATURES_SEL, 1);
    return low | (uint64_t)slot_reg(s, FEATURES) << 32;
}

void slot_negotiate(const Slot *s, uint64_t features)
{
    slot_set_reg(s, STATUS, 0);
    g_assert_cmpuint(slot_reg(s, STATUS), ==, 0);
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER);
    slot_set_reg(s, DRIVER_SEL, 0);
    slot_set_reg(s, DRIVER_FEATURES, (uint32_t)features);
    slot_set_reg(s, DRIVER_SEL, 1);
    slot_set_reg(s, DRIVER_FEATURES, (uint32_t)(features >> 32));
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
}

void slot_set_address(const Slot *s, unsigned at, uint64_t value)
{
    slot_set_reg(s, at, (uint32_t)value);
    slot_set_reg(s, at + 4, (uint32_t)(value >> 32));
}

/* ---- Guest memory ---- */

void guest_put(uint64_t addr, uint64_t value, unsigned size)
{
    value = GUINT64_TO_LE(value);
    memcpy(guest_ram + (addr - RAM_BASE), &value, size);
}

uint16_t guest_get16(uint64_t addr)
{
    uint16_t value;

    memcpy(&value, guest_ram + (addr - RAM_BASE), sizeof(value));
    return GUINT16_FROM_LE(value);
}

void guest_put_desc(uint64_t at, uint64_t addr, uint32_t len, unsigned flags, unsigned next)
{
    guest_put(at, addr, 8);
    guest_put(at + 8, len, 4);
    guest_put(at + 12, flags, 2);
    guest_put(at + 14, next, 2);
}

/* ---- A queue ---- */

static void place_queue(Queue *q, Slot *s, unsigned n, unsigned num)
{
    uint64_t at = RAM_BASE + 0x1000 + n * 0x8000;

    *q = (Queue){ .slot = s,
                  .n = n,
                  .num = num,
                  .desc = at,
                  .avail = at + 16 * num,
                  .table = at + 0x4000,
                  .heap = at + 0x6000,
                  .avail_wrap = true,
                  .used_wrap = true };
    q->used = (q->avail + 6 + 2 * num + 4095) & ~4095ull;
    memset(guest_ram + (at - RAM_BASE), 0, 0x8000);
}

void queue_enable(Queue *q, Slot *s, unsigned n, unsigned num)
{
    place_queue(q, s, n, num);
    slot_set_reg(s, QUEUE_SEL, n);
    slot_set_reg(s, QUEUE_NUM, num);
    slot_set_address(s, DESC, q->desc);
    slot_set_address(s, AVAIL, q->avail);
    slot_set_address(s, USED, q->used);
    slot_set_reg(s, QUEUE_READY, 1);
    g_assert_cmpuint(slot_reg(s, QUEUE_READY), ==, 1);
}

void queue_start(Queue *q, Slot *s, uint64_t features)
{
    slot_negotiate(s, features | VERSION_1);
    g_assert_cmpuint(slot_reg(s, STATUS), ==, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    queue_enable(q, s, 0, QUEUE);
    q->indirect = features & INDIRECT_DESC;
    q->events = features & EVENT_IDX;
    q->packed = features & RING_PACKED;
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

void queue_start_legacy(Queue *q, Slot *s)
{
    slot_set_reg(s, STATUS, 0);
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER);
    slot_set_reg(s, DRIVER_SEL, 0);
    slot_set_reg(s, DRIVER_FEATURES, 0);
    slot_set_reg(s, PAGE_SIZE, 4096);
    place_queue(q, s, 0, QUEUE);
    slot_set_reg(s, QUEUE_SEL, 0);
    slot_set_reg(s, QUEUE_NUM, QUEUE);
    slot_set_reg(s, QUEUE_ALIGN, 4096);
    slot_set_reg(s, QUEUE_PFN, (uint32_t)(q->desc / 4096));
    g_assert_cmpuint(slot_reg(s, QUEUE_PFN), ==, q->desc / 4096);
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | DRIVER_OK);
}

static void put_packed(uint64_t at, uint64_t addr, uint32_t len, unsigned id, unsigned flags)
{
    guest_put(at, addr, 8);
    guest_put(at + 8, len, 4);
    guest_put(at + 12, id, 2);
    guest_put(at + 14, flags, 2);
}

static unsigned turn_flags(bool wrap)
{
    return wrap ? AVAIL_FLAG : USED_FLAG;
}

/* The first descriptor, which makes the chain available, comes last. */
static void add_packed(Queue *q, const Buffer *b, unsigned n)
{
    unsigned id = q->next_avail;
    uint64_t table = q->table + id * 128, first = q->desc + 16 * id;
    unsigned first_flags = turn_flags(q->avail_wrap);

    q->slots[id] = (uint8_t)(q->indirect ? 1 : n);
    for (unsigned i = 0; i < n; i++) {
        unsigned flags = (b[i].write ? WRITE : 0) | (i + 1 < n ? NEXT : 0);

        if (q->indirect) {
            put_packed(table + 16 * i, b[i].addr, b[i].len, 0, flags & WRITE);
            continue;
        }
        put_packed(q->desc + 16 * q->next_avail, b[i].addr, b[i].len, id,
                   flags | turn_flags(i ? q->avail_wrap : !q->avail_wrap));
        first_flags |= i ? 0 : flags;
        q->avail_wrap ^= q->next_avail + 1u == q->num;
        q->next_avail = (uint16_t)((q->next_avail + 1u) % q->num);
    }
    if (q->indirect) {
        put_packed(first, table, 16 * n, id, turn_flags(!q->avail_wrap));
        first_flags |= INDIRECT;
        q->avail_wrap ^= q->next_avail + 1u == q->num;
        q->next_avail = (uint16_t)((q->next_avail + 1u) % q->num);
    }
    guest_put(first + 14, first_flags, 2);
}

void queue_add(Queue *q, const Buffer *b, unsigned n)
{
    uint64_t table = q->indirect ? q->table + q->free_desc * 128 : q->desc;
    unsigned first = q->indirect ? 0 : q->free_desc, head = q->free_desc;

    if (q->packed) {
        add_packed(q, b, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned flags = (b[i].write ? WRITE : 0) | (i + 1 < n ? NEXT : 0);

        guest_put_desc(table + 16 * ((first + i) % q->num), b[i].addr, b[i].len, flags,
                       (first + i + 1) % q->num);
    }
    if (q->indirect) {
        guest_put_desc(q->desc + 16 * head, table, 16 * n, INDIRECT, 0);
        n = 1;
    }
    q->free_desc = (uint16_t)((q->free_desc + n) % q->num);
    guest_put(q->avail + 4 + 2 * (q->next_avail % q->num), head, 2);
    guest_put(q->avail + 2, ++q->next_avail, 2);
}

void queue_kick(Queue *q)
{
    slot_set_reg(q->slot, NOTIFY, q->n);
}

bool queue_has_used(const Queue *q)
{
    unsigned both = AVAIL_FLAG | USED_FLAG;

    return q->packed
               ? (guest_get16(q->desc + 16 * q->last_used + 14) & both) == (q->used_wrap ? both : 0)
               : guest_get16(q->used + 2) != q->last_used;
}

static void wait_packed(Queue *q)
{
    uint64_t at = q->desc + 16 * q->last_used;
    unsigned n;

    for (unsigned i = 0; !queue_has_used(q); i++) {
        driver_wait(i);
    }
    n = q->last_used + q->slots[guest_get16(at + 12) % QUEUE];
    q->used_wrap ^= n >= q->num;
    q->last_used = (uint16_t)(n % q->num);
}

void queue_wait_used(Queue *q, unsigned n)
{
    uint16_t want = (uint16_t)(q->last_used + n);

    for (; q->packed && n; n--) {
        wait_packed(q);
    }
    if (q->packed) {
        return;
    }
    for (unsigned i = 0; guest_get16(q->used + 2) != want; i++) {
        driver_wait(i);
    }
    q->last_used = want;
}

void queue_wait_next(Queue *q)
{
    if (q->packed) {
        wait_packed(q);
        return;
    }
    for (unsigned i = 0; !queue_has_used(q); i++) {
        driver_wait(i);
    }
    q->last_used++;
}
