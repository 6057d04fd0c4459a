/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts of Intel's gigabit cards: causes (ICR), their mask, and their way out as a pin, MSI, or on the 82574 as MSI-X messages by IVAR.
 * Interrupts are no closer to each other than ITR or EITR say; the delays by descriptor (RDTR, TIDV and their like) are nought.
 */
#include "hw/net/e1000-priv.h"

enum { ITR_NS = 256, ITR_MASK = 0xffff, IVAR_VALID = 8, N_IVAR = 5, PIN = E1000_N_VECTORS };

static int64_t interval(HwE1000 *s, unsigned vector)
{
    unsigned at = vector == PIN ? E1000_ITR : E1000_EITR + 4 * vector;

    return (int64_t)(*e1000_reg(s, at) & ITR_MASK) * ITR_NS;
}

/* False: not yet; the timer will be back. */
static bool may_fire(HwE1000 *s, unsigned vector)
{
    int64_t now = clock_now(CLOCK_VIRTUAL);

    if (now < s->next[vector]) {
        if (!timer_is_armed(&s->throttle) || s->throttle.deadline > s->next[vector]) {
            timer_set(&s->throttle, s->next[vector]);
        }
        return false;
    }
    s->next[vector] = now + interval(s, vector);
    return true;
}

/* Causes that IVAR (10.2.4.9) gives to a vector. */
static uint32_t causes_of(HwE1000 *s, unsigned vector)
{
    uint32_t ivar = *e1000_reg(s, E1000_IVAR), causes = 0;

    for (unsigned i = 0; i < N_IVAR; i++) {
        if ((ivar >> (4 * i) & 15) == (vector | IVAR_VALID)) {
            causes |= (uint32_t)ICR_RXQ0 << i;
        }
    }
    return causes;
}

static void update_messages(HwE1000 *s)
{
    uint32_t *icr = e1000_reg(s, E1000_ICR), *ims = e1000_reg(s, E1000_IMS);

    s->shown &= *icr & *ims;
    for (unsigned v = 0; (*icr & *ims & ~s->shown) && v < E1000_N_VECTORS; v++) {
        uint32_t causes = causes_of(s, v) & *icr & *ims;

        if (!(causes & ~s->shown) || !may_fire(s, v)) {
            continue;
        }
        *icr &= ~(causes & *e1000_reg(s, E1000_EIAC));
        if (*e1000_reg(s, E1000_CTRL_EXT) & CTRL_EXT_EIAME) {
            *ims &= ~(causes & *e1000_reg(s, E1000_IAM));
        }
        s->shown = (s->shown | causes) & *icr & *ims;
        hw_pci_notify(&s->parent, v);
    }
}

void e1000_update_irq(HwE1000 *s)
{
    bool level = *e1000_reg(s, E1000_ICR) & *e1000_reg(s, E1000_IMS);

    if (hw_pci_has_msix(&s->parent)) {
        update_messages(s);
    } else if (level != s->parent.intx_level && (!level || may_fire(s, PIN))) {
        hw_pci_set_irq(&s->parent, 0, level);
    }
}

void e1000_raise(HwE1000 *s, uint32_t causes)
{
    if (s->is_82574 && (causes & ICR_OTHERS)) {
        causes |= ICR_OTHER;
    }
    *e1000_reg(s, E1000_ICR) |= causes & ~ICR_INT_ASSERTED;
    e1000_update_irq(s);
}

/* What masks itself when a driver looks (82574: 10.2.4.1). */
static void auto_mask(HwE1000 *s)
{
    if (s->is_82574 && (*e1000_reg(s, E1000_CTRL_EXT) & CTRL_EXT_IAME)) {
        *e1000_reg(s, E1000_IMS) &= ~*e1000_reg(s, E1000_IAM);
    }
}

uint32_t e1000_read_icr(HwE1000 *s)
{
    uint32_t *icr = e1000_reg(s, E1000_ICR), ims = *e1000_reg(s, E1000_IMS), value = *icr;
    bool asserted = value & ims;

    if (s->is_82574 && asserted) {
        value |= ICR_INT_ASSERTED;
        auto_mask(s);
    }
    if (!s->is_82574 || asserted || !ims) {
        *icr = 0;
        e1000_update_irq(s);
    }
    return value;
}

void e1000_write_icr(HwE1000 *s, uint32_t value)
{
    uint32_t *icr = e1000_reg(s, E1000_ICR);

    if (*icr & *e1000_reg(s, E1000_IMS)) {
        auto_mask(s);
    }
    *icr &= ~value;
    e1000_update_irq(s);
}

void e1000_reset_irq(HwE1000 *s)
{
    timer_cancel(&s->throttle);
    for (unsigned v = 0; v <= PIN; v++) {
        s->next[v] = 0;
    }
    s->shown = 0;
    e1000_update_irq(s);
}
