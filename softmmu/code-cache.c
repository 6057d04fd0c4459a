/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The code cache (see code-cache-priv.h): allocation in the doubly mapped code memory, the hash table, links between blocks, and
 * the pages that blocks were made from.
 *
 * A block's code is preceded by the address of its CodeBlock, and a bitmap has a bit for each 16-byte granule at which code starts: that
 * is how a host PC finds its block. What is known of blocks lies in an arena, since all of it goes at once, with the code.
 */
#define _GNU_SOURCE
#include "softmmu/code-cache-priv.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "softmmu/memory.h"
#include "softmmu/perfmap.h"
#include "softmmu/tlb-priv.h"

enum {
    HASH_BITS = 16,
    HASH_SIZE = 1 << HASH_BITS,
    GRANULE = 16,
    CHUNK_SHIFT = 6,
    AHEAD = 256 << 10, /* bytes that have memory before they are needed */
    META_SLACK = 32 << 10,
    MAX_REVIVE = 8, /* dead blocks of one key that are looked at */
};

/* What is known of a RAM page, as far as it holds code. */
typedef struct CodePage {
    CodeBlock *blocks;
    uint64_t chunks; /* which 64-byte chunks blocks were made from */
    uint32_t seq;    /* atomic */
} CodePage;

/* Blocks by the hash of their keys. */
typedef struct Bucket {
    CodeBlock *live; /* atomic */
    CodeBlock *dead;
} Bucket;

/* CODE: translations exist or are being made. WRITER: some TLB may have a write entry. UNSETTLED: a vCPU may be about to store to the
 * page without asking again; cleared only while no vCPU executes. */
enum { PAGE_CODE = 1, PAGE_WRITER = 2, PAGE_UNSETTLED = 4 };
/* For what virtual page write entries may have been made: none, one (its address and ONE_WRITER), SEVERAL_WRITERS. */
enum { ONE_WRITER = 1, SEVERAL_WRITERS = 2 };

static struct {
    GMutex lock; /* all but lookups and reading code */
    uint8_t *rw, *rx;
    uint64_t size, used, reserved; /* reserved: the thunks at the start */
    uint64_t populated;            /* bytes from the start that have memory */
    uint8_t *meta;                 /* the arena */
    uint64_t meta_size, meta_used, meta_populated;
    GCond wanted;     /* of the thread that gets memory ... */
    bool tried;       /* to start it */
    bool waiting;     /* ... while it waits: a signal is a system call */
    uint64_t *starts; /* bitmap of granules */
    Bucket hash[HASH_SIZE];
    CodeBlock *newest; /* of all of this generation, by CodeBlock.older */
    unsigned n_blocks;
    CodeLink *free_links;
    uint64_t generation;
    void *fns[TCG_N_FNS];
    TcgEnterFn *enter;
    const TcgAbi *abi;
    /* by RAM page number */
    uint8_t *page_flags;   /* PAGE_*, atomic */
    uint64_t *page_writer; /* atomic */
    CodePage *pages;
    uint64_t invalidated;
} cache;

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* The same memory without a file's name: perf looks at its map only for such. */
static void map_code_nameless(uint64_t size)
{
    cache.rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cache.rx = cache.rw == MAP_FAILED ? MAP_FAILED : mremap(cache.rw, 0, size, MREMAP_MAYMOVE);
    if (cache.rx != MAP_FAILED && mprotect(cache.rx, size, PROT_READ | PROT_EXEC) < 0) {
        cache.rx = MAP_FAILED;
    }
}

static void map_code_file(uint64_t size)
{
    int fd = memfd_create("menura-code", MFD_CLOEXEC);

    cache.rw = cache.rx = MAP_FAILED;
    if (fd < 0) {
        return;
    }
    if (ftruncate(fd, (off_t)size) == 0) {
        cache.rw = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        cache.rx = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    }
    close(fd);
}

static bool map_code(uint64_t size, GError **error)
{
    if (perfmap_is_on()) {
        map_code_nameless(size);
    } else {
        map_code_file(size);
    }
    if (cache.rw == MAP_FAILED || cache.rx == MAP_FAILED) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM,
                    "code cache: cannot map %" PRIu64 " bytes: %s", size, g_strerror(errno));
        return false;
    }
    return true;
}

