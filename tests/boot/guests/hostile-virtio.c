/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hostile drivers of a virtio disk (virtio 1.2: 2.7 split queues, 4.2 MMIO). Each mistake may break the device until its next reset, but
 * after that it must work, and nothing may have been written to the disk: hostile.py compares the image.
 */
#include "hostile.h"

typedef struct Desc {
    u64 addr;
    u32 len;
    u16 flags, next;
} Desc;

typedef struct Ring {
    Desc desc[16];
    struct {
        u16 flags, idx, ring[16];
    } avail;
    u8 pad[4096 - 16 * 16 - 36];
    struct {
        volatile u16 flags, idx;
        struct {
            u32 id, len;
        } ring[16];
    } used;
} Ring;

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { BLK_IN = 0, BLK_OUT = 1, N = 16 };

static Ring ring __attribute__((aligned(4096)));
static struct {
    u32 type, reserved;
    u64 sector;
} header;
static u8 data[1024] __attribute__((aligned(64)));
static u8 poison[1024] __attribute__((aligned(64))); /* zeros: no sector is */
static u8 status;
static u64 dev;

static volatile u32 *reg(u64 offset)
{
    return (volatile u32 *)(dev + offset);
}

static void find_disk(void)
{
    for (dev = VIRTIO; dev < VIRTIO + 0x8000; dev += 0x1000) {
        if (*reg(0) == 0x74726976 && *reg(8) == 2) {
            return;
        }
    }
    check(0);
}

static void set64(u64 offset, u64 value)
{
    *reg(offset) = (u32)value;
    *reg(offset + 4) = (u32)(value >> 32);
}

static void reset_ring(void)
{
    for (unsigned i = 0; i < sizeof(ring); i++) {
        ((volatile u8 *)&ring)[i] = 0;
    }
    status = 0xff;
}

/* Up to FEATURES_OK; then the queue of @num with its parts where they are asked for. */
static void set_up(u32 num, u64 desc, u64 avail, u64 used)
{
    *reg(0x70) = 0;
    while (*reg(0x70)) {}
    *reg(0x70) = 3;
    *reg(0x24) = 0;
    *reg(0x20) = 0;
    *reg(0x24) = 1;
    *reg(0x20) = 1; /* VERSION_1 */
    *reg(0x70) = 11;
    *reg(0x30) = 0;
    *reg(0x38) = num;
    set64(0x80, desc);
    set64(0x90, avail);
    set64(0xa0, used);
    *reg(0x44) = 1;
    *reg(0x70) = 15;
}

static void set_up_well(void)
{
    reset_ring();
    set_up(N, (u64)ring.desc, (u64)&ring.avail, (u64)&ring.used);
}

static void give(u16 head)
{
    ring.avail.ring[ring.avail.idx % N] = head;
    __sync_synchronize();
    ring.avail.idx++;
    __sync_synchronize();
    *reg(0x50) = 0;
}

static void wait_a_little(void)
{
    for (volatile unsigned i = 0; i < 200000; i++) {}
}

/* A request of @type in descriptors 0 to 2. */
static void make_request(u32 type, u64 addr, u32 len)
{
    header.type = type;
    header.sector = 0;
    ring.desc[0] = (Desc){ (u64)&header, 16, NEXT, 1 };
    ring.desc[1] = (Desc){ addr, len, (u16)(NEXT | (type == BLK_IN ? WRITE : 0)), 2 };
    ring.desc[2] = (Desc){ (u64)&status, 1, WRITE, 0 };
}

/* The disk works: its first sector reads as hostile.py made it. */
static void check_alive(void)
{
    set_up_well();
    make_request(BLK_IN, (u64)data, 512);
    give(0);
    for (u64 i = 0; ring.used.idx != 1; i++) {
        check(i < 200000000);
    }
    __sync_synchronize();
    check(status == 0);
    for (unsigned i = 0; i < 512; i++) {
        check(data[i] == (u8)(i * 7 + 1));
    }
}

typedef void Wild(void);

static void wild_data_out(void)
{
    static const u64 at[] = { NOWHERE, 0,     UART,      CLINT,   RAM_END - 8,
                              RAM_END, -16ul, 1ul << 63, RAM - 16 };

    for (unsigned i = 0; i < sizeof(at) / sizeof(*at); i++) {
        set_up_well();
        make_request(BLK_OUT, at[i], 512);
        give(0);
        wait_a_little();
    }
}

