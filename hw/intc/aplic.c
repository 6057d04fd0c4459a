/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Advanced Platform-Level Interrupt Controller. A source belongs to the root domain or, delegated, to its child; in the other one all its registers
 * are zero. How a domain delivers is fixed: itself to the harts' lines (DM 0), or by messages to their IMSICs (DM 1). In the latter case a pending,
 * enabled source does not stay pending: the message is sent at once. Registers are little-endian (BE 0).
 *
 * The domain does not take messages itself (MemoryRegionOps.takes_messages), though setipnum_le might: it could send them to itself.
 */
#include "hw/intc/aplic.h"
#include <inttypes.h>
#include "hw/intc/imsic.h"
#include "util/log.h"

enum {
    MAX_HARTS = 16,
    MAX_SOURCES = 128,
    WORDS = MAX_SOURCES / 32,
    SIZE = 0x8000,
};

/* Registers (4.5). */
enum {
    DOMAINCFG = 0x0000,
    SOURCECFG = 0x0000, /* + 4 times the source */
    MMSIADDRCFG = 0x1bc0,
    MMSIADDRCFGH = 0x1bc4,
    SMSIADDRCFG = 0x1bc8,
    SMSIADDRCFGH = 0x1bcc,
    SETIP = 0x1c00,
    SETIPNUM = 0x1cdc,
    IN_CLRIP = 0x1d00,
    CLRIPNUM = 0x1ddc,
    SETIE = 0x1e00,
    SETIENUM = 0x1edc,
    CLRIE = 0x1f00,
    CLRIENUM = 0x1fdc,
    SETIPNUM_LE = 0x2000,
    SETIPNUM_BE = 0x2004,
    GENMSI = 0x3000,
    TARGET = 0x3000, /* + 4 times the source */
    IDC = 0x4000,
    IDC_STRIDE = 32,
    IDC_IDELIVERY = 0x00,
    IDC_IFORCE = 0x04,
    IDC_ITHRESHOLD = 0x08,
    IDC_TOPI = 0x18,
    IDC_CLAIMI = 0x1c,
    BIT_ARRAY = 0x80, /* bytes of setip and its like */
};

enum {
    DOMAINCFG_FIXED = 0x80 << 24,
    DOMAINCFG_IE = 1 << 8,
    DOMAINCFG_DM = 1 << 2,
    DELEGATED = 1 << 10, /* sourcecfg; to child 0 */
    SM = 7,
    SM_DETACHED = 1,
    SM_EDGE1 = 4,
    SM_LEVEL1 = 6, /* and level 0; bit 0 inverts */
    TARGET_HART_SHIFT = 18,
    TARGET_IPRIO = 0xff,
    TARGET_EIID = 0x7ff,
    TOPI_SHIFT = 16,
    MSIADDR_LOCKED = 1u << 31,
    MMSIADDRCFGH_BITS = 0x9f77ffff,
    SMSIADDRCFGH_BITS = 0x00700fff,
};

typedef struct HwAplic HwAplic;

struct HwAplic {
    HwDevice parent;
    MemoryRegion mmio;
    bool mmode, msimode;
    uint32_t n_harts, n_sources;
    HwAplic *root, *child; /* NULL: it is the root, has none */
    HwDevice *imsic;
    Irq inputs[MAX_SOURCES];
    Irq *lines[MAX_HARTS];
    uint32_t wires[WORDS]; /* the root's */
    uint32_t domaincfg;    /* IE only */
    uint32_t mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh;
    uint32_t genmsi;
    uint32_t sourcecfg[MAX_SOURCES], target[MAX_SOURCES];
    uint32_t pending[WORDS], enabled[WORDS];
    uint32_t delivery[MAX_HARTS], force[MAX_HARTS], threshold[MAX_HARTS];
};

typedef struct HwAplicClass {
    HwDeviceClass parent;
} HwAplicClass;

G_DEFINE_TYPE(HwAplic, hw_aplic, HW_TYPE_DEVICE)

static bool bit_get(const uint32_t *words, unsigned i)
{
    return words[i / 32] >> (i % 32) & 1;
}

static void bit_set(uint32_t *words, unsigned i, bool on)
{
    uint32_t bit = 1u << (i % 32);

    words[i / 32] = on ? words[i / 32] | bit : words[i / 32] & ~bit;
}

