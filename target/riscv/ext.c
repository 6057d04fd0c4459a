/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CPU models and extensions: one table gives the properties of -cpu, their defaults for each model, what needs what, and the ISA
 * string's order (manual: "ISA Extension Naming Conventions").
 *
 * Consistency: an extension whose need is off is switched off with it if the user named neither or only the need; the need is switched on
 * if the user named only the extension; naming both in contradiction is an error.
 */
#include "target/riscv/cpu.h"
#include <string.h>
#include "util/keyval.h"
#include "util/suggest.h"

enum { IN_RV64 = 1, IN_RV32 = 2, IN_MAX = 4, IN_ALL = 7 };
enum {
    FIXED = 1,   /* always on: no property */
    ONLY_64 = 2, /* RV64 only */
    ONLY_32 = 4,
    NO_STRING = 8, /* not in the ISA string */
    DERIVED = 16,  /* no bit and no property: there when all its needs are */
    MACHINE = 32,  /* no property: there when the machine has what belongs to it */
};

typedef struct ExtInfo {
    const char *name;
    uint8_t ext;    /* RvExt or RV_FEATURE_*; DERIVED: none */
    uint8_t models; /* IN_*: on by default */
    uint8_t flags;
    uint64_t needs; /* RV_EXT_BIT()s */
    const char *desc;
} ExtInfo;

#define B(ext) RV_EXT_BIT(ext)

