/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cuts the power at every boundary between the writes of a log (write-log.h), and looks at the disk that a machine would find then:
 *
 *     replay LOG FORMAT SCRATCH PATTERN BASE WORK [--seed N] [--export FOLDER EVERY | --sample FOLDER EVERY] IMAGE...
 *
 * IMAGE: copies of the image's files as they were before the first write, the first the one to be opened; the log's files in its order. Each cut
 * is tried in three ways: all writes up to it are there; the same, but of the last one only the first half; of those that no
 * completed flush covers, each is there or not by chance. Then the image must open for writing, its check must find no corruption (space that
 * nobody uses is allowed), and each sector must be what the guest wrote there last before the flush it was told of, or what it wrote since.
 *
 * PATTERN has the pages that the guest writes, BASE what the disk was, and WORK a line "PAGE COUNT FROM" for each write: COUNT pages of
 * PATTERN from FROM on to page PAGE. Line n of worker W (a line "worker W" begins its part) is on the disk once the console said "synced W n".
 *
 * Snapshots that the monitor made must be there, too (saved.h).
 * --sample: every EVERY-th image is written to FOLDER, too, if there is such a snapshot.
 *
 * --export: every EVERY-th cut is not looked at but written to FOLDER as raw images N.raw, and N.synced says how far each worker was.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "block/node.h"
#include "tests/powercut/saved.h"
#include "tests/powercut/write-log.h"

enum { PAGE = 4096, SECTOR = 512, MAX_WORKERS = 16, MAX_FILES = 16 };

typedef struct Step {
    unsigned worker, number; /* from 1 */
    uint64_t page, count, from;
} Step;

typedef struct Disk { /* the bytes of the image's files at one moment */
    GByteArray *files[MAX_FILES];
} Disk;

static struct {
    const char *format, *scratch, *export, *sample;
    char **names; /* of the image's files */
    unsigned n_files, every;
    GRand *rand;
    char *pattern, *base;
    uint64_t pages;
    GArray *steps;    /* of Step */
    GPtrArray *touch; /* for each page a GArray of indices into steps, in order */
    unsigned synced[MAX_WORKERS];
    GString *texts[MAX_FILES +
                   2];  /* what was written to the console and the monitor, up to a line's end */
    Disk now, durable;  /* all that was logged; what flushes cover */
    GPtrArray *pending; /* of const WriteLogRecord *: not durable */
    GHashTable *syncs;  /* number of a flush -> the record of its beginning */
    uint64_t cuts, n_exported;
} self;

