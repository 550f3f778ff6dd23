/* search/match.c: choosing windows and evaluating the tree of a query in them; see run.h. */
#include "search/run.h"

enum { PASS_NODES = 64 };

static bool is_leaf(const struct node *node)
{
	return node->child_count == 0;
}

/* ---- Which window ------------------------------------------------------------------------- */

/* NONE under AND if any child has none; else the lowest. */
static uint32_t and_before(const struct search *search, const struct node *node)
{
	uint32_t before = DOCID_NONE;
	for (uint32_t i = 0; i < node->child_count; i++) {
		const struct node *child = &search->nodes[search->order[node->first_child + i]];
		if (child->before == DOCID_NONE)
			return DOCID_NONE;
		before = child->before < before ? child->before : before;
	}
	return before;
}

static uint32_t or_before(const struct search *search, const struct node *node)
{
	uint32_t before = DOCID_NONE;
	for (uint32_t i = 0; i < node->child_count; i++) {
		const struct node *child = &search->nodes[search->order[node->first_child + i]];
		if (child->sleeps)
			break;
		if (child->before != DOCID_NONE && (before == DOCID_NONE || child->before > before))
			before = child->before;
	}
	return before;
}

/* Can a document that has neither a child of this OR before this one, nor more of the query
 * than there is, enter the results? If not, the child and those after it need be asked
 * only about documents found already. */
static bool child_is_weak(const struct search *search, const struct node *node,
    const struct node *child)
{
	return search->prunes && node->must &&
	    is_hopeless(search, child->rest + bound_of_others(search, node->bound));
}

/* The same in this window. */
static bool child_is_weak_here(const struct search *search, const struct node *node,
    const struct node *child)
{
	return search->prunes && node->must &&
	    is_hopeless(search, child->here.rest + others_here(search, node));
}

/* Which words of an OR that every result has need not be sought any more? */
static void or_rest(struct search *search, const struct node *node)
{
	for (uint32_t i = 0; i < node->child_count; i++) {
		struct node *child = &search->nodes[search->order[node->first_child + i]];
		child->sleeps = child_is_weak(search, node, child);
		if (child->sleeps)
			search_skip(search);
	}
}

/* Is there but one word left that drives? Then its postings are walked from here on. */
static bool or_becomes_list(struct search *search)
{
	struct node *root = &search->nodes[search->root];
	if (!search->prunes || root->kind != QUERY_OR || search->lists)
		return false;
	struct node *first = &search->nodes[search->order[root->first_child]];
	const struct node *second = &search->nodes[search->order[root->first_child + 1]];
	if (!second->sleeps || first->kind != QUERY_TERM || first->mask != FIELD_ANY ||
	    first->cursor_count == 0)
		return false;
	uint64_t below = (uint64_t)search->window << WINDOW_SHIFT;
	search->lists = true;
	search->driver = &first->cursors[0];
	search->driver_node = first;
	search->driver_scores = first->scores;
	search->driver_run = CURSOR_NO_RUN;
	search->below = below < search->limit ? (uint32_t)below : search->limit;
	search->words = PACK_COUNT / 64;
	return true;
}

/* The greatest window below `window` that may hold a match; DOCID_NONE if none. */
static uint32_t search_before(struct search *search, uint32_t window)
{
	for (uint32_t i = 0; i < search->node_count && search->prunes; i++)
		if (search->nodes[i].kind == QUERY_OR && search->nodes[i].must)
			or_rest(search, &search->nodes[i]);
	for (uint32_t i = 0; i < search->node_count; i++) {
		struct node *node = &search->nodes[i];
		if (!node->drives || node->sleeps)
			continue;
		if (node->kind == QUERY_NOT || node->kind == QUERY_OPTIONAL)
			node->before = window == 0 ? DOCID_NONE : window - 1;
		else if (node->kind == QUERY_AND)
			node->before = and_before(search, node);
		else if (node->kind == QUERY_OR)
			node->before = or_before(search, node);
		else
			node->before = leaf_before(search, node, window);
	}
	return search->nodes[search->root].before;
}

