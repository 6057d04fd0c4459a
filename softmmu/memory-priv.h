/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shared by the files of the guest-physical memory: the region tree (memory.c), the RAM pool
 * (memory-ram.c), access (memory-access.c) and listings (memory-print.c).
 */
#ifndef SOFTMMU_MEMORY_PRIV_H
#define SOFTMMU_MEMORY_PRIV_H

#include "softmmu/memory.h"

enum { MEM_PAGE = 4096 };

/* Renders the system address space; the caller frees it with g_free(). */
FlatView *memory_render(void);
/* Takes @size bytes (a multiple of MEM_PAGE) from the pool; false: the pool or the host is
 * exhausted (error without a name). */
bool memory_pool_take(uint64_t size, uint64_t *offset, GError **error);
/* "ram", "rom", "romd", "i/o": how listings call a region. */
const char *memory_kind_name(const MemoryRegion *mr);

#endif
