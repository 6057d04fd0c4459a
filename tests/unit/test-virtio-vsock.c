/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Virtual sockets as a driver sees them (tests/unit/virtio-driver.h), with the host's programs at the other ends; and what a hostile driver does. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw/virtio/virtio-vsock.h"
#include "softmmu/clock.h"
#include "tests/unit/virtio-hostile.h"
#include "util/bytes.h"

enum { VSOCK_HEADER = 44, VSOCK_BUFFER = 512, VSOCK_N = 16, GUEST_PORT = 1000, PORT = 77 };
enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };

static const uint32_t first_host_port = 1 << 30;

typedef struct Vsock {
    Slot *slot;
    Queue rx, tx, event;
    unsigned given, taken;
    int listener;                /* at the device's path with _PORT */
    uint16_t type;               /* of packets that are sent */
    uint64_t src_cid, dst_cid;   /* likewise */
    uint32_t buf_alloc, fwd_cnt; /* likewise */
    const uint8_t *header;       /* the last packet that came */
    uint32_t len;                /* its payload */
} Vsock;

static char *vsock_path(const char *suffix)
{
    return g_strdup_printf("%s/vsock%s", driver_folder, suffix);
}

/* A socket that listens at @path, or is connected to it (-1: refused). */
static int unix_socket(const char *path, bool listens)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    if (listens) {
        g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
        g_assert_cmpint(listen(fd, 400), ==, 0);
    } else if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void give_vsock_buffers(Vsock *v, unsigned n)
{
    for (; n; n--) {
        uint64_t at = v->rx.heap + VSOCK_BUFFER * (v->given++ % VSOCK_N);

        /* The header in two pieces. */
        queue_add(&v->rx, (Buffer[]){ { at, 10, true }, { at + 10, VSOCK_BUFFER - 10, true } }, 2);
    }
    queue_kick(&v->rx);
}

