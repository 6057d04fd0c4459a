/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parallel NOR flash, Intel's command set (JEDEC CFI publication, set 0x0001; the StrataFlash data sheets' command table): two 16-bit
 * chips side by side, which get the same command in both halves of a 32-bit word. Both chips are always in the same state, so one state
 * machine serves; replies are doubled.
 *
 * In the read-array mode the guest reads the bank as ROM; the first command takes it out of the memory map's direct reads (one
 * memory_commit) until the guest writes 0xff. Programming only clears bits, erasing sets all bits of a sector; both take no time.
 * Changes are written to the drive at once.
 */
#include "hw/block/pflash-cfi01.h"
#include <inttypes.h>
#include <string.h>
#include "util/bytes.h"
#include "util/log.h"

enum {
    BUFFER = 1024, /* bytes of the bank that one buffered program can change, aligned */
    N_CHIPS = 2,
    CHIP_WORD = 2,
    WORD = N_CHIPS * CHIP_WORD,
    LOAD_CHUNK = 64 * 1024,
    DEFAULT_SIZE = 4 * HW_PFLASH_SECTOR,
    MANUFACTURER = 0x89,
    DEVICE = 0x18,
};
enum {
    CMD_PROGRAM_ALT = 0x10,
    CMD_ERASE = 0x20,
    CMD_PROGRAM = 0x40,
    CMD_CLEAR_STATUS = 0x50,
    CMD_LOCK = 0x60,
    CMD_STATUS = 0x70,
    CMD_ID = 0x90,
    CMD_QUERY = 0x98,
    CMD_SUSPEND = 0xb0,
    CMD_CONFIRM = 0xd0,
    CMD_BUFFER = 0xe8,
    CMD_ARRAY_AMD = 0xf0,
    CMD_ARRAY = 0xff,
};
enum { SR_LOCKED = 2, SR_PROGRAM = 16, SR_ERASE = 32, SR_READY = 128 };

/* What reads show. */
typedef enum FlashMode { MODE_ARRAY, MODE_STATUS, MODE_ID, MODE_QUERY, N_MODES } FlashMode;
/* What the next write is. */
typedef enum FlashCycle {
    CYCLE_COMMAND,
    CYCLE_ERASE,
    CYCLE_PROGRAM,
    CYCLE_LOCK,
    CYCLE_COUNT,
    CYCLE_DATA,
    CYCLE_CONFIRM,
    N_CYCLES
} FlashCycle;

typedef struct HwPflash {
    HwDevice parent;
    MemoryRegion rom;
    BlockBackend *blk;
    const char *name;
    uint64_t size;
    uint64_t writable; /* bytes from the start that can be changed */
    uint8_t mode, cycle, status;
    uint32_t buffer_base; /* of the buffered program under way */
    uint16_t words_left;
    bool buffer_open; /* buffer_base is set */
    uint8_t buffer[BUFFER];
} HwPflash;

typedef struct HwPflashClass {
    HwDeviceClass parent;
} HwPflashClass;

G_DEFINE_TYPE(HwPflash, hw_pflash, HW_TYPE_DEVICE)

uint8_t *hw_pflash_contents(HwDevice *dev)
{
    return memory_region_host(&((HwPflash *)dev)->rom);
}

bool hw_pflash_has_drive(HwDevice *dev)
{
    return ((HwPflash *)dev)->blk != NULL;
}

static void set_mode(HwPflash *s, FlashMode mode)
{
    bool was_array = s->mode == MODE_ARRAY;

    s->mode = (uint8_t)mode;
    if (was_array != (mode == MODE_ARRAY)) {
        memory_region_set_romd(&s->rom, mode == MODE_ARRAY);
        memory_commit();
    }
}

/* ---- Contents ---- */

/* Tells memory's readers and the drive that [@offset, @offset + @len) changed. */
static void contents_changed(HwPflash *s, uint64_t offset, uint64_t len, uint8_t error_bit)
{
    uint8_t *host = hw_pflash_contents(&s->parent) + offset;
    g_autoptr(GError) error = NULL;

    memory_written(host, len);
    if (s->blk && !block_pwrite(s->blk, offset, host, len, &error)) {
        log_printf(LOG_UNIMP, "%s: %s\n", s->name, error->message);
        s->status |= error_bit;
    }
}

