/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The byte stream below every chardev that has host descriptors: input by a GLib source in the main
 * thread, output straight to the descriptor with a queue for what it does not take.
 *
 * Output: a writer first tries the descriptor itself, so that what a guest prints is out before it
 * goes on. The rest is queued and written by a source. Above QUEUE_SOFT each write waits a little
 * for the reader, which slows a guest down to its terminal without ever holding the machine lock
 * for long; only above QUEUE_HARD it waits for as long as it takes.
 *
 * Input: the source is taken away while the front end takes nothing (poll would spin) and put back
 * by stream_accept_input().
 */
#include "chardev/chardev-priv.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <unistd.h>

enum {
    QUEUE_SOFT = 1 << 20,
    QUEUE_HARD = 64 << 20,
    WAIT_SLICE_MS = 50,
    FLUSH_LIMIT_MS = 2000,
    SMALL_WRITE = 256, /* what a terminal that polls as writable takes without blocking */
    READ_MAX = 4096,
};

static gint give_up; /* atomic */

void stream_give_up_waiting(void)
{
    g_atomic_int_set(&give_up, 1);
}

static bool wait_writable(int fd, int timeout_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, timeout_ms) > 0;
}

/* Writes what fd_out takes now. A dead descriptor takes everything (and is not asked again). `lock`
 * held. */
static size_t write_some(Chardev *chr, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len && chr->fd_out >= 0) {
        size_t n = len - done;

        if (chr->out_blocks) {
            if (!wait_writable(chr->fd_out, 0)) {
                break;
            }
            n = MIN(n, SMALL_WRITE);
        }
        ssize_t r = write(chr->fd_out, buf + done, n);

        if (r >= 0) {
            done += r;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR) {
            /* Not closed: it may be the process's stdout, whose number must stay taken. */
            chr->fd_out = -1;
        }
    }
    return chr->fd_out < 0 ? len : done;
}

/* `lock` held. */
static void drain(Chardev *chr)
{
    size_t n = write_some(chr, chr->queue->data, chr->queue->len);

    g_byte_array_remove_range(chr->queue, 0, n);
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer data)
{
    Chardev *chr = data;
    bool again = true;

    /* A waiting writer drains the queue itself. */
    if (g_mutex_trylock(&chr->lock)) {
        drain(chr);
        if (chr->queue->len == 0) {
            g_clear_pointer(&chr->out_source, g_source_unref);
            again = false;
        }
        g_mutex_unlock(&chr->lock);
    }
    return again;
}

/* `lock` held. */
static void watch_output(Chardev *chr)
{
    if (chr->queue->len && !chr->out_source && chr->fd_out >= 0) {
        chr->out_source = g_unix_fd_source_new(chr->fd_out, G_IO_OUT | G_IO_ERR | G_IO_HUP);
        g_source_set_callback(chr->out_source, G_SOURCE_FUNC(on_writable), chr, NULL);
        g_source_attach(chr->out_source, NULL);
    }
}

/* `lock` held. */
static void wait_for_reader(Chardev *chr)
{
    bool once = true;

    while (chr->fd_out >= 0 && !g_atomic_int_get(&give_up) &&
           (chr->queue->len > QUEUE_HARD || (once && chr->queue->len > QUEUE_SOFT))) {
        wait_writable(chr->fd_out, WAIT_SLICE_MS);
        drain(chr);
        once = false;
    }
}

static void write_log(Chardev *chr, const uint8_t *buf, size_t len)
{
    while (len && chr->log_fd >= 0) {
        ssize_t r = write(chr->log_fd, buf, len);

        if (r < 0 && errno != EINTR) {
            close(chr->log_fd);
            chr->log_fd = -1;
        } else if (r > 0) {
            buf += r;
            len -= r;
        }
    }
}

size_t stream_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    g_mutex_lock(&chr->lock);
    write_log(chr, buf, len);
    if (chr->fd_out >= 0) {
        size_t done = chr->queue->len ? 0 : write_some(chr, buf, len);

        g_byte_array_append(chr->queue, buf + done, len - done);
        if (chr->queue->len > QUEUE_SOFT) {
            wait_for_reader(chr);
        }
        watch_output(chr);
    }
    g_mutex_unlock(&chr->lock);
    return len;
}

bool stream_has_room(Chardev *chr)
{
    bool room;

    g_mutex_lock(&chr->lock);
    room = chr->queue->len <= QUEUE_SOFT;
    g_mutex_unlock(&chr->lock);
    return room;
}

