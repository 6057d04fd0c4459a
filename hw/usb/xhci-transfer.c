/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transfers (4.10, 4.11): a transfer descriptor, which is a TRB and those chained to it, becomes one UsbTransfer over guest memory, and what
 * comes of it events.
 * Of an endpoint one is under way at a time.
 *
 * A descriptor stays on its ring until it is done. A device that has nothing to give is asked again when it says so (usb_wakeup).
 */
#include "hw/usb/xhci-priv.h"

#include <string.h>
#include "util/bytes.h"
#include "util/log.h"

enum { MAX_TRBS = 1024, MAX_BYTES = 16 << 20, TD_COST = 16 };
/* Of a control endpoint: what came last. */
enum { STAGE_NONE, STAGE_SETUP, STAGE_DATA };

struct XhciTd {
    HwXhci *s;
    unsigned ep;
    uint64_t after; /* the ring behind it */
    XhciTrb *trbs;
    unsigned n;
    GArray *iov; /* of struct iovec */
    UsbTransfer t;
    bool has_transfer; /* of a control endpoint's stages only one has */
    bool submitting, finished, forgotten;
    unsigned intr, n_events; /* reserved */
};

/* ---- Going on later ---- */

void xhci_arm(HwXhci *s)
{
    if (!timer_is_armed(&s->rekick)) {
        timer_set(&s->rekick, clock_now(CLOCK_VIRTUAL));
    }
}

void xhci_kick_later(HwXhci *s, unsigned ep)
{
    s->kicked[ep / 64] |= 1ull << ep % 64;
    xhci_arm(s);
}

/* ---- From the ring ---- */

static uint32_t trb_length(const XhciTrb *trb)
{
    switch (trb_type(trb)) {
    case TRB_NORMAL:
    case TRB_DATA:
    case TRB_ISOCH:
        return trb->status & 0x1ffff;
    }
    return 0;
}

static unsigned trb_intr(const XhciTrb *trb)
{
    unsigned n = trb->status >> 22;

    return n < XHCI_INTRS ? n : 0;
}

static void td_free(XhciTd *td)
{
    g_free(td->trbs);
    g_array_unref(td->iov);
    g_free(td);
}

/* The next descriptor; NULL: there is none yet. One that is too long ends at MAX_TRBS, and is refused as it is not complete. */
static XhciTd *td_read(HwXhci *s, unsigned ep)
{
    XhciTd *td = g_new0(XhciTd, 1);
    uint64_t ring = s->ep_dequeue[ep];
    XhciTrb trb;

    td->s = s;
    td->ep = ep;
    td->iov = g_array_new(FALSE, FALSE, sizeof(struct iovec));
    do {
        s->budget--;
        if (!xhci_ring_next(s, &ring, &trb, NULL)) {
            td_free(td);
            return NULL;
        }
        if (!(td->n & (td->n - 1))) { /* grows by doubling */
            td->trbs = g_renew(XhciTrb, td->trbs, td->n ? 2 * td->n : 1);
        }
        td->trbs[td->n++] = trb;
        td->n_events += trb_type(&trb) == TRB_EVENT_DATA || (trb.control & TRB_IOC);
    } while ((trb.control & TRB_CHAIN) && td->n < MAX_TRBS);
    td->after = ring;
    td->intr = trb_intr(&trb);
    td->n_events++; /* an error, or a short packet */
    s->budget -= TD_COST;
    return td;
}

/* The TRB's memory as parts of the transfer. */
static bool map_trb(XhciTd *td, XhciTrb *trb)
{
    uint32_t left = trb_length(trb);
    uint64_t addr = trb->param;

    if (td->t.length + left > MAX_BYTES) {
        return false;
    }
    td->t.length += left;
    if (trb->control & TRB_IDT) {
        struct iovec v = { (uint8_t *)&trb->param, left };

        trb->param = GUINT64_TO_LE(trb->param);
        g_array_append_val(td->iov, v);
        return left <= sizeof(trb->param) && !td->t.in;
    }
    while (left) {
        uint64_t piece = left;
        struct iovec v = { hw_pci_dma_map(&td->s->parent, addr, &piece, td->t.in), piece };

        if (!v.iov_base) {
            return false;
        }
        v.iov_len = piece;
        g_array_append_val(td->iov, v);
        addr += piece;
        left -= (uint32_t)piece;
    }
    return true;
}

static bool map_data(XhciTd *td, unsigned first_type)
{
    for (unsigned i = 0; i < td->n; i++) {
        XhciTrb *trb = &td->trbs[i];
        unsigned type = trb_type(trb);

        if (type != TRB_EVENT_DATA && type != (i ? TRB_NORMAL : first_type)) {
            return false;
        }
        if (trb_length(trb) && !map_trb(td, trb)) {
            return false;
        }
    }
    td->t.iov = (struct iovec *)(void *)td->iov->data;
    td->t.n_iov = (int)td->iov->len;
    return true;
}

