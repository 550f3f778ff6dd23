/* engine/past/past.c: see past.h. Who owns what, how a version ends, and what there was when. */
#include "engine/flush.h"
#include "engine/past/past_state.h"
#include "engine/replica/replica.h"

#include "base/arith.h"

enum err past_new(struct engine *engine)
{
	enum { WINDOW_MAX_S = 35 * 86400 };
	struct past *past = memory_zalloc(&engine->memory.engine, sizeof(*past));
	past->engine = engine;
	history_init(&past->history, &engine->memory.history, random_next(&engine->random));
	held_init(&past->held, &engine->memory.history);
	held_init(&past->released, &engine->memory.history);
	past->logged_window_s = -1;
	past->opened_ms = (int64_t)engine_now_ms(engine);
	engine->past = past;
	if (engine->settings->readonly)
		engine->settings->history_window_s = WINDOW_MAX_S;    /* what the log has */
	return past_parse_moment(past);
}

void past_free(struct engine *engine)
{
	struct past *past = engine->past;
	if (past == NULL)
		return;
	history_fini(&past->history);
	held_fini(&past->held);
	held_fini(&past->released);
	past_lsns_fini(past, &past->pins);
	past_lsns_fini(past, &past->dump.links);
	memory_free(&engine->memory.engine, past, sizeof(*past));
	engine->past = NULL;
}

/* ---- Who owns what ---- */

static void body_release(struct past *past, uint64_t lsn, struct place place)
{
	store_release(past->engine->store, place);
	if (past->engine->loading)
		past_note_released(past->engine, lsn);
}

/* One owner fewer (`today`: it was an entry). */
void past_unref(struct past *past, uint64_t lsn, bool today)
{
	struct held *held = held_find(&past->held, lsn);
	ASSERT(held != NULL);
	ASSERT(held->refs > 0 && held->today >= today);
	past->bytes -= past_bytes_of(held);
	held->refs--;
	held->today -= today;
	past->bytes += past_bytes_of(held);
	if (held->refs > 0)
		return;
	struct held last = *held;
	past->bytes -= past_bytes_of(held);
	held_remove(&past->held, held);
	if (last.owned && last.unsure)
		store_release(past->engine->store, last.place);       /* it may live on */
	else if (last.owned)
		body_release(past, lsn, last.place);
}

/* The past owns its record from now on. It may have thought so before the log was replayed. */
static void held_own(struct past *past, struct held *held, struct place place)
{
	if (held->owned) {
		ASSERT(held->unsure);
		past->bytes -= past_bytes_of(held);
		store_release(past->engine->store, place);
	}
	held->owned = true;
	held->unsure = false;
	store_note_death(past->engine->store, held->place);
	past->bytes += past_bytes_of(held);
}

/* The first entry gives its record to the past. */
static void held_give(struct past *past, uint64_t lsn, struct place place)
{
	struct held *held = held_find(&past->held, lsn);
	if (held == NULL)
		held = held_add(&past->held, lsn, place, false);
	held_own(past, held, place);
	held->refs++;
}

/* The first entry leaves its record to whoever else needs it. */
static void held_leave(struct past *past, uint64_t lsn, struct place place)
{
	struct held *held = held_find(&past->held, lsn);
	if (held == NULL) {
		body_release(past, lsn, place);
		return;
	}
	ASSERT(held->refs > 0);
	held_own(past, held, place);
}

static void held_share(struct past *past, uint64_t lsn, struct place place, bool owned, bool today)
{
	struct held *held = held_find(&past->held, lsn);
	if (held == NULL)
		held = held_add(&past->held, lsn, place, owned);
	else
		past->bytes -= past_bytes_of(held);
	held->refs++;
	held->today += today;
	past->bytes += past_bytes_of(held);
}

void past_share(struct engine *engine, uint64_t lsn, struct place place)
{
	struct past *past = engine->past;
	held_share(past, lsn, place, false, true);
	if (past->dump.is_on)
		past_lsns_push(past, &past->dump.links, lsn);
}

void past_note_released(struct engine *engine, uint64_t lsn)
{
	const struct place nowhere = {1, 0, 0};
	struct past *past = engine->past;
	ASSERT(engine->loading);
	if (held_find(&past->released, lsn) == NULL)
		(void)held_add(&past->released, lsn, nowhere, false);
}

void past_share_recovered(struct engine *engine, uint64_t lsn, struct place place)
{
	struct past *past = engine->past;
	struct held *released = held_find(&past->released, lsn);
	if (released == NULL || held_find(&past->held, lsn) != NULL) {
		held_share(past, lsn, place, false, true);
		return;
	}
	held_remove(&past->released, released);
	store_retain(engine->store, place);
	store_note_death(engine->store, place);
	held_share(past, lsn, place, true, true);
}

