/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -L: the exports of a server, in qemu-nbd's words.
 */
#include <inttypes.h>
#include <string.h>
#include <stdio.h>
#include "block/nbd-client.h"
#include "nbd/nbd-priv.h"

static void print_flags(uint16_t flags)
{
    static const char *const names[] = { NULL,         "readonly", "flush",  "fua",
                                         "rotational", "trim",     "zeroes", "df",
                                         "multi",      "resize",   "cache",  "fast-zero" };

    printf("  flags: 0x%x (", flags);
    for (unsigned i = 1; i < G_N_ELEMENTS(names); i++) {
        if (flags >> i & 1) {
            printf(" %s", names[i]);
        }
    }
    printf(" )\n");
}

static void print_export(const char *name, const char *description, const NbdExport *info,
                         const GPtrArray *contexts)
{
    g_autofree char *shown = nbd_printable(name, strlen(name));

    printf(" export: '%s'\n", shown);
    if (description && *description) {
        g_autofree char *text = nbd_printable(description, strlen(description));

        printf("  description: %s\n", text);
    }
    printf("  size:  %" PRIu64 "\n", info->size);
    print_flags(info->flags);
    if (info->has_blocks) {
        printf("  min block: %u\n  opt block: %u\n  max block: %u\n", info->min_block,
               info->preferred_block, info->max_payload);
    }
    if (contexts->len) {
        printf("  available meta contexts: %u\n", contexts->len);
    }
    for (unsigned i = 0; i < contexts->len; i++) {
        const char *context = g_ptr_array_index(contexts, i);
        g_autofree char *text = nbd_printable(context, strlen(context));

        printf("   %s\n", text);
    }
}

/* @list: as of nbd_link_list(). */
static bool print_exports(NbdLink *link, const GPtrArray *list, GError **error)
{
    printf("exports available: %u\n", list->len / 2);
    for (unsigned i = 0; i + 1 < list->len; i += 2) {
        g_autoptr(GPtrArray) contexts = g_ptr_array_new_with_free_func(g_free);
        NbdExport info;
        bool ok = nbd_link_info(link, g_ptr_array_index(list, i), &info, contexts, error);

        if (ok) {
            print_export(g_ptr_array_index(list, i), g_ptr_array_index(list, i + 1), &info,
                         contexts);
        }
        g_free(info.description);
        if (!ok) {
            return false;
        }
    }
    return true;
}

int list_exports(const NbdServerOptions *options)
{
    NbdAddress address = { .path = (char *)options->socket_path,
                           .host = (char *)(options->bind ? options->bind : "127.0.0.1"),
                           .port = options->port };
    g_autoptr(GError) error = NULL;
    NbdLink *link = nbd_link_new("-L", &address, &error);
    g_autoptr(GPtrArray) list = link ? nbd_link_list(link, &error) : NULL;
    bool ok = list && print_exports(link, list, &error);

    if (link) {
        if (ok) {
            nbd_link_abort(link);
        }
        nbd_link_free(link);
    }
    return ok ? 0 : nbd_complain("%s", error->message);
}
