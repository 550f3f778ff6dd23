/* engine/block.c: see block.h. */
#include "engine/block.h"

#include "engine/internal.h"

enum { BLOCKER_SLOTS = 256 };

/* Somebody waits for this key. */
struct blocked_key {
	struct list link, ready_link;     /* of its slot; among those that have more */
	struct list waiting;              /* struct blocked_on, longest first */
	uint64_t    hash;
	uint8_t     db;
	uint32_t    key_bytes;
	uint8_t     key[];
};

struct blocked_on {
	struct list         link;
	struct blocked     *who;
	struct blocked_key *key;
};

struct blocked {
	struct engine     *engine;
	struct session    *session;
	struct io_timer    timer;
	bool               is_over;       /* by time, or CLIENT UNBLOCK */
	const char        *error;         /* that it is answered with then, or NULL */
	uint8_t            type;
	uint32_t           count;
	struct blocked_on  keys[];
};

struct blockers {
	struct list slots[BLOCKER_SLOTS];
	struct list ready;
	uint64_t    count;
	bool        serving;
};

static struct blockers *blockers_of(struct engine *engine)
{
	struct blockers *all = engine->blockers;
	if (all != NULL)
		return all;
	all = memory_zalloc(&engine->memory.engine, sizeof(*all));
	for (unsigned i = 0; i < BLOCKER_SLOTS; i++)
		list_init(&all->slots[i]);
	list_init(&all->ready);
	engine->blockers = all;
	return all;
}

static struct blocked_key *key_find(struct blockers *all, uint8_t db, struct span key, uint64_t hash)
{
	struct list *slot = &all->slots[hash % BLOCKER_SLOTS];
	for (struct list *at = slot->next; at != slot; at = at->next) {
		struct blocked_key *found = LIST_OF(at, struct blocked_key, link);
		if (found->hash == hash && found->db == db &&
		    span_equal(span_of(found->key, found->key_bytes), key))
			return found;
	}
	return NULL;
}

static struct blocked_key *key_get(struct engine *engine, uint8_t db, struct span key)
{
	struct blockers *all = blockers_of(engine);
	uint64_t hash = directory_hash(&engine->directories[db], key);
	struct blocked_key *found = key_find(all, db, key, hash);
	if (found != NULL)
		return found;
	found = memory_zalloc(&engine->memory.sessions, sizeof(*found) + key.len);
	found->db = db;
	found->hash = hash;
	found->key_bytes = (uint32_t)key.len;
	memcpy(found->key, key.ptr, key.len);
	list_init(&found->waiting);
	list_init(&found->ready_link);
	list_append(&all->slots[hash % BLOCKER_SLOTS], &found->link);
	return found;
}

static void key_drop(struct engine *engine, struct blocked_key *key)
{
	list_remove(&key->link);
	list_remove(&key->ready_link);
	memory_free(&engine->memory.sessions, key, sizeof(*key) + key->key_bytes);
}

static void blocked_timed_out(struct io_timer *timer)
{
	struct blocked *blocked = timer->ctx;
	blocked->is_over = true;
	engine_unpark(blocked->session);
}

static struct blocked *blocked_new(struct call *call, const struct block_keys *keys)
{
	struct engine *engine = call->engine;
	struct blocked *blocked = memory_zalloc(&engine->memory.sessions,
	    sizeof(*blocked) + keys->count * sizeof(blocked->keys[0]));
	blocked->engine = engine;
	blocked->session = call->session;
	blocked->type = keys->type;
	blocked->count = keys->count;
	io_timer_init(&blocked->timer, blocked_timed_out, blocked);
	for (uint32_t i = 0; i < keys->count; i++) {
		struct blocked_on *on = &blocked->keys[i];
		on->who = blocked;
		on->key = key_get(engine, call->session->db, call->argv[keys->first + i]);
		list_append(&on->key->waiting, &on->link);
	}
	engine->blockers->count++;
	return blocked;
}

bool call_block(struct call *call, const struct block_keys *keys, uint64_t timeout_us)
{
	struct session *session = call->session;
	struct blocked *blocked = session->blocked;
	if (call->engine->in_exec)
		return false;
	if (blocked != NULL && blocked->is_over) {
		if (blocked->error != NULL)
			call_error(call, "%s", blocked->error);
		return false;
	}
	if (blocked == NULL) {
		session->blocked = blocked_new(call, keys);
		if (timeout_us > 0)
			io_timer_set(call->engine->io, &session->blocked->timer, timeout_us);
	}
	call_park(call);
	return true;
}

