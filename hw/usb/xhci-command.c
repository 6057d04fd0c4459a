/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command ring (4.6, 6.4.3) and the contexts in guest memory (6.2): slots, addresses, endpoints.
 *
 * Contexts are read when a command names them and written when their state changes; what a guest writes into them at other times is not looked at.
 */
#include "hw/usb/xhci-priv.h"

#include <string.h>
#include "util/bytes.h"
#include "util/log.h"

enum { MAX_COMMANDS = 256, CONTEXTS = 32 };
enum { WORDS = XHCI_CONTEXT / 4, EP0 = 1 };
/* Slot context: words */
enum { SLOT_ROUTE = 0, SLOT_PORT = 1, SLOT_INTR = 2, SLOT_STATE = 3 };
enum { ROUTE_MASK = 0xfffff, ENTRIES_SHIFT = 27, EXIT_LATENCY = 0xffff, INTR_MASK = 0xffc00000 };
/* Endpoint context: words */
enum { EPC_STATE = 0, EPC_TYPE = 1, EPC_DEQUEUE = 2 };
enum { EPC_STREAMS = 0x7c00, EPC_STATE_MASK = 7 };

typedef struct Context {
    uint32_t w[WORDS];
} Context;

/* ---- Contexts ---- */

static bool context_read(HwXhci *s, uint64_t addr, Context *c)
{
    uint8_t raw[XHCI_CONTEXT];
    bool ok = hw_pci_dma_read(&s->parent, addr, raw, sizeof(raw));

    for (unsigned i = 0; ok && i < WORDS; i++) {
        c->w[i] = bytes_get_le32(raw + 4 * (size_t)i);
    }
    return ok;
}

static void context_write(HwXhci *s, uint64_t addr, const Context *c)
{
    uint8_t raw[XHCI_CONTEXT];

    for (unsigned i = 0; i < WORDS; i++) {
        bytes_put_le32(raw + 4 * (size_t)i, c->w[i]);
    }
    hw_pci_dma_write(&s->parent, addr, raw, sizeof(raw));
}

/* Of context @dci (0: the slot's) of the slot's output device context. */
static bool output(HwXhci *s, unsigned slot, unsigned dci, uint64_t *addr)
{
    uint8_t raw[8];

    if (!hw_pci_dma_read(&s->parent, s->dcbaap + 8ull * slot, raw, sizeof(raw))) {
        return false;
    }
    *addr = (bytes_get_le64(raw) & ~63ull) + (uint64_t)dci * XHCI_CONTEXT;
    return true;
}

static void set_slot_state(HwXhci *s, unsigned slot, uint8_t state)
{
    uint64_t addr;
    Context c;

    s->slot_state[slot] = state;
    if (output(s, slot, 0, &addr) && context_read(s, addr, &c)) {
        c.w[SLOT_STATE] = (uint32_t)state << 27 | (state >= SLOT_ADDRESSED ? slot : 0);
        context_write(s, addr, &c);
    }
}

void xhci_set_ep_state(HwXhci *s, unsigned ep, uint8_t state)
{
    uint64_t addr;
    Context c;

    s->ep_state[ep] = state;
    if (output(s, ep / 32, ep % 32, &addr) && context_read(s, addr, &c)) {
        c.w[EPC_STATE] = (c.w[EPC_STATE] & ~(uint32_t)EPC_STATE_MASK) | state;
        c.w[EPC_DEQUEUE] = (uint32_t)s->ep_dequeue[ep];
        c.w[EPC_DEQUEUE + 1] = (uint32_t)(s->ep_dequeue[ep] >> 32);
        context_write(s, addr, &c);
    }
}

static void disable_ep(HwXhci *s, unsigned ep)
{
    if (s->ep_state[ep] != EP_DISABLED) {
        s->ep_state[ep] = EP_DISABLED;
        xhci_settle(s, ep, true);
        xhci_set_ep_state(s, ep, EP_DISABLED);
    }
}

static void disable_eps(HwXhci *s, unsigned slot, unsigned first)
{
    for (unsigned dci = first; dci < CONTEXTS; dci++) {
        disable_ep(s, xhci_ep(slot, dci));
    }
}

/* An endpoint as the input context describes it begins to run. */
static bool enable_ep(HwXhci *s, unsigned ep, const Context *in)
{
    uint8_t type = in->w[EPC_TYPE] >> 3 & 7;
    bool is_in = ep & 1, type_is_in = type >= EP_CONTROL;
    Context out = *in;
    uint64_t addr;

    if (!type || (in->w[EPC_STATE] & EPC_STREAMS) || (ep % 32 == EP0) != (type == EP_CONTROL) ||
        (ep % 32 != EP0 && is_in != type_is_in) || !output(s, ep / 32, ep % 32, &addr)) {
        return false;
    }
    disable_ep(s, ep);
    s->ep_type[ep] = type;
    s->ep_stage[ep] = 0;
    s->ep_dequeue[ep] = (in->w[EPC_DEQUEUE] & ~14u) | (uint64_t)in->w[EPC_DEQUEUE + 1] << 32;
    s->ep_state[ep] = EP_RUNNING;
    out.w[EPC_STATE] = (out.w[EPC_STATE] & ~(uint32_t)EPC_STATE_MASK) | EP_RUNNING;
    context_write(s, addr, &out);
    return true;
}

