/* search/prune.h: documents that have two dense words are dropped by classes before any is scored.
 * Part of run.h. */
#pragma once
#include "search/cursor.h"

enum { PRUNE_WORDS = 2, PRUNE_CLASSES = 1 << PRUNE_WORDS };

/* A class: which of the words a document has more than once. Within it scores fall with length. */
struct dense_prune {
	const struct cursor *cursors[PRUNE_WORDS];
	uint32_t count;
	bool     is_made;
	float    others;                  /* what the rest of the query can add */
	float    threshold;               /* of the lengths below */
	int      length_max[PRUNE_CLASSES];       /* longer ones cannot enter; -1: none can */
};

/* Of the documents in the mask, which have all words of the AND at the root, drops in a window those
 * that cannot enter the results. */
struct search;
struct node;
void prune_window(struct search *search, uint64_t *mask);
/* The same in a batch, where the driver takes part as dense words do. */
void prune_list(struct search *search, uint64_t *mask);

/* The same by one dense word, which all in the mask have. */
void prune_word(struct search *search, struct node *node, uint64_t *mask);
