/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Goldfish real-time clock (Android's goldfish virtual hardware description). Reading TIME_LOW latches TIME_HIGH; writing TIME_LOW
 * sets the clock from both halves; ALARM_LOW arms the alarm.
 */
#include "hw/rtc/goldfish-rtc.h"
#include <inttypes.h>

enum {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    CLEAR_ALARM = 0x14,
    ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
    SIZE = 0x24,
    WINDOW = 0x1000,
};

typedef struct HwGoldfishRtc {
    HwDevice parent;
    MemoryRegion mmio;
    Timer alarm;
    int64_t offset; /* ns the guest set the clock off the host's */
    uint64_t alarm_time;
    uint32_t time_high, alarm_high;
    bool alarm_on, irq_pending, irq_enabled;
} HwGoldfishRtc;

typedef struct HwGoldfishRtcClass {
    HwDeviceClass parent;
} HwGoldfishRtcClass;

G_DEFINE_TYPE(HwGoldfishRtc, hw_goldfish_rtc, HW_TYPE_DEVICE)

static uint64_t now(const HwGoldfishRtc *s)
{
    return (uint64_t)clock_now(CLOCK_RTC) + (uint64_t)s->offset;
}

static void update_irq(HwGoldfishRtc *s)
{
    hw_device_set_irq(&s->parent, 0, s->irq_pending && s->irq_enabled);
}

static void alarm_fired(void *opaque)
{
    HwGoldfishRtc *s = opaque;

    s->alarm_on = false;
    s->irq_pending = true;
    update_irq(s);
}

static void set_alarm(HwGoldfishRtc *s)
{
    int64_t wait = (int64_t)(s->alarm_time - now(s));

    s->alarm_on = true;
    if (wait <= 0) {
        timer_cancel(&s->alarm);
        alarm_fired(s);
    } else if (wait < INT64_MAX / 4) {
        timer_set(&s->alarm, clock_now(CLOCK_HOST) + wait);
    }
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
    HwGoldfishRtc *s = opaque;
    uint64_t t;

    switch (offset) {
    case TIME_LOW:
        t = now(s);
        s->time_high = (uint32_t)(t >> 32);
        return (uint32_t)t;
    case TIME_HIGH:
        return s->time_high;
    case ALARM_LOW:
        return (uint32_t)s->alarm_time;
    case ALARM_HIGH:
        return (uint32_t)(s->alarm_time >> 32);
    case IRQ_ENABLED:
        return s->irq_enabled;
    case ALARM_STATUS:
        return s->alarm_on;
    }
    return 0;
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwGoldfishRtc *s = opaque;

    switch (offset) {
    case TIME_LOW:
        s->offset = (int64_t)((uint64_t)s->offset +
                              ((uint64_t)s->time_high << 32 | (uint32_t)value) - now(s));
        break;
    case TIME_HIGH:
        s->time_high = (uint32_t)value;
        break;
    case ALARM_LOW:
        s->alarm_time = (uint64_t)s->alarm_high << 32 | (uint32_t)value;
        set_alarm(s);
        break;
    case ALARM_HIGH:
        s->alarm_high = (uint32_t)value;
        break;
    case IRQ_ENABLED:
        s->irq_enabled = value & 1;
        break;
    case CLEAR_ALARM:
        timer_cancel(&s->alarm);
        s->alarm_on = false;
        break;
    case CLEAR_INTERRUPT:
        s->irq_pending = false;
        break;
    }
    update_irq(s);
}

static const MemoryRegionOps rtc_ops = {
    .read = rtc_read,
    .write = rtc_write,
    .min_access = 4,
    .max_access = 4,
    .min_valid = 4,
    .max_valid = 4,
};

static bool rtc_realize(HwDevice *dev, GError **error)
{
    HwGoldfishRtc *s = (HwGoldfishRtc *)dev;

    memory_region_init_io(&s->mmio, "goldfish-rtc", SIZE, &rtc_ops, s);
    hw_device_add_region(dev, &s->mmio);
    hw_device_add_irq(dev);
    return true;
}

static void rtc_reset(HwDevice *dev)
{
    HwGoldfishRtc *s = (HwGoldfishRtc *)dev;

    timer_cancel(&s->alarm);
    update_irq(s);
}

static bool rtc_post_load(HwDevice *dev, GError **error)
{
    HwGoldfishRtc *s = (HwGoldfishRtc *)dev;

    int64_t wait = (int64_t)(s->alarm_time - now(s));

    if (s->alarm_on && wait < INT64_MAX / 4) {
        /* One that is due goes off soon, not now: loading changes no state. */
        timer_set(&s->alarm, clock_now(CLOCK_HOST) + MAX(wait, 0));
    }
    update_irq(s);
    return true;
}

static void rtc_fdt(HwDevice *dev, HwFdt *fdt)
{
    g_autofree char *node = g_strdup_printf("/soc/rtc@%" PRIx64, dev->addr[0]);

    hw_fdt_add_node(fdt, node);
    hw_fdt_set_interrupt(fdt, node, dev->irq_numbers[0]);
    hw_fdt_set_reg(fdt, node, dev->addr[0], WINDOW);
    hw_fdt_set_string(fdt, node, "compatible", "google,goldfish-rtc");
}

static const StateField rtc_state[] = {
    /* A guest that set the clock expects it to run on across a reset. */
    { .name = "offset",
      .offset = offsetof(HwGoldfishRtc, offset),
      .count = 1,
      .type = STATE_U64,
      .keep = true,
      .desc = "ns the guest set the clock off the host's" },
    HW_FIELD(HwGoldfishRtc, alarm_time, STATE_U64, 0, "alarm time, ns"),
    HW_FIELD(HwGoldfishRtc, time_high, STATE_U32, 0, "latched upper half"),
    HW_FIELD(HwGoldfishRtc, alarm_high, STATE_U32, 0, "upper half of the next alarm"),
    HW_FIELD(HwGoldfishRtc, alarm_on, STATE_BOOL, 0, "alarm armed"),
    HW_FIELD(HwGoldfishRtc, irq_pending, STATE_BOOL, 0, "interrupt pending"),
    HW_FIELD(HwGoldfishRtc, irq_enabled, STATE_BOOL, 0, "interrupt enabled"),
    { 0 },
};

static void hw_goldfish_rtc_finalize(GObject *object)
{
    timer_cancel(&((HwGoldfishRtc *)object)->alarm);
    G_OBJECT_CLASS(hw_goldfish_rtc_parent_class)->finalize(object);
}

static void hw_goldfish_rtc_init(HwGoldfishRtc *s)
{
    timer_init(&s->alarm, CLOCK_HOST, alarm_fired, s);
}

static void hw_goldfish_rtc_class_init(HwGoldfishRtcClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    G_OBJECT_CLASS(klass)->finalize = hw_goldfish_rtc_finalize;
    dc->model = "goldfish-rtc";
    dc->desc = "Goldfish real-time clock";
    dc->state = rtc_state;
    dc->realize = rtc_realize;
    dc->reset = rtc_reset;
    dc->post_load = rtc_post_load;
    dc->fdt = rtc_fdt;
}
