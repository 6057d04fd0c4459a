/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access by guest-physical address: device registers with splitting and widening, DMA, single loads
 * and stores; and the machine lock that device code runs under.
 *
 * A device access of a size the device does not implement becomes accesses that it does: smaller
 * ones in address order, or one larger, naturally aligned one of which the asked lanes are used
 * (written lanes beside them are zero).
 */
#include "softmmu/memory-priv.h"
#include <inttypes.h>
#include <string.h>
#include "softmmu/memory-lazy.h"
#include "util/log.h"

static void (*written_hook)(uint64_t ram_offset, uint64_t len);

/* ---- The machine lock ---- */

static GMutex lock;
static __thread bool lock_is_mine;

void machine_lock(void)
{
    g_assert(!lock_is_mine);
    g_mutex_lock(&lock);
    lock_is_mine = true;
}

void machine_unlock(void)
{
    g_assert(lock_is_mine);
    lock_is_mine = false;
    g_mutex_unlock(&lock);
}

bool machine_lock_held(void)
{
    return lock_is_mine;
}

/* Takes the lock if @ops needs it and this thread does not have it; true: to be given back. */
static bool lock_for(const MemoryRegionOps *ops)
{
    if (ops->lockless || lock_is_mine) {
        return false;
    }
    machine_lock();
    return true;
}

/* ---- Devices ---- */

static uint64_t value_mask(unsigned size)
{
    return size >= 8 ? UINT64_MAX : (1ull << (8 * size)) - 1;
}

/* The bytes of a device's value as a little-endian bus shows them. */
static uint64_t lanes(const MemoryRegionOps *ops, uint64_t value, unsigned size)
{
    return ops->big_endian ? __builtin_bswap64(value) >> (64 - 8 * size) : value & value_mask(size);
}

static bool size_is_valid(const MemoryRegion *mr, uint64_t offset, unsigned size)
{
    const MemoryRegionOps *ops = mr->ops;
    unsigned min = ops->min_valid ? ops->min_valid : 1, max = ops->max_valid ? ops->max_valid : 8;

    return size >= min && size <= max && (ops->allow_unaligned || !(offset & (size - 1))) &&
           size <= mr->size && offset <= mr->size - size;
}

/* The size of the accesses that an access of @size is made of. */
static unsigned access_size(const MemoryRegionOps *ops, unsigned size)
{
    unsigned min = ops->min_access ? ops->min_access : 1,
             max = ops->max_access ? ops->max_access : 8;

    return CLAMP(size, min, max);
}

static uint64_t device_read(const MemoryRegion *mr, uint64_t offset, unsigned size)
{
    const MemoryRegionOps *ops = mr->ops;
    unsigned step = access_size(ops, size);
    uint64_t value = 0;

    if (step > size) {
        uint64_t at = offset & ~(uint64_t)(step - 1);

        return lanes(ops, ops->read(mr->opaque, at, step), step) >> (8 * (offset - at)) &
               value_mask(size);
    }
    for (unsigned i = 0; i < size; i += step) {
        value |= lanes(ops, ops->read(mr->opaque, offset + i, step), step) << (8 * i);
    }
    return value;
}

static void device_write(const MemoryRegion *mr, uint64_t offset, uint64_t value, unsigned size)
{
    const MemoryRegionOps *ops = mr->ops;
    unsigned step = access_size(ops, size);

    if (step > size) {
        uint64_t at = offset & ~(uint64_t)(step - 1);
        uint64_t lane = (value & value_mask(size)) << (8 * (offset - at));

        ops->write(mr->opaque, at, lanes(ops, lane, step), step);
        return;
    }
    for (unsigned i = 0; i < size; i += step) {
        ops->write(mr->opaque, offset + i, lanes(ops, value >> (8 * i), step), step);
    }
}

MemTxResult memory_io_read(const FlatRange *range, uint64_t addr, unsigned size, uint64_t *value)
{
    const MemoryRegion *mr = range->region;
    uint64_t offset = range->offset + (addr - range->start);
    bool locked;

    *value = 0;
    if (!mr->ops || !mr->ops->read || !size_is_valid(mr, offset, size)) {
        log_guest_error("%s: refused read of %u bytes at offset %#" PRIx64, mr->name, size, offset);
        return MEM_DEVICE_ERROR;
    }
    locked = lock_for(mr->ops);
    *value = device_read(mr, offset, size);
    if (locked) {
        machine_unlock();
    }
    return MEM_OK;
}

