/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The program menura-img: disk images on the command line, with qemu-img's commands, options, output and exit statuses.
 */
#ifndef IMG_IMG_H
#define IMG_IMG_H

/* @argv: the words behind the program's name. Returns the exit status. */
int img_main(const char *program, int argc, char **argv);

#endif
