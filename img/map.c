/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command map: which image of a chain has which bytes, and where in its file.
 */
#include <inttypes.h>
#include <stdio.h>
#include "img/img-priv.h"

/* A stretch of the image that is all alike. */
typedef struct Stretch {
    uint64_t start, bytes;
    ImgExtent e;
} Stretch;

static bool continues(const Stretch *s, uint64_t offset, const ImgExtent *e)
{
    return s->bytes && s->start + s->bytes == offset && s->e.flags == e->flags &&
           s->e.depth == e->depth && s->e.node == e->node && s->e.file == e->file &&
           (!(e->flags & NODE_MAPPED) || s->e.map + s->bytes == e->map);
}

/* False: there is something that has no place in the file. */
static bool print_human(const Stretch *s)
{
    if (!(s->e.flags & NODE_DATA) || s->e.flags & NODE_ZERO) {
        return true;
    }
    if (!(s->e.flags & NODE_MAPPED) || s->e.flags & NODE_COMPRESSED) {
        img_error("File contains external, encrypted or compressed clusters.");
        return false;
    }
    printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", s->start, s->bytes, s->e.map,
           s->e.file ?: s->e.node->name);
    return true;
}

static void print_json(const Stretch *s, bool first)
{
    const ImgExtent *e = &s->e;

    printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64
           ", \"depth\": %d, \"present\": %s, \"zero\": %s, \"data\": %s",
           first ? "" : ",\n", s->start, s->bytes, e->depth,
           e->flags & NODE_ALLOCATED ? "true" : "false", e->flags & NODE_ZERO ? "true" : "false",
           e->flags & NODE_DATA ? "true" : "false");
    if (e->flags & NODE_MAPPED && !(e->flags & NODE_COMPRESSED)) {
        printf(", \"offset\": %" PRIu64, e->map);
    }
    putchar('}');
}

static bool print_stretch(const Stretch *s, bool json, bool *first)
{
    if (!s->bytes) {
        return true;
    }
    if (!json) {
        return print_human(s);
    }
    print_json(s, *first);
    *first = false;
    return true;
}

static int print_map(BlockNode *node, uint64_t offset, uint64_t end, bool json)
{
    Stretch s = {};
    bool first = true;
    ImgExtent e;

    fputs(json ? "[" : "Offset          Length          Mapped to       File\n", stdout);
    for (; offset < end; offset += e.bytes) {
        int err = img_extent(node, NULL, offset, end - offset, &e);

        if (err) {
            return img_error("Failed to read image metadata: %s", img_strerror(err));
        }
        if (continues(&s, offset, &e)) {
            s.bytes += e.bytes;
            continue;
        }
        if (!print_stretch(&s, json, &first)) {
            return 1;
        }
        s = (Stretch){ offset, e.bytes, e };
    }
    if (!print_stretch(&s, json, &first)) {
        return 1;
    }
    fputs(json ? "]\n" : "", stdout);
    return 0;
}

int img_map(const ImgArgs *args)
{
    uint64_t start = 0, length = UINT64_MAX, end;
    BlockNode *node;
    int status;

    if (args->n_files != 1) {
        return img_usage_error("Expecting one image file name");
    }
    if ((img_has(args, "s") && !img_parse_size(img_get(args, "s"), "start offset", &start)) ||
        (img_has(args, "l") && !img_parse_size(img_get(args, "l"), "max length", &length))) {
        return 1;
    }
    node = img_open(args, args->files[0], img_get(args, "f"), 0);
    if (!node) {
        return 1;
    }
    end = start < node->length ? start + MIN(length, node->length - start) : start;
    status = print_map(node, start, end, img_wants_json(args));
    img_close(node);
    return status;
}
