/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The privileged half of the RISC-V target without a run loop: models and properties, CSRs, traps, interrupts, PMP, address
 * translation, the supervisor timer, gdb. The softmmu is replaced by the small fakes below; a trap that unwinds comes back
 * through the fake cpu_loop_exit().
 */
#include <stdlib.h>
#include <string.h>
#include "softmmu/memory.h"
#include "target/riscv/csr.h"

/* ---- Fakes ---- */

enum { RAM_BASE = 0x80000000, RAM_SIZE = 4 << 20, ROM_BASE = 0x1000, ROM_SIZE = 0x10000 };

G_DEFINE_TYPE(Cpu, cpu, G_TYPE_OBJECT)

static void cpu_init(Cpu *cpu)
{
}

static void cpu_class_init(CpuClass *klass)
{
}

uint8_t *ram_base;
static uint8_t *ram, *rom;
static FlatView *view;
static ContextKey context;
static unsigned n_contexts, n_flush_all, n_flushes, n_kicks, n_halts, n_written;
static TlbFlush last_flush;
static uint64_t instructions;
static int64_t now_ns;
static Timer *armed;
static uint64_t insn_pc; /* where cpu_restore_state() finds the pc */
static uint32_t insn_word;

GPtrArray *cpus;

void cpu_set_context(Cpu *cpu, const ContextKey *key)
{
    context = *key;
    n_contexts++;
}

void cpu_tlb_flush(Cpu *cpu, const TlbFlush *what)
{
    last_flush = *what;
    n_flushes++;
}

void cpu_tlb_flush_all(Cpu *cpu)
{
    n_flush_all++;
}

void cpu_restore_state(Cpu *cpu)
{
    cpu->pc = insn_pc;
    cpu->ops->restore(cpu, insn_word);
}

void cpu_loop_exit(Cpu *cpu)
{
    siglongjmp(cpu->loop, 1);
}

void cpu_halt(Cpu *cpu)
{
    n_halts++;
    cpu_loop_exit(cpu);
}

void cpu_kick(Cpu *cpu)
{
    n_kicks++;
}

uint64_t cpu_instructions(Cpu *cpu)
{
    return instructions;
}

uint64_t cpu_retired(Cpu *cpu)
{
    return cpu_instructions(cpu);
}

void cpu_count_instructions(Cpu *cpu)
{
}

uint64_t cpu_load(Cpu *cpu, uint64_t va, uint32_t memop)
{
    g_assert_not_reached();
}

void cpu_store(Cpu *cpu, uint64_t va, uint64_t value, uint32_t memop)
{
    g_assert_not_reached();
}

void cpu_probe(Cpu *cpu, uint64_t va, unsigned len, MemAccess access)
{
}

void *cpu_atomic_ptr(Cpu *cpu, uint64_t va, unsigned size, MemAccess access)
{
    TlbFill fill;

    if (!rv_mmu_walk(cpu, va, access, false, &fill)) {
        cpu_restore_state(cpu);
        cpu->ops->raise_memory_fault(cpu, va, access, MEM_FAULT_WALK, fill.fault);
    }
    return ram + ((fill.phys & ~4095ull) - RAM_BASE) + (va & 4095);
}

const FlatView *memory_view(void)
{
    return view;
}

const FlatRange *memory_find(const FlatView *v, uint64_t addr)
{
    for (unsigned i = 0; i < v->n; i++) {
        if (addr >= v->ranges[i].start && addr <= v->ranges[i].last) {
            return &v->ranges[i];
        }
    }
    return NULL;
}

void memory_written(const void *host, uint64_t len)
{
    n_written++;
}

int64_t clock_now(ClockType clock)
{
    return now_ns;
}

void timer_init(Timer *timer, ClockType clock, void (*fire)(void *), void *opaque)
{
    *timer = (Timer){ .clock = clock, .deadline = -1, .fire = fire, .opaque = opaque };
}

void timer_set(Timer *timer, int64_t deadline)
{
    timer->deadline = deadline;
    armed = timer;
}

void timer_cancel(Timer *timer)
{
    timer->deadline = -1;
}

/* ---- Set-up ---- */

static RvCpu *new_cpu(const TargetOps *ops, const char *option)
{
    GError *error = NULL;
    Cpu *cpu = ops->create(option, 3, &error);

    g_assert_no_error(error);
    ops->reset(cpu);
    return rv_cpu(cpu);
}

static void free_cpu(RvCpu *cpu)
{
    g_object_unref(cpu);
}

static char *create_error(const TargetOps *ops, const char *option)
{
    GError *error = NULL;
    Cpu *cpu = ops->create(option, 0, &error);
    char *text;

    g_assert_null(cpu);
    g_assert_nonnull(error);
    text = g_strdup(error->message);
    g_error_free(error);
    return text;
}

static void set_priv(RvCpu *cpu, unsigned priv)
{
    cpu->priv = (uint8_t)priv;
    rv_cpu_update_mode(cpu);
}

/* What one call did. */
typedef struct Outcome {
    bool trapped;
    uint64_t value;
} Outcome;

typedef enum Op {
    CSRR,
    CSRW,
    CSRRW,
    CSRRS,
    CSRRC,
    RAISE,
    FP_ENABLE,
    ECALL,
    EBREAK,
    MRET,
    SRET,
    WFI,
    SFENCE,
    SINVAL,
    SFENCE_INVAL,
    CBO_INVAL,
    CBO_CLEAN,
    CBO_FLUSH,
    CBO_ZERO,
    FAULT
} Op;

static uint64_t call(Cpu *c, Op op, uint64_t a, uint32_t k)
{
    switch (op) {
    case CSRR:
        return rv_helper_csrr(c, k);
    case CSRW:
        rv_helper_csrw(c, a, k);
        return 0;
    case CSRRW:
        return rv_helper_csrrw(c, a, k);
    case CSRRS:
        return rv_helper_csrrs(c, a, k);
    case CSRRC:
        return rv_helper_csrrc(c, a, k);
    case RAISE:
        rv_helper_raise(c, a, k);
        return 0;
    case FP_ENABLE:
        rv_helper_fp_enable(c, k);
        return 0;
    case ECALL:
        rv_helper_ecall(c, a, k);
        return 0;
    case EBREAK:
        rv_helper_ebreak(c, a, k);
        return 0;
    case MRET:
        rv_helper_mret(c, k);
        return 0;
    case SRET:
        rv_helper_sret(c, k);
        return 0;
    case WFI:
        rv_helper_wfi(c, a, k);
        return 0;
    case SFENCE:
        rv_helper_sfence_vma(c, a, 7, k);
        return 0;
    case SINVAL:
        rv_helper_sinval_vma(c, a, 7, k);
        return 0;
    case SFENCE_INVAL:
        rv_helper_sfence_inval(c, k);
        return 0;
    case CBO_INVAL:
        rv_helper_cbo_inval(c, a, k);
        return 0;
    case CBO_CLEAN:
        rv_helper_cbo_clean(c, a, k);
        return 0;
    case CBO_FLUSH:
        rv_helper_cbo_flush(c, a, k);
        return 0;
    case CBO_ZERO:
        rv_helper_cbo_zero(c, a, k);
        return 0;
    case FAULT:
        c->ops->raise_memory_fault(c, a, (MemAccess)(k & 7), (MemFault)(k >> 4), k >> 8);
    }
    return 0;
}

static Outcome try_op(RvCpu *cpu, Op op, uint64_t a, uint32_t k)
{
    Outcome out = { false, 0 };

    if (sigsetjmp(cpu->parent.loop, 0)) {
        return (Outcome){ true, 0 };
    }
    out.value = call(&cpu->parent, op, a, k);
    return out;
}

static void expect_illegal(RvCpu *cpu, Op op, uint64_t a, uint32_t k)
{
    uint8_t priv = cpu->priv;
    uint64_t mstatus = cpu->mstatus;

    cpu->medeleg = 0;
    insn_pc = 0x80001234;
    insn_word = 0xdeadbeef;
    g_assert_true(try_op(cpu, op, a, k).trapped);
    g_assert_cmpuint(cpu->mcause, ==, RV_EXC_ILLEGAL);
    g_assert_cmphex(cpu->mepc, ==, insn_pc);
    g_assert_cmphex(cpu->mtval, ==, insn_word);
    g_assert_cmpuint(cpu->priv, ==, RV_PRIV_M);
    cpu->mstatus = mstatus;
    set_priv(cpu, priv);
}

static uint64_t get(RvCpu *cpu, unsigned csr)
{
    Outcome out = try_op(cpu, CSRR, 0, csr);

    g_assert_false(out.trapped);
    return out.value;
}

static void set(RvCpu *cpu, unsigned csr, uint64_t value)
{
    g_assert_false(try_op(cpu, CSRW, value, csr).trapped);
}

/* ---- Models ---- */

