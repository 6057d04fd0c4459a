/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs of well-behaved drivers for fuzz-devices.c; see fuzz-devices.h. They know what a device answers (which slot it gives, where a ring is
 * after so many entries), so each is a list of writes.
 */
#include <stdbool.h>
#include <string.h>
#include "hw/block/nvme-regs.h"
#include "hw/pci/pci-regs.h"
#include "tests/fuzz/fuzz-devices.h"

static FuzzProgram *program_new(GPtrArray *programs)
{
    FuzzProgram *p = g_new0(FuzzProgram, 1);

    g_ptr_array_add(programs, p);
    return p;
}

static void store(FuzzProgram *p, unsigned window, uint32_t at, unsigned size, uint64_t value)
{
    program_add(p, (FuzzOp){ .kind = FUZZ_STORE,
                             .window = (uint8_t)window,
                             .at = at,
                             .size = (uint8_t)size,
                             .a = value });
}

static void load(FuzzProgram *p, unsigned window, uint32_t at, unsigned size)
{
    program_add(
        p,
        (FuzzOp){ .kind = FUZZ_LOAD, .window = (uint8_t)window, .at = at, .size = (uint8_t)size });
}

/* 16 bytes into RAM. */
static void put(FuzzProgram *p, uint32_t at, uint64_t a, uint64_t b)
{
    program_add(p, (FuzzOp){ .kind = FUZZ_PUT, .at = at, .size = 16, .a = a, .b = b });
}

static void put_short(FuzzProgram *p, uint32_t at, unsigned size, uint64_t a)
{
    program_add(p, (FuzzOp){ .kind = FUZZ_PUT, .at = at, .size = (uint8_t)size, .a = a });
}

static void other(FuzzProgram *p, char kind, unsigned count, uint32_t at, uint64_t a)
{
    program_add(p, (FuzzOp){ .kind = kind, .count = (uint8_t)count, .at = at, .a = a });
}

static void wait_ms(FuzzProgram *p, unsigned ms)
{
    other(p, FUZZ_TIME, 0, 0, ms * 1000000ull);
}

/* What is @size bytes long at @at comes @n times. */
static void repeat(FuzzProgram *p, uint32_t at, uint32_t size, unsigned n)
{
    program_add(p, (FuzzOp){ .kind = FUZZ_COPY, .at = at + size, .a = at, .b = size * (n - 1) });
}

/* ---- Virtio ---- */

enum {
    V_ENTRIES = 16,
    V_RINGS = 0x1000,
    V_BUFFERS = 0x10000,
    V_BUFFER = 0x800,
    V_ANSWERS = 0x20000
};
enum { V_NEXT = 1, V_WRITE = 2, V_INDIRECT = 4, V_AVAIL_FLAG = 1 << 7 };
enum { V_AVAIL = 0x100, V_USED = 0x200 };
enum { V_SPLIT, V_PACKED, V_INDIRECT_TABLES, V_N_KINDS };

/* A chain: @out bytes, which begin with @head, then @in bytes for the device. */
typedef struct Chain {
    unsigned queue;
    uint32_t out, in;
    uint64_t head[8];
} Chain;

typedef struct VirtioDevice {
    unsigned n_queues, n_chains, legacy_size; /* the last: entries of a queue */
    uint64_t features;                        /* of the device */
    const Chain *chains;
} VirtioDevice;

static uint32_t ring_of(unsigned queue)
{
    return V_RINGS * (queue + 1);
}

static void put_head(FuzzProgram *p, const Chain *c, unsigned n)
{
    for (unsigned i = 0; i < 8 && i * 8 < c->out; i += 2) {
        if (c->head[i] || c->head[i + 1]) {
            put(p, V_BUFFERS + n * V_BUFFER + i * 8, c->head[i], c->head[i + 1]);
        }
    }
}

/* Descriptors of the chain @n at @at, the ring's @slot: as many as were used. */
static unsigned put_chain(FuzzProgram *p, const Chain *c, unsigned n, unsigned slot, unsigned kind)
{
    uint32_t table = ring_of(c->queue) + 0x800 + slot * 32;
    uint32_t at = kind == V_INDIRECT_TABLES ? table : ring_of(c->queue) + slot * 16;
    unsigned first = kind == V_INDIRECT_TABLES ? 0 : slot, used = 0;
    uint64_t flags = kind == V_PACKED ? (uint64_t)V_AVAIL_FLAG << 48 : 0;
    unsigned shift = kind == V_PACKED ? 48 : 32;

    if (c->out) {
        uint64_t next = kind == V_PACKED ? (uint64_t)slot << 32 : (uint64_t)(first + 1) << 48;

        put(p, at, FUZZ_RAM + V_BUFFERS + n * V_BUFFER,
            c->out | flags | (c->in ? (uint64_t)V_NEXT << shift | next : 0));
        used++;
    }
    if (c->in) {
        put(p, at + 16 * used, FUZZ_RAM + V_ANSWERS + n * V_BUFFER,
            c->in | flags | (uint64_t)V_WRITE << shift |
                (kind == V_PACKED ? (uint64_t)slot << 32 : 0));
        used++;
    }
    if (kind == V_INDIRECT_TABLES) {
        put(p, ring_of(c->queue) + slot * 16, FUZZ_RAM + table,
            used * 16 | (uint64_t)V_INDIRECT << 32);
        used = 1;
    }
    return used;
}

/* Chains of all queues, each queue with a kick at the end. */
static void put_chains(FuzzProgram *p, const VirtioDevice *d, unsigned kind, uint32_t avail,
                       void (*kick)(FuzzProgram *p, unsigned queue))
{
    for (unsigned q = 0; q < d->n_queues; q++) {
        unsigned slot = 0, n = 0;

        for (unsigned i = 0; i < d->n_chains; i++) {
            if (d->chains[i].queue != q) {
                continue;
            }
            if (kind != V_PACKED && slot) {
                put_short(p, ring_of(q) + avail + 4 + 2 * n, 2, slot);
            }
            put_head(p, &d->chains[i], i);
            slot += put_chain(p, &d->chains[i], i, slot, kind);
            n++;
        }
        if (kind != V_PACKED) {
            put_short(p, ring_of(q) + avail + 2, 2, n);
        }
        kick(p, q);
    }
}

#define V_COMMON 4 /* the window of the modern registers */

static void kick_pci(FuzzProgram *p, unsigned queue)
{
    store(p, V_COMMON, 0x3000 + 4 * queue, 2, queue);
}

static void kick_legacy(FuzzProgram *p, unsigned queue)
{
    store(p, 0, 16, 2, queue);
}

static void kick_mmio(FuzzProgram *p, unsigned queue)
{
    store(p, 0, 0x50, 4, queue);
}

static uint64_t features_of(const VirtioDevice *d, unsigned kind)
{
    static const uint64_t features[V_N_KINDS] = { 1 << 29, 1ull << 34, 1 << 28 };

    return d->features | 1ull << 32 | features[kind];
}

static void place_queue(FuzzProgram *p, unsigned queue, uint64_t desc, uint64_t avail,
                        uint64_t used)
{
    store(p, V_COMMON, 22, 2, queue);
    store(p, V_COMMON, 24, 2, V_ENTRIES);
    store(p, V_COMMON, 26, 2, 0);
    store(p, V_COMMON, 32, 8, desc);
    store(p, V_COMMON, 40, 8, avail);
    store(p, V_COMMON, 48, 8, used);
    store(p, V_COMMON, 28, 2, 1);
}

static void start_pci(FuzzProgram *p, const VirtioDevice *d, uint64_t features, bool messages)
{
    if (messages) { /* MSI-X is the first capability */
        store(p, 1, 0, 8, FUZZ_RAM + 0x100);
        store(p, 1, 8, 8, 0x41);
        store(p, FUZZ_CONFIG, 0x42, 2, 0x8000);
    }
    store(p, V_COMMON, 20, 1, 0);
    store(p, V_COMMON, 20, 1, 3);
    for (unsigned i = 0; i < 2; i++) {
        store(p, V_COMMON, 0, 4, i);
        load(p, V_COMMON, 4, 4);
        store(p, V_COMMON, 8, 4, i);
        store(p, V_COMMON, 12, 4, (uint32_t)(features >> 32 * i));
    }
    store(p, V_COMMON, 16, 2, 0);
    store(p, V_COMMON, 20, 1, 11);
    for (unsigned q = 0; q < d->n_queues; q++) {
        uint64_t at = FUZZ_RAM + ring_of(q);

        place_queue(p, q, at, at + V_AVAIL, at + V_USED);
    }
    store(p, V_COMMON, 20, 1, 15);
}

static void start_without_queues(FuzzProgram *p, const VirtioDevice *d, uint64_t features)
{
    VirtioDevice none = *d;

    none.n_queues = 0;
    start_pci(p, &none, features, false);
}

static void start_legacy(FuzzProgram *p, const VirtioDevice *d)
{
    store(p, 0, 18, 1, 0);
    store(p, 0, 18, 1, 3);
    store(p, 0, 4, 4, (uint32_t)d->features);
    for (unsigned q = 0; q < d->n_queues; q++) {
        store(p, 0, 14, 2, q);
        load(p, 0, 12, 2);
        store(p, 0, 8, 4, (FUZZ_RAM + ring_of(q)) >> 12);
    }
    store(p, 0, 18, 1, 7);
}

