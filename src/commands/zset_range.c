/* commands/zset_range.c: ranges of sorted sets, by rank, by score, by name: ZRANGE in all its forms,
 * counting, storing, removing. */
#include "commands/zset.h"

#include "base/arith.h"

#include <math.h>
#include <stdlib.h>

enum zset_by { BY_RANK, BY_SCORE, BY_LEX, BY_WORD };

/* ---- Bounds ------------------------------------------------------------------------------------ */

/* As strtod reads it, to which nothing at all is 0. */
static bool parse_score_bound(struct span text, double *score, bool *open)
{
	char copy[512], *end;
	*open = text.len > 0 && text.ptr[0] == '(';
	if (*open)
		text = span_slice(text, 1, text.len);
	if (text.len >= sizeof(copy))
		return false;
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	*score = strtod(copy, &end);
	if (end == copy && text.len == 0)
		*score = 0;
	return *end == 0 && !isnan(*score);
}

bool parse_score_range(struct call *call, struct span min, struct span max, struct score_range *range)
{
	if (parse_score_bound(min, &range->min, &range->min_open) &&
	    parse_score_bound(max, &range->max, &range->max_open))
		return true;
	call_error(call, "ERR min or max is not a float");
	return false;
}

/* "-" and "+" are beyond all names: *infinite is -1 or 1. */
static bool parse_lex_bound(struct span text, struct span *name, bool *open, int *infinite)
{
	uint8_t first = text.len == 0 ? 0 : text.ptr[0];
	*infinite = 0;
	*open = first == '(';
	*name = span_slice(text, 1, text.len);
	if (first == '(' || first == '[')
		return true;
	*infinite = first == '-' ? -1 : 1;
	return text.len == 1 && (first == '-' || first == '+');
}

bool parse_lex_range(struct call *call, struct span min, struct span max, struct lex_range *range)
{
	int low, high;
	if (!parse_lex_bound(min, &range->min, &range->min_open, &low) ||
	    !parse_lex_bound(max, &range->max, &range->max_open, &high)) {
		call_error(call, "ERR min or max not valid string range item");
		return false;
	}
	range->min_infinite = low < 0;
	range->max_infinite = high > 0;
	range->is_empty = low > 0 || high < 0;
	return true;
}

/* What was asked for; then which ranks that is. */
struct zset_query {
	enum zset_by       by;
	bool               reverse, with_scores;
	int64_t            start, stop;       /* BY_RANK: from the end at which it begins */
	struct score_range scores;
	struct lex_range   names;
	int64_t            offset, limit;     /* limit < 0: none */
};

/* The two words that bound it; those of a reverse range by score or name stand the other way round. */
static bool parse_bounds(struct call *call, struct zset_query *query, struct span first, struct span second)
{
	bool swapped = query->reverse && query->by != BY_RANK;
	struct span min = swapped ? second : first, max = swapped ? first : second;
	if (query->by == BY_RANK)
		return parse_integer(call, first, &query->start, NULL) &&
		    parse_integer(call, second, &query->stop, NULL);
	if (query->by == BY_SCORE)
		return parse_score_range(call, min, max, &query->scores);
	return parse_lex_range(call, min, max, &query->names);
}

/* The ranks [first, end), counted from the lowest, that the bounds mean, whatever OFFSET and LIMIT say. */
static void query_ranks(
    const struct value *zset, const struct zset_query *query, uint64_t *first, uint64_t *end)
{
	int64_t total = (int64_t)zset->count, start = query->start, stop = query->stop;
	if (query->by == BY_SCORE) {
		zset_score_ranks(zset, &query->scores, first, end);
		return;
	}
	if (query->by == BY_LEX) {
		zset_lex_ranks(zset, &query->names, first, end);
		return;
	}
	start = start < 0 ? start + total : start;
	stop = stop < 0 ? stop + total : stop;
	start = start < 0 ? 0 : start;
	stop = stop >= total ? total - 1 : stop;
	*first = *end = 0;
	if (start > stop || start >= total)
		return;
	*first = (uint64_t)(query->reverse ? total - 1 - stop : start);
	*end = *first + (uint64_t)(stop - start + 1);
}

/* Those of them that are wanted, in the order in which they are wanted. */
static uint64_t query_walk(const struct value *zset, const struct zset_query *query, struct walk *walk)
{
	uint64_t first, end;
	query_ranks(zset, query, &first, &end);
	uint64_t count = end - first, skip = query->offset < 0 ? count : (uint64_t)query->offset;
	if (skip >= count)
		return 0;
	count -= skip;
	if (query->limit >= 0)
		count = min_u64(count, (uint64_t)query->limit);
	if (count == 0)
		return 0;
	walk_init_at(walk, zset, query->reverse ? end - 1 - skip : first + skip, query->reverse);
	return count;
}

/* ---- ZRANGE and its kin ---------------------------------------------------------------------------- */

