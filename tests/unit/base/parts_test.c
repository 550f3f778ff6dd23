/* tests/unit/base/parts_test.c: globs, dates, checksums, the heap, buffers. */
#include "base/buf.h"
#include "base/crc32c.h"
#include "base/crc64.h"
#include "base/date.h"
#include "base/glob.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/random.h"

#include <criterion/criterion.h>

static bool glob(const char *pattern, const char *text)
{
	return glob_match(span_text(pattern), span_text(text), false);
}

Test(glob, matches_as_redis_does)
{
	cr_assert(glob("*", "abc") && glob("a*c", "abbbc") && glob("a?c", "abc"));
	cr_assert(
	    glob("h[ae]llo", "hallo") && !glob("h[ae]llo", "hillo") && glob("h[^e]llo", "hallo"));
	cr_assert(glob("h[a-c]t", "hbt") && glob("h[c-a]t", "hbt") && !glob("h[a-c]t", "hdt"));
	cr_assert(glob("a\\*c", "a*c") && !glob("a\\*c", "abc") && glob("**b**", "abc"));
	cr_assert(!glob("*", "") && !glob("", "a") && glob("", "") && !glob("a", "") && !glob("abc", "ab"));
	cr_assert(glob_match(SPAN_LIT("AbC*"), SPAN_LIT("aBcd"), true));
}

Test(glob, a_monstrous_pattern_ends_soon)
{
	char pattern[2001], text[20001];
	for (int i = 0; i < 1000; i++) {
		pattern[2 * i] = '*';
		pattern[2 * i + 1] = 'a';
	}
	memset(text, 'a', 20000);
	text[19999] = 'b';
	cr_assert(!glob_match(span_of(pattern, 2000), span_of(text, 20000), false));
}

Test(date, iso_and_integers)
{
	int64_t first, last;
	cr_assert(date_parse(SPAN_LIT("2024-02"), &first, &last));
	cr_assert_eq(first, 1706745600000);
	cr_assert_eq(last, 1709251199999);
	cr_assert(date_parse(SPAN_LIT("2024-06-01T12:30:15.250+02:00"), &first, &last));
	cr_assert_eq(first, 1717237815250);
	cr_assert_eq(last, first);
	cr_assert(date_parse(SPAN_LIT("1970"), &first, &last) && first == 0);
	cr_assert(date_parse(SPAN_LIT("1717237815250"), &first, &last) && first == 1717237815250);
	static const char *const bad[] = {"", "2024-13", "2023-02-29", "2024-06-01T25:00",
	    "2024-6-1", "2024-06-01T12:30x", "junk", "2024-06-01T12:30:15+99:00"};
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		cr_assert(!date_parse(span_text(bad[i]), &first, &last), "%s", bad[i]);
}

Test(date, civil_and_days_agree)
{
	for (int64_t days = -800000; days < 800000; days += 37) {
		int64_t year;
		int month, day;
		date_civil(days, &year, &month, &day);
		cr_assert_eq(date_days(year, month, day), days);
		cr_assert(month >= 1 && month <= 12 && day >= 1 && day <= 31);
	}
}

Test(crc32c, known_value_and_pieces)
{
	cr_assert_eq(crc32c(0, SPAN_LIT("123456789")), 0xe3069283);
	uint8_t bytes[1000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	uint32_t whole = crc32c(0, span_of(bytes, sizeof(bytes)));
	for (size_t cut = 0; cut <= sizeof(bytes); cut += 13) {
		uint32_t first = crc32c(0, span_of(bytes, cut));
		cr_assert_eq(crc32c(first, span_of(bytes + cut, sizeof(bytes) - cut)), whole);
	}
}

Test(digest, hex_round_trip)
{
	struct digest digest = digest_of(SPAN_LIT("photograph")), back;
	char hex[DIGEST_HEX];
	digest_hex(&digest, hex);
	cr_assert(digest_parse(span_of(hex, sizeof(hex)), &back) && digest_equal(&digest, &back));
	cr_assert(!digest_parse(span_of(hex, 31), &back));
	hex[5] = 'g';
	cr_assert(!digest_parse(span_of(hex, sizeof(hex)), &back));
}

enum { NODES = 300 };

/* The heap beside an array of deadlines: 0 means that the node is in no heap. */
Test(heap, agrees_with_a_scan)
{
	struct memory memory = {0};
	struct heap heap;
	struct heap_node nodes[NODES];
	uint64_t deadlines[NODES] = {0};
	struct random random;
	heap_init(&heap, &memory);
	random_init(&random, 3);
	for (int i = 0; i < NODES; i++)
		heap_node_init(&nodes[i]);
	for (int step = 0; step < 50000; step++) {
		uint64_t at = random_below(&random, NODES);
		if (random_below(&random, 3) == 0) {
			heap_remove(&heap, &nodes[at]);
			deadlines[at] = 0;
		} else {
			deadlines[at] = 1 + random_below(&random, 1000);
			heap_set(&heap, &nodes[at], deadlines[at]);
		}
		uint64_t least = 0;
		for (int i = 0; i < NODES; i++)
			if (deadlines[i] != 0 && (least == 0 || deadlines[i] < least))
				least = deadlines[i];
		const struct heap_item *first = heap_first(&heap);
		cr_assert_eq(first == NULL ? 0 : first->deadline, least);
		cr_assert(first == NULL || deadlines[first->node - nodes] == least);
	}
	heap_fini(&heap);
	cr_assert_eq(memory.bytes, 0);
}

Test(buf, appends_and_counts)
{
	struct memory memory = {0};
	struct buf buf;
	buf_init(&buf, &memory);
	for (int i = 0; i < 1000; i++)
		buf_printf(&buf, "%d,", i);
	cr_assert_eq(buf.len, 3890);
	cr_assert_eq(memory.bytes, buf.cap);
	buf_consume(&buf, 3886);
	cr_assert(span_equal(buf_span(&buf), SPAN_LIT("999,")));
	buf_fini(&buf);
	cr_assert_eq(memory.bytes, 0);
	cr_assert(!buf_try_reserve(&buf, SIZE_MAX));
}

Test(crc64, is_that_of_redis)
{
	cr_expect_eq(crc64(SPAN_LIT("123456789")), UINT64_C(0xe9c6d914c4b8d9ca));
	cr_expect_eq(crc64(SPAN_LIT("")), 0);
}
