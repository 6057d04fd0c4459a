/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fuzzer's loop; see fuzz.h.
 *
 *     PROGRAM TARGET CORPUS [--runs N] [--seconds N] [--seed N] [--replay] [--keep]
 *
 * CORPUS is one file with the inputs worth keeping; they are run first. Then come random changes of them, until there were so many runs or seconds.
 * --keep writes back what was found to reach new code. --replay runs the corpus only and names each input, for looking at a crash. The input at
 * work is in CORPUS.now, so after a crash that is the one (fuzz.py makes a file of it).
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/fuzz/cover.h"

enum { HANG_S = 20, FAST_US = 100 };

static struct {
    const FuzzTarget *target;
    GPtrArray *bases, /* of GByteArray */
        *words,       /* of GArray of the offsets of words that are not zero */
        *files;       /* of FuzzFile */
    GArray *corpus;   /* of FuzzInput */
    GArray *times;    /* us that each takes, of gint64 */
    GRand *rand;
    FuzzInput *now; /* in CORPUS.now */
    uint64_t runs, kept;
    gint64 slowest; /* us */
} self;

/* ---- Changing inputs ---- */

static uint32_t below(uint32_t n)
{
    return n > 1 ? g_rand_int(self.rand) % n : 0;
}

static uint64_t interesting(const GByteArray *base)
{
    unsigned shift = below(64);
    uint64_t word;

    switch (below(8)) {
    case 0:
        return below(4);
    case 1:
        return UINT64_MAX - below(4);
    case 2:
        return 1ull << shift;
    case 3:
        return (1ull << shift) - 1;
    case 4:
        return base->len + below(3) - 1;
    case 5:
        return (uint64_t)below(base->len / 512 + 2) * 512;
    case 6: /* something that stands elsewhere */
        memcpy(&word, base->data + below(base->len - 8), sizeof(word));
        return word;
    default:
        return (uint64_t)g_rand_int(self.rand) << 32 | g_rand_int(self.rand);
    }
}

static void random_patch(FuzzInput *in, FuzzPatch *p)
{
    const GByteArray *base = g_ptr_array_index(self.bases, in->base);
    const GArray *words = g_ptr_array_index(self.words, in->base);
    uint64_t value = interesting(base), old;

    p->len = (uint8_t)(1u << below(4));
    switch (below(8)) {
    case 0:
        p->offset = below(base->len - 8);
        break;
    case 1:
    case 2:
        p->offset = below(MIN(base->len - 8, 512));
        break;
    default:
        p->offset = g_array_index(words, uint32_t, below(words->len)) + below(8) / p->len * p->len;
        p->offset = MIN(p->offset, base->len - 8);
    }
    if (below(4) == 0) { /* near to what it was */
        memcpy(&old, base->data + p->offset, sizeof(old));
        value =
            below(2) ? old ^ 1ull << below(64) : GUINT64_TO_BE(GUINT64_FROM_BE(old) + below(5) - 2);
    } else if (below(2)) {
        value = GUINT64_TO_BE(value << (64 - 8 * p->len));
    }
    memcpy(p->bytes, &value, sizeof(value));
}

static void random_action(FuzzAction *a)
{
    uint32_t r = g_rand_int(self.rand);

    memcpy(a, &r, sizeof(r));
}

static void mutate(FuzzInput *in)
{
    const FuzzInput *other = &g_array_index(self.corpus, FuzzInput, below(self.corpus->len));

    switch (below(10)) {
    case 0:
        in->checksums = !in->checksums;
        break;
    case 1:
        in->truncated = !in->truncated;
        in->length = below(((GByteArray *)g_ptr_array_index(self.bases, in->base))->len);
        break;
    case 2:
        in->n_patches -= in->n_patches > 0;
        break;
    case 3: /* the actions of another */
        memcpy(in->actions, other->actions, sizeof(in->actions));
        in->n_actions = other->n_actions;
        break;
    case 4:
    case 5:
        if (in->n_actions < FUZZ_MAX_ACTIONS) {
            random_action(&in->actions[in->n_actions++]);
        } else {
            random_action(&in->actions[below(FUZZ_MAX_ACTIONS)]);
        }
        break;
    default:
        if (in->n_patches < FUZZ_MAX_PATCHES) {
            random_patch(in, &in->patches[in->n_patches++]);
        } else {
            random_patch(in, &in->patches[below(FUZZ_MAX_PATCHES)]);
        }
    }
}

/* Those that take long get as much time as others, not as many runs. */
static FuzzInput next_input(void)
{
    FuzzInput in;
    unsigned i;

    do {
        i = below(self.corpus->len);
    } while (below((uint32_t)(g_array_index(self.times, gint64, i) / FAST_US)));
    in = g_array_index(self.corpus, FuzzInput, i);

    for (unsigned n = 1 + below(4); n; n--) {
        mutate(&in);
    }
    return in;
}

/* ---- Running ---- */

