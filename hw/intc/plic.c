/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Platform-Level Interrupt Controller: level-triggered gateways, priorities 0-7, per-context enables, thresholds and claim/complete.
 * A source becomes pending when its line is high and it is not being served; a claim takes the pending bit and marks the
 * source as served until the completion.
 */
#include "hw/intc/plic.h"
#include <inttypes.h>

enum {
    MAX_HARTS = 16,
    MAX_CONTEXTS = 2 * MAX_HARTS,
    MAX_SOURCES = 128,
    WORDS = MAX_SOURCES / 32,
    MAX_PRIORITY = 7,
    PENDING = 0x1000,
    ENABLE = 0x2000,
    ENABLE_STRIDE = 0x80,
    CONTEXT = 0x200000,
    CONTEXT_STRIDE = 0x1000,
    SIZE = 0x600000,
};

typedef struct HwPlic {
    HwDevice parent;
    MemoryRegion mmio;
    uint32_t n_harts, n_sources;
    Irq inputs[MAX_SOURCES];
    Irq *lines[MAX_CONTEXTS];
    uint32_t priority[MAX_SOURCES];
    uint32_t pending[WORDS], level[WORDS], served[WORDS];
    uint32_t enable[MAX_CONTEXTS * WORDS];
    uint32_t threshold[MAX_CONTEXTS];
} HwPlic;

typedef struct HwPlicClass {
    HwDeviceClass parent;
} HwPlicClass;

G_DEFINE_TYPE(HwPlic, hw_plic, HW_TYPE_DEVICE)

/* The pending, enabled source of the highest priority above @floor (the lowest number among equals); 0: none. */
static unsigned best_source(const HwPlic *s, unsigned context, uint32_t floor)
{
    unsigned best = 0;
    uint32_t best_priority = floor;

    for (unsigned w = 0; w < WORDS; w++) {
        uint32_t bits = s->pending[w] & s->enable[context * WORDS + w];

        for (; bits; bits &= bits - 1) {
            unsigned source = w * 32 + (unsigned)__builtin_ctz(bits);

            if (s->priority[source] > best_priority) {
                best = source;
                best_priority = s->priority[source];
            }
        }
    }
    return best;
}

static void update(HwPlic *s)
{
    for (unsigned w = 0; w < WORDS; w++) {
        s->pending[w] |= s->level[w] & ~s->served[w];
    }
    for (unsigned c = 0; c < 2 * s->n_harts; c++) {
        irq_set(s->lines[c], best_source(s, c, s->threshold[c]) != 0);
    }
}

static void input_changed(void *opaque, unsigned source, bool level)
{
    HwPlic *s = opaque;
    uint32_t bit = 1u << (source % 32), *word = &s->level[source / 32];
    uint32_t old = *word;

    *word = level ? old | bit : old & ~bit;
    if (*word != old && level) {
        update(s);
    }
}

static uint32_t claim(HwPlic *s, unsigned context)
{
    unsigned source = best_source(s, context, 0);

    if (source) {
        s->pending[source / 32] &= ~(1u << (source % 32));
        s->served[source / 32] |= 1u << (source % 32);
        update(s);
    }
    return source;
}

static void complete(HwPlic *s, unsigned context, uint32_t source)
{
    if (source && source <= s->n_sources &&
        (s->enable[context * WORDS + source / 32] >> (source % 32) & 1)) {
        s->served[source / 32] &= ~(1u << (source % 32));
        update(s);
    }
}

static uint64_t plic_read(void *opaque, uint64_t offset, unsigned size)
{
    HwPlic *s = opaque;
    unsigned contexts = 2 * s->n_harts;

    if (offset < PENDING) {
        return offset / 4 <= s->n_sources ? s->priority[offset / 4] : 0;
    }
    if (offset < ENABLE) {
        return (offset - PENDING) / 4 < WORDS ? s->pending[(offset - PENDING) / 4] : 0;
    }
    if (offset < CONTEXT) {
        unsigned c = (unsigned)(offset - ENABLE) / ENABLE_STRIDE,
                 w = (offset - ENABLE) % ENABLE_STRIDE / 4;

        return c < contexts && w < WORDS ? s->enable[c * WORDS + w] : 0;
    }
    unsigned c = (unsigned)(offset - CONTEXT) / CONTEXT_STRIDE;

    if (c < contexts) {
        switch (offset % CONTEXT_STRIDE) {
        case 0:
            return s->threshold[c];
        case 4:
            return claim(s, c);
        }
    }
    return 0;
}

static void write_enable(HwPlic *s, uint64_t offset, uint32_t value)
{
    unsigned c = (unsigned)offset / ENABLE_STRIDE, w = offset % ENABLE_STRIDE / 4;

    if (c < 2 * s->n_harts && w < WORDS) {
        s->enable[c * WORDS + w] = w == 0 ? value & ~1u : value;
        update(s);
    }
}

static void plic_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwPlic *s = opaque;

    if (offset < PENDING) {
        if (offset && offset / 4 <= s->n_sources) {
            s->priority[offset / 4] = value & MAX_PRIORITY;
            update(s);
        }
    } else if (offset >= ENABLE && offset < CONTEXT) {
        write_enable(s, offset - ENABLE, (uint32_t)value);
    } else if (offset >= CONTEXT && (offset - CONTEXT) / CONTEXT_STRIDE < 2 * s->n_harts) {
        unsigned c = (unsigned)(offset - CONTEXT) / CONTEXT_STRIDE;

        if (offset % CONTEXT_STRIDE == 0) {
            s->threshold[c] = value & MAX_PRIORITY;
            update(s);
        } else if (offset % CONTEXT_STRIDE == 4) {
            complete(s, c, (uint32_t)value);
        }
    }
}

