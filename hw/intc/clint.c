/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Core-Local Interruptor: msip at 0x0, mtimecmp at 0x4000, mtime at 0xbff8. mtime counts HW_CLINT_FREQ ticks of the virtual clock plus
 * an offset that writes to it move. The device tree node is the one that Linux and OpenSBI know as "sifive,clint0".
 */
#include "hw/intc/clint.h"
#include <inttypes.h>

enum {
    MAX_HARTS = 16,
    NS_PER_TICK = 1000000000 / HW_CLINT_FREQ,
    MSIP = 0x0,
    MTIMECMP = 0x4000,
    MTIME = 0xbff8,
    SIZE = 0x10000,
};

typedef struct HwClint HwClint;

typedef struct ClintHart {
    HwClint *clint;
    unsigned n;
    Timer timer;
    Irq *msip_line, *mtip_line;
} ClintHart;

struct HwClint {
    HwDevice parent;
    MemoryRegion mmio;
    uint32_t n_harts;
    ClintHart harts[MAX_HARTS];
    uint32_t msip[MAX_HARTS];
    uint64_t mtimecmp[MAX_HARTS];
    uint64_t time_offset; /* atomic: read by the time CSR without the lock */
};

typedef struct HwClintClass {
    HwDeviceClass parent;
} HwClintClass;

G_DEFINE_TYPE(HwClint, hw_clint, HW_TYPE_DEVICE)

uint64_t hw_clint_time(void *clint)
{
    HwClint *s = clint;

    return (uint64_t)clock_now(CLOCK_VIRTUAL) / NS_PER_TICK +
           __atomic_load_n(&s->time_offset, __ATOMIC_RELAXED);
}

/* Raises or lowers mtip and arms the timer for when it changes next. */
static void update_timer(HwClint *s, ClintHart *h)
{
    uint64_t now = hw_clint_time(s), cmp = s->mtimecmp[h->n];
    uint64_t wait = cmp - now;

    irq_set(h->mtip_line, now >= cmp);
    timer_cancel(&h->timer);
    /* A deadline centuries away (all ones is the custom for "never") needs no timer. */
    if (now < cmp && wait < INT64_MAX / NS_PER_TICK / 2) {
        int64_t base = clock_now(CLOCK_VIRTUAL);

        timer_set(&h->timer, base - base % NS_PER_TICK + (int64_t)wait * NS_PER_TICK);
    }
}

static void timer_fired(void *opaque)
{
    ClintHart *h = opaque;

    update_timer(h->clint, h);
}

static uint64_t clint_read(void *opaque, uint64_t offset, unsigned size)
{
    HwClint *s = opaque;
    uint64_t value = 0;

    if (offset >= MTIME && offset < MTIME + 8) {
        value = hw_clint_time(s);
    } else if (offset >= MTIMECMP && offset < MTIMECMP + 8 * s->n_harts) {
        value = s->mtimecmp[(offset - MTIMECMP) / 8];
    } else if (offset < MSIP + 4 * s->n_harts) {
        return s->msip[offset / 4];
    }
    return size == 4 ? (uint32_t)(value >> (offset & 4 ? 32 : 0)) : value;
}

/* @old with the half or whole that a write of @size at @offset replaces. */
static uint64_t merge(uint64_t old, uint64_t offset, uint64_t value, unsigned size)
{
    if (size == 8) {
        return value;
    }
    return offset & 4 ? (old & 0xffffffff) | value << 32 : (old & ~0xffffffffull) | (uint32_t)value;
}

static void clint_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwClint *s = opaque;

    if (offset >= MTIME && offset < MTIME + 8) {
        uint64_t now = hw_clint_time(s), set = merge(now, offset, value, size);

        __atomic_store_n(&s->time_offset, s->time_offset + set - now, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < s->n_harts; i++) {
            update_timer(s, &s->harts[i]);
        }
    } else if (offset >= MTIMECMP && offset < MTIMECMP + 8 * s->n_harts) {
        unsigned i = (unsigned)(offset - MTIMECMP) / 8;

        s->mtimecmp[i] = merge(s->mtimecmp[i], offset, value, size);
        update_timer(s, &s->harts[i]);
    } else if (offset < MSIP + 4 * s->n_harts) {
        s->msip[offset / 4] = value & 1;
        irq_set(s->harts[offset / 4].msip_line, value & 1);
    }
}

static const MemoryRegionOps clint_ops = {
    .read = clint_read,
    .write = clint_write,
    .min_access = 4,
    .max_access = 8,
    .min_valid = 4,
    .max_valid = 8,
};

