/* commands/set_algebra.c: several sets at once: intersections, unions, differences. */
#include "commands/collection.h"

#include "base/arith.h"

enum algebra { ALGEBRA_INTER, ALGEBRA_UNION, ALGEBRA_DIFF };

/* The sets of a command; NULL: there is no such key. */
struct sets {
	struct memory *memory;
	uint32_t       count;
	struct set_source {
		const struct value *value;
		struct value        small;
	} *sources;
};

static void sets_free(struct sets *sets)
{
	memory_free(sets->memory, sets->sources, sets->count * sizeof(sets->sources[0]));
}

/* False: an error was replied, and nothing is to be freed. */
static bool sets_read(struct call *call, uint32_t first, uint32_t count, struct sets *sets)
{
	sets->memory = &call->engine->memory.engine;
	sets->count = count;
	sets->sources = memory_alloc(sets->memory, count * sizeof(sets->sources[0]));
	for (uint32_t i = 0; i < count && !call->failed; i++) {
		struct set_source *source = &sets->sources[i];
		source->value = call_read_value(call, call->argv[first + i], ENTRY_SET, &source->small);
	}
	if (call->failed)
		sets_free(sets);
	return !call->failed;
}

/* Who takes the members of a result. False: no more are wanted. */
typedef bool take_member(void *ctx, struct span member);

static void intersect(const struct sets *sets, take_member *take, void *ctx)
{
	struct walk walk;
	uint32_t least = 0;
	for (uint32_t i = 0; i < sets->count; i++) {
		if (sets->sources[i].value == NULL)
			return;
		if (sets->sources[i].value->count < sets->sources[least].value->count)
			least = i;
	}
	walk_init(&walk, sets->sources[least].value);
	while (walk_next(&walk)) {
		bool in_all = true;
		for (uint32_t i = 0; i < sets->count && in_all; i++)
			in_all = i == least || set_has(sets->sources[i].value, walk.name.bytes);
		if (in_all && !take(ctx, walk.name.bytes))
			return;
	}
}

/* Whether one of the sets before `end`, from `first` on, has it. */
static bool any_has(const struct sets *sets, uint32_t first, uint32_t end, struct span member)
{
	for (uint32_t i = first; i < end; i++)
		if (sets->sources[i].value != NULL && set_has(sets->sources[i].value, member))
			return true;
	return false;
}

static void subtract(const struct sets *sets, take_member *take, void *ctx)
{
	struct walk walk;
	if (sets->sources[0].value == NULL)
		return;
	walk_init(&walk, sets->sources[0].value);
	while (walk_next(&walk))
		if (!any_has(sets, 1, sets->count, walk.name.bytes))
			(void)take(ctx, walk.name.bytes);
}

/* `take` sees to it that what is in several counts once. */
static void unite(const struct sets *sets, take_member *take, void *ctx)
{
	struct walk walk;
	for (uint32_t i = 0; i < sets->count; i++) {
		if (sets->sources[i].value == NULL)
			continue;
		walk_init(&walk, sets->sources[i].value);
		while (walk_next(&walk))
			(void)take(ctx, walk.name.bytes);
	}
}

static void compute(enum algebra what, const struct sets *sets, take_member *take, void *ctx)
{
	if (what == ALGEBRA_INTER)
		intersect(sets, take, ctx);
	else if (what == ALGEBRA_DIFF)
		subtract(sets, take, ctx);
	else
		unite(sets, take, ctx);
}

/* ---- Into a value, as a reply, as a number ----------------------------------------------------- */

struct make {
	struct call *call;
	struct value value;
	struct buf   ops;
};

static bool take_into_value(void *ctx, struct span member)
{
	struct make *make = ctx;
	buf_clear(&make->ops);
	ops_member(&make->ops, OP_ADD, member);
	enum err err =
	    value_apply(&make->value, buf_span(&make->ops), call_value_limits(make->call), NULL, NULL);
	ASSERT(err == OK);
	return true;
}

static void make_init(struct make *make, struct call *call)
{
	make->call = call;
	value_init(&make->value, ENTRY_SET, call_value_memory(call));
	buf_init(&make->ops, call_value_memory(call));
}

