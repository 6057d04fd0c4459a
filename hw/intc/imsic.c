/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Incoming MSI Controllers. A file is a set of pending and a set of enabled identities; the lower number has priority. Messages come from any
 * thread, without the machine lock (a hart's message to another is its interprocessor interrupt), so each file has a lock of its own, which is held
 * for as long as it takes to look at its few words and to set the hart's line.
 *
 * The files serve nobody but the IMSIC: eidelivery cannot be 0x40000000 (delivery from an APLIC).
 */
#include "hw/intc/imsic.h"
#include <inttypes.h>

enum {
    MAX_HARTS = 16,
    PAGE = 4096,
    MIN_IDS = 63,
    MAX_IDS = 2047,
    DEFAULT_IDS = 255,
    WORDS = (MAX_IDS + 1) / 64,
    SETEIPNUM_LE = 0,
    SETEIPNUM_BE = 4,
    EIDELIVERY = 0x70,
    EITHRESHOLD = 0x72,
    EIP0 = 0x80,
    EIE0 = 0xc0,
    EIE63 = 0xff,
    TOPEI_ID_SHIFT = 16,
};

typedef struct ImsicFile {
    GMutex lock; /* of `raised` and of the hart's part of the device's state */
    struct HwImsic *imsic;
    unsigned hart;
    Irq *line;
    bool raised; /* what the line was set to */
} ImsicFile;

typedef struct HwImsic {
    HwDevice parent;
    MemoryRegion mmio;
    bool mmode;
    uint32_t n_harts, n_ids;
    ImsicFile files[MAX_HARTS];
    uint64_t pending[MAX_HARTS * WORDS], enabled[MAX_HARTS * WORDS];
    uint32_t delivery[MAX_HARTS], threshold[MAX_HARTS];
} HwImsic;

typedef struct HwImsicClass {
    HwDeviceClass parent;
} HwImsicClass;

G_DEFINE_TYPE(HwImsic, hw_imsic, HW_TYPE_DEVICE)

/* ---- A file; its lock held ---- */

/* 0: none. */
static unsigned top_id(const ImsicFile *f)
{
    const uint64_t *pending = f->imsic->pending + f->hart * WORDS,
                   *enabled = f->imsic->enabled + f->hart * WORDS;
    uint32_t threshold = f->imsic->threshold[f->hart];

    for (unsigned w = 0; w <= f->imsic->n_ids / 64; w++) {
        uint64_t bits = pending[w] & enabled[w];

        if (bits) {
            unsigned id = w * 64 + (unsigned)__builtin_ctzll(bits);

            return !threshold || id < threshold ? id : 0;
        }
    }
    return 0;
}

static void update_line(ImsicFile *f)
{
    bool level = f->imsic->delivery[f->hart] && top_id(f);

    if (level != f->raised) {
        f->raised = level;
        irq_set(f->line, level);
    }
}

/* The same when it is not known what the hart was told last. */
static void force_line(ImsicFile *f)
{
    f->raised = f->imsic->delivery[f->hart] && top_id(f);
    irq_set(f->line, f->raised);
}

static void change(uint32_t *reg, uint64_t value, uint64_t mask)
{
    *reg = (uint32_t)((*reg & ~mask) | (value & mask));
}

/* WARL: values that are not supported change nothing. */
static uint64_t access_delivery(ImsicFile *f, uint64_t value, uint64_t mask)
{
    uint32_t old = f->imsic->delivery[f->hart], wanted = old;

    change(&wanted, value, mask);
    f->imsic->delivery[f->hart] = wanted <= 1 ? wanted : old;
    return old;
}

static uint64_t access_threshold(ImsicFile *f, uint64_t value, uint64_t mask)
{
    uint32_t old = f->imsic->threshold[f->hart], wanted = old;

    change(&wanted, value, mask);
    f->imsic->threshold[f->hart] = wanted <= f->imsic->n_ids ? wanted : old;
    return old;
}

/* 32 bits at register @i of the array, or with @xlen 64 the 64 bits from there on. There is no identity 0. */
static uint64_t access_array(ImsicFile *f, uint64_t *array, unsigned i, unsigned xlen,
                             uint64_t value, uint64_t mask)
{
    unsigned w = i / 2, shift = i % 2 * 32;
    uint64_t old;

    if (w > f->imsic->n_ids / 64) {
        return 0;
    }
    array += f->hart * WORDS + w;
    old = *array;
    mask = xlen == 64 ? mask : (uint64_t)(uint32_t)mask << shift;
    mask &= w ? UINT64_MAX : ~1ull;
    *array = (old & ~mask) | (value << shift & mask);
    return xlen == 64 ? old : (uint32_t)(old >> shift);
}

static uint64_t access_register(ImsicFile *f, unsigned n, unsigned xlen, uint64_t value,
                                uint64_t mask)
{
    if (n >= EIE0 && n <= EIE63) {
        return access_array(f, f->imsic->enabled, n - EIE0, xlen, value, mask);
    }
    if (n >= EIP0 && n < EIE0) {
        return access_array(f, f->imsic->pending, n - EIP0, xlen, value, mask);
    }
    switch (n) {
    case EIDELIVERY:
        return access_delivery(f, value, mask);
    case EITHRESHOLD:
        return access_threshold(f, value, mask);
    default:
        return 0; /* reserved */
    }
}

/* ---- For the hart ---- */

uint64_t hw_imsic_topei(void *file, bool claim)
{
    ImsicFile *f = file;
    uint64_t id;

    g_mutex_lock(&f->lock);
    id = top_id(f);
    if (claim && id) {
        f->imsic->pending[f->hart * WORDS + id / 64] &= ~(1ull << id % 64);
        update_line(f);
    }
    g_mutex_unlock(&f->lock);
    return id << TOPEI_ID_SHIFT | id;
}

uint64_t hw_imsic_access(void *file, unsigned n, unsigned xlen, uint64_t value, uint64_t mask)
{
    ImsicFile *f = file;
    uint64_t old;

    g_mutex_lock(&f->lock);
    old = access_register(f, n, xlen, value, mask);
    if (mask) {
        update_line(f);
    }
    g_mutex_unlock(&f->lock);
    return old;
}

/* ---- Messages ---- */

static void take_message(ImsicFile *f, uint32_t id)
{
    if (!id || id > f->imsic->n_ids) {
        return;
    }
    g_mutex_lock(&f->lock);
    f->imsic->pending[f->hart * WORDS + id / 64] |= 1ull << id % 64;
    update_line(f);
    g_mutex_unlock(&f->lock);
}

static uint64_t imsic_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void imsic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwImsic *s = opaque;

    if (offset / PAGE >= s->n_harts) {
        return;
    }
    switch (offset % PAGE) {
    case SETEIPNUM_LE:
        take_message(&s->files[offset / PAGE], (uint32_t)value);
        break;
    case SETEIPNUM_BE:
        take_message(&s->files[offset / PAGE], GUINT32_SWAP_LE_BE((uint32_t)value));
        break;
    }
}

