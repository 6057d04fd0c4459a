/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest side of `make bench`: small programs of our own in groups (integer, fp, system, disk), each a fixed amount of work with a
 * checksum. Built with Debian's cross compiler, run inside the guest by bench/run.py:
 *
 *     kernels NAME...         prints "BENCH group name seconds checksum" a line each; a name is a program's or a group's
 *     kernels --run NAME CMD  the same for a shell command, group "debian", the checksum being of its output
 *
 * The checksum must be the same under every emulator; run.py compares them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t seed = 88172645463325252ull;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* ---- integer ---- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static uint64_t k_sort(void)
{
    enum { N = 200000 };
    uint32_t *v = malloc(N * sizeof(*v));
    uint64_t sum = 0;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            v[i] = (uint32_t)rnd();
        }
        qsort(v, N, sizeof(*v), compare);
        sum += v[N / 2] + v[N / 3];
    }
    free(v);
    return sum;
}

static uint64_t k_hash(void)
{
    enum { BITS = 16 };
    static uint64_t keys[1 << BITS], values[1 << BITS];
    uint64_t sum = 0;

    for (int i = 0; i < 3000000; i++) {
        uint64_t key = rnd() & 0x3ffff, h = key * 0x9e3779b97f4a7c15ull >> (64 - BITS);

        for (int probe = 0; probe < 8; probe++, h = (h + 1) & ((1 << BITS) - 1)) {
            if (keys[h] == key || !keys[h]) {
                keys[h] = key;
                sum += values[h]++;
                break;
            }
        }
    }
    return sum;
}

/* LZ77 with a hash of 4 bytes, and its inverse. */
static uint64_t k_compress(void)
{
    enum { N = 1 << 20 };
    static uint8_t in[N], out[N * 2];
    static uint32_t head[1 << 14];
    uint64_t sum = 0;
    size_t o = 0;

    for (size_t i = 0; i < N; i++) {
        in[i] = "the quick brown fox jumps over the lazy dog "[(i * 7 + (rnd() & 3)) % 44];
    }
    for (int round = 0; round < 6; round++) {
        o = 0;
        memset(head, 0, sizeof(head));
        for (size_t i = 0; i + 4 < N;) {
            uint32_t w, h, len = 0;
            size_t from;

            memcpy(&w, in + i, 4);
            h = w * 2654435761u >> 18;
            from = head[h];
            head[h] = (uint32_t)i;
            while (from < i && i + len < N && len < 255 && in[from + len] == in[i + len]) {
                len++;
            }
            if (len >= 4) {
                out[o++] = (uint8_t)len;
                out[o++] = (uint8_t)(i - from);
                out[o++] = (uint8_t)((i - from) >> 8);
                i += len;
            } else {
                out[o++] = 0;
                out[o++] = in[i++];
            }
        }
        sum += o + out[o / 2];
    }
    return sum;
}

static uint64_t k_interp(void)
{
    static const uint8_t code[] = { 0, 1, 2, 3, 1, 4, 2, 5, 3, 6, 1, 7 };
    uint64_t a = 1, b = 2, sum = 0;

    for (uint32_t n = 0, pc = 0; n < 40000000; n++) {
        switch (code[pc]) {
        case 0:
            a += n;
            break;
        case 1:
            b ^= a << 1;
            break;
        case 2:
            a = b - a;
            break;
        case 3:
            b = (b >> 3) | (b << 61);
            break;
        case 4:
            a *= 3;
            break;
        case 5:
            sum += a;
            break;
        case 6:
            a = a & b ? a + 1 : b;
            break;
        default:
            sum ^= b;
            break;
        }
        pc = pc == sizeof(code) - 1 ? 0 : pc + 1;
    }
    return sum + a + b;
}

