/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio input devices (virtio 1.2, section 5.8): keyboard, mouse and tablet, classes of one type that differ in what they say of themselves and in
 * how they make a report. Events are those of Linux's evdev.
 *
 * Input waits in a short queue until the driver has buffers for a whole report. Movement is joined while it waits. A key that goes down is dropped if
 * afterwards there would not be room for the release of every key that is down: so no key ever sticks.
 */
#include "hw/virtio/virtio-input.h"

#include <linux/input-event-codes.h>
#include <string.h>
#include "hw/virtio/virtio.h"
#include "softmmu/runstate.h"
#include "ui/input.h"
#include "util/bytes.h"
#include "util/log.h"

enum { DEVICE_ID = 18, QUEUE_SIZE = 64, EVENTS = 0, STATUS = 1 };
enum { CFG_SELECT = 0, CFG_SUBSEL = 1, CFG_SIZE = 2, CFG_DATA = 8, CFG_DATA_SIZE = 128 };
enum {
    ID_NAME = 1,
    ID_SERIAL = 2,
    ID_DEVIDS = 3,
    PROP_BITS = 0x10,
    EV_BITS = 0x11,
    ABS_INFO = 0x12
};
enum { CONFIG_SIZE = CFG_DATA + CFG_DATA_SIZE };
enum { EVENT_SIZE = 8, MAX_REPORT = 9, N_BUTTONS = 5, WAITING = 64, N_USAGES = 256 };
enum { BUS_IS_VIRTUAL = 6, VENDOR = 0x0627 };

/* Something that came in: a key (usage, 1: down), or a pointer's move (x, y, wheel, buttons). */
typedef struct Input {
    int32_t v[4];
} Input;

typedef struct HwVirtioInput {
    HwVirtio parent;
    InputDevice input;
    char *serial;
    uint8_t select, subsel;
    Input queue[WAITING];
    uint8_t head, count;
    uint8_t down[N_USAGES / 8]; /* keys whose press is waiting or reported, but not their release */
    uint8_t buttons;            /* as reported */
    uint8_t leds;
    bool loaded; /* whoever pressed the keys that are down is not there any more */
} HwVirtioInput;

/* What a device says of itself. */
typedef struct InputModel {
    const char *type, *model, *desc, *name;
    InputKind kind;
    uint16_t product;
} InputModel;

typedef struct HwVirtioInputClass {
    HwVirtioClass parent;
    const InputModel *model;
} HwVirtioInputClass;

G_DEFINE_ABSTRACT_TYPE(HwVirtioInput, hw_virtio_input, HW_TYPE_VIRTIO)

