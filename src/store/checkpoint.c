/* store/checkpoint.c: see checkpoint.h. One step after the other; whatever fails ends the
 * checkpoint, and the slot with it. The log is not touched by any of this. */
#include "store/state.h"

#include "base/crc32c.h"

#include <stdio.h>

enum { GARBAGE_LEAST = 16 << 20, WRITE_BYTES = 1 << 20 };

static void checkpoint_done(struct io_op *op, int32_t result);
static void checkpoint_go(struct store *store, enum checkpoint_step step);

static enum err path_set(char *out, size_t bytes, const struct store *store, const char *format,
    uint32_t slot)
{
	int len = snprintf(out, bytes, "%s/%s-%c", store->dir[TIER_HOT], format, 'a' + (int)slot);
	return len > 0 && (size_t)len < bytes ? OK : ERR_TOOLARGE;
}

enum err checkpoint_init(struct store *store)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	enum err err = OK;
	checkpoint->fd = checkpoint->manifest_fd = -1;
	buf_init(&checkpoint->segments, store->memory);
	for (uint32_t slot = 0; slot < CHECKPOINT_SLOTS && err == OK; slot++) {
		err = path_set(checkpoint->path[slot], sizeof(checkpoint->path[slot]), store,
		    "checkpoint", slot);
		if (err == OK)
			err = path_set(checkpoint->manifest_path[slot],
			    sizeof(checkpoint->manifest_path[slot]), store, "manifest", slot);
	}
	if (err == OK)
		err = path_set(checkpoint->temporary, sizeof(checkpoint->temporary), store,
		    "manifest-new", 0);
	return err;
}

void checkpoint_slot_clear(struct store *store, uint32_t at)
{
	struct checkpoint_slot *slot = &store->checkpoint.slots[at];
	for (int db = 0; db < CHUNK_SETS; db++) {
		if (slot->chunks[db] != NULL)
			memory_free(store->memory, slot->chunks[db],
			    sizeof(*slot->chunks[db]) << slot->bits[db]);
		slot->chunks[db] = NULL;
		slot->bits[db] = 0;
	}
	slot->file_bytes = slot->live_bytes = 0;
}

static void checkpoint_free_buffers(struct store *store)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	if (checkpoint->block != NULL)
		memory_free(store->memory, checkpoint->block, checkpoint->block_cap);
	if (checkpoint->manifest != NULL)
		memory_free(store->memory, checkpoint->manifest, checkpoint->manifest_bytes);
	checkpoint->block = checkpoint->manifest = NULL;
	checkpoint->block_cap = checkpoint->block_bytes = checkpoint->manifest_bytes = 0;
	buf_fini(&checkpoint->segments);
}

void checkpoint_fini(struct store *store)
{
	checkpoint_free_buffers(store);
	for (uint32_t slot = 0; slot < CHECKPOINT_SLOTS; slot++)
		checkpoint_slot_clear(store, slot);
}

bool checkpoint_is_idle(const struct store *store)
{
	return store->checkpoint.step == CHECKPOINT_IDLE;
}

uint64_t checkpoint_keep_lsn(const struct store *store)
{
	const struct checkpoint *checkpoint = &store->checkpoint;
	uint64_t lsn = UINT64_MAX;
	for (uint32_t i = 0; i < CHECKPOINT_SLOTS; i++) {
		const struct checkpoint_slot *slot = &checkpoint->slots[i];
		if (slot->valid)
			lsn = min_u64(lsn, slot->replay_lsn);
	}
	/* The one being written holds keys already that may be deleted before it is complete. */
	if (checkpoint->step >= CHECKPOINT_READY && checkpoint->step < CHECKPOINT_FAILED_UNLINK)
		lsn = min_u64(lsn, checkpoint->header.replay_lsn);
	return lsn;
}

/* ---- What the log is when it begins ---- */

static uint64_t covered_of(const struct store *store, const struct segment *segment, bool *pending)
{
	uint64_t covered = segment->tail;
	*pending = false;
	for (int number = 0; number < STREAM_COUNT; number++) {
		const struct stream *stream = &store->streams[number];
		for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next) {
			const struct batch *batch = LIST_OF(at, struct batch, link);
			if (batch->segment != segment)
				continue;
			covered = min_u64(covered, batch->offset);
			*pending = true;
		}
		if (stream->open != NULL && stream->open->segment == segment) {
			covered = min_u64(covered, stream->open->offset);
			*pending = true;
		}
	}
	return max_u64(covered, SECTOR);
}

