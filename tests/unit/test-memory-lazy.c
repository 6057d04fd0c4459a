/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM that is loaded while it is used: threads that touch it at random, a fault on every unit, system calls, a unit that cannot be had, a load that
 * is cut off, and accesses that are none of the loader's.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "softmmu/memory-lazy.h"
#include "softmmu/memory.h"

enum { POOL = 64 << 20, UNIT = 1 << 20, UNITS = POOL / UNIT, PAGE = 4096, THREADS = 4 };

typedef struct Load {
    unsigned round, delay_us; /* of a unit */
    uint64_t bad;             /* a unit */
    int filled, lost, done;   /* atomic */
} Load;

/* What RAM has at @offset, different in each round; the last quarter of a unit is not in the load. */
static uint64_t word_at(const Load *l, uint64_t offset)
{
    return offset % UNIT < UNIT / 4 * 3 ? (offset + l->round) * 0x9e3779b97f4a7c15 : 0;
}

static bool fill(void *opaque, uint64_t unit)
{
    Load *l = opaque;
    g_autofree uint64_t *data = g_malloc(UNIT);

    g_usleep(l->delay_us);
    if (unit == l->bad) {
        return false;
    }
    for (unsigned i = 0; i < UNIT / 8; i++) {
        data[i] = word_at(l, unit * UNIT + 8 * i);
    }
    g_atomic_int_inc(&l->filled);
    return memory_pool_write(unit * UNIT, data, UNIT / 4 * 3);
}

static void on_lost(void *opaque)
{
    g_assert_true(memory_is_lost());
    g_atomic_int_inc(&((Load *)opaque)->lost);
}

static void on_done(void *opaque)
{
    g_atomic_int_inc(&((Load *)opaque)->done);
}

static void begin(Load *l, const bool *pending)
{
    const MemoryLazy how = { fill, on_lost, on_done, l };

    memory_pool_clear();
    memory_lazy_begin(pending, &how);
}

static void fill_bools(bool *all)
{
    memset(all, true, UNITS);
}

static uint64_t ram_word(uint64_t offset)
{
    return *(volatile uint64_t *)(ram_base + offset);
}

/* ---- The cases ---- */

typedef struct Toucher {
    const Load *load;
    unsigned seed;
} Toucher;

static gpointer touch(gpointer opaque)
{
    Toucher *t = opaque;
    g_autoptr(GRand) rand = g_rand_new_with_seed(t->seed);

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t offset = (uint64_t)g_rand_int_range(rand, 0, POOL / 8) * 8;

        g_assert_cmpuint(ram_word(offset), ==, word_at(t->load, offset));
    }
    return NULL;
}

static void test_threads(void)
{
    for (unsigned round = 0; round < 8; round++) {
        Load l = { .round = round, .delay_us = round * 100, .bad = UNITS };
        Toucher touchers[THREADS];
        GThread *threads[THREADS];
        bool pending[UNITS];

        fill_bools(pending);
        begin(&l, pending);
        for (unsigned i = 0; i < THREADS; i++) {
            touchers[i] = (Toucher){ &l, round * THREADS + i };
            threads[i] = g_thread_new("touch", touch, &touchers[i]);
        }
        for (unsigned i = 0; i < THREADS; i++) {
            g_thread_join(threads[i]);
        }
        memory_lazy_finish();
        g_assert_cmpint(l.filled, ==, UNITS);
        g_assert_cmpint(l.done, ==, 1);
        g_assert_cmpint(l.lost, ==, 0);
        g_assert_cmpuint(memory_pending, ==, 0);
    }
}

/* From the end on, where the threads get to last: what is touched comes first. */
static void test_order(void)
{
    Load l = { .delay_us = 2000, .bad = UNITS };
    bool pending[UNITS];

    fill_bools(pending);
    begin(&l, pending);
    for (uint64_t unit = UNITS; unit-- > UNITS - 8;) {
        uint64_t at = unit * UNIT + PAGE;

        g_assert_cmpuint(ram_word(at), ==, word_at(&l, at));
    }
    if (g_get_num_processors() < 8) {
        g_assert_cmpuint(memory_pending, >, 0);
    }
    memory_lazy_finish();
    g_assert_cmpint(l.filled, ==, UNITS);
}

