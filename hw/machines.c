/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The list of machines. A new machine is one line here; the first one that runs a target is that
 * target's default. */
#include "hw/core/machine.h"
#include <string.h>
#include "hw/riscv/spike.h"
#include "hw/riscv/virt.h"
#include "util/suggest.h"

const GType *hw_machine_types(unsigned *n)
{
    static GType types[2];

    types[0] = hw_rv_virt_get_type();
    types[1] = hw_rv_spike_get_type();
    *n = G_N_ELEMENTS(types);
    return types;
}

/* The class of machine @i if it runs @target. */
static HwMachineClass *class_for(const TargetOps *target, GType type)
{
    HwMachineClass *mc = g_type_class_ref(type); /* kept: static types */

    return g_strv_contains(mc->targets, target->name) ? mc : NULL;
}

HwMachineClass *hw_machine_find(const TargetOps *target, const char *name, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;
    unsigned n;
    const GType *types = hw_machine_types(&n);

    for (unsigned i = 0; i < n; i++) {
        HwMachineClass *mc = class_for(target, types[i]);

        if (mc && (!name || !strcmp(mc->name, name))) {
            return mc;
        }
        if (mc) {
            g_ptr_array_add(names, (void *)mc->name);
        }
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(name ? name : "", (const char *const *)names->pdata);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "-M %s: unknown machine%s",
                name ? name : "", hint);
    return NULL;
}

void hw_machine_list(const TargetOps *target, GString *out)
{
    bool first = true;
    unsigned n;
    const GType *types = hw_machine_types(&n);

    g_string_append(out, "Supported machines are:\n");
    for (unsigned i = 0; i < n; i++) {
        const HwMachineClass *mc = class_for(target, types[i]);

        if (mc) {
            g_string_append_printf(out, "%-20s %s%s\n", mc->name, mc->desc,
                                   first ? " (default)" : "");
            first = false;
        }
    }
}
