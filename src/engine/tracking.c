/* engine/tracking.c: see tracking.h. */
#include "engine/tracking.h"

#include "engine/internal.h"
#include "engine/keyset.h"

enum {
	TRACKING_MAGIC = 0x54524b47, TRACKER_MAGIC = 0x54524b52,
	EVICT_PER_PASS = 128, FREE_PER_PASS = 1024,
};

struct tracker {
	uint32_t        magic;
	unsigned        flags;
	uint64_t        refs;             /* the session's, the table's, and those that redirect to it */
	struct engine  *engine;
	struct session *session;          /* NULL: gone */
	uint64_t        id;               /* the session's */
	struct tracker *redirect;         /* NULL: to itself */
	struct list     listens;          /* struct listener, of its prefixes */
	uint32_t        prefix_count;
	struct reply    held;             /* behind the reply of the command at hand */
};

struct prefix {
	struct list     link;             /* of tracking->prefixes */
	struct list     listeners;
	struct keyset  *changed;          /* name -> id of the session that changed it last, 0: nobody */
	size_t          len;
	uint8_t         name[];
};

struct listener {
	struct list     of_prefix, of_tracker;
	struct prefix  *prefix;
	struct tracker *tracker;
};

struct tracking {
	uint32_t       magic, clients, prefix_count;
	bool           is_told;           /* some prefix has gathered something */
	struct keyset *table;             /* name -> trackers */
	struct keyset *grave;             /* tables of before a flush, freed in slices */
	struct list    prefixes;
};

/* ---- Trackers ---- */

static struct tracker *tracker_of(struct session *session)
{
	struct engine *engine = session->engine;
	struct tracker *tracker = session->tracker;
	if (tracker != NULL) {
		CHECK_OBJ(tracker, TRACKER_MAGIC);
		return tracker;
	}
	tracker = memory_zalloc(&engine->memory.sessions, sizeof(*tracker));
	tracker->magic = TRACKER_MAGIC;
	tracker->refs = 1;
	tracker->engine = engine;
	tracker->session = session;
	tracker->id = session->id;
	list_init(&tracker->listens);
	reply_init(&tracker->held, &engine->memory.replies, session->resp);
	session->tracker = tracker;
	return tracker;
}

static struct tracker *tracker_ref(struct tracker *tracker)
{
	tracker->refs++;
	return tracker;
}

/* At most one step deep: who is gone redirects nowhere. */
static void tracker_unref(void *pointer)
{
	struct tracker *tracker = pointer;
	CHECK_OBJ(tracker, TRACKER_MAGIC);
	ASSERT(tracker->refs > 0);
	if (--tracker->refs > 0)
		return;
	struct engine *engine = tracker->engine;
	ASSERT(tracker->session == NULL && tracker->redirect == NULL);
	ASSERT(list_is_empty(&tracker->listens));
	reply_fini(&tracker->held);
	DROP_OBJ(tracker, TRACKER_MAGIC);
	memory_free(&engine->memory.sessions, tracker, sizeof(*tracker));
}

static struct tracking *tracking_of(struct engine *engine)
{
	struct tracking *tracking = engine->tracking;
	if (tracking != NULL) {
		CHECK_OBJ(tracking, TRACKING_MAGIC);
		return tracking;
	}
	tracking = memory_zalloc(&engine->memory.engine, sizeof(*tracking));
	tracking->magic = TRACKING_MAGIC;
	tracking->table = keyset_new(&engine->memory.sessions, random_next(&engine->random));
	list_init(&tracking->prefixes);
	engine->tracking = tracking;
	return tracking;
}

unsigned tracking_flags(const struct session *session)
{
	const struct tracker *tracker = session->tracker;
	return tracker == NULL || (tracker->flags & TRACK_ON) == 0 ? 0 : tracker->flags;
}

int64_t tracking_redirect(const struct session *session)
{
	if (tracking_flags(session) == 0)
		return -1;
	return session->tracker->redirect == NULL ? 0 : (int64_t)session->tracker->redirect->id;
}

void tracking_set_caching(struct session *session, bool on)
{
	struct tracker *tracker = session->tracker;
	if (tracker == NULL)
		return;
	tracker->flags &= ~(unsigned)TRACK_CACHING;
	tracker->flags |= on ? TRACK_CACHING : 0;
}

/* ---- Prefixes ---- */

static struct span prefix_name(const struct prefix *prefix)
{
	return span_of(prefix->name, prefix->len);
}

