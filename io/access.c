/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads, writes and discards: their options, buffers, and the requests themselves. A request with a vector has all its buffers in one piece of
 * memory, so that patterns and dumps know one buffer only.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "io/io-priv.h"

enum { FILL_WRITE = 0xcd, FILL_READ = 0xab, ALIGN = 4096 };

/* ---- Requests ---- */

void io_request_free(IoRequest *r)
{
    free(r->buf);
    g_free(r->iov);
    r->buf = NULL;
    r->iov = NULL;
}

static bool make_buffer(IoRequest *r, uint64_t bytes, int fill)
{
    if (posix_memalign((void **)&r->buf, ALIGN, MAX(bytes, 1)) != 0) {
        r->buf = NULL;
        return io_fail("no memory for %" G_GUINT64_FORMAT " bytes", bytes);
    }
    memset(r->buf, fill, bytes);
    return true;
}

bool io_request_vector(IoRequest *r, char **words, int n, int fill)
{
    uint8_t *p;

    r->bytes = 0;
    r->vector = true;
    r->n_iov = n;
    r->iov = g_new0(struct iovec, MAX(n, 1));
    for (int i = 0; i < n; i++) {
        int64_t bytes = io_number(words[i]);

        if (bytes < 0) {
            return io_complain(bytes, words[i]);
        }
        if (bytes > IO_MAX_BYTES) {
            printf("Argument '%s' exceeds maximum size %d\n", words[i], IO_MAX_BYTES);
            return false;
        }
        if ((uint64_t)bytes > IO_MAX_BYTES - r->bytes) {
            printf("The total number of bytes exceed the maximum size %d\n", IO_MAX_BYTES);
            return false;
        }
        r->iov[i].iov_len = (size_t)bytes;
        r->bytes += (uint64_t)bytes;
    }
    if (!make_buffer(r, r->bytes, fill)) {
        return false;
    }
    p = r->buf;
    for (int i = 0; i < n; i++) {
        r->iov[i].iov_base = p;
        p += r->iov[i].iov_len;
    }
    return true;
}

static int run_write(BlockNode *node, IoRequest *r, IovCursor *c)
{
    int err;

    if (r->zeroes) {
        err = node_write_zeroes(node, r->offset, r->bytes, r->unmap);
    } else if (r->compressed) {
        err = node_write_compressed(node, r->offset, r->bytes, c);
    } else {
        err = node_write(node, r->offset, r->bytes, c);
    }
    return !err && (r->fua || io_image.mode.writethrough) ? node_flush(node) : err;
}

static int run_vm_state(BlockNode *node, IoRequest *r, IovCursor *c)
{
    const BlockDriver *d = node->driver;

    if (r->writes ? !d->vm_state_write : !d->vm_state_read) {
        return -ENOTSUP;
    }
    return r->writes ? d->vm_state_write(node, r->offset, r->bytes, c)
                     : d->vm_state_read(node, r->offset, r->bytes, c);
}

int io_request_run(IoRequest *r)
{
    struct iovec whole = { r->buf, r->bytes };
    IovCursor c = { r->vector ? r->iov : &whole, r->vector ? r->n_iov : 1, 0 };
    BlockNode *node;
    int err;

    g_rw_lock_reader_lock(&io_image.lock);
    node = io_image.node;
    if (r->vm_state) {
        err = run_vm_state(node, r, &c);
    } else if (r->offset > node->length || r->bytes > node->length - r->offset) {
        err = -EIO;
    } else if (r->writes) {
        err = run_write(node, r, &c);
    } else {
        err = io_image.mode.copy_on_read && r->bytes ? node_copy_up(node, r->offset, r->bytes) : 0;
        err = err ? err : node_read(node, r->offset, r->bytes, &c);
    }
    g_rw_lock_reader_unlock(&io_image.lock);
    return err;
}

bool io_request_verify(const IoRequest *r)
{
    for (int64_t i = 0; r->check && i < r->check_bytes; i++) {
        if (r->buf[r->check_from + i] != r->pattern) {
            printf("Pattern verification failed at offset %" G_GINT64_FORMAT ", %" G_GINT64_FORMAT
                   " bytes\n",
                   (int64_t)r->offset + r->check_from, r->check_bytes);
            return false;
        }
    }
    return true;
}

/* Runs it and says how it went; @what is in front of "failed". */
static bool do_request(IoRequest *r, const char *what)
{
    bool ok;
    int err;

    r->report.begin = g_get_monotonic_time();
    err = io_request_run(r);
    if (err) {
        printf("%s failed: %s\n", what, img_strerror(err));
        return false;
    }
    ok = io_request_verify(r);
    if (r->dump && !r->report.quiet) {
        io_dump(r->buf, r->offset, r->bytes);
    }
    io_report(&r->report, r->offset, r->bytes, r->bytes);
    return ok;
}

/* ---- Arguments ---- */