static void test_models(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64,zba=off,sv57=off,pmp=off");
    g_autofree char *isa = rv_cpu_isa_string(cpu), *text = NULL;
    g_auto(GStrv) names = rv_cpu_isa_extensions(cpu);
    gboolean on;

    g_assert_true(g_str_has_prefix(isa, "rv64imafdc_zic64b_zicbom_zicbop_zicboz_"));
    g_assert_null(strstr(isa, "_zba"));
    g_assert_nonnull(strstr(isa, "_zcd_zbb_"));
    g_assert_true(g_str_has_suffix(isa, "_sstc_sstvala_sstvecd_svadu_svinval_svnapot_svpbmt"));
    g_assert_true(g_strv_contains((const char *const *)names, "zicbom"));
    g_assert_cmpstr(rv_cpu_mmu_type(cpu), ==, "riscv,sv48");
    g_assert_cmpstr(rv_cpu_isa_base(cpu), ==, "rv64i");
    g_assert_cmpuint(rv_cpu_cboz_block_size(cpu), ==, 64);
    g_object_get(cpu, "zba", &on, NULL);
    g_assert_false(on);
    g_object_get(cpu, "zbb", &on, NULL);
    g_assert_true(on);
    g_assert_cmphex(get(cpu, RV_CSR_MISA), ==, 2ull << 62 | 0x14112d);
    free_cpu(cpu);

    cpu = new_cpu(&rv32_target, "rv32");
    g_assert_cmphex(get(cpu, RV_CSR_MISA), ==, 1u << 30 | 0x14112d);
    g_assert_cmpstr(rv_cpu_mmu_type(cpu), ==, "riscv,sv32");
    text = rv_cpu_isa_string(cpu);
    g_assert_nonnull(strstr(text, "_zcd_zcf_"));
    g_assert_null(strstr(text, "svnapot"));
    free_cpu(cpu);
    free_cpu(new_cpu(&rv64_target, "max"));
    free_cpu(new_cpu(&rv32_target, "max"));
}

static void test_model_errors(void)
{
    static const struct {
        const char *option, *error;
    } cases[] = {
        { "rv65", "-cpu: 'rv65' is no CPU model of a 64-bit RISC-V machine; did you mean 'rv64'?" },
        { "rv32", "-cpu: 'rv32' is no CPU model of a 64-bit RISC-V machine" },
        { "rv64,d=on,f=off", "-cpu rv64: 'd' needs 'f', which is off" },
        { "rv64,f=off,zfhmin=on", "-cpu rv64: 'zfhmin' needs 'f', which is off" },
        { "rv64,sv57=on,sv39=off", "-cpu rv64: 'sv57' needs 'sv48', which is off" },
        { "rv64,s=on,u=off", "-cpu rv64: 's' needs 'u', which is off" },
    };
    g_autofree char *text = create_error(&rv64_target, "rv64,zbba=off");

    g_assert_nonnull(strstr(text, "zbba"));
    g_assert_nonnull(strstr(text, "did you mean 'zb"));
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *error = create_error(&rv64_target, cases[i].option);

        g_assert_cmpstr(error, ==, cases[i].error);
    }
    g_free(text);
    text = create_error(&rv64_target, "rv64,zba=maybe");
    g_assert_nonnull(strstr(text, "zba"));
    g_free(text);
    text = create_error(&rv32_target, "rv32,sv39=on");
    g_assert_cmpstr(text, ==, "-cpu rv32: 'sv39' is not for RV32");
}

static void test_model_needs(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64,f=off");
    g_autoptr(GString) list = g_string_new(NULL);

    g_assert_false(rv_cpu_has(cpu, RV_EXT_D));
    g_assert_false(rv_cpu_has(cpu, RV_EXT_ZFA));
    free_cpu(cpu);
    cpu = new_cpu(&rv64_target, "rv64,s=off");
    g_assert_false(rv_cpu_has(cpu, RV_EXT_SSTC));
    g_assert_false(rv_cpu_has(cpu, RV_FEATURE_SV39));
    g_assert_true(rv_cpu_has(cpu, RV_EXT_U));
    g_assert_cmpstr(rv_cpu_mmu_type(cpu), ==, "riscv,none");
    free_cpu(cpu);
    cpu = new_cpu(&rv64_target, "rv64,u=off");
    g_assert_false(rv_cpu_has(cpu, RV_EXT_S));
    g_assert_cmphex(get(cpu, RV_CSR_MSTATUS), ==, RV_MSTATUS_MPP);
    set(cpu, RV_CSR_MSTATUS, 0);
    g_assert_cmphex(get(cpu, RV_CSR_MSTATUS), ==, RV_MSTATUS_MPP);
    free_cpu(cpu);
    cpu = new_cpu(&rv64_target, "rv64,zbkx=on");
    g_assert_true(rv_cpu_has(cpu, RV_EXT_ZBKX));
    free_cpu(cpu);
    rv64_target.list_cpus(list);
    g_assert_nonnull(strstr(list->str, "  rv64 "));
    g_assert_nonnull(strstr(list->str, "  svnapot "));
    g_assert_null(strstr(list->str, "  rv32 "));
}

/* ---- CSRs ---- */

typedef struct CsrCase {
    uint16_t csr;
    uint64_t write, expect;
} CsrCase;

static void check_csrs(const TargetOps *ops, const char *option, const CsrCase *cases, unsigned n)
{
    RvCpu *cpu = new_cpu(ops, option);

    for (unsigned i = 0; i < n; i++) {
        if (cases[i].csr <= RV_CSR_FCSR) {
            cpu->mstatus |= RV_MSTATUS_FS;
        }
        set(cpu, cases[i].csr, cases[i].write);
        if (get(cpu, cases[i].csr) != cases[i].expect) {
            g_error("csr %#x: wrote %#lx, read %#lx, expected %#lx", cases[i].csr, cases[i].write,
                    get(cpu, cases[i].csr), cases[i].expect);
        }
    }
    free_cpu(cpu);
}

static void test_csr_warl(void)
{
    static const CsrCase rv64[] = {
        { RV_CSR_MSTATUS, -1, 0x8000000a007e79aa },
        { RV_CSR_SSTATUS, 0, 0x200000000 },
        { RV_CSR_MSTATUS, 0x1000, 0xa00000000 | 0x1800 }, /* MPP = 2 is refused: M stays */
        { RV_CSR_MSTATUS, 0x800, 0xa00000000 | 0x800 },
        { RV_CSR_SSTATUS, -1, 0x80000002000c6122 },
        { RV_CSR_MSTATUS, 0, 0xa00000000 },
        { RV_CSR_MISA, 0, 2ull << 62 | 0x14112d },
        { RV_CSR_MEDELEG, -1, 0xb3ff },
        { RV_CSR_MIDELEG, -1, 0x222 },
        { RV_CSR_MIE, -1, 0xaaa },
        { RV_CSR_SIE, 0, 0 },
        { RV_CSR_MIE, -1, 0xaaa },
        { RV_CSR_MIE, 0, 0 },
        { RV_CSR_MTVEC, 0x80000001, 0x80000001 },
        { RV_CSR_MTVEC, 0x90000002, 0x90000001 },
        { RV_CSR_MTVEC, 0x84, 0x84 },
        { RV_CSR_STVEC, -1, ~3ull },
        { RV_CSR_MEPC, -1, ~1ull },
        { RV_CSR_SEPC, 3, 2 },
        { RV_CSR_MSCRATCH, -1, -1 },
        { RV_CSR_MTVAL, -1, -1 },
        { RV_CSR_MCAUSE, 1ull << 63 | 5, 1ull << 63 | 5 },
        { RV_CSR_MCOUNTEREN, -1, 0xffffffff },
        { RV_CSR_MCOUNTINHIBIT, -1, 5 },
        { RV_CSR_MCOUNTINHIBIT, 0, 0 },
        { RV_CSR_MENVCFG, -1, 0xe0000000000000f1 },
        { RV_CSR_MENVCFG, 0xa1, 0xb1 }, /* CBIE = 2: the old 3 stays */
        { RV_CSR_MENVCFG, 0, 0 },
        { RV_CSR_SENVCFG, -1, 0xf1 },
        { RV_CSR_SATP, 8ull << 60 | 0x1234567, 8ull << 60 | 0x1234567 },
        { RV_CSR_SATP, 7ull << 60 | 5, 8ull << 60 | 0x1234567 },
        { RV_CSR_SATP, 11ull << 60, 8ull << 60 | 0x1234567 },
        { RV_CSR_SATP, 10ull << 60 | 0xffffull << 44, 10ull << 60 | 0xffffull << 44 },
        { RV_CSR_SATP, 0, 0 },
        { RV_CSR_FCSR, -1, 0xff },
        { RV_CSR_FFLAGS, 3, 3 },
        { RV_CSR_FRM, 9, 1 },
        { RV_CSR_FCSR, 0x23, 0x23 },
        { RV_CSR_MHPMCOUNTER3, -1, 0 },
        { RV_CSR_MHPMCOUNTER3 + 28, -1, 0 },
        { RV_CSR_MHPMEVENT3 + 28, -1, 0 },
        { RV_CSR_TSELECT, 5, 0 },
        { RV_CSR_TDATA1, -1, 0 },
        { RV_CSR_STIMECMP, -1, -1 },
        { RV_CSR_PMPADDR0, -1, 0x3fffffffffffff },
        { RV_CSR_PMPCFG0, 0x7f1a02, 0x1f1800 }, /* W without R goes, so do bits 5 and 6 */
    };
    static const CsrCase rv32[] = {
        { RV_CSR_MSTATUS, -1u, 0x807e79aa },
        { RV_CSR_MSTATUSH, -1u, 0 },
        { RV_CSR_MSTATUS, 0, 0 },
        { RV_CSR_MENVCFG, -1u, 0xf1 },
        { RV_CSR_MENVCFGH, -1u, 0xa0000000 },
        { RV_CSR_MENVCFG, -1u, 0xf1 },
        { RV_CSR_MEDELEGH, -1u, 0 },
        { RV_CSR_MEDELEG, -1u, 0xb3ff },
        { RV_CSR_SATP, 0xffffffff, 0xffffffff },
        { RV_CSR_SATP, 0, 0 },
        { RV_CSR_STIMECMP, 0x11111111, 0x11111111 },
        { RV_CSR_STIMECMPH, 0x22222222, 0x22222222 },
        { RV_CSR_MEPC, -1u, 0xfffffffe },
        { RV_CSR_MSCRATCH, 0xfedcba98, 0xfedcba98 },
        { RV_CSR_PMPADDR0, -1u, -1u },
        { RV_CSR_PMPCFG0 + 1, 0x1f1f1f1f, 0x1f1f1f1f },
    };

    check_csrs(&rv64_target, "rv64", rv64, G_N_ELEMENTS(rv64));
    check_csrs(&rv32_target, "rv32", rv32, G_N_ELEMENTS(rv32));
}

