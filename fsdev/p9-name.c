/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages about names in directories: walking to them, making, moving and removing them. */
#include "fsdev/p9-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { REMOVE_DIR = 0x200, O_EXCL_L = 0200 };

/* ---- Walking ---- */

typedef struct Walk {
    P9Node *node; /* where it is; a reference */
    int fd;       /* its descriptor; -1: not looked up yet */
} Walk;

static void walk_to(P9Server *s, Walk *w, P9Node *node, int fd)
{
    p9_node_unref(&s->tree, w->node);
    p9_handle_put((P9Handle){ w->fd, false });
    *w = (Walk){ node, fd };
}

/* The directory above the folder is the folder. */
static int walk_up(P9Server *s, Walk *w)
{
    P9Node *up = w->node->parent ? w->node->parent : w->node;
    int fd = p9_find_node(s, up);

    if (fd >= 0) {
        walk_to(s, w, p9_node_ref(up), fd);
    }
    return MIN(fd, 0);
}

static int walk_down(P9Server *s, Walk *w, const char *name)
{
    P9Node *child;
    int fd;

    if (w->fd < 0) {
        w->fd = p9_find_node(s, w->node);
        if (w->fd < 0) {
            return w->fd;
        }
    }
    fd = local_find_child(w->fd, name);
    if (fd < 0) {
        return fd;
    }
    child = p9_tree_child(&s->tree, w->node, name);
    if (!child) {
        close(fd);
        return -ENFILE;
    }
    walk_to(s, w, child, fd);
    return 0;
}

static int walk_step(P9Server *s, P9Call *c, Walk *w, const char *name)
{
    bool up = name[0] == '.' && name[1] == '.' && !name[2];
    int err = up ? walk_up(s, w) : local_name_is_good(name) ? walk_down(s, w, name) : -ENOENT;
    struct stat st;

    err = err ? err : local_stat(s->fs, w->fd, &st);
    if (!err) {
        p9_put_qid(s, c, &st);
    }
    return err;
}

/* *@done: steps that led somewhere. An error is one only if there are none. */
static int walk_all(P9Server *s, P9Call *c, Walk *w, char names[][P9_MAX_NAME + 1], unsigned n,
                    unsigned *done)
{
    int err = 0;

    p9_put16(c, 0);
    for (*done = 0; *done < n; ++*done) {
        err = walk_step(s, c, w, names[*done]);
        if (err) {
            break;
        }
    }
    c->answer[P9_HEADER] = (uint8_t)*done;
    return *done || !n ? 0 : err;
}

static int end_walk(P9Server *s, P9Fid *fid, uint32_t new_id, P9Node *node)
{
    P9Node *old = fid->node;

    if (new_id != fid->id) {
        return p9_fid_new(s, new_id, p9_node_ref(node), fid->uid, &fid);
    }
    fid->node = p9_node_ref(node);
    p9_node_unref(&s->tree, old);
    return 0;
}

int p9_walk(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    uint32_t new_id = p9_get32(c);
    unsigned n = p9_get16(c), done;
    char names[P9_MAX_WALK][P9_MAX_NAME + 1];
    int err = 0;
    Walk w;

    for (unsigned i = 0; i < MIN(n, P9_MAX_WALK); i++) {
        int wrong = p9_get_name(c, names[i]);

        err = wrong == -ENAMETOOLONG ? wrong : err;
    }
    if (n > P9_MAX_WALK || !p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid || (new_id != fid->id && (new_id == P9_NOFID || p9_fid_find(s, new_id)))) {
        return -EBADF;
    }
    if (err || fid->kind > P9_FID_OPEN || (new_id == fid->id && fid->kind != P9_FID_PLAIN)) {
        return err ? err : -EINVAL;
    }
    w = (Walk){ p9_node_ref(fid->node), -1 };
    err = walk_all(s, c, &w, names, n, &done);
    if (!err && done == n) {
        err = end_walk(s, fid, new_id, w.node);
    }
    walk_to(s, &w, NULL, -1);
    return err;
}

/* ---- Making ---- */

/* What most of these messages begin with: a directory and a name in it. */
typedef struct Place {
    P9Fid *fid;
    char name[P9_MAX_NAME + 1];
    int err; /* of the name */
    int fd;
} Place;

static void get_dir(P9Server *s, P9Call *c, Place *p)
{
    p->fid = p9_fid_find(s, p9_get32(c));
    p->fd = -1;
}

static void get_place(P9Server *s, P9Call *c, Place *p)
{
    get_dir(s, c, p);
    p->err = p9_get_name(c, p->name);
}

