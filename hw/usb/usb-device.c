/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base of USB devices: transfers and their end, requests that all devices have (USB 2.0, 9.4; of USB 3.1 what a host asks of a device at
 * SuperSpeed), reset and state.
 *
 * A device that the host confused answers with STALL, as the specification has it; a transfer of an endpoint that is not there gets no answer.
 */
#include "hw/usb/usb.h"

#include <string.h>
#include "hw/usb/usb-desc.h"
#include "util/bytes.h"

G_DEFINE_ABSTRACT_TYPE(HwUsbDevice, hw_usb_device, HW_TYPE_DEVICE)

/* Feature selectors (table 9-6). */
enum { FEATURE_ENDPOINT_HALT = 0, FEATURE_FUNCTION_SUSPEND = 0, FEATURE_REMOTE_WAKEUP = 1 };
enum { FEATURE_U1 = 48, FEATURE_U2 = 49, FEATURE_LTM = 50 };
enum { SEL_SIZE = 6 };

/* ---- Transfers ---- */

uint32_t usb_halt_bit(uint8_t endpoint, bool in)
{
    return 1u << ((endpoint & 15) + (in ? 16 : 0));
}

void usb_finish(UsbTransfer *t, UsbStatus status)
{
    if (t->dev) {
        g_ptr_array_remove(t->dev->waiting, t);
        t->dev = NULL;
    }
    t->status = status;
    t->done(t);
}

void usb_stall(HwUsbDevice *dev, UsbTransfer *t)
{
    if (t->endpoint) {
        dev->halted |= usb_halt_bit(t->endpoint, t->in);
    }
    usb_finish(t, USB_STALL);
}

void usb_wait(HwUsbDevice *dev, UsbTransfer *t)
{
    t->dev = dev;
    g_ptr_array_add(dev->waiting, t);
}

uint32_t usb_copy(UsbTransfer *t, void *buf, uint32_t len)
{
    uint32_t skip = t->actual, done = 0;

    for (int i = 0; i < t->n_iov && done < len; i++) {
        uint32_t size = (uint32_t)t->iov[i].iov_len, n;
        uint8_t *at;

        if (skip >= size) {
            skip -= size;
            continue;
        }
        n = MIN(size - skip, len - done);
        at = (uint8_t *)t->iov[i].iov_base + skip;
        memcpy(t->in ? at : (uint8_t *)buf + done, t->in ? (uint8_t *)buf + done : at, n);
        if (t->in) {
            memory_written(at, n);
        }
        done += n;
        skip = 0;
    }
    t->actual += done;
    return done;
}

void usb_wakeup(HwUsbDevice *dev, uint8_t endpoint, bool in)
{
    HwUsbPort *port = dev->port;

    if (!port || !dev->configuration) {
        return;
    }
    if (dev->wakeup_enabled) {
        port->resume(port);
    }
    port->bus->wakeup(port->bus->opaque, dev, endpoint, in);
}

/* ---- Requests that all devices have ---- */

static int get_status(HwUsbDevice *dev, const UsbSetup *s, uint8_t *data)
{
    const UsbDesc *desc = HW_USB_DEVICE_GET_CLASS(dev)->desc;
    uint16_t status = 0;

    switch (s->type & USB_RECIPIENT_MASK) {
    case USB_TO_DEVICE:
        status = (uint16_t)(desc->self_powered | (dev->wakeup_enabled ? 2 : 0));
        break;
    case USB_TO_INTERFACE:
        break;
    case USB_TO_ENDPOINT:
        status = (dev->halted & usb_halt_bit(s->index & 15, s->index & USB_DIR_IN)) != 0;
        break;
    default:
        return -1;
    }
    bytes_put_le16(data, status);
    return MIN(s->length, 2);
}

static int set_halt(HwUsbDevice *dev, const UsbSetup *s, bool on)
{
    HwUsbDeviceClass *uc = HW_USB_DEVICE_GET_CLASS(dev);
    uint32_t bit = usb_halt_bit(s->index & 15, s->index & USB_DIR_IN);

    if (s->value != FEATURE_ENDPOINT_HALT) {
        return -1;
    }
    if (!(s->index & 15)) {
        return 0; /* the next setup does it */
    }
    if (!(usb_desc_endpoints(dev) & bit)) {
        return -1;
    }
    dev->halted = on ? dev->halted | bit : dev->halted & ~bit;
    if (!on && uc->unhalted) {
        uc->unhalted(dev, bit);
    }
    return 0;
}

