/* engine/partly.c: see partly.h. */
#include "engine/partly.h"

#include "engine/internal.h"

#include "engine/checkpoint.h"
#include "engine/past/past_load.h"

uint64_t engine_key_hash(void *ctx, uint8_t db, struct span key)
{
	struct engine *engine = ctx;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	ASSERT(db < DATABASE_COUNT);
	return directory_hash(&engine->directories[db], key);
}

void engine_partly_opened(struct engine *engine)
{
	struct store_load_progress progress;
	store_get_load(engine->store, &progress);
	past_load_settle(engine);
	engine->partly = progress.left > 0;
	if (engine->partly)
		log_notice(engine->log, "serving; %u of %u chunks of the checkpoint are still to be loaded",
		    progress.left, progress.chunks);
	else
		past_load_over(engine);
}

static void waiting_end(struct list *waiting)
{
	struct list now;
	list_init(&now);
	while (!list_is_empty(waiting)) {
		struct list *link = waiting->next;
		list_remove(link);
		list_append(&now, link);
	}
	while (!list_is_empty(&now)) {
		struct session *session = LIST_OF(now.next, struct session, press_link);
		list_remove(&session->press_link);
		engine_unpark(session);
	}
}

void engine_loaded(void *ctx, bool all)
{
	struct engine *engine = ctx;
	struct store_load_progress progress;
	CHECK_OBJ(engine, ENGINE_MAGIC);
	ASSERT(engine->partly);
	store_get_load(engine->store, &progress);
	if (all && progress.damaged == 0) {
		engine->partly = false;
		past_load_settle(engine);
		past_load_over(engine);
		if (!engine->closing)
			reindex_start(engine);
	}
	if (all)
		waiting_end(&engine->awaiting_all);
	waiting_end(&engine->awaiting);
}

bool call_needs_key(struct call *call, struct span key)
{
	struct engine *engine = call->engine;
	enum store_key worst = KEY_IS_LOADED;
	/* COPY and the like name other databases than the session's. */
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		uint64_t hash = directory_hash(&engine->directories[db], key);
		enum store_key state = store_want_key(engine->store, (uint8_t)db, hash);
		worst = state > worst ? state : worst;
	}
	if (worst == KEY_IS_DAMAGED && !call->failed)
		call_fail(call, ERR_CORRUPT, key);
	return worst == KEY_IS_LOADING;
}

void call_wait_for_load(struct call *call, bool all)
{
	struct engine *engine = call->engine;
	struct store_load_progress progress;
	store_get_load(engine->store, &progress);
	if (all && progress.left == 0) {
		call_error(call, "LOADING a part of the checkpoint is damaged: all is known only when the "
		    "server is started again");
		return;
	}
	list_append(all ? &engine->awaiting_all : &engine->awaiting, &call->session->press_link);
	call_park(call);
}