/* ---- Slots ---- */

HwUsbDevice *xhci_slot_device(HwXhci *s, unsigned slot)
{
    HwUsbPort *root = xhci_connector(s, s->slot_port[slot]);
    HwUsbDevice *dev = root ? hw_usb_find(root, s->slot_route[slot]) : NULL;
    uint8_t address = s->slot_state[slot] >= SLOT_ADDRESSED ? (uint8_t)slot : 0;

    return dev && dev->address == address ? dev : NULL;
}

static unsigned enable_slot(HwXhci *s, unsigned *slot)
{
    unsigned most = MIN(s->config & 0xff, XHCI_SLOTS);

    for (unsigned n = 1; n <= most; n++) {
        if (!s->slot_enabled[n]) {
            s->slot_enabled[n] = true;
            s->slot_state[n] = SLOT_ENABLED;
            s->slot_port[n] = 0;
            s->slot_route[n] = 0;
            *slot = n;
            return CC_SUCCESS;
        }
    }
    return CC_NO_SLOTS;
}

static unsigned disable_slot(HwXhci *s, unsigned slot)
{
    disable_eps(s, slot, EP0);
    set_slot_state(s, slot, SLOT_ENABLED);
    s->slot_enabled[slot] = false;
    return CC_SUCCESS;
}

static void address_done(UsbTransfer *t)
{
    (void)t;
}

/* SET_ADDRESS with the slot's number, which no other device has. */
static bool set_address(HwXhci *s, unsigned slot)
{
    UsbTransfer t = { .setup = { 0, USB_SET_ADDRESS, (uint8_t)slot }, .done = address_done };
    HwUsbPort *root = xhci_connector(s, s->slot_port[slot]);
    HwUsbDevice *dev = root ? hw_usb_find(root, s->slot_route[slot]) : NULL;

    if (!dev) {
        return false;
    }
    usb_submit(dev, &t);
    return t.status == USB_OK;
}

static unsigned address_device(HwXhci *s, const XhciTrb *trb, unsigned slot)
{
    enum { BLOCK_SET_ADDRESS = 0x200, SLOT_AND_EP0 = 3 };
    bool blocked = trb->control & BLOCK_SET_ADDRESS;
    uint64_t in = trb->param & ~15ull, addr;
    Context control, c, ep0;

    if (s->slot_state[slot] > (blocked ? SLOT_ENABLED : SLOT_DEFAULT)) {
        return CC_CONTEXT_STATE;
    }
    if (!context_read(s, in, &control) || !context_read(s, in + XHCI_CONTEXT, &c) ||
        !context_read(s, in + 2 * XHCI_CONTEXT, &ep0) || !output(s, slot, 0, &addr)) {
        return CC_TRB_ERROR;
    }
    if ((control.w[0] & ~3u) || (control.w[1] & 3) != SLOT_AND_EP0) {
        return CC_PARAMETER_ERROR;
    }
    s->slot_port[slot] = (uint8_t)(c.w[SLOT_PORT] >> 16);
    s->slot_route[slot] = c.w[SLOT_ROUTE] & ROUTE_MASK;
    if (!xhci_connector(s, s->slot_port[slot])) {
        return CC_PARAMETER_ERROR;
    }
    if (!blocked && !set_address(s, slot)) {
        return CC_TRANSACTION_ERROR;
    }
    if (!enable_ep(s, xhci_ep(slot, EP0), &ep0)) {
        return CC_PARAMETER_ERROR;
    }
    context_write(s, addr, &c);
    set_slot_state(s, slot, blocked ? SLOT_DEFAULT : SLOT_ADDRESSED);
    return CC_SUCCESS;
}

/* ---- Endpoints ---- */