MemTxResult memory_io_write(const FlatRange *range, uint64_t addr, unsigned size, uint64_t value)
{
    const MemoryRegion *mr = range->region;
    uint64_t offset = range->offset + (addr - range->start);
    bool locked;

    if (memory_is_lost()) {
        return MEM_OK;
    }
    if (mr->kind == MEM_ROM && !mr->ops) {
        log_guest_error("%s: write of %u bytes to read-only memory at offset %#" PRIx64, mr->name,
                        size, offset);
        return MEM_OK;
    }
    if (!mr->ops->write || !size_is_valid(mr, offset, size)) {
        log_guest_error("%s: refused write of %u bytes at offset %#" PRIx64, mr->name, size,
                        offset);
        return MEM_DEVICE_ERROR;
    }
    locked = lock_for(mr->ops);
    device_write(mr, offset, value, size);
    if (locked) {
        machine_unlock();
    }
    return MEM_OK;
}

/* ---- RAM ---- */

void memory_set_written_hook(void (*hook)(uint64_t ram_offset, uint64_t len))
{
    written_hook = hook;
}

void memory_written(const void *host, uint64_t len)
{
    if (written_hook && len) {
        /* The store must be seen before the code cache looks at its pages. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        written_hook((uint64_t)((const uint8_t *)host - ram_base), len);
    }
}

void *memory_map(uint64_t addr, uint64_t *len, bool write)
{
    const FlatRange *r = memory_find(memory_view(), addr);

    uint8_t *host;

    if (!r || !r->host || (write && r->readonly)) {
        return NULL;
    }
    *len = MIN(*len, r->last - addr + 1);
    host = r->host + (addr - r->start);
    memory_populate((uint64_t)(host - ram_base), *len);
    return memory_is_lost() ? NULL : host;
}

/* ---- Copies ---- */

typedef enum CopyKind { COPY_READ, COPY_WRITE, COPY_WRITE_ROM } CopyKind;

static uint64_t bytes_to_value(const uint8_t *buf, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, buf, size);
    return GUINT64_FROM_LE(value);
}

static void value_to_bytes(uint8_t *buf, uint64_t value, unsigned size)
{
    value = GUINT64_TO_LE(value);
    memcpy(buf, &value, size);
}

/* The largest naturally aligned access at @addr that the device takes, at most @len bytes. */
static unsigned device_chunk(const MemoryRegion *mr, uint64_t addr, uint64_t len)
{
    unsigned max = mr->ops && mr->ops->max_valid ? mr->ops->max_valid : 8, size = 1;

    while (size * 2 <= max && size * 2 <= len && !(addr & (size * 2 - 1))) {
        size *= 2;
    }
    return size;
}

static MemTxResult copy_device(const FlatRange *r, uint64_t addr, uint8_t *buf, uint64_t len,
                               CopyKind kind)
{
    MemTxResult result = MEM_OK;

    while (len) {
        unsigned size = device_chunk(r->region, addr, len);
        uint64_t value = 0;
        MemTxResult one;

        if (kind == COPY_READ) {
            one = memory_io_read(r, addr, size, &value);
            value_to_bytes(buf, value, size);
        } else {
            one = memory_io_write(r, addr, size, bytes_to_value(buf, size));
        }
        result = result ? result : one;
        addr += size;
        buf += size;
        len -= size;
    }
    return result;
}

static MemTxResult copy_range(const FlatRange *r, uint64_t addr, uint8_t *buf, uint64_t len,
                              CopyKind kind)
{
    uint8_t *host = r->host ? r->host + (addr - r->start) : NULL;

    if (kind == COPY_WRITE_ROM && !host && r->region->kind == MEM_ROM) {
        host = memory_region_host(r->region) + r->offset + (addr - r->start);
    }
    if (!host || (kind == COPY_WRITE && r->readonly)) {
        return copy_device(r, addr, buf, len, kind);
    }
    if (kind == COPY_READ) {
        memcpy(buf, host, len);
    } else {
        memcpy(host, buf, len);
        memory_written(host, len);
    }
    return MEM_OK;
}

static MemTxResult copy(uint64_t addr, uint8_t *buf, uint64_t len, CopyKind kind)
{
    const FlatView *view = memory_view();
    MemTxResult result = MEM_OK;

    while (len) {
        const FlatRange *r = memory_find(view, addr);
        uint64_t n = r ? MIN(len, r->last - addr + 1) : 1;
        MemTxResult one = MEM_DECODE_ERROR;

        if (r) {
            one = copy_range(r, addr, buf, n, kind);
        } else {
            /* Up to the next page at most; what is not there reads as zero. */
            n = MIN(len, MEM_PAGE - addr % MEM_PAGE);
            for (uint64_t i = 1; i < n; i++) {
                n = memory_find(view, addr + i) ? i : n;
            }
            if (kind == COPY_READ) {
                memset(buf, 0, n);
            }
        }
        result = result ? result : one;
        addr += n;
        buf += n;
        len -= n;
    }
    return result;
}

MemTxResult memory_read(uint64_t addr, void *buf, uint64_t len)
{
    return copy(addr, buf, len, COPY_READ);
}

MemTxResult memory_write(uint64_t addr, const void *buf, uint64_t len)
{
    return copy(addr, (uint8_t *)buf, len, COPY_WRITE);
}

MemTxResult memory_write_rom(uint64_t addr, const void *buf, uint64_t len)
{
    return copy(addr, (uint8_t *)buf, len, COPY_WRITE_ROM);
}

/* Host address of @size naturally aligned bytes at @addr of RAM (ROM: to read), else NULL. */
static uint8_t *host_at(const FlatRange *r, uint64_t addr, unsigned size, bool write)
{
    return r && r->host && !(write && r->readonly) && !(addr & (size - 1)) &&
                   size - 1 <= r->last - addr
               ? r->host + (addr - r->start)
               : NULL;
}

static uint64_t host_load(const uint8_t *host, unsigned size)
{
    switch (size) {
    case 1:
        return *host;
    case 2:
        return GUINT16_FROM_LE(__atomic_load_n((const uint16_t *)host, __ATOMIC_ACQUIRE));
    case 4:
        return GUINT32_FROM_LE(__atomic_load_n((const uint32_t *)host, __ATOMIC_ACQUIRE));
    default:
        return GUINT64_FROM_LE(__atomic_load_n((const uint64_t *)host, __ATOMIC_ACQUIRE));
    }
}

static void host_store(uint8_t *host, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *host = (uint8_t)value;
        break;
    case 2:
        __atomic_store_n((uint16_t *)host, GUINT16_TO_LE((uint16_t)value), __ATOMIC_RELEASE);
        break;
    case 4:
        __atomic_store_n((uint32_t *)host, GUINT32_TO_LE((uint32_t)value), __ATOMIC_RELEASE);
        break;
    default:
        __atomic_store_n((uint64_t *)host, GUINT64_TO_LE(value), __ATOMIC_RELEASE);
        break;
    }
}

