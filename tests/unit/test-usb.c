/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB as a driver sees it: a small xHCI driver here keeps rings and contexts in guest memory, enumerates devices, moves data on bulk endpoints,
 * reads reports,
 * and gets itself out of stalls. Then a driver that writes nonsense everywhere has its turn; afterwards the good one must still get its answers.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "block/block.h"
#include "hw/pci/pci-host-ecam.h"
#include "hw/usb/usb-hid.h"
#include "hw/usb/usb-hub.h"
#include "hw/usb/usb-storage.h"
#include "hw/usb/usb.h"
#include "hw/usb/xhci.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "tests/unit/bare.h"
#include "ui/input.h"
#include "util/bytes.h"

#define RAM 0x80000000ull
#define BAR 0x40000000ull

enum { RAM_SIZE = 4 << 20, DISK = 1 << 20, ECAM = 0x20000000, SLOT_1 = 0x8000 };
/* Registers */
enum { USBCMD = 0x40, USBSTS = 0x44, CRCR = 0x58, DCBAAP = 0x70, CONFIG = 0x78, PORTSC = 0x440 };
enum { IMAN = 0x1020, ERSTSZ = 0x1028, ERSTBA = 0x1030, ERDP = 0x1038, DOORBELL = 0x2000 };
/* Places in RAM */
enum {
    DCBAA = 0x1000,
    COMMANDS = 0x2000,
    SEGMENTS = 0x3000,
    EVENTS = 0x4000,
    INPUT = 0x6000,
    CONTEXTS = 0x10000,
    RINGS = 0x40000,
    DATA = 0x200000,
    RING_TRBS = 256,
};
enum { NORMAL = 1, SETUP, DATA_STAGE, STATUS, LINK = 6, EVENT_DATA = 7, NO_OP = 8 };
enum {
    ENABLE_SLOT = 9,
    DISABLE_SLOT,
    ADDRESS,
    CONFIGURE,
    EVALUATE,
    RESET_EP,
    STOP_EP,
    SET_DEQUEUE
};
enum { RESET_DEVICE = 17, COMMAND_NO_OP = 23, TRANSFER_EVENT = 32, COMMAND_EVENT, PORT_EVENT };
enum { CYCLE = 1, ISP = 4, CHAIN = 0x10, IOC = 0x20, IDT = 0x40, DIR_IN = 0x10000 };
enum { OK = 1, TRANSACTION = 4, TRB_ERROR = 5, STALL = 6, SHORT = 13, STATE_ERROR = 19 };
enum { BULK_OUT = 2, CONTROL = 4, BULK_IN = 6, INT_IN = 7 };

static uint8_t *host;
static char *folder, *disk;
static HwDevice *bridge, *xhci;
static bool removable;
static unsigned event_size; /* TRBs of the event ring */
static unsigned event_at, command_at;
static bool event_cycle, command_cycle;

typedef struct Ring {
    uint64_t base;
    unsigned at;
    bool cycle;
} Ring;

typedef struct Event {
    uint64_t param;
    uint32_t status, control;
} Event;

static Ring rings[33][32];

/* ---- The machine ---- */

static void plug(HwDevice *dev)
{
    g_autoptr(GError) error = NULL;

    dev->bus = hw_bus_find(HW_DEVICE_GET_CLASS(dev)->bus_type, NULL);
    g_assert_true(hw_device_realize(dev, &error));
    g_assert_no_error(error);
    g_assert_true(dev->bus->plug(dev->bus, dev, &error));
    g_assert_no_error(error);
    g_ptr_array_add(dev->bus->children, dev);
}

static HwDevice *add(GType type, const char *port)
{
    HwDevice *dev = hw_device_new(type, NULL);

    g_assert_true(hw_device_set_prop(dev, "port", port, NULL));
    if (type == hw_usb_storage_get_type()) {
        BlockOptions options = { .id = "d", .file = disk };
        g_autofree uint8_t *data = g_malloc(DISK);

        for (unsigned i = 0; i < DISK; i++) {
            data[i] = (uint8_t)(i / 512 + i);
        }
        g_assert_true(g_file_set_contents(disk, (const char *)data, DISK, NULL));
        g_assert_nonnull(block_open(&options, NULL));
        g_assert_true(hw_device_set_prop(dev, "drive", "d", NULL));
        g_assert_true(hw_device_set_prop(dev, "serial", "SN-7", NULL));
        g_assert_true(hw_device_set_prop(dev, "removable", removable ? "on" : "off", NULL));
    }
    plug(dev);
    return dev;
}

static void config_write(unsigned offset, unsigned size, uint32_t value)
{
    memory_store(ECAM + SLOT_1 + offset, size, value);
}

