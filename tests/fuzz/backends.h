/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Back ends for fuzzing devices, in place of block/, net/ and chardev/: what devices ask of these (their headers) is answered here at once or later,
 * as the input has it, always the same way, in one thread and without the host. What a device hands over is touched to its last byte, so that
 * a sanitizer sees what is not memory of the guest or the device.
 */
#ifndef TESTS_FUZZ_BACKENDS_H
#define TESTS_FUZZ_BACKENDS_H

#include <stdbool.h>
#include <stdint.h>

enum { BACKENDS_N = 4, BACKENDS_DISK = 64 << 10 };

/* As at the start of an input: disks have their contents, nothing fails or is to wait, all is connected. No request waits. */
void backends_reset(void);
/* Devices have let go of all. */
void backends_check_unused(void);
/* @f is called whenever a device asks for something: what another CPU does meanwhile. */
void backends_set_meanwhile(void (*f)(void));
/* Of the next disk requests that do not end at once (bit 0 of @pattern is the next one's, it turns round): they wait for backends_complete(). */
void backends_set_waiting(uint64_t pattern);
/* The next @n disk requests fail with @error, an errno. */
void backends_set_failing(unsigned n, int error);
/* The next @n frames are not taken until backends_complete(). */
void backends_set_full(unsigned n);
/* Ends @n of the disk requests that wait, the first or (@last) the last first; tells cards that there is room again. */
void backends_complete(unsigned n, bool last);
/* A frame of @len bytes, beginning with @head, comes from network @n; @offload: what is left to do with it, if the card takes that. */
void backends_receive(unsigned n, uint32_t len, uint64_t head, uint64_t offload);
void backends_set_link(unsigned n, bool up);
/* Up to @len characters for the device at chardev @n, or event @event. */
void backends_type(unsigned n, unsigned len, uint8_t c);
void backends_event(unsigned n, unsigned event);
/* Virtual socket @n: @what 0: @value more bytes can be read, 1: it can be written to again, 2: its other end is gone; 3: somebody connects to the
 * guest's port @value. */
void backends_stream(unsigned n, unsigned what, uint32_t value);

#endif
