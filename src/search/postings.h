/* search/postings.h: the documents of one term, in ascending order of id.
 *
 * Sealed blocks of up to 128 postings, bit-packed, and one open tail of less than 128 as
 * variable-length bytes. Beside each block stands a skip entry with its last id and with
 * what bounds the scores in it: the shortest length among postings with tf 1, the highest
 * tf with the shortest length among those that have it, and the shortest length among the
 * rest. Lengths and frequencies are kept rather than a score, so that idf and mean length
 * may drift.
 *
 * A posting has a first position, told by its field (two bits) and the distance from the
 * field's base, and for tf > 1 the gaps to the others as varints, its rest. Which fields
 * it is in follows from the positions.
 *
 * Block: struct posting_block, then 4 * delta_bits words of (gap - 1), 4 * tf_bits words
 * of (tf - 1), 8 words of first fields if they differ, 4 * position_bits words of first
 * positions, then the rests. Tail: for each posting the gap as a varint, then one byte
 * field << 5 | position where tf is 1 and position below 32; else 0x80 | field << 5, tf and
 * position as varints, and the rest. A plain list (tags) has docids alone.
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
	uint8_t  count, delta_bits, position_bits;
	uint8_t  shape;                   /* tf_bits << 4 | field (0 to 3, 4: they differ) */
	uint32_t words[];
};
_Static_assert(sizeof(struct posting_block) == 12, "block header");

/* Bounds the scores of some postings. */
struct posting_best {
	uint8_t tf_max;
	/* Shortest lengths with tf 1, tf_max, and tf between; 255 also for longer, or none. */
	uint8_t length_single, length_top, length_between;
};

struct posting_skip {
	uint32_t last;
	struct posting_best best;
	struct posting_block *block;
};
_Static_assert(sizeof(struct posting_skip) == 16, "skip entry");

struct posting_bits;

struct postings {
	struct posting_skip *skips;
	struct posting_bits *bits;        /* NULL, or see dense.h */
	uint8_t *tail;
	uint32_t block_count, skip_cap;
	uint32_t tail_len, tail_cap;
	uint32_t tail_first, tail_last;   /* ids, if tail_count > 0 */
	uint32_t count;                   /* postings, dead ones included */
	uint32_t dead;                    /* dead ones among them, as of the last sweep */
	uint32_t version;
	struct posting_best best;         /* of all, also of some that are gone */
	uint8_t  tail_count;
	bool     plain;
};

struct posting {
	uint32_t docid;                   /* above all before */
	uint8_t  tf;
	const uint32_t *positions;        /* tf of them, ascending */
};

/* How much of a run is decoded: each includes those before it. Of the tail ids, or all. */
enum posting_part { PART_NONE, PART_DOCIDS, PART_TFS, PART_POSITIONS };

/* Decoded postings of one block or of the tail. */
struct posting_run {
	uint32_t docids[PACK_COUNT];
	uint8_t  tfs[PACK_COUNT];
	uint8_t  masks[PACK_COUNT];       /* FIELD_*; of PART_POSITIONS, as all below */
	uint32_t positions[PACK_COUNT];   /* the first one */
	uint32_t rests[PACK_COUNT];       /* where in `bytes` those after it are, if tf > 1 */
	const uint8_t *bytes;             /* in the list */
	uint32_t count;
	enum posting_part part;
};

void postings_init(struct postings *list, bool plain);
void postings_fini(struct postings *list, struct memory *memory);

/* `docs` gives the lengths for the bounds of a block that is sealed by this. */
void postings_append(struct postings *list, struct memory *memory, const struct docs *docs,
    const struct posting *posting);

/* The next posting goes there. */
static inline void postings_prefetch(const struct postings *list)
{
	if (list->tail != NULL)
		__builtin_prefetch(list->tail + list->tail_len, 1);
}

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

/* Decodes what `run` lacks of `part`; its own part tells what it has of this run. */
void postings_load(const struct postings *list, uint32_t at, enum posting_part part,
    struct posting_run *run);

/* Positions of posting i, at most POSTING_TF_MAX; returns how many. */
uint32_t posting_run_positions(const struct posting_run *run, uint32_t i,
    uint32_t out[POSTING_TF_MAX]);

/* The same of posting `place` of sealed block `at` of a list that is not plain, alone, where `before`
 * others with a tf above 1 have so many positions besides their first; returns `tf`. */
uint32_t posting_positions(const struct postings *list, uint32_t at, uint32_t place, uint32_t tf,
    uint32_t before, uint32_t out[POSTING_TF_MAX]);

/* None yet; one more. */
void posting_best_init(struct posting_best *best);
void posting_best_add(struct posting_best *best, uint8_t tf, uint32_t length);

/* 0 to 3, as the bits of FIELD_*. */
static inline uint32_t position_field(uint32_t position)
{
	return (position >= POSITION_CAMERA) + (position >= POSITION_CAPTION) +
	    (position >= POSITION_TAGS);
}

static inline uint32_t position_base(uint32_t field)
{
	return field == 0 ? POSITION_TITLE : field == 1 ? POSITION_CAMERA
	    : field == 2 ? POSITION_CAPTION : POSITION_TAGS;
}

/* Re-packs from run `*at` on without dead postings, merging small blocks; stops after
 * `runs` runs with *at where to go on and true, or at the end with false. The list is
 * whole at every return. *dead counts dead postings that were left. */
bool postings_sweep(struct postings *list, struct memory *memory, const struct docs *docs,
    uint32_t runs, uint32_t *at, uint32_t *dead);

/* The postings of run `at` below `limit`, which are not all of a whole block's, in the tail of a
 * list of its own. */
struct postings postings_cut(
    const struct postings *list, uint32_t at, uint32_t limit, struct memory *memory);

/* Room for so many more blocks; one more block, which is the list's from now on, behind all. */
void postings_reserve(struct postings *list, struct memory *memory, uint32_t blocks);
void postings_push(struct postings *list, struct memory *memory, struct posting_skip skip);