/* Takes out of the counts what lies behind `covered`: the records of batches on their way. (The range of
 * LSNs stays that of all.) */
static void uncount_batch(
    struct manifest_segment *note, const struct segment *segment, const struct batch *batch)
{
	if (batch == NULL || batch->segment != segment)
		return;
	ASSERT(batch->offset >= note->covered);
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct batch_entry *entry = &batch->entries[i];
		bool is_mark = record_is_mark(entry->type, entry->body_bytes);
		bool expires = is_mark && entry->type == RECORD_EXPIRE;
		ASSERT(note->records > 0 && note->record_bytes >= entry->place.bytes);
		note->records--;
		note->record_bytes -= entry->place.bytes;
		note->marks -= is_mark;
		note->mark_bytes -= is_mark ? entry->place.bytes : 0;
		note->expires -= expires;
		note->expire_bytes -= expires ? entry->place.bytes : 0;
	}
}

static void count_covered(
    const struct store *store, const struct segment *segment, struct manifest_segment *note)
{
	for (int number = 0; number < STREAM_COUNT; number++) {
		const struct stream *stream = &store->streams[number];
		for (struct list *at = stream->batches.next; at != &stream->batches; at = at->next)
			uncount_batch(note, segment, LIST_OF(at, struct batch, link));
		uncount_batch(note, segment, stream->open);
	}
	note->flags = MANIFEST_COUNTED;
}

static void checkpoint_note_segments(struct store *store)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	buf_clear(&checkpoint->segments);
	for (uint32_t i = 0; i < store->segment_count; i++) {
		const struct segment *segment = store->segments[i];
		bool pending = false, fresh = segment->state == SEGMENT_SPARE ||
		    segment->state == SEGMENT_MAKING;
		if (segment->state == SEGMENT_RETIRING || segment->state == SEGMENT_LOST)
			continue;
		struct manifest_segment note = {
			.id = segment->id,
			.nonce = segment->nonce,
			.tier = segment->tier,
			.covered = fresh ? SECTOR : covered_of(store, segment, &pending),
			.records = segment->records,
			.record_bytes = segment->record_bytes,
			.marks = segment->marks,
			.mark_bytes = segment->mark_bytes,
			.expires = segment->expires,
			.expire_bytes = segment->expire_bytes,
			.birth_lsn = segment->birth_lsn,
			.death_lsn = segment->death_lsn,
			.expire_last_ms = segment->expire_last_ms,
			.stream = segment->stream,
			.life = segment->life,
			.lsn_min = segment->lsn_min,
			.lsn_max = segment->lsn_max,
			.mark_lsn_max = segment->mark_lsn_max,
		};
		if (segment->state == SEGMENT_SEALED && !pending)
			note.flags = MANIFEST_COMPLETE;
		/* A VOID among them must be seen again. */
		else if (note.covered > SECTOR && !segment->failed && store->void_count == 0)
			count_covered(store, segment, &note);
		buf_append(&checkpoint->segments, span_of(&note, sizeof(note)));
	}
	checkpoint->header = (struct manifest_header){
		.slot = checkpoint->slot,
		.store = store->id,
		.replay_lsn = store->next_lsn,
		.time_ms = io_wall_ms(store->io),
		.seed = checkpoint->job->seed,
		.next_segment = store->next_segment,
		.epoch = (uint32_t)max_u64(store->epoch, store->epoch_seen),
	};
}

static bool checkpoint_may_begin(const struct store *store)
{
	/* Half-made copies of chains would lie on both sides of what is covered. While batches are
	 * rewritten the owner does not know where their records will lie. */
	return store->void_from == 0 && !move_has_parts(store) && store->repair == NULL &&
	    !store->streams[STREAM_USER].failed;
}

