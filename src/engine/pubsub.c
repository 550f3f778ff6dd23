/* engine/pubsub.c: see pubsub.h.
 *
 * One table holds channels of all kinds, by name. A subscription is in two lists: its
 * channel's and its session's. Patterns are in a list of their own besides, since every
 * message is compared with every pattern.
 */
#include "engine/pubsub.h"

#include "base/glob.h"
#include "engine/databases.h"
#include "engine/internal.h"

enum {
	PUBSUB_MAGIC = 0x50554253,
	BUCKETS = 16384,
	SHARED_BYTES_MIN = 1024,          /* below, a copy costs less than a reference */
};

struct channel {
	struct channel   *next;           /* of its bucket */
	struct list       link;           /* of all of its kind */
	struct list       subscriptions;
	uint32_t          count;
	enum channel_kind kind;
	uint64_t          hash;
	size_t            len;
	uint8_t           name[];
};

struct subscription {
	struct list        of_channel, of_session;
	struct channel    *channel;
	struct subscriber *subscriber;
};

struct pubsub {
	uint32_t        magic;
	struct channel *buckets[BUCKETS];
	struct list     channels[CHANNEL_KINDS];
	uint64_t        counts[CHANNEL_KINDS];
	uint64_t        seed;
};

static struct pubsub *pubsub_of(struct engine *engine)
{
	if (engine->pubsub != NULL) {
		CHECK_OBJ(engine->pubsub, PUBSUB_MAGIC);
		return engine->pubsub;
	}
	struct pubsub *pubsub = memory_zalloc(&engine->memory.engine, sizeof(*pubsub));
	pubsub->magic = PUBSUB_MAGIC;
	pubsub->seed = random_next(&engine->random);
	for (int kind = 0; kind < CHANNEL_KINDS; kind++)
		list_init(&pubsub->channels[kind]);
	engine->pubsub = pubsub;
	return pubsub;
}

void pubsub_free(struct engine *engine)
{
	struct pubsub *pubsub = engine->pubsub;
	if (pubsub == NULL)
		return;
	for (int kind = 0; kind < CHANNEL_KINDS; kind++)
		ASSERT(pubsub->counts[kind] == 0);
	DROP_OBJ(pubsub, PUBSUB_MAGIC);
	memory_free(&engine->memory.engine, pubsub, sizeof(*pubsub));
	engine->pubsub = NULL;
}

/* ---- Channels ---- */

static struct channel *channel_find(
    const struct pubsub *pubsub, enum channel_kind kind, struct span name, uint64_t hash)
{
	struct channel *channel = pubsub->buckets[hash % BUCKETS];
	while (channel != NULL &&
	    (channel->hash != hash || channel->kind != kind ||
	        !span_equal(span_of(channel->name, channel->len), name)))
		channel = channel->next;
	return channel;
}

static struct channel *channel_lookup(
    const struct engine *engine, enum channel_kind kind, struct span name)
{
	const struct pubsub *pubsub = engine->pubsub;
	return pubsub == NULL ? NULL
	                      : channel_find(pubsub, kind, name, hash_key(name, pubsub->seed));
}

static struct channel *channel_make(
    struct engine *engine, enum channel_kind kind, struct span name)
{
	struct pubsub *pubsub = pubsub_of(engine);
	uint64_t hash = hash_key(name, pubsub->seed);
	struct channel *channel = channel_find(pubsub, kind, name, hash);
	if (channel != NULL)
		return channel;
	channel = memory_zalloc(&engine->memory.engine, sizeof(*channel) + name.len);
	channel->kind = kind;
	channel->hash = hash;
	channel->len = name.len;
	if (name.len > 0)
		memcpy(channel->name, name.ptr, name.len);
	list_init(&channel->subscriptions);
	list_append(&pubsub->channels[kind], &channel->link);
	channel->next = pubsub->buckets[hash % BUCKETS];
	pubsub->buckets[hash % BUCKETS] = channel;
	pubsub->counts[kind]++;
	return channel;
}

static void channel_free(struct engine *engine, struct channel *channel)
{
	struct channel **at = &engine->pubsub->buckets[channel->hash % BUCKETS];
	ASSERT(channel->count == 0);
	while (*at != channel)
		at = &(*at)->next;
	*at = channel->next;
	list_remove(&channel->link);
	engine->pubsub->counts[channel->kind]--;
	memory_free(&engine->memory.engine, channel, sizeof(*channel) + channel->len);
}

/* ---- Subscriptions ---- */

static struct subscriber *subscriber_of(struct session *session)
{
	if (session->subscriber != NULL)
		return session->subscriber;
	struct engine *engine = session->engine;
	struct subscriber *subscriber =
	    memory_zalloc(&engine->memory.sessions, sizeof(*subscriber));
	subscriber->session = session;
	reply_init(&subscriber->held, &engine->memory.replies, session->resp);
	for (int kind = 0; kind < CHANNEL_KINDS; kind++)
		list_init(&subscriber->subscriptions[kind]);
	session->subscriber = subscriber;
	return subscriber;
}

