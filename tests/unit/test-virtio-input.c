/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keyboard, mouse and tablet as a driver sees them (tests/unit/virtio-driver.h), and what a hostile driver does to them. */
#include <glib.h>
#include <string.h>
#include "hw/virtio/virtio-input.h"
#include "softmmu/clock.h"
#include "tests/unit/virtio-hostile.h"
#include "ui/input.h"

enum { EV_SYN = 0, EV_KEY = 1, EV_REL = 2, EV_ABS = 3, EV_LED = 0x11, BUTTON = 0x110 };

typedef struct Events {
    Queue q;
    unsigned given, taken;
} Events;

static void start_input(Slot *s, Events *events, Queue *status, uint64_t features)
{
    slot_negotiate(s, VERSION_1 | features);
    *events = (Events){ 0 };
    queue_enable(&events->q, s, 0, QUEUE);
    queue_enable(status, s, 1, QUEUE);
    events->q.packed = status->packed = features & RING_PACKED;
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void give_buffers(Events *events, unsigned n)
{
    for (; n; n--) {
        uint64_t at = events->q.heap + 8 * (events->given++ % QUEUE);

        guest_put(at, UINT64_MAX, 8);
        queue_add(&events->q, (Buffer[]){ { at, 8, true } }, 1);
    }
    queue_kick(&events->q);
}

static const uint8_t *next_event(Events *events)
{
    queue_wait_next(&events->q);
    return guest_ram + (events->q.heap - RAM_BASE) + 8 * (events->taken++ % QUEUE);
}

static void assert_event(Events *events, unsigned type, unsigned code, int32_t value)
{
    uint64_t expected =
        GUINT64_TO_LE(type | (uint64_t)code << 16 | (uint64_t)(uint32_t)value << 32);

    g_assert_cmpmem(next_event(events), 8, &expected, 8);
}

static void assert_nothing_came(const Events *events)
{
    uint64_t last = UINT64_MAX;

    driver_settle();
    g_assert_cmpmem(guest_ram + (events->q.heap - RAM_BASE) + 8 * (events->taken % QUEUE), 8, &last,
                    8);
}

static void press(uint8_t usage, bool down)
{
    machine_lock();
    g_assert_true(input_send_key(usage, down));
    machine_unlock();
}

static void move(int32_t x, int32_t y, int32_t wheel)
{
    machine_lock();
    g_assert_true(input_send_move(x, y, wheel));
    machine_unlock();
}

static void push_buttons(uint8_t buttons)
{
    machine_lock();
    g_assert_true(input_send_buttons(buttons));
    machine_unlock();
}

static uint8_t config_byte(const Slot *s, unsigned offset)
{
    uint64_t value;

    g_assert_cmpint(memory_load(s->base + CONFIG + offset, 1, &value), ==, MEM_OK);
    return (uint8_t)value;
}

/* The data that the configuration space shows; its size. */
static unsigned select_config(const Slot *s, uint8_t select, uint8_t subsel, uint8_t *data)
{
    unsigned size;

    memory_store(s->base + CONFIG, 1, select);
    memory_store(s->base + CONFIG + 1, 1, subsel);
    size = config_byte(s, 2);
    g_assert_cmpuint(size, <=, 128);
    memset(data, 0, 128);
    for (unsigned i = 0; i < size; i++) {
        data[i] = config_byte(s, 8 + i);
    }
    return size;
}

static Slot *input_slot(GType type)
{
    HwDevice *dev = hw_device_new(type, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_true(hw_device_set_prop(dev, "serial", "SN-7", &error));
    g_assert_true(hw_device_set_prop(dev, "packed", "on", &error));
    return slot_new(dev, false);
}

static void test_input_config(void)
{
    const uint8_t range[20] = { [4] = 0xff, [5] = 0x7f };
    Slot *s = input_slot(hw_virtio_tablet_get_type());
    uint8_t data[128];

    g_assert_cmpuint(slot_reg(s, DEVICE_ID), ==, 18);
    g_assert_cmpuint(config_byte(s, 2), ==, 0);
    g_assert_cmpmem(data, select_config(s, 1, 0, data), "Menura virtio tablet", 20);
    g_assert_cmpmem(data, select_config(s, 2, 0, data), "SN-7", 4);
    g_assert_cmpuint(select_config(s, 2, 1, data), ==, 0);
    g_assert_cmpuint(select_config(s, 3, 0, data), ==, 8);
    g_assert_cmpuint(select_config(s, 0x10, 0, data), ==, 0);
    g_assert_cmpuint(select_config(s, 0x11, EV_KEY, data), ==, 0x110 / 8 + 1);
    g_assert_cmphex(data[0x110 / 8], ==, 0x1f);
    g_assert_cmpuint(select_config(s, 0x11, EV_ABS, data), ==, 1);
    g_assert_cmpuint(select_config(s, 0x11, EV_LED, data), ==, 0);
    g_assert_cmpmem(data, select_config(s, 0x12, 1, data), range, 20);
    g_assert_cmpuint(select_config(s, 0x12, 2, data), ==, 0);
    g_assert_cmpuint(select_config(s, 0xff, 0xff, data), ==, 0);
    memory_store(s->base + CONFIG + 2, 1, 5); /* only the first two are writable */
    memory_store(s->base + CONFIG, 4, 1);
    g_assert_cmpuint(config_byte(s, 0), ==, 0xff);
    slot_free(s);
    s = input_slot(hw_virtio_keyboard_get_type());
    g_assert_cmpuint(select_config(s, 0x11, EV_KEY, data), ==, 16);
    g_assert_true(data[30 / 8] >> 30 % 8 & 1); /* A */
    g_assert_cmpuint(select_config(s, 0x11, EV_LED, data), ==, 1);
    g_assert_cmphex(data[0], ==, 7);
    g_assert_cmpuint(select_config(s, 0x11, EV_REL, data), ==, 0);
    slot_free(s);
}

static void use_keyboard(Slot *s, uint64_t features)
{
    const uint64_t light = GUINT64_TO_LE(EV_LED | 1ull << 16 | 1ull << 32);
    Events events;
    Queue status;

    start_input(s, &events, &status, features);
    for (unsigned i = 0; i < 2 * QUEUE; i++) {
        bool down = i % 2 == 0;

        press(0x04, down);
        press(0x04, down); /* that is no news */
        give_buffers(&events, 1);
        assert_nothing_came(&events); /* whole reports or none */
        give_buffers(&events, 1);
        assert_event(&events, EV_KEY, 30, down);
        assert_event(&events, EV_SYN, 0, 0);
    }
    press(0x32, true); /* not on this keyboard */
    give_buffers(&events, 2);
    assert_nothing_came(&events);
    memcpy(guest_ram + (status.heap - RAM_BASE), &light, 8);
    queue_add(&status, (Buffer[]){ { status.heap, 8, false } }, 1);
    queue_add(&status, (Buffer[]){ { status.heap, 4, false } }, 1); /* too short: ignored */
    queue_kick(&status);
    queue_wait_used(&status, 2);
}

static void test_keyboard(void)
{
    Slot *s = input_slot(hw_virtio_keyboard_get_type());

    use_keyboard(s, 0);
    use_keyboard(s, EVENT_IDX | INDIRECT_DESC);
    use_keyboard(s, RING_PACKED);
    use_keyboard(s, RING_PACKED | EVENT_IDX);
    slot_free(s);
}

/* Far more is typed than a driver without buffers can be told: what it is told then leaves no key down. */
static void test_stuck_keys(void)
{
    Slot *s = input_slot(hw_virtio_keyboard_get_type());
    bool down[256] = { false };
    unsigned n_down = 0, n_seen = 0;
    Events events;
    Queue status;

    start_input(s, &events, &status, 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned usage = 4; usage < 0x60; usage++) {
            press((uint8_t)usage, true);
        }
        for (unsigned usage = 4; usage < 0x60; usage++) {
            press((uint8_t)usage, false);
        }
    }
    give_buffers(&events, 2);
    for (; n_seen == 0 || n_down; n_seen++) {
        const uint8_t *e = next_event(&events);

        g_assert_cmpuint(e[0], ==, EV_KEY);
        g_assert_cmpuint(down[e[2]], !=, e[4]);
        down[e[2]] = e[4];
        n_down += e[4] ? 1 : -1u;
        g_assert_cmpuint(*next_event(&events), ==, EV_SYN);
        give_buffers(&events, 2);
    }
    g_assert_cmpuint(n_seen, ==, 64);
    assert_nothing_came(&events);
    slot_free(s);
}

/* A key that is down in a snapshot is released by nobody else. */
static void test_input_state(void)
{
    Slot *s = input_slot(hw_virtio_keyboard_get_type());
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(s->dev);
    g_autoptr(GByteArray) saved = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    Events events;
    Queue status;

    start_input(s, &events, &status, 0);
    give_buffers(&events, 8);
    press(0x28, true);
    assert_event(&events, EV_KEY, 28, 1);
    assert_event(&events, EV_SYN, 0, 0);
    machine_lock();
    state_save(s->dev, dc->state, saved);
    g_assert_true(state_load(s->dev, dc->state, saved->data, saved->len, &error));
    g_assert_true(dc->post_load(s->dev, &error));
    machine_unlock();
    assert_event(&events, EV_KEY, 28, 0);
    assert_event(&events, EV_SYN, 0, 0);
    slot_free(s);
}

static void test_pointers(void)
{
    Slot *s = input_slot(hw_virtio_mouse_get_type());
    Events events;
    Queue status;

    start_input(s, &events, &status, 0);
    give_buffers(&events, 3);
    move(100000, 0, 0);
    assert_event(&events, EV_REL, 0, 100000);
    assert_event(&events, EV_SYN, 0, 0);
    move(3, -5, 0); /* wait, and are joined */
    move(4, -1, 2);
    push_buttons(1);
    push_buttons(4);
    push_buttons(0);
    assert_nothing_came(&events);
    give_buffers(&events, 32);
    assert_event(&events, EV_REL, 0, 7);
    assert_event(&events, EV_REL, 1, -6);
    assert_event(&events, EV_REL, 8, 2);
    assert_event(&events, EV_SYN, 0, 0);
    assert_event(&events, EV_KEY, BUTTON, 1);
    assert_event(&events, EV_SYN, 0, 0);
    assert_event(&events, EV_KEY, BUTTON, 0);
    assert_event(&events, EV_KEY, BUTTON + 2, 1);
    assert_event(&events, EV_SYN, 0, 0);
    assert_event(&events, EV_KEY, BUTTON + 2, 0);
    assert_event(&events, EV_SYN, 0, 0);
    slot_free(s);
    s = input_slot(hw_virtio_tablet_get_type());
    start_input(s, &events, &status, 0);
    give_buffers(&events, 8);
    move(5, 100000, -1);
    assert_event(&events, EV_ABS, 0, 5);
    assert_event(&events, EV_ABS, 1, 0x7fff);
    assert_event(&events, EV_REL, 8, -1);
    assert_event(&events, EV_SYN, 0, 0);
    slot_free(s);
}

/* Buffers for events, and events. */
static void wild_input(Queue *q)
{
    const Buffer b = { hostile_one_in(64) ? hostile_address() : q->heap + 8 * q->free_desc,
                       hostile_one_in(64) ? hostile_length() : 8,
                       hostile_one_in(64) ? q->n == 1 : q->n == 0 };

    if (hostile_one_in(4)) {
        queue_add(q, &b, 1);
    }
    machine_lock();
    input_send_key((uint8_t)g_test_rand_int_range(0, 256), hostile_one_in(2));
    input_send_move(g_test_rand_int(), g_test_rand_int(), g_test_rand_int());
    input_send_buttons((uint8_t)g_test_rand_int());
    machine_unlock();
}

static void test_hostile_input(void)
{
    GType types[] = { hw_virtio_keyboard_get_type(), hw_virtio_mouse_get_type(),
                      hw_virtio_tablet_get_type() };

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        Slot *s = input_slot(types[i]);

        hostile_drive(s, 2, false, hostile_steps() / 3, wild_input);
        slot_free(s);
    }
}

int main(int argc, char **argv)
{
    driver_init(&argc, &argv);
    g_test_add_func("/virtio/input/config", test_input_config);
    g_test_add_func("/virtio/input/keyboard", test_keyboard);
    g_test_add_func("/virtio/input/stuck-keys", test_stuck_keys);
    g_test_add_func("/virtio/input/state", test_input_state);
    g_test_add_func("/virtio/input/pointers", test_pointers);
    g_test_add_func("/virtio/hostile/input", test_hostile_input);
    return driver_run();
}
