/* store/recover_deliver.c: seals what was left open, then tells the owner in LSN order. */
#include "store/recovery.h"

#include "store/chunks.h"

enum { DELIVER_SLICE = 512 };

/* ---- Seals ---- */

static void seal_done(struct io_op *op, int32_t result);

static void seal_sync(struct recovery *recovery, struct scanned *scanned)
{
	io_op_init(&recovery->op, seal_done, recovery);
	io_sync(recovery->store->io, &recovery->op, scanned->segment->fd);
}

static void seal_write(struct recovery *recovery, struct scanned *scanned)
{
	struct store *store = recovery->store;
	const struct segment *segment = scanned->segment;
	uint32_t stream = segment->tier == TIER_WARM ? STREAM_WARM : STREAM_USER;
	if (segment->stream != STREAM_COUNT)
		stream = segment->stream;
	const struct position *durable = &recovery->durable[stream];
	const struct commit_block commit = {
		.flags = COMMIT_SEAL,
		.stream = stream,
		.life = store->life,
		.epoch = store->epoch_seen,
		.batch_sector = (uint32_t)(scanned->stop / SECTOR),
		.durable_lsn = recovery->durable_lsn,
		.durable_segment = durable->segment,
		.durable_sector = durable->sector,
		.time_ms = io_wall_ms(store->io),
	};
	struct stamp stamp = segment_stamp(segment, scanned->stop);
	memset(recovery->sector, 0, SECTOR);
	commit_write(recovery->sector, &commit, &stamp);
	recovery->iov = (struct iovec){.iov_base = recovery->sector, .iov_len = SECTOR};
	const struct io_transfer transfer = {
		.fd = segment->fd,
		.durable = true,
		.offset = scanned->stop,
		.iov = &recovery->iov,
		.iov_count = 1,
	};
	io_op_init(&recovery->op, seal_done, recovery);
	io_write(store->io, &recovery->op, &transfer);
}

static void seal_done(struct io_op *op, int32_t result)
{
	struct recovery *recovery = op->ctx;
	struct scanned *scanned = &recovery->scanned[recovery->at];
	if (result < 0) {
		log_warning(recovery->store->log, "Cannot seal %s: %s", scanned->segment->path,
		    err_name(io_err(result)));
		recovery->store->stats.write_errors++;
		recovery_fail(recovery, ERR_IO);
		return;
	}
	if (!recovery->seal_synced) {
		recovery->seal_synced = true;
	} else {
		scanned->sealed = true;
		scanned->segment->life = recovery->store->life;
		recovery->seal_synced = false;
		recovery->at++;
	}
	recovery_run(recovery);
}

static bool scanned_is_spare(const struct recovery *recovery, const struct scanned *scanned)
{
	const struct segment *segment = scanned->segment;
	if (scanned->used || scanned->sealed ||
	    segment->bytes != recovery->store->options.segment_bytes)
		return false;
	if (segment->id <= position_last(recovery, segment->tier))
		return false;
	for (uint32_t i = 0; i < recovery->scanned_count; i++) {
		const struct scanned *other = &recovery->scanned[i];
		if (other->segment->tier == segment->tier && other->segment->id > segment->id &&
		    other->used)
			return false;
	}
	return true;
}

/* What is bad there had been acknowledged: it is kept as it is. */
static void seal_corrupt(struct recovery *recovery, const struct scanned *scanned)
{
	struct store *store = recovery->store;
	const struct segment *segment = scanned->segment;
	const struct place place = {segment->id, (uint32_t)(scanned->stop / RECORD_ALIGN), 0};
	store->stats.corrupt_records++;
	log_warning(store->log, "%s is corrupt at offset %llu", segment->path,
	    (unsigned long long)scanned->stop);
	store->events.corrupt(store->ctx, place, NULL);
}

