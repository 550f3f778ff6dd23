/* commands/hash.c: hashes. */
#include "commands/collection.h"

#include "base/arith.h"
#include "base/number.h"

#include <math.h>

/* The hash at argv[1]; NULL: there is none, or it is something else (call->failed). */
static const struct value *read_hash(struct call *call, struct value *small)
{
	return call_read_value(call, call->argv[1], ENTRY_HASH, small);
}

/* ---- Writing ---------------------------------------------------------------------------------- */

static void set_fields(struct call *call, bool reply_added)
{
	struct edit edit;
	if (call->argc % 2 != 0) {
		call_error(call, "ERR wrong number of arguments for '%s' command", call->command->name);
		return;
	}
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_HASH))
		return;
	for (uint32_t i = 2; i < call->argc; i += 2)
		ops_set(&edit.ops, call->argv[i], call->argv[i + 1]);
	if (!edit_commit(&edit))
		return;
	edit_tell(&edit, NOTIFY_HASH, "hset");
	if (reply_added)
		reply_int(call->reply, (int64_t)edit.added);
	else
		reply_ok(call->reply);
}

void cmd_hset(struct call *call) { set_fields(call, true); }
void cmd_hmset(struct call *call) { set_fields(call, false); }

void cmd_hsetnx(struct call *call)
{
	struct edit edit;
	struct item item;
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_HASH))
		return;
	if (hash_get(edit.value, call->argv[2], &item)) {
		edit_drop(&edit);
		reply_int(call->reply, 0);
		return;
	}
	ops_set(&edit.ops, call->argv[2], call->argv[3]);
	if (!edit_commit(&edit))
		return;
	edit_tell(&edit, NOTIFY_HASH, "hset");
	reply_int(call->reply, 1);
}

void cmd_hdel(struct call *call)
{
	struct edit edit;
	struct item data;
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_HASH))
		return;
	for (uint32_t i = 2; i < call->argc; i++)
		if (hash_get(edit.value, call->argv[i], &data))
			ops_member(&edit.ops, OP_DELETE, call->argv[i]);
	if (!edit_commit(&edit))
		return;
	if (edit.removed > 0)
		edit_tell(&edit, NOTIFY_HASH, "hdel");
	reply_int(call->reply, (int64_t)edit.removed);
}

void cmd_hincrby(struct call *call)
{
	struct edit edit;
	struct item item;
	char text[NUMBER_TEXT_MAX];
	int64_t by, number = 0;
	const char *error = NULL;
	if (!parse_integer(call, call->argv[3], &by, NULL) ||
	    !edit_begin(call, &edit, call->argv[1], ENTRY_HASH))
		return;
	if (hash_get(edit.value, call->argv[2], &item) && !number_parse_i64(item.bytes, &number))
		error = "ERR hash value is not an integer";
	else if (!add_i64(number, by, &number))
		error = "ERR increment or decrement would overflow";
	if (error != NULL) {
		edit_drop(&edit);
		call_error(call, "%s", error);
		return;
	}
	ops_set(&edit.ops, call->argv[2], span_of(text, number_format_i64(number, text)));
	if (!edit_commit(&edit))
		return;
	edit_tell(&edit, NOTIFY_HASH, "hincrby");
	reply_int(call->reply, number);
}

void cmd_hincrbyfloat(struct call *call)
{
	struct edit edit;
	struct item item;
	char text[LONG_DOUBLE_TEXT_MAX];
	long double by, number = 0;
	const char *error = NULL;
	if (!long_double_parse(call->argv[3], &by)) {
		call_error(call, "ERR value is not a valid float");
		return;
	}
	if (isinf(by)) {
		call_error(call, "ERR value is NaN or Infinity");
		return;
	}
	if (!edit_begin(call, &edit, call->argv[1], ENTRY_HASH))
		return;
	if (hash_get(edit.value, call->argv[2], &item) && !long_double_parse(item.bytes, &number))
		error = "ERR hash value is not a float";
	number += by;
	if (error == NULL && (isnan(number) || isinf(number)))
		error = "ERR increment would produce NaN or Infinity";
	if (error != NULL) {
		edit_drop(&edit);
		call_error(call, "%s", error);
		return;
	}
	struct span result = span_of(text, long_double_format(number, text, sizeof(text)));
	ops_set(&edit.ops, call->argv[2], result);
	if (!edit_commit(&edit))
		return;
	edit_tell(&edit, NOTIFY_HASH, "hincrbyfloat");
	reply_bulk(call->reply, result);
}

