/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Device trees: what is written can be read back by libfdt, order and replacement, phandles, and
 * blobs that are no blobs. */
#include "hw/core/fdt.h"
#include <libfdt.h>
#include <string.h>

static HwFdt *make_tree(void)
{
    static const char *const compatible[] = { "menura,b", "menura,a", NULL };
    HwFdt *fdt = hw_fdt_new();

    hw_fdt_set_string(fdt, "/", "model", "test");
    hw_fdt_add_node(fdt, "/soc/plic@c000000");
    hw_fdt_set_intc(fdt, "/soc/plic@c000000");
    hw_fdt_set_reg(fdt, "/soc/serial@10000000", 0x10000000, 0x100);
    hw_fdt_set_interrupt(fdt, "/soc/serial@10000000", 10);
    hw_fdt_set_strings(fdt, "/soc/serial@10000000", "compatible", compatible);
    hw_fdt_set_u64(fdt, "/chosen", "linux,initrd-start", 0x1234567890ull);
    hw_fdt_set_empty(fdt, "/soc", "ranges");
    hw_fdt_set_string(fdt, "/", "model", "replaced");
    return fdt;
}

static void test_write(void)
{
    HwFdt *fdt = make_tree();
    size_t size;
    g_autofree uint8_t *blob = hw_fdt_pack(fdt, &size);
    const fdt32_t *cells;
    int node, len;

    g_assert_cmpint(fdt_check_full(blob, size), ==, 0);
    g_assert_cmpstr(fdt_getprop(blob, 0, "model", &len), ==, "replaced");
    node = fdt_path_offset(blob, "/soc/serial@10000000");
    g_assert_cmpint(node, >, 0);
    cells = fdt_getprop(blob, node, "reg", &len);
    g_assert_cmpint(len, ==, 16);
    g_assert_cmphex(fdt32_to_cpu(cells[1]), ==, 0x10000000);
    g_assert_cmphex(fdt32_to_cpu(cells[3]), ==, 0x100);
    g_assert_cmpint(fdt_stringlist_count(blob, node, "compatible"), ==, 2);
    cells = fdt_getprop(blob, node, "interrupt-parent", &len);
    g_assert_cmpint(fdt_node_offset_by_phandle(blob, fdt32_to_cpu(cells[0])), ==,
                    fdt_path_offset(blob, "/soc/plic@c000000"));
    g_assert_nonnull(fdt_getprop(blob, fdt_path_offset(blob, "/soc"), "ranges", &len));
    g_assert_cmpint(len, ==, 0);
    /* Nodes come in the order of their making. */
    g_assert_cmpint(fdt_path_offset(blob, "/soc/plic@c000000"), <, node);
    hw_fdt_free(fdt);
}

/* A controller that wants an interrupt's kind, too, and one for messages. */
static void test_interrupts(void)
{
    HwFdt *fdt = hw_fdt_new();
    uint32_t cells[HW_FDT_MAX_INTERRUPT];
    const uint32_t *found;
    size_t len;

    g_assert_cmpuint(hw_fdt_msi(fdt), ==, 0);
    hw_fdt_set_msi(fdt, "/imsic");
    g_assert_cmpuint(hw_fdt_msi(fdt), ==, hw_fdt_phandle(fdt, "/imsic"));
    hw_fdt_set_cell(fdt, "/aplic", "#interrupt-cells", 2);
    hw_fdt_set_intc(fdt, "/aplic");
    g_assert_cmpuint(hw_fdt_interrupt(fdt, 7, cells), ==, 2);
    hw_fdt_set_interrupt(fdt, "/serial", 7);
    found = hw_fdt_get(fdt, "/serial", "interrupts", &len);
    g_assert_cmpuint(len, ==, 8);
    g_assert_cmpuint(GUINT32_FROM_BE(found[0]), ==, 7);
    g_assert_cmpuint(GUINT32_FROM_BE(found[1]), ==, 4);
    hw_fdt_set_cell(fdt, "/plic", "#interrupt-cells", 1);
    hw_fdt_set_intc(fdt, "/plic");
    g_assert_cmpuint(hw_fdt_interrupt(fdt, 7, cells), ==, 1);
    hw_fdt_free(fdt);
}

