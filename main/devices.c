/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -device: makes a device by its model's name, sets its properties, and plugs it into a bus of its
 * kind; and the listings of -device help. Which devices there are is hw/devices.c's list.
 */
#include "main/system-priv.h"

#include <string.h>
#include "hw/core/device.h"
#include "hw/usb/usb.h"
#include "util/keyval.h"
#include "util/suggest.h"

static HwDeviceClass *device_class(GType type)
{
    return g_type_class_ref(type); /* kept: static types */
}

static bool find_model(const char *option, const char *model, GType *type, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;
    unsigned n;
    const GType *types = hw_device_types(&n);

    *type = hw_device_find(model);
    if (*type) {
        return true;
    }
    for (unsigned i = 0; i < n; i++) {
        HwDeviceClass *dc = device_class(types[i]);

        if (dc->user_creatable) {
            g_ptr_array_add(names, (void *)dc->model);
        }
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(model, (const char *const *)names->pdata);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: unknown device '%s'%s",
                option, model, hint);
    return false;
}

static bool set_properties(HwDevice *dev, const KeyVals *kv, GError **error)
{
    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        const char *key = keyvals_key(kv, i);

        if (strcmp(key, "driver") && strcmp(key, "id") && strcmp(key, "bus") &&
            !hw_device_set_prop(dev, key, keyvals_value(kv, i), error)) {
            return false;
        }
    }
    return true;
}

static HwBus *find_bus(const char *option, const HwDeviceClass *dc, const char *name,
                       GError **error)
{
    HwBus *bus = hw_bus_find(dc->bus_type, name);

    if (!bus && name) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: %s: no %s with room is called '%s'", option, dc->model, dc->bus_type,
                    name);
    } else if (!bus) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: %s: the machine has no free %s", option, dc->model, dc->bus_type);
    }
    return bus;
}

static void find_id(HwDevice *dev, void *opaque)
{
    HwDevice **found = ((void **)opaque)[1];

    if (dev->bus && !g_strcmp0(dev->id, ((void **)opaque)[0])) {
        *found = dev;
    }
}

/* The device in a bus that is called @id, or NULL. */
static HwDevice *device_by_id(const char *id)
{
    HwDevice *dev = NULL;
    void *search[] = { (void *)id, &dev };

    hw_devices_foreach(find_id, search);
    return dev;
}

/* What a machine can get while it runs. */
static bool can_plug(const char *option, const HwDeviceClass *dc, const char *id, GError **error)
{
    if (strcmp(dc->bus_type, HW_USB_BUS_TYPE) != 0) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: %s cannot be added to a running machine: only USB devices can", option,
                    dc->model);
        return false;
    }
    if (id && device_by_id(id)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: %s: there is a device with the id '%s'", option, dc->model, id);
        return false;
    }
    return true;
}

static bool add(const char *option, const char *text, bool running, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(text, "driver");
    const char *model = keyvals_get(kv, "driver");
    g_autoptr(GObject) object = NULL;
    HwDeviceClass *dc;
    HwDevice *dev;
    HwBus *bus;
    GType type;

    if (!find_model(option, model ? model : "", &type, error)) {
        return false;
    }
    dc = device_class(type);
    if (!dc->user_creatable || !dc->bus_type) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: %s is part of machines and cannot be added", option, model);
        return false;
    }
    if (running && !can_plug(option, dc, keyvals_get(kv, "id"), error)) {
        return false;
    }
    dev = hw_device_new(type, keyvals_get(kv, "id"));
    object = G_OBJECT(dev);
    bus = find_bus(option, dc, keyvals_get(kv, "bus"), error);
    if (!bus) {
        return false;
    }
    dev->bus = bus;
    if (!set_properties(dev, kv, error) || !hw_device_realize(dev, error)) {
        g_prefix_error(error, "%s: ", option);
        return false;
    }
    if (running) {
        hw_device_reset(dev);
    }
    if (!bus->plug(bus, dev, error)) {
        g_prefix_error(error, "%s: ", option);
        return false;
    }
    g_ptr_array_add(bus->children, g_steal_pointer(&object));
    return true;
}

bool device_add(const char *option, const char *text, GError **error)
{
    return add(option, text, false, error);
}

bool device_plug(const char *text, GError **error)
{
    return add("device_add", text, true, error);
}

bool device_unplug(const char *id, GError **error)
{
    HwDevice *dev = device_by_id(id);

    if (!dev || strcmp(dev->bus->type, HW_USB_BUS_TYPE) != 0) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "device_del: %s%s%s",
                    dev ? HW_DEVICE_GET_CLASS(dev)->model : "no device has the id '",
                    dev ? " cannot be taken out of a running machine: only USB devices can" : id,
                    dev ? "" : "'");
        return false;
    }
    hw_usb_unplug(HW_USB_DEVICE(dev));
    return true;
}

/* ---- Help ---- */

static void list_models(GString *out)
{
    unsigned n;
    const GType *types = hw_device_types(&n);

    g_string_append(
        out, "Devices (-device MODEL[,PROP=VALUE...]; -device MODEL,help lists properties):\n");
    for (unsigned i = 0; i < n; i++) {
        HwDeviceClass *dc = device_class(types[i]);

        if (dc->user_creatable) {
            g_string_append_printf(out, "  %-24s bus %-12s %s\n", dc->model,
                                   dc->bus_type ? dc->bus_type : "-", dc->desc ? dc->desc : "");
        }
    }
}

static void list_own_properties(const HwDeviceClass *dc, GString *out)
{
    static const char *const types[] = {
        [HW_PROP_BOOL] = "on|off",    [HW_PROP_U8] = "number",
        [HW_PROP_U16] = "number",     [HW_PROP_U32] = "number",
        [HW_PROP_U64] = "number",     [HW_PROP_SIZE] = "size",
        [HW_PROP_STRING] = "text",    [HW_PROP_CHARDEV] = "chardev id",
        [HW_PROP_DRIVE] = "drive id", [HW_PROP_NETDEV] = "netdev id",
        [HW_PROP_MAC] = "address",
    };

    for (const HwProp *p = dc->props; p && p->name; p++) {
        g_autofree char *def =
            p->type == HW_PROP_BOOL   ? g_strdup_printf(" (default: %s)", p->def ? "on" : "off")
            : p->type <= HW_PROP_SIZE ? g_strdup_printf(" (default: %" G_GUINT64_FORMAT ")", p->def)
                                      : g_strdup("");

        g_string_append_printf(out, "  %s=<%s>%*s- %s%s\n", p->name, types[p->type],
                               (int)MAX(1, 26 - (int)(strlen(p->name) + strlen(types[p->type]))),
                               "", p->desc, def);
    }
}

static void list_properties(const HwDeviceClass *dc, GString *out)
{
    g_string_append_printf(out, "%s properties:\n", dc->model);
    list_own_properties(dc, out);
    if (dc->inner_type) {
        list_own_properties(device_class(dc->inner_type), out);
    }
    g_string_append(out, "  id=<text>, bus=<bus name> - of every device\n");
}

bool device_help(const char *text, GString *out, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(text, "driver");
    const char *model = keyvals_get(kv, "driver");
    GType type;

    if (!strcmp(text, "help") || !strcmp(text, "?")) {
        list_models(out);
        return true;
    }
    if (!model || (!keyvals_get(kv, "help") && !keyvals_get(kv, "?"))) {
        return false;
    }
    if (find_model("-device", model, &type, error)) {
        list_properties(device_class(type), out);
    }
    return true;
}
