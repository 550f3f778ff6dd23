/* search/leaf.c: what the leaves of a query match and score in one window; see run.h. */
#include "search/bound.h"

#include <math.h>

#define EARTH_RADIUS_M 6372797.560856 /* as Redis has it */

enum { FEW = 16 };                      /* candidates that are asked for one by one */

static bool bit_get(const uint64_t *bits, uint32_t at)
{
	return (bits[at / 64] >> (at % 64) & 1) != 0;
}

static void bit_set(uint64_t *bits, uint32_t at)
{
	bits[at / 64] |= 1ULL << (at % 64);
}

/* Any bit in [first, last]? */
static bool bits_any(const uint64_t *bits, uint32_t first, uint32_t last)
{
	uint64_t head = ~0ULL << (first % 64), tail = ~0ULL >> (63 - last % 64);
	if (first / 64 == last / 64)
		return (bits[first / 64] & head & tail) != 0;
	if ((bits[first / 64] & head) != 0 || (bits[last / 64] & tail) != 0)
		return true;
	for (uint32_t word = first / 64 + 1; word < last / 64; word++)
		if (bits[word] != 0)
			return true;
	return false;
}

static void bits_and(uint64_t *to, const uint64_t *from)
{
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		to[i] &= from[i];
}

/* ---- Scores ---------------------------------------------------------------------------- */

float best_bound(const struct search *search, float weight, const struct posting_best *best)
{
	float single = term_score(search, weight, 1, best->length_single), top, between;
	if (best->tf_max == 1)
		return single;
	top = term_score(search, weight, best->tf_max, best->length_top);
	top = single > top ? single : top;
	if (best->tf_max == 2)
		return top;
	between = term_score(search, weight, (uint8_t)(best->tf_max - 1), best->length_between);
	return between > top ? between : top;
}

/* weight / (1 + (base + slope * length) / tf) <= t, solved for the length; a little above t, so
 * that rounding cannot make a difference. */
struct bound_test bound_test_above(const struct search *search, float weight, float score)
{
	struct bound_test test = {.weight = weight};
	float most = score - SCORE_STEP;
	if (most <= 0 || weight <= 0 || search->norm_slope <= 0)
		return test;
	float ratio = weight / most * 1.00001f - 1;
	test.by_tf = ratio / search->norm_slope;
	test.less = search->norm_base / search->norm_slope - 0.01f;
	test.is_on = true;
	return test;
}

struct bound_test bound_test_make(const struct search *search, float weight, float others)
{
	struct bound_test test =
	    bound_test_above(search, weight, search->threshold / search->slack - others);
	test.others = others;
	return test;
}

float run_bound(const struct search *search, const struct cursor *cursor, uint32_t at)
{
	const struct postings *list = &cursor->term->list;
	if (at >= list->block_count)
		return cursor->bound;     /* the tail keeps no bounds of its own */
	return best_bound(search, cursor->weight, &list->skips[at].best);
}

void run_scores(const struct search *search, const struct posting_run *run, float weight,
    float scores[PACK_COUNT])
{
	float lengths[PACK_COUNT], inverse[PACK_COUNT];
	const float base = search->norm_base, slope = search->norm_slope;
	ASSERT(run->part >= PART_TFS);
	docs_lengths(&search->index->docs, run->docids, run->count, lengths);
	for (uint32_t i = 0; i < run->count; i++)
		inverse[i] = search->inverse_tf[run->tfs[i]];
	for (uint32_t i = run->count; i < PACK_COUNT; i++)
		lengths[i] = inverse[i] = 0;
	/* As term_score, to the bit; without branches, for vectors. */
	for (uint32_t i = 0; i < PACK_COUNT; i++)
		scores[i] = weight / (1 + (base + slope * lengths[i]) * inverse[i]);
	for (uint32_t i = 0; i < PACK_COUNT && weight < 127; i++)
		scores[i] = (scores[i] + 384) - 384;
	for (uint32_t i = 0; i < run->count && weight >= 127; i++)
		scores[i] = score_round(scores[i]);
}

/* ---- Words ----------------------------------------------------------------------------- */

struct run_range {
	uint32_t low, high;               /* ids of the window */
	uint8_t  mask;                    /* FIELD_*; FIELD_ANY: no need to look */
	bool     scores, prunes;
	float    others;                  /* what all other parts of the query can add */
};

/* Which are there alone. Each goes to its word at once: where the next word begins cannot be
 * foreseen, and a wrong guess costs more than the store. */
