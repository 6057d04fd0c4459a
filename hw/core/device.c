/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device base class: properties from tables, realization, regions and interrupt outputs, reset
 * from the state table, and the list of all realized devices that reset, device tree and "info
 * qtree" go through.
 *
 * A property lives in its field of the device's struct; GObject's view of it reads and writes the
 * same field. Back ends are looked up when the property is set: all -chardev, -drive and
 * -netdev options come before the devices.
 */
#include "hw/core/device.h"
#include <inttypes.h>
#include <string.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "net/net.h"
#include "util/keyval.h"
#include "util/size.h"
#include "util/suggest.h"

G_DEFINE_ABSTRACT_TYPE(HwDevice, hw_device, G_TYPE_OBJECT)

static GPtrArray *realized; /* of HwDevice *, not references */

/* ---- Properties ---- */

static void *prop_field(HwDevice *dev, const HwProp *prop)
{
    return (char *)dev + prop->offset;
}

static uint64_t type_max(HwPropType type)
{
    switch (type) {
    case HW_PROP_BOOL:
        return 1;
    case HW_PROP_U8:
        return UINT8_MAX;
    case HW_PROP_U16:
        return UINT16_MAX;
    case HW_PROP_U32:
        return UINT32_MAX;
    default:
        return UINT64_MAX;
    }
}

static uint64_t prop_max(const HwProp *prop)
{
    return prop->min || prop->max ? prop->max : type_max(prop->type);
}

static bool is_number(const HwProp *prop)
{
    return prop->type <= HW_PROP_SIZE;
}

static void set_number(HwDevice *dev, const HwProp *prop, uint64_t value)
{
    void *field = prop_field(dev, prop);

    switch (prop->type) {
    case HW_PROP_BOOL:
        *(bool *)field = value != 0;
        break;
    case HW_PROP_U8:
        *(uint8_t *)field = (uint8_t)value;
        break;
    case HW_PROP_U16:
        *(uint16_t *)field = (uint16_t)value;
        break;
    case HW_PROP_U32:
        *(uint32_t *)field = (uint32_t)value;
        break;
    default:
        *(uint64_t *)field = value;
        break;
    }
}

static uint64_t get_number(HwDevice *dev, const HwProp *prop)
{
    void *field = prop_field(dev, prop);

    switch (prop->type) {
    case HW_PROP_BOOL:
        return *(bool *)field;
    case HW_PROP_U8:
        return *(uint8_t *)field;
    case HW_PROP_U16:
        return *(uint16_t *)field;
    case HW_PROP_U32:
        return *(uint32_t *)field;
    default:
        return *(uint64_t *)field;
    }
}

static void set_string(HwDevice *dev, const HwProp *prop, const char *value)
{
    char **field = prop_field(dev, prop);

    g_free(*field);
    *field = g_strdup(value);
}

/* False: it is none; the field stays as it was. */
static bool set_mac(HwDevice *dev, const HwProp *prop, const char *value)
{
    uint8_t mac[NET_MAC_LEN];

    if (!value || !net_parse_mac(value, mac)) {
        return false;
    }
    memcpy(prop_field(dev, prop), mac, sizeof(mac));
    return true;
}

static char *get_mac(HwDevice *dev, const HwProp *prop)
{
    const uint8_t *mac = prop_field(dev, prop);

    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                           mac[5]);
}

static const HwProp *class_prop(GParamSpec *pspec, guint id)
{
    HwDeviceClass *dc = g_type_class_peek(pspec->owner_type);

    return &dc->props[id - 1];
}

static void device_set_property(GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
    const HwProp *prop = class_prop(pspec, id);
    HwDevice *dev = HW_DEVICE(object);

    if (prop->type == HW_PROP_BOOL) {
        set_number(dev, prop, g_value_get_boolean(value));
    } else if (is_number(prop)) {
        set_number(dev, prop, g_value_get_uint64(value));
    } else if (prop->type == HW_PROP_STRING) {
        set_string(dev, prop, g_value_get_string(value));
    } else if (prop->type == HW_PROP_MAC) {
        set_mac(dev, prop, g_value_get_string(value));
    } else {
        *(void **)prop_field(dev, prop) = g_value_get_pointer(value);
    }
}

static void device_get_property(GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
    const HwProp *prop = class_prop(pspec, id);
    HwDevice *dev = HW_DEVICE(object);

    if (prop->type == HW_PROP_BOOL) {
        g_value_set_boolean(value, get_number(dev, prop) != 0);
    } else if (is_number(prop)) {
        g_value_set_uint64(value, get_number(dev, prop));
    } else if (prop->type == HW_PROP_STRING) {
        g_value_set_string(value, *(char **)prop_field(dev, prop));
    } else if (prop->type == HW_PROP_MAC) {
        g_value_take_string(value, get_mac(dev, prop));
    } else {
        g_value_set_pointer(value, *(void **)prop_field(dev, prop));
    }
}

