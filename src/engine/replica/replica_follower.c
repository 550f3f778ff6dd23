/* engine/replica/replica_follower.c: what a leader sends enters the log and memory here. See replica.h. */
#include "engine/replica/rejoin.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"

#include "base/arith.h"
#include "base/endian.h"
#include "engine/collection/collection_log.h"
#include "store/follow.h"

/* A record of a group whose end has not come. */
struct pending {
	struct list   link;
	struct record record;             /* its spans lie behind this struct */
	size_t        bytes;
};

static void pending_free(struct engine *engine, struct pending *pending)
{
	struct replication *replication = engine->replication;
	list_remove(&pending->link);
	body_unref(pending->record.body);
	replication->pending_bytes -= pending->bytes;
	memory_free(&engine->memory.engine, pending, pending->bytes);
}

uint64_t replication_drop_pending(struct engine *engine)
{
	struct replication *replication = engine->replication;
	uint64_t first = replication->pending_first;
	while (!list_is_empty(&replication->pending)) {
		struct pending *pending = LIST_OF(replication->pending.next, struct pending, link);
		if (pending->record.type != RECORD_END && !engine->closing)
			store_release(engine->store, pending->record.place);
		pending_free(engine, pending);
	}
	replication->pending_first = 0;
	return first;
}

static struct span pending_copy(uint8_t **at, struct span bytes)
{
	uint8_t *to = *at;
	if (bytes.len > 0)
		memcpy(to, bytes.ptr, bytes.len);
	*at += bytes.len;
	return span_of(to, bytes.len);
}

static void pending_add(struct engine *engine, const struct record *record)
{
	struct replication *replication = engine->replication;
	size_t bytes = sizeof(struct pending) + record->key.len + record->meta.len + record->value.len;
	struct pending *pending = memory_alloc(&engine->memory.engine, bytes);
	uint8_t *at = (uint8_t *)(pending + 1);
	pending->bytes = bytes;
	pending->record = *record;
	pending->record.key = pending_copy(&at, record->key);
	pending->record.meta = pending_copy(&at, record->meta);
	pending->record.value = pending_copy(&at, record->value);
	if (record->body != NULL)
		(void)body_ref(record->body);
	if (list_is_empty(&replication->pending))
		replication->pending_first = record->lsn;
	list_append(&replication->pending, &pending->link);
	replication->pending_bytes += bytes;
}

static void apply_one(struct engine *engine, const struct record *record)
{
	if (record->type != RECORD_END && record->type != RECORD_VOID)
		engine_take_record(engine, record);
}

static void apply_pending(struct engine *engine)
{
	struct replication *replication = engine->replication;
	while (!list_is_empty(&replication->pending)) {
		struct pending *pending = LIST_OF(replication->pending.next, struct pending, link);
		apply_one(engine, &pending->record);
		replication->applied = pending->record.lsn;
		pending_free(engine, pending);
	}
	replication->pending_first = 0;
}

/* It is in the log: now, or with the rest of its group, in memory. */
static void record_apply(struct engine *engine, const struct record *record)
{
	struct replication *replication = engine->replication;
	bool waits = !list_is_empty(&replication->pending);
	if (record->type == RECORD_VOID && waits && record->refers <= replication->pending_first)
		(void)replication_drop_pending(engine);
	else if (waits && record->lsn != replication->received + 1)
		apply_pending(engine);        /* the rest of it has died: it is long complete */
	replication->received = record->lsn;
	if ((record->flags & RECORD_CONTINUES) != 0) {
		pending_add(engine, record);
		if (replication->pending_bytes > REPLICA_PENDING_MAX)
			apply_pending(engine);
		return;
	}
	apply_pending(engine);
	apply_one(engine, record);
	replication->applied = record->lsn;
}

static void retry_fired(struct io_timer *timer)
{
	struct engine *engine = timer->ctx;
	follower_resume(&engine->replication->follower);
}

