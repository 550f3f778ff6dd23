/* tests/unit/cache/packed_test.c: packed runs and intsets beside arrays of their elements. */
#include "base/number.h"
#include "base/random.h"
#include "cache/intset.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { ELEMENTS = 300, STEPS = 40000 };

struct text { size_t len; uint8_t bytes[9000]; };

static void random_text(struct random *random, struct text *out)
{
	static const size_t lens[] = {0, 1, 5, 20, 63, 64, 127, 128, 300, 4095, 4096, 8999};
	uint64_t kind = random_below(random, 40);
	if (kind < 16) {
		int64_t number = (int64_t)random_next(random) >> random_below(random, 64);
		out->len = number_format_i64(number, (char *)out->bytes);
		return;
	}
	out->len = kind < 38 ? random_below(random, 30) : lens[random_below(random, ARRAY_COUNT(lens))];
	for (size_t i = 0; i < out->len; i++)
		out->bytes[i] = (uint8_t)('-' + random_below(random, kind % 2 == 0 ? 12 : 60));
}

static struct needle text_needle(const struct text *text)
{
	return needle_of(span_of(text->bytes, text->len));
}

/* All of it, from both ends. */
static void check_all(const struct packed *packed, struct text **model, uint32_t count)
{
	struct item item;
	uint32_t at = PACKED_HEAD;
	cr_assert_eq(packed_count(packed), count);
	for (uint32_t i = 0; i < count; i++, at = packed_next(packed, at)) {
		cr_assert_eq(packed_seek(packed, i), at);
		packed_get(packed, at, &item);
		cr_assert(span_equal(item.bytes, span_of(model[i]->bytes, model[i]->len)));
	}
	cr_assert_eq(at, packed_end(packed));
	for (uint32_t i = count; i-- > 0;) {
		at = packed_prev(packed, at);
		packed_get(packed, at, &item);
		cr_assert(span_equal(item.bytes, span_of(model[i]->bytes, model[i]->len)));
	}
	cr_assert_eq(at, PACKED_HEAD);
	cr_assert(count == 0 || packed_check(span_of(packed->ptr, packed->len)));
}

Test(packed, holds_what_an_array_of_texts_holds)
{
	struct memory memory = {0};
	struct packed packed = {0};
	struct random random;
	struct text *model[ELEMENTS], *spare = calloc(1, sizeof(*spare));
	uint32_t count = 0;
	random_init(&random, 7);
	for (unsigned step = 0; step < STEPS; step++) {
		uint32_t at = (uint32_t)random_below(&random, count + 1);
		uint64_t what = random_below(&random, 10);
		if (what < 6 - (count > 100 ? 2 : 0) && count < ELEMENTS) {
			struct text *text = calloc(1, sizeof(*text));
			random_text(&random, text);
			struct needle needle = text_needle(text);
			packed_insert(&packed, &memory, packed_seek(&packed, at), &needle);
			memmove(&model[at + 1], &model[at], (count - at) * sizeof(model[0]));
			model[at] = text;
			count++;
		} else if (what < 8 && at < count) {
			random_text(&random, model[at]);
			struct needle needle = text_needle(model[at]);
			packed_replace(&packed, &memory, packed_seek(&packed, at), &needle);
		} else if (at < count) {
			uint32_t part = 1 + (uint32_t)random_below(&random, step % 500 == 0 ? count - at : 1);
			packed_remove(&packed, &memory, packed_seek(&packed, at), part);
			for (uint32_t i = 0; i < part; i++)
				free(model[at + i]);
			memmove(&model[at], &model[at + part], (count - at - part) * sizeof(model[0]));
			count -= part;
		}
		if (step % 100 == 0)
			check_all(&packed, model, count);
		random_text(&random, spare);
		struct needle needle = text_needle(spare);
		uint32_t found = 0;
		if (step % 20 != 0)
			continue;
		for (; found < count; found++)
			if (span_equal(needle.text, span_of(model[found]->bytes, model[found]->len)))
				break;
		uint32_t want = packed_seek(&packed, found);
		cr_assert_eq(packed_find(&packed, PACKED_HEAD, &needle, 1), want);
	}
	packed_fini(&packed, &memory);
	cr_assert_eq(memory.bytes, 0);
	while (count > 0)
		free(model[--count]);
	free(spare);
}

