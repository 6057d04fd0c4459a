/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The chardev base class, the list of kinds, the registry of back ends by id, and the two spellings
 * that make one: -chardev's "kind,key=value,..." and -serial's short forms ("tcp:host:port,server",
 * "mon:stdio"), which are rewritten into the first.
 *
 * The public functions dispatch to the class; what a plain stream does is in stream.c.
 */
#include "chardev/chardev-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "util/suggest.h"

static GType (*const kinds[])(void) = {
    chardev_file_get_type, chardev_null_get_type,   chardev_pipe_get_type,
    chardev_pty_get_type,  chardev_socket_get_type, chardev_stdio_get_type,
};

static const char *const common_options[] = { "mux", "logfile", "logappend", NULL };

static GPtrArray *registry; /* of Chardev *, in order of creation */
static void (*lock_hook)(void);
static void (*unlock_hook)(void);

G_DEFINE_ABSTRACT_TYPE(Chardev, chardev, G_TYPE_OBJECT)

void chardev_set_lock(void (*lock)(void), void (*unlock)(void))
{
    lock_hook = lock;
    unlock_hook = unlock;
}

void chardev_lock_frontend(const ChardevFrontend *frontend)
{
    if (!frontend->no_lock && lock_hook) {
        lock_hook();
    }
}

void chardev_unlock_frontend(const ChardevFrontend *frontend)
{
    if (!frontend->no_lock && unlock_hook) {
        unlock_hook();
    }
}

void chardev_send_event(Chardev *chr, ChardevEvent event)
{
    const ChardevFrontend *fe = chr->frontend;

    if (fe && fe->event) {
        chardev_lock_frontend(fe);
        fe->event(chr->opaque, event);
        chardev_unlock_frontend(fe);
    }
}

void chardev_set_error(const Chardev *chr, GError **error, int err, const char *format, ...)
{
    va_list ap;
    g_autofree char *text = NULL;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_set_error(error, G_FILE_ERROR, err ? g_file_error_from_errno(err) : G_FILE_ERROR_FAILED,
                "chardev %s: %s%s%s", chr->id, text, err ? ": " : "", err ? g_strerror(err) : "");
}

/* ---- Base class ---- */

static bool stream_is_open(Chardev *chr)
{
    return chr->fd_out >= 0 || chr->fd_in >= 0;
}

static void chardev_finalize(GObject *object)
{
    Chardev *chr = CHARDEV(object);

    if (CHARDEV_GET_CLASS(chr)->close) {
        CHARDEV_GET_CLASS(chr)->close(chr);
    }
    stream_close(chr, true);
    if (chr->log_fd >= 0) {
        close(chr->log_fd);
    }
    g_byte_array_unref(chr->queue);
    g_mutex_clear(&chr->lock);
    g_free(chr->id);
    g_free(chr->label);
    G_OBJECT_CLASS(chardev_parent_class)->finalize(object);
}

static void chardev_class_init(ChardevClass *klass)
{
    static const char *const no_options[] = { NULL };

    G_OBJECT_CLASS(klass)->finalize = chardev_finalize;
    klass->options = no_options;
    klass->is_open = stream_is_open;
    klass->attach = stream_attach;
    klass->detach = stream_detach;
    klass->write = stream_write;
    klass->has_room = stream_has_room;
    klass->accept_input = stream_accept_input;
    klass->flush = stream_flush;
}

static void chardev_init(Chardev *chr)
{
    g_mutex_init(&chr->lock);
    chr->fd_in = chr->fd_out = chr->log_fd = -1;
    chr->queue = g_byte_array_new();
}

/* ---- Making one ---- */

/* The class stays referenced: there are only a few. */
static ChardevClass *kind_class(unsigned i)
{
    return CHARDEV_CLASS(g_type_class_ref(kinds[i]()));
}

static ChardevClass *find_kind(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!strcmp(kind_class(i)->kind, name)) {
            return kind_class(i);
        }
    }
    return NULL;
}

static bool set_unknown_kind(const char *id, const char *name, GError **error)
{
    const char *names[G_N_ELEMENTS(kinds) + 1] = {};
    g_autofree char *hint = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        names[i] = kind_class(i)->kind;
    }
    hint = suggest_text(name, names);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "chardev %s: unknown kind '%s'%s",
                id, name, hint);
    return false;
}

