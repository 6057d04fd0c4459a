/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a snapshot holds, and how the machine takes it on. Sections are named after what they are the state of; of a state table the layout
 * (fields and types) is kept beside the data. A load first finds a section for everything there is, and no others, with the same
 * layout and size, and only then changes the machine: memory, disks, clock, CPUs, devices.
 *
 * An image whose format has snapshots keeps a disk's contents itself; the section names that snapshot. The first image that can keeps all else
 * too, with its snapshot; without such a disk, or if a path is asked for, that is a file. What an older snapshot of the same name has goes when
 * the new one is there.
 */
#include "hw/core/snapshot.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include "block/block.h"
#include "block/node.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "hw/core/snapshot-priv.h"
#include "softmmu/clock.h"
#include "softmmu/cpu.h"
#include "softmmu/memory-lazy.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"
#include "util/size.h"

/* ---- Names and layouts ---- */

static char *layout_of(const StateField *fields)
{
    GString *s = g_string_new(NULL);

    for (const StateField *f = fields; f && f->type != STATE_END; f++) {
        g_string_append_printf(s, "%s:%d:%u\n", f->name, (int)f->type, f->count);
    }
    return g_string_free(s, FALSE);
}

/* The machine, as far as a snapshot of another one cannot be loaded. */
static char *describe_machine(void)
{
    const HwMachine *m = hw_machine_current();

    return g_strdup_printf("%s machine %s, %u CPUs (-cpu %s), %" PRIu64 " MiB", m->target->name,
                           HW_MACHINE_GET_CLASS(m)->name, cpus->len,
                           m->config.cpu ? m->config.cpu : "default", m->config.ram_size >> 20);
}

/* Objects with a state table, each with its section's name. */
typedef struct Stateful {
    char *name;
    void *object;
    const StateField *fields;
    HwDevice *device; /* NULL: a CPU */
} Stateful;

static void stateful_free(void *data)
{
    Stateful *s = data;

    g_free(s->name);
    g_free(s);
}

static void add_stateful(GPtrArray *all, char *name, void *object, const StateField *fields,
                         HwDevice *device)
{
    Stateful *s = g_new(Stateful, 1);

    *s = (Stateful){ name, object, fields, device };
    g_ptr_array_add(all, s);
}

static void add_device(HwDevice *dev, void *opaque)
{
    GPtrArray *all = opaque;
    const HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);
    unsigned n = 0;

    for (unsigned i = 0; i < all->len; i++) {
        const Stateful *s = g_ptr_array_index(all, i);

        n += s->device && HW_DEVICE_GET_CLASS(s->device) == dc;
    }
    if (dc->state) {
        add_stateful(all, g_strdup_printf("device %s.%u", dc->model, n), dev, dc->state, dev);
    }
}

static GPtrArray *find_stateful(void)
{
    GPtrArray *all = g_ptr_array_new_with_free_func(stateful_free);

    for (unsigned i = 0; i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);

        add_stateful(all, g_strdup_printf("cpu %u", i), cpu, cpu->ops->state, NULL);
    }
    hw_devices_foreach(add_device, all);
    return all;
}

/* Disks whose contents belong to the snapshot. */
static GPtrArray *find_disks(void)
{
    GPtrArray *disks = g_ptr_array_new();
    BlockBackend *blk;

    for (unsigned i = 0; (blk = block_nth(i)) != NULL; i++) {
        if (!block_is_readonly(blk)) {
            g_ptr_array_add(disks, blk);
        }
    }
    return disks;
}

static char *disk_section(BlockBackend *blk)
{
    return g_strdup_printf("disk %s", block_id(blk));
}

/* What a disk's section says: its length, and behind that the id of the snapshot in its image, if its contents are kept there; no id: it is the
 * snapshot that has this section. */
#define CONTENTS "contents"
#define INTERNAL "snapshot in the image"

/* Of a section that check_disks() has seen. */
static bool is_internal(const SnapshotSection *s)
{
    return !strcmp(s->layout, INTERNAL);
}

/* ---- Memory that is still being loaded ---- */

static bool fill_unit(void *reader, uint64_t unit)
{
    return snapshot_reader_fill(reader, unit);
}

static void memory_lost(void *reader)
{
    vm_request_stop("internal-error",
                    g_strdup_printf("%s: is damaged, or its host fails: memory cannot be loaded, "
                                    "and the machine cannot go on",
                                    snapshot_reader_name(reader)));
}

static void memory_loaded(void *reader)
{
    snapshot_reader_free(reader);
}

