/* commands/blocking.c: the commands that wait for elements (engine/block.h). Each tries what its relative
 * without a B does on the first key that has something; if there is none it waits, and tries again. */
#include "commands/list.h"
#include "commands/zset.h"

#include "base/number.h"
#include "engine/block.h"
#include "engine/internal.h"

/* Seconds, with a fraction; 0: for ever. False: an error was replied. */
static bool parse_timeout(struct call *call, struct span word, uint64_t *us)
{
	enum { YEARS_MAX = 1000 };
	static const double seconds_max = YEARS_MAX * 365.0 * 86400;
	long double seconds;
	if (!long_double_parse(word, &seconds) || seconds != seconds) {
		call_error(call, "ERR timeout is not a float or out of range");
		return false;
	}
	if (seconds < 0) {
		call_error(call, "ERR timeout is negative");
		return false;
	}
	if (seconds > (long double)seconds_max) {
		call_error(call, "ERR timeout is out of range");
		return false;
	}
	*us = (uint64_t)(seconds * 1000000);
	if (seconds > 0 && *us == 0)
		*us = 1;
	return true;
}

/* One that has waited passes over keys that are something else by now. */
static bool is_passed_over(struct call *call, struct span key, enum entry_type type)
{
	if (!call_was_blocked(call))
		return false;
	const struct entry *entry = call_lookup_quiet(call, key);
	return entry != NULL && entry->type != type;
}

/* Nothing was there for it: it waits, or is told so. Whoever waited in vain gets a null array; in a
 * transaction, where nobody waits, what the command without B says. */
static void wait_or_end(struct call *call, const struct block_keys *keys, uint64_t timeout_us, bool array)
{
	if (call_block(call, keys, timeout_us) || call->failed)
		return;
	if (array || call_was_blocked(call))
		reply_null_array(call->reply);
	else
		reply_null(call->reply);
}

/* ---- Lists ---- */

static void pop_generic(struct call *call, enum list_end end)
{
	uint64_t timeout_us;
	const struct block_keys keys = {.first = 1, .count = call->argc - 2, .type = ENTRY_LIST};
	if (!parse_timeout(call, call->argv[call->argc - 1], &timeout_us))
		return;
	for (uint32_t i = 1; i + 1 < call->argc; i++)
		if (!is_passed_over(call, call->argv[i], ENTRY_LIST) &&
		    list_pop_one(call, call->argv[i], end, true))
			return;
	wait_or_end(call, &keys, timeout_us, true);
}

void cmd_blpop(struct call *call)
{
	pop_generic(call, LIST_HEAD);
}

void cmd_brpop(struct call *call)
{
	pop_generic(call, LIST_TAIL);
}

static void move_generic(
    struct call *call, enum list_end from, enum list_end to, struct span timeout)
{
	uint64_t timeout_us;
	const struct block_keys keys = {.first = 1, .count = 1, .type = ENTRY_LIST};
	if (!parse_timeout(call, timeout, &timeout_us))
		return;
	if (is_passed_over(call, call->argv[1], ENTRY_LIST) || !list_move(call, from, to))
		wait_or_end(call, &keys, timeout_us, false);
}

void cmd_brpoplpush(struct call *call)
{
	move_generic(call, LIST_TAIL, LIST_HEAD, call->argv[3]);
}

void cmd_blmove(struct call *call)
{
	enum list_end from, to;
	if (parse_list_end(call, call->argv[3], &from) && parse_list_end(call, call->argv[4], &to))
		move_generic(call, from, to, call->argv[5]);
}

void cmd_blmpop(struct call *call)
{
	struct mpop words;
	uint64_t timeout_us;
	if (!parse_mpop(call, 2, "LEFT", "RIGHT", &words) ||
	    !parse_timeout(call, call->argv[1], &timeout_us))
		return;
	enum list_end end = words.last ? LIST_TAIL : LIST_HEAD;
	const struct block_keys keys = {.first = words.first, .count = words.count, .type = ENTRY_LIST};
	for (uint32_t i = 0; i < words.count; i++) {
		struct span key = call->argv[words.first + i];
		if (!is_passed_over(call, key, ENTRY_LIST) &&
		    list_pop_many(call, key, end, words.most, true))
			return;
	}
	wait_or_end(call, &keys, timeout_us, true);
}

/* ---- Sorted sets ---- */

static void zset_pop_generic(struct call *call, enum zset_end end)
{
	uint64_t timeout_us;
	const struct block_keys keys = {.first = 1, .count = call->argc - 2, .type = ENTRY_ZSET};
	if (!parse_timeout(call, call->argv[call->argc - 1], &timeout_us))
		return;
	for (uint32_t i = 1; i + 1 < call->argc; i++)
		if (!is_passed_over(call, call->argv[i], ENTRY_ZSET) &&
		    zset_pop(call, call->argv[i], end, 1, ZPOP_KEY_FLAT))
			return;
	wait_or_end(call, &keys, timeout_us, true);
}

void cmd_bzpopmin(struct call *call)
{
	zset_pop_generic(call, ZSET_MIN);
}

void cmd_bzpopmax(struct call *call)
{
	zset_pop_generic(call, ZSET_MAX);
}

void cmd_bzmpop(struct call *call)
{
	struct mpop words;
	uint64_t timeout_us;
	if (!parse_mpop(call, 2, "MIN", "MAX", &words) ||
	    !parse_timeout(call, call->argv[1], &timeout_us))
		return;
	enum zset_end end = words.last ? ZSET_MAX : ZSET_MIN;
	const struct block_keys keys = {.first = words.first, .count = words.count, .type = ENTRY_ZSET};
	for (uint32_t i = 0; i < words.count; i++) {
		struct span key = call->argv[words.first + i];
		if (!is_passed_over(call, key, ENTRY_ZSET) &&
		    zset_pop(call, key, end, words.most, ZPOP_KEY_NESTED))
			return;
	}
	wait_or_end(call, &keys, timeout_us, true);
}
