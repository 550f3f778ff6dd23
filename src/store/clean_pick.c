/* store/clean_pick.c: the next victim, and which marks are still needed. See clean.h. */
#include "store/clean.h"

enum { MARKS_SHARE = 20 };        /* marks may take 1/20 of the store before they are a burden */

/* The smallest LSN of a mark that this segment may need. It needs all that are larger, too. */
static uint64_t pins_from(const struct segment *segment)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	if (segment->lsn_min == UINT64_MAX)
		return UINT64_MAX;
	if (segment->moves_pending > 0)       /* they may be dead already */
		return segment->lsn_min + 1;
	if (segment->death_lsn == UINT64_MAX)
		return UINT64_MAX;
	uint64_t from = max_u64(segment->lsn_min + 1, segment->death_lsn);
	return segment->stream == STREAM_USER ? from : max_u64(from, segment->birth_lsn);
}

struct clean_pins clean_pins(const struct store *store)
{
	struct clean_pins pins = {.first = UINT64_MAX, .second = UINT64_MAX};
	for (uint32_t i = 0; i < store->segment_count; i++) {
		const struct segment *segment = store->segments[i];
		uint64_t from = pins_from(segment);
		if (from < pins.first) {
			pins.second = pins.first;
			pins.first = from;
			pins.whose = segment;
		} else if (from < pins.second) {
			pins.second = from;
		}
	}
	ASSERT(pins.first <= pins.second);
	/* A checkpoint needs all marks that would be replayed on it. */
	pins.first = min_u64(pins.first, checkpoint_keep_lsn(store));
	pins.second = min_u64(pins.second, checkpoint_keep_lsn(store));
	if (store->keep_marks_lsn != UINT64_MAX) {        /* somebody has not heard of them yet */
		pins.first = min_u64(pins.first, store->keep_marks_lsn + 1);
		pins.second = min_u64(pins.second, store->keep_marks_lsn + 1);
	}
	return pins;
}

bool clean_needs_mark(const struct clean_pins *pins, const struct segment *lies_in, uint64_t lsn)
{
	ASSERT(lsn > 0);
	bool alone = lies_in == pins->whose && !(lies_in->has_ended && lies_in->live_records > 0);
	return lsn >= (alone ? pins->second : pins->first);
}

void void_note(struct store *store, uint64_t from, uint64_t to)
{
	ASSERT(from > 0);
	if (store->void_count == store->void_cap) {
		uint32_t cap = store->void_cap == 0 ? 16 : 2 * store->void_cap;
		store->voids = memory_resize(store->memory, store->voids,
		    store->void_cap * sizeof(*store->voids), cap * sizeof(*store->voids));
		store->void_cap = cap;
	}
	store->voids[store->void_count++] = (struct void_range){from, to};
}

bool void_covers(const struct store *store, uint64_t lsn)
{
	for (uint32_t i = 0; i < store->void_count; i++) {
		if (lsn >= store->voids[i].from && lsn < store->voids[i].to)
			return true;
	}
	return false;
}

static struct clean_view view_of(const struct clean_pins *pins, const struct segment *segment)
{
	struct clean_view view = {
		.bytes = segment->bytes,
		.used = segment->tail > SECTOR ? segment->tail - SECTOR : 0,
		.records = segment->records,
		.record_bytes = segment->record_bytes,
		.live_records = segment->live_records,
		.live_bytes = segment->live_bytes,
		.dense = segment->stream != STREAM_USER && segment->stream != STREAM_COUNT,
	};
	uint64_t expires = segment->expire_bytes;
	ASSERT(segment->mark_bytes >= expires);
	if (segment->marks > segment->expires &&
	    clean_needs_mark(pins, segment, segment->mark_lsn_max))
		view.mark_bytes = segment->mark_bytes - expires;
	/* Of EXPIREs only the owner knows. Those that the cleaner carried were needed then. */
	if (view.dense)
		view.mark_bytes += expires;
	return view;
}

/* It may be cleaned, whether that is worth it or not. */
static bool is_candidate(const struct store *store, const struct segment *segment)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	if (segment->state != SEGMENT_SEALED || segment->pins > 0 || segment->fd < 0)
		return false;
	if (segment->left_alone || segment->evacuated || segment->zero_iov.iov_len > 0)
		return false;
	if (segment->clean_after_us > io_now_us(store->io))
		return false;
	return segment->lsn_max <= store->recorded_lsn &&
	    (segment->live_records > 0 || segment->marks > 0);
}

struct segment *clean_pick(const struct store *store)
{
	const struct clean_pins pins = clean_pins(store);
	struct segment *best = NULL;
	double best_score = 0;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		struct segment *segment = store->segments[i];
		if (segment->tier != TIER_HOT || !is_candidate(store, segment))
			continue;
		struct clean_view view = view_of(&pins, segment);
		ASSERT(segment->lsn_max < store->next_lsn);
		double score = clean_score(clean_share(&view), store->next_lsn - segment->lsn_max);
		if (score > best_score) {
			best_score = score;
			best = segment;
		}
	}
	return best;
}

struct segment *clean_pick_idle(const struct store *store)
{
	const struct clean_pins pins = clean_pins(store);
	int64_t soon_ms = io_wall_ms(store->io) + CLEAN_SHORT_MS;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		struct segment *segment = store->segments[i];
		if (!is_candidate(store, segment) || segment->expire_last_ms < soon_ms)
			continue;
		struct clean_view view = view_of(&pins, segment);
		if (clean_is_idle_gain(&view) && clean_score(clean_share(&view), 1) > 0)
			return segment;
	}
	return NULL;
}

struct segment *clean_pick_pinning(const struct store *store)
{
	const struct clean_pins pins = clean_pins(store);
	struct segment *first = NULL;
	uint64_t marks = 0, records = 0, first_from = UINT64_MAX;
	for (uint32_t i = 0; i < store->segment_count; i++) {
		struct segment *segment = store->segments[i];
		records += segment->record_bytes;
		if (segment->marks > segment->expires &&
		    clean_needs_mark(&pins, segment, segment->mark_lsn_max))
			marks += segment->mark_bytes - segment->expire_bytes;
		uint64_t from = pins_from(segment);
		if (from < first_from && is_candidate(store, segment)) {
			first = segment;
			first_from = from;
		}
	}
	return marks > records / MARKS_SHARE ? first : NULL;
}

/* Dead ones that only wait for the log to say so count as free. */
struct clean_room clean_room(const struct store *store)
{
	uint64_t used = 0, size = store->options.segment_bytes;
	ASSERT(size > 0);
	for (uint32_t i = 0; i < store->segment_count; i++) {
		const struct segment *segment = store->segments[i];
		bool free = segment->state == SEGMENT_SPARE || segment->state == SEGMENT_MAKING;
		bool dying = segment->state == SEGMENT_SEALED && segment->live_records == 0 &&
		    segment->marks == 0;
		if (segment->tier == TIER_HOT && !free && !dying)
			used += segment->bytes;
	}
	uint64_t total = store->options.disk_bytes_max;
	if (total == 0)
		total = max_u64(used, segment_bytes_of(store, TIER_HOT)) + store->cleaner->disk_free;
	return (struct clean_room){
		.total = total / size,
		.free = total > used ? (total - used) / size : 0,
	};
}
