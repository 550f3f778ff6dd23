/* tests/unit/search/aggregate_test.c: aggregations beside a naive model (arrays of documents and
 * loops), completions likewise, and expressions one by one. */
#include "search/aggregate.h"
#include "search/suggest.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DOCS = 3000, AUTHORS = 9, TAGS = 5 };

struct doc {
	int      width, rating;           /* rating 0: none */
	unsigned author, tags;            /* tags: bits */
	bool     removed;
};

static struct memory memory;
static struct random chance;
static struct index *index_;
static struct doc docs[DOCS];
static const char *const authors[AUTHORS] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8"};
static const char *const tags[TAGS] = {"red car", "cat", "dog", "tree", "sea"};

static void add_doc(struct doc *doc)
{
	struct search_field fields[4 + TAGS];
	char rating[16];
	size_t count = 0;
	uint32_t docid;
	fields[count++] = (struct search_field){
	    .name = SPAN_LIT("width"), .kind = SEARCH_NUMERIC, .number = doc->width};
	fields[count++] = (struct search_field){.name = SPAN_LIT("author"),
	    .kind = SEARCH_ATTRIBUTE, .text = span_text(authors[doc->author])};
	snprintf(rating, sizeof(rating), "%d", doc->rating);
	if (doc->rating > 0)
		fields[count++] = (struct search_field){.name = SPAN_LIT("rating"),
		    .kind = SEARCH_ATTRIBUTE, .text = span_text(rating)};
	for (unsigned i = 0; i < TAGS; i++)
		if (doc->tags >> i & 1)
			fields[count++] = (struct search_field){.name = SPAN_LIT("tags"),
			    .kind = SEARCH_TAG, .text = span_text(tags[i])};
	cr_assert_eq(index_add(index_, fields, count, doc, &docid), OK);
	cr_assert_eq(docid, (uint32_t)(doc - docs));
}

static void begin(void)
{
	const struct index_options options = {.hash_seed = 3};
	memory = (struct memory){0};
	random_init(&chance, 11);
	index_ = index_new(&memory, &options);
	for (unsigned i = 0; i < DOCS; i++) {
		docs[i] = (struct doc){
		    .width = (int)random_below(&chance, 200),
		    .rating = (int)random_below(&chance, 6),
		    .author = (unsigned)random_below(&chance, AUTHORS),
		    .tags = (unsigned)random_below(&chance, 1 << TAGS),
		};
		add_doc(&docs[i]);
	}
}

static void end(void)
{
	index_free(index_);
	cr_expect_eq(memory.bytes, 0);
}

TestSuite(aggregate, .init = begin, .fini = end, .timeout = 60);

static struct aggregate *parse(const char *text, char *why, enum err *err)
{
	static char copy[4096];
	struct span argv[64];
	struct aggregate *aggregate;
	uint32_t argc = 0;
	char *rest = copy;
	snprintf(copy, sizeof(copy), "%s", text);
	/* Words are parted by ';', as expressions hold blanks. */
	for (char *word; (word = strsep(&rest, ";")) != NULL;)
		argv[argc++] = span_text(word);
	const struct aggregate_words words = {.argv = argv, .argc = argc, .hash_seed = 5};
	*err = aggregate_new(&aggregate, &memory, &words, why);
	return aggregate;
}

/* All documents through the words, a unit of work at a time. */
static struct aggregate *run(const char *text)
{
	char why[AGGREGATE_WHY_BYTES];
	enum err err;
	const struct search_budget budget = {.units = 1};
	struct aggregate *aggregate = parse(text, why, &err);
	cr_assert_eq(err, OK, "%s: %s", text, why);
	cr_assert_eq(aggregate_bind(aggregate, index_, NULL, NULL, why), OK, "%s", why);
	for (uint32_t i = DOCS; i-- > 0;)
		if (!docs[i].removed)
			cr_assert_eq(aggregate_add(aggregate, i), OK);
	while ((err = aggregate_step(aggregate, &budget)) == ERR_AGAIN)
		;
	cr_assert_eq(err, OK);
	return aggregate;
}

static double cell_number(const struct aggregate *aggregate, size_t row, uint32_t column)
{
	double number = NAN;
	(void)!value_to_number(aggregate_cell(aggregate, row, column), &number);
	return number;
}

static struct span cell_text(const struct aggregate *aggregate, size_t row, uint32_t column)
{
	static char scratch[64];
	return value_as_text(aggregate_cell(aggregate, row, column), scratch);
}

