/* commands/list.c: lists: pushing, reading, changing in the middle. Taking away: list_pop.c. */
#include "commands/list.h"

#include "base/arith.h"
#include "base/number.h"

static const struct value *read_list(struct call *call, struct value *small)
{
	return call_read_value(call, call->argv[1], ENTRY_LIST, small);
}

/* ---- Pushing ---------------------------------------------------------------------------------- */

static void push(struct call *call, enum list_end end, bool only_existing)
{
	struct edit edit;
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_LIST))
		return;
	uint64_t before = edit.value->count;
	if (only_existing && edit.entry == NULL) {
		edit_drop(&edit);
		reply_int(call->reply, 0);
		return;
	}
	for (uint32_t i = 2; i < call->argc; i++)
		ops_member(&edit.ops, end == LIST_HEAD ? OP_PUSH_HEAD : OP_PUSH_TAIL, call->argv[i]);
	if (!edit_commit(&edit))
		return;
	reply_int(call->reply, (int64_t)(before + call->argc - 2));
	edit_tell(&edit, NOTIFY_LIST, end == LIST_HEAD ? "lpush" : "rpush");
}

void cmd_lpush(struct call *call) { push(call, LIST_HEAD, false); }
void cmd_rpush(struct call *call) { push(call, LIST_TAIL, false); }
void cmd_lpushx(struct call *call) { push(call, LIST_HEAD, true); }
void cmd_rpushx(struct call *call) { push(call, LIST_TAIL, true); }

/* ---- Reading ------------------------------------------------------------------------------------ */

void cmd_llen(struct call *call)
{
	struct value small;
	const struct value *list = read_list(call, &small);
	if (!call->failed)
		reply_int(call->reply, list == NULL ? 0 : (int64_t)list->count);
}

bool list_range(uint64_t count, int64_t start, int64_t end, uint64_t *first, uint64_t *last)
{
	int64_t total = (int64_t)count;
	start = start < 0 ? start + total : start;
	end = end < 0 ? end + total : end;
	start = start < 0 ? 0 : start;
	end = end >= total ? total - 1 : end;
	if (start > end || start >= total)
		return false;
	*first = (uint64_t)start;
	*last = (uint64_t)end;
	return true;
}

void cmd_lrange(struct call *call)
{
	struct value small;
	struct walk walk;
	int64_t start, end;
	uint64_t first, last;
	if (!parse_integer(call, call->argv[2], &start, NULL) ||
	    !parse_integer(call, call->argv[3], &end, NULL))
		return;
	const struct value *list = read_list(call, &small);
	if (call->failed)
		return;
	if (list == NULL || !list_range(list->count, start, end, &first, &last)) {
		reply_array(call->reply, 0);
		return;
	}
	reply_array(call->reply, last - first + 1);
	walk_init_at(&walk, list, first, false);
	for (uint64_t i = first; i <= last && walk_next(&walk); i++)
		reply_bulk(call->reply, walk.name.bytes);
}

/* The place that an index means, which may count from the tail; false: there is none. */
static bool list_place(uint64_t count, int64_t index, uint64_t *place)
{
	if (index < 0)
		index += (int64_t)count;
	*place = (uint64_t)index;
	return index >= 0 && *place < count;
}

void cmd_lindex(struct call *call)
{
	struct value small;
	struct walk walk;
	int64_t index;
	uint64_t place;
	const struct value *list = read_list(call, &small);
	if (call->failed)
		return;
	if (list == NULL) {
		reply_null(call->reply);
		return;
	}
	if (!parse_integer(call, call->argv[2], &index, NULL))
		return;
	if (!list_place(list->count, index, &place)) {
		reply_null(call->reply);
		return;
	}
	walk_init_at(&walk, list, place, false);
	if (walk_next(&walk))
		reply_bulk(call->reply, walk.name.bytes);
}

/* ---- LPOS ------------------------------------------------------------------------------------------ */

struct lpos_words {
	int64_t rank, count, length;      /* count -1: not given; 0: all. length 0: no limit */
};

static bool parse_lpos(struct call *call, struct lpos_words *words)
{
	*words = (struct lpos_words){.rank = 1, .count = -1};
	for (uint32_t i = 3; i < call->argc; i += 2) {
		bool has_value = i + 1 < call->argc, ok = true;
		struct span value = has_value ? call->argv[i + 1] : (struct span){0};
		if (has_value && span_is(call->argv[i], "RANK")) {
			ok = parse_integer(call, value, &words->rank, NULL);
			if (ok && words->rank == INT64_MIN) {
				call_error(call, "ERR value is out of range, value must between %lld and %lld",
				    (long long)-INT64_MAX, (long long)INT64_MAX);
				return false;
			}
			if (ok && words->rank == 0) {
				call_error(call, "ERR RANK can't be zero: use 1 to start from the first match, 2 from the "
				                 "second ... or use negative to start from the end of the list");
				return false;
			}
		} else if (has_value && span_is(call->argv[i], "COUNT")) {
			ok = parse_at_least(call, value, 0, &words->count, "COUNT can't be negative");
		} else if (has_value && span_is(call->argv[i], "MAXLEN")) {
			ok = parse_at_least(call, value, 0, &words->length, "MAXLEN can't be negative");
		} else {
			reply_syntax_error(call);
			return false;
		}
		if (!ok)
			return false;
	}
	return true;
}

