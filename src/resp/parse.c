/* resp/parse.c: see parse.h. */
#include "resp/parse.h"

#include "base/arith.h"
#include "base/number.h"

enum { LINE_MAX_BYTES = 64 << 10 };

void resp_parser_reset(struct resp_parser *parser)
{
	struct resp_arg *args = parser->args;
	uint32_t cap = parser->args_cap;
	*parser = (struct resp_parser){.args = args, .args_cap = cap, .bulk_len = -1};
}

static enum resp_status resp_fail(struct resp_parser *parser, const char *error)
{
	parser->error = error;
	return RESP_ERROR;
}

/* The line that begins at parser->at, without its CRLF. False: not complete. */
static bool resp_line(struct resp_parser *parser, struct span input, struct span *line)
{
	uint64_t from = max_u64(parser->at, parser->scanned);
	const uint8_t *end =
	    from < input.len ? memchr(input.ptr + from, '\n', input.len - from) : NULL;
	if (end == NULL) {
		parser->scanned = input.len;
		return false;
	}
	size_t len = (size_t)(end - input.ptr) - parser->at;
	*line = span_of(input.ptr + parser->at, len);
	if (len > 0 && line->ptr[len - 1] == '\r')
		line->len--;
	parser->at += len + 1;
	return true;
}

/* A short decimal line of the form that nearly every header has, read without a scan. */
static bool resp_short_number(struct resp_parser *parser, struct span input, int64_t *out)
{
	const uint8_t *p = input.ptr + parser->at + 1;
	const uint8_t *end = input.ptr + input.len;
	int64_t value = 0;
	int digits = 0;
	while (p < end && *p >= '0' && *p <= '9' && digits < 9) {
		value = value * 10 + (*p++ - '0');
		digits++;
	}
	if (digits == 0 || end - p < 2 || p[0] != '\r' || p[1] != '\n')
		return false;
	if (digits > 1 && input.ptr[parser->at + 1] == '0')
		return false;
	*out = value;
	parser->at = (uint64_t)(p + 2 - input.ptr);
	return true;
}

/* Number after the type byte at parser->at. RESP_REQUEST here means: *out is valid. */
static enum resp_status resp_number(struct resp_parser *parser, struct span input, int64_t *out,
    const char *error)
{
	struct span line;
	if (resp_short_number(parser, input, out))
		return RESP_REQUEST;
	if (!resp_line(parser, input, &line)) {
		if (input.len - parser->at > LINE_MAX_BYTES)
			return resp_fail(parser, "Protocol error: too big mbulk count string");
		return RESP_MORE;
	}
	if (!number_parse_i64(span_slice(line, 1, line.len), out))
		return resp_fail(parser, error);
	return RESP_REQUEST;
}

static enum resp_status resp_header(struct resp_parser *parser, const struct resp_limits *limits,
    struct span input)
{
	int64_t count;
	enum resp_status status =
	    resp_number(parser, input, &count, "Protocol error: invalid multibulk length");
	if (status != RESP_REQUEST)
		return status;
	if (count > limits->args_max) {
		if (!limits->authenticated)
			return resp_fail(
			    parser, "Protocol error: unauthenticated multibulk length");
		return resp_fail(parser, "Protocol error: invalid multibulk length");
	}
	if (count <= 0)
		return RESP_REQUEST;
	parser->in_array = true;
	parser->argc_total = (uint32_t)count;
	return RESP_MORE;
}

static enum resp_status resp_inline(struct resp_parser *parser, const struct resp_limits *limits,
    struct span input)
{
	struct span line;
	if (!resp_line(parser, input, &line)) {
		if (input.len > limits->inline_bytes_max)
			return resp_fail(parser, "Protocol error: too big inline request");
		return RESP_MORE;
	}
	if (line.len > limits->inline_bytes_max)
		return resp_fail(parser, "Protocol error: too big inline request");
	return RESP_REQUEST;
}

/* The header of one bulk string: "$n\r\n". */
static enum resp_status resp_bulk_header(struct resp_parser *parser,
    const struct resp_limits *limits, struct span input)
{
	if (parser->at >= input.len)
		return RESP_MORE;
	if (input.ptr[parser->at] != '$')
		return resp_fail(parser, "Protocol error: expected '$'");
	int64_t len;
	enum resp_status status =
	    resp_number(parser, input, &len, "Protocol error: invalid bulk length");
	if (status != RESP_REQUEST)
		return status;
	if (len < 0 || (uint64_t)len > limits->bulk_bytes_max) {
		if (len >= 0 && !limits->authenticated)
			return resp_fail(parser, "Protocol error: unauthenticated bulk length");
		return resp_fail(parser, "Protocol error: invalid bulk length");
	}
	parser->bulk_len = len;
	if ((uint64_t)len > limits->direct_bytes) {
		parser->body_bytes = (uint64_t)len;
		return RESP_BODY;
	}
	return RESP_REQUEST;
}

/* The bytes of one bulk string and its CRLF. */
static enum resp_status resp_bulk(struct resp_parser *parser, struct span input)
{
	uint64_t len = parser->after_body ? 0 : (uint64_t)parser->bulk_len;
	uint64_t have = input.len - parser->at;
	if (have < len + 2)
		return RESP_MORE;
	struct resp_arg *arg = &parser->args[parser->argc++];
	if (parser->after_body)
		*arg = (struct resp_arg){parser->bodies++, RESP_ARG_BODY};
	else
		*arg = (struct resp_arg){(uint32_t)parser->at, (uint32_t)len};
	const uint8_t *end = input.ptr + parser->at + len;
	if (end[0] != '\r' || end[1] != '\n')
		return resp_fail(parser, "Protocol error: bulk string not terminated by CRLF");
	parser->at += len + 2;
	parser->bulk_len = -1;
	parser->after_body = false;
	return RESP_REQUEST;
}