static void test_csr_access(void)
{
    static const uint16_t m_only[] = { RV_CSR_MSTATUS, RV_CSR_MISA,   RV_CSR_MHARTID,
                                       RV_CSR_PMPCFG0, RV_CSR_MCYCLE, RV_CSR_TSELECT };
    static const uint16_t s_only[] = { RV_CSR_SSTATUS, RV_CSR_SATP, RV_CSR_SENVCFG };
    static const uint16_t absent[] = { 0x011,
                                       0x015,
                                       0x200,
                                       0x600,
                                       0x747,
                                       0x7a8,
                                       0x7b0,
                                       0x310,
                                       0x31a,
                                       0xb80,
                                       0xc80,
                                       0x15d,
                                       RV_CSR_PMPCFG0 + 1,
                                       RV_CSR_PMPCFG0 + 4,
                                       RV_CSR_PMPADDR0 + 16,
                                       0x723,
                                       0xda0,
                                       0xfff };
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");

    for (unsigned i = 0; i < G_N_ELEMENTS(absent); i++) {
        expect_illegal(cpu, CSRR, 0, absent[i]);
    }
    expect_illegal(cpu, CSRW, 0, RV_CSR_MHARTID);
    expect_illegal(cpu, CSRRS, 1, RV_CSR_CYCLE);
    g_assert_cmpuint(get(cpu, RV_CSR_MHARTID), ==, 3);
    expect_illegal(cpu, CSRR, 0, RV_CSR_FCSR);
    set_priv(cpu, RV_PRIV_S);
    for (unsigned i = 0; i < G_N_ELEMENTS(m_only); i++) {
        expect_illegal(cpu, CSRR, 0, m_only[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(s_only); i++) {
        get(cpu, s_only[i]);
    }
    set_priv(cpu, RV_PRIV_U);
    for (unsigned i = 0; i < G_N_ELEMENTS(s_only); i++) {
        expect_illegal(cpu, CSRR, 0, s_only[i]);
    }
    free_cpu(cpu);
    cpu = new_cpu(&rv64_target, "rv64,pmp=off,s=off,f=off");
    expect_illegal(cpu, CSRR, 0, RV_CSR_PMPCFG0);
    expect_illegal(cpu, CSRR, 0, RV_CSR_SSTATUS);
    expect_illegal(cpu, CSRR, 0, RV_CSR_MEDELEG);
    cpu->mstatus |= RV_MSTATUS_FS;
    expect_illegal(cpu, CSRR, 0, RV_CSR_FRM);
    free_cpu(cpu);
}

static void test_csr_counters(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");

    instructions = 1000;
    set(cpu, RV_CSR_MINSTRET, 0);
    instructions = 1001;
    g_assert_cmpuint(get(cpu, RV_CSR_MINSTRET), ==, 0);
    instructions = 1011;
    g_assert_cmpuint(get(cpu, RV_CSR_INSTRET), ==, 10);
    g_assert_cmpuint(get(cpu, RV_CSR_MCYCLE), ==, 1011);
    set(cpu, RV_CSR_MCOUNTINHIBIT, 4);
    instructions += 500;
    g_assert_cmpuint(get(cpu, RV_CSR_INSTRET), ==, 10);
    set(cpu, RV_CSR_MINSTRET, 77);
    g_assert_cmpuint(get(cpu, RV_CSR_INSTRET), ==, 77);
    set(cpu, RV_CSR_MCOUNTINHIBIT, 0);
    instructions += 3;
    g_assert_cmpuint(get(cpu, RV_CSR_INSTRET), ==, 80);
    now_ns = 12345678;
    g_assert_cmpuint(get(cpu, RV_CSR_TIME), ==, 123456);
    for (unsigned m = 0; m < 2; m++) {
        for (unsigned s = 0; s < 2; s++) {
            set_priv(cpu, RV_PRIV_M);
            set(cpu, RV_CSR_MCOUNTEREN, m << 1);
            set(cpu, RV_CSR_SCOUNTEREN, s << 1);
            g_assert_false(try_op(cpu, CSRR, 0, RV_CSR_TIME).trapped);
            set_priv(cpu, RV_PRIV_S);
            g_assert_true(try_op(cpu, CSRR, 0, RV_CSR_TIME).trapped == !m);
            set_priv(cpu, RV_PRIV_U);
            g_assert_true(try_op(cpu, CSRR, 0, RV_CSR_TIME).trapped == !(m && s));
            set_priv(cpu, RV_PRIV_U);
            g_assert_true(try_op(cpu, CSRR, 0, RV_CSR_CYCLE).trapped);
        }
    }
    free_cpu(cpu);

    cpu = new_cpu(&rv32_target, "rv32");
    instructions = 0x7fffffffull;
    set(cpu, RV_CSR_MINSTRET, 0xffffffff);
    instructions += 1;
    set(cpu, RV_CSR_MINSTRETH, 0);
    instructions += 2;
    g_assert_cmphex(get(cpu, RV_CSR_MINSTRET), ==, 0);
    g_assert_cmphex(get(cpu, RV_CSR_MINSTRETH), ==, 1);
    now_ns = 0x123456789ll * 100;
    g_assert_cmphex(get(cpu, RV_CSR_TIME), ==, 0x23456789);
    g_assert_cmphex(get(cpu, RV_CSR_TIMEH), ==, 1);
    free_cpu(cpu);
    instructions = 0;
    now_ns = 0;
}

static void test_csr_mip(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");

    irq_set(rv_cpu_irq(cpu, RV_IRQ_SEI), true);
    g_assert_cmphex(try_op(cpu, CSRRS, 1 << RV_IRQ_SSI, RV_CSR_MIP).value, ==, 1 << RV_IRQ_SEI);
    g_assert_cmphex(cpu->mip_soft, ==, 1 << RV_IRQ_SSI);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_SEI), false);
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 1 << RV_IRQ_SSI);
    set(cpu, RV_CSR_MIP, -1);
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 0x222);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_MSI), true);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_MTI), true);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_MEI), true);
    set(cpu, RV_CSR_MIP, 0);
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 0x888);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_SSI), true);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_SSI), false);
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 0x88a);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 0);
    set(cpu, RV_CSR_MIDELEG, -1);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 2);
    set(cpu, RV_CSR_SIP, 0x220);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 0);
    set(cpu, RV_CSR_SIP, 2);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 2);
    /* sie shows and changes delegated bits only. */
    set(cpu, RV_CSR_MIE, 0xaaa);
    set(cpu, RV_CSR_MIDELEG, 0x20);
    g_assert_cmphex(get(cpu, RV_CSR_SIE), ==, 0x20);
    set(cpu, RV_CSR_SIE, 0);
    g_assert_cmphex(get(cpu, RV_CSR_MIE), ==, 0xa8a);
    free_cpu(cpu);
}

