/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The AHCI controller with a disk on port 0 and a CD drive on port 1, as a driver sees them: a small driver here makes command lists and tables,
 * issues commands and reads the FISes. Then a driver that writes nonsense; afterwards the good one must still get its answers.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "block/block.h"
#include "hw/ata/ahci-regs.h"
#include "hw/ata/ahci.h"
#include "hw/ata/ata.h"
#include "hw/pci/pci-host-ecam.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "tests/unit/bare.h"
#include "util/bytes.h"

#define RAM_BASE 0x80000000ull
#define ABAR     0x40000000ull
#define ECAM     0x20000000ull
#define SLOT     (ECAM + 0x8000)

/* In guest memory, of each port: command list, received FISes, tables of commands; then data. */
#define LISTS  (RAM_BASE + 0x10000)
#define FISES  (RAM_BASE + 0x20000)
#define TABLES (RAM_BASE + 0x40000)
#define DATA   (RAM_BASE + 0x100000)

enum {
    RAM_SIZE = 8 << 20,
    DISK = 8 << 20,
    DISC = 2 << 20,
    PAGE = 4096,
    TABLE = 0x1000,
    SLOTS = 32
};
enum { NO_DATA, READ = 1, WRITE = 2 };

static uint8_t *ram_host;
static char *folder, *disk, *disc;

typedef struct Adapter {
    HwDevice *host, *dev;
    Irq irq;
    bool level;
    unsigned interrupts;
} Adapter;

/* ---- The adapter ---- */

static void irq_changed(void *opaque, unsigned n, bool level)
{
    Adapter *t = opaque;

    t->interrupts += level && !t->level;
    t->level = level;
}

static uint32_t reg(unsigned offset)
{
    uint64_t value;

    g_assert_cmpint(memory_load(ABAR + offset, 4, &value), ==, MEM_OK);
    return (uint32_t)value;
}

static void set_reg(unsigned offset, uint32_t value)
{
    g_assert_cmpint(memory_store(ABAR + offset, 4, value), ==, MEM_OK);
}

static uint32_t px(unsigned port, unsigned offset)
{
    return reg(AHCI_PORT_0 + port * AHCI_PORT_SIZE + offset);
}

static void set_px(unsigned port, unsigned offset, uint32_t value)
{
    set_reg(AHCI_PORT_0 + port * AHCI_PORT_SIZE + offset, value);
}

static uint8_t *host(uint64_t addr)
{
    g_assert_cmphex(addr - RAM_BASE, <, RAM_SIZE);
    return ram_host + (addr - RAM_BASE);
}

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at / ATA_SECTOR * 7 + at % ATA_SECTOR + at / 65536);
}

static void make_image(const char *path, unsigned size)
{
    g_autofree uint8_t *data = g_malloc(size);

    for (unsigned i = 0; i < size; i++) {
        data[i] = pattern(i);
    }
    g_assert_true(g_file_set_contents(path, (const char *)data, size, NULL));
}

static void plug(HwDevice *dev, const char *type, const char *bus)
{
    g_autoptr(GError) error = NULL;

    dev->bus = hw_bus_find(type, bus);
    g_assert_nonnull(dev->bus);
    g_assert_true(hw_device_realize(dev, &error));
    g_assert_true(dev->bus->plug(dev->bus, dev, &error));
    g_ptr_array_add(dev->bus->children, dev);
}

static void open_image(BlockOptions options, const char *id, const char *file)
{
    g_autoptr(GError) error = NULL;

    options.id = id;
    options.file = file;
    block_open(&options, &error);
    g_assert_no_error(error);
}