/* Whether less than AHEAD of @used bytes on have memory. */
static bool is_short(uint64_t used, uint64_t populated, uint64_t size)
{
    return populated < size && populated < used + AHEAD;
}

/* Gets memory for what will be translated next. A page takes as long as translating five insns, and page faults still longer. Where the
 * host's kernel does not know the advice, or translators are faster, page faults do it. */
static void *populate(void *unused)
{
    g_mutex_lock(&cache.lock);
    for (;;) {
        if (is_short(cache.used, cache.populated, cache.rw ? cache.size : 0)) {
            uint64_t at = cache.populated, more = MIN(AHEAD, cache.size - at);

            g_mutex_unlock(&cache.lock);
            madvise(cache.rw + at, more, MADV_POPULATE_WRITE);
            madvise(cache.rx + at, more, MADV_POPULATE_READ);
            g_mutex_lock(&cache.lock);
            cache.populated += more;
        } else if (is_short(cache.meta_used, cache.meta_populated, cache.meta_size)) {
            uint64_t at = cache.meta_populated, more = MIN(AHEAD, cache.meta_size - at);

            g_mutex_unlock(&cache.lock);
            madvise(cache.meta + at, more, MADV_POPULATE_WRITE);
            g_mutex_lock(&cache.lock);
            cache.meta_populated += more;
        } else {
            cache.waiting = true;
            g_cond_wait(&cache.wanted, &cache.lock);
        }
    }
    return NULL;
}

bool code_cache_init(const TcgAbi *abi, uint64_t size, GError **error)
{
    uint64_t max_pages = memory_max_ram() >> 12;

    cache.abi = abi;
    cache.size = size;
    cache.meta_size = MAX(size, 4 * META_SLACK);
    cache.meta = reserve(cache.meta_size);
    cache.page_flags = reserve(max_pages);
    cache.page_writer = reserve(max_pages * sizeof(uint64_t));
    cache.pages = reserve(max_pages * sizeof(CodePage));
    cache.starts = reserve(size / GRANULE / 8);
    if (!cache.meta || !cache.page_flags || !cache.page_writer || !cache.pages || !cache.starts) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM,
                    "code cache: not enough address space");
        return false;
    }
    if (abi) {
        if (!map_code(size, error)) {
            return false;
        }
        cache.reserved =
            tcg_backend_make_thunks(abi, cache.rw, cache.rx, 4096, cache.fns, &cache.enter);
        perfmap_add_thunks(cache.fns, cache.enter, cache.rx + cache.reserved);
        cache.reserved = (cache.reserved + 63) & ~63ull;
    }
    cache.used = cache.reserved;
    memory_set_written_hook(code_page_written);
    return true;
}

void code_cache_thunks(void *fns[TCG_N_FNS], TcgEnterFn **enter)
{
    for (unsigned i = 0; i < TCG_N_FNS; i++) {
        if (cache.fns[i]) {
            fns[i] = cache.fns[i];
        }
    }
    *enter = cache.enter;
}

/* ---- Finding ---- */

static unsigned key_hash(const BlockKey *key)
{
    uint64_t h = key->phys * 0x9e3779b97f4a7c15ull ^
                 (uint64_t)(key->mode * 31 + key->cflags) * 0xc2b2ae3d27d4eb4full;

    return (unsigned)(h >> (64 - HASH_BITS));
}

static bool key_equal(const BlockKey *a, const BlockKey *b)
{
    return a->phys == b->phys && a->phys2 == b->phys2 && a->mode == b->mode &&
           a->cflags == b->cflags;
}

CodeBlock *code_cache_find(const BlockKey *key)
{
    CodeBlock *b = __atomic_load_n(&cache.hash[key_hash(key)].live, __ATOMIC_ACQUIRE);

    while (b && !key_equal(&b->key, key)) {
        b = __atomic_load_n(&b->next, __ATOMIC_ACQUIRE);
    }
    return b;
}