static void place(void)
{
    config_write(PCI_BASE_ADDRESS_0, 4, BAR);
    config_write(PCI_BASE_ADDRESS_0 + 4, 4, 0);
    config_write(PCI_BASE_ADDRESS_0 + 8, 4, BAR + 0x10000);
    config_write(HW_PCI_DEVICE(xhci)->msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_ENABLE);
    config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void machine_new(void)
{
    const HwPciHostMap map = { ECAM,       1 << 20, 0x21000000,     1 << 16,
                               0x40000000, 1 << 28, 0x100000000ull, 1 << 28 };

    machine_lock();
    bridge = hw_pci_host_ecam_new(&map);
    g_assert_true(hw_device_realize(bridge, NULL));
    hw_pci_host_ecam_map(bridge);
    for (unsigned i = 0; i < bridge->n_irqs; i++) {
        hw_device_connect_irq(bridge, i, NULL, 0);
    }
    xhci = hw_device_new(hw_xhci_get_type(), "x");
    plug(xhci);
    memory_commit();
    memset(host, 0, RAM_SIZE);
}

/* To be called with the lock that machine_new() and the additions had. */
static void machine_start(void)
{
    hw_devices_reset();
    memory_commit();
    place();
    machine_unlock();
}

static void machine_free(void)
{
    machine_lock();
    g_object_unref(bridge);
    memory_commit();
    block_close_all();
    machine_unlock();
}

/* ---- The driver: registers, rings, events ---- */

static uint32_t reg(unsigned offset)
{
    uint64_t value;

    g_assert_cmpint(memory_load(BAR + offset, 4, &value), ==, MEM_OK);
    return (uint32_t)value;
}

static void set_reg(unsigned offset, uint32_t value)
{
    g_assert_cmpint(memory_store(BAR + offset, 4, value), ==, MEM_OK);
}

static void put_trb(uint64_t at, uint64_t param, uint32_t status, uint32_t control)
{
    bytes_put_le64(host + at, param);
    bytes_put_le32(host + at + 8, status);
    bytes_put_le32(host + at + 12, control);
}

static void driver_start(unsigned events)
{
    set_reg(USBCMD, 2);
    g_assert_cmphex(reg(USBSTS) & 1, ==, 1);
    memset(host, 0, DATA);
    memset(rings, 0, sizeof(rings));
    event_size = events;
    event_at = command_at = 0;
    event_cycle = command_cycle = true;
    put_trb(SEGMENTS, RAM + EVENTS, events, 0);
    set_reg(CONFIG, 32);
    set_reg(DCBAAP, RAM + DCBAA);
    set_reg(CRCR, (uint32_t)(RAM + COMMANDS) | 1);
    set_reg(ERSTSZ, 1);
    set_reg(ERDP, RAM + EVENTS);
    set_reg(ERSTBA, RAM + SEGMENTS);
    set_reg(IMAN, 2);
    set_reg(USBCMD, 5);
}

static void iterate(void)
{
    g_main_context_iteration(NULL, FALSE);
    g_usleep(100);
}

static bool take_event(Event *e)
{
    const uint8_t *at = host + EVENTS + (size_t)event_at * 16;

    e->control = bytes_get_le32(at + 12);
    if ((e->control & CYCLE) != event_cycle) {
        return false;
    }
    e->param = bytes_get_le64(at);
    e->status = bytes_get_le32(at + 8);
    if (++event_at == event_size) {
        event_at = 0;
        event_cycle = !event_cycle;
    }
    return true;
}

static void show_place(void)
{
    set_reg(ERDP, (uint32_t)(RAM + EVENTS + event_at * 16) | 8);
}

/* The next event of that kind; others are dropped. */
static Event wait_event(unsigned type)
{
    Event e;

    for (unsigned i = 0; i < 50000; i++) {
        while (take_event(&e)) {
            show_place();
            if ((e.control >> 10 & 63) == type) {
                return e;
            }
        }
        iterate();
    }
    g_assert_not_reached();
}

static unsigned code_of(Event e)
{
    return e.status >> 24;
}

static bool no_event(unsigned ms)
{
    Event e;

    for (unsigned i = 0; i < ms * 10; i++) {
        iterate();
        if (take_event(&e)) {
            return false;
        }
    }
    return true;
}

static void push_command(uint64_t param, uint32_t control)
{
    put_trb(COMMANDS + command_at * 16, param, 0, control | command_cycle);
    if (++command_at == 63) {
        put_trb(COMMANDS + 63 * 16, RAM + COMMANDS, 0, LINK << 10 | 2 | command_cycle);
        command_at = 0;
        command_cycle = !command_cycle;
    }
}

static unsigned command(unsigned type, uint64_t param, uint32_t more, unsigned *slot)
{
    Event e;

    push_command(param, type << 10 | more);
    set_reg(DOORBELL, 0);
    e = wait_event(COMMAND_EVENT);
    if (slot) {
        *slot = e.control >> 24;
    }
    return code_of(e);
}

static Ring *ring_new(unsigned slot, unsigned dci)
{
    Ring *r = &rings[slot][dci];
    static unsigned n;

    *r = (Ring){ RINGS + (n++ % 64) * RING_TRBS * 16, 0, true };
    memset(host + r->base, 0, RING_TRBS * 16);
    return r;
}

static void push(Ring *r, uint64_t param, uint32_t status, uint32_t control)
{
    put_trb(r->base + r->at * 16, param, status, control | r->cycle);
    if (++r->at == RING_TRBS - 1) {
        put_trb(r->base + r->at * 16, RAM + r->base, 0,
                LINK << 10 | 2 | (control & CHAIN) | r->cycle);
        r->at = 0;
        r->cycle = !r->cycle;
    }
}

static void ring_bell(unsigned slot, unsigned dci)
{
    set_reg(DOORBELL + 4 * slot, dci);
}

/* ---- The driver: devices ---- */

static uint32_t port_status(unsigned port)
{
    return reg(PORTSC + (port - 1) * 16);
}

static void reset_port(unsigned port)
{
    set_reg(PORTSC + (port - 1) * 16, 0x210);
    g_assert_cmphex(port_status(port) & 0x200203, ==, 0x200203); /* PRC, PP, PED, CCS */
    set_reg(PORTSC + (port - 1) * 16, 0x200 | 0xfe0000);
    g_assert_cmphex(port_status(port) & 0xfe0000, ==, 0);
}

static void put_ep(unsigned dci, unsigned type, unsigned size, const Ring *r)
{
    uint8_t *c = host + INPUT + 32 * (1 + (size_t)dci);

    memset(c, 0, 32);
    bytes_put_le32(c + 4, 3 << 1 | type << 3 | size << 16);
    bytes_put_le64(c + 8, (RAM + r->base) | 1);
}

static void put_input(uint32_t drop, uint32_t adds, unsigned port, uint32_t route)
{
    memset(host + INPUT, 0, 64);
    bytes_put_le32(host + INPUT, drop);
    bytes_put_le32(host + INPUT + 4, adds);
    bytes_put_le32(host + INPUT + 32, route | 31u << 27);
    bytes_put_le32(host + INPUT + 36, port << 16);
}

static unsigned address(unsigned port, uint32_t route)
{
    unsigned slot;

    g_assert_cmpuint(command(ENABLE_SLOT, 0, 0, &slot), ==, OK);
    bytes_put_le64(host + DCBAA + 8 * (size_t)slot, RAM + CONTEXTS + slot * 0x800);
    put_input(0, 3, port, route);
    put_ep(1, CONTROL, 64, ring_new(slot, 1));
    g_assert_cmpuint(command(ADDRESS, RAM + INPUT, slot << 24, NULL), ==, OK);
    g_assert_cmpuint(bytes_get_le32(host + CONTEXTS + slot * 0x800 + 12), ==, 2u << 27 | slot);
    return slot;
}

static void add_ep(unsigned slot, unsigned dci, unsigned type)
{
    uint32_t route = bytes_get_le32(host + CONTEXTS + slot * 0x800) & 0xfffff;
    unsigned port = host[CONTEXTS + slot * 0x800 + 6];

    put_input(0, 1 | 1u << dci, port, route);
    put_ep(dci, type, 512, ring_new(slot, dci));
    g_assert_cmpuint(command(CONFIGURE, RAM + INPUT, slot << 24, NULL), ==, OK);
}

/* A control transfer with @length bytes at DATA: the code of its last event; *@moved bytes. */
static unsigned control(unsigned slot, uint8_t type, uint8_t request, uint16_t value,
                        uint16_t index, uint16_t length, unsigned *moved)
{
    Ring *r = &rings[slot][1];
    uint64_t setup = type | request << 8 | (uint64_t)value << 16 | (uint64_t)index << 32 |
                     (uint64_t)length << 48;
    uint32_t dir = type & 0x80 ? DIR_IN : 0;
    unsigned n = length;
    Event e;

    push(r, setup, 8, SETUP << 10 | IDT);
    if (length) {
        push(r, RAM + DATA, length, DATA_STAGE << 10 | dir | ISP);
    }
    push(r, 0, 0, STATUS << 10 | (length && dir ? 0u : DIR_IN) | IOC);
    ring_bell(slot, 1);
    e = wait_event(TRANSFER_EVENT);
    if (code_of(e) == SHORT) {
        n = length - (e.status & 0xffffff);
        e = wait_event(TRANSFER_EVENT);
    }
    if (moved) {
        *moved = n;
    }
    return code_of(e);
}

static void recover(unsigned slot, unsigned dci)
{
    Ring *r = &rings[slot][dci];

    g_assert_cmpuint(command(SET_DEQUEUE, 0, slot << 24 | dci << 16, NULL), ==, STATE_ERROR);
    g_assert_cmpuint(command(RESET_EP, 0, slot << 24 | dci << 16, NULL), ==, OK);
    g_assert_cmpuint(
        command(SET_DEQUEUE, (RAM + r->base + r->at * 16) | r->cycle, slot << 24 | dci << 16, NULL),
        ==, OK);
}

static void clear_halt(unsigned slot, unsigned dci)
{
    recover(slot, dci);
    g_assert_cmpuint(control(slot, 2, 1, 0, (uint16_t)(dci / 2 | (dci & 1) << 7), 0, NULL), ==, OK);
}

static unsigned configure(unsigned port, uint32_t route)
{
    unsigned slot = address(port, route);

    g_assert_cmpuint(control(slot, 0, 9, 1, 0, 0, NULL), ==, OK);
    return slot;
}

static Event bulk(unsigned slot, unsigned dci, uint64_t at, uint32_t length)
{
    push(&rings[slot][dci], RAM + at, length, NORMAL << 10 | IOC | ISP);
    ring_bell(slot, dci);
    return wait_event(TRANSFER_EVENT);
}

/* ---- Enumeration ---- */

static void test_enumeration(void)
{
    unsigned slot, n;

    machine_new();
    add(hw_usb_storage_get_type(), "1");
    add(hw_usb_hub_get_type(), "2");
    add(hw_usb_kbd_get_type(), "2.5");
    machine_start();
    driver_start(256);
    g_assert_cmphex(port_status(1) & 1, ==, 0); /* the disk is on USB 3's side */
    g_assert_cmphex(port_status(5) & 0x3c03, ==, 0x1003);
    g_assert_cmphex(port_status(2) & 0x3c03, ==, 0x0c01);
    reset_port(5);
    reset_port(2);
    slot = address(5, 0);
    g_assert_cmpuint(control(slot, 0x80, 6, 0x100, 0, 64, &n), ==, OK);
    g_assert_cmpuint(n, ==, 18);
    g_assert_cmphex(bytes_get_le16(host + DATA + 8), ==, 0x46f4);
    g_assert_cmpuint(control(slot, 0x80, 6, 0x200, 0, 255, &n), ==, OK);
    g_assert_cmpuint(n, ==, bytes_get_le16(host + DATA + 2));
    g_assert_cmpuint(control(slot, 0x80, 6, 0xf00, 0, 255, &n), ==, OK);
    g_assert_cmpuint(n, ==, 22);
    g_assert_cmpuint(control(slot, 0x80, 6, 0x303, 0x409, 255, &n), ==, OK);
    g_assert_cmpmem(host + DATA, n, "\x0a\x03S\0N\0-\0007\0", 10);
    /* A request that the device does not know, and how one goes on. */
    g_assert_cmpuint(control(slot, 0x80, 6, 0x900, 0, 8, NULL), ==, STALL);
    g_assert_cmpuint(command(STOP_EP, 0, slot << 24 | 1 << 16, NULL), ==, STATE_ERROR);
    recover(slot, 1);
    g_assert_cmpuint(control(slot, 0x80, 0, 0, 0, 2, NULL), ==, OK);
    g_assert_cmpuint(bytes_get_le16(host + DATA), ==, 1);
    /* The hub, and what is behind it once its port has power and was reset. */
    slot = configure(2, 0);
    g_assert_cmpuint(control(slot, 0xa0, 6, 0x2900, 0, 71, &n), ==, OK);
    g_assert_cmpuint(host[DATA + 2], ==, 8);
    g_assert_cmpuint(control(slot, 0x23, 3, 8, 5, 0, NULL), ==, OK);
    g_assert_cmpuint(control(slot, 0xa3, 0, 0, 5, 4, NULL), ==, OK);
    g_assert_cmphex(bytes_get_le32(host + DATA), ==, 0x10101);
    g_assert_cmpuint(control(slot, 0x23, 3, 4, 5, 0, NULL), ==, OK);
    g_assert_cmpuint(control(slot, 0xa3, 0, 0, 5, 4, NULL), ==, OK);
    g_assert_cmphex(bytes_get_le32(host + DATA), ==, 0x110503);
    slot = configure(2, 5);
    g_assert_cmpuint(control(slot, 0x81, 6, 0x2200, 0, 255, &n), ==, OK);
    g_assert_cmphex(bytes_get_le32(host + DATA), ==, 0x06090105);
    /* It is gone when the hub is reset. */
    reset_port(2);
    g_assert_cmpuint(control(slot, 0x80, 0, 0, 0, 2, NULL), ==, TRANSACTION);
    g_assert_cmpuint(command(DISABLE_SLOT, 0, slot << 24, NULL), ==, OK);
    machine_free();
}

/* ---- Storage ---- */

enum { DISK_IN = 3, DISK_OUT = 4 };

static unsigned disk_slot;

static unsigned start_disk(void)
{
    driver_start(256);
    reset_port(5);
    disk_slot = configure(5, 0);
    add_ep(disk_slot, DISK_IN, BULK_IN);
    add_ep(disk_slot, DISK_OUT, BULK_OUT);
    return disk_slot;
}

static unsigned disk_new(void)
{
    machine_new();
    add(hw_usb_storage_get_type(), "1");
    machine_start();
    return start_disk();
}

static Event wrapper(uint32_t length, bool in, const uint8_t *cdb, unsigned size)
{
    uint8_t *c = host + DATA - 64;

    memset(c, 0, 31);
    memcpy(c, "USBC", 4);
    bytes_put_le32(c + 4, 0x1234);
    bytes_put_le32(c + 8, length);
    c[12] = in ? 0x80 : 0;
    c[14] = (uint8_t)size;
    memcpy(c + 15, cdb, size);
    return bulk(disk_slot, DISK_OUT, DATA - 64, 31);
}

/* The status wrapper: its status; *@residue (may be NULL). */
static unsigned status(uint32_t *residue)
{
    uint8_t *c = host + DATA - 128;

    g_assert_cmpuint(code_of(bulk(disk_slot, DISK_IN, DATA - 128, 13)), ==, OK);
    g_assert_cmpmem(c, 8, "USBS\x34\x12\0\0", 8);
    if (residue) {
        *residue = bytes_get_le32(c + 8);
    }
    return c[12];
}

/* A command with data to the host at DATA, which has room for @room: bytes that came, or -1: it failed. */
static int get(const uint8_t *cdb, unsigned size, uint32_t room)
{
    uint32_t residue;
    Event e;

    g_assert_cmpuint(code_of(wrapper(room, true, cdb, size)), ==, OK);
    e = bulk(disk_slot, DISK_IN, DATA, room);
    if (code_of(e) == STALL) {
        clear_halt(disk_slot, DISK_IN);
        g_assert_cmpuint(status(&residue), ==, 1);
        g_assert_cmpuint(residue, ==, room);
        return -1;
    }
    g_assert_true(code_of(e) == OK || code_of(e) == SHORT);
    g_assert_cmpuint(status(&residue), ==, 0);
    g_assert_cmpuint(residue, ==, e.status & 0xffffff);
    return (int)(room - residue);
}

static unsigned simple(const uint8_t *cdb, unsigned size)
{
    g_assert_cmpuint(code_of(wrapper(0, false, cdb, size)), ==, OK);
    return status(NULL);
}

static uint32_t sense(void)
{
    const uint8_t cdb[6] = { 0x03, 0, 0, 0, 18 };

    g_assert_cmpint(get(cdb, 6, 18), ==, 18);
    return (uint32_t)(host[DATA + 2] << 16 | host[DATA + 12] << 8 | host[DATA + 13]);
}

static void make_rw(uint8_t *cdb, uint8_t op, uint32_t block, uint16_t n)
{
    memset(cdb, 0, 10);
    cdb[0] = op;
    bytes_put_be32(cdb + 2, block);
    bytes_put_be16(cdb + 7, n);
}

static void ready(void)
{
    const uint8_t tur[6] = { 0 };

    g_assert_cmpuint(simple(tur, 6), ==, 1);
    g_assert_cmphex(sense(), ==, 0x062900);
    g_assert_cmpuint(simple(tur, 6), ==, 0);
}

static void test_scsi(void)
{
    const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 96 }, capacity[10] = { 0x25 };
    const uint8_t capacity_16[16] = { 0x9e, 0x10, [13] = 32 }, luns[12] = { 0xa0, [9] = 16 };
    const uint8_t mode_6[6] = { 0x1a, 0, 0x3f, 0, 192 }, mode_10[10] = { 0x5a, 8, 8, [8] = 100 };
    const uint8_t bad[6] = { 0xff }, sync[10] = { 0x35 },
                  out_of_range[10] = { 0x28, 0, 1, [8] = 1 };
    uint8_t cdb[16] = { 0 };

    disk_new();
    g_assert_cmpint(get(inquiry, 6, 96), ==, 36);
    g_assert_cmpmem(host + DATA + 8, 16, "MENURA  USB disk", 16);
    ready();
    static const struct {
        uint8_t page;
        int size;
    } pages[] = { { 0, 10 }, { 0x80, 8 }, { 0x83, 20 }, { 0xb0, 64 }, { 0xb1, 64 }, { 0xb2, 8 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(pages); i++) {
        const uint8_t vpd[6] = { 0x12, 1, pages[i].page, 0, 255 };

        g_assert_cmpint(get(vpd, 6, 255), ==, pages[i].size);
        g_assert_cmpuint(host[DATA + 1], ==, pages[i].page);
    }
    g_assert_cmpint(get(capacity, 10, 8), ==, 8);
    g_assert_cmpuint(bytes_get_be32(host + DATA), ==, DISK / 512 - 1);
    g_assert_cmpint(get(capacity_16, 16, 32), ==, 32);
    g_assert_cmpuint(bytes_get_be64(host + DATA), ==, DISK / 512 - 1);
    g_assert_cmpint(get(luns, 12, 16), ==, 16);
    g_assert_cmpint(get(mode_6, 6, 192), ==, 4 + 8 + 20 + 12);
    g_assert_cmpint(get(mode_10, 10, 100), ==, 8 + 20);
    g_assert_cmpuint(simple(sync, 10), ==, 0);
    g_assert_cmpuint(simple(bad, 6), ==, 1);
    g_assert_cmphex(sense(), ==, 0x052000);
    g_assert_cmpint(get(out_of_range, 10, 512), ==, -1);
    g_assert_cmphex(sense(), ==, 0x052100);
    for (unsigned i = 0; i < 2; i++) { /* READ (10), READ (12) */
        memset(cdb, 0, sizeof(cdb));
        cdb[0] = i ? 0xa8 : 0x28;
        cdb[5] = 3;
        cdb[i ? 9 : 8] = 2;
        g_assert_cmpint(get(cdb, i ? 12 : 10, 1024), ==, 1024);
        g_assert_cmpuint(host[DATA + 513], ==, (uint8_t)(4 + 513));
    }
    memset(cdb, 0, sizeof(cdb));
    cdb[0] = 0x88;
    cdb[9] = 5;
    cdb[13] = 1;
    g_assert_cmpint(get(cdb, 16, 512), ==, 512);
    g_assert_cmpuint(host[DATA], ==, 5);
    machine_free();
}

/* Data in pieces of all sizes, in chains of TRBs; the same comes back. */
static void test_data(void)
{
    static const uint32_t pieces[] = { 1, 511, 513, 4096, 13, 1000, 1024, 100000, 0 };
    enum { BLOCKS = 256, BYTES = BLOCKS * 512 };
    g_autofree uint8_t *image = g_malloc(BYTES);
    uint8_t cdb[10];
    uint64_t at = 0;
    Ring *r;
    Event e;

    disk_new();
    ready();
    for (unsigned i = 0; i < BYTES; i++) {
        image[i] = host[DATA + i] = (uint8_t)(i * 7 + i / 300);
    }
    make_rw(cdb, 0x2a, 11, BLOCKS);
    cdb[1] = 8; /* FUA */
    g_assert_cmpuint(code_of(wrapper(BYTES, false, cdb, 10)), ==, OK);
    for (unsigned i = 0; at < BYTES; i = (i + 1) % G_N_ELEMENTS(pieces)) {
        uint32_t n = (uint32_t)MIN(pieces[i] ? pieces[i] : 60000, BYTES - at);

        g_assert_cmpuint(code_of(bulk(disk_slot, DISK_OUT, DATA + at, n)), ==, OK);
        at += n;
    }
    g_assert_cmpuint(status(NULL), ==, 0);
    memset(host + DATA, 0, BYTES);
    /* Read in one chain of uneven TRBs, with event data at its end. */
    make_rw(cdb, 0x28, 11, BLOCKS);
    g_assert_cmpuint(code_of(wrapper(BYTES, true, cdb, 10)), ==, OK);
    r = &rings[disk_slot][DISK_IN];
    for (at = 0; at < BYTES; at += 1000) {
        push(r, RAM + DATA + at, (uint32_t)MIN(1000, BYTES - at), NORMAL << 10 | CHAIN);
    }
    push(r, 0x1122334455667788, 0, EVENT_DATA << 10 | IOC);
    ring_bell(disk_slot, DISK_IN);
    e = wait_event(TRANSFER_EVENT);
    g_assert_cmpuint(code_of(e), ==, OK);
    g_assert_true(e.control & 4 && e.param == 0x1122334455667788);
    g_assert_cmpuint(e.status & 0xffffff, ==, BYTES);
    g_assert_cmpuint(status(NULL), ==, 0);
    g_assert_cmpmem(host + DATA, BYTES, image, BYTES);
    /* And by pieces. */
    memset(host + DATA, 0, BYTES);
    g_assert_cmpuint(code_of(wrapper(BYTES, true, cdb, 10)), ==, OK);
    for (at = 0; at < BYTES; at += 700) {
        g_assert_cmpuint(
            code_of(bulk(disk_slot, DISK_IN, DATA + at, (uint32_t)MIN(700, BYTES - at))), ==, OK);
    }
    g_assert_cmpuint(status(NULL), ==, 0);
    g_assert_cmpmem(host + DATA, BYTES, image, BYTES);
    /* A short packet in the middle of a chain, told by the TRB it ended in and by event data. */
    const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 96 };

    g_assert_cmpuint(code_of(wrapper(96, true, inquiry, 6)), ==, OK);
    push(r, RAM + DATA, 20, NORMAL << 10 | CHAIN | ISP);
    push(r, RAM + DATA + 20, 40, NORMAL << 10 | CHAIN | ISP);
    push(r, RAM + DATA + 60, 36, NORMAL << 10 | CHAIN | IOC);
    push(r, 99, 0, EVENT_DATA << 10 | IOC);
    ring_bell(disk_slot, DISK_IN);
    e = wait_event(TRANSFER_EVENT);
    g_assert_cmphex(e.status, ==, SHORT << 24 | 24);
    e = wait_event(TRANSFER_EVENT);
    g_assert_cmphex(e.status, ==, SHORT << 24 | 36);
    g_assert_cmpuint(e.param, ==, 99);
    g_assert_cmpuint(status(NULL), ==, 0);
    machine_free();
}

