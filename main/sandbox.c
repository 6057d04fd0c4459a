/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sandbox as a filter of system calls, made by libseccomp (see sandbox.h). The lists are what the emulator, GLib and the C library use while a
 * machine runs; a new kind of back end adds here what it needs after the start.
 */
#define _GNU_SOURCE
#include "main/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { MAX_CALL = 1024 };

static const int always[] = {
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(mremap),
    SCMP_SYS(munmap), SCMP_SYS(memfd_create),
    /* threads and time */
    SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getpgrp),
    SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(sched_getattr), SCMP_SYS(sched_setattr), SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime),
    SCMP_SYS(timerfd_create), SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname),
    SCMP_SYS(getrandom), SCMP_SYS(restart_syscall),
    /* signals of its own */
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(rt_sigtimedwait), SCMP_SYS(pause),
    /* what is open */
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(preadv2), SCMP_SYS(pwritev2),
    SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(fallocate), SCMP_SYS(ftruncate),
    SCMP_SYS(fdatasync), SCMP_SYS(fsync), SCMP_SYS(sync_file_range), SCMP_SYS(copy_file_range),
    SCMP_SYS(fcntl), SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
    SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
    SCMP_SYS(pselect6), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    /* connections that are there */
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg), SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername)
};
static const int of_files[] = { SCMP_SYS(stat),      SCMP_SYS(lstat),    SCMP_SYS(access),
                                SCMP_SYS(faccessat), SCMP_SYS(readlink), SCMP_SYS(faccessat2),
                                SCMP_SYS(mkdir),     SCMP_SYS(rename),   SCMP_SYS(renameat2),
                                SCMP_SYS(rmdir),     SCMP_SYS(statfs),   SCMP_SYS(getcwd) };
static const int of_unlink[] = { SCMP_SYS(unlink) };
static const int of_unlinkat[] = { SCMP_SYS(unlinkat) };
static const int of_files_and_folders[] = { SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
                                            SCMP_SYS(mkdirat), SCMP_SYS(renameat),
                                            SCMP_SYS(fchmod) };
static const int of_folders[] = { SCMP_SYS(openat2),   SCMP_SYS(mknodat),  SCMP_SYS(symlinkat),
                                  SCMP_SYS(linkat),    SCMP_SYS(chmod),    SCMP_SYS(fchownat),
                                  SCMP_SYS(utimensat), SCMP_SYS(truncate), SCMP_SYS(getxattr),
                                  SCMP_SYS(listxattr), SCMP_SYS(setxattr), SCMP_SYS(removexattr) };
static const int of_sockets[] = { SCMP_SYS(socket), SCMP_SYS(bind),    SCMP_SYS(listen),
                                  SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(connect) };
static const int of_uring[] = { SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register) };
/* Of open files: terminals, block devices, how much can be read. */
static const unsigned long ioctls[] = {
    TCGETS,     TCSETS,   TCSETSW, TCSETSF,      TCSBRK,     TIOCGWINSZ, TIOCGPGRP, TIOCGPTN,
    TIOCSPTLCK, FIONREAD, FIONBIO, BLKGETSIZE64, BLKDISCARD, BLKZEROOUT, BLKSSZGET
};

static bool add(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* Calls that this host does not have are none it could make. */
        if (calls[i] >= 0 && seccomp_rule_add(filter, action, calls[i], 0) < 0) {
            return false;
        }
    }
    return true;
}

/* fstat() is such a call with a flag in argument @flags_at. */
static bool add_stat(scmp_filter_ctx filter, int call, unsigned flags_at, bool stat_files)
{
    const struct scmp_arg_cmp of_open =
        SCMP_CMP(flags_at, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH);
    const struct scmp_arg_cmp of_name = SCMP_CMP(flags_at, SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0);

    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, of_open) == 0 &&
           seccomp_rule_add(filter, stat_files ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES), call, 1,
                            of_name) == 0;
}

