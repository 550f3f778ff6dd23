/* store/scan.c: see scan.h. */
#include "store/scan.h"

#include "base/arith.h"
#include "base/crc32c.h"
#include "base/endian.h"

void scan_init(struct scan *scan, uint32_t segment, uint32_t nonce, uint64_t segment_bytes)
{
	ASSERT(segment > 0);
	ASSERT(segment_bytes >= 16 * SECTOR);
	*scan = (struct scan){
		.stamp = {.segment = segment, .nonce = nonce},
		.end = segment_bytes - SECTOR,
		.at = SECTOR,
		.batch_at = SECTOR,
	};
}

static enum scan_step scan_want(struct scan *scan, struct span bytes, uint64_t want)
{
	ASSERT(want > bytes.len);
	if (want > scan->end - scan->at)
		return SCAN_BAD;
	scan->want = want;
	return SCAN_MORE;
}

static enum scan_step scan_record(struct scan *scan)
{
	uint64_t end = scan->at + scan->view.layout.bytes;
	if (end > scan->end)
		return SCAN_BAD;
	ASSERT(end > scan->at);
	scan->headers_crc = crc32c(scan->headers_crc, span_of(&scan->view.header.crc, 4));
	scan->count++;
	scan->record_at = scan->at;
	scan->at = round_up(end, RECORD_ALIGN);
	return SCAN_RECORD;
}

static enum scan_step scan_commit(struct scan *scan)
{
	const struct commit_block *commit = &scan->commit;
	bool whole = commit->count == scan->count && commit->headers_crc == scan->headers_crc &&
	    (uint64_t)commit->batch_sector * SECTOR == scan->batch_at;
	if (!whole && !scan->broken)
		return SCAN_BAD;
	ASSERT(scan->at < scan->end);
	scan->whole = whole;
	scan->sealed = (commit->flags & COMMIT_SEAL) != 0;
	scan->at = scan->batch_at = round_up(scan->at + COMMIT_BYTES, SECTOR);
	scan->count = scan->headers_crc = 0;
	scan->broken = false;
	return SCAN_COMMIT;
}

enum scan_step scan_next(struct scan *scan, struct span bytes)
{
	ASSERT(scan->at % RECORD_ALIGN == 0);
	if (scan->sealed || scan->at >= scan->end)
		return SCAN_END;
	uint64_t room = scan->end - scan->at;
	bytes = span_slice(bytes, 0, (size_t)room);
	if (bytes.len < min_u64(COMMIT_BYTES, room))
		return scan_want(scan, bytes, min_u64(COMMIT_BYTES, room));
	struct stamp stamp = scan->stamp;
	stamp.offset = scan->at;
	switch (record_parse(bytes, &stamp, &scan->view)) {
	case OK:
		return scan_record(scan);
	case ERR_AGAIN:
		return scan_want(scan, bytes, scan->view.layout.head_bytes);
	case ERR_NOTFOUND:
		if (commit_parse(bytes, &stamp, &scan->commit) == OK)
			return scan_commit(scan);
		return SCAN_BAD;
	default:
		return SCAN_BAD;
	}
}

void scan_skip(struct scan *scan, struct span bytes)
{
	ASSERT(scan->at % RECORD_ALIGN == 0);
	size_t at = RECORD_ALIGN;
	while (at + 4 <= bytes.len) {
		uint32_t magic = load_le32(bytes.ptr + at);
		if (magic == RECORD_MAGIC || magic == COMMIT_MAGIC)
			break;
		at += RECORD_ALIGN;
	}
	scan->at = min_u64(scan->at + at, scan->end);
	scan->count = scan->headers_crc = 0;
	scan->broken = true;
	ASSERT(scan->at <= scan->end);
}