static struct prefix *prefix_of(struct engine *engine, struct span name)
{
	struct tracking *tracking = tracking_of(engine);
	struct list *head = &tracking->prefixes;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct prefix *prefix = LIST_OF(at, struct prefix, link);
		if (span_equal(prefix_name(prefix), name))
			return prefix;
	}
	struct prefix *prefix = memory_zalloc(&engine->memory.sessions, sizeof(*prefix) + name.len);
	prefix->len = name.len;
	if (name.len > 0)
		memcpy(prefix->name, name.ptr, name.len);
	list_init(&prefix->listeners);
	list_append(head, &prefix->link);
	tracking->prefix_count++;
	return prefix;
}

static void listen_to(struct tracker *tracker, struct span name)
{
	struct engine *engine = tracker->engine;
	struct prefix *prefix = prefix_of(engine, name);
	for (struct list *at = tracker->listens.next; at != &tracker->listens; at = at->next)
		if (LIST_OF(at, struct listener, of_tracker)->prefix == prefix)
			return;
	struct listener *listener = memory_zalloc(&engine->memory.sessions, sizeof(*listener));
	listener->prefix = prefix;
	listener->tracker = tracker;
	list_append(&prefix->listeners, &listener->of_prefix);
	list_append(&tracker->listens, &listener->of_tracker);
	tracker->prefix_count++;
}

static void drop_changed(struct prefix *prefix)
{
	while (prefix->changed != NULL)
		if (keyset_free_some(prefix->changed, FREE_PER_PASS, NULL))
			prefix->changed = NULL;
}

static void listener_free(struct listener *listener)
{
	struct engine *engine = listener->tracker->engine;
	struct prefix *prefix = listener->prefix;
	listener->tracker->prefix_count--;
	list_remove(&listener->of_prefix);
	list_remove(&listener->of_tracker);
	memory_free(&engine->memory.sessions, listener, sizeof(*listener));
	if (!list_is_empty(&prefix->listeners))
		return;
	drop_changed(prefix);
	list_remove(&prefix->link);
	engine->tracking->prefix_count--;
	memory_free(&engine->memory.sessions, prefix, sizeof(*prefix) + prefix->len);
}

bool tracking_prefix(const struct session *session, uint32_t at, struct span *out)
{
	const struct tracker *tracker = session->tracker;
	if (tracker == NULL || at >= tracker->prefix_count)
		return false;
	struct list *link = tracker->listens.next;
	for (uint32_t i = 0; i < at; i++)
		link = link->next;
	*out = prefix_name(LIST_OF(link, struct listener, of_tracker)->prefix);
	return true;
}

/* ---- On and off ---- */

void tracking_start(struct session *session, const struct tracking_options *options)
{
	struct engine *engine = session->engine;
	struct tracking *tracking = tracking_of(engine);
	struct tracker *tracker = tracker_of(session);
	struct tracker *to = options->redirect == NULL ? NULL : tracker_ref(tracker_of(options->redirect));
	tracking->clients += (tracker->flags & TRACK_ON) == 0;
	if (tracker->redirect != NULL)
		tracker_unref(tracker->redirect);
	tracker->redirect = to;
	tracker->flags = TRACK_ON | options->flags | (tracker->flags & TRACK_CACHING);
	if ((options->flags & TRACK_BCAST) == 0)
		return;
	for (uint32_t i = 0; i < options->prefix_count; i++)
		listen_to(tracker, options->prefixes[i]);
	if (options->prefix_count == 0)
		listen_to(tracker, (struct span){0});
}

void tracking_stop(struct session *session)
{
	struct tracker *tracker = session->tracker;
	if (tracker == NULL)
		return;
	CHECK_OBJ(tracker, TRACKER_MAGIC);
	while (!list_is_empty(&tracker->listens))
		listener_free(LIST_OF(tracker->listens.next, struct listener, of_tracker));
	if (tracker->redirect != NULL)
		tracker_unref(tracker->redirect);
	tracker->redirect = NULL;
	if ((tracker->flags & TRACK_ON) != 0) {
		ASSERT(session->engine->tracking->clients > 0);
		session->engine->tracking->clients--;
	}
	tracker->flags = 0;
}

void tracking_drop(struct session *session)
{
	struct tracker *tracker = session->tracker;
	if (tracker == NULL)
		return;
	tracking_stop(session);
	session->tracker = NULL;
	tracker->session = NULL;
	reply_clear(&tracker->held);
	tracker_unref(tracker);
}

/* ---- Messages ---- */

/* What to tell: that all is gone, one key, or those of a prefix but what `but` changed itself. */
struct news {
	const struct keyset *many;
	const struct span   *one;
	uint64_t             but;         /* 0: all of them */
	uint64_t             count;       /* of `many`, without those */
};

struct name_writer { struct reply *reply; uint64_t but; };

