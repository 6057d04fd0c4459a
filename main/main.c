/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One binary, many names: the name it is called by chooses the program. "menura-system-riscv64" (or
 * any other prefix) emulates that guest, "menura-img" and "menura-io" handle disk images, "menura-nbd"
 * serves one; plain "menura" is told by --target.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include "img/img.h"
#include "io/io.h"
#include "main/system-priv.h"
#include "nbd/nbd.h"
#include "util/suggest.h"

typedef struct Program {
    const char *suffix; /* of the name it is called by */
    int (*run)(const char *program, int argc, char **argv);
} Program;

static void list_targets(FILE *out)
{
    for (const TargetOps *const *t = target_list(); *t; t++) {
        fprintf(out, " %s", (*t)->name);
    }
    fputc('\n', out);
}

static int run_target(const char *program, const char *name, int argc, char **argv)
{
    const TargetOps *target = target_find(name);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autofree char *hint = NULL;

    if (target) {
        return system_main(program, target, argc, argv);
    }
    for (const TargetOps *const *t = target_list(); *t; t++) {
        g_ptr_array_add(names, (void *)(*t)->name);
    }
    g_ptr_array_add(names, NULL);
    hint = suggest_text(name, (const char *const *)names->pdata);
    fprintf(stderr, "%s: unknown guest '%s'%s\n", program, name, hint);
    return 1;
}

static int plain_main(const char *program, int argc, char **argv)
{
    bool version = argc && (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-version"));
    bool help =
        argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-help") || !strcmp(argv[0], "-h"));
    FILE *out = help ? stdout : stderr;

    if (argc >= 2 && (!strcmp(argv[0], "--target") || !strcmp(argv[0], "-target"))) {
        return run_target(program, argv[1], argc - 2, argv + 2);
    }
    if (version) {
        printf("Menura emulator version " MENURA_VERSION "\n");
        return 0;
    }
    fprintf(out, "usage: %s --target GUEST [OPTION...]\n", program);
    fprintf(out, "       menura-system-GUEST [OPTION...]\nGuests:");
    list_targets(out);
    return help ? 0 : 1;
}

static const Program programs[] = {
    { "-img", img_main },
    { "-io", io_main },
    { "-nbd", nbd_main },
};

int main(int argc, char **argv)
{
    g_autofree char *program = g_path_get_basename(argc ? argv[0] : "menura");
    const char *system = strstr(program, "-system-");

    if (argc > 0) {
        argc--;
        argv++;
    }
    if (system) {
        return run_target(program, system + strlen("-system-"), argc, argv);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(programs); i++) {
        if (g_str_has_suffix(program, programs[i].suffix)) {
            return programs[i].run(program, argc, argv);
        }
    }
    return plain_main(program, argc, argv);
}
