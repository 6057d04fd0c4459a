/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 9P server: a message's way from the client's memory to its function and the answer's way back; and the messages that are about the connection.
 * Whatever is wrong with a message is answered with Rlerror and changes nothing.
 */
#include "fsdev/p9-priv.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include "util/bytes.h"

enum { RLERROR = 7, TVERSION = 100, NO_TYPE = 256 };
enum { OTHER_FILES = 64 }; /* descriptors that are not for the client's files */

static const char protocol[] = "9P2000.L";

/* ---- The connection ---- */

static int version(P9Server *s, P9Call *c)
{
    uint32_t msize = p9_get32(c);
    char name[32];
    bool known;

    p9_get_text(c, name, sizeof(name));
    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (msize < P9_MIN_MSIZE) {
        return -EMSGSIZE;
    }
    known = !strcmp(name, protocol);
    p9_server_reset(s);
    s->msize = known ? MIN(msize, P9_MAX_MSIZE) : 0;
    p9_put32(c, known ? s->msize : msize);
    p9_put_text(c, known ? protocol : "unknown");
    return 0;
}

/* There is no authentication. */
static int auth(P9Server *s, P9Call *c)
{
    return -EOPNOTSUPP;
}

/* Which of several trees the client wants (aname) has no meaning: there is one. */
static int attach(P9Server *s, P9Call *c)
{
    uint32_t id = p9_get32(c), afid = p9_get32(c), uid;
    char text[P9_MAX_HEAD];
    struct stat st;
    P9Fid *fid;
    int fd, err;

    p9_get_text(c, text, sizeof(text));
    p9_get_text(c, text, sizeof(text));
    uid = p9_get32(c);
    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (afid != P9_NOFID) {
        return -EOPNOTSUPP;
    }
    fd = local_find(s->fs, "");
    err = fd < 0 ? fd : local_stat(s->fs, fd, &st);
    p9_handle_put((P9Handle){ fd, false });
    if (!err) {
        uid = uid == UINT32_MAX ? P9_NOBODY : uid;
        err = p9_fid_new(s, id, p9_node_ref(s->tree.root), uid, &fid);
    }
    if (!err) {
        p9_put_qid(s, c, &st);
    }
    return err;
}

/* What it is about was answered before; see p9-worker.c. */
static int flush(P9Server *s, P9Call *c)
{
    p9_get16(c);
    return p9_all_got(c) ? 0 : -EINVAL;
}

static int clunk(P9Server *s, P9Call *c)
{
    P9Fid *fid = p9_fid_find(s, p9_get32(c));
    int err = 0;

    if (!p9_all_got(c)) {
        return -EINVAL;
    }
    if (!fid) {
        return -EBADF;
    }
    if (fid->kind == P9_FID_XATTR_WRITE) {
        err = p9_store_xattr(s, fid);
    }
    p9_fid_free(s, fid);
    return err;
}

/* ---- All messages ---- */

typedef struct P9Message {
    int (*f)(P9Server *s, P9Call *c);
    bool writes; /* refused on a read-only folder */
} P9Message;

static const P9Message messages[NO_TYPE] = {
    [8] = { p9_statfs },
    [12] = { p9_lopen },
    [14] = { p9_lcreate, true },
    [16] = { p9_symlink, true },
    [18] = { p9_mknod, true },
    [20] = { p9_rename, true },
    [22] = { p9_readlink },
    [24] = { p9_getattr },
    [26] = { p9_setattr, true },
    [30] = { p9_xattrwalk },
    [32] = { p9_xattrcreate, true },
    [40] = { p9_readdir },
    [50] = { p9_fsync },
    [52] = { p9_lock },
    [54] = { p9_getlock },
    [70] = { p9_link, true },
    [72] = { p9_mkdir, true },
    [74] = { p9_renameat, true },
    [76] = { p9_unlinkat, true },
    [TVERSION] = { version },
    [102] = { auth },
    [104] = { attach },
    [108] = { flush },
    [110] = { p9_walk },
    [116] = { p9_read },
    [118] = { p9_write },
    [120] = { clunk },
    [122] = { p9_remove }, /* clunks even if it may not remove */
};

