/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chardevs against real files, FIFOs, sockets and pseudo-terminals: data both ways, flow control, a
 * slow reader, peers that come and go, the mux with its escapes, and the errors of the spellings.
 */
#define _GNU_SOURCE /* posix_openpt() and its kind */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "chardev/chardev.h"

/* ---- A front end that records ---- */

typedef struct Front {
    Chardev *chr;
    GString *got;
    size_t room;
    unsigned opened, closed, breaks, focused, unfocused;
} Front;

static int lock_depth, quits;
static char *dir;

static size_t front_can_read(void *opaque)
{
    g_assert_cmpint(lock_depth, ==, 1);
    return ((Front *)opaque)->room;
}

static void front_read(void *opaque, const uint8_t *buf, size_t len)
{
    Front *f = opaque;

    g_assert_cmpint(lock_depth, ==, 1);
    g_assert_cmpuint(len, <=, f->room);
    g_string_append_len(f->got, (const char *)buf, len);
    f->room -= len;
}

static void front_event(void *opaque, ChardevEvent event)
{
    Front *f = opaque;

    f->opened += event == CHARDEV_OPENED;
    f->closed += event == CHARDEV_CLOSED;
    f->breaks += event == CHARDEV_BREAK;
    f->focused += event == CHARDEV_FOCUS;
    f->unfocused += event == CHARDEV_UNFOCUS;
}

static const ChardevFrontend front_ops = { .can_read = front_can_read,
                                           .read = front_read,
                                           .event = front_event };

static Front *front_new(Chardev *chr)
{
    g_autoptr(GError) error = NULL;
    Front *f = g_new0(Front, 1);

    f->chr = chr;
    f->got = g_string_new(NULL);
    f->room = 1 << 20;
    g_assert_true(chardev_attach(chr, &front_ops, f, &error));
    g_assert_no_error(error);
    return f;
}

static void front_free(Front *f)
{
    chardev_detach(f->chr, f);
    g_string_free(f->got, TRUE);
    g_free(f);
}

static void test_lock(void)
{
    g_assert_cmpint(lock_depth++, ==, 0);
}

static void test_unlock(void)
{
    g_assert_cmpint(--lock_depth, ==, 0);
}

static gboolean on_tick(gpointer data)
{
    return G_SOURCE_CONTINUE;
}

/* Runs the main loop until *@n is at least @want (or time is out). */
static void wait_for(const unsigned *n, unsigned want)
{
    guint tick = g_timeout_add(20, on_tick, NULL);
    gint64 end = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;

    while (*n < want && g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(tick);
    g_assert_cmpuint(*n, >=, want);
}

static void wait_for_text(Front *f, const char *text)
{
    guint tick = g_timeout_add(20, on_tick, NULL);
    gint64 end = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;

    while (strcmp(f->got->str, text) && g_get_monotonic_time() < end) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(tick);
    g_assert_cmpstr(f->got->str, ==, text);
}

static void iterate(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {}
}

static Chardev *make(const char *spec)
{
    static unsigned n;
    g_autoptr(GError) error = NULL;
    g_autofree char *id = g_strdup_printf("c%u", n++);
    Chardev *chr;

    if (!chardev_new(id, spec, &chr, &error)) {
        g_error("%s: %s", spec, error->message);
    }
    return chr;
}

static void put(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
}

/* Reads until @text came. */
static void expect_fd(int fd, const char *text)
{
    g_autoptr(GString) got = g_string_new(NULL);
    char c;

    while (got->len < strlen(text)) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        iterate();
        g_assert_cmpint(poll(&p, 1, 10000), ==, 1);
        g_assert_cmpint(read(fd, &c, 1), ==, 1);
        g_string_append_c(got, c);
    }
    g_assert_cmpstr(got->str, ==, text);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    return fd;
}

/* ---- Kinds ---- */

static void test_file(void)
{
    g_autofree char *path = g_build_filename(dir, "file,1", NULL);
    g_autofree char *spec = g_strdup_printf("file:%s", path);
    g_autofree char *text = NULL;
    Chardev *chr = make(spec);
    Front *f = front_new(chr);

    g_assert_cmpuint(f->opened, ==, 1);
    chardev_write(chr, "hello", 5);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "hello");
    g_assert_false(chardev_attach(chr, &front_ops, NULL, NULL));
    front_free(f);
    chardev_cleanup();
}

