/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD: names and headers; the client against a scripted server that breaks the rules in every way that the client checks, and
 * against random changes of a good one's bytes; menura-nbd's server against its own client (a model in memory, several threads), against
 * clients that do nothing or take nothing, and against random changes of a good client's bytes.
 */
#include <errno.h>
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "block/nbd-client.h"
#include "nbd/nbd-priv.h"

enum { SIZE = 1 << 20, CONTEXT_ID = 7 };

static char *folder, *path, *name; /* of the socket; "nbd:unix:PATH" */

static void say_nothing(const char *text)
{
}

/* ---- Names ---- */

static void test_names(void)
{
    static const struct {
        const char *name, *path, *host, *export_name;
        unsigned port;
    } good[] = {
        { "nbd:localhost:1234", NULL, "localhost", "", 1234 },
        { "nbd:h:1:exportname=a:b=c", NULL, "h", "a:b=c", 1 },
        { "nbd:[::1]:10", NULL, "::1", "", 10 },
        { "nbd:unix:/a/b:c", "/a/b:c", NULL, "", 0 },
        { "nbd:unix:s:exportname=", "s", NULL, "", 0 },
        { "nbd://h", NULL, "h", "", 10809 },
        { "nbd://h:5/x/y", NULL, "h", "x/y", 5 },
        { "nbd+tcp://[fe80::1]:5/%41%20", NULL, "fe80::1", "A ", 5 },
        { "nbd:///e", NULL, "localhost", "e", 10809 },
        { "nbd+unix:///?socket=/a%3f", "/a?", NULL, "", 0 },
        { "nbd+unix:///e?x=1&socket=s", "s", NULL, "e", 0 },
    };
    static const char *const bad[] = {
        "nbd:",          "nbd:x",
        "nbd:x:",        "nbd:x:0",
        "nbd:x:65536",   "nbd:[::1",
        "nbd:[::1]x:1",  "nbd:unix:",
        "nbd://h:/",     "nbd://u@h/",
        "nbd://h/%zz",   "nbd://h/?a=b",
        "nbd+unix:///x", "nbd+unix://h/x?socket=s",
        "nbds://h/",     "nbd+unix:///x?socket=",
        "nbd+tcp:h",     "nbd:x:1:2",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        NbdAddress a;

        g_assert_true(node_is_remote(good[i].name));
        g_assert_true(nbd_address_parse(good[i].name, &a, NULL));
        g_assert_cmpstr(a.path, ==, good[i].path);
        g_assert_cmpstr(a.host, ==, good[i].host);
        g_assert_cmpstr(a.export_name, ==, good[i].export_name);
        g_assert_cmpuint(a.port, ==, good[i].port);
        nbd_address_clear(&a);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        NbdAddress a;

        g_assert_false(nbd_address_parse(bad[i], &a, &error));
        g_assert_true(g_str_has_prefix(error->message, bad[i]));
    }
    g_assert_false(node_is_remote("nbd"));
    g_assert_false(node_is_remote("./nbd:x:1"));
}

static void test_options(void)
{
    static const struct {
        const char *options, *name;
    } cases[] = {
        { "file.host=h", "nbd:h:10809" },
        { "file.host=::1,file.port=5,file.export=e", "nbd:[::1]:5:exportname=e" },
        { "file.path=/s", "nbd:unix:/s" },
        { "file.server.path=/s,file.server.type=unix,file.export=e", "nbd:unix:/s:exportname=e" },
        { "file.path=/s,file.host=h", NULL },
        { "file.export=h", NULL },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(KeyVals) kv = keyvals_parse(cases[i].options, NULL);
        g_autofree char *got = node_remote_name(kv, "file.", NULL);

        g_assert_cmpstr(got, ==, cases[i].name);
    }
}

static void test_headers(void)
{
    NbdRequest in = { 3, NBD_CMD_WRITE, 0x123456789abcdef0, 0xfedcba9876543210, 0x89abcdef }, out;
    NbdOptionReply reply = { 7, NBD_REP_ERR(6), 99 }, reply_out;
    NbdChunk chunk = { 1, NBD_REPLY_ERROR, 42, 6 }, chunk_out;
    uint8_t buf[NBD_REQUEST_BYTES];

    nbd_request_put(buf, &in);
    g_assert_cmpuint(buf[0], ==, 0x25);
    g_assert_true(nbd_request_get(buf, &out));
    g_assert_true(in.flags == out.flags && in.type == out.type && in.cookie == out.cookie &&
                  in.offset == out.offset && in.length == out.length);
    buf[0]++;
    g_assert_false(nbd_request_get(buf, &out));
    nbd_option_reply_put(buf, &reply);
    g_assert_true(nbd_option_reply_get(buf, &reply_out));
    g_assert_cmpmem(&reply, sizeof(reply), &reply_out, sizeof(reply_out));
    nbd_chunk_put(buf, &chunk);
    nbd_chunk_get(buf, &chunk_out);
    g_assert_cmpuint(chunk_out.cookie, ==, 42);
    g_assert_cmpuint(chunk_out.type, ==, NBD_REPLY_ERROR);
    for (int err = 0; err < 134; err++) {
        int back = nbd_error_from_wire(nbd_error_to_wire(-err));

        g_assert_true((back == 0) == (err == 0));
    }
    g_assert_cmpint(nbd_error_from_wire(nbd_error_to_wire(-ENOSPC)), ==, -ENOSPC);
    g_assert_cmpint(nbd_error_from_wire(12345), ==, -EINVAL);
}

/* ---- A scripted server ---- */

typedef struct Fake {
    uint64_t size;
    unsigned flags; /* of the export */
    uint32_t min_block;
    bool no_structured, no_go, no_fixed, no_zeroes;
    /* Instead of the handshake, all of it unless .no_fixed, and instead of replies; NULL: a good server on .disk. */
    void (*greet)(struct Fake *f);
    void (*answer)(struct Fake *f, const NbdRequest *req);
    unsigned arg;
    /* the server's */
    int listener;
    NbdStream *stream;
    uint8_t *disk;
    GThread *thread;
    unsigned requests;
    bool ended;
} Fake;

static void put(Fake *f, const void *buf, size_t n)
{
    nbd_stream_send(f->stream, buf, n);
}

static bool get(Fake *f, void *buf, size_t n)
{
    return nbd_stream_read(f->stream, buf, n) == 0;
}

