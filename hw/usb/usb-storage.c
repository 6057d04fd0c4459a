/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB mass storage, bulk-only transport (Universal Serial Bus Mass Storage Class, Bulk-Only Transport 1.0): a command wrapper, data, a status
 * wrapper, on two bulk endpoints; the disk behind it is hw/scsi/'s.
 *
 * What the host wants to move and what the disk wants is compared once, with the wrapper at hand (the thirteen cases of 6.7). At most one
 * transfer waits: for
 * the disk, in the data stage or for the status of a command without data.
 */
#include "hw/usb/usb-storage.h"

#include <string.h>
#include "hw/scsi/scsi.h"
#include "hw/usb/usb.h"
#include "util/bytes.h"
#include "util/log.h"

enum { EP_IN = 1, EP_OUT = 2 };
enum { GET_MAX_LUN = 0xfe, BULK_ONLY_RESET = 0xff };
enum { CBW_SIZE = 31, CSW_SIZE = 13, CBW_SIGNATURE = 0x43425355, CSW_SIGNATURE = 0x53425355 };
enum { CSW_PASSED = 0, CSW_FAILED = 1, CSW_PHASE_ERROR = 2 };

typedef enum Phase {
    PHASE_COMMAND,
    PHASE_DATA_IN,
    PHASE_DATA_OUT,
    PHASE_STATUS,
    PHASE_BROKEN, /* after a wrapper that is none: until the reset of 5.3.4 */
    N_PHASES
} Phase;

typedef struct HwUsbStorage {
    HwUsbDevice parent;
    ScsiDisk disk;
    ScsiCommand cmd;
    UsbTransfer *waiting; /* NULL: none */
    bool busy;            /* the disk works at a transfer or a command without data */
    bool settling;        /* nothing new is begun */
    uint8_t phase;        /* Phase */
    uint32_t tag;
    uint32_t residue; /* of what the host wants to move */
    bool mismatch;    /* the disk wants something else */
} HwUsbStorage;

typedef struct HwUsbStorageClass {
    HwUsbDeviceClass parent;
} HwUsbStorageClass;

G_DEFINE_TYPE(HwUsbStorage, hw_usb_storage, HW_TYPE_USB_DEVICE)

/* ---- Status ---- */

static void send_status(HwUsbStorage *s, UsbTransfer *t)
{
    uint8_t csw[CSW_SIZE];

    if (t->length < sizeof(csw)) {
        usb_finish(t, USB_BABBLE);
        return;
    }
    bytes_put_le32(csw, CSW_SIGNATURE);
    bytes_put_le32(csw + 4, s->tag);
    bytes_put_le32(csw + 8, s->residue);
    csw[12] = s->mismatch                                              ? CSW_PHASE_ERROR
              : s->cmd.kind == SCSI_IDLE && s->cmd.status == SCSI_GOOD ? CSW_PASSED
                                                                       : CSW_FAILED;
    usb_copy(t, csw, sizeof(csw));
    scsi_abandon(&s->cmd);
    s->phase = PHASE_COMMAND;
    usb_finish(t, USB_OK);
    usb_wakeup(&s->parent, EP_OUT, false);
}

/* ---- Data ---- */

/* The disk has nothing more to move, the host may have: the endpoint is halted, and the status is next (6.7.2, 6.7.3). */
static void end_data(HwUsbStorage *s, UsbTransfer *t)
{
    s->phase = PHASE_STATUS;
    usb_stall(&s->parent, t);
    usb_wakeup(&s->parent, EP_IN, true);
}

static void data(HwUsbStorage *s, UsbTransfer *t)
{
    uint64_t left = s->cmd.kind == SCSI_IDLE || s->mismatch ? 0 : s->cmd.length - s->cmd.pos;

    if (!left || (!t->in && t->length > s->residue)) {
        end_data(s, t);
        return;
    }
    t->actual = (uint32_t)MIN(MIN(left, s->residue), t->length);
    s->busy = true;
    s->waiting = t;
    usb_wait(&s->parent, t);
    /* The disk's part of the buffers is their beginning. */
    for (uint32_t i = 0, sum = 0; i < (uint32_t)t->n_iov; i++) {
        uint32_t size = (uint32_t)t->iov[i].iov_len;

        if (sum + size >= t->actual) {
            t->iov[i].iov_len = t->actual - sum;
            t->n_iov = (int)i + 1;
            break;
        }
        sum += size;
    }
    scsi_transfer(&s->cmd, t->iov, t->n_iov, t->actual);
}

static void data_done(HwUsbStorage *s, UsbTransfer *t)
{
    bool failed = s->cmd.kind == SCSI_IDLE && s->cmd.status != SCSI_GOOD;

    if (failed) {
        t->actual = 0;
        end_data(s, t);
        return;
    }
    s->residue -= t->actual;
    if (!s->residue || (t->in && t->actual < t->length)) {
        s->phase = PHASE_STATUS;
    }
    usb_finish(t, USB_OK);
    if (s->phase == PHASE_STATUS) {
        usb_wakeup(&s->parent, EP_IN, true);
    }
}

