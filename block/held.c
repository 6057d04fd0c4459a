/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Requests that the host failed (werror=, rerror=): the device is told, or never hears of it, or the machine stops and keeps the request until it
 * goes on, which tries it again: a host's full disk is no guest's broken disk. Everything here is under the lock of block_set_lock().
 */
#include "block/block-priv.h"
#include <errno.h>

static void (*stop_machine)(const BlockBackend *blk, const char *what, int err);

void block_set_stop_handler(void (*f)(const BlockBackend *blk, const char *what, int err))
{
    stop_machine = f;
}

/* A flush is not tried again: what the host has lost meanwhile (fsync(2)) would be called safe. */
static bool may_try_again(const BlockRequest *req)
{
    return req->op != BLOCK_FLUSH;
}

static BlockErrorAction action_for(const BlockRequest *req)
{
    BlockErrorAction action = req->blk->on_error[req->op != BLOCK_READ];

    if (action == BLOCK_ERROR_ENOSPC) {
        action = req->result == -ENOSPC ? BLOCK_ERROR_STOP : BLOCK_ERROR_REPORT;
    }
    return action == BLOCK_ERROR_STOP && (!stop_machine || !may_try_again(req)) ? BLOCK_ERROR_REPORT
                                                                                : action;
}

void request_ended(BlockRequest *req)
{
    switch (req->result ? action_for(req) : BLOCK_ERROR_REPORT) {
    case BLOCK_ERROR_STOP:
        list_append(&req->blk->held, req);
        stop_machine(req->blk, req->op == BLOCK_READ ? "read" : "write", -req->result);
        break;
    case BLOCK_ERROR_IGNORE:
        req->done(req, 0);
        break;
    default:
        req->done(req, req->result);
    }
}

bool block_has_held(const BlockBackend *blk)
{
    return blk->held.first;
}

void block_retry_held(BlockBackend *blk)
{
    RequestList list = blk->held;
    BlockRequest *req;

    blk->held.first = NULL;
    block_plug();
    while ((req = list_take_first(&list))) {
        block_submit(blk, req);
    }
    block_unplug();
    blk->batch_open =
        true; /* those that were completed at once, outside of the device's own submission */
    block_end_batches();
}

void held_give_up(BlockBackend *blk)
{
    BlockRequest *req;

    while ((req = list_take_first(&blk->held))) {
        req->done(req, req->result);
    }
}
