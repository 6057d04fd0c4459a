/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest-physical memory: rendering of the region tree (compared with a brute-force model on random
 * trees), access splitting and widening, ROM, DMA, the written hook, listings and the RAM pool.
 */
#include "softmmu/memory.h"
#include <string.h>

enum { POOL = 64 << 20 };

/* ---- A device that records what it is asked ---- */

typedef struct Probe {
    unsigned n_reads, n_writes;
    uint64_t last_offset, last_value;
    unsigned last_size;
    uint8_t bytes[64];
    bool locked;
} Probe;

static uint64_t probe_read(void *opaque, uint64_t offset, unsigned size)
{
    Probe *p = opaque;
    uint64_t v = 0;

    p->n_reads++;
    p->last_offset = offset;
    p->last_size = size;
    p->locked = machine_lock_held();
    memcpy(&v, p->bytes + offset % 64, size);
    return v;
}

static void probe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Probe *p = opaque;

    p->n_writes++;
    p->last_offset = offset;
    p->last_size = size;
    p->last_value = value;
    p->locked = machine_lock_held();
    memcpy(p->bytes + offset % 64, &value, size);
}

static const MemoryRegionOps any_ops = { .read = probe_read, .write = probe_write };
static const MemoryRegionOps word_ops = {
    .read = probe_read, .write = probe_write, .min_access = 4, .max_access = 4
};
static const MemoryRegionOps strict_ops = {
    .read = probe_read,
    .write = probe_write,
    .min_access = 4,
    .max_access = 4,
    .min_valid = 4,
    .max_valid = 4,
};
static const MemoryRegionOps be_ops = {
    .read = probe_read, .write = probe_write, .big_endian = true, .max_access = 4
};
static const MemoryRegionOps lockless_ops = { .read = probe_read,
                                              .write = probe_write,
                                              .lockless = true };

/* ---- Access ---- */

static void test_access_sizes(void)
{
    MemoryRegion mr;
    Probe p = { 0 };
    uint64_t v;

    for (unsigned i = 0; i < 64; i++) {
        p.bytes[i] = (uint8_t)(i + 1);
    }
    memory_region_init_io(&mr, "word", 64, &word_ops, &p);
    memory_region_add(memory_system(), 0x1000, &mr, 0);
    memory_commit();
    g_assert_cmpint(memory_load(0x1000, 8, &v), ==, MEM_OK);
    g_assert_cmphex(v, ==, 0x0807060504030201);
    g_assert_cmpuint(p.n_reads, ==, 2);
    g_assert_true(p.locked);
    g_assert_false(machine_lock_held());
    g_assert_cmpint(memory_load(0x1006, 1, &v), ==, MEM_OK);
    g_assert_cmphex(v, ==, 7);
    g_assert_cmpuint(p.last_offset, ==, 4);
    g_assert_cmpint(memory_store(0x1002, 2, 0xbeef), ==, MEM_OK);
    g_assert_cmpuint(p.last_offset, ==, 0);
    g_assert_cmphex(p.last_value, ==, 0xbeef0000);
    g_assert_cmpint(memory_load(0x1001, 4, &v), ==, MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_load(0x2000, 4, &v), ==, MEM_DECODE_ERROR);
    memory_region_remove(&mr);
    memory_commit();
}

static void test_valid_sizes(void)
{
    MemoryRegion mr;
    Probe p = { 0 };
    uint64_t v;

    memory_region_init_io(&mr, "strict", 6, &strict_ops, &p);
    memory_region_add(memory_system(), 0x1000, &mr, 0);
    memory_commit();
    g_assert_cmpint(memory_load(0x1000, 4, &v), ==, MEM_OK);
    g_assert_cmpint(memory_load(0x1000, 8, &v), !=, MEM_OK);
    g_assert_cmpint(memory_load(0x1000, 2, &v), ==, MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_store(0x1004, 4, 1), !=, MEM_OK);
    g_assert_cmpuint(p.n_reads, ==,
                     2); /* the device takes words, so eight bytes were two, one of them refused */
    memory_region_remove(&mr);
    memory_commit();
}

