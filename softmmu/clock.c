/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Clocks and timers. Each clock has a binary heap of its armed timers and a timerfd
 * (CLOCK_MONOTONIC, for CLOCK_RTC CLOCK_REALTIME) that the default GMainContext watches; setting an
 * earlier deadline re-arms the timerfd from whatever thread, so precision does not depend on the
 * main loop's millisecond timeouts. A timerfd that is armed too early only costs a look.
 *
 * The heaps have one mutex; callbacks run outside it, under the machine lock. CLOCK_VIRTUAL is the
 * host's monotonic time less an offset; readers take no lock: a sequence number tells them that the
 * clock was just stopped or started.
 */
#include "softmmu/clock.h"
#include <errno.h>
#include <glib-unix.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "softmmu/exec-priv.h"
#include "softmmu/memory.h"
#include "util/state.h"

enum { N_CLOCKS = CLOCK_RTC + 1 };

typedef struct TimerHeap {
    GPtrArray *timers; /* of Timer *; [0] is due first */
    int fd;            /* timerfd, -1 before clock_init() */
    int64_t armed;     /* what it is set to, in the clock's ns; -1: nothing */
} TimerHeap;

static GMutex lock;
static TimerHeap heaps[N_CLOCKS] = { { NULL, -1, -1 }, { NULL, -1, -1 }, { NULL, -1, -1 } };
static int64_t (*icount_now)(void);

/* CLOCK_VIRTUAL: @virtual_offset behind the host while running, else @virtual_stopped. */
static unsigned virtual_seq; /* atomic, odd while it changes */
static bool virtual_running;
static int64_t virtual_offset, virtual_stopped;

/* CLOCK_RTC (-rtc): @rtc_offset ahead of the host's wall clock, or of CLOCK_VIRTUAL. */
static int64_t rtc_offset;
static bool rtc_virtual;

/* ---- Reading ---- */

