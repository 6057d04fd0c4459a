/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What Intel's gigabit cards send (manual, 3.3 to 3.5): legacy, context and data descriptors, checksums, segmentation, VLAN tags.
 *
 * A frame is sent when all its descriptors are in the ring; until then they stay there, so nothing but the last context descriptor needs to be
 * remembered. Checksums and segmentation go to the back end with the frame (NetOffload); only its first bytes are copied here, to be completed.
 */
#include <string.h>
#include "hw/net/e1000-priv.h"
#include "util/bytes.h"
#include "util/log.h"

enum { MAX_PIECES = 160, BUDGET = 1024 }; /* descriptors at once: then others have the lock */
enum { HEAD = 512, VLAN = 4, MIN_FRAME = 60, IP4 = 20, IP6 = 40, TCP = 20, TCP_SUM = 16 };

/* A context descriptor (3.3.6). */
typedef struct Context {
    uint8_t ip_start, ip_field, l4_start, l4_field;
    uint16_t ip_end, l4_end; /* last byte; 0: of the frame */
    uint8_t header;
    uint16_t mss;
    bool is_ip4, is_tcp;
} Context;

typedef struct Packet {
    struct iovec iov[MAX_PIECES];
    int n;
    size_t len;
    uint32_t descriptors;
    bool is_data; /* of data descriptors; else of legacy ones */
    uint32_t first_low, first_high, last_low, last_high; /* of the first and last descriptor */
} Packet;

typedef enum Found { FOUND, NOT_YET, NOTHING } Found;

/* ---- Taking a packet off the ring ---- */

static bool add_buffer(HwE1000 *s, Packet *p, uint64_t addr, uint32_t len)
{
    p->len += len;
    while (len) {
        uint64_t piece = len;
        void *host = p->n < MAX_PIECES ? hw_pci_dma_map(&s->parent, addr, &piece, false) : NULL;

        if (!host) {
            return false;
        }
        p->iov[p->n++] = (struct iovec){ host, piece };
        addr += piece;
        len -= (uint32_t)piece;
    }
    return true;
}

static bool is_context(uint32_t low)
{
    return (low & (TXD_CMD_DEXT | TXD_DTYP)) == TXD_CMD_DEXT;
}

static uint32_t ring_size(HwE1000 *s, unsigned queue)
{
    return (*e1000_reg(s, E1000_TDLEN + queue) & 0xfff80) / TXD_SIZE;
}

static Context context_of(const HwE1000 *s, unsigned queue)
{
    const uint8_t *d = s->context + queue / E1000_QUEUE * TXD_SIZE;
    uint32_t low = bytes_get_le32(d + 8), high = bytes_get_le32(d + 12);

    return (Context){
        .ip_start = d[0],
        .ip_field = d[1],
        .ip_end = bytes_get_le16(d + 2),
        .l4_start = d[4],
        .l4_field = d[5],
        .l4_end = bytes_get_le16(d + 6),
        .header = (uint8_t)(high >> 8),
        .mss = (uint16_t)(high >> 16),
        .is_ip4 = low & TXD_TUCMD_IP4,
        .is_tcp = low & TXD_TUCMD_TCP,
    };
}

static void take_data(HwE1000 *s, Packet *p, const uint8_t *d, bool *good)
{
    p->last_low = bytes_get_le32(d + 8);
    p->last_high = bytes_get_le32(d + 12);
    p->is_data = p->last_low & TXD_CMD_DEXT;
    if (!p->len && !p->n) {
        p->first_low = p->last_low;
        p->first_high = p->last_high;
    }
    *good =
        *good && add_buffer(s, p, bytes_get_le64(d), p->last_low & (p->is_data ? 0xfffff : 0xffff));
}

/* The packet, or the context descriptor, that is at the ring's head. */
static Found find_packet(HwE1000 *s, unsigned queue, Packet *p)
{
    uint32_t size = ring_size(s, queue), tail = *e1000_reg(s, E1000_TDT + queue) & 0xffff;
    uint32_t at = *e1000_reg(s, E1000_TDH + queue) & 0xffff;
    bool good = true;

    p->n = 0;
    p->len = 0;
    p->descriptors = 0;
    while (at < size && tail < size && at != tail) {
        const uint8_t *d = e1000_descriptor(s, E1000_TDBAL + queue, at, TXD_SIZE, false);

        if (!d) {
            return NOT_YET;
        }
        if (is_context(bytes_get_le32(d + 8))) {
            if (!p->descriptors) {
                memcpy(s->context + queue / E1000_QUEUE * TXD_SIZE, d, TXD_SIZE);
                p->descriptors = 1;
            }
            return NOTHING; /* or a packet without an end */
        }
        take_data(s, p, d, &good);
        p->descriptors++;
        at = at + 1 == size ? 0 : at + 1;
        if (p->last_low & TXD_CMD_EOP) {
            return good ? FOUND : NOTHING;
        }
        if (p->descriptors == MAX_PIECES) {
            return NOTHING; /* no frame needs so many */
        }
    }
    return NOT_YET;
}

