/* search/bounds.c: the highest scores that the parts of a query can add in one window, or among the
 * documents of one run of the driver: from the best of the blocks that lie there, which is less
 * than the best of whole lists. See run.h.
 */
#include "search/run.h"

enum { NODES_MAX = 64, RUNS_MAX = 24, IDS_MAX = 2 * WINDOW_DOCS };

/* What bounds both. */
static void best_unite(struct posting_best *to, const struct posting_best *best)
{
	uint8_t between = best->length_between, single = best->length_single;
	if (best->tf_max == to->tf_max) {
		to->length_top = best->length_top < to->length_top ? best->length_top : to->length_top;
	} else if (best->tf_max > to->tf_max) {
		if (to->tf_max > 1 && to->length_top < between)
			between = to->length_top;
		to->tf_max = best->tf_max;
		to->length_top = best->length_top;
	} else if (best->tf_max > 1 && best->length_top < between) {
		between = best->length_top;
	}
	to->length_between = between < to->length_between ? between : to->length_between;
	to->length_single = single < to->length_single ? single : to->length_single;
}

/* Unites the best of the runs that lie between these ids. False: there is no telling. */
static bool best_between(struct cursor *cursor, uint32_t low, uint32_t high,
    struct posting_best *best)
{
	const struct postings *list = &cursor->term->list;
	uint32_t at = cursor->near;
	posting_best_init(best);
	best->length_single = UINT8_MAX;
	if (at > list->block_count || list->block_count == 0)
		at = list->block_count;
	uint32_t steps = RUNS_MAX;
	while (at > 0 && list->skips[at - 1].last >= low && steps-- > 0)
		at--;
	if (steps == UINT32_MAX || at == cursor->near)
		at = postings_find(list, low, 0, postings_run_count(list));
	cursor->near = at;
	for (uint32_t run = at; run < at + RUNS_MAX; run++) {
		if (run > 0 && run <= list->block_count && list->skips[run - 1].last >= high)
			return true;
		if (run >= list->block_count)
			return list->tail_count == 0 || list->tail_first > high;
		best_unite(best, &list->skips[run].best);
	}
	return false;
}

static float cursor_bound(const struct search *search, struct cursor *cursor)
{
	struct posting_best best;
	if (!best_between(cursor, search->low, search->high, &best))
		best = cursor->term->list.best;
	float bound = best_bound(search, cursor->weight, &best);
	return bound < cursor->bound ? bound : cursor->bound;
}

static float leaf_bound(const struct search *search, struct node *node)
{
	float sum = 0;
	if (node->kind != QUERY_TERM && node->kind != QUERY_PHRASE)
		return node->bound;
	for (uint32_t i = 0; i < node->cursor_count && node->scores; i++)
		sum += cursor_bound(search, &node->cursors[i]);
	return sum;
}

void bounds_copy(struct search *search)
{
	for (uint32_t i = 0; i < search->node_count; i++) {
		struct node *node = &search->nodes[i];
		node->here = (struct bounds){node->bound, node->rest, node->after};
	}
}

void bounds_narrow(struct search *search)
{
	ASSERT(search->low <= search->high);
	/* Runs of rare words are wide. */
	if (search->node_count > NODES_MAX || search->high - search->low > IDS_MAX) {
		bounds_copy(search);
		return;
	}
	for (uint32_t i = 0; i < search->node_count; i++) {
		struct node *node = &search->nodes[i];
		float sum = 0;
		if (node->child_count == 0) {
			node->here.bound = leaf_bound(search, node);
			continue;
		}
		for (uint32_t j = node->child_count; j-- > 0;) {
			struct node *child = &search->nodes[search->order[node->first_child + j]];
			sum += child->here.bound;
			child->here.rest = sum;
		}
		node->here.bound = node->kind == QUERY_NOT ? 0 : sum;
	}
	search->nodes[search->root].here.after = 0;
	for (uint32_t i = search->node_count; i-- > 0;) {
		const struct node *node = &search->nodes[i];
		for (uint32_t j = 0; j < node->child_count; j++) {
			struct node *child = &search->nodes[search->order[node->first_child + j]];
			child->here.after = node->here.after + child->here.rest - child->here.bound;
		}
	}
}