static void retry_soon(struct engine *engine, uint64_t us)
{
	struct replication *replication = engine->replication;
	if (!io_timer_is_set(&replication->retry))
		io_timer_set(engine->io, &replication->retry, us);
}

/* ---- What the link tells ---- */

static void on_ask(void *ctx, struct follower_greeting *own)
{
	struct engine *engine = ctx;
	struct replication *replication = engine->replication;
	memcpy(own->lineage, replication->lineage, sizeof(own->lineage));
	own->epoch = replication_epoch_now(engine);
	if (own->lineage[0] == 0 && replication->leader_lineage[0] != 0) {
		memcpy(own->lineage, replication->leader_lineage, sizeof(own->lineage));
		own->epoch = replication->leader_epoch;       /* its record has not come yet */
	} else if (own->lineage[0] == 0 && replication_is_partial(engine)) {
		memcpy(own->lineage, replication->partial.lineage, sizeof(own->lineage));
		own->epoch = replication->partial.epoch;
	}
	if (own->lineage[0] == 0 && rejoin_is_pending(engine)) {
		memcpy(own->lineage, engine->rejoin->lineage, sizeof(own->lineage));
		own->epoch = engine->rejoin->epoch;
	}
	own->lsn = rejoin_from(engine);
	own->compares = rejoin_is_pending(engine);
	own->from = store_last_lsn(engine->store);
	own->base = engine->rejoin->base;
	replication->received = max_u64(replication->received, own->lsn);
}

/* What is here cannot become what the leader has. */
static void begin_anew(struct engine *engine)
{
	if (engine->events->put_aside != NULL && !engine->closing)
		engine->events->put_aside(engine->events_ctx);
}

/* What is missing behind `base` is found by comparing. */
static void rejoin_or_begin_anew(struct engine *engine, uint64_t base)
{
	if (!rejoin_begin(engine, base))
		begin_anew(engine);
}

static enum err on_agreed(void *ctx, const struct follower_greeting *leader)
{
	struct engine *engine = ctx;
	struct replication *replication = engine->replication;
	if (!rejoin_is_pending(engine) && replication_partial_is_lost(engine, &leader->epoch)) {
		log_warning(engine->log, "replication: the leader changed before this follower was whole");
		rejoin_or_begin_anew(engine, replication->partial.base);
		return ERR_INVALID;
	}
	rejoin_reset(engine);
	replication->agreed_lsn = leader->lsn;
	replication->leader_epoch = leader->epoch;
	replication->gap_whole = 0;
	memcpy(replication->leader_lineage, leader->lineage, sizeof(leader->lineage));
	replication->leader_lsn = leader->lsn;
	replication->refusal[0] = 0;
	log_notice(engine->log, "replication: the leader agreed: epoch %u, LSN %llu; here %llu",
	    leader->epoch.number, (unsigned long long)leader->lsn,
	    (unsigned long long)store_last_lsn(engine->store));
	return OK;
}

/* It stands still while the disk is full, and says so; the record waits, and is tried again. */
static void follower_note_stop(struct engine *engine, enum err err)
{
	struct replication *replication = engine->replication;
	enum err why = err == ERR_DISKFULL || err == ERR_READONLY ? err : OK;
	if (why == replication->stopped_by)
		return;
	if (why != OK)
		log_warning(engine->log, "replication: nothing more is taken: %s", err_name(why));
	else
		log_notice(engine->log, "replication: it goes on");
	replication->stopped_by = why;
}

