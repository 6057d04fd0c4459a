/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The random differential test: the JIT against the IR interpreter on random RISC-V code.
 *
 *     riscv-diff [--insns N] [--seed S] [--xlen 32|64] [--opt MASK]
 *
 * Each round writes random instructions from the ISA table into guest RAM, gives two harts the same random, edge-biased state, and runs one
 * block on each: the interpreter on IR as built with every fold and pass off, the JIT on optimised IR through the real code cache and TLB. Then
 * the whole state table, registers, memory, the way out, the pc and the instruction count must be the same. A difference is narrowed to the
 * shortest block that shows it, printed with its seed, and ends the run with status 1.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "target/riscv/isa-table.h"
#include "tcg/x86_64/features.h"
#include "tests/diff/diff.h"

enum {
    RAM_BASE = DIFF_RAM_BASE,
    RAM_SIZE = DIFF_RAM_SIZE,
    CODE = 0x1000,
    DATA = 0x3000,
    BLOCK_INSNS = 24,
    ROUNDS_PER_IMAGE = 64
};

typedef struct Outcome {
    TcgExit exit;
    bool unwound; /* left by an exception */
    uint64_t pc;
    int64_t icount_left;
    GByteArray *state;
    uint8_t *data;
} Outcome;

static uint64_t rng;
static unsigned opt_mask = IR_OPT_ALL;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1dull;
}

static uint64_t edge_value(void)
{
    static const uint64_t edges[] = { 0,
                                      1,
                                      UINT64_MAX,
                                      INT64_MAX,
                                      1ull << 63,
                                      INT32_MAX,
                                      0x80000000,
                                      UINT32_MAX,
                                      0x100000000,
                                      0x7f800000,
                                      0x3ff0000000000000,
                                      0x7ff0000000000000,
                                      0xfff8000000000001,
                                      0xffffffff7fc00000,
                                      0xffffffff3f800000,
                                      0xffffffff00800000,
                                      31,
                                      32,
                                      63,
                                      64 };
    uint64_t r = rnd();

    switch (r & 7) {
    case 0:
        return rnd();
    case 1:
        return (uint64_t)(int32_t)rnd();
    case 2:
        return rnd() >> (rnd() & 63);
    case 3:
        return 0xffffffff00000000ull | (uint32_t)rnd();
    default:
        return edges[(r >> 8) % G_N_ELEMENTS(edges)];
    }
}

/* An address in the data window, mostly aligned, sometimes at a page's end. */
static uint64_t data_address(void)
{
    uint64_t offset = rnd() % (RAM_SIZE - DATA - 4096) + 2048;

    if ((rnd() & 7) == 0) {
        offset = (offset & ~4095ull) + 4096 - (rnd() & 15);
    } else if (rnd() & 3) {
        offset &= ~7ull;
    }
    return RAM_BASE + DATA + offset;
}

/* CSRs whose value depends on nothing but the state. */
static unsigned random_csr(void)
{
    static const uint16_t csrs[] = { 0x001, 0x002, 0x003, 0x340, 0x341, 0x342, 0x343, 0x300, 0x305,
                                     0x140, 0x141, 0x142, 0x143, 0x105, 0x302, 0x303, 0x304, 0x344,
                                     0x100, 0x104, 0x301, 0x306, 0x106, 0x7c0, 0x5ff };

    return csrs[rnd() % G_N_ELEMENTS(csrs)];
}

static bool is_named(const RvIsaEntry *e, const char *prefix)
{
    return g_str_has_prefix(e->name, prefix);
}

