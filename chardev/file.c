/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The chardevs that only open descriptors: null (output is dropped, no input), file (output to a
 * file) and pipe (a FIFO, or two: PATH.in, which the guest reads, and PATH.out).
 */
#include "chardev/chardev-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

typedef Chardev ChardevNull;
typedef Chardev ChardevFile;
typedef Chardev ChardevPipe;
typedef ChardevClass ChardevNullClass;
typedef ChardevClass ChardevFileClass;
typedef ChardevClass ChardevPipeClass;

G_DEFINE_TYPE(ChardevNull, chardev_null, CHARDEV_TYPE)
G_DEFINE_TYPE(ChardevFile, chardev_file, CHARDEV_TYPE)
G_DEFINE_TYPE(ChardevPipe, chardev_pipe, CHARDEV_TYPE)

static bool null_open(Chardev *chr, const KeyVals *opts, GError **error)
{
    return true;
}

static bool null_is_open(Chardev *chr)
{
    return true;
}

static void chardev_null_class_init(ChardevNullClass *klass)
{
    klass->kind = "null";
    klass->desc = "drops all output";
    klass->open = null_open;
    klass->is_open = null_is_open;
}

static void chardev_null_init(ChardevNull *chr)
{
}

static const char *require_path(Chardev *chr, const KeyVals *opts, GError **error)
{
    const char *path = keyvals_get(opts, "path");

    if (!path || !*path) {
        chardev_set_error(chr, error, 0, "path= is missing");
        return NULL;
    }
    return path;
}

static bool file_open(Chardev *chr, const KeyVals *opts, GError **error)
{
    const char *path = require_path(chr, opts, error);
    bool append = false;

    if (!path || !keyvals_get_bool(opts, chr->id, "append", &append, error)) {
        return false;
    }
    chr->fd_out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    if (chr->fd_out < 0) {
        chardev_set_error(chr, error, errno, "%s", path);
        return false;
    }
    chr->flush_forever = true;
    chr->label = g_strdup_printf("file:%s", path);
    return true;
}

static void chardev_file_class_init(ChardevFileClass *klass)
{
    static const char *const options[] = { "path", "append", NULL };

    klass->kind = "file";
    klass->desc = "output to a file: path=FILE[,append=on|off]";
    klass->options = options;
    klass->open = file_open;
}

static void chardev_file_init(ChardevFile *chr)
{
}

/* Read and write, so that neither end waits for or ends with the peer. */
static int open_fifo(const char *path)
{
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static bool pipe_open(Chardev *chr, const KeyVals *opts, GError **error)
{
    const char *path = require_path(chr, opts, error);
    g_autofree char *in = g_strdup_printf("%s.in", path);
    g_autofree char *out = g_strdup_printf("%s.out", path);

    if (!path) {
        return false;
    }
    chr->fd_in = open_fifo(in);
    chr->fd_out = open_fifo(out);
    if (chr->fd_in < 0 || chr->fd_out < 0) {
        stream_close(chr, true);
        chr->fd_in = chr->fd_out = open_fifo(path);
    }
    if (chr->fd_in < 0) {
        chardev_set_error(chr, error, errno, "pipe %s (nor %s and %s)", path, in, out);
        return false;
    }
    chr->label = g_strdup_printf("pipe:%s", path);
    return true;
}

static void chardev_pipe_class_init(ChardevPipeClass *klass)
{
    static const char *const options[] = { "path", NULL };

    klass->kind = "pipe";
    klass->desc = "existing FIFOs: path=PATH uses PATH.in and PATH.out, or PATH for both";
    klass->options = options;
    klass->open = pipe_open;
}

static void chardev_pipe_init(ChardevPipe *chr)
{
}
