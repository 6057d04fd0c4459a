/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets on threads, execution and the stub itself: H T ? c s vCont D k and the queries. Threads
 * are the vCPUs, numbered from 1; a thread id of 0 means any, -1 all.
 */
#include "gdbstub/gdbstub-priv.h"

#include <errno.h>
#include <string.h>
#include "softmmu/runstate.h"

/* ---- Threads ---- */

typedef enum ThreadKind { THREAD_BAD, THREAD_ALL, THREAD_ANY, THREAD_ONE } ThreadKind;

static ThreadKind parse_thread(const char **p, unsigned *index)
{
    uint64_t id;

    if (g_str_has_prefix(*p, "-1")) {
        *p += 2;
        return THREAD_ALL;
    }
    if (!gdb_number(p, &id) || id > cpus->len) {
        return THREAD_BAD;
    }
    *index = id - 1;
    return id ? THREAD_ONE : THREAD_ANY;
}

void gdb_set_thread(GdbStub *stub, const char *args, size_t len)
{
    char what = *args;
    unsigned index = stub->c_cpu;
    const char *p = args + (what != '\0');
    ThreadKind kind = parse_thread(&p, &index);

    if (kind == THREAD_BAD || *p || (what != 'c' && what != 'g')) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    if (kind != THREAD_ONE) {
        index = stub->c_cpu;
    }
    if (what == 'g') {
        stub->g_cpu = index;
    } else {
        stub->c_cpu = index;
    }
    gdb_reply_ok(stub);
}

void gdb_thread_alive(GdbStub *stub, const char *args, size_t len)
{
    unsigned index;

    if (parse_thread(&args, &index) == THREAD_ONE && !*args) {
        gdb_reply_ok(stub);
    } else {
        gdb_reply_error(stub, EINVAL);
    }
}

/* ---- Stopping ---- */

void gdb_append_stop_reply(GdbStub *stub, GString *out)
{
    MemAccess access;
    uint64_t va;

    g_string_append_printf(out, "T%02xthread:%x;", stub->stop_signal, stub->stop_cpu + 1);
    if (stub->stop_signal == GDB_SIGTRAP &&
        cpu_watchpoint_hit(gdb_cpu(stub->stop_cpu), &va, &access)) {
        const char *kind = access == MEM_STORE ? "watch" : access == MEM_LOAD ? "rwatch" : "awatch";

        g_string_append_printf(out, "%s:%" G_GINT64_MODIFIER "x;", kind, va);
    }
}

void gdb_stop_reason(GdbStub *stub, const char *args, size_t len)
{
    gdb_append_stop_reply(stub, stub->reply);
}

void gdb_clear_steps(void)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        cpu_single_step(gdb_cpu(i), false);
    }
}

/* ---- Going on ---- */

static void resume(GdbStub *stub)
{
    stub->awaited = true;
    stub->no_reply = true;
    vm_start();
}

/* "c [addr]" and "s [addr]". */
static void resume_at(GdbStub *stub, const char *args, bool step)
{
    Cpu *cpu = gdb_cpu(stub->c_cpu);
    uint64_t pc;

    if (*args) {
        if (!gdb_number(&args, &pc) || *args) {
            gdb_reply_error(stub, EINVAL);
            return;
        }
        cpu->pc = pc;
    }
    if (step) {
        cpu_single_step(cpu, true);
    }
    resume(stub);
}

void gdb_continue(GdbStub *stub, const char *args, size_t len)
{
    resume_at(stub, args, false);
}

void gdb_step(GdbStub *stub, const char *args, size_t len)
{
    resume_at(stub, args, true);
}

/* Reads one action "c", "s", "C sig", "S sig" with ":thread" behind it. */
static bool parse_action(const char **p, bool *step, ThreadKind *kind, unsigned *index)
{
    uint64_t sig;
    char c = *(*p)++;

    if (!c || !strchr("csCS", c)) {
        return false;
    }
    if ((c == 'C' || c == 'S') && !gdb_number(p, &sig)) {
        return false;
    }
    *step = c == 's' || c == 'S';
    *kind = THREAD_ALL;
    if (**p == ':') {
        ++*p;
        *kind = parse_thread(p, index);
    }
    return *kind != THREAD_BAD && (**p == ';' || **p == '\0');
}

/* "vCont;s:1;c": for each thread the leftmost action that names it counts. A thread that none names
 * goes on as well: the core cannot hold single CPUs. */
