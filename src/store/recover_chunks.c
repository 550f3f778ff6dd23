/* store/recover_chunks.c: reads the chunks of a checkpoint.
 *
 * In three parts: the past, which every entry needs; the entries that are needed before the log
 * is replayed (all of them, or of a large checkpoint those with values that are read from the
 * log); and the rest, once the store is open. Within a part chunks are read as they lie in the
 * file, several with one read, and while some are being taken over the next ones are on
 * their way. Chunks of the rest that somebody waits for are read first, each alone.
 *
 * Chunks of what the owner can make again come last; a damaged one of these is told of, no more.
 *
 * A chunk of the others that turns out to be damaged spoils the checkpoint, as long as the store is not open.
 * Later nothing can be begun again: what was in it is known to be unknown until the next start,
 * which does without this checkpoint.
 */
#include "store/recovery.h"

#include <stdlib.h>

enum {
	READS = 2,
	URGENT_READS = 8,
	READ_BYTES = 4 << 20,
	READ_BYTES_BEHIND = 512 << 10,
	TURN_BYTES = 12 << 10,            /* taken over in one turn, about 200 us */
	GAP_BYTES = 64 << 10,             /* what is not needed is read along rather than skipped */
};

enum chunk_state { CHUNK_TAKEN, CHUNK_DUE, CHUNK_WANTED, CHUNK_READING, CHUNK_BAD };

struct chunk_read {
	struct io_op  op;
	struct iovec  iov;
	uint8_t      *bytes;
	size_t        cap;
	uint64_t      from;               /* in the file */
	uint32_t      first, end;         /* of `order`; of the urgent one: of the manifest */
	bool          busy, done, failed;
};

struct chunk_reader {
	struct recovery  *recovery;
	uint8_t          *states;         /* by number in the manifest */
	uint32_t         *order;          /* chunks, part by part */
	uint32_t          count, next;
	uint32_t          ends[LOAD_PARTS];
	enum load_part    part;
	struct chunk_read reads[READS], urgent[URGENT_READS];
	uint32_t          turn;
	uint32_t         *wanted;         /* one after the other */
	uint32_t          wanted_count, wanted_at;
	uint32_t          left, damaged;
	bool              bad;            /* before the store is open */
	bool              behind;         /* it is open */
	bool              stopped;
	struct io_timer   timer;
};

static void chunk_read_done(struct io_op *op, int32_t result);
static void urgent_done(struct io_op *op, int32_t result);
static void reader_wake(struct io_timer *timer);
static void urgent_pump(struct chunk_reader *reader);
static void urgent_take(struct chunk_reader *reader, struct chunk_read *read);

/* ---- Order ---- */

static enum load_part chunk_part(const struct recovery *recovery, const struct manifest_chunk *chunk)
{
	if (chunk->db == CHUNK_SET_DERIVED)
		return recovery->is_lazy ? LOAD_PART_REST : LOAD_PART_FIRST;
	if (chunk->db >= DATABASE_COUNT)
		return LOAD_PART_PAST;
	bool first = !recovery->is_lazy || (chunk->flags & MANIFEST_CHUNK_FIRST) != 0;
	return first ? LOAD_PART_FIRST : LOAD_PART_REST;
}

static int order_compare(const void *a, const void *b, void *ctx)
{
	const struct recovery *recovery = ctx;
	const struct manifest_chunk x = manifest_chunk_at(&recovery->manifest, *(const uint32_t *)a);
	const struct manifest_chunk y = manifest_chunk_at(&recovery->manifest, *(const uint32_t *)b);
	enum load_part x_part = chunk_part(recovery, &x), y_part = chunk_part(recovery, &y);
	if (x_part != y_part)
		return (int)x_part - (int)y_part;
	bool x_derived = x.db == CHUNK_SET_DERIVED, y_derived = y.db == CHUNK_SET_DERIVED;
	if (x_derived != y_derived)
		return (int)x_derived - (int)y_derived;
	if (x_part == LOAD_PART_PAST || x_derived)
		return (int)x.index - (int)y.index;
	return x.offset < y.offset ? -1 : x.offset > y.offset;
}

