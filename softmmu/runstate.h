/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine's run state: stopped or running, and requests from guest, devices, monitor and
 * signals for reset, shutdown and power button. Requests may come from any thread and are carried
 * out by the main loop.
 */
#ifndef SOFTMMU_RUNSTATE_H
#define SOFTMMU_RUNSTATE_H

#include <stdbool.h>
#include <stdint.h>

/* Starts (resumes) and stops (pauses) all vCPUs and CLOCK_VIRTUAL. Main thread. vm_stop returns
 * when every vCPU is out of guest code. vm_start does nothing while RAM is lost (memory_is_lost()). */
void vm_start(void);
void vm_stop(void);
bool vm_is_running(void);

/* Ends the process with @status after this main-loop turn (guest power-off: 0). The first
 * request wins. */
void vm_request_shutdown(int status);
/* Reset of all devices and vCPUs; with -no-reboot it is a shutdown with status 0. */
void vm_request_reset(void);
/* Old memory views are to be freed. */
void vm_request_trim(void);
/* The power button: devices that can tell the guest do so; false if no device listens. */
bool vm_request_powerdown(void);
/* Stop because the machine cannot go on as it is (a disk's host has an error): vm_stop(), @text (taken over) on standard error, and a status that
 * says @why (a literal) until it goes on. The first request for a stop is the one that is told. */
void vm_request_stop(const char *why, char *text);
/* Why it is stopped, or NULL: because somebody wanted it. */
const char *vm_stop_reason(void);
/* Stop asked for by a debugger event (breakpoint, single step) on vCPU @cpu_index; the debug
 * handler is called in the main thread. */
void vm_request_debug_stop(unsigned cpu_index);

void vm_set_no_reboot(bool on);
void vm_set_powerdown_handler(bool (*f)(void *), void *opaque);
void vm_set_debug_handler(void (*f)(unsigned cpu_index));
/* What a reset does (devices, memory, cpu_reset_all()), given by the machine: called in the main
 * thread with all vCPUs stopped and the machine lock held. */
void vm_set_reset_handler(void (*f)(void *), void *opaque);
/* Calls @f whenever the machine starts or stops, in the main thread, with all vCPUs stopped. */
void vm_add_change_handler(void (*f)(void *opaque, bool running), void *opaque);

/* Runs the default GMainContext until shutdown; returns the exit status. */
int vm_main_loop(void);

#endif
