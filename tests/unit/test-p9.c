/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 9P server by messages: each of them, each security model, whether anything leads out of the shared folder, and what a client that sends
 * nonsense can do. Beside the shared folder lies a secret that must stay as it is.
 *
 * As root all is done once more as an ordinary user, in a process of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "fsdev/fsdev.h"
#include "fsdev/p9.h"
#include "util/bytes.h"

enum {
    TLERROR = 6,
    TSTATFS = 8,
    TLOPEN = 12,
    TLCREATE = 14,
    TSYMLINK = 16,
    TMKNOD = 18,
    TRENAME = 20
};
enum { TREADLINK = 22, TGETATTR = 24, TSETATTR = 26, TXATTRWALK = 30, TXATTRCREATE = 32 };
enum { TREADDIR = 40, TFSYNC = 50, TLOCK = 52, TGETLOCK = 54, TLINK = 70, TMKDIR = 72 };
enum { TRENAMEAT = 74, TUNLINKAT = 76, TVERSION = 100, TAUTH = 102, TATTACH = 104, TFLUSH = 108 };
enum { TWALK = 110, TREAD = 116, TWRITE = 118, TCLUNK = 120, TREMOVE = 122 };
enum { ROOT = 1, MSIZE = 65536, NOBODY = 65534, BUFFER = 1 << 17 };
enum { WRONLY = 1, RDWR = 2, EXCL = 0200, TRUNC = 01000, DIRECTORY = 0200000 };

static char *top, *shared; /* DIR, DIR/shared; DIR/secret is out of bounds */

/* ---- A client ---- */

typedef struct Client {
    Fsdev *fs;
    P9Server *server;
    uint8_t out[BUFFER], in[BUFFER];
    uint32_t len, at; /* of the message that is made, of the answer that is read */
    uint32_t room;
} Client;

static void put(Client *c, const void *data, size_t n)
{
    g_assert_cmpuint(c->len + n, <=, BUFFER);
    memcpy(c->out + c->len, data, n);
    c->len += (uint32_t)n;
}

static void put8(Client *c, uint8_t v)
{
    put(c, &v, 1);
}

static void put16(Client *c, uint16_t v)
{
    v = GUINT16_TO_LE(v);
    put(c, &v, 2);
}

static void put32(Client *c, uint32_t v)
{
    v = GUINT32_TO_LE(v);
    put(c, &v, 4);
}

static void put64(Client *c, uint64_t v)
{
    v = GUINT64_TO_LE(v);
    put(c, &v, 8);
}

static void put_text(Client *c, const char *text)
{
    put16(c, (uint16_t)strlen(text));
    put(c, text, strlen(text));
}

static void begin(Client *c, uint8_t type)
{
    c->len = 0;
    put32(c, 0);
    put8(c, type);
    put16(c, 77);
}

static uint64_t get(Client *c, unsigned n)
{
    uint64_t v = 0;

    g_assert_cmpuint(c->at + n, <=, bytes_get_le32(c->in));
    memcpy(&v, c->in + c->at, n);
    c->at += n;
    return GUINT64_FROM_LE(v);
}

static char *get_text(Client *c)
{
    size_t len = get(c, 2);
    char *text = g_strndup((char *)c->in + c->at, len);

    c->at += (uint32_t)len;
    return text;
}

/* @len bytes in pieces of any size. */
static int cut(uint8_t *data, uint64_t len, struct iovec *iov, int max)
{
    int n = 0;

    while (len) {
        uint64_t piece =
            n + 1 == max || g_test_rand_bit() ? len : (uint64_t)g_test_rand_int_range(1, 40);

        piece = MIN(piece, len);
        iov[n++] = (struct iovec){ data, piece };
        data += piece;
        len -= piece;
    }
    return n;
}

/* The answer's type. What the message says of its size is as it is. */
static uint8_t exchange(Client *c)
{
    struct iovec out[12], in[12];
    P9Request r = { .out = out, .in = in, .out_len = c->len, .in_len = c->room };

    memset(c->in, 0xee, sizeof(c->in));
    r.n_out = cut(c->out, c->len, out, G_N_ELEMENTS(out));
    r.n_in = cut(c->in, c->room, in, G_N_ELEMENTS(in));
    p9_server_handle(c->server, &r);
    g_assert_cmpuint(r.answered, >=, P9_HEADER);
    g_assert_cmpuint(r.answered, <=, c->room);
    g_assert_cmpuint(bytes_get_le32(c->in), ==, r.answered);
    g_assert_cmpuint(bytes_get_le16(c->in + 5), ==, bytes_get_le16(c->out + 5));
    g_assert_cmpuint(c->in[r.answered], ==, 0xee);
    c->at = P9_HEADER;
    return c->in[4];
}

/* 0 or errno. */
static int send(Client *c)
{
    uint8_t type;

    bytes_put_le32(c->out, c->len);
    type = exchange(c);
    if (type == TLERROR + 1) {
        g_assert_cmpuint(bytes_get_le32(c->in), ==, 11);
        return (int)get(c, 4);
    }
    g_assert_cmpuint(type, ==, c->out[4] + 1);
    return 0;
}

/* Everything of the answer was read. */
static void check_end(const Client *c)
{
    g_assert_cmpuint(c->at, ==, bytes_get_le32(c->in));
}

static void attach(Client *c, uint32_t uid)
{
    begin(c, TATTACH);
    put32(c, ROOT);
    put32(c, UINT32_MAX);
    put_text(c, "nobody");
    put_text(c, "");
    put32(c, uid);
    g_assert_cmpint(send(c), ==, 0);
    g_assert_cmpuint(get(c, 1), ==, 0x80);
    g_assert_cmpuint(get(c, 4), !=, 0);
    get(c, 8);
    check_end(c);
}

static Client *client_new(const char *options)
{
    Client *c = g_new0(Client, 1);
    g_autofree char *text = g_strdup_printf("local,id=t,path=%s%s", shared, options);
    g_autofree char *version = NULL;
    g_autoptr(GError) error = NULL;

    c->fs = fsdev_new(text, &error);
    g_assert_no_error(error);
    c->server = p9_server_new(c->fs);
    c->room = BUFFER - 1;
    begin(c, TVERSION);
    put32(c, MSIZE);
    put_text(c, "9P2000.L");
    g_assert_cmpint(send(c), ==, 0);
    g_assert_cmpuint(get(c, 4), ==, MSIZE);
    version = get_text(c);
    g_assert_cmpstr(version, ==, "9P2000.L");
    attach(c, 1000);
    return c;
}

static void client_free(Client *c)
{
    p9_server_free(c->server);
    fsdev_cleanup();
    g_free(c);
}

/* ---- Messages ---- */

/* @path: names with '/' between; "" clones. */
static int walk(Client *c, uint32_t fid, uint32_t new_fid, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", -1);
    unsigned n = *path ? g_strv_length(names) : 0;
    int err;

    begin(c, TWALK);
    put32(c, fid);
    put32(c, new_fid);
    put16(c, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        put_text(c, names[i]);
    }
    err = send(c);
    if (!err && get(c, 2) != n) {
        return -1; /* part of the way */
    }
    return err;
}

static int clunk(Client *c, uint32_t fid)
{
    begin(c, TCLUNK);
    put32(c, fid);
    return send(c);
}

static int lopen(Client *c, uint32_t fid, uint32_t flags)
{
    begin(c, TLOPEN);
    put32(c, fid);
    put32(c, flags);
    return send(c);
}

static int lcreate(Client *c, uint32_t fid, const char *name, uint32_t flags, uint32_t mode)
{
    begin(c, TLCREATE);
    put32(c, fid);
    put_text(c, name);
    put32(c, flags);
    put32(c, mode);
    put32(c, 100);
    return send(c);
}

static int mkdir_in(Client *c, uint32_t fid, const char *name, uint32_t mode)
{
    begin(c, TMKDIR);
    put32(c, fid);
    put_text(c, name);
    put32(c, mode);
    put32(c, 100);
    return send(c);
}

