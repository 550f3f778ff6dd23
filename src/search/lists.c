/* search/lists.c: walking a search by the postings of one rare term; see run.h.
 *
 * A batch is the part of one run of the driver that lies below what was done already. The
 * leaves ask for each candidate on its own; cursors gallop, since candidates ascend.
 */
#include "search/bound.h"
#include "search/filter.h"

#include <math.h>

enum { LIST_PASSES = 128, TAGS_FEW = 32, FILTER_WORTH = 6 };

/* ---- The next batch ---------------------------------------------------------------------- */

/* Slots from there on are no candidates. */
static uint32_t slots_end(const uint64_t mask[PACK_COUNT / 64])
{
	if (mask[1] != 0)
		return 128 - (uint32_t)__builtin_clzll(mask[1]);
	return mask[0] == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(mask[0]);
}

/* If no document of the run that has the word once, or not more often than a few times, can enter,
 * only those are left that do: without a look at their lengths, which lie far apart. */
static void list_drop_rare(struct search *search, const struct posting_run *run, uint64_t *mask)
{
	const struct cursor *cursor = search->driver;
	const struct postings *list = &cursor->term->list;
	const struct posting_best *best = search->driver_run < list->block_count
	    ? &list->skips[search->driver_run].best : &list->best;
	struct score_limit limit = {.others = others_here(search, search->driver_node),
	    .slack = search->slack, .limit = search->threshold};
	uint32_t tf = tf_below_limit(search, cursor->weight, best, &limit);
	if (tf == 0)
		return;
	mask[0] &= simd_bytes_above_64(run->tfs, (uint8_t)tf);
	mask[1] &= simd_bytes_above_64(run->tfs + 64, (uint8_t)tf);
	search_skip(search);
}

/* Scores of a few. */
static void list_gather_few(struct search *search, const struct posting_run *run,
    const uint64_t *mask, float scores[PACK_COUNT])
{
	memset(scores, 0, PACK_COUNT * sizeof(*scores));
	for (uint32_t word = 0; word < PACK_COUNT / 64; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t i = word * 64 + (uint32_t)__builtin_ctzll(bits);
			scores[i] = term_score(search, search->driver->weight, run->tfs[i],
			    docs_length(&search->index->docs, run->docids[i]));
		}
	}
}

/* Scores of all, and which are too low. */
static void list_gather_scores(struct search *search, const struct posting_run *run, uint64_t *mask)
{
	enum { SCORES_FEW = 40 };
	float need = search->threshold - others_here(search, search->driver_node);
	uint64_t above[PACK_COUNT / 64];
	float scores[PACK_COUNT];
	if (__builtin_popcountll(mask[0]) + __builtin_popcountll(mask[1]) < SCORES_FEW)
		list_gather_few(search, run, mask, scores);
	else
		run_scores(search, run, search->driver->weight, scores);
	if (search->prunes) {
		if (search->slack > 1)
			need -= need > 0 ? need * (search->slack - 1) : 0;
		simd_above(scores, need, above);
		if ((mask[0] & ~above[0]) != 0 || (mask[1] & ~above[1]) != 0)
			search_skip(search);
		mask[0] &= above[0];
		mask[1] &= above[1];
	}
	if ((mask[0] | mask[1]) == 0)
		return;
	memcpy(search->scores, scores, sizeof(scores));
	search->touched[0] = search->touched[1] = ~0ULL;
}

/* Of the decoded run, slot i being posting i: those that are not done, live, and not hopeless. */
static void list_gather(struct search *search, const struct posting_run *run)
{
	uint64_t *mask = search->frames[0].mask;
	uint32_t end = run->count;
	if (search->below <= run->docids[end - 1])
		end = cursor_run_find(run, search->below);
	mask[0] = end == 0 ? 0 : end >= 64 ? ~0ULL : ~0ULL >> (64 - end);
	mask[1] = end <= 64 ? 0 : ~0ULL >> (128 - end);
	memcpy(search->docids, run->docids, end * sizeof(*run->docids));
	if (search->driver_scores && search->prunes)
		list_drop_rare(search, run, mask);
	if (search->driver_scores && !search->driver_is_late)
		list_gather_scores(search, run, mask);
	if (!search->driver_is_late)
		matches_drop_dead(search, mask);
	if ((mask[0] | mask[1]) == 0)
		return;
	uint32_t first = mask[0] != 0 ? (uint32_t)__builtin_ctzll(mask[0])
	                              : 64 + (uint32_t)__builtin_ctzll(mask[1]);
	search->low = search->docids[first];
	search->high = search->docids[slots_end(mask) - 1];
}

