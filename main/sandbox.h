/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sandbox (-sandbox): once everything is open, the process keeps the system calls that a running machine needs and loses all others, so that a
 * guest that took the emulator over could not start programs, open files or make connections. It cannot be left again.
 *
 * A call that was given up fails with EPERM, and standard error gets its number, once for each; files and sockets that are not to be opened are
 * refused silently (EACCES), as libraries try them.
 */
#ifndef MAIN_SANDBOX_H
#define MAIN_SANDBOX_H

#include <glib.h>
#include <stdbool.h>

typedef struct SandboxNeeds {
    bool files;   /* files are opened, made, renamed and removed: by a monitor's commands */
    bool reads;   /* files are opened for reading */
    bool unlink;  /* files are removed: the pid file and sockets at the end */
    bool sockets; /* connections are made and taken */
    bool uring;
    bool
        folders; /* files and directories of shared folders are reached, made, changed and removed */
} SandboxNeeds;

/* For all threads of the process, those that it has and those that it gets. */
bool sandbox_enter(const SandboxNeeds *needs, GError **error);

#endif
