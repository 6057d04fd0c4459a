/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The run loop of a vCPU: find or translate the block at the pc, enter it, act on why it was left.
 *
 * Guest exceptions raised inside helpers and memory accesses come back by siglongjmp (cpu_loop_exit) with Cpu.pc exact; the
 * pinned registers were stored by the thunk that made the call. exit_request is the only thing other threads set here.
 */
#include "softmmu/exec-priv.h"
#include <inttypes.h>
#include <string.h>
#include "softmmu/clock.h"
#include "softmmu/code-cache-priv.h"
#include "softmmu/memory.h"
#include "softmmu/perfmap.h"
#include "softmmu/tlb-priv.h"
#include "util/log.h"

/* The verifier runs behind the passes in debug and sanitizer builds. */
#ifdef MENURA_DEBUG
enum { IR_VERIFY = 1 };
#else
enum { IR_VERIFY = 0 };
#endif

typedef struct Translator {
    IrBlock *ir;
    TcgCompiler *compiler;
    unsigned tries;        /* since a translation succeeded */
    bool alone;            /* translating with the other vCPUs outside */
    const CodeBlock *spin; /* the waiting loop that ran last, and how often in a row */
    unsigned spin_rounds;
} Translator;

/* A page that others store to all the time may change during each translation: after so many failures it is made alone. */
enum { MAX_TRIES = 8 };
/* Asking for the time takes as long as translating an insn: only for one of so many translations. */
enum { TIMED_SHARE = 16 };

static TcgEnterFn *enter_code;

void exec_init_cpu(Cpu *cpu)
{
    cpu->translator = g_new0(Translator, 1);
    cpu->translator->ir = ir_block_new(&cpu->ops->ir);
    cpu->fn_table[TCG_FN_LOAD] = access_load;
    cpu->fn_table[TCG_FN_STORE] = access_store;
    if (!cpu_config.interp) {
        cpu->translator->compiler = tcg_compiler_new(&cpu_abi);
        code_cache_thunks(cpu->fn_table, &enter_code);
    }
}

void exec_free_cpu(Cpu *cpu)
{
    ir_block_free(cpu->translator->ir);
    if (cpu->translator->compiler) {
        tcg_compiler_free(cpu->translator->compiler);
    }
    g_clear_pointer(&cpu->translator, g_free);
}

/* ---- Translation ---- */

static uint32_t block_cflags(const Cpu *cpu, uint64_t pc, bool single)
{
    uint32_t cflags = cpu_config.icount || cpu->count_insns ? IR_CF_ICOUNT : 0;

    if (cpu_config.no_link) {
        cflags |= IR_CF_NO_LINK;
    }
    if (single || cpu_config.one_insn || cpu->single_step || cpu->watch_step ||
        debug_page_has_breakpoint(pc)) {
        cflags |= IR_CF_ONE_INSN | IR_CF_NO_LINK;
    }
    return cflags;
}

static void log_block(const Cpu *cpu, uint64_t pc, const IrBlock *ir, const char *title,
                      unsigned mask)
{
    g_autoptr(GString) text = NULL;

    if (!log_enabled(mask) || !log_in_filter(pc)) {
        return;
    }
    text = g_string_new(NULL);
    g_string_append_printf(text, "%s: pc %#" PRIx64 " cpu %u, %u insns\n", title, pc, cpu->index,
                           ir->n_guest_insns);
    ir_print(ir, text);
    log_printf(mask, "%s\n", text->str);
}

/* The block's guest instructions, for -d in_asm. */
static void log_guest_code(const Cpu *cpu, uint64_t pc, const IrBlock *ir, CodeReader *reader)
{
    g_autoptr(GString) text = NULL;
    unsigned offset = pc & 4095;

    if (!log_enabled(LOG_IN_ASM) || !log_in_filter(pc) || !cpu->ops->disassemble) {
        return;
    }
    text = g_string_new(NULL);
    for (unsigned n = 0; n < ir->n_guest_insns; n++) {
        uint8_t bytes[16];
        unsigned have = 0;
        uint16_t half;

        while (have < ir->target->max_insn_bytes && code_reader_u16(reader, offset + have, &half)) {
            bytes[have++] = (uint8_t)half;
            bytes[have++] = (uint8_t)(half >> 8);
        }
        g_string_append_printf(text, "0x%0*" PRIx64 ": ", cpu->ops->address_bits / 4, pc);
        have = cpu->ops->disassemble(bytes, have, pc, text);
        g_string_append_c(text, '\n');
        offset += have;
        pc += have;
    }
    log_printf(LOG_IN_ASM, "IN: cpu %u\n%s\n", cpu->index, text->str);
}