CodeBlock *code_cache_block_at(uint64_t host_pc)
{
    uint64_t granule = (host_pc - 1 - (uint64_t)cache.rx) / GRANULE;
    uint64_t word = granule / 64;
    uint64_t bits = cache.starts[word] & (~0ull >> (63 - granule % 64));
    uint64_t start;

    while (!bits) {
        bits = cache.starts[--word];
    }
    start = (word * 64 + 63 - (uint64_t)__builtin_clzll(bits)) * GRANULE;
    return *(CodeBlock **)(cache.rx + start - sizeof(CodeBlock *));
}

const TcgSite *code_block_site(const CodeBlock *block, uint64_t host_pc)
{
    uint32_t offset = (uint32_t)(host_pc - (uint64_t)block->code);
    unsigned lo = 0, hi = block->n_sites;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if (block->sites[mid].host_offset < offset) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    g_assert(lo < block->n_sites && block->sites[lo].host_offset == offset);
    return &block->sites[lo];
}

/* ---- Making ---- */

/* The thread begins with the first block: -daemonize has its fork behind it then. */
static void want_memory(void)
{
    if (!cache.tried) {
        GThread *thread = g_thread_try_new("code-memory", populate, NULL, NULL);

        cache.tried = true;
        g_clear_pointer(&thread, g_thread_unref);
    }
    if (cache.waiting && (is_short(cache.used, cache.populated, cache.size) ||
                          is_short(cache.meta_used, cache.meta_populated, cache.meta_size))) {
        cache.waiting = false;
        g_cond_signal(&cache.wanted);
    }
}

static bool meta_has_room(uint64_t size)
{
    return cache.meta_size - cache.meta_used >= size + META_SLACK; /* for links */
}

/* Memory until the next flush, with what was there before. The caller asked for room. */
static void *meta_alloc(uint64_t size)
{
    void *p = cache.meta + cache.meta_used;

    cache.meta_used += (size + 7) & ~7ull;
    g_assert(cache.meta_used <= cache.meta_size);
    return p;
}

/* Where the next code goes. */
static uint64_t next_start(void)
{
    return (cache.used + sizeof(CodeBlock *) + GRANULE - 1) & ~(uint64_t)(GRANULE - 1);
}

static bool has_code_room(uint64_t size)
{
    return next_start() + size <= cache.size;
}

/* Copies the code to the next free place. The caller asked for room. */
static const uint8_t *place_code(CodeBlock *block, const TcgCode *code)
{
    uint64_t start = next_start();

    memcpy(cache.rw + start - sizeof(CodeBlock *), &block, sizeof(CodeBlock *));
    memcpy(cache.rw + start, code->code, code->size);
    __atomic_or_fetch(&cache.starts[start / GRANULE / 64], 1ull << (start / GRANULE % 64),
                      __ATOMIC_RELAXED);
    cache.used = start + code->size;
    return cache.rx + start;
}

static uint64_t chunk_mask(unsigned first_byte, unsigned last_byte)
{
    unsigned first = first_byte >> CHUNK_SHIFT, last = MIN(last_byte, 4095) >> CHUNK_SHIFT;

    return (~0ull << first) & (~0ull >> (63 - last));
}

/* The chunks of page @n (0: the first, 1: the second) that @block was made from. */
static uint64_t block_chunks(const CodeBlock *block, unsigned n)
{
    if (!n && block->key.phys2 == (block->key.phys & ~4095ull)) {
        return ~0ull; /* one RAM page mapped at both virtual pages */
    }
    return n ? 1 : block->chunks;
}

static uint64_t block_page(const CodeBlock *block, unsigned n)
{
    return (n ? block->key.phys2 : block->key.phys) >> 12;
}

static void page_add(CodeBlock *block, unsigned n)
{
    CodePage *page = &cache.pages[block_page(block, n)];

    block->page_next[n] = page->blocks;
    page->blocks = block;
    page->chunks |= block_chunks(block, n);
}

static bool pages_unchanged(const CodeBlock *proto, const uint32_t seq[2])
{
    return cache.pages[block_page(proto, 0)].seq == seq[0] &&
           (!proto->has_page2 || cache.pages[block_page(proto, 1)].seq == seq[1]);
}

