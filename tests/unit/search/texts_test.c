/* tests/unit/search/texts_test.c: attributes that are texts, beside a caption with the same words. */
#include "search/declare.h"
#include "search/language.h"
#include "search/search.h"

#include "base/buf.h"
#include "base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>

enum { DOCS = 3000, QUERIES = 600, HITS = 1000, WORDS = 40 };

static struct memory memory;
static struct index *index_of_test;

static void setup(void)
{
	struct index_options options = {.hash_seed = 7};
	index_of_test = index_new(&memory, &options);
	index_declare(index_of_test, SPAN_LIT("other"), SEARCH_TEXT);
	index_declare(index_of_test, SPAN_LIT("note"), SEARCH_TEXT_TAG);
}

static void teardown(void)
{
	index_free(index_of_test);
	cr_assert_eq(memory.bytes, 0);
}

TestSuite(search_texts, .init = setup, .fini = teardown);

static void fill(struct random *random)
{
	for (uintptr_t doc = 1; doc <= DOCS; doc++) {
		char text[256];
		uint32_t docid;
		int len = 0, words = 1 + (int)random_below(random, 12);
		for (int i = 0; i < words; i++) {
			uint64_t word = random_below(random, WORDS);
			word = random_below(random, word + 1);
			len += snprintf(text + len, sizeof(text) - (size_t)len, "w%c%llu ",
			    'a' + (int)(word % 5), (unsigned long long)word);
		}
		struct span span = span_of(text, (size_t)len);
		struct search_field fields[] = {
		    {.name = SPAN_LIT("caption"), .kind = SEARCH_TEXT, .text = span},
		    {.name = SPAN_LIT("note"), .kind = SEARCH_ATTRIBUTE, .text = span},
		    {.name = SPAN_LIT("other"), .kind = SEARCH_ATTRIBUTE, .text = SPAN_LIT("wa0 elsewhere")},
		};
		size_t count = doc % 7 == 0 ? 3 : 2;
		cr_assert_eq(index_add(index_of_test, fields, count, (void *)doc, &docid), OK);
		if (doc % 11 == 0)
			index_remove(index_of_test, docid);
	}
	const struct search_budget endless = {0};
	bool more = index_sweep_is_due(index_of_test);
	while (more)
		more = index_sweep(index_of_test, &endless);
}

struct found {
	struct search_hit hits[HITS];
	size_t   count;
	uint64_t total;
};

static bool never(void *ctx, struct span word)
{
	(void)ctx;
	(void)word;
	return false;
}

static struct span nothing(void *ctx, struct span word, uint32_t at)
{
	(void)ctx;
	(void)word;
	(void)at;
	return (struct span){0};
}

static struct found *find(const char *text)
{
	static const struct span texts[] = {SPAN_LIT("other"), SPAN_LIT("note")};
	const struct query_words words = {
	    .is_stopped = never, .synonym = nothing, .texts = texts, .text_count = 2};
	const struct query_options options = {.words = &words};
	const struct search_options how = {.limit = HITS, .count = SEARCH_EXACT};
	const struct search_budget endless = {0};
	struct query *query;
	struct query_error error;
	struct search *search;
	struct search_results results;
	struct found *found = calloc(1, sizeof(*found));
	cr_assert_eq(
	    query_parse(&query, &memory, span_text(text), &options, &error), OK, "%s: %s", text, error.text);
	cr_assert_eq(search_start(&search, index_of_test, query, &how), OK);
	query_free(query);
	cr_assert_eq(search_step(search, &endless), OK);
	search_get_results(search, &results);
	found->count = results.count;
	found->total = results.total;
	memcpy(found->hits, results.hits, results.count * sizeof(found->hits[0]));
	search_free(search);
	return found;
}

static void same(const char *one, const char *other, bool scores)
{
	struct found *a = find(one), *b = find(other);
	cr_assert_eq(a->total, b->total, "%s: %llu, %s: %llu", one, (unsigned long long)a->total, other,
	    (unsigned long long)b->total);
	cr_assert_eq(a->count, b->count);
	for (size_t i = 0; scores && i < a->count; i++) {
		cr_assert_eq(a->hits[i].docid, b->hits[i].docid, "%s: place %zu", one, i);
		cr_assert_float_eq(a->hits[i].score, b->hits[i].score, 1e-6);
	}
	free(a);
	free(b);
}

/* A query with every "$" the name of the field. */
static void ask(struct random *random, char *out, size_t cap, const char *field)
{
	unsigned a = (unsigned)random_below(random, WORDS), b = (unsigned)random_below(random, WORDS);
	char one[16], two[16];
	snprintf(one, sizeof(one), "w%c%u", 'a' + (int)(a % 5), a);
	snprintf(two, sizeof(two), "w%c%u", 'a' + (int)(b % 5), b);
	switch (random_below(random, 9)) {
	case 0: snprintf(out, cap, "@%s:%s", field, one); break;
	case 1: snprintf(out, cap, "@%s:(%s %s)", field, one, two); break;
	case 2: snprintf(out, cap, "@%s:(%s|%s)", field, one, two); break;
	case 3: snprintf(out, cap, "@%s:\"%s %s\"", field, one, two); break;
	case 4: snprintf(out, cap, "@%s:%.2s*", field, one); break;
	case 5: snprintf(out, cap, "@%s:%s -@%s:%s", field, one, field, two); break;
	case 6: snprintf(out, cap, "@%s:(%s ~%s)", field, one, two); break;
	case 7: snprintf(out, cap, "@%s:\"%s %s\"=>{$slop:2}", field, one, a == b ? "wa0" : two); break;
	default: snprintf(out, cap, "@%s:%%%s%%", field, one); break;
	}
}

Test(search_texts, an_attribute_is_sought_as_a_caption_is)
{
	struct random random;
	char one[128], other[128];
	random_init(&random, 5);
	fill(&random);
	for (int i = 0; i < QUERIES; i++) {
		struct random again = random;
		ask(&random, one, sizeof(one), "caption");
		ask(&again, other, sizeof(other), "note");
		same(one, other, true);
	}
}

Test(search_texts, a_word_of_no_field_is_sought_in_attributes_too)
{
	struct random random;
	random_init(&random, 6);
	fill(&random);
	same("elsewhere", "@other:elsewhere", true);
	same("\"wa0 elsewhere\"", "@other:\"wa0 elsewhere\"", true);
	same("wa0", "@title|caption|tags|camera:wa0 | @note:wa0 | @other:wa0", true);
	same("elsewh*", "@other:elsewhere", false);
	same("-wa0", "-@caption|other:wa0", false);
	same("(wa5 wa10)=>{$slop:3}", "@caption:(wa5 wa10)=>{$slop:3}", false);
	same("@title:wa0", "@title|camera:elsewhere", false);
}
