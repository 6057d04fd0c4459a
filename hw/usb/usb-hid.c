/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Human interface devices (Device Class Definition for HID 1.11): a keyboard and a mouse, which both have the boot protocol (appendix B), and a
 * tablet with
 * absolute coordinates. Input waits in a short queue until the guest asks; what does not fit is dropped (keys) or joined (movement).
 *
 * The three are classes of one type that differ in descriptors and in how they make a report.
 */
#include "hw/usb/usb-hid.h"

#include <string.h>
#include "hw/usb/usb.h"
#include "ui/input.h"
#include "util/bytes.h"

enum { QUEUE = 32, N_KEYS = 6, MAX_REPORT = 8, EP_IN = 1 };
enum { DT_HID = 0x21, DT_REPORT = 0x22 };
enum {
    GET_REPORT = 1,
    GET_IDLE = 2,
    GET_PROTOCOL = 3,
    SET_REPORT = 9,
    SET_IDLE = 10,
    SET_PROTOCOL = 11,
};
enum { FIRST_MODIFIER = 0xe0, LAST_MODIFIER = 0xe7, ERROR_ROLLOVER = 1 };
enum { PROTOCOL_BOOT = 0, PROTOCOL_REPORT = 1 };

#define IDLE_UNIT 4000000ll /* ns */

/* Something that came in: a key (usage, 1: down), or a pointer's move (x, y, wheel, buttons). */
typedef struct HidEvent {
    int32_t v[4];
} HidEvent;

typedef struct HwUsbHid {
    HwUsbDevice parent;
    InputDevice input;
    uint32_t usb_version;
    HidEvent queue[QUEUE];
    uint8_t head, count;
    HidEvent now; /* what the last report said; of relative axes 0 */
    uint8_t modifiers, n_keys, keys[256];
    uint8_t protocol, idle, leds;
    int64_t reported; /* ns of the virtual clock */
    Timer idle_timer;
} HwUsbHid;

typedef struct HwUsbHidClass {
    HwUsbDeviceClass parent;
    InputKind kind;
    const uint8_t *report_desc;
    uint8_t report_desc_size;
} HwUsbHidClass;

G_DEFINE_ABSTRACT_TYPE(HwUsbHid, hw_usb_hid, HW_TYPE_USB_DEVICE)

static InputKind kind_of(const HwUsbHid *s)
{
    return ((HwUsbHidClass *)HW_USB_DEVICE_GET_CLASS(s))->kind;
}

/* ---- The queue ---- */

static HidEvent *last_event(HwUsbHid *s)
{
    return s->count ? &s->queue[(s->head + s->count - 1) % QUEUE] : NULL;
}

/* A device that nobody has configured forgets at once. */
static void append(HwUsbHid *s, HidEvent e)
{
    if (s->count < QUEUE && s->parent.configuration) {
        s->queue[(s->head + s->count++) % QUEUE] = e;
    }
    usb_wakeup(&s->parent, EP_IN, true);
}

static void key_event(void *opaque, uint8_t usage, bool down)
{
    HwUsbHid *s = opaque;

    if (!down || s->count < QUEUE / 2) { /* room for a key's release stays */
        append(s, (HidEvent){ { usage, down } });
    }
}

static int32_t add(int32_t a, int32_t b)
{
    return (int32_t)CLAMP((int64_t)a + b, INT16_MIN, INT16_MAX);
}

/* Movement with the same buttons is one event, as long as nobody asked. */
static void pointer_event(void *opaque, int32_t x, int32_t y, int32_t wheel, uint8_t buttons)
{
    HwUsbHid *s = opaque;
    HidEvent *e = last_event(s);
    bool relative = kind_of(s) == INPUT_RELATIVE;

    if (e && (e->v[3] == buttons || s->count == QUEUE)) {
        *e = (HidEvent){ { relative ? add(e->v[0], x) : x, relative ? add(e->v[1], y) : y,
                           add(e->v[2], wheel), buttons } };
        return;
    }
    append(s, (HidEvent){ { add(0, x), add(0, y), add(0, wheel), buttons } });
}

/* ---- Reports ---- */