static const MemoryRegionOps plic_ops = {
    .read = plic_read,
    .write = plic_write,
    .min_access = 4,
    .max_access = 4,
    .min_valid = 4,
    .max_valid = 4,
};

static bool plic_realize(HwDevice *dev, GError **error)
{
    HwPlic *s = (HwPlic *)dev;

    memory_region_init_io(&s->mmio, "plic", SIZE, &plic_ops, s);
    hw_device_add_region(dev, &s->mmio);
    return true;
}

static void plic_reset(HwDevice *dev)
{
    HwPlic *s = (HwPlic *)dev;

    for (unsigned c = 0; c < 2 * s->n_harts; c++) {
        irq_set(s->lines[c], false);
    }
}

static bool plic_post_load(HwDevice *dev, GError **error)
{
    update((HwPlic *)dev);
    return true;
}

static void plic_fdt(HwDevice *dev, HwFdt *fdt)
{
    static const char *const compatible[] = { "sifive,plic-1.0.0", "riscv,plic0", NULL };
    HwPlic *s = (HwPlic *)dev;
    g_autofree char *node = g_strdup_printf("/soc/plic@%" PRIx64, dev->addr[0]);
    uint32_t cells[MAX_HARTS * 4];

    for (unsigned i = 0; i < s->n_harts; i++) {
        g_autofree char *intc = g_strdup_printf("/cpus/cpu@%x/interrupt-controller", i);

        cells[i * 4] = cells[i * 4 + 2] = hw_fdt_phandle(fdt, intc);
        cells[i * 4 + 1] = 11; /* machine external interrupt */
        cells[i * 4 + 3] = 9;  /* supervisor external interrupt */
    }
    hw_fdt_add_node(fdt, node);
    hw_fdt_set_cell(fdt, node, "riscv,ndev", s->n_sources);
    hw_fdt_set_reg(fdt, node, dev->addr[0], SIZE);
    hw_fdt_set_cells(fdt, node, "interrupts-extended", s->n_harts * 4, cells);
    hw_fdt_set_empty(fdt, node, "interrupt-controller");
    hw_fdt_set_strings(fdt, node, "compatible", compatible);
    hw_fdt_set_cell(fdt, node, "#address-cells", 0);
    hw_fdt_set_cell(fdt, node, "#interrupt-cells", 1);
    hw_fdt_phandle(fdt, node);
    hw_fdt_set_intc(fdt, node);
}

static const StateField plic_state[] = {
    HW_FIELD_ARRAY(HwPlic, priority, STATE_U32, MAX_SOURCES, 0, "source priorities"),
    HW_FIELD_ARRAY(HwPlic, pending, STATE_U32, WORDS, 0, "pending sources"),
    HW_FIELD_ARRAY(HwPlic, level, STATE_U32, WORDS, 0, "input levels"),
    HW_FIELD_ARRAY(HwPlic, served, STATE_U32, WORDS, 0, "claimed, not completed"),
    HW_FIELD_ARRAY(HwPlic, enable, STATE_U32, MAX_CONTEXTS *WORDS, 0, "enables by context"),
    HW_FIELD_ARRAY(HwPlic, threshold, STATE_U32, MAX_CONTEXTS, 0, "thresholds by context"),
    { 0 },
};

static const HwProp plic_props[] = {
    { .name = "num-harts",
      .type = HW_PROP_U32,
      .offset = offsetof(HwPlic, n_harts),
      .def = 1,
      .min = 1,
      .max = MAX_HARTS,
      .desc = "harts served" },
    { .name = "num-sources",
      .type = HW_PROP_U32,
      .offset = offsetof(HwPlic, n_sources),
      .def = 95,
      .min = 1,
      .max = MAX_SOURCES - 1,
      .desc = "interrupt sources" },
    { 0 },
};

static void hw_plic_init(HwPlic *s)
{
    for (unsigned i = 0; i < MAX_SOURCES; i++) {
        irq_init(&s->inputs[i], input_changed, s, i);
    }
}

static void hw_plic_class_init(HwPlicClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "riscv.plic";
    dc->desc = "RISC-V platform-level interrupt controller";
    dc->state = plic_state;
    dc->realize = plic_realize;
    dc->reset = plic_reset;
    dc->post_load = plic_post_load;
    dc->fdt = plic_fdt;
    hw_device_class_bind_props(dc, plic_props);
}

HwDevice *hw_plic_new(unsigned n_harts, unsigned n_sources)
{
    HwDevice *dev = hw_device_new(hw_plic_get_type(), NULL);

    ((HwPlic *)dev)->n_harts = n_harts;
    ((HwPlic *)dev)->n_sources = n_sources;
    return dev;
}

void hw_plic_connect(HwDevice *dev, unsigned context, Irq *line)
{
    g_assert(context < MAX_CONTEXTS);
    ((HwPlic *)dev)->lines[context] = line;
}

Irq *hw_plic_input(HwDevice *dev, unsigned source)
{
    HwPlic *s = (HwPlic *)dev;

    g_assert(source >= 1 && source <= s->n_sources);
    return &s->inputs[source];
}
