/* engine/session.c: sessions, reply slots, calls and parked commands.
 *
 * A session's output is `out`, the bytes that may leave now, followed by its slots in
 * order. A slot is pending (its command is not done) or gated (its change is not yet as
 * durable as promised). As long as there are no slots, commands write straight into `out`.
 */
#include "engine/internal.h"
#include "engine/users.h"

#include "engine/block.h"
#include "engine/databases.h"
#include "engine/replica/replica.h"

enum { SESSION_MAGIC = 0x53455353, SLOT_MAGIC = 0x534c4f54 };

struct parked {
	uint32_t      argc;
	size_t        bytes;
	struct body **bodies;
	struct span   argv[];
};

void session_init(struct session *session, struct engine *engine, const struct session_ops *ops)
{
	*session = (struct session){.magic = SESSION_MAGIC, .engine = engine, .ops = ops, .resp = 2};
	session->db = database_of(engine, 0);
	session->id = ++engine->session_next_id;
	session->created_us = session->active_us = io_now_us(engine->io);
	session->user = user_ref(engine->users->first);
	session->authenticated = session->user->is_open;
	reply_init(&session->out, &engine->memory.replies, 2);
	list_init(&session->slots);
	list_init(&session->press_link);
	list_init(&session->monitor_link);
	list_append(&engine->sessions, &session->link);
	engine->session_count++;
	engine->counters.connections++;
}

static void slot_free(struct slot *slot)
{
	struct engine *engine = slot->engine;
	DROP_OBJ(slot, SLOT_MAGIC);
	list_remove(&slot->link);
	reply_fini(&slot->reply);
	memory_free(&engine->memory.replies, slot, sizeof(*slot));
}

void session_fini(struct session *session)
{
	struct engine *engine = session->engine;
	CHECK_OBJ(session, SESSION_MAGIC);
	while (!list_is_empty(&session->slots)) {
		struct slot *slot = LIST_OF(session->slots.next, struct slot, link);
		if (!slot->pending) {
			slot_free(slot);
			continue;
		}
		list_remove(&slot->link);
		slot->session = NULL;         /* its owner frees it in slot_finish */
	}
	blocked_end(session);
	replication_forget(session);
	if (session->parked != NULL)
		parked_free(engine, session->parked);
	user_unref(engine, session->user);
	transaction_drop(session);
	pubsub_drop(session);
	tracking_drop(session);
	loads_forget(engine, session);
	dedupe_forget(engine, session);
	list_remove(&session->press_link);
	list_remove(&session->monitor_link);
	reply_fini(&session->out);
	list_remove(&session->link);
	ASSERT(engine->session_count > 0);
	engine->session_count--;
	DROP_OBJ(session, SESSION_MAGIC);
}

static struct slot *slot_new(struct session *session)
{
	struct engine *engine = session->engine;
	struct slot *slot = memory_zalloc(&engine->memory.replies, sizeof(*slot));
	slot->magic = SLOT_MAGIC;
	slot->session = session;
	slot->engine = engine;
	slot->pass = engine->counters.passes;
	reply_init(&slot->reply, &engine->memory.replies, session->resp);
	list_append(&session->slots, &slot->link);
	session->slot_count++;
	return slot;
}

/* What it waited for will never be durable: whoever asked hears of it. */
static void slot_give_up(struct slot *slot)
{
	char text[320];
	ASSERT(!slot->pending);
	if (reply_is_empty(&slot->reply))
		return;                       /* CLIENT REPLY OFF */
	ASSERT(slot->calls > 0);
	if (slot->lost)
		snprintf(text, sizeof(text), "READONLY this server follows another one now: whether the "
		                             "change survives is not known");
	else
		error_text(ERR_READONLY, (struct span){0}, text, sizeof(text));
	reply_clear(&slot->reply);
	for (uint32_t i = 0; i < slot->calls; i++)
		engine_error(slot->engine, &slot->reply, text);
}

struct reply *session_push(struct session *session)
{
	if (list_is_empty(&session->slots)) {
		session->out.resp = session->resp;
		return &session->out;
	}
	struct slot *slot = LIST_OF(session->slots.prev, struct slot, link);
	if (!slot->pushes) {
		slot = slot_new(session);
		slot->pushes = true;
	}
	slot->reply.resp = session->resp;
	return &slot->reply;
}

