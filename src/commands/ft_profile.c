/* commands/ft_profile.c: FT.PROFILE: runs the command that it names and puts the reply, whenever
 * it comes, beside what it took: [reply, [["Total profile time", ms]]]. */
#include "commands/image.h"

struct profile {
	struct slot_hook hook;
	struct engine   *engine;
	struct memory   *memory;
	uint64_t         started_us;
};

/* `made` becomes the first half of what it is part of. An error stays alone. */
static void wrap(struct profile *profile, struct reply *made, struct reply *out)
{
	uint64_t us = io_clock_us(profile->engine->io) - profile->started_us;
	if (made->bytes.len > 0 && made->bytes.ptr[0] == '-') {
		reply_take(out, made);
		return;
	}
	if (out->resp == 3) {
		reply_map(out, 2);
		reply_text(out, "results");
		reply_take(out, made);
		reply_text(out, "profile");
		reply_map(out, 1);
	} else {
		reply_array(out, 2);
		reply_take(out, made);
		reply_array(out, 1);
		reply_array(out, 2);
	}
	reply_text(out, "Total profile time");
	reply_double(out, (double)us / 1000);
}

static void profile_finishing(struct slot_hook *hook, struct slot *slot)
{
	struct profile *profile = (struct profile *)hook;
	struct reply out;
	reply_init(&out, slot->reply.bytes.memory, slot->reply.resp);
	wrap(profile, &slot->reply, &out);
	reply_clear(&slot->reply);
	reply_take(&slot->reply, &out);
	reply_fini(&out);
	memory_free(profile->memory, profile, sizeof(*profile));
}

void cmd_ft_profile(struct call *call)
{
	uint32_t at = 3;
	struct memory *memory = &call->engine->memory.engine;
	bool aggregate = span_is(call->argv[2], "AGGREGATE");
	if (!ft_index_is_known(call, call->argv[1]))
		return;
	if (span_is(call->argv[at], "LIMITED"))
		at++;                     /* there is no more to say than without it */
	if ((!aggregate && !span_is(call->argv[2], "SEARCH")) || at + 1 >= call->argc ||
	    !span_is(call->argv[at], "QUERY")) {
		reply_syntax_error(call);
		return;
	}
	struct reply *outer = call->reply, inner;
	struct profile *profile = memory_zalloc(memory, sizeof(*profile));
	*profile = (struct profile){.hook = {profile_finishing}, .engine = call->engine,
	    .memory = memory, .started_us = io_clock_us(call->engine->io)};
	reply_init(&inner, outer->bytes.memory, outer->resp);
	call->reply = &inner;
	call->hook = &profile->hook;
	if (aggregate)
		image_aggregate_run(call, at + 1, true);
	else
		ft_search_run(call, at + 1);
	call->hook = NULL;
	if (call->slot == NULL) {         /* otherwise it has its hook */
		call->reply = outer;
		wrap(profile, &inner, outer);
		memory_free(memory, profile, sizeof(*profile));
	}
	reply_fini(&inner);
}