/* ---- Completing its head ---- */

typedef struct Head {
    uint8_t room[VLAN + HEAD], *data;
    size_t len; /* of data, that begins the packet */
    size_t tag; /* VLAN or 0: bytes more than the driver gave */
} Head;

static void make_head(HwE1000 *s, const Packet *p, Head *h)
{
    size_t n = 0;

    for (int i = 0; i < p->n && n < HEAD; i++) {
        size_t piece = MIN(p->iov[i].iov_len, HEAD - n);

        memcpy(h->room + VLAN + n, p->iov[i].iov_base, piece);
        n += piece;
    }
    h->data = h->room + VLAN;
    h->len = n;
    h->tag = 0;
    if ((p->last_low & TXD_CMD_VLE) && (*e1000_reg(s, E1000_CTRL) & CTRL_VME) &&
        n >= NET_MIN_FRAME) {
        h->data = memmove(h->room, h->room + VLAN, 12);
        bytes_put_be16(h->data + 12, (uint16_t)*e1000_reg(s, E1000_VET));
        bytes_put_be16(h->data + 14, (uint16_t)(p->last_high >> 16));
        h->len += VLAN;
        h->tag = VLAN;
    }
}

static uint32_t sum(const uint8_t *data, size_t n)
{
    uint32_t total = 0;

    for (size_t i = 0; i < n; i++) {
        total += (uint32_t)data[i] << (i & 1 ? 0 : 8);
    }
    while (total >> 16) {
        total = (total & 0xffff) + (total >> 16);
    }
    return total;
}

/* The sum of bytes @start to @end (last; 0: of the packet) goes to @field. All as the driver gave the packet. */
static void add_checksum(const Packet *p, Head *h, NetOffload *o, size_t start, size_t field,
                         size_t end)
{
    bool whole = !end || end + 1 >= p->len;

    end = (whole ? p->len : end + 1) + h->tag;
    start += h->tag;
    field += h->tag;
    if (start >= end || field + 2 > end) {
        log_guest_error("e1000: a checksum outside of its packet");
    } else if (whole && field >= start && !(o->flags & NET_NEEDS_CSUM)) {
        o->flags = NET_NEEDS_CSUM;
        o->csum_start = (uint16_t)start;
        o->csum_offset = (uint16_t)(field - start);
    } else if (end <= h->len) {
        bytes_put_be16(h->data + field, (uint16_t)~sum(h->data + start, end - start));
    } else {
        log_guest_error("e1000: a checksum over a part of a packet that is no header");
    }
}

/* The head of what is to be cut as a receiver expects it that takes it whole: length and checksums for all of it. False: it cannot be cut. */
static bool prepare_segments(const Context *c, const Packet *p, Head *h, NetOffload *o)
{
    size_t l3 = c->ip_start + h->tag, l4 = c->l4_start + h->tag, all = p->len + h->tag;
    size_t least = l3 + (c->is_ip4 ? IP4 : IP6);
    uint8_t *ip = h->data + l3, *field = h->data + l4 + TCP_SUM, length[2];

    if (!c->is_tcp || !c->mss || c->l4_field != c->l4_start + TCP_SUM || l4 < least ||
        l4 + TCP > c->header + h->tag || c->header + h->tag > h->len || all - l3 > UINT16_MAX) {
        return false;
    }
    if (c->is_ip4) {
        bytes_put_be16(ip + 2, (uint16_t)(all - l3));
        bytes_put_be16(ip + 10, 0);
        bytes_put_be16(ip + 10, (uint16_t)~sum(ip, l4 - l3));
    } else {
        bytes_put_be16(ip + 4, (uint16_t)(all - l3 - IP6));
    }
    bytes_put_be16(length, (uint16_t)(all - l4));
    bytes_put_be16(field,
                   (uint16_t)sum((uint8_t[]){ field[0], field[1], length[0], length[1] }, 4));
    *o = (NetOffload){ .flags = NET_NEEDS_CSUM,
                       .gso = c->is_ip4 ? NET_GSO_TCP4 : NET_GSO_TCP6,
                       .hdr_len = (uint16_t)(c->header + h->tag),
                       .gso_size = c->mss,
                       .csum_start = (uint16_t)l4,
                       .csum_offset = TCP_SUM };
    return true;
}

static bool complete(HwE1000 *s, unsigned queue, const Packet *p, Head *h, NetOffload *o)
{
    const Context context = context_of(s, queue), *c = &context;
    uint32_t options = p->first_high >> 8;

    if (!p->is_data) {
        if (p->last_low & TXD_CMD_IC) {
            add_checksum(p, h, o, p->last_high >> 8 & 0xff, p->last_low >> 16 & 0xff, 0);
        }
        return true;
    }
    if (p->first_low & TXD_CMD_TSE) {
        return prepare_segments(c, p, h, o);
    }
    if (options & TXD_POPTS_TXSM) {
        add_checksum(p, h, o, c->l4_start, c->l4_field, c->l4_end);
    }
    if (options & TXD_POPTS_IXSM) {
        NetOffload none = { .flags = NET_NEEDS_CSUM };

        add_checksum(p, h, &none, c->ip_start, c->ip_field, c->ip_end);
    }
    return true;
}

