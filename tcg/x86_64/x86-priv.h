/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The x86-64 back end's own: the compiler object, where values are, and what its files give each other.
 *
 * Host registers: rbp = Cpu, r15 = current context (Cpu.ctx), rsp = stack; rax rcx rdx rsi rdi are temporaries; the other eight hold
 * pinned guest registers in all code of a target. Unpinned guest registers are stored to the Cpu at each setreg.
 *
 * compile.c drives: live.c (one backward pass: last uses, fusing, where results should go), then one forward pass that emits each operation
 * (emit.c, bits.c, mem.c, exit.c) with registers from alloc.c. Everything rare is put behind the block by cold.c.
 *
 * A value has at any time a host register, a home in memory (guest register slot or spill slot), both, or is a constant that can
 * be made anew. Values that share a register (a guest register read twice, a truncation) are chained; the register is
 * free when the last of them dies.
 */
#ifndef TCG_X86_64_X86_PRIV_H
#define TCG_X86_64_X86_PRIV_H

#include "tcg/abi.h"
#include "tcg/ir.h"
#include "tcg/x86_64/enc.h"
#include "tcg/x86_64/features.h"

enum {
    X86_CPU = X86_RBP,
    X86_CTX = X86_R15,
    X86_TEMPS = 1 << X86_RAX | 1 << X86_RCX | 1 << X86_RDX | 1 << X86_RSI | 1 << X86_RDI,
    X86_XMM0 = 16, /* vector registers are numbered from here on; the encoder wants x86_xmm() */
    X86_N_ALL_REGS = 32,
    X86_N_PINS = 8,
    X86_CODE_MAX = 64 << 10, /* bytes of a block */
    X86_OP_ROOM = 512,       /* no operation, and no cold part of one, is longer */
    X86_MAX_SITES = 1024,
    X86_MAX_COLD = 1024,
    X86_MAX_REGS = 1024,
};

/* Vector registers: xmm0 to xmm5 are temporaries, the others hold pinned guest registers, whose slots in memory are current too. */
#define X86_TEMPS_X 0x003f0000u
#define X86_PINS_X  0xffc00000u

/* The host registers for pinned guest registers, the best ranked first; those that C preserves before those that it does not. */
extern const int8_t x86_pin_regs[X86_N_PINS];

/* X86Val.flags */
enum {
    X86_VAL_FUSED = 1,  /* emits nothing: its only user does the work */
    X86_VAL_MORE = 4,   /* a load or store: another one through the same base follows */
    X86_VAL_LOADED = 8, /* a base: see live.c */
    X86_VAL_STORED = 16,
    X86_VAL_ZEXT = 2,     /* the upper half of its register is zero */
    X86_VAL_X = 32,       /* wanted in a vector register */
    X86_VAL_DROPPED = 64, /* a setreg that nothing can see */
    X86_VAL_BOXED = 64, /* a value (no setreg): a single-precision value: its upper half is ones */
};

typedef struct X86Val {
    uint16_t home;   /* offset from the Cpu of a copy in memory; 0: none */
    uint16_t last;   /* index of its last use; 0: none */
    IrVal reg_next;  /* chain of the values in one host register */
    IrVal slot_next; /* chain of the values whose home is one guest register's slot */
    int16_t low;     /* of a base: lowest displacement of its accesses from here on */
    int16_t
        reference; /* of a load or store with X86_VAL_MORE: displacement to keep the translation of */
    int8_t reg;    /* host register (from X86_XMM0 on: a vector register) or X86_NO_REG */
    int8_t hint;   /* pinned host register that it will be set to */
    int8_t spill; /* spill slot that is its home, or -1 */
    uint8_t flags;
} X86Val;

G_STATIC_ASSERT(sizeof(X86Val) ==
                16); /* there are many, and all are written and read twice a block */

/* What a memory access that missed needs to be done by x86_miss(); part of the code. */
enum {
    X86_MISS_STORE = 1,
    X86_MISS_I32 = 2,      /* a load's result is zero-extended from 32 bits */
    X86_MISS_IMM = 4,      /* a store of .imm instead of a register */
    X86_MISS_INDEX = 8,    /* va = base + (index << scale) + disp, else base + disp */
    X86_MISS_KEEP = 16,    /* offset and addend are used by a later access */
    X86_MISS_AGAIN = 32,   /* the page was that of another access */
    X86_MISS_SCRATCH = 64, /* and .scratch must be va - tag at the access */
    X86_MISS_X = 128,      /* the value or result is in a vector register */
    X86_MISS_SCALE_SHIFT = 5,
};

