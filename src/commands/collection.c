/* commands/collection.c: see collection.h. */
#include "commands/collection.h"

#include "base/arith.h"
#include "base/glob.h"
#include "base/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCORE_TEXT_MAX = 512 };

void edit_tell(const struct edit *edit, unsigned class, const char *event)
{
	if (edit->is_idle)
		call_touch(edit->call, edit->key);
	call_notify(edit->call, class, event, edit->key);
	if (edit->is_gone)
		call_notify(edit->call, NOTIFY_GENERIC, "del", edit->key);
}

/* ---- Arguments -------------------------------------------------------------------------------- */

bool parse_integer(struct call *call, struct span text, int64_t *out, const char *error)
{
	if (number_parse_i64(text, out))
		return true;
	if (error != NULL)
		call_error(call, "ERR %s", error);
	else
		reply_not_integer(call);
	return false;
}

bool parse_at_least(struct call *call, struct span text, int64_t low, int64_t *out, const char *error)
{
	if (number_parse_i64(text, out) && *out >= low)
		return true;
	call_error(call, "ERR %s", error != NULL ? error : "value is out of range, must be positive");
	return false;
}

bool parse_random_words(struct call *call, const char *word, int64_t *count, bool *with_word)
{
	*with_word = false;
	if (!parse_integer(call, call->argv[2], count, NULL))
		return false;
	if (*count == INT64_MIN) {
		call_error(call, "ERR value is out of range, value must between %lld and %lld",
		    (long long)-INT64_MAX, (long long)INT64_MAX);
		return false;
	}
	if (call->argc == 3)
		return true;
	if (word == NULL || call->argc > 4 || !span_is(call->argv[3], word)) {
		reply_syntax_error(call);
		return false;
	}
	*with_word = true;
	if (*count >= -INT64_MAX / 2 && *count <= INT64_MAX / 2)
		return true;
	call_error(call, "ERR value is out of range");
	return false;
}

void store_made(struct call *call, struct span key, struct value *made, unsigned class, const char *event)
{
	uint64_t count = made->count;
	bool was_there = count > 0 || call_lookup_quiet(call, key) != NULL;
	if (!call_store_value(call, key, made, 0))
		return;
	if (count > 0)
		call_notify(call, class, event, key);
	else if (was_there)
		call_notify(call, NOTIFY_GENERIC, "del", key);
	reply_int(call->reply, (int64_t)count);
}

bool parse_mpop(struct call *call, uint32_t at, const char *first_end, const char *last_end,
    struct mpop *words)
{
	int64_t keys, most = 1;
	if (!parse_at_least(call, call->argv[at], 1, &keys, "numkeys should be greater than 0"))
		return false;
	if (keys >= (int64_t)call->argc - at - 1) {
		reply_syntax_error(call);
		return false;
	}
	uint32_t i = at + 1 + (uint32_t)keys;
	*words = (struct mpop){.first = at + 1, .count = (uint32_t)keys};
	words->last = span_is(call->argv[i], last_end);
	bool ok = words->last || span_is(call->argv[i], first_end);
	i++;
	if (ok && i + 1 < call->argc && span_is(call->argv[i], "COUNT")) {
		if (!parse_at_least(call, call->argv[i + 1], 1, &most, "count should be greater than 0"))
			return false;
		i += 2;
	}
	words->most = (uint64_t)most;
	if (ok && i == call->argc)
		return true;
	reply_syntax_error(call);
	return false;
}

bool long_double_parse(struct span text, long double *out)
{
	char copy[5 << 10], *end;
	if (text.len == 0 || text.len >= sizeof(copy) || text.ptr[0] <= ' ')
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	errno = 0;
	*out = strtold(copy, &end);
	if (errno == ERANGE && (isinf(*out) || *out == 0))
		return false;
	return end == copy + text.len && !isnan(*out);
}

size_t long_double_format(long double value, char *out, size_t bytes)
{
	int len = snprintf(out, bytes, "%.17Lf", value);
	while (len > 0 && out[len - 1] == '0')
		len--;
	if (len > 0 && out[len - 1] == '.')
		len--;
	if (len == 2 && out[0] == '-' && out[1] == '0') {
		out[0] = '0';
		len = 1;
	}
	return (size_t)len;
}

