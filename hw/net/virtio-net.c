/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio network device (virtio 1.2, section 5.1) on a network back end: queues 2n receive, 2n+1 send, the last is for control.
 *
 * All offloads are offered whatever the back end is: net/ finishes frames where it must. A frame is received into as many chains as it takes
 * (MRG_RXBUF); if there are too few, they stay available and the frame waits in net/. With several queue pairs a flow stays on one
 * of them, chosen by its addresses and ports.
 */
#include "hw/net/virtio-net.h"
#include <string.h>
#include "hw/virtio/virtio.h"
#include "net/net.h"
#include "net/offload.h"
#include "softmmu/runstate.h"
#include "util/bytes.h"
#include "util/log.h"

enum { DEVICE_ID = 1, CONFIG_SIZE = 17, MAX_PAIRS = (HW_VIRTIO_MAX_QUEUES - 1) / 2 };
enum { CTRL_QUEUE_SIZE = 64, MAX_COMMAND = 4096 };
enum { HEADER = 12, LEGACY_HEADER = 10, MAX_CHAINS = 256, MAX_PIECES = 1024 };
enum { MAX_MACS = 64, N_VLANS = 4096, ETH_VLAN = 0x8100 };
enum {
    F_CSUM = 0,
    F_GUEST_CSUM = 1,
    F_CTRL_GUEST_OFFLOADS = 2,
    F_MTU = 3,
    F_MAC = 5,
    F_GUEST_TSO4 = 7,
    F_GUEST_TSO6 = 8,
    F_GUEST_ECN = 9,
    F_HOST_TSO4 = 11,
    F_HOST_TSO6 = 12,
    F_HOST_ECN = 13,
    F_MRG_RXBUF = 15,
    F_STATUS = 16,
    F_CTRL_VQ = 17,
    F_CTRL_RX = 18,
    F_CTRL_VLAN = 19,
    F_CTRL_RX_EXTRA = 20,
    F_GUEST_ANNOUNCE = 21,
    F_MQ = 22,
    F_CTRL_MAC_ADDR = 23,
    F_SPEED_DUPLEX = 63,
};
enum { STATUS_LINK_UP = 1, STATUS_ANNOUNCE = 2 };
/* Control commands (5.1.6.5): class and command. */
enum {
    CTRL_RX = 0,
    CTRL_MAC = 1,
    CTRL_VLAN = 2,
    CTRL_ANNOUNCE = 3,
    CTRL_MQ = 4,
    CTRL_OFFLOADS = 5
};
enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1 };
enum { VLAN_ADD = 0, VLAN_DEL = 1 };
enum { N_RX_MODES = 6 };
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };

typedef struct HwVirtioNet {
    HwVirtio parent;
    NetBackend *net;
    char *name; /* for "info network" */

    /* Properties. */
    uint8_t mac_default[NET_MAC_LEN];
    bool has[64]; /* features that can be switched off */
    bool gso;
    uint16_t n_pairs, rx_size, tx_size, mtu;
    uint32_t speed;

    /* State. */
    uint8_t mac[NET_MAC_LEN];
    uint8_t rx_mode[N_RX_MODES];
    uint8_t n_macs, n_uni; /* of macs; those of single devices come first */
    uint8_t macs[MAX_MACS * NET_MAC_LEN];
    bool uni_overflow, multi_overflow; /* more addresses than there is room for: all are taken */
    uint32_t vlans[N_VLANS / 32];
    uint16_t active;   /* pairs in use */
    uint64_t offloads; /* CTRL_GUEST_OFFLOADS: the features in use */
    bool offloads_set;

    bool loaded;        /* a state was, and no queue was looked at since */
    bool announce;      /* the guest is to tell its network of itself: after each load */
    uint32_t published; /* receive queues with something to show */
} HwVirtioNet;

typedef struct HwVirtioNetClass {
    HwVirtioClass parent;
} HwVirtioNetClass;

G_DEFINE_TYPE(HwVirtioNet, hw_virtio_net, HW_TYPE_VIRTIO)

static size_t header_size(const HwVirtioNet *s)
{
    return hw_virtio_has(&s->parent, VIRTIO_F_VERSION_1) || hw_virtio_has(&s->parent, F_MRG_RXBUF)
               ? HEADER
               : LEGACY_HEADER;
}

/* ---- What is received ---- */