/* It would never see the messages in order: it is dropped, once the command at hand is over. */
static void session_overflow(struct session *session, uint64_t bytes)
{
	session->overflowed = true;
	session->engine->counters.output_limit_closes++;
	log_warning(session->engine->log,
	    "client %llu (%s) is closed: %llu bytes of messages wait for it",
	    (unsigned long long)session->id, session->address, (unsigned long long)bytes);
}

void session_pushed(struct session *session, uint64_t held_bytes)
{
	const struct settings *settings = session->engine->settings;
	uint64_t now_us = session->engine->clock_us, bytes = held_bytes;
	bytes += session->out.bytes.len + session->out.ref_bytes;
	for (struct list *at = session->slots.next; at != &session->slots; at = at->next) {
		const struct slot *slot = LIST_OF(at, struct slot, link);
		if (slot->pushes)
			bytes += slot->reply.bytes.len + slot->reply.ref_bytes;
	}
	if (bytes <= settings->pubsub_soft_limit)
		session->soft_since_us = 0;
	else if (session->soft_since_us == 0)
		session->soft_since_us = now_us;
	uint64_t patience_us = (uint64_t)settings->pubsub_soft_seconds * 1000000;
	bool too_long = session->soft_since_us != 0 && settings->pubsub_soft_limit > 0 &&
	    now_us - session->soft_since_us > patience_us;
	bool too_much = settings->pubsub_limit > 0 && bytes > settings->pubsub_limit;
	if ((too_long || too_much) && !session->overflowed)
		session_overflow(session, bytes);
	if (session->ops->ready != NULL)
		session->ops->ready(session);
}

void sessions_lose(struct engine *engine, uint64_t written)
{
	for (struct list *at = engine->sessions.next; at != &engine->sessions; at = at->next) {
		struct session *session = LIST_OF(at, struct session, link);
		for (struct list *link = session->slots.next; link != &session->slots; link = link->next) {
			struct slot *slot = LIST_OF(link, struct slot, link);
			slot->lost = slot->lost || slot->gate > written;
		}
	}
	engine->flush_sessions = true;
}

void session_flush(struct session *session)
{
	const struct store *store = session->engine->store;
	uint64_t written = replication_written_lsn(session->engine);
	bool moved = false;
	while (!list_is_empty(&session->slots)) {
		struct slot *slot = LIST_OF(session->slots.next, struct slot, link);
		bool is_safe = !slot->lost && slot->gate <= written;
		if (slot->pending || (!is_safe && !slot->lost && store_state(store) != ERR_READONLY))
			break;
		if (!is_safe)
			slot_give_up(slot);
		reply_take(&session->out, &slot->reply);
		session->out.resp = session->resp;
		ASSERT(session->pending_bytes >= slot->reserved_bytes);
		session->pending_bytes -= slot->reserved_bytes;
		session->slot_count--;
		slot_free(slot);
		moved = true;
	}
	if (moved && session->ops->ready != NULL)
		session->ops->ready(session);
}

/* Where a call may write now: `out`, or a slot of its own behind those that wait. */
static struct slot *call_slot(struct call *call)
{
	struct session *session = call->session;
	if (list_is_empty(&session->slots))
		return NULL;
	struct slot *last = LIST_OF(session->slots.prev, struct slot, link);
	if (!session->new_slot && !last->pending && !last->pushes &&
	    last->pass == call->engine->counters.passes && last->reply.resp == session->resp)
		return last;
	return slot_new(session);
}

/* Cuts what a call wrote into `out` off again, into a slot that waits for its gate. */
static void call_gate_tail(struct call *call, size_t from_bytes, uint32_t from_refs)
{
	struct reply *out = &call->session->out;
	struct slot *slot = slot_new(call->session);
	slot->gate = call->gate;
	slot->calls = 1;
	buf_append(
	    &slot->reply.bytes, span_slice(buf_span(&out->bytes), from_bytes, out->bytes.len));
	for (uint32_t i = from_refs; i < out->ref_count; i++) {
		struct reply_ref *ref = &out->refs[i];
		reply_move_ref(&slot->reply, ref, from_bytes);
		out->ref_bytes -= ref->span.len;
	}
	out->bytes.len = from_bytes;
	out->ref_count = from_refs;
}

