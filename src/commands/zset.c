/* commands/zset.c: sorted sets: adding, removing, looking up, taking off the ends, by chance. Ranges:
 * zset_range.c; several at once: zset_algebra.c. */
#include "commands/zset.h"

#include "base/arith.h"

#include <math.h>

static const struct value *read_zset(struct call *call, struct value *small)
{
	return call_read_value(call, call->argv[1], ENTRY_ZSET, small);
}

/* ---- ZADD --------------------------------------------------------------------------------------- */

struct zadd {
	bool         nx, xx, gt, lt, ch, incr;
	uint32_t     first;               /* the first score in argv */
	struct edit  edit;
	struct value seen;                /* what the words before have changed, if that matters */
	struct buf   ops;                 /* for `seen` */
	bool         watches;             /* it does */
	uint64_t     added, changed;
	double       score;               /* of INCR */
	bool         done;                /* INCR was not held back */
};

static bool zadd_words_fit(struct call *call, const struct zadd *zadd)
{
	uint32_t words = call->argc - zadd->first;
	const char *error = NULL;
	if (words == 0 || words % 2 != 0)
		error = "syntax error";
	else if (zadd->nx && zadd->xx)
		error = "XX and NX options at the same time are not compatible";
	else if ((zadd->gt && zadd->nx) || (zadd->lt && zadd->nx) || (zadd->gt && zadd->lt))
		error = "GT, LT, and/or NX options at the same time are not compatible";
	else if (zadd->incr && words > 2)
		error = "INCR option supports a single increment-element pair";
	if (error != NULL)
		call_error(call, "ERR %s", error);
	return error == NULL;
}

static bool parse_zadd(struct call *call, struct zadd *zadd)
{
	double score;
	uint32_t i = 2;
	for (; i < call->argc; i++) {
		if (span_is(call->argv[i], "NX"))
			zadd->nx = true;
		else if (span_is(call->argv[i], "XX"))
			zadd->xx = true;
		else if (span_is(call->argv[i], "GT"))
			zadd->gt = true;
		else if (span_is(call->argv[i], "LT"))
			zadd->lt = true;
		else if (span_is(call->argv[i], "CH"))
			zadd->ch = true;
		else if (span_is(call->argv[i], "INCR"))
			zadd->incr = true;
		else
			break;
	}
	zadd->first = i;
	if (!zadd_words_fit(call, zadd))
		return false;
	for (; i < call->argc; i += 2) {
		if (!score_parse(call->argv[i], &score)) {
			call_error(call, "ERR value is not a valid float");
			return false;
		}
	}
	return true;
}

/* What the member has when this pair's turn comes. */
static bool zadd_current(const struct zadd *zadd, struct span member, double *score)
{
	return (zadd->watches && zset_score(&zadd->seen, member, score)) ||
	    zset_score(zadd->edit.value, member, score);
}

static void zadd_set(struct call *call, struct zadd *zadd, struct span member, double score)
{
	ops_score(&zadd->edit.ops, member, score);
	if (!zadd->watches)
		return;
	buf_clear(&zadd->ops);
	ops_score(&zadd->ops, member, score);
	enum err err =
	    value_apply(&zadd->seen, buf_span(&zadd->ops), call_value_limits(call), NULL, NULL);
	ASSERT(err == OK);
}

/* One pair. False: the sum of an increment is no number. */
static bool zadd_pair(struct call *call, struct zadd *zadd, double score, struct span member)
{
	double old = 0;
	bool found = zadd_current(zadd, member, &old);
	if ((found && zadd->nx) || (!found && zadd->xx))
		return true;
	if (zadd->incr && found)      /* -0 stays what it is */
		score += old;
	if (isnan(score))
		return false;
	if (found && ((zadd->gt && score <= old) || (zadd->lt && score >= old)))
		return true;
	zadd->score = score;
	zadd->done = true;
	zadd->added += !found;
	zadd->changed += found && score != old;
	/* Of several pairs the same member may come again, and go back to what it was. */
	if (!found || score != old || call->argc - zadd->first > 2)
		zadd_set(call, zadd, member, score);
	return true;
}

static void zadd_end(struct zadd *zadd)
{
	value_fini(&zadd->seen);
	buf_fini(&zadd->ops);
}

static void zadd_reply(struct call *call, const struct zadd *zadd)
{
	if (!zadd->incr)
		reply_int(call->reply, (int64_t)(zadd->edit.added + (zadd->ch ? zadd->changed : 0)));
	else if (zadd->done)
		reply_double(call->reply, zadd->score);
	else
		reply_null(call->reply);
}

