/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The NVMe controller as a driver sees it: a small driver here sets the controller up behind a PCI host bridge, makes queues and sends commands. Then
 * a driver that writes nonsense into registers, doorbells, queues and commands; afterwards the good one must still get its answers.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "block/block.h"
#include "hw/block/nvme-regs.h"
#include "hw/block/nvme.h"
#include "hw/pci/pci-host-ecam.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "tests/unit/bare.h"

#define RAM_BASE 0x80000000ull
#define BAR0     0x40000000ull
#define MSIX_BAR 0x41000000ull
#define ECAM     0x20000000ull
#define SLOT     (ECAM + 0x8000)

/* In guest memory: queues, then places for commands' data. */
#define RINGS   (RAM_BASE + 0x10000)
#define MESSAGE (RAM_BASE + 0x1000)
#define LIST    (RAM_BASE + 0x80000)
#define DATA    (RAM_BASE + 0x100000)

enum { RAM_SIZE = 8 << 20, DISK = 8 << 20, BLOCK = 512, PAGE = 4096, ADMIN = 16 };
enum { SQE = 64, CQE = 16, RING = 0x8000, ENABLE = 6 << 16 | 4 << 20 | 1, CONTIGUOUS = 1, IRQ = 2 };

static uint8_t *ram_host;
static char *folder, *disk;

/* ---- The controller ---- */

typedef struct Queue {
    uint64_t sq, cq;
    unsigned size, tail, head, n;
    bool phase;
} Queue;

typedef struct Controller {
    HwDevice *host, *dev;
    Irq irq;
    bool level;
    unsigned interrupts;
    Queue admin, io;
} Controller;

static void irq_changed(void *opaque, unsigned n, bool level)
{
    Controller *t = opaque;

    t->interrupts += level && !t->level;
    t->level = level;
}

static uint32_t reg(unsigned offset)
{
    uint64_t value;

    g_assert_cmpint(memory_load(BAR0 + offset, 4, &value), ==, MEM_OK);
    return (uint32_t)value;
}

static void set_reg(unsigned offset, uint32_t value)
{
    g_assert_cmpint(memory_store(BAR0 + offset, 4, value), ==, MEM_OK);
}

static void set_address(unsigned offset, uint64_t value)
{
    set_reg(offset, (uint32_t)value);
    set_reg(offset + 4, (uint32_t)(value >> 32));
}

static uint8_t *host(uint64_t addr)
{
    g_assert_cmphex(addr - RAM_BASE, <, RAM_SIZE);
    return ram_host + (addr - RAM_BASE);
}

static void put(uint64_t addr, uint64_t value, unsigned size)
{
    value = GUINT64_TO_LE(value);
    memcpy(host(addr), &value, size);
}

static uint64_t get(uint64_t addr, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, host(addr), size);
    return GUINT64_FROM_LE(value);
}

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at / BLOCK * 7 + at % BLOCK + at / 65536);
}

static void make_disk(void)
{
    g_autofree uint8_t *data = g_malloc(DISK);

    for (unsigned i = 0; i < DISK; i++) {
        data[i] = pattern(i);
    }
    g_assert_true(g_file_set_contents(disk, (const char *)data, DISK, NULL));
}