static void start_mmio(FuzzProgram *p, const VirtioDevice *d, uint64_t features)
{
    store(p, 0, 0x70, 4, 0);
    store(p, 0, 0x70, 4, 3);
    for (unsigned i = 0; i < 2; i++) {
        store(p, 0, 0x24, 4, i);
        store(p, 0, 0x20, 4, (uint32_t)(features >> 32 * i));
    }
    store(p, 0, 0x70, 4, 11);
    for (unsigned q = 0; q < d->n_queues; q++) {
        store(p, 0, 0x30, 4, q);
        store(p, 0, 0x38, 4, V_ENTRIES);
        for (unsigned i = 0; i < 3; i++) {
            store(p, 0, 0x80 + 0x10 * i, 4, FUZZ_RAM + ring_of(q) + 0x100 * i);
        }
        store(p, 0, 0x44, 4, 1);
    }
    store(p, 0, 0x70, 4, 15);
}

static void go_on(FuzzProgram *p)
{
    wait_ms(p, 1);
    other(p, FUZZ_SNAPSHOT, 0, 0, 0);
    other(p, FUZZ_DISK, 4, 0, 0);
    load(p, V_COMMON, 0x1000, 1);
    other(p, FUZZ_SNAPSHOT, 1, 0, 0);
}

/* As much work as one kick can mean: a ring full of chains that are as long as they can be, all of the same @buffer. */
static void add_full(GPtrArray *programs, const VirtioDevice *d, const Chain *c, uint32_t buffer)
{
    enum { EVENTS = 0x1000, RING = 0x4000, TABLE = 0x8000, N_TABLE = 1024, PIECE = 0x10000 };
    FuzzProgram *p = program_new(programs);
    uint32_t first = TABLE + (c->out ? 16 : 0);

    start_without_queues(p, d, d->features | 1ull << 32 | 1ull << 34 | 1 << 28);
    store(p, V_COMMON, 22, 2, c->queue);
    store(p, V_COMMON, 32, 8, FUZZ_RAM + RING);
    store(p, V_COMMON, 40, 8, FUZZ_RAM + EVENTS);
    store(p, V_COMMON, 48, 8, FUZZ_RAM + EVENTS + 16);
    store(p, V_COMMON, 28, 2, 1);
    put_head(p, c, 0);
    put(p, TABLE, FUZZ_RAM + V_BUFFERS, c->out);
    put(p, first, FUZZ_RAM + buffer, PIECE | (c->in ? (uint64_t)V_WRITE << 48 : 0));
    repeat(p, first, 16, N_TABLE - (first > TABLE));
    put(p, RING, FUZZ_RAM + TABLE, N_TABLE * 16 | (uint64_t)(V_INDIRECT | V_AVAIL_FLAG) << 48);
    repeat(p, RING, 16, 1024);
    kick_pci(p, c->queue);
    go_on(p);
}

/* Chains without end, in the ring or a table of its own, and without bytes; a ring at the end of RAM. */
static void add_wrong(GPtrArray *programs, const VirtioDevice *d)
{
    FuzzProgram *p = program_new(programs);

    start_pci(p, d, features_of(d, V_INDIRECT_TABLES), false);
    put(p, ring_of(0), FUZZ_RAM + V_BUFFERS, 16 | (uint64_t)V_NEXT << 32 | 1ull << 48);
    put(p, ring_of(0) + 16, FUZZ_RAM, (uint64_t)V_NEXT << 32 | 1ull << 48);
    put_short(p, ring_of(0) + V_AVAIL + 2, 2, 1);
    kick_pci(p, 0);

    p = program_new(programs);
    start_pci(p, d, features_of(d, V_INDIRECT_TABLES), false);
    put(p, ring_of(0), FUZZ_RAM + ring_of(0), 256 | (uint64_t)V_INDIRECT << 32);
    put_short(p, ring_of(0) + V_AVAIL + 2, 2, 1);
    kick_pci(p, 0);

    for (unsigned part = 0; part < 3; part++) {
        const uint64_t end = FUZZ_RAM + (part ? FUZZ_RAM_PIECE : FUZZ_RAM_SIZE) - 16;
        const uint64_t usual = FUZZ_RAM + ring_of(0);

        p = program_new(programs);
        start_without_queues(p, d, features_of(d, part == 2 ? V_SPLIT : V_INDIRECT_TABLES));
        place_queue(p, 0, part == 0 ? end : usual, part == 1 ? end : usual + V_AVAIL,
                    part == 2 ? end : usual + V_USED);
        put(p, ring_of(0), FUZZ_RAM + V_BUFFERS, 16);
        repeat(p, ring_of(0), 16, V_ENTRIES);
        put(p, part == 1 ? FUZZ_RAM_PIECE - 16 : ring_of(0) + V_AVAIL, 5ull << 32 | 15 << 16, 0);
        kick_pci(p, 0);
    }
}

/* By version 1.0 with each kind of ring, and by what was before. */
static void add_drivers(GPtrArray *programs, const VirtioDevice *d)
{
    FuzzProgram *p;

    for (unsigned kind = 0; kind < V_N_KINDS; kind++) {
        p = program_new(programs);
        start_pci(p, d, features_of(d, kind), kind == V_SPLIT);
        if (kind == V_PACKED) {
            other(p, FUZZ_WAIT, 0, 0, 0x5555555555555555);
        }
        put_chains(p, d, kind, V_AVAIL, kick_pci);
        go_on(p);
    }
    p = program_new(programs);
    start_legacy(p, d);
    put_chains(p, d, V_SPLIT, 16 * d->legacy_size, kick_legacy);
    go_on(p);
}

static void add_hostile(GPtrArray *programs, const VirtioDevice *d)
{
    add_wrong(programs, d);
    for (unsigned i = 0; i < d->n_chains; i++) {
        if (!i || d->chains[i].queue != d->chains[i - 1].queue) {
            add_full(programs, d, &d->chains[i], V_ANSWERS);
            add_full(programs, d, &d->chains[i], V_ANSWERS - 16); /* in two pieces */
        }
    }
}

static void add_pci(GPtrArray *programs, const VirtioDevice *d)
{
    add_drivers(programs, d);
    add_hostile(programs, d);
}

static void add_mmio(GPtrArray *programs, const VirtioDevice *d)
{
    for (unsigned kind = 0; kind < V_N_KINDS; kind++) {
        FuzzProgram *p = program_new(programs);

        start_mmio(p, d, features_of(d, kind));
        put_chains(p, d, kind, V_AVAIL, kick_mmio);
        go_on(p);
        store(p, 0, 0x64, 4, 3);
    }
}

static const Chain blk_chains[] = {
    { 0, 16, 0x201, { 0, 1 } },    { 0, 16 + 0x200, 1, { 1, 2 } },
    { 0, 16, 1, { 4 } },           { 0, 16, 21, { 8 } },
    { 0, 32, 1, { 11, 0, 8, 8 } }, { 0, 48, 1, { 13, 0, 8, 8 | 1ull << 32, 32, 16 } },
};
static const VirtioDevice blk = { 1, G_N_ELEMENTS(blk_chains), 256, 0x6e44, blk_chains };

void fuzz_seeds_blk(GPtrArray *programs)
{
    add_pci(programs, &blk);
}

void fuzz_seeds_blk_mmio(GPtrArray *programs)
{
    add_mmio(programs, &blk);
}

/* Commands of SCSI disks with bytes of data to or from the host. */
static const struct {
    uint8_t cdb[16];
    uint16_t out, in;
} scsi_commands[] = {
    { { 0x00 }, 0, 0 },
    { { 0x12, 0, 0, 0, 96 }, 0, 96 },
    { { 0x03, 0, 0, 0, 18 }, 0, 18 },
    { { 0x28, [8] = 2 }, 0, 1024 },
    { { 0x2a, [5] = 1, [8] = 1 }, 512, 0 },
    { { 0x1a, 0, 0x3f, 0, 192 }, 0, 192 },
    { { 0x25 }, 0, 8 },
    { { 0x35 }, 0, 0 },
    { { 0x12, 1, 0x00, 0, 255 }, 0, 255 },
    { { 0x12, 1, 0x80, 0, 255 }, 0, 255 },
    { { 0x12, 1, 0x83, 0, 255 }, 0, 255 },
    { { 0x12, 1, 0xb0, 0, 255 }, 0, 255 },
    { { 0x12, 1, 0xb1, 0, 255 }, 0, 255 },
    { { 0x12, 1, 0xb2, 0, 255 }, 0, 255 },
    { { 0x9e, 0x10, [13] = 32 }, 0, 32 },
    { { 0xa0, [9] = 16 }, 0, 16 },
    { { 0x5a, 8, 8, [8] = 100 }, 0, 100 },
    { { 0x08, 0, 0, 3, 1 }, 0, 512 },
    { { 0x0a, 0, 0, 3, 1 }, 512, 0 },
    { { 0xa8, [9] = 1 }, 0, 512 },
    { { 0xaa, [9] = 1 }, 512, 0 },
    { { 0x88, [13] = 1 }, 0, 512 },
    { { 0x8a, 8, [13] = 2 }, 1024, 0 },
    { { 0x2f, [8] = 1 }, 0, 0 },
    { { 0x8f, [13] = 1 }, 0, 0 },
    { { 0x91 }, 0, 0 },
    { { 0x42, [8] = 24 }, 24, 0 },
    { { 0x1e, [4] = 1 }, 0, 0 },
    { { 0x1b, [4] = 2 }, 0, 0 },
    { { 0x1e }, 0, 0 },
    { { 0x1b, [4] = 2 }, 0, 0 },
    { { 0x1b, [4] = 3 }, 0, 0 },
};

