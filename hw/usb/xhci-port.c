/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports (4.15, 4.19, 5.4.8). A connector is a USB 2 port, a USB 3 port or both, of which the device in it uses the one for its speed. Port
 * registers
 * 1 to n_usb2 are of USB 2, those behind them of USB 3.
 */
#include "hw/usb/xhci-priv.h"

enum {
    PORT_CCS = 0x1,
    PORT_PED = 0x2,
    PORT_PR = 0x10,
    PORT_PLS = 0x1e0,
    PORT_PP = 0x200,
    PORT_SPEED = 0x3c00,
    PORT_PIC = 0xc000,
    PORT_LWS = 0x10000,
    PORT_CSC = 0x20000,
    PORT_WRC = 0x80000,
    PORT_PRC = 0x200000,
    PORT_PLC = 0x400000,
    PORT_CHANGES = 0xfe0000,
    PORT_WAKES = 0xe000000,
};
#define PORT_WPR 0x80000000u

enum {
    PLS_SHIFT = 5,
    U0 = 0,
    U2 = 2,
    U3 = 3,
    PLS_DISABLED = 4,
    RX_DETECT = 5,
    POLLING = 7,
    RESUME = 15
};
enum { SPEED_SHIFT = 10 };
enum { REG_PORTSC = 0, REG_PORTPMSC = 4 };

unsigned xhci_n_ports(const HwXhci *s)
{
    return s->n_usb2 + s->n_usb3;
}

static bool is_usb3(const HwXhci *s, unsigned port)
{
    return port > s->n_usb2;
}

HwUsbPort *xhci_connector(HwXhci *s, unsigned port)
{
    HwUsbPort *c;

    if (!port || port > xhci_n_ports(s)) {
        return NULL;
    }
    c = s->connectors[is_usb3(s, port) ? port - s->n_usb2 - 1u : port - 1u];
    return c->dev && (c->dev->speed == USB_SUPER) == is_usb3(s, port) ? c : NULL;
}

/* The register of the port that the connector's device uses. */
static unsigned port_of(const HwXhci *s, const HwUsbPort *c)
{
    return c->number + (c->dev->speed == USB_SUPER ? s->n_usb2 : 0u);
}

static unsigned link_state(const HwXhci *s, unsigned port)
{
    return (s->portsc[port - 1] & PORT_PLS) >> PLS_SHIFT;
}

static void set_link(HwXhci *s, unsigned port, unsigned state)
{
    s->portsc[port - 1] = (s->portsc[port - 1] & ~(uint32_t)PORT_PLS) | state << PLS_SHIFT;
}

static void update_enabled(HwXhci *s, unsigned port)
{
    HwUsbPort *c = xhci_connector(s, port);

    if (c) {
        c->enabled = (s->portsc[port - 1] & PORT_PED) && link_state(s, port) <= U2;
    }
}

static void send_event(HwXhci *s, unsigned port)
{
    XhciTrb e = { .param = (uint64_t)port << 24,
                  .status = CC_SUCCESS << 24,
                  .control = TRB_PORT_EVENT << 10 };

    s->usbsts |= STS_PORT;
    if (xhci_is_running(s)) {
        xhci_event(s, 0, &e, false);
    }
}

/* 4.19.2: an event for the first change, until the driver has cleared all. */
static void changed(HwXhci *s, unsigned port, uint32_t bits)
{
    bool first = !(s->portsc[port - 1] & PORT_CHANGES);

    update_enabled(s, port);
    s->portsc[port - 1] |= bits;
    if (first && bits) {
        send_event(s, port);
    }
}

/* As if it were plugged in now: of USB 3 the link comes up by itself, of USB 2 the driver resets the port. */
static void connect(HwXhci *s, unsigned port)
{
    static const uint8_t speeds[] = { 2, 1, 3, 4 }; /* 7.2.2.1.1: low, full, high, super */
    HwUsbPort *c = xhci_connector(s, port);
    uint32_t *sc = &s->portsc[port - 1];

    *sc = PORT_PP | RX_DETECT << PLS_SHIFT | (*sc & PORT_WAKES);
    if (!c) {
        return;
    }
    *sc |= PORT_CCS | (uint32_t)speeds[c->dev->speed] << SPEED_SHIFT;
    *sc |= is_usb3(s, port) ? PORT_PED : 0;
    set_link(s, port, is_usb3(s, port) ? U0 : POLLING);
    changed(s, port, PORT_CSC);
}

static void reset(HwXhci *s, unsigned port, bool warm)
{
    HwUsbPort *c = xhci_connector(s, port);

    if (!c) {
        changed(s, port, warm ? PORT_PRC | PORT_WRC : PORT_PRC);
        return;
    }
    usb_device_reset(c->dev);
    s->portsc[port - 1] |= PORT_PED;
    set_link(s, port, U0);
    changed(s, port, warm ? PORT_PRC | PORT_WRC : PORT_PRC);
}

