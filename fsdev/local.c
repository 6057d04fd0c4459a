/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in a shared folder: finding, opening and making it without a way out of the folder (see fsdev-priv.h), and the attributes that
 * security_model=mapped-xattr keeps beside the host's. There, symbolic links, devices, FIFOs and sockets of the guest are regular files of the
 * host; a link's text is the file's contents.
 *
 * Calls that take only a name reach what a descriptor is through /proc/self/fd.
 */
#define _GNU_SOURCE
#include "fsdev/fsdev-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "util/bytes.h"

#define HIDDEN     "user.virtfs."
#define ATTR_UID   HIDDEN "uid"
#define ATTR_GID   HIDDEN "gid"
#define ATTR_MODE  HIDDEN "mode"
#define ATTR_RDEV  HIDDEN "rdev"
#define POSIX_ACL  "system.posix_acl_"
#define HIDDEN_ACL HIDDEN POSIX_ACL

enum { PERMISSIONS = 07777 };

typedef struct FdPath {
    char text[32];
} FdPath;

static FdPath fd_path(int fd)
{
    FdPath p;

    snprintf(p.text, sizeof(p.text), "/proc/self/fd/%d", fd);
    return p;
}

static int result(long value)
{
    return value < 0 ? -errno : (int)value;
}

/* ---- Finding and opening ---- */

bool local_name_is_good(const char *name)
{
    return *name && strcmp(name, ".") && strcmp(name, "..") && !strchr(name, '/');
}

static int open_beneath(int dir, const char *path, int flags, mode_t mode)
{
    const struct open_how how = {
        .flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    };

    return result(syscall(SYS_openat2, dir, path, &how, sizeof(how)));
}

int local_find(const Fsdev *fs, const char *path)
{
    return open_beneath(fs->root, *path ? path : ".", O_PATH, 0);
}

int local_find_child(int dir, const char *name)
{
    return open_beneath(dir, name, O_PATH, 0);
}

/* Opening a device or a FIFO does something, be it to wait. */
int local_open(int fd, int flags)
{
    const struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC | O_NOCTTY) };
    FdPath path = fd_path(fd);
    struct stat st;

    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        return S_ISLNK(st.st_mode) ? -ELOOP : -ENXIO;
    }
    return result(syscall(SYS_openat2, AT_FDCWD, path.text, &how, sizeof(how)));
}

/* ---- Attributes ---- */

static bool get32(int fd, const char *name, uint32_t *value)
{
    FdPath path = fd_path(fd);
    uint8_t raw[4];
    bool ok = getxattr(path.text, name, raw, sizeof(raw)) == sizeof(raw);

    if (ok) {
        *value = bytes_get_le32(raw);
    }
    return ok;
}

static int set32(int fd, const char *name, uint32_t value)
{
    FdPath path = fd_path(fd);
    uint8_t raw[4];

    bytes_put_le32(raw, value);
    return result(setxattr(path.text, name, raw, sizeof(raw), 0));
}

static bool is_file_type(uint32_t mode)
{
    return S_ISREG(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) ||
           S_ISSOCK(mode);
}

/* A directory of the host stays one whatever is said of it. */
static mode_t mapped_mode(mode_t host, uint32_t mode)
{
    return S_ISREG(host) && is_file_type(mode) ? mode & (S_IFMT | PERMISSIONS)
                                               : (host & S_IFMT) | (mode & PERMISSIONS);
}

static void map_stat(int fd, struct stat *st)
{
    FdPath path = fd_path(fd);
    uint8_t raw[8];
    uint32_t mode;

    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
        return;
    }
    get32(fd, ATTR_UID, &st->st_uid);
    get32(fd, ATTR_GID, &st->st_gid);
    if (get32(fd, ATTR_MODE, &mode)) {
        st->st_mode = mapped_mode(st->st_mode, mode);
    }
    if ((S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) &&
        getxattr(path.text, ATTR_RDEV, raw, sizeof(raw)) == sizeof(raw)) {
        st->st_rdev = bytes_get_le64(raw);
    }
}

int local_stat(const Fsdev *fs, int fd, struct stat *st)
{
    if (fstat(fd, st) < 0) {
        return -errno;
    }
    if (fs->model == FS_MAPPED_XATTR) {
        map_stat(fd, st);
    }
    return 0;
}

