/* search/bound.h: can any posting of a block enter the results? Asked of thousands of blocks in a
 * row, and mostly answered without a division. Part of run.h. */
#pragma once
#include "search/run.h"

/* Of a word: as best_bound(...) + others being hopeless, mostly without a division. */
struct bound_test {
	float weight, others;
	float by_tf, less;                /* below: lengths over tf * by_tf - less are hopeless */
	bool  is_on;
};
struct bound_test bound_test_make(const struct search *search, float weight, float others);
/* Of a word alone, against this score. */
struct bound_test bound_test_above(const struct search *search, float weight, float score);

/* False: there is no telling without a division. */
static inline bool bound_test_is_less(
    const struct bound_test *test, const struct posting_best *best)
{
	float top = (float)best->tf_max;
	return test->is_on && (float)best->length_single > test->by_tf - test->less &&
	    (float)best->length_top > top * test->by_tf - test->less &&
	    (float)best->length_between > (top - 1) * test->by_tf - test->less;
}

static inline bool bound_test_fails(
    const struct search *search, const struct bound_test *test, const struct posting_best *best)
{
	return bound_test_is_less(test, best) ||
	    is_hopeless(search, best_bound(search, test->weight, best) + test->others);
}

/* What a score must be above: (score + others) * slack > limit. */
struct score_limit {
	float others, slack, limit;
};

/* The highest tf up to which no posting of a block of this best is above the limit. */
static inline uint32_t tf_below_limit(const struct search *search, float weight,
    const struct posting_best *best, const struct score_limit *limit)
{
	uint32_t tf = 1;
	for (; tf <= best->tf_max; tf++) {
		uint32_t length = tf == 1 ? best->length_single
		    : tf == best->tf_max ? best->length_top : best->length_between;
		float score = term_score(search, weight, (uint8_t)tf, length);
		if ((score + limit->others) * limit->slack > limit->limit)
			break;
	}
	return tf - 1;
}
