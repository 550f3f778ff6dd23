/* engine/replica/replica_leader.c: followers of this server, as sessions. See replica.h. */
#include "engine/replica/rejoin.h"
#include "engine/replica/renew.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"

#include "base/arith.h"

#include <stdarg.h>
#include <stdio.h>

static struct replica_link *link_at(struct list *at)
{
	return LIST_OF(at, struct replica_link, link);
}

struct replica_link *replication_link_of(struct session *session)
{
	struct engine *engine = session->engine;
	if (session->replica != NULL)
		return session->replica;
	struct replica_link *link = memory_zalloc(&engine->memory.sessions, sizeof(*link));
	link->session = session;
	list_init(&link->link);
	session->replica = link;
	return link;
}

/* ---- What must be kept for whom ---- */

/* Nobody came for follower-max-absence: whoever comes now lacks what was deleted meanwhile. First it
 * is said, then done. */
static void give_marks_up(struct engine *engine)
{
	struct replication *replication = engine->replication;
	if (replication->is_follower)
		return;
	if (replication->link_count == 0) {
		uint64_t before = replication->marks_from;
		replication->marks_from = UINT64_MAX;
		if (replication_log_lineage(engine) != OK) {
			replication->marks_from = before;
			return;
		}
	} else {
		struct replica_link *first = link_at(replication->links.next);
		uint64_t before = replication->marks_from, slowest = first->durable;
		for (struct list *at = replication->links.next; at != &replication->links; at = at->next)
			slowest = min_u64(slowest, link_at(at)->durable);
		replication->marks_from = slowest;
		if (slowest > before && replication_log_lineage(engine) != OK) {
			replication->marks_from = before;
			return;
		}
	}
	replication->last_link_ms = 0;
}

/* Marks behind what the slowest follower has are kept, also for one that left less than
 * follower-max-absence ago. */
static void keep_marks(struct engine *engine)
{
	struct replication *replication = engine->replication;
	uint64_t lsn = UINT64_MAX;
	for (struct list *at = replication->links.next; at != &replication->links; at = at->next)
		lsn = min_u64(lsn, link_at(at)->durable);
	int64_t absence_ms = engine->settings->follower_max_absence_s * 1000;
	if (replication->last_link_ms != 0) {
		if (io_wall_ms(engine->io) - replication->last_link_ms >= absence_ms)
			give_marks_up(engine);
		if (replication->last_link_ms != 0)
			lsn = min_u64(lsn, replication->last_link_lsn);
	}
	store_keep_marks(engine->store, lsn);
}

void replication_forget(struct session *session)
{
	struct engine *engine = session->engine;
	struct replication *replication = engine->replication;
	struct replica_link *link = session->replica;
	if (link == NULL)
		return;
	session->replica = NULL;
	if (link->streaming) {
		log_notice(engine->log, "replication: the follower %s left at LSN %llu", session->address,
		    (unsigned long long)link->durable);
		if (replication->last_link_ms == 0 || link->durable < replication->last_link_lsn)
			replication->last_link_lsn = link->durable;
		replication->last_link_ms = io_wall_ms(engine->io);
		repair_forget(engine, link);
		renew_free(engine, link);
		leader_fini(&link->leader);
		ASSERT(replication->link_count > 0);
		replication->link_count--;
	}
	list_remove(&link->link);
	if (replication->link_count == 0)
		tail_stop(&replication->tail);
	memory_free(&engine->memory.sessions, link, sizeof(*link));
}

void replication_links_close(struct engine *engine)
{
	struct list *links = &engine->replication->links;
	while (!list_is_empty(links)) {
		struct session *session = link_at(links->next)->session;
		replication_forget(session);
		session->ops->close(session);
	}
}

/* ---- IMG.SYNC ---- */

static void link_ready(void *ctx)
{
	UNUSED(ctx);                          /* the pass that follows this callback pumps */
}

