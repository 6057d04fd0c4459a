/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lock on a disk's file: an open file description lock, which lasts as long as the file is open and counts between two openings in
 * one process too. The kernel does not say whose such a lock is, so the holder is looked for among the processes whose open files can be seen.
 */
#define _GNU_SOURCE
#include "block/block-priv.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool info_has_lock(const char *info_file, const char *identity)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(info_file, &text, NULL, NULL)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (g_str_has_prefix(*line, "lock:") && strstr(*line, identity)) {
            return true;
        }
    }
    return false;
}

/* Whether process @pid (a name in /proc) has an open file that holds the lock on the file of @identity. */
static bool process_holds(const char *pid, const char *identity)
{
    g_autofree char *folder = g_strdup_printf("/proc/%s/fdinfo", pid);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(folder, name, NULL);

        if (info_has_lock(file, identity)) {
            return true;
        }
    }
    return false;
}

/* 0: not found. */
static int find_holder(int fd)
{
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    g_autofree char *identity = NULL;
    const char *name;
    struct stat st;

    if (!dir || fstat(fd, &st) < 0) {
        return 0;
    }
    identity = g_strdup_printf(" %02x:%02x:%" PRIu64 " ", major(st.st_dev), minor(st.st_dev),
                               (uint64_t)st.st_ino);
    while ((name = g_dir_read_name(dir))) {
        if (g_ascii_isdigit(name[0]) && process_holds(name, identity)) {
            return atoi(name);
        }
    }
    return 0;
}

static char *describe_holder(int fd, short type)
{
    struct flock other = { .l_type = type, .l_whence = SEEK_SET };
    g_autofree char *file = NULL, *name = NULL;
    int pid = 0;

    if (fcntl(fd, F_OFD_GETLK, &other) == 0 && other.l_type != F_UNLCK && other.l_pid > 0) {
        pid = other.l_pid;
    }
    pid = pid ? pid : find_holder(fd);
    if (!pid) {
        return g_strdup("another process");
    }
    if (pid == getpid()) {
        return g_strdup("another drive of this machine");
    }
    file = g_strdup_printf("/proc/%d/comm", pid);
    if (g_file_get_contents(file, &name, NULL, NULL)) {
        g_strchomp(name);
    }
    return g_strdup_printf("process %d%s%s%s", pid, name ? " (" : "", name ? name : "",
                           name ? ")" : "");
}

bool file_lock(int fd, const char *file, bool readonly, GError **error)
{
    struct flock lock = { .l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };
    g_autofree char *holder = NULL;

    /* A file system that knows no locks is no reason to refuse a disk. */
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES)) {
        return true;
    }
    holder = describe_holder(fd, lock.l_type);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN, "%s: is in use%s by %s", file,
                readonly ? " for writing" : "", holder);
    return false;
}
