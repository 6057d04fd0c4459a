/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which device gets which input, and the names of keys. */
#include "ui/input.h"

#include <string.h>

static GPtrArray *devices;   /* of InputDevice *, in the order of their coming */
static InputDevice *pointer; /* chosen; NULL: the last one */
static int32_t at_x, at_y;   /* where an absolute pointer is */
static uint8_t pressed;

typedef struct Key {
    const char *name;
    uint8_t usage;
} Key;

/* HID Usage Tables 1.12, section 10. */
static const Key keys[] = {
    { "a", 0x04 },
    { "b", 0x05 },
    { "c", 0x06 },
    { "d", 0x07 },
    { "e", 0x08 },
    { "f", 0x09 },
    { "g", 0x0a },
    { "h", 0x0b },
    { "i", 0x0c },
    { "j", 0x0d },
    { "k", 0x0e },
    { "l", 0x0f },
    { "m", 0x10 },
    { "n", 0x11 },
    { "o", 0x12 },
    { "p", 0x13 },
    { "q", 0x14 },
    { "r", 0x15 },
    { "s", 0x16 },
    { "t", 0x17 },
    { "u", 0x18 },
    { "v", 0x19 },
    { "w", 0x1a },
    { "x", 0x1b },
    { "y", 0x1c },
    { "z", 0x1d },
    { "1", 0x1e },
    { "2", 0x1f },
    { "3", 0x20 },
    { "4", 0x21 },
    { "5", 0x22 },
    { "6", 0x23 },
    { "7", 0x24 },
    { "8", 0x25 },
    { "9", 0x26 },
    { "0", 0x27 },
    { "ret", 0x28 },
    { "esc", 0x29 },
    { "backspace", 0x2a },
    { "tab", 0x2b },
    { "spc", 0x2c },
    { "minus", 0x2d },
    { "equal", 0x2e },
    { "bracket_left", 0x2f },
    { "bracket_right", 0x30 },
    { "backslash", 0x31 },
    { "semicolon", 0x33 },
    { "apostrophe", 0x34 },
    { "grave_accent", 0x35 },
    { "comma", 0x36 },
    { "dot", 0x37 },
    { "slash", 0x38 },
    { "caps_lock", 0x39 },
    { "f1", 0x3a },
    { "f2", 0x3b },
    { "f3", 0x3c },
    { "f4", 0x3d },
    { "f5", 0x3e },
    { "f6", 0x3f },
    { "f7", 0x40 },
    { "f8", 0x41 },
    { "f9", 0x42 },
    { "f10", 0x43 },
    { "f11", 0x44 },
    { "f12", 0x45 },
    { "print", 0x46 },
    { "sysrq", 0x46 },
    { "scroll_lock", 0x47 },
    { "pause", 0x48 },
    { "insert", 0x49 },
    { "home", 0x4a },
    { "pgup", 0x4b },
    { "delete", 0x4c },
    { "end", 0x4d },
    { "pgdn", 0x4e },
    { "right", 0x4f },
    { "left", 0x50 },
    { "down", 0x51 },
    { "up", 0x52 },
    { "num_lock", 0x53 },
    { "kp_divide", 0x54 },
    { "kp_multiply", 0x55 },
    { "kp_subtract", 0x56 },
    { "kp_add", 0x57 },
    { "kp_enter", 0x58 },
    { "kp_1", 0x59 },
    { "kp_2", 0x5a },
    { "kp_3", 0x5b },
    { "kp_4", 0x5c },
    { "kp_5", 0x5d },
    { "kp_6", 0x5e },
    { "kp_7", 0x5f },
    { "kp_8", 0x60 },
    { "kp_9", 0x61 },
    { "kp_0", 0x62 },
    { "kp_decimal", 0x63 },
    { "less", 0x64 },
    { "compose", 0x65 },
    { "menu", 0x65 },
    { "kp_equals", 0x67 },
    { "ctrl", 0xe0 },
    { "shift", 0xe1 },
    { "alt", 0xe2 },
    { "meta_l", 0xe3 },
    { "ctrl_r", 0xe4 },
    { "shift_r", 0xe5 },
    { "alt_r", 0xe6 },
    { "meta_r", 0xe7 },
};

uint8_t input_key_find(const char *name, size_t len)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (strlen(keys[i].name) == len && !memcmp(keys[i].name, name, len)) {
            return keys[i].usage;
        }
    }
    return 0;
}

const char *const *input_key_names(void)
{
    static const char *names[G_N_ELEMENTS(keys) + 1];

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
        names[i] = keys[i].name;
    }
    return names;
}

/* ---- Devices ---- */

void input_add(InputDevice *dev)
{
    if (!devices) {
        devices = g_ptr_array_new();
    }
    g_ptr_array_add(devices, dev);
}

void input_remove(InputDevice *dev)
{
    g_ptr_array_remove(devices, dev);
    if (pointer == dev) {
        pointer = NULL;
    }
}

static InputDevice *last(bool is_pointer)
{
    for (unsigned i = devices ? devices->len : 0; i-- > 0;) {
        InputDevice *dev = g_ptr_array_index(devices, i);

        if ((dev->kind != INPUT_KEYBOARD) == is_pointer) {
            return dev;
        }
    }
    return NULL;
}

static InputDevice *current_pointer(void)
{
    return pointer ? pointer : last(true);
}

bool input_select_pointer(unsigned n)
{
    for (unsigned i = 0; devices && i < devices->len; i++) {
        InputDevice *dev = g_ptr_array_index(devices, i);

        if (dev->kind != INPUT_KEYBOARD && n-- == 0) {
            pointer = dev;
            return true;
        }
    }
    return false;
}

void input_print_pointers(GString *out)
{
    unsigned n = 0;

    for (unsigned i = 0; devices && i < devices->len; i++) {
        InputDevice *dev = g_ptr_array_index(devices, i);

        if (dev->kind != INPUT_KEYBOARD) {
            g_string_append_printf(out, "%c Mouse #%u: %s%s\n",
                                   dev == current_pointer() ? '*' : ' ', n++, dev->name,
                                   dev->kind == INPUT_ABSOLUTE ? " (absolute)" : "");
        }
    }
    if (!n) {
        g_string_append(out, "No mouse devices connected\n");
    }
}

/* ---- Events ---- */

bool input_send_key(uint8_t usage, bool down)
{
    InputDevice *dev = last(false);

    if (dev) {
        dev->key(dev->opaque, usage, down);
    }
    return dev != NULL;
}

bool input_send_move(int32_t x, int32_t y, int32_t wheel)
{
    InputDevice *dev = current_pointer();

    if (dev && dev->kind == INPUT_ABSOLUTE) {
        at_x = x = CLAMP(x, 0, INPUT_ABS_MAX);
        at_y = y = CLAMP(y, 0, INPUT_ABS_MAX);
    }
    if (dev) {
        dev->pointer(dev->opaque, x, y, wheel, pressed);
    }
    return dev != NULL;
}

bool input_send_buttons(uint8_t buttons)
{
    InputDevice *dev = current_pointer();
    bool absolute = dev && dev->kind == INPUT_ABSOLUTE;

    if (dev) {
        pressed = buttons;
        dev->pointer(dev->opaque, absolute ? at_x : 0, absolute ? at_y : 0, 0, buttons);
    }
    return dev != NULL;
}
