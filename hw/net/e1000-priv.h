/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of Intel's gigabit cards share: e1000.c (devices, registers), e1000-irq.c (interrupt causes), e1000-tx.c and e1000-rx.c (rings),
 * e1000-phy.c (PHY, EEPROM).
 *
 * Registers are an array as the guest sees them: nothing in it is trusted, each use checks what it says. So a state that is loaded needs no checks.
 */
#ifndef HW_NET_E1000_PRIV_H
#define HW_NET_E1000_PRIV_H

#include "hw/net/e1000-regs.h"
#include "hw/pci/pci.h"
#include "net/net.h"

enum {
    E1000_N_QUEUES = 2, /* 82540EM: 1 */
    E1000_N_VECTORS = 5,
    E1000_EEPROM_WORDS = 64,
};

typedef struct HwE1000 {
    HwPciDevice parent;
    NetBackend *net;
    char *name; /* for "info network" */
    uint8_t mac[NET_MAC_LEN];
    bool is_82574;
    MemoryRegion mmio, io;

    /* What a driver sees. */
    uint32_t reg[E1000_REGS_END / 4];
    uint16_t phy[PHY_N_REGS];
    uint8_t context[E1000_N_QUEUES * TXD_SIZE]; /* the queues' last context descriptors */
    uint32_t io_address;
    uint16_t ee_in; /* EEPROM by wire: bits so far, the start bit first */
    uint16_t ee_out;
    uint8_t ee_left; /* bits of ee_out to come; 17: the zero before them */
    bool link;       /* as it was last told */
    uint32_t shown;  /* causes that messages were sent for */
    int64_t next[E1000_N_VECTORS +
                 1]; /* earliest interrupt, ns of the virtual clock; the last: of pin or MSI */

    /* Of this process. */
    uint16_t eeprom[E1000_EEPROM_WORDS];
    uint8_t received; /* bits: queues with frames that no interrupt told of */
    Timer throttle, again;
} HwE1000;

static inline uint32_t *e1000_reg(HwE1000 *s, unsigned offset)
{
    return &s->reg[offset / 4];
}

/* Where a ring of @size bytes for each descriptor has number @n: host memory, or NULL (logged). @written: it will be. */
uint8_t *e1000_descriptor(HwE1000 *s, unsigned base, uint32_t n, unsigned size, bool written);
/* Adds to a counter that stays at its end, or one of 64 bits. */
void e1000_count(HwE1000 *s, unsigned offset, uint32_t n);
void e1000_count64(HwE1000 *s, unsigned offset, uint64_t n);
/* A frame of @len bytes passed: counters from @by_length on. */
void e1000_count_length(HwE1000 *s, unsigned by_length, size_t len);

/* ---- e1000-irq.c ---- */

/* ICR gets @causes. */
void e1000_raise(HwE1000 *s, uint32_t causes);
/* Causes, masks or what is on of INTx, MSI and MSI-X changed. */
void e1000_update_irq(HwE1000 *s);
uint32_t e1000_read_icr(HwE1000 *s);
void e1000_write_icr(HwE1000 *s, uint32_t value);
void e1000_reset_irq(HwE1000 *s);

/* ---- e1000-tx.c ---- */

/* Sends what is in the rings, as much as the back end takes. */
void e1000_transmit(HwE1000 *s);

/* ---- e1000-rx.c ---- */

/* NetPortOps. */
bool e1000_receive(void *opaque, const NetFrame *frame);
void e1000_received(void *opaque);

/* ---- e1000-phy.c ---- */

void e1000_make_eeprom(HwE1000 *s);
void e1000_reset_phy(HwE1000 *s);
bool e1000_link_is_up(const HwE1000 *s);
/* It may have changed: tells the driver. */
void e1000_link_changed(void *opaque);
void e1000_write_mdic(HwE1000 *s, uint32_t value);
void e1000_write_eerd(HwE1000 *s, uint32_t value);
void e1000_write_eecd(HwE1000 *s, uint32_t value);
uint32_t e1000_read_eecd(const HwE1000 *s);

#endif