static void place_bars(void)
{
    memory_store(SLOT + PCI_BASE_ADDRESS_0, 4, BAR0);
    memory_store(SLOT + PCI_BASE_ADDRESS_0 + 4, 4, 0);
    memory_store(SLOT + PCI_BASE_ADDRESS_0 + 16, 4, MSIX_BAR);
    memory_store(SLOT + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static HwDevice *new_nvme(const char *const *props)
{
    HwDevice *dev = hw_device_new(hw_nvme_get_type(), "n");
    g_autoptr(GError) error = NULL;

    dev->bus = hw_bus_find(HW_PCI_BUS_TYPE, NULL);
    g_assert_true(hw_device_set_prop(dev, "drive", "d", &error));
    for (; *props; props += 2) {
        g_assert_true(hw_device_set_prop(dev, props[0], props[1], &error));
    }
    return dev;
}

static Controller *controller_new(BlockOptions options, const char *const *props)
{
    const HwPciHostMap map = { ECAM,       1 << 20, 0x21000000,     1 << 16,
                               0x40000000, 1 << 28, 0x100000000ull, 1 << 28 };
    static const char *const serial[] = { "serial", "SN-1", NULL };
    Controller *t = g_new0(Controller, 1);
    g_autoptr(GError) error = NULL;
    HwBus *bus;

    make_disk();
    options.id = "d";
    options.file = disk;
    machine_lock();
    g_assert_nonnull(block_open(&options, &error));
    t->host = hw_pci_host_ecam_new(&map);
    g_assert_true(hw_device_realize(t->host, &error));
    hw_pci_host_ecam_map(t->host);
    irq_init(&t->irq, irq_changed, t, 0);
    for (unsigned i = 0; i < 4; i++) {
        hw_device_connect_irq(t->host, i, &t->irq, i + 1);
    }
    t->dev = new_nvme(props ? props : serial);
    g_assert_true(hw_device_realize(t->dev, &error));
    bus = t->dev->bus;
    g_assert_true(bus->plug(bus, t->dev, &error));
    g_ptr_array_add(bus->children, t->dev);
    memory_commit();
    hw_devices_reset();
    machine_unlock();
    place_bars();
    return t;
}

static void controller_free(Controller *t)
{
    machine_lock();
    g_object_unref(t->host);
    memory_commit();
    block_close_all();
    machine_unlock();
    g_free(t);
}

/* ---- The driver ---- */

static void place_queue(Queue *q, unsigned n, unsigned size)
{
    *q = (Queue){ .sq = RINGS + n * RING * 3,
                  .cq = RINGS + n * RING * 3 + 2 * RING,
                  .size = size,
                  .n = n,
                  .phase = true };
    memset(host(q->sq), 0, 3 * RING);
}

static void start(Controller *t)
{
    set_reg(NVME_REG_CC, 0);
    g_assert_cmphex(reg(NVME_REG_CSTS), ==, 0);
    place_queue(&t->admin, 0, ADMIN);
    set_reg(NVME_REG_AQA, (ADMIN - 1) | (ADMIN - 1) << 16);
    set_address(NVME_REG_ASQ, t->admin.sq);
    set_address(NVME_REG_ACQ, t->admin.cq);
    set_reg(NVME_REG_CC, ENABLE);
    g_assert_cmphex(reg(NVME_REG_CSTS), ==, NVME_CSTS_RDY);
}

typedef struct Command {
    uint32_t opcode, nsid;
    uint64_t prp1, prp2;
    uint32_t d10, d11, d12, d13;
} Command;

/* Puts a command into the queue without ringing. */
static void add(Queue *q, const Command *c, unsigned cid)
{
    uint64_t at = q->sq + q->tail * SQE;

    memset(host(at), 0, SQE);
    put(at, c->opcode | cid << 16, 4);
    put(at + 4, c->nsid, 4);
    put(at + 24, c->prp1, 8);
    put(at + 32, c->prp2, 8);
    put(at + 40, c->d10, 4);
    put(at + 44, c->d11, 4);
    put(at + 48, c->d12, 4);
    put(at + 52, c->d13, 4);
    q->tail = (q->tail + 1) % q->size;
}

static void ring(const Queue *q)
{
    set_reg(NVME_REG_DOORBELLS + 8 * q->n, q->tail);
}

static bool is_answered(const Queue *q)
{
    uint32_t last = __atomic_load_n((uint32_t *)host(q->cq + q->head * CQE + 12), __ATOMIC_ACQUIRE);

    return (GUINT32_FROM_LE(last) >> 16 & 1) == q->phase;
}

typedef struct Answer {
    uint32_t result;
    uint16_t sq, cid, status;
} Answer;

/* The next answer, which stays in the queue for the device. */
static Answer take(Queue *q)
{
    uint64_t at = q->cq + q->head * CQE;
    Answer a;

    for (unsigned i = 0; !is_answered(q); i++) {
        g_assert_cmpuint(i, <, 100000);
        while (g_main_context_iteration(NULL, FALSE)) {}
        g_usleep(i < 100 ? 10 : 200);
    }
    a = (Answer){ (uint32_t)get(at, 4), (uint16_t)get(at + 10, 2), (uint16_t)get(at + 12, 2),
                  (uint16_t)(get(at + 14, 2) >> 1) };
    q->head = (q->head + 1) % q->size;
    q->phase ^= !q->head;
    return a;
}

static void acknowledge(const Queue *q)
{
    set_reg(NVME_REG_DOORBELLS + 8 * q->n + 4, q->head);
}

static Answer do_command(Queue *q, Command c)
{
    static unsigned cid;
    Answer a;

    cid = (cid + 1) % 0x8000;
    add(q, &c, cid);
    ring(q);
    a = take(q);
    acknowledge(q);
    g_assert_cmpuint(a.cid, ==, cid);
    return a;
}

static unsigned status_of(Queue *q, Command c)
{
    return do_command(q, c).status;
}

static void make_io_queue(Controller *t, unsigned size)
{
    place_queue(&t->io, 1, size);
    g_assert_cmphex(status_of(&t->admin, (Command){ .opcode = NVME_CREATE_CQ,
                                                    .prp1 = t->io.cq,
                                                    .d10 = 1 | (size - 1) << 16,
                                                    .d11 = CONTIGUOUS | IRQ }),
                    ==, NVME_OK);
    g_assert_cmphex(status_of(&t->admin, (Command){ .opcode = NVME_CREATE_SQ,
                                                    .prp1 = t->io.sq,
                                                    .d10 = 1 | (size - 1) << 16,
                                                    .d11 = CONTIGUOUS | 1 << 16 }),
                    ==, NVME_OK);
}

static Controller *running(BlockOptions options, const char *const *props)
{
    Controller *t = controller_new(options, props);

    start(t);
    make_io_queue(t, 64);
    return t;
}

/* Of @n blocks, data at DATA + @offset in pages that follow each other. */
static Command transfer(unsigned opcode, uint64_t block, unsigned n, unsigned offset)
{
    uint64_t first = DATA + offset, bytes = (uint64_t)n * BLOCK;
    uint64_t second = (first | (PAGE - 1)) + 1, end = first + bytes;
    Command c = { opcode, 1, first, second, (uint32_t)block, (uint32_t)(block >> 32), n - 1, 0 };

    if (end > second + PAGE) {
        uint64_t at = LIST, page = second;

        for (unsigned i = 1; page < end; i++, at += 8) {
            if (!(i % (PAGE / 8)) && page + PAGE < end) {
                put(at, at + 8, 8); /* this page of the list is full */
                at += 8;
                i++;
            }
            put(at, page, 8);
            page += PAGE;
        }
        c.prp2 = LIST;
    }
    return c;
}

static void assert_data(unsigned offset, uint64_t at, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        if (*host(DATA + offset + i) != pattern(at + i)) {
            g_error("byte %u of %u is %#x, expected %#x", i, bytes, *host(DATA + offset + i),
                    pattern(at + i));
        }
    }
}

static void assert_disk(uint64_t at, const void *data, size_t n)
{
    g_autofree char *all = NULL;
    gsize len;

    g_assert_true(g_file_get_contents(disk, &all, &len, NULL));
    g_assert_cmpmem(all + at, n, data, n);
}

/* A command that must work. */
static void check_alive(Controller *t)
{
    memset(host(DATA), 0, BLOCK);
    g_assert_cmphex(status_of(&t->io, transfer(NVME_READ, 100, 1, 0)), ==, NVME_OK);
    assert_data(0, 100 * BLOCK, BLOCK);
}

/* ---- Admin commands ---- */

static unsigned identify(Controller *t, unsigned cns, uint32_t nsid)
{
    memset(host(DATA), 0xff, PAGE);
    return status_of(&t->admin,
                     (Command){ .opcode = NVME_IDENTIFY, .nsid = nsid, .prp1 = DATA, .d10 = cns });
}

static void test_identify(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);

    g_assert_cmphex(reg(NVME_REG_VS), ==, 0x10400);
    g_assert_cmphex(reg(NVME_REG_CAP) & 0xffff, ==, 2047);
    g_assert_cmphex(identify(t, 1, 0), ==, NVME_OK);
    g_assert_cmpmem(host(DATA + 4), 20, "SN-1                ", 20);
    g_assert_cmpuint(*host(DATA + 77), ==, 7);
    g_assert_cmpuint(get(DATA + 516, 4), ==, 1);
    g_assert_cmpmem(host(DATA + 768), 32, "nqn.2014-08.org.nvmexpress:uuid:", 32);
    g_assert_cmphex(identify(t, 0, 1), ==, NVME_OK);
    g_assert_cmpuint(get(DATA, 8), ==, DISK / BLOCK);
    g_assert_cmpuint(*host(DATA + 130), ==, 9);
    g_assert_cmphex(identify(t, 0, 2), ==, NVME_INVALID_NAMESPACE);
    g_assert_cmphex(identify(t, 2, 0), ==, NVME_OK);
    g_assert_cmphex(get(DATA, 8), ==, 1);
    g_assert_cmphex(identify(t, 2, 1), ==, NVME_OK);
    g_assert_cmphex(get(DATA, 8), ==, 0);
    g_assert_cmphex(identify(t, 3, 1), ==, NVME_OK);
    g_assert_cmphex(get(DATA, 2), ==, 0x1003);
    g_assert_cmphex(identify(t, 0x99, 1), ==, NVME_INVALID_FIELD);
    g_assert_cmphex(status_of(&t->admin, (Command){ .opcode = 0x7f }), ==, NVME_INVALID_OPCODE);
    controller_free(t);
}

