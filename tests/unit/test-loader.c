/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest image loaders: ELF of both classes, Linux images plain and wrapped (gzip, zstd, zboot),
 * placement of kernel and initial RAM disk, and the promise that a broken file is an error which
 * names it: every truncation and thousands of seeded mutations.
 */
#include <elf.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include "hw/core/loader.h"
#include "hw/riscv/boot.h"
#include "softmmu/memory.h"

#define RAM_BASE 0x80000000ull
enum { RAM_SIZE = 16 << 20, MIB = 1 << 20 };

static MemoryRegion ram;
static char *dir;

/* ---- Making files ---- */

static void put(GByteArray *out, size_t offset, const void *data, size_t size)
{
    if (out->len < offset + size) {
        size_t old = out->len;

        g_byte_array_set_size(out, (guint)(offset + size));
        memset(out->data + old, 0, offset + size - old);
    }
    memcpy(out->data + offset, data, size);
}

/* An executable with one segment of 16 bytes and 32 of .bss, and the symbol tohost = 0x80001000. */
static GByteArray *make_elf(bool is_64, uint64_t addr)
{
    enum { CODE = 0x200, SYMS = 0x300, STRINGS = 0x400, SECTIONS = 0x500 };
    static const char strings[] = "\0tohost\0.tohost\0";
    GByteArray *out = g_byte_array_new();

    if (is_64) {
        Elf64_Ehdr e = { .e_ident = ELFMAG "\2\1\1",
                         .e_type = ET_EXEC,
                         .e_machine = EM_RISCV,
                         .e_entry = addr + 4,
                         .e_phoff = 0x40,
                         .e_shoff = SECTIONS,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = 4,
                         .e_shstrndx = 2 };
        Elf64_Phdr p = { .p_type = PT_LOAD,
                         .p_offset = CODE,
                         .p_vaddr = addr,
                         .p_paddr = addr,
                         .p_filesz = 16,
                         .p_memsz = 48 };
        Elf64_Sym syms[2] = { { 0 }, { .st_name = 1, .st_shndx = 3, .st_value = 0x80001000 } };
        Elf64_Shdr s[4] = {
            { 0 },
            { .sh_type = SHT_SYMTAB, .sh_offset = SYMS, .sh_size = sizeof(syms), .sh_link = 2 },
            { .sh_type = SHT_STRTAB, .sh_offset = STRINGS, .sh_size = sizeof(strings) },
            { .sh_name = 8, .sh_type = SHT_PROGBITS, .sh_addr = 0x80001000, .sh_size = 0x48 },
        };

        put(out, 0, &e, sizeof(e));
        put(out, 0x40, &p, sizeof(p));
        put(out, SYMS, syms, sizeof(syms));
        put(out, SECTIONS, s, sizeof(s));
    } else {
        Elf32_Ehdr e = { .e_ident = ELFMAG "\1\1\1",
                         .e_type = ET_EXEC,
                         .e_machine = EM_RISCV,
                         .e_entry = (Elf32_Addr)addr + 4,
                         .e_phoff = 0x40,
                         .e_shoff = SECTIONS,
                         .e_phentsize = sizeof(Elf32_Phdr),
                         .e_phnum = 1,
                         .e_shentsize = sizeof(Elf32_Shdr),
                         .e_shnum = 4,
                         .e_shstrndx = 2 };
        Elf32_Phdr p = { .p_type = PT_LOAD,
                         .p_offset = CODE,
                         .p_vaddr = (Elf32_Addr)addr,
                         .p_paddr = (Elf32_Addr)addr,
                         .p_filesz = 16,
                         .p_memsz = 48 };
        Elf32_Sym syms[2] = { { 0 }, { .st_name = 1, .st_shndx = 3, .st_value = 0x80001000 } };
        Elf32_Shdr s[4] = {
            { 0 },
            { .sh_type = SHT_SYMTAB, .sh_offset = SYMS, .sh_size = sizeof(syms), .sh_link = 2 },
            { .sh_type = SHT_STRTAB, .sh_offset = STRINGS, .sh_size = sizeof(strings) },
            { .sh_name = 8, .sh_type = SHT_PROGBITS, .sh_addr = 0x80001000, .sh_size = 0x48 },
        };

        put(out, 0, &e, sizeof(e));
        put(out, 0x40, &p, sizeof(p));
        put(out, SYMS, syms, sizeof(syms));
        put(out, SECTIONS, s, sizeof(s));
    }
    put(out, CODE, "0123456789abcdef", 16);
    put(out, STRINGS, strings, sizeof(strings));
    return out;
}

