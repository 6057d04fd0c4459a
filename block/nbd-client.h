/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD from the client's side: names of exports (nbd-name.c), the handshake (nbd-link.c); the protocol driver that uses
 * them is nbd-client.c. Names:
 *
 *     nbd:HOST:PORT[:exportname=NAME]         nbd://HOST[:PORT]/[EXPORT]
 *     nbd:unix:PATH[:exportname=NAME]         nbd+unix:///[EXPORT]?socket=PATH
 */
#ifndef BLOCK_NBD_CLIENT_H
#define BLOCK_NBD_CLIENT_H

#include <gio/gio.h>
#include "block/nbd-proto.h"

/* ---- Names ---- */

typedef struct NbdAddress {
    char *path; /* of a unix socket; NULL: host and port */
    char *host;
    uint16_t port;
    char *export_name; /* "": the default one */
} NbdAddress;

/* The error begins with @name. */
bool nbd_address_parse(const char *name, NbdAddress *address, GError **error);
void nbd_address_clear(NbdAddress *address);
/* @text for people: without what a terminal would act on; g_free() it. */
char *nbd_printable(const char *text, size_t n);

/* ---- The driver ---- */

extern const BlockDriver block_nbd_driver;
/* An export for a new image: open for writing, all zeroes. */
BlockNode *nbd_open_emptied(const char *file, GError **error);

/* ---- The handshake ---- */

typedef struct NbdExport {
    uint64_t size;
    uint16_t flags;                                   /* NBD_FLAG_* */
    uint32_t min_block, preferred_block, max_payload; /* the usual ones if the server gives none */
    bool has_blocks;                                  /* the server gave them */
    char *description;                                /* NULL: none */
} NbdExport;

typedef struct NbdLink {
    char *name; /* for messages */
    GSocketConnection *connection;
    NbdStream *stream;
    bool oldstyle, fixed_newstyle, no_zeroes;
    bool structured;       /* replies may be */
    bool has_allocation;   /* base:allocation can be asked for */
    uint32_t allocation;   /* its id */
    NbdExport export_info; /* after nbd_link_go() */
} NbdLink;

/* Connects to the server. Errors begin with @name, which is copied. */
NbdLink *nbd_link_new(const char *name, const NbdAddress *address, GError **error);
/* NULL is allowed. */
void nbd_link_free(NbdLink *link);
/* Ends the handshake: requests may be sent. With structured replies and base:allocation if the server has them. */
bool nbd_link_go(NbdLink *link, const char *export_name, GError **error);

/* The next two instead of nbd_link_go(). Pairs of names and descriptions ("": none), one behind the other; NULL: error. */
GPtrArray *nbd_link_list(NbdLink *link, GError **error);
/* @contexts gets the names of all metadata contexts. */
bool nbd_link_info(NbdLink *link, const char *export_name, NbdExport *info, GPtrArray *contexts,
                   GError **error);
/* Says farewell. */
void nbd_link_abort(NbdLink *link);

#endif