/* Stores are not overwritten by what comes later; units that are not in the load can be used all the time. */
static void test_stores(void)
{
    Load l = { .delay_us = 500, .bad = UNITS };
    bool pending[UNITS];

    for (unsigned i = 0; i < UNITS; i++) {
        pending[i] = i % 2;
    }
    begin(&l, pending);
    for (uint64_t i = UNITS; i-- > 0;) {
        *(volatile uint64_t *)(ram_base + i * UNIT + 8) = i + 1;
    }
    memory_lazy_finish();
    g_assert_cmpint(l.filled, ==, UNITS / 2);
    for (uint64_t i = 0; i < UNITS; i++) {
        g_assert_cmpuint(ram_word(i * UNIT + 8), ==, i + 1);
        g_assert_cmpuint(ram_word(i * UNIT + 16), ==, i % 2 ? word_at(&l, i * UNIT + 16) : 0);
    }
}

static void test_system_calls(void)
{
    Load l = { .delay_us = 1000, .bad = UNITS };
    uint64_t at = (UNITS - 2) * (uint64_t)UNIT - PAGE;
    bool pending[UNITS];
    int fds[2];

    fill_bools(pending);
    begin(&l, pending);
    g_assert_cmpint(pipe(fds), ==, 0);
    memory_populate(at, 2 * PAGE);
    g_assert_cmpint(write(fds[1], ram_base + at, 2 * PAGE), ==, 2 * PAGE);
    g_assert_cmpint(read(fds[0], ram_base + at, 2 * PAGE), ==, 2 * PAGE);
    close(fds[0]);
    close(fds[1]);
    memory_lazy_finish();
    g_assert_cmpuint(ram_word(at + PAGE), ==, word_at(&l, at + PAGE));
}

/* Who waits for it is let go, and finds that RAM is lost. */
static void test_lost(void)
{
    Load l = { .delay_us = 200, .bad = UNITS - 1 };
    bool pending[UNITS];

    fill_bools(pending);
    begin(&l, pending);
    g_assert_cmpuint(ram_word((UNITS - 1) * (uint64_t)UNIT), ==, 0);
    g_assert_true(memory_is_lost());
    memory_lazy_finish();
    g_assert_cmpint(l.lost, ==, 1);
    g_assert_cmpint(l.filled, ==, UNITS - 1);
    memory_pool_clear();
    g_assert_false(memory_is_lost());
}

/* The main loop ends a load by itself. */
static void test_main_loop(void)
{
    Load l = { .bad = UNITS };
    bool pending[UNITS];

    fill_bools(pending);
    begin(&l, pending);
    while (!g_atomic_int_get(&l.done)) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(l.filled, ==, UNITS);
    memory_lazy_finish();
    g_assert_cmpint(l.done, ==, 1);
}

static void test_foreign_fault(void)
{
    if (g_test_subprocess()) {
        Load l = { .bad = UNITS };
        bool pending[UNITS] = { true };

        begin(&l, pending);
        mprotect(ram_base + UNIT, PAGE, PROT_NONE);
        ram_word(g_test_rand_bit() ? UNIT : UNIT + 8);
        return;
    }
    g_test_trap_subprocess(NULL, 10 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_failed();
    g_assert_false(g_test_trap_reached_timeout());
}

static void test_stop(void)
{
    Load l = { .delay_us = 20000, .bad = UNITS };
    bool pending[UNITS];

    fill_bools(pending);
    begin(&l, pending);
    memory_lazy_stop();
    g_assert_cmpint(l.filled, <, UNITS);
    g_assert_cmpint(l.done, ==, 1);
}

int main(int argc, char **argv)
{
    static MemoryRegion ram;
    GError *error = NULL;

    g_test_init(&argc, &argv, NULL);
    g_assert_true(memory_init(POOL, &error));
    g_assert_true(memory_region_init_ram(&ram, "ram", POOL, &error));
    g_assert_cmpuint(memory_lazy_unit(), ==, UNIT);
    g_assert_cmpuint(memory_lazy_units(), ==, UNITS);
    g_test_add_func("/memory-lazy/threads", test_threads);
    g_test_add_func("/memory-lazy/order", test_order);
    g_test_add_func("/memory-lazy/stores", test_stores);
    g_test_add_func("/memory-lazy/system-calls", test_system_calls);
    g_test_add_func("/memory-lazy/lost", test_lost);
    g_test_add_func("/memory-lazy/main-loop", test_main_loop);
    g_test_add_func("/memory-lazy/foreign-fault", test_foreign_fault);
    g_test_add_func("/memory-lazy/stop", test_stop); /* the last: RAM is not whole behind it */
    return g_test_run();
}