/* The number of contexts of the output device context follows what is in use. */
static void update_slot(HwXhci *s, unsigned slot, const Context *in)
{
    unsigned last = EP0;
    uint64_t addr;
    Context c;

    for (unsigned dci = EP0; dci < CONTEXTS; dci++) {
        last = s->ep_state[xhci_ep(slot, dci)] != EP_DISABLED ? dci : last;
    }
    if (output(s, slot, 0, &addr) && context_read(s, addr, &c)) {
        uint32_t route = in ? in->w[SLOT_ROUTE] : c.w[SLOT_ROUTE];

        c.w[SLOT_ROUTE] = (route & ~(0x1fu << ENTRIES_SHIFT)) | last << ENTRIES_SHIFT;
        if (in) { /* what a hub learned of itself */
            c.w[SLOT_PORT] = in->w[SLOT_PORT];
            c.w[SLOT_INTR] = in->w[SLOT_INTR];
        }
        context_write(s, addr, &c);
    }
    set_slot_state(s, slot, last > EP0 ? SLOT_CONFIGURED : SLOT_ADDRESSED);
}

static unsigned configure(HwXhci *s, const XhciTrb *trb, unsigned slot)
{
    enum { DECONFIGURE = 0x200 };
    uint64_t in = trb->param & ~15ull;
    Context control, c, slot_in;

    if (s->slot_state[slot] < SLOT_ADDRESSED) {
        return CC_CONTEXT_STATE;
    }
    if (trb->control & DECONFIGURE) {
        disable_eps(s, slot, EP0 + 1);
        update_slot(s, slot, NULL);
        return CC_SUCCESS;
    }
    if (!context_read(s, in, &control) || !context_read(s, in + XHCI_CONTEXT, &slot_in)) {
        return CC_TRB_ERROR;
    }
    if ((control.w[0] & 3) || (control.w[1] & 3) != 1) {
        return CC_PARAMETER_ERROR;
    }
    for (unsigned dci = EP0 + 1; dci < CONTEXTS; dci++) {
        if (control.w[0] >> dci & 1) {
            disable_ep(s, xhci_ep(slot, dci));
        }
        if ((control.w[1] >> dci & 1) && (!context_read(s, in + (dci + 1ull) * XHCI_CONTEXT, &c) ||
                                          !enable_ep(s, xhci_ep(slot, dci), &c))) {
            return CC_PARAMETER_ERROR;
        }
    }
    update_slot(s, slot, &slot_in);
    return CC_SUCCESS;
}

static unsigned evaluate(HwXhci *s, const XhciTrb *trb, unsigned slot)
{
    uint64_t in = trb->param & ~15ull, addr;
    Context control, from, to;

    if (s->slot_state[slot] < SLOT_DEFAULT) {
        return CC_CONTEXT_STATE;
    }
    if (!context_read(s, in, &control)) {
        return CC_TRB_ERROR;
    }
    if ((control.w[1] & 1) && context_read(s, in + XHCI_CONTEXT, &from) &&
        output(s, slot, 0, &addr) && context_read(s, addr, &to)) {
        to.w[SLOT_PORT] =
            (to.w[SLOT_PORT] & ~(uint32_t)EXIT_LATENCY) | (from.w[SLOT_PORT] & EXIT_LATENCY);
        to.w[SLOT_INTR] = (to.w[SLOT_INTR] & ~INTR_MASK) | (from.w[SLOT_INTR] & INTR_MASK);
        context_write(s, addr, &to);
    }
    if ((control.w[1] & 2) && context_read(s, in + 2 * XHCI_CONTEXT, &from) &&
        output(s, slot, EP0, &addr) && context_read(s, addr, &to)) {
        to.w[EPC_TYPE] = (to.w[EPC_TYPE] & 0xffff) | (from.w[EPC_TYPE] & 0xffff0000); /* size */
        context_write(s, addr, &to);
    }
    return CC_SUCCESS;
}

static unsigned reset_endpoint(HwXhci *s, unsigned ep)
{
    if (s->ep_state[ep] != EP_HALTED) {
        return CC_CONTEXT_STATE;
    }
    s->ep_stage[ep] = 0;
    xhci_set_ep_state(s, ep, EP_STOPPED);
    return CC_SUCCESS;
}

/* What is under way ends with its event first (4.6.9). */
static unsigned stop_endpoint(HwXhci *s, unsigned ep)
{
    if (s->ep_state[ep] != EP_RUNNING) {
        return CC_CONTEXT_STATE;
    }
    s->ep_state[ep] = EP_STOPPED;
    xhci_settle(s, ep, false);
    if (s->ep_state[ep] != EP_STOPPED) {
        return CC_CONTEXT_STATE; /* it ended with an error */
    }
    xhci_set_ep_state(s, ep, EP_STOPPED);
    return CC_SUCCESS;
}

static unsigned set_dequeue(HwXhci *s, const XhciTrb *trb, unsigned ep)
{
    if (s->ep_state[ep] != EP_STOPPED && s->ep_state[ep] != EP_ERROR) {
        return CC_CONTEXT_STATE;
    }
    s->ep_dequeue[ep] = trb->param & ~14ull;
    s->ep_stage[ep] = 0;
    xhci_set_ep_state(s, ep, EP_STOPPED);
    return CC_SUCCESS;
}

