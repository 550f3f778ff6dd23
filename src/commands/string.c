/* commands/string.c: strings: reading and setting whole values. Arithmetic and parts of
 * values are in string_edit.c. */
#include "commands/handlers.h"

#include "base/arith.h"
#include "base/number.h"
#include "commands/string.h"
#include "engine/pubsub.h"

void reply_string(struct call *call, const struct entry *entry)
{
	struct body *body = entry_body(entry);
	void *block = body == NULL ? entry_block_ref(entry) : NULL;
	if (body != NULL)
		reply_bulk_ref(call->reply, body_span(body_ref(body)), body_release_ref, body);
	else if (block != NULL)
		reply_bulk_ref(call->reply, entry_string(entry), entry_block_unref, block);
	else
		reply_bulk(call->reply, entry_string(entry));
}

bool string_entry(struct call *call, const struct entry *entry)
{
	if (entry == NULL || entry->type == ENTRY_STRING)
		return true;
	reply_wrong_type(call);
	return false;
}

static struct body *arg_body(const struct call *call, uint32_t at)
{
	return call->bodies == NULL ? NULL : call->bodies[at];
}

static void notify_set(struct call *call, struct span key, const struct string_options *options)
{
	call_notify(call, NOTIFY_STRING, "set", key);
	if (options->expire_ms != 0)
		call_notify(call, NOTIFY_GENERIC, "expire", key);
}

bool set_arg(struct call *call, uint32_t key, uint32_t value, const struct string_options *options)
{
	enum err err = call_set_string(
	    call, call->argv[key], call->argv[value], arg_body(call, value), options);
	if (err == OK) {
		notify_set(call, call->argv[key], options);
		return true;
	}
	call_fail(call, err, call->argv[key]);
	return false;
}

void cmd_get(struct call *call)
{
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (entry == NULL)
		reply_null(call->reply);
	else if (string_entry(call, entry))
		reply_string(call, entry);
}

struct set_words {
	bool    nx, xx, get, keep_ttl, has_expiry;
	int64_t expire_ms;
};

