/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The multiplexer: several front ends (a serial port, the monitor) share one back end. Input goes
 * to the front end in focus; the escape character (C-a) and a letter switch, help, quit and so on.
 * Output of all goes out as it comes, with time stamps at line starts if wanted.
 *
 * The mux always takes input while its front end has buffer space, even if the guest reads nothing:
 * else the escape would not be seen. Input is handled in the main thread; writes come from any
 * thread, the `lock` of the mux's base class guards `line_start`.
 */
#include "chardev/chardev-priv.h"

#include <string.h>
#include <time.h>

enum { MAX_FRONTENDS = 8, BUFFER_SIZE = 64 * 1024 };

typedef struct MuxFrontend {
    const ChardevFrontend *fe; /* NULL: free */
    void *opaque;
    GByteArray *pending; /* input that it did not take yet */
} MuxFrontend;

typedef struct ChardevMux {
    Chardev base;
    Chardev *host; /* the back end, owned */
    MuxFrontend frontends[MAX_FRONTENDS];
    unsigned n, focus;
    bool escaped; /* the last input was the escape character */
    bool host_open;
    bool timestamps, line_start;
    gint delivery_pending; /* atomic: an idle call of on_idle is queued */
} ChardevMux;
typedef ChardevClass ChardevMuxClass;

G_DEFINE_TYPE(ChardevMux, chardev_mux, CHARDEV_TYPE)

static uint8_t escape_char = 1;
static void (*quit_handler)(void);

void chardev_set_escape(uint8_t c)
{
    escape_char = c;
}

void chardev_set_quit_handler(void (*f)(void))
{
    quit_handler = f;
}

/* ---- Output ---- */

static bool mux_has_room(Chardev *chr)
{
    return chardev_has_room(((ChardevMux *)chr)->host);
}

static void append_timestamp(GString *s)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();

    g_string_append_printf(s, "[%02d:%02d:%02d.%03d] ", g_date_time_get_hour(now),
                           g_date_time_get_minute(now), g_date_time_get_second(now),
                           g_date_time_get_microsecond(now) / 1000);
}

static size_t mux_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    ChardevMux *mux = (ChardevMux *)chr;
    g_autoptr(GString) stamped = NULL;

    g_mutex_lock(&chr->lock);
    if (mux->timestamps) {
        stamped = g_string_sized_new(len + 32);
        for (size_t i = 0; i < len; i++) {
            if (mux->line_start) {
                append_timestamp(stamped);
            }
            g_string_append_c(stamped, buf[i]);
            mux->line_start = buf[i] == '\n';
        }
    } else if (len) {
        mux->line_start = buf[len - 1] == '\n';
    }
    g_mutex_unlock(&chr->lock);
    if (stamped) {
        chardev_write(mux->host, stamped->str, stamped->len);
    } else {
        chardev_write(mux->host, buf, len);
    }
    return len;
}

static void print(ChardevMux *mux, const char *text)
{
    chardev_write(mux->host, text, strlen(text));
}

/* ---- Input ---- */

static void send_event(MuxFrontend *f, ChardevEvent event)
{
    if (f->fe && f->fe->event) {
        chardev_lock_frontend(f->fe);
        f->fe->event(f->opaque, event);
        chardev_unlock_frontend(f->fe);
    }
}

static void deliver(MuxFrontend *f)
{
    const ChardevFrontend *fe = f->fe;

    if (!fe) {
        return;
    }
    chardev_lock_frontend(fe);
    while (f->pending->len) {
        size_t room = fe->can_read ? fe->can_read(f->opaque) : f->pending->len;
        size_t n = MIN(room, f->pending->len);
        g_autofree uint8_t *data = NULL;

        if (n == 0) {
            break;
        }
        /* Taken out first: the front end may detach or ask for more while it reads. */
        data = g_memdup2(f->pending->data, n);
        g_byte_array_remove_range(f->pending, 0, n);
        fe->read(f->opaque, data, n);
    }
    chardev_unlock_frontend(fe);
}

static gboolean on_idle(gpointer data)
{
    ChardevMux *mux = data;

    g_atomic_int_set(&mux->delivery_pending, 0);
    for (unsigned i = 0; i < mux->n; i++) {
        deliver(&mux->frontends[i]);
    }
    chardev_accept_input(mux->host);
    g_object_unref(mux);
    return G_SOURCE_REMOVE;
}

/* The caller may be a device in a vCPU thread, in the middle of a register access: deliver later,
 * in the main thread. */
static void mux_accept_input(Chardev *chr)
{
    ChardevMux *mux = (ChardevMux *)chr;

    if (g_atomic_int_compare_and_exchange(&mux->delivery_pending, 0, 1)) {
        g_idle_add_full(G_PRIORITY_DEFAULT, on_idle, g_object_ref(mux), NULL);
    }
}

static void switch_focus(ChardevMux *mux)
{
    unsigned old = mux->focus, next = old;

    for (unsigned i = 1; i <= mux->n; i++) {
        next = (old + i) % mux->n;
        if (mux->frontends[next].fe) {
            break;
        }
    }
    if (next != old) {
        mux->focus = next;
        send_event(&mux->frontends[old], CHARDEV_UNFOCUS);
        send_event(&mux->frontends[next], CHARDEV_FOCUS);
    }
}

static void print_help(ChardevMux *mux)
{
    char text[640];

    g_snprintf(text, sizeof(text),
               "\r\n"
               "C-%c h    this help\r\n"
               "C-%c x    quit the emulator\r\n"
               "C-%c s    write disk data back (raw images: nothing to do)\r\n"
               "C-%c t    time stamps on or off\r\n"
               "C-%c b    send a break (magic SysRq)\r\n"
               "C-%c c    switch between console and monitor\r\n"
               "C-%c C-%c  send C-%c\r\n",
               escape_char + 96, escape_char + 96, escape_char + 96, escape_char + 96,
               escape_char + 96, escape_char + 96, escape_char + 96, escape_char + 96,
               escape_char + 96);
    print(mux, text);
}