static void run_bits(const struct posting_run *run, uint32_t low, const uint64_t *mask,
    uint64_t *out)
{
	uint64_t bits[WINDOW_WORDS] = {0};
	uint32_t from = 0, to = run->count;
	if (to > 0 && run->docids[0] < low)
		from = cursor_run_find(run, low);
	if (to > 0 && run->docids[to - 1] - low >= WINDOW_DOCS)
		to = cursor_run_find(run, low + WINDOW_DOCS);
	for (uint32_t i = from; i < to; i++)
		bit_set(bits, run->docids[i] - low);
	for (uint32_t word = 0; word < WINDOW_WORDS; word++)
		out[word] |= bits[word] & mask[word];
}

/* Sets in `out` the documents of one decoded run that are in `mask`. */
static void run_match(struct search *search, const struct cursor *cursor,
    const struct run_range *range, const uint64_t *mask, uint64_t *out)
{
	const struct posting_run *run = &cursor->run;
	if (!range->scores && range->mask == FIELD_ANY) {
		run_bits(run, range->low, mask, out);
		return;
	}
	const struct doc_window *docs = docs_window(&search->index->docs, search->window);
	for (uint32_t i = 0; i < run->count; i++) {
		uint32_t slot = run->docids[i] - range->low;
		if (slot >= WINDOW_DOCS || !bit_get(mask, slot))
			continue;
		if (range->mask != FIELD_ANY && (run->masks[i] & range->mask) == 0)
			continue;
		bit_set(out, slot);
		if (range->scores)
			add_score(search, slot, term_score(search, cursor->weight, run->tfs[i],
			    window_length(docs, slot)));
	}
}

static struct run_range window_range(const struct search *search, const struct node *node)
{
	return (struct run_range){.low = search->low, .high = search->high, .mask = node->mask};
}

/* Of a dense list, those of `mask` that it has. */
static void dense_match(const struct search *search, const struct postings *list,
    const uint64_t *mask, uint64_t *out)
{
	const uint64_t *bits = dense_window(list, search->window);
	for (uint32_t i = 0; i < WINDOW_WORDS && bits != NULL; i++)
		out[i] |= bits[i] & mask[i];
}

/* Adds to `out` what the cursor's term matches of `mask`. */
static void cursor_match(struct search *search, struct cursor *cursor,
    const struct run_range *range, const uint64_t *mask, uint64_t *out)
{
	const struct postings *list = &cursor->term->list;
	uint32_t count = postings_run_count(list), first, last;
	enum posting_part part = range->mask != FIELD_ANY ? PART_POSITIONS
	    : range->scores ? PART_TFS : PART_DOCIDS;
	if (list->bits != NULL && range->mask == FIELD_ANY && !range->scores) {
		dense_match(search, list, mask, out);
		return;
	}
	for (uint32_t at = cursor_find(cursor, range->low); at < count; at++) {
		postings_bounds(list, at, &first, &last);
		if (first > range->high)
			break;
		first = first < range->low ? 0 : first - range->low;
		last = last > range->high ? WINDOW_DOCS - 1 : last - range->low;
		if (!bits_any(mask, first, last))
			continue;
		if (range->prunes &&
		    is_hopeless(search, run_bound(search, cursor, at) + range->others)) {
			search_skip(search);
			search->blocks_skipped++;
			continue;
		}
		search->blocks_read++;
		cursor_load(cursor, at, part);
		run_match(search, cursor, range, mask, out);
	}
}

/* A single word: the one leaf whose blocks are passed over by their bounds, since no
 * document in them can enter the results even with all that others can add. */
static void term_match(struct search *search, struct node *node, bool scores, uint64_t *mask)
{
	uint64_t out[WINDOW_WORDS] = {0};
	struct run_range range = window_range(search, node);
	if (node->cursor_count > 0 && node->mask == FIELD_ANY && node->cursors[0].term->list.bits != NULL) {
		dense_match_window(search, node, scores, mask);
		return;
	}
	range.scores = scores;
	range.prunes = search->prunes && (scores || (node->scores && node->must));
	range.others = others_here(search, node);
	if (node->cursor_count > 0)
		cursor_match(search, &node->cursors[0], &range, mask, out);
	memcpy(mask, out, sizeof(out));
}

/* ---- Phrases --------------------------------------------------------------------------- */

