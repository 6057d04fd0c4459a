/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hart for gdb: the target description and the registers behind its numbers.
 *
 * Numbers: 0-31 x, 32 pc, 33-64 f, 65-67 fflags frm fcsr, then the CSRs of the list below, then priv (the "virtual" feature).
 * Registers that the hart does not have are left out of the description; their numbers stay.
 */
#include <string.h>
#include "target/riscv/csr.h"

enum { REG_PC = 32, REG_F = 33, REG_FFLAGS = 65, REG_FCSR = 67, REG_CSR = 68 };

static const uint16_t csrs[] = {
    RV_CSR_CYCLE,    RV_CSR_TIME,       RV_CSR_INSTRET, RV_CSR_SSTATUS,       RV_CSR_SIE,
    RV_CSR_STVEC,    RV_CSR_SCOUNTEREN, RV_CSR_SENVCFG, RV_CSR_SSCRATCH,      RV_CSR_SEPC,
    RV_CSR_SCAUSE,   RV_CSR_STVAL,      RV_CSR_SIP,     RV_CSR_STIMECMP,      RV_CSR_SATP,
    RV_CSR_MSTATUS,  RV_CSR_MISA,       RV_CSR_MEDELEG, RV_CSR_MIDELEG,       RV_CSR_MIE,
    RV_CSR_MTVEC,    RV_CSR_MCOUNTEREN, RV_CSR_MENVCFG, RV_CSR_MCOUNTINHIBIT, RV_CSR_MSCRATCH,
    RV_CSR_MEPC,     RV_CSR_MCAUSE,     RV_CSR_MTVAL,   RV_CSR_MIP,           RV_CSR_MCYCLE,
    RV_CSR_MINSTRET, RV_CSR_MHARTID,    RV_CSR_PMPCFG0, RV_CSR_PMPADDR0,
};

enum { REG_PRIV = REG_CSR + G_N_ELEMENTS(csrs) };

/* ---- The description ---- */

static void add_reg(GString *xml, const char *name, unsigned bits, unsigned number,
                    const char *type)
{
    g_string_append_printf(xml, "<reg name=\"%s\" bitsize=\"%u\" regnum=\"%u\" type=\"%s\"/>\n",
                           name, bits, number, type);
}

static void add_cpu(const RvCpu *cpu, GString *xml)
{
    g_string_append(xml, "<feature name=\"org.gnu.gdb.riscv.cpu\">\n");
    for (unsigned i = 0; i < 32; i++) {
        const char *type = i == 1 ? "code_ptr" : i >= 2 && i <= 4 ? "data_ptr" : "int";

        add_reg(xml, i == 8 ? "fp" : rv_x_names[i], cpu->config.xlen, i, type);
    }
    add_reg(xml, "pc", cpu->config.xlen, REG_PC, "code_ptr");
    g_string_append(xml, "</feature>\n");
}

static unsigned f_bits(const RvCpu *cpu)
{
    return rv_cpu_has(cpu, RV_EXT_D) ? 64 : 32;
}

static void add_fpu(const RvCpu *cpu, GString *xml)
{
    bool d = rv_cpu_has(cpu, RV_EXT_D);

    if (!rv_cpu_has(cpu, RV_EXT_F)) {
        return;
    }
    g_string_append(xml, "<feature name=\"org.gnu.gdb.riscv.fpu\">\n");
    if (d) {
        g_string_append(xml,
                        "<union id=\"riscv_double\"><field name=\"float\" type=\"ieee_single\"/>"
                        "<field name=\"double\" type=\"ieee_double\"/></union>\n");
    }
    for (unsigned i = 0; i < 32; i++) {
        add_reg(xml, rv_f_names[i], f_bits(cpu), REG_F + i, d ? "riscv_double" : "ieee_single");
    }
    add_reg(xml, "fflags", 32, REG_FFLAGS, "int");
    add_reg(xml, "frm", 32, REG_FFLAGS + 1, "int");
    add_reg(xml, "fcsr", 32, REG_FCSR, "int");
    g_string_append(xml, "</feature>\n");
}

