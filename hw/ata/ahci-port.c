/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A port of the AHCI controller: its registers (AHCI 1.3.1, 3.3), the command list that it works through (5.5), and the FISes that it puts into
 * memory (4.2.1).
 *
 * Commands begin in the order of their slots; a queued one beside other queued ones, any other alone. An error halts the port until the driver clears
 * PxCMD.ST (6.2.2). What is under way when a port is stopped is waited for, since it works on guest memory, and not told.
 */
#include "hw/ata/ahci-priv.h"

#include <string.h>
#include "util/bytes.h"
#include "util/log.h"

enum { MAX_PIECES = 8448, PRD_BATCH = 32 }; /* of guest memory in a command: 32 MiB in pages */

static uint32_t bit(unsigned n)
{
    return 1u << n;
}

/* ---- FISes to the driver ---- */

static void post(AhciPort *p, unsigned where, const uint8_t *fis, size_t size)
{
    if ((p->cmd & CMD_FRE) && !hw_pci_dma_write(&p->hba->parent, p->fb + where, fis, size)) {
        log_guest_error("ahci: port %u: FISes go to %#" G_GINT64_MODIFIER "x, which is no memory",
                        p->n, p->fb);
    }
}

static void set_task_file(AhciPort *p, uint8_t status, uint8_t error)
{
    p->tfd = status | (uint32_t)error << 8;
}

/* What both the register FIS and the PIO setup FIS have of the command's end. */
static void put_registers(uint8_t *fis, const AtaCommand *cmd)
{
    fis[3] = cmd->error;
    for (unsigned i = 0; i < 3; i++) {
        fis[FIS_LBA + i] = (uint8_t)(cmd->lba >> 8 * i);
        fis[FIS_LBA_HIGH + i] = (uint8_t)(cmd->lba >> (24 + 8 * i));
    }
    fis[FIS_DEVICE] = cmd->fis[FIS_DEVICE];
    bytes_put_le16(fis + FIS_COUNT, cmd->count);
}

static void post_registers(AhciPort *p, const AtaCommand *cmd, bool interrupt)
{
    uint8_t fis[FIS_H2D_SIZE] = { FIS_D2H, interrupt ? FIS_INTERRUPT : 0, cmd->status };

    put_registers(fis, cmd);
    post(p, RX_D2H, fis, sizeof(fis));
    set_task_file(p, cmd->status, cmd->error);
    p->is |= interrupt ? IS_DHRS : 0;
}

/* The end of a command that read by PIO: the FIS came before the last data, and says what the status is after them. */
static void post_pio_setup(AhciPort *p, const AtaCommand *cmd)
{
    enum { FIS_E_STATUS = 15, FIS_TRANSFER = 16 };
    uint8_t fis[FIS_H2D_SIZE] = { FIS_PIO_SETUP, FIS_INTERRUPT | FIS_TO_HOST,
                                  (uint8_t)(cmd->status | ATA_DRQ) };

    put_registers(fis, cmd);
    fis[FIS_E_STATUS] = cmd->status;
    bytes_put_le16(fis + FIS_TRANSFER, (uint16_t)MIN(cmd->moved, ATA_SECTOR));
    post(p, RX_PIO_SETUP, fis, sizeof(fis));
    set_task_file(p, cmd->status, cmd->error);
    p->is |= IS_PSS;
}

static void post_device_bits(AhciPort *p, uint8_t status, uint8_t error, uint32_t tags)
{
    enum { SHOWN = 0x77 };
    uint8_t fis[8] = { FIS_SET_DEVICE_BITS, FIS_INTERRUPT, status & SHOWN, error };

    bytes_put_le32(fis + 4, tags);
    post(p, RX_SET_DEVICE_BITS, fis, sizeof(fis));
    set_task_file(p, status, error);
    p->sact &= ~tags;
    p->is |= IS_SDBS;
}

/* After a reset the drive says what it is (Serial ATA 3.1, 11.3 and 11.4), without an interrupt. */
static void post_signature(AhciPort *p)
{
    AtaCommand end = { .error = 1,
                       .lba = ata_signature(p->drive) >> 8,
                       .count = ata_signature(p->drive) & 0xff };

    end.status = ata_signature(p->drive) == ATA_SIGNATURE_DISK ? ATA_DRDY | ATA_DSC : 0;
    p->sig = ata_signature(p->drive);
    post_registers(p, &end, false);
}

