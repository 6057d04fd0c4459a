/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the commands of menura-img: their arguments (img.c), messages and opening (common.c), options of new images (target.c),
 * extents of a chain of images (extent.c), JSON (json.c). Every command returns its exit status and has said what is wrong by then.
 */
#ifndef IMG_IMG_PRIV_H
#define IMG_IMG_PRIV_H

#include "img/tool.h"

/* ---- Arguments (img.c) ---- */

typedef struct ImgArgs ImgArgs;

typedef struct ImgCommand {
    const char *name;
    /* "f|format: q output:": an option is known by a letter, a long name or both; ':' takes a value. Asked for by the first name. */
    const char *options;
    const char *syntax;
    int (*run)(const ImgArgs *args);
} ImgCommand;

struct ImgArgs {
    const ImgCommand *command;
    GPtrArray *keys, *values; /* as they were given; borrowed */
    int n_files;
    char **files; /* what is no option, up to NULL */
};

bool img_has(const ImgArgs *args, const char *key);
/* The value given last, or NULL. */
const char *img_get(const ImgArgs *args, const char *key);
/* --output=json */
bool img_wants_json(const ImgArgs *args);

/* ---- Commands ---- */

int img_amend(const ImgArgs *args);
int img_bench(const ImgArgs *args);
int img_bitmap(const ImgArgs *args);
int img_check(const ImgArgs *args);
int img_commit(const ImgArgs *args);
int img_compare(const ImgArgs *args);
int img_convert(const ImgArgs *args);
int img_create(const ImgArgs *args);
int img_dd(const ImgArgs *args);
int img_info(const ImgArgs *args);
int img_map(const ImgArgs *args);
int img_measure(const ImgArgs *args);
int img_rebase(const ImgArgs *args);
int img_resize(const ImgArgs *args);
int img_snapshot(const ImgArgs *args);

/* ---- Messages (common.c) ---- */

/* To standard output unless -q. */
void img_say(const ImgArgs *args, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A line that is written over; shown if -p is given, and once at each SIGUSR1. Not for several threads at once. */
void img_progress_begin(const ImgArgs *args);
void img_progress(uint64_t done, uint64_t total);
void img_progress_end(void);

/* -r: bytes a second; false: it was said. img_pace() waits until @bytes more may be done. */
bool img_pace_begin(const ImgArgs *args);
void img_pace(uint64_t bytes);

/* From now on SIGINT, SIGTERM and SIGHUP are only noted. */
void img_catch_signals(void);
bool img_interrupted(void);
/* Ends the program as the noted signal would have; returns if there was none. */
void img_die_of_signal(void);

/* ---- Opening (common.c) ---- */

enum { IMG_WRITE = 1, IMG_NO_BACKING = 2, IMG_REPAIR = 4, IMG_ONLY_FILE = 8 };

/* NULL: it was said why. -U is heeded for reading, --image-opts unless IMG_ONLY_FILE. */
BlockNode *img_open(const ImgArgs *args, const char *file, const char *format, unsigned flags);
/* The cache mode of -t or -T (@key) goes past the host's page cache. */
bool img_past_cache(const ImgArgs *args, const char *key);
/* Puts the snapshot that -l names in the place of @node's contents, if -l is given. False: it was said. */
bool img_load_snapshot(const ImgArgs *args, BlockNode *node);
/* node_close(), and a message if that fails. */
int img_close(BlockNode *node);
/* The same file of the host. */
bool img_same_file(const char *a, const char *b);

/* ---- New images (target.c) ---- */

/* All -o together, and what the command adds; "key=value,..." with commas doubled. */
void img_options_add(GString *text, const char *key, const char *value);
void img_options_add_size(GString *text, uint64_t size);
/* All that -o said, or NULL. g_free() it. */
char *img_options_given(const ImgArgs *args);
/* -o help was given. */
bool img_options_help(const char *given);
bool img_option_is_switch(const char *name);
bool img_option_is_size(const char *name);
/* A line for each, sorted. */
void img_print_options(const NodeOptionInfo *options);
int img_print_create_options(const BlockDriver *driver, bool with_file);
/* NULL: it was said. @prefix: "FILE: " or "". */
KeyVals *img_options_parse(const BlockDriver *driver, const char *given, const char *prefix);

/* ---- Bitmaps of what was written (bitmap.c) ---- */

/* Whether those of @source can be copied. False: it was said. */
bool img_bitmaps_check(BlockNode *source, bool skip_broken);
/* After that; those that are inconsistent are left out with a warning. False: it was said. */
bool img_bitmaps_copy(BlockNode *to, BlockNode *source);
/* Bytes that they take, at most, in a qcow2 image of @length bytes with clusters of @cluster bytes. @source has such. */
uint64_t img_bitmaps_size(BlockNode *source, uint64_t length, uint64_t cluster);

/* ---- Extents (extent.c) ---- */

typedef struct ImgExtent {
    uint64_t bytes, map;
    unsigned
        flags; /* as NodeStatus.flags; nothing allocated: NODE_ZERO alone; 0: it is for @base to say */
    const char *file; /* as NodeStatus.file */
    BlockNode *node;  /* that decides; the last one asked if none does */
    int depth;
} ImgExtent;

/* What @top and the images behind it have at @offset, within @top, but for @base (NULL: all) and what is behind that. 0 or -errno. */
int img_extent(BlockNode *top, const BlockNode *base, uint64_t offset, uint64_t bytes,
               ImgExtent *extent);
/* How much of @buf, in steps of @step, is alike: all zero (true), or without a step of zeroes (false). */
bool img_zero_run(const char *buf, uint64_t bytes, uint64_t step, uint64_t *run);

/* ---- JSON (json.c) ---- */

typedef struct ImgJson {
    GString *text;
    int depth;
    bool more; /* something stands before the next member */
} ImgJson;

void json_begin(ImgJson *json);
/* @key: NULL in an array and at the top. */
void json_open(ImgJson *json, const char *key, char bracket);
void json_close(ImgJson *json, char bracket);
void json_string(ImgJson *json, const char *key, const char *value);
void json_number(ImgJson *json, const char *key, uint64_t value);
void json_bool(ImgJson *json, const char *key, bool value);
/* A number, true or false as such, anything else as a string. */
void json_guess(ImgJson *json, const char *key, const char *value);
/* Prints it. */
void json_end(ImgJson *json);

#endif
