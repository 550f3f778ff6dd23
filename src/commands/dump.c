/* commands/dump.c: DUMP and RESTORE: a key's value as bytes, in Redis's form (cache/rdb.h). */
#include "commands/collection.h"

#include "base/arith.h"
#include "cache/rdb.h"
#include "engine/evict.h"

void cmd_dump(struct call *call)
{
	struct value small;
	struct buf payload;
	struct entry *entry = call_lookup_quiet(call, call->argv[1]);
	if (entry == NULL) {
		reply_null(call->reply);
		return;
	}
	if (entry->type == ENTRY_IMAGE) {
		reply_wrong_type(call);
		return;
	}
	buf_init(&payload, &call->engine->memory.engine);
	if (entry->type == ENTRY_STRING)
		rdb_dump_string(entry_string(entry), &payload);
	else
		rdb_dump_value(entry_collection(entry, &small), &payload);
	reply_bulk(call->reply, buf_span(&payload));
	buf_fini(&payload);
}

struct restore {
	bool    replace, absolute;
	int64_t expire_ms;                /* 0: never */
	int64_t idle_s, frequency;        /* -1: not given */
};

static bool parse_restore(struct call *call, struct restore *restore)
{
	for (uint32_t i = 4; i < call->argc; i++) {
		bool has_value = i + 1 < call->argc;
		if (span_is(call->argv[i], "REPLACE")) {
			restore->replace = true;
		} else if (span_is(call->argv[i], "ABSTTL")) {
			restore->absolute = true;
		} else if (span_is(call->argv[i], "IDLETIME") && has_value && restore->frequency < 0) {
			if (!parse_integer(call, call->argv[++i], &restore->idle_s, NULL))
				return false;
			if (restore->idle_s < 0) {
				call_error(call, "ERR Invalid IDLETIME value, must be >= 0");
				return false;
			}
		} else if (span_is(call->argv[i], "FREQ") && has_value && restore->idle_s < 0) {
			if (!parse_integer(call, call->argv[++i], &restore->frequency, NULL))
				return false;
			if (restore->frequency < 0 || restore->frequency > 255) {
				call_error(call, "ERR Invalid FREQ value, must be >= 0 and <= 255");
				return false;
			}
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	return true;
}

/* False: an error was replied. */
static bool parse_deadline(struct call *call, struct restore *restore)
{
	int64_t ttl;
	if (!parse_integer(call, call->argv[2], &ttl, NULL))
		return false;
	if (ttl < 0 || (!restore->absolute &&
	        !add_i64(ttl, ttl == 0 ? 0 : (int64_t)engine_now_ms(call->engine), &ttl))) {
		call_error(call, "ERR Invalid TTL value, must be >= 0");
		return false;
	}
	restore->expire_ms = ttl;
	return true;
}

static bool restore_string(struct call *call, const struct restore *restore, struct span payload)
{
	struct buf text;
	struct string_options options = {.expire_ms = restore->expire_ms};
	buf_init(&text, &call->engine->memory.values);
	enum err err = rdb_load_string(payload, &text);
	if (err == ERR_CORRUPT)
		call_error(call, "ERR Bad data format");
	else if (err == OK)
		err = call_set_string(call, call->argv[1], buf_span(&text), NULL, &options);
	if (err != OK && err != ERR_CORRUPT)
		call_fail(call, err, call->argv[1]);
	buf_fini(&text);
	return err == OK;
}

static bool restore_value(
    struct call *call, const struct restore *restore, struct span payload, enum entry_type type)
{
	struct value value;
	value_init(&value, type, call_value_memory(call));
	enum err err = rdb_load_value(payload, &value, call_value_limits(call));
	if (err == ERR_CORRUPT)
		call_error(call, "ERR Bad data format");
	else if (err != OK)
		call_fail(call, err, call->argv[1]);
	bool done = err == OK && call_store_value(call, call->argv[1], &value, restore->expire_ms);
	value_fini(&value);
	return done;
}

/* Its last use was so long ago, or so often, as far as the policy asks for it. */
static void restore_use(struct call *call, const struct restore *restore)
{
	struct entry *entry = call_lookup_quiet(call, call->argv[1]);
	if (entry == NULL)
		return;
	bool counts = evict_counts_use(call->engine);
	if (counts && restore->frequency >= 0)
		entry->access_s =
		    (evict_first_use(call->engine, NULL) & ~255U) | (uint32_t)restore->frequency;
	uint64_t now_s = engine_now_ms(call->engine) / 1000;
	if (!counts && restore->idle_s >= 0)
		entry->access_s = (uint32_t)(now_s - min_u64(now_s, (uint64_t)restore->idle_s));
}

/* Would it be restored? False: an error was replied. */
static bool restore_is_sound(struct call *call, struct span payload, enum entry_type type)
{
	struct buf text;
	struct value value;
	enum err err;
	if (type == ENTRY_STRING) {
		buf_init(&text, &call->engine->memory.values);
		err = rdb_load_string(payload, &text);
		buf_fini(&text);
	} else {
		value_init(&value, type, call_value_memory(call));
		err = rdb_load_value(payload, &value, call_value_limits(call));
		value_fini(&value);
	}
	if (err == ERR_CORRUPT)
		call_error(call, "ERR Bad data format");
	else if (err != OK)
		call_fail(call, err, call->argv[1]);
	return err == OK;
}

/* Its time is over already: whatever was there goes, and nothing comes. */
static void restore_nothing(struct call *call, struct span payload, enum entry_type type)
{
	if (!restore_is_sound(call, payload, type))
		return;
	struct entry *old = call_lookup_write(call, call->argv[1]);
	enum err err = old == NULL ? OK : call_delete(call, old);
	if (err != OK) {
		call_fail(call, err, call->argv[1]);
		return;
	}
	if (old != NULL)
		call_notify(call, NOTIFY_GENERIC, "del", call->argv[1]);
	reply_ok(call->reply);
}

void cmd_restore(struct call *call)
{
	struct restore restore = {.idle_s = -1, .frequency = -1};
	struct span payload = call->argv[3];
	enum entry_type type;
	if (!parse_restore(call, &restore))
		return;
	if (!restore.replace && call_lookup_write(call, call->argv[1]) != NULL) {
		call_error(call, "BUSYKEY Target key name already exists.");
		return;
	}
	if (!parse_deadline(call, &restore))
		return;
	enum err err = rdb_check(payload, &type);
	if (err != OK) {
		call_error(call, err == ERR_VERSION ? "ERR DUMP payload version or checksum are wrong"
		                                    : "ERR Bad data format");
		return;
	}
	if (restore.expire_ms != 0 && (uint64_t)restore.expire_ms <= engine_now_ms(call->engine)) {
		restore_nothing(call, payload, type);
		return;
	}
	bool done = type == ENTRY_STRING ? restore_string(call, &restore, payload)
	                                 : restore_value(call, &restore, payload, type);
	if (!done)
		return;
	restore_use(call, &restore);
	call_notify(call, NOTIFY_GENERIC, "restore", call->argv[1]);
	reply_ok(call->reply);
}
