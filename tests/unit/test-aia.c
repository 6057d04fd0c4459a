/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Advanced Interrupt Architecture from both ends: harts whose CSRs reach the interrupt files of IMSICs, and a machine that has these and an
 * APLIC's two domains in its memory; no run loop. Then registers and CSRs are written at random, with what must hold after each step, and a
 * thread sends messages that the hart must not miss.
 */
#include <string.h>
#include "hw/intc/aplic.h"
#include "hw/intc/imsic.h"
#include "softmmu/memory.h"
#include "target/riscv/csr.h"
#include "tests/unit/bare.h"

#define RAM       0x80000000ull
#define APLIC_M   0xc000000ull
#define APLIC_S   0xd000000ull
#define IMSIC_M   0x24000000ull
#define IMSIC_S   0x28000000ull
#define SEIP      (1u << RV_IRQ_SEI)
#define MEIP      (1u << RV_IRQ_MEI)
#define HART(n)   ((uint32_t)(n) << 18)
#define TOPEI(id) ((uint64_t)(id) << 16 | (id))

enum { RAM_SIZE = 1 << 20, N_HARTS = 3, N_SOURCES = 96, PAGE = 4096 };
enum { SETEIPNUM_LE = 0, SETEIPNUM_BE = 4 };
enum { EIDELIVERY = 0x70, EITHRESHOLD = 0x72, EIP0 = 0x80, EIE0 = 0xc0 };
enum {
    DOMAINCFG = 0,
    SOURCECFG = 0,
    MMSIADDRCFG = 0x1bc0,
    MMSIADDRCFGH = 0x1bc4,
    SMSIADDRCFG = 0x1bc8,
    SMSIADDRCFGH = 0x1bcc,
    SETIP = 0x1c00,
    SETIPNUM = 0x1cdc,
    IN_CLRIP = 0x1d00,
    CLRIPNUM = 0x1ddc,
    SETIE = 0x1e00,
    SETIENUM = 0x1edc,
    CLRIE = 0x1f00,
    CLRIENUM = 0x1fdc,
    SETIPNUM_LE = 0x2000,
    SETIPNUM_BE = 0x2004,
    GENMSI = 0x3000,
    TARGET = 0x3000,
    IDC = 0x4000,
    IDELIVERY = 0,
    IFORCE = 4,
    ITHRESHOLD = 8,
    TOPI = 0x18,
    CLAIMI = 0x1c,
};
enum { IE = 0x100, DELEGATE = 0x400, DETACHED = 1, EDGE1 = 4, EDGE0, LEVEL1, LEVEL0 };

static RvCpu *harts[N_HARTS];
static HwDevice *imsic_m, *imsic_s, *aplic_m, *aplic_s;
static unsigned n_kicks; /* atomic */

/* ---- What the target asks of a run loop ---- */

G_DEFINE_TYPE(Cpu, cpu, G_TYPE_OBJECT)

static void cpu_init(Cpu *cpu)
{
}

static void cpu_class_init(CpuClass *klass)
{
}

GPtrArray *cpus;

void cpu_set_context(Cpu *cpu, const ContextKey *key)
{
}

void cpu_tlb_flush(Cpu *cpu, const TlbFlush *what)
{
}

void cpu_tlb_flush_all(Cpu *cpu)
{
}

void cpu_restore_state(Cpu *cpu)
{
}

void cpu_loop_exit(Cpu *cpu)
{
    siglongjmp(cpu->loop, 1);
}

void cpu_halt(Cpu *cpu)
{
    cpu_loop_exit(cpu);
}

void cpu_kick(Cpu *cpu)
{
    __atomic_fetch_add(&n_kicks, 1, __ATOMIC_SEQ_CST);
}

uint64_t cpu_instructions(Cpu *cpu)
{
    return 0;
}

uint64_t cpu_retired(Cpu *cpu)
{
    return 0;
}

void cpu_count_instructions(Cpu *cpu)
{
}

void *cpu_atomic_ptr(Cpu *cpu, uint64_t va, unsigned size, MemAccess access)
{
    g_assert_not_reached();
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

/* ---- CSRs ---- */

typedef enum Op { READ, WRITE, SWAP, SET, CLEAR } Op;

static uint64_t call(Cpu *c, Op op, unsigned csr, uint64_t operand)
{
    switch (op) {
    case READ:
        return rv_helper_csrr(c, csr);
    case WRITE:
        rv_helper_csrw(c, operand, csr);
        return 0;
    case SWAP:
        return rv_helper_csrrw(c, operand, csr);
    case SET:
        return rv_helper_csrrs(c, operand, csr);
    default:
        return rv_helper_csrrc(c, operand, csr);
    }
}

/* False: illegal instruction, and the hart is as before. */
static bool try_csr(RvCpu *cpu, Op op, unsigned csr, uint64_t operand, uint64_t *value)
{
    uint8_t priv = cpu->priv;
    uint64_t ms = cpu->mstatus;

    if (sigsetjmp(cpu->parent.loop, 0)) {
        g_assert_cmpuint(cpu->mcause, ==, RV_EXC_ILLEGAL);
        cpu->priv = priv;
        cpu->mstatus = ms;
        return false;
    }
    *value = call(&cpu->parent, op, csr, operand);
    return true;
}

static bool can(RvCpu *cpu, Op op, unsigned csr, uint64_t operand)
{
    uint64_t value;

    return try_csr(cpu, op, csr, operand, &value);
}

static uint64_t csr_do(RvCpu *cpu, Op op, unsigned csr, uint64_t operand)
{
    uint64_t value = 0;

    g_assert_true(try_csr(cpu, op, csr, operand, &value));
    return value;
}

static uint64_t get(RvCpu *cpu, unsigned csr)
{
    return csr_do(cpu, READ, csr, 0);
}

static void set(RvCpu *cpu, unsigned csr, uint64_t value)
{
    csr_do(cpu, WRITE, csr, value);
}

/* By siselect and sireg. */
static uint64_t s_get(RvCpu *cpu, unsigned reg)
{
    set(cpu, RV_CSR_SISELECT, reg);
    return get(cpu, RV_CSR_SIREG);
}

static void s_set(RvCpu *cpu, unsigned reg, uint64_t value)
{
    set(cpu, RV_CSR_SISELECT, reg);
    set(cpu, RV_CSR_SIREG, value);
}

static void m_set(RvCpu *cpu, unsigned reg, uint64_t value)
{
    set(cpu, RV_CSR_MISELECT, reg);
    set(cpu, RV_CSR_MIREG, value);
}

/* ---- The machine ---- */

static uint32_t load(uint64_t addr)
{
    uint64_t value;

    g_assert_cmpuint(memory_load(addr, 4, &value), ==, MEM_OK);
    return (uint32_t)value;
}

static void store(uint64_t addr, uint32_t value)
{
    g_assert_cmpuint(memory_store(addr, 4, value), ==, MEM_OK);
}

static void place(HwDevice *dev, uint64_t addr)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(hw_device_realize(dev, &error));
    hw_device_map(dev, 0, NULL, addr);
}

