/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the xHCI host controller (eXtensible Host Controller Interface for USB, revision 1.1; sections named in the files are its).
 *
 * An endpoint has an index: slot * 32 + device context index. What it is like is in arrays by that index, which the state table knows; what is
 * under way is an XhciTd, which it does not: a transfer descriptor is not taken off its ring before it is done, so whoever
 * loads a state begins it anew.
 */
#ifndef HW_USB_XHCI_PRIV_H
#define HW_USB_XHCI_PRIV_H

#include "hw/pci/pci.h"
#include "hw/usb/usb.h"

enum {
    XHCI_SLOTS = 32,                    /* an instance of a GObject has less than 64 KiB */
    XHCI_N_EPS = (XHCI_SLOTS + 1) * 32, /* slots are counted from 1 */
    XHCI_INTRS = 16,
    XHCI_MAX_CONNECTORS = 15,
    XHCI_MAX_PORTS = 2 * XHCI_MAX_CONNECTORS,
    XHCI_TRB = 16,
    XHCI_CONTEXT = 32,
    XHCI_EPS_WORDS = XHCI_N_EPS / 64 + 1,
};

/* 6.4.6 */
enum {
    TRB_NORMAL = 1,
    TRB_SETUP = 2,
    TRB_DATA = 3,
    TRB_STATUS = 4,
    TRB_ISOCH = 5,
    TRB_LINK = 6,
    TRB_EVENT_DATA = 7,
    TRB_NO_OP = 8,
    TRB_ENABLE_SLOT = 9,
    TRB_DISABLE_SLOT = 10,
    TRB_ADDRESS_DEVICE = 11,
    TRB_CONFIGURE_ENDPOINT = 12,
    TRB_EVALUATE_CONTEXT = 13,
    TRB_RESET_ENDPOINT = 14,
    TRB_STOP_ENDPOINT = 15,
    TRB_SET_TR_DEQUEUE = 16,
    TRB_RESET_DEVICE = 17,
    TRB_GET_PORT_BANDWIDTH = 21,
    TRB_COMMAND_NO_OP = 23,
    TRB_TRANSFER_EVENT = 32,
    TRB_COMMAND_EVENT = 33,
    TRB_PORT_EVENT = 34,
    TRB_HOST_EVENT = 37,
};

/* Of a TRB's last word. */
enum {
    TRB_CYCLE = 0x1,
    TRB_TOGGLE = 0x2, /* of a link */
    TRB_ISP = 0x4,
    TRB_CHAIN = 0x10,
    TRB_IOC = 0x20,
    TRB_IDT = 0x40,
    TRB_BEI = 0x200,
    TRB_DIR_IN = 0x10000,
};

/* 6.4.5 */
enum {
    CC_SUCCESS = 1,
    CC_BABBLE = 3,
    CC_TRANSACTION_ERROR = 4,
    CC_TRB_ERROR = 5,
    CC_STALL = 6,
    CC_NO_SLOTS = 9,
    CC_SLOT_NOT_ENABLED = 11,
    CC_ENDPOINT_NOT_ENABLED = 12,
    CC_SHORT_PACKET = 13,
    CC_PARAMETER_ERROR = 17,
    CC_CONTEXT_STATE = 19,
    CC_EVENT_RING_FULL = 21,
    CC_COMMAND_STOPPED = 24,
};

/* 6.2.2, 6.2.3: slot and endpoint states */
enum { SLOT_ENABLED = 0, SLOT_DEFAULT = 1, SLOT_ADDRESSED = 2, SLOT_CONFIGURED = 3 };
enum { EP_DISABLED = 0, EP_RUNNING = 1, EP_HALTED = 2, EP_STOPPED = 3, EP_ERROR = 4 };
/* EP types */
enum { EP_ISOCH_OUT = 1, EP_BULK_OUT, EP_INT_OUT, EP_CONTROL, EP_ISOCH_IN, EP_BULK_IN, EP_INT_IN };

typedef struct XhciTrb {
    uint64_t addr; /* where it is */
    uint64_t param;
    uint32_t status, control;
} XhciTrb;

typedef struct XhciTd XhciTd;

typedef struct HwXhci {
    HwPciDevice parent;
    uint8_t n_usb2, n_usb3; /* properties: ports */
    MemoryRegion registers;
    HwUsbBus *bus;
    HwUsbPort *connectors[XHCI_MAX_CONNECTORS];
    Timer rekick;

    /* Operational registers (5.4). */
    uint32_t usbcmd, usbsts, dnctrl, config;
    uint64_t crcr, dcbaap; /* crcr: where the command ring goes on, and flags */
    uint32_t portsc[XHCI_MAX_PORTS], portpmsc[XHCI_MAX_PORTS];
    /* Runtime registers (5.5) of the interrupters, and where in its ring each is. */
    uint32_t iman[XHCI_INTRS], imod[XHCI_INTRS], erstsz[XHCI_INTRS];
    uint64_t erstba[XHCI_INTRS], erdp[XHCI_INTRS];
    uint32_t er_segment[XHCI_INTRS], er_index[XHCI_INTRS];
    bool er_cycle[XHCI_INTRS];
    /* Slots. */
    bool slot_enabled[XHCI_SLOTS + 1];
    uint8_t slot_state[XHCI_SLOTS + 1], slot_port[XHCI_SLOTS + 1]; /* port from 1 */
    uint32_t slot_route[XHCI_SLOTS + 1];
    /* Endpoints. */
    uint8_t ep_state[XHCI_N_EPS], ep_type[XHCI_N_EPS];
    uint64_t ep_dequeue[XHCI_N_EPS]; /* bit 0: the cycle state */
    uint8_t ep_stage[XHCI_N_EPS];    /* control: XhciStage */
    uint64_t ep_setup[XHCI_N_EPS];   /* its setup packet, as in memory */

    /* Follows from the above, or is made anew. */
    XhciTd *td[XHCI_N_EPS];           /* under way */
    unsigned reserved[XHCI_INTRS];    /* places in event rings for what is under way */
    uint64_t kicked[XHCI_EPS_WORDS];  /* endpoints for the timer to go on with */
    uint64_t waiting[XHCI_EPS_WORDS]; /* endpoints whose device had nothing */
    bool command_kicked;
    bool starved; /* some of kicked wait for room in an event ring */
    int budget;   /* TRBs that may be looked at before the timer goes on */
} HwXhci;

