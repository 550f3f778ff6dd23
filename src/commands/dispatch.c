/* commands/dispatch.c: from words to a row of the table, the checks that the row asks for,
 * and the run itself. */
#include "commands/commands.h"

#include "commands/acl.h"
#include "commands/cursor.h"
#include "base/number.h"
#include "engine/block.h"
#include "engine/evict.h"
#include "engine/index/kept_index.h"
#include "engine/partly.h"
#include "engine/pubsub.h"
#include "engine/tracking.h"
#include "engine/replica/replica.h"
#include "engine/transaction.h"

#include <ctype.h>
#include <stdio.h>

enum { NAME_MAX_BYTES = 32, INDEX_SLOTS = 1024 };

struct command_state {
	struct cursors *cursors;
	uint16_t index[INDEX_SLOTS];      /* row + 1, by hash of parent and name; 0: empty */
	struct command_counters counters[];
};

/* FNV-1a over the lower-cased words, parent first. */
static uint32_t name_hash(const char *parent, struct span name)
{
	uint32_t hash = 2166136261U;
	for (; parent != NULL && *parent != 0; parent++)
		hash = (hash ^ (uint8_t)*parent) * 16777619U;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		c = c >= 'A' && c <= 'Z' ? c | 0x20 : c;
		hash = (hash ^ c) * 16777619U;
	}
	return hash ^ hash >> 15;
}

struct command_state *command_state_new(struct memory *memory)
{
	ASSERT(commands_count < INDEX_SLOTS / 2);
	struct command_state *state = memory_zalloc(memory,
	    sizeof(*state) + commands_count * sizeof(state->counters[0]));
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *command = &commands_table[i];
		uint32_t at = name_hash(command->parent, span_text(command->name)) % INDEX_SLOTS;
		while (state->index[at] != 0)
			at = (at + 1) % INDEX_SLOTS;
		state->index[at] = (uint16_t)(i + 1);
	}
	state->cursors = cursors_new(memory);
	return state;
}

void command_state_free(struct memory *memory, struct command_state *state)
{
	cursors_free(state->cursors);
	memory_free(memory, state, sizeof(*state) + commands_count * sizeof(state->counters[0]));
}

struct cursors *command_cursors(struct engine *engine)
{
	return engine->commands->cursors;
}

struct command_counters *command_counters_of(struct engine *engine, const struct command *command)
{
	return &engine->commands->counters[command - commands_table];
}

static const struct command *find_one(
    const struct command_state *state, const char *parent, struct span name)
{
	if (name.len > NAME_MAX_BYTES)
		return NULL;
	for (uint32_t at = name_hash(parent, name) % INDEX_SLOTS; state->index[at] != 0;
	     at = (at + 1) % INDEX_SLOTS) {
		const struct command *command = &commands_table[state->index[at] - 1];
		if ((command->parent == NULL) != (parent == NULL))
			continue;
		if (parent != NULL && strcmp(command->parent, parent) != 0)
			continue;
		if (span_is(name, command->name))
			return command;
	}
	return NULL;
}

const struct command *command_find(
    const struct engine *engine, const struct span *argv, uint32_t argc)
{
	const struct command *command = find_one(engine->commands, NULL, argv[0]);
	if (command == NULL || !(command->flags & CMD_CONTAINER) || argc < 2)
		return command;
	return find_one(engine->commands, command->name, argv[1]);
}

bool command_takes_pool_body(const struct engine *engine, struct span name, uint32_t at)
{
	const struct command *command = find_one(engine->commands, NULL, name);
	return command != NULL && (command->flags & CMD_POOL_BODY) && at == 2;
}

static void upper_name(const char *name, char out[NAME_MAX_BYTES + 1])
{
	size_t i = 0;
	for (; name[i] != 0 && i < NAME_MAX_BYTES; i++)
		out[i] = (char)toupper((unsigned char)name[i]);
	out[i] = 0;
}

/* In Redis it is one command, which looks at all of its words itself. */
static bool is_debug(const char *parent)
{
	return strcmp(parent, "debug") == 0;
}

static void reply_unknown(struct call *call)
{
	char args[160] = "";
	size_t used = 0;
	struct span name = call->argv[0];
	const struct command *parent = find_one(call->engine->commands, NULL, name);
	if (parent != NULL) {
		struct span sub = call->argv[1];
		char upper[NAME_MAX_BYTES + 1];
		upper_name(parent->name, upper);
		call_error(call, "ERR unknown subcommand%s '%.*s'. Try %s HELP.",
		    is_debug(parent->name) ? " or wrong number of arguments for" : "",
		    (int)(sub.len < 128 ? sub.len : 128), (const char *)sub.ptr, upper);
		return;
	}
	for (uint32_t i = 1; i < call->argc && used < 128; i++) {
		size_t room = 128 - used;
		int len = (int)(call->argv[i].len < room ? call->argv[i].len : room);
		used += (size_t)snprintf(args + used, sizeof(args) - used, "'%.*s' ", len,
		    (const char *)call->argv[i].ptr);
	}
	call_error(call, "ERR unknown command '%.*s', with args beginning with: %s",
	    (int)(name.len < 128 ? name.len : 128), (const char *)name.ptr, args);
}

