/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VMDK: the descriptor. Of its lines "KEY=VALUE" five are of use here, the others are left as they are; a line on an extent is "RW SECTORS
 * TYPE "NAME" OFFSET". A new CID has as many digits as the old one, so that no text moves and a sector is written whole or not.
 */
#include <errno.h>
#include <string.h>
#include "block/formats/formats.h"
#include "block/formats/vmdk.h"

void vmdk_line_free(void *line)
{
    VmdkLine *l = line;

    g_free(l->type);
    g_free(l->name);
    g_free(l);
}

uint32_t vmdk_cid_new(void)
{
    uint32_t cid;

    do {
        cid = g_random_int();
    } while (!cid || cid >= VMDK_NO_CID - 1);
    return cid;
}

/* ---- Lines ---- */

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* The next word, which *@p moves behind; NULL: there is none. */
static char *next_word(const char **p)
{
    const char *begin = skip_blanks(*p);
    size_t n = strcspn(begin, " \t");

    *p = begin + n;
    return n ? g_strndup(begin, n) : NULL;
}

static bool next_number(const char **p, uint64_t *value)
{
    g_autofree char *word = next_word(p);

    return word && keyval_parse_uint(word, value);
}

/* "RW", "RDONLY" or "NOACCESS" begin it. */
static bool is_extent(const char *line)
{
    return g_str_has_prefix(line, "RW ") || g_str_has_prefix(line, "RDONLY ") ||
           g_str_has_prefix(line, "NOACCESS ");
}

/* NULL: it makes no sense. */
static VmdkLine *parse_extent(const char *line)
{
    VmdkLine *l = g_new0(VmdkLine, 1);
    g_autofree char *access = next_word(&line);
    bool ok = next_number(&line, &l->sectors) && (l->type = next_word(&line)) != NULL &&
              l->sectors && l->sectors <= NODE_MAX_LENGTH / BLOCK_SECTOR &&
              strcmp(access, "NOACCESS") != 0;

    l->readonly = !strcmp(access, "RDONLY");
    line = skip_blanks(line);
    if (ok && *line == '"') {
        const char *end = strchr(line + 1, '"');

        ok = end && end > line + 1;
        l->name = ok ? g_strndup(line + 1, (gsize)(end - line - 1)) : NULL;
        line = ok ? skip_blanks(end + 1) : line;
    }
    if (ok && !strcmp(l->type, "FLAT")) {
        ok = l->name && next_number(&line, &l->offset) &&
             l->offset <= NODE_MAX_LENGTH / BLOCK_SECTOR - l->sectors;
    } else if (ok) {
        ok = strcmp(l->type, "ZERO") != 0 ? l->name != NULL : true;
        ok &= !g_str_has_prefix(l->type, "VMFS") || !*skip_blanks(line);
    }
    if (!ok) {
        vmdk_line_free(l);
        return NULL;
    }
    return l;
}

/* The value without its quotes. */
static char *unquoted(const char *value)
{
    size_t n = strlen(value);

    return n >= 2 && value[0] == '"' && value[n - 1] == '"' ? g_strndup(value + 1, n - 2)
                                                            : g_strdup(value);
}

static bool parse_hex(const char *text, uint32_t *value)
{
    char *end;
    guint64 v = g_ascii_strtoull(text, &end, 16);

    *value = (uint32_t)v;
    return end != text && v <= UINT32_MAX;
}

/* @at: where the line is in the file. */
static bool use_key(Vmdk *s, const char *line, uint64_t at, GError **error)
{
    const char *equals = strchr(line, '=');
    g_autofree char *key = equals ? g_strndup(line, (gsize)(equals - line)) : NULL;
    const char *value = equals ? skip_blanks(equals + 1) : NULL;

    if (!key) {
        return true;
    }
    g_strstrip(key);
    if (!strcmp(key, "CID")) {
        if (!parse_hex(value, &s->cid)) {
            return node_fail(s->node, error, "its CID is no number");
        }
        s->cid_at = at + (uint64_t)(value - line);
        s->cid_digits = (unsigned)MIN(strspn(value, "0123456789abcdefABCDEF"), 8);
    } else if (!strcmp(key, "parentCID") && !parse_hex(value, &s->parent_cid)) {
        return node_fail(s->node, error, "its parent's CID is no number");
    } else if (!strcmp(key, "createType")) {
        g_free(s->type);
        s->type = unquoted(value);
    } else if (!strcmp(key, "parentFileNameHint")) {
        g_free(s->node->backing_name);
        g_free(s->node->backing_format);
        s->node->backing_name = unquoted(value);
        s->node->backing_format = g_strdup("vmdk");
        if (!*s->node->backing_name || strlen(s->node->backing_name) > 4095) {
            return node_fail(s->node, error, "its parent has no name, or one that is too long");
        }
    }
    return true;
}

static bool use_line(Vmdk *s, char *line, uint64_t at, GPtrArray *lines, GError **error)
{
    size_t n = strlen(line);
    VmdkLine *extent;

    while (n && (line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t')) {
        line[--n] = 0;
    }
    if (!n || *line == '#') {
        return true;
    }
    if (!is_extent(line)) {
        return use_key(s, line, at, error);
    }
    if (!lines) {
        return true;
    }
    extent = parse_extent(line);
    if (!extent) {
        return node_fail(s->node, error, "Invalid extent line: %s", line);
    }
    g_ptr_array_add(lines, extent);
    return true;
}

bool vmdk_descriptor_read(Vmdk *s, uint64_t at, uint64_t bytes, GPtrArray *lines, GError **error)
{
    BlockNode *file = s->node->file;
    g_autofree char *text = NULL;
    char *line, *end;
    int err;

    if (bytes > VMDK_MAX_DESCRIPTOR || at > file->length || bytes > file->length - at) {
        return node_fail(s->node, error, "its descriptor is out of range");
    }
    text = g_malloc0(bytes + 1);
    err = node_pread(file, at, text, bytes);
    if (err) {
        return node_fail_errno(s->node, error, err, "its descriptor cannot be read");
    }
    for (line = text; line && *line; line = end ? end + 1 : NULL) {
        uint64_t line_at = at + (uint64_t)(line - text);

        end = strchr(line, '\n');
        if (end) {
            *end = 0;
        }
        if (!use_line(s, line, line_at, lines, error)) {
            return false;
        }
    }
    return true;
}

/* ---- CID ---- */

int vmdk_cid_write(Vmdk *s)
{
    uint32_t mask = s->cid_digits >= 8 ? UINT32_MAX : (1u << 4 * s->cid_digits) - 1;
    uint32_t cid = vmdk_cid_new() & mask;
    char digits[16];
    int err;

    if (!s->cid_digits) {
        return 0;
    }
    cid = cid == s->cid || !cid ? (s->cid ^ 1) & mask : cid;
    g_snprintf(digits, sizeof(digits), "%0*x", (int)s->cid_digits, cid);
    err = node_pwrite(s->node->file, s->cid_at, digits, s->cid_digits);
    if (!err) {
        s->cid = cid;
    }
    return err;
}

bool vmdk_cid_of(const char *file, uint32_t *cid, GError **error)
{
    NodeOptions options = {
        .file = file, .format = "vmdk", .readonly = true, .no_backing = true, .share = true
    };
    BlockNode *node = node_open(&options, error);

    if (!node) {
        return false;
    }
    *cid = ((const Vmdk *)node->priv)->cid;
    node_close(node);
    return true;
}
