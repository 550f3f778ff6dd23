/* engine/transaction.h: MULTI and WATCH: the commands a session has queued, and the keys that
 * must not change before it runs them.
 *
 * A session without either has no struct transaction. Queued requests are copies, with
 * references to bodies that were received into memory of their own.
 *
 * A watched key is known by the hash of its name besides the name itself: whoever changes an
 * entry says so through engine_touch, which marks the sessions that watch that hash. Two keys
 * of one 64-bit keyed hash would only make an EXEC fail that need not have.
 *
 * What EXEC does to the log is one group of records (store_begin_transaction).
 */
#pragma once
#include "engine/engine.h"

struct watched {
	struct span key;                  /* a copy */
	uint64_t    hash;
	uint8_t     db;
	bool        was_expired;          /* when it was watched: its going changes nothing */
};

struct transaction {
	uint32_t        magic;
	struct engine  *engine;
	struct list     link;             /* engine->watchers, while it watches something */
	bool            is_open;          /* after MULTI */
	bool            is_refused;       /* a command could not be queued: EXEC refuses all */
	bool            is_stale;         /* a watched key changed */
	bool            may_run;          /* EXEC said so: its commands follow */
	bool            writes;           /* the store expects its end */
	struct parked **queue;
	uint32_t        count, cap;
	uint64_t        bytes;            /* of the queued arguments */
	uint64_t        growth_max;       /* EXEC made room for values of so many bytes, each */
	uint32_t        loads;            /* EXEC waited so often for metadata */
	struct watched *watched;
	uint32_t        watched_count, watched_cap;
};

/* The session's, made if it has none. */
struct transaction *session_transaction(struct session *session);
/* Forgets queue and watched keys. NULL is nothing to forget. */
void transaction_drop(struct session *session);

/* Keeps a copy of the call's request. ERR_TOOLARGE, with nothing kept: the queue would be longer
 * than client-query-buffer-limit. */
MUST_CHECK enum err transaction_queue(struct call *call);
void transaction_watch(struct call *call, struct span key);
/* Has a watched key changed, or gone with its time? */
bool transaction_is_stale(struct session *session);

/* An entry of this hash changed. */
void watch_touched(struct engine *engine, uint8_t db, uint64_t hash);
/* What was database i is now[i] from now on, for those who watch. */
void watch_renumbered(struct engine *engine, const uint8_t *now);
/* Every key of this database is about to go. */
void watch_flushed(struct engine *engine, uint8_t db);
