/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The beginning of the stress guest: entry, run_asm(), traps, and the page of code stubs that run in S and U mode at addresses of
 * the address spaces under test. A stub begins at a multiple of 64 with "lui t0, id", which is patched by page: what comes back in t0
 * tells which page was executed. It ends with ecall.
 */
        .section .start, "ax"
        .globl _start, parameters
_start: j       1f
        .balign 8
parameters:                     /* case, seed, steps, flags: patched by stress.py */
        .dword  0, 0, 0, 0
1:      la      t0, trap
        csrw    mtvec, t0
        csrw    mscratch, zero
        csrw    mie, zero
        la      sp, stack_end
        call    main
        li      a0, 0x5555
        .globl  finish
finish: li      t0, 0x100000
        sw      a0, 0(t0)
2:      j       2b

        /* void run_asm(Run *run, u64 pc, u64 mstatus): runs at @pc until a trap, with a0-a7 from the Run and back to it; @mstatus has MPP */
        .globl  run_asm
run_asm:
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
        sd      sp, 96(a0)
        csrw    mscratch, a0
        csrw    mepc, a1
        li      t0, 0x1800
        csrc    mstatus, t0
        csrs    mstatus, a2
        mv      t0, a0
        ld      a0, 0(t0)
        ld      a1, 8(t0)
        ld      a2, 16(t0)
        ld      a3, 24(t0)
        ld      a4, 32(t0)
        ld      a5, 40(t0)
        ld      a6, 48(t0)
        ld      a7, 56(t0)
        li      t0, 0
        mret

        .balign 4
trap:   csrrw   tp, mscratch, tp
        beqz    tp, 4f
        sd      a0, 0(tp)
        sd      a1, 8(tp)
        sd      a2, 16(tp)
        sd      a3, 24(tp)
        sd      a4, 32(tp)
        sd      a5, 40(tp)
        sd      a6, 48(tp)
        sd      a7, 56(tp)
        sd      t0, 104(tp)
        csrr    t0, mcause
        sd      t0, 64(tp)
        csrr    t0, mtval
        sd      t0, 72(tp)
        csrr    t0, mepc
        sd      t0, 80(tp)
        csrr    t0, mstatus
        sd      t0, 88(tp)
        li      t0, 0x20000     /* MPRV */
        csrc    mstatus, t0
        ld      sp, 96(tp)
        csrw    mscratch, zero
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
        ret
4:      csrr    a0, mcause
        csrr    a1, mtval
        csrr    a2, mepc
        la      sp, stack_end
        j       unexpected

        /* Run in M mode: an access as the privilege in a7 (mstatus.MPP and MPRV) would make it. The trap behind clears MPRV. */
        .macro  mprv name, insn:vararg
        .globl  \name
        .balign 4
\name:  csrs    mstatus, a7
        \insn
        ecall
        .endm
        mprv    mprv_lb, lb a1, 0(a0)
        mprv    mprv_lw, lw a1, 0(a0)
        mprv    mprv_ld, ld a1, 0(a0)
        mprv    mprv_sb, sb a1, 0(a0)
        mprv    mprv_sw, sw a1, 0(a0)
        mprv    mprv_sd, sd a1, 0(a0)
        mprv    mprv_amo, amoxor.d a1, a1, (a0)

        /* The page of stubs; stress.h names the offsets. */
        .macro  stub at
        .org    stub_page + \at, 0
        lui     t0, 0
        .endm
        .section .stubs, "ax"
        .balign 4096
        .globl  stub_page
        .option push
        .option norvc
stub_page:
        .half   0               /* the tail of an insn that begins in the page before */
        ecall
        stub    0x040           /* ID */
        ecall
        stub    0x080           /* LOADS */
        ld      a1, 0(a0)
        lw      a2, 0(a3)
        ecall
        stub    0x0c0           /* STORE */
        sd      a1, 0(a0)
        ld      a2, 0(a0)
        ecall
        stub    0x100           /* ATOMICS */
        amoadd.d a1, a1, (a0)
        amomax.w a2, a2, (a3)
        ecall
        stub    0x140           /* RESERVE */
        lr.d    a1, (a0)
        addi    a1, a1, 1
        sc.d    a2, a1, (a0)
        ecall
        stub    0x180           /* JUMPS: a0-a5 are where to go on */
        slli    t2, a7, 1
        add     a7, a7, t2
        add     a7, a7, t0
        mv      t1, a0
        mv      a0, a1
        mv      a1, a2
        mv      a2, a3
        mv      a3, a4
        mv      a4, a5
        li      a5, 0
        beqz    t1, 1f
        jr      t1
1:      ecall
        stub    0x1c0           /* LOOP */
        li      t1, 20
1:      ld      t2, 0(a0)
        add     a1, a1, t2
        sd      a1, 0(a3)
        addi    t1, t1, -1
        bnez    t1, 1b
        ecall
        stub    0x200           /* CHANGE: a1, an insn, to a0; then runs it at a2 */
        sw      a1, 0(a0)
        fence.i
        jr      a2
        stub    0x240           /* SATP */
        .org    stub_page + 0x27c
        csrw    satp, a0
        stub    0x280           /* the next insn is another page's if the mapping differs */
        add     a7, a7, t0
        ld      a1, 0(a3)
        ecall
        stub    0x2c0           /* FENCE */
        sfence.vma a0, a1
        ld      a2, 0(a3)
        ecall
        stub    0x300           /* EDIT: a page-table entry */
        sd      a1, 0(a0)
        sfence.vma a2, a3
        ld      a1, 0(a4)
        sd      a5, 0(a4)
        ecall
        stub    0x340           /* STATUS: SUM, MXR for one load */
        csrs    sstatus, a2
        ld      a1, 0(a0)
        csrc    sstatus, a2
        ld      a3, 0(a4)
        ecall
        stub    0x380           /* RETURN: to a0, SPP by a2, a3 */
        csrw    sepc, a0
        csrc    sstatus, a2
        csrs    sstatus, a3
        mv      a0, a1
        mv      a1, a4
        li      a4, 0
        sret
        stub    0x3c0           /* HANDLER of delegated faults */
        csrr    a4, scause
        csrr    a5, stval
        csrr    a6, sepc
        csrr    a7, sstatus
        ecall
        stub    0x400           /* CROSS: a jump to the insn at 0xffe */
        addi    a7, a7, 1
        j       cross
        stub    0x440           /* ZERO */
        .insn   i 0x0f, 2, x0, a0, 4    /* cbo.zero (a0) */
        ld      a1, 0(a0)
        ecall
        stub    0x480           /* FENCES: the other forms */
        sfence.vma a0, zero
        ld      a2, 0(a3)
        sfence.vma zero, a1
        ld      a4, 0(a5)
        ecall
        stub    0xfe0           /* FALL: into the insn at 0xffe */
        addi    a7, a7, 5
        addi    a7, a7, 5
        addi    a7, a7, 5
        addi    a7, a7, 5
        addi    a7, a7, 5
        addi    a7, a7, 5
        .half   1               /* c.nop */
cross:  .half   0x02b7          /* lui t0, ... */
        .option pop

        .bss
        .balign 16
        .space  16384
stack_end:
