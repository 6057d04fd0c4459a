/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The server's half of NBD's handshake: fixed newstyle, one export. All of it must be over within NBD_HANDSHAKE_SECONDS, so a client that does
 * nothing does not keep the place of another one.
 */
#include <string.h>
#include "nbd/nbd-priv.h"

enum { MAX_OPTION = 64 * 1024, MAX_SKIP = 32 << 20 };

typedef enum Next { NEXT_OPTION, NEXT_REQUESTS, NEXT_END } Next;

/* An option's data, taken from the front. */
typedef struct Data {
    const uint8_t *p;
    uint32_t left;
} Data;

static bool take_number(Data *d, uint32_t *value)
{
    if (d->left < 4) {
        return false;
    }
    d->p = nbd_get32(d->p, value);
    d->left -= 4;
    return true;
}

static bool take_number16(Data *d, uint16_t *value)
{
    if (d->left < 2) {
        return false;
    }
    d->p = nbd_get16(d->p, value);
    d->left -= 2;
    return true;
}

/* A length and so many bytes; borrowed. */
static bool take_text(Data *d, const char **text, uint32_t *n)
{
    if (!take_number(d, n) || *n > d->left) {
        return false;
    }
    *text = (const char *)d->p;
    d->p += *n;
    d->left -= *n;
    return true;
}

/* ---- Replies ---- */

static bool reply(NbdSession *s, uint32_t option, uint32_t type, const void *data, size_t n)
{
    NbdOptionReply r = { .option = option, .type = type, .length = (uint32_t)n };
    uint8_t head[NBD_OPTION_REPLY_BYTES];
    struct iovec iov = { (void *)data, n };
    IovCursor c = { &iov, 1, 0 };

    nbd_option_reply_put(head, &r);
    return nbd_send(s->in->fd, s->in->deadline, head, sizeof(head), &c, n) == 0;
}

static Next acknowledge(NbdSession *s, uint32_t option)
{
    return reply(s, option, NBD_REP_ACK, NULL, 0) ? NEXT_OPTION : NEXT_END;
}

static Next refuse(NbdSession *s, uint32_t option, unsigned error, const char *text)
{
    return reply(s, option, NBD_REP_ERR(error), text, strlen(text)) ? NEXT_OPTION : NEXT_END;
}

static Next refuse_data(NbdSession *s, uint32_t option)
{
    return refuse(s, option, NBD_ERR_INVALID, "the option's data makes no sense");
}

static Next refuse_name(NbdSession *s, uint32_t option, const char *name, uint32_t n)
{
    g_autofree char *shown = g_utf8_make_valid(name, MIN(n, 256));
    g_autofree char *text = g_strdup_printf("there is no export '%s'", shown);

    return refuse(s, option, NBD_ERR_UNKNOWN, text);
}

static bool is_export(const NbdSession *s, const char *name, uint32_t n)
{
    return n == strlen(s->image->name) && !memcmp(name, s->image->name, n);
}

/* ---- Options ---- */

static uint16_t flags_of(const NbdSession *s)
{
    return (uint16_t)(s->flags | (s->structured ? NBD_FLAG_SEND_DF : 0));
}

static Next export_name(NbdSession *s, const Data *d, bool no_zeroes)
{
    uint8_t out[10 + NBD_OLD_ZEROES] = { 0 };

    if (!is_export(s, (const char *)d->p, d->left)) {
        return NEXT_END; /* there is no other way to say it */
    }
    nbd_put16(nbd_put64(out, s->image->length), flags_of(s));
    return nbd_stream_send(s->in, out, no_zeroes ? 10 : sizeof(out)) == 0 ? NEXT_REQUESTS
                                                                          : NEXT_END;
}

static Next list(NbdSession *s, uint32_t option, const Data *d)
{
    const char *name = s->image->name, *description = s->image->description;
    g_autoptr(GByteArray) out = g_byte_array_new();
    uint8_t length[4];

    if (d->left) {
        return refuse_data(s, option);
    }
    nbd_put32(length, (uint32_t)strlen(name));
    g_byte_array_append(out, length, sizeof(length));
    g_byte_array_append(out, (const uint8_t *)name, (guint)strlen(name));
    if (description) {
        g_byte_array_append(out, (const uint8_t *)description, (guint)strlen(description));
    }
    return reply(s, option, NBD_REP_SERVER, out->data, out->len) ? acknowledge(s, option)
                                                                 : NEXT_END;
}