static void wild_lengths(void)
{
    static const u32 len[] = { 0xffffffff, 0xfffffe00, 0x80000000, 0, 1, 511, 513, 0x7fffffff };

    for (unsigned i = 0; i < sizeof(len) / sizeof(*len); i++) {
        set_up_well();
        make_request(BLK_OUT, (u64)poison, len[i]);
        header.sector = len[i] == 513 || len[i] == 511 || len[i] == 1 ? -1ul : 0;
        give(0);
        wait_a_little();
        set_up_well();
        make_request(BLK_OUT, -512ul, len[i]);
        give(0);
        wait_a_little();
    }
}

static void wild_sectors(void)
{
    static const u64 sector[] = {
        -1ul, 1ul << 55, (1ul << 55) - 1, 128, 1ul << 63, 0x7fffffffffffff
    };

    for (unsigned i = 0; i < sizeof(sector) / sizeof(*sector); i++) {
        set_up_well();
        make_request(BLK_OUT, (u64)poison, 512);
        header.sector = sector[i];
        give(0);
        wait_a_little();
    }
}

static void loops(void)
{
    for (unsigned to = 0; to < 2; to++) {
        for (u32 flags = 0; flags < 8; flags++) {
            set_up_well();
            make_request(BLK_OUT, (u64)poison, 512);
            ring.desc[1].next = (u16)to;
            ring.desc[1].flags |= NEXT | flags;
            give(0);
            wait_a_little();
        }
    }
    set_up_well();
    for (u16 i = 0; i < N; i++) {
        ring.desc[i] = (Desc){ (u64)data, 64, NEXT | WRITE, (u16)((i + 1) % N) };
    }
    give(0);
    wait_a_little();
}

static void wild_next(void)
{
    static const u16 next[] = { 16, 17, 0x7fff, 0xffff };

    for (unsigned i = 0; i < 4; i++) {
        set_up_well();
        make_request(BLK_OUT, (u64)poison, 512);
        ring.desc[0].next = next[i];
        give(0);
        wait_a_little();
        set_up_well();
        make_request(BLK_OUT, (u64)poison, 512);
        give(next[i]); /* the head itself */
        wait_a_little();
    }
}

static void wild_indirect(void)
{
    static const u64 at[] = { NOWHERE, (u64)-32, UART, (u64)ring.desc };

    for (unsigned i = 0; i < 4; i++) {
        for (u32 len = 0; len < 70; len += 16 + (len == 48 ? 5 : 0)) {
            set_up_well();
            ring.desc[0] = (Desc){ at[i], len, INDIRECT, 0 };
            give(0);
            wait_a_little();
        }
        set_up_well();
        ring.desc[0] = (Desc){ at[i], 0xfffffff0, INDIRECT | NEXT, 0 };
        give(0);
        wait_a_little();
    }
}

static void wild_avail(void)
{
    static const u16 ahead[] = { 17, 0x7fff, 0xffff, 0x8000 };

    for (unsigned i = 0; i < 4; i++) {
        set_up_well();
        ring.avail.idx = ahead[i];
        *reg(0x50) = 0;
        wait_a_little();
    }
}

static void wild_rings(void)
{
    static const u64 at[] = { 0,       NOWHERE, UART,      PLIC, CLINT, RAM_END - 2,
                              RAM_END, -2ul,    1ul << 60, 1,    FLASH };

    for (unsigned i = 0; i < sizeof(at) / sizeof(*at); i++) {
        for (unsigned part = 0; part < 3; part++) {
            reset_ring();
            set_up(N, part == 0 ? at[i] : (u64)ring.desc, part == 1 ? at[i] : (u64)&ring.avail,
                   part == 2 ? at[i] : (u64)&ring.used);
            make_request(part == 2 ? BLK_IN : BLK_OUT, (u64)data, part == 2 ? 512 : 0);
            give(0);
            wait_a_little();
        }
    }
}

