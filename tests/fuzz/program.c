/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loop of program.h's fuzzer.
 *
 *     PROGRAM TARGET CORPUS [--runs N] [--seconds N] [--seed N] [--keep]
 *     PROGRAM targets
 *
 * CORPUS has a program in each line: operations as a letter and hexadecimal numbers; or "=L.I.N": N operations as in line L (from 0, an earlier
 * one) from the I-th on. These are run first; without --runs and --seconds that is all (and says which line is run), else random changes of them
 * follow. --keep writes back what is needed to reach all that was reached. What is run is in CORPUS.now, for fuzz.py to show after a crash.
 */
#include "tests/fuzz/program.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/fuzz/cover.h"

enum { HANG_S = 30, SLOW_US = 400, MIN_PIECE = 3 };

static struct {
    const ProgramTarget *target;
    GPtrArray *corpus; /* of FuzzProgram */
    GArray *times;     /* us that each takes, of gint64 */
    unsigned n_seeds;  /* come first in it */
    GRand *rand;
    FuzzProgram *now; /* in CORPUS.now */
    uint64_t runs, kept;
    gint64 slowest; /* us */
} self;

void program_add(FuzzProgram *p, FuzzOp op)
{
    if (p->n < PROGRAM_MAX_OPS) {
        p->ops[p->n++] = op;
    }
}

/* ---- Changing programs ---- */

static uint32_t below(uint32_t n)
{
    return n > 1 ? g_rand_int(self.rand) % n : 0;
}

static const FuzzProgram *any_program(void)
{
    return g_ptr_array_index(self.corpus, below(self.corpus->len));
}

/* An address: of a place, or of what an operation of @p is about, so that things point to themselves or each other. */
static uint64_t random_place(const FuzzProgram *p)
{
    unsigned n = 0;
    uint64_t base;

    while (self.target->places[n]) {
        n++;
    }
    if (p->n && !below(4)) {
        return self.target->places[0] + p->ops[below(p->n)].at;
    }
    base = self.target->places[below(n)] + (below(2) ? below(32) * 4096 : 0);
    return base + (below(3) ? below(64) * 16 : below(2) ? 4096 - below(20) * 4 : below(4096));
}

static uint64_t random_value(const FuzzProgram *p)
{
    unsigned shift = below(64);

    switch (below(10)) {
    case 0:
    case 1:
        return below(20);
    case 2:
        return UINT64_MAX >> below(64);
    case 3:
        return 1ull << shift | (below(2) ? 0 : below(16));
    case 4:
        return below(0x10000);
    case 5:
        return p->n ? p->ops[below(p->n)].a : 0;
    case 6:
    case 7:
        return random_place(p);
    case 8:
        return cover_constant(g_rand_int(self.rand));
    default:
        return (uint64_t)g_rand_int(self.rand) << 32 | g_rand_int(self.rand);
    }
}

static uint64_t change_value(const FuzzProgram *p, uint64_t old)
{
    unsigned byte = 8 * below(8);

    switch (below(6)) {
    case 0:
        return old + below(5) - 2;
    case 1:
        return old ^ 1ull << below(below(2) ? 16 : 64);
    case 2:
        return (old & ~(0xffull << byte)) | (uint64_t)below(256) << byte;
    default:
        return random_value(p);
    }
}

static void change_op(const FuzzProgram *p, FuzzOp *op)
{
    static const int steps[] = { -64, -16, -8, -4, -2, -1, 1, 2, 4, 8, 16, 64, 4096 };

    switch (below(12)) {
    case 0:
        op->size = (uint8_t)(1u << below(4));
        break;
    case 1:
        op->window = (uint8_t)below(below(4) ? 16 : 256);
        break;
    case 2:
        op->count = (uint8_t)below(below(4) ? 8 : 256);
        break;
    case 3:
        op->at += (uint32_t)steps[below(G_N_ELEMENTS(steps))];
        break;
    case 4:
        op->at = p->n && below(2) ? p->ops[below(p->n)].at : (uint32_t)random_value(p);
        break;
    case 5:
    case 6:
        op->b = change_value(p, op->b);
        break;
    case 7:
        op->kind = self.target->kinds[below((uint32_t)strlen(self.target->kinds))];
        break;
    default:
        op->a = change_value(p, op->a);
    }
}

static FuzzOp random_op(const FuzzProgram *p)
{
    const FuzzProgram *other = any_program();
    FuzzOp op = { 0 };

    if (other->n && below(3)) {
        op = other->ops[below(other->n)];
        if (below(2)) {
            change_op(p, &op);
        }
        return op;
    }
    op.kind = self.target->kinds[below((uint32_t)strlen(self.target->kinds))];
    op.size = (uint8_t)(1u << below(4));
    op.window = (uint8_t)below(16);
    op.count = (uint8_t)below(8);
    op.at = below(2) ? below(0x40) * 4 : (uint32_t)random_value(p);
    op.a = random_value(p);
    op.b = random_value(p);
    return op;
}