/* A random instruction that the test can run; addresses come from registers that mostly hold pointers into the window. */
static uint32_t random_insn(unsigned *width)
{
    for (;;) {
        const RvIsaEntry *e = &rv_isa_table[rnd() % rv_n_isa];
        uint32_t w = e->match | ((uint32_t)rnd() & ~e->mask);

        if (is_named(e, "wfi") || is_named(e, "wrs") || is_named(e, "sfence") ||
            is_named(e, "sinval") || is_named(e, "mret") || is_named(e, "sret")) {
            continue;
        }
        if (e->width == 32 && (w & 0x7f) == 0x73 && (w & 0x3000)) {
            w = (w & 0xfffff) | random_csr() << 20;
        }
        if (e->width == 32 && ((w & 0x7f) == 0x03 || (w & 0x7f) == 0x23 || (w & 0x7f) == 0x07 ||
                               (w & 0x7f) == 0x27 || (w & 0x7f) == 0x2f)) {
            w = (w & ~(31u << 15)) | (8 + (uint32_t)(rnd() & 7)) << 15; /* rs1 in x8-x15 */
            if ((w & 0x7f) == 0x03 && (rnd() & 3)) {
                w = (w & ~(31u << 7)) | (16 + (uint32_t)(rnd() & 15)) << 7; /* keep the pointers */
            }
        } else if (e->width == 32 &&
                   ((w & 0x7f) == 0x33 || (w & 0x7f) == 0x13 || (w & 0x7f) == 0x3b) &&
                   (rnd() & 3)) {
            w = (w & ~(31u << 7)) | ((uint32_t)rnd() & 1 ? 16 : 0) << 7 |
                ((uint32_t)rnd() & 7) << 7;
        }
        if ((w & e->mask) != e->match) {
            continue;
        }
        *width = e->width / 8;
        return w;
    }
}

static void fill_image(uint8_t *image)
{
    for (unsigned i = 0; i < RAM_SIZE; i += 8) {
        uint64_t v = edge_value();

        memcpy(image + i, &v, 8);
    }
}

static void write_code(uint8_t *image, uint64_t offset)
{
    uint8_t *host = image + CODE;

    for (unsigned i = 0; i < BLOCK_INSNS && offset < 4092; i++) {
        unsigned width;
        uint32_t w = random_insn(&width);

        memcpy(host + offset, &w, 4);
        offset += width;
    }
}

static void randomize(RvCpu *cpu)
{
    for (unsigned i = 1; i < 32; i++) {
        uint64_t v = i >= 8 && i < 16 ? data_address() : edge_value();

        cpu->x[i] = cpu->config.xlen == 32 ? (uint64_t)(int32_t)v : v;
    }
    for (unsigned i = 0; i < 32; i++) {
        cpu->f[i] = edge_value();
    }
    tcg_fp_set_flags(&cpu->parent.fp, rnd() & 31);
    cpu->frm = rnd() & 7 ? rnd() % 5 : rnd() & 7;
    cpu->mstatus = (cpu->mstatus & ~(3ull << 13)) | (rnd() & 15 ? 3ull : rnd() & 3) << 13;
    cpu->mtvec = RAM_BASE + 0x1000;
    cpu->mepc = RAM_BASE + 0x2000;
    cpu->mscratch = edge_value();
    cpu->priv = RV_PRIV_M;
    cpu->parent.halted = false;
}

/* Copies the state that a round starts with; memory is shared and restored by the caller. */
static void copy_state(RvCpu *to, RvCpu *from)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    GError *error = NULL;

    state_save(from, from->parent.ops->state, bytes);
    if (!state_load(to, to->parent.ops->state, bytes->data, bytes->len, &error)) {
        g_error("state: %s", error->message);
    }
    to->res_valid = from->res_valid;
    to->parent.halted = false;
}

static void record(RvCpu *cpu, Outcome *o)
{
    o->icount_left = cpu->parent.icount_left;
    g_byte_array_set_size(o->state, 0);
    state_save(cpu, cpu->parent.ops->state, o->state);
    g_byte_array_append(o->state, (uint8_t *)cpu->x, sizeof(cpu->x));
    g_byte_array_append(o->state, (uint8_t *)cpu->f, sizeof(cpu->f));
    memcpy(o->data, memory_region_host(&diff_ram), RAM_SIZE);
}

static void run_interp(IrBlock *ir, const BlockKey *key, uint64_t pc, Outcome *o)
{
    Cpu *cpu = &diff_interp_cpu->parent;
    CodeBlock block = { .key = *key };

    diff_start(diff_interp_cpu, pc);
    o->unwound = true;
    if (!sigsetjmp(cpu->loop, 0)) {
        cpu->interp_block = &block;
        o->exit = tcg_interp_run(&cpu_abi, ir, cpu, &cpu->interp_at);
        o->unwound = false;
        if (o->exit == TCG_EXIT_DIRECT) {
            cpu->pc = cpu->pc_page + cpu->arg[0];
        }
    }
    cpu->interp_at = NULL;
    o->pc = cpu->pc;
    record(diff_interp_cpu, o);
}

