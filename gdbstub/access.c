/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets on registers (g G p P), memory (m M X) and breakpoints (Z z). Every length and number of
 * a packet is checked against what it must be before anything is changed.
 */
#include "gdbstub/gdbstub-priv.h"

#include <errno.h>
#include <string.h>
#include "softmmu/memory.h"

enum { MAX_REG_BYTES = 512, MAX_READ = GDB_PACKET_MAX / 2 - 16, MAX_WATCH = 1 << 20 };

/* ---- Registers ---- */

static unsigned read_register(Cpu *cpu, unsigned reg, uint8_t *buf)
{
    unsigned n = cpu->ops->gdb_read(cpu, reg, buf);

    g_assert(n <= MAX_REG_BYTES);
    return n;
}

void gdb_read_registers(GdbStub *stub, const char *args, size_t len)
{
    Cpu *cpu = gdb_cpu(stub->g_cpu);
    uint8_t buf[MAX_REG_BYTES];

    for (unsigned i = 0; i < cpu->ops->gdb_core_regs; i++) {
        gdb_hex_append(stub->reply, buf, read_register(cpu, i, buf));
    }
}

void gdb_write_registers(GdbStub *stub, const char *args, size_t len)
{
    Cpu *cpu = gdb_cpu(stub->g_cpu);
    g_autofree uint8_t *data = g_malloc(len / 2 + 1);
    uint8_t old[MAX_REG_BYTES];
    size_t at = 0, total = 0;

    for (unsigned i = 0; i < cpu->ops->gdb_core_regs; i++) {
        total += read_register(cpu, i, old);
    }
    if (!gdb_unhex(args, len, data) || len / 2 != total) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    for (unsigned i = 0; i < cpu->ops->gdb_core_regs; i++) {
        size_t n = read_register(cpu, i, old);

        cpu->ops->gdb_write(cpu, i, data + at);
        at += n;
    }
    gdb_reply_ok(stub);
}

void gdb_read_register(GdbStub *stub, const char *args, size_t len)
{
    uint8_t buf[MAX_REG_BYTES];
    uint64_t reg;
    unsigned n = 0;

    if (gdb_number(&args, &reg) && !*args && reg <= G_MAXUINT32) {
        n = read_register(gdb_cpu(stub->g_cpu), reg, buf);
    }
    if (n) {
        gdb_hex_append(stub->reply, buf, n);
    } else {
        gdb_reply_error(stub, EINVAL);
    }
}

void gdb_write_register(GdbStub *stub, const char *args, size_t len)
{
    const char *p = args, *end = args + len;
    Cpu *cpu = gdb_cpu(stub->g_cpu);
    uint8_t buf[MAX_REG_BYTES];
    uint64_t reg;
    unsigned n = 0;

    if (gdb_number(&p, &reg) && *p++ == '=' && reg <= G_MAXUINT32) {
        n = read_register(cpu, reg, buf);
    }
    if (n == 0 || (size_t)(end - p) != 2 * n || !gdb_unhex(p, 2 * n, buf) ||
        cpu->ops->gdb_write(cpu, reg, buf) == 0) {
        gdb_reply_error(stub, EINVAL);
    } else {
        gdb_reply_ok(stub);
    }
}

/* ---- Memory ---- */

/* "addr,length" and then @stop (NUL: the end). */
static bool parse_range(const char **p, uint64_t *addr, uint64_t *len, char stop)
{
    if (!gdb_number(p, addr) || *(*p)++ != ',' || !gdb_number(p, len) || **p != stop) {
        return false;
    }
    *p += stop != '\0';
    return true;
}

static bool read_memory(GdbStub *stub, uint64_t addr, void *buf, size_t len)
{
    return stub->physical ? memory_read(addr, buf, len) == MEM_OK
                          : cpu_debug_read(gdb_cpu(stub->g_cpu), addr, buf, len);
}

static bool write_memory(GdbStub *stub, uint64_t addr, const void *buf, size_t len)
{
    return stub->physical ? memory_write(addr, buf, len) == MEM_OK
                          : cpu_debug_write(gdb_cpu(stub->g_cpu), addr, buf, len);
}

void gdb_read_memory(GdbStub *stub, const char *args, size_t len)
{
    uint64_t addr, n;
    uint8_t buf[MAX_READ];

    if (!parse_range(&args, &addr, &n, '\0')) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    n = MIN(n, MAX_READ); /* gdb asks again for the rest */
    if (read_memory(stub, addr, buf, n)) {
        gdb_hex_append(stub->reply, buf, n);
    } else {
        gdb_reply_error(stub, EFAULT);
    }
}