static void reader_new(struct recovery *recovery)
{
	struct memory *memory = recovery->store->memory;
	struct chunk_reader *reader = memory_zalloc(memory, sizeof(*reader));
	uint32_t count = recovery->manifest.header.chunk_count;
	reader->recovery = recovery;
	reader->count = reader->left = count;
	io_timer_init(&reader->timer, reader_wake, reader);
	recovery->chunks = reader;
	if (count == 0)
		return;
	reader->states = memory_alloc(memory, count);
	reader->order = memory_alloc(memory, count * sizeof(*reader->order));
	reader->wanted = memory_alloc(memory, count * sizeof(*reader->wanted));
	memset(reader->states, CHUNK_DUE, count);
	for (uint32_t i = 0; i < count; i++)
		reader->order[i] = i;
	qsort_r(reader->order, count, sizeof(*reader->order), order_compare, recovery);
	for (uint32_t i = 0; i < count; i++) {
		struct manifest_chunk chunk = manifest_chunk_at(&recovery->manifest, reader->order[i]);
		for (int part = chunk_part(recovery, &chunk); part < LOAD_PARTS; part++)
			reader->ends[part] = i + 1;
	}
}

static void read_free(struct memory *memory, struct chunk_read *read)
{
	if (read->bytes != NULL)
		memory_free(memory, read->bytes, read->cap);
}

static bool reader_is_busy(const struct chunk_reader *reader)
{
	bool busy = false;
	for (uint32_t i = 0; i < READS; i++)
		busy |= reader->reads[i].busy;
	for (uint32_t i = 0; i < URGENT_READS; i++)
		busy |= reader->urgent[i].busy;
	return busy;
}

void recover_chunks_free(struct recovery *recovery)
{
	struct memory *memory = recovery->store->memory;
	struct chunk_reader *reader = recovery->chunks;
	if (reader == NULL)
		return;
	io_timer_cancel(recovery->store->io, &reader->timer);
	for (uint32_t i = 0; i < READS; i++)
		read_free(memory, &reader->reads[i]);
	for (uint32_t i = 0; i < URGENT_READS; i++)
		read_free(memory, &reader->urgent[i]);
	memory_free(memory, reader->states, reader->count);
	memory_free(memory, reader->order, reader->count * sizeof(*reader->order));
	memory_free(memory, reader->wanted, reader->count * sizeof(*reader->wanted));
	memory_free(memory, reader, sizeof(*reader));
	recovery->chunks = NULL;
}

/* ---- Reads ---- */

static struct manifest_chunk reader_chunk(const struct chunk_reader *reader, uint32_t number)
{
	return manifest_chunk_at(&reader->recovery->manifest, number);
}

/* As many of the next chunks as lie together. False: this part has no more. */
static bool read_plan(struct chunk_reader *reader, struct chunk_read *read)
{
	uint32_t end = reader->ends[reader->part];
	uint64_t most = reader->behind ? READ_BYTES_BEHIND : READ_BYTES;
	while (reader->next < end && reader->states[reader->order[reader->next]] != CHUNK_DUE)
		reader->next++;
	if (reader->next >= end)
		return false;
	struct manifest_chunk chunk = reader_chunk(reader, reader->order[reader->next]);
	uint64_t from = chunk.offset, to = from;
	read->from = from;
	read->first = reader->next;
	for (; reader->next < end; reader->next++) {
		uint32_t number = reader->order[reader->next];
		chunk = reader_chunk(reader, number);
		uint64_t next = round_up(chunk.offset + chunk.bytes, SECTOR);
		if (reader->states[number] != CHUNK_DUE)
			break;
		if (to > from && (chunk.offset < to || chunk.offset > to + GAP_BYTES || next - from > most))
			break;
		reader->states[number] = CHUNK_READING;
		to = next;
	}
	read->end = reader->next;
	read->iov.iov_len = (size_t)(to - from);
	return true;
}

static bool read_make_room(struct memory *memory, struct chunk_read *read)
{
	if (read->cap >= read->iov.iov_len)
		return true;
	read_free(memory, read);
	read->cap = (size_t)max_u64(read->iov.iov_len, READ_BYTES_BEHIND);
	read->bytes = memory_try_alloc_aligned(memory, SECTOR, read->cap);
	if (read->bytes == NULL)
		read->cap = 0;
	return read->bytes != NULL;
}

/* What cannot be read is as good as damaged. */
static void read_submit(struct chunk_reader *reader, struct chunk_read *read, io_done *done)
{
	struct recovery *recovery = reader->recovery;
	struct io *io = recovery->store->io;
	ASSERT(!read->busy && !read->done && recovery->load_fd >= 0);
	read->failed = !read_make_room(recovery->store->memory, read);
	if (read->failed) {
		read->done = true;
		io_timer_set(io, &reader->timer, 0);
		return;
	}
	read->iov.iov_base = read->bytes;
	const struct io_transfer transfer = {
		.fd = recovery->load_fd, .offset = read->from, .iov = &read->iov, .iov_count = 1,
	};
	read->busy = true;
	io_op_init(&read->op, done, reader);
	io_read(io, &read->op, &transfer);
}

