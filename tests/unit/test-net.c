/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Networks without a machine: checksums and segments against a plain computation, random frames through the offloads, back ends in pairs, what a
 * hostile peer may send, flow control.
 */
#include <arpa/inet.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "net/net.h"
#include "net/offload.h"
#include "util/bytes.h"

enum { ETH = 14, IP4 = 20, IP6 = 40, TCP = 20, SECONDS = 20 };

static char *folder;
static GMutex lock;

static void take(void)
{
    g_mutex_lock(&lock);
}

static void leave(void)
{
    g_mutex_unlock(&lock);
}

/* ---- A port that keeps what it gets ---- */

typedef struct Port {
    NetBackend *b;
    NetList got;
    unsigned room, links;
} Port;

static bool port_receive(void *opaque, const NetFrame *f)
{
    Port *p = opaque;
    NetFrame *copy;

    if (!p->room) {
        return false;
    }
    p->room--;
    copy = net_frame_new(f->len);
    memcpy(copy->data, f->data, f->len);
    copy->offload = f->offload;
    net_list_append(&p->got, copy);
    return true;
}

static void port_link(void *opaque)
{
    ((Port *)opaque)->links++;
}

static const NetPortOps ops = { .receive = port_receive, .link_changed = port_link };

static Port *port_new(const char *id)
{
    Port *p = g_new0(Port, 1);

    p->b = net_find(id);
    p->room = 1000000;
    g_assert_nonnull(p->b);
    g_assert_true(net_attach(p->b, &ops, p, id, NULL, NULL));
    return p;
}

static void port_free(Port *p)
{
    net_list_clear(&p->got);
    g_free(p);
}

static void make(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void make(const char *format, ...)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    net_new(text, &error);
    g_assert_no_error(error);
}

/* Until @n frames are there. */
static void wait_for(Port *p, unsigned n)
{
    for (unsigned i = 0; i < SECONDS * 1000; i++) {
        bool there;

        take();
        there = p->got.n >= n;
        leave();
        if (there) {
            return;
        }
        g_usleep(1000);
    }
    g_error("%u frames came instead of %u", p->got.n, n);
}

static void wait_for_link(Port *p)
{
    for (unsigned i = 0; i < SECONDS * 1000 && !net_link_is_up(p->b); i++) {
        g_usleep(1000);
    }
    g_assert_true(net_link_is_up(p->b));
}

static bool send_frame(Port *p, const NetFrame *f)
{
    struct iovec iov[2] = { { (void *)f->data, 10 }, { (void *)(f->data + 10), f->len - 10 } };
    bool ok;

    take();
    ok = net_send(p->b, &f->offload, iov, 2);
    net_flush(p->b);
    leave();
    return ok;
}

/* ---- Frames and a plain computation ---- */

