/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host code that is made once: the way into generated code and out of it, calls of C that preserve every register, and patching
 * of exits.
 *
 * Stack: in generated code rsp is 16-byte aligned and nothing below it is used. A thunk that is called therefore
 * starts at 8 modulo 16 and moves rsp by 8 before it calls C.
 */
#include "tcg/x86_64/x86-priv.h"

static const int8_t callee_saved[] = { X86_RBX, X86_RBP, X86_R12, X86_R13, X86_R14, X86_R15 };
static const int8_t temps[] = { X86_RAX, X86_RCX, X86_RDX, X86_RSI, X86_RDI };

typedef struct Thunks {
    const TcgAbi *abi;
    X86Asm as;
    int16_t guest_of[X86_N_ALL_REGS];
    uint32_t pinned;
    uint8_t *exit; /* the common way out: eax = TcgExit */
} Thunks;

static void load(Thunks *t, int reg, uint32_t offset)
{
    x86_rm(&t->as, X86_MOV | X86_W, reg, x86_cpu(offset));
}

static void store(Thunks *t, int reg, uint32_t offset)
{
    x86_rm(&t->as, X86_MOV_MR | X86_W, reg, x86_cpu(offset));
}

static void store_pins(Thunks *t)
{
    x86_move_pins(&t->as, t->abi->target, t->guest_of, t->pinned, X86_MOV_MR);
}

static void load_pins(Thunks *t)
{
    x86_move_pins(&t->as, t->abi->target, t->guest_of, t->pinned, X86_MOV);
}

static void clear_host_pc(Thunks *t)
{
    x86_rm(&t->as, X86_MOV_MI | X86_W, 0, x86_cpu(t->abi->host_pc));
    x86_put32(&t->as, 0);
}

/* TcgExit enter(cpu, code) */
static void make_enter(Thunks *t)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(callee_saved); i++) {
        x86_push(&t->as, callee_saved[i]);
    }
    x86_alu_ri(&t->as, X86_W, X86_G1_SUB, X86_RSP, 8);
    x86_mov_rr(&t->as, X86_CPU, X86_RDI);
    load(t, X86_CTX, t->abi->ctx);
    load_pins(t);
    x86_load_vector_pins(&t->as, t->abi->target, t->guest_of, t->pinned);
    x86_rr(&t->as, X86_G5, X86_G5_JMP, X86_RSI);
}

static void make_exit(Thunks *t)
{
    t->exit = t->as.p;
    store_pins(t);
    x86_alu_ri(&t->as, X86_W, X86_G1_ADD, X86_RSP, 8);
    for (unsigned i = G_N_ELEMENTS(callee_saved); i-- > 0;) {
        x86_pop(&t->as, callee_saved[i]);
    }
    x86_put8(&t->as, 0xc3);
}

/* @called: reached by a call, whose return address says from where. */
static void make_leave(Thunks *t, TcgExit why, bool called)
{
    if (called) {
        x86_rm(&t->as, X86_POP_M, 0, x86_cpu(t->abi->host_pc));
    }
    x86_mov_ri(&t->as, X86_RAX, why);
    x86_bind_to(x86_jmp(&t->as), t->exit);
}

static void make_leave_lookup(Thunks *t)
{
    X86Mem entry = x86_mem_index(X86_CTX, X86_RCX, 3, (int32_t)t->abi->jc_offset);
    uint8_t *poll, *miss;

    load(t, X86_CTX, t->abi->ctx);
    load(t, X86_RAX, t->abi->pc);
    x86_alu_mi(&t->as, 0, X86_G1_CMP, x86_cpu(t->abi->exit_request), 0);
    poll = x86_jcc(&t->as, X86_CC_NE);
    x86_rr(&t->as, X86_MOV, X86_RCX, X86_RAX);
    x86_alu_ri(&t->as, 0, X86_G1_AND, X86_RCX, (int32_t)t->abi->jc_mask);
    x86_rm(&t->as, X86_CMP | X86_W, X86_RAX, entry);
    miss = x86_jcc(&t->as, X86_CC_NE);
    x86_alu_ri(&t->as, X86_W, X86_G1_AND, X86_RAX, -4096);
    store(t, X86_RAX, t->abi->pc_page);
    entry.disp += 8;
    x86_rm(&t->as, X86_G5, X86_G5_JMP, entry);
    x86_bind(&t->as, poll);
    x86_bind(&t->as, miss);
    make_leave(t, TCG_EXIT_INDIRECT, false);
}