static void apply_key(HwUsbHid *s, uint8_t usage, bool down)
{
    uint8_t *key = memchr(s->keys, usage, s->n_keys);

    if (usage >= FIRST_MODIFIER && usage <= LAST_MODIFIER) {
        uint8_t bit = (uint8_t)(1 << (usage - FIRST_MODIFIER));

        s->modifiers = down ? s->modifiers | bit : s->modifiers & (uint8_t)~bit;
    } else if (down && !key && s->n_keys < UINT8_MAX) {
        s->keys[s->n_keys++] = usage;
    } else if (!down && key) {
        *key = s->keys[--s->n_keys];
    }
}

static int keyboard_report(const HwUsbHid *s, uint8_t *out)
{
    out[0] = s->modifiers;
    if (s->n_keys > N_KEYS) {
        memset(out + 2, ERROR_ROLLOVER, N_KEYS);
    } else {
        memcpy(out + 2, s->keys, s->n_keys);
    }
    return 8;
}

/* What of *@left fits into a byte is taken off. */
static uint8_t take_step(int32_t *left)
{
    int32_t step = CLAMP(*left, -127, 127);

    *left -= step;
    return (uint8_t)step;
}

/* A relative pointer's event may take several reports: false: there is more of it. */
static bool take_event(HwUsbHid *s)
{
    HidEvent *e = &s->queue[s->head];

    if (kind_of(s) == INPUT_KEYBOARD) {
        apply_key(s, (uint8_t)e->v[0], e->v[1]);
        return true;
    }
    s->now.v[3] = e->v[3];
    s->now.v[2] = (int8_t)take_step(&e->v[2]);
    if (kind_of(s) == INPUT_ABSOLUTE) {
        s->now.v[0] = e->v[0];
        s->now.v[1] = e->v[1];
        return !e->v[2];
    }
    s->now.v[0] = (int8_t)take_step(&e->v[0]);
    s->now.v[1] = (int8_t)take_step(&e->v[1]);
    return !e->v[0] && !e->v[1] && !e->v[2];
}

/* The state as a report of MAX_REPORT bytes at most: its length. */
static int make_report(HwUsbHid *s, uint8_t *out)
{
    memset(out, 0, MAX_REPORT);
    if (kind_of(s) == INPUT_KEYBOARD) {
        return keyboard_report(s, out);
    }
    out[0] = (uint8_t)(s->now.v[3] & (s->protocol == PROTOCOL_BOOT ? 7 : 31));
    if (kind_of(s) == INPUT_ABSOLUTE) {
        bytes_put_le16(out + 1, (uint16_t)s->now.v[0]);
        bytes_put_le16(out + 3, (uint16_t)s->now.v[1]);
        out[5] = (uint8_t)s->now.v[2];
        return 6;
    }
    for (unsigned i = 0; i < 3; i++) {
        out[1 + i] = (uint8_t)s->now.v[i];
    }
    return s->protocol == PROTOCOL_BOOT ? 3 : 4;
}

static void next_event(HwUsbHid *s)
{
    if (take_event(s)) {
        s->head = (uint8_t)((s->head + 1) % QUEUE);
        s->count--;
    }
}

static void forget_steps(HwUsbHid *s)
{
    s->now.v[2] = 0;
    if (kind_of(s) == INPUT_RELATIVE) {
        s->now.v[0] = s->now.v[1] = 0;
    }
}

static void hid_transfer(HwUsbDevice *dev, UsbTransfer *t)
{
    HwUsbHid *s = (HwUsbHid *)dev;
    int64_t now = clock_now(CLOCK_VIRTUAL), due = s->reported + s->idle * IDLE_UNIT;
    uint8_t report[MAX_REPORT];

    if (!s->count && (!s->idle || now < due)) {
        if (s->idle) {
            timer_set(&s->idle_timer, due); /* 7.2.4: the same again */
        }
        usb_finish(t, USB_NAK);
        return;
    }
    if (s->count) {
        next_event(s);
    }
    usb_copy(t, report, (uint32_t)make_report(s, report));
    forget_steps(s);
    s->reported = now;
    usb_finish(t, USB_OK);
}

static void idle_over(void *opaque)
{
    usb_wakeup(opaque, EP_IN, true);
}

/* ---- Requests ---- */

