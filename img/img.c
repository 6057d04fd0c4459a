/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * menura-img: the table of its commands, their arguments, and help. A command's options are a string of the table, from which
 * getopt_long()'s tables are made; words that several commands share (--output, cache modes) are checked here once.
 */
#include "img/img.h"
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"
#include "util/suggest.h"

static const ImgCommand commands[] = {
    { "amend", "f: o: p q t: force object: image-opts", "[-p] [-q] [-f fmt] -o options filename",
      img_amend },
    { "bench",
      "c: d: f: flush-interval: i: n no-drain o: pattern: q s: S: t: w U|force-share image-opts",
      "[-c count] [-d depth] [-f fmt] [--flush-interval=flush_interval] [-o offset] "
      "[--pattern=pattern] [-q] [-s buffer_size] [-S step_size] [-w] [-U] filename",
      img_bench },
    { "bitmap",
      "add remove clear enable disable merge: b|source-file: F|source-format: g|granularity: f: "
      "object: image-opts",
      "(--merge SOURCE | --add | --remove | --clear | --enable | --disable)... "
      "[-b source_file [-F source_fmt]] [-g granularity] [-f fmt] filename bitmap",
      img_bitmap },
    { "check", "f|format: r|repair: output: q T: U|force-share object: image-opts",
      "[-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-U] filename", img_check },
    { "commit", "f: t: b: r: d p q object: image-opts",
      "[-q] [-f fmt] [-t cache] [-b base] [-r rate_limit] [-d] [-p] filename", img_commit },
    { "compare", "f: F: T: p q s U|force-share object: image-opts",
      "[-f fmt] [-F fmt] [-p] [-q] [-s] [-U] filename1 filename2", img_compare },
    { "convert",
      "f: O: B: F: C c o: l: S: p t: T: q n m: W U|force-share object: image-opts r: "
      "target-image-opts target-is-zero salvage bitmaps skip-broken-bitmaps",
      "[--target-is-zero] [--bitmaps [--skip-broken-bitmaps]] [-U] [-c] [-p] [-q] [-n] [-f fmt] "
      "[-t cache] [-T src_cache] "
      "[-O output_fmt] [-B backing_file [-F backing_fmt]] [-o options] [-l snapshot_param] [-S "
      "sparse_size] "
      "[-m num_coroutines] [-W] [-r rate_limit] filename [filename2 [...]] output_filename",
      img_convert },
    { "create", "f: F: b: o: q u object:",
      "[-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]",
      img_create },
    { "dd", "f: O: U|force-share object: image-opts",
      "[-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] [skip=blocks] if=input "
      "of=output",
      img_dd },
    { "info", "f|format: output: backing-chain U|force-share object: image-opts",
      "[-f fmt] [--output=ofmt] [--backing-chain] [-U] filename", img_info },
    { "map", "f|format: output: s|start-offset: l|max-length: U|force-share object: image-opts",
      "[-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] filename",
      img_map },
    { "measure", "O: f: o: l: size: output: U|force-share object: image-opts",
      "[--output=ofmt] [-O output_fmt] [-o options] [--size N | [-f fmt] filename]", img_measure },
    { "snapshot", "l a: c: d: q U|force-share object: image-opts",
      "[-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename", img_snapshot },
    { "rebase", "f: F: b: u p q t: T: U|force-share object: image-opts",
      "[-U] [-q] [-f fmt] [-t cache] [-T src_cache] [-p] [-u] -b backing_file [-F backing_fmt] "
      "filename",
      img_rebase },
    { "resize", "f: preallocation: q shrink object: image-opts",
      "[-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size", img_resize },
};

/* ---- Values ---- */

const char *img_get(const ImgArgs *args, const char *key)
{
    for (unsigned i = args->keys->len; i-- > 0;) {
        if (!strcmp(g_ptr_array_index(args->keys, i), key)) {
            return g_ptr_array_index(args->values, i);
        }
    }
    return NULL;
}

bool img_has(const ImgArgs *args, const char *key)
{
    return img_get(args, key) != NULL;
}

