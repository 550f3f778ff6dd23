/* engine/replica/replica_state.c: lineage, epochs, and which part this server plays. See replica.h. */
#include "engine/replica/rejoin.h"
#include "engine/replica/replica.h"

#include "base/arith.h"
#include "base/varint.h"
#include "engine/chunk.h"
#include "store/follow.h"

static const char lineage_key[] = "replication:lineage";

uint32_t replication_epoch(const struct engine *engine)
{
	const struct replication *replication = engine->replication;
	return replication->epoch_count == 0
	    ? 0 : replication->epochs[replication->epoch_count - 1].number;
}

struct epoch replication_epoch_now(const struct engine *engine)
{
	const struct replication *replication = engine->replication;
	return replication->epoch_count == 0
	    ? (struct epoch){0} : replication->epochs[replication->epoch_count - 1];
}

/* Where that epoch is in the list, or epoch_count. */
static uint32_t epoch_index(const struct replication *replication, const struct epoch *epoch)
{
	uint32_t i = 0;
	while (i < replication->epoch_count && !epoch_equal(&replication->epochs[i], epoch))
		i++;
	return i;
}

bool replication_knows_epoch(const struct replication *replication, const struct epoch *epoch)
{
	return epoch_index(replication, epoch) < replication->epoch_count;
}

uint64_t replication_epoch_end(const struct replication *replication, const struct epoch *epoch)
{
	uint32_t i = epoch_index(replication, epoch);
	if (i < replication->epoch_count)
		return i + 1 < replication->epoch_count ? replication->epochs[i + 1].first - 1 : UINT64_MAX;
	/* It led in an epoch that nobody here knows of, and was told to follow nevertheless. */
	uint64_t end = epoch->first == 0 ? 0 : epoch->first - 1;
	for (i = 0; i < replication->epoch_count; i++)
		if (replication->epochs[i].number >= epoch->number)
			return min_u64(end, replication->epochs[i].first - 1);
	return end;
}

/* ---- The record ---- */

/* False: the text makes no sense; nothing was changed. */
static bool lineage_parse(struct replication *replication, struct span text)
{
	struct epoch epochs[EPOCHS_MAX];
	char copy[EPOCHS_MAX * EPOCH_TEXT + 64], lineage[41];
	uint32_t count = 0;
	int used = 0, step;
	unsigned long long marks;
	if (text.len >= sizeof(copy) || text.len == 0)
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	if (sscanf(copy, "%40s %llu%n", lineage, &marks, &used) != 2 || strlen(lineage) != 40)
		return false;
	while (count < EPOCHS_MAX && (step = epoch_scan(copy + used, &epochs[count])) > 0) {
		const struct epoch *before = count == 0 ? NULL : &epochs[count - 1];
		bool later = before == NULL || epochs[count].number > before->number ||
		    (epochs[count].number == before->number && epochs[count].first > before->first);
		if (epochs[count].first == 0 || !later)
			return false;
		count++;
		used += step;
	}
	if (copy[used] != 0)
		return false;
	memcpy(replication->lineage, lineage, sizeof(lineage));
	replication->marks_from = marks;
	memcpy(replication->epochs, epochs, count * sizeof(epochs[0]));
	replication->epoch_count = count;
	return true;
}

static void lineage_format(const struct replication *replication, struct buf *out)
{
	buf_printf(out, "%s %llu", replication->lineage, (unsigned long long)replication->marks_from);
	char word[EPOCH_TEXT];
	for (uint32_t i = 0; i < replication->epoch_count; i++) {
		buf_append_text(out, " ");
		buf_append(out, epoch_word(word, &replication->epochs[i]));
	}
}

static void lineage_take_place(struct engine *engine, struct place place)
{
	struct replication *replication = engine->replication;
	if (replication->lineage_place.segment != 0)
		store_release(engine->store, replication->lineage_place);
	replication->lineage_place = place;
}