/* By the numbers of the HID Usage Tables 1.12, section 10; 0: not known. */
static const uint8_t key_codes[N_USAGES] = {
    [0x04] = KEY_A,          [0x05] = KEY_B,          [0x06] = KEY_C,
    [0x07] = KEY_D,          [0x08] = KEY_E,          [0x09] = KEY_F,
    [0x0a] = KEY_G,          [0x0b] = KEY_H,          [0x0c] = KEY_I,
    [0x0d] = KEY_J,          [0x0e] = KEY_K,          [0x0f] = KEY_L,
    [0x10] = KEY_M,          [0x11] = KEY_N,          [0x12] = KEY_O,
    [0x13] = KEY_P,          [0x14] = KEY_Q,          [0x15] = KEY_R,
    [0x16] = KEY_S,          [0x17] = KEY_T,          [0x18] = KEY_U,
    [0x19] = KEY_V,          [0x1a] = KEY_W,          [0x1b] = KEY_X,
    [0x1c] = KEY_Y,          [0x1d] = KEY_Z,          [0x1e] = KEY_1,
    [0x1f] = KEY_2,          [0x20] = KEY_3,          [0x21] = KEY_4,
    [0x22] = KEY_5,          [0x23] = KEY_6,          [0x24] = KEY_7,
    [0x25] = KEY_8,          [0x26] = KEY_9,          [0x27] = KEY_0,
    [0x28] = KEY_ENTER,      [0x29] = KEY_ESC,        [0x2a] = KEY_BACKSPACE,
    [0x2b] = KEY_TAB,        [0x2c] = KEY_SPACE,      [0x2d] = KEY_MINUS,
    [0x2e] = KEY_EQUAL,      [0x2f] = KEY_LEFTBRACE,  [0x30] = KEY_RIGHTBRACE,
    [0x31] = KEY_BACKSLASH,  [0x33] = KEY_SEMICOLON,  [0x34] = KEY_APOSTROPHE,
    [0x35] = KEY_GRAVE,      [0x36] = KEY_COMMA,      [0x37] = KEY_DOT,
    [0x38] = KEY_SLASH,      [0x39] = KEY_CAPSLOCK,   [0x3a] = KEY_F1,
    [0x3b] = KEY_F2,         [0x3c] = KEY_F3,         [0x3d] = KEY_F4,
    [0x3e] = KEY_F5,         [0x3f] = KEY_F6,         [0x40] = KEY_F7,
    [0x41] = KEY_F8,         [0x42] = KEY_F9,         [0x43] = KEY_F10,
    [0x44] = KEY_F11,        [0x45] = KEY_F12,        [0x46] = KEY_SYSRQ,
    [0x47] = KEY_SCROLLLOCK, [0x48] = KEY_PAUSE,      [0x49] = KEY_INSERT,
    [0x4a] = KEY_HOME,       [0x4b] = KEY_PAGEUP,     [0x4c] = KEY_DELETE,
    [0x4d] = KEY_END,        [0x4e] = KEY_PAGEDOWN,   [0x4f] = KEY_RIGHT,
    [0x50] = KEY_LEFT,       [0x51] = KEY_DOWN,       [0x52] = KEY_UP,
    [0x53] = KEY_NUMLOCK,    [0x54] = KEY_KPSLASH,    [0x55] = KEY_KPASTERISK,
    [0x56] = KEY_KPMINUS,    [0x57] = KEY_KPPLUS,     [0x58] = KEY_KPENTER,
    [0x59] = KEY_KP1,        [0x5a] = KEY_KP2,        [0x5b] = KEY_KP3,
    [0x5c] = KEY_KP4,        [0x5d] = KEY_KP5,        [0x5e] = KEY_KP6,
    [0x5f] = KEY_KP7,        [0x60] = KEY_KP8,        [0x61] = KEY_KP9,
    [0x62] = KEY_KP0,        [0x63] = KEY_KPDOT,      [0x64] = KEY_102ND,
    [0x65] = KEY_COMPOSE,    [0x67] = KEY_KPEQUAL,    [0xe0] = KEY_LEFTCTRL,
    [0xe1] = KEY_LEFTSHIFT,  [0xe2] = KEY_LEFTALT,    [0xe3] = KEY_LEFTMETA,
    [0xe4] = KEY_RIGHTCTRL,  [0xe5] = KEY_RIGHTSHIFT, [0xe6] = KEY_RIGHTALT,
    [0xe7] = KEY_RIGHTMETA,
};

static const InputModel *model_of(const HwVirtioInput *s)
{
    return ((HwVirtioInputClass *)G_OBJECT_GET_CLASS(s))->model;
}

/* ---- What waits ---- */

static void append(HwVirtioInput *s, Input in)
{
    g_assert(s->count < WAITING);
    s->queue[(s->head + s->count++) % WAITING] = in;
}

static bool is_down(const HwVirtioInput *s, uint8_t usage)
{
    return s->down[usage / 8] >> usage % 8 & 1;
}

static unsigned count_down(const HwVirtioInput *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < sizeof(s->down); i++) {
        n += (unsigned)__builtin_popcount(s->down[i]);
    }
    return n;
}

