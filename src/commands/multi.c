/* commands/multi.c: MULTI, EXEC, DISCARD, WATCH and UNWATCH.
 *
 * After MULTI, dispatch.c hands every command to multi_queue. EXEC first makes sure that
 * nothing can stop the queued commands half way: what they need from the disk is in memory,
 * and the log has room for the most that they can write. Then they run one after another,
 * without the loop in between, and their records are one group: a restart shows all of them
 * or none. Replies need no gathering: EXEC writes the header of an array, and the commands'
 * own replies, in their order, are its elements, also those that wait for a disk or a worker.
 */
#include "commands/handlers.h"

#include "base/arith.h"
#include "base/number.h"
#include "engine/databases.h"
#include "engine/internal.h"

static struct transaction *open_transaction(const struct call *call)
{
	struct transaction *transaction = call->session->transaction;
	return transaction != NULL && transaction->is_open ? transaction : NULL;
}

void cmd_multi(struct call *call)
{
	if (open_transaction(call) != NULL) {
		call_error(call, "ERR MULTI calls can not be nested");
		return;
	}
	session_transaction(call->session)->is_open = true;
	reply_ok(call->reply);
}

void cmd_discard(struct call *call)
{
	if (open_transaction(call) == NULL) {
		call_error(call, "ERR DISCARD without MULTI");
		return;
	}
	transaction_drop(call->session);
	reply_ok(call->reply);
}

void cmd_watch(struct call *call)
{
	if (open_transaction(call) != NULL) {
		call_error(call, "ERR WATCH inside MULTI is not allowed");
		return;
	}
	/* Once something watched has changed, EXEC fails whatever else is watched. */
	const struct transaction *transaction = call->session->transaction;
	for (uint32_t i = 1; i < call->argc; i++)
		if (transaction == NULL || !transaction->is_stale)
			transaction_watch(call, call->argv[i]);
	reply_ok(call->reply);
}

void cmd_unwatch(struct call *call)
{
	/* Inside EXEC there is nothing left to watch for, and the queue is in use. */
	if (!call->engine->in_exec)
		transaction_drop(call->session);
	reply_ok(call->reply);
}

void multi_queue(struct call *call)
{
	struct transaction *transaction = open_transaction(call);
	ASSERT(transaction != NULL);
	if (!command_is_allowed(call)) {
		transaction->is_refused = true;
		return;
	}
	if (call->command->flags & CMD_NO_MULTI) {
		transaction->is_refused = true;
		call_error(call, "ERR Command not allowed inside a transaction");
		return;
	}
	if (transaction_queue(call) != OK) {
		transaction->is_refused = true;
		call_error(call, "TOOLARGE client-query-buffer-limit bounds what MULTI may queue");
		return;
	}
	reply_status(call->reply, "QUEUED");
}

void multi_refuse(struct call *call, size_t at)
{
	struct transaction *transaction = open_transaction(call);
	if (transaction != NULL && !call->engine->in_exec)
		transaction->is_refused = true;
	if (call->command == NULL || call->command->run != cmd_exec || call->reply->bytes.len < at + 3)
		return;
	char why[320];
	struct span text = span_slice(buf_span(&call->reply->bytes), at + 1, call->reply->bytes.len - 2);
	if (text.len > 4 && memcmp(text.ptr, "ERR ", 4) == 0)
		text = span_slice(text, 4, text.len);
	snprintf(why, sizeof(why), "%.*s", (int)min_u64(text.len, sizeof(why) - 1), (const char *)text.ptr);
	reply_cut(call->reply, at, call->reply->ref_count);
	transaction_drop(call->session);
	call_error(call, "EXECABORT Transaction discarded because of: %s", why);
}

/* ---- EXEC ---- */

/* The most that the queued commands can append. */
struct bounds {
	struct call *call;                /* EXEC, with words of a queued command in turn */
	const struct transaction *transaction;
	uint64_t     value_max;           /* longest value, or metadata, before the first of them */
	uint32_t     records, bodies;
	uint64_t     bytes;
	enum err     err;
	uint8_t      db;                  /* selected when the command at hand runs */
	struct database_map map;          /* as it is then */
};

static struct entry *bounds_entry(struct bounds *bounds, struct span key)
{
	struct directory *directory = &bounds->call->engine->directories[bounds->db];
	return directory_lookup(directory, key);
}

static void bounds_image(struct bounds *bounds, struct entry *entry)
{
	struct image_ref ref;
	struct body *body;
	image_ref_of(bounds->call->engine, entry, &ref);
	bounds->err = call_metadata(bounds->call, &ref, &body);
	if (bounds->err != OK)
		return;
	bounds->value_max = max_u64(bounds->value_max, body->len);
	body_unref(body);
}