static bool check_aligned(int64_t value, const char *what)
{
    if (value % BLOCK_SECTOR) {
        printf("%" G_GINT64_FORMAT " is not a sector-aligned value for '%s'\n", value, what);
        return false;
    }
    return true;
}

/* @last: what a length behind "-n" is told of. */
static bool parse_range(IoRequest *r, char **words, const char *tail)
{
    int64_t offset, bytes;

    if (!io_parse(words[0], &offset) || !io_parse(words[1], &bytes)) {
        return false;
    }
    if (bytes > IO_MAX_BYTES && !r->no_fallback) {
        printf("length cannot exceed %d%s, given %s\n", IO_MAX_BYTES, tail, words[1]);
        return false;
    }
    r->offset = (uint64_t)offset;
    r->bytes = (uint64_t)bytes;
    return !(r->vm_state || r->compressed) ||
           (check_aligned(offset, "offset") && check_aligned(bytes, "count"));
}

/* Options that all have. */
static bool common_option(IoRequest *r, int c)
{
    switch (c) {
    case 'C':
        r->report.brief = true;
        return true;
    case 'q':
        r->report.quiet = true;
        return true;
    case 'v':
        r->dump = true;
        return true;
    case 'p': /* for what was written for older versions */
        return true;
    default:
        return false;
    }
}

/* ---- Commands that read ---- */

/* -1: go on. */
static int read_option(IoRequest *r, int c, bool *window)
{
    if (common_option(r, c)) {
        return -1;
    }
    switch (c) {
    case 'b':
        r->vm_state = true;
        return -1;
    case 'P':
        r->check = true;
        return io_parse_pattern(optarg, &r->pattern) ? -1 : false;
    case 's':
        *window = true;
        return io_parse(optarg, &r->check_from) ? -1 : false;
    case 'l':
        *window = true;
        return io_parse(optarg, &r->check_bytes) ? -1 : false;
    default:
        return io_usage("read");
    }
}

/* The part of what is read that is compared. */
static bool check_window(IoRequest *r)
{
    if (r->check_bytes < 0) {
        r->check_bytes = (int64_t)r->bytes - r->check_from;
    }
    if (r->check && (r->check_bytes < 0 || r->check_from > (int64_t)r->bytes ||
                     r->check_bytes > (int64_t)r->bytes - r->check_from)) {
        printf("pattern verification range exceeds end of read data\n");
        return false;
    }
    return true;
}

bool io_cmd_read(int argc, char **argv)
{
    IoRequest r = { .report.verb = "read", .check_bytes = -1 };
    bool window = false, ok;
    int c, done;

    while ((c = getopt(argc, argv, "bCl:pP:qs:v")) != -1) {
        done = read_option(&r, c, &window);
        if (done >= 0) {
            return done;
        }
    }
    if (optind != argc - 2 || (window && !r.check)) {
        return io_usage("read");
    }
    if (!parse_range(&r, argv + optind, "") || !check_window(&r)) {
        return false;
    }
    ok = make_buffer(&r, r.bytes, FILL_READ) && do_request(&r, "read");
    io_request_free(&r);
    return ok;
}

bool io_cmd_readv(int argc, char **argv)
{
    IoRequest r = { .report.verb = "read", .vector = true };
    int64_t offset;
    bool ok;
    int c;

    while ((c = getopt(argc, argv, "CP:qv")) != -1) {
        if (c == 'P') {
            r.check = true;
            if (!io_parse_pattern(optarg, &r.pattern)) {
                return false;
            }
        } else if (!common_option(&r, c)) {
            return io_usage("readv");
        }
    }
    if (optind > argc - 2) {
        return io_usage("readv");
    }
    if (!io_parse(argv[optind], &offset)) {
        return false;
    }
    r.offset = (uint64_t)offset;
    ok = io_request_vector(&r, argv + optind + 1, argc - optind - 1, FILL_READ);
    r.check_bytes = (int64_t)r.bytes;
    ok = ok && do_request(&r, "readv");
    io_request_free(&r);
    return ok;
}

/* ---- Commands that write ---- */

typedef struct WriteFlags {
    bool pattern;
    const char *source;
} WriteFlags;

/* Repeats what is in @file; false: it was said. */
static bool fill_from_file(IoRequest *r, const char *file)
{
    FILE *f = fopen(file, "re");
    uint64_t got = 0, n;
    int err = 0;

    if (!f) {
        fprintf(stderr, "%s: %s\n", file, g_strerror(errno));
        return false;
    }
    if (!make_buffer(r, r->bytes, 0)) {
        fclose(f);
        return false;
    }
    errno = 0;
    got = fread(r->buf, 1, r->bytes, f);
    err = ferror(f) ? errno : 0;
    fclose(f);
    if (err) {
        fprintf(stderr, "%s: %s\n", file, g_strerror(err));
        return false;
    }
    if (!got && r->bytes) {
        fprintf(stderr, "%s: file is empty\n", file);
        return false;
    }
    for (; got < r->bytes; got += n) {
        n = MIN(got, r->bytes - got);
        memcpy(r->buf + got, r->buf, n);
    }
    return true;
}

