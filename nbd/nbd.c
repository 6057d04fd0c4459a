/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * menura-nbd: its options, which are qemu-nbd's, and going to the background.
 */
#include "nbd/nbd.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "nbd/nbd-priv.h"
#include "util/size.h"
#include "util/suggest.h"

static const char *program = "menura-nbd";
static char *pid_file;
static int ready_fd = -1; /* --fork: of the parent, which waits */

typedef struct Options {
    NbdServerOptions server;
    NbdImageOptions image;
    const char *name, *description;
    GPtrArray *bitmaps; /* names */
    const char *cache, *aio, *discard, *detect;
    bool list, fork, readonly, with_depth, given_port, per_device;
} Options;

int nbd_complain(const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", program, text);
    return 1;
}

/* ---- Help ---- */

static int print_version(void)
{
    printf("menura-nbd version " MENURA_VERSION "\n");
    return 0;
}

static int print_help(void)
{
    printf(
        "Usage: menura-nbd [OPTIONS] FILE\n"
        "  or:  menura-nbd -L [OPTIONS]\n"
        "A disk image as an export of an NBD server, with qemu-nbd's options\n\n"
        "  -h, --help                 display this help and exit\n"
        "  -V, --version              output version information and exit\n\n"
        "  -p, --port=PORT            port to listen on (default 10809)\n"
        "  -b, --bind=ADDRESS         address to listen on (default 0.0.0.0)\n"
        "  -k, --socket=PATH          a unix socket instead\n"
        "  -e, --shared=NUM           clients at a time (default 1; 0: as many as there can be)\n"
        "  -t, --persistent           do not end when the last client has gone\n"
        "  -v, --verbose              say why a client cannot be served\n"
        "  -x, --export-name=NAME     the export's name (default: the empty one)\n"
        "  -D, --description=TEXT     what the export is, for people\n"
        "  -o, --offset=OFFSET        only what is behind OFFSET\n"
        "  -A, --allocation-depth     let clients see which image of a chain has what\n"
        "  -B, --bitmap=NAME          let clients see what the image's bitmap NAME has; several "
        "times\n"
        "  -L, --list                 list the exports of a server\n"
        "      --fork                 go to the background when clients can connect\n"
        "      --pid-file=PATH        write the process's number there\n\n"
        "  -f, --format=FORMAT        the image's format\n"
        "  -r, --read-only            nobody can write\n"
        "  -s, --snapshot             writes are thrown away at the end\n"
        "  -l, --load-snapshot=NAME   a snapshot inside the image, read-only\n"
        "  -n, --nocache              the same as --cache=none\n"
        "      --cache=MODE           none, writeback (default), writethrough, directsync, unsafe\n"
        "      --aio=MODE             threads (native and io_uring are taken for it)\n"
        "      --discard=MODE         ignore (default) or unmap: what clients discard is given "
        "back\n"
        "      --detect-zeroes=MODE   off (default), on, unmap: writes of zeroes\n"
        "      --image-opts           FILE is driver=FORMAT,file.filename=NAME\n\n"
        "menura-nbd(1) says more.\n");
    return 0;
}

/* ---- Values ---- */

static bool check_word(const char *word, const char *const *known, const char *what)
{
    g_autofree char *hint = NULL;

    if (!word || g_strv_contains(known, word)) {
        return true;
    }
    hint = suggest_text(word, known);
    nbd_complain("Invalid %s mode '%s'%s", what, word, hint);
    return false;
}

static bool is_word(const char *word, const char *a, const char *b)
{
    return word && (!strcmp(word, a) || !strcmp(word, b));
}

static bool check_modes(Options *o)
{
    static const char *const caches[] = { "none",       "off",    "writeback", "writethrough",
                                          "directsync", "unsafe", NULL };
    static const char *const aios[] = { "native", "io_uring", "threads", NULL };
    static const char *const discards[] = { "ignore", "off", "unmap", "on", NULL };
    static const char *const detects[] = { "off", "on", "unmap", NULL };

    if (!check_word(o->cache, caches, "cache") || !check_word(o->aio, aios, "aio") ||
        !check_word(o->discard, discards, "discard") ||
        !check_word(o->detect, detects, "detect-zeroes")) {
        return false;
    }
    if (is_word(o->detect, "unmap", "unmap") && !is_word(o->discard, "unmap", "on")) {
        nbd_complain("setting detect-zeroes to unmap is not allowed without setting discard "
                     "operation to unmap");
        return false;
    }
    return true;
}

