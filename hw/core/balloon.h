/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the monitor's "balloon" and the device that can change how much memory the guest has. Machine lock held. */
#ifndef HW_CORE_BALLOON_H
#define HW_CORE_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

typedef struct HwBalloonOps {
    void (*set_target)(void *opaque, uint64_t bytes); /* that the guest should have left */
    uint64_t (*actual)(void *opaque);                 /* bytes that it has now */
} HwBalloonOps;

/* False: there is one. */
bool hw_balloon_register(const HwBalloonOps *ops, void *opaque);
void hw_balloon_unregister(void *opaque);
/* False: the machine has no balloon. */
bool hw_balloon_set(uint64_t bytes);
bool hw_balloon_get(uint64_t *bytes);

#endif