/* Where the segment ends, and what that makes of the stream. True: it is to be sealed there. */
static bool seal_decide(struct recovery *recovery, struct scanned *scanned)
{
	struct segment *segment = scanned->segment;
	struct store *store = recovery->store;
	bool known = segment->stream != STREAM_COUNT;
	const struct position *durable = known ? &recovery->durable[segment->stream] : NULL;
	uint64_t end = min_u64(scanned->stop, scanned->end);
	bool corrupt = !scanned->sealed && scanned->stop < scanned->end &&
	    position_is_before(recovery, segment, end);
	if (corrupt) {
		seal_corrupt(recovery, scanned);
		end = min_u64(scanned->end, segment_room_end(segment->bytes));
		if (durable->segment == segment->id)
			end = max_u64((uint64_t)durable->sector * SECTOR, scanned->follows);
	}
	segment_set_state(segment, SEGMENT_SEALED);
	segment->tail = end;
	scanned->stop = end;
	if (known) {
		struct stream *stream = &store->streams[segment->stream];
		stream->durable_segment = segment->id;
		stream->durable_sector = (uint32_t)(end / SECTOR);
		stream_note_end(stream, segment);
	}
	return !corrupt && !scanned->sealed && end <= segment_room_end(segment->bytes);
}

bool recover_seal(struct recovery *recovery)
{
	for (; recovery->at < recovery->scanned_count; recovery->at++) {
		struct scanned *scanned = &recovery->scanned[recovery->at];
		struct segment *segment = scanned->segment;
		if (scanned_is_spare(recovery, scanned)) {
			segment_set_state(segment, SEGMENT_SPARE);
			segment->tail = segment->written = SECTOR;
			continue;
		}
		if (recovery->seal_synced) {
			seal_write(recovery, scanned);
			return false;
		}
		if (seal_decide(recovery, scanned) && !recovery->store->options.read_only) {
			seal_sync(recovery, scanned);
			return false;
		}
	}
	recovery->at = 0;
	return true;
}

/* ---- Telling the owner ---- */

static void deliver_corrupt(struct recovery *recovery, const struct found *found,
    const struct record *record)
{
	struct store *store = recovery->store;
	const struct place place = {found->segment, found->offset, found->bytes};
	store->stats.corrupt_records++;
	segment_note_death(segment_find(store, found->segment), 0);
	log_warning(store->log, "Segment %u: record %llu is corrupt", found->segment,
	    (unsigned long long)found->lsn);
	store->events.corrupt(store->ctx, place, record);
}

static void deliver_tell(struct recovery *recovery, const struct found *found,
    struct record *record)
{
	struct store *store = recovery->store;
	struct segment *segment = segment_find(store, found->segment);
	ASSERT(segment != NULL);
	if (found->mark) {
		record->place = (struct place){0};
	} else {
		record->place = (struct place){found->segment, found->offset, found->bytes};
		segment_retain(segment, found->bytes);
	}
	store->stats.recovered_records++;
	store->events.recovered(store->ctx, record);
}

static void deliver_read_done(struct store_read *read, enum err err)
{
	struct recovery *recovery = read->ctx;
	const struct found *found = recovery->delivered;
	ASSERT(recovery->reading);
	recovery->reading = false;
	if (err == OK) {
		struct record record = read->record;
		deliver_tell(recovery, found, &record);
	} else if (err == ERR_MEMORY) {
		store_read_fini(read);
		recovery_fail(recovery, err);
		return;
	} else if (recovery->phase == RECOVERY_LOAD) {
		store_read_fini(read);
		recover_give_up_load(recovery);
		return;
	} else {
		bool readable = read->record.lsn == found->lsn;
		deliver_corrupt(recovery, found, readable ? &read->record : NULL);
	}
	store_read_fini(read);
	if (recovery->phase == RECOVERY_LOAD)
		recovery->fetch_at++;
	else
		recovery->next++;
	recovery_run(recovery);
}