static FuzzFile *build_file(const FuzzInput *in)
{
    const GByteArray *base = g_ptr_array_index(self.bases, in->base);
    FuzzFile *file = g_ptr_array_index(self.files, in->base);

    fuzz_file_reset(file);
    for (unsigned i = 0; i < in->n_patches; i++) {
        const FuzzPatch *p = &in->patches[i];

        if (p->offset + p->len <= base->len) {
            fuzz_file_put(file, p->offset, p->bytes, p->len);
        }
    }
    if (in->checksums && self.target->fix_checksums) {
        self.target->fix_checksums(file);
    }
    if (in->truncated && in->length < base->len) {
        fuzz_file_set_length(file, in->length);
    }
    return file;
}

/* Whether it reached something new, and is one of the corpus therefore (or as it is one of that already: @keep). */
static bool run_input(const FuzzInput *in, bool keep)
{
    gint64 begin = g_get_monotonic_time(), took;
    FuzzFile *file;

    *self.now = *in;
    alarm(HANG_S);
    file = build_file(in);
    cover_begin();
    self.target->run(self.target, file, in);
    self.runs++;
    took = g_get_monotonic_time() - begin;
    if (took > self.slowest) {
        self.slowest = took;
    }
    keep |= cover_is_new(NULL);
    if (keep) {
        g_array_append_val(self.corpus, *in);
        g_array_append_val(self.times, took);
    }
    return keep;
}

static void on_hang(int signal)
{
    static const char text[] = "fuzz: an input takes too long\n";

    if (write(STDERR_FILENO, text, sizeof(text) - 1) > 0) {
        abort();
    }
    _exit(1);
}

/* ---- The corpus ---- */

static bool is_sane(const FuzzInput *in)
{
    bool ok = in->base < self.bases->len && in->n_patches <= FUZZ_MAX_PATCHES &&
              in->n_actions <= FUZZ_MAX_ACTIONS;

    for (unsigned i = 0; ok && i < in->n_patches; i++) {
        ok = in->patches[i].len <= sizeof(in->patches[i].bytes);
    }
    return ok;
}

/* On disk only what is used: a line of hexadecimal numbers, so that git shows what changed. */
static void print_input(GString *out, const FuzzInput *in)
{
    g_string_append_printf(out, "%x %x %x %x", in->base, in->checksums, in->truncated, in->length);
    for (unsigned i = 0; i < in->n_patches; i++) {
        const FuzzPatch *p = &in->patches[i];
        uint64_t value;

        memcpy(&value, p->bytes, sizeof(value));
        g_string_append_printf(out, " p%x,%x,%" PRIx64, p->offset, p->len, GUINT64_FROM_LE(value));
    }
    for (unsigned i = 0; i < in->n_actions; i++) {
        const FuzzAction *a = &in->actions[i];

        g_string_append_printf(out, " a%x,%x,%x,%x", a->what, a->where, a->length, a->value);
    }
    g_string_append_c(out, '\n');
}

static bool parse_word(FuzzInput *in, const char *word)
{
    unsigned a, b, c, d;
    uint64_t value;

    if (sscanf(word, "p%x,%x,%" SCNx64, &a, &b, &value) == 3 && in->n_patches < FUZZ_MAX_PATCHES) {
        FuzzPatch *p = &in->patches[in->n_patches++];

        p->offset = a;
        p->len = (uint8_t)b;
        value = GUINT64_TO_LE(value);
        memcpy(p->bytes, &value, sizeof(value));
        return true;
    }
    if (sscanf(word, "a%x,%x,%x,%x", &a, &b, &c, &d) == 4 && in->n_actions < FUZZ_MAX_ACTIONS) {
        in->actions[in->n_actions++] =
            (FuzzAction){ (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d };
        return true;
    }
    return false;
}

static bool parse_input(const char *line, FuzzInput *in)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    unsigned base, checksums, truncated;

    *in = (FuzzInput){ 0 };
    if (g_strv_length(words) < 4 ||
        sscanf(line, "%x %x %x %x", &base, &checksums, &truncated, &in->length) != 4) {
        return false;
    }
    in->base = (uint8_t)base;
    in->checksums = checksums;
    in->truncated = truncated;
    for (char **word = words + 4; *word; word++) {
        if (!parse_word(in, *word)) {
            return false;
        }
    }
    return is_sane(in);
}

/* Runs what is in the file, and keeps it if it is good for something (or @all). */
static bool load_corpus(const char *file, bool all, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_test(file, G_FILE_TEST_EXISTS)) {
        return true;
    }
    if (!g_file_get_contents(file, &text, NULL, error)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned n = 0; lines[n]; n++) {
        FuzzInput in;

        if (*lines[n] && !parse_input(lines[n], &in)) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s:%u: is no input", file,
                        n + 1);
            return false;
        }
        if (*lines[n]) {
            run_input(&in, all);
        }
    }
    return true;
}

static bool save_corpus(const char *file, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (unsigned i = self.bases->len; i < self.corpus->len; i++) {
        print_input(text, &g_array_index(self.corpus, FuzzInput, i));
    }
    return g_file_set_contents(file, text->str, (gssize)text->len, error);
}