enum { TWRITE = 118 };

/*
 * What the message says of its own size, against what there is. Data that is written is not looked at here: some clients do not count it.
 */
static int check_size(const P9Server *s, const P9Request *r, uint8_t type, uint32_t size)
{
    uint32_t limit = s->msize ? s->msize : P9_MIN_MSIZE;

    if (size < P9_HEADER || size > r->out_len) {
        return -EINVAL;
    }
    return size > limit || (type != TWRITE && size > P9_MAX_HEAD) ? -EMSGSIZE : 0;
}

static int carry_out(P9Server *s, P9Call *c, uint8_t type, uint32_t size)
{
    const P9Message *m = &messages[type];
    int err = c->req->aborted ? -EINTR : check_size(s, c->req, type, size);

    if (err) {
        return err;
    }
    if (!m->f) {
        return -EOPNOTSUPP;
    }
    if (!s->msize && type != TVERSION) {
        return -EPROTO;
    }
    return m->writes && s->fs->readonly ? -EROFS : m->f(s, c);
}

void p9_server_handle(P9Server *s, P9Request *r)
{
    uint8_t head[P9_MAX_HEAD];
    size_t got = p9_iov_read(r->out, r->n_out, 0, head, sizeof(head));
    uint32_t size = bytes_get_le32(head);
    uint8_t type = head[4];
    P9Call c;
    int err;

    g_assert(got >= P9_HEADER && r->in_len >= P9_MIN_ROOM);
    c.req = r;
    c.at = head + P9_HEADER;
    c.end = head + CLAMP(type == TWRITE ? P9_WRITE_HEAD : size, P9_HEADER, got);
    c.bad = false;
    c.room = (uint32_t)MIN(r->in_len, s->msize ? s->msize : P9_MIN_MSIZE);
    c.len = P9_HEADER;
    c.data_len = 0;
    err = carry_out(s, &c, type, size);
    if (!err && c.len + c.data_len > c.room) {
        err = -EMSGSIZE;
    }
    if (err) {
        c.len = P9_HEADER;
        c.data_len = 0;
        p9_put32(&c, (uint32_t)-err);
    }
    r->answered = c.len + c.data_len;
    bytes_put_le32(c.answer, r->answered);
    c.answer[4] = err ? RLERROR : type + 1;
    memcpy(c.answer + 5, head + 5, 2);
    p9_iov_write(r->in, r->n_in, 0, c.answer, c.len);
}

/* ---- The server ---- */

unsigned p9_server_count_fids(const P9Server *s)
{
    return g_hash_table_size(s->fids);
}

void p9_server_reset(P9Server *s)
{
    g_autoptr(GList) fids = g_hash_table_get_values(s->fids);

    for (GList *i = fids; i; i = i->next) {
        p9_fid_free(s, i->data);
    }
    s->msize = 0;
}

P9Server *p9_server_new(const Fsdev *fs)
{
    P9Server *s = g_new0(P9Server, 1);
    struct rlimit limit = { .rlim_cur = 1024 };

    getrlimit(RLIMIT_NOFILE, &limit);
    s->fs = fs;
    s->fids = g_hash_table_new(NULL, NULL);
    s->max_open = (unsigned)MIN(limit.rlim_cur > 2 * OTHER_FILES ? limit.rlim_cur / 2 : OTHER_FILES,
                                P9_MAX_FIDS);
    p9_tree_init(&s->tree);
    return s;
}

void p9_server_free(P9Server *s)
{
    p9_server_reset(s);
    p9_tree_clear(&s->tree);
    g_hash_table_unref(s->fids);
    g_free(s);
}
