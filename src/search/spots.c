/* search/spots.c: see spots.h.
 *
 * What many documents of a block need of its packed numbers is read from all of them unpacked at
 * once; few are read one by one. In a dense list the bits before a document's, counted from its
 * block's first on, tell its place in the block, so that no ids are decoded.
 */
#include "search/spots.h"

#include "search/block.h"
#include "search/varint.h"

enum { MANY = 6, PLACE_NONE = 0xff };

/* In a sealed block of a dense list. */
static void dense_places(const struct postings *list, uint32_t at, const uint32_t *docids,
    uint32_t count, uint8_t *places)
{
	const uint64_t *bits = list->bits->at;
	uint32_t first = list->skips[at].block->first, word = first / 64, before = 0;
	uint64_t from = ~0ULL << (first % 64);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t docid = docids[i];
		places[i] = PLACE_NONE;
		if (docid < first || !dense_has(list, docid))
			continue;
		for (; word < docid / 64; word++, from = ~0ULL)
			before += (uint32_t)__builtin_popcountll(bits[word] & from);
		uint64_t below = bits[word] & from & ~(~0ULL << (docid % 64));
		places[i] = (uint8_t)(before + (uint32_t)__builtin_popcountll(below));
	}
}

static void run_places(
    struct cursor *cursor, const uint32_t *docids, uint32_t count, uint8_t *places)
{
	const struct posting_run *run = &cursor->run;
	cursor_load(cursor, cursor->run_at, PART_DOCIDS);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = cursor_place(cursor, docids[i]);
		bool is_there = place < run->count && run->docids[place] == docids[i];
		places[i] = is_there ? (uint8_t)place : PLACE_NONE;
	}
}

static void numbers_at(const uint32_t *words, unsigned width, const uint8_t *places,
    uint32_t count, uint32_t *out)
{
	uint32_t all[PACK_COUNT];
	if (count < MANY || width == 0) {
		for (uint32_t i = 0; i < count; i++)
			out[i] = pack_get(words, width, places[i]);
		return;
	}
	pack_decode(words, width, all);
	for (uint32_t i = 0; i < count; i++)
		out[i] = all[places[i]];
}

/* Of those with a tf above 1: behind the rests of all before them. */
static void rests_find(const struct posting_block *block, const uint8_t *rests,
    const uint8_t *places, uint32_t count, struct spot *spots)
{
	uint32_t more[PACK_COUNT], place = 0, skip = 0;
	pack_decode(block->words + 4 * block->delta_bits, block_tf_bits(block), more);
	for (uint32_t i = 0; i < count; i++) {
		if (spots[i].tf < 2)
			continue;
		for (; place < places[i]; place++)
			skip += more[place];
		rests = varint_skip(rests, skip);
		skip = 0;
		spots[i].rest = rests;
	}
}

/* Of a sealed block; all places are there. */
static void block_spots(const struct posting_block *block, const uint8_t *places, uint32_t count,
    struct spot *spots)
{
	uint32_t tfs[SPOTS_MAX], positions[SPOTS_MAX], fields[SPOTS_MAX], most = 0;
	const uint32_t *words = block->words + 4 * block->delta_bits;
	numbers_at(words, block_tf_bits(block), places, count, tfs);
	words += 4 * block_tf_bits(block);
	if (block_field(block) == BLOCK_FIELDS) {
		numbers_at(words, BLOCK_FIELD_BITS, places, count, fields);
		words += 4 * BLOCK_FIELD_BITS;
	} else {
		for (uint32_t i = 0; i < count; i++)
			fields[i] = block_field(block);
	}
	numbers_at(words, block->position_bits, places, count, positions);
	for (uint32_t i = 0; i < count; i++) {
		spots[i] = (struct spot){position_base(fields[i]) + positions[i], tfs[i] + 1, NULL};
		most |= tfs[i];
	}
	if (most > 0)
		rests_find(block, (const uint8_t *)(words + 4 * block->position_bits), places,
		    count, spots);
}

static void tail_spots(struct cursor *cursor, const uint8_t *places, uint32_t count,
    struct spot *spots)
{
	const struct posting_run *run = &cursor->run;
	cursor_load(cursor, cursor->run_at, PART_POSITIONS);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = places[i];
		spots[i] = (struct spot){run->positions[at], run->tfs[at], NULL};
		if (run->tfs[at] > 1)
			spots[i].rest = run->bytes + run->rests[at];
	}
}

/* Of documents within the bounds of one run. */
static void run_spots(struct cursor *cursor, uint32_t at, const uint32_t *docids, uint32_t count,
    struct spot *spots)
{
	const struct postings *list = &cursor->term->list;
	uint8_t places[SPOTS_MAX];
	uint64_t lacks[SPOTS_MAX / 64] = {0};
	cursor_move(cursor, at);
	if (list->bits != NULL && at < list->block_count && cursor->run.part == PART_NONE)
		dense_places(list, at, docids, count, places);
	else
		run_places(cursor, docids, count, places);
	for (uint32_t i = 0; i < count; i++) {
		bool lacking = places[i] == PLACE_NONE;
		places[i] = lacking ? 0 : places[i];
		lacks[i / 64] |= (uint64_t)lacking << (i % 64);
	}
	if (at == list->block_count)
		tail_spots(cursor, places, count, spots);
	else
		block_spots(list->skips[at].block, places, count, spots);
	for (uint32_t word = 0; word < SPOTS_MAX / 64; word++)
		for (uint64_t bits = lacks[word]; bits != 0; bits &= bits - 1)
			spots[word * 64 + (uint32_t)__builtin_ctzll(bits)].tf = 0;
}

void cursor_spots(struct cursor *cursor, const uint32_t *docids, uint32_t count, struct spot *spots)
{
	const struct postings *list = &cursor->term->list;
	uint32_t first, last, to;
	ASSERT(count <= SPOTS_MAX);
	ASSERT(!list->plain);
	for (uint32_t from = 0; from < count; from = to) {
		uint32_t at = cursor_find(cursor, docids[from]);
		to = from + 1;
		if (at == postings_run_count(list)) {
			for (uint32_t i = from; i < count; i++)
				spots[i].tf = 0;
			return;
		}
		postings_bounds(list, at, &first, &last);
		while (to < count && docids[to] <= last)
			to++;
		run_spots(cursor, at, docids + from, to - from, spots + from);
	}
}

uint32_t spot_positions(const struct spot *spot, uint32_t out[POSTING_TF_MAX])
{
	const uint8_t *in = spot->rest;
	uint32_t position = spot->position, gap;
	out[0] = position;
	for (uint32_t i = 1; i < spot->tf; i++) {
		in = varint_get(in, &gap);
		position += gap;
		out[i] = position;
	}
	return spot->tf;
}
