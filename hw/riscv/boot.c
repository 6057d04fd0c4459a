/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading what a RISC-V machine boots, and where it goes: firmware at the start of RAM, the kernel
 * 2 MiB (RV32: 4 MiB) aligned behind it, the device tree high in the RAM below 3 GiB, the initial
 * RAM disk between the two.
 *
 * Firmware gets its successor through OpenSBI's fw_dynamic information (a2 at its entry): the next
 * stage's address and mode.
 */
#include "hw/riscv/boot.h"
#include <elf.h>
#include <inttypes.h>
#include <string.h>
#include "util/size.h"

enum { MIB = 1 << 20, PAGE = 4096, INITRD_MAX_GAP = 128 * MIB, IMAGE_HEADER = 64 };

/* Of the header of Linux's Image (Documentation/arch/riscv/boot-image-header.rst). */
enum { IMAGE_SIZE = 16, IMAGE_FLAGS = 24, IMAGE_MAGIC2 = 56 };

static bool boot_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool boot_error(GError **error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_propagate_error(error, g_error_new_valist(G_FILE_ERROR, G_FILE_ERROR_FAILED, format, args));
    va_end(args);
    return false;
}

static uint64_t align_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) & ~(to - 1);
}

static uint64_t kernel_align(const RvBoot *boot)
{
    return boot->xlen == 64 ? 2 * MIB : 4 * MIB;
}

static void keep_elf(RvBoot *boot, LoaderFile *file)
{
    loader_file_free(boot->elf);
    boot->elf = file;
}

void rv_boot_clear(RvBoot *boot)
{
    keep_elf(boot, NULL);
}

bool rv_boot_check(const RvBoot *boot, GError **error)
{
    const HwMachineConfig *config = &boot->machine->config;

    if (config->initrd && !config->kernel) {
        return boot_error(error, "-initrd %s: only goes with -kernel", config->initrd);
    }
    if (config->append && !config->kernel) {
        return boot_error(error, "-append: only goes with -kernel");
    }
    return true;
}

/* ---- Firmware ---- */

/* Where the OpenSBI of this register width may lie. */
static char *find_opensbi(const RvBoot *boot)
{
    static const char *const names64[] = { "fw_dynamic.bin",
                                           "opensbi/fw_dynamic.bin",
                                           "riscv64/fw_dynamic.bin",
                                           "images/riscv64/fw_dynamic.bin",
                                           "opensbi-riscv64-generic-fw_dynamic.bin",
                                           NULL };
    static const char *const names32[] = { "riscv32/fw_dynamic.bin",
                                           "images/riscv32/fw_dynamic.bin",
                                           "opensbi-riscv32-generic-fw_dynamic.bin", NULL };
    static const char *const system64[] = { "/usr/lib/riscv64-linux-gnu/opensbi/generic",
                                            "/usr/share/opensbi/lp64/generic/firmware",
                                            "/usr/share/qemu", NULL };
    static const char *const system32[] = { "/usr/lib/riscv32-linux-gnu/opensbi/generic",
                                            "/usr/share/opensbi/ilp32/generic/firmware",
                                            "/usr/share/qemu", NULL };
    const char *const *names = boot->xlen == 64 ? names64 : names32;

    for (; *names; names++) {
        char *path = loader_find_data(*names, boot->machine->config.data_dirs,
                                      boot->xlen == 64 ? system64 : system32);

        if (path) {
            return path;
        }
    }
    return NULL;
}

/* The file of -bios NAME: as given, or a data file of that name. */
static char *find_bios(const RvBoot *boot, const char *name)
{
    char *path = g_file_test(name, G_FILE_TEST_EXISTS)
                     ? NULL
                     : loader_find_data(name, boot->machine->config.data_dirs, NULL);

    return path ? path : g_strdup(name);
}

static bool load_firmware_file(RvBoot *boot, const char *path, GError **error)
{
    g_autoptr(LoaderFile) file = loader_file_read(path, boot->ram_size, error);
    bool unwrapped;
    LoaderElf elf;
    size_t size;

    if (!file || !loader_unwrap(file, boot->ram_size, &unwrapped, error)) {
        return false;
    }
    if (loader_is_elf(file)) {
        if (!loader_load_elf(file, EM_RISCV, boot->xlen, boot->ram_base, &elf, error)) {
            return false;
        }
        boot->start = elf.entry;
        boot->firmware_end = elf.low >= boot->ram_base ? elf.high : boot->ram_base;
        keep_elf(boot, g_steal_pointer(&file));
        return true;
    }
    size = file->size;
    boot->start = boot->ram_base;
    boot->firmware_end = boot->ram_base + size;
    return loader_add_blob(path, boot->ram_base, g_steal_pointer(&file->data), size, 0, error);
}