/* ---- Sources ---- */

/* The source is there for this domain. */
static bool has_source(const HwAplic *s, uint32_t i)
{
    return i && i <= s->n_sources && (!s->root || (s->root->sourcecfg[i] & DELEGATED));
}

static bool is_active(const HwAplic *s, uint32_t i)
{
    return i && i <= s->n_sources && s->sourcecfg[i] && !(s->sourcecfg[i] & DELEGATED);
}

static bool is_level(const HwAplic *s, unsigned i)
{
    return s->sourcecfg[i] >= SM_LEVEL1;
}

/* The rectified input value (4.5.2) of an active source. */
static bool input_value(const HwAplic *s, unsigned i)
{
    return s->sourcecfg[i] >= SM_EDGE1 &&
           bit_get((s->root ? s->root : s)->wires, i) != (s->sourcecfg[i] & 1);
}

/* Writes of setip and setipnum (4.7). */
static void try_set_pending(HwAplic *s, uint32_t i)
{
    if (is_active(s, i) && (!is_level(s, i) || (s->msimode && input_value(s, i)))) {
        bit_set(s->pending, i, true);
    }
}

/* Writes of in_clrip and clripnum, and claims. */
static void try_clear_pending(HwAplic *s, uint32_t i)
{
    if (is_active(s, i) && !(is_level(s, i) && !s->msimode)) {
        bit_set(s->pending, i, false);
    }
}

/* ---- Delivery by messages ---- */

/* 4.9.1. Indices of harts are the same for both domains. */
static uint64_t message_address(const HwAplic *s, uint32_t hart)
{
    const HwAplic *r = s->root ? s->root : s;
    uint32_t low = s->mmode ? r->mmsiaddrcfg : r->smsiaddrcfg,
             high = s->mmode ? r->mmsiaddrcfgh : r->smsiaddrcfgh, lhxs = high >> 20 & 7,
             lhxw = r->mmsiaddrcfgh >> 12 & 15, hhxw = r->mmsiaddrcfgh >> 16 & 7,
             hhxs = r->mmsiaddrcfgh >> 24 & 31;
    uint64_t g = hart >> lhxw & ((1u << hhxw) - 1), h = hart & ((1u << lhxw) - 1),
             base = (uint64_t)(high & 0xfff) << 32 | low;

    return (base | g << (hhxs + 12) | h << lhxs) << 12;
}

static void send_message(const HwAplic *s, uint32_t target)
{
    uint64_t address = message_address(s, target >> TARGET_HART_SHIFT);

    if (!memory_send_message(address, target & TARGET_EIID)) {
        log_guest_error("riscv.aplic: an interrupt message to %#" PRIx64 ", where nothing takes it",
                        address);
    }
}

static void send_pending(HwAplic *s)
{
    for (unsigned w = 0; w < WORDS; w++) {
        uint32_t bits = s->pending[w] & s->enabled[w];

        s->pending[w] &= ~bits;
        for (; bits; bits &= bits - 1) {
            send_message(s, s->target[w * 32 + (unsigned)__builtin_ctz(bits)]);
        }
    }
}

/* ---- Delivery to the harts' lines ---- */

/* The value of topi: the pending, enabled source for the hart with the lowest priority number below the threshold. */
static uint32_t top_source(const HwAplic *s, unsigned hart)
{
    uint32_t best = 0, limit = s->threshold[hart] ? s->threshold[hart] : TARGET_IPRIO + 1;

    for (unsigned w = 0; w < WORDS; w++) {
        uint32_t bits = s->pending[w] & s->enabled[w];

        for (; bits; bits &= bits - 1) {
            unsigned i = w * 32 + (unsigned)__builtin_ctz(bits);
            uint32_t priority = s->target[i] & TARGET_IPRIO;

            if (s->target[i] >> TARGET_HART_SHIFT == hart && priority < limit) {
                best = i << TOPI_SHIFT | priority;
                limit = priority;
            }
        }
    }
    return best;
}

static void update_lines(HwAplic *s)
{
    for (unsigned h = 0; h < s->n_harts; h++) {
        irq_set(s->lines[h], (s->domaincfg & DOMAINCFG_IE) && s->delivery[h] &&
                                 (s->force[h] || top_source(s, h)));
    }
}