static unsigned create(Controller *t, unsigned opcode, unsigned id, unsigned size, unsigned d11,
                       uint64_t addr)
{
    return status_of(
        &t->admin,
        (Command){ .opcode = opcode, .prp1 = addr, .d10 = id | (size - 1) << 16, .d11 = d11 });
}

static void test_queues(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);
    uint64_t at = DATA;

    g_assert_cmphex(create(t, NVME_CREATE_CQ, 0, 16, 1, at), ==, NVME_INVALID_QUEUE_ID);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 1, 16, 1, at), ==, NVME_INVALID_QUEUE_ID);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 65, 16, 1, at), ==, NVME_INVALID_QUEUE_ID);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 2, 1, 1, at), ==, NVME_INVALID_QUEUE_SIZE);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 2, 2049, 1, at), ==, NVME_INVALID_QUEUE_SIZE);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 2, 16, 0, at), ==, NVME_INVALID_FIELD);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 2, 16, 3 | 1 << 16, at), ==, NVME_INVALID_VECTOR);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 2, 16, 1, at + 8), ==, NVME_INVALID_PRP_OFFSET);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 2, 16, 1, BAR0), ==, NVME_INVALID_FIELD);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 2, 2048, 1, RAM_BASE + RAM_SIZE - PAGE), ==,
                    NVME_INVALID_FIELD);
    g_assert_cmphex(create(t, NVME_CREATE_SQ, 2, 16, 1 | 2 << 16, at), ==, NVME_INVALID_CQ);
    g_assert_cmphex(create(t, NVME_CREATE_SQ, 2, 16, 1 | 0 << 16, at), ==, NVME_INVALID_CQ);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 2, 16, 1, at), ==, NVME_OK);
    g_assert_cmphex(create(t, NVME_CREATE_SQ, 64, 16, 1 | 2 << 16, at + PAGE), ==, NVME_OK);
    g_assert_cmphex(create(t, NVME_DELETE_CQ, 2, 1, 0, 0), ==, NVME_INVALID_QUEUE_DELETION);
    g_assert_cmphex(create(t, NVME_DELETE_SQ, 64, 1, 0, 0), ==, NVME_OK);
    g_assert_cmphex(create(t, NVME_DELETE_SQ, 64, 1, 0, 0), ==, NVME_INVALID_QUEUE_ID);
    g_assert_cmphex(create(t, NVME_DELETE_CQ, 2, 1, 0, 0), ==, NVME_OK);
    g_assert_cmphex(create(t, NVME_DELETE_CQ, 0, 1, 0, 0), ==, NVME_INVALID_QUEUE_ID);
    check_alive(t);
    controller_free(t);
}

static void fail_to_start(uint32_t aqa, uint64_t asq, uint64_t acq, uint32_t cc)
{
    set_reg(NVME_REG_CC, 0);
    set_reg(NVME_REG_AQA, aqa);
    set_address(NVME_REG_ASQ, asq);
    set_address(NVME_REG_ACQ, acq);
    set_reg(NVME_REG_CC, cc);
    g_assert_cmphex(reg(NVME_REG_CSTS), ==, NVME_CSTS_CFS);
    set_reg(NVME_REG_DOORBELLS, 1);
}

static void test_start(void)
{
    Controller *t = controller_new((BlockOptions){ 0 }, NULL);
    uint32_t aqa = 15 | 15 << 16;

    fail_to_start(15, RINGS, RINGS, ENABLE);
    fail_to_start(15 << 16, RINGS, RINGS, ENABLE);
    fail_to_start(aqa, 0, RINGS, ENABLE);
    fail_to_start(aqa, RINGS, BAR0, ENABLE);
    fail_to_start(aqa, RINGS, RAM_BASE + RAM_SIZE, ENABLE);
    fail_to_start(aqa, RINGS, RINGS, ENABLE | 7 << NVME_CC_MPS_SHIFT);
    fail_to_start(aqa, RINGS, RINGS, ENABLE | 1 << 4);
    start(t);
    make_io_queue(t, 64);
    check_alive(t);
    set_reg(NVME_REG_CC, ENABLE | 1 << 14);
    for (unsigned i = 0; (reg(NVME_REG_CSTS) & NVME_CSTS_SHST) != NVME_CSTS_SHST_DONE; i++) {
        g_assert_cmpuint(i, <, 10000);
        g_usleep(100);
    }
    start(t);
    controller_free(t);
}