/* Makes @block, which is in no chain, one that is found. */
static CodeBlock *block_chain(CodeBlock *block)
{
    CodeBlock **head = &cache.hash[key_hash(&block->key)].live;

    page_add(block, 0);
    if (block->has_page2) {
        page_add(block, 1);
    }
    block->next = *head;
    __atomic_store_n(head, block, __ATOMIC_RELEASE);
    return block;
}

/* Of the bytes that a block of one page was made from. */
static uint64_t hash_bytes(uint64_t phys, unsigned n)
{
    const uint8_t *p = ram_base + phys;
    uint64_t h = n;

    for (; n; n -= MIN(n, 8), p += 8) {
        uint64_t word = 0;

        memcpy(&word, p, MIN(n, 8));
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    return h;
}

/* Killed, it is in no page's list. One that has a second page, even if it read nothing there, stays in that one's until it is written. */
static bool is_on_one_page(const CodeBlock *block)
{
    return !block->has_page2 && (block->key.phys & 4095) + block->n_bytes <= 4096;
}

CodeBlock *code_cache_add(const CodeBlock *proto, const TcgCode *code, const uint32_t seq[2],
                          bool *full)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache.lock);
    CodeBlock *block = code_cache_find(&proto->key);
    uint64_t sites_size = code ? code->n_sites * sizeof(TcgSite) : 0;
    uint64_t size = sizeof(CodeBlock) + sites_size;

    (void)locker;
    *full = false;
    if (block || !pages_unchanged(proto, seq)) {
        return block;
    }
    *full = !meta_has_room(size) ||
            (code ? !has_code_room(code->size) : cache.n_blocks >= cache.size / 1024);
    if (*full) {
        return NULL;
    }
    block = meta_alloc(size);
    *block = *proto;
    if (code) {
        block->code = place_code(block, code);
        block->size = code->size;
        block->entry_link = code->entry_link;
        block->n_sites = code->n_sites;
        memcpy(block->sites, code->sites, sites_size);
        block->bytes_hash = is_on_one_page(block) ? hash_bytes(block->key.phys, block->n_bytes) : 0;
    }
    want_memory();
    block->older = cache.newest;
    cache.newest = block;
    cache.n_blocks++;
    return block_chain(block);
}

/* ---- Links ---- */

static uint8_t *writable(const CodeBlock *block)
{
    return cache.rw + (block->code - cache.rx);
}

void code_cache_link(CodeBlock *from, const TcgSite *site, CodeBlock *to)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache.lock);
    CodeLink *link = cache.free_links;

    (void)locker;
    if (from->dead || to->dead) {
        return;
    }
    if (link) {
        cache.free_links = link->next;
    } else if (cache.meta_used + sizeof(CodeLink) > cache.meta_size) {
        return; /* the next block will not fit either, and all is flushed */
    } else {
        link = meta_alloc(sizeof(CodeLink));
    }
    *link = (CodeLink){ to->incoming, from, (uint32_t)(site - from->sites) };
    to->incoming = link;
    tcg_backend_link_exit(writable(from), from->code, site, to->code + to->entry_link);
}

/* Nothing jumps to @block any more. */
static void unlink_incoming(CodeBlock *block)
{
    CodeLink *link;

    while ((link = block->incoming) != NULL) {
        tcg_backend_unlink_exit(writable(link->from), link->from->code,
                                &link->from->sites[link->site]);
        block->incoming = link->next;
        link->next = cache.free_links;
        cache.free_links = link;
    }
}

static void hash_remove(CodeBlock *block)
{
    CodeBlock **link = &cache.hash[key_hash(&block->key)].live;

    while (*link != block) {
        link = &(*link)->next;
    }
    __atomic_store_n(link, block->next, __ATOMIC_RELEASE);
}

