/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys and the pointer from the monitor: sendkey, mouse_move, mouse_button, mouse_set. */
#include "monitor/monitor-priv.h"

#include <stdio.h>
#include <string.h>
#include "softmmu/clock.h"
#include "softmmu/memory.h"
#include "ui/input.h"
#include "util/keyval.h"
#include "util/suggest.h"

enum { MAX_KEYS = 16, DEFAULT_HOLD_MS = 100, MAX_HOLD_MS = 60000 };

static uint8_t held[MAX_KEYS];
static unsigned n_held;
static Timer release_timer;

/* The last one pressed goes up first. */
static void release(void *opaque)
{
    while (n_held) {
        input_send_key(held[--n_held], false);
    }
}

static bool parse_keys(const char *text, uint8_t *keys, unsigned *n, GString *out)
{
    g_auto(GStrv) names = g_strsplit(text, "-", -1);

    for (*n = 0; names[*n]; ++*n) {
        g_autofree char *hint = NULL;

        if (*n == MAX_KEYS) {
            g_string_append_printf(out, "sendkey: more than %d keys\n", MAX_KEYS);
            return false;
        }
        keys[*n] = input_key_find(names[*n], strlen(names[*n]));
        if (!keys[*n]) {
            hint = suggest_text(names[*n], input_key_names());
            g_string_append_printf(out, "sendkey: unknown key: '%s'%s\n", names[*n], hint);
            return false;
        }
    }
    return true;
}

static void press(const uint8_t *keys, unsigned n, uint64_t ms, GString *out)
{
    if (!release_timer.fire) {
        timer_init(&release_timer, CLOCK_VIRTUAL, release, NULL);
    }
    release(NULL);
    for (unsigned i = 0; i < n; i++) {
        if (!input_send_key(keys[i], true)) {
            g_string_append(out, "sendkey: the machine has no keyboard\n");
            return;
        }
        held[n_held++] = keys[i];
    }
    timer_set(&release_timer, clock_now(CLOCK_VIRTUAL) + (int64_t)ms * 1000000);
}

void monitor_sendkey(MonitorCall *call)
{
    g_auto(GStrv) words = g_strsplit(call->args, " ", 2);
    uint64_t ms = DEFAULT_HOLD_MS;
    uint8_t keys[MAX_KEYS];
    unsigned n;

    if (!words[0] || !*words[0]) {
        g_string_append(call->out, "sendkey: the keys are missing\n");
        return;
    }
    if (words[1] && (!keyval_parse_uint(g_strstrip(words[1]), &ms) || ms > MAX_HOLD_MS)) {
        g_string_append_printf(call->out, "sendkey: '%s' is no time in ms up to %d\n", words[1],
                               MAX_HOLD_MS);
        return;
    }
    if (parse_keys(words[0], keys, &n, call->out)) {
        machine_lock();
        press(keys, n, ms, call->out);
        machine_unlock();
    }
}

static void no_pointer(MonitorCall *call, const char *command)
{
    g_string_append_printf(call->out, "%s: the machine has no pointer\n", command);
}

void monitor_mouse_move(MonitorCall *call)
{
    int x, y, wheel = 0, end = 0;
    bool ok;

    if (sscanf(call->args, "%d %d%n %d%n", &x, &y, &end, &wheel, &end) < 2 || call->args[end]) {
        g_string_append(call->out, "mouse_move: expected two numbers or three\n");
        return;
    }
    machine_lock();
    ok = input_send_move(x, y, wheel);
    machine_unlock();
    if (!ok) {
        no_pointer(call, "mouse_move");
    }
}

void monitor_mouse_button(MonitorCall *call)
{
    uint64_t mask;
    bool ok;

    if (!keyval_parse_uint(call->args, &mask) || mask > 7) {
        g_string_append(call->out, "mouse_button: expected a number from 0 to 7\n");
        return;
    }
    machine_lock();
    ok = input_send_buttons((uint8_t)mask);
    machine_unlock();
    if (!ok) {
        no_pointer(call, "mouse_button");
    }
}

void monitor_mouse_set(MonitorCall *call)
{
    uint64_t n;
    bool ok;

    ok = keyval_parse_uint(call->args, &n) && n <= UINT8_MAX;
    if (ok) {
        machine_lock();
        ok = input_select_pointer((unsigned)n);
        machine_unlock();
    }
    if (!ok) {
        g_string_append_printf(call->out, "mouse_set: '%s' is no pointer's number\n", call->args);
    }
}