/* A Linux Image of @size bytes that says it needs @image_size. */
static GByteArray *make_image(size_t size, uint64_t image_size)
{
    GByteArray *out = g_byte_array_new();
    uint64_t offset = 0x200000;

    g_byte_array_set_size(out, (guint)size);
    memset(out->data, 0x13, size);
    put(out, 8, &offset, 8);
    put(out, 16, &image_size, 8);
    put(out, 24, &(uint64_t){ 0 }, 8);
    put(out, 48, "RISCV\0\0\0RSC\x05", 12);
    return out;
}

static GByteArray *gzip(const GByteArray *in)
{
    g_autoptr(GZlibCompressor) zlib = g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 6);
    GByteArray *out = g_byte_array_new();
    gsize used, made;

    g_byte_array_set_size(out, in->len + 1000);
    g_assert_cmpint(g_converter_convert(G_CONVERTER(zlib), in->data, in->len, out->data, out->len,
                                        G_CONVERTER_INPUT_AT_END, &used, &made, NULL),
                    ==, G_CONVERTER_FINISHED);
    g_byte_array_set_size(out, (guint)made);
    return out;
}

static GByteArray *zboot(const GByteArray *payload, const char *type)
{
    GByteArray *out = g_byte_array_new();
    uint32_t where[2] = { 0x100, payload->len };

    put(out, 0, "MZ\0\0zimg", 8);
    put(out, 8, where, 8);
    put(out, 24, type, strlen(type) + 1);
    put(out, 0x100, payload->data, payload->len);
    return out;
}

static LoaderFile *as_file(const GByteArray *bytes)
{
    return loader_file_from("test.img", bytes->data, bytes->len);
}

static char *save(const char *name, const GByteArray *bytes)
{
    char *path = g_build_filename(dir, name, NULL);

    g_assert_true(g_file_set_contents(path, (const char *)bytes->data, bytes->len, NULL));
    return path;
}

static void names_file(const GError *error, const char *file)
{
    g_assert_nonnull(error);
    if (!strstr(error->message, file)) {
        g_error("the message does not name %s: %s", file, error->message);
    }
}

/* ---- ELF ---- */

