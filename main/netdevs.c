/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -netdev, -nic, -net and -object filter-dump: makes the network back ends, and the -device texts of the cards that -nic and -net bring along.
 */
#include "main/system-priv.h"

#include <string.h>
#include "net/net.h"
#include "util/keyval.h"

/* Keys that are the card's. */
static const char *const of_card[] = { "model", "mac", "macaddr", "addr", "vectors", NULL };

typedef struct Cards {
    const char *model;  /* when none is said; NULL: the machine has no place for a card */
    GPtrArray *devices; /* -device texts */
} Cards;

static void append_item(GString *out, const char *key, const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    g_autofree char *quoted = g_strjoinv(",,", parts);

    g_string_append_printf(out, "%s%s=%s", out->len ? "," : "", key, quoted);
}

static bool add_card(Cards *cards, const char *option, const KeyVals *kv, const char *netdev,
                     GError **error)
{
    const char *model = keyvals_get(kv, "model");
    GString *card;

    model = !model || !strcmp(model, "virtio") ? cards->model : model;
    if (!model) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-%s: this machine has no place for a network card", option);
        return false;
    }
    card = g_string_new(NULL);
    append_item(card, "driver", model);
    if (netdev) {
        append_item(card, "netdev", netdev);
    }
    for (unsigned i = 1; of_card[i]; i++) {
        const char *value = keyvals_get(kv, of_card[i]);

        if (value) {
            append_item(card, strcmp(of_card[i], "macaddr") ? of_card[i] : "mac", value);
        }
    }
    g_ptr_array_add(cards->devices, g_string_free(card, FALSE));
    return true;
}

/* The -netdev argument in a -nic or -net one. @id: unless it says its own. */
static char *netdev_text(const KeyVals *kv, const char *id)
{
    GString *out = g_string_new(NULL);

    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        if (!g_strv_contains(of_card, keyvals_key(kv, i))) {
            append_item(out, keyvals_key(kv, i), keyvals_value(kv, i));
        }
    }
    if (!keyvals_get(kv, "id")) {
        append_item(out, "id", id);
    }
    return g_string_free(out, FALSE);
}

static bool make(const char *option, const char *text, GError **error)
{
    if (!net_new(text, error)) {
        g_prefix_error(error, "-%s: ", option);
        return false;
    }
    return true;
}

static bool add_nics(const GPtrArray *nics, Cards *cards, GError **error)
{
    for (unsigned i = 0; i < nics->len; i++) {
        g_autoptr(KeyVals) kv = keyvals_parse(g_ptr_array_index(nics, i), "type");
        g_autofree char *id = g_strdup_printf("nic%u", i);
        g_autofree char *text = netdev_text(kv, id);

        if (!g_strcmp0(keyvals_get(kv, "type"), "none")) {
            continue;
        }
        if (!make("nic", text, error) ||
            !add_card(cards, "nic", kv, keyvals_get(kv, "id") ? keyvals_get(kv, "id") : id,
                      error)) {
            return false;
        }
    }
    return true;
}

/* The older spelling says card and network apart: the first card is on the first network, and so on. */
static bool add_nets(const GPtrArray *nets, Cards *cards, GError **error)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
    unsigned card = 0;

    for (unsigned i = 0; i < nets->len; i++) {
        g_autoptr(KeyVals) kv = keyvals_parse(g_ptr_array_index(nets, i), "type");
        const char *type = keyvals_get(kv, "type"), *id = keyvals_get(kv, "id");
        g_autofree char *own = g_strdup_printf("net%u", i);
        g_autofree char *text = netdev_text(kv, own);

        if (!g_strcmp0(type, "none") || !g_strcmp0(type, "nic")) {
            continue;
        }
        if (!make("net", text, error)) {
            return false;
        }
        g_ptr_array_add(ids, g_strdup(id ? id : own));
    }
    for (unsigned i = 0; i < nets->len; i++) {
        g_autoptr(KeyVals) kv = keyvals_parse(g_ptr_array_index(nets, i), "type");

        if (!g_strcmp0(keyvals_get(kv, "type"), "nic")) {
            const char *netdev = keyvals_get(kv, "netdev");

            if (!netdev && card < ids->len) {
                netdev = g_ptr_array_index(ids, card++);
            }
            if (!add_card(cards, "net", kv, netdev, error)) {
                return false;
            }
        }
    }
    return true;
}

static bool add_objects(const GPtrArray *objects, GError **error)
{
    for (unsigned i = 0; i < objects->len; i++) {
        const char *text = g_ptr_array_index(objects, i);
        g_autoptr(KeyVals) kv = keyvals_parse(text, "qom-type");

        if (g_strcmp0(keyvals_get(kv, "qom-type"), "filter-dump")) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "-object %s: not supported (only filter-dump is)", text);
            return false;
        }
        if (!net_add_dump(text, error)) {
            g_prefix_error(error, "-object: ");
            return false;
        }
    }
    return true;
}

/*
 * Whoever says nothing of networks gets a user network. Not with -icount: what comes from outside is not the same in each run.
 */
static bool wants_default(const Options *opts, const Cards *cards)
{
    return cards->model && !opts->no_defaults && !opts->icount && !opts->netdevs->len &&
           !opts->nics->len && !opts->nets->len;
}

bool netdevs_open(const Options *opts, const char *model, GPtrArray *devices, GError **error)
{
    Cards cards = { .model = model, .devices = devices };

    if (wants_default(opts, &cards)) {
        g_ptr_array_add(opts->nics, g_strdup("user"));
    }
    for (unsigned i = 0; i < opts->netdevs->len; i++) {
        if (!make("netdev", g_ptr_array_index(opts->netdevs, i), error)) {
            return false;
        }
    }
    return add_nics(opts->nics, &cards, error) && add_nets(opts->nets, &cards, error) &&
           add_objects(opts->objects, error);
}
