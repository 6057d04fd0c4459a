/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Damage that an access to a qcow2 image comes upon: it is said once, and an image that is open for writing is marked as corrupt, after
 * which nothing can be written to it until it was checked and mended. What was written before is still written back.
 */
#include <errno.h>
#include <stdarg.h>
#include "block/formats/qcow2.h"

int qcow2_corrupt(Qcow2 *s, const char *format, ...)
{
    bool fatal = !s->node->readonly;
    g_autofree char *text = NULL;
    va_list args;

    if (s->checking || s->damaged) {
        return -EIO;
    }
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    s->damaged = true;
    if (!fatal) {
        g_printerr("qcow2: Image is corrupt: %s; further non-fatal corruption events will be "
                   "suppressed\n",
                   text);
        return -EIO;
    }
    g_printerr("qcow2: Marking image as corrupt: %s; further corruption events will be "
               "suppressed\n",
               text);
    if (s->version >= 3 && qcow2_set_incompatible(s, s->incompatible | Q_CORRUPT)) {
        g_printerr("qcow2: it cannot be marked: its header cannot be written\n");
    }
    return -EIO;
}

int qcow2_corrupt_entry(Qcow2 *s, uint64_t offset)
{
    uint64_t index = offset >> (s->l2_bits + s->cluster_bits), entry, bitmap, host, table;
    uint64_t i = offset >> s->cluster_bits & ((1ull << s->l2_bits) - 1);
    Qcow2Table *t;

    if (qcow2_l2_get(s, index, &t) || !t) {
        return -EIO;
    }
    qcow2_entry_get(s, t, i, &entry, &bitmap);
    host = entry & QE_OFFSET;
    table = s->l1[index] & QE_OFFSET;
    if ((entry & QE_COMPRESSED) || !(host % s->cluster_size)) {
        return -EIO; /* wrong, but perhaps only in a way that is not known here */
    }
    if (entry & QE_ZERO && s->version >= 3 && !s->extended) {
        return qcow2_corrupt(s,
                             "Preallocated zero cluster offset %#" G_GINT64_MODIFIER
                             "x unaligned (guest offset: %#" G_GINT64_MODIFIER "x)",
                             host, offset & ~(s->cluster_size - 1));
    }
    return qcow2_corrupt(s,
                         "Cluster allocation offset %#" G_GINT64_MODIFIER
                         "x unaligned (L2 offset: %#" G_GINT64_MODIFIER
                         "x, L2 index: %#" G_GINT64_MODIFIER "x)",
                         host, table, i);
}

int qcow2_corrupt_overlap(Qcow2 *s, uint64_t offset, const char *what)
{
    if (!offset && what) {
        return qcow2_corrupt(s, "Preventing invalid allocation of %s at offset 0", what);
    }
    return qcow2_corrupt(s, "Preventing invalid write on metadata (overlaps with %s)",
                         qcow2_metadata_at(s, offset));
}
