/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device object model: a device is a GObject derived from HW_TYPE_DEVICE, one .c file, with a
 * property table (its options), a state table (reset, snapshot, dump) and a few methods. A device
 * pulls what it needs from interfaces (Irq, MemoryRegion, Timer, chardev and block back ends); back
 * ends never know it.
 *
 * Life: hw_device_new -> properties set -> hw_device_realize (may fail) -> machine maps its regions
 * and connects its interrupt outputs -> reset -> ... -> unrealize (g_object_unref).
 *
 * Devices are listed in hw/devices.c, the one registration list. `-device model,prop=value` and
 * `-device model,help` read it.
 */
#ifndef HW_CORE_DEVICE_H
#define HW_CORE_DEVICE_H

#include <glib-object.h>
#include "hw/core/fdt.h"
#include "softmmu/clock.h"
#include "softmmu/irq.h"
#include "softmmu/memory.h"
#include "util/state.h"

typedef struct HwDevice HwDevice;
typedef struct HwDeviceClass HwDeviceClass;
typedef struct HwBus HwBus;

enum { HW_MAX_REGIONS = 4, HW_MAX_IRQS = 4 };

/* A property bound to a field of the device struct. */
typedef enum HwPropType {
    HW_PROP_BOOL,
    HW_PROP_U8,
    HW_PROP_U16,
    HW_PROP_U32,
    HW_PROP_U64,
    HW_PROP_SIZE,
    HW_PROP_STRING,  /* char *, owned by the device */
    HW_PROP_CHARDEV, /* Chardev *, looked up by id at realize ("chardev=ID") */
    HW_PROP_DRIVE,   /* BlockBackend *, looked up by id ("drive=ID") */
    HW_PROP_NETDEV,  /* NetBackend *, looked up by id ("netdev=ID") */
    HW_PROP_MAC,     /* uint8_t[6]; all 0: not given */
} HwPropType;

typedef struct HwProp {
    const char *name;
    HwPropType type;
    uint32_t offset;
    uint64_t def;      /* default of a number or bool */
    uint64_t min, max; /* numbers: both 0: the type's range */
    const char *desc;
} HwProp;

#define HW_PROP(type_, field_, name_, kind_, def_, desc_)                                   \
    {                                                                                       \
        .name = (name_), .type = (kind_), .offset = offsetof(type_, field_), .def = (def_), \
        .desc = (desc_)                                                                     \
    }

#define HW_FIELD(type_, field_, kind_, reset_, desc_)                                    \
    {                                                                                    \
        .name = #field_, .offset = offsetof(type_, field_), .count = 1, .type = (kind_), \
        .reset = (reset_), .desc = (desc_)                                               \
    }
#define HW_FIELD_ARRAY(type_, field_, kind_, n_, reset_, desc_)                             \
    {                                                                                       \
        .name = #field_, .offset = offsetof(type_, field_), .count = (n_), .type = (kind_), \
        .reset = (reset_), .desc = (desc_)                                                  \
    }

struct HwDevice {
    GObject parent;
    char *id;        /* of -device id=, or made by the machine; owned */
    HwDevice *inner; /* class's inner_type: realized and plugged by this device; owned */
    HwBus *bus;      /* what it sits on; NULL: directly on the machine */
    bool realized;
    unsigned n_regions;
    /* Its register windows, borrowed from its struct (hw_device_add_region), and where the machine
     * mapped them (for the device tree and listings). */
    MemoryRegion *regions[HW_MAX_REGIONS];
    uint64_t addr[HW_MAX_REGIONS];
    unsigned n_irqs;
    /* Its interrupt outputs: what the machine connected (NULL: nothing), and their numbers at the
     * interrupt controller, for the device tree. */
    Irq *irqs[HW_MAX_IRQS];
    uint32_t irq_numbers[HW_MAX_IRQS];
};

struct HwDeviceClass {
    GObjectClass parent;
    const char *model; /* as -device spells it */
    const char *desc;
    const char *bus_type; /* of the bus it plugs into ("virtio-bus"), NULL: machine-made only */
    bool user_creatable;
    /* A device is made of this type with each of this one, whose properties can be set through it (a transport and what it carries). 0: none. */
    GType inner_type;
    const HwProp *props;
    const StateField *state;
    /* Opens back ends, makes regions. False: error beginning with the model name. */
    bool (*realize)(HwDevice *dev, GError **error);
    void (*unrealize)(HwDevice *dev);
    /* After state_reset(): what a table cannot say (cancel timers, lower lines). May be NULL. */
    void (*reset)(HwDevice *dev);
    /* After state_load(): recompute what is derived from the state. May be NULL. */
    bool (*post_load)(HwDevice *dev, GError **error);
    /* Before a snapshot: an error, beginning with the model name, if the state is not all in the table. May be NULL: it always is. */
    bool (*can_save)(HwDevice *dev, GError **error);
    /* Before a snapshot is loaded: waits until nothing that the device began reaches memory any more. May be NULL. */
    void (*settle)(HwDevice *dev);
    /* Writes the device's node; NULL: it has none. */
    void (*fdt)(HwDevice *dev, HwFdt *fdt);
};