void stream_flush(Chardev *chr)
{
    int waited = 0;

    g_mutex_lock(&chr->lock);
    while (chr->queue->len && chr->fd_out >= 0 &&
           (waited < FLUSH_LIMIT_MS || (chr->flush_forever && !g_atomic_int_get(&give_up)))) {
        waited += wait_writable(chr->fd_out, WAIT_SLICE_MS) ? 1 : WAIT_SLICE_MS;
        drain(chr);
    }
    g_mutex_unlock(&chr->lock);
}

/* ---- Input ---- */

static void stop_input(Chardev *chr, bool paused)
{
    g_mutex_lock(&chr->lock);
    chr->in_paused = paused;
    if (chr->in_source) {
        g_source_destroy(chr->in_source);
        g_clear_pointer(&chr->in_source, g_source_unref);
    }
    g_mutex_unlock(&chr->lock);
}

/* Reads and delivers once; false: end of input. The front end's lock is held from can_read to read,
 * so that what it said stays true, and so that chardev_accept_input() cannot slip between its
 * "nothing now" and our pausing. */
static bool read_once(Chardev *chr, const ChardevFrontend *fe)
{
    uint8_t buf[READ_MAX];
    size_t room = fe->can_read ? MIN(fe->can_read(chr->opaque), sizeof(buf)) : sizeof(buf);
    ssize_t n;

    if (room == 0) {
        stop_input(chr, true);
        return true;
    }
    n = read(chr->fd_in, buf, room);
    if (n > 0) {
        fe->read(chr->opaque, buf, n);
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    Chardev *chr = data;
    const ChardevFrontend *fe = chr->frontend;
    bool alive;

    if (!fe) {
        stop_input(chr, false);
        return G_SOURCE_REMOVE;
    }
    g_object_ref(chr);
    chardev_lock_frontend(fe);
    alive = read_once(chr, fe);
    chardev_unlock_frontend(fe);
    if (!alive) {
        stop_input(chr, false);
        if (CHARDEV_GET_CLASS(chr)->hangup) {
            CHARDEV_GET_CLASS(chr)->hangup(chr);
        }
    }
    g_object_unref(chr);
    return G_SOURCE_CONTINUE; /* stop_input() destroyed the source if it is to end */
}

static void start_input(Chardev *chr)
{
    g_mutex_lock(&chr->lock);
    chr->in_paused = false;
    if (chr->fd_in >= 0 && chr->frontend && !chr->in_source) {
        chr->in_source = g_unix_fd_source_new(chr->fd_in, G_IO_IN | G_IO_HUP | G_IO_ERR);
        g_source_set_callback(chr->in_source, G_SOURCE_FUNC(on_readable), chr, NULL);
        g_source_attach(chr->in_source, NULL);
    }
    g_mutex_unlock(&chr->lock);
}

void stream_accept_input(Chardev *chr)
{
    bool paused;

    g_mutex_lock(&chr->lock);
    paused = chr->in_paused;
    g_mutex_unlock(&chr->lock);
    if (paused) {
        start_input(chr);
    }
}

bool stream_attach(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error)
{
    if (chr->frontend) {
        chardev_set_error(chr, error, 0,
                          "already in use by another device (mux=on lets several share it)");
        return false;
    }
    chr->frontend = frontend;
    chr->opaque = opaque;
    start_input(chr);
    if (frontend->event && CHARDEV_GET_CLASS(chr)->is_open(chr)) {
        frontend->event(opaque, CHARDEV_OPENED);
    }
    return true;
}

void stream_detach(Chardev *chr, void *opaque)
{
    if (chr->opaque == opaque) {
        stop_input(chr, false);
        chr->frontend = NULL;
        chr->opaque = NULL;
    }
}

void stream_open(Chardev *chr, int fd_in, int fd_out)
{
    g_mutex_lock(&chr->lock);
    chr->fd_in = fd_in;
    chr->fd_out = fd_out;
    g_mutex_unlock(&chr->lock);
    start_input(chr);
}

void stream_close(Chardev *chr, bool close_fds)
{
    stop_input(chr, false);
    g_mutex_lock(&chr->lock);
    if (chr->out_source) {
        g_source_destroy(chr->out_source);
        g_clear_pointer(&chr->out_source, g_source_unref);
    }
    if (close_fds && chr->fd_out >= 0 && chr->fd_out != chr->fd_in) {
        close(chr->fd_out);
    }
    if (close_fds && chr->fd_in >= 0) {
        close(chr->fd_in);
    }
    chr->fd_in = chr->fd_out = -1;
    g_byte_array_set_size(chr->queue, 0);
    g_mutex_unlock(&chr->lock);
}
