/* search/postings.h: the documents of one term, in ascending order of id.
 *
 * Sealed blocks of up to 128 postings, bit-packed, and one open tail of less than 128 as
 * variable-length bytes. Beside each block stands a skip entry with its last id and with
 * what bounds the scores in it: the shortest length among postings with tf 1, the highest
 * tf with the shortest length among those that have it, and the shortest length among the
 * rest. Lengths and frequencies are kept rather than a score, so that idf and mean length
 * may drift.
 *
 * Block: struct posting_block, then 4 * delta_bits words of (gap - 1), 4 * tf_bits words
 * of (tf - 1), 16 words of field masks if they differ (mask is 0), then the positions as
 * bytes. Tail: for each posting gap, (tf - 1) << 4 | mask, positions; all varints.
 * Positions of one posting: the first from the base of its lowest field, then gaps.
 * A plain list (tags) has no tf, mask and positions.
 *
 * `version` changes with every change; who keeps decoded postings compares it.
 */
#pragma once
#include "search/docs.h"
#include "search/pack.h"

enum {
	POSTING_TF_MAX = 255,             /* frequencies and positions of a document saturate */

	FIELD_TITLE = 1, FIELD_CAMERA = 2, FIELD_CAPTION = 4, FIELD_TAGS = 8,
	FIELD_ANY = 15,
	/* Where the positions of each field begin; no phrase runs from field to field. */
	POSITION_TITLE = 0, POSITION_CAMERA = 16 << 10, POSITION_CAPTION = 32 << 10,
	POSITION_TAGS = 512 << 10,
	POSITION_TAG_GAP = 16,            /* between one tag and the next */
};

struct posting_block {
	uint32_t first;
	uint32_t bytes;                   /* of the whole block */
	uint8_t  count, delta_bits, tf_bits, mask;
	uint32_t words[];
};
_Static_assert(sizeof(struct posting_block) == 12, "block header");

struct posting_skip {
	uint32_t last;
	uint8_t  tf_max;
	/* Shortest lengths with tf 1, tf_max, and tf between; 255 also for longer, or none. */
	uint8_t  length_single, length_top, length_between;
	struct posting_block *block;
};
_Static_assert(sizeof(struct posting_skip) == 16, "skip entry");

struct postings {
	struct posting_skip *skips;
	uint8_t *tail;
	uint32_t block_count, skip_cap;
	uint32_t tail_len, tail_cap;
	uint32_t tail_first, tail_last;   /* ids, if tail_count > 0 */
	uint32_t count;                   /* postings, dead ones included */
	uint32_t dead;                    /* dead ones among them, as of the last sweep */
	uint32_t version;
	uint8_t  tail_count;
	bool     plain;
};

struct posting {
	uint32_t docid;                   /* above all before */
	uint8_t  tf, mask;
	const uint32_t *positions;        /* tf of them, ascending */
};

/* Decoded postings of one block or of the tail. */
struct posting_run {
	uint32_t docids[PACK_COUNT];
	uint8_t  tfs[PACK_COUNT];
	uint8_t  masks[PACK_COUNT];
	uint32_t count;
	bool     plain;
	/* For positions: bytes at which posting `at` begins, and the end of all. */
	const uint8_t *cursor, *start, *end;
	uint32_t at;
	bool     is_tail;
};

void postings_init(struct postings *list, bool plain);
void postings_fini(struct postings *list, struct memory *memory);

/* `docs` gives the lengths for the bounds of a block that is sealed by this. */
void postings_append(struct postings *list, struct memory *memory, const struct docs *docs,
    const struct posting *posting);

/* Runs are numbered: the sealed blocks, then the tail, if it holds any. */
static inline uint32_t postings_run_count(const struct postings *list)
{
	return list->block_count + (list->tail_count > 0);
}

/* The run that holds the first posting >= docid; postings_run_count() if there is none.
 * Searches in [from, until). */
uint32_t postings_find(const struct postings *list, uint32_t docid, uint32_t from, uint32_t until);

/* Every id of run `at` is within [first, last]; the first may be lower than the truth. */
void postings_bounds(const struct postings *list, uint32_t at, uint32_t *first, uint32_t *last);

/* Docids alone, or all. The run refers into the list for positions. */
void postings_load(const struct postings *list, uint32_t at, bool docids_only,
    struct posting_run *run);

/* Positions of posting i, at most POSTING_TF_MAX; returns how many. Ascending calls on one
 * run are cheap. */
uint32_t posting_run_positions(struct posting_run *run, uint32_t i,
    uint32_t out[POSTING_TF_MAX]);

/* Re-packs from run `*at` on without dead postings, merging small blocks; stops after
 * `runs` runs with *at where to go on and true, or at the end with false. The list is
 * whole at every return. *dead counts dead postings that were left. */
bool postings_sweep(struct postings *list, struct memory *memory, const struct docs *docs,
    uint32_t runs, uint32_t *at, uint32_t *dead);
