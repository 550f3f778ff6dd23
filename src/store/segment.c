/* store/segment.c: the table of segments, ordered by id, and what each one holds. */
#include "store/state.h"

#include <stdio.h>

void segment_name(char out[32], enum tier tier, uint32_t id)
{
	static const char *const tiers[TIER_COUNT] = {"hot", "warm"};
	ASSERT(tier < TIER_COUNT);
	int len = snprintf(out, 32, "%s-%08u.seg", tiers[tier], id);
	ASSERT(len > 0 && len < 32);
}

char *segment_path_new(struct store *store, enum tier tier, const char *name, size_t *bytes)
{
	const char *dir = store->dir[tier];
	ASSERT(dir != NULL);
	*bytes = strlen(dir) + strlen(name) + 2;
	char *path = memory_alloc(store->memory, *bytes);
	int len = snprintf(path, *bytes, "%s/%s", dir, name);
	ASSERT(len > 0 && (size_t)len < *bytes);
	return path;
}

/* Position of the first segment whose id is not below `id`. */
static uint32_t segment_position(const struct store *store, uint32_t id)
{
	uint32_t low = 0, high = store->segment_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (store->segments[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	ASSERT(low <= store->segment_count);
	return low;
}

static void segment_insert(struct store *store, struct segment *segment)
{
	uint32_t at = segment_position(store, segment->id);
	ASSERT(at == store->segment_count || store->segments[at]->id != segment->id);
	if (store->segment_count == store->segment_cap) {
		uint32_t cap = store->segment_cap == 0 ? 16 : 2 * store->segment_cap;
		store->segments = memory_resize(store->memory, store->segments,
		    store->segment_cap * sizeof(*store->segments), cap * sizeof(*store->segments));
		store->segment_cap = cap;
	}
	memmove(&store->segments[at + 1], &store->segments[at],
	    (store->segment_count - at) * sizeof(*store->segments));
	store->segments[at] = segment;
	store->segment_count++;
}

static void segment_remove(struct store *store, const struct segment *segment)
{
	uint32_t at = segment_position(store, segment->id);
	ASSERT(at < store->segment_count);
	ASSERT(store->segments[at] == segment);
	store->segment_count--;
	memmove(&store->segments[at], &store->segments[at + 1],
	    (store->segment_count - at) * sizeof(*store->segments));
}

struct segment *segment_new(struct store *store, enum tier tier, uint32_t id, const char *name)
{
	struct segment *segment = memory_zalloc(store->memory, sizeof(*segment));
	ASSERT(id > 0);
	segment->magic = SEGMENT_MAGIC;
	segment->store = store;
	segment->id = id;
	segment->tier = (uint8_t)tier;
	segment->fd = -1;
	segment->bytes = store->options.segment_bytes;
	segment->tail = segment->written = SECTOR;
	segment->lsn_min = segment->death_lsn = UINT64_MAX;
	store->tier_bytes[tier] += segment->bytes;
	segment->stream = STREAM_COUNT;
	segment->expire_last_ms = INT64_MIN;
	segment->zero_from = SECTOR;
	segment->path = segment_path_new(store, tier, name, &segment->path_bytes);
	segment_insert(store, segment);
	return segment;
}

void segment_free(struct store *store, struct segment *segment)
{
	ASSERT(segment->pins == 0 && segment->zero_iov.iov_len == 0);
	ASSERT(segment->fd < 0);
	footer_drop(segment);
	segment_set_bytes(segment, 0);
	segment_set_state(segment, SEGMENT_RETIRING);
	segment_remove(store, segment);
	DROP_OBJ(segment, SEGMENT_MAGIC);
	memory_free(store->memory, segment->path, segment->path_bytes);
	memory_free(store->memory, segment, sizeof(*segment));
}

/* Ids follow each other where nothing was freed: a guess is right most of the time. */
struct segment *segment_find(const struct store *store, uint32_t id)
{
	uint32_t count = store->segment_count;
	uint32_t guess = count == 0 || id < store->segments[0]->id ? 0 : id - store->segments[0]->id;
	if (guess < count && store->segments[guess]->id == id)
		return store->segments[guess];
	uint32_t at = segment_position(store, id);
	if (at == store->segment_count || store->segments[at]->id != id)
		return NULL;
	CHECK_OBJ(store->segments[at], SEGMENT_MAGIC);
	return store->segments[at];
}

void segment_set_id(struct store *store, struct segment *segment, uint32_t id)
{
	ASSERT(id > 0);
	ASSERT(segment_find(store, id) == NULL || id == segment->id);
	segment_remove(store, segment);
	segment->id = id;
	segment_insert(store, segment);
}

void segment_clear(struct segment *segment)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	ASSERT(segment->live_records == 0 && segment->pins == 0);
	segment->tail = segment->written = SECTOR;
	segment->records = segment->record_bytes = segment->marks = segment->mark_bytes = 0;
	segment->expires = segment->expire_bytes = 0;
	segment->lsn_min = segment->death_lsn = UINT64_MAX;
	segment->has_ended = false;
	segment->life = 0;
	segment->lsn_max = segment->mark_lsn_max = segment->free_lsn = segment->birth_lsn = 0;
	segment->stream = STREAM_COUNT;
	segment->evacuated = segment->left_alone = false;
	segment->expire_last_ms = INT64_MIN;
	memset(segment->ended, 0, sizeof(segment->ended));
	footer_drop(segment);
	segment->footer_lost = false;
	segment->footer_raw = 0;
}

void segment_note(struct segment *segment, uint64_t lsn, uint32_t bytes, bool is_mark, uint8_t type)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	ASSERT(lsn > 0);
	segment->records++;
	segment->record_bytes += bytes;
	segment->lsn_min = min_u64(segment->lsn_min, lsn);
	segment->lsn_max = max_u64(segment->lsn_max, lsn);
	if (is_mark) {
		segment->marks++;
		segment->mark_bytes += bytes;
		if (type == RECORD_EXPIRE) {
			segment->expires++;
			segment->expire_bytes += bytes;
		}
		segment->mark_lsn_max = max_u64(segment->mark_lsn_max, lsn);
	}
}

