/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest-physical memory: a tree of regions (RAM, ROM, device, alias, container; overlaps decided by
 * priority), rendered to an immutable, sorted flat view that readers take without a lock.
 *
 * All RAM of a machine is one RamPool (one memfd, MAP_NORESERVE, transparent huge pages advised),
 * so a guest page has a RAM page number (RAM offset >> 12) that the code cache and the dirty
 * tracking index by. ROM regions are RAM that the guest cannot write: the write goes to the
 * region's ops if it has any (flash), else it is dropped with a guest-error log line.
 *
 * Threads: the tree is changed under the machine lock; memory_commit() publishes the new view and
 * tells the listener (vCPU TLBs are flushed). Equal views are kept once; when there are many, old
 * ones go while all vCPUs pause (memory_views_trim), so a view is used by vCPUs while they run and
 * by others under the machine lock only. Device ops run under the machine lock unless the region
 * says lockless.
 */
#ifndef SOFTMMU_MEMORY_H
#define SOFTMMU_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum MemTxResult {
    MEM_OK,
    MEM_DECODE_ERROR /* nothing there */,
    MEM_DEVICE_ERROR /* device refuses */
} MemTxResult;

/* A device's registers. @offset is within the region, @size 1, 2, 4 or 8 bytes and within the
 * access limits below. Accesses that the device does not do itself are split or widened by the
 * memory core (min/max_access 0: 1 and 8). */
typedef struct MemoryRegionOps {
    uint64_t (*read)(void *opaque, uint64_t offset, unsigned size);
    void (*write)(void *opaque, uint64_t offset, uint64_t value, unsigned size);
    uint8_t min_access, max_access; /* sizes read/write implement */
    /* Sizes the guest may use; others are access faults (0: 1 and 8). */
    uint8_t min_valid, max_valid;
    bool allow_unaligned;
    bool big_endian;
    bool lockless;       /* read and write are thread-safe: called without the machine lock */
    bool takes_messages; /* of interrupts (MSI): devices may write here */
} MemoryRegionOps;

typedef enum MemoryRegionKind {
    MEM_CONTAINER,
    MEM_RAM,
    MEM_ROM,
    MEM_IO,
    MEM_ALIAS
} MemoryRegionKind;

typedef struct MemoryRegion MemoryRegion;
struct MemoryRegion {
    const char *name; /* borrowed; as "info mtree" shows it */
    MemoryRegionKind kind;
    uint64_t size;
    bool enabled;
    bool romd_off;              /* ROM: reads go to the ops too (memory_region_set_romd) */
    const MemoryRegionOps *ops; /* IO; ROM: where writes go (rom device), may be NULL */
    void *opaque;
    uint64_t ram_offset; /* RAM, ROM: first byte in the pool */
    MemoryRegion *alias; /* ALIAS */
    uint64_t alias_offset;
    MemoryRegion *container; /* where it is mapped, NULL: nowhere */
    uint64_t addr;
    int priority;
    GPtrArray *children; /* of MemoryRegion *, by descending priority */
};

/* One range of the flat view. */
typedef struct FlatRange {
    uint64_t start, last; /* inclusive, guest-physical */
    MemoryRegion *region; /* the terminal region */
    uint64_t offset;      /* of @start within it */
    uint8_t *host;        /* RAM, ROM: host address of @start, else NULL */
    bool readonly;        /* ROM */
} FlatRange;

/* @main: index of the largest RAM range, which is looked at first. @serial: never the same for
 * different contents, never 0; for those who keep what they found in a view. */
typedef struct FlatView {
    uint64_t serial;
    unsigned n, main;
    FlatRange ranges[];
} FlatView;

/* ---- The machine's memory (one machine a process) ---- */

/* Host address of the pool's first byte and its size so far; fixed for the life of the process
 * (reserved at start). */
extern uint8_t *ram_base;
extern uint64_t ram_size;
/* Reserves address space for RAM pools up to @max bytes (lazily touched). False: not enough host
 * address space. */
bool memory_init(uint64_t max, GError **error);
/* The @max of memory_init(): no RAM page number reaches memory_max_ram() >> 12. */
uint64_t memory_max_ram(void);

void memory_region_init(MemoryRegion *mr, const char *name, uint64_t size); /* container */
/* RAM/ROM from the pool; @size is rounded up to 4 KiB; fails with an error naming @name when the
 * host has too little. */
bool memory_region_init_ram(MemoryRegion *mr, const char *name, uint64_t size, GError **error);
bool memory_region_init_rom(MemoryRegion *mr, const char *name, uint64_t size,
                            const MemoryRegionOps *write_ops, void *opaque, GError **error);