bool replication_setting(struct engine *engine, const struct record *record)
{
	struct replication *replication = engine->replication;
	if (partial_setting(engine, record))
		return true;
	if (!span_is(record->key, lineage_key))
		return false;
	struct span text = record->body != NULL ? body_span(record->body) : record->value;
	if (!lineage_parse(replication, text))
		log_warning(engine->log, "the record of replication's lineage cannot be read");
	lineage_take_place(engine, record->place);
	store_set_epoch(engine->store, replication_epoch(engine));
	return true;
}

bool replication_setting_is_live(const struct engine *engine, const struct record *record)
{
	const struct replication *replication = engine->replication;
	if (span_is(record->key, LOCAL_SETTING))
		return place_equal(replication->partial.place, record->place);
	return span_is(record->key, lineage_key) &&
	    place_equal(replication->lineage_place, record->place);
}

bool replication_setting_relocated(
    struct engine *engine, const struct record *record, struct place from, struct place to)
{
	bool is_local = span_is(record->key, LOCAL_SETTING);
	struct place *place =
	    is_local ? &engine->replication->partial.place : &engine->replication->lineage_place;
	if ((!is_local && !span_is(record->key, lineage_key)) || !place_equal(*place, from))
		return false;
	*place = to;
	return true;
}

/* Among the settings of a checkpoint, where no policy has such a name. */
static const struct span dump_name = {(const uint8_t *)"\1lineage", 8};

void replication_dump(const struct engine *engine, struct buf *out)
{
	const struct replication *replication = engine->replication;
	struct buf text;
	partial_dump(engine, out);
	if (replication->lineage[0] == 0)
		return;
	buf_init(&text, out->memory);
	lineage_format(replication, &text);
	put_setting(out, dump_name, replication->lineage_place, buf_span(&text));
	buf_fini(&text);
}

bool replication_load(struct engine *engine, struct span name, struct span text, struct place place)
{
	if (partial_load(engine, name, text, place))
		return true;
	if (!span_equal(name, dump_name))
		return false;
	if (!lineage_parse(engine->replication, text))
		log_warning(engine->log, "the checkpoint's lineage cannot be read");
	engine->replication->lineage_place = place;
	return true;
}

void replication_clear(struct engine *engine)
{
	struct replication *replication = engine->replication;
	replication->lineage[0] = 0;
	replication->epoch_count = 0;
	replication->lineage_place = (struct place){0};
	memset(&replication->partial, 0, sizeof(replication->partial));
	replication->whole_least = 0;
}

enum err replication_log_lineage(struct engine *engine)
{
	struct replication *replication = engine->replication;
	struct buf text;
	if (replication->lineage[0] == 0) {
		memcpy(replication->lineage, engine->repl_id, sizeof(replication->lineage));
		replication->epochs[0] = (struct epoch){.number = 1, .first = 1};
		replication->epoch_count = 1;
		replication->marks_from = store_last_lsn(engine->store);
	}
	buf_init(&text, &engine->memory.engine);
	lineage_format(replication, &text);
	struct record record = {
	    .type = RECORD_SETTING,
	    .db = RECORD_ALL_DBS,
	    .key = span_text(lineage_key),
	    .value = buf_span(&text),
	    .sync = SYNC_ALWAYS,
	};
	store_set_epoch(engine->store, replication_epoch(engine));
	enum err err = store_append(engine->store, &record);
	if (err == OK)
		lineage_take_place(engine, record.place);
	buf_fini(&text);
	return err;
}

/* ---- Roles ---- */

/* The last of the list; the record that says so is the caller's to write. */
static void epoch_add(struct engine *engine, uint32_t number, uint64_t first)
{
	struct replication *replication = engine->replication;
	if (replication->epoch_count == EPOCHS_MAX) {
		memmove(&replication->epochs[1], &replication->epochs[2],
		    (EPOCHS_MAX - 2) * sizeof(replication->epochs[0]));
		replication->epoch_count--;
	}
	struct epoch next = {.number = number, .first = first};
	io_random(engine->io, &next.tag, sizeof(next.tag));
	if (replication->lineage[0] != 0)
		replication->epochs[replication->epoch_count++] = next;
}

