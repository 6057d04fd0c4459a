/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What fuzz-devices.c's operations mean, for the programs that fuzz-seeds.c writes: those of well-behaved drivers, which bring a device so far
 * that changes of them reach what only happens at work.
 *
 * The devices of a target are numbered from 0, those without registers (on a USB or SCSI bus) left out.
 */
#ifndef TESTS_FUZZ_FUZZ_DEVICES_H
#define TESTS_FUZZ_FUZZ_DEVICES_H

#include "tests/fuzz/program.h"

/* Two pieces of RAM that lie beside each other for the guest, and not for the host; in the host's memory nothing is around them. */
#define FUZZ_RAM 0x80000000ull

enum { FUZZ_RAM_PIECE = 128 << 10, FUZZ_RAM_SIZE = 2 * FUZZ_RAM_PIECE };

/* Kinds of operations. */
enum {
    FUZZ_STORE = 'S', /* .a, of .size bytes, at .at of .window */
    FUZZ_LOAD = 'L',
    FUZZ_PUT = 'P', /* into RAM at .at: .size bytes of .a; size 16: .a and .b */
    FUZZ_FILL =
        'F', /* .count times .a and .b, one after the other; .a grows by 4096 if .size is odd */
    FUZZ_COPY =
        'G', /* .b bytes of RAM from .a to .at, one after the other: what overlaps is repeated */
    FUZZ_MEANWHILE =
        'X', /* as FUZZ_PUT, but when a device calls a back end or interrupts, after .count other times */
    FUZZ_TIME = 'T', /* .a ns pass, timers fire */
    FUZZ_DISK = 'D', /* .count of the disk requests that wait end, the last first if .at is odd */
    FUZZ_WAIT = 'W', /* disk requests wait by the pattern .a, .count network frames are not taken */
    FUZZ_ERROR = 'E',   /* .count disk requests fail with error .a */
    FUZZ_RECEIVE = 'N', /* a frame of .at bytes for card .window: beginning with .a, offload .b */
    FUZZ_LINK = 'K',    /* card .window has a link if .a is odd */
    FUZZ_TYPE = 'C',    /* .at characters .a for character device .window; .count not 0: event .a */
    FUZZ_INPUT =
        'I', /* .count: 0 key .a down if .b, 1 pointer moves by .a, .b, 2 buttons .a, 3 pointer .a is chosen, 4 balloon .a */
    FUZZ_STREAM = 'Y', /* backends_stream(.window, .count, .at) */
    FUZZ_LINE = 'Q',   /* interrupt input .at of the interrupt controller is .a */
    FUZZ_CSR =
        'A', /* hart .window of the IMSIC: .count even: bits .b of register .at become .a, odd: top interrupt, claimed if .a is odd */
    FUZZ_RESET = 'R',    /* .count: even the machine, odd device .window */
    FUZZ_SNAPSHOT = 'V', /* .count: even save, odd load */
    FUZZ_PLACE = 'B',    /* BARs get places, as firmware does it */
};

/* Windows of device n: 8 * n + this. Base address registers or register windows 0 to 5, then: */
enum { FUZZ_CONFIG = 6 };
/* Other windows. */
enum { FUZZ_ECAM = 0x40, FUZZ_MEM, FUZZ_IO };

/* ---- Seeds: each adds programs (of FuzzProgram) ---- */

typedef void FuzzSeeds(GPtrArray *programs);

FuzzSeeds fuzz_seeds_board, fuzz_seeds_nvme, fuzz_seeds_xhci, fuzz_seeds_flash, fuzz_seeds_fw_cfg,
    fuzz_seeds_serial, fuzz_seeds_bridge, fuzz_seeds_ahci, fuzz_seeds_ahci_cd, fuzz_seeds_e1000,
    fuzz_seeds_aia;
FuzzSeeds fuzz_seeds_blk, fuzz_seeds_scsi, fuzz_seeds_net, fuzz_seeds_console, fuzz_seeds_balloon,
    fuzz_seeds_rng, fuzz_seeds_input, fuzz_seeds_vsock, fuzz_seeds_9p, fuzz_seeds_blk_mmio,
    fuzz_seeds_net_mmio;

#endif