static void remove_ops(FuzzProgram *p, unsigned from, unsigned n)
{
    n = MIN(n, p->n - from);
    memmove(p->ops + from, p->ops + from + n, (p->n - from - n) * sizeof(FuzzOp));
    p->n -= n;
}

static void insert_ops(FuzzProgram *p, unsigned to, const FuzzOp *ops, unsigned n)
{
    FuzzOp copy[PROGRAM_MAX_OPS];

    n = MIN(n, PROGRAM_MAX_OPS - p->n);
    memcpy(copy, ops, n * sizeof(FuzzOp)); /* they may be the program's own */
    memmove(p->ops + to + n, p->ops + to, (p->n - to) * sizeof(FuzzOp));
    memcpy(p->ops + to, copy, n * sizeof(FuzzOp));
    p->n += n;
}

static void insert_piece(FuzzProgram *p, const FuzzProgram *from)
{
    unsigned first = below(from->n), most = below(2) ? 4 : 32;

    if (from->n) {
        most = MIN(most, from->n - first);
        insert_ops(p, below(p->n + 1), from->ops + first, 1 + below(most));
    }
}

static void mutate(FuzzProgram *p)
{
    FuzzOp op = random_op(p);

    switch (below(12)) {
    case 0:
    case 1:
    case 2:
        insert_ops(p, below(4) ? below(p->n + 1) : p->n, &op, 1);
        break;
    case 3:
        if (p->n) {
            remove_ops(p, below(p->n), 1 + below(below(2) ? 1 : 8));
        }
        break;
    case 4:
        insert_piece(p, p);
        break;
    case 5:
        insert_piece(p, any_program());
        break;
    case 6:
        if (p->n) {
            FuzzOp *a = &p->ops[below(p->n)], *b = &p->ops[below(p->n)];

            op = *a;
            *a = *b;
            *b = op;
        }
        break;
    default:
        if (p->n) {
            change_op(p, &p->ops[below(p->n)]);
        }
    }
}

/* Those that take long get as much time as others, not as many runs. */
static void next_program(FuzzProgram *p)
{
    unsigned i;

    do {
        i = below(self.corpus->len);
    } while (below((uint32_t)(g_array_index(self.times, gint64, i) / SLOW_US)));
    *p = *(FuzzProgram *)g_ptr_array_index(self.corpus, i);
    for (unsigned n = 1 + below(5); n; n--) {
        mutate(p);
    }
}

/* ---- Running ---- */

static gint64 run(const FuzzProgram *p)
{
    gint64 begin = g_get_monotonic_time(), took;

    self.now->n = p->n;
    memcpy(self.now->ops, p->ops, p->n * sizeof(FuzzOp));
    alarm(HANG_S);
    cover_begin();
    self.target->run(self.target, p->ops, p->n);
    self.runs++;
    took = g_get_monotonic_time() - begin;
    self.slowest = MAX(self.slowest, took);
    return took;
}

static void keep_program(const FuzzProgram *p, gint64 took)
{
    g_ptr_array_add(self.corpus, g_memdup2(p, sizeof(*p)));
    g_array_append_val(self.times, took);
}

/* Leaves out pieces without which @found is reached, too. */
static void shorten(FuzzProgram *p, const GArray *found)
{
    FuzzProgram shorter;

    for (unsigned piece = p->n / 2; piece >= MIN_PIECE; piece /= 2) {
        for (unsigned at = 0; at < p->n;) {
            shorter = *p;
            remove_ops(&shorter, at, piece);
            run(&shorter);
            if (cover_has(found)) {
                *p = shorter;
            } else {
                at += piece;
            }
        }
    }
}

/* Runs it, and keeps it if it reaches something new. */
static bool try_program(FuzzProgram *p, bool shortened)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    gint64 took = run(p);

    if (!cover_is_new(found)) {
        return false;
    }
    if (shortened) {
        shorten(p, found);
        took = run(p);
        cover_is_new(NULL);
    }
    keep_program(p, took);
    return true;
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

static void print_op(GString *out, const FuzzOp *op)
{
    const uint64_t fields[] = { op->at, op->a, op->size, op->window, op->b, op->count };
    unsigned n = G_N_ELEMENTS(fields);

    while (n && !fields[n - 1]) {
        n--;
    }
    g_string_append_c(out, op->kind);
    for (unsigned i = 0; i < n; i++) {
        g_string_append_printf(out, i ? ",%" PRIx64 : "%" PRIx64, fields[i]);
    }
}