static uint32_t ror(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static uint64_t k_sha256(void)
{
    uint32_t h[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, w[64];

    for (int block = 0; block < 60000; block++) {
        uint32_t s[8];

        for (int i = 0; i < 16; i++) {
            w[i] = (uint32_t)(block * 16 + i) * 2654435761u;
        }
        for (int i = 16; i < 64; i++) {
            w[i] = w[i - 16] + (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) +
                   w[i - 7] + (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
        }
        memcpy(s, h, sizeof(s));
        for (int i = 0; i < 64; i++) {
            uint32_t t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
                          ((s[4] & s[5]) ^ (~s[4] & s[6])) + w[i] + 0x428a2f98u * (uint32_t)(i + 1);
            uint32_t t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

            memmove(s + 1, s, 28);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++) {
            h[i] += s[i];
        }
    }
    return (uint64_t)h[0] << 32 | h[7];
}

static uint64_t k_crc32(void)
{
    uint32_t table[256], crc = ~0u;

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++) {
            c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
        }
        table[i] = c;
    }
    for (uint32_t i = 0; i < 40000000; i++) {
        crc = table[(crc ^ i) & 0xff] ^ crc >> 8;
    }
    return crc;
}

typedef struct Node {
    struct Node *next;
    uint64_t value;
} Node;

static uint64_t k_list(void)
{
    enum { N = 4096 };
    static Node nodes[N];
    static uint32_t order[N];
    uint64_t sum = 0;

    for (uint32_t i = 0; i < N; i++) {
        order[i] = i;
    }
    for (uint32_t i = N - 1; i; i--) {
        uint32_t j = (uint32_t)(rnd() % (i + 1)), t = order[i];

        order[i] = order[j];
        order[j] = t;
    }
    for (uint32_t i = 0; i < N; i++) {
        nodes[order[i]] = (Node){ &nodes[order[(i + 1) % N]], i };
    }
    for (Node *n = nodes, *end = NULL; end != nodes; end = n) {
        for (int i = 0; i < N * 8000; i++) {
            sum += n->value;
            n = n->next;
        }
        n = nodes;
    }
    return sum;
}

static uint64_t k_branchy(void)
{
    uint64_t sum = 0;

    for (uint64_t i = 1; i < 300000; i++) {
        uint64_t n = i;

        while (n != 1) {
            n = n & 1 ? 3 * n + 1 : n / 2;
            sum++;
        }
    }
    return sum;
}

static uint64_t __attribute__((noinline)) fib(uint64_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t k_calls(void)
{
    return fib(34);
}

/* ---- floating point ---- */

static uint64_t bits(double x)
{
    uint64_t u;

    memcpy(&u, &x, 8);
    return u;
}

static uint64_t k_nbody(void)
{
    double p[5][3], v[5][3], m[5];
    double e = 0;

    for (int i = 0; i < 5; i++) {
        m[i] = 1.0 / (i + 1);
        for (int k = 0; k < 3; k++) {
            p[i][k] = i * 1.5 + k * 0.7;
            v[i][k] = 0.01 * (i - k);
        }
    }
    for (int step = 0; step < 200000; step++) {
        for (int i = 0; i < 5; i++) {
            for (int j = i + 1; j < 5; j++) {
                double d[3], r2 = 0.01, f;

                for (int k = 0; k < 3; k++) {
                    d[k] = p[i][k] - p[j][k];
                    r2 += d[k] * d[k];
                }
                f = 0.001 / (r2 * sqrt(r2));
                for (int k = 0; k < 3; k++) {
                    v[i][k] -= d[k] * m[j] * f;
                    v[j][k] += d[k] * m[i] * f;
                }
            }
        }
        for (int i = 0; i < 5; i++) {
            for (int k = 0; k < 3; k++) {
                p[i][k] += 0.001 * v[i][k];
            }
        }
    }
    for (int i = 0; i < 5; i++) {
        e += p[i][0] + v[i][1];
    }
    return bits(e);
}

static uint64_t k_matmul(void)
{
    enum { N = 200 };
    static double a[N][N], b[N][N], c[N][N];

    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            a[i][j] = i + j * 0.5;
            b[i][j] = i - j * 0.25;
        }
    }
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            double s = 0;

            for (int k = 0; k < N; k++) {
                s += a[i][k] * b[k][j];
            }
            c[i][j] = s;
        }
    }
    return bits(c[17][33] + c[N - 1][N - 1]);
}