int local_chmod(const Fsdev *fs, int fd, mode_t mode)
{
    FdPath path = fd_path(fd);
    struct stat st;
    int err;

    if (fs->model != FS_MAPPED_XATTR) {
        return result(chmod(path.text, mode & PERMISSIONS));
    }
    err = local_stat(fs, fd, &st);
    return err ? err : set32(fd, ATTR_MODE, (st.st_mode & S_IFMT) | (mode & PERMISSIONS));
}

int local_chown(const Fsdev *fs, int fd, uint32_t uid, uint32_t gid)
{
    int err = 0;

    if (fs->model != FS_MAPPED_XATTR) {
        err = result(fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
        return fs->model == FS_NONE && err == -EPERM ? 0 : err;
    }
    if (uid != UINT32_MAX) {
        err = set32(fd, ATTR_UID, uid);
    }
    if (!err && gid != UINT32_MAX) {
        err = set32(fd, ATTR_GID, gid);
    }
    return err;
}

int local_truncate(int fd, uint64_t size)
{
    FdPath path = fd_path(fd);
    struct stat st;

    if (size > INT64_MAX) {
        return -EINVAL;
    }
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    }
    return result(truncate(path.text, (off_t)size));
}

int local_set_times(int fd, const struct timespec times[2])
{
    FdPath path = fd_path(fd);

    return result(utimensat(AT_FDCWD, path.text, times, 0));
}

static int read_mapped_link(int fd, char *target, size_t size)
{
    int file = local_open(fd, O_RDONLY);
    ssize_t n;

    if (file < 0) {
        return file;
    }
    n = pread(file, target, size - 1, 0);
    n = n < 0 ? -errno : n;
    close(file);
    target[MAX(n, 0)] = 0;
    return n < 0 ? (int)n : 0;
}

int local_read_link(const Fsdev *fs, int fd, char *target, size_t size)
{
    struct stat host, guest;
    ssize_t n;
    int err = local_stat(fs, fd, &guest);

    if (err) {
        return err;
    }
    if (!S_ISLNK(guest.st_mode) || fstat(fd, &host) < 0) {
        return -EINVAL;
    }
    if (!S_ISLNK(host.st_mode)) {
        return read_mapped_link(fd, target, size);
    }
    n = readlinkat(fd, "", target, size - 1);
    if (n < 0) {
        return -errno;
    }
    target[n] = 0;
    return 0;
}

/* ---- Making ---- */

static int set_mapped(int fd, const FsNew *what)
{
    FdPath path = fd_path(fd);
    uint8_t raw[8];
    int err = set32(fd, ATTR_UID, what->uid);

    err = err ? err : set32(fd, ATTR_GID, what->gid);
    err = err ? err : set32(fd, ATTR_MODE, what->mode);
    if (!err && (S_ISCHR(what->mode) || S_ISBLK(what->mode))) {
        bytes_put_le64(raw, what->rdev);
        err = result(setxattr(path.text, ATTR_RDEV, raw, sizeof(raw), 0));
    }
    return err;
}

/* Of what was just made, with too few rights for anybody else. The mode comes last: a new owner takes its set-id bits away. */
static int set_attributes(const Fsdev *fs, int fd, const FsNew *what)
{
    FdPath path = fd_path(fd);
    int err;

    if (fs->model != FS_MAPPED_XATTR) {
        err = local_chown(fs, fd, what->uid, what->gid);
        return err || S_ISLNK(what->mode) ? err : local_chmod(fs, fd, what->mode);
    }
    err = set_mapped(fd, what);
    /* The process's umask may have taken some of it. */
    return err ? err : result(chmod(path.text, S_ISDIR(what->mode) ? fs->dmode : fs->fmode));
}

/* What has no descriptor of its own yet. */
static int finish_child(const Fsdev *fs, int dir, const char *name, const FsNew *what)
{
    int fd = local_find_child(dir, name), err = fd;

    if (fd >= 0) {
        err = set_attributes(fs, fd, what);
        close(fd);
    }
    if (err < 0) {
        unlinkat(dir, name, S_ISDIR(what->mode) ? AT_REMOVEDIR : 0);
    }
    return err;
}

int local_make_file(const Fsdev *fs, int dir, const char *name, int flags, const FsNew *what)
{
    int fd = open_beneath(dir, name, flags | O_CREAT | O_EXCL, 0600);
    int err = fd < 0 ? fd : set_attributes(fs, fd, what);

    if (err && fd >= 0) {
        close(fd);
        unlinkat(dir, name, 0);
    }
    return err ? err : fd;
}

