/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intel's gigabit cards as a driver sees them, with a peer on a hub: EEPROM and PHY, what is sent and received by each kind of descriptor, filters,
 * interrupts, state; then a driver that writes nonsense, after which the good one must still send and receive.
 */
#include <glib.h>
#include <string.h>
#include "hw/net/e1000-regs.h"
#include "hw/net/e1000.h"
#include "hw/pci/pci-host-ecam.h"
#include "net/net.h"
#include "net/offload.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "tests/unit/bare.h"
#include "util/bytes.h"

#define RAM_BASE 0x80000000ull
#define BAR0     0x40000000ull
#define MSIX_BAR 0x41000000ull
#define IO_BAR   0x21000100ull
#define ECAM     0x20000000ull
#define SLOT     (ECAM + 0x8000)
#define MESSAGE  (RAM_BASE + 0x1000)
#define TX_RING  (RAM_BASE + 0x10000)
#define RX_RING  (RAM_BASE + 0x20000)
#define TX_DATA  (RAM_BASE + 0x100000)
#define RX_DATA  (RAM_BASE + 0x200000)

enum { RAM_SIZE = 4 << 20, N_RING = 16, RX_BUFFER = 2048, ETH = 14, HEADERS = ETH + 20 + 20 };
enum { EOP = TXD_CMD_EOP, RS = TXD_CMD_RS, DATA = TXD_CMD_DEXT | TXD_DTYP_DATA };

static const uint8_t own[] = { 0x52, 0x54, 0, 0x11, 0x22, 0x33 };
static uint8_t *ram_host;

typedef struct Card {
    HwDevice *host, *dev;
    NetBackend *peer;
    NetList got; /* what the peer received */
    Irq irq;
    bool level, is_82574;
    unsigned interrupts, tx_tail, rx_head, rx_tail;
} Card;

/* ---- Registers and memory ---- */

static uint32_t reg(unsigned offset)
{
    uint64_t value;

    g_assert_cmpint(memory_load(BAR0 + offset, 4, &value), ==, MEM_OK);
    return (uint32_t)value;
}

static void set_reg(unsigned offset, uint32_t value)
{
    g_assert_cmpint(memory_store(BAR0 + offset, 4, value), ==, MEM_OK);
}

static uint8_t *host(uint64_t addr)
{
    g_assert_cmphex(addr - RAM_BASE, <, RAM_SIZE);
    return ram_host + (addr - RAM_BASE);
}

static void irq_changed(void *opaque, unsigned n, bool level)
{
    Card *t = opaque;

    (void)n;
    t->interrupts += level && !t->level;
    t->level = level;
}

static void run_timers(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {}
}

/* ---- The peer ---- */

static bool peer_receive(void *opaque, const NetFrame *f)
{
    Card *t = opaque;
    NetFrame *copy = net_frame_new(f->len);

    memcpy(copy->data, f->data, f->len);
    copy->offload = f->offload;
    if (t->got.n < 1000) {
        net_list_append(&t->got, copy);
    } else {
        g_free(copy);
    }
    return true;
}

static const NetPortOps peer_ops = { .receive = peer_receive };

/* The next frame that the card sent; free it. */
static NetFrame *next_sent(Card *t)
{
    NetFrame *f = NULL;

    for (unsigned i = 0; !f && i < 20000; i++) {
        machine_lock();
        f = net_list_pop(&t->got);
        machine_unlock();
        if (!f) {
            run_timers();
            g_usleep(500);
        }
    }
    g_assert_nonnull(f);
    return f;
}

static void peer_send(Card *t, const void *data, size_t len, const NetOffload *offload)
{
    static const NetOffload none = { 0 };
    struct iovec iov = { (void *)data, len };

    machine_lock();
    g_assert_true(net_send(t->peer, offload ? offload : &none, &iov, 1));
    net_flush(t->peer);
    machine_unlock();
}

/* ---- The card ---- */

