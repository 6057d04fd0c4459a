/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory access by virtual address: TLB refill, the slow paths of translated loads and stores (devices, page crossings, code
 * pages, watchpoints), instruction fetch pages, host pointers for atomics, and the debugger's access.
 *
 * A failed access first makes the guest state exact, then lets the target raise its exception; none of these functions
 * returns in that case.
 */
#include <string.h>
#include "softmmu/code-cache-priv.h"
#include "softmmu/exec-priv.h"
#include "softmmu/memory.h"
#include "softmmu/tlb-priv.h"

static G_NORETURN void raise_fault(Cpu *cpu, uint64_t va, MemAccess access, MemFault why,
                                   uint32_t fault)
{
    cpu_restore_state(cpu);
    cpu->ops->raise_memory_fault(cpu, va, access, why, fault);
}

/* Where one page of guest memory is: host (RAM, ROM) or a device range. */
typedef struct Page {
    const FlatRange *range;
    uint64_t phys; /* of the va asked for */
    uint8_t *host; /* of the va asked for; NULL: device */
    bool writable;
    TlbFill fill;
} Page;

static uint64_t page_phys(const TlbFill *fill, uint64_t va)
{
    return (fill->phys & ~4095ull) | (va & 4095);
}

/* Finds what is at @page->phys. False: nothing. */
static bool page_resolve(Page *page, uint64_t va)
{
    uint64_t first;

    page->phys = page_phys(&page->fill, va);
    page->range = memory_find(memory_view(), page->phys);
    page->host = NULL;
    page->writable = false;
    if (!page->range) {
        return false;
    }
    if (page->range->host) {
        page->host = page->range->host + (page->phys - page->range->start);
        page->writable = !page->range->readonly;
        first = page->phys & ~4095ull;
        if (first < page->range->start || (first | 4095) > page->range->last) {
            page->fill.no_cache = true; /* RAM that ends within the page */
        }
    }
    return true;
}

/* Translates @va, fills the TLB if the page is RAM, and tells where it is. */
static void page_lookup(Cpu *cpu, uint64_t va, MemAccess access, Page *page)
{
    page->fill = (TlbFill){ 0 };
    cpu->stats.tlb_fills++;
    if (!cpu->ops->walk(cpu, va, access, false, &page->fill)) {
        raise_fault(cpu, va, access, MEM_FAULT_WALK, page->fill.fault);
    }
    if (!page_resolve(page, va)) {
        raise_fault(cpu, va, access, MEM_FAULT_BUS, 0);
    }
    if (page->host && !page->fill.no_cache && !(debug_n_watchpoints && debug_page_is_watched(va))) {
        uint8_t prot = page->fill.prot & (page->writable ? MEM_PROT_R | MEM_PROT_W : MEM_PROT_R);

        tlb_insert(cpu, va, page->host - (va & 4095), prot, &page->fill);
    }
}

void access_check_map(Cpu *cpu)
{
    uint64_t serial = memory_view()->serial;

    if (cpu->memory_serial != serial) {
        cpu->memory_serial = serial;
        cpu_tlb_flush_all(cpu);
    }
}

/* ---- Values in host memory ---- */

static uint64_t host_load(const uint8_t *host, unsigned size)
{
    switch (size) {
    case 1:
        return *host;
    case 2:
        return __atomic_load_n((const uint16_t *)host, __ATOMIC_RELAXED);
    case 4:
        return __atomic_load_n((const uint32_t *)host, __ATOMIC_RELAXED);
    default:
        return __atomic_load_n((const uint64_t *)host, __ATOMIC_RELAXED);
    }
}