static unsigned features(Controller *t, unsigned opcode, unsigned d10, unsigned d11, uint32_t *out)
{
    Answer a = do_command(&t->admin, (Command){ .opcode = opcode, .d10 = d10, .d11 = d11 });

    *out = a.result;
    return a.status;
}

static void test_features(void)
{
    Controller *t = controller_new((BlockOptions){ 0 }, NULL);
    enum { GET = NVME_GET_FEATURES, SET = NVME_SET_FEATURES };
    uint32_t value;

    start(t);
    g_assert_cmphex(features(t, SET, NVME_FEATURE_QUEUES, 3 | 3 << 16, &value), ==, NVME_OK);
    g_assert_cmphex(value, ==, 0x3f003f);
    g_assert_cmphex(features(t, SET, NVME_FEATURE_QUEUES, 0xffff, &value), ==, NVME_INVALID_FIELD);
    make_io_queue(t, 64);
    g_assert_cmphex(features(t, SET, NVME_FEATURE_QUEUES, 3, &value), ==, NVME_SEQUENCE_ERROR);
    g_assert_cmphex(features(t, GET, NVME_FEATURE_WRITE_CACHE, 0, &value), ==, NVME_OK);
    g_assert_cmphex(value, ==, 1);
    g_assert_cmphex(features(t, SET, NVME_FEATURE_WRITE_CACHE, 0, &value), ==, NVME_OK);
    g_assert_cmphex(features(t, GET, NVME_FEATURE_WRITE_CACHE, 0, &value), ==, NVME_OK);
    g_assert_cmphex(value, ==, 0);
    g_assert_cmphex(features(t, GET, NVME_FEATURE_WRITE_CACHE | 1 << 8, 0, &value), ==, NVME_OK);
    g_assert_cmphex(value, ==, 1);
    g_assert_cmphex(status_of(&t->io, transfer(NVME_WRITE, 0, 8, 0)), ==, NVME_OK);
    g_assert_cmphex(features(t, GET, NVME_FEATURE_WRITE_CACHE | 3 << 8, 0, &value), ==, NVME_OK);
    g_assert_cmphex(value, ==, 4);
    g_assert_cmphex(features(t, SET, NVME_FEATURE_WRITE_CACHE | 1u << 31, 1, &value), ==,
                    NVME_FEATURE_NOT_SAVEABLE);
    g_assert_cmphex(features(t, SET, NVME_FEATURE_POWER, 1, &value), ==, NVME_INVALID_FIELD);
    g_assert_cmphex(features(t, SET, NVME_FEATURE_VECTOR, 3 | 1 << 16, &value), ==, NVME_OK);
    g_assert_cmphex(features(t, GET, NVME_FEATURE_VECTOR, 3, &value), ==, NVME_OK);
    g_assert_cmphex(value, ==, 3 | 1 << 16);
    g_assert_cmphex(features(t, GET, NVME_FEATURE_VECTOR, 65, &value), ==, NVME_INVALID_FIELD);
    g_assert_cmphex(features(t, SET, NVME_FEATURE_TEMPERATURE, 200 | 1 << 20, &value), ==, NVME_OK);
    g_assert_cmphex(features(t, GET, NVME_FEATURE_TEMPERATURE, 1 << 20, &value), ==, NVME_OK);
    g_assert_cmphex(value, ==, 200);
    g_assert_cmphex(features(t, GET, 0x42, 0, &value), ==, NVME_INVALID_FIELD);
    start(t);
    g_assert_cmphex(features(t, GET, NVME_FEATURE_WRITE_CACHE, 0, &value), ==, NVME_OK);
    g_assert_cmphex(value, ==, 1);
    controller_free(t);
}

static unsigned read_log(Controller *t, unsigned log, unsigned bytes, unsigned offset)
{
    memset(host(DATA), 0xff, PAGE);
    return status_of(&t->admin, (Command){ .opcode = NVME_GET_LOG_PAGE,
                                           .nsid = UINT32_MAX,
                                           .prp1 = DATA,
                                           .prp2 = DATA + PAGE,
                                           .d10 = log | (bytes / 4 - 1) << 16,
                                           .d12 = offset });
}

static void test_logs(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);

    check_alive(t);
    g_assert_cmphex(read_log(t, NVME_LOG_SMART, 512, 0), ==, NVME_OK);
    g_assert_cmpuint(get(DATA + 64, 8), ==, 1);
    g_assert_cmpuint(get(DATA + 32, 8), ==, 1);
    g_assert_cmpuint(get(DATA + 176, 8), ==, 0);
    g_assert_cmphex(status_of(&t->io, transfer(NVME_READ, DISK / BLOCK, 1, 0)), ==, NVME_LBA_RANGE);
    g_assert_cmphex(read_log(t, NVME_LOG_ERROR, 64, 0), ==, NVME_OK);
    g_assert_cmpuint(get(DATA, 8), ==, 1);
    g_assert_cmpuint(get(DATA + 8, 2), ==, 1);
    g_assert_cmphex(get(DATA + 12, 2), ==, (uint16_t)(NVME_LBA_RANGE << 1));
    g_assert_cmphex(read_log(t, NVME_LOG_EFFECTS, 8192, 0), ==, NVME_OK);
    g_assert_cmphex(get(DATA + 1024, 4), ==, 1);
    g_assert_cmphex(read_log(t, NVME_LOG_FIRMWARE, 4, 8), ==, NVME_OK);
    g_assert_cmpmem(host(DATA), 4, "1.0 ", 4);
    g_assert_cmphex(read_log(t, NVME_LOG_FIRMWARE, 4, 512), ==, NVME_INVALID_FIELD);
    g_assert_cmphex(read_log(t, 0x42, 4, 0), ==, NVME_INVALID_LOG_PAGE);
    controller_free(t);
}