enum { SCSI_REQUEST = 51, SCSI_RESPONSE = 108, SCSI_CDB = 19, SCSI_AT_ONCE = 8 };

/* The request for command @i of @target; what goes to the disk behind it looks like a list for UNMAP. */
static Chain scsi_chain(unsigned i, unsigned target)
{
    Chain c = { 2,
                SCSI_REQUEST + scsi_commands[i].out,
                SCSI_RESPONSE + scsi_commands[i].in,
                { 0x4000000001ull | target << 8, i, [6] = 0x16ull << 32 | 0x10ull << 48 } };

    memcpy((uint8_t *)c.head + SCSI_CDB, scsi_commands[i].cdb, sizeof(scsi_commands[i].cdb));
    return c;
}

void fuzz_seeds_scsi(GPtrArray *programs)
{
    static const Chain control = { 0, 24, 1, { 0, 0x4000000001ull, 7 } },
                       event = { 1, 0, 16, { 0 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(scsi_commands); i += SCSI_AT_ONCE) {
        Chain chains[SCSI_AT_ONCE + 3];
        VirtioDevice scsi = { 3, G_N_ELEMENTS(chains), 256, 0, chains };

        chains[0] = scsi_chain(0, i & 8 ? 1 : 0);
        for (unsigned n = 0; n < SCSI_AT_ONCE; n++) {
            chains[1 + n] = scsi_chain(i + n, i & 8 ? 1 : 0);
        }
        chains[SCSI_AT_ONCE + 1] = control;
        chains[SCSI_AT_ONCE + 2] = event;
        add_drivers(programs, &scsi);
        if (!i) {
            add_hostile(programs, &scsi);
        }
    }
}

static const Chain net_chains[] = {
    { 0, 0, 0x600, { 0 } },
    { 0, 0, 0x600, { 0 } },
    { 0, 0, 0x40, { 0 } },
    { 1, 12 + 64, 0, { 0 } },
    { 1, 12 + 0x400, 0, { 0x0200003600000101ull, 0x1000000022ull, 0x1234005452000000ull } },
    { 2, 0, 0x600, { 0 } },
    { 3, 12 + 64, 0, { 0 } },
    { 4, 3, 1, { 0x010000 } },              /* promiscuous */
    { 4, 8, 1, { 0x5634125452000101ull } }, /* another address */
    { 4, 18, 1, { 0x000000010001ull, 0 } }, /* tables of addresses */
    { 4, 4, 1, { 0x00010002 } },            /* a VLAN */
    { 4, 2, 1, { 0x0003 } },                /* announced */
    { 4, 4, 1, { 0x00020004 } },            /* pairs */
    { 4, 10, 1, { 0x00830005, 0 } },        /* offloads */
};
static const VirtioDevice net = { 5, G_N_ELEMENTS(net_chains), 256, 0xffbba7, net_chains };

static void add_frames(GPtrArray *programs)
{
    for (unsigned i = 0; i < programs->len; i++) {
        FuzzProgram *p = g_ptr_array_index(programs, i);

        for (unsigned n = 0; n < 4; n++) {
            program_add(p, (FuzzOp){ .kind = FUZZ_RECEIVE,
                                     .at = n == 2 ? 3000 : 60 + n * 200,
                                     .a = 0xffffffffffffull,
                                     .b = 0x5000101 });
        }
        other(p, FUZZ_LINK, 0, 0, 0);
        load(p, V_COMMON, 0x2006, 2);
        other(p, FUZZ_LINK, 0, 0, 1);
        wait_ms(p, 1);
    }
}

void fuzz_seeds_net(GPtrArray *programs)
{
    add_pci(programs, &net);
    add_frames(programs);
}

void fuzz_seeds_net_mmio(GPtrArray *programs)
{
    add_mmio(programs, &net);
    add_frames(programs);
}

#define CONTROL(id, event, value) (id | (uint64_t)(event) << 32 | (uint64_t)(value) << 48)

static const Chain console_chains[] = {
    { 2, 0, 64, { 0 } },
    { 2, 0, 64, { 0 } },
    { 2, 0, 64, { 0 } },
    { 2, 0, 64, { 0 } },
    { 3, 8, 0, { CONTROL(0, 0, 1) } }, /* device ready */
    { 3, 8, 0, { CONTROL(0, 3, 1) } }, /* port ready */
    { 3, 8, 0, { CONTROL(1, 3, 1) } },
    { 3, 8, 0, { CONTROL(0, 6, 1) } }, /* open */
    { 3, 8, 0, { CONTROL(1, 6, 1) } },
    { 0, 0, 64, { 0 } },
    { 1, 16, 0, { 0x6f6c6c6568 } },
    { 4, 0, 64, { 0 } },
    { 5, 16, 0, { 0x6f6c6c6568 } },
};
static const VirtioDevice console = { 6, G_N_ELEMENTS(console_chains), 128, 2, console_chains };

void fuzz_seeds_console(GPtrArray *programs)
{
    add_pci(programs, &console);
    for (unsigned i = 0; i < programs->len; i++) {
        FuzzProgram *p = g_ptr_array_index(programs, i);

        other(p, FUZZ_TYPE, 0, 20, 'a');
        program_add(p, (FuzzOp){ .kind = FUZZ_TYPE, .window = 1, .at = 200, .a = 'b' });
        program_add(p, (FuzzOp){ .kind = FUZZ_TYPE, .window = 1, .count = 1, .a = 1 });
        go_on(p);
    }
}

static const Chain rng_chains[] = {
    { 0, 0, 64, { 0 } },
    { 0, 0, 1, { 0 } },
    { 0, 0, 0x700, { 0 } },
};
static const VirtioDevice rng = { 1, G_N_ELEMENTS(rng_chains), 8, 0, rng_chains };

void fuzz_seeds_rng(GPtrArray *programs)
{
    add_pci(programs, &rng);
}

static const Chain balloon_chains[] = {
    { 0, 16, 0, { 0x8000300080020ull, 0x80031 } },
    { 1, 8, 0, { 0x80020 } },
    { 2, 0, 0x700, { 0 } },
};
static const VirtioDevice balloon = { 3, G_N_ELEMENTS(balloon_chains), 128, 1 << 5 | 1,
                                      balloon_chains };

void fuzz_seeds_balloon(GPtrArray *programs)
{
    add_pci(programs, &balloon);
    for (unsigned i = 0; i < programs->len; i++) {
        other(g_ptr_array_index(programs, i), FUZZ_INPUT, 4, 0, 0x20000);
    }
}

static const Chain input_chains[] = {
    { 0, 0, 8, { 0 } },
    { 0, 0, 8, { 0 } },
    { 0, 0, 8, { 0 } },
    { 0, 0, 8, { 0 } },
    { 0, 0, 8, { 0 } },
    { 0, 0, 8, { 0 } },
    { 1, 8, 0, { 0x1000000000011 } },
};
static const VirtioDevice input = { 2, G_N_ELEMENTS(input_chains), 64, 0, input_chains };

/* The device says of itself what is selected; then somebody types and moves. */
void fuzz_seeds_input(GPtrArray *programs)
{
    static const uint8_t selections[][2] = { { 1, 0 },    { 2, 0 },    { 3, 0 },    { 0x10, 0 },
                                             { 0x11, 1 }, { 0x11, 2 }, { 0x11, 3 }, { 0x12, 0 } };

    add_pci(programs, &input);
    for (unsigned i = 0; i < programs->len; i++) {
        FuzzProgram *p = g_ptr_array_index(programs, i);

        for (unsigned n = 0; n < G_N_ELEMENTS(selections); n++) {
            store(p, V_COMMON, 0x2000, 1, selections[n][0]);
            store(p, V_COMMON, 0x2001, 1, selections[n][1]);
            load(p, V_COMMON, 0x2008, 4);
        }
        for (unsigned n = 0; n < 3; n++) {
            program_add(p, (FuzzOp){ .kind = FUZZ_INPUT, .count = (uint8_t)n, .a = 4, .b = 1 });
        }
        go_on(p);
    }
}

/* A packet from the guest's port 7 to the host's @port: operation, payload. */
#define VSOCK(port_, op_, len_, flags_)                                                 \
    {                                                                                   \
        3, 2, 7 | (uint64_t)(port_) << 32, (len_) | 1ull << 32 | (uint64_t)(op_) << 48, \
            (flags_) | 0x10000ull << 32                                                 \
    }

static const Chain vsock_chains[] = {
    { 0, 0, 44 + 200, { 0 } },
    { 0, 0, 44 + 200, { 0 } },
    { 0, 0, 44 + 200, { 0 } },
    { 0, 0, 44 + 200, { 0 } },
    { 1, 44, 0, VSOCK(77, 1, 0, 0) },         /* request */
    { 1, 44 + 100, 0, VSOCK(77, 5, 100, 0) }, /* data */
    { 1, 44, 0, VSOCK(77, 6, 0, 0) },         /* credit */
    { 1, 44, 0, VSOCK(77, 7, 0, 0) },
    { 1, 44, 0, VSOCK(0x40000000, 2, 0, 0) }, /* response */
    { 1, 44, 0, VSOCK(77, 4, 0, 3) },         /* shutdown */
    { 1, 44, 0, VSOCK(80, 1, 0, 0) },         /* nobody is there */
    { 2, 0, 4, { 0 } },
};
static const VirtioDevice vsock = { 3, G_N_ELEMENTS(vsock_chains), 128, 1, vsock_chains };

void fuzz_seeds_vsock(GPtrArray *programs)
{
    add_pci(programs, &vsock);
    for (unsigned i = 0; i < programs->len; i++) {
        FuzzProgram *p = g_ptr_array_index(programs, i);

        other(p, FUZZ_STREAM, 0, 300, 0);
        other(p, FUZZ_STREAM, 3, 1024, 0);
        program_add(p, (FuzzOp){ .kind = FUZZ_STREAM, .window = 1, .at = 3000 });
        other(p, FUZZ_STREAM, 1, 0, 0);
        other(p, FUZZ_STREAM, 2, 0, 0);
        go_on(p);
    }
}

/* Messages of 9P: what mounts a folder, looks at it, and reads its file "a". */
void fuzz_seeds_9p(GPtrArray *programs)
{
    static const char *const messages[] = {
        "1500000064ffff0010000008003950323030302e4c",     /* version */
        "1700000068010000000000ffffffff0000000000000000", /* attach: fid 0 */
        "140000006e02000000000001000000010001"
        "0061",                           /* walk to a: fid 1 */
        "0f0000000c03000100000000000000", /* lopen */
        "1700000074040001000000"
        "0000000000000000"
        "00010000", /* read */
        "13000000180500"
        "01000000"
        "ff3f000000000000", /* getattr */
        "110000006e06000000000002000000"
        "0000", /* walk to the folder: fid 2 */
        "0f0000000c07000200000000000000",
        "17000000280800"
        "02000000"
        "0000000000000000"
        "00020000", /* readdir */
        "0b000000080900"
        "00000000", /* statfs */
        "110000001e0a00"
        "01000000"
        "03000000"
        "0000", /* xattrwalk */
        "090000006c0b00"
        "0200", /* flush */
        "0b000000780c00"
        "01000000", /* clunk */
    };
    Chain chains[G_N_ELEMENTS(messages)] = { 0 };
    const VirtioDevice folder = { 1, G_N_ELEMENTS(messages), 128, 1, chains };

    for (unsigned i = 0; i < G_N_ELEMENTS(messages); i++) {
        chains[i].out = (uint32_t)strlen(messages[i]) / 2;
        chains[i].in = 0x300;
        for (unsigned n = 0; n < chains[i].out; n++) {
            ((uint8_t *)chains[i].head)[n] =
                (uint8_t)(g_ascii_xdigit_value(messages[i][2 * n]) << 4 |
                          g_ascii_xdigit_value(messages[i][2 * n + 1]));
        }
    }
    add_pci(programs, &folder);
}

/* ---- Bridges ---- */

void fuzz_seeds_bridge(GPtrArray *programs)
{
    FuzzProgram *p = program_new(programs);

    for (unsigned i = 0; i < 5; i++) {
        unsigned config = 8 * i + FUZZ_CONFIG;

        for (unsigned at = 0; at < 0x40; at += 4) {
            load(p, config, at, 4);
        }
        store(p, config, PCI_BASE_ADDRESS_0, 4, ~0u);
        store(p, config, PCI_COMMAND, 2, 0);
        store(p, config, 0x3e, 2, 0x40);
        store(p, config, 0x3e, 2, 0);
        store(p, config, 0x42, 2, 0x8000);
        load(p, FUZZ_ECAM, 0x100000 * i, 4);
    }
    other(p, FUZZ_PLACE, 0, 0, 0);
    for (unsigned i = 2; i < 4; i++) {
        load(p, 8 * i + 4, 0, 4);
        store(p, 8 * i + 4, 20, 1, 1);
        store(p, 8 * i + 1, 0, 8, FUZZ_RAM);
    }
}

/* ---- NVMe ---- */

enum { N_ADMIN = 0x1000, N_ADMIN_CQ = 0x2000, N_IO = 0x3000, N_IO_CQ = 0x4000, N_LIST = 0x5000 };
enum { N_ENABLE = 6 << 16 | 4 << 20 | 1 };

static void nvme_command(FuzzProgram *p, uint32_t at, unsigned opcode, unsigned nsid, uint64_t prp1,
                         uint64_t prp2, uint64_t d10, uint64_t d12)
{
    put(p, at, opcode | at << 16 | (uint64_t)nsid << 32, 0);
    put(p, at + 16, 0, prp1);
    put(p, at + 32, prp2, d10);
    put(p, at + 48, d12, 0);
}

static void nvme_start(FuzzProgram *p)
{
    store(p, 0, NVME_REG_AQA, 4, 15 | 15 << 16);
    store(p, 0, NVME_REG_ASQ, 8, FUZZ_RAM + N_ADMIN);
    store(p, 0, NVME_REG_ACQ, 8, FUZZ_RAM + N_ADMIN_CQ);
    store(p, 0, NVME_REG_CC, 4, N_ENABLE);
    load(p, 0, NVME_REG_CSTS, 4);
}

static void nvme_queues(FuzzProgram *p)
{
    nvme_command(p, N_ADMIN, NVME_CREATE_CQ, 0, FUZZ_RAM + N_IO_CQ, 0, 1 | 15 << 16 | 3ull << 32,
                 0);
    nvme_command(p, N_ADMIN + 64, NVME_CREATE_SQ, 0, FUZZ_RAM + N_IO, 0,
                 1 | 15 << 16 | 0x10001ull << 32, 0);
    store(p, 0, NVME_REG_DOORBELLS, 4, 2);
    wait_ms(p, 1);
}

static const struct {
    uint8_t opcode, nsid;
    uint64_t d10, d11;
} nvme_commands[] = {
    { NVME_IDENTIFY, 1, 0, 0 },
    { NVME_IDENTIFY, 0, 1, 0 },
    { NVME_IDENTIFY, 0, 2, 0 },
    { NVME_IDENTIFY, 1, 3, 0 },
    { NVME_GET_LOG_PAGE, 0, 0xf0001, 0 },
    { NVME_GET_LOG_PAGE, 0, 0x7f0002, 0 },
    { NVME_GET_LOG_PAGE, 0, 0x7f0003, 0 },
    { NVME_GET_LOG_PAGE, 0, 0x3ff0005, 0 },
    { NVME_ASYNC_EVENT, 0, 0, 0 },
    { NVME_ABORT, 0, 0x10001, 0 },
    { NVME_SET_FEATURES, 0, NVME_FEATURE_EVENTS, 0xff },
    { NVME_SET_FEATURES, 0, NVME_FEATURE_TEMPERATURE, 1 },
    { NVME_SET_FEATURES, 0, NVME_FEATURE_QUEUES, 0x30003 },
    { NVME_SET_FEATURES, 0, NVME_FEATURE_VECTOR, 1 },
    { NVME_SET_FEATURES, 0, NVME_FEATURE_WRITE_CACHE, 0 },
    { NVME_SET_FEATURES, 0, NVME_FEATURE_POWER, 0 },
    { NVME_GET_FEATURES, 0, NVME_FEATURE_QUEUES, 0 },
    { NVME_GET_FEATURES, 0, NVME_FEATURE_TEMPERATURE | 0x100, 0 },
    { NVME_GET_FEATURES, 0, NVME_FEATURE_VECTOR | 0x300, 0 },
    { NVME_FORMAT, 1, 0, 0 },
    { NVME_DELETE_SQ, 0, 1, 0 },
    { NVME_DELETE_CQ, 0, 1, 0 },
};

/* From @first on, as many as the queue takes at once. */
static void nvme_admin(FuzzProgram *p, unsigned first)
{
    unsigned n = MIN(11, G_N_ELEMENTS(nvme_commands) - first);

    for (unsigned i = 0; i < n; i++) {
        nvme_command(p, N_ADMIN + 64 * (2 + i), nvme_commands[first + i].opcode,
                     nvme_commands[first + i].nsid, FUZZ_RAM + 0x10000, 0,
                     nvme_commands[first + i].d10 | nvme_commands[first + i].d11 << 32, 0);
    }
    store(p, 0, NVME_REG_DOORBELLS, 4, 2 + n);
    wait_ms(p, 1);
    store(p, 0, NVME_REG_DOORBELLS + 4, 4, 4);
    store(p, 0, NVME_REG_DOORBELLS, 4, 40);
}

static void nvme_io(FuzzProgram *p)
{
    static const struct {
        uint8_t opcode;
        uint64_t d10, d12;
    } commands[] = {
        { NVME_READ, 0, 0 },
        { NVME_WRITE, 2, 15 },
        { NVME_READ, 4, 31 },
        { NVME_COMPARE, 0, 0 },
        { NVME_FLUSH, 0, 0 },
        { NVME_WRITE_ZEROES, 8, 8 },
        { NVME_DATASET, 4ull << 32, 0 },
        { NVME_WRITE, 2, NVME_RW_FUA },
    };

    program_add(p, (FuzzOp){ .kind = FUZZ_FILL,
                             .count = 16,
                             .size = 1,
                             .at = N_LIST,
                             .a = FUZZ_RAM + 0x10000,
                             .b = FUZZ_RAM + 0x20000 });
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        nvme_command(p, N_IO + 64 * i, commands[i].opcode, 1, FUZZ_RAM + 0x10000,
                     i == 2 ? FUZZ_RAM + N_LIST : FUZZ_RAM + 0x11000, commands[i].d10,
                     commands[i].d12);
    }
    store(p, 0, NVME_REG_DOORBELLS + 8, 4, G_N_ELEMENTS(commands));
    wait_ms(p, 1);
    other(p, FUZZ_DISK, 4, 1, 0);
    other(p, FUZZ_SNAPSHOT, 0, 0, 0);
    other(p, FUZZ_DISK, 9, 0, 0);
    other(p, FUZZ_SNAPSHOT, 1, 0, 0);
    store(p, 0, NVME_REG_DOORBELLS + 12, 4, 4);
}

