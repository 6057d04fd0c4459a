/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An NVMe controller (NVM Express Base Specification 1.4, with the NVM command set) with one namespace on a block back end: its registers
 * (section 3), its start, shutdown and reset, and the device object. What commands do is in the other nvme-*.c files, which nvme-priv.h tells
 * about.
 *
 * Base address register 0 has the registers and doorbells, 4 the MSI-X table.
 */
#include "hw/block/nvme.h"

#include <string.h>
#include "hw/block/nvme-priv.h"
#include "util/log.h"

enum { MAX_MDTS = 10, SERIAL_MAX = 20, MAX_BLOCK = 32768, REGION_SIZE = 0x2000 };

typedef struct HwNvmeClass {
    HwPciDeviceClass parent;
} HwNvmeClass;

G_DEFINE_TYPE(HwNvme, hw_nvme, HW_TYPE_PCI_DEVICE)

G_STATIC_ASSERT(NVME_REG_DOORBELLS + 8 * NVME_N_QUEUES <= REGION_SIZE);

/* ---- Start, shutdown, reset ---- */

static bool admin_queues_are_good(HwNvme *s)
{
    unsigned sq = (s->aqa & 0xfff) + 1, cq = (s->aqa >> 16 & 0xfff) + 1;

    if (sq < 2 || cq < 2) {
        return false;
    }
    if (nvme_make_cq(s, 0, s->acq, cq) || nvme_make_sq(s, 0, s->asq, sq, 0)) {
        return false;
    }
    s->cqs[0].interrupts = true;
    return true;
}

static void enable(HwNvme *s)
{
    if ((s->cc & (NVME_CC_CSS | NVME_CC_AMS)) ||
        nvme_page_size(s) >> NVME_MAX_PAGE_SHIFT > NVME_PAGE) {
        nvme_fail(s, "enabled with a command set, arbitration or page size that it does not have");
    } else if (!admin_queues_are_good(s)) {
        nvme_fail(s, "enabled with admin queues that cannot be");
    } else {
        s->csts |= NVME_CSTS_RDY;
    }
}

/* As after a controller reset (7.3.2); what AQA, ASQ and ACQ say stays. */
static void clear(HwNvme *s)
{
    memset(s->sqs, 0, sizeof(s->sqs));
    memset(s->cqs, 0, sizeof(s->cqs));
    memset(s->work, 0, sizeof(s->work));
    memset(s->event_pending, 0, sizeof(s->event_pending));
    memset(s->event_masked, 0, sizeof(s->event_masked));
    s->n_event_cids = 0;
    s->top = s->first = 0;
    s->interrupt_mask = s->csts = 0;
    nvme_features_reset(s);
    timer_cancel(&s->again);
    nvme_interrupt(s);
}

static void disable(HwNvme *s)
{
    nvme_drain(s, NVME_ALL_QUEUES);
    clear(s);
}

static void shutdown_done(BlockRequest *io, int error)
{
    HwNvme *s = io->opaque;

    (void)error; /* there is nobody to tell */
    if ((s->csts & NVME_CSTS_SHST) == NVME_CSTS_SHST_BUSY) {
        s->csts = (s->csts & ~(uint32_t)NVME_CSTS_SHST) | NVME_CSTS_SHST_DONE;
    }
}

/* 7.6.2: when it is done, all that was written is on the disk. */
static void begin_shutdown(HwNvme *s)
{
    if (s->csts & NVME_CSTS_SHST) {
        return;
    }
    s->csts |= NVME_CSTS_SHST_BUSY;
    s->shutdown = (BlockRequest){ .op = BLOCK_FLUSH, .done = shutdown_done, .opaque = s };
    block_submit(s->blk, &s->shutdown);
}

static void write_cc(HwNvme *s, uint32_t value)
{
    uint32_t before = s->cc;

    s->cc = value & NVME_CC_BITS;
    if (!(s->cc & (NVME_CC_EN | NVME_CC_SHN)) || (before & ~s->cc & NVME_CC_EN)) {
        disable(s);
    } else if (!(before & NVME_CC_EN) && (s->cc & NVME_CC_EN)) {
        enable(s);
    }
    if (s->cc & NVME_CC_SHN) {
        begin_shutdown(s);
    }
}

/* ---- Registers ---- */

static uint64_t capabilities(void)
{
    enum { CONTIGUOUS = 1 << 16, TIMEOUT = 60, TIMEOUT_SHIFT = 24 }; /* of half a second */
    uint64_t nvm_commands = 1ull << 37, max_page = (uint64_t)NVME_MAX_PAGE_SHIFT << 52;

    return (NVME_MAX_ENTRIES - 1) | CONTIGUOUS | TIMEOUT << TIMEOUT_SHIFT | nvm_commands | max_page;
}