enum err store_checkpoint_begin(struct store *store, struct store_checkpoint *job)
{
	CHECK_OBJ(store, STORE_MAGIC);
	struct checkpoint *checkpoint = &store->checkpoint;
	if (!store->opened || store->closing)
		return ERR_CLOSED;
	if (store->state == ERR_READONLY || store->options.read_only)
		return ERR_READONLY;
	if (!store->whole)
		return ERR_BUSY;
	if (checkpoint->step != CHECKPOINT_IDLE || !checkpoint_may_begin(store))
		return ERR_BUSY;
	const struct checkpoint_slot *slots = checkpoint->slots;
	bool second = slots[0].valid && (!slots[1].valid || slots[1].number < slots[0].number);
	checkpoint->slot = job->slot = second ? 1 : 0;
	checkpoint->job = job;
	checkpoint->err = OK;
	checkpoint->finishing = false;
	checkpoint->lead_lsn = store_last_lsn(store);
	store_sync(store);
	checkpoint_go(store, CHECKPOINT_UNLINK);
	return OK;
}

/* ---- Chunks ---- */

bool store_checkpoint_bits(struct store *store, uint8_t db, uint8_t bits)
{
	struct checkpoint_slot *slot = &store->checkpoint.slots[store->checkpoint.slot];
	ASSERT(store->checkpoint.step == CHECKPOINT_READY);
	ASSERT(db < CHUNK_SETS && bits <= CHECKPOINT_BITS);
	if (slot->chunks[db] != NULL && slot->bits[db] == bits)
		return true;
	if (slot->chunks[db] != NULL) {
		for (uint32_t i = 0; i < 1U << slot->bits[db]; i++)
			slot->live_bytes -= round_up(slot->chunks[db][i].bytes, SECTOR);
		memory_free(store->memory, slot->chunks[db],
		    sizeof(*slot->chunks[db]) << slot->bits[db]);
	}
	slot->bits[db] = bits;
	slot->chunks[db] = memory_zalloc(store->memory, sizeof(*slot->chunks[db]) << bits);
	return false;
}

/* Chunks gather until there are enough for a write. Returns the sectors that this one takes. */
static size_t block_add(struct store *store, struct span bytes)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	size_t len = (size_t)round_up(bytes.len, SECTOR), need = checkpoint->block_bytes + len;
	if (checkpoint->block_cap < need) {
		size_t cap = need > WRITE_BYTES ? need + need / 4 : 2 * (size_t)WRITE_BYTES;
		cap = (size_t)round_up(cap, SECTOR);
		uint8_t *block = memory_try_alloc_aligned(store->memory, SECTOR, cap);
		ASSERT(block != NULL);
		if (checkpoint->block != NULL) {
			memcpy(block, checkpoint->block, checkpoint->block_bytes);
			memory_free(store->memory, checkpoint->block, checkpoint->block_cap);
		}
		checkpoint->block = block;
		checkpoint->block_cap = cap;
	}
	memcpy(checkpoint->block + checkpoint->block_bytes, bytes.ptr, bytes.len);
	memset(checkpoint->block + checkpoint->block_bytes + bytes.len, 0, len - bytes.len);
	checkpoint->block_bytes = need;
	return len;
}

bool store_checkpoint_chunk(struct store *store, const struct store_chunk *given)
{
	uint8_t db = given->db;
	struct span bytes = given->bytes;
	struct checkpoint *checkpoint = &store->checkpoint;
	struct checkpoint_slot *slot = &checkpoint->slots[checkpoint->slot];
	ASSERT(checkpoint->step == CHECKPOINT_READY);
	ASSERT(slot->chunks[db] != NULL && given->index < 1U << slot->bits[db]);
	struct manifest_chunk *chunk = &slot->chunks[db][given->index];
	slot->live_bytes -= round_up(chunk->bytes, SECTOR);
	*chunk = (struct manifest_chunk){0};
	if (given->count == 0)
		return false;
	ASSERT(bytes.len > 0 && bytes.len < UINT32_MAX);
	*chunk = (struct manifest_chunk){
		.offset = slot->file_bytes,
		.bytes = (uint32_t)bytes.len,
		.count = given->count,
		.index = (uint16_t)given->index,
		.db = db,
		.flags = given->first ? MANIFEST_CHUNK_FIRST : 0,
	};
	chunk->crc = manifest_chunk_crc(chunk, bytes);
	size_t len = block_add(store, bytes);
	slot->file_bytes += len;
	slot->live_bytes += len;
	store->stats.checkpoint_bytes += len;
	if (checkpoint->block_bytes < WRITE_BYTES)
		return false;
	checkpoint_go(store, CHECKPOINT_CHUNK);
	return true;
}

/* ---- The manifest ---- */

