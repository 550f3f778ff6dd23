/* tests/unit/search/query_test.c: what the parser makes of queries, as query_explain prints
 * it, and every way in which it refuses. */
#include "base/buf.h"
#include "search/search.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct memory memory;

static struct query_param params[] = {
	{SPAN_LIT("word"), SPAN_LIT("Hello")}, {SPAN_LIT("two"), SPAN_LIT("big dog")},
	{SPAN_LIT("low"), SPAN_LIT("100")}, {SPAN_LIT("unit"), SPAN_LIT("km")},
	{SPAN_LIT("day"), SPAN_LIT("2024-02-03")},
};

static enum err parse(struct span text, struct query **query, struct query_error *error)
{
	struct query_options options = {.params = params, .param_count = ARRAY_COUNT(params), .dialect = 2};
	return query_parse(query, &memory, text, &options, error);
}

/* Nodes in one line: "AND(TERM red,TERM car)" would be hard to build without recursion, so
 * lines are joined by '/' and levels shown by '.'. */
static void check(const char *text, const char *expected)
{
	struct query *query;
	struct query_error error;
	struct buf out, flat;
	enum err err = parse(span_text(text), &query, &error);
	cr_assert_eq(err, OK, "%s: %s", text, error.text);
	buf_init(&out, &memory);
	buf_init(&flat, &memory);
	query_explain(query, &out);
	bool begin = true;
	for (size_t i = 0; i + 1 < out.len; i++) {
		if (begin && out.ptr[i] == ' ') {
			buf_append_text(&flat, ".");
			i++;
			continue;
		}
		begin = out.ptr[i] == '\n';
		buf_append_u8(&flat, begin ? '/' : out.ptr[i]);
	}
	buf_append_u8(&flat, 0);
	cr_assert_str_eq(
	    (char *)flat.ptr, expected, "%s: %s, not %s", text, (char *)flat.ptr, expected);
	buf_fini(&flat);
	buf_fini(&out);
	query_free(query);
	cr_assert_eq(memory.bytes, 0);
}

static void refuse_span(struct span text, enum err code, const char *message)
{
	struct query *query;
	struct query_error error;
	enum err err = parse(text, &query, &error);
	cr_assert_eq(err, code, "%.*s: %s, not %s: %s", (int)text.len, (const char *)text.ptr,
	    err_name(err), err_name(code), error.text);
	cr_assert_null(query);
	if (message != NULL)
		cr_assert_str_eq(error.text, message, "%s, not %s", error.text, message);
	cr_assert_neq(error.text[0], 0);
	cr_assert_eq(memory.bytes, 0);
}

static void refuse(const char *text, enum err code, const char *message)
{
	refuse_span(span_text(text), code, message);
}

Test(query, words_are_joined_by_and)
{
	check("red", "TERM red");
	check("Red CAR", "AND/.TERM red/.TERM car");
	check("red, car;!", "AND/.TERM red/.TERM car");
}

Test(query, and_binds_tighter_than_or)
{
	check("a b|c d", "OR/.AND/..TERM a/..TERM b/.AND/..TERM c/..TERM d");
	check("a (b|c) d", "AND/.TERM a/.OR/..TERM b/..TERM c/.TERM d");
	check("((a))", "TERM a");
}

Test(query, signs_apply_to_the_next_unit)
{
	check("-a b", "AND/.NOT/..TERM a/.TERM b");
	check("- (a b)", "NOT/.AND/..TERM a/..TERM b");
	check("--a", "TERM a");
	check("~a", "OPTIONAL/.TERM a");
	check("-~a", "NOT/.OPTIONAL/..TERM a");
	check("~-a", "OPTIONAL/.NOT/..TERM a");
	check("~-~a", "OPTIONAL/.TERM a");
	check("-@tags:{x}", "NOT/.TAG @tags:{x}");
}

Test(query, a_word_that_analysis_splits_is_a_phrase)
{
	check("\"red car\"", "PHRASE red car");
	check("\"red\"", "TERM red");
	check("t-shirt", "PHRASE t shirt");
	check("hello\\-world", "PHRASE hello world");
	check("don't", "PHRASE don t");
	check("IMG_1234.jpg", "PHRASE img 1234 jpg");
	check("\xe6\x9d\xb1\xe4\xba\xac", "PHRASE \xe6\x9d\xb1 \xe4\xba\xac");
	check("\"say \\\"hi\\\"\"", "PHRASE say hi");
	check("foo -bar", "AND/.TERM foo/.NOT/..TERM bar");
}

