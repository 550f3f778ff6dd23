/* commands/image_aggregate.c: IMG.AGGREGATE, and FT.AGGREGATE behind the name of its index.
 *
 * The matches of the query are added one by one to the stages (search/aggregate.h); when the
 * last has come, groups and sorted rows flow on in slices. */
#include "commands/aggregate_texts.h"
#include "commands/cursor.h"
#include "commands/image.h"

#include "base/number.h"
#include "search/aggregate.h"

#include <stdio.h>

struct aggregate_job {
	struct image_scan scan;
	struct memory    *memory;
	struct aggregate *aggregate;
	bool              has_cursor;
	struct cursor_options cursor;
	struct aggregate_texts texts;
};

struct aggregate_options {
	struct call *call;
	uint64_t     timeout_ms;
	struct query_param params[IMAGE_PARAMS_MAX];
	size_t       param_count;
	bool         verbatim, has_cursor;
	struct cursor_options cursor;
	char         why[AGGREGATE_WHY_BYTES];      /* set: one of them makes no sense */
};

/* ---- Words that are no stages ---- */

static bool take_timeout(struct aggregate_options *options, struct span value)
{
	int64_t ms;
	if (number_parse_range(value, 0, 600000, &ms))
		options->timeout_ms = (uint64_t)ms;
	else
		snprintf(options->why, sizeof(options->why),
		    "TIMEOUT needs milliseconds, at most 600000");
	return options->why[0] == 0;
}

static bool take_params(
    struct aggregate_options *options, const struct span *argv, uint32_t argc, uint32_t *at)
{
	int64_t count;
	if (*at + 1 >= argc || !number_parse_range(argv[*at + 1], 0, 2 * IMAGE_PARAMS_MAX, &count) ||
	    count % 2 != 0 || argc - *at - 2 < (uint64_t)count) {
		snprintf(options->why, sizeof(options->why),
		    "Parameters must be specified in PARAM VALUE pairs");
		return false;
	}
	options->param_count = (size_t)count / 2;
	for (size_t i = 0; i < options->param_count; i++)
		options->params[i] =
		    (struct query_param){argv[*at + 2 + 2 * i], argv[*at + 3 + 2 * i]};
	*at += 2 + (uint32_t)count;
	return true;
}

/* WITHCURSOR [COUNT n] [MAXIDLE ms] */
static bool take_cursor(
    struct aggregate_options *options, const struct span *argv, uint32_t argc, uint32_t *at)
{
	int64_t number;
	options->has_cursor = true;
	options->cursor.count = CURSOR_COUNT;
	options->cursor.idle_ms = CURSOR_IDLE_MS;
	for ((*at)++; *at < argc; *at += 2) {
		bool is_count = span_is(argv[*at], "COUNT"), is_idle = span_is(argv[*at], "MAXIDLE");
		if (!is_count && !is_idle)
			return true;
		int64_t max = is_count ? CURSOR_COUNT_MAX : CURSOR_IDLE_MS;
		if (*at + 1 == argc || !number_parse_range(argv[*at + 1], 1, max, &number)) {
			snprintf(options->why, sizeof(options->why), "Bad value for %s: 1 to %lld",
			    is_count ? "COUNT" : "MAXIDLE", (long long)max);
			return false;
		}
		*(is_count ? &options->cursor.count : &options->cursor.idle_ms) = (uint64_t)number;
	}
	return true;
}

static bool other_word(void *ctx, const struct span *argv, uint32_t argc, uint32_t *at)
{
	struct aggregate_options *options = ctx;
	struct span word = argv[*at];
	int64_t number;
	if (span_is(word, "VERBATIM")) {
		options->verbatim = true;
		(*at)++;
		return true;
	}
	if (span_is(word, "WITHCURSOR") && !options->has_cursor)
		return take_cursor(options, argv, argc, at);
	if (span_is(word, "PARAMS"))
		return take_params(options, argv, argc, at);
	if (*at + 1 < argc && span_is(word, "TIMEOUT")) {
		*at += 2;
		return take_timeout(options, argv[*at - 1]);
	}
	if (*at + 1 < argc && span_is(word, "DIALECT") &&
	    number_parse_range(argv[*at + 1], 1, 4, &number)) {
		*at += 2;
		return true;
	}
	static const char *const missing[] = {"ADDSCORES", "SCORER", "WITHRAWIDS"};
	for (size_t i = 0; i < ARRAY_COUNT(missing); i++)
		if (span_is(word, missing[i]))
			snprintf(options->why, sizeof(options->why),
			    "%s is not available in this version", missing[i]);
	return false;
}