/* NET_TAKES_*, by what the driver accepted and uses now. */
static uint32_t guest_takes(const HwVirtioNet *s)
{
    uint64_t f = s->parent.accepted;

    if (s->offloads_set) {
        f &= s->offloads;
    }
    if (!(f >> F_GUEST_CSUM & 1)) {
        return 0;
    }
    return NET_TAKES_CSUM | (f >> F_GUEST_TSO4 & 1 ? NET_TAKES_TSO4 : 0) |
           (f >> F_GUEST_TSO6 & 1 ? NET_TAKES_TSO6 : 0) |
           (f >> F_GUEST_ECN & 1 ? NET_TAKES_ECN : 0);
}

static bool is_in_table(const HwVirtioNet *s, const uint8_t *mac, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        if (!memcmp(s->macs + i * NET_MAC_LEN, mac, NET_MAC_LEN)) {
            return true;
        }
    }
    return false;
}

static bool vlan_passes(const HwVirtioNet *s, const NetFrame *f)
{
    unsigned vlan;

    if (!hw_virtio_has(&s->parent, F_CTRL_VLAN) || f->len < NET_MIN_FRAME + 4 ||
        bytes_get_be16(f->data + 12) != ETH_VLAN) {
        return true;
    }
    vlan = bytes_get_be16(f->data + 14) & (N_VLANS - 1);
    return s->vlans[vlan / 32] >> (vlan % 32) & 1;
}