void call_execute(struct call *call, void (*run)(struct call *call))
{
	struct session *session = call->session;
	struct slot *slot = call_slot(call);
	session->new_slot = false;
	struct reply *reply = slot != NULL ? &slot->reply : &session->out;
	size_t bytes = reply->bytes.len;
	uint32_t refs = reply->ref_count;
	bool mute = session->reply_mode != REPLY_ON;
	reply->resp = session->resp;
	call->reply = reply;
	run(call);
	if (call->slot != NULL)
		return;                   /* it may be finished and gone already */
	reply = call->reply;
	if (call->parked) {
		ASSERT(reply->bytes.len == bytes);
		return;
	}
	if (mute && session->reply_mode != REPLY_ON) {
		reply_cut(reply, bytes, refs);
		return;
	}
	if (slot != NULL)
		slot->calls++;
	if (call->gate <= replication_written_lsn(call->engine))
		return;
	if (slot == NULL)
		call_gate_tail(call, bytes, refs);
	else if (slot->gate < call->gate)
		slot->gate = call->gate;
	if (store_state(call->engine->store) == ERR_READONLY)
		call->engine->flush_sessions = true;
}

struct slot *call_defer(struct call *call, uint64_t reserve)
{
	ASSERT(call->slot == NULL);
	ASSERT(!call->parked);
	struct slot *slot = slot_new(call->session);
	slot->pending = true;
	slot->calls = 1;
	slot->gate = call->gate;
	slot->reserved_bytes = reserve;
	slot->hook = call->hook;
	call->session->pending_bytes += reserve;
	call->slot = slot;
	call->reply = &slot->reply;
	return slot;
}

void slot_finish(struct slot *slot)
{
	CHECK_OBJ(slot, SLOT_MAGIC);
	ASSERT(slot->pending);
	slot->pending = false;
	if (slot->hook != NULL)
		slot->hook->finishing(slot->hook, slot);
	if (slot->session == NULL) {
		slot_free(slot);
		return;
	}
	if (slot->session->reply_mode != REPLY_ON) {
		reply_clear(&slot->reply);
		slot->calls = 0;
	}
	session_flush(slot->session);
}

struct parked *parked_new(const struct call *call)
{
	struct engine *engine = call->engine;
	size_t bytes =
	    sizeof(struct parked) + call->argc * (sizeof(struct span) + sizeof(struct body *));
	for (uint32_t i = 0; i < call->argc; i++)
		if (call->bodies == NULL || call->bodies[i] == NULL)
			bytes += call->argv[i].len;
	struct parked *parked = memory_zalloc(&engine->memory.sessions, bytes);
	parked->argc = call->argc;
	parked->bytes = bytes;
	parked->bodies = (struct body **)(void *)&parked->argv[call->argc];
	uint8_t *text = (uint8_t *)&parked->bodies[call->argc];
	for (uint32_t i = 0; i < call->argc; i++) {
		struct span arg = call->argv[i];
		if (call->bodies != NULL && call->bodies[i] != NULL) {
			parked->bodies[i] = body_ref(call->bodies[i]);
			parked->argv[i] = body_span(parked->bodies[i]);
			continue;
		}
		if (arg.len > 0)
			memcpy(text, arg.ptr, arg.len);
		parked->argv[i] = span_of(text, arg.len);
		text += arg.len;
	}
	return parked;
}

void call_park(struct call *call)
{
	ASSERT(!call->engine->in_exec);
	if (call->session->parked == NULL)        /* else it ran again and must wait once more */
		call->session->parked = parked_new(call);
	call->parked = true;
}

void engine_unpark(struct session *session)
{
	ASSERT(session->parked != NULL);
	session->ops->resume(session);
}

bool call_wait_for_store(struct call *call)
{
	enum { PRESSED_US_MAX = 10000000 };
	struct session *session = call->session;
	uint64_t now_us = io_now_us(call->engine->io);
	if (call->engine->in_exec)
		return false;
	if (session->pressed_us == 0)
		session->pressed_us = now_us;
	if (now_us - session->pressed_us > PRESSED_US_MAX) {
		session->pressed_us = 0;
		return false;
	}
	list_append(&call->engine->pressed, &session->press_link);
	call_park(call);
	return true;
}

