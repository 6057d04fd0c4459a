/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vCPUs as threads: registration, start and stop, sleeping and waking, and sections in which no vCPU executes guest code.
 *
 * A vCPU is `running` between cpu_exec_begin() and cpu_exec_end(). Whoever needs all of them outside (main thread: pause; a vCPU: code cache
 * flush) becomes the holder; the others leave at their next poll and wait in cpu_exec_begin(). The main thread's holds nest.
 *
 * Waking: a sleeper sets `sleeping` and then looks at exit_request; a waker sets exit_request and then looks at `sleeping`.
 */
#include "softmmu/cpu.h"
#include <inttypes.h>
#include <string.h>
#include "softmmu/clock.h"
#include "softmmu/code-cache-priv.h"
#include "softmmu/exec-priv.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"
#include "softmmu/perfmap.h"
#include "softmmu/tlb-priv.h"

typedef struct CpuThread {
    GThread *thread;
    GCond wake;
    bool running;  /* may be in guest code; under the lock */
    bool sleeping; /* atomic */
} CpuThread;

enum { DEFAULT_CODE_CACHE = 128 << 20 };

G_DEFINE_TYPE(Cpu, cpu, G_TYPE_OBJECT)

GPtrArray *cpus;
CpuConfig cpu_config;
const TargetOps *cpu_target;
TcgAbi cpu_abi;

static GMutex lock;
static GCond all_out, resume;
static bool held;       /* atomic: somebody holds the vCPUs outside */
static bool quit;       /* atomic */
static unsigned pauses; /* the main thread's nested holds */
static void **helper_table;

static void cpu_finalize(GObject *object)
{
    Cpu *cpu = (Cpu *)object;

    if (cpu->thread) {
        exec_free_cpu(cpu);
        tlb_free_cpu(cpu);
        g_cond_clear(&cpu->thread->wake);
        g_free(cpu->thread);
        g_free(cpu->helper_calls);
    }
    G_OBJECT_CLASS(cpu_parent_class)->finalize(object);
}

static void cpu_class_init(CpuClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = cpu_finalize;
}

static void cpu_init(Cpu *cpu)
{
    tcg_fp_init(&cpu->fp);
}

/* Whether helper calls are counted. */
static bool is_profiled(void)
{
    return cpu_config.profile && cpu_target->counted_helpers;
}

static void fill_abi(const TargetOps *target)
{
    cpu_abi = (TcgAbi){
        .target = &target->ir,
        .exit_request = offsetof(Cpu, exit_request),
        .pc = offsetof(Cpu, pc),
        .pc_page = offsetof(Cpu, pc_page),
        .ctx = offsetof(Cpu, ctx),
        .host_pc = offsetof(Cpu, host_pc),
        .icount_left = offsetof(Cpu, icount_left),
        .arg = offsetof(Cpu, arg),
        .spill = offsetof(Cpu, spill),
        .save = offsetof(Cpu, save),
        .fp = offsetof(Cpu, fp),
        .fn_table = offsetof(Cpu, fn_table),
        .helper_table = offsetof(Cpu, helper_table),
        .jc_offset = offsetof(TlbContext, jc),
        .jc_mask = (JC_SIZE - 1) << 1,
        .tlb_read = offsetof(TlbContext, read),
        .tlb_write = offsetof(TlbContext, write),
        .tlb_mask = TLB_SIZE - 1,
    };
    helper_table = g_new0(void *, target->ir.n_helpers);
    for (unsigned i = 0; i < target->ir.n_helpers; i++) {
        helper_table[i] =
            is_profiled() ? (void *)target->counted_helpers[i] : (void *)target->ir.helpers[i].fn;
    }
}

/* The vCPUs drop their TLBs when they see the request; the one that made the change does so before its next access. */
static void memory_map_changed(void)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        cpu_kick(g_ptr_array_index(cpus, i));
    }
    if (memory_views_are_many()) {
        vm_request_trim();
    }
}

bool cpu_core_init(const TargetOps *target, const CpuConfig *config, GError **error)
{
    cpu_target = target;
    cpu_config = *config;
    cpu_config.no_link |= config->no_tlb;
    cpus = g_ptr_array_new_with_free_func(g_object_unref);
    if (config->perfmap && !perfmap_open(error)) {
        return false;
    }
    fill_abi(target);
    memory_set_listener(memory_map_changed);
    if (!code_cache_init(config->interp ? NULL : &cpu_abi,
                         config->code_cache_size ? config->code_cache_size : DEFAULT_CODE_CACHE,
                         error)) {
        return false;
    }
    if (config->icount) {
        icount_init();
    }
    return true;
}