static void read_over(struct chunk_reader *reader, struct chunk_read *read, uint32_t last,
    int32_t result)
{
	struct manifest_chunk chunk = reader_chunk(reader, last);
	ASSERT(read->busy);
	reader->recovery->store->stats.read_bytes += read->iov.iov_len;
	read->busy = false;
	read->done = true;
	read->failed = result < 0 || (uint64_t)result < chunk.offset + chunk.bytes - read->from;
}

/* One chunk, out of what was read, to the owner. */
static void read_take(struct chunk_reader *reader, const struct chunk_read *read, uint32_t number)
{
	struct store *store = reader->recovery->store;
	struct manifest_chunk chunk = reader_chunk(reader, number);
	struct span bytes = {0};
	if (!read->failed)
		bytes = span_of(read->bytes + (chunk.offset - read->from), chunk.bytes);
	bool good = !read->failed && manifest_chunk_crc(&chunk, bytes) == chunk.crc;
	if (chunk.db == CHUNK_SET_DERIVED) {
		const struct span none = {0};
		(void)store->events.load_chunk(
		    store->ctx, chunk.db, good ? chunk.count : 0, good ? bytes : none);
		good = true;
	} else {
		good = good &&
		    store->events.load_chunk(store->ctx, chunk.db, chunk.count, bytes) == OK;
	}
	ASSERT(reader->left > 0 && reader->states[number] == CHUNK_READING);
	reader->states[number] = good ? CHUNK_TAKEN : CHUNK_BAD;
	reader->left--;
	if (good)
		return;
	reader->bad = true;
	if (reader->behind && reader->damaged++ == 0)
		recover_spoilt(reader->recovery);
}

/* ---- Before the store is open ---- */

/* Takes over what has come, in order, and asks for more. */
static void reader_pump(struct chunk_reader *reader)
{
	for (; reader->reads[reader->turn].done; reader->turn = (reader->turn + 1) % READS) {
		struct chunk_read *read = &reader->reads[reader->turn];
		read->done = false;
		for (uint32_t at = read->first; !reader->bad && at < read->end; at++)
			read_take(reader, read, reader->order[at]);
		if (!reader->bad && read_plan(reader, read))
			read_submit(reader, read, chunk_read_done);
	}
	if (!reader_is_busy(reader) && !reader->reads[reader->turn].done)
		recover_chunks_over(reader->recovery, reader->bad);
}

static void chunk_read_done(struct io_op *op, int32_t result)
{
	struct chunk_reader *reader = op->ctx;
	uint32_t at = 0;
	while (at < READS && op != &reader->reads[at].op)
		at++;
	ASSERT(at < READS);
	struct chunk_read *read = &reader->reads[at];
	read_over(reader, read, reader->order[read->end - 1], result);
	if (!reader->behind)
		reader_pump(reader);
	else if (reader->stopped)
		store_check_closed(reader->recovery->store);
	else
		io_timer_set(reader->recovery->store->io, &reader->timer, 0);
}

void recover_chunks(struct recovery *recovery, enum load_part part)
{
	if (recovery->chunks == NULL)
		reader_new(recovery);
	struct chunk_reader *reader = recovery->chunks;
	ASSERT(recovery->load_fd >= 0 && !reader_is_busy(reader));
	reader->part = part;
	for (uint32_t i = 0; i < READS; i++) {
		struct chunk_read *read = &reader->reads[(reader->turn + i) % READS];
		if (read_plan(reader, read))
			read_submit(reader, read, chunk_read_done);
	}
	reader_pump(reader);
}

/* ---- The rest ---- */

bool recover_chunks_are_left(const struct recovery *recovery)
{
	return recovery->chunks != NULL && recovery->chunks->left > 0;
}

/* Somebody may wait for what has come, or all has come. */
static void reader_tell(struct chunk_reader *reader)
{
	struct store *store = reader->recovery->store;
	bool all = reader->left == 0 && !reader_is_busy(reader);
	if (all && reader->damaged == 0)
		recover_rest_over(reader->recovery);
	store->events.loaded(store->ctx, all);
}

/* Some small chunks at a time, or a large one: the loop has others to serve. */
static void reader_wake(struct io_timer *timer)
{
	struct chunk_reader *reader = timer->ctx;
	struct io *io = reader->recovery->store->io;
	struct chunk_read *read = &reader->reads[reader->turn];
	if (!reader->behind) {
		reader_pump(reader);
		return;
	}
	if (reader->stopped)
		return;
	for (uint32_t i = 0; i < URGENT_READS; i++) {
		if (!reader->urgent[i].done)
			continue;
		io_timer_set(io, &reader->timer, 0);
		urgent_take(reader, &reader->urgent[i]);
		return;
	}
	if (!read->done)
		return;
	for (uint64_t taken = 0; taken < TURN_BYTES && read->first < read->end;) {
		uint32_t number = reader->order[read->first++];
		taken += reader_chunk(reader, number).bytes;
		read_take(reader, read, number);
	}
	if (read->first == read->end) {
		read->done = false;
		if (read_plan(reader, read))
			read_submit(reader, read, chunk_read_done);
		reader->turn = (reader->turn + 1) % READS;
	}
	if (reader->reads[reader->turn].done)
		io_timer_set(io, &reader->timer, 0);
	reader_tell(reader);
}