static uint64_t k_mandel(void)
{
    uint64_t sum = 0;

    for (int y = 0; y < 160; y++) {
        for (int x = 0; x < 160; x++) {
            double cr = x / 80.0 - 1.5, ci = y / 80.0 - 1.0, zr = 0, zi = 0;
            int n = 0;

            while (n < 300 && zr * zr + zi * zi < 4) {
                double t = zr * zr - zi * zi + cr;

                zi = 2 * zr * zi + ci;
                zr = t;
                n++;
            }
            sum += (uint64_t)n;
        }
    }
    return sum;
}

static uint64_t k_fdiv(void)
{
    double s = 0;

    for (int i = 1; i < 5000000; i++) {
        s += 1.0 / (s + i);
    }
    return bits(s);
}

static uint64_t k_fconv(void)
{
    uint64_t sum = 0;

    for (int64_t i = 0; i < 5000000; i++) {
        double d = (double)(i * 3);
        float f = (float)d;

        sum += (uint64_t)(int64_t)(f * 0.5f) + (uint32_t)(int32_t)(d * 0.25);
    }
    return sum;
}

static uint64_t k_saxpy(void)
{
    enum { N = 4096 };
    static float x[N], y[N];
    double s = 0;

    for (int i = 0; i < N; i++) {
        x[i] = (float)i;
        y[i] = (float)(N - i);
    }
    for (int round = 0; round < 1500; round++) {
        for (int i = 0; i < N; i++) {
            y[i] = 0.99f * y[i] + 0.01f * x[i];
        }
    }
    for (int i = 0; i < N; i++) {
        s += y[i];
    }
    return bits(s);
}

/* ---- system ---- */

static uint64_t k_syscall(void)
{
    uint64_t n = 0;

    for (int i = 0; i < 400000; i++) {
        n += syscall(SYS_getppid) >= 0;
    }
    return n;
}

static uint64_t k_pagefault(void)
{
    enum { PAGES = 4096, ROUNDS = 12 };
    uint64_t sum = 0;

    for (int r = 0; r < ROUNDS; r++) {
        uint8_t *p =
            mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
            return 0;
        }
        madvise(p, PAGES * 4096, MADV_NOHUGEPAGE);
        for (int i = 0; i < PAGES; i++) {
            p[i * 4096] = (uint8_t)i;
            sum += p[i * 4096];
        }
        munmap(p, PAGES * 4096);
    }
    return sum;
}

static uint64_t k_forkexec(void)
{
    uint64_t sum = 0;

    for (int i = 0; i < 150; i++) {
        pid_t pid = fork();
        int status;

        if (!pid) {
            execl("/proc/self/exe", "kernels", "--exit", (char *)NULL);
            _exit(1);
        }
        if (waitpid(pid, &status, 0) == pid) {
            sum += (uint64_t)(WEXITSTATUS(status) == 42);
        }
    }
    return sum;
}

static uint64_t k_pipe(void)
{
    int to[2], from[2];
    uint64_t n = 0;
    char c = 'x';

    if (pipe(to) || pipe(from)) {
        return 0;
    }
    if (!fork()) {
        close(to[1]);
        while (read(to[0], &c, 1) == 1 && write(from[1], &c, 1) == 1) {}
        _exit(0);
    }
    for (int i = 0; i < 30000; i++) {
        if (write(to[1], &c, 1) == 1 && read(from[0], &c, 1) == 1) {
            n++;
        }
    }
    close(to[1]);
    close(from[0]);
    wait(NULL);
    return n;
}

static uint64_t k_random64m(void)
{
    enum { BYTES = 64 << 20 };
    uint64_t *p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t x = 12345, sum = 0;

    if (p == MAP_FAILED) {
        return 0;
    }
    for (size_t i = 0; i < BYTES / 8; i += 512) {
        p[i] = i;
    }
    for (int i = 0; i < 8000000; i++) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        sum += p[(x >> 33) % (BYTES / 8)]++;
    }
    munmap(p, BYTES);
    return sum;
}

typedef struct Quad {
    volatile uint64_t a, b, c, d;
} Quad;