static void check_elf(bool is_64)
{
    g_autoptr(GByteArray) bytes = make_elf(is_64, RAM_BASE + 0x100);
    g_autoptr(LoaderFile) file = as_file(bytes);
    g_autoptr(GError) error = NULL;
    uint64_t addr, size;
    LoaderElf elf;
    char mem[48];

    memory_write(RAM_BASE + 0x100, "################################################", 48);
    g_assert_true(loader_load_elf(file, EM_RISCV, is_64 ? 64 : 32, RAM_BASE, &elf, NULL));
    g_assert_cmphex(elf.entry, ==, RAM_BASE + 0x104);
    g_assert_cmphex(elf.low, ==, RAM_BASE + 0x100);
    g_assert_cmphex(elf.high, ==, RAM_BASE + 0x130);
    loader_reset();
    memory_read(RAM_BASE + 0x100, mem, 48);
    g_assert_cmpmem(mem, 16, "0123456789abcdef", 16);
    g_assert_cmpint(mem[16], ==, 0);
    g_assert_cmpint(mem[47], ==, 0);
    g_assert_true(loader_elf_symbol(file, "tohost", &addr));
    g_assert_cmphex(addr, ==, 0x80001000);
    g_assert_false(loader_elf_symbol(file, "fromhost", &addr));
    g_assert_true(loader_elf_section(file, ".tohost", &addr, &size));
    g_assert_cmphex(addr, ==, 0x80001000);
    g_assert_cmphex(size, ==, 0x48);
    /* Loaded twice it overlaps itself; the other width and another processor are refused. */
    g_assert_false(loader_load_elf(file, EM_RISCV, is_64 ? 64 : 32, RAM_BASE, &elf, &error));
    names_file(error, "test.img");
    g_clear_error(&error);
    loader_clear();
    g_assert_false(loader_load_elf(file, EM_RISCV, is_64 ? 32 : 64, RAM_BASE, &elf, &error));
    names_file(error, "test.img");
    g_clear_error(&error);
    g_assert_false(loader_load_elf(file, EM_ARM, is_64 ? 64 : 32, RAM_BASE, &elf, &error));
    names_file(error, "test.img");
}

static void test_elf64(void)
{
    check_elf(true);
}

static void test_elf32(void)
{
    check_elf(false);
}

static void test_elf_outside(void)
{
    static const uint64_t addrs[] = { 0, RAM_BASE - 4, RAM_BASE + RAM_SIZE - 20, UINT64_MAX - 10 };

    for (unsigned i = 0; i < G_N_ELEMENTS(addrs); i++) {
        g_autoptr(GByteArray) bytes = make_elf(true, addrs[i]);
        g_autoptr(LoaderFile) file = as_file(bytes);
        g_autoptr(GError) error = NULL;
        LoaderElf elf;

        g_assert_false(loader_load_elf(file, EM_RISCV, 64, RAM_BASE, &elf, &error));
        names_file(error, "test.img");
        loader_clear();
    }
}

static void test_elf_pie(void)
{
    g_autoptr(GByteArray) bytes = make_elf(true, 0);
    g_autoptr(LoaderFile) file = as_file(bytes);
    LoaderElf elf;

    ((Elf64_Ehdr *)file->data)->e_type = ET_DYN;
    g_assert_true(loader_load_elf(file, EM_RISCV, 64, RAM_BASE, &elf, NULL));
    g_assert_cmphex(elf.low, ==, RAM_BASE);
    g_assert_cmphex(elf.entry, ==, RAM_BASE + 4);
    loader_clear();
}

/* ---- Wrappings ---- */

static void check_unwrap(const GByteArray *wrapped, const GByteArray *plain)
{
    g_autoptr(LoaderFile) file = as_file(wrapped);
    bool changed;

    g_assert_true(loader_unwrap(file, RAM_SIZE, &changed, NULL));
    g_assert_true(changed);
    g_assert_cmpmem(file->data, file->size, plain->data, plain->len);
}

static void refuse_unwrap(const GByteArray *wrapped, uint64_t max, const char *text)
{
    g_autoptr(LoaderFile) file = as_file(wrapped);
    g_autoptr(GError) error = NULL;
    bool changed;

    g_assert_false(loader_unwrap(file, max, &changed, &error));
    names_file(error, "test.img");
    g_assert_nonnull(strstr(error->message, text));
}

static void test_unwrap(void)
{
    g_autoptr(GByteArray) image = make_image(3 * MIB, 3 * MIB), gz = gzip(image), gzgz = gzip(gz);
    g_autoptr(GByteArray) z = zboot(gz, "gzip"), zlz4 = zboot(gz, "lz4"), cut = zboot(gz, "gzip"),
                          zempty = zboot(image, "zstd22");
    g_autoptr(LoaderFile) plain = as_file(image);
    bool changed;

    g_assert_true(loader_unwrap(plain, RAM_SIZE, &changed, NULL));
    g_assert_false(changed);
    check_unwrap(gz, image);
    check_unwrap(gzgz, image);
    check_unwrap(z, image);
    refuse_unwrap(zlz4, RAM_SIZE, "lz4");
    refuse_unwrap(gz, MIB, "larger");
    refuse_unwrap(zempty, RAM_SIZE, "zstd");
    g_byte_array_set_size(cut, cut->len - 10);
    refuse_unwrap(cut, RAM_SIZE, "truncated");
    g_byte_array_set_size(gz, gz->len / 2);
    refuse_unwrap(gz, RAM_SIZE, "truncated");
}

