/* engine/replica/repair.c: see repair.h. Wishes, and what becomes of the answers; repair_serve.c answers. */
#include "engine/replica/repair_parts.h"

#include "image/meta.h"

enum { WISHES_MAX = 256, ANSWER_US = 10000000, VAIN_US = 60000000, MOVES_UNKNOWN = 15 };

void repairs_new(struct engine *engine)
{
	struct repairs *repairs = memory_zalloc(&engine->memory.engine, sizeof(*repairs));
	repairs->engine = engine;
	list_init(&repairs->wishes);
	list_init(&repairs->servings);
	buf_init(&repairs->head, &engine->memory.engine);
	engine->repairs = repairs;
}

static void fetch_drop(struct repairs *repairs)
{
	body_unref(repairs->body);
	repairs->body = NULL;
	repairs->has_head = repairs->is_whole = false;
}

void wish_drop(struct repairs *repairs, struct repair_wish *wish)
{
	ASSERT(repairs->count > 0 && !repairs->moving);
	if (wish->regain != NULL)
		repairs->engine->replication->regains--;
	list_remove(&wish->link);
	repairs->count--;
	fetch_drop(repairs);
	memory_free(&repairs->engine->memory.engine, wish, sizeof(*wish) + wish->len);
}

void repairs_free(struct engine *engine)
{
	struct repairs *repairs = engine->repairs;
	if (repairs == NULL)
		return;
	ASSERT(!repairs->moving);             /* the store ended it when it closed */
	servings_drop(repairs, NULL, true);
	while (!list_is_empty(&repairs->wishes))
		wish_drop(repairs, LIST_OF(repairs->wishes.next, struct repair_wish, link));
	buf_fini(&repairs->head);
	memory_free(&engine->memory.engine, repairs, sizeof(*repairs));
	engine->repairs = NULL;
}

/* ---- Wishes ---- */

struct repair_wish *wish_new(struct repairs *repairs, struct span key)
{
	struct repair_wish *wish = memory_zalloc(&repairs->engine->memory.engine, sizeof(*wish) + key.len);
	wish->len = (uint32_t)key.len;
	if (key.len > 0)
		memcpy(wish->key, key.ptr, key.len);
	list_append(&repairs->wishes, &wish->link);
	repairs->count++;
	repairs->wished++;
	return wish;
}

static bool was_in_vain(const struct repairs *repairs, uint64_t lsn)
{
	for (int i = 0; i < VAIN_MAX; i++)
		if (repairs->vain[i].lsn == lsn && io_now_us(repairs->engine->io) < repairs->vain[i].until_us)
			return true;
	return false;
}

static void note_in_vain(struct repairs *repairs, uint64_t lsn)
{
	repairs->vain[repairs->vain_at++ % VAIN_MAX] =
	    (struct repair_vain){lsn, io_now_us(repairs->engine->io) + VAIN_US};
	repairs->failed++;
}

static void wish_add(struct engine *engine, const struct record *record, struct place place, unsigned moves)
{
	struct repairs *repairs = engine->repairs;
	if (repairs == NULL || engine->loading || engine->closing || record->lsn == 0 || place.segment == 0 ||
	    repairs->count >= WISHES_MAX || record->db >= DATABASE_COUNT || was_in_vain(repairs, record->lsn))
		return;
	for (struct list *at = repairs->wishes.next; at != &repairs->wishes; at = at->next)
		if (LIST_OF(at, struct repair_wish, link)->lsn == record->lsn)      /* a regain has none */
			return;
	struct repair_wish *wish = wish_new(repairs, record->key);
	wish->db = record->db;
	wish->type = record->type;
	wish->lsn = record->lsn;
	wish->place = place;
	wish->moves = moves;
}

static bool can_be_fetched(uint8_t type)
{
	return type == RECORD_IMAGE || type == RECORD_META || type == RECORD_LINK || type == RECORD_VALUE ||
	    type == RECORD_CHANGE;
}

void repair_note(struct engine *engine, const struct record *record, struct place place)
{
	if (can_be_fetched(record->type))
		wish_add(engine, record, place, (unsigned)record->flags >> RECORD_MOVES_SHIFT);
}

void repair_note_key(struct engine *engine, uint8_t db, struct span key, struct place place, uint64_t lsn)
{
	struct directory *directory = &engine->directories[db];
	struct entry *entry = directory_lookup(directory, key);
	struct record record = {.db = db, .key = key, .lsn = lsn, .type = RECORD_IMAGE};
	if (entry == NULL || entry->type != ENTRY_IMAGE)
		return;                       /* a value is in memory */
	if (entry_meta(entry) != NULL && place_equal(entry_meta(entry)->place, place))
		record.type = (entry->flags & ENTRY_SHARED) ? RECORD_LINK : RECORD_META;
	wish_add(engine, &record, place, MOVES_UNKNOWN);
}