static void place_bars(const Card *t)
{
    memory_store(SLOT + PCI_BASE_ADDRESS_0, 4, BAR0);
    memory_store(SLOT + PCI_BASE_ADDRESS_0 + (t->is_82574 ? 8 : 4), 4, 0x100);
    if (t->is_82574) {
        memory_store(SLOT + PCI_BASE_ADDRESS_0 + 12, 4, MSIX_BAR);
    }
    memory_store(SLOT + PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void make_net(Card *t)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(net_new("hubport,id=a,hubid=0", &error) &&
                  net_new("hubport,id=b,hubid=0", &error));
    t->peer = net_find("b");
    g_assert_true(net_attach(t->peer, &peer_ops, t, "peer", NULL, &error));
}

static void make_card(Card *t, GType type)
{
    g_autoptr(GError) error = NULL;
    HwBus *bus = hw_bus_find(HW_PCI_BUS_TYPE, NULL);

    t->dev = hw_device_new(type, NULL);
    t->dev->bus = bus;
    g_assert_true(hw_device_set_prop(t->dev, "netdev", "a", &error));
    g_assert_true(hw_device_set_prop(t->dev, "mac", "52:54:00:11:22:33", &error));
    g_assert_true(hw_device_realize(t->dev, &error));
    g_assert_true(bus->plug(bus, t->dev, &error));
    g_ptr_array_add(bus->children, t->dev);
}

static Card *card_new(const void *type)
{
    const HwPciHostMap map = { ECAM,       1 << 20, 0x21000000,     1 << 16,
                               0x40000000, 1 << 28, 0x100000000ull, 1 << 28 };
    Card *t = g_new0(Card, 1);
    g_autoptr(GError) error = NULL;

    t->is_82574 = type == (const void *)hw_e1000e_get_type;
    machine_lock();
    make_net(t);
    t->host = hw_pci_host_ecam_new(&map);
    g_assert_true(hw_device_realize(t->host, &error));
    hw_pci_host_ecam_map(t->host);
    irq_init(&t->irq, irq_changed, t, 0);
    for (unsigned i = 0; i < 4; i++) {
        hw_device_connect_irq(t->host, i, &t->irq, i + 1);
    }
    make_card(t, t->is_82574 ? hw_e1000e_get_type() : hw_e1000_get_type());
    memory_commit();
    hw_devices_reset();
    machine_unlock();
    net_start();
    place_bars(t);
    return t;
}

static void card_free(Card *t)
{
    machine_lock();
    g_object_unref(t->host);
    memory_commit();
    machine_unlock();
    net_cleanup();
    net_list_clear(&t->got);
    g_free(t);
}

/* ---- The driver ---- */

static void start(Card *t, uint32_t rctl)
{
    set_reg(E1000_CTRL, CTRL_RST);
    set_reg(E1000_CTRL, CTRL_SLU | CTRL_VME);
    memset(host(TX_RING), 0, N_RING * TXD_SIZE);
    memset(host(RX_RING), 0, N_RING * RXD_SPLIT_SIZE);
    set_reg(E1000_TDBAL, (uint32_t)TX_RING);
    set_reg(E1000_TDLEN, N_RING * TXD_SIZE);
    set_reg(E1000_RDBAL, (uint32_t)RX_RING);
    set_reg(E1000_RDLEN, N_RING * RXD_SIZE);
    for (unsigned i = 0; i < N_RING; i++) {
        bytes_put_le64(host(RX_RING + i * RXD_SIZE), RX_DATA + i * RX_BUFFER);
    }
    t->tx_tail = t->rx_head = 0;
    t->rx_tail = N_RING - 1;
    set_reg(E1000_TCTL, TCTL_EN | TCTL_PSP);
    set_reg(E1000_RCTL, RCTL_EN | RCTL_BAM | rctl);
    set_reg(E1000_RDT, t->rx_tail);
    reg(E1000_ICR);
}

static void add_descriptor(Card *t, uint64_t addr, uint32_t low, uint32_t high)
{
    uint8_t *d = host(TX_RING + t->tx_tail * TXD_SIZE);

    bytes_put_le64(d, addr);
    bytes_put_le32(d + 8, low);
    bytes_put_le32(d + 12, high);
    t->tx_tail = (t->tx_tail + 1) % N_RING;
}

static void add_context(Card *t, const uint8_t where[8], uint32_t low, uint32_t high)
{
    add_descriptor(t, bytes_get_le64(where), TXD_CMD_DEXT | low, high);
}

static void kick(const Card *t)
{
    set_reg(E1000_TDT, t->tx_tail);
}

static void make_frame(uint8_t *f, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        f[i] = (uint8_t)(i * 7 + seed);
    }
    memcpy(f, "\xff\xff\xff\xff\xff\xff", 6);
    memcpy(f + 6, own, 6);
    bytes_put_be16(f + 12, 0x88b5);
}

/* TCP over IPv4, with checksum fields as drivers leave them. @pseudo_len: what is in the pseudo-header. */
static void make_tcp(uint8_t *f, size_t payload, size_t pseudo_len)
{
    uint8_t *ip = f + ETH, *tcp = ip + 20, length[2];
    size_t len = HEADERS + payload;

    make_frame(f, len, 5);
    bytes_put_be16(f + 12, 0x0800);
    memset(ip, 0, 40);
    ip[0] = 0x45;
    bytes_put_be16(ip + 2, pseudo_len ? (uint16_t)(len - ETH) : 0);
    ip[8] = 64;
    ip[9] = 6;
    memcpy(ip + 12, "\x0a\0\0\1\x0a\0\0\2", 8);
    tcp[12] = 0x50;
    bytes_put_be16(length, (uint16_t)pseudo_len);
    {
        uint8_t pseudo[12] = { 10, 0, 0, 1, 10, 0, 0, 2, 0, 6, length[0], length[1] };
        uint16_t sum = net_sum(pseudo, 12);

        memcpy(tcp + 16, &sum, 2);
    }
}

/* Both checksums of a TCP packet at @ip are right. */
static void assert_sums(const uint8_t *ip, size_t len)
{
    uint8_t *pseudo = g_malloc0(12 + len);

    g_assert_cmphex(net_sum(ip, 20), ==, 0xffff);
    g_assert_cmpuint(bytes_get_be16(ip + 2), ==, len);
    memcpy(pseudo, ip + 12, 8);
    pseudo[9] = 6;
    bytes_put_be16(pseudo + 10, (uint16_t)(len - 20));
    memcpy(pseudo + 12, ip + 20, len - 20);
    g_assert_cmphex(net_sum(pseudo, 12 + len - 20), ==, 0xffff);
    g_free(pseudo);
}

