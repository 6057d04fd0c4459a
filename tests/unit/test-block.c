/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block back ends: opening and refusing, locks, requests of every kind against a model in memory (plain, snapshot and synchronous), many
 * requests in flight, the odd end of a file.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "block/block.h"

enum { DISK = 1 << 20, SECTOR = 512 };

static char *folder, *disk;
static GMutex machine;

static void lock_machine(void)
{
    g_mutex_lock(&machine);
}

static void unlock_machine(void)
{
    g_mutex_unlock(&machine);
}

/* ---- Helpers ---- */

static void fill_pattern(uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)(i * 7 + (i >> 9));
    }
}

static void make_disk(size_t size)
{
    g_autofree uint8_t *data = g_malloc(size + 1);
    g_autoptr(GError) error = NULL;

    fill_pattern(data, size);
    g_file_set_contents(disk, (const char *)data, (gssize)size, &error);
    g_assert_no_error(error);
}

static void assert_disk_is(const uint8_t *data, size_t size)
{
    g_autofree char *got = NULL;
    gsize len;

    g_assert_true(g_file_get_contents(disk, &got, &len, NULL));
    g_assert_cmpmem(got, len, data, size);
}

static void close_all(void)
{
    lock_machine();
    block_close_all();
    unlock_machine();
}

static BlockBackend *open_with(BlockOptions options)
{
    g_autoptr(GError) error = NULL;
    BlockBackend *blk;

    options.id = options.id ? options.id : "d";
    options.file = options.file ? options.file : disk;
    blk = block_open(&options, &error);
    g_assert_no_error(error);
    return blk;
}

static void assert_refused(BlockOptions options, const char *text)
{
    g_autoptr(GError) error = NULL;

    options.id = "refused";
    options.file = options.file ? options.file : disk;
    g_assert_null(block_open(&options, &error));
    g_assert_nonnull(error);
    g_assert_true(g_str_has_prefix(error->message, options.file));
    if (!strstr(error->message, text)) {
        g_test_fail_printf("'%s' does not say '%s'", error->message, text);
    }
}

static void note_done(BlockRequest *req, int error)
{
    *(int *)req->opaque = error;
}

/* Carries one request out; returns its error. */
static int run(BlockBackend *blk, BlockOp op, uint64_t offset, void *buf, uint64_t bytes)
{
    struct iovec iov[3] = { { buf, bytes / 3 },
                            { (char *)buf + bytes / 3, 0 },
                            { (char *)buf + bytes / 3, bytes - bytes / 3 } };
    int result = 1;
    BlockRequest req = {
        .op = op,
        .offset = offset,
        .bytes = bytes,
        .iov = iov,
        .n_iov = 3,
        .done = note_done,
        .opaque = &result,
    };

    lock_machine();
    block_submit(blk, &req);
    block_drain(blk);
    unlock_machine();
    g_assert_cmpint(result, !=, 1);
    return result;
}

/* ---- Opening ---- */

static void test_refused(void)
{
    g_autofree char *missing = g_build_filename(folder, "missing", NULL);
    g_autofree char *fifo = g_build_filename(folder, "fifo", NULL);

    assert_refused((BlockOptions){ .file = missing }, "No such file");
    assert_refused((BlockOptions){ .file = folder }, "directory");
    assert_refused((BlockOptions){ .file = folder, .readonly = true }, "directory");
    assert_refused((BlockOptions){ .file = "/dev/zero" }, "neither");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    assert_refused((BlockOptions){ .file = fifo }, "neither");
    g_unlink(fifo);
    make_disk(SECTOR);
    assert_refused((BlockOptions){ .format = "qcow2" }, "qcow2");
    g_file_set_contents(disk, "QFI\xfb rest", -1, NULL);
    assert_refused((BlockOptions){ .readonly = true }, "format=raw");
    g_assert_null(block_find("refused"));
    open_with((BlockOptions){ .format = "raw" });
    close_all();
}

static void test_locks(void)
{
    make_disk(SECTOR);
    open_with((BlockOptions){ .id = "a" });
    assert_refused((BlockOptions){ 0 }, "another drive");
    assert_refused((BlockOptions){ .readonly = true }, "for writing");
    assert_refused((BlockOptions){ .snapshot = true }, "in use");
    close_all();
    open_with((BlockOptions){ .id = "a", .readonly = true });
    open_with((BlockOptions){ .id = "b", .snapshot = true });
    assert_refused((BlockOptions){ 0 }, "in use");
    close_all();
    open_with((BlockOptions){ .id = "a" });
    close_all();
}

