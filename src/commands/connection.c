/* commands/connection.c: the commands that a client begins with. */
#include "commands/acl.h"
#include "commands/handlers.h"
#include "engine/databases.h"
#include "engine/pubsub.h"
#include "engine/tracking.h"
#include "engine/transaction.h"
#include "engine/replica/replica.h"

#include "base/number.h"

void cmd_ping(struct call *call)
{
	if (call->argc > 2) {
		call_error(call, "ERR wrong number of arguments for 'ping' command");
		return;
	}
	if (call->session->resp == 2 && pubsub_listens(call->session)) {
		reply_array(call->reply, 2);
		reply_text(call->reply, "pong");
		reply_bulk(call->reply, call->argc == 2 ? call->argv[1] : span_text(""));
	} else if (call->argc == 2) {
		reply_bulk(call->reply, call->argv[1]);
	} else {
		reply_status(call->reply, "PONG");
	}
}

void cmd_echo(struct call *call)
{
	reply_bulk(call->reply, call->argv[1]);
}

void cmd_auth(struct call *call)
{
	struct span user = SPAN_LIT("default");
	if (call->argc > 3) {
		reply_syntax_error(call);
		return;
	}
	if (call->argc == 2 && acl_rules_of(call->engine, call->engine->users->first)->no_password) {
		call_error(call,
		    "ERR AUTH <password> called without any password configured for the default user. "
		    "Are you sure your configuration is correct?");
		return;
	}
	if (call->argc == 3)
		user = call->argv[1];
	if (acl_authenticate(call, user, call->argv[call->argc - 1]))
		reply_ok(call->reply);
}

bool session_set_name(struct call *call, struct span name)
{
	if (name.len >= SESSION_TEXT_MAX) {
		call_error(
		    call, "ERR Client names are limited to %d bytes here", SESSION_TEXT_MAX - 1);
		return false;
	}
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] < '!' || name.ptr[i] > '~') {
			call_error(call,
			    "ERR Client names cannot contain spaces, newlines or special characters.");
			return false;
		}
	}
	memcpy(call->session->name, name.ptr, name.len);
	call->session->name[name.len] = 0;
	return true;
}

struct hello {
	int64_t     version;
	struct span user, password, name;
	bool        has_auth, has_name;
};

static bool parse_hello(struct call *call, struct hello *hello)
{
	hello->version = call->session->resp;
	if (call->argc < 2)
		return true;
	if (!number_parse_i64(call->argv[1], &hello->version)) {
		call_error(call, "ERR Protocol version is not an integer or out of range");
		return false;
	}
	if (hello->version != 2 && hello->version != 3) {
		call_error(call, "NOPROTO unsupported protocol version");
		return false;
	}
	for (uint32_t i = 2; i < call->argc;) {
		uint32_t left = call->argc - i - 1;
		if (span_is(call->argv[i], "AUTH") && left >= 2) {
			hello->has_auth = true;
			hello->user = call->argv[i + 1];
			hello->password = call->argv[i + 2];
			i += 3;
		} else if (span_is(call->argv[i], "SETNAME") && left >= 1) {
			hello->has_name = true;
			hello->name = call->argv[i + 1];
			i += 2;
		} else {
			struct span word = call->argv[i];
			call_error(call, "ERR Syntax error in HELLO option '%.*s'",
			    (int)(word.len < 128 ? word.len : 128), (const char *)word.ptr);
			return false;
		}
	}
	return true;
}

void cmd_hello(struct call *call)
{
	struct hello hello = {0};
	struct session *session = call->session;
	if (!parse_hello(call, &hello))
		return;
	if (hello.has_auth && !acl_authenticate(call, hello.user, hello.password))
		return;
	if (!session->authenticated) {
		call_error(call,
		    "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
		    "HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and "
		    "select the RESP protocol version at the same time");
		return;
	}
	if (hello.has_name && !session_set_name(call, hello.name))
		return;
	session->resp = call->reply->resp = (uint8_t)hello.version;
	reply_map(call->reply, 7);
	reply_text(call->reply, "server");
	reply_text(call->reply, "redis");
	reply_text(call->reply, "version");
	reply_text(call->reply, REDIS_VERSION);
	reply_text(call->reply, "proto");
	reply_int(call->reply, hello.version);
	reply_text(call->reply, "id");
	reply_int(call->reply, (int64_t)session->id);
	reply_text(call->reply, "mode");
	reply_text(call->reply, "standalone");
	reply_text(call->reply, "role");
	reply_text(call->reply, engine_follows(call->engine) ? "replica" : "master");
	reply_text(call->reply, "modules");
	reply_array(call->reply, 0);
}

bool parse_database(struct call *call, struct span word, uint8_t *db)
{
	int64_t number;
	if (!number_parse_i64(word, &number)) {
		reply_not_integer(call);
		return false;
	}
	if (number < INT32_MIN || number > INT32_MAX) {
		call_error(call, "ERR value is out of range, value must between %d and %d", INT32_MIN, INT32_MAX);
		return false;
	}
	if (number < 0 || number >= DATABASE_COUNT) {
		call_error(call, "ERR DB index is out of range");
		return false;
	}
	*db = database_of(call->engine, number);
	return true;
}

void cmd_select(struct call *call)
{
	if (!parse_database(call, call->argv[1], &call->session->db))
		return;
	reply_ok(call->reply);
}

void cmd_quit(struct call *call)
{
	reply_ok(call->reply);
	call->session->close_after_reply = true;
}

void cmd_reset(struct call *call)
{
	struct session *session = call->session;
	transaction_drop(session);
	pubsub_drop(session);
	tracking_stop(session);
	list_remove(&session->monitor_link);
	session->db = database_of(call->engine, 0);
	session->resp = call->reply->resp = 2;
	struct user *first = user_ref(call->engine->users->first);
	user_unref(call->engine, session->user);
	session->user = first;
	session->authenticated = first->is_open;
	session->reply_mode = REPLY_ON;
	session->no_evict = session->no_touch = session->skip_next = false;
	session->name[0] = 0;
	reply_status(call->reply, "RESET");
}
