/* commands/image_search.c: IMG.SEARCH.
 *
 * The query runs in time slices. Its hits then need their metadata for the fields of the
 * reply: what is cached is used, the rest is read, all reads at the same time.
 */
#include "commands/image.h"

#include "base/number.h"

enum { RETURN_MAX = 64, PARAMS_MAX = 64, METADATA_READS_MAX = 64 };

struct search_words {
	bool     no_content, with_scores, has_return, has_limit;
	uint32_t return_from, return_count;
	uint64_t offset, limit, timeout_ms;
	struct span sort_field;
	bool     sort_descending;
	enum search_count count;
	uint32_t keys_from, keys_count;
	struct query_param params[PARAMS_MAX];
	size_t   param_count;
};

struct search_hit_data {
	struct metadata_load load;
	struct search_job   *job;
	struct info_source   source;
	struct body         *encoded;
	struct entry        *entry;
	struct span          key;
	double               score;
	bool                 has_load;
	enum err             err;
};

struct search_job {
	struct engine       *engine;
	struct slot         *slot;        /* NULL while the command itself runs */
	struct call         *call;
	struct search_task   task;
	struct search_results results;
	struct search_words  words;
	uint64_t             total;
	bool                 total_is_exact;
	struct search_hit_data *hits;
	size_t               hit_count, next_load;
	uint32_t             loading;
	/* copies of the arguments that must outlive the call */
	uint32_t             argc;
	struct span         *argv;
	size_t               argv_bytes, bytes;
	struct directory    *keys;        /* INKEYS */
};

/* ---- Options ---- */

