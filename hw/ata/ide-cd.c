/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "ide-cd": a Serial ATA CD drive. Its commands are SCSI's, in packets (ACS-3, 4.3): the drive of hw/scsi/ does them. */
#include "hw/ata/ata.h"

#include <string.h>
#include "hw/scsi/scsi.h"

typedef struct HwIdeCd {
    HwAtaDrive parent;
    ScsiDisk disk;
    ScsiCommand scsi;
    AtaCommand *cmd; /* the one whose packet is under way; NULL: none */
} HwIdeCd;

typedef struct HwIdeCdClass {
    HwAtaDriveClass parent;
} HwIdeCdClass;

G_DEFINE_TYPE(HwIdeCd, hw_ide_cd, HW_TYPE_ATA_DRIVE)

static BlockBackend *cd_backend(HwAtaDrive *drive)
{
    return ((HwIdeCd *)drive)->disk.blk;
}

/* ---- Packets ---- */

/* ACS-3, 7.18: the sense key is in the error register, the reason of the interrupt in the count: a command has ended. */
static void packet_done(ScsiCommand *scsi)
{
    enum { TO_HOST = 2, COMMAND = 1, KEY_SHIFT = 4 };
    HwIdeCd *s = scsi->opaque;
    AtaCommand *cmd = s->cmd;

    s->cmd = NULL;
    cmd->moved = scsi->pos;
    cmd->count = TO_HOST | COMMAND;
    ata_end(cmd,
            scsi->status == SCSI_GOOD ? 0 : (uint8_t)(scsi->sense_key << KEY_SHIFT | ATA_ABRT));
}

static void start_packet(AtaCommand *cmd)
{
    enum { DMA = 1 };
    HwIdeCd *s = (HwIdeCd *)cmd->drive;

    cmd->protocol = cmd->fis[FIS_FEATURES] & DMA ? ATA_DMA : ATA_PIO;
    s->cmd = cmd;
    scsi_start(&s->scsi, cmd->packet, sizeof(cmd->packet));
    if (s->cmd) { /* it has not ended */
        cmd->length = s->scsi.length;
        cmd->to_host = scsi_is_to_host(&s->scsi);
    }
}

static void cd_start(AtaCommand *cmd)
{
    switch (cmd->fis[FIS_COMMAND]) {
    case ATA_PACKET:
        start_packet(cmd);
        return;
    case ATA_DEVICE_RESET:
        ata_reset(cmd->drive);
        ata_end_with_signature(cmd);
        return;
    }
    ata_end(cmd, ATA_ABRT);
}

static void cd_transfer(AtaCommand *cmd)
{
    HwIdeCd *s = (HwIdeCd *)cmd->drive;

    scsi_transfer(&s->scsi, cmd->iov, cmd->n_iov, cmd->length);
}

static void cd_refuse(AtaCommand *cmd)
{
    HwIdeCd *s = (HwIdeCd *)cmd->drive;

    if (s->cmd == cmd) {
        s->cmd = NULL;
        scsi_abandon(&s->scsi);
    }
}

static void cd_identify(HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS])
{
    ata_identify_common(drive, words, "Menura DVD-ROM");
    ata_identify_packet(drive, words);
}

/* ---- The device object ---- */

static bool cd_realize(HwDevice *object, GError **error)
{
    HwIdeCd *s = (HwIdeCd *)object;

    if (!ata_check_names(&s->parent, error)) {
        return false;
    }
    s->disk.serial = s->parent.serial;
    s->disk.vendor = "MENURA";
    s->disk.product = "DVD-ROM";
    scsi_command_init(&s->scsi, &s->disk, packet_done, s);
    return scsi_disk_realize(&s->disk, "ide-cd", object->id, error);
}

static void cd_unrealize(HwDevice *object)
{
    scsi_disk_unrealize(&((HwIdeCd *)object)->disk);
}

static void cd_reset(HwDevice *object)
{
    HwIdeCd *s = (HwIdeCd *)object;

    scsi_disk_drain(&s->disk);
    scsi_disk_reset(&s->disk);
}

static void cd_soft_reset(HwAtaDrive *drive)
{
    cd_reset(&drive->parent);
}

static const StateField cd_state[] = {
    SCSI_DISK_STATE(HwIdeCd, disk),
    { 0 },
};

static const HwProp cd_props[] = {
    HW_PROP(HwIdeCd, disk.blk, "drive", HW_PROP_DRIVE, 0,
            "the disc's bytes; without it there is none"),
    { 0 },
};

static void hw_ide_cd_init(HwIdeCd *s)
{
    s->disk.cdrom = s->disk.removable = s->disk.fixed_sense = true;
    s->disk.block_size = s->disk.physical_block_size = SCSI_CD_SECTOR;
}

static void hw_ide_cd_class_init(HwIdeCdClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwAtaDriveClass *ac = HW_ATA_DRIVE_CLASS(klass);

    dc->model = "ide-cd";
    dc->desc = "SATA CD drive";
    dc->user_creatable = true;
    dc->realize = cd_realize;
    dc->unrealize = cd_unrealize;
    dc->reset = cd_reset;
    ac->signature = ATA_SIGNATURE_PACKET;
    ac->start = cd_start;
    ac->transfer = cd_transfer;
    ac->refuse = cd_refuse;
    ac->identify = cd_identify;
    ac->backend = cd_backend;
    ac->soft_reset = cd_soft_reset;
    hw_ata_class_bind(ac, cd_props, cd_state);
}
