/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor over a fake machine: the line editor key by key, expressions, memory dumps, the
 * command table, and random input to all of it.
 */
#include <inttypes.h>
#include <glib.h>
#include <string.h>
#include "block/block.h"
#include "chardev/chardev.h"
#include "monitor/monitor-priv.h"
#include "monitor/monitor.h"
#include "monitor/readline.h"
#include "hw/core/device.h"
#include "hw/core/snapshot.h"
#include "softmmu/clock.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"

/* ---- The fake world ---- */

enum { MEM_BASE = 0x1000, MEM_SIZE = 0x100 };

typedef struct FakeCpu {
    Cpu cpu;
    uint64_t a0;
    uint32_t status;
} FakeCpu;

static FakeCpu fake_cpus[2];
static uint8_t memory[MEM_SIZE];
static GString *written;
static const ChardevFrontend *fe;
static void *fe_opaque;
static bool running, powered_down, quit;
static int pauses;
GPtrArray *cpus;

static const IrReg fake_regs[] = {
    { "a0", offsetof(FakeCpu, a0), IR_I64, 0 },
    { "status", offsetof(FakeCpu, status), IR_I32, 0 },
};

static void fake_dump(Cpu *cpu, GString *out)
{
    g_string_append_printf(out, "a0 %" G_GUINT64_FORMAT, ((FakeCpu *)cpu)->a0);
}

/* Every insn is a word. */
static unsigned fake_disassemble(const uint8_t *code, size_t len, uint64_t pc, GString *out)
{
    g_string_append_printf(out, "insn %02x at %#" PRIx64, code[0], pc);
    return (unsigned)MIN(len, 4);
}

static const TargetOps fake_ops = {
    .name = "fake",
    .ir = { .regs = fake_regs, .n_regs = 2 },
    .address_bits = 32,
    .disassemble = fake_disassemble,
    .dump = fake_dump,
};

bool chardev_attach(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error)
{
    fe = frontend;
    fe_opaque = opaque;
    return true;
}

void chardev_detach(Chardev *chr, void *opaque)
{
}
bool chardev_is_mux(const Chardev *chr)
{
    return true;
}
void chardev_info(GString *out)
{
    g_string_append(out, "serial0: null\n");
}
void chardev_hurry(void)
{
}

size_t chardev_write(Chardev *chr, const void *buf, size_t len)
{
    g_string_append_len(written, buf, len);
    return len;
}

bool cpu_debug_read(Cpu *cpu, uint64_t va, void *buf, size_t len)
{
    g_assert_cmpint(pauses, >, 0);
    if (va < MEM_BASE || va - MEM_BASE > MEM_SIZE || len > MEM_SIZE - (va - MEM_BASE)) {
        return false;
    }
    memcpy(buf, memory + va - MEM_BASE, len);
    return true;
}

MemTxResult memory_read(uint64_t addr, void *buf, uint64_t len)
{
    return cpu_debug_read(NULL, addr, buf, len) ? MEM_OK : MEM_DECODE_ERROR;
}

MemTxResult memory_load(uint64_t addr, unsigned size, uint64_t *value)
{
    *value = 0;
    return memory_read(addr, value, size);
}

void memory_print(GString *out, bool flat)
{
    g_string_append(out, flat ? "flat\n" : "tree\n");
}
void block_info(GString *out)
{
    g_string_append(out, "disk0: file\n");
}

bool hw_snapshot_save(const char *tag, GError **error)
{
    g_assert_false(running);
    return true;
}

bool hw_snapshot_load(const char *tag, GError **error)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s%s", HW_SNAPSHOT_INCOMPLETE, tag);
    return false;
}

bool hw_snapshot_delete(const char *tag, GError **error)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: there is none", tag);
    return false;
}

void hw_snapshot_list(GString *out)
{
    g_string_append(out, "one 1 MiB\n");
}

bool hw_balloon_set(uint64_t bytes)
{
    return bytes;
}

bool hw_balloon_get(uint64_t *bytes)
{
    *bytes = 1 << 20;
    return true;
}

void hw_pci_print(GString *out)
{
    g_string_append(out, "Bus 0: fake\n");
}