static void send_legacy(Card *t, size_t len, unsigned seed)
{
    make_frame(host(TX_DATA), len, seed);
    add_descriptor(t, TX_DATA, (uint32_t)len | EOP | RS, 0);
    kick(t);
}

static void check_sending(Card *t, size_t len, unsigned seed)
{
    unsigned at = t->tx_tail;
    g_autofree NetFrame *f = NULL;

    send_legacy(t, len, seed);
    f = next_sent(t);
    g_assert_cmpmem(f->data, MIN(f->len, len), host(TX_DATA), len);
    g_assert_cmpuint(f->len, ==, MAX(len, 60));
    g_assert_true(*host(TX_RING + at * TXD_SIZE + 12) & TXD_DD);
    g_assert_cmpuint(reg(E1000_TDH), ==, t->tx_tail);
}

/* The next frame in the legacy ring. */
static uint8_t *next_received(Card *t, uint16_t *len, uint8_t *status, uint16_t *special)
{
    uint8_t *d = host(RX_RING + t->rx_head * RXD_SIZE);

    for (unsigned i = 0; !(__atomic_load_n(d + 12, __ATOMIC_ACQUIRE) & RXD_DD); i++) {
        g_assert_cmpuint(i, <, 20000);
        run_timers();
        g_usleep(500);
    }
    *len = bytes_get_le16(d + 8);
    *status = d[12];
    *special = bytes_get_le16(d + 14);
    d[12] = 0;
    t->rx_head = (t->rx_head + 1) % N_RING;
    return host(bytes_get_le64(d));
}

static void give_back(Card *t, unsigned n)
{
    t->rx_tail = (t->rx_tail + n) % N_RING;
    set_reg(E1000_RDT, t->rx_tail);
}

static void check_receiving(Card *t, const uint8_t *frame, size_t len)
{
    uint16_t got, special;
    uint8_t status, *data;

    peer_send(t, frame, len, NULL);
    data = next_received(t, &got, &status, &special);
    g_assert_cmpuint(got, ==, MAX(len, 60) + 4);
    g_assert_cmpmem(data, len, frame, len);
    g_assert_cmphex(status, ==, RXD_DD | RXD_EOP | RXD_IXSM);
    give_back(t, 1);
}

/* What is sent now is not received, but a broadcast behind it. */
static void check_filtered(Card *t, const uint8_t *frame, size_t len)
{
    uint8_t marker[80];

    make_frame(marker, sizeof(marker), 99);
    peer_send(t, frame, len, NULL);
    check_receiving(t, marker, sizeof(marker));
}

/* ---- EEPROM, PHY, link ---- */

static unsigned wire_bits(unsigned value, unsigned n)
{
    unsigned in = 0;

    while (n--) {
        uint32_t eecd = EECD_REQ | EECD_CS | (value >> n & 1 ? EECD_DI : 0);

        set_reg(E1000_EECD, eecd);
        set_reg(E1000_EECD, eecd | EECD_SK);
        in = in << 1 | !!(reg(E1000_EECD) & EECD_DO);
        set_reg(E1000_EECD, eecd);
    }
    return in;
}

static unsigned eeprom_by_wire(unsigned n)
{
    unsigned value;

    set_reg(E1000_EECD, EECD_REQ);
    g_assert_true(reg(E1000_EECD) & EECD_GNT);
    wire_bits(6u << 6 | n, 9);
    value = wire_bits(0, 16);
    set_reg(E1000_EECD, 0);
    return value;
}

static unsigned eeprom(const Card *t, unsigned n)
{
    set_reg(E1000_EERD, EERD_START | n << (t->is_82574 ? 2 : 8));
    g_assert_true(reg(E1000_EERD) & (t->is_82574 ? 2 : 0x10));
    return reg(E1000_EERD) >> 16;
}

static unsigned phy(unsigned n)
{
    set_reg(E1000_MDIC, MDIC_READ | 1 << 21 | n << 16);
    g_assert_cmphex(reg(E1000_MDIC) & (MDIC_READY | MDIC_ERROR), ==, MDIC_READY);
    return reg(E1000_MDIC) & 0xffff;
}

static void test_registers(const void *type)
{
    Card *t = card_new(type);
    unsigned sum = 0;
    uint64_t value;

    for (unsigned i = 0; i < 64; i++) {
        sum += eeprom(t, i);
        g_assert_cmphex(eeprom_by_wire(i), ==, eeprom(t, i));
    }
    g_assert_cmphex(sum & 0xffff, ==, 0xbaba);
    g_assert_cmphex(eeprom(t, 0), ==, 0x5452);
    g_assert_cmphex(reg(E1000_RAL), ==, 0x11005452);
    g_assert_cmphex(reg(E1000_RAH), ==, 0x80003322);
    g_assert_cmphex(phy(PHY_ID1), ==, 0x141);
    g_assert_cmphex(phy(PHY_ID2), ==, t->is_82574 ? 0xcb1 : 0xc20);
    set_reg(E1000_MDIC, MDIC_READ | 2 << 21);
    g_assert_true(reg(E1000_MDIC) & MDIC_ERROR);
    set_reg(E1000_MDIC, MDIC_WRITE | 1 << 21 | PHY_ADVERTISE << 16 | 0x1234);
    g_assert_cmphex(phy(PHY_ADVERTISE), ==, 0x1234);
    memory_store(IO_BAR, 4, E1000_VET);
    memory_load(IO_BAR + 4, 4, &value);
    g_assert_cmphex(value, ==, 0x8100);
    memory_store(IO_BAR + 4, 4, 0x88a8);
    g_assert_cmphex(reg(E1000_VET), ==, 0x88a8);
    card_free(t);
}

