/* search/cursor.h: a place in one term's postings that survives changes of the list.
 *
 * The run (block or tail) that was decoded last is kept. Every entry compares the list's
 * version and forgets the run if the list changed meanwhile, so that a search may hold a
 * cursor across slices; it pins the term so that it is not dropped.
 */
#pragma once
#include "search/dense.h"
#include "search/dict.h"

enum { CURSOR_NO_RUN = 0xffffffff };

/* The longest documents that can enter the results, by tf; of prune.c. */
struct length_limits {
	bool    is_made;
	float   threshold, others;
	int16_t length_max[DENSE_TF_MAX + 1];     /* -1: none */
};

struct cursor {
	struct term *term;
	float        weight;              /* idf * (k1 + 1) */
	float        bound;               /* highest score in the list */
	uint32_t     place;               /* in the run, where the last probe ended */
	uint32_t     version;
	uint32_t     run_at;              /* CURSOR_NO_RUN: nothing decoded */
	uint32_t     run_first, run_last; /* its bounds */
	uint32_t     near;                /* a run that was asked for bounds */
	struct length_limits limits;
	bool         has_ones;
	float        ones[UINT8_MAX + 1]; /* scores of tf 1 by length; of dense lists (lists.c) */
	struct posting_run run;
};

void cursor_init(struct cursor *cursor, struct term *term);      /* pins */
void cursor_fini(struct cursor *cursor);                         /* unpins */

/* Goes to run `at`; nothing is decoded. */
void cursor_move(struct cursor *cursor, uint32_t at);

/* Of a document that may be there: its frequency, 0 if it is not, and its positions. Decodes as
 * little as it can. */
uint32_t cursor_tf(struct cursor *cursor, uint32_t docid);
uint32_t cursor_positions(struct cursor *cursor, uint32_t docid, uint32_t out[POSTING_TF_MAX]);

/* Decodes run `at` as far as `part`, if it is not the one decoded already. */
void cursor_load(struct cursor *cursor, uint32_t at, enum posting_part part);

/* The first run that has a posting >= docid; the run count if none. */
uint32_t cursor_find(struct cursor *cursor, uint32_t docid);

/* The greatest id below `limit`, or DOCID_NONE. */
uint32_t cursor_before(struct cursor *cursor, uint32_t limit);

/* The first place in the run whose id is >= docid; the count if none. */
uint32_t cursor_run_find(const struct posting_run *run, uint32_t docid);

/* The same in the decoded run; quick when docids ascend from call to call. */
uint32_t cursor_place(struct cursor *cursor, uint32_t docid);

/* Place of docid in its run, which is then decoded; false if it is not there. */
MUST_CHECK bool cursor_at(
    struct cursor *cursor, uint32_t docid, enum posting_part part, uint32_t *place);