static void test_big_endian(void)
{
    MemoryRegion mr;
    Probe p = { 0 };
    uint64_t v;

    memory_region_init_io(&mr, "be", 64, &be_ops, &p);
    memory_region_add(memory_system(), 0x1000, &mr, 0);
    memory_commit();
    memory_store(0x1000, 4, 0x11223344);
    g_assert_cmphex(p.last_value, ==, 0x44332211);
    memory_load(0x1000, 4, &v);
    g_assert_cmphex(v, ==, 0x11223344);
    memory_store(0x1000, 8, 0x1122334455667788);
    g_assert_cmphex(p.last_value, ==, 0x44332211);
    g_assert_cmpuint(p.last_offset, ==, 4);
    memory_region_remove(&mr);
    memory_commit();
}

static void test_lockless(void)
{
    MemoryRegion mr;
    Probe p = { .locked = true };
    uint64_t v;

    memory_region_init_io(&mr, "lockless", 64, &lockless_ops, &p);
    memory_region_add(memory_system(), 0x1000, &mr, 0);
    memory_commit();
    memory_load(0x1000, 4, &v);
    g_assert_false(p.locked);
    machine_lock();
    memory_store(0x1000, 4, 1); /* the lock is this thread's already */
    g_assert_true(p.locked);
    machine_unlock();
    memory_region_remove(&mr);
    memory_commit();
}

static unsigned n_written;
static uint64_t written_at, written_len;

static void on_written(uint64_t ram_offset, uint64_t len)
{
    n_written++;
    written_at = ram_offset;
    written_len = len;
}

static void test_ram_and_rom(void)
{
    static MemoryRegion ram, rom;
    uint8_t buf[64], back[64];
    uint64_t v, len = 1 << 30;
    uint8_t *host;

    g_assert_true(memory_region_init_ram(&ram, "ram", 8192, NULL));
    g_assert_true(memory_region_init_rom(&rom, "rom", 4096, NULL, NULL, NULL));
    memory_region_add(memory_system(), 0x10000, &ram, 0);
    memory_region_add(memory_system(), 0x12000, &rom, 0);
    memory_commit();
    memory_set_written_hook(on_written);
    for (unsigned i = 0; i < 64; i++) {
        buf[i] = (uint8_t)(i * 7 + 1);
    }
    g_assert_cmpint(memory_write(0x11fe0, buf, 64), ==,
                    MEM_OK); /* half of it is dropped by the ROM */
    g_assert_cmpuint(n_written, ==, 1);
    g_assert_cmpuint(written_at, ==, ram.ram_offset + 0x1fe0);
    g_assert_cmpuint(written_len, ==, 32);
    g_assert_cmpint(memory_read(0x11fe0, back, 64), ==, MEM_OK);
    g_assert_cmpmem(back, 32, buf, 32);
    g_assert_cmpuint(back[32], ==, 0);
    g_assert_cmpint(memory_write_rom(0x11fe0, buf, 64), ==, MEM_OK);
    memory_read(0x11fe0, back, 64);
    g_assert_cmpmem(back, 64, buf, 64);
    g_assert_cmpint(memory_store(0x10003, 4, 0xcafebabe), ==, MEM_OK);
    g_assert_cmpint(memory_load(0x10004, 2, &v), ==, MEM_OK);
    g_assert_cmphex(v, ==, 0xfeba);
    g_assert_cmpint(memory_read(0x12ff0, back, 64), ==, MEM_DECODE_ERROR);
    g_assert_cmpuint(back[63], ==, 0);
    host = memory_map(0x10010, &len, true);
    g_assert_true(host == ram_base + ram.ram_offset + 0x10);
    g_assert_cmpuint(len, ==, 8192 - 0x10);
    len = 4;
    g_assert_null(memory_map(0x12000, &len, true));
    g_assert_nonnull(memory_map(0x12000, &len, false));
    memory_set_written_hook(NULL);
    memory_region_remove(&ram);
    memory_region_remove(&rom);
    memory_commit();
}

static unsigned n_changes;

static void on_change(void)
{
    n_changes++;
}

/* A register window that is moved about without end. */
static void test_trim(void)
{
    static MemoryRegion window;
    Probe p = { 0 };
    uint64_t serial = 0, v;

    memory_region_init_io(&window, "window", 4096, &any_ops, &p);
    for (unsigned i = 0; i < 500; i++) {
        memory_region_add(memory_system(), 0x100000 + i * 4096, &window, 0);
        memory_commit();
        g_assert_cmpuint(memory_view()->serial, !=, serial);
        serial = memory_view()->serial;
        if (memory_views_are_many()) {
            memory_views_trim();
            g_assert_false(memory_views_are_many());
        }
        memory_load(0x100000 + i * 4096, 4, &v);
        g_assert_cmpuint(p.n_reads, ==, i + 1);
        g_assert_cmpuint(memory_view()->serial, ==, serial);
        memory_region_remove(&window);
    }
    memory_commit();
}

