/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Get Features and Set Features of the NVMe controller (NVM Express Base 1.4, 5.13, 5.21). What a driver sets is lost with a reset: nothing is
 * saved. Arbitration, coalescing, error recovery and atomicity are kept as they are set and change nothing.
 */
#include "hw/block/nvme-priv.h"

#include <string.h>

enum { OVER = 0, UNDER = 1, ALL_SENSORS = 0xf, SUPPORTED = 0x4, MAX_QUEUES = 0xfffe };

typedef struct Feature {
    uint32_t reset;    /* its value */
    uint32_t writable; /* bits */
    bool known;
} Feature;

static const Feature features[NVME_N_FEATURES] = {
    [NVME_FEATURE_ARBITRATION] = { 0x7, 0xffffff07, true },
    [NVME_FEATURE_POWER] = { 0, 0xe0, true },
    [NVME_FEATURE_TEMPERATURE] = { NVME_WARNING_TEMPERATURE, 0xffff, true },
    [NVME_FEATURE_ERROR_RECOVERY] = { 0, 0xffff, true },
    [NVME_FEATURE_WRITE_CACHE] = { 1, 1, true },
    [NVME_FEATURE_QUEUES] = { 0, 0, true },
    [NVME_FEATURE_COALESCING] = { 0, 0xffff, true },
    [NVME_FEATURE_VECTOR] = { 0, 0, true },
    [NVME_FEATURE_ATOMICITY] = { 0, 1, true },
    [NVME_FEATURE_EVENTS] = { 0, 0xff, true },
};

void nvme_features_reset(HwNvme *s)
{
    for (unsigned i = 0; i < NVME_N_FEATURES; i++) {
        s->features[i] = features[i].reset;
    }
    s->features[NVME_FEATURE_QUEUES] = (s->max_ioqpairs - 1) * 0x10001;
    s->cold = 0;
    memset(s->uncoalesced, 0, sizeof(s->uncoalesced));
}

bool nvme_is_too_hot_or_cold(const HwNvme *s)
{
    return s->features[NVME_FEATURE_TEMPERATURE] <= NVME_TEMPERATURE || s->cold >= NVME_TEMPERATURE;
}

static bool is_known(unsigned id)
{
    return id < NVME_N_FEATURES && features[id].known;
}

/* Dword 11 chooses a sensor, of which there is one, and a threshold. */
static bool temperature_is_known(const NvmeCommand *c, bool set)
{
    unsigned sensor = c->cdw11 >> 16 & 0xf, which = c->cdw11 >> 20 & 3;

    return (!sensor || (set && sensor == ALL_SENSORS)) && which <= UNDER;
}

/* ---- Get ---- */

static uint16_t get_current(const HwNvme *s, const NvmeCommand *c, unsigned id, uint32_t *result)
{
    unsigned vector = c->cdw11 & 0xffff;

    if (id == NVME_FEATURE_TEMPERATURE) {
        if (!temperature_is_known(c, false)) {
            return NVME_INVALID_FIELD;
        }
        *result = (c->cdw11 >> 20 & 3) == UNDER ? s->cold : s->features[id];
    } else if (id == NVME_FEATURE_VECTOR) {
        if (vector >= s->msix_qsize) {
            return NVME_INVALID_FIELD;
        }
        *result = vector | (uint32_t)s->uncoalesced[vector] << 16;
    } else {
        *result = s->features[id];
    }
    return NVME_OK;
}

uint16_t nvme_get_features(HwNvme *s, const NvmeCommand *c, uint32_t *result)
{
    enum { CURRENT, DEFAULT, SAVED, CAPABILITIES };
    unsigned id = c->cdw10 & 0xff, select = c->cdw10 >> 8 & 7;

    if (!is_known(id)) {
        return NVME_INVALID_FIELD;
    }
    switch (select) {
    case CURRENT:
        return get_current(s, c, id, result);
    case DEFAULT:
    case SAVED:
        *result = id == NVME_FEATURE_QUEUES ? (s->max_ioqpairs - 1) * 0x10001 : features[id].reset;
        return NVME_OK;
    case CAPABILITIES:
        *result = SUPPORTED;
        return NVME_OK;
    }
    return NVME_INVALID_FIELD;
}

/* ---- Set ---- */

static uint16_t set_temperature(HwNvme *s, const NvmeCommand *c)
{
    enum { TEMPERATURE_EVENTS = 1 << 1 };

    if (!temperature_is_known(c, true)) {
        return NVME_INVALID_FIELD;
    }
    if ((c->cdw11 >> 20 & 3) == UNDER) {
        s->cold = (uint16_t)c->cdw11;
    } else {
        s->features[NVME_FEATURE_TEMPERATURE] = c->cdw11 & 0xffff;
    }
    if (nvme_is_too_hot_or_cold(s) && (s->features[NVME_FEATURE_EVENTS] & TEMPERATURE_EVENTS)) {
        nvme_event(s, NVME_EVENT_SMART, NVME_SMART_TEMPERATURE, NVME_LOG_SMART);
    }
    return NVME_OK;
}

static uint16_t set_queues(HwNvme *s, const NvmeCommand *c, uint32_t *result)
{
    if ((c->cdw11 & 0xffff) > MAX_QUEUES || c->cdw11 >> 16 > MAX_QUEUES) {
        return NVME_INVALID_FIELD;
    }
    for (unsigned i = 1; i <= s->max_ioqpairs; i++) {
        if (s->sqs[i].ring.size || s->cqs[i].ring.size) {
            return NVME_SEQUENCE_ERROR;
        }
    }
    *result = s->features[NVME_FEATURE_QUEUES];
    return NVME_OK;
}

static uint16_t set_vector(HwNvme *s, const NvmeCommand *c)
{
    unsigned vector = c->cdw11 & 0xffff;

    if (vector >= s->msix_qsize) {
        return NVME_INVALID_FIELD;
    }
    s->uncoalesced[vector] = c->cdw11 >> 16 & 1;
    return NVME_OK;
}

uint16_t nvme_set_features(HwNvme *s, const NvmeCommand *c, uint32_t *result)
{
    enum { SAVE = 1u << 31 };
    unsigned id = c->cdw10 & 0xff;

    if (!is_known(id)) {
        return NVME_INVALID_FIELD;
    }
    if (c->cdw10 & SAVE) {
        return NVME_FEATURE_NOT_SAVEABLE;
    }
    switch (id) {
    case NVME_FEATURE_TEMPERATURE:
        return set_temperature(s, c);
    case NVME_FEATURE_QUEUES:
        return set_queues(s, c, result);
    case NVME_FEATURE_VECTOR:
        return set_vector(s, c);
    case NVME_FEATURE_POWER:
        if (c->cdw11 & 0x1f) {
            return NVME_INVALID_FIELD; /* state 0 is the only one */
        }
        break;
    }
    s->features[id] = c->cdw11 & features[id].writable;
    if (id == NVME_FEATURE_WRITE_CACHE && !s->features[id]) {
        return nvme_flush_for(s, c); /* what is in the cache is to be on the disk */
    }
    return NVME_OK;
}