/* Documents that have all words, first; then each of them. */
static void phrase_match(struct search *search, struct node *node, bool scores, uint64_t *mask)
{
	struct run_range range = window_range(search, node);
	if (node->cursor_count == 0)      /* one of its words is nowhere */
		memset(mask, 0, WINDOW_WORDS * sizeof(*mask));
	range.mask = FIELD_ANY;           /* positions tell the field */
	for (uint32_t i = 0; i < node->cursor_count; i++) {
		uint64_t out[WINDOW_WORDS] = {0};
		cursor_match(search, &node->cursors[i], &range, mask, out);
		memcpy(mask, out, sizeof(out));
	}
	if (scores && search->prunes && node == search_root(search))
		prune_window(search, mask);
	leaf_match_list(search, node, scores, mask);
}

/* ---- Prefixes, tags -------------------------------------------------------------------- */

static void union_match(struct search *search, struct node *node, bool scores, uint64_t *mask)
{
	uint64_t out[WINDOW_WORDS] = {0};
	struct run_range range = window_range(search, node);
	if (node->wide != NULL) {
		const uint64_t *page = search->window < node->wide->page_count
		    ? node->wide->pages[search->window] : NULL;
		bits_and(mask, page != NULL ? page : out);
	} else {
		for (uint32_t i = 0; i < node->cursor_count; i++)
			cursor_match(search, &node->cursors[i], &range, mask, out);
		memcpy(mask, out, sizeof(out));
	}
	if (!scores || node->kind != QUERY_PREFIX)
		return;
	for (uint32_t word = 0; word < WINDOW_WORDS; word++)
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1)
			add_score(search, word * 64 + (uint32_t)__builtin_ctzll(bits), node->bound);
}

/* ---- Columns --------------------------------------------------------------------------- */

static void range_match(struct search *search, struct node *node, uint64_t *mask)
{
	uint64_t dates[WINDOW_WORDS];
	if (node->field == NULL) {
		memset(mask, 0, WINDOW_WORDS * sizeof(*mask));
		return;
	}
	memcpy(dates, mask, sizeof(dates));
	if (node->has_numbers)
		column_filter(&node->field->numbers, search->window, node->low, node->high, mask);
	else
		memset(mask, 0, WINDOW_WORDS * sizeof(*mask));
	if (!node->has_dates)
		return;
	column_filter(&node->field->dates, search->window, node->date_low, node->date_high, dates);
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		mask[i] |= dates[i];
}

static double radians(double degrees)
{
	return degrees * (M_PI / 180);
}

double geo_distance(double lon1, double lat1, double lon2, double lat2)
{
	double u = sin((radians(lat2) - radians(lat1)) / 2);
	double v = sin((radians(lon2) - radians(lon1)) / 2);
	double a = u * u + cos(radians(lat1)) * cos(radians(lat2)) * v * v;
	return 2 * EARTH_RADIUS_M * asin(sqrt(a < 1 ? a : 1));
}

/* Latitudes that a circle can reach. */
static void geo_latitudes(const struct node *node, double *low, double *high)
{
	double reach = node->radius_m / EARTH_RADIUS_M * (180 / M_PI) + 1e-6;
	*low = node->lat - reach;
	*high = node->lat + reach;
}

/* Longitudes that it can reach; false near the poles and across the date line. */
static bool geo_longitudes(const struct node *node, double *low, double *high)
{
	double angle = node->radius_m / EARTH_RADIUS_M;
	double edge = fabs(radians(node->lat)) + angle;
	if (!(edge < M_PI / 2 - 1e-3))
		return false;
	/* The meridian that touches the circle: sin(reach) = sin(angle) / cos(latitude). */
	double reach = asin(fmin(1, sin(angle) / cos(radians(node->lat)))) * (180 / M_PI) + 1e-6;
	*low = node->lon - reach;
	*high = node->lon + reach;
	return *low > -180 && *high < 180;
}

static void geo_match(struct search *search, struct node *node, uint64_t *mask)
{
	double low, high, lon, lat;
	if (node->field == NULL) {
		memset(mask, 0, WINDOW_WORDS * sizeof(*mask));
		return;
	}
	geo_latitudes(node, &low, &high);
	column_filter(&node->field->dates, search->window, low, high, mask);
	if (geo_longitudes(node, &low, &high))
		column_filter(&node->field->numbers, search->window, low, high, mask);
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint32_t docid = (search->window << WINDOW_SHIFT) + slot;
			bool near = column_get(&node->field->numbers, docid, &lon) &&
			    column_get(&node->field->dates, docid, &lat) &&
			    geo_distance(node->lon, node->lat, lon, lat) <= node->radius_m;
			if (!near)
				mask[word] &= ~(1ULL << (slot % 64));
		}
	}
}

