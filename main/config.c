/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options that are numbers and switches (-m -smp -accel -icount -rtc), and those that do not go
 * together. Nothing is opened or made here, so all of it can be tested by itself.
 */
#include "main/system-priv.h"

#include <string.h>
#include "util/keyval.h"
#include "util/size.h"
#include "util/suggest.h"

#define ICOUNT_RTC_BASE "2026-01-01"

enum {
    DEFAULT_RAM_MIB = 128,
    ICOUNT_SHIFT_MAX = 10,
    ICOUNT_SHIFT_AUTO = 3, /* 125 million instructions a second */
    TB_SIZE_MAX_MIB = 4096,
};

static bool bad_value(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool bad_value(GError **error, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    g_propagate_error(error,
                      g_error_new_valist(G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, format, ap));
    va_end(ap);
    return false;
}

/* ---- -m ---- */

static bool parse_memory(const char *text, uint64_t *size, GError **error)
{
    static const char *const allowed[] = { "size", "slots", "maxmem", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, "size");
    const char *value;

    if (!keyvals_check(kv, "-m", allowed, error)) {
        return false;
    }
    if (keyvals_get(kv, "slots") || keyvals_get(kv, "maxmem")) {
        return bad_value(error, "-m %s: memory hot-plug is not supported yet", text);
    }
    value = keyvals_get(kv, "size");
    if (!value || !size_parse(value, 'M', "-m", size, error)) {
        return value ? false : bad_value(error, "-m: a size is missing");
    }
    if (*size == 0) {
        return bad_value(error, "-m %s: a machine needs some memory", text);
    }
    return true;
}

/* ---- -smp ---- */

static bool parse_smp(const char *text, unsigned *n_cpus, GError **error)
{
    static const char *const allowed[] = { "cpus", "maxcpus", "sockets", "clusters",
                                           "dies", "cores",   "threads", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, "cpus");
    uint64_t n = 0, max = 0, product = 1, x;
    bool shaped = false;

    if (!keyvals_check(kv, "-smp", allowed, error) ||
        !keyvals_get_uint(kv, "-smp", "cpus", 1, MAX_CPUS, &n, error) ||
        !keyvals_get_uint(kv, "-smp", "maxcpus", 1, MAX_CPUS, &max, error)) {
        return false;
    }
    for (unsigned i = 2; allowed[i]; i++) {
        x = 1;
        if (!keyvals_get_uint(kv, "-smp", allowed[i], 1, MAX_CPUS, &x, error)) {
            return false;
        }
        shaped |= keyvals_get(kv, allowed[i]) != NULL;
        product = MIN(product * x, MAX_CPUS + 1);
    }
    if (n == 0) {
        n = product;
    }
    if (n > MAX_CPUS || (max && max < n) ||
        (shaped && product != (max ? max : n) && n % product != 0)) {
        return bad_value(error, "-smp %s: the numbers do not fit together", text);
    }
    *n_cpus = n;
    return true;
}

/* ---- -accel ---- */

static bool find_accel(const char *name, bool *interp, GError **error)
{
    static const char *const names[] = { "jit", "interp", "tcg", NULL };
    static const char *const foreign[] = {
        "kvm", "xen", "hvf", "whpx", "nvmm", "hax", "qtest", NULL
    };
    g_autofree char *hint = suggest_text(name, names);

    if (g_strv_contains(foreign, name)) {
        return bad_value(error, "-accel %s: not supported; Menura has jit and interp", name);
    }
    if (!g_strv_contains(names, name)) {
        return bad_value(error, "-accel %s: unknown accelerator%s", name, hint);
    }
    *interp = !strcmp(name, "interp");
    return true;
}

static bool parse_accel(const char *text, CpuConfig *cpu, GError **error)
{
    static const char *const allowed[] = { "accel",   "thread", "tb-size", "one-insn-per-tb",
                                           "profile", "tlb",    NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, "accel");
    const char *name, *thread;
    uint64_t mib = 0;
    bool tlb = true;

    if (!keyvals_check(kv, "-accel", allowed, error)) {
        return false;
    }
    name = keyvals_get(kv, "accel");
    thread = keyvals_get(kv, "thread");
    if (thread && strcmp(thread, "multi") && strcmp(thread, "single")) {
        return bad_value(error, "-accel: thread=%s: expected single or multi", thread);
    }
    if (!find_accel(name ? name : "jit", &cpu->interp, error) ||
        !keyvals_get_uint(kv, "-accel", "tb-size", 0, TB_SIZE_MAX_MIB, &mib, error) ||
        !keyvals_get_bool(kv, "-accel", "one-insn-per-tb", &cpu->one_insn, error) ||
        !keyvals_get_bool(kv, "-accel", "profile", &cpu->profile, error) ||
        !keyvals_get_bool(kv, "-accel", "tlb", &tlb, error)) {
        return false;
    }
    cpu->no_tlb = !tlb;
    cpu->code_cache_size = mib << 20;
    return true;
}

/* ---- -icount ---- */

static bool parse_icount(const char *text, CpuConfig *cpu, GError **error)
{
    static const char *const allowed[] = { "shift", "sleep", "align", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, "shift");
    bool sleep = false, align = false;
    const char *shift;
    uint64_t n = ICOUNT_SHIFT_AUTO;

    if (!keyvals_check(kv, "-icount", allowed, error) ||
        !keyvals_get_bool(kv, "-icount", "sleep", &sleep, error) ||
        !keyvals_get_bool(kv, "-icount", "align", &align, error)) {
        return false;
    }
    if (sleep || align) {
        return bad_value(
            error, "-icount: %s=on: not supported yet: virtual time skips what the CPUs sleep",
            sleep ? "sleep" : "align");
    }
    shift = keyvals_get(kv, "shift");
    if (g_strcmp0(shift, "auto") != 0 &&
        !keyvals_get_uint(kv, "-icount", "shift", 0, ICOUNT_SHIFT_MAX, &n, error)) {
        return false;
    }
    cpu->icount = true;
    cpu->icount_shift = n;
    return true;
}

/* ---- -rtc ---- */

/* What @base means, as ns of UTC. */
static bool parse_rtc_base(const char *base, int64_t *ns, GError **error)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    g_autoptr(GDateTime) date = NULL;
    g_autofree char *midnight = g_strdup_printf("%sT00:00:00", base);

    *ns = g_get_real_time() * 1000;
    if (!strcmp(base, "utc")) {
        return true;
    }
    if (!strcmp(base, "localtime")) {
        *ns += g_date_time_get_utc_offset(now) * 1000; /* us to ns */
        return true;
    }
    date = g_date_time_new_from_iso8601(strchr(base, 'T') ? base : midnight, utc);
    if (!date) {
        return bad_value(
            error, "-rtc: base=%s: expected utc, localtime or a date such as 2026-01-31T12:00:00",
            base);
    }
    *ns = g_date_time_to_unix(date) * 1000000000;
    return true;
}