/* Any value into any register at any privilege: nothing breaks, and the WARL fields stay legal. */
static void test_csr_random(void)
{
    static const char *const options[] = { "rv64", "rv64,s=off", "rv64,u=off",
                                           "rv64,f=off,pmp=off" };

    for (unsigned o = 0; o < G_N_ELEMENTS(options); o++) {
        RvCpu *cpu = new_cpu(&rv64_target, options[o]);

        for (unsigned i = 0; i < 200000; i++) {
            unsigned csr = g_test_rand_int() & 0xfff, op = g_test_rand_int_range(CSRR, CSRRC + 1);
            uint64_t value = (uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();
            unsigned mpp;

            try_op(cpu, (Op)op, value, csr);
            mpp = cpu->mstatus >> RV_MSTATUS_MPP_SHIFT & 3;
            g_assert_true(mpp != 2 && (mpp != 1 || rv_cpu_has(cpu, RV_EXT_S)) &&
                          (mpp || rv_cpu_has(cpu, RV_EXT_U)));
            g_assert_true(cpu->x[0] == 0 && (cpu->mtvec & 2) == 0 && (cpu->stvec & 2) == 0);
            g_assert_true(!(cpu->mideleg & ~0x222ull) && !(cpu->medeleg & 1 << 11));
            if (!(i & 15)) {
                set_priv(cpu, i & 16                      ? RV_PRIV_M
                              : rv_cpu_has(cpu, RV_EXT_S) ? RV_PRIV_S
                                                          : RV_PRIV_M);
            }
        }
        free_cpu(cpu);
    }
}

/* ---- Traps ---- */

static void test_trap_delegation(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");
    static const uint8_t privs[] = { RV_PRIV_U, RV_PRIV_S, RV_PRIV_M };

    cpu->mtvec = 0x1001;
    cpu->stvec = 0x2001;
    for (unsigned cause = 0; cause < 16; cause++) {
        for (unsigned p = 0; p < 3; p++) {
            for (unsigned deleg = 0; deleg < 2; deleg++) {
                for (unsigned ie = 0; ie < 2; ie++) {
                    bool to_s = deleg && privs[p] != RV_PRIV_M;

                    cpu->medeleg = deleg ? 1u << cause : ~(1ull << cause);
                    cpu->mstatus =
                        rv_csr_mstatus_reset(cpu) | (ie ? RV_MSTATUS_MIE | RV_MSTATUS_SIE : 0);
                    set_priv(cpu, privs[p]);
                    cpu->parent.pc = 0x4444;
                    cpu->res_valid = 1;
                    rv_trap_enter(cpu, cause, false, 99);
                    g_assert_cmpuint(cpu->priv, ==, to_s ? RV_PRIV_S : RV_PRIV_M);
                    g_assert_cmphex(cpu->parent.pc, ==, to_s ? 0x2000 : 0x1000);
                    g_assert_cmphex(to_s ? cpu->sepc : cpu->mepc, ==, 0x4444);
                    g_assert_cmphex(to_s ? cpu->scause : cpu->mcause, ==, cause);
                    g_assert_cmphex(to_s ? cpu->stval : cpu->mtval, ==, 99);
                    g_assert_cmpuint(cpu->res_valid, ==, 0);
                    if (to_s) {
                        g_assert_true(!!(cpu->mstatus & RV_MSTATUS_SPP) == (privs[p] == RV_PRIV_S));
                        g_assert_true(!!(cpu->mstatus & RV_MSTATUS_SPIE) == ie);
                        g_assert_true(!!(cpu->mstatus & RV_MSTATUS_MIE) == ie);
                        g_assert_false(cpu->mstatus & RV_MSTATUS_SIE);
                    } else {
                        g_assert_cmpuint(cpu->mstatus >> 11 & 3, ==, privs[p]);
                        g_assert_true(!!(cpu->mstatus & RV_MSTATUS_MPIE) == ie);
                        g_assert_true(!!(cpu->mstatus & RV_MSTATUS_SIE) == ie);
                        g_assert_false(cpu->mstatus & RV_MSTATUS_MIE);
                    }
                }
            }
        }
    }
    free_cpu(cpu);
}

/* Which interrupt the manual's rules take, written down once more, plainly. */
static int expected_irq(const RvCpu *cpu, uint64_t mip)
{
    static const uint8_t order[] = { 11, 3, 7, 9, 1, 5 };
    bool m_on = cpu->priv < RV_PRIV_M || (cpu->mstatus & RV_MSTATUS_MIE);
    bool s_on =
        cpu->priv == RV_PRIV_U || (cpu->priv == RV_PRIV_S && (cpu->mstatus & RV_MSTATUS_SIE));

    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < 6; i++) {
            bool deleg = cpu->mideleg >> order[i] & 1;

            if ((mip & cpu->mie) >> order[i] & 1 && deleg == pass && (pass ? s_on : m_on)) {
                return order[i];
            }
        }
    }
    return -1;
}

static void test_interrupts(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");
    static const uint8_t privs[] = { RV_PRIV_U, RV_PRIV_S, RV_PRIV_M };

    for (unsigned i = 0; i < 100000; i++) {
        uint32_t pending = g_test_rand_int() & 0xaaa;
        int irq;

        cpu->mtvec = 0x1000 | (g_test_rand_int() & 1);
        cpu->stvec = 0x2000 | (g_test_rand_int() & 1);
        cpu->mip_soft = pending & 0x222;
        cpu->mip_lines = pending & ~0x222u;
        cpu->mie = g_test_rand_int() & 0xaaa;
        cpu->mideleg = g_test_rand_int() & 0x222;
        cpu->mstatus =
            rv_csr_mstatus_reset(cpu) | (g_test_rand_int() & (RV_MSTATUS_MIE | RV_MSTATUS_SIE));
        cpu->menvcfg = 0;
        set_priv(cpu, privs[i % 3]);
        irq = expected_irq(cpu, pending);
        g_assert_true(rv_trap_has_work(&cpu->parent) == ((pending & cpu->mie) != 0));
        g_assert_true(rv_trap_interrupt(&cpu->parent) == (irq >= 0));
        if (irq >= 0) {
            bool to_s = cpu->mideleg >> irq & 1;
            uint64_t tvec = to_s ? cpu->stvec : cpu->mtvec;

            g_assert_cmpuint(cpu->priv, ==, to_s ? RV_PRIV_S : RV_PRIV_M);
            g_assert_cmphex(to_s ? cpu->scause : cpu->mcause, ==, 1ull << 63 | (unsigned)irq);
            g_assert_cmphex(cpu->parent.pc, ==,
                            (tvec & ~3ull) + (tvec & 1 ? 4 * (unsigned)irq : 0));
        }
    }
    free_cpu(cpu);
}

static void test_kicks(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");

    n_kicks = 0;
    irq_set(rv_cpu_irq(cpu, RV_IRQ_MTI), true);
    g_assert_cmpuint(n_kicks, ==, 1);
    set(cpu, RV_CSR_MIE, 0x80);
    g_assert_cmpuint(n_kicks, ==, 1);
    try_op(cpu, CSRRS, RV_MSTATUS_MIE, RV_CSR_MSTATUS);
    g_assert_cmpuint(n_kicks, ==, 2);
    set(cpu, RV_CSR_MSTATUS, 0);
    cpu->mepc = 0x500;
    g_assert_false(try_op(cpu, MRET, 0, 0).trapped);
    g_assert_cmpuint(n_kicks, ==, 3);
    free_cpu(cpu);
}

static void test_raise(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");
    static const struct {
        MemAccess access;
        MemFault why;
        uint32_t fault, cause;
    } faults[] = {
        { MEM_LOAD, MEM_FAULT_BUS, 0, 5 },     { MEM_STORE, MEM_FAULT_BUS, 0, 7 },
        { MEM_FETCH, MEM_FAULT_BUS, 0, 1 },    { MEM_LOAD, MEM_FAULT_ALIGN, 0, 4 },
        { MEM_STORE, MEM_FAULT_ALIGN, 0, 6 },  { MEM_LOAD, MEM_FAULT_WALK, 13, 13 },
        { MEM_FETCH, MEM_FAULT_WALK, 12, 12 },
    };

    insn_pc = 0x8000;
    g_assert_true(try_op(cpu, RAISE, 0x77, RV_EXC_FETCH_ALIGN).trapped);
    g_assert_cmphex(cpu->mepc, ==, 0x8000);
    g_assert_cmphex(cpu->mtval, ==, 0x77);
    g_assert_true(try_op(cpu, EBREAK, 0x8000, 0).trapped);
    g_assert_cmphex(cpu->mcause, ==, RV_EXC_BREAKPOINT);
    for (unsigned i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_assert_true(try_op(cpu, FAULT, 0xabc,
                             faults[i].access | (uint32_t)faults[i].why << 4 | faults[i].fault << 8)
                          .trapped);
        g_assert_cmpuint(cpu->mcause, ==, faults[i].cause);
        g_assert_cmphex(cpu->mtval, ==, 0xabc);
    }
    cpu->medeleg = 1 << RV_EXC_ECALL_U;
    cpu->stvec = 0x9000;
    set_priv(cpu, RV_PRIV_U);
    g_assert_false(try_op(cpu, ECALL, 0x1110, 0).trapped);
    g_assert_cmphex(cpu->scause, ==, RV_EXC_ECALL_U);
    g_assert_cmphex(cpu->sepc, ==, 0x1110);
    g_assert_cmphex(cpu->parent.pc, ==, 0x9000);
    g_assert_cmpuint(cpu->priv, ==, RV_PRIV_S);
    try_op(cpu, ECALL, 0x2220, 0);
    g_assert_cmphex(cpu->mcause, ==, RV_EXC_ECALL_S);
    try_op(cpu, ECALL, 0x3330, 0);
    g_assert_cmphex(cpu->mcause, ==, RV_EXC_ECALL_M);
    free_cpu(cpu);
}

static void test_returns(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");
    static const uint8_t privs[] = { RV_PRIV_U, RV_PRIV_S, RV_PRIV_M };

    for (unsigned p = 0; p < 3; p++) {
        for (unsigned pie = 0; pie < 2; pie++) {
            cpu->mstatus = rv_csr_mstatus_reset(cpu) | (uint64_t)privs[p] << 11 |
                           (pie ? RV_MSTATUS_MPIE : RV_MSTATUS_MIE) | RV_MSTATUS_MPRV;
            set_priv(cpu, RV_PRIV_M);
            cpu->mepc = 0x123456;
            g_assert_false(try_op(cpu, MRET, 0, 0).trapped);
            g_assert_cmpuint(cpu->priv, ==, privs[p]);
            g_assert_cmphex(cpu->parent.pc, ==, 0x123456);
            g_assert_true(!!(cpu->mstatus & RV_MSTATUS_MIE) == pie);
            g_assert_true(cpu->mstatus & RV_MSTATUS_MPIE);
            g_assert_false(cpu->mstatus & RV_MSTATUS_MPP);
            g_assert_true(!!(cpu->mstatus & RV_MSTATUS_MPRV) == (privs[p] == RV_PRIV_M));
        }
    }
    for (unsigned spp = 0; spp < 2; spp++) {
        cpu->mstatus = rv_csr_mstatus_reset(cpu) | (spp ? RV_MSTATUS_SPP : 0) | RV_MSTATUS_SPIE |
                       RV_MSTATUS_MPRV;
        set_priv(cpu, spp ? RV_PRIV_S : RV_PRIV_M);
        cpu->sepc = 0x789abc;
        g_assert_false(try_op(cpu, SRET, 0, 0).trapped);
        g_assert_cmpuint(cpu->priv, ==, spp);
        g_assert_cmphex(cpu->parent.pc, ==, 0x789abc);
        g_assert_true(cpu->mstatus & RV_MSTATUS_SIE);
        g_assert_false(cpu->mstatus & (RV_MSTATUS_SPP | RV_MSTATUS_MPRV));
    }
    set_priv(cpu, RV_PRIV_S);
    expect_illegal(cpu, MRET, 0, 0);
    cpu->mstatus |= RV_MSTATUS_TSR;
    expect_illegal(cpu, SRET, 0, 0);
    set_priv(cpu, RV_PRIV_U);
    cpu->mstatus &= ~(uint64_t)RV_MSTATUS_TSR;
    expect_illegal(cpu, SRET, 0, 0);
    free_cpu(cpu);
}