static void test_null_and_log(void)
{
    g_autofree char *path = g_build_filename(dir, "log", NULL);
    g_autofree char *spec = g_strdup_printf("null,logfile=%s", path);
    g_autofree char *text = NULL;
    Chardev *chr = make(spec);

    g_assert_cmpuint(chardev_write(chr, "hello", 5), ==, 5);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "hello");
    g_assert_null(make("none"));
    chardev_cleanup();
}

static void test_pipe(void)
{
    g_autofree char *base = g_build_filename(dir, "fifo", NULL);
    g_autofree char *in = g_strconcat(base, ".in", NULL);
    g_autofree char *out = g_strconcat(base, ".out", NULL);
    g_autofree char *spec = g_strdup_printf("pipe:%s", base);
    int to, from;
    Front *f;

    g_assert_cmpint(mkfifo(in, 0600) | mkfifo(out, 0600), ==, 0);
    f = front_new(make(spec));
    to = open(in, O_WRONLY);
    from = open(out, O_RDONLY | O_NONBLOCK);
    put(to, "abc");
    wait_for_text(f, "abc");
    chardev_write(f->chr, "def", 3);
    expect_fd(from, "def");
    close(to);
    close(from);
    front_free(f);
    chardev_cleanup();
}

/* A front end without room stops the reading, and chardev_accept_input() resumes it. */
static void test_flow_control(void)
{
    g_autofree char *path = g_build_filename(dir, "flow", NULL);
    g_autofree char *spec = g_strdup_printf("unix:%s,server,nowait", path);
    Front *f = front_new(make(spec));
    int fd = connect_unix(path);

    wait_for(&f->opened, 1);
    f->room = 3;
    put(fd, "abcdef");
    wait_for_text(f, "abc");
    iterate();
    g_assert_cmpstr(f->got->str, ==, "abc");
    f->room = 10;
    chardev_accept_input(f->chr);
    wait_for_text(f, "abcdef");
    close(fd);
    wait_for(&f->closed, 1);
    front_free(f);
    chardev_cleanup();
}

static gpointer write_much(gpointer data)
{
    g_autofree char *block = g_malloc(65536);

    for (unsigned i = 0; i < 64; i++) {
        memset(block, 'a' + i % 26, 65536);
        chardev_write(data, block, 65536);
    }
    return NULL;
}

/* 4 MiB from another thread to a reader that starts late: nothing is lost or reordered, the main
 * loop stays alive. */
static void test_slow_reader(void)
{
    g_autofree char *path = g_build_filename(dir, "slow", NULL);
    g_autofree char *spec = g_strdup_printf("socket,path=%s,server=on,wait=off", path);
    Front *f = front_new(make(spec));
    int fd = connect_unix(path);
    GThread *thread;
    size_t total = 0;
    ssize_t n;
    char buf[65536];

    chardev_write(f->chr, "dropped", 7);
    wait_for(&f->opened, 1);
    thread = g_thread_new("writer", write_much, f->chr);
    g_usleep(100000);
    iterate();
    while (total < 64 * 65536) {
        n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        for (ssize_t i = 0; i < n; i++, total++) {
            g_assert_cmpint(buf[i], ==, 'a' + total / 65536 % 26);
        }
        iterate();
    }
    g_thread_join(thread);
    close(fd);
    front_free(f);
    chardev_cleanup();
}

static void test_socket_server(void)
{
    g_autofree char *path = g_build_filename(dir, "server", NULL);
    g_autofree char *spec = g_strdup_printf("unix:%s,server=on,wait=off", path);
    Front *f = front_new(make(spec));

    for (unsigned i = 1; i <= 3; i++) {
        int fd = connect_unix(path);

        wait_for(&f->opened, i);
        chardev_write(f->chr, "hi", 2);
        expect_fd(fd, "hi");
        close(fd);
        wait_for(&f->closed, i);
        chardev_write(f->chr, "nobody", 6);
    }
    front_free(f);
    chardev_cleanup();
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
}