Test(query, prefixes)
{
	check("pre*", "PREFIX pre*");
	check("foo-ba*", "AND/.TERM foo/.PREFIX ba*");
	check("a-b-co*", "AND/.PHRASE a b/.PREFIX co*");
	check("\xe6\x9d\xb1*", "TERM \xe6\x9d\xb1");
	check("@title:pre*", "PREFIX @title:pre*");
	refuse("p*", ERR_INVALID, "A prefix needs at least 2 characters");
	refuse("@tags:{p*}", ERR_INVALID, "A prefix needs at least 2 characters");
}

Test(query, fields_apply_to_the_next_unit)
{
	check("@title:a b", "AND/.TERM @title:a/.TERM b");
	check("@title:(a b)", "AND/.TERM @title:a/.TERM @title:b");
	check("@title|caption:a", "TERM @title|caption:a");
	check("@title:\"a b\"", "PHRASE @title:a b");
	check(
	    "@title:(a|@caption:b c)", "OR/.TERM @title:a/.AND/..TERM @caption:b/..TERM @title:c");
	check("@tags : x", "TERM @tags:x");
	check("@title:$word", "TERM @title:hello");
}

Test(query, tags)
{
	check("@tags:{cat|big dog|ca*}", "TAG @tags:{cat|big dog|ca*}");
	check("@tags:{ Big   DOG }", "TAG @tags:{big dog}");
	check("@tags:{a\\|b\\}c\\*}", "TAG @tags:{a|b}c*}");
	check("@tags:{$two|$word}", "TAG @tags:{big dog|hello}");
	check("@my\\ field:{x}", "TAG @my field:{x}");
	check("@tags:{a-b.c}", "TAG @tags:{a-b.c}");
}

Test(query, numeric_ranges)
{
	check("@width:[1920 +inf]", "RANGE @width:[1920 inf]");
	check("@width:[-inf,5]", "RANGE @width:[-inf 5]");
	check("@width:[5]", "RANGE @width:[5 5]");
	check("@width:[$low (200]", "RANGE @width:[100 199.99999999999997]");
	check("@width:[($low inf]", "RANGE @width:[100.00000000000001 inf]");
	check("@width:[9 1]", "RANGE @width:[9 1]");
	check("@width:[1e300 -1e-3]", "RANGE @width:[1.0000000000000001e+300 -0.001]");
}

Test(query, date_bounds_cover_the_whole_of_what_they_name)
{
	check("@taken:[2024-01 (2024-06]", "RANGE @taken: dates [1704067200000 1717199999999]");
	check("@taken:[2024 2024]", "RANGE @taken: dates [1704067200000 1735689599999]");
	check("@taken:[(2024-01 2024-02-03]", "RANGE @taken: dates [1706745600000 1707004799999]");
	check("@created:[1704067200000 +inf]", "RANGE @created: dates [1704067200000 inf]");
	check(
	    "@taken:[2024-02-03T10:00 $day]", "RANGE @taken: dates [1706954400000 1707004799999]");
	check("@shot:[2024-01 2024-02]", "RANGE @shot: dates [1704067200000 1709251199999]");
}

Test(query, places)
{
	check("@location:[2.35 48.85 5 km]", "GEO @location:[2.3500000 48.8500000 5000.0 m]");
	check("@location:[-2 -48 5 $unit]", "GEO @location:[-2.0000000 -48.0000000 5000.0 m]");
	check("@location:[0 0 1 MI]", "GEO @location:[0.0000000 0.0000000 1609.3 m]");
	check("@location:[0 0 10 ft]", "GEO @location:[0.0000000 0.0000000 3.0 m]");
}

Test(query, the_rest)
{
	check("*", "ALL");
	check("* -cat", "AND/.ALL/.NOT/..TERM cat");
	check("ismissing(@location)", "MISSING @location:");
	check("-ismissing( @my_field )", "NOT/.MISSING @my_field:");
	check("ismissing", "TERM ismissing");
	check("$word there", "AND/.TERM hello/.TERM there");
	check("$two", "PHRASE big dog");
	check("\"$two\"", "PHRASE big dog");
}