static __attribute__((noinline)) uint64_t use_quad(Quad *p, int rounds)
{
    uint64_t sum = 0;

    for (int i = 0; i < rounds; i++) {
        sum += p->a;
        p->b = sum;
        sum ^= p->c;
        p->d = sum;
    }
    return sum;
}

/* A structure on two pages, as stack frames are by chance of the stack's random start. */
static uint64_t k_straddle(void)
{
    char *pages = aligned_alloc(4096, 8192);
    Quad *p = (Quad *)(void *)(pages + 4096 - 16);
    uint64_t sum;

    *p = (Quad){ 1, 2, 3, 4 };
    sum = use_quad(p, 3000000);
    free(pages);
    return sum;
}

/* ---- several harts ---- */

/* @n processes that each do @f(index, shared); the sum of what they count. */
static uint64_t run_processes(unsigned n, uint64_t (*f)(unsigned, volatile uint32_t *))
{
    volatile uint32_t *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile uint64_t *sums = (volatile uint64_t *)(shared + 256);
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++) {
        if (!fork()) {
            sums[i] = f(i, shared);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        wait(NULL);
    }
    for (unsigned i = 0; i < n; i++) {
        sum += sums[i];
    }
    munmap((void *)shared, 4096);
    return sum;
}

static uint64_t storm(unsigned index, volatile uint32_t *shared)
{
    uint64_t sum = 0;

    for (int i = 0; i < 30; i++) {
        pid_t pid = fork();
        int status;

        if (!pid) {
            execl("/proc/self/exe", "kernels", "--exit", (char *)NULL);
            _exit(1);
        }
        if (waitpid(pid, &status, 0) == pid) {
            sum += (uint64_t)(WEXITSTATUS(status) == 42);
        }
    }
    return sum;
}

/* Processes that are made and end all over: the kernel's locks, and translations taken from other harts. */
static uint64_t k_storm(void)
{
    return run_processes(8, storm);
}

static uint64_t pair(unsigned index, volatile uint32_t *shared)
{
    int to[2], from[2];
    uint64_t n = 0;
    char c = 'x';

    if (pipe(to) || pipe(from)) {
        return 0;
    }
    if (!fork()) {
        close(to[1]);
        while (read(to[0], &c, 1) == 1 && write(from[1], &c, 1) == 1) {}
        _exit(0);
    }
    for (int i = 0; i < 1000; i++) {
        n += write(to[1], &c, 1) == 1 && read(from[0], &c, 1) == 1;
    }
    close(to[1]);
    wait(NULL);
    return n;
}

/* Processes that wake each other through pipes. */
static uint64_t k_pairs(void)
{
    return run_processes(4, pair);
}

static uint64_t ticket(unsigned index, volatile uint32_t *shared)
{
    volatile uint32_t *next = shared, *serving = shared + 16, *counter = shared + 32;

    for (int i = 0; i < 2000; i++) {
        uint32_t mine = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);

        while (__atomic_load_n(serving, __ATOMIC_ACQUIRE) != mine) {}
        ++*counter;
        __atomic_store_n(serving, mine + 1, __ATOMIC_RELEASE);
    }
    return 2000;
}

/* A fair lock that three processes spin for: each waits for the one before it to be given a host CPU. */
static uint64_t k_ticket(void)
{
    return run_processes(3, ticket);
}

/* ---- disk ---- */

/* run.py's scratch disk; nothing else is ever written to. */
static const char *const disks[] = { "/dev/vda", "/dev/nvme0n1" };

#define DISK_MAGIC "Menura's bench scratch disk"

enum { MIB = 1 << 20, DISK_SIZE = 64 * MIB, PAGE = 4096, PAGES = DISK_SIZE / PAGE, FLIGHT = 32 };

static void disk_fail(const char *what)
{
    printf("BENCH-FAILED disk (disk): %s\n", what);
    exit(1);
}

