/* search/dense.c: see dense.h. */
#include "search/dense.h"

#include "search/block.h"

static size_t bits_size(uint32_t words)
{
	return sizeof(struct posting_bits) + words * sizeof(uint64_t);
}

static size_t more_size(uint32_t words)
{
	return words / WINDOW_WORDS * sizeof(struct dense_more *);
}

static void bits_reach(struct postings *list, struct memory *memory, uint32_t docid)
{
	struct posting_bits *bits = list->bits;
	uint32_t before = bits == NULL ? 0 : bits->words, need = docid / 64 + 1;
	if (need <= before)
		return;
	struct dense_more **more = bits == NULL ? NULL : bits->more;
	uint32_t words = need + need / 8;
	words = (words + WINDOW_WORDS - 1) / WINDOW_WORDS * WINDOW_WORDS;
	bits = memory_resize(memory, bits, bits == NULL ? 0 : bits_size(before), bits_size(words));
	bits->more = memory_resize(memory, more, more_size(before), more_size(words));
	memset(bits->at + before, 0, (words - before) * sizeof(*bits->at));
	memset((uint8_t *)bits->more + more_size(before), 0, more_size(words) - more_size(before));
	bits->words = words;
	list->bits = bits;
}

static size_t more_bytes(uint32_t cap)
{
	return sizeof(struct dense_more) + cap * sizeof(uint16_t);
}

static void more_add(struct posting_bits *bits, struct memory *memory, uint32_t docid, uint8_t tf)
{
	struct dense_more **at = &bits->more[docid >> WINDOW_SHIFT], *more = *at;
	uint32_t count = more == NULL ? 0 : more->count, cap = more == NULL ? 0 : more->cap;
	if (count == cap) {
		uint32_t need = cap + cap / 4 + 6;
		more = memory_resize(
		    memory, more, more == NULL ? 0 : more_bytes(cap), more_bytes(need));
		more->cap = (uint16_t)need;
		*at = more;
	}
	uint32_t most = tf < DENSE_TF_MAX ? tf : DENSE_TF_MAX;
	more->at[count] = (uint16_t)(docid % WINDOW_DOCS << DENSE_TF_BITS | most);
	more->count = (uint16_t)(count + 1);
	ASSERT(count == 0 || more->at[count] > more->at[count - 1]);
}

static void more_remove(struct dense_more *more, uint32_t docid)
{
	uint32_t slot = docid % WINDOW_DOCS, kept = 0;
	for (uint32_t i = 0; more != NULL && i < more->count; i++)
		if (more->at[i] >> DENSE_TF_BITS != slot)
			more->at[kept++] = more->at[i];
	if (more != NULL)
		more->count = (uint16_t)kept;
}

void dense_more_bits(const struct postings *list, uint32_t window, uint64_t bits[WINDOW_WORDS])
{
	const struct dense_more *more = window < list->bits->words / WINDOW_WORDS
	    ? list->bits->more[window] : NULL;
	memset(bits, 0, WINDOW_WORDS * sizeof(*bits));
	for (uint32_t i = 0; more != NULL && i < more->count; i++) {
		uint32_t slot = more->at[i] >> DENSE_TF_BITS;
		bits[slot / 64] |= 1ULL << (slot % 64);
	}
}

void dense_add(struct postings *list, struct memory *memory, const uint32_t *docids,
    const uint8_t *tfs, uint32_t count)
{
	if (count == 0)
		return;
	bits_reach(list, memory, docids[count - 1]);
	for (uint32_t i = 0; i < count; i++) {
		list->bits->at[docids[i] / 64] |= 1ULL << (docids[i] % 64);
		if (tfs[i] > 1)
			more_add(list->bits, memory, docids[i], tfs[i]);
	}
}

void dense_remove(struct postings *list, uint32_t docid)
{
	ASSERT(dense_has(list, docid));
	list->bits->at[docid / 64] &= ~(1ULL << (docid % 64));
	more_remove(list->bits->more[docid >> WINDOW_SHIFT], docid);
}

void dense_free(struct postings *list, struct memory *memory)
{
	struct posting_bits *bits = list->bits;
	if (bits == NULL)
		return;
	for (uint32_t i = 0; i < bits->words / WINDOW_WORDS; i++)
		if (bits->more[i] != NULL)
			memory_free(memory, bits->more[i], more_bytes(bits->more[i]->cap));
	memory_free(memory, bits->more, more_size(bits->words));
	memory_free(memory, bits, bits_size(bits->words));
	list->bits = NULL;
}

static void bits_make(struct postings *list, struct memory *memory)
{
	struct posting_run run;
	for (uint32_t at = 0; at < postings_run_count(list); at++) {
		run.part = PART_NONE;
		postings_load(list, at, PART_TFS, &run);
		dense_add(list, memory, run.docids, run.tfs, run.count);
	}
}

void dense_decide(struct postings *list, struct memory *memory, uint32_t next)
{
	uint64_t count = list->count;
	if (list->bits != NULL && count * DENSE_SHARE * 2 < next)
		dense_free(list, memory);
	else if (list->bits == NULL && list->block_count >= DENSE_BLOCKS_MIN &&
	    count * DENSE_SHARE >= next)
		bits_make(list, memory);
}

uint32_t dense_place(const struct postings *list, uint32_t at, uint32_t docid)
{
	uint32_t from = list->skips[at].block->first;
	const uint64_t *bits = list->bits->at;
	uint32_t word = from / 64, end = docid / 64;
	ASSERT(docid >= from);
	uint64_t first = bits[word] & ~0ULL << (from % 64), below = ~(~0ULL << (docid % 64));
	if (word == end)
		return (uint32_t)__builtin_popcountll(first & below);
	uint32_t count = (uint32_t)__builtin_popcountll(first);
	while (++word < end)
		count += (uint32_t)__builtin_popcountll(bits[word]);
	return count + (uint32_t)__builtin_popcountll(bits[end] & below);
}

uint8_t posting_tf(const struct postings *list, uint32_t at, uint32_t place)
{
	const struct posting_block *block = list->skips[at].block;
	unsigned bits = block_tf_bits(block);
	ASSERT(place < block->count);
	if (bits == 0)
		return 1;
	return (uint8_t)(pack_get(block->words + 4 * block->delta_bits, bits, place) + 1);
}
