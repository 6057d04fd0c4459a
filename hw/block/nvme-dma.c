/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a command's data are: Physical Region Pages (NVM Express Base 1.4, 4.3). Every pointer is checked for its offset and for being guest
 * RAM. Pages that follow each other in the host's memory are one element.
 *
 * The driver may change a list while it is read: each entry is read once, and lists are followed only where the length needs them.
 */
#include "hw/block/nvme-priv.h"

#include <string.h>
#include "util/bytes.h"
#include "util/log.h"

typedef struct Mapping {
    HwNvme *s;
    bool to_guest;
    struct iovec *iov;
    int n;
} Mapping;

uint32_t nvme_page_size(const HwNvme *s)
{
    return (uint32_t)NVME_PAGE << ((s->cc & NVME_CC_MPS) >> NVME_CC_MPS_SHIFT);
}

uint64_t nvme_max_transfer(const HwNvme *s)
{
    return (uint64_t)NVME_PAGE << s->mdts;
}

unsigned nvme_max_iov(const HwNvme *s, uint64_t bytes)
{
    return (unsigned)((bytes - 1) / nvme_page_size(s)) + 2;
}

static uint8_t *map_page(Mapping *m, uint64_t addr, uint64_t bytes, bool write)
{
    uint64_t n = bytes;
    uint8_t *host = hw_pci_dma_map(&m->s->parent, addr, &n, write);

    if (!host || n < bytes) {
        log_guest_error("nvme: a command points to %#" G_GINT64_MODIFIER "x, which is no memory",
                        addr);
        return NULL;
    }
    return host;
}

static uint16_t add_page(Mapping *m, uint64_t addr, uint64_t bytes)
{
    struct iovec *last = m->n ? &m->iov[m->n - 1] : NULL;
    uint8_t *host = map_page(m, addr, bytes, m->to_guest);

    if (!host) {
        return NVME_DATA_TRANSFER_ERROR;
    }
    if (last && (uint8_t *)last->iov_base + last->iov_len == host) {
        last->iov_len += bytes;
    } else {
        m->iov[m->n++] = (struct iovec){ host, bytes };
    }
    return NVME_OK;
}

/* Entries of the list at @at up to the end of its page; all but the last of a full one are pages. */
static uint16_t add_list(Mapping *m, uint64_t at, uint64_t bytes)
{
    uint64_t page = nvme_page_size(m->s);

    if (at & 7) {
        return NVME_INVALID_PRP_OFFSET;
    }
    while (bytes) {
        uint64_t n = (page - (at & (page - 1))) / 8;
        const uint8_t *list = map_page(m, at, n * 8, false);

        if (!list) {
            return NVME_DATA_TRANSFER_ERROR;
        }
        for (uint64_t i = 0; i < n && bytes; i++) {
            uint64_t entry = bytes_get_le64(list + 8 * i), piece = MIN(bytes, page);
            uint16_t status;

            /* Pages, and further lists, begin where pages do: so each list has more entries than one. */
            if (entry & (page - 1)) {
                return NVME_INVALID_PRP_OFFSET;
            }
            if (i == n - 1 && bytes > page) {
                at = entry;
                break;
            }
            status = add_page(m, entry, piece);
            if (status) {
                return status;
            }
            bytes -= piece;
        }
    }
    return NVME_OK;
}

uint16_t nvme_map(HwNvme *s, const NvmeCommand *c, uint64_t bytes, bool to_guest, struct iovec *iov,
                  int *n_iov)
{
    Mapping m = { s, to_guest, iov, 0 };
    uint64_t page = nvme_page_size(s), first = MIN(bytes, page - (c->prp1 & (page - 1)));
    uint16_t status = c->prp1 & 3 ? NVME_INVALID_PRP_OFFSET : add_page(&m, c->prp1, first);

    bytes -= first;
    if (!status && bytes > page) {
        status = add_list(&m, c->prp2, bytes);
    } else if (!status && bytes) {
        status = c->prp2 & (page - 1) ? NVME_INVALID_PRP_OFFSET : add_page(&m, c->prp2, bytes);
    }
    *n_iov = m.n;
    return status;
}

/* ---- Copies ---- */

static uint16_t copy(HwNvme *s, const NvmeCommand *c, uint64_t bytes, uint8_t *buf, uint64_t n,
                     bool to_guest)
{
    g_autofree struct iovec *iov = NULL;
    uint16_t status;
    int n_iov;

    if (!bytes || bytes > nvme_max_transfer(s)) {
        return NVME_INVALID_FIELD;
    }
    iov = g_new(struct iovec, nvme_max_iov(s, bytes));
    status = nvme_map(s, c, bytes, to_guest, iov, &n_iov);
    for (int i = 0; i < n_iov && n && !status; i++) {
        uint64_t piece = MIN(n, iov[i].iov_len);

        memcpy(to_guest ? iov[i].iov_base : buf, to_guest ? buf : iov[i].iov_base, piece);
        if (to_guest) {
            memory_written(iov[i].iov_base, piece);
        }
        buf += piece;
        n -= piece;
    }
    return status;
}

uint16_t nvme_copy_to_guest(HwNvme *s, const NvmeCommand *c, uint64_t bytes, const void *buf,
                            uint64_t n)
{
    return copy(s, c, bytes, (uint8_t *)buf, n, true);
}

uint16_t nvme_copy_from_guest(HwNvme *s, const NvmeCommand *c, uint64_t bytes, void *buf,
                              uint64_t n)
{
    return copy(s, c, bytes, buf, n, false);
}
