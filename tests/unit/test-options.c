/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line without a machine: the option table and its parser, key=value lists, the numbers
 * of config.c, and the rules for consoles. What needs a machine is tested on the real program
 * (tests/cli).
 */
#include <glib.h>
#include <string.h>
#include "main/system-priv.h"
#include "util/keyval.h"

static bool parse(Options *opts, const char *line, GError **error)
{
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);

    options_init(opts);
    return options_parse(opts, *line ? g_strv_length(argv) : 0, argv, error);
}

static void expect_error(const char *line, const char *message)
{
    g_autoptr(GError) error = NULL;
    SystemConfig config;
    Options opts;
    bool ok = parse(&opts, line, &error) && config_parse(&opts, &config, &error);

    g_assert_false(ok);
    if (!strstr(error->message, message)) {
        g_test_message("%s: got '%s'", line, error->message);
    }
    g_assert_nonnull(strstr(error->message, message));
    g_assert_null(strchr(error->message, '\n'));
    options_clear(&opts);
}

static void expect_ok(const char *line, Options *opts, SystemConfig *config)
{
    g_autoptr(GError) error = NULL;
    bool ok = parse(opts, line, &error) && config_parse(opts, config, &error);

    g_assert_no_error(error);
    g_assert_true(ok);
}

static void test_parse(void)
{
    SystemConfig config;
    Options opts;

    expect_ok("-M virt -machine aclint=on --kernel Image -S -m 64 -smp 4 -serial file:x -serial "
              "none -d int -d exec disk,1.img",
              &opts, &config);
    g_assert_cmpstr(opts.machine, ==, "virt,aclint=on");
    g_assert_cmpstr(opts.kernel, ==, "Image");
    g_assert_true(opts.stopped);
    g_assert_cmpuint(opts.serials->len, ==, 2);
    g_assert_cmpstr(opts.log_items, ==, "exec");
    g_assert_cmpuint(config.ram_size, ==, 64 << 20);
    g_assert_cmpuint(config.n_cpus, ==, 4);
    g_assert_cmpstr(g_ptr_array_index(opts.drives, 0), ==, "file=disk,,1.img,index=0,media=disk");
    options_clear(&opts);

    expect_ok("-perfmap -accel jit,profile=on", &opts, &config);
    g_assert_true(config.cpu.perfmap && config.cpu.profile);
    options_clear(&opts);
    expect_ok("-s -hda a,b -nic none -no-user-config", &opts, &config);
    g_assert_cmpstr(opts.gdb, ==, "tcp::1234");
    g_assert_cmpstr(g_ptr_array_index(opts.drives, 0), ==, "file=a,,b,index=0,media=disk");
    g_assert_cmpuint(config.ram_size, ==, 128 << 20);
    options_clear(&opts);
}

static void test_config(void)
{
    SystemConfig config;
    Options opts;

    expect_ok("-accel tcg,thread=multi,one-insn-per-tb=on,tb-size=32 -icount shift=5,sleep=off "
              "-smp sockets=2,cores=3 -m 1.5G",
              &opts, &config);
    g_assert_false(config.cpu.interp);
    g_assert_true(config.cpu.one_insn);
    g_assert_false(config.cpu.no_tlb);
    g_assert_cmpuint(config.cpu.code_cache_size, ==, 32 << 20);
    g_assert_true(config.cpu.icount);
    g_assert_cmpuint(config.cpu.icount_shift, ==, 5);
    g_assert_cmpuint(config.n_cpus, ==, 6);
    g_assert_cmpuint(config.ram_size, ==, 1536ull << 20);
    options_clear(&opts);

    expect_ok("-accel interp,tlb=off -m size=2G -rtc base=2001-02-03T04:05:06", &opts, &config);
    g_assert_true(config.cpu.interp && config.cpu.no_tlb);
    g_assert_false(config.rtc_virtual);
    g_assert_cmpint(g_get_real_time() * 1000 + config.rtc_offset, >=, 981173106ll * 1000000000);
    g_assert_cmpint(g_get_real_time() * 1000 + config.rtc_offset, <, 981173136ll * 1000000000);
    options_clear(&opts);
}

static void test_icount_clock(void)
{
    SystemConfig config;
    Options opts;

    expect_ok("-icount auto", &opts, &config);
    g_assert_true(config.rtc_virtual);
    g_assert_cmpint(config.rtc_offset, ==, 1767225600ll * 1000000000);
    options_clear(&opts);
    expect_ok("-rtc base=utc", &opts, &config);
    g_assert_cmpint(config.rtc_offset, ==, 0);
    options_clear(&opts);
}

