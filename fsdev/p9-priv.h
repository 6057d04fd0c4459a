/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 9P server's own: the call that is being answered with what is read from its message and put into its answer (p9-wire.c), nodes (p9-tree.c),
 * fids (p9-fid.c), and the messages, each a function (p9-server.c, p9-name.c, p9-file.c, p9-attr.c).
 *
 * A fid is the client's handle of a node, a node a place in the folder's tree: its name and the node of its directory. Nodes are shared, so a file
 * or directory that is renamed takes along all that the client knows of and below it. One that the client has removed is `gone` and has no path
 * any more; it is reached only through a fid that has it open.
 */
#ifndef FSDEV_P9_PRIV_H
#define FSDEV_P9_PRIV_H

#include "fsdev/fsdev-priv.h"
#include "fsdev/p9.h"

enum {
    P9_MAX_FIDS = 1 << 18,
    P9_MAX_NODES = 1 << 20,
    P9_MAX_XATTRS = 16 << 20, /* bytes of all attributes that are read or written at a time */
    P9_MAX_WALK = 16,
    P9_MAX_NAME = 255,
    P9_MAX_HEAD = 16384, /* bytes of a message besides data that is written */
    P9_QID_SIZE = 13,
    P9_READ_HEAD = 11,  /* of an answer with data: header and count */
    P9_WRITE_HEAD = 23, /* of a message with data: header, fid, offset, count */
};
enum { P9_NOFID = UINT32_MAX, P9_NOBODY = 65534 };

/* ---- p9-wire.c ---- */

typedef struct P9Call {
    const P9Request *req;
    const uint8_t *at, *end;     /* the rest of the message */
    bool bad;                    /* it was too short, or a text in it was no text */
    uint32_t room;               /* bytes that an answer may have */
    uint32_t len;                /* of the answer */
    uint32_t data_len;           /* bytes behind it that are in place already */
    uint8_t answer[P9_MAX_HEAD]; /* up to len */
} P9Call;

uint8_t p9_get8(P9Call *c);
uint16_t p9_get16(P9Call *c);
uint32_t p9_get32(P9Call *c);
uint64_t p9_get64(P9Call *c);
/* A text of less than @size bytes, with a NUL then. */
void p9_get_text(P9Call *c, char *buf, size_t size);
/* A component of a path; 0, or the errno that a wrong one deserves. */
int p9_get_name(P9Call *c, char name[P9_MAX_NAME + 1]);
/* To be asked before anything is done: the message was well formed and nothing is left of it. */
bool p9_all_got(const P9Call *c);

/* What does not fit is left out: callers know the size of what they put. */
void p9_put8(P9Call *c, uint8_t v);
void p9_put16(P9Call *c, uint16_t v);
void p9_put32(P9Call *c, uint32_t v);
void p9_put64(P9Call *c, uint64_t v);
void p9_put_text(P9Call *c, const char *text);

/* Copies up to @len bytes from or to offset @at of the buffers; returns what there was. */
size_t p9_iov_read(const struct iovec *iov, int n, uint64_t at, void *buf, size_t len);
size_t p9_iov_write(const struct iovec *iov, int n, uint64_t at, const void *buf, size_t len);
/* The part of @len bytes at @at, in @part (@n entries); returns its entries. */
int p9_iov_part(const struct iovec *iov, int n, uint64_t at, uint64_t len, struct iovec *part);

/* ---- p9-tree.c ---- */

typedef struct P9Fid P9Fid;
typedef struct P9Node P9Node;
struct P9Node {
    P9Node *parent; /* a reference; NULL: the root */
    char *name;
    unsigned refs;
    bool gone;   /* removed by the client */
    P9Fid *open; /* fids that have it open */
};

typedef struct P9Tree {
    P9Node *root;
    GHashTable *nodes; /* by directory and name; without the root and what is gone */
    unsigned n_nodes;
} P9Tree;

void p9_tree_init(P9Tree *t);
void p9_tree_clear(P9Tree *t);
/* A reference for the caller; NULL: there are too many nodes. */
P9Node *p9_tree_child(P9Tree *t, P9Node *dir, const char *name);
P9Node *p9_node_ref(P9Node *node);
void p9_node_unref(P9Tree *t, P9Node *node);
/* Of a node and all directories above it. False: it is gone, or the path is longer than the host takes. */
bool p9_node_path(const P9Node *node, char *buf, size_t size);
/* @node is @above or below it. */
bool p9_node_is_below(const P9Node *node, const P9Node *above);
/* The client removed, or moved, what is there; both may be unknown. */
void p9_tree_forget(P9Tree *t, P9Node *dir, const char *name);
void p9_tree_move(P9Tree *t, P9Node *dir, const char *name, P9Node *new_dir, const char *new_name);
/* The node if there is one, borrowed. */
P9Node *p9_tree_look_up(const P9Tree *t, P9Node *dir, const char *name);