static void test_unmap(void)
{
    const uint8_t unmap[10] = { 0x42, [8] = 24 };
    uint8_t cdb[10];

    disk_new();
    ready();
    memset(host + DATA, 0, 24);
    bytes_put_be16(host + DATA, 22);
    bytes_put_be16(host + DATA + 2, 16);
    bytes_put_be64(host + DATA + 8, 100);
    bytes_put_be32(host + DATA + 16, 8);
    g_assert_cmpuint(code_of(wrapper(24, false, unmap, 10)), ==, OK);
    g_assert_cmpuint(code_of(bulk(disk_slot, DISK_OUT, DATA, 24)), ==, OK);
    g_assert_cmpuint(status(NULL), ==, 0);
    bytes_put_be32(host + DATA + 16, DISK / 512); /* behind the end */
    g_assert_cmpuint(code_of(wrapper(24, false, unmap, 10)), ==, OK);
    g_assert_cmpuint(code_of(bulk(disk_slot, DISK_OUT, DATA, 24)), ==, STALL);
    clear_halt(disk_slot, DISK_OUT);
    g_assert_cmpuint(status(NULL), ==, 1);
    g_assert_cmphex(sense(), ==, 0x052100);
    make_rw(cdb, 0x28, 0, 1);
    g_assert_cmpint(get(cdb, 10, 512), ==, 512);
    machine_free();
}