static void write_link(HwXhci *s, unsigned port, unsigned state)
{
    unsigned now = link_state(s, port);

    if (!(s->portsc[port - 1] & PORT_PED)) {
        if (is_usb3(s, port) && (state == RX_DETECT || state == PLS_DISABLED)) {
            if (state == RX_DETECT) {
                connect(s, port);
            } else {
                set_link(s, port, state);
            }
        }
        return;
    }
    switch (state) {
    case U0:
        set_link(s, port, U0);
        changed(s, port, now == U3 || now == RESUME ? PORT_PLC : 0);
        break;
    case U3:
    case RESUME: /* USB 2: the driver ends it by U0 */
        set_link(s, port, state);
        update_enabled(s, port);
        break;
    case PLS_DISABLED:
        s->portsc[port - 1] &= ~(uint32_t)PORT_PED;
        set_link(s, port, state);
        update_enabled(s, port);
        break;
    }
}

static void write_portsc(HwXhci *s, unsigned port, uint32_t value)
{
    uint32_t *sc = &s->portsc[port - 1];

    *sc &= ~(value & PORT_CHANGES);
    *sc = (*sc & ~(uint32_t)(PORT_WAKES | PORT_PIC)) | (value & (PORT_WAKES | PORT_PIC));
    if (value & (PORT_PR | (is_usb3(s, port) ? PORT_WPR : 0))) {
        reset(s, port, is_usb3(s, port) && (value & PORT_WPR));
        return;
    }
    if ((value & PORT_PED) && (*sc & PORT_PED)) { /* written with 1 to disable */
        *sc &= ~(uint32_t)PORT_PED;
        set_link(s, port, is_usb3(s, port) ? PLS_DISABLED : POLLING);
        update_enabled(s, port);
        return;
    }
    if (value & PORT_LWS) {
        write_link(s, port, (value & PORT_PLS) >> PLS_SHIFT);
    }
}

uint32_t xhci_port_read(HwXhci *s, unsigned port, unsigned reg)
{
    switch (reg) {
    case REG_PORTSC:
        return s->portsc[port - 1];
    case REG_PORTPMSC:
        return s->portpmsc[port - 1];
    }
    return 0;
}

void xhci_port_write(HwXhci *s, unsigned port, unsigned reg, uint32_t value)
{
    if (reg == REG_PORTSC) {
        write_portsc(s, port, value);
    } else if (reg == REG_PORTPMSC) {
        s->portpmsc[port - 1] = value & (is_usb3(s, port) ? 0x1ffff : 0xfff8);
    }
}

void xhci_ports_reset(HwXhci *s)
{
    for (unsigned port = 1; port <= xhci_n_ports(s); port++) {
        s->portsc[port - 1] = s->portpmsc[port - 1] = 0;
        connect(s, port);
    }
}

void xhci_ports_update(HwXhci *s)
{
    for (unsigned port = 1; port <= xhci_n_ports(s); port++) {
        if (!xhci_connector(s, port)) {
            s->portsc[port - 1] &= ~(uint32_t)(PORT_CCS | PORT_PED | PORT_SPEED);
        }
        update_enabled(s, port);
    }
}

void xhci_ports_report(HwXhci *s)
{
    for (unsigned port = 1; port <= xhci_n_ports(s); port++) {
        if (s->portsc[port - 1] & PORT_CHANGES) {
            send_event(s, port);
        }
    }
}

/* ---- Connectors ---- */

static void attached(HwUsbPort *c)
{
    HwXhci *s = c->opaque;

    connect(s, port_of(s, c));
}

/* 4.19.1.1.7, 4.19.1.2.2 */
static void detached(HwUsbPort *c)
{
    HwXhci *s = c->opaque;
    unsigned port = port_of(s, c);
    uint32_t *sc = &s->portsc[port - 1];

    *sc = PORT_PP | RX_DETECT << PLS_SHIFT | (*sc & (PORT_WAKES | PORT_CHANGES));
    changed(s, port, PORT_CSC);
}

/* 4.15.2.2: the device in a suspended port wakes up. */
static void resume(HwUsbPort *c)
{
    HwXhci *s = c->opaque;
    unsigned port = port_of(s, c);

    if (link_state(s, port) == U3 && (s->portsc[port - 1] & PORT_PED)) {
        set_link(s, port, is_usb3(s, port) ? U0 : RESUME);
        changed(s, port, PORT_PLC);
    }
}

void xhci_connectors_init(HwXhci *s)
{
    for (unsigned i = 0; i < MAX(s->n_usb2, s->n_usb3); i++) {
        uint8_t speeds =
            (uint8_t)((i < s->n_usb2 ? 1 << USB_LOW | 1 << USB_FULL | 1 << USB_HIGH : 0) |
                      (i < s->n_usb3 ? 1 << USB_SUPER : 0));

        s->connectors[i] = hw_usb_port_new(s->bus, NULL, i + 1, speeds);
        s->connectors[i]->attached = attached;
        s->connectors[i]->detached = detached;
        s->connectors[i]->resume = resume;
        s->connectors[i]->opaque = s;
    }
}