/* After the whole message was read. */
static int find_place(P9Server *s, const P9Call *c, Place *p)
{
    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!p->fid || p->fid->kind > P9_FID_OPEN) {
        return p->fid ? -EINVAL : -EBADF;
    }
    if (p->err) {
        return p->err;
    }
    p->fd = p9_find_node(s, p->fid->node);
    return MIN(p->fd, 0);
}

static void leave_place(Place *p)
{
    p9_handle_put((P9Handle){ p->fd, false });
}

/* Answers with the qid of what was made. */
static int show_made(P9Server *s, P9Call *c, const Place *p)
{
    int fd = local_find_child(p->fd, p->name), err = fd;
    struct stat st;

    if (fd >= 0) {
        err = local_stat(s->fs, fd, &st);
        close(fd);
    }
    if (!err) {
        p9_put_qid(s, c, &st);
    }
    return err;
}

static FsNew new_of(const Place *p, uint32_t mode, uint32_t type, uint32_t gid)
{
    uint32_t uid = p->fid ? p->fid->uid : P9_NOBODY;

    return (FsNew){ .uid = uid, .gid = gid, .mode = (mode & 07777) | type };
}

/* If it is there already it is opened as if by Tlopen, unless the client wants it to be new. */
static int create_or_open(P9Server *s, const Place *p, uint32_t flags, const FsNew *what)
{
    int fd = local_make_file(s->fs, p->fd, p->name, p9_host_flags(flags) & ~O_TRUNC, what), found;

    if (fd != -EEXIST || (flags & O_EXCL_L)) {
        return fd;
    }
    found = local_find_child(p->fd, p->name);
    if (found < 0) {
        return found;
    }
    fd = local_open(found, p9_host_flags(flags));
    close(found);
    return fd;
}

/* The fid of the directory becomes the file's. */
static int show_created(P9Server *s, P9Call *c, P9Fid *fid, P9Node *node, int fd)
{
    struct stat st;
    int err = local_stat(s->fs, fd, &st);

    if (err) {
        return err;
    }
    p9_put_qid(s, c, &st);
    p9_put32(c, p9_io_unit(s));
    p9_node_unref(&s->tree, fid->node);
    fid->node = p9_node_ref(node);
    p9_fid_set_open(s, fid, fd);
    return 0;
}

int p9_lcreate(P9Server *s, P9Call *c)
{
    uint32_t flags, mode, gid;
    P9Node *node = NULL;
    FsNew what;
    int err, fd = -1;
    Place p;

    get_place(s, c, &p);
    flags = p9_get32(c);
    mode = p9_get32(c);
    gid = p9_get32(c);
    what = new_of(&p, mode, S_IFREG, gid);
    err = find_place(s, c, &p);
    if (!err && p.fid->kind != P9_FID_PLAIN) {
        err = -EINVAL;
    }
    if (!err && (!p9_fid_may_open(s) || !(node = p9_tree_child(&s->tree, p.fid->node, p.name)))) {
        err = -ENFILE;
    }
    if (!err) {
        fd = create_or_open(s, &p, flags, &what);
        err = fd < 0 ? fd : show_created(s, c, p.fid, node, fd);
    }
    if (err && fd >= 0) {
        close(fd);
    }
    p9_node_unref(&s->tree, node);
    leave_place(&p);
    return err;
}

int p9_mkdir(P9Server *s, P9Call *c)
{
    uint32_t mode, gid;
    FsNew what;
    Place p;
    int err;

    get_place(s, c, &p);
    mode = p9_get32(c);
    gid = p9_get32(c);
    what = new_of(&p, mode, S_IFDIR, gid);
    err = find_place(s, c, &p);
    err = err ? err : local_make_dir(s->fs, p.fd, p.name, &what);
    err = err ? err : show_made(s, c, &p);
    leave_place(&p);
    return err;
}

int p9_mknod(P9Server *s, P9Call *c)
{
    uint32_t mode, major, minor, gid;
    FsNew what;
    Place p;
    int err;

    get_place(s, c, &p);
    mode = p9_get32(c);
    major = p9_get32(c);
    minor = p9_get32(c);
    gid = p9_get32(c);
    what = new_of(&p, mode, mode & S_IFMT, gid);
    what.rdev = makedev(major, minor);
    err = find_place(s, c, &p);
    err = err ? err : local_make_node(s->fs, p.fd, p.name, &what);
    err = err ? err : show_made(s, c, &p);
    leave_place(&p);
    return err;
}