/* ---- Values that the index does not have ---- */

static bool own_value(
    void *ctx, uint32_t docid, struct span name, struct arena *scratch, struct value *out)
{
	struct aggregate_job *job = ctx;
	struct engine *engine = job->scan.engine;
	if (name.len < 5 || (name.ptr[0] != '_' && name.ptr[0] != 'p'))
		return false;
	if (span_equal(name, SPAN_LIT("__key"))) {
		*out = value_text(
		    entry_key(index_owner(engine->indexes[job->scan.db], docid)));
		return true;
	}
	const struct similar *similar = engine->similars[job->scan.db];
	if (span_equal(name, SPAN_LIT("phash"))) {
		const uint8_t *hash = similar_hash(similar, docid);
		char *text = arena_alloc(scratch, 2 * PHASH_BYTES);
		if (hash == NULL || text == NULL)
			return false;
		phash_format(hash, text);
		*out = value_text(span_of(text, 2 * PHASH_BYTES));
		return true;
	}
	if (!span_equal(name, SPAN_LIT("palette")))
		return false;
	uint32_t colours = similar_colours(similar, docid);
	struct value *items = arena_alloc(scratch, COLOUR_NAMES * sizeof(*items));
	*out = (struct value){.kind = VALUE_LIST, .items = items};
	for (unsigned i = 0; i < COLOUR_NAMES && items != NULL; i++)
		if (colours >> i & 1)
			items[out->count++] = value_text(span_text(colour_name(i)));
	return out->count > 0;
}

/* ---- The job ---- */

static void job_visit(void *ctx, const uint32_t *docids, const float *scores, size_t count)
{
	struct aggregate_job *job = ctx;
	UNUSED(scores);
	for (size_t i = 0; i < count && job->scan.task.err == OK; i++)
		job->scan.task.err = aggregate_add(job->aggregate, docids[i]);
}

static enum err job_work(struct image_scan *scan, const struct search_budget *budget)
{
	return aggregate_step(((struct aggregate_job *)scan)->aggregate, budget);
}

static enum err job_after(struct image_scan *scan)
{
	struct aggregate_job *job = (struct aggregate_job *)scan;
	return aggregate_texts_load(&job->texts, scan, job->aggregate);
}

static const char *job_explain(struct image_scan *scan, enum err err)
{
	UNUSED(scan);
	if (err == ERR_TOOLARGE)
		return "TOOLARGE titles, captions and other texts can be loaded for 10000 rows: use LIMIT";
	return err == ERR_OVERLOADED
	    ? "OVERLOADED the rows and groups of this aggregation need more than 64 MiB" : NULL;
}

static void job_free(struct image_scan *scan)
{
	struct aggregate_job *job = (struct aggregate_job *)scan;
	struct memory *memory = job->memory;
	if (job->aggregate != NULL)
		aggregate_free(job->aggregate);
	memory_free(memory, job, sizeof(*job));
}

static void reply_value(struct reply *reply, const struct value *value)
{
	char text[NUMBER_TEXT_MAX];
	if (value->kind != VALUE_LIST) {
		reply_bulk(reply, value_as_text(value, text));
		return;
	}
	reply_array(reply, value->count);
	for (uint32_t i = 0; i < value->count; i++)
		reply_bulk(reply, value_as_text(&value->items[i], text));
}

static void reply_row(struct reply *reply, const struct aggregate *aggregate, size_t row)
{
	uint32_t columns = aggregate_column_count(aggregate), there = 0;
	for (uint32_t i = 0; i < columns; i++)
		there += aggregate_cell(aggregate, row, i)->kind != VALUE_NIL;
	reply_map(reply, there);
	for (uint32_t i = 0; i < columns; i++) {
		const struct value *value = aggregate_cell(aggregate, row, i);
		if (value->kind == VALUE_NIL)
			continue;
		reply_bulk(reply, aggregate_column_name(aggregate, i));
		reply_value(reply, value);
	}
}