static void put_option_reply(Fake *f, uint32_t option, uint32_t type, const void *data, size_t n)
{
    NbdOptionReply reply = { option, type, (uint32_t)n };
    uint8_t head[NBD_OPTION_REPLY_BYTES];

    nbd_option_reply_put(head, &reply);
    put(f, head, sizeof(head));
    put(f, data, n);
}

static void put_export(Fake *f, uint32_t option)
{
    uint8_t info[14];

    nbd_put16(nbd_put64(nbd_put16(info, NBD_INFO_EXPORT), f->size), (uint16_t)f->flags);
    put_option_reply(f, option, NBD_REP_INFO, info, 12);
    if (f->min_block) {
        nbd_put32(nbd_put32(nbd_put32(nbd_put16(info, NBD_INFO_BLOCK_SIZE), f->min_block), 4096),
                  NBD_MAX_PAYLOAD);
        put_option_reply(f, option, NBD_REP_INFO, info, 14);
    }
    put_option_reply(f, option, NBD_REP_ACK, NULL, 0);
}

/* True: requests follow. */
static bool fake_option(Fake *f, uint32_t option)
{
    uint8_t out[10 + NBD_OLD_ZEROES] = { 0 };
    char context[] = "\0\0\0\7" NBD_CONTEXT_ALLOCATION;

    if (option == NBD_OPT_EXPORT_NAME) {
        nbd_put16(nbd_put64(out, f->size), (uint16_t)f->flags);
        put(f, out, f->no_zeroes ? sizeof(out) : 10);
        return true;
    }
    if (option == NBD_OPT_SET_META_CONTEXT && !f->no_structured) {
        put_option_reply(f, option, NBD_REP_META_CONTEXT, context, sizeof(context) - 1);
    } else if (option == NBD_OPT_GO && !f->no_go) {
        put_export(f, option);
        return true;
    } else if (option != NBD_OPT_STRUCTURED_REPLY || f->no_structured) {
        put_option_reply(f, option, NBD_REP_ERR(NBD_ERR_UNSUP), "no", 2);
        return false;
    }
    put_option_reply(f, option, NBD_REP_ACK, NULL, 0);
    return false;
}

/* .no_zeroes: the client is not told that they can be left out. */
static bool fake_handshake(Fake *f)
{
    unsigned flags =
        (f->no_fixed ? 0 : NBD_FLAG_FIXED_NEWSTYLE) | (f->no_zeroes ? 0 : NBD_FLAG_NO_ZEROES);
    uint8_t out[NBD_GREETING_BYTES], in[NBD_OPTION_BYTES];
    uint32_t option, length;
    bool done = false;

    nbd_put16(nbd_put64(nbd_put64(out, NBD_MAGIC), NBD_OPTION_MAGIC), (uint16_t)flags);
    put(f, out, sizeof(out));
    if (!get(f, in, 4)) {
        return false;
    }
    while (!done) {
        if (!get(f, in, sizeof(in))) {
            return false;
        }
        nbd_get32(nbd_get32(in + 8, &option), &length);
        if (nbd_stream_skip(f->stream, length)) {
            return false;
        }
        done = fake_option(f, option);
    }
    return true;
}

static void put_simple(Fake *f, const NbdRequest *req, uint32_t error)
{
    uint8_t head[NBD_SIMPLE_BYTES];

    nbd_simple_put(head, req->cookie, error);
    put(f, head, sizeof(head));
}

/* @data: of @n bytes, of which @length are said. */
static void put_chunk(Fake *f, const NbdRequest *req, unsigned type, bool last, uint32_t length,
                      const void *data, size_t n)
{
    NbdChunk chunk = { last ? NBD_REPLY_FLAG_DONE : 0, (uint16_t)type, req->cookie, length };
    uint8_t head[NBD_CHUNK_BYTES];

    nbd_chunk_put(head, &chunk);
    put(f, head, sizeof(head));
    put(f, data, n);
}

static void put_data(Fake *f, const NbdRequest *req, uint64_t offset, uint32_t n, bool last)
{
    g_autofree uint8_t *data = g_malloc0(8 + n);

    nbd_put64(data, offset);
    if (offset <= f->size && n <= f->size - offset) {
        memcpy(data + 8, f->disk + offset, n);
    }
    put_chunk(f, req, NBD_REPLY_OFFSET_DATA, last, 8 + n, data, 8 + n);
}

static void put_status(Fake *f, const NbdRequest *req, uint32_t id, uint32_t bytes, uint32_t flags)
{
    uint8_t data[12];

    nbd_put32(nbd_put32(nbd_put32(data, id), bytes), flags);
    put_chunk(f, req, NBD_REPLY_BLOCK_STATUS, true, 12, data, 12);
}

static bool is_within(const Fake *f, const NbdRequest *req)
{
    return req->offset <= f->size && req->length <= f->size - req->offset &&
           !((req->offset | req->length) & (MAX(f->min_block, 1u) - 1));
}

static void good_answer(Fake *f, const NbdRequest *req)
{
    if (req->type == NBD_CMD_WRITE) {
        g_assert_true(is_within(f, req));
        if (get(f, f->disk + req->offset, req->length)) {
            put_simple(f, req, 0);
        }
    } else if (req->type == NBD_CMD_READ && f->no_structured) {
        put_simple(f, req, 0);
        put(f, f->disk + req->offset, req->length);
    } else if (req->type == NBD_CMD_READ) {
        g_assert_true(is_within(f, req));
        put_data(f, req, req->offset, req->length, true);
    } else if (req->type == NBD_CMD_BLOCK_STATUS) {
        put_status(f, req, CONTEXT_ID, req->length, 0);
    } else {
        if (req->type == NBD_CMD_WRITE_ZEROES) {
            g_assert_true(is_within(f, req));
            memset(f->disk + req->offset, 0, req->length);
        }
        put_simple(f, req, 0);
    }
}

static void fake_serve(Fake *f)
{
    uint8_t head[NBD_REQUEST_BYTES];
    NbdRequest req;

    if (f->greet) {
        f->greet(f);
    }
    if (f->greet ? !f->no_fixed : !fake_handshake(f)) {
        return;
    }
    while (!f->ended && get(f, head, sizeof(head)) && nbd_request_get(head, &req) &&
           req.type != NBD_CMD_DISC) {
        f->requests++;
        (f->answer ? f->answer : good_answer)(f, &req);
    }
}