static void place_bar(void)
{
    memory_store(SLOT + PCI_BASE_ADDRESS_0 + 20, 4, ABAR);
    memory_store(SLOT + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static Adapter *adapter_new(BlockOptions options)
{
    const HwPciHostMap map = { ECAM,       1 << 20, 0x21000000,     1 << 16,
                               0x40000000, 1 << 28, 0x100000000ull, 1 << 28 };
    Adapter *t = g_new0(Adapter, 1);
    HwDevice *hd = hw_device_new(hw_ide_hd_get_type(), NULL);
    HwDevice *cd = hw_device_new(hw_ide_cd_get_type(), NULL);
    g_autoptr(GError) error = NULL;

    make_image(disk, DISK);
    make_image(disc, DISC);
    machine_lock();
    open_image(options, "d", disk);
    open_image((BlockOptions){ .readonly = true }, "c", disc);
    t->host = hw_pci_host_ecam_new(&map);
    g_assert_true(hw_device_realize(t->host, &error));
    hw_pci_host_ecam_map(t->host);
    irq_init(&t->irq, irq_changed, t, 0);
    for (unsigned i = 0; i < 4; i++) {
        hw_device_connect_irq(t->host, i, &t->irq, i + 1);
    }
    t->dev = hw_device_new(hw_ahci_get_type(), "a");
    plug(t->dev, HW_PCI_BUS_TYPE, NULL);
    g_assert_true(hw_device_set_prop(hd, "drive", "d", &error));
    g_assert_true(hw_device_set_prop(hd, "serial", "SN-1", &error));
    plug(hd, HW_ATA_BUS_TYPE, "a.0");
    g_assert_true(hw_device_set_prop(cd, "drive", "c", &error));
    plug(cd, HW_ATA_BUS_TYPE, "a.1");
    memory_commit();
    hw_devices_reset();
    machine_unlock();
    place_bar();
    return t;
}

static void adapter_free(Adapter *t)
{
    machine_lock();
    g_object_unref(t->host);
    memory_commit();
    block_close_all();
    machine_unlock();
    g_free(t);
}

/* ---- The driver ---- */

static uint64_t list_of(unsigned port)
{
    return LISTS + port * 0x400ull;
}

static uint64_t fis_of(unsigned port)
{
    return FISES + port * 0x100ull;
}

static uint64_t table_of(unsigned port, unsigned slot)
{
    return TABLES + (port * SLOTS + slot) * (uint64_t)TABLE;
}

static void start_port(unsigned port)
{
    set_px(port, PX_CMD, 0);
    g_assert_cmphex(px(port, PX_CMD) & (CMD_CR | CMD_FR), ==, 0);
    set_px(port, PX_CLB, (uint32_t)list_of(port));
    set_px(port, PX_CLBU, 0);
    set_px(port, PX_FB, (uint32_t)fis_of(port));
    set_px(port, PX_FBU, 0);
    set_px(port, PX_CMD, CMD_FRE);
    set_px(port, PX_SERR, UINT32_MAX);
    set_px(port, PX_IS, UINT32_MAX);
    set_px(port, PX_IE, IS_ALL);
    set_px(port, PX_CMD, CMD_FRE | CMD_ST);
    set_reg(AHCI_IS, UINT32_MAX);
}

static void start(void)
{
    set_reg(AHCI_GHC, GHC_AE | GHC_HR);
    g_assert_cmphex(reg(AHCI_GHC), ==, GHC_AE);
    start_port(0);
    start_port(1);
    set_reg(AHCI_GHC, GHC_AE | GHC_IE);
}

typedef struct Command {
    uint8_t command, features, device;
    uint64_t lba;
    uint32_t count;
    unsigned way;
    uint32_t bytes; /* of data, at DATA + offset */
    uint32_t offset;
    uint8_t packet[ATA_PACKET_SIZE];
} Command;

/* Puts a command into the slot without issuing it. Its data are in pieces of uneven size. */
static void put_command(unsigned port, unsigned slot, const Command *c)
{
    uint8_t *header = host(list_of(port) + slot * HEADER_SIZE), *table = host(table_of(port, slot));
    bool queued = c->command == ATA_READ_FPDMA_QUEUED || c->command == ATA_WRITE_FPDMA_QUEUED;
    uint32_t at = 0;
    unsigned n = 0;

    memset(header, 0, HEADER_SIZE);
    memset(table, 0, TABLE);
    table[FIS_TYPE] = FIS_H2D;
    table[FIS_FLAGS] = FIS_IS_COMMAND;
    table[FIS_COMMAND] = c->command;
    table[FIS_FEATURES] = queued ? (uint8_t)c->count : c->features;
    table[FIS_FEATURES_HIGH] = queued ? (uint8_t)(c->count >> 8) : 0;
    table[FIS_DEVICE] = c->device | 0x40;
    for (unsigned i = 0; i < 3; i++) {
        table[FIS_LBA + i] = (uint8_t)(c->lba >> 8 * i);
        table[FIS_LBA_HIGH + i] = (uint8_t)(c->lba >> (24 + 8 * i));
    }
    bytes_put_le16(table + FIS_COUNT, queued ? (uint16_t)(slot << 3) : (uint16_t)c->count);
    memcpy(table + TABLE_PACKET, c->packet, ATA_PACKET_SIZE);
    for (; at < c->bytes; n++) {
        uint8_t *prd = table + TABLE_PRDT + n * PRD_SIZE;
        uint32_t piece = MIN(c->bytes - at, 1000 + n * 1002);

        bytes_put_le64(prd, DATA + c->offset + at);
        bytes_put_le32(prd + 12, piece - 1);
        at += piece;
    }
    bytes_put_le16(header, (uint16_t)(5 | (c->way == WRITE ? 1 << 6 : 0) |
                                      (c->command == ATA_PACKET ? HEADER_PACKET : 0)));
    bytes_put_le16(header + 2, (uint16_t)n);
    bytes_put_le64(header + 8, table_of(port, slot));
}

static void wait_until_idle(unsigned port)
{
    for (unsigned i = 0; (px(port, PX_CI) || px(port, PX_SACT)) &&
                         !(px(port, PX_IS) & (IS_TFES | IS_HBFS | IS_IFS));
         i++) {
        g_assert_cmpuint(i, <, 100000);
        while (g_main_context_iteration(NULL, FALSE)) {}
        g_usleep(i < 100 ? 10 : 200);
    }
}

/* The task file afterwards: status and error. */
static uint32_t do_command(unsigned port, Command c)
{
    static unsigned slot;

    slot = (slot + 1) % SLOTS;
    put_command(port, slot, &c);
    set_px(port, PX_IS, UINT32_MAX);
    set_px(port, PX_CI, 1u << slot);
    wait_until_idle(port);
    return px(port, PX_TFD) & 0xffff;
}

enum { GOOD = ATA_DRDY | ATA_DSC, BAD = GOOD | ATA_ERR };

static void assert_data(uint64_t at, uint64_t from, uint64_t bytes)
{
    const uint8_t *p = host(DATA + at);

    for (uint64_t i = 0; i < bytes; i++) {
        if (p[i] != pattern(from + i)) {
            g_error("byte %u of %u is %#x", (unsigned)i, (unsigned)bytes, p[i]);
        }
    }
}

static void check_alive(void)
{
    memset(host(DATA), 0, PAGE);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_READ_DMA_EXT,
                                             .lba = 100,
                                             .count = 8,
                                             .way = READ,
                                             .bytes = PAGE }),
                    ==, GOOD);
    assert_data(0, 100 * ATA_SECTOR, PAGE);
}

