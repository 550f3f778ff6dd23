/* search/block.h: how postings.c and sweep of postings write blocks and tails. Internal to
 * the posting list. */
#pragma once
#include "search/postings.h"

enum { BLOCK_MASK_BITS = 4, BATCH_MAX = 2 * PACK_COUNT };

/* Decoded postings on their way into a block; positions still point to where they were. */
struct posting_batch {
	uint32_t    docids[BATCH_MAX];
	uint8_t     tfs[BATCH_MAX];
	uint8_t     masks[BATCH_MAX];
	struct span positions[BATCH_MAX];
	uint32_t    count;
};

/* Adds the postings of a fully loaded run; with `live`, only those of live documents. */
void posting_batch_add(
    struct posting_batch *batch, struct posting_run *run, const struct docs *live);

/* 1..PACK_COUNT postings into a new block. */
struct posting_skip block_encode(const struct posting_batch *batch, struct memory *memory,
    const struct docs *docs, bool plain);

struct span posting_run_bytes(struct posting_run *run, uint32_t i);
uint32_t position_base(uint8_t mask);
uint8_t *tail_put(const struct postings *list, uint8_t *out, const struct posting *posting);
