/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The PHY of Intel's gigabit cards behind MDIC (a Marvell one, as drivers expect of both models), the link, and the EEPROM: by register (EERD), and
 * by the wires of the 82540EM's Microwire chip (EECD). The EEPROM cannot be written.
 */
#include <string.h>
#include "hw/net/e1000-priv.h"
#include "util/log.h"

enum { PHY_ADDRESS = 1, FIRST_PAGED = 16 };
enum { WIRE_COMMAND = 9, WIRE_START = 1 << 8, WIRE_READ = 2 }; /* bits: start, 2, 6 of address */

/* ---- PHY ---- */

void e1000_reset_phy(HwE1000 *s)
{
    memset(s->phy, 0, sizeof(s->phy));
    s->phy[PHY_BMCR] = 0x1140;
    s->phy[PHY_BMSR] = 0x7949;
    s->phy[PHY_ID1] = 0x0141;
    s->phy[PHY_ID2] = s->is_82574 ? 0x0cb1 : 0x0c20;
    s->phy[PHY_ADVERTISE] = 0x01e1;
    s->phy[PHY_CTRL1000] = 0x0300;
    s->phy[PHY_ESTATUS] = 0x3000;
    s->phy[PHY_SPECIFIC_CTRL] = 0x0068;
}

bool e1000_link_is_up(const HwE1000 *s)
{
    return s->net && net_link_is_up(s->net) && !(s->phy[PHY_BMCR] & BMCR_POWER_DOWN);
}

void e1000_link_changed(void *opaque)
{
    HwE1000 *s = opaque;

    if (s->link != e1000_link_is_up(s)) {
        s->link = !s->link;
        e1000_raise(s, ICR_LSC);
    }
}

static uint16_t phy_read(const HwE1000 *s, unsigned n)
{
    bool up = e1000_link_is_up(s);

    if (n >= FIRST_PAGED && n != PHY_PAGE && s->is_82574 && s->phy[PHY_PAGE]) {
        return 0;
    }
    switch (n) {
    case PHY_BMSR:
        return s->phy[n] | (up ? BMSR_LINK | BMSR_AUTO_DONE : 0);
    case PHY_PARTNER:
        return up ? 0x41e1 : 0; /* all speeds, no pauses */
    case PHY_STAT1000:
        return up ? 0x3c00 : 0;
    case PHY_SPECIFIC_STATUS:
        return up ? 0xac40 : 0; /* 1000 MBit/s, full duplex, resolved, link, crossed */
    }
    return s->phy[n];
}

static void write_bmcr(HwE1000 *s, uint16_t value)
{
    if (value & BMCR_RESET) {
        e1000_reset_phy(s);
        value &= BMCR_POWER_DOWN;
        value |= s->phy[PHY_BMCR];
    }
    s->phy[PHY_BMCR] = value & ~(BMCR_RESTART | BMCR_RESET);
    if ((value & BMCR_AUTO) && (value & BMCR_RESTART) && e1000_link_is_up(s)) {
        s->link = true;
        e1000_raise(s, ICR_LSC); /* it was lost for a moment */
    }
    e1000_link_changed(s);
}

static void phy_write(HwE1000 *s, unsigned n, uint16_t value)
{
    switch (n) {
    case PHY_BMCR:
        write_bmcr(s, value);
        return;
    case PHY_BMSR:
    case PHY_ID1:
    case PHY_ID2:
    case PHY_PARTNER:
    case PHY_STAT1000:
    case PHY_ESTATUS:
    case PHY_SPECIFIC_STATUS:
        return; /* read only */
    }
    if (n < FIRST_PAGED || n == PHY_PAGE || !s->is_82574 || !s->phy[PHY_PAGE]) {
        s->phy[n] = value;
    }
}

