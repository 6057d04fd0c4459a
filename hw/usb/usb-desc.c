/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes descriptors from tables. Lengths follow from the tables, which are the program's own: USB_DESC_MAX is asserted, not checked.
 */
#include "hw/usb/usb-desc.h"

#include <string.h>

enum { STRING_LANGUAGES, STRING_MANUFACTURER, STRING_PRODUCT, STRING_SERIAL };
enum { LANGUAGE_ENGLISH_US = 0x0409, MAX_STRING = 126 };
enum { ATTR_ONE = 0x80, ATTR_SELF_POWERED = 0x40, ATTR_REMOTE_WAKEUP = 0x20 };

typedef struct Out {
    uint8_t *bytes;
    unsigned n;
} Out;

static void put8(Out *o, unsigned value)
{
    g_assert(o->n < USB_DESC_MAX);
    o->bytes[o->n++] = (uint8_t)value;
}

static void put16(Out *o, unsigned value)
{
    put8(o, value & 0xff);
    put8(o, value >> 8 & 0xff);
}

static const UsbDesc *desc_of(const HwUsbDevice *dev)
{
    return HW_USB_DEVICE_GET_CLASS(dev)->desc;
}

/* bcdUSB. */
static unsigned version(const HwUsbDevice *dev)
{
    return dev->speed == USB_SUPER ? 0x300 : dev->speeds >> USB_HIGH ? 0x200 : 0x110;
}

/* bMaxPacketSize0: of SuperSpeed the exponent. */
static unsigned max_packet0(UsbSpeed speed)
{
    return speed == USB_SUPER ? 9 : speed == USB_LOW ? 8 : 64;
}

static void put_device(const HwUsbDevice *dev, Out *o)
{
    const UsbDesc *d = desc_of(dev);

    put8(o, 18);
    put8(o, USB_DT_DEVICE);
    put16(o, version(dev));
    put8(o, d->class_code);
    put8(o, d->subclass);
    put8(o, d->protocol);
    put8(o, max_packet0(dev->speed));
    put16(o, d->vendor);
    put16(o, d->product);
    put16(o, d->release);
    put8(o, STRING_MANUFACTURER);
    put8(o, STRING_PRODUCT);
    put8(o, dev->serial ? STRING_SERIAL : 0);
    put8(o, 1);
}

static void put_endpoint(const UsbEndpointDesc *e, UsbSpeed speed, Out *o)
{
    put8(o, 7);
    put8(o, USB_DT_ENDPOINT);
    put8(o, e->address);
    put8(o, e->kind);
    put16(o, e->max_packet[speed]);
    put8(o, e->interval[speed]);
    if (speed == USB_SUPER) {
        put8(o, 6);
        put8(o, USB_DT_COMPANION);
        put8(o, e->max_burst);
        put8(o, 0);
        put16(o, e->kind == USB_INTERRUPT ? e->max_packet[speed] : 0u);
    }
}

static void put_interface(const UsbInterfaceDesc *i, unsigned number, UsbSpeed speed, Out *o)
{
    put8(o, 9);
    put8(o, USB_DT_INTERFACE);
    put8(o, number);
    put8(o, 0);
    put8(o, i->n_endpoints);
    put8(o, i->class_code);
    put8(o, i->subclass);
    put8(o, i->protocol);
    put8(o, 0);
    for (unsigned n = 0; n < i->class_desc_size; n++) {
        put8(o, i->class_desc[n]);
    }
    for (unsigned n = 0; n < i->n_endpoints; n++) {
        put_endpoint(&i->endpoints[n], speed, o);
    }
}

static void put_configuration(const HwUsbDevice *dev, UsbSpeed speed, uint8_t type, Out *o)
{
    const UsbDesc *d = desc_of(dev);

    put8(o, 9);
    put8(o, type);
    put16(o, 0); /* the length of all, below */
    put8(o, d->n_interfaces);
    put8(o, 1);
    put8(o, 0);
    put8(o, ATTR_ONE | (d->self_powered ? ATTR_SELF_POWERED : 0u) |
                (d->remote_wakeup ? ATTR_REMOTE_WAKEUP : 0u));
    put8(o, speed == USB_SUPER ? (d->max_power + 3) / 4 : d->max_power); /* in units of 8 mA */
    for (unsigned n = 0; n < d->n_interfaces; n++) {
        put_interface(&d->interfaces[n], n, speed, o);
    }
    o->bytes[2] = (uint8_t)o->n;
    o->bytes[3] = (uint8_t)(o->n >> 8);
}