static void zadd_run(struct call *call, struct zadd *zadd)
{
	bool ok = true;
	if (!edit_begin(call, &zadd->edit, call->argv[1], ENTRY_ZSET))
		return;
	bool plain = !zadd->nx && !zadd->xx && !zadd->gt && !zadd->lt && !zadd->ch;
	zadd->watches = !plain && call->argc - zadd->first > 2;
	value_init(&zadd->seen, ENTRY_ZSET, call_value_memory(call));
	buf_init(&zadd->ops, call_value_memory(call));
	for (uint32_t i = zadd->first; i < call->argc && ok; i += 2) {
		double score = 0;
		ok = score_parse(call->argv[i], &score) && zadd_pair(call, zadd, score, call->argv[i + 1]);
	}
	zadd_end(zadd);
	if (!ok) {
		edit_drop(&zadd->edit);
		call_error(call, "ERR resulting score is not a number (NaN)");
		return;
	}
	if (!edit_commit(&zadd->edit))
		return;
	zadd_reply(call, zadd);
	if (zadd->added + zadd->changed > 0)
		edit_tell(&zadd->edit, NOTIFY_ZSET, zadd->incr ? "zincr" : "zadd");
}

void cmd_zadd(struct call *call)
{
	struct zadd zadd = {0};
	if (parse_zadd(call, &zadd))
		zadd_run(call, &zadd);
}

/* It is ZADD with INCR said before: an option in place of the increment leaves too few words. */
void cmd_zincrby(struct call *call)
{
	static const char *const options[] = {"NX", "XX", "GT", "LT", "CH", "INCR"};
	struct zadd zadd = {.incr = true, .first = 2};
	double score;
	bool is_option = false;
	for (size_t i = 0; i < ARRAY_COUNT(options); i++)
		is_option |= span_is(call->argv[2], options[i]);
	if (is_option)
		reply_syntax_error(call);
	else if (!score_parse(call->argv[2], &score))
		call_error(call, "ERR value is not a valid float");
	else
		zadd_run(call, &zadd);
}

/* ---- One member ------------------------------------------------------------------------------------ */

void cmd_zrem(struct call *call)
{
	struct edit edit;
	double score;
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_ZSET))
		return;
	for (uint32_t i = 2; i < call->argc; i++)
		if (zset_score(edit.value, call->argv[i], &score))
			ops_member(&edit.ops, OP_DELETE, call->argv[i]);
	if (!edit_commit(&edit))
		return;
	if (edit.removed > 0)
		edit_tell(&edit, NOTIFY_ZSET, "zrem");
	reply_int(call->reply, (int64_t)edit.removed);
}

void cmd_zcard(struct call *call)
{
	struct value small;
	const struct value *zset = read_zset(call, &small);
	if (!call->failed)
		reply_int(call->reply, zset == NULL ? 0 : (int64_t)zset->count);
}

static void reply_score(struct reply *reply, const struct value *zset, struct span member)
{
	double score;
	if (zset != NULL && zset_score(zset, member, &score))
		reply_double(reply, score);
	else
		reply_null(reply);
}

void cmd_zscore(struct call *call)
{
	struct value small;
	const struct value *zset = read_zset(call, &small);
	if (!call->failed)
		reply_score(call->reply, zset, call->argv[2]);
}

void cmd_zmscore(struct call *call)
{
	struct value small;
	const struct value *zset = read_zset(call, &small);
	if (call->failed)
		return;
	reply_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++)
		reply_score(call->reply, zset, call->argv[i]);
}

static void reply_rank(struct call *call, bool reverse)
{
	struct value small;
	uint64_t rank;
	double score = 0;
	bool with_score = call->argc > 3;
	if (call->argc > 4) {
		call_error(call, "ERR wrong number of arguments for '%s' command", call->command->name);
		return;
	}
	if (with_score && !span_is(call->argv[3], "WITHSCORE")) {
		reply_syntax_error(call);
		return;
	}
	const struct value *zset = read_zset(call, &small);
	if (call->failed)
		return;
	if (zset == NULL || !zset_rank(zset, call->argv[2], &rank)) {
		if (with_score)
			reply_null_array(call->reply);
		else
			reply_null(call->reply);
		return;
	}
	if (with_score)
		reply_array(call->reply, 2);
	reply_int(call->reply, (int64_t)(reverse ? zset->count - 1 - rank : rank));
	if (with_score && zset_score(zset, call->argv[2], &score))
		reply_double(call->reply, score);
}

void cmd_zrank(struct call *call) { reply_rank(call, false); }
void cmd_zrevrank(struct call *call) { reply_rank(call, true); }

void cmd_zscan(struct call *call) { reply_value_scan(call, ENTRY_ZSET, true); }

/* ---- Taking off the ends ----------------------------------------------------------------------------- */

void edit_cut_ranks(struct edit *edit, uint64_t first, uint64_t end)
{
	enum { NAMED_MAX = 64 };              /* up to here by name, which disturbs no dump under way */
	struct walk walk;
	uint64_t count = end - first;
	ASSERT(first < end && end <= edit->value->count);
	if (count > NAMED_MAX) {
		ops_range(&edit->ops, OP_CUT, first, count);
		return;
	}
	walk_init_at(&walk, edit->value, first, false);
	for (; count > 0 && walk_next(&walk); count--)
		ops_member(&edit->ops, OP_DELETE, walk.name.bytes);
}

