/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Intel's gigabit cards receive (manual, 3.2; 82574 datasheet, 7.1): which frames, and into what descriptors: legacy, extended, or those of four
 * buffers for packet split, which are filled one after the other as for packets whose headers were not recognized.
 *
 * A frame for which there are not enough descriptors waits in net/. A frame's FCS, if the driver wants to have it, is four zero bytes. Whether
 * checksums are right is told of packets that net/ knows it of; with others the driver has to look itself.
 */
#include <string.h>
#include "hw/net/e1000-priv.h"
#include "softmmu/runstate.h"
#include "util/bytes.h"
#include "util/log.h"

enum { MIN_FRAME = 60, MAX_FRAME = 1518, FCS = 4, MAX_LONG = 16380, VLAN = 4, N_BUFFERS = 4 };
enum { N_ADDRESSES = 16, MAC_WORDS = 2, ETH_IP4 = 0x0800, ETH_IP6 = 0x86dd, TCP = 6, UDP = 17 };
enum { SUMS_GOOD = RXD_TCPCS | RXD_UDPCS | RXD_IPCS };

/* ---- Which frames ---- */

static bool is_vlan(HwE1000 *s, const NetFrame *f)
{
    return f->len >= NET_MIN_FRAME + VLAN &&
           bytes_get_be16(f->data + 12) == (*e1000_reg(s, E1000_VET) & 0xffff);
}

static bool vlan_passes(HwE1000 *s, const NetFrame *f)
{
    unsigned vlan;

    if (!(*e1000_reg(s, E1000_RCTL) & RCTL_VFE) || !is_vlan(s, f)) {
        return true;
    }
    vlan = bytes_get_be16(f->data + 14) & 0xfff;
    return *e1000_reg(s, E1000_VFTA + vlan / 32 * 4) >> (vlan % 32) & 1;
}

static bool is_in_addresses(HwE1000 *s, const uint8_t *to)
{
    uint32_t low = bytes_get_le32(to), high = bytes_get_le16(to + 4);

    for (unsigned i = 0; i < N_ADDRESSES; i++) {
        uint32_t entry = *e1000_reg(s, E1000_RAH + 8 * i);

        if ((entry & RAH_AV) && (entry & 0xffff) == high &&
            *e1000_reg(s, E1000_RAL + 8 * i) == low) {
            return true;
        }
    }
    return false;
}

/* 13.5.1: twelve bits of the last two bytes, which of them by RCTL.MO. */
static bool is_in_hash(HwE1000 *s, const uint8_t *to)
{
    static const uint8_t shifts[] = { 4, 3, 2, 0 };
    unsigned shift = shifts[*e1000_reg(s, E1000_RCTL) >> RCTL_MO_SHIFT & 3];
    unsigned hash = bytes_get_le16(to + 4) >> shift & 0xfff;

    return *e1000_reg(s, E1000_MTA + hash / 32 * 4) >> (hash % 32) & 1;
}

static bool passes(HwE1000 *s, const NetFrame *f)
{
    uint32_t rctl = *e1000_reg(s, E1000_RCTL);
    const uint8_t *to = f->data;

    if (!vlan_passes(s, f)) {
        return false;
    }
    if (!memcmp(to, "\xff\xff\xff\xff\xff\xff", NET_MAC_LEN)) {
        return rctl & (RCTL_BAM | RCTL_MPE) || is_in_addresses(s, to);
    }
    if (to[0] & 1) {
        return (rctl & RCTL_MPE) || is_in_addresses(s, to) || is_in_hash(s, to);
    }
    return (rctl & RCTL_UPE) || is_in_addresses(s, to);
}

static bool is_too_long(HwE1000 *s, const NetFrame *f)
{
    uint32_t limit = *e1000_reg(s, E1000_RCTL) & RCTL_LPE
                         ? MAX_LONG - FCS
                         : MAX_FRAME - FCS + (is_vlan(s, f) ? VLAN : 0);

    return f->len > limit;
}

/* ---- What is said of them ---- */

/* Status bits about checksums that were checked. */
static uint32_t checksum_status(HwE1000 *s, const NetFrame *f)
{
    uint32_t wants = *e1000_reg(s, E1000_RXCSUM), good = 0;
    const uint8_t *ip = f->data + NET_MIN_FRAME + (is_vlan(s, f) ? VLAN : 0);
    size_t len = f->len - (size_t)(ip - f->data);
    uint16_t type = bytes_get_be16(ip - 2);
    unsigned protocol = 0;

    if (!(f->offload.flags & NET_DATA_VALID) || len < 40) {
        return RXD_IXSM;
    }
    if (type == ETH_IP4) {
        protocol = bytes_get_be16(ip + 6) & 0x3fff ? 0 : ip[9]; /* no fragments */
        good = wants & RXCSUM_IPOFLD ? RXD_IPCS : 0;
    } else if (type == ETH_IP6) {
        protocol = ip[6];
    }
    if (wants & RXCSUM_TUOFLD) {
        good |= protocol == TCP   ? RXD_TCPCS
                : protocol == UDP ? RXD_TCPCS | (s->is_82574 ? RXD_UDPCS : 0)
                                  : 0;
    }
    return good ? good : RXD_IXSM;
}