static int mknod_in(Client *c, uint32_t fid, const char *name, uint32_t mode)
{
    begin(c, TMKNOD);
    put32(c, fid);
    put_text(c, name);
    put32(c, mode);
    put32(c, 4);
    put32(c, 65);
    put32(c, 100);
    return send(c);
}

static int symlink_in(Client *c, uint32_t fid, const char *name, const char *target)
{
    begin(c, TSYMLINK);
    put32(c, fid);
    put_text(c, name);
    put_text(c, target);
    put32(c, 100);
    return send(c);
}

static int link_to(Client *c, uint32_t dir, uint32_t fid, const char *name)
{
    begin(c, TLINK);
    put32(c, dir);
    put32(c, fid);
    put_text(c, name);
    return send(c);
}

static int rename_fid(Client *c, uint32_t fid, uint32_t dir, const char *name)
{
    begin(c, TRENAME);
    put32(c, fid);
    put32(c, dir);
    put_text(c, name);
    return send(c);
}

static int renameat_in(Client *c, uint32_t from, const char *name, uint32_t to,
                       const char *new_name)
{
    begin(c, TRENAMEAT);
    put32(c, from);
    put_text(c, name);
    put32(c, to);
    put_text(c, new_name);
    return send(c);
}

static int unlink_in(Client *c, uint32_t fid, const char *name, uint32_t flags)
{
    begin(c, TUNLINKAT);
    put32(c, fid);
    put_text(c, name);
    put32(c, flags);
    return send(c);
}

static int remove_fid(Client *c, uint32_t fid)
{
    begin(c, TREMOVE);
    put32(c, fid);
    return send(c);
}

static int write_at(Client *c, uint32_t fid, uint64_t offset, const void *data, uint32_t n)
{
    int err;

    begin(c, TWRITE);
    put32(c, fid);
    put64(c, offset);
    put32(c, n);
    put(c, data, n);
    err = send(c);
    if (!err) {
        g_assert_cmpuint(get(c, 4), ==, n);
        check_end(c);
    }
    return err;
}

/* The data stay in the answer; -errno, or how much there was. */
static int read_at(Client *c, uint32_t fid, uint64_t offset, uint32_t n)
{
    int err;

    begin(c, TREAD);
    put32(c, fid);
    put64(c, offset);
    put32(c, n);
    err = send(c);
    return err ? -err : (int)get(c, 4);
}

static int readlink_of(Client *c, uint32_t fid, char **target)
{
    int err;

    begin(c, TREADLINK);
    put32(c, fid);
    err = send(c);
    if (!err) {
        *target = get_text(c);
        check_end(c);
    }
    return err;
}

static int getattr(Client *c, uint32_t fid, struct stat *st)
{
    int err;

    begin(c, TGETATTR);
    put32(c, fid);
    put64(c, 0x3fff);
    err = send(c);
    if (err) {
        return err;
    }
    g_assert_cmphex(get(c, 8) & 0x7ff, ==, 0x7ff);
    get(c, 5);
    st->st_ino = get(c, 8);
    st->st_mode = (mode_t)get(c, 4);
    st->st_uid = (uid_t)get(c, 4);
    st->st_gid = (gid_t)get(c, 4);
    st->st_nlink = get(c, 8);
    st->st_rdev = get(c, 8);
    st->st_size = (off_t)get(c, 8);
    get(c, 8);
    get(c, 8);
    st->st_atim.tv_sec = (time_t)get(c, 8);
    st->st_atim.tv_nsec = (long)get(c, 8);
    st->st_mtim.tv_sec = (time_t)get(c, 8);
    st->st_mtim.tv_nsec = (long)get(c, 8);
    c->at += 6 * 8;
    check_end(c);
    return 0;
}

typedef struct Changes {
    uint32_t valid, mode, uid, gid;
    uint64_t size, atime, mtime;
} Changes;

static int setattr(Client *c, uint32_t fid, const Changes *set)
{
    begin(c, TSETATTR);
    put32(c, fid);
    put32(c, set->valid);
    put32(c, set->mode);
    put32(c, set->uid);
    put32(c, set->gid);
    put64(c, set->size);
    put64(c, set->atime);
    put64(c, 1);
    put64(c, set->mtime);
    put64(c, 2);
    return send(c);
}

/* A new file with @text in it; @fid is it, open. */
static void make_file(Client *c, uint32_t fid, const char *name, const char *text)
{
    g_assert_cmpint(walk(c, ROOT, fid, ""), ==, 0);
    g_assert_cmpint(lcreate(c, fid, name, RDWR | EXCL, 0640), ==, 0);
    g_assert_cmpint(write_at(c, fid, 0, text, (uint32_t)strlen(text)), ==, 0);
}

static char *in_shared(const char *name)
{
    return g_build_filename(shared, name, NULL);
}