static void deliver_by_read(struct recovery *recovery, const struct found *found)
{
	recovery->delivered = found;
	recovery->reading = true;
	recovery->read = (struct store_read){
		.done = deliver_read_done,
		.ctx = recovery,
		.place = {found->segment, found->offset, found->bytes},
		.lsn = found->lsn,
	};
	read_start_heap(recovery->store, &recovery->read);
}

/* A chain of the checkpoint: its parts lie where they were, or where a later copy is. False: one
 * has gone with its segment, so the record has died, or is lost. */
static bool chain_follow_parts(struct recovery *recovery, struct chain *chain, struct span table)
{
	bool all = true;
	if (chain->count != table.len / CHAIN_ENTRY)
		return true;
	for (uint32_t i = 0; i < chain->count; i++) {
		const struct found *part = chain->settled
		    ? NULL : recover_find(recovery, chain_table_get(table, i).lsn);
		if (part != NULL && part->type == RECORD_PART)
			chain->parts[i] = (struct place){part->segment, part->offset, part->bytes};
		const struct segment *segment = segment_find(recovery->store, chain->parts[i].segment);
		all = all && segment != NULL && segment->state != SEGMENT_LOST;
	}
	return all;
}

/* Finds the parts of a chain. False if one is missing. */
static bool deliver_chain(struct recovery *recovery, const struct found *found,
    struct span table, uint64_t *body_bytes)
{
	struct store *store = recovery->store;
	const struct place head = {found->segment, found->offset, found->bytes};
	if (!chain_table_check(table, body_bytes))
		return false;
	uint32_t count = (uint32_t)(table.len / CHAIN_ENTRY);
	struct chain *chain = chain_find(store, head);
	if (chain != NULL) {
		chain->lsn = found->lsn;
		chain->refs += recovery->phase == RECOVERY_LOAD && chain->settled ? 2 : 1;
		return true;
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct found *part = recover_find(recovery, chain_table_get(table, i).lsn);
		if (part == NULL || part->type != RECORD_PART)
			return false;
	}
	/* In a fetch the entry that was adopted owns it, as well as whoever is told. */
	chain = chain_add(store, head, count);
	chain->refs = recovery->phase == RECOVERY_LOAD ? 2 : 1;
	for (uint32_t i = 0; i < count; i++) {
		const struct found *part = recover_find(recovery, chain_table_get(table, i).lsn);
		chain->parts[i] = (struct place){part->segment, part->offset, part->bytes};
		segment_retain(segment_find(store, part->segment), part->bytes);
	}
	return true;
}

/* The entry of the record's key, if there is one, is in memory. False: it is being loaded, and
 * recovery goes on then. */
static bool deliver_has_key(struct recovery *recovery, uint8_t type, uint8_t db, struct span key)
{
	struct store *store = recovery->store;
	if (!recovery->is_lazy || type == RECORD_SETTING || db >= DATABASE_COUNT)
		return true;
	uint64_t hash = store->events.key_hash(store->ctx, db, key);
	return store_want_key(store, db, hash) == KEY_IS_LOADED;
}

static bool deliver_loads_body(const struct record_view *view)
{
	return view->header.type == RECORD_VALUE || view->header.type == RECORD_CHANGE ||
	    view->header.type == RECORD_SETTING;
}

/* A dead head may outlive its parts: a later record tells. */
static enum err deliver_lacking(struct recovery *recovery, const struct found *found,
    const struct record *record)
{
	struct store *store = recovery->store;
	log_verbose(store->log, "Record %llu lacks parts", (unsigned long long)found->lsn);
	segment_note_death(segment_find(store, found->segment), 0);
	store->events.corrupt(
	    store->ctx, (struct place){found->segment, found->offset, found->bytes}, record);
	return ERR_NOTFOUND;
}

/* The head of a chain, `table` being its body. ERR_NOTFOUND: done with it, without telling;
 * ERR_AGAIN: recovery begins anew. */