static bool passes(const HwVirtioNet *s, const NetFrame *f)
{
    static const uint8_t everybody[NET_MAC_LEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const uint8_t *to = f->data;

    if (s->rx_mode[RX_PROMISC]) {
        return true;
    }
    if (!vlan_passes(s, f)) {
        return false;
    }
    if (!memcmp(to, everybody, NET_MAC_LEN)) {
        return !s->rx_mode[RX_NOBCAST];
    }
    if (to[0] & 1) {
        return !s->rx_mode[RX_NOMULTI] && (s->rx_mode[RX_ALLMULTI] || s->multi_overflow ||
                                           is_in_table(s, to, s->n_uni, s->n_macs));
    }
    return !s->rx_mode[RX_NOUNI] &&
           (s->rx_mode[RX_ALLUNI] || s->uni_overflow || !memcmp(to, s->mac, NET_MAC_LEN) ||
            is_in_table(s, to, 0, s->n_uni));
}

/* The pair for a frame: the same for all of a flow. Addresses and ports of IP without options are at fixed places. */
static unsigned choose_pair(const HwVirtioNet *s, const NetFrame *f)
{
    bool is_ip6;
    uint32_t hash = 0;

    if (s->active < 2 || f->len < 58) {
        return 0;
    }
    is_ip6 = f->data[12] == 0x86;
    for (unsigned i = is_ip6 ? 22 : 26; i < (is_ip6 ? 58 : 38); i += 4) {
        hash = (hash ^ bytes_get_be32(f->data + i)) * 0x9e3779b1u;
    }
    return (hash >> 16) % s->active;
}

static void fill_header(const HwVirtioNet *s, const NetOffload *o, unsigned n_chains, uint8_t *h)
{
    uint8_t flags = o->flags;

    if (!(guest_takes(s) & NET_TAKES_CSUM)) {
        flags = 0;
    }
    h[0] = flags & NET_NEEDS_CSUM ? NET_NEEDS_CSUM : flags;
    h[1] = o->gso;
    bytes_put_le16(h + 2, o->hdr_len);
    bytes_put_le16(h + 4, o->gso_size);
    bytes_put_le16(h + 6, flags & NET_NEEDS_CSUM ? o->csum_start : 0);
    bytes_put_le16(h + 8, flags & NET_NEEDS_CSUM ? o->csum_offset : 0);
    bytes_put_le16(h + 10, (uint16_t)n_chains);
}

/* Takes chains with room for @need bytes; 0: there are not enough, and if *@never, there never will be, as the ring has room for no more. Without
 * MRG_RXBUF it is one chain, whatever its room. */
static unsigned take_chains(HwVirtioNet *s, VirtQueue *q, uint64_t need, VirtqElement **chains,
                            bool *never)
{
    bool one = !hw_virtio_has(&s->parent, F_MRG_RXBUF);
    unsigned n = 0, slots = 0;
    uint64_t room = 0;

    do {
        VirtqElement *e;

        while (n < MAX_CHAINS && room < need && (!one || !n) && (e = virtqueue_pop(q))) {
            chains[n++] = e;
            room += e->in_len;
            slots += e->slots;
        }
        if (n && (room >= need || one)) {
            return n;
        }
    } while (n < MAX_CHAINS && virtqueue_arm(q));
    *never = n == MAX_CHAINS || slots >= q->num;
    if (n) {
        virtqueue_unpop(q, chains[0]);
    }
    for (unsigned i = 0; i < n; i++) {
        g_free(chains[i]);
    }
    return 0;
}

static void write_frame(HwVirtioNet *s, VirtQueue *q, const NetFrame *f, VirtqElement **chains,
                        unsigned n)
{
    uint8_t header[HEADER];
    size_t header_len = header_size(s), at = 0;

    fill_header(s, &f->offload, n, header);
    for (unsigned i = 0; i < n; i++) {
        VirtqElement *e = chains[i];
        uint64_t written = 0, piece;

        if (!i && e->in_len < header_len + (n == 1 ? f->len : 0)) {
            /* Too small for its header or frame: it goes back empty, and the frame is lost. */
            at = f->len;
        } else {
            written = i ? 0 : virtq_iov_write(e->in, e->n_in, 0, header, header_len);
            piece = virtq_iov_write(e->in, e->n_in, written, f->data + at, f->len - at);
            at += piece;
            written += piece;
        }
        virtqueue_push(q, e, written);
        g_free(e);
    }
}

static bool net_receive(void *opaque, const NetFrame *f)
{
    HwVirtioNet *s = opaque;
    VirtqElement *chains[MAX_CHAINS];
    unsigned pair, n;
    VirtQueue *q;
    bool never;

    if (!vm_is_running()) {
        return false;
    }
    if (!hw_virtio_is_running(&s->parent) || !passes(s, f)) {
        return true;
    }
    pair = choose_pair(s, f);
    q = &s->parent.queues[2 * pair];
    /* What was finished for a driver that could do more is of no use to this one. */
    if (!q->ready || (net_offload_needs(&f->offload) & ~guest_takes(s))) {
        return true;
    }
    n = take_chains(s, q, header_size(s) + f->len, chains, &never);
    if (!n) {
        return never || !hw_virtio_is_running(&s->parent); /* lost, or it waits */
    }
    write_frame(s, q, f, chains, n);
    s->published |= 1u << pair;
    return true;
}

static void net_received(void *opaque)
{
    HwVirtioNet *s = opaque;

    for (; s->published; s->published &= s->published - 1) {
        hw_virtio_publish(&s->parent, 2 * (unsigned)__builtin_ctz(s->published));
    }
}

/* ---- What is sent ---- */

/* False: the back end has enough for now. */
static bool send_chain(HwVirtioNet *s, const VirtqElement *e)
{
    uint8_t h[HEADER];
    size_t header_len = header_size(s);
    struct iovec pieces[MAX_PIECES], *iov = pieces;
    NetOffload o = { 0 };
    int n = e->n_out;

    if (e->out_len < header_len + NET_MIN_FRAME || e->out_len > header_len + NET_MAX_FRAME) {
        log_guest_error("virtio-net-device: a frame of %" G_GUINT64_FORMAT " bytes with its header",
                        e->out_len);
        return true;
    }
    virtq_iov_read(e->out, e->n_out, 0, h, header_len);
    o.flags = h[0] & NET_NEEDS_CSUM;
    o.gso = h[1];
    o.hdr_len = bytes_get_le16(h + 2);
    o.gso_size = bytes_get_le16(h + 4);
    o.csum_start = bytes_get_le16(h + 6);
    o.csum_offset = bytes_get_le16(h + 8);
    memcpy(pieces, e->out, (size_t)n * sizeof(pieces[0]));
    virtq_iov_trim_front(&iov, &n, header_len);
    return net_send(s->net, &o, iov, n);
}

static bool transmit(HwVirtioNet *s, unsigned n)
{
    VirtQueue *q = &s->parent.queues[n];
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);

        if (!e) {
            more = virtqueue_arm(q);
        } else if (s->net && !send_chain(s, e)) {
            virtqueue_unpop(q, e); /* until net_can_send() */
            more = false;
        } else {
            virtqueue_push(q, e, 0);
        }
    }
    if (s->net) {
        net_flush(s->net);
    }
    hw_virtio_publish(&s->parent, n);
    return more;
}

