/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * blkdebug: faults on purpose, for tests. Drivers tell the node below them what they are about to do (node_event()); rules say which
 * events make a number of the following requests fail, and break points at which events a request stops until it is told to go on.
 *
 * A rule to inject errors becomes active by its event, while the node is in its state, and takes the place of those that were active
 * before; "none" happens once, when the node is opened. An active rule lets requests fail that it fits, the first one only if it is "once".
 */
#include "block/filter.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "block/block-priv.h"
#include "block/options.h"
#include "util/size.h"

enum { IO_READ = 1, IO_WRITE = 2, IO_ZEROES = 4, IO_DISCARD = 8, IO_FLUSH = 16, IO_STATUS = 32 };

typedef struct Rule {
    bool sets_state, once, active;
    char *event;
    unsigned state, new_state; /* 0: any */
    int err;
    int64_t sector; /* -1: any */
    unsigned requests;
} Rule;

typedef struct Stop {
    char *event, *tag;
} Stop;

typedef struct Debug {
    GMutex lock;
    GCond cond;
    GPtrArray *rules; /* Rule */
    GPtrArray *stops; /* Stop: not reached yet */
    GPtrArray *stuck; /* tags of requests that stand still; a name is taken out to let one go on */
    unsigned state;
    uint64_t align; /* of the requests that it would take as a device */
} Debug;

/* ---- Rules ---- */

static void free_rule(gpointer data)
{
    Rule *rule = data;

    g_free(rule->event);
    g_free(rule);
}

static void free_stop(gpointer data)
{
    Stop *stop = data;

    g_free(stop->event);
    g_free(stop->tag);
    g_free(stop);
}

static unsigned requests_of(const char *name)
{
    static const struct {
        const char *name;
        unsigned requests;
    } names[] = { { "read", IO_READ },       { "write", IO_WRITE }, { "write-zeroes", IO_ZEROES },
                  { "discard", IO_DISCARD }, { "flush", IO_FLUSH }, { "block-status", IO_STATUS } };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!g_strcmp0(name, names[i].name)) {
            return names[i].requests;
        }
    }
    return IO_READ | IO_WRITE | IO_ZEROES | IO_DISCARD | IO_FLUSH;
}

static uint64_t take_number(NodeDict *dict, const char *key, uint64_t value)
{
    const char *text = node_dict_take(dict, key);

    if (text && !strcmp(text, "-1")) {
        return UINT64_MAX;
    }
    if (text) {
        keyval_parse_uint(text, &value);
    }
    return value;
}

static bool add_rule(Debug *d, NodeDict *dict, bool sets_state, GError **error)
{
    const char *event = node_dict_take(dict, "event");
    Rule *rule;
    bool ignored = false;

    if (!event) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "Missing event name for rule");
        return false;
    }
    rule = g_new0(Rule, 1);
    rule->event = g_strdup(event);
    rule->sets_state = sets_state;
    rule->state = (unsigned)take_number(dict, "state", 0);
    rule->new_state = (unsigned)take_number(dict, "new_state", 0);
    rule->err = (int)take_number(dict, "errno", EIO);
    rule->sector = (int64_t)take_number(dict, "sector", UINT64_MAX);
    rule->requests = requests_of(node_dict_take(dict, "iotype"));
    g_ptr_array_add(d->rules, rule);
    return node_dict_take_bool(dict, "once", &rule->once, error) &&
           node_dict_take_bool(dict, "immediately", &ignored, error);
}

/* Lists of rules: "inject-error.0.event", ... */
static bool take_list(Debug *d, NodeDict *dict, const char *name, bool sets_state, GError **error)
{
    for (unsigned i = 0;; i++) {
        g_autofree char *prefix = g_strdup_printf("%s.%u.", name, i);
        g_autoptr(NodeDict) below = node_dict_take_below(dict, prefix);

        if (!node_dict_count(below)) {
            return true;
        }
        if (!add_rule(d, below, sets_state, error)) {
            return false;
        }
    }
}

/* [inject-error] or [set-state], and lines key = "value". */
static bool read_config(Debug *d, const char *file, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    g_autoptr(NodeDict) dict = node_dict_new();
    bool sets_state = false, ok = true;

    if (!g_file_get_contents(file, &text, NULL, error)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i] && ok; i++) {
        char *line = g_strstrip(lines[i]), *equals = strchr(line, '=');

        if (*line == '[') {
            ok = !node_dict_count(dict) || add_rule(d, dict, sets_state, error);
            sets_state = !strcmp(line, "[set-state]");
        } else if (*line != '#' && equals) {
            char *value;

            *equals = '\0';
            value = g_strstrip(equals + 1);
            if (*value == '"') {
                value++;
                value[strcspn(value, "\"")] = '\0';
            }
            node_dict_set(dict, g_strchomp(line), value);
        }
    }
    return ok && (!node_dict_count(dict) || add_rule(d, dict, sets_state, error));
}