static void test_events(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);
    uint32_t value;
    Answer a;

    for (unsigned i = 0; i < 4; i++) {
        add(&t->admin, &(Command){ .opcode = NVME_ASYNC_EVENT }, 0x1000 + i);
    }
    ring(&t->admin);
    g_assert_cmphex(status_of(&t->admin, (Command){ .opcode = NVME_ASYNC_EVENT }), ==,
                    NVME_TOO_MANY_EVENTS);
    set_reg(NVME_REG_DOORBELLS + 8 * 30, 1);
    a = take(&t->admin);
    acknowledge(&t->admin);
    g_assert_cmphex(a.result, ==, 0x10000);
    set_reg(NVME_REG_DOORBELLS + 8, 64); /* only after the log was read */
    g_assert_false(is_answered(&t->admin));
    add(&t->admin, &(Command){ NVME_GET_LOG_PAGE, 0, DATA, 0, NVME_LOG_ERROR, 0, 0, 0 }, 7);
    ring(&t->admin);
    a = take(&t->admin);
    g_assert_cmphex(a.result, ==, 0x10100);
    g_assert_cmpuint(take(&t->admin).cid, ==, 7);
    acknowledge(&t->admin);
    features(t, NVME_SET_FEATURES, NVME_FEATURE_EVENTS, 0xff, &value);
    add(&t->admin, &(Command){ NVME_SET_FEATURES, 0, 0, 0, NVME_FEATURE_TEMPERATURE, 300, 0, 0 },
        8);
    ring(&t->admin);
    a = take(&t->admin);
    g_assert_cmphex(a.result, ==, 0x20101);
    g_assert_cmpuint(take(&t->admin).cid, ==, 8);
    acknowledge(&t->admin);
    start(t);
    controller_free(t);
}

/* ---- I/O ---- */

static void test_data(void)
{
    static const char *const large[] = { "serial", "x", "mdts", "10", NULL };
    static const unsigned sizes[] = { 1, 8, 9, 16, 17, 64, 4200, 8192 };
    Controller *t = running((BlockOptions){ 0 }, large);

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        for (unsigned offset = 0; offset < PAGE; offset += 1020) {
            unsigned bytes = sizes[i] * BLOCK;
            Command c = transfer(NVME_READ, 5 + i, sizes[i], offset);

            memset(host(DATA), 0, bytes + PAGE);
            g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
            assert_data(offset, (5 + i) * BLOCK, bytes);
            c.opcode = NVME_COMPARE;
            g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
            *host(DATA + offset + bytes - 1) ^= 1;
            g_assert_cmphex(status_of(&t->io, c), ==, NVME_COMPARE_FAILURE);
            c.opcode = NVME_WRITE;
            c.d12 |= i & 1 ? NVME_RW_FUA : 0;
            g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
            assert_disk((5 + i) * BLOCK, host(DATA + offset), bytes);
            *host(DATA + offset + bytes - 1) ^= 1;
            g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
        }
    }
    g_assert_cmphex(status_of(&t->io, transfer(NVME_READ, 0, 8193, 0)), ==, NVME_INVALID_FIELD);
    controller_free(t);
}

static void test_no_data(void)
{
    static const uint8_t zeroes[16 * BLOCK];
    Controller *t = running((BlockOptions){ .discard = true }, NULL);
    Command c = { .opcode = NVME_WRITE_ZEROES, .nsid = 1, .d10 = 40, .d12 = 15 | NVME_RW_FUA };

    g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
    assert_disk(40 * BLOCK, zeroes, sizeof(zeroes));
    c.d10 = DISK / BLOCK - 15;
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_LBA_RANGE);
    memset(host(DATA), 0, 32);
    put(DATA + 4, 16, 4);
    put(DATA + 8, 1024, 8);
    put(DATA + 24, 2000, 8); /* of no blocks */
    c = (Command){ .opcode = NVME_DATASET, .nsid = 1, .prp1 = DATA, .d10 = 1, .d11 = 4 };
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
    assert_disk(1024 * BLOCK, zeroes, sizeof(zeroes));
    put(DATA + 20, 1, 4);
    put(DATA + 24, DISK / BLOCK, 8);
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_LBA_RANGE);
    c = (Command){ .opcode = NVME_FLUSH, .nsid = UINT32_MAX };
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
    c.nsid = 3;
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_INVALID_NAMESPACE);
    c = transfer(NVME_READ, 8, 8, 0);
    c.d12 |= NVME_RW_FUA;
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
    assert_data(0, 8 * BLOCK, 8 * BLOCK);
    g_assert_cmphex(status_of(&t->admin, (Command){ .opcode = NVME_FORMAT, .nsid = 1, .d10 = 1 }),
                    ==, NVME_INVALID_FORMAT);
    g_assert_cmphex(status_of(&t->admin, (Command){ .opcode = NVME_FORMAT, .nsid = 1 }), ==,
                    NVME_OK);
    assert_disk(DISK - sizeof(zeroes), zeroes, sizeof(zeroes));
    controller_free(t);
}

