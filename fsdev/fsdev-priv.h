/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this folder share: a shared folder, and access to what is in it (local.c). All of these return 0 or a descriptor, or -errno.
 *
 * Nothing outside the folder is ever reached: paths are resolved by the kernel beneath the folder's descriptor, with no symbolic link followed,
 * and names are single components. What a path leads to is held by a descriptor that only names it (O_PATH), and only what is seen to be a regular
 * file or a directory is opened through that. Symbolic links are the guest's to follow.
 */
#ifndef FSDEV_FSDEV_PRIV_H
#define FSDEV_FSDEV_PRIV_H

#include <stdint.h>
#include <sys/stat.h>
#include "fsdev/fsdev.h"

typedef enum FsModel { FS_MAPPED_XATTR, FS_NONE, FS_PASSTHROUGH } FsModel;

struct Fsdev {
    char *id;
    int root; /* the folder, O_PATH */
    FsModel model;
    bool readonly;
    mode_t fmode, dmode; /* host modes of files and directories that are made, FS_MAPPED_XATTR */
};

/* What a guest wants something new to be. */
typedef struct FsNew {
    uint32_t uid, gid;
    mode_t mode; /* with the type */
    dev_t rdev;  /* of a device */
} FsNew;

extern void (*fsdev_lock)(void), (*fsdev_unlock)(void); /* NULL: none */
extern bool fsdev_synchronous;

/* A name that stands for a child: not empty, ".", "..", no '/'. */
bool local_name_is_good(const char *name);

/* An O_PATH descriptor of what @path ("a/b", "" is the folder) is, be it a symbolic link; and of child @name of directory @dir. */
int local_find(const Fsdev *fs, const char *path);
int local_find_child(int dir, const char *name);
/* Opens the regular file or directory that @fd is, with open()'s @flags. */
int local_open(int fd, int flags);
/* As the guest sees it. @fd of either kind; so with all the following. */
int local_stat(const Fsdev *fs, int fd, struct stat *st);
int local_chmod(const Fsdev *fs, int fd, mode_t mode);
/* UINT32_MAX: stays. */
int local_chown(const Fsdev *fs, int fd, uint32_t uid, uint32_t gid);
int local_truncate(int fd, uint64_t size);
int local_set_times(int fd, const struct timespec times[2]);
/* Fills @target with the link's text, @size bytes with a NUL; -EINVAL: it is no symbolic link. */
int local_read_link(const Fsdev *fs, int fd, char *target, size_t size);

/* Makes @name, which is not there yet, in directory @dir. local_make_file() opens it with @flags, too. */
int local_make_file(const Fsdev *fs, int dir, const char *name, int flags, const FsNew *what);
int local_make_dir(const Fsdev *fs, int dir, const char *name, const FsNew *what);
int local_make_link(const Fsdev *fs, int dir, const char *name, const char *target,
                    const FsNew *what);
int local_make_node(const Fsdev *fs, int dir, const char *name, const FsNew *what);

/* Extended attributes by the guest's names. The first two return the length; a list is of names with their NULs. */
enum { LOCAL_XATTR_MAX = 65536 };
int local_get_xattr(const Fsdev *fs, int fd, const char *name, void *value, size_t size);
int local_list_xattr(const Fsdev *fs, int fd, char *list, size_t size);
int local_set_xattr(const Fsdev *fs, int fd, const char *name, const void *value, size_t size,
                    int flags);
int local_remove_xattr(const Fsdev *fs, int fd, const char *name);

#endif
