/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of shared folders, and what -fsdev says of one. */
#define _GNU_SOURCE
#include "fsdev/fsdev-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "util/keyval.h"
#include "util/suggest.h"

void (*fsdev_lock)(void), (*fsdev_unlock)(void);
bool fsdev_synchronous;

static GPtrArray *folders; /* of Fsdev * */

static const char *const model_names[] = { "mapped-xattr", "mapped", "none", "passthrough", NULL };
static const FsModel models[] = { FS_MAPPED_XATTR, FS_MAPPED_XATTR, FS_NONE, FS_PASSTHROUGH };

static bool fail(GError **error, const char *what, const char *format, ...) G_GNUC_PRINTF(3, 4);
static bool fail(GError **error, const char *what, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: %s", what, text);
    return false;
}

static bool parse_model(const char *text, FsModel *model, const char *what, GError **error)
{
    g_autofree char *hint = NULL;

    for (unsigned i = 0; model_names[i]; i++) {
        if (!strcmp(text, model_names[i])) {
            *model = models[i];
            return true;
        }
    }
    if (!strcmp(text, "mapped-file")) {
        return fail(error, what,
                    "security_model=mapped-file: not supported (mapped-xattr keeps the same)");
    }
    hint = suggest_text(text, model_names);
    return fail(error, what, "security_model: '%s' is none of mapped-xattr, none, passthrough%s",
                text, hint);
}

/* Octal; @mode stays if @key is not given. */
static bool parse_mode(const KeyVals *kv, const char *key, mode_t *mode, const char *what,
                       GError **error)
{
    const char *text = keyvals_get(kv, key);
    char *end;
    unsigned long value;

    if (!text) {
        return true;
    }
    value = strtoul(text, &end, 8);
    if (!*text || *end || *text == '-' || value > 0777) {
        return fail(error, what, "%s: '%s' is not an octal number up to 777", key, text);
    }
    *mode = (mode_t)value;
    return true;
}

static bool parse(Fsdev *fs, KeyVals *kv, GError **error)
{
    const char *model = keyvals_get(kv, "security_model");
    const char *multidevs = keyvals_get(kv, "multidevs");

    if (!keyvals_get_bool(kv, fs->id, "readonly", &fs->readonly, error) ||
        !parse_model(model ? model : model_names[0], &fs->model, fs->id, error) ||
        !parse_mode(kv, "fmode", &fs->fmode, fs->id, error) ||
        !parse_mode(kv, "dmode", &fs->dmode, fs->id, error)) {
        return false;
    }
    if (fs->model != FS_MAPPED_XATTR && (keyvals_get(kv, "fmode") || keyvals_get(kv, "dmode"))) {
        return fail(error, fs->id, "fmode=, dmode=: only security_model=mapped-xattr has a use");
    }
    if (multidevs && strcmp(multidevs, "remap") != 0) {
        return fail(error, fs->id, "multidevs=%s: not supported (only remap is)", multidevs);
    }
    return true;
}

/* That the host can do all that will be needed. */
static bool check_host(const Fsdev *fs, const char *path, GError **error)
{
    g_autofree char *itself = g_strdup_printf("/proc/self/fd/%d", fs->root);
    int fd = local_find(fs, "");

    if (fd < 0) {
        return fail(error, fs->id, "path=%s: %s", path,
                    fd == -ENOSYS
                        ? "this host's kernel cannot confine a guest to a folder (openat2)"
                        : g_strerror(-fd));
    }
    close(fd);
    if (access(itself, F_OK) < 0) {
        return fail(error, fs->id, "/proc is needed: %s", g_strerror(errno));
    }
    if (fs->model == FS_MAPPED_XATTR && getxattr(itself, "user.virtfs.uid", NULL, 0) < 0 &&
        errno == EOPNOTSUPP) {
        return fail(error, fs->id,
                    "path=%s: its file system has no attributes user.*, which "
                    "security_model=mapped-xattr needs",
                    path);
    }
    return true;
}

/* Each file that a guest has open is a descriptor. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void fsdev_free(void *data)
{
    Fsdev *fs = data;

    if (fs->root >= 0) {
        close(fs->root);
    }
    g_free(fs->id);
    g_free(fs);
}

static bool open_folder(Fsdev *fs, KeyVals *kv, GError **error)
{
    const char *path = keyvals_get(kv, "path");

    if (!path) {
        return fail(error, fs->id, "path= is missing");
    }
    if (!parse(fs, kv, error)) {
        return false;
    }
    fs->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fs->root < 0) {
        return fail(error, fs->id, "path=%s: %s", path, g_strerror(errno));
    }
    return check_host(fs, path, error);
}

Fsdev *fsdev_new(const char *text, GError **error)
{
    static const char *const keys[] = { "fsdriver",       "id",        "path",
                                        "security_model", "readonly",  "fmode",
                                        "dmode",          "multidevs", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, "fsdriver");
    const char *driver = keyvals_get(kv, "fsdriver"), *id = keyvals_get(kv, "id");
    Fsdev *fs;

    if (!keyvals_check(kv, id ? id : text, keys, error)) {
        return NULL;
    }
    if (g_strcmp0(driver, "local") != 0) {
        fail(error, id ? id : text, "'%s' is no kind of shared folder (only local is)",
             driver ? driver : "");
        return NULL;
    }
    if (!id || fsdev_find(id)) {
        fail(error, id ? id : text, id ? "there is one with this id" : "id= is missing");
        return NULL;
    }
    fs = g_new(Fsdev, 1);
    *fs = (Fsdev){ .id = g_strdup(id), .root = -1, .fmode = 0600, .dmode = 0700 };
    if (!open_folder(fs, kv, error)) {
        fsdev_free(fs);
        return NULL;
    }
    raise_limit();
    if (!folders) {
        folders = g_ptr_array_new_with_free_func(fsdev_free);
    }
    g_ptr_array_add(folders, fs);
    return fs;
}

Fsdev *fsdev_find(const char *id)
{
    for (unsigned i = 0; folders && i < folders->len; i++) {
        Fsdev *fs = g_ptr_array_index(folders, i);

        if (!strcmp(fs->id, id)) {
            return fs;
        }
    }
    return NULL;
}

bool fsdev_exists(void)
{
    return folders && folders->len;
}

void fsdev_cleanup(void)
{
    g_clear_pointer(&folders, g_ptr_array_unref);
}

void fsdev_set_lock(void (*lock)(void), void (*unlock)(void))
{
    fsdev_lock = lock;
    fsdev_unlock = unlock;
}

void fsdev_set_synchronous(bool synchronous)
{
    fsdev_synchronous = synchronous;
}
