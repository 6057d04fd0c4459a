/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line as data: a table of options (name, argument, help, where the value goes) that
 * the parser, --help, the suggestion of near misses and the test of the man page read. Parsing only
 * stores texts; config.c and its neighbours give them a meaning.
 */
#ifndef MAIN_OPTIONS_H
#define MAIN_OPTIONS_H

#include <glib.h>
#include <stdbool.h>

typedef struct Options {
    char *machine, *cpu, *memory, *smp;
    char *kernel, *initrd, *append, *dtb, *bios;
    char *loadvm;
    char *accel, *icount, *rtc, *name, *sandbox;
    char *log_items, *log_file, *log_filter;
    char *gdb, *pidfile, *display, *escape;
    GPtrArray *drives, *blockdevs, *devices, *chardevs; /* of char *, in the order given */
    GPtrArray *serials, *monitors, *mons, *data_dirs;
    GPtrArray *netdevs, *nics, *nets, *objects;
    GPtrArray *fsdevs, *virtfses;
    bool nographic, stopped, snapshot, no_reboot, no_defaults, daemonize, one_insn, perfmap;
    bool help, version;
} Options;

typedef enum OptionKind {
    OPTION_FLAG,   /* no argument; sets a bool */
    OPTION_STRING, /* the last one given counts */
    OPTION_JOIN,   /* several are joined with commas */
    OPTION_LIST,
    OPTION_MEANS,     /* short for another option */
    OPTION_IGNORED,   /* no argument, no effect here */
    OPTION_ONLY_NONE, /* the argument must be "none": switches a default of QEMU off */
} OptionKind;

typedef struct Option {
    const char *name;  /* without dashes */
    const char *alias; /* another spelling, or NULL */
    const char *arg;   /* as --help shows it; NULL: takes no argument */
    OptionKind kind;
    size_t offset;      /* into Options */
    const char *means;  /* OPTION_MEANS: the other option's name */
    const char *format; /* OPTION_MEANS: its argument; %s is the own one */
    const char *help;
    const char *group; /* heading in --help; NULL: as the one before */
} Option;

/* The table; ends with a NULL name. */
extern const Option option_table[];

void options_init(Options *opts);
void options_clear(Options *opts);
/* Parses the arguments behind the program's name. The error begins with the option. */
bool options_parse(Options *opts, int argc, char **argv, GError **error);
/* The text of --help for @program. */
void options_help(const char *program, GString *out);

#endif