static const MemoryRegionOps imsic_ops = {
    .read = imsic_read,
    .write = imsic_write,
    .min_access = 4,
    .max_access = 4,
    .min_valid = 4,
    .max_valid = 4,
    .lockless = true,
    .takes_messages = true,
};

/* ---- The device object ---- */

static bool imsic_realize(HwDevice *dev, GError **error)
{
    HwImsic *s = (HwImsic *)dev;
    uint64_t pages = 1;

    if (s->n_ids % 64 != 63) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "riscv.imsic: num-ids=%u is not one less than a multiple of 64", s->n_ids);
        return false;
    }
    /* 3.6: up to the next power of 2 there are pages of zeroes. */
    while (pages < s->n_harts) {
        pages *= 2;
    }
    memory_region_init_io(&s->mmio, "riscv.imsic", pages * PAGE, &imsic_ops, s);
    hw_device_add_region(dev, &s->mmio);
    return true;
}

static void update_all(HwImsic *s)
{
    for (unsigned i = 0; i < s->n_harts; i++) {
        g_mutex_lock(&s->files[i].lock);
        force_line(&s->files[i]);
        g_mutex_unlock(&s->files[i].lock);
    }
}

static void imsic_reset(HwDevice *dev)
{
    update_all((HwImsic *)dev);
}

static bool imsic_post_load(HwDevice *dev, GError **error)
{
    update_all((HwImsic *)dev);
    return true;
}

char *hw_imsic_fdt_path(HwDevice *dev)
{
    return g_strdup_printf("/soc/interrupt-controller@%" PRIx64, dev->addr[0]);
}