/* Takes @block out of use; its memory and code stay until the generation ends, since other vCPUs may be in it. */
static void block_kill(CodeBlock *block)
{
    hash_remove(block);
    __atomic_store_n(&block->dead, true, __ATOMIC_RELEASE);
    cache.invalidated++;
    if (!block->code) {
        return;
    }
    unlink_incoming(block);
    if (is_on_one_page(block)) {
        CodeBlock **head = &cache.hash[key_hash(&block->key)].dead;

        block->next_dead = *head;
        *head = block;
    }
    tcg_backend_kill_entry(cache.abi, writable(block));
}

static CodeBlock *revive(const BlockKey *key, uint32_t seq)
{
    CodeBlock **link = &cache.hash[key_hash(key)].dead, *block;
    unsigned tries = 0;

    for (; (block = *link) != NULL && tries < MAX_REVIVE; link = &block->next_dead) {
        if (!key_equal(&block->key, key)) {
            continue;
        }
        if (code_cache_find(key) || cache.pages[block_page(block, 0)].seq != seq) {
            return NULL;
        }
        if (hash_bytes(key->phys, block->n_bytes) == block->bytes_hash) {
            *link = block->next_dead;
            tcg_backend_revive_entry(writable(block));
            __atomic_store_n(&block->dead, false, __ATOMIC_RELEASE);
            return block_chain(block);
        }
        tries++;
    }
    return NULL;
}

CodeBlock *code_cache_revive(const BlockKey *key, uint32_t seq)
{
    CodeBlock *block;

    if (!__atomic_load_n(&cache.hash[key_hash(key)].dead, __ATOMIC_RELAXED)) {
        return NULL; /* most often; it costs no lock */
    }
    g_mutex_lock(&cache.lock);
    block = revive(key, seq);
    g_mutex_unlock(&cache.lock);
    return block;
}

uint64_t code_cache_generation(void)
{
    return __atomic_load_n(&cache.generation, __ATOMIC_ACQUIRE);
}

void code_cache_flush(void)
{
    g_mutex_lock(&cache.lock);
    for (CodeBlock *block = cache.newest; block; block = block->older) {
        for (unsigned n = 0; n <= (unsigned)block->has_page2; n++) {
            uint64_t page = block_page(block, n);

            cache.pages[page].blocks = NULL;
            cache.pages[page].chunks = 0;
            __atomic_and_fetch(&cache.page_flags[page], (uint8_t)~PAGE_CODE, __ATOMIC_SEQ_CST);
        }
        ir_block_free(block->ir);
    }
    cache.newest = NULL;
    cache.n_blocks = 0;
    cache.free_links = NULL;
    cache.meta_used = 0;
    memset(cache.hash, 0, sizeof(cache.hash));
    memset(cache.starts, 0, cache.size / GRANULE / 8);
    cache.used = cache.reserved;
    __atomic_store_n(&cache.generation, cache.generation + 1, __ATOMIC_RELEASE);
    g_mutex_unlock(&cache.lock);
    tlb_flush_jumps_all();
}

/* ---- Pages ---- */

bool code_page_has_code(const uint8_t *host)
{
    return __atomic_load_n(&cache.page_flags[memory_ram_page(host)], __ATOMIC_RELAXED) & PAGE_CODE;
}

bool code_page_note_writer(const uint8_t *host, uint64_t va)
{
    uint64_t page = memory_ram_page(host), *writer = &cache.page_writer[page], none = 0;
    uint64_t me = (va & ~4095ull) | ONE_WRITER;
    uint8_t *flags = &cache.page_flags[page];

    if (__atomic_load_n(flags, __ATOMIC_RELAXED) & PAGE_CODE) {
        return false;
    }
    if (__atomic_load_n(writer, __ATOMIC_RELAXED) != me &&
        !__atomic_compare_exchange_n(writer, &none, me, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST) &&
        none != me) {
        __atomic_store_n(writer, SEVERAL_WRITERS, __ATOMIC_SEQ_CST);
    }
    if (!(__atomic_load_n(flags, __ATOMIC_RELAXED) & PAGE_WRITER)) {
        __atomic_or_fetch(flags, PAGE_WRITER, __ATOMIC_SEQ_CST);
    }
    return true;
}

