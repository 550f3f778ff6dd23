/* store/manifest.c: see manifest.h. */
#include "store/manifest.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/endian.h"

enum { PLACE_BYTES = 12 };

static uint32_t manifest_crc(struct span copy)
{
	size_t from = offsetof(struct manifest_header, version);
	return crc32c(0, span_slice(copy, from, copy.len));
}

static void manifest_write_copy(struct buf *out, const struct manifest *manifest)
{
	struct manifest_header header = manifest->header;
	size_t from = out->len;
	header.magic = MANIFEST_MAGIC;
	header.version = MANIFEST_VERSION;
	header.segment_count = (uint32_t)(manifest->segments.len / sizeof(struct manifest_segment));
	header.chunk_count = (uint32_t)(manifest->chunks.len / sizeof(struct manifest_chunk));
	header.chain_bytes = (uint32_t)manifest->chains.len;
	header.blob_bytes = (uint32_t)manifest->blob.len;
	header.bytes = sizeof(header) + manifest->segments.len + manifest->chunks.len +
	    manifest->chains.len + manifest->blob.len;
	buf_append(out, span_of(&header, sizeof(header)));
	buf_append(out, manifest->segments);
	buf_append(out, manifest->chunks);
	buf_append(out, manifest->chains);
	buf_append(out, manifest->blob);
	ASSERT(out->len - from == header.bytes);
	uint32_t crc = manifest_crc(span_of(out->ptr + from, header.bytes));
	store_le32(out->ptr + from + offsetof(struct manifest_header, crc), crc);
}

void manifest_write(struct buf *out, const struct manifest *manifest)
{
	ASSERT(manifest->header.slot < CHECKPOINT_SLOTS);
	manifest_write_copy(out, manifest);
	manifest_write_copy(out, manifest);
}

/* ---- Reading ---- */

static bool segments_are_sane(const struct manifest *manifest)
{
	uint32_t last = 0;
	for (uint32_t i = 0; i < manifest->header.segment_count; i++) {
		struct manifest_segment segment = manifest_segment_at(manifest, i);
		if (segment.id <= last || segment.tier >= TIER_COUNT || segment.stream > STREAM_COUNT ||
		    segment.covered % SECTOR != 0 || segment.covered < SECTOR)
			return false;
		last = segment.id;
	}
	return true;
}

static bool chunks_are_sane(const struct manifest *manifest)
{
	uint32_t last = 0;
	for (uint32_t i = 0; i < manifest->header.chunk_count; i++) {
		struct manifest_chunk chunk = manifest_chunk_at(manifest, i);
		if (chunk.db >= CHUNK_SETS || chunk.bytes == 0 || chunk.offset % SECTOR != 0 ||
		    chunk.offset > manifest->header.file_bytes ||
		    chunk.bytes > manifest->header.file_bytes - chunk.offset ||
		    chunk.index >> manifest->header.bits[chunk.db] != 0)
			return false;
		uint32_t order = ((uint32_t)chunk.db << 16 | chunk.index) + 1;
		if (order <= last)
			return false;
		last = order;
	}
	return true;
}

static bool chains_are_sane(struct span chains)
{
	while (chains.len > 0) {
		if (chains.len < PLACE_BYTES + 4)
			return false;
		uint64_t count = load_le32(chains.ptr + PLACE_BYTES);
		uint64_t bytes = PLACE_BYTES + 4 + count * PLACE_BYTES;
		if (count == 0 || bytes > chains.len)
			return false;
		chains = span_slice(chains, (size_t)bytes, chains.len);
	}
	return true;
}

