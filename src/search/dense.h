/* search/dense.h: a word or tag that many documents have keeps a bit a document besides its
 * postings, and the frequencies above 1 by themselves. Which of some documents have it is then read
 * off without decoding anything, a window's worth is one AND, and how many bits precede a
 * document's in its block tells where in the block its first position lies.
 *
 * Invariant: the bits are the ids of the postings, the dead that are not yet swept included.
 * They are not dumped: load.c sets them as blocks arrive.
 *
 * A list becomes dense when a block is sealed and at least one document in DENSE_SHARE has the
 * word; it stops to be when fewer than half of that have it.
 */
#pragma once
#include "search/postings.h"

enum { DENSE_SHARE = 16, DENSE_BLOCKS_MIN = 4, DENSE_TF_BITS = 4, DENSE_TF_MAX = 15 };

/* Of the documents of a window that have the word more than once: slot << 4 | tf, ascending; tf is
 * DENSE_TF_MAX where it is that or more. */
struct dense_more {
	uint16_t count, cap;
	uint16_t at[];
};

struct posting_bits {
	uint32_t words;                   /* a multiple of WINDOW_WORDS */
	struct dense_more **more;         /* by window; NULL: none there */
	uint64_t at[];
};

/* After a block of the list was sealed; ids below `next` were given. */
void dense_decide(struct postings *list, struct memory *memory, uint32_t next);

/* Ascending ids that the list has from now on, or no longer. The list is dense. */
void dense_add(struct postings *list, struct memory *memory, const uint32_t *docids,
    const uint8_t *tfs, uint32_t count);
void dense_remove(struct postings *list, uint32_t docid);
void dense_free(struct postings *list, struct memory *memory);

/* The list is dense. */
static inline bool dense_has(const struct postings *list, uint32_t docid)
{
	uint32_t word = docid / 64;
	return word < list->bits->words && (list->bits->at[word] >> (docid % 64) & 1) != 0;
}

/* Frequency in a document that is there, up to DENSE_TF_MAX. */
static inline uint32_t dense_tf(const struct postings *list, uint32_t docid)
{
	const struct dense_more *more = list->bits->more[docid >> WINDOW_SHIFT];
	uint32_t slot = docid % WINDOW_DOCS, base = 0;
	if (more == NULL || more->count == 0)
		return 1;
	for (uint32_t left = more->count, half; left > 1; left -= half) {
		half = left / 2;
		base += (more->at[base + half - 1] >> DENSE_TF_BITS < slot) * half;
	}
	return more->at[base] >> DENSE_TF_BITS == slot ? more->at[base] & DENSE_TF_MAX : 1;
}

/* Sets the bits of those that have the word more than once. */
void dense_more_bits(const struct postings *list, uint32_t window, uint64_t bits[WINDOW_WORDS]);

/* WINDOW_WORDS words, or NULL where there are none. */
static inline const uint64_t *dense_window(const struct postings *list, uint32_t window)
{
	uint64_t word = (uint64_t)window * WINDOW_WORDS;
	return word < list->bits->words ? list->bits->at + word : NULL;
}

/* The place of docid, which block `at` of a dense list has, in that block. */
uint32_t dense_place(const struct postings *list, uint32_t at, uint32_t docid);

/* Frequency of posting `place` of sealed block `at` alone. */
uint8_t posting_tf(const struct postings *list, uint32_t at, uint32_t place);