/* One client, then another if .ended is not set: of no use here. */
static gpointer fake_run(gpointer data)
{
    Fake *f = data;
    int fd = accept(f->listener, NULL, NULL);

    g_assert_cmpint(fd, >=, 0);
    f->stream = nbd_stream_new(fd);
    fake_serve(f);
    nbd_stream_free(f->stream);
    close(fd);
    return NULL;
}

static int listen_here(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_unlink(path);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    return fd;
}

static void fake_start(Fake *f)
{
    f->size = f->size ? f->size : SIZE;
    f->flags = f->flags ? f->flags
                        : NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_TRIM |
                              NBD_FLAG_SEND_WRITE_ZEROES;
    f->disk = g_malloc(SIZE);
    for (unsigned i = 0; i < SIZE; i++) {
        f->disk[i] = (uint8_t)(i * 7 + (i >> 8));
    }
    f->listener = listen_here();
    f->thread = g_thread_new("fake", fake_run, f);
}

static void fake_stop(Fake *f)
{
    g_thread_join(f->thread);
    close(f->listener);
    g_free(f->disk);
}

static BlockNode *open_name(const char *file, GError **error)
{
    NodeOptions options = { .file = file, .format = "raw" };

    return node_open(&options, error);
}

/* ---- Handshakes ---- */

static void greet_bytes(Fake *f)
{
    static const char *const texts[] = { "", "SSH-2.0-something else than this", "NBDMAGIC",
                                         "NBDMAGICIHAVEOPT" };

    put(f, texts[f->arg], strlen(texts[f->arg]));
}

static void greet_oldstyle(Fake *f)
{
    uint8_t out[152] = { 0 };

    nbd_put64(nbd_put64(nbd_put64(out, NBD_MAGIC), NBD_OLDSTYLE_MAGIC), SIZE);
    put(f, out, f->arg ? f->arg : sizeof(out));
}

enum {
    REPLY_MAGIC,
    REPLY_OPTION,
    REPLY_LONG,
    REPLY_ENDLESS,
    REPLY_TLS,
    REPLY_CUT,
    REPLY_EMPTY_INFO
};

/* A first reply that is wrong. */
static void greet_wrong_reply(Fake *f)
{
    uint8_t out[NBD_GREETING_BYTES], head[NBD_OPTION_REPLY_BYTES];
    NbdOptionReply reply = { NBD_OPT_STRUCTURED_REPLY, NBD_REP_SERVER, 0 };
    uint8_t in[4 + NBD_OPTION_BYTES];

    nbd_put16(nbd_put64(nbd_put64(out, NBD_MAGIC), NBD_OPTION_MAGIC), 3);
    put(f, out, sizeof(out));
    get(f, in, sizeof(in));
    reply.option += f->arg == REPLY_OPTION;
    reply.length = f->arg == REPLY_LONG ? 0xffffffff : f->arg == REPLY_CUT ? 100 : 0;
    nbd_option_reply_put(head, &reply);
    head[0] ^= f->arg == REPLY_MAGIC;
    for (unsigned i = 0; i < (f->arg == REPLY_ENDLESS ? 10000 : 1); i++) {
        put(f, head, sizeof(head));
    }
}

/* A last reply that is wrong. */
static void greet_wrong_go(Fake *f)
{
    uint8_t out[NBD_GREETING_BYTES], in[64], info[12] = { 0 };
    uint32_t option, length;

    nbd_put16(nbd_put64(nbd_put64(out, NBD_MAGIC), NBD_OPTION_MAGIC), 3);
    put(f, out, sizeof(out));
    get(f, in, 4);
    while (get(f, in, NBD_OPTION_BYTES)) {
        nbd_get32(nbd_get32(in + 8, &option), &length);
        nbd_stream_skip(f->stream, length);
        if (option != NBD_OPT_GO) {
            put_option_reply(f, option, NBD_REP_ERR(NBD_ERR_UNSUP), NULL, 0);
        } else if (f->arg == REPLY_TLS) {
            put_option_reply(f, option, NBD_REP_ERR(NBD_ERR_TLS_REQD), "\x1b[2Jwhat\n", 9);
            return;
        } else {
            put_option_reply(f, option, NBD_REP_INFO, info, f->arg == REPLY_EMPTY_INFO ? 1 : 5);
            put_option_reply(f, option, NBD_REP_ACK, NULL, 0);
        }
    }
}

static void refuse(Fake f, const char *text)
{
    g_autoptr(GError) error = NULL;

    fake_start(&f);
    g_assert_null(open_name(name, &error));
    fake_stop(&f);
    if (!strstr(error->message, text)) {
        g_error("'%s' is not in '%s'", text, error->message);
    }
    g_assert_null(strchr(error->message, '\x1b'));
}

static void test_bad_handshakes(void)
{
    g_autoptr(GError) error = NULL;

    g_unlink(path);
    g_assert_null(open_name(name, &error));
    refuse((Fake){ .greet = greet_bytes, .arg = 0 }, "closed");
    refuse((Fake){ .greet = greet_bytes, .arg = 1 }, "is no NBD server");
    refuse((Fake){ .greet = greet_bytes, .arg = 2 }, "closed");
    refuse((Fake){ .greet = greet_bytes, .arg = 3 }, "closed");
    refuse((Fake){ .greet = greet_oldstyle, .arg = 100 }, "closed");
    refuse((Fake){ .greet = greet_wrong_reply, .arg = REPLY_MAGIC }, "none of NBD");
    refuse((Fake){ .greet = greet_wrong_reply, .arg = REPLY_OPTION }, "none of NBD");
    refuse((Fake){ .greet = greet_wrong_reply, .arg = REPLY_LONG }, "too long");
    refuse((Fake){ .greet = greet_wrong_reply, .arg = REPLY_ENDLESS }, "no end");
    refuse((Fake){ .greet = greet_wrong_reply, .arg = REPLY_CUT }, "closed");
    refuse((Fake){ .greet = greet_wrong_go, .arg = REPLY_TLS }, "TLS");
    refuse((Fake){ .greet = greet_wrong_go, .arg = REPLY_EMPTY_INFO }, "none of NBD");
    refuse((Fake){ .greet = greet_wrong_go }, "wrong length");
    refuse((Fake){ .flags = NBD_FLAG_SEND_FLUSH }, "flags make no sense");
    refuse((Fake){ .size = UINT64_MAX }, "too large");
    refuse((Fake){ .min_block = 3 }, "block sizes make no sense");
    refuse((Fake){ .min_block = 1 << 20 }, "block sizes make no sense");
    refuse((Fake){ .min_block = 4096, .size = 4095 }, "multiple of its block size");
    refuse((Fake){ .flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY }, "read-only");
}

