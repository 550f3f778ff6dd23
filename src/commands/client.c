/* commands/client.c: the CLIENT family. */
#include "commands/handlers.h"

#include "base/arith.h"
#include "base/number.h"
#include "engine/block.h"
#include "engine/clients.h"
#include "engine/databases.h"
#include "engine/pubsub.h"
#include "engine/tracking.h"
#include "engine/transaction.h"
#include "engine/users.h"
#include "engine/wait.h"
#include "engine/replica/replica.h"

void cmd_client_id(struct call *call)
{
	reply_int(call->reply, (int64_t)call->session->id);
}

/* In Redis's order. */
static void append_flags(const struct session *session, struct buf *out)
{
	const struct transaction *transaction = session->transaction;
	unsigned tracks = tracking_flags(session);
	const struct { char letter; bool is_set; } flags[] = {
	    {'S', session->replica != NULL && session->replica->streaming},
	    {'O', !list_is_empty(&session->monitor_link)}, {'P', pubsub_listens(session)},
	    {'x', transaction != NULL && transaction->is_open}, {'b', session->parked != NULL},
	    {'t', tracks != 0}, {'R', (tracks & TRACK_BROKEN) != 0}, {'B', (tracks & TRACK_BCAST) != 0},
	    {'d', transaction != NULL && transaction->is_stale},
	    {'c', session->closing || session->close_after_reply}, {'U', session->unix_socket},
	    {'e', session->no_evict}, {'T', session->no_touch}};
	size_t before = out->len;
	for (size_t i = 0; i < ARRAY_COUNT(flags); i++)
		if (flags[i].is_set)
			buf_append_u8(out, (uint8_t)flags[i].letter);
	if (out->len == before)
		buf_append_u8(out, 'N');
}

void client_line(const struct session *session, struct buf *out)
{
	const struct engine *engine = session->engine;
	uint64_t now_us = io_now_us(engine->io);
	const struct command *command = session->last_command;
	const struct transaction *transaction = session->transaction;
	buf_printf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=",
	    (unsigned long long)session->id, session->address, session->local_address, session->fd,
	    session->name, (unsigned long long)((now_us - session->created_us) / 1000000),
	    (unsigned long long)((now_us - session->active_us) / 1000000));
	append_flags(session, out);
	uint64_t memory = session_bytes(session);
	buf_printf(out,
	    " db=%u sub=%u psub=%u ssub=%u multi=%lld watch=%u qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=%llu"
	    " rbs=0 rbp=0 obl=%zu oll=%u omem=%zu tot-mem=%llu events=r cmd=%s%s%s"
	    " user=%.*s redir=%lld resp=%u lib-name=%s lib-ver=%s",
	    database_number(engine, session->db), pubsub_count(session, CHANNEL_PLAIN),
	    pubsub_count(session, CHANNEL_PATTERN), pubsub_count(session, CHANNEL_SHARD),
	    transaction != NULL && transaction->is_open ? (long long)transaction->count : -1LL,
	    transaction != NULL ? transaction->watched_count : 0, (unsigned long long)session->input_bytes,
	    (unsigned long long)(transaction != NULL ? transaction->bytes : 0), session->out.bytes.len,
	    session->slot_count, session->out.bytes.cap, (unsigned long long)memory,
	    command == NULL               ? "NULL"
	        : command->parent != NULL ? command->parent
	                                  : command->name,
	    command != NULL && command->parent != NULL ? "|" : "",
	    command != NULL && command->parent != NULL ? command->name : "", (int)session->user->name.len,
	    (const char *)session->user->name.ptr, (long long)tracking_redirect(session), session->resp,
	    session->lib_name, session->lib_version);
	buf_append_u8(out, '\n');
}

void cmd_client_info(struct call *call)
{
	struct buf text;
	buf_init(&text, &call->engine->memory.replies);
	client_line(call->session, &text);
	reply_verbatim(call->reply, buf_span(&text));
	buf_fini(&text);
}

enum client_type { CLIENT_ANY, CLIENT_NORMAL, CLIENT_PUBSUB, CLIENT_REPLICA, CLIENT_MASTER };

/* The link to a master is no session: cmd_client_kill closes it. */
static bool parse_client_type(struct call *call, struct span word, enum client_type *type)
{
	static const struct { const char *name; enum client_type type; } names[] = {
	    {"normal", CLIENT_NORMAL}, {"pubsub", CLIENT_PUBSUB}, {"master", CLIENT_MASTER},
	    {"replica", CLIENT_REPLICA}, {"slave", CLIENT_REPLICA}};
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if (span_is(word, names[i].name)) {
			*type = names[i].type;
			return true;
		}
	}
	call_error(call, "ERR Unknown client type '%.*s'", (int)(word.len < 64 ? word.len : 64),
	    (const char *)word.ptr);
	return false;
}