static void imsic_fdt(HwDevice *dev, HwFdt *fdt)
{
    static const char *const compatible[] = { "qemu,imsics", "riscv,imsics", NULL };
    enum { S_EXTERNAL = 9, M_EXTERNAL = 11 };
    HwImsic *s = (HwImsic *)dev;
    g_autofree char *node = hw_imsic_fdt_path(dev);
    uint32_t cells[MAX_HARTS * 2];

    for (unsigned i = 0; i < s->n_harts; i++) {
        g_autofree char *intc = g_strdup_printf("/cpus/cpu@%x/interrupt-controller", i);

        cells[i * 2] = hw_fdt_phandle(fdt, intc);
        cells[i * 2 + 1] = s->mmode ? M_EXTERNAL : S_EXTERNAL;
    }
    hw_fdt_set_strings(fdt, node, "compatible", compatible);
    hw_fdt_set_reg(fdt, node, dev->addr[0], (uint64_t)s->n_harts * PAGE);
    hw_fdt_set_cell(fdt, node, "#interrupt-cells", 0);
    hw_fdt_set_empty(fdt, node, "interrupt-controller");
    hw_fdt_set_cell(fdt, node, "#msi-cells", 0);
    hw_fdt_set_empty(fdt, node, "msi-controller");
    hw_fdt_set_cells(fdt, node, "interrupts-extended", s->n_harts * 2, cells);
    hw_fdt_set_cell(fdt, node, "riscv,num-ids", s->n_ids);
    hw_fdt_phandle(fdt, node);
    if (!s->mmode) {
        hw_fdt_set_msi(fdt, node);
    }
}

static const StateField imsic_state[] = {
    HW_FIELD_ARRAY(HwImsic, pending, STATE_U64, MAX_HARTS *WORDS, 0, "pending, by hart"),
    HW_FIELD_ARRAY(HwImsic, enabled, STATE_U64, MAX_HARTS *WORDS, 0, "enabled, by hart"),
    HW_FIELD_ARRAY(HwImsic, delivery, STATE_U32, MAX_HARTS, 0, "eidelivery, by hart"),
    HW_FIELD_ARRAY(HwImsic, threshold, STATE_U32, MAX_HARTS, 0, "eithreshold, by hart"),
    { 0 },
};

static const HwProp imsic_props[] = {
    HW_PROP(HwImsic, mmode, "mmode", HW_PROP_BOOL, 0, "files of machine level, not supervisor's"),
    { .name = "num-harts",
      .type = HW_PROP_U32,
      .offset = offsetof(HwImsic, n_harts),
      .def = 1,
      .min = 1,
      .max = MAX_HARTS,
      .desc = "harts served" },
    { .name = "num-ids",
      .type = HW_PROP_U32,
      .offset = offsetof(HwImsic, n_ids),
      .def = DEFAULT_IDS,
      .min = MIN_IDS,
      .max = MAX_IDS,
      .desc = "interrupt identities of a file: one less than a multiple of 64" },
    { 0 },
};

static void hw_imsic_init(HwImsic *s)
{
    for (unsigned i = 0; i < MAX_HARTS; i++) {
        s->files[i].imsic = s;
        s->files[i].hart = i;
        g_mutex_init(&s->files[i].lock);
    }
}

static void hw_imsic_finalize(GObject *object)
{
    for (unsigned i = 0; i < MAX_HARTS; i++) {
        g_mutex_clear(&((HwImsic *)object)->files[i].lock);
    }
    G_OBJECT_CLASS(hw_imsic_parent_class)->finalize(object);
}

static void hw_imsic_class_init(HwImsicClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_imsic_finalize;
    dc->model = "riscv.imsic";
    dc->desc = "RISC-V incoming MSI controllers";
    dc->state = imsic_state;
    dc->realize = imsic_realize;
    dc->reset = imsic_reset;
    dc->post_load = imsic_post_load;
    dc->fdt = imsic_fdt;
    hw_device_class_bind_props(dc, imsic_props);
}

HwDevice *hw_imsic_new(unsigned n_harts, bool mmode)
{
    HwDevice *dev = hw_device_new(hw_imsic_get_type(), NULL);

    ((HwImsic *)dev)->n_harts = n_harts;
    ((HwImsic *)dev)->mmode = mmode;
    return dev;
}

void hw_imsic_connect(HwDevice *dev, unsigned hart, Irq *line)
{
    g_assert(hart < MAX_HARTS);
    ((HwImsic *)dev)->files[hart].line = line;
}

void *hw_imsic_file(HwDevice *dev, unsigned hart)
{
    g_assert(hart < MAX_HARTS);
    return &((HwImsic *)dev)->files[hart];
}