static GParamSpec *prop_pspec(const HwProp *prop)
{
    /* Not a static name: GObject stores its own form of names with underscores. */
    GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_NICK | G_PARAM_STATIC_BLURB;

    switch (prop->type) {
    case HW_PROP_BOOL:
        return g_param_spec_boolean(prop->name, NULL, prop->desc, prop->def != 0, flags);
    case HW_PROP_STRING:
    case HW_PROP_MAC:
        return g_param_spec_string(prop->name, NULL, prop->desc, NULL, flags);
    case HW_PROP_CHARDEV:
    case HW_PROP_DRIVE:
    case HW_PROP_NETDEV:
        return g_param_spec_pointer(prop->name, NULL, prop->desc, flags);
    default:
        return g_param_spec_uint64(prop->name, NULL, prop->desc, prop->min, prop_max(prop),
                                   prop->def, flags);
    }
}

void hw_device_class_bind_props(HwDeviceClass *klass, const HwProp *props)
{
    GObjectClass *oc = G_OBJECT_CLASS(klass);

    klass->props = props;
    oc->set_property = device_set_property;
    oc->get_property = device_get_property;
    for (unsigned i = 0; props[i].name; i++) {
        g_object_class_install_property(oc, i + 1, prop_pspec(&props[i]));
    }
}

static bool prop_error(GError **error, const HwDeviceClass *dc, const char *name,
                       const char *format, ...) G_GNUC_PRINTF(4, 5);

static bool prop_error(GError **error, const HwDeviceClass *dc, const char *name,
                       const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: %s: %s", dc->model, name,
                text);
    return false;
}

static const HwProp *find_prop(const HwDeviceClass *dc, const char *name)
{
    for (const HwProp *p = dc->props; p && p->name; p++) {
        if (!strcmp(p->name, name)) {
            return p;
        }
    }
    return NULL;
}

static bool no_such_prop(HwDevice *dev, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;

    for (HwDevice *d = dev; d; d = d->inner) {
        for (const HwProp *p = HW_DEVICE_GET_CLASS(d)->props; p && p->name; p++) {
            g_ptr_array_add(names, (void *)p->name);
        }
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(name, (const char *const *)names->pdata);
    return prop_error(error, HW_DEVICE_GET_CLASS(dev), name, "no such property%s", hint);
}

static bool parse_number(const HwDeviceClass *dc, const HwProp *prop, const char *text,
                         uint64_t *value, GError **error)
{
    bool flag = false, ok;

    if (prop->type == HW_PROP_BOOL) {
        ok = keyval_parse_bool(text, &flag);
        *value = flag;
        return ok || prop_error(error, dc, prop->name, "'%s' is neither on nor off", text);
    }
    if (prop->type == HW_PROP_SIZE) {
        ok = size_parse(text, 'b', prop->name, value, NULL);
    } else {
        ok = keyval_parse_uint(text, value);
    }
    if (!ok || *value < prop->min || *value > prop_max(prop)) {
        return prop_error(error, dc, prop->name,
                          "'%s' is not a number from %" PRIu64 " to %" PRIu64, text, prop->min,
                          prop_max(prop));
    }
    return true;
}

static void *find_back_end(HwPropType type, const char *id, const char **option)
{
    switch (type) {
    case HW_PROP_CHARDEV:
        *option = "-chardev";
        return chardev_find(id);
    case HW_PROP_NETDEV:
        *option = "-netdev";
        return net_find(id);
    default:
        *option = "-drive";
        return block_find(id);
    }
}

static bool set_prop(HwDevice *dev, const HwProp *prop, const char *value, GError **error)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    const char *name = prop->name;
    const char *option;
    void *back_end;
    uint64_t number;

    if (dev->realized) {
        return prop_error(error, dc, name, "cannot be changed any more");
    }
    if (is_number(prop)) {
        if (!parse_number(dc, prop, value, &number, error)) {
            return false;
        }
        set_number(dev, prop, number);
        return true;
    }
    if (prop->type == HW_PROP_STRING) {
        set_string(dev, prop, value);
        return true;
    }
    if (prop->type == HW_PROP_MAC) {
        return set_mac(dev, prop, value) ||
               prop_error(error, dc, name, "'%s' is not the address of a device, as in %s", value,
                          "52:54:00:12:34:56");
    }
    back_end = find_back_end(prop->type, value, &option);
    if (!back_end) {
        return prop_error(error, dc, name, "no %s has the id '%s'", option, value);
    }
    *(void **)prop_field(dev, prop) = back_end;
    return true;
}