static void test_mistakes(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);
    static const uint64_t nowhere[] = { 0, BAR0, MSIX_BAR, RAM_BASE + RAM_SIZE, UINT64_MAX - 4095 };
    Command c = transfer(NVME_READ, 0, 8, 2);

    g_assert_cmphex(status_of(&t->io, c), ==, NVME_INVALID_PRP_OFFSET);
    c = transfer(NVME_READ, 0, 16, 0);
    c.prp2 += 8;
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_INVALID_PRP_OFFSET);
    for (unsigned i = 0; i < G_N_ELEMENTS(nowhere); i++) {
        c = transfer(NVME_READ, 0, 8, 0);
        c.prp1 = nowhere[i];
        g_assert_cmphex(status_of(&t->io, c), ==, NVME_DATA_TRANSFER_ERROR);
        c = transfer(NVME_WRITE, 0, 16, 0);
        c.prp2 = nowhere[i];
        g_assert_cmphex(status_of(&t->io, c), ==, NVME_DATA_TRANSFER_ERROR);
        c = transfer(NVME_WRITE, 0, 64, 0);
        c.prp2 = nowhere[i];
        g_assert_cmphex(status_of(&t->io, c), ==, NVME_DATA_TRANSFER_ERROR);
        c = transfer(NVME_WRITE, 0, 64, 0);
        put(LIST + 16, nowhere[i], 8);
        g_assert_cmphex(status_of(&t->io, c), ==, NVME_DATA_TRANSFER_ERROR);
    }
    c = transfer(NVME_READ, 0, 64, 0);
    c.prp2 = LIST + PAGE - 8; /* a list that leads to itself is not aligned */
    put(LIST + PAGE - 8, LIST + PAGE - 8, 8);
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_INVALID_PRP_OFFSET);
    c = transfer(NVME_READ, 0, 1, 0);
    c.opcode |= 0x100; /* fused */
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_INVALID_FIELD);
    c.opcode = NVME_READ | 0x4000; /* SGL */
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_INVALID_FIELD);
    g_assert_cmphex(status_of(&t->io, (Command){ .opcode = 0x55, .nsid = 1 }), ==,
                    NVME_INVALID_OPCODE);
    g_assert_cmphex(status_of(&t->io, transfer(NVME_READ, UINT64_MAX, 1, 0)), ==, NVME_LBA_RANGE);
    g_assert_cmphex(status_of(&t->io, transfer(NVME_READ, 0, 1025, 0)), ==, NVME_INVALID_FIELD);
    check_alive(t);
    controller_free(t);
}

static void test_readonly(void)
{
    Controller *t = running((BlockOptions){ .readonly = true }, NULL);

    g_assert_cmphex(identify(t, 0, 1), ==, NVME_OK);
    g_assert_cmpuint(*host(DATA + 99), ==, 1);
    g_assert_cmphex(status_of(&t->io, transfer(NVME_WRITE, 0, 1, 0)), ==, NVME_WRITE_PROTECTED);
    g_assert_cmphex(status_of(&t->io, (Command){ .opcode = NVME_WRITE_ZEROES, .nsid = 1 }), ==,
                    NVME_WRITE_PROTECTED);
    g_assert_cmphex(status_of(&t->admin, (Command){ .opcode = NVME_FORMAT, .nsid = 1 }), ==,
                    NVME_WRITE_PROTECTED);
    g_assert_cmphex(status_of(&t->io, (Command){ .opcode = NVME_FLUSH, .nsid = 1 }), ==, NVME_OK);
    check_alive(t);
    controller_free(t);
}

/* What the host cannot write is an error for the driver, and no end. */
static void test_host_error(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);
    struct rlimit before, none = { 0, 0 };

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    none.rlim_max = before.rlim_max;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &none), ==, 0);
    g_assert_cmphex(status_of(&t->io, transfer(NVME_WRITE, 0, 1, 0)), ==, NVME_WRITE_FAULT);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    check_alive(t);
    controller_free(t);
}

static void test_large_blocks(void)
{
    static const char *const props[] = {
        "serial", "x", "logical_block_size", "4096", "physical_block_size", "8192", NULL
    };
    Controller *t = running((BlockOptions){ 0 }, props);
    Command c = { .opcode = NVME_READ, .nsid = 1, .prp1 = DATA, .d10 = 3 };

    g_assert_cmphex(identify(t, 0, 1), ==, NVME_OK);
    g_assert_cmpuint(get(DATA, 8), ==, DISK / 4096);
    g_assert_cmpuint(*host(DATA + 130), ==, 12);
    g_assert_cmpuint(get(DATA + 64, 2), ==, 1);
    g_assert_cmphex(status_of(&t->io, c), ==, NVME_OK);
    assert_data(0, 3 * 4096, 4096);
    controller_free(t);
}

/* ---- Queues at their limits, interrupts, reset ---- */

/* A completion queue with one free entry: commands wait in theirs. */
static void test_full_queue(void)
{
    Controller *t = controller_new((BlockOptions){ 0 }, NULL);
    Queue q = { .sq = DATA + 0x100000, .cq = DATA + 0x110000, .size = 2, .n = 1, .phase = true };

    start(t);
    memset(host(q.cq), 0, PAGE);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 1, 2, CONTIGUOUS, q.cq), ==, NVME_OK);
    g_assert_cmphex(create(t, NVME_CREATE_SQ, 1, 64, CONTIGUOUS | 1 << 16, q.sq), ==, NVME_OK);
    q.size = 64;
    for (unsigned i = 0; i < 20; i++) {
        Command c = transfer(i % 2 ? NVME_WRITE : NVME_READ, 0, 1, 0);

        add(&q, &c, i);
    }
    ring(&q);
    q.size = 2;
    for (unsigned i = 0; i < 20; i++) {
        Answer a = take(&q);

        g_assert_cmpuint(a.cid, ==, i);
        g_assert_cmphex(a.status, ==, NVME_OK);
        g_usleep(200);
        g_assert_false(is_answered(&q));
        acknowledge(&q);
    }
    controller_free(t);
}

static void test_deep_queue(void)
{
    enum { N = 500, ROUNDS = 5 };
    Controller *t = controller_new((BlockOptions){ 0 }, NULL);

    start(t);
    make_io_queue(t, 512);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < N; i++) {
            Command c = transfer(i % 3 ? NVME_READ : NVME_WRITE, i * 8, 8, 0);

            c.prp1 = DATA + i * PAGE;
            memset(host(c.prp1), (int)(i + round), PAGE);
            add(&t->io, &c, i);
        }
        ring(&t->io);
        for (unsigned i = 0; i < N; i++) {
            g_assert_cmphex(take(&t->io).status, ==, NVME_OK);
            if (i % 100 == 99) {
                acknowledge(&t->io);
            }
        }
    }
    g_assert_cmpuint(*host(DATA + 9 * PAGE), ==, 9 + ROUNDS - 1);
    g_assert_cmpuint(*host(DATA + 10 * PAGE), ==, pattern(80 * BLOCK));
    controller_free(t);
}