int p9_symlink(P9Server *s, P9Call *c)
{
    char target[PATH_MAX];
    FsNew what;
    Place p;
    int err;

    get_place(s, c, &p);
    p9_get_text(c, target, sizeof(target));
    what = new_of(&p, 0777, S_IFLNK, p9_get32(c));
    err = find_place(s, c, &p);
    err = err || *target ? err : -ENOENT;
    err = err ? err : local_make_link(s->fs, p.fd, p.name, target, &what);
    err = err ? err : show_made(s, c, &p);
    leave_place(&p);
    return err;
}

/* By the old name: no descriptor of an ordinary user may be given a second one. */
int p9_link(P9Server *s, P9Call *c)
{
    P9Fid *fid;
    Place p;
    int err, from;

    get_dir(s, c, &p);
    fid = p9_fid_find(s, p9_get32(c));
    p.err = p9_get_name(c, p.name);
    err = find_place(s, c, &p);
    if (!err && (!fid || fid->node->gone || !fid->node->parent)) {
        err = fid ? -ENOENT : -EBADF;
    }
    if (!err) {
        from = p9_find_node(s, fid->node->parent);
        err = from < 0 ? from : linkat(from, fid->node->name, p.fd, p.name, 0) < 0 ? -errno : 0;
        p9_handle_put((P9Handle){ from, false });
    }
    leave_place(&p);
    return err;
}

/* ---- Moving and removing ---- */

/* @dir has a descriptor @fd, to has been found. A directory cannot go below itself; the host would say so, if it saw the tree as the nodes do. */
static int move(P9Server *s, int fd, P9Node *dir, const char *name, const Place *to)
{
    P9Node *node = p9_tree_look_up(&s->tree, dir, name), *new_dir = to->fid->node;
    bool same = dir == new_dir && !g_strcmp0(name, to->name);
    g_autofree char *old = g_strdup(name); /* of the node, perhaps */

    if (node && p9_node_is_below(new_dir, node)) {
        return -EINVAL;
    }
    if (renameat(fd, name, to->fd, to->name) < 0) {
        return -errno;
    }
    if (!same) {
        p9_tree_move(&s->tree, dir, old, new_dir, to->name);
    }
    return 0;
}

int p9_rename(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    int err, fd;
    Place to;

    get_place(s, c, &to);
    err = find_place(s, c, &to);
    if (!err && (!fid || fid->node->gone || !fid->node->parent)) {
        err = !fid ? -EBADF : fid->node->gone ? -ENOENT : -EBUSY;
    }
    if (!err) {
        fd = p9_find_node(s, fid->node->parent);
        err = fd < 0 ? fd : move(s, fd, fid->node->parent, fid->node->name, &to);
        p9_handle_put((P9Handle){ fd, false });
    }
    leave_place(&to);
    return err;
}

int p9_renameat(P9Server *s, P9Call *c)
{
    Place from, to;
    int err;

    get_place(s, c, &from);
    get_place(s, c, &to);
    err = find_place(s, c, &from);
    err = err ? err : find_place(s, c, &to);
    err = err ? err : move(s, from.fd, from.fid->node, from.name, &to);
    leave_place(&from);
    leave_place(&to);
    return err;
}

int p9_unlinkat(P9Server *s, P9Call *c)
{
    uint32_t flags;
    Place p;
    int err;

    get_place(s, c, &p);
    flags = p9_get32(c);
    err = find_place(s, c, &p);
    if (!err && (flags & ~(uint32_t)REMOVE_DIR)) {
        err = -EINVAL;
    }
    if (!err && unlinkat(p.fd, p.name, flags ? AT_REMOVEDIR : 0) < 0) {
        err = -errno;
    }
    if (!err) {
        p9_tree_forget(&s->tree, p.fid->node, p.name);
    }
    leave_place(&p);
    return err;
}

static int remove_node(P9Server *s, P9Node *node)
{
    int dir = p9_find_node(s, node->parent), err = 0;

    if (dir < 0) {
        return dir;
    }
    if (unlinkat(dir, node->name, 0) < 0 &&
        (errno != EISDIR || unlinkat(dir, node->name, AT_REMOVEDIR) < 0)) {
        err = -errno;
    }
    close(dir);
    if (!err) {
        p9_tree_forget(&s->tree, node->parent, node->name);
    }
    return err;
}

/* The fid goes even if what it stands for cannot. */
int p9_remove(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    int err;

    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid) {
        return -EBADF;
    }
    err = s->fs->readonly      ? -EROFS
          : !fid->node->parent ? -EBUSY
          : fid->node->gone    ? -ENOENT
                               : remove_node(s, fid->node);
    p9_fid_free(s, fid);
    return err;
}
