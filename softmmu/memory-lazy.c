/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lazy loading of RAM (memory-lazy.h): states of units, the threads that load them, and the handler of SIGSEGV that asks for one.
 *
 * A unit's state is the futex that waiters for it sleep on. The handler puts a unit that it needs into a queue as long as there are units, since
 * each gets there once at most; the threads look there before they go on in order. Nobody has to be woken for that: as long as there
 * is anything to load the threads run. The handler uses atomic accesses and futexes only.
 */
#define _GNU_SOURCE
#include "softmmu/memory-lazy.h"
#include <errno.h>
#include <glib.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "softmmu/memory.h"

/* MAX_UNITS: each may be a mapping of its own, of which the host allows 65530. */
enum { MIN_UNIT_SHIFT = 20, MAX_UNITS = 16384 };

enum { READY, PENDING, WANTED /* and in the queue */, LOADING };

static struct {
    uint32_t *states, *queue; /* of all units; queue: unit + 1, 0: not written yet */
    uint32_t n_units, shift;
    uint32_t head, tail, cursor; /* the queue's, and the next in order */
    uint32_t running;            /* threads */
    bool stop;
    uint32_t number; /* of this load */
    MemoryLazy how;
    GPtrArray *threads; /* NULL: none are to be joined */
} lazy;

static bool lost;
static struct sigaction next_action; /* for what is not ours */
uint32_t memory_pending;

