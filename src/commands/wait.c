/* commands/wait.c: WAIT and WAITAOF, with Redis 7.2's checks and texts. */
#include "commands/handlers.h"

#include "base/number.h"
#include "engine/wait.h"

static bool parse_timeout(struct call *call, struct span text, uint64_t *timeout_ms)
{
	enum { TIMEOUT_MS_MAX = INT32_MAX };
	int64_t value;
	if (!number_parse_i64(text, &value)) {
		call_error(call, "ERR timeout is not an integer or out of range");
		return false;
	}
	if (value < 0) {
		call_error(call, "ERR timeout is negative");
		return false;
	}
	/* Some 25 days are as good as more. */
	*timeout_ms = (uint64_t)(value < TIMEOUT_MS_MAX ? value : TIMEOUT_MS_MAX);
	return true;
}

void cmd_wait(struct call *call)
{
	struct wait_options options = {0};
	int64_t replicas;
	if (!number_parse_i64(call->argv[1], &replicas)) {
		reply_not_integer(call);
		return;
	}
	if (!parse_timeout(call, call->argv[2], &options.timeout_ms))
		return;
	options.replicas = replicas < 0 ? 0 : (uint64_t)replicas;
	call_wait(call, &options);
}

void cmd_waitaof(struct call *call)
{
	struct wait_options options = {.is_aof = true};
	int64_t local, replicas;
	if (!number_parse_i64(call->argv[1], &local)) {
		reply_not_integer(call);
		return;
	}
	if (local < 0 || local > 1) {
		call_error(call, "ERR value is out of range, value must between 0 and 1");
		return;
	}
	if (!number_parse_i64(call->argv[2], &replicas)) {
		reply_not_integer(call);
		return;
	}
	if (replicas < 0) {
		call_error(call, "ERR value is out of range, must be positive");
		return;
	}
	if (!parse_timeout(call, call->argv[3], &options.timeout_ms))
		return;
	options.local = local == 1;
	options.replicas = (uint64_t)replicas;
	call_wait(call, &options);
}
