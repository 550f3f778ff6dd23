/* store/follow.c: see follow.h. LSNs that another store gave, and such as are left out. */
#include "store/follow.h"

#include "store/clean.h"

/* Says that no record has an LSN from next_lsn on and before `lsn`. `next`: its time, epoch and sync. */
static enum err follow_gap(struct store *store, uint64_t lsn, const struct record *next)
{
	struct record end = {
	    .type = RECORD_END,
	    .flags = store->in_group ? RECORD_CONTINUES : 0,
	    .lsn = lsn - 1,
	    .refers = store->next_lsn,
	    .time_ms = next->time_ms,
	    .epoch = next->epoch,
	    .sync = next->sync,
	};
	ASSERT(lsn > store->next_lsn);
	return store_append_as(store, &end, false);
}

enum err store_append_given(struct store *store, struct record *record)
{
	CHECK_OBJ(store, STORE_MAGIC);
	enum err err = store_check_record(store, record);
	if (err != OK)
		return err;
	uint32_t parts = chain_parts_given(store, record);
	ASSERT(store->void_from == 0 && !store->in_transaction);
	if (record->lsn < store->next_lsn + parts || record->lsn > STORE_LSN_MAX)
		return ERR_INVALID;
	bool is_void = record->type == RECORD_VOID;
	if (is_void && (record->refers == 0 || record->refers > record->lsn))
		return ERR_INVALID;
	uint64_t begin = is_void ? record->refers : record->lsn - parts;
	if (begin > store->next_lsn) {
		err = follow_gap(store, begin, record);
		if (err != OK)
			return err;
	}
	ASSERT(is_void || store->next_lsn + parts == record->lsn);
	store->is_given = true;
	err = store_append_as(store, record, parts > 0);
	store->is_given = false;
	if (err == OK && is_void && record->refers < record->lsn)
		void_note(store, record->refers, record->lsn);
	return err;
}

enum err store_note_gap(struct store *store, const struct record *next, struct record *note)
{
	CHECK_OBJ(store, STORE_MAGIC);
	uint64_t begin = next->type == RECORD_VOID
	    ? next->refers : next->lsn - chain_parts_given(store, next);
	if (next->lsn > STORE_LSN_MAX || begin > next->lsn || begin <= store->next_lsn)
		return ERR_NOTFOUND;
	note->lsn = begin - 1;
	note->flags = store->in_group ? RECORD_CONTINUES : 0;
	note->time_ms = next->time_ms;
	note->epoch = next->epoch;
	return store_append_given(store, note);
}

void store_follow(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	if (store->void_from == 0)
		return;
	ASSERT(store->void_from <= store->next_lsn);
	store->next_lsn = store->void_from;
	store->void_from = 0;
	store->written_lsn = store->told_written = store->next_lsn - 1;
}

enum err store_skip(struct store *store, uint64_t first, uint64_t lsns)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(lsns > 0 && first > 0 && first <= store->next_lsn && !store->in_transaction);
	struct record record = {
	    .type = RECORD_VOID,
	    .lsn = store->next_lsn + lsns - 1,
	    .refers = store->void_from != 0 ? min_u64(first, store->void_from) : first,
	    .time_ms = io_wall_ms(store->io),
	    .epoch = store->epoch,
	    .sync = SYNC_ALWAYS,
	};
	enum err err = store_check_record(store, &record);
	if (err == OK)
		err = store_append_as(store, &record, false);
	if (err != OK)
		return err;
	void_note(store, record.refers, record.lsn);
	store->void_from = 0;
	return OK;
}

enum err store_leave_out(struct store *store, uint64_t lsns)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(lsns > 0 && !store->in_transaction && !store->in_group);
	const struct record like = {
	    .type = RECORD_END,
	    .time_ms = io_wall_ms(store->io),
	    .epoch = store->epoch,
	    .sync = SYNC_ALWAYS,
	};
	enum err err = store_check_record(store, &like);
	if (err == OK && store->void_from != 0)
		err = store_append_void(store);
	return err != OK ? err : follow_gap(store, store->next_lsn + lsns, &like);
}

void store_ask_preface(struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	ASSERT(store->events.preface != NULL);
	store->asks_preface = true;
}

enum err store_preface(struct store *store)
{
	store->asks_preface = false;
	enum err err = store->events.preface(store->ctx);
	store->asks_preface = err != OK;
	return err;
}

void store_set_following(struct store *store, bool follows)
{
	CHECK_OBJ(store, STORE_MAGIC);
	store->is_following = follows;
}

void store_set_epoch(struct store *store, uint32_t epoch)
{
	CHECK_OBJ(store, STORE_MAGIC);
	store->epoch = epoch;
}

uint32_t store_epoch_seen(const struct store *store)
{
	CHECK_OBJ(store, STORE_MAGIC);
	return store->epoch_seen;
}

void store_keep_marks(struct store *store, uint64_t lsn)
{
	CHECK_OBJ(store, STORE_MAGIC);
	if (lsn != store->keep_marks_lsn)
		store->reclaim_due = true;
	store->keep_marks_lsn = lsn;
}