static uint32_t load32(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static bool change(uint32_t *p, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(p, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static unsigned unit_shift(void)
{
    unsigned shift = MIN_UNIT_SHIFT;

    while (ram_size >> shift > MAX_UNITS) {
        shift++;
    }
    return shift;
}

uint64_t memory_lazy_unit(void)
{
    return 1ull << unit_shift();
}

uint64_t memory_lazy_units(void)
{
    return (ram_size + memory_lazy_unit() - 1) >> unit_shift();
}

bool memory_is_lost(void)
{
    return __atomic_load_n(&lost, __ATOMIC_RELAXED);
}

void memory_set_lost(bool is_lost)
{
    __atomic_store_n(&lost, is_lost, __ATOMIC_SEQ_CST);
}

/* ---- Who needs a unit ---- */

static void wait_for(uint32_t unit)
{
    uint32_t *state = &lazy.states[unit], now;

    if (change(state, PENDING, WANTED)) {
        uint32_t at = __atomic_fetch_add(&lazy.tail, 1, __ATOMIC_SEQ_CST);

        __atomic_store_n(&lazy.queue[at], unit + 1, __ATOMIC_SEQ_CST);
    }
    while ((now = load32(state)) != READY) {
        syscall(SYS_futex, state, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
    }
}

void memory_wait(uint64_t offset, uint64_t bytes)
{
    for (uint64_t unit = offset >> lazy.shift;
         bytes && unit < lazy.n_units && unit <= (offset + bytes - 1) >> lazy.shift; unit++) {
        wait_for((uint32_t)unit);
    }
}

/* A fault at RAM that is there is one that came before the unit did; a second one at the same place is none of ours. */
static bool was_early(uintptr_t addr)
{
    static __thread uintptr_t last_addr;
    static __thread uint32_t last_number;
    bool again = last_addr == addr && last_number == lazy.number;

    last_addr = addr;
    last_number = lazy.number;
    return !again;
}

static bool is_handled(const siginfo_t *info)
{
    uintptr_t addr = (uintptr_t)info->si_addr, unit = (addr - (uintptr_t)ram_base) >> lazy.shift;

    if (info->si_code != SEGV_ACCERR || unit >= lazy.n_units) {
        return false;
    }
    if (load32(&lazy.states[unit]) == READY) {
        return was_early(addr);
    }
    wait_for((uint32_t)unit);
    return true;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
    int err = errno;

    if (!is_handled(info)) {
        if (next_action.sa_flags & SA_SIGINFO) {
            next_action.sa_sigaction(sig, info, context);
        } else if (next_action.sa_handler != SIG_DFL && next_action.sa_handler != SIG_IGN) {
            next_action.sa_handler(sig);
        } else {
            signal(sig, SIG_DFL);
            raise(sig);
        }
    }
    errno = err;
}

static void install_handler(void)
{
    struct sigaction action = { .sa_sigaction = on_fault,
                                .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART };
    static bool installed;

    if (!installed) {
        sigemptyset(&action.sa_mask);
        sigaction(SIGSEGV, &action, &next_action);
        installed = true;
    }
}

/* ---- The threads that load ---- */

static bool take(uint32_t unit)
{
    return change(&lazy.states[unit], PENDING, LOADING) ||
           change(&lazy.states[unit], WANTED, LOADING);
}

static bool take_wanted(uint32_t *unit)
{
    for (;;) {
        uint32_t head = load32(&lazy.head),
                 entry = head < load32(&lazy.tail) ? load32(&lazy.queue[head]) : 0;

        if (!entry) {
            return false;
        }
        *unit = entry - 1;
        if (change(&lazy.head, head, head + 1) && take(*unit)) {
            return true;
        }
    }
}

static bool take_next(uint32_t *unit)
{
    while (load32(&lazy.cursor) < lazy.n_units) {
        *unit = __atomic_fetch_add(&lazy.cursor, 1, __ATOMIC_SEQ_CST);
        if (*unit < lazy.n_units && take(*unit)) {
            return true;
        }
    }
    return false;
}

static bool allow(uint64_t first, uint64_t end, int protection)
{
    uint64_t at = first << lazy.shift;

    return mprotect(ram_base + at, MIN(end << lazy.shift, ram_size) - at, protection) == 0;
}

static void load_unit(uint32_t unit)
{
    if (!lazy.how.fill(lazy.how.opaque, unit) &&
        !__atomic_exchange_n(&lost, true, __ATOMIC_SEQ_CST)) {
        lazy.how.lost(lazy.how.opaque);
    }
    while (!allow(unit, unit + 1, PROT_READ | PROT_WRITE)) {
        g_usleep(1000); /* the host has no memory for a mapping at this moment */
    }
    __atomic_store_n(&lazy.states[unit], READY, __ATOMIC_SEQ_CST);
    __atomic_fetch_sub(&memory_pending, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &lazy.states[unit], FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* The main thread, sometime after the last thread had nothing more to do. */
static gboolean on_end(gpointer number)
{
    if (GPOINTER_TO_UINT(number) == lazy.number) {
        memory_lazy_finish();
    }
    return G_SOURCE_REMOVE;
}

static gpointer load_units(gpointer number)
{
    uint32_t unit;

    while (!__atomic_load_n(&lazy.stop, __ATOMIC_SEQ_CST) &&
           (take_wanted(&unit) || take_next(&unit))) {
        load_unit(unit);
    }
    if (__atomic_sub_fetch(&lazy.running, 1, __ATOMIC_SEQ_CST) == 0) {
        g_idle_add(on_end, number);
    }
    return NULL;
}

/* ---- Begin and end ---- */

static void set_up(const bool *pending, const MemoryLazy *how)
{
    g_free(lazy.states);
    g_free(lazy.queue);
    lazy.shift = unit_shift();
    lazy.n_units = (uint32_t)memory_lazy_units();
    lazy.states = g_new0(uint32_t, lazy.n_units);
    lazy.queue = g_new0(uint32_t, lazy.n_units);
    lazy.head = lazy.tail = lazy.cursor = 0;
    lazy.number++;
    lazy.stop = false;
    lazy.how = *how;
    for (uint32_t i = 0; i < lazy.n_units; i++) {
        lazy.states[i] = pending[i] ? PENDING : READY;
        memory_pending += pending[i];
    }
}

/* False: the host does not want to; then some may be without access and some not. */
static bool forbid_pending(void)
{
    for (uint32_t i = 0, end; i < lazy.n_units; i = end) {
        for (end = i + 1; end < lazy.n_units && lazy.states[end] == lazy.states[i];) {
            end++;
        }
        if (lazy.states[i] == PENDING && !allow(i, end, PROT_NONE)) {
            return false;
        }
    }
    return true;
}

void memory_lazy_begin(const bool *pending, const MemoryLazy *how)
{
    unsigned n = g_get_num_processors();
    bool is_lazy;

    g_assert(!lazy.threads && !memory_pending);
    set_up(pending, how);
    install_handler();
    is_lazy = forbid_pending();
    lazy.threads = g_ptr_array_new();
    lazy.running = n;
    for (unsigned i = 0; i < n; i++) {
        g_ptr_array_add(lazy.threads,
                        g_thread_new("load", load_units, GUINT_TO_POINTER(lazy.number)));
    }
    if (!is_lazy) {
        memory_lazy_finish();
    }
}

void memory_lazy_finish(void)
{
    if (!lazy.threads) {
        return;
    }
    for (unsigned i = 0; i < lazy.threads->len; i++) {
        g_thread_join(g_ptr_array_index(lazy.threads, i));
    }
    g_clear_pointer(&lazy.threads, g_ptr_array_unref);
    lazy.how.done(lazy.how.opaque);
}

void memory_lazy_stop(void)
{
    __atomic_store_n(&lazy.stop, true, __ATOMIC_SEQ_CST);
    memory_lazy_finish();
}
