/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fids of a 9P server, what they lead to in the host, and the numbers by which the client tells files apart. */
#include "fsdev/p9-priv.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

P9Fid *p9_fid_find(P9Server *s, uint32_t id)
{
    return g_hash_table_lookup(s->fids, GUINT_TO_POINTER(id));
}

int p9_fid_new(P9Server *s, uint32_t id, P9Node *node, uint32_t uid, P9Fid **fid)
{
    bool taken = id == P9_NOFID || p9_fid_find(s, id);

    if (taken || g_hash_table_size(s->fids) >= P9_MAX_FIDS) {
        p9_node_unref(&s->tree, node);
        return taken ? -EBADF : -ENFILE;
    }
    *fid = g_new(P9Fid, 1);
    **fid = (P9Fid){ .id = id, .uid = uid, .node = node, .fd = -1 };
    g_hash_table_insert(s->fids, GUINT_TO_POINTER(id), *fid);
    return 0;
}

void p9_fid_free(P9Server *s, P9Fid *fid)
{
    if (fid->kind == P9_FID_OPEN) {
        *fid->open_link = fid->next_open;
        if (fid->next_open) {
            fid->next_open->open_link = fid->open_link;
        }
        close(fid->fd);
        s->n_open--;
    }
    g_hash_table_remove(s->fids, GUINT_TO_POINTER(fid->id));
    p9_node_unref(&s->tree, fid->node);
    s->xattr_bytes -= fid->size;
    g_free(fid->name);
    g_free(fid->value);
    g_free(fid);
}

bool p9_fid_may_open(const P9Server *s)
{
    return s->n_open < s->max_open;
}

void p9_fid_set_open(P9Server *s, P9Fid *fid, int fd)
{
    fid->kind = P9_FID_OPEN;
    fid->fd = fd;
    fid->next_open = fid->node->open;
    fid->open_link = &fid->node->open;
    if (fid->next_open) {
        fid->next_open->open_link = &fid->next_open;
    }
    fid->node->open = fid;
    s->n_open++;
}

bool p9_fid_may_keep(const P9Server *s, uint64_t size)
{
    return size <= P9_MAX_XATTRS - s->xattr_bytes;
}

void p9_fid_set_value(P9Server *s, P9Fid *fid, P9FidKind kind, uint8_t *value, uint64_t size)
{
    fid->kind = kind;
    fid->value = value;
    fid->size = size;
    s->xattr_bytes += size;
}

/* ---- In the host ---- */

int p9_find_node(const P9Server *s, const P9Node *node)
{
    char path[PATH_MAX];

    return p9_node_path(node, path, sizeof(path)) ? local_find(s->fs, path)
           : node->gone                           ? -ENOENT
                                                  : -ENAMETOOLONG;
}

P9Handle p9_handle_get(const P9Server *s, const P9Fid *fid)
{
    const P9Fid *open = fid->kind == P9_FID_OPEN ? fid : fid->node->gone ? fid->node->open : NULL;

    return open ? (P9Handle){ open->fd, true } : (P9Handle){ p9_find_node(s, fid->node), false };
}

void p9_handle_put(P9Handle h)
{
    if (h.fd >= 0 && !h.borrowed) {
        close(h.fd);
    }
}

/* ---- Numbers ---- */

static unsigned dev_index(P9Server *s, dev_t dev)
{
    unsigned i = 0;

    while (i < s->n_devs && s->devs[i] != dev) {
        i++;
    }
    if (i == s->n_devs && i < P9_MAX_DEVS) {
        s->devs[s->n_devs++] = dev;
    }
    return i;
}

uint64_t p9_qid_path(P9Server *s, dev_t dev, ino_t ino)
{
    return ino ^ (uint64_t)dev_index(s, dev) << 56;
}

/* A client may keep contents in a cache as long as the version stays, but not if it is 0. */
static uint32_t version_of(const struct stat *st)
{
    uint64_t v = (uint64_t)st->st_mtim.tv_sec * 1000000007 ^ (uint64_t)st->st_mtim.tv_nsec ^
                 (uint64_t)st->st_size << 8;

    v ^= v >> 32;
    return (uint32_t)v ? (uint32_t)v : 1;
}

void p9_put_qid(P9Server *s, P9Call *c, const struct stat *st)
{
    p9_put8(c, S_ISDIR(st->st_mode) ? 0x80 : S_ISLNK(st->st_mode) ? 0x02 : 0);
    p9_put32(c, version_of(st));
    p9_put64(c, p9_qid_path(s, st->st_dev, st->st_ino));
}