static void test_eject(void)
{
    const uint8_t tur[6] = { 0 }, eject[6] = { 0x1b, [4] = 2 }, load[6] = { 0x1b, [4] = 3 };
    const uint8_t prevent[6] = { 0x1e, [4] = 1 }, allow[6] = { 0x1e };
    uint8_t cdb[10];

    removable = true;
    disk_new();
    removable = false;
    ready();
    g_assert_cmpuint(simple(prevent, 6), ==, 0);
    g_assert_cmpuint(simple(eject, 6), ==, 1);
    g_assert_cmphex(sense(), ==, 0x055302);
    g_assert_cmpuint(simple(allow, 6), ==, 0);
    g_assert_cmpuint(simple(eject, 6), ==, 0);
    g_assert_cmpuint(simple(tur, 6), ==, 1);
    g_assert_cmphex(sense(), ==, 0x023a00);
    make_rw(cdb, 0x28, 0, 1);
    g_assert_cmpint(get(cdb, 10, 512), ==, -1);
    g_assert_cmpuint(simple(load, 6), ==, 0);
    g_assert_cmpint(get(cdb, 10, 512), ==, 512);
    machine_free();
}

/* What the host wants to move is not what the disk wants (6.7 of the bulk-only transport); wrappers that are none. */
static void test_mismatches(void)
{
    uint8_t cdb[10];
    uint32_t residue;

    disk_new();
    ready();
    make_rw(cdb, 0x28, 0, 2);
    g_assert_cmpuint(code_of(wrapper(0, false, cdb, 10)), ==, OK); /* case 2 */
    g_assert_cmpuint(status(NULL), ==, 2);
    g_assert_cmpuint(code_of(wrapper(512, true, cdb, 10)), ==, OK); /* 7 */
    g_assert_cmpuint(code_of(bulk(disk_slot, DISK_IN, DATA, 512)), ==, STALL);
    clear_halt(disk_slot, DISK_IN);
    g_assert_cmpuint(status(NULL), ==, 2);
    g_assert_cmpuint(code_of(wrapper(2048, true, cdb, 10)), ==, OK); /* 5 */
    g_assert_cmphex(bulk(disk_slot, DISK_IN, DATA, 2048).status, ==, SHORT << 24 | 1024);
    g_assert_cmpuint(status(&residue), ==, 0);
    g_assert_cmpuint(residue, ==, 1024);
    g_assert_cmpuint(code_of(wrapper(1024, false, cdb, 10)), ==, OK); /* 10 */
    g_assert_cmpuint(code_of(bulk(disk_slot, DISK_OUT, DATA, 1024)), ==, STALL);
    clear_halt(disk_slot, DISK_OUT);
    g_assert_cmpuint(status(NULL), ==, 2);
    /* Nothing goes any more until the reset. */
    g_assert_cmpuint(code_of(bulk(disk_slot, DISK_OUT, DATA, 30)), ==, STALL);
    clear_halt(disk_slot, DISK_OUT);
    g_assert_cmpuint(code_of(bulk(disk_slot, DISK_OUT, DATA, 31)), ==, STALL);
    g_assert_cmpuint(code_of(bulk(disk_slot, DISK_IN, DATA, 13)), ==, STALL);
    g_assert_cmpuint(control(disk_slot, 0x21, 0xff, 0, 0, 0, NULL), ==, OK);
    clear_halt(disk_slot, DISK_OUT);
    clear_halt(disk_slot, DISK_IN);
    g_assert_cmpint(get(cdb, 10, 1024), ==, 1024);
    g_assert_cmpuint(control(disk_slot, 0xa1, 0xfe, 0, 0, 1, NULL), ==, OK);
    g_assert_cmpuint(host[DATA], ==, 0);
    machine_free();
}