/* Takes @r over. */
static void load_memory_lazily(SnapshotReader *r)
{
    const MemoryLazy how = { fill_unit, memory_lost, memory_loaded, r };
    g_autofree bool *units = snapshot_reader_units(r);

    memory_lazy_begin(units, &how);
}

void hw_snapshot_stop(void)
{
    memory_lazy_stop();
}

/* ---- Where a snapshot is ---- */

typedef struct Where {
    char *path;        /* a file; NULL: */
    BlockBackend *blk; /* in this image */
    char *id;          /* as this snapshot; NULL: there is none of that name yet */
} Where;

static void where_free(Where *w)
{
    g_free(w->path);
    g_free(w->id);
    g_free(w);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Where, where_free)

/* The snapshot in @blk's image that has the disk's contents; NULL: none is named. */
static char *internal_id(const SnapshotSection *s, const Where *where, const BlockBackend *blk)
{
    const char *id = (const char *)s->data->data + sizeof(uint64_t);

    if (blk == where->blk) {
        return g_strdup(where->id);
    }
    return s->data->len > sizeof(uint64_t) ? g_strndup(id, s->data->len - sizeof(uint64_t)) : NULL;
}

static BlockBackend *find_state_disk(void)
{
    g_autoptr(GPtrArray) disks = find_disks();

    for (unsigned i = 0; i < disks->len; i++) {
        if (block_has_states(g_ptr_array_index(disks, i))) {
            return g_ptr_array_index(disks, i);
        }
    }
    return NULL;
}

/* The newest with that name and a machine's state, or that id. */
static char *find_in_image(BlockBackend *blk, const char *tag)
{
    g_autoptr(GPtrArray) all = block_snapshots(blk);

    for (unsigned i = all->len; i-- > 0;) {
        const BlockSnapshot *s = g_ptr_array_index(all, i);

        if (s->state_size && (!strcmp(s->name, tag) || !strcmp(s->id, tag))) {
            return g_strdup(s->id);
        }
    }
    return NULL;
}

static char *snapshot_folder(void)
{
    BlockBackend *first = block_nth(0);

    return first && !node_is_remote(block_file(first))
               ? g_strdup_printf("%s.snapshots", block_file(first))
               : g_strdup("menura-snapshots");
}

static char *snapshot_path(const char *tag)
{
    g_autofree char *folder = NULL;

    if (strchr(tag, '/')) {
        return g_strdup(tag);
    }
    folder = snapshot_folder();
    return g_build_filename(folder, tag, NULL);
}

/* Of one that is there, or is to be. One in an image is found before a file. */
static Where *find_snapshot(const char *tag, bool is_new)
{
    Where *w = g_new0(Where, 1);

    w->blk = strchr(tag, '/') ? NULL : find_state_disk();
    w->id = w->blk ? find_in_image(w->blk, tag) : NULL;
    if (!w->blk || (!w->id && !is_new)) {
        w->blk = NULL;
        w->path = snapshot_path(tag);
    }
    return w;
}

static SnapshotStore *open_store(const Where *w, GError **error)
{
    return w->path ? snapshot_store_open_file(w->path, error)
                   : snapshot_store_open_in(w->blk, w->id, error);
}

static bool check_tag(const char *tag, GError **error)
{
    if (!*tag || g_str_has_suffix(tag, ".part") || g_str_has_suffix(tag, "/") || *tag == '.') {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "'%s' cannot be the name of a snapshot", tag);
        return false;
    }
    return true;
}

static bool check_machine(GError **error)
{
    if (hw_machine_current()->config.icount) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "snapshots: not with -icount yet: its instruction count is in no snapshot");
        return false;
    }
    return true;
}

/* ---- Saving ---- */

static void append_u64(SnapshotSection *s, uint64_t value)
{
    uint64_t le = GUINT64_TO_LE(value);

    g_byte_array_append(s->data, (const uint8_t *)&le, sizeof(le));
}

static uint64_t u64_of(const SnapshotSection *s)
{
    uint64_t le = 0;

    memcpy(&le, s->data->data, MIN(s->data->len, sizeof(le)));
    return GUINT64_FROM_LE(le);
}

static uint64_t virtual_now(void)
{
    return (uint64_t)clock_now(CLOCK_VIRTUAL);
}

