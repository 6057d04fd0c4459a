/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "scsi-hd": the SCSI disk as a device on a bus of type "scsi-bus", which a host bus adapter has. */
#ifndef HW_SCSI_SCSI_HD_H
#define HW_SCSI_SCSI_HD_H

#include "hw/core/device.h"
#include "hw/scsi/scsi.h"

#define HW_SCSI_BUS_TYPE "scsi-bus"

enum { HW_SCSI_AUTO_ID = UINT32_MAX };

typedef struct HwScsiHd {
    HwDevice parent;
    ScsiDisk disk;
    char *serial, *vendor, *product;
    uint32_t id; /* of the target; HW_SCSI_AUTO_ID: the adapter chooses */
    uint32_t channel, lun;
} HwScsiHd;

GType hw_scsi_hd_get_type(void);
GType hw_scsi_cd_get_type(void); /* "scsi-cd": a CD drive, an HwScsiHd, too */

#endif
