/* SPDX-License-Identifier: GPL-2.0-or-later */
/* State tables: reset, listing, saving and loading of the fields that a table describes. */
#include "util/state.h"
#include <inttypes.h>
#include <string.h>

static int64_t (*timer_deadline)(const void *timer);
static void (*timer_set_deadline)(void *timer, int64_t deadline);

void state_set_timer_access(int64_t (*deadline)(const void *timer),
                            void (*set)(void *timer, int64_t deadline))
{
    timer_deadline = deadline;
    timer_set_deadline = set;
}

/* Bytes of one element, in memory (but for timers) and when saved. */
static size_t element_size(StateType type)
{
    switch (type) {
    case STATE_BOOL:
    case STATE_U8:
    case STATE_BYTES:
        return 1;
    case STATE_U16:
        return 2;
    case STATE_U32:
        return 4;
    case STATE_U64:
    case STATE_TIMER:
        return 8;
    case STATE_END:
        break;
    }
    g_assert_not_reached();
}

/* A timer's struct is not known here: only single ones have a place. */
static uint8_t *element_at(const void *object, const StateField *f, unsigned i)
{
    g_assert(f->type != STATE_TIMER || f->count == 1);
    return (uint8_t *)object + f->offset + i * element_size(f->type);
}

static uint64_t get_element(const void *object, const StateField *f, unsigned i)
{
    const uint8_t *at = element_at(object, f, i);

    switch (f->type) {
    case STATE_BOOL:
        return *(const bool *)at;
    case STATE_U16:
        return *(const uint16_t *)at;
    case STATE_U32:
        return *(const uint32_t *)at;
    case STATE_U64:
        return *(const uint64_t *)at;
    case STATE_TIMER:
        return timer_deadline ? (uint64_t)timer_deadline(at) : UINT64_MAX;
    default:
        return *at;
    }
}

static void set_element(void *object, const StateField *f, unsigned i, uint64_t value)
{
    uint8_t *at = element_at(object, f, i);

    switch (f->type) {
    case STATE_BOOL:
        *(bool *)at = value != 0;
        break;
    case STATE_U16:
        *(uint16_t *)at = (uint16_t)value;
        break;
    case STATE_U32:
        *(uint32_t *)at = (uint32_t)value;
        break;
    case STATE_U64:
        *(uint64_t *)at = value;
        break;
    case STATE_TIMER:
        if (timer_set_deadline) {
            timer_set_deadline(at, (int64_t)value);
        }
        break;
    default:
        *at = (uint8_t)value;
        break;
    }
}

void state_reset(void *object, const StateField *fields)
{
    for (const StateField *f = fields; f->type != STATE_END; f++) {
        for (unsigned i = 0; !f->keep && f->type != STATE_TIMER && i < f->count; i++) {
            set_element(object, f, i, f->reset);
        }
    }
}

static void print_elements(const void *object, const StateField *f, GString *out)
{
    for (unsigned i = 0; i < f->count; i++) {
        /* Runs of equal elements, as most of a large array is, take one word. */
        unsigned run = 1;
        uint64_t value = get_element(object, f, i);

        while (i + run < f->count && get_element(object, f, i + run) == value) {
            run++;
        }
        if (f->type == STATE_TIMER && value == UINT64_MAX) {
            g_string_append(out, " off");
        } else {
            g_string_append_printf(out, " %#" PRIx64, value);
        }
        if (run > 3) {
            g_string_append_printf(out, " (%u times)", run);
            i += run - 1;
        }
    }
}

void state_print(const void *object, const StateField *fields, GString *out)
{
    for (const StateField *f = fields; f->type != STATE_END; f++) {
        g_string_append_printf(out, "%s =", f->name);
        print_elements(object, f, out);
        g_string_append_c(out, '\n');
    }
}

void state_save(const void *object, const StateField *fields, GByteArray *out)
{
    for (const StateField *f = fields; f->type != STATE_END; f++) {
        for (unsigned i = 0; i < f->count; i++) {
            uint64_t value = GUINT64_TO_LE(get_element(object, f, i));

            g_byte_array_append(out, (const uint8_t *)&value, (unsigned)element_size(f->type));
        }
    }
}

size_t state_size(const StateField *fields)
{
    size_t size = 0;

    for (const StateField *f = fields; f->type != STATE_END; f++) {
        size += element_size(f->type) * f->count;
    }
    return size;
}

bool state_load(void *object, const StateField *fields, const uint8_t *data, size_t len,
                GError **error)
{
    const StateField *last = fields;
    size_t size = state_size(fields);

    for (const StateField *f = fields; f->type != STATE_END; f++) {
        last = f;
    }
    if (len != size) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s: the state has %zu bytes, %zu were expected",
                    last->name ? last->name : "(no fields)", len, size);
        return false;
    }
    for (const StateField *f = fields; f->type != STATE_END; f++) {
        for (unsigned i = 0; i < f->count; i++) {
            uint64_t value = 0;

            memcpy(&value, data, element_size(f->type));
            data += element_size(f->type);
            set_element(object, f, i, GUINT64_FROM_LE(value));
        }
    }
    return true;
}