/* Whether [@offset, @offset + @len) can be changed; sets the status bits if not. */
static bool check_lock(HwPflash *s, uint64_t offset, uint64_t len, uint8_t error_bit)
{
    if (offset + len <= s->writable) {
        return true;
    }
    s->status |= error_bit | SR_LOCKED;
    return false;
}

static void erase_sector(HwPflash *s, uint64_t offset)
{
    uint64_t base = offset - offset % HW_PFLASH_SECTOR;

    if (check_lock(s, base, HW_PFLASH_SECTOR, SR_ERASE)) {
        memset(hw_pflash_contents(&s->parent) + base, 0xff, HW_PFLASH_SECTOR);
        contents_changed(s, base, HW_PFLASH_SECTOR, SR_ERASE);
    }
}

static void program(HwPflash *s, uint64_t offset, const uint8_t *data, unsigned len)
{
    uint8_t *host = hw_pflash_contents(&s->parent) + offset;

    if (check_lock(s, offset, len, SR_PROGRAM)) {
        for (unsigned i = 0; i < len; i++) {
            host[i] &= data[i];
        }
        contents_changed(s, offset, len, SR_PROGRAM);
    }
}

/* ---- Buffered programming: 0xe8, number of words less 1, words, 0xd0 ---- */

static void sequence_error(HwPflash *s)
{
    s->status |= SR_PROGRAM | SR_ERASE;
    s->cycle = CYCLE_COMMAND;
}

static void begin_buffer(HwPflash *s, uint32_t count)
{
    if (count >= BUFFER / WORD) {
        sequence_error(s);
        return;
    }
    s->words_left = (uint16_t)(count + 1);
    s->buffer_open = false;
    memset(s->buffer, 0xff, BUFFER);
    s->cycle = CYCLE_DATA;
}

/* The first word tells which part of the bank is meant. */
static void fill_buffer(HwPflash *s, uint64_t offset, const uint8_t *data, unsigned size)
{
    uint32_t base = (uint32_t)(offset - offset % BUFFER);

    if (!s->buffer_open) {
        s->buffer_open = true;
        s->buffer_base = base;
    }
    if (base != s->buffer_base) {
        sequence_error(s);
        return;
    }
    memcpy(s->buffer + offset % BUFFER, data, size);
    s->cycle = --s->words_left ? CYCLE_DATA : CYCLE_CONFIRM;
}

/* ---- Commands ---- */

static void command(HwPflash *s, uint8_t cmd)
{
    switch (cmd) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
        s->cycle = CYCLE_PROGRAM;
        break;
    case CMD_ERASE:
        s->cycle = CYCLE_ERASE;
        break;
    case CMD_LOCK:
        s->cycle = CYCLE_LOCK;
        break;
    case CMD_BUFFER:
        s->cycle = CYCLE_COUNT;
        break;
    case CMD_CLEAR_STATUS:
        s->status = SR_READY;
        return;
    case CMD_ID:
        set_mode(s, MODE_ID);
        return;
    case CMD_QUERY:
        set_mode(s, MODE_QUERY);
        return;
    case CMD_ARRAY:
    case CMD_ARRAY_AMD:
    case 0:
        set_mode(s, MODE_ARRAY);
        return;
    case CMD_STATUS:
    case CMD_SUSPEND:
    case CMD_CONFIRM: /* nothing is ever suspended */
        break;
    default:
        log_guest_error("%s: unknown command %#x", s->name, cmd);
        return;
    }
    set_mode(s, MODE_STATUS);
}

static void end_lock(HwPflash *s, uint8_t cmd)
{
    /* Sectors are locked or not for good: only the forms are kept. */
    if (cmd != 0x01 && cmd != CMD_CONFIRM && cmd != 0x2f) {
        sequence_error(s);
    }
}

