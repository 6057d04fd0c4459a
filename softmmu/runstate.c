/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Run state and main loop. Requests are flags under a mutex that wake the main context; the main
 * loop carries them out between iterations, so a device that asks for a reset is never inside its
 * own reset.
 *
 * With -icount a vCPU that asks for something must not run on until the main thread gets to it: the
 * request itself ends its turn, and the instruction count at power-off is the same in every run.
 */
#include "softmmu/runstate.h"
#include <glib.h>
#include <inttypes.h>
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "softmmu/memory-lazy.h"
#include "util/log.h"

typedef struct ChangeHandler {
    void (*f)(void *opaque, bool running);
    void *opaque;
} ChangeHandler;

/* What was asked for; under the mutex. */
typedef struct Requests {
    bool shutdown, reset, debug_stop, trim;
    const char *stop; /* why, or NULL */
    char *stop_text;
    int status;
    unsigned debug_cpu;
} Requests;

static GMutex lock;
static Requests requests;

/* The main thread's. */
static bool running, no_reboot;
static GArray *change_handlers;
static bool (*powerdown_handler)(void *);
static void *powerdown_opaque;
static const char *stop_reason;
static void (*debug_handler)(unsigned cpu_index);
static void (*reset_handler)(void *);
static void *reset_opaque;

/* ---- Start and stop ---- */

static void tell_change(void)
{
    for (unsigned i = 0; change_handlers && i < change_handlers->len; i++) {
        ChangeHandler *h = &g_array_index(change_handlers, ChangeHandler, i);

        h->f(h->opaque, running);
    }
}

void vm_start(void)
{
    if (!running && !memory_is_lost()) {
        running = true;
        stop_reason = NULL;
        clock_set_running(true);
        tell_change();
        cpu_resume_all();
    }
}

void vm_stop(void)
{
    if (running) {
        running = false;
        cpu_pause_all();
        clock_set_running(false);
        tell_change();
    }
}

bool vm_is_running(void)
{
    return running;
}

/* ---- Requests ---- */

static void end_turns(void)
{
    for (unsigned i = 0; cpu_icount_enabled() && cpus && i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);

        cpu->debug_hold =
            true; /* until the next cpu_resume_all(); all vCPUs share the thread that asks */
        cpu_kick(cpu);
    }
}

void vm_request_shutdown(int status)
{
    g_mutex_lock(&lock);
    if (!requests.shutdown) {
        requests.shutdown = true;
        requests.status = status;
        if (cpu_icount_enabled()) {
            log_printf(LOG_RESET, "shutdown requested, status %d, after %" PRIu64 " instructions\n",
                       status, cpu_instructions(NULL));
        } else {
            log_printf(LOG_RESET, "shutdown requested, status %d\n", status);
        }
    }
    g_mutex_unlock(&lock);
    end_turns();
    g_main_context_wakeup(NULL);
}

void vm_request_reset(void)
{
    if (no_reboot) {
        vm_request_shutdown(0);
        return;
    }
    g_mutex_lock(&lock);
    requests.reset = true;
    g_mutex_unlock(&lock);
    log_printf(LOG_RESET, "reset requested\n");
    end_turns();
    g_main_context_wakeup(NULL);
}

void vm_request_trim(void)
{
    g_mutex_lock(&lock);
    requests.trim = true;
    g_mutex_unlock(&lock);
    g_main_context_wakeup(NULL);
}

void vm_request_stop(const char *why, char *text)
{
    g_mutex_lock(&lock);
    if (!requests.stop) {
        requests.stop = why;
        requests.stop_text = g_steal_pointer(&text);
    }
    g_mutex_unlock(&lock);
    g_free(text);
    end_turns();
    g_main_context_wakeup(NULL);
}

const char *vm_stop_reason(void)
{
    return stop_reason;
}

bool vm_request_powerdown(void)
{
    bool mine = !machine_lock_held(), told;

    if (!powerdown_handler) {
        return false;
    }
    if (mine) {
        machine_lock();
    }
    told = powerdown_handler(powerdown_opaque);
    if (mine) {
        machine_unlock();
    }
    return told;
}

void vm_request_debug_stop(unsigned cpu_index)
{
    g_mutex_lock(&lock);
    if (!requests.debug_stop) {
        requests.debug_stop = true;
        requests.debug_cpu = cpu_index;
    }
    g_mutex_unlock(&lock);
    g_main_context_wakeup(NULL);
}

/* ---- Handlers ---- */

void vm_set_no_reboot(bool on)
{
    no_reboot = on;
}

void vm_set_powerdown_handler(bool (*f)(void *), void *opaque)
{
    powerdown_handler = f;
    powerdown_opaque = opaque;
}

void vm_set_debug_handler(void (*f)(unsigned cpu_index))
{
    debug_handler = f;
}

void vm_set_reset_handler(void (*f)(void *), void *opaque)
{
    reset_handler = f;
    reset_opaque = opaque;
}

void vm_add_change_handler(void (*f)(void *opaque, bool running), void *opaque)
{
    ChangeHandler h = { f, opaque };

    if (!change_handlers) {
        change_handlers = g_array_new(FALSE, FALSE, sizeof(ChangeHandler));
    }
    g_array_append_val(change_handlers, h);
}

/* ---- The main loop ---- */

static void do_reset(void)
{
    if (running) {
        cpu_pause_all();
    }
    machine_lock();
    if (reset_handler) {
        reset_handler(reset_opaque);
    }
    machine_unlock();
    if (running) {
        cpu_resume_all();
    }
}

/* Told when it is done: who reads it finds the machine stopped. */
static void do_trim(void)
{
    machine_lock();
    cpu_pause_all();
    memory_views_trim();
    cpu_resume_all();
    machine_unlock();
}

static void do_stop(const Requests *r)
{
    vm_stop();
    if (!stop_reason) {
        g_printerr("menura: %s\n", r->stop_text);
    }
    stop_reason = r->stop;
    g_free(r->stop_text);
}

static Requests take_requests(void)
{
    Requests taken;

    g_mutex_lock(&lock);
    taken = requests;
    requests.reset = requests.debug_stop = requests.trim = false;
    requests.stop = NULL;
    g_mutex_unlock(&lock);
    return taken;
}

int vm_main_loop(void)
{
    for (;;) {
        Requests r = take_requests();

        if (r.shutdown) {
            vm_stop();
            return r.status;
        }
        if (r.reset) {
            do_reset();
        }
        if (r.trim) {
            do_trim();
        }
        if (r.stop) {
            do_stop(&r);
        }
        if (r.debug_stop) {
            vm_stop();
            if (debug_handler) {
                debug_handler(r.debug_cpu);
            }
        }
        g_main_context_iteration(NULL, TRUE);
    }
}
