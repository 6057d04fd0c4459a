/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The beginning of a hostile guest: entry of all harts, traps, attempt(). The first halfword of RAM is a c.nop, which the case
 * "crossing into RAM's first page" reads as the second half of an addi.
 */
        .section .start, "ax"
        .globl _start
_start:
#ifdef __riscv_compressed
        c.nop
#endif
        j       1f
        .balign 8
        .globl case_number
case_number:
        .dword  0               /* patched by hostile.py */
1:      la      t0, trap
        csrw    mtvec, t0
        csrr    a0, mhartid
        la      sp, stacks
        addi    t0, a0, 1
        slli    t0, t0, 14
        add     sp, sp, t0
        la      tp, harts
        li      t0, 128
        mul     t0, t0, a0
        add     tp, tp, t0
        sd      zero, 0(tp)
        sd      a0, 72(tp)
        csrw    mscratch, tp
        /* all of memory for S */
        li      t0, -1
        csrw    pmpaddr0, t0
        li      t0, 0x1f
        csrw    pmpcfg0, t0
        li      t0, 0xf0        /* menvcfg: cbo.zero and the others in S */
        csrw    menvcfg, t0
        bnez    a0, 2f
        call    main
        li      a0, 0x5555
        call    finish
2:      call    other
        j       2b

        .globl finish
finish: li      t0, 0x100000
        sw      a0, 0(t0)
3:      wfi
        j       3b

        .balign 4
trap:   csrrw   tp, mscratch, tp
        sd      t0, 32(tp)
        csrr    t0, mcause
        bltz    t0, ipi
        sd      t0, 8(tp)
        csrr    t0, mtval
        sd      t0, 16(tp)
        csrr    t0, mepc
        sd      t0, 24(tp)
        csrw    mscratch, tp
        ld      sp, 0(tp)
        bnez    sp, 4f
        ld      a0, 8(tp)
        ld      a1, 16(tp)
        ld      a2, 24(tp)
        la      sp, stacks + 8192
        j       unexpected
4:      la      t0, recovered
        csrw    mepc, t0
        li      t0, 0x1800
        csrs    mstatus, t0
        li      t0, 0x20000     /* MPRV */
        csrc    mstatus, t0
        mret

ipi:    sd      t1, 40(tp)
        ld      t0, 72(tp)
        slli    t0, t0, 2
        li      t1, 0x2000000
        add     t0, t0, t1
        sw      zero, 0(t0)
        fence   rw, rw
        fence.i
        ld      t0, 64(tp)
        addi    t0, t0, 1
        sd      t0, 64(tp)
        ld      t1, 40(tp)
        ld      t0, 32(tp)
        csrrw   tp, mscratch, tp
        mret

        /* u64 attempt_asm(f, arg, mode): 0: returned, 1: trapped */
        .globl attempt_asm
attempt_asm:
        addi    sp, sp, -112
        sd      ra, 0(sp)
        sd      s0, 8(sp)
        sd      s1, 16(sp)
        sd      s2, 24(sp)
        sd      s3, 32(sp)
        sd      s4, 40(sp)
        sd      s5, 48(sp)
        sd      s6, 56(sp)
        sd      s7, 64(sp)
        sd      s8, 72(sp)
        sd      s9, 80(sp)
        sd      s10, 88(sp)
        sd      s11, 96(sp)
        sd      sp, 0(tp)
        csrw    mepc, a0
        mv      a0, a1
        li      t0, 0x1800
        csrc    mstatus, t0
        slli    a2, a2, 11
        csrs    mstatus, a2
        la      ra, 5f
        mret
5:      sd      a0, 80(tp)
back:   ecall                   /* from either mode */
        .balign 4
recovered:
        ld      sp, 0(tp)
        sd      zero, 0(tp)
        ld      ra, 0(sp)
        ld      s0, 8(sp)
        ld      s1, 16(sp)
        ld      s2, 24(sp)
        ld      s3, 32(sp)
        ld      s4, 40(sp)
        ld      s5, 48(sp)
        ld      s6, 56(sp)
        ld      s7, 64(sp)
        ld      s8, 72(sp)
        ld      s9, 80(sp)
        ld      s10, 88(sp)
        ld      s11, 96(sp)
        addi    sp, sp, 112
        la      t0, back
        ld      t1, 24(tp)
        sub     a0, t0, t1
        snez    a0, a0
        ret

        .bss
        .balign 4096
        .globl  harts
harts:  .space  128 * 8
stacks: .space  16384 * 8
