/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sandbox: what a process cannot do any more once it is in, what it still can, in all its threads. Each case is a process of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "main/sandbox.h"

typedef int (*Attempt)(void); /* 0 or errno */

static int error_of(long result)
{
    return result < 0 ? errno : 0;
}

static int try_execute(void)
{
    return error_of(execl("/bin/true", "true", NULL));
}

static int try_fork(void)
{
    pid_t pid = fork();

    if (!pid) {
        _exit(0);
    }
    return error_of(pid);
}

static int try_open(void)
{
    return error_of(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static int try_create(void)
{
    return error_of(open("/dev/null", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int try_unlink(void)
{
    return unlink("/nowhere/to/be/found") < 0 && errno != ENOENT ? errno : 0;
}

static int try_socket(void)
{
    return error_of(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_folders(void)
{
    static const struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC };
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how));

    if (fd < 0) {
        return errno;
    }
    return mkdirat(fd, "proc", 0700) < 0 && errno == EEXIST && unlinkat(fd, "nowhere", 0) < 0 &&
                   errno == ENOENT && getxattr("/proc/self/fd/0", "user.none", NULL, 0) < 0
               ? 0
               : errno;
}

static int try_ptrace(void)
{
    return error_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_signal_parent(void)
{
    return error_of(kill(getppid(), 0));
}

static int try_privilege(void)
{
    return error_of(setuid(getuid()));
}

static gpointer in_thread(gpointer data)
{
    return GINT_TO_POINTER(((Attempt)data)());
}

static int try_thread(void)
{
    GThread *thread = g_thread_try_new("test", in_thread, try_open, NULL);

    return thread ? GPOINTER_TO_INT(g_thread_join(thread)) : EAGAIN;
}

static int try_memory(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    char *p = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, 4096) == 0) {
        p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    return p == MAP_FAILED || pwrite(fd, "x", 1, 0) != 1 || *p != 'x' ? EIO : 0;
}

static int try_fstat(void)
{
    struct stat st;

    return error_of(fstat(STDERR_FILENO, &st));
}

static int try_stat(void)
{
    struct stat st;

    return error_of(stat("/", &st));
}

static int try_signal_itself(void)
{
    return error_of(kill(getpid(), 0));
}

static int early_thread_gate[2];

static gpointer early_thread(gpointer data)
{
    char c;

    return GINT_TO_POINTER(read(early_thread_gate[0], &c, 1) == 1 ? try_execute() : 0);
}

/* Exit status: what @attempt says in the sandbox. */
static void run_in_sandbox(const SandboxNeeds *needs, Attempt attempt)
{
    g_autoptr(GError) error = NULL;

    if (!sandbox_enter(needs, &error)) {
        g_printerr("%s\n", error->message);
        _exit(255);
    }
    _exit(attempt());
}

static int in_sandbox(const SandboxNeeds *needs, Attempt attempt)
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        run_in_sandbox(needs, attempt);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_given_up(void)
{
    static const SandboxNeeds nothing;
    static const Attempt refused[] = { try_execute, try_fork, try_ptrace, try_signal_parent,
                                       try_privilege };

    for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_assert_cmpint(in_sandbox(&nothing, refused[i]), ==, EPERM);
    }
    g_assert_cmpint(in_sandbox(&nothing, try_open), ==, EACCES);
    g_assert_cmpint(in_sandbox(&nothing, try_unlink), ==, EACCES);
    g_assert_cmpint(in_sandbox(&nothing, try_socket), ==, EACCES);
    g_assert_cmpint(in_sandbox(&nothing, try_thread), ==, EACCES);
}

static void test_kept(void)
{
    static const SandboxNeeds nothing, files = { .files = true }, unlinks = { .unlink = true },
                                       sockets = { .sockets = true }, reads = { .reads = true },
                                       folders = { .folders = true };

    g_assert_cmpint(in_sandbox(&nothing, try_memory), ==, 0);
    g_assert_cmpint(in_sandbox(&nothing, try_signal_itself), ==, 0);
    g_assert_cmpint(in_sandbox(&nothing, try_fstat), ==, 0);
    g_assert_cmpint(in_sandbox(&nothing, try_stat), ==, EACCES);
    g_assert_cmpint(in_sandbox(&files, try_stat), ==, 0);
    g_assert_cmpint(in_sandbox(&files, try_open), ==, 0);
    g_assert_cmpint(in_sandbox(&files, try_unlink), ==, 0);
    g_assert_cmpint(in_sandbox(&files, try_thread), ==, 0);
    g_assert_cmpint(in_sandbox(&files, try_socket), ==, EACCES);
    g_assert_cmpint(in_sandbox(&reads, try_open), ==, 0);
    g_assert_cmpint(in_sandbox(&reads, try_stat), ==, 0);
    g_assert_cmpint(in_sandbox(&reads, try_create), ==, EACCES);
    g_assert_cmpint(in_sandbox(&reads, try_unlink), ==, EACCES);
    g_assert_cmpint(in_sandbox(&unlinks, try_unlink), ==, 0);
    g_assert_cmpint(in_sandbox(&unlinks, try_open), ==, EACCES);
    g_assert_cmpint(in_sandbox(&sockets, try_socket), ==, 0);
    g_assert_cmpint(in_sandbox(&sockets, try_execute), ==, EPERM);
    g_assert_cmpint(in_sandbox(&folders, try_folders), ==, 0);
    g_assert_cmpint(in_sandbox(&nothing, try_folders), ==, EPERM);
    g_assert_cmpint(in_sandbox(&folders, try_open), ==, EACCES);
    g_assert_cmpint(in_sandbox(&folders, try_stat), ==, EACCES);
    g_assert_cmpint(in_sandbox(&folders, try_execute), ==, EPERM);
    g_assert_cmpint(in_sandbox(&folders, try_socket), ==, EACCES);
}

static int try_in_early_thread(void)
{
    static const SandboxNeeds nothing;
    GThread *thread;

    g_assert_cmpint(pipe(early_thread_gate), ==, 0);
    thread = g_thread_new("early", early_thread, NULL);
    g_assert_true(sandbox_enter(&nothing, NULL));
    g_assert_cmpint(write(early_thread_gate[1], "x", 1), ==, 1);
    return GPOINTER_TO_INT(g_thread_join(thread));
}

/* A thread that was there before is in it too. */
static void test_early_thread(void)
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        _exit(try_in_early_thread());
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_true(WIFEXITED(status));
    g_assert_cmpint(WEXITSTATUS(status), ==, EPERM);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sandbox/given-up", test_given_up);
    g_test_add_func("/sandbox/kept", test_kept);
    g_test_add_func("/sandbox/early-thread", test_early_thread);
    return g_test_run();
}