/* After an error. */
static void recover(unsigned port)
{
    set_px(port, PX_CMD, CMD_FRE);
    g_assert_cmphex(px(port, PX_CI) | px(port, PX_SACT), ==, 0);
    set_px(port, PX_SERR, UINT32_MAX);
    set_px(port, PX_IS, UINT32_MAX);
    set_px(port, PX_CMD, CMD_FRE | CMD_ST);
}

/* ---- Tests ---- */

static void test_start(void)
{
    Adapter *t = adapter_new((BlockOptions){ 0 });

    g_assert_cmphex(reg(AHCI_VS), ==, 0x00010301);
    g_assert_cmphex(reg(AHCI_PI), ==, 0x3f);
    g_assert_cmphex(reg(AHCI_CAP) & 0x1f1f, ==, 31 << 8 | 5);
    for (unsigned i = 0; i < 6; i++) {
        g_assert_cmphex(px(i, PX_SSTS), ==, i < 2 ? 0x133 : 0);
    }
    g_assert_cmphex(px(0, PX_SIG), ==, ATA_SIGNATURE_DISK);
    g_assert_cmphex(px(1, PX_SIG), ==, ATA_SIGNATURE_PACKET);
    g_assert_cmphex(px(0, PX_IS), ==, IS_PCS);
    start();
    g_assert_cmphex(px(0, PX_IS), ==, 0);
    check_alive();
    set_px(0, PX_CMD, CMD_FRE);
    set_px(0, PX_SCTL, DET_INIT);
    g_assert_cmphex(px(0, PX_SSTS), ==, 0);
    set_px(0, PX_SCTL, 0);
    g_assert_cmphex(px(0, PX_SSTS), ==, 0x133);
    g_assert_cmphex(px(0, PX_TFD), ==, 0x150);
    g_assert_cmphex(host(fis_of(0))[RX_D2H], ==, FIS_D2H);
    start_port(0);
    check_alive();
    adapter_free(t);
}

static void test_identify(void)
{
    Adapter *t = adapter_new((BlockOptions){ 0 });
    const uint8_t *p = host(DATA);
    uint8_t sum = 0;

    start();
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_IDENTIFY, .way = READ, .bytes = 512 }),
                    ==, GOOD);
    g_assert_cmphex(px(0, PX_IS), ==, IS_PSS);
    g_assert_cmpmem(p + 20, 4, "NS1-", 4);
    g_assert_cmpuint(bytes_get_le32(p + 120), ==, DISK / ATA_SECTOR);
    g_assert_cmpuint(bytes_get_le64(p + 200), ==, DISK / ATA_SECTOR);
    g_assert_cmpuint(bytes_get_le16(p + 150), ==, 31);
    for (unsigned i = 0; i < 512; i++) {
        sum = (uint8_t)(sum + p[i]);
    }
    g_assert_cmpuint(sum, ==, 0);
    g_assert_cmphex(
        do_command(0, (Command){ .command = ATA_IDENTIFY_PACKET, .way = READ, .bytes = 512 }), ==,
        BAD | ATA_ABRT << 8);
    recover(0);
    g_assert_cmphex(
        do_command(1, (Command){ .command = ATA_IDENTIFY_PACKET, .way = READ, .bytes = 512 }), ==,
        GOOD);
    g_assert_cmphex(bytes_get_le16(p), ==, 0x8580);
    g_assert_cmphex(do_command(1, (Command){ .command = ATA_IDENTIFY, .way = READ, .bytes = 512 }),
                    ==, BAD | ATA_ABRT << 8);
    g_assert_cmphex(host(fis_of(1))[RX_D2H + FIS_LBA + 2], ==, 0xeb);
    adapter_free(t);
}