bool rv_boot_firmware(RvBoot *boot, GError **error)
{
    const char *bios = boot->machine->config.bios;
    g_autofree char *path = NULL;

    boot->start = boot->ram_base;
    boot->firmware_end = boot->ram_base;
    if (bios ? !strcmp(bios, "none") : !boot->default_firmware) {
        return true;
    }
    if (bios && strcmp(bios, "default") != 0) {
        path = find_bios(boot, bios);
    } else {
        path = find_opensbi(boot);
        if (!path) {
            return boot_error(error,
                              "-bios default: OpenSBI for riscv%u (fw_dynamic.bin) was not found: "
                              "install Debian's package opensbi, "
                              "put the file into ~/.cache/menura or a directory named by -L, or "
                              "choose -bios FILE or -bios none",
                              boot->xlen);
        }
    }
    if (!load_firmware_file(boot, path, error)) {
        g_prefix_error(error, "-bios: ");
        return false;
    }
    boot->has_firmware = true;
    return true;
}

/* ---- Kernel ---- */

static uint64_t le64_at(const LoaderFile *file, size_t offset)
{
    uint64_t v;

    memcpy(&v, file->data + offset, sizeof(v));
    return GUINT64_FROM_LE(v);
}

static bool magic_at(const LoaderFile *file, size_t offset, const char *magic)
{
    size_t len = strlen(magic);

    return file->size >= offset + len && !memcmp(file->data + offset, magic, len);
}

static bool is_image(const LoaderFile *file)
{
    return file->size >= IMAGE_HEADER && magic_at(file, IMAGE_MAGIC2, "RSC\x05");
}

/* Well-known files that are no RISC-V kernels. NULL: could be anything. */
static const char *known_misfit(const LoaderFile *file)
{
    if (magic_at(file, 56, "ARM\x64")) {
        return "a kernel for arm64";
    }
    if (magic_at(file, 0x202, "HdrS")) {
        return "a kernel for x86";
    }
    if (magic_at(file, 0, "\xfd\x37zXZ")) {
        return "compressed with xz, which is not supported";
    }
    if (magic_at(file, 0, "BZh")) {
        return "compressed with bzip2, which is not supported";
    }
    if (magic_at(file, 0, "\x02\x21\x4c\x18")) {
        return "compressed with lz4, which is not supported";
    }
    if (magic_at(file, 0, "MZ")) {
        return "an EFI program without the header of a RISC-V kernel: firmware can start it from a "
               "disk";
    }
    return NULL;
}

static bool check_kernel_room(const RvBoot *boot, const LoaderFile *file, uint64_t need,
                              GError **error)
{
    g_autofree char *size = size_format(need), *ram = size_format(boot->ram_size);

    if (need > boot->fdt_addr - boot->kernel_start || boot->kernel_start >= boot->fdt_addr) {
        return boot_error(error,
                          "%s: the kernel needs %s at %#" PRIx64
                          ", more than fits into %s of RAM; give more with -m",
                          file->name, size, boot->kernel_start, ram);
    }
    return true;
}

/* An Image or a raw binary of @size bytes, to the aligned place behind the firmware. @file may be only its beginning. */
static bool load_flat_kernel(RvBoot *boot, LoaderFile *file, uint64_t size, GError **error)
{
    uint64_t need = size;

    boot->kernel_start = align_up(boot->firmware_end, kernel_align(boot));
    if (is_image(file)) {
        need = MAX(need, le64_at(file, IMAGE_SIZE));
        if (le64_at(file, IMAGE_FLAGS) & 1) {
            return boot_error(error, "%s: a big-endian kernel; these CPUs are little-endian",
                              file->name);
        }
    } else if (known_misfit(file)) {
        return boot_error(error, "%s: %s", file->name, known_misfit(file));
    } else {
        boot->raw_kernel = true;
    }
    if (!check_kernel_room(boot, file, need, error)) {
        return false;
    }
    boot->next = boot->kernel_start;
    boot->kernel_end = boot->kernel_start + need;
    if (file->size < size) {
        return loader_add_file(file->name, boot->kernel_start, size, error);
    }
    return loader_add_blob(file->name, boot->kernel_start, g_steal_pointer(&file->data), size, 0,
                           error);
}

static bool load_kernel_file(RvBoot *boot, const char *path, GError **error)
{
    uint64_t size;
    g_autoptr(LoaderFile) head = loader_file_peek(path, boot->ram_size, &size, error);
    g_autoptr(LoaderFile) file = NULL;
    bool unwrapped;
    LoaderElf elf;

    if (!head) {
        return false;
    }
    if (is_image(head)) {
        return load_flat_kernel(boot, head, size, error);
    }
    file = loader_file_read(path, boot->ram_size, error);
    if (!file || !loader_unwrap(file, boot->ram_size, &unwrapped, error)) {
        return false;
    }
    if (!loader_is_elf(file)) {
        return load_flat_kernel(boot, file, file->size, error);
    }
    if (!loader_load_elf(file, EM_RISCV, boot->xlen,
                         align_up(boot->firmware_end, kernel_align(boot)), &elf, error)) {
        return false;
    }
    boot->next = elf.entry;
    boot->kernel_start = elf.low;
    boot->kernel_end = elf.high;
    keep_elf(boot, g_steal_pointer(&file));
    return true;
}