static bool open_log(Chardev *chr, const KeyVals *kv, GError **error)
{
    const char *file = keyvals_get(kv, "logfile");
    bool append = false;

    if (!keyvals_get_bool(kv, chr->id, "logappend", &append, error)) {
        return false;
    }
    if (file) {
        chr->log_fd =
            open(file, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
        if (chr->log_fd < 0) {
            chardev_set_error(chr, error, errno, "logfile %s", file);
            return false;
        }
    }
    return true;
}

static bool check_options(const ChardevClass *klass, const char *id, KeyVals *kv, GError **error)
{
    g_autoptr(GPtrArray) allowed = g_ptr_array_new();
    g_autofree char *what = g_strdup_printf("chardev %s", id);

    g_ptr_array_add(allowed, (void *)"backend");
    for (const char *const *p = klass->options; *p; p++) {
        g_ptr_array_add(allowed, (void *)*p);
    }
    for (const char *const *p = common_options; *p; p++) {
        g_ptr_array_add(allowed, (void *)*p);
    }
    g_ptr_array_add(allowed, NULL);
    return keyvals_check(kv, what, (const char *const *)allowed->pdata, error);
}

/* A back end of "kind,key=value,...", behind a mux with mux=on. */
static Chardev *create(const char *id, const char *spec, bool force_mux, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(spec, "backend");
    const char *kind = keyvals_get(kv, "backend");
    ChardevClass *klass = kind ? find_kind(kind) : NULL;
    g_autoptr(GObject) object = NULL;
    bool mux = force_mux;
    Chardev *chr;

    if (!klass) {
        set_unknown_kind(id, kind ? kind : "", error);
        return NULL;
    }
    if (!check_options(klass, id, kv, error) || !keyvals_get_bool(kv, id, "mux", &mux, error)) {
        return NULL;
    }
    object = g_object_new(G_TYPE_FROM_CLASS(klass), NULL);
    chr = CHARDEV(object);
    chr->id = g_strdup(id);
    chr->behind_mux = mux;
    if (!open_log(chr, kv, error) || !klass->open(chr, kv, error)) {
        return NULL;
    }
    g_steal_pointer(&object);
    if (!chr->label) {
        chr->label = g_strdup(kind);
    }
    return mux ? chardev_mux_new(id, chr) : chr;
}

static char *double_commas(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    return g_strjoinv(",,", parts);
}

/* "tcp:host:port,opts" -> "socket,host=host,port=port,opts". NULL: no port. */
static char *expand_tcp(const char *rest)
{
    g_auto(GStrv) parts = g_strsplit(rest, ",", 2);
    const char *colon = parts[0] ? strrchr(parts[0], ':') : NULL;

    if (!colon) {
        return NULL;
    }
    return g_strdup_printf("socket,host=%.*s,port=%s%s%s", (int)(colon - parts[0]), parts[0],
                           colon + 1, parts[1] ? "," : "", parts[1] ? parts[1] : "");
}

/* The long form of a short form of -serial, or a copy of what is no short form. */
static char *expand_short_form(const char *spec)
{
    const char *rest = strchr(spec, ':');
    const char *comma = strchr(spec, ',');
    char *expanded = NULL;

    if (rest && !(comma && comma < rest)) {
        rest++;
        if (g_str_has_prefix(spec, "file:") || g_str_has_prefix(spec, "pipe:")) {
            g_autofree char *path = double_commas(rest);

            expanded = g_strdup_printf("%.4s,path=%s", spec, path);
        } else if (g_str_has_prefix(spec, "unix:")) {
            expanded = g_strdup_printf("socket,path=%s", rest);
        } else if (g_str_has_prefix(spec, "tcp:")) {
            expanded = expand_tcp(rest);
        }
    }
    return expanded ? expanded : g_strdup(spec);
}

static bool use_existing(const char *id, Chardev **out, GError **error)
{
    *out = chardev_find(id);
    if (!*out) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "chardev:%s: no -chardev has this id", id);
    }
    return *out != NULL;
}

bool chardev_new(const char *id, const char *spec, Chardev **out, GError **error)
{
    bool mon = g_str_has_prefix(spec, "mon:");
    g_autofree char *full = expand_short_form(mon ? spec + 4 : spec);

    *out = NULL;
    if (!strcmp(spec, "none")) {
        return true;
    }
    if (g_str_has_prefix(spec, "chardev:")) {
        return use_existing(spec + 8, out, error);
    }
    if (chardev_find(id)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "chardev %s: the id is given twice", id);
        return false;
    }
    *out = create(id, full, mon, error);
    if (!*out) {
        return false;
    }
    if (!registry) {
        registry = g_ptr_array_new_with_free_func(g_object_unref);
    }
    g_ptr_array_add(registry, *out);
    return true;
}

Chardev *chardev_find(const char *id)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        Chardev *chr = g_ptr_array_index(registry, i);

        if (!strcmp(chr->id, id)) {
            return chr;
        }
    }
    return NULL;
}

/* ---- Dispatch ---- */

bool chardev_attach(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error)
{
    return CHARDEV_GET_CLASS(chr)->attach(chr, frontend, opaque, error);
}

void chardev_detach(Chardev *chr, void *opaque)
{
    CHARDEV_GET_CLASS(chr)->detach(chr, opaque);
}

size_t chardev_write(Chardev *chr, const void *buf, size_t len)
{
    return CHARDEV_GET_CLASS(chr)->write(chr, buf, len);
}

bool chardev_has_room(Chardev *chr)
{
    return CHARDEV_GET_CLASS(chr)->has_room(chr);
}

void chardev_accept_input(Chardev *chr)
{
    CHARDEV_GET_CLASS(chr)->accept_input(chr);
}

void chardev_flush_all(void)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        Chardev *chr = g_ptr_array_index(registry, i);

        CHARDEV_GET_CLASS(chr)->flush(chr);
    }
}

void chardev_hurry(void)
{
    stream_give_up_waiting();
}

void chardev_cleanup(void)
{
    g_clear_pointer(&registry, g_ptr_array_unref);
}

void chardev_list(GString *out)
{
    g_string_append(out, "Character back ends (-chardev KIND,id=ID[,PROP=VALUE...]):\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_string_append_printf(out, "  %-10s %s\n", kind_class(i)->kind, kind_class(i)->desc);
    }
    g_string_append(out, "Every kind also takes mux=on|off, logfile=FILE and logappend=on|off.\n");
}

bool chardev_has_sockets(void)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        if (!strcmp(CHARDEV_GET_CLASS(g_ptr_array_index(registry, i))->kind, "socket")) {
            return true;
        }
    }
    return false;
}

void chardev_info(GString *out)
{
    for (unsigned i = 0; registry && i < registry->len; i++) {
        Chardev *chr = g_ptr_array_index(registry, i);

        g_string_append_printf(out, "%s: %s%s\n", chr->id, chr->label,
                               CHARDEV_GET_CLASS(chr)->is_open(chr) ? "" : " (disconnected)");
    }
}