Test(query, syntax_errors_name_offset_and_text)
{
	refuse("", ERR_INVALID, "Syntax error at offset 0 near ");
	refuse("   ", ERR_INVALID, "Syntax error at offset 3 near ");
	refuse("a )", ERR_INVALID, "Syntax error at offset 2 near )");
	refuse("(a b", ERR_INVALID, "Syntax error at offset 4 near b");
	refuse("()", ERR_INVALID, "Syntax error at offset 1 near )");
	refuse("a |", ERR_INVALID, "Syntax error at offset 3 near |");
	refuse("| a", ERR_INVALID, "Syntax error at offset 0 near |");
	refuse("a || b", ERR_INVALID, "Syntax error at offset 3 near |");
	refuse("a -", ERR_INVALID, "Syntax error at offset 3 near -");
	refuse("(-)", ERR_INVALID, "Syntax error at offset 2 near )");
	refuse("\"abc", ERR_INVALID, "Syntax error at offset 0 near \"abc");
	refuse("a ] b", ERR_INVALID, "Syntax error at offset 2 near ]");
	refuse("{x}", ERR_INVALID, "Syntax error at offset 0 near {x}");
	refuse("a:b", ERR_INVALID, "Syntax error at offset 1 near :b");
	refuse("\"\"", ERR_INVALID, NULL);
	refuse("a\r\n)", ERR_INVALID, "Syntax error at offset 3 near )");
}

Test(query, field_errors)
{
	refuse("@", ERR_INVALID, "Syntax error at offset 1 near @");
	refuse("@title", ERR_INVALID, "Syntax error at offset 6 near @title");
	refuse("@title:", ERR_INVALID, "Syntax error at offset 7 near @title:");
	refuse("@title:-a", ERR_INVALID, "Syntax error at offset 7 near -a");
	refuse("@title:@caption:a", ERR_INVALID, NULL);
	refuse("@title:*", ERR_INVALID, NULL);
	refuse("@width:a", ERR_INVALID, "Field `width` is not a text field");
	refuse("@color:a", ERR_INVALID, "Field `color` is not a text field");
	refuse("@title|width:a", ERR_INVALID, "Field `width` is not a text field");
	refuse("@title|tags:{a}", ERR_INVALID, NULL);
	refuse("@title:{a}", ERR_INVALID, "Field `title` is not a tag field");
	refuse("@title:[1 2]", ERR_INVALID, "Field `title` has no ranges");
	refuse("@tags:[1 2]", ERR_INVALID, "Field `tags` has no ranges");
	refuse("@tags:{}", ERR_INVALID, NULL);
	refuse("@tags:{a", ERR_INVALID, NULL);
	refuse("@tags:{a||b}", ERR_INVALID, NULL);
	refuse("@tags:{ca*t}", ERR_INVALID, NULL);
	refuse("ismissing(title)", ERR_INVALID, NULL);
	refuse("ismissing(@title", ERR_INVALID, NULL);
	refuse("ismissing(@title x)", ERR_INVALID, NULL);
}

Test(query, range_errors)
{
	refuse("@width:[1 2", ERR_INVALID, NULL);
	refuse("@width:[]", ERR_INVALID, NULL);
	refuse("@width:[1 2 3]", ERR_INVALID, NULL);
	refuse("@width:[1 2 3 4 5]", ERR_INVALID, NULL);
	refuse("@width:[a 2]", ERR_INVALID, "Bad numeric range");
	refuse("@width:[nan 2]", ERR_INVALID, "Bad numeric range");
	refuse("@width:[1 1e999]", ERR_INVALID, "Bad numeric range");
	refuse("@taken:[2024-13 +inf]", ERR_INVALID, "Bad date range");
	refuse("@shot:[12.5 2024-01]", ERR_INVALID,
	    "Bad range: one bound is a number, the other a date");
	refuse("@location:[1 2 3]", ERR_INVALID, NULL);
	refuse("@location:[x 2 3 km]", ERR_INVALID, "Bad geo value");
	refuse("@location:[181 2 3 km]", ERR_INVALID, "Invalid GeoFilter lat/lon");
	refuse("@location:[1 2 -3 km]", ERR_INVALID, "Invalid GeoFilter radius");
	refuse("@location:[1 2 3 parsec]", ERR_INVALID, "Invalid GeoFilter unit");
	refuse("@width:[$nope 2]", ERR_INVALID, "No such parameter `nope`");
	refuse("$nope", ERR_INVALID, "No such parameter `nope`");
	refuse("$", ERR_INVALID, NULL);
	refuse("@tags:{$nope}", ERR_INVALID, "No such parameter `nope`");
}