struct bounds_walk {
	struct bounds *bounds;
	const struct request *request;
	unsigned flags;
};

static void bounds_key(void *ctx, uint32_t at)
{
	struct bounds_walk *walk = ctx;
	struct bounds *bounds = walk->bounds;
	if (bounds->err != OK)
		return;
	struct entry *entry = bounds_entry(bounds, walk->request->argv[at]);
	if (entry == NULL)
		return;
	if (entry->type != ENTRY_IMAGE)
		bounds->value_max = max_u64(bounds->value_max, engine_value_bytes(entry));
	else if (walk->flags & CMD_NEEDS_META)
		bounds_image(bounds, entry);
}

static void bounds_swap(struct bounds *bounds, const struct request *request)
{
	int64_t first, second;
	struct database_map *map = &bounds->map;
	if (!number_parse_range(request->argv[1], 0, DATABASE_COUNT - 1, &first) ||
	    !number_parse_range(request->argv[2], 0, DATABASE_COUNT - 1, &second))
		return;
	if (bounds->db == map->of[first])
		bounds->db = map->of[second];
	else if (bounds->db == map->of[second])
		bounds->db = map->of[first];
	database_map_swap(map, (uint8_t)first, (uint8_t)second);
}

static const struct command *bounds_next(
    struct bounds *bounds, uint32_t at, struct request *request)
{
	int64_t number;
	struct engine *engine = bounds->call->engine;
	parked_request(bounds->transaction->queue[at], request);
	const struct command *command = command_find(engine, request->argv, request->argc);
	ASSERT(command != NULL);
	if (command->run == cmd_select &&
	    number_parse_range(request->argv[1], 0, DATABASE_COUNT - 1, &number))
		bounds->db = bounds->map.of[number];
	if (command->run == cmd_swapdb)
		bounds_swap(bounds, request);
	return command;
}

/* How long a string may become by an offset among the words, at most. */
static uint64_t reach_of(const struct command *command, const struct request *request)
{
	enum { FIELD_BITS = 64 };
	int64_t number;
	uint64_t reach = 0;
	bool many = command->run == cmd_bitfield;
	if (!many && command->run != cmd_setrange && command->run != cmd_setbit)
		return 0;
	for (uint32_t k = 2; k < (many ? request->argc : 3); k++) {
		struct span word = request->argv[k];
		bool scaled = many && word.len > 0 && word.ptr[0] == '#';
		if (scaled)
			word = span_slice(word, 1, word.len);
		if (!number_parse_range(word, 0, UINT32_MAX, &number))
			continue;
		uint64_t bits = (uint64_t)number * (scaled ? FIELD_BITS : 1) + FIELD_BITS;
		reach = max_u64(reach, command->run == cmd_setrange ? (uint64_t)number : bits / 8 + 1);
	}
	return reach;
}

/* The longest value there is now; ERR_AGAIN: metadata is being read. */
static enum err bounds_values(struct bounds *bounds)
{
	struct request request;
	uint64_t reach = 0;
	uint64_t found = 0;
	for (uint32_t i = 0; i < bounds->transaction->count && bounds->err == OK; i++) {
		const struct command *command = bounds_next(bounds, i, &request);
		if ((command->flags & CMD_GROWS) == 0)
			continue;
		struct bounds_walk walk = {bounds, &request, command->flags};
		(void)command_keys(command, request.argv, request.argc, bounds_key, &walk);
		reach = max_u64(reach, reach_of(command, &request));
		if (command->run == cmd_sort && bounds->db == bounds->call->session->db)
			found = max_u64(found, sort_store_bytes(bounds->call, &request));
	}
	bounds->value_max = max_u64(max_u64(bounds->value_max, reach), found) + bounds->transaction->bytes;
	return bounds->err;
}

static void count_one_key(void *ctx, uint32_t at)
{
	UNUSED(at);
	++*(uint64_t *)ctx;
}

/* Small values keep numbers in fewer bytes than large ones. */
static uint64_t grown(uint64_t value_max)
{
	enum { AS_TEXT = 4, SMALL_MAX = 1 << 20 };
	return value_max + min_u64(value_max * AS_TEXT, SMALL_MAX);
}

