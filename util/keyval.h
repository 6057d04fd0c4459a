/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Option arguments of the form "first,key=value,flag,noflag,path=a,,b": the grammar that -drive,
 * -device, -chardev and their kind share. A doubled comma stands for one comma. The first item may
 * stand without a key (the implied one). An item without '=' is a flag: on, or off when it is "no"
 * + an allowed key.
 *
 * Parsing never fails; keyvals_check() refuses what the option does not know and names the nearest
 * right key.
 */
#ifndef UTIL_KEYVAL_H
#define UTIL_KEYVAL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct KeyVals KeyVals;

/* Never NULL. @implied: key of a first item without '=', NULL: it is a flag like the others. */
KeyVals *keyvals_parse(const char *text, const char *implied);
void keyvals_free(KeyVals *kv);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeyVals, keyvals_free)

/* Refuses keys that are not in @allowed (NULL-terminated) with an error "WHAT: ...; did you mean
 * ...?". Resolves "no" flags. To be called before the values are asked for. */
bool keyvals_check(KeyVals *kv, const char *what, const char *const *allowed, GError **error);

/* The value given last for @key ("on" for a flag), or NULL; owned by @kv. */
const char *keyvals_get(const KeyVals *kv, const char *key);
/* Leaves *@value alone when the key is not given. The error begins with @what. */
bool keyvals_get_bool(const KeyVals *kv, const char *what, const char *key, bool *value,
                      GError **error);
bool keyvals_get_uint(const KeyVals *kv, const char *what, const char *key, uint64_t min,
                      uint64_t max, uint64_t *value, GError **error);

/* All items in order. */
unsigned keyvals_count(const KeyVals *kv);
const char *keyvals_key(const KeyVals *kv, unsigned i);
const char *keyvals_value(const KeyVals *kv, unsigned i);
/* The item stands without '='. */
bool keyvals_is_flag(const KeyVals *kv, unsigned i);

/* "on", "yes", "true", "y" / "off", "no", "false", "n". False: neither. */
bool keyval_parse_bool(const char *text, bool *value);
/* A whole unsigned number, decimal or 0x, and nothing behind it. */
bool keyval_parse_uint(const char *text, uint64_t *value);

#endif
