/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The human monitor: a command interpreter on a chardev. Commands run in the main thread without
 * the machine lock; they stop the vCPUs for as long as they read their state, so a guest that runs
 * wild cannot hold them up.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <glib.h>
#include <stdbool.h>
#include "chardev/chardev.h"

typedef struct Monitor Monitor;

/* A monitor on @chr. It lives until monitor_cleanup(). */
bool monitor_new(Chardev *chr, GError **error);
void monitor_cleanup(void);

/* What device_add and device_del do, the machine lock held. */
void monitor_set_device_handlers(bool (*add)(const char *text, GError **error),
                                 bool (*del)(const char *id, GError **error));

/* Runs one command line for another front end (gdb's "monitor"); the output, with plain newlines,
 * is appended to @out. @cpu_index is the CPU that register and memory commands look at. */
void monitor_run(const char *line, unsigned *cpu_index, GString *out);

/* Completions of the last word of @text (whole words, char * owned by @out). */
void monitor_complete(const char *text, GPtrArray *out);

#endif
