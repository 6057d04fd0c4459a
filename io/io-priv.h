/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by menura-io's files: its table of commands and the loop (io.c), the image that is open (image.c), numbers and reports (text.c),
 * reads and writes (access.c), those that run beside others (async.c), what is about the image (inspect.c).
 *
 * A command returns false if it failed, and has said why: on standard output, as qemu-io has it, but for the messages of io_fail().
 */
#ifndef IO_IO_PRIV_H
#define IO_IO_PRIV_H

#include "img/tool.h"

enum { IO_MAX_BYTES = 2147483136 }; /* of a request */

typedef struct IoCommand IoCommand;
struct IoCommand {
    const char *name, *alt;
    bool (*run)(int argc, char **argv);
    int min, max; /* words behind the name; max -1: any number */
    bool no_file; /* needs no open image */
    unsigned perm;
    const char *args, *oneline, *help;
};

enum { IO_WRITES = 1 }; /* IoCommand.perm */

/* ---- io.c ---- */

extern const IoCommand io_commands[];
/* By its name or the other one; NULL: none. */
const IoCommand *io_command_find(const char *name);
bool io_usage(const char *name);
/* "menura-io: TEXT" on standard error; false. */
bool io_fail(const char *format, ...) G_GNUC_PRINTF(1, 2);
bool io_help(int argc, char **argv);
bool io_quit(int argc, char **argv);

/* ---- image.c ---- */

/* How an image is opened: options of the program, and of the command open. */
typedef struct IoMode {
    bool readonly, snapshot, copy_on_read, share, direct, unsafe, writethrough, unmap;
} IoMode;

typedef struct IoImage {
    BlockNode *node; /* NULL: none is open */
    GRWLock lock;    /* taken to read by requests, to write by what replaces the node */
    IoMode mode;
    char *file;
    char *format;  /* as given; NULL */
    char *options; /* of the command line, to open it again; NULL */
} IoImage;

extern IoImage io_image;

void io_mode_default(IoMode *mode);
/* False: it was said. */
bool io_mode_cache(IoMode *mode, const char *name);
bool io_mode_discard(IoMode *mode, const char *name);
bool io_mode_aio(const char *name);
/* @options: "key=value,..." or NULL; @file: or NULL. False: it was said. */
bool io_open_image(const IoMode *mode, const char *file, const char *format, const char *options);
void io_close_image(void);
bool io_cmd_open(int argc, char **argv);
bool io_cmd_close(int argc, char **argv);
bool io_cmd_reopen(int argc, char **argv);

/* ---- text.c ---- */

/* A size, or a negative number that io_complain() knows. */
int64_t io_number(const char *text);
bool io_complain(int64_t number, const char *text);
/* Both at once. */
bool io_parse(const char *text, int64_t *number);
bool io_parse_pattern(const char *text, int *pattern);
/* "64 KiB", "1.507 KiB"; g_free() it. */
char *io_size(double size);

typedef struct IoReport {
    const char *verb; /* "read" */
    bool quiet, brief;
    gint64 begin; /* microseconds */
} IoReport;

void io_report(const IoReport *r, uint64_t offset, uint64_t asked, uint64_t done);
void io_dump(const uint8_t *buf, uint64_t offset, uint64_t n);

/* ---- access.c ---- */

/* One request as the commands describe it. */
typedef struct IoRequest {
    bool writes, zeroes, unmap, no_fallback, compressed, fua, vm_state, vector, dump;
    bool check; /* what was read is compared with .pattern */
    int pattern;
    int64_t check_from, check_bytes;
    uint64_t offset, bytes;
    uint8_t *buf; /* NULL: none is needed */
    struct iovec *iov;
    int n_iov;
    IoReport report;
} IoRequest;

/* 0 or -errno. */
int io_request_run(IoRequest *r);
/* Compares what was read; false, and it was said: it is something else. */
bool io_request_verify(const IoRequest *r);
void io_request_free(IoRequest *r);
/* Buffers of the sizes in @words, together r->bytes. False: it was said. */
bool io_request_vector(IoRequest *r, char **words, int n, int fill);
bool io_cmd_read(int argc, char **argv);
bool io_cmd_readv(int argc, char **argv);
bool io_cmd_write(int argc, char **argv);
bool io_cmd_writev(int argc, char **argv);
bool io_cmd_discard(int argc, char **argv);

/* ---- async.c ---- */

/* Waits for all requests. */
void io_drain(void);
bool io_cmd_aio_read(int argc, char **argv);
bool io_cmd_aio_write(int argc, char **argv);
bool io_cmd_aio_flush(int argc, char **argv);

/* ---- inspect.c ---- */

bool io_cmd_flush(int argc, char **argv);
bool io_cmd_truncate(int argc, char **argv);
bool io_cmd_length(int argc, char **argv);
bool io_cmd_info(int argc, char **argv);
bool io_cmd_map(int argc, char **argv);
bool io_cmd_alloc(int argc, char **argv);
bool io_cmd_abort(int argc, char **argv);
bool io_cmd_sleep(int argc, char **argv);
bool io_cmd_sigraise(int argc, char **argv);
bool io_cmd_break(int argc, char **argv);
bool io_cmd_remove_break(int argc, char **argv);
bool io_cmd_resume(int argc, char **argv);
bool io_cmd_wait_break(int argc, char **argv);

#endif