static enum err deliver_chained(struct recovery *recovery, const struct found *found,
    struct record *record, struct span table)
{
	const struct place head = {found->segment, found->offset, found->bytes};
	struct chain *chain = chain_find(recovery->store, head);
	record->flags &= (uint8_t)~RECORD_CHAINED;
	if (chain != NULL && !chain_follow_parts(recovery, chain, table)) {
		chain->lsn = found->lsn;
		if (recovery->phase == RECOVERY_LOAD)
			return ERR_NOTFOUND;  /* as if the head's own segment were missing */
		return deliver_lacking(recovery, found, record);
	}
	if (deliver_chain(recovery, found, table, &record->body_bytes))
		return OK;
	/* All behind the checkpoint was read: such parts are gone, and the head is dead. */
	bool is_behind = table.len >= CHAIN_ENTRY && chain_table_get(table, 0).lsn >= recovery->replay_lsn;
	if (!recovery->has_manifest || is_behind)
		return deliver_lacking(recovery, found, record);
	recover_give_up_load(recovery);
	return ERR_AGAIN;
}

/* The head is in `bytes`, and the body too if it is inline. True: told, go on. */
static bool deliver_parsed(struct recovery *recovery, const struct found *found,
    const struct record_view *view, struct span bytes)
{
	struct record record;
	uint32_t body_bytes = view->header.body_bytes;
	record_from_view(view, &record);
	if (!deliver_has_key(recovery, record.type, record.db, record.key))
		return false;
	struct span body = span_slice(bytes, view->layout.body_at, body_bytes);
	bool chained = (view->header.flags & RECORD_CHAINED) != 0;
	bool is_inline = body_bytes <= BODY_INLINE_MAX;
	if (is_inline && (chained || deliver_loads_body(view)) &&
	    !record_check_chunks(view->crcs, 0, body)) {
		deliver_corrupt(recovery, found, &record);
		return true;
	}
	if (chained) {
		enum err err = deliver_chained(recovery, found, &record, body);
		if (err != OK)
			return err == ERR_NOTFOUND;
	}
	if (deliver_loads_body(view)) {
		if (chained || !is_inline) {
			deliver_by_read(recovery, found);
			return false;
		}
		record.value = body;
	}
	deliver_tell(recovery, found, &record);
	return true;
}

/* True: told. False with *wait: bytes are being read; else its record has to be read. */
static bool deliver_from_footer(struct recovery *recovery, const struct found *found, bool *wait)
{
	struct footer_item item;
	enum err err = recover_footer_item(recovery, found, &item);
	*wait = err == ERR_AGAIN;
	if (err != OK)
		return false;
	*wait = !deliver_has_key(recovery, item.type, item.db, item.key);
	if (*wait)
		return false;
	struct record record = {
		.type = item.type,
		.flags = item.flags,
		.db = item.db,
		.lsn = item.lsn,
		.refers = item.refers,
		.expire_ms = item.expire_ms,
		.time_ms = item.time_ms,
		.key = item.key,
		.meta = item.meta,
		.body_bytes = item.body_bytes,
	};
	deliver_tell(recovery, found, &record);
	return true;
}

/* True: on to the next one. False: bytes are being read. */
static bool deliver_one(struct recovery *recovery, const struct found *found)
{
	if (found->drop || found->type == RECORD_PART || found->type == RECORD_VOID ||
	    found->type == RECORD_END)
		return true;
	bool wait = false;
	if (found->head && deliver_from_footer(recovery, found, &wait))
		return true;
	if (wait)
		return false;
	struct record_view view;
	struct span bytes;
	enum err err = window_get_record(recovery, found, &view, &bytes);
	if (err == ERR_CORRUPT)
		deliver_corrupt(recovery, found, NULL);
	return err == OK ? deliver_parsed(recovery, found, &view, bytes) : err != ERR_AGAIN;
}