struct place past_body(const struct engine *engine, struct entry *entry)
{
	struct entry_image *image = entry_image(entry);
	if (!(entry->flags & ENTRY_SHARED))
		return image->body;
	struct held *held = held_find(&engine->past->held, image->body_lsn);
	ASSERT(held != NULL);
	return held->place;
}

const struct held_table *past_held_table(const struct engine *engine)
{
	return &engine->past->held;
}

bool past_held_place(const struct engine *engine, uint64_t lsn, struct place *place)
{
	const struct held *held = held_find(&engine->past->held, lsn);
	if (held == NULL)
		return false;
	*place = held->place;
	return true;
}

void image_ref_of(const struct engine *engine, struct entry *entry, struct image_ref *out)
{
	const struct entry_meta *meta = entry_meta(entry);
	*out = (struct image_ref){.body_lsn = entry_image(entry)->body_lsn};
	out->body = past_body(engine, entry);
	out->meta_lsn = meta != NULL ? meta->lsn : out->body_lsn;
	out->meta = meta != NULL ? meta->place : out->body;
}

bool image_ref_find(
    const struct engine *engine, uint64_t body_lsn, uint64_t meta_lsn, struct image_ref *out)
{
	const struct held *body = held_find(&engine->past->held, body_lsn);
	const struct held *meta = held_find(&engine->past->held, meta_lsn);
	if (body == NULL || meta == NULL)
		return false;
	*out = (struct image_ref){body_lsn, meta_lsn, body->place, meta->place};
	return true;
}

/* ---- The end of a version ---- */

void past_forget_oldest(struct past *past)
{
	const struct version *version = history_oldest(&past->history);
	uint64_t lsn = version->lsn, body_lsn = version->body_lsn;
	past_dump_forget(past, version);
	history_drop_oldest(&past->history);
	past_unref(past, body_lsn, false);
	if (lsn != body_lsn)
		past_unref(past, lsn, false);
}

/* In recovery, what is older than any window goes at once. */
static void past_add(struct past *past, uint8_t db, struct entry *entry,
    const struct ending *ending)
{
	const struct version what = {
	    .lsn = entry_version_lsn(entry) & LSN_MASK,
	    .body_lsn = entry_image(entry)->body_lsn,
	    .since_ms = entry_since_ms(entry),
	};
	(void)history_add(&past->history, db, entry_key(entry), &what, ending);
	if (!past->engine->loading)
		return;
	for (int i = 0; i < 2; i++) {
		const struct version *oldest = history_oldest(&past->history);
		if (oldest != NULL &&
		    oldest->until_ms + past_window_ms(past->engine) <= past->opened_ms)
			past_forget_oldest(past);
	}
}

/* The metadata record goes to the past with its version, unless it began none: that version is
 * known again as its body's record has it. */
static void meta_give(struct past *past, struct entry *entry)
{
	const struct entry_meta *meta = entry_meta(entry);
	if (meta == NULL)
		return;
	if (entry->flags & ENTRY_QUIET_META)
		store_release(past->engine->store, meta->place);
	else
		held_give(past, meta->lsn, meta->place);
}

/* A checkpoint knew what this ended, or the window is closed. */
static bool ending_is_dropped(struct past *past, uint8_t db, struct entry *entry,
    const struct ending *ending)
{
	const struct engine *engine = past->engine;
	if (ending->lsn <= past->known_lsn)
		return true;
	/* The record that ended it, as the checkpoint knows, was not readable on the way. */
	const struct past_key *key = history_find(&past->history, db, entry_key(entry));
	if (key != NULL && key->newest->end_lsn > entry_version_lsn(entry))
		return true;
	if (past_window_ms(engine) != 0)
		return false;
	past->history.floor_lsn = max_u64(past->history.floor_lsn, ending->lsn);
	if (past->history.floor_ms < ending->time_ms)
		past->history.floor_ms = ending->time_ms;
	return true;
}

void past_retire(struct engine *engine, uint8_t db, struct entry *entry, const struct ending *ending)
{
	struct past *past = engine->past;
	const struct entry_image *image = entry_image(entry);
	const struct entry_meta *meta = entry_meta(entry);
	bool shared = (entry->flags & ENTRY_SHARED) != 0;
	if (ending_is_dropped(past, db, entry, ending)) {
		if (shared)
			past_unref(past, image->body_lsn, true);
		else
			held_leave(past, image->body_lsn, image->body);
		if (meta != NULL)
			held_leave(past, meta->lsn, meta->place);
		return;
	}
	if (shared) {
		held_share(past, image->body_lsn, image->body, true, false);
		past_unref(past, image->body_lsn, true);
	} else {
		held_give(past, image->body_lsn, image->body);
	}
	meta_give(past, entry);
	past_add(past, db, entry, ending);
}

void past_delay(struct engine *engine, uint64_t end_lsn)
{
	history_delay(&engine->past->history, end_lsn);
}

uint64_t past_delayed(const struct engine *engine)
{
	return engine->past->history.delayed_lsn;
}