static void net_can_send(void *opaque)
{
    HwVirtioNet *s = opaque;

    for (unsigned i = 0; i < s->n_pairs; i++) {
        if (vm_is_running()) {
            hw_virtio_kick(&s->parent, 2 * i + 1);
        } else {
            hw_virtio_kick_later(&s->parent, 2 * i + 1, 0);
        }
    }
}

static void net_link_changed(void *opaque)
{
    hw_virtio_config_changed(opaque);
}

static const NetPortOps port_ops = { .receive = net_receive,
                                     .received = net_received,
                                     .can_send = net_can_send,
                                     .link_changed = net_link_changed };

/* ---- Control (5.1.6.5) ---- */

static bool set_mac_table(HwVirtioNet *s, const uint8_t *data, size_t len)
{
    s->n_macs = s->n_uni = 0;
    s->uni_overflow = s->multi_overflow = false;
    for (int kind = 0; kind < 2; kind++) {
        uint32_t n = len >= 4 ? bytes_get_le32(data) : UINT32_MAX;
        bool fits = n <= MAX_MACS - (unsigned)s->n_macs;

        if (len < 4 || n > (len - 4) / NET_MAC_LEN) {
            return false;
        }
        if (fits) {
            memcpy(s->macs + s->n_macs * NET_MAC_LEN, data + 4, n * NET_MAC_LEN);
            s->n_macs += (uint8_t)n;
        }
        *(kind ? &s->multi_overflow : &s->uni_overflow) = !fits;
        s->n_uni = kind ? s->n_uni : s->n_macs;
        data += 4 + n * NET_MAC_LEN;
        len -= 4 + n * NET_MAC_LEN;
    }
    return true;
}

static bool control_mac(HwVirtioNet *s, uint8_t command, const uint8_t *data, size_t len)
{
    if (command == MAC_ADDR_SET && len == NET_MAC_LEN) {
        memcpy(s->mac, data, NET_MAC_LEN);
        return true;
    }
    return command == MAC_TABLE_SET && set_mac_table(s, data, len);
}

static bool control_vlan(HwVirtioNet *s, uint8_t command, const uint8_t *data, size_t len)
{
    uint16_t vlan = len == 2 ? bytes_get_le16(data) : N_VLANS;

    if (vlan >= N_VLANS || command > VLAN_DEL) {
        return false;
    }
    s->vlans[vlan / 32] &= ~(1u << (vlan % 32));
    s->vlans[vlan / 32] |= (uint32_t)(command == VLAN_ADD) << (vlan % 32);
    return true;
}

static bool control_pairs(HwVirtioNet *s, const uint8_t *data, size_t len)
{
    uint16_t n = len == 2 ? bytes_get_le16(data) : 0;

    if (!hw_virtio_has(&s->parent, F_MQ) || !n || n > s->n_pairs) {
        return false;
    }
    s->active = n;
    return true;
}

static bool control_offloads(HwVirtioNet *s, const uint8_t *data, size_t len)
{
    if (!hw_virtio_has(&s->parent, F_CTRL_GUEST_OFFLOADS) || len != 8) {
        return false;
    }
    s->offloads = bytes_get_le64(data);
    s->offloads_set = true;
    if (s->net) {
        net_set_port_features(s->net, guest_takes(s));
    }
    return true;
}

static bool control(HwVirtioNet *s, uint8_t class, uint8_t command, const uint8_t *data, size_t len)
{
    switch (class) {
    case CTRL_RX:
        if (command >= N_RX_MODES || len != 1) {
            return false;
        }
        s->rx_mode[command] = data[0] != 0;
        return true;
    case CTRL_MAC:
        return control_mac(s, command, data, len);
    case CTRL_VLAN:
        return control_vlan(s, command, data, len);
    case CTRL_ANNOUNCE:
        s->announce = false;
        return command == 0;
    case CTRL_MQ:
        return command == 0 && control_pairs(s, data, len);
    case CTRL_OFFLOADS:
        return command == 0 && control_offloads(s, data, len);
    }
    return false;
}

