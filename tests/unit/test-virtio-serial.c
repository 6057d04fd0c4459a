/* SPDX-License-Identifier: GPL-2.0-or-later */
/* virtio-serial as a driver sees it (tests/unit/virtio-driver.h): a console, ports, and what a hostile driver does to them. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "chardev/chardev.h"
#include "hw/virtio/virtio-serial.h"
#include "softmmu/clock.h"
#include "tests/unit/virtio-hostile.h"

/* A console device with a port @type on the back end "con". */
static Slot *serial_slot(GType type, const char *name)
{
    HwDevice *port = hw_device_new(type, NULL);
    Slot *s = slot_new(hw_device_new(hw_virtio_serial_get_type(), NULL), false);
    g_autoptr(GError) error = NULL;

    g_assert_true(hw_device_set_prop(port, "chardev", "con", &error));
    g_assert_true(!name || hw_device_set_prop(port, "name", name, &error));
    machine_lock();
    driver_plug(port, "virtio-serial-bus");
    hw_devices_reset();
    machine_unlock();
    return s;
}

static void test_console(void)
{
    g_autofree char *base = g_build_filename(driver_folder, "con", NULL),
                    *in = g_strconcat(base, ".in", NULL);
    g_autofree char *out = g_strconcat(base, ".out", NULL),
                    *spec = g_strconcat("pipe,path=", base, NULL);
    g_autoptr(GError) error = NULL;
    Queue rx, tx;
    Chardev *chr;
    Slot *s;
    int in_fd, out_fd;

    g_assert_true(mkfifo(in, 0600) == 0 && mkfifo(out, 0600) == 0);
    in_fd = open(in, O_RDWR);
    out_fd = open(out, O_RDWR);
    g_assert_true(chardev_new("con", spec, &chr, &error));
    g_assert_no_error(error);
    s = serial_slot(hw_virtconsole_get_type(), NULL);
    slot_negotiate(s, VERSION_1 | 1 << 2);
    queue_enable(&rx, s, 0, 8);
    queue_enable(&tx, s, 1, 8);
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    memcpy(guest_ram + (tx.heap - RAM_BASE), "hello", 5);
    queue_add(&tx, (Buffer[]){ { tx.heap, 2, false }, { tx.heap + 2, 3, false } }, 2);
    queue_kick(&tx);
    queue_wait_used(&tx, 1);
    slot_set_reg(s, CONFIG + 8, '!');
    host_expect(out_fd, "hello!");
    /* Input of five bytes for a buffer of three, then another. */
    g_assert_cmpint(write(in_fd, "abcde", 5), ==, 5);
    queue_add(&rx, (Buffer[]){ { rx.heap, 3, true } }, 1);
    queue_kick(&rx);
    queue_wait_used(&rx, 1);
    g_assert_cmpmem(guest_ram + (rx.heap - RAM_BASE), 3, "abc", 3);
    queue_add(&rx, (Buffer[]){ { rx.heap, 3, true } }, 1);
    queue_kick(&rx);
    queue_wait_used(&rx, 1);
    g_assert_cmpmem(guest_ram + (rx.heap - RAM_BASE), 3, "dec", 3);
    g_assert_cmpuint(guest_get16(rx.used + 4 + 8 + 4), ==, 2);
    slot_free(s);
    close(in_fd);
    close(out_fd);
    chardev_cleanup();
    g_unlink(in);
    g_unlink(out);
}

/* A message of the driver, and what the device answers to it, without and with waiting for a buffer. */
static void control(Queue *tx, unsigned id, unsigned event, unsigned value)
{
    guest_put(tx->heap, id, 4);
    guest_put(tx->heap + 4, event, 2);
    guest_put(tx->heap + 6, value, 2);
    queue_add(tx, (Buffer[]){ { tx->heap, 8, false } }, 1);
    queue_kick(tx);
    queue_wait_used(tx, 1);
}

static void assert_message(Queue *rx, unsigned id, unsigned event, unsigned value)
{
    uint64_t expected = GUINT64_TO_LE((uint64_t)id | (uint64_t)event << 32 | (uint64_t)value << 48);

    queue_add(rx, (Buffer[]){ { rx->heap, 64, true } }, 1);
    queue_kick(rx);
    queue_wait_used(rx, 1);
    g_assert_cmpmem(guest_ram + (rx->heap - RAM_BASE), 8, &expected, 8);
}

static void test_ports(void)
{
    enum { PORT_ADD = 1, READY = 0, PORT_READY = 3, PORT_OPEN = 6, PORT_NAME = 7 };
    g_autoptr(GError) error = NULL;
    Queue rx, control_rx, control_tx;
    Chardev *chr;
    Slot *s;

    g_assert_true(chardev_new("con", "null", &chr, &error));
    g_assert_no_error(error);
    s = serial_slot(hw_virtserialport_get_type(), "org.example.port");
    slot_negotiate(s, VERSION_1 | 1 << 1);
    queue_enable(&control_rx, s, 2, 8);
    queue_enable(&control_tx, s, 3, 8);
    queue_enable(&rx, s, 4, 8);
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    control(&control_tx, 0, READY, 1);
    assert_message(&control_rx, 1, PORT_ADD, 1);
    control(&control_tx, 1, PORT_READY, 1);
    assert_message(&control_rx, 1, PORT_NAME, 1);
    g_assert_cmpstr((char *)guest_ram + (control_rx.heap + 8 - RAM_BASE), ==, "org.example.port");
    assert_message(&control_rx, 1, PORT_OPEN, 1);
    control(&control_tx, 7, PORT_READY, 1); /* there is no such port */
    control(&control_tx, 1, PORT_OPEN, 1);
    control(&control_tx, 1, 0xffff, 1);
    slot_free(s);
    chardev_cleanup();
}

static void test_hostile_ports(void)
{
    g_autoptr(GError) error = NULL;
    Chardev *chr;
    Slot *s;

    g_assert_true(chardev_new("con", "null", &chr, &error));
    s = serial_slot(hw_virtserialport_get_type(), "a-port");
    hostile_drive(s, 4, false, hostile_steps(), hostile_add_chain);
    slot_free(s);
    chardev_cleanup();
}

int main(int argc, char **argv)
{
    driver_init(&argc, &argv);
    g_test_add_func("/virtio/console", test_console);
    g_test_add_func("/virtio/ports", test_ports);
    g_test_add_func("/virtio/hostile/ports", test_hostile_ports);
    return driver_run();
}