static int compare_ints(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

Test(aggregate, reducers_agree_with_loops)
{
	struct aggregate *aggregate = run("GROUPBY;1;@author;REDUCE;COUNT;0;REDUCE;SUM;1;@width;REDUCE;MIN;1;@width;"
	                                  "REDUCE;MAX;1;@width;REDUCE;AVG;1;@width;REDUCE;STDDEV;1;@width;"
	                                  "REDUCE;QUANTILE;2;@width;0.9;REDUCE;COUNT_DISTINCT;1;@width;"
	                                  "REDUCE;TOLIST;1;@rating;REDUCE;COUNT_DISTINCT;1;@tags");
	cr_assert_eq(aggregate_row_count(aggregate), AUTHORS);
	for (size_t row = 0; row < AUTHORS; row++) {
		struct span author = cell_text(aggregate, row, 0);
		int widths[DOCS], count = 0, distinct = 0;
		double sum = 0, squares = 0;
		unsigned ratings = 0;
		for (unsigned i = 0; i < DOCS; i++) {
			if (!span_is(author, authors[docs[i].author]))
				continue;
			widths[count++] = docs[i].width;
			sum += docs[i].width;
			if (docs[i].rating > 0)
				ratings |= 1U << docs[i].rating;
		}
		qsort(widths, (size_t)count, sizeof(int), compare_ints);
		for (int i = 0; i < count; i++) {
			squares += (widths[i] - sum / count) * (widths[i] - sum / count);
			distinct += i == 0 || widths[i] != widths[i - 1];
		}
		const double expected[] = {count, sum, widths[0], widths[count - 1], sum / count,
		    sqrt(squares / (count - 1)), widths[(int)ceil(0.9 * count) - 1], distinct};
		for (uint32_t i = 0; i < ARRAY_COUNT(expected); i++)
			cr_expect(fabs(cell_number(aggregate, row, i + 1) - expected[i]) < 1e-6,
			    "column %u: %f, not %f", i, cell_number(aggregate, row, i + 1), expected[i]);
		cr_expect_eq(aggregate_cell(aggregate, row, 9)->count,
		    (uint32_t)__builtin_popcount(ratings));
		cr_expect_eq(cell_number(aggregate, row, 10), TAGS);
	}
	aggregate_free(aggregate);
}

Test(aggregate, each_tag_of_a_document_is_counted)
{
	struct aggregate *aggregate =
	    run("GROUPBY;2;@tags;@author;REDUCE;COUNT;0;AS;n;SORTBY;4;@n;DESC;@tags;ASC");
	uint64_t sum = 0;
	double last = INFINITY;
	for (size_t row = 0; row < aggregate_row_count(aggregate); row++) {
		unsigned count = 0;
		bool none = aggregate_cell(aggregate, row, 0)->kind == VALUE_NIL;
		struct span tag = cell_text(aggregate, row, 0);
		char copy[32];
		snprintf(copy, sizeof(copy), "%.*s", (int)tag.len, tag.len > 0 ? (const char *)tag.ptr : "");
		struct span author = cell_text(aggregate, row, 1);
		for (unsigned i = 0; i < DOCS; i++) {
			bool has = none && docs[i].tags == 0;
			for (unsigned k = 0; k < TAGS; k++)
				has |= (docs[i].tags >> k & 1) != 0 && strcmp(copy, tags[k]) == 0;
			count += has && span_is(author, authors[docs[i].author]);
		}
		cr_expect_eq(cell_number(aggregate, row, 2), count);
		cr_expect_leq(cell_number(aggregate, row, 2), last);
		last = cell_number(aggregate, row, 2);
		sum += count;
	}
	cr_expect_eq(aggregate_row_count(aggregate), (TAGS + 1) * AUTHORS);
	cr_expect_geq(sum, DOCS);
	aggregate_free(aggregate);
}

Test(aggregate, sorted_rows_and_limits)
{
	static const uint64_t limits[][2] = {{0, 10}, {5, 100}, {2990, 20}, {0, 3000}, {4000, 5}};
	for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
		char words[200];
		snprintf(words, sizeof(words),
		    "LOAD;2;@width;@author;SORTBY;4;@width;DESC;@author;ASC;LIMIT;%llu;%llu",
		    (unsigned long long)limits[i][0], (unsigned long long)limits[i][1]);
		struct aggregate *aggregate = run(words);
		uint64_t left = limits[i][0] < DOCS ? DOCS - limits[i][0] : 0;
		cr_assert_eq(aggregate_row_count(aggregate), left < limits[i][1] ? left : limits[i][1]);
		for (size_t row = 0; row + 1 < aggregate_row_count(aggregate); row++) {
			double a = cell_number(aggregate, row, 0), b = cell_number(aggregate, row + 1, 0);
			cr_expect(a > b || (a == b && value_compare(aggregate_cell(aggregate, row, 1),
			                                  aggregate_cell(aggregate, row + 1, 1)) <= 0));
		}
		/* How many come before the first row shown? No more than were passed over. */
		if (aggregate_row_count(aggregate) > 0) {
			uint64_t wider = 0;
			for (unsigned k = 0; k < DOCS; k++)
				wider += docs[k].width > cell_number(aggregate, 0, 0);
			cr_expect_leq(wider, limits[i][0]);
		}
		aggregate_free(aggregate);
	}
}

