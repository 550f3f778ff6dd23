/* engine/past/past_window.c: how far back the past goes: recovery, clones, the window, and what is
 * given up on a full disk. See past.h.
 *
 * What is forgotten is known by its end: everything that ended at or before the floor may be
 * missing. The floor is exact while the server runs. After a restart it follows from the window
 * that the log says was kept: a record whose segment is gone was released when its time was
 * over, so whatever ended before that may be incomplete, and whatever ended later is not.
 */
#include "engine/past/past_load.h"
#include "engine/past/past_state.h"
#include "engine/replica/rejoin.h"
#include "engine/replica/replica.h"

#include "base/arith.h"
#include "base/date.h"
#include "base/number.h"

enum {
	FORGET_PER_PASS = 256,
	GIVE_UP_VERSIONS = 4096,
	GIVE_UP_PAUSE_US = 100000,
	GIVE_UP_LOG_US = 60000000,
};

static const char past_setting_key[] = "history:window";

/* open-at: "LSN n", or a time. */
enum err past_parse_moment(struct past *past)
{
	struct engine *engine = past->engine;
	const struct settings *settings = engine->settings;
	past->rewinds = settings->rewind_to[0] != 0;
	past->rejoins = !past->rewinds && engine->rejoin->cut;
	if (past->rejoins) {
		past->has_moment = past->rewinds = true;
		past->moment = (struct moment){.by_lsn = true, .lsn = engine->rejoin->common};
		return OK;
	}
	struct span text = span_text(past->rewinds ? settings->rewind_to : settings->open_at);
	int64_t lsn, last_ms;
	if (text.len == 0)
		return OK;
	past->has_moment = true;
	if (past->rewinds && (settings->readonly || settings->open_at[0] != 0)) {
		log_warning(engine->log, "rewind-to changes the store: neither readonly nor open-at go with it");
		return ERR_INVALID;
	}
	past->moment.by_lsn = text.len > 4 && span_is(span_slice(text, 0, 4), "LSN ");
	if (!past->rewinds && !settings->readonly) {
		log_warning(engine->log, "open-at needs readonly: the past cannot be changed");
		return ERR_INVALID;
	}
	if (past->moment.by_lsn && number_parse_range(
	        span_slice(text, 4, text.len), 0, INT64_MAX, &lsn)) {
		past->moment.lsn = (uint64_t)lsn;
		return OK;
	}
	if (!past->moment.by_lsn && date_parse(text, &past->moment.ms, &last_ms))
		return OK;
	log_warning(engine->log, "%s is a time (Unix ms or ISO 8601) or LSN n, not '%.*s'",
	    past->rewinds ? "rewind-to" : "open-at", (int)text.len, (const char *)text.ptr);
	return ERR_INVALID;
}

/* ---- Recovery ---- */

/* A group is applied to its end, or not at all. */
static bool past_is_behind(struct past *past, const struct record *record)
{
	if (!past->has_moment || past->behind)
		return past->behind;
	past->behind =
	    !past->in_group && !moment_reaches(&past->moment, record->lsn, record->time_ms);
	past->in_group = (record->flags & RECORD_CONTINUES) != 0;
	return past->behind;
}

bool past_recovering(struct engine *engine, const struct record *record)
{
	struct past *past = engine->past;
	int64_t window_s = engine->settings->history_window_s;
	if (past->logged_window_s >= 0 && past->logged_window_s < window_s)
		window_s = past->logged_window_s;
	if (past->first_lsn == 0 && record->time_ms > past->opened_ms - window_s * 1000)
		past->first_lsn = record->lsn;
	if (past_is_behind(past, record))
		return true;
	past->clone_lsn = record->lsn;
	if (past->has_moment && !past->rewinds)
		engine->frozen_ms = past->moment.by_lsn ? record->time_ms : past->moment.ms;
	return false;
}

bool past_setting(struct engine *engine, const struct record *record)
{
	struct past *past = engine->past;
	struct history *history = &past->history;
	char text[128];
	long long window_s, floor_ms;
	unsigned long long floor_lsn;
	if (!span_is(record->key, past_setting_key))
		return false;
	if (past->logged_place.segment != 0)
		store_release(engine->store, past->logged_place);
	past->logged_place = record->place;
	size_t len = record->value.len < sizeof(text) ? record->value.len : sizeof(text) - 1;
	if (len > 0)
		memcpy(text, record->value.ptr, len);
	text[len] = 0;
	if (sscanf(text, "%lld %llu %lld", &window_s, &floor_lsn, &floor_ms) != 3 || window_s < 0) {
		log_warning(engine->log, "the history's record cannot be read: no history");
		window_s = 0;
		floor_lsn = record->lsn;
		floor_ms = record->time_ms;
	}
	if (past->logged_window_s < 0 || past->logged_window_s > window_s)
		past->first_lsn = 0;          /* with a smaller window, it begins later */
	past->logged_window_s = window_s;
	history->floor_lsn = max_u64(history->floor_lsn, floor_lsn);
	if (history->floor_ms < floor_ms)
		history->floor_ms = floor_ms;
	/* On top of a checkpoint: their records may be gone. */
	const struct version *oldest;
	while ((oldest = history_oldest(history)) != NULL && oldest->end_lsn <= history->floor_lsn)
		past_forget_oldest(past);
	return true;
}

