/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NBD's wire format (the protocol's doc/proto.md, qemu's docs/interop/nbd.txt for the namespace "qemu"): constants, headers to and from
 * bytes, and buffered access to a socket. Used by the client (block/nbd-*.c) and the server (nbd/). All numbers on the wire are big-endian.
 *
 * Whoever is at the other end is not trusted: nothing here allocates by a length that it sent.
 */
#ifndef BLOCK_NBD_PROTO_H
#define BLOCK_NBD_PROTO_H

#include "block/node.h"

#define NBD_MAGIC                  0x4e42444d41474943ull /* "NBDMAGIC" */
#define NBD_OPTION_MAGIC           0x49484156454F5054ull /* "IHAVEOPT" */
#define NBD_OLDSTYLE_MAGIC         0x0000420281861253ull
#define NBD_OPTION_REPLY_MAGIC     0x0003e889045565a9ull
#define NBD_REQUEST_MAGIC          0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC     0x67446698u
#define NBD_STRUCTURED_REPLY_MAGIC 0x668e33efu

enum {
    NBD_DEFAULT_PORT = 10809,
    NBD_MAX_STRING = 4096,
    NBD_MAX_SOCKET_PATH = 107,  /* Linux has no longer ones */
    NBD_MAX_PAYLOAD = 32 << 20, /* what everybody can do */
    NBD_MAX_EXTENTS = 1 << 20,  /* of one reply */
    NBD_HANDSHAKE_SECONDS = 10,
    NBD_GREETING_BYTES = 18,
    NBD_OPTION_BYTES = 16,
    NBD_OPTION_REPLY_BYTES = 20,
    NBD_REQUEST_BYTES = 28,
    NBD_SIMPLE_BYTES = 16,
    NBD_CHUNK_BYTES = 20,
    NBD_OLD_ZEROES = 124
};

/* Of the handshake, both directions. */
enum { NBD_FLAG_FIXED_NEWSTYLE = 1, NBD_FLAG_NO_ZEROES = 2 };

typedef enum NbdOption {
    NBD_OPT_EXPORT_NAME = 1,
    NBD_OPT_ABORT = 2,
    NBD_OPT_LIST = 3,
    NBD_OPT_STARTTLS = 5,
    NBD_OPT_INFO = 6,
    NBD_OPT_GO = 7,
    NBD_OPT_STRUCTURED_REPLY = 8,
    NBD_OPT_LIST_META_CONTEXT = 9,
    NBD_OPT_SET_META_CONTEXT = 10
} NbdOption;

#define NBD_REP_ERROR  0x80000000u
#define NBD_REP_ERR(n) (NBD_REP_ERROR + (n))

/* Replies to options; errors are NBD_REP_ERR(n). */
enum { NBD_REP_ACK = 1, NBD_REP_SERVER = 2, NBD_REP_INFO = 3, NBD_REP_META_CONTEXT = 4 };
enum {
    NBD_ERR_UNSUP = 1,
    NBD_ERR_POLICY = 2,
    NBD_ERR_INVALID = 3,
    NBD_ERR_PLATFORM = 4,
    NBD_ERR_TLS_REQD = 5,
    NBD_ERR_UNKNOWN = 6,
    NBD_ERR_SHUTDOWN = 7,
    NBD_ERR_BLOCK_SIZE_REQD = 8,
    NBD_ERR_TOO_BIG = 9
};
enum { NBD_INFO_EXPORT = 0, NBD_INFO_NAME = 1, NBD_INFO_DESCRIPTION = 2, NBD_INFO_BLOCK_SIZE = 3 };

/* Of an export. */
enum {
    NBD_FLAG_HAS_FLAGS = 1 << 0,
    NBD_FLAG_READ_ONLY = 1 << 1,
    NBD_FLAG_SEND_FLUSH = 1 << 2,
    NBD_FLAG_SEND_FUA = 1 << 3,
    NBD_FLAG_ROTATIONAL = 1 << 4,
    NBD_FLAG_SEND_TRIM = 1 << 5,
    NBD_FLAG_SEND_WRITE_ZEROES = 1 << 6,
    NBD_FLAG_SEND_DF = 1 << 7,
    NBD_FLAG_CAN_MULTI_CONN = 1 << 8,
    NBD_FLAG_SEND_RESIZE = 1 << 9,
    NBD_FLAG_SEND_CACHE = 1 << 10,
    NBD_FLAG_SEND_FAST_ZERO = 1 << 11
};

typedef enum NbdCommand {
    NBD_CMD_READ,
    NBD_CMD_WRITE,
    NBD_CMD_DISC,
    NBD_CMD_FLUSH,
    NBD_CMD_TRIM,
    NBD_CMD_CACHE,
    NBD_CMD_WRITE_ZEROES,
    NBD_CMD_BLOCK_STATUS
} NbdCommand;