Test(query, patterns)
{
	check("*suffix", "PREFIX *suffix");
	check("*Infix*", "PREFIX *infix*");
	check("%fuzzy%", "PREFIX %fuzzy%");
	check("@title:%%Fuzzy%%", "PREFIX @title:%%fuzzy%%");
	check("w'Ab?*'", "PREFIX w'ab?*'");
	check("%$word%", "PREFIX %hello%");
	check("*$word*", "PREFIX *hello*");
	check("w'$word'", "PREFIX w'hello'");
	check("@tags:{*at|*ig*|bo*|w'c?t'}", "TAG @tags:{*at|*ig*|bo*|w'c?t'}");
	refuse("%fuzzy", ERR_INVALID, NULL);
	refuse("%%fuzzy%", ERR_INVALID, NULL);
	refuse("%%%fuzzy%%%", ERR_UNSUPPORTED, "Fuzzy matching goes to 2 changes");
	refuse("%a%", ERR_INVALID, "A pattern of this kind needs at least 2 characters");
	refuse("*a", ERR_INVALID, "A pattern of this kind needs at least 2 characters");
	refuse("*t-shirt", ERR_INVALID, "A pattern is one word");
	refuse("w'ab", ERR_INVALID, NULL);
	refuse("@tags:{*a}", ERR_INVALID, "A prefix needs at least 2 characters");
	refuse("@tags:{*}", ERR_INVALID, NULL);
}

Test(query, attributes)
{
	check("\"a b\"=>{$slop:1}", "PHRASE a b slop 1");
	check("\"a b\" => { $slop: 2; $inorder: false; $weight: 2.5 }",
	    "PHRASE a b slop 2 in any order weight 2.5");
	check("(a b)=>{$slop:1}", "PHRASE a b slop 1 in any order");
	check("(a b)=>{$slop:1;$inorder:true}", "PHRASE a b slop 1");
	check("(a|b)=>{$weight:3} c", "AND/.OR weight 3/..TERM a weight 3/..TERM b weight 3/.TERM c");
	check("a=>{$weight:$low}", "TERM a weight 100");
	check("-a=>{$weight:2}", "NOT/.TERM a weight 2");
	check("a=>{}", "TERM a");
	refuse("(a|b)=>{$slop:1}", ERR_UNSUPPORTED, "$slop and $inorder are for words and phrases");
	refuse("a=>{$phonetic:dm}", ERR_UNSUPPORTED, "Attribute $phonetic is not supported");
	refuse("a=>{$slop:x}", ERR_INVALID, "Bad value of $slop");
	refuse("a=>{$weight:-1}", ERR_INVALID, "Bad value of $weight");
	refuse("a=>{$slop}", ERR_INVALID, NULL);
	refuse("a=>{$slop:1", ERR_INVALID, NULL);
	refuse("a=>", ERR_INVALID, NULL);
	refuse("=>{$slop:1}", ERR_INVALID, NULL);
	refuse("(a a)=>{$slop:1}", ERR_UNSUPPORTED, "A phrase in any order has no word twice");
}

Test(query, hashes_and_colours)
{
	char text[128];
	snprintf(text, sizeof(text), "@phash:[%064d 31]", 7);
	char expected[128];
	snprintf(expected, sizeof(expected), "NEAR %064d 31", 7);
	check(text, expected);
	check("@palette:{Red|blue}", "PALETTE red|blue");
	check("ismissing(@phash)", "MISSING @phash");
	check("ismissing(@palette)", "MISSING @palette");
	refuse("@phash:[00ff 3]", ERR_INVALID, "A perceptual hash is 64 hexadecimal digits");
	snprintf(text, sizeof(text), "@phash:[%064d 257]", 7);
	refuse(text, ERR_INVALID, "A distance is 0 to 256 bits");
	refuse("@palette:{re*}", ERR_INVALID, "A colour is no pattern");
}

Test(query, dialects)
{
	struct query *query;
	struct query_error error;
	for (uint32_t dialect = 0; dialect <= 5; dialect++) {
		struct query_options options = {.dialect = dialect};
		enum err err = query_parse(&query, &memory, SPAN_LIT("a"), &options, &error);
		cr_assert_eq(err, dialect == 1 ? ERR_UNSUPPORTED : dialect == 5 ? ERR_INVALID : OK);
		query_free(query);
	}
	cr_assert_eq(query_parse(&query, &memory, SPAN_LIT("a"), NULL, &error), OK);
	query_free(query);
}