/* ---- Reading ----------------------------------------------------------------------------------- */

static void reply_field(struct reply *reply, const struct value *hash, struct span field)
{
	struct item item;
	if (hash != NULL && hash_get(hash, field, &item))
		reply_bulk(reply, item.bytes);
	else
		reply_null(reply);
}

void cmd_hget(struct call *call)
{
	struct value small;
	const struct value *hash = read_hash(call, &small);
	if (!call->failed)
		reply_field(call->reply, hash, call->argv[2]);
}

void cmd_hmget(struct call *call)
{
	struct value small;
	const struct value *hash = read_hash(call, &small);
	if (call->failed)
		return;
	reply_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++)
		reply_field(call->reply, hash, call->argv[i]);
}

void cmd_hlen(struct call *call)
{
	struct value small;
	const struct value *hash = read_hash(call, &small);
	if (!call->failed)
		reply_int(call->reply, hash == NULL ? 0 : (int64_t)hash->count);
}

void cmd_hexists(struct call *call)
{
	struct value small;
	struct item item;
	const struct value *hash = read_hash(call, &small);
	if (!call->failed)
		reply_int(call->reply, hash != NULL && hash_get(hash, call->argv[2], &item));
}

void cmd_hstrlen(struct call *call)
{
	struct value small;
	struct item item = {0};
	const struct value *hash = read_hash(call, &small);
	bool found = hash != NULL && hash_get(hash, call->argv[2], &item);
	if (!call->failed)
		reply_int(call->reply, found ? (int64_t)item.bytes.len : 0);
}

static void reply_all(struct call *call, bool names, bool data)
{
	struct value small;
	struct walk walk;
	const struct value *hash = read_hash(call, &small);
	if (call->failed)
		return;
	uint64_t count = hash == NULL ? 0 : hash->count;
	if (names && data)
		reply_map(call->reply, count);
	else
		reply_array(call->reply, count);
	if (hash == NULL)
		return;
	walk_init(&walk, hash);
	while (walk_next(&walk)) {
		if (names)
			reply_bulk(call->reply, walk.name.bytes);
		if (data)
			reply_bulk(call->reply, walk.data.bytes);
	}
}

void cmd_hgetall(struct call *call) { reply_all(call, true, true); }
void cmd_hkeys(struct call *call) { reply_all(call, true, false); }
void cmd_hvals(struct call *call) { reply_all(call, false, true); }

void cmd_hscan(struct call *call) { reply_value_scan(call, ENTRY_HASH, true); }

/* ---- HRANDFIELD ------------------------------------------------------------------------------------ */

struct random_fields {
	struct reply *reply;
	bool          with_values;
};

static void reply_picked(void *ctx, const struct item *name, const struct item *data, double score)
{
	const struct random_fields *job = ctx;
	UNUSED(score);
	if (job->with_values && job->reply->resp == 3)
		reply_array(job->reply, 2);
	reply_bulk(job->reply, name->bytes);
	if (job->with_values)
		reply_bulk(job->reply, data->bytes);
}

static void reply_drawn(
    struct call *call, const struct value *hash, uint64_t count, struct random_fields *job)
{
	for (uint64_t i = 0; i < count; i++) {
		struct item name, data;
		value_random(hash, &call->engine->random, &name, &data, NULL);
		reply_picked(job, &name, &data, 0);
	}
}

void cmd_hrandfield(struct call *call)
{
	struct value small;
	struct item name;
	int64_t count = 0;
	struct random_fields job = {.reply = call->reply};
	if (call->argc > 2 && !parse_random_words(call, "WITHVALUES", &count, &job.with_values))
		return;
	const struct value *hash = read_hash(call, &small);
	if (call->failed)
		return;
	if (call->argc == 2) {
		if (hash == NULL) {
			reply_null(call->reply);
			return;
		}
		value_random(hash, &call->engine->random, &name, NULL, NULL);
		reply_bulk(call->reply, name.bytes);
		return;
	}
	uint64_t total = hash == NULL ? 0 : hash->count;
	uint64_t want = count < 0 ? (total == 0 ? 0 : (uint64_t)-count) : min_u64((uint64_t)count, total);
	reply_array(call->reply, want * (job.with_values && call->reply->resp == 2 ? 2 : 1));
	if (want > 0 && count < 0)
		reply_drawn(call, hash, want, &job);
	else if (want > 0)
		value_pick(call, hash, want, reply_picked, &job);
}