/* Where it can, the image keeps the contents. */
static bool describe_disks(GPtrArray *sections, const GPtrArray *disks, const Where *where,
                           const char *name, GError **error)
{
    for (unsigned i = 0; i < disks->len; i++) {
        BlockBackend *blk = g_ptr_array_index(disks, i);
        bool internal = block_has_snapshots(blk);
        g_autofree char *title = disk_section(blk);
        bool apart = internal && blk != where->blk;
        g_autofree char *id =
            apart ? block_snapshot_create(blk, name, 0, virtual_now(), error) : NULL;
        SnapshotSection *s;

        if (apart && !id) {
            return false;
        }
        s = snapshot_section_new(sections, title, internal ? INTERNAL : CONTENTS);
        append_u64(s, block_length(blk));
        if (id) {
            g_byte_array_append(s->data, (const uint8_t *)id, (guint)strlen(id));
        }
    }
    return true;
}

/* Deletes the snapshots in images that @sections name, but not the one that they are in. */
static bool delete_apart(const GPtrArray *sections, const Where *where, GError **error)
{
    g_autoptr(GPtrArray) disks = find_disks();

    for (unsigned i = 0; i < disks->len; i++) {
        BlockBackend *blk = g_ptr_array_index(disks, i);
        g_autofree char *name = disk_section(blk);
        const SnapshotSection *s = snapshot_section_find(sections, name);
        g_autofree char *id = s && is_internal(s) ? internal_id(s, where, blk) : NULL;

        if (id && blk != where->blk && block_has_snapshots(blk) && block_snapshot_exists(blk, id) &&
            !block_snapshot_delete(blk, id, error)) {
            return false;
        }
    }
    return true;
}

/* The sections of the snapshot at @where; empty if there is none that can be read. */
static GPtrArray *sections_of(const Where *where)
{
    GPtrArray *sections = g_ptr_array_new_with_free_func(snapshot_section_free);
    SnapshotStore *store = where->path || where->id ? open_store(where, NULL) : NULL;

    if (!store || !snapshot_sections_read(store, sections, NULL)) {
        g_ptr_array_set_size(sections, 0);
    }
    return sections;
}

static void describe_state(GPtrArray *sections)
{
    g_autoptr(GPtrArray) all = find_stateful();
    g_autofree char *machine = describe_machine();

    snapshot_section_new(sections, "machine", machine);
    append_u64(snapshot_section_new(sections, "memory", "bytes"), ram_size);
    append_u64(snapshot_section_new(sections, "clock", "virtual, ns"), virtual_now());
    for (unsigned i = 0; i < all->len; i++) {
        const Stateful *s = g_ptr_array_index(all, i);
        g_autofree char *layout = layout_of(s->fields);

        state_save(s->object, s->fields, snapshot_section_new(sections, s->name, layout)->data);
    }
}

static void save_memory(SnapshotWriter *w)
{
    uint64_t start = 0, end;

    while (memory_pool_next_data(start, &start, &end)) {
        while (start < end) {
            /* Up to a multiple of it, so that each is in one unit of memory_lazy_unit(). */
            uint64_t n = MIN(SNAPSHOT_CHUNK - start % SNAPSHOT_CHUNK, end - start);

            snapshot_writer_add(w, SNAPSHOT_MEMORY, start, ram_base + start, (uint32_t)n);
            start += n;
        }
    }
    snapshot_writer_wait(w);
}

static bool save_disk(SnapshotWriter *w, unsigned n, BlockBackend *blk, GError **error)
{
    enum { BUFFERS = 16 };
    g_autofree uint8_t *buf = g_malloc((size_t)BUFFERS * SNAPSHOT_CHUNK);
    uint64_t length = block_length(blk);
    unsigned used = 0;

    for (uint64_t at = 0; at < length; at += SNAPSHOT_CHUNK) {
        uint32_t bytes = (uint32_t)MIN(SNAPSHOT_CHUNK, length - at);
        uint8_t *to = buf + (size_t)used * SNAPSHOT_CHUNK;

        if (!block_pread(blk, at, to, bytes, error)) {
            snapshot_writer_wait(w);
            return false;
        }
        snapshot_writer_add(w, SNAPSHOT_DISKS + n, at, to, bytes);
        if (++used == BUFFERS) {
            snapshot_writer_wait(w);
            used = 0;
        }
    }
    snapshot_writer_wait(w);
    return true;
}

static bool make_folder(const char *path, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(path);

    if (g_mkdir_with_parents(folder, 0755) < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno), "%s: cannot be made: %s",
                    folder, g_strerror(errno));
        return false;
    }
    return true;
}

