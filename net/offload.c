/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checksums (RFC 1071) and TCP segmentation, on whole frames in memory. Headers are found anew here: what the sender says about them (csum_start)
 * must agree with what they are, or the frame is dropped.
 */
#include "net/offload.h"
#include <string.h>
#include "util/bytes.h"

enum { ETH = 14, VLAN = 4, MAX_VLANS = 2, IP4 = 20, IP6 = 40, TCP = 20 };
enum { TYPE_IP4 = 0x0800, TYPE_IP6 = 0x86dd, TYPE_VLAN = 0x8100, TYPE_QINQ = 0x88a8 };
enum { PROTO_TCP = 6 };
enum { FLAG_FIN = 1, FLAG_SYN = 2, FLAG_PSH = 8, FLAG_CWR = 0x80 };
enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_MSS = 2 };
enum { MORE_FRAGMENTS = 0x2000, OFFSET_MASK = 0x1fff };

/* ---- Lists ---- */

void net_list_append(NetList *list, NetFrame *f)
{
    f->next = NULL;
    if (list->last) {
        list->last->next = f;
    } else {
        list->first = f;
    }
    list->last = f;
    list->n++;
    list->bytes += f->len;
}

NetFrame *net_list_pop(NetList *list)
{
    NetFrame *f = list->first;

    if (f) {
        list->first = f->next;
        list->last = f->next ? list->last : NULL;
        list->n--;
        list->bytes -= f->len;
    }
    return f;
}

void net_list_splice(NetList *to, NetList *from)
{
    if (from->first) {
        if (to->last) {
            to->last->next = from->first;
        } else {
            to->first = from->first;
        }
        to->last = from->last;
        to->n += from->n;
        to->bytes += from->bytes;
        *from = (NetList){ 0 };
    }
}

void net_list_clear(NetList *list)
{
    for (NetFrame *f; (f = net_list_pop(list));) {
        g_free(f);
    }
}

NetFrame *net_frame_new(size_t len)
{
    NetFrame *f = g_malloc(sizeof(*f) + len);

    g_assert(len <= NET_MAX_FRAME);
    f->next = NULL;
    f->offload = (NetOffload){ 0 };
    f->len = (uint32_t)len;
    return f;
}

/* ---- Sums ---- */

static uint16_t fold(uint64_t sum)
{
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

uint16_t net_sum(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t sum = 0, word;
    uint8_t rest[8] = { 0 };

    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        sum += word;
        sum += sum < word; /* the carry comes back in: sums are modulo 2^16 - 1 */
    }
    memcpy(rest, p, len);
    memcpy(&word, rest, 8);
    sum += word;
    sum += sum < word;
    return fold((sum & UINT32_MAX) + (sum >> 32));
}

static void put_sum(uint8_t *at, uint64_t sum)
{
    uint16_t value = (uint16_t)~fold(sum);

    memcpy(at, &value, 2);
}

/* ---- Headers ---- */

typedef struct Headers {
    size_t l3, l4, payload; /* offsets */
    bool is_ip6;
} Headers;

static size_t find_l3(const NetFrame *f, uint16_t *type)
{
    size_t at = ETH;

    *type = bytes_get_be16(f->data + 12);
    for (int i = 0; i < MAX_VLANS && (*type == TYPE_VLAN || *type == TYPE_QINQ); i++) {
        if (at + VLAN > f->len) {
            return f->len;
        }
        *type = bytes_get_be16(f->data + at + 2);
        at += VLAN;
    }
    return at;
}

/* False: it is no whole TCP packet with its header where the offload fields say. */
static bool find_tcp(const NetFrame *f, Headers *h)
{
    uint16_t type;
    size_t least;

    h->l3 = find_l3(f, &type);
    h->l4 = f->offload.csum_start;
    h->is_ip6 = type == TYPE_IP6;
    least = h->l3 + (h->is_ip6 ? IP6 : IP4);
    if ((type != TYPE_IP4 && type != TYPE_IP6) || h->l4 < least || h->l4 + TCP > f->len ||
        f->offload.csum_offset != 16) {
        return false;
    }
    if (!h->is_ip6 &&
        (h->l3 + (f->data[h->l3] & 15u) * 4 != h->l4 || f->data[h->l3 + 9] != PROTO_TCP)) {
        return false;
    }
    h->payload = h->l4 + (f->data[h->l4 + 12] >> 4) * 4u;
    return h->payload >= h->l4 + TCP && h->payload <= f->len && f->len - h->l3 <= UINT16_MAX;
}