/* From run `at` down, the first whose best score could enter the results; that of no run, 0,
 * counts as done. */
static uint32_t list_skip(struct search *search, uint32_t at, float others)
{
	const struct cursor *cursor = search->driver;
	const struct postings *list = &cursor->term->list;
	uint32_t from = at;
	if (at == list->block_count && !is_hopeless(search, cursor->bound + others))
		return at;                /* the tail */
	at -= at == list->block_count && at > 0;
	struct bound_test test = bound_test_make(search, cursor->weight, others);
	while (at > 0 && bound_test_fails(search, &test, &list->skips[at].best))
		at--;
	search->blocks_skipped += from - at;
	if (from > at)
		search_skip(search);
	return at;
}

/* The run to do next, or that many as there are when all are done. */
static uint32_t list_run(const struct search *search)
{
	struct cursor *cursor = search->driver;
	const struct postings *list = &cursor->term->list;
	uint32_t count = postings_run_count(list);
	if (search->below == 0 || count == 0)
		return count;
	if (search->driver_run != CURSOR_NO_RUN && search->driver_version == list->version)
		return search->driver_run == 0 ? count : search->driver_run - 1;
	uint32_t at = postings_find(list, search->below - 1, 0, count);
	return at < count ? at : count - 1;
}

enum window_state list_next(struct search *search)
{
	struct cursor *cursor = search->driver;
	const struct postings *list = &cursor->term->list;
	uint32_t first, last;
	bool prunes = search_prunes(search);
	float others = bound_of_others(search, cursor->bound);
	if (prunes && is_hopeless(search, search_root(search)->bound)) {
		search_skip(search);
		return WINDOW_END;
	}
	for (int passes = LIST_PASSES; passes > 0; passes--) {
		uint32_t at = list_run(search);
		if (at == postings_run_count(list))
			return WINDOW_END;
		if (prunes)
			at = list_skip(search, at, others);
		postings_bounds(list, at, &first, &last);
		if (wide_lacks(search, first >> WINDOW_SHIFT)) {
			search->low = first;
			return WINDOW_LACKS;
		}
		search->low = first;
		search->high = last < search->below ? last : search->below - 1;
		search->driver_run = at;
		search->driver_version = list->version;
		if (first >= search->below)
			continue;         /* the tail; what is wanted lies before it */
		if (search->prunes && is_hopeless(search, run_bound(search, cursor, at) + others)) {
			search_skip(search);
			search->blocks_skipped++;
			search->below = first;
			continue;
		}
		/* Of a single word there is no more to know. */
		if (prunes && search_root(search)->kind != QUERY_TERM)
			bounds_narrow(search);
		if (prunes && is_hopeless(search, search_root(search)->here.bound)) {
			search_skip(search);
			search->below = first;
			continue;
		}
		/* Where no score can spare a question, those that remain at the end are scored. */
		search->quietly = search_is_quiet_first(search);
		search->driver_is_late = search->driver_scores && search->node_count > 1 &&
		    (search->quietly || !search->prunes);
		cursor_load(cursor, at,
		    search->driver_scores && (search->prunes || !search->driver_is_late)
		        ? PART_TFS : PART_DOCIDS);
		list_gather(search, &cursor->run);
		search->blocks_read++;
		search->below = first;
		if ((search->frames[0].mask[0] | search->frames[0].mask[1]) == 0)
			continue;
		frame_begin(search);
		return WINDOW_FOUND;
	}
	return WINDOW_PASSED;
}

/* Scores of a word that all of these have, unless it has gone. */
static void list_add_scores(struct search *search, struct cursor *cursor, const uint64_t *mask)
{
	uint32_t place;
	if (cursor->run_at != CURSOR_NO_RUN && cursor->version == cursor->term->list.version)
		cursor_load(cursor, cursor->run_at, PART_TFS);
	else
		cursor->run.count = 0;
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint32_t docid = search->docids[slot];
			/* Slots are places of the run, if that is still as it was. */
			bool here = slot < cursor->run.count && cursor->run.docids[slot] == docid;
			place = slot;
			if (here || cursor_at(cursor, docid, PART_TFS, &place))
				add_score(search, slot, term_score(search, cursor->weight,
				    cursor->run.tfs[place], docs_length(&search->index->docs, docid)));
		}
	}
}

