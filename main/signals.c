/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals. SIGINT, SIGTERM and SIGHUP ask the machine to end: the handler writes a byte that the
 * main loop reads. A second one means that the main loop is stuck (on a reader that does not read,
 * say), so it ends the process at once, as does one before the main loop runs. Fatal signals first
 * give the terminal back. All handlers use async-signal-safe calls only.
 */
#include "main/system-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <unistd.h>
#include "softmmu/runstate.h"

static int wake_fds[2];
static volatile sig_atomic_t in_loop;
static volatile sig_atomic_t asked;

static void die_by(int sig)
{
    struct sigaction act = { .sa_handler = SIG_DFL };

    chardev_restore_terminal();
    sigaction(sig, &act, NULL);
    raise(sig); /* delivered when the handler returns */
}

static void on_terminate(int sig)
{
    int err = errno;
    char c = sig;

    if (asked || !in_loop) {
        die_by(sig);
    } else {
        asked = 1;
        if (write(wake_fds[1], &c, 1) != 1) {
            die_by(sig);
        }
    }
    errno = err;
}

static gboolean on_wake(gint fd, GIOCondition condition, gpointer data)
{
    char sig;

    if (read(fd, &sig, 1) == 1) {
        g_printerr("menura: terminating on signal %d\n", sig);
        chardev_hurry();
        vm_request_shutdown(0);
    }
    return G_SOURCE_CONTINUE;
}

static void install(int sig, void (*handler)(int), int flags)
{
    struct sigaction act = { .sa_handler = handler, .sa_flags = flags };

    sigemptyset(&act.sa_mask);
    sigaction(sig, &act, NULL);
}

void signals_install(void)
{
    static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
    static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT };

    if (!g_unix_open_pipe(wake_fds, FD_CLOEXEC, NULL)) {
        return; /* the defaults still end the process */
    }
    g_unix_fd_add(wake_fds[0], G_IO_IN, on_wake, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(ending); i++) {
        struct sigaction old;

        sigaction(ending[i], NULL, &old);
        if (old.sa_handler != SIG_IGN || ending[i] != SIGHUP) { /* nohup stays in force */
            install(ending[i], on_terminate, SA_RESTART);
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(fatal); i++) {
        install(fatal[i], die_by, 0);
    }
    signal(SIGPIPE, SIG_IGN);
}

void signals_loop_begins(void)
{
    in_loop = 1;
}