static void test_system_insns(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");

    n_halts = 0;
    cpu->mie = 0x80;
    g_assert_true(try_op(cpu, WFI, 0x104, 0).trapped);
    g_assert_cmpuint(n_halts, ==, 1);
    g_assert_cmphex(cpu->parent.pc, ==, 0x104);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_MTI), true);
    g_assert_false(try_op(cpu, WFI, 0x108, 0).trapped);
    g_assert_cmphex(cpu->parent.pc, ==, 0x108);
    set_priv(cpu, RV_PRIV_S);
    g_assert_false(try_op(cpu, WFI, 0x10c, 0).trapped);
    cpu->mstatus |= RV_MSTATUS_TW;
    expect_illegal(cpu, WFI, 0x10c, 0);
    cpu->mstatus &= ~(uint64_t)RV_MSTATUS_TW;
    set_priv(cpu, RV_PRIV_U);
    expect_illegal(cpu, WFI, 0x10c, 0);
    expect_illegal(cpu, SFENCE, 0, 0);
    expect_illegal(cpu, SINVAL, 0, 0);
    expect_illegal(cpu, SFENCE_INVAL, 0, 0);
    set_priv(cpu, RV_PRIV_S);
    n_flushes = 0;
    g_assert_false(try_op(cpu, SFENCE, 0x5000, 3).trapped);
    g_assert_cmpuint(n_flushes, ==, 1);
    g_assert_true(last_flush.by_va && last_flush.by_asid && last_flush.va == 0x5000 &&
                  last_flush.asid == 7);
    g_assert_false(try_op(cpu, SFENCE, 0x5000, 0).trapped);
    g_assert_true(!last_flush.by_va && !last_flush.by_asid);
    get(cpu, RV_CSR_SATP);
    cpu->mstatus |= RV_MSTATUS_TVM;
    expect_illegal(cpu, SFENCE, 0, 0);
    expect_illegal(cpu, SINVAL, 0, 0);
    expect_illegal(cpu, CSRR, 0, RV_CSR_SATP);
    expect_illegal(cpu, CSRW, 0, RV_CSR_SATP);
    g_assert_false(try_op(cpu, SFENCE_INVAL, 0, 0).trapped);
    set_priv(cpu, RV_PRIV_M);
    g_assert_false(try_op(cpu, SFENCE, 0, 0).trapped);
    free_cpu(cpu);
}

static void test_cache_blocks(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64,pmp=off");
    static const struct {
        Op op;
        uint64_t bit;
    } ops[] = {
        { CBO_INVAL, 1 << 4 },
        { CBO_CLEAN, RV_ENVCFG_CBCFE },
        { CBO_FLUSH, RV_ENVCFG_CBCFE },
        { CBO_ZERO, RV_ENVCFG_CBZE },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(ops); i++) {
        cpu->menvcfg = cpu->senvcfg = 0;
        set_priv(cpu, RV_PRIV_M);
        g_assert_false(try_op(cpu, ops[i].op, RAM_BASE, 0).trapped);
        set_priv(cpu, RV_PRIV_S);
        expect_illegal(cpu, ops[i].op, RAM_BASE, 0);
        cpu->menvcfg = ops[i].bit;
        g_assert_false(try_op(cpu, ops[i].op, RAM_BASE, 0).trapped);
        set_priv(cpu, RV_PRIV_U);
        expect_illegal(cpu, ops[i].op, RAM_BASE, 0);
        cpu->senvcfg = ops[i].bit;
        g_assert_false(try_op(cpu, ops[i].op, RAM_BASE, 0).trapped);
    }
    memset(ram, 0xff, 256);
    set_priv(cpu, RV_PRIV_M);
    try_op(cpu, CBO_ZERO, RAM_BASE + 64 + 17, 0);
    g_assert_true(ram[63] == 0xff && ram[64] == 0 && ram[127] == 0 && ram[128] == 0xff);
    free_cpu(cpu);
}

/* ---- Mode and contexts ---- */

static void test_contexts(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");
    uint64_t satp = 8ull << 60 | 5ull << 44 | 0x80001;
    uint32_t base = cpu->mode_base;

    g_assert_true(context.root == 0 && context.asid == 0);
    g_assert_cmphex(rv64_target.block_mode(&cpu->parent), ==, base);
    set(cpu, RV_CSR_SATP, satp);
    g_assert_cmphex(context.root, ==, 0);
    set_priv(cpu, RV_PRIV_S);
    g_assert_cmphex(context.root, ==, satp);
    g_assert_cmpuint(context.asid, ==, 5);
    g_assert_cmphex(context.mode, ==,
                    base | RV_PRIV_S << RV_MODE_PRIV_SHIFT | RV_PRIV_S << RV_MODE_DATA_SHIFT);
    n_contexts = 0;
    try_op(cpu, CSRRS, RV_MSTATUS_SIE, RV_CSR_SSTATUS);
    g_assert_cmpuint(n_contexts, ==, 0);
    try_op(cpu, CSRRS, RV_MSTATUS_SUM, RV_CSR_SSTATUS);
    g_assert_cmpuint(n_contexts, ==, 1);
    g_assert_true(context.mode & RV_MODE_SUM);
    /* MPRV: data as S, fetches as M. */
    set_priv(cpu, RV_PRIV_M);
    g_assert_cmphex(context.root, ==, 0);
    cpu->mstatus |= RV_PRIV_S << RV_MSTATUS_MPP_SHIFT;
    try_op(cpu, CSRRS, RV_MSTATUS_MPRV, RV_CSR_MSTATUS);
    g_assert_cmphex(context.root, ==, satp);
    g_assert_cmphex(context.mode >> RV_MODE_PRIV_SHIFT & 3, ==, RV_PRIV_M);
    g_assert_cmphex(context.mode >> RV_MODE_DATA_SHIFT & 3, ==, RV_PRIV_S);
    free_cpu(cpu);
}

static void test_fp_enable(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");

    g_assert_cmpuint(cpu->fp_ready, ==, 0);
    g_assert_true(try_op(cpu, FP_ENABLE, 0, 0).trapped);
    g_assert_cmphex(cpu->mcause, ==, RV_EXC_ILLEGAL);
    set(cpu, RV_CSR_MSTATUS, 1 << RV_MSTATUS_FS_SHIFT);
    g_assert_cmpuint(cpu->fp_ready, ==, 0);
    g_assert_false(try_op(cpu, FP_ENABLE, 0, 0).trapped);
    g_assert_cmpuint(cpu->fp_ready, ==, 1);
    g_assert_cmphex(get(cpu, RV_CSR_SSTATUS) >> 63, ==, 1);
    set(cpu, RV_CSR_MSTATUS, 1 << RV_MSTATUS_FS_SHIFT);
    set(cpu, RV_CSR_FFLAGS, 3); /* makes FS Dirty too */
    g_assert_cmpuint(cpu->fp_ready, ==, 1);
    g_assert_cmpuint(get(cpu, RV_CSR_FFLAGS), ==, 3);
    set(cpu, RV_CSR_FRM, 5);
    g_assert_cmpuint((cpu->mode & RV_MODE_FRM_MASK) >> RV_MODE_FRM_SHIFT, ==, 5);
    set(cpu, RV_CSR_MSTATUS, 0);
    g_assert_cmpuint(cpu->fp_ready, ==, 0);
    free_cpu(cpu);
}

/* ---- PMP ---- */

/* The manual's matching rules for one address of four bytes, the slow way. */
static unsigned reference_pmp(const RvCpu *cpu, uint64_t addr, bool machine)
{
    for (unsigned i = 0; i < RV_N_PMP; i++) {
        unsigned cfg = cpu->pmpcfg[i], mode = cfg >> 3 & 3, ones = 0;
        uint64_t a = cpu->pmpaddr[i], word = addr >> 2;
        bool match = false;

        switch (mode) {
        case 1:
            match = word >= (i ? cpu->pmpaddr[i - 1] : 0) && word < a;
            break;
        case 2:
            match = word == a;
            break;
        case 3:
            while (a >> ones & 1) {
                ones++;
            }
            match = ones >= 63 || word >> (ones + 1) == a >> (ones + 1);
            break;
        }
        if (match) {
            return machine && !(cfg & 0x80) ? 7 : (cfg & 1) | (cfg & 2) | (cfg & 4);
        }
    }
    return machine ? 7 : 0;
}

