/* engine/replica/renew.h: a leader's answers to a follower that compares (compare.h).
 *
 * What the follower lacks is written once more, at the end of the log, and reaches it as any other
 * record does: so order, durability and what happens in a crash are those of the log. A key that it
 * has and the leader has not gets a mark. An image whose body the follower has gets its metadata
 * only. Nothing of it is a change that clients could see.
 *
 * But a leader that lost something when it started (rejoin.h) takes over what the follower has and it has
 * not, or has in an older version: if that is of an LSN of before it started, and no mark that would have
 * deleted it there can be missing.
 */
#pragma once
#include "engine/replica/compare.h"

struct replica_link;
struct renewer;

enum renew_have { RENEW_NO_BODY, RENEW_BODY, RENEW_BODY_ELSEWHERE };

struct renew_request {
	uint8_t     db;
	enum renew_have have;             /* of the body that the leader's list named */
	uint64_t    version, body_lsn;    /* what the follower has (0: no such key); body_lsn as listed */
	uint64_t    lsn;                  /* of that version */
	struct span key;
};

/* Each takes the link's renewer, and makes one if there is none. False: it asks for too much at once, and
 * should be closed. */
MUST_CHECK bool renew_sums(struct replica_link *link, unsigned bits);
MUST_CHECK bool renew_list(struct replica_link *link, unsigned bits, struct span wanted);
MUST_CHECK bool renew_key(struct replica_link *link, const struct renew_request *request);
MUST_CHECK bool renew_until(struct replica_link *link, uint64_t number);
/* A slice. True: there is more to do at once. */
bool renew_step(struct engine *engine, struct replica_link *link);
/* Frames put in here leave as soon as others of the stream have. */
struct buf *renew_frames_for(struct replica_link *link);
/* What is to be sent, or NULL. */
struct buf *renew_frames(struct replica_link *link);

/* ---- renew_settings.c ---- */
/* Users, policies, declarations, the map of databases: all of them. */
void renew_settings(struct engine *engine);
/* The follower has a user or policy with this key: a mark, if there is none here. */
MUST_CHECK enum err renew_setting_absent(struct engine *engine, struct span key);
/* The keys of those that are here. */
void settings_each_key(struct engine *engine, void (*each)(void *ctx, struct span key), void *ctx);
void renew_free(struct engine *engine, struct replica_link *link);
