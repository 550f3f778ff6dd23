/* commands/save.c: SAVE, BGSAVE, LASTSAVE: a checkpoint now. The log is what keeps the data; a
 * checkpoint only makes the next start quick. SAVE waits for one that begins after it was
 * asked for, and unlike Redis's it holds up nobody else. */
#include "commands/handlers.h"

#include "engine/checkpoint.h"

struct save {
	struct checkpoint_waiter waiter;
	struct slot             *slot;
	struct engine           *engine;
};

static void save_done(struct checkpoint_waiter *waiter, enum err err)
{
	struct save *save = waiter->ctx;
	struct slot *slot = save->slot;
	memory_free(&save->engine->memory.engine, save, sizeof(*save));
	if (err != OK) {
		slot_fail(slot, err, (struct span){0});
		return;
	}
	reply_ok(&slot->reply);
	slot_finish(slot);
}

void cmd_save(struct call *call)
{
	struct engine *engine = call->engine;
	struct save *save = memory_zalloc(&engine->memory.engine, sizeof(*save));
	save->engine = engine;
	save->slot = call_defer(call, 0);
	save->waiter = (struct checkpoint_waiter){.done = save_done, .ctx = save};
	list_init(&save->waiter.link);
	checkpoints_ask(engine, &save->waiter);
}

void cmd_bgsave(struct call *call)
{
	struct checkpoint_stats stats;
	bool schedule = call->argc == 2 && span_is(call->argv[1], "SCHEDULE");
	if (call->argc > 2 || (call->argc == 2 && !schedule)) {
		reply_syntax_error(call);
		return;
	}
	checkpoints_get_stats(call->engine, &stats);
	if (stats.running && !schedule) {
		call_error(call, "ERR Background save already in progress");
		return;
	}
	checkpoints_ask(call->engine, NULL);
	reply_status(call->reply,
	    stats.running ? "Background saving scheduled" : "Background saving started");
}

/* The log is cleaned all the time: what may be done now is a checkpoint. */
void cmd_bgrewriteaof(struct call *call)
{
	checkpoints_ask(call->engine, NULL);
	reply_status(call->reply, "Background append only file rewriting started");
}

void cmd_lastsave(struct call *call)
{
	struct checkpoint_stats stats;
	checkpoints_get_stats(call->engine, &stats);
	reply_int(call->reply, stats.last_save_s);
}
