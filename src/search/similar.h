/* search/similar.h: what the pixels say of each document: its perceptual hash and its
 * colours, by docid; and the search for hashes that lie near.
 *
 * Hashes and colours arrive some time after the document did, and change in place: they are
 * no postings. They lie in windows of 4096 documents, 32 bytes a hash, two bytes of colours.
 *
 * Near means at most `distance` of 256 bits. Up to NEAR_INDEXED_MAX bits the search is exact
 * through multi-index hashing (Norouzi, Punjani and Fleet, "Fast exact search in Hamming
 * space with multi-index hashing", 2014): of 16 chunks of 16 bits at least one differs in one
 * bit at most, so that 17 probes into each of 16 tables find every candidate. The tables lie
 * in runs of 2^18 or 2^20 documents, built behind the scenes in slices; documents that no run
 * knows yet, and all of them for larger distances, are compared one after the other with
 * AVX-512 or AVX2 where the processor has them.
 *
 * Every byte is counted for the account given. Nothing here knows whether a document lives:
 * the owner removes it.
 */
#pragma once
#include "search/docs.h"

enum {
	SIMILAR_HASH_BYTES = 32,
	NEAR_BITS = 256,
	NEAR_INDEXED_MAX = 31,
	NEAR_HASHES_MAX = 8,
};

struct similar;

struct similar *similar_new(struct memory *memory);
void similar_free(struct similar *similar);

/* The account, for what belongs to searches. */
struct memory *similar_memory(const struct similar *similar);

/* A document's hash (NULL: it has none) and the bits of its colours (0: not known). Again for
 * the same document replaces both. */
void similar_put(struct similar *similar, uint32_t docid,
    const uint8_t hash[SIMILAR_HASH_BYTES], uint32_t colours);
void similar_remove(struct similar *similar, uint32_t docid);

/* NULL: it has none. Borrowed until the next change. */
const uint8_t *similar_hash(const struct similar *similar, uint32_t docid);
/* 0: not known. */
uint32_t similar_colours(const struct similar *similar, uint32_t docid);

/* Bits of all colours that any document has. */
uint32_t similar_colours_used(const struct similar *similar);

/* Clear in `mask` every document of the window that has none of these colours; whose colours
 * are known; that has no hash. */
void similar_filter_colours(const struct similar *similar, uint32_t window, uint32_t colours,
    uint64_t mask[WINDOW_WORDS]);
void similar_filter_uncoloured(
    const struct similar *similar, uint32_t window, uint64_t mask[WINDOW_WORDS]);
void similar_filter_hashed(
    const struct similar *similar, uint32_t window, uint64_t mask[WINDOW_WORDS]);

/* Builds runs for a while. OK: all that is worth it is built. ERR_AGAIN: the budget ended. */
MUST_CHECK enum err similar_step(struct similar *similar, const struct search_budget *budget);
bool similar_step_is_due(const struct similar *similar);

struct similar_stats {
	uint64_t hashes, coloured;        /* documents that have one */
	uint64_t indexed;                 /* hashes that runs know */
	uint64_t runs;
};
void similar_get_stats(const struct similar *similar, struct similar_stats *out);

/* ---- Searches ---- */

/* A search for near hashes, and its result: a set of documents. */
struct near;

/* `hashes`: one, or several of which any may be near (the turned ones). They are copied.
 * Documents that come during the search may be missing from it; those that go drop out. */
struct near *near_new(struct similar *similar, const uint8_t (*hashes)[SIMILAR_HASH_BYTES],
    uint32_t hash_count, uint32_t distance_max);
void near_free(struct near *near);
/* OK at the end, ERR_AGAIN at the end of the budget (one unit is about 10 us). */
MUST_CHECK enum err near_step(struct near *near, const struct search_budget *budget);

/* How many are near; an upper bound, as those that went since still count. */
uint64_t near_count(const struct near *near);
/* Clears in `mask` what is not near. */
void near_filter(const struct near *near, uint32_t window, uint64_t mask[WINDOW_WORDS]);
MUST_CHECK bool near_has(const struct near *near, uint32_t docid);
/* The greatest window below `window` that may hold any, or DOCID_NONE. */
uint32_t near_before(const struct near *near, uint32_t window);
/* Distance of a document from the nearest of the hashes; NEAR_BITS + 1: it has none. */
uint32_t near_distance(const struct near *near, uint32_t docid);
