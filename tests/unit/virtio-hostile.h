/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio driver that writes nonsense into registers, rings and descriptors, mostly in places where a device gets far with it. Afterwards
 * the good driver (tests/unit/virtio-driver.h) must still get its answers. Its dice are g_test_rand_int(): --seed repeats a run.
 */
#ifndef TESTS_UNIT_VIRTIO_HOSTILE_H
#define TESTS_UNIT_VIRTIO_HOSTILE_H

#include "tests/unit/virtio-driver.h"

/* Adds a request to a queue, right but for one mistake in a few. */
typedef void HostileRequest(Queue *q);

/* Dice: an address, mostly of guest memory; a length; true one time in @n. */
uint64_t hostile_address(void);
uint32_t hostile_length(void);
bool hostile_one_in(int n);
/* A chain as a driver of virtio-blk makes it, but for one mistake in a few. */
void hostile_add_chain(Queue *q);
/* Steps that a test should take. */
unsigned hostile_steps(void);
/* @steps of the driver on a device with @n queues, up to 4, whose requests are made by @request; then the device is reset. */
void hostile_drive(Slot *s, unsigned n, bool legacy, unsigned steps, HostileRequest *request);

#endif