static void test_pmp_random(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");

    for (unsigned round = 0; round < 3000; round++) {
        for (unsigned i = 0; i < RV_N_PMP; i++) {
            cpu->pmpcfg[i] = g_test_rand_int() & 0x9f;
            cpu->pmpaddr[i] = g_test_rand_int() & 0xfff;
            if (g_test_rand_int() & 1) {
                cpu->pmpaddr[i] |= (1ull << g_test_rand_int_range(0, 12)) - 1;
            }
        }
        rv_pmp_update(cpu);
        for (unsigned i = 0; i < 200; i++) {
            uint64_t addr = g_test_rand_int() & 0x4fff, step = g_test_rand_int() & 63, other;
            bool machine = g_test_rand_int() & 1;
            const RvPmpWindow *w;
            unsigned prot = rv_pmp_lookup(cpu, addr, machine ? RV_PRIV_M : RV_PRIV_S, &w);

            g_assert_cmphex(prot, ==, reference_pmp(cpu, addr, machine));
            g_assert_true(w->first <= addr && addr <= w->last);
            other = MIN(addr + step, w->last);
            g_assert_cmphex(prot, ==, reference_pmp(cpu, other, machine));
            other = MAX(addr - MIN(addr, step), w->first);
            g_assert_cmphex(prot, ==, reference_pmp(cpu, other, machine));
        }
    }
    free_cpu(cpu);
}

static void test_pmp_csrs(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");
    const RvPmpWindow *w;

    g_assert_cmpuint(rv_pmp_lookup(cpu, 0x1000, RV_PRIV_S, &w), ==, 0);
    g_assert_cmpuint(rv_pmp_lookup(cpu, 0x1000, RV_PRIV_M, &w), ==, 7);
    n_flush_all = 0;
    set(cpu, RV_CSR_PMPADDR0, -1);
    set(cpu, RV_CSR_PMPCFG0, 0x1f);
    g_assert_cmpuint(n_flush_all, ==, 2);
    g_assert_cmpuint(rv_pmp_lookup(cpu, 0xffffffffffffff, RV_PRIV_U, &w), ==, 7);
    /* A locked TOR entry locks the address below it too. */
    set(cpu, RV_CSR_PMPADDR0 + 1, 0x100);
    set(cpu, RV_CSR_PMPADDR0 + 2, 0x200);
    set(cpu, RV_CSR_PMPCFG0, 0x88ull << 16);
    set(cpu, RV_CSR_PMPADDR0 + 1, 1);
    set(cpu, RV_CSR_PMPADDR0 + 2, 2);
    set(cpu, RV_CSR_PMPCFG0, 0);
    g_assert_cmphex(get(cpu, RV_CSR_PMPADDR0 + 1), ==, 0x100);
    g_assert_cmphex(get(cpu, RV_CSR_PMPADDR0 + 2), ==, 0x200);
    g_assert_cmphex(get(cpu, RV_CSR_PMPCFG0), ==, 0x88ull << 16);
    g_assert_cmpuint(rv_pmp_lookup(cpu, 0x400, RV_PRIV_M, &w), ==, 0);
    g_assert_cmpuint(rv_pmp_lookup(cpu, 0x800, RV_PRIV_M, &w), ==, 7);
    rv64_target.reset(&cpu->parent);
    g_assert_cmphex(get(cpu, RV_CSR_PMPCFG0), ==, 0);
    free_cpu(cpu);
}

/* ---- Address translation ---- */

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };

static uint64_t *pte_at(uint64_t phys)
{
    return (uint64_t *)(ram + (phys - RAM_BASE));
}

/* Tables of the tests: level n at RAM_BASE + n * 4096 (0: leaf level), the leaf at @level. */
static uint64_t *build(RvCpu *cpu, unsigned mode, uint64_t va, unsigned level, uint64_t pte)
{
    unsigned levels = mode - 5;

    memset(ram, 0, 5 * 4096);
    for (unsigned l = levels - 1; l > level; l--) {
        *pte_at(RAM_BASE + l * 4096 + 8 * (va >> (12 + 9 * l) & 511)) =
            (uint64_t)(RAM_BASE + (l - 1) * 4096) >> 2 | V;
    }
    cpu->satp = (uint64_t)mode << 60 | (RAM_BASE + (levels - 1) * 4096) >> 12;
    rv_cpu_update_mode(cpu);
    *pte_at(RAM_BASE + level * 4096 + 8 * (va >> (12 + 9 * level) & 511)) = pte;
    return pte_at(RAM_BASE + level * 4096 + 8 * (va >> (12 + 9 * level) & 511));
}

static bool walk(RvCpu *cpu, uint64_t va, MemAccess access, TlbFill *fill)
{
    *fill = (TlbFill){ 0 };
    return rv_mmu_walk(&cpu->parent, va, access, false, fill);
}

static void expect_fault(RvCpu *cpu, uint64_t va, MemAccess access, unsigned fault)
{
    TlbFill fill;

    g_assert_false(walk(cpu, va, access, &fill));
    g_assert_cmpuint(fill.fault, ==, fault);
}

static void test_walk_levels(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64,pmp=off");
    TlbFill fill;

    set_priv(cpu, RV_PRIV_S);
    for (unsigned mode = 8; mode <= 10; mode++) {
        for (unsigned level = 0; level < mode - 5; level++) {
            unsigned bits = 12 + 9 * level;
            uint64_t va =
                (0x0000123456789abcull & ((1ull << (12 + 9 * (mode - 5) - 1)) - 1)) | 0x345;
            uint64_t phys = level ? 1ull << (bits + 1) : 0x80123000;

            for (unsigned high = 0; high < 2; high++) {
                uint64_t v = high ? va | ~((1ull << (12 + 9 * (mode - 5) - 1)) - 1) : va;

                build(cpu, mode, v, level, phys >> 2 | V | R | W | X | A | D);
                g_assert_true(walk(cpu, v, MEM_STORE, &fill));
                g_assert_cmphex(fill.phys & ~4095ull, ==,
                                (phys | (v & ((1ull << bits) - 1))) & ~4095ull);
                g_assert_cmpuint(fill.page_bits, ==, bits);
                g_assert_cmpuint(fill.prot, ==, 7);
                g_assert_false(fill.no_cache);
                /* Not canonical. */
                expect_fault(cpu, v ^ 1ull << 63, MEM_LOAD, RV_EXC_LOAD_PAGE);
                if (level) {
                    build(cpu, mode, v, level,
                          (phys | 1ull << (bits - 1)) >> 2 | V | R | W | X | A | D);
                    expect_fault(cpu, v, MEM_FETCH, RV_EXC_FETCH_PAGE);
                }
            }
        }
    }
    free_cpu(cpu);
}

static void test_walk_faults(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64,pmp=off");
    static const struct {
        unsigned level;
        uint64_t pte;
    } bad[] = {
        { 0, 0 },
        { 0, R | A | D },
        { 0, V | W | A | D },
        { 0, V | W | X | A | D },
        { 0, V },
        { 1, V | A },
        { 1, V | D },
        { 1, V | U },
        { 1, V | 1ull << 63 },
        { 1, V | 1ull << 61 },
        { 0, V | R | A | D | 1ull << 54 },
        { 0, V | R | A | D | 1ull << 60 },
        { 0, V | R | A | D | 1ull << 61 },
        { 0, V | R | A | D | 3ull << 61 },
        { 0, V | R | A | D | 1ull << 63 },
        { 0, V | R | A | D | 1ull << 63 | 4 << 10 },
        { 1, V | R | A | D | 1ull << 63 | 8 << 10 },
        { 0, V | X | A | D },
    };
    uint64_t va = 0x1234567000;

    set_priv(cpu, RV_PRIV_S);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        build(cpu, 8, va, bad[i].level, bad[i].pte);
        expect_fault(cpu, va, MEM_LOAD, RV_EXC_LOAD_PAGE);
    }
    build(cpu, 8, va, 0, V | R | A | D);
    expect_fault(cpu, va, MEM_STORE, RV_EXC_STORE_PAGE);
    expect_fault(cpu, va, MEM_FETCH, RV_EXC_FETCH_PAGE);
    /* Tables outside RAM. */
    build(cpu, 8, va, 1, 0x40000000 >> 2 | V);
    expect_fault(cpu, va, MEM_LOAD, RV_EXC_LOAD_ACCESS);
    expect_fault(cpu, va, MEM_STORE, RV_EXC_STORE_ACCESS);
    expect_fault(cpu, va, MEM_FETCH, RV_EXC_FETCH_ACCESS);
    cpu->satp = 8ull << 60 | ((1ull << 44) - 1);
    expect_fault(cpu, va, MEM_LOAD, RV_EXC_LOAD_ACCESS);
    free_cpu(cpu);
}

static void test_walk_permissions(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64,pmp=off");
    static const uint8_t rwx[] = { R, R | W, X, R | X, R | W | X };
    uint64_t va = 0x1234567000;

    for (unsigned i = 0; i < 5 * 2 * 2 * 2 * 2 * 3; i++) {
        unsigned perm = rwx[i % 5], user = i / 5 % 2, sum = i / 10 % 2, mxr = i / 20 % 2,
                 priv = i / 40 % 2, kind = i / 80 % 3;
        MemAccess access = kind == 0 ? MEM_LOAD : kind == 1 ? MEM_STORE : MEM_FETCH;
        bool allowed = priv == RV_PRIV_U ? user : !user || (sum && access != MEM_FETCH);
        TlbFill fill;

        allowed = allowed && (access == MEM_LOAD    ? (perm & R) || (mxr && (perm & X))
                              : access == MEM_STORE ? perm & W
                                                    : perm & X);
        cpu->mstatus =
            rv_csr_mstatus_reset(cpu) | (sum ? RV_MSTATUS_SUM : 0) | (mxr ? RV_MSTATUS_MXR : 0);
        set_priv(cpu, priv);
        build(cpu, 8, va, 0, 0x80200000 >> 2 | V | perm | (user ? U : 0) | A | D);
        g_assert_true(walk(cpu, va, access, &fill) == allowed);
        if (allowed && access != MEM_FETCH) {
            g_assert_true(!!(fill.prot & MEM_PROT_W) == !!(perm & W));
            g_assert_true(!!(fill.prot & MEM_PROT_R) == ((perm & R) || (mxr && (perm & X))));
        }
    }
    free_cpu(cpu);
}

