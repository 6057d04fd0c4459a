/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB (Universal Serial Bus Specification 2.0; Universal Serial Bus 3.1 Specification for SuperSpeed): what lies between host controllers and
 * devices. A transfer is one object, from its first to its last byte; a controller hands it to a device, which finishes it at once or later. How
 * it would be cut into packets on a wire is nobody's business here.
 *
 * A device type derives from HwUsbDevice and gives a table of descriptors; requests that all devices have (9.4) are done here. Devices sit in
 * ports,
 * of a controller (root ports) or of a hub; a bus is all the ports of a controller and of the hubs below it.
 *
 * All functions: machine lock held.
 */
#ifndef HW_USB_USB_H
#define HW_USB_USB_H

#include <sys/uio.h>
#include "hw/core/device.h"

#define HW_USB_BUS_TYPE "usb-bus"

typedef struct HwUsbDevice HwUsbDevice;
typedef struct HwUsbPort HwUsbPort;
typedef struct HwUsbBus HwUsbBus;
typedef struct UsbTransfer UsbTransfer;

typedef enum UsbSpeed { USB_LOW, USB_FULL, USB_HIGH, USB_SUPER, N_USB_SPEEDS } UsbSpeed;
typedef enum UsbKind { USB_CONTROL, USB_ISOCHRONOUS, USB_BULK, USB_INTERRUPT } UsbKind;
typedef enum UsbStatus {
    USB_OK,
    USB_NAK,    /* nothing to give or no place now: ask again after wakeup */
    USB_STALL,  /* the endpoint is halted, or the request is none the device knows */
    USB_ERROR,  /* no answer */
    USB_BABBLE, /* the device has more to send than asked for */
} UsbStatus;

enum {
    USB_MAX_HUBS = 5, /* one behind another */
    USB_MAX_ENDPOINT = 15,
    USB_MAX_CONTROL = 4096, /* bytes of data with a control request */
    USB_SETUP_SIZE = 8,
};

/* bmRequestType (9.3). */
enum {
    USB_DIR_IN = 0x80,
    USB_TYPE_MASK = 0x60,
    USB_TYPE_STANDARD = 0x00,
    USB_TYPE_CLASS = 0x20,
    USB_RECIPIENT_MASK = 0x1f,
    USB_TO_DEVICE = 0,
    USB_TO_INTERFACE = 1,
    USB_TO_ENDPOINT = 2,
    USB_TO_OTHER = 3,
};
/* bRequest (table 9-4; 9-6 of USB 3.1). */
enum {
    USB_GET_STATUS = 0,
    USB_CLEAR_FEATURE = 1,
    USB_SET_FEATURE = 3,
    USB_SET_ADDRESS = 5,
    USB_GET_DESCRIPTOR = 6,
    USB_GET_CONFIGURATION = 8,
    USB_SET_CONFIGURATION = 9,
    USB_GET_INTERFACE = 10,
    USB_SET_INTERFACE = 11,
    USB_SET_SEL = 48,
    USB_SET_ISOCH_DELAY = 49,
};
/* Descriptors' types (table 9-5). */
enum {
    USB_DT_DEVICE = 1,
    USB_DT_CONFIGURATION = 2,
    USB_DT_STRING = 3,
    USB_DT_INTERFACE = 4,
    USB_DT_ENDPOINT = 5,
    USB_DT_QUALIFIER = 6,
    USB_DT_OTHER_SPEED = 7,
    USB_DT_BOS = 15,
    USB_DT_CAPABILITY = 16,
    USB_DT_COMPANION = 48,
};

typedef struct UsbSetup {
    uint8_t type, request;
    uint16_t value, index, length;
} UsbSetup;

