/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The RISC-V hart as a GObject type and as a target: making, reset, the mode word and its context, the state table, and the
 * two TargetOps (RV64 and RV32).
 *
 * Svadu: menvcfg.ADUE is on after reset, so that software which knows nothing of it gets hardware-updated A and D bits; firmware may
 * turn it off. The manual leaves the reset value open.
 */
#include "target/riscv/cpu.h"
#include <string.h>
#include "target/riscv/csr.h"
#include "target/riscv/fpu.h"
#include "target/riscv/profile.h"
#include "util/log.h"

typedef struct RvCpuClass {
    CpuClass parent;
} RvCpuClass;

G_DEFINE_TYPE(RvCpu, rv_cpu, CPU_TYPE)

enum { RESET_PC = 0x1000, NO_MODE = UINT32_MAX >> 1 };

static void rv_cpu_finalize(GObject *object)
{
    RvCpu *cpu = (RvCpu *)object;

    rv_timer_finish(cpu);
    g_free(cpu->gdb_xml);
    G_OBJECT_CLASS(rv_cpu_parent_class)->finalize(object);
}

static void rv_cpu_class_init(RvCpuClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = rv_cpu_finalize;
    rv_ext_install_properties(G_OBJECT_CLASS(klass));
}

static void rv_cpu_init(RvCpu *cpu)
{
    cpu->reset_pc = RESET_PC;
    cpu->mode = NO_MODE;
    rv_trap_init_lines(cpu);
    rv_timer_init(cpu);
}

/* ---- Mode and context ---- */

static uint32_t satp_asid(const RvCpu *cpu, uint64_t satp)
{
    return rv_cpu_is_64(cpu) ? satp >> 44 & 0xffff : satp >> 22 & 0x1ff;
}

static bool satp_is_on(const RvCpu *cpu)
{
    return cpu->satp >> (rv_cpu_is_64(cpu) ? 60 : 31) != 0;
}

void rv_cpu_update_mode(RvCpu *cpu)
{
    uint64_t ms = cpu->mstatus, root = 0;
    unsigned data =
        ms & RV_MSTATUS_MPRV && cpu->priv == RV_PRIV_M ? ms >> RV_MSTATUS_MPP_SHIFT & 3 : cpu->priv;
    uint32_t mode = cpu->mode_base | cpu->frm << RV_MODE_FRM_SHIFT |
                    (uint32_t)cpu->priv << RV_MODE_PRIV_SHIFT | data << RV_MODE_DATA_SHIFT;
    ContextKey key;

    cpu->fp_ready = rv_cpu_fs(cpu) == 3;
    if (data != RV_PRIV_M && satp_is_on(cpu)) {
        /* SUM and MXR count only here: without translation all contexts of a privilege are one. */
        root = cpu->satp;
        mode |= data == RV_PRIV_S && (ms & RV_MSTATUS_SUM) ? RV_MODE_SUM : 0;
        mode |= ms & RV_MSTATUS_MXR ? RV_MODE_MXR : 0;
    }
    if (mode == cpu->mode && root == cpu->root) {
        return;
    }
    cpu->mode = mode;
    cpu->root = root;
    key = (ContextKey){ .root = root,
                        .asid = root ? satp_asid(cpu, root) : 0,
                        .mode = mode,
                        .shared = root && data == RV_PRIV_S && cpu->priv == RV_PRIV_S };
    cpu_set_context(&cpu->parent, &key);
}

static uint32_t block_mode(const Cpu *cpu)
{
    return ((const RvCpu *)cpu)->mode & RV_MODE_BLOCK;
}

static void restore(Cpu *cpu, uint32_t word)
{
    rv_cpu(cpu)->insn = word;
}

/* ---- Making and reset ---- */

static Cpu *create(const TargetOps *ops, const char *option, unsigned index, GError **error)
{
    RvCpu *cpu = rv_cpu_new(option, ops->address_bits, error);

    if (!cpu) {
        return NULL;
    }
    cpu->parent.ops = ops;
    cpu->parent.index = index;
    cpu->mode_base = (ops->address_bits == 32 ? RV_MODE_XLEN32 : 0) | (uint32_t)cpu->config.ext_set
                                                                          << RV_MODE_EXT_SHIFT;
    return &cpu->parent;
}

static Cpu *create_64(const char *option, unsigned index, GError **error)
{
    return create(&rv64_target, option, index, error);
}

static Cpu *create_32(const char *option, unsigned index, GError **error)
{
    return create(&rv32_target, option, index, error);
}

static void list_64(GString *out)
{
    rv_ext_list(64, out);
}

static void list_32(GString *out)
{
    rv_ext_list(32, out);
}

static void reset_csrs(RvCpu *cpu)
{
    cpu->mstatus = rv_csr_mstatus_reset(cpu);
    cpu->medeleg = cpu->mideleg = cpu->mie = cpu->mtvec = cpu->mscratch = cpu->mepc = cpu->mcause =
        cpu->mtval = 0;
    cpu->stvec = cpu->sscratch = cpu->sepc = cpu->scause = cpu->stval = cpu->satp = 0;
    cpu->mcounteren = cpu->scounteren = cpu->mcountinhibit = cpu->senvcfg = 0;
    cpu->menvcfg = rv_cpu_has(cpu, RV_EXT_SVADU) ? RV_MENVCFG_ADUE : 0;
    cpu->mcycle_offset = cpu->minstret_offset = 0;
    cpu->miselect = cpu->siselect = 0;
    cpu->stimecmp = UINT64_MAX;
    __atomic_store_n(&cpu->mip_soft, 0, __ATOMIC_SEQ_CST);
    memset(cpu->pmpcfg, 0, sizeof(cpu->pmpcfg));
    memset(cpu->pmpaddr, 0, sizeof(cpu->pmpaddr));
}