static void link_start(struct call *call, const struct sync_request *request)
{
	struct engine *engine = call->engine;
	struct replication *replication = engine->replication;
	struct replica_link *link = replication_link_of(call->session);
	const struct leader_options options = {
	    .store = engine->store,
	    .tail = &replication->tail,
	    .memory = &engine->memory.replies,
	    .ready = link_ready,
	    .ctx = link,
	    .after = max_u64(request->lsn, request->from),
	    .whole_least = &replication->whole_least,
	    .follows = &replication->is_follower,
	    .partial_lsn = request->partial_lsn,
	    .partial_bytes = request->partial_bytes,
	};
	ASSERT(!link->streaming);
	tail_start(&replication->tail, store_last_lsn(engine->store));
	leader_init(&link->leader, &options);
	link->streaming = call->session->streams = true;
	link->commands = 1;
	link->base = request->base;
	link->applied = link->durable = link->received = request->lsn;
	link->heard_us = io_now_us(engine->io);
	list_append(&replication->links, &link->link);
	replication->link_count++;
	replication->syncs++;
	if (request->lsn >= replication->last_link_lsn)
		replication->last_link_ms = 0;
	keep_marks(engine);
	log_notice(engine->log, "replication: %s follows from LSN %llu on", call->session->address,
	    (unsigned long long)request->lsn);
}

/* The check of an answer is over it and the request's. */
static void answer_check(const char *text, const struct sync_request *request, char check[FRAME_CHECK])
{
	const struct span words[] = {span_text(text), request->check};
	frame_check_words(words, ARRAY_COUNT(words), 0, check);
}

/* A refusal on which the follower may put data aside. */
static void PRINTF_LIKE(3, 4)
refuse(struct call *call, const struct sync_request *request, const char *format, ...)
{
	char line[200] = "-", check[FRAME_CHECK];
	va_list args;
	va_start(args, format);
	vsnprintf(line + 1, sizeof(line) - 1, format, args);
	va_end(args);
	answer_check(line, request, check);
	call_error(call, "%s [%s]", line + 1, check);
}

/* What this follower has too much is what a life before wrote here, and the disk has lost since then. */
static bool has_lost_end(struct engine *engine, const struct sync_request *request, uint64_t end)
{
	struct replication *replication = engine->replication;
	bool was_life = end != UINT64_MAX || replication->life_due;
	if (replication->is_follower || !was_life || request->epoch.number != replication_epoch(engine) ||
	    !replication_knows_epoch(replication, &request->epoch))
		return false;
	if (replication_begin_life(engine) != OK)
		return false;
	end = replication_epoch_end(replication, &request->epoch);
	return request->lsn - end < LIFE_LSNS && rejoin_note_lost(engine, request->lsn);
}

/* False: an error was replied. */
static bool sync_is_possible(struct call *call, const struct sync_request *request)
{
	struct engine *engine = call->engine;
	struct replication *replication = engine->replication;
	if (engine->settings->segment_bytes > request->segment_bytes) {
		call_error(call, "ERR segment-bytes of a follower must not be smaller than its leader's %llu",
		    (unsigned long long)engine->settings->segment_bytes);
		return false;
	}
	replication->epoch_seen = (uint32_t)max_u64(replication->epoch_seen, request->epoch.number);
	bool fresh = request->lsn == 0, follows = !fresh && !request->compares;
	if (!fresh && !span_is(request->lineage, replication->lineage)) {
		refuse(call, request, "UNRELATED the follower's data is of another lineage than %s",
		    replication->lineage);
		return false;
	}
	if (follows && request->lsn < replication->marks_from) {
		refuse(call, request, "TOOLATE marks of what was deleted behind LSN %llu are gone",
		    (unsigned long long)request->lsn);
		return false;
	}
	if (follows && !replication->is_follower && request->lsn <= engine->rejoin->lost_lsn) {
		refuse(call, request, "TOOLATE something of what lies before LSN %llu was lost here",
		    (unsigned long long)engine->rejoin->lost_lsn);
		return false;
	}
	uint64_t end = replication_epoch_end(replication, &request->epoch);
	uint64_t last =
	    replication->life_due ? replication_former_end(engine) : store_last_lsn(engine->store);
	if (!fresh && request->lsn > last && request->lsn <= end && replication->is_follower) {
		call_error(call, "NOMASTERLINK Can't SYNC: the follower is ahead of this one");
		return false;
	}
	if (!fresh && request->lsn > min_u64(end, last) && has_lost_end(engine, request, end)) {
		if (request->compares)
			return true;
		refuse(call, request, "TOOLATE what lies behind LSN %llu was lost here",
		    (unsigned long long)min_u64(end, last));
		return false;
	}
	if (!fresh && request->lsn > min_u64(end, last)) {
		refuse(call, request, "DIVERGED %llu is the last LSN in common, %llu the latest",
		    (unsigned long long)min_u64(end, last), (unsigned long long)last);
		return false;
	}
	return true;
}

