/* store/block.c: see block.h. */
#include "store/block.h"

#include "base/crc32c.h"
#include "base/endian.h"

static const uint8_t segment_magic[8] = "TTSEGMNT";
static const uint8_t store_magic[8] = "TTSTORE\n";

static uint32_t commit_crc(const struct commit_block *commit, const struct stamp *stamp)
{
	uint32_t crc = crc32c(0, span_of(stamp, sizeof(*stamp)));
	return crc32c(crc, span_of(&commit->nonce, COMMIT_BYTES - 8));
}

void commit_write(uint8_t *out, const struct commit_block *commit, const struct stamp *stamp)
{
	struct commit_block block = *commit;
	ASSERT(stamp->offset % RECORD_ALIGN == 0);
	ASSERT((uint64_t)block.batch_sector * SECTOR <= stamp->offset);
	block.magic = COMMIT_MAGIC;
	block.nonce = stamp->nonce;
	block.segment = stamp->segment;
	block.crc = commit_crc(&block, stamp);
	memcpy(out, &block, COMMIT_BYTES);
}

enum err commit_parse(struct span bytes, const struct stamp *stamp, struct commit_block *out)
{
	ASSERT(stamp->offset % RECORD_ALIGN == 0);
	if (bytes.len < COMMIT_BYTES)
		return ERR_NOTFOUND;
	memcpy(out, bytes.ptr, COMMIT_BYTES);
	if (out->magic != COMMIT_MAGIC || out->nonce != stamp->nonce)
		return ERR_NOTFOUND;
	if (out->crc != commit_crc(out, stamp))
		return ERR_CORRUPT;
	if (out->segment != stamp->segment || (uint64_t)out->batch_sector * SECTOR > stamp->offset)
		return ERR_CORRUPT;
	if (out->stream >= STREAM_COUNT)
		return ERR_CORRUPT;
	return OK;
}

/* With the field itself taken as zero. */
static uint32_t segment_header_crc(struct segment_header header)
{
	header.crc = 0;
	return crc32c(0, span_of(&header, sizeof(header)));
}

void segment_header_write(uint8_t *out, const struct segment_header *header)
{
	struct segment_header block = *header;
	ASSERT(header->segment > 0);
	ASSERT(header->bytes % SECTOR == 0);
	memset(out, 0, SECTOR);
	memcpy(block.magic, segment_magic, sizeof(segment_magic));
	block.version = SEGMENT_VERSION;
	block.crc = segment_header_crc(block);
	memcpy(out, &block, sizeof(block));
}

enum err segment_header_parse(struct span bytes, struct segment_header *out)
{
	if (bytes.len < sizeof(*out))
		return ERR_NOTFOUND;
	memcpy(out, bytes.ptr, sizeof(*out));
	if (memcmp(out->magic, segment_magic, sizeof(segment_magic)) != 0)
		return ERR_NOTFOUND;
	if (out->crc != segment_header_crc(*out))
		return ERR_CORRUPT;
	if (out->version != SEGMENT_VERSION)
		return ERR_VERSION;
	bool sane = out->segment > 0 && out->tier < TIER_COUNT && out->bytes % SECTOR == 0 &&
	    out->bytes >= 16 * SECTOR && out->bytes <= RECORD_BODY_MAX && out->parts <= SEGMENT_PARTS;
	return sane ? OK : ERR_CORRUPT;
}

void store_file_write(uint8_t out[STORE_FILE_BYTES], const struct store_id *id)
{
	memset(out, 0, STORE_FILE_BYTES);
	memcpy(out, store_magic, sizeof(store_magic));
	store_le32(out + 8, STORE_VERSION);
	memcpy(out + 16, id->bytes, sizeof(id->bytes));
	store_le32(out + 60, crc32c(0, span_of(out, 60)));
}

enum err store_file_parse(struct span bytes, struct store_id *out)
{
	if (bytes.len != STORE_FILE_BYTES)
		return ERR_CORRUPT;
	if (memcmp(bytes.ptr, store_magic, sizeof(store_magic)) != 0)
		return ERR_CORRUPT;
	if (load_le32(bytes.ptr + 60) != crc32c(0, span_of(bytes.ptr, 60)))
		return ERR_CORRUPT;
	if (load_le32(bytes.ptr + 8) != STORE_VERSION)
		return ERR_VERSION;
	memcpy(out->bytes, bytes.ptr + 16, sizeof(out->bytes));
	return OK;
}