static enum err on_record(void *ctx, struct record *record)
{
	struct engine *engine = ctx;
	struct replication *replication = engine->replication;
	enum { RETRY_US = 2000, RETRY_FULL_US = 100000 };
	if (record->lsn <= store_last_lsn(engine->store))
		return OK;                    /* it is here already */
	if (engine->loading || store_is_pressed(engine->store)) {
		retry_soon(engine, RETRY_US);
		return ERR_AGAIN;
	}
	if (!engine_find_body(engine, record)) {
		retry_soon(engine, 1);
		return ERR_AGAIN;
	}
	if (collection_prepare(engine, record) == ERR_AGAIN) {
		retry_soon(engine, 1);
		return ERR_AGAIN;
	}
	record->sync = SYNC_EVERYSEC;         /* or when the sync before has ended: follower_sync */
	enum err err = replication_note_gap(engine, record);
	if (err == OK || err == ERR_NOTFOUND)
		err = store_append_given(engine->store, record);
	follower_note_stop(engine, err);
	if (err == ERR_OVERLOADED || err == ERR_DISKFULL || err == ERR_READONLY) {
		retry_soon(engine, err == ERR_OVERLOADED ? RETRY_US : RETRY_FULL_US);
		return ERR_AGAIN;
	}
	if (err != OK)
		return err;
	replication->records++;
	uint64_t lost = replication->lost_links;
	record_apply(engine, record);
	if (replication->lost_links != lost && !rejoin_is_pending(engine)) {
		log_warning(engine->log, "replication: a body that is not here is named: what else is missing?");
		rejoin_or_begin_anew(engine, replication_is_partial(engine) ? replication->partial.base
		                                                           : record->lsn - 1);
		return ERR_INVALID;
	}
	if (replication_is_partial(engine) && !rejoin_is_pending(engine) &&
	    replication_epoch(engine) > replication->partial.epoch.number) {
		log_warning(engine->log, "replication: a new epoch began before this follower was whole");
		rejoin_or_begin_anew(engine, replication->partial.base);
		return ERR_INVALID;
	}
	return OK;
}

static void on_whole(void *ctx, uint64_t lsn)
{
	struct engine *engine = ctx;
	engine->replication->gap_whole = lsn;
}

static enum err on_lost(void *ctx, uint64_t lsn)
{
	struct engine *engine = ctx;
	struct replication *replication = engine->replication;
	if (rejoin_is_pending(engine) && rejoin_will_notice(engine, lsn))
		return OK;
	log_warning(engine->log, "replication: the leader cannot read all behind LSN %llu",
	    (unsigned long long)lsn);
	if (!rejoin_is_pending(engine))
		rejoin_or_begin_anew(
		    engine, replication_is_partial(engine) ? replication->partial.base : lsn);
	return ERR_INVALID;
}

static enum err on_position(void *ctx, const struct frame_position *position)
{
	struct engine *engine = ctx;
	struct replication *replication = engine->replication;
	replication->position = position->lsn;
	replication->leader_lsn = position->leader_lsn;
	replication->leader_ms = position->time_ms;
	if (!list_is_empty(&replication->pending) && position->lsn > replication->received)
		apply_pending(engine);        /* nothing of it is left to come */
	if ((position->flags & FRAME_ACK) != 0)
		replication->acked_us = 0;
	if ((position->flags & FRAME_PAUSED) != 0) {
		replication->take_over = true;
		replication->take_over_lsn = store_last_lsn(engine->store);
	}
	return OK;
}

static void on_passed(void *ctx)
{
	UNUSED(ctx);                          /* the pass that follows acknowledges */
}

static void on_changed(void *ctx, enum follower_state state)
{
	struct engine *engine = ctx;
	struct replication *replication = engine->replication;
	if (state == FOLLOWER_WAITING && !list_is_empty(&replication->pending))
		log_verbose(engine->log, "replication: the link broke within a group");
	if (state != FOLLOWER_STREAMING) {
		repair_forget(engine, NULL);
		collections_drop_preparing(engine);
		return;
	}
	replication->acked_us = 0;
}

static enum err on_special(void *ctx, enum frame_type type, struct span payload)
{
	struct engine *engine = ctx;
	if (type == FRAME_FETCHED)
		return repair_fetched(engine, NULL, payload);
	if (type != FRAME_FETCH)
		return rejoin_frame(engine, type, payload);
	if (payload.len < REPAIR_ASK_HEAD)
		return ERR_CORRUPT;
	const struct repair_ask ask = {
	    .lsn = load_le64(payload.ptr),
	    .behind = load_le64(payload.ptr + 8),
	    .from = load_le64(payload.ptr + 16),
	    .db = payload.ptr[24],
	    .type = payload.ptr[25],
	    .key = span_slice(payload, REPAIR_ASK_HEAD, payload.len),
	};
	return repair_asked(engine, NULL, &ask) ? OK : ERR_INVALID;
}