static void write_name(void *ctx, const struct keyset_node *node)
{
	const struct name_writer *writer = ctx;
	if (writer->but == 0 || node->word != writer->but)
		reply_bulk(writer->reply, keyset_name(node));
}

static void write_news(struct reply *reply, const struct news *news)
{
	if (reply->resp > 2) {
		reply_push(reply, 2);
		reply_text(reply, "invalidate");
	} else {
		reply_array(reply, 3);
		reply_text(reply, "message");
		reply_text(reply, "__redis__:invalidate");
	}
	if (news->many != NULL) {
		struct name_writer writer = {reply, news->but};
		reply_array(reply, news->count);
		keyset_each(news->many, write_name, &writer);
	} else if (news->one != NULL) {
		reply_array(reply, 1);
		reply_bulk(reply, *news->one);
	} else {
		reply_null(reply);
	}
}

static bool may_hear(const struct tracker *tracker)
{
	const struct session *session = tracker->session;
	return session != NULL && !session->overflowed && !session->closing;
}

/* Where a message to this client goes: behind the reply of its command at hand. */
static struct reply *outlet(struct tracker *tracker)
{
	struct session *session = tracker->session;
	if (tracker->engine->running != session)
		return session_push(session);
	tracker->held.resp = session->resp;
	return &tracker->held;
}

static void told(struct tracker *tracker)
{
	session_pushed(tracker->session, tracker->held.bytes.len);
}

static void tell_broken(struct tracker *tracker)
{
	tracker->flags |= TRACK_BROKEN;
	if (!may_hear(tracker) || tracker->session->resp < 3)
		return;
	struct reply *reply = outlet(tracker);
	reply_push(reply, 2);
	reply_text(reply, "tracking-redir-broken");
	reply_int(reply, (int64_t)tracker->redirect->id);
	told(tracker);
}

static void tell(struct tracker *tracker, const struct news *news)
{
	struct tracker *to = tracker->redirect != NULL ? tracker->redirect : tracker;
	if (to->session == NULL) {
		tell_broken(tracker);
		return;
	}
	bool subscribed = tracker->redirect != NULL && pubsub_listens(to->session);
	if (!may_hear(to) || (to->session->resp < 3 && !subscribed))
		return;
	write_news(outlet(to), news);
	told(to);
}

void tracking_release(struct session *session)
{
	struct tracker *tracker = session->tracker;
	if (tracker == NULL || reply_is_empty(&tracker->held))
		return;
	reply_take(session_push(session), &tracker->held);
	reply_clear(&tracker->held);
}

/* ---- The table ---- */

bool tracking_wants(const struct session *session)
{
	unsigned flags = tracking_flags(session), caching = flags & TRACK_CACHING;
	if (flags == 0 || (flags & TRACK_BCAST) != 0)
		return false;
	if ((flags & TRACK_OPTIN) != 0)
		return caching != 0;
	return (flags & TRACK_OPTOUT) == 0 || caching == 0;
}

void tracking_remember(struct session *session, struct span key)
{
	struct keyset *table = session->engine->tracking->table;
	struct tracker *tracker = session->tracker;
	CHECK_OBJ(tracker, TRACKER_MAGIC);
	if (keyset_add(table, keyset_put(table, key), tracker))
		(void)tracker_ref(tracker);
}

/* `by`: the session that did it, or NULL. */
static void invalidate(
    struct engine *engine, struct keyset_node *node, const struct session *by)
{
	struct keyset *table = engine->tracking->table;
	struct span name = keyset_name(node);
	const struct news news = {.one = &name};
	struct tracker *tracker;
	uint32_t at = 0;
	while ((tracker = keyset_next(node, &at)) != NULL) {
		CHECK_OBJ(tracker, TRACKER_MAGIC);
		bool wants = tracker->session != NULL && (tracker->flags & TRACK_ON) != 0 &&
		    (tracker->flags & TRACK_BCAST) == 0;
		bool own = by != NULL && by == tracker->session;
		if (wants && !(own && (tracker->flags & TRACK_NOLOOP) != 0))
			tell(tracker, &news);
		tracker_unref(tracker);
	}
	keyset_remove(table, node);
}

static void gather(struct engine *engine, struct span key, uint64_t by)
{
	struct list *head = &engine->tracking->prefixes;
	for (struct list *at = head->next; at != head; at = at->next) {
		struct prefix *prefix = LIST_OF(at, struct prefix, link);
		if (!span_equal(span_slice(key, 0, prefix->len), prefix_name(prefix)))
			continue;
		if (prefix->changed == NULL)
			prefix->changed =
			    keyset_new(&engine->memory.sessions, random_next(&engine->random));
		keyset_put(prefix->changed, key)->word = by;
		engine->tracking->is_told = true;
	}
}