/* open() and openat(): with @reads for nothing but reading. */
static bool add_open(scmp_filter_ctx filter, bool files, bool reads)
{
    static const scmp_datum_t changes[] = { O_WRONLY, O_RDWR, O_CREAT, O_TRUNC };
    const int calls[] = { SCMP_SYS(open), SCMP_SYS(openat) };
    const uint32_t no = SCMP_ACT_ERRNO(EACCES);

    if (files || !reads) {
        return add(filter, files ? SCMP_ACT_ALLOW : no, calls, G_N_ELEMENTS(calls));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++) {
        scmp_datum_t all = 0;

        for (unsigned j = 0; j < G_N_ELEMENTS(changes); j++) {
            all |= changes[j];
            if (seccomp_rule_add(filter, no, calls[i], 1,
                                 SCMP_CMP(i + 1, SCMP_CMP_MASKED_EQ, changes[j], changes[j])) < 0) {
                return false;
            }
        }
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 1,
                             SCMP_CMP(i + 1, SCMP_CMP_MASKED_EQ, all, 0)) < 0) {
            return false;
        }
    }
    return true;
}

/* Calls of which the arguments matter. */
static bool add_limited(scmp_filter_ctx filter, bool stat_files)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ioctls); i++) {
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                             SCMP_A1(SCMP_CMP_EQ, ioctls[i])) < 0) {
            return false;
        }
    }
    /* Threads, but no processes. clone3's flags are in memory, where no filter sees them: without it the C library uses clone. */
    return add_stat(filter, SCMP_SYS(newfstatat), 3, stat_files) &&
           add_stat(filter, SCMP_SYS(statx), 2, stat_files) &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                            SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0;
}

/* SSB: without it kernels before 5.16 make every load of a filtered process wait for older stores. */
static bool add_rules(scmp_filter_ctx filter, const SandboxNeeds *needs)
{
    const uint32_t no = SCMP_ACT_ERRNO(EACCES), yes = SCMP_ACT_ALLOW;

    return add(filter, yes, always, G_N_ELEMENTS(always)) &&
           add(filter, needs->files ? yes : no, of_files, G_N_ELEMENTS(of_files)) &&
           add(filter, needs->files || needs->folders ? yes : no, of_files_and_folders,
               G_N_ELEMENTS(of_files_and_folders)) &&
           (!needs->folders || add(filter, yes, of_folders, G_N_ELEMENTS(of_folders))) &&
           add(filter, needs->files || needs->unlink ? yes : no, of_unlink,
               G_N_ELEMENTS(of_unlink)) &&
           add(filter, needs->files || needs->unlink || needs->folders ? yes : no, of_unlinkat,
               G_N_ELEMENTS(of_unlinkat)) &&
           add(filter, needs->sockets ? yes : no, of_sockets, G_N_ELEMENTS(of_sockets)) &&
           add(filter, needs->uring ? yes : no, of_uring, G_N_ELEMENTS(of_uring)) &&
           add_open(filter, needs->files, needs->reads) &&
           add_limited(filter, needs->files || needs->reads) &&
           seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
           seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1) == 0 &&
           seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0;
}

/* SIGSYS: says so and lets the call fail. Async-signal-safe. */
static void on_refused(int signal, siginfo_t *info, void *context)
{
    static bool told[MAX_CALL];
    ucontext_t *uc = context;
    unsigned n = (unsigned)info->si_syscall;
    char text[] = "menura: the sandbox refused system call 0000; this is a defect to report, or an "
                  "attack; -sandbox off runs without\n";
    char *digits = strstr(text, "0000");

    uc->uc_mcontext.gregs[REG_RAX] = -EPERM;
    if (n >= MAX_CALL || told[n]) {
        return;
    }
    told[n] = true;
    for (unsigned i = 0, value = n; i < 4; i++, value /= 10) {
        digits[3 - i] = (char)('0' + value % 10);
    }
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
        return; /* nobody is there to hear it */
    }
}

bool sandbox_enter(const SandboxNeeds *needs, GError **error)
{
    struct sigaction action = { .sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_RESTART };
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
    int err = -ENOMEM;

    tzset(); /* reads a file */
    sigaction(SIGSYS, &action, NULL);
    if (filter && add_rules(filter, needs)) {
        err = seccomp_load(filter);
    }
    if (err < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(-err),
                    "-sandbox: this host refuses it (%s); -sandbox off runs without",
                    g_strerror(-err));
    }
    if (filter) {
        seccomp_release(filter);
    }
    return err == 0;
}
