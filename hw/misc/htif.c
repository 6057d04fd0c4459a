/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * HTIF: the guest writes a command to tohost (device in bits 63-56, command in 55-48, payload
 * below) and reads answers in fromhost. Device 0 ends the run (payload odd: status in payload >> 1)
 * or points to a system call of the proxy kernel's convention, of which exit and writes to the
 * console are served. Device 1 is the console: 0 reads a character, 1 writes one.
 *
 * Test suites write tohost in halves, and old ones only the low half over and over: a command is
 * taken when the high half comes, or when the low half comes a second time.
 */
#include "hw/misc/htif.h"
#include <inttypes.h>
#include <string.h>
#include "softmmu/runstate.h"
#include "util/log.h"

enum {
    DEV_SYSCALL = 0,
    DEV_CONSOLE = 1,
    CMD_GETC = 0,
    CMD_PUTC = 1,
    ANSWER = 0x100,
    SYS_WRITE = 64,
    SYS_EXIT = 93,
    MAX_WRITE = 64 << 10,
    FIFO = 64,
};

typedef struct HwHtif {
    HwDevice parent;
    MemoryRegion tohost_mr, fromhost_mr;
    Chardev *chr;
    uint64_t tohost, fromhost;
    bool low_written; /* half a command is there */
    bool wants_char;
    uint8_t fifo[FIFO];
    uint8_t fifo_len;
} HwHtif;

typedef struct HwHtifClass {
    HwDeviceClass parent;
} HwHtifClass;

G_DEFINE_TYPE(HwHtif, hw_htif, HW_TYPE_DEVICE)

static void answer(HwHtif *s, unsigned device, unsigned command, uint64_t payload)
{
    s->fromhost = (uint64_t)device << 56 | (uint64_t)command << 48 | payload;
}

static void end_run(uint64_t status)
{
    /* A process has eight bits for it; a large failure must not look like success. */
    vm_request_shutdown((int)MIN(status, 255));
}

static int64_t proxy_write(HwHtif *s, uint64_t addr, uint64_t len)
{
    g_autofree char *buf = NULL;

    if (len > MAX_WRITE) {
        log_guest_error("htif: write of %" PRIu64 " bytes", len);
        return -22;
    }
    buf = g_malloc(len);
    if (memory_read(addr, buf, len) != MEM_OK) {
        return -14;
    }
    if (s->chr) {
        chardev_write(s->chr, buf, len);
    }
    return (int64_t)len;
}

/* A system call: eight words at @addr are the number and the arguments; the first becomes the
 * result. */
static void proxy_syscall(HwHtif *s, uint64_t addr)
{
    uint64_t words[4];
    int64_t result = -38;

    if (memory_read(addr, words, sizeof(words)) != MEM_OK) {
        log_guest_error("htif: no memory for a system call at %#" PRIx64, addr);
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        words[i] = GUINT64_FROM_LE(words[i]);
    }
    if (words[0] == SYS_EXIT) {
        end_run(words[1]);
        return;
    }
    if (words[0] == SYS_WRITE && (words[1] == 1 || words[1] == 2)) {
        result = proxy_write(s, words[2], words[3]);
    } else {
        log_guest_error("htif: unknown system call %" PRIu64, words[0]);
    }
    memory_store(addr, 8, (uint64_t)result);
    answer(s, DEV_SYSCALL, 0, 1);
}

static void give_char(HwHtif *s)
{
    if (s->wants_char && s->fifo_len) {
        answer(s, DEV_CONSOLE, CMD_GETC, ANSWER | s->fifo[0]);
        memmove(s->fifo, s->fifo + 1, --s->fifo_len);
        s->wants_char = false;
        if (s->chr) {
            chardev_accept_input(s->chr);
        }
    }
}

static void console_command(HwHtif *s, unsigned command, uint64_t payload)
{
    uint8_t c = (uint8_t)payload;

    if (command == CMD_GETC) {
        s->wants_char = true;
        give_char(s);
    } else if (command == CMD_PUTC) {
        if (s->chr) {
            chardev_write(s->chr, &c, 1);
        }
        answer(s, DEV_CONSOLE, CMD_PUTC, ANSWER | c);
    } else {
        log_guest_error("htif: unknown console command %u", command);
    }
}

static void take_command(HwHtif *s)
{
    uint64_t value = s->tohost;
    unsigned device = (unsigned)(value >> 56), command = (unsigned)(value >> 48) & 0xff;
    uint64_t payload = value & 0xffffffffffffull;

    s->tohost = 0;
    s->low_written = false;
    if (!value) {
        return;
    }
    if (device == DEV_SYSCALL && command == 0) {
        if (payload & 1) {
            end_run(payload >> 1);
        } else {
            proxy_syscall(s, payload);
        }
    } else if (device == DEV_CONSOLE) {
        console_command(s, command, payload);
    } else {
        log_guest_error("htif: unknown command %#" PRIx64, value);
    }
}

