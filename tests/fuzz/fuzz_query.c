/* tests/fuzz/fuzz_query.c: any bytes as a query, run on a small fixed index.
 *
 * The first byte chooses the options, the rest is the query. What parses is explained and
 * searched in slices of one unit, then again in one go: both must agree. Build with
 * clang -fsanitize=fuzzer,address,undefined and give -max_total_time.
 */
#include "base/buf.h"
#include "search/declare.h"
#include "search/language.h"

#include <stdlib.h>

enum { DOCS = 300, UNITS_MAX = 200000 };

static bool is_stopped(void *ctx, struct span word)
{
	(void)ctx;
	return span_equal(word, SPAN_LIT("the"));
}

static struct span synonym(void *ctx, struct span word, uint32_t at)
{
	(void)ctx;
	return at == 0 && span_equal(word, SPAN_LIT("car")) ? SPAN_LIT("motor car") : (struct span){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct memory memory;
static struct index *fixed;

static struct search_field text_field(const char *name, enum search_kind kind, const char *text)
{
	return (struct search_field){
	    .name = span_text(name), .kind = kind, .text = span_text(text)};
}

static void index_make(void)
{
	static const char *const titles[] = {"Red car in Paris", "the blue cat", "東京タワー café",
	    "t-shirt 3.5", "", "aa ab ac ad ae af ag ah ai aj ak al am an ao ap aq ar as at"};
	static const char *const tags[] = {"cat", "big dog", "Ünïcode", "a|b"};
	struct index_options options = {.hash_seed = 1};
	fixed = index_new(&memory, &options);
	index_declare(fixed, SPAN_LIT("note"), SEARCH_TEXT_TAG);
	for (uint32_t i = 0; i < DOCS; i++) {
		uint32_t docid;
		struct search_field fields[] = {
		    text_field("title", SEARCH_TEXT, titles[i % ARRAY_COUNT(titles)]),
		    text_field("tags", SEARCH_TAG, tags[i % ARRAY_COUNT(tags)]),
		    text_field("camera", SEARCH_TAG, "Canon EOS 5D"),
		    text_field("note", SEARCH_ATTRIBUTE, titles[i % 5]),
		    text_field("color", SEARCH_ATTRIBUTE, i % 2 == 0 ? "12.5" : "2024-06-01"),
		    {.name = SPAN_LIT("width"), .kind = SEARCH_NUMERIC, .number = i * 10},
		    {.name = SPAN_LIT("taken"), .kind = SEARCH_DATE, .date_ms = i * 86400000LL},
		    {.name = SPAN_LIT("location"),
		        .kind = SEARCH_GEO,
		        .lon = i % 180,
		        .lat = i % 90},
		};
		if (index_add(fixed, fields, i % 3 == 0 ? 3 : ARRAY_COUNT(fields), fixed, &docid) !=
		    OK)
			abort();
		if (i % 7 == 0)
			index_remove(fixed, docid);
	}
}

/* Total and a digest of the hits. */
static uint64_t run(const struct query *query, const struct search_options *options, uint64_t units)
{
	struct search *search;
	struct search_results results;
	struct search_budget budget = {.units = units};
	uint64_t sum = 0, slices = 0;
	enum err err = search_start(&search, fixed, query, options);
	if (err != OK)
		return err;
	while ((err = search_step(search, &budget)) == ERR_AGAIN)
		if (++slices > UNITS_MAX)
			abort();          /* it never ends */
	if (err != OK)
		abort();
	search_get_results(search, &results);
	for (size_t i = 0; i < results.count; i++)
		sum = sum * 31 + results.hits[i].docid;
	sum = sum * 31 + results.total;
	for (size_t i = 0; i < options->facet_count; i++) {
		const struct search_facet_value *values;
		size_t count = search_get_facet(search, i, &values);
		for (size_t j = 0; j < count; j++)
			sum = sum * 31 + values[j].docs + values[j].text.len;
	}
	search_free(search);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const sorts[] = {
	    "", "width", "taken", "camera", "title", "color", "nothing"};
	struct query_param params[] = {{SPAN_LIT("p"), SPAN_LIT("red car")},
	    {SPAN_LIT("n"), SPAN_LIT("100")}};
	static const struct span texts[] = {SPAN_LIT("note"), SPAN_LIT("nowhere")};
	static const struct query_words words = {
	    .is_stopped = is_stopped, .synonym = synonym, .texts = texts, .text_count = ARRAY_COUNT(texts)};
	const struct query_options options = {params, ARRAY_COUNT(params), 2,
	    size > 0 && data[0] % 3 == 0 ? &words : NULL};
	struct query_error error;
	struct query *query;
	struct buf text;
	if (fixed == NULL)
		index_make();
	if (size == 0)
		return 0;
	uint64_t bytes = memory.bytes;
	enum err err = query_parse(&query, &memory, span_of(data + 1, size - 1), &options, &error);
	if (err != OK) {
		if (query != NULL || error.text[0] == 0 || memory.bytes != bytes)
			abort();
		return 0;
	}
	static const struct span marks[2] = {SPAN_LIT("<"), SPAN_LIT(">")};
	static const struct span facets[] = {
	    SPAN_LIT("tags"), SPAN_LIT("width"), SPAN_LIT("color")};
	buf_init(&text, &memory);
	query_explain(query, &text);
	(void)query_highlight(query, SPAN_LIT("title"), SPAN_LIT("Red car in Paris, 東京 café"),
	    marks, &text);
	buf_fini(&text);
	struct search_options search = {.limit = data[0] % 16, .offset = data[0] / 64,
	    .sort_field = span_text(sorts[data[0] % ARRAY_COUNT(sorts)]),
	    .sort_descending = data[0] % 2 == 0, .with_scores = data[0] % 3 == 0,
	    .count = (enum search_count)(data[0] / 16 % 3),
	    .facets = facets, .facet_count = data[0] % 5 == 0 ? ARRAY_COUNT(facets) : 0};
	if (run(query, &search, 1) != run(query, &search, 0))
		abort();
	query_free(query);
	if (memory.bytes != bytes)
		abort();
	return 0;
}