bool hw_device_set_prop(HwDevice *dev, const char *name, const char *value, GError **error)
{
    for (HwDevice *d = dev; d; d = d->inner) {
        const HwProp *prop = find_prop(HW_DEVICE_GET_CLASS(d), name);

        if (prop) {
            return set_prop(d, prop, value, error);
        }
    }
    return no_such_prop(dev, name, error);
}

/* ---- Tables of derived classes ---- */

const HwProp *hw_props_join(const HwProp *base, const HwProp *own)
{
    GArray *all = g_array_new(TRUE, TRUE, sizeof(HwProp));

    for (; base->name; base++) {
        g_array_append_vals(all, base, 1);
    }
    for (; own && own->name; own++) {
        g_array_append_vals(all, own, 1);
    }
    return (const HwProp *)g_array_free(all, FALSE);
}

const StateField *hw_state_join(const StateField *base, const StateField *own)
{
    GArray *all = g_array_new(TRUE, TRUE, sizeof(StateField));

    for (; base->type != STATE_END; base++) {
        g_array_append_vals(all, base, 1);
    }
    for (; own && own->type != STATE_END; own++) {
        g_array_append_vals(all, own, 1);
    }
    return (const StateField *)g_array_free(all, FALSE);
}

/* ---- Life ---- */

static void device_constructed(GObject *object)
{
    HwDevice *dev = HW_DEVICE(object);

    G_OBJECT_CLASS(hw_device_parent_class)->constructed(object);
    for (const HwProp *p = HW_DEVICE_GET_CLASS(dev)->props; p && p->name; p++) {
        if (is_number(p) && p->def) {
            set_number(dev, p, p->def);
        }
    }
    if (HW_DEVICE_GET_CLASS(dev)->inner_type) {
        dev->inner = hw_device_new(HW_DEVICE_GET_CLASS(dev)->inner_type, NULL);
    }
}

static void device_dispose(GObject *object)
{
    HwDevice *dev = HW_DEVICE(object);
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);

    if (dev->realized) {
        dev->realized = false;
        g_ptr_array_remove(realized, dev);
        for (unsigned i = 0; i < dev->n_regions; i++) {
            if (dev->regions[i]->container) {
                memory_region_remove(dev->regions[i]);
            }
        }
        if (dc->unrealize) {
            dc->unrealize(dev);
        }
    }
    g_clear_object(&dev->inner);
    G_OBJECT_CLASS(hw_device_parent_class)->dispose(object);
}

static void device_finalize(GObject *object)
{
    HwDevice *dev = HW_DEVICE(object);

    for (const HwProp *p = HW_DEVICE_GET_CLASS(dev)->props; p && p->name; p++) {
        if (p->type == HW_PROP_STRING) {
            g_free(*(char **)prop_field(dev, p));
        }
    }
    g_free(dev->id);
    G_OBJECT_CLASS(hw_device_parent_class)->finalize(object);
}

static void hw_device_init(HwDevice *dev)
{
    (void)dev;
}

static void hw_device_class_init(HwDeviceClass *klass)
{
    GObjectClass *oc = G_OBJECT_CLASS(klass);

    oc->constructed = device_constructed;
    oc->dispose = device_dispose;
    oc->finalize = device_finalize;
}

HwDevice *hw_device_new(GType type, const char *id)
{
    HwDevice *dev = g_object_new(type, NULL);

    dev->id = g_strdup(id);
    return dev;
}

bool hw_device_realize(HwDevice *dev, GError **error)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);

    g_assert(!dev->realized);
    if (dc->realize && !dc->realize(dev, error)) {
        return false;
    }
    dev->realized = true;
    if (!realized) {
        realized = g_ptr_array_new();
    }
    g_ptr_array_add(realized, dev);
    return true;
}

void hw_device_reset(HwDevice *dev)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);

    if (dc->state) {
        state_reset(dev, dc->state);
    }
    if (dc->reset) {
        dc->reset(dev);
    }
}

static bool is_below(const HwDevice *dev, const HwDevice *top)
{
    while (dev && dev != top) {
        dev = dev->bus ? dev->bus->owner : NULL;
    }
    return dev;
}

void hw_device_reset_tree(HwDevice *top)
{
    for (unsigned i = 0; i < realized->len; i++) {
        HwDevice *dev = g_ptr_array_index(realized, i);

        if (is_below(dev, top)) {
            hw_device_reset(dev);
        }
    }
}