static void reply_arity(struct call *call)
{
	const struct command *command = call->command;
	if (command->parent != NULL && is_debug(command->parent))
		reply_subcommand_syntax(call);
	else if (command->parent != NULL)
		call_error(call, "ERR wrong number of arguments for '%s|%s' command",
		    command->parent, command->name);
	else
		call_error(call, "ERR wrong number of arguments for '%s' command", command->name);
}

bool command_arity_fits(const struct command *command, uint32_t argc)
{
	return command->arity >= 0 ? argc == (uint32_t)command->arity
	                           : argc >= (uint32_t)-command->arity;
}

/* A RESP2 connection that has subscribed cannot tell replies from messages. */
static bool session_only_listens(const struct session *session)
{
	return UNLIKELY(session->subscriber != NULL) && session->resp == 2 &&
	    pubsub_listens(session);
}

static bool replica_allows(struct call *call)
{
	const struct engine *engine = call->engine;
	const struct command *command = call->command;
	if (command->flags & CMD_WRITE) {
		call_error(call, REPLY_FOLLOWS);
		return false;
	}
	if (!engine->settings->replica_serve_stale_data && !replication_link_is_up(engine) &&
	    !(command->flags & CMD_STALE)) {
		call_error(call,
		    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.");
		return false;
	}
	return true;
}

static bool leader_allows(struct call *call)
{
	const struct engine *engine = call->engine;
	if (engine->replication->deposed) {
		call_error(call, "READONLY another server leads in a later epoch.");
		return false;
	}
	if (replication_count_good(engine) < (uint64_t)engine->settings->min_replicas_to_write) {
		call_error(call, "NOREPLICAS Not enough good replicas to write.");
		return false;
	}
	return true;
}

bool command_is_allowed(struct call *call)
{
	const struct command *command = call->command;
	struct engine *engine = call->engine;
	if (!call->session->authenticated && (command == NULL || !(command->flags & CMD_NO_AUTH))) {
		call_error(call, "NOAUTH Authentication required.");
		return false;
	}
	if (command == NULL) {
		reply_unknown(call);
		return false;
	}
	if (session_only_listens(call->session) && !(command->flags & CMD_LISTENS)) {
		call_error(call,
		    "ERR Can't execute '%s%s%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
		    "are allowed in this context", command->parent != NULL ? command->parent : "",
		    command->parent != NULL ? "|" : "", command->name);
		return false;
	}
	if (!command_arity_fits(command, call->argc)) {
		reply_arity(call);
		return false;
	}
	if (UNLIKELY(!call->session->user->is_unlimited) && !(command->flags & CMD_NO_AUTH) &&
	    !acl_allows(call))
		return false;
	if (engine->loading && !(command->flags & CMD_LOADING)) {
		call_error(call, "LOADING Tintype is loading the dataset in memory");
		return false;
	}
	if ((command->flags & CMD_WRITE) && engine->settings->readonly) {
		call_error(call, "READONLY You can't write: this server was started with readonly.");
		return false;
	}
	if (UNLIKELY(engine->replication->is_follower) && !replica_allows(call))
		return false;
	if (UNLIKELY(engine->settings->min_replicas_to_write > 0 || engine->replication->deposed) &&
	    (command->flags & CMD_WRITE) && !leader_allows(call))
		return false;
	if (engine->closing && (command->flags & CMD_WRITE)) {
		call_error(call, "ERR the server is shutting down");
		return false;
	}
	/* The keys of an EXEC were made room for before its first command. */
	if (!engine->in_exec && !engine_make_room(engine) && (command->flags & CMD_DENYOOM)) {
		call_error(call, "%s", REPLY_OOM);
		return false;
	}
	return true;
}

struct key_check {
	struct call *call;
	uint32_t     keys;
	bool         waits;
};

static void key_check(void *ctx, uint32_t at)
{
	struct key_check *check = ctx;
	check->keys++;
	check->waits |= call_needs_key(check->call, check->call->argv[at]);
}

/* While not all is loaded: is what this command needs? False: it waits, or was refused. */
static bool command_keys_are_here(struct call *call)
{
	struct key_check check = {.call = call};
	const struct command *command = call->command;
	bool all = (command->flags & (CMD_WHOLE | CMD_INDEX)) != 0;
	if (call->engine->in_exec || (!all && (command->flags & CMD_LOADING) != 0))
		return true;
	(void)command_keys(command, call->argv, call->argc, key_check, &check);
	if (call->failed)
		return false;
	if (check.keys == 0 && (command->acl & (ACL_KEYSPACE | ACL_STRING | ACL_IMAGE)) != 0)
		all = true;
	if (all || check.waits)
		call_wait_for_load(call, all);
	return !all && !check.waits;
}

/* After a start from a checkpoint, documents are made again in the background. */
static bool index_is_made(struct call *call)
{
	const struct engine *engine = call->engine;
	uint8_t db = call->session->db;
	bool settled = kept_index_is_settled(engine, db);
	if (settled &&
	    (engine->reindex == NULL || engine->unindexed[db] <= engine->unsearchable[db]))
		return true;
	call_error(call, "LOADING the search index is being made: %llu of %llu images to go",
	    (unsigned long long)engine->unindexed[db], (unsigned long long)engine->images[db]);
	return false;
}

static void remember_key(void *ctx, uint32_t at)
{
	const struct call *call = ctx;
	tracking_remember(call->session, call->argv[at]);
}

/* For a client that caches what it reads. */
static void remember_keys(struct call *call)
{
	if ((call->command->flags & CMD_READONLY) != 0 && tracking_wants(call->session))
		(void)command_keys(call->command, call->argv, call->argc, remember_key, call);
}

static void command_run(struct call *call)
{
	size_t at = call->reply->bytes.len;
	if (!command_is_allowed(call)) {
		if (call->command != NULL)
			command_counters_of(call->engine, call->command)->rejected++;
		multi_refuse(call, at);
		return;
	}
	if (UNLIKELY(call->engine->pause.is_on) && (call->command->flags & CMD_NO_PAUSE) == 0 &&
	    call_is_paused(call, call->command->flags & (CMD_WRITE | CMD_MAY_WRITE)))
		return;
	if (UNLIKELY(call->engine->partly) && !command_keys_are_here(call)) {
		if (call->failed)
			multi_refuse(call, at);
		return;
	}
	if ((call->command->flags & CMD_INDEX) != 0 && !index_is_made(call))
		return;
	if (call->command->flags & CMD_WRITE) {
		call->may_wait = true;
		if (call->engine->is_pressed && !call->engine->in_exec && call_wait_for_store(call))
			return;
	}
	uint64_t lsn = store_last_lsn(call->engine->store);
	call->command->run(call);
	if (UNLIKELY(call->session->tracker != NULL) && !call->parked)
		remember_keys(call);
	if (store_last_lsn(call->engine->store) != lsn)
		call->session->write_lsn = store_last_lsn(call->engine->store);
}

/* A command of one word with CLIENT REPLY SKIP: its successor is muted. */
static void session_after(struct session *session, enum session_reply_mode before)
{
	if (before == REPLY_SKIP)
		session->reply_mode = REPLY_ON;
	if (session->skip_next) {
		session->skip_next = false;
		session->reply_mode = REPLY_SKIP;
	}
}

static bool is_queued(const struct session *session, const struct command *command)
{
	const struct transaction *transaction = session->transaction;
	if (transaction == NULL || !transaction->is_open || session->engine->in_exec)
		return false;
	return command == NULL || (command->flags & CMD_NOT_QUEUED) == 0;
}

static void call_count(struct call *call, uint64_t took_us)
{
	struct engine *engine = call->engine;
	call->session->commands++;
	engine->counters.commands++;
	if (call->command == NULL)
		return;
	call->session->last_command = call->command;
	if (UNLIKELY(!list_is_empty(&engine->monitors)) &&
	    !(call->command->flags & (CMD_ADMIN | CMD_NO_AUTH)))
		monitors_tell(call);
	struct command_counters *counters = command_counters_of(engine, call->command);
	counters->calls++;
	counters->us += took_us;
	unsigned bucket = took_us < 2 ? 0 : 64U - (unsigned)__builtin_clzll(took_us - 1);
	counters->buckets[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
	counters->failed += call->failed;
	if (UNLIKELY(took_us >= 1000 && engine->settings->latency_monitor_threshold > 0))
		latency_note(engine, (call->command->flags & CMD_FAST) ? "fast-command" : "command",
		    took_us);
	if (UNLIKELY(took_us >= (uint64_t)engine->settings->slowlog_log_slower_than))
		slowlog_note(engine, call, took_us);
}

static bool execute(struct session *session, const struct request *request);

/* One of EXEC's; these never wait. */
static void execute_queued(struct session *session, const struct request *request)
{
	bool done = execute(session, request);
	ASSERT(done);
}

/* False: it was parked. */
static bool execute(struct session *session, const struct request *request)
{
	struct engine *engine = session->engine;
	struct call call = {
		.engine = engine, .session = session, .argc = request->argc, .argv = request->argv,
		.bodies = request->bodies, .hash = request->hash, .has_hash = request->has_hash,
	};
	ASSERT(request->argc > 0);
	call.command = session->last_command;
	if (call.command == NULL || call.command->parent != NULL ||
	    (call.command->flags & CMD_CONTAINER) || !span_is(call.argv[0], call.command->name))
		call.command = command_find(engine, call.argv, call.argc);
	uint64_t from_us = engine->clock_us;
	/* Should the store fail, EXEC's header stays, and each element becomes an error. */
	if (UNLIKELY(session->transaction != NULL) && call.command != NULL && call.command->run == cmd_exec)
		session->new_slot = true;
	bool queued = UNLIKELY(session->transaction != NULL) && is_queued(session, call.command);
	call_execute(&call, queued ? multi_queue : command_run);
	engine->clock_us = io_clock_us(engine->io);
	if (call.parked)
		return false;
	session->pressed_us = 0;
	if (UNLIKELY(session->transaction != NULL) && session->transaction->may_run && !engine->in_exec) {
		exec_run(session, execute_queued);
		session->write_lsn = store_last_lsn(engine->store);
	}
	if (!queued)
		call_count(&call, engine->clock_us - from_us);
	return true;
}

/* CLIENT CACHING holds for the command that follows, or for all of the transaction. */
static void tracking_after(struct session *session, bool done)
{
	const struct transaction *transaction = session->transaction;
	const struct command *command = session->last_command;
	bool of_client = command != NULL && command->parent != NULL && strcmp(command->parent, "client") == 0;
	if (done && !of_client && (transaction == NULL || !transaction->is_open))
		tracking_set_caching(session, false);
	tracking_release(session);
}

bool command_execute(struct session *session, const struct request *request)
{
	enum session_reply_mode mode = session->reply_mode;
	struct engine *engine = session->engine;
	engine->running = session;
	bool done = execute(session, request);
	engine->running = NULL;
	if (UNLIKELY(session->subscriber != NULL))
		pubsub_release(session);
	if (UNLIKELY(session->tracker != NULL))
		tracking_after(session, done);
	if (done)
		session_after(session, mode);
	if (UNLIKELY(session->blocked != NULL) && done)
		blocked_end(session);
	if (UNLIKELY(engine->blockers != NULL))
		blocked_serve(engine, command_execute);
	return done;
}

/* A container without a subcommand never gets here: its arity is 2, and the subcommand is
 * a row of its own. COMMAND alone has a handler. */
void cmd_container(struct call *call)
{
	reply_unknown(call);
}

void cmd_help(struct call *call)
{
	const char *parent = call->command->parent;
	size_t lines = 1;
	char line[512], upper[NAME_MAX_BYTES + 1];
	for (size_t i = 0; i < commands_count; i++)
		lines += commands_table[i].parent != NULL &&
		        strcmp(commands_table[i].parent, parent) == 0
		    ? 2
		    : 0;
	reply_array(call->reply, lines);
	upper_name(parent, upper);
	snprintf(line, sizeof(line),
	    "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", upper);
	reply_status(call->reply, line);
	for (size_t i = 0; i < commands_count; i++) {
		const struct command *command = &commands_table[i];
		if (command->parent == NULL || strcmp(command->parent, parent) != 0)
			continue;
		upper_name(command->name, upper);
		snprintf(line, sizeof(line), "%s%s%s", upper, command->syntax[0] != 0 ? " " : "", command->syntax);
		reply_status(call->reply, line);
		snprintf(line, sizeof(line), "    %s", command->summary);
		reply_status(call->reply, line);
	}
}

void reply_syntax_error(struct call *call)
{
	call_error(call, "ERR syntax error");
}

void reply_subcommand_syntax(struct call *call)
{
	char upper[NAME_MAX_BYTES + 1];
	struct span sub = call->argv[1];
	upper_name(call->command->parent, upper);
	call_error(call, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.",
	    (int)(sub.len < 128 ? sub.len : 128), (const char *)sub.ptr, upper);
}

void reply_wrong_type(struct call *call)
{
	call_error(call, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

void reply_not_integer(struct call *call)
{
	call_error(call, "ERR value is not an integer or out of range");
}
