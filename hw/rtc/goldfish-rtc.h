/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The Goldfish real-time clock: nanoseconds since 1970 and an alarm. */
#ifndef HW_RTC_GOLDFISH_RTC_H
#define HW_RTC_GOLDFISH_RTC_H

#include "hw/core/device.h"

GType hw_goldfish_rtc_get_type(void);

#endif
