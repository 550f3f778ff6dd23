/* tests/unit/resp/parse_test.c: requests from bytes, whole and in pieces. */
#include "resp/parse.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct resp_limits limits = {
    .args_max = 1000, .bulk_bytes_max = 1 << 20, .inline_bytes_max = 1024, .direct_bytes = 512,
    .authenticated = true};

struct fixture {
	struct resp_arg    args[64];
	struct resp_parser parser;
};

static void fixture_init(struct fixture *fixture)
{
	fixture->parser.args = fixture->args;
	fixture->parser.args_cap = 64;
	resp_parser_reset(&fixture->parser);
}

static enum resp_status parse_text(struct fixture *fixture, const char *text)
{
	fixture_init(fixture);
	return resp_parse(&fixture->parser, &limits, span_text(text));
}

Test(parse, an_array_of_bulk_strings)
{
	struct fixture fixture;
	const char *text = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\r\nb!\r\nrest";
	cr_assert_eq(parse_text(&fixture, text), RESP_REQUEST);
	cr_assert_eq(fixture.parser.argc, 3);
	cr_assert_eq(fixture.parser.at, strlen(text) - 4);
	cr_assert_eq(fixture.args[1].len, 0);
	cr_assert(memcmp(text + fixture.args[2].offset, "a\r\nb!", 5) == 0);
}

Test(parse, every_cut_gives_the_same_request)
{
	const char *text = "*4\r\n$4\r\nMSET\r\n$1\r\na\r\n$10\r\n0123456789\r\n$2\r\nxy\r\n";
	size_t len = strlen(text);
	for (size_t cut = 0; cut < len; cut++) {
		struct fixture fixture;
		fixture_init(&fixture);
		cr_assert_eq(resp_parse(&fixture.parser, &limits, span_of(text, cut)), RESP_MORE);
		cr_assert_eq(
		    resp_parse(&fixture.parser, &limits, span_of(text, len)), RESP_REQUEST);
		cr_assert_eq(fixture.parser.argc, 4);
		cr_assert_eq(fixture.args[2].len, 10);
	}
}

Test(parse, a_request_in_the_usual_form_is_taken_in_one_go)
{
	struct span argv[4];
	size_t bytes = 0;
	const char *text = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\nhello world!\r\nrest";
	cr_assert_eq(resp_parse_whole(span_text(text), argv, 4, 512, &bytes), 3);
	cr_assert_eq(bytes, strlen(text) - 4);
	cr_assert(span_is(argv[0], "SET"));
	cr_assert_eq(argv[1].len, 0);
	cr_assert(span_is(argv[2], "hello world!"));
	cr_assert_eq(resp_parse_whole(span_text(text), argv, 2, 512, &bytes), 0, "more arguments than fit");
	cr_assert_eq(resp_parse_whole(span_text(text), argv, 4, 11, &bytes), 0, "an argument that is too long");
}

Test(parse, other_forms_are_left_to_the_parser)
{
	static const char *const texts[] = {
	    "PING\r\n", "*0\r\n", "*-1\r\n", "*01\r\n$1\r\na\r\n", "*1\r\n$01\r\na\r\n", "*1\r\n$-1\r\n",
	    "*1\n$1\na\n", "*1\r\n$1\r\nab\r\n", "*1\r\n+a\r\n", "*99999999\r\n$1\r\na\r\n",
	};
	struct span argv[4];
	size_t bytes;
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		cr_assert_eq(resp_parse_whole(span_text(texts[i]), argv, 4, 512, &bytes), 0, "%s", texts[i]);
	const char *whole = "*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\n";
	for (size_t cut = 0; cut < strlen(whole); cut++)
		cr_assert_eq(resp_parse_whole(span_of(whole, cut), argv, 4, 512, &bytes), 0, "cut at %zu", cut);
	cr_assert_eq(resp_parse_whole(span_text(whole), argv, 4, 512, &bytes), 2);
}

Test(parse, a_long_argument_is_announced)
{
	struct fixture fixture;
	const char *head = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$600\r\n";
	cr_assert_eq(parse_text(&fixture, head), RESP_BODY);
	cr_assert_eq(fixture.parser.body_bytes, 600);
	cr_assert_eq(fixture.parser.argc, 2);
	char whole[64];
	snprintf(whole, sizeof(whole), "%s\r\n", head);
	resp_body_done(&fixture.parser);
	cr_assert_eq(resp_parse(&fixture.parser, &limits, span_text(whole)), RESP_REQUEST);
	cr_assert_eq(fixture.args[2].len, RESP_ARG_BODY);
	cr_assert_eq(fixture.args[2].offset, 0);
}

