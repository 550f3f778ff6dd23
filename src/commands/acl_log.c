/* commands/acl_log.c: what was refused: ACL LOG. Like refusals within a minute share a line. */
#include "commands/acl.h"

#include "base/number.h"
#include "commands/handlers.h"
#include "engine/transaction.h"

enum { OBJECT_MAX = 1024, CLIENT_MAX = 1200, SAME_MS = 60000 };

struct acl_entry {
	struct list  link;
	uint64_t     id, count;
	int64_t      created_ms, updated_ms;
	uint8_t      reason;
	bool         in_multi;
	uint32_t     object_len, user_len, client_len;
	char         object[OBJECT_MAX], user[USER_NAME_MAX], client[CLIENT_MAX];
};

struct acl_log {
	struct list lines;                /* newest first */
	uint64_t    count, next_id;
};

static struct acl_log *log_of(struct engine *engine)
{
	struct acl_log *log = engine->users->log;
	if (log != NULL)
		return log;
	log = memory_zalloc(&engine->memory.engine, sizeof(*log));
	list_init(&log->lines);
	engine->users->log = log;
	engine->users->free_log = acl_log_clear;
	return log;
}

static void drop(struct engine *engine, struct acl_entry *entry)
{
	list_remove(&entry->link);
	engine->users->log->count--;
	memory_free(&engine->memory.engine, entry, sizeof(*entry));
}

void acl_log_clear(struct engine *engine)
{
	struct acl_log *log = engine->users->log;
	while (log != NULL && log->count > 0)
		drop(engine, LIST_OF(log->lines.next, struct acl_entry, link));
	if (log != NULL)
		memory_free(&engine->memory.engine, log, sizeof(*log));
	engine->users->log = NULL;
}

static uint32_t keep(char *out, size_t max, struct span text)
{
	size_t len = text.len < max ? text.len : max;
	if (len > 0)
		memcpy(out, text.ptr, len);
	return (uint32_t)len;
}

static struct acl_entry *find_same(struct acl_log *log, const struct acl_entry *new)
{
	for (struct list *at = log->lines.next; at != &log->lines; at = at->next) {
		struct acl_entry *old = LIST_OF(at, struct acl_entry, link);
		if (old->reason == new->reason && old->in_multi == new->in_multi &&
		    new->created_ms - old->updated_ms < SAME_MS &&
		    span_equal(
		        span_of(old->object, old->object_len), span_of(new->object, new->object_len)) &&
		    span_equal(span_of(old->user, old->user_len), span_of(new->user, new->user_len)))
			return old;
	}
	return NULL;
}

void acl_log_note(struct call *call, enum acl_reason reason, struct span object, struct span user)
{
	struct engine *engine = call->engine;
	struct acl_log *log = log_of(engine);
	const struct session *session = call->session;
	struct acl_entry *entry = memory_zalloc(&engine->memory.engine, sizeof(*entry));
	entry->created_ms = entry->updated_ms = (int64_t)engine_now_ms(engine);
	entry->count = 1;
	entry->reason = (uint8_t)reason;
	const struct transaction *transaction = session->transaction;
	entry->in_multi = engine->in_exec || (transaction != NULL && transaction->is_open);
	entry->object_len = keep(entry->object, OBJECT_MAX, object);
	entry->user_len = keep(entry->user, USER_NAME_MAX, user);
	struct buf line;
	buf_init(&line, &engine->memory.engine);
	client_line(session, &line);
	entry->client_len = keep(entry->client, CLIENT_MAX, span_slice(buf_span(&line), 0, line.len - 1));
	buf_fini(&line);
	engine->counters.acl_denied[reason]++;
	struct acl_entry *same = find_same(log, entry);
	entry->id = same != NULL ? same->id : log->next_id++;
	if (same != NULL) {
		entry->created_ms = same->created_ms;
		entry->count = same->count + 1;
		drop(engine, same);
	}
	list_append(log->lines.next, &entry->link);   /* in front */
	log->count++;
	while (log->count > (uint64_t)engine->settings->acllog_max_len)
		drop(engine, LIST_OF(log->lines.prev, struct acl_entry, link));
}

static void reply_entry(struct call *call, const struct acl_entry *entry)
{
	static const char *const reasons[] = {"command", "key", "channel", "auth"};
	struct reply *reply = call->reply;
	int64_t now_ms = (int64_t)engine_now_ms(call->engine);
	reply_map(reply, 10);
	reply_text(reply, "count");
	reply_int(reply, (int64_t)entry->count);
	reply_text(reply, "reason");
	reply_text(reply, reasons[entry->reason]);
	reply_text(reply, "context");
	reply_text(reply, entry->in_multi ? "multi" : "toplevel");
	reply_text(reply, "object");
	reply_bulk(reply, span_of(entry->object, entry->object_len));
	reply_text(reply, "username");
	reply_bulk(reply, span_of(entry->user, entry->user_len));
	reply_text(reply, "age-seconds");
	reply_double(reply, (double)(now_ms - entry->updated_ms) / 1000);
	reply_text(reply, "client-info");
	reply_bulk(reply, span_of(entry->client, entry->client_len));
	reply_text(reply, "entry-id");
	reply_int(reply, (int64_t)entry->id);
	reply_text(reply, "timestamp-created");
	reply_int(reply, entry->created_ms);
	reply_text(reply, "timestamp-last-updated");
	reply_int(reply, entry->updated_ms);
}

void cmd_acl_log(struct call *call)
{
	int64_t most = 10;
	struct acl_log *log = log_of(call->engine);
	if (call->argc > 3) {
		reply_subcommand_syntax(call);
		return;
	}
	if (call->argc == 3 && span_is(call->argv[2], "RESET")) {
		while (log->count > 0)
			drop(call->engine, LIST_OF(log->lines.next, struct acl_entry, link));
		reply_ok(call->reply);
		return;
	}
	if (call->argc == 3 && !number_parse_i64(call->argv[2], &most)) {
		reply_not_integer(call);
		return;
	}
	uint64_t count = most < 0 ? 0 : (uint64_t)most;
	count = count < log->count ? count : log->count;
	reply_array(call->reply, count);
	for (struct list *at = log->lines.next; count > 0; at = at->next, count--)
		reply_entry(call, LIST_OF(at, struct acl_entry, link));
}