/* With the lock held. */
static void apply_event(Debug *d, const char *event)
{
    unsigned state = d->state;
    bool injected = false;

    for (unsigned i = 0; i < d->rules->len; i++) {
        Rule *rule = g_ptr_array_index(d->rules, i);

        if (strcmp(rule->event, event) || (rule->state && rule->state != state)) {
            continue;
        }
        if (rule->sets_state) {
            d->state = rule->new_state;
            continue;
        }
        for (unsigned j = 0; !injected && j < d->rules->len; j++) {
            ((Rule *)g_ptr_array_index(d->rules, j))->active = false;
        }
        injected = true;
        rule->active = true;
    }
}

static bool is_stuck(const Debug *d, const char *tag)
{
    for (unsigned i = 0; i < d->stuck->len; i++) {
        if (!strcmp(g_ptr_array_index(d->stuck, i), tag)) {
            return true;
        }
    }
    return false;
}

/* With the lock held, which is left meanwhile. */
static void stop_at(Debug *d, const char *event)
{
    for (unsigned i = 0; i < d->stops->len; i++) {
        Stop *stop = g_ptr_array_index(d->stops, i);
        char *tag;

        if (strcmp(stop->event, event)) {
            continue;
        }
        tag = g_strdup(stop->tag);
        g_ptr_array_remove_index(d->stops, i);
        g_ptr_array_add(d->stuck, tag);
        printf("blkdebug: Suspended request '%s'\n", tag);
        fflush(stdout);
        g_cond_broadcast(&d->cond);
        while (g_ptr_array_find(d->stuck, tag, NULL)) {
            g_cond_wait(&d->cond, &d->lock);
        }
        g_free(tag);
        return;
    }
}

static void debug_event(BlockNode *node, const char *event)
{
    Debug *d = node->priv;

    g_mutex_lock(&d->lock);
    apply_event(d, event);
    stop_at(d, event);
    g_mutex_unlock(&d->lock);
}

/* The error that a request gets; 0: none. */
static int fault(BlockNode *node, unsigned request, uint64_t offset, uint64_t bytes)
{
    Debug *d = node->priv;
    int err = 0;

    g_mutex_lock(&d->lock);
    for (unsigned i = 0; i < d->rules->len && !err; i++) {
        Rule *rule = g_ptr_array_index(d->rules, i);
        uint64_t at = (uint64_t)rule->sector * BLOCK_SECTOR;

        if (!rule->active || !(rule->requests & request) ||
            (rule->sector >= 0 && request != IO_FLUSH && (at < offset || at - offset >= bytes))) {
            continue;
        }
        err = -rule->err;
        if (rule->once) {
            g_ptr_array_remove_index(d->rules, i);
        }
    }
    g_mutex_unlock(&d->lock);
    return err;
}

/* ---- The driver ---- */

static void debug_free(Debug *d)
{
    g_mutex_clear(&d->lock);
    g_cond_clear(&d->cond);
    g_ptr_array_unref(d->rules);
    g_ptr_array_unref(d->stops);
    g_ptr_array_unref(d->stuck);
    g_free(d);
}

/* Limits that hosts' devices have; the requests are the same. */
static bool take_limits(Debug *d, NodeDict *dict, GError **error)
{
    const char *align = node_dict_take(dict, "align");
    static const char *const limits[] = { "max-transfer", "opt-write-zero", "max-write-zero",
                                          "opt-discard",  "max-discard",    "take-child-perms" };

    for (unsigned i = 0; i < G_N_ELEMENTS(limits); i++) {
        node_dict_take(dict, limits[i]);
    }
    d->align = 1;
    return !align || (size_parse(align, 'b', "align", &d->align, error) && d->align);
}

static bool debug_open(BlockNode *node, const NodeOptions *options, GError **error)
{
    const char *config = node_dict_take(options->dict, "config");
    Debug *d = g_new0(Debug, 1);

    d->rules = g_ptr_array_new_with_free_func(free_rule);
    d->stops = g_ptr_array_new_with_free_func(free_stop);
    d->stuck = g_ptr_array_new();
    d->state = 1;
    g_mutex_init(&d->lock);
    g_cond_init(&d->cond);
    if (!take_limits(d, options->dict, error) ||
        (config && *config && !read_config(d, config, error)) ||
        !take_list(d, options->dict, "inject-error", false, error) ||
        !take_list(d, options->dict, "set-state", true, error)) {
        debug_free(d);
        return false;
    }
    node->priv = d;
    apply_event(d, "none");
    filter_update(node);
    return true;
}

static int debug_close(BlockNode *node)
{
    debug_free(node->priv);
    return 0;
}