/* 4.11.2.2: the stages of a control transfer. The device is asked in the data stage, or in the status stage if there is none. */
static bool prepare_control(XhciTd *td)
{
    HwXhci *s = td->s;
    const XhciTrb *first = &td->trbs[0];
    bool asked = false;

    switch (trb_type(first)) {
    case TRB_SETUP:
        return td->n == 1 && (first->control & TRB_IDT) &&
               (first->status & 0x1ffff) == USB_SETUP_SIZE;
    case TRB_DATA:
        td->t.in = first->control & TRB_DIR_IN;
        asked = s->ep_stage[td->ep] == STAGE_SETUP;
        if (!asked || !map_data(td, TRB_DATA)) {
            return false;
        }
        break;
    case TRB_STATUS:
        if (s->ep_stage[td->ep] == STAGE_NONE || !map_data(td, TRB_STATUS)) {
            return false;
        }
        asked = s->ep_stage[td->ep] == STAGE_SETUP;
        break;
    default:
        return false;
    }
    bytes_put_le64(td->t.setup, s->ep_setup[td->ep]);
    td->has_transfer = asked;
    return true;
}

static bool prepare(XhciTd *td)
{
    uint8_t type = td->s->ep_type[td->ep];
    unsigned dci = td->ep % 32;

    if (trb_type(&td->trbs[0]) == TRB_NO_OP && td->n == 1) {
        return true;
    }
    if (td->trbs[td->n - 1].control & TRB_CHAIN) { /* too long */
        return false;
    }
    if (type == EP_CONTROL) {
        return prepare_control(td);
    }
    td->t.endpoint = (uint8_t)(dci / 2);
    td->t.in = dci & 1;
    td->has_transfer = true;
    if (td->n == 1 && trb_type(&td->trbs[0]) == TRB_EVENT_DATA) {
        td->has_transfer = false;
        return true;
    }
    return map_data(td, type == EP_ISOCH_IN || type == EP_ISOCH_OUT ? TRB_ISOCH : TRB_NORMAL);
}

/* ---- The end ---- */

static void send_event(XhciTd *td, const XhciTrb *trb, unsigned code, uint32_t length, bool data)
{
    enum { EVENT_DATA = 4 };
    XhciTrb e = { 0 };

    e.param = data ? trb->param : trb->addr;
    e.status = code << 24 | (length & 0xffffff);
    e.control = TRB_TRANSFER_EVENT << 10 | (td->ep % 32) << 16 | (td->ep / 32) << 24 |
                (data ? EVENT_DATA : 0u);
    xhci_event(td->s, trb_intr(trb), &e, code == CC_SUCCESS && (trb->control & TRB_BEI));
}

/* 4.10.1.1: a short packet is told once, where it ended, or by the last TRB if nobody wanted to know there; an event data TRB behind it tells
 * the sum. */
static void send_events(XhciTd *td, unsigned code)
{
    uint32_t left = td->t.actual, sum = 0;
    bool over = false, told = false;

    for (unsigned i = 0; i < td->n; i++) {
        const XhciTrb *trb = &td->trbs[i];
        uint32_t length = trb_length(trb), moved = MIN(length, left);
        bool ends = code != CC_SUCCESS && !over && moved < length;

        if (trb_type(trb) == TRB_EVENT_DATA) {
            if (trb->control & TRB_IOC) {
                send_event(td, trb, over ? code : CC_SUCCESS, sum, true);
            }
            sum = 0;
            continue;
        }
        left -= moved;
        sum += moved;
        over |= ends;
        if (ends ? trb->control & (TRB_ISP | TRB_IOC)
                 : (trb->control & TRB_IOC) && !told && (!over || i + 1 == td->n)) {
            send_event(td, trb, over ? code : CC_SUCCESS, length - moved, false);
            told = over;
        }
    }
}

/* The TRB at which the transfer came to an error. */
static void send_error(XhciTd *td, unsigned code)
{
    uint32_t left = td->t.actual, length = 0, moved = 0;
    unsigned i = 0;

    for (;; i++) {
        length = trb_length(&td->trbs[i]);
        moved = MIN(length, left);
        left -= moved;
        if (moved < length || i + 1 == td->n) {
            break;
        }
    }
    send_event(td, &td->trbs[i], code, length - moved, false);
}

static bool is_isochronous(const HwXhci *s, unsigned ep)
{
    return s->ep_type[ep] == EP_ISOCH_IN || s->ep_type[ep] == EP_ISOCH_OUT;
}