static uint64_t nvme_read(void *opaque, uint64_t offset, unsigned size)
{
    const HwNvme *s = opaque;

    switch (offset) {
    case NVME_REG_CAP:
        return (uint32_t)capabilities();
    case NVME_REG_CAP + 4:
        return capabilities() >> 32;
    case NVME_REG_VS:
        return NVME_VERSION;
    case NVME_REG_INTMS:
    case NVME_REG_INTMC:
        return s->interrupt_mask;
    case NVME_REG_CC:
        return s->cc;
    case NVME_REG_CSTS:
        return s->csts;
    case NVME_REG_AQA:
        return s->aqa;
    case NVME_REG_ASQ:
        return (uint32_t)s->asq;
    case NVME_REG_ASQ + 4:
        return s->asq >> 32;
    case NVME_REG_ACQ:
        return (uint32_t)s->acq;
    case NVME_REG_ACQ + 4:
        return s->acq >> 32;
    }
    return 0;
}

static void set_half(uint64_t *reg, bool high, uint32_t value)
{
    *reg = high ? (*reg & UINT32_MAX) | (uint64_t)value << 32
                : (*reg & ~(uint64_t)UINT32_MAX) | (value & ~0xfffu);
}

static void write_mask(HwNvme *s, uint32_t mask)
{
    s->interrupt_mask = mask;
    nvme_interrupt(s);
}

static void write_register(HwNvme *s, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case NVME_REG_INTMS:
        write_mask(s, s->interrupt_mask | value);
        return;
    case NVME_REG_INTMC:
        write_mask(s, s->interrupt_mask & ~value);
        return;
    case NVME_REG_CC:
        write_cc(s, value);
        return;
    case NVME_REG_AQA:
        s->aqa = value & 0x0fff0fff;
        return;
    case NVME_REG_ASQ:
    case NVME_REG_ASQ + 4:
        set_half(&s->asq, offset != NVME_REG_ASQ, value);
        return;
    case NVME_REG_ACQ:
    case NVME_REG_ACQ + 4:
        set_half(&s->acq, offset != NVME_REG_ACQ, value);
        return;
    }
    log_guest_error("nvme: write of %#x to register %#x, which is read only or does not exist",
                    value, (unsigned)offset);
}

static void nvme_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset >= NVME_REG_DOORBELLS) {
        nvme_doorbell(opaque, (unsigned)(offset - NVME_REG_DOORBELLS) / 4,
                      (uint32_t)value & 0xffff);
    } else {
        write_register(opaque, offset, (uint32_t)value);
    }
}

static const MemoryRegionOps nvme_ops = {
    .read = nvme_read,
    .write = nvme_write,
    .min_access = 4,
    .max_access = 4,
};

/* ---- The device object ---- */

static void run_again(void *opaque)
{
    nvme_run(opaque);
}

static void batch_end(void *opaque)
{
    nvme_run(opaque);
}

static void nvme_config_written(HwPciDevice *dev, unsigned offset, unsigned size)
{
    (void)offset;
    (void)size;
    if (hw_pci_is_master(dev)) {
        nvme_run_later((HwNvme *)dev); /* it may not have been before */
    }
}

static bool refuse(GError **error, const char *why)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "nvme: %s", why);
    return false;
}

static bool check_props(const HwNvme *s, GError **error)
{
    uint32_t logical = s->logical_block_size, physical = s->physical_block_size;

    if (!s->blk) {
        return refuse(error, "drive= is missing");
    }
    if (!s->serial || !*s->serial || strlen(s->serial) > SERIAL_MAX) {
        return refuse(error, "serial= is missing, or longer than 20 characters");
    }
    if ((logical & (logical - 1)) || (physical & (physical - 1)) || logical > physical) {
        return refuse(error, "block sizes must be powers of 2, the physical one not less");
    }
    if (block_length(s->blk) % logical) {
        return refuse(error, "the drive's size is no multiple of logical_block_size");
    }
    if (s->cmb_size_mb || s->use_intel_id) {
        return refuse(error, "cmb_size_mb and use-intel-id are not supported");
    }
    return true;
}

static void make_pci(HwNvme *s)
{
    HwPciDevice *dev = &s->parent;
    HwPciBus *bus = dev->parent.bus ? dev->parent.bus->opaque : NULL;

    memory_region_init_io(&s->region, "nvme", REGION_SIZE, &nvme_ops, s);
    hw_pci_add_bar(dev, 0, HW_PCI_BAR_MEM64, &s->region);
    hw_pci_add_power(dev);
    hw_pci_add_express(dev, bus && bus->bridge ? PCI_EXP_TYPE_ENDPOINT : PCI_EXP_TYPE_INTEGRATED,
                       0);
    hw_pci_add_msix(dev, s->msix_qsize, 4);
    hw_pci_set_pin(dev, 0);
}

