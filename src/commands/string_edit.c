/* commands/string_edit.c: numbers in strings, and parts of strings. Every change logs the
 * whole new value: a record is the key's dump. */
#include "commands/string.h"
#include "commands/collection.h"

#include "base/arith.h"
#include "base/number.h"
#include "engine/pubsub.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool string_store(struct call *call, struct span value, const char *event)
{
	struct string_options options = {.keep_expiry = true};
	enum err err = call_set_string(call, call->argv[1], value, NULL, &options);
	if (err != OK)
		call_fail(call, err, call->argv[1]);
	else if (event != NULL)
		call_notify(call, NOTIFY_STRING, event, call->argv[1]);
	return err == OK;
}

static void incr_by(struct call *call, int64_t by)
{
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	int64_t value = 0;
	char text[NUMBER_TEXT_MAX];
	if (!string_entry(call, entry))
		return;
	if (entry != NULL && !number_parse_i64(entry_string(entry), &value)) {
		reply_not_integer(call);
		return;
	}
	if (!add_i64(value, by, &value)) {
		call_error(call, "ERR increment or decrement would overflow");
		return;
	}
	if (string_store(call, span_of(text, number_format_i64(value, text)), "incrby"))
		reply_int(call->reply, value);
}

void cmd_incr(struct call *call)
{
	incr_by(call, 1);
}

void cmd_decr(struct call *call)
{
	incr_by(call, -1);
}

void cmd_incrby(struct call *call)
{
	int64_t by;
	if (!number_parse_i64(call->argv[2], &by))
		reply_not_integer(call);
	else
		incr_by(call, by);
}

void cmd_decrby(struct call *call)
{
	int64_t by;
	if (!number_parse_i64(call->argv[2], &by))
		reply_not_integer(call);
	else if (by == INT64_MIN)
		call_error(call, "ERR decrement would overflow");
	else
		incr_by(call, -by);
}

void cmd_incrbyfloat(struct call *call)
{
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	long double value = 0, by;
	char text[LONG_DOUBLE_TEXT_MAX];
	if (!string_entry(call, entry))
		return;
	if ((entry != NULL && !long_double_parse(entry_string(entry), &value)) ||
	    !long_double_parse(call->argv[2], &by)) {
		call_error(call, "ERR value is not a valid float");
		return;
	}
	value += by;
	if (isnan(value) || isinf(value)) {
		call_error(call, "ERR increment would produce NaN or Infinity");
		return;
	}
	struct span result = span_of(text, long_double_format(value, text, sizeof(text)));
	if (string_store(call, result, "incrbyfloat"))
		reply_bulk(call->reply, result);
}

struct buf string_copy(struct call *call, const struct entry *entry, uint64_t len, bool *ok)
{
	struct buf copy;
	struct span old = entry == NULL ? (struct span){0} : entry_string(entry);
	buf_init(&copy, &call->engine->memory.values);
	*ok = false;
	if (len > call->engine->settings->proto_max_bulk_len) {
		call_error(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
		return copy;
	}
	if (!buf_try_reserve(&copy, len + 1)) {
		call_fail(call, ERR_MEMORY, call->argv[1]);
		return copy;
	}
	if (old.len > 0)
		memcpy(copy.ptr, old.ptr, old.len);
	if (len > old.len)
		memset(copy.ptr + old.len, 0, len - old.len);
	copy.len = len;
	*ok = true;
	return copy;
}

void cmd_append(struct call *call)
{
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	struct span more = call->argv[2];
	struct string_options options = {0};
	bool ok;
	if (!string_entry(call, entry))
		return;
	if (entry == NULL) {
		struct body *body = call->bodies == NULL ? NULL : call->bodies[2];
		enum err err = call_set_string(call, call->argv[1], more, body, &options);
		if (err != OK) {
			call_fail(call, err, call->argv[1]);
			return;
		}
		call_notify(call, NOTIFY_STRING, "append", call->argv[1]);
		reply_int(call->reply, (int64_t)more.len);
		return;
	}
	uint64_t old_len = entry_string(entry).len;
	struct buf value = string_copy(call, entry, old_len + more.len, &ok);
	if (ok && more.len > 0)
		memcpy(value.ptr + old_len, more.ptr, more.len);
	if (ok && string_store(call, buf_span(&value), "append"))
		reply_int(call->reply, (int64_t)value.len);
	buf_fini(&value);
}

void cmd_strlen(struct call *call)
{
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (string_entry(call, entry))
		reply_int(call->reply, entry == NULL ? 0 : (int64_t)entry_string(entry).len);
}

void cmd_getrange(struct call *call)
{
	int64_t start, end;
	if (!number_parse_i64(call->argv[2], &start) || !number_parse_i64(call->argv[3], &end)) {
		reply_not_integer(call);
		return;
	}
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (!string_entry(call, entry))
		return;
	struct span value = entry == NULL ? (struct span){0} : entry_string(entry);
	int64_t len = (int64_t)value.len;
	if (start < 0 && end < 0 && start > end)
		len = 0;
	start = start < 0 ? start + len : start;
	end = end < 0 ? end + len : end;
	start = start < 0 ? 0 : start;
	end = end < 0 ? 0 : end;
	end = end >= len ? len - 1 : end;
	if (len == 0 || start > end)
		reply_bulk(call->reply, (struct span){0});
	else
		reply_bulk(
		    call->reply, span_slice(value, (size_t)start, (size_t)(end - start + 1)));
}

void cmd_setrange(struct call *call)
{
	int64_t offset;
	uint64_t need;
	bool ok;
	struct span part = call->argv[3];
	if (!number_parse_i64(call->argv[2], &offset)) {
		reply_not_integer(call);
		return;
	}
	if (offset < 0) {
		call_error(call, "ERR offset is out of range");
		return;
	}
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	if (!string_entry(call, entry))
		return;
	uint64_t len = entry == NULL ? 0 : entry_string(entry).len;
	if (part.len == 0) {
		reply_int(call->reply, (int64_t)len);
		return;
	}
	if (!add_u64((uint64_t)offset, part.len, &need)) {
		call_error(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
		return;
	}
	struct buf value = string_copy(call, entry, max_u64(need, len), &ok);
	if (ok)
		memcpy(value.ptr + offset, part.ptr, part.len);
	if (ok && string_store(call, buf_span(&value), "setrange"))
		reply_int(call->reply, (int64_t)value.len);
	buf_fini(&value);
}