static void flash_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    HwPflash *s = opaque;
    uint8_t cmd = (uint8_t)value, data[8], cycle = s->cycle;

    for (unsigned i = 0; i < size; i++) {
        data[i] = (uint8_t)(value >> (8 * i));
    }
    s->cycle = CYCLE_COMMAND;
    switch (cycle) {
    case CYCLE_ERASE:
        if (cmd == CMD_CONFIRM) {
            erase_sector(s, offset);
        } else {
            sequence_error(s);
        }
        break;
    case CYCLE_PROGRAM:
        program(s, offset, data, size);
        break;
    case CYCLE_LOCK:
        end_lock(s, cmd);
        break;
    case CYCLE_COUNT:
        begin_buffer(s, (uint16_t)value);
        break;
    case CYCLE_DATA:
        fill_buffer(s, offset, data, size);
        break;
    case CYCLE_CONFIRM:
        if (cmd == CMD_CONFIRM) {
            program(s, s->buffer_base, s->buffer, BUFFER);
        } else {
            sequence_error(s);
        }
        break;
    default:
        command(s, cmd);
    }
}

/* ---- Reads ---- */

/* Word @i of a chip's query table (JESD68). */
static uint8_t query(const HwPflash *s, uint64_t i)
{
    static const uint8_t fixed[] = {
        [0x10] = 'Q',
        'R',
        'Y',
        0x01,
        0x00,
        0x31,
        0x00,
        [0x1b] = 0x45,
        0x55,
        0x00,
        0x00, /* 4.5 to 5.5 V, no programming voltage */
        [0x1f] = 7,
        7,
        10,
        0,
        4,
        4,
        4,
        0,          /* typical and longest times, as powers of 2 */
        [0x28] = 1, /* 16 bits wide */
        [0x2c] = 1, /* all sectors are of one size */
        [0x31] = 'P',
        'R',
        'I',
        '1',
        '0',
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0x50,
        0x00,
        0,
    };
    unsigned chip_sector = HW_PFLASH_SECTOR / N_CHIPS,
             last = (unsigned)(s->size / HW_PFLASH_SECTOR - 1);

    switch (i) {
    case 0x27:
        return (uint8_t)__builtin_ctzll(s->size / N_CHIPS);
    case 0x2a:
        return (uint8_t)__builtin_ctz(BUFFER / N_CHIPS);
    case 0x2d:
        return (uint8_t)last;
    case 0x2e:
        return (uint8_t)(last >> 8);
    case 0x2f:
        return (uint8_t)(chip_sector >> 8);
    case 0x30:
        return (uint8_t)(chip_sector >> 16);
    }
    return i < sizeof(fixed) ? fixed[i] : 0;
}

/* What each chip drives onto its half of the bus at word @i of its address space. */
static uint16_t chip_reply(const HwPflash *s, uint64_t i)
{
    uint64_t in_sector = i % (HW_PFLASH_SECTOR / WORD);

    switch (s->mode) {
    case MODE_ID:
        if (in_sector == 2) { /* the sector's lock */
            return (i + 1) * WORD > s->writable;
        }
        return in_sector == 0 ? MANUFACTURER : in_sector == 1 ? DEVICE : 0;
    case MODE_QUERY:
        return query(s, i);
    default:
        return s->status;
    }
}

static uint64_t flash_read(void *opaque, uint64_t offset, unsigned size)
{
    HwPflash *s = opaque;
    uint32_t word;

    if (s->mode == MODE_ARRAY) { /* a reader that came before the map was changed back */
        memcpy(&word, hw_pflash_contents(&s->parent) + (offset & ~3ull), sizeof(word));
        word = GUINT32_FROM_LE(word);
    } else {
        word = chip_reply(s, offset / WORD) * 0x10001u;
    }
    return word >> (8 * (offset % WORD)) & (size == 4 ? UINT32_MAX : (1u << (8 * size)) - 1);
}

static const MemoryRegionOps flash_ops = {
    .read = flash_read, .write = flash_write, .min_access = 1, .max_access = 4
};

/* ---- The device object ---- */