static void accept_handshake(Fake f)
{
    uint8_t buf[1000], expected[1000];
    BlockNode *node;

    fake_start(&f);
    node = open_name(name, NULL);
    g_assert_nonnull(node);
    g_assert_cmpuint(node->length, ==, SIZE);
    memcpy(expected, f.disk + 5, sizeof(buf));
    g_assert_cmpint(node_pread(node, 5, buf, sizeof(buf)), ==, 0);
    g_assert_cmpmem(buf, sizeof(buf), expected, sizeof(buf));
    g_assert_cmpint(node_close(node), ==, 0);
    fake_stop(&f);
}

/* Servers that can less than they might. */
static void test_old_servers(void)
{
    accept_handshake((Fake){ 0 });
    accept_handshake((Fake){ .no_structured = true });
    accept_handshake((Fake){ .no_go = true });
    accept_handshake((Fake){ .no_go = true, .no_zeroes = true, .no_structured = true });
    accept_handshake((Fake){ .no_fixed = true, .no_structured = true });
    accept_handshake((Fake){ .no_fixed = true, .no_structured = true, .no_zeroes = true });
    accept_handshake((Fake){ .greet = greet_oldstyle, .no_fixed = true, .no_structured = true });
}

/* ---- Replies ---- */

enum {
    BAD_COOKIE,
    BAD_MAGIC,
    BAD_SIMPLE,
    BAD_OUTSIDE,
    BAD_BEFORE,
    BAD_TWICE,
    BAD_SHORT,
    BAD_HOLE_EMPTY,
    BAD_HOLE_LONG,
    BAD_HOLE_LENGTH,
    BAD_DATA_LENGTH,
    BAD_DATA_HUGE,
    BAD_KIND,
    BAD_NONE,
    BAD_NONE_OPEN,
    BAD_STATUS_FOR_READ,
    BAD_ERROR_ZERO,
    BAD_ERROR_SHORT,
    BAD_ERROR_TEXT,
    BAD_ERROR_LONG,
    BAD_CUT,
    BAD_PIECES,
    N_BAD
};

/* Replies to a read that end the connection. */
static void bad_answer(Fake *f, const NbdRequest *req)
{
    NbdRequest other = *req;
    uint8_t data[64] = { 0 };
    uint64_t at = req->offset;
    uint32_t n = req->length;

    switch (f->arg) {
    case BAD_COOKIE:
        other.cookie ^= 1ull << 40;
        put_data(f, &other, at, n, true);
        break;
    case BAD_MAGIC:
        put(f, data, sizeof(data));
        break;
    case BAD_SIMPLE:
        put_simple(f, req, 0);
        put(f, f->disk + at, n);
        break;
    case BAD_OUTSIDE:
        put_data(f, req, at, n + 1, true);
        break;
    case BAD_BEFORE:
        put_data(f, req, at - 1, n, true);
        break;
    case BAD_TWICE:
        put_data(f, req, at, n, false);
        put_data(f, req, at, n, true);
        break;
    case BAD_SHORT:
        put_data(f, req, at, n - 1, true);
        break;
    case BAD_HOLE_EMPTY:
    case BAD_HOLE_LONG:
    case BAD_HOLE_LENGTH:
        nbd_put32(nbd_put64(data, at), f->arg == BAD_HOLE_EMPTY  ? 0
                                       : f->arg == BAD_HOLE_LONG ? 0xffffffff
                                                                 : n);
        put_chunk(f, req, NBD_REPLY_OFFSET_HOLE, true, f->arg == BAD_HOLE_LENGTH ? 13 : 12, data,
                  13);
        break;
    case BAD_DATA_LENGTH:
        put_chunk(f, req, NBD_REPLY_OFFSET_DATA, true, 8, data, 8);
        break;
    case BAD_DATA_HUGE:
        nbd_put64(data, at);
        put_chunk(f, req, NBD_REPLY_OFFSET_DATA, true, 0xffffffff, data, sizeof(data));
        break;
    case BAD_KIND:
        put_chunk(f, req, 77, true, 4, data, 4);
        break;
    case BAD_NONE:
        put_chunk(f, req, NBD_REPLY_NONE, true, 4, data, 4);
        break;
    case BAD_NONE_OPEN:
        put_chunk(f, req, NBD_REPLY_NONE, false, 0, data, 0);
        break;
    case BAD_STATUS_FOR_READ:
        put_status(f, req, CONTEXT_ID, n, 0);
        break;
    case BAD_ERROR_ZERO:
        put_chunk(f, req, NBD_REPLY_ERROR, true, 6, data, 6);
        break;
    case BAD_ERROR_SHORT:
        put_chunk(f, req, NBD_REPLY_ERROR, true, 5, data, 5);
        break;
    case BAD_ERROR_TEXT:
        nbd_put16(nbd_put32(data, 5), 100);
        put_chunk(f, req, NBD_REPLY_ERROR, true, 10, data, 10);
        break;
    case BAD_ERROR_LONG:
        nbd_put16(nbd_put32(data, 5), 0xffff);
        put_chunk(f, req, NBD_REPLY_ERROR, true, 0xfffffff0, data, sizeof(data));
        break;
    case BAD_CUT:
        put_chunk(f, req, NBD_REPLY_OFFSET_DATA, true, n + 8, data, 20);
        f->ended = true;
        break;
    case BAD_PIECES: /* every second byte, from the end: more than anybody keeps */
        for (uint32_t i = n / 2; i-- > 1;) {
            put_data(f, req, at + i * 2, 1, false);
        }
        break;
    default:
        g_assert_not_reached();
    }
}

static void test_bad_replies(void)
{
    for (unsigned i = 0; i < N_BAD; i++) {
        Fake f = { .answer = bad_answer, .arg = i };
        uint8_t buf[8192];
        BlockNode *node;

        fake_start(&f);
        node = open_name(name, NULL);
        g_assert_nonnull(node);
        g_assert_cmpint(node_pread(node, 4096, buf, sizeof(buf)), ==, -EIO);
        g_assert_cmpint(node_pread(node, 0, buf, 512), ==, -EIO);
        g_assert_cmpint(node_pwrite(node, 0, buf, 512), ==, -EIO);
        g_assert_cmpint(node_flush(node), ==, -EIO);
        node_close(node);
        fake_stop(&f);
    }
}