bool img_wants_json(const ImgArgs *args)
{
    return !g_strcmp0(img_get(args, "output"), "json");
}

/* ---- Help ---- */

static int print_version(void)
{
    printf("menura-img version " MENURA_VERSION "\n");
    return 0;
}

static int print_help(const ImgCommand *command)
{
    if (command) {
        printf("usage: menura-img %s %s\n", command->name, command->syntax);
        return 0;
    }
    print_version();
    printf("usage: menura-img [standard options] command [command options]\n"
           "Disk images, with qemu-img's commands\n\n"
           "    '-h', '--help'       display this help and exit\n"
           "    '-V', '--version'    output version information and exit\n\n"
           "Command syntax:\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        printf("  %s %s\n", commands[i].name, commands[i].syntax);
    }
    printf("\n'menura-img help COMMAND' shows one command; menura-img(1) says what the options "
           "mean.\n\nSupported formats:");
    for (const BlockDriver *const *d = block_drivers; *d; d++) {
        printf(" %s", (*d)->name);
    }
    putchar('\n');
    return 0;
}

/* ---- Parsing ---- */

enum { MAX_OPTIONS = 40, LONG_VALUE = 256 };

typedef struct OptionTables {
    char **words;            /* of the command's string */
    char *keys[MAX_OPTIONS]; /* the names they are asked for by */
    GString *letters;
    struct option longs[MAX_OPTIONS + 1];
    int n_longs;
} OptionTables;

/* @word: "f|format:", "q" or "output:"; its ':' is cut off. */
static void add_option(OptionTables *t, int i, char *word)
{
    size_t n = strlen(word);
    bool value = word[n - 1] == ':';
    char *bar = strchr(word, '|');
    char *name = bar ? bar + 1 : word;

    if (value) {
        word[n - 1] = '\0';
    }
    if (bar) {
        *bar = '\0';
    }
    t->keys[i] = word;
    if (!word[1]) {
        g_string_append_printf(t->letters, value ? "%c:" : "%c", *word);
    }
    if (name[1]) {
        t->longs[t->n_longs++] =
            (struct option){ name, value ? required_argument : no_argument, NULL, LONG_VALUE + i };
    }
}

static void make_tables(OptionTables *t, const char *options)
{
    g_autofree char *all = g_strconcat(options, " h|help", NULL);

    *t = (OptionTables){ .words = g_strsplit(all, " ", -1) };
    t->letters = g_string_new("-:"); /* '-': what is no option comes in its place */
    for (int i = 0; t->words[i]; i++) {
        g_assert(i < MAX_OPTIONS);
        add_option(t, i, t->words[i]);
    }
}

static const char *key_of(const OptionTables *t, int c)
{
    if (c >= LONG_VALUE) {
        return t->keys[c - LONG_VALUE];
    }
    for (int i = 0; t->words[i]; i++) {
        if (t->keys[i][0] == c && !t->keys[i][1]) {
            return t->keys[i];
        }
    }
    return NULL;
}

static int complain_unknown(const OptionTables *t, const char *word)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *hint = NULL, *name = g_strndup(word, strcspn(word, "="));

    for (int i = 0; i < t->n_longs; i++) {
        g_ptr_array_add(names, g_strconcat("--", t->longs[i].name, NULL));
    }
    g_ptr_array_add(names, NULL);
    hint = g_str_has_prefix(word, "--") ? suggest_text(name, (const char *const *)names->pdata)
                                        : g_strdup("");
    return img_usage_error("unrecognized option '%s'%s", word, hint);
}

/* Whether @word, the last of the command, is a size to make an image smaller by, which looks like an option. */
static bool is_minus_size(const ImgCommand *command, const char *word)
{
    return !strcmp(command->name, "resize") && word[0] == '-' && g_ascii_isdigit(word[1]);
}

