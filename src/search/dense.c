/* search/dense.c: see dense.h. */
#include "search/dense.h"

#include "search/block.h"

static const size_t PAGE_BYTES = WINDOW_WORDS * sizeof(uint64_t);

static size_t bits_size(uint32_t words)
{
	return sizeof(struct posting_bits) + words * sizeof(uint64_t);
}

static size_t more_size(uint32_t words)
{
	return words / WINDOW_WORDS * sizeof(uint64_t *);
}

static void bits_reach(struct postings *list, struct memory *memory, uint32_t docid)
{
	struct posting_bits *bits = list->bits;
	uint32_t before = bits == NULL ? 0 : bits->words, need = docid / 64 + 1;
	if (need <= before)
		return;
	uint64_t **more = bits == NULL ? NULL : bits->more;
	uint32_t words = need + need / 8;
	words = (words + WINDOW_WORDS - 1) / WINDOW_WORDS * WINDOW_WORDS;
	bits = memory_resize(memory, bits, bits == NULL ? 0 : bits_size(before), bits_size(words));
	bits->more = memory_resize(memory, more, more_size(before), more_size(words));
	memset(bits->at + before, 0, (words - before) * sizeof(*bits->at));
	memset((uint8_t *)bits->more + more_size(before), 0, more_size(words) - more_size(before));
	bits->words = words;
	list->bits = bits;
}

static void more_set(struct posting_bits *bits, struct memory *memory, uint32_t docid)
{
	uint64_t **more = &bits->more[docid >> WINDOW_SHIFT];
	if (*more == NULL)
		*more = memory_zalloc(memory, PAGE_BYTES);
	(*more)[docid % WINDOW_DOCS / 64] |= 1ULL << (docid % 64);
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
			more_set(list->bits, memory, docids[i]);
	}
}

void dense_remove(struct postings *list, uint32_t docid)
{
	uint64_t *more = list->bits->more[docid >> WINDOW_SHIFT];
	ASSERT(dense_has(list, docid));
	list->bits->at[docid / 64] &= ~(1ULL << (docid % 64));
	if (more != NULL)
		more[docid % WINDOW_DOCS / 64] &= ~(1ULL << (docid % 64));
}

void dense_free(struct postings *list, struct memory *memory)
{
	struct posting_bits *bits = list->bits;
	if (bits == NULL)
		return;
	for (uint32_t i = 0; i < bits->words / WINDOW_WORDS; i++)
		memory_free(memory, bits->more[i], PAGE_BYTES);
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