static void wild_notify(void)
{
    static const u32 queue[] = { 1, 2, 77, 1023, 1024, 0xffff, 0x10000, 0xffffffff };

    set_up_well();
    for (unsigned i = 0; i < 8; i++) {
        *reg(0x50) = queue[i];
        *reg(0x30) = queue[i];
        check(*reg(0x34) == 0);
        *reg(0x38) = 16;
        *reg(0x44) = 1;
        set64(0x80, -1ul);
        set64(0x90, 1);
        *reg(0x50) = queue[i];
    }
}

/* Rings that the device's own data goes over. */
static void in_onto_ring(void)
{
    set_up_well();
    make_request(BLK_IN, (u64)&ring, 1024);
    give(0);
    wait_a_little();
    set_up_well();
    make_request(BLK_IN, (u64)&ring.used, 512);
    give(0);
    wait_a_little();
}

void case_virtio_queues(void)
{
    static Wild *const wild[] = { wild_data_out, wild_lengths,  wild_sectors, loops,
                                  wild_next,     wild_indirect, wild_avail,   wild_rings,
                                  wild_notify,   in_onto_ring };

    find_disk();
    check_alive();
    for (unsigned i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
        wild[i]();
        check_alive();
    }
}

void case_virtio_sizes(void)
{
    static const u32 num[] = { 0, 3, 5, 1025, 2048, 0x8000, 0xffff, 0x10000, 0x10010, 0xffffffff };

    find_disk();
    for (unsigned i = 0; i < sizeof(num) / sizeof(*num); i++) {
        reset_ring();
        set_up(num[i], (u64)ring.desc, (u64)&ring.avail, (u64)&ring.used);
        make_request(BLK_OUT, (u64)poison, 0);
        give(0);
        wait_a_little();
        check_alive();
    }
    /* Ready is set again, sizes are changed while in use. */
    for (unsigned i = 0; i < sizeof(num) / sizeof(*num); i++) {
        set_up_well();
        *reg(0x38) = num[i];
        set64(0x80, -16ul);
        *reg(0x44) = 1;
        make_request(BLK_OUT, NOWHERE, 512);
        give(0);
        wait_a_little();
        check_alive();
    }
}

/* A sector read onto code that was run: the disk's second sector holds "li a0, 9; ret", the third "li a0, 10; ret". */
void case_virtio_dma_on_code(void)
{
    static u8 page[8192] __attribute__((aligned(4096)));
    u64 at = (u64)page + 512;

    find_disk();
    set_up_well();
    for (u16 i = 0; i < 60; i++) {
        u64 want = 9 + (i & 1);

        make_request(BLK_IN, at, 512);
        header.sector = 1 + (i & 1);
        status = 0xff;
        give(0);
        for (u64 t = 0; ring.used.idx != i + 1; t++) {
            check(t < 200000000);
        }
        __sync_synchronize();
        fence_i();
        check(status == 0);
        check(((u64(*)(void))at)() == want);
        check(((u64(*)(void))at)() == want);
    }
}

/* Writes that must not happen: the driver has not agreed on features, or not said DRIVER_OK, or failed, or reset the device. */
void case_virtio_no_driver(void)
{
    static const u32 states[] = { 0, 1, 3, 7, 4, 11, 0x80, 0x8b, 15 };

    find_disk();
    for (unsigned i = 0; i < sizeof(states) / sizeof(*states); i++) {
        for (u32 features = 0; features < (states[i] == 15 ? 1 : 2); features++) {
            reset_ring();
            *reg(0x70) = 0;
            *reg(0x70) = states[i] & 3;
            *reg(0x24) = 1;
            *reg(0x20) = features;
            *reg(0x30) = 0;
            *reg(0x38) = N;
            set64(0x80, (u64)ring.desc);
            set64(0x90, (u64)&ring.avail);
            set64(0xa0, (u64)&ring.used);
            *reg(0x44) = 1;
            *reg(0x70) = states[i];
            make_request(BLK_OUT, (u64)poison, 512);
            give(0);
            wait_a_little();
            check_at(ring.used.idx == 0, states[i], features);
        }
        check_alive();
    }
    /* A queue that is not ready. */
    set_up_well();
    *reg(0x70) = 0;
    make_request(BLK_OUT, (u64)poison, 512);
    give(0);
    wait_a_little();
    check(ring.used.idx == 0);
}