static uint64_t tohost_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((HwHtif *)opaque)->tohost >> (8 * offset);
}

static void tohost_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwHtif *s = opaque;

    if (size == 8) {
        s->tohost = value;
        take_command(s);
    } else if (offset) {
        s->tohost = (uint32_t)s->tohost | value << 32;
        take_command(s);
    } else if (s->low_written && value) {
        s->tohost = value;
        take_command(s);
    } else {
        s->tohost = (s->tohost & ~0xffffffffull) | value;
        s->low_written = value != 0;
    }
}

static uint64_t fromhost_read(void *opaque, uint64_t offset, unsigned size)
{
    return ((HwHtif *)opaque)->fromhost >> (8 * offset);
}

static void fromhost_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwHtif *s = opaque;

    if (size == 8) {
        s->fromhost = value;
    } else if (offset) {
        s->fromhost = (uint32_t)s->fromhost | value << 32;
    } else {
        s->fromhost = (s->fromhost & ~0xffffffffull) | value;
    }
    if (!s->fromhost) {
        give_char(s);
    }
}

static const MemoryRegionOps tohost_ops = {
    .read = tohost_read, .write = tohost_write, .min_access = 4, .max_access = 8
};
static const MemoryRegionOps fromhost_ops = {
    .read = fromhost_read, .write = fromhost_write, .min_access = 4, .max_access = 8
};

static size_t console_room(void *opaque)
{
    return FIFO - ((HwHtif *)opaque)->fifo_len;
}

static void console_read(void *opaque, const uint8_t *buf, size_t len)
{
    HwHtif *s = opaque;

    len = MIN(len, console_room(s));
    memcpy(s->fifo + s->fifo_len, buf, len);
    s->fifo_len = (uint8_t)(s->fifo_len + len);
    if (!s->fromhost) {
        give_char(s);
    }
}

static bool htif_realize(HwDevice *dev, GError **error)
{
    static const ChardevFrontend frontend = { .can_read = console_room, .read = console_read };
    HwHtif *s = (HwHtif *)dev;

    memory_region_init_io(&s->tohost_mr, "htif.tohost", 8, &tohost_ops, s);
    memory_region_init_io(&s->fromhost_mr, "htif.fromhost", 8, &fromhost_ops, s);
    hw_device_add_region(dev, &s->tohost_mr);
    hw_device_add_region(dev, &s->fromhost_mr);
    return !s->chr || chardev_attach(s->chr, &frontend, s, error);
}

static void htif_unrealize(HwDevice *dev)
{
    HwHtif *s = (HwHtif *)dev;

    if (s->chr) {
        chardev_detach(s->chr, s);
    }
}

static bool htif_post_load(HwDevice *dev, GError **error)
{
    HwHtif *s = (HwHtif *)dev;

    s->fifo_len = MIN(s->fifo_len, FIFO);
    return true;
}

static void htif_fdt(HwDevice *dev, HwFdt *fdt)
{
    uint64_t tohost = dev->addr[0], fromhost = dev->addr[1];
    uint32_t reg[] = { (uint32_t)(fromhost >> 32), (uint32_t)fromhost, 0, 8,
                       (uint32_t)(tohost >> 32),   (uint32_t)tohost,   0, 8 };

    hw_fdt_set_string(fdt, "/htif", "compatible", "ucb,htif0");
    hw_fdt_set_cells(fdt, "/htif", "reg", G_N_ELEMENTS(reg), reg);
}

static const StateField htif_state[] = {
    HW_FIELD(HwHtif, tohost, STATE_U64, 0, "command being written"),
    HW_FIELD(HwHtif, fromhost, STATE_U64, 0, "answer"),
    HW_FIELD(HwHtif, low_written, STATE_BOOL, 0, "the low half of a command was written"),
    HW_FIELD(HwHtif, wants_char, STATE_BOOL, 0, "the guest waits for a character"),
    HW_FIELD_ARRAY(HwHtif, fifo, STATE_BYTES, FIFO, 0, "characters that came in"),
    HW_FIELD(HwHtif, fifo_len, STATE_U8, 0, "how many"),
    {},
};

static const HwProp htif_props[] = {
    HW_PROP(HwHtif, chr, "chardev", HW_PROP_CHARDEV, 0, "console"),
    {},
};

static void hw_htif_init(HwHtif *s)
{
    (void)s;
}

static void hw_htif_class_init(HwHtifClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "riscv.htif";
    dc->desc = "host-target interface of the Spike simulator";
    dc->state = htif_state;
    dc->realize = htif_realize;
    dc->unrealize = htif_unrealize;
    dc->post_load = htif_post_load;
    dc->fdt = htif_fdt;
    hw_device_class_bind_props(dc, htif_props);
}

HwDevice *hw_htif_new(Chardev *chr)
{
    HwDevice *dev = hw_device_new(hw_htif_get_type(), NULL);

    ((HwHtif *)dev)->chr = chr;
    return dev;
}
