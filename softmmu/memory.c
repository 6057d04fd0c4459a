/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The region tree and its rendering to the flat view.
 *
 * Rendering goes through the tree with the higher priorities first and lets each terminal region
 * fill what is still free of its extent, so the first to claim an address is the one that is seen.
 * Among equal priorities the region that was added last wins.
 *
 * Views are interned: a commit that renders a map which existed before publishes that same object.
 * A machine switches between a handful of maps (a flash bank in and out of command mode), so
 * readers need no protocol; what a guest without sense makes is freed when no vCPU runs.
 */
#include "softmmu/memory-priv.h"
#include <string.h>
#include "util/log.h"

enum { MAX_DEPTH = 32, MANY_VIEWS = 64 };

static MemoryRegion system_region;
static const FlatView empty_view = { .serial = UINT64_MAX };
static const FlatView *current_view = &empty_view; /* atomic */
static GPtrArray *known_views;                     /* of FlatView * */
static uint64_t last_serial;
static void (*view_changed)(void);

/* ---- Regions ---- */

void memory_region_init(MemoryRegion *mr, const char *name, uint64_t size)
{
    memset(mr, 0, sizeof(*mr));
    mr->name = name;
    mr->kind = MEM_CONTAINER;
    mr->size = size;
    mr->enabled = true;
}

void memory_region_init_io(MemoryRegion *mr, const char *name, uint64_t size,
                           const MemoryRegionOps *ops, void *opaque)
{
    memory_region_init(mr, name, size);
    mr->kind = MEM_IO;
    mr->ops = ops;
    mr->opaque = opaque;
}

void memory_region_init_alias(MemoryRegion *mr, const char *name, MemoryRegion *target,
                              uint64_t offset, uint64_t size)
{
    memory_region_init(mr, name, size);
    mr->kind = MEM_ALIAS;
    mr->alias = target;
    mr->alias_offset = offset;
}

bool memory_region_init_ram(MemoryRegion *mr, const char *name, uint64_t size, GError **error)
{
    uint64_t rounded = (size + MEM_PAGE - 1) & ~(uint64_t)(MEM_PAGE - 1);

    memory_region_init(mr, name, rounded);
    mr->kind = MEM_RAM;
    if (!size || rounded < size || !memory_pool_take(rounded, &mr->ram_offset, error)) {
        if (error && !*error) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "impossible size");
        }
        g_prefix_error(error, "%s: ", name);
        return false;
    }
    return true;
}

bool memory_region_init_rom(MemoryRegion *mr, const char *name, uint64_t size,
                            const MemoryRegionOps *write_ops, void *opaque, GError **error)
{
    if (!memory_region_init_ram(mr, name, size, error)) {
        return false;
    }
    mr->kind = MEM_ROM;
    mr->ops = write_ops;
    mr->opaque = opaque;
    return true;
}

uint8_t *memory_region_host(MemoryRegion *mr)
{
    g_assert(mr->kind == MEM_RAM || mr->kind == MEM_ROM);
    return ram_base + mr->ram_offset;
}

void memory_region_add(MemoryRegion *parent, uint64_t addr, MemoryRegion *child, int priority)
{
    unsigned i = 0;

    g_assert(!child->container);
    if (!parent->children) {
        parent->children = g_ptr_array_new();
    }
    child->container = parent;
    child->addr = addr;
    child->priority = priority;
    while (i < parent->children->len &&
           ((MemoryRegion *)g_ptr_array_index(parent->children, i))->priority > priority) {
        i++;
    }
    g_ptr_array_insert(parent->children, (int)i, child);
}

void memory_region_remove(MemoryRegion *child)
{
    g_assert(child->container);
    g_ptr_array_remove(child->container->children, child);
    child->container = NULL;
}

void memory_region_set_enabled(MemoryRegion *mr, bool enabled)
{
    mr->enabled = enabled;
}

void memory_region_set_romd(MemoryRegion *mr, bool direct_reads)
{
    g_assert(mr->kind == MEM_ROM && mr->ops);
    mr->romd_off = !direct_reads;
}

MemoryRegion *memory_system(void)
{
    if (!system_region.name) {
        memory_region_init(&system_region, "system", UINT64_MAX);
    }
    return &system_region;
}

/* ---- Rendering ---- */

/* A window of the address space, inclusive; wide enough for regions whose base lies below 0 or
 * whose end lies past 2^64. */
typedef struct Window {
    __int128 first, last;
} Window;

