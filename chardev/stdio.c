/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The process's standard input and output as a chardev. A terminal is put into raw mode (the guest
 * echoes and edits), and back whenever the process does not own it: at exit, from handlers of fatal
 * signals, and while it is suspended (SIGTSTP, SIGCONT). Without a terminal, pipes and files serve;
 * an input that ends is no error.
 *
 * signal=off (the default behind a mux) hands C-c, C-z and C-\ to the guest; C-a x ends the program
 * then.
 */
#include "chardev/chardev-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

typedef Chardev ChardevStdio;
typedef ChardevClass ChardevStdioClass;

G_DEFINE_TYPE(ChardevStdio, chardev_stdio, CHARDEV_TYPE)

/* One terminal a process; read by signal handlers. */
static struct termios saved_mode, raw_mode;
static volatile sig_atomic_t raw_wanted;
static volatile sig_atomic_t raw_now;
static bool in_use;

/* Only the foreground job may change the terminal. */
static bool is_foreground(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void set_raw(void)
{
    if (raw_wanted && is_foreground()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &raw_mode);
        raw_now = 1;
    }
}

void chardev_restore_terminal(void)
{
    if (raw_now && is_foreground()) {
        tcsetattr(STDIN_FILENO, TCSANOW, &saved_mode);
    }
    raw_now = 0;
}

static void install(int sig, void (*handler)(int))
{
    struct sigaction act = { .sa_handler = handler, .sa_flags = SA_RESTART };

    sigemptyset(&act.sa_mask);
    sigaction(sig, &act, NULL);
}

static void on_stop(int sig)
{
    int err = errno;
    sigset_t set;

    chardev_restore_terminal();
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    /* It is blocked while its handler runs: unblocking it stops the process here. */
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    /* Continued; or never stopped, where no shell could continue it. */
    install(SIGTSTP, on_stop);
    set_raw();
    errno = err;
}

/* Also after a SIGSTOP, which nobody can catch. */
static void on_continue(int sig)
{
    int err = errno;

    install(SIGTSTP, on_stop);
    set_raw();
    errno = err;
}

static void enter_raw_mode(bool signals)
{
    if (tcgetattr(STDIN_FILENO, &saved_mode) != 0) {
        return; /* not a terminal */
    }
    raw_mode = saved_mode;
    raw_mode.c_iflag &= ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    raw_mode.c_oflag |= OPOST;
    raw_mode.c_lflag &= ~(ECHO | ECHONL | ICANON | IEXTEN | (signals ? 0 : ISIG));
    raw_mode.c_cflag &= ~(CSIZE | PARENB);
    raw_mode.c_cflag |= CS8;
    raw_mode.c_cc[VMIN] = 1;
    raw_mode.c_cc[VTIME] = 0;
    raw_wanted = 1;
    atexit(chardev_restore_terminal);
    install(SIGTSTP, on_stop);
    install(SIGCONT, on_continue);
    set_raw();
}

/* A non-blocking descriptor of standard output. O_NONBLOCK belongs to the open file, which other
 * processes share, so pipes and terminals are opened anew. */
static int open_stdout(Chardev *chr)
{
    struct stat st;
    int fd = -1;

    if (fstat(STDOUT_FILENO, &st) != 0) {
        return -1;
    }
    if (S_ISREG(st.st_mode)) {
        return STDOUT_FILENO;
    }
    if (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)) {
        fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    if (fd < 0) {
        chr->out_blocks = true;
        fd = STDOUT_FILENO;
    }
    return fd;
}

static bool stdio_open(Chardev *chr, const KeyVals *opts, GError **error)
{
    bool signals = !chr->behind_mux;

    if (in_use) {
        chardev_set_error(chr, error, 0,
                          "stdio is in use already (mon:stdio or mux=on lets several share it)");
        return false;
    }
    if (!keyvals_get_bool(opts, chr->id, "signal", &signals, error)) {
        return false;
    }
    in_use = true;
    enter_raw_mode(signals);
    chr->fd_in = STDIN_FILENO;
    chr->fd_out = open_stdout(chr);
    chr->flush_forever = true;
    chr->label = g_strdup("stdio");
    return true;
}

static void stdio_close(Chardev *chr)
{
    if (chr->label) { /* it was opened */
        chardev_restore_terminal();
        raw_wanted = 0;
        in_use = false;
    }
    stream_close(chr, false);
}

bool chardev_stdio_in_use(void)
{
    return in_use;
}

static bool stdio_is_open(Chardev *chr)
{
    return true;
}

static void chardev_stdio_class_init(ChardevStdioClass *klass)
{
    static const char *const options[] = { "signal", NULL };

    klass->kind = "stdio";
    klass->desc = "standard input and output: [signal=on|off]";
    klass->options = options;
    klass->open = stdio_open;
    klass->close = stdio_close;
    klass->is_open = stdio_is_open;
}

static void chardev_stdio_init(ChardevStdio *chr)
{
}
