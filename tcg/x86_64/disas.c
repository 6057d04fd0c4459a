/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host disassembly for -d out_asm and the golden tests, by capstone, in Intel's syntax.
 */
#include <capstone/capstone.h>
#include "tcg/abi.h"

void tcg_backend_disassemble(const uint8_t *code, size_t size, uint64_t base, GString *out)
{
    uint64_t address = base;
    cs_insn *insn;
    csh handle;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) {
        g_string_append(out, "(no disassembler)\n");
        return;
    }
    insn = cs_malloc(handle);
    while (size) {
        if (cs_disasm_iter(handle, &code, &size, &address, insn)) {
            g_string_append_printf(out, "  %4" PRIx64 ":  %s %s\n", insn->address, insn->mnemonic,
                                   insn->op_str);
        } else {
            g_string_append_printf(out, "  %4" PRIx64 ":  .byte 0x%02x\n", address, *code);
            code++;
            size--;
            address++;
        }
    }
    cs_free(insn, 1);
    cs_close(&handle);
}