void replication_sync(struct call *call, const struct sync_request *request)
{
	struct engine *engine = call->engine;
	struct replication *replication = engine->replication;
	if (call->session->replica != NULL && call->session->replica->streaming) {
		call_error(call, "ERR this connection follows already");
		return;
	}
	if (request->compares && replication->is_follower) {
		refuse(call, request, "NOTLEADER a follower cannot bring another one to its leader's state");
		return;
	}
	if (replication->is_follower && (replication->lineage[0] == 0 ||
	    !replication_link_is_up(engine) || rejoin_is_pending(engine))) {
		call_error(call, "NOMASTERLINK Can't SYNC while not connected with my master");
		return;
	}
	if (replication->lineage[0] == 0) {
		enum err err = replication_log_lineage(engine);
		if (err != OK) {
			call_fail(call, err, (struct span){0});
			return;
		}
	}
	if (!sync_is_possible(call, request))
		return;
	if (replication->marks_from == UINT64_MAX) {  /* from now on they are kept */
		replication->marks_from = store_last_lsn(engine->store);
		if (replication_log_lineage(engine) != OK) {
			replication->marks_from = UINT64_MAX;
			call_fail(call, ERR_OVERLOADED, (struct span){0});
			return;
		}
	}
	char line[200], word[EPOCH_TEXT], check[FRAME_CHECK];
	const struct epoch now = replication_epoch_now(engine);
	(void)epoch_word(word, &now);
	snprintf(line, sizeof(line), "+SYNC %s %s %llu %s", replication->lineage, word,
	    (unsigned long long)store_last_lsn(engine->store), engine->run_id);
	answer_check(line, request, check);
	buf_printf(&call->reply->bytes, "%s %s\r\n", line, check);
	link_start(call, request);
}

/* ---- Sending ---- */

void replication_tell_position(struct engine *engine, struct replica_link *link, uint32_t flags)
{
	const struct frame_position position = {
	    .lsn = link->leader.sent,
	    .leader_lsn = store_durable_lsn(engine->store),
	    .time_ms = io_wall_ms(engine->io),
	    .epoch = replication_epoch(engine),
	    .flags = flags,
	};
	struct buf *out = &link->session->out.bytes;
	size_t at = out->len;
	frame_write_position(out, &position);
	frame_seal(out, at, &link->leader.frames);
	link->told_us = io_now_us(engine->io);
	link->leader.told = link->leader.sent;
}