static unsigned reset_device(HwXhci *s, unsigned slot)
{
    if (s->slot_state[slot] < SLOT_ADDRESSED) {
        return CC_CONTEXT_STATE;
    }
    disable_eps(s, slot, EP0 + 1);
    xhci_settle(s, xhci_ep(slot, EP0), true);
    update_slot(s, slot, NULL);
    set_slot_state(s, slot, SLOT_DEFAULT);
    return CC_SUCCESS;
}

/* 4.6.15: percentages for each port; nothing shares bandwidth here. */
static unsigned port_bandwidth(HwXhci *s, const XhciTrb *trb)
{
    enum { ALL_FREE = 90 };
    uint8_t raw[1 + XHCI_MAX_PORTS] = { 0 };
    unsigned n = xhci_n_ports(s);

    memset(raw + 1, ALL_FREE, n);
    return hw_pci_dma_write(&s->parent, trb->param & ~15ull, raw, n + 1) ? CC_SUCCESS
                                                                         : CC_TRB_ERROR;
}

/* ---- The ring ---- */

static unsigned endpoint_command(HwXhci *s, const XhciTrb *trb, unsigned slot)
{
    unsigned dci = trb->control >> 16 & 31, ep = xhci_ep(slot, dci);

    if (!dci || s->ep_state[ep] == EP_DISABLED) {
        return dci ? CC_ENDPOINT_NOT_ENABLED : CC_TRB_ERROR;
    }
    switch (trb_type(trb)) {
    case TRB_RESET_ENDPOINT:
        return reset_endpoint(s, ep);
    case TRB_STOP_ENDPOINT:
        return stop_endpoint(s, ep);
    default:
        return set_dequeue(s, trb, ep);
    }
}

static unsigned slot_command(HwXhci *s, const XhciTrb *trb, unsigned slot)
{
    if (!slot || slot > XHCI_SLOTS || !s->slot_enabled[slot]) {
        return CC_SLOT_NOT_ENABLED;
    }
    switch (trb_type(trb)) {
    case TRB_DISABLE_SLOT:
        return disable_slot(s, slot);
    case TRB_ADDRESS_DEVICE:
        return address_device(s, trb, slot);
    case TRB_CONFIGURE_ENDPOINT:
        return configure(s, trb, slot);
    case TRB_EVALUATE_CONTEXT:
        return evaluate(s, trb, slot);
    case TRB_RESET_DEVICE:
        return reset_device(s, slot);
    default:
        return endpoint_command(s, trb, slot);
    }
}

static void send_completion(HwXhci *s, uint64_t addr, unsigned code, unsigned slot)
{
    XhciTrb e = { .param = addr,
                  .status = code << 24,
                  .control = TRB_COMMAND_EVENT << 10 | slot << 24 };

    xhci_event(s, 0, &e, false);
}

static void run_command(HwXhci *s, const XhciTrb *trb)
{
    unsigned slot = trb->control >> 24, code, type = trb_type(trb);

    if (type == TRB_ENABLE_SLOT) {
        code = enable_slot(s, &slot);
    } else if (type == TRB_COMMAND_NO_OP) {
        code = CC_SUCCESS;
        slot = 0;
    } else if (type == TRB_GET_PORT_BANDWIDTH) {
        code = port_bandwidth(s, trb);
    } else if (type >= TRB_DISABLE_SLOT && type <= TRB_RESET_DEVICE) {
        code = slot_command(s, trb, slot);
    } else {
        log_guest_error("qemu-xhci: command %u is not known", type);
        code = CC_TRB_ERROR;
    }
    send_completion(s, trb->addr, code, slot);
}

static bool next_command(HwXhci *s, XhciTrb *trb)
{
    uint64_t ring = s->crcr & ~(uint64_t)(CRCR_STOP | CRCR_ABORT | CRCR_RUNNING);
    bool found;

    found = xhci_ring_next(s, &ring, trb, NULL);
    s->crcr = (ring & ~15ull) | (ring & 1) | (s->crcr & CRCR_RUNNING);
    return found;
}

void xhci_run_commands(HwXhci *s)
{
    XhciTrb trb;

    s->command_kicked = false;
    for (unsigned n = 0; xhci_is_running(s) && (s->crcr & CRCR_RUNNING); n++) {
        /* A command may end transfers, each with its own events. */
        if (n == MAX_COMMANDS || !xhci_event_room(s, 0, 2)) {
            s->command_kicked = true;
            s->starved |= n != MAX_COMMANDS;
            if (n == MAX_COMMANDS) {
                xhci_arm(s);
            }
            return;
        }
        if (!next_command(s, &trb)) {
            return;
        }
        run_command(s, &trb);
    }
}
