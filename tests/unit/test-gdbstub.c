/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The gdb stub over a fake chardev, fake CPUs and a fake machine: framing, each packet, and a
 * mutation test that feeds damaged packets and looks for answers that are no packets and for
 * accesses out of bounds (the fakes check what they are asked).
 */
#include <glib.h>
#include <string.h>
#include "gdbstub/gdbstub.h"
#include "gdbstub/packet.h"
#include "softmmu/cpu.h"
#include "softmmu/memory.h"
#include "softmmu/runstate.h"

/* ---- The fake world ---- */

enum { N_CPUS = 3, N_REGS = 33, MEM_BASE = 0x1000, MEM_SIZE = 0x4000 };

typedef struct FakeCpu {
    Cpu cpu;
    uint64_t regs[N_REGS];
    bool step;
} FakeCpu;

static FakeCpu fake_cpus[N_CPUS];
static uint8_t memory[MEM_SIZE];
static bool running;
static int shutdown_status, n_breakpoints, n_watchpoints, pauses;
static unsigned starts;
static void (*debug_handler)(unsigned);
static void (*change_handler)(void *, bool);
static void *change_opaque;
static bool watch_hit;
static const ChardevFrontend *fe;
static void *fe_opaque;
static GString *output;
GPtrArray *cpus;

bool chardev_attach(Chardev *chr, const ChardevFrontend *frontend, void *opaque, GError **error)
{
    fe = frontend;
    fe_opaque = opaque;
    return true;
}

void chardev_detach(Chardev *chr, void *opaque)
{
    fe = NULL;
}

size_t chardev_write(Chardev *chr, const void *buf, size_t len)
{
    g_string_append_len(output, buf, len);
    return len;
}

static bool in_memory(uint64_t addr, size_t len)
{
    g_assert_cmpuint(len, <=, GDB_PACKET_MAX);
    return addr >= MEM_BASE && addr - MEM_BASE <= MEM_SIZE && len <= MEM_SIZE - (addr - MEM_BASE);
}

bool cpu_debug_read(Cpu *cpu, uint64_t va, void *buf, size_t len)
{
    g_assert_true(cpu->index < N_CPUS);
    if (!in_memory(va, len)) {
        return false;
    }
    memcpy(buf, memory + va - MEM_BASE, len);
    return true;
}

bool cpu_debug_write(Cpu *cpu, uint64_t va, const void *buf, size_t len)
{
    if (!in_memory(va, len)) {
        return false;
    }
    memcpy(memory + va - MEM_BASE, buf, len);
    return true;
}

MemTxResult memory_read(uint64_t addr, void *buf, uint64_t len)
{
    memset(buf, 0xee, len);
    return MEM_OK;
}

MemTxResult memory_write(uint64_t addr, const void *buf, uint64_t len)
{
    return MEM_DECODE_ERROR;
}

void cpu_breakpoint_insert(uint64_t va)
{
    n_breakpoints++;
}

bool cpu_breakpoint_remove(uint64_t va)
{
    g_assert_cmpint(n_breakpoints--, >, 0);
    return true;
}

void cpu_watchpoint_insert(uint64_t va, uint64_t len, MemAccess access)
{
    g_assert_true(len > 0 && access);
    n_watchpoints++;
}

bool cpu_watchpoint_remove(uint64_t va, uint64_t len, MemAccess access)
{
    g_assert_cmpint(n_watchpoints--, >, 0);
    return true;
}

bool cpu_watchpoint_hit(Cpu *cpu, uint64_t *va, MemAccess *access)
{
    *va = 0x1234;
    *access = MEM_STORE;
    return watch_hit;
}

void cpu_single_step(Cpu *cpu, bool on)
{
    ((FakeCpu *)cpu)->step = on;
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
    starts++;
    if (!running) {
        running = true;
        change_handler(change_opaque, true);
    }
}

void vm_stop(void)
{
    if (running) {
        running = false;
        change_handler(change_opaque, false);
    }
}

bool vm_is_running(void)
{
    return running;
}

void vm_request_shutdown(int status)
{
    shutdown_status = status;
}

void vm_set_debug_handler(void (*f)(unsigned))
{
    debug_handler = f;
}

void vm_add_change_handler(void (*f)(void *, bool), void *opaque)
{
    change_handler = f;
    change_opaque = opaque;
}

static unsigned fake_gdb_read(Cpu *cpu, unsigned reg, uint8_t *buf)
{
    if (reg >= N_REGS) {
        return 0;
    }
    memcpy(buf, &((FakeCpu *)cpu)->regs[reg], 8);
    return 8;
}