static void test_data(void)
{
    static const struct {
        uint8_t read, write;
        bool extended;
    } ways[] = {
        { ATA_READ_DMA, ATA_WRITE_DMA, false },
        { ATA_READ_DMA_EXT, ATA_WRITE_DMA_EXT, true },
        { ATA_READ_SECTORS, ATA_WRITE_SECTORS, false },
        { ATA_READ_SECTORS_EXT, ATA_WRITE_SECTORS_EXT, true },
        { ATA_READ_DMA, ATA_WRITE_DMA_FUA_EXT, true },
        { ATA_READ_FPDMA_QUEUED, ATA_WRITE_FPDMA_QUEUED, true },
    };
    Adapter *t = adapter_new((BlockOptions){ 0 });

    start();
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        Command c = { .lba = 1000 + 300 * i, .count = 255, .bytes = 255 * ATA_SECTOR };
        unsigned slot = i;

        c.device = ways[i].extended ? 0 : (uint8_t)(c.lba >> 24 & 0xf);
        memset(host(DATA), (int)(0x80 + i), c.bytes);
        c.command = ways[i].write;
        c.way = WRITE;
        put_command(0, slot, &c);
        if (c.command == ATA_WRITE_FPDMA_QUEUED) {
            set_px(0, PX_SACT, 1u << slot);
        }
        set_px(0, PX_CI, 1u << slot);
        wait_until_idle(0);
        g_assert_cmphex(px(0, PX_TFD), ==, GOOD);
        memset(host(DATA), 0, c.bytes);
        c.command = ways[i].read;
        c.way = READ;
        put_command(0, slot, &c);
        if (c.command == ATA_READ_FPDMA_QUEUED) {
            set_px(0, PX_SACT, 1u << slot);
        } else {
            g_assert_cmpuint(bytes_get_le32(host(list_of(0) + slot * HEADER_SIZE + 4)), ==, 0);
        }
        set_px(0, PX_CI, 1u << slot);
        wait_until_idle(0);
        g_assert_cmphex(px(0, PX_TFD), ==, GOOD);
        g_assert_cmphex(*host(DATA), ==, 0x80 + i);
        g_assert_cmphex(*host(DATA + c.bytes - 1), ==, 0x80 + i);
        if (c.command != ATA_READ_FPDMA_QUEUED) {
            g_assert_cmpuint(bytes_get_le32(host(list_of(0) + slot * HEADER_SIZE + 4)), ==,
                             c.bytes);
        }
    }
    g_assert_true(t->level);
    check_alive();
    adapter_free(t);
}

/* All slots at once; the interrupts say which ones are done. */
static void test_queue(void)
{
    Adapter *t = adapter_new((BlockOptions){ 0 });

    start();
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        Command c = { .command = ATA_READ_FPDMA_QUEUED,
                      .lba = slot * 64,
                      .count = 16,
                      .way = READ,
                      .bytes = 16 * ATA_SECTOR,
                      .offset = slot * 16 * ATA_SECTOR };

        put_command(0, slot, &c);
    }
    set_px(0, PX_SACT, UINT32_MAX);
    set_px(0, PX_CI, UINT32_MAX);
    g_assert_cmphex(px(0, PX_CI), ==, 0);
    wait_until_idle(0);
    g_assert_true(px(0, PX_IS) & IS_SDBS);
    g_assert_true(t->level);
    set_px(0, PX_IS, UINT32_MAX);
    set_reg(AHCI_IS, 1);
    g_assert_false(t->level);
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        assert_data((uint64_t)slot * 16 * ATA_SECTOR, (uint64_t)slot * 64 * ATA_SECTOR,
                    16 * ATA_SECTOR);
    }
    adapter_free(t);
}

static void test_queue_error(void)
{
    Adapter *t = adapter_new((BlockOptions){ 0 });
    Command c = { .command = ATA_READ_FPDMA_QUEUED,
                  .lba = DISK / ATA_SECTOR,
                  .count = 8,
                  .way = READ,
                  .bytes = PAGE };

    start();
    put_command(0, 9, &c);
    set_px(0, PX_SACT, 1 << 9);
    set_px(0, PX_CI, 1 << 9);
    wait_until_idle(0);
    g_assert_cmphex(px(0, PX_IS) & IS_TFES, ==, IS_TFES);
    g_assert_cmphex(px(0, PX_SACT), ==, 1 << 9);
    g_assert_cmphex(px(0, PX_TFD), ==, BAD | ATA_IDNF << 8);
    recover(0);
    c.lba = 0;
    put_command(0, 10, &c);
    set_px(0, PX_SACT, 1 << 10);
    set_px(0, PX_CI, 1 << 10); /* refused: the log was not read */
    wait_until_idle(0);
    g_assert_cmphex(px(0, PX_TFD), ==, BAD | ATA_ABRT << 8);
    recover(0);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_READ_LOG_EXT,
                                             .lba = 0x10,
                                             .count = 1,
                                             .way = READ,
                                             .bytes = 512 }),
                    ==, GOOD);
    g_assert_cmphex(*host(DATA), ==, 9);
    g_assert_cmphex(*host(DATA + 3), ==, ATA_IDNF);
    g_assert_cmphex(bytes_get_le16(host(DATA + 4)), ==, DISK / ATA_SECTOR);
    put_command(0, 10, &c);
    set_px(0, PX_SACT, 1 << 10);
    set_px(0, PX_CI, 1 << 10);
    wait_until_idle(0);
    g_assert_cmphex(px(0, PX_TFD), ==, GOOD);
    adapter_free(t);
}

