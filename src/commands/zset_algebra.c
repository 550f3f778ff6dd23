/* commands/zset_algebra.c: several sorted sets, or sets, at once: unions, intersections, differences. A
 * member of a set counts as one of score 1. */
#include "commands/zset.h"

#include "base/arith.h"

#include <math.h>
#include <stdlib.h>

enum zset_op { ZSET_UNION, ZSET_INTER, ZSET_DIFF };
enum aggregate { AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX };

struct zset_source {
	const struct value *value;        /* NULL: there is no such key */
	struct value        small;
	double              weight;
	uint32_t            order;        /* in which the keys were named */
};

struct zset_job {
	struct call        *call;
	enum zset_op        op;
	bool                stores, counts, with_scores;
	enum aggregate      aggregate;
	uint64_t            limit;        /* counting only; UINT64_MAX: none */
	uint32_t            count;
	struct zset_source *sources, **sorted;        /* sorted: small ones first */
	struct value        made;
	struct value_limits limits;           /* of `made` */
	struct buf          ops;
};

/* ---- Words ------------------------------------------------------------------------------------- */

/* numkeys at argv[at]. False: an error was replied. */
static bool parse_sources(struct zset_job *job, uint32_t at)
{
	struct call *call = job->call;
	int64_t count;
	if (!parse_integer(call, call->argv[at], &count, NULL))
		return false;
	if (count < 1) {
		call_error(call, "ERR at least 1 input key is needed for '%s' command", call->command->name);
		return false;
	}
	if (count > (int64_t)call->argc - at - 1) {
		reply_syntax_error(call);
		return false;
	}
	job->count = (uint32_t)count;
	return true;
}

static bool read_sources(struct zset_job *job, uint32_t first)
{
	struct call *call = job->call;
	size_t bytes = job->count * sizeof(job->sources[0]);
	job->sources = memory_zalloc(&call->engine->memory.engine, bytes);
	for (uint32_t i = 0; i < job->count; i++) {
		struct zset_source *source = &job->sources[i];
		struct entry *entry = call_lookup_read(call, call->argv[first + i]);
		source->weight = 1;
		source->order = i;
		if (entry == NULL)
			continue;
		if (entry->type != ENTRY_ZSET && entry->type != ENTRY_SET) {
			reply_wrong_type(call);
			return false;
		}
		source->value = entry_collection(entry, &source->small);
	}
	return true;
}

static bool parse_weights(struct zset_job *job, uint32_t at)
{
	for (uint32_t i = 0; i < job->count; i++) {
		if (!score_parse(job->call->argv[at + i], &job->sources[i].weight)) {
			call_error(job->call, "ERR weight value is not a float");
			return false;
		}
	}
	return true;
}

static bool parse_aggregate(struct zset_job *job, struct span word)
{
	if (span_is(word, "SUM"))
		job->aggregate = AGGREGATE_SUM;
	else if (span_is(word, "MIN"))
		job->aggregate = AGGREGATE_MIN;
	else if (span_is(word, "MAX"))
		job->aggregate = AGGREGATE_MAX;
	else
		reply_syntax_error(job->call);
	return !job->call->failed;
}