/* What is in no section: memory, and the disks that keep nothing themselves. */
static bool write_state(const Where *where, const char *name, const GPtrArray *sections,
                        const GPtrArray *disks, GError **error)
{
    SnapshotStore *store = where->path ? snapshot_store_create_file(where->path, error)
                                       : snapshot_store_create_in(where->blk, name, error);
    SnapshotWriter *w = store ? snapshot_writer_new(store, sections) : NULL;

    if (!w) {
        return false;
    }
    save_memory(w);
    for (unsigned i = 0; i < disks->len; i++) {
        BlockBackend *blk = g_ptr_array_index(disks, i);

        if (!block_has_snapshots(blk) && !save_disk(w, i, blk, error)) {
            snapshot_writer_abandon(w);
            return false;
        }
    }
    return snapshot_writer_finish(w, name, virtual_now(), error);
}

/* No request is in flight any more, neither of disks whose contents are not kept: it would be in no state. */
static bool settle_disks(GError **error)
{
    BlockBackend *blk;

    for (unsigned i = 0; (blk = block_nth(i)) != NULL; i++) {
        if (block_has_held(blk)) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_AGAIN,
                        "drive %s has requests that the host failed; mend that and cont first",
                        block_id(blk));
            return false;
        }
    }
    block_drain_all();
    return true;
}

static bool check_devices(GError **error)
{
    g_autoptr(GPtrArray) all = find_stateful();

    for (unsigned i = 0; i < all->len; i++) {
        const Stateful *s = g_ptr_array_index(all, i);
        HwDeviceClass *dc = s->device ? HW_DEVICE_GET_CLASS(s->device) : NULL;

        if (dc && dc->can_save && !dc->can_save(s->device, error)) {
            return false;
        }
    }
    return true;
}

/* What an older snapshot of the same name had: @where is of before the new one. */
static bool delete_old(const GPtrArray *sections, const Where *where, GError **error)
{
    return delete_apart(sections, where, error) &&
           (!where->id || block_snapshot_delete(where->blk, where->id, error));
}

bool hw_snapshot_save(const char *tag, GError **error)
{
    g_autoptr(GPtrArray) sections = g_ptr_array_new_with_free_func(snapshot_section_free);
    g_autoptr(GPtrArray) disks = find_disks(), old = NULL;
    g_autofree char *name = g_path_get_basename(tag);
    g_autoptr(Where) where = NULL;

    memory_lazy_finish();
    if (memory_is_lost()) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                    "the machine's memory could not be loaded");
        return false;
    }
    if (!check_tag(tag, error) || !check_machine(error) || !check_devices(error) ||
        !settle_disks(error)) {
        return false;
    }
    where = find_snapshot(tag, true);
    if (where->path && !make_folder(where->path, error)) {
        return false;
    }
    old = sections_of(where);
    describe_state(sections);
    if (!describe_disks(sections, disks, where, name, error) ||
        !write_state(where, name, sections, disks, error)) {
        delete_apart(sections, where, NULL);
        return false;
    }
    return delete_old(old, where, error);
}

/* ---- Loading ---- */

static bool misfit(GError **error, const char *path, const char *format, ...) G_GNUC_PRINTF(3, 4);
static bool misfit(GError **error, const char *path, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: %s", path, text);
    return false;
}

/* The first field that one layout has and the other has not so. */
static char *first_difference(const char *theirs, const char *ours)
{
    g_auto(GStrv) a = g_strsplit(theirs, "\n", -1), b = g_strsplit(ours, "\n", -1);
    unsigned i = 0;

    while (a[i] && b[i] && !strcmp(a[i], b[i])) {
        i++;
    }
    return g_strdup(a[i] && *a[i] ? a[i] : b[i] ? b[i] : "");
}

static bool check_section(const GPtrArray *sections, const char *path, const Stateful *s,
                          GError **error)
{
    const SnapshotSection *section = snapshot_section_find(sections, s->name);
    g_autofree char *layout = layout_of(s->fields);

    if (!section) {
        return misfit(error, path, "has no %s, which this machine has", s->name);
    }
    if (strcmp(section->layout, layout) != 0) {
        g_autofree char *field = first_difference(section->layout, layout);

        return misfit(error, path, "%s: its state is of another version of this program (at '%s')",
                      s->name, field);
    }
    return section->data->len == state_size(s->fields) ||
           misfit(error, path, "%s: its state has a wrong size", s->name);
}

static bool check_internal(const SnapshotSection *s, const Where *where, BlockBackend *blk)
{
    g_autofree char *id = internal_id(s, where, blk);

    return id && block_has_snapshots(blk) && block_snapshot_exists(blk, id);
}

