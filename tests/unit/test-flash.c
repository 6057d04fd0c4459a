/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What firmware meets first: the flash banks with Intel's commands and a drive behind them, and fw_cfg with its directory and DMA.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "block/block.h"
#include "hw/block/pflash-cfi01.h"
#include "hw/nvram/fw-cfg.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "tests/unit/bare.h"

#define RAM_BASE 0x80000000ull
#define FLASH    0x20000000ull
#define FW_CFG   0x10100000ull

enum {
    RAM_SIZE = 64 * 1024,
    BANK = 1 << 20,
    DMA_ERROR = 1,
    DMA_READ = 2,
    DMA_SKIP = 4,
    DMA_SELECT = 8,
    DMA_WRITE = 16
};

static uint8_t *ram_host;
static char *folder, *file;

static void store(uint64_t addr, uint64_t value, unsigned size)
{
    g_assert_cmpint(memory_store(addr, size, value), ==, MEM_OK);
}

static uint64_t load(uint64_t addr, unsigned size)
{
    uint64_t value;

    g_assert_cmpint(memory_load(addr, size, &value), ==, MEM_OK);
    return value;
}

/* ---- Flash ---- */

/* A command to both chips. */
static void command(uint64_t offset, uint32_t cmd)
{
    store(FLASH + offset, cmd * 0x10001u, 4);
}

static uint32_t status(void)
{
    uint32_t value;

    command(0, 0x70);
    value = (uint32_t)load(FLASH, 4);
    g_assert_cmphex(value & 0xffff, ==, value >> 16);
    command(0, 0x50);
    command(0, 0xff);
    return value & 0xffff;
}

static void make_file(size_t size)
{
    g_autofree char *data = g_malloc(size);

    memset(data, 0x5a, size);
    g_assert_true(g_file_set_contents(file, data, (gssize)size, NULL));
}

static HwDevice *flash_new(bool drive, bool readonly)
{
    BlockOptions options = { .id = "flash", .file = file, .readonly = readonly };
    g_autoptr(GError) error = NULL;
    HwDevice *dev = hw_pflash_new("bank", BANK, drive ? block_open(&options, NULL) : NULL);

    g_assert_true(hw_device_realize(dev, &error));
    g_assert_no_error(error);
    machine_lock();
    hw_device_map(dev, 0, NULL, FLASH);
    memory_commit();
    hw_device_reset(dev);
    machine_unlock();
    return dev;
}

static void flash_free(HwDevice *dev)
{
    machine_lock();
    g_object_unref(dev);
    memory_commit();
    block_close_all();
    machine_unlock();
}

static uint8_t file_byte(size_t at)
{
    g_autofree char *data = NULL;
    gsize size;

    g_assert_true(g_file_get_contents(file, &data, &size, NULL));
    g_assert_cmpuint(at, <, size);
    return (uint8_t)data[at];
}

static void test_query(void)
{
    HwDevice *dev = flash_new(false, false);

    command(0x55 * 4, 0x98);
    g_assert_cmphex(load(FLASH + 0x10 * 4, 4), ==, 0x00510051);
    g_assert_cmphex(load(FLASH + 0x11 * 4, 2), ==, 'R');
    g_assert_cmphex(load(FLASH + 0x12 * 4, 1), ==, 'Y');
    g_assert_cmpuint(load(FLASH + 0x27 * 4, 1), ==, 19); /* each chip: half a MiB */
    g_assert_cmpuint(load(FLASH + 0x2d * 4, 1), ==, BANK / HW_PFLASH_SECTOR - 1);
    g_assert_cmpuint(load(FLASH + 0x30 * 4, 1) << 16, ==, HW_PFLASH_SECTOR / 2);
    command(0, 0x90);
    g_assert_cmphex(load(FLASH, 4), ==, 0x00890089);
    command(0, 0xff);
    g_assert_cmphex(load(FLASH, 4), ==, 0);
    flash_free(dev);
}

static void test_program(void)
{
    HwDevice *dev;

    make_file(BANK);
    dev = flash_new(true, false);
    g_assert_cmphex(load(FLASH + BANK - 4, 4), ==, 0x5a5a5a5a);
    command(0x1000, 0x40);
    store(FLASH + 0x1000, 0xf0f0f0f0, 4);
    g_assert_cmphex(status(), ==, 0x80);
    g_assert_cmphex(load(FLASH + 0x1000, 4), ==, 0x50505050); /* bits only go to 0 */
    g_assert_cmphex(file_byte(0x1001), ==, 0x50);
    command(HW_PFLASH_SECTOR + 16, 0x20);
    command(HW_PFLASH_SECTOR + 16, 0xd0);
    g_assert_cmphex(status(), ==, 0x80);
    g_assert_cmphex(load(FLASH + HW_PFLASH_SECTOR - 4, 4), ==, 0x5a5a5a5a);
    g_assert_cmphex(load(FLASH + HW_PFLASH_SECTOR, 4), ==, 0xffffffff);
    g_assert_cmphex(file_byte(2 * HW_PFLASH_SECTOR - 1), ==, 0xff);
    g_assert_cmphex(file_byte(2 * HW_PFLASH_SECTOR), ==, 0x5a);
    command(0, 0x20);
    command(0, 0x55); /* not confirmed */
    g_assert_cmphex(status(), ==, 0xb0);
    g_assert_cmphex(load(FLASH, 4), ==, 0x5a5a5a5a);
    flash_free(dev);
}

