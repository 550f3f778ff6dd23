/* store/recover_chunks.c: reads the chunks of a checkpoint.
 *
 * In the order in which they lie in the file, several with one read, and while some are being
 * taken over the next ones are on their way. What is not an entry comes last, in its own order.
 */
#include "store/recovery.h"

#include <stdlib.h>

enum {
	READS = 2,
	READ_BYTES = 4 << 20,
	GAP_BYTES = 64 << 10,             /* what is not needed is read along rather than skipped */
};

struct chunk_read {
	struct io_op  op;
	struct iovec  iov;
	uint8_t      *bytes;
	size_t        cap;
	uint64_t      from;               /* in the file */
	uint32_t      first, end;         /* of `order` */
	bool          busy, done;
};

struct chunk_reader {
	struct recovery  *recovery;
	uint32_t         *order;          /* of the manifest's chunks */
	uint32_t          count, next;
	struct chunk_read reads[READS];
	uint32_t          turn;
	bool              bad;
};

static struct manifest_chunk reader_chunk(const struct chunk_reader *reader, uint32_t at)
{
	ASSERT(at < reader->count);
	return manifest_chunk_at(&reader->recovery->manifest, reader->order[at]);
}

static int order_compare(const void *a, const void *b, void *ctx)
{
	const struct manifest *manifest = ctx;
	const struct manifest_chunk x = manifest_chunk_at(manifest, *(const uint32_t *)a);
	const struct manifest_chunk y = manifest_chunk_at(manifest, *(const uint32_t *)b);
	bool x_is_last = x.db >= DATABASE_COUNT, y_is_last = y.db >= DATABASE_COUNT;
	if (x_is_last != y_is_last)
		return (int)x_is_last - (int)y_is_last;
	if (x_is_last)
		return (int)x.index - (int)y.index;
	return x.offset < y.offset ? -1 : x.offset > y.offset;
}

static void chunk_read_done(struct io_op *op, int32_t result);

/* As many of the next chunks as lie together. */
static void read_plan(struct chunk_reader *reader, struct chunk_read *read)
{
	struct manifest_chunk chunk = reader_chunk(reader, reader->next);
	uint64_t from = chunk.offset, end = round_up(chunk.offset + chunk.bytes, SECTOR);
	read->from = from;
	read->first = reader->next++;
	while (reader->next < reader->count) {
		chunk = reader_chunk(reader, reader->next);
		uint64_t next = round_up(chunk.offset + chunk.bytes, SECTOR);
		if (chunk.offset < end || chunk.offset > end + GAP_BYTES || next - from > READ_BYTES)
			break;
		end = next;
		reader->next++;
	}
	read->end = reader->next;
	read->iov.iov_len = (size_t)(end - from);
}

static bool read_make_room(struct memory *memory, struct chunk_read *read)
{
	if (read->cap >= read->iov.iov_len)
		return true;
	if (read->bytes != NULL)
		memory_free(memory, read->bytes, read->cap);
	read->cap = (size_t)max_u64(read->iov.iov_len, READ_BYTES);
	read->bytes = memory_try_alloc_aligned(memory, SECTOR, read->cap);
	if (read->bytes == NULL)
		read->cap = 0;
	return read->bytes != NULL;
}

static void read_start(struct chunk_reader *reader, struct chunk_read *read)
{
	struct recovery *recovery = reader->recovery;
	ASSERT(!read->busy && !read->done);
	read_plan(reader, read);
	if (!read_make_room(recovery->store->memory, read)) {
		reader->bad = true;
		return;
	}
	read->iov.iov_base = read->bytes;
	const struct io_transfer transfer = {
		.fd = recovery->load_fd, .offset = read->from, .iov = &read->iov, .iov_count = 1,
	};
	read->busy = true;
	io_op_init(&read->op, chunk_read_done, reader);
	io_read(recovery->store->io, &read->op, &transfer);
}

static bool read_take(struct chunk_reader *reader, struct chunk_read *read)
{
	struct store *store = reader->recovery->store;
	for (uint32_t at = read->first; at < read->end; at++) {
		struct manifest_chunk chunk = reader_chunk(reader, at);
		struct span bytes = span_of(read->bytes + (chunk.offset - read->from), chunk.bytes);
		if (manifest_chunk_crc(&chunk, bytes) != chunk.crc)
			return false;
		if (store->events.load_chunk(store->ctx, chunk.db, chunk.count, bytes) != OK)
			return false;
	}
	return true;
}

/* Takes over what has come, in order, and asks for more. */
static void reader_pump(struct chunk_reader *reader)
{
	bool busy = false;
	for (; reader->reads[reader->turn].done; reader->turn = (reader->turn + 1) % READS) {
		struct chunk_read *read = &reader->reads[reader->turn];
		read->done = false;
		if (!reader->bad)
			reader->bad = !read_take(reader, read);
		if (!reader->bad && reader->next < reader->count)
			read_start(reader, read);
	}
	for (uint32_t i = 0; i < READS; i++)
		busy |= reader->reads[i].busy;
	if (!busy)
		recover_chunks_over(reader->recovery, reader->bad);
}

static void chunk_read_done(struct io_op *op, int32_t result)
{
	struct chunk_reader *reader = op->ctx;
	uint32_t at = 0;
	while (op != &reader->reads[at].op)
		at++;
	struct chunk_read *read = &reader->reads[at];
	ASSERT(at < READS && read->busy);
	struct manifest_chunk last = reader_chunk(reader, read->end - 1);
	uint64_t need = last.offset + last.bytes - read->from;
	reader->recovery->store->stats.read_bytes += read->iov.iov_len;
	read->busy = false;
	read->done = true;
	if (result < 0 || (uint64_t)result < need)
		reader->bad = true;
	reader_pump(reader);
}

void recover_chunks(struct recovery *recovery)
{
	struct memory *memory = recovery->store->memory;
	struct chunk_reader *reader = memory_zalloc(memory, sizeof(*reader));
	ASSERT(recovery->chunks == NULL && recovery->load_fd >= 0);
	recovery->chunks = reader;
	reader->recovery = recovery;
	reader->count = recovery->manifest.header.chunk_count;
	if (reader->count == 0) {
		recover_chunks_over(recovery, false);
		return;
	}
	reader->order = memory_alloc(memory, reader->count * sizeof(*reader->order));
	for (uint32_t i = 0; i < reader->count; i++)
		reader->order[i] = i;
	qsort_r(reader->order, reader->count, sizeof(*reader->order), order_compare,
	    &recovery->manifest);
	for (uint32_t i = 0; i < READS && reader->next < reader->count; i++)
		if (!reader->bad)
			read_start(reader, &reader->reads[i]);
	reader_pump(reader);
}

void recover_chunks_free(struct recovery *recovery)
{
	struct memory *memory = recovery->store->memory;
	struct chunk_reader *reader = recovery->chunks;
	if (reader == NULL)
		return;
	for (uint32_t i = 0; i < READS; i++) {
		if (reader->reads[i].bytes != NULL)
			memory_free(memory, reader->reads[i].bytes, reader->reads[i].cap);
	}
	memory_free(memory, reader->order, reader->count * sizeof(*reader->order));
	memory_free(memory, reader, sizeof(*reader));
	recovery->chunks = NULL;
}
