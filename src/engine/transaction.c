/* engine/transaction.c: see transaction.h. */
#include "engine/transaction.h"

#include "base/arith.h"
#include "engine/internal.h"

enum { TRANSACTION_MAGIC = 0x5452414e, WATCH_SLOTS = 4096 };

/* How many watched keys have a hash of each slot: most changes meet a 0 here. */
struct watch_filter {
	uint32_t counts[WATCH_SLOTS];
};

struct transaction *session_transaction(struct session *session)
{
	struct engine *engine = session->engine;
	struct transaction *transaction = session->transaction;
	if (transaction != NULL) {
		CHECK_OBJ(transaction, TRANSACTION_MAGIC);
		return transaction;
	}
	transaction = memory_zalloc(&engine->memory.sessions, sizeof(*transaction));
	transaction->magic = TRANSACTION_MAGIC;
	transaction->engine = engine;
	list_init(&transaction->link);
	session->transaction = transaction;
	return transaction;
}

static void watched_drop(struct transaction *transaction)
{
	struct engine *engine = transaction->engine;
	struct memory *memory = &engine->memory.sessions;
	for (uint32_t i = 0; i < transaction->watched_count; i++) {
		struct watched *watched = &transaction->watched[i];
		uint32_t *count = &engine->watch_filter->counts[watched->hash % WATCH_SLOTS];
		ASSERT(*count > 0);
		--*count;
		if (watched->key.len > 0)
			memory_free(memory, (void *)(uintptr_t)watched->key.ptr, watched->key.len);
	}
	if (transaction->watched != NULL)
		memory_free(memory, transaction->watched,
		    transaction->watched_cap * sizeof(*transaction->watched));
	list_remove(&transaction->link);
	if (engine->watch_filter != NULL && list_is_empty(&engine->watchers)) {
		memory_free(&engine->memory.engine, engine->watch_filter,
		    sizeof(*engine->watch_filter));
		engine->watch_filter = NULL;
	}
}

void transaction_drop(struct session *session)
{
	struct transaction *transaction = session->transaction;
	if (transaction == NULL)
		return;
	struct engine *engine = transaction->engine;
	struct memory *memory = &engine->memory.sessions;
	CHECK_OBJ(transaction, TRANSACTION_MAGIC);
	session->transaction = NULL;
	watched_drop(transaction);
	for (uint32_t i = 0; i < transaction->count; i++)
		parked_free(engine, transaction->queue[i]);
	if (transaction->queue != NULL)
		memory_free(memory, transaction->queue,
		    transaction->cap * sizeof(*transaction->queue));
	DROP_OBJ(transaction, TRANSACTION_MAGIC);
	memory_free(memory, transaction, sizeof(*transaction));
}

enum err transaction_queue(struct call *call)
{
	struct transaction *transaction = call->session->transaction;
	struct engine *engine = call->engine;
	uint64_t bytes = (uint64_t)call->argc * sizeof(struct span);
	ASSERT(transaction != NULL && transaction->is_open);
	for (uint32_t i = 0; i < call->argc; i++)
		bytes += call->argv[i].len;
	if (transaction->bytes + bytes > engine->settings->client_query_buffer_limit)
		return ERR_TOOLARGE;
	if (transaction->count == transaction->cap) {
		uint32_t cap = transaction->cap == 0 ? 8 : transaction->cap * 2;
		transaction->queue = memory_resize(&engine->memory.sessions, transaction->queue,
		    transaction->cap * sizeof(*transaction->queue),
		    cap * sizeof(*transaction->queue));
		transaction->cap = cap;
	}
	transaction->queue[transaction->count++] = parked_new(call);
	transaction->bytes += bytes;
	return OK;
}

static bool is_watched(const struct transaction *transaction, uint8_t db, struct span key)
{
	for (uint32_t i = 0; i < transaction->watched_count; i++)
		if (transaction->watched[i].db == db &&
		    span_equal(transaction->watched[i].key, key))
			return true;
	return false;
}