void segment_retain(struct segment *segment, uint32_t bytes)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	ASSERT(bytes > 0);
	segment->live_records++;
	segment->live_bytes += bytes;
}

void segment_release(struct store *store, struct segment *segment, uint32_t bytes)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	ASSERT(segment->live_records > 0);
	ASSERT(segment->live_bytes >= bytes);
	segment->live_records--;
	segment->live_bytes -= bytes;
	segment->free_lsn = max_u64(segment->free_lsn, store->next_lsn - 1);
	/* In recovery nobody knows any more when it died. */
	segment_note_death(segment, store->recovery != NULL ? 0 : store->next_lsn - 1);
	if (segment->live_records == 0)
		store->reclaim_due = true;
}

void segment_set_state(struct segment *segment, enum segment_state state)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	uint32_t *spares = &segment->store->spares[segment->tier];
	if (segment->state == SEGMENT_SPARE) {
		ASSERT(*spares > 0);
		*spares -= 1;
	}
	if (state == SEGMENT_SPARE)
		*spares += 1;
	segment->state = (uint8_t)state;
}

void segment_set_bytes(struct segment *segment, uint64_t bytes)
{
	CHECK_OBJ(segment, SEGMENT_MAGIC);
	uint64_t *all = &segment->store->tier_bytes[segment->tier];
	ASSERT(*all >= segment->bytes);
	*all += bytes - segment->bytes;
	segment->bytes = bytes;
}

/* Spares were made lately, and ids count up: they are found near the end of the table. */
struct segment *segment_spare(const struct store *store, enum tier tier, uint32_t *count)
{
	struct segment *first = NULL;
	ASSERT(tier < TIER_COUNT);
	*count = store->spares[tier];
	uint32_t left = *count;
	for (uint32_t i = store->segment_count; left > 0; i--) {
		ASSERT(i > 0);
		struct segment *segment = store->segments[i - 1];
		if (segment->tier != tier || segment->state != SEGMENT_SPARE)
			continue;
		first = segment;
		left--;
	}
	return first;
}

uint64_t segment_bytes_of(const struct store *store, enum tier tier)
{
	ASSERT(tier < TIER_COUNT);
	ASSERT(store->segment_count > 0 || store->tier_bytes[tier] == 0);
	return store->tier_bytes[tier];
}
