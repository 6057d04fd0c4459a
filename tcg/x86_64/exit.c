/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The head of a block and the ways out of it.
 *
 * Guest registers are where the next block wants them at every exit, so an exit is only a jump. A direct exit within the page is a rel32
 * that first leads to a stub behind the block and is patched once the target is known; one to another page, and every indirect
 * one, looks the target up in the context's jump cache. Backward direct exits and all lookups first test Cpu.exit_request.
 */
#include "tcg/x86_64/x86-priv.h"

enum { MAX_COMPARE = 16 }; /* bytes of a compare and its padding */

void x86_emit_credit(TcgCompiler *c, unsigned done)
{
    if (c->ir->cflags & IR_CF_ICOUNT && done < c->ir->n_guest_insns) {
        x86_alu_mi(&c->as, X86_W, X86_G1_ADD, x86_cpu(c->abi->icount_left),
                   (int32_t)(c->ir->n_guest_insns - done));
    }
}

const uint8_t x86_head[8] = { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 };

void x86_emit_head(TcgCompiler *c)
{
    memcpy(c->as.p, x86_head, sizeof(x86_head));
    c->as.p += sizeof(x86_head);
    if (c->ir->cflags & IR_CF_ICOUNT) {
        x86_alu_mi(&c->as, X86_W, X86_G1_SUB, x86_cpu(c->abi->icount_left),
                   (int32_t)c->ir->n_guest_insns);
        x86_cold(c, X86_COLD_ICOUNT, x86_jcc(&c->as, X86_CC_S));
    }
}

/* Jumps if someone wants this vCPU; the rel32 of the jump. */
static uint8_t *emit_poll(TcgCompiler *c)
{
    x86_alu_mi(&c->as, 0, X86_G1_CMP, x86_cpu(c->abi->exit_request), 0);
    return x86_jcc(&c->as, X86_CC_NE);
}

static bool is_linkable(const TcgCompiler *c, int32_t offset)
{
    /* An insn at 0xffe may cross into a page that is mapped elsewhere next time. */
    return !(c->ir->cflags & IR_CF_NO_LINK) && offset >= 0 && offset < 4096 && offset != 0xffe;
}

static bool has_credit(const TcgCompiler *c)
{
    return c->ir->cflags & IR_CF_ICOUNT && c->insn_no + 1 < c->ir->n_guest_insns;
}

static X86Cold *cold_exit(TcgCompiler *c, uint8_t *from, X86ExitKind how, int32_t offset)
{
    X86Cold *cold = x86_cold(c, X86_COLD_EXIT, from);

    cold->offset = offset;
    cold->word = how;
    cold->insn = (uint16_t)(c->insn_no + 1);
    return cold;
}

/* ---- Conditional exits ---- */

/* The compare of the exit, at *start; the condition code under which it leaves. */
static unsigned emit_condition(TcgCompiler *c, const IrInsn *in, uint8_t **start)
{
    const IrInsn *set = &c->insns[in->a];
    IrCond cond = (IrCond)(in->imm >> 32);

    if (c->vals[in->a].flags & X86_VAL_FUSED) {
        return x86_compare(c, (IrCond)set->imm, set->a, set->b, start) ^ (cond == IR_EQ);
    }
    return x86_compare(c, cond, in->a, in->b, start);
}

/* A backward exit: polls before the compare, and repeats the compare behind the block if the poll says so. */
static void emit_polled(TcgCompiler *c, uint8_t *start, unsigned cc, int32_t offset)
{
    uint8_t compare[MAX_COMPARE];
    unsigned len = (unsigned)(c->as.p - start);
    uint8_t *poll, *jump;
    X86Cold *exit, *cold;

    memcpy(compare, start, len);
    c->as.p = start;
    poll = emit_poll(c);
    start = c->as.p;
    memcpy(start, compare, len);
    c->as.p += len;
    start += x86_align_field(c, start, len + 2);
    jump = x86_jcc(&c->as, cc);
    exit = cold_exit(c, jump, X86_EXIT_LINK, offset);
    cold = x86_cold(c, X86_COLD_POLL, poll);
    cold->exit = exit;
    cold->cc = (uint8_t)cc;
    cold->cmp_len = (uint8_t)len;
    cold->cmp = start;
    cold->back = c->as.p;
}

