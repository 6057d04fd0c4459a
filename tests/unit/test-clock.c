/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks and timers: order, cancelling, re-arming from callbacks and other threads, precision, and
 * CLOCK_VIRTUAL standing still while the machine is stopped. Also the state tables, whose timers
 * clock.c serves.
 */
#include "softmmu/clock.h"
#include <string.h>
#include "softmmu/memory.h"
#include "util/state.h"

enum { MS = 1000000 };

static int64_t fired_at[16];
static unsigned n_fired;
static Timer timers[16];

static void note(void *opaque)
{
    g_assert_true(machine_lock_held());
    fired_at[n_fired++] = clock_now(CLOCK_HOST);
}

static void run_for(int64_t ns)
{
    int64_t end = clock_now(CLOCK_HOST) + ns;

    while (clock_now(CLOCK_HOST) < end) {
        g_main_context_iteration(NULL, FALSE);
    }
    while (g_main_context_iteration(NULL, FALSE)) {} /* the host may have run others all the time */
}

static void test_order(void)
{
    static unsigned order[16];
    int64_t now = clock_now(CLOCK_HOST);

    n_fired = 0;
    for (unsigned i = 0; i < 16; i++) {
        order[i] = i;
        timer_init(&timers[i], CLOCK_HOST, note, &order[i]);
        g_assert_false(timer_is_armed(&timers[i]));
        timer_set(&timers[i], now + (int64_t)((i * 7) % 16 + 1) * MS);
    }
    timer_cancel(&timers[3]);
    timer_set(&timers[5], now + 2 * MS); /* replaced */
    run_for(25 * MS);
    g_assert_cmpuint(n_fired, ==, 15);
    for (unsigned i = 1; i < n_fired; i++) {
        g_assert_cmpint(fired_at[i], >=, fired_at[i - 1]);
    }
    for (unsigned i = 0; i < 16; i++) {
        g_assert_false(timer_is_armed(&timers[i]));
    }
}

static void test_precision(void)
{
    int64_t best = INT64_MAX;

    for (unsigned i = 0; i < 10; i++) {
        int64_t deadline = clock_now(CLOCK_HOST) + 2 * MS;

        n_fired = 0;
        timer_init(&timers[0], CLOCK_HOST, note, NULL);
        timer_set(&timers[0], deadline);
        while (!n_fired) {
            g_main_context_iteration(NULL, TRUE);
        }
        g_assert_cmpint(fired_at[0], >=, deadline);
        best = MIN(best, fired_at[0] - deadline);
    }
    g_test_message("best lateness %" G_GINT64_FORMAT " ns", best);
    g_assert_cmpint(best, <, 20 * MS); /* a loaded machine may be late every time */
}

static void test_virtual_stops(void)
{
    int64_t a, b;

    clock_set_running(false);
    a = clock_now(CLOCK_VIRTUAL);
    timer_init(&timers[0], CLOCK_VIRTUAL, note, NULL);
    timer_set(&timers[0], a + MS);
    n_fired = 0;
    run_for(5 * MS);
    g_assert_cmpint(clock_now(CLOCK_VIRTUAL), ==, a);
    g_assert_cmpuint(n_fired, ==, 0);
    g_assert_cmpint(clock_next_virtual_deadline(), ==, a + MS);
    clock_set_running(true);
    b = clock_now(CLOCK_VIRTUAL);
    g_assert_cmpint(b, >=, a);
    run_for(5 * MS);
    g_assert_cmpuint(n_fired, ==, 1);
    g_assert_cmpint(clock_next_virtual_deadline(), ==, -1);
    clock_set_running(false);
}

static unsigned n_again;

static void set_again(void *opaque)
{
    if (++n_again < 50) {
        timer_set(opaque, 0); /* always in the past: must not starve the main loop */
    }
}

static void test_past(void)
{
    Timer t;
    unsigned turns = 0;

    timer_init(&t, CLOCK_HOST, set_again, &t);
    timer_set(&t, -5);
    while (n_again < 50) {
        g_main_context_iteration(NULL, FALSE);
        turns++;
    }
    g_assert_cmpuint(turns, >=, 50);
}