static void test_socket_client(void)
{
    g_autofree char *path = g_build_filename(dir, "peer", NULL);
    g_autofree char *server = g_strdup_printf("unix:%s,server,nowait", path);
    g_autofree char *client = g_strdup_printf("unix:%s", path);
    g_autofree char *retry = g_strdup_printf("unix:%s-later,reconnect=1", path);
    g_autofree char *later = g_strdup_printf("unix:%s-later,server,nowait", path);
    Front *s = front_new(make(server)), *c = front_new(make(client));
    Front *r = front_new(make(retry)), *l = front_new(make(later));

    wait_for(&s->opened, 1);
    g_assert_cmpuint(c->opened, ==, 1);
    chardev_write(c->chr, "to server", 9);
    wait_for_text(s, "to server");
    chardev_write(s->chr, "to client", 9);
    wait_for_text(c, "to client");
    g_assert_cmpuint(r->opened, ==, 0);
    wait_for(&r->opened, 1);
    wait_for(&l->opened, 1);
    front_free(s);
    front_free(c);
    front_free(r);
    front_free(l);
    chardev_cleanup();
}

static void test_tcp(void)
{
    g_autofree char *server = NULL, *client = NULL;
    Chardev *chr = NULL;
    Front *s, *c;
    int port;

    for (port = 20000 + getpid() % 20000; port < 60000; port++) {
        g_free(server);
        server = g_strdup_printf("tcp:127.0.0.1:%d,server=on,wait=off", port);
        if (chardev_new("tcp", server, &chr, NULL)) {
            break;
        }
    }
    g_assert_nonnull(chr);
    client = g_strdup_printf("tcp:127.0.0.1:%d", port);
    s = front_new(chr);
    c = front_new(make(client));
    wait_for(&s->opened, 1);
    chardev_write(s->chr, "over tcp", 8);
    wait_for_text(c, "over tcp");
    front_free(s);
    front_free(c);
    chardev_cleanup();
}

static void test_pty(void)
{
    Chardev *chr = make("pty");
    Front *f = front_new(chr);
    g_autoptr(GString) info = g_string_new(NULL);
    g_autofree char *name = NULL;

    chardev_info(info);
    name = g_strdup(strstr(info->str, "/dev/"));
    *strpbrk(name, " \n") = '\0';
    g_assert_cmpuint(f->opened, ==, 0);
    for (unsigned i = 1; i <= 2; i++) {
        int fd = open(name, O_RDWR | O_NOCTTY);

        wait_for(&f->opened, i);
        put(fd, "in");
        wait_for_text(f, "in");
        g_string_truncate(f->got, 0);
        chardev_write(chr, "out", 3);
        expect_fd(fd, "out");
        close(fd);
        wait_for(&f->closed, i);
    }
    front_free(f);
    chardev_cleanup();
}

/* ---- The mux ---- */

static void on_quit(void)
{
    quits++;
}

static void test_mux(void)
{
    g_autofree char *path = g_build_filename(dir, "mux", NULL);
    g_autofree char *spec = g_strdup_printf("mon:unix:%s,server,nowait", path);
    Chardev *chr = make(spec);
    Front *a = front_new(chr), *b = front_new(chr);
    int fd = connect_unix(path);

    g_assert_true(chardev_is_mux(chr));
    g_assert_cmpuint(a->focused, ==, 1);
    wait_for(&b->opened, 1);
    put(fd, "one\001\001two\001c");
    wait_for_text(a, "one\001two");
    wait_for(&b->focused, 1);
    g_assert_cmpuint(a->unfocused, ==, 1);
    put(fd, "three\001b\001cfour");
    wait_for_text(b, "three");
    wait_for_text(a, "one\001twofour");
    g_assert_cmpuint(b->breaks, ==, 1);
    chardev_write(chr, "out", 3);
    expect_fd(fd, "out");

    /* The escape works while the front end takes nothing. */
    a->room = 0;
    put(fd, "stuck\001x");
    wait_for((unsigned *)&quits, 1);
    expect_fd(fd, "\r\nMenura: terminated\r\n");
    a->room = 100;
    chardev_accept_input(chr);
    wait_for_text(a, "one\001twofourstuck");

    put(fd, "\001t");
    put(fd, ".");
    wait_for_text(a, "one\001twofourstuck.");
    chardev_write(chr, "\nx\ny", 4);
    {
        char buf[64];
        ssize_t n = read(fd, buf, sizeof(buf));

        g_assert_cmpint(n, ==, 2 * 15 + 4);
        g_assert_cmpint(buf[1], ==, '[');
    }
    close(fd);
    wait_for(&b->closed, 1);
    front_free(a);
    front_free(b);
    chardev_cleanup();
}

/* ---- stdio on a terminal, in a child ---- */

