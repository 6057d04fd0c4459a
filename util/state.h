/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State tables: the fields of a device or CPU as data. One table serves reset, snapshots, dumps and
 * the automatic round-trip test. A table ends with an all-zero entry.
 */
#ifndef UTIL_STATE_H
#define UTIL_STATE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum StateType {
    STATE_END,
    STATE_BOOL,
    STATE_U8,
    STATE_U16,
    STATE_U32,
    STATE_U64,
    STATE_BYTES, /* count bytes inside the struct */
    STATE_TIMER, /* softmmu Timer: its deadline */
} StateType;

typedef struct StateField {
    const char *name;
    uint32_t offset; /* from the object */
    uint32_t count;  /* elements of an array, 1 for a scalar */
    StateType type;
    uint64_t reset; /* value (of each element) after reset */
    bool keep;      /* not touched by reset (e.g. flash contents, a backend's position) */
    const char *desc;
} StateField;

/* Sets every field that is not `keep` to its reset value (timers are not touched: their owner
 * cancels them). */
void state_reset(void *object, const StateField *fields);
/* Appends "name = value" lines. */
void state_print(const void *object, const StateField *fields, GString *out);
/* Appends all fields to @out as little-endian bytes; state_load reads them back. False with an
 * error naming the field if @len is not the table's size. */
void state_save(const void *object, const StateField *fields, GByteArray *out);
bool state_load(void *object, const StateField *fields, const uint8_t *data, size_t len,
                GError **error);
size_t state_size(const StateField *fields);

/* How STATE_TIMER fields are read and set: this folder does not know timers. Without it they
 * save as -1 (not armed). */
void state_set_timer_access(int64_t (*deadline)(const void *timer),
                            void (*set)(void *timer, int64_t deadline));

#endif