static void test_lock_names_process(void)
{
    g_autofree char *text = NULL;
    int ready[2], quit[2], status;
    char c = 0;
    pid_t pid;

    make_disk(SECTOR);
    g_assert_true(pipe(ready) == 0 && pipe(quit) == 0);
    pid = fork();
    if (pid == 0) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int fd = open(disk, O_RDWR);

        close(quit[1]);
        if (fcntl(fd, F_OFD_SETLK, &lock) || write(ready[1], &c, 1) != 1 ||
            read(quit[0], &c, 1) < 0) {
            _exit(1);
        }
        _exit(0);
    }
    g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
    text = g_strdup_printf("process %d", (int)pid);
    assert_refused((BlockOptions){ 0 }, text);
    close(quit[1]);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    close(quit[0]);
    close(ready[0]);
    close(ready[1]);
}

static void test_claim(void)
{
    g_autoptr(GError) error = NULL;
    BlockBackend *blk;

    make_disk(SECTOR);
    blk = open_with((BlockOptions){ 0 });
    g_assert_true(block_find("d") == blk);
    g_assert_true(block_claim(blk, "one", &error));
    g_assert_false(block_claim(blk, "two", &error));
    g_assert_nonnull(strstr(error->message, "one"));
    block_release(blk);
    g_assert_true(block_claim(blk, "two", NULL));
    close_all();
}

/* ---- Requests ---- */