bool search_may_skip(const struct search *search)
{
	if (search->shows_all)
		return false;
	if (search->total_is_known || search->options.count == SEARCH_NONE)
		return true;
	return search->options.count == SEARCH_FAST && search->total >= SEARCH_COUNT_FAST;
}

/* Can nothing in this window come before the worst result by the sort field? */
static bool key_is_hopeless(const struct search *search)
{
	double low, high;
	const struct top *top = &search->top;
	if (top->cap == 0)
		return true;
	const struct entry *worst = &top->entries[0];
	if (top->sort != SORT_NUMBER || search->lists)
		return false;
	if (search->sort_column == NULL ||
	    !column_bounds(search->sort_column, search->window, &low, &high))
		return true;              /* all missing, and older than what there is */
	if (worst->missing)
		return false;
	return top->descending ? high <= worst->number : low >= worst->number;
}

static void threshold_set(struct search *search)
{
	const struct top *top = &search->top;
	search->threshold = top->cap == 0 ? 3e38f : top_is_full(top) ? top->entries[0].score : 0;
	if (search->floor - SCORE_STEP > search->threshold)
		search->threshold = search->floor - SCORE_STEP;
}

bool search_prunes(struct search *search)
{
	const struct top *top = &search->top;
	search->counted = search->known = search->quietly = false;
	search->prunes = top->sort == SORT_SCORE && (top_is_full(top) || search->floor > 0) &&
	    search_may_skip(search);
	if (search->prunes)
		threshold_set(search);
	return search->prunes;
}

/* Are all results there already, among which no other can come? */
static bool scores_are_known(const struct search *search)
{
	const struct top *top = &search->top;
	return top->count > 0 && top_is_full(top) &&
	    search_root(search)->bound * search->slack <= top->entries[0].score;
}

/* Where many match, of which few can enter the results, matches are found first, quietly; a
 * second pass scores those that can. In windows only where all must be counted. */
bool search_is_quiet_first(const struct search *search)
{
	enum query_kind kind = search_root(search)->kind;
	bool worth = !search->prunes || (search->lists && search->scorers > 1);
	return worth && search->scoring && search->top.sort == SORT_SCORE &&
	    (top_is_full(&search->top) || search->floor > 0) && search->options.accept == NULL &&
	    !search->shows_all && (search->prunes || !search->total_is_known) &&
	    (kind == QUERY_AND || (kind == QUERY_PHRASE && !search->prunes) ||
	        (kind == QUERY_OR && !search->lists) || scores_are_known(search));
}

/* The root's frame; its mask holds the candidates. */
void frame_begin(struct search *search)
{
	struct frame *frame = &search->frames[0];
	frame->node = search->root;
	frame->child = 0;
	frame->quiet = !search->scoring || search->quietly;
	frame->again = search->known;
	memset(frame->found, 0, search->words * sizeof(*frame->found));
	search->frame_count = 1;
}

static void window_begin(struct search *search, const struct doc_window *docs)
{
	struct frame *frame = &search->frames[0];
	memcpy(frame->mask, docs->live, sizeof(frame->mask));
	uint64_t inside = search->limit - search->low;
	for (uint32_t word = 0; word < WINDOW_WORDS && inside < WINDOW_DOCS; word++) {
		if (inside <= word * 64)
			frame->mask[word] = 0;
		else if (inside < word * 64 + 64)
			frame->mask[word] &= ~0ULL >> (64 - (inside - word * 64));
	}
	frame_begin(search);
}

