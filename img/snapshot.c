/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots inside an image: the table that "info" shows too, and the command snapshot.
 */
#include "img/snapshot.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void snapshot_free(void *data)
{
    NodeSnapshot *snapshot = data;

    g_free(snapshot->id);
    g_free(snapshot->name);
    g_free(snapshot);
}

GPtrArray *snapshots_of(BlockNode *node)
{
    GPtrArray *list = node->driver->snapshots ? node->driver->snapshots(node) : NULL;

    return list ? list : g_ptr_array_new_with_free_func(snapshot_free);
}

static void print_one(const NodeSnapshot *s)
{
    g_autofree char *size = img_size_text(s->vm_state_size);
    time_t seconds = (time_t)s->date_sec;
    uint64_t clock = s->vm_clock_ns / 1000000000;
    char date[64] = "", icount[32] = "";
    struct tm tm;

    if (localtime_r(&seconds, &tm)) {
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
    }
    if (s->icount != UINT64_MAX) {
        snprintf(icount, sizeof(icount), "%" PRIu64, s->icount);
    }
    printf("%-9s %-16s %8s %19s %02u:%02u:%02u.%03u %10s\n", s->id, s->name, size, date,
           (unsigned)(clock / 3600), (unsigned)(clock / 60 % 60), (unsigned)(clock % 60),
           (unsigned)(s->vm_clock_ns / 1000000 % 1000), icount);
}

void snapshots_print(BlockNode *node)
{
    g_autoptr(GPtrArray) list = snapshots_of(node);

    if (!list->len) {
        return;
    }
    printf("Snapshot list:\n%-9s %-16s %8s %19s %12s %10s\n", "ID", "TAG", "VM SIZE", "DATE",
           "VM CLOCK", "ICOUNT");
    for (unsigned i = 0; i < list->len; i++) {
        print_one(g_ptr_array_index(list, i));
    }
}

static bool has_snapshot(BlockNode *node, const char *name)
{
    g_autoptr(GPtrArray) list = snapshots_of(node);
    bool found = false;

    for (unsigned i = 0; i < list->len; i++) {
        const NodeSnapshot *s = g_ptr_array_index(list, i);

        found |= !strcmp(s->id, name) || !strcmp(s->name, name);
    }
    return found;
}

static int create(BlockNode *node, const char *name)
{
    gint64 now = g_get_real_time();
    NodeSnapshot snapshot = { .name = (char *)name,
                              .date_sec = (uint64_t)(now / G_USEC_PER_SEC),
                              .date_nsec = (uint32_t)(now % G_USEC_PER_SEC * 1000),
                              .disk_size = node->length };
    g_autoptr(GError) error = NULL;

    if (!node->driver->snapshot_create) {
        return img_error("Could not create snapshot '%s': -95 (Operation not supported)", name);
    }
    return node->driver->snapshot_create(node, &snapshot, &error)
               ? 0
               : img_error("Could not create snapshot '%s': %s", name,
                           img_error_text(error, node->name));
}

static int apply(BlockNode *node, const char *name)
{
    g_autoptr(GError) error = NULL;

    if (!node->driver->snapshot_apply) {
        return img_error("Could not apply snapshot '%s': Block driver does not support snapshots",
                         name);
    }
    if (!has_snapshot(node, name)) {
        return img_error("Could not apply snapshot '%s': Failed to load snapshot: No such file or "
                         "directory",
                         name);
    }
    return node->driver->snapshot_apply(node, name, &error)
               ? 0
               : img_error("Could not apply snapshot '%s': %s", name,
                           img_error_text(error, node->name));
}

static int delete (BlockNode *node, const char *name)
{
    g_autoptr(GError) error = NULL;

    if (!node->driver->snapshot_delete || !has_snapshot(node, name)) {
        return img_error("Could not delete snapshot '%s': snapshot not found", name);
    }
    return node->driver->snapshot_delete(node, name, &error)
               ? 0
               : img_error("Could not delete snapshot '%s': %s", name,
                           img_error_text(error, node->name));
}

int img_snapshot(const ImgArgs *args)
{
    bool change = img_has(args, "a") || img_has(args, "c") || img_has(args, "d");
    int status = 0;
    BlockNode *node;

    if (args->keys->len - img_has(args, "q") - img_has(args, "U") - img_has(args, "image-opts") >
        1) {
        return img_usage_error("Cannot mix '-l', '-a', '-c', '-d'");
    }
    if (args->n_files != 1) {
        return img_usage_error("Expecting one image file name");
    }
    node = img_open(args, args->files[0], NULL, change ? IMG_WRITE : IMG_NO_BACKING);
    if (!node) {
        return 1;
    }
    if (img_has(args, "c")) {
        status = create(node, img_get(args, "c"));
    } else if (img_has(args, "a")) {
        status = apply(node, img_get(args, "a"));
    } else if (img_has(args, "d")) {
        status = delete (node, img_get(args, "d"));
    } else if (img_has(args, "l")) {
        snapshots_print(node);
    }
    return img_close(node) | status;
}