static bool client_is(const struct session *session, enum client_type type)
{
	if (type == CLIENT_ANY)
		return true;
	if (session->replica != NULL && session->replica->streaming)
		return type == CLIENT_REPLICA;
	return type == (pubsub_listens(session) ? CLIENT_PUBSUB : CLIENT_NORMAL);
}

static bool id_is_listed(const struct call *call, uint32_t from, uint64_t id)
{
	int64_t value;
	for (uint32_t i = from; i < call->argc; i++)
		if (number_parse_i64(call->argv[i], &value) && (uint64_t)value == id)
			return true;
	return false;
}

void cmd_client_list(struct call *call)
{
	enum client_type type = CLIENT_ANY;
	bool by_id = false;
	int64_t value;
	if (call->argc == 4 && span_is(call->argv[2], "TYPE")) {
		if (!parse_client_type(call, call->argv[3], &type))
			return;
	} else if (call->argc > 3 && span_is(call->argv[2], "ID")) {
		by_id = true;
		for (uint32_t i = 3; i < call->argc; i++) {
			if (!number_parse_i64(call->argv[i], &value)) {
				call_error(call, "ERR Invalid client ID");
				return;
			}
		}
	} else if (call->argc != 2) {
		reply_syntax_error(call);
		return;
	}
	struct buf text;
	buf_init(&text, &call->engine->memory.replies);
	struct list *head = &call->engine->sessions;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct session *session = LIST_OF(at, struct session, link);
		if (client_is(session, type) && (!by_id || id_is_listed(call, 3, session->id)))
			client_line(session, &text);
	}
	reply_verbatim(call->reply, buf_span(&text));
	buf_fini(&text);
}

void cmd_client_getname(struct call *call)
{
	if (call->session->name[0] == 0)
		reply_null(call->reply);
	else
		reply_text(call->reply, call->session->name);
}

void cmd_client_setname(struct call *call)
{
	if (session_set_name(call, call->argv[2]))
		reply_ok(call->reply);
}

void cmd_client_setinfo(struct call *call)
{
	struct span value = call->argv[3];
	char *out;
	if (span_is(call->argv[2], "lib-name")) {
		out = call->session->lib_name;
	} else if (span_is(call->argv[2], "lib-ver")) {
		out = call->session->lib_version;
	} else {
		call_error(call, "ERR Unrecognized option '%.*s'",
		    (int)(call->argv[2].len < 64 ? call->argv[2].len : 64),
		    (const char *)call->argv[2].ptr);
		return;
	}
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < '!' || value.ptr[i] > '~') {
			call_error(call,
			    "ERR %s cannot contain spaces, newlines or special characters.",
			    out == call->session->lib_name ? "lib-name" : "lib-ver");
			return;
		}
	}
	if (value.len >= SESSION_TEXT_MAX) {
		call_error(
		    call, "ERR library names are limited to %d bytes here", SESSION_TEXT_MAX - 1);
		return;
	}
	memcpy(out, value.ptr, value.len);
	out[value.len] = 0;
	reply_ok(call->reply);
}

static bool parse_on_off(struct call *call, bool *out)
{
	*out = span_is(call->argv[2], "ON");
	if (!*out && !span_is(call->argv[2], "OFF")) {
		reply_syntax_error(call);
		return false;
	}
	reply_ok(call->reply);
	return true;
}

void cmd_client_no_evict(struct call *call)
{
	bool on;
	if (parse_on_off(call, &on))
		call->session->no_evict = on;
}

void cmd_client_no_touch(struct call *call)
{
	bool on;
	if (parse_on_off(call, &on))
		call->session->no_touch = on;
}

void cmd_client_reply(struct call *call)
{
	struct session *session = call->session;
	if (span_is(call->argv[2], "ON")) {
		session->reply_mode = REPLY_ON;
		reply_ok(call->reply);
	} else if (span_is(call->argv[2], "OFF")) {
		session->reply_mode = REPLY_OFF;
	} else if (span_is(call->argv[2], "SKIP")) {
		if (session->reply_mode != REPLY_OFF)
			session->skip_next = true;
	} else {
		reply_syntax_error(call);
	}
}

struct kill_filter {
	struct span address, local_address;
	const struct user *user;          /* NULL: any */
	uint64_t    id, age_s;
	enum client_type type;
	bool        skip_me, has_age;
};