/* One transfer, owned by the controller. */
struct UsbTransfer {
    uint8_t endpoint; /* number; 0: a control transfer, setup stage to status stage */
    bool in;          /* the direction of the data */
    uint8_t setup[USB_SETUP_SIZE];
    struct iovec *iov; /* the data, in guest memory */
    int n_iov;
    uint32_t length; /* sum of iov */
    /* What became of it. */
    uint32_t actual; /* bytes moved, at most length */
    UsbStatus status;
    void (*done)(UsbTransfer *t); /* called by usb_finish(), perhaps before usb_submit() returns */
    void *opaque;
    HwUsbDevice *dev; /* which has it; NULL: done */
};

/* ---- Descriptors, as tables ---- */

typedef struct UsbEndpointDesc {
    uint8_t address; /* with USB_DIR_IN */
    UsbKind kind;
    uint16_t max_packet[N_USB_SPEEDS];
    uint8_t interval[N_USB_SPEEDS]; /* bInterval */
    uint8_t max_burst;              /* SuperSpeed: further packets in one go */
} UsbEndpointDesc;

typedef struct UsbInterfaceDesc {
    uint8_t class_code, subclass, protocol;
    const uint8_t *class_desc; /* follows the interface descriptor; NULL */
    uint8_t class_desc_size;
    uint8_t n_endpoints;
    const UsbEndpointDesc *endpoints;
} UsbInterfaceDesc;

/* A device of one configuration, its interfaces without alternate settings. */
typedef struct UsbDesc {
    uint16_t vendor, product, release;
    uint8_t speeds; /* bits by UsbSpeed that it can run at */
    uint8_t class_code, subclass, protocol;
    const char *manufacturer_name, *product_name;
    bool remote_wakeup, self_powered;
    uint8_t max_power; /* in units of 2 mA */
    uint8_t n_interfaces;
    const UsbInterfaceDesc *interfaces;
} UsbDesc;

/* ---- Devices ---- */

struct HwUsbDevice {
    HwDevice parent;
    char *port_path;    /* property: "2" or behind a hub "2.1"; NULL: the first free port */
    char *serial;       /* property: of the device descriptor */
    uint8_t speeds;     /* of desc, perhaps narrowed in realize */
    HwUsbPort *port;    /* NULL: not plugged in */
    UsbSpeed speed;     /* it runs at */
    GPtrArray *waiting; /* of UsbTransfer *, which it will finish later */
    uint8_t address, configuration;
    bool wakeup_enabled;
    uint32_t halted; /* endpoints: bit n: OUT n, bit 16 + n: IN n */
};

typedef struct HwUsbDeviceClass {
    HwDeviceClass parent;
    const UsbDesc *desc;
    bool (*realize)(HwUsbDevice *dev, GError **error);
    void (*unrealize)(HwUsbDevice *dev);
    /* The bus or the machine resets it: address and configuration are 0, no transfer waits. */
    void (*reset)(HwUsbDevice *dev);
    bool (*post_load)(HwUsbDevice *dev, GError **error);
    /* Control request that is not the base's (class requests; GET_DESCRIPTOR of an interface): @data has setup->length bytes at most
     * USB_MAX_CONTROL,
     * from the host or zeroes to be filled. Returns bytes, or -1: STALL. */
    int (*control)(HwUsbDevice *dev, const UsbSetup *setup, uint8_t *data);
    /* Transfer of another endpoint, which is not halted: ends in usb_finish(), now or later. */
    void (*transfer)(HwUsbDevice *dev, UsbTransfer *t);
    /* Finishes what waits now. NULL: it never lets a transfer wait. */
    void (*settle)(HwUsbDevice *dev);
    /* Of an endpoint in the form of HwUsbDevice.halted, after the host cleared its halt. */
    void (*unhalted)(HwUsbDevice *dev, uint32_t bit);
    HwUsbPort *(*hub_port)(HwUsbDevice *dev, unsigned n); /* hubs: port @n from 1; NULL */
} HwUsbDeviceClass;