static bool nvme_realize(HwPciDevice *dev, GError **error)
{
    HwNvme *s = (HwNvme *)dev;
    g_autofree char *user = g_strdup_printf("nvme '%s'", dev->parent.id ? dev->parent.id : "");

    if (!check_props(s, error)) {
        return false;
    }
    if (!block_claim(s->blk, user, error)) {
        g_prefix_error(error, "nvme: ");
        return false;
    }
    block_set_batch_end(s->blk, batch_end, s);
    make_pci(s);
    nvme_features_reset(s);
    return true;
}

static void nvme_unrealize(HwPciDevice *dev)
{
    HwNvme *s = (HwNvme *)dev;

    nvme_drain(s, NVME_ALL_QUEUES);
    timer_cancel(&s->again);
    block_release(s->blk);
}

static void nvme_reset(HwPciDevice *dev)
{
    disable((HwNvme *)dev); /* the queues are gone already: what is finished now is dropped */
}

static bool nvme_post_load(HwPciDevice *dev, GError **error)
{
    HwNvme *s = (HwNvme *)dev;

    if (!nvme_rings_are_good(s) || s->n_event_cids > NVME_MAX_EVENTS) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "nvme: state has queues that cannot be");
        return false;
    }
    for (unsigned i = 0; i < NVME_N_QUEUES; i++) {
        s->sqs[i].ring.view_serial = s->cqs[i].ring.view_serial = 0;
        s->cqs[i].reserved = 0;
        s->cqs[i].dirty = false;
    }
    s->top = s->max_ioqpairs;
    s->first = 0;
    nvme_look_for_work(s);
    return true;
}

static const StateField queue_state[] = {
    HW_FIELD(HwNvme, sqs[0].ring.addr, STATE_U64, 0, "submission queue"),
    HW_FIELD(HwNvme, sqs[0].ring.size, STATE_U16, 0, "its entries"),
    HW_FIELD(HwNvme, sqs[0].ring.head, STATE_U16, 0, "next to be taken"),
    HW_FIELD(HwNvme, sqs[0].ring.tail, STATE_U16, 0, "one past the last"),
    HW_FIELD(HwNvme, sqs[0].cq, STATE_U16, 0, "where the answers go"),
    HW_FIELD(HwNvme, cqs[0].ring.addr, STATE_U64, 0, "completion queue"),
    HW_FIELD(HwNvme, cqs[0].ring.size, STATE_U16, 0, "its entries"),
    HW_FIELD(HwNvme, cqs[0].ring.head, STATE_U16, 0, "next that the driver takes"),
    HW_FIELD(HwNvme, cqs[0].ring.tail, STATE_U16, 0, "next to be written"),
    HW_FIELD(HwNvme, cqs[0].vector, STATE_U16, 0, "its interrupt"),
    HW_FIELD(HwNvme, cqs[0].interrupts, STATE_BOOL, 0, "it interrupts"),
    HW_FIELD(HwNvme, cqs[0].phase, STATE_BOOL, 0, "phase of the next entry"),
};

static const StateField nvme_state[] = {
    HW_FIELD(HwNvme, cc, STATE_U32, 0, "configuration"),
    HW_FIELD(HwNvme, csts, STATE_U32, 0, "status"),
    HW_FIELD(HwNvme, interrupt_mask, STATE_U32, 0, "masked vectors"),
    HW_FIELD(HwNvme, aqa, STATE_U32, 0, "sizes of the admin queues"),
    HW_FIELD(HwNvme, asq, STATE_U64, 0, "admin submission queue"),
    HW_FIELD(HwNvme, acq, STATE_U64, 0, "admin completion queue"),
    HW_FIELD_ARRAY(HwNvme, features, STATE_U32, NVME_N_FEATURES, 0, "features"),
    HW_FIELD(HwNvme, cold, STATE_U16, 0, "lower temperature threshold"),
    HW_FIELD_ARRAY(HwNvme, uncoalesced, STATE_U8, NVME_N_QUEUES, 0, "vectors without coalescing"),
    HW_FIELD_ARRAY(HwNvme, event_cids, STATE_U16, NVME_MAX_EVENTS, 0, "event requests"),
    HW_FIELD(HwNvme, n_event_cids, STATE_U8, 0, "how many of them"),
    HW_FIELD_ARRAY(HwNvme, event_pending, STATE_BOOL, NVME_N_EVENT_TYPES, 0, "events to be told"),
    HW_FIELD_ARRAY(HwNvme, event_masked, STATE_BOOL, NVME_N_EVENT_TYPES, 0, "events told"),
    HW_FIELD_ARRAY(HwNvme, event_info, STATE_U8, NVME_N_EVENT_TYPES, 0, "what they say"),
    HW_FIELD_ARRAY(HwNvme, event_log, STATE_U8, NVME_N_EVENT_TYPES, 0, "their logs"),
    HW_FIELD(HwNvme, reads, STATE_U64, 0, "read commands"),
    HW_FIELD(HwNvme, writes, STATE_U64, 0, "write commands"),
    HW_FIELD(HwNvme, sectors_read, STATE_U64, 0, "sectors read"),
    HW_FIELD(HwNvme, sectors_written, STATE_U64, 0, "sectors written"),
    HW_FIELD(HwNvme, n_errors, STATE_U64, 0, "errors"),
    HW_FIELD(HwNvme, error.sq, STATE_U16, 0, "queue of the last error"),
    HW_FIELD(HwNvme, error.cid, STATE_U16, 0, "its command"),
    HW_FIELD(HwNvme, error.status, STATE_U16, 0, "its status"),
};

