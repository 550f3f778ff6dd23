/* engine/tracking.h: CLIENT TRACKING: clients that cache what they read are told when it changes.
 *
 * Without BCAST, the server remembers which key was read by which clients and tells each of them once:
 * who wants to hear of the key again reads it again. The table of these keys is bounded by
 * tracking-table-max-keys: what goes from it is told as if it had changed. With BCAST nothing is
 * remembered: clients hear of every changed key with a prefix of theirs, once a pass.
 *
 * As with Redis, keys of all databases are one space here, and what one command tells its own
 * connection follows behind that command's reply (behind all of an EXEC).
 *
 * A struct tracker belongs to a session that tracks, or to which another one's messages go. The table
 * refers to trackers, which may outlive their sessions.
 */
#pragma once
#include "engine/engine.h"

struct tracker;

enum {
	TRACK_ON = 1 << 0, TRACK_BCAST = 1 << 1, TRACK_OPTIN = 1 << 2, TRACK_OPTOUT = 1 << 3,
	TRACK_NOLOOP = 1 << 4, TRACK_CACHING = 1 << 5,       /* CLIENT CACHING, for the next command */
	TRACK_BROKEN = 1 << 6,            /* the client that messages should go to is gone */
};

struct tracking_options {
	unsigned           flags;         /* BCAST, OPTIN, OPTOUT, NOLOOP */
	struct session    *redirect;      /* NULL: to itself */
	const struct span *prefixes;      /* with BCAST; none: every key */
	uint32_t           prefix_count;
};

/* The session's flags; 0: it does not track. */
unsigned tracking_flags(const struct session *session);
/* Where its messages go: an id, 0: to itself, -1: it does not track. */
int64_t tracking_redirect(const struct session *session);
/* Checked by the caller: prefixes that do not overlap, options that fit each other. */
void tracking_start(struct session *session, const struct tracking_options *options);
void tracking_stop(struct session *session);
/* CLIENT CACHING, and its end. */
void tracking_set_caching(struct session *session, bool on);
/* The session's prefixes, one after another: `at` counts from 0; false: there is none. */
bool tracking_prefix(const struct session *session, uint32_t at, struct span *out);
/* The session ends. */
void tracking_drop(struct session *session);

/* Does the session want to hear of what the command at hand reads? */
bool tracking_wants(const struct session *session);
/* It read this key. */
void tracking_remember(struct session *session, struct span key);
/* The key changed. `by_itself`: no client did it (its time was up, memory was short). */
void tracking_changed(struct engine *engine, struct span key, bool by_itself);
/* Some database was emptied. */
void tracking_flushed(struct engine *engine);
/* The command of this session is over: what it told its own connection may go. */
void tracking_release(struct session *session);

/* What BCAST has gathered goes out; a slice of what has to go from the table. True: there is more. */
bool tracking_step(struct engine *engine);
void tracking_free(struct engine *engine);

struct tracking_stats { uint64_t clients, keys, items, prefixes; };
void tracking_get_stats(const struct engine *engine, struct tracking_stats *stats);