/* ---- Placement ---- */

static HwMachine machine;

static RvBoot new_boot(const char *kernel, const char *initrd, const char *bios)
{
    machine.config = (HwMachineConfig){ .kernel = kernel, .initrd = initrd, .bios = bios };
    loader_clear();
    return (RvBoot){ .machine = &machine,
                     .xlen = 64,
                     .ram_base = RAM_BASE,
                     .ram_size = RAM_SIZE,
                     .fdt_addr = RAM_BASE + RAM_SIZE - 2 * MIB,
                     .default_firmware = true };
}

static void test_image(void)
{
    g_autoptr(GByteArray) image = make_image(MIB, 3 * MIB), disk = make_image(2 * MIB, 0);
    g_autofree char *kernel = save("Image", image), *initrd = save("initrd", disk);
    RvBoot boot = new_boot(kernel, initrd, "none");
    uint64_t word;

    g_assert_true(rv_boot_firmware(&boot, NULL) && rv_boot_kernel(&boot, NULL) &&
                  rv_boot_initrd(&boot, NULL));
    g_assert_cmphex(boot.start, ==, RAM_BASE);
    g_assert_cmphex(boot.kernel_end, ==, RAM_BASE + 3 * MIB);
    g_assert_cmphex(boot.initrd_start, >=, boot.kernel_end);
    g_assert_cmphex(boot.initrd_end, <=, boot.fdt_addr);
    g_assert_cmphex(boot.initrd_end - boot.initrd_start, ==, 2 * MIB);
    g_assert_true(rv_boot_reset_vector(&boot, RAM_BASE + RAM_SIZE - 4096, NULL));
    loader_reset();
    memory_load(RAM_BASE + 48, 8, &word);
    g_assert_cmphex(word, ==, GUINT64_FROM_LE(0x5643534952ull));
    memory_load(RAM_BASE + RAM_SIZE - 4096 + 24, 8, &word);
    g_assert_cmphex(word, ==, RAM_BASE);
    memory_load(RAM_BASE + RAM_SIZE - 4096 + 40, 8, &word);
    g_assert_cmphex(word, ==, 0x4942534f);
    rv_boot_clear(&boot);
}

static GString *said;

static void note(const char *text)
{
    g_string_append(said, text);
}

static void check_ram(uint64_t addr, const GByteArray *bytes, size_t size)
{
    g_autofree uint8_t *mem = g_malloc(size);

    memory_read(addr, mem, size);
    g_assert_cmpmem(mem, size, bytes->data, size);
}