static bool check_disks(const GPtrArray *sections, const GPtrArray *disks, const Where *where,
                        const char *path, GError **error)
{
    for (unsigned i = 0; i < disks->len; i++) {
        BlockBackend *blk = g_ptr_array_index(disks, i);
        g_autofree char *name = disk_section(blk);
        const SnapshotSection *s = snapshot_section_find(sections, name);

        if (!s) {
            return misfit(error, path, "has nothing of %s (%s)", name, block_file(blk));
        }
        if (u64_of(s) != block_length(blk)) {
            return misfit(error, path, "%s: had %" PRIu64 " bytes, %s has %" PRIu64, name,
                          u64_of(s), block_file(blk), block_length(blk));
        }
        if (is_internal(s) && !check_internal(s, where, blk)) {
            return misfit(error, path, "%s: its contents are no longer in %s", name,
                          block_file(blk));
        }
    }
    return true;
}

static bool check(const GPtrArray *sections, const GPtrArray *all, const GPtrArray *disks,
                  const Where *where, const char *path, GError **error)
{
    const SnapshotSection *machine = snapshot_section_find(sections, "machine");
    const SnapshotSection *memory = snapshot_section_find(sections, "memory");
    g_autofree char *here = describe_machine();

    if (!machine || !memory || !snapshot_section_find(sections, "clock")) {
        return misfit(error, path, "says nothing of its machine");
    }
    if (strcmp(machine->layout, here) != 0) {
        return misfit(error, path, "is of a %s; this is a %s", machine->layout, here);
    }
    if (u64_of(memory) != ram_size) {
        return misfit(error, path,
                      "has %" PRIu64 " bytes of memory and flash, this machine %" PRIu64,
                      u64_of(memory), ram_size);
    }
    for (unsigned i = 0; i < all->len; i++) {
        if (!check_section(sections, path, g_ptr_array_index(all, i), error)) {
            return false;
        }
    }
    /* machine, memory, clock */
    if (sections->len != 3 + all->len + disks->len) {
        return misfit(error, path, "has devices or disks that this machine has not");
    }
    return check_disks(sections, disks, where, path, error);
}

static void *place(void *opaque, unsigned area, uint64_t offset, uint32_t bytes)
{
    const GPtrArray *disks = opaque;

    if (area == SNAPSHOT_MEMORY) {
        return offset <= ram_size && bytes <= ram_size - offset ? ram_base + offset : NULL;
    }
    return area - SNAPSHOT_DISKS < disks->len ? g_malloc(bytes) : NULL;
}

static bool placed(void *opaque, unsigned area, uint64_t offset, void *data, uint32_t bytes)
{
    const GPtrArray *disks = opaque;
    bool ok =
        area == SNAPSHOT_MEMORY ||
        block_pwrite(g_ptr_array_index(disks, area - SNAPSHOT_DISKS), offset, data, bytes, NULL);

    if (area != SNAPSHOT_MEMORY) {
        g_free(data);
    }
    return ok;
}

/* Back to the snapshots in the images; other disks are emptied for what comes. */
static bool take_disks_back(const GPtrArray *sections, const GPtrArray *disks, const Where *where,
                            GError **error)
{
    for (unsigned i = 0; i < disks->len; i++) {
        BlockBackend *blk = g_ptr_array_index(disks, i);
        g_autofree char *name = disk_section(blk);
        const SnapshotSection *s = snapshot_section_find(sections, name);
        g_autofree char *id = is_internal(s) ? internal_id(s, where, blk) : NULL;

        if (!(id ? block_snapshot_apply(blk, id, error)
                 : block_pwrite_zeroes(blk, 0, block_length(blk), error))) {
            return false;
        }
    }
    return true;
}

/* The tables' values become the objects'; their sizes were checked. */
static bool take_on(const GPtrArray *sections, const GPtrArray *all, GError **error)
{
    clock_set_virtual((int64_t)u64_of(snapshot_section_find(sections, "clock")));
    for (unsigned i = 0; i < all->len; i++) {
        const Stateful *s = g_ptr_array_index(all, i);
        const GByteArray *data = snapshot_section_find(sections, s->name)->data;
        HwDeviceClass *dc = s->device ? HW_DEVICE_GET_CLASS(s->device) : NULL;

        if (!state_load(s->object, s->fields, data->data, data->len, error) ||
            (dc && dc->post_load && !dc->post_load(s->device, error))) {
            g_prefix_error(error, "%s: ", s->name);
            return false;
        }
    }
    for (unsigned i = 0; i < cpus->len; i++) {
        Cpu *cpu = g_ptr_array_index(cpus, i);

        cpu_tlb_flush_all(cpu);
        if (cpu->ops->state_loaded) {
            cpu->ops->state_loaded(cpu);
        }
    }
    return true;
}

