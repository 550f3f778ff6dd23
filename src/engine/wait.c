/* engine/wait.c: see wait.h. */
#include "engine/wait.h"

#include "engine/replica/replica.h"

struct wait {
	struct list         link;
	struct engine      *engine;
	struct slot        *slot;
	struct wait_options options;
	uint64_t            lsn;
	struct io_timer     timer;
};

static bool lsn_is_safe(const struct engine *engine, uint64_t lsn)
{
	return lsn <= store_durable_lsn(engine->store);
}

static bool has_followers(
    const struct engine *engine, const struct wait_options *options, uint64_t lsn)
{
	return replication_count(engine, lsn, options->is_aof) >= options->replicas;
}

static void wait_reply(
    const struct engine *engine, struct reply *reply, const struct wait_options *options, uint64_t lsn)
{
	if (options->is_aof) {
		reply_array(reply, 2);
		reply_int(reply, lsn_is_safe(engine, lsn));
	}
	reply_int(reply, replication_count(engine, lsn, options->is_aof));
}

static void wait_end(struct wait *wait)
{
	struct engine *engine = wait->engine;
	struct slot *slot = wait->slot;
	io_timer_cancel(engine->io, &wait->timer);
	list_remove(&wait->link);
	if (slot->session != NULL)
		wait_reply(engine, &slot->reply, &wait->options, wait->lsn);
	memory_free(&engine->memory.engine, wait, sizeof(*wait));
	slot_finish(slot);
}

static void wait_timed_out(struct io_timer *timer)
{
	wait_end(timer->ctx);
}

void waits_step(struct engine *engine)
{
	struct list *at = engine->waits.next;
	while (at != &engine->waits) {
		struct wait *wait = LIST_OF(at, struct wait, link);
		at = at->next;
		bool decided = !wait->options.local || lsn_is_safe(engine, wait->lsn) ||
		    store_state(engine->store) == ERR_READONLY;
		bool satisfied = decided && has_followers(engine, &wait->options, wait->lsn);
		if (satisfied || wait->slot->session == NULL || engine->closing)
			wait_end(wait);
	}
}

uint64_t waits_count(const struct engine *engine)
{
	uint64_t count = 0;
	for (const struct list *at = engine->waits.next; at != &engine->waits; at = at->next)
		count++;
	return count;
}

void call_wait(struct call *call, const struct wait_options *options)
{
	struct engine *engine = call->engine;
	uint64_t lsn = call->session->write_lsn;
	bool local = !options->local || lsn_is_safe(engine, lsn);
	if (engine_follows(engine)) {
		call_error(call, "ERR WAIT%s cannot be used with replica instances. Please also note that %swrites"
		                 " to replicas are just local and are not propagated.",
		    options->is_aof ? "AOF" : "", options->is_aof ? "" : "since Redis 4.0 if a replica is "
		    "configured to be writable (which is not the default) ");
		return;
	}
	if ((local && has_followers(engine, options, lsn)) || engine->in_exec) {
		wait_reply(engine, call->reply, options, lsn);
		return;
	}
	struct wait *wait = memory_zalloc(&engine->memory.engine, sizeof(*wait));
	wait->engine = engine;
	wait->options = *options;
	wait->lsn = lsn;
	io_timer_init(&wait->timer, wait_timed_out, wait);
	if (options->timeout_ms > 0)
		io_timer_set(engine->io, &wait->timer, options->timeout_ms * 1000);
	wait->slot = call_defer(call, 0);
	list_append(&engine->waits, &wait->link);
	store_sync(engine->store);            /* only what is durable goes to followers */
}

bool wait_unblock(struct engine *engine, uint64_t session_id, const char *error)
{
	for (struct list *at = engine->waits.next; at != &engine->waits; at = at->next) {
		struct wait *wait = LIST_OF(at, struct wait, link);
		struct slot *slot = wait->slot;
		if (slot->session == NULL || slot->session->id != session_id)
			continue;
		if (error == NULL) {
			wait_end(wait);
			return true;
		}
		io_timer_cancel(engine->io, &wait->timer);
		list_remove(&wait->link);
		engine_error(engine, &slot->reply, error);
		memory_free(&engine->memory.engine, wait, sizeof(*wait));
		slot_finish(slot);
		return true;
	}
	return false;
}
