/* commands/list_pop.c: lists: taking away at the ends, moving from one list to another. */
#include "commands/list.h"

#include "base/arith.h"

static const char *pop_event(enum list_end end) { return end == LIST_HEAD ? "lpop" : "rpop"; }
static enum op pop_op(enum list_end end) { return end == LIST_HEAD ? OP_POP_HEAD : OP_POP_TAIL; }

bool parse_list_end(struct call *call, struct span word, enum list_end *end)
{
	*end = span_is(word, "RIGHT") ? LIST_TAIL : LIST_HEAD;
	if (*end == LIST_TAIL || span_is(word, "LEFT"))
		return true;
	reply_syntax_error(call);
	return false;
}

/* A walk that begins at that end. The list is not empty. */
static void walk_from(struct walk *walk, const struct value *list, enum list_end end)
{
	walk_init_at(walk, list, end == LIST_HEAD ? 0 : list->count - 1, end == LIST_TAIL);
}

/* ---- Popping ----------------------------------------------------------------------------------- */

/* False: there is nothing to pop; *answered: because an error was replied. */
static bool pop_begin(struct call *call, struct edit *edit, struct span key, bool *answered)
{
	*answered = true;
	if (!edit_begin(call, edit, key, ENTRY_LIST))
		return false;
	if (edit->entry != NULL)
		return true;
	edit_drop(edit);
	*answered = false;
	return false;
}

bool list_pop_one(struct call *call, struct span key, enum list_end end, bool with_key)
{
	struct edit edit;
	struct walk walk;
	bool answered;
	if (!pop_begin(call, &edit, key, &answered))
		return answered;
	if (with_key) {
		reply_array(call->reply, 2);
		reply_bulk(call->reply, key);
	}
	walk_from(&walk, edit.value, end);
	if (walk_next(&walk))
		reply_bulk(call->reply, walk.name.bytes);
	ops_count(&edit.ops, pop_op(end), 1);
	if (edit_commit(&edit))
		edit_tell(&edit, NOTIFY_LIST, pop_event(end));
	return true;
}

bool list_pop_many(struct call *call, struct span key, enum list_end end, uint64_t count, bool with_key)
{
	struct edit edit;
	struct walk walk;
	bool answered;
	if (!pop_begin(call, &edit, key, &answered))
		return answered;
	count = min_u64(count, edit.value->count);
	if (with_key) {
		reply_array(call->reply, 2);
		reply_bulk(call->reply, key);
	}
	reply_array(call->reply, count);
	walk_from(&walk, edit.value, end);
	for (uint64_t i = 0; i < count && walk_next(&walk); i++)
		reply_bulk(call->reply, walk.name.bytes);
	if (count > 0)
		ops_count(&edit.ops, pop_op(end), count);
	if (edit_commit(&edit) && count > 0)
		edit_tell(&edit, NOTIFY_LIST, pop_event(end));
	return true;
}

static void pop(struct call *call, enum list_end end)
{
	int64_t count;
	if (call->argc > 3) {
		call_error(call, "ERR wrong number of arguments for '%s' command", call->command->name);
		return;
	}
	if (call->argc == 2) {
		if (!list_pop_one(call, call->argv[1], end, false))
			reply_null(call->reply);
		return;
	}
	if (!parse_at_least(call, call->argv[2], 0, &count, NULL))
		return;
	if (!list_pop_many(call, call->argv[1], end, (uint64_t)count, false))
		reply_null_array(call->reply);
}

void cmd_lpop(struct call *call) { pop(call, LIST_HEAD); }
void cmd_rpop(struct call *call) { pop(call, LIST_TAIL); }

void cmd_lmpop(struct call *call)
{
	struct mpop words;
	if (!parse_mpop(call, 1, "LEFT", "RIGHT", &words))
		return;
	enum list_end end = words.last ? LIST_TAIL : LIST_HEAD;
	for (uint32_t i = 0; i < words.count; i++)
		if (list_pop_many(call, call->argv[words.first + i], end, words.most, true))
			return;
	reply_null_array(call->reply);
}

/* ---- Moving --------------------------------------------------------------------------------------- */

static void tell_push(const struct edit *edit, enum list_end end)
{
	call_notify(edit->call, NOTIFY_LIST, end == LIST_HEAD ? "lpush" : "rpush", edit->key);
}

static void move_within(struct call *call, struct edit *edit, enum list_end from, enum list_end to)
{
	struct walk walk;
	walk_from(&walk, edit->value, from);
	if (walk_next(&walk))
		reply_bulk(call->reply, walk.name.bytes);
	if (edit->value->count > 1 && from != to) {
		ops_count(&edit->ops, pop_op(from), 1);
		ops_member(&edit->ops, to == LIST_HEAD ? OP_PUSH_HEAD : OP_PUSH_TAIL, walk.name.bytes);
	}
	if (!edit_commit(edit))
		return;
	tell_push(edit, to);
	edit_tell(edit, NOTIFY_LIST, pop_event(from));
}

bool list_move(struct call *call, enum list_end from, enum list_end to)
{
	struct edit source, target;
	struct walk walk;
	bool answered;
	if (!pop_begin(call, &source, call->argv[1], &answered))
		return answered;
	if (span_equal(call->argv[1], call->argv[2])) {
		move_within(call, &source, from, to);
		return true;
	}
	if (!edit_begin(call, &target, call->argv[2], ENTRY_LIST)) {
		edit_drop(&source);
		return true;
	}
	walk_from(&walk, source.value, from);
	if (walk_next(&walk))
		reply_bulk(call->reply, walk.name.bytes);
	ops_count(&source.ops, pop_op(from), 1);
	ops_member(&target.ops, to == LIST_HEAD ? OP_PUSH_HEAD : OP_PUSH_TAIL, walk.name.bytes);
	if (edit_commit_both(&source, &target)) {
		tell_push(&target, to);
		edit_tell(&source, NOTIFY_LIST, pop_event(from));
	}
	return true;
}

void cmd_lmove(struct call *call)
{
	enum list_end from, to;
	if (!parse_list_end(call, call->argv[3], &from) || !parse_list_end(call, call->argv[4], &to))
		return;
	if (!list_move(call, from, to))
		reply_null(call->reply);
}

void cmd_rpoplpush(struct call *call)
{
	if (!list_move(call, LIST_TAIL, LIST_HEAD))
		reply_null(call->reply);
}

void cmd_ltrim(struct call *call)
{
	struct edit edit;
	int64_t start, end;
	uint64_t first, last;
	if (!parse_integer(call, call->argv[2], &start, NULL) ||
	    !parse_integer(call, call->argv[3], &end, NULL) ||
	    !edit_begin(call, &edit, call->argv[1], ENTRY_LIST))
		return;
	bool exists = edit.entry != NULL;
	uint64_t count = edit.value->count;
	if (!list_range(count, start, end, &first, &last)) {
		first = count;
		last = count - 1;
	}
	if (first > 0)
		ops_count(&edit.ops, OP_POP_HEAD, first);
	if (last + 1 < count)
		ops_count(&edit.ops, OP_POP_TAIL, count - 1 - last);
	if (!edit_commit(&edit))
		return;
	reply_ok(call->reply);
	if (exists)
		edit_tell(&edit, NOTIFY_LIST, "ltrim");
}