static void fired_in_thread(void *opaque)
{
    ++*(unsigned *)opaque;
}

static gpointer set_from_thread(gpointer data)
{
    for (unsigned i = 0; i < 2000; i++) {
        timer_set(data, clock_now(CLOCK_HOST) + 50000);
        if (i % 3 == 0) {
            timer_cancel(data);
        }
    }
    timer_set(data, clock_now(CLOCK_HOST));
    return NULL;
}

static void test_threads(void)
{
    GThread *threads[4];
    Timer t[4];
    unsigned count[4] = { 0 };

    for (unsigned i = 0; i < 4; i++) {
        timer_init(&t[i], CLOCK_HOST, fired_in_thread, &count[i]);
        threads[i] = g_thread_new("setter", set_from_thread, &t[i]);
    }
    run_for(50 * MS);
    for (unsigned i = 0; i < 4; i++) {
        g_thread_join(threads[i]);
    }
    run_for(5 * MS);
    for (unsigned i = 0; i < 4; i++) {
        g_assert_cmpuint(count[i], >, 0);
        g_assert_false(timer_is_armed(&t[i]));
    }
}

/* ---- State tables ---- */

typedef struct Thing {
    bool flag;
    uint8_t bytes[5];
    uint16_t half[3];
    uint32_t word;
    uint64_t kept;
    Timer timer;
} Thing;

static const StateField thing_state[] = {
    { .name = "flag", .offset = offsetof(Thing, flag), .count = 1, .type = STATE_BOOL, .reset = 1 },
    { .name = "bytes", .offset = offsetof(Thing, bytes), .count = 5, .type = STATE_BYTES },
    { .name = "half",
      .offset = offsetof(Thing, half),
      .count = 3,
      .type = STATE_U16,
      .reset = 0x1234 },
    { .name = "word", .offset = offsetof(Thing, word), .count = 1, .type = STATE_U32, .reset = 7 },
    { .name = "kept",
      .offset = offsetof(Thing, kept),
      .count = 1,
      .type = STATE_U64,
      .keep = true },
    { .name = "timer", .offset = offsetof(Thing, timer), .count = 1, .type = STATE_TIMER },
    {},
};

static void test_state(void)
{
    Thing a = { .bytes = "abcd", .kept = 0x1122334455667788 }, b = { 0 };
    g_autoptr(GByteArray) saved = g_byte_array_new(), again = g_byte_array_new();
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GError) error = NULL;

    timer_init(&a.timer, CLOCK_VIRTUAL, note, NULL);
    timer_init(&b.timer, CLOCK_VIRTUAL, note, NULL);
    state_reset(&a, thing_state);
    g_assert_true(a.flag && a.half[2] == 0x1234 && a.word == 7 && a.bytes[0] == 0 &&
                  a.kept == 0x1122334455667788);
    memcpy(a.bytes, "wxyz", 5);
    a.half[1] = 9;
    timer_set(&a.timer, INT64_MAX / 4);
    state_save(&a, thing_state, saved);
    g_assert_cmpuint(saved->len, ==, state_size(thing_state));
    g_assert_cmpuint(saved->len, ==, 1 + 5 + 6 + 4 + 8 + 8);
    g_assert_true(state_load(&b, thing_state, saved->data, saved->len, NULL));
    state_save(&b, thing_state, again);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    g_assert_cmpint(b.timer.deadline, ==, INT64_MAX / 4);
    g_assert_false(state_load(&b, thing_state, saved->data, saved->len - 1, &error));
    g_assert_nonnull(error);
    state_print(&a, thing_state, text);
    g_assert_nonnull(strstr(text->str, "half = 0x1234 0x9 0x1234\n"));
    timer_cancel(&a.timer);
    timer_cancel(&b.timer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    clock_init();
    g_test_add_func("/clock/order", test_order);
    g_test_add_func("/clock/precision", test_precision);
    g_test_add_func("/clock/virtual-stops", test_virtual_stops);
    g_test_add_func("/clock/past", test_past);
    g_test_add_func("/clock/threads", test_threads);
    g_test_add_func("/state/tables", test_state);
    return g_test_run();
}