static bool parse_number(const char *text, uint64_t min, uint64_t max, const char *what,
                         uint64_t *value)
{
    if (keyval_parse_uint(text, value) && *value >= min && *value <= max) {
        return true;
    }
    nbd_complain("Invalid %s '%s'", what, text);
    return false;
}

static bool set_port(Options *o, const char *text)
{
    uint64_t value;

    if (!parse_number(text, 1, UINT16_MAX, "port", &value)) {
        return false;
    }
    o->server.port = (uint16_t)value;
    o->given_port = true;
    return true;
}

static bool set_shared(Options *o, const char *text)
{
    uint64_t value;

    if (!parse_number(text, 0, INT32_MAX, "shared device number", &value)) {
        return false;
    }
    o->server.shared = (unsigned)value;
    return true;
}

static bool set_socket(Options *o, const char *path)
{
    if (*path != '/') {
        nbd_complain("socket path must be absolute");
        return false;
    }
    o->server.socket_path = path;
    return true;
}

static bool set_text(const char **to, const char *text, const char *what)
{
    if (strlen(text) > NBD_MAX_STRING) {
        nbd_complain("%s is too long (at most %d bytes)", what, NBD_MAX_STRING);
        return false;
    }
    *to = text;
    return true;
}

static bool set_cache(Options *o, const char *mode)
{
    if (o->cache) {
        nbd_complain("-n and --cache can only be specified once");
        return false;
    }
    o->cache = mode;
    return true;
}

static bool set_offset(Options *o, const char *text)
{
    g_autoptr(GError) error = NULL;

    if (!size_parse(text, 'b', "offset", &o->image.offset, &error)) {
        nbd_complain("Invalid offset '%s'", text);
        return false;
    }
    return true;
}

/* -B */
static bool add_bitmap(Options *o, const char *name)
{
    if (o->bitmaps->len == MAX_CONTEXTS - CONTEXT_BITMAPS) {
        nbd_complain("-B: too many bitmaps (at most %d)", MAX_CONTEXTS - CONTEXT_BITMAPS);
        return false;
    }
    g_ptr_array_add(o->bitmaps, (char *)name);
    return true;
}

/* ---- Options ---- */

enum {
    OPT_CACHE = 256,
    OPT_AIO,
    OPT_DISCARD,
    OPT_DETECT,
    OPT_IMAGE_OPTS,
    OPT_FORK,
    OPT_PID_FILE,
    OPT_OBJECT,
    OPT_TLS,
    OPT_SELINUX
};

static const struct option longs[] = { { "help", no_argument, NULL, 'h' },
                                       { "version", no_argument, NULL, 'V' },
                                       { "port", required_argument, NULL, 'p' },
                                       { "bind", required_argument, NULL, 'b' },
                                       { "socket", required_argument, NULL, 'k' },
                                       { "shared", required_argument, NULL, 'e' },
                                       { "persistent", no_argument, NULL, 't' },
                                       { "verbose", no_argument, NULL, 'v' },
                                       { "export-name", required_argument, NULL, 'x' },
                                       { "description", required_argument, NULL, 'D' },
                                       { "offset", required_argument, NULL, 'o' },
                                       { "allocation-depth", no_argument, NULL, 'A' },
                                       { "bitmap", required_argument, NULL, 'B' },
                                       { "list", no_argument, NULL, 'L' },
                                       { "partition", required_argument, NULL, 'P' },
                                       { "connect", required_argument, NULL, 'c' },
                                       { "disconnect", no_argument, NULL, 'd' },
                                       { "format", required_argument, NULL, 'f' },
                                       { "read-only", no_argument, NULL, 'r' },
                                       { "snapshot", no_argument, NULL, 's' },
                                       { "load-snapshot", required_argument, NULL, 'l' },
                                       { "nocache", no_argument, NULL, 'n' },
                                       { "trace", required_argument, NULL, 'T' },
                                       { "cache", required_argument, NULL, OPT_CACHE },
                                       { "aio", required_argument, NULL, OPT_AIO },
                                       { "discard", required_argument, NULL, OPT_DISCARD },
                                       { "detect-zeroes", required_argument, NULL, OPT_DETECT },
                                       { "image-opts", no_argument, NULL, OPT_IMAGE_OPTS },
                                       { "fork", no_argument, NULL, OPT_FORK },
                                       { "pid-file", required_argument, NULL, OPT_PID_FILE },
                                       { "object", required_argument, NULL, OPT_OBJECT },
                                       { "tls-creds", required_argument, NULL, OPT_TLS },
                                       { "tls-authz", required_argument, NULL, OPT_TLS },
                                       { "tls-hostname", required_argument, NULL, OPT_TLS },
                                       { "selinux-label", required_argument, NULL, OPT_SELINUX },
                                       { NULL, 0, NULL, 0 } };