Test(aggregate, quantiles_of_many_values_are_near)
{
	char why[AGGREGATE_WHY_BYTES];
	enum err err;
	struct aggregate *aggregate =
	    parse("APPLY;@width * 1000 + @n;AS;x;GROUPBY;0;REDUCE;QUANTILE;2;@width;0.5", why, &err);
	cr_assert_eq(err, OK, "%s", why);
	cr_assert_eq(aggregate_bind(aggregate, index_, NULL, NULL, why), OK);
	for (unsigned round = 0; round < 100; round++)
		for (uint32_t i = 0; i < DOCS; i++)
			cr_assert_eq(aggregate_add(aggregate, i), OK);
	const struct search_budget budget = {0};
	cr_assert_eq(aggregate_step(aggregate, &budget), OK);
	unsigned below = 0;
	for (unsigned i = 0; i < DOCS; i++)
		below += docs[i].width < cell_number(aggregate, 0, 0);
	cr_expect(below > DOCS * 48 / 100 && below < DOCS * 52 / 100, "%u of %d", below, DOCS);
	aggregate_free(aggregate);
}

Test(aggregate, what_is_too_much_ends_with_an_error)
{
	char why[AGGREGATE_WHY_BYTES];
	enum err err;
	struct aggregate *aggregate = parse("LOAD;2;@width;@tags;SORTBY;2;@width;ASC", why, &err);
	cr_assert_eq(err, OK);
	cr_assert_eq(aggregate_bind(aggregate, index_, NULL, NULL, why), OK);
	for (uint32_t i = 0; err == OK && i < 10000000; i++)
		err = aggregate_add(aggregate, i % DOCS);
	cr_expect_eq(err, ERR_OVERLOADED);
	cr_expect_leq(memory.bytes, 3ULL * AGGREGATE_MEMORY_MAX);
	aggregate_free(aggregate);
}

/* ---- Completions ---- */

Test(aggregate, completions_are_the_most_frequent)
{
	const struct search_budget budget = {.units = 1};
	const struct suggestion *found;
	struct suggest *suggest = suggest_new(index_, SPAN_LIT("c"), false, 10);
	while (suggest_step(suggest, &budget) == ERR_AGAIN)
		;
	size_t count = suggest_get(suggest, &found);
	unsigned cats = 0, cars = 0;
	for (unsigned i = 0; i < DOCS; i++) {
		cars += docs[i].tags & 1;
		cats += docs[i].tags >> 1 & 1;
	}
	cr_assert_eq(count, 2);
	for (size_t i = 0; i < count; i++)
		cr_expect_eq(found[i].weight, memcmp(found[i].text, "cat", 3) == 0 ? cats : cars);
	cr_expect_geq(found[0].weight, found[1].weight);
	suggest_free(suggest);
	suggest = suggest_new(index_, SPAN_LIT("Red  c"), false, 10);
	while (suggest_step(suggest, &budget) == ERR_AGAIN)
		;
	count = suggest_get(suggest, &found);
	bool tag = false;
	for (size_t i = 0; i < count; i++)
		tag |= found[i].len == 7 && memcmp(found[i].text, "red car", 7) == 0;
	cr_expect(tag);
	suggest_free(suggest);
}

static unsigned letters_apart(const char *a, const char *b)
{
	unsigned table[16][16];
	size_t m = strlen(a), n = strlen(b);
	for (size_t i = 0; i <= m; i++)
		for (size_t k = 0; k <= n; k++) {
			unsigned best = (unsigned)(i == 0 ? k : i);
			if (i > 0 && k > 0) {
				best = table[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
				best = table[i - 1][k] + 1 < best ? table[i - 1][k] + 1 : best;
				best = table[i][k - 1] + 1 < best ? table[i][k - 1] + 1 : best;
			}
			table[i][k] = best;
		}
	return table[m][n];
}

Test(aggregate, fuzzy_completions_are_one_letter_away)
{
	const struct search_budget budget = {.units = 1};
	static const char *const words[] = {"red", "car", "cat", "dog", "tree", "sea"};
	for (unsigned round = 0; round < 2000; round++) {
		char typed[8] = "";
		size_t len = 2 + random_below(&chance, 4);
		for (size_t i = 0; i < len; i++)
			typed[i] = "acdegorst"[random_below(&chance, 9)];
		struct suggest *suggest = suggest_new(index_, span_text(typed), true, 50);
		const struct suggestion *found;
		while (suggest_step(suggest, &budget) == ERR_AGAIN)
			;
		size_t count = suggest_get(suggest, &found);
		for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
			unsigned best = 99;
			bool there = false;
			for (size_t part = 0; part <= strlen(words[i]); part++) {
				char begin_[8];
				snprintf(begin_, sizeof(begin_), "%.*s", (int)part, words[i]);
				unsigned apart = letters_apart(typed, begin_);
				best = apart < best ? apart : best;
			}
			for (size_t k = 0; k < count; k++)
				there |= found[k].len == strlen(words[i]) &&
				    memcmp(found[k].text, words[i], found[k].len) == 0;
			cr_expect_eq(there, best <= 1, "%s for %s", words[i], typed);
		}
		suggest_free(suggest);
	}
}