/* False: the driver gave a buffer that no answer fits in. */
static bool do_command(HwVirtioNet *s, VirtQueue *q, const VirtqElement *e)
{
    uint8_t data[MAX_COMMAND], ack;
    uint64_t len = virtq_iov_read(e->out, e->n_out, 0, data, sizeof(data));

    if (e->in_len < 1) {
        hw_virtio_fail(&s->parent, "a control command without room for its answer");
        return false;
    }
    ack = len < 2 || e->out_len > len || !control(s, data[0], data[1], data + 2, len - 2);
    virtq_iov_write(e->in, e->n_in, 0, &ack, 1);
    virtqueue_push(q, e, 1);
    return true;
}

static bool run_commands(HwVirtioNet *s, unsigned n)
{
    VirtQueue *q = &s->parent.queues[n];
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);

        more = e ? do_command(s, q, e) : virtqueue_arm(q);
    }
    hw_virtio_publish(&s->parent, n);
    return more;
}

/* Its place depends on what was agreed on (5.1.2). */
static unsigned control_queue(const HwVirtioNet *s)
{
    return hw_virtio_has(&s->parent, F_MQ) ? 2u * s->n_pairs : 2;
}

static bool net_kick(HwVirtio *dev, unsigned n)
{
    HwVirtioNet *s = (HwVirtioNet *)dev;

    if (s->loaded) {
        s->loaded = false;
        s->announce =
            hw_virtio_has(dev, F_GUEST_ANNOUNCE); /* the network may have forgotten the guest */
        hw_virtio_config_changed(dev);
    }
    if (n == control_queue(s)) {
        return hw_virtio_has(dev, F_CTRL_VQ) && run_commands(s, n);
    }
    if (n & 1) {
        return transmit(s, n);
    }
    if (s->net) {
        net_set_port_features(s->net, guest_takes(s));
        net_receive_again(s->net);
    }
    return false;
}

/* ---- Configuration ---- */

static void net_config_read(HwVirtio *dev, uint8_t *config)
{
    HwVirtioNet *s = (HwVirtioNet *)dev;
    bool up = s->net && net_link_is_up(s->net);

    memcpy(config, s->mac, NET_MAC_LEN);
    bytes_put_le16(config + 6, (up ? STATUS_LINK_UP : 0) | (s->announce ? STATUS_ANNOUNCE : 0));
    bytes_put_le16(config + 8, s->n_pairs);
    bytes_put_le16(config + 10, s->mtu);
    bytes_put_le32(config + 12, s->speed);
    config[16] = 1; /* full duplex */
}

/* Legacy drivers set the address so (5.1.4.1). */
static void net_config_write(HwVirtio *dev, uint32_t offset, uint32_t value, unsigned size)
{
    HwVirtioNet *s = (HwVirtioNet *)dev;

    if (hw_virtio_has(dev, VIRTIO_F_VERSION_1) || offset + size > NET_MAC_LEN) {
        log_guest_error("virtio-net-device: write at offset %u of the configuration space", offset);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        s->mac[offset + i] = (uint8_t)(value >> (8 * i));
    }
}

/* ---- The device object ---- */

static uint64_t offered_features(const HwVirtioNet *s)
{
    static const uint64_t needs_csum = 1 << F_HOST_TSO4 | 1 << F_HOST_TSO6 | 1 << F_HOST_ECN;
    static const uint64_t needs_guest_csum =
        1 << F_GUEST_TSO4 | 1 << F_GUEST_TSO6 | 1 << F_GUEST_ECN;
    static const uint64_t needs_control = 1 << F_CTRL_RX | 1 << F_CTRL_VLAN | 1 << F_CTRL_RX_EXTRA |
                                          1 << F_GUEST_ANNOUNCE | 1 << F_MQ | 1 << F_CTRL_MAC_ADDR |
                                          1 << F_CTRL_GUEST_OFFLOADS;
    uint64_t f = 1 << F_MAC | (s->mtu ? 1 << F_MTU : 0);

    for (unsigned i = 0; i < G_N_ELEMENTS(s->has); i++) {
        f |= (uint64_t)s->has[i] << i;
    }
    f &= ~(f >> F_CSUM & 1 && s->gso ? 0 : needs_csum);
    f &= ~(f >> F_GUEST_CSUM & 1 ? 0 : needs_guest_csum | 1 << F_CTRL_GUEST_OFFLOADS);
    f &= ~(f >> F_CTRL_VQ & 1 ? 0 : needs_control);
    f &= ~(s->n_pairs > 1 ? 0ull : 1ull << F_MQ);
    return f | (s->speed != UINT32_MAX ? 1ull << F_SPEED_DUPLEX : 0);
}

