/* commands/image_scan.c: a command that sees every match of a query: it runs in slices, beside
 * all others, and replies at its end. See image.h. */
#include "commands/image.h"

#include "engine/index/language.h"
const char *search_error_text(enum err err)
{
	switch (err) {
	case ERR_TIMEOUT:
		return "ERR Timeout limit was reached";
	case ERR_CANCELLED:
		return "ERR the database was flushed while the query ran";
	case ERR_OVERLOADED:
		return "OVERLOADED the query needs too much memory";
	case ERR_INVALID:
		return "ERR this field or value cannot be searched so";
	case ERR_NOTFOUND:
		return "ERR no such colour: @palette knows black, white, grey, red, orange, yellow, "
		       "green, teal, blue, purple, pink and brown";
	case ERR_UNSUPPORTED:
		return "ERR this part of the query is not available";
	default:
		return "ERR the query failed";
	}
}

void image_scan_finish(struct image_scan *scan, enum err err)
{
	struct reply *reply = scan->slot != NULL ? &scan->slot->reply : scan->call->reply;
	const char *text = NULL;
	if (err != OK && scan->explain != NULL)
		text = scan->explain(scan, err);
	if (err != OK && text == NULL)
		text = search_error_text(err);
	if (err == OK)
		scan->reply(scan, reply);
	else if (scan->slot == NULL)
		call_error(scan->call, "%s", text);
	else
		engine_error(scan->engine, reply, text);
	if (scan->slot != NULL)
		slot_finish(scan->slot);
	search_task_fini(&scan->task);
	scan->free(scan);
}

void image_scan_defer(struct image_scan *scan)
{
	if (scan->slot == NULL)
		scan->slot = call_defer(scan->call, 0);
	scan->call = NULL;
}

static void scan_end(struct image_scan *scan, enum err err)
{
	if (err == OK && scan->profile != NULL && scan->task.search != NULL)
		ft_profile_ended(scan->profile, &scan->task);
	if (err == OK && scan->after != NULL)
		err = scan->after(scan);
	if (err != ERR_AGAIN)
		image_scan_finish(scan, err);
}

static void scan_done(struct search_task *task, enum err err)
{
	scan_end(task->ctx, err);
}

static enum err scan_work(struct search_task *task, const struct search_budget *budget)
{
	struct image_scan *scan = task->ctx;
	return scan->work(scan, budget);
}

/* False: an error was replied. */
static bool scan_prepare(
    struct call *call, struct image_scan *scan, const struct image_scan_words *words)
{
	struct engine *engine = call->engine;
	struct query_error error;
	struct language language;
	language_get(engine, scan->db, &language);
	language_limit(&language, words->verbatim, false);
	const struct query_options query_options = {.params = words->params,
	    .param_count = words->param_count, .words = &language.words};
	const struct search_options options = {
	    .count = SEARCH_NONE,
	    .with_scores = words->with_scores,
	    .visit = scan->visit,
	    .visit_ctx = scan,
	    .iterators = scan->profile != NULL,
	};
	uint64_t from_us = io_clock_us(engine->io);
	enum err err = query_parse(
	    &scan->task.query, &engine->memory.search, words->query, &query_options, &error);
	if (err != OK) {
		call_error(call, "%s %s", err == ERR_TOOLARGE ? "TOOLARGE" : "ERR", error.text);
		return false;
	}
	uint64_t parsed_us = io_clock_us(engine->io);
	err = search_start(
	    &scan->task.search, engine_index(engine, scan->db), scan->task.query, &options);
	if (scan->profile != NULL)
		ft_profile_ready(scan->profile, parsed_us - from_us,
		    io_clock_us(engine->io) - parsed_us);
	if (err != OK)
		call_error(call, "%s", search_error_text(err));
	return err == OK;
}

void image_scan_run(
    struct call *call, struct image_scan *scan, const struct image_scan_words *words)
{
	ASSERT(words->no_query ? scan->work != NULL : scan->visit != NULL);
	ASSERT(scan->reply != NULL && scan->free != NULL);
	scan->engine = call->engine;
	scan->call = call;
	scan->db = call->session->db;
	scan->profile = ft_profile_of(call);
	list_init(&scan->task.link);
	scan->task.db = scan->db;
	scan->task.done = scan_done;
	scan->task.work = scan->work != NULL ? scan_work : NULL;
	scan->task.ctx = scan;
	scan->task.searched = words->no_query;
	if (!words->no_query && !scan_prepare(call, scan, words)) {
		search_task_fini(&scan->task);
		scan->free(scan);
		return;
	}
	if (words->timeout_ms > 0)
		scan->task.deadline_us = io_clock_us(call->engine->io) + words->timeout_ms * 1000;
	enum err err = search_task_start(call->engine, &scan->task);
	if (err != ERR_AGAIN) {
		scan_end(scan, err);
		return;
	}
	scan->slot = call_defer(call, 0);
	scan->call = NULL;
}
