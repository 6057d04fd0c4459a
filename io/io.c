/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * menura-io: its options, the table of its commands, and the loop that runs them, given by -c or read from standard input. A command is
 * words between spaces; there is no quoting.
 */
#include "io/io.h"
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "block/filter.h"
#include "io/io-priv.h"

static bool quitting;

/* ---- Commands ---- */

const IoCommand io_commands[] = {
    { "abort", NULL, io_cmd_abort, 0, 0, true, 0, "", "simulate a program crash using abort(3)",
      NULL },
    { "aio_flush", NULL, io_cmd_aio_flush, 0, 0, false, 0, "",
      "completes all outstanding aio requests", NULL },
    { "aio_read", NULL, io_cmd_aio_read, 2, -1, false, 0, "[-Ciqv] [-P pattern] off len [len..]",
      "asynchronously reads a number of bytes",
      "Reads LEN bytes at OFF, into a buffer for each LEN, beside other requests; aio_flush waits "
      "for\n"
      "it. What goes wrong is said, but is no failure of the command.\n"
      "  -C  numbers for programs      -P  compares with this byte   -q  says nothing\n"
      "  -i  an invalid request        -v  shows the bytes\n" },
    { "aio_write", NULL, io_cmd_aio_write, 2, -1, false, IO_WRITES,
      "[-Cfiquz] [-P pattern] off len [len..]", "asynchronously writes a number of bytes",
      "Writes LEN bytes at OFF, from a buffer for each LEN, beside other requests; aio_flush waits "
      "for\n"
      "it. What goes wrong is said, but is no failure of the command.\n"
      "  -C  numbers for programs      -P  writes this byte, not 0xcd   -q  says nothing\n"
      "  -f  and waits for the disk    -i  an invalid request\n"
      "  -z  writes zeroes             -u  with -z: they may use no space\n" },
    { "alloc", "a", io_cmd_alloc, 1, 2, false, 0, "offset [count]",
      "checks if offset is allocated in the file", NULL },
    { "break", NULL, io_cmd_break, 2, 2, false, 0, "event tag",
      "sets a breakpoint on event and tags the stopped request as tag", NULL },
    { "close", "c", io_cmd_close, 0, 0, false, 0, "", "close the current open file", NULL },
    { "discard", "d", io_cmd_discard, 2, -1, false, IO_WRITES, "[-Cq] off len",
      "discards a number of bytes at a specified offset",
      "Gives the space of LEN bytes at OFF back, where the format and the host can.\n"
      "  -C  numbers for programs      -q  says nothing\n" },
    { "flush", "f", io_cmd_flush, 0, 0, false, 0, "", "flush all in-core file state to disk",
      NULL },
    { "help", "?", io_help, 0, 1, true, 0, "[command]", "help for one or all commands", NULL },
    { "info", "i", io_cmd_info, 0, 0, false, 0, "", "prints information about the current file",
      NULL },
    { "length", "l", io_cmd_length, 0, 0, false, 0, "", "gets the length of the current file",
      NULL },
    { "map", NULL, io_cmd_map, 0, 0, false, 0, "", "prints the allocated areas of a file", NULL },
    { "open", "o", io_cmd_open, 1, -1, true, 0,
      "[-rsCnkU] [-t cache] [-d discard] [-o options] [path]", "open the file specified by path",
      "Opens PATH, or what the options name; the other commands work on it.\n"
      "  -r  only to be read           -s  writes go to a temporary file\n"
      "  -C  copies on reading         -n  past the host's cache, as -t none\n"
      "  -U  takes no lock             -k, -i MODE  accepted; the host's files are used the same "
      "way\n"
      "  -t  cache mode                -d  what discard does: ignore, unmap\n"
      "  -o  KEY=VALUE,... for the format and its file\n" },
    { "quit", "q", io_quit, 0, 0, true, 0, "", "exit the program", NULL },
    { "read", "r", io_cmd_read, 2, -1, false, 0, "[-abCqv] [-P pattern [-s off] [-l len]] off len",
      "reads a number of bytes at a specified offset",
      "Reads LEN bytes at OFF.\n"
      "  -b  of a machine's state, not of the disk\n"
      "  -C  numbers for programs      -q  says nothing    -v  shows the bytes\n"
      "  -P  compares with this byte   -s, -l  compares only so many bytes from there\n"
      "  -p  for older versions\n" },
    { "readv", NULL, io_cmd_readv, 2, -1, false, 0, "[-Cqv] [-P pattern] off len [len..]",
      "reads a number of bytes at a specified offset",
      "Reads at OFF, into a buffer for each LEN.\n"
      "  -C  numbers for programs      -q  says nothing    -v  shows the bytes\n"
      "  -P  compares with this byte\n" },
    { "remove_break", NULL, io_cmd_remove_break, 1, 1, false, 0, "tag",
      "remove a breakpoint by tag", NULL },
    { "reopen", NULL, io_cmd_reopen, 0, -1, false, 0, "[(-r|-w)] [-c cache] [-o options]",
      "reopens an image with new options",
      "Goes on with the image as if it had been opened with these options.\n"
      "  -r  only to be read           -w  to be written as well\n"
      "  -c  cache mode                -o  KEY=VALUE,..., as of open\n" },
    { "resume", NULL, io_cmd_resume, 1, 1, false, 0, "tag", "resumes the request tagged as tag",
      NULL },
    { "sigraise", NULL, io_cmd_sigraise, 1, 1, true, 0, "signal", "raises a signal",
      "Sends the signal of this number to the program.\n" },
    { "sleep", NULL, io_cmd_sleep, 1, 1, true, 0, "", "waits for the given value in milliseconds",
      NULL },
    { "truncate", "t", io_cmd_truncate, 1, 3, false, IO_WRITES, "[-m prealloc_mode] off",
      "truncates the current file at the given offset", NULL },
    { "wait_break", NULL, io_cmd_wait_break, 1, 1, false, 0, "tag",
      "waits for the suspension of a request", NULL },
    { "write", "w", io_cmd_write, 2, -1, false, IO_WRITES,
      "[-bcCfnquz] [-P pattern | -s source_file] off len",
      "writes a number of bytes at a specified offset",
      "Writes LEN bytes at OFF.\n"
      "  -b  to a machine's state, not to the disk\n"
      "  -c  compressed                -f  and waits for the disk\n"
      "  -C  numbers for programs      -q  says nothing\n"
      "  -P  writes this byte, not 0xcd\n"
      "  -s  writes what is in this file, again and again\n"
      "  -z  writes zeroes             -u  with -z: they may use no space\n"
      "  -n  with -z: of any length    -p  for older versions\n" },
    { "writev", NULL, io_cmd_writev, 2, -1, false, IO_WRITES, "[-Cfq] [-P pattern] off len [len..]",
      "writes a number of bytes at a specified offset",
      "Writes at OFF, from a buffer for each LEN.\n"
      "  -C  numbers for programs      -q  says nothing    -f  and waits for the disk\n"
      "  -P  writes this byte, not 0xcd\n" },
    { NULL },
};