MemTxResult memory_load(uint64_t addr, unsigned size, uint64_t *value)
{
    const FlatRange *r = memory_find(memory_view(), addr);
    const uint8_t *host = host_at(r, addr, size, false);
    uint8_t buf[8] = { 0 };
    MemTxResult result;

    if (host) {
        *value = host_load(host, size);
        return MEM_OK;
    }
    if (r && !r->host && size - 1 <= r->last - addr) {
        return memory_io_read(r, addr, size, value);
    }
    result = memory_read(addr, buf, size);
    *value = bytes_to_value(buf, size);
    return result;
}

MemTxResult memory_store(uint64_t addr, unsigned size, uint64_t value)
{
    const FlatRange *r = memory_find(memory_view(), addr);
    uint8_t *host = host_at(r, addr, size, true), buf[8];

    if (host) {
        host_store(host, size, value);
        memory_written(host, size);
        return MEM_OK;
    }
    if (r && (!r->host || r->readonly) && size - 1 <= r->last - addr) {
        return memory_io_write(r, addr, size, value);
    }
    value_to_bytes(buf, value, size);
    return memory_write(addr, buf, size);
}

bool memory_send_message(uint64_t addr, uint32_t data)
{
    const FlatRange *r = memory_find(memory_view(), addr);

    if (!r || addr & 3) {
        return false;
    }
    if (r->host) {
        return !r->readonly && memory_store(addr, 4, data) == MEM_OK;
    }
    return r->region->ops && r->region->ops->takes_messages &&
           memory_io_write(r, addr, 4, data) == MEM_OK;
}
