/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of menura-nbd: options (nbd.c), the image that is served (image.c), sockets and the end of the program (server.c), one
 * client's handshake (handshake.c) and requests (session.c, reply.c), the list of another server's exports (list.c).
 *
 * A client has threads of its own, at most SESSION_WORKERS, each with one buffer of at most SESSION_BUFFER bytes: that, times the
 * number of clients (--shared), is what clients can make the program use, and none can keep others waiting.
 */
#ifndef NBD_NBD_PRIV_H
#define NBD_NBD_PRIV_H

#include <gio/gio.h>
#include "block/nbd-proto.h"

enum { MAX_CONTEXTS = 64 };
enum { SESSION_WORKERS = 8, SESSION_BUFFER = 2 << 20, MAX_SESSIONS = 256 };

/* ---- Messages (nbd.c) ---- */

/* "menura-nbd: TEXT"; always 1. */
int nbd_complain(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* ---- The image (image.c) ---- */

typedef struct NbdBitmap {
    const char *name;
    BlockNode *node; /* the image, or one behind it, that has the bitmap */
    char *context;
} NbdBitmap;

typedef enum NbdDetect { DETECT_OFF, DETECT_ZEROES, DETECT_UNMAP } NbdDetect;

typedef struct NbdImage {
    BlockNode *node;
    const char *name, *description; /* of the export; description NULL: none */
    uint64_t offset, length;        /* the part of the image */
    bool readonly, discard, writethrough;
    bool direct;        /* past the page cache: a write waits for the disk */
    bool with_depth;    /* qemu:allocation-depth is offered */
    GPtrArray *bitmaps; /* NbdBitmap: qemu:dirty-bitmap:NAME is offered */
    NbdDetect detect;
} NbdImage;

typedef struct NbdImageOptions {
    const char *file, *format, *snapshot_name; /* format, snapshot_name: NULL: none */
    const GPtrArray *bitmaps;                  /* their names */
    bool direct, unsafe, snapshot, has_opts;   /* has_opts: file is "driver=..." */
    uint64_t offset;
} NbdImageOptions;

/* @image->readonly and the like are set. False: it was said. */
bool image_open(NbdImage *image, const NbdImageOptions *options);
/* Exit status. */
int image_close(NbdImage *image);

/* All: 0 or -errno, ranges are within the length. Any thread. */
int image_read(NbdImage *image, uint64_t offset, void *buf, uint64_t bytes);
/* True: it was read, without waiting. */
bool image_read_at_hand(NbdImage *image, uint64_t offset, void *buf, uint64_t bytes);
int image_write(NbdImage *image, uint64_t offset, const void *buf, uint64_t bytes);
/* @fast: -ENOTSUP if it is not certain that it is quick. */
int image_zero(NbdImage *image, uint64_t offset, uint64_t bytes, bool unmap, bool fast);
int image_trim(NbdImage *image, uint64_t offset, uint64_t bytes);
/* Soon to be read. */
void image_will_need(NbdImage *image, uint64_t offset, uint64_t bytes);
int image_flush(NbdImage *image);

typedef struct NbdExtent {
    uint64_t bytes;
    uint32_t state; /* NBD_STATE_* */
    uint32_t depth; /* 1: the image itself, 2: what is behind it, ...; 0: nobody */
} NbdExtent;

int image_status(NbdImage *image, uint64_t offset, uint64_t bytes, NbdExtent *extent);
/* The same of a bitmap: its state is NBD_STATE_DIRTY or 0. */
int image_dirty(NbdImage *image, const NbdBitmap *bitmap, uint64_t offset, uint64_t bytes,
                NbdExtent *extent);
/* The name of metadata context @context; NULL: the image has no such. */
const char *image_context(const NbdImage *image, unsigned context);

/* ---- Sessions ---- */

typedef struct NbdServer NbdServer;

/* What the client may do: set by the handshake, constant afterwards. */
typedef struct NbdSession {
    NbdServer *server;
    NbdImage *image;
    GSocket *socket;
    NbdStream *in;  /* of whoever reads, session.c */
    uint16_t flags; /* of the export, as the client was told */
    bool structured;
    uint64_t contexts; /* bits: numbers of metadata contexts */
    GMutex sending;
    GMutex lock; /* of what follows */
    GCond turn;
    unsigned workers, waiting; /* waiting: for their turn to read */
    bool reading, ended, negotiated;
} NbdSession;

/* NULL: no thread could be made. */
NbdSession *session_start(NbdServer *server, NbdImage *image, uint16_t flags, GSocket *socket);
/* None of its threads is left. */
void session_free(NbdSession *session);
/* No more requests are read; those that are there are still served. @now: nor is anything sent. */
void session_stop(NbdSession *session, bool now);

/* True: requests follow. */
bool handshake(NbdSession *session);

/* ---- Replies (reply.c): false: the connection is broken ---- */

/* Replies that wait to be sent together. */
typedef struct NbdReplies {
    NbdSession *session;
    size_t used;
    uint8_t bytes[32 * 1024];
} NbdReplies;

bool replies_flush(NbdReplies *replies);
/* @err: -errno or 0. */
bool reply_done(NbdReplies *replies, const NbdRequest *req, int err);
/* @bytes at @offset of a read; @last: nothing follows. */
bool reply_data(NbdReplies *replies, const NbdRequest *req, uint64_t offset, const void *buf,
                uint64_t bytes, bool last);
/* A whole read of more than SESSION_BUFFER bytes by a simple reply; @buf has that many. */
bool reply_in_parts(NbdReplies *replies, const NbdRequest *req, void *buf);
/* Only with structured replies. */
bool reply_hole(NbdReplies *replies, const NbdRequest *req, uint64_t offset, uint64_t bytes,
                bool last);
bool reply_status(NbdReplies *replies, const NbdRequest *req);

/* ---- The server (server.c) ---- */

/* Numbers of metadata contexts; bitmaps follow, MAX_CONTEXTS together. */
enum { CONTEXT_ALLOCATION, CONTEXT_DEPTH, CONTEXT_BITMAPS };

typedef struct NbdServerOptions {
    const char *socket_path; /* NULL: TCP */
    const char *bind;        /* NULL: all addresses of IPv4 */
    uint16_t port;
    unsigned shared; /* 0: as many as there can be */
    bool persistent, verbose;
} NbdServerOptions;

/* Serves until a signal, or the last client, ends it. @ready is called when clients can connect. Exit status. */
int server_run(const NbdServerOptions *options, NbdImage *image, bool (*ready)(void));
/* By the session's last thread, which does not touch @session any more. */
void server_session_ended(NbdServer *server, NbdSession *session);

/* ---- list.c ---- */

/* -L: what the server at that place has. Exit status. */
int list_exports(const NbdServerOptions *options);

#endif
