/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A shared folder as a driver sees it (tests/unit/virtio-driver.h), and what a hostile driver does to it. */
#include <glib/gstdio.h>
#include <string.h>
#include "fsdev/fsdev.h"
#include "hw/virtio/virtio-9p.h"
#include "softmmu/clock.h"
#include "tests/unit/virtio-hostile.h"

static Slot *folder_slot(void)
{
    g_autofree char *share = g_build_filename(driver_folder, "share", NULL);
    g_autofree char *text = g_strdup_printf("local,id=fs,path=%s,security_model=none", share);
    HwDevice *dev = hw_device_new(hw_virtio_9p_get_type(), NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir(share, 0700), ==, 0);
    g_assert_nonnull(fsdev_new(text, &error));
    g_assert_no_error(error);
    fsdev_set_lock(machine_lock, machine_unlock);
    g_assert_true(hw_device_set_prop(dev, "fsdev", "fs", &error));
    g_assert_true(hw_device_set_prop(dev, "mount_tag", "a-tag", &error));
    g_assert_true(hw_device_set_prop(dev, "packed", "on", &error));
    return slot_new(dev, false);
}

static void folder_slot_free(Slot *s)
{
    g_autofree char *share = g_build_filename(driver_folder, "share", NULL);
    g_autoptr(GDir) dir = g_dir_open(share, 0, NULL);
    const char *name;

    slot_free(s);
    fsdev_cleanup();
    while ((name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(share, name, NULL);

        g_remove(path);
    }
    g_rmdir(share);
}

/* A message of the 9P protocol at heap + 0x200, @len bytes behind its header; answered at heap + 0x1000. The answer's type. */
static uint8_t ask_9p(Queue *q, uint8_t type, const char *body, uint32_t len)
{
    const Buffer b[] = { { q->heap + 0x200, 7, false },
                         { q->heap + 0x207, len, false },
                         { q->heap + 0x1000, 7, true },
                         { q->heap + 0x1007, 0x800, true } };
    uint8_t *message = guest_ram + (q->heap + 0x200 - RAM_BASE);

    guest_put(q->heap + 0x200, 7 + len, 4);
    guest_put(q->heap + 0x204, type, 3);
    memcpy(message + 7, body, len);
    queue_add(q, b, 4);
    queue_kick(q);
    queue_wait_used(q, 1);
    return message[0xe04];
}

static void use_folder(Queue *q)
{
    static const char version[] = "\0\0\1\0\x08\0"
                                  "9P2000.L",
                      attach[] = "\1\0\0\0\377\377\377\377\0\0\0\0\0\0\0";
    const HwDeviceClass *dc = HW_DEVICE_GET_CLASS(q->slot->dev);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(ask_9p(q, 100, version, sizeof(version) - 1), ==, 101);
    g_assert_true(dc->can_save(q->slot->dev, &error));
    g_assert_cmpuint(ask_9p(q, 104, attach, sizeof(attach)), ==, 105);
    g_assert_cmpuint(ask_9p(q, 120, "\2\0\0\0", 4), ==, 7); /* no such fid */
    machine_lock();
    g_assert_false(dc->can_save(q->slot->dev, &error));
    machine_unlock();
    g_assert_nonnull(
        strstr(error->message, "virtio-9p-device: the guest has the folder 'a-tag' mounted"));
}

static void test_folder(void)
{
    Slot *s = folder_slot();
    Queue q;

    g_assert_cmpuint(slot_reg(s, DEVICE_ID), ==, 9);
    g_assert_cmpuint(slot_offered(s) & 1, ==, 1);
    g_assert_cmpuint(slot_reg(s, CONFIG), ==, 5 | 'a' << 16 | (uint32_t)'-' << 24);
    queue_start(&q, s, EVENT_IDX | INDIRECT_DESC);
    use_folder(&q);
    queue_start(&q, s, RING_PACKED); /* nothing is mounted after a reset */
    use_folder(&q);
    folder_slot_free(s);
}

/* Messages about a few files by a few fids. */
static void wild_9p(Queue *q)
{
    static const uint8_t types[] = { 12,  14,  14,  24,  26,  30,  32,  40,  50,  72,  76,  76, 100,
                                     104, 104, 108, 110, 110, 110, 116, 116, 118, 118, 120, 120 };
    uint32_t len = (uint32_t)g_test_rand_int_range(0, 40),
             room = (uint32_t)g_test_rand_int_range(hostile_one_in(64) ? 0 : 11, 900);
    uint64_t at = q->heap + 0x200 + (uint64_t)g_test_rand_int_range(0, 8) * 0x80;
    uint8_t *message = guest_ram + (at - RAM_BASE);
    Buffer b[] = { { at, 7 + len, false }, { q->heap + 0x1000, room, true } };

    guest_put(at, hostile_one_in(32) ? hostile_length() : 7 + len, 4);
    guest_put(at + 4, types[g_test_rand_int_range(0, G_N_ELEMENTS(types))], 3);
    for (unsigned i = 0; i < 40; i++) {
        message[7 + i] = hostile_one_in(3) ? (uint8_t)g_test_rand_int_range(0, 4) : 0;
    }
    if (message[4] == 100) {
        memcpy(message + 7,
               "\0\0\1\0\x08\0"
               "9P2000.L",
               14);
        guest_put(at, 21, 4);
        b[0].len = 21;
    } else if (message[4] == 104) {
        memset(message + 11, 255, 4);
        guest_put(at, 23, 4);
        b[0].len = 23;
    }
    b[0].addr = hostile_one_in(256) ? hostile_address() : b[0].addr;
    b[1].addr = hostile_one_in(256) ? hostile_address() : b[1].addr;
    queue_add(q, b, 2);
}

static void test_hostile_9p(void)
{
    Slot *s = folder_slot();
    Queue q;

    hostile_drive(s, 1, false, hostile_steps() / 2, wild_9p);
    queue_start(&q, s, 0);
    use_folder(&q);
    folder_slot_free(s);
}

int main(int argc, char **argv)
{
    driver_init(&argc, &argv);
    g_test_add_func("/virtio/folder", test_folder);
    g_test_add_func("/virtio/hostile/9p", test_hostile_9p);
    return driver_run();
}
