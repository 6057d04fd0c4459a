/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firmware configuration device, after QEMU's published interface description. Items are blobs with 16-bit keys; a directory item
 * gives names to those from HW_FW_CFG_FILE_FIRST on. The guest selects one and reads it byte by byte from the data register, or has it copied
 * to memory by a DMA command. All registers are big-endian, the data register is a stream of bytes at every width.
 *
 * DMA goes to RAM only: a guest that aims it at a device gets the error bit.
 */
#include "hw/nvram/fw-cfg.h"
#include <inttypes.h>
#include <string.h>
#include "util/log.h"

enum { DATA = 0, SELECTOR = 8, DMA = 16, SIZE = 24, NAME_SIZE = 56 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
enum { ID_TRADITIONAL = 1, ID_DMA = 2, KEY_WRITE = 0x4000, KEY_NONE = 0xffff };

static const uint64_t dma_signature = 0x51454d5520434647; /* "QEMU CFG" */

typedef struct FwFile {
    uint32_t size; /* as the guest sees it: big-endian */
    uint16_t key, reserved;
    char name[NAME_SIZE];
} FwFile;

/* What a DMA command looks like in guest memory, big-endian. */
typedef struct FwDma {
    uint32_t control, length;
    uint64_t address;
} FwDma;

typedef struct HwFwCfg {
    HwDevice parent;
    MemoryRegion mmio;
    GHashTable *items; /* key -> GBytes */
    GArray *files;     /* of FwFile */
    uint16_t key;      /* selected */
    uint32_t offset;   /* of the next byte in it */
    uint32_t dma_high; /* upper half of the next command's address */
} HwFwCfg;

typedef struct HwFwCfgClass {
    HwDeviceClass parent;
} HwFwCfgClass;

G_DEFINE_TYPE(HwFwCfg, hw_fw_cfg, HW_TYPE_DEVICE)

/* ---- Items ---- */

void hw_fw_cfg_add_item(HwDevice *dev, uint16_t key, GBytes *data)
{
    HwFwCfg *s = (HwFwCfg *)dev;

    g_hash_table_replace(s->items, GUINT_TO_POINTER(key), g_bytes_ref(data));
}

static void take_item(HwFwCfg *s, uint16_t key, GBytes *data)
{
    hw_fw_cfg_add_item(&s->parent, key, data);
    g_bytes_unref(data);
}

void hw_fw_cfg_add_number(HwDevice *dev, uint16_t key, uint64_t value, unsigned bytes)
{
    uint64_t le = GUINT64_TO_LE(value);

    take_item((HwFwCfg *)dev, key, g_bytes_new(&le, bytes));
}

/* The directory: the number of files, then the files. */
static void update_directory(HwFwCfg *s)
{
    GByteArray *dir = g_byte_array_new();
    uint32_t n = GUINT32_TO_BE(s->files->len);

    g_byte_array_append(dir, (const uint8_t *)&n, sizeof(n));
    g_byte_array_append(dir, (const uint8_t *)s->files->data,
                        s->files->len * (guint)sizeof(FwFile));
    take_item(s, HW_FW_CFG_FILE_DIR, g_byte_array_free_to_bytes(dir));
}

static FwFile *find_file(HwFwCfg *s, const char *name)
{
    for (unsigned i = 0; i < s->files->len; i++) {
        FwFile *f = &g_array_index(s->files, FwFile, i);

        if (!strcmp(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

void hw_fw_cfg_add_file(HwDevice *dev, const char *name, GBytes *data)
{
    HwFwCfg *s = (HwFwCfg *)dev;
    FwFile *f = find_file(s, name);

    g_assert(strlen(name) < NAME_SIZE && g_bytes_get_size(data) <= UINT32_MAX);
    if (!f) {
        FwFile fresh = { .key = GUINT16_TO_BE((uint16_t)(HW_FW_CFG_FILE_FIRST + s->files->len)) };

        g_strlcpy(fresh.name, name, NAME_SIZE);
        g_array_append_val(s->files, fresh);
        f = &g_array_index(s->files, FwFile, s->files->len - 1);
    }
    f->size = GUINT32_TO_BE((uint32_t)g_bytes_get_size(data));
    hw_fw_cfg_add_item(dev, GUINT16_FROM_BE(f->key), data);
    update_directory(s);
}

/* ---- The data stream ---- */

static void select_item(HwFwCfg *s, uint16_t key)
{
    s->key = key & ~KEY_WRITE;
    s->offset = 0;
}

/* Up to @len bytes that are left of the selected item; moves on. NULL: none. */
static const uint8_t *next_bytes(HwFwCfg *s, uint64_t *len)
{
    GBytes *item = g_hash_table_lookup(s->items, GUINT_TO_POINTER(s->key));
    gsize size = 0;
    const uint8_t *data = item ? g_bytes_get_data(item, &size) : NULL;

    if (s->offset >= size) {
        *len = 0;
        return NULL;
    }
    data += s->offset;
    *len = MIN(*len, size - s->offset);
    s->offset += (uint32_t)*len;
    return data;
}

static uint64_t read_data(HwFwCfg *s, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        uint64_t len = 1;
        const uint8_t *byte = next_bytes(s, &len);

        value = value << 8 | (byte ? *byte : 0);
    }
    return value;
}

/* ---- DMA ---- */

static uint8_t *map_ram(uint64_t addr, uint64_t *len)
{
    return *len ? memory_map(addr, len, true) : NULL;
}

/* Copies @len bytes of the item to @addr; what lies behind its end reads as zeroes. False: not all of it is RAM. */
static bool dma_read(HwFwCfg *s, uint64_t addr, uint64_t len)
{
    while (len) {
        uint64_t there = len, have;
        uint8_t *host = map_ram(addr, &there);
        const uint8_t *data;

        if (!host) {
            return false;
        }
        have = there;
        data = next_bytes(s, &have);
        if (data) {
            memcpy(host, data, have);
        }
        memset(host + have, 0, there - have);
        memory_written(host, there);
        addr += there;
        len -= there;
    }
    return true;
}

static bool dma_run(HwFwCfg *s, uint32_t control, uint64_t addr, uint32_t len)
{
    uint64_t skip = len;

    if (control & DMA_SELECT) {
        select_item(s, (uint16_t)(control >> 16));
    }
    if (control & DMA_READ) {
        return dma_read(s, addr, len);
    }
    if (control & DMA_WRITE) {
        return false; /* there is nothing to write */
    }
    if (control & DMA_SKIP) {
        next_bytes(s, &skip);
    }
    return true;
}

static void dma_start(HwFwCfg *s, uint64_t addr)
{
    uint64_t len = sizeof(FwDma);
    uint8_t *host = map_ram(addr, &len);
    uint32_t result;
    FwDma dma;

    if (!host || len < sizeof(dma)) {
        log_guest_error("fw_cfg: DMA command at %#" PRIx64 " is not in RAM", addr);
        return;
    }
    memcpy(&dma, host, sizeof(dma));
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if (dma_run(s, GUINT32_FROM_BE(dma.control), GUINT64_FROM_BE(dma.address),
                GUINT32_FROM_BE(dma.length))) {
        result = 0;
    } else {
        log_guest_error("fw_cfg: DMA command at %#" PRIx64 " failed", addr);
        result = GUINT32_TO_BE(DMA_ERROR);
    }
    memcpy(host, &result, sizeof(result));
    memory_written(host, sizeof(result));
}

/* ---- Registers ---- */

static uint64_t fw_cfg_read(void *opaque, uint64_t offset, unsigned size)
{
    HwFwCfg *s = opaque;

    if (offset < SELECTOR) {
        return read_data(s, size);
    }
    if (offset >= DMA) {
        uint64_t shift = 8 * (DMA + 8 - offset - size);

        return dma_signature >> shift & (size == 8 ? UINT64_MAX : (1ull << (8 * size)) - 1);
    }
    return 0;
}

static void fw_cfg_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwFwCfg *s = opaque;

    if (offset == SELECTOR && size == 2) {
        select_item(s, (uint16_t)value);
    } else if (offset == DMA && size == 8) {
        dma_start(s, value);
    } else if (offset == DMA && size == 4) {
        s->dma_high = (uint32_t)value;
    } else if (offset == DMA + 4 && size == 4) {
        dma_start(s, (uint64_t)s->dma_high << 32 | (uint32_t)value);
        s->dma_high = 0;
    } else {
        log_guest_error("fw_cfg: write of %u bytes at offset %#" PRIx64, size, offset);
    }
}

static const MemoryRegionOps fw_cfg_ops = { .read = fw_cfg_read,
                                            .write = fw_cfg_write,
                                            .big_endian = true };

/* ---- The device object ---- */

static bool fw_cfg_realize(HwDevice *dev, GError **error)
{
    HwFwCfg *s = (HwFwCfg *)dev;

    memory_region_init_io(&s->mmio, "fw_cfg", SIZE, &fw_cfg_ops, s);
    hw_device_add_region(dev, &s->mmio);
    return true;
}

static void fw_cfg_fdt(HwDevice *dev, HwFdt *fdt)
{
    g_autofree char *node = g_strdup_printf("/fw-cfg@%" PRIx64, dev->addr[0]);

    hw_fdt_add_node(fdt, node);
    hw_fdt_set_empty(fdt, node, "dma-coherent");
    hw_fdt_set_reg(fdt, node, dev->addr[0], SIZE);
    hw_fdt_set_string(fdt, node, "compatible", "qemu,fw-cfg-mmio");
}

static const StateField fw_cfg_state[] = {
    HW_FIELD(HwFwCfg, key, STATE_U16, KEY_NONE, "selected item"),
    HW_FIELD(HwFwCfg, offset, STATE_U32, 0, "next byte of it"),
    HW_FIELD(HwFwCfg, dma_high, STATE_U32, 0, "upper half of the next command's address"),
    { 0 },
};

static void hw_fw_cfg_finalize(GObject *object)
{
    HwFwCfg *s = (HwFwCfg *)object;

    g_hash_table_unref(s->items);
    g_array_unref(s->files);
    G_OBJECT_CLASS(hw_fw_cfg_parent_class)->finalize(object);
}

static void hw_fw_cfg_init(HwFwCfg *s)
{
    s->items = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_bytes_unref);
    s->files = g_array_new(FALSE, FALSE, sizeof(FwFile));
    take_item(s, HW_FW_CFG_SIGNATURE, g_bytes_new_static("QEMU", 4));
    hw_fw_cfg_add_number(&s->parent, HW_FW_CFG_ID, ID_TRADITIONAL | ID_DMA, 4);
    update_directory(s);
}

static void hw_fw_cfg_class_init(HwFwCfgClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_fw_cfg_finalize;
    dc->model = "fw_cfg_mem";
    dc->desc = "firmware configuration";
    dc->state = fw_cfg_state;
    dc->realize = fw_cfg_realize;
    dc->fdt = fw_cfg_fdt;
}

HwDevice *hw_fw_cfg_new(void)
{
    return hw_device_new(hw_fw_cfg_get_type(), NULL);
}
