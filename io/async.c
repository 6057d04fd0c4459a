/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aio_read and aio_write: requests that run beside each other, each in a thread of its own. What they have to say comes in the order in which they
 * were given, from the main thread, before the next command that is none of them. A request waits for earlier ones that it overlaps, so
 * that what is in the image afterwards does not depend on luck.
 */
#include <getopt.h>
#include <stdio.h>
#include "block/filter.h"
#include "io/io-priv.h"

enum { FILL_WRITE = 0xcd, FILL_READ = 0xab, MAX_RUNNING = 64 };

typedef struct AsyncRequest {
    IoRequest r;
    GThread *thread;
    int err;
} AsyncRequest;

static GQueue running = G_QUEUE_INIT; /* of AsyncRequest, the first given first */

static gpointer run(gpointer opaque)
{
    AsyncRequest *a = opaque;

    a->err = io_request_run(&a->r);
    return NULL;
}

/* Waits for the oldest one and says how it went. */
static void finish_first(void)
{
    AsyncRequest *a = g_queue_pop_head(&running);

    g_thread_join(a->thread);
    if (a->err) {
        printf("%s failed: %s\n", a->r.writes ? "aio_write" : "readv", img_strerror(a->err));
    } else {
        io_request_verify(&a->r);
        if (a->r.dump && !a->r.report.quiet) {
            io_dump(a->r.buf, a->r.offset, a->r.bytes);
        }
        io_report(&a->r.report, a->r.offset, a->r.bytes, a->r.bytes);
    }
    io_request_free(&a->r);
    g_free(a);
}

void io_drain(void)
{
    while (running.length) {
        finish_first();
    }
}

static bool overlaps(const IoRequest *a, const IoRequest *b)
{
    return (a->writes || b->writes) && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

static void start(AsyncRequest *a)
{
    for (GList *l = running.head; l && !blkdebug_is_below(io_image.node); l = l->next) {
        if (overlaps(&((AsyncRequest *)l->data)->r, &a->r)) {
            io_drain();
            break;
        }
    }
    if (running.length >= MAX_RUNNING) {
        finish_first();
    }
    a->r.report.begin = g_get_monotonic_time();
    g_queue_push_tail(&running, a);
    a->thread = g_thread_new("aio", run, a);
}

/* -i: only says so. */
static bool inject(AsyncRequest *a, const char *what)
{
    printf("injecting invalid %s request\n", what);
    g_free(a);
    return true;
}

static bool give_up(AsyncRequest *a)
{
    io_request_free(&a->r);
    g_free(a);
    return false;
}

bool io_cmd_aio_read(int argc, char **argv)
{
    AsyncRequest *a = g_new0(AsyncRequest, 1);
    int64_t offset;
    int c;

    a->r.report.verb = "read";
    while ((c = getopt(argc, argv, "CP:iqv")) != -1) {
        if (c == 'P') {
            a->r.check = true;
            if (!io_parse_pattern(optarg, &a->r.pattern)) {
                return give_up(a);
            }
        } else if (c == 'i') {
            return inject(a, "read");
        } else if (c == '?') {
            give_up(a);
            return io_usage("aio_read");
        }
        a->r.report.brief |= c == 'C';
        a->r.report.quiet |= c == 'q';
        a->r.dump |= c == 'v';
    }
    if (optind > argc - 2) {
        give_up(a);
        return io_usage("aio_read");
    }
    if (!io_parse(argv[optind], &offset) ||
        !io_request_vector(&a->r, argv + optind + 1, argc - optind - 1, FILL_READ)) {
        return give_up(a);
    }
    a->r.offset = (uint64_t)offset;
    a->r.check_bytes = (int64_t)a->r.bytes;
    start(a);
    return true;
}

static bool say(AsyncRequest *a, const char *text)
{
    printf("%s\n", text);
    return give_up(a);
}

/* The range; false: it was said. */
static bool write_range(AsyncRequest *a, char **words, int n)
{
    int64_t offset, bytes;

    if (!io_parse(words[0], &offset)) {
        return false;
    }
    a->r.offset = (uint64_t)offset;
    if (!a->r.zeroes) {
        return io_request_vector(&a->r, words + 1, n - 1, a->r.pattern);
    }
    if (!io_parse(words[1], &bytes)) {
        return false;
    }
    a->r.bytes = (uint64_t)bytes;
    return true;
}

bool io_cmd_aio_write(int argc, char **argv)
{
    AsyncRequest *a = g_new0(AsyncRequest, 1);
    bool pattern = false;
    int c;

    a->r.report.verb = "wrote";
    a->r.writes = true;
    a->r.pattern = FILL_WRITE;
    while ((c = getopt(argc, argv, "CfiP:quz")) != -1) {
        if (c == 'P') {
            pattern = true;
            if (!io_parse_pattern(optarg, &a->r.pattern)) {
                return give_up(a);
            }
        } else if (c == 'i') {
            return inject(a, "write");
        } else if (c == '?') {
            give_up(a);
            return io_usage("aio_write");
        }
        a->r.report.brief |= c == 'C';
        a->r.report.quiet |= c == 'q';
        a->r.fua |= c == 'f';
        a->r.unmap |= c == 'u';
        a->r.zeroes |= c == 'z';
    }
    if (optind > argc - 2) {
        give_up(a);
        return io_usage("aio_write");
    }
    if (a->r.zeroes && optind != argc - 2) {
        return say(a, "-z supports only a single length parameter");
    }
    if (a->r.unmap && !a->r.zeroes) {
        return say(a, "-u requires -z to be specified");
    }
    if (a->r.zeroes && pattern) {
        return say(a, "-z and -P cannot be specified at the same time");
    }
    if (!write_range(a, argv + optind, argc - optind)) {
        return give_up(a);
    }
    start(a);
    return true;
}

bool io_cmd_aio_flush(int argc, char **argv)
{
    io_drain();
    return true;
}
