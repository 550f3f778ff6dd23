/* search/collect.c: the matches of a window are counted and offered to the results. */
#include "search/titles.h"

#include <math.h>

enum { COLLECT_UNIT = 128, COLLECT_UNIT_DEEP = TITLES_AHEAD, TOP_DEEP = 1024 };

static void scores_clear(struct search *search)
{
	if (!search->scoring)
		return;
	for (uint32_t word = 0; word < search->words; word++) {
		uint64_t bits = search->touched[word];
		search->touched[word] = 0;
		if (bits == 0)
			continue;
		if (__builtin_popcountll(bits) > 8) {
			memset(search->scores + word * 64, 0, 64 * sizeof(*search->scores));
			continue;
		}
		for (; bits != 0; bits &= bits - 1)
			search->scores[word * 64 + (uint32_t)__builtin_ctzll(bits)] = 0;
	}
}

void window_abandon(struct search *search)
{
	search->frame_count = 0;
	memset(search->matches, 0, sizeof(search->matches));
	scores_clear(search);
}

static void entry_set_tag(const struct search *search, struct entry *entry)
{
	uint32_t ordinal;
	entry->missing = tags_get(&search->sort_field->tags, entry->docid, &ordinal, 1) == 0;
	if (entry->missing)
		return;
	const struct term *term = index_tag_term(search->index, search->sort_field, ordinal);
	ASSERT(term != NULL);
	entry->key = text_key(term_text(term));
	entry->text = term->key + DICT_SPACE_BYTES;       /* search->holds_ordinals */
	entry->text_len = (uint32_t)term_text(term).len;
}

/* False: it cannot enter. */
static bool entry_fill(struct search *search, struct entry *entry)
{
	entry->text_len = 0;
	entry->missing = false;
	switch (search->top.sort) {
	case SORT_SCORE:
		break;
	case SORT_NUMBER:
		entry->missing = search->sort_column == NULL ||
		    !column_get(search->sort_column, entry->docid, &entry->number);
		break;
	case SORT_TITLE:
		return title_fill(search, entry);
	case SORT_TAG:
		entry_set_tag(search, entry);
		break;
	}
	return true;
}

/* One match. */
static void document_offer(struct search *search, uint32_t slot)
{
	struct top *top = &search->top;
	struct entry entry;
	entry.docid = search_docid(search, slot);
	entry.score = search->scoring ? search->scores[slot] : 0;
	if (top->sort == SORT_SCORE && top_is_full(top) &&
	    (top->cap == 0 || entry.score <= top->entries[0].score))
		return;                   /* among equals the newer one is there already */
	if (top->cap == 0)
		return;
	if (entry_fill(search, &entry))
		top_offer(top, &entry);
}

static void match_take(struct search *search, uint32_t slot)
{
	if (!search->total_is_known && !search->counted)
		search->total++;
	document_offer(search, slot);
}

/* ---- Filters and visitors -------------------------------------------------------------- */

/* The highest match below search->shown, which becomes it; DOCID_NONE if there is none. */
static uint32_t slot_before(struct search *search)
{
	uint32_t word = search->shown / 64;
	uint64_t bits = search->shown % 64 == 0
	    ? 0 : search->matches[word] & ~(~0ULL << search->shown % 64);
	while (bits == 0) {
		if (word == 0)
			return DOCID_NONE;
		bits = search->matches[--word];
	}
	search->shown = word * 64 + 63 - (uint32_t)__builtin_clzll(bits);
	return search->shown;
}

bool window_accept(struct search *search)
{
	const struct search_options *options = &search->options;
	for (uint32_t left = COLLECT_UNIT; left > 0; left--) {
		uint32_t slot = slot_before(search);
		if (slot == DOCID_NONE)
			return true;
		void *owner = index_owner(search->index, search_docid(search, slot));
		if (owner == NULL || !options->accept(options->accept_ctx, owner))
			search->matches[slot / 64] &= ~(1ULL << (slot % 64));
	}
	return false;
}