/* Memory and disks. Takes @r over. */
static bool take_contents(SnapshotReader *r, const GPtrArray *sections, GPtrArray *disks,
                          const Where *where, GError **error)
{
    bool ok;

    memory_pool_clear();
    ok = take_disks_back(sections, disks, where, error) &&
         snapshot_reader_run(r, place, placed, disks, error);
    if (ok && snapshot_reader_is_lazy(r)) {
        load_memory_lazily(r);
    } else {
        snapshot_reader_free(r);
    }
    return ok;
}

static void settle_device(HwDevice *dev, void *opaque)
{
    HwDeviceClass *dc = HW_DEVICE_GET_CLASS(dev);

    if (dc->settle) {
        dc->settle(dev);
    }
}

static bool load_from(const Where *where, bool lazy, GError **error)
{
    g_autoptr(GPtrArray) sections = g_ptr_array_new_with_free_func(snapshot_section_free);
    g_autoptr(GPtrArray) disks = find_disks(), all = find_stateful();
    SnapshotStore *store = open_store(where, error);
    SnapshotReader *r = store ? snapshot_reader_new(store, sections, lazy, error) : NULL;
    bool ok;

    if (!r) {
        return false;
    }
    if (!check(sections, all, disks, where, snapshot_reader_name(r), error)) {
        snapshot_reader_free(r);
        return false;
    }
    hw_devices_foreach(settle_device, NULL);
    block_drain_all(); /* what is read still goes to the old memory */
    ok = take_contents(r, sections, disks, where, error) && take_on(sections, all, error);
    memory_written(ram_base, ram_size);
    if (!ok) {
        g_prefix_error(error, HW_SNAPSHOT_INCOMPLETE);
    }
    return ok;
}

#define EAGERLY ",lazy=off"

bool hw_snapshot_load(const char *tag, GError **error)
{
    bool lazy = !g_str_has_suffix(tag, EAGERLY);
    g_autofree char *name = g_strndup(tag, lazy ? strlen(tag) : strlen(tag) - strlen(EAGERLY));
    g_autoptr(Where) where = find_snapshot(name, false);

    memory_lazy_finish();
    return check_tag(name, error) && check_machine(error) && load_from(where, lazy, error);
}

/* ---- The others ---- */

bool hw_snapshot_delete(const char *tag, GError **error)
{
    g_autoptr(Where) where = find_snapshot(tag, false);
    g_autoptr(GPtrArray) sections = NULL;

    if (!check_tag(tag, error)) {
        return false;
    }
    memory_lazy_finish();
    sections = sections_of(where);
    if (!delete_apart(sections, where, error)) {
        return false;
    }
    if (where->id) {
        return block_snapshot_delete(where->blk, where->id, error);
    }
    return g_unlink(where->path) == 0 ||
           misfit(error, where->path, "cannot be deleted: %s", g_strerror(errno));
}

static void list_one(GString *out, const char *name, uint64_t bytes, int64_t date)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(date);
    g_autofree char *size = size_format(bytes);
    g_autofree char *when = time ? g_date_time_format(time, "%Y-%m-%d %H:%M:%S") : NULL;

    g_string_append_printf(out, "%-24s %12s  %s\n", name, size, when ? when : "");
}

static void list_image(GString *out, BlockBackend *blk)
{
    g_autoptr(GPtrArray) all = block_snapshots(blk);

    for (unsigned i = 0; i < all->len; i++) {
        const BlockSnapshot *s = g_ptr_array_index(all, i);

        if (s->state_size) {
            list_one(out, s->name, s->state_size, s->date);
        }
    }
}

static void list_folder(GString *out, const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        struct stat st;

        if (!g_str_has_suffix(name, ".part") && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            list_one(out, name, (uint64_t)st.st_size, st.st_mtime);
        }
    }
}

void hw_snapshot_list(GString *out)
{
    g_autofree char *folder = snapshot_folder();
    BlockBackend *blk = find_state_disk();
    gsize before = out->len;

    if (blk) {
        list_image(out, blk);
    }
    list_folder(out, folder);
    if (out->len == before) {
        g_string_append_printf(out, "There is no snapshot in %s.\n",
                               blk ? block_file(blk) : folder);
    }
}