static void put_hid_desc(const HwUsbHidClass *hc, uint8_t *out)
{
    const uint8_t desc[] = { 9, DT_HID, 0x11, 0x01, 0, 1, DT_REPORT, hc->report_desc_size, 0 };

    memcpy(out, desc, sizeof(desc));
}

static int answer(const UsbSetup *setup, uint8_t *data, const void *bytes, size_t size)
{
    size = MIN(size, setup->length);
    memcpy(data, bytes, size);
    return (int)size;
}

static int get_hid_descriptor(const HwUsbHid *s, const UsbSetup *setup, uint8_t *data)
{
    const HwUsbHidClass *hc = (const HwUsbHidClass *)HW_USB_DEVICE_GET_CLASS(s);
    uint8_t desc[9];

    switch (setup->value >> 8) {
    case DT_HID:
        put_hid_desc(hc, desc);
        return answer(setup, data, desc, sizeof(desc));
    case DT_REPORT:
        return answer(setup, data, hc->report_desc, hc->report_desc_size);
    }
    return -1;
}

static int class_in(HwUsbHid *s, const UsbSetup *setup, uint8_t *data)
{
    enum { INPUT_REPORT = 1 };
    uint8_t report[MAX_REPORT];

    switch (setup->request) {
    case GET_REPORT:
        if (setup->value >> 8 != INPUT_REPORT) {
            return -1;
        }
        return answer(setup, data, report, (size_t)make_report(s, report));
    case GET_IDLE:
        return answer(setup, data, &s->idle, 1);
    case GET_PROTOCOL:
        return answer(setup, data, &s->protocol, 1);
    }
    return -1;
}

static int class_out(HwUsbHid *s, const UsbSetup *setup, const uint8_t *data)
{
    switch (setup->request) {
    case SET_REPORT:
        if (kind_of(s) != INPUT_KEYBOARD || !setup->length) {
            return -1;
        }
        s->leds = data[0];
        return 0;
    case SET_IDLE:
        s->idle = (uint8_t)(setup->value >> 8);
        return 0;
    case SET_PROTOCOL:
        if (kind_of(s) == INPUT_ABSOLUTE || setup->value > PROTOCOL_REPORT) {
            return -1;
        }
        s->protocol = (uint8_t)setup->value;
        return 0;
    }
    return -1;
}

static int hid_control(HwUsbDevice *dev, const UsbSetup *setup, uint8_t *data)
{
    HwUsbHid *s = (HwUsbHid *)dev;

    if (setup->type == (USB_DIR_IN | USB_TO_INTERFACE) && setup->request == USB_GET_DESCRIPTOR) {
        return get_hid_descriptor(s, setup, data);
    }
    switch (setup->type) {
    case USB_DIR_IN | USB_TYPE_CLASS | USB_TO_INTERFACE:
        return class_in(s, setup, data);
    case USB_TYPE_CLASS | USB_TO_INTERFACE:
        return class_out(s, setup, data);
    }
    return -1;
}

/* ---- The device object ---- */

static void hid_reset(HwUsbDevice *dev)
{
    HwUsbHid *s = (HwUsbHid *)dev;

    timer_cancel(&s->idle_timer);
    s->head = s->count = 0;
    s->modifiers = s->n_keys = s->leds = s->idle = 0;
    s->now = (HidEvent){ { 0 } };
    s->protocol = PROTOCOL_REPORT;
}

static bool hid_post_load(HwUsbDevice *dev, GError **error)
{
    HwUsbHid *s = (HwUsbHid *)dev;

    s->head %= QUEUE;
    s->count = MIN(s->count, QUEUE);
    return true;
}

static bool hid_realize(HwUsbDevice *dev, GError **error)
{
    HwUsbHid *s = (HwUsbHid *)dev;

    if (s->usb_version == 1) {
        dev->speeds = 1 << USB_FULL;
    }
    s->input.kind = kind_of(s);
    s->input.name = HW_USB_DEVICE_GET_CLASS(dev)->desc->product_name;
    s->input.key = key_event;
    s->input.pointer = pointer_event;
    s->input.opaque = s;
    input_add(&s->input);
    return true;
}

static void hid_unrealize(HwUsbDevice *dev)
{
    input_remove(&((HwUsbHid *)dev)->input);
}