void cpu_register(Cpu *cpu)
{
    g_assert(cpu->index == cpus->len);
    cpu->helper_table = helper_table;
    cpu->helper_calls = is_profiled() ? g_new0(uint64_t, cpu_target->ir.n_helpers) : NULL;
    cpu->thread = g_new0(CpuThread, 1);
    g_cond_init(&cpu->thread->wake);
    tlb_init_cpu(cpu);
    exec_init_cpu(cpu);
    g_ptr_array_add(cpus, cpu);
}

static Cpu *cpu_at(unsigned index)
{
    return g_ptr_array_index(cpus, index);
}

/* With -icount one thread runs all vCPUs. */
static CpuThread *thread_of(const Cpu *cpu)
{
    return cpu_config.icount ? cpu_at(0)->thread : cpu->thread;
}

/* ---- Sections ---- */

bool cpu_must_leave(Cpu *cpu)
{
    (void)cpu;
    return __atomic_load_n(&held, __ATOMIC_SEQ_CST) || __atomic_load_n(&quit, __ATOMIC_SEQ_CST);
}

void cpu_exec_begin(Cpu *cpu)
{
    g_mutex_lock(&lock);
    while (held && !quit) {
        g_cond_wait(&resume, &lock);
    }
    thread_of(cpu)->running = true;
    g_mutex_unlock(&lock);
}

void cpu_exec_end(Cpu *cpu)
{
    g_mutex_lock(&lock);
    thread_of(cpu)->running = false;
    if (held) {
        g_cond_broadcast(&all_out);
    }
    g_mutex_unlock(&lock);
}

static bool any_running(void)
{
    bool running = false;

    for (unsigned i = 0; i < cpus->len; i++) {
        if (cpu_at(i)->thread->running) {
            __atomic_store_n(&cpu_at(i)->exit_request, 1, __ATOMIC_SEQ_CST);
            running = true;
        }
    }
    if (running && cpu_config.icount) {
        for (unsigned i = 0; i < cpus->len; i++) {
            __atomic_store_n(&cpu_at(i)->exit_request, 1, __ATOMIC_SEQ_CST);
        }
    }
    return running;
}

void cpu_exclusive_begin(Cpu *self)
{
    g_mutex_lock(&lock);
    if (self) {
        thread_of(self)->running = false;
        g_cond_broadcast(&all_out);
    }
    while (held && !(self && quit)) {
        g_cond_wait(&resume, &lock);
    }
    if (self && quit) {
        /* Whoever holds the vCPUs will never let go. */
        thread_of(self)->running = true;
        g_mutex_unlock(&lock);
        cpu_loop_exit(self);
    }
    __atomic_store_n(&held, true, __ATOMIC_SEQ_CST);
    while (any_running()) {
        g_cond_wait(&all_out, &lock);
    }
    g_mutex_unlock(&lock);
}

void cpu_exclusive_end(Cpu *self)
{
    g_mutex_lock(&lock);
    __atomic_store_n(&held, false, __ATOMIC_SEQ_CST);
    if (self) {
        thread_of(self)->running = true;
    }
    g_cond_broadcast(&resume);
    g_mutex_unlock(&lock);
}

void cpu_pause_all(void)
{
    bool locked = machine_lock_held();

    if (pauses++) {
        return;
    }
    if (locked) {
        machine_unlock(); /* a vCPU may be waiting for it inside a device access */
    }
    cpu_exclusive_begin(NULL);
    if (locked) {
        machine_lock();
    }
}

void cpu_resume_all(void)
{
    g_assert(pauses);
    if (--pauses) {
        return;
    }
    for (unsigned i = 0; i < cpus->len; i++) {
        cpu_at(i)->debug_hold = false;
    }
    cpu_exclusive_end(NULL);
    for (unsigned i = 0; i < cpus->len; i++) {
        cpu_kick(cpu_at(i));
    }
}

void cpu_run_on(Cpu *cpu, void (*f)(Cpu *, void *), void *opaque)
{
    cpu_pause_all();
    f(cpu, opaque);
    cpu_resume_all();
}