static bool line_begins(struct span line, const char *word)
{
	size_t len = strlen(word);
	return line.len > len && memcmp(line.ptr, word, len) == 0;
}

static void on_refused(void *ctx, struct span line, bool sure)
{
	struct engine *engine = ctx;
	struct replication *replication = engine->replication;
	char text[sizeof(replication->refusal)];
	replication->refusals++;
	snprintf(text, sizeof(text), "%.*s", (int)min_u64(line.len, sizeof(text) - 1),
	    (const char *)line.ptr);
	if (strcmp(text, replication->refusal) != 0)
		log_warning(engine->log, "replication: %s:%u refuses: %s", replication->host,
		    replication->port, text);
	memcpy(replication->refusal, text, sizeof(text));
	unsigned long long common, last;
	if (!sure)
		return;                       /* it is asked again */
	if (sscanf(text, "-DIVERGED %llu is the last LSN in common, %llu", &common, &last) == 2) {
		if (!rejoin_diverged(engine, common, last))
			begin_anew(engine);
	} else if (line_begins(line, "-TOOLATE")) {
		rejoin_or_begin_anew(engine, rejoin_from(engine));
	} else if (line_begins(line, "-DIVERGED") || line_begins(line, "-UNRELATED") ||
	    line_begins(line, "-NOTLEADER")) {
		begin_anew(engine);
	}
}

static const struct follower_events follower_events = {
    .ask = on_ask,
    .agreed = on_agreed,
    .record = on_record,
    .whole = on_whole,
    .lost = on_lost,
    .position = on_position,
    .special = on_special,
    .passed = on_passed,
    .changed = on_changed,
    .refused = on_refused,
};

/* ---- Life ---- */

void replication_follower_init(struct engine *engine)
{
	struct replication *replication = engine->replication;
	const struct follower_options options = {
	    .io = engine->io,
	    .memory = &engine->memory.values,
	    .log = engine->log,
	    .pool = engine->pool,
	    .events = &follower_events,
	    .ctx = engine,
	};
	follower_init(&replication->follower, &options);
	buf_init(&replication->search.key, &engine->memory.engine);
	io_timer_init(&replication->retry, retry_fired, engine);
}

static void use_tls(const struct engine *engine, struct follower_target *target)
{
	target->tls = engine->settings->tls_replication ? engine->tls : NULL;
	target->check_host = engine->settings->tls_replication_check_host;
}

void replication_configure(struct engine *engine)
{
	struct replication *replication = engine->replication;
	struct follower_target *target = &replication->follower.target;
	const struct tls *before = target->tls;
	use_tls(engine, target);
	if (replication->is_follower && target->tls != before)
		follower_restart(&replication->follower);
}

void replication_follower_start(struct engine *engine)
{
	struct replication *replication = engine->replication;
	const struct settings *settings = engine->settings;
	struct follower_target target = {
	    .port = replication->port,
	    .user = settings->masteruser,
	    .password = settings->masterauth,
	    .announce_port = (uint16_t)settings->replica_announce_port,
	    .segment_bytes = settings->segment_bytes,
	    .timeout_ms = (uint64_t)settings->repl_timeout_s * 1000,
	};
	memcpy(target.host, replication->host, sizeof(target.host));
	snprintf(target.announce_ip, sizeof(target.announce_ip), "%.127s", settings->replica_announce_ip);
	use_tls(engine, &target);
	if (target.announce_port == 0 && settings->tls_replication)
		target.announce_port = (uint16_t)settings->tls_port;
	if (target.announce_port == 0)
		target.announce_port = engine->events->port(engine->events_ctx);
	replication->received = replication->applied = store_last_lsn(engine->store);
	replication->acked_applied = replication->acked_durable = replication->position = 0;
	replication->take_over = false;
	replication->level_us = io_now_us(engine->io);
	follower_start(&replication->follower, &target);
}

