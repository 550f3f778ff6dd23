/* engine/wait.h: WAIT and WAITAOF: replies that wait until a session's writes are safe.
 *
 * WAIT counts followers that have applied the writes, WAITAOF those that have them on their disks, too.
 * Waits end in the pass in which their condition came true; they cost a look at each follower.
 * Commands behind run on meanwhile, their replies wait in line.
 */
#pragma once
#include "engine/internal.h"

struct wait_options {
	bool     local;                   /* until this server's disk has them */
	bool     is_aof;                  /* replies [local, replicas] instead of replicas */
	uint64_t replicas;
	uint64_t timeout_ms;              /* 0: for ever */
};
/* Replies, at once or later; at once inside EXEC. */
void call_wait(struct call *call, const struct wait_options *options);
/* Ends a wait of this session, as if its time were up, or with an error. False: it does not wait. */
bool wait_unblock(struct engine *engine, uint64_t session_id, const char *error);