static bool refuse_option(int c)
{
    switch (c) {
    case 'c':
    case 'd':
        nbd_complain("-%c: devices of the kernel's NBD client are not supported: menura-nbd only "
                     "serves sockets (nbd-client connects a device to one)",
                     c);
        break;
    case 'P':
        nbd_complain("-P: single partitions are not exported; -o exports what is behind an offset");
        break;
    case 'T':
        nbd_complain("-T: there are no trace points");
        break;
    case OPT_OBJECT:
        nbd_complain(
            "--object: not supported (there is no TLS, and there are no encrypted images)");
        break;
    case OPT_TLS:
        nbd_complain("--tls-creds: TLS is not supported; use a unix socket or a tunnel");
        break;
    default:
        nbd_complain("--selinux-label: not supported");
    }
    return false;
}

/* Of the image. */
static bool set_image_option(Options *o, int c, const char *value)
{
    o->per_device = true;
    switch (c) {
    case 'f':
        o->image.format = value;
        return true;
    case 'r':
        return o->readonly = true;
    case 's':
        return o->image.snapshot = true;
    case 'l':
        o->image.snapshot_name = value;
        return o->readonly = true;
    case 'n':
        return set_cache(o, "none");
    case 'o':
        return set_offset(o, value);
    case 'A':
        return o->with_depth = true;
    case 'B':
        return add_bitmap(o, value);
    case 'x':
        return set_text(&o->name, value, "export name");
    case 'D':
        return set_text(&o->description, value, "export description");
    case OPT_CACHE:
        return set_cache(o, value);
    case OPT_AIO:
        o->aio = value;
        return true;
    case OPT_DISCARD:
        o->discard = value;
        return true;
    case OPT_DETECT:
        o->detect = value;
        return true;
    default:
        return refuse_option(c);
    }
}

static bool set_option(Options *o, int c, const char *value)
{
    switch (c) {
    case 'p':
        return set_port(o, value);
    case 'b':
        o->server.bind = value;
        return true;
    case 'k':
        return set_socket(o, value);
    case 'e':
        return set_shared(o, value);
    case 't':
        return o->server.persistent = true;
    case 'v':
        return o->server.verbose = true;
    case 'L':
        return o->list = true;
    case OPT_IMAGE_OPTS:
        return o->image.has_opts = true;
    case OPT_FORK:
        return o->fork = true;
    case OPT_PID_FILE:
        g_free(pid_file);
        pid_file = g_canonicalize_filename(value, NULL); /* --fork changes the folder */
        return true;
    default:
        return set_image_option(o, c, value);
    }
}

static int complain_usage(const char *text)
{
    nbd_complain("%s", text);
    fprintf(stderr, "Try '%s --help' for more information.\n", program);
    return 1;
}

static int complain_unknown(const char *word)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *name = g_strndup(word, strcspn(word, "=")), *hint = NULL, *text = NULL;

    for (unsigned i = 0; longs[i].name; i++) {
        g_ptr_array_add(names, g_strconcat("--", longs[i].name, NULL));
    }
    g_ptr_array_add(names, NULL);
    hint = g_str_has_prefix(word, "--") ? suggest_text(name, (const char *const *)names->pdata)
                                        : g_strdup("");
    text = g_strdup_printf("unrecognized option '%s'%s", word, hint);
    return complain_usage(text);
}

/* -1: go on; otherwise the exit status. */
static int parse(int argc, char **argv, Options *o)
{
    int c;

    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, ":hVb:o:p:k:e:tvx:D:AB:LP:c:df:rsl:nT:", longs, NULL)) !=
           -1) {
        g_autofree char *letter = g_strdup_printf("-%c", optopt);

        if (c == 'h') {
            return print_help();
        }
        if (c == 'V') {
            return print_version();
        }
        if (c == ':') {
            g_autofree char *text =
                g_strdup_printf("missing argument for option '%s'", argv[optind - 1]);

            return complain_usage(text);
        }
        if (c == '?') {
            return complain_unknown(optopt && optopt < OPT_CACHE ? letter : argv[optind - 1]);
        }
        if (!set_option(o, c, optarg)) {
            return 1;
        }
    }
    return -1;
}

