/* commands/server.c: time, shutdown, the slow log, and a photograph. */
#include "commands/handlers.h"

#include "base/arith.h"
#include "base/number.h"

void cmd_time(struct call *call)
{
	uint64_t ms = engine_now_ms(call->engine);
	reply_array(call->reply, 2);
	reply_bulk_int(call->reply, (int64_t)(ms / 1000));
	reply_bulk_int(call->reply, (int64_t)(ms % 1000 * 1000));
}

void cmd_shutdown(struct call *call)
{
	bool now = false, save = false, nosave = false;
	for (uint32_t i = 1; i < call->argc; i++) {
		struct span word = call->argv[i];
		if (span_is(word, "NOW"))
			now = true;
		else if (span_is(word, "SAVE") && !nosave)
			save = true;
		else if (span_is(word, "NOSAVE") && !save)
			nosave = true;
		else if (span_is(word, "ABORT") && call->argc == 2)
			break;
		else if (!span_is(word, "FORCE")) {
			reply_syntax_error(call);
			return;
		}
	}
	if (call->argc == 2 && span_is(call->argv[1], "ABORT")) {
		call_error(call, "ERR No shutdown in progress.");
		return;
	}
	/* The log is made durable either way; what may be left out is a checkpoint of it. */
	call->engine->no_save = nosave;
	call->engine->events->shutdown(call->engine->events_ctx, now);
}

void cmd_slowlog_get(struct call *call)
{
	int64_t count = 10;
	if (call->argc > 3) {
		reply_subcommand_syntax(call);
		return;
	}
	if (call->argc == 3 && (!number_parse_i64(call->argv[2], &count) || count < -1)) {
		call_error(call, "ERR count should be greater than or equal to -1");
		return;
	}
	uint32_t shown = call->engine->slowlog_len;
	if (count >= 0 && count < shown)
		shown = (uint32_t)count;
	reply_array(call->reply, shown);
	for (uint32_t i = 0; i < shown; i++) {
		const struct slow_entry *entry = slowlog_from_newest(call->engine, i);
		reply_array(call->reply, 6);
		reply_int(call->reply, (int64_t)entry->id);
		reply_int(call->reply, entry->time_s);
		reply_int(call->reply, (int64_t)entry->duration_us);
		reply_array(call->reply, entry->argc);
		for (uint32_t k = 0; k < entry->argc; k++)
			reply_bulk(call->reply, entry->argv[k]);
		reply_text(call->reply, entry->address);
		reply_text(call->reply, entry->name);
	}
}

void cmd_slowlog_len(struct call *call)
{
	reply_int(call->reply, call->engine->slowlog_len);
}

void cmd_slowlog_reset(struct call *call)
{
	slowlog_clear(call->engine);
	reply_ok(call->reply);
}

/* A mountain lake, exposed for as long as the server has been up: the sun moves. */
void cmd_lolwut(struct call *call)
{
	enum { WIDTH = 48, HEIGHT = 12 };
	struct buf text;
	uint64_t up_s = (io_now_us(call->engine->io) - call->engine->started_us) / 1000000;
	int sun = (int)(up_s / 60 % WIDTH);
	buf_init(&text, &call->engine->memory.replies);
	for (int y = 0; y < HEIGHT; y++) {
		for (int x = 0; x < WIDTH; x++) {
			int left = x - 14, right = x - 34;
			int ridge = (left < 0 ? -left : left) / 2 + 2;
			int other = (right < 0 ? -right : right) / 2 + 4;
			bool rock = y >= ridge || y >= other;
			if (y >= HEIGHT - 3)
				buf_append_u8(&text, (x * 7 + y * 3) % 5 == 0 ? '~' : '-');
			else if (rock)
				buf_append_u8(&text, (y == ridge || y == other) ? '^' : '#');
			else
				buf_append_u8(&text, y == 1 && x == sun ? 'O' : ' ');
		}
		buf_append_u8(&text, '\n');
	}
	buf_append_text(
	    &text, "\nTintype ver. " TINTYPE_VERSION ", a view that was never committed\n");
	reply_verbatim(call->reply, buf_span(&text));
	buf_fini(&text);
}

void cmd_monitor(struct call *call)
{
	struct session *session = call->session;
	list_remove(&session->monitor_link);
	list_append(&call->engine->monitors, &session->monitor_link);
	reply_ok(call->reply);
}

/* ---- Scripts and functions: there are none, and these say so as an empty server would ---- */

void cmd_script_exists(struct call *call)
{
	reply_array(call->reply, call->argc - 2);
	for (uint32_t i = 2; i < call->argc; i++)
		reply_int(call->reply, 0);
}

static bool is_flush_mode(const struct call *call)
{
	return call->argc == 2 ||
	    (call->argc == 3 && (span_is(call->argv[2], "ASYNC") || span_is(call->argv[2], "SYNC")));
}

void cmd_script_flush(struct call *call)
{
	if (is_flush_mode(call))
		reply_ok(call->reply);
	else
		call_error(call, "ERR SCRIPT FLUSH only support SYNC|ASYNC option");
}

/* Sentinel asks for it where a server seems to hang. */
void cmd_script_kill(struct call *call)
{
	call_error(call, "NOTBUSY No scripts in execution right now.");
}

void cmd_function_flush(struct call *call)
{
	if (is_flush_mode(call))
		reply_ok(call->reply);
	else
		call_error(call, "ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
}

void cmd_function_list(struct call *call)
{
	for (uint32_t i = 2; i < call->argc; i++) {
		bool named = span_is(call->argv[i], "LIBRARYNAME");
		if (named && i + 1 >= call->argc) {
			call_error(call, "ERR library name argument was not given");
			return;
		}
		if (!named && !span_is(call->argv[i], "WITHCODE")) {
			call_error(call, "ERR Unknown argument %.*s",
			    (int)(call->argv[i].len < 64 ? call->argv[i].len : 64),
			    (const char *)call->argv[i].ptr);
			return;
		}
		i += named;
	}
	reply_array(call->reply, 0);
}

/* ---- What there is not, said as a server without it says it ---- */

void cmd_no_cluster(struct call *call)
{
	call_error(call, "ERR This instance has cluster support disabled");
}

void cmd_module_list(struct call *call)
{
	reply_array(call->reply, 0);
}

void cmd_no_modules(struct call *call)
{
	call_error(call,
	    "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it "
	    "from a local connection, otherwise you need to set this option in the configuration file, and then "
	    "restart the server.");
}
