/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program menura-nbd: a disk image as an export of an NBD server, with qemu-nbd's options.
 */
#ifndef NBD_NBD_H
#define NBD_NBD_H

/* @argv: the words behind the program's name. Returns the exit status. */
int nbd_main(const char *program, int argc, char **argv);

#endif