enum window_state window_next(struct search *search)
{
	uint32_t passes = search->node_count < PASS_NODES ? PASS_NODES / search->node_count : 1;
	if (search_prunes(search) && is_hopeless(search, search_root(search)->bound)) {
		search_skip(search);
		return WINDOW_END;
	}
	for (; passes > 0; passes--) {
		uint32_t window = search_before(search, search->window);
		if (or_becomes_list(search))
			return WINDOW_PASSED;
		if (window == DOCID_NONE)
			return WINDOW_END;
		ASSERT(window < search->window);
		if (wide_lacks(search, window)) {
			search->low = window << WINDOW_SHIFT;
			return WINDOW_LACKS;
		}
		search->window = window;
		search->low = window << WINDOW_SHIFT;
		search->high = search->low + (WINDOW_DOCS - 1);
		const struct doc_window *docs = docs_window(&search->index->docs, window);
		if (docs == NULL || docs->live_count == 0)
			continue;
		if (search->top.sort != SORT_SCORE && top_is_full(&search->top) &&
		    search_may_skip(search) && key_is_hopeless(search)) {
			search_skip(search);
			continue;
		}
		if (search->prunes)
			bounds_narrow(search);
		if (search->prunes && is_hopeless(search, search_root(search)->here.bound)) {
			search_skip(search);
			continue;
		}
		search->quietly = search_is_quiet_first(search);
		window_begin(search, docs);
		search->windows++;
		return WINDOW_FOUND;
	}
	return WINDOW_PASSED;
}

/* ---- The tree in one window -----------------------------------------------------------------
 *
 * An AND below an OR or ~ may fail for a document that matches otherwise; what its first
 * children scored must then not count. Such an AND is guarded: it is evaluated quietly,
 * and again, for the documents that it matches, to add their scores. So is one at the root of
 * which several words score: most documents do not have all of them. */

static bool mask_is_empty(const struct search *search, const uint64_t *mask)
{
	uint64_t any = 0;
	for (uint32_t i = 0; i < search->words; i++)
		any |= mask[i];
	return any == 0;
}

static const struct node *frame_child(const struct search *search, const struct frame *frame)
{
	const struct node *node = &search->nodes[frame->node];
	return &search->nodes[search->order[node->first_child + frame->child]];
}

/* The child's matches are in the frame above the top. */
static void frame_take(struct search *search, struct frame *frame)
{
	const struct node *node = &search->nodes[frame->node];
	const uint64_t *matches = search->frames[search->frame_count].mask;
	for (uint32_t i = 0; i < search->words; i++) {
		if (node->kind == QUERY_AND)
			frame->mask[i] = matches[i];
		else if (node->kind == QUERY_OR)
			frame->found[i] |= matches[i];
		else if (node->kind == QUERY_NOT)
			frame->mask[i] &= ~matches[i];
	}
	frame->child++;
}

/* Is there nothing more to ask the children of this frame? */
static bool frame_is_done(struct search *search, struct frame *frame,
    const struct node *node)
{
	if (node->kind == QUERY_OPTIONAL && (frame->quiet || !node->scores))
		return true;
	if (node->kind == QUERY_AND && mask_is_empty(search, frame->mask))
		return true;
	if (frame->child == node->child_count) {
		if (!node->guarded || frame->again || frame->quiet || !node->scores)
			return true;
		frame->again = true;
		frame->child = 0;
		if (search->prunes && frame->node == search->root && !search->lists)
			prune_window(search, frame->mask);
	}
	while (
	    frame->again && frame->child < node->child_count && !frame_child(search, frame)->scores)
		frame->child++;           /* they match all that is left */
	return frame->child == node->child_count;
}

