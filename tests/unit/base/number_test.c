/* tests/unit/base/number_test.c: numbers as text, by Redis's rules. */
#include "base/number.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

static bool parses(const char *text, int64_t want)
{
	int64_t got = ~want;
	return number_parse_i64(span_text(text), &got) && got == want;
}

static bool refused(const char *text)
{
	int64_t got;
	return !number_parse_i64(span_text(text), &got);
}

Test(number, canonical_integers_only)
{
	cr_assert(parses("0", 0) && parses("-1", -1) && parses("42", 42));
	cr_assert(parses("9223372036854775807", INT64_MAX));
	cr_assert(parses("-9223372036854775808", INT64_MIN));
	cr_assert(refused("9223372036854775808") && refused("-9223372036854775809"));
	cr_assert(refused("") && refused("-") && refused("-0") && refused("01") && refused("+1"));
	cr_assert(refused(" 1") && refused("1 ") && refused("1.0") && refused("0x1"));
}

Test(number, integers_survive_a_round_trip)
{
	struct random random;
	random_init(&random, 7);
	for (int i = 0; i < 100000; i++) {
		char text[NUMBER_TEXT_MAX];
		int64_t value = (int64_t)(random_next(&random) >> random_below(&random, 64));
		value = random_below(&random, 2) ? value : -value;
		int64_t back;
		size_t len = number_format_i64(value, text);
		cr_assert(number_parse_i64(span_of(text, len), &back));
		cr_assert_eq(back, value);
	}
}

Test(number, doubles_survive_a_round_trip)
{
	struct random random;
	random_init(&random, 8);
	for (int i = 0; i < 100000; i++) {
		char text[NUMBER_TEXT_MAX];
		uint64_t bits = random_next(&random);
		double value, back;
		memcpy(&value, &bits, sizeof(value));
		if (isnan(value) || isinf(value))
			continue;
		size_t len = number_format_double(value, text);
		cr_assert(len < NUMBER_TEXT_MAX);
		cr_assert(number_parse_double(span_of(text, len), &back), "%.*s", (int)len, text);
		cr_assert_eq(back, value);
	}
}

Test(number, doubles_refuse_what_redis_refuses)
{
	double value;
	static const char *const bad[] = {"", " 1", "1 ", "nan", "0x10", "1e999", "abc", "1,5"};
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
		cr_assert(!number_parse_double(span_text(bad[i]), &value), "%s", bad[i]);
	cr_assert(number_parse_double(SPAN_LIT("inf"), &value) && isinf(value));
	cr_assert(!number_parse_double(SPAN_LIT("1\0002"), &value));
}

Test(number, sizes_with_units)
{
	uint64_t bytes;
	cr_assert(number_parse_bytes(SPAN_LIT("64mb"), &bytes) && bytes == 64ULL << 20);
	cr_assert(number_parse_bytes(SPAN_LIT("1K"), &bytes) && bytes == 1000);
	cr_assert(number_parse_bytes(SPAN_LIT("3GB"), &bytes) && bytes == 3ULL << 30);
	cr_assert(number_parse_bytes(SPAN_LIT("17"), &bytes) && bytes == 17);
	cr_assert(!number_parse_bytes(SPAN_LIT("mb"), &bytes));
	cr_assert(!number_parse_bytes(SPAN_LIT("-1mb"), &bytes));
	cr_assert(!number_parse_bytes(SPAN_LIT("1.5mb"), &bytes));
	cr_assert(!number_parse_bytes(SPAN_LIT("99999999999999999tb"), &bytes));
}

Test(number, doubles_are_laid_out_as_redis_does)
{
	static const struct { double value; const char *text; } cases[] = {
		{3.14, "3.14"}, {0.1 + 0.2, "0.30000000000000004"}, {-0.0, "-0"}, {0.001, "0.001"}, {1.5e-9, "1.5e-9"},
		{1e25, "1e+25"}, {123456789012.0, "123456789012"}, {-2.5, "-2.5"}, {1e-7, "1e-7"}, {0.000123, "0.000123"},
		{123456.7890123456, "1.234567890123456e+5"}, {1234567.891, "1234567.891"}, {4e18, "4000000000000000000"},
		{9007199254740993.0, "9007199254740992"}, {5e-324, "5e-324"},
		{1.7976931348623157e308, "1.7976931348623157e+308"},
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		char text[NUMBER_TEXT_MAX + 1] = {0};
		text[number_format_double(cases[i].value, text)] = 0;
		cr_expect_str_eq(text, cases[i].text);
	}
}
