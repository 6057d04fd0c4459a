/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -daemonize: a fork before any thread exists. The parent waits until the child says that it is set
 * up (exit 0) or ends (exit 1, its error message having gone to the common standard error), so a
 * script knows that the machine runs.
 */
#include "main/system-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

static int ready_fd = -1;

bool daemon_start(GError **error)
{
    int fds[2];
    pid_t pid;
    char c;

    if (!g_unix_open_pipe(fds, FD_CLOEXEC, error)) {
        g_prefix_error(error, "-daemonize: ");
        return false;
    }
    pid = fork();
    if (pid < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "-daemonize: cannot fork: %s", g_strerror(errno));
        return false;
    }
    if (pid > 0) {
        close(fds[1]);
        _exit(read(fds[0], &c, 1) == 1 ? 0 : 1);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
    return true;
}

void daemon_ready(void)
{
    int null = open("/dev/null", O_RDWR);
    char c = 0;

    if (ready_fd < 0) {
        return;
    }
    for (int fd = 0; fd < 3 && null >= 0; fd++) {
        dup2(null, fd);
    }
    if (write(ready_fd, &c, 1) == 1) {
        close(ready_fd);
    }
    ready_fd = -1;
}
