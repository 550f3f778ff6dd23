/* tests/unit/search/parts_test.c: the index's data structures, each against something naive:
 * bit packing, posting lists and their sweep, the dictionary, columns. */
#include "base/random.h"
#include "search/column.h"
#include "search/dense.h"
#include "search/dict.h"
#include "search/simd.h"
#include "search/spots.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- pack --------------------------------------------------------------------------- */

Test(search_pack, every_width_comes_back)
{
	struct random random;
	uint32_t in[PACK_COUNT], out[PACK_COUNT], words[PACK_COUNT + 4];
	random_init(&random, 1);
	for (unsigned width = 0; width <= 32; width++) {
		for (int i = 0; i < PACK_COUNT; i++)
			in[i] = (uint32_t)(random_next(&random) & ((1ULL << width) - 1));
		if (width > 0)
			in[77] |= 1u << (width - 1);
		cr_assert_eq(pack_width(in), width);
		memset(words, 0xa5, sizeof(words));
		pack_encode(in, width, words);
		cr_assert_eq(words[4 * width], 0xa5a5a5a5, "width %u wrote too far", width);
		memset(out, 0xff, sizeof(out));
		pack_decode(words, width, out);
		cr_assert_arr_eq(in, out, sizeof(in), "width %u", width);
	}
}

Test(search_simd, counts_what_is_below_a_limit)
{
	struct random random;
	uint32_t values[128];
	random_init(&random, 1);
	for (int round = 0; round < 200; round++) {
		uint64_t value = round % 2 == 0 ? 0 : UINT32_MAX - 128 * 5;
		for (int i = 0; i < 128; i++)
			values[i] = (uint32_t)(value += random_below(&random, 5));
		for (int i = 0; i < 128; i++) {
			uint32_t limit = values[i] + (uint32_t)random_below(&random, 3) - 1, below = 0;
			while (below < 128 && values[below] < limit)
				below++;
			cr_assert_eq(simd_count_below(values, limit), below);
		}
	}
}

Test(search_simd, a_filter_passes_what_shares_the_lowest_bits)
{
	struct random random;
	uint32_t filter[SIMD_FILTER_BITS / 32], values[128];
	uint64_t bits[2];
	random_init(&random, 3);
	for (int round = 0; round < 50; round++) {
		for (size_t i = 0; i < ARRAY_COUNT(filter); i++)
			filter[i] = (uint32_t)random_next(&random);
		for (int i = 0; i < 128; i++)
			values[i] = (uint32_t)random_next(&random);
		simd_filter(filter, values, bits);
		for (int i = 0; i < 128; i++) {
			uint32_t at = values[i] % SIMD_FILTER_BITS;
			cr_assert_eq(bits[i / 64] >> (i % 64) & 1, filter[at / 32] >> (at % 32) & 1);
		}
	}
}

Test(search_simd, compares_bytes_without_a_sign)
{
	static uint8_t values[4096];
	static const uint8_t limits[] = {0, 1, 5, 127, 128, 200, 254, 255};
	struct random random;
	uint64_t bits[64];
	random_init(&random, 2);
	for (size_t round = 0; round < ARRAY_COUNT(limits); round++) {
		for (int i = 0; i < 4096; i++)
			values[i] = (uint8_t)random_next(&random);
		simd_bytes_upto(values, limits[round], bits);
		for (int i = 0; i < 4096; i++)
			cr_assert_eq(bits[i / 64] >> (i % 64) & 1, values[i] <= limits[round]);
		for (int i = 0; i < 64; i++)
			cr_assert_eq(simd_bytes_above_64(values + 64 * i, limits[round]), ~bits[i]);
	}
}

/* ---- postings ------------------------------------------------------------------------ */

enum { LIST_MAX = 3000 };

struct naive_posting {
	uint32_t docid, positions[POSTING_TF_MAX];
	uint8_t  tf, mask;
};

struct list_fixture {
	struct memory   memory;
	struct docs     docs;
	struct postings list;
	struct random   random;
	struct naive_posting *naive;
	uint32_t        count;
};

static uint32_t field_base(uint8_t mask)
{
	return (mask & FIELD_TITLE) != 0 ? POSITION_TITLE : (mask & FIELD_CAMERA) != 0
	    ? POSITION_CAMERA : (mask & FIELD_CAPTION) != 0 ? POSITION_CAPTION : POSITION_TAGS;
}