/* Resets of all kinds while the disk works; then a good read. */
static void test_resets(void)
{
    uint8_t cdb[10];

    disk_new();
    for (unsigned i = 0; i < 40; i++) {
        ready();
        make_rw(cdb, 0x28, 0, 512);
        g_assert_cmpuint(code_of(wrapper(512 * 512, true, cdb, 10)), ==, OK);
        push(&rings[disk_slot][DISK_IN], RAM + DATA, 60000, NORMAL << 10 | IOC);
        ring_bell(disk_slot, DISK_IN);
        switch (i % 5) {
        case 0:
            reset_port(5);
            break;
        case 1:
            g_assert_cmpuint(command(STOP_EP, 0, disk_slot << 24 | DISK_IN << 16, NULL), ==, OK);
            g_assert_cmpuint(command(RESET_DEVICE, 0, disk_slot << 24, NULL), ==, OK);
            break;
        case 2:
            set_reg(USBCMD, 0);
            g_assert_cmphex(reg(USBSTS) & 1, ==, 1);
            break;
        case 3:
            machine_lock();
            hw_devices_reset();
            machine_unlock();
            place();
            break;
        case 4:
            g_assert_cmpuint(command(DISABLE_SLOT, 0, disk_slot << 24, NULL), ==, OK);
            break;
        }
        start_disk();
    }
    ready();
    make_rw(cdb, 0x28, 7, 1);
    g_assert_cmpint(get(cdb, 10, 512), ==, 512);
    g_assert_cmpuint(host[DATA], ==, 7);
    machine_free();
}

/* ---- States ---- */

