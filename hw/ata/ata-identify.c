/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a drive tells of itself: the 256 words of IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ACS-3, 7.12.7 and 7.13.6). */
#include "hw/ata/ata.h"

#include <string.h>

enum {
    W_GENERAL = 0,
    W_SERIAL = 10,
    W_REVISION = 23,
    W_MODEL = 27,
    W_MULTIPLE_MAX = 47,
    W_CAPABILITIES = 49,
    W_CAPABILITIES_2 = 50,
    W_VALID = 53,
    W_MULTIPLE = 59,
    W_SECTORS = 60,
    W_MDMA = 63,
    W_PIO = 64,
    W_CYCLE = 65, /* to 68 */
    W_ADDITIONAL = 69,
    W_QUEUE_DEPTH = 75,
    W_SATA = 76,
    W_MAJOR = 80,
    W_SETS = 82, /* to 84: supported; 85 to 87: enabled */
    W_UDMA = 88,
    W_SECTORS_48 = 100,
    W_TRIM_MAX = 105,
    W_PHYSICAL = 106,
    W_SETS_2 = 119, /* and 120: enabled */
    W_TRIM = 169,
    W_ROTATION = 217,
    W_TRANSPORT = 222,
    W_SEAL = 255,
};

enum { IS_VALID = 0x4000 };

/* ASCII, padded with blanks, the first character in the high byte. */
static void put_text(uint16_t *words, unsigned n, const char *text)
{
    size_t len = strlen(text);

    for (unsigned i = 0; i < n; i++) {
        uint8_t a = 2 * i < len ? (uint8_t)text[2 * i] : ' ';
        uint8_t b = 2 * i + 1 < len ? (uint8_t)text[2 * i + 1] : ' ';

        words[i] = (uint16_t)(a << 8 | b);
    }
}

void ata_identify_common(const HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS],
                         const char *product)
{
    enum { LBA_DMA = 0x0300, CYCLES_AND_UDMA = 0x0006, MDMA_0_2 = 0x0007, PIO_3_4 = 0x0003 };
    enum { CYCLE_NS = 120, UDMA_0_6_SET_5 = 0x207f, ATA_4_TO_8 = 0x01f0, SATA_3 = 0x107f };

    put_text(words + W_SERIAL, 10, drive->serial ? drive->serial : "");
    put_text(words + W_REVISION, 4, drive->version ? drive->version : "1.0");
    put_text(words + W_MODEL, 20, drive->product ? drive->product : product);
    words[W_CAPABILITIES] = LBA_DMA;
    words[W_VALID] = CYCLES_AND_UDMA;
    words[W_MDMA] = MDMA_0_2;
    words[W_PIO] = PIO_3_4;
    for (unsigned i = 0; i < 4; i++) {
        words[W_CYCLE + i] = CYCLE_NS;
    }
    words[W_SATA] = 0x000e; /* 1.5, 3 and 6 Gb/s */
    words[W_MAJOR] = ATA_4_TO_8;
    words[W_UDMA] = UDMA_0_6_SET_5;
    words[W_TRANSPORT] = SATA_3;
}

/* Words 82 to 87. */
static void put_sets(const HwAtaDrive *drive, uint16_t *words, uint16_t second)
{
    enum { WRITE_CACHE = 1 << 5, READ_AHEAD = 1 << 6, NOP = 1 << 14 };

    words[W_SETS] = WRITE_CACHE | READ_AHEAD | NOP;
    words[W_SETS + 1] = IS_VALID | second;
    words[W_SETS + 2] = IS_VALID;
    words[W_SETS + 3] = (uint16_t)(NOP | (drive->write_cache ? WRITE_CACHE : 0) |
                                   (drive->read_ahead ? READ_AHEAD : 0));
    words[W_SETS + 4] = second;
    words[W_SETS + 5] = IS_VALID;
}

void ata_identify_disk(const HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS],
                       uint64_t sectors, uint32_t physical, bool readonly)
{
    enum {
        FIXED = 0x0040,
        MULTIPLE_MAX = 0x8010,
        MULTIPLE_SET = 0x0100,
        QUEUED = 0x0100,
        QUEUE_32 = 31
    };
    enum {
        FLUSH = 1 << 12,
        FLUSH_EXT = 1 << 13,
        LBA_48 = 1 << 10,
        FUA = 1 << 6,
        LOGS = 1 << 5,
        LOGS_DMA = 1 << 3
    };
    enum {
        TRIM_ZEROES_NOT = 0,
        TRIM_BLOCKS = 8,
        SOLID_STATE = 1,
        MAX_28 = 0x0fffffff,
        LARGER = 1 << 13
    };
    uint32_t sectors_28 = (uint32_t)MIN(sectors, MAX_28);

    words[W_GENERAL] = FIXED;
    words[W_MULTIPLE_MAX] = MULTIPLE_MAX;
    words[W_CAPABILITIES_2] = IS_VALID;
    words[W_MULTIPLE] = drive->multiple ? (uint16_t)(MULTIPLE_SET | drive->multiple) : 0;
    words[W_SECTORS] = (uint16_t)sectors_28;
    words[W_SECTORS + 1] = (uint16_t)(sectors_28 >> 16);
    words[W_ADDITIONAL] = TRIM_ZEROES_NOT;
    words[W_QUEUE_DEPTH] = QUEUE_32;
    words[W_SATA] |= QUEUED;
    put_sets(drive, words, FLUSH | FLUSH_EXT | LBA_48);
    words[W_SETS + 2] |= FUA | LOGS;
    words[W_SETS + 5] |= FUA | LOGS;
    words[W_SETS_2] = IS_VALID | LOGS_DMA;
    words[W_SETS_2 + 1] = IS_VALID | LOGS_DMA;
    for (unsigned i = 0; i < 4; i++) {
        words[W_SECTORS_48 + i] = (uint16_t)(sectors >> 16 * i);
    }
    words[W_PHYSICAL] = (uint16_t)(IS_VALID | (physical > ATA_SECTOR ? LARGER : 0) |
                                   __builtin_ctz(physical / ATA_SECTOR));
    if (!readonly) {
        words[W_TRIM_MAX] = TRIM_BLOCKS;
        words[W_TRIM] = 1;
    }
    words[W_ROTATION] = SOLID_STATE;
}

void ata_identify_packet(const HwAtaDrive *drive, uint16_t words[ATA_IDENTIFY_WORDS])
{
    enum { CD_ROM_12_BYTES = 0x8580, PACKET = 1 << 4, RESET = 1 << 9 };

    words[W_GENERAL] = CD_ROM_12_BYTES;
    put_sets(drive, words, 0);
    words[W_SETS] = words[W_SETS + 3] = IS_VALID | PACKET | RESET;
}

void ata_identify_seal(uint16_t words[ATA_IDENTIFY_WORDS])
{
    enum { SIGNATURE = 0xa5 };
    uint8_t sum = SIGNATURE;

    for (unsigned i = 0; i < W_SEAL; i++) {
        sum = (uint8_t)(sum + (words[i] & 0xff) + (words[i] >> 8));
    }
    words[W_SEAL] = (uint16_t)((uint8_t)-sum << 8 | SIGNATURE);
}