/* After anything changed. */
static void deliver(HwAplic *s)
{
    if (!s->msimode) {
        update_lines(s);
    } else if (s->domaincfg & DOMAINCFG_IE) {
        send_pending(s);
    }
}

static uint32_t claim(HwAplic *s, unsigned hart)
{
    uint32_t top = top_source(s, hart);

    if (top) {
        try_clear_pending(s, top >> TOPI_SHIFT);
    } else {
        s->force[hart] = 0;
    }
    deliver(s);
    return top;
}

/* ---- Wires ---- */

static void wire_changed(void *opaque, unsigned i, bool level)
{
    HwAplic *s = opaque;

    if (bit_get(s->wires, i) == level) {
        return;
    }
    bit_set(s->wires, i, level);
    if (s->child && (s->sourcecfg[i] & DELEGATED)) {
        s = s->child;
    }
    if (!is_active(s, i)) {
        return;
    }
    if (input_value(s, i)) {
        bit_set(s->pending, i, true);
        deliver(s);
    } else if (is_level(s, i)) {
        bit_set(s->pending, i, false);
        deliver(s);
    }
}

/* ---- Writes ---- */

static void forget_source(HwAplic *s, unsigned i)
{
    s->sourcecfg[i] = s->target[i] = 0;
    bit_set(s->pending, i, false);
    bit_set(s->enabled, i, false);
}

/* What a write of @value makes of sourcecfg: only one child, no reserved modes. */
static uint32_t legal_sourcecfg(const HwAplic *s, uint32_t value)
{
    if (value & DELEGATED) {
        return s->child ? DELEGATED : 0;
    }
    value &= SM;
    return value > SM_DETACHED && value < SM_EDGE1 ? 0 : value;
}

static void write_sourcecfg(HwAplic *s, unsigned i, uint32_t value)
{
    bool was_active = is_active(s, i);

    if (!has_source(s, i)) {
        return;
    }
    value = legal_sourcecfg(s, value);
    if (s->child && (s->sourcecfg[i] & DELEGATED) && !(value & DELEGATED)) {
        forget_source(s->child, i);
        deliver(s->child);
    }
    if (!value || (value & DELEGATED)) {
        forget_source(s, i);
    }
    s->sourcecfg[i] = value;
    if (is_active(s, i)) {
        s->target[i] |= !was_active && !s->msimode; /* there is no priority 0 */
        if (is_level(s, i)) {
            bit_set(s->pending, i, input_value(s, i));
        }
    }
}

static void write_target(HwAplic *s, unsigned i, uint32_t value)
{
    uint32_t hart = value >> TARGET_HART_SHIFT << TARGET_HART_SHIFT;

    if (!is_active(s, i)) {
        return;
    }
    if (s->msimode) {
        s->target[i] = hart | (value & TARGET_EIID);
    } else {
        s->target[i] = hart | MAX(value & TARGET_IPRIO, 1);
    }
}

static void write_genmsi(HwAplic *s, uint32_t value)
{
    if (s->msimode) {
        s->genmsi = (value >> TARGET_HART_SHIFT << TARGET_HART_SHIFT) | (value & TARGET_EIID);
        send_message(s, s->genmsi);
    }
}

static void enable(HwAplic *s, uint32_t i)
{
    if (is_active(s, i)) {
        bit_set(s->enabled, i, true);
    }
}

static void disable(HwAplic *s, uint32_t i)
{
    if (is_active(s, i)) {
        bit_set(s->enabled, i, false);
    }
}

/* Does @f for each source whose bit is set in word @w of an array. */
static void for_bits(HwAplic *s, unsigned w, uint32_t bits, void (*f)(HwAplic *, uint32_t))
{
    for (; bits && w < WORDS; bits &= bits - 1) {
        f(s, w * 32 + (unsigned)__builtin_ctz(bits));
    }
}

/* A register of the groups setip, in_clrip, setie and clrie: bits, or a number. */
static void write_group(HwAplic *s, unsigned offset, uint32_t value)
{
    static void (*const actions[4])(HwAplic *, uint32_t) = { try_set_pending, try_clear_pending,
                                                             enable, disable };
    unsigned group = (offset - SETIP) / (IN_CLRIP - SETIP), at = offset % (IN_CLRIP - SETIP);

    if (at < BIT_ARRAY) {
        for_bits(s, at / 4, value, actions[group]);
    } else if (at == SETIPNUM - SETIP) {
        actions[group](s, value);
    }
}

