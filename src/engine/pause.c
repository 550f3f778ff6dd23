/* engine/pause.c: see pause.h. */
#include "engine/internal.h"

static void pause_over(struct io_timer *timer)
{
	engine_unpause(timer->ctx);
}

void engine_pause(struct engine *engine, uint64_t ms, bool writes_only)
{
	struct pause *pause = &engine->pause;
	uint64_t until_us = io_now_us(engine->io) + ms * 1000;
	bool was_all = pause->is_on && !pause->writes_only;
	if (!pause->is_on || until_us > pause->until_us)
		pause->until_us = until_us;
	pause->writes_only = writes_only && !was_all;
	pause->is_on = true;
	io_timer_set(engine->io, &pause->timer, pause->until_us - io_now_us(engine->io));
}

void engine_unpause(struct engine *engine)
{
	struct pause *pause = &engine->pause;
	pause->is_on = false;
	io_timer_cancel(engine->io, &pause->timer);
	while (!list_is_empty(&pause->sessions)) {
		struct session *session =
		    LIST_OF(pause->sessions.next, struct session, press_link);
		list_remove(&session->press_link);
		engine_unpark(session);
	}
}

void pause_init(struct engine *engine)
{
	list_init(&engine->pause.sessions);
	io_timer_init(&engine->pause.timer, pause_over, engine);
}

bool call_is_paused(struct call *call, bool writes)
{
	struct pause *pause = &call->engine->pause;
	if (!pause->is_on || call->engine->in_exec || (pause->writes_only && !writes))
		return false;
	list_append(&pause->sessions, &call->session->press_link);
	call_park(call);
	return true;
}