static char *host_contents(const char *name)
{
    g_autofree char *path = in_shared(name);
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static struct stat host_stat(const char *name)
{
    g_autofree char *path = in_shared(name);
    struct stat st;

    g_assert_cmpint(lstat(path, &st), ==, 0);
    return st;
}

static uint32_t host_attribute(const char *name, const char *attribute)
{
    g_autofree char *path = in_shared(name);
    uint8_t raw[8] = { 0 };

    g_assert_cmpint(getxattr(path, attribute, raw, sizeof(raw)), >=, 4);
    return bytes_get_le32(raw);
}

/* ---- The folder ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void empty_shared(void)
{
    nftw(shared, remove_one, 20, FTW_DEPTH | FTW_PHYS);
    g_assert_cmpint(g_mkdir(shared, 0755), ==, 0);
}

static void make_top(void)
{
    g_autofree char *secret = NULL;

    top = g_dir_make_tmp("test-p9-XXXXXX", NULL);
    shared = g_build_filename(top, "shared", NULL);
    secret = g_build_filename(top, "secret", NULL);
    g_assert_true(g_file_set_contents(secret, "secret", -1, NULL));
    g_assert_cmpint(g_mkdir(shared, 0755), ==, 0);
}

static void check_secret(void)
{
    g_autofree char *secret = g_build_filename(top, "secret", NULL), *text = NULL;
    g_autoptr(GDir) dir = g_dir_open(top, 0, NULL);
    unsigned n = 0;

    g_assert_true(g_file_get_contents(secret, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "secret");
    while (g_dir_read_name(dir)) {
        n++;
    }
    g_assert_cmpuint(n, ==, 2);
}

/* ---- Tests ---- */

static void expect_option_error(const char *options, const char *message)
{
    g_autofree char *text = g_strdup_printf(options, shared);
    g_autoptr(GError) error = NULL;

    g_assert_null(fsdev_new(text, &error));
    g_assert_nonnull(strstr(error->message, message));
}

static void test_options(void)
{
    Client *c =
        client_new(",security_model=mapped,readonly=on,fmode=644,dmode=755,multidevs=remap");

    g_assert_true(fsdev_exists());
    g_assert_true(fsdev_find("t") == c->fs);
    g_assert_null(fsdev_find("u"));
    expect_option_error("local,id=t,path=%s", "there is one");
    client_free(c);
    g_assert_false(fsdev_exists());
    expect_option_error("local,path=%s", "id= is missing");
    expect_option_error("proxy,id=p,path=%s", "only local is");
    expect_option_error("local,id=p", "path= is missing");
    expect_option_error("local,id=p,path=%s/none", "No such file");
    expect_option_error("local,id=p,path=%s/../secret", "Not a directory");
    expect_option_error("local,id=p,path=%s,security_model=maped-xattr",
                        "did you mean 'mapped-xattr'");
    expect_option_error("local,id=p,path=%s,security_model=mapped-file", "not supported");
    expect_option_error("local,id=p,path=%s,security_model=none,fmode=600", "only security_model");
    expect_option_error("local,id=p,path=%s,fmode=888", "not an octal");
    expect_option_error("local,id=p,path=%s,fmod=600", "did you mean 'fmode'");
    expect_option_error("local,id=p,path=%s,multidevs=forbid", "only remap");
}

static void test_version(void)
{
    Client *c = client_new("");
    g_autofree char *version = NULL;

    g_assert_cmpuint(p9_server_count_fids(c->server), ==, 1);
    begin(c, TVERSION);
    put32(c, 1 << 30);
    put_text(c, "9P2000.u");
    g_assert_cmpint(send(c), ==, 0);
    get(c, 4);
    version = get_text(c);
    g_assert_cmpstr(version, ==, "unknown");
    g_assert_cmpuint(p9_server_count_fids(c->server), ==, 0);
    g_assert_cmpint(clunk(c, ROOT), ==, EPROTO);
    begin(c, TVERSION);
    put32(c, 100);
    put_text(c, "9P2000.L");
    g_assert_cmpint(send(c), ==, EMSGSIZE);
    begin(c, TVERSION);
    put32(c, 1 << 30);
    put_text(c, "9P2000.L");
    g_assert_cmpint(send(c), ==, 0);
    g_assert_cmpuint(get(c, 4), ==, P9_MAX_MSIZE);
    begin(c, TAUTH);
    g_assert_cmpint(send(c), ==, EOPNOTSUPP);
    begin(c, 126);
    g_assert_cmpint(send(c), ==, EOPNOTSUPP);
    attach(c, UINT32_MAX);
    begin(c, TFLUSH);
    put16(c, 1);
    g_assert_cmpint(send(c), ==, 0);
    client_free(c);
}

static void test_files(void)
{
    Client *c = client_new("");
    g_autofree char *text = NULL;
    char big[4000];
    struct stat st;

    make_file(c, 2, "f", "hello");
    g_assert_cmpint(getattr(c, 2, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0640);
    g_assert_cmpuint(st.st_uid, ==, 1000);
    g_assert_cmpuint(st.st_gid, ==, 100);
    g_assert_cmpuint(st.st_size, ==, 5);
    g_assert_cmpuint(st.st_ino, ==, host_stat("f").st_ino);
    g_assert_cmpint(read_at(c, 2, 1, 100), ==, 4);
    g_assert_cmpmem(c->in + 11, 4, "ello", 4);
    g_assert_cmpint(read_at(c, 2, 5, 100), ==, 0);
    memset(big, 'x', sizeof(big));
    g_assert_cmpint(write_at(c, 2, 100000, big, sizeof(big)), ==, 0);
    g_assert_cmpint(read_at(c, 2, 0, UINT32_MAX), ==, MSIZE - 11);
    g_assert_cmpint(read_at(c, 2, 99998, 4000), ==, 4000);
    g_assert_true(c->in[11] == 0 && c->in[12] == 0 && !memcmp(c->in + 13, big, 3998));
    g_assert_cmpint(read_at(c, 2, UINT64_MAX, 10), ==, -EINVAL);
    begin(c, TFSYNC);
    put32(c, 2);
    put32(c, 1);
    g_assert_cmpint(send(c), ==, 0);
    g_assert_cmpint(lopen(c, 2, 0), ==, EINVAL); /* it is open */
    g_assert_cmpint(clunk(c, 2), ==, 0);
    g_assert_cmpint(clunk(c, 2), ==, EBADF);
    g_assert_cmpint(walk(c, ROOT, 2, "f"), ==, 0);
    g_assert_cmpint(read_at(c, 2, 0, 10), ==, -EBADF); /* not open */
    g_assert_cmpint(lopen(c, 2, 0), ==, 0);
    g_assert_cmpint(write_at(c, 2, 0, "x", 1), ==, EBADF);
    g_assert_cmpint(walk(c, ROOT, 3, "f"), ==, 0);
    g_assert_cmpint(lopen(c, 3, WRONLY | TRUNC), ==, 0);
    text = host_contents("f");
    g_assert_cmpstr(text, ==, "");
    g_assert_cmpint(walk(c, ROOT, 4, "f"), ==, 0);
    g_assert_cmpint(lopen(c, 4, DIRECTORY), ==, ENOTDIR);
    g_assert_cmpint(lcreate(c, 4, "g", 0, 0600), ==, ENOTDIR);
    g_assert_cmpint(walk(c, ROOT, 5, ""), ==, 0);
    g_assert_cmpint(lcreate(c, 5, "f", RDWR | EXCL, 0600), ==, EEXIST);
    g_assert_cmpint(lcreate(c, 5, "f", RDWR, 0600), ==, 0);
    g_assert_cmpint(lcreate(c, 5, "g", RDWR, 0600), ==, EINVAL);
    client_free(c);
    empty_shared();
}

static void test_walk(void)
{
    Client *c = client_new("");
    char long_name[300];

    g_assert_cmpint(mkdir_in(c, ROOT, "a", 0755), ==, 0);
    g_assert_cmpuint(get(c, 1), ==, 0x80);
    g_assert_cmpint(walk(c, ROOT, 2, "a"), ==, 0);
    g_assert_cmpint(mkdir_in(c, 2, "b", 0755), ==, 0);
    g_assert_cmpint(mkdir_in(c, 2, "b", 0755), ==, EEXIST);
    g_assert_cmpint(walk(c, ROOT, 3, "a/b"), ==, 0);
    g_assert_cmpint(walk(c, 3, 3, ".."), ==, 0); /* a fid may be moved on */
    g_assert_cmpint(walk(c, 3, 4, "b/../b"), ==, 0);
    g_assert_cmpint(walk(c, 3, 4, "b"), ==, EBADF); /* taken */
    g_assert_cmpint(walk(c, 99, 5, "b"), ==, EBADF);
    g_assert_cmpint(walk(c, ROOT, 5, "x/y"), ==, ENOENT);
    g_assert_cmpint(walk(c, ROOT, 5, "a/y"), ==, -1); /* no fid of that */
    g_assert_cmpint(clunk(c, 5), ==, EBADF);
    g_assert_cmpint(walk(c, ROOT, 5, "../../.."), ==, 0);
    g_assert_cmpint(walk(c, 5, 6, "a"), ==, 0);
    g_assert_cmpint(walk(c, ROOT, 7, "a/."), ==, -1);
    g_assert_cmpint(walk(c, ROOT, 7, "."), ==, ENOENT);
    g_assert_cmpint(walk(c, ROOT, 7, "a//b"), ==, -1);
    g_assert_cmpint(walk(c, ROOT, 7, "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"), ==, EINVAL);
    memset(long_name, 'n', sizeof(long_name));
    long_name[256] = 0;
    g_assert_cmpint(walk(c, ROOT, 7, long_name), ==, ENAMETOOLONG);
    g_assert_cmpint(mkdir_in(c, ROOT, long_name, 0755), ==, ENAMETOOLONG);
    client_free(c);
    empty_shared();
}

static void test_names(void)
{
    Client *c = client_new("");
    g_autofree char *text = NULL, *gone = NULL;
    struct stat st;

    make_file(c, 2, "f", "1");
    g_assert_cmpint(mkdir_in(c, ROOT, "d", 0700), ==, 0);
    g_assert_cmpint(walk(c, ROOT, 3, "d"), ==, 0);
    g_assert_cmpint(walk(c, ROOT, 4, "f"), ==, 0);
    g_assert_cmpint(link_to(c, 3, 4, "hard"), ==, 0);
    g_assert_cmpint(link_to(c, 3, 4, "hard"), ==, EEXIST);
    g_assert_cmpint(link_to(c, 3, 3, "dir"), ==, EPERM);
    g_assert_cmpint(link_to(c, 3, ROOT, "root"), ==, ENOENT);
    g_assert_cmpint(link_to(c, 3, 99, "x"), ==, EBADF);
    g_assert_cmpuint(host_stat("d/hard").st_nlink, ==, 2);
    g_assert_cmpint(getattr(c, 4, &st), ==, 0);
    g_assert_cmpuint(st.st_nlink, ==, 2);
    g_assert_cmpint(rename_fid(c, 4, 3, "moved"), ==, 0);
    text = host_contents("d/moved");
    g_assert_cmpstr(text, ==, "1");
    g_assert_cmpint(getattr(c, 4, &st), ==, 0); /* it went along */
    g_assert_cmpint(rename_fid(c, ROOT, 3, "x"), ==, EBUSY);
    g_assert_cmpint(renameat_in(c, ROOT, "d", 3, "x"), ==, EINVAL); /* below itself */
    g_assert_cmpint(renameat_in(c, ROOT, "d", ROOT, "e"), ==, 0);
    g_assert_cmpint(getattr(c, 4, &st), ==, 0);
    g_assert_cmpint(mkdir_in(c, 3, "sub", 0700), ==, 0);
    g_assert_cmpuint(host_stat("e/sub").st_nlink, ==, 2);
    g_assert_cmpint(unlink_in(c, ROOT, "e", 0x200), ==, ENOTEMPTY);
    g_assert_cmpint(unlink_in(c, ROOT, "e", 0), ==, EISDIR);
    g_assert_cmpint(unlink_in(c, ROOT, "e", 4), ==, EINVAL);
    g_assert_cmpint(unlink_in(c, 3, "sub", 0x200), ==, 0);
    g_assert_cmpint(unlink_in(c, 3, "hard", 0), ==, 0);
    g_assert_cmpint(unlink_in(c, 3, "moved", 0), ==, 0);
    g_assert_cmpint(walk(c, 4, 5, ""), ==, 0);
    g_assert_cmpint(getattr(c, 5, &st), ==, 0); /* by fid 2, which has it open */
    g_assert_cmpuint(st.st_nlink, ==, 0);
    g_assert_cmpint(rename_fid(c, 5, ROOT, "back"), ==, ENOENT);
    g_assert_cmpint(read_at(c, 2, 0, 10), ==, 1);
    g_assert_cmpint(clunk(c, 2), ==, 0);
    g_assert_cmpint(getattr(c, 5, &st), ==, ENOENT);
    make_file(c, 6, "moved", "a new one");
    g_assert_cmpint(rename_fid(c, 6, 3, "moved"), ==, 0);
    g_assert_cmpint(getattr(c, 5, &st), ==, ENOENT); /* not the new one */
    g_assert_cmpint(renameat_in(c, 3, "moved", 3, "moved"), ==, 0);
    g_assert_cmpint(remove_fid(c, 3), ==, ENOTEMPTY);
    g_assert_cmpint(clunk(c, 3), ==, EBADF);
    g_assert_cmpint(remove_fid(c, 6), ==, 0);
    g_assert_cmpint(walk(c, ROOT, 3, "e"), ==, 0);
    g_assert_cmpint(remove_fid(c, 3), ==, 0);
    gone = host_contents("e");
    g_assert_null(gone);
    g_assert_cmpint(remove_fid(c, ROOT), ==, EBUSY);
    client_free(c);
    empty_shared();
}

static int compare(const void *a, const void *b, void *opaque)
{
    return strcmp(a, b);
}

/* Names of all entries, sorted, with commas. */
static char *list(Client *c, uint32_t fid, uint32_t count)
{
    g_autoptr(GSequence) names = g_sequence_new(g_free);
    GString *text = g_string_new(NULL);
    uint64_t offset = 0, end = 1;

    while (end) {
        begin(c, TREADDIR);
        put32(c, fid);
        put64(c, offset);
        put32(c, count);
        g_assert_cmpint(send(c), ==, 0);
        end = get(c, 4);
        g_assert_cmpuint(end, <=, count);
        for (end = end ? end + c->at : 0; c->at < end;) {
            c->at += 13;
            offset = get(c, 8);
            get(c, 1);
            g_sequence_insert_sorted(names, get_text(c), compare, NULL);
        }
        check_end(c);
    }
    for (GSequenceIter *i = g_sequence_get_begin_iter(names); !g_sequence_iter_is_end(i);
         i = g_sequence_iter_next(i)) {
        g_string_append_printf(text, "%s%s", text->len ? "," : "", (char *)g_sequence_get(i));
    }
    return g_string_free(text, FALSE);
}

static void test_readdir(void)
{
    Client *c = client_new("");
    g_autofree char *few = NULL, *many = NULL, *again = NULL;
    g_autoptr(GString) expected = g_string_new(".,..");

    g_assert_cmpint(walk(c, ROOT, 2, ""), ==, 0);
    g_assert_cmpint(lopen(c, 2, 0), ==, 0);
    few = list(c, 2, 1000);
    g_assert_cmpstr(few, ==, ".,..");
    for (unsigned i = 1000; i < 1800; i++) {
        g_autofree char *name = g_strdup_printf("a-file-with-number-%u", i),
                        *path = in_shared(name);

        g_assert_true(g_file_set_contents(path, "", 0, NULL));
        g_string_append_printf(expected, ",%s", name);
    }
    many = list(c, 2, 500);
    g_assert_cmpstr(many, ==, expected->str);
    again = list(c, 2, MSIZE);
    g_assert_cmpstr(again, ==, expected->str);
    begin(c, TREADDIR); /* no room for one */
    put32(c, 2);
    put64(c, 0);
    put32(c, 20);
    g_assert_cmpint(send(c), ==, EINVAL);
    g_assert_cmpint(read_at(c, 2, 0, 10), ==, -EISDIR);
    make_file(c, 3, "f", "x");
    begin(c, TREADDIR);
    put32(c, 3);
    put64(c, 0);
    put32(c, 1000);
    g_assert_cmpint(send(c), ==, ENOTDIR);
    client_free(c);
    empty_shared();
}

static void test_attributes(void)
{
    Client *c = client_new("");
    struct stat st;

    make_file(c, 2, "f", "12345");
    g_assert_cmpint(walk(c, ROOT, 3, "f"), ==, 0);
    g_assert_cmpint(setattr(c, 3, &(Changes){ .valid = 0x1b0, .atime = 1000, .mtime = 2000 }), ==,
                    0);
    g_assert_cmpint(getattr(c, 3, &st), ==, 0);
    g_assert_cmpint(st.st_atim.tv_sec, ==, 1000);
    g_assert_cmpint(st.st_atim.tv_nsec, ==, 1);
    g_assert_cmpint(st.st_mtim.tv_sec, ==, 2000);
    g_assert_cmpint(setattr(c, 3, &(Changes){ .valid = 0x20 }), ==, 0); /* now */
    g_assert_cmpint(getattr(c, 3, &st), ==, 0);
    g_assert_cmpint(st.st_mtim.tv_sec, >, 1000000);
    g_assert_cmpint(st.st_atim.tv_sec, ==, 1000);
    g_assert_cmpint(setattr(c, 3, &(Changes){ .valid = 8, .size = 2 }), ==, 0);
    g_assert_cmpint(setattr(c, 2, &(Changes){ .valid = 8, .size = 3 }), ==, 0); /* open */
    g_assert_cmpint(host_stat("f").st_size, ==, 3);
    g_assert_cmpint(setattr(c, 3, &(Changes){ .valid = 8, .size = UINT64_MAX }), ==, EINVAL);
    g_assert_cmpint(setattr(c, ROOT, &(Changes){ .valid = 8, .size = 0 }), ==, EISDIR);
    g_assert_cmpint(setattr(c, 99, &(Changes){ 0 }), ==, EBADF);
    g_assert_cmpint(getattr(c, 99, &st), ==, EBADF);
    begin(c, TSTATFS);
    put32(c, ROOT);
    g_assert_cmpint(send(c), ==, 0);
    get(c, 4);
    g_assert_cmpuint(get(c, 4), >=, 512);
    g_assert_cmpuint(get(c, 8), >, 0);
    c->at += 8 * 5;
    g_assert_cmpuint(get(c, 4), ==, 255);
    check_end(c);
    client_free(c);
    empty_shared();
}

/* What the guest sees, and what the host's user can look up. */
static void test_mapped(void)
{
    Client *c = client_new(",security_model=mapped-xattr,fmode=0644");
    g_autofree char *target = NULL, *text = NULL;
    struct stat st;

    make_file(c, 2, "f", "x");
    g_assert_cmpint(setattr(c, 2, &(Changes){ .valid = 7, .mode = 04751, .uid = 0, .gid = 7 }), ==,
                    0);
    g_assert_cmpint(getattr(c, 2, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 04751);
    g_assert_cmpuint(st.st_uid, ==, 0);
    g_assert_cmpuint(st.st_gid, ==, 7);
    g_assert_cmpuint(host_stat("f").st_mode, ==, S_IFREG | 0644);
    g_assert_cmpuint(host_stat("f").st_uid, ==, geteuid());
    g_assert_cmpuint(host_attribute("f", "user.virtfs.uid"), ==, 0);
    g_assert_cmpuint(host_attribute("f", "user.virtfs.gid"), ==, 7);
    g_assert_cmpuint(host_attribute("f", "user.virtfs.mode"), ==, S_IFREG | 04751);
    g_assert_cmpint(mkdir_in(c, ROOT, "d", 01777), ==, 0);
    g_assert_cmpuint(host_stat("d").st_mode, ==, S_IFDIR | 0700);
    g_assert_cmpuint(host_attribute("d", "user.virtfs.mode"), ==, S_IFDIR | 01777);
    g_assert_cmpint(symlink_in(c, ROOT, "l", "/etc/passwd"), ==, 0);
    g_assert_cmpuint(get(c, 1), ==, 2);
    g_assert_cmpuint(host_stat("l").st_mode, ==, S_IFREG | 0644);
    g_assert_cmpuint(host_attribute("l", "user.virtfs.mode"), ==, S_IFLNK | 0777);
    text = host_contents("l");
    g_assert_cmpstr(text, ==, "/etc/passwd");
    g_assert_cmpint(walk(c, ROOT, 3, "l"), ==, 0);
    g_assert_cmpint(readlink_of(c, 3, &target), ==, 0);
    g_assert_cmpstr(target, ==, "/etc/passwd");
    g_assert_cmpint(readlink_of(c, 2, &target), ==, EINVAL);
    g_assert_cmpint(walk(c, ROOT, 4, "l/x"), ==, -1);
    g_assert_cmpint(mknod_in(c, ROOT, "c", S_IFCHR | 0600), ==, 0);
    g_assert_cmpuint(host_stat("c").st_mode, ==, S_IFREG | 0644);
    g_assert_cmpuint(host_attribute("c", "user.virtfs.rdev"), ==, makedev(4, 65));
    g_assert_cmpint(walk(c, ROOT, 5, "c"), ==, 0);
    g_assert_cmpint(getattr(c, 5, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFCHR | 0600);
    g_assert_cmpuint(st.st_rdev, ==, makedev(4, 65));
    g_assert_cmpint(setattr(c, 5, &(Changes){ .valid = 1, .mode = S_IFDIR | 0666 }), ==, 0);
    g_assert_cmpint(getattr(c, 5, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFCHR | 0666); /* a mode is no type */
    g_assert_cmpint(mknod_in(c, ROOT, "p", S_IFIFO | 0600), ==, 0);
    g_assert_cmpint(mknod_in(c, ROOT, "s", S_IFSOCK | 0600), ==, 0);
    g_assert_cmpint(mknod_in(c, ROOT, "r", S_IFREG | 0600), ==, 0);
    g_assert_cmpint(mknod_in(c, ROOT, "w", S_IFDIR | 0600), ==, EINVAL);
    g_assert_cmpint(mknod_in(c, ROOT, "w", 0600), ==, EINVAL);
    g_assert_cmpuint(host_stat("p").st_mode, ==, S_IFREG | 0644);
    client_free(c);
    empty_shared();
}

static void test_none(void)
{
    Client *c = client_new(",security_model=none");
    g_autofree char *target = NULL;
    struct stat st;

    make_file(c, 2, "f", "x");
    g_assert_cmpuint(host_stat("f").st_mode, ==, S_IFREG | 0640);
    g_assert_cmpint(setattr(c, 2, &(Changes){ .valid = 3, .mode = 0600, .uid = 0 }), ==, 0);
    g_assert_cmpuint(host_stat("f").st_mode, ==, S_IFREG | 0600);
    g_assert_cmpint(symlink_in(c, ROOT, "l", "f"), ==, 0);
    g_assert_true(S_ISLNK(host_stat("l").st_mode));
    g_assert_cmpint(walk(c, ROOT, 3, "l"), ==, 0);
    g_assert_cmpint(readlink_of(c, 3, &target), ==, 0);
    g_assert_cmpstr(target, ==, "f");
    g_assert_cmpint(lopen(c, 3, 0), ==, ELOOP);
    g_assert_cmpint(setattr(c, 3, &(Changes){ .valid = 0x30 }), ==, 0);
    g_assert_cmpint(link_to(c, ROOT, 3, "l2"), ==, 0);
    g_assert_true(S_ISLNK(host_stat("l2").st_mode));
    g_assert_cmpint(mknod_in(c, ROOT, "p", S_IFIFO | 0620), ==, 0);
    g_assert_cmpuint(host_stat("p").st_mode, ==, S_IFIFO | 0620);
    g_assert_cmpint(walk(c, ROOT, 4, "p"), ==, 0);
    g_assert_cmpint(lopen(c, 4, 0), ==, ENXIO); /* and does not wait */
    g_assert_cmpint(walk(c, ROOT, 5, ""), ==, 0);
    g_assert_cmpint(lcreate(c, 5, "p", WRONLY | TRUNC, 0600), ==, ENXIO);
    g_assert_cmpint(getattr(c, 4, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFIFO | 0620);
    client_free(c);
    empty_shared();
}

static void test_passthrough(void)
{
    Client *c = client_new(",security_model=passthrough");
    struct stat st;

    if (geteuid()) {
        g_assert_cmpint(walk(c, ROOT, 2, ""), ==, 0);
        g_assert_cmpint(lcreate(c, 2, "f", RDWR, 0600), ==, EPERM);
        g_assert_cmpint(mkdir_in(c, ROOT, "d", 0700), ==, EPERM);
        g_assert_cmpint(symlink_in(c, ROOT, "l", "x"), ==, EPERM);
        g_assert_cmpint(walk(c, ROOT, 3, "f"), ==, ENOENT); /* nothing is left of them */
        g_assert_cmpint(walk(c, ROOT, 3, "d"), ==, ENOENT);
        g_assert_cmpint(walk(c, ROOT, 3, "l"), ==, ENOENT);
    } else {
        make_file(c, 2, "f", "x");
        st = host_stat("f");
        g_assert_cmpuint(st.st_uid, ==, 1000);
        g_assert_cmpuint(st.st_gid, ==, 100);
        g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0640);
        g_assert_cmpint(symlink_in(c, ROOT, "l", "/nowhere"), ==, 0);
        g_assert_cmpuint(host_stat("l").st_uid, ==, 1000);
        g_assert_cmpint(walk(c, ROOT, 3, "l"), ==, 0);
        g_assert_cmpint(setattr(c, 3, &(Changes){ .valid = 2, .uid = 5 }), ==, 0);
        g_assert_cmpuint(host_stat("l").st_uid, ==, 5);
        g_assert_cmpint(setattr(c, 2, &(Changes){ .valid = 3, .mode = 04755, .uid = 6 }), ==, 0);
        g_assert_cmpuint(host_stat("f").st_mode, ==, S_IFREG | 04755);
    }
    client_free(c);
    empty_shared();
}

static void test_readonly(void)
{
    Client *c = client_new("");
    struct stat st;

    make_file(c, 2, "f", "x");
    client_free(c);
    c = client_new(",readonly=on");
    g_assert_cmpint(walk(c, ROOT, 2, "f"), ==, 0);
    g_assert_cmpint(lopen(c, 2, WRONLY), ==, EROFS);
    g_assert_cmpint(lopen(c, 2, TRUNC), ==, EROFS);
    g_assert_cmpint(lcreate(c, ROOT, "g", RDWR, 0600), ==, EROFS);
    g_assert_cmpint(mkdir_in(c, ROOT, "g", 0600), ==, EROFS);
    g_assert_cmpint(mknod_in(c, ROOT, "g", S_IFIFO), ==, EROFS);
    g_assert_cmpint(symlink_in(c, ROOT, "g", "x"), ==, EROFS);
    g_assert_cmpint(link_to(c, ROOT, 2, "g"), ==, EROFS);
    g_assert_cmpint(rename_fid(c, 2, ROOT, "g"), ==, EROFS);
    g_assert_cmpint(renameat_in(c, ROOT, "f", ROOT, "g"), ==, EROFS);
    g_assert_cmpint(unlink_in(c, ROOT, "f", 0), ==, EROFS);
    g_assert_cmpint(setattr(c, 2, &(Changes){ .valid = 1 }), ==, EROFS);
    g_assert_cmpint(lopen(c, 2, 0), ==, 0);
    g_assert_cmpint(read_at(c, 2, 0, 10), ==, 1);
    g_assert_cmpint(getattr(c, 2, &st), ==, 0);
    g_assert_cmpint(remove_fid(c, 2), ==, EROFS);
    g_assert_cmpint(clunk(c, 2), ==, EBADF);
    g_assert_cmpint(host_stat("f").st_size, ==, 1);
    client_free(c);
    empty_shared();
}

/* ---- Extended attributes ---- */

static int set_xattr(Client *c, const char *name, const char *value, uint32_t flags)
{
    int err = walk(c, 2, 20, "");

    g_assert_cmpint(err, ==, 0);
    begin(c, TXATTRCREATE);
    put32(c, 20);
    put_text(c, name);
    put64(c, strlen(value));
    put32(c, flags);
    err = send(c);
    if (!err && *value) {
        g_assert_cmpint(write_at(c, 20, 0, value, (uint32_t)strlen(value)), ==, 0);
        g_assert_cmpint(write_at(c, 20, strlen(value), "x", 1), ==, ENOSPC);
    }
    return err ? clunk(c, 20), err : clunk(c, 20);
}

/* The value in the answer; -errno, or how long it is. */
static int get_xattr(Client *c, const char *name)
{
    int err, n;

    begin(c, TXATTRWALK);
    put32(c, 2);
    put32(c, 21);
    put_text(c, name);
    err = send(c);
    if (err) {
        return -err;
    }
    n = (int)get(c, 8);
    g_assert_cmpint(clunk(c, 21), ==, 0);
    begin(c, TXATTRWALK);
    put32(c, 2);
    put32(c, 21);
    put_text(c, name);
    g_assert_cmpint(send(c), ==, 0);
    g_assert_cmpint(read_at(c, 21, 1 << 20, 10), ==, 0);
    g_assert_cmpint(read_at(c, 21, 0, 1000), ==, n);
    return n;
}

static void test_xattr(void)
{
    Client *c = client_new("");
    struct stat st;

    make_file(c, 2, "f", "x");
    g_assert_cmpint(get_xattr(c, "user.a"), ==, -ENODATA);
    g_assert_cmpint(set_xattr(c, "user.a", "value", 0), ==, 0);
    g_assert_cmpint(set_xattr(c, "user.a", "value", 1), ==, EEXIST);
    g_assert_cmpint(set_xattr(c, "user.b", "value", 2), ==, ENODATA);
    g_assert_cmpint(set_xattr(c, "user.a", "value", 4), ==, EINVAL);
    g_assert_cmpint(get_xattr(c, "user.a"), ==, 5);
    g_assert_cmpmem(c->in + 11, 5, "value", 5);
    g_assert_cmpint(getattr(c, 21, &st), ==, 0);
    g_assert_cmpint(walk(c, 21, 22, ""), ==, EINVAL);
    g_assert_cmpint(write_at(c, 21, 0, "x", 1), ==, EBADF);
    g_assert_cmpint(clunk(c, 21), ==, 0);
    g_assert_cmpint(set_xattr(c, "system.posix_acl_access", "acl", 0), ==, 0);
    g_assert_cmpint(get_xattr(c, ""), ==, 31);
    g_assert_true(!memcmp(c->in + 11, "user.a", 7) || !memcmp(c->in + 11 + 24, "user.a", 7));
    g_assert_cmpint(clunk(c, 21), ==, 0);
    g_assert_cmpint(get_xattr(c, "user.virtfs.uid"), ==, -ENODATA);
    g_assert_cmpint(set_xattr(c, "user.virtfs.uid", "root", 0), ==, EOPNOTSUPP);
    g_assert_cmpint(set_xattr(c, "security.capability", "all", 0), ==, EOPNOTSUPP);
    g_assert_cmpint(set_xattr(c, "user.a", "", 2), ==, 0); /* goes */
    g_assert_cmpint(get_xattr(c, "user.a"), ==, -ENODATA);
    g_assert_cmpint(walk(c, 2, 20, ""), ==, 0);
    begin(c, TXATTRCREATE);
    put32(c, 20);
    put_text(c, "user.c");
    put64(c, 65537);
    put32(c, 0);
    g_assert_cmpint(send(c), ==, E2BIG);
    bytes_put_le64(c->out + c->len - 12, 100);
    g_assert_cmpint(send(c), ==, 0);
    g_assert_cmpint(write_at(c, 20, 0, "short", 5), ==, 0);
    g_assert_cmpint(clunk(c, 20), ==, EINVAL); /* less than was announced */
    client_free(c);
    empty_shared();
}

/* A client cannot have any number of anything. */
static void test_limits(void)
{
    enum { FIRST = 100 };
    Client *c = client_new("");
    uint32_t n = 0, err = 0;

    while (!err && n < 1000) {
        g_assert_cmpint(walk(c, ROOT, FIRST + n, ""), ==, 0);
        begin(c, TXATTRCREATE);
        put32(c, FIRST + n++);
        put_text(c, "user.a");
        put64(c, 65536);
        put32(c, 0);
        err = (uint32_t)send(c);
    }
    g_assert_cmpuint(err, ==, ENFILE);
    g_assert_cmpint(clunk(c, FIRST), ==, EINVAL);
    for (err = 0; !err && n < 1000000; n += !err) {
        err = (uint32_t)walk(c, ROOT, FIRST + n, "");
    }
    g_assert_cmpuint(err, ==, ENFILE);
    g_assert_cmpuint(n, >, 100000);
    g_assert_cmpint(clunk(c, FIRST + n - 1), ==, 0);
    g_assert_cmpint(walk(c, ROOT, FIRST + n, ""), ==, 0);
    client_free(c);
}

static void test_locks(void)
{
    Client *c = client_new("");

    make_file(c, 2, "f", "x");
    for (unsigned type = 0; type < 4; type++) {
        begin(c, TLOCK);
        put32(c, 2);
        put8(c, (uint8_t)type);
        put32(c, 1);
        put64(c, 0);
        put64(c, 0);
        put32(c, 1234);
        put_text(c, "guest");
        g_assert_cmpint(send(c), ==, type < 3 ? 0 : EINVAL);
    }
    begin(c, TGETLOCK);
    put32(c, 2);
    put8(c, 1);
    put64(c, 10);
    put64(c, 20);
    put32(c, 1234);
    put_text(c, "guest");
    g_assert_cmpint(send(c), ==, 0);
    g_assert_cmpuint(get(c, 1), ==, 2);
    g_assert_cmpuint(get(c, 8), ==, 10);
    client_free(c);
    empty_shared();
}

/* ---- Confinement ---- */

/* Whatever can be tried with a name that leads out. */
static void try_name(Client *c, const char *name)
{
    struct stat st;

    g_assert_cmpint(lcreate(c, ROOT, name, RDWR, 0666), !=, 0);
    g_assert_cmpint(mkdir_in(c, ROOT, name, 0777), !=, 0);
    g_assert_cmpint(mknod_in(c, ROOT, name, S_IFREG | 0666), !=, 0);
    g_assert_cmpint(symlink_in(c, ROOT, name, "x"), !=, 0);
    g_assert_cmpint(link_to(c, ROOT, 2, name), !=, 0);
    g_assert_cmpint(rename_fid(c, 2, ROOT, name), !=, 0);
    g_assert_cmpint(renameat_in(c, ROOT, "f", ROOT, name), !=, 0);
    g_assert_cmpint(renameat_in(c, ROOT, name, ROOT, "new"), !=, 0);
    g_assert_cmpint(unlink_in(c, ROOT, name, 0), !=, 0);
    g_assert_cmpint(unlink_in(c, ROOT, name, 0x200), !=, 0);
    g_assert_cmpint(getattr(c, 2, &st), ==, 0);
    check_secret();
}

static void test_names_out(void)
{
    static const char *const names[] = {
        "..", ".", "", "../secret", "/etc/hostname", "f/../../secret", "./f"
    };
    Client *c = client_new(",security_model=none");

    make_file(c, 2, "f", "x");
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        try_name(c, names[i]);
    }
    client_free(c);
    empty_shared();
}

static void link_out(const char *name, const char *target)
{
    g_autofree char *path = in_shared(name);

    g_assert_cmpint(symlink(target, path), ==, 0);
}

/* Symbolic links of the host's: none is followed, be it last or on the way. */
static void test_links_out(void)
{
    g_autofree char *secret = g_build_filename(top, "secret", NULL), *target = NULL;
    Client *c = client_new(",security_model=none");
    struct stat st;

    link_out("up", "..");
    link_out("relative", "../secret");
    link_out("absolute", secret);
    link_out("top", top);
    link_out("magic", "/proc/self/root");
    g_assert_cmpint(walk(c, ROOT, 2, "up/secret"), ==, -1);
    g_assert_cmpint(walk(c, ROOT, 2, "top/secret"), ==, -1);
    g_assert_cmpint(walk(c, ROOT, 2, "magic/etc"), ==, -1);
    g_assert_cmpint(walk(c, ROOT, 3, "top"), ==, 0);
    g_assert_cmpint(mkdir_in(c, 3, "x", 0777), ==, ENOTDIR);
    g_assert_cmpint(lcreate(c, 3, "x", RDWR, 0777), ==, ENOTDIR);
    g_assert_cmpint(unlink_in(c, 3, "secret", 0), ==, ENOTDIR);
    g_assert_cmpint(walk(c, ROOT, 4, "absolute"), ==, 0);
    g_assert_cmpint(lopen(c, 4, 0), ==, ELOOP);
    g_assert_cmpint(readlink_of(c, 4, &target), ==, 0);
    g_assert_cmpstr(target, ==, secret);
    g_assert_cmpint(setattr(c, 4, &(Changes){ .valid = 8 }), !=, 0);
    g_assert_cmpint(setattr(c, 4, &(Changes){ .valid = 1, .mode = 0 }), !=, 0);
    g_assert_cmpint(setattr(c, 4, &(Changes){ .valid = 0x1b0 }), ==, 0); /* the link's times */
    g_assert_cmpint(getattr(c, 4, &st), ==, 0);
    g_assert_cmpuint(st.st_size, ==, strlen(secret));
    g_assert_cmpint(walk(c, ROOT, 5, ""), ==, 0);
    g_assert_cmpint(lcreate(c, 5, "relative", RDWR | TRUNC, 0666), ==, ELOOP);
    check_secret();
    client_free(c);
    empty_shared();
}

static gpointer swap_forever(gpointer data)
{
    g_autofree char *dir = in_shared("d"), *away = in_shared("away"), *bait = in_shared("bait");

    while (!g_atomic_int_get((int *)data)) {
        g_assert_cmpint(rename(dir, away), ==, 0);
        g_assert_cmpint(rename(bait, dir), ==, 0);
        g_assert_cmpint(rename(dir, bait), ==, 0);
        g_assert_cmpint(rename(away, dir), ==, 0);
    }
    return NULL;
}

/* Somebody swaps a directory for a link to one outside while the client uses it. */
static void test_swapped(void)
{
    g_autofree char *dir = in_shared("d"), *outside = g_build_filename(top, "outside", NULL);
    Client *c = client_new(",security_model=none");
    GThread *thread;
    int stop = 0, found = 0;

    g_assert_cmpint(g_mkdir(dir, 0755), ==, 0);
    link_out("bait", "..");
    g_assert_cmpint(walk(c, ROOT, 2, "d"), ==, 0);
    thread = g_thread_new("swap", swap_forever, &stop);
    for (unsigned i = 0; i < 20000; i++) {
        found += walk(c, ROOT, 3, "d/secret") == 0;
        found += walk(c, 2, 3, "secret") == 0;
        found += unlink_in(c, 2, "secret", 0) == 0;
        if (mkdir_in(c, 2, "outside", 0700) == 0) {
            unlink_in(c, 2, "outside", 0x200);
        }
        g_assert_cmpint(access(outside, F_OK), !=, 0);
    }
    g_atomic_int_set(&stop, 1);
    g_thread_join(thread);
    g_assert_cmpint(found, ==, 0);
    check_secret();
    client_free(c);
    empty_shared();
}

/* ---- Nonsense ---- */

static const uint8_t types[] = { TSTATFS,   TLOPEN,   TLCREATE, TSYMLINK,   TMKNOD,       TRENAME,
                                 TREADLINK, TGETATTR, TSETATTR, TXATTRWALK, TXATTRCREATE, TREADDIR,
                                 TFSYNC,    TLOCK,    TGETLOCK, TLINK,      TMKDIR,       TRENAMEAT,
                                 TUNLINKAT, TATTACH,  TFLUSH,   TWALK,      TREAD,        TWRITE,
                                 TCLUNK,    TREMOVE,  TVERSION, TAUTH };

static void put_any_name(Client *c)
{
    static const char *const names[] = { "a",         "b", "c",      "..",      "",
                                         "../secret", "/", "user.x", "9P2000.L" };

    put_text(c, names[g_test_rand_int_range(0, G_N_ELEMENTS(names))]);
}

/* Fields of a message as it should be, with anything in them; sometimes too many or too few. */
static void put_anything(Client *c)
{
    unsigned n = (unsigned)g_test_rand_int_range(0, 9);

    put32(c, (uint32_t)g_test_rand_int_range(0, 6));
    for (unsigned i = 0; i < n; i++) {
        switch (g_test_rand_int_range(0, 6)) {
        case 0:
            put_any_name(c);
            break;
        case 1:
            put32(c, (uint32_t)g_test_rand_int_range(0, 6));
            break;
        case 2:
            put16(c, (uint16_t)g_test_rand_int_range(0, 3));
            break;
        case 3:
            put64(c, (uint64_t)g_test_rand_int_range(0, 10));
            break;
        case 4:
            put32(c, (uint32_t)g_test_rand_int());
            break;
        default:
            put8(c, (uint8_t)g_test_rand_int());
        }
    }
}

/* Messages in the right form, so that the files come and go. */
static void do_something(Client *c)
{
    uint32_t fid = (uint32_t)g_test_rand_int_range(0, 6),
             other = (uint32_t)g_test_rand_int_range(0, 6);
    static const char *const names[] = { "a", "b", "c", "a/b", "a/../b", "..", "d" };
    const char *name = names[g_test_rand_int_range(0, G_N_ELEMENTS(names))];
    char *target = NULL;
    struct stat st;

    switch (g_test_rand_int_range(0, 17)) {
    case 0:
        walk(c, fid, other, name);
        break;
    case 1:
        lcreate(c, fid, name, RDWR, 0600);
        break;
    case 2:
        mkdir_in(c, fid, name, 0700);
        break;
    case 3:
        renameat_in(c, fid, name, other, names[g_test_rand_int_range(0, 3)]);
        break;
    case 4:
        rename_fid(c, fid, other, name);
        break;
    case 5:
        unlink_in(c, fid, name, g_test_rand_bit() ? 0x200 : 0);
        break;
    case 6:
        remove_fid(c, fid);
        break;
    case 7:
        symlink_in(c, fid, name, "../secret");
        break;
    case 8:
        link_to(c, fid, other, name);
        break;
    case 9:
        lopen(c, fid, (uint32_t)g_test_rand_int_range(0, 3));
        break;
    case 10:
        write_at(c, fid, (uint64_t)g_test_rand_int_range(0, 5000), names, sizeof(names));
        break;
    case 11:
        read_at(c, fid, 0, 10000);
        break;
    case 12:
        getattr(c, fid, &st);
        break;
    case 13:
        setattr(c, fid,
                &(Changes){ .valid = (uint32_t)g_test_rand_int_range(0, 0x200),
                            .size = 100,
                            .mode = 0700 });
        break;
    case 14:
        readlink_of(c, fid, &target);
        g_free(target);
        break;
    case 15:
        clunk(c, fid);
        break;
    default:
        begin(c, TATTACH);
        put32(c, fid);
        put32(c, UINT32_MAX);
        put_text(c, "");
        put_text(c, "");
        put32(c, 1000);
        send(c);
    }
}

static void do_nonsense(Client *c)
{
    begin(c, g_test_rand_int_range(0, 8) ? types[g_test_rand_int_range(0, G_N_ELEMENTS(types))]
                                         : (uint8_t)g_test_rand_int());
    put_anything(c);
    if (c->out[4] == TVERSION) {
        return;
    }
    bytes_put_le32(c->out, g_test_rand_int_range(0, 8) ? c->len : (uint32_t)g_test_rand_int());
    c->room = g_test_rand_bit() ? (uint32_t)g_test_rand_int_range(P9_MIN_ROOM, 300) : BUFFER - 1;
    exchange(c);
    c->room = BUFFER - 1;
}

static unsigned count_descriptors(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    return n;
}

static void test_hostile(gconstpointer options)
{
    Client *c = client_new(options);
    unsigned before = count_descriptors();

    for (unsigned i = 0; i < 60000; i++) {
        if (i % 3) {
            do_something(c);
        } else {
            do_nonsense(c);
        }
    }
    check_secret();
    p9_server_reset(c->server);
    g_assert_cmpuint(p9_server_count_fids(c->server), ==, 0);
    g_assert_cmpuint(count_descriptors(), ==, before);
    begin(c, TVERSION);
    put32(c, MSIZE);
    put_text(c, "9P2000.L");
    g_assert_cmpint(send(c), ==, 0);
    attach(c, 0);
    client_free(c);
    empty_shared();
}

/* ---- The thread ---- */

typedef struct Asked {
    P9Request request;
    struct iovec out, in;
    uint8_t message[64], answer[64];
} Asked;

static GMutex machine;

static void lock_machine(void)
{
    g_mutex_lock(&machine);
}

static void unlock_machine(void)
{
    g_mutex_unlock(&machine);
}

static void count_done(P9Request *list, void *opaque)
{
    for (; list; list = list->next) {
        const Asked *a = list->opaque;
        uint16_t *expected = opaque;

        g_assert_cmpuint(bytes_get_le16(a->answer + 5), ==, (*expected)++); /* in order */
    }
}

static void ask(P9Worker *w, Asked *a, uint16_t tag, uint8_t type, uint32_t size)
{
    bytes_put_le32(a->message, size);
    a->message[4] = type;
    bytes_put_le16(a->message + 5, tag);
    a->out = (struct iovec){ a->message, size };
    a->in = (struct iovec){ a->answer, sizeof(a->answer) };
    a->request = (P9Request){ &a->out, &a->in, 1, 1, size, sizeof(a->answer), .opaque = a };
    p9_worker_submit(w, &a->request);
}

/* Requests come back in order; one that was flushed while it waited was not done. */
static void test_worker(void)
{
    enum { N = 2000 };
    Client *c = client_new("");
    g_autofree Asked *asked = g_new0(Asked, N);
    uint16_t expected = 0, done;
    unsigned aborted = 0;
    P9Worker *w;

    fsdev_set_lock(lock_machine, unlock_machine);
    make_file(c, 2, "f", "x");
    lock_machine();
    w = p9_worker_new(c->server, count_done, &expected);
    for (uint16_t i = 0; i < N; i++) {
        bytes_put_le32(asked[i].message + 7, 2);
        if (i % 3 == 2) {
            bytes_put_le16(asked[i].message + 7, (uint16_t)(i - 1));
            ask(w, &asked[i], i, TFLUSH, 9);
        } else if (i % 3 == 1) {
            ask(w, &asked[i], i, TFSYNC, 15);
        } else {
            bytes_put_le32(asked[i].message + 7, 99);
            ask(w, &asked[i], i, TCLUNK, 11);
        }
        if (i % 100 == 99) {
            unlock_machine();
            g_usleep(100);
            lock_machine();
        }
    }
    p9_worker_drain(w);
    done = expected;
    g_assert_cmpuint(done, ==, N);
    for (uint16_t i = 1; i < N; i += 3) {
        bool done_anyway = asked[i].answer[4] == TFSYNC + 1;

        g_assert_true(done_anyway || (asked[i].answer[4] == TLERROR + 1 &&
                                      bytes_get_le32(asked[i].answer + 7) == EINTR));
        aborted += !done_anyway;
    }
    g_assert_cmpuint(aborted, >, 0);
    fsdev_set_synchronous(true);
    for (uint16_t i = 0; i < 10; i++) {
        ask(w, &asked[i], (uint16_t)(N + i), TCLUNK, 11);
        g_assert_cmpuint(expected, ==, N + i + 1);
    }
    fsdev_set_synchronous(false);
    p9_worker_free(w);
    unlock_machine();
    client_free(c);
    fsdev_set_lock(NULL, NULL);
    empty_shared();
}

/* ---- As an ordinary user ---- */

static int run_all(void)
{
    int status;

    make_top();
    umask(022);
    status = g_test_run();
    nftw(top, remove_one, 20, FTW_DEPTH | FTW_PHYS);
    return status;
}

static void test_as_user(void)
{
    g_autofree char *out = NULL, *err = NULL;
    g_autoptr(GError) error = NULL;
    const char *program = g_get_prgname();
    char *argv[] = { (char *)program, (char *)"--as-user", NULL };
    int status;

    if (geteuid()) {
        g_test_skip("is one already");
        return;
    }
    g_assert_true(
        g_spawn_sync(NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err, &status, &error));
    g_assert_no_error(error);
    if (status) {
        g_test_message("%s%s", out, err);
    }
    g_assert_cmpint(status, ==, 0);
}

int main(int argc, char **argv)
{
    bool as_user = argc > 1 && !strcmp(argv[1], "--as-user");

    if (as_user) {
        g_assert_true(setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
                      setresuid(NOBODY, NOBODY, NOBODY) == 0);
        argc = 1;
    }
    g_set_prgname(argv[0]);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/p9/options", test_options);
    g_test_add_func("/p9/version", test_version);
    g_test_add_func("/p9/files", test_files);
    g_test_add_func("/p9/walk", test_walk);
    g_test_add_func("/p9/names", test_names);
    g_test_add_func("/p9/readdir", test_readdir);
    g_test_add_func("/p9/attributes", test_attributes);
    g_test_add_func("/p9/mapped", test_mapped);
    g_test_add_func("/p9/none", test_none);
    g_test_add_func("/p9/passthrough", test_passthrough);
    g_test_add_func("/p9/readonly", test_readonly);
    g_test_add_func("/p9/xattr", test_xattr);
    g_test_add_func("/p9/limits", test_limits);
    g_test_add_func("/p9/locks", test_locks);
    g_test_add_func("/p9/names-out", test_names_out);
    g_test_add_func("/p9/links-out", test_links_out);
    g_test_add_func("/p9/swapped", test_swapped);
    g_test_add_data_func("/p9/hostile-mapped", ",security_model=mapped-xattr", test_hostile);
    g_test_add_data_func("/p9/hostile-none", ",security_model=none", test_hostile);
    g_test_add_func("/p9/worker", test_worker);
    if (!as_user) {
        g_test_add_func("/p9/as-user", test_as_user);
    }
    return run_all();
}
