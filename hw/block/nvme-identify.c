/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the NVMe controller tells about itself: Identify (NVM Express Base 1.4, 5.15) and Get Log Page (5.14). The structures are filled by
 * offset, as the specification's tables list them.
 *
 * The namespace's UUID is made of the serial number, so that it is the same each time.
 */
#include "hw/block/nvme-priv.h"

#include <string.h>
#include "util/bytes.h"

enum {
    PAGE = 4096,
    SECTOR = 512,
    UUID_SIZE = 16,
    MODEL_AT = 24,
    SERIAL_SIZE = 20,
    MODEL_SIZE = 40
};
enum { CNS_NAMESPACE = 0, CNS_CONTROLLER = 1, CNS_LIST = 2, CNS_DESCRIPTORS = 3 };

uint64_t nvme_n_blocks(const HwNvme *s)
{
    return block_length(s->blk) / s->logical_block_size;
}

unsigned nvme_block_shift(const HwNvme *s)
{
    return (unsigned)__builtin_ctz(s->logical_block_size);
}

/* Text that fills a field, blanks behind it. */
static void put_text(uint8_t *to, const char *text, size_t size)
{
    memset(to, ' ', size);
    memcpy(to, text, MIN(strlen(text), size));
}

/* Of version 5: by a hash (RFC 4122, 4.3). */
static void make_uuid(const HwNvme *s, uint8_t *uuid)
{
    GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA1);
    uint8_t digest[20];
    gsize n = sizeof(digest);

    g_checksum_update(sum, (const guchar *)"menura nvme ", -1);
    g_checksum_update(sum, (const guchar *)s->serial, -1);
    g_checksum_get_digest(sum, digest, &n);
    g_checksum_free(sum);
    memcpy(uuid, digest, UUID_SIZE);
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x50);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

/* 7.9: a name that no other subsystem has. */
static void put_subsystem_name(const HwNvme *s, uint8_t *to)
{
    uint8_t u[UUID_SIZE];

    make_uuid(s, u);
    g_snprintf((char *)to, 256,
               "nqn.2014-08.org.nvmexpress:uuid:%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
               "%02x%02x%02x%02x%02x%02x",
               u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
               u[13], u[14], u[15]);
}

static void put_limits(const HwNvme *s, uint8_t *p)
{
    enum { FORMAT = 1 << 1, COMPARE = 1 << 0, DATASET = 1 << 2, ZEROES = 1 << 3 };
    enum { CACHE = 1, FLUSH_ALL = 3 << 1, LOG_OF_NAMESPACE = 1, LOG_EFFECTS = 2, LOG_OFFSET = 4 };

    bytes_put_le16(p + 256, FORMAT);
    p[258] = 3; /* commands to abort */
    p[259] = NVME_MAX_EVENTS - 1;
    p[260] = 3; /* one firmware slot, read only */
    p[261] = LOG_OF_NAMESPACE | LOG_EFFECTS | LOG_OFFSET;
    bytes_put_le16(p + 266, NVME_WARNING_TEMPERATURE);
    bytes_put_le16(p + 268, NVME_WARNING_TEMPERATURE + 10);
    bytes_put_le64(p + 280, block_length(s->blk));
    p[512] = __builtin_ctz(NVME_SQE) * 0x11;
    p[513] = __builtin_ctz(NVME_CQE) * 0x11;
    bytes_put_le32(p + 516, 1); /* namespaces */
    bytes_put_le16(p + 520, COMPARE | DATASET | ZEROES);
    p[524] = 1; /* a format is of all namespaces */
    p[525] = CACHE | FLUSH_ALL;
}

static void identify_controller(const HwNvme *s, uint8_t *p)
{
    enum { IO_CONTROLLER = 1 };

    bytes_put_le16(p, hw_pci_get16(&s->parent, PCI_VENDOR_ID));
    bytes_put_le16(p + 2, hw_pci_get16(&s->parent, PCI_SUBSYSTEM_VENDOR_ID));
    put_text(p + 4, s->serial, SERIAL_SIZE);
    put_text(p + MODEL_AT, "Menura NVMe Ctrl", MODEL_SIZE);
    put_text(p + 64, "1.0", 8);
    p[72] = 6; /* 2 to this commands: as many as are best taken together */
    p[77] = s->mdts;
    bytes_put_le32(p + 80, NVME_VERSION);
    p[111] = IO_CONTROLLER;
    put_limits(s, p);
    put_subsystem_name(s, p + 768);
    bytes_put_le16(p + 2048, 2500); /* power state 0: 25 W */
    bytes_put_le32(p + 2052, 16);   /* us to enter, to leave */
    bytes_put_le32(p + 2056, 4);
}

static void identify_namespace(const HwNvme *s, uint8_t *p)
{
    enum { BEST_SIZES = 1 << 4, READ_ONLY = 1 };
    uint16_t best = (uint16_t)(s->physical_block_size / s->logical_block_size - 1);

    for (unsigned at = 0; at <= 16; at += 8) { /* size, capacity, in use */
        bytes_put_le64(p + at, nvme_n_blocks(s));
    }
    p[24] = BEST_SIZES;
    bytes_put_le64(p + 48, nvme_n_blocks(s) * s->logical_block_size);
    for (unsigned at = 64; at <= 72;
         at += 2) { /* to write, to deallocate: granularity, alignment; best size */
        bytes_put_le16(p + at, best);
    }
    p[99] = block_is_readonly(s->blk) ? READ_ONLY : 0;
    p[130] = (uint8_t)nvme_block_shift(s); /* of format 0, the only one */
}

static void identify_descriptors(const HwNvme *s, uint8_t *p)
{
    enum { TYPE_UUID = 3 };

    p[0] = TYPE_UUID;
    p[1] = UUID_SIZE;
    make_uuid(s, p + 4);
}