/* ---- Where they go ---- */

/* The bytes of a frame on their way into buffers: its own without a tag that is stripped, then zeroes. */
typedef struct Stream {
    const NetFrame *frame;
    uint32_t at, end, strip; /* bytes left out behind the addresses */
    uint32_t status;         /* of all descriptors but DD and EOP */
    uint16_t tag;
} Stream;

typedef struct Shape {
    unsigned descriptor; /* bytes */
    unsigned n;          /* buffers in each */
    uint32_t size[N_BUFFERS], all;
    bool extended;
} Shape;

static uint32_t buffer_size(HwE1000 *s)
{
    uint32_t rctl = *e1000_reg(s, E1000_RCTL), n = rctl >> RCTL_BSIZE_SHIFT & 3;
    uint32_t flexible = rctl >> RCTL_FLXBUF_SHIFT & 15;

    if (s->is_82574 && flexible) {
        return flexible << 10;
    }
    return rctl & RCTL_BSEX ? 32768u >> MAX(n, 1) : 2048u >> n;
}

static void find_shape(HwE1000 *s, Shape *shape)
{
    uint32_t split = *e1000_reg(s, E1000_PSRCTL);

    *shape = (Shape){ .descriptor = RXD_SIZE, .n = 1 };
    shape->extended = s->is_82574 && (*e1000_reg(s, E1000_RFCTL) & RFCTL_EXSTEN);
    shape->size[0] = buffer_size(s);
    if (shape->extended && (*e1000_reg(s, E1000_RCTL) >> RCTL_DTYP_SHIFT & 3) == 1) {
        shape->descriptor = RXD_SPLIT_SIZE;
        shape->n = N_BUFFERS;
        shape->size[0] = (split & 0x7f) << 7;
        for (unsigned i = 1; i < N_BUFFERS; i++) {
            shape->size[i] = (split >> (8 * i) & 0x3f) << 10;
        }
    }
    for (unsigned i = 0; i < shape->n; i++) {
        shape->all += shape->size[i];
    }
}

static void put_piece(HwE1000 *s, uint64_t to, const void *from, uint32_t n)
{
    if (!hw_pci_dma_write(&s->parent, to, from, n)) {
        log_guest_error("e1000: a buffer for reception that is no memory");
    }
}

/* The next up to @n bytes to a buffer; how many. */
static uint32_t put_bytes(HwE1000 *s, Stream *t, uint64_t to, uint32_t n)
{
    static const uint8_t zeros[MIN_FRAME + FCS];
    uint32_t own = t->frame->len - t->strip, done = 0;

    n = MIN(n, t->end - t->at);
    while (done < n) {
        uint32_t at = t->at, piece;
        const uint8_t *from;

        if (at >= own) {
            from = zeros;
            piece = t->end - at;
        } else if (t->strip && at < 12) {
            from = t->frame->data + at;
            piece = 12 - at;
        } else {
            from = t->frame->data + t->strip + at;
            piece = own - at;
        }
        piece = MIN(piece, n - done);
        put_piece(s, to + done, from, piece);
        done += piece;
        t->at += piece;
    }
    return n;
}

static void write_back(uint8_t *d, const Shape *shape, const Stream *t, const uint32_t *filled)
{
    uint32_t status = t->status | RXD_DD | (t->at == t->end ? RXD_EOP : 0);

    if (!shape->extended) {
        bytes_put_le32(d + 8, filled[0]);
        __atomic_store_n((uint32_t *)(void *)(d + 12),
                         GUINT32_TO_LE((status & 0xff) | (uint32_t)t->tag << 16), __ATOMIC_RELEASE);
        return;
    }
    bytes_put_le64(d, 0); /* no hash */
    bytes_put_le32(d + 12, filled[0] | (uint32_t)t->tag << 16);
    if (shape->n > 1) {
        bytes_put_le16(d + 16, 0); /* not split */
        for (unsigned i = 1; i < N_BUFFERS; i++) {
            bytes_put_le16(d + 16 + 2 * i, (uint16_t)filled[i]);
        }
        bytes_put_le64(d + 24, 0);
    }
    __atomic_store_n((uint32_t *)(void *)(d + 8), GUINT32_TO_LE(status), __ATOMIC_RELEASE);
}