static void stdio_child(void)
{
    Front *f = front_new(make("mon:stdio"));

    wait_for_text(f, "a\003b\r");
    chardev_write(f->chr, "ok", 2);
    front_free(f);
    chardev_flush_all();
    chardev_cleanup();
}

static void test_stdio(void)
{
    g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
    int master = posix_openpt(O_RDWR | O_NOCTTY), slave, status;
    struct termios before, during, after;
    GPid pid;
    char *argv[] = { exe, NULL };

    g_assert_cmpint(grantpt(master) | unlockpt(master), ==, 0);
    slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    tcgetattr(slave, &before);
    pid = fork();
    if (pid == 0) {
        setsid();
        slave = open(ptsname(master), O_RDWR); /* becomes the controlling terminal */
        dup2(slave, 0);
        dup2(slave, 1);
        g_setenv("CHARDEV_CHILD", "1", TRUE);
        execv(exe, argv);
        _exit(99);
    }
    do {
        g_usleep(10000);
        tcgetattr(slave, &during);
    } while (during.c_lflag & ICANON);
    g_assert_false(during.c_lflag & (ECHO | ISIG));
    put(master, "a\003b\r");
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    tcgetattr(slave, &after);
    g_assert_cmpint(after.c_lflag, ==, before.c_lflag);
    g_assert_cmpint(after.c_iflag, ==, before.c_iflag);
    close(slave);
    close(master);
}

/* ---- Errors ---- */

static void expect_error(const char *spec, const char *text)
{
    g_autoptr(GError) error = NULL;
    Chardev *chr;

    g_assert_false(chardev_new("bad", spec, &chr, &error));
    g_assert_null(chr);
    if (!strstr(error->message, text)) {
        g_test_message("'%s' gives '%s'", spec, error->message);
    }
    g_assert_nonnull(strstr(error->message, text));
    g_assert_null(chardev_find("bad"));
}

static void test_errors(void)
{
    expect_error("", "unknown kind");
    expect_error("stdoi", "did you mean 'stdio'?");
    expect_error("file", "path= is missing");
    expect_error("file:/nonexistent/x", "/nonexistent/x: No such file");
    expect_error("file,pathh=x", "did you mean 'path'?");
    expect_error("pipe:/nonexistent/x", "/nonexistent/x");
    expect_error("unix:/nonexistent/x", "No such file");
    expect_error("unix:/nonexistent/x,wait=off", "servers only");
    expect_error("socket,server=on", "either path= or port=");
    expect_error("socket,path=x,port=y", "either path= or port=");
    expect_error("tcp:nocolon", "unknown kind");
    expect_error("tcp:127.0.0.1:notaport", "tcp:127.0.0.1:notaport");
    expect_error("unix:x,server=perhaps", "expected on or off");
    expect_error("null,mux=2", "expected on or off");
    expect_error("null,logfile=/nonexistent/l", "logfile");
    expect_error("chardev:nobody", "no -chardev");
    {
        g_autofree char *longer = g_strnfill(300, 'x');
        g_autofree char *spec = g_strdup_printf("unix:%s,server,nowait", longer);

        expect_error(spec, "too long");
    }
    chardev_cleanup();
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    chardev_set_lock(test_lock, test_unlock);
    chardev_set_quit_handler(on_quit);
    if (g_getenv("CHARDEV_CHILD")) {
        stdio_child();
        return 0;
    }
    dir = g_dir_make_tmp("menura-chardev-XXXXXX", NULL);
    g_test_add_func("/chardev/file", test_file);
    g_test_add_func("/chardev/null", test_null_and_log);
    g_test_add_func("/chardev/pipe", test_pipe);
    g_test_add_func("/chardev/flow-control", test_flow_control);
    g_test_add_func("/chardev/slow-reader", test_slow_reader);
    g_test_add_func("/chardev/socket/server", test_socket_server);
    g_test_add_func("/chardev/socket/client", test_socket_client);
    g_test_add_func("/chardev/socket/tcp", test_tcp);
    g_test_add_func("/chardev/pty", test_pty);
    g_test_add_func("/chardev/mux", test_mux);
    g_test_add_func("/chardev/stdio", test_stdio);
    g_test_add_func("/chardev/errors", test_errors);
    result = g_test_run();
    g_autofree char *command = g_strdup_printf("rm -rf %s", dir);
    if (system(command)) {
        return 1;
    }
    return result;
}