static unsigned fake_gdb_write(Cpu *cpu, unsigned reg, const uint8_t *buf)
{
    g_assert_cmpuint(reg, <, N_REGS);
    memcpy(&((FakeCpu *)cpu)->regs[reg], buf, 8);
    return 8;
}

static const char *fake_gdb_xml(Cpu *cpu, const char *annex)
{
    return strcmp(annex, "target.xml") ? NULL : "<target><a b=\"}#$*\"/></target>";
}

static const TargetOps fake_ops = {
    .name = "fake",
    .gdb_read = fake_gdb_read,
    .gdb_write = fake_gdb_write,
    .gdb_xml = fake_gdb_xml,
    .gdb_core_regs = N_REGS,
};

static void run_command(const char *command, GString *out)
{
    g_string_append_printf(out, "did %s\n", command);
}

/* ---- Talking ---- */

static void feed(const void *data, size_t len)
{
    fe->read(fe_opaque, data, len);
}

static void send_packet(const char *data, size_t len)
{
    g_autoptr(GString) packet = g_string_new(NULL);

    gdb_packet_append(packet, data, len);
    feed(packet->str, packet->len);
}

static void iterate(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {}
}

/* The unescaped answer packets in @output joined by '|', acknowledgements left out; checks the
 * framing. */
static char *take_answers(void)
{
    GString *answers = g_string_new(NULL);
    GdbReader r;

    gdb_reader_init(&r);
    for (size_t i = 0; i < output->len; i++) {
        GdbInput in = gdb_reader_feed(&r, output->str[i]);

        g_assert_true(in == GDB_INPUT_MORE || in == GDB_INPUT_ACK || in == GDB_INPUT_NAK ||
                      in == GDB_INPUT_PACKET);
        if (in == GDB_INPUT_PACKET) {
            g_string_append_printf(answers, "%s%s", answers->len ? "|" : "", r.data->str);
        }
    }
    g_assert_cmpuint(r.state, ==, 0);
    gdb_reader_clear(&r);
    g_string_truncate(output, 0);
    return g_string_free(answers, FALSE);
}

static void expect(const char *packet, const char *answer)
{
    g_autofree char *got = NULL;

    g_string_truncate(output, 0);
    send_packet(packet, strlen(packet));
    got = take_answers();
    g_assert_cmpstr(got, ==, answer);
}

static void expect_pending(const char *answer)
{
    g_autofree char *got = NULL;

    iterate();
    got = take_answers();
    g_assert_cmpstr(got, ==, answer);
}

static void set_up(void)
{
    g_autoptr(GError) error = NULL;

    cpus = g_ptr_array_new();
    output = g_string_new(NULL);
    memset(fake_cpus, 0, sizeof(fake_cpus));
    for (unsigned i = 0; i < N_CPUS; i++) {
        fake_cpus[i].cpu.index = i;
        fake_cpus[i].cpu.ops = &fake_ops;
        fake_cpus[i].regs[1] = 0x1100 + i;
        g_ptr_array_add(cpus, &fake_cpus[i]);
    }
    shutdown_status = -1;
    running = true;
    g_assert_true(gdbstub_start((Chardev *)"chr", &error));
    gdbstub_set_command_handler(run_command);
    fe->event(fe_opaque, CHARDEV_OPENED);
    g_assert_false(running);
    iterate();
    g_string_truncate(output, 0);
}

static void tear_down(void)
{
    gdbstub_stop(0);
    g_assert_null(fe);
    g_assert_cmpint(pauses, ==, 0);
    g_ptr_array_unref(cpus);
    g_string_free(output, TRUE);
    iterate();
}

/* ---- Tests ---- */

static void test_framing(void)
{
    set_up();
    feed("$?#00", 5);
    g_assert_cmpstr(output->str, ==, "-");
    g_string_truncate(output, 0);
    feed("noise$?#3f", 10);
    g_assert_cmpstr(output->str, ==, "+$T05thread:1;#d7");
    g_string_truncate(output, 0);
    feed("-", 1);
    g_assert_cmpstr(output->str, ==, "$T05thread:1;#d7");
    expect("QStartNoAckMode", "OK");
    g_string_truncate(output, 0);
    feed("$?#3f", 5);
    g_assert_cmpstr(output->str, ==, "$T05thread:1;#d7");
    tear_down();
}