/* In the order of the ISA string. */
static const ExtInfo table[] = {
    { "i", RV_EXT_I, IN_ALL, FIXED, 0, "base integer instructions" },
    { "m", RV_EXT_M, IN_ALL, 0, 0, "multiplication and division" },
    { "a", RV_EXT_A, IN_ALL, 0, 0, "atomic instructions" },
    { "f", RV_EXT_F, IN_ALL, 0, B(RV_EXT_ZICSR), "single-precision floating point" },
    { "d", RV_EXT_D, IN_ALL, 0, B(RV_EXT_F), "double-precision floating point" },
    { "c", RV_EXT_C, IN_ALL, 0, 0, "compressed instructions" },
    { "s", RV_EXT_S, IN_ALL, NO_STRING, B(RV_EXT_U), "supervisor mode" },
    { "u", RV_EXT_U, IN_ALL, NO_STRING, 0, "user mode" },
    { "zic64b", 0, 0, DERIVED, B(RV_EXT_ZICBOM) | B(RV_EXT_ZICBOZ), "cache blocks of 64 bytes" },
    { "zicbom", RV_EXT_ZICBOM, IN_ALL, 0, 0, "cache-block management" },
    { "zicbop", RV_EXT_ZICBOP, IN_ALL, 0, 0, "cache-block prefetch hints" },
    { "zicboz", RV_EXT_ZICBOZ, IN_ALL, 0, 0, "cache-block zero" },
    { "ziccamoa", 0, 0, DERIVED, B(RV_EXT_A), "all AMOs on main memory" },
    { "ziccif", 0, 0, DERIVED, 0, "instruction fetch is atomic" },
    { "zicclsm", 0, 0, DERIVED, 0, "misaligned loads and stores work" },
    { "ziccrse", 0, 0, DERIVED, B(RV_EXT_A), "LR/SC makes progress" },
    { "zicntr", RV_EXT_ZICNTR, IN_ALL, 0, B(RV_EXT_ZICSR), "cycle, time and instret counters" },
    { "zicond", RV_EXT_ZICOND, IN_ALL, 0, 0, "integer conditional operations" },
    { "zicsr", RV_EXT_ZICSR, IN_ALL, FIXED, 0, "CSR instructions" },
    { "zifencei", RV_EXT_ZIFENCEI, IN_ALL, 0, 0, "instruction-fetch fence" },
    { "zihintntl", RV_EXT_ZIHINTNTL, IN_ALL, 0, 0, "non-temporal locality hints" },
    { "zihintpause", RV_EXT_ZIHINTPAUSE, IN_ALL, 0, 0, "pause hint" },
    { "zihpm", RV_EXT_ZIHPM, IN_ALL, 0, B(RV_EXT_ZICSR), "hardware performance counters" },
    { "za64rs", 0, 0, DERIVED, B(RV_EXT_A), "reservation sets of 64 bytes at most" },
    { "zaamo", 0, 0, DERIVED, B(RV_EXT_A), "atomic memory operations" },
    { "zalrsc", 0, 0, DERIVED, B(RV_EXT_A), "load-reserved and store-conditional" },
    { "zawrs", RV_EXT_ZAWRS, IN_ALL, 0, B(RV_EXT_A), "wait on reservation set" },
    { "zfa", RV_EXT_ZFA, IN_ALL, 0, B(RV_EXT_F), "additional floating-point instructions" },
    { "zfhmin", RV_EXT_ZFHMIN, IN_ALL, 0, B(RV_EXT_F), "minimal half-precision floating point" },
    { "zca", 0, 0, DERIVED, B(RV_EXT_C), "compressed integer instructions" },
    { "zcb", RV_EXT_ZCB, IN_ALL, 0, B(RV_EXT_C), "additional compressed instructions" },
    { "zcd", 0, 0, DERIVED, B(RV_EXT_C) | B(RV_EXT_D),
      "compressed double-precision loads and stores" },
    { "zcf", 0, 0, DERIVED | ONLY_32, B(RV_EXT_C) | B(RV_EXT_F),
      "compressed single-precision loads and stores" },
    { "zba", RV_EXT_ZBA, IN_ALL, 0, 0, "address generation" },
    { "zbb", RV_EXT_ZBB, IN_ALL, 0, 0, "basic bit manipulation" },
    { "zbc", RV_EXT_ZBC, IN_ALL, 0, 0, "carry-less multiplication" },
    { "zbkb", RV_EXT_ZBKB, IN_MAX, 0, 0, "bit manipulation for cryptography" },
    { "zbkc", RV_EXT_ZBKC, IN_MAX, 0, 0, "carry-less multiplication for cryptography" },
    { "zbkx", RV_EXT_ZBKX, IN_MAX, 0, 0, "crossbar permutations" },
    { "zbs", RV_EXT_ZBS, IN_ALL, 0, 0, "single-bit instructions" },
    { "smaia", RV_FEATURE_SMAIA, 0, MACHINE, 0, "advanced interrupt architecture" },
    { "ssaia", RV_FEATURE_SSAIA, 0, MACHINE, 0, "advanced interrupt architecture for S" },
    { "ssccptr", 0, 0, DERIVED, B(RV_EXT_S), "page tables in main memory are read" },
    { "sscounterenw", 0, 0, DERIVED, B(RV_EXT_S), "scounteren is writable" },
    { "sstc", RV_EXT_SSTC, IN_ALL, 0, B(RV_EXT_S), "supervisor timer compare" },
    { "sstvala", 0, 0, DERIVED, B(RV_EXT_S), "stval always tells the address or instruction" },
    { "sstvecd", 0, 0, DERIVED, B(RV_EXT_S), "stvec has the direct mode" },
    { "svadu", RV_EXT_SVADU, IN_ALL, 0, B(RV_EXT_S),
      "hardware updating of accessed and dirty bits" },
    { "svinval", RV_EXT_SVINVAL, IN_ALL, 0, B(RV_EXT_S),
      "fine-grained address-translation invalidation" },
    { "svnapot", RV_EXT_SVNAPOT, IN_ALL, ONLY_64, B(RV_FEATURE_SV39),
      "naturally aligned power-of-two translations" },
    { "svpbmt", RV_EXT_SVPBMT, IN_ALL, ONLY_64, B(RV_FEATURE_SV39), "page-based memory types" },
    { "sv39", RV_FEATURE_SV39, IN_ALL, ONLY_64 | NO_STRING, B(RV_EXT_S),
      "39-bit virtual addresses" },
    { "sv48", RV_FEATURE_SV48, IN_ALL, ONLY_64 | NO_STRING, B(RV_FEATURE_SV39),
      "48-bit virtual addresses" },
    { "sv57", RV_FEATURE_SV57, IN_ALL, ONLY_64 | NO_STRING, B(RV_FEATURE_SV48),
      "57-bit virtual addresses" },
    { "pmp", RV_FEATURE_PMP, IN_ALL, NO_STRING, 0, "physical memory protection, 16 entries" },
};

