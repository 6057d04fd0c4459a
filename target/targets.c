/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The list of guests. A new one is a line here.
 */
#include <string.h>
#include "softmmu/cpu.h"
#include "target/riscv/cpu.h"

static const TargetOps *const targets[] = { &rv64_target, &rv32_target, NULL };

const TargetOps *const *target_list(void)
{
    return targets;
}

const TargetOps *target_find(const char *name)
{
    for (unsigned i = 0; targets[i]; i++) {
        if (!strcmp(targets[i]->name, name)) {
            return targets[i];
        }
    }
    return NULL;
}
