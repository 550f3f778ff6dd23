/* tests/unit/search/index_test.c: the public face: owners, updates, visibility, sorting,
 * paging, totals, attributes, sweeping, memory, hostile documents. */
#include "base/random.h"
#include "search/search.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct memory memory;
static struct index *index_of_test;
static const struct search_budget endless = {0};

static void setup(void)
{
	struct index_options options = {.hash_seed = 3};
	index_of_test = index_new(&memory, &options);
}

static void teardown(void)
{
	index_free(index_of_test);
	cr_assert_eq(memory.bytes, 0);
}

TestSuite(search_index, .init = setup, .fini = teardown);

static struct search_field field(const char *name, enum search_kind kind, const char *text)
{
	return (struct search_field){
	    .name = span_text(name), .kind = kind, .text = span_text(text)};
}

static struct search_field number(const char *name, double value)
{
	return (struct search_field){
	    .name = span_text(name), .kind = SEARCH_NUMERIC, .number = value};
}

static uint32_t add(const struct search_field *fields, size_t count, uintptr_t owner)
{
	uint32_t docid;
	cr_assert_eq(index_add(index_of_test, fields, count, (void *)owner, &docid), OK);
	return docid;
}

static uint32_t add_title(const char *title, uintptr_t owner)
{
	struct search_field fields[] = {field("title", SEARCH_TEXT, title)};
	return add(fields, 1, owner);
}

static uint32_t add_attribute(const char *name, const char *value)
{
	struct search_field fields[] = {field(name, SEARCH_ATTRIBUTE, value)};
	return add(fields, 1, 1);
}

struct found {
	uint32_t docids[128];
	size_t   count;
	uint64_t total;
	bool     exact;
};

static struct found find_with(const char *text, const struct search_options *options)
{
	struct query *query;
	struct query_error error;
	struct search *search;
	struct search_results results;
	struct found found = {0};
	cr_assert_eq(
	    query_parse(&query, &memory, span_text(text), NULL, &error), OK, "%s", error.text);
	cr_assert_eq(search_start(&search, index_of_test, query, options), OK);
	query_free(query);
	cr_assert_eq(search_step(search, &endless), OK);
	search_get_results(search, &results);
	cr_assert_leq(results.count, ARRAY_COUNT(found.docids));
	for (size_t i = 0; i < results.count; i++)
		found.docids[found.count++] = results.hits[i].docid;
	found.total = results.total;
	found.exact = results.total_is_exact;
	search_free(search);
	return found;
}

static struct found find(const char *text)
{
	struct search_options options = {.limit = 100, .count = SEARCH_EXACT};
	return find_with(text, &options);
}

static struct found find_sorted(const char *text, const char *sort_field, bool descending)
{
	struct search_options options = {.limit = 100, .count = SEARCH_EXACT,
	    .sort_field = span_text(sort_field), .sort_descending = descending};
	return find_with(text, &options);
}

static void expect(struct found found, size_t count, const uint32_t *docids)
{
	cr_assert_eq(found.count, count, "%zu, not %zu", found.count, count);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(found.docids[i], docids[i], "place %zu: %u, not %u", i,
		    found.docids[i], docids[i]);
}

#define EXPECT(found, ...) \
	expect(found, ARRAY_COUNT(((uint32_t[]){__VA_ARGS__})), (uint32_t[]){__VA_ARGS__})

/* ---- Documents ------------------------------------------------------------------------- */

Test(search_index, owners_follow_their_documents)
{
	uint32_t one = add_title("red", 11), two = add_title("red", 22);
	cr_assert_eq(two, one + 1);
	cr_assert_eq((uintptr_t)index_owner(index_of_test, one), 11);
	index_set_owner(index_of_test, one, (void *)33);
	cr_assert_eq((uintptr_t)index_owner(index_of_test, one), 33);
	index_remove(index_of_test, one);
	cr_assert_null(index_owner(index_of_test, one));
	index_remove(index_of_test, one);
	index_remove(index_of_test, 4000000000);
	index_set_owner(index_of_test, one, (void *)44);
	cr_assert_null(index_owner(index_of_test, one));
	cr_assert_null(index_owner(index_of_test, 4000000000));
	EXPECT(find("red"), two);
}