G_NORETURN static void die(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void die(const char *format, ...)
{
    va_list ap;
    g_autofree char *text = NULL;

    va_start(ap, format);
    text = g_strdup_vprintf(format, ap);
    va_end(ap);
    g_printerr("cut %" PRIu64 ": %s (its image is kept: %s)\n", self.cuts, text, self.scratch);
    exit(1);
}

static char *read_file(const char *file, gsize *len)
{
    char *data = NULL;
    g_autoptr(GError) error = NULL;

    if (!g_file_get_contents(file, &data, len, &error)) {
        die("%s", error->message);
    }
    return data;
}

/* ---- The bytes of files ---- */

static void resize(GByteArray *file, uint64_t length)
{
    uint64_t old = file->len;

    g_byte_array_set_size(file, (guint)length);
    if (length > old) {
        memset(file->data + old, 0, length - old);
    }
}

/* @bytes: how much of a write there is. */
static void apply(Disk *disk, const WriteLogRecord *r, uint64_t bytes)
{
    GByteArray *file = disk->files[r->file];
    uint64_t end = r->offset + bytes;

    switch (r->kind) {
    case LOG_WRITE:
        resize(file, MAX(file->len, end));
        memcpy(file->data + r->offset, r + 1, bytes);
        break;
    case LOG_ZERO:
        end = MIN(end, file->len);
        if (end > r->offset) {
            memset(file->data + r->offset, 0, end - r->offset);
        }
        break;
    case LOG_GROW:
        resize(file, MAX(file->len, end));
        break;
    case LOG_RESIZE:
        resize(file, r->offset);
        break;
    default:
        break;
    }
}

static void write_scratch(const Disk *disk)
{
    for (unsigned i = 0; i < self.n_files; i++) {
        g_autofree char *name = g_path_get_basename(self.names[i]);
        g_autofree char *path = g_build_filename(self.scratch, name, NULL);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

        if (fd < 0 ||
            write(fd, disk->files[i]->data, disk->files[i]->len) != (ssize_t)disk->files[i]->len) {
            die("%s: %s", path, g_strerror(errno));
        }
        close(fd);
    }
}

static void copy_disk(Disk *to, const Disk *from)
{
    for (unsigned i = 0; i < self.n_files; i++) {
        g_byte_array_set_size(to->files[i], from->files[i]->len);
        memcpy(to->files[i]->data, from->files[i]->data, from->files[i]->len);
    }
}

static void new_disk(Disk *disk)
{
    for (unsigned i = 0; i < self.n_files; i++) {
        disk->files[i] = g_byte_array_new();
    }
}

/* ---- Looking at a disk ---- */

static bool sector_may_be(const char *sector, uint64_t page, unsigned s)
{
    const GArray *touch = g_ptr_array_index(self.touch, page);
    uint64_t within = (uint64_t)s * SECTOR;
    bool base_allowed = true, is_allowed = false;

    for (unsigned i = 0; i < touch->len; i++) {
        const Step *step = &g_array_index(self.steps, Step, g_array_index(touch, unsigned, i));
        const char *wrote = self.pattern + (step->from + page - step->page) * PAGE + within;
        bool same = !memcmp(sector, wrote, SECTOR);

        if (step->number <= self.synced[step->worker]) {
            base_allowed = false;
            is_allowed = same;
        } else {
            is_allowed |= same;
        }
    }
    return is_allowed ||
           (base_allowed && !memcmp(sector, self.base + page * PAGE + within, SECTOR));
}

static void verify_contents(BlockNode *node)
{
    g_autofree char *disk = g_malloc(self.pages * PAGE);
    int err = node_pread(node, 0, disk, self.pages * PAGE);

    if (err) {
        die("cannot be read: %s", g_strerror(-err));
    }
    for (uint64_t page = 0; page < self.pages; page++) {
        for (unsigned s = 0; s < PAGE / SECTOR; s++) {
            if (!sector_may_be(disk + page * PAGE + (uint64_t)s * SECTOR, page, s)) {
                die("page %" PRIu64 ", sector %u: what was flushed is not there", page, s);
            }
        }
    }
}

static BlockNode *open_scratch(bool readonly)
{
    g_autofree char *name = g_path_get_basename(self.names[0]);
    g_autofree char *path = g_build_filename(self.scratch, name, NULL);
    NodeOptions options = { .file = path, .format = self.format, .readonly = readonly };
    g_autoptr(GError) error = NULL;
    BlockNode *node = node_open(&options, &error);

    if (!node) {
        die("does not open: %s", error->message);
    }
    return node;
}

static void verify_structure(BlockNode *node)
{
    NodeCheck check = { .report = g_string_new(NULL) };
    g_autoptr(GError) error = NULL;

    if (node->driver->check && !node->driver->check(node, &check, &error)) {
        die("cannot be checked: %s", error->message);
    }
    if (check.corruptions || check.check_errors) {
        die("%" PRIu64 " corruptions: %s", check.corruptions, check.report->str);
    }
    g_string_free(check.report, TRUE);
}

static void verify_saved(void)
{
    BlockNode *node = open_scratch(true);
    g_autofree char *wrong = node->driver->snapshots ? saved_verify(node) : NULL;

    if (wrong) {
        die("%s", wrong);
    }
    node_close(node);
}

static void export(BlockNode *node)
{
    g_autofree char *disk = g_malloc(self.pages * PAGE);
    g_autofree char *raw = g_strdup_printf("%s/%" PRIu64 ".raw", self.export, self.n_exported);
    g_autofree char *state =
        g_strdup_printf("%s/%" PRIu64 ".synced", self.export, self.n_exported++);
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned w = 0; w < MAX_WORKERS; w++) {
        g_string_append_printf(text, "%u ", self.synced[w]);
    }
    if (node_pread(node, 0, disk, self.pages * PAGE) ||
        !g_file_set_contents(raw, disk, (gssize)(self.pages * PAGE), NULL) ||
        !g_file_set_contents(state, text->str, -1, NULL)) {
        die("cannot be exported");
    }
}