static void set_link(bool up)
{
    machine_lock();
    g_assert_true(net_set_link("a", up, NULL));
    machine_unlock();
}

static void test_link(const void *type)
{
    Card *t = card_new(type);

    start(t, 0);
    g_assert_true(reg(E1000_STATUS) & STATUS_LU);
    set_reg(E1000_IMS, ICR_LSC);
    reg(E1000_ICR);
    set_link(false);
    g_assert_true(t->level);
    g_assert_true(reg(E1000_ICR) & ICR_LSC);
    g_assert_false(t->level);
    g_assert_false(reg(E1000_STATUS) & STATUS_LU);
    g_assert_false(phy(PHY_BMSR) & BMSR_LINK);
    set_link(true);
    g_assert_true(reg(E1000_ICR) & ICR_LSC);
    g_assert_true(phy(PHY_BMSR) & BMSR_LINK);
    set_reg(E1000_MDIC, MDIC_WRITE | 1 << 21 | PHY_BMCR << 16 | BMCR_POWER_DOWN);
    g_assert_false(reg(E1000_STATUS) & STATUS_LU);
    card_free(t);
}

/* ---- Sending ---- */

static void test_send(const void *type)
{
    Card *t = card_new(type);

    start(t, 0);
    for (unsigned i = 0; i < 3 * N_RING; i++) { /* around the ring */
        check_sending(t, 14 + i * 29, i);
    }
    g_assert_cmpuint(reg(E1000_GPTC), ==, 3 * N_RING);
    g_assert_cmpuint(reg(E1000_GPTC), ==, 0);
    card_free(t);
}

/* A frame in pieces, which is sent when all are there; with a VLAN tag. */
static void test_pieces(const void *type)
{
    Card *t = card_new(type);
    g_autofree NetFrame *f = NULL;

    start(t, 0);
    make_frame(host(TX_DATA), 900, 3);
    add_descriptor(t, TX_DATA, 5 | TXD_CMD_VLE, 0);
    add_descriptor(t, TX_DATA + 5, 495 | TXD_CMD_VLE, 0);
    kick(t);
    g_assert_cmpuint(reg(E1000_TDH), ==, 0);
    add_descriptor(t, TX_DATA + 500, 400 | EOP | RS | TXD_CMD_VLE, 0x0123 << 16);
    kick(t);
    f = next_sent(t);
    g_assert_cmpuint(f->len, ==, 904);
    g_assert_cmpmem(f->data, 12, host(TX_DATA), 12);
    g_assert_cmphex(bytes_get_be32(f->data + 12), ==, 0x81000123);
    g_assert_cmpmem(f->data + 16, 888, host(TX_DATA + 12), 888);
    card_free(t);
}

static const uint8_t of_tcp[] = { ETH, ETH + 10, ETH + 19, 0, ETH + 20, ETH + 36, 0, 0 };

static void test_checksums(const void *type)
{
    Card *t = card_new(type);

    start(t, 0);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t tag = i ? TXD_CMD_VLE : 0, n = 1001 - 333 * i;
        size_t at = i ? ETH + 4 : ETH;
        g_autofree NetFrame *f = NULL;

        make_tcp(host(TX_DATA), n, 20 + n);
        add_context(t, of_tcp, TXD_TUCMD_IP4 | TXD_TUCMD_TCP, 0);
        add_descriptor(t, TX_DATA, 60 | DATA | tag, (TXD_POPTS_IXSM | TXD_POPTS_TXSM) << 8);
        add_descriptor(t, TX_DATA + 60, (HEADERS - 60 + n) | DATA | EOP | RS | tag, 0);
        kick(t);
        f = next_sent(t);
        g_assert_cmpuint(f->len, ==, at + 40 + n);
        assert_sums(f->data + at, f->len - at);
    }
    card_free(t);
}

/* A legacy descriptor's checksum. */
static void test_legacy_checksum(const void *type)
{
    Card *t = card_new(type);
    g_autofree NetFrame *f = NULL;

    start(t, 0);
    make_tcp(host(TX_DATA), 100, 120);
    add_descriptor(t, TX_DATA, (HEADERS + 100) | EOP | RS | TXD_CMD_IC | (ETH + 36) << 16,
                   (ETH + 20) << 8);
    kick(t);
    f = next_sent(t);
    memset(f->data + ETH + 10, 0, 2);
    {
        uint16_t sum = (uint16_t)~net_sum(f->data + ETH, 20);

        memcpy(f->data + ETH + 10, &sum, 2);
    }
    assert_sums(f->data + ETH, f->len - ETH);
    card_free(t);
}