Test(search_index, changes_show_in_the_next_search)
{
	cr_assert_eq(find("red").total, 0);
	uint32_t one = add_title("red", 1);
	EXPECT(find("red"), one);
	uint32_t changed = add_title("blue", 1);
	index_remove(index_of_test, one);
	cr_assert_eq(find("red").total, 0);
	EXPECT(find("blue"), changed);
}

Test(search_index, an_empty_index_answers_everything)
{
	static const char *const queries[] = {"*", "-cat", "cat", "ca*", "@width:[1 2]", "~x",
	    "ismissing(@title)", "@location:[1 2 3 km]", "@tags:{a}", "@none:{x}"};
	for (size_t i = 0; i < ARRAY_COUNT(queries); i++)
		cr_assert_eq(find(queries[i]).total, 0);
	cr_assert_eq(index_sweep(index_of_test, &endless), OK);
}

Test(search_index, fields_that_no_document_has_match_nothing_and_are_missing)
{
	uint32_t one = add_title("red", 1);
	cr_assert_eq(find("@nothing:{x}").total, 0);
	cr_assert_eq(find("@nothing:[1 2]").total, 0);
	EXPECT(find("ismissing(@nothing)"), one);
	EXPECT(find("-@nothing:{x}"), one);
}

Test(search_index, attributes_are_tags_and_numbers_and_dates)
{
	uint32_t number_one = add_attribute("a", "12.5"), word = add_attribute("a", "Blue Sky");
	uint32_t date = add_attribute("a", "2024-06-01"), year = add_attribute("a", "2024");
	EXPECT(find("@a:{blue sky}"), word);
	EXPECT(find("@a:{12.5}"), number_one);
	EXPECT(find("@a:[12 13]"), number_one);
	EXPECT(find("@a:[2024-01 2024-12]"), date);
	EXPECT(find("@a:[2000 2100]"), year, date);
	EXPECT(find("@a:{20*}"), year, date);
	cr_assert_eq(find("ismissing(@a)").total, 0);
}

Test(search_index, attributes_cannot_pose_as_built_in_fields)
{
	struct index_stats stats;
	(void)add_attribute("width", "5");
	(void)add_attribute("tags", "x");
	cr_assert_eq(find("@width:[5]").total, 0);
	cr_assert_eq(find("@tags:{x}").total, 0);
	index_get_stats(index_of_test, &stats);
	cr_assert_eq(stats.attributes_refused, 2);
}

Test(search_index, names_of_attributes_are_bounded)
{
	struct index_stats stats;
	char name[16];
	for (int i = 0; i < SEARCH_FIELDS_MAX + 10; i++) {
		name[sprintf(name, "n%d", i)] = 0;
		(void)add_attribute(name, "x");
	}
	index_get_stats(index_of_test, &stats);
	cr_assert_eq(stats.fields, SEARCH_FIELDS_MAX);
	cr_assert_gt(stats.attributes_refused, 0);
	cr_assert_eq(find("@n5:{x}").total, 1);
	cr_assert_eq(find("@n4100:{x}").total, 0);
}

Test(search_index, the_last_value_of_a_single_field_counts)
{
	struct search_field fields[] = {field("title", SEARCH_TEXT, "red"), number("width", 5),
	    field("title", SEARCH_TEXT, "blue"), number("width", 6)};
	uint32_t one = add(fields, 4, 1);
	EXPECT(find("blue @width:[6]"), one);
	cr_assert_eq(find("red").total, 0);
	cr_assert_eq(find("@width:[5]").total, 0);
}