static void append_state(HwDevice *dev, void *opaque)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);

    if (dc->state) {
        state_save(dev, dc->state, opaque);
    }
}

static void load_state(HwDevice *dev, void *opaque)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    const uint8_t **at = opaque;
    size_t n = dc->state ? state_size(dc->state) : 0;

    if (!n) {
        return;
    }
    g_assert_true(state_load(dev, dc->state, *at, n, NULL));
    g_assert_true(!dc->post_load || dc->post_load(dev, NULL));
    *at += n;
}

/* A state kept in the middle of a command, loaded when all was reset: the driver does not notice. */
static void test_state(void)
{
    g_autofree uint8_t *memory = g_malloc(RAM_SIZE);
    uint8_t cdb[10];

    disk_new();
    ready();
    make_rw(cdb, 0x28, 0, 4);
    for (uint32_t cut = 0; cut < 2048; cut += 300) {
        g_autoptr(GByteArray) state = g_byte_array_new();
        const uint8_t *at;

        g_assert_cmpuint(code_of(wrapper(2048, true, cdb, 10)), ==, OK);
        if (cut) {
            g_assert_cmpuint(code_of(bulk(disk_slot, DISK_IN, DATA, cut)), ==, OK);
        }
        push(&rings[disk_slot][DISK_IN], RAM + DATA + cut, 2048 - cut, NORMAL << 10 | IOC);
        machine_lock();
        hw_devices_foreach(append_state, state);
        memcpy(memory, host, RAM_SIZE);
        hw_devices_reset();
        memcpy(host, memory, RAM_SIZE);
        at = state->data;
        hw_devices_foreach(load_state, &at);
        machine_unlock();
        g_assert_cmpuint(code_of(wait_event(TRANSFER_EVENT)), ==, OK); /* without a doorbell */
        g_assert_cmpuint(status(NULL), ==, 0);
        for (unsigned i = 0; i < 2048; i++) {
            g_assert_cmpuint(host[DATA + i], ==, (uint8_t)(i / 512 + i));
        }
    }
    machine_free();
}

/* ---- Input ---- */

static void test_keyboard(void)
{
    unsigned slot;

    machine_new();
    add(hw_usb_kbd_get_type(), "1");
    machine_start();
    g_assert_true(input_send_key(0x04, true)); /* nobody listens yet */
    driver_start(256);
    reset_port(1);
    slot = configure(1, 0);
    add_ep(slot, 3, INT_IN);
    push(&rings[slot][3], RAM + DATA, 8, NORMAL << 10 | IOC);
    ring_bell(slot, 3);
    g_assert_true(no_event(5));
    machine_lock();
    input_send_key(input_key_find("shift", 5), true);
    input_send_key(input_key_find("b", 1), true);
    machine_unlock();
    g_assert_cmpuint(code_of(wait_event(TRANSFER_EVENT)), ==, OK);
    g_assert_cmpmem(host + DATA, 8, "\2\0\0\0\0\0\0\0", 8);
    g_assert_cmpuint(code_of(bulk(slot, 3, DATA, 8)), ==, OK);
    g_assert_cmpmem(host + DATA, 8, "\2\0\5\0\0\0\0\0", 8);
    machine_lock();
    for (unsigned i = 0; i < 100; i++) {
        input_send_key((uint8_t)(0x10 + i % 20), i < 50);
    }
    machine_unlock();
    for (unsigned i = 0; i < 32; i++) {
        bulk(slot, 3, DATA, 8);
    }
    /* With idle set the same comes again. */
    g_assert_cmpuint(control(slot, 0x21, 10, 0x100, 0, 0, NULL), ==, OK);
    g_assert_cmpuint(code_of(bulk(slot, 3, DATA, 8)), ==, OK);
    g_assert_cmpuint(code_of(bulk(slot, 3, DATA, 8)), ==, OK);
    host[DATA] = 3;
    g_assert_cmpuint(control(slot, 0x21, 9, 0x200, 0, 1, NULL), ==, OK);
    machine_free();
    g_assert_false(input_send_key(4, true));
}

static void test_pointers(void)
{
    unsigned mouse, tablet;

    machine_new();
    add(hw_usb_mouse_get_type(), "1");
    add(hw_usb_tablet_get_type(), "2");
    machine_start();
    driver_start(256);
    reset_port(1);
    reset_port(2);
    mouse = configure(1, 0);
    tablet = configure(2, 0);
    add_ep(mouse, 3, INT_IN);
    add_ep(tablet, 3, INT_IN);
    machine_lock();
    input_send_buttons(1);
    input_send_move(0x1234, 40000, -1);
    g_assert_true(input_select_pointer(0));
    g_assert_false(input_select_pointer(2));
    input_send_buttons(0);
    input_send_move(200, -1, 0);
    input_send_move(10, -1, 0);
    machine_unlock();
    bulk(tablet, 3, DATA, 8);
    g_assert_cmpmem(host + DATA, 6, "\1\x34\x12\xff\x7f\xff", 6);
    g_assert_true(no_event(2));
    bulk(mouse, 3, DATA, 8);
    g_assert_cmpmem(host + DATA, 4, "\0\x7f\xfe\0", 4);
    bulk(mouse, 3, DATA, 8);
    g_assert_cmpmem(host + DATA, 4, "\0\x53\0\0", 4);
    g_assert_cmpuint(control(mouse, 0x21, 11, 0, 0, 0, NULL), ==, OK);
    g_assert_cmpuint(control(tablet, 0x21, 11, 0, 0, 0, NULL), ==, STALL);
    machine_free();
}

/* ---- Rings ---- */

/* More commands than the event ring has room for: none is lost. */
static void test_event_ring_full(void)
{
    unsigned n = 0;
    Event e;

    machine_new();
    machine_start();
    driver_start(16);
    for (unsigned i = 0; i < 60; i++) {
        push_command(i, COMMAND_NO_OP << 10);
    }
    set_reg(DOORBELL, 0);
    while (n < 60) {
        bool found = false;

        while (take_event(&e)) {
            found = true;
            n += (e.control >> 10 & 63) == COMMAND_EVENT;
        }
        if (found) {
            show_place();
        }
        iterate();
    }
    g_assert_true(no_event(2));
    machine_free();
}

/* A ring of two segments for interrupter 3, whose interrupt is a message. */
static void test_interrupters(void)
{
    enum { TABLE = 0x3100, FIRST = 0x8000, SECOND = 0x9000, PER_RING = 32, MSG = 0x7000, N = 70 };
    const unsigned at = 3 * 0x20, entry = 3 * 16;
    unsigned seen = 0;

    disk_new();
    put_trb(TABLE, RAM + FIRST, 16, 0);
    put_trb(TABLE + 16, RAM + SECOND, 16, 0);
    set_reg(ERSTSZ + at, 2);
    set_reg(ERDP + at, RAM + FIRST);
    set_reg(ERSTBA + at, RAM + TABLE);
    set_reg(IMAN + at, 2);
    for (unsigned i = 0; i < 4; i++) { /* of MSI-X: BAR 2, which is behind the registers */
        memory_store(BAR + 0x10000 + entry + 4 * i, 4, i == 0 ? RAM + MSG : i == 2 ? 0x5a : 0);
    }
    for (unsigned i = 0; i < N; i++) {
        push(&rings[disk_slot][DISK_IN], i, 3u << 22, NO_OP << 10 | IOC);
    }
    ring_bell(disk_slot, DISK_IN);
    while (seen < N) {
        unsigned place_in = seen % PER_RING;
        uint64_t from = (place_in < 16 ? FIRST : SECOND) + place_in % 16 * 16;
        bool cycle = !(seen / PER_RING & 1);

        if ((host[from + 12] & CYCLE) != cycle) {
            iterate();
            continue;
        }
        g_assert_cmpuint(bytes_get_le32(host + from + 12) >> 10 & 63, ==, TRANSFER_EVENT);
        seen++;
        place_in = seen % PER_RING;
        set_reg(ERDP + at,
                (uint32_t)(RAM + (place_in < 16 ? FIRST : SECOND) + place_in % 16 * 16) | 8);
    }
    g_assert_cmpuint(host[MSG], ==, 0x5a);
    g_assert_true(no_event(1)); /* none of it for the first interrupter */
    machine_free();
}

