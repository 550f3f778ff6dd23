/* tests/fuzz/fuzz_aggregate.c: the words of an aggregation, with every expression in them, over
 * a few documents. The input is words parted by NUL bytes; more than a hundred are left out.
 * Whatever they are, there is a result or an error text, and no memory left behind. */
#include "search/aggregate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 100, DOCS = 12 };

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static struct index *make_index(struct memory *memory)
{
	const struct index_options options = {.hash_seed = 1};
	static const char *const tags[] = {"a", "b", "red car", "7"};
	struct index *index = index_new(memory, &options);
	for (uint32_t i = 0; i < DOCS; i++) {
		uint32_t docid;
		const struct search_field fields[] = {
		    {.name = SPAN_LIT("tags"), .kind = SEARCH_TAG, .text = span_text(tags[i % 4])},
		    {.name = SPAN_LIT("tags"), .kind = SEARCH_TAG, .text = span_text(tags[i / 3])},
		    {.name = SPAN_LIT("width"), .kind = SEARCH_NUMERIC, .number = i * 10},
		    {.name = SPAN_LIT("taken"), .kind = SEARCH_DATE, .date_ms = i * 86400000000},
		    {.name = SPAN_LIT("location"), .kind = SEARCH_GEO, .lon = i, .lat = i},
		    {.name = SPAN_LIT("x"), .kind = SEARCH_ATTRIBUTE, .text = span_text(tags[i % 4])},
		};
		expect(index_add(index, fields, ARRAY_COUNT(fields) - i % 3, (void *)1, &docid) == OK);
	}
	return index;
}

static uint32_t split(struct span input, struct span words[WORDS_MAX])
{
	uint32_t count = 0;
	while (input.len > 0 && count < WORDS_MAX) {
		const uint8_t *end = memchr(input.ptr, 0, input.len);
		size_t len = end == NULL ? input.len : (size_t)(end - input.ptr);
		words[count++] = span_slice(input, 0, len);
		input = span_slice(input, len + (end != NULL), input.len);
	}
	return count;
}

static void use(struct aggregate *aggregate, const struct index *index)
{
	const struct search_budget budget = {.units = 1};
	char why[AGGREGATE_WHY_BYTES];
	if (aggregate_bind(aggregate, index, NULL, NULL, why) != OK)
		return;
	for (uint32_t docid = 0; docid < DOCS; docid++)
		if (aggregate_add(aggregate, docid) != OK)
			return;
	enum err err;
	while ((err = aggregate_step(aggregate, &budget)) == ERR_AGAIN)
		;
	if (err != OK)
		return;
	expect(aggregate_row_count(aggregate) <= aggregate_total(aggregate));
	for (size_t row = 0; row < aggregate_row_count(aggregate); row++)
		for (uint32_t i = 0; i < aggregate_column_count(aggregate); i++) {
			const struct value *value = aggregate_cell(aggregate, row, i);
			expect(value->kind <= VALUE_LIST);
			expect(value->kind != VALUE_NUMBER || value->number == value->number);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct memory index_memory;
	static struct index *index;
	struct memory memory = {0};
	struct span words[WORDS_MAX];
	char why[AGGREGATE_WHY_BYTES];
	struct aggregate *aggregate;
	if (index == NULL)
		index = make_index(&index_memory);
	const struct aggregate_words given = {
	    .argv = words, .argc = split(span_of(data, size), words)};
	enum err err = aggregate_new(&aggregate, &memory, &given, why);
	expect(err == OK || why[0] != 0);
	if (err == OK)
		use(aggregate, index);
	aggregate_free(aggregate);
	expect(memory.bytes == 0);
	return 0;
}