static void chains_append(struct store *store, struct buf *out)
{
	struct chain *chain = NULL;
	while ((chain = chain_next(store, chain)) != NULL) {
		buf_append(out, span_of(&chain->head, sizeof(chain->head)));
		buf_append(out, span_of(&chain->count, sizeof(chain->count)));
		buf_append(out, span_of(chain->parts, chain->count * sizeof(chain->parts[0])));
	}
}

static void chunks_append(const struct checkpoint_slot *slot, struct buf *out)
{
	for (int db = 0; db < CHUNK_SETS; db++) {
		for (uint32_t i = 0; slot->chunks[db] != NULL && i < 1U << slot->bits[db]; i++)
			if (slot->chunks[db][i].bytes > 0)
				buf_append(out, span_of(&slot->chunks[db][i], sizeof(slot->chunks[db][i])));
	}
}

void store_checkpoint_finish(struct store *store, struct span settings)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	struct checkpoint_slot *slot = &checkpoint->slots[checkpoint->slot];
	struct buf chunks, chains, out;
	ASSERT(checkpoint->step == CHECKPOINT_READY);
	buf_init(&chunks, store->memory);
	buf_init(&chains, store->memory);
	buf_init(&out, store->memory);
	chunks_append(slot, &chunks);
	chains_append(store, &chains);
	struct manifest_header *header = &checkpoint->header;
	header->number = 1 + max_u64(checkpoint->slots[0].number, checkpoint->slots[1].number);
	header->last_lsn = store_last_lsn(store);
	header->file_bytes = slot->file_bytes;
	memcpy(header->bits, slot->bits, sizeof(slot->bits));
	for (int number = 0; number < STREAM_COUNT; number++)
		header->durable[number] = (struct position){
		    store->streams[number].durable_segment, store->streams[number].durable_sector};
	const struct manifest manifest = {
		.header = *header,
		.segments = buf_span(&checkpoint->segments),
		.chunks = buf_span(&chunks),
		.chains = buf_span(&chains),
		.blob = settings,
	};
	manifest_write(&out, &manifest);
	checkpoint->manifest_bytes = (size_t)round_up(out.len, 2 * SECTOR);
	checkpoint->manifest =
	    memory_try_alloc_aligned(store->memory, SECTOR, checkpoint->manifest_bytes);
	ASSERT(checkpoint->manifest != NULL);
	/* The second copy begins in the middle of the file. */
	memset(checkpoint->manifest, 0, checkpoint->manifest_bytes);
	memcpy(checkpoint->manifest, out.ptr, out.len / 2);
	memcpy(checkpoint->manifest + checkpoint->manifest_bytes / 2, out.ptr, out.len / 2);
	buf_fini(&chunks);
	buf_fini(&chains);
	buf_fini(&out);
	checkpoint->finishing = true;
	checkpoint_go(store, checkpoint->block_bytes > 0 ? CHECKPOINT_CHUNK : CHECKPOINT_SYNC);
}

/* ---- Steps ---- */

static void checkpoint_write(struct store *store, int fd, uint8_t *bytes, size_t len,
    uint64_t offset, bool durable)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	checkpoint->iov = (struct iovec){.iov_base = bytes, .iov_len = len};
	const struct io_transfer transfer = {
		.fd = fd, .durable = durable, .offset = offset, .iov = &checkpoint->iov,
		.iov_count = 1,
	};
	io_write(store->io, &checkpoint->op, &transfer);
}