/* ---- Asking ---- */

/* The follower that connected first of those that did after this one. NULL: none. */
static struct replica_link *link_behind(const struct replication *replication, uint64_t id)
{
	struct replica_link *next = NULL;
	for (struct list *at = replication->links.next; at != &replication->links; at = at->next) {
		struct replica_link *link = LIST_OF(at, struct replica_link, link);
		if (link->session->id > id && (next == NULL || link->session->id < next->session->id))
			next = link;
	}
	return next;
}

/* False: there is nobody, or nobody left. */
static bool wish_ask(struct repairs *repairs, struct repair_wish *wish)
{
	struct engine *engine = repairs->engine;
	struct replication *replication = engine->replication;
	const struct repair_ask ask = {
	    wish->lsn, wish->behind, wish->db, wish->type, span_of(wish->key, wish->len)};
	struct replica_link *link = NULL;
	if (wish->regain != NULL) {
		if (wish->is_tried)
			return false;
		link = wish->regain->link;
	} else if (replication->is_follower) {
		if (!replication_link_is_up(engine) || wish->is_tried)
			return false;
	} else {
		link = link_behind(replication, wish->tried_last);
		if (link == NULL)
			return false;
		wish->tried_last = link->session->id;
	}
	if (link != NULL)
		repair_ask_follower(link, &ask);
	else
		repair_ask_leader(engine, &ask);
	wish->is_tried = true;
	repairs->asked = true;
	repairs->is_cut = false;
	repairs->asked_link = link;
	repairs->asked_us = io_now_us(engine->io);
	return true;
}

static void regain_end(struct repairs *repairs, struct repair_wish *wish, enum err err)
{
	struct regain *regain = wish->regain;
	repairs->asked = false;
	wish_drop(repairs, wish);
	regain->done(regain, err);
}

/* The answer is no use: the next peer, or none. */
static void wish_failed(struct repairs *repairs, struct repair_wish *wish)
{
	fetch_drop(repairs);
	repairs->asked = false;
	if (wish_ask(repairs, wish))
		return;
	if (wish->regain != NULL) {
		regain_end(repairs, wish, ERR_NOTFOUND);
		return;
	}
	/* Whom the wish was lost with may have it: who needs the record again asks again. */
	if (wish->is_tried && !repairs->is_cut) {
		note_in_vain(repairs, wish->lsn);
		log_warning(repairs->engine->log, "record %llu is corrupt, and nobody else has it",
		    (unsigned long long)wish->lsn);
	}
	wish_drop(repairs, wish);
}

void repair_forget(struct engine *engine, const struct replica_link *link)
{
	struct repairs *repairs = engine->repairs;
	if (repairs == NULL)
		return;
	servings_drop(repairs, link, false);
	if (repairs->asked && repairs->asked_link == link) {
		repairs->asked_us = 0;        /* the time is up */
		repairs->is_cut = true;
	}
}

/* ---- The answer ---- */

static void on_moved(struct store_move *move, enum err err)
{
	struct repairs *repairs = move->ctx;
	struct repair_wish *wish = LIST_OF(repairs->wishes.next, struct repair_wish, link);
	repairs->moving = repairs->asked = false;
	repairs->repaired += err == OK;
	if (err != OK)
		note_in_vain(repairs, wish->lsn);
	if (err == OK)
		log_notice(repairs->engine->log, "record %llu was corrupt, and is repaired",
		    (unsigned long long)wish->lsn);
	else
		log_warning(repairs->engine->log, "record %llu is corrupt; its repair failed: %s",
		    (unsigned long long)wish->lsn, err_name(err));
	wish_drop(repairs, wish);
}

static bool answer_is_right(const struct repairs *repairs, const struct repair_wish *wish)
{
	const struct record *record = &repairs->record;
	struct image_meta meta;
	if (record->lsn != wish->lsn || record->type != wish->type || record->db != wish->db ||
	    !span_equal(record->key, span_of(wish->key, wish->len)))
		return false;
	if (record->type != RECORD_IMAGE)
		return true;
	return repairs->body != NULL && repairs->body->has_digest &&
	    image_meta_decode(record->meta, &meta) == OK &&
	    digest_equal(&meta.etag, &repairs->body->digest);
}

static void regain_try(struct repairs *repairs, struct repair_wish *wish)
{
	enum err err = regain_take(repairs, wish);
	repairs->is_whole = err == ERR_AGAIN;
	if (err != ERR_AGAIN)
		regain_end(repairs, wish, err);
}