/* The other one of full and high speed, if the device has both. */
static bool other_speed(const HwUsbDevice *dev, UsbSpeed *speed)
{
    *speed = dev->speed == USB_HIGH ? USB_FULL : USB_HIGH;
    return (dev->speed == USB_HIGH || dev->speed == USB_FULL) && (dev->speeds >> *speed & 1);
}

static void put_qualifier(const HwUsbDevice *dev, UsbSpeed other, Out *o)
{
    const UsbDesc *d = desc_of(dev);

    put8(o, 10);
    put8(o, USB_DT_QUALIFIER);
    put16(o, 0x200);
    put8(o, d->class_code);
    put8(o, d->subclass);
    put8(o, d->protocol);
    put8(o, max_packet0(other));
    put8(o, 1);
    put8(o, 0);
}

/* USB 3.1, 9.6.2. */
static void put_bos(const HwUsbDevice *dev, Out *o)
{
    enum { USB2_EXTENSION = 2, LPM = 2 };
    enum { SUPERSPEED = 3, LOWEST_FULL = 1, U1_EXIT = 10, U2_EXIT = 100 };

    put8(o, 5);
    put8(o, USB_DT_BOS);
    put16(o, 5 + 7 + 10);
    put8(o, 2);
    put8(o, 7);
    put8(o, USB_DT_CAPABILITY);
    put8(o, USB2_EXTENSION);
    put16(o, LPM); /* no choice for a device of USB 3; only a controller with it makes use of it */
    put16(o, 0);
    put8(o, 10);
    put8(o, USB_DT_CAPABILITY);
    put8(o, SUPERSPEED);
    put8(o, 0);
    put16(o, dev->speeds); /* wSpeedsSupported has the same bits */
    put8(o, LOWEST_FULL);
    put8(o, U1_EXIT);
    put16(o, U2_EXIT);
}

static int put_string(const HwUsbDevice *dev, uint8_t index, Out *o)
{
    const UsbDesc *d = desc_of(dev);
    const char *const texts[] = { NULL, d->manufacturer_name, d->product_name, dev->serial };
    const char *text = index < G_N_ELEMENTS(texts) ? texts[index] : NULL;
    g_autofree gunichar2 *utf16 = NULL;
    glong n = 0;

    if (index == STRING_LANGUAGES) {
        put8(o, 4);
        put8(o, USB_DT_STRING);
        put16(o, LANGUAGE_ENGLISH_US);
        return (int)o->n;
    }
    utf16 = text ? g_utf8_to_utf16(text, -1, NULL, &n, NULL) : NULL;
    if (!utf16) {
        return -1;
    }
    n = MIN(n, MAX_STRING);
    put8(o, 2 + 2 * (unsigned)n);
    put8(o, USB_DT_STRING);
    for (glong i = 0; i < n; i++) {
        put16(o, utf16[i]);
    }
    return (int)o->n;
}

int usb_desc_get(const HwUsbDevice *dev, uint8_t type, uint8_t index, uint8_t *out)
{
    Out o = { out, 0 };
    UsbSpeed other;

    switch (type) {
    case USB_DT_STRING:
        return put_string(dev, index, &o);
    case USB_DT_DEVICE:
        put_device(dev, &o);
        break;
    case USB_DT_CONFIGURATION:
        put_configuration(dev, dev->speed, type, &o);
        break;
    case USB_DT_QUALIFIER:
    case USB_DT_OTHER_SPEED:
        if (!other_speed(dev, &other)) {
            return -1;
        }
        if (type == USB_DT_QUALIFIER) {
            put_qualifier(dev, other, &o);
        } else {
            put_configuration(dev, other, type, &o);
        }
        break;
    case USB_DT_BOS:
        if (dev->speed != USB_SUPER) {
            return -1;
        }
        put_bos(dev, &o);
        break;
    default:
        return -1;
    }
    return index ? -1 : (int)o.n;
}

uint32_t usb_desc_endpoints(const HwUsbDevice *dev)
{
    const UsbDesc *d = desc_of(dev);
    uint32_t bits = 0;

    for (unsigned n = 0; n < d->n_interfaces; n++) {
        for (unsigned i = 0; i < d->interfaces[n].n_endpoints; i++) {
            uint8_t address = d->interfaces[n].endpoints[i].address;

            bits |= usb_halt_bit(address & 15, address & USB_DIR_IN);
        }
    }
    return bits;
}