bool window_visit(struct search *search)
{
	uint32_t docids[SEARCH_VISIT_MAX];
	float scores[SEARCH_VISIT_MAX];
	size_t count = 0;
	const struct search_options *options = &search->options;
	while (count < SEARCH_VISIT_MAX) {
		uint32_t slot = slot_before(search);
		if (slot == DOCID_NONE)
			break;
		docids[count] = search_docid(search, slot);
		scores[count++] = search->scoring ? search->scores[slot] : 0;
	}
	if (count > 0)
		options->visit(
		    options->visit_ctx, docids, search->scoring ? scores : NULL, count);
	return count < SEARCH_VISIT_MAX;
}

/* ---- Narrowing -------------------------------------------------------------------------- */

static void narrow_by_score(struct search *search, float worst)
{
	for (uint32_t word = 0; word < search->words; word++) {
		const float *scores = search->scores + word * 64;
		uint64_t better = 0;
		if (search->matches[word] == 0)
			continue;
		if (__builtin_popcountll(search->matches[word]) > 16) {
			for (uint32_t i = 0; i < 64; i++)
				better |= (uint64_t)(scores[i] > worst) << i;
			search->matches[word] &= better;
			continue;
		}
		for (uint64_t bits = search->matches[word]; bits != 0; bits &= bits - 1)
			if (!(scores[__builtin_ctzll(bits)] > worst))
				search->matches[word] &= ~(bits & -bits);
	}
}

/* Equal keys do not count: what is there already is newer. */
static void narrow_by_number(struct search *search, const struct entry *worst)
{
	double low = -INFINITY, high = INFINITY;
	if (search->lists)
		return;
	if (search->sort_column == NULL) {
		memset(search->matches, 0, sizeof(search->matches));
		return;
	}
	if (!worst->missing && search->top.descending)
		low = nextafter(worst->number, INFINITY);
	else if (!worst->missing)
		high = nextafter(worst->number, -INFINITY);
	column_filter(search->sort_column, search->window, low, high, search->matches);
}

void matches_narrow(struct search *search)
{
	const struct top *top = &search->top;
	if (!top_is_full(top))
		return;
	uint64_t before = 0, after = 0;
	for (uint32_t word = 0; word < search->words; word++)
		before += (uint32_t)__builtin_popcountll(search->matches[word]);
	if (top->cap == 0)
		memset(search->matches, 0, search->words * sizeof(*search->matches));
	else if (top->sort == SORT_SCORE && search->scoring)
		narrow_by_score(search, top->entries[0].score);
	else if (top->sort == SORT_SCORE)
		memset(search->matches, 0, search->words * sizeof(*search->matches));
	else if (top->sort == SORT_NUMBER)
		narrow_by_number(search, &top->entries[0]);
	for (uint32_t word = 0; word < search->words; word++)
		after += (uint32_t)__builtin_popcountll(search->matches[word]);
	if (!search->total_is_known && !search->counted)
		search->total += before - after;
}

/* ---- The results ------------------------------------------------------------------------ */

void matches_drop_dead(struct search *search, uint64_t *mask)
{
	const struct docs *docs = &search->index->docs;
	ASSERT(search->lists);
	if (docs->live_count == docs->next)
		return;
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			if (!docs_is_live(docs, search->docids[slot]))
				mask[word] &= ~(1ULL << (slot % 64));
		}
	}
}

/* Drops matches that were removed since the last slice. */
void matches_check(struct search *search)
{
	const struct docs *docs = &search->index->docs;
	if (search->removed == search->index->removed)
		return;
	search->removed = search->index->removed;
	if (!search->lists) {
		const struct doc_window *window = docs_window(docs, search->window);
		ASSERT(window != NULL);
		for (uint32_t word = 0; word < WINDOW_WORDS; word++)
			search->matches[word] &= window->live[word];
		return;
	}
	matches_drop_dead(search, search->matches);
}

bool window_collect(struct search *search)
{
	bool slow = search->top.cap > TOP_DEEP || search->top.sort == SORT_TITLE;
	uint32_t left = slow ? COLLECT_UNIT_DEEP : COLLECT_UNIT;
	matches_narrow(search);
	if (search->top.sort == SORT_TITLE)
		titles_ahead(search, left);
	for (uint32_t word = search->words; word-- > 0;) {
		while (search->matches[word] != 0) {
			if (left-- == 0)
				return false;
			uint32_t bit = 63 - (uint32_t)__builtin_clzll(search->matches[word]);
			search->matches[word] &= ~(1ULL << bit);
			match_take(search, word * 64 + bit);
		}
	}
	scores_clear(search);
	return true;
}
