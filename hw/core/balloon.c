/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one balloon of the machine. */
#include "hw/core/balloon.h"
#include <stddef.h>

static const HwBalloonOps *ops;
static void *owner;

bool hw_balloon_register(const HwBalloonOps *new_ops, void *opaque)
{
    if (ops) {
        return false;
    }
    ops = new_ops;
    owner = opaque;
    return true;
}

void hw_balloon_unregister(void *opaque)
{
    if (owner == opaque) {
        ops = NULL;
        owner = NULL;
    }
}

bool hw_balloon_set(uint64_t bytes)
{
    if (ops) {
        ops->set_target(owner, bytes);
    }
    return ops;
}

bool hw_balloon_get(uint64_t *bytes)
{
    if (ops) {
        *bytes = ops->actual(owner);
    }
    return ops;
}