uint64_t replication_former_end(const struct engine *engine)
{
	uint64_t cut = store_cut_from(engine->store);
	return cut != 0 ? cut - 1 : store_last_lsn(engine->store);
}

enum err replication_begin_life(struct engine *engine)
{
	struct replication *replication = engine->replication;
	if (!replication->life_due)
		return OK;
	uint64_t first = replication_former_end(engine) + 1;
	enum err err = store_leave_out(engine->store, LIFE_LSNS);
	if (err != OK)
		return err;
	replication->life_due = false;
	epoch_add(engine, replication_epoch(engine), first);
	return replication_log_lineage(engine);
}

/* A new epoch: first the VOID, which covers whatever others may have from here on, and the part of a
 * group that will not be completed; then the record that says where it begins. */
static enum err promote(struct engine *engine)
{
	struct replication *replication = engine->replication;
	uint64_t last = store_last_lsn(engine->store);
	if (replication->lineage[0] == 0 && last == 0)
		return OK;                    /* nothing ever came: nobody's copy */
	uint64_t pending = replication_drop_pending(engine);
	uint64_t first = pending != 0 ? pending : last + 1;
	enum err err = store_skip(engine->store, first, EPOCH_LSNS);
	if (err != OK)
		return err;
	if (replication_is_partial(engine)) { /* who has more than that has something else */
		log_warning(engine->log, "replication: it becomes the leader with something missing behind LSN %llu",
		    (unsigned long long)replication->partial.base);
		first = replication->partial.base + 1;
		replication->partial.whole = replication->whole_least = 0;
		rejoin_forget(engine);
	}
	uint32_t number = replication_epoch(engine);
	number = (number > replication->epoch_seen ? number : replication->epoch_seen) + 1;
	epoch_add(engine, number, first);
	err = replication_log_lineage(engine);
	log_notice(engine->log, "replication: this is the leader now, in epoch %u from LSN %llu on",
	    replication_epoch(engine), (unsigned long long)first);
	return err;
}

enum err replication_lead(struct engine *engine, bool by_watch)
{
	struct replication *replication = engine->replication;
	replication->deposed = false;
	if (!replication->is_follower)
		return OK;
	if (by_watch)
		follower_say_deposed(&replication->follower, replication_epoch(engine) + 1);
	rejoin_export_close(engine);
	follower_stop(&replication->follower, true);
	io_timer_cancel(engine->io, &replication->retry);
	replication->is_follower = false;
	replication->host[0] = 0;
	engine->settings->replicaof[0] = 0;
	store_set_following(engine->store, false);
	enum err err = promote(engine);
	if (err != OK)
		log_warning(engine->log, "replication: the new epoch cannot be written: %s", err_name(err));
	engine_took_over(engine);
	return err;
}

enum err replication_follow(struct engine *engine, const char *host, uint16_t port)
{
	struct replication *replication = engine->replication;
	if (replication->is_follower && strcmp(host, replication->host) == 0 && port == replication->port)
		return ERR_EXISTS;
	snprintf(replication->host, sizeof(replication->host), "%s", host);
	replication->port = port;
	if (!replication->is_follower)
		sessions_lose(engine, replication_written_lsn(engine));
	snprintf(engine->settings->replicaof, sizeof(engine->settings->replicaof), "%s %u", host, port);
	replication->is_follower = true;
	replication->deposed = replication->life_due = false;
	rejoin_follows(engine);
	store_set_following(engine->store, true);
	replication_links_close(engine);
	log_notice(engine->log, "replication: following %s:%u from LSN %llu on", host, port,
	    (unsigned long long)store_last_lsn(engine->store));
	replication_follower_start(engine);
	return OK;
}