/* All that it was sent has left: the next batch. */
static void link_pump(struct engine *engine, struct replica_link *link)
{
	struct session *session = link->session;
	struct reply *out = &session->out;
	enum { POSITION_US = 100000 };
	uint64_t now_us = io_now_us(engine->io);
	if (session->closing || session->sending || !reply_is_empty(out) ||
	    !list_is_empty(&session->slots))
		return;
	uint64_t budget = LEADER_BATCH;
	bool paced = engine->settings->repl_max_bandwidth > 0;
	if (paced)
		budget = min_u64(budget, link->allowed);
	uint64_t before = link->leader.bytes_sent;
	/* Who takes what follows slowly knows how much there is. */
	if (now_us - link->told_us >= POSITION_US && !leader_is_done(&link->leader))
		replication_tell_position(engine, link, 0);
	if (budget > 0)
		leader_pump(&link->leader, out, budget);
	uint64_t sent = link->leader.bytes_sent - before;
	struct buf *frames = renew_frames(link);
	if (frames != NULL) {
		size_t at = out->bytes.len;
		buf_append(&out->bytes, buf_span(frames));
		frame_seal(&out->bytes, at, &link->leader.frames);
		buf_clear(frames);
	}
	link->allowed = paced && sent < link->allowed ? link->allowed - sent : 0;
	uint64_t ping_us = (uint64_t)engine->settings->repl_ping_period_s * 1000000;
	uint64_t silent_us = now_us - link->told_us;
	bool moved = link->leader.told != link->leader.sent && leader_is_done(&link->leader);
	if (silent_us >= ping_us || (moved && silent_us >= POSITION_US))
		replication_tell_position(engine, link, 0);
	if (!reply_is_empty(out))
		session->ops->ready(session);
}

void replication_deposed(struct engine *engine, uint32_t epoch)
{
	struct replication *replication = engine->replication;
	if (replication->is_follower || epoch <= replication_epoch(engine))
		return;
	if (epoch > replication->epoch_seen)
		replication->epoch_seen = epoch;
	replication->deposed = true;
	io_timer_set(engine->io, &replication->deposed_timer, REPLICA_DEPOSED_US);
	log_warning(engine->log, "replication: another server leads, in epoch %u; writes are refused here",
	    epoch);
}

/* Nobody told it to follow: the other one was a mistake. */
static void deposed_fired(struct io_timer *timer)
{
	struct engine *engine = timer->ctx;
	engine->replication->deposed = false;
}

static void pace_fired(struct io_timer *timer)
{
	UNUSED(timer);                        /* a pass follows */
}

/* What repl-max-bandwidth allows grows with time, up to a batch. */
static void links_pace(struct engine *engine)
{
	struct replication *replication = engine->replication;
	uint64_t rate = engine->settings->repl_max_bandwidth, now_us = io_now_us(engine->io);
	enum { PACE_US = 20000 };
	if (rate == 0 || replication->link_count == 0)
		return;
	uint64_t passed_us = min_u64(now_us - replication->paced_us, 1000000);
	uint64_t more = rate * passed_us / 1000000;
	if (more > 0) {
		replication->paced_us = now_us;
		for (struct list *at = replication->links.next; at != &replication->links; at = at->next) {
			struct replica_link *link = link_at(at);
			link->allowed = min_u64(link->allowed + more, LEADER_BATCH);
		}
	}
	if (!io_timer_is_set(&replication->pace_timer))
		io_timer_set(engine->io, &replication->pace_timer, PACE_US);
}

static void sync_fired(struct io_timer *timer)
{
	struct engine *engine = timer->ctx;
	if (store_durable_lsn(engine->store) < store_last_lsn(engine->store) &&
	    store_state(engine->store) != ERR_READONLY)
		store_sync(engine->store);
}

void replication_extended(struct engine *engine, uint64_t lsn, struct span more)
{
	if (engine->replication != NULL)
		tail_extend(&engine->replication->tail, lsn, more);
}

void replication_appended(struct engine *engine, const struct record *record)
{
	struct replication *replication = engine->replication;
	if (replication == NULL || replication->link_count == 0)
		return;
	tail_add(&replication->tail, record);
	if (UNLIKELY(replication->regains > 0))
		repair_appended(engine, record);
	if (!io_timer_is_set(&replication->sync_timer))
		io_timer_set(engine->io, &replication->sync_timer, REPLICA_SYNC_US);
}