static void add_csrs(RvCpu *cpu, GString *xml)
{
    char buf[16];
    uint64_t value;

    g_string_append(xml, "<feature name=\"org.gnu.gdb.riscv.csr\">\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(csrs); i++) {
        if (rv_csr_peek(cpu, csrs[i], &value)) {
            add_reg(xml, rv_csr_name(cpu->config.xlen, csrs[i], buf), cpu->config.xlen, REG_CSR + i,
                    "int");
        }
    }
    g_string_append(xml, "</feature>\n<feature name=\"org.gnu.gdb.riscv.virtual\">\n");
    add_reg(xml, "priv", cpu->config.xlen, REG_PRIV, "int");
    g_string_append(xml, "</feature>\n");
}

const char *rv_gdb_xml(Cpu *cpu, const char *annex)
{
    RvCpu *rv = rv_cpu(cpu);
    GString *xml;

    if (strcmp(annex, "target.xml")) {
        return NULL;
    }
    if (!rv->gdb_xml) {
        xml = g_string_new("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM "
                           "\"gdb-target.dtd\">\n<target version=\"1.0\">\n");
        g_string_append_printf(xml, "<architecture>riscv:rv%u</architecture>\n", rv->config.xlen);
        add_cpu(rv, xml);
        add_fpu(rv, xml);
        add_csrs(rv, xml);
        g_string_append(xml, "</target>\n");
        rv->gdb_xml = g_string_free(xml, FALSE);
    }
    return rv->gdb_xml;
}

/* ---- Values ---- */

/* Bytes of register @reg; 0: the hart has no such register. */
static unsigned reg_size(const RvCpu *cpu, unsigned reg)
{
    if (reg >= REG_F && reg < REG_F + 32) {
        return rv_cpu_has(cpu, RV_EXT_F) ? f_bits(cpu) / 8 : 0;
    }
    if (reg >= REG_FFLAGS && reg <= REG_FCSR) {
        return rv_cpu_has(cpu, RV_EXT_F) ? 4 : 0;
    }
    return reg <= REG_PRIV ? cpu->config.xlen / 8 : 0;
}

/* The CSR behind @reg, 65 and up. */
static unsigned reg_csr(unsigned reg)
{
    return reg <= REG_FCSR ? RV_CSR_FFLAGS + (reg - REG_FFLAGS) : csrs[reg - REG_CSR];
}

unsigned rv_gdb_read(Cpu *cpu, unsigned reg, uint8_t *buf)
{
    RvCpu *rv = rv_cpu(cpu);
    unsigned size = reg_size(rv, reg);
    uint64_t value;

    if (!size) {
        return 0;
    }
    if (reg < REG_F) {
        value = reg == REG_PC ? cpu->pc : rv->x[reg];
    } else if (reg < REG_FFLAGS) {
        value = rv->f[reg - REG_F];
    } else if (reg == REG_PRIV) {
        value = rv->priv;
    } else if (!rv_csr_peek(rv, reg_csr(reg), &value)) {
        return 0;
    }
    value = GUINT64_TO_LE(value);
    memcpy(buf, &value, size);
    return size;
}

static void write_x(RvCpu *cpu, unsigned n, uint64_t value)
{
    if (n) {
        /* Slots of RV32 are sign-extended. */
        cpu->x[n] = rv_cpu_is_64(cpu) ? value : (uint64_t)(int32_t)value;
    }
}

unsigned rv_gdb_write(Cpu *cpu, unsigned reg, const uint8_t *buf)
{
    RvCpu *rv = rv_cpu(cpu);
    unsigned size = reg_size(rv, reg);
    uint64_t value = 0;

    memcpy(&value, buf, size);
    value = GUINT64_FROM_LE(value);
    if (!size) {
        return 0;
    }
    if (reg == REG_PC) {
        cpu->pc = value;
    } else if (reg < REG_PC) {
        write_x(rv, reg, value);
    } else if (reg < REG_FFLAGS) {
        rv->f[reg - REG_F] = size == 4 ? value | 0xffffffff00000000 : value;
    } else if (reg == REG_PRIV) {
        if (value == RV_PRIV_M ||
            (value <= RV_PRIV_S && rv_cpu_has(rv, value ? RV_EXT_S : RV_EXT_U))) {
            rv->priv = (uint8_t)value;
            rv_cpu_update_mode(rv);
        }
    } else if (!rv_csr_poke(rv, reg_csr(reg), value)) {
        return 0;
    }
    return size;
}
