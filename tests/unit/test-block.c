/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block back ends: opening and refusing, locks, requests of every kind against a model in memory (plain, snapshot and synchronous), many
 * requests in flight, the odd end of a file, errors. Requests are tested with both engines, and with a ring that is refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "block/block.h"

enum { DISK = 1 << 20, SECTOR = 512 };

static char *folder, *disk;
static GMutex machine;
static BlockAio engine; /* of open_with() */

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
    options.aio = options.aio ? options.aio : engine;
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

static bool info_says(const char *text)
{
    g_autoptr(GString) info = g_string_new(NULL);

    block_info(info);
    return strstr(info->str, text) != NULL;
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
    assert_refused((BlockOptions){ .readonly = true }, "qcow2");
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

/* 2 MiB at 4 MiB a second, after what goes without waiting, take four tenths of a second; who drains does not wait. */
static void test_limits(void)
{
    enum { PIECES = 32, LEN = 65536 };
    static uint8_t bufs[PIECES][LEN];

    make_disk(PIECES * LEN);
    for (unsigned drain = 0; drain < 2; drain++) {
        BlockBackend *blk = open_with((BlockOptions){ .limits[BLOCK_BPS_READ] = 4 << 20 });
        int64_t begin = g_get_monotonic_time(), took;
        BlockRequest reqs[PIECES];
        struct iovec iov[PIECES];
        int results[PIECES];

        lock_machine();
        for (unsigned i = 0; i < PIECES; i++) {
            iov[i] = (struct iovec){ bufs[i], LEN };
            results[i] = 1;
            reqs[i] = (BlockRequest){ .op = BLOCK_READ,
                                      .offset = i * LEN,
                                      .bytes = LEN,
                                      .iov = &iov[i],
                                      .n_iov = 1,
                                      .done = note_done,
                                      .opaque = &results[i] };
            block_submit(blk, &reqs[i]);
        }
        if (drain) {
            block_drain(blk);
        }
        unlock_machine();
        for (unsigned i = 0; i < PIECES; i++) {
            while (__atomic_load_n(&results[i], __ATOMIC_ACQUIRE) == 1) {
                g_usleep(1000);
            }
            g_assert_cmpint(results[i], ==, 0);
        }
        took = g_get_monotonic_time() - begin;
        g_assert_true(drain ? took < 300000 : took > 370000);
        close_all();
    }
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

/* More pieces than the kernel takes with one call. */
static void test_pieces(void)
{
    enum { N = 1536, LEN = N * 8 };
    g_autofree uint8_t *out = g_malloc(LEN), *in = g_malloc0(LEN);
    struct iovec iov[N];
    int result = 1;
    BlockRequest req = {
        .bytes = LEN, .iov = iov, .n_iov = N, .done = note_done, .opaque = &result
    };
    BlockBackend *blk;

    make_disk(DISK);
    blk = open_with((BlockOptions){ 0 });
    fill_pattern(out, LEN);
    for (unsigned op = BLOCK_READ; op <= BLOCK_WRITE; op++) {
        uint8_t *buf = op == BLOCK_WRITE ? out : in;

        for (unsigned i = 0; i < N; i++) {
            iov[i] = (struct iovec){ buf + i * 8, 8 };
        }
        req.op = op;
        lock_machine();
        block_submit(blk, &req);
        block_drain(blk);
        unlock_machine();
        g_assert_cmpint(result, ==, 0);
        result = 1;
    }
    g_assert_cmpmem(in, LEN, out, LEN);
    close_all();
}

/* The host refuses to make the file longer; what lies before that is still fine. */
static void test_errors(void)
{
    g_autofree uint8_t *buf = g_malloc0(2 * 65536);
    struct rlimit before, small;
    BlockBackend *blk;

    make_disk(65536 + 100);
    blk = open_with((BlockOptions){ 0 });
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &before), ==, 0);
    small = before;
    small.rlim_cur = 65536;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &small), ==, 0);
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpint(run(blk, BLOCK_WRITE, 65536, buf, SECTOR), ==, -EFBIG);
        g_assert_cmpint(run(blk, BLOCK_WRITE, 65536 - SECTOR, buf, 2 * SECTOR), ==, -EFBIG);
        g_assert_cmpint(run(blk, BLOCK_WRITE, 65536 - SECTOR, buf, SECTOR), ==, 0);
        g_assert_cmpint(run(blk, BLOCK_FLUSH, 0, NULL, 0), ==, 0);
    }
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
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