GType hw_device_get_type(void);
#define HW_TYPE_DEVICE         (hw_device_get_type())
#define HW_DEVICE(o)           (G_TYPE_CHECK_INSTANCE_CAST((o), HW_TYPE_DEVICE, HwDevice))
#define HW_DEVICE_CLASS(k)     (G_TYPE_CHECK_CLASS_CAST((k), HW_TYPE_DEVICE, HwDeviceClass))
#define HW_DEVICE_GET_CLASS(o) (G_TYPE_INSTANCE_GET_CLASS((o), HW_TYPE_DEVICE, HwDeviceClass))

/* In class_init, after model/state/props are set: installs the properties as GObject properties
 * (and the accessors, which GObject clears in subclasses). */
void hw_device_class_bind_props(HwDeviceClass *klass, const HwProp *props);

/* The table of a class that derives from another: @base, then @own (each ends with a zero entry; @own may be NULL). It lives as long as classes do:
 * for ever. */
const HwProp *hw_props_join(const HwProp *base, const HwProp *own);
const StateField *hw_state_join(const StateField *base, const StateField *own);

/* A new device of @type (a reference for the caller). @id may be NULL. */
HwDevice *hw_device_new(GType type, const char *id);
/* Sets a property from text; the error names device, property and the nearest right name or the
 * allowed range. */
bool hw_device_set_prop(HwDevice *dev, const char *name, const char *value, GError **error);
bool hw_device_realize(HwDevice *dev, GError **error);
void hw_device_reset(HwDevice *dev);
/* The same for @top, which is realized, and then for all that is plugged into it, into that, and so on. */
void hw_device_reset_tree(HwDevice *top);
/* In realize: declares a register window / an interrupt output. The region must live in the
 * device's struct. */
void hw_device_add_region(HwDevice *dev, MemoryRegion *region);
/* Index of the new output. Raise it with hw_device_set_irq(). */
unsigned hw_device_add_irq(HwDevice *dev);
void hw_device_set_irq(HwDevice *dev, unsigned n, bool level);
/* Machine side: connects output @n to @irq (borrowed, lives as long), known to the controller as
 * @number. */
void hw_device_connect_irq(HwDevice *dev, unsigned n, Irq *irq, uint32_t number);
/* Machine side: maps window @n into @container (the system bus if NULL) at @addr. */
void hw_device_map(HwDevice *dev, unsigned n, MemoryRegion *container, uint64_t addr);

/* All realized devices in the order of their realization: reset, device tree nodes, and the text
 * of "info qtree". */
void hw_devices_reset(void);
void hw_devices_fdt(HwFdt *fdt);
void hw_devices_print(GString *out);
/* Calls @f for each. */
void hw_devices_foreach(void (*f)(HwDevice *dev, void *opaque), void *opaque);
/* How the user knows it: its id=, or the model that -device named. Borrowed. */
const char *hw_device_name(const HwDevice *dev);

/* The models of -device: by name (0: none; "virtio-x" is "virtio-x-pci"), and the whole list (hw/devices.c). */
GType hw_device_find(const char *model);
const GType *hw_device_types(unsigned *n);

/* ---- Buses: places with slots that -device plugs into ---- */
struct HwBus {
    const char *name;      /* "virtio-mmio-bus.0" */
    const char *type;      /* "virtio-bus" */
    HwDevice *owner;       /* the controller or transport */
    GPtrArray *children;   /* of HwDevice *, owned */
    unsigned max_children; /* 0: any number */
    void *opaque;          /* the bus as its kind has it */
    /* The child is realized: makes it reachable. */
    bool (*plug)(HwBus *bus, HwDevice *child, GError **error);
};

/* A bus with a copy of @name, found by hw_bus_find() until its owner frees it (which unrefs its
 * children). */
HwBus *hw_bus_new(HwDevice *owner, const char *type, const char *name, unsigned max_children);
void hw_bus_free(HwBus *bus);
/* Finds a bus of @type with room by name, or the first one (name NULL). */
HwBus *hw_bus_find(const char *type, const char *name);

#endif