static void checkpoint_go(struct store *store, enum checkpoint_step step)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	const struct checkpoint_slot *slot = &checkpoint->slots[checkpoint->slot];
	uint32_t direct = store->direct ? (uint32_t)IO_DIRECT : 0;
	uint32_t truncate = slot->file_bytes == 0 ? (uint32_t)IO_TRUNCATE : 0;
	checkpoint->step = (uint8_t)step;
	io_op_init(&checkpoint->op, checkpoint_done, store);
	switch (step) {
	case CHECKPOINT_UNLINK:
	case CHECKPOINT_FAILED_UNLINK:
		io_unlink(store->io, &checkpoint->op, checkpoint->manifest_path[checkpoint->slot]);
		break;
	case CHECKPOINT_UNLINK_SYNC:
	case CHECKPOINT_SYNC_NAME:
	case CHECKPOINT_FAILED_SYNC:
	case CHECKPOINT_MANIFEST_SYNC:
		io_sync_directory(store->io, &checkpoint->op, store->dir[TIER_HOT]);
		break;
	case CHECKPOINT_OPEN:
		io_open(store->io, &checkpoint->op, checkpoint->path[checkpoint->slot],
		    IO_READ | IO_WRITE | IO_CREATE | truncate | direct);
		break;
	case CHECKPOINT_CHUNK:
		checkpoint_write(store, checkpoint->fd, checkpoint->block,
		    checkpoint->block_bytes, slot->file_bytes - checkpoint->block_bytes, false);
		break;
	case CHECKPOINT_SYNC:
		io_sync(store->io, &checkpoint->op, checkpoint->fd);
		break;
	case CHECKPOINT_MANIFEST_OPEN:
		io_open(store->io, &checkpoint->op, checkpoint->temporary,
		    IO_READ | IO_WRITE | IO_CREATE | IO_TRUNCATE | direct);
		break;
	case CHECKPOINT_MANIFEST_WRITE:
		checkpoint_write(store, checkpoint->manifest_fd, checkpoint->manifest,
		    checkpoint->manifest_bytes, 0, true);
		break;
	case CHECKPOINT_MANIFEST_CLOSE:
		io_close(store->io, &checkpoint->op, checkpoint->manifest_fd);
		checkpoint->manifest_fd = -1;
		break;
	case CHECKPOINT_MANIFEST_RENAME:
		io_rename(store->io, &checkpoint->op, checkpoint->temporary,
		    checkpoint->manifest_path[checkpoint->slot]);
		break;
	case CHECKPOINT_CLOSE:
		io_close(store->io, &checkpoint->op, checkpoint->fd);
		checkpoint->fd = -1;
		break;
	case CHECKPOINT_IDLE:
	case CHECKPOINT_LEAD:
	case CHECKPOINT_READY:
	case CHECKPOINT_WAIT:
		break;
	}
}

static void checkpoint_end(struct store *store)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	struct checkpoint_slot *slot = &checkpoint->slots[checkpoint->slot];
	struct store_checkpoint *job = checkpoint->job;
	enum err err = checkpoint->err;
	if (err == OK) {
		store->stats.checkpoints++;
		store->stats.checkpoint_lsn = slot->replay_lsn;
		log_verbose(store->log, "Checkpoint %llu written, from LSN %llu on the log counts",
		    (unsigned long long)slot->number, (unsigned long long)slot->replay_lsn);
	} else {
		store->stats.write_errors++;
		log_warning(store->log, "The checkpoint failed: %s", err_name(err));
	}
	checkpoint_free_buffers(store);
	checkpoint->step = CHECKPOINT_IDLE;
	checkpoint->job = NULL;
	store->reclaim_due = true;
	reclaim_pump(store);
	job->done(job, err);
	store_check_closed(store);
}

/* The slot is void: first of all its manifest must not be there. */
static void checkpoint_fail(struct store *store, enum err err)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	ASSERT(err != OK);
	if (checkpoint->err == OK)
		checkpoint->err = err;
	if (checkpoint->manifest_fd >= 0)
		io_close_now(store->io, checkpoint->manifest_fd);
	checkpoint->manifest_fd = -1;
	checkpoint_slot_clear(store, checkpoint->slot);
	checkpoint_go(store, CHECKPOINT_FAILED_UNLINK);
}

/* What was appended before is on disk: the log behind it is all that is to be replayed. */
static void checkpoint_lead(struct store *store)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	checkpoint->step = CHECKPOINT_LEAD;
	if (store->state == ERR_READONLY) {
		checkpoint_fail(store, ERR_READONLY);
		return;
	}
	if (store->durable_lsn < checkpoint->lead_lsn || !checkpoint_may_begin(store))
		return;
	checkpoint->step = CHECKPOINT_READY;
	checkpoint_note_segments(store);
	checkpoint->job->ready(checkpoint->job);
}

/* The log reaches as far as the chunks do. */
void checkpoint_pump(struct store *store)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	if (checkpoint->step == CHECKPOINT_LEAD)
		checkpoint_lead(store);
	if (checkpoint->step != CHECKPOINT_WAIT)
		return;
	if (store->durable_lsn >= checkpoint->header.last_lsn)
		checkpoint_go(store, CHECKPOINT_MANIFEST_OPEN);
	else if (store->state == ERR_READONLY)
		checkpoint_fail(store, ERR_READONLY);
}