static void vsock_start(Vsock *v, uint64_t features)
{
    slot_negotiate(v->slot, VERSION_1 | features);
    queue_enable(&v->rx, v->slot, 0, QUEUE);
    queue_enable(&v->tx, v->slot, 1, QUEUE);
    queue_enable(&v->event, v->slot, 2, QUEUE);
    v->rx.packed = v->tx.packed = v->event.packed = features & RING_PACKED;
    v->rx.indirect = features & INDIRECT_DESC;
    v->given = v->taken = 0;
    v->type = 1;
    v->src_cid = 9;
    v->dst_cid = 2;
    v->buf_alloc = 1 << 20;
    v->fwd_cnt = 0;
    slot_set_reg(v->slot, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static Vsock *vsock_slot(void)
{
    HwDevice *dev = hw_device_new(hw_virtio_vsock_get_type(), NULL);
    g_autofree char *path = vsock_path(""), *listens = vsock_path("_77");
    g_autoptr(GError) error = NULL;
    Vsock *v = g_new0(Vsock, 1);

    g_assert_true(hw_device_set_prop(dev, "path", path, &error));
    g_assert_true(hw_device_set_prop(dev, "guest-cid", "9", &error));
    g_assert_true(hw_device_set_prop(dev, "packed", "on", &error));
    v->slot = slot_new(dev, false);
    v->listener = unix_socket(listens, true);
    return v;
}

static void vsock_slot_free(Vsock *v)
{
    g_autofree char *path = vsock_path(""), *listens = vsock_path("_77");

    slot_free(v->slot);
    close(v->listener);
    g_unlink(listens);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_free(v);
}

/* Sends a packet with @len bytes at tx.heap + 0x100. */
static void vsock_send(Vsock *v, unsigned op, uint32_t guest_port, uint32_t host_port, uint32_t len,
                       uint32_t flags)
{
    uint8_t *h = guest_ram + (v->tx.heap - RAM_BASE);

    bytes_put_le64(h, v->src_cid);
    bytes_put_le64(h + 8, v->dst_cid);
    bytes_put_le32(h + 16, guest_port);
    bytes_put_le32(h + 20, host_port);
    bytes_put_le32(h + 24, len);
    bytes_put_le16(h + 28, v->type);
    bytes_put_le16(h + 30, (uint16_t)op);
    bytes_put_le32(h + 32, flags);
    bytes_put_le32(h + 36, v->buf_alloc);
    bytes_put_le32(h + 40, v->fwd_cnt);
    queue_add(
        &v->tx,
        (Buffer[]){ { v->tx.heap, VSOCK_HEADER, false }, { v->tx.heap + 0x100, len + 1, false } },
        2);
    queue_kick(&v->tx);
    queue_wait_next(&v->tx);
}

static void vsock_say(Vsock *v, const char *text)
{
    memcpy(guest_ram + (v->tx.heap + 0x100 - RAM_BASE), text, strlen(text));
    vsock_send(v, RW, GUEST_PORT, PORT, (uint32_t)strlen(text), 0);
}

/* The next packet must be one with @op; its payload. */
static const uint8_t *vsock_expect(Vsock *v, unsigned op, uint32_t guest_port, uint32_t host_port)
{
    queue_wait_next(&v->rx);
    v->header = guest_ram + (v->rx.heap - RAM_BASE) + VSOCK_BUFFER * (v->taken++ % VSOCK_N);
    v->len = bytes_get_le32(v->header + 24);
    g_assert_cmpuint(bytes_get_le16(v->header + 30), ==, op);
    g_assert_cmpuint(bytes_get_le64(v->header), ==, v->dst_cid);
    g_assert_cmpuint(bytes_get_le64(v->header + 8), ==, 9);
    g_assert_cmpuint(bytes_get_le32(v->header + 16), ==, host_port);
    g_assert_cmpuint(bytes_get_le32(v->header + 20), ==, guest_port);
    g_assert_cmpuint(bytes_get_le16(v->header + 28), ==, v->type);
    g_assert_true(op == RW ? v->len > 0 : v->len == 0);
    return v->header + VSOCK_HEADER;
}

static void vsock_expect_nothing(const Vsock *v)
{
    g_usleep(20000);
    driver_settle();
    g_assert_false(queue_has_used(&v->rx));
}

static uint32_t vsock_flags(const Vsock *v)
{
    return bytes_get_le32(v->header + 32);
}

/* A connection that the guest makes to PORT: the host's end. */
static int vsock_connect(Vsock *v, uint32_t guest_port)
{
    vsock_send(v, REQUEST, guest_port, PORT, 0, 0);
    vsock_expect(v, RESPONSE, guest_port, PORT);
    g_assert_cmpuint(bytes_get_le32(v->header + 36), ==, 256 << 10);
    return accept(v->listener, NULL, NULL);
}

static void assert_host_end(int fd)
{
    char c;

    g_assert_cmpint(recv(fd, &c, 1, 0), <=, 0);
    close(fd);
}

static void use_vsock(Vsock *v, uint64_t features)
{
    uint8_t data[2000], got[2000];
    unsigned n = 0;
    int fd;

    vsock_start(v, features);
    give_vsock_buffers(v, VSOCK_N);
    v->buf_alloc = 1000;
    fd = vsock_connect(v, GUEST_PORT);
    vsock_say(v, "hello");
    host_expect(fd, "hello");
    for (unsigned i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7);
    }
    g_assert_cmpint(write(fd, data, sizeof(data)), ==, sizeof(data));
    while (n < sizeof(data)) {
        const uint8_t *payload = vsock_expect(v, RW, GUEST_PORT, PORT);

        g_assert_cmpuint(n + v->len, <=, n < 1000 ? 1000 : 2000);
        memcpy(got + n, payload, v->len);
        n += v->len;
        give_vsock_buffers(v, 1);
        if (n % 1000 == 0) { /* that was all the credit there was */
            vsock_expect(v, CREDIT_REQUEST, GUEST_PORT, PORT);
            vsock_expect_nothing(v);
            v->fwd_cnt = n;
            vsock_send(v, CREDIT_UPDATE, GUEST_PORT, PORT, 0, 0);
        }
    }
    g_assert_cmpmem(data, sizeof(data), got, sizeof(got));
    vsock_send(v, CREDIT_REQUEST, GUEST_PORT, PORT, 0, 0);
    vsock_expect(v, CREDIT_UPDATE, GUEST_PORT, PORT);
    g_assert_cmpuint(bytes_get_le32(v->header + 40), ==, 5);
    shutdown(fd, SHUT_WR);
    vsock_expect(v, SHUTDOWN, GUEST_PORT, PORT);
    g_assert_cmphex(vsock_flags(v), ==, 2);
    vsock_say(v, "still");
    host_expect(fd, "still");
    close(fd);
    vsock_expect(v, SHUTDOWN, GUEST_PORT, PORT);
    g_assert_cmphex(vsock_flags(v), ==, 3);
    vsock_say(v, "is lost");
    vsock_send(v, RST, GUEST_PORT, PORT, 0, 0);
    vsock_say(v, "no more");
    vsock_expect(v, RST, GUEST_PORT, PORT);
}

static void test_vsock(void)
{
    const uint64_t sets[] = { 0, EVENT_IDX, INDIRECT_DESC, RING_PACKED, RING_PACKED | EVENT_IDX };
    Vsock *v = vsock_slot();

    g_assert_cmpuint(slot_reg(v->slot, DEVICE_ID), ==, 19);
    g_assert_cmpuint(slot_reg(v->slot, CONFIG), ==, 9);
    g_assert_cmphex(slot_offered(v->slot) & 0xffff, ==, 1); /* no SEQPACKET */
    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        use_vsock(v, sets[i]);
    }
    vsock_slot_free(v);
}