/* Registers are numbers of 4 bits, two in a byte, the low half first. */
typedef struct X86Miss {
    uint8_t memop_scale, flags;
    uint8_t offset_addend; /* offset: va - tag - delta */
    uint8_t data_base;     /* data: of the value or result */
    int32_t disp, imm;
    int16_t delta;
    uint8_t scratch_index;
    uint8_t access_len; /* bytes from the access to where the block goes on */
} X86Miss;

G_STATIC_ASSERT(sizeof(X86Miss) == 16);

/* What stands behind the block. */
typedef enum X86ColdKind {
    X86_COLD_ACCESS, /* memory access that the fast path does not do */
    X86_COLD_EXIT,   /* stub of a direct exit; icount credit and poll before it where needed */
    X86_COLD_LOOKUP, /* direct exit to another page */
    X86_COLD_POLL,   /* exit_request was set before a backward conditional exit: is it taken? */
    X86_COLD_MISS,   /* jump cache miss: store pc, leave */
    X86_COLD_DIV,    /* divisor 0, or maybe -1 */
    X86_COLD_ICOUNT, /* too little icount_left at the head */
    X86_COLD_NAN,    /* a floating-point result is a NaN: make it the canonical one */
    X86_COLD_GUARD,  /* the helper of a GUARD */
    X86_COLD_FP,     /* floating point that the block does not do itself: call the helper */
} X86ColdKind;

/* How a direct exit gets to its stub (X86Cold.word of X86_COLD_EXIT). */
typedef enum X86ExitKind {
    X86_EXIT_STUB,        /* always; never linked */
    X86_EXIT_LINK,        /* .from is patched when linked */
    X86_EXIT_CREDIT,      /* by a jump of its own that is patched, after crediting insns ... */
    X86_EXIT_CREDIT_POLL, /* ... and testing exit_request */
} X86ExitKind;

typedef struct X86Cold {
    uint8_t kind;
    int8_t r1, r2, r3; /* registers: see cold.c at each kind */
    uint8_t cc;        /* POLL: condition; ACCESS: vector registers are in use; NAN: single */
    int8_t result;     /* FP: register */
    uint8_t cmp_len;
    uint16_t insn;
    uint8_t *from;        /* rel32 that jumps here */
    uint8_t *from2;       /* another one, or NULL */
    uint8_t *back;        /* where the block goes on */
    const uint8_t *cmp;   /* POLL: the compare to repeat */
    int32_t offset;       /* page offset for the site or of the target */
    uint32_t word;        /* ACCESS: the site's word; EXIT: X86ExitKind; DIV: IrOp; FP: helper */
    uint32_t memop;       /* DIV: IrType; FP: the helper's constant; GUARD: helper */
    X86Miss miss;         /* ACCESS */
    struct X86Cold *exit; /* POLL: the EXIT whose stub is jumped to */
    uint8_t *stub;        /* EXIT: its address, once emitted */
} X86Cold;

/* A translation that an access found, kept in two temporaries. */
typedef struct X86Kept {
    IrVal root;            /* base value, without constants added to it; IR_NONE: none */
    uint8_t kind;          /* X86ColdKind: which table it is from */
    int8_t offset, addend; /* registers, as in mem.c */
    int64_t disp;          /* it is of root + disp */
} X86Kept;

enum { X86_N_KEPT = 2 };

struct TcgCompiler {
    const TcgAbi *abi;
    const IrBlock *ir;
    const IrInsn *insns;
    X86Asm as;
    uint8_t *code; /* buffer: X86_CODE_MAX + room */
    uint32_t features;

    /* The operations that get code, in order: from first_todo to the end (IR_MAX_INSNS). */
    uint16_t *todo;
    unsigned first_todo;

