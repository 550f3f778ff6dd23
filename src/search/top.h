/* search/top.h: the best results so far. Part of run.h. */
#pragma once
#include "search/search.h"

enum sort_kind { SORT_SCORE, SORT_NUMBER, SORT_TAG, SORT_TITLE };

struct entry {
	double   number;
	float    score;
	uint32_t docid;
	bool     missing;
	uint8_t  text_len;
	uint8_t  text[SEARCH_SORT_BYTES_MAX];
};

/* The best `cap` entries seen, worst first (a heap); sorted at the end. */
struct top {
	struct entry *entries;
	uint32_t      count, cap;
	uint32_t      sorted;             /* entries at the end that are in place already */
	enum sort_kind sort;
	bool          descending;
};

void top_offer(struct top *top, const struct entry *entry);
static inline bool top_is_full(const struct top *top) { return top->count == top->cap; }
/* Moves some entries to their place; true when all are. */
MUST_CHECK bool top_sort(struct top *top);
/* a comes before b in the results. */
bool entry_is_better(const struct top *top, const struct entry *a, const struct entry *b);