static void finish_write(GdbStub *stub, uint64_t addr, const uint8_t *data, size_t len)
{
    if (len == 0 || write_memory(stub, addr, data, len)) {
        gdb_reply_ok(stub);
    } else {
        gdb_reply_error(stub, EFAULT);
    }
}

void gdb_write_memory(GdbStub *stub, const char *args, size_t len)
{
    const char *p = args, *end = args + len;
    g_autofree uint8_t *data = g_malloc(len / 2 + 1);
    uint64_t addr, n;

    if (!parse_range(&p, &addr, &n, ':') || n > len || (size_t)(end - p) != 2 * n ||
        !gdb_unhex(p, 2 * n, data)) {
        gdb_reply_error(stub, EINVAL);
    } else {
        finish_write(stub, addr, data, n);
    }
}

void gdb_write_memory_binary(GdbStub *stub, const char *args, size_t len)
{
    const char *p = args, *end = args + len;
    uint64_t addr, n;

    if (!parse_range(&p, &addr, &n, ':') || (size_t)(end - p) != n) {
        gdb_reply_error(stub, EINVAL);
    } else {
        finish_write(stub, addr, (const uint8_t *)p, n);
    }
}

/* ---- Breakpoints ---- */

/* What Z2, Z3 and Z4 watch; 0: the type is a breakpoint's. */
static const MemAccess watch_access[] = { 0, 0, MEM_STORE, MEM_LOAD, MEM_LOAD | MEM_STORE };

static bool parse_point(const char *args, unsigned *type, uint64_t *va, uint64_t *kind)
{
    *type = *args - '0';
    if (*type >= G_N_ELEMENTS(watch_access) || args[1] != ',') {
        return false;
    }
    args += 2;
    return gdb_number(&args, va) && *args++ == ',' && gdb_number(&args, kind) &&
           (!*args || *args == ';');
}

/* Index of the watchpoint, or -1. */
static int find_watch(GdbStub *stub, const GdbWatch *w)
{
    for (unsigned i = 0; i < stub->watchpoints->len; i++) {
        const GdbWatch *o = &g_array_index(stub->watchpoints, GdbWatch, i);

        if (o->access == w->access && o->va == w->va && o->len == w->len) {
            return i;
        }
    }
    return -1;
}

/* gdb may send the same insertion twice (after a lost reply): it counts once. */
void gdb_insert_breakpoint(GdbStub *stub, const char *args, size_t len)
{
    unsigned type;
    GdbWatch w;

    if (!parse_point(args, &type, &w.va, &w.len)) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    w.access = watch_access[type];
    if (w.access && (w.len == 0 || w.len > MAX_WATCH)) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    if (w.access && find_watch(stub, &w) < 0) {
        g_array_append_val(stub->watchpoints, w);
        cpu_watchpoint_insert(w.va, w.len, w.access);
    } else if (!w.access && g_hash_table_add(stub->breakpoints, g_memdup2(&w.va, sizeof(w.va)))) {
        cpu_breakpoint_insert(w.va);
    }
    gdb_reply_ok(stub);
}

void gdb_remove_breakpoint(GdbStub *stub, const char *args, size_t len)
{
    unsigned type;
    GdbWatch w;

    if (!parse_point(args, &type, &w.va, &w.len)) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    w.access = watch_access[type];
    if (w.access && find_watch(stub, &w) >= 0) {
        g_array_remove_index_fast(stub->watchpoints, find_watch(stub, &w));
        cpu_watchpoint_remove(w.va, w.len, w.access);
    } else if (!w.access && g_hash_table_remove(stub->breakpoints, &w.va)) {
        cpu_breakpoint_remove(w.va);
    }
    gdb_reply_ok(stub);
}

void gdb_clear_breakpoints(GdbStub *stub)
{
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, stub->breakpoints);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        cpu_breakpoint_remove(*(uint64_t *)key);
    }
    g_hash_table_remove_all(stub->breakpoints);
    for (unsigned i = 0; i < stub->watchpoints->len; i++) {
        const GdbWatch *w = &g_array_index(stub->watchpoints, GdbWatch, i);

        cpu_watchpoint_remove(w->va, w->len, w->access);
    }
    g_array_set_size(stub->watchpoints, 0);
}
