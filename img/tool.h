/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What menura-img and menura-io share: messages, sizes, opening images with qemu's messages (tool.c).
 */
#ifndef IMG_TOOL_H
#define IMG_TOOL_H

#include "block/node.h"

/* ---- Messages ---- */

void img_set_program(const char *name);
const char *img_program(void);
/* "menura-img: TEXT"; always 1, the usual exit status. */
int img_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* The same, with a pointer to the help. */
int img_usage_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* @error's text without "FILE: " in front of it. Borrowed. */
const char *img_error_text(const GError *error, const char *file);
/* The same for what node_create() said of @file, in qemu-img's words; g_free() it. */
char *img_create_error_text(const GError *error, const char *file);
/* What is wrong with -errno. Borrowed. */
const char *img_strerror(int err);

/* ---- Sizes ---- */

/* "1.5 GiB": three digits, as qemu-img has them; g_free() it. */
char *img_size_text(uint64_t size);
/* False, and it was said: @text is none. @what: "image size". */
bool img_parse_size(const char *text, const char *what, uint64_t *size);
/* A whole number from @min to @max; says nothing. */
bool img_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* ---- Images ---- */

/* @options->file may be what qemu takes for a file's name. NULL: @error says why in qemu's words, without the file's name in front. Warns if it
 * is to be written and was taken for raw. */
BlockNode *img_open_image(const NodeOptions *options, GError **error);
/* "driver=qcow2,file.filename=x" as a dictionary; never NULL. */
NodeDict *img_image_opts(const char *text);
/* Cache modes: false, there is none of that name. */
bool img_parse_cache(const char *mode, bool *direct, bool *unsafe, bool *writethrough);
/* The lines of what the format says of itself, for people. */
void img_print_details(BlockNode *node);
/* "Unknown file format 'x'" with a suggestion: the tail of a message; g_free() it. */
char *img_unknown_format(const char *what, const char *name);
uint64_t img_cluster_size(BlockNode *node); /* 0: it has none */

#endif