const IoCommand *io_command_find(const char *name)
{
    for (const IoCommand *c = io_commands; c->name; c++) {
        if (!strcmp(name, c->name) || !g_strcmp0(name, c->alt)) {
            return c;
        }
    }
    return NULL;
}

bool io_fail(const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    img_error("%s", text);
    return false;
}

static void print_oneline(const char *name, const IoCommand *c)
{
    printf("%s %s%s-- %s\n", name, c->args, *c->args || !strcmp(c->name, "map") ? " " : "",
           c->oneline);
}

bool io_usage(const char *name)
{
    print_oneline(name, io_command_find(name));
    return false;
}

bool io_help(int argc, char **argv)
{
    const IoCommand *c;

    if (argc == 1) {
        for (c = io_commands; c->name; c++) {
            print_oneline(c->name, c);
        }
        printf("\nUse 'help commandname' for extended help.\n");
        return true;
    }
    c = io_command_find(argv[1]);
    if (!c) {
        printf("command %s not found\n", argv[1]);
        return false;
    }
    print_oneline(argv[1], c);
    if (c->help) {
        printf("\n%s\n", c->help);
    }
    return true;
}

bool io_quit(int argc, char **argv)
{
    quitting = true;
    return true;
}

/* ---- The loop ---- */

static bool complain_count(const IoCommand *c, int n)
{
    if (c->max < 0) {
        fprintf(stderr, "bad argument count %d to %s, expected at least %d arguments\n", n, c->name,
                c->min);
    } else if (c->min == c->max) {
        fprintf(stderr, "bad argument count %d to %s, expected %d arguments\n", n, c->name, c->min);
    } else {
        fprintf(stderr, "bad argument count %d to %s, expected between %d and %d arguments\n", n,
                c->name, c->min, c->max);
    }
    return false;
}