static void take_sample(const Disk *disk)
{
    g_autofree char *path = g_strdup_printf("%s/%" PRIu64, self.sample, self.n_exported++);

    if (!g_file_set_contents(path, (const char *)disk->files[0]->data, (gssize)disk->files[0]->len,
                             NULL)) {
        die("cannot be written: %s", path);
    }
}

static void look_at(const Disk *disk)
{
    BlockNode *node;

    self.cuts++;
    if (self.export && self.cuts % self.every) {
        return;
    }
    write_scratch(disk);
    node = open_scratch(false);
    verify_structure(node);
    if (self.export) {
        export(node);
    } else {
        verify_contents(node);
    }
    node_close(node);
    verify_saved();
    if (self.sample && saved_count() && self.cuts % self.every == 0) {
        take_sample(disk);
    }
}

/* ---- The log ---- */

static void cut_with_losses(Disk *disk)
{
    copy_disk(disk, &self.durable);
    for (unsigned i = 0; i < self.pending->len; i++) {
        const WriteLogRecord *r = g_ptr_array_index(self.pending, i);

        if (g_rand_boolean(self.rand)) {
            apply(disk, r, r->bytes);
        }
    }
    look_at(disk);
}

/* Before @r is in self.now, it being a change. */
static void cut_around(const WriteLogRecord *r, Disk *disk)
{
    if (r->kind == LOG_WRITE && r->bytes > SECTOR) {
        copy_disk(disk, &self.now);
        apply(disk, r, r->bytes / 2 / SECTOR * SECTOR);
        look_at(disk);
    }
    apply(&self.now, r, r->bytes);
    g_ptr_array_add(self.pending, (gpointer)r);
    look_at(&self.now);
    cut_with_losses(disk);
}

static void end_sync(const WriteLogRecord *r)
{
    const WriteLogRecord *begin = g_hash_table_lookup(self.syncs, GSIZE_TO_POINTER(r->offset));

    for (unsigned i = 0; i < self.pending->len;) {
        const WriteLogRecord *w = g_ptr_array_index(self.pending, i);

        if (w->file == r->file && w < begin) { /* both are places in the log */
            apply(&self.durable, w, w->bytes);
            g_ptr_array_remove_index(self.pending, i);
        } else {
            i++;
        }
    }
}

static void read_line(const char *line)
{
    unsigned worker, number;

    if (sscanf(line, "synced %u %u", &worker, &number) == 2 && worker < MAX_WORKERS) {
        self.synced[worker] = number;
    }
    if (!saved_read_line(line)) {
        die("%s", line);
    }
}

static void read_text(const WriteLogRecord *r)
{
    GString **text = &self.texts[r->file];
    char *line;

    *text = *text ? *text : g_string_new(NULL);
    g_string_append_len(*text, (const char *)(r + 1), (gssize)r->bytes);
    while ((line = strchr((*text)->str, '\n'))) {
        *line = 0;
        read_line((*text)->str);
        g_string_erase(*text, 0, line + 1 - (*text)->str);
    }
}

