/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Message-signalled interrupts: MSI-X (PCI Express 6.1.4, 7.7.2), whose table is in a BAR of its own, and MSI (7.7.1). A message is a write of 4
 * bytes. What is sent while it is masked is pending and goes out when it is not any more.
 *
 * A message goes to RAM or to a register that takes messages (MemoryRegionOps.takes_messages), nowhere else: a guest cannot make one device drive
 * another with it.
 */
#include "hw/pci/pci-priv.h"

#include <inttypes.h>
#include "util/bytes.h"
#include "util/log.h"

enum { ENTRY = 16, ENTRY_DATA = 8, ENTRY_CONTROL = 12, MASKED = 1 };
enum { PBA = 0x800, MSIX_BAR = 0x1000, MAX_MSI = 32 };

G_STATIC_ASSERT(HW_PCI_MAX_VECTORS *ENTRY <= PBA && PBA + HW_PCI_MAX_VECTORS / 8 <= MSIX_BAR);

static uint16_t msix_flags(const HwPciDevice *dev)
{
    return dev->msix_cap ? hw_pci_get16(dev, dev->msix_cap + PCI_MSIX_FLAGS) : 0;
}

static uint16_t msi_flags(const HwPciDevice *dev)
{
    return dev->msi_cap ? hw_pci_get16(dev, dev->msi_cap + PCI_MSI_FLAGS) : 0;
}

bool hw_pci_has_msix(const HwPciDevice *dev)
{
    return msix_flags(dev) & PCI_MSIX_ENABLE;
}

static bool has_msi(const HwPciDevice *dev)
{
    return msi_flags(dev) & PCI_MSI_ENABLE;
}

bool hw_pci_has_messages(const HwPciDevice *dev)
{
    return hw_pci_has_msix(dev) || has_msi(dev);
}

static void send(HwPciDevice *dev, uint64_t address, uint32_t data)
{
    if (hw_pci_is_master(dev) && !memory_send_message(address, data)) {
        log_guest_error("%s: an interrupt message to %#" PRIx64 ", where nothing takes it",
                        HW_DEVICE_GET_CLASS(dev)->model, address);
    }
}

/* ---- MSI-X ---- */

static bool msix_is_masked(const HwPciDevice *dev, unsigned n)
{
    return (msix_flags(dev) & PCI_MSIX_MASKALL) ||
           (dev->msix_table[n * ENTRY + ENTRY_CONTROL] & MASKED);
}

static void msix_fire(HwPciDevice *dev, unsigned n)
{
    const uint8_t *entry = dev->msix_table + n * ENTRY;

    if (msix_is_masked(dev, n)) {
        dev->msix_pending[n / 8] |= (uint8_t)(1 << n % 8);
        return;
    }
    dev->msix_pending[n / 8] &= (uint8_t) ~(1 << n % 8);
    send(dev, bytes_get_le64(entry), bytes_get_le32(entry + ENTRY_DATA));
}

static void msix_fire_pending(HwPciDevice *dev)
{
    for (unsigned n = 0; hw_pci_has_msix(dev) && n < dev->msix_n; n++) {
        if (dev->msix_pending[n / 8] >> n % 8 & 1) {
            msix_fire(dev, n);
        }
    }
}

static uint64_t msix_read(void *opaque, uint64_t offset, unsigned size)
{
    HwPciDevice *dev = opaque;

    if (offset < (uint64_t)dev->msix_n * ENTRY) {
        return bytes_get_le32(dev->msix_table + offset);
    }
    return offset >= PBA && offset < PBA + HW_PCI_MAX_VECTORS / 8
               ? bytes_get_le32(dev->msix_pending + offset - PBA)
               : 0;
}

static void msix_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwPciDevice *dev = opaque;

    if (offset >= (uint64_t)dev->msix_n * ENTRY) {
        return; /* pending bits are read only */
    }
    bytes_put_le32(dev->msix_table + offset, (uint32_t)value);
    if (offset % ENTRY == ENTRY_CONTROL) {
        msix_fire_pending(dev);
    }
}

/* 6.1.4.2: the table is accessed by 4 or 8 bytes. */
static const MemoryRegionOps msix_ops = {
    .read = msix_read,
    .write = msix_write,
    .min_access = 4,
    .max_access = 4,
};

void pci_messages_reset(HwPciDevice *dev)
{
    for (unsigned n = 0; n < dev->msix_n; n++) {
        dev->msix_table[n * ENTRY + ENTRY_CONTROL] = MASKED;
    }
}