static bool check_properties(HwVirtioNet *s, GError **error)
{
    const char *wrong = NULL;

    if (s->rx_size & (s->rx_size - 1)) {
        wrong = "rx_queue_size: not a power of 2";
    } else if (s->tx_size & (s->tx_size - 1)) {
        wrong = "tx_queue_size: not a power of 2";
    } else if (s->mtu && s->mtu < 68) {
        wrong = "host_mtu: not 68 to 65535";
    }
    if (wrong) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: %s",
                    hw_device_name(&s->parent.parent), wrong);
    }
    return !wrong;
}

static bool net_realize(HwDevice *object, GError **error)
{
    HwVirtioNet *s = (HwVirtioNet *)object;
    static const uint8_t none[NET_MAC_LEN] = { 0 };

    if (!check_properties(s, error)) {
        return false;
    }
    if (!memcmp(s->mac_default, none, NET_MAC_LEN)) {
        net_default_mac(s->mac_default);
    }
    memcpy(s->mac, s->mac_default, NET_MAC_LEN);
    for (unsigned i = 0; i < s->n_pairs; i++) {
        hw_virtio_add_queue(&s->parent, s->rx_size);
        hw_virtio_add_queue(&s->parent, s->tx_size);
    }
    s->parent.offered |= offered_features(s);
    if (s->has[F_CTRL_VQ]) {
        hw_virtio_add_queue(&s->parent, CTRL_QUEUE_SIZE);
    }
    s->name = g_strdup(hw_device_name(object));
    if (s->net && !net_attach(s->net, &port_ops, s, s->name, s->mac, error)) {
        g_prefix_error(error, "virtio-net-device: ");
        return false;
    }
    return true;
}

static void net_unrealize(HwDevice *object)
{
    HwVirtioNet *s = (HwVirtioNet *)object;

    if (s->net) {
        net_detach(s->net, s);
    }
    g_clear_pointer(&s->name, g_free);
}

static void net_reset(HwDevice *object)
{
    HwVirtioNet *s = (HwVirtioNet *)object;

    HW_DEVICE_CLASS(hw_virtio_net_parent_class)->reset(object);
    memcpy(s->mac, s->mac_default, NET_MAC_LEN);
    s->rx_mode[RX_PROMISC] = 1; /* drivers without a control queue expect all */
    s->active = 1;
    s->announce = s->loaded = false;
    if (s->net) {
        net_set_port_features(s->net, 0);
    }
}

static bool net_post_load(HwDevice *object, GError **error)
{
    HwVirtioNet *s = (HwVirtioNet *)object;

    if (s->n_uni > s->n_macs || s->n_macs > MAX_MACS || !s->active || s->active > s->n_pairs) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "virtio-net-device: addresses or queues out of range");
        return false;
    }
    if (!HW_DEVICE_CLASS(hw_virtio_net_parent_class)->post_load(object, error)) {
        return false;
    }
    s->loaded = true; /* each queue in use is looked at soon */
    return true;
}

static const StateField net_state[] = {
    HW_FIELD_ARRAY(HwVirtioNet, mac, STATE_U8, NET_MAC_LEN, 0, "address"),
    HW_FIELD_ARRAY(HwVirtioNet, rx_mode, STATE_U8, N_RX_MODES, 0,
                   "promisc, allmulti, alluni, nomulti, nouni, nobcast"),
    HW_FIELD(HwVirtioNet, n_macs, STATE_U8, 0, "addresses in the table"),
    HW_FIELD(HwVirtioNet, n_uni, STATE_U8, 0, "how many of them are no groups"),
    HW_FIELD_ARRAY(HwVirtioNet, macs, STATE_U8, MAX_MACS *NET_MAC_LEN, 0, "the table"),
    HW_FIELD(HwVirtioNet, uni_overflow, STATE_BOOL, 0, "all single addresses are taken"),
    HW_FIELD(HwVirtioNet, multi_overflow, STATE_BOOL, 0, "all groups are taken"),
    HW_FIELD_ARRAY(HwVirtioNet, vlans, STATE_U32, N_VLANS / 32, 0, "VLANs that are taken"),
    HW_FIELD(HwVirtioNet, active, STATE_U16, 1, "queue pairs in use"),
    HW_FIELD(HwVirtioNet, offloads, STATE_U64, 0, "offloads in use"),
    HW_FIELD(HwVirtioNet, offloads_set, STATE_BOOL, 0, "they count"),
    { 0 },
};