void transaction_watch(struct call *call, struct span key)
{
	struct engine *engine = call->engine;
	struct transaction *transaction = session_transaction(call->session);
	if (is_watched(transaction, call->session->db, key))
		return;
	if (transaction->watched_count == transaction->watched_cap) {
		uint32_t cap = transaction->watched_cap == 0 ? 4 : transaction->watched_cap * 2;
		transaction->watched = memory_resize(&engine->memory.sessions,
		    transaction->watched, transaction->watched_cap * sizeof(struct watched),
		    cap * sizeof(struct watched));
		transaction->watched_cap = cap;
	}
	if (engine->watch_filter == NULL)
		engine->watch_filter =
		    memory_zalloc(&engine->memory.engine, sizeof(*engine->watch_filter));
	struct directory *directory = call_directory(call);
	struct watched *watched = &transaction->watched[transaction->watched_count++];
	*watched = (struct watched){.db = call->session->db};
	watched->hash = directory_hash(directory, key);
	const struct entry *entry = directory_find(directory, key, watched->hash);
	watched->was_expired = entry != NULL && engine_is_expired(engine, entry);
	if (key.len > 0) {
		uint8_t *copy = memory_alloc(&engine->memory.sessions, key.len);
		memcpy(copy, key.ptr, key.len);
		watched->key = span_of(copy, key.len);
	}
	engine->watch_filter->counts[watched->hash % WATCH_SLOTS]++;
	if (transaction->watched_count == 1)
		list_append(&engine->watchers, &transaction->link);
}

bool transaction_is_stale(struct session *session)
{
	struct transaction *transaction = session->transaction;
	struct engine *engine = session->engine;
	for (uint32_t i = 0; i < transaction->watched_count && !transaction->is_stale; i++) {
		const struct watched *watched = &transaction->watched[i];
		const struct entry *entry = directory_find(
		    &engine->directories[watched->db], watched->key, watched->hash);
		if (!watched->was_expired && entry != NULL && engine_is_expired(engine, entry))
			transaction->is_stale = true;
	}
	return transaction->is_stale;
}

/* The entry of a key that had expired when it was watched may go; anything else is a change. */
static bool watched_changes(const struct engine *engine, struct watched *watched)
{
	if (!watched->was_expired)
		return true;
	const struct entry *entry = directory_find(
	    &engine->directories[watched->db], watched->key, watched->hash);
	watched->was_expired = false;
	return entry == NULL || !engine_is_expired((struct engine *)(uintptr_t)engine, entry);
}

void watch_touched(struct engine *engine, uint8_t db, uint64_t hash)
{
	ASSERT(engine->watch_filter != NULL);
	if (engine->watch_filter->counts[hash % WATCH_SLOTS] == 0)
		return;
	struct list *head = &engine->watchers;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct transaction *transaction = LIST_OF(at, struct transaction, link);
		for (uint32_t i = 0; i < transaction->watched_count; i++) {
			struct watched *watched = &transaction->watched[i];
			if (watched->db == db && watched->hash == hash &&
			    watched_changes(engine, watched))
				transaction->is_stale = true;
		}
	}
}

void watch_flushed(struct engine *engine, uint8_t db)
{
	struct list *head = &engine->watchers;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct transaction *transaction = LIST_OF(at, struct transaction, link);
		for (uint32_t i = 0; i < transaction->watched_count; i++) {
			struct watched *watched = &transaction->watched[i];
			if (watched->db != db ||
			    directory_find(&engine->directories[db], watched->key,
			        watched->hash) == NULL)
				continue;
			if (watched_changes(engine, watched))
				transaction->is_stale = true;
		}
	}
}

/* True: the key is not what it was. */
static bool watched_moves(struct engine *engine, struct watched *watched, uint8_t db)
{
	struct directory *to = &engine->directories[db];
	uint64_t hash = directory_hash(to, watched->key);
	const struct entry *before =
	    directory_find(&engine->directories[watched->db], watched->key, watched->hash);
	const struct entry *after = directory_find(to, watched->key, hash);
	bool expired = after != NULL && engine_is_expired(engine, after);
	engine->watch_filter->counts[watched->hash % WATCH_SLOTS]--;
	engine->watch_filter->counts[hash % WATCH_SLOTS]++;
	watched->db = db;
	watched->hash = hash;
	if (before == NULL && after == NULL)
		return false;
	if (watched->was_expired || before == NULL) {
		bool was_expired = watched->was_expired;
		watched->was_expired = expired;
		return was_expired ? after != NULL && !expired : !expired;
	}
	return true;
}

void watch_renumbered(struct engine *engine, const uint8_t *now)
{
	struct list *head = &engine->watchers;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct transaction *transaction = LIST_OF(at, struct transaction, link);
		for (uint32_t i = 0; i < transaction->watched_count; i++) {
			struct watched *watched = &transaction->watched[i];
			uint8_t db = now[watched->db];
			if (db != watched->db && watched_moves(engine, watched, db))
				transaction->is_stale = true;
		}
	}
}