/* Rings without an end: the machine lock comes free, and the driver can stop them. */
static void test_endless(void)
{
    uint64_t base;
    unsigned slot;
    gint64 before = g_get_monotonic_time();
    Event e;

    disk_new();
    slot = disk_slot;
    base = rings[slot][DISK_IN].base;
    for (unsigned i = 0; i < 7; i++) {
        put_trb(base + i * 16, 0, 0, NO_OP << 10 | CYCLE);
    }
    put_trb(base + 7 * 16, RAM + base, 0, LINK << 10 | CYCLE);
    ring_bell(slot, DISK_IN);
    for (unsigned i = 0; i < 10; i++) {
        iterate();
    }
    g_assert_cmpuint(command(STOP_EP, 0, slot << 24 | DISK_IN << 16, NULL), ==, OK);
    put_trb(base, RAM + base, 0, LINK << 10 | CYCLE);
    g_assert_cmpuint(command(SET_DEQUEUE, (RAM + base) | 1, slot << 24 | DISK_IN << 16, NULL), ==,
                     OK);
    ring_bell(slot, DISK_IN);
    /* One descriptor without an end. */
    g_assert_cmpuint(command(STOP_EP, 0, slot << 24 | DISK_IN << 16, NULL), ==, OK);
    put_trb(base, RAM + DATA, 1, NORMAL << 10 | CHAIN | CYCLE);
    put_trb(base + 16, RAM + base, 0, LINK << 10 | CYCLE);
    g_assert_cmpuint(command(SET_DEQUEUE, (RAM + base) | 1, slot << 24 | DISK_IN << 16, NULL), ==,
                     OK);
    ring_bell(slot, DISK_IN);
    e = wait_event(TRANSFER_EVENT);
    g_assert_cmpuint(code_of(e), ==, TRB_ERROR);
    g_assert_cmpint(g_get_monotonic_time() - before, <, 20 * G_USEC_PER_SEC);
    machine_free();
}

static uint64_t random_address(void)
{
    static const uint64_t places[] = { 0, BAR, ECAM, RAM + RAM_SIZE - 8, UINT64_MAX - 7 };

    return g_test_rand_int_range(0, 8) ? RAM + (uint32_t)g_test_rand_int() % RAM_SIZE
                                       : places[g_test_rand_int_range(0, G_N_ELEMENTS(places))];
}