bool score_parse(struct span text, double *out)
{
	char copy[SCORE_TEXT_MAX], *end;
	int64_t number;
	if (text.len < 16 && number_parse_i64(text, &number)) {
		*out = (double)number;
		return true;
	}
	if (text.len == 0 || text.len >= sizeof(copy) || text.ptr[0] == ' ' ||
	    (text.ptr[0] >= '\t' && text.ptr[0] <= '\r'))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	errno = 0;
	*out = strtod(copy, &end);
	if (errno == ERANGE && (isinf(*out) || *out == 0))
		return false;
	return end == copy + text.len && !isnan(*out);
}

/* ---- Scans -------------------------------------------------------------------------------------- */

struct value_scan_job {
	struct reply items;
	struct scan_words words;
	uint64_t     found;
	uint8_t      type;
	bool         pairs;
};

static void scan_each(void *ctx, struct span name, struct span data, double score)
{
	struct value_scan_job *job = ctx;
	char text[NUMBER_TEXT_MAX];
	if (!scan_matches(&job->words, name))
		return;
	reply_bulk(&job->items, name);
	if (job->pairs && job->type == ENTRY_ZSET)
		reply_bulk(&job->items, span_of(text, number_format_double(score, text)));
	else if (job->pairs)
		reply_bulk(&job->items, data);
	job->found += job->pairs ? 2 : 1;
}

void reply_value_scan(struct call *call, enum entry_type type, bool pairs)
{
	struct value_scan_job job = {.type = (uint8_t)type, .pairs = pairs};
	struct value small;
	uint64_t cursor;
	char text[NUMBER_TEXT_MAX];
	if (!parse_cursor(call->argv[2], &cursor)) {
		call_error(call, "ERR invalid cursor");
		return;
	}
	const struct value *value = call_read_value(call, call->argv[1], type, &small);
	if (call->failed)
		return;
	if (value == NULL) {
		reply_array(call->reply, 2);
		reply_text(call->reply, "0");
		reply_array(call->reply, 0);
		return;
	}
	if (!parse_scan_words(call, 3, false, &job.words))
		return;
	/* COUNT bounds the work, as in Redis: so many members, or ten times as many steps. */
	uint64_t count = (uint64_t)job.words.count, most = count * (pairs ? 2 : 1);
	uint64_t steps = count > UINT64_MAX / 16 ? UINT64_MAX : count * 10;
	reply_init(&job.items, &call->engine->memory.replies, call->reply->resp);
	do
		cursor = value_scan(value, cursor, scan_each, &job);
	while (cursor != 0 && --steps > 0 && job.found < most);
	reply_array(call->reply, 2);
	reply_bulk(call->reply, span_of(text, number_format_u64(cursor, text)));
	reply_array(call->reply, job.found);
	reply_take(call->reply, &job.items);
	reply_fini(&job.items);
}

/* ---- Random members ------------------------------------------------------------------------------- */

/* Passes each with the probability that leaves just enough (D. Knuth, TAOCP 3.4.2, algorithm S). */
static void pick_by_walk(
    struct call *call, const struct value *value, uint64_t count, pick_each *each, void *ctx)
{
	struct walk walk;
	uint64_t left = value->count;
	walk_init(&walk, value);
	for (; count > 0 && walk_next(&walk); left--) {
		if (count < left && random_below(&call->engine->random, left) >= count)
			continue;
		each(ctx, &walk.name, &walk.data, walk.score);
		count--;
	}
}

/* Draws until there are enough different ones: for few out of many. */
static void pick_by_draw(
    struct call *call, const struct value *value, uint64_t count, pick_each *each, void *ctx)
{
	struct value drawn;
	struct buf ops;
	struct memory *memory = call_value_memory(call);
	value_init(&drawn, ENTRY_SET, memory);
	buf_init(&ops, memory);
	while (drawn.count < count) {
		struct item name, data = {0};
		double score = 0;
		uint64_t added;
		value_random(value, &call->engine->random, &name, &data, &score);
		buf_clear(&ops);
		ops_member(&ops, OP_ADD, name.bytes);
		enum err err = value_apply(&drawn, buf_span(&ops), call_value_limits(call), &added, NULL);
		ASSERT(err == OK);
		if (added > 0)
			each(ctx, &name, &data, score);
	}
	buf_fini(&ops);
	value_fini(&drawn);
}

void value_pick(struct call *call, const struct value *value, uint64_t count, pick_each *each, void *ctx)
{
	enum { FEW = 16, WALK_MAX = 1000 };
	ASSERT(value->type != ENTRY_LIST);
	if (value->count <= WALK_MAX || count > value->count / FEW)
		pick_by_walk(call, value, count, each, ctx);
	else
		pick_by_draw(call, value, count, each, ctx);
}