static void list_add(struct list_fixture *f)
{
	struct naive_posting *naive = &f->naive[f->count++];
	while (random_below(&f->random, 3) == 0)
		(void)docs_add(&f->docs, NULL, 5, (struct span){0});
	naive->docid = docs_add(&f->docs, NULL, 1 + (uint32_t)random_below(&f->random, 300),
	    (struct span){0});
	naive->tf =
	    (uint8_t)(1 + random_below(&f->random, random_below(&f->random, 50) == 0 ? 255 : 3));
	naive->mask = 0;
	/* In each field some, as a rule all in the caption. */
	uint32_t field = random_below(&f->random, 3) == 0 ? (uint32_t)random_below(&f->random, 4) : 2;
	uint32_t position = field_base((uint8_t)(1 << field));
	for (int i = 0; i < naive->tf; i++) {
		position += (uint32_t)random_below(&f->random, 3 + random_below(&f->random, 60));
		if (field < 3 && i > 0 && random_below(&f->random, 20) == 0)
			position = field_base((uint8_t)(1 << ++field));
		naive->positions[i] = position;
		naive->mask |= (uint8_t)(1 << field);
	}
	struct posting posting = {naive->docid, naive->tf, naive->positions};
	postings_append(&f->list, &f->memory, &f->docs, &posting);
}

static void list_init(struct list_fixture *f, uint64_t seed, uint32_t count)
{
	*f = (struct list_fixture){.naive = calloc(LIST_MAX, sizeof(struct naive_posting))};
	docs_init(&f->docs, &f->memory);
	postings_init(&f->list, false);
	random_init(&f->random, seed);
	for (uint32_t i = 0; i < count; i++)
		list_add(f);
}

static void list_fini(struct list_fixture *f)
{
	postings_fini(&f->list, &f->memory);
	docs_fini(&f->docs);
	cr_assert_eq(f->memory.bytes, 0);
	free(f->naive);
}

/* What the bits of a dense list say about posting `j` of run `at`, which is in hand. */
static void dense_check(const struct postings *list, uint32_t at, const struct posting_run *run,
    uint32_t j, const struct naive_posting *naive)
{
	uint32_t positions[POSTING_TF_MAX], before = 0;
	uint32_t tf = naive->tf < DENSE_TF_MAX ? naive->tf : DENSE_TF_MAX;
	cr_assert(dense_has(list, naive->docid));
	cr_assert_eq(dense_tf(list, naive->docid), tf);
	if (at == list->block_count)
		return;
	for (uint32_t i = 0; i < j; i++)
		before += run->tfs[i] - 1u;
	cr_assert_eq(dense_place(list, at, naive->docid), j);
	cr_assert_eq(posting_tf(list, at, j), naive->tf);
	cr_assert_eq(posting_positions(list, at, j, naive->tf, before, positions), naive->tf);
	cr_assert_arr_eq(positions, naive->positions, naive->tf * sizeof(*positions));
}

/* No other bits are set. */
static void dense_check_count(const struct postings *list)
{
	uint64_t count = 0;
	for (uint32_t i = 0; list->bits != NULL && i < list->bits->words; i++)
		count += (uint32_t)__builtin_popcountll(list->bits->at[i]);
	cr_assert(list->bits == NULL || count == list->count);
}

/* All live postings are there, in order and whole; so many dead ones may be left. */
static void list_check(struct list_fixture *f, bool may_hold_dead)
{
	struct posting_run run;
	uint32_t positions[POSTING_TF_MAX], docids[PACK_COUNT], at = 0, seen = 0;
	for (uint32_t i = 0; i < postings_run_count(&f->list); i++) {
		uint32_t first, last;
		run.part = PART_NONE;
		postings_load(&f->list, i, PART_DOCIDS, &run);
		memcpy(docids, run.docids, sizeof(docids));
		postings_load(&f->list, i, PART_POSITIONS, &run);
		cr_assert_arr_eq(docids, run.docids, run.count * sizeof(*docids));
		postings_bounds(&f->list, i, &first, &last);
		for (uint32_t j = 0; j < run.count; j++, seen++) {
			while (at < f->count && f->naive[at].docid < run.docids[j]) {
				cr_assert_not(docs_is_live(&f->docs, f->naive[at].docid),
				    "a live one is gone");
				at++;
			}
			const struct naive_posting *naive = &f->naive[at++];
			cr_assert_eq(run.docids[j], naive->docid);
			cr_assert(may_hold_dead || docs_is_live(&f->docs, naive->docid));
			cr_assert(run.docids[j] >= first && run.docids[j] <= last);
			cr_assert_eq(run.tfs[j], naive->tf);
			cr_assert_eq(run.masks[j], naive->mask);
			cr_assert_eq(posting_run_positions(&run, j, positions), naive->tf);
			cr_assert_arr_eq(
			    positions, naive->positions, naive->tf * sizeof(*positions));
			if (f->list.bits != NULL)
				dense_check(&f->list, i, &run, j, naive);
			cr_assert_eq(
			    postings_find(&f->list, naive->docid, 0, postings_run_count(&f->list)),
			    i);
		}
	}
	for (; at < f->count; at++)
		cr_assert_not(docs_is_live(&f->docs, f->naive[at].docid));
	cr_assert_eq(seen, f->list.count);
	dense_check_count(&f->list);
}

