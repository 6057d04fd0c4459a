/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of monitor/: what a command gets, the tables of commands, expressions.
 */
#ifndef MONITOR_MONITOR_PRIV_H
#define MONITOR_MONITOR_PRIV_H

#include <glib.h>
#include <stdbool.h>
#include "softmmu/cpu.h"

/* One call of a command. Errors of the user are written to @out like everything else. */
typedef struct MonitorCall {
    const char *format;  /* behind the '/' of "x/4xg", or NULL */
    const char *args;    /* the rest of the line, without blanks at its ends */
    unsigned *cpu_index; /* the current CPU, for "cpu N" to change */
    GString *out;
} MonitorCall;

typedef struct MonitorCommand {
    const char *name;
    const char *alias; /* or NULL */
    const char *args;  /* as help shows them */
    const char *help;
    void (*run)(MonitorCall *call);
} MonitorCommand;

/* Both end with a NULL name; commands.c and info.c. */
extern const MonitorCommand monitor_commands[];
extern const MonitorCommand monitor_info_commands[];
/* The command called @name, or NULL. */
const MonitorCommand *monitor_find_command(const MonitorCommand *table, const char *name);
/* Writes "unknown ...; did you mean ...?" to call->out. */
void monitor_unknown(const MonitorCommand *table, const char *what, const char *name, GString *out);
/* Help on all of @table's commands. */
void monitor_list_commands(const MonitorCommand *table, const char *prefix, GString *out);

/* The current CPU; NULL with a message if there is none yet. */
Cpu *monitor_cpu(MonitorCall *call);

/* expr.c: the value of a C-like expression of numbers, $registers of @cpu (which is paused; may be
 * NULL), + - * / % & | ^ ~ and parentheses, in 64 bits. @end (may be NULL) gets what is left of the
 * text, else the whole text must be used up. */
bool monitor_eval(const char *text, Cpu *cpu, uint64_t *value, const char **end, GError **error);
/* Value of a register of @cpu by name ("pc", "a0"). */
bool monitor_register(Cpu *cpu, const char *name, size_t len, uint64_t *value);

/* input.c: keys and the pointer. */
void monitor_sendkey(MonitorCall *call);
void monitor_mouse_move(MonitorCall *call);
void monitor_mouse_button(MonitorCall *call);
void monitor_mouse_set(MonitorCall *call);

/* memory.c: "x" (virtual) and "xp" (physical). */
void monitor_dump_memory(MonitorCall *call, bool physical);
void monitor_print_value(MonitorCall *call);

/* net.c: "info network", "info usernet", "set_link", "hostfwd_add", "hostfwd_remove". */
void monitor_info_network(MonitorCall *call);
void monitor_info_usernet(MonitorCall *call);
void monitor_set_link(MonitorCall *call);
void monitor_hostfwd_add(MonitorCall *call);
void monitor_hostfwd_remove(MonitorCall *call);

#endif
