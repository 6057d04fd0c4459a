/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character back ends: stdio, file, pipe, pty, unix and tcp sockets, null, ringbuf, and a
 * multiplexer with the monitor. A front end (serial port, virtio console, monitor, gdb stub)
 * attaches handlers; input is delivered in the main thread under the lock that chardev_set_lock()
 * names (the machine lock; this folder knows no machine).
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Chardev Chardev;

typedef enum ChardevEvent {
    CHARDEV_OPENED, /* the peer connected; at attach if it is there already */
    CHARDEV_CLOSED,
    CHARDEV_BREAK,
    CHARDEV_FOCUS, /* mux: input goes to this front end from now on */
    CHARDEV_UNFOCUS,
} ChardevEvent;

typedef struct ChardevFrontend {
    size_t (*can_read)(void *opaque); /* bytes it takes now; NULL: any number */
    void (*read)(void *opaque, const uint8_t *buf, size_t len);
    /* May be NULL; ignores events it does not know. */
    void (*event)(void *opaque, ChardevEvent event);
    bool no_lock; /* call these without the lock (monitor, gdb stub: they take it themselves) */
} ChardevFrontend;

/* Makes a back end from a -chardev argument without the id ("socket,path=/x,server=on,wait=off") or
 * a -serial shorthand ("stdio", "mon:stdio", "file:x", "pipe:x", "pty", "unix:x,server,nowait",
 * "tcp:host:port,server,nowait", "null", "none"=NULL without error). The error names the option and
 * the nearest right one. Registered under @id. */
bool chardev_new(const char *id, const char *spec, Chardev **out, GError **error);
/* Looks up -chardev id=. NULL: none. */
Chardev *chardev_find(const char *id);
/* Adds a front end; the first one of a plain back end, any number on a mux (input goes to the one
 * in focus, C-a c switches). False: already in use. */
bool chardev_attach(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error);
void chardev_detach(Chardev *chr, void *opaque);
/* Writes all of @buf, from any thread; what a slow peer does not take is queued (bounded: the
 * oldest is never dropped, the writer waits on a regular back end; output to a disconnected socket
 * is dropped). Returns the bytes taken (always @len). */
size_t chardev_write(Chardev *chr, const void *buf, size_t len);
/* Little enough is queued that chardev_write() does not wait for a slow peer. Any thread. */
bool chardev_has_room(Chardev *chr);
/* The front end can take input again (after can_read said 0). Any thread. */
void chardev_accept_input(Chardev *chr);
/* Waits until queued output is written (at exit). */
void chardev_flush_all(void);
/* The process is to end at its user's wish: writers do not wait for slow readers any more. Any
 * thread. */
void chardev_hurry(void);
/* Restores terminals, removes sockets and ptys. */
void chardev_cleanup(void);
void chardev_set_lock(void (*lock)(void), void (*unlock)(void));
/* What C-a x does (quit), given by main. */
void chardev_set_quit_handler(void (*f)(void));
/* Input goes to one of several front ends: they are told by CHARDEV_FOCUS. */
bool chardev_is_mux(const Chardev *chr);
/* The mux's escape character, C-a unless changed (-echr). */
void chardev_set_escape(uint8_t c);
/* "-chardev help". */
void chardev_list(GString *out);
/* "info chardev": one line for each back end. */
void chardev_info(GString *out);
/* Whether some back end holds the process's standard input and output. */
bool chardev_stdio_in_use(void);
/* Whether some back end makes or takes connections while it runs. */
bool chardev_has_sockets(void);
/* Puts the terminal back as it was; async-signal-safe, for handlers of fatal signals. */
void chardev_restore_terminal(void);

#endif