static int set_feature(HwUsbDevice *dev, const UsbSetup *s, bool on)
{
    bool super = dev->speed == USB_SUPER;

    switch (s->type & USB_RECIPIENT_MASK) {
    case USB_TO_ENDPOINT:
        return set_halt(dev, s, on);
    case USB_TO_INTERFACE:
        return super && s->value == FEATURE_FUNCTION_SUSPEND ? 0 : -1;
    case USB_TO_DEVICE:
        if (s->value == FEATURE_REMOTE_WAKEUP &&
            HW_USB_DEVICE_GET_CLASS(dev)->desc->remote_wakeup) {
            dev->wakeup_enabled = on;
            return 0;
        }
        return super && s->value >= FEATURE_U1 && s->value <= FEATURE_LTM ? 0 : -1;
    }
    return -1;
}

static int get_descriptor(HwUsbDevice *dev, const UsbSetup *s, uint8_t *data)
{
    uint8_t desc[USB_DESC_MAX];
    int n = usb_desc_get(dev, (uint8_t)(s->value >> 8), (uint8_t)s->value, desc);

    if (n < 0) {
        return -1;
    }
    n = MIN(n, s->length);
    memcpy(data, desc, (size_t)n);
    return n;
}

static int set_configuration(HwUsbDevice *dev, const UsbSetup *s)
{
    if (s->value > 1 || (!dev->address && s->value)) {
        return -1;
    }
    dev->configuration = (uint8_t)s->value;
    dev->halted = 0;
    return 0;
}

static int interface_request(HwUsbDevice *dev, const UsbSetup *s, uint8_t *data)
{
    bool exists = dev->configuration && s->index < HW_USB_DEVICE_GET_CLASS(dev)->desc->n_interfaces;

    if (!exists || (s->request == USB_SET_INTERFACE && s->value)) {
        return -1;
    }
    if (s->request == USB_SET_INTERFACE) {
        dev->halted = 0;
        return 0;
    }
    data[0] = 0; /* there are no alternate settings */
    return MIN(s->length, 1);
}

static int standard_request(HwUsbDevice *dev, const UsbSetup *s, uint8_t *data)
{
    switch (s->request) {
    case USB_GET_STATUS:
        return s->type & USB_DIR_IN ? get_status(dev, s, data) : -1;
    case USB_CLEAR_FEATURE:
    case USB_SET_FEATURE:
        return set_feature(dev, s, s->request == USB_SET_FEATURE);
    case USB_SET_ADDRESS:
        if (s->value > 127) {
            return -1;
        }
        dev->address = (uint8_t)s->value;
        return 0;
    case USB_GET_DESCRIPTOR:
        return s->type == USB_DIR_IN ? get_descriptor(dev, s, data) : -1;
    case USB_GET_CONFIGURATION:
        data[0] = dev->configuration;
        return s->type & USB_DIR_IN ? MIN(s->length, 1) : -1;
    case USB_SET_CONFIGURATION:
        return set_configuration(dev, s);
    case USB_GET_INTERFACE:
    case USB_SET_INTERFACE:
        return interface_request(dev, s, data);
    case USB_SET_SEL:
        return dev->speed == USB_SUPER && s->length == SEL_SIZE ? 0 : -1;
    case USB_SET_ISOCH_DELAY:
        return dev->speed == USB_SUPER ? 0 : -1;
    }
    return -1;
}

static void control_transfer(HwUsbDevice *dev, UsbTransfer *t)
{
    HwUsbDeviceClass *uc = HW_USB_DEVICE_GET_CLASS(dev);
    const UsbSetup s = { t->setup[0], t->setup[1], bytes_get_le16(t->setup + 2),
                         bytes_get_le16(t->setup + 4), bytes_get_le16(t->setup + 6) };
    uint8_t data[USB_MAX_CONTROL] = { 0 };
    bool in = s.type & USB_DIR_IN;
    int n = -1;

    if (s.length > sizeof(data) || (s.length && t->length && t->in != in) ||
        (!in && t->length < s.length)) {
        usb_stall(dev, t);
        return;
    }
    if (!in) {
        usb_copy(t, data, s.length);
    }
    if ((s.type & USB_TYPE_MASK) == USB_TYPE_STANDARD) {
        n = standard_request(dev, &s, data);
    }
    if (n < 0 && uc->control) {
        n = uc->control(dev, &s, data);
    }
    if (n < 0) {
        usb_stall(dev, t);
        return;
    }
    if (in) {
        usb_copy(t, data, (uint32_t)n);
    }
    usb_finish(t, USB_OK);
}