enum { GOOD_PIECES, GOOD_HOLES, GOOD_ERROR, GOOD_ERROR_OFFSET, GOOD_ERROR_UNKNOWN, N_GOOD };

/* Unusual replies that are allowed. */
static void odd_answer(Fake *f, const NbdRequest *req)
{
    uint64_t at = req->offset;
    uint32_t n = req->length;
    uint8_t data[40] = { 0 };

    switch (f->arg) {
    case GOOD_PIECES:
        put_data(f, req, at + n - 100, 100, false);
        put_data(f, req, at + 100, 100, false);
        put_data(f, req, at, 100, false);
        put_data(f, req, at + 200, n - 300, false);
        put_chunk(f, req, NBD_REPLY_NONE, true, 0, NULL, 0);
        break;
    case GOOD_HOLES:
        memset(f->disk + at + 512, 0, 1024);
        nbd_put32(nbd_put64(data, at + 512), 1024);
        put_chunk(f, req, NBD_REPLY_OFFSET_HOLE, false, 12, data, 12);
        put_data(f, req, at, 512, false);
        put_data(f, req, at + 1536, n - 1536, true);
        break;
    case GOOD_ERROR:
        nbd_put16(nbd_put32(data, 28), 4);
        put_data(f, req, at, 512, false);
        put_chunk(f, req, NBD_REPLY_ERROR, true, 10, data, 10);
        break;
    case GOOD_ERROR_OFFSET:
        nbd_put16(nbd_put32(data, 28), 0);
        put_chunk(f, req, NBD_REPLY_ERROR_OFFSET, true, 14, data, 14);
        break;
    case GOOD_ERROR_UNKNOWN:
        nbd_put16(nbd_put32(data, 28), 999);
        put_chunk(f, req, 0x8777, true, 33, data, 33);
        break;
    default:
        g_assert_not_reached();
    }
}

static void test_odd_replies(void)
{
    for (unsigned i = 0; i < N_GOOD; i++) {
        Fake f = { .answer = odd_answer, .arg = i };
        uint8_t buf[4096];
        BlockNode *node;
        int err;

        fake_start(&f);
        node = open_name(name, NULL);
        for (int again = 0; again < 2; again++) {
            memset(buf, 0xaa, sizeof(buf));
            err = node_pread(node, 8192, buf, sizeof(buf));
            g_assert_cmpint(err, ==, i >= GOOD_ERROR ? -ENOSPC : 0);
            g_assert_true(err || !memcmp(buf, f.disk + 8192, sizeof(buf)));
        }
        node_close(node);
        fake_stop(&f);
    }
}

static void status_answer(Fake *f, const NbdRequest *req)
{
    uint8_t data[20] = { 0 };

    switch (f->arg) {
    case 0:
        put_status(f, req, CONTEXT_ID, 512, NBD_STATE_HOLE | NBD_STATE_ZERO);
        break;
    case 1: /* longer than was asked for */
        put_status(f, req, CONTEXT_ID, 0xffffffff, NBD_STATE_ZERO);
        break;
    case 2: /* more than was asked for */
        nbd_put32(nbd_put32(nbd_put32(data, CONTEXT_ID), 4096), NBD_STATE_HOLE);
        put_chunk(f, req, NBD_REPLY_BLOCK_STATUS, true, 20, data, 20);
        break;
    case 3:
        put_simple(f, req, 22);
        break;
    case 4: /* from here on they end the connection */
        put_status(f, req, CONTEXT_ID, 0, 0);
        break;
    case 5:
        put_status(f, req, CONTEXT_ID + 1, 512, 0);
        break;
    case 6:
        put_simple(f, req, 0);
        break;
    case 7:
        put_chunk(f, req, NBD_REPLY_NONE, true, 0, NULL, 0);
        break;
    case 8:
        put_chunk(f, req, NBD_REPLY_BLOCK_STATUS, true, 4, data, 4);
        break;
    case 9:
        put_data(f, req, req->offset, req->length, true);
        break;
    default:
        g_assert_not_reached();
    }
}

static void test_status(void)
{
    static const struct {
        uint64_t bytes;
        unsigned flags;
    } expected[] = { { 512, NODE_ZERO },
                     { 65536, NODE_ZERO | NODE_DATA },
                     { 4096, NODE_DATA },
                     { 65536, NODE_DATA } };

    for (unsigned i = 0; i < 10; i++) {
        Fake f = { .answer = status_answer, .arg = i };
        NodeStatus status;
        BlockNode *node;
        int err;

        fake_start(&f);
        node = open_name(name, NULL);
        err = node_status(node, 512, 65536, &status);
        g_assert_cmpint(err, ==, i < 4 ? 0 : -EIO);
        if (!err) {
            g_assert_cmpuint(status.bytes, ==, expected[i].bytes);
            g_assert_cmpuint(status.flags & (NODE_DATA | NODE_ZERO), ==, expected[i].flags);
        }
        node_close(node);
        fake_stop(&f);
    }
}

static uint32_t random_length(GRand *rand, bool large, uint32_t most)
{
    uint32_t n = (uint32_t)g_rand_int_range(rand, 1, large ? 200000 : 6000);

    return MIN(n, most);
}

/* Parts of blocks: the server is asked for whole ones only, and the rest of them stays. */
static void test_blocks(void)
{
    Fake f = { .min_block = 4096 };
    g_autofree uint8_t *model = g_malloc(SIZE), *buf = g_malloc(SIZE);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    BlockNode *node;

    fake_start(&f);
    memcpy(model, f.disk, SIZE);
    node = open_name(name, NULL);
    for (unsigned i = 0; i < 400; i++) {
        uint32_t at = (uint32_t)g_rand_int_range(rand, 0, SIZE);
        uint32_t n = random_length(rand, i % 5 == 0, SIZE - at);

        if (i % 3 == 0) {
            memset(buf, (int)i, n);
            g_assert_cmpint(node_pwrite(node, at, buf, n), ==, 0);
            memset(model + at, (int)i, n);
        } else if (i % 3 == 1) {
            g_assert_cmpint(node_write_zeroes(node, at, n, true), ==, 0);
            memset(model + at, 0, n);
        } else {
            g_assert_cmpint(node_pread(node, at, buf, n), ==, 0);
            g_assert_cmpmem(buf, n, model + at, n);
        }
    }
    g_assert_cmpint(node_pread(node, 0, buf, SIZE), ==, 0);
    g_assert_cmpmem(buf, SIZE, model, SIZE);
    node_close(node);
    fake_stop(&f);
}