static void toggle_timestamps(ChardevMux *mux)
{
    g_mutex_lock(&mux->base.lock);
    mux->timestamps = !mux->timestamps;
    g_mutex_unlock(&mux->base.lock);
}

/* The letter after the escape character. True: it is to be sent. */
static bool run_escape(ChardevMux *mux, uint8_t c)
{
    if (c == escape_char) {
        return true;
    }
    switch (c) {
    case 'h':
    case '?':
        print_help(mux);
        break;
    case 'x':
        print(mux, "\r\nMenura: terminated\r\n");
        if (quit_handler) {
            quit_handler();
        }
        break;
    case 's':
        print(mux, "\r\nraw images are written directly: there is nothing to write back\r\n");
        break;
    case 't':
        toggle_timestamps(mux);
        break;
    case 'b':
        send_event(&mux->frontends[mux->focus], CHARDEV_BREAK);
        break;
    case 'c':
        deliver(&mux->frontends[mux->focus]);
        switch_focus(mux);
        break;
    default:
        break;
    }
    return false;
}

static void mux_read(void *opaque, const uint8_t *buf, size_t len)
{
    ChardevMux *mux = opaque;

    for (size_t i = 0; i < len; i++) {
        bool send;

        if (mux->escaped) {
            mux->escaped = false;
            send = run_escape(mux, buf[i]);
        } else {
            mux->escaped = escape_char && buf[i] == escape_char;
            send = !mux->escaped;
        }
        if (send && mux->n) {
            g_byte_array_append(mux->frontends[mux->focus].pending, &buf[i], 1);
        }
    }
    if (mux->n) {
        deliver(&mux->frontends[mux->focus]);
    }
}

static size_t mux_can_read(void *opaque)
{
    ChardevMux *mux = opaque;
    size_t used = mux->n ? mux->frontends[mux->focus].pending->len : 0;

    return used < BUFFER_SIZE ? BUFFER_SIZE - used : 0;
}

static void mux_event(void *opaque, ChardevEvent event)
{
    ChardevMux *mux = opaque;

    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        mux->host_open = event == CHARDEV_OPENED;
        for (unsigned i = 0; i < mux->n; i++) {
            send_event(&mux->frontends[i], event);
        }
    } else if (mux->n) {
        send_event(&mux->frontends[mux->focus], event);
    }
}

static const ChardevFrontend mux_frontend = {
    .can_read = mux_can_read,
    .read = mux_read,
    .event = mux_event,
    .no_lock = true,
};

/* ---- Front ends ---- */

static bool mux_attach(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error)
{
    ChardevMux *mux = (ChardevMux *)chr;
    MuxFrontend *f = &mux->frontends[mux->n];

    if (mux->n == MAX_FRONTENDS) {
        chardev_set_error(chr, error, 0, "more than %d devices share it", MAX_FRONTENDS);
        return false;
    }
    f->fe = frontend;
    f->opaque = opaque;
    f->pending = g_byte_array_new();
    mux->n++;
    if (frontend->event && mux->host_open) {
        frontend->event(opaque, CHARDEV_OPENED);
    }
    if (frontend->event && mux->n == 1) {
        frontend->event(opaque, CHARDEV_FOCUS);
    }
    return true;
}

/* The slot stays (its number may be the focus), without a front end. */
static void mux_detach(Chardev *chr, void *opaque)
{
    ChardevMux *mux = (ChardevMux *)chr;

    for (unsigned i = 0; i < mux->n; i++) {
        MuxFrontend *f = &mux->frontends[i];

        if (f->fe && f->opaque == opaque) {
            f->fe = NULL;
            f->opaque = NULL;
            g_byte_array_set_size(f->pending, 0);
            if (mux->focus == i) {
                switch_focus(mux);
            }
        }
    }
}

bool chardev_is_mux(const Chardev *chr)
{
    return G_TYPE_CHECK_INSTANCE_TYPE((void *)chr, chardev_mux_get_type());
}

static bool mux_is_open(Chardev *chr)
{
    return ((ChardevMux *)chr)->host_open;
}

static void mux_flush(Chardev *chr)
{
    ChardevMux *mux = (ChardevMux *)chr;

    CHARDEV_GET_CLASS(mux->host)->flush(mux->host);
}

static void mux_close(Chardev *chr)
{
    ChardevMux *mux = (ChardevMux *)chr;

    for (unsigned i = 0; i < mux->n; i++) {
        g_byte_array_unref(mux->frontends[i].pending);
    }
    if (mux->host) {
        chardev_detach(mux->host, mux);
        g_object_unref(mux->host);
    }
}

Chardev *chardev_mux_new(const char *id, Chardev *base)
{
    ChardevMux *mux = g_object_new(chardev_mux_get_type(), NULL);

    mux->base.id = g_strdup(id);
    mux->base.label = g_strdup_printf("mux over %s", base->label);
    mux->host = base;
    mux->line_start = true;
    chardev_attach(base, &mux_frontend, mux, NULL);
    return &mux->base;
}

static void chardev_mux_class_init(ChardevMuxClass *klass)
{
    klass->kind = "mux";
    klass->close = mux_close;
    klass->attach = mux_attach;
    klass->detach = mux_detach;
    klass->write = mux_write;
    klass->has_room = mux_has_room;
    klass->accept_input = mux_accept_input;
    klass->is_open = mux_is_open;
    klass->flush = mux_flush;
}

static void chardev_mux_init(ChardevMux *mux)
{
}