static bool parse_op(const char *word, FuzzProgram *p)
{
    uint64_t fields[6] = { 0 };
    const char *at = word + 1;

    if (!g_ascii_isupper(*word) || p->n == PROGRAM_MAX_OPS) {
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(fields) && *at; i++) {
        char *end;

        fields[i] = g_ascii_strtoull(at, &end, 16);
        if (end == at || (*end && *end != ',')) {
            return false;
        }
        at = *end ? end + 1 : end;
    }
    program_add(p, (FuzzOp){ .kind = *word,
                             .at = (uint32_t)fields[0],
                             .a = fields[1],
                             .size = (uint8_t)fields[2],
                             .window = (uint8_t)fields[3],
                             .b = fields[4],
                             .count = (uint8_t)fields[5] });
    return !*at;
}

static bool parse_reference(const char *word, const GPtrArray *earlier, FuzzProgram *p)
{
    unsigned line, first, n;
    const FuzzProgram *from;

    if (sscanf(word, "=%u.%u.%u", &line, &first, &n) != 3 || line >= earlier->len) {
        return false;
    }
    from = g_ptr_array_index(earlier, line);
    if (first > from->n || n > from->n - first || n > PROGRAM_MAX_OPS - p->n) {
        return false;
    }
    insert_ops(p, p->n, from->ops + first, n);
    return true;
}

static bool parse_program(const char *line, const GPtrArray *earlier, FuzzProgram *p)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);

    p->n = 0;
    for (char **word = words; *word; word++) {
        if (!(**word == '=' ? parse_reference(*word, earlier, p) : parse_op(*word, p))) {
            return false;
        }
    }
    return true;
}

static unsigned common_length(const FuzzOp *a, unsigned n_a, const FuzzOp *b, unsigned n_b)
{
    unsigned n = 0;

    while (n < n_a && n < n_b && !memcmp(a + n, b + n, sizeof(FuzzOp))) {
        n++;
    }
    return n;
}

/* The longest piece of an earlier program that @p goes on with: its length. */
static unsigned find_piece(const GPtrArray *earlier, const FuzzProgram *p, unsigned from,
                           unsigned *line, unsigned *first)
{
    unsigned best = 0;

    for (unsigned l = 0; l < earlier->len; l++) {
        const FuzzProgram *other = g_ptr_array_index(earlier, l);

        for (unsigned i = 0; i < other->n; i++) {
            unsigned n = common_length(other->ops + i, other->n - i, p->ops + from, p->n - from);

            if (n > best) {
                best = n;
                *line = l;
                *first = i;
            }
        }
    }
    return best;
}

/* A line. @earlier: what it may refer to. */
static void print_program(GString *out, const GPtrArray *earlier, const FuzzProgram *p)
{
    unsigned line = 0, first = 0;

    for (unsigned i = 0; i < p->n;) {
        unsigned n = find_piece(earlier, p, i, &line, &first);

        g_string_append(out, i ? " " : "");
        if (n > 1) {
            g_string_append_printf(out, "=%u.%u.%u", line, first, n);
            i += n;
        } else {
            print_op(out, &p->ops[i++]);
        }
    }
    g_string_append_c(out, '\n');
}

/* Runs what is in the file. @keep: only what is good for something is one of the corpus. */
static bool load_corpus(const char *file, bool keep, bool verbose, GError **error)
{
    g_autoptr(GPtrArray) earlier = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_test(file, G_FILE_TEST_EXISTS)) {
        return true;
    }
    if (!g_file_get_contents(file, &text, NULL, error)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (unsigned n = 0; lines[n] && lines[n + 1]; n++) {
        FuzzProgram *p = g_new0(FuzzProgram, 1);

        g_ptr_array_add(earlier, p);
        if (!parse_program(lines[n], earlier, p)) {
            g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s:%u: is no program", file,
                        n + 1);
            return false;
        }
        if (verbose) {
            g_printerr("line %u\n", n + 1);
        }
        if (keep) {
            try_program(p, false);
        } else {
            keep_program(p, run(p));
            cover_is_new(NULL);
        }
    }
    return true;
}

static int compare_length(gconstpointer a, gconstpointer b)
{
    const FuzzProgram *x = *(FuzzProgram *const *)a, *y = *(FuzzProgram *const *)b;

    return x->n < y->n ? -1 : x->n > y->n;
}

/* What all of the corpus reaches is reached by those that are written, if not as often. */
static bool save_corpus(const char *file, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GPtrArray) all = g_ptr_array_new(), written = g_ptr_array_new();

    cover_forget(true);
    for (unsigned i = 0; i < self.corpus->len; i++) {
        FuzzProgram *p = g_ptr_array_index(self.corpus, i);

        if (i < self.n_seeds) {
            run(p);
            cover_is_new(NULL);
        } else {
            g_ptr_array_add(all, p);
        }
    }
    g_ptr_array_sort(all, compare_length);
    for (unsigned i = 0; i < all->len; i++) {
        FuzzProgram *p = g_ptr_array_index(all, i);

        run(p);
        if (cover_is_new(NULL) && p->n) {
            print_program(text, written, p);
            g_ptr_array_add(written, p);
        }
    }
    return g_file_set_contents(file, text->str, (gssize)text->len, error);
}

