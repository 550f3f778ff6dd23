/* tests/unit/search/sort_test.c: sorting by texts, whole and in both directions, against qsort;
 * with paging, removals between slices, and an index that came from a dump. */
#include "base/buf.h"
#include "base/random.h"
#include "search/persist.h"
#include "search/search.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { TITLES = 6000, TITLE_MAX = 96, PAGE = 100 };

struct titled {
	char     text[TITLE_MAX];         /* folded, words by one blank; empty: none */
	uint32_t docid;
	bool     gone;
};

struct sort_fixture {
	struct memory memory;
	struct random random;
	struct index *index;
	struct titled docs[TITLES];
	uint32_t      count;
};

static bool sort_descending;

/* Camera names and other titles that are long alike; some differ only at their very end. */
static void title_draw(struct sort_fixture *f, char *out)
{
	static const char *const starts[] = {"img 2024", "a very long beginning that all of them share",
	    "\xe6\x9d\xb1 \xe4\xba\xac", "b"};
	uint32_t start = (uint32_t)random_below(&f->random, ARRAY_COUNT(starts) + 1);
	if (start == ARRAY_COUNT(starts)) {
		*out = 0;
		return;
	}
	out[sprintf(out, "%s %u x%u", starts[start], (unsigned)random_below(&f->random, 30),
	    (unsigned)random_below(&f->random, 20))] = 0;
}

/* In other words of the same folding. */
static void title_shout(const char *folded, char *out)
{
	for (; *folded != 0; folded++) {
		*out++ = (char)(*folded >= 'a' && *folded <= 'z' ? *folded - 32 : *folded);
		if (*folded == ' ')
			*out++ = '-';
	}
	*out = 0;
}

static void sort_init(struct sort_fixture *f, uint64_t seed)
{
	const struct index_options options = {.hash_seed = 3};
	memset(f, 0, sizeof(*f));
	random_init(&f->random, seed);
	f->index = index_new(&f->memory, &options);
	for (; f->count < TITLES; f->count++) {
		struct titled *doc = &f->docs[f->count];
		char shouted[2 * TITLE_MAX];
		title_draw(f, doc->text);
		title_shout(doc->text, shouted);
		struct search_field fields[] = {
		    {.name = SPAN_LIT("title"), .kind = SEARCH_TEXT, .text = span_text(shouted)},
		    {.name = SPAN_LIT("label"), .kind = SEARCH_ATTRIBUTE, .text = span_text(doc->text)}};
		cr_assert_eq(index_add(f->index, fields, 2, f, &doc->docid), OK);
	}
}

static void sort_fini(struct sort_fixture *f)
{
	index_free(f->index);
	cr_assert_eq(f->memory.bytes, 0);
}

static void remove_some(struct sort_fixture *f, uint32_t count)
{
	for (; count > 0; count--) {
		struct titled *doc = &f->docs[random_below(&f->random, f->count)];
		doc->gone = true;
		index_remove(f->index, doc->docid);
	}
}

static int by_title(const void *a, const void *b)
{
	const struct titled *x = a, *y = b;
	if ((*x->text == 0) != (*y->text == 0))
		return *x->text == 0 ? 1 : -1;
	int order = strcmp(x->text, y->text);
	if (order != 0)
		return sort_descending ? -order : order;
	return x->docid > y->docid ? -1 : 1;
}

static struct search *sorted_start(
    struct sort_fixture *f, const char *field, uint64_t offset, bool descending)
{
	struct query *query;
	struct query_error error;
	struct search *search;
	const struct search_options options = {.limit = PAGE, .offset = offset,
	    .count = SEARCH_EXACT, .sort_field = span_text(field), .sort_descending = descending};
	cr_assert_eq(query_parse(&query, &f->memory, SPAN_LIT("*"), NULL, &error), OK);
	cr_assert_eq(search_start(&search, f->index, query, &options), OK);
	query_free(query);
	return search;
}

/* One page is what qsort says of those that are there. */
static void page_check(struct sort_fixture *f, struct search *search, uint64_t offset)
{
	static struct titled wanted[TITLES];
	struct search_results results;
	uint64_t count = 0;
	for (uint32_t i = 0; i < f->count; i++)
		if (!f->docs[i].gone)
			wanted[count++] = f->docs[i];
	qsort(wanted, count, sizeof(wanted[0]), by_title);
	search_get_results(search, &results);
	cr_assert_eq(results.count, count - offset < PAGE ? count - offset : PAGE);
	for (size_t i = 0; i < results.count; i++)
		cr_assert_eq(results.hits[i].docid, wanted[offset + i].docid, "place %zu: %u, not %s",
		    i, results.hits[i].docid, wanted[offset + i].text);
	search_free(search);
}