void past_retire_meta(
    struct engine *engine, uint8_t db, struct entry *entry, const struct ending *ending)
{
	struct past *past = engine->past;
	const struct entry_image *image = entry_image(entry);
	const struct entry_meta *meta = entry_meta(entry);
	if (ending_is_dropped(past, db, entry, ending)) {
		if (meta != NULL)
			held_leave(past, meta->lsn, meta->place);
		return;
	}
	held_share(past, image->body_lsn, image->body, false, false);
	meta_give(past, entry);
	past_add(past, db, entry, ending);
}

bool past_holds(const struct engine *engine, uint64_t lsn, struct place place, bool *owned)
{
	const struct held *held = held_find(&engine->past->held, lsn);
	*owned = held != NULL && held->owned;
	return held != NULL && place_equal(held->place, place);
}

bool past_relocated(struct engine *engine, uint64_t lsn, struct place from, struct place to,
    bool *entry_too)
{
	struct past *past = engine->past;
	struct held *held = held_find(&past->held, lsn);
	*entry_too = held == NULL || !held->owned;
	if (held == NULL || !place_equal(held->place, from))
		return false;
	past->bytes -= past_bytes_of(held);
	held->place = to;
	past->bytes += past_bytes_of(held);
	return true;
}

/* ---- Questions ---- */

static bool found_current(struct engine *engine, uint8_t db, struct span key, struct past_found *out)
{
	struct directory *directory = &engine->directories[db];
	struct entry *entry = directory_lookup(directory, key);
	if (entry == NULL || entry->type != ENTRY_IMAGE)
		return false;
	*out = (struct past_found){
	    .lsn = entry_version_lsn(entry),
	    .since_ms = entry_since_ms(entry),
	    .state = VERSION_CURRENT,
	};
	image_ref_of(engine, entry, &out->ref);
	return true;
}

static void found_version(
    const struct engine *engine, const struct version *version, struct past_found *out)
{
	*out = (struct past_found){
	    .lsn = version->lsn,
	    .since_ms = version->since_ms,
	    .until_ms = version->until_ms,
	    .end_lsn = version->end_lsn,
	    .state = (enum version_state)version->state,
	};
	bool found = image_ref_find(engine, version->body_lsn, version->lsn, &out->ref);
	ASSERT(found);
}

enum past_answer past_at(struct engine *engine, uint8_t db, struct span key,
    const struct moment *moment, struct past_found *out)
{
	const struct history *history = &engine->past->history;
	flushed_settle(engine, db, key);
	if (found_current(engine, db, key, out) &&
	    moment_reaches(moment, out->lsn, out->since_ms))
		return PAST_FOUND;
	const struct past_key *past = history_find(history, db, key);
	const struct version *version = past == NULL ? NULL : history_at(past, moment);
	if (version != NULL && version->end_lsn > history->floor_lsn) {
		found_version(engine, version, out);
		return PAST_FOUND;
	}
	return history_covers(history, moment) ? PAST_ABSENT : PAST_FORGOTTEN;
}

uint32_t past_versions(struct engine *engine, uint8_t db, struct span key,
    struct past_found *out, uint32_t max)
{
	struct past_found current;
	uint32_t count = 0;
	flushed_settle(engine, db, key);
	if (found_current(engine, db, key, &current) && count++ < max)
		*out++ = current;
	const struct past_key *past = history_find(&engine->past->history, db, key);
	if (past == NULL)
		return count;
	for (const struct version *version = past->newest; version != NULL; version = version->older) {
		if (version->end_lsn <= engine->past->history.floor_lsn)
			break;
		if (count++ < max)
			found_version(engine, version, out++);
	}
	return count;
}

uint64_t past_gate(const struct engine *engine, uint64_t lsn)
{
	bool waits = engine_sync_level(engine, ENTRY_IMAGE) == SYNC_ALWAYS &&
	    lsn > replication_written_lsn(engine);
	return waits ? lsn : 0;
}

void past_info(const struct engine *engine, struct buf *out)
{
	const struct past *past = engine->past;
	const struct version *oldest = history_oldest(&past->history);
	buf_printf(out,
	    "history_versions:%llu\r\nhistory_keys:%llu\r\nhistory_bytes:%llu\r\n"
	    "history_memory:%llu\r\nhistory_oldest_ms:%lld\r\nhistory_given_up:%llu\r\n"
	    "history_floor_lsn:%llu\r\nshared_records:%llu\r\nreadonly:%d\r\nclone_lsn:%llu\r\n",
	    (unsigned long long)past->history.versions, (unsigned long long)past->history.keys,
	    (unsigned long long)past->bytes, (unsigned long long)engine->memory.history.bytes,
	    oldest == NULL ? 0LL : (long long)oldest->until_ms, (unsigned long long)past->given_up,
	    (unsigned long long)past->history.floor_lsn, (unsigned long long)past->held.count,
	    engine->settings->readonly,
	    past->has_moment ? (unsigned long long)past->clone_lsn : 0ULL);
}