static void random_trb(uint64_t at)
{
    unsigned type = (unsigned)g_test_rand_int_range(0, 34);
    uint64_t param = g_test_rand_bit()
                         ? random_address() & ~15ull
                         : (uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();
    unsigned slot = (unsigned)g_test_rand_int_range(0, 6),
             ep = (unsigned)g_test_rand_int_range(0, 8);

    put_trb(at, param,
            (uint32_t)(g_test_rand_bit() ? g_test_rand_int() : g_test_rand_int_range(0, 600)),
            ((uint32_t)g_test_rand_int() & 0xe3ff) | type << 10 | ep << 16 | slot << 24 | CYCLE);
}

static HwUsbDevice *hot_plug(GType type, const char *port)
{
    HwUsbDevice *dev = HW_USB_DEVICE(hw_device_new(type, NULL));
    HwBus *bus = hw_bus_find(HW_USB_BUS_TYPE, NULL);
    g_autoptr(GError) error = NULL;

    machine_lock();
    dev->parent.bus = bus;
    g_assert_true(hw_device_set_prop(&dev->parent, "port", port, &error));
    if (type == hw_usb_storage_get_type()) {
        g_assert_true(hw_device_set_prop(&dev->parent, "drive", "d", &error));
    }
    g_assert_true(hw_device_realize(&dev->parent, &error));
    hw_device_reset(&dev->parent);
    g_assert_true(bus->plug(bus, &dev->parent, &error));
    g_ptr_array_add(bus->children, dev);
    machine_unlock();
    return dev;
}

static void hot_unplug(HwUsbDevice *dev)
{
    machine_lock();
    hw_usb_unplug(dev);
    machine_unlock();
}

/* Plugs something in, or pulls it out. */
static void random_plug(HwUsbDevice **visitor)
{
    if (*visitor) {
        hot_unplug(*visitor);
        *visitor = NULL;
    } else {
        *visitor = hot_plug(g_test_rand_bit() ? hw_usb_mouse_get_type() : hw_usb_hub_get_type(),
                            g_test_rand_bit() ? "4" : "2.3");
    }
}

static void random_step(void)
{
    static const unsigned regs[] = { CRCR, DCBAAP, CONFIG, ERSTSZ, ERSTBA,
                                     ERDP, IMAN,   USBSTS, PORTSC, PORTSC + 0x40 };

    switch (g_test_rand_int_range(0, 10)) {
    case 0:
        set_reg(regs[g_test_rand_int_range(0, G_N_ELEMENTS(regs))],
                g_test_rand_bit() ? (uint32_t)random_address() : (uint32_t)g_test_rand_int());
        break;
    case 1:
        set_reg(USBCMD, g_test_rand_int_range(0, 20) ? 5 : (uint32_t)g_test_rand_int_range(0, 6));
        break;
    case 2:
    case 3:
        set_reg(DOORBELL + 4 * (unsigned)g_test_rand_int_range(0, 6),
                (uint32_t)g_test_rand_int_range(0, 8));
        break;
    case 4:
        bytes_put_le32(host + (uint32_t)g_test_rand_int() % (DATA / 4) * 4,
                       (uint32_t)g_test_rand_int());
        break;
    case 5:
        show_place();
        iterate();
        break;
    case 6:
        random_trb(COMMANDS + (unsigned)g_test_rand_int_range(0, 64) * 16);
        break;
    default:
        random_trb(RINGS + (uint32_t)g_test_rand_int() % (16 * RING_TRBS) * 16);
        break;
    }
}

static void test_hostile(void)
{
    HwUsbDevice *visitor = NULL;
    uint8_t cdb[10];

    machine_new();
    add(hw_usb_storage_get_type(), "1");
    add(hw_usb_hub_get_type(), "2");
    add(hw_usb_kbd_get_type(), "2.1");
    add(hw_usb_tablet_get_type(), "3");
    machine_start();
    for (unsigned round = 0; round < 60; round++) {
        start_disk();
        reset_port(3);
        add_ep(configure(3, 0), 3, INT_IN);
        for (unsigned i = 0; i < 500; i++) {
            random_step();
            if (i % 32 == 0) {
                random_plug(&visitor);
            }
        }
        while (g_main_context_iteration(NULL, FALSE)) {
            set_reg(USBCMD, 0); /* or a ring without an end goes on for ever */
        }
    }
    set_reg(USBCMD, 2);
    machine_lock();
    hw_devices_reset();
    machine_unlock();
    place();
    start_disk();
    ready();
    make_rw(cdb, 0x28, 7, 1);
    g_assert_cmpint(get(cdb, 10, 512), ==, 512);
    machine_free();
}

/* ---- While the machine runs ---- */

static void assert_port_event(unsigned port, bool there)
{
    g_assert_cmphex(wait_event(PORT_EVENT).param, ==, (uint64_t)port << 24);
    g_assert_cmphex(port_status(port) & 0x20001, ==, there ? 0x20001 : 0x20000); /* CSC, CCS */
    set_reg(PORTSC + (port - 1) * 16, 0x200 | 0xfe0000);
}

static void test_hot_plug(void)
{
    HwUsbDevice *kbd, *hub;
    unsigned slot;

    machine_new();
    kbd = HW_USB_DEVICE(add(hw_usb_kbd_get_type(), "1"));
    machine_start();
    driver_start(256);
    reset_port(1);
    slot = configure(1, 0);
    add_ep(slot, 3, INT_IN);
    push(&rings[slot][3], RAM + DATA, 8, NORMAL << 10 | IOC);
    ring_bell(slot, 3); /* waits for a key */
    g_assert_true(no_event(5));
    for (unsigned i = 0; i < 3; i++) {
        hot_unplug(kbd);
        assert_port_event(1, false);
        g_assert_false(input_send_key(4, true));
        g_assert_cmpuint(command(STOP_EP, 0, slot << 24 | 3 << 16, NULL), ==, OK);
        g_assert_cmpuint(command(DISABLE_SLOT, 0, slot << 24, NULL), ==, OK);
        kbd = hot_plug(hw_usb_kbd_get_type(), "1");
        assert_port_event(1, true);
        reset_port(1);
        slot = configure(1, 0);
        add_ep(slot, 3, INT_IN);
        machine_lock();
        input_send_key(4 + (uint8_t)i, true);
        machine_unlock();
        g_assert_cmpuint(code_of(bulk(slot, 3, DATA, 8)), ==, OK);
        g_assert_cmpuint(host[DATA + 2], ==, 4 + i);
    }
    hub = hot_plug(hw_usb_hub_get_type(), "2"); /* with what is behind it */
    assert_port_event(2, true);
    hot_plug(hw_usb_hub_get_type(), "2.3");
    hot_plug(hw_usb_tablet_get_type(), "2.3.1");
    hot_unplug(hub);
    assert_port_event(2, false);
    hub = hot_plug(hw_usb_hub_get_type(), "2");
    hot_plug(hw_usb_mouse_get_type(), "2.3");
    machine_free();
}

/* A disk is pulled out while it is busy; its drive can be used again. */
static void test_pull_out(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    HwUsbDevice *dev;
    uint8_t cdb[10];

    disk_new();
    dev = HW_USB_DEVICE(g_ptr_array_index(hw_bus_find(HW_USB_BUS_TYPE, NULL)->children, 0));
    ready();
    for (unsigned i = 0; i < 20; i++) {
        make_rw(cdb, 0x28, i, 8);
        wrapper(8 * 512, true, cdb, 10);
        push(&rings[disk_slot][DISK_IN], RAM + DATA, 8 * 512, NORMAL << 10 | IOC);
        ring_bell(disk_slot, DISK_IN);
        hot_unplug(dev);
        while (port_status(5) & 1) {
            iterate();
        }
        g_string_truncate(text, 0);
        hw_usb_print(text);
        g_assert_cmpstr(text->str, ==, "");
        g_assert_cmpuint(command(DISABLE_SLOT, 0, disk_slot << 24, NULL), ==, OK);
        dev = hot_plug(hw_usb_storage_get_type(), "1");
        start_disk();
        ready();
    }
    machine_free();
}

/* ---- Places ---- */

static void refused(HwDevice *dev, const char *port, const char *what)
{
    g_autoptr(GObject) object = G_OBJECT(dev);
    g_autoptr(GError) error = NULL;

    g_assert_true(hw_device_set_prop(dev, "port", port, NULL));
    dev->bus = hw_bus_find(HW_USB_BUS_TYPE, NULL);
    g_assert_true(!hw_device_realize(dev, &error) || !dev->bus->plug(dev->bus, dev, &error));
    g_assert_cmpstr(error->message, ==, what);
}

static void test_places(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    machine_new();
    add(hw_usb_hub_get_type(), "1");
    add(hw_usb_hub_get_type(), "1.1");
    add(hw_usb_hub_get_type(), "1.1.1");
    add(hw_usb_hub_get_type(), "1.1.1.1");
    add(hw_usb_hub_get_type(), "1.1.1.1.1");
    refused(hw_device_new(hw_usb_hub_get_type(), NULL), "1.1.1.1.1.1",
            "usb-hub: port: there cannot be more than 5 hubs behind each other");
    refused(hw_device_new(hw_usb_kbd_get_type(), NULL), "1", "usb-kbd: port: it is taken");
    refused(hw_device_new(hw_usb_kbd_get_type(), NULL), "1.9",
            "usb-kbd: port: there is no such port");
    refused(hw_device_new(hw_usb_storage_get_type(), NULL), "2", "usb-storage: drive= is missing");
    add(hw_usb_kbd_get_type(), "1.1.1.1.1.8");
    hw_usb_print(text);
    g_assert_nonnull(strstr(text->str, "Port 1.1.1.1.1.8, Speed 480 Mb/s, Product USB keyboard"));
    machine_start();
    machine_free();
}

int main(int argc, char **argv)
{
    int status_of_tests;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-usb-XXXXXX", NULL);
    disk = g_build_filename(folder, "disk", NULL);
    host = bare_init(256 << 20, RAM, RAM_SIZE);
    g_test_add_func("/usb/enumeration", test_enumeration);
    g_test_add_func("/usb/scsi", test_scsi);
    g_test_add_func("/usb/data", test_data);
    g_test_add_func("/usb/unmap", test_unmap);
    g_test_add_func("/usb/eject", test_eject);
    g_test_add_func("/usb/mismatches", test_mismatches);
    g_test_add_func("/usb/resets", test_resets);
    g_test_add_func("/usb/state", test_state);
    g_test_add_func("/usb/keyboard", test_keyboard);
    g_test_add_func("/usb/pointers", test_pointers);
    g_test_add_func("/usb/event-ring-full", test_event_ring_full);
    g_test_add_func("/usb/interrupters", test_interrupters);
    g_test_add_func("/usb/endless", test_endless);
    g_test_add_func("/usb/hot-plug", test_hot_plug);
    g_test_add_func("/usb/pull-out", test_pull_out);
    g_test_add_func("/usb/hostile", test_hostile);
    g_test_add_func("/usb/places", test_places);
    status_of_tests = g_test_run();
    g_unlink(disk);
    g_rmdir(folder);
    return status_of_tests;
}