/* Drops candidates whose score so far is too low for all that can still come. */
static void mask_prune(struct search *search, uint64_t *mask, float rest)
{
	for (uint32_t word = 0; word < search->words; word++) {
		uint64_t dropped = 0;
		for (uint64_t bits = mask[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			if (is_hopeless(search, search->scores[slot] + rest))
				dropped |= bits & -bits;
		}
		mask[word] &= ~dropped;
		if (dropped != 0)
			search_skip(search);
	}
}

/* Before a child is asked: fewer candidates, if the results are full already. True when the
 * child need be asked only about what an OR has found. */
static bool frame_prune(struct search *search, struct frame *frame, const struct node *node)
{
	const struct node *child = frame_child(search, frame);
	float rest = child->here.rest + others_here(search, node);
	if (!search->prunes || !node->must || frame->child == 0 || frame->quiet)
		return false;
	if (node->guarded && !frame->again)
		return false;             /* no scores yet */
	if (node->kind == QUERY_AND)
		mask_prune(search, frame->mask, rest);
	else if (node->kind == QUERY_OR && child_is_weak_here(search, node, child))
		mask_prune(search, frame->found, rest);
	else
		return false;
	if (node->kind == QUERY_OR)
		search_skip(search);
	return node->kind == QUERY_OR;
}

static void frame_push(struct search *search, struct frame *frame, const struct node *node)
{
	ASSERT(search->frame_count < search->frame_cap);
	bool narrow = frame_prune(search, frame, node);
	struct frame *above = &search->frames[search->frame_count++];
	above->node = search->order[node->first_child + frame->child];
	above->child = 0;
	above->quiet = frame->quiet || node->kind == QUERY_NOT || (node->guarded && !frame->again);
	above->again = false;
	memcpy(above->mask, narrow ? frame->found : frame->mask,
	    search->words * sizeof(*above->mask));
	/* What an OR has found need not be found again, unless for its score. */
	if (node->kind == QUERY_OR && (frame->quiet || !node->scores))
		for (uint32_t i = 0; i < search->words; i++)
			above->mask[i] &= ~frame->found[i];
	if (search->nodes[above->node].kind == QUERY_OR)
		memset(above->found, 0, search->words * sizeof(*above->found));
}

/* The first pass of two is through. Is there need of the second? */
static bool window_count(struct search *search)
{
	uint64_t count = 0;
	if (search->lists)
		matches_drop_dead(search, search->matches);
	else
		matches_check(search);
	for (uint32_t word = 0; word < search->words; word++)
		count += (uint32_t)__builtin_popcountll(search->matches[word]);
	search->quietly = false;
	search->known = true;
	if (!search->prunes) {
		search->total += count;
		search->counted = search->prunes = true;
		threshold_set(search);
	}
	if (count == 0)
		return false;
	bounds_narrow(search);
	if (is_hopeless(search, search_root(search)->here.bound)) {
		memset(search->matches, 0, search->words * sizeof(*search->matches));
		return false;
	}
	memcpy(search->frames[0].mask, search->matches, search->words * sizeof(*search->matches));
	if (search->lists)
		prune_list(search, search->frames[0].mask);
	else if (search_root(search)->kind != QUERY_OR)
		prune_window(search, search->frames[0].mask);
	frame_begin(search);
	return true;
}

static void leaf_ask(struct search *search, struct node *node, struct frame *frame)
{
	bool scores = node->scores && !frame->quiet;
	struct node_work from = profile_begin(search);
	if (search->lists)
		leaf_match_list(search, node, scores, frame->mask);
	else
		leaf_match(search, node, scores, frame->mask);
	profile_end(search, node, &from);
}

bool window_match(struct search *search)
{
	bool evaluated = false;
	while (search->frame_count > 0) {
		struct frame *frame = &search->frames[search->frame_count - 1];
		struct node *node = &search->nodes[frame->node];
		if (is_leaf(node)) {
			if (evaluated)
				return false;
			leaf_ask(search, node, frame);
			evaluated = true;
		} else if (!frame_is_done(search, frame, node)) {
			frame_push(search, frame, node);
			continue;
		} else if (node->kind == QUERY_OR) {
			memcpy(frame->mask, frame->found, search->words * sizeof(*frame->mask));
		}
		search->frame_count--;
		if (search->frame_count == 0 || !search->frames[search->frame_count - 1].again)
			profile_count(search, node, frame->mask);
		if (search->frame_count > 0)
			frame_take(search, &search->frames[search->frame_count - 1]);
	}
	memcpy(search->matches, search->frames[0].mask, search->words * sizeof(*search->matches));
	return !search->quietly || !window_count(search);
}