static void log_code(uint64_t pc, const TcgCode *code)
{
    g_autoptr(GString) text = NULL;

    if (!log_enabled(LOG_OUT_ASM) || !log_in_filter(pc)) {
        return;
    }
    text = g_string_new(NULL);
    tcg_backend_disassemble(code->code, code->size, 0, text);
    log_printf(LOG_OUT_ASM, "OUT: pc %#" PRIx64 ", %u bytes\n%s\n", pc, code->size, text->str);
}

/* The second page of a crossing insn could not be read: the guest's fetch fault at its first byte. */
static G_NORETURN void raise_crossing_fault(Cpu *cpu, uint64_t pc)
{
    access_fetch_page(cpu, (pc & ~4095ull) + 4096);
    /* It became executable meanwhile: run on. */
    cpu_loop_exit(cpu);
}

/* A copy of just the size needed, for the interpreter. */
static IrBlock *copy_ir(const IrBlock *ir)
{
    IrBlock *copy = g_memdup2(ir, sizeof(IrBlock));

    copy->insns = g_memdup2(ir->insns, ir->n * sizeof(IrInsn));
    return copy;
}

/* Builds and optimises the IR of @proto's block into the thread's IrBlock. */
static void build_ir(Cpu *cpu, uint64_t pc, CodeBlock *proto, unsigned max_insns)
{
    IrBlock *ir = cpu->translator->ir;
    CodeReader reader = { .host = ram_base + (proto->key.phys & ~4095ull) };
    GError *error = NULL;

    if (proto->key.phys2 < BLOCK_PAGE2_NOT_EXECUTABLE) {
        reader.host2 = ram_base + proto->key.phys2;
    }
    ir_block_reset(ir, proto->key.phys & 4095, proto->key.cflags);
    cpu->ops->translate(ir, &proto->key, &reader, max_insns);
    if (!ir->n_guest_insns) {
        return;
    }
    log_block(cpu, pc, ir, "IR", LOG_IR);
    proto->spin = cpus->len > 1 && ir_is_spin(ir);
    if (proto->spin) {
        ir->cflags |= IR_CF_NO_LINK; /* each round comes by run_once() */
    }
    if (cpu_config.interp || log_enabled(LOG_IR_OPT)) {
        ir_optimise(ir); /* the compiler does as well with what was built */
    }
    log_block(cpu, pc, ir, "IR optimised", LOG_IR_OPT);
    if (IR_VERIFY && !ir_verify(ir, &error)) {
        log_block(cpu, pc, ir, "IR refused", LOG_ALL);
        g_error("block at %#" PRIx64 ": %s", pc, error->message);
    }
    proto->n_insns = (uint16_t)ir->n_guest_insns;
    proto->chunks = reader.chunks;
    proto->n_bytes = (uint16_t)(reader.end - (proto->key.phys & 4095));
    log_guest_code(cpu, pc, ir, &reader);
}

/* Compiles the thread's IR and publishes the block; see code_cache_add() for NULL. */
static CodeBlock *compile_ir(Cpu *cpu, uint64_t pc, CodeBlock *proto, const uint32_t seq[2],
                             bool *full, bool *too_big)
{
    TcgCode code;
    CodeBlock *block;

    *full = *too_big = false;
    if (cpu_config.interp) {
        proto->ir = copy_ir(cpu->translator->ir);
        block = code_cache_add(proto, NULL, seq, full);
        if (!block || block->ir != proto->ir) {
            ir_block_free(proto->ir);
        }
        return block;
    }
    if (!tcg_compiler_compile(cpu->translator->compiler, cpu->translator->ir, &code)) {
        *too_big = true;
        return NULL;
    }
    log_code(pc, &code);
    cpu->stats.translated_bytes += code.size;
    block = code_cache_add(proto, &code, seq, full);
    if (block) {
        perfmap_add_block(block->code, block->size, pc);
    }
    return block;
}