static int64_t host_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t virtual_now(void)
{
    unsigned seq;
    int64_t now;

    if (icount_now) {
        return icount_now();
    }
    do {
        seq = __atomic_load_n(&virtual_seq, __ATOMIC_ACQUIRE);
        now = __atomic_load_n(&virtual_running, __ATOMIC_RELAXED)
                  ? host_ns(CLOCK_MONOTONIC) - __atomic_load_n(&virtual_offset, __ATOMIC_RELAXED)
                  : __atomic_load_n(&virtual_stopped, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((seq & 1) || seq != __atomic_load_n(&virtual_seq, __ATOMIC_RELAXED));
    return now;
}

int64_t clock_now(ClockType clock)
{
    switch (clock) {
    case CLOCK_VIRTUAL:
        return virtual_now();
    case CLOCK_HOST:
        return host_ns(CLOCK_MONOTONIC);
    default:
        return (rtc_virtual ? virtual_now() : host_ns(CLOCK_REALTIME)) + rtc_offset;
    }
}

/* ---- The heaps; all with the mutex held ---- */

static Timer *heap_at(const TimerHeap *h, unsigned i)
{
    return g_ptr_array_index(h->timers, i);
}

static void heap_put(TimerHeap *h, unsigned i, Timer *t)
{
    h->timers->pdata[i] = t;
    t->slot = i;
}

static void heap_up(TimerHeap *h, unsigned i, Timer *t)
{
    while (i && heap_at(h, (i - 1) / 2)->deadline > t->deadline) {
        heap_put(h, i, heap_at(h, (i - 1) / 2));
        i = (i - 1) / 2;
    }
    heap_put(h, i, t);
}

static void heap_down(TimerHeap *h, unsigned i, Timer *t)
{
    for (unsigned child = 2 * i + 1; child < h->timers->len; i = child, child = 2 * i + 1) {
        if (child + 1 < h->timers->len &&
            heap_at(h, child + 1)->deadline < heap_at(h, child)->deadline) {
            child++;
        }
        if (heap_at(h, child)->deadline >= t->deadline) {
            break;
        }
        heap_put(h, i, heap_at(h, child));
    }
    heap_put(h, i, t);
}

static void heap_remove(TimerHeap *h, Timer *t)
{
    unsigned i = t->slot;
    Timer *last = g_ptr_array_steal_index(h->timers, h->timers->len - 1);

    __atomic_store_n(&t->deadline, -1, __ATOMIC_RELAXED);
    if (last != t) {
        if (i && heap_at(h, (i - 1) / 2)->deadline > last->deadline) {
            heap_up(h, i, last);
        } else {
            heap_down(h, i, last);
        }
    }
}

static void heap_add(TimerHeap *h, Timer *t, int64_t deadline)
{
    if (!h->timers) {
        h->timers = g_ptr_array_new();
    }
    __atomic_store_n(&t->deadline, deadline, __ATOMIC_RELAXED);
    g_ptr_array_add(h->timers, t);
    heap_up(h, h->timers->len - 1, t);
}

static int64_t heap_deadline(const TimerHeap *h)
{
    return h->timers && h->timers->len ? heap_at(h, 0)->deadline : -1;
}

/* ---- The timerfds ---- */

/* Sets the timerfd for the earliest timer if it would go off too late. Mutex held. */
static void arm(ClockType clock)
{
    TimerHeap *h = &heaps[clock];
    int64_t deadline = heap_deadline(h), host;
    struct itimerspec its = { 0 };

    if (h->fd < 0 || deadline < 0 || (h->armed >= 0 && h->armed <= deadline) ||
        (clock == CLOCK_VIRTUAL && (icount_now || !virtual_running))) {
        return;
    }
    host = clock == CLOCK_VIRTUAL ? deadline + virtual_offset
           : clock == CLOCK_RTC   ? deadline - rtc_offset
                                  : deadline;
    host = host < deadline && clock == CLOCK_VIRTUAL ? INT64_MAX : host;
    its.it_value.tv_sec = host / 1000000000;
    its.it_value.tv_nsec = MAX(host % 1000000000, 1); /* all zero would disarm */
    timerfd_settime(h->fd, TFD_TIMER_ABSTIME, &its, NULL);
    h->armed = deadline;
}

/* The earliest timer that is due at @now, taken out of the heap. */
static Timer *take_due(TimerHeap *h, int64_t now)
{
    Timer *t = NULL;

    g_mutex_lock(&lock);
    if (heap_deadline(h) >= 0 && heap_deadline(h) <= now) {
        t = heap_at(h, 0);
        heap_remove(h, t);
    }
    g_mutex_unlock(&lock);
    return t;
}

/* Machine lock held. Callbacks that set their timers to the past cannot keep it here: it fires
 * no more than were armed at the start. */
static void run_timers(ClockType clock)
{
    TimerHeap *h = &heaps[clock];
    int64_t now = clock_now(clock);
    unsigned n;
    Timer *t;

    g_mutex_lock(&lock);
    n = h->timers ? h->timers->len : 0;
    g_mutex_unlock(&lock);
    while (n-- && (t = take_due(h, now))) {
        t->fire(t->opaque);
    }
}

static gboolean timerfd_ready(gint fd, GIOCondition condition, gpointer data)
{
    ClockType clock = GPOINTER_TO_UINT(data);
    uint64_t expirations;

    if (read(fd, &expirations, sizeof(expirations)) < 0 && errno == EAGAIN) {
        return G_SOURCE_CONTINUE;
    }
    g_mutex_lock(&lock);
    heaps[clock].armed = -1;
    g_mutex_unlock(&lock);
    machine_lock();
    if (clock != CLOCK_VIRTUAL || (virtual_running && !icount_now)) {
        run_timers(clock);
    }
    machine_unlock();
    g_mutex_lock(&lock);
    arm(clock);
    g_mutex_unlock(&lock);
    return G_SOURCE_CONTINUE;
}

static int64_t state_timer_deadline(const void *timer)
{
    return ((const Timer *)timer)->deadline;
}

static void state_timer_set(void *timer, int64_t deadline)
{
    if (deadline < 0) {
        timer_cancel(timer);
    } else {
        timer_set(timer, deadline);
    }
}

void clock_init(void)
{
    for (unsigned i = 0; i < N_CLOCKS; i++) {
        heaps[i].fd = timerfd_create(i == CLOCK_RTC ? CLOCK_REALTIME : CLOCK_MONOTONIC,
                                     TFD_NONBLOCK | TFD_CLOEXEC);
        if (heaps[i].fd < 0) {
            g_error("clock: timerfd: %s", g_strerror(errno));
        }
        g_unix_fd_add_full(G_PRIORITY_HIGH, heaps[i].fd, G_IO_IN, timerfd_ready,
                           GUINT_TO_POINTER(i), NULL);
        g_mutex_lock(&lock);
        arm(i);
        g_mutex_unlock(&lock);
    }
    state_set_timer_access(state_timer_deadline, state_timer_set);
}

/* ---- Timers ---- */

void timer_init(Timer *timer, ClockType clock, void (*fire)(void *), void *opaque)
{
    *timer = (Timer){ .clock = clock, .deadline = -1, .fire = fire, .opaque = opaque };
}

void timer_set(Timer *timer, int64_t deadline)
{
    TimerHeap *h = &heaps[timer->clock];
    bool first;

    g_mutex_lock(&lock);
    if (timer->deadline >= 0) {
        heap_remove(h, timer);
    }
    heap_add(h, timer, MAX(deadline, 0));
    first = heap_at(h, 0) == timer;
    if (first) {
        arm(timer->clock);
    }
    g_mutex_unlock(&lock);
    if (first && icount_now && timer->clock == CLOCK_VIRTUAL) {
        icount_timer_changed();
    }
}

void timer_cancel(Timer *timer)
{
    g_mutex_lock(&lock);
    if (timer->deadline >= 0) {
        heap_remove(&heaps[timer->clock], timer);
    }
    g_mutex_unlock(&lock);
}

bool timer_is_armed(const Timer *timer)
{
    return __atomic_load_n(&timer->deadline, __ATOMIC_RELAXED) >= 0;
}

/* ---- For the run loop and the machine state ---- */

void clock_set_running(bool running)
{
    int64_t now = host_ns(CLOCK_MONOTONIC);

    g_mutex_lock(&lock);
    if (running != virtual_running) {
        __atomic_store_n(&virtual_seq, virtual_seq + 1, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        if (running) {
            __atomic_store_n(&virtual_offset, now - virtual_stopped, __ATOMIC_RELAXED);
        } else {
            __atomic_store_n(&virtual_stopped, now - virtual_offset, __ATOMIC_RELAXED);
        }
        __atomic_store_n(&virtual_running, running, __ATOMIC_RELAXED);
        __atomic_store_n(&virtual_seq, virtual_seq + 1, __ATOMIC_RELEASE);
        heaps[CLOCK_VIRTUAL].armed = -1; /* in host time it is somewhere else now */
        arm(CLOCK_VIRTUAL);
    }
    g_mutex_unlock(&lock);
}

void clock_set_virtual(int64_t now)
{
    g_mutex_lock(&lock);
    g_assert(!virtual_running);
    __atomic_store_n(&virtual_seq, virtual_seq + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&virtual_stopped, now, __ATOMIC_RELAXED);
    __atomic_store_n(&virtual_seq, virtual_seq + 1, __ATOMIC_RELEASE);
    g_mutex_unlock(&lock);
}

void clock_set_rtc(int64_t offset, bool follow_virtual)
{
    rtc_offset = offset;
    rtc_virtual = follow_virtual;
}

void clock_use_icount(int64_t (*now)(void))
{
    icount_now = now;
}

int64_t clock_next_virtual_deadline(void)
{
    int64_t deadline;

    g_mutex_lock(&lock);
    deadline = heap_deadline(&heaps[CLOCK_VIRTUAL]);
    g_mutex_unlock(&lock);
    return deadline;
}

void clock_run_virtual_timers(void)
{
    run_timers(CLOCK_VIRTUAL);
}
