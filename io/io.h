/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program menura-io: reads and writes of disk images from the command line, with qemu-io's commands, output and exit statuses.
 */
#ifndef IO_IO_H
#define IO_IO_H

/* @argv: the words behind the program's name. Returns the exit status. */
int io_main(const char *program, int argc, char **argv);

#endif