static void make_imsics(void)
{
    imsic_m = hw_imsic_new(N_HARTS, true);
    imsic_s = hw_imsic_new(N_HARTS, false);
    for (unsigned i = 0; i < N_HARTS; i++) {
        const RvImsic m = { hw_imsic_file(imsic_m, i), hw_imsic_topei, hw_imsic_access },
                      s = { hw_imsic_file(imsic_s, i), hw_imsic_topei, hw_imsic_access };

        hw_imsic_connect(imsic_m, i, rv_cpu_irq(harts[i], RV_IRQ_MEI));
        hw_imsic_connect(imsic_s, i, rv_cpu_irq(harts[i], RV_IRQ_SEI));
        rv_cpu_set_imsic(harts[i], &m, &s);
    }
    place(imsic_m, IMSIC_M);
    place(imsic_s, IMSIC_S);
}

/* @with_imsic: the APLIC sends messages. */
static void make(const TargetOps *ops, bool with_imsic)
{
    machine_lock();
    for (unsigned i = 0; i < N_HARTS; i++) {
        harts[i] = rv_cpu(ops->create(ops->default_cpu, i, NULL));
    }
    if (with_imsic) {
        make_imsics();
    }
    aplic_m = hw_aplic_new(N_HARTS, N_SOURCES, imsic_m, NULL);
    aplic_s = hw_aplic_new(N_HARTS, N_SOURCES, imsic_s, aplic_m);
    for (unsigned i = 0; i < N_HARTS && !with_imsic; i++) {
        hw_aplic_connect(aplic_m, i, rv_cpu_irq(harts[i], RV_IRQ_MEI));
        hw_aplic_connect(aplic_s, i, rv_cpu_irq(harts[i], RV_IRQ_SEI));
    }
    place(aplic_m, APLIC_M);
    place(aplic_s, APLIC_S);
    memory_commit();
    hw_devices_reset();
    for (unsigned i = 0; i < N_HARTS; i++) {
        ops->reset(&harts[i]->parent);
        set(harts[i], RV_CSR_MIDELEG, SEIP | 1 << RV_IRQ_SSI);
        set(harts[i], RV_CSR_MIE, SEIP | MEIP | 1 << RV_IRQ_SSI);
    }
    machine_unlock();
}

static void unmake(void)
{
    machine_lock();
    g_clear_object(&aplic_s);
    g_clear_object(&aplic_m);
    g_clear_object(&imsic_s);
    g_clear_object(&imsic_m);
    memory_commit();
    machine_unlock();
    for (unsigned i = 0; i < N_HARTS; i++) {
        g_clear_object(&harts[i]);
    }
}

static void wire(unsigned source, bool level)
{
    machine_lock();
    irq_set(hw_aplic_input(aplic_m, source), level);
    machine_unlock();
}

static bool pending(unsigned hart, uint32_t bit)
{
    return rv_cpu_mip(harts[hart]) & bit;
}

/* ---- CSRs' presence ---- */

static const uint16_t m_csrs[] = { RV_CSR_MVIEN, RV_CSR_MVIP,     RV_CSR_MISELECT, RV_CSR_MTOPEI,
                                   RV_CSR_MTOPI, RV_CSR_SISELECT, RV_CSR_STOPEI,   RV_CSR_STOPI },
                      high_csrs[] = { RV_CSR_MIDELEGH, RV_CSR_MIEH, RV_CSR_MVIENH, RV_CSR_MVIPH,
                                      RV_CSR_MIPH,     RV_CSR_SIEH, RV_CSR_SIPH };

static void check_presence(RvCpu *cpu, bool there)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(m_csrs); i++) {
        g_assert_true(can(cpu, READ, m_csrs[i], 0) == there);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(high_csrs); i++) {
        uint64_t value = 1;

        g_assert_true(can(cpu, SWAP, high_csrs[i], -1) == (there && !rv_cpu_is_64(cpu)));
        g_assert_true(!try_csr(cpu, READ, high_csrs[i], 0, &value) || !value);
    }
    /* topi registers are read only. */
    g_assert_false(can(cpu, WRITE, RV_CSR_MTOPI, 0));
    g_assert_false(can(cpu, WRITE, RV_CSR_STOPI, 0));
}

static void test_presence(gconstpointer ops)
{
    g_autofree char *without = NULL, *with = NULL;

    make(ops, false);
    check_presence(harts[0], false);
    without = rv_cpu_isa_string(harts[0]);
    g_assert_null(strstr(without, "aia"));
    unmake();

    make(ops, true);
    check_presence(harts[0], true);
    with = rv_cpu_isa_string(harts[0]);
    g_assert_nonnull(strstr(with, "_smaia_ssaia_"));
    harts[0]->priv = RV_PRIV_S;
    g_assert_false(can(harts[0], READ, RV_CSR_MTOPEI, 0));
    g_assert_false(can(harts[0], READ, RV_CSR_MTOPI, 0));
    g_assert_true(can(harts[0], READ, RV_CSR_STOPEI, 0));
    harts[0]->priv = RV_PRIV_U;
    g_assert_false(can(harts[0], READ, RV_CSR_STOPEI, 0));
    g_assert_false(can(harts[0], READ, RV_CSR_SISELECT, 0));
    unmake();
}