/* Index of the first range that ends at or after @addr. */
static unsigned first_range_from(const GArray *ranges, uint64_t addr)
{
    unsigned lo = 0, hi = ranges->len;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if (g_array_index(ranges, FlatRange, mid).last < addr) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static FlatRange make_range(MemoryRegion *mr, __int128 base, uint64_t first, uint64_t last)
{
    bool direct = mr->kind == MEM_RAM || (mr->kind == MEM_ROM && !mr->romd_off);
    uint64_t offset = (uint64_t)((__int128)first - base);

    return (FlatRange){
        .start = first,
        .last = last,
        .region = mr,
        .offset = offset,
        .host = direct ? ram_base + mr->ram_offset + offset : NULL,
        .readonly = mr->kind == MEM_ROM,
    };
}

/* Gives @mr what is still free of @w. */
static void fill_gaps(GArray *ranges, MemoryRegion *mr, __int128 base, Window w)
{
    uint64_t at = (uint64_t)w.first, last = (uint64_t)w.last;
    unsigned i = first_range_from(ranges, at);

    for (;;) {
        const FlatRange *next = i < ranges->len ? &g_array_index(ranges, FlatRange, i) : NULL;
        uint64_t next_start = next ? next->start : 0, next_last = next ? next->last : 0;
        bool reaches_end = !next || next_start > last;

        if (reaches_end || next_start > at) {
            FlatRange r = make_range(mr, base, at, reaches_end ? last : next_start - 1);

            g_array_insert_val(ranges, i, r);
            i++;
        }
        if (reaches_end || next_last >= last) {
            return;
        }
        at = next_last + 1;
        i++;
    }
}

static void render_region(GArray *ranges, MemoryRegion *mr, __int128 base, Window w, unsigned depth)
{
    __int128 end = base + mr->size - 1;

    g_assert(depth < MAX_DEPTH); /* a cycle of aliases */
    w.first = MAX(w.first, base);
    w.last = MIN(w.last, end);
    if (!mr->enabled || w.first > w.last) {
        return;
    }
    if (mr->kind == MEM_ALIAS) {
        render_region(ranges, mr->alias, base - mr->alias_offset, w, depth + 1);
        return;
    }
    for (unsigned i = 0; mr->children && i < mr->children->len; i++) {
        MemoryRegion *child = g_ptr_array_index(mr->children, i);

        render_region(ranges, child, base + child->addr, w, depth + 1);
    }
    if (mr->kind != MEM_CONTAINER) {
        fill_gaps(ranges, mr, base, w);
    }
}

static bool continues(const FlatRange *a, const FlatRange *b)
{
    return a->last + 1 == b->start && a->region == b->region &&
           a->offset + (a->last - a->start) + 1 == b->offset;
}

FlatView *memory_render(void)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, TRUE, sizeof(FlatRange));
    FlatView *view;

    render_region(ranges, memory_system(), 0, (Window){ 0, UINT64_MAX }, 0);
    view = g_malloc0(sizeof(*view) + ranges->len * sizeof(FlatRange));
    for (unsigned i = 0; i < ranges->len; i++) {
        FlatRange *r = &g_array_index(ranges, FlatRange, i);

        if (view->n && continues(&view->ranges[view->n - 1], r)) {
            view->ranges[view->n - 1].last = r->last;
        } else {
            view->ranges[view->n++] = *r;
        }
    }
    for (unsigned i = 0; i < view->n; i++) {
        const FlatRange *r = &view->ranges[i], *m = &view->ranges[view->main];

        if (r->host && !r->readonly &&
            (!m->host || m->readonly || r->last - r->start > m->last - m->start)) {
            view->main = i;
        }
    }
    return view;
}

static bool same_view(const FlatView *a, const FlatView *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (unsigned i = 0; i < a->n; i++) {
        const FlatRange *x = &a->ranges[i], *y = &b->ranges[i];

        if (x->start != y->start || x->last != y->last || x->region != y->region ||
            x->offset != y->offset || x->host != y->host || x->readonly != y->readonly) {
            return false;
        }
    }
    return true;
}

static void log_view(void)
{
    g_autoptr(GString) text = g_string_new(NULL);

    memory_print(text, true);
    log_printf(LOG_PAGE, "%s", text->str);
}

void memory_commit(void)
{
    FlatView *view = memory_render();

    if (!known_views) {
        known_views = g_ptr_array_new();
    }
    for (unsigned i = 0; i < known_views->len; i++) {
        FlatView *known = g_ptr_array_index(known_views, i);

        if (same_view(known, view)) {
            g_free(view);
            view = known;
            break;
        }
    }
    if (view == current_view) {
        return;
    }
    if (!view->serial) {
        view->serial = ++last_serial;
        g_ptr_array_add(known_views, view);
    }
    __atomic_store_n(&current_view, view, __ATOMIC_SEQ_CST);
    if (log_enabled(LOG_PAGE)) {
        log_view();
    }
    if (view_changed) {
        view_changed();
    }
}

bool memory_views_are_many(void)
{
    return known_views && known_views->len >= MANY_VIEWS;
}

void memory_views_trim(void)
{
    for (unsigned i = known_views ? known_views->len : 0; i-- > 0;) {
        FlatView *view = g_ptr_array_index(known_views, i);

        if (view != current_view) {
            g_ptr_array_remove_index_fast(known_views, i);
            g_free(view);
        }
    }
}

void memory_set_listener(void (*changed)(void))
{
    view_changed = changed;
}

const FlatView *memory_view(void)
{
    return __atomic_load_n(&current_view, __ATOMIC_ACQUIRE);
}

const FlatRange *memory_find(const FlatView *view, uint64_t addr)
{
    const FlatRange *base = view->ranges;
    unsigned n = view->n;

    if (!n) {
        return NULL;
    }
    if (addr - base[view->main].start <= base[view->main].last - base[view->main].start) {
        return &base[view->main];
    }
    while (n > 1) {
        unsigned half = n / 2;

        base = addr >= base[half].start ? base + half : base;
        n -= half;
    }
    return addr >= base->start && addr <= base->last ? base : NULL;
}