/* -1: go on; otherwise the exit status. */
static int parse_options(const ImgCommand *command, int argc, char **argv, OptionTables *t,
                         ImgArgs *args, GPtrArray *files)
{
    char *last = argc > 1 && is_minus_size(command, argv[argc - 1]) ? argv[--argc] : NULL;
    int c;

    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, t->letters->str, t->longs, NULL)) != -1) {
        char letter[3] = { '-', (char)optopt, 0 };

        if (c == 1) {
            g_ptr_array_add(files, optarg);
        } else if (c == ':') {
            return img_usage_error("missing argument for option '%s'", argv[optind - 1]);
        } else if (c == '?') {
            return complain_unknown(t, optopt && optopt < LONG_VALUE ? letter : argv[optind - 1]);
        } else if (!strcmp(key_of(t, c), "h")) {
            return print_help(command);
        } else {
            g_ptr_array_add(args->keys, (char *)key_of(t, c));
            g_ptr_array_add(args->values, optarg ? optarg : "");
        }
    }
    for (; optind < argc; optind++) { /* behind "--" */
        g_ptr_array_add(files, argv[optind]);
    }
    if (last) {
        g_ptr_array_add(files, last);
    }
    return -1;
}

static bool check_cache(const char *mode, const char *what)
{
    static const char *const modes[] = { "none",       "off",    "writeback", "writethrough",
                                         "directsync", "unsafe", NULL };

    if (mode && !g_strv_contains(modes, mode)) {
        img_error("Invalid %s option: %s", what, mode);
        return false;
    }
    return true;
}

static bool check_common(const ImgArgs *args)
{
    const char *output = img_get(args, "output");

    if (output && strcmp(output, "json") && strcmp(output, "human")) {
        img_error("--output must be used with human or json as argument.");
        return false;
    }
    if (img_has(args, "object")) {
        img_error("--object: not supported (there are no encrypted images)");
        return false;
    }
    if (img_has(args, "image-opts") && img_has(args, "f")) {
        img_error("--image-opts and --format are mutually exclusive");
        return false;
    }
    return check_cache(img_get(args, "t"), "cache") &&
           check_cache(img_get(args, "T"), "source cache");
}

static int run_command(const ImgCommand *command, int argc, char **argv)
{
    g_autoptr(GPtrArray) keys = g_ptr_array_new(), values = g_ptr_array_new(),
                         files = g_ptr_array_new();
    ImgArgs args = { .command = command, .keys = keys, .values = values };
    OptionTables tables;
    int status;

    make_tables(&tables, command->options);
    status = parse_options(command, argc, argv, &tables, &args, files);
    args.n_files = (int)files->len;
    g_ptr_array_add(files, NULL);
    args.files = (char **)files->pdata;
    if (status < 0) {
        status = check_common(&args) ? command->run(&args) : 1;
    }
    g_string_free(tables.letters, TRUE);
    g_strfreev(tables.words);
    if (fflush(stdout) != 0 && !status) {
        status = img_error("Could not write the output");
    }
    return status;
}

static const ImgCommand *find_command(const char *name)
{
    const char *names[G_N_ELEMENTS(commands) + 1] = { NULL };
    g_autofree char *hint = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        names[i] = commands[i].name;
        if (!strcmp(name, names[i])) {
            return &commands[i];
        }
    }
    hint = suggest_text(name, names);
    img_usage_error("Command not found: %s%s", name, hint);
    return NULL;
}

int img_main(const char *name, int argc, char **argv)
{
    const ImgCommand *command;

    img_set_program(name);
    if (!argc) {
        return img_usage_error("Not enough arguments");
    }
    if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V")) {
        return print_version();
    }
    if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h") ||
        (!strcmp(argv[0], "help") && argc == 1)) {
        return print_help(NULL);
    }
    if (argv[0][0] == '-') {
        return img_usage_error("unrecognized option '%s'", argv[0]);
    }
    if (!strcmp(argv[0], "help")) {
        command = find_command(argv[1]);
        return command ? print_help(command) : 1;
    }
    command = find_command(argv[0]);
    return command ? run_command(command, argc, argv) : 1;
}