static bool check_options(const Options *o, int n_files)
{
    const NbdServerOptions *s = &o->server;

    if (o->list && n_files) {
        return nbd_complain("List mode is incompatible with a file name") == 0;
    }
    if (o->list && (o->per_device || o->image.has_opts || s->persistent || s->shared != 1)) {
        return nbd_complain("List mode is incompatible with per-device settings") == 0;
    }
    if (!o->list && n_files != 1) {
        return complain_usage("Invalid number of arguments") == 0;
    }
    if (s->socket_path && (s->bind || o->given_port)) {
        return nbd_complain("a unix socket has no port and no address: -k or -p and -b") == 0;
    }
    if (o->image.has_opts && o->image.format) {
        return nbd_complain("--image-opts and -f are mutually exclusive") == 0;
    }
    return o->list || !o->image.snapshot || !o->image.snapshot_name ||
           nbd_complain("-s and -l are mutually exclusive") == 0;
}

/* ---- Running ---- */

/* --fork: returns in the child; the parent waits until that can be connected to. */
static bool go_to_background(void)
{
    g_autoptr(GError) error = NULL;
    int fds[2];
    pid_t pid;
    char c;

    if (!g_unix_open_pipe(fds, FD_CLOEXEC, &error)) {
        return nbd_complain("--fork: %s", error->message) == 0;
    }
    pid = fork();
    if (pid < 0) {
        return nbd_complain("--fork: %s", g_strerror(errno)) == 0;
    }
    if (pid > 0) {
        close(fds[1]);
        _exit(read(fds[0], &c, 1) == 1 ? 0 : 1);
    }
    close(fds[0]);
    ready_fd = fds[1];
    setsid();
    return true;
}

static bool write_pid(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("%d\n", (int)getpid());

    return !pid_file || g_file_set_contents(pid_file, text, -1, &error) ||
           nbd_complain("--pid-file: %s", error->message) == 0;
}

static bool on_ready(void)
{
    int null;

    if (!write_pid()) {
        return false;
    }
    if (ready_fd < 0) {
        return true;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3 && null >= 0; fd++) {
        dup2(null, fd);
    }
    if (write(ready_fd, "", 1) == 1) {
        close(ready_fd);
    }
    return chdir("/") == 0;
}

static void set_modes(const Options *o, NbdImage *image, NbdImageOptions *options)
{
    options->direct = is_word(o->cache, "none", "off") || is_word(o->cache, "directsync", "");
    options->unsafe = is_word(o->cache, "unsafe", "unsafe");
    image->writethrough = is_word(o->cache, "writethrough", "directsync");
    image->discard = is_word(o->discard, "unmap", "on");
    image->detect = is_word(o->detect, "unmap", "unmap") ? DETECT_UNMAP
                    : is_word(o->detect, "on", "on")     ? DETECT_ZEROES
                                                         : DETECT_OFF;
}

static int serve(Options *o)
{
    NbdImage image = { .name = o->name ? o->name : "",
                       .description = o->description,
                       .readonly = o->readonly,
                       .with_depth = o->with_depth };
    int status;

    set_modes(o, &image, &o->image);
    if ((o->fork && !go_to_background()) || !image_open(&image, &o->image)) {
        return 1;
    }
    status = server_run(&o->server, &image, on_ready);
    status |= image_close(&image);
    if (pid_file) {
        unlink(pid_file);
    }
    return status;
}

int nbd_main(const char *name, int argc, char **argv)
{
    g_autoptr(GPtrArray) bitmaps = g_ptr_array_new();
    Options o = { .server = { .port = NBD_DEFAULT_PORT, .shared = 1 }, .bitmaps = bitmaps };
    g_autofree char **words = g_new0(char *, argc + 2);
    int status;

    program = name;
    words[0] = (char *)name;
    memcpy(words + 1, argv, (size_t)argc * sizeof(*argv));
    status = parse(argc + 1, words, &o);
    if (status >= 0) {
        return status;
    }
    argc = argc + 1 - optind;
    if (!check_options(&o, argc) || !check_modes(&o)) {
        return 1;
    }
    o.image.file = words[optind];
    o.image.bitmaps = bitmaps;
    return o.list ? list_exports(&o.server) : serve(&o);
}
