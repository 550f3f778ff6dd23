/* store/clean_copy.c: one record out of a victim: needed or not, its copy, and what becomes of
 * that. See clean.h.
 *
 * A copy is an ordinary record of an ordinary batch; its entry there says where it came from.
 * Key and metadata are still in the batch's buffer when the batch is durable.
 */
#include "store/clean.h"

static struct place clean_place(const struct cleaner *cleaner)
{
	const struct scan *scan = &cleaner->scan;
	ASSERT(scan->record_at % RECORD_ALIGN == 0);
	return (struct place){
		.segment = cleaner->victim->id,
		.offset = (uint32_t)(scan->record_at / RECORD_ALIGN),
		.bytes = scan->view.layout.bytes,
	};
}

static bool clean_is_needed_mark(struct cleaner *cleaner, uint64_t lsn)
{
	ASSERT(cleaner->victim != NULL);
	if (!cleaner->pins_known)
		cleaner->pins = clean_pins(cleaner->store);
	cleaner->pins_known = true;
	return clean_needs_mark(&cleaner->pins, cleaner->victim, lsn);
}

bool clean_is_needed(struct cleaner *cleaner)
{
	struct store *store = cleaner->store;
	const struct record_header *header = &cleaner->scan.view.header;
	struct record record;
	if (void_covers(store, header->lsn))
		return false;
	if (header->type == RECORD_PART)
		return chain_has_part(store, clean_place(cleaner));
	if (header->type == RECORD_END) {     /* what it ended is on the disk for long */
		cleaner->done.marks_dropped++;
		return false;
	}
	record_from_view(&cleaner->scan.view, &record);
	if (record_is_mark(header->type, header->body_bytes)) {
		bool needed = header->type == RECORD_EXPIRE
		    ? store->events.is_live(store->ctx, &record) != RECORD_DEAD
		    : clean_is_needed_mark(cleaner, header->lsn);
		cleaner->done.marks_dropped += !needed;
		return needed;
	}
	record.place = clean_place(cleaner);
	return store->events.is_live(store->ctx, &record) != RECORD_DEAD;
}

static struct stream *clean_stream(const struct cleaner *cleaner, const struct record *record)
{
	struct store *store = cleaner->store;
	if (cleaner->victim->tier == TIER_WARM)
		return &store->streams[STREAM_WARM];
	int64_t soon_ms = io_wall_ms(store->io) + CLEAN_SHORT_MS;
	bool expires_soon = record->expire_ms != 0 && record->expire_ms < soon_ms;
	struct stream *stream = &store->streams[expires_soon ? STREAM_SHORT : STREAM_LONG];
	struct stream *other = &store->streams[expires_soon ? STREAM_LONG : STREAM_SHORT];
	/* A small or full store cannot afford two segments that fill slowly. */
	uint32_t spares;
	segment_spare(store, TIER_HOT, &spares);
	bool scarce = spares <= RESERVE_SEGMENTS || store->segment_count < 8 * RESERVE_SEGMENTS;
	uint64_t need = batch_bytes_alone(record, cleaner->scan.view.header.body_bytes);
	if (scarce && stream_room(stream) < need + 2 * SECTOR && other->active != NULL)
		return stream_room(other) < need + 2 * SECTOR ? stream : other;
	return stream;
}

enum err clean_copy(struct cleaner *cleaner)
{
	const struct record_view *view = &cleaner->scan.view;
	struct record record;
	uint32_t crcs[RECORD_BODY_MAX / CHUNK_BYTES / 16];
	uint32_t *checksums = crcs;
	struct memory *memory = cleaner->store->memory;
	record_from_view(view, &record);
	unsigned moves = (unsigned)record.flags >> RECORD_MOVES_SHIFT;
	record.flags = (uint8_t)((record.flags & (RECORD_CONTINUES | RECORD_CHAINED)) |
	    ((moves + 1) & RECORD_MOVES) << RECORD_MOVES_SHIFT);
	record.place = clean_place(cleaner);  /* marks it as a copy */
	record.sync = SYNC_ALWAYS;
	size_t at = (size_t)(cleaner->scan.record_at - cleaner->from) + view->layout.body_at;
	struct payload payload = {.len = view->header.body_bytes};
	ASSERT(at + payload.len <= cleaner->have);
	struct stream *stream = clean_stream(cleaner, &record);
	if (view->crcs.len > sizeof(crcs))
		checksums = memory_alloc(memory, view->crcs.len);
	if (payload.len > BODY_INLINE_MAX) {
		memcpy(checksums, view->crcs.ptr, view->crcs.len);
		payload.body = cleaner->window;
		payload.from = at;
		payload.crcs = checksums;
	} else {
		payload.value = span_of(cleaner->window->block + at, payload.len);
	}
	struct place to;
	enum err err = stream_append(stream, &record, &payload, &to);
	if (checksums != crcs)
		memory_free(memory, checksums, view->crcs.len);
	if (err != OK)
		return err;
	struct batch_entry *entry = &stream->open->entries[stream->open->count - 1];
	entry->old = record.place;
	entry->is_cleaned = true;
	cleaner->copies++;
	cleaner->copies_bytes += to.bytes;
	cleaner->done.records++;
	cleaner->done.bytes += to.bytes;
	cleaner->done.marks += record_is_mark(record.type, payload.len);
	return OK;
}

