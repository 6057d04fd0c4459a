/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ELF executables of 32 and 64 bits: loading segments, finding symbols and sections. Nothing in a
 * file is believed: every offset and count is checked against the file's size before use.
 */
#include "hw/core/loader.h"
#include <elf.h>
#include <inttypes.h>
#include <string.h>

enum { MAX_SEGMENTS = 256 };

/* What both classes' headers say, in one form. */
typedef struct ElfHeader {
    bool is_64;
    unsigned type, machine, phnum, phentsize, shnum, shentsize, shstrndx;
    uint64_t entry, phoff, shoff;
} ElfHeader;

typedef struct ElfSegment {
    uint64_t offset, vaddr, paddr, filesz, memsz;
    uint32_t type;
} ElfSegment;
typedef struct ElfSection {
    uint64_t addr, offset, size, entsize;
    uint32_t name, type, link;
} ElfSection;

static bool elf_error(GError **error, const LoaderFile *file, const char *why)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: bad ELF file: %s", file->name, why);
    return false;
}

/* Copies @size bytes at @offset of the file; false: they are not all there. */
static bool take(const LoaderFile *file, uint64_t offset, void *out, size_t size)
{
    if (offset > file->size || size > file->size - offset) {
        return false;
    }
    memcpy(out, file->data + offset, size);
    return true;
}

bool loader_is_elf(const LoaderFile *file)
{
    return file->size >= SELFMAG && !memcmp(file->data, ELFMAG, SELFMAG);
}

static bool read_header(const LoaderFile *file, ElfHeader *h)
{
    Elf32_Ehdr e32;
    Elf64_Ehdr e64;

    if (!loader_is_elf(file) || !take(file, 0, &e32, sizeof(e32)) ||
        e32.e_ident[EI_DATA] != ELFDATA2LSB) {
        return false;
    }
    if (e32.e_ident[EI_CLASS] == ELFCLASS32) {
        *h = (ElfHeader){ false,           e32.e_type,  e32.e_machine,   e32.e_phnum,
                          e32.e_phentsize, e32.e_shnum, e32.e_shentsize, e32.e_shstrndx,
                          e32.e_entry,     e32.e_phoff, e32.e_shoff };
        return true;
    }
    if (e32.e_ident[EI_CLASS] != ELFCLASS64 || !take(file, 0, &e64, sizeof(e64))) {
        return false;
    }
    *h = (ElfHeader){ true,        e64.e_type,      e64.e_machine,  e64.e_phnum, e64.e_phentsize,
                      e64.e_shnum, e64.e_shentsize, e64.e_shstrndx, e64.e_entry, e64.e_phoff,
                      e64.e_shoff };
    return true;
}

/* Offset of entry @i of a table; UINT64_MAX if that overflows (no file is that large). */
static uint64_t table_offset(uint64_t table, unsigned entsize, uint64_t i)
{
    uint64_t offset;

    return __builtin_add_overflow(table, i * entsize, &offset) ? UINT64_MAX : offset;
}

static bool read_segment(const LoaderFile *file, const ElfHeader *h, unsigned i, ElfSegment *s)
{
    uint64_t at = table_offset(h->phoff, h->phentsize, i);
    Elf32_Phdr p32;
    Elf64_Phdr p64;

    if (h->is_64) {
        if (h->phentsize < sizeof(p64) || !take(file, at, &p64, sizeof(p64))) {
            return false;
        }
        *s = (ElfSegment){ p64.p_offset, p64.p_vaddr, p64.p_paddr,
                           p64.p_filesz, p64.p_memsz, p64.p_type };
        return true;
    }
    if (h->phentsize < sizeof(p32) || !take(file, at, &p32, sizeof(p32))) {
        return false;
    }
    *s = (ElfSegment){
        p32.p_offset, p32.p_vaddr, p32.p_paddr, p32.p_filesz, p32.p_memsz, p32.p_type
    };
    return true;
}

static bool read_section(const LoaderFile *file, const ElfHeader *h, unsigned i, ElfSection *s)
{
    uint64_t at = table_offset(h->shoff, h->shentsize, i);
    Elf32_Shdr s32;
    Elf64_Shdr s64;

    if (i >= h->shnum) {
        return false;
    }
    if (h->is_64) {
        if (h->shentsize < sizeof(s64) || !take(file, at, &s64, sizeof(s64))) {
            return false;
        }
        *s = (ElfSection){ s64.sh_addr, s64.sh_offset, s64.sh_size, s64.sh_entsize,
                           s64.sh_name, s64.sh_type,   s64.sh_link };
        return true;
    }
    if (h->shentsize < sizeof(s32) || !take(file, at, &s32, sizeof(s32))) {
        return false;
    }
    *s = (ElfSection){ s32.sh_addr, s32.sh_offset, s32.sh_size, s32.sh_entsize,
                       s32.sh_name, s32.sh_type,   s32.sh_link };
    return true;
}

/* ---- Loading ---- */

static bool check_header(const LoaderFile *file, const ElfHeader *h, unsigned machine,
                         unsigned bits, GError **error)
{
    if (h->machine != machine) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "%s: an ELF file for another processor (machine number %u, not %u)", file->name,
                    h->machine, machine);
        return false;
    }
    if (h->is_64 != (bits == 64)) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "%s: a %d-bit ELF file, but the CPU has %u bits", file->name,
                    h->is_64 ? 64 : 32, bits);
        return false;
    }
    if (h->type != ET_EXEC && h->type != ET_DYN) {
        return elf_error(error, file, "it is not an executable");
    }
    if (h->phnum == 0 || h->phnum > MAX_SEGMENTS) {
        return elf_error(error, file, h->phnum ? "too many segments" : "it has no segments");
    }
    return true;
}