static uint16_t plain_sum(const uint8_t *p, size_t len, uint64_t sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += i & 1 ? p[i] : p[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static uint16_t tcp_sum(const uint8_t *ip, bool six, size_t len)
{
    return plain_sum(ip + (six ? IP6 : IP4), len,
                     plain_sum(ip + (six ? 8 : 12), six ? 32 : 8, 6 + len));
}

static NetFrame *tcp_frame(bool six, size_t payload, uint16_t mss)
{
    size_t l4 = ETH + (six ? IP6 : IP4);
    NetFrame *f = net_frame_new(l4 + TCP + payload);
    uint8_t *ip = f->data + ETH, *tcp = f->data + l4;

    for (size_t i = 0; i < f->len; i++) {
        f->data[i] = (uint8_t)g_test_rand_int();
    }
    f->data[0] = 0x52;
    bytes_put_be16(f->data + 12, six ? 0x86dd : 0x0800);
    ip[0] = six ? 0x60 : 0x45;
    if (six) {
        ip[6] = 6;
    } else {
        bytes_put_be16(ip + 6, 0x4000);
        ip[9] = 6;
    }
    tcp[12] = 0x50;
    tcp[13] = 0x10 | 8 | 1; /* ACK PSH FIN */
    f->offload = (NetOffload){ .flags = NET_NEEDS_CSUM,
                               .gso = !mss  ? NET_GSO_NONE
                                      : six ? NET_GSO_TCP6
                                            : NET_GSO_TCP4,
                               .gso_size = mss,
                               .csum_start = (uint16_t)l4,
                               .csum_offset = 16 };
    bytes_put_be16(tcp + 16, plain_sum(ip + (six ? 8 : 12), six ? 32 : 8, 6 + TCP + payload));
    return f;
}

static void check_segments(bool six, size_t payload, uint16_t mss)
{
    NetFrame *f = tcp_frame(six, payload, mss);
    size_t head = ETH + (six ? IP6 : IP4) + TCP, at = 0;
    g_autofree uint8_t *want = g_memdup2(f->data, f->len);
    uint32_t seq = bytes_get_be32(f->data + head - TCP + 4);
    NetList out = { 0 };

    net_offload_finish(f, 0, false, &out);
    for (NetFrame *s; (s = net_list_pop(&out)); g_free(s)) {
        const uint8_t *ip = s->data + ETH, *tcp = s->data + head - TCP;
        size_t len = s->len - head;
        bool last = at + len == payload;

        g_assert_cmpuint(len, ==, MIN(mss, payload - at));
        g_assert_cmpmem(s->data + head, len, want + head + at, len);
        g_assert_cmphex(bytes_get_be32(tcp + 4), ==, (uint32_t)(seq + at));
        g_assert_cmphex(tcp[13], ==, last ? 0x19 : 0x10);
        g_assert_cmphex(tcp_sum(ip, six, s->len - ETH - (six ? IP6 : IP4)), ==, 0xffff);
        g_assert_cmpuint(bytes_get_be16(ip + (six ? 4 : 2)), ==, s->len - ETH - (six ? IP6 : 0));
        g_assert_true(six || plain_sum(ip, IP4, 0) == 0xffff);
        g_assert_cmpuint(s->offload.flags | s->offload.gso, ==, 0);
        at += len;
    }
    g_assert_cmpuint(at, ==, payload);
}

static void test_segments(void)
{
    for (unsigned i = 0; i < 300; i++) {
        check_segments(i & 1, (size_t)g_test_rand_int_range(1, 60000),
                       (uint16_t)g_test_rand_int_range(100, 9000));
    }
}

static void test_checksum(void)
{
    for (unsigned i = 0; i < 300; i++) {
        bool six = i & 1;
        NetFrame *f = tcp_frame(six, (size_t)g_test_rand_int_range(0, 3000), 0);
        NetList out = { 0 };

        net_offload_finish(f, 0, false, &out);
        g_assert_cmpuint(out.n, ==, 1);
        g_assert_cmphex(tcp_sum(f->data + ETH, six, f->len - ETH - (six ? IP6 : IP4)), ==, 0xffff);
        net_list_clear(&out);
    }
}

/* Anything at all ends in frames of sound lengths. */
static void test_hostile_offloads(void)
{
    for (unsigned i = 0; i < 100000; i++) {
        NetFrame *f = tcp_frame(i & 1, (size_t)g_test_rand_int_range(0, 300), 100);
        NetList out = { 0 };

        for (unsigned j = 0; j < 4; j++) {
            f->data[12 + g_test_rand_int_range(0, (int)MIN(f->len - 12, 60))] =
                (uint8_t)g_test_rand_int();
        }
        if (i & 2) {
            ((uint8_t *)&f->offload)[g_test_rand_int_range(0, sizeof(NetOffload))] =
                (uint8_t)g_test_rand_int();
        }
        f->len = (uint32_t)g_test_rand_int_range(NET_MIN_FRAME, (int)f->len + 1);
        if (!net_offload_is_sound(&f->offload, f->len)) {
            g_free(f);
            continue;
        }
        if (i & 4) {
            f->offload = (NetOffload){ 0 };
            net_tcp_raise_mss(f, 100, 1000);
            net_tcp_mark(f, 100);
            net_fragment(f, 100, &out);
            f = net_list_pop(&out);
            net_list_clear(&out);
        }
        net_offload_finish(f, i & 8 ? NET_TAKES_CSUM : 0, i & 16, &out);
        for (f = out.first; f; f = f->next) {
            g_assert_cmpuint(f->len, >=, NET_MIN_FRAME);
            g_assert_cmpuint(f->len, <=, NET_MAX_FRAME);
        }
        net_list_clear(&out);
    }
}

/* Refused, as cutting them up would never end, or give very many. */
static void test_endless_segments(void)
{
    static const NetOffload bad[] = {
        { .gso = NET_GSO_ECN, .csum_start = 34, .csum_offset = 16 },
        { .gso = NET_GSO_ECN, .flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 },
        { .gso = NET_GSO_TCP4, .flags = NET_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16 },
        { .gso = NET_GSO_TCP4,
          .flags = NET_NEEDS_CSUM,
          .gso_size = 1,
          .csum_start = 34,
          .csum_offset = 16 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(net_offload_is_sound(&bad[i], 60000));
    }
}

/* ---- Back ends ---- */

/* Both ways; what is large arrives large if the link carries that. */
static void exchange(Port *a, Port *b, bool offloads)
{
    wait_for_link(a);
    wait_for_link(b);
    for (unsigned i = 0; i < 200; i++) {
        NetFrame *f = tcp_frame(false, 20 + i * 7, 0);
        Port *from = i & 1 ? a : b, *to = i & 1 ? b : a;
        unsigned n = to->got.n;

        g_assert_true(send_frame(from, f));
        wait_for(to, n + 1);
        g_assert_cmpmem(to->got.last->data + ETH + IP4 + TCP, 20 + i * 7, f->data + ETH + IP4 + TCP,
                        20 + i * 7);
        g_free(f);
    }
    if (offloads) {
        NetFrame *f = tcp_frame(true, 50000, 1000);
        unsigned n = b->got.n;

        net_set_port_features(b->b, NET_TAKES_CSUM | NET_TAKES_TSO6);
        g_assert_true(send_frame(a, f));
        wait_for(b, n + 1);
        g_assert_cmpmem(b->got.last->data, b->got.last->len, f->data, f->len);
        g_assert_cmpuint(b->got.last->offload.gso_size, ==, 1000);
        net_set_port_features(b->b, 0);
        g_assert_true(send_frame(a, f));
        wait_for(b, n + 51);
        g_free(f);
    }
}

static void end(Port *a, Port *b)
{
    net_cleanup();
    port_free(a);
    port_free(b);
}

static void test_stream(void)
{
    Port *a, *b;

    make("stream,id=a,server=on,addr.type=unix,addr.path=%s/s", folder);
    make("stream,id=b,addr.type=unix,addr.path=%s/s", folder);
    a = port_new("a");
    b = port_new("b");
    net_start();
    exchange(a, b, true);
    end(a, b);
}

static void test_dgram(void)
{
    Port *a, *b;

    make("dgram,id=a,local.type=unix,local.path=%s/a,remote.type=unix,remote.path=%s/b", folder,
         folder);
    make("dgram,id=b,local.type=unix,local.path=%s/b,remote.type=unix,remote.path=%s/a", folder,
         folder);
    a = port_new("a");
    b = port_new("b");
    net_start();
    exchange(a, b, false);
    end(a, b);
}

static void test_hub(void)
{
    Port *a, *b;

    make("stream,id=s,server=on,addr.type=unix,addr.path=%s/h", folder);
    make("stream,id=b,addr.type=unix,addr.path=%s/h", folder);
    make("hubport,id=a,hubid=0");
    make("hubport,id=up,hubid=0,netdev=s");
    a = port_new("a");
    b = port_new("b");
    net_start();
    wait_for_link(b);
    while (!net_link_is_up(net_find("s"))) {
        g_usleep(1000);
    }
    exchange(a, b, true);
    end(a, b);
}

/* A port without room: frames wait, none is lost, and it is asked again. */
static void test_flow(void)
{
    Port *a, *b;

    make("stream,id=a,server=on,addr.type=unix,addr.path=%s/f", folder);
    make("stream,id=b,addr.type=unix,addr.path=%s/f", folder);
    a = port_new("a");
    b = port_new("b");
    b->room = 0;
    net_start();
    wait_for_link(a);
    wait_for_link(b);
    for (unsigned i = 0; i < 3000; i++) {
        NetFrame *f = tcp_frame(false, 1000, 0);

        bytes_put_be32(f->data, i);
        while (!send_frame(a, f)) {
            take();
            b->room += 100;
            net_receive_again(b->b);
            leave();
            g_usleep(1000);
        }
        g_free(f);
    }
    take();
    b->room = 3000;
    net_receive_again(b->b);
    leave();
    wait_for(b, 3000);
    for (unsigned i = 0; i < 3000; i++) {
        NetFrame *f = net_list_pop(&b->got);

        g_assert_cmpuint(bytes_get_be32(f->data), ==, i);
        g_free(f);
    }
    end(a, b);
}

/* Peers that send nonsense lose their connection; the next one is served. */
static void test_hostile_peer(void)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    Port *a;

    make("stream,id=a,server=on,addr.type=unix,addr.path=%s/e", folder);
    a = port_new("a");
    net_start();
    g_snprintf(un.sun_path, sizeof(un.sun_path), "%s/e", folder);
    for (unsigned round = 0; round < 30; round++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint32_t word[64];
        ssize_t n;

        g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        for (unsigned i = 0; i < G_N_ELEMENTS(word); i++) {
            word[i] = round & 1 ? (uint32_t)g_test_rand_int() : 0;
        }
        word[0] = htonl(round % 3 == 0 ? 0xffffffff : round % 3 == 1 ? 0x80000020 : 13);
        n = send(fd, word, sizeof(word), MSG_NOSIGNAL);
        g_assert_cmpint(n, !=, 0);
        close(fd);
    }
    net_cleanup();
    port_free(a);
}

static void test_refused(void)
{
    static const char *const bad[] = {
        "user",
        "vde,id=x",
        "usr,id=x",
        "user,id=x,net=1.2.3",
        "user,id=x,net=10.0.0.0/31",
        "user,id=x,host=1.2.3.4",
        "user,id=x,smb=/",
        "user,id=x,hostfwd=tcp:1-2",
        "user,id=x,hostfwd=sctp::1-:2",
        "user,id=x,hostfwd=tcp::99999-:2",
        "user,id=x,guestfwd=tcp:10.0.2.100:1-x:y",
        "user,id=x,ipv4=off,ipv6=off",
        "user,id=x,ipv6-net=fec0::/200",
        "user,id=x,colour=red",
        "socket,id=x",
        "socket,id=x,listen=1,connect=2",
        "socket,id=x,mcast=127.0.0.1:1",
        "stream,id=x",
        "stream,id=x,addr.type=unix,addr.path=/nowhere/to/be/found",
        "dgram,id=x,remote.type=inet,remote.host=127.0.0.1,remote.port=1",
        "tap,id=x,script=/bin/true",
        "tap,id=x,fd=0",
        "hubport,id=x",
        "hubport,id=x,hubid=0,netdev=y"
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", bad[i]);
        g_assert_false(net_new(bad[i], &error));
        g_assert_true(error && g_str_has_prefix(error->message, "netdev"));
    }
    net_cleanup();
}

static void test_mac(void)
{
    uint8_t mac[NET_MAC_LEN];

    g_assert_true(net_parse_mac("52:54:00:aB:cd:eF", mac) && mac[3] == 0xab && mac[5] == 0xef);
    g_assert_false(net_parse_mac("53:54:00:ab:cd:ef", mac)); /* a group's */
    g_assert_false(net_parse_mac("52:54:00:ab:cd", mac));
    g_assert_false(net_parse_mac("52:54:00:ab:cd:ef:", mac));
}

int main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("menura-net-XXXXXX", NULL);
    net_set_lock(take, leave);
    g_test_add_func("/net/mac", test_mac);
    g_test_add_func("/net/checksum", test_checksum);
    g_test_add_func("/net/segments", test_segments);
    g_test_add_func("/net/hostile-offloads", test_hostile_offloads);
    g_test_add_func("/net/endless-segments", test_endless_segments);
    g_test_add_func("/net/refused", test_refused);
    g_test_add_func("/net/stream", test_stream);
    g_test_add_func("/net/dgram", test_dgram);
    g_test_add_func("/net/hub", test_hub);
    g_test_add_func("/net/flow", test_flow);
    g_test_add_func("/net/hostile-peer", test_hostile_peer);
    status = g_test_run();
    g_rmdir(folder);
    g_free(folder);
    return status;
}
