/* search/lists.c: walking a search by the postings of one rare term; see run.h.
 *
 * A batch is the part of one run of the driver that lies below what was done already. The
 * leaves ask for each candidate on its own; cursors gallop, since candidates ascend.
 */
#include "search/run.h"

#include <math.h>

enum { LIST_PASSES = 32 };

/* ---- The next batch ---------------------------------------------------------------------- */

/* Candidates of the decoded run: live and below. */
static void list_gather(struct search *search, const struct posting_run *run)
{
	struct frame *frame = &search->frames[0];
	uint32_t count = 0;
	frame->mask[0] = frame->mask[1] = 0;
	for (uint32_t i = 0; i < run->count && run->docids[i] < search->below; i++) {
		if (!docs_is_live(&search->index->docs, run->docids[i]))
			continue;
		frame->mask[count / 64] |= 1ULL << (count % 64);
		search->places[count] = (uint8_t)i;
		search->docids[count++] = run->docids[i];
	}
	if (count == 0)
		return;
	search->low = search->docids[0];
	search->high = search->docids[count - 1];
}

enum window_state list_next(struct search *search)
{
	struct cursor *cursor = search->driver;
	uint32_t first, last;
	for (int passes = LIST_PASSES; passes > 0; passes--) {
		uint32_t docid = cursor_before(cursor, search->below);
		if (docid == DOCID_NONE)
			return WINDOW_END;
		uint32_t at = cursor_find(cursor, docid);
		postings_bounds(&cursor->term->list, at, &first, &last);
		search->low = first;
		search->high = docid;
		if (window_is_hopeless(search)) {
			search->skipped = true;
			search->below = first;
			continue;
		}
		cursor_load(cursor, at, search->scoring ? PART_TFS : PART_DOCIDS);
		list_gather(search, &cursor->run);
		search->driver_run = at;
		search->driver_version = cursor->term->list.version;
		search->below = first;
		if ((search->frames[0].mask[0] | search->frames[0].mask[1]) == 0)
			continue;
		frame_begin(search);
		return WINDOW_FOUND;
	}
	return WINDOW_PASSED;
}

/* ---- Leaves -------------------------------------------------------------------------------- */

struct term_probe {
	uint8_t mask;                     /* FIELD_* */
	enum posting_part part;           /* that it needs */
	bool    prunes;
	float   others;
};

/* Is docid in the cursor's list? *place is then its place in the decoded run. */
static bool cursor_has(struct search *search, struct cursor *cursor, uint32_t docid,
    const struct term_probe *probe, uint32_t *place)
{
	const struct postings *list = &cursor->term->list;
	uint32_t at = cursor_find(cursor, docid), first, last;
	if (at == postings_run_count(list))
		return false;
	postings_bounds(list, at, &first, &last);
	if (docid < first)
		return false;
	if (probe->prunes && is_hopeless(search, run_bound(search, cursor, at) + probe->others)) {
		search->skipped = true;
		return false;
	}
	cursor_load(cursor, at, probe->part);
	*place = cursor_run_find(&cursor->run, docid);
	if (*place == cursor->run.count || cursor->run.docids[*place] != docid)
		return false;
	return probe->mask == FIELD_ANY || (cursor->run.masks[*place] & probe->mask) != 0;
}

static void term_add_score(struct search *search, const struct cursor *cursor, uint32_t slot,
    uint32_t place)
{
	add_score(search, slot, term_score(search, cursor->weight, cursor->run.tfs[place],
	    docs_length(&search->index->docs, search->docids[slot])));
}

/* The driver's own leaf: every candidate comes from its run, if that is still there. */
static bool is_driver_run(const struct search *search, const struct node *node)
{
	const struct cursor *cursor = search->driver;
	return cursor == node->cursors && node->mask == FIELD_ANY &&
	    cursor->run_at == search->driver_run &&
	    cursor->term->list.version == search->driver_version;
}