Test(search_index, numbers_that_are_none_are_left_out)
{
	struct search_field fields[] = {number("width", NAN), number("height", INFINITY),
	    {.name = SPAN_LIT("location"), .kind = SEARCH_GEO, .lon = 200, .lat = NAN}};
	uint32_t one = add(fields, 3, 1);
	EXPECT(find("ismissing(@width) ismissing(@height) ismissing(@location)"), one);
}

/* ---- Text ------------------------------------------------------------------------------ */

Test(search_index, a_word_is_sought_in_title_caption_tags_and_camera)
{
	uint32_t title = add_title("Canon", 1);
	struct search_field caption[] = {field("caption", SEARCH_TEXT, "my canon")};
	struct search_field tags[] = {field("tags", SEARCH_TAG, "old canon")};
	struct search_field camera[] = {field("camera", SEARCH_TAG, "CANON EOS")};
	struct search_field lens[] = {field("lens", SEARCH_TAG, "Canon 50mm")};
	uint32_t in_caption = add(caption, 1, 1), in_tags = add(tags, 1, 1),
	         in_camera = add(camera, 1, 1);
	(void)add(lens, 1, 1);
	cr_assert_eq(find("canon").total, 4);
	EXPECT(find("@title:canon"), title);
	EXPECT(find("@caption:canon"), in_caption);
	EXPECT(find("@tags:canon"), in_tags);
	EXPECT(find("@camera:canon"), in_camera);
	EXPECT(find("@camera:{canon*}"), in_camera);
	cr_assert_eq(find("@title|tags:canon").total, 2);
}

Test(search_index, phrases_do_not_run_across_fields_or_tags)
{
	struct search_field fields[] = {field("title", SEARCH_TEXT, "red"),
	    field("caption", SEARCH_TEXT, "car goes"), field("tags", SEARCH_TAG, "big dog"),
	    field("tags", SEARCH_TAG, "house cat")};
	uint32_t one = add(fields, 4, 1);
	EXPECT(find("\"car goes\""), one);
	EXPECT(find("\"house cat\""), one);
	cr_assert_eq(find("\"red car\"").total, 0);
	cr_assert_eq(find("\"dog house\"").total, 0);
	cr_assert_eq(find("\"goes car\"").total, 0);
	cr_assert_eq(find("@title:\"car goes\"").total, 0);
}

Test(search_index, text_of_any_script_is_found)
{
	uint32_t one = add_title("\xe6\x9d\xb1\xe4\xba\xac\xe3\x82\xbf\xe3\x83\xaf\xe3\x83\xbc "
	    "Caf\xc3\xa9", 1);
	EXPECT(find("\xe6\x9d\xb1\xe4\xba\xac"), one);
	EXPECT(find("\xe4\xba\xac\xe3\x82\xbf"), one);
	EXPECT(find("cafe"), one);
	EXPECT(find("CAF\xc3\x89"), one);
	cr_assert_eq(find("\xe4\xba\xac\xe6\x9d\xb1").total, 0);
}

Test(search_index, rarer_words_and_shorter_documents_score_higher)
{
	uint32_t longer = add_title("red car on a long road", 1), shorter = add_title("red car", 1);
	uint32_t often = add_title("car car", 1);
	EXPECT(find("red"), shorter, longer);
	cr_assert_eq(find("car").docids[0], often);
}

Test(search_index, long_and_hostile_documents_are_taken)
{
	char *text = malloc(CAPTION_BYTES_MAX);
	struct search_field fields[] = {{.name = SPAN_LIT("caption"), .kind = SEARCH_TEXT,
	    .text = span_of(text, CAPTION_BYTES_MAX)}};
	for (size_t i = 0; i < CAPTION_BYTES_MAX; i++)
		text[i] = i % 2 == 0 ? 'a' : ' ';
	uint32_t same = add(fields, 1, 1);
	for (size_t i = 0; i + 3 < CAPTION_BYTES_MAX; i += 3)
		memcpy(text + i, "\xef\xb7\xba", 3);          /* one character that folds to 18 */
	uint32_t expanding = add(fields, 1, 1);
	memset(text, 0xff, CAPTION_BYTES_MAX);
	(void)add(fields, 1, 1);
	memset(text, 0, CAPTION_BYTES_MAX);
	uint32_t last = add(fields, 1, 1);
	EXPECT(find("a"), same);
	EXPECT(find("\"a a a\""), same);
	EXPECT(find("\xd8\xa7\xd9\x84\xd9\x84\xd9\x87"), expanding);
	cr_assert_eq(find("*").docids[0], last);
	free(text);
}