void list_score_late(struct search *search)
{
	if (!search->lists || !search->driver_is_late || search->known)
		return;
	matches_drop_dead(search, search->matches);
	list_add_scores(search, search->driver, search->matches);
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
	if (list->bits != NULL && !dense_has(list, docid))
		return false;
	if (list->bits != NULL && probe->part == PART_DOCIDS && probe->mask == FIELD_ANY) {
		*place = 0;               /* nobody asks */
		return true;
	}
	uint32_t at = cursor_find(cursor, docid), first, last;
	if (at == postings_run_count(list))
		return false;
	postings_bounds(list, at, &first, &last);
	if (docid < first)
		return false;
	if (probe->prunes && is_hopeless(search, run_bound(search, cursor, at) + probe->others)) {
		search_skip(search);
		search->blocks_skipped++;
		return false;
	}
	search->blocks_read += cursor->run_at != at;
	cursor_load(cursor, at, PART_DOCIDS);
	*place = cursor_place(cursor, docid);
	if (*place == cursor->run.count || cursor->run.docids[*place] != docid)
		return false;
	cursor_load(cursor, at, probe->part);
	return probe->mask == FIELD_ANY || (cursor->run.masks[*place] & probe->mask) != 0;
}

static void term_add_score(struct search *search, const struct cursor *cursor, uint32_t slot,
    uint32_t place)
{
	add_score(search, slot, term_score(search, cursor->weight, cursor->run.tfs[place],
	    docs_length(&search->index->docs, search_docid(search, slot))));
}

struct slots {
	uint32_t from, to;
};

static void slots_drop(uint64_t *mask, struct slots slots)
{
	for (uint32_t slot = slots.from; slot < slots.to; slot++)
		mask[slot / 64] &= ~(1ULL << (slot % 64));
}

/* Is the candidate at this place of the decoded run? Adds its score. */
static bool slot_keep(struct search *search, struct cursor *cursor, uint32_t slot, uint32_t place,
    bool scores)
{
	const struct posting_run *run = &cursor->run;
	if (place >= run->count || run->docids[place] != search->docids[slot])
		return false;
	if (scores) {
		cursor_load(cursor, cursor->run_at, PART_TFS);
		term_add_score(search, cursor, slot, place);
	}
	return true;
}

/* Of slots [from, to), which lie within the decoded run, those that it has; adds their scores. All
 * ids of the run go through a filter of the candidates. */
static void run_keep_many(struct search *search, struct cursor *cursor, struct slots slots,
    bool scores, const struct filter *filter, uint64_t *mask)
{
	const struct posting_run *run = &cursor->run;
	uint64_t passed[PACK_COUNT / 64], kept[PACK_COUNT / 64] = {0};
	simd_filter(filter->bits, run->docids, passed);
	for (uint32_t word = 0; word < PACK_COUNT / 64; word++) {
		for (uint64_t bits = passed[word]; bits != 0; bits &= bits - 1) {
			uint32_t place = word * 64 + (uint32_t)__builtin_ctzll(bits);
			if (place >= run->count)
				break;
			uint32_t slot = filter->slots[run->docids[place] % SIMD_FILTER_BITS];
			if (slot_keep(search, cursor, slot, place, scores))
				kept[slot / 64] |= 1ULL << (slot % 64);
		}
	}
	for (uint32_t i = 0; i < filter->other_count; i++) {
		uint32_t slot = filter->others[i];
		if (slot >= slots.from && slot < slots.to && slot_keep(search, cursor, slot,
		    cursor_run_find(run, search->docids[slot]), scores))
			kept[slot / 64] |= 1ULL << (slot % 64);
	}
	kept[0] &= mask[0];
	kept[1] &= mask[1];
	slots_drop(mask, slots);
	mask[0] |= kept[0];
	mask[1] |= kept[1];
}

/* The same, one by one. */
static void run_keep_few(struct search *search, struct cursor *cursor, struct slots slots, bool scores,
    uint64_t *mask)
{
	for (uint32_t slot = slots.from; slot < slots.to; slot++) {
		uint64_t bit = 1ULL << (slot % 64);
		if ((mask[slot / 64] & bit) != 0 && !slot_keep(search, cursor, slot,
		    cursor_run_find(&cursor->run, search->docids[slot]), scores))
			mask[slot / 64] &= ~bit;
	}
}