void replication_leader_init(struct engine *engine)
{
	struct replication *replication = engine->replication;
	list_init(&replication->links);
	tail_init(&replication->tail, &engine->memory.replies);
	io_timer_init(&replication->sync_timer, sync_fired, engine);
	io_timer_init(&replication->pace_timer, pace_fired, engine);
	io_timer_init(&replication->deposed_timer, deposed_fired, engine);
	replication_failover_init(engine);
}

/* Who was not heard of for repl-timeout is gone. */
static void links_time_out(struct engine *engine)
{
	struct replication *replication = engine->replication;
	uint64_t limit_us = (uint64_t)engine->settings->repl_timeout_s * 1000000;
	uint64_t now_us = io_now_us(engine->io);
	struct list *at = replication->links.next;
	while (at != &replication->links) {
		struct replica_link *link = link_at(at);
		at = at->next;
		if (now_us - link->heard_us <= limit_us)
			continue;
		log_warning(engine->log, "replication: nothing was heard of the follower %s for too long",
		    link->session->address);
		link->session->ops->close(link->session);
	}
}

bool replication_links_step(struct engine *engine)
{
	struct replication *replication = engine->replication;
	bool more = false;
	if (replication->link_count == 0) {
		if (replication->last_link_ms != 0)
			keep_marks(engine);
		return false;
	}
	links_pace(engine);
	/* What was appended before anybody followed, and asked for no sync, is sent in the end, too. */
	if (store_durable_lsn(engine->store) < store_last_lsn(engine->store) &&
	    !io_timer_is_set(&replication->sync_timer))
		io_timer_set(engine->io, &replication->sync_timer, REPLICA_SYNC_US);
	struct list *at = replication->links.next;
	while (at != &replication->links) {
		struct replica_link *link = link_at(at);
		at = at->next;
		more |= renew_step(engine, link);
		link_pump(engine, link);
	}
	links_time_out(engine);
	keep_marks(engine);
	return more;
}

/* ---- Who has what ---- */

uint32_t replication_count(const struct engine *engine, uint64_t lsn, bool durable)
{
	const struct list *links = &engine->replication->links;
	uint32_t count = 0;
	if (engine->replication->deposed)
		return 0;                     /* what they have is not what counts any more */
	for (struct list *at = links->next; at != links; at = at->next) {
		const struct replica_link *link = link_at(at);
		count += link->has_said && (durable ? link->durable : link->applied) >= lsn;
	}
	return count;
}

uint32_t replication_count_good(const struct engine *engine)
{
	const struct list *links = &engine->replication->links;
	uint64_t limit_us = (uint64_t)engine->settings->min_replicas_max_lag_s * 1000000;
	uint64_t now_us = io_now_us(engine->io);
	uint32_t count = 0;
	for (struct list *at = links->next; at != links; at = at->next)
		count += limit_us == 0 || now_us - link_at(at)->heard_us <= limit_us;
	return count;
}

uint64_t replication_written_lsn(const struct engine *engine)
{
	enum { QUORUM_MAX = 16 };
	const struct replication *replication = engine->replication;
	uint64_t written = store_written_lsn(engine->store);
	int64_t quorum = engine->settings->min_replicas_to_ack;
	if (replication == NULL || quorum == 0 || replication->is_follower || engine->loading)
		return written;
	uint64_t best[QUORUM_MAX] = {0};      /* the largest, descending */
	const struct list *links = &replication->links;
	ASSERT(quorum <= QUORUM_MAX);
	for (struct list *at = links->next; at != links; at = at->next) {
		uint64_t lsn = link_at(at)->has_said ? link_at(at)->durable : 0;
		for (int64_t i = 0; i < quorum; i++) {
			if (lsn <= best[i])
				continue;
			uint64_t kept = best[i];
			best[i] = lsn;
			lsn = kept;
		}
	}
	return min_u64(written, best[quorum - 1]);
}