void cpu_reset_all(void)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        Cpu *cpu = cpu_at(i);

        cpu->halted = cpu->count_insns = false;
        cpu->single_step = cpu->step_done = cpu->watch_step = false;
        cpu->ops->reset(cpu);
        cpu_tlb_flush_all(cpu);
    }
}

/* ---- Sleeping and waking ---- */

void cpu_kick(Cpu *cpu)
{
    CpuThread *t = thread_of(cpu);

    if (!t) {
        return; /* not registered yet */
    }
    __atomic_store_n(&cpu->exit_request, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&t->sleeping, __ATOMIC_SEQ_CST)) {
        g_mutex_lock(&lock);
        g_cond_signal(&t->wake);
        g_mutex_unlock(&lock);
    }
}

static bool can_run(Cpu *cpu)
{
    return !cpu->debug_hold && (!cpu->halted || cpu->ops->has_work(cpu));
}

static bool any_request(void)
{
    for (unsigned i = 0; i < cpus->len; i++) {
        if (__atomic_load_n(&cpu_at(i)->exit_request, __ATOMIC_SEQ_CST) && !cpu_at(i)->debug_hold) {
            return true;
        }
    }
    return false;
}

/* Waits until @cpu (with -icount: any) may have something to do. */
static void thread_sleep(Cpu *cpu)
{
    CpuThread *t = thread_of(cpu);

    cpu->stats.halts++;
    g_mutex_lock(&lock);
    __atomic_store_n(&t->sleeping, true, __ATOMIC_SEQ_CST);
    while (!quit && !(cpu_config.icount ? any_request()
                                        : __atomic_load_n(&cpu->exit_request, __ATOMIC_SEQ_CST) &&
                                              !cpu->debug_hold)) {
        g_cond_wait(&t->wake, &lock);
    }
    __atomic_store_n(&t->sleeping, false, __ATOMIC_SEQ_CST);
    g_mutex_unlock(&lock);
}

static void run_for_a_while(Cpu *cpu)
{
    cpu_exec_begin(cpu);
    if (!__atomic_load_n(&quit, __ATOMIC_SEQ_CST)) {
        cpu_exec(cpu);
    }
    cpu_exec_end(cpu);
}

static gpointer cpu_thread(gpointer data)
{
    Cpu *cpu = data;

    while (!__atomic_load_n(&quit, __ATOMIC_SEQ_CST)) {
        run_for_a_while(cpu);
        if (!can_run(cpu)) {
            thread_sleep(cpu);
        }
    }
    return NULL;
}

/*
 * -icount: one vCPU's turn, so many instructions or until it waits. When somebody outside interrupts it, it goes on with what it has left: the
 * next one's turn must not begin where the host's time says.
 */
static void take_turn(Cpu *cpu)
{
    int64_t left = ICOUNT_TURN;

    while (left > 0 && can_run(cpu) && !__atomic_load_n(&quit, __ATOMIC_SEQ_CST)) {
        cpu_exec_begin(cpu);
        icount_begin(cpu, left);
        if (!__atomic_load_n(&quit, __ATOMIC_SEQ_CST)) {
            cpu_exec(cpu);
        }
        left -= icount_end(cpu);
        cpu_exec_end(cpu);
    }
}

/* -icount: the vCPUs in turn; the clock jumps to the next timer when none can run. */
static gpointer icount_thread(gpointer data)
{
    (void)data;
    while (!__atomic_load_n(&quit, __ATOMIC_SEQ_CST)) {
        bool ran = false;

        for (unsigned i = 0; i < cpus->len; i++) {
            Cpu *cpu = cpu_at(i);

            if (can_run(cpu)) {
                take_turn(cpu);
                ran = true;
            }
        }
        if (!ran) {
            cpu_exec_begin(cpu_at(0));
            ran = icount_warp();
            cpu_exec_end(cpu_at(0));
        }
        if (!ran) {
            for (unsigned i = 0; i < cpus->len; i++) {
                __atomic_store_n(&cpu_at(i)->exit_request, 0, __ATOMIC_SEQ_CST);
            }
            thread_sleep(cpu_at(0));
        }
    }
    return NULL;
}

void cpu_start_threads(void)
{
    pauses = 1;
    held = true;
    if (cpu_config.icount) {
        cpu_at(0)->thread->thread = g_thread_new("vcpu", icount_thread, NULL);
        return;
    }
    for (unsigned i = 0; i < cpus->len; i++) {
        g_autofree char *name = g_strdup_printf("vcpu%u", i);

        cpu_at(i)->thread->thread = g_thread_new(name, cpu_thread, cpu_at(i));
    }
}