static void sorted_check(struct sort_fixture *f, const char *field)
{
	static const uint64_t offsets[] = {0, 50, 1700, TITLES - 130};
	const struct search_budget endless = {0};
	for (size_t i = 0; i < 2 * ARRAY_COUNT(offsets); i++) {
		uint64_t offset = offsets[i / 2];
		sort_descending = i % 2 == 1;
		struct search *search = sorted_start(f, field, offset, sort_descending);
		cr_assert_eq(search_step(search, &endless), OK);
		page_check(f, search, offset);
	}
}

Test(search_sort, titles_compare_whole)
{
	static struct sort_fixture f;
	sort_init(&f, 1);
	sorted_check(&f, "title");
	sort_fini(&f);
}

Test(search_sort, attributes_compare_whole)
{
	static struct sort_fixture f;
	sort_init(&f, 2);
	sorted_check(&f, "label");
	sort_fini(&f);
}

Test(search_sort, titles_survive_removals_and_the_sweep)
{
	static struct sort_fixture f;
	const struct search_budget endless = {0};
	sort_init(&f, 3);
	remove_some(&f, 30);
	cr_assert_eq(index_sweep(f.index, &endless), OK);
	sorted_check(&f, "title");
	sort_fini(&f);
}

/* What goes before the search comes to it is not found, and does not disturb the order of the
 * rest; nor does the sweep take words away that the results hold. */
Test(search_sort, documents_may_go_while_titles_are_sorted)
{
	static struct sort_fixture f;
	const struct search_budget endless = {0}, little = {.units = 1};
	sort_init(&f, 4);
	for (int i = 0; i < 20; i++) {
		struct search *search = sorted_start(&f, "title", 0, i % 2 == 0);
		struct search_results results;
		enum err err = ERR_AGAIN;
		for (int j = 0; err == ERR_AGAIN; j++) {
			err = search_step(search, &little);
			if (j == 5 + i)
				remove_some(&f, 20);
			if (j == 6 + i)
				cr_assert_eq(index_sweep(f.index, &endless), OK);
		}
		search_get_results(search, &results);
		sort_descending = i % 2 == 0;
		cr_assert_gt(results.count, PAGE - 20);
		for (size_t j = 1; j < results.count; j++)
			cr_assert_lt(by_title(&f.docs[results.hits[j - 1].docid],
			    &f.docs[results.hits[j].docid]), 0);
		search_free(search);
	}
	sort_fini(&f);
}

/* ---- From a dump -------------------------------------------------------------------------- */

static void nothing_write(void *ctx, uint32_t docid, void *owner, struct buf *out)
{
	UNUSED(ctx); UNUSED(docid); UNUSED(owner); UNUSED(out);
}

static bool nothing_read(void *ctx, uint32_t docid, struct span *in)
{
	UNUSED(ctx); UNUSED(docid); UNUSED(in);
	return true;
}

static struct index *index_reload(struct sort_fixture *f)
{
	const struct index_dump_owner out_owner = {.write = nothing_write};
	const struct index_load_owner in_owner = {.read = nothing_read};
	const struct index_options options = {.hash_seed = 77};
	struct buf bytes;
	buf_init(&bytes, &f->memory);
	struct index_dump *dump = index_dump_new(f->index, &out_owner, 1);
	while (index_dump_step(dump, &bytes))
		;
	index_dump_free(dump);
	struct index_load *load = index_load_new(&f->memory, &options, &in_owner);
	for (struct span left = buf_span(&bytes); left.len > 0;)
		cr_assert_eq(index_load_step(load, &left), OK);
	buf_fini(&bytes);
	return index_load_end(load);
}

Test(search_sort, titles_come_back_from_a_dump_in_which_words_have_other_ids)
{
	static struct sort_fixture f;
	sort_init(&f, 5);
	remove_some(&f, 30);
	struct index *loaded = index_reload(&f);
	cr_assert_not_null(loaded);
	index_free(f.index);
	f.index = loaded;
	for (uint32_t i = 0; i < f.count; i++)
		index_set_owner(f.index, f.docs[i].docid, &f);
	sorted_check(&f, "title");
	sort_fini(&f);
}
