/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See saved.h. A machine's state is "MENURAST", its version, the CRC and the length of its head, the head, and chunks, each with a CRC; the last
 * says how many there are (hw/core/snapshot-file.c).
 */
#include "tests/powercut/saved.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include "util/bytes.h"

enum { HEAD = 24, CHUNK = 24, MAX_NAMES = 8, MAX_PIECE = 16 << 20 };

static struct {
    char pending[64]; /* being saved; "": nothing */
    unsigned count;
    struct {
        char name[64];
        unsigned number; /* which of all that were saved: its id */
    } done[MAX_NAMES];
} saved;

static void note_done(void)
{
    unsigned i = 0;

    while (*saved.done[i].name && strcmp(saved.done[i].name, saved.pending)) {
        i++;
        g_assert(i < MAX_NAMES);
    }
    g_strlcpy(saved.done[i].name, saved.pending, sizeof(saved.pending));
    saved.done[i].number = ++saved.count;
    *saved.pending = 0;
}

bool saved_read_line(const char *line)
{
    const char *command = strstr(line, "(menura) ");

    if (!command) {
        return !strstr(line, "savevm: ");
    }
    if (*saved.pending) {
        note_done();
    }
    sscanf(command, "(menura) savevm %63[a-z]", saved.pending);
    return true;
}

unsigned saved_count(void)
{
    return saved.count;
}

/* ---- A state ---- */

static uint8_t *read_piece(BlockNode *node, uint64_t size, uint64_t at, uint64_t bytes)
{
    g_autofree uint8_t *data = NULL;
    struct iovec iov = { NULL, bytes };
    IovCursor c = { &iov, 1, 0 };

    if (at > size || bytes > size - at || bytes > MAX_PIECE) {
        return NULL;
    }
    iov.iov_base = data = g_malloc(bytes + 1);
    return node->driver->vm_state_read(node, at, bytes, &c) ? NULL : g_steal_pointer(&data);
}

static bool is_piece(BlockNode *node, uint64_t size, uint64_t at, uint64_t bytes, uint32_t crc)
{
    g_autofree uint8_t *data = read_piece(node, size, at, bytes);

    return data && crc32_z(0, data, bytes) == crc;
}

/* The state of @size bytes whose snapshot @node has. */
static bool is_whole(BlockNode *node, uint64_t size)
{
    g_autofree uint8_t *head = read_piece(node, size, 0, HEAD);
    uint64_t at, n = 0;

    if (!head || memcmp(head, "MENURAST", 8) ||
        !is_piece(node, size, HEAD, bytes_get_le64(head + 16), bytes_get_le32(head + 12))) {
        return false;
    }
    for (at = HEAD + bytes_get_le64(head + 16);; n++) {
        g_autofree uint8_t *chunk = read_piece(node, size, at, CHUNK);

        if (!chunk) {
            return false;
        }
        at += CHUNK;
        if (bytes_get_le32(chunk) == UINT32_MAX) {
            return bytes_get_le64(chunk + 16) == n && at == size;
        }
        if (!is_piece(node, size, at, bytes_get_le32(chunk + 8), bytes_get_le32(chunk + 12))) {
            return false;
        }
        at += bytes_get_le32(chunk + 8);
    }
}

/* ---- All of them ---- */

static bool is_listed(const GPtrArray *list, const char *name, unsigned number)
{
    for (guint i = 0; i < list->len; i++) {
        const NodeSnapshot *s = g_ptr_array_index(list, i);

        if (!strcmp(s->name, name) && strtoul(s->id, NULL, 10) >= number) {
            return true;
        }
    }
    return false;
}

char *saved_verify(BlockNode *node)
{
    g_autoptr(GPtrArray) list = node->driver->snapshots(node);

    for (unsigned i = 0; i < MAX_NAMES && *saved.done[i].name; i++) {
        if (!is_listed(list, saved.done[i].name, saved.done[i].number)) {
            return g_strdup_printf("snapshot %u, '%s', was saved and is not there",
                                   saved.done[i].number, saved.done[i].name);
        }
    }
    for (guint i = 0; i < list->len; i++) {
        const NodeSnapshot *s = g_ptr_array_index(list, i);

        if (!node->driver->snapshot_load(node, s->id, NULL) || !is_whole(node, s->vm_state_size)) {
            return g_strdup_printf("snapshot %s, '%s', is listed and not whole", s->id, s->name);
        }
    }
    return NULL;
}