static void write_msi_address(HwAplic *s, unsigned offset, uint32_t value)
{
    if (s->root || !s->msimode || (s->mmsiaddrcfgh & MSIADDR_LOCKED)) {
        return;
    }
    switch (offset) {
    case MMSIADDRCFG:
        s->mmsiaddrcfg = value;
        break;
    case MMSIADDRCFGH:
        s->mmsiaddrcfgh = value & MMSIADDRCFGH_BITS;
        break;
    case SMSIADDRCFG:
        s->smsiaddrcfg = value;
        break;
    case SMSIADDRCFGH:
        s->smsiaddrcfgh = value & SMSIADDRCFGH_BITS;
        break;
    }
}

static void write_idc(HwAplic *s, unsigned offset, uint32_t value)
{
    unsigned hart = offset / IDC_STRIDE;

    if (hart >= s->n_harts || s->msimode) {
        return;
    }
    switch (offset % IDC_STRIDE) {
    case IDC_IDELIVERY:
        s->delivery[hart] = value & 1;
        break;
    case IDC_IFORCE:
        s->force[hart] = value & 1;
        break;
    case IDC_ITHRESHOLD:
        s->threshold[hart] = value & TARGET_IPRIO;
        break;
    }
}

static void aplic_write(void *opaque, uint64_t at, uint64_t data, unsigned size)
{
    HwAplic *s = opaque;
    unsigned offset = (unsigned)at;
    uint32_t value = (uint32_t)data;

    if (offset == DOMAINCFG) {
        s->domaincfg = value & DOMAINCFG_IE;
    } else if (offset < SOURCECFG + 4 * MAX_SOURCES) {
        write_sourcecfg(s, (offset - SOURCECFG) / 4, value);
    } else if (offset >= MMSIADDRCFG && offset <= SMSIADDRCFGH) {
        write_msi_address(s, offset, value);
    } else if (offset >= SETIP && offset < SETIPNUM_LE) {
        write_group(s, offset, value);
    } else if (offset == SETIPNUM_LE) {
        try_set_pending(s, value);
    } else if (offset == SETIPNUM_BE) {
        try_set_pending(s, GUINT32_SWAP_LE_BE(value));
    } else if (offset == GENMSI) {
        write_genmsi(s, value);
    } else if (offset > TARGET && offset < TARGET + 4 * MAX_SOURCES) {
        write_target(s, (offset - TARGET) / 4, value);
    } else if (offset >= IDC) {
        write_idc(s, offset - IDC, value);
    }
    deliver(s);
}

/* ---- Reads ---- */

static uint32_t read_inputs(const HwAplic *s, unsigned w)
{
    uint32_t bits = 0;

    for (unsigned b = 0; b < 32; b++) {
        bits |= is_active(s, w * 32 + b) && input_value(s, w * 32 + b) ? 1u << b : 0;
    }
    return bits;
}

static uint32_t read_group(const HwAplic *s, unsigned offset)
{
    unsigned at = offset % (IN_CLRIP - SETIP), w = at / 4;

    if (at >= BIT_ARRAY || w >= WORDS) {
        return 0;
    }
    switch (offset - at) {
    case SETIP:
        return s->pending[w];
    case IN_CLRIP:
        return read_inputs(s, w);
    case SETIE:
        return s->enabled[w];
    default:
        return 0;
    }
}

static uint32_t read_idc(HwAplic *s, unsigned offset)
{
    unsigned hart = offset / IDC_STRIDE;

    if (hart >= s->n_harts || s->msimode) {
        return 0;
    }
    switch (offset % IDC_STRIDE) {
    case IDC_IDELIVERY:
        return s->delivery[hart];
    case IDC_IFORCE:
        return s->force[hart];
    case IDC_ITHRESHOLD:
        return s->threshold[hart];
    case IDC_TOPI:
        return top_source(s, hart);
    case IDC_CLAIMI:
        return claim(s, hart);
    default:
        return 0;
    }
}

