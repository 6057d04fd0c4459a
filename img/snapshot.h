/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lists of an image's snapshots, for the commands snapshot and info.
 */
#ifndef IMG_SNAPSHOT_H
#define IMG_SNAPSHOT_H

#include "img/img-priv.h"

/* Of NodeSnapshot; never NULL. */
GPtrArray *snapshots_of(BlockNode *node);
/* A table for people; nothing if there are none. */
void snapshots_print(BlockNode *node);

#endif
