/* store/body.c: see body.h. A body's block is a run of SECTOR-sized pages (pages.h) or an
 * aligned piece of the heap. */
#include "store/body.h"

#include "base/arith.h"
#include "base/crc32c.h"
#include "store/pages.h"

enum { BODY_MAGIC = 0x426f6479, POOL_MAGIC = 0x506f6f6c };

struct body_pool {
	uint32_t                 magic;
	uint32_t                 bodies;
	struct io               *io;
	struct io_memory         region;
	struct pages             pages;
	struct body_pool_options options;
	struct memory            memory;          /* tags, headers, checksums: not the bytes */
};

enum err body_pool_new(struct io *io, const struct body_pool_options *options,
    struct body_pool **out)
{
	ASSERT(options->bytes > 0);
	size_t bytes = round_up(options->bytes, 2 << 20);
	ASSERT(bytes / SECTOR <= 1U << 27);
	struct memory memory = {0};
	struct body_pool *pool = memory_zalloc(&memory, sizeof(*pool));
	pool->magic = POOL_MAGIC;
	pool->io = io;
	pool->options = *options;
	pool->memory = memory;
	enum err err = io_memory_new(io, bytes, true, &pool->region);
	if (err != OK) {
		memory_free(&memory, pool, sizeof(*pool));
		return err;
	}
	pages_init(&pool->pages, (uint32_t)(bytes / SECTOR), &pool->memory);
	*out = pool;
	return OK;
}

void body_pool_free(struct body_pool *pool)
{
	if (pool == NULL)
		return;
	DROP_OBJ(pool, POOL_MAGIC);
	ASSERT(pool->bodies == 0);
	pages_fini(&pool->pages);
	io_memory_free(pool->io, &pool->region);
	struct memory memory = pool->memory;
	memory_free(&memory, pool, sizeof(*pool));
}

const struct io_memory *body_pool_memory(const struct body_pool *pool)
{
	CHECK_OBJ(pool, POOL_MAGIC);
	return &pool->region;
}

uint64_t body_pool_used(const struct body_pool *pool)
{
	CHECK_OBJ(pool, POOL_MAGIC);
	return (uint64_t)pool->pages.used * SECTOR;
}

static struct body *body_make(struct memory *memory, uint8_t *block, size_t len)
{
	ASSERT(len > 0);
	ASSERT((uintptr_t)block % SECTOR == 0);
	struct body *body = memory_zalloc(memory, sizeof(*body));
	size_t block_bytes = round_up(len, SECTOR);
	*body = (struct body){
		.magic = BODY_MAGIC,
		.refs = 1,
		.ptr = block,
		.len = len,
		.memory = memory,
		.block = block,
		.block_bytes = block_bytes,
	};
	memset(block + len, 0, block_bytes - len);
	return body;
}

static uint32_t pool_take(struct body_pool *pool, uint32_t pages)
{
	uint32_t first = pages_take(&pool->pages, pages);
	if (first != PAGES_NONE || pool->options.reclaim == NULL)
		return first;
	ASSERT(pages > 0);
	if (pages > pool->pages.count)
		return PAGES_NONE;
	pool->options.reclaim(pool->options.ctx, (size_t)pages * SECTOR);
	return pages_take(&pool->pages, pages);
}

enum err body_new(struct body_pool *pool, size_t len, struct body **out)
{
	CHECK_OBJ(pool, POOL_MAGIC);
	ASSERT(len > 0);
	if (len > pool->region.bytes)
		return ERR_OVERLOADED;
	uint32_t first = pool_take(pool, (uint32_t)(round_up(len, SECTOR) / SECTOR));
	if (first == PAGES_NONE)
		return ERR_OVERLOADED;
	uint8_t *block = (uint8_t *)pool->region.ptr + (size_t)first * SECTOR;
	*out = body_make(&pool->memory, block, len);
	(*out)->pool = pool;
	pool->bodies++;
	return OK;
}

enum err body_new_heap(struct memory *memory, size_t len, struct body **out)
{
	ASSERT(len > 0);
	ASSERT(memory != NULL);
	if (len > SIZE_MAX / 2)
		return ERR_MEMORY;
	enum { POPULATE_BYTES = 32 << 10 };
	uint64_t peak = memory->bytes_peak;
	uint8_t *block = memory_try_alloc_aligned(memory, SECTOR, round_up(len, SECTOR));
	if (block == NULL)
		return ERR_MEMORY;
	if (len >= POPULATE_BYTES && memory->bytes_peak > peak)
		io_memory_populate(block, round_up(len, SECTOR));       /* never used before, most likely */
	*out = body_make(memory, block, len);
	return OK;
}

static size_t chunk_slots(const struct body *body)
{
	return (body->len + CHUNK_BYTES - 1) / CHUNK_BYTES;
}