int local_make_dir(const Fsdev *fs, int dir, const char *name, const FsNew *what)
{
    return mkdirat(dir, name, 0700) < 0 ? -errno : finish_child(fs, dir, name, what);
}

static int make_mapped_link(const Fsdev *fs, int dir, const char *name, const char *target,
                            const FsNew *what)
{
    int fd = local_make_file(fs, dir, name, O_WRONLY, what), err = 0;
    ssize_t n;

    if (fd < 0) {
        return fd;
    }
    n = pwrite(fd, target, strlen(target), 0);
    if (n != (ssize_t)strlen(target)) {
        err = n < 0 ? -errno : -ENOSPC;
        unlinkat(dir, name, 0);
    }
    close(fd);
    return err;
}

int local_make_link(const Fsdev *fs, int dir, const char *name, const char *target,
                    const FsNew *what)
{
    if (fs->model == FS_MAPPED_XATTR) {
        return make_mapped_link(fs, dir, name, target, what);
    }
    return symlinkat(target, dir, name) < 0 ? -errno : finish_child(fs, dir, name, what);
}

int local_make_node(const Fsdev *fs, int dir, const char *name, const FsNew *what)
{
    int fd;

    if (!is_file_type(what->mode) || S_ISLNK(what->mode)) {
        return -EINVAL;
    }
    if (fs->model != FS_MAPPED_XATTR && !S_ISREG(what->mode)) {
        mode_t mode = (what->mode & S_IFMT) | 0600;

        return mknodat(dir, name, mode, what->rdev) < 0 ? -errno
                                                        : finish_child(fs, dir, name, what);
    }
    fd = local_make_file(fs, dir, name, O_WRONLY, what);
    if (fd >= 0) {
        close(fd);
    }
    return MIN(fd, 0);
}

/* ---- Extended attributes ---- */

/*
 * The host's name of a guest's attribute, in @buf if need be. With mapped-xattr a guest has user.*, except the server's own, and access lists, which
 * mean nothing to the host there; others (security.capability) would have a meaning for the host that no ordinary user may give them.
 */
static const char *host_name(const Fsdev *fs, const char *name, char buf[XATTR_NAME_MAX + 1])
{
    if (fs->model != FS_MAPPED_XATTR) {
        return name;
    }
    if (g_str_has_prefix(name, POSIX_ACL)) {
        snprintf(buf, XATTR_NAME_MAX + 1, HIDDEN "%s", name);
        return buf;
    }
    return g_str_has_prefix(name, "user.") && !g_str_has_prefix(name, HIDDEN) ? name : NULL;
}

int local_get_xattr(const Fsdev *fs, int fd, const char *name, void *value, size_t size)
{
    char buf[XATTR_NAME_MAX + 1];
    const char *host = host_name(fs, name, buf);
    FdPath path = fd_path(fd);

    return host ? result(getxattr(path.text, host, value, size)) : -ENODATA;
}

int local_set_xattr(const Fsdev *fs, int fd, const char *name, const void *value, size_t size,
                    int flags)
{
    char buf[XATTR_NAME_MAX + 1];
    const char *host = host_name(fs, name, buf);
    FdPath path = fd_path(fd);

    return host ? result(setxattr(path.text, host, value, size, flags)) : -EOPNOTSUPP;
}

int local_remove_xattr(const Fsdev *fs, int fd, const char *name)
{
    char buf[XATTR_NAME_MAX + 1];
    const char *host = host_name(fs, name, buf);
    FdPath path = fd_path(fd);

    return host ? result(removexattr(path.text, host)) : -ENODATA;
}

/* The guest's name of a host's attribute; NULL: it has none. */
static const char *guest_name(const char *name)
{
    if (g_str_has_prefix(name, HIDDEN_ACL)) {
        return name + strlen(HIDDEN);
    }
    return g_str_has_prefix(name, "user.") && !g_str_has_prefix(name, HIDDEN) ? name : NULL;
}

int local_list_xattr(const Fsdev *fs, int fd, char *list, size_t size)
{
    FdPath path = fd_path(fd);
    int n = result(listxattr(path.text, list, size)), kept = 0;

    if (fs->model != FS_MAPPED_XATTR || n < 0) {
        return n;
    }
    for (int at = 0, len; at < n; at += len) {
        const char *name = guest_name(list + at);

        len = (int)strlen(list + at) + 1;
        if (name) {
            int shown = len - (int)(name - (list + at));

            memmove(list + kept, name, (size_t)shown);
            kept += shown;
        }
    }
    return kept;
}
