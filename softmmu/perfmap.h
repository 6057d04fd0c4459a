/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -perfmap: a text file that tells Linux' perf which guest code each address of generated code belongs to.
 */
#ifndef SOFTMMU_PERFMAP_H
#define SOFTMMU_PERFMAP_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "tcg/abi.h"

/* Makes /tmp/perf-PID.map, in place of one that a dead process left. Once, before generated code is made. */
bool perfmap_open(GError **error);
/* Whether it was opened. */
bool perfmap_is_on(void);
/* Adds the code at @fns and @enter, all of which ends at @end. Nothing if there is no file. */
void perfmap_add_thunks(void *const fns[TCG_N_FNS], TcgEnterFn *enter, const uint8_t *end);
/* Adds @size bytes at @code, translated from guest address @pc. Nothing if there is no file. Any thread. */
void perfmap_add_block(const uint8_t *code, size_t size, uint64_t pc);

#endif