bool rv_boot_kernel(RvBoot *boot, GError **error)
{
    const char *path = boot->machine->config.kernel;

    if (!path) {
        return true;
    }
    if (!load_kernel_file(boot, path, error)) {
        g_prefix_error(error, "-kernel: ");
        return false;
    }
    if (!boot->has_firmware) {
        boot->start = boot->next;
    }
    return true;
}

bool rv_boot_initrd(RvBoot *boot, GError **error)
{
    const char *path = boot->machine->config.initrd;
    g_autoptr(LoaderFile) head = NULL;
    uint64_t free_start = align_up(MAX(boot->kernel_end, boot->ram_base), PAGE), start;
    uint64_t room = boot->fdt_addr > free_start ? boot->fdt_addr - free_start : 0;
    uint64_t size;

    if (!path) {
        return true;
    }
    head = loader_file_peek(path, UINT32_MAX, &size, error);
    if (!head) {
        g_prefix_error(error, "-initrd: ");
        return false;
    }
    if (align_up(size, PAGE) > room) {
        g_autofree char *need = size_format(size), *have = size_format(room);

        return boot_error(
            error,
            "-initrd: %s: has %s, but only %s of RAM are free behind the kernel; give more with -m",
            path, need, have);
    }
    /* Away from the kernel, whose image does not always tell its whole size, as far as there is
     * room. */
    start = align_up(MAX(free_start, boot->kernel_start + MIN(boot->ram_size / 2, INITRD_MAX_GAP)),
                     PAGE);
    start = MIN(start, boot->fdt_addr - align_up(size, PAGE));
    boot->initrd_start = start;
    boot->initrd_end = start + size;
    return loader_add_file(path, start, size, error);
}

/* ---- Reset vector ---- */

enum { T0 = 5, A0 = 10, A1 = 11, A2 = 12, CSR_MHARTID = 0xf14, N_INSNS = 6 };

static uint32_t insn_load(const RvBoot *boot, unsigned rd, unsigned rs1, unsigned offset)
{
    unsigned width = boot->xlen == 64 ? 3 : 2;

    return offset << 20 | rs1 << 15 | width << 12 | rd << 7 | 0x03;
}

static void append_word(const RvBoot *boot, GByteArray *out, uint64_t value)
{
    uint64_t le = GUINT64_TO_LE(value);

    g_byte_array_append(out, (const uint8_t *)&le, boot->xlen / 8);
}

/* a0 = hart id, a1 = device tree, a2 = fw_dynamic information, jump to start. */
bool rv_boot_reset_vector(RvBoot *boot, uint64_t mrom, GError **error)
{
    enum { START = N_INSNS * 4, FW_DYNAMIC_MAGIC = 0x4942534f, FW_DYNAMIC_VERSION = 2, MODE_S = 1 };
    unsigned word = boot->xlen / 8, dtb = START + word, info = dtb + word;
    const uint32_t code[N_INSNS] = {
        T0 << 7 | 0x17,                                         /* auipc t0, 0 */
        info << 20 | T0 << 15 | A2 << 7 | 0x13,                 /* addi a2, t0, info */
        (uint32_t)CSR_MHARTID << 20 | 2 << 12 | A0 << 7 | 0x73, /* csrr a0, mhartid */
        insn_load(boot, A1, T0, dtb),
        insn_load(boot, T0, T0, START),
        T0 << 15 | 0x67, /* jr t0 */
    };
    const uint64_t fw_dynamic[] = {
        FW_DYNAMIC_MAGIC, FW_DYNAMIC_VERSION, boot->next, MODE_S, 0, 0
    };
    g_autoptr(GByteArray) out = g_byte_array_new();
    unsigned len;

    for (unsigned i = 0; i < N_INSNS; i++) {
        uint32_t le = GUINT32_TO_LE(code[i]);

        g_byte_array_append(out, (const uint8_t *)&le, sizeof(le));
    }
    append_word(boot, out, boot->start);
    append_word(boot, out, boot->fdt_addr);
    for (unsigned i = 0; i < G_N_ELEMENTS(fw_dynamic); i++) {
        append_word(boot, out, fw_dynamic[i]);
    }
    len = out->len;
    if (boot->raw_kernel) { /* said only once nothing else is wrong */
        g_printerr("menura: -kernel %s: neither ELF nor a Linux image; loaded as it is at %#" PRIx64
                   "\n",
                   boot->machine->config.kernel, boot->kernel_start);
    }
    return loader_add_blob("reset vector", mrom, g_byte_array_free(g_byte_array_ref(out), FALSE),
                           len, 0, error);
}