/* The disk ends a command, or has moved the bytes of a transfer. */
static void disk_done(ScsiCommand *cmd)
{
    HwUsbStorage *s = cmd->opaque;
    UsbTransfer *t = g_steal_pointer(&s->waiting);

    s->busy = false;
    if (!t) {
        return; /* a command without data, whose status nobody waits for yet */
    }
    if (s->phase == PHASE_STATUS) {
        send_status(s, t);
    } else {
        data_done(s, t);
    }
}

/* ---- Commands ---- */

/* 6.7: what the host and the disk want. */
static void choose_phase(HwUsbStorage *s, bool host_in)
{
    bool disk_in = scsi_is_to_host(&s->cmd);
    uint64_t wanted = s->cmd.kind == SCSI_IDLE || s->cmd.kind == SCSI_NO_DATA ? 0 : s->cmd.length;

    if (!s->residue) {
        s->mismatch = wanted != 0; /* cases 2 and 3 */
        s->phase = PHASE_STATUS;
        return;
    }
    s->mismatch = wanted && (disk_in != host_in || wanted > s->residue); /* 7, 8, 10, 13 */
    s->phase = host_in ? PHASE_DATA_IN : PHASE_DATA_OUT;
}

static void command(HwUsbStorage *s, UsbTransfer *t)
{
    enum { LUN = 13, CB_LENGTH = 14, CB = 15, FLAGS = 12 };
    uint8_t cbw[CBW_SIZE];
    bool meaningful;

    meaningful = t->length == sizeof(cbw) && usb_copy(t, cbw, sizeof(cbw)) == sizeof(cbw) &&
                 bytes_get_le32(cbw) == CBW_SIGNATURE && cbw[CB_LENGTH] >= 1 &&
                 cbw[CB_LENGTH] <= SCSI_CDB_SIZE && !(cbw[LUN] & 15);
    if (!meaningful) { /* 6.6.1 */
        log_guest_error("usb-storage: a command wrapper that is none");
        s->phase = PHASE_BROKEN;
        s->parent.halted |= usb_halt_bit(EP_IN, true);
        usb_stall(&s->parent, t);
        usb_wakeup(&s->parent, EP_IN, true);
        return;
    }
    s->tag = bytes_get_le32(cbw + 4);
    s->residue = bytes_get_le32(cbw + 8);
    s->mismatch = false;
    s->phase = PHASE_STATUS; /* for a command that ends at once */
    s->busy = true;
    scsi_start(&s->cmd, cbw + CB, cbw[CB_LENGTH]);
    s->busy &= s->cmd.kind == SCSI_NO_DATA;
    choose_phase(s, cbw[FLAGS] & USB_DIR_IN);
    usb_finish(t, USB_OK);
    usb_wakeup(&s->parent, EP_IN, true);
}

static void storage_transfer(HwUsbDevice *dev, UsbTransfer *t)
{
    HwUsbStorage *s = (HwUsbStorage *)dev;

    if (s->waiting || s->settling) {
        usb_finish(t, USB_NAK);
    } else if (s->phase == PHASE_BROKEN) {
        usb_stall(dev, t);
    } else if (t->in && s->phase == PHASE_STATUS) {
        if (s->busy) {
            s->waiting = t;
            usb_wait(dev, t);
        } else {
            send_status(s, t);
        }
    } else if ((t->in && s->phase == PHASE_DATA_IN) || (!t->in && s->phase == PHASE_DATA_OUT)) {
        data(s, t);
    } else if (!t->in && s->phase == PHASE_COMMAND) {
        command(s, t);
    } else {
        usb_finish(t, USB_NAK);
    }
}

static void storage_settle(HwUsbDevice *dev)
{
    HwUsbStorage *s = (HwUsbStorage *)dev;
    UsbTransfer *t;

    s->settling = true;
    block_drain(s->disk.blk);
    s->busy = false;
    t = g_steal_pointer(&s->waiting);
    if (t) {
        usb_finish(t, USB_ERROR);
    }
    s->settling = false;
    usb_wakeup(dev, EP_IN, true);
    usb_wakeup(dev, EP_OUT, false);
}

static void to_command_phase(HwUsbStorage *s)
{
    storage_settle(&s->parent);
    scsi_abandon(&s->cmd);
    s->phase = PHASE_COMMAND;
    s->residue = 0;
    s->mismatch = false;
}