/* Which registers behind mireg and sireg there are (2.1, 3.8, 5.2.1). */
static void check_selects(RvCpu *cpu, unsigned select_csr, unsigned ireg)
{
    for (unsigned n = 0; n < 0x200; n++) {
        bool array = (n >= 0x30 && n <= 0x3f) || (n >= EIP0 && n <= 0xff),
             there = (array && !(n & 1 && rv_cpu_is_64(cpu))) || (n >= 0x70 && n < EIP0);

        set(cpu, select_csr, n);
        if (get(cpu, select_csr) == n) {
            g_assert_true(can(cpu, READ, ireg, 0) == there);
            g_assert_true(can(cpu, SWAP, ireg, -1) == there);
        }
        if (there && (n < EIDELIVERY || n == 0x71 || (n > EITHRESHOLD && n < EIP0))) {
            g_assert_cmphex(get(cpu, ireg), ==, 0);
        }
    }
}

static void test_selects(gconstpointer ops)
{
    make(ops, true);
    check_selects(harts[1], RV_CSR_MISELECT, RV_CSR_MIREG);
    check_selects(harts[1], RV_CSR_SISELECT, RV_CSR_SIREG);
    set(harts[1], RV_CSR_SISELECT, 0x1ff);
    g_assert_cmphex(get(harts[1], RV_CSR_SISELECT), ==, 0x1ff);
    set(harts[1], RV_CSR_MISELECT, -1);
    g_assert_cmphex(get(harts[1], RV_CSR_MISELECT), ==, 0xff);
    unmake();
}

/* mvip is what software wrote to mip; mvien is zero (5.3). */
static void test_virtual(void)
{
    RvCpu *cpu;

    make(&rv64_target, true);
    cpu = harts[0];
    set(cpu, RV_CSR_MVIEN, -1);
    g_assert_cmphex(get(cpu, RV_CSR_MVIEN), ==, 0);
    set(cpu, RV_CSR_MVIP, -1);
    g_assert_cmphex(get(cpu, RV_CSR_MVIP), ==, 0x222);
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 0x222);
    set(cpu, RV_CSR_MENVCFG, RV_MENVCFG_STCE);
    g_assert_cmphex(get(cpu, RV_CSR_MVIP), ==, 0x202);
    csr_do(cpu, CLEAR, RV_CSR_MVIP, SEIP);
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 2);
    /* The controller's signal shows in mip only. */
    irq_set(rv_cpu_irq(cpu, RV_IRQ_SEI), true);
    g_assert_cmphex(get(cpu, RV_CSR_MIP), ==, 0x202);
    g_assert_cmphex(get(cpu, RV_CSR_MVIP), ==, 2);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_SEI), false);
    unmake();
}

static void test_topi(void)
{
    RvCpu *cpu;

    make(&rv64_target, true);
    cpu = harts[0];
    g_assert_cmphex(get(cpu, RV_CSR_MTOPI), ==, 0);
    g_assert_cmphex(get(cpu, RV_CSR_STOPI), ==, 0);
    set(cpu, RV_CSR_MIP, 1 << RV_IRQ_SSI);
    g_assert_cmphex(get(cpu, RV_CSR_STOPI), ==, RV_IRQ_SSI << 16 | 1);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_SEI), true);
    g_assert_cmphex(get(cpu, RV_CSR_STOPI), ==, RV_IRQ_SEI << 16 | 1);
    g_assert_cmphex(get(cpu, RV_CSR_MTOPI), ==, 0);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_MTI), true);
    g_assert_cmphex(get(cpu, RV_CSR_MTOPI), ==, 0);
    set(cpu, RV_CSR_MIE, -1);
    g_assert_cmphex(get(cpu, RV_CSR_MTOPI), ==, RV_IRQ_MTI << 16 | 1);
    set(cpu, RV_CSR_MIDELEG, 0);
    g_assert_cmphex(get(cpu, RV_CSR_STOPI), ==, 0);
    irq_set(rv_cpu_irq(cpu, RV_IRQ_MTI), false);
    g_assert_cmphex(get(cpu, RV_CSR_MTOPI), ==, RV_IRQ_SEI << 16 | 1);
    unmake();
}

/* ---- IMSIC ---- */

