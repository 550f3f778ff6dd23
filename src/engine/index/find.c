/* engine/index/find.c: searches in time slices. A query gets one slice when its command runs;
 * what is left goes on, a slice each pass, in turn with all others. */
#include "engine/image.h"

static uint64_t search_clock(void *ctx)
{
	return io_clock_us(ctx);
}

static enum err task_slice(struct search_task *task, const struct search_budget *budget)
{
	if (task->searched)
		return task->work(task, budget);
	enum err err = search_step(task->search, budget);
	if (task->err != OK)
		return task->err;
	task->searched = err == OK;
	return err == OK && task->work != NULL ? ERR_AGAIN : err;
}

static enum err task_step(struct search_task *task)
{
	struct engine *engine = task->engine;
	uint64_t from_us = io_clock_us(engine->io);
	struct search_budget budget = {
		.clock_us = search_clock, .ctx = engine->io,
		.deadline_us = from_us + (uint64_t)engine->settings->search_slice_us,
	};
	enum err err = task_slice(task, &budget);
	uint64_t now_us = io_clock_us(engine->io);
	task->worked_us += now_us - from_us;
	engine->counters.search_slices++;
	if (now_us - from_us > engine->counters.search_us_max)
		engine->counters.search_us_max = now_us - from_us;
	if (err == ERR_AGAIN && task->deadline_us != 0 && now_us >= task->deadline_us)
		return ERR_TIMEOUT;
	return err;
}

enum err search_task_start(struct engine *engine, struct search_task *task)
{
	task->engine = engine;
	task->started_us = io_clock_us(engine->io);
	list_init(&task->link);
	engine->counters.searches++;
	enum err err = task_step(task);
	if (err == ERR_AGAIN)
		list_append(&engine->searches, &task->link);
	return err;
}

void search_task_fini(struct search_task *task)
{
	list_remove(&task->link);
	if (task->search != NULL)
		search_free(task->search);
	query_free(task->query);
	task->search = NULL;
	task->query = NULL;
}

/* One slice for the oldest waiting task, which goes to the back of the line. */
bool searches_step(struct engine *engine)
{
	if (list_is_empty(&engine->searches))
		return false;
	struct search_task *task = LIST_OF(engine->searches.next, struct search_task, link);
	list_remove(&task->link);
	enum err err = task_step(task);
	if (err == ERR_AGAIN)
		list_append(&engine->searches, &task->link);
	else
		task->done(task, err);
	return !list_is_empty(&engine->searches);
}

void searches_cancel_db(struct engine *engine, uint8_t db)
{
	struct list *at = engine->searches.next;
	while (at != &engine->searches) {
		struct search_task *task = LIST_OF(at, struct search_task, link);
		at = at->next;
		if (task->db != db)
			continue;
		list_remove(&task->link);
		task->done(task, ERR_CANCELLED);
	}
}