static void test_mistakes(void)
{
    static const Command wrong[] = {
        { .command = ATA_READ_DMA_EXT,
          .lba = DISK / ATA_SECTOR - 1,
          .count = 2,
          .way = READ,
          .bytes = 1024 },
        { .command = ATA_READ_DMA_EXT, .lba = 1ull << 47, .count = 2, .way = READ, .bytes = 1024 },
        { .command = ATA_READ_DMA_EXT,
          .count = 2,
          .way = READ,
          .bytes = 1022 }, /* no memory for all */
        { .command = ATA_WRITE_DMA, .count = 2, .way = WRITE },
        { .command = ATA_READ_MULTIPLE,
          .count = 2,
          .way = READ,
          .bytes = 1024 }, /* not switched on */
        { .command = ATA_SET_MULTIPLE, .count = 3 },
        { .command = ATA_SET_FEATURES, .features = 0x77 },
        { .command = ATA_READ_LOG_EXT, .lba = 0x30, .count = 1, .way = READ, .bytes = 512 },
        { .command = ATA_DATA_SET_MANAGEMENT,
          .features = 0,
          .count = 1,
          .way = WRITE,
          .bytes = 512 },
        { .command = ATA_PACKET },
        { .command = ATA_NOP },
        { .command = 0xff },
    };
    Adapter *t = adapter_new((BlockOptions){ 0 });

    start();
    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_cmphex(do_command(0, wrong[i]) & 0xff, ==, BAD);
        g_assert_cmphex(px(0, PX_CI), !=, 0);
        g_assert_cmphex(px(0, PX_IS) & IS_TFES, ==, IS_TFES);
        recover(0);
        check_alive();
    }
    put_command(0, 3, &(Command){ .command = ATA_READ_DMA, .count = 1, .way = READ, .bytes = 512 });
    bytes_put_le64(host(table_of(0, 3) + TABLE_PRDT), ABAR); /* a register is no memory */
    set_px(0, PX_CI, 1 << 3);
    wait_until_idle(0);
    g_assert_cmphex(px(0, PX_TFD) & 0xff, ==, BAD);
    recover(0);
    host(table_of(0, 4))[FIS_TYPE] = 0x46;
    set_px(0, PX_CI, 1 << 4);
    g_assert_cmphex(px(0, PX_IS) & (IS_IFS | IS_HBFS), !=, 0);
    recover(0);
    set_px(0, PX_CMD, 0);
    set_px(0, PX_CLBU, 0x100);
    set_px(0, PX_CMD, CMD_FRE | CMD_ST);
    set_px(0, PX_CI, 1);
    g_assert_cmphex(px(0, PX_IS) & IS_HBFS, ==, IS_HBFS);
    start();
    check_alive();
    adapter_free(t);
}

static void test_no_data(void)
{
    Adapter *t = adapter_new((BlockOptions){ .discard = true });
    uint8_t *ranges = host(DATA);

    start();
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_FLUSH_EXT }), ==, GOOD);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_SET_FEATURES, .features = 0x82 }), ==,
                    GOOD);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_SET_MULTIPLE, .count = 16 }), ==, GOOD);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_CHECK_POWER }), ==, GOOD);
    g_assert_cmphex(host(fis_of(0))[RX_D2H + FIS_COUNT], ==, 0xff);
    g_assert_cmphex(
        do_command(0, (Command){ .command = ATA_READ_VERIFY_EXT, .lba = 5, .count = 100 }), ==,
        GOOD);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_READ_MULTIPLE,
                                             .lba = 1,
                                             .count = 8,
                                             .way = READ,
                                             .bytes = PAGE }),
                    ==, GOOD);
    assert_data(0, ATA_SECTOR, PAGE);
    memset(ranges, 0, 512);
    bytes_put_le64(ranges, 2048 | 64ull << 48);
    bytes_put_le64(ranges + 16, 4096 | 8ull << 48);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_DATA_SET_MANAGEMENT,
                                             .features = 1,
                                             .count = 1,
                                             .way = WRITE,
                                             .bytes = 512 }),
                    ==, GOOD);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_READ_DMA,
                                             .lba = 2110,
                                             .count = 8,
                                             .way = READ,
                                             .bytes = PAGE }),
                    ==, GOOD);
    g_assert_cmphex(*host(DATA), ==, 0);
    assert_data(2 * ATA_SECTOR, 2112 * ATA_SECTOR, 6 * ATA_SECTOR);
    bytes_put_le64(ranges, (DISK / ATA_SECTOR - 1) | 64ull << 48);
    g_assert_cmphex(do_command(0, (Command){ .command = ATA_DATA_SET_MANAGEMENT,
                                             .features = 1,
                                             .count = 1,
                                             .way = WRITE,
                                             .bytes = 512 }),
                    ==, BAD | ATA_IDNF << 8);
    adapter_free(t);
}