Test(parse, what_is_wrong_is_said)
{
	static const struct { const char *text, *error; } cases[] = {
	    {"*1\r\n+PING\r\n", "expected '$'"},
	    {"*x\r\n", "invalid multibulk length"},
	    {"*1001\r\n", "invalid multibulk length"},
	    {"*1\r\n$-1\r\n", "invalid bulk length"},
	    {"*1\r\n$2000000\r\n", "invalid bulk length"},
	    {"*1\r\n$18446744073709551616\r\n", "invalid bulk length"},
	    {"*1\r\n$3\r\nabcd\r\n", "not terminated by CRLF"},
	};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct fixture fixture;
		cr_assert_eq(parse_text(&fixture, cases[i].text), RESP_ERROR, "%s", cases[i].text);
		cr_assert(strstr(fixture.parser.error, cases[i].error) != NULL, "%s",
		    fixture.parser.error);
	}
}

Test(parse, more_arguments_than_room_ask_for_more_room)
{
	struct fixture fixture;
	fixture_init(&fixture);
	fixture.parser.args_cap = 2;
	const char *text = "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n";
	cr_assert_eq(resp_parse(&fixture.parser, &limits, span_text(text)), RESP_ARGS);
	fixture.parser.args_cap = 64;
	cr_assert_eq(resp_parse(&fixture.parser, &limits, span_text(text)), RESP_REQUEST);
}

Test(words, quotes_and_escapes)
{
	uint8_t scratch[256];
	struct span words[8];
	uint32_t count;
	struct span line = SPAN_LIT("set \"a b\\x41\\n\" 'it\\'s' plain");
	cr_assert_eq(resp_split_words(line, scratch, words, 8, &count), OK);
	cr_assert_eq(count, 4);
	cr_assert(span_equal(words[1], SPAN_LIT("a bA\n")));
	cr_assert(span_equal(words[2], SPAN_LIT("it's")));
	cr_assert_eq(resp_split_words(SPAN_LIT("\"open"), scratch, words, 8, &count), ERR_INVALID);
	cr_assert_eq(resp_split_words(SPAN_LIT("'a'b"), scratch, words, 8, &count), ERR_INVALID);
	cr_assert_eq(resp_split_words(SPAN_LIT("a b c"), scratch, words, 2, &count), ERR_FULL);
	cr_assert_eq(resp_split_words(SPAN_LIT("  \t "), scratch, words, 2, &count), OK);
	cr_assert_eq(count, 0);
}

/* Random requests, encoded and cut at random places, come back as they were. */
Test(parse, random_pipelines_round_trip)
{
	static char wire[1 << 16];
	struct random random;
	random_init(&random, 11);
	for (int round = 0; round < 2000; round++) {
		uint32_t argc = 1 + (uint32_t)random_below(&random, 8);
		size_t len = (size_t)snprintf(wire, sizeof(wire), "*%u\r\n", argc), lens[8];
		for (uint32_t i = 0; i < argc; i++) {
			lens[i] = random_below(&random, 300);
			len +=
			    (size_t)snprintf(wire + len, sizeof(wire) - len, "$%zu\r\n", lens[i]);
			for (size_t k = 0; k < lens[i]; k++)
				wire[len++] = (char)random_next(&random);
			wire[len++] = '\r';
			wire[len++] = '\n';
		}
		struct fixture fixture;
		fixture_init(&fixture);
		enum resp_status status = RESP_MORE;
		for (size_t have = 0; status == RESP_MORE;) {
			have += 1 + random_below(&random, 200);
			have = have > len ? len : have;
			status = resp_parse(&fixture.parser, &limits, span_of(wire, have));
			cr_assert(status != RESP_MORE || have < len);
		}
		cr_assert_eq(status, RESP_REQUEST);
		cr_assert_eq(fixture.parser.at, len);
		for (uint32_t i = 0; i < argc; i++)
			cr_assert_eq(fixture.args[i].len, lens[i]);
	}
}