/* ---- Sorting, paging, totals ------------------------------------------------------------ */

Test(search_index, sorts_by_title_without_case)
{
	uint32_t b = add_title("banana", 1), a = add_title("Apple", 1), none = add(NULL, 0, 1);
	uint32_t c = add_title("\xc3\x87" "edilla", 1), b2 = add_title("Banana", 1);
	EXPECT(find_sorted("*", "title", false), a, b2, b, c, none);
	EXPECT(find_sorted("*", "title", true), c, b2, b, a, none);
}

Test(search_index, sorts_by_tag_and_by_attribute)
{
	struct search_field nikon[] = {field("camera", SEARCH_TAG, "Nikon")};
	struct search_field canon[] = {field("camera", SEARCH_TAG, "canon")};
	uint32_t n = add(nikon, 1, 1), c = add(canon, 1, 1);
	uint32_t nine = add_attribute("rank", "9"), ten = add_attribute("rank", "10");
	uint32_t word = add_attribute("rank", "x");
	EXPECT(find_sorted("-ismissing(@camera)", "camera", false), c, n);
	EXPECT(find_sorted("-ismissing(@camera)", "camera", true), n, c);
	EXPECT(find_sorted("*", "rank", false), nine, ten, word, c, n);
	EXPECT(find_sorted("*", "rank", true), ten, nine, word, c, n);
	EXPECT(find_sorted("*", "unheard-of", true), word, ten, nine, c, n);
	(void)add_attribute("shade", "dark");
	uint32_t bright = add_attribute("shade", "Bright");
	cr_assert_eq(find_sorted("*", "shade", false).docids[0], bright);
}

Test(search_index, some_fields_cannot_order)
{
	static const char *const names[] = {"caption", "location"};
	struct query *query;
	struct query_error error;
	struct search *search;
	cr_assert_eq(query_parse(&query, &memory, SPAN_LIT("*"), NULL, &error), OK);
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		struct search_options options = {.limit = 1, .sort_field = span_text(names[i])};
		cr_assert_eq(search_start(&search, index_of_test, query, &options), ERR_INVALID);
		cr_assert_null(search);
	}
	struct search_options options = {.limit = SEARCH_LIMIT_MAX + 1};
	cr_assert_eq(search_start(&search, index_of_test, query, &options), ERR_TOOLARGE);
	options = (struct search_options){.limit = 1, .offset = SEARCH_OFFSET_MAX + 1};
	cr_assert_eq(search_start(&search, index_of_test, query, &options), ERR_TOOLARGE);
	options = (struct search_options){.limit = UINT64_MAX, .offset = UINT64_MAX};
	cr_assert_eq(search_start(&search, index_of_test, query, &options), ERR_TOOLARGE);
	query_free(query);
}