/* Saves all that C may change, tells where we are, makes the guest state exact, aligns the stack. rax is free from here on. */
static void begin_call(Thunks *t)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(temps); i++) {
        store(t, temps[i], t->abi->save + 8 * i);
    }
    x86_rm(&t->as, X86_MOV | X86_W, X86_RAX, x86_mem(X86_RSP, 0));
    store(t, X86_RAX, t->abi->host_pc);
    store_pins(t);
    x86_alu_ri(&t->as, X86_W, X86_G1_SUB, X86_RSP, 8);
    x86_mov_rr(&t->as, X86_RDI, X86_CPU);
}

static void end_call(Thunks *t)
{
    x86_alu_ri(&t->as, X86_W, X86_G1_ADD, X86_RSP, 8);
    store(t, X86_RAX, t->abi->arg);
    load(t, X86_CTX, t->abi->ctx);
    load_pins(t);
    clear_host_pc(t);
    for (unsigned i = 0; i < G_N_ELEMENTS(temps); i++) {
        load(t, temps[i], t->abi->save + 8 * i);
    }
    x86_put8(&t->as, 0xc3);
}

/* Saves or loads all vector registers (their low halves; nothing uses more). */
static void move_vectors(Thunks *t, uint32_t op)
{
    for (int i = 0; i < X86_N_ALL_REGS - X86_XMM0; i++) {
        x86_rm(&t->as, op, i, x86_cpu(t->abi->save + 8 * (uint32_t)(X86_XMM0 + i)));
    }
}

/* Every register is saved by its number, for x86_miss() to read and change; vector registers only if @vectors. */
static void make_miss(Thunks *t, bool vectors)
{
    uint32_t saved = X86_TEMPS | (t->pinned & ~X86_PINS_X);

    for (uint32_t m = saved; m; m &= m - 1) {
        store(t, __builtin_ctz(m), t->abi->save + 8 * (uint32_t)__builtin_ctz(m));
    }
    if (vectors) {
        move_vectors(t, X86_MOVSD_MR);
    }
    x86_rm(&t->as, X86_MOV | X86_W, X86_RDX, x86_mem(X86_RSP, 0));
    store(t, X86_RDX, t->abi->host_pc);
    store_pins(t);
    x86_mov_ri(&t->as, X86_RDI, (uintptr_t)t->abi);
    x86_mov_rr(&t->as, X86_RSI, X86_CPU);
    x86_alu_ri(&t->as, X86_W, X86_G1_SUB, X86_RSP, 8);
    x86_mov_ri(&t->as, X86_RAX, (uintptr_t)x86_miss);
    x86_rr(&t->as, X86_G5, X86_G5_CALL, X86_RAX);
    x86_alu_ri(&t->as, X86_W, X86_G1_ADD, X86_RSP, 8);
    load(t, X86_CTX, t->abi->ctx);
    clear_host_pc(t);
    for (uint32_t m = saved; m; m &= m - 1) {
        load(t, __builtin_ctz(m), t->abi->save + 8 * (uint32_t)__builtin_ctz(m));
    }
    if (vectors) {
        move_vectors(t, X86_MOVSD);
    } else {
        x86_load_vector_pins(&t->as, t->abi->target, t->guest_of, t->pinned);
    }
    x86_put8(&t->as, 0xc3);
}

/* Arguments, then the constant, in arg[0] to arg[3]; the helper's number in the upper half of arg[3]. @fp: it computes with
 * floating point, and vector registers are kept. */