static enum err manifest_parse_copy(struct span bytes, const struct store_id *store,
    uint32_t slot, struct manifest *out)
{
	struct manifest_header *header = &out->header;
	if (bytes.len < sizeof(*header))
		return ERR_CORRUPT;
	memcpy(header, bytes.ptr, sizeof(*header));
	if (header->magic != MANIFEST_MAGIC || header->bytes < sizeof(*header) ||
	    header->bytes > bytes.len)
		return ERR_CORRUPT;
	if (header->crc != manifest_crc(span_slice(bytes, 0, (size_t)header->bytes)))
		return ERR_CORRUPT;
	if (header->version != MANIFEST_VERSION)
		return ERR_VERSION;
	uint64_t segments = (uint64_t)header->segment_count * sizeof(struct manifest_segment);
	uint64_t chunks = (uint64_t)header->chunk_count * sizeof(struct manifest_chunk);
	uint64_t sum = sizeof(*header) + segments + chunks + header->chain_bytes;
	if (sum + header->blob_bytes != header->bytes || header->slot != slot ||
	    memcmp(&header->store, store, sizeof(*store)) != 0 || header->replay_lsn == 0)
		return ERR_CORRUPT;
	for (int db = 0; db < CHUNK_SETS_MAX; db++)
		if (header->bits[db] > CHECKPOINT_BITS)
			return ERR_CORRUPT;
	out->segments = span_slice(bytes, sizeof(*header), (size_t)segments);
	out->chunks = span_slice(bytes, sizeof(*header) + (size_t)segments, (size_t)chunks);
	out->chains = span_slice(bytes, (size_t)sum - header->chain_bytes, header->chain_bytes);
	out->blob = span_slice(bytes, (size_t)sum, header->blob_bytes);
	bool sane = segments_are_sane(out) && chunks_are_sane(out) && chains_are_sane(out->chains);
	return sane ? OK : ERR_CORRUPT;
}

enum err manifest_parse(struct span file, const struct store_id *store, uint32_t slot,
    struct manifest *out)
{
	ASSERT(slot < CHECKPOINT_SLOTS);
	enum err err = manifest_parse_copy(file, store, slot, out);
	if (err == OK)
		return OK;
	enum err second =
	    manifest_parse_copy(span_slice(file, file.len / 2, file.len), store, slot, out);
	return second == OK ? OK : err;
}

uint32_t manifest_segment_count(const struct manifest *manifest)
{
	return manifest->header.segment_count;
}

struct manifest_segment manifest_segment_at(const struct manifest *manifest, uint32_t at)
{
	struct manifest_segment segment;
	ASSERT((at + 1) * sizeof(segment) <= manifest->segments.len);
	memcpy(&segment, manifest->segments.ptr + at * sizeof(segment), sizeof(segment));
	return segment;
}

bool manifest_find_segment(const struct manifest *manifest, uint32_t id,
    struct manifest_segment *out)
{
	uint32_t low = 0, high = manifest->header.segment_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		*out = manifest_segment_at(manifest, middle);
		if (out->id == id)
			return true;
		if (out->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

struct manifest_chunk manifest_chunk_at(const struct manifest *manifest, uint32_t at)
{
	struct manifest_chunk chunk;
	ASSERT((at + 1) * sizeof(chunk) <= manifest->chunks.len);
	memcpy(&chunk, manifest->chunks.ptr + at * sizeof(chunk), sizeof(chunk));
	return chunk;
}

bool manifest_find_chunk(const struct manifest *manifest, uint8_t db, uint32_t index,
    uint32_t *number)
{
	uint32_t low = 0, high = manifest->header.chunk_count;
	uint32_t wanted = (uint32_t)db << 16 | index;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct manifest_chunk chunk = manifest_chunk_at(manifest, middle);
		if (((uint32_t)chunk.db << 16 | chunk.index) < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	*number = low;
	if (low == manifest->header.chunk_count)
		return false;
	struct manifest_chunk chunk = manifest_chunk_at(manifest, low);
	return chunk.db == db && chunk.index == index;
}

uint32_t manifest_chunk_crc(const struct manifest_chunk *chunk, struct span bytes)
{
	uint32_t where[4] = {chunk->db, chunk->index, chunk->count, chunk->bytes};
	return crc32c(crc32c(0, span_of(where, sizeof(where))), bytes);
}