/* Walks whichever of the two lists is shorter. */
static struct subscription *subscription_find(
    const struct subscriber *subscriber, const struct channel *channel)
{
	const struct list *head = &subscriber->subscriptions[channel->kind];
	bool by_channel = channel->count < subscriber->counts[channel->kind];
	if (by_channel)
		head = &channel->subscriptions;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct subscription *subscription = by_channel
		    ? LIST_OF(at, struct subscription, of_channel)
		    : LIST_OF(at, struct subscription, of_session);
		if (subscription->channel == channel && subscription->subscriber == subscriber)
			return subscription;
	}
	return NULL;
}

static void subscription_free(struct engine *engine, struct subscription *subscription)
{
	struct channel *channel = subscription->channel;
	ASSERT(channel->count > 0 && subscription->subscriber->counts[channel->kind] > 0);
	list_remove(&subscription->of_channel);
	list_remove(&subscription->of_session);
	subscription->subscriber->counts[channel->kind]--;
	memory_free(&engine->memory.sessions, subscription, sizeof(*subscription));
	if (--channel->count == 0)
		channel_free(engine, channel);
}

bool pubsub_subscribe(struct session *session, enum channel_kind kind, struct span name)
{
	struct engine *engine = session->engine;
	struct subscriber *subscriber = subscriber_of(session);
	struct channel *channel = channel_make(engine, kind, name);
	if (subscription_find(subscriber, channel) != NULL)
		return false;
	struct subscription *subscription =
	    memory_zalloc(&engine->memory.sessions, sizeof(*subscription));
	subscription->channel = channel;
	subscription->subscriber = subscriber;
	list_append(&channel->subscriptions, &subscription->of_channel);
	list_append(&subscriber->subscriptions[kind], &subscription->of_session);
	channel->count++;
	subscriber->counts[kind]++;
	return true;
}

bool pubsub_unsubscribe(struct session *session, enum channel_kind kind, struct span name)
{
	if (session->subscriber == NULL)
		return false;
	struct channel *channel = channel_lookup(session->engine, kind, name);
	struct subscription *subscription =
	    channel == NULL ? NULL : subscription_find(session->subscriber, channel);
	if (subscription == NULL)
		return false;
	subscription_free(session->engine, subscription);
	return true;
}

struct span pubsub_any(const struct session *session, enum channel_kind kind)
{
	const struct subscriber *subscriber = session->subscriber;
	if (subscriber == NULL || subscriber->counts[kind] == 0)
		return (struct span){0};
	const struct subscription *first =
	    LIST_OF(subscriber->subscriptions[kind].next, struct subscription, of_session);
	return span_of(first->channel->name, first->channel->len);
}

uint32_t pubsub_count(const struct session *session, enum channel_kind kind)
{
	return session->subscriber == NULL ? 0 : session->subscriber->counts[kind];
}

bool pubsub_all(const struct session *session,
    bool (*fits)(const void *ctx, enum channel_kind kind, struct span name), const void *ctx)
{
	struct subscriber *subscriber = session->subscriber;
	for (int kind = 0; subscriber != NULL && kind < CHANNEL_KINDS; kind++) {
		struct list *head = &subscriber->subscriptions[kind];
		for (struct list *at = head->next; at != head; at = at->next) {
			const struct subscription *one = LIST_OF(at, struct subscription, of_session);
			if (!fits(ctx, kind, span_of(one->channel->name, one->channel->len)))
				return false;
		}
	}
	return true;
}

void pubsub_drop(struct session *session)
{
	struct subscriber *subscriber = session->subscriber;
	struct engine *engine = session->engine;
	if (subscriber == NULL)
		return;
	for (int kind = 0; kind < CHANNEL_KINDS; kind++) {
		struct list *head = &subscriber->subscriptions[kind];
		while (!list_is_empty(head))
			subscription_free(
			    engine, LIST_OF(head->next, struct subscription, of_session));
	}
	reply_fini(&subscriber->held);
	memory_free(&engine->memory.sessions, subscriber, sizeof(*subscriber));
	session->subscriber = NULL;
}

/* ---- Messages ---- */

struct message {
	enum channel_kind kind;
	struct span       channel, payload;
	struct body      *body;           /* NULL: the payload is copied */
};

