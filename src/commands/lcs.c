/* commands/lcs.c: LCS: the longest common subsequence of two strings, by the textbook's table of
 * lengths, which is as large as both together: bounded as Redis bounds it. */
#include "commands/collection.h"

#include "base/arith.h"

struct lcs {
	struct call *call;
	struct span  a, b;
	uint32_t    *lengths;             /* of the prefixes of a and b: (a.len + 1) rows of b.len + 1 */
	uint64_t     bytes;
	bool         wants_len, wants_idx, with_len;
	int64_t      least;               /* MINMATCHLEN */
};

static uint32_t *lcs_at(const struct lcs *lcs, size_t i, size_t j)
{
	return &lcs->lengths[i * (lcs->b.len + 1) + j];
}

static bool parse_lcs(struct call *call, struct lcs *lcs)
{
	for (uint32_t i = 3; i < call->argc; i++) {
		if (span_is(call->argv[i], "IDX")) {
			lcs->wants_idx = true;
		} else if (span_is(call->argv[i], "LEN")) {
			lcs->wants_len = true;
		} else if (span_is(call->argv[i], "WITHMATCHLEN")) {
			lcs->with_len = true;
		} else if (span_is(call->argv[i], "MINMATCHLEN") && i + 1 < call->argc) {
			if (!parse_integer(call, call->argv[++i], &lcs->least, NULL))
				return false;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	if (lcs->wants_idx && lcs->wants_len)
		call_error(call, "ERR If you want both the length and indexes, please just use IDX.");
	return !call->failed;
}

static bool read_strings(struct call *call, struct lcs *lcs)
{
	struct entry *a = call_lookup_read(call, call->argv[1]), *b = call_lookup_read(call, call->argv[2]);
	if ((a != NULL && a->type != ENTRY_STRING) || (b != NULL && b->type != ENTRY_STRING)) {
		call_error(call, "ERR The specified keys must contain string values");
		return false;
	}
	lcs->a = a == NULL ? (struct span){0} : entry_string(a);
	lcs->b = b == NULL ? (struct span){0} : entry_string(b);
	return true;
}

static bool lcs_alloc(struct call *call, struct lcs *lcs)
{
	if (lcs->a.len >= UINT32_MAX - 1 || lcs->b.len >= UINT32_MAX - 1) {
		call_error(call, "ERR String too long for LCS");
		return false;
	}
	if (!mul_u64((lcs->a.len + 1) * sizeof(uint32_t), lcs->b.len + 1, &lcs->bytes) ||
	    lcs->bytes > call->engine->settings->proto_max_bulk_len) {
		call_error(call, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
		return false;
	}
	lcs->lengths = memory_try_alloc(&call->engine->memory.engine, lcs->bytes);
	if (lcs->lengths == NULL)
		call_error(call, "ERR Insufficient memory, failed allocating transient memory for LCS");
	return lcs->lengths != NULL;
}

static void lcs_fill(struct lcs *lcs)
{
	for (size_t j = 0; j <= lcs->b.len; j++)
		*lcs_at(lcs, 0, j) = 0;
	for (size_t i = 1; i <= lcs->a.len; i++) {
		uint32_t *row = lcs_at(lcs, i, 0), *above = lcs_at(lcs, i - 1, 0);
		row[0] = 0;
		for (size_t j = 1; j <= lcs->b.len; j++) {
			uint32_t longer = above[j] > row[j - 1] ? above[j] : row[j - 1];
			row[j] = lcs->a.ptr[i - 1] == lcs->b.ptr[j - 1] ? above[j - 1] + 1 : longer;
		}
	}
}

/* A run of bytes that both have, as it is found: from behind. */
struct match {
	size_t a, b, len;
};

static uint64_t match_reply(const struct lcs *lcs, struct reply *out, struct match *match)
{
	size_t len = match->len;
	match->len = 0;
	if (len == 0 || (lcs->least > 0 && len < (uint64_t)lcs->least))
		return 0;
	reply_array(out, lcs->with_len ? 3 : 2);
	reply_array(out, 2);
	reply_int(out, (int64_t)match->a);
	reply_int(out, (int64_t)(match->a + len - 1));
	reply_array(out, 2);
	reply_int(out, (int64_t)match->b);
	reply_int(out, (int64_t)(match->b + len - 1));
	if (lcs->with_len)
		reply_int(out, (int64_t)len);
	return 1;
}

/* Back through the table: the bytes into `text` (if not NULL), the runs into `out`. Returns how many runs. */
static uint64_t lcs_walk(const struct lcs *lcs, uint8_t *text, struct reply *out)
{
	size_t i = lcs->a.len, j = lcs->b.len, left = *lcs_at(lcs, i, j);
	struct match match = {0};
	uint64_t runs = 0;
	while (i > 0 && j > 0) {
		if (lcs->a.ptr[i - 1] == lcs->b.ptr[j - 1]) {
			if (text != NULL)
				text[--left] = lcs->a.ptr[i - 1];
			match = (struct match){--i, --j, match.len + 1};
			continue;
		}
		runs += out == NULL ? 0 : match_reply(lcs, out, &match);
		if (*lcs_at(lcs, i - 1, j) > *lcs_at(lcs, i, j - 1))
			i--;
		else
			j--;
	}
	return runs + (out == NULL ? 0 : match_reply(lcs, out, &match));
}

static void reply_runs(struct call *call, const struct lcs *lcs)
{
	struct reply runs;
	reply_init(&runs, &call->engine->memory.replies, call->reply->resp);
	uint64_t count = lcs_walk(lcs, NULL, &runs);
	reply_map(call->reply, 2);
	reply_text(call->reply, "matches");
	reply_array(call->reply, count);
	reply_take(call->reply, &runs);
	reply_fini(&runs);
	reply_text(call->reply, "len");
	reply_int(call->reply, *lcs_at(lcs, lcs->a.len, lcs->b.len));
}

static void reply_subsequence(struct call *call, const struct lcs *lcs)
{
	struct buf text;
	size_t len = *lcs_at(lcs, lcs->a.len, lcs->b.len);
	buf_init(&text, &call->engine->memory.engine);
	buf_reserve(&text, len + 1);
	(void)lcs_walk(lcs, text.ptr, NULL);
	reply_bulk(call->reply, span_of(text.ptr, len));
	buf_fini(&text);
}

void cmd_lcs(struct call *call)
{
	struct lcs lcs = {.call = call};
	if (!read_strings(call, &lcs) || !parse_lcs(call, &lcs) || !lcs_alloc(call, &lcs))
		return;
	lcs_fill(&lcs);
	if (lcs.wants_idx)
		reply_runs(call, &lcs);
	else if (lcs.wants_len)
		reply_int(call->reply, *lcs_at(&lcs, lcs.a.len, lcs.b.len));
	else
		reply_subsequence(call, &lcs);
	memory_free(&call->engine->memory.engine, lcs.lengths, lcs.bytes);
}