static void reply_rows3(
    struct reply *reply, const struct aggregate *aggregate, bool ft, size_t from, size_t count)
{
	reply_map(reply, ft ? 5 : 2);
	if (ft) {
		reply_text(reply, "attributes");
		reply_array(reply, 0);
		reply_text(reply, "format");
		reply_text(reply, "STRING");
		reply_text(reply, "warning");
		reply_array(reply, 0);
	}
	reply_text(reply, "total_results");
	reply_int(reply, (int64_t)aggregate_total(aggregate));
	reply_text(reply, "results");
	reply_array(reply, count);
	for (size_t i = from; i < from + count; i++) {
		reply_map(reply, ft ? 2 : 1);
		reply_text(reply, "extra_attributes");
		reply_row(reply, aggregate, i);
		if (ft) {
			reply_text(reply, "values");
			reply_array(reply, 0);
		}
	}
}

void image_aggregate_rows(
    struct reply *reply, const struct aggregate *aggregate, bool ft, size_t from, size_t count)
{
	ASSERT(from + count <= aggregate_row_count(aggregate));
	if (reply->resp == 3) {
		reply_rows3(reply, aggregate, ft, from, count);
		return;
	}
	reply_array(reply, 1 + count);
	reply_int(reply, (int64_t)aggregate_total(aggregate));
	for (size_t i = from; i < from + count; i++)
		reply_row(reply, aggregate, i);
}

static void job_reply(struct image_scan *scan, struct reply *reply)
{
	struct aggregate_job *job = (struct aggregate_job *)scan;
	size_t rows = aggregate_row_count(job->aggregate);
	if (job->has_cursor) {
		cursor_begin(scan->engine, scan->db, job->aggregate, &job->cursor, reply);
		job->aggregate = NULL;
	} else {
		image_aggregate_rows(reply, job->aggregate, job->cursor.ft, 0, rows);
	}
}

/* ---- The command ---- */

void image_aggregate_run(struct call *call, uint32_t query, bool ft)
{
	struct memory *memory = &call->engine->memory.search;
	struct aggregate_options options = {
	    .call = call, .timeout_ms = (uint64_t)call->engine->settings->search_timeout_ms};
	char why[AGGREGATE_WHY_BYTES];
	const struct aggregate_words words = {
	    .argv = call->argv + query + 1,
	    .argc = call->argc - query - 1,
	    .other = other_word,
	    .ctx = &options,
	    .hash_seed = random_next(&call->engine->random),
	};
	struct aggregate_job *job = memory_zalloc(memory, sizeof(*job));
	job->memory = memory;
	job->scan = (struct image_scan){
	    .visit = job_visit,
	    .work = job_work,
	    .after = job_after,
	    .reply = job_reply,
	    .explain = job_explain,
	    .free = job_free,
	    .engine = call->engine,
	    .db = call->session->db,
	};
	enum err err = aggregate_new(&job->aggregate, memory, &words, why);
	if (err == OK)
		err = aggregate_bind(job->aggregate, engine_index(call->engine, job->scan.db),
		    own_value, job, why);
	if (err != OK) {
		call_error(call, "%s %s", err == ERR_TOOLARGE ? "TOOLARGE" : "ERR",
		    options.why[0] != 0 ? options.why : why);
		job_free(&job->scan);
		return;
	}
	job->has_cursor = options.has_cursor;
	job->cursor = options.cursor;
	job->cursor.ft = ft;
	const struct image_scan_words scan = {
	    .query = call->argv[query],
	    .timeout_ms = options.timeout_ms,
	    .params = options.params,
	    .param_count = options.param_count,
	    .verbatim = options.verbatim,
	};
	image_scan_run(call, &job->scan, &scan);
}

void cmd_img_aggregate(struct call *call)
{
	image_aggregate_run(call, 1, false);
}