/* What lies in a segment, told or not, counts for how long marks must stay. */
static void deliver_note(struct recovery *recovery, const struct found *found)
{
	struct segment *segment = segment_find(recovery->store, found->segment);
	ASSERT(segment != NULL);
	segment_note(segment, found->lsn, found->bytes, found->mark && !found->drop, found->type);
	segment->expire_last_ms = INT64_MAX;
	if (found->drop)
		segment_note_death(segment, 0);       /* nobody knows when */
}

bool recover_deliver_fetched(struct recovery *recovery)
{
	if (recovery->reading)
		return false;
	return deliver_one(recovery, &recovery->fetched);
}

/* Effects that the checkpoint holds are not told again; but VALUE and SETTING records are, for
 * only the owner can tell which of them count. */
bool recover_is_told(const struct recovery *recovery, const struct found *found)
{
	if (found->known || found->drop)
		return false;
	return found->lsn >= recovery->replay_lsn || found->type == RECORD_VALUE ||
	    found->type == RECORD_SETTING;
}

static void key_foreseen(struct recovery *recovery, uint8_t db, struct span key)
{
	struct store *store = recovery->store;
	if (recovery->is_lazy)
		(void)store_want_key(store, db, store->events.key_hash(store->ctx, db, key));
	else
		store->events.foreseen(store->ctx, db, key);
}

/* The key of a record that is told soon lies in the window already, unchecked. */
static void deliver_foresee(struct recovery *recovery)
{
	enum { AHEAD = 8 };
	if (recovery->next + AHEAD >= recovery->found_count)
		return;
	const struct found *found = &recovery->found[recovery->next + AHEAD];
	for (unsigned tier = 0; tier < TIER_COUNT; tier++) {
		const struct window *window = &recovery->window[tier];
		uint64_t at = (uint64_t)found->offset * RECORD_ALIGN;
		if (window->segment == NULL || window->segment->id != found->segment ||
		    at < window->from || at + RECORD_HEADER > window->from + window->len)
			continue;
		struct record_header header;
		const uint8_t *bytes = window->buf + (at - window->from);
		memcpy(&header, bytes, sizeof(header));
		size_t left = window->len - (size_t)(at - window->from) - sizeof(header);
		if (header.db < DATABASE_COUNT && header.key_bytes <= left)
			key_foreseen(recovery, header.db,
			    span_of(bytes + sizeof(header), header.key_bytes));
		return;
	}
}

static bool windows_are_idle(const struct recovery *recovery)
{
	bool idle = true;
	for (unsigned tier = 0; tier < TIER_COUNT; tier++)
		idle = idle && io_op_is_idle(&recovery->window[tier].op);
	return idle;
}

bool recover_deliver(struct recovery *recovery)
{
	struct store *store = recovery->store;
	if (recovery->reading)
		return false;
	if (recovery->gives_up) {
		if (recover_chunks_are_idle(store) && windows_are_idle(recovery))
			recover_give_up_load(recovery);
		return false;
	}
	if (!recovery->noted) {
		recovery->noted = true;
		for (size_t i = 0; i < recovery->found_count; i++)
			deliver_note(recovery, &recovery->found[i]);
	}
	bool foresees = store->events.foreseen != NULL;
	for (uint32_t told = 0; recovery->next < recovery->found_count; told++) {
		if (told == DELIVER_SLICE) {
			if (store->events.progress != NULL)
				store->events.progress(store->ctx, recovery->next,
				    recovery->found_count - recovery->next);
			io_timer_set(store->io, &recovery->timer, 0);
			return false;
		}
		const struct found *found = &recovery->found[recovery->next];
		if (foresees)
			deliver_foresee(recovery);
		if (recover_is_told(recovery, found) && !deliver_one(recovery, found))
			return false;
		recovery->next++;
	}
	if (store->events.progress != NULL && recovery->found_count > 0)
		store->events.progress(store->ctx, recovery->found_count, 0);
	return true;
}