static bool parse_count_of(struct call *call, uint32_t at, uint64_t max, uint64_t *out)
{
	int64_t value;
	if (at >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	if (!number_parse_i64(call->argv[at], &value) || value < 0) {
		reply_not_integer(call);
		return false;
	}
	if ((uint64_t)value > max) {
		call_error(call, "TOOLARGE a number in this query may be at most %llu",
		    (unsigned long long)max);
		return false;
	}
	*out = (uint64_t)value;
	return true;
}

/* "n word word ..." at argv[*at + 1]. */
static bool parse_words(
    struct call *call, uint32_t *at, uint32_t max, uint32_t *from, uint32_t *count)
{
	uint64_t words;
	if (!parse_count_of(call, *at + 1, max, &words))
		return false;
	if (call->argc - *at - 2 < words) {
		reply_syntax_error(call);
		return false;
	}
	*from = *at + 2;
	*count = (uint32_t)words;
	*at += 2 + *count;
	return true;
}

static bool parse_limit(struct call *call, uint32_t *at, struct search_words *words)
{
	if (!parse_count_of(call, *at + 1, SEARCH_LIMIT_MAX, &words->offset) ||
	    !parse_count_of(call, *at + 2, SEARCH_LIMIT_MAX, &words->limit))
		return false;
	if (words->offset + words->limit > SEARCH_LIMIT_MAX) {
		call_error(call, "TOOLARGE LIMIT: offset and count together may be at most %d",
		    SEARCH_LIMIT_MAX);
		return false;
	}
	*at += 3;
	return true;
}

static bool parse_sort(struct call *call, uint32_t *at, struct search_words *words)
{
	if (*at + 1 >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	words->sort_field = call->argv[*at + 1];
	*at += 2;
	if (*at < call->argc &&
	    (span_is(call->argv[*at], "ASC") || span_is(call->argv[*at], "DESC"))) {
		words->sort_descending = span_is(call->argv[*at], "DESC");
		(*at)++;
	}
	return true;
}

static bool parse_count_mode(struct call *call, uint32_t *at, struct search_words *words)
{
	struct span mode = *at + 1 < call->argc ? call->argv[*at + 1] : (struct span){0};
	if (span_is(mode, "EXACT"))
		words->count = SEARCH_EXACT;
	else if (span_is(mode, "FAST"))
		words->count = SEARCH_FAST;
	else if (span_is(mode, "NONE"))
		words->count = SEARCH_NONE;
	else {
		reply_syntax_error(call);
		return false;
	}
	*at += 2;
	return true;
}

static bool parse_params(struct call *call, uint32_t *at, struct search_words *words)
{
	uint32_t from, count;
	if (!parse_words(call, at, 2 * PARAMS_MAX, &from, &count))
		return false;
	if (count % 2 != 0) {
		call_error(call, "ERR Parameters must be specified in PARAM VALUE pairs");
		return false;
	}
	words->param_count = count / 2;
	for (uint32_t i = 0; i < count / 2; i++)
		words->params[i] =
		    (struct query_param){call->argv[from + 2 * i], call->argv[from + 2 * i + 1]};
	return true;
}

/* What the language has and this version does not build yet. */
static bool refuse_later_option(struct call *call, struct span word)
{
	static const char *const later[] = {
	    "FACET", "SIMILAR", "MAXDIST", "HIGHLIGHT", "EXPLAIN", "PROFILE"};
	for (size_t i = 0; i < ARRAY_COUNT(later); i++) {
		if (span_is(word, later[i])) {
			call_error(call, "ERR %s is not available in this version", later[i]);
			return true;
		}
	}
	return false;
}

enum {
	S_NOCONTENT = 1,
	S_RETURN = 2,
	S_SORT = 4,
	S_LIMIT = 8,
	S_SCORES = 16,
	S_COUNT = 32,
	S_KEYS = 64,
	S_TIMEOUT = 128,
	S_PARAMS = 256,
	S_DIALECT = 512
};

static unsigned option_bit(struct span word)
{
	static const struct { const char *name; unsigned bit;
	} names[] = {
	    {"NOCONTENT", S_NOCONTENT},
	    {"RETURN", S_RETURN},
	    {"SORTBY", S_SORT},
	    {"LIMIT", S_LIMIT},
	    {"WITHSCORES", S_SCORES},
	    {"COUNT", S_COUNT},
	    {"INKEYS", S_KEYS},
	    {"TIMEOUT", S_TIMEOUT},
	    {"PARAMS", S_PARAMS},
	    {"DIALECT", S_DIALECT},
	};
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		if (span_is(word, names[i].name))
			return names[i].bit;
	return 0;
}

static bool parse_search_option(
    struct call *call, uint32_t *at, unsigned bit, struct search_words *words)
{
	uint64_t number;
	switch (bit) {
	case S_NOCONTENT:
		words->no_content = true;
		(*at)++;
		return true;
	case S_SCORES:
		words->with_scores = true;
		(*at)++;
		return true;
	case S_RETURN:
		words->has_return = true;
		return parse_words(call, at, RETURN_MAX, &words->return_from, &words->return_count);
	case S_SORT:
		return parse_sort(call, at, words);
	case S_LIMIT:
		return parse_limit(call, at, words);
	case S_COUNT:
		return parse_count_mode(call, at, words);
	case S_KEYS:
		return parse_words(
		    call, at, SEARCH_LIMIT_MAX, &words->keys_from, &words->keys_count);
	case S_PARAMS:
		return parse_params(call, at, words);
	case S_DIALECT:
		if (!parse_count_of(call, *at + 1, 4, &number))
			return false;
		*at += 2;
		return true;
	default:
		if (!parse_count_of(call, *at + 1, 600000, &words->timeout_ms))
			return false;
		*at += 2;
		return true;
	}
}

static bool parse_search(struct call *call, struct search_words *words)
{
	unsigned seen = 0;
	words->limit = 10;
	words->timeout_ms = (uint64_t)call->engine->settings->search_timeout_ms;
	for (uint32_t at = 2; at < call->argc;) {
		unsigned bit = option_bit(call->argv[at]);
		if (bit == 0 && refuse_later_option(call, call->argv[at]))
			return false;
		if (bit == 0 || (seen & bit)) {
			reply_syntax_error(call);
			return false;
		}
		seen |= bit;
		if (!parse_search_option(call, &at, bit, words))
			return false;
	}
	return true;
}

/* ---- The reply ---- */

static void reply_fields(struct reply *reply, const struct search_job *job,
    const struct search_hit_data *hit, const struct image_meta *meta)
{
	const struct search_words *words = &job->words;
	struct reply values;
	size_t count = 0;
	struct info_source source = hit->source;
	source.meta = meta;
	reply_init(&values, reply->bytes.memory, reply->resp);
	size_t total = words->has_return ? words->return_count : info_field_count;
	for (size_t i = 0; i < total; i++) {
		struct span name = words->has_return ? job->argv[words->return_from + i]
		                                     : span_text(info_fields[i]);
		size_t before = values.bytes.len;
		reply_bulk(&values, name);
		if (reply_search_field(&values, name, &source))
			count++;
		else
			values.bytes.len = before;
	}
	reply_map(reply, count);
	reply_take(reply, &values);
	reply_fini(&values);
}

static void reply_hit(
    struct reply *reply, const struct search_job *job, const struct search_hit_data *hit)
{
	struct image_meta meta = {0};
	const struct search_words *words = &job->words;
	bool readable =
	    hit->encoded != NULL && image_meta_decode(body_span(hit->encoded), &meta) == OK;
	if (reply->resp == 3) {
		reply_map(reply, 1 + (size_t)words->with_scores + (size_t)!words->no_content);
		reply_text(reply, "id");
		reply_bulk(reply, hit->key);
		if (words->with_scores) {
			reply_text(reply, "score");
			reply_double(reply, hit->score);
		}
		if (words->no_content)
			return;
		reply_text(reply, "extra_attributes");
	} else {
		reply_bulk(reply, hit->key);
		if (words->with_scores)
			reply_double(reply, hit->score);
		if (words->no_content)
			return;
	}
	if (readable)
		reply_fields(reply, job, hit, &meta);
	else
		reply_map(reply, 0);
}

static void reply_results(struct reply *reply, const struct search_job *job)
{
	const struct search_words *words = &job->words;
	if (reply->resp == 3) {
		reply_map(reply, 3);
		reply_text(reply, "total_results");
		reply_int(reply, (int64_t)job->total);
		reply_text(reply, "results");
		reply_array(reply, job->hit_count);
	} else {
		size_t each = 1 + (size_t)words->with_scores + (size_t)!words->no_content;
		reply_array(reply, 1 + job->hit_count * each);
		reply_int(reply, (int64_t)job->total);
	}
	for (size_t i = 0; i < job->hit_count; i++)
		reply_hit(reply, job, &job->hits[i]);
	if (reply->resp != 3)
		return;
	reply_text(reply, "warning");
	reply_array(reply, job->total_is_exact || words->count == SEARCH_NONE ? 0 : 1);
	if (!job->total_is_exact && words->count != SEARCH_NONE)
		reply_text(reply, "total_results is a lower bound (COUNT EXACT counts all)");
}

static void job_free(struct search_job *job)
{
	struct engine *engine = job->engine;
	for (size_t i = 0; i < job->hit_count; i++)
		body_unref(job->hits[i].encoded);
	if (job->hits != NULL)
		memory_free(&engine->memory.engine, job->hits,
		    job->hit_count * sizeof(*job->hits) + job->bytes);
	search_task_fini(&job->task);
	if (job->keys != NULL) {
		directory_fini(job->keys);
		memory_free(&engine->memory.engine, job->keys, sizeof(*job->keys));
	}
	memory_free(
	    &engine->memory.engine, job->argv, job->argc * sizeof(struct span) + job->argv_bytes);
	memory_free(&engine->memory.engine, job, sizeof(*job));
}

static void job_fail(struct search_job *job, enum err err)
{
	const char *text = err == ERR_TIMEOUT ? "ERR Timeout limit was reached"
	    : err == ERR_CANCELLED            ? "ERR the database was flushed while the query ran"
	    : err == ERR_OVERLOADED           ? "OVERLOADED the query needs too much memory"
	                                      : "ERR the query failed";
	if (job->slot == NULL) {
		call_error(job->call, "%s", text);
	} else {
		engine_error(job->engine, &job->slot->reply, text);
		slot_finish(job->slot);
	}
	job_free(job);
}

/* Everything is there: the reply goes out, at once or through the slot. */
static void job_reply(struct search_job *job)
{
	if (job->slot == NULL) {
		reply_results(job->call->reply, job);
	} else {
		reply_results(&job->slot->reply, job);
		slot_finish(job->slot);
	}
	job_free(job);
}

/* ---- Metadata of the hits ---- */

static void start_loads(struct search_job *job);

static void hit_loaded(struct metadata_load *load, enum err err, struct body *encoded)
{
	struct search_hit_data *hit = load->ctx;
	struct search_job *job = hit->job;
	hit->encoded = encoded;
	hit->err = err;                   /* an unreadable one is shown without fields */
	job->loading--;
	start_loads(job);
}

/* Reads under way are bounded; each that ends starts the next. */
static void start_loads(struct search_job *job)
{
	while (job->next_load < job->hit_count && job->loading < METADATA_READS_MAX) {
		struct search_hit_data *hit = &job->hits[job->next_load++];
		if (!hit->has_load)
			continue;
		struct directory *directory = &job->engine->directories[job->task.db];
		struct entry *entry =
		    directory_find(directory, hit->key, directory_hash(directory, hit->key));
		if (entry == NULL || entry->type != ENTRY_IMAGE)
			continue;         /* deleted while others were read */
		hit->load.done = hit_loaded;
		hit->load.ctx = hit;
		job->loading++;
		struct image_ref ref;
		image_ref_of(job->engine, entry, &ref);
		metadata_load(job->engine, &ref, &hit->load);
	}
	if (job->loading == 0)
		job_reply(job);
}

/* Copies the hits out of the search: keys, scores, and the metadata that is cached. */
static bool collect_hits(struct search_job *job)
{
	struct engine *engine = job->engine;
	const struct search_results *results = &job->results;
	size_t key_bytes = 0, missing = 0;
	job->total = results->total;
	job->total_is_exact = results->total_is_exact;
	for (size_t i = 0; i < results->count; i++)
		key_bytes += entry_key(results->hits[i].owner).len;
	if (results->count == 0)
		return false;
	job->bytes = key_bytes;
	job->hits =
	    memory_zalloc(&engine->memory.engine, results->count * sizeof(*job->hits) + key_bytes);
	job->hit_count = results->count;
	uint8_t *text = (uint8_t *)&job->hits[results->count];
	for (size_t i = 0; i < results->count; i++) {
		struct search_hit_data *hit = &job->hits[i];
		struct entry *entry = results->hits[i].owner;
		struct span key = entry_key(entry);
		if (key.len > 0)
			memcpy(text, key.ptr, key.len);
		hit->key = span_of(text, key.len);
		text += key.len;
		hit->job = job;
		hit->score = (double)results->hits[i].score;
		if (job->words.no_content)
			continue;
		info_source_of_entry(engine, entry, &hit->source);
		struct image_ref ref;
		image_ref_of(engine, entry, &ref);
		hit->encoded = metadata_cached(engine, &ref);
		hit->has_load = hit->encoded == NULL;
		missing += hit->has_load;
	}
	return missing > 0;
}

static void search_ended(struct search_job *job)
{
	search_get_results(job->task.search, &job->results);
	if (!collect_hits(job)) {
		job_reply(job);
		return;
	}
	if (job->slot == NULL)
		job->slot = call_defer(job->call, 0);
	job->call = NULL;
	start_loads(job);
}

static void task_done(struct search_task *task, enum err err)
{
	struct search_job *job = task->ctx;
	if (err == OK)
		search_ended(job);
	else
		job_fail(job, err);
}

/* ---- The command ---- */

static bool in_keys(void *ctx, void *owner)
{
	const struct directory *keys = ctx;
	struct span key = entry_key(owner);
	return directory_find(keys, key, directory_hash(keys, key)) != NULL;
}

/* INKEYS as a set. */
static void job_keys(struct search_job *job, struct call *call)
{
	const struct search_words *words = &job->words;
	job->keys = memory_alloc(&job->engine->memory.engine, sizeof(*job->keys));
	directory_init(job->keys, &job->engine->memory.engine, random_next(&job->engine->random));
	for (uint32_t i = 0; i < words->keys_count; i++) {
		struct span key = call->argv[words->keys_from + i];
		uint64_t hash = directory_hash(job->keys, key);
		if (key.len <= KEY_BYTES_MAX && directory_find(job->keys, key, hash) == NULL)
			directory_insert(job->keys,
			    entry_new_string(
			        &job->engine->memory.engine, key, 0, (struct span){0}, NULL),
			    hash);
	}
}

static struct search_job *job_new(struct call *call, const struct search_words *words)
{
	struct engine *engine = call->engine;
	struct search_job *job = memory_zalloc(&engine->memory.engine, sizeof(*job));
	job->engine = engine;
	job->call = call;
	job->words = *words;
	job->argc = call->argc;
	for (uint32_t i = 0; i < call->argc; i++)
		job->argv_bytes += call->argv[i].len;
	job->argv = memory_alloc(
	    &engine->memory.engine, call->argc * sizeof(struct span) + job->argv_bytes);
	uint8_t *text = (uint8_t *)&job->argv[call->argc];
	for (uint32_t i = 0; i < call->argc; i++) {
		if (call->argv[i].len > 0)
			memcpy(text, call->argv[i].ptr, call->argv[i].len);
		job->argv[i] = span_of(text, call->argv[i].len);
		text += call->argv[i].len;
	}
	list_init(&job->task.link);
	job->task.done = task_done;
	job->task.ctx = job;
	job->task.db = call->session->db;
	if (words->keys_count > 0)
		job_keys(job, call);
	return job;
}

/* Parses the query and prepares the search. False: an error was replied. */
static bool prepare(struct call *call, struct search_job *job)
{
	struct engine *engine = call->engine;
	const struct search_words *words = &job->words;
	struct query_error error;
	struct query_options query_options = {
	    .params = words->params, .param_count = words->param_count};
	enum err err = query_parse(
	    &job->task.query, &engine->memory.search, call->argv[1], &query_options, &error);
	if (err != OK) {
		call_error(call, "%s %s", err == ERR_TOOLARGE ? "TOOLARGE" : "ERR", error.text);
		return false;
	}
	struct search_options options = {
	    .offset = words->offset,
	    .limit = words->limit,
	    .sort_field = words->sort_field,
	    .sort_descending = words->sort_descending,
	    .with_scores = words->with_scores,
	    .count = words->count,
	};
	if (job->keys != NULL) {
		options.accept = in_keys;
		options.accept_ctx = job->keys;
	}
	err = search_start(
	    &job->task.search, engine_index(engine, job->task.db), job->task.query, &options);
	if (err == OK)
		return true;
	if (err == ERR_INVALID)
		call_error(call, "ERR this field cannot be sorted by, or counted");
	else if (err == ERR_UNSUPPORTED)
		call_error(call, "ERR perceptual hashes and colours are not kept here");
	else
		call_fail(call, err, (struct span){0});
	return false;
}

void cmd_img_search(struct call *call)
{
	struct search_words words = {.count = SEARCH_FAST};
	if (!parse_search(call, &words))
		return;
	struct search_job *job = job_new(call, &words);
	if (!prepare(call, job)) {
		job_free(job);
		return;
	}
	if (words.timeout_ms > 0)
		job->task.deadline_us = io_clock_us(call->engine->io) + words.timeout_ms * 1000;
	enum err err = search_task_start(call->engine, &job->task);
	if (err == ERR_AGAIN)
		job->slot = call_defer(call, 0);
	else if (err == OK)
		search_ended(job);
	else
		job_fail(job, err);
}