static void test_segments(const void *type)
{
    enum { PAYLOAD = 20000, MSS = 1400 };
    Card *t = card_new(type);
    size_t at = 0;

    start(t, 0);
    make_tcp(host(TX_DATA), PAYLOAD, 0);
    add_context(t, of_tcp, TXD_TUCMD_IP4 | TXD_TUCMD_TCP | PAYLOAD,
                HEADERS << 8 | (uint32_t)MSS << 16);
    add_descriptor(t, TX_DATA, HEADERS | DATA | TXD_CMD_TSE,
                   (TXD_POPTS_IXSM | TXD_POPTS_TXSM) << 8);
    add_descriptor(t, TX_DATA + HEADERS, PAYLOAD | DATA | TXD_CMD_TSE | EOP | RS, 0);
    kick(t);
    while (at < PAYLOAD) {
        g_autofree NetFrame *f = next_sent(t);
        size_t n = MIN(MSS, PAYLOAD - at);

        g_assert_cmpuint(f->len, ==, HEADERS + n);
        assert_sums(f->data + ETH, f->len - ETH);
        g_assert_cmpmem(f->data + HEADERS, n, host(TX_DATA + HEADERS + at), n);
        at += n;
    }
    g_assert_cmpuint(reg(E1000_TSCTC), ==, 1);
    card_free(t);
}

/* A receiver that takes large packets gets one whose length and sum are of the whole. */
static void test_whole_segments(const void *type)
{
    enum { PAYLOAD = 20000, MSS = 1400 };
    Card *t = card_new(type);
    g_autofree NetFrame *f = NULL;
    NetList done = { 0 };

    machine_lock();
    net_set_port_features(t->peer, NET_TAKES_CSUM | NET_TAKES_TSO4);
    machine_unlock();
    start(t, 0);
    make_tcp(host(TX_DATA), PAYLOAD, 0);
    add_context(t, of_tcp, TXD_TUCMD_IP4 | TXD_TUCMD_TCP | PAYLOAD,
                HEADERS << 8 | (uint32_t)MSS << 16);
    add_descriptor(t, TX_DATA, (HEADERS + PAYLOAD) | DATA | TXD_CMD_TSE | EOP | RS,
                   (TXD_POPTS_IXSM | TXD_POPTS_TXSM) << 8);
    kick(t);
    f = next_sent(t);
    g_assert_cmpuint(f->len, ==, HEADERS + PAYLOAD);
    g_assert_cmphex(f->offload.gso, ==, NET_GSO_TCP4);
    f->offload.gso = 0;
    net_offload_finish(g_steal_pointer(&f), 0, true, &done);
    f = net_list_pop(&done);
    assert_sums(f->data + ETH, f->len - ETH);
    card_free(t);
}

/* ---- Receiving ---- */

static void test_receive(const void *type)
{
    Card *t = card_new(type);
    uint8_t frame[1514];

    start(t, 0);
    for (unsigned i = 0; i < 3 * N_RING; i++) {
        make_frame(frame, sizeof(frame), i);
        memcpy(frame, own, 6);
        check_receiving(t, frame, 20 + i * 31);
    }
    g_assert_cmpuint(reg(E1000_GPRC), ==, 3 * N_RING);
    card_free(t);
}

static void test_filters(const void *type)
{
    static const uint8_t other[] = { 2, 0, 0, 0, 0, 1 }, group[] = { 1, 0, 0x5e, 0, 0x12, 0x34 };
    unsigned hash = 0x3412 >> 4 & 0xfff;
    Card *t = card_new(type);
    uint8_t frame[100];

    start(t, 0);
    make_frame(frame, sizeof(frame), 1);
    memcpy(frame, other, 6);
    check_filtered(t, frame, sizeof(frame));
    set_reg(E1000_RAL + 8 * 15, 0x00000002);
    set_reg(E1000_RAH + 8 * 15, 0x80000100);
    check_receiving(t, frame, sizeof(frame));
    set_reg(E1000_RAH + 8 * 15, 0x100);
    check_filtered(t, frame, sizeof(frame));
    set_reg(E1000_RCTL, RCTL_EN | RCTL_BAM | RCTL_UPE);
    check_receiving(t, frame, sizeof(frame));
    memcpy(frame, group, 6);
    check_filtered(t, frame, sizeof(frame));
    set_reg(E1000_MTA + hash / 32 * 4, 1u << hash % 32);
    check_receiving(t, frame, sizeof(frame));
    set_reg(E1000_MTA + hash / 32 * 4, 0);
    set_reg(E1000_RCTL, RCTL_EN | RCTL_MPE);
    check_receiving(t, frame, sizeof(frame));
    card_free(t);
}

static void test_vlan(const void *type)
{
    Card *t = card_new(type);
    uint8_t frame[200], status, *data;
    uint16_t len, tag;

    start(t, RCTL_VFE | RCTL_SECRC);
    make_frame(frame, sizeof(frame), 1);
    bytes_put_be32(frame + 12, 0x81000123);
    set_reg(E1000_VFTA + 0x123 / 32 * 4, 1u << 0x123 % 32);
    peer_send(t, frame, sizeof(frame), NULL);
    data = next_received(t, &len, &status, &tag);
    g_assert_cmpuint(len, ==, 196);
    g_assert_true(status & RXD_VP);
    g_assert_cmphex(tag, ==, 0x123);
    g_assert_cmpmem(data, 12, frame, 12);
    g_assert_cmpmem(data + 12, 184, frame + 16, 184);
    set_reg(E1000_RCTL, RCTL_EN | RCTL_BAM | RCTL_VFE);
    bytes_put_be16(frame + 14, 0x124);
    check_filtered(t, frame, sizeof(frame));
    card_free(t);
}

