/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "info mtree" and "info mtree -f": the region tree and the flat view, in the layout that QEMU's
 * users know. */
#include "softmmu/memory-priv.h"
#include <inttypes.h>

const char *memory_kind_name(const MemoryRegion *mr)
{
    switch (mr->kind) {
    case MEM_RAM:
        return "ram";
    case MEM_ROM:
        return mr->ops ? "romd" : "rom";
    default:
        return "i/o";
    }
}

static void print_region(GString *out, const MemoryRegion *mr, uint64_t base, unsigned indent)
{
    uint64_t last = base + mr->size - 1;

    g_string_append_printf(out, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, ", (int)indent * 2, "",
                           base, last < base ? UINT64_MAX : last, mr->priority);
    if (mr->kind == MEM_ALIAS) {
        g_string_append_printf(out, "%s): alias %s @%s %016" PRIx64 "-%016" PRIx64,
                               memory_kind_name(mr->alias), mr->name, mr->alias->name,
                               mr->alias_offset, mr->alias_offset + mr->size - 1);
    } else {
        g_string_append_printf(out, "%s): %s", memory_kind_name(mr), mr->name);
    }
    g_string_append(out, mr->enabled ? "\n" : " [disabled]\n");
    for (unsigned i = 0; mr->children && i < mr->children->len; i++) {
        const MemoryRegion *child = g_ptr_array_index(mr->children, i);

        print_region(out, child, base + child->addr, indent + 1);
    }
}

static void print_view(GString *out, const FlatView *view)
{
    g_string_append(out,
                    "FlatView #0\n AS \"memory\", root: system\n Root memory region: system\n");
    for (unsigned i = 0; i < view->n; i++) {
        const FlatRange *r = &view->ranges[i];

        g_string_append_printf(out, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s", r->start,
                               r->last, r->region->priority, memory_kind_name(r->region),
                               r->region->name);
        if (r->offset) {
            g_string_append_printf(out, " @%016" PRIx64, r->offset);
        }
        g_string_append_c(out, '\n');
    }
}

void memory_print(GString *out, bool flat)
{
    if (flat) {
        print_view(out, memory_view());
    } else {
        g_string_append(out, "address-space: memory\n");
        print_region(out, memory_system(), 0, 1);
    }
}