static void test_vsock_refusals(void)
{
    Vsock *v = vsock_slot();

    vsock_start(v, 0);
    vsock_send(v, REQUEST, GUEST_PORT, 5, 0, 0); /* nobody listens; and there is no buffer */
    give_vsock_buffers(v, VSOCK_N);
    vsock_expect(v, RST, GUEST_PORT, 5);
    for (unsigned op = 0; op < 9; op++) {
        if (op != REQUEST && op != RST) {
            vsock_send(v, op, GUEST_PORT, PORT, 0, 0);
            vsock_expect(v, RST, GUEST_PORT, PORT);
        }
    }
    vsock_send(v, RST, GUEST_PORT, PORT, 0, 0);
    v->type = 2;
    vsock_send(v, REQUEST, GUEST_PORT, PORT, 0, 0);
    vsock_expect(v, RST, GUEST_PORT, PORT);
    v->type = 1;
    v->dst_cid = 7;
    vsock_send(v, REQUEST, GUEST_PORT, PORT, 0, 0);
    vsock_expect(v, RST, GUEST_PORT, PORT);
    v->dst_cid = 2;
    v->src_cid = 8;
    vsock_send(v, REQUEST, GUEST_PORT, PORT, 0, 0);
    vsock_expect_nothing(v);
    v->src_cid = 9;
    close(vsock_connect(v, GUEST_PORT));
    vsock_expect(v, SHUTDOWN, GUEST_PORT, PORT);
    vsock_send(v, REQUEST, GUEST_PORT, PORT, 0, 0); /* there is one already */
    give_vsock_buffers(v, 8);
    vsock_expect(v, RST, GUEST_PORT, PORT);
    vsock_expect_nothing(v);
    vsock_slot_free(v);
}

/* More answers than the device keeps: they all come, when there are buffers. */
static void test_vsock_answers(void)
{
    Vsock *v = vsock_slot();

    vsock_start(v, 0);
    for (unsigned i = 0; i < 64; i++) {
        vsock_send(v, RW, i, PORT, 0, 0);
    }
    queue_add(&v->tx, (Buffer[]){ { v->tx.heap, VSOCK_HEADER, false } }, 1);
    queue_kick(&v->tx);
    driver_settle();
    g_assert_false(queue_has_used(&v->tx));
    for (unsigned i = 0; i < 64; i++) {
        give_vsock_buffers(v, 1);
        vsock_expect(v, RST, i, PORT);
    }
    queue_wait_next(&v->tx);
    give_vsock_buffers(v, 1);
    vsock_expect(v, RST, 63, PORT);
    vsock_slot_free(v);
}

static int host_connect(const char *greeting)
{
    g_autofree char *path = vsock_path("");
    int fd = unix_socket(path, false);

    g_assert_cmpint(write(fd, greeting, strlen(greeting)), ==, strlen(greeting));
    return fd;
}