/* All queued commands that have ended since, in one FIS. */
static void tell(AhciPort *p)
{
    if (p->finished && !p->failed) {
        post_device_bits(p, ATA_DRDY | ATA_DSC, 0, p->finished);
        p->finished = 0;
    }
    ahci_interrupt(p->hba);
}

/* 6.2.2: no command is begun any more. */
static void halt(AhciPort *p, uint32_t reason)
{
    p->is |= reason;
    p->failed = true;
}

/* ---- The end of a command ---- */

static void end_queued(AhciPort *p, const AtaCommand *cmd)
{
    if (p->failed) {
        return; /* the drive aborted it with the one that failed; the driver finds it in PxSACT */
    }
    if (!cmd->error) {
        p->finished |= bit(ata_tag(cmd->fis));
        return;
    }
    tell(p);
    post_device_bits(p, cmd->status, cmd->error, 0);
    halt(p, IS_TFES);
}

static void end_other(AhciPort *p, const AhciSlot *slot)
{
    const AtaCommand *cmd = &slot->cmd;
    uint8_t count[4];

    bytes_put_le32(count, (uint32_t)cmd->moved);
    hw_pci_dma_write(&p->hba->parent, p->clb + slot->n * HEADER_SIZE + 4, count, sizeof(count));
    if (cmd->status & ATA_ERR) {
        post_registers(p, cmd, true);
        halt(p, IS_TFES);
        return;
    }
    if (cmd->protocol == ATA_PIO && cmd->to_host) {
        post_pio_setup(p, cmd);
    }
    /* The last PIO setup of an answer has the end in it, but not that of a packet's (Serial ATA 3.1, 11.8 and 11.11). */
    if (cmd->protocol != ATA_PIO || !cmd->to_host || cmd->fis[FIS_COMMAND] == ATA_PACKET) {
        post_registers(p, cmd, true);
    }
    p->ci &= ~bit(slot->n);
}

static void done(AtaCommand *cmd)
{
    AhciSlot *slot = cmd->opaque;
    AhciPort *p = slot->port;
    bool queued = p->queued & bit(slot->n);

    p->begun &= ~bit(slot->n);
    p->queued &= ~bit(slot->n);
    if (p->dropping) {
    } else if (queued) {
        end_queued(p, cmd);
    } else {
        end_other(p, slot);
    }
}

/* ---- The beginning of one ---- */

static bool is_master(const AhciPort *p)
{
    return hw_pci_is_master(&p->hba->parent);
}

static bool add_piece(AhciSlot *slot, uint64_t addr, uint64_t bytes, bool to_guest)
{
    while (bytes) {
        uint64_t n = bytes;
        uint8_t *host = hw_pci_dma_map(&slot->port->hba->parent, addr, &n, to_guest);
        struct iovec *last =
            slot->iov->len ? &g_array_index(slot->iov, struct iovec, slot->iov->len - 1) : NULL;

        if (!host || slot->iov->len == MAX_PIECES) {
            return false;
        }
        if (last && (uint8_t *)last->iov_base + last->iov_len == host) {
            last->iov_len += n;
        } else {
            g_array_append_vals(slot->iov, &(struct iovec){ host, n }, 1);
        }
        addr += n;
        bytes -= n;
    }
    return true;
}

/* 4.2.3.3: the physical region descriptors, as many as the command needs. False: they have no room for @bytes, or not in memory. */
static bool map_data(AhciSlot *slot, uint64_t bytes, bool to_guest)
{
    enum { LENGTH = 0x3fffff };
    uint8_t prds[PRD_BATCH * PRD_SIZE];

    slot->iov = slot->iov ? slot->iov : g_array_new(FALSE, FALSE, sizeof(struct iovec));
    g_array_set_size(slot->iov, 0);
    for (unsigned i = 0; bytes && i < slot->n_prd; i++) {
        const uint8_t *prd = prds + i % PRD_BATCH * PRD_SIZE;
        uint64_t n;

        if (i % PRD_BATCH == 0 &&
            !hw_pci_dma_read(&slot->port->hba->parent,
                             slot->table + TABLE_PRDT + (uint64_t)i * PRD_SIZE, prds,
                             MIN(slot->n_prd - i, PRD_BATCH) * PRD_SIZE)) {
            return false;
        }
        n = MIN((bytes_get_le32(prd + 12) & LENGTH) + 1, bytes);
        if (!add_piece(slot, bytes_get_le64(prd), n, to_guest)) {
            return false;
        }
        bytes -= n;
    }
    return !bytes;
}