static bool clint_realize(HwDevice *dev, GError **error)
{
    HwClint *s = (HwClint *)dev;

    memory_region_init_io(&s->mmio, "clint", SIZE, &clint_ops, s);
    hw_device_add_region(dev, &s->mmio);
    return true;
}

static void clint_reset(HwDevice *dev)
{
    HwClint *s = (HwClint *)dev;

    /* mtime goes on from 0 at reset. */
    __atomic_store_n(&s->time_offset, -((uint64_t)clock_now(CLOCK_VIRTUAL) / NS_PER_TICK),
                     __ATOMIC_RELAXED);
    for (unsigned i = 0; i < s->n_harts; i++) {
        timer_cancel(&s->harts[i].timer);
        irq_set(s->harts[i].msip_line, false);
        irq_set(s->harts[i].mtip_line, false);
    }
}

static bool clint_post_load(HwDevice *dev, GError **error)
{
    HwClint *s = (HwClint *)dev;

    for (unsigned i = 0; i < s->n_harts; i++) {
        irq_set(s->harts[i].msip_line, s->msip[i]);
        update_timer(s, &s->harts[i]);
    }
    return true;
}

static void clint_fdt(HwDevice *dev, HwFdt *fdt)
{
    static const char *const compatible[] = { "sifive,clint0", "riscv,clint0", NULL };
    HwClint *s = (HwClint *)dev;
    g_autofree char *node = g_strdup_printf("/soc/clint@%" PRIx64, dev->addr[0]);
    uint32_t cells[MAX_HARTS * 4];

    for (unsigned i = 0; i < s->n_harts; i++) {
        g_autofree char *intc = g_strdup_printf("/cpus/cpu@%x/interrupt-controller", i);
        uint32_t phandle = hw_fdt_phandle(fdt, intc);

        cells[i * 4] = cells[i * 4 + 2] = phandle;
        cells[i * 4 + 1] = 3; /* machine software interrupt */
        cells[i * 4 + 3] = 7; /* machine timer interrupt */
    }
    hw_fdt_add_node(fdt, node);
    hw_fdt_set_cells(fdt, node, "interrupts-extended", s->n_harts * 4, cells);
    hw_fdt_set_reg(fdt, node, dev->addr[0], SIZE);
    hw_fdt_set_strings(fdt, node, "compatible", compatible);
}

static void hw_clint_init(HwClint *s)
{
    for (unsigned i = 0; i < MAX_HARTS; i++) {
        s->harts[i] = (ClintHart){ .clint = s, .n = i };
        timer_init(&s->harts[i].timer, CLOCK_VIRTUAL, timer_fired, &s->harts[i]);
    }
}

static const StateField clint_state[] = {
    HW_FIELD_ARRAY(HwClint, msip, STATE_U32, MAX_HARTS, 0, "software interrupt pending"),
    HW_FIELD_ARRAY(HwClint, mtimecmp, STATE_U64, MAX_HARTS, UINT64_MAX, "timer compare"),
    HW_FIELD(HwClint, time_offset, STATE_U64, 0, "mtime less the virtual clock's ticks"),
    { 0 },
};

static const HwProp clint_props[] = {
    { .name = "num-harts",
      .type = HW_PROP_U32,
      .offset = offsetof(HwClint, n_harts),
      .def = 1,
      .min = 1,
      .max = MAX_HARTS,
      .desc = "harts served" },
    { 0 },
};

static void hw_clint_finalize(GObject *object)
{
    for (unsigned i = 0; i < MAX_HARTS; i++) {
        timer_cancel(&((HwClint *)object)->harts[i].timer);
    }
    G_OBJECT_CLASS(hw_clint_parent_class)->finalize(object);
}

static void hw_clint_class_init(HwClintClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_clint_finalize;
    dc->model = "riscv.clint";
    dc->desc = "RISC-V core-local interruptor";
    dc->state = clint_state;
    dc->realize = clint_realize;
    dc->reset = clint_reset;
    dc->post_load = clint_post_load;
    dc->fdt = clint_fdt;
    hw_device_class_bind_props(dc, clint_props);
}

HwDevice *hw_clint_new(unsigned n_harts)
{
    HwDevice *dev = hw_device_new(hw_clint_get_type(), NULL);

    ((HwClint *)dev)->n_harts = n_harts;
    return dev;
}

void hw_clint_connect(HwDevice *dev, unsigned hart, Irq *msip, Irq *mtip)
{
    HwClint *s = (HwClint *)dev;

    g_assert(hart < MAX_HARTS);
    s->harts[hart].msip_line = msip;
    s->harts[hart].mtip_line = mtip;
}
