/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gdb stub: gdb's remote protocol on a chardev. Each vCPU is a thread (number index + 1).
 * Connecting stops the machine; a detach lets it go on. One stub a process; everything runs in the
 * main thread.
 */
#ifndef GDBSTUB_GDBSTUB_H
#define GDBSTUB_GDBSTUB_H

#include <glib.h>
#include <stdbool.h>
#include "chardev/chardev.h"

/* Serves gdb on @chr from now on. The CPUs exist. */
bool gdbstub_start(Chardev *chr, GError **error);
/* gdb's "monitor COMMAND": runs it, output to @out. */
void gdbstub_set_command_handler(void (*f)(const char *command, GString *out));
/* Tells a connected gdb that the program ended with @status, and lets go of the chardev. */
void gdbstub_stop(int status);

#endif