/* ---- The program ---- */

typedef struct Options {
    char *corpus;
    gint64 runs, seconds, seed;
    gboolean keep;
} Options;

static bool open_now(const char *corpus)
{
    g_autofree char *name = g_strconcat(corpus, ".now", NULL);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || ftruncate(fd, sizeof(FuzzProgram)) < 0) {
        g_printerr("%s: %s\n", name, g_strerror(errno));
        return false;
    }
    self.now = mmap(NULL, sizeof(FuzzProgram), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return self.now != MAP_FAILED;
}

static void fuzz(const Options *o)
{
    gint64 end = g_get_monotonic_time() + o->seconds * G_USEC_PER_SEC;
    uint64_t first = self.runs;
    FuzzProgram p;

    while ((!o->runs || self.runs - first < (uint64_t)o->runs) &&
           (!o->seconds || g_get_monotonic_time() < end)) {
        next_program(&p);
        self.kept += try_program(&p, true);
    }
}

/* "CORPUS.now" as a line, for fuzz.py. */
static int show_now(const char *file)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autofree char *data = NULL;
    const FuzzProgram *p;
    gsize len;

    if (!g_file_get_contents(file, &data, &len, NULL) || len != sizeof(FuzzProgram)) {
        return 1;
    }
    p = (const FuzzProgram *)(void *)data;
    if (p->n > PROGRAM_MAX_OPS) {
        return 1;
    }
    print_program(out, none, p);
    g_print("%s", out->str);
    return 0;
}

static void run_seeds(void)
{
    g_autoptr(GPtrArray) seeds = g_ptr_array_new_with_free_func(g_free);

    self.target->seeds(self.target, seeds);
    for (unsigned i = 0; i < seeds->len; i++) {
        const FuzzProgram *p = g_ptr_array_index(seeds, i);

        keep_program(p, run(p));
        cover_is_new(NULL);
    }
    self.n_seeds = seeds->len;
}

static int run_target(const ProgramTarget *target, const Options *o)
{
    bool only = !o->runs && !o->seconds;
    g_autoptr(GError) error = NULL;

    self.target = target;
    self.rand = g_rand_new_with_seed((guint32)o->seed);
    self.corpus = g_ptr_array_new_with_free_func(g_free);
    self.times = g_array_new(FALSE, FALSE, sizeof(gint64));
    if (!open_now(o->corpus)) {
        return 1;
    }
    signal(SIGALRM, on_hang);
    run_seeds();
    if (!load_corpus(o->corpus, o->keep, only, &error)) {
        g_printerr("%s\n", error->message);
        return 1;
    }
    if (!only) {
        fuzz(o);
    }
    printf("%s: %" PRIu64 " inputs, %u in the corpus, %" PRIu64
           " new, %u places reached, the slowest took %" PRId64 " ms\n",
           target->name, self.runs, self.corpus->len, self.kept, cover_count(),
           self.slowest / 1000);
    if (o->keep && !save_corpus(o->corpus, &error)) {
        g_printerr("%s\n", error->message);
        return 1;
    }
    g_ptr_array_unref(self.corpus);
    g_array_unref(self.times);
    return 0;
}

int program_main(const ProgramTarget *(*target)(unsigned n), int argc, char **argv)
{
    Options o = { 0 };
    const GOptionEntry entries[] = {
        { "runs", 0, 0, G_OPTION_ARG_INT64, &o.runs, "so many inputs", "N" },
        { "seconds", 0, 0, G_OPTION_ARG_INT64, &o.seconds, "so long", "N" },
        { "seed", 0, 0, G_OPTION_ARG_INT64, &o.seed, "of the random numbers", "N" },
        { "keep", 0, 0, G_OPTION_ARG_NONE, &o.keep, "write the corpus back", NULL },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new("TARGET CORPUS");
    g_autoptr(GError) error = NULL;
    const ProgramTarget *t;

    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error) || argc < 2) {
        g_printerr("%s\n", error ? error->message : "usage: PROGRAM TARGET CORPUS [OPTION...]");
        return 2;
    }
    for (unsigned i = 0; (t = target(i)); i++) {
        if (!strcmp(argv[1], "targets")) {
            g_print("%s\n", t->name);
        } else if (!strcmp(argv[1], t->name) && argc == 3) {
            o.corpus = argv[2];
            return run_target(t, &o);
        }
    }
    if (!strcmp(argv[1], "targets")) {
        return 0;
    }
    if (!strcmp(argv[1], "show-now") && argc == 3) {
        return show_now(argv[2]);
    }
    g_printerr("no target '%s'\n", argv[1]);
    return 2;
}