static void test_queries(void)
{
    g_autoptr(GString) big = g_string_new("m");

    set_up();
    expect("qSupported:multiprocess+;swbreak+",
           "PacketSize=4000;qXfer:features:read+;QStartNoAckMode+;vContSupported+");
    expect("vMustReplyEmpty", "");
    expect("qAttached", "1");
    expect("qC", "QC1");
    expect("qfThreadInfo", "m1,2,3");
    expect("qsThreadInfo", "l");
    expect("qThreadExtraInfo,2", "4350552331205b72756e6e696e675d");
    expect("qThreadExtraInfo,9", "E16");
    expect("qXfer:features:read:target.xml:0,ffb", "l<target><a b=\"}#$*\"/></target>");
    expect("qXfer:features:read:target.xml:1,6", "mtarget");
    expect("qXfer:features:read:target.xml:1000,6", "E16");
    expect("qXfer:features:read:other.xml:0,6", "E00");
    expect("qRcmd,696e666f", "O64696420696e666f0a|OK");
    expect("qRcmd,6", "E16");
    expect("T3", "OK");
    expect("T4", "E16");
    expect("unknown", "");
    expect("", "");
    for (unsigned i = 0; i < GDB_PACKET_MAX + 10; i++) {
        g_string_append_c(big, '1');
    }
    expect(big->str, "E07");
    tear_down();
}

static void test_registers(void)
{
    set_up();
    expect("p1", "0011000000000000");
    expect("Hg2", "OK");
    expect("p1", "0111000000000000");
    expect("P2=0807060504030201", "OK");
    g_assert_cmphex(fake_cpus[1].regs[2], ==, 0x0102030405060708);
    expect("P2=08", "E16");
    expect("P21=0807060504030201", "E16");
    expect("p21", "E16");
    expect("p", "E16");
    expect("Hg7", "E16");
    expect("Hx1", "E16");
    expect("G00", "E16");
    {
        g_autoptr(GString) all = g_string_new("G");

        for (unsigned i = 0; i < N_REGS; i++) {
            g_string_append_printf(all, "%02x00000000000000", i);
        }
        expect(all->str, "OK");
        g_assert_cmpuint(fake_cpus[1].regs[32], ==, 32);
        g_string_overwrite(all, 0, "g");
        expect("g", all->str + 1);
    }
    tear_down();
}

static void test_memory(void)
{
    set_up();
    expect("M1000,4:deadbeef", "OK");
    expect("m1000,4", "deadbeef");
    expect("m0,4", "E0e");
    expect("M1000,4:dead", "E16");
    expect("M1000,ffffffffffffffff:dead", "E16");
    expect("M0,1:00", "E0e");
    expect("m1000,0", "");
    expect("m1000", "E16");
    expect("m11111111111111111,4", "E16");
    expect("X1000,0:", "OK");
    g_string_truncate(output, 0);
    send_packet("X1000,3:#$}", 11);
    g_assert_cmpint(memcmp(memory, "#$}", 3), ==, 0);
    expect("qqemu.PhyMemMode", "0");
    expect("Qqemu.PhyMemMode:1", "OK");
    g_string_truncate(output, 0);
    expect("m0,2", "eeee");
    expect("Qqemu.PhyMemMode:0", "OK");
    tear_down();
}

static void test_breakpoints(void)
{
    set_up();
    expect("Z0,1000,2", "OK");
    expect("Z0,1000,2", "OK");
    g_assert_cmpint(n_breakpoints, ==, 1);
    expect("z0,1000,2", "OK");
    expect("z0,1000,2", "OK");
    g_assert_cmpint(n_breakpoints, ==, 0);
    expect("Z2,1000,8", "OK");
    expect("Z4,1000,8", "OK");
    expect("Z3,1000,0", "E16");
    expect("Z5,1000,1", "E16");
    expect("Z", "E16");
    g_assert_cmpint(n_watchpoints, ==, 2);
    expect("Z1,2000,4", "OK");
    fe->event(fe_opaque, CHARDEV_CLOSED);
    g_assert_cmpint(n_watchpoints, ==, 0);
    g_assert_cmpint(n_breakpoints, ==, 0);
    tear_down();
}

