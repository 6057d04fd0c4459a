/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fields of messages, little-endian without gaps, a text with its length before it; and the client's buffers. */
#include "fsdev/p9-priv.h"

#include <errno.h>
#include <string.h>
#include "util/bytes.h"

/* ---- Reading ---- */

/* The next @n bytes, or NULL. */
static const uint8_t *take(P9Call *c, size_t n)
{
    const uint8_t *p = c->at;

    if (c->bad || (size_t)(c->end - c->at) < n) {
        c->bad = true;
        return NULL;
    }
    c->at += n;
    return p;
}

uint8_t p9_get8(P9Call *c)
{
    const uint8_t *p = take(c, 1);

    return p ? *p : 0;
}

uint16_t p9_get16(P9Call *c)
{
    const uint8_t *p = take(c, 2);

    return p ? bytes_get_le16(p) : 0;
}

uint32_t p9_get32(P9Call *c)
{
    const uint8_t *p = take(c, 4);

    return p ? bytes_get_le32(p) : 0;
}

uint64_t p9_get64(P9Call *c)
{
    const uint8_t *p = take(c, 8);

    return p ? bytes_get_le64(p) : 0;
}

void p9_get_text(P9Call *c, char *buf, size_t size)
{
    size_t len = p9_get16(c);
    const uint8_t *p = take(c, len);

    *buf = 0;
    if (!p || len >= size || memchr(p, 0, len)) {
        c->bad = true;
        return;
    }
    memcpy(buf, p, len);
    buf[len] = 0;
}

int p9_get_name(P9Call *c, char name[P9_MAX_NAME + 1])
{
    size_t len = p9_get16(c);
    const uint8_t *p = take(c, len);

    *name = 0;
    if (!p || memchr(p, 0, len)) {
        c->bad = true;
        return -EINVAL;
    }
    if (len > P9_MAX_NAME) {
        return -ENAMETOOLONG;
    }
    memcpy(name, p, len);
    name[len] = 0;
    return local_name_is_good(name) ? 0 : -EINVAL;
}

bool p9_all_got(const P9Call *c)
{
    return !c->bad && c->at == c->end;
}

/* ---- Writing ---- */

static void put(P9Call *c, const void *data, size_t n)
{
    if (n <= sizeof(c->answer) - c->len) {
        memcpy(c->answer + c->len, data, n);
        c->len += (uint32_t)n;
    }
}

void p9_put8(P9Call *c, uint8_t v)
{
    put(c, &v, 1);
}

void p9_put16(P9Call *c, uint16_t v)
{
    v = GUINT16_TO_LE(v);
    put(c, &v, sizeof(v));
}

void p9_put32(P9Call *c, uint32_t v)
{
    v = GUINT32_TO_LE(v);
    put(c, &v, sizeof(v));
}

void p9_put64(P9Call *c, uint64_t v)
{
    v = GUINT64_TO_LE(v);
    put(c, &v, sizeof(v));
}

void p9_put_text(P9Call *c, const char *text)
{
    size_t len = strlen(text);

    p9_put16(c, (uint16_t)len);
    put(c, text, len);
}

/* ---- Buffers ---- */

static size_t copy(const struct iovec *iov, int n, uint64_t at, uint8_t *buf, size_t len,
                   bool write)
{
    size_t done = 0;

    for (int i = 0; i < n && done < len; i++) {
        uint8_t *host = iov[i].iov_base;
        size_t piece;

        if (at >= iov[i].iov_len) {
            at -= iov[i].iov_len;
            continue;
        }
        piece = MIN(iov[i].iov_len - at, len - done);
        memcpy(write ? host + at : buf + done, write ? buf + done : host + at, piece);
        done += piece;
        at = 0;
    }
    return done;
}

size_t p9_iov_read(const struct iovec *iov, int n, uint64_t at, void *buf, size_t len)
{
    return copy(iov, n, at, buf, len, false);
}

size_t p9_iov_write(const struct iovec *iov, int n, uint64_t at, const void *buf, size_t len)
{
    return copy(iov, n, at, (uint8_t *)buf, len, true);
}

int p9_iov_part(const struct iovec *iov, int n, uint64_t at, uint64_t len, struct iovec *part)
{
    int used = 0;

    for (int i = 0; i < n && len; i++) {
        uint64_t piece;

        if (at >= iov[i].iov_len) {
            at -= iov[i].iov_len;
            continue;
        }
        piece = MIN(iov[i].iov_len - at, len);
        part[used++] = (struct iovec){ (uint8_t *)iov[i].iov_base + at, piece };
        len -= piece;
        at = 0;
    }
    return used;
}
