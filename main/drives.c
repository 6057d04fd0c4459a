/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -drive: opens the back end and decides what becomes of it. if=virtio (the default) brings a
 * virtio-blk-device along, if=pflash fills a flash bank of the machine, if=none leaves the back end
 * to a -device ...,drive=ID.
 */
#include "main/system-priv.h"

#include <string.h>
#include "block/options.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"
#include "util/keyval.h"
#include "util/size.h"
#include "util/suggest.h"

typedef enum DriveInterface {
    DRIVE_VIRTIO,
    DRIVE_PFLASH,
    DRIVE_NONE,
    N_DRIVE_INTERFACES
} DriveInterface;

static const char *const interface_names[] = { "virtio", "pflash", "none", NULL };
static const char *const foreign_interfaces[] = {
    "ide", "scsi", "sd", "mtd", "floppy", "xen", NULL
};

enum { MAX_INDEX = 63 };

typedef struct DriveParser {
    DriveSet *set;
    uint64_t used[N_DRIVE_INTERFACES]; /* bit per index */
} DriveParser;

void drive_set_init(DriveSet *set)
{
    memset(set, 0, sizeof(*set));
    set->devices = g_ptr_array_new_with_free_func(g_free);
}

void drive_set_clear(DriveSet *set)
{
    g_clear_pointer(&set->devices, g_ptr_array_unref);
}

static bool find_interface(const char *name, DriveInterface *interface, GError **error)
{
    g_autofree char *hint = NULL;

    for (unsigned i = 0; i < N_DRIVE_INTERFACES; i++) {
        if (!strcmp(name, interface_names[i])) {
            *interface = i;
            return true;
        }
    }
    if (g_strv_contains(foreign_interfaces, name)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-drive: if=%s: no machine has such a bus yet", name);
        return false;
    }
    hint = suggest_text(name, interface_names);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "-drive: if=%s: unknown interface%s", name, hint);
    return false;
}

/* The index given, or the lowest free one. */
static bool choose_index(DriveParser *p, const KeyVals *kv, DriveInterface interface,
                         uint64_t *index, GError **error)
{
    bool given = keyvals_get(kv, "index") || keyvals_get(kv, "unit");

    *index = 0;
    if (!keyvals_get_uint(kv, "-drive", "index", 0, MAX_INDEX, index, error) ||
        !keyvals_get_uint(kv, "-drive", "unit", 0, MAX_INDEX, index, error)) {
        return false;
    }
    while (!given && (p->used[interface] >> *index & 1) && *index < MAX_INDEX) {
        ++*index;
    }
    if (p->used[interface] >> *index & 1) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-drive: if=%s,index=%u is given twice", interface_names[interface],
                    (unsigned)*index);
        return false;
    }
    p->used[interface] |= 1ull << *index;
    return true;
}

static bool check_value(const KeyVals *kv, const char *key, const char *const *allowed,
                        GError **error)
{
    const char *value = keyvals_get(kv, key);
    g_autofree char *hint = NULL;

    if (!value || g_strv_contains(allowed, value)) {
        return true;
    }
    hint = suggest_text(value, allowed);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "-drive: %s=%s: unknown value%s",
                key, value, hint);
    return false;
}

/* Keys that choose among host mechanisms: known values are accepted, also of those that are not there. */
static bool check_tuning(const KeyVals *kv, GError **error)
{
    static const char *const caches[] = { "none",       "writeback", "writethrough",
                                          "directsync", "unsafe",    NULL };
    static const char *const aios[] = { "threads", "native", "io_uring", NULL };
    static const char *const discards[] = { "ignore", "off", "unmap", "on", NULL };
    static const char *const medias[] = { "disk", "cdrom", NULL };

    return check_value(kv, "cache", caches, error) && check_value(kv, "aio", aios, error) &&
           check_value(kv, "discard", discards, error) && check_value(kv, "media", medias, error);
}