void usb_submit(HwUsbDevice *dev, UsbTransfer *t)
{
    uint32_t bit = usb_halt_bit(t->endpoint, t->in);

    t->actual = 0;
    t->dev = NULL;
    if (!t->endpoint) {
        control_transfer(dev, t);
    } else if (!dev->configuration || !(usb_desc_endpoints(dev) & bit)) {
        usb_finish(t, USB_ERROR);
    } else if (dev->halted & bit) {
        usb_finish(t, USB_STALL);
    } else {
        HW_USB_DEVICE_GET_CLASS(dev)->transfer(dev, t);
    }
}

void usb_settle(UsbTransfer *t)
{
    HwUsbDevice *dev = t->dev;

    if (dev) {
        HW_USB_DEVICE_GET_CLASS(dev)->settle(dev);
        g_assert(!dev->waiting->len);
    }
}

/* ---- The device object ---- */

void usb_device_reset(HwUsbDevice *dev)
{
    HwUsbDeviceClass *uc = HW_USB_DEVICE_GET_CLASS(dev);

    dev->address = dev->configuration = 0; /* from here on nothing new comes */
    dev->wakeup_enabled = false;
    dev->halted = 0;
    if (uc->settle) {
        uc->settle(dev);
    }
    if (uc->reset) {
        uc->reset(dev);
    }
}

static void usb_reset(HwDevice *object)
{
    usb_device_reset(HW_USB_DEVICE(object));
}

static bool usb_post_load(HwDevice *object, GError **error)
{
    HwUsbDevice *dev = HW_USB_DEVICE(object);
    HwUsbDeviceClass *uc = HW_USB_DEVICE_GET_CLASS(dev);

    dev->configuration &= 1;
    return !uc->post_load || uc->post_load(dev, error);
}

static bool usb_realize(HwDevice *object, GError **error)
{
    HwUsbDevice *dev = HW_USB_DEVICE(object);
    HwUsbDeviceClass *uc = HW_USB_DEVICE_GET_CLASS(dev);

    dev->speeds = uc->desc->speeds;
    return !uc->realize || uc->realize(dev, error);
}

static void usb_unrealize(HwDevice *object)
{
    HwUsbDevice *dev = HW_USB_DEVICE(object);
    HwUsbDeviceClass *uc = HW_USB_DEVICE_GET_CLASS(dev);

    usb_device_reset(dev);
    if (dev->port) {
        dev->port->enabled = false;
        dev->port->dev = NULL;
        dev->port = NULL;
    }
    if (uc->unrealize) {
        uc->unrealize(dev);
    }
}

static void hw_usb_device_finalize(GObject *object)
{
    g_ptr_array_unref(HW_USB_DEVICE(object)->waiting);
    G_OBJECT_CLASS(hw_usb_device_parent_class)->finalize(object);
}

static void hw_usb_device_init(HwUsbDevice *dev)
{
    dev->waiting = g_ptr_array_new();
}

static void hw_usb_device_class_init(HwUsbDeviceClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_usb_device_finalize;
    dc->bus_type = HW_USB_BUS_TYPE;
    dc->user_creatable = true;
    dc->realize = usb_realize;
    dc->unrealize = usb_unrealize;
    dc->reset = usb_reset;
    dc->post_load = usb_post_load;
}

/* ---- Tables of the class ---- */

void hw_usb_class_bind_state(HwUsbDeviceClass *klass, const StateField *own)
{
    static const StateField base[] = {
        HW_FIELD(HwUsbDevice, address, STATE_U8, 0, "device address"),
        HW_FIELD(HwUsbDevice, configuration, STATE_U8, 0, "configuration"),
        HW_FIELD(HwUsbDevice, wakeup_enabled, STATE_BOOL, 0, "remote wakeup is allowed"),
        HW_FIELD(HwUsbDevice, halted, STATE_U32, 0, "halted endpoints"),
        { 0 },
    };

    klass->parent.state = hw_state_join(base, own);
}

void hw_usb_class_bind_props(HwUsbDeviceClass *klass, const HwProp *own)
{
    static const HwProp base[] = {
        HW_PROP(HwUsbDevice, port_path, "port", HW_PROP_STRING, 0,
                "PORT of the controller, or behind a hub PORT.PORT; the first free one"),
        HW_PROP(HwUsbDevice, serial, "serial", HW_PROP_STRING, 0, "serial number"),
        { 0 },
    };

    hw_device_class_bind_props(&klass->parent, hw_props_join(base, own));
}
