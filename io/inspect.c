/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands about the image as a whole, and those about the program itself.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "block/filter.h"
#include "io/io-priv.h"

bool io_cmd_flush(int argc, char **argv)
{
    int err = node_flush(io_image.node);

    return !err || io_fail("flush failed: %s", img_strerror(err));
}

/* ---- truncate ---- */

static bool parse_prealloc(const char *name, NodePrealloc *prealloc)
{
    static const char *const names[] = { "off", "metadata", "falloc", "full" };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(name, names[i])) {
            *prealloc = i;
            return true;
        }
    }
    return io_fail("Invalid preallocation mode '%s'", name);
}

bool io_cmd_truncate(int argc, char **argv)
{
    NodePrealloc prealloc = NODE_PREALLOC_OFF;
    g_autoptr(GError) error = NULL;
    BlockNode *node = io_image.node;
    int64_t size;
    bool ok;
    int c;

    while ((c = getopt(argc, argv, "m:")) != -1) {
        if (c != 'm') {
            return io_usage("truncate");
        }
        if (!parse_prealloc(optarg, &prealloc)) {
            return false;
        }
    }
    if (optind >= argc) {
        return io_usage("truncate");
    }
    if (!io_parse(argv[optind], &size)) {
        return false;
    }
    g_rw_lock_writer_lock(&io_image.lock);
    ok = node_truncate(node, (uint64_t)size, true, prealloc, &error);
    g_rw_lock_writer_unlock(&io_image.lock);
    return ok || io_fail("%s", img_error_text(error, node->name));
}

/* ---- What it is ---- */

bool io_cmd_length(int argc, char **argv)
{
    g_autofree char *size = io_size((double)io_image.node->length);

    printf("%s\n", size);
    return true;
}

bool io_cmd_info(int argc, char **argv)
{
    BlockNode *node = io_image.node;
    uint64_t state = node->driver->vm_state_offset ? node->driver->vm_state_offset(node) : 0;
    g_autofree char *cluster = io_size((double)img_cluster_size(node));
    g_autofree char *vm_state = io_size((double)state);

    printf("format name: %s\n", node->driver->name);
    if (node->driver->is_protocol) {
        printf("format name: %s\n", node->driver->name);
        return false; /* no more is known of a protocol */
    }
    printf("cluster size: %s\nvm state offset: %s\n", cluster, vm_state);
    img_print_details(node);
    return true;
}

/* How much from @offset on is allocated in the image itself, or not, as *@allocated says. 0 or -errno. */
static int allocated_run(uint64_t offset, uint64_t bytes, uint64_t *run, bool *allocated)
{
    *run = 0;
    while (*run < bytes) {
        NodeStatus status;
        int err = node_status(io_image.node, offset + *run, bytes - *run, &status);
        bool here = status.flags & NODE_ALLOCATED;

        if (err) {
            return err;
        }
        if (*run && here != *allocated) {
            break;
        }
        *allocated = here;
        *run += status.bytes;
    }
    return 0;
}

bool io_cmd_map(int argc, char **argv)
{
    uint64_t length = io_image.node->length, run = 0;

    for (uint64_t offset = 0; offset < length; offset += run) {
        bool allocated = false;
        int err = allocated_run(offset, length - offset, &run, &allocated);
        g_autofree char *size = NULL, *at = NULL;

        if (err) {
            return io_fail("Failed to get allocation status: %s", img_strerror(err));
        }
        size = io_size((double)run);
        at = io_size((double)offset);
        printf("%s (0x%" G_GINT64_MODIFIER
               "x) bytes %s allocated at offset %s (0x%" G_GINT64_MODIFIER "x)\n",
               size, run, allocated ? "   " : "not", at, offset);
    }
    return true;
}

bool io_cmd_alloc(int argc, char **argv)
{
    uint64_t length = io_image.node->length, sum = 0, run = 0;
    int64_t offset, count = BLOCK_SECTOR;
    g_autofree char *at = NULL;

    if (!io_parse(argv[1], &offset) || (argc > 2 && !io_parse(argv[2], &count))) {
        return false;
    }
    if ((uint64_t)offset > length) {
        count = 0;
    }
    count = (int64_t)MIN((uint64_t)count, count ? length - (uint64_t)offset : 0);
    for (uint64_t done = 0; done < (uint64_t)count; done += run) {
        bool allocated = false;
        int err = allocated_run((uint64_t)offset + done, (uint64_t)count - done, &run, &allocated);

        if (err) {
            return io_fail("is_allocated failed: %s", img_strerror(err));
        }
        sum += allocated ? run : 0;
    }
    at = io_size((double)offset);
    printf("%" G_GUINT64_FORMAT "/%" G_GINT64_FORMAT " bytes allocated at offset %s\n", sum, count,
           at);
    return true;
}

/* ---- The program ---- */

bool io_cmd_abort(int argc, char **argv)
{
    abort();
}

bool io_cmd_sleep(int argc, char **argv)
{
    char *end;
    long ms;

    errno = 0;
    ms = strtol(argv[1], &end, 0);
    if (errno || end == argv[1] || *end || ms < 0) {
        printf("%s is not a valid number\n", argv[1]);
        return false;
    }
    g_usleep((gulong)ms * 1000);
    return true;
}

bool io_cmd_sigraise(int argc, char **argv)
{
    int64_t number;

    if (!io_parse(argv[1], &number)) {
        return false;
    }
    if (number > NSIG) {
        printf("signal argument '%s' is too large to be a valid signal\n", argv[1]);
        return false;
    }
    fflush(stdout);
    raise((int)number);
    return true;
}

/* ---- Break points, of block/blkdebug.c ---- */

bool io_cmd_break(int argc, char **argv)
{
    if (!blkdebug_break(io_image.node, argv[1], argv[2])) {
        printf("Could not set breakpoint: %s\n", g_strerror(ENOTSUP));
        return false;
    }
    return true;
}

static int break_error(void)
{
    return blkdebug_is_below(io_image.node) ? ENOENT : ENOTSUP;
}

bool io_cmd_remove_break(int argc, char **argv)
{
    if (!blkdebug_remove_break(io_image.node, argv[1])) {
        printf("Could not remove breakpoint %s: %s\n", argv[1], g_strerror(break_error()));
        return false;
    }
    return true;
}

bool io_cmd_resume(int argc, char **argv)
{
    if (!blkdebug_resume(io_image.node, argv[1])) {
        printf("Could not resume request: %s\n", g_strerror(break_error()));
        return false;
    }
    return true;
}

bool io_cmd_wait_break(int argc, char **argv)
{
    if (!blkdebug_is_below(io_image.node)) {
        printf("Could not wait for breakpoint %s: %s\n", argv[1], g_strerror(ENOTSUP));
        return false;
    }
    while (!blkdebug_is_suspended(io_image.node, argv[1])) {
        g_usleep(1000);
    }
    return true;
}
