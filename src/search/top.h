/* search/top.h: the best results so far. Part of run.h. */
#pragma once
#include "search/search.h"

enum sort_kind { SORT_SCORE, SORT_NUMBER, SORT_TAG, SORT_TITLE };

/* Texts compare byte by byte: first the eight in `key`, big-endian, then all of `text`. */
struct entry {
	double   number;
	uint64_t key;
	uint8_t *text;                    /* of an entry that is offered: borrowed */
	uint32_t text_len;
	uint32_t docid;
	float    score;
	bool     missing;
};

/* The best `cap` entries seen, worst first (a heap); sorted at the end. */
struct top {
	struct entry *entries;
	uint32_t      count, cap;
	uint32_t      sorted;             /* entries at the end that are in place already */
	enum sort_kind sort;
	bool          descending;
	struct memory *memory;            /* NULL: texts outlive this; else for copies of them */
	size_t        text_bytes;         /* of copies */
};

void top_fini(struct top *top, struct memory *memory);

void top_offer(struct top *top, const struct entry *entry);
static inline bool top_is_full(const struct top *top) { return top->count == top->cap; }
/* Moves some entries to their place; true when all are. */
MUST_CHECK bool top_sort(struct top *top);
uint64_t text_key(struct span text);
/* a comes before b in the results. */
bool entry_is_better(const struct top *top, const struct entry *a, const struct entry *b);