void cpu_stop_threads(void)
{
    g_mutex_lock(&lock);
    __atomic_store_n(&quit, true, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < cpus->len; i++) {
        __atomic_store_n(&cpu_at(i)->exit_request, 1, __ATOMIC_SEQ_CST);
        g_cond_signal(&cpu_at(i)->thread->wake);
    }
    g_cond_broadcast(&resume);
    g_mutex_unlock(&lock);
    for (unsigned i = 0; i < cpus->len; i++) {
        g_clear_pointer(&cpu_at(i)->thread->thread, g_thread_join);
    }
}

/* ---- Texts ---- */

static void add_stats(CpuStats *sum, const CpuStats *s)
{
    const uint64_t *from = (const uint64_t *)s;
    uint64_t *to = (uint64_t *)sum;

    for (unsigned i = 0; i < sizeof(CpuStats) / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
}

static uint64_t count_helper(unsigned helper)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < cpus->len; i++) {
        n += cpu_at(i)->helper_calls[helper];
    }
    return n;
}

/* The most frequent ones, with profile=on. */
static void print_helper_calls(GString *out)
{
    enum { MAX_SHOWN = 10 };
    unsigned n = cpu_target->ir.n_helpers;
    g_autofree uint64_t *calls = g_new(uint64_t, n);
    uint64_t sum = 0;

    for (unsigned i = 0; i < n; i++) {
        calls[i] = count_helper(i);
        sum += calls[i];
    }
    g_string_append_printf(out, "helper calls        %" PRIu64 "\n", sum);
    for (unsigned shown = 0; shown < MAX_SHOWN; shown++) {
        unsigned best = 0;

        for (unsigned i = 1; i < n; i++) {
            best = calls[i] > calls[best] ? i : best;
        }
        if (!calls[best]) {
            return;
        }
        g_string_append_printf(out, "  %-24s %12" PRIu64 " %5.1f %%\n",
                               cpu_target->ir.helpers[best].name, calls[best],
                               100.0 * (double)calls[best] / (double)sum);
        calls[best] = 0;
    }
}

void cpu_jit_info(GString *out)
{
    CpuStats s = { 0 };

    for (unsigned i = 0; i < cpus->len; i++) {
        add_stats(&s, &cpu_at(i)->stats);
    }
    g_string_append_printf(out, "accelerator         %s\n", cpu_config.interp ? "interp" : "jit");
    if (!cpu_config.interp) {
        g_string_append_printf(out, "host features       %s\n", tcg_backend_features());
    }
    code_cache_print(out);
    g_string_append_printf(out,
                           "translations        %" PRIu64 " blocks, %" PRIu64
                           " guest insns, %" PRIu64 " host bytes\n",
                           s.translations, s.translated_insns, s.translated_bytes);
    if (s.timed_insns) {
        g_string_append_printf(out, "                    %.1f bytes and %.0f ns a guest insn\n",
                               (double)s.translated_bytes / (double)s.translated_insns,
                               (double)s.timed_us * 1000 / (double)s.timed_insns);
    }
    g_string_append_printf(out,
                           "block lookups       %" PRIu64 ", for jump cache misses %" PRIu64
                           ", links made %" PRIu64 ", revived %" PRIu64 "\n"
                           "exits               direct %" PRIu64 ", indirect %" PRIu64
                           ", leave %" PRIu64 ", icount %" PRIu64 ", dead %" PRIu64 "\n",
                           s.lookups, s.jc_misses, s.links, s.revived, s.exits[0], s.exits[1],
                           s.exits[2], s.exits[3], s.exits[4]);
    g_string_append_printf(out,
                           "TLB                 %" PRIu64 " fills, %" PRIu64
                           " slow accesses, %" PRIu64 " device accesses\n"
                           "flushes             %" PRIu64 " pages, %" PRIu64 " contexts\n"
                           "contexts            %" PRIu64 " switches, %" PRIu64 " recycled\n",
                           s.tlb_fills, s.slow_accesses, s.io_accesses, s.flush_pages,
                           s.flush_contexts, s.context_switches, s.context_recycles);
    g_string_append_printf(
        out, "loop exits          %" PRIu64 ", interrupts %" PRIu64 ", sleeps %" PRIu64 "\n",
        s.guest_faults, s.interrupts, s.halts);
    if (is_profiled() && cpus->len) {
        print_helper_calls(out);
    }
}
