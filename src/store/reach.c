/* store/reach.c: how far into a segment batches may lie, as its header says.
 *
 * When a segment was not sealed, recovery looks for batches behind the first bad place, too: a write may be
 * lost though later ones are there. So that it need not read the whole file for that, and another one that
 * was never used, no batch is sent to the disk before the header says that the part where it ends may hold
 * any. A segment is made with its first part open; the header is written again REACH_AHEAD parts before they
 * are needed, beside the batches, so that as a rule none waits.
 *
 * A write that tears the header leaves its copy at the end of the file, which is of no use here: then all
 * parts may hold batches. If the disk loses one, the batches behind it are found nevertheless, one after the
 * other: it takes a lost batch as well to hide those that follow it.
 */
#include "store/clean.h"

enum { REACH_AHEAD = 3 };

static void reach_done(struct io_op *op, int32_t result);

void reach_init(struct stream *stream)
{
	stream->reach_sector = memory_try_alloc_aligned(stream->store->memory, SECTOR, SECTOR);
	ASSERT(stream->reach_sector != NULL);
	io_op_init(&stream->reach_op, reach_done, stream);
}

void reach_fini(struct stream *stream)
{
	memory_free(stream->store->memory, stream->reach_sector, SECTOR);
	stream->reach_sector = NULL;
}

uint64_t reach_end(const struct segment *segment)
{
	uint64_t part = round_up(segment->bytes / SEGMENT_PARTS, SECTOR);
	if (segment->parts == 0 || segment->parts >= SEGMENT_PARTS)
		return segment->bytes;
	return min_u64(segment->parts * part, segment->bytes);
}

void segment_fill_header(const struct segment *segment, struct segment_header *out)
{
	*out = (struct segment_header){
	    .store = segment->store->id,
	    .segment = segment->id,
	    .nonce = segment->nonce,
	    .tier = segment->tier,
	    .parts = segment->parts,
	    .bytes = segment->bytes,
	    .created_ms = segment->created_ms,
	};
}

static void reach_write(struct stream *stream, struct segment *segment, uint32_t parts)
{
	struct segment_header header;
	ASSERT(stream->reach_segment == NULL);
	segment_fill_header(segment, &header);
	header.parts = parts;
	segment_header_write(stream->reach_sector, &header);
	stream->reach_segment = segment;
	stream->reach_parts = (uint8_t)parts;
	segment->pins++;
	stream->reach_iov = (struct iovec){.iov_base = stream->reach_sector, .iov_len = SECTOR};
	const struct io_transfer transfer = {
	    .fd = segment->fd, .durable = true, .iov = &stream->reach_iov, .iov_count = 1};
	io_write(stream->store->io, &stream->reach_op, &transfer);
}

void reach_extend(struct stream *stream, struct segment *segment, uint64_t end)
{
	uint64_t part = round_up(segment->bytes / SEGMENT_PARTS, SECTOR);
	uint64_t parts = min_u64(round_up(end, part) / part + REACH_AHEAD, SEGMENT_PARTS);
	bool is_short = segment->parts != 0 && segment->parts < parts;
	if (is_short && stream->reach_segment == NULL && !segment->failed)
		reach_write(stream, segment, (uint32_t)parts);
}

/* Batches of this segment are not on the disk yet. */
static bool is_awaited(const struct stream *stream, const struct segment *segment)
{
	for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next)
		if (LIST_OF(at, struct batch, link)->segment == segment)
			return true;
	return stream->active == segment;
}

static void reach_done(struct io_op *op, int32_t result)
{
	struct stream *stream = op->ctx;
	CHECK_OBJ(stream, STREAM_MAGIC);
	struct segment *segment = stream->reach_segment;
	struct store *store = stream->store;
	ASSERT(segment != NULL && segment->pins > 0);
	stream->reach_segment = NULL;
	segment->pins--;
	store->reclaim_due = true;
	if (result == SECTOR)
		segment->parts = stream->reach_parts;
	else if (!segment->failed && is_awaited(stream, segment))
		fail_stream(stream, segment, "write", result);
	if (stream->failed)
		fail_pump(stream);
	else
		commit_pump(stream);
	store_check_closed(store);
}