/* Each reset reads the file again, and says so if it is no longer what it was. */
static void test_file(void)
{
    enum { SIZE = 3 * MIB + 5 };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree char *path = NULL;
    GPrintFunc old = g_set_printerr_handler(note);
    uint64_t size;
    LoaderFile *head;

    loader_clear();
    said = g_string_new(NULL);
    for (unsigned i = 0; i < SIZE; i++) {
        uint8_t byte = (uint8_t)(i * 7 + i / 4096);

        g_byte_array_append(bytes, &byte, 1);
    }
    path = save("big", bytes);
    head = loader_file_peek(path, SIZE, &size, NULL);
    g_assert_cmpuint(size, ==, SIZE);
    g_assert_cmpmem(head->data, head->size, bytes->data, 4096);
    loader_file_free(head);
    g_assert_true(loader_add_file(path, RAM_BASE + 123, SIZE, NULL));
    g_assert_false(loader_add_file(path, RAM_BASE + MIB, SIZE, NULL)); /* overlaps */
    loader_reset();
    check_ram(RAM_BASE + 123, bytes, SIZE);
    memory_write(RAM_BASE + 2 * MIB, "changed", 7);
    loader_reset();
    check_ram(RAM_BASE + 123, bytes, SIZE);
    g_assert_cmpstr(said->str, ==, "");
    g_assert_cmpint(truncate(path, MIB), ==, 0);
    loader_reset();
    check_ram(RAM_BASE + 123, bytes, SIZE);
    g_assert_nonnull(strstr(said->str, "big: was changed"));
    g_assert_nonnull(strstr(said->str, "big: cannot be read into the machine: it became shorter"));
    g_string_free(said, TRUE);
    g_set_printerr_handler(old);
    loader_clear();
}

static void test_behind_firmware(void)
{
    g_autoptr(GByteArray) image = make_image(MIB, MIB), firmware = make_image(300000, 0);
    g_autofree char *kernel = save("Image", image), *bios = save("fw.bin", firmware);
    RvBoot boot = new_boot(kernel, NULL, bios);

    g_assert_true(rv_boot_firmware(&boot, NULL) && rv_boot_kernel(&boot, NULL) &&
                  rv_boot_initrd(&boot, NULL));
    g_assert_cmphex(boot.start, ==, RAM_BASE);
    g_assert_cmphex(boot.next, ==, RAM_BASE + 2 * MIB);
    boot = new_boot(kernel, NULL, bios);
    boot.xlen = 32;
    g_assert_true(rv_boot_firmware(&boot, NULL) && rv_boot_kernel(&boot, NULL));
    g_assert_cmphex(boot.next, ==, RAM_BASE + 4 * MIB);
    rv_boot_clear(&boot);
}

/* The step that has to fail with an error naming @file. */
static void refuse_boot(RvBoot boot, const char *file, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(rv_boot_check(&boot, &error) && rv_boot_firmware(&boot, &error) &&
                   rv_boot_kernel(&boot, &error) && rv_boot_initrd(&boot, &error));
    names_file(error, file);
    g_assert_nonnull(strstr(error->message, text));
    rv_boot_clear(&boot);
}

static void test_refused(void)
{
    g_autoptr(GByteArray) image = make_image(MIB, MIB), big = make_image(14 * MIB, 0),
                          hungry = make_image(MIB, 20 * MIB);
    g_autoptr(GByteArray) be = make_image(MIB, MIB), arm = make_image(MIB, MIB),
                          empty = g_byte_array_new();
    g_autofree char *kernel = save("Image", image), *initrd = save("initrd", big),
                    *needs = save("hungry", hungry);
    g_autofree char *be_file = NULL, *arm_file = NULL, *empty_file = save("empty", empty);

    be->data[24] = 1;
    be_file = save("be", be);
    memcpy(arm->data + 56, "ARM\x64", 4);
    arm_file = save("arm", arm);
    refuse_boot(new_boot(kernel, initrd, "none"), initrd, "-m");
    refuse_boot(new_boot(needs, NULL, "none"), needs, "-m");
    refuse_boot(new_boot(be_file, NULL, "none"), be_file, "big-endian");
    refuse_boot(new_boot(arm_file, NULL, "none"), arm_file, "arm64");
    refuse_boot(new_boot(empty_file, NULL, "none"), empty_file, "empty");
    refuse_boot(new_boot(dir, NULL, "none"), dir, "directory");
    refuse_boot(new_boot("/nowhere/Image", NULL, "none"), "/nowhere/Image", "No such file");
    refuse_boot(new_boot(kernel, "/nowhere/initrd", "none"), "/nowhere/initrd", "-initrd");
    refuse_boot(new_boot(kernel, NULL, "/nowhere/fw"), "/nowhere/fw", "-bios");
    refuse_boot(new_boot("/dev/zero", NULL, "none"), "/dev/zero", "regular");
    refuse_boot(new_boot(NULL, initrd, "none"), initrd, "-kernel");
}