static void run_jit(CodeBlock *block, uint64_t pc, Outcome *o)
{
    Cpu *cpu = &diff_jit_cpu->parent;

    diff_start(diff_jit_cpu, pc);
    o->unwound = true;
    if (!sigsetjmp(cpu->loop, 0)) {
        tcg_fp_enter(&cpu->fp);
        o->exit = diff_enter(block);
        o->unwound = false;
        if (o->exit == TCG_EXIT_DIRECT) {
            const TcgSite *site = code_block_site(block, cpu->host_pc);

            cpu->pc = cpu->pc_page + (int64_t)site->page_offset;
        }
    }
    tcg_fp_leave(&cpu->fp);
    cpu->host_pc = 0;
    o->pc = cpu->pc;
    record(diff_jit_cpu, o);
}

/* A direct exit to another page is an indirect one in host code. */
static bool same_exit(const Outcome *a, const Outcome *b)
{
    if (a->unwound || b->unwound) {
        return a->unwound == b->unwound;
    }
    return a->exit == b->exit || (a->exit <= TCG_EXIT_INDIRECT && b->exit <= TCG_EXIT_INDIRECT) ||
           (a->exit <= TCG_EXIT_LEAVE && b->exit <= TCG_EXIT_LEAVE);
}

static const char *difference(RvCpu *cpu, const Outcome *a, const Outcome *b)
{
    uint64_t mask = cpu->config.xlen == 32 ? UINT32_MAX : UINT64_MAX;

    if (!same_exit(a, b)) {
        return "way out";
    }
    if ((a->pc ^ b->pc) & mask) {
        return "pc";
    }
    if (a->icount_left != b->icount_left) {
        return "instruction count";
    }
    if (a->state->len != b->state->len || memcmp(a->state->data, b->state->data, a->state->len)) {
        return "registers";
    }
    return memcmp(a->data, b->data, RAM_SIZE) ? "memory" : NULL;
}

static void print_registers(void)
{
    g_autoptr(GString) a = g_string_new(NULL), b = g_string_new(NULL);
    g_auto(GStrv) left = NULL, right = NULL;

    for (unsigned i = 0; i < 32; i++) {
        g_string_append_printf(a, "x%u %#" PRIx64 "\nf%u %#" PRIx64 "\n", i, diff_interp_cpu->x[i],
                               i, diff_interp_cpu->f[i]);
        g_string_append_printf(b, "x%u %#" PRIx64 "\nf%u %#" PRIx64 "\n", i, diff_jit_cpu->x[i], i,
                               diff_jit_cpu->f[i]);
    }
    state_print(diff_interp_cpu, diff_interp_cpu->parent.ops->state, a);
    state_print(diff_jit_cpu, diff_jit_cpu->parent.ops->state, b);
    left = g_strsplit(a->str, "\n", -1);
    right = g_strsplit(b->str, "\n", -1);
    for (unsigned i = 0; left[i] && right[i]; i++) {
        if (strcmp(left[i], right[i])) {
            printf("#   interp %s | jit %s\n", left[i], right[i]);
        }
    }
}

/* One block of at most @max_insns from the same start; what differs, or NULL. @executed: guest insns of the block. */
static const char *run_block(RvCpu *initial, const uint8_t *data, const BlockKey *key,
                             unsigned max_insns, unsigned *executed, bool verbose)
{
    static IrBlock *plain, *optimised;
    static Outcome interp, jit;
    uint8_t *window = memory_region_host(&diff_ram);
    uint64_t pc = RAM_BASE + CODE + (key->phys & 4095);
    CodeBlock *block;
    const char *what;

    if (!plain) {
        plain = ir_block_new(&diff_jit_cpu->parent.ops->ir);
        optimised = ir_block_new(&diff_jit_cpu->parent.ops->ir);
        interp = (Outcome){ .state = g_byte_array_new(), .data = g_malloc(RAM_SIZE) };
        jit = (Outcome){ .state = g_byte_array_new(), .data = g_malloc(RAM_SIZE) };
    }
    memcpy(window, data, RAM_SIZE);
    memory_written(window, RAM_SIZE);
    diff_build(plain, key, 0, max_insns);
    *executed = plain->n_guest_insns;
    if (!*executed) {
        return NULL;
    }
    diff_build(optimised, key, opt_mask, max_insns);
    copy_state(diff_interp_cpu, initial);
    run_interp(plain, key, pc, &interp);
    memcpy(window, data, RAM_SIZE);
    block = diff_publish(
        optimised, key); /* only now: stores of the interpreter may have hit the block's page */
    if (!block) {
        return "compiler refused the block";
    }
    copy_state(diff_jit_cpu, initial);
    run_jit(block, pc, &jit);
    what = difference(diff_jit_cpu, &interp, &jit);
    if (what && verbose) {
        g_autoptr(GString) text = g_string_new(NULL);

        ir_print(plain, text);
        g_string_append(text, "optimised:\n");
        ir_print(optimised, text);
        tcg_backend_disassemble(block->code, block->size, 0, text);
        printf("# %s differs: interp exit %d%s pc %#" PRIx64 " left %" PRId64
               ", jit exit %d%s pc %#" PRIx64 " left %" PRId64 "\n%s\n",
               what, interp.exit, interp.unwound ? " (exception)" : "", interp.pc,
               interp.icount_left, jit.exit, jit.unwound ? " (exception)" : "", jit.pc,
               jit.icount_left, text->str);
        print_registers();
    }
    return what;
}