static void test_buffer(void)
{
    const uint64_t at = HW_PFLASH_SECTOR + 0x80;
    HwDevice *dev;

    make_file(BANK);
    dev = flash_new(true, false);
    command(at, 0x20);
    command(at, 0xd0);
    command(HW_PFLASH_SECTOR, 0xe8);
    g_assert_cmphex(load(FLASH + at, 4), ==, 0x00800080);
    command(HW_PFLASH_SECTOR, 31);
    for (unsigned i = 0; i < 32; i++) {
        store(FLASH + at + 4 * i, i, 4);
    }
    command(HW_PFLASH_SECTOR, 0xd0);
    g_assert_cmphex(status(), ==, 0x80);
    for (unsigned i = 0; i < 32; i++) {
        g_assert_cmphex(load(FLASH + at + 4 * i, 4), ==, i);
    }
    g_assert_cmphex(load(FLASH + at + 128, 4), ==, 0xffffffff);
    g_assert_cmphex(file_byte(at + 4), ==, 1);
    command(at, 0xe8);
    command(at, 0xffff); /* more than the buffer holds */
    g_assert_cmphex(status(), ==, 0xb0);
    command(at, 0xe8);
    command(at, 1);
    store(FLASH + at, 0, 4);
    store(FLASH, 0, 4); /* in another part of the bank */
    g_assert_cmphex(status(), ==, 0xb0);
    g_assert_cmphex(load(FLASH, 4), ==, 0x5a5a5a5a);
    flash_free(dev);
}

static void test_readonly(void)
{
    HwDevice *dev;

    make_file(BANK);
    dev = flash_new(true, true);
    command(0, 0x40);
    store(FLASH, 0, 4);
    g_assert_cmphex(status(), ==, 0x92);
    command(0, 0x20);
    command(0, 0xd0);
    g_assert_cmphex(status(), ==, 0xa2);
    g_assert_cmphex(load(FLASH, 4), ==, 0x5a5a5a5a);
    flash_free(dev);
}

static void test_file_sizes(void)
{
    BlockOptions options = { .id = "flash", .file = file };
    g_autoptr(GError) error = NULL;
    HwDevice *dev;

    make_file(HW_PFLASH_SECTOR);
    dev = flash_new(true, false);
    g_assert_cmphex(load(FLASH + HW_PFLASH_SECTOR - 4, 4), ==, 0x5a5a5a5a);
    g_assert_cmphex(load(FLASH + HW_PFLASH_SECTOR, 4), ==, 0xffffffff);
    command(HW_PFLASH_SECTOR, 0x40);
    store(FLASH + HW_PFLASH_SECTOR, 0, 4);
    g_assert_cmphex(status(), ==, 0x92);
    flash_free(dev);
    make_file(BANK + 1);
    dev = hw_pflash_new("bank", BANK, block_open(&options, NULL));
    g_assert_false(hw_device_realize(dev, &error));
    g_assert_nonnull(strstr(error->message, file));
    flash_free(dev);
}

/* ---- fw_cfg ---- */

static HwDevice *fw_cfg_new(void)
{
    HwDevice *dev = hw_fw_cfg_new();
    g_autoptr(GBytes) text = g_bytes_new_static("some text", 9);

    g_assert_true(hw_device_realize(dev, NULL));
    machine_lock();
    hw_device_map(dev, 0, NULL, FW_CFG);
    memory_commit();
    hw_device_reset(dev);
    machine_unlock();
    hw_fw_cfg_add_number(dev, HW_FW_CFG_NB_CPUS, 3, 2);
    hw_fw_cfg_add_file(dev, "opt/text", text);
    hw_fw_cfg_add_file(dev, "opt/more", text);
    hw_fw_cfg_add_file(dev, "opt/text", text);
    return dev;
}

static void fw_cfg_free(HwDevice *dev)
{
    machine_lock();
    g_object_unref(dev);
    memory_commit();
    machine_unlock();
}

static void select_key(uint16_t key)
{
    store(FW_CFG + 8, GUINT16_TO_BE(key), 2);
}