/* While a vCPU waits for the others it may be paused, reset, or have its registers changed: everything is looked up again. */
static G_NORETURN void look_again(Cpu *cpu)
{
    cpu->step_done = false;
    cpu_loop_exit(cpu);
}

static void begin_alone(Cpu *cpu)
{
    if (!cpu->translator->alone) {
        cpu_exclusive_begin(cpu);
        cpu->translator->alone = true;
    }
}

static void end_alone(Cpu *cpu)
{
    if (cpu->translator->alone) {
        cpu->translator->alone = false;
        cpu_exclusive_end(cpu);
    }
}

static G_NORETURN void flush_code(Cpu *cpu)
{
    begin_alone(cpu);
    code_cache_flush();
    look_again(cpu);
}

/* The sequence number of the page at RAM offset @phys, from which code is about to be translated. */
static uint32_t begin_page(Cpu *cpu, uint64_t phys)
{
    uint32_t seq;

    while (!code_page_begin(cpu, ram_base + phys, &seq)) {
        bool was_alone = cpu->translator->alone;

        begin_alone(cpu);
        code_page_settle(ram_base + phys);
        if (!was_alone) {
            cpu->translator->tries++;
            look_again(cpu);
        }
    }
    return seq;
}

static CodeBlock *translate(Cpu *cpu, uint64_t pc, const BlockKey *key)
{
    unsigned max_insns = key->cflags & IR_CF_ONE_INSN ? 1 : IR_MAX_GUEST_INSNS;
    bool timed = cpu->stats.translations % TIMED_SHARE == 0;
    int64_t before = timed ? g_get_monotonic_time() : 0;
    int64_t begin = timed ? g_get_monotonic_time() : 0;
    CodeBlock *block = NULL;

    while (!block) {
        CodeBlock proto = { .key = *key };
        uint32_t seq[2] = { begin_page(cpu, key->phys), 0 };
        bool full, too_big;

        proto.has_page2 =
            key->phys2 < BLOCK_PAGE2_NOT_EXECUTABLE && key->phys2 != (key->phys & ~4095ull);
        if (proto.has_page2) {
            seq[1] = begin_page(cpu, key->phys2);
        }
        block = code_cache_revive(key, seq[0]);
        if (block) {
            cpu->stats.revived++;
            return block;
        }
        build_ir(cpu, pc, &proto, max_insns);
        if (!proto.n_insns) {
            raise_crossing_fault(cpu, pc);
        }
        block = compile_ir(cpu, pc, &proto, seq, &full, &too_big);
        if (full) {
            flush_code(cpu);
        }
        if (too_big) {
            g_assert(max_insns > 1);
            max_insns /= 2;
        } else if (!block && ++cpu->translator->tries > MAX_TRIES) {
            look_again(cpu);
        }
    }
    cpu->stats.translations++;
    cpu->stats.translated_insns += block->n_insns;
    if (timed) {
        cpu->stats.timed_insns += block->n_insns;
        cpu->stats.timed_us += g_get_monotonic_time() - begin - (begin - before);
    }
    return block;
}

/* ---- Lookup ---- */

/* What to look for at @pc; may raise the guest's fetch fault. */
static BlockKey block_key(Cpu *cpu, uint64_t pc, bool single)
{
    const uint8_t *host = access_fetch_page(cpu, pc);
    BlockKey key = { .phys = (uint64_t)(host - ram_base) + (pc & 4095),
                     .phys2 = BLOCK_PAGE2_NONE,
                     .mode = cpu->ops->block_mode(cpu),
                     .cflags = block_cflags(cpu, pc, single) };

    if ((pc & 4095) == 4094) {
        const uint8_t *host2 = access_fetch_page_try(cpu, pc + 2);

        key.phys2 = host2 ? (uint64_t)(host2 - ram_base) : BLOCK_PAGE2_NOT_EXECUTABLE;
    }
    if (cpu->fetch_split) { /* what follows in the page may be forbidden, and nothing else remembers whose page it is */
        key.cflags |= IR_CF_ONE_INSN | IR_CF_NO_LINK;
    }
    return key;
}

/* The block to run at Cpu.pc, translated if need be; sets pc_page; may raise the guest's fetch fault. @single: one insn only.
 * While it waits for other vCPUs the cache may be flushed: it returns only if it had not to wait. */
