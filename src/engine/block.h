/* engine/block.h: commands that wait for a key to have something (BLPOP and its kin).
 *
 * Such a command is parked, and runs again when one of its keys got elements: at once, behind the
 * command (or EXEC) that brought them and before any other, the one that waits longest first. If
 * there is nothing for it then it goes on waiting, where it was in the line. It ends by its timeout,
 * by CLIENT UNBLOCK, or with its connection.
 */
#pragma once
#include "engine/engine.h"

struct block_keys {
	uint32_t first, count;            /* of argv; they follow each other */
	uint8_t  type;                    /* enum entry_type that it waits for */
};

/* The command found nothing: it waits, and the caller returns. False: it may not (within EXEC), or has
 * waited long enough: nothing was replied and the caller replies that there is nothing. When it was
 * unblocked with an error that was replied (call->failed). `timeout_us` 0: for ever. */
MUST_CHECK bool call_block(struct call *call, const struct block_keys *keys, uint64_t timeout_us);
/* It runs because one of its keys has something: keys of another type are passed over. */
static inline bool call_was_blocked(const struct call *call) { return call->session->blocked != NULL; }

/* Elements were added to this key, or it is this type from now on. */
void blocked_key_has_more(
    struct engine *engine, uint8_t db, struct span key, uint64_t hash, enum entry_type type);
/* What was database i is now[i] from now on, for those who wait: keys may have appeared. */
void blocked_renumbered(struct engine *engine, const uint8_t *now);
/* Runs those that wait for keys that have more; `run`: command_execute. */
void blocked_serve(
    struct engine *engine, bool (*run)(struct session *session, const struct request *request));
/* The session's command is over, or the session is. */
void blocked_end(struct session *session);
/* CLIENT UNBLOCK: `error` NULL: as if the time were up. False: it waits for no key. */
bool blocked_unblock(struct session *session, const char *error);
uint64_t blocked_count(const struct engine *engine);
void blocked_free(struct engine *engine);
