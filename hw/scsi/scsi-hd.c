/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SCSI disk and CD drive as devices: properties, state, and nothing else. Each target has one logical unit, number 0. */
#include "hw/scsi/scsi-hd.h"

#include <string.h>

typedef struct HwScsiHdClass {
    HwDeviceClass parent;
} HwScsiHdClass;

G_DEFINE_TYPE(HwScsiHd, hw_scsi_hd, HW_TYPE_DEVICE)

static bool refuse(const HwScsiHd *s, GError **error, const char *text)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: %s",
                HW_DEVICE_GET_CLASS(s)->model, text);
    return false;
}

static bool hd_realize(HwDevice *object, GError **error)
{
    HwScsiHd *s = (HwScsiHd *)object;

    if (s->channel || s->lun) {
        return refuse(s, error, "channel and lun can only be 0: each target has one logical unit");
    }
    if ((s->vendor && strlen(s->vendor) > 8) || (s->product && strlen(s->product) > 16)) {
        return refuse(s, error, "vendor has up to 8 characters, product up to 16");
    }
    s->disk.serial = s->serial;
    s->disk.vendor = s->vendor ? s->vendor : "MENURA";
    s->disk.product = s->product ? s->product : s->disk.cdrom ? "CD-ROM" : "SCSI disk";
    return scsi_disk_realize(&s->disk, HW_DEVICE_GET_CLASS(s)->model, object->id, error);
}

static void hd_unrealize(HwDevice *object)
{
    scsi_disk_unrealize(&((HwScsiHd *)object)->disk);
}

static void hd_reset(HwDevice *object)
{
    HwScsiHd *s = (HwScsiHd *)object;

    scsi_disk_drain(&s->disk);
    scsi_disk_reset(&s->disk);
}

static const StateField hd_state[] = {
    SCSI_DISK_STATE(HwScsiHd, disk),
    { 0 },
};

static const HwProp hd_props[] = {
    HW_PROP(HwScsiHd, disk.blk, "drive", HW_PROP_DRIVE, 0, "the disk's bytes"),
    HW_PROP(HwScsiHd, id, "scsi-id", HW_PROP_U32, HW_SCSI_AUTO_ID, "number of the target"),
    HW_PROP(HwScsiHd, channel, "channel", HW_PROP_U32, 0, "0"),
    HW_PROP(HwScsiHd, lun, "lun", HW_PROP_U32, 0, "0"),
    HW_PROP(HwScsiHd, serial, "serial", HW_PROP_STRING, 0, "serial number"),
    HW_PROP(HwScsiHd, vendor, "vendor", HW_PROP_STRING, 0, "up to 8 characters"),
    HW_PROP(HwScsiHd, product, "product", HW_PROP_STRING, 0, "up to 16 characters"),
    HW_PROP(HwScsiHd, disk.removable, "removable", HW_PROP_BOOL, 0, "the medium can be taken out"),
    { .name = "logical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwScsiHd, disk.block_size),
      .def = 512,
      .min = 512,
      .max = SCSI_MAX_BLOCK,
      .desc = "smallest transfer, bytes" },
    { .name = "physical_block_size",
      .type = HW_PROP_U32,
      .offset = offsetof(HwScsiHd, disk.physical_block_size),
      .def = 512,
      .min = 512,
      .max = 32768,
      .desc = "best transfer, bytes" },
    { 0 },
};

static void hw_scsi_hd_init(HwScsiHd *s)
{
    (void)s;
}

static void hw_scsi_hd_class_init(HwScsiHdClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "scsi-hd";
    dc->desc = "SCSI disk";
    dc->bus_type = HW_SCSI_BUS_TYPE;
    dc->user_creatable = true;
    dc->realize = hd_realize;
    dc->unrealize = hd_unrealize;
    dc->reset = hd_reset;
    dc->state = hd_state;
    hw_device_class_bind_props(dc, hd_props);
}

/* ---- The CD drive ---- */

typedef struct HwScsiCd {
    HwScsiHd parent;
} HwScsiCd;

typedef struct HwScsiCdClass {
    HwScsiHdClass parent;
} HwScsiCdClass;

G_DEFINE_TYPE(HwScsiCd, hw_scsi_cd, hw_scsi_hd_get_type())

static const HwProp cd_props[] = {
    HW_PROP(HwScsiHd, disk.blk, "drive", HW_PROP_DRIVE, 0,
            "the disc's bytes; without it there is none"),
    HW_PROP(HwScsiHd, id, "scsi-id", HW_PROP_U32, HW_SCSI_AUTO_ID, "number of the target"),
    HW_PROP(HwScsiHd, channel, "channel", HW_PROP_U32, 0, "0"),
    HW_PROP(HwScsiHd, lun, "lun", HW_PROP_U32, 0, "0"),
    HW_PROP(HwScsiHd, serial, "serial", HW_PROP_STRING, 0, "serial number"),
    HW_PROP(HwScsiHd, vendor, "vendor", HW_PROP_STRING, 0, "up to 8 characters"),
    HW_PROP(HwScsiHd, product, "product", HW_PROP_STRING, 0, "up to 16 characters"),
    { 0 },
};

static void hw_scsi_cd_init(HwScsiCd *s)
{
    s->parent.disk.cdrom = s->parent.disk.removable = true;
    s->parent.disk.block_size = s->parent.disk.physical_block_size = SCSI_CD_SECTOR;
}

static void hw_scsi_cd_class_init(HwScsiCdClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "scsi-cd";
    dc->desc = "SCSI CD drive";
    hw_device_class_bind_props(dc, cd_props);
}
