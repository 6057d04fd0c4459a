/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM whose contents come later: what a snapshot has of it is filled in by threads of its own while the machine runs already, what is touched first.
 *
 * RAM is loaded by units. A unit that is not there yet cannot be accessed in ram_base's mapping: a thread that touches it is held by the SIGSEGV
 * handler until the unit has all its contents. System calls get EFAULT there instead, so that whoever hands RAM to the kernel calls
 * memory_populate() before; memory_map() does so for DMA.
 *
 * What fills a unit must need no lock that a thread may hold that touches RAM.
 */
#ifndef SOFTMMU_MEMORY_LAZY_H
#define SOFTMMU_MEMORY_LAZY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct MemoryLazy {
    /* Writes the contents of @unit with memory_pool_write(); once a unit, by several threads. False: they cannot be had. */
    bool (*fill)(void *opaque, uint64_t unit);
    /* After the first unit that cannot be had, before anybody sees it; by any thread. RAM is lost: see memory_is_lost(). */
    void (*lost)(void *opaque);
    /* In the end, when no thread uses @opaque any more. Main thread. */
    void (*done)(void *opaque);
    void *opaque;
} MemoryLazy;

/* Bytes of a unit, a power of two of at least 1 MiB; unit n is RAM from n times that on. Fixed once all RAM is there. */
uint64_t memory_lazy_unit(void);
/* Number of units of all RAM. */
uint64_t memory_lazy_units(void);
/* Begins to load the units n with @pending[n], whose RAM must be zero. The vCPUs are stopped and no other load is under way. Main thread. */
void memory_lazy_begin(const bool *pending, const MemoryLazy *how);
/* Until all is there and the threads have ended. Main thread. */
void memory_lazy_finish(void);
/* As memory_lazy_finish(), but what is not there yet is left out: for the process's end. Nobody may touch RAM from then on. */
void memory_lazy_stop(void);
/* Sets the contents of RAM that is not there yet. False: the host fails. Any thread. */
bool memory_pool_write(uint64_t offset, const void *data, uint64_t bytes);

/* How many units are still to come. */
extern uint32_t memory_pending;
void memory_wait(uint64_t offset, uint64_t bytes);

/* Makes @bytes of RAM at @offset of the pool fit for system calls; they stay so until the next load. May wait for the host's disk. Any thread. */
static inline void memory_populate(uint64_t offset, uint64_t bytes)
{
    if (__atomic_load_n(&memory_pending, __ATOMIC_ACQUIRE)) {
        memory_wait(offset, bytes);
    }
}

/* Part of RAM could not be loaded and reads as anything. The machine must not go on, and nothing that it does is let out: no writes to devices,
 * no DMA. Until memory_pool_clear(). */
bool memory_is_lost(void);
void memory_set_lost(bool lost);

#endif
