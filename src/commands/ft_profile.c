/* commands/ft_profile.c: FT.PROFILE: runs the command that it names and puts the reply, whenever
 * it comes, beside what it took, in RediSearch's shape:
 *
 *   RESP2  [reply, [[name, ms], ..., ["Iterators profile", iterator],
 *                   ["Result processors profile", [...], ...]]]
 *   RESP3  {results: reply, profile: {name: ms, ..., "Iterators profile": [iterator], ...}}
 *
 * An iterator is {Type, Term, Time (ms), Counter, Size, Blocks read, Blocks skipped, Child
 * iterators}; what it has none of is left out. In RESP2 the children stand one by one behind
 * "Child iterators", in RESP3 in an array. "Counter" is how many documents it gave; parts of
 * the postings that cannot enter the results are not looked at. With LIMITED unions do not show
 * their children. */
#include "commands/image.h"

#include <stdio.h>

struct profile {
	struct slot_hook hook;
	struct engine   *engine;
	struct memory   *memory;
	bool             limited;
	uint64_t         started_us, parse_us, bind_us, search_us, search_total;
	bool             has_iterators;
	struct reply     iterators;       /* the root, and with it all */
};

static void profile_finishing(struct slot_hook *hook, struct slot *slot);

struct profile *ft_profile_of(const struct call *call)
{
	if (call->hook == NULL || call->hook->finishing != profile_finishing)
		return NULL;
	return (struct profile *)call->hook;
}

void ft_profile_ready(struct profile *profile, uint64_t parse_us, uint64_t bind_us)
{
	profile->parse_us = parse_us;
	profile->bind_us = bind_us;
}

/* ---- Iterators ---- */

static void reply_ms(struct reply *out, const char *name, uint64_t us)
{
	reply_text(out, name);
	reply_double(out, (double)us / 1000);
}

static void reply_count(struct reply *out, const char *name, uint64_t count)
{
	reply_text(out, name);
	reply_int(out, (int64_t)count);
}

/* A map, or in RESP2 an array, of which the children are elements of their own. */
static void reply_iterator(
    const struct profile *profile, struct reply *out, const struct search_iterator *iterator)
{
	bool blocks = iterator->blocks_read + iterator->blocks_skipped > 0;
	bool hides = profile->limited && strcmp(iterator->type, "UNION") == 0;
	uint32_t children = hides ? 1 : iterator->children;
	bool leaf = iterator->children == 0;
	size_t pairs = 3u + (iterator->text.len > 0) + leaf + 2u * blocks;
	if (out->resp == 3)
		reply_map(out, pairs + !leaf);
	else
		reply_array(out, 2 * pairs + (leaf ? 0 : 1 + children));
	reply_text(out, "Type");
	reply_text(out, iterator->type);
	if (iterator->text.len > 0) {
		reply_text(out, "Term");
		reply_bulk(out, iterator->text);
	}
	reply_ms(out, "Time", iterator->us);
	reply_count(out, "Counter", iterator->matches);
	if (leaf)
		reply_count(out, "Size", iterator->documents);
	if (blocks) {
		reply_count(out, "Blocks read", iterator->blocks_read);
		reply_count(out, "Blocks skipped", iterator->blocks_skipped);
	}
	if (leaf)
		return;
	reply_text(out, "Child iterators");
	if (hides) {
		char text[64];
		snprintf(text, sizeof(text), "The number of iterators in the union is %u",
		    iterator->children);
		reply_text(out, text);
	} else if (out->resp == 3) {
		reply_array(out, children);
	}
}

void ft_profile_ended(struct profile *profile, const struct search_task *task)
{
	const struct search_iterator *all;
	size_t count = search_get_iterators(task->search, &all);
	uint32_t hidden = UINT32_MAX;     /* deeper ones are not shown */
	profile->search_us = task->worked_us;
	for (size_t i = 0; i < count; i++) {
		if (all[i].depth > hidden)
			continue;
		bool hides = profile->limited && strcmp(all[i].type, "UNION") == 0;
		hidden = hides ? all[i].depth : UINT32_MAX;
		reply_iterator(profile, &profile->iterators, &all[i]);
	}
	profile->has_iterators = count > 0;
	profile->search_total = count > 0 ? all[0].matches : 0;
}

/* ---- The reply ---- */

static void reply_processor(struct reply *out, const char *type, uint64_t us, uint64_t count)
{
	reply_map(out, 3);
	reply_text(out, "Type");
	reply_text(out, type);
	reply_ms(out, "Time", us);
	reply_count(out, "Counter", count);
}

static void pair_begin(struct reply *out, const char *name)
{
	if (out->resp != 3)
		reply_array(out, 2);
	reply_text(out, name);
}

static void reply_profile(struct profile *profile, uint64_t us, struct reply *out)
{
	const struct { const char *name; uint64_t us; } times[] = {{"Total profile time", us},
	    {"Parsing time", profile->parse_us}, {"Pipeline creation time", profile->bind_us}};
	uint64_t rest = us - profile->parse_us - profile->bind_us;
	uint64_t load_us = rest > profile->search_us ? rest - profile->search_us : 0;
	size_t parts = ARRAY_COUNT(times) + 1u + profile->has_iterators;
	if (out->resp == 3)
		reply_map(out, parts);
	else
		reply_array(out, parts);
	for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
		pair_begin(out, times[i].name);
		reply_double(out, (double)times[i].us / 1000);
	}
	if (profile->has_iterators) {
		pair_begin(out, "Iterators profile");
		if (out->resp == 3)
			reply_array(out, 1);
		reply_take(out, &profile->iterators);
	}
	if (out->resp == 3) {
		reply_text(out, "Result processors profile");
		reply_array(out, 2);
	} else {
		reply_array(out, 3);
		reply_text(out, "Result processors profile");
	}
	reply_processor(out, "Index", profile->search_us, profile->search_total);
	reply_processor(out, "Loader", load_us, profile->search_total);
}

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
	} else {
		reply_array(out, 2);
	}
	reply_take(out, made);
	if (out->resp == 3)
		reply_text(out, "profile");
	reply_profile(profile, us, out);
}

static void profile_free(struct profile *profile)
{
	reply_fini(&profile->iterators);
	memory_free(profile->memory, profile, sizeof(*profile));
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
	profile_free(profile);
}

static struct profile *profile_new(struct call *call, bool limited)
{
	struct memory *memory = &call->engine->memory.engine;
	struct profile *profile = memory_zalloc(memory, sizeof(*profile));
	*profile = (struct profile){.hook = {profile_finishing}, .engine = call->engine,
	    .memory = memory, .limited = limited, .started_us = io_clock_us(call->engine->io)};
	reply_init(&profile->iterators, call->reply->bytes.memory, call->reply->resp);
	return profile;
}

void cmd_ft_profile(struct call *call)
{
	uint32_t at = 3;
	bool aggregate = span_is(call->argv[2], "AGGREGATE");
	if (!ft_index_is_known(call, call->argv[1]))
		return;
	bool limited = span_is(call->argv[at], "LIMITED");
	at += limited;
	if ((!aggregate && !span_is(call->argv[2], "SEARCH")) || at + 1 >= call->argc ||
	    !span_is(call->argv[at], "QUERY")) {
		reply_syntax_error(call);
		return;
	}
	struct reply *outer = call->reply, inner;
	struct profile *profile = profile_new(call, limited);
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
		profile_free(profile);
	}
	reply_fini(&inner);
}