Test(search_index, pages_far_behind_are_reached_by_any_order)
{
	enum { DOCS = 30000 };
	for (int i = 0; i < DOCS; i++) {
		struct search_field fields[] = {number("width", (i * 7919) % DOCS)};
		(void)add(fields, 1, 1);
	}
	for (uint64_t offset = 9990; offset < DOCS; offset += 4999) {
		struct search_options options = {.limit = 100, .offset = offset,
		    .sort_field = SPAN_LIT("width"), .count = SEARCH_EXACT};
		struct found found = find_with("*", &options);
		cr_assert_eq(found.total, DOCS);
		cr_assert_eq(found.count, DOCS - offset < 100 ? DOCS - offset : 100);
		for (size_t i = 0; i < found.count; i++)
			cr_assert_eq(found.docids[i] * 7919ULL % DOCS, offset + i);
	}
	struct search_options beyond = {.limit = 10, .offset = DOCS};
	cr_assert_eq(find_with("*", &beyond).count, 0);
	struct search_options newest = {.limit = 3, .offset = 20000};
	struct found found = find_with("*", &newest);
	cr_assert_eq(found.docids[0], DOCS - 1 - 20000);
}

Test(search_index, pages_follow_one_another)
{
	for (int i = 0; i < 5000; i++)
		(void)add_title(i % 3 == 0 ? "red red" : "red", 1);
	struct found all = find("red");
	cr_assert_eq(all.total, 5000);
	for (uint64_t offset = 0; offset < 100; offset += 10) {
		struct search_options options = {
		    .offset = offset, .limit = 10, .count = SEARCH_NONE};
		struct found page = find_with("red", &options);
		expect(page, 10, all.docids + offset);
		cr_assert_eq(page.total, 0);
	}
	struct search_options beyond = {.offset = 6000, .limit = 10};
	cr_assert_eq(find_with("red", &beyond).count, 0);
	struct search_options last = {.offset = 4995, .limit = 10};
	cr_assert_eq(find_with("red", &last).count, 5);
}

Test(search_index, totals_are_exact_or_say_that_they_are_not)
{
	for (int i = 0; i < 9000; i++)
		(void)add_title(i % 2 == 0 ? "red car" : "red dog", 1);
	struct search_options exact = {.limit = 1, .count = SEARCH_EXACT}, fast = {.limit = 1};
	struct search_options only = {.count = SEARCH_EXACT};
	struct found found = find_with("red car", &exact);
	cr_assert(found.total == 4500 && found.exact);
	found = find_with("red car", &fast);
	cr_assert(found.total >= SEARCH_COUNT_FAST && found.total <= 4500);
	found = find_with("red", &fast);
	cr_assert(found.total == 9000 && found.exact, "one clean list needs no counting");
	found = find_with("*", &fast);
	cr_assert(found.total == 9000 && found.exact);
	found = find_with("red car", &only);
	cr_assert(found.total == 4500 && found.exact && found.count == 0);
	index_remove(index_of_test, 0);
	found = find_with("red", &exact);
	cr_assert(found.total == 8999 && found.exact);
}

static bool is_even(void *ctx, void *owner)
{
	(*(int *)ctx)++;
	return (uintptr_t)owner % 2 == 0;
}

Test(search_index, the_accept_callback_filters_before_counting)
{
	int calls = 0;
	for (uintptr_t i = 1; i <= 50; i++)
		(void)add_title("red", i);
	struct search_options options = {.limit = 100, .count = SEARCH_EXACT, .accept = is_even,
	    .accept_ctx = &calls};
	struct found found = find_with("red", &options);
	cr_assert_eq(found.total, 25);
	cr_assert_eq(found.count, 25);
	cr_assert_eq(calls, 50);
}

/* ---- Wide prefixes ------------------------------------------------------------------------ */

Test(search_index, prefixes_of_thousands_of_words_match_them_all)
{
	struct search_options options = {.limit = 0, .count = SEARCH_EXACT};
	for (int i = 0; i < 6000; i++) {
		char title[32];
		title[sprintf(title, "word%d %s", i, i % 2 == 0 ? "even" : "odd")] = 0;
		(void)add_title(title, 1);
	}
	cr_assert_eq(find_with("word*", &options).total, 6000);
	cr_assert_eq(find_with("word1*", &options).total, 1111);
	cr_assert_eq(find_with("word* -even", &options).total, 3000);
	cr_assert_eq(find_with("-word*", &options).total, 0);
	cr_assert_eq(find_with("@caption:word*", &options).total, 0);
	cr_assert_eq(find_with("word1* | word2*", &options).total, 2222);
}