/* A queue full of reads that are as large as the disk. */
static void nvme_full(FuzzProgram *p)
{
    enum { CQ = 0x10000, SQ = 0x20000, N = 1024 };

    nvme_start(p);
    nvme_command(p, N_ADMIN, NVME_CREATE_CQ, 0, FUZZ_RAM + CQ, 0, 1 | (N - 1) << 16 | 3ull << 32,
                 0);
    nvme_command(p, N_ADMIN + 64, NVME_CREATE_SQ, 0, FUZZ_RAM + SQ, 0,
                 1 | (N - 1) << 16 | 0x10001ull << 32, 0);
    store(p, 0, NVME_REG_DOORBELLS, 4, 2);
    program_add(p, (FuzzOp){ .kind = FUZZ_FILL,
                             .count = 16,
                             .at = N_LIST,
                             .a = FUZZ_RAM + 0x18000,
                             .b = FUZZ_RAM + 0x19000 });
    nvme_command(p, SQ, NVME_READ, 1, FUZZ_RAM + 0x1a000, FUZZ_RAM + N_LIST, 0, 127);
    repeat(p, SQ, 64, N);
    store(p, 0, NVME_REG_DOORBELLS + 8, 4, N - 1);
    for (unsigned i = 0; i < 5; i++) {
        wait_ms(p, 1);
    }
}