static uint64_t pseudo_sum(const uint8_t *l3, bool is_ip6, size_t l4_len)
{
    uint64_t sum = is_ip6 ? net_sum(l3 + 8, 32) : net_sum(l3 + 12, 8);

    return sum + GUINT16_TO_BE(PROTO_TCP) + GUINT16_TO_BE((uint16_t)l4_len);
}

/* Makes lengths and checksums of a TCP packet right. @n: which of its segments it is. */
static void seal_tcp(NetFrame *f, const Headers *h, unsigned n)
{
    uint8_t *l3 = f->data + h->l3, *l4 = f->data + h->l4;
    size_t l4_len = f->len - h->l4;

    if (h->is_ip6) {
        bytes_put_be16(l3 + 4, (uint16_t)(f->len - h->l3 - IP6));
    } else {
        bytes_put_be16(l3 + 2, (uint16_t)(f->len - h->l3));
        bytes_put_be16(l3 + 4, (uint16_t)(bytes_get_be16(l3 + 4) + n));
        bytes_put_be16(l3 + 10, 0);
        put_sum(l3 + 10, net_sum(l3, h->l4 - h->l3));
    }
    bytes_put_be16(l4 + 16, 0);
    put_sum(l4 + 16, pseudo_sum(l3, h->is_ip6, l4_len) + net_sum(l4, l4_len));
    f->offload = (NetOffload){ 0 };
}

/* ---- The work ---- */

bool net_offload_is_sound(const NetOffload *o, size_t len)
{
    enum { MAX_SEGMENTS = 2048 };
    uint8_t gso = o->gso & ~NET_GSO_ECN;

    if (o->gso && ((gso != NET_GSO_TCP4 && gso != NET_GSO_TCP6) || !o->gso_size ||
                   len / o->gso_size > MAX_SEGMENTS || !(o->flags & NET_NEEDS_CSUM))) {
        return false;
    }
    return !(o->flags & NET_NEEDS_CSUM) || (size_t)o->csum_start + o->csum_offset + 2 <= len;
}

uint32_t net_offload_needs(const NetOffload *o)
{
    static const uint32_t of_gso[] = {
        [NET_GSO_TCP4] = NET_TAKES_TSO4, [NET_GSO_TCP6] = NET_TAKES_TSO6
    };
    uint8_t gso = o->gso & ~NET_GSO_ECN;

    return (o->flags & NET_NEEDS_CSUM ? NET_TAKES_CSUM : 0) |
           (gso < G_N_ELEMENTS(of_gso) ? of_gso[gso] : 0) |
           (o->gso & NET_GSO_ECN ? NET_TAKES_ECN : 0);
}

static void finish_checksum(NetFrame *f)
{
    uint8_t *field = f->data + f->offload.csum_start + f->offload.csum_offset;

    put_sum(field, net_sum(f->data + f->offload.csum_start, f->len - f->offload.csum_start));
    if (f->offload.csum_offset == 6 && !field[0] && !field[1]) {
        field[0] = field[1] = 0xff; /* UDP: 0 would say that there is none */
    }
    f->offload = (NetOffload){ 0 };
}

static void cut(const NetFrame *f, const Headers *h, NetList *out)
{
    size_t total = f->len - h->payload, mss = f->offload.gso_size;
    uint32_t seq = bytes_get_be32(f->data + h->l4 + 4);
    unsigned n = 0;

    for (size_t at = 0; at < total; at += mss, n++) {
        size_t len = MIN(mss, total - at);
        NetFrame *piece = net_frame_new(h->payload + len);
        uint8_t *l4 = piece->data + h->l4;

        memcpy(piece->data, f->data, h->payload);
        memcpy(piece->data + h->payload, f->data + h->payload + at, len);
        bytes_put_be32(l4 + 4, seq + (uint32_t)at);
        l4[13] &= (uint8_t) ~((at ? FLAG_CWR : 0) | (at + len < total ? FLAG_FIN | FLAG_PSH : 0));
        seal_tcp(piece, h, n);
        net_list_append(out, piece);
    }
}

void net_offload_finish(NetFrame *f, uint32_t takes, bool big, NetList *out)
{
    Headers h;

    if (!(net_offload_needs(&f->offload) & ~takes)) {
        net_list_append(out, f);
        return;
    }
    if (!f->offload.gso) {
        finish_checksum(f);
        net_list_append(out, f);
        return;
    }
    if (find_tcp(f, &h)) {
        if (big || f->len - h.payload <= f->offload.gso_size) {
            seal_tcp(f, &h, 0);
            net_list_append(out, f);
            return;
        }
        cut(f, &h, out);
    }
    g_free(f);
}

