/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP through an emulated network card: a stream each way and messages to and fro.
 *
 *     net serve PORT              on the host or in one guest; ends when the client says so
 *     net GROUP ADDRESS PORT      in the guest that measures; prints lines "BENCH GROUP NAME SECONDS CHECKSUM"
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 << 10, TOTAL = 96 << 20, MESSAGES = 3000, MESSAGE = 64 };

static uint8_t buffer[CHUNK];
static struct sockaddr_in address = { .sin_family = AF_INET };

static void die(const char *what)
{
    printf("BENCH-FAILED net %s: failed\n", what);
    exit(1);
}

static bool transfer(int fd, uint8_t *data, size_t len, bool out)
{
    while (len) {
        ssize_t n = out ? write(fd, data, len) : read(fd, data, len);

        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static void stream(int fd, bool out)
{
    for (unsigned i = 0; i < TOTAL / CHUNK; i++) {
        if (!transfer(fd, buffer, CHUNK, out)) {
            die("stream");
        }
    }
}

/* ---- Server ---- */

static void serve(void)
{
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    uint8_t kind = 0;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(listener, 8) < 0) {
        die("bind");
    }
    printf("SERVING\n");
    fflush(stdout);
    while (kind != 'q') {
        int fd = accept(listener, NULL, NULL);

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (read(fd, &kind, 1) == 1) {
            if (kind == 'd' || kind == 'u') {
                stream(fd, kind == 'd');
                transfer(fd, &kind, 1, true);
            }
            while (kind == 'r' && transfer(fd, buffer, MESSAGE, false)) {
                transfer(fd, buffer, MESSAGE, true);
            }
        }
        close(fd);
    }
}

/* ---- Client ---- */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int call(uint8_t kind)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    for (unsigned i = 0; connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0; i++) {
        if (i == 100) {
            die("connect");
        }
        usleep(100000);
        close(fd);
        fd = socket(AF_INET, SOCK_STREAM, 0);
    }
    transfer(fd, &kind, 1, true);
    return fd;
}

static uint64_t checksum(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < CHUNK; i++) {
        sum = sum * 31 + buffer[i];
    }
    return sum;
}

static void measure(const char *group, const char *name, uint8_t kind)
{
    int fd = call(kind);
    uint8_t done;
    double begin;

    begin = now();
    if (kind == 'r') {
        for (unsigned i = 0; i < MESSAGES; i++) {
            if (!transfer(fd, buffer, MESSAGE, true) || !transfer(fd, buffer, MESSAGE, false)) {
                die("message");
            }
        }
    } else {
        stream(fd, kind == 'u');
        if (!transfer(fd, &done, 1, false)) {
            die("end");
        }
    }
    printf("BENCH %s %s %.6f %016llx\n", group, name, now() - begin,
           (unsigned long long)checksum());
    fflush(stdout);
    close(fd);
}

int main(int argc, char **argv)
{
    bool serves = argc == 3 && !strcmp(argv[1], "serve");

    for (unsigned i = 0; i < CHUNK; i++) {
        buffer[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    if (!serves && (argc != 4 || inet_pton(AF_INET, argv[2], &address.sin_addr) != 1)) {
        return 1;
    }
    address.sin_port = htons((uint16_t)atoi(argv[argc - 1]));
    if (serves) {
        serve();
        return 0;
    }
    measure(argv[1], "download", 'd');
    measure(argv[1], "upload", 'u');
    measure(argv[1], "messages", 'r');
    close(call('q'));
    return 0;
}