/* Frames wait for descriptors; long ones take several, if they may come at all. */
static void test_room(const void *type)
{
    Card *t = card_new(type);
    g_autofree uint8_t *frame = g_malloc(9000);
    uint16_t len, special;
    uint8_t status;

    start(t, 0);
    make_frame(frame, 9000, 1);
    check_filtered(t, frame, 9000);
    set_reg(E1000_RCTL, RCTL_EN | RCTL_BAM | RCTL_LPE | RCTL_SECRC);
    for (unsigned i = 0; i < 10; i++) {
        peer_send(t, frame, 9000, NULL);
    }
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned at = 0; at < 9000; at += RX_BUFFER) {
            const uint8_t *data = next_received(t, &len, &status, &special);

            g_assert_cmpmem(data, len, frame + at, MIN(RX_BUFFER, 9000 - at));
            g_assert_cmpuint(!!(status & RXD_EOP), ==, at + RX_BUFFER >= 9000);
        }
        give_back(t, 5);
    }
    card_free(t);
}

/* The 82574's extended descriptors, then those with several buffers. */
static void test_extended(const void *type)
{
    Card *t = card_new(type);
    const NetOffload valid = { .flags = NET_DATA_VALID };
    const uint32_t good = RXD_DD | RXD_EOP | RXD_TCPCS | RXD_IPCS;
    uint8_t frame[1000], *d = host(RX_RING);

    start(t, RCTL_SECRC);
    set_reg(E1000_RFCTL, RFCTL_EXSTEN);
    set_reg(E1000_RXCSUM, RXCSUM_IPOFLD | RXCSUM_TUOFLD);
    make_tcp(frame, 1000 - HEADERS, 1000 - ETH - 20);
    peer_send(t, frame, sizeof(frame), &valid);
    for (unsigned i = 0; !(__atomic_load_n(d + 8, __ATOMIC_ACQUIRE) & RXD_DD); i++) {
        g_assert_cmpuint(i, <, 20000);
        g_usleep(500);
    }
    g_assert_cmpuint(bytes_get_le16(d + 12), ==, 1000);
    g_assert_cmphex(bytes_get_le32(d + 8), ==, good);
    g_assert_cmpmem(host(RX_DATA), 1000, frame, 1000);
    set_reg(E1000_RCTL, RCTL_BAM | RCTL_SECRC | 1 << RCTL_DTYP_SHIFT);
    set_reg(E1000_PSRCTL, 128 >> 7 | 1 << 8);
    set_reg(E1000_RDH, 0);
    set_reg(E1000_RDLEN, 256);
    bytes_put_le64(d, RX_DATA);
    bytes_put_le64(d + 8, RX_DATA + 0x1000);
    set_reg(E1000_RDT, 4);
    set_reg(E1000_RCTL, RCTL_EN | RCTL_BAM | RCTL_SECRC | 1 << RCTL_DTYP_SHIFT);
    peer_send(t, frame, sizeof(frame), NULL);
    for (unsigned i = 0;
         !(__atomic_load_n(d + 8, __ATOMIC_ACQUIRE) & RXD_DD) || bytes_get_le16(d + 12) != 128;
         i++) {
        g_assert_cmpuint(i, <, 20000);
        g_usleep(500);
    }
    g_assert_cmpuint(bytes_get_le16(d + 18), ==, 872);
    g_assert_cmpmem(host(RX_DATA), 128, frame, 128);
    g_assert_cmpmem(host(RX_DATA + 0x1000), 872, frame + 128, 872);
    card_free(t);
}

/* ---- Interrupts ---- */

static void test_pin(const void *type)
{
    Card *t = card_new(type);
    uint8_t frame[100];

    start(t, 0);
    g_assert_false(t->level);
    send_legacy(t, 100, 1);
    g_free(next_sent(t));
    g_assert_false(t->level);
    set_reg(E1000_IMS, ICR_TXDW);
    g_assert_true(t->level);
    g_assert_true(reg(E1000_ICR) & ICR_TXDW);
    g_assert_false(t->level);
    set_reg(E1000_ICS, ICR_TXDW);
    g_assert_true(t->level);
    set_reg(E1000_IMC, ICR_TXDW);
    g_assert_false(t->level);
    reg(E1000_ICR);
    set_reg(E1000_IMS, ICR_RXT0);
    make_frame(frame, sizeof(frame), 1);
    check_receiving(t, frame, sizeof(frame));
    machine_lock();
    machine_unlock();
    g_assert_true(t->level);
    card_free(t);
}

/* A state goes into another life of the card. */
static void reload(Card *t)
{
    const StateField *table = HW_DEVICE_GET_CLASS(t->dev)->state;
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    machine_lock();
    state_save(t->dev, table, state);
    hw_devices_reset();
    g_assert_true(state_load(t->dev, table, state->data, state->len, &error));
    g_assert_true(HW_DEVICE_GET_CLASS(t->dev)->post_load(t->dev, &error));
    machine_unlock();
}