/* The shortest prefix of the block that differs, shown. */
static void shrink(RvCpu *initial, const uint8_t *data, const BlockKey *key)
{
    unsigned executed;

    for (unsigned n = 1; n <= IR_MAX_GUEST_INSNS; n++) {
        if (run_block(initial, data, key, n, &executed, false)) {
            run_block(initial, data, key, n, &executed, true);
            return;
        }
    }
}

/* Runs until @n_insns guest instructions were compared. */
static bool run(uint64_t n_insns, uint64_t seed)
{
    g_autofree uint8_t *data = g_malloc(RAM_SIZE);
    RvCpu *initial = rv_cpu(target_find(diff_jit_cpu->config.xlen == 32 ? "riscv32" : "riscv64")
                                ->create("max", 2, NULL));
    uint64_t done = 0;

    copy_state(initial, diff_jit_cpu);
    for (uint64_t round = 0; done < n_insns; round++) {
        BlockKey key = { 0 };
        uint64_t offset;
        unsigned executed;
        const char *what;

        rng = seed * 0x9e3779b97f4a7c15ull + round * 0xd1342543de82ef95ull + 1;
        key.cflags = rnd() & 1 ? IR_CF_ICOUNT : 0;
        offset = (rnd() % 3900) & ~1ull;
        randomize(initial);
        if (round % ROUNDS_PER_IMAGE == 0) {
            fill_image(data);
        }
        write_code(data, offset);
        copy_state(diff_interp_cpu, initial);
        diff_start(diff_interp_cpu, RAM_BASE + CODE + offset);
        key.phys = (uint64_t)(memory_region_host(&diff_ram) - ram_base) + CODE + offset;
        key.mode = diff_interp_cpu->parent.ops->block_mode(&diff_interp_cpu->parent);
        what = run_block(initial, data, &key, IR_MAX_GUEST_INSNS, &executed,
                         getenv("DIFF_VERBOSE") != NULL);
        if (what) {
            printf("# seed %" PRIu64 " round %" PRIu64 ": %s differs; the shortest block:\n", seed,
                   round, what);
            shrink(initial, data, &key);
            return false;
        }
        done += executed;
    }
    printf("# %" PRIu64 " instructions compared\n", done);
    return true;
}

int main(int argc, char **argv)
{
    uint64_t n_insns = 1000000, seed = 1;
    unsigned xlen = 64;
    bool ok;

    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = g_ascii_strtoull(argv[i + 1], NULL, 0);

        if (!strcmp(argv[i], "--insns")) {
            n_insns = value;
        } else if (!strcmp(argv[i], "--seed")) {
            seed = value;
        } else if (!strcmp(argv[i], "--xlen")) {
            xlen = (unsigned)value;
        } else if (!strcmp(argv[i], "--opt")) {
            opt_mask = (unsigned)value;
        } else if (!strcmp(argv[i], "--features")) {
            tcg_backend_set_features((uint32_t)value);
        } else {
            fprintf(stderr, "riscv-diff: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    diff_set_up(xlen);
    printf("TAP version 13\n1..1\n");
    ok = run(n_insns, seed);
    printf("%s 1 - rv%u: JIT and interpreter agree\n", ok ? "ok" : "not ok", xlen);
    return !ok;
}