static uint64_t aplic_read(void *opaque, uint64_t at, unsigned size)
{
    HwAplic *s = opaque;
    unsigned offset = (unsigned)at;

    if (offset == DOMAINCFG) {
        return (uint32_t)DOMAINCFG_FIXED | s->domaincfg | (s->msimode ? DOMAINCFG_DM : 0);
    }
    if (offset < SOURCECFG + 4 * MAX_SOURCES) {
        return s->sourcecfg[(offset - SOURCECFG) / 4];
    }
    if (offset >= SETIP && offset < SETIPNUM_LE) {
        return read_group(s, offset);
    }
    if (offset > TARGET && offset < TARGET + 4 * MAX_SOURCES) {
        return s->target[(offset - TARGET) / 4];
    }
    if (offset >= IDC) {
        return read_idc(s, offset - IDC);
    }
    switch (offset) {
    case MMSIADDRCFG:
        return s->mmsiaddrcfg;
    case MMSIADDRCFGH:
        return s->mmsiaddrcfgh;
    case SMSIADDRCFG:
        return s->smsiaddrcfg;
    case SMSIADDRCFGH:
        return s->smsiaddrcfgh;
    case GENMSI:
        return s->genmsi;
    default:
        return 0;
    }
}

static const MemoryRegionOps aplic_ops = {
    .read = aplic_read,
    .write = aplic_write,
    .min_access = 4,
    .max_access = 4,
    .min_valid = 4,
    .max_valid = 4,
};

/* ---- The device object ---- */

static bool aplic_realize(HwDevice *dev, GError **error)
{
    HwAplic *s = (HwAplic *)dev;

    memory_region_init_io(&s->mmio, "riscv.aplic", SIZE, &aplic_ops, s);
    hw_device_add_region(dev, &s->mmio);
    return true;
}

static void aplic_reset(HwDevice *dev)
{
    HwAplic *s = (HwAplic *)dev;

    for (unsigned i = 0; i < s->n_harts; i++) {
        irq_set(s->lines[i], false);
    }
}

static bool aplic_post_load(HwDevice *dev, GError **error)
{
    HwAplic *s = (HwAplic *)dev;

    if (!s->msimode) {
        update_lines(s);
    }
    return true;
}

static char *fdt_path(const HwAplic *s)
{
    return g_strdup_printf("/soc/interrupt-controller@%" PRIx64, s->parent.addr[0]);
}

static void fdt_harts(const HwAplic *s, HwFdt *fdt, const char *node)
{
    enum { S_EXTERNAL = 9, M_EXTERNAL = 11 };
    uint32_t cells[MAX_HARTS * 2];

    for (unsigned i = 0; i < s->n_harts; i++) {
        g_autofree char *intc = g_strdup_printf("/cpus/cpu@%x/interrupt-controller", i);

        cells[i * 2] = hw_fdt_phandle(fdt, intc);
        cells[i * 2 + 1] = s->mmode ? M_EXTERNAL : S_EXTERNAL;
    }
    hw_fdt_set_cells(fdt, node, "interrupts-extended", s->n_harts * 2, cells);
}

static void fdt_child(const HwAplic *s, HwFdt *fdt, const char *node)
{
    g_autofree char *path = fdt_path(s->child);
    const uint32_t all[] = { hw_fdt_phandle(fdt, path), 1, s->n_sources };

    hw_fdt_set_cell(fdt, node, "riscv,children", all[0]);
    hw_fdt_set_cells(fdt, node, "riscv,delegation", G_N_ELEMENTS(all), all);
}

static void aplic_fdt(HwDevice *dev, HwFdt *fdt)
{
    static const char *const compatible[] = { "qemu,aplic", "riscv,aplic", NULL };
    const HwAplic *s = (HwAplic *)dev;
    g_autofree char *node = fdt_path(s);

    hw_fdt_set_strings(fdt, node, "compatible", compatible);
    hw_fdt_set_reg(fdt, node, dev->addr[0], SIZE);
    hw_fdt_set_cell(fdt, node, "#address-cells", 0);
    hw_fdt_set_cell(fdt, node, "#interrupt-cells", 2);
    hw_fdt_set_empty(fdt, node, "interrupt-controller");
    hw_fdt_set_cell(fdt, node, "riscv,num-sources", s->n_sources);
    if (s->imsic) {
        g_autofree char *imsic = hw_imsic_fdt_path(s->imsic);

        hw_fdt_set_cell(fdt, node, "msi-parent", hw_fdt_phandle(fdt, imsic));
    } else {
        fdt_harts(s, fdt, node);
    }
    if (s->child) {
        fdt_child(s, fdt, node);
    }
    hw_fdt_phandle(fdt, node);
    if (!s->child) {
        hw_fdt_set_intc(fdt, node);
    }
}