static void test_bounds(void)
{
    uint8_t buf[2 * SECTOR];
    BlockBackend *blk;

    make_disk(DISK);
    blk = open_with((BlockOptions){ .readonly = true });
    g_assert_cmpint(run(blk, BLOCK_READ, DISK - SECTOR, buf, 2 * SECTOR), ==, -EINVAL);
    g_assert_cmpint(run(blk, BLOCK_READ, UINT64_MAX - 8, buf, 2 * SECTOR), ==, -EINVAL);
    g_assert_cmpint(run(blk, BLOCK_READ, DISK, buf, 0), ==, 0);
    g_assert_cmpint(run(blk, BLOCK_WRITE, 0, buf, SECTOR), ==, -EROFS);
    g_assert_cmpint(run(blk, BLOCK_DISCARD, 0, NULL, SECTOR), ==, -EROFS);
    g_assert_cmpint(run(blk, BLOCK_WRITE_ZEROES, 0, NULL, SECTOR), ==, -EROFS);
    g_assert_cmpint(run(blk, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    close_all();
}

static void test_odd_end(void)
{
    uint8_t data[1024] = { 0 }, buf[SECTOR];
    BlockBackend *blk;

    fill_pattern(data, 1000);
    make_disk(1000);
    blk = open_with((BlockOptions){ 0 });
    g_assert_cmpuint(block_length(blk), ==, 1024);
    g_assert_cmpuint(block_file_length(blk), ==, 1000);
    g_assert_cmpint(run(blk, BLOCK_READ, SECTOR, buf, SECTOR), ==, 0);
    g_assert_cmpmem(buf, SECTOR, data + SECTOR, SECTOR);
    assert_disk_is(data, 1000);
    g_assert_cmpint(run(blk, BLOCK_WRITE, SECTOR, buf, SECTOR), ==, 0);
    assert_disk_is(data, 1024);
    close_all();
    make_disk(0);
    blk = open_with((BlockOptions){ .snapshot = true });
    g_assert_cmpuint(block_length(blk), ==, 0);
    close_all();
}

/* Random requests, one after the other, against a copy in memory. */
static void compare_with_model(BlockOptions options, size_t size)
{
    g_autofree uint8_t *before = g_malloc(size), *model = g_malloc(size), *buf = g_malloc(size);
    BlockBackend *blk;

    make_disk(size);
    fill_pattern(before, size);
    memcpy(model, before, size);
    blk = open_with(options);
    for (unsigned i = 0; i < 600; i++) {
        uint64_t bytes = (uint64_t)g_test_rand_int_range(0, g_test_rand_bit() ? 16 : 512) * SECTOR;
        uint64_t offset =
            (uint64_t)g_test_rand_int_range(0, (gint32)((size - bytes) / SECTOR)) * SECTOR;

        switch (g_test_rand_int_range(0, 5)) {
        case 0:
        case 1:
            g_assert_cmpint(run(blk, BLOCK_READ, offset, buf, bytes), ==, 0);
            g_assert_cmpmem(buf, bytes, model + offset, bytes);
            break;
        case 2:
            memset(buf, (int)i, bytes);
            g_assert_cmpint(run(blk, BLOCK_WRITE, offset, buf, bytes), ==, 0);
            memset(model + offset, (int)i, bytes);
            break;
        case 3:
            g_assert_cmpint(run(blk, BLOCK_WRITE_ZEROES, offset, NULL, bytes), ==, 0);
            memset(model + offset, 0, bytes);
            break;
        case 4:
            g_assert_cmpint(run(blk, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
            break;
        }
    }
    g_assert_true(block_pread(blk, 0, buf, size, NULL));
    g_assert_cmpmem(buf, size, model, size);
    close_all();
    assert_disk_is(options.snapshot ? before : model, size);
}

static void test_plain(void)
{
    compare_with_model((BlockOptions){ 0 }, DISK);
}

static void test_snapshot(void)
{
    compare_with_model((BlockOptions){ .snapshot = true }, DISK);
    compare_with_model((BlockOptions){ .snapshot = true }, DISK + 3 * SECTOR);
}

static void test_synchronous(void)
{
    uint8_t buf[SECTOR];
    struct iovec iov = { buf, SECTOR };
    int result = 1;
    BlockRequest req = { .op = BLOCK_WRITE,
                         .bytes = SECTOR,
                         .iov = &iov,
                         .n_iov = 1,
                         .done = note_done,
                         .opaque = &result };

    make_disk(DISK);
    block_set_synchronous(true);
    memset(buf, 1, SECTOR);
    block_submit(open_with((BlockOptions){ .snapshot = true }), &req);
    g_assert_cmpint(result, ==, 0);
    close_all();
    compare_with_model((BlockOptions){ 0 }, DISK);
    block_set_synchronous(false);
}

static void test_discard(void)
{
    uint8_t buf[SECTOR];
    BlockBackend *blk;

    make_disk(DISK);
    blk = open_with((BlockOptions){ 0 });
    g_assert_cmpint(run(blk, BLOCK_DISCARD, 4096, NULL, 256 * 1024), ==, 0);
    g_assert_cmpint(run(blk, BLOCK_READ, 0, buf, SECTOR), ==, 0);
    g_assert_cmpint(buf[1], ==, 7);
    close_all();
}

/* ---- Many at a time ---- */

enum { N_FLIGHT = 64, PIECE = 8192 };

typedef struct Flight {
    unsigned done, batches;
    GMutex lock;
} Flight;

static void count_done(BlockRequest *req, int error)
{
    Flight *f = req->opaque;

    g_assert_cmpint(error, ==, 0);
    g_assert_false(g_mutex_trylock(&machine));
    f->done++;
}

static void count_batch(void *opaque)
{
    Flight *f = opaque;

    g_assert_false(g_mutex_trylock(&machine));
    f->batches++;
}

static void fly(BlockBackend *blk, BlockOp op, uint8_t *buf)
{
    BlockRequest req[N_FLIGHT];
    struct iovec iov[N_FLIGHT];
    Flight f = { 0 };

    lock_machine();
    block_set_batch_end(blk, count_batch, &f);
    for (unsigned i = 0; i < N_FLIGHT; i++) {
        iov[i] = (struct iovec){ buf + i * PIECE, PIECE };
        req[i] = (BlockRequest){
            .op = op,
            .offset = i * PIECE,
            .bytes = PIECE,
            .iov = &iov[i],
            .n_iov = 1,
            .done = count_done,
            .opaque = &f,
        };
        block_submit(blk, &req[i]);
        if (i % 16 == 15) { /* lets workers complete by themselves, too */
            unlock_machine();
            g_usleep(500);
            lock_machine();
        }
    }
    block_drain(blk);
    g_assert_cmpuint(f.done, ==, N_FLIGHT);
    g_assert_cmpuint(f.batches, <=, N_FLIGHT);
    block_set_batch_end(blk, NULL, NULL);
    unlock_machine();
}

static void test_flight(void)
{
    g_autofree uint8_t *out = g_malloc(N_FLIGHT * PIECE), *in = g_malloc0(N_FLIGHT * PIECE);
    BlockBackend *blk;

    make_disk(DISK);
    for (unsigned snapshot = 0; snapshot < 2; snapshot++) {
        blk = open_with((BlockOptions){ .snapshot = snapshot });
        for (unsigned round = 0; round < 10; round++) {
            memset(out, (int)round + 1, N_FLIGHT * PIECE);
            fly(blk, BLOCK_WRITE, out);
            fly(blk, BLOCK_READ, in);
            g_assert_cmpmem(in, N_FLIGHT * PIECE, out, N_FLIGHT * PIECE);
        }
        close_all();
    }
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    block_set_lock(lock_machine, unlock_machine);
    folder = g_dir_make_tmp("test-block-XXXXXX", NULL);
    disk = g_build_filename(folder, "disk", NULL);
    g_test_add_func("/block/refused", test_refused);
    g_test_add_func("/block/locks", test_locks);
    g_test_add_func("/block/lock-names-process", test_lock_names_process);
    g_test_add_func("/block/claim", test_claim);
    g_test_add_func("/block/bounds", test_bounds);
    g_test_add_func("/block/odd-end", test_odd_end);
    g_test_add_func("/block/plain", test_plain);
    g_test_add_func("/block/snapshot", test_snapshot);
    g_test_add_func("/block/synchronous", test_synchronous);
    g_test_add_func("/block/discard", test_discard);
    g_test_add_func("/block/flight", test_flight);
    status = g_test_run();
    g_unlink(disk);
    g_rmdir(folder);
    return status;
}
