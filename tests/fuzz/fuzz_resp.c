/* tests/fuzz/fuzz_resp.c: the request parser. Whatever comes, in one piece or cut at a place
 * that the input chooses, it ends, stays inside its input, and says the same. */
#include "resp/parse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARGS = 64, BODY_MAX = 4096 };

static const struct resp_limits limits = {
    .args_max = 100000, .bulk_bytes_max = 1 << 20, .inline_bytes_max = 4096, .direct_bytes = 1024,
    .authenticated = true};

static void parse_all(struct span input, size_t first)
{
	struct resp_arg args[ARGS];
	struct resp_parser parser = {.args = args, .args_cap = ARGS};
	uint8_t scratch[8192];
	struct span words[32];
	uint32_t count;
	resp_parser_reset(&parser);
	size_t at = 0, have = first < input.len ? first : input.len;
	for (;;) {
		struct span rest = span_of(input.ptr + at, have - at);
		enum resp_status status = resp_parse(&parser, &limits, rest);
		if (parser.at > rest.len)
			abort();
		if (status == RESP_MORE && have < input.len) {
			have = input.len;
			continue;
		}
		if (status == RESP_BODY) {
			resp_body_done(&parser);
			continue;
		}
		if (status != RESP_REQUEST)
			return;
		for (uint32_t i = 0; i < parser.argc; i++)
			if (args[i].len != RESP_ARG_BODY &&
			    (uint64_t)args[i].offset + args[i].len > rest.len)
				abort();
		if (rest.ptr[0] != '*' && parser.at <= sizeof(scratch) &&
		    resp_split_words(span_of(rest.ptr, parser.at), scratch, words, 32, &count) ==
		        OK &&
		    count > 32)
			abort();
		at += parser.at;
		resp_parser_reset(&parser);
		if (at >= input.len)
			return;
	}
}

/* What is taken in one go must be what the parser takes step by step. */
static void parse_whole(struct span input)
{
	struct resp_arg args[ARGS];
	struct resp_parser parser = {.args = args, .args_cap = ARGS};
	struct span whole[ARGS];
	size_t bytes;
	uint32_t argc = resp_parse_whole(input, whole, ARGS, limits.direct_bytes, &bytes);
	if (argc == 0)
		return;
	resp_parser_reset(&parser);
	if (resp_parse(&parser, &limits, input) != RESP_REQUEST || parser.argc != argc || parser.at != bytes)
		abort();
	for (uint32_t i = 0; i < argc; i++)
		if (whole[i].ptr != input.ptr + args[i].offset || whole[i].len != args[i].len)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	/* A copy of exact size, so that a read beyond it is seen. */
	uint8_t *copy = malloc(size - 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	parse_all(span_of(copy, size - 1), size - 1);
	parse_all(span_of(copy, size - 1), data[0]);
	parse_whole(span_of(copy, size - 1));
	free(copy);
	return 0;
}
