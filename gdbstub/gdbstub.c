/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The connection with gdb: packets in and out, the dispatch table, and the stop replies.
 *
 * A stop reply is sent from an idle source after the machine stopped: whoever stopped it (C-c, a
 * breakpoint, the monitor) has said why by then. gdb sends packets only while the machine is
 * stopped, but nothing relies on that: if it runs, the vCPUs are held while a packet is handled.
 */
#include "gdbstub/gdbstub.h"

#include <errno.h>
#include <string.h>
#include "gdbstub/gdbstub-priv.h"
#include "softmmu/runstate.h"

static GdbStub the_stub;

Cpu *gdb_cpu(unsigned index)
{
    return g_ptr_array_index(cpus, index);
}

void gdb_send(GdbStub *stub, const char *data, size_t len)
{
    g_string_truncate(stub->sent, 0);
    gdb_packet_append(stub->sent, data, len);
    chardev_write(stub->chr, stub->sent->str, stub->sent->len);
}

void gdb_reply_error(GdbStub *stub, int err)
{
    g_string_printf(stub->reply, "E%02x", err & 0xff);
}

void gdb_reply_ok(GdbStub *stub)
{
    g_string_assign(stub->reply, "OK");
}

/* ---- Packets ---- */

static void handle_v(GdbStub *stub, const char *args, size_t len)
{
    if (!strcmp(args, "Cont?")) {
        g_string_append(stub->reply, "vCont;c;C;s;S");
    } else if (g_str_has_prefix(args, "Cont")) {
        gdb_vcont(stub, args + 4, len - 4);
    } else if (g_str_has_prefix(args, "Kill;")) {
        gdb_kill(stub, args, len);
    }
}

static const struct {
    char letter;
    GdbHandler *run;
} handlers[] = {
    { '?', gdb_stop_reason },
    { 'D', gdb_detach },
    { 'G', gdb_write_registers },
    { 'H', gdb_set_thread },
    { 'M', gdb_write_memory },
    { 'P', gdb_write_register },
    { 'T', gdb_thread_alive },
    { 'X', gdb_write_memory_binary },
    { 'Z', gdb_insert_breakpoint },
    { 'c', gdb_continue },
    { 'g', gdb_read_registers },
    { 'k', gdb_kill },
    { 'm', gdb_read_memory },
    { 'p', gdb_read_register },
    { 's', gdb_step },
    { 'v', handle_v },
    { 'z', gdb_remove_breakpoint },
};

static void handle_packet(GdbStub *stub, const char *data, size_t len)
{
    bool hold = vm_is_running();

    g_string_truncate(stub->reply, 0);
    stub->no_reply = false;
    if (hold) {
        cpu_pause_all();
    }
    if (*data == 'q' || *data == 'Q') {
        gdb_query(stub, data, len);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(handlers) && len; i++) {
        if (handlers[i].letter == *data) {
            handlers[i].run(stub, data + 1, len - 1);
        }
    }
    if (hold) {
        cpu_resume_all();
    }
    if (!stub->no_reply) {
        gdb_send(stub, stub->reply->str, stub->reply->len);
    }
}

static void acknowledge(GdbStub *stub, char c)
{
    if (!stub->no_ack) {
        chardev_write(stub->chr, &c, 1);
    }
}

static void handle_input(GdbStub *stub, GdbInput input)
{
    switch (input) {
    case GDB_INPUT_MORE:
    case GDB_INPUT_ACK:
        break;
    case GDB_INPUT_PACKET:
        acknowledge(stub, '+');
        handle_packet(stub, stub->reader.data->str, stub->reader.data->len);
        break;
    case GDB_INPUT_TOO_LONG:
        acknowledge(stub, '+');
        gdb_reply_error(stub, E2BIG);
        gdb_send(stub, stub->reply->str, stub->reply->len);
        break;
    case GDB_INPUT_BAD:
        acknowledge(stub, '-');
        break;
    case GDB_INPUT_NAK:
        chardev_write(stub->chr, stub->sent->str, stub->sent->len);
        break;
    case GDB_INPUT_BREAK:
        vm_stop();
        break;
    }
}