static const StateField hid_state[] = {
    HW_FIELD_ARRAY(HwUsbHid, queue, STATE_U32, QUEUE * 4, 0, "events that wait: four numbers each"),
    HW_FIELD(HwUsbHid, head, STATE_U8, 0, "first event"),
    HW_FIELD(HwUsbHid, count, STATE_U8, 0, "number of events"),
    HW_FIELD_ARRAY(HwUsbHid, now, STATE_U32, 4, 0, "pointer's axes and buttons, as reported"),
    HW_FIELD(HwUsbHid, modifiers, STATE_U8, 0, "modifier keys that are down"),
    HW_FIELD(HwUsbHid, n_keys, STATE_U8, 0, "number of other keys that are down"),
    HW_FIELD_ARRAY(HwUsbHid, keys, STATE_BYTES, 256, 0, "which"),
    HW_FIELD(HwUsbHid, protocol, STATE_U8, PROTOCOL_REPORT, "0: boot protocol"),
    HW_FIELD(HwUsbHid, idle, STATE_U8, 0, "4 ms after which a report is sent again"),
    HW_FIELD(HwUsbHid, leds, STATE_U8, 0, "lights of the keyboard"),
    HW_FIELD(HwUsbHid, reported, STATE_U64, 0, "time of the last report"),
    HW_FIELD(HwUsbHid, idle_timer, STATE_TIMER, 0, "the next report without news"),
    { 0 },
};

static const HwProp hid_props[] = {
    { .name = "usb_version",
      .type = HW_PROP_U32,
      .offset = offsetof(HwUsbHid, usb_version),
      .def = 2,
      .min = 1,
      .max = 2,
      .desc = "1: a full-speed device, 2: a high-speed one" },
    { 0 },
};

static void hw_usb_hid_finalize(GObject *object)
{
    timer_cancel(&((HwUsbHid *)object)->idle_timer);
    G_OBJECT_CLASS(hw_usb_hid_parent_class)->finalize(object);
}

static void hw_usb_hid_init(HwUsbHid *s)
{
    timer_init(&s->idle_timer, CLOCK_VIRTUAL, idle_over, s);
}

static void hw_usb_hid_class_init(HwUsbHidClass *klass)
{
    HwUsbDeviceClass *uc = HW_USB_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_usb_hid_finalize;
    uc->realize = hid_realize;
    uc->unrealize = hid_unrealize;
    uc->reset = hid_reset;
    uc->post_load = hid_post_load;
    uc->control = hid_control;
    uc->transfer = hid_transfer;
    hw_usb_class_bind_state(uc, hid_state);
    hw_usb_class_bind_props(uc, hid_props);
}

/* ---- The three kinds: report descriptors (6.2.2; appendix E) ---- */

static const uint8_t keyboard_report_desc[] = {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01,                         /* keyboard */
    0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7, 0x15, 0x00, 0x25, 0x01, /* modifiers */
    0x75, 0x01, 0x95, 0x08, 0x81, 0x02,                         /* 8 bits */
    0x75, 0x08, 0x95, 0x01, 0x81, 0x01,                         /* a byte that says nothing */
    0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x75, 0x01, 0x95, 0x05, 0x91, 0x02, /* 5 lights */
    0x75, 0x03, 0x95, 0x01, 0x91, 0x01,                                     /* and the rest */
    0x05, 0x07, 0x19, 0x00, 0x2a, 0xff, 0x00, 0x15, 0x00, 0x26, 0xff, 0x00, /* keys */
    0x75, 0x08, 0x95, 0x06, 0x81, 0x00, 0xc0,                               /* 6 of them */
};

static const uint8_t mouse_report_desc[] = {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, /* mouse, pointer */
    0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25, 0x01, /* 5 buttons */
    0x95, 0x05, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x03, 0x81, 0x01,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, /* x, y, wheel */
    0x75, 0x08, 0x95, 0x03, 0x81, 0x06, 0xc0, 0xc0,
};

