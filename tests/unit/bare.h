/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine with memory, a clock that runs and no CPUs, for tests of devices: what these ask of the parts that are not there has an answer here. */
#ifndef TESTS_UNIT_BARE_H
#define TESTS_UNIT_BARE_H

#include <stdbool.h>
#include <stdint.h>

/* What cpu_icount_enabled() says. */
extern bool bare_is_deterministic;

/* Address space for @max bytes of RAM, of which @size are at guest-physical @base. Returns their host address. */
uint8_t *bare_init(uint64_t max, uint64_t base, uint64_t size);

#endif