static void checkpoint_opened(struct store *store, int32_t result)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	bool manifest = checkpoint->step == CHECKPOINT_MANIFEST_OPEN;
	if (result < 0) {
		checkpoint_fail(store, io_err(result));
		return;
	}
	if (manifest) {
		checkpoint->manifest_fd = result;
		checkpoint_go(store, CHECKPOINT_MANIFEST_WRITE);
		return;
	}
	checkpoint->fd = result;
	checkpoint_lead(store);
}

static void checkpoint_unlinked(struct store *store)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	struct checkpoint_slot *slot = &checkpoint->slots[checkpoint->slot];
	slot->valid = false;
	if (slot->file_bytes > 2 * slot->live_bytes + GARBAGE_LEAST)
		checkpoint_slot_clear(store, checkpoint->slot);
	checkpoint_go(store, CHECKPOINT_OPEN);
}

/* From here on the manifest may be found at a start. */
static void checkpoint_publish(struct store *store)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	struct checkpoint_slot *slot = &checkpoint->slots[checkpoint->slot];
	slot->valid = true;
	slot->number = checkpoint->header.number;
	slot->replay_lsn = checkpoint->header.replay_lsn;
	checkpoint_go(store, CHECKPOINT_MANIFEST_RENAME);
}

static bool checkpoint_failed(const struct checkpoint *checkpoint, int32_t result)
{
	switch ((enum checkpoint_step)checkpoint->step) {
	case CHECKPOINT_UNLINK:
	case CHECKPOINT_FAILED_UNLINK:
		return result < 0 && io_err(result) != ERR_NOTFOUND;
	case CHECKPOINT_CHUNK:
	case CHECKPOINT_MANIFEST_WRITE:
		return result < 0 || (size_t)result != checkpoint->iov.iov_len;
	case CHECKPOINT_CLOSE:
	case CHECKPOINT_MANIFEST_CLOSE:
		return false;
	default:
		return result < 0;
	}
}

/* Even what should void the slot failed: it counts as being there, and is tried again with the
 * next checkpoint. */
static void checkpoint_failed_end(struct store *store, bool failed)
{
	struct checkpoint *checkpoint = &store->checkpoint;
	if (!failed && checkpoint->step == CHECKPOINT_FAILED_UNLINK) {
		checkpoint_go(store, CHECKPOINT_FAILED_SYNC);
		return;
	}
	if (!failed)
		checkpoint->slots[checkpoint->slot].valid = false;
	if (checkpoint->fd >= 0)
		checkpoint_go(store, CHECKPOINT_CLOSE);
	else
		checkpoint_end(store);
}

static void checkpoint_done(struct io_op *op, int32_t result)
{
	struct store *store = op->ctx;
	CHECK_OBJ(store, STORE_MAGIC);
	struct checkpoint *checkpoint = &store->checkpoint;
	enum checkpoint_step step = checkpoint->step;
	bool failed = checkpoint_failed(checkpoint, result);
	if (step == CHECKPOINT_FAILED_UNLINK || step == CHECKPOINT_FAILED_SYNC) {
		checkpoint_failed_end(store, failed);
	} else if (failed && step != CHECKPOINT_OPEN && step != CHECKPOINT_MANIFEST_OPEN) {
		checkpoint_fail(store, result < 0 ? io_err(result) : ERR_DISKFULL);
	} else if (step == CHECKPOINT_OPEN || step == CHECKPOINT_MANIFEST_OPEN) {
		checkpoint_opened(store, result);
	} else if (step == CHECKPOINT_UNLINK_SYNC) {
		checkpoint_unlinked(store);
	} else if (step == CHECKPOINT_CHUNK) {
		checkpoint->block_bytes = 0;
		if (checkpoint->finishing) {
			checkpoint_go(store, CHECKPOINT_SYNC);
			return;
		}
		checkpoint->step = CHECKPOINT_READY;
		checkpoint->job->ready(checkpoint->job);
	} else if (step == CHECKPOINT_SYNC_NAME) {
		checkpoint->step = CHECKPOINT_WAIT;
		store_sync(store);
		checkpoint_pump(store);
	} else if (step == CHECKPOINT_MANIFEST_CLOSE) {
		checkpoint_publish(store);
	} else if (step == CHECKPOINT_CLOSE) {
		checkpoint_end(store);
	} else {
		checkpoint_go(store, (enum checkpoint_step)(step + 1));
	}
}
