/* store/group.c: room for an atomic group, found before its first record is appended, so that
 * a group is never refused half way. See store_begin_group. */
#include "store/state.h"

enum { GROUP_BATCHES = 600 };         /* at least */

/* An upper bound of what a record adds: its head, and the sectors around a body of its own. */
static uint64_t group_bytes(uint32_t records, uint64_t bytes)
{
	return bytes + (uint64_t)records * (2 * RECORD_ALIGN + sizeof(struct record)) +
	    8 * (uint64_t)SECTOR;
}

void group_note(struct store *store, const struct record *record)
{
	struct batch *batch = store->streams[TIER_HOT].open;
	ASSERT(batch != NULL && batch->count > 0);
	store->in_group = (record->flags & RECORD_CONTINUES) != 0;
	if (store->group_always == 0 && record->sync == SYNC_ALWAYS)
		store->group_always = record->lsn;
	if (store->group_always != 0 &&
	    (batch->always_lsn == 0 || batch->always_lsn > store->group_always))
		batch->always_lsn = store->group_always;
}

enum err store_begin_group(struct store *store, uint32_t records, uint32_t bodies, uint64_t bytes)
{
	CHECK_OBJ(store, STORE_MAGIC);
	struct stream *stream = &store->streams[TIER_HOT];
	uint32_t spares;
	if (store->in_transaction)
		return OK;                    /* it made room for this, too */
	ASSERT(stream->batch_limit == STREAM_BATCHES);
	if (store->state != OK)
		return store->state;
	if (UNLIKELY(store->asks_preface)) {
		enum err err = store_preface(store);
		if (err != OK)
			return err;
	}
	if (stream->failed || stream->batch_count > STREAM_BATCHES / 2)
		return ERR_OVERLOADED;
	uint64_t need = group_bytes(records, bytes) + (uint64_t)bodies * 3 * SECTOR;
	uint64_t room = stream_room(stream), segments = 0;
	if (need > room) {
		/* Records do not fill segments to the end: half of each is counted. */
		segments = (need - room) / (store->options.segment_bytes / 2) + 1;
		segment_spare(store, TIER_HOT, &spares);
		if (spares < segments + RESERVE_SEGMENTS) {
			if (!maker_can_offer(store, (segments + RESERVE_SEGMENTS) & UINT32_MAX))
				return ERR_DISKFULL;
			store_expect(store, (segments + RESERVE_SEGMENTS) * store->options.segment_bytes);
			return store->maker.retry_us != 0 ? ERR_DISKFULL : ERR_OVERLOADED;
		}
	}
	uint64_t batches = stream->batch_count + 3 * (segments + 1) + need / (BATCH_BUFFER / 2) +
	    records / BATCH_RECORDS + bodies;
	stream->batch_limit = (uint32_t)max_u64(GROUP_BATCHES, batches);
	return OK;
}

void store_end_group(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	if (store->in_transaction)
		return;
	ASSERT(store->streams[TIER_HOT].batch_limit >= GROUP_BATCHES);
	store->streams[TIER_HOT].batch_limit = STREAM_BATCHES;
}

enum err store_begin_transaction(
    struct store *store, uint32_t records, uint32_t bodies, uint64_t bytes)
{
	ASSERT(!store->in_transaction);
	enum err err = store_begin_group(store, records + 1, bodies, bytes);
	if (err != OK)
		return err;
	store->in_transaction = true;
	return OK;
}

void store_end_transaction(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(store->in_transaction);
	store->in_transaction = false;
	if (store->in_group) {
		struct record end = {
		    .type = RECORD_END,
		    .sync = store->group_always != 0 ? SYNC_ALWAYS : SYNC_EVERYSEC,
		};
		enum err err = store_append(store, &end);
		ASSERT(err == OK || store->state == ERR_READONLY);
	}
	store_end_group(store);
}
