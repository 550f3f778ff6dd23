/* engine/pubsub.h: channels, patterns and shard channels; messages to their subscribers; and
 * keyspace notifications, which are messages.
 *
 * A message is handed to each subscriber's output at once (session_push). Payloads that are worth it are
 * shared between subscribers and not copied. What a command publishes to its own connection
 * follows behind that command's reply (behind all of an EXEC), never inside it. A subscriber
 * that does not read is cut off by pubsub-output-limit, or by pubsub-output-soft-limit when it
 * stays above that for pubsub-output-soft-seconds.
 */
#pragma once
#include "engine/engine.h"

enum channel_kind { CHANNEL_PLAIN, CHANNEL_PATTERN, CHANNEL_SHARD, CHANNEL_KINDS };

/* What is heard of one session; NULL there unless it has subscribed. */
struct subscriber {
	struct list     subscriptions[CHANNEL_KINDS];
	uint32_t        counts[CHANNEL_KINDS];
	struct reply    held;             /* messages behind the reply of the command at hand */
	struct session *session;
};

/* False: it is subscribed already. */
bool pubsub_subscribe(struct session *session, enum channel_kind kind, struct span name);
/* False: it was not. */
bool pubsub_unsubscribe(struct session *session, enum channel_kind kind, struct span name);
/* Name of one of its subscriptions, or empty with NULL at the end. Borrowed. */
struct span pubsub_any(const struct session *session, enum channel_kind kind);
uint32_t pubsub_count(const struct session *session, enum channel_kind kind);
/* Does `fits` hold of everything that it is subscribed to? */
bool pubsub_all(const struct session *session,
    bool (*fits)(const void *ctx, enum channel_kind kind, struct span name), const void *ctx);
/* Everything, without a word to the session. */
void pubsub_drop(struct session *session);
/* The session listens, and can do nothing else in RESP2. */
static inline bool pubsub_listens(const struct session *session)
{
	const struct subscriber *subscriber = session->subscriber;
	return subscriber != NULL &&
	    subscriber->counts[0] + subscriber->counts[1] + subscriber->counts[2] > 0;
}

/* Returns how many heard it. `body`: NULL, or the payload, which may then be shared. */
uint64_t pubsub_publish(struct engine *engine, enum channel_kind kind, struct span channel,
    struct span payload, struct body *body);
/* The command of this session is over: what it published to itself may go. */
void pubsub_release(struct session *session);

/* Channels with a subscriber. `each` may not change anything. */
void pubsub_each(struct engine *engine, enum channel_kind kind,
    void (*each)(void *ctx, struct span name), void *ctx);
uint64_t pubsub_channels(const struct engine *engine, enum channel_kind kind);
uint64_t pubsub_subscribers(
    const struct engine *engine, enum channel_kind kind, struct span channel);
void pubsub_free(struct engine *engine);

/* ---- Keyspace notifications: notify-keyspace-events ------------------------------------ */

enum {
	NOTIFY_KEYSPACE = 1 << 0, NOTIFY_KEYEVENT = 1 << 1, NOTIFY_GENERIC = 1 << 2,
	NOTIFY_STRING = 1 << 3, NOTIFY_LIST = 1 << 4, NOTIFY_SET = 1 << 5, NOTIFY_HASH = 1 << 6,
	NOTIFY_ZSET = 1 << 7, NOTIFY_EXPIRED = 1 << 8, NOTIFY_EVICTED = 1 << 9,
	NOTIFY_STREAM = 1 << 10, NOTIFY_MODULE = 1 << 11, NOTIFY_IMAGE = 1 << 12,
	NOTIFY_MISS = 1 << 13, NOTIFY_NEW = 1 << 14,
};

void notify(struct engine *engine, unsigned class, const char *event, uint8_t db, struct span key);

static inline void call_notify(
    struct call *call, unsigned class, const char *event, struct span key)
{
	if (UNLIKELY(((unsigned)call->engine->settings->notify_events & class) != 0))
		notify(call->engine, class, event, call->session->db, key);
}
