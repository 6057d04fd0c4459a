/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TRBs in guest memory (4.9, 4.11) and the interrupters' event rings (4.9.4, 4.17).
 *
 * A ring's links may lead anywhere, in circles too: a bounded number is followed at once. An event's place is made sure of (xhci_event_room)
 * before what ends in
 * it is begun, so an event ring that its driver does not empty holds the controller up and loses nothing.
 */
#include "hw/usb/xhci-priv.h"

#include "util/bytes.h"
#include "util/log.h"

enum { ERST_ENTRY = 16, MIN_SEGMENT = 16, MAX_SEGMENT = 4096, MAX_SEGMENTS = 256 };

void xhci_host_error(HwXhci *s, const char *what)
{
    log_guest_error("qemu-xhci: %s; waiting for a reset", what);
    s->usbsts |= STS_HOST_ERROR | STS_HALTED;
    s->usbcmd &= ~(uint32_t)CMD_RUN;
}

bool xhci_trb_read(HwXhci *s, uint64_t addr, XhciTrb *trb)
{
    uint8_t raw[XHCI_TRB];

    if (!hw_pci_dma_read(&s->parent, addr, raw, sizeof(raw))) {
        xhci_host_error(s, "a ring outside of memory");
        return false;
    }
    *trb =
        (XhciTrb){ addr, bytes_get_le64(raw), bytes_get_le32(raw + 8), bytes_get_le32(raw + 12) };
    return true;
}

bool xhci_ring_next(HwXhci *s, uint64_t *ring, XhciTrb *trb, bool *chained)
{
    for (unsigned links = 0; links < XHCI_MAX_LINKS; links++) {
        uint64_t addr = *ring & ~15ull, cycle = *ring & 1;

        if (!xhci_trb_read(s, addr, trb) || (trb->control & TRB_CYCLE) != cycle) {
            return false;
        }
        if (trb_type(trb) != TRB_LINK) {
            *ring = (addr + XHCI_TRB) | cycle;
            return true;
        }
        cycle ^= trb->control & TRB_TOGGLE ? 1 : 0;
        *ring = (trb->param & ~15ull) | cycle;
        if (chained) {
            *chained = trb->control & TRB_CHAIN;
        }
    }
    log_guest_error("qemu-xhci: a ring of links");
    return false;
}

/* ---- Event rings ---- */

static bool segment(HwXhci *s, unsigned intr, uint32_t n, uint64_t *base, uint32_t *size)
{
    uint8_t raw[ERST_ENTRY];

    if (n >= s->erstsz[intr] ||
        !hw_pci_dma_read(&s->parent, s->erstba[intr] + (uint64_t)n * ERST_ENTRY, raw,
                         sizeof(raw))) {
        return false;
    }
    *base = bytes_get_le64(raw) & ~63ull;
    *size = bytes_get_le32(raw + 8) & 0xffff;
    return *size >= MIN_SEGMENT && *size <= MAX_SEGMENT;
}

/* How many events fit until the place before the driver's dequeue pointer, but not more than @enough. */
static unsigned count_room(HwXhci *s, unsigned intr, unsigned enough)
{
    uint32_t n = s->er_segment[intr], i = s->er_index[intr], size;
    uint64_t base, dequeue = s->erdp[intr] & ~15ull;
    unsigned room = 0;

    if (!segment(s, intr, n, &base, &size)) {
        return 0;
    }
    while (room < enough) {
        if (++i >= size) {
            i = 0;
            n = n + 1 < s->erstsz[intr] ? n + 1 : 0;
            if (!segment(s, intr, n, &base, &size)) {
                return room;
            }
        }
        if (base + (uint64_t)i * XHCI_TRB == dequeue) {
            return room;
        }
        room++;
    }
    return room;
}

bool xhci_event_room(HwXhci *s, unsigned intr, unsigned n)
{
    unsigned wanted = s->reserved[intr] + n;

    return count_room(s, intr, wanted) >= wanted;
}

static bool is_empty(HwXhci *s, unsigned intr)
{
    uint64_t base;
    uint32_t size;

    return !segment(s, intr, s->er_segment[intr], &base, &size) ||
           base + (uint64_t)s->er_index[intr] * XHCI_TRB == (s->erdp[intr] & ~15ull);
}

bool xhci_event_ring_is_free(HwXhci *s, unsigned intr)
{
    return !s->reserved[intr] && is_empty(s, intr) && count_room(s, intr, 1);
}

static void interrupt(HwXhci *s, unsigned intr)
{
    s->erdp[intr] |= ERDP_BUSY;
    s->iman[intr] |= IMAN_PENDING;
    s->usbsts |= STS_EINT;
    xhci_update_interrupts(s);
}

void xhci_update_interrupts(HwXhci *s)
{
    const uint32_t both = IMAN_PENDING | IMAN_ENABLE;
    bool on = s->usbcmd & CMD_INTE, messages = hw_pci_has_messages(&s->parent);

    for (unsigned i = 0; on && messages && i < XHCI_INTRS; i++) {
        if ((s->iman[i] & both) == both) {
            s->iman[i] &= ~(uint32_t)IMAN_PENDING; /* 5.5.2.1: with messages, by itself */
            hw_pci_notify(&s->parent, i);
        }
    }
    hw_pci_set_intx(&s->parent, on && (s->iman[0] & both) == both);
}

void xhci_event(HwXhci *s, unsigned intr, const XhciTrb *trb, bool quiet)
{
    uint8_t raw[XHCI_TRB];
    uint64_t base;
    uint32_t size, index = s->er_index[intr];

    if (!count_room(s, intr, 1) || !segment(s, intr, s->er_segment[intr], &base, &size)) {
        log_guest_error("qemu-xhci: an event of type %u has no place in ring %u", trb_type(trb),
                        intr);
        return;
    }
    bytes_put_le64(raw, trb->param);
    bytes_put_le32(raw + 8, trb->status);
    bytes_put_le32(raw + 12, (trb->control & ~1u) | s->er_cycle[intr]);
    if (!hw_pci_dma_write(&s->parent, base + (uint64_t)index * XHCI_TRB, raw, sizeof(raw))) {
        xhci_host_error(s, "an event ring outside of memory");
        return;
    }
    if (++s->er_index[intr] >= size) {
        s->er_index[intr] = 0;
        if (++s->er_segment[intr] >= s->erstsz[intr]) {
            s->er_segment[intr] = 0;
            s->er_cycle[intr] = !s->er_cycle[intr];
        }
    }
    if (!quiet && !(s->erdp[intr] & ERDP_BUSY)) {
        interrupt(s, intr);
    }
}

void xhci_write_erdp(HwXhci *s, unsigned intr, uint64_t value)
{
    bool busy = s->erdp[intr] & ERDP_BUSY & ~value;

    s->erdp[intr] = (value & ~(uint64_t)ERDP_BUSY) | (busy ? ERDP_BUSY : 0);
    if (!busy && s->erstsz[intr] && !is_empty(s, intr)) {
        interrupt(s, intr); /* 4.17.2: more came meanwhile */
    }
}

void xhci_event_ring_start(HwXhci *s, unsigned intr)
{
    s->er_segment[intr] = s->er_index[intr] = 0;
    s->er_cycle[intr] = true;
    s->erstsz[intr] = MIN(s->erstsz[intr], MAX_SEGMENTS);
}