static void answer_is_whole(struct repairs *repairs, struct repair_wish *wish)
{
	if (wish->regain != NULL) {
		regain_try(repairs, wish);
		return;
	}
	struct engine *engine = repairs->engine;
	struct record *record = &repairs->record;
	struct place now = wish->place;
	if (!answer_is_right(repairs, wish)) {
		wish_failed(repairs, wish);
		return;
	}
	if (record->type == RECORD_IMAGE)     /* it may have moved meanwhile */
		(void)engine_whereabouts(engine, record, &now);
	if (!place_equal(now, wish->place) || engine->closing) {
		repairs->asked = false;
		wish_drop(repairs, wish);
		return;
	}
	record->flags = (uint8_t)(wish->moves << RECORD_MOVES_SHIFT);
	record->body = repairs->body;
	repairs->move = (struct store_move){.done = on_moved, .ctx = repairs,
	    .tier = store_tier(engine->store, wish->place)};
	repairs->moving = true;
	store_move_given(engine->store, &repairs->move, wish->place, record);
}

static enum err take_head(struct repairs *repairs, struct span head, uint64_t body_bytes)
{
	struct engine *engine = repairs->engine;
	fetch_drop(repairs);
	buf_clear(&repairs->head);
	buf_append(&repairs->head, head);
	struct span rest = buf_span(&repairs->head);
	enum err err = frame_record_take(&rest, &repairs->record);
	if (err != OK || rest.len > 0 || repairs->record.value.len > 0 || body_bytes > FETCH_BODY_MAX)
		return ERR_INVALID;
	repairs->has_head = true;
	if (body_bytes == 0)
		return OK;
	/* A full pool does not mean that the peer lacks it. */
	bool is_pooled = repairs->record.type == RECORD_IMAGE &&
	    body_new(engine->pool, (size_t)body_bytes, &repairs->body) == OK;
	if (!is_pooled)
		err = body_new_heap(&engine->memory.values, (size_t)body_bytes, &repairs->body);
	if (err != OK)
		repairs->body = NULL;
	return err;
}

enum err repair_fetched(struct engine *engine, struct replica_link *link, struct span payload)
{
	struct repairs *repairs = engine->repairs;
	struct fetched fetched;
	if (!fetched_read(payload, &fetched))
		return ERR_INVALID;
	if (repairs->moving || repairs->is_whole || !repairs->asked || repairs->asked_link != link)
		return OK;                    /* too late */
	struct repair_wish *wish = LIST_OF(repairs->wishes.next, struct repair_wish, link);
	if (fetched.lsn != wish->lsn)
		return OK;
	repairs->asked_us = io_now_us(engine->io);
	bool missing = fetched.at == 0 && fetched.head.len == 0;
	if (!missing && fetched.at == 0)
		missing = take_head(repairs, fetched.head, fetched.body_bytes) != OK;
	struct body *body = repairs->body;
	uint64_t here = body == NULL ? 0 : body->filled;
	if (missing || !repairs->has_head || fetched.at != here ||
	    fetched.bytes.len > (body == NULL ? 0 : body->len - body->filled)) {
		wish_failed(repairs, wish);
		return OK;
	}
	if (fetched.bytes.len > 0) {
		memcpy(body->ptr + body->filled, fetched.bytes.ptr, fetched.bytes.len);
		body_advance(body, fetched.bytes.len);
	}
	if (body == NULL || body_is_full(body))
		answer_is_whole(repairs, wish);
	return OK;
}

bool repairs_step(struct engine *engine)
{
	struct repairs *repairs = engine->repairs;
	bool more = servings_step(repairs);
	if (list_is_empty(&repairs->wishes) || repairs->moving)
		return more;
	struct repair_wish *wish = LIST_OF(repairs->wishes.next, struct repair_wish, link);
	if (repairs->is_whole)
		regain_try(repairs, wish);
	else if (!repairs->asked || io_now_us(engine->io) - repairs->asked_us > ANSWER_US)
		wish_failed(repairs, wish);
	return more;
}

uint32_t repairs_pending(const struct engine *engine)
{
	return engine->repairs == NULL ? 0 : engine->repairs->count;
}

void repairs_info(const struct engine *engine, struct buf *out)
{
	const struct repairs *repairs = engine->repairs;
	buf_printf(out,
	    "repairs_pending:%u\r\nrepairs_wished:%llu\r\nrecords_repaired:%llu\r\nrepairs_failed:%llu\r\n"
	    "records_given_for_repair:%llu\r\nkeys_regained:%llu\r\n",
	    repairs->count, (unsigned long long)repairs->wished, (unsigned long long)repairs->repaired,
	    (unsigned long long)repairs->failed, (unsigned long long)repairs->served,
	    (unsigned long long)repairs->regained);
}