/* Reads the drive. Parts that are all zeroes, as the memory is already, are not touched. */
static bool load_contents(HwPflash *s, GError **error)
{
    uint64_t file = block_file_length(s->blk), len;
    g_autofree uint8_t *chunk = g_malloc(LOAD_CHUNK);
    uint8_t *host = hw_pflash_contents(&s->parent);

    for (uint64_t at = 0; at < file; at += len) {
        len = MIN(file - at, LOAD_CHUNK);
        if (!block_pread(s->blk, at, chunk, len, error)) {
            return false;
        }
        if (!bytes_are_zero(chunk, len)) {
            memcpy(host + at, chunk, len);
        }
    }
    memset(host + file, 0xff, s->size - file);
    memory_written(host, s->size);
    return true;
}

static bool use_drive(HwPflash *s, GError **error)
{
    uint64_t file = block_file_length(s->blk);

    if (file > s->size) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s: is larger (%" PRIu64 " bytes) than its flash bank (%" PRIu64 " bytes)",
                    block_file(s->blk), file, s->size);
        return false;
    }
    s->writable = block_is_readonly(s->blk) ? 0 : file;
    if (!block_claim(s->blk, s->name, error)) {
        return false;
    }
    if (!load_contents(s, error)) {
        block_release(s->blk);
        return false;
    }
    return true;
}

static bool flash_realize(HwDevice *dev, GError **error)
{
    HwPflash *s = (HwPflash *)dev;

    g_assert(s->size && s->size % HW_PFLASH_SECTOR == 0 && s->size <= UINT32_MAX);
    if (!memory_region_init_rom(&s->rom, s->name, s->size, &flash_ops, s, error)) {
        return false;
    }
    s->writable = s->size;
    if (s->blk && !use_drive(s, error)) {
        g_prefix_error(error, "%s: ", s->name);
        return false;
    }
    hw_device_add_region(dev, &s->rom);
    return true;
}

static void flash_unrealize(HwDevice *dev)
{
    HwPflash *s = (HwPflash *)dev;

    if (s->blk) {
        block_release(s->blk);
    }
}

static void apply_mode(HwPflash *s)
{
    memory_region_set_romd(&s->rom, s->mode == MODE_ARRAY);
    if (s->rom.container) {
        memory_commit();
    }
}

static void flash_reset(HwDevice *dev)
{
    apply_mode((HwPflash *)dev);
}

static bool flash_post_load(HwDevice *dev, GError **error)
{
    HwPflash *s = (HwPflash *)dev;

    if (s->mode >= N_MODES || s->cycle >= N_CYCLES || s->words_left > BUFFER / WORD ||
        (s->cycle == CYCLE_DATA && !s->words_left) || s->buffer_base % BUFFER ||
        s->buffer_base >= s->size) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: state out of range", s->name);
        return false;
    }
    apply_mode(s);
    return true;
}

static const StateField flash_state[] = {
    HW_FIELD(HwPflash, mode, STATE_U8, MODE_ARRAY, "what reads show"),
    HW_FIELD(HwPflash, cycle, STATE_U8, CYCLE_COMMAND, "what the next write is"),
    HW_FIELD(HwPflash, status, STATE_U8, SR_READY, "status register"),
    HW_FIELD(HwPflash, buffer_base, STATE_U32, 0, "place of the buffered program"),
    HW_FIELD(HwPflash, words_left, STATE_U16, 0, "words still to come for it"),
    HW_FIELD(HwPflash, buffer_open, STATE_BOOL, 0, "its first word has come"),
    HW_FIELD_ARRAY(HwPflash, buffer, STATE_U8, BUFFER, 0, "its data"),
    { 0 },
};

static void hw_pflash_init(HwPflash *s)
{
    s->name = "cfi.pflash01";
    s->size = DEFAULT_SIZE;
    s->status = SR_READY;
}

static void hw_pflash_class_init(HwPflashClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "cfi.pflash01";
    dc->desc = "NOR flash, Intel command set";
    dc->state = flash_state;
    dc->realize = flash_realize;
    dc->unrealize = flash_unrealize;
    dc->reset = flash_reset;
    dc->post_load = flash_post_load;
}

HwDevice *hw_pflash_new(const char *name, uint64_t size, BlockBackend *blk)
{
    HwPflash *s = (HwPflash *)hw_device_new(hw_pflash_get_type(), NULL);

    s->name = name;
    s->size = size;
    s->blk = blk;
    return &s->parent;
}
