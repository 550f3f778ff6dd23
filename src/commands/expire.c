/* commands/expire.c: deadlines of keys. */
#include "commands/handlers.h"

#include "base/arith.h"
#include "base/number.h"
#include "engine/pubsub.h"

bool expiry_to_ms(struct call *call, int64_t value, bool seconds, bool relative, int64_t *at_ms)
{
	bool fits = !seconds || mul_i64(value, 1000, &value);
	if (fits && relative)
		fits = add_i64(value, (int64_t)engine_now_ms(call->engine), &value);
	if (!fits || value < 0) {
		call_error(call, "ERR invalid expire time in '%s' command", call->command->name);
		return false;
	}
	*at_ms = value;
	return true;
}

bool is_expiry_word(struct span word)
{
	return span_is(word, "EX") || span_is(word, "PX") || span_is(word, "EXAT") ||
	    span_is(word, "PXAT");
}

bool parse_expiry(struct call *call, uint32_t *at, int64_t *at_ms)
{
	struct span word = call->argv[*at];
	int64_t value;
	bool seconds = span_is(word, "EX") || span_is(word, "EXAT");
	bool relative = span_is(word, "EX") || span_is(word, "PX");
	ASSERT(is_expiry_word(word));
	if (*at + 1 >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	if (!number_parse_i64(call->argv[*at + 1], &value)) {
		reply_not_integer(call);
		return false;
	}
	if (value <= 0) {
		call_error(call, "ERR invalid expire time in '%s' command", call->command->name);
		return false;
	}
	*at += 2;
	return expiry_to_ms(call, value, seconds, relative, at_ms);
}

struct conditions {
	bool nx, xx, gt, lt;
};

static bool parse_conditions(struct call *call, struct conditions *out)
{
	for (uint32_t i = 3; i < call->argc; i++) {
		struct span word = call->argv[i];
		if (span_is(word, "NX")) {
			out->nx = true;
		} else if (span_is(word, "XX")) {
			out->xx = true;
		} else if (span_is(word, "GT")) {
			out->gt = true;
		} else if (span_is(word, "LT")) {
			out->lt = true;
		} else {
			call_error(call, "ERR Unsupported option %.*s",
			    (int)(word.len < 128 ? word.len : 128), (const char *)word.ptr);
			return false;
		}
	}
	if (out->nx && (out->xx || out->gt || out->lt)) {
		call_error(
		    call, "ERR NX and XX, GT or LT options at the same time are not compatible");
		return false;
	}
	if (out->gt && out->lt) {
		call_error(call, "ERR GT and LT options at the same time are not compatible");
		return false;
	}
	return true;
}

/* `old_ms` 0 means no deadline, which is later than any. */
static bool conditions_hold(const struct conditions *conditions, int64_t old_ms, int64_t new_ms)
{
	if (conditions->nx && old_ms != 0)
		return false;
	if (conditions->xx && old_ms == 0)
		return false;
	if (conditions->gt && (old_ms == 0 || new_ms <= old_ms))
		return false;
	return !conditions->lt || old_ms == 0 || new_ms < old_ms;
}

static void expire_generic(struct call *call, bool seconds, bool relative)
{
	struct conditions conditions = {0};
	int64_t value, at_ms;
	if (!parse_conditions(call, &conditions))
		return;
	if (!number_parse_i64(call->argv[2], &value)) {
		reply_not_integer(call);
		return;
	}
	bool fits = !seconds || mul_i64(value, 1000, &value);
	if (fits && relative)
		fits = add_i64(value, (int64_t)engine_now_ms(call->engine), &value);
	if (!fits) {
		call_error(call, "ERR invalid expire time in '%s' command", call->command->name);
		return;
	}
	at_ms = value;
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	if (entry == NULL ||
	    !conditions_hold(&conditions, (int64_t)entry_expire_ms(entry), at_ms)) {
		reply_int(call->reply, 0);
		return;
	}
	bool over = at_ms <= (int64_t)engine_now_ms(call->engine);
	enum err err = over ? call_delete(call, entry) : call_expire(call, &entry, at_ms);
	if (err != OK) {
		call_fail(call, err, call->argv[1]);
		return;
	}
	call_notify(call, NOTIFY_GENERIC, over ? "del" : "expire", call->argv[1]);
	reply_int(call->reply, 1);
}

void cmd_expire(struct call *call)
{
	expire_generic(call, true, true);
}

void cmd_pexpire(struct call *call)
{
	expire_generic(call, false, true);
}

void cmd_expireat(struct call *call)
{
	expire_generic(call, true, false);
}

void cmd_pexpireat(struct call *call)
{
	expire_generic(call, false, false);
}

static void ttl_generic(struct call *call, bool seconds, bool relative)
{
	struct entry *entry = call_lookup_quiet(call, call->argv[1]);
	if (entry == NULL) {
		reply_int(call->reply, -2);
		return;
	}
	int64_t at_ms = (int64_t)entry_expire_ms(entry);
	if (at_ms == 0) {
		reply_int(call->reply, -1);
		return;
	}
	int64_t value = relative ? at_ms - (int64_t)engine_now_ms(call->engine) : at_ms;
	value = value < 0 ? 0 : value;
	if (seconds)
		value = relative ? (value + 500) / 1000 : value / 1000;
	reply_int(call->reply, value);
}

void cmd_ttl(struct call *call)
{
	ttl_generic(call, true, true);
}

void cmd_pttl(struct call *call)
{
	ttl_generic(call, false, true);
}

void cmd_expiretime(struct call *call)
{
	ttl_generic(call, true, false);
}

void cmd_pexpiretime(struct call *call)
{
	ttl_generic(call, false, false);
}

void cmd_persist(struct call *call)
{
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	if (entry == NULL || entry_expire_ms(entry) == 0) {
		reply_int(call->reply, 0);
		return;
	}
	enum err err = call_expire(call, &entry, 0);
	if (err != OK) {
		call_fail(call, err, call->argv[1]);
		return;
	}
	call_notify(call, NOTIFY_GENERIC, "persist", call->argv[1]);
	reply_int(call->reply, 1);
}