/* `count` times `text`. */
static struct span repeated(const char *text, size_t count)
{
	size_t len = strlen(text);
	uint8_t *bytes = malloc(len * count + 1);
	for (size_t i = 0; i < count; i++)
		memcpy(bytes + i * len, text, len);
	return span_of(bytes, len * count);
}

static void refuse_repeated(const char *text, size_t count, enum err code, const char *message)
{
	struct span bytes = repeated(text, count);
	refuse_span(bytes, code, message);
	free((void *)(uintptr_t)bytes.ptr);
}

Test(query, hostile_sizes_are_refused)
{
	refuse_repeated("ab ", 10000, ERR_TOOLARGE, "Query has more than 1024 terms");
	refuse_repeated("\xe6\x9d\xb1", 2000, ERR_TOOLARGE, "Query has more than 1024 terms");
	refuse_repeated("(", 200, ERR_TOOLARGE, "Query is nested more than 64 levels deep");
	refuse_repeated("-(", 100, ERR_TOOLARGE, "Query is nested more than 64 levels deep");
	refuse_repeated("aa", 40000, ERR_TOOLARGE, "Query is longer than 65536 bytes");
	refuse_repeated("*", 2000, ERR_TOOLARGE, "Query has more than 1024 terms");
	refuse_repeated("-", 60000, ERR_INVALID, NULL);
	refuse_repeated("|", 60000, ERR_INVALID, NULL);
	refuse_repeated("@", 60000, ERR_INVALID, NULL);
	refuse_repeated("[", 60000, ERR_INVALID, NULL);
	refuse_repeated("\\", 60000, ERR_INVALID, NULL);
	refuse_repeated("@x:[1 2]", 2000, ERR_TOOLARGE, "Query has more than 1024 terms");
}

Test(query, the_deepest_allowed_query_works)
{
	struct span open = repeated("~-(a|b ", 64), close = repeated(")", 64);
	struct buf text, out;
	struct query *query;
	struct query_error error;
	buf_init(&text, &memory);
	buf_init(&out, &memory);
	buf_append(&text, open);
	buf_append_text(&text, "x");
	buf_append(&text, close);
	cr_assert_eq(parse(buf_span(&text), &query, &error), OK, "%s", error.text);
	query_explain(query, &out);
	cr_assert_gt(out.len, 64);
	query_free(query);
	buf_fini(&out);
	buf_fini(&text);
	free((void *)(uintptr_t)open.ptr);
	free((void *)(uintptr_t)close.ptr);
}

Test(query, odd_bytes_do_no_harm)
{
	struct query *query;
	struct query_error error;
	struct span odd[] = {SPAN_LIT("a\0b"), SPAN_LIT("a \xff\xfe b"), SPAN_LIT("\xe6\x9d a"),
	    SPAN_LIT("a\\")};
	for (size_t i = 0; i < ARRAY_COUNT(odd); i++) {
		cr_assert_eq(parse(odd[i], &query, &error), OK, "%zu: %s", i, error.text);
		query_free(query);
	}
	refuse_span(SPAN_LIT("\0"), ERR_INVALID, NULL);
	refuse_span(SPAN_LIT("\xff\xff"), ERR_INVALID, NULL);
	refuse_span(SPAN_LIT("@\0:x"), ERR_INVALID, NULL);
	refuse_span(SPAN_LIT("a )\r\n+OK"), ERR_INVALID, "Syntax error at offset 2 near )");
	refuse_span(SPAN_LIT("a )\x01"), ERR_INVALID, "Syntax error at offset 2 near )?");
}

Test(query, parameters_count_for_the_length)
{
	struct span huge = repeated("x", SEARCH_QUERY_BYTES_MAX / 2);
	struct query_param big = {SPAN_LIT("p"), huge};
	struct query_options options = {.params = &big, .param_count = 1, .dialect = 2};
	struct query *query;
	struct query_error error;
	cr_assert_eq(query_parse(&query, &memory, SPAN_LIT("$p"), &options, &error), OK);
	query_free(query);
	cr_assert_eq(query_parse(&query, &memory, SPAN_LIT("$p $p @tags:{$p}"), &options, &error),
	    ERR_TOOLARGE);
	free((void *)(uintptr_t)huge.ptr);
}