static bool run_words(int argc, char **argv)
{
    const IoCommand *c = io_command_find(argv[0]);

    if (!c) {
        fprintf(stderr, "command \"%s\" not found\n", argv[0]);
        return false;
    }
    if (!c->no_file && !io_image.node) {
        fprintf(stderr, "no file open, try 'help open'\n");
        return false;
    }
    if (argc - 1 < c->min || (c->max >= 0 && argc - 1 > c->max)) {
        return complain_count(c, argc - 1);
    }
    if (c->perm & IO_WRITES && io_image.node->readonly) {
        return io_fail("Block node is read-only");
    }
    if (!blkdebug_is_below(io_image.node) && c->run != io_cmd_aio_read &&
        c->run != io_cmd_aio_write) {
        io_drain(); /* none of them waits for a command to come */
    }
    optind = 0;
    return c->run(argc, argv);
}

static bool run_line(const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    int n = 0;

    for (int i = 0; words[i]; i++) {
        if (*words[i]) {
            words[n++] = words[i];
        } else {
            g_free(words[i]);
        }
    }
    words[n] = NULL;
    if (!n) {
        return true;
    }
    /* getopt() puts the words in another order, but frees none. */
    return run_words(n, words);
}

static char *read_line(void)
{
    g_autofree char *prompt =
        g_str_has_suffix(img_program(), "-io") ? g_strdup(img_program()) : NULL;
    g_autoptr(GString) line = g_string_new(NULL);
    int c;

    printf("%s> ", prompt ? prompt : "menura-io");
    fflush(stdout);
    while ((c = getchar()) != EOF && c != '\n') {
        g_string_append_c(line, (char)c);
    }
    return c == EOF && !line->len ? NULL : g_strdup(line->str);
}

static bool run_input(void)
{
    bool ok = true;
    char *line;

    while (!quitting && (line = read_line())) {
        ok = run_line(line) && ok;
        g_free(line);
    }
    return ok;
}

/* ---- The command line ---- */

static int print_usage(bool wrong)
{
    printf("Usage: %s [OPTIONS]... [-c STRING]... [file]\n"
           "Reads and writes of disk images, with qemu-io's commands\n\n"
           "  --image-opts         file is KEY=VALUE,...\n"
           "  -c, --cmd STRING     a command; more than one run after each other\n"
           "  -f, --format FMT     the image's format\n"
           "  -r, --read-only      only to be read\n"
           "  -s, --snapshot       writes go to a temporary file\n"
           "  -n, --nocache        past the host's cache, as -t none\n"
           "  -C, --copy-on-read   what is read from images behind it is copied\n"
           "  -m, --misalign       accepted: buffers need no alignment\n"
           "  -k, --native-aio     accepted, as -i native\n"
           "  -i, --aio=MODE       threads, native or io_uring; accepted\n"
           "  -t, --cache=MODE     cache mode: none, writeback, writethrough, directsync, unsafe\n"
           "  -d, --discard=MODE   what discard does: ignore, unmap\n"
           "  -T, --trace ARG      accepted: nothing is traced\n"
           "  -U, --force-share    takes no lock\n"
           "  -h, --help           this help\n"
           "  -V, --version        the version\n\n"
           "'%s -c help' lists the commands; menura-io(1) has more.\n",
           img_program(), img_program());
    return wrong;
}

