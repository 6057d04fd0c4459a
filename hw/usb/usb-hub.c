/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A high-speed USB hub (USB 2.0, chapter 11): ports with power switched one by one, their status and its changes, an endpoint that tells of
 * changes.
 * A port's device can be reached while the port is enabled and not suspended.
 */
#include "hw/usb/usb-hub.h"

#include <string.h>
#include "hw/usb/usb.h"
#include "util/bytes.h"
#include "util/log.h"

enum { MAX_PORTS = 15, EP_STATUS = 1 };
enum { DT_HUB = 0x29, GET_TT_STATE = 10 };
/* 11.24.2.7 */
enum {
    PORT_CONNECTION = 0x1,
    PORT_ENABLE = 0x2,
    PORT_SUSPEND = 0x4,
    PORT_RESET = 0x10,
    PORT_POWER = 0x100,
    PORT_LOW_SPEED = 0x200,
    PORT_HIGH_SPEED = 0x400,
};
/* 11.24.2: feature selectors; those of changes are FEATURE_C + the change's bit. */
enum {
    FEATURE_ENABLE = 1,
    FEATURE_SUSPEND = 2,
    FEATURE_RESET = 4,
    FEATURE_POWER = 8,
    FEATURE_C = 16,
    FEATURE_C_LAST = 20,
};

typedef struct HwUsbHub {
    HwUsbDevice parent;
    uint8_t n_ports;
    HwUsbPort *ports[MAX_PORTS]; /* the bus's, once the hub is plugged in */
    uint16_t status[MAX_PORTS], change[MAX_PORTS];
} HwUsbHub;

typedef struct HwUsbHubClass {
    HwUsbDeviceClass parent;
} HwUsbHubClass;

G_DEFINE_TYPE(HwUsbHub, hw_usb_hub, HW_TYPE_USB_DEVICE)

/* ---- Ports ---- */

static void update_enabled(HwUsbHub *s)
{
    for (unsigned i = 0; i < s->n_ports; i++) {
        s->ports[i]->enabled = (s->status[i] & PORT_ENABLE) && !(s->status[i] & PORT_SUSPEND);
    }
}

static void changed(HwUsbHub *s, unsigned i, uint16_t bits)
{
    s->change[i] |= bits;
    update_enabled(s);
    if (bits) {
        usb_wakeup(&s->parent, EP_STATUS, true);
    }
}

static void power_on(HwUsbHub *s, unsigned i)
{
    bool there = s->ports[i]->dev && !(s->status[i] & PORT_POWER);

    s->status[i] |= PORT_POWER;
    if (there) {
        s->status[i] |= PORT_CONNECTION;
        changed(s, i, PORT_CONNECTION);
    }
}

static void power_off(HwUsbHub *s, unsigned i)
{
    s->status[i] = s->change[i] = 0;
    update_enabled(s);
}

static void reset_port(HwUsbHub *s, unsigned i)
{
    HwUsbDevice *dev = s->ports[i]->dev;

    if (!(s->status[i] & PORT_POWER) || !dev) {
        return;
    }
    usb_device_reset(dev);
    s->status[i] = (uint16_t)(PORT_POWER | PORT_CONNECTION | PORT_ENABLE |
                              (dev->speed == USB_LOW    ? PORT_LOW_SPEED
                               : dev->speed == USB_HIGH ? PORT_HIGH_SPEED
                                                        : 0));
    changed(s, i, PORT_RESET);
}

static void suspend(HwUsbHub *s, unsigned i)
{
    if (s->status[i] & PORT_ENABLE) {
        s->status[i] |= PORT_SUSPEND;
        update_enabled(s);
    }
}

static void resume(HwUsbHub *s, unsigned i)
{
    if (s->status[i] & PORT_SUSPEND) {
        s->status[i] &= (uint16_t)~PORT_SUSPEND;
        changed(s, i, PORT_SUSPEND);
    }
}

/* As the hub's ports see it: the device in a port wakes up. A suspended hub is woken up on the way. */
static void port_resume(HwUsbPort *port)
{
    resume(port->opaque, port->number - 1);
}

static void port_attached(HwUsbPort *port)
{
    HwUsbHub *s = port->opaque;

    if (s->status[port->number - 1] & PORT_POWER) {
        s->status[port->number - 1] |= PORT_CONNECTION;
        changed(s, port->number - 1, PORT_CONNECTION);
    }
}