static void make_call_state(Thunks *t, bool fp)
{
    static const int8_t regs[] = { X86_RSI, X86_RDX, X86_RCX };

    begin_call(t);
    if (fp) {
        move_vectors(t, X86_MOVSD_MR);
        x86_fp_host(&t->as, t->abi);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(regs); i++) {
        load(t, regs[i], t->abi->arg + 8 * i);
    }
    x86_rm(&t->as, X86_MOV, X86_R8, x86_cpu(t->abi->arg + 24));
    x86_rm(&t->as, X86_MOV, X86_RAX, x86_cpu(t->abi->arg + 28));
    load(t, X86_R9, t->abi->helper_table);
    x86_rm(&t->as, X86_G5, X86_G5_CALL, x86_mem_index(X86_R9, X86_RAX, 3, 0));
    if (fp) {
        x86_fp_guest(&t->as, t->abi);
        move_vectors(t, X86_MOVSD);
    } else {
        x86_load_vector_pins(&t->as, t->abi->target, t->guest_of, t->pinned);
    }
    end_call(t);
}

static void make_thunk(Thunks *t, TcgFn fn)
{
    switch (fn) {
    case TCG_THUNK_MISS:
        make_miss(t, false);
        break;
    case TCG_THUNK_MISS_X:
        make_miss(t, true);
        break;
    case TCG_THUNK_CALL_STATE:
        make_call_state(t, false);
        break;
    case TCG_THUNK_CALL_FP:
        make_call_state(t, true);
        break;
    case TCG_THUNK_EXIT_DIRECT:
        make_leave(t, TCG_EXIT_DIRECT, true);
        break;
    case TCG_THUNK_EXIT_INDIRECT:
        make_leave(t, TCG_EXIT_INDIRECT, false);
        break;
    case TCG_THUNK_LEAVE:
        make_leave(t, TCG_EXIT_LEAVE, false);
        break;
    case TCG_THUNK_LEAVE_LOOKUP:
        make_leave_lookup(t);
        break;
    case TCG_THUNK_ICOUNT:
        make_leave(t, TCG_EXIT_ICOUNT, true);
        break;
    case TCG_THUNK_DEAD:
        make_leave(t, TCG_EXIT_DEAD, true);
        break;
    default:
        break;
    }
}

size_t tcg_backend_make_thunks(const TcgAbi *abi, uint8_t *rw, uint8_t *rx, size_t size,
                               void *fns[TCG_N_FNS], TcgEnterFn **enter)
{
    Thunks t = { .abi = abi, .as.p = rw };

    g_assert(size >= 4096);
    t.pinned = x86_choose_pins(abi->target, t.guest_of);
    *enter = (TcgEnterFn *)rx;
    make_enter(&t);
    make_exit(&t);
    for (TcgFn fn = TCG_THUNK_MISS; fn < TCG_N_FNS; fn++) {
        while ((uintptr_t)t.as.p & 15) {
            x86_put8(&t.as, 0xcc);
        }
        fns[fn] = rx + (t.as.p - rw);
        make_thunk(&t, fn);
    }
    g_assert((size_t)(t.as.p - rw) <= size);
    return (size_t)(t.as.p - rw);
}

/* ---- Patching ---- */

static void set_rel32(uint8_t *rw, const uint8_t *rx, uint32_t field, const uint8_t *target)
{
    uint32_t rel = (uint32_t)(target - (rx + field + 4));

    __atomic_store_n((uint32_t *)(void *)(rw + field), rel, __ATOMIC_RELEASE);
}

void tcg_backend_link_exit(uint8_t *rw, const uint8_t *rx, const TcgSite *site,
                           const uint8_t *target)
{
    if (site->word) {
        set_rel32(rw, rx, site->word, target);
    }
}

void tcg_backend_unlink_exit(uint8_t *rw, const uint8_t *rx, const TcgSite *site)
{
    if (site->word) {
        set_rel32(rw, rx, site->word, rx + site->host_offset - 6);
    }
}

void tcg_backend_kill_entry(const TcgAbi *abi, uint8_t *rw)
{
    uint8_t bytes[16];
    X86Asm as = { bytes };
    uint64_t word;

    x86_call_fn(&as, abi, TCG_THUNK_DEAD);
    x86_put8(&as, 0x66);
    x86_put8(&as, 0x90);
    memcpy(&word, bytes, 8);
    __atomic_store_n((uint64_t *)(void *)rw, word, __ATOMIC_RELEASE);
}

void tcg_backend_revive_entry(uint8_t *rw)
{
    uint64_t word;

    memcpy(&word, x86_head, 8);
    __atomic_store_n((uint64_t *)(void *)rw, word, __ATOMIC_RELEASE);
}