static void test_vsock_from_host(void)
{
    static const char *const bad[] = { "CONNECT\n",
                                       "CONNECT x\n",
                                       "CONNECT 4294967296\n",
                                       "CONNECT -1\n",
                                       "connect 5\n",
                                       "\n",
                                       "CONNECT 00000000000000000000000000000005\n" };
    Vsock *v = vsock_slot();
    int fd = host_connect("CONNECT 5000\n");

    assert_host_end(fd); /* there is no driver */
    vsock_start(v, 0);
    give_vsock_buffers(v, VSOCK_N);
    fd = host_connect("CONN");
    g_usleep(10000);
    g_assert_cmpint(write(fd, "ECT 5000\nextra", 14), ==, 14);
    vsock_expect(v, REQUEST, 5000, first_host_port);
    vsock_expect_nothing(v);
    vsock_send(v, RESPONSE, 5000, first_host_port, 0, 0);
    g_assert_cmpmem(vsock_expect(v, RW, 5000, first_host_port), 5, "extra", 5);
    host_expect(fd, "OK 1073741824\n");
    vsock_send(v, RST, 5000, first_host_port, 0, 0);
    assert_host_end(fd);
    fd = host_connect("CONNECT 5000\n"); /* refused by the guest */
    vsock_expect(v, REQUEST, 5000, first_host_port + 1);
    vsock_send(v, RST, 5000, first_host_port + 1, 0, 0);
    assert_host_end(fd);
    fd = host_connect("CONNECT 6000\n"); /* gives up before the guest answers */
    vsock_expect(v, REQUEST, 6000, first_host_port + 2);
    close(fd);
    vsock_expect(v, RST, 6000, first_host_port + 2);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        assert_host_end(host_connect(bad[i]));
    }
    fd = host_connect("CONNECT 5");
    vsock_expect_nothing(v);
    vsock_slot_free(v);
    assert_host_end(fd);
}

/* Bytes that the guest may send, as it knows by packet headers. */
static uint32_t vsock_credit(const Vsock *v, uint32_t sent)
{
    return bytes_get_le32(v->header + 36) - (sent - bytes_get_le32(v->header + 40));
}

/* Sends as much as there is credit for, to a host that does not read; returns how much. */
static uint32_t fill_host(Vsock *v)
{
    uint32_t sent = 0, len;

    while ((len = MIN(vsock_credit(v, sent), 4096))) {
        uint8_t *data = guest_ram + (v->tx.heap + 0x100 - RAM_BASE);

        for (uint32_t i = 0; i < len; i++) {
            data[i] = (uint8_t)((sent + i) * 13 >> 4);
        }
        vsock_send(v, RW, GUEST_PORT, PORT, len, 0);
        sent += len;
        while (queue_has_used(&v->rx)) {
            vsock_expect(v, CREDIT_UPDATE, GUEST_PORT, PORT);
            give_vsock_buffers(v, 1);
        }
    }
    return sent;
}

static void drain_host(int fd, uint32_t len)
{
    uint8_t buf[4096];

    for (uint32_t done = 0; done < len;) {
        ssize_t n = read(fd, buf, MIN(sizeof(buf), len - done));

        g_assert_cmpint(n, >, 0);
        for (ssize_t i = 0; i < n; i++, done++) {
            g_assert_cmpuint(buf[i], ==, (uint8_t)(done * 13 >> 4));
        }
    }
}

static void test_vsock_credit(void)
{
    Vsock *v = vsock_slot();
    uint32_t sent;
    int fd;

    vsock_start(v, 0);
    give_vsock_buffers(v, VSOCK_N);
    fd = vsock_connect(v, GUEST_PORT);
    sent = fill_host(v);
    g_assert_cmpuint(sent, >, 256 << 10);
    drain_host(fd, sent);
    vsock_expect(v, CREDIT_UPDATE, GUEST_PORT, PORT);
    while (vsock_credit(v, sent) <= 192 << 10) {
        vsock_expect(v, CREDIT_UPDATE, GUEST_PORT, PORT);
    }
    vsock_send(v, RST, GUEST_PORT, PORT, 0, 0);
    assert_host_end(fd);
    vsock_start(v, 0);
    give_vsock_buffers(v, VSOCK_N);
    fd = vsock_connect(v, GUEST_PORT);
    fill_host(v);
    for (unsigned i = 0; i < 17 && !queue_has_used(&v->rx); i++) {
        vsock_send(v, RW, GUEST_PORT, PORT, 4096, 0); /* without credit */
    }
    vsock_expect(v, RST, GUEST_PORT, PORT);
    close(fd);
    vsock_slot_free(v);
}