static void append_key(HwVirtioInput *s, uint8_t usage, bool down)
{
    s->down[usage / 8] ^= (uint8_t)(1 << usage % 8);
    append(s, (Input){ { usage, down } });
}

/* A device without a driver forgets at once. Always: count + keys that are down <= WAITING. */
static void key_event(void *opaque, uint8_t usage, bool down)
{
    HwVirtioInput *s = opaque;

    if (!hw_virtio_is_running(&s->parent) || is_down(s, usage) == down || !key_codes[usage] ||
        (down && s->count + count_down(s) + 2 > WAITING)) {
        return;
    }
    append_key(s, usage, down);
    hw_virtio_kick(&s->parent, EVENTS);
}

static int32_t add(int32_t a, int32_t b)
{
    return (int32_t)CLAMP((int64_t)a + b, INT32_MIN, INT32_MAX);
}

/* Movement with the same buttons is one report, as long as it waits. */
static void pointer_event(void *opaque, int32_t x, int32_t y, int32_t wheel, uint8_t buttons)
{
    HwVirtioInput *s = opaque;
    Input *last = s->count ? &s->queue[(s->head + s->count - 1) % WAITING] : NULL;
    bool relative = model_of(s)->kind == INPUT_RELATIVE;

    if (!hw_virtio_is_running(&s->parent)) {
        return;
    }
    if (last && (last->v[3] == buttons || s->count == WAITING)) {
        *last = (Input){ { relative ? add(last->v[0], x) : x, relative ? add(last->v[1], y) : y,
                           add(last->v[2], wheel), buttons } };
    } else {
        append(s, (Input){ { x, y, wheel, buttons } });
    }
    hw_virtio_kick(&s->parent, EVENTS);
}

static void release_all(HwVirtioInput *s)
{
    for (unsigned usage = 0; usage < N_USAGES; usage++) {
        if (is_down(s, (uint8_t)usage)) {
            append_key(s, (uint8_t)usage, false);
        }
    }
}

/* ---- Reports ---- */

typedef struct Report {
    unsigned n;
    uint8_t events[MAX_REPORT][EVENT_SIZE];
} Report;

static void report_add(Report *r, uint16_t type, uint16_t code, int32_t value)
{
    uint8_t *event = r->events[r->n++];

    bytes_put_le16(event, type);
    bytes_put_le16(event + 2, code);
    bytes_put_le32(event + 4, (uint32_t)value);
}

static void report_step(Report *r, uint16_t axis, int32_t value)
{
    if (value) {
        report_add(r, EV_REL, axis, value);
    }
}

static void make_report(const HwVirtioInput *s, const Input *in, Report *r)
{
    InputKind kind = model_of(s)->kind;

    r->n = 0;
    if (kind == INPUT_KEYBOARD) {
        report_add(r, EV_KEY, key_codes[(uint8_t)in->v[0]], in->v[1]);
    } else if (kind == INPUT_ABSOLUTE) {
        report_add(r, EV_ABS, ABS_X, in->v[0]);
        report_add(r, EV_ABS, ABS_Y, in->v[1]);
    } else {
        report_step(r, REL_X, in->v[0]);
        report_step(r, REL_Y, in->v[1]);
    }
    if (kind != INPUT_KEYBOARD) {
        report_step(r, REL_WHEEL, in->v[2]);
        for (unsigned i = 0; i < N_BUTTONS; i++) {
            if ((s->buttons ^ in->v[3]) >> i & 1) {
                report_add(r, EV_KEY, (uint16_t)(BTN_LEFT + i), in->v[3] >> i & 1);
            }
        }
    }
    report_add(r, EV_SYN, SYN_REPORT, 0);
}