static void missing_match(struct search *search, struct node *node, uint64_t *mask)
{
	uint64_t present[WINDOW_WORDS];
	struct run_range range = window_range(search, node);
	if (node->field == NULL)
		return;
	if (node->cursor_count > 0) {
		memset(present, 0, sizeof(present));
		cursor_match(search, &node->cursors[0], &range, mask, present);
	} else {
		const struct column *column = (node->field->kinds & KIND_DATE) != 0
		    ? &node->field->dates : &node->field->numbers;
		memcpy(present, mask, sizeof(present));
		column_filter(column, search->window, -INFINITY, INFINITY, present);
	}
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		mask[i] &= ~present[i];
}

/* ---- All kinds --------------------------------------------------------------------------- */

static bool is_sparse(const uint64_t *mask)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < WINDOW_WORDS && count <= FEW; i++)
		count += (uint32_t)__builtin_popcountll(mask[i]);
	return count <= FEW;
}

void leaf_match(struct search *search, struct node *node, bool scores,
    uint64_t mask[WINDOW_WORDS])
{
	if (is_sparse(mask)) {
		leaf_match_list(search, node, scores, mask);
		return;
	}
	switch (node->kind) {
	case QUERY_ALL: break;
	case QUERY_TERM: term_match(search, node, scores, mask); break;
	case QUERY_PHRASE: phrase_match(search, node, scores, mask); break;
	case QUERY_PREFIX: case QUERY_TAG: union_match(search, node, scores, mask); break;
	case QUERY_RANGE: range_match(search, node, mask); break;
	case QUERY_GEO: geo_match(search, node, mask); break;
	case QUERY_MISSING: missing_match(search, node, mask); break;
	case QUERY_OUTSIDE:
		search->index->provider.filter(node->outside, search->window, mask);
		break;
	default: ASSERT(node->kind == QUERY_ALL);
	}
}

static bool column_may_match(const struct column *column, uint32_t window, double low,
    double high)
{
	double least, greatest;
	return column_bounds(column, window, &least, &greatest) && least <= high && greatest >= low;
}

static uint32_t range_before(const struct node *node, uint32_t window)
{
	double low = -90, high = 90;
	if (node->kind == QUERY_GEO)
		geo_latitudes(node, &low, &high);
	while (window-- > 0) {
		if (node->kind == QUERY_GEO &&
		    column_may_match(&node->field->dates, window, low, high))
			return window;
		if (node->has_numbers &&
		    column_may_match(&node->field->numbers, window, node->low, node->high))
			return window;
		if (node->has_dates &&
		    column_may_match(&node->field->dates, window, node->date_low, node->date_high))
			return window;
	}
	return DOCID_NONE;
}

static uint32_t cursors_before(struct node *node, uint32_t window)
{
	uint32_t best = DOCID_NONE;
	bool every = node->kind == QUERY_PHRASE;
	uint64_t end = (uint64_t)window << WINDOW_SHIFT;
	uint32_t limit = end < DOCID_NONE ? (uint32_t)end : DOCID_NONE;
	for (uint32_t i = 0; i < node->cursor_count; i++) {
		/* A dense list has something in nearly every window. */
		bool dense = node->cursors[i].term->list.bits != NULL && limit > 0;
		uint32_t docid = dense ? limit - 1 : cursor_before(&node->cursors[i], limit);
		if (docid == DOCID_NONE && every)
			return DOCID_NONE;
		if (docid == DOCID_NONE)
			continue;
		docid >>= WINDOW_SHIFT;
		if (best == DOCID_NONE || (every ? docid < best : docid > best))
			best = docid;
	}
	return best;
}

uint32_t leaf_before(struct search *search, struct node *node, uint32_t window)
{
	UNUSED(search);
	switch (node->kind) {
	case QUERY_ALL: case QUERY_MISSING: case QUERY_OUTSIDE:
		return window == 0 ? DOCID_NONE : window - 1;
	case QUERY_RANGE: case QUERY_GEO:
		return node->field == NULL ? DOCID_NONE : range_before(node, window);
	default:
		break;
	}
	return node->wide != NULL ? wide_before(node->wide, window)
	                          : cursors_before(node, window);
}