void body_narrow(struct body *body, size_t skip, size_t len, struct span crcs)
{
	CHECK_OBJ(body, BODY_MAGIC);
	ASSERT(body->filled == 0 && body->chunk_crcs == NULL);
	ASSERT(skip <= body->block_bytes && len <= body->block_bytes - skip);
	ASSERT(crcs.len == 4 * ((len + CHUNK_BYTES - 1) / CHUNK_BYTES));
	body->ptr = body->block + skip;
	body->len = body->filled = body->hashed = len;
	if (len == 0)
		return;
	body->chunk_crcs = memory_alloc(body->memory, crcs.len);
	memcpy(body->chunk_crcs, crcs.ptr, crcs.len);
}

/* Checksums of the bytes between `hashed` and `filled`, chunk by chunk. */
static void body_advance_crcs(struct body *body)
{
	ASSERT(body->hashed <= body->filled);
	if (body->chunk_crcs == NULL)
		body->chunk_crcs = memory_zalloc(body->memory, chunk_slots(body) * 4);
	size_t at = body->hashed;
	while (at < body->filled) {
		size_t chunk = at / CHUNK_BYTES;
		size_t end = (chunk + 1) * CHUNK_BYTES;
		size_t len = (end < body->filled ? end : body->filled) - at;
		body->chunk_crcs[chunk] =
		    crc32c(body->chunk_crcs[chunk], span_of(body->ptr + at, len));
		at += len;
	}
}

static void body_finish_hash(struct body *body)
{
	ASSERT(body->hash != NULL);
	body->digest = digest_end(body->hash);
	body->has_digest = true;
	memory_free(body->memory, body->hash, sizeof(*body->hash));
	body->hash = NULL;
}

void body_advance(struct body *body, size_t count)
{
	CHECK_OBJ(body, BODY_MAGIC);
	ASSERT(count <= body->len - body->filled);
	ASSERT(!body->has_digest || count == 0);
	if (count == 0)
		return;
	bool hashes = body->pool != NULL;         /* only images have an ETag */
	if (hashes && body->hash == NULL) {
		ASSERT(body->filled == 0);
		body->hash = memory_try_alloc_aligned(body->memory, 64, sizeof(*body->hash));
		ASSERT(body->hash != NULL);
		digest_begin(body->hash);
	}
	body->filled += count;
	if (hashes)
		digest_add(body->hash, span_of(body->ptr + body->hashed, count));
	body_advance_crcs(body);
	body->hashed = body->filled;
	if (hashes && body_is_full(body))
		body_finish_hash(body);
}

enum err body_copy(struct memory *memory, struct span bytes, struct body **out)
{
	enum err err = body_new_heap(memory, bytes.len, out);
	if (err != OK)
		return err;
	memcpy((*out)->ptr, bytes.ptr, bytes.len);
	body_advance(*out, bytes.len);
	return OK;
}

struct body *body_ref(struct body *body)
{
	CHECK_OBJ(body, BODY_MAGIC);
	ASSERT(body->refs > 0 && body->refs < UINT32_MAX);
	body->refs++;
	return body;
}

bool body_give_pages(struct body *body, size_t len)
{
	CHECK_OBJ(body, BODY_MAGIC);
	ASSERT(body_is_full(body));
	bool again = body->sent;
	body->sent = true;
	if (!again || len < IO_PAGES_MIN || (body->pool != NULL && !body->pool->region.renews))
		return false;
	body->given = true;
	return true;
}

/* Sockets may still read the pages that they were given. */
static void body_renew_pages(struct body *body)
{
	if (!body->given)
		return;
	if (body->pool == NULL) {
		io_memory_renew(body->block, body->block_bytes);
		return;
	}
	size_t at = (size_t)(body->block - (const uint8_t *)body->pool->region.ptr);
	io_memory_release(body->pool->io, &body->pool->region, at, body->block_bytes);
}

void body_unref(struct body *body)
{
	if (body == NULL)
		return;
	CHECK_OBJ(body, BODY_MAGIC);
	ASSERT(body->refs > 0);
	if (--body->refs > 0)
		return;
	struct memory *memory = body->memory;
	if (body->chunk_crcs != NULL)
		memory_free(memory, body->chunk_crcs, chunk_slots(body) * 4);
	if (body->hash != NULL)
		memory_free(memory, body->hash, sizeof(*body->hash));
	body_renew_pages(body);
	if (body->pool != NULL) {
		const uint8_t *base = body->pool->region.ptr;
		pages_give(&body->pool->pages, (uint32_t)((size_t)(body->block - base) / SECTOR));
		body->pool->bodies--;
	} else {
		memory_free(memory, body->block, body->block_bytes);
	}
	DROP_OBJ(body, BODY_MAGIC);
	memory_free(memory, body, sizeof(*body));
}

uint64_t body_offset(const struct body *body)
{
	CHECK_OBJ(body, BODY_MAGIC);
	ASSERT(body->pool != NULL);
	return (uint64_t)(body->ptr - (const uint8_t *)body->pool->region.ptr);
}

void body_release_ref(void *body)
{
	body_unref(body);
}