static void test_file(void)
{
    RvCpu *cpu;
    unsigned kicks;

    make(&rv64_target, true);
    cpu = harts[1];
    store(IMSIC_S + PAGE + SETEIPNUM_LE, 70);
    store(IMSIC_S + PAGE + SETEIPNUM_BE, 5u << 24);
    g_assert_cmphex(s_get(cpu, EIP0), ==, 1 << 5);
    g_assert_cmphex(s_get(cpu, EIP0 + 2), ==, 1 << 6);
    g_assert_cmphex(get(cpu, RV_CSR_STOPEI), ==, 0);
    /* Enabled: topei knows it, the hart only with eidelivery. */
    s_set(cpu, EIE0 + 2, 1 << 6);
    g_assert_cmphex(get(cpu, RV_CSR_STOPEI), ==, TOPEI(70));
    g_assert_false(pending(1, SEIP));
    s_set(cpu, EIDELIVERY, 1);
    g_assert_true(pending(1, SEIP));
    g_assert_false(pending(1, MEIP) || pending(0, SEIP | MEIP) || pending(2, SEIP | MEIP));
    /* The lower number goes first; claiming takes what is told. */
    s_set(cpu, EIE0, -1);
    g_assert_cmphex(s_get(cpu, EIE0), ==, ~1ull);
    kicks = n_kicks;
    g_assert_cmphex(csr_do(cpu, SET, RV_CSR_STOPEI, 0), ==, TOPEI(5));
    g_assert_true(pending(1, SEIP));
    g_assert_cmpuint(n_kicks, ==, kicks);
    g_assert_cmphex(csr_do(cpu, SWAP, RV_CSR_STOPEI, 0), ==, TOPEI(70));
    g_assert_false(pending(1, SEIP));
    g_assert_cmphex(csr_do(cpu, SWAP, RV_CSR_STOPEI, 0), ==, 0);
    /* Threshold: numbers from it on do not count. */
    store(IMSIC_S + PAGE, 70);
    s_set(cpu, EITHRESHOLD, 70);
    g_assert_false(pending(1, SEIP));
    g_assert_cmphex(get(cpu, RV_CSR_STOPEI), ==, 0);
    s_set(cpu, EITHRESHOLD, 71);
    g_assert_true(pending(1, SEIP));
    g_assert_cmphex(s_get(cpu, EITHRESHOLD), ==, 71);
    s_set(cpu, EITHRESHOLD, 255);
    g_assert_cmphex(s_get(cpu, EITHRESHOLD), ==, 255);
    s_set(cpu, EIDELIVERY, 0x40000000);
    g_assert_cmphex(s_get(cpu, EIDELIVERY), ==, 1);
    s_set(cpu, EIDELIVERY, 0);
    g_assert_false(pending(1, SEIP));
    unmake();
}

/* What is no identity, no register or no size is ignored or refused. */
static void test_file_edges(void)
{
    static const uint32_t bad[] = { 0, 256, 2047, 0x10001, UINT32_MAX };
    RvCpu *cpu;
    uint64_t value;

    make(&rv64_target, true);
    cpu = harts[2];
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        store(IMSIC_S + 2 * PAGE, bad[i]);
        store(IMSIC_S + 2 * PAGE + 8, 1);
        store(IMSIC_S + 3 * PAGE, 1); /* a page of zeroes */
    }
    s_set(cpu, EIP0 + 8, -1);
    s_set(cpu, EIP0 + 62, -1);
    for (unsigned n = 0; n < 64; n += 2) {
        g_assert_cmphex(s_get(cpu, EIP0 + n), ==, 0);
    }
    store(IMSIC_S + 2 * PAGE, 255);
    g_assert_cmphex(s_get(cpu, EIP0 + 6), ==, 1ull << 63);
    s_set(cpu, EIP0, -1);
    g_assert_cmphex(s_get(cpu, EIP0), ==, ~1ull);
    set(cpu, RV_CSR_SISELECT, EIP0);
    g_assert_cmphex(csr_do(cpu, CLEAR, RV_CSR_SIREG, 0xff00), ==, ~1ull);
    g_assert_cmphex(csr_do(cpu, SET, RV_CSR_SIREG, 0x1001), ==, ~0xff01ull);
    g_assert_cmphex(get(cpu, RV_CSR_SIREG), ==, ~0xef01ull);
    g_assert_cmpuint(load(IMSIC_S + 2 * PAGE), ==, 0);
    g_assert_cmpuint(memory_store(IMSIC_S, 8, 1), ==, MEM_DEVICE_ERROR);
    g_assert_cmpuint(memory_store(IMSIC_S + 2, 2, 1), ==, MEM_DEVICE_ERROR);
    g_assert_cmpuint(memory_load(IMSIC_S, 1, &value), ==, MEM_DEVICE_ERROR);
    g_assert_true(memory_send_message(IMSIC_S, 3));
    g_assert_false(memory_send_message(IMSIC_S + 2, 3));
    g_assert_false(memory_send_message(APLIC_S + SETIPNUM_LE, 3));
    g_assert_false(memory_send_message(0x1000, 3));
    g_assert_cmphex(s_get(harts[0], EIP0), ==, 8);
    unmake();
}

static void test_file_32(void)
{
    RvCpu *cpu;

    make(&rv32_target, true);
    cpu = harts[0];
    m_set(cpu, EIDELIVERY, 1);
    m_set(cpu, EIE0 + 1, -1);
    m_set(cpu, EIE0, -1);
    g_assert_cmphex(get(cpu, RV_CSR_MIREG), ==, 0xfffffffe);
    store(IMSIC_M, 33);
    store(IMSIC_M, 64);
    g_assert_true(pending(0, MEIP));
    set(cpu, RV_CSR_MISELECT, EIP0 + 1);
    g_assert_cmphex(csr_do(cpu, SET, RV_CSR_MIREG, 0xffffffff80000000), ==, 2);
    g_assert_cmphex(get(cpu, RV_CSR_MIREG), ==, 0x80000002);
    g_assert_cmphex(csr_do(cpu, SWAP, RV_CSR_MTOPEI, 7), ==, TOPEI(33));
    g_assert_cmphex(csr_do(cpu, SWAP, RV_CSR_MTOPEI, 7), ==, TOPEI(63));
    g_assert_false(pending(0, MEIP));
    set(cpu, RV_CSR_MISELECT, EIP0 + 2);
    g_assert_cmphex(get(cpu, RV_CSR_MIREG), ==, 1);
    unmake();
}

/* ---- APLIC: direct delivery ---- */

static uint32_t idc(unsigned hart, unsigned reg)
{
    return load(APLIC_S + IDC + 32 * hart + reg);
}

static void set_idc(unsigned hart, unsigned reg, uint32_t value)
{
    store(APLIC_S + IDC + 32 * hart + reg, value);
}

/* Source @i goes to the child, with that mode and target, and is enabled. */
static void use_source(unsigned i, uint32_t mode, uint32_t target)
{
    store(APLIC_M + SOURCECFG + 4 * i, DELEGATE);
    store(APLIC_S + SOURCECFG + 4 * i, mode);
    store(APLIC_S + TARGET + 4 * i, target);
    store(APLIC_S + SETIENUM, i);
}