/* Takes away each document with a chance of `percent`. */
static void list_kill(struct list_fixture *f, unsigned percent)
{
	for (uint32_t i = 0; i < f->count; i++)
		if (random_below(&f->random, 100) < percent)
			(void)docs_remove(&f->docs, f->naive[i].docid);
}

static uint32_t list_sweep(struct list_fixture *f, uint32_t runs)
{
	uint32_t at = 0, dead = 0;
	while (postings_sweep(&f->list, &f->memory, &f->docs, runs, &at, &dead))
		list_check(f, true);      /* whole at every pause */
	return dead;
}

Test(search_postings, come_back_as_they_were_appended)
{
	static const uint32_t counts[] = {1, 2, 127, 128, 129, 255, 256, 257, 1000};
	for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
		struct list_fixture f;
		list_init(&f, i, counts[i]);
		list_check(&f, false);
		cr_assert_eq(f.list.count, counts[i]);
		cr_assert_eq(f.list.bits != NULL, counts[i] == 1000, "dense from so many blocks on");
		list_fini(&f);
	}
}

Test(search_postings, positions_can_be_read_in_any_order)
{
	struct list_fixture f;
	struct posting_run run;
	uint32_t positions[POSTING_TF_MAX];
	list_init(&f, 3, 200);
	for (uint32_t at = 0; at < 2; at++) {
		run.part = PART_NONE;
		postings_load(&f.list, at, PART_POSITIONS, &run);
		for (int i = 0; i < 200; i++) {
			uint32_t j = (uint32_t)random_below(&f.random, run.count);
			const struct naive_posting *naive = &f.naive[at * 128 + j];
			cr_assert_eq(posting_run_positions(&run, j, positions), naive->tf);
			cr_assert_arr_eq(
			    positions, naive->positions, naive->tf * sizeof(*positions));
		}
	}
	list_fini(&f);
}

/* Of some ids, given at once, of which not all are in the list. */
static void spots_check(struct list_fixture *f, struct cursor *cursor, uint32_t rarity)
{
	uint32_t docids[SPOTS_MAX], positions[POSTING_TF_MAX], count = 0, at = 0;
	struct spot spots[SPOTS_MAX];
	for (uint32_t id = 0; id < f->docs.next + 10 && count < SPOTS_MAX; id++)
		if (random_below(&f->random, rarity) == 0)
			docids[count++] = id;
	cursor_spots(cursor, docids, count, spots);
	for (uint32_t i = 0; i < count; i++) {
		while (at < f->count && f->naive[at].docid < docids[i])
			at++;
		const struct naive_posting *naive = &f->naive[at];
		if (at == f->count || naive->docid != docids[i]) {
			cr_assert_eq(spots[i].tf, 0);
			continue;
		}
		cr_assert_eq(spots[i].tf, naive->tf);
		cr_assert_eq(spot_positions(&spots[i], positions), naive->tf);
		cr_assert_arr_eq(positions, naive->positions, naive->tf * sizeof(*positions));
	}
}

Test(search_postings, spots_of_many_documents_are_those_of_each)
{
	static const uint32_t counts[] = {1, 127, 128, 300, 1000};       /* the last: dense */
	for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
		struct list_fixture f;
		list_init(&f, i, counts[i]);
		struct term term = {.list = f.list};
		struct cursor cursor;
		cursor_init(&cursor, &term);
		for (uint32_t pass = 0; pass < 100; pass++)
			spots_check(&f, &cursor, 1 + pass % 20);
		cursor_fini(&cursor);
		list_fini(&f);
	}
}

