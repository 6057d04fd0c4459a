/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address spaces of the stress guest: the pool of pages with code stubs, page tables of three depths, and printing. Page tables lie
 * in the GIGA region too, so that S mode can change them.
 */
#include "stress.h"

/* Tables of a space by number; deeper trees have more roots. */
enum { ROOT, ROOT_2, ROOT_3, L1_LOW, L1_HIGH, L0_LOW, L0_ALIAS, L0_HIGH, L0_SUPER };

Space spaces[N_SPACES];

static const u64 region_va[N_REGIONS] = {
    [LOW] = 0x408000,
    [LOW_TOO] = 0x428000,        /* the jump cache's slots of LOW */
    [ALIAS] = 0x10408000,        /* the TLB's slots of LOW */
    [HIGH] = 0xffffffffc0208000, /* canonical in all modes */
    [SUPER] = 0x800000,          /* one 2 MiB entry */
    [GIGA] = POOL,               /* one 1 GiB entry: RAM at its own address */
    [SUPER_HIGH] = 0xffffffffc0800000,
};

void print(const char *text)
{
    for (; *text; text++) {
        *(volatile unsigned char *)UART = (unsigned char)*text;
    }
}

void print_hex(u64 value)
{
    char text[18];
    int i = 17;

    text[i] = 0;
    do {
        text[--i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    print(&text[i]);
    print(" ");
}

void fail(u64 line, u64 a, u64 b)
{
    print("failed at line (hex) ");
    print_hex(line);
    print_hex(a);
    print_hex(b);
    print("\n");
    finish(0x3333 | 1 << 16);
}

__attribute__((noreturn)) void unexpected(u64 cause, u64 tval, u64 epc)
{
    print("trap in M mode, cause tval epc ");
    print_hex(cause);
    print_hex(tval);
    print_hex(epc);
    print("\n");
    finish(0x3333 | 2 << 16);
}

u64 slot_va(u64 region, u64 slot, u64 offset)
{
    return region_va[region] + slot * 4096 + offset;
}

static u64 *table(const Space *s, u64 number)
{
    return s->tables + number * 512;
}

u64 *slot_pte(u64 space, u64 region, u64 slot, int leaf)
{
    static const unsigned char number[] = { L0_LOW, L0_LOW, L0_ALIAS, L0_HIGH, L0_SUPER };
    const Space *s = &spaces[space];
    u64 va = slot_va(region, slot, 0);

    if (region == GIGA) {
        return &table(s, s->mode - 8)[va >> 30 & 511];
    }
    if (region == SUPER_HIGH || (region == SUPER && !leaf)) {
        return &table(s, region == SUPER ? L1_LOW : L1_HIGH)[va >> 21 & 511];
    }
    return &table(s, number[region])[va >> 12 & 511];
}

u64 satp_of(u64 space)
{
    return spaces[space].mode << 60 | spaces[space].asid << 44 | (u64)spaces[space].tables >> 12;
}

static u64 pointer(const u64 *to)
{
    return (u64)to >> 12 << 10 | PTE_V;
}

u64 pool_pte(u64 page, u64 bits)
{
    return (POOL + page * 4096) >> 12 << 10 | bits;
}

u32 id_insn(u64 id)
{
    return 0x2b7 | (u32)id << 12;
}

u64 page_id(u64 page)
{
    return (page + 1) << 12;
}

static void make_space(u64 number)
{
    Space *s = &spaces[number];
    u64 root = number & 1 ? 0 : number / 2, last;

    s->mode = 8 + root;
    s->asid = number + 1;
    s->tables = (u64 *)(TABLES + number * N_TABLES * 4096);
    for (u64 i = 0; i < N_TABLES * 512; i++) {
        s->tables[i] = 0;
    }
    for (u64 i = 0; i < root; i++) {
        table(s, i)[0] = table(s, i)[511] = pointer(table(s, i + 1));
    }
    last = root;
    table(s, last)[0] = pointer(table(s, L1_LOW));
    table(s, last)[511] = pointer(table(s, L1_HIGH));
    table(s, L1_LOW)[slot_va(LOW, 0, 0) >> 21 & 511] = pointer(table(s, L0_LOW));
    table(s, L1_LOW)[slot_va(ALIAS, 0, 0) >> 21 & 511] = pointer(table(s, L0_ALIAS));
    table(s, L1_HIGH)[slot_va(HIGH, 0, 0) >> 21 & 511] = pointer(table(s, L0_HIGH));
    table(s, L1_LOW)[slot_va(SUPER, 0, 0) >> 21 & 511] = pointer(table(s, L0_SUPER));
}

static void fill_page(u64 page)
{
    u64 *to = (u64 *)(POOL + page * 4096);

    for (u64 i = 0; i < 512; i++) {
        to[i] = ((u64 *)stub_page)[i];
    }
    for (u64 at = STUB_ID; at < STUB_END; at += 64) {
        *(u32 *)((u64)to + at) = id_insn(page + 1);
    }
    *(u32 *)((u64)to + STUB_FALL) = id_insn(page + 1);
    *(u16 *)to = (u16)(page + 1) << 4;
    for (u64 at = DATA; at < STUB_FALL; at += 8) {
        *(u64 *)((u64)to + at) = page << 32 | at;
    }
}

void make_spaces(void)
{
    for (u64 page = 0; page < N_POOL; page++) {
        fill_page(page);
    }
    for (u64 i = 0; i < N_SPACES; i++) {
        make_space(i);
    }
    fence_i();
    fence_all();
}

void main(void)
{
    /* The last PMP entry: all for S and U. */
    __asm__ volatile("csrw pmpaddr7, %0\n csrw pmpcfg0, %1" ::"r"(~0ul), "r"(0x1ful << 56));
    make_spaces();
    if (parameters[0]) {
        run_case(parameters[0]);
    } else {
        fuzz(parameters[1], parameters[2], parameters[3]);
    }
}