    /* Allocation. */
    X86Val *vals;
    unsigned at;                  /* index of the operation being emitted */
    IrVal in_reg[X86_N_ALL_REGS]; /* chains */
    IrVal *in_slot;               /* chains by guest register */
    uint32_t *set_later;          /* live.c: by guest register */
    uint32_t set_epoch;
    int8_t *pin_of;                   /* host register of a guest register, or X86_NO_REG */
    int16_t guest_of[X86_N_ALL_REGS]; /* guest register of a pinned host register, or -1 */
    uint32_t pinned;                  /* mask of host registers in use for pins */
    uint32_t free;                    /* temporaries with an empty chain */
    uint32_t locked;                  /* registers that this operation uses: not to be evicted */
    uint64_t spills_free;
    X86Kept kept[X86_N_KEPT];
    unsigned next_kept;
    uint32_t kept_regs; /* temporaries that hold kept translations; they are free too */
    bool keep_flags;    /* loads of constants must not touch the flags */
    bool failed;

    /* The current guest insn. */
    int32_t insn_offset;
    uint32_t insn_word;
    unsigned insn_no; /* 0-based */

    X86Cold *cold;
    unsigned n_cold;
    TcgSite *sites;
    unsigned n_sites;
};

/* Register or memory operand: [Cpu + disp] if reg is X86_NO_REG. */
typedef struct X86Rm {
    int reg;
    int32_t disp;
} X86Rm;

static inline uint32_t x86_w(IrType type)
{
    return type == IR_I64 ? X86_W : 0;
}

static inline X86Mem x86_cpu(uint32_t offset)
{
    return x86_mem(X86_CPU, (int32_t)offset);
}

static inline bool x86_is_pin(int reg)
{
    return !((X86_TEMPS | X86_TEMPS_X) >> reg & 1);
}

static inline bool x86_is_xmm(int reg)
{
    return reg >= X86_XMM0;
}

/* The encoder's number of a vector register. */
static inline int x86_xmm(int reg)
{
    return reg - X86_XMM0;
}

/* ---- compile.c ---- */

/* Which guest registers of @target are pinned: guest register numbers by host register, -1 for none. Returns their host registers. */
uint32_t x86_choose_pins(const IrTarget *target, int16_t guest_of[X86_N_ALL_REGS]);

/* The value that @v is a constant away from; adds that to *disp. */
static inline IrVal x86_root(const TcgCompiler *c, IrVal v, int64_t *disp)
{
    while (c->insns[v].op == IR_ADD && c->insns[c->insns[v].b].op == IR_CONST) {
        *disp += (int64_t)c->insns[c->insns[v].b].imm;
        v = c->insns[v].a;
    }
    return v;
}

/* ---- live.c ---- */

/* Fills c->vals: last uses, fused values, hints; and c->todo. */
void x86_live(TcgCompiler *c);

/* ---- alloc.c ---- */

void x86_alloc_begin(TcgCompiler *c);
/* Locks and returns a temporary that holds nothing (evicting if need be); it stays free after the operation unless defined. */
int x86_temp(TcgCompiler *c);
/* The same for a vector register. */
int x86_temp_x(TcgCompiler *c);
/* Empties temporary @reg and locks it. Before any operand is asked for. */
void x86_claim(TcgCompiler *c, int reg);
/* Moves what is in the temporaries @which into memory as far as it is needed after this operation (they are about to be clobbered). */
void x86_save_temps(TcgCompiler *c, uint32_t which);
/* Forgets what the temporaries @which hold: they were clobbered. Everything needed has a home (x86_save_temps). */
void x86_drop_temps(TcgCompiler *c, uint32_t which);
/* The general register of @v, loaded if need be (from a vector register: a copy for this operation only); locked. */
int x86_use(TcgCompiler *c, IrVal v);
/* The vector register of @v, likewise. */
int x86_use_x(TcgCompiler *c, IrVal v);
/* @v as vector register (locked) or memory operand. */
X86Rm x86_use_x_rm(TcgCompiler *c, IrVal v);
/* @v as register (locked) or memory operand. */
X86Rm x86_use_rm(TcgCompiler *c, IrVal v);
/* Loads @v into @reg without changing where @v is known to be. */
void x86_load_to(TcgCompiler *c, int reg, IrVal v);
/* True if @v is a constant that fits a sign-extended 32-bit immediate of @type. */
bool x86_imm(const TcgCompiler *c, IrVal v, IrType type, int32_t *imm);
/* True if nothing in @reg is needed after this operation. */
bool x86_reg_dies(const TcgCompiler *c, int reg);
/* True if the operation's result may be computed in @v's register. */
bool x86_in_place(const TcgCompiler *c, IrVal v);
/* The register for the result: the pinned one it is meant for, else @prefer (a register or X86_NO_REG) if that dies, else a temporary. */
int x86_dest(TcgCompiler *c, int prefer);
/* True if the result can be computed in the pinned register that it is meant for. */
bool x86_hint(const TcgCompiler *c);
/* A vector register for the result, none of @avoid: the pinned one it is meant for, else @prefer if that is one and dies, else a
 * temporary. */
int x86_dest_x(TcgCompiler *c, int prefer, uint32_t avoid);
/* Loads @v into vector register @x without changing where @v is known to be. */
void x86_load_to_x(TcgCompiler *c, int x, IrVal v);
/* As x86_dest, but none of the registers in @mask. */
int x86_dest_not(TcgCompiler *c, int prefer, uint32_t mask);
/* Ends the operation: operands that die are released, the result is in @reg (X86_NO_REG: none). */
void x86_finish(TcgCompiler *c, const IrInsn *in, int reg);
/* The result is the same as @v, which is still where it was; for x86_finish(.., X86_NO_REG). */
void x86_alias(TcgCompiler *c, IrVal v);
void x86_getreg(TcgCompiler *c, unsigned reg);
void x86_setreg(TcgCompiler *c, unsigned reg, IrVal v, IrType type);
/* Guest registers change behind our back: values that were read from them move away. */
void x86_forget_guest(TcgCompiler *c);

/* ---- emit.c, bits.c: arithmetic. Each returns the result's register. ---- */

void x86_op_rm(TcgCompiler *c, uint32_t op, int reg, X86Rm rm);
void x86_vex_rmx(TcgCompiler *c, uint32_t op, int reg, int v, X86Rm rm);
/* @reg = 0; may change the flags. */
void x86_zero(TcgCompiler *c, int reg);
/* A register with a copy of @a that may be overwritten and is to be the result. */
int x86_copy_to_dest(TcgCompiler *c, IrVal a, uint32_t avoid);
/* Compares a with b. Returns the X86_CC_* that is true if a @cond b. *start: the first byte of the compare itself (movable). */
unsigned x86_compare(TcgCompiler *c, IrCond cond, IrVal a, IrVal b, uint8_t **start);
/* The memory operand for the (maybe fused) sum @a + @disp; its registers are locked. */
X86Mem x86_address(TcgCompiler *c, IrVal a, int64_t disp);
int x86_emit_binary(TcgCompiler *c, const IrInsn *in);
int x86_emit_setcc(TcgCompiler *c, const IrInsn *in);
int x86_emit_select(TcgCompiler *c, const IrInsn *in);
int x86_emit_unary(TcgCompiler *c, const IrInsn *in);
int x86_emit_shift(TcgCompiler *c, const IrInsn *in);
int x86_emit_count(TcgCompiler *c, const IrInsn *in);
int x86_emit_clmul(TcgCompiler *c, const IrInsn *in);
int x86_emit_mul(TcgCompiler *c, const IrInsn *in);
int x86_emit_div(TcgCompiler *c, const IrInsn *in);

/* ---- mem.c, call.c, exit.c ---- */

/* Temporary @reg gets another use (X86_NO_REG: none); all are clobbered or translations may have changed. */
void x86_forget_translation(TcgCompiler *c, int reg);
void x86_forget_translations(TcgCompiler *c);
int x86_emit_load(TcgCompiler *c, const IrInsn *in);
/* Out of line, for an access through a kept translation that is of another page: looks its page up, keeps that, and does the access in the
 * block. Goes on to the next instruction, with nothing of use kept, if the TLB does not have it. */
void x86_emit_other_page(TcgCompiler *c, const X86Cold *cold);
void x86_emit_store(TcgCompiler *c, const IrInsn *in);
int x86_emit_call(TcgCompiler *c, const IrInsn *in);
void x86_emit_guard(TcgCompiler *c, const IrInsn *in);
void x86_cold_guard(TcgCompiler *c, const X86Cold *cold);

/* ---- fp.c ---- */