static void test_romd(void)
{
    static MemoryRegion flash;
    const FlatView *array_view, *command_view;
    Probe p = { 0 };
    uint64_t v;

    g_assert_true(memory_region_init_rom(&flash, "flash", 8192, &any_ops, &p, NULL));
    memory_region_add(memory_system(), 0x20000, &flash, 0);
    memory_commit();
    memory_set_listener(on_change);
    array_view = memory_view();
    memory_region_host(&flash)[5] = 0x5a;
    memory_load(0x20005, 1, &v);
    g_assert_cmphex(v, ==, 0x5a);
    memory_store(0x20004, 4, 1);
    g_assert_cmpuint(p.n_writes, ==, 1);
    memory_region_set_romd(&flash, false);
    memory_commit();
    command_view = memory_view();
    memory_load(0x20005, 1, &v);
    g_assert_cmpuint(p.n_reads, ==, 1);
    for (unsigned i = 0; i < 10; i++) {
        memory_region_set_romd(&flash, i & 1);
        memory_commit();
        g_assert_true(memory_view() == (i & 1 ? array_view : command_view));
    }
    g_assert_cmpuint(n_changes, ==, 10); /* the first of the ten changed nothing */
    memory_commit();
    g_assert_cmpuint(n_changes, ==, 10);
    memory_set_listener(NULL);
    memory_region_remove(&flash);
    memory_commit();
}

/* ---- Rendering against a model ---- */

enum { N_REGIONS = 24, SPACE = 256 };

typedef struct Cell {
    MemoryRegion *region;
    uint64_t offset;
} Cell;

/* What is seen at @addr of @mr, by asking down the tree. */
static Cell model_at(MemoryRegion *mr, int64_t addr)
{
    Cell none = { NULL, 0 };

    if (!mr->enabled || addr < 0 || (uint64_t)addr >= mr->size) {
        return none;
    }
    if (mr->kind == MEM_ALIAS) {
        return model_at(mr->alias, addr + (int64_t)mr->alias_offset);
    }
    for (unsigned i = 0; mr->children && i < mr->children->len; i++) {
        MemoryRegion *child = g_ptr_array_index(mr->children, i);
        Cell c = model_at(child, addr - (int64_t)child->addr);

        if (c.region) {
            return c;
        }
    }
    return mr->kind == MEM_CONTAINER ? none : (Cell){ mr, (uint64_t)addr };
}

static void check_view(void)
{
    const FlatView *view = memory_view();

    for (unsigned addr = 0; addr < SPACE + 64; addr++) {
        Cell want = model_at(memory_system(), addr);
        const FlatRange *r = memory_find(view, addr);

        g_assert_true((r ? r->region : NULL) == want.region);
        if (r) {
            g_assert_cmpuint(r->offset + (addr - r->start), ==, want.offset);
        }
    }
    for (unsigned i = 1; i < view->n; i++) {
        const FlatRange *a = &view->ranges[i - 1], *b = &view->ranges[i];

        g_assert_cmpuint(a->last, <, b->start);
        g_assert_false(a->last + 1 == b->start && a->region == b->region &&
                       a->offset + (b->start - a->start) == b->offset);
    }
}

static void make_random(MemoryRegion *mrs, unsigned i, GRand *rand)
{
    static Probe probe;
    uint64_t size = (uint64_t)g_rand_int_range(rand, 1, SPACE);
    unsigned kind = (unsigned)g_rand_int_range(rand, 0, 4);

    if (kind == 0) {
        memory_region_init(&mrs[i], "container", size);
    } else if (kind == 1 && i) {
        MemoryRegion *to = &mrs[g_rand_int_range(rand, 0, (int)i)];

        memory_region_init_alias(&mrs[i], "alias", to, (uint64_t)g_rand_int_range(rand, 0, SPACE),
                                 size);
    } else {
        memory_region_init_io(&mrs[i], "io", size, &any_ops, &probe);
    }
    mrs[i].enabled = g_rand_int_range(rand, 0, 8) != 0;
}

/* A place for region @i above it in the tree: no cycles, since aliases point to regions made
 * before. */
