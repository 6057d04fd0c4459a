/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "info registers": the pc, the important CSRs and the registers with their ABI names; f registers while mstatus.FS is on.
 */
#include <inttypes.h>
#include "target/riscv/csr.h"

const char *const rv_x_names[32] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

const char *const rv_f_names[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4",  "ft5",  "ft6", "ft7", "fs0",  "fs1",  "fa0",
    "fa1", "fa2", "fa3", "fa4", "fa5",  "fa6",  "fa7", "fs2", "fs3",  "fs4",  "fs5",
    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
};

static void print_csr(RvCpu *cpu, unsigned number, GString *out)
{
    char buf[16];
    uint64_t value;

    if (rv_csr_peek(cpu, number, &value)) {
        g_string_append_printf(out, " %-10s %0*" PRIx64 "\n",
                               rv_csr_name(cpu->config.xlen, number, buf), cpu->config.xlen / 4,
                               value);
    }
}

static void print_regs(const RvCpu *cpu, const uint64_t *regs, char letter,
                       const char *const *names, int digits, GString *out)
{
    for (unsigned i = 0; i < 32; i++) {
        char label[16];

        g_snprintf(label, sizeof(label), "%c%u/%s", letter, i, names[i]);
        g_string_append_printf(out, " %-8s %0*" PRIx64 "%s", label, digits,
                               digits == 8 ? (uint32_t)regs[i] : regs[i], i % 4 == 3 ? "\n" : "");
    }
}

void rv_dump(Cpu *cpu, GString *out)
{
    static const uint16_t csrs[] = {
        RV_CSR_MHARTID,  RV_CSR_MSTATUS, RV_CSR_MIP,   RV_CSR_MIE,   RV_CSR_MIDELEG,
        RV_CSR_MEDELEG,  RV_CSR_MTVEC,   RV_CSR_STVEC, RV_CSR_MEPC,  RV_CSR_SEPC,
        RV_CSR_MCAUSE,   RV_CSR_SCAUSE,  RV_CSR_MTVAL, RV_CSR_STVAL, RV_CSR_MSCRATCH,
        RV_CSR_SSCRATCH, RV_CSR_SATP,
    };
    RvCpu *rv = rv_cpu(cpu);
    int digits = rv->config.xlen / 4;

    g_string_append_printf(out, " %-10s %0*" PRIx64 "\n", "pc", digits, cpu->pc);
    g_string_append_printf(out, " %-10s %c\n", "priv", "US?M"[rv->priv & 3]);
    for (unsigned i = 0; i < G_N_ELEMENTS(csrs); i++) {
        print_csr(rv, csrs[i], out);
    }
    print_regs(rv, rv->x, 'x', rv_x_names, digits, out);
    if (rv_cpu_fs(rv)) {
        print_regs(rv, rv->f, 'f', rv_f_names, 16, out);
        print_csr(rv, RV_CSR_FCSR, out);
    }
}