static void test_delegation(void)
{
    make(&rv64_target, false);
    g_assert_cmphex(load(APLIC_M + DOMAINCFG), ==, 0x80000000);
    store(APLIC_M + DOMAINCFG, -1);
    g_assert_cmphex(load(APLIC_M + DOMAINCFG), ==, 0x80000100);
    /* Not delegated: all of it is zero in the child. */
    store(APLIC_S + SOURCECFG + 4 * 7, LEVEL1);
    store(APLIC_S + SETIENUM, 7);
    store(APLIC_S + TARGET + 4 * 7, HART(1) | 3);
    g_assert_cmphex(load(APLIC_S + SOURCECFG + 4 * 7), ==, 0);
    g_assert_cmphex(load(APLIC_S + SETIE), ==, 0);
    g_assert_cmphex(load(APLIC_S + TARGET + 4 * 7), ==, 0);
    store(APLIC_M + SOURCECFG + 4 * 7, DELEGATE);
    store(APLIC_S + SOURCECFG + 4 * 7, EDGE1);
    g_assert_cmphex(load(APLIC_S + TARGET + 4 * 7), ==, 1);
    use_source(7, EDGE1, HART(1) | 0x3ff00);
    g_assert_cmphex(load(APLIC_M + SOURCECFG + 4 * 7), ==, DELEGATE);
    g_assert_cmphex(load(APLIC_S + SOURCECFG + 4 * 7), ==, EDGE1);
    g_assert_cmphex(load(APLIC_S + TARGET + 4 * 7), ==, HART(1) | 1);
    g_assert_cmphex(load(APLIC_S + SETIE), ==, 1 << 7);
    /* A leaf has nobody to delegate to; reserved modes are inactive. */
    store(APLIC_S + SOURCECFG + 4 * 7, DELEGATE | LEVEL1);
    g_assert_cmphex(load(APLIC_S + SOURCECFG + 4 * 7), ==, 0);
    g_assert_cmphex(load(APLIC_S + SETIE), ==, 0);
    store(APLIC_S + SOURCECFG + 4 * 7, 3);
    g_assert_cmphex(load(APLIC_S + SOURCECFG + 4 * 7), ==, 0);
    /* Taken back, and given again: forgotten. */
    use_source(7, LEVEL1, HART(2) | 5);
    store(APLIC_M + SOURCECFG + 4 * 7, LEVEL1);
    g_assert_cmphex(load(APLIC_S + TARGET + 4 * 7), ==, 0);
    store(APLIC_M + SOURCECFG + 4 * 7, DELEGATE | 3);
    g_assert_cmphex(load(APLIC_M + SOURCECFG + 4 * 7), ==, DELEGATE);
    g_assert_cmphex(load(APLIC_S + SOURCECFG + 4 * 7), ==, 0);
    /* Sources that are not there. */
    store(APLIC_M + SOURCECFG + 4 * (N_SOURCES + 1), LEVEL1);
    g_assert_cmphex(load(APLIC_M + SOURCECFG + 4 * (N_SOURCES + 1)), ==, 0);
    g_assert_cmphex(load(APLIC_M + SOURCECFG + 4 * 1000), ==, 0);
    unmake();
}

static void test_direct(void)
{
    make(&rv64_target, false);
    use_source(10, LEVEL1, HART(1) | 7);
    use_source(90, EDGE1, HART(1) | 3);
    wire(10, true);
    wire(90, true);
    wire(90, false);
    g_assert_cmphex(load(APLIC_S + SETIP), ==, 1 << 10);
    g_assert_cmphex(load(APLIC_S + SETIP + 8), ==, 1 << (90 - 64));
    g_assert_cmphex(load(APLIC_S + IN_CLRIP), ==, 1 << 10);
    g_assert_cmphex(idc(1, TOPI), ==, 90 << 16 | 3);
    g_assert_cmphex(idc(0, TOPI), ==, 0);
    g_assert_false(pending(1, SEIP));
    store(APLIC_S + DOMAINCFG, IE);
    g_assert_false(pending(1, SEIP));
    set_idc(1, IDELIVERY, 3);
    g_assert_cmphex(idc(1, IDELIVERY), ==, 1);
    g_assert_true(pending(1, SEIP) && !pending(0, SEIP) && !pending(1, MEIP));
    set_idc(1, ITHRESHOLD, 3);
    g_assert_false(pending(1, SEIP));
    set_idc(1, ITHRESHOLD, 4);
    g_assert_cmphex(idc(1, TOPI), ==, 90 << 16 | 3);
    /* Claimed: an edge is gone, a level stays as long as the wire. */
    g_assert_cmphex(idc(1, CLAIMI), ==, 90 << 16 | 3);
    g_assert_false(pending(1, SEIP));
    set_idc(1, ITHRESHOLD, 0);
    g_assert_cmphex(idc(1, CLAIMI), ==, 10 << 16 | 7);
    g_assert_true(pending(1, SEIP));
    store(APLIC_S + CLRIPNUM, 10);
    g_assert_cmphex(load(APLIC_S + SETIP), ==, 1 << 10);
    wire(10, false);
    g_assert_false(pending(1, SEIP));
    store(APLIC_S + SETIPNUM, 10);
    g_assert_cmphex(load(APLIC_S + SETIP), ==, 0);
    /* Forced and spurious. */
    set_idc(1, IFORCE, 1);
    g_assert_true(pending(1, SEIP));
    g_assert_cmphex(idc(1, CLAIMI), ==, 0);
    g_assert_cmphex(idc(1, IFORCE), ==, 0);
    g_assert_false(pending(1, SEIP));
    /* Equal priorities: the lower number. */
    use_source(91, DETACHED, HART(1) | 3);
    store(APLIC_S + SETIPNUM_LE, 91);
    store(APLIC_S + SETIPNUM_BE, 90u << 24);
    g_assert_cmphex(idc(1, CLAIMI), ==, 90 << 16 | 3);
    store(APLIC_S + CLRIENUM, 91);
    g_assert_false(pending(1, SEIP));
    store(APLIC_S + SETIE + 8, -1);
    g_assert_cmphex(load(APLIC_S + SETIE + 8), ==, 3 << (90 - 64));
    g_assert_true(pending(1, SEIP));
    store(APLIC_S + CLRIE + 8, -1);
    g_assert_false(pending(1, SEIP));
    store(APLIC_S + GENMSI, 1);
    g_assert_cmphex(load(APLIC_S + GENMSI), ==, 0);
    unmake();
}