GType hw_usb_device_get_type(void);
#define HW_TYPE_USB_DEVICE     (hw_usb_device_get_type())
#define HW_USB_DEVICE(o)       (G_TYPE_CHECK_INSTANCE_CAST((o), HW_TYPE_USB_DEVICE, HwUsbDevice))
#define HW_USB_DEVICE_CLASS(k) (G_TYPE_CHECK_CLASS_CAST((k), HW_TYPE_USB_DEVICE, HwUsbDeviceClass))
#define HW_USB_DEVICE_GET_CLASS(o) \
    (G_TYPE_INSTANCE_GET_CLASS((o), HW_TYPE_USB_DEVICE, HwUsbDeviceClass))

/* In class_init, both always: the base's tables followed by @own (may be NULL). */
void hw_usb_class_bind_props(HwUsbDeviceClass *klass, const HwProp *own);
void hw_usb_class_bind_state(HwUsbDeviceClass *klass, const StateField *own);

/* The end of a transfer: t->done() is called. */
void usb_finish(UsbTransfer *t, UsbStatus status);
/* An endpoint's bit in HwUsbDevice.halted. */
uint32_t usb_halt_bit(uint8_t endpoint, bool in);
/* Halts the transfer's endpoint, and finishes it so. */
void usb_stall(HwUsbDevice *dev, UsbTransfer *t);
/* The transfer waits at @dev until usb_finish(). */
void usb_wait(HwUsbDevice *dev, UsbTransfer *t);
/* Copies to or from the transfer's data at t->actual, which moves on, as far as there is room; bytes copied. */
uint32_t usb_copy(UsbTransfer *t, void *buf, uint32_t len);
/* The endpoint that answered NAK may have something now. A suspended bus wakes up if the host allowed that. */
void usb_wakeup(HwUsbDevice *dev, uint8_t endpoint, bool in);

/* ---- For controllers and hubs ---- */

struct HwUsbPort {
    HwUsbBus *bus;
    HwUsbDevice *hub; /* NULL: a root port */
    unsigned number;  /* from 1, of the controller's connectors or the hub's ports */
    char *path;       /* "1", "1.2" */
    uint8_t speeds;
    HwUsbDevice *dev;
    bool enabled; /* what is in it can be reached; its owner's */
    /* Told to the owner: a device was plugged in; it will be gone; it wants to be woken up. */
    void (*attached)(HwUsbPort *port);
    void (*detached)(HwUsbPort *port);
    void (*resume)(HwUsbPort *port);
    void *opaque;
};

struct HwUsbBus {
    HwBus *bus;
    GPtrArray *ports; /* of HwUsbPort *, in order; owned */
    void (*wakeup)(void *opaque, HwUsbDevice *dev, uint8_t endpoint, bool in);
    void *opaque;
};

/* A bus of the controller @owner with its id and ".0" for a name (without an id: "usb-bus.N"). */
HwUsbBus *hw_usb_bus_new(HwDevice *owner);
/* The devices go, those behind hubs first. */
void hw_usb_bus_free(HwUsbBus *bus);
/* A port more, number @number from 1, with its owner's callbacks to be filled in. @hub: NULL: a root port. */
HwUsbPort *hw_usb_port_new(HwUsbBus *bus, HwUsbDevice *hub, unsigned number, uint8_t speeds);
/* The device is pulled out of its port and goes, with all that is behind it; the guest is told. */
void hw_usb_unplug(HwUsbDevice *dev);
/* What can be reached through a root port by a route string (8.9 of USB 3.1: 4 bits a hub), or NULL. */
HwUsbDevice *hw_usb_find(HwUsbPort *root, uint32_t route);

/* Hands a transfer to the device. t->done() may be called before it returns. */
void usb_submit(HwUsbDevice *dev, UsbTransfer *t);
/* Afterwards @t is done. */
void usb_settle(UsbTransfer *t);
/* Reset by the port: transfers under way end with USB_ERROR or as they are. */
void usb_device_reset(HwUsbDevice *dev);
/* Text of "info usb". */
void hw_usb_print(GString *out);

#endif