Test(search_postings, bounds_hold_for_every_posting)
{
	struct list_fixture f;
	list_init(&f, 4, 1280);
	for (uint32_t i = 0; i < f.count; i++) {
		const struct posting_skip *skip = &f.list.skips[i / 128];
		uint32_t length = docs_length(&f.docs, f.naive[i].docid);
		cr_assert_leq(f.naive[i].tf, skip->best.tf_max);
		uint8_t least = f.naive[i].tf == 1 ? skip->best.length_single
		    : f.naive[i].tf == skip->best.tf_max ? skip->best.length_top : skip->best.length_between;
		cr_assert_geq(length < 255 ? length : 255, least);
	}
	list_fini(&f);
}

Test(search_postings, the_sweep_keeps_the_living)
{
	static const unsigned percents[] = {0, 5, 20, 30, 60, 90, 99, 100};
	for (size_t i = 0; i < ARRAY_COUNT(percents) * 3; i++) {
		struct list_fixture f;
		list_init(&f, 50 + i, 1000);
		list_kill(&f, percents[i / 3]);
		uint64_t before = f.memory.bytes;
		uint32_t dead = list_sweep(&f, i % 3 == 0 ? 1 : i % 3 == 1 ? 3 : 1000);
		list_check(&f, true);
		cr_assert_leq(dead * 4, f.list.count, "a quarter dead at most");
		if (percents[i / 3] >= 60)
			cr_assert_lt(f.memory.bytes, before);
		for (int j = 0; j < 300; j++)
			list_add(&f);     /* and it can grow on */
		list_check(&f, true);
		list_fini(&f);
	}
}

Test(search_postings, the_last_block_and_the_tail_are_swept_too)
{
	for (uint32_t count = 1; count <= 300; count += 13) {
		struct list_fixture f;
		list_init(&f, count, count);
		list_kill(&f, 100);
		cr_assert_eq(list_sweep(&f, 2), 0);
		cr_assert_eq(f.list.count, 0);
		cr_assert_eq(postings_run_count(&f.list), 0);
		cr_assert_leq(f.list.tail_cap, 0);
		list_fini(&f);
	}
}

Test(search_postings, a_word_that_becomes_rare_gives_its_bits_back)
{
	struct list_fixture f;
	list_init(&f, 9, 1000);
	cr_assert_not_null(f.list.bits);
	for (uint32_t i = 0; i < 1000 * 2 * DENSE_SHARE; i++)
		(void)docs_add(&f.docs, NULL, 5, (struct span){0});
	for (int i = 0; i < 2 * PACK_COUNT; i++)
		list_add(&f);
	cr_assert_null(f.list.bits);
	list_check(&f, false);
	list_fini(&f);
}

Test(search_postings, small_blocks_are_merged)
{
	struct list_fixture f;
	list_init(&f, 8, 2560);
	list_kill(&f, 90);
	(void)list_sweep(&f, 4);
	cr_assert_leq(f.list.block_count, 6, "%u blocks for %u postings", f.list.block_count,
	    f.list.count);
	list_check(&f, false);
	list_fini(&f);
}

/* ---- titles -------------------------------------------------------------------------- */

/* Every third document has one, of so many bytes; a gap of several groups before the last. */
static size_t title_bytes(uint32_t docid, uint8_t out[400])
{
	size_t len = docid % 3 != 0 ? 0 : docid % 399 + 1;
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(docid + i);
	return len;
}

Test(search_docs, titles_are_found_in_full_and_open_windows)
{
	enum { COUNT = WINDOW_DOCS + 100 };
	struct memory memory = {0};
	struct docs docs;
	uint8_t bytes[400];
	docs_init(&docs, &memory);
	for (uint32_t i = 0; i < COUNT; i++)
		(void)docs_add(&docs, NULL, 5, span_of(bytes, title_bytes(i, bytes)));
	for (uint32_t i = 0; i < COUNT; i++) {
		size_t len = title_bytes(i, bytes);
		cr_assert(span_equal(docs_title(&docs, i), span_of(bytes, len)), "of %u", i);
	}
	cr_assert_eq(docs_title(&docs, COUNT).len, 0);
	docs_fini(&docs);
	cr_assert_eq(memory.bytes, 0);
}

Test(search_docs, a_restored_window_has_titles_behind_gaps)
{
	struct memory memory = {0};
	struct docs docs;
	docs_init(&docs, &memory);
	docs.next = 2000;
	docs_restore(&docs, 3, 5, SPAN_LIT("first"));
	docs_restore(&docs, 4, 5, (struct span){0});
	docs_restore(&docs, 1999, 5, SPAN_LIT("last"));
	cr_assert(span_is(docs_title(&docs, 3), "first"));
	cr_assert_eq(docs_title(&docs, 4).len, 0);
	cr_assert_eq(docs_title(&docs, 1998).len, 0);
	cr_assert(span_is(docs_title(&docs, 1999), "last"));
	docs_fini(&docs);
	cr_assert_eq(memory.bytes, 0);
}