/* Reads the command's header and table. */
static bool fetch(AhciPort *p, AhciSlot *slot)
{
    HwPciDevice *dev = &p->hba->parent;
    uint8_t header[16];

    if (!hw_pci_dma_read(dev, p->clb + slot->n * HEADER_SIZE, header, sizeof(header))) {
        return false;
    }
    slot->n_prd = bytes_get_le16(header + 2);
    slot->table = bytes_get_le64(header + 8) & ~0x7full;
    return hw_pci_dma_read(dev, slot->table, slot->cmd.fis, FIS_H2D_SIZE) &&
           (!(header[0] & HEADER_PACKET) ||
            hw_pci_dma_read(dev, slot->table + TABLE_PACKET, slot->cmd.packet, ATA_PACKET_SIZE));
}

/* A FIS that writes device control: the drive is in reset as long as the last one said so. It has no answer but the signature. */
static void control(AhciPort *p, const AhciSlot *slot)
{
    bool reset = slot->cmd.fis[FIS_CONTROL] & FIS_SRST;

    p->ci &= ~bit(slot->n);
    if (p->in_reset && !reset) {
        ata_reset(p->drive);
        post_signature(p);
    }
    p->in_reset = reset;
}

static void begin(AhciPort *p, AhciSlot *slot, bool queued)
{
    AtaCommand *cmd = &slot->cmd;

    p->begun |= bit(slot->n);
    p->current = (uint8_t)slot->n;
    cmd->drive = p->drive;
    cmd->done = done;
    cmd->opaque = slot;
    if (queued) {
        p->queued |= bit(slot->n);
        p->ci &= ~bit(slot->n); /* the drive has taken it: PxSACT tells the rest */
    } else {
        set_task_file(p, ATA_BSY | ATA_DRDY, 0);
    }
    ata_start(cmd);
    if (!cmd->length) {
        return;
    }
    if (map_data(slot, cmd->length, cmd->to_host)) {
        ata_transfer(cmd, (struct iovec *)slot->iov->data, (int)slot->iov->len);
    } else {
        log_guest_error("ahci: port %u: command %#x has no memory for its %" G_GUINT64_FORMAT
                        " bytes",
                        p->n, cmd->fis[FIS_COMMAND], cmd->length);
        ata_refuse(cmd);
    }
}

/* False: it has to wait for others. */
static bool begin_slot(AhciPort *p, AhciSlot *slot)
{
    bool queued;

    if (!fetch(p, slot)) {
        log_guest_error("ahci: port %u: slot %u has no command in memory", p->n, slot->n);
        halt(p, IS_HBFS);
        return true;
    }
    if (slot->cmd.fis[FIS_TYPE] != FIS_H2D) {
        log_guest_error("ahci: port %u: slot %u has a FIS of type %#x", p->n, slot->n,
                        slot->cmd.fis[FIS_TYPE]);
        halt(p, IS_IFS);
        return true;
    }
    queued = ata_is_queued(slot->cmd.fis) && (slot->cmd.fis[FIS_FLAGS] & FIS_IS_COMMAND);
    if (p->begun & (queued ? ~p->queued : UINT32_MAX)) {
        return false;
    }
    if (slot->cmd.fis[FIS_FLAGS] & FIS_IS_COMMAND) {
        begin(p, slot, queued);
    } else {
        control(p, slot);
    }
    return true;
}

void ahci_port_run(AhciPort *p)
{
    uint32_t todo;

    if (p->running || p->dropping || !p->drive) {
        return;
    }
    p->running = true;
    block_plug();
    while ((p->cmd & CMD_ST) && !p->failed && is_master(p) && (todo = p->ci & ~p->begun) &&
           begin_slot(p, &p->slots[__builtin_ctz(todo)])) {}
    block_unplug();
    p->running = false;
    tell(p);
}

/* ---- Stop and reset ---- */

static void stop(AhciPort *p)
{
    BlockBackend *blk = p->drive ? ata_backend(p->drive) : NULL;

    p->dropping = true;
    if (p->begun && blk) {
        block_drain(blk);
    }
    p->dropping = false;
    g_assert(!p->begun);
    p->ci = p->sact = p->finished = 0;
    p->failed = false;
    p->current = 0;
}

