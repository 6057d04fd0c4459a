/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading guest images: files are read and checked once; what they put into guest memory is kept as
 * blobs that every reset writes again, so that a rebooted guest finds fresh images. Any file may be
 * garbage: each function either understands it or fails with an error naming the file and what is
 * wrong with it.
 */
#ifndef HW_CORE_LOADER_H
#define HW_CORE_LOADER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Files ---- */

typedef struct LoaderFile {
    char *name;
    uint8_t *data; /* followed by a zero byte */
    size_t size;
} LoaderFile;

/* Reads the regular file @name of 1 to @max bytes. */
LoaderFile *loader_file_read(const char *name, uint64_t max, GError **error);
/* The first bytes of such a file, 4 KiB if it has them; its whole size in *@size. */
LoaderFile *loader_file_peek(const char *name, uint64_t max, uint64_t *size, GError **error);
/* A file of these bytes (tests); @data is copied. */
LoaderFile *loader_file_from(const char *name, const void *data, size_t size);
void loader_file_free(LoaderFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(LoaderFile, loader_file_free)

/* The full path of the data file @name: in @dirs, beside the program (../share/menura), in
 * $MENURA_GUESTS or ~/.cache/menura, then in @system_dirs (all lists NULL-terminated, may be
 * NULL). NULL: nowhere. */
char *loader_find_data(const char *name, const char *const *dirs, const char *const *system_dirs);

/* ---- Blobs ---- */

/* Keeps @size bytes of @data (taken over, g_free) followed by @zeroes zero bytes for
 * guest-physical @addr. Fails unless it is all RAM or ROM, or if it overlaps an earlier blob;
 * the error begins with @name (copied). */
bool loader_add_blob(const char *name, uint64_t addr, uint8_t *data, size_t size, uint64_t zeroes,
                     GError **error);
/* The same for the first @size bytes of the file @name, which are read at each reset, straight to where they belong: it stays open, and nothing
 * of it in memory. Only to RAM. (Mapped, a file that is written meanwhile would change the running guest.) */
bool loader_add_file(const char *name, uint64_t addr, size_t size, GError **error);
/* Writes all blobs into guest memory; says so if a file cannot be read any more. */
void loader_reset(void);
/* Forgets all blobs (tests). */
void loader_clear(void);

/* ---- ELF ---- */

typedef struct LoaderElf {
    uint64_t entry;
    uint64_t low, high; /* physical addresses: first byte, and one past the last (with .bss) */
    bool is_64;
} LoaderElf;

bool loader_is_elf(const LoaderFile *file);
/* Loads the segments of a little-endian executable for @machine (EM_RISCV) at their physical
 * addresses, a position-independent one that is linked at 0 at @base. @bits 32 or 64: what it
 * must be. */
bool loader_load_elf(const LoaderFile *file, unsigned machine, unsigned bits, uint64_t base,
                     LoaderElf *out, GError **error);
/* The value of the first symbol @name; false: no such symbol (or no usable symbol table). */
bool loader_elf_symbol(const LoaderFile *file, const char *name, uint64_t *value);
/* Address and size of the section @name. */
bool loader_elf_section(const LoaderFile *file, const char *name, uint64_t *addr, uint64_t *size);

/* ---- Compressed and wrapped images ---- */

/* Takes gzip and EFI zboot wrappings off, as many as there are (at most 4), in place. *@changed:
 * there were some. Fails when the contents are broken, the compression is not supported or the
 * result is over @max bytes. */
bool loader_unwrap(LoaderFile *file, uint64_t max, bool *changed, GError **error);

#endif