/* ---- dictionary ------------------------------------------------------------------------ */

enum { DICT_WORDS = 4000 };

static size_t dict_word(uint32_t i, char *out)
{
	return (size_t)sprintf(out, "%c%c%u", 'a' + i % 3, 'a' + i / 3 % 4, i);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The sorted view from the first term of `prefix` on is what sorting says. */
static void dict_check_order(struct dict *dict, const bool *there, const char *prefix)
{
	static char words[DICT_WORDS][16];
	uint32_t count = 0, at = 0;
	struct dict_cursor cursor;
	for (uint32_t i = 0; i < DICT_WORDS; i++) {
		words[count][dict_word(i, words[count])] = 0;
		count += there[i] && strncmp(words[count], prefix, strlen(prefix)) == 0;
	}
	qsort(words, count, sizeof(words[0]), by_text);
	dict_seek(dict, 7, span_text(prefix), false, &cursor);
	for (struct term *term; (term = dict_next(dict, 7, span_text(prefix), &cursor)) != NULL;
	     at++) {
		cr_assert_lt(at, count);
		cr_assert(
		    span_equal(term_text(term), span_text(words[at])), "%u: %s", at, words[at]);
	}
	cr_assert_eq(at, count, "%s: %u, not %u", prefix, at, count);
}

Test(search_dict, agrees_with_a_table_of_flags)
{
	static bool there[DICT_WORDS];
	struct memory memory = {0}, lists = {0};
	struct dict dict;
	struct random random;
	uint32_t count = 0;
	dict_init(&dict, &memory, &lists, 5);
	random_init(&random, 5);
	for (int step = 0; step < 40000; step++) {
		char word[16];
		uint32_t i = (uint32_t)random_below(&random, DICT_WORDS);
		struct span text = span_of(word, dict_word(i, word));
		struct term *term = dict_find(&dict, 7, text);
		cr_assert_eq(term != NULL, there[i], "step %d", step);
		cr_assert_null(dict_find(&dict, 6, text), "spaces are apart");
		if (term == NULL) {
			term = dict_add(&dict, 7, text);
			cr_assert_eq(dict_add(&dict, 7, text), term);
			cr_assert(span_equal(term_text(term), text));
		} else if (step % 20000 > 12000 || random_below(&random, 3) == 0) {
			dict_drop(&dict, term);
		}
		count -= there[i];
		there[i] = dict_find(&dict, 7, text) != NULL;
		count += there[i];
		cr_assert_eq(dict.term_count, count);
		if (step % 1000 == 0) {
			dict_check_order(&dict, there, "");
			dict_check_order(&dict, there, "ba");
			dict_check_order(&dict, there, "zz");
		}
	}
	dict_fini(&dict);
	cr_assert_eq(memory.bytes + lists.bytes, 0);
}

Test(search_dict, seek_after_passes_over_the_term_itself)
{
	struct memory memory = {0};
	struct dict dict;
	struct dict_cursor cursor;
	char word[16];
	dict_init(&dict, &memory, &memory, 1);
	for (int i = 0; i < 1000; i++)
		(void)dict_add(&dict, 1, span_of(word, (size_t)sprintf(word, "k%03d", i)));
	for (int i = 0; i < 999; i++) {
		struct span text = span_of(word, (size_t)sprintf(word, "k%03d", i));
		dict_seek(&dict, 1, text, true, &cursor);
		char next[16];
		size_t len = (size_t)sprintf(next, "k%03d", i + 1);
		cr_assert(span_equal(
		    term_text(dict_next(&dict, 1, SPAN_LIT("k"), &cursor)), span_of(next, len)));
	}
	dict_fini(&dict);
	cr_assert_eq(memory.bytes, 0);
}

/* ---- columns --------------------------------------------------------------------------- */

enum { COLUMN_DOCS = 3 * WINDOW_DOCS };

/* Kinds of numbers that photographs have, and some that none has. */
static double column_value(struct random *random, int kind)
{
	double unit = (double)random_below(random, 1000000) / 1e6;
	switch (kind) {
	case 0: return (double)random_below(random, 200);
	case 1: return (double)random_below(random, 60000) - 30000;
	case 2: return 1.7e12 + (double)random_below(random, 4000000000);
	case 3: return (double)random_below(random, 400) / 10;
	case 4: return nearbyint((unit * 360 - 180) * 1e7) / 1e7;
	case 5: return 1 / (1 + (double)random_below(random, 4000));
	case 6: return unit * 1e300;
	case 7: return 42;
	case 8: return (double)random_below(random, 2) * 4294967294.0;
	default: return ldexp(unit - 0.5, (int)random_below(random, 200) - 100);
	}
}

/* 64 documents, near each other or far apart. */
static void column_check_keep(const struct column *column, const double *values, const bool *there,
    struct random *random)
{
	uint32_t docids[64];
	uint64_t mask = random_next(random);
	double low = values[random_below(random, COLUMN_DOCS)];
	double high = values[random_below(random, COLUMN_DOCS)];
	uint32_t gap = 1 + (uint32_t)random_below(random, COLUMN_DOCS / 64 - 1);
	docids[0] = (uint32_t)random_below(random, COLUMN_DOCS - 64 * gap);
	for (int i = 1; i < 64; i++)
		docids[i] = docids[i - 1] + 1 + (uint32_t)random_below(random, gap);
	uint64_t kept = column_keep(column, docids, low, high, mask);
	for (int i = 0; i < 64; i++) {
		double value = values[docids[i]];
		bool expected =
		    (mask >> i & 1) != 0 && there[docids[i]] && value >= low && value <= high;
		cr_assert_eq(kept >> i & 1, expected, "%.17g in [%.17g %.17g]", value, low, high);
	}
}

static void column_check(const struct column *column, const double *values, const bool *there,
    struct random *random)
{
	double value;
	for (uint32_t i = 0; i < COLUMN_DOCS; i++) {
		bool found = column_get(column, i, &value);
		cr_assert_eq(found, there[i], "%u", i);
		cr_assert(
		    !found || value == values[i], "%u: %.17g, not %.17g", i, value, values[i]);
	}
	for (int round = 0; round < 60; round++)
		column_check_keep(column, values, there, random);
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t window = round % 3;
		double low = values[random_below(random, COLUMN_DOCS)];
		double high = values[random_below(random, COLUMN_DOCS)];
		if (round % 5 == 0)
			low = -INFINITY;
		if (round % 7 == 0)
			high = nextafter(high, INFINITY);
		uint64_t mask[WINDOW_WORDS], before[WINDOW_WORDS];
		for (uint32_t i = 0; i < WINDOW_WORDS; i++)
			mask[i] = before[i] = random_next(random) | random_next(random);
		column_filter(column, window, low, high, mask);
		for (uint32_t slot = 0; slot < WINDOW_DOCS; slot++) {
			uint32_t i = window * WINDOW_DOCS + slot;
			bool expected = (before[slot / 64] >> slot % 64 & 1) != 0 && there[i] &&
			    values[i] >= low && values[i] <= high;
			cr_assert_eq(mask[slot / 64] >> slot % 64 & 1, expected,
			    "%.17g in [%.17g %.17g]", values[i], low, high);
		}
	}
}

