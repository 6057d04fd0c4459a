/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The snapshot's file (snapshot-file.c) as snapshot.c sees it: sections, which are in memory as a whole, and chunks.
 */
#ifndef HW_CORE_SNAPSHOT_PRIV_H
#define HW_CORE_SNAPSHOT_PRIV_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include "block/block.h"

/* Areas: memory, or disk n as SNAPSHOT_DISKS + n. */
enum { SNAPSHOT_CHUNK = 1 << 20, SNAPSHOT_MEMORY = 0, SNAPSHOT_DISKS = 1 };

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

/* ---- Where it is (snapshot-store.c) ---- */

typedef struct SnapshotStore SnapshotStore;

/* Appears as @path when it is committed. */
SnapshotStore *snapshot_store_create_file(const char *path, GError **error);
SnapshotStore *snapshot_store_open_file(const char *path, GError **error);
/* The state of a new snapshot in @blk's image, which is made when it is committed; of the snapshot @id. */
SnapshotStore *snapshot_store_create_in(BlockBackend *blk, const char *tag, GError **error);
SnapshotStore *snapshot_store_open_in(BlockBackend *blk, const char *id, GError **error);
void snapshot_store_free(SnapshotStore *s);
/* For messages. */
const char *snapshot_store_name(const SnapshotStore *s);
uint64_t snapshot_store_size(const SnapshotStore *s);
/* 0 or errno. One thread at a time. */
int snapshot_store_append(SnapshotStore *s, const void *data, size_t n);
/* Any thread. False: it ends before, or the host fails. */
bool snapshot_store_read(const SnapshotStore *s, uint64_t at, void *to, size_t n);
/* Both free @s. @tag, @clock_ns: what an image says of it. */
bool snapshot_store_commit(SnapshotStore *s, const char *tag, uint64_t clock_ns, GError **error);
void snapshot_store_abandon(SnapshotStore *s);

/* ---- Writing ---- */

typedef struct SnapshotWriter SnapshotWriter;

/* Takes @store over. */
SnapshotWriter *snapshot_writer_new(SnapshotStore *store, const GPtrArray *sections);
/* @bytes (at most SNAPSHOT_CHUNK) at @offset of area @area; nothing is written for zeroes. The data must stay as they are until
 * snapshot_writer_wait(). Errors are kept for the end. */
void snapshot_writer_add(SnapshotWriter *w, unsigned area, uint64_t offset, const void *data,
                         uint32_t bytes);
/* Until all that was added is compressed and written. */
void snapshot_writer_wait(SnapshotWriter *w);
/* Commits the store and frees @w. False: there is no new snapshot. */
bool snapshot_writer_finish(SnapshotWriter *w, const char *tag, uint64_t clock_ns, GError **error);

/* Frees @w; nothing of it stays. */
void snapshot_writer_abandon(SnapshotWriter *w);

/* ---- Reading ---- */

typedef struct SnapshotReader SnapshotReader;

/* Adds only what the head has, which is verified, to @sections. Frees @store. */
bool snapshot_sections_read(SnapshotStore *store, GPtrArray *sections, GError **error);
/* @sections are filled. Everything is verified; but with @lazy not the contents of memory, if its chunks are such that each is in one unit of
 * memory_lazy_unit() (an older version's need not be). Takes @store over. */
SnapshotReader *snapshot_reader_new(SnapshotStore *store, GPtrArray *sections, bool lazy,
                                    GError **error);
/* Whether memory was left out. */
bool snapshot_reader_is_lazy(const SnapshotReader *r);
const char *snapshot_reader_name(const SnapshotReader *r);
/* Where the chunk at @offset of @area goes: @bytes at the address returned; NULL: it does not exist, an error. */
typedef void *SnapshotPlace(void *opaque, unsigned area, uint64_t offset, uint32_t bytes);
/* After it has its data; for areas that are not memory. By any thread. False: error. */
typedef bool SnapshotPlaced(void *opaque, unsigned area, uint64_t offset, void *data,
                            uint32_t bytes);
/* Reads all chunks, but not those of memory if it is lazy. */
bool snapshot_reader_run(SnapshotReader *r, SnapshotPlace *place, SnapshotPlaced *placed,
                         void *opaque, GError **error);
/* Of a lazy one: which units of memory it has something of (memory_lazy_begin()); the caller frees it. */
bool *snapshot_reader_units(const SnapshotReader *r);
/* Verifies and writes all that there is of a unit. False: it is damaged, or the host fails. Any thread. */
bool snapshot_reader_fill(const SnapshotReader *r, uint64_t unit);
void snapshot_reader_free(SnapshotReader *r);

#endif