static void gdb_read(void *opaque, const uint8_t *buf, size_t len)
{
    GdbStub *stub = opaque;

    for (size_t i = 0; i < len; i++) {
        handle_input(stub, gdb_reader_feed(&stub->reader, buf[i]));
    }
}

/* ---- Stops ---- */

static gboolean send_stop_reply(gpointer data)
{
    GdbStub *stub = data;

    stub->stop_source = 0;
    if (stub->awaited && stub->connected && !vm_is_running()) {
        g_autoptr(GString) text = g_string_new(NULL);

        stub->awaited = false;
        stub->g_cpu = stub->c_cpu = stub->stop_cpu;
        gdb_clear_steps();
        gdb_append_stop_reply(stub, text);
        gdb_send(stub, text->str, text->len);
    }
    return G_SOURCE_REMOVE;
}

static void on_debug_stop(unsigned cpu_index)
{
    GdbStub *stub = &the_stub;

    if (vm_is_running()) {
        vm_stop();
    }
    stub->stop_signal = GDB_SIGTRAP;
    stub->stop_cpu = MIN(cpu_index, cpus->len - 1);
}

static void on_vm_change(void *opaque, bool running)
{
    GdbStub *stub = opaque;

    if (running) {
        stub->stop_signal = GDB_SIGINT;
    } else if (!stub->stop_source) {
        stub->stop_source = g_idle_add_full(G_PRIORITY_DEFAULT, send_stop_reply, stub, NULL);
    }
}

static void gdb_event(void *opaque, ChardevEvent event)
{
    GdbStub *stub = opaque;

    if (event == CHARDEV_OPENED) {
        gdb_reader_reset(&stub->reader);
        stub->connected = true;
        stub->no_ack = stub->physical = stub->awaited = false;
        stub->g_cpu = stub->c_cpu = stub->stop_cpu;
        stub->stop_signal = GDB_SIGTRAP;
        vm_stop();
        stub->stop_signal = GDB_SIGTRAP;
    } else if (event == CHARDEV_CLOSED) {
        stub->connected = stub->awaited = false;
        cpu_pause_all();
        gdb_clear_breakpoints(stub);
        gdb_clear_steps();
        cpu_resume_all();
    } else if (event == CHARDEV_BREAK) {
        vm_stop();
    }
}

bool gdbstub_start(Chardev *chr, GError **error)
{
    static const ChardevFrontend frontend = { .read = gdb_read,
                                              .event = gdb_event,
                                              .no_lock = true };
    GdbStub *stub = &the_stub;

    gdb_reader_init(&stub->reader);
    stub->chr = chr;
    stub->reply = g_string_new(NULL);
    stub->sent = g_string_new(NULL);
    stub->breakpoints = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
    stub->watchpoints = g_array_new(FALSE, FALSE, sizeof(GdbWatch));
    stub->stop_signal = GDB_SIGTRAP;
    vm_set_debug_handler(on_debug_stop);
    vm_add_change_handler(on_vm_change, stub);
    return chardev_attach(chr, &frontend, stub, error);
}

void gdbstub_set_command_handler(void (*f)(const char *command, GString *out))
{
    the_stub.command = f;
}

void gdbstub_stop(int status)
{
    GdbStub *stub = &the_stub;

    if (!stub->chr) {
        return;
    }
    if (stub->connected) {
        char text[8];

        g_snprintf(text, sizeof(text), "W%02x", status & 0xff);
        gdb_send(stub, text, 3);
    }
    chardev_detach(stub->chr, stub);
    g_clear_handle_id(&stub->stop_source, g_source_remove);
    g_hash_table_unref(stub->breakpoints);
    g_array_unref(stub->watchpoints);
    g_string_free(stub->reply, TRUE);
    g_string_free(stub->sent, TRUE);
    gdb_reader_clear(&stub->reader);
    stub->chr = NULL;
}