static void test_inverted(void)
{
    make(&rv64_target, false);
    store(APLIC_S + DOMAINCFG, IE);
    set_idc(0, IDELIVERY, 1);
    wire(3, true);
    use_source(3, EDGE0, 1);
    g_assert_false(pending(0, SEIP));
    wire(3, false);
    g_assert_true(pending(0, SEIP));
    store(APLIC_S + CLRIPNUM, 3);
    g_assert_false(pending(0, SEIP));
    use_source(4, LEVEL0, 1);
    g_assert_true(pending(0, SEIP));
    g_assert_cmphex(load(APLIC_S + IN_CLRIP), ==, 1 << 3 | 1 << 4);
    wire(4, true);
    g_assert_false(pending(0, SEIP));
    store(APLIC_S + SOURCECFG + 16, LEVEL1);
    g_assert_true(pending(0, SEIP));
    store(APLIC_S + SOURCECFG + 16, 0);
    g_assert_false(pending(0, SEIP));
    unmake();
}

/* ---- APLIC: messages ---- */

static void set_addresses(void)
{
    store(APLIC_M + MMSIADDRCFG, IMSIC_M >> 12);
    store(APLIC_M + MMSIADDRCFGH, 2 << 12);
    store(APLIC_M + SMSIADDRCFG, IMSIC_S >> 12);
    store(APLIC_M + SMSIADDRCFGH, 0);
}

static void open_file(RvCpu *cpu)
{
    s_set(cpu, EIDELIVERY, 1);
    for (unsigned n = 0; n < 8; n += 2) {
        s_set(cpu, EIE0 + n, -1);
    }
}

static uint64_t claim(unsigned hart)
{
    return csr_do(harts[hart], SWAP, RV_CSR_STOPEI, 0);
}

static void test_messages(void)
{
    make(&rv64_target, true);
    set_addresses();
    open_file(harts[2]);
    g_assert_cmphex(load(APLIC_S + DOMAINCFG), ==, 0x80000004);
    use_source(33, LEVEL1, HART(2) | 0x3f000 | 77);
    g_assert_cmphex(load(APLIC_S + TARGET + 4 * 33), ==, HART(2) | 77);
    wire(33, true);
    g_assert_cmphex(load(APLIC_S + SETIP + 4), ==, 2);
    g_assert_false(pending(2, SEIP));
    store(APLIC_S + DOMAINCFG, IE);
    g_assert_cmphex(load(APLIC_S + SETIP + 4), ==, 0);
    g_assert_cmphex(claim(2), ==, TOPEI(77));
    /* The wire is still high: asked for, it comes again, else not. */
    store(APLIC_S + SETIENUM, 33);
    g_assert_cmphex(claim(2), ==, 0);
    store(APLIC_S + SETIPNUM_LE, 33);
    g_assert_cmphex(claim(2), ==, TOPEI(77));
    wire(33, false);
    store(APLIC_S + SETIPNUM_LE, 33);
    g_assert_cmphex(claim(2), ==, 0);
    /* Low before it was sent. */
    store(APLIC_S + CLRIENUM, 33);
    wire(33, true);
    wire(33, false);
    store(APLIC_S + SETIENUM, 33);
    g_assert_cmphex(claim(2), ==, 0);
    use_source(34, EDGE1, HART(2) | 78);
    wire(34, true);
    wire(34, false);
    g_assert_cmphex(claim(2), ==, TOPEI(78));
    /* genmsi goes out without IE; IDCs are not there. */
    store(APLIC_S + DOMAINCFG, 0);
    store(APLIC_S + GENMSI, HART(2) | 1 << 12 | 79);
    g_assert_cmphex(load(APLIC_S + GENMSI), ==, HART(2) | 79);
    g_assert_cmphex(claim(2), ==, TOPEI(79));
    set_idc(0, IDELIVERY, 1);
    g_assert_cmphex(idc(0, IDELIVERY), ==, 0);
    /* The root's own go to machine level. */
    m_set(harts[1], EIE0, -1);
    m_set(harts[1], EIDELIVERY, 1);
    store(APLIC_M + DOMAINCFG, IE);
    store(APLIC_M + SOURCECFG + 4 * 5, DETACHED);
    store(APLIC_M + TARGET + 4 * 5, HART(1) | 9);
    store(APLIC_M + SETIENUM, 5);
    store(APLIC_M + SETIP, 1 << 5);
    g_assert_true(pending(1, MEIP));
    g_assert_cmphex(get(harts[1], RV_CSR_MTOPEI), ==, TOPEI(9));
    /* Harts that are not there, and addresses where nothing is. */
    store(APLIC_M + GENMSI, HART(3) | 9);
    store(APLIC_M + GENMSI, HART(0x3fff) | 9);
    store(APLIC_M + MMSIADDRCFGH, 0xfff);
    store(APLIC_M + GENMSI, 9);
    unmake();
}