Test(search_column, coding_is_exact_and_ranges_agree_with_a_scan)
{
	static const int densities[] = {100, 95, 50, 5};
	static double values[COLUMN_DOCS];
	static bool there[COLUMN_DOCS];
	for (int kind = 0; kind < 10; kind++) {
		for (size_t d = 0; d < ARRAY_COUNT(densities); d++) {
			struct memory memory = {0};
			struct column column;
			struct random random;
			random_init(&random, (uint64_t)kind * 10 + d);
			column_init(&column, &memory);
			for (uint32_t i = 0; i < COLUMN_DOCS; i++) {
				there[i] = (int)random_below(&random, 100) < densities[d];
				values[i] = column_value(&random, kind);
				if (there[i] && random_below(&random, 10) == 0)
					column_put(&column, i, column_value(&random, kind));
				if (there[i])
					column_put(&column, i, values[i]);
			}
			column_check(&column, values, there, &random);
			uint64_t open = memory.bytes;
			for (uint32_t window = 0; window < 3; window++)
				column_seal(&column, window, false);
			column_check(&column, values, there, &random);
			cr_assert_lt(memory.bytes, open, "kind %d, density %d", kind, densities[d]);
			column_seal(&column, 1, true);
			for (uint32_t i = WINDOW_DOCS; i < 2 * WINDOW_DOCS; i++)
				there[i] = false;
			column_check(&column, values, there, &random);
			column_fini(&column);
			cr_assert_eq(memory.bytes, 0);
		}
	}
}