/* Is it too little, what any of these could still come to with the best of the run? */
static bool run_is_hopeless(struct search *search, const struct node *node, uint32_t at,
    struct slots slots, const uint64_t *mask)
{
	const struct cursor *cursor = &node->cursors[0];
	float best = 0;
	if (!search->prunes)
		return false;
	if (!node->in_order) {
		best = others_here(search, node);
	} else {
		for (uint32_t slot = slots.from; slot < slots.to; slot++)
			if ((mask[slot / 64] >> (slot % 64) & 1) != 0 && search->scores[slot] > best)
				best = search->scores[slot];
		best += node->here.after;
	}
	if (!is_hopeless(search, run_bound(search, cursor, at) + best))
		return false;
	search_skip(search);
	search->blocks_skipped++;
	return true;
}

/* ---- Dense lists: their bits tell, and where to find what scores need ------------------------- */

static void cursor_make_ones(const struct search *search, struct cursor *cursor)
{
	for (uint32_t length = 0; length <= UINT8_MAX; length++)
		cursor->ones[length] = term_score(search, cursor->weight, 1, length);
	cursor->has_ones = true;
}

/* Score of a document that is there; less than 0 if that, and `others`, is too little. */
static float dense_score_one(struct search *search, struct cursor *cursor, uint32_t docid,
    float others)
{
	const struct docs *docs = &search->index->docs;
	float score;
	uint32_t tf = dense_tf(&cursor->term->list, docid), length = docs_length(docs, docid);
	if (tf == DENSE_TF_MAX)
		tf = cursor_tf(cursor, docid);
	if (tf == 1 && length < LENGTH_LONG)
		score = cursor->ones[length];
	else
		score = term_score(search, cursor->weight, (uint8_t)tf, length);
	return search->prunes && is_hopeless(search, score + others) ? -1 : score;
}

/* Of documents that are all there. */
static void dense_score(struct search *search, const struct node *node, struct cursor *cursor,
    uint64_t *mask)
{
	float others = others_here(search, node);
	if (!cursor->has_ones)
		cursor_make_ones(search, cursor);
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			if (node->in_order)
				others = search->scores[slot] + node->here.after;
			float score =
			    dense_score_one(search, cursor, search_docid(search, slot), others);
			if (score >= 0) {
				add_score(search, slot, score);
				continue;
			}
			mask[word] &= ~(bits & -bits);
			search_skip(search);
		}
	}
}

/* In a window: those of the mask that it has, and of these, if nothing else can do, those that
 * have the word more than once. */
void dense_match_window(struct search *search, struct node *node, bool scores, uint64_t *mask)
{
	struct cursor *cursor = &node->cursors[0];
	const struct postings *list = &cursor->term->list;
	const uint64_t *bits = dense_window(list, search->window);
	if (bits == NULL) {
		memset(mask, 0, WINDOW_WORDS * sizeof(*mask));
		return;
	}
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		mask[i] &= bits[i];
	if (!scores)
		return;
	if (search->prunes)
		prune_word(search, node, mask);
	dense_score(search, node, cursor, mask);
}

/* All 64 at once: no branch that cannot be foreseen. */
static uint64_t dense_has_64(const struct posting_bits *bits, const uint32_t docids[64])
{
	uint64_t kept = 0;
	for (uint32_t i = 0; i < 64; i++)
		kept |= (bits->at[docids[i] / 64] >> (docids[i] % 64) & 1) << i;
	return kept;
}

static void dense_intersect(const struct search *search, const struct postings *list, uint64_t *mask)
{
	for (uint32_t word = 0; word < search->words; word++) {
		uint64_t kept = 0;
		if (search->lists && mask[word] == ~0ULL &&
		    search->docids[word * 64 + 63] / 64 < list->bits->words) {
			mask[word] = dense_has_64(list->bits, search->docids + word * 64);
			continue;
		}
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t bit = (uint32_t)__builtin_ctzll(bits);
			kept |= (uint64_t)dense_has(list, search_docid(search, word * 64 + bit)) << bit;
		}
		mask[word] = kept;
	}
}

static void block_prefetch(const struct posting_skip *skip)
{
	const uint8_t *block = (const uint8_t *)skip->block;
	for (int line = 0; line < 4; line++)
		__builtin_prefetch(block + 64 * line);
}

/* Of few candidates, block by block. */
static void list_prefetch_few(const struct search *search, const struct postings *list, uint32_t at,
    const uint64_t *mask)
{
	uint32_t asked = CURSOR_NO_RUN;
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t docid = search->docids[word * 64 + (uint32_t)__builtin_ctzll(bits)];
			if (at < list->block_count && list->skips[at].last < docid)
				at = postings_find(list, docid, at, list->block_count);
			if (at >= list->block_count)
				return;
			if (at != asked)
				block_prefetch(&list->skips[at]);
			asked = at;
		}
	}
}