/* The words behind the bounds, from argv[at] on. `by` BY_WORD: BYSCORE, BYLEX and REV may be among them. */
static bool parse_range_words(
    struct call *call, uint32_t at, enum zset_by by, bool stores, struct zset_query *query)
{
	query->by = by == BY_WORD ? BY_RANK : by;
	query->limit = -1;
	for (uint32_t i = at; i < call->argc; i++) {
		if (!stores && span_is(call->argv[i], "WITHSCORES")) {
			query->with_scores = true;
		} else if (span_is(call->argv[i], "LIMIT") && i + 2 < call->argc) {
			if (!parse_integer(call, call->argv[i + 1], &query->offset, NULL) ||
			    !parse_integer(call, call->argv[i + 2], &query->limit, NULL))
				return false;
			i += 2;
		} else if (by == BY_WORD && span_is(call->argv[i], "REV") && !query->reverse) {
			query->reverse = true;
		} else if (by == BY_WORD && query->by == BY_RANK && span_is(call->argv[i], "BYLEX")) {
			query->by = BY_LEX;
		} else if (by == BY_WORD && query->by == BY_RANK && span_is(call->argv[i], "BYSCORE")) {
			query->by = BY_SCORE;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	if (query->limit != -1 && query->by == BY_RANK) {
		call_error(call, "ERR syntax error, LIMIT is only supported in combination with either "
		                 "BYSCORE or BYLEX");
		return false;
	}
	if (query->by == BY_RANK)             /* LIMIT n -1 limits nothing */
		query->offset = 0;
	if (query->with_scores && query->by == BY_LEX) {
		call_error(call, "ERR syntax error, WITHSCORES not supported in combination with BYLEX");
		return false;
	}
	return true;
}

static void reply_range(struct call *call, enum zset_by by, bool reverse)
{
	struct zset_query query = {.reverse = reverse};
	struct value small;
	struct walk walk;
	if (!parse_range_words(call, 4, by, false, &query) ||
	    !parse_bounds(call, &query, call->argv[2], call->argv[3]))
		return;
	const struct value *zset = call_read_value(call, call->argv[1], ENTRY_ZSET, &small);
	if (call->failed)
		return;
	uint64_t count = zset == NULL ? 0 : query_walk(zset, &query, &walk);
	bool nested = query.with_scores && call->reply->resp == 3;
	reply_array(call->reply, count * (query.with_scores && !nested ? 2 : 1));
	for (uint64_t i = 0; i < count && walk_next(&walk); i++) {
		if (nested)
			reply_array(call->reply, 2);
		reply_bulk(call->reply, walk.name.bytes);
		if (query.with_scores)
			reply_double(call->reply, walk.score);
	}
}

void cmd_zrange(struct call *call) { reply_range(call, BY_WORD, false); }
void cmd_zrevrange(struct call *call) { reply_range(call, BY_RANK, true); }
void cmd_zrangebyscore(struct call *call) { reply_range(call, BY_SCORE, false); }
void cmd_zrevrangebyscore(struct call *call) { reply_range(call, BY_SCORE, true); }
void cmd_zrangebylex(struct call *call) { reply_range(call, BY_LEX, false); }
void cmd_zrevrangebylex(struct call *call) { reply_range(call, BY_LEX, true); }

void cmd_zrangestore(struct call *call)
{
	struct zset_query query = {0};
	struct value small, made;
	struct walk walk;
	struct buf ops;
	if (!parse_range_words(call, 5, BY_WORD, true, &query) ||
	    !parse_bounds(call, &query, call->argv[3], call->argv[4]))
		return;
	const struct value *zset = call_read_value(call, call->argv[2], ENTRY_ZSET, &small);
	if (call->failed)
		return;
	value_init(&made, ENTRY_ZSET, call_value_memory(call));
	buf_init(&ops, call_value_memory(call));
	uint64_t count = zset == NULL ? 0 : query_walk(zset, &query, &walk);
	for (uint64_t i = 0; i < count && walk_next(&walk); i++) {
		buf_clear(&ops);
		ops_score(&ops, walk.name.bytes, walk.score);
		enum err err = value_apply(&made, buf_span(&ops), call_value_limits(call), NULL, NULL);
		ASSERT(err == OK);
	}
	buf_fini(&ops);
	store_made(call, call->argv[1], &made, NOTIFY_ZSET, "zrangestore");
	value_fini(&made);
}

/* ---- Counting, removing ------------------------------------------------------------------------------- */

static void reply_count(struct call *call, enum zset_by by)
{
	struct zset_query query = {.by = by};
	struct value small;
	uint64_t first = 0, end = 0;
	if (!parse_bounds(call, &query, call->argv[2], call->argv[3]))
		return;
	const struct value *zset = call_read_value(call, call->argv[1], ENTRY_ZSET, &small);
	if (call->failed)
		return;
	if (zset != NULL)
		query_ranks(zset, &query, &first, &end);
	reply_int(call->reply, (int64_t)(end - first));
}

void cmd_zcount(struct call *call) { reply_count(call, BY_SCORE); }
void cmd_zlexcount(struct call *call) { reply_count(call, BY_LEX); }

static void remove_range(struct call *call, enum zset_by by, const char *event)
{
	struct zset_query query = {.by = by};
	struct edit edit;
	uint64_t first, end;
	if (!parse_bounds(call, &query, call->argv[2], call->argv[3]) ||
	    !edit_begin(call, &edit, call->argv[1], ENTRY_ZSET))
		return;
	query_ranks(edit.value, &query, &first, &end);
	if (first < end)
		edit_cut_ranks(&edit, first, end);
	if (!edit_commit(&edit))
		return;
	if (edit.removed > 0)
		edit_tell(&edit, NOTIFY_ZSET, event);
	reply_int(call->reply, (int64_t)edit.removed);
}

void cmd_zremrangebyrank(struct call *call) { remove_range(call, BY_RANK, "zremrangebyrank"); }
void cmd_zremrangebyscore(struct call *call) { remove_range(call, BY_SCORE, "zremrangebyscore"); }
void cmd_zremrangebylex(struct call *call) { remove_range(call, BY_LEX, "zremrangebylex"); }