static void test_errors(void)
{
    expect_error("-devcie x", "-devcie: unknown option; did you mean '-device'?");
    expect_error("--kernal x", "did you mean '-kernel'?");
    expect_error("-audiodev none", "-audiodev: not supported yet");
    expect_error("-vga std", "-vga std: not supported yet");
    expect_error("-kernel", "-kernel: requires an argument");
    expect_error("-m 0", "-m 0:");
    expect_error("-m", "requires an argument");
    expect_error("-m 12Q", "-m");
    expect_error("-m -5", "-m");
    expect_error("-m 64,slots=2", "hot-plug");
    expect_error("-m sise=3", "did you mean 'size'?");
    expect_error("-smp 0", "-smp");
    expect_error("-smp 99999999999999999999", "-smp");
    expect_error("-smp 3,cores=2", "do not fit");
    expect_error("-smp cores=512,threads=512", "do not fit");
    expect_error("-accel kvm", "-accel kvm: not supported");
    expect_error("-accel jjt", "did you mean 'jit'?");
    expect_error("-accel jit,profile=2", "expected on or off");
    expect_error("-accel jit,one-insn-per-tb=maybe", "expected on or off");
    expect_error("-accel jit,tlb=none", "expected on or off");
    expect_error("-icount shift=99", "-icount: shift=99");
    expect_error("-icount 3,sleep=on", "not supported yet");
    expect_error("-rtc base=yesterday", "-rtc: base=yesterday");
    expect_error("-append x", "-append: only useful with -kernel");
    expect_error("-display gtk", "-display gtk: not supported yet");
    expect_error("-daemonize -nographic", "-daemonize");
}

static void check_plan(const char *line, const char *serials, const char *monitors)
{
    Options opts;
    ConsolePlan plan;
    g_autofree char *s = NULL, *m = NULL;

    g_assert_true(parse(&opts, line, NULL));
    console_plan_make(&opts, &plan);
    g_ptr_array_add(plan.serials, NULL);
    g_ptr_array_add(plan.monitors, NULL);
    s = g_strjoinv(" ", (char **)plan.serials->pdata);
    m = g_strjoinv(" ", (char **)plan.monitors->pdata);
    g_assert_cmpstr(s, ==, serials);
    g_assert_cmpstr(m, ==, monitors);
    g_ptr_array_set_size(plan.serials, plan.serials->len - 1);
    g_ptr_array_set_size(plan.monitors, plan.monitors->len - 1);
    console_plan_clear(&plan);
    options_clear(&opts);
}

static void test_consoles(void)
{
    check_plan("", "mon:stdio", "");
    check_plan("-nographic", "mon:stdio", "");
    check_plan("-nographic -monitor none", "stdio", "none");
    check_plan("-nographic -serial file:x", "file:x", "stdio");
    check_plan("-nographic -serial stdio", "stdio", "");
    check_plan("-serial stdio", "stdio", "");
    check_plan("-serial mon:stdio", "mon:stdio", "");
    check_plan("-monitor stdio", "null", "stdio");
    check_plan("-monitor unix:m,server,nowait", "stdio", "unix:m,server,nowait");
    check_plan("-display none", "null", "");
    check_plan("-display none -serial stdio", "stdio", "");
    check_plan("-nodefaults", "", "");
    check_plan("-nodefaults -nographic -serial none", "none", "");
    check_plan("-chardev stdio,id=c,mux=on -serial chardev:c -mon c", "chardev:c", "");
    check_plan("-gdb stdio", "null", "");
    check_plan("-daemonize", "null", "");
}

static void test_keyvals(void)
{
    static const char *const allowed[] = { "file", "server", "wait", "x", NULL };
    g_autoptr(GError) error = NULL;
    g_autoptr(KeyVals) kv = keyvals_parse("a,,b=c,server,nowait,x=1,,,x=2,", "file");
    g_autoptr(KeyVals) bad = keyvals_parse("file=a,sever", NULL);
    bool wait = true;
    uint64_t x = 0;

    /* The first item has an '=', so it is no implied value. */
    g_assert_false(keyvals_check(kv, "-t", allowed, &error));
    g_clear_error(&error);
    keyvals_free(g_steal_pointer(&kv));
    kv = keyvals_parse("a,,b,server,nowait,x=1,,x=2,x=3", "file");
    g_assert_true(keyvals_check(kv, "-t", allowed, &error));
    g_assert_cmpstr(keyvals_get(kv, "file"), ==, "a,b");
    g_assert_cmpstr(keyvals_get(kv, "server"), ==, "on");
    g_assert_true(keyvals_get_bool(kv, "-t", "wait", &wait, &error));
    g_assert_false(wait);
    g_assert_true(keyvals_get_uint(kv, "-t", "x", 0, 9, &x, &error));
    g_assert_cmpuint(x, ==, 3);
    g_assert_false(keyvals_get_uint(kv, "-t", "x", 4, 9, &x, &error));
    g_clear_error(&error);
    g_assert_false(keyvals_check(bad, "-t", allowed, &error));
    g_assert_cmpstr(error->message, ==, "-t: unknown property 'sever'; did you mean 'server'?");
}

/* Every option has a help text, its own name, and is in --help. */
static void test_table(void)
{
    g_autoptr(GString) help = g_string_new(NULL);
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

    options_help("menura-system-test", help);
    for (const Option *o = option_table; o->name; o++) {
        g_autofree char *line = g_strdup_printf("\n  -%s", o->name);

        g_assert_nonnull(o->help);
        g_assert_nonnull(strstr(help->str, line));
        g_assert_true(g_hash_table_add(names, (void *)o->name));
        g_assert_true(!o->alias || g_hash_table_add(names, (void *)o->alias));
    }
    g_assert_nonnull(option_table[0].group);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/options/parse", test_parse);
    g_test_add_func("/options/config", test_config);
    g_test_add_func("/options/icount-clock", test_icount_clock);
    g_test_add_func("/options/errors", test_errors);
    g_test_add_func("/options/consoles", test_consoles);
    g_test_add_func("/options/keyvals", test_keyvals);
    g_test_add_func("/options/table", test_table);
    return g_test_run();
}