/* One sync at a time, over all that came meanwhile. */
static void follower_sync(struct engine *engine)
{
	struct replication *replication = engine->replication;
	uint64_t durable = store_durable_lsn(engine->store), last = store_last_lsn(engine->store);
	if (last <= durable || replication->sync_lsn > durable ||
	    store_state(engine->store) == ERR_READONLY)
		return;
	replication->sync_lsn = last;
	store_sync(engine->store);
}

/* How much of `leader` is missing; none is: it notes when. */
static uint64_t lag_records(struct engine *engine, uint64_t leader)
{
	struct replication *replication = engine->replication;
	const struct follower *follower = &replication->follower;
	uint64_t now_us = io_now_us(engine->io);
	uint64_t quiet_us = (uint64_t)(engine->settings->repl_ping_period_s + 1) * 1000000;
	uint64_t have = max_u64(replication->applied, replication->position);
	if (replication_is_partial(engine))
		have = min_u64(have, replication->partial.base);
	bool waits = follower->stalled || follower->taken < follower->in.len;
	bool hears = replication_link_is_up(engine) && now_us - follower->heard_us <= quiet_us;
	if (have >= leader && !waits && hears)
		replication->level_us = now_us;
	return leader > have ? leader - have : waits;
}

struct replication_lag replication_lag(struct engine *engine)
{
	struct replication *replication = engine->replication;
	uint64_t leader = replication->leader_lsn;
	if (!replication->closed)             /* else the link is gone already */
		leader = max_u64(leader, follower_peek(&replication->follower));
	uint64_t records = lag_records(engine, leader);
	return (struct replication_lag){
	    .records = records, .us = io_now_us(engine->io) - replication->level_us};
}

bool replication_follower_step(struct engine *engine)
{
	struct replication *replication = engine->replication;
	uint64_t now_us = io_now_us(engine->io);
	follower_sync(engine);
	if (replication->take_over && store_durable_lsn(engine->store) >= replication->take_over_lsn) {
		replication->take_over = false;
		log_notice(engine->log, "replication: the leader hands over");
		if (replication_lead(engine, false) != OK)
			log_warning(engine->log, "replication: taking over failed");
		return false;
	}
	if (replication->follower.state != FOLLOWER_STREAMING)
		return false;
	uint64_t durable = store_durable_lsn(engine->store), last = store_last_lsn(engine->store);
	uint64_t applied = replication->applied, received = replication->received;
	/* What lies between the last record and the position has died before it was sent. */
	if (durable >= last && replication->position > durable && list_is_empty(&replication->pending))
		durable = applied = received = replication->position;
	replication_reached(engine, applied);
	(void)lag_records(engine, replication->leader_lsn);
	bool more = rejoin_step(engine, durable);
	if (replication_is_partial(engine)) {
		applied = min_u64(applied, replication->partial.base);
		durable = min_u64(durable, replication->partial.base);
	}
	bool news = applied != replication->acked_applied || durable != replication->acked_durable;
	if (!news && now_us - replication->acked_us < REPLICA_ACK_US)
		return more;
	replication->acked_applied = applied;
	replication->acked_durable = durable;
	replication->acked_us = now_us;
	follower_ack(&replication->follower, applied, durable, received);
	return more;
}

bool replication_step(struct engine *engine)
{
	struct replication *replication = engine->replication;
	if (replication == NULL || replication->closed)
		return false;
	if (engine->lost_some && !engine->loading && !engine->partly)
		replication_note_loss(engine);
	bool more = replication_links_step(engine);
	if (replication->failover != FAILOVER_NONE)
		replication_failover_step(engine);
	if (replication->is_follower)
		more |= replication_follower_step(engine);
	return more;
}