/* No two interrupts within ITR's time, with a snapshot between them as well. */
static void test_throttle(const void *type)
{
    Card *t = card_new(type);
    int64_t first;

    start(t, 0);
    set_reg(E1000_ITR, 40000); /* 10 ms */
    set_reg(E1000_IMS, ICR_TXDW);
    first = clock_now(CLOCK_VIRTUAL);
    set_reg(E1000_ICS, ICR_TXDW);
    g_assert_true(t->level);
    reg(E1000_ICR);
    set_reg(E1000_ICS, ICR_TXDW);
    reload(t);
    while (!t->level) {
        run_timers();
        g_usleep(100);
    }
    g_assert_cmpint(clock_now(CLOCK_VIRTUAL) - first, >=, 10000000);
    card_free(t);
}

static void test_messages(const void *type)
{
    Card *t = card_new(type);
    unsigned cap = ((HwPciDevice *)t->dev)->msix_cap;

    for (unsigned i = 0; i < 5; i++) {
        memory_store(MSIX_BAR + 16 * i, 4, MESSAGE + 4 * i);
        memory_store(MSIX_BAR + 16 * i + 8, 4, 0x100 + i);
        memory_store(MSIX_BAR + 16 * i + 12, 4, 0);
    }
    memory_store(SLOT + cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_ENABLE);
    start(t, 0);
    memset(host(MESSAGE), 0, 20);
    set_reg(E1000_IVAR, 8 | 9 << 8 | 10 << 16);
    set_reg(E1000_EIAC, 0x1f00000);
    set_reg(E1000_IAM, 0x1f00000);
    set_reg(E1000_CTRL_EXT, CTRL_EXT_EIAME);
    set_reg(E1000_IMS, ICR_TXQ0 | ICR_RXQ0 | ICR_OTHER);
    send_legacy(t, 100, 1);
    g_free(next_sent(t));
    g_assert_cmphex(bytes_get_le32(host(MESSAGE + 4)), ==, 0x101);
    g_assert_cmphex(bytes_get_le32(host(MESSAGE)), ==, 0);
    g_assert_cmphex(reg(E1000_IMS), ==, ICR_RXQ0 | ICR_OTHER);
    memset(host(MESSAGE), 0, 20);
    send_legacy(t, 100, 1);
    g_free(next_sent(t));
    g_assert_cmphex(bytes_get_le32(host(MESSAGE + 4)), ==, 0);
    set_reg(E1000_IMS, ICR_TXQ0);
    g_assert_cmphex(bytes_get_le32(host(MESSAGE + 4)), ==, 0x101);
    set_reg(E1000_ICS, ICR_LSC);
    g_assert_cmphex(bytes_get_le32(host(MESSAGE + 8)), ==, 0x102);
    g_assert_false(t->level);
    card_free(t);
}

/* A message that is masked waits, in a snapshot too. */
static void test_masked_message(const void *type)
{
    Card *t = card_new(type);
    unsigned cap = ((HwPciDevice *)t->dev)->msi_cap;

    start(t, 0);
    memset(host(MESSAGE), 0, 4);
    memory_store(SLOT + cap + PCI_MSI_ADDRESS, 4, MESSAGE);
    memory_store(SLOT + cap + PCI_MSI_DATA, 2, 0x123);
    memory_store(SLOT + cap + PCI_MSI_MASK, 4, 1);
    memory_store(SLOT + cap + PCI_MSI_FLAGS, 2, PCI_MSI_ENABLE);
    set_reg(E1000_IMS, ICR_TXDW);
    set_reg(E1000_ICS, ICR_TXDW);
    reload(t);
    run_timers();
    g_assert_cmphex(bytes_get_le32(host(MESSAGE)), ==, 0);
    memory_store(SLOT + cap + PCI_MSI_MASK, 4, 0);
    g_assert_cmphex(bytes_get_le32(host(MESSAGE)), ==, 0x123);
    card_free(t);
}

/* ---- State ---- */

/* In the middle of a frame's descriptors, a state goes into another life of the card. */
static void test_state(const void *type)
{
    Card *t = card_new(type);
    g_autofree NetFrame *f = NULL;
    uint8_t frame[100];

    start(t, 0);
    check_sending(t, 300, 1);
    make_tcp(host(TX_DATA), 600, 620);
    add_context(t, of_tcp, TXD_TUCMD_IP4 | TXD_TUCMD_TCP, 0);
    add_descriptor(t, TX_DATA, 200 | DATA, (TXD_POPTS_IXSM | TXD_POPTS_TXSM) << 8);
    kick(t);
    reload(t);
    run_timers();
    add_descriptor(t, TX_DATA + 200, (HEADERS + 600 - 200) | DATA | EOP | RS, 0);
    kick(t);
    f = next_sent(t);
    g_assert_cmpuint(f->len, ==, HEADERS + 600);
    assert_sums(f->data + ETH, f->len - ETH);
    make_frame(frame, sizeof(frame), 1);
    check_receiving(t, frame, sizeof(frame));
    card_free(t);
}

/* ---- The hostile driver ---- */

static uint32_t any(uint32_t n)
{
    return (uint32_t)g_test_rand_int() % n;
}

static uint32_t any_number(void)
{
    return any(2) ? (uint32_t)g_test_rand_int() : any(any(2) ? 32 : 0x10000);
}

static uint64_t any_address(void)
{
    static const uint64_t places[] = {
        TX_RING,  TX_DATA, RX_DATA, RX_RING, RAM_BASE + RAM_SIZE - 64,
        MSIX_BAR, 0,       ECAM,    BAR0,    UINT64_MAX - 64
    };

    return places[any(any(4) ? 4 : G_N_ELEMENTS(places))] + any(4096);
}