/* With -icount the clock is part of what must be the same in every run, so it follows virtual time
 * from a fixed date. */
static bool parse_rtc(const char *text, SystemConfig *config, GError **error)
{
    static const char *const allowed[] = { "base", "clock", "driftfix", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text, "base");
    const char *base, *clock, *drift;
    int64_t ns;

    if (!keyvals_check(kv, "-rtc", allowed, error)) {
        return false;
    }
    base = keyvals_get(kv, "base");
    clock = keyvals_get(kv, "clock");
    drift = keyvals_get(kv, "driftfix");
    clock = clock ? clock : config->cpu.icount ? "vm" : "host";
    base = base ? base : config->cpu.icount ? ICOUNT_RTC_BASE : "utc";
    if ((strcmp(clock, "host") && strcmp(clock, "vm")) || (drift && strcmp(drift, "none"))) {
        return bad_value(error, "-rtc %s: not supported yet (only clock=host|vm, driftfix=none)",
                         text);
    }
    if (!parse_rtc_base(base, &ns, error)) {
        return false;
    }
    config->rtc_virtual = !strcmp(clock, "vm");
    config->rtc_offset = config->rtc_virtual    ? ns
                         : !strcmp(base, "utc") ? 0
                                                : ns - g_get_real_time() * 1000;
    return true;
}

static bool parse_sandbox(const char *text, bool *wanted, GError **error)
{
    static const char *const allowed[] = { "enable", "obsolete",        "elevateprivileges",
                                           "spawn",  "resourcecontrol", NULL };
    g_autoptr(KeyVals) kv = keyvals_parse(text ? text : "on", "enable");

    *wanted = true;
    for (unsigned i = 1; allowed[i]; i++) { /* QEMU's exceptions: nothing here needs any */
        const char *value = keyvals_get(kv, allowed[i]);

        if (value && strcmp(value, "deny")) {
            g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                        "-sandbox: %s=%s: can only be deny", allowed[i], value);
            return false;
        }
    }
    return keyvals_check(kv, "-sandbox", allowed, error) &&
           keyvals_get_bool(kv, "-sandbox", "enable", wanted, error);
}

/* ---- What does not go together ---- */

static bool check_conflicts(const Options *opts, GError **error)
{
    if (opts->append && !opts->kernel) {
        return bad_value(error, "-append: only useful with -kernel");
    }
    if (opts->initrd && !opts->kernel) {
        return bad_value(error, "-initrd: only useful with -kernel");
    }
    if (opts->daemonize && opts->nographic) {
        return bad_value(error,
                         "-daemonize: cannot be used with -nographic, which needs the terminal");
    }
    if (opts->display && strcmp(opts->display, "none") != 0) {
        return bad_value(error, "-display %s: not supported yet (only none is)", opts->display);
    }
    return true;
}

bool config_parse(const Options *opts, SystemConfig *config, GError **error)
{
    memset(config, 0, sizeof(*config));
    config->ram_size = (uint64_t)DEFAULT_RAM_MIB << 20;
    config->n_cpus = 1;
    if (!check_conflicts(opts, error) ||
        (opts->memory && !parse_memory(opts->memory, &config->ram_size, error)) ||
        (opts->smp && !parse_smp(opts->smp, &config->n_cpus, error)) ||
        (opts->accel && !parse_accel(opts->accel, &config->cpu, error)) ||
        (opts->icount && !parse_icount(opts->icount, &config->cpu, error)) ||
        !parse_rtc(opts->rtc ? opts->rtc : "", config, error) ||
        !parse_sandbox(opts->sandbox, &config->sandbox, error)) {
        return false;
    }
    config->cpu.one_insn |= opts->one_insn;
    config->cpu.perfmap = opts->perfmap;
    return true;
}