static void host_store(uint8_t *host, uint64_t value, unsigned size)
{
    switch (size) {
    case 1:
        *host = (uint8_t)value;
        break;
    case 2:
        __atomic_store_n((uint16_t *)host, (uint16_t)value, __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((uint32_t *)host, (uint32_t)value, __ATOMIC_RELAXED);
        break;
    default:
        __atomic_store_n((uint64_t *)host, value, __ATOMIC_RELAXED);
        break;
    }
}

/* The guest's byte order and extension to 64 bits. */
static uint64_t convert(uint64_t value, uint32_t memop)
{
    unsigned size = 1u << (memop & IR_MEM_SIZE), shift = 64 - 8 * size;

    if (memop & IR_MEM_BE) {
        value = __builtin_bswap64(value) >> shift;
    }
    return memop & IR_MEM_SIGN ? (uint64_t)((int64_t)(value << shift) >> shift) : value;
}

/* ---- Loads and stores ---- */

static bool crosses(uint64_t va, unsigned size)
{
    return (va & 4095) + size > 4096;
}

static void check_access(Cpu *cpu, uint64_t va, unsigned size, uint32_t memop, MemAccess access)
{
    cpu->stats.slow_accesses++;
    if ((memop & IR_MEM_ALIGN) && (va & (size - 1))) {
        raise_fault(cpu, va, access, MEM_FAULT_ALIGN, 0);
    }
    if (debug_n_watchpoints && !cpu->watch_step) {
        debug_check_watch(cpu, va, size, access);
    }
}

/* Device code runs in the host's floating-point environment. */
static MemTxResult io_read(Cpu *cpu, const Page *page, unsigned size, uint64_t *value)
{
    bool live = cpu->fp.live;
    MemTxResult result;

    if (live) {
        tcg_fp_leave(&cpu->fp);
    }
    result = memory_io_read(page->range, page->phys, size, value);
    if (live) {
        tcg_fp_enter(&cpu->fp);
    }
    return result;
}

static MemTxResult io_write(Cpu *cpu, const Page *page, unsigned size, uint64_t value)
{
    bool live = cpu->fp.live;
    MemTxResult result;

    if (live) {
        tcg_fp_leave(&cpu->fp);
    }
    result = memory_io_write(page->range, page->phys, size, value);
    if (live) {
        tcg_fp_enter(&cpu->fp);
    }
    return result;
}

static uint64_t load_page(Cpu *cpu, uint64_t va, unsigned size)
{
    uint8_t *host = tlb_find(cpu->ctx->read, va, size);
    uint64_t value;
    Page page;

    if (host) {
        return host_load(host, size);
    }
    page_lookup(cpu, va, MEM_LOAD, &page);
    if (page.host) {
        return host_load(page.host, size);
    }
    cpu->stats.io_accesses++;
    if (io_read(cpu, &page, size, &value) != MEM_OK) {
        raise_fault(cpu, va, MEM_LOAD, MEM_FAULT_BUS, 0);
    }
    access_check_map(cpu);
    return value;
}

static uint64_t load_crossing(Cpu *cpu, uint64_t va, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        value |= load_page(cpu, va + i, 1) << (8 * i);
    }
    return value;
}

uint64_t access_load(Cpu *cpu, uint64_t va, uint32_t memop)
{
    unsigned size = 1u << (memop & IR_MEM_SIZE);

    check_access(cpu, va, size, memop, MEM_LOAD);
    return convert(crosses(va, size) ? load_crossing(cpu, va, size) : load_page(cpu, va, size),
                   memop);
}

/* Tells the code cache of bytes that were stored past the TLB. */
static void note_store(const Cpu *cpu, uint64_t va, const uint8_t *host, unsigned size)
{
    if (tlb_find(cpu->ctx->write, va, size)) {
        return; /* who translates the page next takes this entry first */
    }
    /* The store must be seen before the flag is looked at (code-cache-priv.h). */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (code_page_has_code(host)) {
        code_page_written((uint64_t)(host - ram_base), size);
    }
}

static void store_page(Cpu *cpu, uint64_t va, uint64_t value, unsigned size)
{
    uint8_t *host = tlb_find(cpu->ctx->write, va, size);
    Page page;

    if (host) {
        host_store(host, value, size);
        return;
    }
    page_lookup(cpu, va, MEM_STORE, &page);
    if (page.host && page.writable) {
        host_store(page.host, value, size);
        note_store(cpu, va, page.host, size);
        return;
    }
    cpu->stats.io_accesses++;
    if (io_write(cpu, &page, size, value) != MEM_OK) {
        raise_fault(cpu, va, MEM_STORE, MEM_FAULT_BUS, 0);
    }
    access_check_map(cpu); /* a device may change the map, and its next access must see that */
}

static void store_crossing(Cpu *cpu, uint64_t va, uint64_t value, unsigned size)
{
    /* Both pages must be writable before a byte changes. */
    cpu_probe(cpu, va, size, MEM_STORE);
    for (unsigned i = 0; i < size; i++) {
        store_page(cpu, va + i, value >> (8 * i) & 0xff, 1);
    }
}

void access_store(Cpu *cpu, uint64_t va, uint64_t value, uint32_t memop)
{
    unsigned size = 1u << (memop & IR_MEM_SIZE);

    check_access(cpu, va, size, memop, MEM_STORE);
    value = convert(value, memop & ~(uint32_t)IR_MEM_SIGN);
    if (crosses(va, size)) {
        store_crossing(cpu, va, value, size);
    } else {
        store_page(cpu, va, value, size);
    }
}

uint64_t cpu_load(Cpu *cpu, uint64_t va, uint32_t memop)
{
    return access_load(cpu, va, memop);
}

void cpu_store(Cpu *cpu, uint64_t va, uint64_t value, uint32_t memop)
{
    access_store(cpu, va, value, memop);
}