/* The unchanged bases come first, with and without checksums, and are not saved. */
static void add_bases(void)
{
    for (unsigned i = 0; i < self.bases->len; i++) {
        const GByteArray *base = g_ptr_array_index(self.bases, i);
        GArray *words = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        FuzzInput in = { .base = (uint8_t)i };

        for (uint32_t at = 0; at + 8 <= base->len; at += 8) {
            static const uint8_t zeroes[8];

            if (memcmp(base->data + at, zeroes, 8)) {
                g_array_append_val(words, at);
            }
        }
        g_ptr_array_add(self.words, words);
        g_ptr_array_add(self.files, fuzz_file_new(base));
        run_input(&in, true);
    }
}

/* ---- The program ---- */

typedef struct FuzzOptions {
    char *corpus;
    gint64 runs, seconds, seed;
    gboolean replay, keep;
} FuzzOptions;

static bool open_now(const char *corpus)
{
    g_autofree char *name = g_strconcat(corpus, ".now", NULL);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || ftruncate(fd, sizeof(FuzzInput)) < 0) {
        g_printerr("%s: %s\n", name, g_strerror(errno));
        return false;
    }
    self.now = mmap(NULL, sizeof(FuzzInput), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return self.now != MAP_FAILED;
}

static void replay(void)
{
    for (unsigned i = self.bases->len; i < self.corpus->len; i++) {
        g_autoptr(GString) text = g_string_new(NULL);
        const FuzzInput in = g_array_index(self.corpus, FuzzInput, i);

        print_input(text, &in);
        g_print("%s", text->str);
        run_input(&in, false);
    }
}

static void fuzz(const FuzzOptions *o)
{
    gint64 end = g_get_monotonic_time() + o->seconds * G_USEC_PER_SEC;
    uint64_t first = self.runs;

    while ((!o->runs || self.runs - first < (uint64_t)o->runs) &&
           (!o->seconds || g_get_monotonic_time() < end)) {
        FuzzInput in = next_input();

        self.kept += run_input(&in, false);
    }
}

/* "CORPUS.now" as a line, for fuzz.py. */
static int show_now(const char *file)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *data = NULL;
    gsize len;

    if (!g_file_get_contents(file, &data, &len, NULL) || len != sizeof(FuzzInput)) {
        return 1;
    }
    print_input(out, (const FuzzInput *)(void *)data);
    g_print("%s", out->str);
    return 0;
}

static int run_target(const FuzzTarget *target, const FuzzOptions *o)
{
    g_autoptr(GError) error = NULL;

    self.target = target;
    self.rand = g_rand_new_with_seed((guint32)o->seed);
    self.corpus = g_array_new(FALSE, FALSE, sizeof(FuzzInput));
    self.times = g_array_new(FALSE, FALSE, sizeof(gint64));
    self.words = g_ptr_array_new();
    self.files = g_ptr_array_new();
    if (!open_now(o->corpus)) {
        return 1;
    }
    signal(SIGALRM, on_hang);
    self.bases = target->make_bases(target);
    add_bases();
    if (!load_corpus(o->corpus, !o->keep, &error)) {
        g_printerr("%s\n", error->message);
        return 1;
    }
    if (o->replay) {
        replay();
    } else {
        fuzz(o);
    }
    if (o->keep && !save_corpus(o->corpus, &error)) {
        g_printerr("%s\n", error->message);
        return 1;
    }
    printf("%s: %" PRIu64 " inputs, %u in the corpus, %" PRIu64
           " new, %u places reached, the slowest took %" PRId64 " ms\n",
           target->name, self.runs, self.corpus->len, self.kept, cover_count(),
           self.slowest / 1000);
    return 0;
}

int fuzz_main(const FuzzTarget *targets, int argc, char **argv)
{
    FuzzOptions o = { 0 };
    const GOptionEntry entries[] = {
        { "runs", 0, 0, G_OPTION_ARG_INT64, &o.runs, "so many inputs", "N" },
        { "seconds", 0, 0, G_OPTION_ARG_INT64, &o.seconds, "so long", "N" },
        { "seed", 0, 0, G_OPTION_ARG_INT64, &o.seed, "of the random numbers", "N" },
        { "replay", 0, 0, G_OPTION_ARG_NONE, &o.replay, "only what is in the corpus", NULL },
        { "keep", 0, 0, G_OPTION_ARG_NONE, &o.keep, "write the corpus back", NULL },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new("TARGET CORPUS");
    g_autoptr(GError) error = NULL;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc != 3) {
        g_printerr("%s\n", error ? error->message : "usage: PROGRAM TARGET CORPUS [OPTION...]");
        return 2;
    }
    if (!strcmp(argv[1], "show-now")) {
        return show_now(argv[2]);
    }
    o.corpus = argv[2];
    if (!o.runs && !o.seconds) {
        o.runs = 1000;
    }
    for (const FuzzTarget *t = targets; t->name; t++) {
        if (!strcmp(t->name, argv[1])) {
            return run_target(t, &o);
        }
    }
    g_printerr("there is no target %s\n", argv[1]);
    return 2;
}