/* ---- Sending ---- */

static void count_sent(HwE1000 *s, const Head *h, const NetOffload *o, size_t len)
{
    uint32_t n = 1;

    if (o->gso && len > o->hdr_len) {
        n = (uint32_t)((len - o->hdr_len - 1) / o->gso_size + 1);
        e1000_count(s, E1000_TSCTC, 1);
    }
    e1000_count(s, E1000_GPTC, n);
    e1000_count(s, E1000_TPT, n);
    e1000_count64(s, E1000_GOTCL, len);
    e1000_count64(s, E1000_TOTL, len);
    e1000_count_length(s, E1000_PTC64, len);
    if (h->data[0] & 1) {
        e1000_count(s, memcmp(h->data, "\xff\xff\xff\xff\xff\xff", 6) ? E1000_MPTC : E1000_BPTC, n);
    }
}

/* Replaces what the head was made of. */
static int splice(const Packet *p, Head *h, struct iovec *out)
{
    static const uint8_t zeros[MIN_FRAME];
    size_t skip = h->len - h->tag, len = p->len + h->tag;
    int n = 0;

    out[n++] = (struct iovec){ h->data, h->len };
    for (int i = 0; i < p->n; i++) {
        size_t gone = MIN(skip, p->iov[i].iov_len);

        skip -= gone;
        if (gone < p->iov[i].iov_len) {
            out[n++] =
                (struct iovec){ (uint8_t *)p->iov[i].iov_base + gone, p->iov[i].iov_len - gone };
        }
    }
    if (len < MIN_FRAME) {
        out[n++] = (struct iovec){ (void *)zeros, MIN_FRAME - len };
    }
    return n;
}

/* False: the back end has enough for now. */
static bool send_packet(HwE1000 *s, unsigned queue, const Packet *p)
{
    struct iovec iov[MAX_PIECES + 2];
    NetOffload o = { 0 };
    Head h;

    if (p->len < NET_MIN_FRAME || p->len > NET_MAX_FRAME - VLAN) {
        log_guest_error("e1000: a frame of %zu bytes", p->len);
        return true;
    }
    make_head(s, p, &h);
    if (!complete(s, queue, p, &h, &o)) {
        log_guest_error("e1000: a packet that cannot be cut into segments");
        return true;
    }
    if (s->net && !net_send(s->net, &o, iov, splice(p, &h, iov))) {
        return false;
    }
    count_sent(s, &h, &o, p->len + h.tag);
    return true;
}

/* Takes @n descriptors off the ring. True: one of them is to be reported. */
static bool retire(HwE1000 *s, unsigned queue, uint32_t n)
{
    uint32_t *head = e1000_reg(s, E1000_TDH + queue), size = ring_size(s, queue);
    bool reported = false;

    for (; n; n--, *head = *head + 1 >= size ? 0 : *head + 1) {
        uint8_t *d = e1000_descriptor(s, E1000_TDBAL + queue, *head, TXD_SIZE, true);

        if (d && (bytes_get_le32(d + 8) & (TXD_CMD_RS | TXD_CMD_RPS))) {
            __atomic_store_n(d + 12, d[12] | TXD_DD, __ATOMIC_RELEASE);
            memory_written(d + 12, 1);
            reported = true;
        }
    }
    return reported;
}

static uint32_t transmit_queue(HwE1000 *s, unsigned queue, uint32_t budget)
{
    uint32_t causes = 0, done = 0;
    Packet p;

    *e1000_reg(s, E1000_TDH + queue) &= 0xffff;
    while (done < budget) {
        Found found = find_packet(s, queue, &p);

        if (found == NOT_YET || (found == FOUND && !send_packet(s, queue, &p))) {
            break;
        }
        if (retire(s, queue, p.descriptors)) {
            causes |= ICR_TXDW | (s->is_82574 ? (uint32_t)ICR_TXQ0 << queue / E1000_QUEUE : 0);
        }
        done += p.descriptors;
    }
    if (done && *e1000_reg(s, E1000_TDH + queue) == (*e1000_reg(s, E1000_TDT + queue) & 0xffff)) {
        causes |= ICR_TXQE;
    }
    if (causes) {
        e1000_raise(s, causes);
    }
    if (done >= budget) {
        timer_set(&s->again, clock_now(CLOCK_VIRTUAL));
    }
    return done;
}

void e1000_transmit(HwE1000 *s)
{
    uint32_t done = 0;

    if (!(*e1000_reg(s, E1000_TCTL) & TCTL_EN) || !hw_pci_is_master(&s->parent)) {
        return;
    }
    for (unsigned i = 0; i < (s->is_82574 ? E1000_N_QUEUES : 1); i++) {
        done += transmit_queue(s, i * E1000_QUEUE, BUDGET);
    }
    if (done && s->net) {
        net_flush(s->net);
    }
}
