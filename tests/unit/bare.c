/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See bare.h. */
#include "tests/unit/bare.h"
#include <glib.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "net/net.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"

bool bare_is_deterministic;

bool cpu_icount_enabled(void)
{
    return bare_is_deterministic;
}

void icount_timer_changed(void);

void icount_timer_changed(void)
{
}

void vm_request_shutdown(int status)
{
    (void)status;
}

void vm_request_reset(void)
{
}

bool vm_is_running(void)
{
    return true;
}

uint8_t *bare_init(uint64_t max, uint64_t base, uint64_t size)
{
    static MemoryRegion ram;
    g_autoptr(GError) error = NULL;

    clock_init();
    g_assert_true(memory_init(max, &error));
    g_assert_true(memory_region_init_ram(&ram, "ram", size, &error));
    memory_region_add(memory_system(), base, &ram, 0);
    memory_commit();
    block_set_lock(machine_lock, machine_unlock);
    chardev_set_lock(machine_lock, machine_unlock);
    net_set_lock(machine_lock, machine_unlock);
    clock_set_running(true);
    return memory_region_host(&ram);
}
