/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The snapshot's file (snapshot-file.c) as snapshot.c sees it: sections, which are in memory as a whole, and chunks.
 */
#ifndef HW_CORE_SNAPSHOT_PRIV_H
#define HW_CORE_SNAPSHOT_PRIV_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { SNAPSHOT_CHUNK = 1 << 20 };

/* One thing's state: its name, what its data mean (a mismatch is an error), and the data. */
typedef struct SnapshotSection {
    char *name, *layout;
    GByteArray *data;
} SnapshotSection;

SnapshotSection *snapshot_section_new(GPtrArray *sections, const char *name, const char *layout);
/* NULL: there is none. */
SnapshotSection *snapshot_section_find(const GPtrArray *sections, const char *name);
/* For g_ptr_array_new_with_free_func(). */
void snapshot_section_free(void *section);

/* ---- Writing: to a file with another name, which snapshot_writer_finish() gives its own ---- */

typedef struct SnapshotWriter SnapshotWriter;

SnapshotWriter *snapshot_writer_new(const char *path, const GPtrArray *sections, GError **error);
/* @bytes (at most SNAPSHOT_CHUNK) at @offset of area @area; nothing is written for zeroes. The data must stay as they are until
 * snapshot_writer_wait(). Errors are kept for the end. */
void snapshot_writer_add(SnapshotWriter *w, unsigned area, uint64_t offset, const void *data,
                         uint32_t bytes);
/* Until all that was added is compressed and written. */
void snapshot_writer_wait(SnapshotWriter *w);
/* Frees @w. False: there is no new file. */
bool snapshot_writer_finish(SnapshotWriter *w, GError **error);

/* Frees @w; nothing of it stays. */
void snapshot_writer_abandon(SnapshotWriter *w);

/* ---- Reading ---- */

typedef struct SnapshotReader SnapshotReader;

/* Adds only what the head has, which is verified, to @sections. */
bool snapshot_sections_read(const char *path, GPtrArray *sections, GError **error);
/* Everything is verified; @sections are filled. */
SnapshotReader *snapshot_reader_new(const char *path, GPtrArray *sections, GError **error);
/* Where the chunk at @offset of @area goes: @bytes at the address returned; NULL: it does not exist, an error. */
typedef void *SnapshotPlace(void *opaque, unsigned area, uint64_t offset, uint32_t bytes);
/* After it has its data; for areas that are not memory. By any thread. False: error. */
typedef bool SnapshotPlaced(void *opaque, unsigned area, uint64_t offset, void *data,
                            uint32_t bytes);
/* Reads all chunks. Frees @r. */
bool snapshot_reader_run(SnapshotReader *r, SnapshotPlace *place, SnapshotPlaced *placed,
                         void *opaque, GError **error);
void snapshot_reader_free(SnapshotReader *r);

#endif