static void test_items(void)
{
    HwDevice *dev = fw_cfg_new();
    char text[10] = { 0 };

    select_key(HW_FW_CFG_SIGNATURE);
    g_assert_cmphex(load(FW_CFG, 4), ==, 0x554d4551); /* bytes in order */
    g_assert_cmphex(load(FW_CFG, 8), ==, 0);          /* behind the end */
    select_key(HW_FW_CFG_ID);
    g_assert_cmphex(load(FW_CFG, 4), ==, 3);
    select_key(HW_FW_CFG_NB_CPUS);
    g_assert_cmphex(load(FW_CFG, 1), ==, 3);
    select_key(HW_FW_CFG_FILE_DIR);
    g_assert_cmphex(load(FW_CFG, 4), ==, GUINT32_TO_BE(2));
    g_assert_cmphex(load(FW_CFG, 4), ==, GUINT32_TO_BE(9));
    g_assert_cmphex(load(FW_CFG, 4), ==, GUINT16_TO_BE(HW_FW_CFG_FILE_FIRST));
    g_assert_cmphex(load(FW_CFG, 8), ==, 0x747865742f74706f); /* "opt/text" */
    select_key(HW_FW_CFG_FILE_FIRST);
    for (unsigned i = 0; i < 9; i++) {
        text[i] = (char)load(FW_CFG, 1);
    }
    g_assert_cmpstr(text, ==, "some text");
    select_key(0x1234);
    g_assert_cmphex(load(FW_CFG, 8), ==, 0);
    fw_cfg_free(dev);
}

/* Runs a command at RAM_BASE and returns its control word afterwards. */
static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
    uint32_t words[] = { GUINT32_TO_BE(control), GUINT32_TO_BE(length) };
    uint64_t be = GUINT64_TO_BE(address);

    memcpy(ram_host, words, sizeof(words));
    memcpy(ram_host + 8, &be, sizeof(be));
    store(FW_CFG + 16, GUINT64_TO_BE(RAM_BASE), 8);
    memcpy(&control, ram_host, sizeof(control));
    return GUINT32_FROM_BE(control);
}

static void test_dma(void)
{
    const uint32_t key = HW_FW_CFG_FILE_FIRST << 16;
    HwDevice *dev = fw_cfg_new();
    char *buf = (char *)ram_host + 0x100;

    g_assert_cmphex(load(FW_CFG + 16, 8), ==, GUINT64_TO_BE(0x51454d5520434647));
    g_assert_cmphex(load(FW_CFG + 16, 4), ==, 0x554d4551);
    memset(buf, 0xff, 64);
    g_assert_cmphex(dma(key | DMA_SELECT | DMA_READ, 16, RAM_BASE + 0x100), ==, 0);
    g_assert_cmpmem(buf, 17, "some text\0\0\0\0\0\0\0\xff", 17);
    g_assert_cmphex(dma(key | DMA_SELECT | DMA_SKIP, 5, 0), ==, 0);
    g_assert_cmphex(dma(DMA_READ, 4, RAM_BASE + 0x100), ==, 0);
    g_assert_cmpmem(buf, 4, "text", 4);
    store(FW_CFG + 16, 0, 4); /* the address in two halves */
    memset(ram_host, 0xee, 4);
    store(FW_CFG + 20, GUINT32_TO_BE((uint32_t)RAM_BASE), 4);
    g_assert_cmphex(ram_host[0], ==, 0);
    /* Wild commands. */
    g_assert_cmphex(dma(key | DMA_SELECT | DMA_READ, 16, 0), ==, DMA_ERROR);
    g_assert_cmphex(dma(key | DMA_SELECT | DMA_READ, 16, FW_CFG + 16), ==, DMA_ERROR);
    g_assert_cmphex(dma(key | DMA_SELECT | DMA_READ, UINT32_MAX, RAM_BASE + 0x8000), ==, DMA_ERROR);
    g_assert_cmphex(dma(key | DMA_SELECT | DMA_WRITE, 4, RAM_BASE + 0x100), ==, DMA_ERROR);
    g_assert_cmphex(dma(key | DMA_SELECT | DMA_SKIP, UINT32_MAX, 0), ==, 0);
    store(FW_CFG + 16, GUINT64_TO_BE(RAM_BASE + RAM_SIZE - 8), 8);
    store(FW_CFG + 16, UINT64_MAX, 8);
    store(FW_CFG + 16, GUINT64_TO_BE(FW_CFG), 8);
    fw_cfg_free(dev);
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("test-flash-XXXXXX", NULL);
    file = g_build_filename(folder, "flash", NULL);
    ram_host = bare_init(64 << 20, RAM_BASE, RAM_SIZE);
    g_test_add_func("/flash/query", test_query);
    g_test_add_func("/flash/program", test_program);
    g_test_add_func("/flash/buffer", test_buffer);
    g_test_add_func("/flash/readonly", test_readonly);
    g_test_add_func("/flash/file-sizes", test_file_sizes);
    g_test_add_func("/fw-cfg/items", test_items);
    g_test_add_func("/fw-cfg/dma", test_dma);
    result = g_test_run();
    g_unlink(file);
    g_rmdir(folder);
    return result;
}