/* What follows from the state: the PMP's ranges, the timer, the context. */
static void state_loaded(Cpu *cpu)
{
    RvCpu *rv = rv_cpu(cpu);

    rv_pmp_update(rv);
    rv_timer_update(rv);
    rv_csr_update_rounding(rv);
    rv->mode = NO_MODE;
    rv_cpu_update_mode(rv);
}

static void reset(Cpu *cpu)
{
    RvCpu *rv = rv_cpu(cpu);

    log_printf(LOG_RESET, "cpu %u: reset\n", cpu->index);
    memset(rv->x, 0, sizeof(rv->x));
    memset(rv->f, 0, sizeof(rv->f));
    rv->frm = rv->insn = 0;
    tcg_fp_set_flags(&cpu->fp, 0);
    rv->res_valid = 0;
    rv->res_addr = rv->res_value = 0;
    rv->priv = RV_PRIV_M;
    cpu->pc = rv_cpu_xlen_mask(rv, rv->reset_pc);
    reset_csrs(rv);
    state_loaded(cpu);
}

/* ---- State ---- */

#define F(name, type, desc)                                   \
    {                                                         \
#name, offsetof(RvCpu, name), 1, type, 0, false, desc \
    }
#define A(name, n, type, desc)                                \
    {                                                         \
#name, offsetof(RvCpu, name), n, type, 0, false, desc \
    }

static const StateField state[] = {
    { "pc", offsetof(RvCpu, parent.pc), 1, STATE_U64, 0, false, "program counter" },
    { "halted", offsetof(RvCpu, parent.halted), 1, STATE_BOOL, 0, false, "waits for an interrupt" },
    A(x, 32, STATE_U64, "integer registers"),
    A(f, 32, STATE_U64, "floating-point registers"),
    { "fflags", offsetof(RvCpu, parent.fp.flags), 1, STATE_U32, 0, false, "accrued exceptions" },
    F(frm, STATE_U32, "dynamic rounding mode"),
    F(res_addr, STATE_U64, "reservation: address"),
    F(res_value, STATE_U64, "reservation: value loaded"),
    F(res_valid, STATE_U32, "reservation: there is one"),
    F(priv, STATE_U8, "privilege"),
    F(mstatus, STATE_U64, "mstatus"),
    F(medeleg, STATE_U64, "medeleg"),
    F(mideleg, STATE_U64, "mideleg"),
    F(mie, STATE_U64, "mie"),
    F(mtvec, STATE_U64, "mtvec"),
    F(mscratch, STATE_U64, "mscratch"),
    F(mepc, STATE_U64, "mepc"),
    F(mcause, STATE_U64, "mcause"),
    F(mtval, STATE_U64, "mtval"),
    F(stvec, STATE_U64, "stvec"),
    F(sscratch, STATE_U64, "sscratch"),
    F(sepc, STATE_U64, "sepc"),
    F(scause, STATE_U64, "scause"),
    F(stval, STATE_U64, "stval"),
    F(satp, STATE_U64, "satp"),
    F(mcounteren, STATE_U64, "mcounteren"),
    F(scounteren, STATE_U64, "scounteren"),
    F(mcountinhibit, STATE_U64, "mcountinhibit"),
    F(menvcfg, STATE_U64, "menvcfg"),
    F(senvcfg, STATE_U64, "senvcfg"),
    F(mip_soft, STATE_U32, "bits of mip that software owns"),
    F(mip_lines, STATE_U32, "bits of mip that devices drive"),
    F(mcycle_offset, STATE_U64, "mcycle less the instruction count"),
    F(minstret_offset, STATE_U64, "minstret less the instruction count"),
    F(stimecmp, STATE_U64, "stimecmp"),
    F(miselect, STATE_U64, "miselect"),
    F(siselect, STATE_U64, "siselect"),
    A(pmpcfg, RV_N_PMP, STATE_U8, "PMP configuration"),
    A(pmpaddr, RV_N_PMP, STATE_U64, "PMP addresses"),
    { 0 },
};

#undef F
#undef A

/* ---- The targets ---- */

#define RV_TARGET_COMMON                                                                      \
    .reset = reset, .block_mode = block_mode, .translate = rv_translate, .walk = rv_mmu_walk, \
    .raise_memory_fault = rv_trap_memory_fault, .interrupt = rv_trap_interrupt,               \
    .has_work = rv_trap_has_work, .restore = restore, .dump = rv_dump, .gdb_xml = rv_gdb_xml, \
    .gdb_read = rv_gdb_read, .gdb_write = rv_gdb_write, .gdb_core_regs = 33, .state = state,  \
    .state_loaded = state_loaded, .counted_helpers = rv_counted_helpers

#define RV_IR_TARGET(target)                                                            \
    {                                                                                   \
        .name = target, .regs = rv_ir_regs, .n_regs = RV_N_REGS, .helpers = rv_helpers, \
        .n_helpers = RV_N_HELPERS, .max_insn_bytes = 4                                  \
    }

const TargetOps rv64_target = {
    .name = "riscv64",
    .default_cpu = "rv64",
    .ir = RV_IR_TARGET("riscv64"),
    .address_bits = 64,
    .disassemble = rv64_disassemble,
    .create = create_64,
    .list_cpus = list_64,
    RV_TARGET_COMMON,
};

const TargetOps rv32_target = {
    .name = "riscv32",
    .default_cpu = "rv32",
    .ir = RV_IR_TARGET("riscv32"),
    .address_bits = 32,
    .disassemble = rv32_disassemble,
    .create = create_32,
    .list_cpus = list_32,
    RV_TARGET_COMMON,
};