void blocked_end(struct session *session)
{
	struct blocked *blocked = session->blocked;
	if (blocked == NULL)
		return;
	struct engine *engine = blocked->engine;
	io_timer_cancel(engine->io, &blocked->timer);
	for (uint32_t i = 0; i < blocked->count; i++) {
		struct blocked_key *key = blocked->keys[i].key;
		list_remove(&blocked->keys[i].link);
		/* One that has more is looked at later, and goes then. */
		if (list_is_empty(&key->waiting) && list_is_empty(&key->ready_link))
			key_drop(engine, key);
	}
	engine->blockers->count--;
	session->blocked = NULL;
	memory_free(&engine->memory.sessions, blocked,
	    sizeof(*blocked) + blocked->count * sizeof(blocked->keys[0]));
}

bool blocked_unblock(struct session *session, const char *error)
{
	struct blocked *blocked = session->blocked;
	if (blocked == NULL || blocked->is_over)
		return false;
	blocked->is_over = true;
	blocked->error = error;
	engine_unpark(session);
	return true;
}

uint64_t blocked_count(const struct engine *engine)
{
	return engine->blockers == NULL ? 0 : engine->blockers->count;
}

void blocked_key_has_more(
    struct engine *engine, uint8_t db, struct span key, uint64_t hash, enum entry_type type)
{
	struct blockers *all = engine->blockers;
	if (LIKELY(all == NULL || all->count == 0) || (type != ENTRY_LIST && type != ENTRY_ZSET))
		return;
	struct blocked_key *found = key_find(all, db, key, hash);
	if (found != NULL && list_is_empty(&found->ready_link))
		list_append(&all->ready, &found->ready_link);
}

/* All are taken out first: one must not meet another that has not moved yet. */
void blocked_renumbered(struct engine *engine, const uint8_t *now)
{
	struct blockers *all = engine->blockers;
	struct list moved;
	if (all == NULL)
		return;
	list_init(&moved);
	for (unsigned i = 0; i < BLOCKER_SLOTS; i++) {
		while (!list_is_empty(&all->slots[i])) {
			struct list *link = all->slots[i].next;
			list_remove(link);
			list_append(&moved, link);
		}
	}
	while (!list_is_empty(&moved)) {
		struct blocked_key *key = LIST_OF(moved.next, struct blocked_key, link);
		list_remove(&key->link);
		key->db = now[key->db];
		struct directory *directory = &engine->directories[key->db];
		key->hash = directory_hash(directory, span_of(key->key, key->key_bytes));
		list_append(&all->slots[key->hash % BLOCKER_SLOTS], &key->link);
		if (list_is_empty(&key->ready_link))
			list_append(&all->ready, &key->ready_link);
	}
}

static struct entry *key_entry(struct engine *engine, const struct blocked_key *key)
{
	return directory_find(
	    &engine->directories[key->db], span_of(key->key, key->key_bytes), key->hash);
}

/* Of those that wait for what the key is, the one behind the first `turns`; or NULL. */
static struct blocked_on *next_waiter(
    struct engine *engine, struct blocked_key *key, uint64_t turns)
{
	const struct entry *entry = key_entry(engine, key);
	uint64_t passed = 0;
	if (entry == NULL)
		return NULL;
	for (struct list *at = key->waiting.next; at != &key->waiting; at = at->next) {
		struct blocked_on *on = LIST_OF(at, struct blocked_on, link);
		if (on->who->type != entry->type || on->who->is_over || on->who->session->closing)
			continue;
		if (passed++ >= turns)
			return on;
	}
	return NULL;
}

/* One command of those that wait runs again. False: it goes on waiting. */
static bool blocked_run(
    struct session *session, bool (*run)(struct session *session, const struct request *request))
{
	struct parked *parked = session->parked;
	struct request request;
	parked_request(parked, &request);
	if (!run(session, &request))
		return false;
	session->parked = NULL;
	parked_free(session->engine, parked);
	session->ops->resume(session);
	return true;
}

void blocked_serve(
    struct engine *engine, bool (*run)(struct session *session, const struct request *request))
{
	struct blockers *all = engine->blockers;
	if (all == NULL || all->serving || list_is_empty(&all->ready))
		return;
	all->serving = true;
	while (!list_is_empty(&all->ready)) {
		struct blocked_key *key = LIST_OF(all->ready.next, struct blocked_key, ready_link);
		struct blocked_on *on;
		uint64_t turns = 0;           /* of those that wait on in front */
		while ((on = next_waiter(engine, key, turns)) != NULL)
			if (!blocked_run(on->who->session, run))
				turns++;
		list_remove(&key->ready_link);
		if (list_is_empty(&key->waiting))
			key_drop(engine, key);
	}
	all->serving = false;
}

void blocked_free(struct engine *engine)
{
	struct blockers *all = engine->blockers;
	if (all == NULL)
		return;
	ASSERT(all->count == 0);
	while (!list_is_empty(&all->ready))
		key_drop(engine, LIST_OF(all->ready.next, struct blocked_key, ready_link));
	memory_free(&engine->memory.engine, all, sizeof(*all));
	engine->blockers = NULL;
}