static int disk_open(int flags)
{
    int fd = open(disks[access(disks[0], F_OK) != 0], O_RDWR | flags);
    char *head = aligned_alloc(PAGE, PAGE);

    if (fd < 0 || pread(fd, head, PAGE, 0) != PAGE ||
        memcmp(head, DISK_MAGIC, sizeof(DISK_MAGIC))) {
        disk_fail("no scratch disk");
    }
    free(head);
    return fd;
}

/* Writes the guest's page cache back and empties it; no flush is sent to the disk. */
static void disk_drop_cache(int fd)
{
    if (ioctl(fd, BLKFLSBUF, 0)) {
        disk_fail("BLKFLSBUF");
    }
}

/* All of the disk but its first MiB @rounds times, in pieces of a MiB. */
static uint64_t disk_sequential(int flags, int write, int rounds)
{
    int fd = disk_open(flags);
    uint64_t *buf = aligned_alloc(PAGE, MIB), sum = 0;

    memset(buf, 0x5a, MIB);
    for (int round = 0; round < rounds; round++) {
        for (off_t at = MIB; at < DISK_SIZE; at += MIB) {
            buf[0] += write;
            if ((write ? pwrite(fd, buf, MIB, at) : pread(fd, buf, MIB, at)) != MIB) {
                disk_fail("short transfer");
            }
            sum = sum * 31 + buf[0] + buf[MIB / 8 - 1];
        }
        if (!(flags & O_DIRECT)) {
            disk_drop_cache(fd);
        }
    }
    close(fd);
    free(buf);
    return sum;
}

/* One page somewhere behind the first MiB at a time. */
static uint64_t disk_random(int flags, int write, int count)
{
    int fd = disk_open(flags);
    uint64_t *buf = aligned_alloc(PAGE, PAGE), sum = 0;

    memset(buf, 0xa5, PAGE);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    for (int i = 0; i < count; i++) {
        off_t at = MIB + (off_t)(rnd() % (PAGES - MIB / PAGE)) * PAGE;

        buf[0] += (uint64_t)write;
        if ((write ? pwrite(fd, buf, PAGE, at) : pread(fd, buf, PAGE, at)) != PAGE) {
            disk_fail("short transfer");
        }
        sum = sum * 31 + buf[0] + buf[PAGE / 8 - 1];
    }
    disk_drop_cache(fd);
    close(fd);
    free(buf);
    return sum;
}

/* As disk_random, FLIGHT pages at a time. */
static uint64_t disk_queue(int write, int rounds)
{
    int fd = disk_open(O_DIRECT);
    uint8_t *buf = aligned_alloc(PAGE, FLIGHT * PAGE);
    struct io_event events[FLIGHT];
    struct iocb cb[FLIGHT], *list[FLIGHT];
    aio_context_t ctx = 0;
    uint64_t sum = 0;

    memset(buf, 0x77, FLIGHT * PAGE);
    if (syscall(SYS_io_setup, FLIGHT, &ctx)) {
        disk_fail("io_setup");
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < FLIGHT; i++) {
            uint64_t page = MIB / PAGE + rnd() % (PAGES - MIB / PAGE);

            list[i] = &cb[i];
            cb[i] = (struct iocb){ .aio_lio_opcode = write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
                                   .aio_fildes = (uint32_t)fd,
                                   .aio_buf = (uintptr_t)(buf + i * PAGE),
                                   .aio_nbytes = PAGE,
                                   .aio_offset = (int64_t)(page * PAGE) };
        }
        if (syscall(SYS_io_submit, ctx, FLIGHT, list) != FLIGHT ||
            syscall(SYS_io_getevents, ctx, FLIGHT, FLIGHT, events, NULL) != FLIGHT) {
            disk_fail("io_submit");
        }
        for (int i = 0; i < FLIGHT; i++) {
            sum += (uint64_t)events[i].res + buf[i * PAGE + 9];
        }
    }
    syscall(SYS_io_destroy, ctx);
    close(fd);
    free(buf);
    return sum;
}

static uint64_t k_read_seq(void)
{
    return disk_sequential(O_DIRECT, 0, 25);
}

static uint64_t k_write_seq(void)
{
    return disk_sequential(O_DIRECT, 1, 15);
}