/* Blocks lie anywhere in memory: those that a batch's candidates, the last in slot `end` - 1, need are
 * all asked for before the first is read, so that the waits overlap. */
static void list_prefetch(
    const struct search *search, struct cursor *cursor, const uint64_t *mask, uint32_t end)
{
	enum { DENSELY = 8 };             /* candidates a block */
	const struct postings *list = &cursor->term->list;
	uint32_t first = mask[0] != 0 ? (uint32_t)__builtin_ctzll(mask[0])
	                              : 64 + (uint32_t)__builtin_ctzll(mask[1]);
	uint32_t at = cursor_find(cursor, search->docids[first]), until = at;
	uint32_t count =
	    (uint32_t)(__builtin_popcountll(mask[0]) + __builtin_popcountll(mask[1]));
	while (until < list->block_count && until < at + count / DENSELY &&
	    list->skips[until].last < search->docids[end - 1])
		block_prefetch(&list->skips[until++]);
	if (until < list->block_count && list->skips[until].last < search->docids[end - 1])
		list_prefetch_few(search, list, until, mask);
	else if (until < list->block_count)
		block_prefetch(&list->skips[until]);
}

/* Candidates without the word go; the others get its score. One cursor of the node. */
static void list_intersect(struct search *search, const struct node *node, struct cursor *cursor,
    bool scores, uint64_t *mask)
{
	const struct postings *list = &cursor->term->list;
	uint32_t end = slots_end(mask), count = postings_run_count(list), first, last;
	struct slots slots = {0, 0};
	struct filter filter;
	filter.is_made = false;
	if (list->bits != NULL) {
		dense_intersect(search, list, mask);
		if (scores)
			dense_score(search, node, cursor, mask);
		return;
	}
	if (search->lists && end > 0)
		list_prefetch(search, cursor, mask, end);
	for (; slots.from < end; slots.from = slots.to) {
		slots.to = slots.from + 1;
		if ((mask[slots.from / 64] >> (slots.from % 64) & 1) == 0)
			continue;
		uint32_t at = cursor_find(cursor, search->docids[slots.from]);
		if (at == count) {
			slots.to = end;
			slots_drop(mask, slots);
			return;
		}
		postings_bounds(list, at, &first, &last);
		while (slots.to < end && search->docids[slots.to] <= last)
			slots.to++;
		if (scores && run_is_hopeless(search, node, at, slots, mask)) {
			slots_drop(mask, slots);
			continue;
		}
		search->blocks_read += cursor->run_at != at;
		cursor_load(cursor, at, PART_DOCIDS);
		if (slots.to - slots.from < FILTER_WORTH) {
			run_keep_few(search, cursor, slots, scores, mask);
			continue;
		}
		if (!filter.is_made)
			filter_make(&filter, search->docids, mask);
		run_keep_many(search, cursor, slots, scores, &filter, mask);
	}
}

static enum posting_part part_for(const struct node *node, bool scores)
{
	return node->mask != FIELD_ANY ? PART_POSITIONS : scores ? PART_TFS : PART_DOCIDS;
}

/* Word by word: which candidates have all of them? */
static void phrase_narrow_list(struct search *search, struct node *node, uint64_t *mask)
{
	for (uint32_t i = 0; i < node->cursor_count; i++) {
		struct cursor *cursor = &node->cursors[i];
		if (cursor == search->driver)
			continue;
		list_intersect(search, node, cursor, false, mask);
	}
}

static void term_match_list(struct search *search, struct node *node, bool scores, uint64_t *mask)
{
	struct cursor *cursor = &node->cursors[0];
	struct term_probe probe = {.mask = node->mask, .part = part_for(node, scores),
	    .prunes = search->prunes && scores, .others = others_here(search, node)};
	bool in_order = node->must && probe.prunes;
	uint32_t place;
	if (node->mask == FIELD_ANY && (search->lists || cursor->term->list.bits != NULL)) {
		list_intersect(search, node, cursor, scores, mask);
		return;
	}
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint32_t docid = search_docid(search, slot);
			if (in_order)
				probe.others = search->scores[slot] + node->here.after;
			if (!cursor_has(search, cursor, docid, &probe, &place))
				mask[word] &= ~(1ULL << (slot % 64));
			else if (scores)
				term_add_score(search, cursor, slot, place);
		}
	}
}