void e1000_write_mdic(HwE1000 *s, uint32_t value)
{
    uint32_t *mdic = e1000_reg(s, E1000_MDIC);
    unsigned n = value >> 16 & 31;

    *mdic = (value & ~(uint32_t)MDIC_ERROR) | MDIC_READY;
    if ((value >> 21 & 31) != PHY_ADDRESS) {
        *mdic |= MDIC_ERROR;
    } else if (value & MDIC_READ) {
        *mdic = (*mdic & ~0xffffu) | phy_read(s, n);
    } else if (value & MDIC_WRITE) {
        phy_write(s, n, (uint16_t)value);
    }
    if (value & MDIC_INTERRUPT) {
        e1000_raise(s, ICR_MDAC);
    }
}

/* ---- EEPROM ---- */

void e1000_make_eeprom(HwE1000 *s)
{
    const HwPciDeviceClass *pc = HW_PCI_DEVICE_GET_CLASS(&s->parent);
    uint16_t sum = 0;

    memset(s->eeprom, 0, sizeof(s->eeprom));
    for (unsigned i = 0; i < 3; i++) {
        s->eeprom[i] = (uint16_t)(s->mac[2 * i] | s->mac[2 * i + 1] << 8);
    }
    s->eeprom[0x04] = 0xffff; /* LEDs as usual */
    s->eeprom[0x0b] = pc->device_id;
    s->eeprom[0x0c] = pc->vendor_id;
    s->eeprom[0x0d] = pc->device_id;
    s->eeprom[0x0e] = pc->vendor_id;
    s->eeprom[0x37] = 0xffff; /* no other address */
    for (unsigned i = 0; i < E1000_EEPROM_WORDS - 1; i++) {
        sum = (uint16_t)(sum + s->eeprom[i]);
    }
    s->eeprom[E1000_EEPROM_WORDS - 1] = (uint16_t)(0xbaba - sum);
}

void e1000_write_eerd(HwE1000 *s, uint32_t value)
{
    unsigned shift = s->is_82574 ? 2 : 8, done = s->is_82574 ? 2 : 0x10;
    unsigned n = value >> shift & (s->is_82574 ? 0x3fff : 0xff);

    if (value & EERD_START) {
        value = (value & 0xffff & ~(unsigned)EERD_START) | done |
                (n < E1000_EEPROM_WORDS ? (uint32_t)s->eeprom[n] << 16 : 0);
    }
    *e1000_reg(s, E1000_EERD) = value;
}

/* A rising edge of the clock. */
static void clock_wire(HwE1000 *s, bool in)
{
    if (s->ee_left) {
        s->ee_left--;
        return;
    }
    s->ee_in = (uint16_t)(s->ee_in << 1 | in);
    if (!(s->ee_in & WIRE_START)) {
        return;
    }
    if ((s->ee_in >> 6 & 3) == WIRE_READ) {
        s->ee_out = s->eeprom[s->ee_in & (E1000_EEPROM_WORDS - 1)];
        s->ee_left = 17;
    } else {
        log_guest_error("e1000: the EEPROM cannot be written");
    }
    s->ee_in = 0;
}

void e1000_write_eecd(HwE1000 *s, uint32_t value)
{
    uint32_t *eecd = e1000_reg(s, E1000_EECD), before = *eecd;

    *eecd = value;
    if (!(value & EECD_CS)) {
        s->ee_in = 0;
        s->ee_left = 0;
    } else if ((value & ~before) & EECD_SK) {
        clock_wire(s, value & EECD_DI);
    }
}

uint32_t e1000_read_eecd(const HwE1000 *s)
{
    uint32_t value = s->reg[E1000_EECD / 4] & (EECD_SK | EECD_CS | EECD_DI | EECD_REQ);
    bool out = !s->ee_left || (s->ee_left <= 16 && (s->ee_out >> (s->ee_left - 1) & 1));

    return value | EECD_PRES | (s->is_82574 ? EECD_AUTO_RD : 0) | (out ? EECD_DO : 0) |
           (value & EECD_REQ ? EECD_GNT : 0);
}