static void any_descriptor(Card *t)
{
    static const uint32_t commands[] = {
        EOP,          RS,          TXD_CMD_IC,      DATA,
        TXD_CMD_DEXT, TXD_CMD_VLE, EOP | DATA | RS, EOP | DATA | TXD_CMD_TSE
    };
    uint32_t low = commands[any(G_N_ELEMENTS(commands))] | commands[any(G_N_ELEMENTS(commands))];

    if ((low & DATA) == TXD_CMD_DEXT) {
        uint8_t where[8] = { ETH, ETH + 10, ETH + 19, 0, ETH + 20, ETH + 36, 0, 0 };

        where[any(8)] = (uint8_t)any(any(2) ? 256 : 64);
        add_context(t, where, any(4) ? TXD_TUCMD_IP4 | TXD_TUCMD_TCP : any_number(),
                    any(4) ? HEADERS << 8 | (1 + any(1500)) << 16 : any_number());
    } else {
        add_descriptor(t, any_address(),
                       low | any(any(2)   ? 2000
                                 : any(2) ? 20
                                          : 70000),
                       any(2) ? any(4) << 8 : any_number());
    }
}

static void hostile_register(void)
{
    static const uint16_t likely[] = {
        E1000_RCTL,  E1000_TCTL,  E1000_TDT,   E1000_TDH,    E1000_RDT,   E1000_RDH,  E1000_TDLEN,
        E1000_RDLEN, E1000_RFCTL, E1000_CTRL,  E1000_PSRCTL, E1000_MDIC,  E1000_EECD, E1000_IVAR,
        E1000_IMS,   E1000_ICS,   E1000_RDBAL, E1000_TDBAL,  E1000_TDBAH, E1000_ITR,  E1000_RXCSUM
    };
    unsigned offset = any(4) ? likely[any(G_N_ELEMENTS(likely))] : any(0x20000) & ~3u;

    if (any(4)) {
        set_reg(offset + (any(8) ? 0 : E1000_QUEUE), any_number());
    } else {
        reg(offset);
    }
}

static void hostile_step(Card *t)
{
    uint8_t frame[2000];

    switch (any(8)) {
    case 0:
        hostile_register();
        break;
    case 1:
        make_frame(frame, sizeof(frame), any(256));
        peer_send(t, frame, 14 + any(any(2) ? 1500 : 1980), NULL);
        break;
    case 2:
        bytes_put_le64(host(RX_RING + any(N_RING * RXD_SIZE) / 8 * 8), any_address());
        break;
    case 3:
        memory_store(SLOT + PCI_COMMAND, 2, any(8) ? 7 : 3);
        break;
    case 4:
        set_reg(E1000_RDT, any(N_RING));
        break;
    default:
        for (unsigned i = any(12); i; i--) {
            any_descriptor(t);
        }
        kick(t);
    }
}

static void test_hostile(const void *type)
{
    unsigned rounds = g_test_slow() ? 3000 : 200;
    Card *t = card_new(type);
    uint8_t frame[300];

    for (unsigned round = 0; round < rounds; round++) {
        start(t, any(2) ? 0 : any_number() & ~(uint32_t)RCTL_EN);
        for (unsigned i = 0; i < 100; i++) {
            hostile_step(t);
            if (!any(16)) {
                run_timers();
            }
        }
    }
    memory_store(SLOT + PCI_COMMAND, 2, 7);
    set_reg(E1000_MDIC, MDIC_WRITE | 1 << 21 | PHY_BMCR << 16 | BMCR_AUTO);
    set_reg(E1000_RCTL, 0);
    set_reg(E1000_CTRL, CTRL_RST);
    g_usleep(300000); /* what waits is offered again, and dropped */
    machine_lock();
    net_list_clear(&t->got);
    machine_unlock();
    start(t, 0);
    check_sending(t, 200, 77);
    make_frame(frame, sizeof(frame), 1);
    check_receiving(t, frame, sizeof(frame));
    card_free(t);
}

static void add(const char *name, void (*f)(const void *))
{
    g_autofree char *old = g_strdup_printf("/e1000/%s", name);
    g_autofree char *new = g_strdup_printf("/e1000e/%s", name);

    g_test_add_data_func(old, (const void *)hw_e1000_get_type, f);
    g_test_add_data_func(new, (const void *)hw_e1000e_get_type, f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ram_host = bare_init(16 << 20, RAM_BASE, RAM_SIZE);
    add("registers", test_registers);
    add("link", test_link);
    add("send", test_send);
    add("pieces", test_pieces);
    add("checksums", test_checksums);
    add("legacy-checksum", test_legacy_checksum);
    add("segments", test_segments);
    add("whole-segments", test_whole_segments);
    add("receive", test_receive);
    add("filters", test_filters);
    add("vlan", test_vlan);
    add("room", test_room);
    add("pin", test_pin);
    add("throttle", test_throttle);
    add("state", test_state);
    add("hostile", test_hostile);
    g_test_add_data_func("/e1000e/extended", (const void *)hw_e1000e_get_type, test_extended);
    g_test_add_data_func("/e1000e/messages", (const void *)hw_e1000e_get_type, test_messages);
    g_test_add_data_func("/e1000e/masked-message", (const void *)hw_e1000e_get_type,
                         test_masked_message);
    return g_test_run();
}
