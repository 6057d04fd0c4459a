/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI Express (PCI Express Base Specification 5.0; PCI Local Bus Specification 3.0 for what it took over): devices with their configuration
 * space, base address registers and interrupts, and buses.
 *
 * A device type derives from HwPciDevice, says in the class what it is, and in its realize makes its base address registers and capabilities.
 * What the guest writes into the configuration space goes by masks: nothing is writable but what was declared. Mapping, INTx, MSI and MSI-X,
 * reset and state are the base's business.
 *
 * All functions: machine lock held.
 */
#ifndef HW_PCI_PCI_H
#define HW_PCI_PCI_H

#include "hw/core/device.h"
#include "hw/pci/pci-regs.h"

enum {
    HW_PCI_CONFIG_SIZE = 4096,
    HW_PCI_N_BARS = 6,
    HW_PCI_N_DEVFN = 256,
    HW_PCI_MAX_VECTORS = 128, /* of MSI-X */
    HW_PCI_N_INTX = 4,
};

typedef struct HwPciDevice HwPciDevice;
typedef struct HwPciBus HwPciBus;

typedef enum HwPciBarType {
    HW_PCI_BAR_IO,
    HW_PCI_BAR_MEM32,
    HW_PCI_BAR_MEM64,          /* takes two registers */
    HW_PCI_BAR_MEM64_PREFETCH, /* reads have no effects */
} HwPciBarType;

typedef struct HwPciBar {
    MemoryRegion *region; /* NULL: there is no such register */
    HwPciBarType type;
    uint64_t mapped_at; /* HW_PCI_UNMAPPED: nowhere */
} HwPciBar;

#define HW_PCI_UNMAPPED UINT64_MAX

struct HwPciDevice {
    HwDevice parent;
    char *addr; /* property: "SLOT[.FUNCTION]", hexadecimal; NULL: the next one free */
    bool multifunction;
    HwPciBus *bus; /* NULL: not plugged in */
    uint8_t devfn;
    uint8_t config
        [HW_PCI_CONFIG_SIZE]; /* as the guest sees it, but for the bits that config_read computes */
    uint8_t writable[HW_PCI_CONFIG_SIZE],
        clearable[HW_PCI_CONFIG_SIZE]; /* bits; the latter by writing ones */
    uint8_t *at_reset;                 /* config after realize; owned */
    HwPciBar bars[HW_PCI_N_BARS];
    uint16_t next_cap; /* where the next capability goes */
    bool intx_level;   /* what the device asks for */
    bool intx_shown;   /* what the bus was told */
    /* MSI-X: 0: no capability */
    uint16_t msix_cap, msix_n;
    uint16_t msi_cap;
    MemoryRegion msix_region;
    uint8_t msix_table[HW_PCI_MAX_VECTORS * 16];
    uint8_t msix_pending[HW_PCI_MAX_VECTORS / 8];
};

typedef struct HwPciDeviceClass {
    HwDeviceClass parent;
    uint16_t vendor_id, device_id;
    uint16_t subsystem_vendor_id, subsystem_id; /* 0: as the two above */
    uint32_t class_code; /* base class, sub-class, programming interface: 24 bits */
    uint8_t revision;
    bool is_bridge; /* header type 1 */
    /* Makes BARs and capabilities, opens back ends. Errors begin with the model's name. May be NULL. */
    bool (*realize)(HwPciDevice *dev, GError **error);
    void (*unrealize)(HwPciDevice *dev);
    /* After state tables and configuration space were reset, nothing is mapped: timers, requests under way. Any may be NULL. */
    void (*reset)(HwPciDevice *dev);
    bool (*post_load)(HwPciDevice *dev, GError **error);
    /* Registers that are no memory: *@value (of @size bytes, at @offset) is what the memory says. */
    void (*config_read)(HwPciDevice *dev, unsigned offset, unsigned size, uint32_t *value);
    /* After a write, which was masked. */
    void (*config_written)(HwPciDevice *dev, unsigned offset, unsigned size);
} HwPciDeviceClass;

GType hw_pci_device_get_type(void);
#define HW_TYPE_PCI_DEVICE     (hw_pci_device_get_type())
#define HW_PCI_DEVICE(o)       (G_TYPE_CHECK_INSTANCE_CAST((o), HW_TYPE_PCI_DEVICE, HwPciDevice))
#define HW_PCI_DEVICE_CLASS(k) (G_TYPE_CHECK_CLASS_CAST((k), HW_TYPE_PCI_DEVICE, HwPciDeviceClass))
#define HW_PCI_DEVICE_GET_CLASS(o) \
    (G_TYPE_INSTANCE_GET_CLASS((o), HW_TYPE_PCI_DEVICE, HwPciDeviceClass))

/* ---- For device types: the class ---- */

/* In class_init, both always: the tables of the base (addr=, multifunction=; configuration space and interrupts) followed by @own (each ends with
 * a zero entry; may be NULL). */
void hw_pci_class_bind_props(HwPciDeviceClass *klass, const HwProp *own);
void hw_pci_class_bind_state(HwPciDeviceClass *klass, const StateField *own);

/* ---- For device types: in realize ---- */