typedef struct Model {
    const char *name;
    uint8_t bit;
    uint8_t xlen;
    const char *desc;
} Model;

static const Model models[] = {
    { "rv64", IN_RV64, 64, "64-bit hart with the usual extensions" },
    { "rv32", IN_RV32, 32, "32-bit hart with the usual extensions" },
    { "max", IN_MAX, 0, "all extensions that there are" },
};

static bool fits_xlen(const ExtInfo *info, unsigned xlen)
{
    return !(info->flags & (xlen == 64 ? ONLY_32 : ONLY_64));
}

static bool is_property(const ExtInfo *info)
{
    return !(info->flags & (FIXED | DERIVED | MACHINE));
}

/* ---- Properties ---- */

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    g_value_set_boolean(value, rv_cpu_has((RvCpu *)object, table[id - 1].ext));
}

/* Before the CPU was finished by rv_cpu_new() only; afterwards the translator relies on the set. */
static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    RvConfig *config = &((RvCpu *)object)->config;
    uint64_t bit = B(table[id - 1].ext);

    config->ext = g_value_get_boolean(value) ? config->ext | bit : config->ext & ~bit;
    config->given |= bit;
}

void rv_ext_install_properties(GObjectClass *klass)
{
    klass->get_property = get_property;
    klass->set_property = set_property;
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (is_property(&table[i])) {
            g_object_class_install_property(
                klass, i + 1,
                g_param_spec_boolean(table[i].name, table[i].name, table[i].desc, FALSE,
                                     G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS));
        }
    }
}

/* ---- Consistency ---- */

static const char *ext_name(uint64_t bit)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (!(table[i].flags & DERIVED) && B(table[i].ext) == bit) {
            return table[i].name;
        }
    }
    return "?";
}

/* Makes @info (which is on) and its need @need (which is off) agree. */
static bool settle(RvConfig *config, const ExtInfo *info, uint64_t need, GError **error)
{
    bool given = config->given & B(info->ext), need_given = config->given & need;

    if (given && need_given) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-cpu %s: '%s' needs '%s', which is off", config->model, info->name,
                    ext_name(need));
        return false;
    }
    if (given) {
        config->ext |= need;
        config->given |= need;
    } else {
        config->ext &= ~B(info->ext);
        /* What needs this one in turn must not switch it on again. */
        config->given |= need_given ? B(info->ext) : 0;
    }
    return true;
}

static bool check_ext(RvConfig *config, const ExtInfo *info, bool *changed, GError **error)
{
    uint64_t missing = info->needs & ~config->ext;

    if ((info->flags & DERIVED) || !(config->ext & B(info->ext))) {
        return true;
    }
    if (!fits_xlen(info, config->xlen)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "-cpu %s: '%s' is not for RV%u", config->model, info->name, config->xlen);
        return false;
    }
    if (!missing) {
        return true;
    }
    *changed = true;
    return settle(config, info, missing & -missing, error);
}

static bool check_config(RvConfig *config, GError **error)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
            if (!check_ext(config, &table[i], &changed, error)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- Making a CPU ---- */

static const Model *find_model(const char *name, unsigned xlen, GError **error)
{
    const char *names[G_N_ELEMENTS(models) + 1] = { NULL };
    g_autofree char *tail = NULL;
    unsigned n = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        if (models[i].xlen && models[i].xlen != xlen) {
            continue;
        }
        if (!g_strcmp0(models[i].name, name)) {
            return &models[i];
        }
        names[n++] = models[i].name;
    }
    tail = suggest_text(name ? name : "", names);
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "-cpu: '%s' is no CPU model of a %u-bit RISC-V machine%s", name ? name : "", xlen,
                tail);
    return NULL;
}

static uint64_t model_exts(const Model *model, unsigned xlen)
{
    uint64_t ext = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if ((table[i].models & model->bit) && fits_xlen(&table[i], xlen)) {
            ext |= B(table[i].ext);
        }
    }
    return ext;
}

