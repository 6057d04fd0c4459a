/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/virtio-hostile.h"
#include "softmmu/memory.h"

uint64_t hostile_address(void)
{
    switch (g_test_rand_int_range(0, 8)) {
    case 0:
        return (uint64_t)(uint32_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();
    case 1:
        return RAM_BASE + RAM_SIZE - (uint64_t)g_test_rand_int_range(0, 64);
    case 2:
        return SLOT + (uint64_t)g_test_rand_int_range(0, 0x200);
    default:
        return RAM_BASE +
               (uint64_t)(g_test_rand_int_range(0, 0x10000) & ~(g_test_rand_bit() ? 15 : 0));
    }
}

uint32_t hostile_length(void)
{
    return g_test_rand_bit() ? (uint32_t)g_test_rand_int_range(0, 4096)
                             : (uint32_t)g_test_rand_int() >> g_test_rand_int_range(0, 32);
}

bool hostile_one_in(int n)
{
    return g_test_rand_int_range(0, n) == 0;
}

void hostile_add_chain(Queue *q)
{
    Buffer b[8];
    unsigned n = hostile_one_in(8) ? (unsigned)g_test_rand_int_range(1, 8) : 3;
    uint64_t header = q->heap + (uint64_t)g_test_rand_int_range(0, 64) * 16;

    guest_put(header, (uint64_t)g_test_rand_int_range(0, 15), 8);
    guest_put(header + 8, (uint64_t)g_test_rand_int_range(0, hostile_one_in(4) ? 4096 : 16), 8);
    if (hostile_one_in(4)) {
        guest_put(q->heap + 0x400, (uint64_t)g_test_rand_int_range(0, 4096), 8);
        guest_put(q->heap + 0x408,
                  (uint64_t)g_test_rand_int_range(0, 64) | (uint64_t)hostile_one_in(4) << 32, 8);
    }
    for (unsigned i = 0; i < n; i++) {
        b[i] = (Buffer){ q->heap + 0x400,
                         (uint32_t)g_test_rand_int_range(0, 4) * (hostile_one_in(2) ? 16 : 512),
                         i > 1 };
        b[i].addr = hostile_one_in(64) ? hostile_address() : b[i].addr;
        b[i].len = hostile_one_in(64) ? hostile_length() : b[i].len;
        b[i].write ^= hostile_one_in(64);
    }
    b[0] = hostile_one_in(64) ? b[0] : (Buffer){ header, 16, false };
    b[1].write = hostile_one_in(2);
    b[n - 1] =
        n == 1 ? b[0]
               : (Buffer){ q->heap, (uint32_t)g_test_rand_int_range(hostile_one_in(64) ? 0 : 1, 64),
                           true };
    queue_add(q, b, n);
}

/* A descriptor of a queue or of its tables. */
static void wild_desc(const Queue *q)
{
    uint64_t at = (q->indirect && !hostile_one_in(4) ? q->table : q->desc) +
                  (uint64_t)g_test_rand_int_range(0, QUEUE) * 16;
    unsigned flags = (unsigned)g_test_rand_int_range(0, hostile_one_in(4) ? 9 : 4);

    guest_put_desc(at, hostile_address(), hostile_length(), flags,
                   (unsigned)g_test_rand_int_range(0, QUEUE + 2));
}

static void wild_write(const Slot *s)
{
    static const uint16_t registers[] = {
        FEATURES_SEL, DRIVER_FEATURES, DRIVER_SEL, PAGE_SIZE, QUEUE_SEL,   QUEUE_NUM, QUEUE_ALIGN,
        QUEUE_PFN,    QUEUE_READY,     NOTIFY,     INT_ACK,   STATUS,      DESC,      DESC + 4,
        AVAIL,        AVAIL + 4,       USED,       USED + 4,  CONFIG + 32,
    };
    uint64_t offset = registers[g_test_rand_int_range(0, G_N_ELEMENTS(registers))];
    uint32_t value =
        g_test_rand_bit() ? (uint32_t)g_test_rand_int_range(0, 70) : (uint32_t)hostile_address();

    if (g_test_rand_int_range(0, 4) == 0) {
        offset = (uint64_t)g_test_rand_int_range(0, 0x200);
    }
    memory_store(s->base + offset, 1u << g_test_rand_int_range(0, 4), value);
}

/* A working setup, so that the nonsense gets further. @n: the device's queues. */
static void wild_start(Queue *q, unsigned n, Slot *s, bool legacy)
{
    uint64_t features = (uint64_t)g_test_rand_int() & slot_offered(s);

    if (legacy) {
        queue_start_legacy(q, s);
        return;
    }
    slot_negotiate(s, VERSION_1 | features);
    for (unsigned i = 0; i < n; i++) {
        slot_set_reg(s, QUEUE_SEL, i);
        queue_enable(&q[i], s, i, MIN(1u << g_test_rand_int_range(0, 7), slot_reg(s, QUEUE_MAX)));
        q[i].indirect = features & INDIRECT_DESC;
        q[i].packed = features & RING_PACKED;
    }
    slot_set_reg(s, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void wild_step(Queue *q, Slot *s, HostileRequest *request)
{
    uint64_t value;

    switch (g_test_rand_int_range(0, 100)) {
    case 0:
        wild_write(s);
        break;
    case 1:
        memory_load(s->base + (uint64_t)g_test_rand_int_range(0, 0x210),
                    1u << g_test_rand_int_range(0, 4), &value);
        break;
    case 2:
    case 3:
        wild_write(s);
        break;
    case 4:
        guest_put(q->desc + (uint64_t)g_test_rand_int_range(0, 0x8000 - 4),
                  (uint32_t)g_test_rand_int(), 4);
        break;
    case 5:
        guest_put(q->avail + 2, hostile_one_in(2) ? q->next_avail : (uint64_t)g_test_rand_int(), 2);
        break;
    case 6:
    case 7:
        slot_set_reg(s, INT_ACK, (uint32_t)g_test_rand_int_range(0, 4));
        break;
    default:
        for (unsigned i = (unsigned)g_test_rand_int_range(1, 4); i-- > 0;) {
            request(q);
        }
        for (unsigned i = hostile_one_in(32) ? 16 : 0; i-- > 0;) {
            wild_desc(q);
        }
        queue_kick(q);
    }
}

void hostile_drive(Slot *s, unsigned n, bool legacy, unsigned steps, HostileRequest *request)
{
    Queue q[4];

    wild_start(q, n, s, legacy);
    for (unsigned i = 0; i < steps; i++) {
        wild_step(&q[g_test_rand_int_range(0, (gint32)n)], s, request);
        if (hostile_one_in(400) || (slot_reg(s, STATUS) & (DRIVER_OK | NEEDS_RESET)) != DRIVER_OK) {
            wild_start(q, n, s, legacy);
        }
        if (i % 64 == 0) {
            driver_settle();
        }
    }
    slot_set_reg(s, STATUS, 0);
    driver_settle();
}

unsigned hostile_steps(void)
{
    return g_test_thorough() ? 3000000 : 150000;
}