/* Base address register @n (64 bits: and @n + 1) shows @region, whose size is a power of 2, memory at least 16 bytes, I/O at least 4. The region
 * lives as long as the device. */
void hw_pci_add_bar(HwPciDevice *dev, unsigned n, HwPciBarType type, MemoryRegion *region);
/* A capability of @size bytes, of which the first two are written, and its offset. The rest is zeroes that the guest cannot write. */
uint16_t hw_pci_add_capability(HwPciDevice *dev, uint8_t id, uint16_t size);
/* PCI Express capability (7.5.3) of a @type (PCI_EXP_TYPE_...), @port: number of a port. Call it for devices that are PCI Express. */
uint16_t hw_pci_add_express(HwPciDevice *dev, uint8_t type, uint8_t port);
/* Power management capability (7.5.2): D0 and D3hot, which change nothing. */
uint16_t hw_pci_add_power(HwPciDevice *dev);
/* MSI-X with @n vectors (1 to HW_PCI_MAX_VECTORS); table and pending bits are all of BAR @bar (4 KiB). */
void hw_pci_add_msix(HwPciDevice *dev, uint16_t n, unsigned bar);
/* MSI with @n vectors (a power of 2 up to 32), 64-bit addresses, a mask. */
void hw_pci_add_msi(HwPciDevice *dev, uint16_t n);
/* The device has an interrupt pin: 0 (INTA#) to 3. */
void hw_pci_set_pin(HwPciDevice *dev, unsigned pin);
/* The configuration space, little-endian. */
void hw_pci_set16(HwPciDevice *dev, unsigned offset, uint16_t value);
void hw_pci_set32(HwPciDevice *dev, unsigned offset, uint32_t value);
void hw_pci_allow16(HwPciDevice *dev, unsigned offset, uint16_t writable);
void hw_pci_allow32(HwPciDevice *dev, unsigned offset, uint32_t writable);
uint16_t hw_pci_get16(const HwPciDevice *dev, unsigned offset);
uint32_t hw_pci_get32(const HwPciDevice *dev, unsigned offset);

/* ---- For device types: at work ---- */

/* The level of the device's INTx pin. Seen only while neither MSI-X nor MSI is on. */
void hw_pci_set_intx(HwPciDevice *dev, bool level);
/* The guest switched MSI-X or MSI on: interrupts are messages. */
bool hw_pci_has_messages(const HwPciDevice *dev);
bool hw_pci_has_msix(const HwPciDevice *dev);
/* Sends message @vector, if it is masked as soon as it is not. With MSI of fewer vectors the number is taken modulo theirs. */
void hw_pci_notify(HwPciDevice *dev, unsigned vector);
/* For devices with the usual single source: INTx by level, a message @vector at each rise. */
void hw_pci_set_irq(HwPciDevice *dev, unsigned vector, bool level);

/* DMA: guest RAM only, never a device's registers (a device must not be reached from within itself or another). False: Bus Master Enable is off
 * or not all of it is RAM; what of it is RAM up to there was done. */
bool hw_pci_dma_read(HwPciDevice *dev, uint64_t addr, void *buf, uint64_t len);
bool hw_pci_dma_write(HwPciDevice *dev, uint64_t addr, const void *buf, uint64_t len);
/* As memory_map(): host pointer for up to *@len bytes, or NULL. memory_written() after writing. */
void *hw_pci_dma_map(HwPciDevice *dev, uint64_t addr, uint64_t *len, bool write);
bool hw_pci_is_master(const HwPciDevice *dev);

/* ---- Buses ---- */

#define HW_PCI_BUS_TYPE "pci-bus"

struct HwPciBus {
    HwBus *bus;
    HwPciDevice *bridge; /* it is the secondary bus of; NULL: a root bus */
    HwPciDevice *devices[HW_PCI_N_DEVFN];
    bool one_slot;        /* behind a port: device 0 only */
    MemoryRegion mem, io; /* addresses as the BARs say them */
    /* Of a root bus: INTx lines of the host bridge. */
    void (*set_intx)(void *opaque, unsigned line, bool level);
    void *opaque;
    unsigned asserted[HW_PCI_N_INTX];
};

/* A bus named @name, owned by the device @owner; for a root bus @bridge is NULL. */
HwPciBus *hw_pci_bus_new(HwDevice *owner, const char *name, HwPciDevice *bridge);
void hw_pci_bus_free(HwPciBus *bus);
/* Configuration access to bus number @number below the root @bus; what is not there reads as ones. @size 1, 2, 4, aligned. */
uint32_t hw_pci_bus_read(HwPciBus *bus, unsigned number, unsigned devfn, unsigned offset,
                         unsigned size);
void hw_pci_bus_write(HwPciBus *bus, unsigned number, unsigned devfn, unsigned offset,
                      uint32_t value, unsigned size);
/* A machine's own device goes to @devfn of @bus, as -device would do it. Takes @dev over. */
bool hw_pci_bus_add(HwPciBus *bus, HwPciDevice *dev, uint8_t devfn, GError **error);
/* Text of "info pci". */
void hw_pci_print(GString *out);

#endif