static void fill_descriptor(HwE1000 *s, uint8_t *d, const Shape *shape, Stream *t)
{
    uint32_t filled[N_BUFFERS] = { 0 };
    uint64_t to[N_BUFFERS];

    for (unsigned i = 0; i < shape->n; i++) {
        to[i] = bytes_get_le64(d + 8 * i);
    }
    for (unsigned i = 0; i < shape->n; i++) {
        filled[i] = put_bytes(s, t, to[i], shape->size[i]);
    }
    write_back(d, shape, t, filled);
    memory_written(d, shape->descriptor);
}

/* Descriptors that the driver has given and that are not used. */
static uint32_t n_free(HwE1000 *s, unsigned queue, uint32_t size)
{
    uint32_t head = *e1000_reg(s, E1000_RDH + queue) & 0xffff;
    uint32_t tail = *e1000_reg(s, E1000_RDT + queue) & 0xffff;

    if (head >= size || tail >= size) {
        return 0;
    }
    return tail >= head ? tail - head : tail + size - head;
}

static uint32_t ring_size(HwE1000 *s, unsigned queue, const Shape *shape)
{
    return (*e1000_reg(s, E1000_RDLEN + queue) & 0xfff80) / shape->descriptor;
}

static void fill_ring(HwE1000 *s, unsigned queue, const Shape *shape, Stream *t)
{
    uint32_t *head = e1000_reg(s, E1000_RDH + queue), size = ring_size(s, queue, shape);

    while (t->at < t->end) {
        uint8_t *d =
            e1000_descriptor(s, E1000_RDBAL + queue, *head & 0xffff, shape->descriptor, true);

        if (!d) {
            return; /* the frame is lost */
        }
        fill_descriptor(s, d, shape, t);
        *head = (*head & 0xffff) + 1 == size ? 0 : (*head & 0xffff) + 1;
    }
}

static void count_received(HwE1000 *s, const NetFrame *f, uint32_t len)
{
    e1000_count(s, E1000_GPRC, 1);
    e1000_count(s, E1000_TPR, 1);
    e1000_count64(s, E1000_GORCL, len);
    e1000_count64(s, E1000_TORL, len);
    e1000_count_length(s, E1000_PRC64, len);
    if (f->data[0] & 1) {
        e1000_count(s, memcmp(f->data, "\xff\xff\xff\xff\xff\xff", 6) ? E1000_MPRC : E1000_BPRC, 1);
    }
}

static Stream stream_of(HwE1000 *s, const NetFrame *f)
{
    Stream t = { .frame = f, .status = checksum_status(s, f) };

    if ((*e1000_reg(s, E1000_CTRL) & CTRL_VME) && is_vlan(s, f)) {
        t.strip = VLAN;
        t.tag = bytes_get_be16(f->data + 14);
        t.status |= RXD_VP;
    }
    t.end = MAX(f->len - t.strip, MIN_FRAME) + (*e1000_reg(s, E1000_RCTL) & RCTL_SECRC ? 0 : FCS);
    return t;
}

/* False: the driver has to give descriptors first. */
static bool put_frame(HwE1000 *s, unsigned queue, const NetFrame *f)
{
    Stream t = stream_of(s, f);
    Shape shape;
    uint32_t need, size;

    find_shape(s, &shape);
    size = ring_size(s, queue, &shape);
    need = shape.all ? (t.end + shape.all - 1) / shape.all : UINT32_MAX;
    if (need >= size) {
        e1000_count(s, E1000_MPC, 1); /* it never fits */
        return true;
    }
    if (need > n_free(s, queue, size)) {
        return false;
    }
    fill_ring(s, queue, &shape, &t);
    count_received(s, f, MAX(f->len, MIN_FRAME) + FCS);
    s->received |= (uint8_t)(1 << queue / E1000_QUEUE);
    return true;
}

bool e1000_receive(void *opaque, const NetFrame *f)
{
    HwE1000 *s = opaque;

    if (!vm_is_running()) {
        return false;
    }
    if (!(*e1000_reg(s, E1000_RCTL) & RCTL_EN) || !hw_pci_is_master(&s->parent) ||
        !e1000_link_is_up(s) || f->offload.gso || (f->offload.flags & NET_NEEDS_CSUM) ||
        !passes(s, f)) {
        return true;
    }
    if (is_too_long(s, f)) {
        e1000_count(s, E1000_ROC, 1);
        return true;
    }
    return put_frame(s, 0, f);
}

void e1000_received(void *opaque)
{
    HwE1000 *s = opaque;
    uint32_t causes = 0, size;
    Shape shape;

    if (!s->received) {
        return;
    }
    find_shape(s, &shape);
    size = ring_size(s, 0, &shape);
    if (n_free(s, 0, size) <= size >> ((*e1000_reg(s, E1000_RCTL) >> RCTL_RDMTS_SHIFT & 3) + 1)) {
        causes |= ICR_RXDMT0;
    }
    s->received = 0;
    e1000_raise(s, causes | ICR_RXT0 | (s->is_82574 ? ICR_RXQ0 : 0));
}
