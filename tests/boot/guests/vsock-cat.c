/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program for Linux guests: standard input and output through a virtual socket, as vsock.py needs it.
 *
 *     vsock-cat connect PORT      to the host's port
 *     vsock-cat listen PORT       takes one connection
 *     vsock-cat seqpacket PORT    as connect, with a kind of socket that the device has not
 *
 * Each direction ends on its own. What fails is said on standard output; failing to receive ends sending too, before it is said:
 * nothing reads the terminal any more when the shell has it back.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vm_sockets.h> /* needs what is above */

static int fail(const char *what)
{
    printf("%s: %m\n", what);
    return 1;
}

/* False: reading or writing failed, as errno says. */
static int copy(int from, int to)
{
    static char buf[1 << 17];
    ssize_t n;

    while ((n = read(from, buf, sizeof(buf))) > 0) {
        for (ssize_t done = 0, put; done < n; done += put) {
            put = write(to, buf + done, n - done);
            if (put < 0) {
                return 0;
            }
        }
    }
    return n == 0;
}

static int use(int fd)
{
    int status = 0, error;
    pid_t sender;

    fflush(stdout);
    sender = fork();
    if (sender == 0) {
        status = !copy(0, fd) && fail("send");
        shutdown(fd, SHUT_WR);
        exit(status);
    }
    if (!copy(fd, 1)) {
        error = errno;
        kill(sender, SIGKILL);
        wait(NULL);
        errno = error;
        return fail("receive");
    }
    wait(&status);
    return status != 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_vm addr = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST };
    int fd = socket(AF_VSOCK, argv[1][0] == 's' ? SOCK_SEQPACKET : SOCK_STREAM, 0);

    addr.svm_port = atoi(argv[2]);
    if (fd < 0) {
        return fail("socket");
    }
    if (strcmp(argv[1], "listen")) {
        return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) ? fail("connect") : use(fd);
    }
    addr.svm_cid = VMADDR_CID_ANY;
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 4)) {
        return fail("listen");
    }
    fd = accept(fd, NULL, NULL);
    return fd < 0 ? fail("accept") : use(fd);
}