Test(packed, keeps_small_integers_and_short_texts_in_two_bytes_more)
{
	struct memory memory = {0};
	struct packed packed = {0};
	static const struct { const char *text; uint32_t bytes; } cases[] = {
		{"0", 2}, {"127", 2}, {"128", 3}, {"4223", 3}, {"-1", 3}, {"30000", 4}, {"123456789012", 7},
		{"9223372036854775807", 10}, {"007", 5}, {"-0", 4}, {"", 2}, {"hello", 7},
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		uint32_t before = packed_end(&packed);
		struct needle needle = needle_of(span_text(cases[i].text));
		uint32_t end = packed_insert(&packed, &memory, before, &needle);
		cr_expect_eq(end - before, cases[i].bytes, "%s: %u", cases[i].text, end - before);
	}
	packed_fini(&packed, &memory);
}

Test(packed, keeps_scores_exactly)
{
	struct memory memory = {0};
	struct packed packed = {0};
	static const double scores[] = {0, 1, -1, 0.5, 3.14, 0.1 + 0.2, 1e300, -1e-300, 5e-324, INFINITY,
		-INFINITY, 0x1p53 + 2, 1e20, 123456789.125, 9.2e18, -9.2e18, 1.7976931348623157e308};
	for (size_t i = 0; i < ARRAY_COUNT(scores); i++) {
		uint32_t at = packed_end(&packed);
		packed_insert_score(&packed, &memory, at, scores[i]);
		cr_expect(packed_has_score(&packed, at));
		cr_expect_eq(packed_score(&packed, at), scores[i], "%g", scores[i]);
	}
	cr_assert(packed_check(span_of(packed.ptr, packed.len)));
	packed_fini(&packed, &memory);
}

Test(packed, refuses_damaged_bytes)
{
	struct memory memory = {0};
	struct packed packed = {0};
	static const char *const texts[] = {"one", "12", "-70000"};
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		struct needle needle = needle_of(span_text(texts[i]));
		packed_insert(&packed, &memory, packed_end(&packed), &needle);
	}
	struct span whole = span_of(packed.ptr, packed.len);
	cr_assert(packed_check(whole));
	for (size_t len = 0; len < whole.len; len++)
		cr_expect(!packed_check(span_slice(whole, 0, len)));
	static const uint8_t number_as_text[] = {1, 0, 0, 0, 0x82, '1', '2', 3};
	cr_expect(!packed_check(span_of(number_as_text, sizeof(number_as_text))));
	static const uint8_t huge[] = {1, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 0xff, 1};
	cr_expect(!packed_check(span_of(huge, sizeof(huge))));
	packed_fini(&packed, &memory);
}

static int compare_numbers(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

Test(intset, holds_what_a_sorted_array_holds)
{
	struct memory memory = {0};
	struct packed set = {0};
	struct random random;
	int64_t model[ELEMENTS];
	uint32_t count = 0;
	random_init(&random, 3);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned shift = step < STEPS / 3 ? 56 : 40;
		if (step > 2 * STEPS / 3)
			shift = (unsigned)random_below(&random, 63);
		int64_t number = (int64_t)random_next(&random) >> shift;
		uint32_t found = 0, place;
		while (found < count && model[found] != number)
			found++;
		cr_assert_eq(intset_find(&set, number, &place), found < count);
		if (random_below(&random, 2) == 0 && count < ELEMENTS) {
			cr_assert_eq(intset_add(&set, &memory, number), found == count);
			if (found == count)
				model[count++] = number;
		} else {
			if (count > 0 && random_below(&random, 2) == 0)
				number = model[found = (uint32_t)random_below(&random, count)];
			cr_assert_eq(intset_remove(&set, &memory, number), found < count);
			if (found < count)
				model[found] = model[--count];
		}
		cr_assert_eq(intset_count(&set), count);
		if (step % 50 != 0)
			continue;
		qsort(model, count, sizeof(model[0]), compare_numbers);
		for (uint32_t i = 0; i < count; i++)
			cr_assert_eq(intset_get(&set, i), model[i]);
		cr_assert(count == 0 || intset_check(span_of(set.ptr, set.len)));
	}
	packed_fini(&set, &memory);
	cr_assert_eq(memory.bytes, 0);
}
