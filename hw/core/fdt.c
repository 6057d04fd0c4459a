/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device trees as a tree in memory that libfdt's sequential writer packs. Nodes keep the order in
 * which they were made (guests probe in that order), which libfdt's own editing does not. Setting a
 * property again replaces it.
 */
#include "hw/core/fdt.h"
#include <libfdt.h>
#include <string.h>

enum { MAX_BLOB = 4 << 20, MAX_DEPTH = 64, FIRST_PACK_SIZE = 64 << 10 };

typedef struct FdtProp {
    char *name;
    GBytes *value;
} FdtProp;

typedef struct FdtNode {
    char *name;          /* "serial@10000000"; the root's is "" */
    GPtrArray *props;    /* of FdtProp * */
    GPtrArray *children; /* of FdtNode * */
} FdtNode;

typedef struct FdtReservation {
    uint64_t addr, size;
} FdtReservation;

struct HwFdt {
    FdtNode *root;
    uint32_t last_phandle;
    uint32_t intc;        /* phandle of the platform interrupt controller, 0: not named yet */
    uint32_t intc_cells;  /* of one of its interrupts */
    uint32_t msi;         /* phandle of what takes interrupt messages, 0: none */
    GArray *reservations; /* of FdtReservation */
};

/* ---- The tree ---- */

static void prop_free(void *data)
{
    FdtProp *prop = data;

    g_free(prop->name);
    g_bytes_unref(prop->value);
    g_free(prop);
}

static void node_free(void *data)
{
    FdtNode *node = data;

    g_free(node->name);
    g_ptr_array_unref(node->props);
    g_ptr_array_unref(node->children);
    g_free(node);
}

static FdtNode *node_new(const char *name, size_t len)
{
    FdtNode *node = g_new0(FdtNode, 1);

    node->name = g_strndup(name, len);
    node->props = g_ptr_array_new_with_free_func(prop_free);
    node->children = g_ptr_array_new_with_free_func(node_free);
    return node;
}

static FdtNode *node_child(const FdtNode *node, const char *name, size_t len)
{
    for (unsigned i = 0; i < node->children->len; i++) {
        FdtNode *child = g_ptr_array_index(node->children, i);

        if (strlen(child->name) == len && !memcmp(child->name, name, len)) {
            return child;
        }
    }
    return NULL;
}

/* The node of @path; @make: with what is missing on the way. NULL: not there. */
static FdtNode *find_node(HwFdt *fdt, const char *path, bool make)
{
    FdtNode *node = fdt->root;

    while (node && *path) {
        size_t len = strcspn(path, "/");

        if (len) {
            FdtNode *child = node_child(node, path, len);

            if (!child && make) {
                child = node_new(path, len);
                g_ptr_array_add(node->children, child);
            }
            node = child;
        }
        path += len + (path[len] == '/');
    }
    return node;
}

static FdtProp *node_prop(const FdtNode *node, const char *name)
{
    for (unsigned i = 0; i < node->props->len; i++) {
        FdtProp *prop = g_ptr_array_index(node->props, i);

        if (!strcmp(prop->name, name)) {
            return prop;
        }
    }
    return NULL;
}

static void node_set(FdtNode *node, const char *name, const void *data, size_t len)
{
    FdtProp *prop = node_prop(node, name);

    if (!prop) {
        prop = g_new0(FdtProp, 1);
        prop->name = g_strdup(name);
        g_ptr_array_add(node->props, prop);
    } else {
        g_bytes_unref(prop->value);
    }
    prop->value = g_bytes_new(data, len);
}

static HwFdt *fdt_empty(void)
{
    HwFdt *fdt = g_new0(HwFdt, 1);

    fdt->root = node_new("", 0);
    fdt->reservations = g_array_new(FALSE, FALSE, sizeof(FdtReservation));
    return fdt;
}

HwFdt *hw_fdt_new(void)
{
    HwFdt *fdt = fdt_empty();

    hw_fdt_set_cell(fdt, "/", "#address-cells", 2);
    hw_fdt_set_cell(fdt, "/", "#size-cells", 2);
    return fdt;
}

void hw_fdt_free(HwFdt *fdt)
{
    if (fdt) {
        node_free(fdt->root);
        g_array_unref(fdt->reservations);
        g_free(fdt);
    }
}

/* ---- Properties ---- */

void hw_fdt_add_node(HwFdt *fdt, const char *path)
{
    find_node(fdt, path, true);
}

void hw_fdt_set_bytes(HwFdt *fdt, const char *path, const char *prop, const void *data, size_t len)
{
    node_set(find_node(fdt, path, true), prop, data, len);
}