int64_t clock_now(ClockType clock)
{
    (void)clock;
    return 0;
}

void timer_init(Timer *timer, ClockType clock, void (*fire)(void *), void *opaque)
{
    *timer = (Timer){ clock, -1, fire, opaque, 0 };
}

void timer_set(Timer *timer, int64_t deadline)
{
    timer->deadline = deadline;
}

void hw_usb_print(GString *out)
{
    g_string_append(out, "  Device 0.0, fake\n");
}

void hw_devices_print(GString *out)
{
    g_string_append(out, "dev: fake\n");
}
void machine_lock(void)
{
}
void machine_unlock(void)
{
}
void cpu_jit_info(GString *out)
{
    g_string_append(out, "jit\n");
}
void cpu_tlb_info(Cpu *cpu, GString *out)
{
    g_string_append(out, "tlb\n");
}
void cpu_pause_all(void)
{
    pauses++;
}
void cpu_resume_all(void)
{
    g_assert_cmpint(pauses--, >, 0);
}
void vm_start(void)
{
    running = true;
}
void vm_stop(void)
{
    running = false;
}
const char *vm_stop_reason(void)
{
    return NULL;
}

bool vm_is_running(void)
{
    return running;
}
void vm_request_shutdown(int status)
{
    quit = true;
}
void vm_request_reset(void)
{
}

bool vm_request_powerdown(void)
{
    powered_down = true;
    return false;
}

static void set_up(void)
{
    memset(fake_cpus, 0, sizeof(fake_cpus));
    cpus = g_ptr_array_new();
    for (unsigned i = 0; i < 2; i++) {
        fake_cpus[i].cpu.index = i;
        fake_cpus[i].cpu.ops = &fake_ops;
        fake_cpus[i].cpu.pc = 0x1004;
        fake_cpus[i].a0 = 0x1010 + i;
        fake_cpus[i].status = 7;
        g_ptr_array_add(cpus, &fake_cpus[i]);
    }
    for (unsigned i = 0; i < MEM_SIZE; i++) {
        memory[i] = i;
    }
    memcpy(memory + 0x20, "text\n\0more", 11);
}

/* ---- Commands ---- */

static unsigned current_cpu;

static void expect(const char *line, const char *answer)
{
    g_autoptr(GString) out = g_string_new(NULL);

    monitor_run(line, &current_cpu, out);
    g_assert_cmpstr(out->str, ==, answer);
    g_assert_cmpint(pauses, ==, 0);
}

static void expect_part(const char *line, const char *part)
{
    g_autoptr(GString) out = g_string_new(NULL);

    monitor_run(line, &current_cpu, out);
    if (!strstr(out->str, part)) {
        g_test_message("%s: %s", line, out->str);
    }
    g_assert_nonnull(strstr(out->str, part));
}

static bool fake_device(const char *text, GError **error)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "device: '%s' is fake", text);
    return false;
}