bool past_setting_is_live(const struct engine *engine, const struct record *record)
{
	return span_is(record->key, past_setting_key) &&
	    place_equal(engine->past->logged_place, record->place);
}

bool past_setting_relocated(
    struct engine *engine, const struct record *record, struct place from, struct place to)
{
	struct place *place = &engine->past->logged_place;
	if (!span_is(record->key, past_setting_key) || !place_equal(*place, from))
		return false;
	*place = to;
	return true;
}

/* Below this nothing is certain: what ended there may be gone, or partly so. */
static void past_find_floor(struct past *past)
{
	struct engine *engine = past->engine;
	struct history *history = &past->history;
	int64_t window_s = engine->settings->history_window_s;
	if (store_last_lsn(engine->store) == 0)
		return;                       /* nothing ever happened: nothing is missing */
	if (window_s > past->logged_window_s)
		window_s = past->logged_window_s < 0 ? 0 : past->logged_window_s;
	int64_t floor_ms = past->opened_ms - window_s * 1000;
	uint64_t floor_lsn = past->first_lsn - 1;
	if (past->first_lsn == 0 || past->logged_window_s < 0)
		floor_lsn = store_last_lsn(engine->store);
	history->floor_lsn = max_u64(history->floor_lsn, floor_lsn);
	if (history->floor_ms < floor_ms)
		history->floor_ms = floor_ms;
}

static void value_collect(void *ctx, struct entry *entry)
{
	if (entry->type != ENTRY_IMAGE)
		buf_append(ctx, span_of(&entry, sizeof(entry)));
}

/* Values have no past: what one was at the moment may be gone, and an older value there. */
static void past_drop_strings(struct engine *engine)
{
	const struct ending ending = {.state = VERSION_DELETED};
	struct buf found;
	buf_init(&found, &engine->memory.engine);
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		struct directory *directory = &engine->directories[db];
		uint64_t cursor = 0;
		do {
			cursor = directory_scan(directory, cursor, value_collect, &found);
			for (size_t at = 0; at < found.len; at += sizeof(struct entry *)) {
				struct entry *entry;
				memcpy(&entry, found.ptr + at, sizeof(entry));
				engine_forget(engine, (uint8_t)db, entry,
				    directory_hash(directory, entry_key(entry)), &ending);
			}
			buf_clear(&found);
		} while (cursor != 0);
	}
	buf_fini(&found);
}

/* What came behind the moment is cut off for good. The settings of history among it are written
 * again, and the wish is fulfilled once. */
static enum err past_rewind(struct past *past)
{
	struct engine *engine = past->engine;
	uint64_t lsn = past->rejoins ? past->moment.lsn : past->clone_lsn;
	engine->settings->rewind_to[0] = 0;
	log_notice(engine->log, "rewound to LSN %llu; what came later is cut off", (unsigned long long)lsn);
	if (!past->behind)
		return OK;
	if (!past->rejoins)                   /* else the leader's log says it */
		past->logged_window_s = -1;
	return store_rewind(engine->store, lsn);
}

enum err past_opened(struct engine *engine)
{
	struct past *past = engine->past;
	held_fini(&past->released);
	past->known_lsn = 0;
	past_find_floor(past);
	if (!past->has_moment)
		return OK;
	if (!past->rejoins && !history_covers(&past->history, &past->moment)) {
		log_warning(engine->log, "the moment asked for lies before what history-window keeps");
		return ERR_NOTFOUND;
	}
	if (past->behind && !past->rejoins)
		past_drop_strings(engine);
	if (past->rewinds)
		return past_rewind(past);
	log_notice(engine->log, "a clone of the past, up to LSN %llu; it can only be read",
	    (unsigned long long)past->clone_lsn);
	return OK;
}

/* ---- Forgetting ---- */

/* Says in the log what is kept, when that has changed, or `floor` that is being given up. */
static enum err past_log(struct past *past, uint64_t floor_lsn, int64_t floor_ms)
{
	struct engine *engine = past->engine;
	char text[128];
	int len = snprintf(text, sizeof(text), "%lld %llu %lld",
	    (long long)engine->settings->history_window_s, (unsigned long long)floor_lsn,
	    (long long)floor_ms);
	ASSERT(len > 0 && (size_t)len < sizeof(text));
	struct record record = {
	    .type = RECORD_SETTING,
	    .db = RECORD_ALL_DBS,
	    .key = span_text(past_setting_key),
	    .value = span_of(text, (size_t)len),
	    .sync = SYNC_NO,
	};
	enum err err = store_append(engine->store, &record);
	if (err != OK)
		return err;
	if (past->logged_place.segment != 0)
		store_release(engine->store, past->logged_place);
	past->logged_place = record.place;
	past->logged_window_s = engine->settings->history_window_s;
	return OK;
}