static void test_walk_accessed(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64,pmp=off");
    uint64_t va = 0x1234567000, leaf = 0x80200000 >> 2 | V | R | W, *pte;
    TlbFill fill;

    set_priv(cpu, RV_PRIV_S);
    pte = build(cpu, 8, va, 0, leaf);
    n_written = 0;
    g_assert_true(rv_mmu_walk(&cpu->parent, va, MEM_LOAD, true, &fill));
    g_assert_cmphex(*pte, ==, leaf);
    g_assert_true(walk(cpu, va, MEM_LOAD, &fill));
    g_assert_cmphex(*pte, ==, leaf | A);
    g_assert_cmpuint(fill.prot, ==, MEM_PROT_R);
    g_assert_cmpuint(n_written, ==, 1);
    g_assert_true(walk(cpu, va, MEM_STORE, &fill));
    g_assert_cmphex(*pte, ==, leaf | A | D);
    g_assert_cmpuint(fill.prot, ==, MEM_PROT_R | MEM_PROT_W);
    g_assert_true(walk(cpu, va, MEM_STORE, &fill));
    g_assert_cmpuint(n_written, ==, 2);
    /* Svade when ADUE is off. */
    cpu->menvcfg = 0;
    *pte = leaf;
    expect_fault(cpu, va, MEM_LOAD, RV_EXC_LOAD_PAGE);
    *pte = leaf | A;
    g_assert_true(walk(cpu, va, MEM_LOAD, &fill));
    expect_fault(cpu, va, MEM_STORE, RV_EXC_STORE_PAGE);
    g_assert_cmphex(*pte, ==, leaf | A);
    /* An entry in ROM cannot be updated. */
    cpu->menvcfg = RV_MENVCFG_ADUE;
    build(cpu, 8, va, 1, ROM_BASE >> 2 | V);
    memset(rom, 0, 4096);
    ((uint64_t *)rom)[va >> 12 & 511] = leaf | A;
    g_assert_true(walk(cpu, va, MEM_LOAD, &fill));
    expect_fault(cpu, va, MEM_STORE, RV_EXC_STORE_ACCESS);
    free_cpu(cpu);
}

static void test_walk_extensions(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64,pmp=off"),
          *plain = new_cpu(&rv64_target, "rv64,pmp=off,svnapot=off");
    uint64_t va = 0x1234567000, napot = 0x80200000 >> 2 | 8 << 10 | 1ull << 63 | V | R | A | D;
    TlbFill fill;

    set_priv(cpu, RV_PRIV_S);
    build(cpu, 8, va, 0, napot);
    g_assert_true(walk(cpu, va, MEM_LOAD, &fill));
    g_assert_cmphex(fill.phys, ==, 0x80207000);
    g_assert_cmpuint(fill.page_bits, ==, 16);
    set_priv(plain, RV_PRIV_S);
    build(plain, 8, va, 0, napot);
    expect_fault(plain, va, MEM_LOAD, RV_EXC_LOAD_PAGE);
    for (unsigned pbmt = 0; pbmt < 4; pbmt++) {
        build(cpu, 8, va, 0, 0x80200000 >> 2 | (uint64_t)pbmt << 61 | V | R | A | D);
        cpu->menvcfg = RV_MENVCFG_PBMTE;
        g_assert_true(walk(cpu, va, MEM_LOAD, &fill) == (pbmt < 3));
        cpu->menvcfg = 0;
        g_assert_true(walk(cpu, va, MEM_LOAD, &fill) == (pbmt == 0));
    }
    free_cpu(cpu);
    free_cpu(plain);
}

static void test_walk_sv32(void)
{
    RvCpu *cpu = new_cpu(&rv32_target, "rv32,pmp=off");
    uint32_t *tables = (uint32_t *)ram, va = 0xfedcb678;
    TlbFill fill;

    set_priv(cpu, RV_PRIV_S);
    memset(ram, 0, 8192);
    cpu->satp = 1u << 31 | 9u << 22 | (RAM_BASE + 4096) >> 12;
    rv_cpu_update_mode(cpu);
    g_assert_cmpuint(context.asid, ==, 9);
    tables[1024 + (va >> 22)] = RAM_BASE >> 2 | V;
    tables[va >> 12 & 1023] = 0x300123000ull >> 2 | V | R | W;
    g_assert_true(walk(cpu, va, MEM_STORE, &fill));
    g_assert_cmphex(fill.phys & ~4095ull, ==, 0x300123000ull);
    g_assert_cmphex(tables[va >> 12 & 1023], ==, 0x300123000ull >> 2 | V | R | W | A | D);
    tables[1024 + (va >> 22)] = 0x3fc00000ull >> 2 | V | X | A;
    g_assert_true(walk(cpu, va, MEM_FETCH, &fill));
    g_assert_cmphex(fill.phys & ~4095ull, ==, 0x3fc00000 | (va & 0x3ff000));
    g_assert_cmpuint(fill.page_bits, ==, 22);
    tables[1024 + (va >> 22)] = 0x3fc01000ull >> 2 | V | X | A;
    expect_fault(cpu, va, MEM_FETCH, RV_EXC_FETCH_PAGE);
    /* A table in the last page of RAM, its last entry. */
    tables[1024 + (va >> 22)] = (RAM_BASE + RAM_SIZE - 4096u) >> 2 | V;
    tables[RAM_SIZE / 4 - 1] = 0x80123000u >> 2 | V | R | A;
    g_assert_true(walk(cpu, va | 0x3ff000, MEM_LOAD, &fill));
    g_assert_cmphex(fill.phys & ~4095ull, ==, 0x80123000);
    /* Bare: addresses are 32 bits. */
    set_priv(cpu, RV_PRIV_M);
    g_assert_true(walk(cpu, 0xffffffff80000000, MEM_LOAD, &fill));
    g_assert_cmphex(fill.phys, ==, 0x80000000);
    g_assert_cmpuint(fill.page_bits, ==, 64);
    free_cpu(cpu);
}

static void test_walk_pmp(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");
    uint64_t va = 0x1234567000, *pte;
    TlbFill fill;

    set(cpu, RV_CSR_PMPADDR0, RAM_BASE >> 2);
    set(cpu, RV_CSR_PMPADDR0 + 1, (RAM_BASE + 5 * 4096) >> 2); /* the tables */
    set(cpu, RV_CSR_PMPADDR0 + 2, 0x80201800 >> 2);
    set(cpu, RV_CSR_PMPCFG0, 0x0b << 8 | 0x09 << 16); /* RW, R */
    set_priv(cpu, RV_PRIV_S);
    pte = build(cpu, 8, va, 0, 0x80200000 >> 2 | V | R | W | X);
    g_assert_true(walk(cpu, va, MEM_LOAD, &fill));
    g_assert_cmpuint(fill.prot, ==, MEM_PROT_R);
    g_assert_false(fill.no_cache);
    expect_fault(cpu, va, MEM_STORE, RV_EXC_STORE_ACCESS);
    expect_fault(cpu, va, MEM_FETCH, RV_EXC_FETCH_ACCESS);
    /* A page of which half is allowed. */
    *pte = 0x80201000 >> 2 | V | R | W | X | A | D;
    g_assert_true(walk(cpu, va + 0x7fc, MEM_LOAD, &fill));
    g_assert_true(fill.no_cache);
    expect_fault(cpu, va + 0x800, MEM_LOAD, RV_EXC_LOAD_ACCESS);
    /* Tables that S may not write, then not even read. */
    set_priv(cpu, RV_PRIV_M);
    set(cpu, RV_CSR_PMPCFG0, 0x09 << 8 | 0x0f << 16);
    set_priv(cpu, RV_PRIV_S);
    *pte = 0x80200000 >> 2 | V | R | W | X | A;
    g_assert_true(walk(cpu, va, MEM_LOAD, &fill));
    expect_fault(cpu, va, MEM_STORE, RV_EXC_STORE_ACCESS);
    set_priv(cpu, RV_PRIV_M);
    set(cpu, RV_CSR_PMPCFG0, 0x08 << 8 | 0x0f << 16);
    set_priv(cpu, RV_PRIV_S);
    expect_fault(cpu, va, MEM_LOAD, RV_EXC_LOAD_ACCESS);
    /* All off: S may do nothing, M everything. */
    set_priv(cpu, RV_PRIV_M);
    set(cpu, RV_CSR_PMPCFG0, 0);
    g_assert_true(walk(cpu, RAM_BASE, MEM_STORE, &fill));
    cpu->satp = 0;
    set_priv(cpu, RV_PRIV_U);
    expect_fault(cpu, RAM_BASE, MEM_LOAD, RV_EXC_LOAD_ACCESS);
    free_cpu(cpu);
}