void recover_chunks_behind(struct recovery *recovery)
{
	struct chunk_reader *reader = recovery->chunks;
	ASSERT(reader != NULL && !reader->reads[0].busy && !reader->bad);
	reader->behind = true;
	reader->part = LOAD_PART_REST;
	for (uint32_t i = 0; i < READS; i++) {
		struct chunk_read *read = &reader->reads[(reader->turn + i) % READS];
		if (read_plan(reader, read))
			read_submit(reader, read, chunk_read_done);
	}
}

/* ---- One chunk, for somebody who waits ---- */

static void urgent_take(struct chunk_reader *reader, struct chunk_read *read)
{
	struct recovery *recovery = reader->recovery;
	read->done = false;
	read_take(reader, read, read->first);
	if (!reader->behind && reader->bad) {
		recovery->gives_up = true;
		recovery_run(recovery);
		return;
	}
	urgent_pump(reader);
	if (reader->behind)
		reader_tell(reader);
	else
		recovery_run(recovery);
}

static void urgent_done(struct io_op *op, int32_t result)
{
	struct chunk_reader *reader = op->ctx;
	uint32_t at = 0;
	while (at < URGENT_READS && op != &reader->urgent[at].op)
		at++;
	ASSERT(at < URGENT_READS);
	struct chunk_read *read = &reader->urgent[at];
	read_over(reader, read, read->first, result);
	if (reader->stopped)
		store_check_closed(reader->recovery->store);
	else
		urgent_take(reader, read);
}

static void urgent_pump(struct chunk_reader *reader)
{
	for (uint32_t i = 0; i < URGENT_READS && !reader->stopped; i++) {
		struct chunk_read *read = &reader->urgent[i];
		if (reader->wanted_at == reader->wanted_count)
			return;
		if (read->busy || read->done)
			continue;
		uint32_t number = reader->wanted[reader->wanted_at++];
		struct manifest_chunk chunk = reader_chunk(reader, number);
		ASSERT(reader->states[number] == CHUNK_WANTED);
		reader->states[number] = CHUNK_READING;
		read->first = number;
		read->from = chunk.offset;
		read->iov.iov_len = (size_t)round_up(chunk.bytes, SECTOR);
		read_submit(reader, read, urgent_done);
	}
}

enum store_key store_want_key(struct store *store, uint8_t db, uint64_t hash)
{
	const struct recovery *recovery = store->recovery;
	uint32_t number;
	if (recovery == NULL || recovery->chunks == NULL || db >= DATABASE_COUNT)
		return KEY_IS_LOADED;
	struct chunk_reader *reader = recovery->chunks;
	const struct manifest *manifest = &recovery->manifest;
	uint64_t mask = (UINT64_C(1) << manifest->header.bits[db]) - 1;
	if (!manifest_find_chunk(manifest, db, (uint32_t)(hash & mask), &number))
		return KEY_IS_LOADED;         /* it is empty */
	if (reader->states[number] == CHUNK_TAKEN)
		return KEY_IS_LOADED;
	if (reader->states[number] == CHUNK_BAD)
		return KEY_IS_DAMAGED;
	if (reader->states[number] == CHUNK_DUE) {
		ASSERT(reader->wanted_count < reader->count);
		reader->states[number] = CHUNK_WANTED;
		reader->wanted[reader->wanted_count++] = number;
		urgent_pump(reader);
	}
	return KEY_IS_LOADING;
}

void store_get_load(const struct store *store, struct store_load_progress *out)
{
	const struct chunk_reader *reader =
	    store->recovery == NULL ? NULL : store->recovery->chunks;
	*out = (struct store_load_progress){0};
	if (reader == NULL)
		return;
	*out = (struct store_load_progress){reader->count, reader->left, reader->damaged};
}

void recover_chunks_stop(struct store *store)
{
	struct chunk_reader *reader = store->recovery == NULL ? NULL : store->recovery->chunks;
	if (reader == NULL)
		return;
	reader->stopped = true;
	io_timer_cancel(store->io, &reader->timer);
}

bool recover_chunks_are_idle(const struct store *store)
{
	const struct recovery *recovery = store->recovery;
	return recovery == NULL || recovery->chunks == NULL || !reader_is_busy(recovery->chunks);
}
