/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks and timers. CLOCK_VIRTUAL is the machine's time in ns: monotonic, stopped with the
 * machine; under -icount a function of the executed instructions. CLOCK_HOST is the host's
 * monotonic time, CLOCK_RTC its wall clock (UTC).
 *
 * Timers fire in the main thread under the machine lock; with -icount, CLOCK_VIRTUAL timers fire in
 * the vCPU thread at an exact instruction count. clock_now() may be called from any thread without
 * a lock.
 */
#ifndef SOFTMMU_CLOCK_H
#define SOFTMMU_CLOCK_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum ClockType { CLOCK_VIRTUAL, CLOCK_HOST, CLOCK_RTC } ClockType;

typedef struct Timer {
    ClockType clock;
    int64_t deadline; /* ns of its clock; -1: not armed */
    void (*fire)(void *opaque);
    void *opaque;
    unsigned slot; /* clock.c's: place in the heap */
} Timer;

/* Nanoseconds of @clock now. */
int64_t clock_now(ClockType clock);

/* Prepares @timer (embedded in its owner); it must be deleted before the owner's memory goes. */
void timer_init(Timer *timer, ClockType clock, void (*fire)(void *), void *opaque);
/* Arms @timer to fire once at @deadline ns (past: as soon as possible); replaces an earlier
 * deadline. Any thread; one that does not hold the machine lock may see the timer fire once more
 * for the old deadline. */
void timer_set(Timer *timer, int64_t deadline);
void timer_cancel(Timer *timer);
bool timer_is_armed(const Timer *timer);

/* ---- for the run loop and the machine state only ---- */

/* Sets up the main thread's timer source on the default GMainContext. Once, at start. */
void clock_init(void);
/* Stops and resumes CLOCK_VIRTUAL (stopped at start). */
void clock_set_running(bool running);
/* A snapshot was loaded: CLOCK_VIRTUAL, which is stopped, stands at @now. */
void clock_set_virtual(int64_t now);
/* -rtc: CLOCK_RTC is @offset ns ahead of the host's wall clock, or with @follow_virtual of
 * CLOCK_VIRTUAL (which begins at 0; there are no CLOCK_RTC timers then). Before the machine is
 * made. */
void clock_set_rtc(int64_t offset, bool follow_virtual);
/* -icount: CLOCK_VIRTUAL is read through @now from here on, and its timers are fired by
 * clock_run_virtual_timers(). */
void clock_use_icount(int64_t (*now)(void));
/* Deadline of the next CLOCK_VIRTUAL timer, -1 if none. */
int64_t clock_next_virtual_deadline(void);
/* Fires the CLOCK_VIRTUAL timers that are due; machine lock held. */
void clock_run_virtual_timers(void);

#endif