void cpu_probe(Cpu *cpu, uint64_t va, unsigned len, MemAccess access)
{
    uint64_t last = va + len - 1;

    for (uint64_t page_va = va;; page_va = (page_va | 4095) + 1) {
        const TlbEntry *table = access == MEM_STORE ? cpu->ctx->write : cpu->ctx->read;
        Page page;

        if (!tlb_find(table, page_va, 1)) {
            page_lookup(cpu, page_va, access, &page);
        }
        if ((page_va | 4095) >= last) {
            break;
        }
    }
}

void *cpu_atomic_ptr(Cpu *cpu, uint64_t va, unsigned size, MemAccess access)
{
    uint8_t *host;
    Page page;

    if (va & (size - 1)) {
        raise_fault(cpu, va, access, MEM_FAULT_ALIGN, 0);
    }
    if (debug_n_watchpoints && !cpu->watch_step) {
        debug_check_watch(cpu, va, size, access);
    }
    host = tlb_find(access == MEM_LOAD ? cpu->ctx->read : cpu->ctx->write, va, size);
    if (host) {
        return host;
    }
    page_lookup(cpu, va, access, &page);
    if (!page.host || (access == MEM_STORE && !page.writable)) {
        raise_fault(cpu, va, access, MEM_FAULT_BUS, 0);
    }
    if (access == MEM_STORE && !tlb_find(cpu->ctx->write, va, size)) {
        code_page_unsettle(page.host, size);
    }
    return page.host;
}

/* ---- Instruction fetch ---- */

static uint8_t *fetch_cached(Cpu *cpu, uint64_t va)
{
    const FetchEntry *f = &cpu->ctx->fetch[(va >> 12) & (FETCH_SIZE - 1)];

    return f->host && f->va == (va & ~4095ull) ? f->host : NULL;
}

static uint8_t *fetch_fill(Cpu *cpu, uint64_t va, Page *page)
{
    uint8_t *host = page->host - (va & 4095);

    if (cpu_config.no_tlb && page->writable) {
        /* Nothing is believed: blocks live again only if they still are what their bytes say. */
        code_page_written((uint64_t)(host - ram_base), 4096);
    }
    cpu->fetch_split |= page->fill.no_cache;
    if (!page->fill.no_cache) {
        tlb_insert_fetch(cpu, va, host, &page->fill);
    }
    return host;
}

uint8_t *access_fetch_page(Cpu *cpu, uint64_t va)
{
    uint8_t *host = fetch_cached(cpu, va);
    Page page = { 0 };

    cpu->fetch_split = false;
    if (host) {
        return host;
    }
    cpu->stats.tlb_fills++;
    if (!cpu->ops->walk(cpu, va, MEM_FETCH, false, &page.fill)) {
        raise_fault(cpu, va, MEM_FETCH, MEM_FAULT_WALK, page.fill.fault);
    }
    if (!page_resolve(&page, va) || !page.host) {
        raise_fault(cpu, va, MEM_FETCH, MEM_FAULT_BUS, 0);
    }
    return fetch_fill(cpu, va, &page);
}

uint8_t *access_fetch_page_try(Cpu *cpu, uint64_t va)
{
    uint8_t *host = fetch_cached(cpu, va);
    Page page = { 0 };

    if (host) {
        return host;
    }
    if (!cpu->ops->walk(cpu, va, MEM_FETCH, false, &page.fill) || !page_resolve(&page, va) ||
        !page.host) {
        return NULL;
    }
    return fetch_fill(cpu, va, &page);
}

/* ---- The debugger ---- */

bool cpu_debug_translate(Cpu *cpu, uint64_t va, uint64_t *phys)
{
    TlbFill fill = { 0 };

    if (!cpu->ops->walk(cpu, va, MEM_LOAD, true, &fill)) {
        return false;
    }
    *phys = page_phys(&fill, va);
    return true;
}

static bool debug_access(Cpu *cpu, uint64_t va, uint8_t *buf, size_t len, bool write)
{
    while (len) {
        size_t n = MIN(len, 4096 - (va & 4095));
        uint64_t phys;
        MemTxResult result;

        if (!cpu_debug_translate(cpu, va, &phys)) {
            return false;
        }
        result = write ? memory_write_rom(phys, buf, n) : memory_read(phys, buf, n);
        if (result != MEM_OK) {
            return false;
        }
        va += n;
        buf += n;
        len -= n;
    }
    return true;
}

bool cpu_debug_read(Cpu *cpu, uint64_t va, void *buf, size_t len)
{
    return debug_access(cpu, va, buf, len, false);
}

bool cpu_debug_write(Cpu *cpu, uint64_t va, const void *buf, size_t len)
{
    return debug_access(cpu, va, (uint8_t *)buf, len, true);
}
