/* store/scan.h: walks through the batches of one segment. Pure; whoever calls it reads the
 * bytes: recovery in slices, tintype-log from a file, the fuzzer from anywhere.
 *
 * scan_next is given bytes that begin at scan->at and steps over one record or one commit
 * block. After SCAN_BAD the caller may look further on with scan_skip: then single records
 * are still found, and the next commit block, but the counts of that batch prove nothing.
 */
#pragma once
#include "store/block.h"

enum scan_step {
	SCAN_RECORD,          /* scan->view, lying at scan->record_at */
	SCAN_COMMIT,          /* scan->commit: a batch is complete */
	SCAN_MORE,            /* scan->want bytes from scan->at are needed */
	SCAN_BAD,             /* nothing valid lies at scan->at */
	SCAN_END,             /* the segment's room is used up, or it is sealed */
};

struct scan {
	struct stamp        stamp;            /* its offset is not used */
	uint64_t            end;              /* no record lies at or beyond this */
	uint64_t            at, record_at, batch_at;
	uint64_t            want;
	uint32_t            count, headers_crc;       /* of this batch so far */
	bool                broken;           /* part of this batch was skipped */
	bool                whole;            /* no part of the batch completed last was */
	bool                sealed;
	struct record_view  view;
	struct commit_block commit;
};

/* `segment_bytes` is the file's size as its header says. */
void scan_init(struct scan *scan, uint32_t segment, uint32_t nonce, uint64_t segment_bytes);
enum scan_step scan_next(struct scan *scan, struct span bytes);
/* After SCAN_BAD: on to the next place where something may begin within `bytes`, which begin
 * at scan->at. Moves by at least RECORD_ALIGN. */
void scan_skip(struct scan *scan, struct span bytes);

/* The segment's room for batches ends here: behind it lie a sector for the seal, in case it
 * is needed, and the header's copy. */
static inline uint64_t segment_room_end(uint64_t segment_bytes)
{
	return segment_bytes - 2 * SECTOR;
}