static void fly(BlockBackend *blk, BlockOp op, uint8_t *buf, bool plugged)
{
    BlockRequest req[N_FLIGHT];
    struct iovec iov[N_FLIGHT];
    Flight f = { 0 };

    lock_machine();
    block_set_batch_end(blk, count_batch, &f);
    if (plugged) {
        block_plug();
    }
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
        if (i % 16 == 15 && !plugged) { /* lets workers complete by themselves, too */
            unlock_machine();
            g_usleep(500);
            lock_machine();
        }
    }
    if (plugged) {
        block_unplug();
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
            fly(blk, BLOCK_WRITE, out, round % 2);
            fly(blk, BLOCK_READ, in, round % 2);
            g_assert_cmpmem(in, N_FLIGHT * PIECE, out, N_FLIGHT * PIECE);
        }
        close_all();
    }
}

static void flush_then_count(BlockRequest *req, int error)
{
    g_assert_cmpint(error, ==, 0);
    req->op = BLOCK_FLUSH;
    req->done = count_done;
    block_submit(req->blk, req);
}

/* Drained before the end of block_plug(), with what a finished request sends on. */
static void test_plugged_drain(void)
{
    uint8_t buf[PIECE] = { 1 };
    struct iovec iov = { buf, PIECE };
    Flight f = { 0 };
    BlockBackend *blk;
    BlockRequest req = { .op = BLOCK_WRITE,
                         .bytes = PIECE,
                         .iov = &iov,
                         .n_iov = 1,
                         .done = flush_then_count,
                         .opaque = &f };

    make_disk(DISK);
    blk = open_with((BlockOptions){ 0 });
    lock_machine();
    block_plug();
    block_submit(blk, &req);
    block_drain(blk);
    g_assert_cmpuint(f.done, ==, 1);
    block_unplug();
    unlock_machine();
    close_all();
}

/* A mix of everything on pieces of their own, each of which gets its next request when one is done. */
typedef struct Mixer {
    BlockRequest req;
    struct iovec iov;
    uint8_t buf[PIECE], model[PIECE];
    unsigned rounds;
} Mixer;

static void mix_next(Mixer *m);

static void mix_done(BlockRequest *req, int error)
{
    Mixer *m = req->opaque;

    g_assert_cmpint(error, ==, 0);
    if (req->op == BLOCK_READ) {
        g_assert_cmpmem(m->buf, PIECE, m->model, PIECE);
    }
    if (m->rounds--) {
        mix_next(m);
    }
}

static void mix_next(Mixer *m)
{
    static const BlockOp ops[] = { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_WRITE_ZEROES };

    m->req.op = ops[g_test_rand_int_range(0, G_N_ELEMENTS(ops))];
    if (m->req.op == BLOCK_WRITE) {
        memset(m->buf, (int)m->rounds, PIECE);
        memcpy(m->model, m->buf, PIECE);
    } else if (m->req.op == BLOCK_WRITE_ZEROES) {
        memset(m->model, 0, PIECE);
    }
    block_submit(m->req.blk, &m->req);
}

static void mix(BlockOptions options)
{
    g_autofree Mixer *mixers = g_new0(Mixer, N_FLIGHT);
    BlockBackend *blk;

    make_disk(DISK);
    blk = open_with(options);
    for (unsigned i = 0; i < N_FLIGHT; i++) {
        Mixer *m = &mixers[i];

        m->iov = (struct iovec){ m->buf, PIECE };
        m->rounds = 40;
        m->req = (BlockRequest){ .offset = i * PIECE,
                                 .bytes = PIECE,
                                 .iov = &m->iov,
                                 .n_iov = 1,
                                 .done = mix_done,
                                 .opaque = m,
                                 .blk = blk };
        g_assert_true(block_pread(blk, m->req.offset, m->model, PIECE, NULL));
        lock_machine();
        mix_next(m);
        unlock_machine();
    }
    lock_machine();
    block_drain(blk);
    unlock_machine();
    for (unsigned i = 0; i < N_FLIGHT; i++) {
        g_assert_true(block_pread(blk, i * PIECE, mixers[i].buf, PIECE, NULL));
        g_assert_cmpmem(mixers[i].buf, PIECE, mixers[i].model, PIECE);
    }
    close_all();
}

