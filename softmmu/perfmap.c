/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The map for perf (see perfmap.h): lines "START SIZE NAME", hexadecimal, in the order of translation. A line is written at once, so that the
 * file is whole while the emulator runs and after it was killed. It is never taken back: after a flush of the code cache the same addresses are
 * listed again, under other names.
 */
#include "softmmu/perfmap.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static FILE *file;

bool perfmap_open(GError **error)
{
    g_autofree char *path = g_strdup_printf("/tmp/perf-%d.map", getpid());
    int fd;

    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
                    "-perfmap: cannot make %s: %s", path, g_strerror(errno));
        return false;
    }
    file = fdopen(fd, "w");
    setvbuf(file, NULL, _IOLBF, 0);
    return true;
}

bool perfmap_is_on(void)
{
    return file != NULL;
}

/* Where the code that begins at @start ends: where the next begins. */
static const uint8_t *end_of(const uint8_t *start, const uint8_t *const starts[], unsigned n,
                             const uint8_t *end)
{
    for (unsigned i = 0; i < n; i++) {
        end = starts[i] > start && starts[i] < end ? starts[i] : end;
    }
    return end;
}

void perfmap_add_thunks(void *const fns[TCG_N_FNS], TcgEnterFn *enter, const uint8_t *end)
{
    static const char *const names[TCG_N_FNS + 1] = {
        [TCG_THUNK_MISS] = "miss",
        [TCG_THUNK_MISS_X] = "miss-x",
        [TCG_THUNK_CALL_STATE] = "call-state",
        [TCG_THUNK_CALL_FP] = "call-fp",
        [TCG_THUNK_EXIT_DIRECT] = "exit-direct",
        [TCG_THUNK_EXIT_INDIRECT] = "exit-indirect",
        [TCG_THUNK_LEAVE] = "leave",
        [TCG_THUNK_LEAVE_LOOKUP] = "leave-lookup",
        [TCG_THUNK_ICOUNT] = "icount",
        [TCG_THUNK_DEAD] = "dead",
        [TCG_N_FNS] = "enter",
    };
    const uint8_t *starts[TCG_N_FNS + 1];

    for (unsigned i = 0; i < TCG_N_FNS; i++) {
        starts[i] = fns[i];
    }
    starts[TCG_N_FNS] = (const uint8_t *)enter;
    for (unsigned i = 0; file && i < G_N_ELEMENTS(starts); i++) {
        if (starts[i] && names[i]) {
            fprintf(file, "%" PRIxPTR " %zx thunk:%s\n", (uintptr_t)starts[i],
                    (size_t)(end_of(starts[i], starts, G_N_ELEMENTS(starts), end) - starts[i]),
                    names[i]);
        }
    }
}

void perfmap_add_block(const uint8_t *code, size_t size, uint64_t pc)
{
    if (file) {
        fprintf(file, "%" PRIxPTR " %zx guest:0x%" PRIx64 "\n", (uintptr_t)code, size, pc);
    }
}