/* ---- Regions and interrupts ---- */

void hw_device_add_region(HwDevice *dev, MemoryRegion *region)
{
    g_assert(dev->n_regions < HW_MAX_REGIONS);
    dev->regions[dev->n_regions++] = region;
}

unsigned hw_device_add_irq(HwDevice *dev)
{
    g_assert(dev->n_irqs < HW_MAX_IRQS);
    return dev->n_irqs++;
}

void hw_device_set_irq(HwDevice *dev, unsigned n, bool level)
{
    irq_set(dev->irqs[n], level);
}

void hw_device_connect_irq(HwDevice *dev, unsigned n, Irq *irq, uint32_t number)
{
    g_assert(n < dev->n_irqs);
    dev->irqs[n] = irq;
    dev->irq_numbers[n] = number;
}

void hw_device_map(HwDevice *dev, unsigned n, MemoryRegion *container, uint64_t addr)
{
    g_assert(n < dev->n_regions);
    dev->addr[n] = addr;
    memory_region_add(container ? container : memory_system(), addr, dev->regions[n], 0);
}

/* ---- All devices ---- */

void hw_devices_foreach(void (*f)(HwDevice *dev, void *opaque), void *opaque)
{
    for (unsigned i = 0; realized && i < realized->len; i++) {
        f(g_ptr_array_index(realized, i), opaque);
    }
}

static void reset_one(HwDevice *dev, void *opaque)
{
    hw_device_reset(dev);
}

void hw_devices_reset(void)
{
    hw_devices_foreach(reset_one, NULL);
}

static void fdt_one(HwDevice *dev, void *opaque)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);

    if (dc->fdt) {
        dc->fdt(dev, opaque);
    }
}

void hw_devices_fdt(HwFdt *fdt)
{
    hw_devices_foreach(fdt_one, fdt);
}

static void print_prop(HwDevice *dev, const HwProp *p, GString *out)
{
    if (p->type == HW_PROP_BOOL) {
        g_string_append_printf(out, "    %s = %s\n", p->name,
                               get_number(dev, p) ? "true" : "false");
    } else if (is_number(p)) {
        g_string_append_printf(out, "    %s = %" PRIu64 " (%#" PRIx64 ")\n", p->name,
                               get_number(dev, p), get_number(dev, p));
    } else if (p->type == HW_PROP_STRING) {
        const char *text = *(char **)prop_field(dev, p);

        g_string_append_printf(out, "    %s = \"%s\"\n", p->name, text ? text : "");
    } else if (p->type == HW_PROP_MAC) {
        g_autofree char *mac = get_mac(dev, p);

        g_string_append_printf(out, "    %s = \"%s\"\n", p->name, mac);
    } else if (p->type == HW_PROP_NETDEV) {
        NetBackend *b = *(NetBackend **)prop_field(dev, p);

        g_string_append_printf(out, "    %s = \"%s\"\n", p->name, b ? net_id(b) : "");
    } else if (p->type == HW_PROP_DRIVE) {
        BlockBackend *blk = *(BlockBackend **)prop_field(dev, p);

        g_string_append_printf(out, "    %s = \"%s\"\n", p->name, blk ? block_file(blk) : "");
    } else {
        g_string_append_printf(out, "    %s = %s\n", p->name,
                               *(void **)prop_field(dev, p) ? "connected" : "none");
    }
}

static void print_one(HwDevice *dev, void *opaque)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    GString *out = opaque;

    g_string_append_printf(out, "dev: %s, id \"%s\", bus %s\n", dc->model, dev->id ? dev->id : "",
                           dev->bus ? dev->bus->name : "main");
    for (const HwProp *p = dc->props; p && p->name; p++) {
        print_prop(dev, p, out);
    }
    for (unsigned i = 0; i < dev->n_regions; i++) {
        if (dev->regions[i]->container) {
            g_string_append_printf(out, "    mmio %016" PRIx64 "/%016" PRIx64 "\n", dev->addr[i],
                                   dev->regions[i]->size);
        }
    }
    for (unsigned i = 0; i < dev->n_irqs; i++) {
        if (dev->irqs[i]) {
            g_string_append_printf(out, "    irq %u\n", dev->irq_numbers[i]);
        }
    }
}

const char *hw_device_name(const HwDevice *dev)
{
    const HwDevice *owner = dev->bus ? dev->bus->owner : NULL;

    return dev->id                        ? dev->id
           : owner && owner->inner == dev ? hw_device_name(owner)
                                          : HW_DEVICE_GET_CLASS(dev)->model;
}

void hw_devices_print(GString *out)
{
    hw_devices_foreach(print_one, out);
}
