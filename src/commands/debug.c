/* commands/debug.c: DEBUG, as far as tests of clients and tools use it, behind enable-debug-command. */
#include "commands/handlers.h"

#include "base/glob.h"
#include "base/number.h"
#include "engine/collection/collection.h"
#include "engine/internal.h"

#include <stdio.h>

enum { DEBUG_NO, DEBUG_YES, DEBUG_LOCAL };

/* False: an error was replied. */
static bool is_allowed(struct call *call)
{
	int64_t may = call->engine->settings->debug_command;
	bool local = call->session->unix_socket || strncmp(call->session->address, "127.", 4) == 0 ||
	    strncmp(call->session->address, "[::1]", 5) == 0;
	if (may == DEBUG_YES || (may == DEBUG_LOCAL && local))
		return true;
	call_error(call, "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", "
	    "you can run it from a local connection, otherwise you need to set this option in the "
	    "configuration file, and then restart the server.");
	return false;
}

/* The loop stands still: nothing else is served, which is what it is for. */
void cmd_debug_sleep(struct call *call)
{
	enum { SECONDS_MAX = 600 };
	double seconds;
	if (!is_allowed(call))
		return;
	if (!number_parse_double(call->argv[2], &seconds) || seconds < 0 || seconds > SECONDS_MAX) {
		call_error(call, "ERR DEBUG SLEEP takes 0 to %d seconds", SECONDS_MAX);
		return;
	}
	uint64_t until = io_clock_us(call->engine->io) + (uint64_t)(seconds * 1000000);
	while (io_clock_us(call->engine->io) < until)
		;
	reply_ok(call->reply);
}

void cmd_debug_set_active_expire(struct call *call)
{
	int64_t on;
	if (!is_allowed(call))
		return;
	if (!number_parse_range(call->argv[2], 0, 1, &on)) {
		reply_not_integer(call);
		return;
	}
	call->engine->no_active_expire = on == 0;
	reply_ok(call->reply);
}

/* A store is opened by the process that owns it, once. */
void cmd_debug_reload(struct call *call)
{
	if (is_allowed(call))
		call_error(call, "ERR DEBUG RELOAD is not supported: restart the server to have it read its log");
}

void cmd_debug_object(struct call *call)
{
	char text[400];
	if (!is_allowed(call))
		return;
	struct entry *entry = call_lookup_quiet(call, call->argv[2]);
	if (entry == NULL) {
		call_error(call, "ERR no such key");
		return;
	}
	uint64_t bytes = entry->type == ENTRY_IMAGE ? entry_image(entry)->body.bytes
	                                            : engine_value_bytes(entry);
	int64_t idle_s = (int64_t)(engine_now_ms(call->engine) / 1000) - entry->access_s;
	snprintf(text, sizeof(text),
	    "Value at:%p refcount:1 encoding:%s serializedlength:%llu lru:%u lru_seconds_idle:%lld",
	    (const void *)entry, encoding_name(entry), (unsigned long long)bytes, entry->access_s,
	    (long long)(idle_s < 0 ? 0 : idle_s));
	reply_status(call->reply, text);
}

/* Does a pattern end in time? The text is as many letters 'a' as asked for. */
void cmd_debug_stringmatch_len(struct call *call)
{
	enum { LETTERS_MAX = 1 << 20 };
	int64_t len;
	if (!is_allowed(call))
		return;
	if (!number_parse_range(call->argv[2], 0, LETTERS_MAX, &len)) {
		reply_not_integer(call);
		return;
	}
	struct buf text;
	buf_init(&text, &call->engine->memory.engine);
	buf_reserve(&text, (size_t)len + 1);
	memset(text.ptr, 'a', (size_t)len);
	reply_int(call->reply, glob_match(call->argv[3], span_of(text.ptr, (size_t)len), false));
	buf_fini(&text);
}