static void test_commands(void)
{
    set_up();
    monitor_set_device_handlers(fake_device, fake_device);
    expect("", "");
    expect("  stop  ", "");
    expect("info status", "VM status: paused\n");
    expect("c", "");
    expect("info status", "VM status: running\n");
    expect("cpu 5", "cpu: '5' is no CPU's number (0 to 1)\n");
    expect("cpu 1", "");
    expect("info registers", "a0 4113\n");
    expect("info registers -a", "CPU#0\na0 4112\nCPU#1\na0 4113\n");
    expect("info registers -b", "info registers: unknown argument '-b'; only -a (all CPUs)\n");
    expect("info cpus", "  CPU #0: pc=0x00001004\n* CPU #1: pc=0x00001004\n");
    expect("info mtree -f", "flat\n");
    expect("info tlb", "tlb\n");
    expect("info regsters", "unknown info: 'regsters'; did you mean 'registers'?\n");
    expect("sotp", "unknown command: 'sotp'; did you mean 'stop'?\n");
    expect_part("help", "system_powerdown");
    expect_part("help info", "info mtree [-f]");
    expect_part("help stop", "stop the machine");
    expect_part("info", "info registers");
    expect_part("log help", "guest_errors");
    expect_part("log gest_errors", "did you mean 'guest_errors'?");
    expect_part("system_powerdown", "no power button");
    expect("sendkey", "sendkey: the keys are missing\n");
    expect("sendkey a-shfit", "sendkey: unknown key: 'shfit'; did you mean 'shift'?\n");
    expect("sendkey a 1s", "sendkey: '1s' is no time in ms up to 60000\n");
    expect("sendkey a", "sendkey: the machine has no keyboard\n");
    expect("mouse_move 1", "mouse_move: expected two numbers or three\n");
    expect("mouse_move 1 -2 3 4", "mouse_move: expected two numbers or three\n");
    expect("mouse_move 1 -2 3", "mouse_move: the machine has no pointer\n");
    expect("mouse_button 8", "mouse_button: expected a number from 0 to 7\n");
    expect("mouse_button 1", "mouse_button: the machine has no pointer\n");
    expect("mouse_set 0", "mouse_set: '0' is no pointer's number\n");
    expect("info mice", "No mouse devices connected\n");
    expect("info usb", "  Device 0.0, fake\n");
    expect("device_add a,id=b", "device: 'a,id=b' is fake\n");
    expect("device_del", "device: '' is fake\n");
    expect("savevm", "savevm: the snapshot's name is missing\n");
    expect("savevm one", "");
    expect("info status", "VM status: running\n");
    expect("info snapshots", "one 1 MiB\n");
    expect("delvm two", "delvm: two: there is none\n");
    expect("delvm /a/b", "delvm: /a/b: there is none\n"); /* no format */
    expect("info status", "VM status: running\n");
    expect("loadvm one", "loadvm: the machine is incomplete now: one\n"); /* it must not go on */
    expect("info status", "VM status: paused\n");
    expect("q", "");
    g_assert_true(quit && powered_down);
    current_cpu = 0;
}

static void test_memory(void)
{
    set_up();
    expect("x/2xw 0x1000", "00001000: 0x03020100 0x07060504\n");
    expect("x /2xw 0x1000", "00001000: 0x03020100 0x07060504\n");
    expect("xp/1xg $a0", "0000000000001010: 0x1716151413121110\n");
    expect("x/3ub $pc+1", "00001005: 5 6 7\n");
    expect("x/1db 0x10ff", "000010ff: -1\n");
    expect("x/s 0x1020", "00001020: \"text\\n\"\n");
    expect("x/4c 0x1020", "00001020: 't' 'e' 'x' 't'\n");
    expect("x/2i 0x1003", "00001003: insn 03 at 0x1003\n00001007: insn 07 at 0x1007\n");
    expect("x 0x5000", "00005000: cannot access memory at 0x5000\n");
    expect("x/8xb 0x10fc", "000010fc: 0xfc 0xfd 0xfe 0xff cannot access memory at 0x1100\n");
    expect("x/99999999999999999999x 0", "/99999999999999999999x: at most 65536 units\n");
    expect_part("x/q 0", "unknown format letter 'q'");
    expect("x", "x: number expected at ''\n");
}

static void test_expressions(void)
{
    set_up();
    expect("p 1+2*3", "0x7\n");
    expect("p/d (1+2)*-3", "-9\n");
    expect("p 0xff & ~0xf | 1 ^ 3", "0xf2\n");
    expect("p $status + $a0", "0x1017\n");
    expect("p 7 / 0", "print: division by zero at ''\n");
    expect("p 1 2", "print: unexpected text at '2'\n");
    expect("p (1", "print: missing ')' at ''\n");
    expect("p $nope", "print: unknown register at '$nope'\n");
    expect("p 99999999999999999999", "print: number too large at '99999999999999999999'\n");
    {
        g_autofree char *deep = g_strnfill(5000, '(');
        g_autofree char *line = g_strdup_printf("p %s", deep);

        expect_part(line, "too deep");
    }
}

/* ---- The editor ---- */

static char *entered;
static GString *screen;

static void on_print(void *opaque, const char *text, size_t len)
{
    g_string_append_len(screen, text, len);
}