/* The guest is through, the host has not read all yet: with and without waiting for the answer. */
static void test_vsock_close(void)
{
    Vsock *v = vsock_slot();

    for (unsigned i = 0; i < 3; i++) {
        uint32_t sent;
        int fd;

        vsock_start(v, 0);
        give_vsock_buffers(v, VSOCK_N);
        fd = vsock_connect(v, GUEST_PORT);
        sent = fill_host(v);
        vsock_send(v, SHUTDOWN, GUEST_PORT, PORT, 0, i ? 3 : 2);
        vsock_expect_nothing(v);
        if (i == 2) {
            vsock_send(v, RST, GUEST_PORT, PORT, 0, 0);
            close(vsock_connect(v, GUEST_PORT)); /* the same ports again */
        }
        drain_host(fd, sent);
        if (i == 1) {
            while (guest_get16(v->rx.used + 2) == v->rx.last_used) {
                g_usleep(100);
            }
            v->taken += (uint16_t)(guest_get16(v->rx.used + 2) - v->rx.last_used) - 1u;
            v->rx.last_used = (uint16_t)(guest_get16(v->rx.used + 2) - 1);
            vsock_expect(v, RST, GUEST_PORT, PORT); /* perhaps behind news of credit */
        }
        assert_host_end(fd);
    }
    vsock_slot_free(v);
}

static void test_vsock_limit(void)
{
    Vsock *v = vsock_slot();
    int fd[256];

    vsock_start(v, 0);
    for (unsigned i = 0; i < 256; i++) {
        give_vsock_buffers(v, 1);
        fd[i] = vsock_connect(v, i);
    }
    give_vsock_buffers(v, 1);
    vsock_send(v, REQUEST, 256, PORT, 0, 0);
    vsock_expect(v, RST, 256, PORT);
    assert_host_end(host_connect("CONNECT 1\n"));
    vsock_send(v, RST, 7, PORT, 0, 0);
    give_vsock_buffers(v, 1);
    close(vsock_connect(v, 256));
    slot_set_reg(v->slot, STATUS, 0);
    for (unsigned i = 0; i < 256; i++) {
        assert_host_end(fd[i]);
    }
    vsock_slot_free(v);
}

/* After a snapshot was loaded the connections are gone, and the guest is told so once. */
static void test_vsock_state(void)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    Vsock *v = vsock_slot();
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(v->slot->dev);
    g_autoptr(GError) error = NULL;
    int fd;

    vsock_start(v, 0);
    give_vsock_buffers(v, VSOCK_N);
    fd = vsock_connect(v, GUEST_PORT);
    machine_lock();
    state_save(v->slot->dev, dc->state, saved);
    g_assert_true(state_load(v->slot->dev, dc->state, saved->data, saved->len, &error));
    g_assert_true(dc->post_load(v->slot->dev, &error));
    machine_unlock();
    assert_host_end(fd);
    driver_settle();
    guest_put(v->event.heap, UINT64_MAX, 8);
    for (unsigned i = 0; i < 2; i++) {
        queue_add(&v->event, (Buffer[]){ { v->event.heap, 4, true } }, 1);
    }
    queue_kick(&v->event);
    queue_wait_next(&v->event);
    g_assert_cmphex(bytes_get_le64(guest_ram + (v->event.heap - RAM_BASE)), ==, ~0ull << 32);
    vsock_say(v, "hello");
    vsock_expect(v, RST, GUEST_PORT, PORT);
    g_assert_false(queue_has_used(&v->event));
    close(vsock_connect(v, GUEST_PORT));
    vsock_slot_free(v);
}

static void test_vsock_properties(void)
{
    static const char *const bad[] = { "0", "2", "4294967295", "18446744073709551615", "x" };
    HwDevice *dev = hw_device_new(hw_virtio_vsock_get_type(), NULL);
    g_autofree char *busy = vsock_path("-busy"), *longest = g_strnfill(100, 'x');
    g_autoptr(GError) error = NULL;
    int fd = unix_socket(busy, true);

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(hw_device_set_prop(dev, "guest-cid", bad[i], &error));
        g_clear_error(&error);
    }
    machine_lock();
    g_assert_false(hw_device_realize(dev, &error));
    g_assert_nonnull(strstr(error->message, "path: missing"));
    g_clear_error(&error);
    g_assert_true(hw_device_set_prop(dev, "path", longest, &error));
    g_assert_false(hw_device_realize(dev, &error));
    g_assert_nonnull(strstr(error->message, "too long"));
    g_clear_error(&error);
    g_assert_true(hw_device_set_prop(dev, "path", busy, &error));
    g_assert_false(hw_device_realize(dev, &error));
    g_assert_nonnull(strstr(error->message, "another program"));
    close(fd); /* left behind: it is taken over */
    g_clear_error(&error);
    g_assert_true(hw_device_realize(dev, &error));
    g_assert_no_error(error);
    g_object_unref(dev);
    machine_unlock();
    g_assert_false(g_file_test(busy, G_FILE_TEST_EXISTS));
}