void hw_fdt_set_cells(HwFdt *fdt, const char *path, const char *prop, unsigned n,
                      const uint32_t *cells)
{
    g_autofree uint32_t *be = g_new(uint32_t, n);

    for (unsigned i = 0; i < n; i++) {
        be[i] = GUINT32_TO_BE(cells[i]);
    }
    hw_fdt_set_bytes(fdt, path, prop, be, n * sizeof(*be));
}

void hw_fdt_set_cell(HwFdt *fdt, const char *path, const char *prop, uint32_t cell)
{
    hw_fdt_set_cells(fdt, path, prop, 1, &cell);
}

void hw_fdt_set_u64(HwFdt *fdt, const char *path, const char *prop, uint64_t value)
{
    uint32_t cells[2] = { (uint32_t)(value >> 32), (uint32_t)value };

    hw_fdt_set_cells(fdt, path, prop, 2, cells);
}

void hw_fdt_set_reg(HwFdt *fdt, const char *path, uint64_t addr, uint64_t size)
{
    uint32_t cells[4] = { (uint32_t)(addr >> 32), (uint32_t)addr, (uint32_t)(size >> 32),
                          (uint32_t)size };

    hw_fdt_set_cells(fdt, path, "reg", 4, cells);
}

void hw_fdt_set_string(HwFdt *fdt, const char *path, const char *prop, const char *value)
{
    hw_fdt_set_bytes(fdt, path, prop, value, strlen(value) + 1);
}

void hw_fdt_set_strings(HwFdt *fdt, const char *path, const char *prop, const char *const *values)
{
    g_autoptr(GByteArray) list = g_byte_array_new();

    for (; *values; values++) {
        g_byte_array_append(list, (const uint8_t *)*values, (unsigned)strlen(*values) + 1);
    }
    hw_fdt_set_bytes(fdt, path, prop, list->data, list->len);
}

void hw_fdt_set_empty(HwFdt *fdt, const char *path, const char *prop)
{
    hw_fdt_set_bytes(fdt, path, prop, NULL, 0);
}

const void *hw_fdt_get(HwFdt *fdt, const char *path, const char *prop, size_t *len)
{
    FdtNode *node = find_node(fdt, path, false);
    FdtProp *p = node ? node_prop(node, prop) : NULL;

    if (!p) {
        return NULL;
    }
    *len = g_bytes_get_size(p->value);
    return *len ? g_bytes_get_data(p->value, NULL) : "";
}

/* A property of one cell; 0: it is none, or not there. */
static uint32_t get_cell(HwFdt *fdt, const char *path, const char *prop)
{
    size_t len;
    const void *cell = hw_fdt_get(fdt, path, prop, &len);
    uint32_t be = 0;

    if (cell && len == 4) {
        memcpy(&be, cell, 4);
    }
    return GUINT32_FROM_BE(be);
}

uint32_t hw_fdt_phandle(HwFdt *fdt, const char *path)
{
    uint32_t phandle = get_cell(fdt, path, "phandle");

    if (phandle) {
        return phandle;
    }
    hw_fdt_set_cell(fdt, path, "phandle", ++fdt->last_phandle);
    return fdt->last_phandle;
}

void hw_fdt_set_intc(HwFdt *fdt, const char *path)
{
    fdt->intc = hw_fdt_phandle(fdt, path);
    fdt->intc_cells = get_cell(fdt, path, "#interrupt-cells");
}

uint32_t hw_fdt_intc(const HwFdt *fdt)
{
    g_assert(fdt->intc);
    return fdt->intc;
}

void hw_fdt_set_interrupt(HwFdt *fdt, const char *path, uint32_t irq)
{
    uint32_t cells[HW_FDT_MAX_INTERRUPT];
    unsigned n = hw_fdt_interrupt(fdt, irq, cells);

    hw_fdt_set_cell(fdt, path, "interrupt-parent", hw_fdt_intc(fdt));
    hw_fdt_set_cells(fdt, path, "interrupts", n, cells);
}

unsigned hw_fdt_interrupt(const HwFdt *fdt, uint32_t irq, uint32_t cells[HW_FDT_MAX_INTERRUPT])
{
    enum { LEVEL_HIGH = 4 };

    cells[0] = irq;
    cells[1] = LEVEL_HIGH;
    return fdt->intc_cells == 2 ? 2 : 1;
}

void hw_fdt_set_msi(HwFdt *fdt, const char *path)
{
    fdt->msi = hw_fdt_phandle(fdt, path);
}