static bool parse_words(struct zset_job *job, uint32_t at)
{
	struct call *call = job->call;
	bool weighs = job->op != ZSET_DIFF && !job->counts;
	while (at < call->argc) {
		uint32_t left = call->argc - at - 1;
		struct span word = call->argv[at];
		int64_t limit;
		if (weighs && left >= job->count && span_is(word, "WEIGHTS")) {
			if (!parse_weights(job, at + 1))
				return false;
			at += job->count + 1;
		} else if (weighs && left >= 1 && span_is(word, "AGGREGATE")) {
			if (!parse_aggregate(job, call->argv[at + 1]))
				return false;
			at += 2;
		} else if (!job->stores && !job->counts && span_is(word, "WITHSCORES")) {
			job->with_scores = true;
			at++;
		} else if (job->counts && left >= 1 && span_is(word, "LIMIT")) {
			if (!parse_at_least(call, call->argv[at + 1], 0, &limit, "LIMIT can't be negative"))
				return false;
			job->limit = limit == 0 ? UINT64_MAX : (uint64_t)limit;
			at += 2;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	return true;
}

/* ---- Scores --------------------------------------------------------------------------------------- */

static double combine(enum aggregate aggregate, double score, double other)
{
	if (aggregate == AGGREGATE_MIN)
		return other < score ? other : score;
	if (aggregate == AGGREGATE_MAX)
		return other > score ? other : score;
	double sum = score + other;
	return isnan(sum) ? 0 : sum;          /* inf - inf */
}

static double product_of(const struct zset_source *source, double score)
{
	return source->weight * (source->value->type == ENTRY_SET ? 1 : score);
}

static double weigh(const struct zset_source *source, double score)
{
	double product = product_of(source, score);
	return isnan(product) ? 0 : product;  /* 0 * inf */
}

static bool source_has(const struct zset_source *source, struct span member, double *score)
{
	*score = 1;
	if (source->value == NULL)
		return false;
	if (source->value->type == ENTRY_SET)
		return set_has(source->value, member);
	return zset_score(source->value, member, score);
}

static void make_set(struct zset_job *job, struct span member, double score)
{
	buf_clear(&job->ops);
	if (score == 0)               /* 0 would not take the place of -0 */
		ops_member(&job->ops, OP_DELETE, member);
	ops_score(&job->ops, member, score);
	enum err err = value_apply(&job->made, buf_span(&job->ops), &job->limits, NULL, NULL);
	ASSERT(err == OK);
}

static uint64_t source_count(const struct zset_source *source)
{
	return source->value == NULL ? 0 : source->value->count;
}

static int compare_sources(const void *a, const void *b)
{
	const struct zset_source *x = *(struct zset_source *const *)a, *y = *(struct zset_source *const *)b;
	if (source_count(x) != source_count(y))
		return source_count(x) < source_count(y) ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

/* ---- The three operations ---------------------------------------------------------------------------- */

/* Small ones first, as their sums are rounded in this order. */
static void unite(struct zset_job *job)
{
	struct walk walk;
	double score;
	for (uint32_t i = 0; i < job->count; i++) {
		const struct zset_source *source = job->sorted[i];
		if (source->value == NULL)
			continue;
		walk_init(&walk, source->value);
		while (walk_next(&walk)) {
			double add = weigh(source, walk.score);
			bool found = zset_score(&job->made, walk.name.bytes, &score);
			make_set(job, walk.name.bytes, found ? combine(job->aggregate, score, add) : add);
		}
	}
}

/* Returns how many there are, up to the limit; counting only, nothing is made. */
static uint64_t intersect(struct zset_job *job)
{
	struct walk walk;
	uint64_t found = 0;
	const struct zset_source *least = job->sorted[0];
	if (source_count(least) == 0)
		return 0;
	walk_init(&walk, least->value);
	while (found < job->limit && walk_next(&walk)) {
		double score = weigh(least, walk.score), other;
		bool in_all = true;
		for (uint32_t i = 1; i < job->count && in_all; i++) {
			in_all = source_has(job->sorted[i], walk.name.bytes, &other);
			if (in_all)
				score = combine(job->aggregate, score, product_of(job->sorted[i], other));
		}
		found += in_all;
		if (in_all && !job->counts)
			make_set(job, walk.name.bytes, score);
	}
	return found;
}

static void subtract(struct zset_job *job)
{
	struct walk walk;
	double other;
	const struct zset_source *first = &job->sources[0];
	if (first->value == NULL)
		return;
	walk_init(&walk, first->value);
	while (walk_next(&walk)) {
		bool in_none = true;
		for (uint32_t i = 1; i < job->count && in_none; i++)
			in_none = !source_has(&job->sources[i], walk.name.bytes, &other);
		if (in_none)
			make_set(job, walk.name.bytes, weigh(first, walk.score));
	}
}

static void reply_made(struct zset_job *job)
{
	struct reply *reply = job->call->reply;
	struct walk walk;
	bool nested = job->with_scores && reply->resp == 3;
	reply_array(reply, job->made.count * (job->with_scores && !nested ? 2 : 1));
	walk_init(&walk, &job->made);
	while (walk_next(&walk)) {
		if (nested)
			reply_array(reply, 2);
		reply_bulk(reply, walk.name.bytes);
		if (job->with_scores)
			reply_double(reply, walk.score);
	}
}

/* Into the small form, if what was made fits it: it is made anew by the usual limits. */
static void make_small(struct zset_job *job)
{
	struct value large = job->made;
	struct walk walk;
	job->limits = *call_value_limits(job->call);
	if (large.count > job->limits.zset_entries)
		return;
	walk_init(&walk, &large);
	while (walk_next(&walk))
		if (walk.name.bytes.len > job->limits.zset_bytes)
			return;
	value_init(&job->made, ENTRY_ZSET, call_value_memory(job->call));
	walk_init(&walk, &large);
	while (walk_next(&walk))
		make_set(job, walk.name.bytes, walk.score);
	value_fini(&large);
}

static void job_run(struct zset_job *job)
{
	static const char *const events[] = {"zunionstore", "zinterstore", "zdiffstore"};
	struct call *call = job->call;
	struct memory *memory = &call->engine->memory.engine;
	size_t bytes = job->count * sizeof(job->sorted[0]);
	job->sorted = memory_alloc(memory, bytes);
	for (uint32_t i = 0; i < job->count; i++)
		job->sorted[i] = &job->sources[i];
	qsort(job->sorted, job->count, sizeof(job->sorted[0]), compare_sources);
	value_init(&job->made, ENTRY_ZSET, call_value_memory(call));
	job->limits = *call_value_limits(call);
	job->limits.zset_entries = 0;         /* the large form keeps -0 */
	buf_init(&job->ops, call_value_memory(call));
	uint64_t found = 0;
	if (job->op == ZSET_UNION)
		unite(job);
	else if (job->op == ZSET_INTER)
		found = intersect(job);
	else
		subtract(job);
	if (job->stores)
		make_small(job);
	if (job->counts)
		reply_int(call->reply, (int64_t)found);
	else if (!job->stores)
		reply_made(job);
	else
		store_made(call, call->argv[1], &job->made, NOTIFY_ZSET, events[job->op]);
	value_fini(&job->made);
	buf_fini(&job->ops);
	memory_free(memory, job->sorted, bytes);
}

static void run(struct call *call, enum zset_op op, bool stores, bool counts)
{
	struct zset_job job = {
	    .call = call, .op = op, .stores = stores, .counts = counts, .limit = UINT64_MAX};
	uint32_t at = stores ? 2 : 1;
	if (!parse_sources(&job, at))
		return;
	if (read_sources(&job, at + 1) && parse_words(&job, at + 1 + job.count))
		job_run(&job);
	memory_free(&call->engine->memory.engine, job.sources, job.count * sizeof(job.sources[0]));
}

void cmd_zunion(struct call *call) { run(call, ZSET_UNION, false, false); }
void cmd_zinter(struct call *call) { run(call, ZSET_INTER, false, false); }
void cmd_zdiff(struct call *call) { run(call, ZSET_DIFF, false, false); }
void cmd_zunionstore(struct call *call) { run(call, ZSET_UNION, true, false); }
void cmd_zinterstore(struct call *call) { run(call, ZSET_INTER, true, false); }
void cmd_zdiffstore(struct call *call) { run(call, ZSET_DIFF, true, false); }
void cmd_zintercard(struct call *call) { run(call, ZSET_INTER, false, true); }
