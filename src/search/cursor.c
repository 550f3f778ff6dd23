/* search/cursor.c: see cursor.h. */
#include "search/cursor.h"

#include "search/block.h"
#include "search/simd.h"

enum { PLACE_STEPS = 16 };

void cursor_init(struct cursor *cursor, struct term *term)
{
	ASSERT(term != NULL);
	cursor->term = term;
	cursor->weight = cursor->bound = 0;
	cursor->place = 0;
	cursor->version = term->list.version;
	cursor->run_at = CURSOR_NO_RUN;
	cursor->run.part = PART_NONE;
	cursor->near = CURSOR_NO_RUN;
	cursor->has_ones = cursor->limits.is_made = false;
	term->pins++;
}

void cursor_fini(struct cursor *cursor)
{
	ASSERT(cursor->term->pins > 0);
	cursor->term->pins--;
	cursor->term = NULL;
}

static void cursor_check(struct cursor *cursor)
{
	if (cursor->version == cursor->term->list.version)
		return;
	cursor->version = cursor->term->list.version;
	cursor->run_at = CURSOR_NO_RUN;
}

/* Blocks lie anywhere in memory; the neighbours of this one come next, as a rule. */
static void prefetch_block(const struct postings *list, uint32_t at)
{
	if (at >= list->block_count)
		return;
	const uint8_t *block = (const uint8_t *)list->skips[at].block;
	__builtin_prefetch(block);
	__builtin_prefetch(block + 64);
	__builtin_prefetch(block + 128);
	__builtin_prefetch(block + 192);
}

void cursor_move(struct cursor *cursor, uint32_t at)
{
	cursor_check(cursor);
	if (cursor->run_at == at)
		return;
	cursor->run.part = PART_NONE;
	cursor->run_at = at;
	cursor->place = 0;
	postings_bounds(&cursor->term->list, at, &cursor->run_first, &cursor->run_last);
}

void cursor_load(struct cursor *cursor, uint32_t at, enum posting_part part)
{
	cursor_check(cursor);
	if (cursor->run_at == at && cursor->run.part >= part)
		return;
	if (cursor->run_at != at) {
		cursor_move(cursor, at);
		prefetch_block(&cursor->term->list, at + 1);
		prefetch_block(&cursor->term->list, at - 1);
	}
	postings_load(&cursor->term->list, at, part, &cursor->run);
}

uint32_t cursor_find(struct cursor *cursor, uint32_t docid)
{
	const struct postings *list = &cursor->term->list;
	cursor_check(cursor);
	uint32_t count = postings_run_count(list), at = cursor->run_at, first, last;
	if (at == CURSOR_NO_RUN)
		return postings_find(list, docid, 0, count);
	last = cursor->run_last;
	if (docid >= cursor->run_first && docid <= last)
		return at;
	/* The answer is near, as a rule: steps that double, then halves. */
	uint32_t step = 1, from = at;
	if (docid > last) {
		for (from = at + 1; from < count; step *= 2) {
			uint32_t until = count - from > step ? from + step : count;
			postings_bounds(list, until - 1, &first, &last);
			if (docid <= last)
				return postings_find(list, docid, from, until);
			from = until;
		}
		return count;
	}
	while (from > 0) {
		from = from > step ? from - step : 0;
		postings_bounds(list, from, &first, &last);
		if (docid >= first)
			break;
		step *= 2;
	}
	return postings_find(list, docid, from, at + 1);
}

/* The first place in the run whose id is >= docid; the count if none. */
uint32_t cursor_run_find(const struct posting_run *run, uint32_t docid)
{
	uint32_t base = 0;
	if (run->count == 0)
		return 0;
	if (run->count == PACK_COUNT)
		return simd_count_below(run->docids, docid);
	/* Halves without branches: which way it goes cannot be foreseen. */
	for (uint32_t left = run->count, half; left > 1; left -= half) {
		half = left / 2;
		base += (run->docids[base + half - 1] < docid) * half;
	}
	return base + (run->docids[base] < docid);
}