static void message_write(
    struct reply *reply, const struct message *message, const struct channel *pattern)
{
	reply_push(reply, pattern != NULL ? 4 : 3);
	reply_text(reply, pattern != NULL          ? "pmessage"
	        : message->kind == CHANNEL_SHARD ? "smessage"
	                                         : "message");
	if (pattern != NULL)
		reply_bulk(reply, span_of(pattern->name, pattern->len));
	reply_bulk(reply, message->channel);
	if (message->body == NULL)
		reply_bulk(reply, message->payload);
	else
		reply_bulk_ref(
		    reply, message->payload, body_release_ref, body_ref(message->body));
}

static void deliver(
    struct subscriber *subscriber, const struct message *message, const struct channel *pattern)
{
	struct session *session = subscriber->session;
	if (session->overflowed || session->closing)
		return;
	if (session->engine->running == session) {
		subscriber->held.resp = session->resp;
		message_write(&subscriber->held, message, pattern);
	} else {
		message_write(session_push(session), message, pattern);
	}
	session_pushed(session, subscriber->held.bytes.len + subscriber->held.ref_bytes);
}

static uint64_t deliver_all(struct channel *channel, const struct message *message)
{
	const struct channel *pattern = channel->kind == CHANNEL_PATTERN ? channel : NULL;
	struct list *head = &channel->subscriptions;
	for (struct list *at = head->next; at != head; at = at->next)
		deliver(LIST_OF(at, struct subscription, of_channel)->subscriber, message, pattern);
	return channel->count;
}

uint64_t pubsub_publish(struct engine *engine, enum channel_kind kind, struct span name,
    struct span payload, struct body *body)
{
	struct pubsub *pubsub = engine->pubsub;
	uint64_t count = 0;
	struct body *made = NULL;
	ASSERT(kind != CHANNEL_PATTERN);
	if (pubsub == NULL)
		return 0;
	struct channel *channel = channel_lookup(engine, kind, name);
	bool many = (channel == NULL ? 0 : channel->count) + pubsub->counts[CHANNEL_PATTERN] > 1;
	if (body == NULL && many && payload.len >= SHARED_BYTES_MIN &&
	    body_copy(&engine->memory.replies, payload, &made) == OK) {
		body = made;
		payload = body_span(made);
	}
	const struct message message = {kind, name, payload, body};
	if (channel != NULL)
		count += deliver_all(channel, &message);
	struct list *patterns = &pubsub->channels[CHANNEL_PATTERN];
	for (struct list *at = patterns->next; kind == CHANNEL_PLAIN && at != patterns;
	     at = at->next) {
		struct channel *pattern = LIST_OF(at, struct channel, link);
		if (glob_match(span_of(pattern->name, pattern->len), name, false))
			count += deliver_all(pattern, &message);
	}
	body_unref(made);
	return count;
}

void pubsub_release(struct session *session)
{
	struct subscriber *subscriber = session->subscriber;
	if (subscriber == NULL || reply_is_empty(&subscriber->held))
		return;
	reply_take(session_push(session), &subscriber->held);
	reply_clear(&subscriber->held);
}

/* ---- What there is ---- */

void pubsub_each(struct engine *engine, enum channel_kind kind,
    void (*each)(void *ctx, struct span name), void *ctx)
{
	if (engine->pubsub == NULL)
		return;
	struct list *head = &engine->pubsub->channels[kind];
	for (struct list *at = head->next; at != head; at = at->next) {
		const struct channel *channel = LIST_OF(at, struct channel, link);
		each(ctx, span_of(channel->name, channel->len));
	}
}

uint64_t pubsub_channels(const struct engine *engine, enum channel_kind kind)
{
	return engine->pubsub == NULL ? 0 : engine->pubsub->counts[kind];
}

uint64_t pubsub_subscribers(
    const struct engine *engine, enum channel_kind kind, struct span name)
{
	const struct channel *channel = channel_lookup(engine, kind, name);
	return channel == NULL ? 0 : channel->count;
}

/* ---- Keyspace notifications ---- */

void notify(struct engine *engine, unsigned class, const char *event, uint8_t db, struct span key)
{
	unsigned events = (unsigned)engine->settings->notify_events;
	struct buf name;
	if ((events & class) == 0 || (events & (NOTIFY_KEYSPACE | NOTIFY_KEYEVENT)) == 0 ||
	    engine->pubsub == NULL)
		return;
	buf_init(&name, &engine->memory.engine);
	unsigned number = database_number(engine, db);
	if (events & NOTIFY_KEYSPACE) {
		buf_printf(&name, "__keyspace@%u__:", number);
		buf_append(&name, key);
		pubsub_publish(engine, CHANNEL_PLAIN, buf_span(&name), span_text(event), NULL);
	}
	buf_clear(&name);
	if (events & NOTIFY_KEYEVENT) {
		buf_printf(&name, "__keyevent@%u__:%s", number, event);
		pubsub_publish(engine, CHANNEL_PLAIN, buf_span(&name), key, NULL);
	}
	buf_fini(&name);
}
