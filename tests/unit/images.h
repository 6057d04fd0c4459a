/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of image formats share: making, opening and comparing images, and damaging them. What fails ends the test.
 */
#ifndef TESTS_UNIT_IMAGES_H
#define TESTS_UNIT_IMAGES_H

#include "block/node.h"

void image_create(const BlockDriver *driver, const char *file, const char *options);
BlockNode *image_open(const char *format, const char *file, bool readonly);
/* Bytes that depend on @seed and are not zero. */
void image_fill(uint8_t *buf, uint64_t bytes, unsigned seed);
/* @node reads as @model there. */
void image_assert_reads(BlockNode *node, const uint8_t *model, uint64_t offset, uint64_t bytes);
/* The format's own check, if it has one, finds nothing; or nothing but leaks. */
void image_assert_clean(BlockNode *node, bool leaks_allowed);
/* The check mends everything, or everything but leaks. */
void image_mend(BlockNode *node, bool leaks_allowed);
/* Changes a few bytes, half of them in the first @head. */
void image_damage(uint8_t *data, gsize len, unsigned head);

#endif
