/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB buses and ports: where devices are, how a route leads to them, "info usb". Buses are listed in the order of their making.
 */
#include "hw/usb/usb.h"

#include <string.h>

static GPtrArray *all; /* of HwUsbBus * */

static const char *const speed_names[] = { "1.5", "12", "480", "5000" };

/* ---- Places ---- */

static bool refuse(GError **error, const HwUsbDevice *dev, const char *what)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: port: %s",
                HW_DEVICE_GET_CLASS(dev)->model, what);
    return false;
}

static HwUsbPort *find_port(const HwUsbBus *bus, const HwUsbDevice *dev)
{
    for (unsigned i = 0; i < bus->ports->len; i++) {
        HwUsbPort *port = g_ptr_array_index(bus->ports, i);

        if (dev->port_path ? !strcmp(dev->port_path, port->path)
                           : !port->dev && (port->speeds & dev->speeds)) {
            return port;
        }
    }
    return NULL;
}

static unsigned depth_of(const HwUsbPort *port)
{
    return port->hub ? 1 + depth_of(port->hub->port) : 0;
}

static void add_hub_ports(HwUsbBus *bus, HwUsbDevice *hub)
{
    HwUsbDeviceClass *uc = HW_USB_DEVICE_GET_CLASS(hub);
    HwUsbPort *port;

    for (unsigned n = 1; uc->hub_port && (port = uc->hub_port(hub, n)); n++) {
        port->bus = bus;
        port->path = g_strdup_printf("%s.%u", hub->port->path, n);
        g_ptr_array_add(bus->ports, port);
    }
}

static bool bus_plug(HwBus *object, HwDevice *child, GError **error)
{
    HwUsbBus *bus = object->opaque;
    HwUsbDevice *dev = HW_USB_DEVICE(child);
    HwUsbPort *port = find_port(bus, dev);
    uint8_t speeds = port ? port->speeds & dev->speeds : 0;

    if (!port) {
        return refuse(error, dev,
                      dev->port_path ? "there is no such port" : "there is no free port");
    }
    if (port->dev || !speeds) {
        return refuse(error, dev, port->dev ? "it is taken" : "it is too slow for this device");
    }
    if (HW_USB_DEVICE_GET_CLASS(dev)->hub_port && depth_of(port) == USB_MAX_HUBS) {
        return refuse(error, dev, "there cannot be more than 5 hubs behind each other");
    }
    dev->port = port;
    dev->speed = (UsbSpeed)(31 - __builtin_clz(speeds));
    port->dev = dev;
    add_hub_ports(bus, dev);
    port->attached(port);
    return true;
}

/* A hub's ports are the bus's, but used by the hub until it is gone. */
void hw_usb_unplug(HwUsbDevice *dev)
{
    HwUsbDeviceClass *uc = HW_USB_DEVICE_GET_CLASS(dev);
    HwUsbBus *bus = dev->port->bus;
    HwUsbPort *port;

    for (unsigned n = 1; uc->hub_port && (port = uc->hub_port(dev, n)); n++) {
        if (port->dev) {
            hw_usb_unplug(port->dev);
        }
    }
    usb_device_reset(dev); /* ends what is under way */
    dev->port->detached(dev->port);
    g_ptr_array_remove(bus->bus->children, dev);
    for (unsigned i = bus->ports->len; i-- > 0;) {
        port = g_ptr_array_index(bus->ports, i);
        if (port->hub == dev) {
            g_ptr_array_remove_index(bus->ports, i);
        }
    }
}

static void port_free(void *data)
{
    HwUsbPort *port = data;

    g_free(port->path);
    g_free(port);
}

HwUsbPort *hw_usb_port_new(HwUsbBus *bus, HwUsbDevice *hub, unsigned number, uint8_t speeds)
{
    HwUsbPort *port = g_new0(HwUsbPort, 1);

    port->bus = bus;
    port->hub = hub;
    port->number = number;
    port->speeds = speeds;
    if (bus) {
        port->path = g_strdup_printf("%u", number);
        g_ptr_array_add(bus->ports, port);
    }
    return port;
}

HwUsbDevice *hw_usb_find(HwUsbPort *root, uint32_t route)
{
    HwUsbPort *port = root;

    for (unsigned depth = 0; port && depth <= USB_MAX_HUBS; depth++, route >>= 4) {
        HwUsbDeviceClass *uc;

        if (!port->enabled || !port->dev || !(route & 0xfffff)) {
            return port->enabled ? port->dev : NULL;
        }
        uc = HW_USB_DEVICE_GET_CLASS(port->dev);
        port = uc->hub_port && (route & 15) ? uc->hub_port(port->dev, route & 15) : NULL;
    }
    return NULL;
}

HwUsbBus *hw_usb_bus_new(HwDevice *owner)
{
    HwUsbBus *bus = g_new0(HwUsbBus, 1);
    g_autofree char *name = owner->id ? g_strdup_printf("%s.0", owner->id)
                                      : g_strdup_printf("usb-bus.%u", all ? all->len : 0);

    bus->bus = hw_bus_new(owner, HW_USB_BUS_TYPE, name, 0);
    bus->bus->plug = bus_plug;
    bus->bus->opaque = bus;
    bus->ports = g_ptr_array_new_with_free_func(port_free);
    if (!all) {
        all = g_ptr_array_new();
    }
    g_ptr_array_add(all, bus);
    return bus;
}

void hw_usb_bus_free(HwUsbBus *bus)
{
    GPtrArray *children;

    if (!bus) {
        return;
    }
    children = bus->bus->children;
    while (children->len) { /* hubs were there before what is behind them */
        g_ptr_array_remove_index(children, children->len - 1);
    }
    hw_bus_free(bus->bus);
    g_ptr_array_remove(all, bus);
    g_ptr_array_unref(bus->ports);
    g_free(bus);
}

/* ---- info usb ---- */

static void print_device(const HwUsbDevice *dev, unsigned bus, GString *out)
{
    const UsbDesc *desc = HW_USB_DEVICE_GET_CLASS(dev)->desc;

    g_string_append_printf(out, "  Device %u.%u, Port %s, Speed %s Mb/s, Product %s", bus,
                           dev->address, dev->port->path, speed_names[dev->speed],
                           desc->product_name);
    if (dev->parent.id) {
        g_string_append_printf(out, ", ID: %s", dev->parent.id);
    }
    g_string_append_c(out, '\n');
}

void hw_usb_print(GString *out)
{
    if (!all || !all->len) {
        g_string_append(out, "USB support not enabled\n");
        return;
    }
    for (unsigned n = 0; n < all->len; n++) {
        const HwUsbBus *bus = g_ptr_array_index(all, n);

        for (unsigned i = 0; i < bus->ports->len; i++) {
            const HwUsbPort *port = g_ptr_array_index(bus->ports, i);

            if (port->dev) {
                print_device(port->dev, n, out);
            }
        }
    }
}