static bool use_drive(DriveParser *p, DriveInterface interface, unsigned index, const char *id,
                      BlockBackend *blk, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(id, ",", -1);
    g_autofree char *quoted = g_strjoinv(",,", parts);

    if (interface == DRIVE_VIRTIO) {
        g_ptr_array_add(p->set->devices, g_strdup_printf("virtio-blk-device,drive=%s", quoted));
    } else if (interface == DRIVE_PFLASH) {
        if (index >= N_PFLASH) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "-drive: if=pflash,index=%u: there are only %d flash banks", index,
                        N_PFLASH);
            return false;
        }
        p->set->pflash[index] = blk;
    }
    return true;
}

BlockAio drive_find_aio(const char *name)
{
    return !g_strcmp0(name, "threads")    ? BLOCK_AIO_THREADS
           : !g_strcmp0(name, "io_uring") ? BLOCK_AIO_URING
                                          : BLOCK_AIO_DEFAULT;
}

static bool is_one_of(const char *text, const char *a, const char *b)
{
    return text && (!strcmp(text, a) || !strcmp(text, b));
}

static void set_cache(BlockOptions *block, const char *mode)
{
    block->cache_unsafe = is_one_of(mode, "unsafe", "unsafe");
    block->cache_direct = is_one_of(mode, "none", "directsync");
    block->cache_writethrough = is_one_of(mode, "writethrough", "directsync");
}

/* Limits by QEMU's new and old names. */
static const char *const limit_keys[N_BLOCK_LIMITS][2] = {
    [BLOCK_BPS_TOTAL] = { "throttling.bps-total", "bps" },
    [BLOCK_BPS_READ] = { "throttling.bps-read", "bps_rd" },
    [BLOCK_BPS_WRITE] = { "throttling.bps-write", "bps_wr" },
    [BLOCK_IOPS_TOTAL] = { "throttling.iops-total", "iops" },
    [BLOCK_IOPS_READ] = { "throttling.iops-read", "iops_rd" },
    [BLOCK_IOPS_WRITE] = { "throttling.iops-write", "iops_wr" },
};

static bool set_limits(BlockOptions *block, const KeyVals *kv, GError **error)
{
    for (unsigned n = 0; n < N_BLOCK_LIMITS; n++) {
        for (unsigned i = 0; i < 2; i++) {
            const char *key = limit_keys[n][i], *text = keyvals_get(kv, key);

            if (text && !size_parse(text, 'b', key, &block->limits[n], error)) {
                g_prefix_error(error, "-drive: ");
                return false;
            }
        }
    }
    return true;
}

static bool set_error_action(const KeyVals *kv, const char *key, BlockErrorAction *action,
                             GError **error)
{
    static const char *const names[] = { [BLOCK_ERROR_REPORT] = "report",
                                         [BLOCK_ERROR_IGNORE] = "ignore",
                                         [BLOCK_ERROR_STOP] = "stop",
                                         [BLOCK_ERROR_ENOSPC] = "enospc",
                                         NULL };
    const char *value = keyvals_get(kv, key);

    for (unsigned i = 0; value && names[i]; i++) {
        if (!strcmp(value, names[i])) {
            *action = i;
        }
    }
    return check_value(kv, key, names, error);
}

/* Options of the node, or of those below it. */
static bool is_of_node(const char *key)
{
    return !strcmp(key, "driver") || (strchr(key, '.') && !g_str_has_prefix(key, "throttling."));
}

/* Refuses what neither @allowed nor the node may know, and gives @dict the node's. */
static bool check_keys(KeyVals *kv, const char *const *allowed, NodeDict *dict, GError **error)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new();

    for (const char *const *key = allowed; *key; key++) {
        g_ptr_array_add(all, (void *)*key);
    }
    for (unsigned i = 0; i < keyvals_count(kv); i++) {
        const char *key = keyvals_key(kv, i);

        if (is_of_node(key)) {
            g_ptr_array_add(all, (void *)key);
            node_dict_set(dict, key, keyvals_value(kv, i));
        }
    }
    g_ptr_array_add(all, NULL);
    return keyvals_check(kv, "-drive", (const char *const *)all->pdata, error);
}

