/* commands/set.c: sets: members. Several sets at once: set_algebra.c. */
#include "commands/collection.h"

#include "base/arith.h"

static const struct value *read_set(struct call *call, struct value *small)
{
	return call_read_value(call, call->argv[1], ENTRY_SET, small);
}

/* ---- Members ----------------------------------------------------------------------------------- */

void cmd_sadd(struct call *call)
{
	struct edit edit;
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_SET))
		return;
	for (uint32_t i = 2; i < call->argc; i++)
		if (!set_has(edit.value, call->argv[i]))
			ops_member(&edit.ops, OP_ADD, call->argv[i]);
	if (!edit_commit(&edit))
		return;
	if (edit.added > 0)
		edit_tell(&edit, NOTIFY_SET, "sadd");
	reply_int(call->reply, (int64_t)edit.added);
}

void cmd_srem(struct call *call)
{
	struct edit edit;
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_SET))
		return;
	for (uint32_t i = 2; i < call->argc; i++)
		if (set_has(edit.value, call->argv[i]))
			ops_member(&edit.ops, OP_DELETE, call->argv[i]);
	if (!edit_commit(&edit))
		return;
	if (edit.removed > 0)
		edit_tell(&edit, NOTIFY_SET, "srem");
	reply_int(call->reply, (int64_t)edit.removed);
}

void cmd_scard(struct call *call)
{
	struct value small;
	const struct value *set = read_set(call, &small);
	if (!call->failed)
		reply_int(call->reply, set == NULL ? 0 : (int64_t)set->count);
}

void cmd_sismember(struct call *call)
{
	struct value small;
	const struct value *set = read_set(call, &small);
	if (!call->failed)
		reply_int(call->reply, set != NULL && set_has(set, call->argv[2]));
}

void cmd_smismember(struct call *call)
{
	struct value small;
	const struct value *set = read_set(call, &small);
	if (call->failed)
		return;
	reply_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++)
		reply_int(call->reply, set != NULL && set_has(set, call->argv[i]));
}

static void reply_members(struct call *call, const struct value *set)
{
	struct walk walk;
	walk_init(&walk, set);
	while (walk_next(&walk))
		reply_bulk(call->reply, walk.name.bytes);
}

void cmd_smembers(struct call *call)
{
	struct value small;
	const struct value *set = read_set(call, &small);
	if (call->failed)
		return;
	reply_set(call->reply, set == NULL ? 0 : set->count);
	if (set != NULL)
		reply_members(call, set);
}

void cmd_sscan(struct call *call) { reply_value_scan(call, ENTRY_SET, false); }

/* ---- By chance ----------------------------------------------------------------------------------- */

static void reply_picked(void *ctx, const struct item *name, const struct item *data, double score)
{
	struct reply *reply = ctx;
	UNUSED(data);
	UNUSED(score);
	reply_bulk(reply, name->bytes);
}

void cmd_srandmember(struct call *call)
{
	struct value small;
	struct item name;
	int64_t count = 1;
	bool unused;
	if (call->argc > 2 && !parse_random_words(call, NULL, &count, &unused))
		return;
	const struct value *set = read_set(call, &small);
	if (call->failed)
		return;
	if (call->argc == 2) {
		if (set != NULL)
			value_random(set, &call->engine->random, &name, NULL, NULL);
		if (set != NULL)
			reply_bulk(call->reply, name.bytes);
		else
			reply_null(call->reply);
		return;
	}
	uint64_t total = set == NULL ? 0 : set->count;
	uint64_t want = count < 0 ? (total == 0 ? 0 : (uint64_t)-count) : min_u64((uint64_t)count, total);
	reply_array(call->reply, want);
	if (want > 0 && count > 0)
		value_pick(call, set, want, reply_picked, call->reply);
	for (uint64_t i = 0; count < 0 && i < want; i++) {
		value_random(set, &call->engine->random, &name, NULL, NULL);
		reply_bulk(call->reply, name.bytes);
	}
}

static void pop_picked(void *ctx, const struct item *name, const struct item *data, double score)
{
	struct edit *edit = ctx;
	UNUSED(data);
	UNUSED(score);
	ops_member(&edit->ops, OP_DELETE, name->bytes);
	reply_bulk(edit->call->reply, name->bytes);
}

static void pop_count(struct call *call, struct edit *edit)
{
	int64_t count;
	if (!parse_at_least(call, call->argv[2], 0, &count, NULL) ||
	    !edit_begin(call, edit, call->argv[1], ENTRY_SET))
		return;
	uint64_t want = min_u64((uint64_t)count, edit->value->count);
	reply_set(call->reply, want);
	if (want > 0 && want == edit->value->count) {
		reply_members(call, edit->value);
		ops_clear(&edit->ops);
	} else if (want > 0) {
		value_pick(call, edit->value, want, pop_picked, edit);
	}
	if (edit_commit(edit) && want > 0)
		edit_tell(edit, NOTIFY_SET, "spop");
}

void cmd_spop(struct call *call)
{
	struct edit edit;
	struct item name;
	if (call->argc > 3) {
		reply_syntax_error(call);
		return;
	}
	if (call->argc == 3) {
		pop_count(call, &edit);
		return;
	}
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_SET))
		return;
	if (edit.entry == NULL) {
		edit_drop(&edit);
		reply_null(call->reply);
		return;
	}
	value_random(edit.value, &call->engine->random, &name, NULL, NULL);
	reply_bulk(call->reply, name.bytes);
	ops_member(&edit.ops, OP_DELETE, name.bytes);
	if (edit_commit(&edit))
		edit_tell(&edit, NOTIFY_SET, "spop");
}

/* ---- SMOVE ------------------------------------------------------------------------------------------ */

void cmd_smove(struct call *call)
{
	struct edit source, target;
	struct span member = call->argv[3];
	if (!edit_begin(call, &source, call->argv[1], ENTRY_SET))
		return;
	bool same = span_equal(call->argv[1], call->argv[2]);
	if (source.entry == NULL || same) {
		bool found = set_has(source.value, member);
		edit_drop(&source);
		reply_int(call->reply, found);
		return;
	}
	if (!edit_begin(call, &target, call->argv[2], ENTRY_SET)) {
		edit_drop(&source);
		return;
	}
	if (!set_has(source.value, member)) {
		edit_drop(&source);
		edit_drop(&target);
		reply_int(call->reply, 0);
		return;
	}
	ops_member(&source.ops, OP_DELETE, member);
	if (!set_has(target.value, member))
		ops_member(&target.ops, OP_ADD, member);
	if (!edit_commit_both(&source, &target))
		return;
	edit_tell(&source, NOTIFY_SET, "srem");
	if (target.added > 0)
		edit_tell(&target, NOTIFY_SET, "sadd");
	reply_int(call->reply, 1);
}