/* All of it, or (false) nothing as the driver has not enough buffers. */
static bool send_report(HwVirtioInput *s, const Report *r)
{
    VirtQueue *q = &s->parent.queues[EVENTS];
    VirtqElement *chains[MAX_REPORT];
    unsigned n = 0;
    bool whole;

    do {
        while (n < r->n && (chains[n] = virtqueue_pop(q))) {
            if (chains[n++]->in_len < EVENT_SIZE) {
                hw_virtio_fail(&s->parent, "a buffer for events is too small");
            }
        }
    } while (n < r->n && virtqueue_arm(q));
    whole = n == r->n;
    if (n && !whole) {
        virtqueue_unpop(q, chains[0]);
    }
    for (unsigned i = 0; i < n; i++) {
        g_autofree VirtqElement *e = chains[i];

        if (whole) {
            virtqueue_push(q, e, virtq_iov_write(e->in, e->n_in, 0, r->events[i], EVENT_SIZE));
        }
    }
    return whole;
}

static void send_waiting(HwVirtioInput *s)
{
    while (s->count) {
        const Input *in = &s->queue[s->head];
        Report report;

        make_report(s, in, &report);
        if (!send_report(s, &report)) {
            break;
        }
        s->buttons = (uint8_t)in->v[3];
        s->head = (uint8_t)((s->head + 1) % WAITING);
        s->count--;
    }
    hw_virtio_publish(&s->parent, EVENTS);
}

/* ---- Status ---- */

static void take_status(HwVirtioInput *s, const VirtqElement *e)
{
    uint8_t event[EVENT_SIZE];
    uint16_t code;

    if (virtq_iov_read(e->out, e->n_out, 0, event, sizeof(event)) < sizeof(event)) {
        log_guest_error("%s: a status that is too short", model_of(s)->model);
        return;
    }
    code = bytes_get_le16(event + 2);
    if (bytes_get_le16(event) == EV_LED && code <= LED_SCROLLL) {
        uint8_t bit = (uint8_t)(1 << code);

        s->leds = bytes_get_le32(event + 4) ? s->leds | bit : s->leds & (uint8_t)~bit;
    }
}

static bool take_statuses(HwVirtioInput *s)
{
    VirtQueue *q = &s->parent.queues[STATUS];
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);

        if (e) {
            take_status(s, e);
            virtqueue_push(q, e, 0);
        } else {
            more = virtqueue_arm(q);
        }
    }
    hw_virtio_publish(&s->parent, STATUS);
    return more;
}

/* While the machine is stopped, so is the clock that goes on with this. */
static bool input_kick(HwVirtio *dev, unsigned n)
{
    HwVirtioInput *s = (HwVirtioInput *)dev;

    if (n == STATUS) {
        return take_statuses(s);
    }
    if (!vm_is_running()) {
        return true;
    }
    if (s->loaded) {
        s->loaded = false;
        release_all(s);
    }
    send_waiting(s);
    return false;
}

/* ---- Configuration (5.8.4) ---- */

/* Functions that fill the data return its size; 0: there is none. */
static uint8_t put_text(const char *text, uint8_t *data)
{
    size_t len = text ? MIN(strlen(text), (size_t)CFG_DATA_SIZE) : 0;

    memcpy(data, text ? text : "", len);
    return (uint8_t)len;
}

static uint8_t put_ids(const InputModel *m, uint8_t *data)
{
    bytes_put_le16(data, BUS_IS_VIRTUAL);
    bytes_put_le16(data + 2, VENDOR);
    bytes_put_le16(data + 4, m->product);
    bytes_put_le16(data + 6, 1); /* version */
    return 8;
}

static void set_bit(uint8_t *data, unsigned bit)
{
    data[bit / 8] |= (uint8_t)(1 << bit % 8);
}

static void put_keys(InputKind kind, uint8_t *data)
{
    for (unsigned i = 0; kind == INPUT_KEYBOARD && i < N_USAGES; i++) {
        if (key_codes[i]) {
            set_bit(data, key_codes[i]);
        }
    }
    for (unsigned i = 0; kind != INPUT_KEYBOARD && i < N_BUTTONS; i++) {
        set_bit(data, BTN_LEFT + i);
    }
}