static int write_option(IoRequest *r, int c, WriteFlags *flags)
{
    if (common_option(r, c)) {
        return -1;
    }
    switch (c) {
    case 'b':
        r->vm_state = true;
        return -1;
    case 'c':
        r->compressed = true;
        return -1;
    case 'f':
        r->fua = true;
        return -1;
    case 'n':
        r->no_fallback = true;
        return -1;
    case 'P':
        flags->pattern = true;
        return io_parse_pattern(optarg, &r->pattern) ? -1 : false;
    case 's':
        flags->source = optarg;
        return -1;
    case 'u':
        r->unmap = true;
        return -1;
    case 'z':
        r->zeroes = true;
        return -1;
    default:
        return io_usage("write");
    }
}

static const char *write_conflict(const IoRequest *r, const WriteFlags *flags)
{
    if (r->vm_state && r->zeroes) {
        return "-b and -z cannot be specified at the same time";
    }
    if (r->fua && (r->vm_state || r->compressed)) {
        return "-f and -b or -c cannot be specified at the same time";
    }
    if (r->no_fallback && !r->zeroes) {
        return "-n requires -z to be specified";
    }
    if (r->unmap && !r->zeroes) {
        return "-u requires -z to be specified";
    }
    if (r->zeroes + flags->pattern + (flags->source != NULL) > 1) {
        return "Only one of -z, -P, and -s can be specified at the same time";
    }
    return NULL;
}

bool io_cmd_write(int argc, char **argv)
{
    IoRequest r = { .report.verb = "wrote", .writes = true, .pattern = FILL_WRITE };
    WriteFlags flags = { 0 };
    const char *conflict;
    int c, done;
    bool ok;

    while ((c = getopt(argc, argv, "bcCfnpP:qs:uz")) != -1) {
        done = write_option(&r, c, &flags);
        if (done >= 0) {
            return done;
        }
    }
    if (optind != argc - 2) {
        return io_usage("write");
    }
    conflict = write_conflict(&r, &flags);
    if (conflict) {
        printf("%s\n", conflict);
        return false;
    }
    if (!parse_range(&r, argv + optind, " without -n")) {
        return false;
    }
    ok = r.zeroes       ? true
         : flags.source ? fill_from_file(&r, flags.source)
                        : make_buffer(&r, r.bytes, r.pattern);
    ok = ok && do_request(&r, "write");
    io_request_free(&r);
    return ok;
}

bool io_cmd_writev(int argc, char **argv)
{
    IoRequest r = { .report.verb = "wrote", .writes = true, .pattern = FILL_WRITE };
    int64_t offset;
    bool ok;
    int c;

    while ((c = getopt(argc, argv, "CfP:q")) != -1) {
        if (c == 'P') {
            if (!io_parse_pattern(optarg, &r.pattern)) {
                return false;
            }
        } else if (c == 'f') {
            r.fua = true;
        } else if (!common_option(&r, c)) {
            return io_usage("writev");
        }
    }
    if (optind > argc - 2) {
        return io_usage("writev");
    }
    if (!io_parse(argv[optind], &offset)) {
        return false;
    }
    r.offset = (uint64_t)offset;
    ok = io_request_vector(&r, argv + optind + 1, argc - optind - 1, r.pattern) &&
         do_request(&r, "writev");
    io_request_free(&r);
    return ok;
}

/* ---- discard ---- */

static int run_discard(uint64_t offset, uint64_t bytes)
{
    BlockNode *node;
    int err;

    g_rw_lock_reader_lock(&io_image.lock);
    node = io_image.node;
    if (offset > node->length || bytes > node->length - offset) {
        err = -EIO;
    } else {
        err = io_image.mode.unmap ? node_discard(node, offset, bytes) : 0;
    }
    g_rw_lock_reader_unlock(&io_image.lock);
    return err == -ENOTSUP ? 0 : err;
}

bool io_cmd_discard(int argc, char **argv)
{
    IoRequest r = { .report.verb = "discard" };
    int c, err;

    while ((c = getopt(argc, argv, "Cq")) != -1) {
        if (!common_option(&r, c)) {
            return io_usage("discard");
        }
    }
    if (optind != argc - 2) {
        return io_usage("discard");
    }
    if (!parse_range(&r, argv + optind, "")) {
        return false;
    }
    r.report.begin = g_get_monotonic_time();
    err = run_discard(r.offset, r.bytes);
    if (err) {
        printf("discard failed: %s\n", img_strerror(err));
        return false;
    }
    io_report(&r.report, r.offset, r.bytes, r.bytes);
    return true;
}
