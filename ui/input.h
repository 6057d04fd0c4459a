/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input: from whoever has a keyboard and a pointer (the monitor's sendkey and mouse_*; later a window) to the guest's devices. Keys are numbered
 * as in
 * the keyboard page of the HID Usage Tables, and have QEMU's names.
 *
 * Each kind of event goes to one device: keys to the keyboard that came last, the pointer to the last one or to the one chosen by
 * input_select_pointer().
 *
 * All functions: machine lock held.
 */
#ifndef UI_INPUT_H
#define UI_INPUT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { INPUT_ABS_MAX = 0x7fff };
enum { INPUT_BUTTON_LEFT = 1, INPUT_BUTTON_RIGHT = 2, INPUT_BUTTON_MIDDLE = 4 };

typedef enum InputKind { INPUT_KEYBOARD, INPUT_RELATIVE, INPUT_ABSOLUTE } InputKind;

/* A device, embedded in its owner. */
typedef struct InputDevice {
    InputKind kind;
    const char *name;
    void (*key)(void *opaque, uint8_t usage, bool down);
    /* A pointer's: moves by or to @x, @y (right and down), the wheel by @wheel (away from the user), @buttons are pressed now. */
    void (*pointer)(void *opaque, int32_t x, int32_t y, int32_t wheel, uint8_t buttons);
    void *opaque;
} InputDevice;

void input_add(InputDevice *dev);
void input_remove(InputDevice *dev);

/* False: there is no keyboard. */
bool input_send_key(uint8_t usage, bool down);
/* For a relative pointer steps, for an absolute one a place from 0 to INPUT_ABS_MAX (clamped). False: there is no pointer. */
bool input_send_move(int32_t x, int32_t y, int32_t wheel);
bool input_send_buttons(uint8_t buttons);
/* The @n-th pointer (from 0) gets what is sent. False: there is none such. */
bool input_select_pointer(unsigned n);
/* "info mice". */
void input_print_pointers(GString *out);

/* The number of a key ("a", "ctrl", "f1", "ret"), or 0. */
uint8_t input_key_find(const char *name, size_t len);
/* All names, NULL at the end. */
const char *const *input_key_names(void);

#endif