void fuzz_seeds_nvme(GPtrArray *programs)
{
    FuzzProgram *p;

    nvme_full(program_new(programs));
    for (unsigned first = 0; first < G_N_ELEMENTS(nvme_commands); first += 11) {
        p = program_new(programs);
        nvme_start(p);
        nvme_queues(p);
        nvme_admin(p, first);
    }
    for (unsigned waits = 0; waits < 2; waits++) {
        p = program_new(programs);
        nvme_start(p);
        nvme_queues(p);
        other(p, FUZZ_WAIT, 0, 0, waits ? UINT64_MAX : 0);
        nvme_io(p);
        store(p, 0, NVME_REG_CC, 4, waits ? 0 : N_ENABLE | 1 << 14);
        wait_ms(p, 1);
    }
}

/* ---- xHCI ---- */

enum {
    X_USBCMD = 0x40,
    X_CRCR = 0x58,
    X_DCBAAP = 0x70,
    X_CONFIG = 0x78,
    X_PORTSC = 0x440,
    X_IMAN = 0x1020,
    X_DOORBELL = 0x2000,
};
enum {
    X_DCBAA = 0x1000,
    X_COMMANDS = 0x2000,
    X_SEGMENTS = 0x3000,
    X_EVENTS = 0x4000,
    X_INPUT = 0x6000,
    X_CONTEXTS = 0x8000,
    X_RINGS = 0x10000,
    X_DATA = 0x1f000,
};
enum { X_BULK_OUT = 2, X_CONTROL = 4, X_BULK_IN = 6, X_INT_IN = 7 };
enum { X_IOC = 0x20, X_IDT = 0x40, X_IN = 0x10000 };

/* What a driver keeps in mind. */
typedef struct Xhci {
    FuzzProgram *p;
    unsigned command, slot, at[32];
} Xhci;

static void trb(FuzzProgram *p, uint32_t at, uint64_t param, uint32_t status, uint32_t control)
{
    put(p, at, param, status | (uint64_t)(control | 1) << 32);
}

static void xhci_start(Xhci *x)
{
    FuzzProgram *p = x->p;

    put(p, X_SEGMENTS, FUZZ_RAM + X_EVENTS, 64);
    store(p, 0, X_CONFIG, 4, 8);
    store(p, 0, X_DCBAAP, 8, FUZZ_RAM + X_DCBAA);
    store(p, 0, X_CRCR, 8, FUZZ_RAM + X_COMMANDS + 1);
    store(p, 0, X_IMAN + 8, 4, 1);
    store(p, 0, X_IMAN + 24, 8, FUZZ_RAM + X_EVENTS);
    store(p, 0, X_IMAN + 16, 8, FUZZ_RAM + X_SEGMENTS);
    store(p, 0, X_IMAN, 4, 2);
    store(p, 0, X_USBCMD, 4, 5);
}

static void xhci_command(Xhci *x, uint64_t param, uint32_t control)
{
    trb(x->p, X_COMMANDS + 16 * x->command++, param, 0, control);
    store(x->p, 0, X_DOORBELL, 4, 0);
}

static uint32_t xhci_ring(const Xhci *x, unsigned dci)
{
    return X_RINGS + 0x2000 * x->slot + (dci == 1 ? 0x1000 : 0x200 * dci);
}

static void xhci_endpoint(Xhci *x, unsigned dci, unsigned type, unsigned size)
{
    put(x->p, X_INPUT + 32 * (1 + dci), (3ull << 1 | type << 3 | size << 16) << 32,
        (FUZZ_RAM + xhci_ring(x, dci)) | 1);
}

static void xhci_input(Xhci *x, unsigned port, uint32_t adds, uint32_t route)
{
    put(x->p, X_INPUT, (uint64_t)adds << 32, 0);
    put(x->p, X_INPUT + 32, route | 31u << 27 | (uint64_t)port << 48, 0);
}

/* Its device is at @port of the root hub. */
static void xhci_address(Xhci *x, unsigned port, uint32_t route)
{
    x->slot++;
    memset(x->at, 0, sizeof(x->at));
    if (!route) {
        store(x->p, 0, X_PORTSC + 16 * (port - 1), 4, 0x210);
    }
    xhci_command(x, 0, 9 << 10);
    put_short(x->p, X_DCBAA + 8 * x->slot, 8, FUZZ_RAM + X_CONTEXTS + x->slot * 0x800);
    xhci_input(x, port, 3, route);
    xhci_endpoint(x, 1, X_CONTROL, 64);
    xhci_command(x, FUZZ_RAM + X_INPUT, 11 << 10 | x->slot << 24);
}

static void xhci_transfer(Xhci *x, unsigned dci, uint64_t param, uint32_t status, uint32_t control)
{
    trb(x->p, xhci_ring(x, dci) + 16 * x->at[dci]++, param, status, control);
}

static void xhci_bell(Xhci *x, unsigned dci)
{
    store(x->p, 0, X_DOORBELL + 4 * x->slot, 4, dci);
}

static void xhci_control(Xhci *x, uint64_t setup)
{
    uint32_t in = setup & 0x80 ? X_IN : 0, length = (uint32_t)(setup >> 48);

    xhci_transfer(x, 1, setup, 8, 2 << 10 | X_IDT);
    if (length) {
        xhci_transfer(x, 1, FUZZ_RAM + X_DATA, length, 3 << 10 | in);
    }
    xhci_transfer(x, 1, 0, 0, 4 << 10 | (in && length ? 0 : X_IN) | X_IOC);
    xhci_bell(x, 1);
}

static void xhci_configure(Xhci *x, unsigned port, uint32_t route, unsigned dci, unsigned type)
{
    xhci_input(x, port, 1 | 1u << dci, route);
    xhci_endpoint(x, dci, type, 512);
    xhci_command(x, FUZZ_RAM + X_INPUT, 12 << 10 | x->slot << 24);
}

