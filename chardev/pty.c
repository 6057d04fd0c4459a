/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new pseudo-terminal, whose name is told on standard error. Its far side comes and goes as
 * programs open and close it: the master then polls as hung up, which a timer watches until
 * somebody opens it again. While nobody has it open, output is dropped, as with a disconnected
 * socket.
 */
#include "chardev/chardev-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

enum { WATCH_MS = 200 };

typedef struct ChardevPty {
    Chardev base;
    int master;
    guint timer;
} ChardevPty;
typedef ChardevClass ChardevPtyClass;

GType chardev_pty_get_type(void);
G_DEFINE_TYPE(ChardevPty, chardev_pty, CHARDEV_TYPE)

static bool has_peer(ChardevPty *pty)
{
    struct pollfd p = { .fd = pty->master, .events = POLLIN };

    return poll(&p, 1, 0) >= 0 && !(p.revents & POLLHUP);
}

static gboolean on_watch(gpointer data)
{
    ChardevPty *pty = data;

    if (!has_peer(pty)) {
        return G_SOURCE_CONTINUE;
    }
    pty->timer = 0;
    stream_open(&pty->base, pty->master, pty->master);
    chardev_send_event(&pty->base, CHARDEV_OPENED);
    return G_SOURCE_REMOVE;
}

static void pty_hangup(Chardev *chr)
{
    ChardevPty *pty = (ChardevPty *)chr;

    stream_close(chr, false);
    pty->timer = g_timeout_add(WATCH_MS, on_watch, pty);
    chardev_send_event(chr, CHARDEV_CLOSED);
}

static bool pty_open(Chardev *chr, const KeyVals *opts, GError **error)
{
    ChardevPty *pty = (ChardevPty *)chr;
    char name[64];
    int slave;
    struct termios mode;

    if (openpty(&pty->master, &slave, name, NULL, NULL) != 0) {
        pty->master = -1;
        chardev_set_error(chr, error, errno, "cannot make a pseudo-terminal");
        return false;
    }
    tcgetattr(slave, &mode);
    cfmakeraw(&mode);
    tcsetattr(slave, TCSANOW, &mode);
    /* From this close on the master is hung up until somebody opens the slave. */
    close(slave);
    fcntl(pty->master, F_SETFL, O_NONBLOCK);
    fcntl(pty->master, F_SETFD, FD_CLOEXEC);
    pty->timer = g_timeout_add(WATCH_MS, on_watch, pty);
    chr->label = g_strdup_printf("pty:%s", name);
    g_printerr("char device redirected to %s (label %s)\n", name, chr->id);
    return true;
}

static void pty_close(Chardev *chr)
{
    ChardevPty *pty = (ChardevPty *)chr;

    g_clear_handle_id(&pty->timer, g_source_remove);
    stream_close(chr, false);
    if (pty->master >= 0) {
        close(pty->master);
    }
}

static void chardev_pty_class_init(ChardevPtyClass *klass)
{
    klass->kind = "pty";
    klass->desc = "a new pseudo-terminal; its name is printed";
    klass->open = pty_open;
    klass->close = pty_close;
    klass->hangup = pty_hangup;
}

static void chardev_pty_init(ChardevPty *pty)
{
    pty->master = -1;
}