uint32_t hw_fdt_msi(const HwFdt *fdt)
{
    return fdt->msi;
}

/* ---- Packing ---- */

static int pack_node(void *blob, const FdtNode *node)
{
    int err = fdt_begin_node(blob, node->name);

    for (unsigned i = 0; !err && i < node->props->len; i++) {
        FdtProp *prop = g_ptr_array_index(node->props, i);

        err = fdt_property(blob, prop->name, g_bytes_get_data(prop->value, NULL),
                           (int)g_bytes_get_size(prop->value));
    }
    for (unsigned i = 0; !err && i < node->children->len; i++) {
        err = pack_node(blob, g_ptr_array_index(node->children, i));
    }
    return err ? err : fdt_end_node(blob);
}

static int pack_into(HwFdt *fdt, void *blob, size_t size)
{
    int err = fdt_create(blob, (int)size);

    for (unsigned i = 0; !err && i < fdt->reservations->len; i++) {
        const FdtReservation *r = &g_array_index(fdt->reservations, FdtReservation, i);

        err = fdt_add_reservemap_entry(blob, r->addr, r->size);
    }
    err = err ? err : fdt_finish_reservemap(blob);
    err = err ? err : pack_node(blob, fdt->root);
    return err ? err : fdt_finish(blob);
}

uint8_t *hw_fdt_pack(HwFdt *fdt, size_t *size)
{
    size_t room = FIRST_PACK_SIZE;
    uint8_t *blob = g_malloc(room);
    int err;

    while ((err = pack_into(fdt, blob, room)) == -FDT_ERR_NOSPACE) {
        room *= 2;
        blob = g_realloc(blob, room);
    }
    g_assert(!err);
    *size = fdt_totalsize(blob);
    return blob;
}

/* ---- Parsing ---- */

static void note_phandle(HwFdt *fdt, const char *name, const void *value, int len)
{
    if (len == 4 && (!strcmp(name, "phandle") || !strcmp(name, "linux,phandle"))) {
        uint32_t phandle = fdt32_ld(value);

        fdt->last_phandle =
            phandle < UINT32_MAX - 1 ? MAX(fdt->last_phandle, phandle) : fdt->last_phandle;
    }
}

static bool parse_props(HwFdt *fdt, FdtNode *node, const void *blob, int offset)
{
    int at;

    fdt_for_each_property_offset(at, blob, offset)
    {
        const char *name;
        int len;
        const void *value = fdt_getprop_by_offset(blob, at, &name, &len);

        if (!value || !name || !*name) {
            return false;
        }
        note_phandle(fdt, name, value, len);
        node_set(node, name, value, (size_t)len);
    }
    return at == -FDT_ERR_NOTFOUND;
}

static bool parse_node(HwFdt *fdt, FdtNode *node, const void *blob, int offset, unsigned depth)
{
    int child;

    if (depth > MAX_DEPTH || !parse_props(fdt, node, blob, offset)) {
        return false;
    }
    fdt_for_each_subnode(child, blob, offset)
    {
        int len;
        const char *name = fdt_get_name(blob, child, &len);
        FdtNode *made;

        if (!name || len <= 0) {
            return false;
        }
        made = node_new(name, (size_t)len);
        g_ptr_array_add(node->children, made);
        if (!parse_node(fdt, made, blob, child, depth + 1)) {
            return false;
        }
    }
    return child == -FDT_ERR_NOTFOUND;
}

HwFdt *hw_fdt_parse(const char *what, const void *blob, size_t size, GError **error)
{
    int err = size <= MAX_BLOB ? fdt_check_full(blob, size) : -FDT_ERR_NOSPACE;
    HwFdt *fdt;

    if (err) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: not a device tree blob: %s", what,
                    size > MAX_BLOB ? "it is larger than 4 MiB" : fdt_strerror(err));
        return NULL;
    }
    fdt = fdt_empty();
    for (int i = 0; i < fdt_num_mem_rsv(blob); i++) {
        FdtReservation r;

        if (!fdt_get_mem_rsv(blob, i, &r.addr, &r.size)) {
            g_array_append_val(fdt->reservations, r);
        }
    }
    if (!parse_node(fdt, fdt->root, blob, 0, 0)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s: not a device tree blob: malformed node", what);
        g_clear_pointer(&fdt, hw_fdt_free);
    }
    return fdt;
}

HwFdt *hw_fdt_load(const char *file, GError **error)
{
    g_autofree char *blob = NULL;
    gsize size;

    if (!g_file_get_contents(file, &blob, &size, error)) {
        return NULL;
    }
    return hw_fdt_parse(file, blob, size, error);
}