static void xhci_disk_command(Xhci *x, unsigned i)
{
    uint32_t at = X_DATA - 0x40, length = scsi_commands[i].in + scsi_commands[i].out;
    uint64_t cdb[2];

    memcpy(cdb, scsi_commands[i].cdb, sizeof(cdb));
    put(x->p, at, 0x123443425355ull, length | (uint64_t)(scsi_commands[i].in ? 0x80 : 0) << 32);
    put_short(x->p, at + 4, 4, 0x1234);
    put_short(x->p, at + 14, 1, 16);
    put(x->p, at + 15, cdb[0], cdb[1]);
    xhci_transfer(x, 4, FUZZ_RAM + at, 31, 1 << 10 | X_IOC);
    xhci_bell(x, 4);
    if (length) {
        unsigned dci = scsi_commands[i].in ? 3 : 4;

        xhci_transfer(x, dci, FUZZ_RAM + X_DATA, length, 1 << 10 | X_IOC | 4);
        xhci_bell(x, dci);
    }
    xhci_transfer(x, 3, FUZZ_RAM + X_DATA - 0x80, 13, 1 << 10 | X_IOC);
    xhci_bell(x, 3);
}

static void xhci_end(Xhci *x)
{
    wait_ms(x->p, 20);
    other(x->p, FUZZ_SNAPSHOT, 0, 0, 0);
    other(x->p, FUZZ_DISK, 4, 0, 0);
    store(x->p, 0, X_IMAN + 24, 8, FUZZ_RAM + X_EVENTS + 0x108);
    other(x->p, FUZZ_SNAPSHOT, 1, 0, 0);
    wait_ms(x->p, 1);
}

static void xhci_disk(GPtrArray *programs, unsigned first, uint64_t waiting)
{
    Xhci x = { .p = program_new(programs) };

    xhci_start(&x);
    xhci_address(&x, 5, 0);
    xhci_control(&x, 0x0000000000010900);
    xhci_configure(&x, 5, 0, 3, X_BULK_IN);
    xhci_configure(&x, 5, 0, 4, X_BULK_OUT);
    other(x.p, FUZZ_WAIT, 0, 0, waiting);
    xhci_disk_command(&x, 0);
    for (unsigned i = 0; i < SCSI_AT_ONCE; i++) {
        xhci_disk_command(&x, first + i);
    }
    xhci_end(&x);
}

/* Requests that some device or other knows; those that none of a kind knows halt the endpoint, so each kind of device has its own. */
static const uint64_t usb_requests[] = {
    0x0012000001000680, 0x00ff000002000680, 0x00ff000003000680, 0x00ff040903010680,
    0x00ff040903020680, 0x00ff040903030680, 0x0000000000010900, 0x0002000000000080,
    0x0002000000000081, 0x0002008100000082, 0x0001000000000880, 0x0000008100000302,
    0x0000008100000102, 0x0001000000000a81, 0x0000000000000b01,
};
static const uint64_t super_requests[] = { 0x001600000f000680, 0x0006000000003000,
                                           0x0000000000283100, 0x0000000000300300,
                                           0x000100000000fea1, 0x000000000000ff21 };
static const uint64_t high_requests[] = { 0x000a000006000680, 0x00ff000007000680,
                                          0x0000000000010300, 0x0000000000010100 };
static const uint64_t hid_requests[] = { 0x00ff000022000681, 0x0009000021000681, 0x00080000010001a1,
                                         0x00010000000002a1, 0x00010000000003a1, 0x0000000001000a21,
                                         0x0000000000000b21, 0x0001000002000921 };
static const uint64_t hub_requests[] = {
    0x00470000290006a0, 0x00040000000000a0, 0x0000000100080323, 0x0000000100040323,
    0x00040001000000a3, 0x0000000100100123, 0x0000000100140123, 0x0000000100020323,
    0x0000000100020123, 0x0000000100120123, 0x0000000100010123, 0x0000000100080123,
};