static bool term_has(struct search *search, struct node *node, uint32_t slot, bool scores)
{
	uint32_t docid = search->docids[slot], place;
	struct term_probe probe = {.mask = node->mask, 
	    .part = node->mask != FIELD_ANY ? PART_POSITIONS : scores ? PART_TFS : PART_DOCIDS,
	    .prunes = search->prunes && scores,
	    .others = search->bound * 1.00001f - node->bound};
	if (node->cursor_count == 0)
		return false;
	struct cursor *cursor = &node->cursors[0];
	if (is_driver_run(search, node)) {
		place = search->places[slot];
		cursor_load(cursor, search->driver_run, probe.part);
	} else if (!cursor_has(search, cursor, docid, &probe, &place)) {
		return false;
	}
	if (scores)
		term_add_score(search, cursor, slot, place);
	return true;
}

static bool union_has(struct search *search, struct node *node, uint32_t docid)
{
	struct term_probe probe = {.mask = node->mask,
	    .part = node->mask != FIELD_ANY ? PART_POSITIONS : PART_DOCIDS};
	uint32_t place, slot = docid % WINDOW_DOCS, window = docid >> WINDOW_SHIFT;
	if (node->wide != NULL) {
		const uint64_t *page =
		    window < node->wide->page_count ? node->wide->pages[window] : NULL;
		return page != NULL && (page[slot / 64] >> (slot % 64) & 1) != 0;
	}
	for (uint32_t i = 0; i < node->cursor_count; i++)
		if (cursor_has(search, &node->cursors[i], docid, &probe, &place))
			return true;
	return false;
}

static bool range_has(const struct node *node, uint32_t docid)
{
	double value;
	if (node->field == NULL)
		return false;
	if (node->has_numbers && column_get(&node->field->numbers, docid, &value) &&
	    value >= node->low && value <= node->high)
		return true;
	return node->has_dates && column_get(&node->field->dates, docid, &value) &&
	    value >= node->date_low && value <= node->date_high;
}

static bool geo_has(const struct node *node, uint32_t docid)
{
	double lon, lat;
	return node->field != NULL && column_get(&node->field->numbers, docid, &lon) &&
	    column_get(&node->field->dates, docid, &lat) &&
	    geo_distance(node->lon, node->lat, lon, lat) <= node->radius_m;
}

static bool field_is_missing(struct search *search, struct node *node, uint32_t docid)
{
	double ignored;
	if (node->field == NULL)
		return true;
	if (node->cursor_count > 0)
		return !union_has(search, node, docid);
	return !column_get((node->field->kinds & KIND_DATE) != 0 ? &node->field->dates
	    : &node->field->numbers, docid, &ignored);
}

static bool leaf_has(struct search *search, struct node *node, uint32_t slot, bool scores)
{
	uint32_t docid = search->docids[slot];
	switch (node->kind) {
	case QUERY_TERM:
		return term_has(search, node, slot, scores);
	case QUERY_PHRASE:
		if (node->cursor_count == 0 || !phrase_at(node, docid))
			return false;
		if (scores)
			phrase_score(search, node, slot);
		return true;
	case QUERY_PREFIX: case QUERY_TAG:
		if (!union_has(search, node, docid))
			return false;
		if (scores)
			add_score(search, slot, 1);
		return true;
	case QUERY_RANGE:
		return range_has(node, docid);
	case QUERY_GEO:
		return geo_has(node, docid);
	case QUERY_MISSING:
		return field_is_missing(search, node, docid);
	case QUERY_OUTSIDE:
		return search->index->provider.has(node->outside, docid);
	default:
		ASSERT(node->kind == QUERY_ALL);
		return true;
	}
}

void leaf_match_list(struct search *search, struct node *node, bool scores, uint64_t *mask)
{
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			if (!leaf_has(search, node, slot, scores))
				mask[word] &= ~(1ULL << (slot % 64));
		}
	}
}