void gdb_vcont(GdbStub *stub, const char *args, size_t len)
{
    g_autofree uint8_t *decided = g_malloc0(cpus->len);
    g_autofree uint8_t *steps = g_malloc0(cpus->len);
    const char *p = args;

    if (*p != ';') {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    while (*p == ';') {
        unsigned index = stub->c_cpu;
        ThreadKind kind;
        bool step;

        p++;
        if (!parse_action(&p, &step, &kind, &index)) {
            gdb_reply_error(stub, EINVAL);
            return;
        }
        for (unsigned i = 0; i < cpus->len; i++) {
            if (!decided[i] && (kind == THREAD_ALL || i == index)) {
                decided[i] = true;
                steps[i] = step;
            }
        }
    }
    for (unsigned i = 0; i < cpus->len; i++) {
        if (steps[i]) {
            cpu_single_step(gdb_cpu(i), true);
        }
    }
    resume(stub);
}

void gdb_detach(GdbStub *stub, const char *args, size_t len)
{
    gdb_clear_breakpoints(stub);
    gdb_clear_steps();
    gdb_reply_ok(stub);
    vm_start();
}

void gdb_kill(GdbStub *stub, const char *args, size_t len)
{
    gdb_reply_ok(stub);
    vm_request_shutdown(0);
}

/* ---- Queries ---- */

static void query_supported(GdbStub *stub, const char *args, size_t len)
{
    g_string_append_printf(stub->reply,
                           "PacketSize=%x;qXfer:features:read+;QStartNoAckMode+;vContSupported+",
                           GDB_PACKET_MAX);
}

static void query_attached(GdbStub *stub, const char *args, size_t len)
{
    g_string_append_c(stub->reply, '1');
}

static void query_current(GdbStub *stub, const char *args, size_t len)
{
    g_string_append_printf(stub->reply, "QC%x", stub->c_cpu + 1);
}

static void query_first_threads(GdbStub *stub, const char *args, size_t len)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        g_string_append_printf(stub->reply, "%c%x", i ? ',' : 'm', i + 1);
    }
}

static void query_more_threads(GdbStub *stub, const char *args, size_t len)
{
    g_string_append_c(stub->reply, 'l');
}

static void query_thread_info(GdbStub *stub, const char *args, size_t len)
{
    g_autofree char *text = NULL;
    unsigned index;
    Cpu *cpu;

    if (*args != ',' || (args++, parse_thread(&args, &index)) != THREAD_ONE || *args) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    cpu = gdb_cpu(index);
    text = g_strdup_printf("CPU#%u [%s]", index, cpu->halted ? "halted" : "running");
    gdb_hex_append(stub->reply, text, strlen(text));
}

/* "qXfer:features:read:ANNEX:OFFSET,LENGTH". */
static void query_features(GdbStub *stub, const char *args, size_t len)
{
    const char *colon = *args == ':' ? strchr(args + 1, ':') : NULL;
    Cpu *cpu = gdb_cpu(stub->g_cpu);
    uint64_t offset, n;
    size_t size;

    if (colon) {
        g_autofree char *annex = g_strndup(args + 1, colon - args - 1);
        const char *xml = cpu->ops->gdb_xml ? cpu->ops->gdb_xml(cpu, annex) : NULL;
        const char *p = colon + 1;

        if (!xml) {
            g_string_append(stub->reply, "E00");
            return;
        }
        size = strlen(xml);
        if (gdb_number(&p, &offset) && *p++ == ',' && gdb_number(&p, &n) && !*p && offset <= size) {
            n = MIN(n, MIN(size - offset, GDB_PACKET_MAX / 2));
            g_string_append_c(stub->reply, offset + n < size ? 'm' : 'l');
            g_string_append_len(stub->reply, xml + offset, n);
            return;
        }
    }
    gdb_reply_error(stub, EINVAL);
}

/* "qRcmd,HEX": the output goes out in console packets first. */
static void query_command(GdbStub *stub, const char *args, size_t len)
{
    g_autofree char *command = g_malloc0(len / 2 + 1);
    g_autoptr(GString) out = g_string_new(NULL);

    if (!stub->command || *args != ',' || !gdb_unhex(args + 1, len - 1, (uint8_t *)command)) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    stub->command(command, out);
    for (size_t at = 0; at < out->len; at += GDB_PACKET_MAX / 4) {
        g_autoptr(GString) packet = g_string_new("O");

        gdb_hex_append(packet, out->str + at, MIN(out->len - at, GDB_PACKET_MAX / 4));
        gdb_send(stub, packet->str, packet->len);
    }
    gdb_reply_ok(stub);
}

static void query_physical(GdbStub *stub, const char *args, size_t len)
{
    g_string_append_c(stub->reply, stub->physical ? '1' : '0');
}

static void set_physical(GdbStub *stub, const char *args, size_t len)
{
    if (strcmp(args, ":0") != 0 && strcmp(args, ":1") != 0) {
        gdb_reply_error(stub, EINVAL);
        return;
    }
    stub->physical = args[1] == '1';
    gdb_reply_ok(stub);
}

static void set_no_ack(GdbStub *stub, const char *args, size_t len)
{
    gdb_reply_ok(stub);
    stub->no_ack = true;
}

void gdb_query(GdbStub *stub, const char *args, size_t len)
{
    static const struct {
        const char *name;
        GdbHandler *run;
    } queries[] = {
        { "qSupported", query_supported },
        { "qAttached", query_attached },
        { "qC", query_current },
        { "qfThreadInfo", query_first_threads },
        { "qsThreadInfo", query_more_threads },
        { "qThreadExtraInfo", query_thread_info },
        { "qXfer:features:read", query_features },
        { "qRcmd", query_command },
        { "qqemu.PhyMemMode", query_physical },
        { "Qqemu.PhyMemMode", set_physical },
        { "QStartNoAckMode", set_no_ack },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(queries); i++) {
        size_t n = strlen(queries[i].name);

        if (len >= n && !memcmp(args, queries[i].name, n) && !g_ascii_isalnum(args[n])) {
            queries[i].run(stub, args + n, len - n);
            return;
        }
    }
}