void hw_pci_add_msix(HwPciDevice *dev, uint16_t n, unsigned bar)
{
    uint16_t at = hw_pci_add_capability(dev, PCI_CAP_MSIX, PCI_MSIX_SIZE);

    g_assert(n && n <= HW_PCI_MAX_VECTORS);
    dev->msix_cap = at;
    dev->msix_n = n;
    hw_pci_set16(dev, at + PCI_MSIX_FLAGS, (uint16_t)(n - 1));
    hw_pci_allow16(dev, at + PCI_MSIX_FLAGS, PCI_MSIX_ENABLE | PCI_MSIX_MASKALL);
    hw_pci_set32(dev, at + PCI_MSIX_TABLE, bar);
    hw_pci_set32(dev, at + PCI_MSIX_PBA, PBA | bar);
    memory_region_init_io(&dev->msix_region, "msix", MSIX_BAR, &msix_ops, dev);
    hw_pci_add_bar(dev, bar, HW_PCI_BAR_MEM32, &dev->msix_region);
    pci_messages_reset(dev);
}

/* ---- MSI ---- */

void hw_pci_add_msi(HwPciDevice *dev, uint16_t n)
{
    uint16_t at = hw_pci_add_capability(dev, PCI_CAP_MSI, PCI_MSI_SIZE);

    g_assert(n && n <= MAX_MSI && !(n & (n - 1)));
    dev->msi_cap = at;
    hw_pci_set16(dev, at + PCI_MSI_FLAGS,
                 (uint16_t)(PCI_MSI_64BIT | PCI_MSI_MASKABLE | __builtin_ctz(n) << 1));
    hw_pci_allow16(dev, at + PCI_MSI_FLAGS, PCI_MSI_ENABLE | PCI_MSI_QSIZE);
    hw_pci_allow32(dev, at + PCI_MSI_ADDRESS, ~3u);
    hw_pci_allow32(dev, at + PCI_MSI_ADDRESS + 4, ~0u);
    hw_pci_allow16(dev, at + PCI_MSI_DATA, 0xffff);
    hw_pci_allow32(dev, at + PCI_MSI_MASK, (uint32_t)((1ull << n) - 1));
}

/* The driver may ask for less than there are, and, by mistake, for more. */
static unsigned msi_vectors(const HwPciDevice *dev)
{
    uint16_t flags = msi_flags(dev);

    return 1u << MIN(flags >> 4 & 7, flags >> 1 & 7);
}

static void msi_fire(HwPciDevice *dev, unsigned n)
{
    uint16_t at = dev->msi_cap;
    uint32_t pending = hw_pci_get32(dev, at + PCI_MSI_PENDING);

    n %= msi_vectors(dev);
    if (hw_pci_get32(dev, at + PCI_MSI_MASK) >> n & 1) {
        hw_pci_set32(dev, at + PCI_MSI_PENDING, pending | 1u << n);
        return;
    }
    hw_pci_set32(dev, at + PCI_MSI_PENDING, pending & ~(1u << n));
    send(dev, bytes_get_le64(dev->config + at + PCI_MSI_ADDRESS),
         (hw_pci_get16(dev, at + PCI_MSI_DATA) & ~(msi_vectors(dev) - 1)) | n);
}

static void msi_fire_pending(HwPciDevice *dev)
{
    for (unsigned n = 0; has_msi(dev) && n < MAX_MSI; n++) {
        if (hw_pci_get32(dev, dev->msi_cap + PCI_MSI_PENDING) >> n & 1) {
            msi_fire(dev, n);
        }
    }
}

/* ---- Both ---- */

void hw_pci_notify(HwPciDevice *dev, unsigned vector)
{
    if (hw_pci_has_msix(dev)) {
        if (vector < dev->msix_n) {
            msix_fire(dev, vector);
        }
    } else if (has_msi(dev)) {
        msi_fire(dev, vector);
    }
}

void hw_pci_set_irq(HwPciDevice *dev, unsigned vector, bool level)
{
    bool rises = level && !dev->intx_level;

    hw_pci_set_intx(dev, level);
    if (rises) {
        hw_pci_notify(dev, vector);
    }
}

void pci_messages_fire_pending(HwPciDevice *dev)
{
    msix_fire_pending(dev);
    msi_fire_pending(dev);
}
