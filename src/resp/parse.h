/* resp/parse.h: requests from bytes. RESP arrays of bulk strings, and inline commands.
 *
 * Pure functions over bytes. The parser is incremental: it keeps offsets relative to the
 * first byte of the request, so that the caller may move or extend the buffer between
 * calls, and it never looks at a byte twice. Complete requests are not copied: their
 * arguments are spans into the caller's bytes.
 *
 * An argument larger than `direct_bytes` is announced by RESP_BODY before its bytes: the
 * caller receives them elsewhere, calls resp_body_done, and goes on with what follows the
 * body (its CRLF first), as if the body had had no bytes.
 */
#pragma once
#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

enum resp_status {
	RESP_MORE,    /* the request is not complete */
	RESP_REQUEST, /* one request; `at` is its length. argc may be 0: ignore it */
	RESP_BODY,    /* argument argc of body_bytes follows at `at` */
	RESP_ARGS,    /* args is too small for argc_total: give a larger vector and call again */
	RESP_ERROR,   /* `error` is the text of a protocol error; close after sending it */
};

/* One argument: bytes at `offset` in the request, or the body with that number. */
struct resp_arg {
	uint32_t offset;
	uint32_t len;           /* RESP_ARG_BODY: a body, `offset` counts them from 0 */
};
#define RESP_ARG_BODY UINT32_MAX

struct resp_limits {
	uint32_t args_max;
	uint64_t bulk_bytes_max;
	uint32_t inline_bytes_max;
	uint32_t direct_bytes;
	bool     authenticated;         /* false: errors speak of unauthenticated limits */
};

struct resp_parser {
	uint64_t         at;            /* bytes of this request understood so far */
	uint64_t         scanned;       /* no line end before here */
	int64_t          bulk_len;      /* of the argument that began; -1: none did */
	uint32_t         argc, argc_total;
	uint32_t         bodies;
	uint64_t         body_bytes;
	bool             in_array;
	bool             after_body;
	struct resp_arg *args;          /* caller's; args_cap entries */
	uint32_t         args_cap;
	const char      *error;
};

/* Ready for the first byte of a request. Keeps args and args_cap. */
void resp_parser_reset(struct resp_parser *parser);

/* `input` begins at the first byte of the request. */
enum resp_status resp_parse(
    struct resp_parser *parser, const struct resp_limits *limits, struct span input);

/* A request in the usual form, which is complete, in one go: its arguments become spans into `input`, which
 * begins at its first byte, and *bytes its length. Returns how many; 0: it is not complete, has more
 * than `cap` of them, one over bulk_max, or another form, and resp_parse has to look at it. */
uint32_t resp_parse_whole(
    struct span input, struct span *argv, uint32_t cap, uint32_t bulk_max, size_t *bytes);

/* The body that RESP_BODY announced has arrived. */
void resp_body_done(struct resp_parser *parser);

/* Inline commands: splits `line` as a shell would (quotes, \xHH, \n), writing the unquoted
 * bytes into `scratch` (line.len bytes suffice) and spans into args. ERR_INVALID: quotes do
 * not balance; ERR_FULL: more than `cap` words. */
MUST_CHECK enum err resp_split_words(
    struct span line, uint8_t *scratch, struct span *args, uint32_t cap, uint32_t *count);
