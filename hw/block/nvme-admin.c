/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Admin commands of the NVMe controller (NVM Express Base 1.4, section 5): I/O queues, Abort, asynchronous events; the others are called from here.
 */
#include "hw/block/nvme-priv.h"

#include <string.h>
#include "util/log.h"

enum { PHYSICALLY_CONTIGUOUS = 1, INTERRUPTS = 2, NOT_ABORTED = 1 };

/* ---- I/O queues ---- */

static uint16_t check_new_queue(const HwNvme *s, const NvmeCommand *c, bool exists)
{
    unsigned size = (c->cdw10 >> 16) + 1;

    if (exists) {
        return NVME_INVALID_QUEUE_ID;
    }
    if (size < 2 || size > NVME_MAX_ENTRIES) {
        return NVME_INVALID_QUEUE_SIZE;
    }
    return c->cdw11 & PHYSICALLY_CONTIGUOUS ? NVME_OK : NVME_INVALID_FIELD;
}

static bool is_io_queue(const HwNvme *s, unsigned n)
{
    return n && n <= s->max_ioqpairs;
}

static uint16_t create_cq(HwNvme *s, const NvmeCommand *c)
{
    unsigned n = c->cdw10 & 0xffff, vector = c->cdw11 >> 16;
    uint16_t status;

    if (!is_io_queue(s, n)) {
        return NVME_INVALID_QUEUE_ID;
    }
    status = check_new_queue(s, c, s->cqs[n].ring.size);
    if (status) {
        return status;
    }
    if (s->cc >> NVME_CC_IOCQES_SHIFT != __builtin_ctz(NVME_CQE)) {
        return NVME_INVALID_FIELD;
    }
    if ((c->cdw11 & INTERRUPTS) && vector >= (hw_pci_has_msix(&s->parent) ? s->msix_qsize : 1)) {
        return NVME_INVALID_VECTOR;
    }
    status = nvme_make_cq(s, n, c->prp1, (c->cdw10 >> 16) + 1);
    s->cqs[n].vector = (uint16_t)vector;
    s->cqs[n].interrupts = c->cdw11 & INTERRUPTS;
    return status;
}

static uint16_t create_sq(HwNvme *s, const NvmeCommand *c)
{
    unsigned n = c->cdw10 & 0xffff, cq = c->cdw11 >> 16;
    uint16_t status;

    if (!is_io_queue(s, n)) {
        return NVME_INVALID_QUEUE_ID;
    }
    status = check_new_queue(s, c, s->sqs[n].ring.size);
    if (status) {
        return status;
    }
    if ((s->cc >> NVME_CC_IOSQES_SHIFT & 0xf) != __builtin_ctz(NVME_SQE)) {
        return NVME_INVALID_FIELD;
    }
    if (!is_io_queue(s, cq) || !s->cqs[cq].ring.size) {
        return NVME_INVALID_CQ;
    }
    return nvme_make_sq(s, n, c->prp1, (c->cdw10 >> 16) + 1, cq);
}

static uint16_t delete_sq(HwNvme *s, const NvmeCommand *c)
{
    unsigned n = c->cdw10 & 0xffff;

    if (!is_io_queue(s, n) || !s->sqs[n].ring.size) {
        return NVME_INVALID_QUEUE_ID;
    }
    nvme_drain(s, n);
    s->sqs[n] = (NvmeSq){ 0 };
    return NVME_OK;
}

static uint16_t delete_cq(HwNvme *s, const NvmeCommand *c)
{
    unsigned n = c->cdw10 & 0xffff;

    if (!is_io_queue(s, n) || !s->cqs[n].ring.size) {
        return NVME_INVALID_QUEUE_ID;
    }
    for (unsigned i = 1; i <= s->max_ioqpairs; i++) {
        if (s->sqs[i].ring.size && s->sqs[i].cq == n) {
            return NVME_INVALID_QUEUE_DELETION;
        }
    }
    s->cqs[n] = (NvmeCq){ 0 };
    return NVME_OK;
}

/* ---- Asynchronous events (5.2) ---- */

void nvme_report_events(HwNvme *s)
{
    for (unsigned type = 0; type < NVME_N_EVENT_TYPES; type++) {
        const NvmeCq *cq = &s->cqs[0];
        unsigned room = cq->ring.size + cq->ring.head - cq->ring.tail - 1u;

        if (!s->event_pending[type] || s->event_masked[type] || !s->n_event_cids ||
            !cq->ring.size || room % cq->ring.size <= cq->reserved) {
            continue;
        }
        s->event_pending[type] = false;
        s->event_masked[type] = true;
        s->cqs[0].reserved++;
        nvme_complete(s, 0, s->event_cids[--s->n_event_cids], NVME_OK,
                      type | (uint32_t)s->event_info[type] << 8 |
                          (uint32_t)s->event_log[type] << 16);
    }
}

void nvme_event(HwNvme *s, unsigned type, unsigned info, unsigned log)
{
    s->event_pending[type] = true;
    s->event_info[type] = (uint8_t)info;
    s->event_log[type] = (uint8_t)log;
    nvme_report_events(s);
}

static uint16_t wait_for_event(HwNvme *s, const NvmeCommand *c)
{
    if (s->n_event_cids == NVME_MAX_EVENTS) {
        return NVME_TOO_MANY_EVENTS;
    }
    s->event_cids[s->n_event_cids++] = c->cid;
    nvme_unreserve(s, 0);
    nvme_report_events(s);
    return NVME_PENDING;
}

/* ---- All ---- */

static uint16_t carry_out(HwNvme *s, const NvmeCommand *c, uint32_t *result)
{
    switch (c->opcode) {
    case NVME_DELETE_SQ:
        return delete_sq(s, c);
    case NVME_CREATE_SQ:
        return create_sq(s, c);
    case NVME_GET_LOG_PAGE:
        return nvme_get_log_page(s, c);
    case NVME_DELETE_CQ:
        return delete_cq(s, c);
    case NVME_CREATE_CQ:
        return create_cq(s, c);
    case NVME_IDENTIFY:
        return nvme_identify(s, c);
    case NVME_ABORT: /* it may be too late (5.1): for each it is */
        *result = NOT_ABORTED;
        return NVME_OK;
    case NVME_SET_FEATURES:
        return nvme_set_features(s, c, result);
    case NVME_GET_FEATURES:
        return nvme_get_features(s, c, result);
    case NVME_ASYNC_EVENT:
        return wait_for_event(s, c);
    case NVME_FORMAT:
        return nvme_format(s, c);
    }
    return NVME_INVALID_OPCODE;
}

void nvme_admin(HwNvme *s, const NvmeCommand *c)
{
    uint32_t result = 0;
    uint16_t status = carry_out(s, c, &result);

    if (status == NVME_PENDING) {
        return;
    }
    if (status) {
        log_guest_error("nvme: admin command %#x: status %#x", c->opcode, status & ~NVME_DNR);
    }
    nvme_complete(s, 0, c->cid, status, result);
}
