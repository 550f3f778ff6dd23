/* commands/image_search.c: IMG.SEARCH.
 *
 * The query runs in time slices. Its hits then need their metadata for the fields of the
 * reply: what is cached is used, the rest is read, all reads at the same time.
 */
#include "commands/image_search.h"

#include "engine/index/language.h"
static void job_free(struct search_job *job)
{
	struct engine *engine = job->engine;
	for (size_t i = 0; i < job->hit_count; i++)
		body_unref(job->hits[i].encoded);
	if (job->hits != NULL)
		memory_free(&engine->memory.engine, job->hits,
		    job->hit_count * sizeof(*job->hits) + job->bytes);
	search_task_fini(&job->task);
	reply_fini(&job->facets);
	buf_fini(&job->plan);
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
		image_search_reply(job->call->reply, job);
	} else {
		image_search_reply(&job->slot->reply, job);
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
		    directory_lookup(directory, hit->key);
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
	uint8_t resp = job->slot != NULL ? job->slot->reply.resp : job->call->reply->resp;
	search_get_results(job->task.search, &job->results);
	search_get_profile(job->task.search, &job->profile);
	if (job->words.facets_count > 0)
		image_search_facets(job, resp);
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
	return directory_lookup(keys, key) != NULL;
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

/* The copy of an argument; a text that is none stays where it is. */
static struct span argument_copy(
    const struct search_job *job, const struct call *call, struct span text)
{
	for (uint32_t i = 0; i < call->argc; i++)
		if (call->argv[i].ptr == text.ptr && call->argv[i].len == text.len)
			return job->argv[i];
	return text;
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
	for (int i = 0; i < 2; i++)       /* they are needed after the call */
		if (words->highlight)
			job->words.marks[i] = argument_copy(job, call, words->marks[i]);
	buf_init(&job->plan, &engine->memory.engine);
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
	struct language language;
	language_get(engine, call->session->db, &language);
	language_limit(&language, words->verbatim, words->no_stop_words);
	const struct query_options query_options = {.params = words->params,
	    .param_count = words->param_count, .words = &language.words};
	enum err err = query_parse(
	    &job->task.query, &engine->memory.search, call->argv[1], &query_options, &error);
	if (err != OK) {
		call_error(call, "%s %s", err == ERR_TOOLARGE ? "TOOLARGE" : "ERR", error.text);
		return false;
	}
	uint8_t hash[SEARCH_HASH_BYTES];
	if (words->similar) {
		if (!image_phash(call, words->similar_key, hash))
			return false;
		query_and_near(job->task.query, hash, (uint32_t)words->similar_distance);
	}
	struct search_options options = {
	    .facets = call->argv + words->facets_from,
	    .facet_count = words->facets_count,
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
	else if (err == ERR_NOTFOUND)
		call_error(call, "%s", search_error_text(err));
	else if (err == ERR_UNSUPPORTED)
		call_error(call, "ERR perceptual hashes and colours are not kept here");
	else
		call_fail(call, err, (struct span){0});
	return false;
}

void cmd_img_search(struct call *call)
{
	struct search_words words = {.count = SEARCH_FAST};
	if (!image_search_words(call, &words))
		return;
	struct search_job *job = job_new(call, &words);
	if (!prepare(call, job)) {
		job_free(job);
		return;
	}
	if (words.explain || words.profile)
		search_explain(job->task.search, &job->plan);
	if (words.explain) {
		reply_verbatim(call->reply, buf_span(&job->plan));
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