/* True if the call @in of a helper is computed by the block itself. */
bool x86_fp_is_inline(const TcgCompiler *c, const IrInsn *in);
/* Which of its arguments (bits) are floating-point values. */
unsigned x86_fp_args(const IrHelper *helper);
int x86_emit_fp(TcgCompiler *c, const IrInsn *in);
/* v | constant that boxes a single, in a vector register; X86_NO_REG: @in is something else. */
int x86_emit_box(TcgCompiler *c, const IrInsn *in);
bool x86_is_box(const TcgCompiler *c, const IrInsn *in);
/* Moves between vector register, general register and [Cpu + offset]; of 64 bits. */
void x86_xmm_load(TcgCompiler *c, int x, X86Mem m, bool single);
void x86_xmm_store(TcgCompiler *c, int x, X86Mem m, bool single);
void x86_xmm_to_reg(TcgCompiler *c, int reg, int x);
void x86_reg_to_xmm(TcgCompiler *c, int x, int reg);
void x86_xmm_move(TcgCompiler *c, int to, int from);
/* Switches to the host's floating-point environment for a helper, and back. */
void x86_fp_host(X86Asm *as, const TcgAbi *abi);
void x86_fp_guest(X86Asm *as, const TcgAbi *abi);
void x86_cold_nan(TcgCompiler *c, const X86Cold *cold);
void x86_cold_fp(TcgCompiler *c, const X86Cold *cold);
/* Moves the pinned general registers among @which (a mask) from or to their slots: @op X86_MOV or X86_MOV_MR. */
void x86_move_pins(X86Asm *as, const IrTarget *target, const int16_t *guest_of, uint32_t which,
                   uint32_t op);
/* Loads the pinned vector registers among @which from their slots, which are always current. */
void x86_load_vector_pins(X86Asm *as, const IrTarget *target, const int16_t *guest_of,
                          uint32_t which);
/* A block begins with this NOP, which a call replaces when it dies. */
extern const uint8_t x86_head[8];
void x86_emit_head(TcgCompiler *c);
void x86_emit_exitcc(TcgCompiler *c, const IrInsn *in);
void x86_emit_exit(TcgCompiler *c, const IrInsn *in);
void x86_emit_exitind(TcgCompiler *c, const IrInsn *in);
void x86_emit_leave(TcgCompiler *c, const IrInsn *in);
/* Emits the way to the virtual address pc_page + @offset by the jump cache. */
void x86_emit_lookup(TcgCompiler *c, int32_t offset);
/* Gives back the insns of the block that will not be executed (IR_CF_ICOUNT), @done having been. */
void x86_emit_credit(TcgCompiler *c, unsigned done);
/* mov dword [Cpu + offset], imm */
void x86_store_imm32(TcgCompiler *c, uint32_t offset, uint32_t imm);
/* call / jmp [Cpu.fn_table[fn]] */
void x86_call_fn(X86Asm *as, const TcgAbi *abi, unsigned fn);
void x86_jmp_fn(X86Asm *as, const TcgAbi *abi, unsigned fn);
/* Memory offset of a thunk argument. */
uint32_t x86_arg(const TcgCompiler *c, unsigned n);

/* ---- miss.c ---- */

/* Does the memory access whose call returns to @ret, with the host registers in Cpu.save (by number); changes these as the block
 * wants them. May leave by a guest fault. Called by the thunk. */
void x86_miss(const TcgAbi *abi, uint8_t *cpu, const uint8_t *ret);

/* ---- cold.c ---- */

/* A new entry, entered from the rel32 at @from. */
X86Cold *x86_cold(TcgCompiler *c, X86ColdKind kind, uint8_t *from);
/* Emits everything that was put off. False: no room. */
bool x86_emit_cold(TcgCompiler *c);
/* A site whose call has just been emitted. */
void x86_site(TcgCompiler *c, TcgSiteKind kind, int32_t offset, uint32_t word, unsigned insn);
/* Makes the rel32 that will be @lead bytes past @start 4-byte aligned: the code from @start on (one compare at most) moves
 * up behind harmless prefixes. Returns how far. */
unsigned x86_align_field(TcgCompiler *c, uint8_t *start, unsigned lead);
bool x86_has_room(const TcgCompiler *c);

#endif
