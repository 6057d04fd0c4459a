/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Advanced Interrupt Architecture as a hart has it (AIA 1.0, chapters 2, 3.8-3.9 and 5): Smaia and Ssaia, which it gets with an IMSIC.
 * The IMSIC's interrupt files are a device's; mireg, sireg, mtopei and stopei reach them through RvImsic.
 *
 * Of what the chapters leave open this is the least: the interrupts are those of the privileged architecture (all high halves are zero), their
 * priorities are the default ones (iprio arrays are zero, so the priority that mtopi and stopi tell is always 1), and mvien is zero.
 */
#include "target/riscv/csr.h"

enum {
    IPRIO0 = 0x30,
    IPRIO15 = 0x3f,
    IMSIC_FIRST = 0x70,
    IMSIC_EIP0 = 0x80,
    IMSIC_LAST = 0xff,
    TOPI_IID_SHIFT = 16,
    TOPI_IPRIO = 1,
};

void rv_cpu_set_imsic(RvCpu *cpu, const RvImsic *m, const RvImsic *s)
{
    cpu->m_imsic = *m;
    cpu->s_imsic = *s;
    cpu->config.ext |= RV_EXT_BIT(RV_FEATURE_SMAIA);
    if (rv_cpu_has(cpu, RV_EXT_S)) {
        cpu->config.ext |= RV_EXT_BIT(RV_FEATURE_SSAIA);
    }
}

/* ---- Which registers there are ---- */

bool rv_aia_check(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_FEATURE_SMAIA);
}

bool rv_aia_check_s(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_FEATURE_SSAIA);
}

static bool is_iprio(uint64_t select)
{
    return select >= IPRIO0 && select <= IPRIO15;
}

/* 64-bit harts have no odd registers of an array. */
static bool ireg_exists(const RvCpu *cpu, uint64_t select)
{
    if (!is_iprio(select) && !(select >= IMSIC_FIRST && select <= IMSIC_LAST)) {
        return false;
    }
    return !(select & 1) || !rv_cpu_is_64(cpu) || (select >= IMSIC_FIRST && select < IMSIC_EIP0);
}

bool rv_aia_check_mireg(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_FEATURE_SMAIA) && ireg_exists(cpu, cpu->miselect);
}

bool rv_aia_check_sireg(const RvCpu *cpu, unsigned csr)
{
    return rv_cpu_has(cpu, RV_FEATURE_SSAIA) && ireg_exists(cpu, cpu->siselect);
}

/* ---- Indirect access and the top external interrupt ---- */

static uint64_t swap_ireg(const RvCpu *cpu, const RvImsic *imsic, uint64_t select, uint64_t value,
                          uint64_t mask)
{
    if (is_iprio(select)) {
        return 0;
    }
    return imsic->access(imsic->file, (unsigned)select, cpu->config.xlen, value, mask);
}

uint64_t rv_aia_swap_mireg(RvCpu *cpu, bool write, uint64_t value, uint64_t mask)
{
    return swap_ireg(cpu, &cpu->m_imsic, cpu->miselect, value, mask);
}

uint64_t rv_aia_swap_sireg(RvCpu *cpu, bool write, uint64_t value, uint64_t mask)
{
    return swap_ireg(cpu, &cpu->s_imsic, cpu->siselect, value, mask);
}

/* Any write claims, whatever is written. */
uint64_t rv_aia_swap_mtopei(RvCpu *cpu, bool write, uint64_t value, uint64_t mask)
{
    return cpu->m_imsic.topei(cpu->m_imsic.file, write);
}

uint64_t rv_aia_swap_stopei(RvCpu *cpu, bool write, uint64_t value, uint64_t mask)
{
    return cpu->s_imsic.topei(cpu->s_imsic.file, write);
}

/* ---- The top interrupt ---- */

static uint64_t topi(uint64_t pending)
{
    unsigned irq = rv_trap_first_irq(pending);

    return irq ? (uint64_t)irq << TOPI_IID_SHIFT | TOPI_IPRIO : 0;
}

uint64_t rv_aia_read_mtopi(RvCpu *cpu, unsigned index)
{
    return topi(rv_cpu_mip(cpu) & cpu->mie & ~cpu->mideleg);
}

uint64_t rv_aia_read_stopi(RvCpu *cpu, unsigned index)
{
    return topi(rv_cpu_mip(cpu) & cpu->mie & cpu->mideleg);
}
