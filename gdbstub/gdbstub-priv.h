/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of gdbstub/: the stub's state, shared by the connection (gdbstub.c), the packets on
 * registers, memory and breakpoints (access.c) and those on threads and execution (control.c).
 *
 * A packet handler gets the text behind its name and appends the reply to stub->reply; what is left
 * empty tells gdb "not supported".
 */
#ifndef GDBSTUB_GDBSTUB_PRIV_H
#define GDBSTUB_GDBSTUB_PRIV_H

#include "gdbstub/packet.h"
#include "chardev/chardev.h"
#include "softmmu/cpu.h"

enum { GDB_SIGINT = 2, GDB_SIGTRAP = 5 };

typedef struct GdbWatch {
    MemAccess access;
    uint64_t va, len;
} GdbWatch;

typedef struct GdbStub {
    Chardev *chr; /* NULL: not started */
    GdbReader reader;
    GString *reply; /* of the packet being handled */
    GString *sent;  /* the last packet, for NAK */
    bool connected, no_ack, physical;
    bool no_reply;         /* the handler answered itself, or later */
    unsigned g_cpu, c_cpu; /* of registers and memory; of step and continue */
    bool awaited;          /* gdb waits for a stop reply */
    guint stop_source;     /* a stop reply is about to be sent */
    unsigned stop_signal, stop_cpu;
    GHashTable *breakpoints; /* set of uint64_t * */
    GArray *watchpoints;     /* of GdbWatch */
    void (*command)(const char *command, GString *out);
} GdbStub;

typedef void GdbHandler(GdbStub *stub, const char *args, size_t len);

/* Sends @data as one packet. */
void gdb_send(GdbStub *stub, const char *data, size_t len);
/* Replies: an error number (errno's), OK. */
void gdb_reply_error(GdbStub *stub, int err);
void gdb_reply_ok(GdbStub *stub);
Cpu *gdb_cpu(unsigned index);

/* access.c */
GdbHandler gdb_read_registers, gdb_write_registers, gdb_read_register, gdb_write_register;
GdbHandler gdb_read_memory, gdb_write_memory, gdb_write_memory_binary;
GdbHandler gdb_insert_breakpoint, gdb_remove_breakpoint;
void gdb_clear_breakpoints(GdbStub *stub);

/* control.c */
GdbHandler gdb_set_thread, gdb_thread_alive, gdb_stop_reason, gdb_continue, gdb_step, gdb_vcont,
    gdb_detach, gdb_kill;
GdbHandler gdb_query;
/* The machine stopped: stop_signal and stop_cpu into a stop reply. */
void gdb_append_stop_reply(GdbStub *stub, GString *out);
void gdb_clear_steps(void);

#endif