static int debug_read(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err = fault(node, IO_READ, offset, bytes);

    return err ? err : filter_read(node, offset, bytes, c);
}

/* Where a device would have to be read before it is written. */
static void misaligned_events(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    uint64_t align = ((const Debug *)node->priv)->align;

    if (offset % align) {
        debug_event(node, "pwritev_rmw_head");
        debug_event(node, "pwritev_rmw_after_head");
    }
    if ((offset + bytes) % align) {
        debug_event(node, "pwritev_rmw_tail");
        debug_event(node, "pwritev_rmw_after_tail");
    }
}

static int debug_write(BlockNode *node, uint64_t offset, uint64_t bytes, IovCursor *c)
{
    int err;

    misaligned_events(node, offset, bytes);
    debug_event(node, "pwritev");
    err = fault(node, IO_WRITE, offset, bytes);
    err = err ? err : filter_write(node, offset, bytes, c);
    debug_event(node, "pwritev_done");
    return err;
}

static int debug_write_zeroes(BlockNode *node, uint64_t offset, uint64_t bytes, bool unmap)
{
    int err = fault(node, IO_ZEROES, offset, bytes);

    return err ? err : filter_write_zeroes(node, offset, bytes, unmap);
}

static int debug_discard(BlockNode *node, uint64_t offset, uint64_t bytes)
{
    int err = fault(node, IO_DISCARD, offset, bytes);

    return err ? err : filter_discard(node, offset, bytes);
}

static int debug_flush(BlockNode *node)
{
    int err = fault(node, IO_FLUSH, 0, 0);

    return err ? err : filter_flush(node);
}

static int debug_status(BlockNode *node, uint64_t offset, uint64_t bytes, NodeStatus *status)
{
    int err = fault(node, IO_STATUS, offset, bytes);

    return err ? err : filter_status(node, offset, bytes, status);
}

const BlockDriver filter_blkdebug_driver = {
    .name = "blkdebug",
    .is_protocol = true,
    .open = debug_open,
    .close = debug_close,
    .read = debug_read,
    .write = debug_write,
    .write_zeroes = debug_write_zeroes,
    .discard = debug_discard,
    .flush = debug_flush,
    .status = debug_status,
    .truncate = filter_truncate,
    .event = debug_event,
};

/* ---- Break points ---- */

static Debug *debug_of(BlockNode *node)
{
    while (node && node->driver != &filter_blkdebug_driver) {
        node = node->file;
    }
    return node ? node->priv : NULL;
}

bool blkdebug_is_below(BlockNode *node)
{
    return debug_of(node) != NULL;
}

bool blkdebug_break(BlockNode *node, const char *event, const char *tag)
{
    Debug *d = debug_of(node);
    Stop *stop;

    if (!d) {
        return false;
    }
    stop = g_new0(Stop, 1);
    stop->event = g_strdup(event);
    stop->tag = g_strdup(tag);
    g_mutex_lock(&d->lock);
    g_ptr_array_add(d->stops, stop);
    g_mutex_unlock(&d->lock);
    return true;
}

/* With the lock held. */
static bool let_go(Debug *d, const char *tag)
{
    bool found = is_stuck(d, tag);

    for (unsigned i = 0; i < d->stuck->len;) {
        if (!strcmp(g_ptr_array_index(d->stuck, i), tag)) {
            printf("blkdebug: Resuming request '%s'\n", tag);
            g_ptr_array_remove_index(d->stuck, i);
        } else {
            i++;
        }
    }
    g_cond_broadcast(&d->cond);
    return found;
}

bool blkdebug_resume(BlockNode *node, const char *tag)
{
    Debug *d = debug_of(node);
    bool found;

    if (!d) {
        return false;
    }
    g_mutex_lock(&d->lock);
    found = let_go(d, tag);
    g_mutex_unlock(&d->lock);
    return found;
}

bool blkdebug_remove_break(BlockNode *node, const char *tag)
{
    Debug *d = debug_of(node);
    bool found = false;

    if (!d) {
        return false;
    }
    g_mutex_lock(&d->lock);
    for (unsigned i = 0; i < d->stops->len;) {
        if (!strcmp(((Stop *)g_ptr_array_index(d->stops, i))->tag, tag)) {
            g_ptr_array_remove_index(d->stops, i);
            found = true;
        } else {
            i++;
        }
    }
    found = let_go(d, tag) || found;
    g_mutex_unlock(&d->lock);
    return found;
}

bool blkdebug_is_suspended(BlockNode *node, const char *tag)
{
    Debug *d = debug_of(node);
    bool stuck;

    if (!d) {
        return false;
    }
    g_mutex_lock(&d->lock);
    stuck = is_stuck(d, tag);
    g_mutex_unlock(&d->lock);
    return stuck;
}
