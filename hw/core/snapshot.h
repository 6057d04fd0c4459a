/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots: the whole state of a stopped machine, and back. It is in the first disk's image whose format can keep it (qcow2), or in one file
 * beside whatever disks there are.
 *
 * It has, behind a magic number and version: a head of sections (what machine it is, clock, each CPU's and device's state table, each
 * disk), then chunks of RAM and disks, compressed one by one by several threads; zeroes are left out. Lengths and checksums of all of it are
 * verified before a load changes anything, RAM's own contents when they are loaded.
 *
 * What is in a disk is in the snapshot too, as far as the guest can write it: a snapshot of RAM is worth nothing beside other disk contents. An image
 * with snapshots of its own (qcow2) keeps it, under the same name.
 */
#ifndef HW_CORE_SNAPSHOT_H
#define HW_CORE_SNAPSHOT_H

#include <glib.h>
#include <stdbool.h>

/* How the message of an error after which the machine must not go on begins. */
#define HW_SNAPSHOT_INCOMPLETE "the machine is incomplete now: "

/* The machine is stopped; main thread, machine lock held. @tag: a name, in an image or for a file in a folder beside the first disk
 * ("DISK.snapshots"; without disks "menura-snapshots"), or the path of a file with a '/'. An older one of that name is replaced when all is
 * written. */
bool hw_snapshot_save(const char *tag, GError **error);
/* On failure nothing has changed, unless the error begins with HW_SNAPSHOT_INCOMPLETE. RAM is loaded while the machine runs
 * (softmmu/memory-lazy.h), unless @tag has ",lazy=off" behind it; what is damaged there stops it then. */
bool hw_snapshot_load(const char *tag, GError **error);
bool hw_snapshot_delete(const char *tag, GError **error);
/* Before the disks are closed, when no vCPU runs any more: ends a load of RAM that is under way. */
void hw_snapshot_stop(void);
/* "info snapshots". */
void hw_snapshot_list(GString *out);

#endif