/* The drive is there, and was reset. */
static void connect(AhciPort *p)
{
    p->in_reset = false;
    if (!p->drive) {
        set_task_file(p, 0x7f, 0);
        p->ssts = 0;
        return;
    }
    p->ssts = SSTS_READY;
    p->serr |= SERR_DIAG_X;
    ata_reset(p->drive);
    post_signature(p);
}

void ahci_port_reset(AhciPort *p)
{
    stop(p);
    p->is = p->ie = p->sctl = p->serr = 0;
    p->cmd = CMD_SUD | CMD_POD;
    p->sig = UINT32_MAX;
    connect(p);
}

/* ---- Registers ---- */

uint32_t ahci_port_read(const AhciPort *p, unsigned reg)
{
    switch (reg) {
    case PX_CLB:
        return (uint32_t)p->clb;
    case PX_CLBU:
        return (uint32_t)(p->clb >> 32);
    case PX_FB:
        return (uint32_t)p->fb;
    case PX_FBU:
        return (uint32_t)(p->fb >> 32);
    case PX_IS:
        return p->is | (p->serr & SERR_DIAG_X ? IS_PCS : 0);
    case PX_IE:
        return p->ie;
    case PX_CMD:
        return p->cmd | (p->cmd & CMD_ST ? CMD_CR : 0) | (p->cmd & CMD_FRE ? CMD_FR : 0) |
               (uint32_t)p->current << CMD_CCS_SHIFT;
    case PX_TFD:
        return p->tfd;
    case PX_SIG:
        return p->sig;
    case PX_SSTS:
        return p->ssts;
    case PX_SCTL:
        return p->sctl;
    case PX_SERR:
        return p->serr;
    case PX_SACT:
        return p->sact;
    case PX_CI:
        return p->ci;
    }
    return 0;
}

static void write_cmd(AhciPort *p, uint32_t value)
{
    uint32_t before = p->cmd;

    p->cmd = (p->cmd & ~(uint32_t)CMD_WRITABLE) | (value & CMD_WRITABLE);
    if (value & CMD_CLO) {
        p->tfd &= ~(uint32_t)(ATA_BSY | ATA_DRQ);
    }
    if ((before & CMD_ST) && !(p->cmd & CMD_ST)) {
        stop(p);
    }
}

static void write_sctl(AhciPort *p, uint32_t value)
{
    uint32_t before = p->sctl & DET;

    p->sctl = value & 0xfff;
    switch (p->sctl & DET) {
    case DET_INIT:
    case DET_OFFLINE:
        stop(p);
        p->ssts = 0;
        p->sig = UINT32_MAX;
        set_task_file(p, 0x7f, 0);
        break;
    case 0:
        if (before) {
            connect(p);
        }
        break;
    }
}

static void set_half(uint64_t *reg, bool high, uint32_t value, uint32_t mask)
{
    *reg = high ? (*reg & UINT32_MAX) | (uint64_t)value << 32
                : (*reg & ~(uint64_t)UINT32_MAX) | (value & mask);
}

void ahci_port_write(AhciPort *p, unsigned reg, uint32_t value)
{
    switch (reg) {
    case PX_CLB:
    case PX_CLBU:
        set_half(&p->clb, reg == PX_CLBU, value, ~0x3ffu);
        return;
    case PX_FB:
    case PX_FBU:
        set_half(&p->fb, reg == PX_FBU, value, ~0xffu);
        return;
    case PX_IS:
        p->is &= ~value;
        break;
    case PX_IE:
        p->ie = value & IS_ALL;
        break;
    case PX_CMD:
        write_cmd(p, value);
        break;
    case PX_SCTL:
        write_sctl(p, value);
        break;
    case PX_SERR:
        p->serr &= ~value;
        break;
    case PX_SACT:
        p->sact |= p->cmd & CMD_ST ? value : 0;
        return;
    case PX_CI:
        p->ci |= p->cmd & CMD_ST ? value : 0;
        break;
    default:
        return;
    }
    ahci_port_run(p);
    ahci_interrupt(p->hba);
}

void ahci_port_init(AhciPort *p, HwAhci *hba, unsigned n)
{
    p->hba = hba;
    p->n = n;
    for (unsigned i = 0; i < AHCI_N_SLOTS; i++) {
        p->slots[i].port = p;
        p->slots[i].n = i;
    }
}

void ahci_port_clear(AhciPort *p)
{
    for (unsigned i = 0; i < AHCI_N_SLOTS; i++) {
        if (p->slots[i].iov) {
            g_array_unref(p->slots[i].iov);
            p->slots[i].iov = NULL;
        }
    }
}