static CodeBlock *find_block(Cpu *cpu, bool single)
{
    uint64_t pc;
    BlockKey key;
    CodeBlock *block;

    if (cpu->translator->tries > MAX_TRIES) {
        begin_alone(cpu);
    }
    pc = cpu->pc;
    key = block_key(cpu, pc, single);
    cpu->stats.lookups++;
    cpu->pc_page = pc & ~4095ull;
    block = code_cache_find(&key);
    if (!block) {
        block = translate(cpu, pc, &key);
    }
    cpu->translator->tries = 0;
    if (cpu->translator->alone) {
        look_again(cpu);
    }
    if (!(key.cflags & IR_CF_NO_LINK)) {
        tlb_insert_jump(cpu, pc, cpu_config.interp ? (const void *)block : block->code);
    }
    return block;
}

/* ---- State at a faulting insn ---- */

void cpu_restore_state(Cpu *cpu)
{
    uint32_t word = 0;

    if (cpu->host_pc) {
        CodeBlock *block = code_cache_block_at(cpu->host_pc);
        const TcgSite *site = code_block_site(block, cpu->host_pc);

        cpu->pc = cpu->pc_page + (int64_t)site->page_offset;
        word = site->word;
        if (block->key.cflags & IR_CF_ICOUNT) {
            cpu->icount_left += block->n_insns - site->insn;
        }
        cpu->host_pc = 0;
    } else if (cpu->interp_at) {
        cpu->pc = cpu->pc_page + cpu->interp_at->imm;
        word = (uint32_t)cpu->interp_at->a | (uint32_t)cpu->interp_at->b << 16;
        cpu->icount_left += cpu->interp_block->key.cflags & IR_CF_ICOUNT ? 1 : 0;
        cpu->interp_at = NULL;
    } else {
        return; /* fetching: the pc is exact */
    }
    if (cpu->ops->address_bits == 32) {
        cpu->pc = (uint32_t)cpu->pc;
    }
    if (cpu->ops->restore) {
        cpu->ops->restore(cpu, word);
    }
}

void cpu_loop_exit(Cpu *cpu)
{
    cpu->host_pc = 0;
    cpu->interp_at = NULL;
    cpu->stats.guest_faults++;
    siglongjmp(cpu->loop, 1);
}

void cpu_halt(Cpu *cpu)
{
    cpu->halted = true;
    cpu_loop_exit(cpu);
}

/* ---- Running ---- */

/* True: stop running guest code for now. */
static bool handle_requests(Cpu *cpu)
{
    if (__atomic_load_n(&cpu->exit_request, __ATOMIC_RELAXED)) {
        __atomic_exchange_n(&cpu->exit_request, 0, __ATOMIC_SEQ_CST);
        access_check_map(cpu);
        /* With -icount the budget may have to end sooner. */
        if (cpu_must_leave(cpu) || cpu_config.icount) {
            return true;
        }
    }
    if (cpu->debug_hold) {
        return true;
    }
    if (cpu->halted) {
        if (!cpu->ops->has_work(cpu)) {
            return true;
        }
        cpu->halted = false;
    }
    if (!cpu->single_step && !cpu->watch_step && cpu->ops->interrupt(cpu)) {
        cpu->stats.interrupts++;
    }
    return false;
}

/* Where a direct exit of @block goes; the site through which it left. */
static const TcgSite *direct_exit(Cpu *cpu, CodeBlock **from)
{
    const TcgSite *site = NULL;
    int64_t offset;

    if (cpu->interp_block) {
        offset = (int64_t)cpu->arg[0];
        *from = NULL;
    } else {
        *from = code_cache_block_at(cpu->host_pc);
        site = code_block_site(*from, cpu->host_pc);
        offset = site->page_offset;
        cpu->host_pc = 0;
    }
    cpu->pc = cpu->pc_page + (uint64_t)offset;
    if (cpu->ops->address_bits == 32) {
        cpu->pc = (uint32_t)cpu->pc;
    }
    return site;
}

