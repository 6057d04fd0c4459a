/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buses: the list of places that -device can plug into, found by name or by kind. */
#include "hw/core/device.h"
#include <string.h>

static GPtrArray *buses; /* of HwBus *, in the order of their making */

HwBus *hw_bus_new(HwDevice *owner, const char *type, const char *name, unsigned max_children)
{
    HwBus *bus = g_new0(HwBus, 1);

    bus->name = g_strdup(name);
    bus->type = type;
    bus->owner = owner;
    bus->max_children = max_children;
    bus->children = g_ptr_array_new_with_free_func(g_object_unref);
    if (!buses) {
        buses = g_ptr_array_new();
    }
    g_ptr_array_add(buses, bus);
    return bus;
}

void hw_bus_free(HwBus *bus)
{
    if (bus) {
        g_ptr_array_remove(buses, bus);
        g_ptr_array_unref(bus->children);
        g_free((char *)bus->name);
        g_free(bus);
    }
}

static bool has_room(const HwBus *bus)
{
    return !bus->max_children || bus->children->len < bus->max_children;
}

HwBus *hw_bus_find(const char *type, const char *name)
{
    for (unsigned i = 0; buses && i < buses->len; i++) {
        HwBus *bus = g_ptr_array_index(buses, i);

        if (!strcmp(bus->type, type) && has_room(bus) && (!name || !strcmp(bus->name, name))) {
            return bus;
        }
    }
    return NULL;
}