static bool apply_properties(RvCpu *cpu, KeyVals *kv, GError **error)
{
    g_autofree char *what = g_strdup_printf("-cpu %s", cpu->config.model);
    const char *allowed[G_N_ELEMENTS(table) + 2] = { "model" };
    unsigned n = 1;

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (is_property(&table[i])) {
            allowed[n++] = table[i].name;
        }
    }
    if (!keyvals_check(kv, what, allowed, error)) {
        return false;
    }
    for (unsigned i = 1; i < n; i++) {
        bool value;

        if (!keyvals_get(kv, allowed[i])) {
            continue;
        }
        if (!keyvals_get_bool(kv, what, allowed[i], &value, error)) {
            return false;
        }
        g_object_set(cpu, allowed[i], (gboolean)value, NULL);
    }
    return true;
}

RvCpu *rv_cpu_new(const char *option, unsigned xlen, GError **error)
{
    g_autoptr(KeyVals) kv = keyvals_parse(option, "model");
    const Model *model = find_model(keyvals_get(kv, "model"), xlen, error);
    RvCpu *cpu;

    if (!model) {
        return NULL;
    }
    cpu = g_object_new(RV_CPU_TYPE, NULL);
    cpu->config =
        (RvConfig){ .model = model->name, .ext = model_exts(model, xlen), .xlen = (uint8_t)xlen };
    if (!apply_properties(cpu, kv, error) || !check_config(&cpu->config, error)) {
        g_object_unref(cpu);
        return NULL;
    }
    cpu->config.ext_set = (uint8_t)rv_ext_set_register(cpu->config.ext & (B(RV_N_EXTS) - 1));
    return cpu;
}

void rv_ext_list(unsigned xlen, GString *out)
{
    g_string_append(out, "CPU models:\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        if (!models[i].xlen || models[i].xlen == xlen) {
            g_string_append_printf(out, "  %-12s %s\n", models[i].name, models[i].desc);
        }
    }
    g_string_append(out, "Properties (on or off):\n");
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (is_property(&table[i]) && fits_xlen(&table[i], xlen)) {
            g_string_append_printf(out, "  %-12s %s%s\n", table[i].name, table[i].desc,
                                   table[i].models == IN_MAX ? " (max only)" : "");
        }
    }
}

/* ---- The ISA string and the device tree ---- */

static bool in_string(const RvCpu *cpu, const ExtInfo *info)
{
    uint64_t bits = info->flags & DERIVED ? info->needs : B(info->ext);

    return !(info->flags & NO_STRING) && fits_xlen(info, cpu->config.xlen) &&
           (cpu->config.ext & bits) == bits;
}

char *rv_cpu_isa_string(const RvCpu *cpu)
{
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "rv%u", cpu->config.xlen);
    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (in_string(cpu, &table[i])) {
            g_string_append_printf(out, "%s%s", table[i].name[1] ? "_" : "", table[i].name);
        }
    }
    return g_string_free(out, FALSE);
}

char **rv_cpu_isa_extensions(const RvCpu *cpu)
{
    GPtrArray *names = g_ptr_array_new();

    for (unsigned i = 0; i < G_N_ELEMENTS(table); i++) {
        if (in_string(cpu, &table[i])) {
            g_ptr_array_add(names, g_strdup(table[i].name));
        }
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}

const char *rv_cpu_isa_base(const RvCpu *cpu)
{
    return rv_cpu_is_64(cpu) ? "rv64i" : "rv32i";
}

const char *rv_cpu_mmu_type(const RvCpu *cpu)
{
    if (!rv_cpu_is_64(cpu)) {
        return rv_cpu_has(cpu, RV_EXT_S) ? "riscv,sv32" : "riscv,none";
    }
    return rv_cpu_has(cpu, RV_FEATURE_SV57)   ? "riscv,sv57"
           : rv_cpu_has(cpu, RV_FEATURE_SV48) ? "riscv,sv48"
           : rv_cpu_has(cpu, RV_FEATURE_SV39) ? "riscv,sv39"
                                              : "riscv,none";
}

unsigned rv_cpu_cbom_block_size(const RvCpu *cpu)
{
    return rv_cpu_has(cpu, RV_EXT_ZICBOM) ? RV_CBO_BYTES : 0;
}

unsigned rv_cpu_cboz_block_size(const RvCpu *cpu)
{
    return rv_cpu_has(cpu, RV_EXT_ZICBOZ) ? RV_CBO_BYTES : 0;
}