static void test_mix(void)
{
    mix((BlockOptions){ .cache_unsafe = true });
    mix((BlockOptions){ .cache_direct = true });
    mix((BlockOptions){ .cache_direct = true, .cache_writethrough = true });
    mix((BlockOptions){ .cache_writethrough = true, .discard = true });
    mix((BlockOptions){ 0 });
    mix((BlockOptions){ .snapshot = true });
}

/* ---- Engines ---- */

typedef struct EngineTest {
    const char *name;
    BlockAio engine;
    void (*run)(void);
} EngineTest;

static void refuse_ring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { G_N_ELEMENTS(code), code };

    g_assert_cmpint(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
    g_assert_cmpint(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
}

static void test_ring_refused(void)
{
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 60 * G_USEC_PER_SEC, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*aio=io_uring: this host refuses it*");
        return;
    }
    refuse_ring();
    make_disk(DISK);
    open_with((BlockOptions){ .aio = BLOCK_AIO_URING });
    g_assert_true(info_says("aio=threads"));
    close_all();
    engine = BLOCK_AIO_URING;
    test_mix();
}

static void test_with_engine(gconstpointer data)
{
    const EngineTest *t = data;

    make_disk(SECTOR);
    open_with((BlockOptions){ .aio = t->engine });
    if (t->engine == BLOCK_AIO_URING && info_says("aio=threads")) {
        close_all();
        g_test_skip("no io_uring");
        return;
    }
    g_assert_true(info_says(t->engine == BLOCK_AIO_URING ? "aio=io_uring" : "aio=threads"));
    close_all();
    engine = t->engine;
    t->run();
    engine = BLOCK_AIO_DEFAULT;
}

static void add_engine_tests(void)
{
    static const EngineTest tests[] = {
        { "threads/bounds", BLOCK_AIO_THREADS, test_bounds },
        { "threads/odd-end", BLOCK_AIO_THREADS, test_odd_end },
        { "threads/plain", BLOCK_AIO_THREADS, test_plain },
        { "threads/snapshot", BLOCK_AIO_THREADS, test_snapshot },
        { "threads/pieces", BLOCK_AIO_THREADS, test_pieces },
        { "threads/errors", BLOCK_AIO_THREADS, test_errors },
        { "threads/flight", BLOCK_AIO_THREADS, test_flight },
        { "threads/plugged-drain", BLOCK_AIO_THREADS, test_plugged_drain },
        { "threads/mix", BLOCK_AIO_THREADS, test_mix },
        { "io_uring/bounds", BLOCK_AIO_URING, test_bounds },
        { "io_uring/odd-end", BLOCK_AIO_URING, test_odd_end },
        { "io_uring/plain", BLOCK_AIO_URING, test_plain },
        { "io_uring/snapshot", BLOCK_AIO_URING, test_snapshot },
        { "io_uring/pieces", BLOCK_AIO_URING, test_pieces },
        { "io_uring/errors", BLOCK_AIO_URING, test_errors },
        { "io_uring/flight", BLOCK_AIO_URING, test_flight },
        { "io_uring/plugged-drain", BLOCK_AIO_URING, test_plugged_drain },
        { "io_uring/mix", BLOCK_AIO_URING, test_mix },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strdup_printf("/block/%s", tests[i].name);

        g_test_add_data_func(path, &tests[i], test_with_engine);
    }
    g_test_add_func("/block/io_uring/refused", test_ring_refused);
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
    g_test_add_func("/block/synchronous", test_synchronous);
    g_test_add_func("/block/discard", test_discard);
    g_test_add_func("/block/limits", test_limits);
    add_engine_tests();
    status = g_test_run();
    g_unlink(disk);
    g_rmdir(folder);
    return status;
}