void tracking_changed(struct engine *engine, struct span key, bool by_itself)
{
	struct tracking *tracking = engine->tracking;
	CHECK_OBJ(tracking, TRACKING_MAGIC);
	const struct session *by = by_itself ? NULL : engine->running;
	if (tracking->prefix_count > 0)
		gather(engine, key, by == NULL ? 0 : by->id);
	struct keyset_node *node = keyset_find(tracking->table, key);
	if (node != NULL)
		invalidate(engine, node, by);
}

void tracking_flushed(struct engine *engine)
{
	struct tracking *tracking = engine->tracking;
	const struct news news = {0};
	CHECK_OBJ(tracking, TRACKING_MAGIC);
	struct list *head = &engine->sessions;
	for (struct list *at = head->next; tracking->clients > 0 && at != head; at = at->next) {
		struct session *session = LIST_OF(at, struct session, link);
		if (tracking_flags(session) != 0)
			tell(session->tracker, &news);
	}
	if (tracking->table->count == 0)
		return;
	while (tracking->grave != NULL)       /* of a flush just before: rarely more than a little */
		if (keyset_free_some(tracking->grave, FREE_PER_PASS, tracker_unref))
			tracking->grave = NULL;
	tracking->grave = tracking->table;
	tracking->table = keyset_new(&engine->memory.sessions, random_next(&engine->random));
}

/* ---- The end of a pass ---- */

struct own_keys { uint64_t id, count; };

static void count_own(void *ctx, const struct keyset_node *node)
{
	struct own_keys *own = ctx;
	own->count += node->word == own->id;
}

static void broadcast(struct prefix *prefix)
{
	struct list *head = &prefix->listeners;
	struct news all = {.many = prefix->changed, .count = prefix->changed->count};
	for (struct list *at = head->next; at != head; at = at->next) {
		struct tracker *tracker = LIST_OF(at, struct listener, of_prefix)->tracker;
		struct news news = all;
		if ((tracker->flags & TRACK_NOLOOP) != 0) {
			struct own_keys own = {.id = tracker->id};
			keyset_each(prefix->changed, count_own, &own);
			news.but = tracker->id;
			news.count -= own.count;
		}
		if (news.count > 0)
			tell(tracker, &news);
	}
	drop_changed(prefix);
}

bool tracking_step(struct engine *engine)
{
	struct tracking *tracking = engine->tracking;
	int64_t limit = engine->settings->tracking_table_max_keys;
	CHECK_OBJ(tracking, TRACKING_MAGIC);
	struct list *head = &tracking->prefixes;
	for (struct list *at = head->next; tracking->is_told && at != head; at = at->next)
		if (LIST_OF(at, struct prefix, link)->changed != NULL)
			broadcast(LIST_OF(at, struct prefix, link));
	tracking->is_told = false;
	for (int i = 0; i < EVICT_PER_PASS; i++) {
		if (limit == 0 || tracking->table->count <= (uint64_t)limit)
			break;
		struct keyset_node *node = keyset_any(tracking->table, &engine->random);
		if (node != NULL)
			invalidate(engine, node, NULL);
	}
	if (tracking->grave != NULL && keyset_free_some(tracking->grave, FREE_PER_PASS, tracker_unref))
		tracking->grave = NULL;
	return tracking->grave != NULL ||
	    (limit != 0 && tracking->table->count > (uint64_t)limit);
}

void tracking_free(struct engine *engine)
{
	struct tracking *tracking = engine->tracking;
	if (tracking == NULL)
		return;
	ASSERT(tracking->clients == 0 && tracking->prefix_count == 0);
	while (tracking->grave != NULL)
		if (keyset_free_some(tracking->grave, FREE_PER_PASS, tracker_unref))
			tracking->grave = NULL;
	while (tracking->table != NULL)
		if (keyset_free_some(tracking->table, FREE_PER_PASS, tracker_unref))
			tracking->table = NULL;
	DROP_OBJ(tracking, TRACKING_MAGIC);
	memory_free(&engine->memory.engine, tracking, sizeof(*tracking));
	engine->tracking = NULL;
}

void tracking_get_stats(const struct engine *engine, struct tracking_stats *stats)
{
	const struct tracking *tracking = engine->tracking;
	*stats = (struct tracking_stats){0};
	if (tracking == NULL)
		return;
	stats->clients = tracking->clients;
	stats->keys = tracking->table->count;
	stats->items = tracking->table->members;
	stats->prefixes = tracking->prefix_count;
}