static void test_soft_reset(void)
{
    Adapter *t = adapter_new((BlockOptions){ 0 });
    uint8_t *table = host(table_of(0, 0));

    start();
    put_command(0, 0, &(Command){ 0 });
    table[FIS_FLAGS] = 0;
    table[FIS_CONTROL] = FIS_SRST;
    set_px(0, PX_CI, 1);
    g_assert_cmphex(px(0, PX_CI), ==, 0);
    table[FIS_CONTROL] = 0;
    memset(host(fis_of(0)), 0, 0x100);
    set_px(0, PX_CI, 1);
    g_assert_cmphex(px(0, PX_CI), ==, 0);
    g_assert_cmphex(px(0, PX_TFD), ==, 0x150);
    g_assert_cmphex(host(fis_of(0))[RX_D2H], ==, FIS_D2H);
    check_alive();
    adapter_free(t);
}

static uint32_t packet(unsigned features, uint32_t bytes, const uint8_t *cdb, size_t n)
{
    Command c = {
        .command = ATA_PACKET, .features = (uint8_t)features, .way = READ, .bytes = bytes
    };

    memcpy(c.packet, cdb, n);
    return do_command(1, c);
}

#define PACKET(features_, bytes_, ...)                          \
    packet(features_, bytes_, (const uint8_t[]){ __VA_ARGS__ }, \
           sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void test_cd(void)
{
    Adapter *t = adapter_new((BlockOptions){ 0 });
    const uint8_t *p = host(DATA);
    enum { SECTORS = DISC / 2048 };

    start();
    g_assert_cmphex(PACKET(0, 0, 0x00), ==, BAD | 0x64 << 8); /* unit attention */
    recover(1);
    g_assert_cmphex(PACKET(0, 0, 0x00), ==, GOOD);
    g_assert_cmphex(PACKET(1, 36, 0x12, 0, 0, 0, 36), ==, GOOD);
    g_assert_cmphex(p[0], ==, 5);
    g_assert_cmphex(p[1], ==, 0x80);
    g_assert_cmphex(PACKET(1, 8, 0x25), ==, GOOD);
    g_assert_cmpuint(bytes_get_be32(p), ==, SECTORS - 1);
    g_assert_cmpuint(bytes_get_be32(p + 4), ==, 2048);
    g_assert_cmphex(PACKET(1, 3 * 2048, 0x28, 0, 0, 0, 0, 7, 0, 0, 3), ==, GOOD);
    assert_data(0, 7 * 2048, 3 * 2048);
    g_assert_cmphex(PACKET(1, 2048, 0xa8, 0, 0, 0, 0, 9, 0, 0, 0, 1), ==, GOOD);
    assert_data(0, 9 * 2048, 2048);
    g_assert_cmphex(PACKET(1, 2048, 0xbe, 0, 0, 0, 0, 11, 0, 0, 1, 0x10), ==, GOOD);
    assert_data(0, 11 * 2048, 2048);
    g_assert_cmphex(PACKET(0, 20, 0x43, 0, 0, 0, 0, 0, 1, 0, 20), ==, GOOD);
    g_assert_cmpuint(bytes_get_be16(p), ==, 18);
    g_assert_cmpuint(bytes_get_be32(p + 16), ==, SECTORS);
    g_assert_cmphex(PACKET(0, 256, 0x46, 0, 0, 0, 0, 0, 0, 1, 0), ==, GOOD);
    g_assert_cmphex(bytes_get_be16(p + 6), ==, 8);
    g_assert_cmphex(PACKET(0, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), ==, GOOD);
    g_assert_cmphex(p[5], ==, 2);
    g_assert_cmphex(PACKET(0, 34, 0x51, 0, 0, 0, 0, 0, 0, 0, 34), ==, GOOD);
    g_assert_cmphex(PACKET(0, 8, 0xbd, 0, 0, 0, 0, 0, 0, 0, 8), ==, GOOD);
    g_assert_cmphex(PACKET(0, 40, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 40), ==, GOOD);
    g_assert_cmphex(p[8], ==, 0x2a);
    g_assert_cmphex(PACKET(1, 2048, 0x2a, 0, 0, 0, 0, 7, 0, 0, 1), ==,
                    BAD | 0x54 << 8); /* no writer */
    recover(1);
    g_assert_cmphex(PACKET(0, 18, 0x03, 0, 0, 0, 18), ==, GOOD);
    g_assert_cmphex(p[2], ==, 5);
    g_assert_cmphex(p[12], ==, 0x20);
    g_assert_cmphex(PACKET(0, 0, 0x1e, 0, 0, 0, 1), ==, GOOD);            /* locked */
    g_assert_cmphex(PACKET(0, 0, 0x1b, 0, 0, 0, 2), ==, BAD | 0x54 << 8); /* so it stays */
    recover(1);
    g_assert_cmphex(PACKET(0, 0, 0x1e, 0, 0, 0, 0), ==, GOOD);
    g_assert_cmphex(PACKET(0, 0, 0x1b, 0, 0, 0, 2), ==, GOOD);
    g_assert_cmphex(PACKET(1, 2048, 0x28, 0, 0, 0, 0, 7, 0, 0, 1), ==,
                    BAD | 0x24 << 8); /* nothing is in it */
    recover(1);
    g_assert_cmphex(PACKET(0, 0, 0x1b, 0, 0, 0, 3), ==, GOOD);
    g_assert_cmphex(PACKET(1, 2048, 0x28, 0, 0, 0, 0, 7, 0, 0, 1), ==, GOOD);
    g_assert_cmphex(PACKET(1, 2048, 0x28, 0, 0, 0, SECTORS >> 8, SECTORS & 0xff, 0, 0, 1), ==,
                    BAD | 0x54 << 8);
    recover(1);
    g_assert_cmphex(PACKET(1, 512, 0x28, 0, 0, 0, 0, 7, 0, 0, 1), ==,
                    BAD | ATA_ABRT << 8); /* no memory for all */
    recover(1);
    g_assert_cmphex(PACKET(0, 0, 0x00), ==, GOOD);
    adapter_free(t);
}

static void test_readonly(void)
{
    Adapter *t = adapter_new((BlockOptions){ .readonly = true });

    start();
    g_assert_cmphex(
        do_command(0,
                   (Command){ .command = ATA_WRITE_DMA, .count = 1, .way = WRITE, .bytes = 512 }),
        ==, BAD | ATA_ABRT << 8);
    recover(0);
    check_alive();
    adapter_free(t);
}

static void test_host_error(void)
{
    Adapter *t = adapter_new((BlockOptions){ 0 });
    struct rlimit before, none = { 0, 0 };

    start();
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    none.rlim_max = before.rlim_max;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &none), ==, 0);
    g_assert_cmphex(
        do_command(0,
                   (Command){ .command = ATA_WRITE_DMA, .count = 1, .way = WRITE, .bytes = 512 }) &
            0xff,
        ==, BAD);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
    recover(0);
    check_alive();
    adapter_free(t);
}