/* The pc of a block that refused to start (icount, killed). */
static void refused_entry(Cpu *cpu)
{
    if (!cpu->interp_block) {
        CodeBlock *block = code_cache_block_at(cpu->host_pc);

        cpu->pc = cpu->pc_page + (block->key.phys & 4095);
        cpu->host_pc = 0;
    }
}

static TcgExit enter_block(Cpu *cpu, CodeBlock *block)
{
    TcgExit exit;

    if (log_enabled(LOG_EXEC) && log_in_filter(cpu->pc)) {
        log_printf(LOG_EXEC, "cpu %u: %#" PRIx64 "\n", cpu->index, cpu->pc);
    }
    if (cpu_config.interp) {
        cpu->interp_block = block;
        exit = tcg_interp_run(&cpu_abi, block->ir, cpu, &cpu->interp_at);
        cpu->interp_at = NULL;
        return exit;
    }
    tcg_fp_enter(&cpu->fp);
    exit = enter_code(cpu, block->code);
    tcg_fp_leave(&cpu->fp);
    return exit;
}

/* Before a round of a waiting loop: one that has not been let go for a while yields, as the vCPU that it waits for may need this host CPU. */
static void wait_in_spin(Cpu *cpu, const CodeBlock *block)
{
    enum {
        PATIENCE = 50
    }; /* rounds, a few microseconds: longer than another vCPU that runs holds a lock */

    if (!block->spin || block != cpu->translator->spin) {
        cpu->translator->spin = block->spin ? block : NULL;
        cpu->translator->spin_rounds = 0;
    } else if (++cpu->translator->spin_rounds > PATIENCE) {
        g_thread_yield();
    }
}

/* One block (and all it is linked to). True: leave the loop. */
static bool run_once(Cpu *cpu, CodeBlock **from, const TcgSite **site, bool *single)
{
    CodeBlock *block;
    TcgExit exit;

    if (debug_breakpoint_at(cpu->pc) && !cpu->single_step) {
        debug_stop(cpu);
        return true;
    }
    block = find_block(cpu, *single);
    if (*site && (*site)->word && !(block->key.cflags & IR_CF_NO_LINK) &&
        block->key.cflags == (*from)->key.cflags &&
        (block->key.phys & ~4095ull) == ((*from)->key.phys & ~4095ull) &&
        block->key.mode == (*from)->key.mode) {
        cpu->stats.links++;
        code_cache_link(*from, *site, block);
    }
    *site = NULL;
    *single = false;
    wait_in_spin(cpu, block);
    exit = enter_block(cpu, block);
    cpu->stats.exits[exit]++;
    cpu->stats.jc_misses +=
        exit == TCG_EXIT_INDIRECT && !__atomic_load_n(&cpu->exit_request, __ATOMIC_RELAXED);
    if (cpu->ops->address_bits == 32) {
        cpu->pc = (uint32_t)cpu->pc; /* generated code does not wrap addresses */
    }
    if (exit == TCG_EXIT_DIRECT) {
        *site = direct_exit(cpu, from);
    } else if (exit == TCG_EXIT_ICOUNT || exit == TCG_EXIT_DEAD) {
        refused_entry(cpu);
        if (exit == TCG_EXIT_ICOUNT && cpu->icount_left <= 0) {
            return true;
        }
        *single = exit == TCG_EXIT_ICOUNT;
    }
    cpu->interp_block = NULL;
    return false;
}

/* Runs until something outside is wanted; guest exceptions leave it by siglongjmp to cpu_exec(). */
static void exec_loop(Cpu *cpu)
{
    CodeBlock *from = NULL;
    const TcgSite *site = NULL;
    bool single = false;

    for (;;) {
        uint64_t pc = cpu->pc;

        if (cpu->step_done) {
            debug_stop(cpu);
        }
        if (handle_requests(cpu)) {
            return;
        }
        if (cpu->pc != pc) {
            site = NULL; /* an interrupt: the exit's target is not what runs next */
        }
        cpu->step_done = cpu->single_step || cpu->watch_step;
        if (run_once(cpu, &from, &site, &single)) {
            return;
        }
    }
}

void cpu_exec(Cpu *cpu)
{
    sigsetjmp(cpu->loop, 0);
    if (cpu->fp.live) {
        tcg_fp_leave(&cpu->fp);
    }
    end_alone(cpu);
    cpu->interp_block = NULL;
    exec_loop(cpu);
}