static bool open_drive(DriveParser *p, const char *text, bool snapshot, GError **error)
{
    static const char *const allowed[] = { "file",
                                           "format",
                                           "if",
                                           "id",
                                           "readonly",
                                           "read-only",
                                           "snapshot",
                                           "cache",
                                           "index",
                                           "unit",
                                           "bus",
                                           "media",
                                           "aio",
                                           "discard",
                                           "werror",
                                           "rerror",
                                           "throttling.bps-total",
                                           "bps",
                                           "throttling.bps-read",
                                           "bps_rd",
                                           "throttling.bps-write",
                                           "bps_wr",
                                           "throttling.iops-total",
                                           "iops",
                                           "throttling.iops-read",
                                           "iops_rd",
                                           "throttling.iops-write",
                                           "iops_wr",
                                           NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, "file");
    g_autoptr(NodeDict) dict = node_dict_new();
    BlockOptions block = { .snapshot = snapshot, .on_write_error = BLOCK_ERROR_ENOSPC };
    DriveInterface interface = DRIVE_VIRTIO;
    g_autofree char *own_id = NULL;
    uint64_t index;
    BlockBackend *blk;

    if (!check_keys(kv, allowed, dict, error) || !check_tuning(kv, error) ||
        (keyvals_get(kv, "if") && !find_interface(keyvals_get(kv, "if"), &interface, error)) ||
        !choose_index(p, kv, interface, &index, error)) {
        return false;
    }
    block.file = keyvals_get(kv, "file");
    block.dict = dict;
    if ((!block.file || !*block.file) && !node_dict_count(dict)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "-drive %s: file= is missing",
                    text);
        return false;
    }
    own_id = g_strdup_printf("%s%u", interface_names[interface], (unsigned)index);
    block.id = keyvals_get(kv, "id") ? keyvals_get(kv, "id") : own_id;
    block.format = keyvals_get(kv, "format");
    set_cache(&block, keyvals_get(kv, "cache"));
    block.discard = is_one_of(keyvals_get(kv, "discard"), "unmap", "on");
    block.aio = drive_find_aio(keyvals_get(kv, "aio"));
    block.readonly = !g_strcmp0(keyvals_get(kv, "media"), "cdrom");
    if (!set_limits(&block, kv, error) ||
        !set_error_action(kv, "rerror", &block.on_read_error, error) ||
        !set_error_action(kv, "werror", &block.on_write_error, error) ||
        !keyvals_get_bool(kv, "-drive", "readonly", &block.readonly, error) ||
        !keyvals_get_bool(kv, "-drive", "read-only", &block.readonly, error) ||
        !keyvals_get_bool(kv, "-drive", "snapshot", &block.snapshot, error)) {
        return false;
    }
    if (block_find(block.id)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "-drive: id=%s is given twice",
                    block.id);
        return false;
    }
    blk = block_open(&block, error);
    if (!blk) {
        g_prefix_error(error, "-drive: ");
        return false;
    }
    return use_drive(p, interface, index, block.id, blk, error);
}

/* ---- Errors of the host ---- */

static void stop_for_error(const BlockBackend *blk, const char *what, int err)
{
    vm_request_stop("io-error",
                    g_strdup_printf("drive %s (%s): a %s failed: %s; the machine is stopped, the "
                                    "monitor's cont tries again",
                                    block_id(blk), block_file(blk), what, g_strerror(err)));
}

static void on_change(void *opaque, bool running)
{
    bool mine = !machine_lock_held();
    BlockBackend *blk;

    if (!running) {
        return;
    }
    if (mine) {
        machine_lock();
    }
    for (unsigned i = 0; (blk = block_nth(i)); i++) {
        block_retry_held(blk);
    }
    if (mine) {
        machine_unlock();
    }
}

bool drives_open(const Options *opts, DriveSet *set, GError **error)
{
    DriveParser parser = { .set = set };

    block_set_stop_handler(stop_for_error);
    vm_add_change_handler(on_change, NULL);
    for (unsigned i = 0; i < opts->drives->len; i++) {
        if (!open_drive(&parser, g_ptr_array_index(opts->drives, i), opts->snapshot, error)) {
            return false;
        }
    }
    return true;
}
