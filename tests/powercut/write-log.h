/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log of what the emulator did to the files of its disks, in the order in which it ended: records of a header and, for writes and text, so
 * many bytes, filled up to a multiple of 8. write-log.c makes it, replay.c reads it.
 */
#ifndef TESTS_POWERCUT_WRITE_LOG_H
#define TESTS_POWERCUT_WRITE_LOG_H

#include <stdint.h>

typedef enum WriteLogKind {
    LOG_WRITE = 1,
    LOG_ZERO,       /* these bytes read as zeroes; the file's length stays */
    LOG_GROW,       /* the file has at least offset + bytes bytes */
    LOG_RESIZE,     /* the file has offset bytes */
    LOG_SYNC_BEGIN, /* offset: a number for the end to name it by */
    LOG_SYNC_END,   /* what had been logged before its beginning is on the disk */
    LOG_TEXT        /* the guest's console said this */
} WriteLogKind;

typedef struct WriteLogRecord {
    uint32_t kind;
    uint32_t file; /* its place in the list of files */
    uint64_t offset, bytes;
} WriteLogRecord;

#endif