static void xhci_requests(GPtrArray *programs, unsigned port, uint32_t route,
                          const uint64_t *requests, unsigned n, bool super)
{
    Xhci x = { .p = program_new(programs) };

    xhci_start(&x);
    if (route) {
        xhci_address(&x, port, 0);
        xhci_control(&x, 0x0000000000010900);
        xhci_control(&x, 0x0000000000080323 | (uint64_t)route << 32);
        xhci_control(&x, 0x0000000000040323 | (uint64_t)route << 32);
    }
    xhci_address(&x, port, route);
    for (unsigned i = 0; i < G_N_ELEMENTS(usb_requests); i++) {
        xhci_control(&x, usb_requests[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(high_requests) && !super; i++) {
        xhci_control(&x, high_requests[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        xhci_control(&x, requests[i]);
    }
    xhci_end(&x);
}

/* A pointer at port 3, a keyboard behind the hub at port 2. */
static void xhci_input_devices(GPtrArray *programs)
{
    Xhci x = { .p = program_new(programs) };

    xhci_start(&x);
    xhci_address(&x, 3, 0);
    xhci_control(&x, 0x0000000000010900);
    xhci_control(&x, 0x00ff000022000681);
    xhci_configure(&x, 3, 0, 3, X_INT_IN);
    xhci_transfer(&x, 3, FUZZ_RAM + X_DATA, 8, 1 << 10 | X_IOC);
    xhci_transfer(&x, 3, FUZZ_RAM + X_DATA, 8, 1 << 10 | X_IOC);
    xhci_bell(&x, 3);
    program_add(x.p, (FuzzOp){ .kind = FUZZ_INPUT, .count = 1, .a = 100, .b = 200 });
    program_add(x.p, (FuzzOp){ .kind = FUZZ_INPUT, .count = 2, .a = 1 });
    xhci_end(&x);

    x = (Xhci){ .p = program_new(programs) };
    xhci_start(&x);
    xhci_address(&x, 2, 0);
    xhci_control(&x, 0x0000000000010900);
    xhci_control(&x, 0x00470000290006a0);
    xhci_control(&x, 0x0000000100080323);
    xhci_control(&x, 0x0000000100040323);
    xhci_control(&x, 0x00040001000000a3);
    xhci_configure(&x, 2, 0, 3, X_INT_IN);
    xhci_transfer(&x, 3, FUZZ_RAM + X_DATA, 2, 1 << 10 | X_IOC);
    xhci_bell(&x, 3);
    xhci_address(&x, 2, 1);
    xhci_control(&x, 0x0000000000010900);
    xhci_configure(&x, 2, 1, 3, X_INT_IN);
    xhci_transfer(&x, 3, FUZZ_RAM + X_DATA, 8, 1 << 10 | X_IOC);
    xhci_bell(&x, 3);
    program_add(x.p, (FuzzOp){ .kind = FUZZ_INPUT, .a = 4, .b = 1 });
    program_add(x.p, (FuzzOp){ .kind = FUZZ_INPUT, .a = 4 });
    xhci_control(&x, 0x0001000002000921);
    xhci_end(&x);
}

/* Rings of nothing but a link, and of nothing but chained descriptors. */
static void xhci_loops(GPtrArray *programs)
{
    for (unsigned i = 0; i < 3; i++) {
        Xhci x = { .p = program_new(programs) };

        xhci_start(&x);
        xhci_address(&x, 3, 0);
        if (i) {
            xhci_transfer(&x, 1, FUZZ_RAM + X_DATA, 64, 1 << 10 | (i == 1 ? 0x10 : X_IOC));
        }
        xhci_transfer(&x, 1, FUZZ_RAM + xhci_ring(&x, 1), 0, 6 << 10 | (i == 1 ? 0x10 : 0));
        xhci_bell(&x, 1);
        trb(x.p, X_COMMANDS + 16 * x.command, FUZZ_RAM + X_COMMANDS + 16 * x.command, 0, 6 << 10);
        store(x.p, 0, X_DOORBELL, 4, 0);
        xhci_end(&x);
    }
}

/* Commands that a driver needs when something went wrong. */
static void xhci_recovery(GPtrArray *programs)
{
    Xhci x = { .p = program_new(programs) };

    xhci_start(&x);
    xhci_address(&x, 3, 0);
    xhci_control(&x, 0x0008000009000680);
    xhci_command(&x, 0, 14 << 10 | 1 << 16 | 1 << 24);
    xhci_command(&x, (FUZZ_RAM + xhci_ring(&x, 1) + 16 * x.at[1]) | 1,
                 16 << 10 | 1 << 16 | 1 << 24);
    xhci_command(&x, 0, 15 << 10 | 1 << 16 | 1 << 24);
    xhci_command(&x, FUZZ_RAM + X_INPUT, 13 << 10 | 1 << 24);
    xhci_command(&x, 0, 17 << 10 | 1 << 24);
    xhci_command(&x, 0, 23 << 10);
    xhci_command(&x, 0, 10 << 10 | 1 << 24);
    xhci_command(&x, FUZZ_RAM + X_COMMANDS, 6 << 10 | 2);
    store(x.p, 0, X_CRCR, 8, 4);
    store(x.p, 0, X_USBCMD, 4, 0);
    store(x.p, 0, X_USBCMD, 4, 2);
    xhci_end(&x);
}

void fuzz_seeds_xhci(GPtrArray *programs)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(scsi_commands); i += SCSI_AT_ONCE) {
        xhci_disk(programs, i, i ? 0 : UINT64_MAX);
    }
    xhci_requests(programs, 5, 0, super_requests, G_N_ELEMENTS(super_requests), true);
    xhci_requests(programs, 3, 0, hid_requests, G_N_ELEMENTS(hid_requests), false);
    xhci_requests(programs, 2, 1, hid_requests, G_N_ELEMENTS(hid_requests), false);
    xhci_requests(programs, 2, 2, hid_requests, G_N_ELEMENTS(hid_requests), false);
    xhci_requests(programs, 2, 0, hub_requests, G_N_ELEMENTS(hub_requests), false);
    xhci_input_devices(programs);
    xhci_recovery(programs);
    xhci_loops(programs);
}

/* ---- AHCI ---- */

enum { A_LIST = 0x1000, A_FIS = 0x2000, A_TABLES = 0x3000, A_DATA = 0x10000, A_BAR = 5 };

/* Command @slot: 512 bytes for each of @n of its pieces. */
static void ahci_command(FuzzProgram *p, unsigned slot, uint8_t command, bool write, unsigned n,
                         bool queued)
{
    uint32_t table = A_TABLES + 0x100 * slot;
    uint64_t count = queued ? (uint64_t)slot << 3 : n;

    put(p, A_LIST + 32 * slot, 5 | (write ? 1 << 6 : 0) | (uint64_t)n << 16, FUZZ_RAM + table);
    put(p, table, 0x8027 | (uint64_t)command << 16 | (uint64_t)(queued ? n : 0) << 24 | 64ull << 56,
        count << 32);
    for (unsigned i = 0; i < n; i++) {
        put(p, table + 0x80 + 16 * i, FUZZ_RAM + A_DATA + 512 * i, (uint64_t)511 << 32);
    }
}

static void ahci_start(FuzzProgram *p)
{
    store(p, A_BAR, 4, 4, 0x80000002);
    store(p, A_BAR, 0x100, 4, FUZZ_RAM + A_LIST);
    store(p, A_BAR, 0x108, 4, FUZZ_RAM + A_FIS);
    store(p, A_BAR, 0x12c, 4, 1);
    store(p, A_BAR, 0x12c, 4, 0);
    store(p, A_BAR, 0x130, 4, ~0u);
    store(p, A_BAR, 0x110, 4, ~0u);
    store(p, A_BAR, 0x114, 4, ~0u);
    store(p, A_BAR, 0x118, 4, 0x17);
}

static void ahci_end(FuzzProgram *p)
{
    wait_ms(p, 1);
    other(p, FUZZ_SNAPSHOT, 0, 0, 0);
    other(p, FUZZ_DISK, 4, 1, 0);
    store(p, A_BAR, 0x110, 4, ~0u);
    store(p, A_BAR, 8, 4, 1);
    for (unsigned at = 0x100; at < 0x140; at += 4) {
        load(p, A_BAR, at, 4);
    }
    other(p, FUZZ_SNAPSHOT, 1, 0, 0);
    store(p, A_BAR, 0x118, 4, 0);
}

void fuzz_seeds_ahci(GPtrArray *programs)
{
    static const struct {
        uint8_t command;
        bool write;
        uint8_t n;
    } commands[] = {
        { 0xec, false, 1 }, { 0x25, false, 2 }, { 0x35, true, 2 },  { 0xea, false, 0 },
        { 0x06, true, 1 },  { 0xef, false, 0 }, { 0x20, false, 2 }, { 0x30, true, 2 },
        { 0x42, false, 0 }, { 0x2f, false, 1 }, { 0x47, false, 1 }, { 0xc6, false, 0 },
        { 0xc4, false, 2 }, { 0xc5, true, 2 },  { 0xc8, false, 2 }, { 0xca, true, 2 },
        { 0x3d, true, 1 },  { 0x90, false, 0 }, { 0xe5, false, 0 }, { 0xa1, false, 1 },
    };
    FuzzProgram *p;

    for (unsigned first = 0; first < G_N_ELEMENTS(commands); first += 10) {
        p = program_new(programs);
        ahci_start(p);
        for (unsigned i = 0; i < 10; i++) {
            ahci_command(p, i, commands[first + i].command, commands[first + i].write,
                         commands[first + i].n, false);
            store(p, A_BAR, 0x138, 4, 1u << i);
        }
        ahci_end(p);
    }
    for (unsigned waits = 0; waits < 2; waits++) {
        p = program_new(programs);
        ahci_start(p);
        other(p, FUZZ_WAIT, 0, 0, waits ? UINT64_MAX : 0);
        for (unsigned i = 0; i < 6; i++) {
            ahci_command(p, i, i & 1 ? 0x61 : 0x60, i & 1, 1 + i, true);
        }
        store(p, A_BAR, 0x134, 4, 0x3f);
        store(p, A_BAR, 0x138, 4, 0x3f);
        ahci_end(p);
    }
}

void fuzz_seeds_ahci_cd(GPtrArray *programs)
{
    /* The first two bytes of a command, and its last ones as numbers: where lengths are. */
    static const struct {
        uint64_t low, high;
        uint8_t n;
    } packets[] = {
        { 0x00, 0, 0 },
        { 0x03 | 0x12ull << 32, 0, 1 },
        { 0x12 | 0x24ull << 32, 0, 1 },
        { 0x25, 0, 1 },
        { 0x28 | 7ull << 40, 1, 4 },
        { 0xa8 | 9ull << 40, 1ull << 8, 4 },
        { 0xbe | 9ull << 40, 0x1001, 4 },
        { 0x43 | 1ull << 48, 0x14, 1 },
        { 0x0243, 0x14, 1 },
        { 0x20043, 0x40, 1 },
        { 0x46, 0xff, 1 },
        { 0x014a | 0x10ull << 32, 8, 1 },
        { 0x51, 0x22, 1 },
        { 0x3f005a, 0xff, 1 },
        { 0xbd, 8 << 8, 1 },
        { 0x1e | 1ull << 32, 0, 0 },
        { 0x1b | 2ull << 32, 0, 0 },
        { 0x1b | 3ull << 32, 0, 0 },
    };
    FuzzProgram *p = program_new(programs);

    ahci_start(p);
    for (unsigned i = 0; i < G_N_ELEMENTS(packets); i++) {
        uint32_t table = A_TABLES + 0x100 * i;

        ahci_command(p, i, 0xa0, false, packets[i].n, false);
        put(p, A_LIST + 32 * i, 5 | 1 << 5 | (uint64_t)packets[i].n << 16, FUZZ_RAM + table);
        put(p, table, 0x8027 | (uint64_t)0xa0 << 16 | (uint64_t)(i & 1) << 24, 0);
        put(p, table + 0x40, packets[i].low, packets[i].high);
        store(p, A_BAR, 0x138, 4, 1u << i);
        store(p, A_BAR, 0x118, 4, 0x10); /* some of them fail: the port goes on after this */
        store(p, A_BAR, 0x118, 4, 0x11);
    }
    ahci_end(p);
}

/* ---- e1000 ---- */

enum { E_RX = 0x1000, E_TX = 0x2000, E_BUFFERS = 0x10000, E_FRAME = 0x20000, E_ENTRIES = 16 };

static void e1000_ring(FuzzProgram *p, uint32_t reg, uint32_t at, unsigned tail)
{
    store(p, 0, reg, 4, FUZZ_RAM + at);
    store(p, 0, reg + 4, 4, 0);
    store(p, 0, reg + 8, 4, E_ENTRIES * 16);
    store(p, 0, reg + 0x10, 4, 0);
    store(p, 0, reg + 0x18, 4, tail);
}

/* Ethernet, IPv4 and TCP, so far as checksums and segments need them. */
static void e1000_frame(FuzzProgram *p)
{
    put(p, E_FRAME, 0xffffffffffff, 0x0045000801005634ull << 16);
    put(p, E_FRAME + 16, 0x0640000000003c00ull, 0x020a0f02000a0000ull);
    put(p, E_FRAME + 32, 0x500050000202, 0x1050000000000000ull);
}

/* Receives; sends as it comes, then with checksums, then in segments. @rfctl, @rctl: how descriptors of frames that come look. */
static void e1000_program(GPtrArray *programs, uint64_t rfctl, uint64_t rctl)
{
    enum {
        EOP = 1 << 24,
        RS = 1 << 27,
        DEXT = 1 << 29,
        TSE = 1 << 26,
        DATA = 1 << 20,
        TCP_IP4 = 3 << 24
    };
    FuzzProgram *p = program_new(programs);

    for (unsigned i = 0; i < E_ENTRIES; i++) {
        put(p, E_RX + 16 * i, FUZZ_RAM + E_BUFFERS + 0x800 * i, 0);
    }
    e1000_frame(p);
    put(p, E_TX, FUZZ_RAM + E_FRAME, EOP | RS | 60);
    put(p, E_TX + 16, 14 | 24 << 8 | 34ull << 32 | 50ull << 40,
        TCP_IP4 | TSE | DEXT | RS | 1000 | 54ull << 40 | 400ull << 48);
    put(p, E_TX + 32, FUZZ_RAM + E_FRAME, DATA | DEXT | TSE | 54 | 3ull << 40);
    put(p, E_TX + 48, FUZZ_RAM + E_FRAME + 54, DATA | DEXT | TSE | EOP | RS | 1000 | 3ull << 40);
    put(p, E_TX + 64, FUZZ_RAM + E_FRAME, DATA | DEXT | EOP | RS | 200 | 3ull << 40);
    store(p, 0, 0x5008, 4, rfctl);
    store(p, 0, 0x2170, 4, 0x00040402);
    e1000_ring(p, 0x2800, E_RX, E_ENTRIES - 1);
    store(p, 0, 0x5400, 4, 0x12005452);
    store(p, 0, 0x5404, 4, 0x80005634);
    store(p, 0, 0x100, 4, rctl | 1 << 1 | 1 << 3 | 1 << 15);
    store(p, 0, 0xd0, 4, ~0u);
    store(p, 0, 0x400, 4, 1 << 1 | 1 << 3);
    e1000_ring(p, 0x3800, E_TX, 5);
    wait_ms(p, 1);
    for (unsigned n = 0; n < 4; n++) {
        program_add(p, (FuzzOp){ .kind = FUZZ_RECEIVE,
                                 .at = n == 2 ? 3000 : 60 + n * 200,
                                 .a = 0xffffffffffffull,
                                 .b = 0x5000101 });
    }
    other(p, FUZZ_SNAPSHOT, 0, 0, 0);
    load(p, 0, 0xc0, 4);
    other(p, FUZZ_LINK, 0, 0, 0);
    load(p, 0, 0x8, 4);
    store(p, 0, 0x20, 4, 2 << 26 | 1 << 21 | 1 << 16);
    load(p, 0, 0x20, 4);
    store(p, 0, 0x14, 4, 1);
    load(p, 0, 0x14, 4);
    other(p, FUZZ_SNAPSHOT, 1, 0, 0);
    store(p, 0, 0, 4, 1 << 26);
}

void fuzz_seeds_e1000(GPtrArray *programs)
{
    e1000_program(programs, 0, 0);
    e1000_program(programs, 1 << 15, 1 << 5 | 1 << 18);
    e1000_program(programs, 1 << 15, 1 << 10 | 3 << 3 | 3 << 16 | 1 << 25);
}

/* ---- AIA ---- */

/* An APLIC alone is window 0, with an IMSIC before it window 8: both are written to. */
void fuzz_seeds_aia(GPtrArray *programs)
{
    for (unsigned aplic = 0; aplic < 16; aplic += 8) {
        FuzzProgram *p = program_new(programs);

        for (unsigned n = 0x70; n < 0x74; n += 2) { /* delivery, threshold */
            program_add(p,
                        (FuzzOp){ .kind = FUZZ_CSR, .at = (n - 0x70) / 2, .a = n == 0x70, .b = 1 });
        }
        program_add(p, (FuzzOp){ .kind = FUZZ_CSR, .at = 0x28, .a = 0xfe, .b = ~0ull });
        store(p, 0, 0, 4, 5);
        store(p, 0, 0x1000, 4, 6);
        program_add(p, (FuzzOp){ .kind = FUZZ_CSR, .count = 1, .a = 1 });
        store(p, aplic, 0, 4, aplic ? 0x104 : 0x100);
        for (unsigned i = 1; i < 8; i++) {
            store(p, aplic, 4 * i, 4, i);
            store(p, aplic, 0x3000 + 4 * i, 4, i | 1 << 18);
        }
        store(p, aplic, 0x1e00, 4, 0xfe);
        store(p, aplic, 0x1c00, 4, 4);
        store(p, aplic, 0x1cdc, 4, 5);
        store(p, aplic, 0x3000, 4, 3 | 1 << 18);
        for (unsigned i = 0; i < 8; i++) {
            other(p, FUZZ_LINE, 0, i, 1);
            other(p, FUZZ_LINE, 0, i, 0);
        }
        store(p, aplic, 0x4000, 4, 1);
        store(p, aplic, 0x4008, 4, 0);
        load(p, aplic, 0x4018, 4);
        load(p, aplic, 0x401c, 4);
        other(p, FUZZ_SNAPSHOT, 0, 0, 0);
        store(p, aplic, 0x1ddc, 4, 3);
        store(p, aplic, 0x1fdc, 4, 3);
        other(p, FUZZ_SNAPSHOT, 1, 0, 0);
    }
}

/* ---- What has no rings ---- */

void fuzz_seeds_flash(GPtrArray *programs)
{
    static const uint32_t writes[][2] = {
        { 0, 0x980098 }, { 0, 0x900090 },   { 0, 0xff00ff },   { 0, 0x600060 }, { 0, 0xd000d0 },
        { 0, 0x200020 }, { 0, 0xd000d0 },   { 0, 0x700070 },   { 0, 0x500050 }, { 0, 0x400040 },
        { 64, 0x1234 },  { 0, 0xe800e8 },   { 0, 0x30003 },    { 0, 1 },        { 4, 2 },
        { 8, 3 },        { 12, 4 },         { 0, 0xd000d0 },   { 0, 0xff00ff }, { 0, 0x600060 },
        { 0, 0x10001 },  { 0x40000, 0x20 }, { 0x40000, 0xd0 },
    };
    FuzzProgram *p = program_new(programs);

    for (unsigned i = 0; i < G_N_ELEMENTS(writes); i++) {
        store(p, 0, writes[i][0], 4, writes[i][1]);
        load(p, 0, 0x20 + 4 * i, 4);
    }
}

void fuzz_seeds_fw_cfg(GPtrArray *programs)
{
    FuzzProgram *p = program_new(programs);

    store(p, 0, 8, 2, 0x1900);
    load(p, 0, 0, 8);
    for (unsigned i = 0; i < 4;
         i++) { /* control, length, address, big-endian: read, skip, write, select */
        static const uint32_t controls[] = { 0x0a001900, 0x04000000, 0x18002000, 0x0a002000 };

        put(p, 0x100, GUINT32_SWAP_LE_BE(controls[i]) | 0x10ull << 56, 0x00100080ull << 32);
        store(p, 0, 16, 8, GUINT64_SWAP_LE_BE(FUZZ_RAM + 0x100));
    }
}

void fuzz_seeds_serial(GPtrArray *programs)
{
    static const uint8_t writes[][2] = { { 3, 0x80 }, { 0, 1 },    { 1, 0 },    { 3, 3 },
                                         { 2, 0xc7 }, { 4, 0x1f }, { 1, 0x0f }, { 0, 'a' } };
    FuzzProgram *p = program_new(programs);

    for (unsigned i = 0; i < G_N_ELEMENTS(writes); i++) {
        store(p, 0, writes[i][0], 1, writes[i][1]);
    }
    for (unsigned i = 0; i < 8; i++) {
        load(p, 0, i, 1);
    }
    store(p, 0, 4, 1, 0xb);
    other(p, FUZZ_TYPE, 0, 20, 'a');
    wait_ms(p, 10);
    load(p, 0, 5, 1);
    load(p, 0, 0, 1);
}

/* The devices of a board: PLIC, CLINT, clock, finisher, HTIF. */
void fuzz_seeds_board(GPtrArray *programs)
{
    enum { PLIC = 0, CLINT = 8, RTC = 16, FINISHER = 24, HTIF = 32 };
    FuzzProgram *p = program_new(programs);

    for (unsigned i = 1; i < 4; i++) {
        store(p, PLIC, 4 * i, 4, i);
    }
    for (unsigned i = 0; i < 2; i++) {
        store(p, PLIC, 0x2000 + 0x80 * i, 4, 0xe);
        store(p, PLIC, 0x200000 + 0x1000 * i, 4, i);
    }
    other(p, FUZZ_LINE, 0, 0, 1);
    other(p, FUZZ_LINE, 0, 2, 1);
    load(p, PLIC, 0x1000, 4);
    load(p, PLIC, 0x200004, 4);
    other(p, FUZZ_LINE, 0, 0, 0);
    store(p, PLIC, 0x200004, 4, 3);
    store(p, PLIC, 0x200004, 4, 1);
    store(p, CLINT, 0, 4, 1);
    store(p, CLINT, 0x4000, 8, 1000);
    load(p, CLINT, 0xbff8, 8);
    store(p, CLINT, 0xbff8, 4, 5);
    wait_ms(p, 10);
    load(p, RTC, 0, 4);
    load(p, RTC, 4, 4);
    store(p, RTC, 0x0c, 4, 0);
    store(p, RTC, 0x08, 4, 100);
    store(p, RTC, 0x10, 4, 1);
    store(p, RTC, 0x04, 4, 1);
    store(p, RTC, 0x00, 4, 1);
    store(p, RTC, 0x14, 4, 1);
    store(p, RTC, 0x1c, 4, 1);
    other(p, FUZZ_SNAPSHOT, 0, 0, 0);
    store(p, FINISHER, 0, 4, 0x33333);
    store(p, FINISHER, 0, 4, 0x7777);
    store(p, HTIF, 0, 8, 0x0101000000000041);
    store(p, HTIF, 0, 8, 0x0100000000000000);
    other(p, FUZZ_TYPE, 0, 2, 'a');
    load(p, HTIF + 1, 0, 8);
    put(p, 0x1000, 64, 1);
    put(p, 0x1010, FUZZ_RAM + 0x2000, 16);
    store(p, HTIF, 0, 8, FUZZ_RAM + 0x1000);
    store(p, HTIF, 0, 8, 3);
    other(p, FUZZ_SNAPSHOT, 1, 0, 0);
}