/* How long a walk takes when all is in the host's cache; printed with -m perf. */
static void test_walk_speed(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");
    unsigned n = g_test_perf() ? 20000000 : 1000;
    uint64_t va = 0x1234567000;
    TlbFill fill;

    set(cpu, RV_CSR_PMPADDR0, -1);
    set(cpu, RV_CSR_PMPCFG0, 0x1f);
    set_priv(cpu, RV_PRIV_S);
    for (unsigned mode = 8; mode <= 10; mode++) {
        build(cpu, mode, va, 0, 0x80200000 >> 2 | V | R | W | X | A | D);
        g_test_timer_start();
        for (unsigned i = 0; i < n; i++) {
            g_assert_true(walk(cpu, va, i & 1 ? MEM_LOAD : MEM_STORE, &fill));
        }
        g_test_minimized_result(g_test_timer_elapsed() * 1e9 / n, "Sv%u walk: %.1f ns",
                                12 + 9 * (mode - 5), g_test_timer_elapsed() * 1e9 / n);
    }
    cpu->medeleg = -1;
    set_priv(cpu, RV_PRIV_U);
    g_test_timer_start();
    for (unsigned i = 0; i < n; i++) {
        rv_helper_ecall(&cpu->parent, va, 0);
        rv_helper_sret(&cpu->parent, 0);
    }
    g_test_minimized_result(g_test_timer_elapsed() * 1e9 / n, "ecall + sret: %.1f ns",
                            g_test_timer_elapsed() * 1e9 / n);
    free_cpu(cpu);
}

/* ---- Timer ---- */

static void test_stimecmp(void)
{
    RvCpu *cpu = new_cpu(&rv64_target, "rv64");

    now_ns = 1000000;
    set(cpu, RV_CSR_MENVCFG, RV_MENVCFG_STCE);
    set(cpu, RV_CSR_MIDELEG, -1);
    set(cpu, RV_CSR_MIE, 0x20);
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 0);
    set(cpu, RV_CSR_STIMECMP, 10005);
    g_assert_cmpint(cpu->stimer.deadline, ==, 1000500);
    now_ns = 1000499;
    cpu->stimer.fire(cpu->stimer.opaque); /* early */
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 0);
    g_assert_cmpint(cpu->stimer.deadline, ==, 1000599);
    now_ns = 1000599;
    n_kicks = 0;
    cpu->stimer.fire(cpu->stimer.opaque);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 0x20);
    g_assert_cmpuint(n_kicks, ==, 1);
    set(cpu, RV_CSR_MIP, 0);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 0x20);
    set(cpu, RV_CSR_STIMECMP, -1);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 0);
    g_assert_cmpint(cpu->stimer.deadline, ==, -1);
    set(cpu, RV_CSR_STIMECMP, 5);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 0x20);
    /* Without STCE STIP is software's. */
    set(cpu, RV_CSR_MENVCFG, 0);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 0);
    set(cpu, RV_CSR_MIP, 0x20);
    g_assert_cmphex(get(cpu, RV_CSR_SIP), ==, 0x20);
    /* From S: TM and STCE. */
    set_priv(cpu, RV_PRIV_S);
    expect_illegal(cpu, CSRR, 0, RV_CSR_STIMECMP);
    cpu->mcounteren = 2;
    expect_illegal(cpu, CSRR, 0, RV_CSR_STIMECMP);
    cpu->menvcfg = RV_MENVCFG_STCE;
    get(cpu, RV_CSR_STIMECMP);
    cpu->mcounteren = 0;
    expect_illegal(cpu, CSRR, 0, RV_CSR_STIMECMP);
    free_cpu(cpu);
    now_ns = 0;
}

/* ---- gdb, dump, state ---- */

static void check_gdb(const TargetOps *ops, const char *option, unsigned xlen)
{
    RvCpu *cpu = new_cpu(ops, option);
    static const GMarkupParser parser = { 0 };
    GMarkupParseContext *xml = g_markup_parse_context_new(&parser, 0, NULL, NULL);
    const char *text = ops->gdb_xml(&cpu->parent, "target.xml");
    g_autoptr(GString) dump = g_string_new(NULL);
    GError *error = NULL;
    uint8_t buf[8], back[8];

    g_assert_true(g_markup_parse_context_parse(xml, text, -1, &error) &&
                  g_markup_parse_context_end_parse(xml, &error));
    g_assert_no_error(error);
    g_markup_parse_context_free(xml);
    g_assert_null(ops->gdb_xml(&cpu->parent, "other.xml"));
    for (unsigned i = 1; i < 65; i++) {
        unsigned size = ops->gdb_read(&cpu->parent, i, buf);

        if (!size) {
            g_assert_true(i > 32 && !rv_cpu_has(cpu, RV_EXT_F));
            continue;
        }
        g_assert_cmpuint(size, ==, i <= 32 ? xlen / 8 : rv_cpu_has(cpu, RV_EXT_D) ? 8 : 4);
        memset(buf, (int)i + 0x70, sizeof(buf));
        g_assert_cmpuint(ops->gdb_write(&cpu->parent, i, buf), ==, size);
        ops->gdb_read(&cpu->parent, i, back);
        g_assert_cmpmem(buf, size, back, size);
    }
    memset(buf, 0, 8);
    for (unsigned i = 65; i < 200; i++) {
        ops->gdb_write(&cpu->parent, i, buf);
        ops->gdb_read(&cpu->parent, i, back);
    }
    ops->gdb_write(&cpu->parent, 0, buf);
    g_assert_cmpuint(cpu->x[0], ==, 0);
    ops->dump(&cpu->parent, dump);
    g_assert_nonnull(strstr(dump->str, "x10/a0 "));
    free_cpu(cpu);
}

static void test_gdb(void)
{
    check_gdb(&rv64_target, "rv64", 64);
    check_gdb(&rv32_target, "rv32", 32);
    check_gdb(&rv64_target, "rv64,d=off", 64);
    check_gdb(&rv64_target, "rv64,f=off,s=off,pmp=off", 64);
}

/* Every byte that the state table names is carried over; what is derived is made again. */
static void test_state(void)
{
    RvCpu *a = new_cpu(&rv64_target, "rv64"), *b = new_cpu(&rv64_target, "rv64");

    set(a, RV_CSR_PMPADDR0, -1);
    set(a, RV_CSR_PMPCFG0, 0x1f);
    set(a, RV_CSR_SATP, 8ull << 60 | 0x80000);
    set_priv(a, RV_PRIV_S);
    for (const StateField *f = rv64_target.state; f->name; f++) {
        static const uint8_t sizes[] = { 0, 1, 1, 2, 4, 8, 1 };
        size_t size = (size_t)sizes[f->type] * f->count;

        g_assert_cmpuint(f->offset + size, <=, sizeof(RvCpu));
        memcpy((char *)b + f->offset, (char *)a + f->offset, size);
    }
    rv64_target.state_loaded(&b->parent);
    g_assert_cmphex(b->mode, ==, a->mode);
    g_assert_cmphex(b->root, ==, a->satp);
    g_assert_cmpuint(b->n_pmp, ==, 1);
    g_assert_true(!memcmp(a->pmp, b->pmp, sizeof(a->pmp)));
    free_cpu(a);
    free_cpu(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ram = ram_base = g_malloc0(RAM_SIZE);
    rom = g_malloc0(ROM_SIZE);
    view = g_malloc0(sizeof(FlatView) + 2 * sizeof(FlatRange));
    view->n = 2;
    view->serial = 1;
    view->ranges[0] = (FlatRange){ ROM_BASE, ROM_BASE + ROM_SIZE - 1, NULL, 0, rom, true };
    view->ranges[1] = (FlatRange){ RAM_BASE, RAM_BASE + RAM_SIZE - 1u, NULL, 0, ram, false };
    g_test_add_func("/riscv/priv/models", test_models);
    g_test_add_func("/riscv/priv/model-errors", test_model_errors);
    g_test_add_func("/riscv/priv/model-needs", test_model_needs);
    g_test_add_func("/riscv/priv/csr-warl", test_csr_warl);
    g_test_add_func("/riscv/priv/csr-access", test_csr_access);
    g_test_add_func("/riscv/priv/csr-counters", test_csr_counters);
    g_test_add_func("/riscv/priv/csr-mip", test_csr_mip);
    g_test_add_func("/riscv/priv/csr-random", test_csr_random);
    g_test_add_func("/riscv/priv/trap-delegation", test_trap_delegation);
    g_test_add_func("/riscv/priv/interrupts", test_interrupts);
    g_test_add_func("/riscv/priv/kicks", test_kicks);
    g_test_add_func("/riscv/priv/raise", test_raise);
    g_test_add_func("/riscv/priv/returns", test_returns);
    g_test_add_func("/riscv/priv/system-insns", test_system_insns);
    g_test_add_func("/riscv/priv/cache-blocks", test_cache_blocks);
    g_test_add_func("/riscv/priv/contexts", test_contexts);
    g_test_add_func("/riscv/priv/fp-enable", test_fp_enable);
    g_test_add_func("/riscv/priv/pmp-random", test_pmp_random);
    g_test_add_func("/riscv/priv/pmp-csrs", test_pmp_csrs);
    g_test_add_func("/riscv/priv/walk-levels", test_walk_levels);
    g_test_add_func("/riscv/priv/walk-faults", test_walk_faults);
    g_test_add_func("/riscv/priv/walk-permissions", test_walk_permissions);
    g_test_add_func("/riscv/priv/walk-accessed", test_walk_accessed);
    g_test_add_func("/riscv/priv/walk-extensions", test_walk_extensions);
    g_test_add_func("/riscv/priv/walk-sv32", test_walk_sv32);
    g_test_add_func("/riscv/priv/walk-pmp", test_walk_pmp);
    g_test_add_func("/riscv/priv/walk-speed", test_walk_speed);
    g_test_add_func("/riscv/priv/stimecmp", test_stimecmp);
    g_test_add_func("/riscv/priv/gdb", test_gdb);
    g_test_add_func("/riscv/priv/state", test_state);
    return g_test_run();
}