static void make_fini(struct make *make)
{
	value_fini(&make->value);
	buf_fini(&make->ops);
}

struct listing {
	struct reply members;
	uint64_t     count;
};

static bool take_into_reply(void *ctx, struct span member)
{
	struct listing *listing = ctx;
	reply_bulk(&listing->members, member);
	listing->count++;
	return true;
}

static void reply_union(struct call *call, const struct sets *sets)
{
	struct make make;
	struct walk walk;
	make_init(&make, call);
	unite(sets, take_into_value, &make);
	reply_set(call->reply, make.value.count);
	walk_init(&walk, &make.value);
	while (walk_next(&walk))
		reply_bulk(call->reply, walk.name.bytes);
	make_fini(&make);
}

static void reply_algebra(struct call *call, enum algebra what)
{
	struct sets sets;
	struct listing listing = {.count = 0};
	if (!sets_read(call, 1, call->argc - 1, &sets))
		return;
	if (what == ALGEBRA_UNION && sets.count > 1) {
		reply_union(call, &sets);
	} else {
		reply_init(&listing.members, &call->engine->memory.replies, call->reply->resp);
		compute(what, &sets, take_into_reply, &listing);
		reply_set(call->reply, listing.count);
		reply_take(call->reply, &listing.members);
		reply_fini(&listing.members);
	}
	sets_free(&sets);
}

void cmd_sinter(struct call *call) { reply_algebra(call, ALGEBRA_INTER); }
void cmd_sunion(struct call *call) { reply_algebra(call, ALGEBRA_UNION); }
void cmd_sdiff(struct call *call) { reply_algebra(call, ALGEBRA_DIFF); }

static void store_algebra(struct call *call, enum algebra what, const char *event)
{
	struct sets sets;
	struct make make;
	if (!sets_read(call, 2, call->argc - 2, &sets))
		return;
	make_init(&make, call);
	compute(what, &sets, take_into_value, &make);
	sets_free(&sets);
	store_made(call, call->argv[1], &make.value, NOTIFY_SET, event);
	make_fini(&make);
}

void cmd_sinterstore(struct call *call) { store_algebra(call, ALGEBRA_INTER, "sinterstore"); }
void cmd_sunionstore(struct call *call) { store_algebra(call, ALGEBRA_UNION, "sunionstore"); }
void cmd_sdiffstore(struct call *call) { store_algebra(call, ALGEBRA_DIFF, "sdiffstore"); }

struct limited {
	uint64_t count, most;
};

static bool take_count(void *ctx, struct span member)
{
	struct limited *limited = ctx;
	UNUSED(member);
	return ++limited->count < limited->most;
}

/* numkeys key ... [LIMIT n]; *most UINT64_MAX: no limit. False: an error was replied. */
static bool parse_card_words(struct call *call, uint32_t *first, uint32_t *count, uint64_t *most)
{
	int64_t keys, limit = 0;
	*most = UINT64_MAX;
	if (!parse_at_least(call, call->argv[1], 1, &keys, "numkeys should be greater than 0"))
		return false;
	if (keys > (int64_t)call->argc - 2) {
		call_error(call, "ERR Number of keys can't be greater than number of args");
		return false;
	}
	*first = 2;
	*count = (uint32_t)keys;
	for (uint32_t i = 2 + *count; i < call->argc; i += 2) {
		if (i + 1 == call->argc || !span_is(call->argv[i], "LIMIT")) {
			reply_syntax_error(call);
			return false;
		}
		if (!parse_at_least(call, call->argv[i + 1], 0, &limit, "LIMIT can't be negative"))
			return false;
		*most = limit == 0 ? UINT64_MAX : (uint64_t)limit;
	}
	return true;
}

void cmd_sintercard(struct call *call)
{
	struct sets sets;
	struct limited limited = {.most = UINT64_MAX};
	uint32_t first, count;
	if (!parse_card_words(call, &first, &count, &limited.most) ||
	    !sets_read(call, first, count, &sets))
		return;
	intersect(&sets, take_count, &limited);
	sets_free(&sets);
	reply_int(call->reply, (int64_t)limited.count);
}