void sessions_unpress(struct engine *engine)
{
	struct list waiting;
	if (list_is_empty(&engine->pressed) || engine->is_pressed || !past_may_try(engine))
		return;
	list_init(&waiting);
	while (!list_is_empty(&engine->pressed)) {
		struct list *link = engine->pressed.next;
		list_remove(link);
		list_append(&waiting, link);
	}
	while (!list_is_empty(&waiting)) {
		struct session *session = LIST_OF(waiting.next, struct session, press_link);
		list_remove(&session->press_link);
		engine_unpark(session);
	}
}

void parked_request(const struct parked *parked, struct request *out)
{
	*out = (struct request){.argc = parked->argc, .argv = parked->argv, .bodies = parked->bodies};
}

void parked_free(struct engine *engine, struct parked *parked)
{
	for (uint32_t i = 0; i < parked->argc; i++)
		body_unref(parked->bodies[i]);
	memory_free(&engine->memory.sessions, parked, parked->bytes);
}

static void count_error(struct engine *engine, const char *text)
{
	char code[sizeof(engine->error_counts[0].code)] = {0};
	for (size_t i = 0; i + 1 < sizeof(code) && text[i] != 0 && text[i] != ' '; i++)
		code[i] = text[i];
	engine->counters.errors++;
	for (size_t i = 0; i < ARRAY_COUNT(engine->error_counts); i++) {
		struct error_count *slot = &engine->error_counts[i];
		if (slot->count == 0)
			memcpy(slot->code, code, sizeof(code));
		if (strcmp(slot->code, code) == 0) {
			slot->count++;
			return;
		}
	}
}

void engine_error(struct engine *engine, struct reply *reply, const char *text)
{
	count_error(engine, text);
	reply_error(reply, "%s", text);
}

void call_error(struct call *call, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	call->failed = true;
	engine_error(call->engine, call->reply, text);
}

void error_text(enum err err, struct span key, char *out, size_t bytes)
{
	static const struct { enum err err; const char *text; } texts[] = {
		{ERR_DISKFULL, "DISKFULL no space for a new segment: delete images or add disk"},
		{ERR_READONLY, "READONLY the store is read-only after a write error (see the log)"},
		{ERR_OVERLOADED, "OVERLOADED a queue or pool is full, try again"},
		{ERR_MEMORY, "OOM the machine has no memory left for this"},
		{ERR_IO, "ERR input/output error"},
		{ERR_TIMEOUT, "ERR timed out"},
		{ERR_CLOSED, "ERR the server is shutting down"},
		{ERR_UNSUPPORTED, "ERR not supported"},
	};
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
		if (texts[i].err == err) {
			snprintf(out, bytes, "%s", texts[i].text);
			return;
		}
	}
	if (err == ERR_CORRUPT) {
		int len = (int)(key.len < 256 ? key.len : 256);
		snprintf(out, bytes, "CORRUPT %.*s", len, (const char *)key.ptr);
	} else {
		snprintf(out, bytes, "ERR %s", err_name(err));
	}
}

void call_fail(struct call *call, enum err err, struct span key)
{
	char text[320];
	ASSERT(err != OK);
	/* What the disk has not yet taken is waited for; nothing of this command was done. */
	bool may_pass = err == ERR_OVERLOADED ||
	    (err == ERR_DISKFULL && past_is_yielding(call->engine));
	if (may_pass && call->may_wait && call_wait_for_store(call))
		return;
	error_text(err, key, text, sizeof(text));
	if (err == ERR_READONLY && engine_follows(call->engine))
		snprintf(text, sizeof(text), REPLY_FOLLOWS);
	call_error(call, "%s", text);
}

void slot_fail(struct slot *slot, enum err err, struct span key)
{
	char text[320];
	error_text(err, key, text, sizeof(text));
	reply_clear(&slot->reply);
	engine_error(slot->engine, &slot->reply, text);
	slot_finish(slot);
}

void session_error(struct session *session, const char *text)
{
	struct reply *reply = &session->out;
	if (!list_is_empty(&session->slots)) {
		struct slot *slot = slot_new(session);
		slot->calls = 1;
		reply = &slot->reply;
	}
	engine_error(session->engine, reply, text);
}
