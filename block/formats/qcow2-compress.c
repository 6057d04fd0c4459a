/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qcow2's compressed clusters: raw deflate streams (a window of 4 KiB suffices readers) or zstd frames. What is behind the stream's end is
 * of other clusters, so unpacking ends when a whole cluster has been produced.
 */
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif
#include "block/formats/qcow2.h"

enum { TYPE_ZLIB, TYPE_ZSTD, WINDOW_BITS = 12, TRIAL_MIN = 4096 };

bool qcow2_compression_known(unsigned type)
{
#ifdef HAVE_ZSTD
    return type <= TYPE_ZSTD;
#else
    return type == TYPE_ZLIB;
#endif
}

static bool unpack_zlib(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
    z_stream z = { .next_in = (uint8_t *)in,
                   .avail_in = (uInt)in_bytes,
                   .next_out = out,
                   .avail_out = (uInt)out_bytes };
    int result;

    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) {
        return false;
    }
    result = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return (result == Z_STREAM_END || result == Z_BUF_ERROR) && z.avail_out == 0;
}

static size_t deflate_raw(const uint8_t *in, size_t bytes, uint8_t *out, size_t max)
{
    z_stream z = {
        .next_in = (uint8_t *)in, .avail_in = (uInt)bytes, .next_out = out, .avail_out = (uInt)max
    };
    int result;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -WINDOW_BITS, 9, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return 0;
    }
    result = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return result == Z_STREAM_END ? max - z.avail_out : 0;
}

/* Are all bytes as frequent as in random data? For that, chi-squared with its 255 degrees of freedom is above 400 once in 10^7 times. */
static bool looks_random(const uint8_t *in, size_t bytes)
{
    uint64_t squares = 0;
    uint32_t counts[256] = { 0 };

    for (size_t i = 0; i < bytes; i++) {
        counts[in[i]]++;
    }
    for (unsigned i = 0; i < 256; i++) {
        squares += (uint64_t)counts[i] * counts[i];
    }
    return squares * 256 / bytes - bytes < 400;
}

/* What is compressed or encrypted already takes the longest, for nothing: then a quarter is tried first. */
static size_t pack_zlib(const uint8_t *in, size_t bytes, uint8_t *out, size_t max)
{
    size_t trial = bytes / 4;

    if (trial >= TRIAL_MIN && looks_random(in, bytes) && !deflate_raw(in, trial, out, trial - 1)) {
        return 0;
    }
    return deflate_raw(in, bytes, out, max);
}

#ifdef HAVE_ZSTD
static bool unpack_zstd(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    ZSTD_inBuffer from = { in, in_bytes, 0 };
    ZSTD_outBuffer to = { out, out_bytes, 0 };
    size_t before_in, before_out;

    while (z && to.pos < to.size) {
        before_in = from.pos;
        before_out = to.pos;
        if (ZSTD_isError(ZSTD_decompressStream(z, &to, &from)) ||
            (from.pos == before_in && to.pos == before_out)) {
            break;
        }
    }
    ZSTD_freeDStream(z);
    return to.pos == to.size;
}
#endif

bool qcow2_unpack(unsigned type, const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes)
{
#ifdef HAVE_ZSTD
    if (type == TYPE_ZSTD) {
        return unpack_zstd(in, in_bytes, out, out_bytes);
    }
#endif
    return unpack_zlib(in, in_bytes, out, out_bytes);
}

size_t qcow2_pack(unsigned type, const uint8_t *in, size_t bytes, uint8_t *out, size_t max)
{
#ifdef HAVE_ZSTD
    if (type == TYPE_ZSTD) {
        size_t n = ZSTD_compress(out, max, in, bytes, 3);

        return ZSTD_isError(n) ? 0 : n;
    }
#endif
    return pack_zlib(in, bytes, out, max);
}