/* The options behind SET key value. False: an error was replied. */
/* The number of an expiry is read behind all words: a wrong one of these is a syntax error first. */
static bool parse_set_words(struct call *call, struct set_words *words)
{
	uint32_t expiry = 0;
	for (uint32_t i = 3; i < call->argc;) {
		struct span word = call->argv[i];
		if (span_is(word, "NX") && !words->xx) {
			words->nx = true;
			i++;
		} else if (span_is(word, "XX") && !words->nx) {
			words->xx = true;
			i++;
		} else if (span_is(word, "GET")) {
			words->get = true;
			i++;
		} else if (span_is(word, "KEEPTTL") && !words->has_expiry) {
			words->keep_ttl = true;
			i++;
		} else if (is_expiry_word(word) && !words->keep_ttl && !words->has_expiry &&
		    i + 1 < call->argc) {
			words->has_expiry = true;
			expiry = i;
			i += 2;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	return !words->has_expiry || parse_expiry(call, &expiry, &words->expire_ms);
}

void cmd_set(struct call *call)
{
	struct set_words words = {0};
	if (call->argc > 3 && !parse_set_words(call, &words))
		return;
	struct entry *entry = NULL;
	if (words.nx || words.xx || words.get) {
		entry = words.get ? call_lookup_read(call, call->argv[1])
		                  : call_lookup_write(call, call->argv[1]);
		if (words.get && !string_entry(call, entry))
			return;
	}
	/* With GET the old value is the reply, whatever happens; it is written first. */
	size_t before = call->reply->bytes.len;
	uint32_t refs = call->reply->ref_count;
	if (words.get) {
		if (entry == NULL)
			reply_null(call->reply);
		else
			reply_string(call, entry);
	}
	if ((words.nx && entry != NULL) || (words.xx && entry == NULL)) {
		if (!words.get)
			reply_null(call->reply);
		return;
	}
	struct string_options options = {
	    .expire_ms = words.expire_ms, .keep_expiry = words.keep_ttl};
	enum err err =
	    call_set_string(call, call->argv[1], call->argv[2], arg_body(call, 2), &options);
	if (err != OK) {
		if (words.get)
			reply_cut(call->reply, before, refs);
		call_fail(call, err, call->argv[1]);
		return;
	}
	if (!words.get)
		reply_ok(call->reply);
	notify_set(call, call->argv[1], &options);
}

void cmd_setnx(struct call *call)
{
	struct string_options options = {0};
	if (call_lookup_write(call, call->argv[1]) != NULL)
		reply_int(call->reply, 0);
	else if (set_arg(call, 1, 2, &options))
		reply_int(call->reply, 1);
}

static void set_with_ttl(struct call *call, bool seconds)
{
	int64_t value;
	struct string_options options = {0};
	if (!number_parse_i64(call->argv[2], &value)) {
		reply_not_integer(call);
		return;
	}
	if (value <= 0) {
		call_error(call, "ERR invalid expire time in '%s' command", call->command->name);
		return;
	}
	if (expiry_to_ms(call, value, seconds, true, &options.expire_ms) &&
	    set_arg(call, 1, 3, &options))
		reply_ok(call->reply);
}

void cmd_setex(struct call *call)
{
	set_with_ttl(call, true);
}

void cmd_psetex(struct call *call)
{
	set_with_ttl(call, false);
}

void cmd_getset(struct call *call)
{
	struct string_options options = {0};
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (!string_entry(call, entry))
		return;
	size_t bytes = call->reply->bytes.len;
	uint32_t refs = call->reply->ref_count;
	if (entry == NULL)
		reply_null(call->reply);
	else
		reply_string(call, entry);
	enum err err =
	    call_set_string(call, call->argv[1], call->argv[2], arg_body(call, 2), &options);
	if (err != OK) {
		reply_cut(call->reply, bytes, refs);
		call_fail(call, err, call->argv[1]);
		return;
	}
	notify_set(call, call->argv[1], &options);
}

void cmd_getdel(struct call *call)
{
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (entry == NULL) {
		reply_null(call->reply);
		return;
	}
	if (!string_entry(call, entry))
		return;
	size_t bytes = call->reply->bytes.len;
	uint32_t refs = call->reply->ref_count;
	reply_string(call, entry);
	enum err err = call_delete(call, entry);
	if (err != OK) {
		reply_cut(call->reply, bytes, refs);
		call_fail(call, err, call->argv[1]);
		return;
	}
	call_notify(call, NOTIFY_GENERIC, "del", call->argv[1]);
}

/* GETEX leaves the deadline, clears it, or sets it. Its number is read only if there is a key. */
static bool getex_is_sound(struct call *call)
{
	uint32_t at = 2;
	while (at < call->argc && span_is(call->argv[at], "PERSIST"))
		at++;
	if (at == call->argc || (call->argc == 4 && is_expiry_word(call->argv[2])))
		return true;
	reply_syntax_error(call);
	return false;
}

void cmd_getex(struct call *call)
{
	bool change = call->argc > 2;
	uint32_t at = 2;
	int64_t at_ms = 0;
	if (!getex_is_sound(call))
		return;
	struct entry *entry = call_lookup_read(call, call->argv[1]);
	if (entry == NULL) {
		reply_null(call->reply);
		return;
	}
	bool sets = call->argc == 4 && is_expiry_word(call->argv[2]);
	if (!string_entry(call, entry) || (sets && !parse_expiry(call, &at, &at_ms)))
		return;
	size_t bytes = call->reply->bytes.len;
	uint32_t refs = call->reply->ref_count;
	reply_string(call, entry);
	enum err err = OK;
	const char *event = NULL;
	if (change && at_ms != 0 && (uint64_t)at_ms <= engine_now_ms(call->engine)) {
		err = call_delete(call, entry);
		event = "del";
	} else if (change && (at_ms != 0 || entry_expire_ms(entry) != 0)) {
		err = call_expire(call, &entry, at_ms);
		event = at_ms != 0 ? "expire" : "persist";
	}
	if (err != OK) {
		reply_cut(call->reply, bytes, refs);
		call_fail(call, err, call->argv[1]);
	} else if (event != NULL) {
		call_notify(call, NOTIFY_GENERIC, event, call->argv[1]);
	}
}

void cmd_mget(struct call *call)
{
	reply_array(call->reply, call->argc - 1);
	for (uint32_t i = 1; i < call->argc; i++) {
		struct entry *entry = call_lookup_read(call, call->argv[i]);
		if (entry == NULL || entry->type != ENTRY_STRING)
			reply_null(call->reply);
		else
			reply_string(call, entry);
	}
}

/* One atomic group of records: room for all is found first, so that none is refused half way,
 * and recovery shows all of them or none. */
static bool set_pairs(struct call *call)
{
	struct string_options options = {.grouped = true};
	uint64_t bytes = 0;
	uint32_t bodies = 0;
	bool ok = true;
	for (uint32_t i = 1; i < call->argc; i++) {
		bytes += call->argv[i].len;
		bodies += call->argv[i].len > BODY_INLINE_MAX;
		bytes += i % 2 == 1 ? call->argv[i].len : 0;
	}
	enum err err = store_begin_group(call->engine->store, call->argc - 1, bodies, bytes);
	if (err != OK) {
		call_fail(call, err, call->argv[1]);
		return false;
	}
	call->may_wait = false;
	for (uint32_t i = 1; i < call->argc && ok; i += 2) {
		options.continues = i + 2 < call->argc;
		ok = set_arg(call, i, i + 1, &options);
	}
	store_end_group(call->engine->store);
	return ok;
}

static bool pairs_are_whole(struct call *call)
{
	if (call->argc % 2 == 0) {
		call_error(
		    call, "ERR wrong number of arguments for '%s' command", call->command->name);
		return false;
	}
	for (uint32_t i = 1; i < call->argc; i += 2) {
		if (call->argv[i].len > KEY_BYTES_MAX) {
			call_fail(call, ERR_TOOLARGE, call->argv[i]);
			return false;
		}
	}
	return true;
}

void cmd_mset(struct call *call)
{
	if (pairs_are_whole(call) && set_pairs(call))
		reply_ok(call->reply);
}

void cmd_msetnx(struct call *call)
{
	if (!pairs_are_whole(call))
		return;
	for (uint32_t i = 1; i < call->argc; i += 2) {
		if (call_lookup_write(call, call->argv[i]) != NULL) {
			reply_int(call->reply, 0);
			return;
		}
	}
	if (set_pairs(call))
		reply_int(call->reply, 1);
}