uint32_t cursor_place(struct cursor *cursor, uint32_t docid)
{
	const struct posting_run *run = &cursor->run;
	uint32_t at = cursor->place < run->count ? cursor->place : 0;
	if (run->docids[at] > docid)
		at = 0;
	uint32_t end = at + PLACE_STEPS < run->count ? at + PLACE_STEPS : run->count;
	while (at < end && run->docids[at] < docid)
		at++;
	if (at == end && end < run->count)
		at = cursor_run_find(run, docid);
	cursor->place = at;
	return at;
}

uint32_t cursor_before(struct cursor *cursor, uint32_t limit)
{
	const struct postings *list = &cursor->term->list;
	uint32_t first, last;
	uint32_t at = cursor_find(cursor, limit);
	if (at < postings_run_count(list)) {
		postings_bounds(list, at, &first, &last);
		if (first < limit) {
			cursor_load(cursor, at, PART_DOCIDS);
			uint32_t place = cursor_run_find(&cursor->run, limit);
			if (place > 0)
				return cursor->run.docids[place - 1];
		}
	}
	if (at == 0)
		return DOCID_NONE;
	postings_bounds(list, at - 1, &first, &last);
	return last;
}

bool cursor_at(
    struct cursor *cursor, uint32_t docid, enum posting_part part, uint32_t *place)
{
	uint32_t at = cursor_find(cursor, docid);
	if (at == postings_run_count(&cursor->term->list))
		return false;
	cursor_load(cursor, at, part);
	*place = cursor_place(cursor, docid);
	return *place < cursor->run.count && cursor->run.docids[*place] == docid;
}

/* Goes to the document's run. False: it is not there; else its place there is known. */
static bool cursor_reach(struct cursor *cursor, uint32_t docid, uint32_t *place)
{
	const struct postings *list = &cursor->term->list;
	if (list->bits != NULL && !dense_has(list, docid))
		return false;
	uint32_t at = cursor_find(cursor, docid);
	if (at == postings_run_count(list))
		return false;
	cursor_move(cursor, at);
	if (list->bits != NULL && at < list->block_count && cursor->run.part == PART_NONE) {
		*place = dense_place(list, at, docid);
		return true;
	}
	cursor_load(cursor, at, PART_DOCIDS);
	*place = cursor_place(cursor, docid);
	return *place < cursor->run.count && cursor->run.docids[*place] == docid;
}

static uint32_t tf_at(struct cursor *cursor, uint32_t place)
{
	const struct postings *list = &cursor->term->list;
	if (cursor->run_at == list->block_count)
		cursor_load(cursor, cursor->run_at, PART_TFS);
	if (cursor->run.part >= PART_TFS)
		return cursor->run.tfs[place];
	return posting_tf(list, cursor->run_at, place);
}

uint32_t cursor_tf(struct cursor *cursor, uint32_t docid)
{
	const struct postings *list = &cursor->term->list;
	uint32_t place;
	if (list->bits != NULL) {
		uint32_t tf = dense_has(list, docid) ? dense_tf(list, docid) : 0;
		if (tf < DENSE_TF_MAX)
			return tf;
	}
	return cursor_reach(cursor, docid, &place) ? tf_at(cursor, place) : 0;
}

uint32_t cursor_positions(struct cursor *cursor, uint32_t docid, uint32_t out[POSTING_TF_MAX])
{
	const struct postings *list = &cursor->term->list;
	uint32_t place, before = 0;
	if (!cursor_reach(cursor, docid, &place))
		return 0;
	if (cursor->run_at == list->block_count) {
		cursor_load(cursor, cursor->run_at, PART_POSITIONS);
		return posting_run_positions(&cursor->run, place, out);
	}
	uint32_t tf = tf_at(cursor, place);
	if (tf > 1) {
		cursor_load(cursor, cursor->run_at, PART_TFS);
		for (uint32_t i = 0; i < place; i++)
			before += cursor->run.tfs[i] - 1u;
	}
	return posting_positions(list, cursor->run_at, place, tf, before, out);
}
