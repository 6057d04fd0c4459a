/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Building a device tree: a thin, growing wrapper over libfdt that devices write their nodes with.
 * Values are big-endian cells as the Devicetree Specification has them. A node is named by its
 * path.
 */
#ifndef HW_CORE_FDT_H
#define HW_CORE_FDT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HwFdt HwFdt;

/* An empty tree with a root node, #address-cells = #size-cells = 2. */
HwFdt *hw_fdt_new(void);
/* Takes over a blob given with -dtb; NULL with an error naming @file if it is no device tree. */
HwFdt *hw_fdt_load(const char *file, GError **error);
/* The same of a blob in memory; @what begins the error. */
HwFdt *hw_fdt_parse(const char *what, const void *blob, size_t size, GError **error);
void hw_fdt_free(HwFdt *fdt);
/* Makes the node (and the missing ones above it). */
void hw_fdt_add_node(HwFdt *fdt, const char *path);
void hw_fdt_set_cells(HwFdt *fdt, const char *path, const char *prop, unsigned n,
                      const uint32_t *cells);
void hw_fdt_set_cell(HwFdt *fdt, const char *path, const char *prop, uint32_t cell);
void hw_fdt_set_u64(HwFdt *fdt, const char *path, const char *prop, uint64_t value);
/* reg = <addr-hi addr-lo size-hi size-lo>. */
void hw_fdt_set_reg(HwFdt *fdt, const char *path, uint64_t addr, uint64_t size);
void hw_fdt_set_string(HwFdt *fdt, const char *path, const char *prop, const char *value);
/* A list of strings, NULL-terminated. */
void hw_fdt_set_strings(HwFdt *fdt, const char *path, const char *prop, const char *const *values);
void hw_fdt_set_bytes(HwFdt *fdt, const char *path, const char *prop, const void *data, size_t len);
void hw_fdt_set_empty(HwFdt *fdt, const char *path, const char *prop);
/* The phandle of a node, given on first use. */
uint32_t hw_fdt_phandle(HwFdt *fdt, const char *path);
/* interrupt-parent and interrupts of a device on the machine's platform interrupt controller
 * (hw_fdt_set_intc names it, whose node has its #interrupt-cells, 1 or 2). */
void hw_fdt_set_intc(HwFdt *fdt, const char *path);
/* Its phandle. */
uint32_t hw_fdt_intc(const HwFdt *fdt);
enum { HW_FDT_MAX_INTERRUPT = 2 };
/* What names its input @irq: so many cells (with two the second says: level, active high). */
unsigned hw_fdt_interrupt(const HwFdt *fdt, uint32_t irq, uint32_t cells[HW_FDT_MAX_INTERRUPT]);
/* What takes interrupt messages of devices: names it, and its phandle (0: there is none). */
void hw_fdt_set_msi(HwFdt *fdt, const char *path);
uint32_t hw_fdt_msi(const HwFdt *fdt);
void hw_fdt_set_interrupt(HwFdt *fdt, const char *path, uint32_t irq);
/* The bytes of a property, or NULL: node or property is not there. Valid until it is set again. */
const void *hw_fdt_get(HwFdt *fdt, const char *path, const char *prop, size_t *len);
/* The packed blob, owned by the caller (g_free). Nodes are in the order of their making. */
uint8_t *hw_fdt_pack(HwFdt *fdt, size_t *size);

#endif