static void test_state(void)
{
    Adapter *t = adapter_new((BlockOptions){ 0 });
    const StateField *table = HW_DEVICE_GET_CLASS(t->dev)->state;
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    start();
    check_alive();
    memory_store(SLOT + PCI_COMMAND, 2, PCI_COMMAND_MEMORY); /* no bus master: nothing is begun */
    memset(host(DATA), 0, PAGE);
    put_command(
        0, 5,
        &(Command){ .command = ATA_READ_DMA, .lba = 77, .count = 8, .way = READ, .bytes = PAGE });
    set_px(0, PX_CI, 1 << 5);
    g_assert_cmphex(px(0, PX_CI), ==, 1 << 5);
    machine_lock();
    state_save(t->dev, table, state);
    hw_devices_reset();
    g_assert_true(state_load(t->dev, table, state->data, state->len, &error));
    g_assert_true(HW_DEVICE_GET_CLASS(t->dev)->post_load(t->dev, &error));
    machine_unlock();
    memory_store(SLOT + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    wait_until_idle(0);
    assert_data(0, 77 * ATA_SECTOR, PAGE);
    check_alive();
    adapter_free(t);
}

/* ---- The hostile driver ---- */

static uint32_t any(uint32_t n)
{
    return (uint32_t)g_test_rand_int() % n;
}

static uint64_t any_address(void)
{
    static const uint64_t places[] = {
        LISTS, FISES, TABLES, DATA, RAM_BASE + RAM_SIZE - PAGE, ABAR, 0, ECAM, UINT64_MAX - PAGE
    };
    uint64_t at = places[any(any(4) ? 4 : G_N_ELEMENTS(places))];

    return at + any(8) * PAGE + (any(4) ? 0 : any(PAGE));
}

static Command any_command(unsigned port)
{
    static const uint8_t commands[] = {
        ATA_READ_DMA,
        ATA_WRITE_DMA,
        ATA_READ_DMA_EXT,
        ATA_WRITE_DMA_EXT,
        ATA_READ_FPDMA_QUEUED,
        ATA_WRITE_FPDMA_QUEUED,
        ATA_FLUSH,
        ATA_IDENTIFY,
        ATA_SET_FEATURES,
        ATA_READ_LOG_EXT,
        ATA_DATA_SET_MANAGEMENT,
        ATA_READ_MULTIPLE,
        ATA_SET_MULTIPLE,
        ATA_WRITE_SECTORS,
        ATA_WRITE_DMA_FUA_EXT,
        ATA_READ_SECTORS_EXT,
    };
    static const uint8_t packets[] = { 0x00, 0x03, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28,
                                       0x2a, 0x2b, 0x35, 0x43, 0x46, 0x4a, 0x51, 0x5a,
                                       0x9e, 0xa0, 0xa8, 0xbb, 0xbd, 0xbe };
    Command c = { .command = commands[any(sizeof(commands))],
                  .features = (uint8_t)any(256),
                  .lba = any(DISK / ATA_SECTOR + 16),
                  .count = any(64),
                  .way = any(3),
                  .offset = any(PAGE) * 2 };

    c.bytes = any(4) ? c.count * ATA_SECTOR : any(64) * 2;
    if (port == 1 && any(8)) {
        c.command = any(16) ? ATA_PACKET : ATA_DEVICE_RESET;
        for (unsigned i = 0; i < 12; i++) {
            c.packet[i] = any(3) ? 0 : (uint8_t)any(256);
        }
        c.packet[0] = packets[any(sizeof(packets))];
    }
    return c;
}

static void hostile_step(void)
{
    unsigned port = any(2), n;

    switch (any(12)) {
    case 0:
        set_reg(any(0x1000) & ~3u, (uint32_t)g_test_rand_int());
        break;
    case 1:
        set_px(port, any(0x40) & ~3u, any(2) ? (uint32_t)g_test_rand_int() : 1u << any(32));
        break;
    case 2:
        bytes_put_le64(host(list_of(port)) + any(0x3f8), any_address());
        break;
    case 3:
        bytes_put_le64(host(table_of(port, any(SLOTS)) + TABLE_PRDT) + any(32) * 8, any_address());
        break;
    case 4:
        host(table_of(port, any(SLOTS)))[any(0x50)] = (uint8_t)any(256);
        break;
    case 5:
        memory_store(SLOT + PCI_COMMAND, 2, any(8) ? 6 : 2);
        break;
    case 6:
        if (!any(8)) {
            start();
        }
        break;
    default:
        for (n = any(8); n; n--) {
            unsigned slot = any(SLOTS);
            Command c = any_command(port);

            put_command(port, slot, &c);
            if (any(2)) {
                set_px(port, PX_SACT, 1u << slot);
            }
            set_px(port, PX_CI, any(16) ? 1u << slot : (uint32_t)g_test_rand_int());
        }
    }
}

static void test_hostile(void)
{
    unsigned rounds = g_test_slow() ? 5000 : 500;
    Adapter *t = adapter_new((BlockOptions){ .discard = true, .snapshot = true });

    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < 200; i++) {
            hostile_step();
            for (unsigned port = 0; port < 2; port++) {
                if ((px(port, PX_IS) & IS_TFES) && any(4)) {
                    start_port(port);
                }
            }
            if (!any(16)) {
                while (g_main_context_iteration(NULL, FALSE)) {}
            }
        }
        place_bar();
        start();
        g_assert_cmphex(do_command(0, (Command){ .command = ATA_READ_DMA_EXT,
                                                 .lba = 100,
                                                 .count = 8,
                                                 .way = READ,
                                                 .bytes = PAGE }),
                        ==, GOOD);
    }
    adapter_free(t);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-ahci-XXXXXX", NULL);
    disk = g_build_filename(folder, "disk", NULL);
    disc = g_build_filename(folder, "disc", NULL);
    ram_host = bare_init(16 << 20, RAM_BASE, RAM_SIZE);
    g_test_add_func("/ahci/start", test_start);
    g_test_add_func("/ahci/identify", test_identify);
    g_test_add_func("/ahci/data", test_data);
    g_test_add_func("/ahci/queue", test_queue);
    g_test_add_func("/ahci/queue-error", test_queue_error);
    g_test_add_func("/ahci/mistakes", test_mistakes);
    g_test_add_func("/ahci/no-data", test_no_data);
    g_test_add_func("/ahci/soft-reset", test_soft_reset);
    g_test_add_func("/ahci/cd", test_cd);
    g_test_add_func("/ahci/readonly", test_readonly);
    g_test_add_func("/ahci/host-error", test_host_error);
    g_test_add_func("/ahci/state", test_state);
    g_test_add_func("/ahci/hostile", test_hostile);
    status = g_test_run();
    g_unlink(disk);
    g_unlink(disc);
    g_rmdir(folder);
    return status;
}