/* ---- Mutation ---- */

/* Everything that looks at a file. Whether it is taken does not matter; an error must name it. */
static void swallow(const uint8_t *data, size_t size)
{
    g_autoptr(LoaderFile) file = loader_file_from("test.img", data, size);
    g_autoptr(GError) error = NULL;
    uint64_t a, b;
    bool changed;
    LoaderElf elf;

    if (loader_unwrap(file, 4 * MIB, &changed, &error)) {
        loader_elf_symbol(file, "tohost", &a);
        loader_elf_section(file, ".tohost", &a, &b);
        if (loader_load_elf(file, EM_RISCV, 64, RAM_BASE, &elf, &error)) {
            loader_reset();
        }
    }
    if (error) {
        names_file(error, "test.img");
    }
    loader_clear();
}

static void mutate(const GByteArray *good, unsigned seed, unsigned rounds, unsigned span)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

    for (unsigned i = 0; i < rounds; i++) {
        g_autofree uint8_t *bad = g_memdup2(good->data, good->len);
        size_t size = g_rand_int_range(rand, 0, 4)
                          ? good->len
                          : (size_t)g_rand_int_range(rand, 0, (int)good->len);

        for (int k = g_rand_int_range(rand, 1, 5); k; k--) {
            unsigned at = (unsigned)g_rand_int_range(rand, 0, (int)MIN(span, good->len));

            bad[at] = g_rand_boolean(rand) ? 0xff : (uint8_t)g_rand_int(rand);
        }
        swallow(bad, size);
    }
}

static void test_mutation(void)
{
    g_autoptr(GByteArray) elf64 = make_elf(true, RAM_BASE), elf32 = make_elf(false, RAM_BASE);
    g_autoptr(GByteArray) image = make_image(20000, 30000), gz = gzip(elf64), z = zboot(gz, "gzip");

    for (size_t n = 0; n < elf64->len; n++) {
        swallow(elf64->data, n);
    }
    for (size_t n = 0; n < gz->len; n++) {
        swallow(gz->data, n);
    }
    mutate(elf64, 1, 8000, UINT_MAX);
    mutate(elf64, 2, 8000, 0x80);
    mutate(elf32, 3, 8000, 0x80);
    mutate(image, 4, 1000, 64);
    mutate(gz, 5, 4000, UINT_MAX);
    mutate(z, 6, 4000, 64);
}

int main(int argc, char **argv)
{
    g_autofree char *cleanup = NULL;
    int status;

    g_test_init(&argc, &argv, NULL);
    g_assert_true(memory_init(RAM_SIZE, NULL));
    g_assert_true(memory_region_init_ram(&ram, "ram", RAM_SIZE, NULL));
    memory_region_add(memory_system(), RAM_BASE, &ram, 0);
    memory_commit();
    dir = g_dir_make_tmp("menura-loader-XXXXXX", NULL);
    g_test_add_func("/loader/elf64", test_elf64);
    g_test_add_func("/loader/elf32", test_elf32);
    g_test_add_func("/loader/elf-outside", test_elf_outside);
    g_test_add_func("/loader/elf-pie", test_elf_pie);
    g_test_add_func("/loader/unwrap", test_unwrap);
    g_test_add_func("/loader/image", test_image);
    g_test_add_func("/loader/file", test_file);
    g_test_add_func("/loader/behind-firmware", test_behind_firmware);
    g_test_add_func("/loader/refused", test_refused);
    g_test_add_func("/loader/mutation", test_mutation);
    status = g_test_run();
    cleanup = g_strdup_printf("rm -rf %s", dir);
    return system(cleanup) ? 1 : status;
}
