/* commands/pubsub.c: SUBSCRIBE, PUBLISH and the rest of the family, for channels, patterns and
 * shard channels (on one server a shard channel is a channel in a name space of its own). */
#include "commands/handlers.h"

#include "base/glob.h"
#include "engine/pubsub.h"

static const char *const subscribe_words[] = {"subscribe", "psubscribe", "ssubscribe"};
static const char *const unsubscribe_words[] = {"unsubscribe", "punsubscribe", "sunsubscribe"};

/* Redis counts channels and patterns together, shard channels apart. */
static int64_t count_for(const struct session *session, enum channel_kind kind)
{
	if (kind == CHANNEL_SHARD)
		return pubsub_count(session, CHANNEL_SHARD);
	return (int64_t)pubsub_count(session, CHANNEL_PLAIN) +
	    pubsub_count(session, CHANNEL_PATTERN);
}

static void reply_change(struct call *call, const char *word, struct span name, int64_t count)
{
	reply_push(call->reply, 3);
	reply_text(call->reply, word);
	if (name.ptr == NULL)
		reply_null(call->reply);
	else
		reply_bulk(call->reply, name);
	reply_int(call->reply, count);
}

static void subscribe(struct call *call, enum channel_kind kind)
{
	for (uint32_t i = 1; i < call->argc; i++) {
		(void)pubsub_subscribe(call->session, kind, call->argv[i]);
		reply_change(call, subscribe_words[kind], call->argv[i],
		    count_for(call->session, kind));
	}
}

static void unsubscribe_all(struct call *call, enum channel_kind kind)
{
	struct session *session = call->session;
	struct buf name;
	if (pubsub_count(session, kind) == 0) {
		reply_change(call, unsubscribe_words[kind], (struct span){0},
		    count_for(session, kind));
		return;
	}
	buf_init(&name, &call->engine->memory.replies);
	while (pubsub_count(session, kind) > 0) {
		buf_clear(&name);
		buf_append(&name, pubsub_any(session, kind));
		buf_reserve(&name, 1);        /* an empty name is a name, too */
		bool was = pubsub_unsubscribe(session, kind, buf_span(&name));
		ASSERT(was);
		reply_change(call, unsubscribe_words[kind], buf_span(&name),
		    count_for(session, kind));
	}
	buf_fini(&name);
}

static void unsubscribe(struct call *call, enum channel_kind kind)
{
	if (call->argc == 1) {
		unsubscribe_all(call, kind);
		return;
	}
	for (uint32_t i = 1; i < call->argc; i++) {
		(void)pubsub_unsubscribe(call->session, kind, call->argv[i]);
		reply_change(call, unsubscribe_words[kind], call->argv[i],
		    count_for(call->session, kind));
	}
}

void cmd_subscribe(struct call *call)
{
	subscribe(call, CHANNEL_PLAIN);
}

void cmd_psubscribe(struct call *call)
{
	subscribe(call, CHANNEL_PATTERN);
}

void cmd_ssubscribe(struct call *call)
{
	subscribe(call, CHANNEL_SHARD);
}

void cmd_unsubscribe(struct call *call)
{
	unsubscribe(call, CHANNEL_PLAIN);
}

void cmd_punsubscribe(struct call *call)
{
	unsubscribe(call, CHANNEL_PATTERN);
}

void cmd_sunsubscribe(struct call *call)
{
	unsubscribe(call, CHANNEL_SHARD);
}

static void publish(struct call *call, enum channel_kind kind)
{
	struct body *body = call->bodies == NULL ? NULL : call->bodies[2];
	uint64_t heard =
	    pubsub_publish(call->engine, kind, call->argv[1], call->argv[2], body);
	reply_int(call->reply, (int64_t)heard);
}

void cmd_publish(struct call *call)
{
	publish(call, CHANNEL_PLAIN);
}

void cmd_spublish(struct call *call)
{
	publish(call, CHANNEL_SHARD);
}

/* ---- PUBSUB ---- */

struct channel_walk {
	struct call *call;
	struct span  pattern;
	bool         all, counting;
	size_t       count;
};

static void channel_each(void *ctx, struct span name)
{
	struct channel_walk *walk = ctx;
	if (!walk->all && !glob_match(walk->pattern, name, false))
		return;
	if (walk->counting)
		walk->count++;
	else
		reply_bulk(walk->call->reply, name);
}

static void list_channels(struct call *call, enum channel_kind kind)
{
	struct channel_walk walk = {.call = call, .all = call->argc == 2, .counting = true};
	if (call->argc > 3) {
		reply_subcommand_syntax(call);
		return;
	}
	if (call->argc == 3)
		walk.pattern = call->argv[2];
	pubsub_each(call->engine, kind, channel_each, &walk);
	reply_array(call->reply, walk.count);
	walk.counting = false;
	pubsub_each(call->engine, kind, channel_each, &walk);
}

static void count_subscribers(struct call *call, enum channel_kind kind)
{
	reply_array(call->reply, 2 * ((size_t)call->argc - 2));
	for (uint32_t i = 2; i < call->argc; i++) {
		reply_bulk(call->reply, call->argv[i]);
		reply_int(call->reply,
		    (int64_t)pubsub_subscribers(call->engine, kind, call->argv[i]));
	}
}

void cmd_pubsub_channels(struct call *call)
{
	list_channels(call, CHANNEL_PLAIN);
}

void cmd_pubsub_shardchannels(struct call *call)
{
	list_channels(call, CHANNEL_SHARD);
}

void cmd_pubsub_numsub(struct call *call)
{
	count_subscribers(call, CHANNEL_PLAIN);
}

void cmd_pubsub_shardnumsub(struct call *call)
{
	count_subscribers(call, CHANNEL_SHARD);
}

void cmd_pubsub_numpat(struct call *call)
{
	reply_int(call->reply, (int64_t)pubsub_channels(call->engine, CHANNEL_PATTERN));
}