static void retire(XhciTd *td)
{
    HwXhci *s = td->s;
    unsigned type = trb_type(&td->trbs[0]);

    s->ep_dequeue[td->ep] = td->after;
    if (type == TRB_SETUP) {
        s->ep_setup[td->ep] = td->trbs[0].param;
        s->ep_stage[td->ep] = STAGE_SETUP;
    } else if (s->ep_type[td->ep] == EP_CONTROL) {
        s->ep_stage[td->ep] = type == TRB_DATA ? STAGE_DATA : STAGE_NONE;
    }
}

static void fail(XhciTd *td, unsigned code)
{
    HwXhci *s = td->s;

    send_error(td, code);
    if (is_isochronous(s, td->ep) && code != CC_TRB_ERROR) {
        retire(td);
        return;
    }
    s->ep_stage[td->ep] = STAGE_NONE;
    xhci_set_ep_state(s, td->ep, code == CC_TRB_ERROR ? EP_ERROR : EP_HALTED);
}

static void complete(XhciTd *td)
{
    bool is_short = td->t.in && td->t.actual < td->t.length;

    switch (td->t.status) {
    case USB_OK:
        retire(td);
        send_events(td, is_short ? CC_SHORT_PACKET : CC_SUCCESS);
        return;
    case USB_NAK:
        td->s->waiting[td->ep / 64] |= 1ull << td->ep % 64;
        return;
    case USB_STALL:
        fail(td, CC_STALL);
        return;
    case USB_BABBLE:
        fail(td, CC_BABBLE);
        return;
    case USB_ERROR:
        fail(td, CC_TRANSACTION_ERROR);
        return;
    }
}

/* Off the endpoint, with what came of it. */
static void end_td(XhciTd *td)
{
    HwXhci *s = td->s;

    s->td[td->ep] = NULL;
    s->reserved[td->intr] -= td->n_events;
    if (!td->forgotten) {
        complete(td);
    }
    td_free(td);
}

static void transfer_done(UsbTransfer *t)
{
    XhciTd *td = t->opaque;
    HwXhci *s = td->s;
    unsigned ep = td->ep;
    bool forgotten = td->forgotten;

    td->finished = true;
    if (!td->submitting) {
        end_td(td);
        if (!forgotten) {
            s->budget = XHCI_DOORBELL_BUDGET;
            xhci_run_endpoint(s, ep);
        }
    }
}

/* ---- On the way ---- */

static void submit(XhciTd *td)
{
    HwUsbDevice *dev = xhci_slot_device(td->s, td->ep / 32);

    td->t.done = transfer_done;
    td->t.opaque = td;
    td->submitting = true;
    if (dev) {
        usb_submit(dev, &td->t);
    } else {
        usb_finish(&td->t, USB_ERROR);
    }
    td->submitting = false;
}

/* Begins what is next on the ring. False: nothing more can be done now. */
static bool run_next(HwXhci *s, unsigned ep)
{
    XhciTd *td = td_read(s, ep);
    bool fits;

    if (!td) {
        return false;
    }
    fits = xhci_event_room(s, td->intr, td->n_events);
    if (!fits && !xhci_event_ring_is_free(s, td->intr)) {
        s->kicked[ep / 64] |= 1ull << ep % 64;
        s->starved = true;
        td_free(td);
        return false;
    }
    s->td[ep] = td;
    s->reserved[td->intr] += td->n_events;
    s->waiting[ep / 64] &= ~(1ull << ep % 64);
    if (!fits || !prepare(td)) { /* more events than the ring has places, or nothing that can be */
        log_guest_error(
            "qemu-xhci: slot %u, endpoint %u: a bad transfer descriptor at %#" G_GINT64_MODIFIER
            "x",
            ep / 32, ep % 32, td->trbs[0].addr);
        s->td[ep] = NULL;
        s->reserved[td->intr] -= td->n_events;
        fail(td, CC_TRB_ERROR);
        td_free(td);
        return false;
    }
    if (td->has_transfer) {
        submit(td);
        if (!td->finished) {
            return false;
        }
    }
    end_td(td);
    return !(s->waiting[ep / 64] >> ep % 64 & 1);
}

void xhci_run_endpoint(HwXhci *s, unsigned ep)
{
    while (xhci_is_running(s) && s->ep_state[ep] == EP_RUNNING && !s->td[ep]) {
        if (s->budget <= 0) {
            xhci_kick_later(s, ep);
            return;
        }
        if (!run_next(s, ep)) {
            return;
        }
    }
}

void xhci_settle(HwXhci *s, unsigned ep, bool forget)
{
    XhciTd *td = s->td[ep];

    if (td) {
        g_assert(!td->submitting); /* a device is not settled from within a transfer to it */
        td->forgotten = forget;
        usb_settle(&td->t);
        g_assert(!s->td[ep]);
    }
}

void xhci_settle_all(HwXhci *s, bool forget)
{
    for (unsigned ep = 0; ep < XHCI_N_EPS; ep++) {
        xhci_settle(s, ep, forget);
    }
}