void x86_emit_exitcc(TcgCompiler *c, const IrInsn *in)
{
    int32_t offset = (int32_t)in->imm;
    bool backward = offset <= c->insn_offset;
    uint8_t *start;
    unsigned cc = emit_condition(c, in, &start);

    if (c->ir->cflags & IR_CF_NO_LINK) {
        cold_exit(c, x86_jcc(&c->as, cc), X86_EXIT_STUB, offset);
    } else if (!is_linkable(c, offset)) {
        X86Cold *cold = x86_cold(c, X86_COLD_LOOKUP, x86_jcc(&c->as, cc));

        cold->offset = offset;
        cold->insn = (uint16_t)(c->insn_no + 1);
    } else if (has_credit(c)) {
        cold_exit(c, x86_jcc(&c->as, cc), backward ? X86_EXIT_CREDIT_POLL : X86_EXIT_CREDIT,
                  offset);
    } else if (backward) {
        emit_polled(c, start, cc, offset);
    } else {
        x86_align_field(c, start, (unsigned)(c->as.p - start) + 2);
        cold_exit(c, x86_jcc(&c->as, cc), X86_EXIT_LINK, offset);
    }
}

/* ---- Unconditional ones: the block ends, so temporaries are free ---- */

/* To the virtual address in @va by the jump cache; @t and @page are scratch, @page may be @va. */
static void emit_lookup(TcgCompiler *c, int va, int t, int page)
{
    uint8_t *poll = emit_poll(c), *miss;
    X86Mem entry = x86_mem_index(X86_CTX, t, 3, (int32_t)c->abi->jc_offset);
    X86Cold *cold;

    x86_rr(&c->as, X86_MOV, t, va);
    x86_alu_ri(&c->as, 0, X86_G1_AND, t, (int32_t)c->abi->jc_mask);
    x86_rm(&c->as, X86_CMP | X86_W, va, entry);
    miss = x86_jcc(&c->as, X86_CC_NE);
    x86_mov_rr(&c->as, page, va);
    x86_alu_ri(&c->as, X86_W, X86_G1_AND, page, -4096);
    x86_rm(&c->as, X86_MOV_MR | X86_W, page, x86_cpu(c->abi->pc_page));
    entry.disp += 8;
    x86_rm(&c->as, X86_G5, X86_G5_JMP, entry);
    cold = x86_cold(c, X86_COLD_MISS, miss);
    cold->from2 = poll;
    cold->r1 = (int8_t)va;
}

void x86_emit_lookup(TcgCompiler *c, int32_t offset)
{
    x86_rm(&c->as, X86_MOV | X86_W, X86_RAX, x86_cpu(c->abi->pc_page));
    if (offset) {
        x86_alu_ri(&c->as, X86_W, X86_G1_ADD, X86_RAX, offset);
    }
    emit_lookup(c, X86_RAX, X86_RCX, X86_RAX);
}

void x86_emit_exit(TcgCompiler *c, const IrInsn *in)
{
    int32_t offset = (int32_t)in->imm;

    x86_emit_credit(c, c->insn_no + 1);
    if (c->ir->cflags & IR_CF_NO_LINK) {
        x86_call_fn(&c->as, c->abi, TCG_THUNK_EXIT_DIRECT);
        x86_site(c, TCG_SITE_EXIT, offset, 0, c->insn_no + 1);
    } else if (!is_linkable(c, offset)) {
        x86_emit_lookup(c, offset);
    } else {
        uint8_t *poll = offset <= c->insn_offset ? emit_poll(c) : NULL;

        x86_align_field(c, c->as.p, 1);
        cold_exit(c, x86_jmp(&c->as), X86_EXIT_LINK, offset)->from2 = poll;
    }
}

void x86_emit_exitind(TcgCompiler *c, const IrInsn *in)
{
    int va = x86_use(c, in->a);

    x86_emit_credit(c, c->insn_no + 1);
    if (c->ir->cflags & IR_CF_NO_LINK) {
        x86_rm(&c->as, X86_MOV_MR | X86_W, va, x86_cpu(c->abi->pc));
        x86_jmp_fn(&c->as, c->abi, TCG_THUNK_EXIT_INDIRECT);
    } else {
        emit_lookup(c, va, va == X86_RCX ? X86_RDX : X86_RCX, x86_is_pin(va) ? X86_RAX : va);
    }
}

void x86_emit_leave(TcgCompiler *c, const IrInsn *in)
{
    bool to_loop = in->imm & 1 || c->ir->cflags & IR_CF_NO_LINK;

    x86_emit_credit(c, c->insn_no + 1);
    x86_jmp_fn(&c->as, c->abi, to_loop ? TCG_THUNK_LEAVE : TCG_THUNK_LEAVE_LOOKUP);
}