/* ---- p9-fid.c ---- */

typedef enum P9FidKind {
    P9_FID_PLAIN,
    P9_FID_OPEN,
    P9_FID_XATTR_READ,
    P9_FID_XATTR_WRITE
} P9FidKind;

struct P9Fid {
    uint32_t id;
    uint32_t uid; /* whose files the client makes by it */
    P9FidKind kind;
    P9Node *node;
    int fd;                        /* P9_FID_OPEN */
    P9Fid *next_open, **open_link; /* of the node; what points to this one */
    /* An attribute that is read or written. */
    char *name;
    uint8_t *value;
    uint64_t size, written;
    int flags;
};

enum { P9_MAX_DEVS = 255 };

struct P9Server {
    const Fsdev *fs;
    uint32_t msize; /* 0: no version was agreed on */
    GHashTable *fids;
    unsigned n_open, max_open;
    uint64_t xattr_bytes; /* of fids' values */
    P9Tree tree;
    dev_t devs[P9_MAX_DEVS]; /* that files were found on; see p9_qid_path() */
    unsigned n_devs;
    struct iovec iov[1024];
};

/* NULL: the client has none of that number. */
P9Fid *p9_fid_find(P9Server *s, uint32_t id);
/* @node becomes the fid's own reference, or is dropped on failure. 0 or -errno. */
int p9_fid_new(P9Server *s, uint32_t id, P9Node *node, uint32_t uid, P9Fid **fid);
void p9_fid_free(P9Server *s, P9Fid *fid);
/* The fid has @fd open from now on; the caller asked p9_fid_may_open() before. */
bool p9_fid_may_open(const P9Server *s);
void p9_fid_set_open(P9Server *s, P9Fid *fid, int fd);

/* The fid is of an attribute's value from now on, @value of @size bytes, its own; the caller asked p9_fid_may_keep() before. */
bool p9_fid_may_keep(const P9Server *s, uint64_t size);
void p9_fid_set_value(P9Server *s, P9Fid *fid, P9FidKind kind, uint8_t *value, uint64_t size);

/* A descriptor for what a fid is: found by its path, or one that is open anyway. -errno. */
typedef struct P9Handle {
    int fd;
    bool borrowed;
} P9Handle;

int p9_find_node(const P9Server *s, const P9Node *node);
P9Handle p9_handle_get(const P9Server *s, const P9Fid *fid);
void p9_handle_put(P9Handle h);

/* Numbers of files, without the device: that of each but the first is in the top byte. */
uint64_t p9_qid_path(P9Server *s, dev_t dev, ino_t ino);
void p9_put_qid(P9Server *s, P9Call *c, const struct stat *st);

/* ---- Messages: 0 or -errno ---- */

int p9_walk(P9Server *s, P9Call *c);
int p9_lcreate(P9Server *s, P9Call *c);
int p9_mkdir(P9Server *s, P9Call *c);
int p9_mknod(P9Server *s, P9Call *c);
int p9_symlink(P9Server *s, P9Call *c);
int p9_link(P9Server *s, P9Call *c);
int p9_rename(P9Server *s, P9Call *c);
int p9_renameat(P9Server *s, P9Call *c);
int p9_unlinkat(P9Server *s, P9Call *c);
int p9_remove(P9Server *s, P9Call *c);

int p9_lopen(P9Server *s, P9Call *c);
int p9_read(P9Server *s, P9Call *c);
int p9_write(P9Server *s, P9Call *c);
int p9_readdir(P9Server *s, P9Call *c);
int p9_fsync(P9Server *s, P9Call *c);
int p9_lock(P9Server *s, P9Call *c);
int p9_getlock(P9Server *s, P9Call *c);
/* The host's flags for open() of those in a message. */
int p9_host_flags(uint32_t flags);
uint32_t p9_io_unit(const P9Server *s);

int p9_getattr(P9Server *s, P9Call *c);
int p9_setattr(P9Server *s, P9Call *c);
int p9_statfs(P9Server *s, P9Call *c);
int p9_readlink(P9Server *s, P9Call *c);
int p9_xattrwalk(P9Server *s, P9Call *c);
int p9_xattrcreate(P9Server *s, P9Call *c);
/* The end of a P9_FID_XATTR_WRITE fid. */
int p9_store_xattr(P9Server *s, const P9Fid *fid);

#endif