static bool past_has_images(const struct engine *engine)
{
	uint64_t images = engine->past->history.versions;
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		images += engine->images[i];
	return images > 0;
}

static void past_log_if_due(struct past *past)
{
	struct engine *engine = past->engine;
	struct history *history = &past->history;
	if (past->logged_window_s == engine->settings->history_window_s || !past_has_images(engine) ||
	    engine_follows(engine))
		return;
	if (store_state(engine->store) == OK &&
	    past_log(past, history->floor_lsn, history->floor_ms) != OK)
		log_verbose(engine->log, "no room yet to say how much history is kept");
}

/* A version that claims to have ended in the future ended now: a clock was wrong. */
static bool version_is_over(const struct past *past, struct version *version)
{
	int64_t now_ms = (int64_t)engine_now_ms(past->engine);
	if (version->until_ms > now_ms)
		version->until_ms = now_ms;
	return version->end_lsn <= past->history.floor_lsn ||
	    version->until_ms + past_window_ms(past->engine) <= now_ms;
}

static bool past_forget_some(struct past *past)
{
	for (int i = 0; i < FORGET_PER_PASS; i++) {
		struct version *oldest = history_oldest(&past->history);
		if (oldest == NULL || !version_is_over(past, oldest))
			return false;
		past_forget_oldest(past);
	}
	return true;
}

/* The end of the slice that is worth about two segments: first said, then done, so that a
 * segment can be used again only when it is known that its versions are forgotten. */
static void past_give_up(struct past *past)
{
	struct engine *engine = past->engine;
	struct history *history = &past->history;
	uint64_t enough = 2 * engine->settings->segment_bytes, bytes = 0, count = 0, floor_lsn = 0;
	int64_t floor_ms = history->floor_ms;
	for (struct list *at = history->line.next; at != &history->line; at = at->next) {
		const struct version *version = LIST_OF(at, struct version, line);
		const struct held *held = held_find(&past->held, version->body_lsn);
		ASSERT(held != NULL);
		if (count == GIVE_UP_VERSIONS || bytes >= enough)
			break;
		count++;
		bytes += held->refs == 1 ? past_bytes_of(held) : 0;
		floor_lsn = version->end_lsn;
		floor_ms = version->until_ms > floor_ms ? version->until_ms : floor_ms;
	}
	if (count == 0 || past_log(past, floor_lsn, floor_ms) != OK)
		return;
	past->give_up_lsn = store_last_lsn(engine->store);
	for (uint64_t i = 0; i < count; i++)
		past_forget_oldest(past);
	past->given_up += count;
	store_sync(engine->store);
	uint64_t now_us = io_now_us(engine->io);
	if (past->give_up_said_us != 0 && now_us - past->give_up_said_us < GIVE_UP_LOG_US)
		return;
	past->give_up_said_us = now_us;
	log_warning(engine->log,
	    "the disk is full: history is given up, oldest first; %llu versions so far",
	    (unsigned long long)past->given_up);
}

bool past_is_yielding(const struct engine *engine)
{
	const struct past *past = engine->past;
	if (store_state(engine->store) != ERR_DISKFULL)
		return false;
	return past->history.versions > 0 || past->give_up_lsn != 0;
}

bool past_may_try(const struct engine *engine)
{
	return !past_is_yielding(engine) || engine->past->tried;
}

/* A slice is given up; it becomes known to be durable; the store has a moment to use the room;
 * whoever waits tries once; and if that was not enough, the next slice. */
static void past_yield(struct past *past)
{
	struct store *store = past->engine->store;
	uint64_t now_us = io_now_us(past->engine->io);
	if (past->give_up_lsn != 0 && store_recorded_lsn(store) < past->give_up_lsn) {
		if (store_durable_lsn(store) >= past->give_up_lsn)
			store_record_durable(store);
		return;
	}
	if (past->give_up_lsn != 0) {
		past->give_up_lsn = 0;
		past->tried = false;
		past->give_up_next_us = now_us + GIVE_UP_PAUSE_US;
	} else if (now_us >= past->give_up_next_us && !past->tried) {
		past->tried = true;
	} else if (now_us >= past->give_up_next_us) {
		past_give_up(past);
		past->tried = past->give_up_lsn == 0;
	}
}

bool past_step(struct engine *engine)
{
	struct past *past = engine->past;
	past_log_if_due(past);
	bool more = past_forget_some(past);
	if (store_is_short(engine->store))
		past_yield(past);
	else
		past->give_up_lsn = 0;
	return more;
}