static void test_round_trip(void)
{
    HwFdt *fdt = make_tree(), *again;
    size_t size, size2;
    g_autofree uint8_t *blob = hw_fdt_pack(fdt, &size), *blob2 = NULL;

    again = hw_fdt_parse("x", blob, size, NULL);
    g_assert_nonnull(again);
    blob2 = hw_fdt_pack(again, &size2);
    g_assert_cmpmem(blob, size, blob2, size2);
    g_assert_cmpuint(hw_fdt_phandle(again, "/soc/plic@c000000"), ==,
                     hw_fdt_phandle(fdt, "/soc/plic@c000000"));
    g_assert_cmpuint(hw_fdt_phandle(again, "/soc/new"), >,
                     hw_fdt_phandle(fdt, "/soc/plic@c000000"));
    hw_fdt_free(fdt);
    hw_fdt_free(again);
}

static void test_large(void)
{
    HwFdt *fdt = hw_fdt_new();
    g_autofree char *text = g_strnfill(200000, 'x');
    g_autofree uint8_t *blob = NULL;
    size_t size;

    hw_fdt_set_string(fdt, "/chosen", "bootargs", text);
    blob = hw_fdt_pack(fdt, &size);
    g_assert_cmpuint(size, >, 200000);
    hw_fdt_free(fdt);
}

static void refuse(const void *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    HwFdt *fdt = hw_fdt_parse("file.dtb", data, size, &error);

    if (!fdt) {
        g_assert_true(g_str_has_prefix(error->message, "file.dtb: "));
    }
    hw_fdt_free(fdt);
}

/* Garbage, truncation and seeded mutation: refused or understood, nothing else. */
static void test_hostile(void)
{
    HwFdt *fdt = make_tree(), *deep = hw_fdt_new();
    g_autoptr(GString) path = g_string_new(NULL);
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    size_t size, deep_size;
    g_autofree uint8_t *blob = hw_fdt_pack(fdt, &size), *deep_blob = NULL;
    g_autoptr(GError) error = NULL;

    refuse("", 0);
    refuse("\xd0\x0d\xfe\xed", 4);
    for (size_t n = 0; n < size; n++) {
        g_autofree uint8_t *cut = g_memdup2(blob, n);

        refuse(cut, n);
    }
    for (unsigned i = 0; i < 20000; i++) {
        g_autofree uint8_t *bad = g_memdup2(blob, size);

        for (int k = g_rand_int_range(rand, 1, 6); k; k--) {
            bad[g_rand_int_range(rand, 0, (int)size)] = (uint8_t)g_rand_int(rand);
        }
        refuse(bad, size);
    }
    for (unsigned i = 0; i < 5000; i++) {
        g_string_append(path, "/n");
    }
    hw_fdt_add_node(deep, path->str);
    deep_blob = hw_fdt_pack(deep, &deep_size);
    g_assert_null(hw_fdt_parse("deep", deep_blob, deep_size, &error));
    g_assert_nonnull(error);
    hw_fdt_free(fdt);
    hw_fdt_free(deep);
}

static void test_missing_file(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(hw_fdt_load("/nowhere/x.dtb", &error));
    g_assert_nonnull(strstr(error->message, "/nowhere/x.dtb"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/fdt/write", test_write);
    g_test_add_func("/fdt/round-trip", test_round_trip);
    g_test_add_func("/fdt/interrupts", test_interrupts);
    g_test_add_func("/fdt/large", test_large);
    g_test_add_func("/fdt/hostile", test_hostile);
    g_test_add_func("/fdt/missing-file", test_missing_file);
    return g_test_run();
}