#define SWITCH(feature_, name_, desc_) \
    HW_PROP(HwVirtioNet, has[feature_], name_, HW_PROP_BOOL, 1, desc_)

static const HwProp net_props[] = {
    HW_PROP(HwVirtioNet, net, "netdev", HW_PROP_NETDEV, 0, "network back end"),
    HW_PROP(HwVirtioNet, mac_default, "mac", HW_PROP_MAC, 0,
            "address; default 52:54:00:12:34:56 and up"),
    SWITCH(F_CSUM, "csum", "the device makes checksums"),
    SWITCH(F_GUEST_CSUM, "guest_csum", "the guest need not check checksums"),
    HW_PROP(HwVirtioNet, gso, "gso", HW_PROP_BOOL, 1, "the device cuts large TCP packets"),
    SWITCH(F_HOST_TSO4, "host_tso4", "of IPv4"),
    SWITCH(F_HOST_TSO6, "host_tso6", "of IPv6"),
    SWITCH(F_HOST_ECN, "host_ecn", "with congestion notification"),
    SWITCH(F_GUEST_TSO4, "guest_tso4", "the guest gets large TCP packets of IPv4"),
    SWITCH(F_GUEST_TSO6, "guest_tso6", "of IPv6"),
    SWITCH(F_GUEST_ECN, "guest_ecn", "with congestion notification"),
    SWITCH(F_GUEST_ANNOUNCE, "guest_announce", "the guest is asked to announce itself"),
    SWITCH(F_MRG_RXBUF, "mrg_rxbuf", "a frame may take several buffers"),
    SWITCH(F_STATUS, "status", "the link's state"),
    SWITCH(F_CTRL_VQ, "ctrl_vq", "a control queue"),
    SWITCH(F_CTRL_RX, "ctrl_rx", "reception modes"),
    SWITCH(F_CTRL_RX_EXTRA, "ctrl_rx_extra", "more of them"),
    SWITCH(F_CTRL_VLAN, "ctrl_vlan", "VLAN filter"),
    SWITCH(F_CTRL_MAC_ADDR, "ctrl_mac_addr", "the guest can change the address"),
    SWITCH(F_CTRL_GUEST_OFFLOADS, "ctrl_guest_offloads", "the guest can change offloads"),
    HW_PROP(HwVirtioNet, has[F_MQ], "mq", HW_PROP_BOOL, 0, "several pairs of queues"),
    { .name = "queues",
      .type = HW_PROP_U16,
      .offset = offsetof(HwVirtioNet, n_pairs),
      .def = 1,
      .min = 1,
      .max = MAX_PAIRS,
      .desc = "how many pairs" },
    { .name = "rx_queue_size",
      .type = HW_PROP_U16,
      .offset = offsetof(HwVirtioNet, rx_size),
      .def = 256,
      .min = 64,
      .max = VIRTQUEUE_MAX_SIZE,
      .desc = "buffers for reception" },
    { .name = "tx_queue_size",
      .type = HW_PROP_U16,
      .offset = offsetof(HwVirtioNet, tx_size),
      .def = 256,
      .min = 64,
      .max = VIRTQUEUE_MAX_SIZE,
      .desc = "buffers for sending" },
    HW_PROP(HwVirtioNet, mtu, "host_mtu", HW_PROP_U16, 0,
            "MTU that the guest is to use; 0: its own"),
    HW_PROP(HwVirtioNet, speed, "speed", HW_PROP_U32, UINT32_MAX, "MBit/s that the guest is told"),
    { 0 },
};

static void hw_virtio_net_init(HwVirtioNet *s)
{
    (void)s;
}

static void hw_virtio_net_class_init(HwVirtioNetClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->model = "virtio-net-device";
    dc->desc = "virtio network card";
    dc->user_creatable = true;
    dc->realize = net_realize;
    dc->unrealize = net_unrealize;
    dc->reset = net_reset;
    dc->post_load = net_post_load;
    vc->device_id = DEVICE_ID;
    vc->config_size = CONFIG_SIZE;
    vc->config_read = net_config_read;
    vc->config_write = net_config_write;
    vc->kick = net_kick;
    hw_virtio_class_bind_state(vc, net_state);
    hw_virtio_class_bind_props(vc, net_props);
}