/* ---- Sweeping and memory ------------------------------------------------------------------- */

Test(search_index, sweeping_gives_back_what_the_dead_held)
{
	struct index_stats before, after;
	index_get_stats(index_of_test, &before);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 9000; i++) {
			char title[64];
			title[sprintf(title, "common word%d", i)] = 0;
			struct search_field fields[] = {field("title", SEARCH_TEXT, title),
			    number("width", i), field("tags", SEARCH_TAG, i % 2 == 0 ? "a" : "b"),
			    field("kind", SEARCH_ATTRIBUTE, "x")};
			(void)add(fields, 4, 1);
		}
		for (uint32_t docid = 0; docid < (uint32_t)(round + 1) * 9000; docid++)
			index_remove(index_of_test, docid);
		cr_assert(index_sweep_is_due(index_of_test));
		struct search_budget one = {.units = 1};
		while (index_sweep(index_of_test, &one) == ERR_AGAIN)
			;
		cr_assert_not(index_sweep_is_due(index_of_test));
		index_get_stats(index_of_test, &after);
		cr_assert_eq(after.docs, 0);
		cr_assert_eq(after.docs_deleted, 0);
		cr_assert_eq(after.postings, 0);
		cr_assert_leq(
		    after.terms, before.terms + 1, "%lu terms", (unsigned long)after.terms);
		cr_assert_leq(after.bytes_postings, 256);
	}
	cr_assert_lt(after.bytes, 3 << 20, "%lu bytes", (unsigned long)after.bytes);
}

Test(search_index, a_document_updated_for_ever_costs_little)
{
	struct index_stats stats;
	uint64_t peak = 0;
	uint32_t docid = add_title("counter 0", 1), still = add_title("still", 2);
	for (int i = 1; i < 100000; i++) {
		char title[32];
		title[sprintf(title, "counter %d", i)] = 0;
		uint32_t next = add_title(title, 1);
		index_remove(index_of_test, docid);
		docid = next;
		struct search_budget few = {.units = 4};
		if (index_sweep_is_due(index_of_test) && index_sweep(index_of_test, &few) == OK) {
			index_get_stats(index_of_test, &stats);
			peak = stats.bytes > peak ? stats.bytes : peak;
		}
	}
	cr_assert_lt(peak, 4 << 20, "%lu bytes", (unsigned long)peak);
	EXPECT(find("counter"), docid);
	EXPECT(find("still"), still);
	index_get_stats(index_of_test, &stats);
	cr_assert_eq(stats.docs, 2);
}

Test(search_index, every_byte_is_counted)
{
	struct index_stats stats;
	for (int i = 0; i < 5000; i++)
		(void)add_title("some words in a title", 1);
	index_get_stats(index_of_test, &stats);
	cr_assert_eq(stats.bytes, memory.bytes);
	cr_assert_leq(stats.bytes_postings + stats.bytes_dictionary + stats.bytes_documents +
	    stats.bytes_columns, stats.bytes);
	cr_assert_gt(stats.bytes_postings, 0);
}

/* ---- Slices ---------------------------------------------------------------------------------- */

static uint64_t ticking(void *ctx)
{
	return ++*(uint64_t *)ctx;
}

Test(search_index, a_clock_ends_slices_and_a_search_can_be_given_up)
{
	struct query *query;
	struct query_error error;
	struct search *search;
	uint64_t now = 0;
	int slices = 0;
	for (int i = 0; i < 40000; i++)
		(void)add_title(i % 7 == 0 ? "red car" : "red", 1);
	cr_assert_eq(query_parse(&query, &memory, SPAN_LIT("red ~car -dog"), NULL, &error), OK);
	struct search_options options = {.limit = 10, .count = SEARCH_EXACT};
	cr_assert_eq(search_start(&search, index_of_test, query, &options), OK);
	struct search_budget budget = {.clock_us = ticking, .ctx = &now, .deadline_us = 5};
	while (search_step(search, &budget) == ERR_AGAIN) {
		cr_assert_lt(now, budget.deadline_us + 2);
		budget.deadline_us = now + 5;
		slices++;
	}
	cr_assert_gt(slices, 5);
	search_free(search);
	cr_assert_eq(search_start(&search, index_of_test, query, &options), OK);
	budget.deadline_us = now + 3;
	cr_assert_eq(search_step(search, &budget), ERR_AGAIN);
	search_free(search);
	query_free(query);
}