static void port_detached(HwUsbPort *port)
{
    HwUsbHub *s = port->opaque;

    if (s->status[port->number - 1] & PORT_CONNECTION) {
        s->status[port->number - 1] = PORT_POWER;
        changed(s, port->number - 1, PORT_CONNECTION);
    }
}

static HwUsbPort *hub_port(HwUsbDevice *dev, unsigned n)
{
    HwUsbHub *s = (HwUsbHub *)dev;

    return n >= 1 && n <= s->n_ports ? s->ports[n - 1] : NULL;
}

/* ---- Requests ---- */

/* 11.23.2.1 */
static int hub_descriptor(const HwUsbHub *s, const UsbSetup *setup, uint8_t *data)
{
    enum { EACH_PORT_POWER = 0x01, EACH_PORT_OVERCURRENT = 0x08, POWER_GOOD_MS = 2 };
    unsigned n = 7, bytes = s->n_ports / 8u + 1;
    uint8_t desc[7 + 2 * 2] = { 0 };

    desc[1] = DT_HUB;
    desc[2] = s->n_ports;
    desc[3] = EACH_PORT_POWER | EACH_PORT_OVERCURRENT;
    desc[5] = POWER_GOOD_MS / 2;
    n += bytes; /* removable devices: all */
    memset(desc + n, 0xff, bytes);
    n += bytes;
    desc[0] = (uint8_t)n;
    n = MIN(n, setup->length);
    memcpy(data, desc, n);
    return (int)n;
}

static int set_port_feature(HwUsbHub *s, unsigned i, uint16_t feature)
{
    switch (feature) {
    case FEATURE_POWER:
        power_on(s, i);
        return 0;
    case FEATURE_RESET:
        reset_port(s, i);
        return 0;
    case FEATURE_SUSPEND:
        suspend(s, i);
        return 0;
    }
    return feature <= 22 ? 0 : -1; /* test and indicator: nothing to see */
}

static int clear_port_feature(HwUsbHub *s, unsigned i, uint16_t feature)
{
    switch (feature) {
    case FEATURE_ENABLE:
        s->status[i] &= (uint16_t) ~(PORT_ENABLE | PORT_SUSPEND);
        update_enabled(s);
        return 0;
    case FEATURE_SUSPEND:
        resume(s, i);
        return 0;
    case FEATURE_POWER:
        power_off(s, i);
        return 0;
    }
    if (feature >= FEATURE_C && feature <= FEATURE_C_LAST) {
        s->change[i] &= (uint16_t) ~(1u << (feature - FEATURE_C));
        return 0;
    }
    return feature <= 22 ? 0 : -1;
}

static int port_request(HwUsbHub *s, const UsbSetup *setup, uint8_t *data)
{
    unsigned i = (setup->index & 0xffu) - 1;

    if (i >= s->n_ports) {
        return -1;
    }
    switch (setup->request) {
    case USB_GET_STATUS:
        bytes_put_le16(data, s->status[i]);
        bytes_put_le16(data + 2, s->change[i]);
        return setup->type & USB_DIR_IN ? MIN(setup->length, 4) : -1;
    case USB_SET_FEATURE:
        return set_port_feature(s, i, setup->value);
    case USB_CLEAR_FEATURE:
        return clear_port_feature(s, i, setup->value);
    }
    return setup->request > USB_GET_DESCRIPTOR && setup->request < GET_TT_STATE + 2 ? 0 : -1;
}

static int hub_request(HwUsbHub *s, const UsbSetup *setup, uint8_t *data)
{
    switch (setup->request) {
    case USB_GET_STATUS:
        return setup->type & USB_DIR_IN ? MIN(setup->length, 4) : -1; /* zeroes */
    case USB_SET_FEATURE:
    case USB_CLEAR_FEATURE:
        return setup->value <= 1 ? 0 : -1; /* changes of power and overcurrent there are none */
    case USB_GET_DESCRIPTOR:
        return (setup->type & USB_DIR_IN) && setup->value >> 8 == DT_HUB
                   ? hub_descriptor(s, setup, data)
                   : -1;
    }
    return -1;
}

static int hub_control(HwUsbDevice *dev, const UsbSetup *setup, uint8_t *data)
{
    HwUsbHub *s = (HwUsbHub *)dev;

    switch (setup->type & ~USB_DIR_IN) {
    case USB_TYPE_CLASS | USB_TO_DEVICE:
        return hub_request(s, setup, data);
    case USB_TYPE_CLASS | USB_TO_OTHER:
        return port_request(s, setup, data);
    }
    return -1;
}