static void test_address_lock(void)
{
    make(&rv64_target, true);
    store(APLIC_M + MMSIADDRCFGH, 0x7fffffff);
    g_assert_cmphex(load(APLIC_M + MMSIADDRCFGH), ==, 0x1f77ffff);
    store(APLIC_M + SMSIADDRCFGH, -1);
    g_assert_cmphex(load(APLIC_M + SMSIADDRCFGH), ==, 0x700fff);
    store(APLIC_S + MMSIADDRCFG, 5);
    g_assert_cmphex(load(APLIC_S + MMSIADDRCFG), ==, 0);
    set_addresses();
    store(APLIC_M + MMSIADDRCFGH, 0x80002000);
    store(APLIC_M + MMSIADDRCFG, 5);
    store(APLIC_M + MMSIADDRCFGH, 5);
    store(APLIC_M + SMSIADDRCFG, 5);
    g_assert_cmphex(load(APLIC_M + MMSIADDRCFG), ==, IMSIC_M >> 12);
    g_assert_cmphex(load(APLIC_M + MMSIADDRCFGH), ==, 0x80002000);
    g_assert_cmphex(load(APLIC_M + SMSIADDRCFG), ==, IMSIC_S >> 12);
    /* High bits of the hart's number select a group. */
    hw_device_reset(aplic_m);
    hw_device_reset(aplic_s);
    store(APLIC_M + MMSIADDRCFGH, 1 << 16 | 1 << 12);
    store(APLIC_M + SMSIADDRCFG, RAM >> 12);
    store(APLIC_M + SMSIADDRCFGH, 2 << 20);
    store(APLIC_S + GENMSI, HART(1) | 123);
    g_assert_cmphex(load(RAM + (1 << 14)), ==, 123);
    unmake();
    /* Delivering itself, it has no such registers. */
    make(&rv64_target, false);
    set_addresses();
    g_assert_cmphex(load(APLIC_M + MMSIADDRCFG), ==, 0);
    unmake();
}

/* ---- State ---- */

static void reload(HwDevice *dev)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    g_autoptr(GByteArray) saved = g_byte_array_new();

    state_save(dev, dc->state, saved);
    hw_device_reset(dev);
    for (unsigned i = 0; i < N_HARTS; i++) {
        g_assert_false(pending(i, SEIP | MEIP));
    }
    g_assert_true(state_load(dev, dc->state, saved->data, saved->len, NULL));
    g_assert_true(dc->post_load(dev, NULL));
}

static void test_state(void)
{
    make(&rv64_target, true);
    open_file(harts[1]);
    store(IMSIC_S + PAGE, 200);
    reload(imsic_s);
    g_assert_true(pending(1, SEIP));
    g_assert_cmphex(claim(1), ==, TOPEI(200));
    unmake();
    make(&rv64_target, false);
    use_source(5, LEVEL1, HART(2) | 1);
    wire(5, true);
    store(APLIC_S + DOMAINCFG, IE);
    set_idc(2, IDELIVERY, 1);
    reload(aplic_s);
    g_assert_true(pending(2, SEIP));
    g_assert_cmphex(idc(2, CLAIMI), ==, 5 << 16 | 1);
    unmake();
}

/* ---- Nonsense ---- */

static uint32_t some_value(void)
{
    switch (g_test_rand_int_range(0, 5)) {
    case 0:
        return (uint32_t)g_test_rand_int_range(0, 128);
    case 1:
        return HART(g_test_rand_int_range(0, 5)) | (uint32_t)g_test_rand_int_range(0, 300);
    case 2:
        return 1u << g_test_rand_int_range(0, 32);
    case 3:
        return g_test_rand_bit() ? UINT32_MAX : 0;
    default:
        return (uint32_t)g_test_rand_int();
    }
}

static void random_register(void)
{
    static const uint64_t windows[] = { APLIC_M, APLIC_S, IMSIC_M, IMSIC_S };
    static const uint16_t groups[] = { 0,      0x1bc0, 0x1c00, 0x1d00, 0x1e00,
                                       0x1f00, 0x2000, 0x3000, 0x4000 };
    unsigned w = (unsigned)g_test_rand_int_range(0, imsic_m ? 4 : 2);
    uint64_t addr = windows[w], value;

    addr += w < 2 ? groups[g_test_rand_int_range(0, G_N_ELEMENTS(groups))] : 0;
    addr += (uint64_t)g_test_rand_int_range(0, 0x100) * 4 % 0x400;
    addr += w < 2 ? 0 : (uint64_t)g_test_rand_int_range(0, 4) * PAGE;
    if (w == 0 && addr - APLIC_M >= MMSIADDRCFG && addr - APLIC_M <= SMSIADDRCFGH) {
        return; /* messages would end up anywhere in RAM */
    }
    if (g_test_rand_int_range(0, 4) == 0) {
        memory_load(addr, 4, &value);
    } else {
        memory_store(addr, g_test_rand_int_range(0, 16) ? 4 : 8, some_value());
    }
}

static void random_csr(RvCpu *cpu)
{
    static const uint16_t csrs[] = { RV_CSR_SIREG,  RV_CSR_MIREG,  RV_CSR_SIREG, RV_CSR_MIREG,
                                     RV_CSR_STOPEI, RV_CSR_MTOPEI, RV_CSR_MVIP,  RV_CSR_STOPI };
    static const uint8_t selects[] = {
        EIDELIVERY, EITHRESHOLD, EIP0, EIP0 + 2, EIE0, EIE0 + 4, 0x30
    };
    uint64_t value = g_test_rand_bit() ? some_value() : (uint64_t)some_value() << 32;

    set(cpu, g_test_rand_bit() ? RV_CSR_SISELECT : RV_CSR_MISELECT,
        g_test_rand_bit() ? selects[g_test_rand_int_range(0, G_N_ELEMENTS(selects))]
                          : some_value());
    can(cpu, (Op)g_test_rand_int_range(READ, CLEAR + 1),
        csrs[g_test_rand_int_range(0, G_N_ELEMENTS(csrs))], value);
}

