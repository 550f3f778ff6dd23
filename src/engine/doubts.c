/* engine/doubts.c: records that recovery could not read, until it is known whether they count. A later record
 * of the key, or a flush of its database, says that it does not: then nothing is missing. */
#include "engine/internal.h"

enum { DOUBTS_MAX = 1024 };

struct doubt {
	struct list  link;
	struct place place;
	uint64_t     lsn;
	uint32_t     len;
	uint8_t      db;
	uint8_t      key[];
};

static void doubt_drop(struct engine *engine, struct doubt *doubt)
{
	list_remove(&doubt->link);
	ASSERT(engine->doubt_count > 0);
	engine->doubt_count--;
	memory_free(&engine->memory.engine, doubt, sizeof(*doubt) + doubt->len);
}

static void doubt_is_true(struct engine *engine, struct doubt *doubt)
{
	engine->lost_some = true;
	engine_say_corrupt(engine, doubt->place, doubt->lsn, span_of(doubt->key, doubt->len));
	doubt_drop(engine, doubt);
}

void doubt_add(struct engine *engine, struct place place, const struct record *record)
{
	ASSERT(engine->loading);
	struct doubt *doubt = memory_alloc(&engine->memory.engine, sizeof(*doubt) + record->key.len);
	*doubt = (struct doubt){.place = place, .lsn = record->lsn, .db = record->db,
	    .len = (uint32_t)record->key.len};
	if (doubt->len > 0)
		memcpy(doubt->key, record->key.ptr, doubt->len);
	list_append(&engine->doubts, &doubt->link);
	engine->doubt_count++;
	if (engine->doubt_count > DOUBTS_MAX)
		doubt_is_true(engine, LIST_OF(engine->doubts.next, struct doubt, link));
}

void doubts_settle(struct engine *engine, const struct record *record)
{
	struct list *next;
	ASSERT(record->lsn > 0);
	if (record->type != RECORD_VALUE && record->type != RECORD_IMAGE && record->type != RECORD_LINK &&
	    record->type != RECORD_DELETE && record->type != RECORD_FLUSH)
		return;                       /* it says nothing of what the key holds */
	for (struct list *at = engine->doubts.next; at != &engine->doubts; at = next) {
		struct doubt *doubt = LIST_OF(at, struct doubt, link);
		bool is_flush = record->type == RECORD_FLUSH;
		bool is_db = record->db == doubt->db || (is_flush && record->db == RECORD_ALL_DBS);
		next = at->next;
		if (doubt->lsn < record->lsn && is_db &&
		    (is_flush || span_equal(record->key, span_of(doubt->key, doubt->len))))
			doubt_drop(engine, doubt);
	}
}

void doubts_end(struct engine *engine)
{
	while (engine->doubt_count > 0)
		doubt_is_true(engine, LIST_OF(engine->doubts.next, struct doubt, link));
	ASSERT(list_is_empty(&engine->doubts));
}

void doubts_clear(struct engine *engine)
{
	while (engine->doubt_count > 0)
		doubt_drop(engine, LIST_OF(engine->doubts.next, struct doubt, link));
	ASSERT(list_is_empty(&engine->doubts));
}