static const struct option longs[] = {
    { "help", no_argument, NULL, 'h' },        { "version", no_argument, NULL, 'V' },
    { "cmd", required_argument, NULL, 'c' },   { "format", required_argument, NULL, 'f' },
    { "read-only", no_argument, NULL, 'r' },   { "snapshot", no_argument, NULL, 's' },
    { "nocache", no_argument, NULL, 'n' },     { "copy-on-read", no_argument, NULL, 'C' },
    { "misalign", no_argument, NULL, 'm' },    { "native-aio", no_argument, NULL, 'k' },
    { "aio", required_argument, NULL, 'i' },   { "discard", required_argument, NULL, 'd' },
    { "cache", required_argument, NULL, 't' }, { "trace", required_argument, NULL, 'T' },
    { "force-share", no_argument, NULL, 'U' }, { "object", required_argument, NULL, 'O' },
    { "image-opts", no_argument, NULL, 'I' },  { NULL, 0, NULL, 0 }
};

typedef struct CommandLine {
    IoMode mode;
    const char *format;
    bool image_opts;
    GPtrArray *commands;
} CommandLine;

/* -1: go on; otherwise the exit status. */
static int take_option(CommandLine *l, int c)
{
    switch (c) {
    case 's':
        l->mode.snapshot = true;
        return -1;
    case 'n':
        return io_mode_cache(&l->mode, "none") ? -1 : 1;
    case 'C':
        l->mode.copy_on_read = true;
        return -1;
    case 'd':
        return io_mode_discard(&l->mode, optarg) ? -1 : 1;
    case 'f':
        l->format = optarg;
        return -1;
    case 'c':
        g_ptr_array_add(l->commands, optarg);
        return -1;
    case 'r':
        l->mode.readonly = true;
        return -1;
    case 'k':
    case 'm':
    case 'T':
        return -1;
    case 'i':
        return io_mode_aio(optarg) ? -1 : 1;
    case 't':
        return io_mode_cache(&l->mode, optarg) ? -1 : 1;
    case 'U':
        l->mode.share = true;
        return -1;
    case 'O':
        return img_error("--object: not supported (there are no encrypted images)");
    case 'I':
        l->image_opts = true;
        return -1;
    case 'V':
        printf("%s version " MENURA_VERSION "\n", img_program());
        return 0;
    default:
        return print_usage(c != 'h');
    }
}

static bool open_first(const CommandLine *l, const char *file)
{
    if (l->image_opts && l->format) {
        return io_fail("--image-opts and -f are mutually exclusive");
    }
    return l->image_opts ? io_open_image(&l->mode, NULL, NULL, file)
                         : io_open_image(&l->mode, file, l->format, NULL);
}

static int run_all(CommandLine *l, int argc, char **argv)
{
    int c, status;
    bool ok = true;

    io_mode_default(&l->mode);
    while ((c = getopt_long(argc, argv, "hVc:d:f:rsnCmki:t:T:U", longs, NULL)) != -1) {
        status = take_option(l, c);
        if (status >= 0) {
            return status;
        }
    }
    if (argc - optind > 1) {
        return print_usage(true);
    }
    if (argc - optind == 1 && !open_first(l, argv[optind])) {
        return 1;
    }
    for (unsigned i = 0; i < l->commands->len && !quitting; i++) {
        ok = run_line(g_ptr_array_index(l->commands, i)) && ok;
    }
    if (!l->commands->len) {
        ok = run_input();
    }
    io_drain();
    io_close_image();
    return !ok;
}

int io_main(const char *program, int argc, char **argv)
{
    g_autoptr(GPtrArray) commands = g_ptr_array_new(), words = g_ptr_array_new();
    CommandLine l = { .commands = commands };
    int status;

    img_set_program(program);
    g_ptr_array_add(words, (void *)program); /* getopt_long() prints it */
    for (int i = 0; i < argc; i++) {
        g_ptr_array_add(words, argv[i]);
    }
    g_ptr_array_add(words, NULL);
    status = run_all(&l, argc + 1, (char **)words->pdata);
    if (fflush(stdout) != 0 && !status) {
        status = img_error("Could not write the output");
    }
    return status;
}