static const StateField aplic_state[] = {
    HW_FIELD_ARRAY(HwAplic, wires, STATE_U32, WORDS, 0, "levels of the wires"),
    HW_FIELD(HwAplic, domaincfg, STATE_U32, 0, "domaincfg.IE"),
    HW_FIELD(HwAplic, mmsiaddrcfg, STATE_U32, 0, "mmsiaddrcfg"),
    HW_FIELD(HwAplic, mmsiaddrcfgh, STATE_U32, 0, "mmsiaddrcfgh"),
    HW_FIELD(HwAplic, smsiaddrcfg, STATE_U32, 0, "smsiaddrcfg"),
    HW_FIELD(HwAplic, smsiaddrcfgh, STATE_U32, 0, "smsiaddrcfgh"),
    HW_FIELD(HwAplic, genmsi, STATE_U32, 0, "genmsi"),
    HW_FIELD_ARRAY(HwAplic, sourcecfg, STATE_U32, MAX_SOURCES, 0, "sourcecfg"),
    HW_FIELD_ARRAY(HwAplic, target, STATE_U32, MAX_SOURCES, 0, "target"),
    HW_FIELD_ARRAY(HwAplic, pending, STATE_U32, WORDS, 0, "pending sources"),
    HW_FIELD_ARRAY(HwAplic, enabled, STATE_U32, WORDS, 0, "enabled sources"),
    HW_FIELD_ARRAY(HwAplic, delivery, STATE_U32, MAX_HARTS, 0, "idelivery by hart"),
    HW_FIELD_ARRAY(HwAplic, force, STATE_U32, MAX_HARTS, 0, "iforce by hart"),
    HW_FIELD_ARRAY(HwAplic, threshold, STATE_U32, MAX_HARTS, 0, "ithreshold by hart"),
    { 0 },
};

static const HwProp aplic_props[] = {
    HW_PROP(HwAplic, mmode, "mmode", HW_PROP_BOOL, 1, "machine level, not supervisor's"),
    HW_PROP(HwAplic, msimode, "msimode", HW_PROP_BOOL, 0, "delivers by messages"),
    { .name = "num-harts",
      .type = HW_PROP_U32,
      .offset = offsetof(HwAplic, n_harts),
      .def = 1,
      .min = 1,
      .max = MAX_HARTS,
      .desc = "harts served" },
    { .name = "num-sources",
      .type = HW_PROP_U32,
      .offset = offsetof(HwAplic, n_sources),
      .def = 96,
      .min = 1,
      .max = MAX_SOURCES - 1,
      .desc = "interrupt sources" },
    { 0 },
};

static void hw_aplic_init(HwAplic *s)
{
    for (unsigned i = 0; i < MAX_SOURCES; i++) {
        irq_init(&s->inputs[i], wire_changed, s, i);
    }
}

static void hw_aplic_class_init(HwAplicClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "riscv.aplic";
    dc->desc = "RISC-V advanced platform-level interrupt controller";
    dc->state = aplic_state;
    dc->realize = aplic_realize;
    dc->reset = aplic_reset;
    dc->post_load = aplic_post_load;
    dc->fdt = aplic_fdt;
    hw_device_class_bind_props(dc, aplic_props);
}

HwDevice *hw_aplic_new(unsigned n_harts, unsigned n_sources, HwDevice *imsic, HwDevice *root)
{
    HwDevice *dev = hw_device_new(hw_aplic_get_type(), NULL);
    HwAplic *s = (HwAplic *)dev;

    s->n_harts = n_harts;
    s->n_sources = n_sources;
    s->imsic = imsic;
    s->msimode = imsic != NULL;
    s->mmode = !root;
    s->root = (HwAplic *)root;
    if (root) {
        s->root->child = s;
    }
    return dev;
}

void hw_aplic_connect(HwDevice *dev, unsigned hart, Irq *line)
{
    g_assert(hart < MAX_HARTS);
    ((HwAplic *)dev)->lines[hart] = line;
}

Irq *hw_aplic_input(HwDevice *dev, unsigned source)
{
    HwAplic *s = (HwAplic *)dev;

    g_assert(source >= 1 && source <= s->n_sources);
    return &s->inputs[source];
}