/* 11.12.4: a bit for each port with a change; bit 0 is the hub itself. */
static void hub_transfer(HwUsbDevice *dev, UsbTransfer *t)
{
    HwUsbHub *s = (HwUsbHub *)dev;
    uint8_t bytes[2];
    unsigned bits = 0;

    for (unsigned i = 0; i < s->n_ports; i++) {
        bits |= s->change[i] ? 2u << i : 0;
    }
    if (!bits) {
        usb_finish(t, USB_NAK);
        return;
    }
    bytes_put_le16(bytes, (uint16_t)bits);
    usb_copy(t, bytes, s->n_ports / 8u + 1);
    usb_finish(t, USB_OK);
}

/* ---- The device object ---- */

static void hub_reset(HwUsbDevice *dev)
{
    HwUsbHub *s = (HwUsbHub *)dev;

    for (unsigned i = 0; i < s->n_ports; i++) {
        power_off(s, i);
    }
}

static bool hub_post_load(HwUsbDevice *dev, GError **error)
{
    HwUsbHub *s = (HwUsbHub *)dev;

    for (unsigned i = 0; i < s->n_ports; i++) {
        if (!s->ports[i]->dev) {
            s->status[i] &= PORT_POWER;
        }
    }
    update_enabled(s);
    return true;
}

static bool hub_realize(HwUsbDevice *dev, GError **error)
{
    HwUsbHub *s = (HwUsbHub *)dev;

    for (unsigned i = 0; i < s->n_ports; i++) {
        s->ports[i] =
            hw_usb_port_new(NULL, dev, i + 1, 1 << USB_LOW | 1 << USB_FULL | 1 << USB_HIGH);
        s->ports[i]->attached = port_attached;
        s->ports[i]->detached = port_detached;
        s->ports[i]->resume = port_resume;
        s->ports[i]->opaque = s;
    }
    return true;
}

static void hub_unrealize(HwUsbDevice *dev)
{
    HwUsbHub *s = (HwUsbHub *)dev;

    for (unsigned i = 0; i < s->n_ports; i++) {
        if (!s->ports[i]->bus) { /* it never was plugged in */
            g_free(s->ports[i]);
        }
    }
}

static const UsbEndpointDesc hub_endpoint = {
    .address = USB_DIR_IN | EP_STATUS,
    .kind = USB_INTERRUPT,
    .max_packet = { [USB_HIGH] = 2 },
    .interval = { [USB_HIGH] = 8 },
};

static const UsbInterfaceDesc hub_interface = {
    .class_code = 0x09,
    .n_endpoints = 1,
    .endpoints = &hub_endpoint,
};

static const UsbDesc hub_desc = {
    .vendor = 0x0409,
    .product = 0x55aa,
    .release = 0x0101,
    .speeds = 1 << USB_HIGH,
    .class_code = 0x09,
    .protocol = 1, /* one transaction translator */
    .manufacturer_name = "Menura",
    .product_name = "USB hub",
    .remote_wakeup = true,
    .self_powered = true,
    .n_interfaces = 1,
    .interfaces = &hub_interface,
};

static const StateField hub_state[] = {
    HW_FIELD_ARRAY(HwUsbHub, status, STATE_U16, MAX_PORTS, 0, "status of the ports"),
    HW_FIELD_ARRAY(HwUsbHub, change, STATE_U16, MAX_PORTS, 0, "changes of the ports' status"),
    { 0 },
};

static const HwProp hub_props[] = {
    { .name = "ports",
      .type = HW_PROP_U8,
      .offset = offsetof(HwUsbHub, n_ports),
      .def = 8,
      .min = 1,
      .max = MAX_PORTS,
      .desc = "number of ports" },
    { 0 },
};

static void hw_usb_hub_init(HwUsbHub *s)
{
    (void)s;
}

static void hw_usb_hub_class_init(HwUsbHubClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwUsbDeviceClass *uc = HW_USB_DEVICE_CLASS(klass);

    dc->model = "usb-hub";
    dc->desc = "USB hub";
    uc->desc = &hub_desc;
    uc->realize = hub_realize;
    uc->unrealize = hub_unrealize;
    uc->reset = hub_reset;
    uc->post_load = hub_post_load;
    uc->control = hub_control;
    uc->transfer = hub_transfer;
    uc->hub_port = hub_port;
    hw_usb_class_bind_state(uc, hub_state);
    hw_usb_class_bind_props(uc, hub_props);
}
