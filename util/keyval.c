/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parser of "key=value,..." option arguments; see keyval.h for the grammar. An item is kept as it
 * came (value NULL for a flag) until keyvals_check() knows the allowed keys and can tell "nowait"
 * from a misspelt key.
 */
#include "util/keyval.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "util/suggest.h"

typedef struct Item {
    char *key;
    char *value; /* NULL: a flag that was not resolved yet */
    bool flag;
} Item;

struct KeyVals {
    GArray *items;
};

static void item_clear(void *data)
{
    Item *item = data;

    g_free(item->key);
    g_free(item->value);
}

/* Takes the text up to the next single comma; *pos goes behind it. */
static char *take_item(const char **pos)
{
    GString *s = g_string_new(NULL);
    const char *p = *pos;

    for (; *p; p++) {
        if (*p == ',') {
            if (p[1] != ',') {
                break;
            }
            p++;
        }
        g_string_append_c(s, *p);
    }
    *pos = *p ? p + 1 : p;
    return g_string_free(s, FALSE);
}

KeyVals *keyvals_parse(const char *text, const char *implied)
{
    KeyVals *kv = g_new0(KeyVals, 1);

    kv->items = g_array_new(FALSE, TRUE, sizeof(Item));
    g_array_set_clear_func(kv->items, item_clear);
    for (const char *p = text; *p;) {
        g_autofree char *s = take_item(&p);
        char *eq = strchr(s, '=');
        Item item = {};

        if (eq) {
            item.key = g_strndup(s, eq - s);
            item.value = g_strdup(eq + 1);
        } else if (implied && kv->items->len == 0) {
            item.key = g_strdup(implied);
            item.value = g_strdup(s);
        } else if (*s) {
            item.key = g_strdup(s);
            item.flag = true;
        } else {
            continue; /* a comma too many does no harm */
        }
        g_array_append_val(kv->items, item);
    }
    return kv;
}

void keyvals_free(KeyVals *kv)
{
    if (kv) {
        g_array_free(kv->items, TRUE);
        g_free(kv);
    }
}

bool keyvals_check(KeyVals *kv, const char *what, const char *const *allowed, GError **error)
{
    for (unsigned i = 0; i < kv->items->len; i++) {
        Item *item = &g_array_index(kv->items, Item, i);

        if (g_strv_contains(allowed, item->key)) {
            if (!item->value) {
                item->value = g_strdup("on");
            }
        } else if (item->flag && g_str_has_prefix(item->key, "no") &&
                   g_strv_contains(allowed, item->key + 2)) {
            char *key = g_strdup(item->key + 2);

            g_free(item->key);
            item->key = key;
            item->value = g_strdup("off");
        } else {
            g_autofree char *hint = suggest_text(item->key, allowed);

            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION,
                        "%s: unknown property '%s'%s", what, item->key, hint);
            return false;
        }
    }
    return true;
}

const char *keyvals_get(const KeyVals *kv, const char *key)
{
    for (unsigned i = kv->items->len; i-- > 0;) {
        const Item *item = &g_array_index(kv->items, Item, i);

        if (!strcmp(item->key, key)) {
            return item->value ? item->value : "on";
        }
    }
    return NULL;
}

bool keyval_parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = { "on", "yes", "true", "y", NULL };
    static const char *const no[] = { "off", "no", "false", "n", NULL };

    if (g_strv_contains(yes, text)) {
        *value = true;
    } else if (g_strv_contains(no, text)) {
        *value = false;
    } else {
        return false;
    }
    return true;
}

bool keyval_parse_uint(const char *text, uint64_t *value)
{
    char *end;

    if (!g_ascii_isdigit(*text)) {
        return false;
    }
    errno = 0;
    *value = strtoull(text, &end, strncmp(text, "0x", 2) ? 10 : 16);
    return errno == 0 && *end == '\0';
}

bool keyvals_get_bool(const KeyVals *kv, const char *what, const char *key, bool *value,
                      GError **error)
{
    const char *text = keyvals_get(kv, key);

    if (text && !keyval_parse_bool(text, value)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: %s=%s: expected on or off", what, key, text);
        return false;
    }
    return true;
}

bool keyvals_get_uint(const KeyVals *kv, const char *what, const char *key, uint64_t min,
                      uint64_t max, uint64_t *value, GError **error)
{
    const char *text = keyvals_get(kv, key);
    uint64_t v;

    if (!text) {
        return true;
    }
    if (!keyval_parse_uint(text, &v) || v < min || v > max) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: %s=%s: expected a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                    what, key, text, min, max);
        return false;
    }
    *value = v;
    return true;
}

unsigned keyvals_count(const KeyVals *kv)
{
    return kv->items->len;
}

const char *keyvals_key(const KeyVals *kv, unsigned i)
{
    return g_array_index(kv->items, Item, i).key;
}

const char *keyvals_value(const KeyVals *kv, unsigned i)
{
    const char *value = g_array_index(kv->items, Item, i).value;

    return value ? value : "on";
}

bool keyvals_is_flag(const KeyVals *kv, unsigned i)
{
    return g_array_index(kv->items, Item, i).flag;
}