static uint8_t put_codes(InputKind kind, uint8_t type, uint8_t *data)
{
    bool keyboard = kind == INPUT_KEYBOARD;
    uint8_t size = CFG_DATA_SIZE;

    if (type == EV_KEY) {
        put_keys(kind, data);
    } else if (type == EV_REP && keyboard) {
        data[0] = 1 << REP_DELAY | 1 << REP_PERIOD;
    } else if (type == EV_LED && keyboard) {
        data[0] = 1 << LED_NUML | 1 << LED_CAPSL | 1 << LED_SCROLLL;
    } else if (type == EV_ABS && kind == INPUT_ABSOLUTE) {
        data[0] = 1 << ABS_X | 1 << ABS_Y;
    } else if (type == EV_REL && !keyboard) {
        data[0] = kind == INPUT_RELATIVE ? 1 << REL_X | 1 << REL_Y : 0;
        set_bit(data, REL_WHEEL);
    }
    while (size && !data[size - 1]) {
        size--;
    }
    return size;
}

static uint8_t put_axis(InputKind kind, uint8_t axis, uint8_t *data)
{
    if (kind != INPUT_ABSOLUTE || axis > ABS_Y) {
        return 0;
    }
    bytes_put_le32(data + 4, INPUT_ABS_MAX); /* min, max, fuzz, flat, resolution */
    return 20;
}

static uint8_t put_selected(const HwVirtioInput *s, uint8_t *data)
{
    const InputModel *m = model_of(s);

    if (s->subsel && s->select != EV_BITS && s->select != ABS_INFO) {
        return 0;
    }
    switch (s->select) {
    case ID_NAME:
        return put_text(m->name, data);
    case ID_SERIAL:
        return put_text(s->serial, data);
    case ID_DEVIDS:
        return put_ids(m, data);
    case EV_BITS:
        return put_codes(m->kind, s->subsel, data);
    case ABS_INFO:
        return put_axis(m->kind, s->subsel, data);
    case PROP_BITS: /* of touch pads and the like */
    default:
        return 0;
    }
}

static void input_config_read(HwVirtio *dev, uint8_t *config)
{
    const HwVirtioInput *s = (HwVirtioInput *)dev;

    config[CFG_SELECT] = s->select;
    config[CFG_SUBSEL] = s->subsel;
    config[CFG_SIZE] = put_selected(s, config + CFG_DATA);
}

static void input_config_write(HwVirtio *dev, uint32_t offset, uint32_t value, unsigned size)
{
    HwVirtioInput *s = (HwVirtioInput *)dev;

    if (offset + size > CFG_SUBSEL + 1) {
        log_guest_error("%s: write at offset %u of the configuration space", model_of(s)->model,
                        offset);
    } else if (offset == CFG_SUBSEL) {
        s->subsel = (uint8_t)value;
    } else {
        s->select = (uint8_t)value;
        s->subsel = size > 1 ? (uint8_t)(value >> 8) : s->subsel;
    }
}

/* ---- The device object ---- */

static bool input_realize(HwDevice *object, GError **error)
{
    HwVirtioInput *s = (HwVirtioInput *)object;
    const InputModel *m = model_of(s);

    if (s->serial && strlen(s->serial) > CFG_DATA_SIZE) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: serial: longer than %d characters", m->model, CFG_DATA_SIZE);
        return false;
    }
    hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    s->input.kind = m->kind;
    s->input.name = m->name;
    s->input.key = key_event;
    s->input.pointer = pointer_event;
    s->input.opaque = s;
    input_add(&s->input);
    return true;
}

static void input_unrealize(HwDevice *object)
{
    input_remove(&((HwVirtioInput *)object)->input);
}

static void input_reset(HwDevice *object)
{
    HW_DEVICE_CLASS(hw_virtio_input_parent_class)->reset(object);
    ((HwVirtioInput *)object)->loaded = false;
}

