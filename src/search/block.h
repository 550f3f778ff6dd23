/* search/block.h: how postings.c and sweep of postings write blocks and tails. Internal to
 * the posting list. */
#pragma once
#include "search/postings.h"

enum { BLOCK_FIELDS = 4, BLOCK_FIELD_BITS = 2, BATCH_MAX = 2 * PACK_COUNT, TAIL_POSITION_MAX = 31 };

static inline unsigned block_tf_bits(const struct posting_block *block)
{
	return block->shape >> 4;
}

static inline unsigned block_field(const struct posting_block *block)
{
	return block->shape & 15;
}

/* Decoded postings on their way into a block; rests still point to where they were. */
struct posting_batch {
	uint32_t    docids[BATCH_MAX];
	uint8_t     tfs[BATCH_MAX];
	uint32_t    positions[BATCH_MAX];
	struct span rests[BATCH_MAX];
	uint32_t    count;
	bool        plain;
};

/* Adds the postings of a wholly loaded run; with `live`, only those of live documents. */
void posting_batch_add(
    struct posting_batch *batch, const struct posting_run *run, const struct docs *live);

/* 1..PACK_COUNT postings into a new block. */
struct posting_skip block_encode(const struct posting_batch *batch, struct memory *memory,
    const struct docs *docs);

/* Writes gap, tf and first position of a posting into a tail; the rest follows. At most
 * TAIL_HEAD_MAX bytes. */
enum { TAIL_HEAD_MAX = 16 };
uint8_t *tail_put(const struct postings *list, uint8_t *out, const struct posting *posting);
