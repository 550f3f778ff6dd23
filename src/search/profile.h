/* search/profile.h: what each node of a search did, for search_get_iterators. Part of run.h.
 *
 * All but the first and the last do nothing unless a profile was asked for. */
#pragma once
#include "search/search.h"

#include "base/buf.h"

struct node;

struct node_work {
	uint64_t us, matches, blocks_read, blocks_skipped;
};

/* Of a search; all zero: no profile was asked for. */
struct profile_work {
	struct node_work *nodes;          /* by node, until they go; NULL: none, or it has ended */
	struct search_iterator *iterators;           /* then; their texts are in search->text */
	uint32_t          count, cap;
};

void profile_init(struct search *search);

/* Around work for a node; then what it gave. */
struct node_work profile_begin(const struct search *search);
void profile_end(struct search *search, const struct node *node, const struct node_work *from);
void profile_count(struct search *search, const struct node *node, const uint64_t *mask);

/* While the nodes are still there. */
void profile_close(struct search *search);