/* What a command may log besides its words: what is there now, again; of several keys, if it unites them. */
static uint64_t growth_of(const struct command *command, const struct request *request, uint64_t value_max)
{
	enum { EXPANDED = 16 };               /* compressed payloads */
	uint64_t keys = 0;
	if (command->run == cmd_restore)
		return request->argv[3].len * EXPANDED;
	if ((command->flags & CMD_GROWS) == 0)
		return 0;
	if ((command->acl & (ACL_SET | ACL_SORTEDSET | ACL_LIST)) == 0)
		return value_max;
	(void)command_keys(command, request->argv, request->argc, count_one_key, &keys);
	return grown(value_max) * max_u64(keys, 1);
}

static void bounds_add(struct bounds *bounds)
{
	enum { SMALL = 512, META_OWN = 8 << 10 };       /* numbers as text; what a header tells */
	struct request request;
	for (uint32_t i = 0; i < bounds->transaction->count; i++) {
		const struct command *command = bounds_next(bounds, i, &request);
		bounds->records += 2 * request.argc + 2;
		bounds->bytes += SMALL;
		bounds->bytes += (command->acl & ACL_IMAGE) ? META_OWN : 0;
		for (uint32_t k = 0; k < request.argc; k++) {
			bounds->bytes += 2 * request.argv[k].len;
			bounds->bodies += request.argv[k].len > BODY_INLINE_MAX;
		}
		uint64_t growth = growth_of(command, &request, bounds->value_max);
		bounds->bytes += growth;
		bounds->bodies += growth > BODY_INLINE_MAX;
	}
}

static unsigned exec_flags(const struct transaction *transaction, const struct engine *engine)
{
	unsigned flags = 0;
	struct request request;
	for (uint32_t i = 0; i < transaction->count; i++) {
		parked_request(transaction->queue[i], &request);
		const struct command *command = command_find(engine, request.argv, request.argc);
		flags |= command->flags;
	}
	return flags;
}

/* OK, or why nothing may run; ERR_AGAIN: the call was parked. */
static enum err exec_begin(struct call *call, struct transaction *transaction)
{
	const struct database_map *map = &call->engine->databases.map;
	struct bounds bounds = {
	    .call = call, .transaction = transaction, .db = call->session->db, .map = *map};
	unsigned flags = exec_flags(transaction, call->engine);
	if ((flags & CMD_DENYOOM) && !engine_make_room(call->engine))
		return ERR_MEMORY;
	if (!(flags & CMD_WRITE))
		return OK;
	if (transaction->loads > 2 * transaction->count + 16)
		return ERR_OVERLOADED;        /* meta-memory does not hold it all at once */
	enum err err = bounds_values(&bounds);
	transaction->loads += err == ERR_AGAIN;
	if (err != OK)
		return err;
	bounds.db = call->session->db;
	bounds.map = *map;
	bounds_add(&bounds);
	err = store_begin_transaction(
	    call->engine->store, bounds.records, bounds.bodies, bounds.bytes);
	if (err == ERR_OVERLOADED && call->may_wait && call_wait_for_store(call))
		return ERR_AGAIN;
	transaction->writes = err == OK;
	transaction->growth_max = grown(bounds.value_max);
	return err;
}

void cmd_exec(struct call *call)
{
	char text[320];
	struct transaction *transaction = open_transaction(call);
	if (transaction == NULL) {
		call_error(call, "ERR EXEC without MULTI");
		return;
	}
	if (transaction->is_refused) {
		transaction_drop(call->session);
		call_error(call, "EXECABORT Transaction discarded because of previous errors.");
		return;
	}
	if (transaction_is_stale(call->session)) {
		transaction_drop(call->session);
		reply_null_array(call->reply);
		return;
	}
	call->may_wait = true;
	enum err err = exec_begin(call, transaction);
	if (call->parked)
		return;
	if (err != OK) {
		transaction_drop(call->session);
		if (err == ERR_MEMORY)
			snprintf(text, sizeof(text), "%s", REPLY_OOM);
		else
			error_text(err, (struct span){0}, text, sizeof(text));
		call_error(call, "EXECABORT Transaction discarded because of: %s", text);
		return;
	}
	reply_array(call->reply, transaction->count);
	transaction->may_run = true;
}

void exec_run(struct session *session, void (*execute)(struct session *, const struct request *))
{
	struct engine *engine = session->engine;
	struct transaction *transaction = session->transaction;
	struct request request;
	ASSERT(transaction->may_run && !engine->in_exec);
	engine->in_exec = true;
	session->new_slot = true;
	for (uint32_t i = 0; i < transaction->count; i++) {
		parked_request(transaction->queue[i], &request);
		execute(session, &request);
	}
	engine->in_exec = false;
	if (transaction->writes)
		store_end_transaction(engine->store);
	transaction_drop(session);
}
