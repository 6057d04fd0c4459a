/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host can do. Read once, at the first call, by cpuid; afterwards any thread may ask. On a host that is not x86-64 no
 * x86 feature is there. A feature counts only if the operating system lets programs use it (AVX state enabled).
 */
#ifndef UTIL_HOST_H
#define UTIL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum HostFeature {
    HOST_BMI1 = 1 << 0, /* andn blsr tzcnt */
    HOST_BMI2 = 1 << 1, /* shlx sarx shrx rorx mulx pdep pext */
    HOST_LZCNT = 1 << 2,
    HOST_POPCNT = 1 << 3,
    HOST_MOVBE = 1 << 4,
    HOST_SSE41 = 1 << 5,
    HOST_PCLMUL = 1 << 6,
    HOST_AVX = 1 << 7,
    HOST_AVX2 = 1 << 8,
    HOST_FMA = 1 << 9,   /* three operands, needs AVX */
    HOST_F16C = 1 << 10, /* half-precision conversions */
} HostFeature;

/* All features of this host, a mask of HostFeature. */
uint32_t host_features(void);
/* Every bit of @mask is there. */
bool host_has(uint32_t mask);
/* "bmi1 bmi2 ..." of the features in @mask, in the order above; g_free() it. */
char *host_features_text(uint32_t mask);
/* Bytes in a host page. */
size_t host_page_size(void);
/* Processors this process may run on, at least 1. */
unsigned host_cpus(void);

#endif