static void on_line(void *opaque, const char *line)
{
    g_free(entered);
    entered = g_strdup(line);
}

static void on_complete(void *opaque, const char *text, GPtrArray *out)
{
    monitor_complete(text, out);
}

static const ReadlineOps editor_ops = { .print = on_print,
                                        .line = on_line,
                                        .complete = on_complete };

static void type(Readline *rl, const char *keys, const char *line)
{
    for (const char *p = keys; *p; p++) {
        readline_input(rl, *p);
    }
    readline_input(rl, '\r');
    g_assert_cmpstr(entered, ==, line);
}

static void test_editor(void)
{
    Readline *rl = readline_new("> ", &editor_ops, NULL);

    screen = g_string_new(NULL);
    readline_show_prompt(rl);
    g_assert_nonnull(strstr(screen->str, "> "));
    type(rl, "plain", "plain");
    type(rl, "abc\177d", "abd");
    type(rl, "bc\001a\005d", "abcd");
    type(rl, "ac\033[Db", "abc");
    type(rl, "ac\002b\006d", "abcd");
    type(rl, "one two\027three", "one three");
    type(rl, "gone\025kept", "kept");
    type(rl, "abcd\033[D\033[D\013", "ab");
    type(rl, "abc\001\004", "bc");
    type(rl, "xbc\033[H\033[3~", "bc");
    type(rl, "ab\033[1~x\033[4~y", "xaby");
    type(rl, "\033[A", "xaby");
    type(rl, "\033[A\033[A", "bc");
    type(rl, "typed\020\016!", "typed!");
    type(rl, "drop\003new", "new");
    type(rl, "sto\t", "stop ");
    type(rl, "info reg\t-a", "info registers -a");
    type(rl, "system_\tr\t", "system_reset ");
    type(rl, "\033[B\033[A\033[B\033OA", "system_reset ");
    readline_input(rl, 'z');
    readline_input(rl, '\n');
    g_assert_cmpstr(entered, ==, "z");
    {
        g_autofree char *longer = g_strnfill(10000, 'l');

        for (const char *p = longer; *p; p++) {
            readline_input(rl, *p);
        }
        readline_input(rl, '\r');
        g_assert_cmpuint(strlen(entered), ==, 4000);
    }
    readline_free(rl);
}

static void test_session(void)
{
    g_autoptr(GError) error = NULL;

    set_up();
    written = g_string_new(NULL);
    g_assert_true(monitor_new((Chardev *)"chr", &error));
    fe->event(fe_opaque, CHARDEV_OPENED);
    g_assert_cmpuint(written->len, ==, 0);
    fe->event(fe_opaque, CHARDEV_FOCUS);
    g_assert_nonnull(strstr(written->str, "(menura) "));
    g_string_truncate(written, 0);
    fe->read(fe_opaque, (const uint8_t *)"info chardev\r", 13);
    g_assert_nonnull(strstr(written->str, "serial0: null\r\n"));
    monitor_cleanup();
}

static void test_random(void)
{
    static const char keys[] =
        "x/4gi $pc+0x10()-info help cpu\t\r\033[A\033[B\001\005\013\025\027\177stop log p %&|";
    g_autoptr(GError) error = NULL;

    set_up();
    g_assert_true(monitor_new((Chardev *)"chr", &error));
    for (unsigned i = 0; i < 300000; i++) {
        uint8_t c = g_test_rand_bit() ? (uint8_t)keys[g_test_rand_int_range(0, sizeof(keys) - 1)]
                                      : (uint8_t)g_test_rand_int_range(0, 256);

        fe->read(fe_opaque, &c, 1);
        if (written->len > 1 << 20) {
            g_string_truncate(written, 0);
        }
    }
    g_assert_cmpint(pauses, ==, 0);
    monitor_cleanup();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/monitor/commands", test_commands);
    g_test_add_func("/monitor/memory", test_memory);
    g_test_add_func("/monitor/expressions", test_expressions);
    g_test_add_func("/monitor/editor", test_editor);
    g_test_add_func("/monitor/session", test_session);
    g_test_add_func("/monitor/random", test_random);
    return g_test_run();
}