static void test_pin(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);
    Command c = transfer(NVME_READ, 0, 1, 0);
    unsigned before = t->interrupts;

    g_assert_false(t->level);
    add(&t->io, &c, 1);
    ring(&t->io);
    take(&t->io);
    machine_lock();
    machine_unlock();
    g_assert_true(t->level);
    g_assert_cmpuint(t->interrupts, ==, before + 1);
    set_reg(NVME_REG_INTMS, 1);
    g_assert_false(t->level);
    g_assert_cmphex(reg(NVME_REG_INTMC), ==, 1);
    set_reg(NVME_REG_INTMC, 1);
    g_assert_true(t->level);
    acknowledge(&t->io);
    g_assert_false(t->level);
    controller_free(t);
}

static void test_messages(void)
{
    Controller *t = controller_new((BlockOptions){ 0 }, NULL);
    unsigned cap = ((HwPciDevice *)t->dev)->msix_cap;
    Command c = transfer(NVME_READ, 0, 1, 0);

    for (unsigned i = 0; i < 4; i++) {
        memory_store(MSIX_BAR + 16 * i, 4, MESSAGE + 4 * i);
        memory_store(MSIX_BAR + 16 * i + 8, 4, 0x100 + i);
        memory_store(MSIX_BAR + 16 * i + 12, 4, 0);
    }
    memory_store(SLOT + cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_ENABLE);
    start(t);
    place_queue(&t->io, 1, 64);
    g_assert_cmphex(create(t, NVME_CREATE_CQ, 1, 64, CONTIGUOUS | IRQ | 3 << 16, t->io.cq), ==,
                    NVME_OK);
    g_assert_cmphex(create(t, NVME_CREATE_SQ, 1, 64, CONTIGUOUS | 1 << 16, t->io.sq), ==, NVME_OK);
    g_assert_cmphex(get(MESSAGE, 4), ==, 0x100);
    put(MESSAGE + 12, 0, 4);
    add(&t->io, &c, 1);
    ring(&t->io);
    take(&t->io);
    machine_lock();
    machine_unlock();
    g_assert_cmphex(get(MESSAGE + 12, 4), ==, 0x103);
    g_assert_false(t->level);
    controller_free(t);
}

/* Commands are under way, then the controller is reset, or their queue deleted. */
static void test_reset(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);

    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = 0; i < 40; i++) {
            Command c = transfer(NVME_WRITE, 0, 64, 0);

            c.d12 |= i % 3 ? 0 : NVME_RW_FUA; /* a flush begins when the drain is under way */
            add(&t->io, &c, i);
        }
        ring(&t->io);
        if (round % 2) {
            g_assert_cmphex(create(t, NVME_DELETE_SQ, 1, 1, 0, 0), ==, NVME_OK);
        }
        if (round % 4 == 3) {
            machine_lock();
            hw_devices_reset();
            machine_unlock();
            place_bars();
        }
        start(t);
        make_io_queue(t, 64);
    }
    controller_free(t);
}