/* ---- The batch is durable ---- */

void clean_note_copy(struct store *store, const struct record *record, bool taken)
{
	struct segment *segment = segment_find(store, record->place.segment);
	ASSERT(segment != NULL);
	enum liveness liveness = RECORD_SHARED;
	if (taken && store->events.is_live != NULL)
		liveness = store->events.is_live(store->ctx, record);
	/* Dead on arrival, or dead under its own key: only marks keep it from coming back. */
	if (liveness == RECORD_LIVES)
		return;
	segment->birth_lsn = segment->death_lsn = 0;
	segment->has_ended = true;
}

/* The new head has the same parts. */
static void clean_copy_chain(struct store *store, struct place from, struct place to)
{
	const struct chain *chain = chain_find(store, from);
	if (chain == NULL)
		return;
	struct chain *copy = chain_add(store, to, chain->count);
	for (uint32_t i = 0; i < chain->count; i++) {
		copy->parts[i] = chain->parts[i];
		segment_retain(segment_find(store, chain->parts[i].segment), chain->parts[i].bytes);
	}
}

static void clean_settle(struct batch *batch, const struct batch_entry *entry)
{
	struct store *store = batch->stream->store;
	struct record_view view;
	struct record record;
	const struct place from = entry->old, to = entry->place;
	bool taken;
	if (entry->type == RECORD_PART) {
		taken = chain_part_moved(store, from, to);
		store_release(store, taken ? from : to);
		return;
	}
	struct stamp stamp = segment_stamp(batch->segment, (uint64_t)to.offset * RECORD_ALIGN);
	struct span head = span_of(batch->buf + entry->head_at, BATCH_BUFFER - entry->head_at);
	enum err err = record_parse(head, &stamp, &view);
	ASSERT(err == OK);
	record_from_view(&view, &record);
	record.flags &= (uint8_t)~RECORD_CHAINED;
	record.place = to;
	clean_copy_chain(store, from, to);
	taken = store->events.relocated(store->ctx, &record, from, to);
	if (taken)
		read_relocated(store, from, to);
	clean_note_copy(store, &record, taken);
	store_release(store, taken ? from : to);
}

/* Counts the batch's copies off. `lost`: they were given up. */
static bool clean_count_off(struct cleaner *cleaner, const struct batch_entry *entry, bool lost)
{
	if (!entry->is_cleaned)
		return false;
	ASSERT(cleaner->copies > 0);
	ASSERT(cleaner->copies_bytes >= entry->place.bytes);
	cleaner->copies--;
	cleaner->copies_bytes -= entry->place.bytes;
	cleaner->lost |= lost;
	return !record_is_mark(entry->type, entry->body_bytes);
}

void clean_batch_durable(struct batch *batch)
{
	struct store *store = batch->stream->store;
	for (uint32_t i = 0; i < batch->count; i++) {
		if (clean_count_off(store->cleaner, &batch->entries[i], false))
			clean_settle(batch, &batch->entries[i]);
	}
}

void clean_batch_failed(struct batch *batch)
{
	struct store *store = batch->stream->store;
	for (uint32_t i = 0; i < batch->count; i++) {
		struct place to = batch->entries[i].place;
		if (clean_count_off(store->cleaner, &batch->entries[i], true))
			segment_release(store, segment_find(store, to.segment), to.bytes);
	}
}