/* Of a command. */
enum {
    NBD_CMD_FLAG_FUA = 1,
    NBD_CMD_FLAG_NO_HOLE = 2,
    NBD_CMD_FLAG_DF = 4,
    NBD_CMD_FLAG_REQ_ONE = 8,
    NBD_CMD_FLAG_FAST_ZERO = 16
};

enum { NBD_REPLY_FLAG_DONE = 1 };
/* Kinds of chunks; those of errors have bit 15 set. */
enum {
    NBD_REPLY_NONE = 0,
    NBD_REPLY_OFFSET_DATA = 1,
    NBD_REPLY_OFFSET_HOLE = 2,
    NBD_REPLY_BLOCK_STATUS = 5,
    NBD_REPLY_ERROR_BIT = 0x8000,
    NBD_REPLY_ERROR = 0x8001,
    NBD_REPLY_ERROR_OFFSET = 0x8002
};

/* Of base:allocation. */
enum { NBD_STATE_HOLE = 1, NBD_STATE_ZERO = 2 };
enum { NBD_STATE_DIRTY = 1 }; /* of NBD_CONTEXT_BITMAP */

#define NBD_CONTEXT_ALLOCATION "base:allocation"
#define NBD_CONTEXT_DEPTH      "qemu:allocation-depth"
#define NBD_CONTEXT_BITMAP     "qemu:dirty-bitmap:" /* and its name */

/* ---- Numbers; each returns what is behind it ---- */

uint8_t *nbd_put16(uint8_t *p, uint16_t value);
uint8_t *nbd_put32(uint8_t *p, uint32_t value);
uint8_t *nbd_put64(uint8_t *p, uint64_t value);
const uint8_t *nbd_get16(const uint8_t *p, uint16_t *value);
const uint8_t *nbd_get32(const uint8_t *p, uint32_t *value);
const uint8_t *nbd_get64(const uint8_t *p, uint64_t *value);

/* ---- Headers ---- */

typedef struct NbdRequest {
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t length;
} NbdRequest;

typedef struct NbdChunk {
    uint16_t flags, type;
    uint64_t cookie;
    uint32_t length; /* of what follows */
} NbdChunk;

typedef struct NbdOptionReply {
    uint32_t option, type, length;
} NbdOptionReply;

void nbd_request_put(uint8_t out[NBD_REQUEST_BYTES], const NbdRequest *req);
/* False: it does not begin as it must. */
bool nbd_request_get(const uint8_t in[NBD_REQUEST_BYTES], NbdRequest *req);
void nbd_simple_put(uint8_t out[NBD_SIMPLE_BYTES], uint64_t cookie, uint32_t error);
void nbd_chunk_put(uint8_t out[NBD_CHUNK_BYTES], const NbdChunk *chunk);
/* Its magic has been looked at. */
void nbd_chunk_get(const uint8_t in[NBD_CHUNK_BYTES], NbdChunk *chunk);
void nbd_option_put(uint8_t out[NBD_OPTION_BYTES], uint32_t option, uint32_t length);
void nbd_option_reply_put(uint8_t out[NBD_OPTION_REPLY_BYTES], const NbdOptionReply *reply);
bool nbd_option_reply_get(const uint8_t in[NBD_OPTION_REPLY_BYTES], NbdOptionReply *reply);

/* Between -errno and the wire's few errors; 0 is no error. */
uint32_t nbd_error_to_wire(int err);
int nbd_error_from_wire(uint32_t error);
/* What an error reply to an option means. Borrowed. */
const char *nbd_option_error(uint32_t type);

/* ---- Sockets: 0 or -errno; -ESHUTDOWN: the other side closed it; -ETIMEDOUT: the deadline passed ---- */

typedef struct NbdStream {
    int fd;          /* blocking; borrowed */
    gint64 deadline; /* monotonic us, of all that comes and goes; 0: none */
    unsigned begin, end;
    uint8_t buf[16384];
} NbdStream;

NbdStream *nbd_stream_new(int fd);
void nbd_stream_free(NbdStream *s);
int nbd_stream_read(NbdStream *s, void *buf, uint64_t bytes);
/* @c moves on by @bytes. */
int nbd_stream_read_iov(NbdStream *s, IovCursor *c, uint64_t bytes);
int nbd_stream_skip(NbdStream *s, uint64_t bytes);
/* Something can be read without waiting (or the end). */
bool nbd_stream_pending(const NbdStream *s);
int nbd_stream_send(NbdStream *s, const void *buf, uint64_t bytes);
/* @n_head bytes, then the next @bytes of @c (NULL if 0), which is left alone. @deadline as above. */
int nbd_send(int fd, gint64 deadline, const void *head, size_t n_head, const IovCursor *c,
             uint64_t bytes);
/* No delay of small packets; the kernel asks whether a silent peer is still there. Nothing for unix sockets. */
void nbd_tune_socket(int fd);

#endif