static bool parse_kill_option(
    struct call *call, struct kill_filter *filter, struct span name, struct span value)
{
	int64_t number;
	if (span_is(name, "ID")) {
		if (!number_parse_i64(value, &number) || number < 1) {
			call_error(call, "ERR client-id should be greater than 0");
			return false;
		}
		filter->id = (uint64_t)number;
	} else if (span_is(name, "MAXAGE")) {
		if (!number_parse_i64(value, &number) || number < 1) {
			call_error(call, "ERR maxage should be greater than 0");
			return false;
		}
		filter->age_s = (uint64_t)number;
		filter->has_age = true;
	} else if (span_is(name, "TYPE")) {
		return parse_client_type(call, value, &filter->type);
	} else if (span_is(name, "ADDR")) {
		filter->address = value;
	} else if (span_is(name, "LADDR")) {
		filter->local_address = value;
	} else if (span_is(name, "USER")) {
		filter->user = users_find(call->engine, value);
		if (filter->user == NULL) {
			call_error(call, "ERR No such user '%.*s'",
			    (int)(value.len < 64 ? value.len : 64), (const char *)value.ptr);
			return false;
		}
	} else if (span_is(name, "SKIPME") && (span_is(value, "yes") || span_is(value, "no"))) {
		filter->skip_me = span_is(value, "yes");
	} else {
		reply_syntax_error(call);
		return false;
	}
	return true;
}

static bool kill_matches(const struct kill_filter *filter, const struct session *session)
{
	uint64_t age_s = (io_now_us(session->engine->io) - session->created_us) / 1000000;
	if (filter->id != 0 && filter->id != session->id)
		return false;
	if (filter->user != NULL && filter->user != session->user)
		return false;
	if (filter->address.ptr != NULL &&
	    !span_equal(filter->address, span_text(session->address)))
		return false;
	if (filter->local_address.ptr != NULL &&
	    !span_equal(filter->local_address, span_text(session->local_address)))
		return false;
	return client_is(session, filter->type) && (!filter->has_age || age_s >= filter->age_s);
}

static int64_t kill_sessions(struct call *call, const struct kill_filter *filter)
{
	int64_t count = 0;
	struct list *head = &call->engine->sessions;
	for (struct list *at = head->next; at != head;) {
		struct session *session = LIST_OF(at, struct session, link);
		at = at->next;
		if (session->closing || !kill_matches(filter, session))
			continue;
		if (session == call->session && filter->skip_me)
			continue;
		count++;
		if (session == call->session)
			session->close_after_reply = true;
		else
			session->ops->close(session);
	}
	return count;
}

void cmd_client_kill(struct call *call)
{
	struct kill_filter filter = {.skip_me = true};
	if (call->argc == 3) {
		filter.address = call->argv[2];
		filter.skip_me = false;
		if (kill_sessions(call, &filter) == 0)
			call_error(call, "ERR No such client");
		else
			reply_ok(call->reply);
		return;
	}
	if (call->argc % 2 != 0) {
		reply_syntax_error(call);
		return;
	}
	for (uint32_t i = 2; i < call->argc; i += 2)
		if (!parse_kill_option(call, &filter, call->argv[i], call->argv[i + 1]))
			return;
	int64_t count = kill_sessions(call, &filter);
	struct follower *follower = &call->engine->replication->follower;
	if (filter.type == CLIENT_MASTER && follower->state >= FOLLOWER_CONNECTING) {
		follower_restart(follower);
		count++;
	}
	reply_int(call->reply, count);
}

void cmd_client_pause(struct call *call)
{
	int64_t ms;
	bool writes_only = call->argc == 4 && span_is(call->argv[3], "WRITE");
	if (call->argc > 4) {
		reply_subcommand_syntax(call);
		return;
	}
	if (call->argc == 4 && !writes_only && !span_is(call->argv[3], "ALL")) {
		call_error(call, "ERR CLIENT PAUSE mode must be WRITE or ALL");
		return;
	}
	if (!number_parse_i64(call->argv[2], &ms)) {
		call_error(call, "ERR timeout is not an integer or out of range");
		return;
	}
	if (ms < 0) {
		call_error(call, "ERR timeout is negative");
		return;
	}
	if (ms > INT64_MAX / 1000 - (int64_t)(io_now_us(call->engine->io) / 1000)) {
		call_error(call, "ERR timeout is out of range");
		return;
	}
	engine_pause(call->engine, (uint64_t)ms, writes_only);
	reply_ok(call->reply);
}

void cmd_client_unpause(struct call *call)
{
	engine_unpause(call->engine);
	reply_ok(call->reply);
}

static bool unblock(struct engine *engine, uint64_t id, const char *error)
{
	for (struct list *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
		struct session *session = LIST_OF(at, struct session, link);
		if (session->id == id && session->blocked != NULL)
			return blocked_unblock(session, error);
	}
	return wait_unblock(engine, id, error);
}

void cmd_client_unblock(struct call *call)
{
	int64_t id;
	const char *error = NULL;
	if (call->argc > 4) {
		reply_subcommand_syntax(call);
		return;
	}
	if (call->argc == 4 && span_is(call->argv[3], "ERROR")) {
		error = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
	} else if (call->argc == 4 && !span_is(call->argv[3], "TIMEOUT")) {
		call_error(call, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
		return;
	}
	if (!number_parse_i64(call->argv[2], &id)) {
		reply_not_integer(call);
		return;
	}
	reply_int(call->reply, id > 0 && unblock(call->engine, (uint64_t)id, error));
}