static void test_run(void)
{
    set_up();
    expect("vCont?", "vCont;c;C;s;S");
    expect("vCont;s:2;c", "");
    g_assert_true(running);
    g_assert_false(fake_cpus[0].step);
    g_assert_true(fake_cpus[1].step);
    debug_handler(1);
    expect_pending("T05thread:2;");
    g_assert_false(fake_cpus[1].step);
    g_assert_false(running);

    watch_hit = true;
    expect("c", "");
    vm_stop();
    debug_handler(2);
    expect_pending("T05thread:3;watch:1234;");
    watch_hit = false;

    expect("vCont;c", "");
    expect_pending("");
    feed("\003", 1);
    expect_pending("T02thread:3;");
    expect("?", "T02thread:3;");

    expect("Hc1", "OK");
    expect("s1500", "");
    g_assert_true(fake_cpus[0].step);
    g_assert_cmphex(fake_cpus[0].cpu.pc, ==, 0x1500);
    debug_handler(0);
    expect_pending("T05thread:1;");
    expect("vCont;x", "E16");
    expect("vCont;c:77", "E16");
    expect("vCont", "E16");

    running = false;
    expect("D", "OK");
    g_assert_true(running);
    vm_stop();
    expect_pending("");
    expect("vKill;1", "OK");
    g_assert_cmpint(shutdown_status, ==, 0);
    tear_down();
}

/* ---- Mutation ---- */

static const char *const seeds[] = {
    "?",
    "g",
    "p1",
    "P2=0807060504030201",
    "m1000,40",
    "M1000,4:deadbeef",
    "X1000,3:abc",
    "Z0,1000,2",
    "z0,1000,2",
    "Z2,1000,8",
    "z2,1000,8",
    "Z3,1ffe,4",
    "vCont;s:2;c",
    "vCont;c",
    "vCont;C05:1;S0b:-1",
    "c",
    "s",
    "c1234",
    "Hg1",
    "Hc-1",
    "T2",
    "D",
    "k",
    "vKill;1",
    "qSupported:a+;b-",
    "qXfer:features:read:target.xml:0,10",
    "qRcmd,696e666f",
    "qThreadExtraInfo,1",
    "qfThreadInfo",
    "qC",
    "Qqemu.PhyMemMode:1",
    "Qqemu.PhyMemMode:0",
    "vMustReplyEmpty",
    "vCont?",
    "G00112233",
    "qsThreadInfo",
    "!",
};

static void mutate(GRand *rand, GString *s)
{
    static const char interesting[] = ",;:=-0123456789abcdefxZzqvG\0\377}#$*";

    for (int n = g_rand_int_range(rand, 0, 5); n > 0; n--) {
        gsize pos = s->len ? (gsize)g_rand_int_range(rand, 0, s->len) : 0;
        char c = g_rand_boolean(rand)
                     ? interesting[g_rand_int_range(rand, 0, sizeof(interesting) - 1)]
                     : (char)g_rand_int(rand);

        switch (g_rand_int_range(rand, 0, 6)) {
        case 0:
            g_string_truncate(s, pos);
            break;
        case 1:
            g_string_insert_c(s, pos, c);
            break;
        case 2:
            g_string_insert(s, pos, seeds[g_rand_int_range(rand, 0, G_N_ELEMENTS(seeds))]);
            break;
        case 3:
            for (int i = g_rand_int_range(rand, 1, 40); i > 0; i--) {
                g_string_insert_c(s, pos, c);
            }
            break;
        default:
            if (s->len) {
                s->str[pos] = c;
            }
            break;
        }
    }
}

static void test_mutations(void)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(g_test_rand_int());

    set_up();
    for (unsigned i = 0; i < 100000; i++) {
        g_autoptr(GString) s = g_string_new(seeds[g_rand_int_range(rand, 0, G_N_ELEMENTS(seeds))]);

        mutate(rand, s);
        if (g_rand_int_range(rand, 0, 20) == 0) {
            feed(s->str, s->len); /* without a frame */
            feed("#00", 3);
        } else {
            send_packet(s->str, s->len);
        }
        if (running && g_rand_int_range(rand, 0, 4) == 0) {
            debug_handler(g_rand_int_range(rand, 0, N_CPUS));
            iterate();
        }
        if (output->len) {
            g_free(take_answers());
        }
        g_assert_cmpint(pauses, ==, 0);
    }
    tear_down();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gdbstub/framing", test_framing);
    g_test_add_func("/gdbstub/queries", test_queries);
    g_test_add_func("/gdbstub/registers", test_registers);
    g_test_add_func("/gdbstub/memory", test_memory);
    g_test_add_func("/gdbstub/breakpoints", test_breakpoints);
    g_test_add_func("/gdbstub/run", test_run);
    g_test_add_func("/gdbstub/mutations", test_mutations);
    return g_test_run();
}