static const uint8_t tablet_report_desc[] = {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, /* mouse, pointer */
    0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25, 0x01, /* 5 buttons */
    0x95, 0x05, 0x75, 0x01, 0x81, 0x02, 0x95, 0x01, 0x75, 0x03, 0x81, 0x01,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xff, 0x7f, 0x35,
    0x00, 0x46, 0xff, 0x7f, 0x75, 0x10, 0x95, 0x02, 0x81, 0x02, /* x, y: places */
    0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x35, 0x00, 0x45, 0x00, /* wheel: steps */
    0x75, 0x08, 0x95, 0x01, 0x81, 0x06, 0xc0, 0xc0,
};

static const UsbEndpointDesc hid_endpoint = {
    .address = USB_DIR_IN | EP_IN,
    .kind = USB_INTERRUPT,
    .max_packet = { [USB_FULL] = MAX_REPORT, [USB_HIGH] = MAX_REPORT },
    .interval = { [USB_FULL] = 10, [USB_HIGH] = 7 }, /* 10 and 8 ms */
};

/* A boot interface: protocol 1 is a keyboard, 2 a mouse, with subclass 0 it has none. */
typedef struct HidKind {
    const char *type, *model, *desc_text, *product;
    InputKind kind;
    uint8_t subclass, protocol;
    const uint8_t *report_desc;
    uint8_t report_desc_size;
} HidKind;

static void kind_class_init(gpointer klass, gpointer data)
{
    const HidKind *kind = data;
    HwUsbHidClass *hc = klass;
    UsbInterfaceDesc *interface = g_new0(UsbInterfaceDesc, 1); /* these live as the class */
    UsbDesc *desc = g_new0(UsbDesc, 1);
    uint8_t *hid_desc = g_malloc0(9);

    hc->kind = kind->kind;
    hc->report_desc = kind->report_desc;
    hc->report_desc_size = kind->report_desc_size;
    put_hid_desc(hc, hid_desc);
    *interface = (UsbInterfaceDesc){ .class_code = 0x03,
                                     .subclass = kind->subclass,
                                     .protocol = kind->protocol,
                                     .class_desc = hid_desc,
                                     .class_desc_size = 9,
                                     .n_endpoints = 1,
                                     .endpoints = &hid_endpoint };
    *desc = (UsbDesc){ .vendor = 0x0627,
                       .product = 0x0001,
                       .speeds = 1 << USB_FULL | 1 << USB_HIGH,
                       .manufacturer_name = "Menura",
                       .product_name = kind->product,
                       .remote_wakeup = true,
                       .max_power = 50,
                       .n_interfaces = 1,
                       .interfaces = interface };
    hc->parent.desc = desc;
    hc->parent.parent.model = kind->model;
    hc->parent.parent.desc = kind->desc_text;
}

static GType register_kind(const HidKind *kind)
{
    const GTypeInfo info = {
        .class_size = sizeof(HwUsbHidClass),
        .class_init = kind_class_init,
        .class_data = kind,
        .instance_size = sizeof(HwUsbHid),
    };
    GType type = g_type_from_name(kind->type);

    return type ? type : g_type_register_static(hw_usb_hid_get_type(), kind->type, &info, 0);
}

GType hw_usb_kbd_get_type(void)
{
    static const HidKind kind = { "HwUsbKbd",
                                  "usb-kbd",
                                  "USB keyboard",
                                  "USB keyboard",
                                  INPUT_KEYBOARD,
                                  1,
                                  1,
                                  keyboard_report_desc,
                                  sizeof(keyboard_report_desc) };

    return register_kind(&kind);
}

GType hw_usb_mouse_get_type(void)
{
    static const HidKind kind = { "HwUsbMouse",
                                  "usb-mouse",
                                  "USB mouse",
                                  "USB mouse",
                                  INPUT_RELATIVE,
                                  1,
                                  2,
                                  mouse_report_desc,
                                  sizeof(mouse_report_desc) };

    return register_kind(&kind);
}

GType hw_usb_tablet_get_type(void)
{
    static const HidKind kind = { "HwUsbTablet",
                                  "usb-tablet",
                                  "USB tablet: a pointer with absolute coordinates",
                                  "USB tablet",
                                  INPUT_ABSOLUTE,
                                  0,
                                  0,
                                  tablet_report_desc,
                                  sizeof(tablet_report_desc) };

    return register_kind(&kind);
}