static bool send_text_info(NbdSession *s, uint32_t option, unsigned kind, const char *text)
{
    g_autofree uint8_t *out = g_malloc(2 + strlen(text));

    nbd_put16(out, (uint16_t)kind);
    memcpy(out + 2, text, strlen(text));
    return reply(s, option, NBD_REP_INFO, out, 2 + strlen(text));
}

static bool send_blocks(NbdSession *s, uint32_t option)
{
    uint8_t out[14], *p = nbd_put16(out, NBD_INFO_BLOCK_SIZE);

    nbd_put32(nbd_put32(nbd_put32(p, 1), 4096), NBD_MAX_PAYLOAD);
    return reply(s, option, NBD_REP_INFO, out, sizeof(out));
}

static bool send_wanted(NbdSession *s, uint32_t option, unsigned kind)
{
    switch (kind) {
    case NBD_INFO_NAME:
        return send_text_info(s, option, kind, s->image->name);
    case NBD_INFO_DESCRIPTION:
        return !s->image->description || send_text_info(s, option, kind, s->image->description);
    case NBD_INFO_BLOCK_SIZE:
        return send_blocks(s, option);
    default:
        return true;
    }
}

static Next info(NbdSession *s, uint32_t option, Data d)
{
    uint8_t out[12];
    const char *name;
    uint32_t n;
    uint16_t wanted, kind, seen = 0;

    if (!take_text(&d, &name, &n) || !take_number16(&d, &wanted) || d.left != wanted * 2u) {
        return refuse_data(s, option);
    }
    if (!is_export(s, name, n)) {
        return refuse_name(s, option, name, n);
    }
    while (take_number16(&d, &kind)) {
        if (kind < 16 && !(seen >> kind & 1) && !send_wanted(s, option, kind)) {
            return NEXT_END;
        }
        seen |= (uint16_t)(kind < 16 ? 1u << kind : 0);
    }
    nbd_put16(nbd_put64(nbd_put16(out, NBD_INFO_EXPORT), s->image->length), flags_of(s));
    if (!reply(s, option, NBD_REP_INFO, out, sizeof(out)) || acknowledge(s, option) == NEXT_END) {
        return NEXT_END;
    }
    return option == NBD_OPT_GO ? NEXT_REQUESTS : NEXT_OPTION;
}

static Next structured_reply(NbdSession *s, uint32_t option, const Data *d)
{
    if (d->left) {
        return refuse_data(s, option);
    }
    s->structured = true;
    return acknowledge(s, option);
}

/* ---- Metadata contexts ---- */

static bool is_text(const char *text, uint32_t n, const char *other)
{
    return n == strlen(other) && !memcmp(text, other, n);
}

/* With @wildcards "base:", "qemu:" and "qemu:dirty-bitmap:" are all that begins so. */
static bool is_asked_for(const char *query, uint32_t n, const char *name, bool wildcards)
{
    bool all = is_text(query, n, "base:") || is_text(query, n, "qemu:") ||
               is_text(query, n, NBD_CONTEXT_BITMAP);

    return is_text(query, n, name) || (wildcards && all && !strncmp(query, name, n));
}

/* Adds what is asked for to *@found. False: the query has no namespace. */
static bool match(const NbdSession *s, const char *query, uint32_t n, bool wildcards,
                  uint64_t *found)
{
    for (unsigned i = 0; i < MAX_CONTEXTS; i++) {
        const char *name = image_context(s->image, i);

        *found |= name && is_asked_for(query, n, name, wildcards) ? 1ull << i : 0;
    }
    return memchr(query, ':', n) != NULL;
}

static bool send_context(NbdSession *s, uint32_t option, uint32_t id, const char *name)
{
    g_autofree uint8_t *out = g_malloc(4 + strlen(name));

    nbd_put32(out, option == NBD_OPT_SET_META_CONTEXT ? id : 0);
    memcpy(out + 4, name, strlen(name));
    return reply(s, option, NBD_REP_META_CONTEXT, out, 4 + strlen(name));
}