static uint64_t k_read_4k(void)
{
    return disk_random(O_DIRECT, 0, 10000);
}

static uint64_t k_write_4k(void)
{
    return disk_random(O_DIRECT, 1, 8000);
}

static uint64_t k_read_4k_queue(void)
{
    return disk_queue(0, 1000);
}

static uint64_t k_write_4k_queue(void)
{
    return disk_queue(1, 1000);
}

static uint64_t k_cached_read_seq(void)
{
    return disk_sequential(0, 0, 5);
}

static uint64_t k_cached_write_seq(void)
{
    return disk_sequential(0, 1, 5);
}

static uint64_t k_cached_read_4k(void)
{
    return disk_random(0, 0, 12000);
}

static uint64_t k_cached_write_4k(void)
{
    return disk_random(0, 1, 30000);
}

static const struct {
    const char *group, *name;
    uint64_t (*run)(void);
} kernels[] = {
    { "integer", "sort", k_sort },
    { "integer", "hash", k_hash },
    { "integer", "compress", k_compress },
    { "integer", "interp", k_interp },
    { "integer", "sha256", k_sha256 },
    { "integer", "crc32", k_crc32 },
    { "integer", "list", k_list },
    { "integer", "branchy", k_branchy },
    { "integer", "calls", k_calls },
    { "fp", "nbody", k_nbody },
    { "fp", "matmul", k_matmul },
    { "fp", "mandel", k_mandel },
    { "fp", "fdiv", k_fdiv },
    { "fp", "fconv", k_fconv },
    { "fp", "saxpy", k_saxpy },
    { "system", "syscall", k_syscall },
    { "system", "pagefault", k_pagefault },
    { "system", "forkexec", k_forkexec },
    { "system", "pipe", k_pipe },
    { "system", "random64m", k_random64m },
    { "system", "straddle", k_straddle },
    { "smp", "storm", k_storm },
    { "smp", "pairs", k_pairs },
    { "smp", "ticket", k_ticket },
    { "disk", "read-seq", k_read_seq },
    { "disk", "write-seq", k_write_seq },
    { "disk", "read-4k", k_read_4k },
    { "disk", "write-4k", k_write_4k },
    { "disk", "read-4k-queue", k_read_4k_queue },
    { "disk", "write-4k-queue", k_write_4k_queue },
    { "disk", "cached-read-seq", k_cached_read_seq },
    { "disk", "cached-write-seq", k_cached_write_seq },
    { "disk", "cached-read-4k", k_cached_read_4k },
    { "disk", "cached-write-4k", k_cached_write_4k },
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], name)) {
            return 1;
        }
    }
    return 0;
}

/* FNV-1a of what @fd gives until its end. */
static uint64_t checksum_of(int fd)
{
    static uint8_t buffer[65536];
    uint64_t sum = 0xcbf29ce484222325ull;
    ssize_t n;

    while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            sum = (sum ^ buffer[i]) * 0x100000001b3ull;
        }
    }
    return sum;
}

static int run_command(const char *name, const char *command)
{
    double begin = now();
    int ends[2], status;
    uint64_t sum;
    pid_t pid;

    if (pipe(ends) || (pid = fork()) < 0) {
        return 1;
    }
    if (!pid) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    sum = checksum_of(ends[0]);
    if (waitpid(pid, &status, 0) != pid || status) {
        printf("BENCH-FAILED debian %s: status %x\n", name, status);
        return 1;
    }
    printf("BENCH debian %s %.6f %016llx\n", name, now() - begin, (unsigned long long)sum);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "--exit")) {
        return 42;
    }
    if (argc == 4 && !strcmp(argv[1], "--run")) {
        return run_command(argv[2], argv[3]);
    }
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        if (wanted(argc, argv, kernels[i].name) || wanted(argc, argv, kernels[i].group)) {
            double begin = now();
            uint64_t sum = kernels[i].run();

            printf("BENCH %s %s %.6f %016llx\n", kernels[i].group, kernels[i].name, now() - begin,
                   (unsigned long long)sum);
            fflush(stdout);
        }
    }
    return 0;
}