/* Writes the places to `out`; returns how many, at most words->count (one, if not given). */
static uint64_t find_places(
    const struct value *list, struct span element, const struct lpos_words *words, struct reply *out)
{
	bool reverse = words->rank < 0;
	uint64_t skip = (uint64_t)(reverse ? -words->rank : words->rank) - 1, found = 0;
	uint64_t most = words->count < 0 ? 1 : words->count == 0 ? UINT64_MAX : (uint64_t)words->count;
	uint64_t length = words->length == 0 ? UINT64_MAX : (uint64_t)words->length;
	struct walk walk;
	walk_init_at(&walk, list, reverse ? list->count - 1 : 0, reverse);
	while (found < most && walk.place < length && walk_next(&walk)) {
		if (!span_equal(walk.name.bytes, element))
			continue;
		if (skip > 0) {
			skip--;
			continue;
		}
		uint64_t passed = walk.place - 1;
		reply_int(out, (int64_t)(reverse ? list->count - 1 - passed : passed));
		found++;
	}
	return found;
}

void cmd_lpos(struct call *call)
{
	struct lpos_words words;
	struct value small;
	struct reply places;
	if (!parse_lpos(call, &words))
		return;
	const struct value *list = read_list(call, &small);
	if (call->failed)
		return;
	reply_init(&places, &call->engine->memory.replies, call->reply->resp);
	uint64_t found = list == NULL ? 0 : find_places(list, call->argv[2], &words, &places);
	if (words.count >= 0)
		reply_array(call->reply, found);
	else if (found == 0)
		reply_null(call->reply);
	reply_take(call->reply, &places);
	reply_fini(&places);
}

/* ---- Changing --------------------------------------------------------------------------------------- */

void cmd_lset(struct call *call)
{
	struct edit edit;
	int64_t index;
	uint64_t place = 0;
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_LIST))
		return;
	if (edit.entry == NULL)
		call_error(call, "ERR no such key");
	else if (parse_integer(call, call->argv[2], &index, NULL) &&
	    !list_place(edit.value->count, index, &place))
		call_error(call, "ERR index out of range");
	if (call->failed) {
		edit_drop(&edit);
		return;
	}
	ops_place(&edit.ops, OP_PUT, place, call->argv[3]);
	if (!edit_commit(&edit))
		return;
	reply_ok(call->reply);
	edit_tell(&edit, NOTIFY_LIST, "lset");
}

void cmd_linsert(struct call *call)
{
	struct edit edit;
	struct walk walk;
	bool after = span_is(call->argv[2], "AFTER"), found = false;
	if (!after && !span_is(call->argv[2], "BEFORE")) {
		reply_syntax_error(call);
		return;
	}
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_LIST))
		return;
	uint64_t count = edit.value->count;
	walk_init(&walk, edit.value);
	while (!found && walk_next(&walk))
		found = span_equal(walk.name.bytes, call->argv[3]);
	if (!found) {
		edit_drop(&edit);
		reply_int(call->reply, count == 0 ? 0 : -1);
		return;
	}
	uint64_t place = walk.place - (after ? 0 : 1);
	if (place == 0 || place == count)
		ops_member(&edit.ops, place == 0 ? OP_PUSH_HEAD : OP_PUSH_TAIL, call->argv[4]);
	else
		ops_place(&edit.ops, OP_INSERT, place, call->argv[4]);
	if (!edit_commit(&edit))
		return;
	reply_int(call->reply, (int64_t)count + 1);
	edit_tell(&edit, NOTIFY_LIST, "linsert");
}

/* A run of places that are removed as one. */
struct gap {
	uint64_t first, count;
};

static void gap_close(struct edit *edit, struct gap *gap)
{
	if (gap->count > 0)
		ops_range(&edit->ops, OP_REMOVE, gap->first, gap->count);
	gap->count = 0;
}

/* Up to `most` elements that are `element`, from the head or the tail. */
static void remove_equal(struct edit *edit, struct span element, uint64_t most, bool reverse)
{
	struct walk walk;
	struct gap gap = {0};
	uint64_t removed = 0, count = edit->value->count;
	walk_init_at(&walk, edit->value, reverse ? count - 1 : 0, reverse);
	while (removed < most && walk_next(&walk)) {
		if (!span_equal(walk.name.bytes, element)) {
			gap_close(edit, &gap);
			continue;
		}
		uint64_t passed = walk.place - 1;
		if (reverse)
			gap.first = count - 1 - passed;
		else if (gap.count == 0)
			gap.first = passed - removed;         /* as it is when those before are gone */
		gap.count++;
		removed++;
	}
	gap_close(edit, &gap);
}

void cmd_lrem(struct call *call)
{
	struct edit edit;
	int64_t count;
	if (!parse_integer(call, call->argv[2], &count, NULL) ||
	    !edit_begin(call, &edit, call->argv[1], ENTRY_LIST))
		return;
	uint64_t most = count == 0 ? UINT64_MAX : count < 0 ? -(uint64_t)count : (uint64_t)count;
	if (edit.value->count > 0)
		remove_equal(&edit, call->argv[3], most, count < 0);
	if (!edit_commit(&edit))
		return;
	if (edit.removed > 0)
		edit_tell(&edit, NOTIFY_LIST, "lrem");
	reply_int(call->reply, (int64_t)edit.removed);
}