static Next meta_context(NbdSession *s, uint32_t option, Data d)
{
    bool set = option == NBD_OPT_SET_META_CONTEXT;
    const char *name, *query;
    uint32_t n, queries, len;
    uint64_t found = 0;

    if (set) {
        s->contexts = 0;
    }
    if (!s->structured) {
        return refuse(s, option, NBD_ERR_INVALID, "structured replies must be agreed on before");
    }
    if (!take_text(&d, &name, &n) || !take_number(&d, &queries)) {
        return refuse_data(s, option);
    }
    if (!is_export(s, name, n)) {
        return refuse_name(s, option, name, n);
    }
    if (!queries && !set) {
        match(s, "base:", 5, true, &found);
        match(s, "qemu:", 5, true, &found);
    }
    for (; queries; queries--) {
        if (!take_text(&d, &query, &len) || !match(s, query, len, !set, &found)) {
            return refuse_data(s, option);
        }
    }
    if (d.left) {
        return refuse_data(s, option);
    }
    for (unsigned i = 0; i < MAX_CONTEXTS; i++) {
        if ((found >> i & 1) && !send_context(s, option, i, image_context(s->image, i))) {
            return NEXT_END;
        }
    }
    if (set) {
        s->contexts = found;
    }
    return acknowledge(s, option);
}

/* ---- All together ---- */

static Next carry_out(NbdSession *s, uint32_t option, Data d, bool no_zeroes)
{
    switch (option) {
    case NBD_OPT_EXPORT_NAME:
        return export_name(s, &d, no_zeroes);
    case NBD_OPT_ABORT:
        acknowledge(s, option);
        return NEXT_END;
    case NBD_OPT_LIST:
        return list(s, option, &d);
    case NBD_OPT_INFO:
    case NBD_OPT_GO:
        return info(s, option, d);
    case NBD_OPT_STRUCTURED_REPLY:
        return structured_reply(s, option, &d);
    case NBD_OPT_LIST_META_CONTEXT:
    case NBD_OPT_SET_META_CONTEXT:
        return meta_context(s, option, d);
    case NBD_OPT_STARTTLS:
        return refuse(s, option, NBD_ERR_UNSUP, "there is no TLS");
    default:
        return refuse(s, option, NBD_ERR_UNSUP, "unknown option");
    }
}

static Next next_option(NbdSession *s, uint8_t *data, bool no_zeroes)
{
    uint8_t head[NBD_OPTION_BYTES];
    uint64_t magic;
    uint32_t option, length;

    if (nbd_stream_read(s->in, head, sizeof(head))) {
        return NEXT_END;
    }
    nbd_get32(nbd_get32(nbd_get64(head, &magic), &option), &length);
    if (magic != NBD_OPTION_MAGIC || length > MAX_SKIP) {
        return NEXT_END;
    }
    if (length > MAX_OPTION) {
        if (option == NBD_OPT_EXPORT_NAME || nbd_stream_skip(s->in, length)) {
            return NEXT_END;
        }
        return refuse(s, option, NBD_ERR_TOO_BIG, "the option's data is too much");
    }
    if (nbd_stream_read(s->in, data, length)) {
        return NEXT_END;
    }
    return carry_out(s, option, (Data){ data, length }, no_zeroes);
}

static bool greet(NbdSession *s, bool *no_zeroes)
{
    uint32_t known = NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES, flags;
    uint8_t out[NBD_GREETING_BYTES], in[4];

    nbd_put16(nbd_put64(nbd_put64(out, NBD_MAGIC), NBD_OPTION_MAGIC), (uint16_t)known);
    if (nbd_stream_send(s->in, out, sizeof(out)) || nbd_stream_read(s->in, in, sizeof(in))) {
        return false;
    }
    nbd_get32(in, &flags);
    *no_zeroes = flags & NBD_FLAG_NO_ZEROES;
    return !(flags & ~known);
}

bool handshake(NbdSession *s)
{
    g_autofree uint8_t *data = g_malloc(MAX_OPTION);
    Next next = NEXT_OPTION;
    bool no_zeroes;

    s->in->deadline = g_get_monotonic_time() + NBD_HANDSHAKE_SECONDS * G_USEC_PER_SEC;
    if (!greet(s, &no_zeroes)) {
        return false;
    }
    while (next == NEXT_OPTION) {
        next = next_option(s, data, no_zeroes);
    }
    s->in->deadline = 0;
    return next == NEXT_REQUESTS;
}
