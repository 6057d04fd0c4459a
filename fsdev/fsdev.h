/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Folders of the host that are shared with a guest (-fsdev). A folder is made known under an id; a device serves it to its guest with a server of the
 * 9P protocol (fsdev/p9.h).
 *
 * The security model says what becomes of the guest's ownership and modes: they are kept beside the host's, in attributes user.virtfs.uid, .gid,
 * .mode and .rdev of the host's files, which an ordinary user can set (mapped-xattr); or they are the host's (passthrough, which takes root; none:
 * an owner that cannot be set is not an error).
 */
#ifndef FSDEV_FSDEV_H
#define FSDEV_FSDEV_H

#include <glib.h>
#include <stdbool.h>

typedef struct Fsdev Fsdev;

/* Opens the folder of "local,id=ID,path=DIR[,security_model=MODEL][,readonly=on][,fmode=OCTAL][,dmode=OCTAL]"; errors begin with "ID: ". */
Fsdev *fsdev_new(const char *text, GError **error);
/* NULL: there is none. */
Fsdev *fsdev_find(const char *id);
/* There is one: the sandbox must let its server reach files. */
bool fsdev_exists(void);
/* Closes all; no server uses them any more. */
void fsdev_cleanup(void);

/* What finished requests are handed back under (fsdev/p9.h); without: no lock. Before the first request. */
void fsdev_set_lock(void (*lock)(void), void (*unlock)(void));
/* -icount: requests are carried out and handed back while they are submitted. */
void fsdev_set_synchronous(bool synchronous);

#endif