/* A state goes into another life of the device, which has the commands that were not taken yet. */
static void test_state(void)
{
    Controller *t = running((BlockOptions){ 0 }, NULL);
    const StateField *table = HW_DEVICE_GET_CLASS(t->dev)->state;
    g_autoptr(GByteArray) state = g_byte_array_new();
    Command c = transfer(NVME_READ, 77, 8, 0);
    g_autoptr(GError) error = NULL;

    check_alive(t);
    memory_store(SLOT + PCI_COMMAND, 2, PCI_COMMAND_MEMORY); /* no bus master: nothing is taken */
    add(&t->io, &c, 5);
    ring(&t->io);
    g_assert_false(is_answered(&t->io));
    memory_store(SLOT + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    machine_lock();
    state_save(t->dev, table, state);
    hw_devices_reset();
    g_assert_true(state_load(t->dev, table, state->data, state->len, &error));
    g_assert_true(HW_DEVICE_GET_CLASS(t->dev)->post_load(t->dev, &error));
    machine_unlock();
    memset(host(DATA), 0, PAGE);
    g_assert_cmpuint(take(&t->io).cid, ==, 5);
    acknowledge(&t->io);
    assert_data(0, 77 * BLOCK, PAGE);
    check_alive(t);
    controller_free(t);
}

/* ---- The hostile driver ---- */

static uint32_t any(uint32_t n)
{
    return (uint32_t)g_test_rand_int() % n;
}

static uint64_t any_address(void)
{
    static const uint64_t places[] = { RINGS,    LIST, DATA, RAM_BASE + RAM_SIZE - PAGE, BAR0,
                                       MSIX_BAR, 0,    ECAM, UINT64_MAX - PAGE };
    uint64_t at = places[any(any(4) ? 3 : G_N_ELEMENTS(places))];

    return at + any(8) * PAGE + (any(4) ? 0 : any(PAGE));
}

/* One field of a good command is none. */
static void spoil(Command *c)
{
    uint32_t *const words[] = { &c->opcode, &c->nsid, &c->d10, &c->d11, &c->d12, &c->d13 };

    if (any(2)) {
        *(any(2) ? &c->prp1 : &c->prp2) = any_address();
    } else {
        *words[any(G_N_ELEMENTS(words))] = any(2) ? any(0x10000) : (uint32_t)g_test_rand_int();
    }
}

static Command any_io_command(void)
{
    static const uint8_t opcodes[] = { NVME_FLUSH,   NVME_WRITE,        NVME_READ,
                                       NVME_COMPARE, NVME_WRITE_ZEROES, NVME_DATASET };
    Command c =
        transfer(opcodes[any(sizeof(opcodes))], any(DISK / BLOCK), 1 + any(40), any(PAGE / 4) * 4);

    if (c.opcode == NVME_DATASET) {
        c.d10 = any(256);
        c.d11 = any(8);
    }
    c.d12 |= any(4) ? 0 : NVME_RW_FUA;
    return c;
}

static Command any_admin_command(void)
{
    static const uint8_t opcodes[] = { NVME_DELETE_SQ,   NVME_CREATE_SQ,    NVME_GET_LOG_PAGE,
                                       NVME_DELETE_CQ,   NVME_CREATE_CQ,    NVME_IDENTIFY,
                                       NVME_ABORT,       NVME_SET_FEATURES, NVME_GET_FEATURES,
                                       NVME_ASYNC_EVENT, NVME_FORMAT };

    return (Command){ .opcode = opcodes[any(sizeof(opcodes))],
                      .nsid = any(2),
                      .prp1 = any_address() & ~(uint64_t)(PAGE - 1),
                      .prp2 = any_address(),
                      .d10 = any(12) | any(64) << 16,
                      .d11 = any(4) | any(3) << 16 };
}

static Command any_command(bool admin)
{
    Command c = admin ? any_admin_command() : any_io_command();

    if (!any(3)) {
        spoil(&c);
    }
    return c;
}

static void hostile_step(Controller *t)
{
    switch (any(12)) {
    case 0:
        if (!any(16)) {
            set_reg(any(0x50) & ~3u, (uint32_t)g_test_rand_int());
        }
        break;
    case 1:
        set_reg(NVME_REG_DOORBELLS + any(0x200) * 4, any(any(2) ? 64 : 0x10000));
        break;
    case 2:
        put(any_address() % RAM_SIZE % (RAM_SIZE - 8) + RAM_BASE, any_address(), 8);
        break;
    case 3:
        for (unsigned i = 0; i < 16; i++) {
            put(LIST + any(4) * PAGE + any(PAGE / 8) * 8, any_address(), 8);
        }
        break;
    case 4:
        t->admin.head = (unsigned)any(ADMIN);
        acknowledge(&t->admin);
        break;
    case 5:
        t->io.head = (unsigned)any(64);
        acknowledge(&t->io);
        break;
    case 6:
        memory_store(SLOT + PCI_COMMAND, 2, any(8) ? 6 : 2);
        break;
    case 7:
        if (!any(8)) {
            set_reg(NVME_REG_CC, 0);
            set_reg(NVME_REG_CC, ENABLE);
        }
        break;
    default: {
        Queue *q = any(2) ? &t->io : &t->admin;

        for (unsigned i = any(20); i; i--) {
            Command c = any_command(q == &t->admin);

            add(q, &c, any(0x10000));
        }
        ring(q);
    }
    }
}

static void start_again(Controller *t)
{
    place_bars();
    start(t);
    make_io_queue(t, 64);
}

static void test_hostile(void)
{
    unsigned rounds = g_test_slow() ? 10000 : 1000;
    Controller *t = running((BlockOptions){ .discard = true, .snapshot = true }, NULL);

    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 200; i++) {
            hostile_step(t);
            if (reg(NVME_REG_CSTS) != NVME_CSTS_RDY && !any(4)) {
                start_again(t);
            }
            if (!any(16)) {
                while (g_main_context_iteration(NULL, FALSE)) {}
            }
        }
        start_again(t);
        g_assert_cmphex(status_of(&t->io, transfer(NVME_READ, 100, 8, 0)), ==, NVME_OK);
    }
    controller_free(t);
}

/* ---- Properties ---- */

static void refuse(const char *name, const char *value, const char *expected)
{
    const char *const props[] = { "serial", "x", name, value, NULL };
    HwDevice *dev = new_nvme(props);
    g_autoptr(GError) error = NULL;

    g_assert_false(hw_device_realize(dev, &error));
    g_assert_true(g_str_has_prefix(error->message, "nvme: "));
    g_assert_nonnull(strstr(error->message, expected));
    g_object_unref(dev);
}

static void test_props(void)
{
    Controller *t = controller_new((BlockOptions){ 0 }, NULL);

    machine_lock();
    refuse("serial", "", "serial= is missing");
    refuse("serial", "123456789012345678901", "serial= is missing, or longer");
    refuse("cmb_size_mb", "1", "not supported");
    refuse("use-intel-id", "on", "not supported");
    refuse("logical_block_size", "1000", "powers of 2");
    refuse("logical_block_size", "1024", "the physical one not less");
    refuse("mdts", "3", "already used");
    machine_unlock();
    controller_free(t);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-nvme-XXXXXX", NULL);
    disk = g_build_filename(folder, "disk", NULL);
    ram_host = bare_init(16 << 20, RAM_BASE, RAM_SIZE);
    g_test_add_func("/nvme/start", test_start);
    g_test_add_func("/nvme/identify", test_identify);
    g_test_add_func("/nvme/queues", test_queues);
    g_test_add_func("/nvme/features", test_features);
    g_test_add_func("/nvme/logs", test_logs);
    g_test_add_func("/nvme/events", test_events);
    g_test_add_func("/nvme/data", test_data);
    g_test_add_func("/nvme/no-data", test_no_data);
    g_test_add_func("/nvme/mistakes", test_mistakes);
    g_test_add_func("/nvme/readonly", test_readonly);
    g_test_add_func("/nvme/host-error", test_host_error);
    g_test_add_func("/nvme/large-blocks", test_large_blocks);
    g_test_add_func("/nvme/full-queue", test_full_queue);
    g_test_add_func("/nvme/deep-queue", test_deep_queue);
    g_test_add_func("/nvme/pin", test_pin);
    g_test_add_func("/nvme/messages", test_messages);
    g_test_add_func("/nvme/reset", test_reset);
    g_test_add_func("/nvme/state", test_state);
    g_test_add_func("/nvme/hostile", test_hostile);
    g_test_add_func("/nvme/props", test_props);
    status = g_test_run();
    g_unlink(disk);
    g_rmdir(folder);
    return status;
}