static void replay(const char *log, gsize len)
{
    Disk disk;

    new_disk(&disk);
    for (gsize at = 0; at + sizeof(WriteLogRecord) <= len;) {
        const WriteLogRecord *r = (const WriteLogRecord *)(log + at);
        bool has_bytes = r->kind == LOG_WRITE || r->kind == LOG_TEXT;

        at += sizeof(*r) + (has_bytes ? (r->bytes + 7) / 8 * 8 : 0);
        if (at > len) {
            break; /* the emulator was killed while it wrote this */
        }
        switch (r->kind) {
        case LOG_TEXT:
            read_text(r);
            break;
        case LOG_SYNC_BEGIN:
            g_hash_table_insert(self.syncs, GSIZE_TO_POINTER(r->offset), (gpointer)r);
            break;
        case LOG_SYNC_END:
            end_sync(r);
            break;
        default:
            cut_around(r, &disk);
        }
    }
}

/* ---- The work ---- */

static void add_step(const Step *step)
{
    g_array_append_val(self.steps, *step);
    for (uint64_t page = step->page; page < step->page + step->count; page++) {
        unsigned index = self.steps->len - 1;

        if (page >= self.pages) {
            die("the work goes beyond the disk");
        }
        g_array_append_val((GArray *)g_ptr_array_index(self.touch, page), index);
    }
}

static void read_work(const char *file)
{
    g_autofree char *text = read_file(file, NULL);
    g_auto(GStrv) lines = g_strsplit(g_strchomp(text), "\n", -1);
    Step step = { 0 };

    self.steps = g_array_new(FALSE, FALSE, sizeof(Step));
    self.touch = g_ptr_array_new();
    for (uint64_t page = 0; page < self.pages; page++) {
        g_ptr_array_add(self.touch, g_array_new(FALSE, FALSE, sizeof(unsigned)));
    }
    for (char **line = lines; *line; line++) {
        if (sscanf(*line, "worker %u", &step.worker) == 1) {
            step.number = 0;
        } else if (sscanf(*line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &step.page, &step.count,
                          &step.from) == 3) {
            step.number++;
            add_step(&step);
        }
    }
}

static void read_images(char **names)
{
    self.names = names;
    self.n_files = g_strv_length(names);
    g_assert(self.n_files && self.n_files <= MAX_FILES);
    new_disk(&self.now);
    new_disk(&self.durable);
    for (unsigned i = 0; i < self.n_files; i++) {
        gsize len;
        g_autofree char *data = read_file(names[i], &len);

        g_byte_array_append(self.now.files[i], (const guint8 *)data, (guint)len);
    }
    copy_disk(&self.durable, &self.now);
}

static char **parse_options(char **arg)
{
    self.rand = g_rand_new_with_seed(1);
    for (; *arg && g_str_has_prefix(*arg, "--"); arg += 2) {
        g_assert(arg[1]);
        if (!strcmp(*arg, "--seed")) {
            g_rand_set_seed(self.rand, (guint32)strtoul(arg[1], NULL, 0));
        } else if ((!strcmp(*arg, "--export") || !strcmp(*arg, "--sample")) && arg[2]) {
            *(!strcmp(*arg, "--export") ? &self.export : &self.sample) = arg[1];
            self.every = (unsigned)strtoul(arg[2], NULL, 0);
            arg++;
        } else {
            die("unknown option %s", *arg);
        }
    }
    return arg;
}

int main(int argc, char **argv)
{
    g_autofree char *log = NULL;
    gsize log_len, len;

    if (argc < 8) {
        g_printerr("usage: replay LOG FORMAT SCRATCH PATTERN BASE WORK [OPTION...] IMAGE...\n");
        return 2;
    }
    log = read_file(argv[1], &log_len);
    self.format = argv[2];
    self.scratch = argv[3];
    self.pattern = read_file(argv[4], NULL);
    self.base = read_file(argv[5], &len);
    self.pages = len / PAGE;
    read_work(argv[6]);
    read_images(parse_options(argv + 7));
    self.pending = g_ptr_array_new();
    self.syncs = g_hash_table_new(NULL, NULL);
    replay(log, log_len);
    printf("%" PRIu64 " cuts, synced", self.cuts);
    for (unsigned w = 0; w < MAX_WORKERS; w++) {
        printf(" %u", self.synced[w]);
    }
    printf(", saved %u\n", saved_count());
    return 0;
}