/* Requests of several threads are on their way, none is answered, the server goes. */
static void no_answer(Fake *f, const NbdRequest *req)
{
    f->ended = f->requests == 6;
}

static gpointer read_once(gpointer data)
{
    uint8_t buf[512];

    return GINT_TO_POINTER(node_pread(data, 0, buf, sizeof(buf)));
}

static void test_lost_server(void)
{
    Fake f = { .answer = no_answer };
    GThread *threads[6];
    BlockNode *node;

    fake_start(&f);
    node = open_name(name, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        threads[i] = g_thread_new("read", read_once, node);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(threads[i])), ==, -EIO);
    }
    node_close(node);
    fake_stop(&f);
    g_assert_cmpuint(f.requests, ==, 6);
}

/* Answers come in another order than requests. */
static void reversed_answer(Fake *f, const NbdRequest *req)
{
    static NbdRequest kept[4];

    kept[(f->requests - 1) % 4] = *req;
    for (unsigned i = 4; f->requests % 4 == 0 && i-- > 0;) {
        put_data(f, &kept[i], kept[i].offset, kept[i].length, true);
    }
}

typedef struct Reader {
    BlockNode *node;
    const uint8_t *disk;
    unsigned index;
} Reader;

static gpointer read_many(gpointer data)
{
    const Reader *r = data;
    uint8_t buf[3000];

    for (unsigned i = 0; i < 200; i++) {
        unsigned at = (r->index * 200 + i) * 512;

        g_assert_cmpint(node_pread(r->node, at, buf, sizeof(buf)), ==, 0);
        g_assert_cmpmem(buf, sizeof(buf), r->disk + at, sizeof(buf));
    }
    return NULL;
}