/* What the hart sees is what the registers say. */
static void check_hart(unsigned i)
{
    uint32_t lines = harts[i]->mip_lines;

    if (imsic_m) {
        uint64_t m, s;

        set(harts[i], RV_CSR_MISELECT, EIDELIVERY);
        m = get(harts[i], RV_CSR_MIREG);
        s = s_get(harts[i], EIDELIVERY);
        g_assert_true(!!(lines & MEIP) == (m && get(harts[i], RV_CSR_MTOPEI)));
        g_assert_true(!!(lines & SEIP) == (s && get(harts[i], RV_CSR_STOPEI)));
    } else {
        bool on = load(APLIC_S + DOMAINCFG) & IE && idc(i, IDELIVERY);

        g_assert_true(!!(lines & SEIP) == (on && (idc(i, IFORCE) || idc(i, TOPI))));
    }
}

/* Nothing enabled stays pending in a domain that sends, no inactive source has bits, levels are their wires. */
static void check_domain(uint64_t base)
{
    uint32_t cfg = load(base + DOMAINCFG);

    for (unsigned w = 0; w < 4; w++) {
        uint32_t bits = load(base + SETIP + 4 * w), enabled = load(base + SETIE + 4 * w),
                 inputs = load(base + IN_CLRIP + 4 * w);

        g_assert_true(!(cfg & 4) || !(cfg & IE) || !(bits & enabled));
        for (unsigned b = 0; b < 32; b++) {
            uint32_t mode = load(base + SOURCECFG + 4 * (w * 32 + b)), bit = 1u << b;

            if (w * 32 + b == 0) {
                continue; /* domaincfg is there */
            }
            g_assert_true((mode && !(mode & DELEGATE)) || !((bits | enabled | inputs) & bit));
            if (mode == LEVEL1 || mode == LEVEL0) {
                g_assert_true(cfg & 4 ? !(bits & ~inputs & bit) : !((bits ^ inputs) & bit));
            }
        }
    }
}

static void test_random(gconstpointer with_imsic)
{
    for (unsigned round = 0; round < 20; round++) {
        make(g_test_rand_bit() ? &rv64_target : &rv32_target, with_imsic != NULL);
        if (with_imsic) {
            set_addresses();
        }
        for (unsigned i = 1; i <= N_SOURCES; i += 2) {
            use_source(i, (uint32_t)g_test_rand_int_range(EDGE1, LEVEL0 + 1), some_value());
        }
        for (unsigned step = 0; step < 4000; step++) {
            unsigned hart = (unsigned)g_test_rand_int_range(0, N_HARTS);

            random_register();
            wire((unsigned)g_test_rand_int_range(1, N_SOURCES + 1), g_test_rand_bit());
            if (with_imsic) {
                random_csr(harts[hart]);
            }
            check_hart(hart);
            if (step % 64 == 0) {
                check_domain(APLIC_M);
                check_domain(APLIC_S);
            }
        }
        unmake();
    }
    if (with_imsic) {
        test_messages();
    } else {
        test_direct();
    }
}

/* ---- Threads ---- */

enum { N_SENDERS = 3, MESSAGES = 20000 };

static unsigned waiting[N_SENDERS]; /* a message of this sender is not claimed yet */

/* Sends its next message when the last one was claimed: each must be noticed. */
static gpointer send(gpointer number)
{
    unsigned n = GPOINTER_TO_UINT(number);

    for (unsigned i = 0; i < MESSAGES; i++) {
        __atomic_store_n(&waiting[n], 1, __ATOMIC_SEQ_CST);
        memory_store(IMSIC_S, 4, 10 + n * 60);
        while (__atomic_load_n(&waiting[n], __ATOMIC_SEQ_CST)) {
            g_thread_yield();
        }
    }
    return NULL;
}

static void test_threads(void)
{
    GThread *threads[N_SENDERS];
    unsigned claimed = 0;
    gint64 limit = g_get_monotonic_time() + 120 * G_TIME_SPAN_SECOND;

    make(&rv64_target, true);
    open_file(harts[0]);
    for (unsigned n = 0; n < N_SENDERS; n++) {
        threads[n] = g_thread_new("sender", send, GUINT_TO_POINTER(n));
    }
    while (claimed < N_SENDERS * MESSAGES) {
        uint64_t top;

        g_assert_cmpint(g_get_monotonic_time(), <, limit);
        if (!pending(0, SEIP)) {
            g_thread_yield();
            continue;
        }
        top = claim(0) >> 16;
        g_assert_cmpuint(top % 60, ==, 10);
        claimed++;
        __atomic_store_n(&waiting[top / 60], 0, __ATOMIC_SEQ_CST);
    }
    for (unsigned n = 0; n < N_SENDERS; n++) {
        g_thread_join(threads[n]);
    }
    g_assert_false(pending(0, SEIP));
    unmake();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    bare_init(16 << 20, RAM, RAM_SIZE);
    g_test_add_data_func("/aia/presence", &rv64_target, test_presence);
    g_test_add_data_func("/aia/presence-32", &rv32_target, test_presence);
    g_test_add_data_func("/aia/selects", &rv64_target, test_selects);
    g_test_add_data_func("/aia/selects-32", &rv32_target, test_selects);
    g_test_add_func("/aia/virtual", test_virtual);
    g_test_add_func("/aia/topi", test_topi);
    g_test_add_func("/aia/file", test_file);
    g_test_add_func("/aia/file-edges", test_file_edges);
    g_test_add_func("/aia/file-32", test_file_32);
    g_test_add_func("/aia/delegation", test_delegation);
    g_test_add_func("/aia/direct", test_direct);
    g_test_add_func("/aia/inverted", test_inverted);
    g_test_add_func("/aia/messages", test_messages);
    g_test_add_func("/aia/address-lock", test_address_lock);
    g_test_add_func("/aia/state", test_state);
    g_test_add_data_func("/aia/random-messages", "", test_random);
    g_test_add_data_func("/aia/random-direct", NULL, test_random);
    g_test_add_func("/aia/threads", test_threads);
    return g_test_run();
}
