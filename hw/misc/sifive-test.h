/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SiFive test finisher: power-off with an exit status, and reset. */
#ifndef HW_MISC_SIFIVE_TEST_H
#define HW_MISC_SIFIVE_TEST_H

#include "hw/core/device.h"

GType hw_sifive_test_get_type(void);

#endif