void code_page_unsettle(const uint8_t *host, unsigned size)
{
    __atomic_or_fetch(&cache.page_flags[memory_ram_page(host)], PAGE_UNSETTLED, __ATOMIC_SEQ_CST);
    code_page_written((uint64_t)(host - ram_base), size);
}

bool code_page_begin(const Cpu *self, const uint8_t *host, uint32_t *seq)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&cache.lock);
    uint64_t page = memory_ram_page(host);
    uint8_t *flags = &cache.page_flags[page];

    /* Under the lock, so that a store's page_invalidate() comes before the mark or after the number was read; and another vCPU
     * that marks the page finds all write entries gone, and told that those who used them may still be on their way. */
    (void)locker;
    if (__atomic_fetch_or(flags, PAGE_CODE, __ATOMIC_SEQ_CST) & PAGE_WRITER) {
        const uint8_t *ram = ram_base + (page << 12);
        uint64_t writer;

        __atomic_and_fetch(flags, (uint8_t)~PAGE_WRITER, __ATOMIC_SEQ_CST);
        writer = __atomic_exchange_n(&cache.page_writer[page], 0, __ATOMIC_SEQ_CST);
        if (writer & ONE_WRITER ? tlb_protect_at(self, ram, writer & ~4095ull)
                                : tlb_protect_page(self, ram)) {
            __atomic_or_fetch(flags, PAGE_UNSETTLED, __ATOMIC_SEQ_CST);
        }
    }
    *seq = cache.pages[page].seq;
    return !(__atomic_load_n(flags, __ATOMIC_SEQ_CST) & PAGE_UNSETTLED);
}

void code_page_settle(const uint8_t *host)
{
    __atomic_and_fetch(&cache.page_flags[memory_ram_page(host)], (uint8_t)~PAGE_UNSETTLED,
                       __ATOMIC_SEQ_CST);
}

/* Kills the blocks of @page made from @chunks and recomputes what is left. Cache lock held. */
static void page_invalidate(uint64_t page, uint64_t chunks)
{
    CodePage *p = &cache.pages[page];
    CodeBlock **link, *block;

    __atomic_add_fetch(&p->seq, 1, __ATOMIC_SEQ_CST);
    if (!p->blocks) {
        __atomic_and_fetch(&cache.page_flags[page], (uint8_t)~PAGE_CODE, __ATOMIC_SEQ_CST);
        return;
    }
    if (!(p->chunks & chunks)) {
        return;
    }
    p->chunks = 0;
    link = &p->blocks;
    while ((block = *link) != NULL) {
        unsigned n = block_page(block, 0) == page ? 0 : 1;

        if (!block->dead && (block_chunks(block, n) & chunks)) {
            block_kill(block);
        }
        if (block->dead) {
            *link = block->page_next[n];
        } else {
            p->chunks |= block_chunks(block, n);
            link = &block->page_next[n];
        }
    }
    if (!p->blocks) {
        __atomic_and_fetch(&cache.page_flags[page], (uint8_t)~PAGE_CODE, __ATOMIC_SEQ_CST);
    }
}

void code_page_written(uint64_t ram_offset, uint64_t len)
{
    while (len) {
        uint64_t page = ram_offset >> 12, offset = ram_offset & 4095, n = MIN(len, 4096 - offset);

        if (__atomic_load_n(&cache.page_flags[page], __ATOMIC_SEQ_CST) & PAGE_CODE) {
            g_mutex_lock(&cache.lock);
            page_invalidate(page, chunk_mask((unsigned)offset, (unsigned)(offset + n - 1)));
            g_mutex_unlock(&cache.lock);
        }
        ram_offset += n;
        len -= n;
    }
}

void code_cache_print(GString *out)
{
    g_mutex_lock(&cache.lock);
    g_string_append_printf(
        out,
        "code cache          %" PRIu64 " of %" PRIu64 " KiB used, generation %" PRIu64 "\n"
        "blocks              %u live or waiting, %" PRIu64 " invalidated\n",
        cache.used >> 10, cache.size >> 10, cache.generation, cache.n_blocks, cache.invalidated);
    g_mutex_unlock(&cache.lock);
}
