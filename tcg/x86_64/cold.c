/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What stands behind the block: slow memory accesses, exit stubs, rare branches. Each entry was recorded where the block jumps to it
 * and is emitted in that order, so that the table of sites is sorted by address. Entries change no register that the block relies on.
 */
#include "tcg/x86_64/x86-priv.h"

bool x86_has_room(const TcgCompiler *c)
{
    return c->as.p < c->code + X86_CODE_MAX - X86_OP_ROOM && c->n_cold < X86_MAX_COLD - 8 &&
           c->n_sites < X86_MAX_SITES - 8;
}

X86Cold *x86_cold(TcgCompiler *c, X86ColdKind kind, uint8_t *from)
{
    X86Cold *cold = &c->cold[c->n_cold++];

    cold->kind = (uint8_t)kind;
    cold->from = from;
    cold->from2 = NULL;
    cold->insn = (uint16_t)c->insn_no;
    return cold;
}

void x86_site(TcgCompiler *c, TcgSiteKind kind, int32_t offset, uint32_t word, unsigned insn)
{
    TcgSite *site = &c->sites[c->n_sites++];

    site->host_offset = (uint32_t)(c->as.p - c->code);
    site->page_offset = offset;
    site->word = word;
    site->insn = (uint16_t)insn;
    site->kind = (uint16_t)kind;
}

unsigned x86_align_field(TcgCompiler *c, uint8_t *start, unsigned lead)
{
    unsigned pad = -(unsigned)(start + lead - c->code) & 3;

    if (pad) {
        memmove(start + pad, start, (size_t)(c->as.p - start));
        memset(start, 0x2e, pad); /* cs: ignored by compares and jumps */
        c->as.p += pad;
    }
    return pad;
}

static void jump_back(TcgCompiler *c, const X86Cold *cold)
{
    x86_bind_to(x86_jmp(&c->as), cold->back);
}

/* A call of the thunk that does everything (miss.c), the way back, and for the thunk what to do, as two instructions that
 * are never executed. */
static void emit_slow_access(TcgCompiler *c, const X86Cold *cold)
{
    uint8_t half[2][8];

    if (cold->miss.flags & X86_MISS_AGAIN) {
        x86_emit_other_page(c, cold);
    }
    memcpy(half, &cold->miss, sizeof(half));
    x86_call_fn(&c->as, c->abi, cold->cc ? TCG_THUNK_MISS_X : TCG_THUNK_MISS);
    x86_site(c, TCG_SITE_FAULT, cold->offset, cold->word, cold->insn);
    jump_back(c, cold);
    for (unsigned i = 0; i < 2; i++) {
        x86_put8(&c->as, 0x48); /* movabs rax, imm64 */
        x86_put8(&c->as, 0xb8);
        memcpy(c->as.p, half[i], 8);
        c->as.p += 8;
    }
}

static void emit_exit_stub(TcgCompiler *c, X86Cold *cold)
{
    uint8_t *link = cold->from, *poll = cold->from2;

    if (cold->word == X86_EXIT_CREDIT || cold->word == X86_EXIT_CREDIT_POLL) {
        x86_bind(&c->as, cold->from);
        x86_emit_credit(c, cold->insn);
        if (cold->word == X86_EXIT_CREDIT_POLL) {
            x86_alu_mi(&c->as, 0, X86_G1_CMP, x86_cpu(c->abi->exit_request), 0);
            poll = x86_jcc(&c->as, X86_CC_NE);
        }
        x86_align_field(c, c->as.p, 1);
        link = x86_jmp(&c->as);
    }
    x86_bind(&c->as, link);
    if (poll) {
        x86_bind(&c->as, poll);
    }
    cold->stub = c->as.p;
    if (cold->word == X86_EXIT_STUB) {
        x86_emit_credit(c, cold->insn);
    }
    x86_call_fn(&c->as, c->abi, TCG_THUNK_EXIT_DIRECT);
    x86_site(c, TCG_SITE_EXIT, cold->offset,
             cold->word == X86_EXIT_STUB ? 0 : (uint32_t)(link - c->code), cold->insn);
}

/* .cmp: the compare to repeat; .back: after the block's own conditional jump. */
static void emit_poll(TcgCompiler *c, const X86Cold *cold)
{
    memcpy(c->as.p, cold->cmp, cold->cmp_len);
    c->as.p += cold->cmp_len;
    x86_bind_to(x86_jcc(&c->as, cold->cc), cold->exit->stub);
    jump_back(c, cold);
}

/* rax: dividend, r1: divisor (0, or -1 if signed); .word: IrOp, .memop: IrType. */
static void emit_rare_division(TcgCompiler *c, const X86Cold *cold)
{
    uint32_t w = x86_w((IrType)cold->memop);
    bool quotient = cold->word == IR_DIVS || cold->word == IR_DIVU;
    uint8_t *zero;

    if (cold->word == IR_DIVS || cold->word == IR_REMS) {
        x86_rr(&c->as, X86_TEST | w, cold->r1, cold->r1);
        zero = x86_jcc8(&c->as, X86_CC_E);
        if (quotient) {
            x86_rr(&c->as, X86_G3 | w, X86_G3_NEG, X86_RAX);
        } else {
            x86_zero(c, X86_RDX);
        }
        jump_back(c, cold);
        x86_bind8(&c->as, zero);
    }
    if (quotient) {
        x86_mov_ri(&c->as, X86_RAX, w ? UINT64_MAX : UINT32_MAX);
    } else {
        x86_rr(&c->as, X86_MOV | w, X86_RDX, X86_RAX);
    }
    jump_back(c, cold);
}

static void emit_one(TcgCompiler *c, X86Cold *cold)
{
    switch ((X86ColdKind)cold->kind) {
    case X86_COLD_ACCESS:
        emit_slow_access(c, cold);
        break;
    case X86_COLD_EXIT:
        emit_exit_stub(c, cold);
        break;
    case X86_COLD_LOOKUP:
        x86_emit_credit(c, cold->insn);
        x86_emit_lookup(c, cold->offset);
        break;
    case X86_COLD_POLL:
        emit_poll(c, cold);
        break;
    case X86_COLD_MISS: /* r1: va */
        x86_rm(&c->as, X86_MOV_MR | X86_W, cold->r1, x86_cpu(c->abi->pc));
        x86_jmp_fn(&c->as, c->abi, TCG_THUNK_EXIT_INDIRECT);
        break;
    case X86_COLD_DIV:
        emit_rare_division(c, cold);
        break;
    case X86_COLD_ICOUNT:
        x86_alu_mi(&c->as, X86_W, X86_G1_ADD, x86_cpu(c->abi->icount_left),
                   (int32_t)c->ir->n_guest_insns);
        x86_call_fn(&c->as, c->abi, TCG_THUNK_ICOUNT);
        break;
    case X86_COLD_NAN:
        x86_cold_nan(c, cold);
        break;
    case X86_COLD_GUARD:
        x86_cold_guard(c, cold);
        break;
    case X86_COLD_FP:
        x86_cold_fp(c, cold);
        break;
    }
}

bool x86_emit_cold(TcgCompiler *c)
{
    for (unsigned i = 0; i < c->n_cold; i++) { /* grows: a lookup has a miss of its own */
        X86Cold *cold = &c->cold[i];

        if (!x86_has_room(c)) {
            return false;
        }
        if (cold->kind != X86_COLD_EXIT) {
            x86_bind(&c->as, cold->from);
            if (cold->from2) {
                x86_bind(&c->as, cold->from2);
            }
        }
        emit_one(c, cold);
    }
    return true;
}
