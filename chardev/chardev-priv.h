/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of chardev/: the base class. Every kind is a GObject type derived from CHARDEV_TYPE and
 * listed in chardev.c. The base class is a byte stream over two descriptors (stream.c); file, pipe,
 * stdio, pty and socket only open and close them. The mux overrides the rest.
 *
 * Threads: everything runs in the main thread except stream_write() and chardev_accept_input().
 * `lock` guards the output queue, the descriptors against the writers, and the input source. Order:
 * lock named by chardev_set_lock(), then `lock`; no front end is called with `lock` held.
 */
#ifndef CHARDEV_CHARDEV_PRIV_H
#define CHARDEV_CHARDEV_PRIV_H

#include <glib-object.h>
#include "chardev/chardev.h"
#include "util/keyval.h"

typedef struct ChardevClass ChardevClass;

struct Chardev {
    GObject parent;
    char *id;
    char *label; /* what it is connected to, for "info chardev" and error messages */
    const ChardevFrontend *frontend;
    void *opaque;

    GMutex lock;
    int fd_in, fd_out;  /* -1: none; may be the same */
    bool out_blocks;    /* fd_out cannot be made non-blocking: ask poll() before each small write */
    bool behind_mux;    /* set before open() */
    bool flush_forever; /* at exit wait for the reader as long as it takes */
    int log_fd;         /* logfile=; -1: none */
    GByteArray *queue;  /* output that fd_out did not take yet */
    GSource *in_source, *out_source;
    bool in_paused; /* the front end takes nothing now */
};

struct ChardevClass {
    GObjectClass parent;
    const char *kind; /* as -chardev spells it */
    const char *desc;
    const char *const *options; /* its keys besides the common ones, NULL-terminated */
    /* Opens the host side. The error begins with "chardev ID". */
    bool (*open)(Chardev *chr, const KeyVals *opts, GError **error);
    /* Undoes it (terminals, socket files). May be NULL. */
    void (*close)(Chardev *chr);
    /* The input ended or failed; main thread. NULL: it is only not read any more. */
    void (*hangup)(Chardev *chr);
    /* The peer is there. */
    bool (*is_open)(Chardev *chr);
    bool (*attach)(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error);
    void (*detach)(Chardev *chr, void *opaque);
    size_t (*write)(Chardev *chr, const uint8_t *buf, size_t len);
    bool (*has_room)(Chardev *chr);
    void (*accept_input)(Chardev *chr);
    void (*flush)(Chardev *chr);
};

GType chardev_get_type(void);
#define CHARDEV_TYPE         (chardev_get_type())
#define CHARDEV(o)           (G_TYPE_CHECK_INSTANCE_CAST((o), CHARDEV_TYPE, Chardev))
#define CHARDEV_CLASS(k)     (G_TYPE_CHECK_CLASS_CAST((k), CHARDEV_TYPE, ChardevClass))
#define CHARDEV_GET_CLASS(o) (G_TYPE_INSTANCE_GET_CLASS((o), CHARDEV_TYPE, ChardevClass))

/* The kinds. */
GType chardev_null_get_type(void);
GType chardev_file_get_type(void);
GType chardev_pipe_get_type(void);
GType chardev_stdio_get_type(void);
GType chardev_pty_get_type(void);
GType chardev_socket_get_type(void);

/* A multiplexer over @base (whose only front end it becomes). mux.c */
GType chardev_mux_get_type(void);
Chardev *chardev_mux_new(const char *id, Chardev *base);

/* ---- stream.c: bytes over descriptors ---- */

bool stream_attach(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error);
void stream_detach(Chardev *chr, void *opaque);
size_t stream_write(Chardev *chr, const uint8_t *buf, size_t len);
bool stream_has_room(Chardev *chr);
void stream_accept_input(Chardev *chr);
/* Takes over the descriptors of a new connection and begins to read. */
void stream_open(Chardev *chr, int fd_in, int fd_out);
/* Forgets (and with @close_fds closes) the descriptors; queued output is dropped. */
void stream_close(Chardev *chr, bool close_fds);
/* Waits until the queue is written: with a limit unless flush_forever. */
void stream_flush(Chardev *chr);
/* A pending write stops waiting for its peer: the process is about to end. */
void stream_give_up_waiting(void);

/* ---- chardev.c ---- */

/* Calls of the front end with the lock it wants; nothing happens without a front end. */
void chardev_send_event(Chardev *chr, ChardevEvent event);
void chardev_lock_frontend(const ChardevFrontend *frontend);
void chardev_unlock_frontend(const ChardevFrontend *frontend);
/* Sets an error "chardev ID: ..." ; with errno's text behind it when @err is not 0. */
G_GNUC_PRINTF(4, 5)
void chardev_set_error(const Chardev *chr, GError **error, int err, const char *format, ...);

#endif