static void place_random(MemoryRegion *mrs, unsigned i, GRand *rand)
{
    unsigned up =
        i + 1 < N_REGIONS ? (unsigned)g_rand_int_range(rand, (int)i + 1, N_REGIONS + 1) : N_REGIONS;
    MemoryRegion *parent =
        up == N_REGIONS || mrs[up].kind == MEM_ALIAS ? memory_system() : &mrs[up];

    memory_region_add(parent, (uint64_t)g_rand_int_range(rand, 0, SPACE), &mrs[i],
                      g_rand_int_range(rand, -2, 3));
}

static void test_render(void)
{
    for (unsigned seed = 0; seed < 400; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
        g_autofree MemoryRegion *mrs = g_new0(MemoryRegion, N_REGIONS);

        for (unsigned i = 0; i < N_REGIONS; i++) {
            make_random(mrs, i, rand);
        }
        for (unsigned i = 0; i < N_REGIONS; i++) {
            place_random(mrs, i, rand);
        }
        memory_commit();
        check_view();
        for (unsigned i = 0; i < N_REGIONS; i++) {
            memory_region_remove(&mrs[i]);
        }
        for (unsigned i = 0; i < N_REGIONS; i++) {
            g_clear_pointer(&mrs[i].children, g_ptr_array_unref);
        }
        memory_commit();
        g_assert_cmpuint(memory_view()->n, ==, 0);
    }
}

static void test_whole_space(void)
{
    MemoryRegion top, low;
    Probe p = { 0 };

    memory_region_init_io(&top, "top", UINT64_MAX, &any_ops, &p);
    memory_region_init_io(&low, "low", 16, &any_ops, &p);
    memory_region_add(memory_system(), 0, &top, -1);
    memory_region_add(memory_system(), UINT64_MAX - 8, &low, 0);
    memory_commit();
    g_assert_cmpuint(memory_view()->n, ==, 2);
    g_assert_true(memory_find(memory_view(), UINT64_MAX - 1)->region == &low);
    g_assert_true(memory_find(memory_view(), UINT64_MAX - 9)->region == &top);
    memory_region_remove(&top);
    memory_region_remove(&low);
    memory_commit();
}

static void test_print(void)
{
    g_autoptr(GString) tree = g_string_new(NULL), flat = g_string_new(NULL);
    MemoryRegion io, alias;
    Probe p = { 0 };

    memory_region_init_io(&io, "uart", 8, &any_ops, &p);
    memory_region_init_alias(&alias, "again", &io, 2, 4);
    memory_region_add(memory_system(), 0x10000000, &io, 0);
    memory_region_add(memory_system(), 0x20000000, &alias, 1);
    memory_commit();
    memory_print(tree, false);
    memory_print(flat, true);
    g_assert_nonnull(
        strstr(tree->str, "    0000000010000000-0000000010000007 (prio 0, i/o): uart\n"));
    g_assert_nonnull(strstr(tree->str, "alias again @uart 0000000000000002-0000000000000005"));
    g_assert_nonnull(strstr(
        flat->str, "  0000000020000000-0000000020000003 (prio 0, i/o): uart @0000000000000002\n"));
    memory_region_remove(&io);
    memory_region_remove(&alias);
    memory_commit();
}

static void test_pool(void)
{
    static MemoryRegion big, again;
    g_autoptr(GError) error = NULL;

    g_assert_true(memory_region_init_ram(&big, "big", 16 << 20, NULL));
    g_assert_cmpuint((uintptr_t)memory_region_host(&big) % (2 << 20), ==, 0);
    memory_region_host(&big)[(16 << 20) - 1] = 1;
    g_assert_false(memory_region_init_ram(&again, "again", POOL, &error));
    g_assert_true(g_str_has_prefix(error->message, "again: "));
    g_clear_error(&error);
    g_assert_false(memory_region_init_ram(&again, "none", 0, &error));
    g_assert_nonnull(error);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_true(memory_init(POOL, NULL));
    g_test_add_func("/memory/access-sizes", test_access_sizes);
    g_test_add_func("/memory/valid-sizes", test_valid_sizes);
    g_test_add_func("/memory/big-endian", test_big_endian);
    g_test_add_func("/memory/lockless", test_lockless);
    g_test_add_func("/memory/ram-and-rom", test_ram_and_rom);
    g_test_add_func("/memory/romd", test_romd);
    g_test_add_func("/memory/trim", test_trim);
    g_test_add_func("/memory/render", test_render);
    g_test_add_func("/memory/whole-space", test_whole_space);
    g_test_add_func("/memory/print", test_print);
    g_test_add_func("/memory/pool", test_pool);
    return g_test_run();
}