enum resp_status resp_parse(struct resp_parser *parser, const struct resp_limits *limits,
    struct span input)
{
	enum resp_status status;
	ASSERT(parser->at <= input.len);
	ASSERT(parser->argc <= parser->argc_total);
	if (input.len == 0)
		return RESP_MORE;
	if (!parser->in_array) {
		if (input.ptr[0] != '*')
			return resp_inline(parser, limits, input);
		status = resp_header(parser, limits, input);
		if (!parser->in_array)
			return status;
	}
	if (input.len > UINT32_MAX)
		return resp_fail(parser, "Protocol error: too big mbulk count string");
	if (parser->argc_total > parser->args_cap)
		return RESP_ARGS;
	while (parser->argc < parser->argc_total) {
		if (parser->bulk_len < 0) {
			status = resp_bulk_header(parser, limits, input);
			if (status != RESP_REQUEST)
				return status;
		}
		status = resp_bulk(parser, input);
		if (status != RESP_REQUEST)
			return status;
	}
	return RESP_REQUEST;
}

/* The number between a type byte and CRLF at `at`, without a sign or a needless zero; returns what follows,
 * NULL if it is not all there or of another form. */
static inline const uint8_t *whole_number(
    const uint8_t *at, const uint8_t *end, uint8_t type, uint32_t *out)
{
	enum { HEAD_MIN = 4, DIGITS_MAX = 7 };
	if (end - at < HEAD_MIN || at[0] != type)
		return NULL;
	uint32_t value = (uint32_t)(at[1] - '0');
	if (value > 9)
		return NULL;
	at += 2;
	for (unsigned digits = 1; *at != '\r'; digits++) {
		uint32_t digit = (uint32_t)(*at - '0');
		if (digit > 9 || value == 0 || digits == DIGITS_MAX || end - at < 3)
			return NULL;
		value = value * 10 + digit;
		at++;
	}
	*out = value;
	return at[1] == '\n' ? at + 2 : NULL;
}

uint32_t resp_parse_whole(
    struct span input, struct span *argv, uint32_t cap, uint32_t bulk_max, size_t *bytes)
{
	const uint8_t *at = input.ptr, *end = input.ptr + input.len;
	uint32_t count, len;
	at = whole_number(at, end, '*', &count);
	if (at == NULL || count > cap)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		at = whole_number(at, end, '$', &len);
		if (at == NULL || len > bulk_max || (size_t)(end - at) < (size_t)len + 2)
			return 0;
		argv[i] = span_of(at, len);
		at += len;
		if (at[0] != '\r' || at[1] != '\n')
			return 0;
		at += 2;
	}
	*bytes = (size_t)(at - input.ptr);
	return count;
}

void resp_body_done(struct resp_parser *parser)
{
	ASSERT(parser->bulk_len >= 0);
	ASSERT(!parser->after_body);
	parser->after_body = true;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escaped character in double quotes, at line[*at] == '\\'. */
static uint8_t word_escape(struct span line, size_t *at)
{
	static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
	size_t left = line.len - *at;
	const uint8_t *p = line.ptr + *at;
	if (left >= 4 && p[1] == 'x' && hex_digit(p[2]) >= 0 && hex_digit(p[3]) >= 0) {
		*at += 4;
		return (uint8_t)(hex_digit(p[2]) << 4 | hex_digit(p[3]));
	}
	*at += 2;
	for (size_t i = 0; i < sizeof(from) - 1; i++)
		if (p[1] == (uint8_t)from[i])
			return (uint8_t)to[i];
	return p[1];
}

/* A quoted part at line[*at]; the closing quote must end the word. */
static bool word_quoted(struct span line, size_t *at, uint8_t *out, size_t *len)
{
	uint8_t quote = line.ptr[(*at)++];
	for (;;) {
		if (*at >= line.len)
			return false;
		uint8_t c = line.ptr[*at];
		bool escape = c == '\\' && *at + 1 < line.len;
		if (escape && quote == '"') {
			out[(*len)++] = word_escape(line, at);
		} else if (escape && line.ptr[*at + 1] == '\'') {
			out[(*len)++] = '\'';
			*at += 2;
		} else if (c == quote) {
			(*at)++;
			return *at >= line.len || line.ptr[*at] == ' ' ||
			    (line.ptr[*at] >= '\t' && line.ptr[*at] <= '\r');
		} else {
			out[(*len)++] = c;
			(*at)++;
		}
	}
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == 0 || (c >= '\t' && c <= '\r');
}

enum err resp_split_words(struct span line, uint8_t *scratch, struct span *args, uint32_t cap,
    uint32_t *count)
{
	size_t at = 0, used = 0;
	*count = 0;
	for (;;) {
		while (at < line.len && is_space(line.ptr[at]))
			at++;
		if (at >= line.len)
			return OK;
		if (*count == cap)
			return ERR_FULL;
		size_t len = 0;
		uint8_t *out = scratch + used;
		while (at < line.len && !is_space(line.ptr[at])) {
			if (line.ptr[at] == '"' || line.ptr[at] == '\'') {
				if (!word_quoted(line, &at, out, &len))
					return ERR_INVALID;
			} else {
				out[len++] = line.ptr[at++];
			}
		}
		args[(*count)++] = span_of(out, len);
		used += len;
	}
}