static void test_threads(void)
{
    Fake f = { .answer = reversed_answer };
    Reader readers[4];
    GThread *threads[4];
    BlockNode *node;

    fake_start(&f);
    node = open_name(name, NULL);
    for (unsigned i = 0; i < 4; i++) {
        readers[i] = (Reader){ node, f.disk, i };
        threads[i] = g_thread_new("read", read_many, &readers[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        g_thread_join(threads[i]);
    }
    node_close(node);
    fake_stop(&f);
}

/* Much to send and much to receive at once, more than sockets hold: whoever sends must not keep all from reading. */
static gpointer cross(gpointer data)
{
    const Reader *r = data;
    g_autofree uint8_t *buf = g_malloc0(SIZE);

    for (unsigned i = 0; i < 60; i++) {
        int err = (i + r->index) % 2 ? node_pwrite(r->node, 0, buf, SIZE)
                                     : node_pread(r->node, 0, buf, i % 3 ? SIZE : 512);

        g_assert_cmpint(err, ==, 0);
    }
    return NULL;
}

static void test_crossing(void)
{
    Fake f = { 0 };
    Reader readers[6];
    GThread *threads[6];
    BlockNode *node;

    fake_start(&f);
    node = open_name(name, NULL);
    for (unsigned i = 0; i < 6; i++) {
        readers[i] = (Reader){ node, f.disk, i };
        threads[i] = g_thread_new("cross", cross, &readers[i]);
    }
    for (unsigned i = 0; i < 6; i++) {
        g_thread_join(threads[i]);
    }
    node_close(node);
    fake_stop(&f);
}

/* ---- Random changes of what a server says ---- */

static GByteArray *good_bytes; /* of a whole session */
static GRand *dice;

static void put_recorded(const void *buf, size_t n)
{
    g_byte_array_append(good_bytes, buf, (guint)n);
}

/* What a server says to the requests of use_node(), whose cookies are known: the first of each slot. */
static void record_good(void)
{
    NbdOptionReply replies[] = { { NBD_OPT_STRUCTURED_REPLY, NBD_REP_ACK, 0 },
                                 { NBD_OPT_SET_META_CONTEXT, NBD_REP_META_CONTEXT, 19 },
                                 { NBD_OPT_SET_META_CONTEXT, NBD_REP_ACK, 0 },
                                 { NBD_OPT_GO, NBD_REP_INFO, 12 },
                                 { NBD_OPT_GO, NBD_REP_ACK, 0 } };
    uint8_t head[64], info[12];

    good_bytes = g_byte_array_new();
    nbd_put16(nbd_put64(nbd_put64(head, NBD_MAGIC), NBD_OPTION_MAGIC), 3);
    put_recorded(head, NBD_GREETING_BYTES);
    nbd_put16(nbd_put64(nbd_put16(info, NBD_INFO_EXPORT), SIZE),
              NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_WRITE_ZEROES);
    for (unsigned i = 0; i < G_N_ELEMENTS(replies); i++) {
        nbd_option_reply_put(head, &replies[i]);
        put_recorded(head, NBD_OPTION_REPLY_BYTES);
        put_recorded(i == 1 ? (const void *)("\0\0\0\7" NBD_CONTEXT_ALLOCATION) : info,
                     replies[i].length);
    }
    for (unsigned i = 0; i < 4; i++) {
        uint64_t cookie = (i + 1) * 64;
        NbdChunk data = { 0, NBD_REPLY_OFFSET_DATA, cookie, 8 + 1000 };
        NbdChunk hole = { 1, NBD_REPLY_OFFSET_HOLE, cookie, 12 };
        NbdChunk status = { 1, NBD_REPLY_BLOCK_STATUS, cookie, 12 };
        uint8_t body[1008] = { 0 };

        if (i == 0 || i == 3) {
            nbd_chunk_put(head, &data);
            put_recorded(head, NBD_CHUNK_BYTES);
            nbd_put64(body, 4096);
            put_recorded(body, sizeof(body));
            nbd_chunk_put(head, &hole);
            nbd_put32(nbd_put64(head + NBD_CHUNK_BYTES, 4096 + 1000), 3096);
            put_recorded(head, NBD_CHUNK_BYTES + 12);
        } else if (i == 1) {
            nbd_chunk_put(head, &status);
            nbd_put32(nbd_put32(nbd_put32(head + NBD_CHUNK_BYTES, CONTEXT_ID), 512), 3);
            put_recorded(head, NBD_CHUNK_BYTES + 12);
        } else {
            nbd_simple_put(head, cookie, 0);
            put_recorded(head, NBD_SIMPLE_BYTES);
        }
    }
}

/* The same requests as are answered there; 0 if all went well. */
static int use_node(BlockNode *node)
{
    uint8_t buf[4096];
    NodeStatus status;
    int err = node_pread(node, 4096, buf, sizeof(buf));

    err |= node_status(node, 0, 65536, &status);
    err |= node_pwrite(node, 0, buf, 512);
    err |= node_pread(node, 4096, buf, sizeof(buf));
    return err;
}

/* Changes some bytes of @bytes to others that matter. */
static void damage(uint8_t *bytes, size_t n)
{
    static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };

    for (int i = g_rand_int_range(dice, 0, 4); i >= 0; i--) {
        uint32_t at = (uint32_t)g_rand_int_range(dice, 0, (gint32)n);

        bytes[at] = g_rand_boolean(dice) ? values[g_rand_int_range(dice, 0, 5)]
                                         : (uint8_t)(bytes[at] ^ 1 << g_rand_int_range(dice, 0, 8));
    }
}

static void greet_damaged(Fake *f)
{
    g_autofree uint8_t *bytes = g_memdup2(good_bytes->data, good_bytes->len);

    if (f->arg) {
        damage(bytes, good_bytes->len);
    }
    put(f, bytes, good_bytes->len);
    shutdown(f->stream->fd, SHUT_WR);
    nbd_stream_skip(f->stream, UINT64_MAX);
}

static void test_client_fuzz(void)
{
    gint64 end = g_get_monotonic_time() + G_USEC_PER_SEC;

    dice = g_rand_new_with_seed(42);
    record_good();
    for (unsigned i = 0; i < 3000 && g_get_monotonic_time() < end; i++) {
        Fake f = { .greet = greet_damaged, .arg = i };
        BlockNode *node;

        fake_start(&f);
        node = open_name(name, NULL);
        if (node) {
            int err = use_node(node);

            g_assert_true(i || !err);
            node_close(node);
        }
        g_assert_true(i || node);
        fake_stop(&f);
    }
    g_byte_array_unref(good_bytes);
    g_rand_free(dice);
}

/* ---- The server ---- */

typedef struct Served {
    NbdImage image;
    NbdServerOptions options;
    GThread *thread;
    char *file;
} Served;

static gint is_ready;

static bool note_ready(void)
{
    g_atomic_int_set(&is_ready, 1);
    return true;
}

static gpointer serve(gpointer data)
{
    Served *s = data;

    return GINT_TO_POINTER(server_run(&s->options, &s->image, note_ready));
}

static void served_start(Served *s)
{
    NbdImageOptions options = { .format = "raw" };
    g_autofree uint8_t *zeroes = g_malloc0(SIZE);

    s->file = g_build_filename(folder, "disk", NULL);
    g_assert_true(g_file_set_contents(s->file, (const char *)zeroes, SIZE, NULL));
    options.file = s->file;
    s->image.name = "";
    s->image.discard = true;
    s->options.socket_path = path;
    s->options.persistent = true;
    g_assert_true(image_open(&s->image, &options));
    g_atomic_int_set(&is_ready, 0);
    s->thread = g_thread_new("server", serve, s);
    while (!g_atomic_int_get(&is_ready)) {
        g_usleep(1000);
    }
}

static void served_stop(Served *s)
{
    kill(getpid(), SIGTERM);
    g_assert_cmpint(GPOINTER_TO_INT(g_thread_join(s->thread)), ==, 0);
    g_assert_cmpint(image_close(&s->image), ==, 0);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_unlink(s->file);
    g_free(s->file);
}

typedef struct Part {
    BlockNode *node;
    uint8_t *model; /* of the whole disk */
    uint32_t begin, end;
    unsigned seed;
} Part;

/* Accesses of every kind to a part of the disk that is this thread's. */
static gpointer use_part(gpointer data)
{
    const Part *p = data;
    g_autoptr(GRand) rand = g_rand_new_with_seed(p->seed);
    g_autofree uint8_t *buf = g_malloc(SIZE);

    for (unsigned i = 0; i < 300; i++) {
        uint32_t at = (uint32_t)g_rand_int_range(rand, (gint32)p->begin, (gint32)p->end);
        uint32_t n = random_length(rand, i % 7 == 0, p->end - at);

        switch (g_rand_int_range(rand, 0, 5)) {
        case 0:
        case 1:
            memset(buf, (int)g_rand_int(rand), n);
            g_assert_cmpint(node_pwrite(p->node, at, buf, n), ==, 0);
            memcpy(p->model + at, buf, n);
            break;
        case 2:
            g_assert_cmpint(node_write_zeroes(p->node, at, n, i & 1), ==, 0);
            memset(p->model + at, 0, n);
            break;
        case 3:
            g_assert_cmpint(node_flush(p->node), ==, 0);
            break;
        default:
            g_assert_cmpint(node_pread(p->node, at, buf, n), ==, 0);
            g_assert_cmpmem(buf, n, p->model + at, n);
        }
    }
    return NULL;
}

static void test_server_model(void)
{
    g_autofree uint8_t *model = g_malloc0(SIZE), *buf = g_malloc(SIZE);
    Served s = { .options.shared = 0 };
    GThread *threads[6];
    Part parts[6];
    BlockNode *nodes[2];

    served_start(&s);
    nodes[0] = open_name(name, NULL);
    nodes[1] = open_name(name, NULL);
    for (unsigned i = 0; i < 6; i++) {
        parts[i] = (Part){ nodes[i % 2], model, i * SIZE / 6, (i + 1) * SIZE / 6, i };
        threads[i] = g_thread_new("part", use_part, &parts[i]);
    }
    for (unsigned i = 0; i < 6; i++) {
        g_thread_join(threads[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        g_assert_cmpint(node_pread(nodes[i], 0, buf, SIZE), ==, 0);
        g_assert_cmpmem(buf, SIZE, model, SIZE);
        node_close(nodes[i]);
    }
    served_stop(&s);
}

static int dial(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    return fd;
}

/* A good client's bytes: options, the way into the export, and @n requests of @length bytes to read. */
static GByteArray *client_bytes(unsigned n, uint32_t length)
{
    static const struct {
        uint32_t option;
        const char *data;
        uint32_t n;
    } options[] = {
        { NBD_OPT_LIST, "", 0 },
        { NBD_OPT_STRUCTURED_REPLY, "", 0 },
        { NBD_OPT_LIST_META_CONTEXT, "\0\0\0\0\0\0\0\0", 8 },
        { NBD_OPT_SET_META_CONTEXT, "\0\0\0\0\0\0\0\1\0\0\0\17base:allocation", 27 },
        { NBD_OPT_INFO, "\0\0\0\0\0\2\0\1\0\3", 10 },
        { 77, "what", 4 },
        { NBD_OPT_GO, "\0\0\0\0\0\0", 6 },
    };
    GByteArray *bytes = g_byte_array_new();
    uint8_t head[NBD_REQUEST_BYTES];

    nbd_put32(head, 3);
    g_byte_array_append(bytes, head, 4);
    for (unsigned i = 0; i < G_N_ELEMENTS(options); i++) {
        nbd_option_put(head, options[i].option, options[i].n);
        g_byte_array_append(bytes, head, NBD_OPTION_BYTES);
        g_byte_array_append(bytes, (const uint8_t *)options[i].data, options[i].n);
    }
    for (unsigned i = 0; i < n; i++) {
        NbdRequest req = { .type = NBD_CMD_READ, .cookie = i, .length = length };

        nbd_request_put(head, &req);
        g_byte_array_append(bytes, head, sizeof(head));
    }
    return bytes;
}

/* One request of each kind. */
static void add_requests(GByteArray *bytes)
{
    uint8_t head[NBD_REQUEST_BYTES], data[512] = { 0 };

    for (unsigned type = 0; type <= NBD_CMD_BLOCK_STATUS + 1; type++) {
        NbdRequest req = { .type = (uint16_t)type, .cookie = type, .offset = 4096, .length = 512 };

        if (type != NBD_CMD_DISC) {
            nbd_request_put(head, &req);
            g_byte_array_append(bytes, head, sizeof(head));
        }
        if (type == NBD_CMD_WRITE) {
            g_byte_array_append(bytes, data, sizeof(data));
        }
    }
}

static void test_server_fuzz(void)
{
    g_autoptr(GByteArray) good = client_bytes(2, 512);
    gint64 end = g_get_monotonic_time() + G_USEC_PER_SEC;
    Served s = { .options.shared = 0, .image.with_depth = true };

    dice = g_rand_new_with_seed(43);
    add_requests(good);
    served_start(&s);
    for (unsigned i = 0; i < 5000 && g_get_monotonic_time() < end; i++) {
        g_autofree uint8_t *bytes = g_memdup2(good->data, good->len);
        int fd = dial();
        NbdStream *stream = nbd_stream_new(fd);
        uint64_t got = 0;
        uint8_t byte;

        if (i) {
            damage(bytes, good->len);
        }
        nbd_send(fd, 0, bytes, good->len, NULL, 0);
        shutdown(fd, SHUT_WR);
        while (nbd_stream_read(stream, &byte, 1) == 0) {
            got++;
        }
        g_assert_cmpuint(got, >=, NBD_GREETING_BYTES);
        g_assert_true(i || got > 2000); /* the good one got its bytes */
        nbd_stream_free(stream);
        close(fd);
    }
    g_rand_free(dice);
    served_stop(&s);
}

/* Some clients do nothing, one takes no replies: another one is served, and the server ends when it is told to. */
static void test_server_lazy_clients(void)
{
    g_autoptr(GByteArray) greedy = client_bytes(2000, 256 * 1024);
    Served s = { .options.shared = 8 };
    uint8_t buf[4096];
    BlockNode *node;
    int fds[4];

    served_start(&s);
    for (unsigned i = 0; i < 4; i++) {
        fds[i] = dial();
    }
    g_assert_cmpint(send(fds[0], greedy->data, greedy->len, MSG_NOSIGNAL), ==, greedy->len);
    node = open_name(name, NULL);
    g_assert_nonnull(node);
    for (unsigned i = 0; i < 100; i++) {
        g_assert_cmpint(node_pread(node, i * 4096, buf, sizeof(buf)), ==, 0);
    }
    node_close(node);
    shutdown(fds[0], SHUT_RDWR);
    served_stop(&s);
    for (unsigned i = 0; i < 4; i++) {
        close(fds[i]);
    }
}

/* A place that is taken is free again when its client goes. */
static void test_server_shared(void)
{
    Served s = { .options.shared = 1 };
    uint8_t buf[512];

    served_start(&s);
    for (unsigned i = 0; i < 20; i++) {
        BlockNode *node = open_name(name, NULL);

        g_assert_nonnull(node);
        g_assert_cmpint(node_pread(node, 0, buf, sizeof(buf)), ==, 0);
        node_close(node);
    }
    served_stop(&s);
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    g_set_printerr_handler(say_nothing);
    folder = g_dir_make_tmp("menura-test-XXXXXX", NULL);
    path = g_build_filename(folder, "socket", NULL);
    name = g_strconcat("nbd:unix:", path, NULL);
    g_test_add_func("/nbd/names", test_names);
    g_test_add_func("/nbd/options", test_options);
    g_test_add_func("/nbd/headers", test_headers);
    g_test_add_func("/nbd/client/bad-handshakes", test_bad_handshakes);
    g_test_add_func("/nbd/client/old-servers", test_old_servers);
    g_test_add_func("/nbd/client/bad-replies", test_bad_replies);
    g_test_add_func("/nbd/client/odd-replies", test_odd_replies);
    g_test_add_func("/nbd/client/status", test_status);
    g_test_add_func("/nbd/client/blocks", test_blocks);
    g_test_add_func("/nbd/client/lost-server", test_lost_server);
    g_test_add_func("/nbd/client/threads", test_threads);
    g_test_add_func("/nbd/client/crossing", test_crossing);
    g_test_add_func("/nbd/client/fuzz", test_client_fuzz);
    g_test_add_func("/nbd/server/model", test_server_model);
    g_test_add_func("/nbd/server/shared", test_server_shared);
    g_test_add_func("/nbd/server/lazy-clients", test_server_lazy_clients);
    g_test_add_func("/nbd/server/fuzz", test_server_fuzz);
    status = g_test_run();
    g_unlink(path);
    g_rmdir(folder);
    g_free(folder);
    g_free(path);
    g_free(name);
    return status;
}