void memory_region_init_io(MemoryRegion *mr, const char *name, uint64_t size,
                           const MemoryRegionOps *ops, void *opaque);
void memory_region_init_alias(MemoryRegion *mr, const char *name, MemoryRegion *target,
                              uint64_t offset, uint64_t size);
/* Host address of a RAM or ROM region's first byte. */
uint8_t *memory_region_host(MemoryRegion *mr);
/* Maps @child at @addr of @parent. The higher priority is seen where children overlap. Effective
 * at memory_commit(). */
void memory_region_add(MemoryRegion *parent, uint64_t addr, MemoryRegion *child, int priority);
void memory_region_remove(MemoryRegion *child);
void memory_region_set_enabled(MemoryRegion *mr, bool enabled);
/* Rom devices (flash): true: reads come from memory; false: reads and writes both go to the ops. */
void memory_region_set_romd(MemoryRegion *mr, bool direct_reads);

/* The system address space's root container. */
MemoryRegion *memory_system(void);
/* Renders and publishes the flat view after changes to the tree, and calls the listener. Machine
 * lock held (or before start). */
void memory_commit(void);
/* Called after each memory_commit that changed the view (the vCPUs flush their TLBs). */
void memory_set_listener(void (*changed)(void));
/* A guest that moves base address registers about makes views without end: true once there are so many that
 * memory_views_trim() should be called soon. */
bool memory_views_are_many(void);
/* Frees all views but the current one. Machine lock held, all vCPUs paused. */
void memory_views_trim(void);
/* The current view. A running vCPU, or machine lock held. */
const FlatView *memory_view(void);
/* The range holding @addr, or NULL. */
const FlatRange *memory_find(const FlatView *view, uint64_t addr);
/* The RAM/ROM page number of a host address in the pool. */
static inline uint64_t memory_ram_page(const uint8_t *host)
{
    return (uint64_t)(host - ram_base) >> 12;
}

/* ---- Access by physical address (DMA, loaders, gdb, page-table walks use the host pointer of
 * memory_find) ---- */

/* Copies; device ranges are accessed through their ops. A write to RAM tells the written-hook
 * below, so that translated code is dropped. @rom: loaders may write ROM (memory_write_rom).
 * Returns the first error; what could be done was done. */
MemTxResult memory_read(uint64_t addr, void *buf, uint64_t len);
MemTxResult memory_write(uint64_t addr, const void *buf, uint64_t len);
MemTxResult memory_write_rom(uint64_t addr, const void *buf, uint64_t len);
/* One access of 1, 2, 4 or 8 bytes, little-endian value. */
MemTxResult memory_load(uint64_t addr, unsigned size, uint64_t *value);
MemTxResult memory_store(uint64_t addr, unsigned size, uint64_t value);
/* An interrupt message of a device: 4 bytes to RAM, or to a register that takes messages (MemoryRegionOps.takes_messages). False: @addr is neither,
 * or no multiple of 4; nothing was done. Machine lock held. */
bool memory_send_message(uint64_t addr, uint32_t data);
/* Access to one device range found by memory_find: takes the machine lock if the region needs
 * it. */
MemTxResult memory_io_read(const FlatRange *range, uint64_t addr, unsigned size, uint64_t *value);
MemTxResult memory_io_write(const FlatRange *range, uint64_t addr, unsigned size, uint64_t value);
/* The next bytes of the RAM pool from @from on that may be other than zero: [*start, *end); false: there are none. For snapshots. */
bool memory_pool_next_data(uint64_t from, uint64_t *start, uint64_t *end);
/* All of the pool is zero again, and takes no memory. Call memory_written() in the end. */
void memory_pool_clear(void);
/* The guest needs the whole pages in [@host, @host + @len) of the pool no more: they take no memory and read as zeroes. */
void memory_discard(uint8_t *host, uint64_t len);
/* Host pointer to @len bytes of RAM at @addr for DMA (readable, and writable if @write); *len is
 * cut to what is contiguous; NULL if it is not RAM. System calls may use it (memory_populate()). After writing through it call
 * memory_written(). */
void *memory_map(uint64_t addr, uint64_t *len, bool write);
void memory_written(const void *host, uint64_t len);
/* The code cache's hook: called for each written span of RAM [page range] that did not come
 * through a vCPU's TLB. */
void memory_set_written_hook(void (*hook)(uint64_t ram_offset, uint64_t len));

/* Text of "info mtree" (tree) and "info mtree -f" (flat view). */
void memory_print(GString *out, bool flat);

/* ---- The machine lock ---- */
void machine_lock(void);
void machine_unlock(void);
bool machine_lock_held(void); /* by this thread */

#endif