static uint32_t size_of_element(const StateField *f)
{
    return strncmp(f->name, "sqs", 3) == 0 ? sizeof(NvmeSq) : sizeof(NvmeCq);
}

static void bind_state(HwPciDeviceClass *pc)
{
    g_autoptr(GArray) all = g_array_new(TRUE, TRUE, sizeof(StateField));

    g_array_append_vals(all, nvme_state, G_N_ELEMENTS(nvme_state));
    for (unsigned n = 0; n < NVME_N_QUEUES; n++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(queue_state); i++) {
            StateField f = queue_state[i];

            f.offset += n * size_of_element(&f);
            f.name = g_strdup_printf("queue%u.%s", n, f.name); /* lives as the class: for ever */
            g_array_append_val(all, f);
        }
    }
    hw_pci_class_bind_state(pc, (const StateField *)all->data);
}

static const HwProp nvme_props[] = {
    HW_PROP(HwNvme, blk, "drive", HW_PROP_DRIVE, 0, "the namespace's bytes"),
    HW_PROP(HwNvme, serial, "serial", HW_PROP_STRING, 0, "serial number, 1 to 20 characters"),
    { .name = "max_ioqpairs",
      .type = HW_PROP_U32,
      .offset = offsetof(HwNvme, max_ioqpairs),
      .def = 64,
      .min = 1,
      .max = NVME_N_QUEUES - 1,
      .desc = "pairs of I/O queues" },
    { .name = "msix_qsize",
      .type = HW_PROP_U16,
      .offset = offsetof(HwNvme, msix_qsize),
      .def = 65,
      .min = 1,
      .max = HW_PCI_MAX_VECTORS,
      .desc = "MSI-X vectors" },
    { .name = "mdts",
      .type = HW_PROP_U8,
      .offset = offsetof(HwNvme, mdts),
      .def = 7,
      .min = 1,
      .max = MAX_MDTS,
      .desc = "largest transfer, a power of 2, of 4 KiB" },
    { .name = "logical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwNvme, logical_block_size),
      .def = 512,
      .min = 512,
      .max = MAX_BLOCK,
      .desc = "smallest transfer, bytes" },
    { .name = "physical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwNvme, physical_block_size),
      .def = 512,
      .min = 512,
      .max = MAX_BLOCK,
      .desc = "best transfer, bytes" },
    HW_PROP(HwNvme, cmb_size_mb, "cmb_size_mb", HW_PROP_U32, 0,
            "controller memory buffer: not supported, 0"),
    HW_PROP(HwNvme, use_intel_id, "use-intel-id", HW_PROP_BOOL, 0, "not supported, off"),
    { 0 },
};

static void hw_nvme_finalize(GObject *object)
{
    timer_cancel(&((HwNvme *)object)->again);
    G_OBJECT_CLASS(hw_nvme_parent_class)->finalize(object);
}

static void hw_nvme_init(HwNvme *s)
{
    timer_init(&s->again, CLOCK_VIRTUAL, run_again, s);
}

static void hw_nvme_class_init(HwNvmeClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwPciDeviceClass *pc = HW_PCI_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_nvme_finalize;
    dc->model = "nvme";
    dc->desc = "NVMe disk";
    dc->user_creatable = true;
    pc->vendor_id = 0x1b36;
    pc->device_id = 0x0010;
    pc->class_code = 0x010802;
    pc->revision = 2;
    pc->realize = nvme_realize;
    pc->unrealize = nvme_unrealize;
    pc->reset = nvme_reset;
    pc->post_load = nvme_post_load;
    pc->config_written = nvme_config_written;
    bind_state(pc);
    hw_pci_class_bind_props(pc, nvme_props);
}
