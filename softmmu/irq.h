/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupt lines: a plain struct that the receiver embeds and the sender points to. Setting a line calls the receiver's
 * handler at once, in the caller's thread; handlers of devices run under the machine lock, CPU input handlers are
 * lock-free (cpu_set_irq()).
 */
#ifndef SOFTMMU_IRQ_H
#define SOFTMMU_IRQ_H

#include <stdbool.h>
#include <stddef.h>

typedef void IrqHandler(void *opaque, unsigned n, bool level);

typedef struct Irq {
    IrqHandler *handler; /* NULL: not connected */
    void *opaque;
    unsigned n; /* the receiver's input number */
} Irq;

static inline void irq_init(Irq *irq, IrqHandler *handler, void *opaque, unsigned n)
{
    irq->handler = handler;
    irq->opaque = opaque;
    irq->n = n;
}

/* Sets the level of @irq's line; NULL or unconnected: nothing happens. */
static inline void irq_set(const Irq *irq, bool level)
{
    if (irq && irq->handler) {
        irq->handler(irq->opaque, irq->n, level);
    }
}

#endif
