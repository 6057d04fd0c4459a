/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pieces of the system emulator's start (system.c calls them in order). Each turns some options
 * into objects; each error begins with the option.
 */
#ifndef MAIN_SYSTEM_PRIV_H
#define MAIN_SYSTEM_PRIV_H

#include "block/block.h"
#include "chardev/chardev.h"
#include "main/options.h"
#include "softmmu/cpu.h"

/* ---- config.c: numbers and switches ---- */

typedef struct SystemConfig {
    uint64_t ram_size; /* bytes */
    unsigned n_cpus;
    CpuConfig cpu;
    int64_t rtc_offset; /* ns ahead of the host's UTC; with rtc_virtual the time at the start */
    bool rtc_virtual;   /* the guest's clock follows virtual time */
    bool sandbox;
} SystemConfig;

enum { MAX_CPUS = 512 }; /* of -smp; a machine's own limit is lower */

/* Reads -m, -smp, -accel, -icount, -rtc and -sandbox. */
bool config_parse(const Options *opts, SystemConfig *config, GError **error);

/* ---- consoles.c: serial ports and monitors ---- */

typedef struct ConsolePlan {
    GPtrArray *serials;  /* back end texts of the serial ports, of char * */
    GPtrArray *monitors; /* and of the monitors */
} ConsolePlan;

/* What the options and QEMU's defaults add up to: without -serial, -monitor and -display both share
 * the terminal. */
void console_plan_make(const Options *opts, ConsolePlan *plan);
void console_plan_clear(ConsolePlan *plan);
/* Makes all -chardev back ends, then those of @plan; appends the serial ports' ones (NULL: none) to
 * @serials and the ones that a monitor is to run on to @monitors (borrowed). */
bool consoles_open(const Options *opts, const ConsolePlan *plan, GPtrArray *serials,
                   GPtrArray *monitors, GError **error);

/* ---- drives.c: -drive ---- */

enum { N_PFLASH = 2 };

typedef struct DriveSet {
    BlockBackend *pflash[N_PFLASH]; /* by index; NULL: none */
    GPtrArray *devices;             /* -device texts of the drives that bring their device along */
} DriveSet;

void drive_set_init(DriveSet *set);
void drive_set_clear(DriveSet *set);
/* Opens all drives of @opts. */
bool drives_open(const Options *opts, DriveSet *set, GError **error);

/* The engine that aio= names; the default for others and NULL. */
BlockAio drive_find_aio(const char *name);

/* ---- blockdev.c ---- */

/* Opens the nodes of -blockdev that no other has as a part. */
bool blockdevs_open(const Options *opts, GError **error);

/* ---- netdevs.c: networks ---- */

/* Makes the networks of @opts; appends the -device texts of the cards that come with some (owned), which are of @model where none is said (NULL: the
 * machine has no place for one). */
bool netdevs_open(const Options *opts, const char *model, GPtrArray *devices, GError **error);

/* ---- fsdevs.c: shared folders ---- */

/* Opens the folders of @opts; appends the -device texts of those that -virtfs brings a device for (owned). */
bool fsdevs_open(const Options *opts, GPtrArray *devices, GError **error);

/* ---- devices.c: -device ---- */

/* Makes the device of a -device text, realizes it and plugs it into its bus. @option: what errors
 * begin with. */
bool device_add(const char *option, const char *text, GError **error);
/* The monitor's device_add and device_del, for USB devices. Machine lock held. */
bool device_plug(const char *text, GError **error);
bool device_unplug(const char *id, GError **error);
/* "-device help" and "-device MODEL,help". False: @text asks for no help. An unknown model is an
 * error. */
bool device_help(const char *text, GString *out, GError **error);

/* ---- signals.c ---- */

/* SIGINT, SIGTERM and SIGHUP end the machine in order (a second one at once); fatal signals give
 * the terminal back. */
void signals_install(void);
/* From now on the main loop answers to signals. */
void signals_loop_begins(void);

/* ---- daemon.c ---- */

/* -daemonize: the caller goes on in the child; the parent exits when daemon_ready() is called or
 * the child ends. */
bool daemon_start(GError **error);
void daemon_ready(void);

/* ---- system.c ---- */

/* Runs the emulator of @target with the arguments behind the program's name; returns the exit
 * status. */
int system_main(const char *program, const TargetOps *target, int argc, char **argv);

#endif