uint16_t nvme_identify(HwNvme *s, const NvmeCommand *c)
{
    g_autofree uint8_t *page = g_malloc0(PAGE);
    unsigned cns = c->cdw10 & 0xff;
    bool all = c->nsid == UINT32_MAX;

    switch (cns) {
    case CNS_NAMESPACE: /* of all: what they have in common */
        if (!all && (!c->nsid || c->nsid > 1)) {
            return NVME_INVALID_NAMESPACE;
        }
        identify_namespace(s, page);
        break;
    case CNS_CONTROLLER:
        identify_controller(s, page);
        break;
    case CNS_LIST:
        if (c->nsid >= UINT32_MAX - 1) {
            return NVME_INVALID_NAMESPACE;
        }
        bytes_put_le32(page, !c->nsid);
        break;
    case CNS_DESCRIPTORS:
        if (c->nsid != 1) {
            return NVME_INVALID_NAMESPACE;
        }
        identify_descriptors(s, page);
        break;
    default:
        return NVME_INVALID_FIELD;
    }
    return nvme_copy_to_guest(s, c, PAGE, page, PAGE);
}

/* ---- Logs ---- */

static void log_error(const HwNvme *s, uint8_t *p)
{
    if (s->n_errors) {
        bytes_put_le64(p, s->n_errors);
        bytes_put_le16(p + 8, s->error.sq);
        bytes_put_le16(p + 10, s->error.cid);
        bytes_put_le16(p + 12, (uint16_t)(s->error.status << 1));
        bytes_put_le16(p + 14, 0xffff); /* the parameter is not told */
    }
}

static void log_smart(const HwNvme *s, uint8_t *p)
{
    enum { TEMPERATURE = 1 << 1, UNIT = 1000 };

    p[0] = nvme_is_too_hot_or_cold(s) ? TEMPERATURE : 0;
    bytes_put_le16(p + 1, NVME_TEMPERATURE);
    p[3] = 100; /* % of spare blocks, and when it is too little */
    p[4] = 10;
    bytes_put_le64(p + 32, s->sectors_read / UNIT + (s->sectors_read % UNIT != 0));
    bytes_put_le64(p + 48, s->sectors_written / UNIT + (s->sectors_written % UNIT != 0));
    bytes_put_le64(p + 64, s->reads);
    bytes_put_le64(p + 80, s->writes);
    bytes_put_le64(p + 176, s->n_errors);
}

static void log_firmware(uint8_t *p)
{
    p[0] = 1; /* the slot in use */
    put_text(p + 8, "1.0", 8);
}

static void log_effects(uint8_t *p)
{
    enum { SUPPORTED = 1, CHANGES_DATA = 2, IO = 1024, FORMATS = 1 << 16 };
    static const uint8_t admin[] = { NVME_DELETE_SQ,  NVME_CREATE_SQ,    NVME_GET_LOG_PAGE,
                                     NVME_DELETE_CQ,  NVME_CREATE_CQ,    NVME_IDENTIFY,
                                     NVME_ABORT,      NVME_SET_FEATURES, NVME_GET_FEATURES,
                                     NVME_ASYNC_EVENT };
    static const uint8_t io[] = { NVME_FLUSH,   NVME_WRITE,        NVME_READ,
                                  NVME_COMPARE, NVME_WRITE_ZEROES, NVME_DATASET };

    for (unsigned i = 0; i < G_N_ELEMENTS(admin); i++) {
        bytes_put_le32(p + 4 * admin[i], SUPPORTED);
    }
    bytes_put_le32(p + 4 * NVME_FORMAT, SUPPORTED | CHANGES_DATA | FORMATS);
    for (unsigned i = 0; i < G_N_ELEMENTS(io); i++) {
        bool reads = io[i] == NVME_FLUSH || io[i] == NVME_READ || io[i] == NVME_COMPARE;

        bytes_put_le32(p + IO + 4 * io[i], SUPPORTED | (reads ? 0 : CHANGES_DATA));
    }
}

/* Fills @p and tells the log's size; 0: there is no such log. */
static unsigned make_log(const HwNvme *s, unsigned log, uint8_t *p)
{
    switch (log) {
    case NVME_LOG_ERROR:
        log_error(s, p);
        return 64;
    case NVME_LOG_SMART:
        log_smart(s, p);
        return 512;
    case NVME_LOG_FIRMWARE:
        log_firmware(p);
        return 512;
    case NVME_LOG_EFFECTS:
        log_effects(p);
        return PAGE;
    }
    return 0;
}

uint16_t nvme_get_log_page(HwNvme *s, const NvmeCommand *c)
{
    enum { RETAIN_EVENT = 1 << 15 };
    g_autofree uint8_t *page = g_malloc0(PAGE);
    unsigned log = c->cdw10 & 0xff, size = make_log(s, log, page);
    uint64_t bytes = ((uint64_t)(c->cdw11 & 0xffff) << 16 | c->cdw10 >> 16) * 4 + 4;
    uint64_t offset = c->cdw12 | (uint64_t)c->cdw13 << 32;

    if (!size) {
        return NVME_INVALID_LOG_PAGE;
    }
    if (offset >= size || offset & 3 || (c->nsid > 1 && c->nsid != UINT32_MAX)) {
        return NVME_INVALID_FIELD;
    }
    if (!(c->cdw10 & RETAIN_EVENT) && log <= NVME_LOG_SMART) {
        s->event_masked[log == NVME_LOG_ERROR ? NVME_EVENT_ERROR : NVME_EVENT_SMART] = false;
        nvme_report_events(s);
    }
    return nvme_copy_to_guest(s, c, bytes, page + offset, MIN(bytes, size - offset));
}
