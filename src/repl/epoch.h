/* repl/epoch.h: who led, and since when. Each promotion begins an epoch, with a number one higher than any
 * that the new leader has heard of. Two that never heard of each other may take the same number, so an
 * epoch is known by its first LSN and a random tag as well.
 */
#pragma once
#include "base/span.h"

struct epoch {
	uint32_t number, tag;             /* number 0: none */
	uint64_t first;                   /* LSN */
};

enum { EPOCH_TEXT = 44 };

/* "number:first:tag", one word; the zero behind it, too. */
struct span epoch_word(char out[EPOCH_TEXT], const struct epoch *epoch);
/* The word at the start of `text`, after spaces; how many bytes that is. 0: it is none. */
int epoch_scan(const char *text, struct epoch *out);
static inline bool epoch_equal(const struct epoch *a, const struct epoch *b)
{
	return a->number == b->number && a->tag == b->tag && a->first == b->first;
}