/* The other end of a hostile driver of sockets. */
static int vsock_ends[16], vsock_listener;

static void wild_host(void)
{
    int *fd = &vsock_ends[g_test_rand_int_range(0, G_N_ELEMENTS(vsock_ends))];
    g_autofree char *path = vsock_path("");
    uint8_t data[4096] = { 0 };

    if (*fd < 0 && hostile_one_in(2)) {
        *fd = accept(vsock_listener, NULL, NULL);
    } else if (*fd < 0) {
        g_autofree char *line = g_strdup_printf("CONNECT %d\n", g_test_rand_int_range(0, 8));

        *fd = unix_socket(path, false);
        send(*fd, line, strlen(line), MSG_NOSIGNAL);
    } else if (hostile_one_in(8)) {
        close(*fd);
        *fd = -1;
    } else if (hostile_one_in(16)) {
        shutdown(*fd, g_test_rand_int_range(0, 3));
    } else if (hostile_one_in(2)) {
        send(*fd, data, (size_t)g_test_rand_int_range(0, 4096), MSG_NOSIGNAL | MSG_DONTWAIT);
    } else {
        recv(*fd, data, sizeof(data), MSG_DONTWAIT);
    }
}

/* A packet, and a buffer for one; but for one mistake in a few. */
static void wild_vsock(Queue *q)
{
    uint8_t *h = guest_ram + (q->heap - RAM_BASE);
    uint32_t len = hostile_one_in(64) ? hostile_length() : (uint32_t)g_test_rand_int_range(0, 4096);
    bool from_device = q->n != 1;
    Buffer b[2] = { { q->heap, VSOCK_HEADER, from_device },
                    { hostile_one_in(64) ? hostile_address() : q->heap + 0x100, len,
                      from_device } };

    wild_host();
    bytes_put_le64(h, hostile_one_in(64) ? 8 : 9);
    bytes_put_le64(h + 8, hostile_one_in(64) ? 3 : 2);
    bytes_put_le32(h + 16, (uint32_t)g_test_rand_int_range(0, 8));
    bytes_put_le32(
        h + 20, hostile_one_in(4) ? first_host_port + (uint32_t)g_test_rand_int_range(0, 8) : PORT);
    bytes_put_le32(h + 24, hostile_one_in(16) ? hostile_length() : len);
    bytes_put_le16(h + 28, hostile_one_in(64) ? 2 : 1);
    bytes_put_le16(
        h + 30,
        (uint16_t)(hostile_one_in(2) ? RW : g_test_rand_int_range(0, hostile_one_in(8) ? 9 : 3)));
    bytes_put_le32(h + 32, hostile_one_in(8) ? (uint32_t)g_test_rand_int_range(0, 4) : 0);
    bytes_put_le32(h + 36, hostile_one_in(8) ? hostile_length() : 1 << 30);
    bytes_put_le32(h + 40, hostile_one_in(8) ? hostile_length() : 0);
    queue_add(q, b, hostile_one_in(16) ? 1 : 2);
}

static void test_hostile_vsock(void)
{
    Vsock *v = vsock_slot();

    vsock_listener = v->listener;
    g_assert_cmpint(fcntl(vsock_listener, F_SETFL, O_NONBLOCK), ==, 0);
    memset(vsock_ends, 0xff, sizeof(vsock_ends));
    hostile_drive(v->slot, 3, false, hostile_steps(), wild_vsock);
    for (unsigned i = 0; i < G_N_ELEMENTS(vsock_ends); i++) {
        if (vsock_ends[i] >= 0) {
            close(vsock_ends[i]);
        }
    }
    vsock_slot_free(v);
}

int main(int argc, char **argv)
{
    driver_init(&argc, &argv);
    g_test_add_func("/virtio/vsock/use", test_vsock);
    g_test_add_func("/virtio/vsock/refusals", test_vsock_refusals);
    g_test_add_func("/virtio/vsock/answers", test_vsock_answers);
    g_test_add_func("/virtio/vsock/from-host", test_vsock_from_host);
    g_test_add_func("/virtio/vsock/credit", test_vsock_credit);
    g_test_add_func("/virtio/vsock/close", test_vsock_close);
    g_test_add_func("/virtio/vsock/limit", test_vsock_limit);
    g_test_add_func("/virtio/vsock/state", test_vsock_state);
    g_test_add_func("/virtio/vsock/properties", test_vsock_properties);
    g_test_add_func("/virtio/hostile/vsock", test_hostile_vsock);
    return driver_run();
}