/* The driver's own leaf: every candidate comes from it, with its score. */
static bool is_driver(const struct search *search, const struct node *node)
{
	return search->lists && search->driver == node->cursors && node->kind == QUERY_TERM &&
	    node->mask == FIELD_ANY;
}

/* The tags of a document tell whether it has one of a few. */
static bool tags_have(const struct node *node, uint32_t docid, bool *known)
{
	uint32_t ordinals[TAGS_FEW];
	uint32_t count = tags_get(&node->field->tags, docid, ordinals, TAGS_FEW);
	*known = count <= TAGS_FEW;
	for (uint32_t i = 0; i < count && *known; i++)
		for (uint32_t j = 0; j < node->cursor_count; j++)
			if (ordinals[i] == node->cursors[j].term->ordinal)
				return true;
	return false;
}

static bool union_has(struct search *search, struct node *node, uint32_t docid)
{
	struct term_probe probe = {.mask = node->mask, .part = part_for(node, false)};
	bool known = false;
	uint32_t place, slot = docid % WINDOW_DOCS, window = docid >> WINDOW_SHIFT;
	if (node->wide != NULL) {
		const uint64_t *page =
		    window < node->wide->page_count ? node->wide->pages[window] : NULL;
		return page != NULL && (page[slot / 64] >> (slot % 64) & 1) != 0;
	}
	uint32_t dense = 0;
	for (uint32_t i = 0; i < node->cursor_count && probe.mask == FIELD_ANY; i++) {
		const struct postings *list = &node->cursors[i].term->list;
		dense += list->bits != NULL;
		if (list->bits != NULL && dense_has(list, docid))
			return true;
	}
	if (node->cursor_count > 0 && dense == node->cursor_count)
		return false;
	if (node->kind == QUERY_TAG && node->cursor_count > 0) {
		bool has = tags_have(node, docid, &known);
		if (known)
			return has;
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

/* Of a batch. */
static void range_keep(const struct search *search, const struct node *node, uint64_t *mask)
{
	for (uint32_t word = 0; word < search->words; word++) {
		const uint32_t *docids = search->docids + word * 64;
		uint64_t kept = 0;
		if (node->field != NULL && node->has_numbers)
			kept = column_keep(
			    &node->field->numbers, docids, node->low, node->high, mask[word]);
		if (node->field != NULL && node->has_dates)
			kept |= column_keep(&node->field->dates, docids, node->date_low,
			    node->date_high, mask[word] & ~kept);
		mask[word] = kept;
	}
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
	uint32_t docid = search_docid(search, slot);
	switch (node->kind) {
	case QUERY_PREFIX: case QUERY_TAG:
		if (!union_has(search, node, docid))
			return false;
		if (scores)
			add_score(search, slot, node->bound);
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

/* Lengths lie far apart: all are asked for before the first is needed. */
static void lengths_prefetch(const struct search *search, const uint64_t *mask)
{
	for (uint32_t word = 0; word < search->words; word++)
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1)
			docs_prefetch_length(&search->index->docs,
			    search_docid(search, word * 64 + (uint32_t)__builtin_ctzll(bits)));
}

void leaf_match_list(struct search *search, struct node *node, bool scores, uint64_t *mask)
{
	if (node->kind == QUERY_TERM && node->cursor_count == 0) {
		memset(mask, 0, search->words * sizeof(*mask));
		return;
	}
	if (is_driver(search, node)) {
		if (scores && search->driver_is_late && search->known)
			list_add_scores(search, search->driver, mask);
		return;
	}
	if (node->kind == QUERY_TERM) {
		term_match_list(search, node, scores, mask);
		return;
	}
	if (node->kind == QUERY_TAG && node->cursor_count == 1 &&
	    node->cursors[0].term->list.bits != NULL) {
		dense_intersect(search, &node->cursors[0].term->list, mask);
		return;
	}
	if (node->kind == QUERY_RANGE && search->lists) {
		range_keep(search, node, mask);
		return;
	}
	if (node->kind == QUERY_PHRASE && search->lists)
		phrase_narrow_list(search, node, mask);
	if (node == search_root(search) && scores && search->lists && search->prunes)
		prune_list(search, mask);
	if (node->kind == QUERY_PHRASE) {
		if (scores)
			lengths_prefetch(search, mask);
		phrase_match_list(search, node, scores, mask);
		return;
	}
	for (uint32_t word = 0; word < search->words; word++) {
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			if (!leaf_has(search, node, slot, scores))
				mask[word] &= ~(1ULL << (slot % 64));
		}
	}
}