void net_fragment(NetFrame *f, size_t mtu, NetList *out)
{
    uint16_t type, was;
    size_t l3 = find_l3(f, &type), header, total, step;

    header = l3 < f->len ? (f->data[l3] & 15u) * 4 : 0;
    if (f->len <= l3 + mtu || type != TYPE_IP4 || header < IP4 || l3 + header > f->len ||
        f->data[l3 + 9] == PROTO_TCP) {
        net_list_append(out, f);
        return;
    }
    total = f->len - l3 - header;
    step = (mtu - header) & ~7ul;
    was = bytes_get_be16(f->data + l3 + 6);
    for (size_t at = 0; at < total; at += step) {
        size_t len = MIN(step, total - at);
        NetFrame *piece = net_frame_new(l3 + header + len);
        uint8_t *ip = piece->data + l3;
        bool more = at + len < total || (was & MORE_FRAGMENTS);

        memcpy(piece->data, f->data, l3 + header);
        memcpy(ip + header, f->data + l3 + header + at, len);
        bytes_put_be16(ip + 2, (uint16_t)(header + len));
        bytes_put_be16(ip + 6,
                       (uint16_t)(((was & OFFSET_MASK) + at / 8) | (more ? MORE_FRAGMENTS : 0)));
        bytes_put_be16(ip + 10, 0);
        put_sum(ip + 10, net_sum(ip, header));
        net_list_append(out, piece);
    }
    g_free(f);
}

/* ---- Connections that may have larger segments inside than the guest's network has ---- */

/* Finds TCP where the headers say, not the offload fields. No extension headers. */
static bool look_for_tcp(NetFrame *f, Headers *h)
{
    NetOffload was = f->offload;
    uint16_t type;
    size_t l3 = find_l3(f, &type);
    bool is_ip4 = type == TYPE_IP4 && l3 + IP4 <= f->len && f->data[l3 + 9] == PROTO_TCP;
    bool is_ip6 = type == TYPE_IP6 && l3 + IP6 <= f->len && f->data[l3 + 6] == PROTO_TCP;
    size_t end;
    bool ok;

    if ((!is_ip4 && !is_ip6) ||
        (is_ip4 && (bytes_get_be16(f->data + l3 + 6) & (MORE_FRAGMENTS | OFFSET_MASK)))) {
        return false;
    }
    end = l3 + (is_ip6 ? IP6 + bytes_get_be16(f->data + l3 + 4) : bytes_get_be16(f->data + l3 + 2));
    f->len = end >= l3 + IP4 ? MIN(f->len, (uint32_t)end) : f->len; /* without padding */
    f->offload.csum_start = (uint16_t)(l3 + (is_ip6 ? IP6 : (f->data[l3] & 15u) * 4));
    f->offload.csum_offset = 16;
    ok = find_tcp(f, h);
    f->offload = was;
    return ok;
}

void net_tcp_raise_mss(NetFrame *f, size_t mtu, uint16_t mss)
{
    Headers h;

    if (!look_for_tcp(f, &h) || !(f->data[h.l4 + 13] & FLAG_SYN)) {
        return;
    }
    for (size_t at = h.l4 + TCP; at + 4 <= h.payload && f->data[at] != OPTION_END;) {
        uint8_t kind = f->data[at], len = kind == OPTION_NOP ? 1 : f->data[at + 1];

        if (kind == OPTION_MSS && len == 4 &&
            bytes_get_be16(f->data + at + 2) + (h.is_ip6 ? IP6 : IP4) + (size_t)TCP >= mtu) {
            bytes_put_be16(f->data + at + 2, mss);
            seal_tcp(f, &h, 0);
            return;
        }
        at += MAX(len, 1);
    }
}

void net_tcp_mark(NetFrame *f, size_t mtu)
{
    Headers h;
    uint16_t sum;

    if (f->len <= ETH + mtu || !look_for_tcp(f, &h) || h.payload - h.l3 >= mtu) {
        return;
    }
    f->offload = (NetOffload){ .flags = NET_NEEDS_CSUM,
                               .gso = h.is_ip6 ? NET_GSO_TCP6 : NET_GSO_TCP4,
                               .hdr_len = (uint16_t)h.payload,
                               .gso_size = (uint16_t)(mtu - (h.payload - h.l3)),
                               .csum_start = (uint16_t)h.l4,
                               .csum_offset = 16 };
    sum = fold(pseudo_sum(f->data + h.l3, h.is_ip6, f->len - h.l4));
    memcpy(f->data + h.l4 + 16, &sum, 2);
}