static bool load_segment(const LoaderFile *file, const ElfSegment *s, uint64_t bias, LoaderElf *out,
                         GError **error)
{
    uint64_t addr = s->paddr + bias;
    uint8_t *data;

    if (s->filesz > s->memsz || s->offset > file->size || s->filesz > file->size - s->offset) {
        return elf_error(error, file, "a segment lies outside the file (it may be truncated)");
    }
    data = g_try_malloc(s->filesz);
    if (s->filesz && !data) {
        return elf_error(error, file, "a segment does not fit into the host's memory");
    }
    if (s->filesz) {
        memcpy(data, file->data + s->offset, s->filesz);
    }
    if (!loader_add_blob(file->name, addr, data, s->filesz, s->memsz - s->filesz, error)) {
        return false;
    }
    out->low = MIN(out->low, addr);
    out->high = MAX(out->high, addr + s->memsz);
    return true;
}

static bool is_loadable(const ElfSegment *s)
{
    return s->type == PT_LOAD && s->memsz;
}

/* What is added to the addresses in the file. */
static uint64_t choose_bias(const LoaderFile *file, const ElfHeader *h, uint64_t base)
{
    uint64_t low = UINT64_MAX;
    ElfSegment s;

    for (unsigned i = 0; i < h->phnum; i++) {
        if (read_segment(file, h, i, &s) && is_loadable(&s)) {
            low = MIN(low, s.paddr);
        }
    }
    return h->type == ET_DYN && low == 0 ? base : 0;
}

bool loader_load_elf(const LoaderFile *file, unsigned machine, unsigned bits, uint64_t base,
                     LoaderElf *out, GError **error)
{
    bool entry_is_virtual = false;
    ElfHeader h;
    ElfSegment s;
    uint64_t bias;

    *out = (LoaderElf){ .low = UINT64_MAX };
    if (!read_header(file, &h)) {
        return elf_error(error, file, "no little-endian ELF header");
    }
    if (!check_header(file, &h, machine, bits, error)) {
        return false;
    }
    bias = choose_bias(file, &h, base);
    out->is_64 = h.is_64;
    out->entry = h.entry + bias;
    for (unsigned i = 0; i < h.phnum; i++) {
        if (!read_segment(file, &h, i, &s)) {
            return elf_error(error, file, "the program headers lie outside the file");
        }
        if (!is_loadable(&s)) {
            continue;
        }
        if (!load_segment(file, &s, bias, out, error)) {
            return false;
        }
        if (!entry_is_virtual && s.vaddr != s.paddr && h.entry - s.vaddr < s.memsz) {
            entry_is_virtual = true;
            out->entry = h.entry - s.vaddr + s.paddr + bias;
        }
    }
    return out->high > out->low || elf_error(error, file, "it has nothing to load");
}

/* ---- Symbols and sections ---- */

/* The string at @offset of the string table is @name. */
static bool string_is(const LoaderFile *file, const ElfSection *strings, uint64_t offset,
                      const char *name)
{
    size_t len = strlen(name) + 1;

    return offset < strings->size && len <= strings->size - offset &&
           strings->offset <= file->size && strings->size <= file->size - strings->offset &&
           !memcmp(file->data + strings->offset + offset, name, len);
}

static bool find_in_table(const LoaderFile *file, const ElfHeader *h, const ElfSection *table,
                          const char *name, uint64_t *value)
{
    size_t size = h->is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    ElfSection strings;

    if (!read_section(file, h, table->link, &strings) || table->offset > file->size ||
        table->size > file->size - table->offset) {
        return false;
    }
    for (uint64_t at = table->offset; at + size <= table->offset + table->size; at += size) {
        Elf64_Sym s64 = { 0 };
        Elf32_Sym s32 = { 0 };

        if (h->is_64) {
            take(file, at, &s64, size);
        } else {
            take(file, at, &s32, size);
        }
        if (string_is(file, &strings, h->is_64 ? s64.st_name : s32.st_name, name) &&
            (h->is_64 ? s64.st_shndx : s32.st_shndx) != SHN_UNDEF) {
            *value = h->is_64 ? s64.st_value : s32.st_value;
            return true;
        }
    }
    return false;
}

bool loader_elf_symbol(const LoaderFile *file, const char *name, uint64_t *value)
{
    ElfHeader h;
    ElfSection s;

    if (!read_header(file, &h)) {
        return false;
    }
    for (unsigned i = 0; i < h.shnum; i++) {
        if (read_section(file, &h, i, &s) && s.type == SHT_SYMTAB &&
            find_in_table(file, &h, &s, name, value)) {
            return true;
        }
    }
    return false;
}

bool loader_elf_section(const LoaderFile *file, const char *name, uint64_t *addr, uint64_t *size)
{
    ElfSection s, strings;
    ElfHeader h;

    if (!read_header(file, &h) || !read_section(file, &h, h.shstrndx, &strings)) {
        return false;
    }
    for (unsigned i = 0; i < h.shnum; i++) {
        if (read_section(file, &h, i, &s) && string_is(file, &strings, s.name, name)) {
            *addr = s.addr;
            *size = s.size;
            return true;
        }
    }
    return false;
}
