/* cache/ranks.h: a large sorted set: its members by name (table.h) and by score, then bytes (counted.h).
 * Both refer to the same member. Ranks count from the lowest, from 0. Scores are never NaN. */
#pragma once
#include "cache/counted.h"
#include "cache/table.h"

struct ranks {
	uint32_t        magic;
	struct memory  *memory;
	struct table   *table;
	struct counted  order;
};

struct ranks *ranks_new(struct memory *memory, uint64_t seed);
/* Frees about `budget` members; false when none is left. Only for one that is to be freed. */
bool ranks_shrink(struct ranks *ranks, unsigned budget);
void ranks_free(struct ranks *ranks);

MUST_CHECK bool ranks_score(const struct ranks *ranks, struct span name, double *score);
MUST_CHECK bool ranks_rank(const struct ranks *ranks, struct span name, uint64_t *rank);
/* True: it is new. A score that is equal to the old one changes nothing. */
bool ranks_set(struct ranks *ranks, struct span name, double score);
/* False: it was not there. */
bool ranks_remove(struct ranks *ranks, struct span name);
/* As many as there are of `count` from rank `first` on; returns how many. */
uint64_t ranks_cut(struct ranks *ranks, uint64_t first, uint64_t count);

/* How many have a score, or a name, below the bound; or also those that are equal to it. For the
 * latter all scores should be the same. */
uint64_t ranks_below_score(const struct ranks *ranks, double score, bool or_equal);
uint64_t ranks_below_name(const struct ranks *ranks, struct span name, bool or_equal);

/* The member of a rank, or the end. Walk with counted_forward and counted_back. */
void ranks_seek(const struct ranks *ranks, uint64_t rank, struct counted_at *at);