static void pop_head(struct call *call, struct span key, uint64_t count, enum zset_pop_shape shape)
{
	if (shape == ZPOP_FLAT)
		reply_array(call->reply, count * 2);
	else if (shape == ZPOP_NESTED)
		reply_array(call->reply, count);
	else if (shape == ZPOP_KEY_FLAT)
		reply_array(call->reply, count * 2 + 1);
	else
		reply_array(call->reply, 2);
	if (shape == ZPOP_KEY_FLAT || shape == ZPOP_KEY_NESTED)
		reply_bulk(call->reply, key);
	if (shape == ZPOP_KEY_NESTED)
		reply_array(call->reply, count);
}

bool zset_pop(
    struct call *call, struct span key, enum zset_end end, uint64_t count, enum zset_pop_shape shape)
{
	struct edit edit;
	struct walk walk;
	ASSERT(count > 0);
	if (!edit_begin(call, &edit, key, ENTRY_ZSET))
		return true;
	if (edit.entry == NULL) {
		edit_drop(&edit);
		return false;
	}
	uint64_t total = edit.value->count;
	count = min_u64(count, total);
	pop_head(call, key, count, shape);
	walk_init_at(&walk, edit.value, end == ZSET_MIN ? 0 : total - 1, end == ZSET_MAX);
	for (uint64_t i = 0; i < count && walk_next(&walk); i++) {
		if (shape == ZPOP_NESTED || shape == ZPOP_KEY_NESTED)
			reply_array(call->reply, 2);
		reply_bulk(call->reply, walk.name.bytes);
		reply_double(call->reply, walk.score);
	}
	if (end == ZSET_MIN)
		edit_cut_ranks(&edit, 0, count);
	else
		edit_cut_ranks(&edit, total - count, total);
	if (edit_commit(&edit))
		edit_tell(&edit, NOTIFY_ZSET, end == ZSET_MIN ? "zpopmin" : "zpopmax");
	return true;
}

static void pop(struct call *call, enum zset_end end)
{
	struct value small;
	int64_t count = 1;
	bool counted = call->argc == 3;
	if (call->argc > 3) {
		reply_syntax_error(call);
		return;
	}
	if (counted && !parse_at_least(call, call->argv[2], 0, &count, NULL))
		return;
	if (count == 0) {
		(void)read_zset(call, &small);
		if (!call->failed)
			reply_array(call->reply, 0);
		return;
	}
	enum zset_pop_shape shape = counted && call->reply->resp == 3 ? ZPOP_NESTED : ZPOP_FLAT;
	if (!zset_pop(call, call->argv[1], end, (uint64_t)count, shape))
		reply_array(call->reply, 0);
}

void cmd_zpopmin(struct call *call) { pop(call, ZSET_MIN); }
void cmd_zpopmax(struct call *call) { pop(call, ZSET_MAX); }

void cmd_zmpop(struct call *call)
{
	struct mpop words;
	if (!parse_mpop(call, 1, "MIN", "MAX", &words))
		return;
	enum zset_end end = words.last ? ZSET_MAX : ZSET_MIN;
	for (uint32_t i = 0; i < words.count; i++)
		if (zset_pop(call, call->argv[words.first + i], end, words.most, ZPOP_KEY_NESTED))
			return;
	reply_null_array(call->reply);
}

/* ---- ZRANDMEMBER --------------------------------------------------------------------------------------- */

struct random_members {
	struct reply *reply;
	bool          with_scores;
};

static void reply_picked(void *ctx, const struct item *name, const struct item *data, double score)
{
	const struct random_members *job = ctx;
	UNUSED(data);
	if (job->with_scores && job->reply->resp == 3)
		reply_array(job->reply, 2);
	reply_bulk(job->reply, name->bytes);
	if (job->with_scores)
		reply_double(job->reply, score);
}

void cmd_zrandmember(struct call *call)
{
	struct value small;
	struct item name;
	double score = 0;
	int64_t count = 1;
	struct random_members job = {.reply = call->reply};
	if (call->argc > 2 && !parse_random_words(call, "WITHSCORES", &count, &job.with_scores))
		return;
	const struct value *zset = read_zset(call, &small);
	if (call->failed)
		return;
	if (call->argc == 2 && zset == NULL) {
		reply_null(call->reply);
		return;
	}
	uint64_t total = zset == NULL ? 0 : zset->count;
	uint64_t want = count < 0 ? (total == 0 ? 0 : (uint64_t)-count) : min_u64((uint64_t)count, total);
	if (call->argc > 2)
		reply_array(call->reply, want * (job.with_scores && call->reply->resp == 2 ? 2 : 1));
	if (want > 0 && count > 0 && call->argc > 2) {
		value_pick(call, zset, want, reply_picked, &job);
		return;
	}
	for (uint64_t i = 0; i < want; i++) {
		value_random(zset, &call->engine->random, &name, NULL, &score);
		reply_picked(&job, &name, NULL, score);
	}
}