void replication_note_loss(struct engine *engine)
{
	struct replication *replication = engine->replication;
	engine->lost_some = false;
	if (replication->lineage[0] == 0 || engine->settings->readonly)
		return;                       /* nobody else has it */
	if (!rejoin_begin_lost(engine))
		log_warning(engine->log, "replication: what could not be read may be missing");
	replication_links_close(engine);
	if (replication->is_follower)
		follower_restart(&replication->follower);
}

bool replication_link_is_up(const struct engine *engine)
{
	return engine->replication->follower.state == FOLLOWER_STREAMING;
}

/* "host port", as in a config file. */
static bool target_parse(const char *text, char host[128], uint16_t *port)
{
	unsigned number;
	if (sscanf(text, "%127s %u", host, &number) != 2 || number == 0 || number > 65535)
		return false;
	*port = (uint16_t)number;
	return true;
}

void replication_opened(struct engine *engine)
{
	struct replication *replication = engine->replication;
	char host[128];
	uint16_t port;
	store_set_epoch(engine->store, replication_epoch(engine));
	/* More than the lineage says, if its record was lost: whoever leads next takes a later one. */
	if (store_epoch_seen(engine->store) > replication->epoch_seen)
		replication->epoch_seen = store_epoch_seen(engine->store);
	replication_reached(engine, store_last_lsn(engine->store));
	rejoin_opened(engine);
	if (replication->lineage[0] != 0) {   /* who follows, and how far, is not known yet */
		replication->last_link_ms = io_wall_ms(engine->io);
		replication->last_link_lsn = replication->marks_from;
	}
	if (engine->lost_some)
		replication_note_loss(engine);
	replication->life_due = replication->lineage[0] != 0 && engine->settings->replicaof[0] == 0;
	if (replication->life_due && !engine->settings->readonly)
		store_ask_preface(engine->store);
	if (engine->settings->replicaof[0] == 0 || engine->settings->readonly)
		return;
	if (!target_parse(engine->settings->replicaof, host, &port)) {
		log_warning(engine->log, "replicaof is a host and a port, not '%s'",
		    engine->settings->replicaof);
		return;
	}
	store_follow(engine->store);
	replication->received = replication->applied = store_last_lsn(engine->store);
	if (replication_follow(engine, host, port) != OK)
		log_warning(engine->log, "replication: cannot follow %s", host);
}

void replication_new(struct engine *engine)
{
	struct replication *replication = memory_zalloc(&engine->memory.engine, sizeof(*replication));
	replication->engine = engine;
	engine->replication = replication;
	list_init(&replication->pending);
	replication_leader_init(engine);
	replication_follower_init(engine);
}


static void follower_is_freed(void *ctx)
{
	struct engine *engine = ctx;
	engine->replication->freeing = false;
	engine->replication->freed(engine);
}

void replication_close(struct engine *engine, void (*freed)(struct engine *engine))
{
	struct replication *replication = engine->replication;
	io_timer_cancel(engine->io, &replication->retry);
	io_timer_cancel(engine->io, &replication->sync_timer);
	io_timer_cancel(engine->io, &replication->pace_timer);
	io_timer_cancel(engine->io, &replication->deposed_timer);
	io_timer_cancel(engine->io, &replication->failover_timer);
	replication_links_close(engine);
	rejoin_export_close(engine);
	replication->freed = freed;
	replication->freeing = true;
	replication->closed = true;
	follower_fini(&replication->follower, follower_is_freed);
}

void replication_free(struct engine *engine)
{
	struct replication *replication = engine->replication;
	if (replication == NULL)
		return;
	ASSERT(!replication->freeing && list_is_empty(&replication->links));
	(void)replication_drop_pending(engine);
	tail_fini(&replication->tail);
	buf_fini(&replication->search.key);
	memory_free(&engine->memory.engine, replication, sizeof(*replication));
	engine->replication = NULL;
}