/* USBCMD, USBSTS, CRCR, IMAN, ERDP */
enum { CMD_RUN = 0x1, CMD_RESET = 0x2, CMD_INTE = 0x4, CMD_WRITABLE = 0x0d05 };
enum { STS_HALTED = 0x1, STS_HOST_ERROR = 0x4, STS_EINT = 0x8, STS_PORT = 0x10 };
enum { CRCR_CYCLE = 0x1, CRCR_STOP = 0x2, CRCR_ABORT = 0x4, CRCR_RUNNING = 0x8 };
enum { IMAN_PENDING = 0x1, IMAN_ENABLE = 0x2, ERDP_BUSY = 0x8 };

static inline bool xhci_is_running(const HwXhci *s)
{
    return (s->usbcmd & CMD_RUN) && !(s->usbsts & STS_HOST_ERROR);
}

static inline unsigned xhci_ep(unsigned slot, unsigned dci)
{
    return slot * 32 + dci;
}

static inline unsigned trb_type(const XhciTrb *t)
{
    return t->control >> 10 & 63;
}

/* xhci-ring.c: TRBs in guest memory. False: that is not RAM, and the controller has stopped with an error. */
bool xhci_trb_read(HwXhci *s, uint64_t addr, XhciTrb *trb);
/* Takes the next TRB that is no link off a ring at *@ring (bit 0: cycle state). False: it is still the driver's (or *@ring leads nowhere). At most
 * XHCI_MAX_LINKS links are followed. */
enum { XHCI_MAX_LINKS = 32 };
bool xhci_ring_next(HwXhci *s, uint64_t *ring, XhciTrb *trb, bool *chained);
/* Whether @n more events have a place in the ring of interrupter @intr beside those reserved. */
bool xhci_event_room(HwXhci *s, unsigned intr, unsigned n);
/* The ring has all the room that it is ever going to have. */
bool xhci_event_ring_is_free(HwXhci *s, unsigned intr);
/* @trb: without the cycle bit. Events that have no place are lost. */
void xhci_event(HwXhci *s, unsigned intr, const XhciTrb *trb, bool quiet);
void xhci_update_interrupts(HwXhci *s);
void xhci_write_erdp(HwXhci *s, unsigned intr, uint64_t value);
/* The interrupter's ring begins anew. */
void xhci_event_ring_start(HwXhci *s, unsigned intr);
/* The controller cannot go on (HSE). */
void xhci_host_error(HwXhci *s, const char *what);

/* What is begun now may look at @budget TRBs. */
enum { XHCI_DOORBELL_BUDGET = 4096, XHCI_TIMER_BUDGET = 16384 };
void xhci_arm(HwXhci *s);

/* xhci-command.c */
/* Runs commands; a bounded number, the timer goes on. */
void xhci_run_commands(HwXhci *s);
/* Slot @slot's device as it is reached now, if its address is still the slot's; or NULL. */
HwUsbDevice *xhci_slot_device(HwXhci *s, unsigned slot);
/* The endpoint's state, in the output device context too. */
void xhci_set_ep_state(HwXhci *s, unsigned ep, uint8_t state);

/* xhci-transfer.c */
/* Runs transfers of an endpoint; a bounded number, the timer goes on. */
void xhci_run_endpoint(HwXhci *s, unsigned ep);
/* Afterwards nothing is under way: it ended with its event, or (@forget) without. */
void xhci_settle(HwXhci *s, unsigned ep, bool forget);
void xhci_settle_all(HwXhci *s, bool forget);
/* The timer goes on with it. */
void xhci_kick_later(HwXhci *s, unsigned ep);

/* xhci-port.c */
unsigned xhci_n_ports(const HwXhci *s);
uint32_t xhci_port_read(HwXhci *s, unsigned port, unsigned reg);
void xhci_port_write(HwXhci *s, unsigned port, unsigned reg, uint32_t value);
/* After a reset: what is plugged in shows up. */
void xhci_ports_reset(HwXhci *s);
/* After loading a state: what follows from the registers. */
void xhci_ports_update(HwXhci *s);
/* Tells of changes since before the controller ran. */
void xhci_ports_report(HwXhci *s);
/* Of port @port (from 1): the connector it is on, or NULL. */
HwUsbPort *xhci_connector(HwXhci *s, unsigned port);
void xhci_connectors_init(HwXhci *s);

#endif