/* The best documents are the oldest, far behind where COUNT FAST has counted enough. */
Test(search_index, what_comes_after_a_thousand_counted_matches_can_still_be_the_best)
{
	char title[512];
	for (uint32_t i = 0; i < 40000; i++) {
		/* The newest are good, those behind them poor: blocks with low bounds. */
		uint32_t words = i < 400 ? 0 : i >= 39000 ? 4 : 12 + i % 17;
		int len = i % 20 != 0 ? snprintf(title, sizeof(title), "other")
		    : i >= 400 && i < 39000 ? snprintf(title, sizeof(title), "alpha beta")
		                            : snprintf(title, sizeof(title), "alpha beta alpha beta");
		for (uint32_t j = 0; j < words; j++)
			len += snprintf(title + len, sizeof(title) - (size_t)len, " pad");
		(void)add_title(title, 1);
	}
	static const char *const queries[] = {"\"alpha beta\"", "alpha beta", "alpha|beta", "alpha"};
	for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
		const struct search_options fast = {.limit = 10}, exact = {.limit = 10,
		    .count = SEARCH_EXACT}, none = {.limit = 10, .count = SEARCH_NONE};
		struct found found = find_with(queries[i], &fast), all = find_with(queries[i], &exact),
		    few = find_with(queries[i], &none);
		cr_assert_eq(all.total, 2000);
		cr_assert_geq(found.total, SEARCH_COUNT_FAST);
		cr_assert_leq(found.total, 2000);
		cr_assert_eq(found.count, 10);
		cr_assert_arr_eq(found.docids, all.docids, 10 * sizeof(all.docids[0]), "%s", queries[i]);
		cr_assert_arr_eq(few.docids, all.docids, 10 * sizeof(all.docids[0]), "%s", queries[i]);
	}
}

/* ---- Pruning ------------------------------------------------------------------------------- */

/* One word of two in every 50th document: its postings are walked. The newest fill the results;
 * then come so many long ones, which cannot enter, that matches are counted no more; the oldest
 * score best of all. */
Test(search_index, a_phrase_alone_finds_the_best_though_they_stand_in_later_runs)
{
	enum { EVERY = 50, DOCS = 2400 * EVERY, WORDS = 56 };
	for (int i = 0; i < DOCS; i++) {
		char title[8 * WORDS], *end = title;
		int words = i < DOCS / 4 ? 2 : i < DOCS * 9 / 10 ? WORDS : 12;
		end += sprintf(end, i % EVERY == 0 ? "red car" : "car");
		for (int j = 0; j < words && i % EVERY == 0; j++)
			end += sprintf(end, " w%d", (i + j) % 50);
		(void)add_title(title, 1);
	}
	struct search_options exact = {.limit = 20, .count = SEARCH_EXACT},
	    fast = {.limit = 20, .count = SEARCH_FAST}, none = {.limit = 20, .count = SEARCH_NONE};
	struct found wanted = find_with("\"red car\"", &exact);
	cr_assert_eq(wanted.total, DOCS / EVERY);
	cr_assert_lt(wanted.docids[0], DOCS / 4, "the oldest are the shortest: %u", wanted.docids[0]);
	expect(find_with("\"red car\"", &fast), wanted.count, wanted.docids);
	expect(find_with("\"red car\"", &none), wanted.count, wanted.docids);
}