static bool input_post_load(HwDevice *object, GError **error)
{
    HwVirtioInput *s = (HwVirtioInput *)object;

    if (s->head >= WAITING || s->count + count_down(s) > WAITING) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: waiting input out of range",
                    model_of(s)->model);
        return false;
    }
    s->loaded = true;
    return HW_DEVICE_CLASS(hw_virtio_input_parent_class)->post_load(object, error);
}

static const StateField input_state[] = {
    HW_FIELD(HwVirtioInput, select, STATE_U8, 0, "what the configuration space shows"),
    HW_FIELD(HwVirtioInput, subsel, STATE_U8, 0, "and of that"),
    HW_FIELD_ARRAY(HwVirtioInput, queue, STATE_U32, WAITING * 4, 0,
                   "input that waits: four numbers each"),
    HW_FIELD(HwVirtioInput, head, STATE_U8, 0, "the first of it"),
    HW_FIELD(HwVirtioInput, count, STATE_U8, 0, "how much of it"),
    HW_FIELD_ARRAY(HwVirtioInput, down, STATE_BYTES, N_USAGES / 8, 0, "keys that are down"),
    HW_FIELD(HwVirtioInput, buttons, STATE_U8, 0, "pointer's buttons, as reported"),
    HW_FIELD(HwVirtioInput, leds, STATE_U8, 0, "lights of the keyboard"),
    { 0 },
};

static const HwProp input_props[] = {
    HW_PROP(HwVirtioInput, serial, "serial", HW_PROP_STRING, 0, "serial number the guest sees"),
    { 0 },
};

static void hw_virtio_input_init(HwVirtioInput *s)
{
    (void)s;
}

static void hw_virtio_input_class_init(HwVirtioInputClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->realize = input_realize;
    dc->unrealize = input_unrealize;
    dc->reset = input_reset;
    dc->post_load = input_post_load;
    vc->device_id = DEVICE_ID;
    vc->config_size = CONFIG_SIZE;
    vc->config_read = input_config_read;
    vc->config_write = input_config_write;
    vc->kick = input_kick;
    hw_virtio_class_bind_state(vc, input_state);
}

/* ---- The three models ---- */

static void model_class_init(gpointer klass, gpointer data)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    ((HwVirtioInputClass *)klass)->model = data;
    dc->model = ((const InputModel *)data)->model;
    dc->desc = ((const InputModel *)data)->desc;
    dc->user_creatable = true;
    hw_virtio_class_bind_props(klass, input_props);
}

static GType register_model(const InputModel *model)
{
    const GTypeInfo info = {
        .class_size = sizeof(HwVirtioInputClass),
        .class_init = model_class_init,
        .class_data = model,
        .instance_size = sizeof(HwVirtioInput),
    };
    GType type = g_type_from_name(model->type);

    return type ? type : g_type_register_static(hw_virtio_input_get_type(), model->type, &info, 0);
}

GType hw_virtio_keyboard_get_type(void)
{
    static const InputModel model = { .type = "HwVirtioKeyboard",
                                      .model = "virtio-keyboard-device",
                                      .desc = "virtio keyboard",
                                      .name = "Menura virtio keyboard",
                                      .kind = INPUT_KEYBOARD,
                                      .product = 1 };

    return register_model(&model);
}

GType hw_virtio_mouse_get_type(void)
{
    static const InputModel model = { .type = "HwVirtioMouse",
                                      .model = "virtio-mouse-device",
                                      .desc = "virtio mouse",
                                      .name = "Menura virtio mouse",
                                      .kind = INPUT_RELATIVE,
                                      .product = 2 };

    return register_model(&model);
}

GType hw_virtio_tablet_get_type(void)
{
    static const InputModel model = { .type = "HwVirtioTablet",
                                      .model = "virtio-tablet-device",
                                      .desc = "virtio tablet: a pointer with absolute coordinates",
                                      .name = "Menura virtio tablet",
                                      .kind = INPUT_ABSOLUTE,
                                      .product = 3 };

    return register_model(&model);
}
