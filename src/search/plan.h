/* search/plan.h: the nodes of a search in the order of its plan: a parent, then its children as they
 * are asked. Part of run.h. */
#pragma once
#include "search/run.h"

struct plan_walk {
	const struct search *search;
	uint32_t at, depth;               /* the node to come, and how many are above it */
	bool     is_done;
	/* Where the next sibling of each level stands in search->order. */
	struct { uint32_t next, end; } levels[SEARCH_DEPTH_MAX * 5 + 9];
};

static inline void plan_walk_init(struct plan_walk *walk, const struct search *search)
{
	walk->search = search;
	walk->at = search->root;
	walk->depth = 0;
	walk->is_done = false;
}

/* NULL: there are no more. */
static inline const struct node *plan_walk_next(struct plan_walk *walk, uint32_t *depth)
{
	if (walk->is_done)
		return NULL;
	const struct node *node = &walk->search->nodes[walk->at];
	*depth = walk->depth;
	if (node->child_count > 0) {
		ASSERT(walk->depth < ARRAY_COUNT(walk->levels));
		walk->levels[walk->depth].next = node->first_child;
		walk->levels[walk->depth++].end = node->first_child + node->child_count;
	}
	while (walk->depth > 0 &&
	    walk->levels[walk->depth - 1].next == walk->levels[walk->depth - 1].end)
		walk->depth--;
	walk->is_done = walk->depth == 0;
	if (!walk->is_done)
		walk->at = walk->search->order[walk->levels[walk->depth - 1].next++];
	return node;
}