static int storage_control(HwUsbDevice *dev, const UsbSetup *setup, uint8_t *data)
{
    HwUsbStorage *s = (HwUsbStorage *)dev;

    if ((setup->type & ~USB_DIR_IN) != (USB_TYPE_CLASS | USB_TO_INTERFACE)) {
        return -1;
    }
    if (setup->request == GET_MAX_LUN && (setup->type & USB_DIR_IN)) {
        return MIN(setup->length, 1);
    }
    if (setup->request == BULK_ONLY_RESET && !(setup->type & USB_DIR_IN)) {
        to_command_phase(s);
        return 0;
    }
    return -1;
}

/* ---- The device object ---- */

static void storage_reset(HwUsbDevice *dev)
{
    HwUsbStorage *s = (HwUsbStorage *)dev;

    to_command_phase(s);
    scsi_disk_reset(&s->disk);
}

static bool storage_post_load(HwUsbDevice *dev, GError **error)
{
    HwUsbStorage *s = (HwUsbStorage *)dev;

    storage_settle(dev);
    if (s->phase >= N_PHASES || !scsi_command_is_sane(&s->cmd)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "usb-storage: a state that it is never in");
        return false;
    }
    return true;
}

static bool storage_realize(HwUsbDevice *dev, GError **error)
{
    HwUsbStorage *s = (HwUsbStorage *)dev;

    s->disk.serial = dev->serial;
    return scsi_disk_realize(&s->disk, "usb-storage", dev->parent.id, error);
}

static void storage_unrealize(HwUsbDevice *dev)
{
    scsi_disk_unrealize(&((HwUsbStorage *)dev)->disk);
}

static const UsbEndpointDesc storage_endpoints[] = {
    { .address = USB_DIR_IN | EP_IN,
      .kind = USB_BULK,
      .max_packet = { [USB_FULL] = 64, [USB_HIGH] = 512, [USB_SUPER] = 1024 },
      .max_burst = 15 },
    { .address = EP_OUT,
      .kind = USB_BULK,
      .max_packet = { [USB_FULL] = 64, [USB_HIGH] = 512, [USB_SUPER] = 1024 },
      .max_burst = 15 },
};

static const UsbInterfaceDesc storage_interface = {
    .class_code = 0x08,
    .subclass = 0x06, /* SCSI transparent */
    .protocol = 0x50, /* bulk-only */
    .n_endpoints = G_N_ELEMENTS(storage_endpoints),
    .endpoints = storage_endpoints,
};

static const UsbDesc storage_desc = {
    .vendor = 0x46f4,
    .product = 0x0001,
    .release = 0x0100,
    .speeds = 1 << USB_FULL | 1 << USB_HIGH | 1 << USB_SUPER,
    .manufacturer_name = "Menura",
    .product_name = "USB disk",
    .self_powered = true,
    .n_interfaces = 1,
    .interfaces = &storage_interface,
};

static const StateField storage_state[] = {
    HW_FIELD(HwUsbStorage, phase, STATE_U8, PHASE_COMMAND, "phase of the transport"),
    HW_FIELD(HwUsbStorage, tag, STATE_U32, 0, "the command's tag"),
    HW_FIELD(HwUsbStorage, residue, STATE_U32, 0, "bytes that the host still wants to move"),
    HW_FIELD(HwUsbStorage, mismatch, STATE_BOOL, 0, "host and disk do not want the same"),
    SCSI_DISK_STATE(HwUsbStorage, disk),
    SCSI_COMMAND_STATE(HwUsbStorage, cmd),
    { 0 },
};

static const HwProp storage_props[] = {
    HW_PROP(HwUsbStorage, disk.blk, "drive", HW_PROP_DRIVE, 0, "the disk's bytes"),
    HW_PROP(HwUsbStorage, disk.removable, "removable", HW_PROP_BOOL, 0,
            "the medium can be taken out"),
    { .name = "logical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwUsbStorage, disk.block_size),
      .def = 512,
      .min = 512,
      .max = SCSI_MAX_BLOCK,
      .desc = "smallest transfer, bytes" },
    { .name = "physical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwUsbStorage, disk.physical_block_size),
      .def = 512,
      .min = 512,
      .max = 32768,
      .desc = "best transfer, bytes" },
    { 0 },
};

static void hw_usb_storage_init(HwUsbStorage *s)
{
    s->disk.vendor = "MENURA";
    s->disk.product = "USB disk";
    s->disk.fixed_sense = true;
    scsi_command_init(&s->cmd, &s->disk, disk_done, s);
}

static void hw_usb_storage_class_init(HwUsbStorageClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwUsbDeviceClass *uc = HW_USB_DEVICE_CLASS(klass);

    dc->model = "usb-storage";
    dc->desc = "USB disk (bulk-only transport)";
    uc->desc = &storage_desc;
    uc->realize = storage_realize;
    uc->unrealize = storage_unrealize;
    uc->reset = storage_reset;
    uc->post_load = storage_post_load;
    uc->control = storage_control;
    uc->transfer = storage_transfer;
    uc->settle = storage_settle;
    hw_usb_class_bind_state(uc, storage_state);
    hw_usb_class_bind_props(uc, storage_props);
}
