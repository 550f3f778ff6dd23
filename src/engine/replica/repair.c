/* engine/replica/repair.c: see repair.h. Wishes, and what becomes of the answers; repair_serve.c answers. */
#include "engine/replica/repair_parts.h"

#include "base/arith.h"
#include "engine/collection/collection_log.h"
#include "image/meta.h"

enum {
	WISHES_MAX = 256, MOVES_UNKNOWN = 15,
	ANSWER_US = 10000000,             /* so long one may be silent */
	ROUND_US = 1000000,               /* between two rounds of asking */
	WISH_US = 60000000,               /* so long a wish lives without a byte */
	VAIN_US = 60000000,
};

void repairs_new(struct engine *engine)
{
	struct repairs *repairs = memory_zalloc(&engine->memory.engine, sizeof(*repairs));
	repairs->engine = engine;
	list_init(&repairs->wishes);
	list_init(&repairs->servings);
	buf_init(&repairs->head, &engine->memory.engine);
	engine->repairs = repairs;
}

static uint64_t now_us(const struct repairs *repairs)
{
	return io_now_us(repairs->engine->io);
}

static void half_drop(struct repairs *repairs)
{
	body_unref(repairs->body);
	repairs->body = NULL;
	repairs->half = NULL;
	repairs->is_resumed = repairs->is_proven = false;
}

void wish_drop(struct repairs *repairs, struct repair_wish *wish)
{
	ASSERT(repairs->count > 0 && !repairs->moving);
	if (wish->regain != NULL)
		repairs->engine->replication->regains--;
	if (wish->regain != NULL && repairs->asked == wish)
		collections_drop_preparing(repairs->engine);
	if (repairs->half == wish)
		half_drop(repairs);
	if (repairs->asked == wish) {
		repairs->asked = NULL;
		repairs->is_whole = false;
	}
	list_remove(&wish->link);
	repairs->count--;
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
	wish->until_us = now_us(repairs) + WISH_US;
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
		if (repairs->vain[i].lsn == lsn && now_us(repairs) < repairs->vain[i].until_us)
			return true;
	return false;
}

static void note_in_vain(struct repairs *repairs, uint64_t lsn)
{
	repairs->vain[repairs->vain_at++ % VAIN_MAX] =
	    (struct repair_vain){lsn, now_us(repairs) + VAIN_US};
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

static void ask_peer(struct repairs *repairs, struct repair_wish *wish, struct replica_link *link)
{
	const bool goes_on = repairs->half == wish && wish->regain == NULL && repairs->body != NULL;
	const struct repair_ask ask = {
	    .lsn = wish->lsn,
	    .behind = wish->behind,
	    .from = goes_on ? repairs->body->filled : 0,
	    .db = wish->db,
	    .type = wish->type,
	    .key = span_of(wish->key, wish->len),
	};
	if (link != NULL)
		repair_ask_follower(link, &ask);
	else
		repair_ask_leader(repairs->engine, &ask);
	wish->is_tried = true;
	repairs->asked = wish;
	repairs->asked_link = link;
	repairs->asked_us = now_us(repairs);
}

/* The next one of this round. False: there is nobody, or nobody left. */
static bool wish_ask(struct repairs *repairs, struct repair_wish *wish)
{
	struct engine *engine = repairs->engine;
	struct replication *replication = engine->replication;
	struct replica_link *link = NULL;
	if (wish->regain == NULL && !replication->is_follower) {
		wish->peers_most = (uint32_t)max_u64(wish->peers_most, replication->link_count);
		link = link_behind(replication, wish->tried_last);
		if (link == NULL)
			return false;
		wish->tried_last = link->session->id;
	} else {
		wish->peers_most = 1;
		if (wish->is_tried || (wish->regain == NULL && !replication_link_is_up(engine)))
			return false;
		link = wish->regain == NULL ? NULL : wish->regain->link;
	}
	ask_peer(repairs, wish, link);
	return true;
}

static void regain_end(struct repairs *repairs, struct repair_wish *wish, enum err err)
{
	struct regain *regain = wish->regain;
	wish_drop(repairs, wish);
	regain->done(regain, err);
}

/* Another round, later. */
static void wish_put_off(struct repairs *repairs, struct repair_wish *wish)
{
	repairs->asked = NULL;
	wish->is_tried = false;
	wish->lacking = 0;
	wish->tried_last = 0;
	wish->not_before_us = now_us(repairs) + ROUND_US;
}

/* The round is over. */
static void round_end(struct repairs *repairs, struct repair_wish *wish)
{
	bool lack = wish->lacking >= wish->peers_most;        /* or there is no peer, and was none */
	if (!lack && now_us(repairs) < wish->until_us) {
		wish_put_off(repairs, wish);
		return;
	}
	if (wish->regain != NULL) {
		regain_end(repairs, wish, lack ? ERR_NOTFOUND : ERR_TIMEOUT);
		return;
	}
	if (lack && wish->lacking > 0) {
		note_in_vain(repairs, wish->lsn);
		log_warning(repairs->engine->log, "record %llu is corrupt, and nobody else has it",
		    (unsigned long long)wish->lsn);
	} else if (!lack) {               /* who needs the record asks again */
		log_warning(repairs->engine->log, "record %llu is corrupt, and who may have it does not say",
		    (unsigned long long)wish->lsn);
	}
	wish_drop(repairs, wish);
}

static void wish_go_on(struct repairs *repairs, struct repair_wish *wish)
{
	repairs->asked = NULL;
	if (!wish_ask(repairs, wish))
		round_end(repairs, wish);
}

/* It is not there. */
static void wish_lacks(struct repairs *repairs, struct repair_wish *wish)
{
	wish->lacking++;
	wish_go_on(repairs, wish);
}

/* What came is no use. */
static void wish_wronged(struct repairs *repairs, struct repair_wish *wish)
{
	bool was_resumed = repairs->half == wish && repairs->is_resumed;
	if (repairs->half == wish)
		half_drop(repairs);
	if (was_resumed)                      /* the one before may have been wrong */
		ask_peer(repairs, wish, repairs->asked_link);
	else
		wish_lacks(repairs, wish);
}

void repair_forget(struct engine *engine, const struct replica_link *link)
{
	struct repairs *repairs = engine->repairs;
	if (repairs == NULL)
		return;
	servings_drop(repairs, link, false);
	/* A regain is cancelled by its owner. */
	if (repairs->asked != NULL && !repairs->moving && repairs->asked_link == link &&
	    repairs->asked->regain == NULL)
		repairs->asked = NULL;
}

/* ---- The answer ---- */

static void on_moved(struct store_move *move, enum err err)
{
	struct repairs *repairs = move->ctx;
	struct repair_wish *wish = repairs->asked;
	repairs->moving = false;
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

/* True: there is more to do at once. */
static bool regain_try(struct repairs *repairs, struct repair_wish *wish)
{
	enum err err = regain_take(repairs, wish);
	repairs->is_whole = err == ERR_AGAIN || err == ERR_BUSY;
	if (!repairs->is_whole)
		regain_end(repairs, wish, err);
	return err == ERR_BUSY;
}

static void answer_is_whole(struct repairs *repairs, struct repair_wish *wish)
{
	if (wish->regain != NULL) {
		(void)regain_try(repairs, wish);
		return;
	}
	struct engine *engine = repairs->engine;
	struct record *record = &repairs->record;
	struct place now = wish->place;
	if (!answer_is_right(repairs, wish)) {
		wish_wronged(repairs, wish);
		return;
	}
	if (record->type == RECORD_IMAGE)     /* it may have moved meanwhile */
		(void)engine_whereabouts(engine, record, &now);
	if (!place_equal(now, wish->place) || engine->closing) {
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

/* The first piece of an answer. ERR_INVALID; ERR_MEMORY, ERR_OVERLOADED: of ours. */
static enum err take_head(struct repairs *repairs, struct repair_wish *wish, const struct fetched *fetched)
{
	struct engine *engine = repairs->engine;
	bool goes_on = repairs->half == wish && repairs->body != NULL && fetched->at > 0 &&
	    fetched->at <= repairs->body->filled && fetched->body_bytes == repairs->body->len;
	if (fetched->at > 0 && !goes_on)
		return ERR_INVALID;
	if (!goes_on)
		half_drop(repairs);
	buf_clear(&repairs->head);
	buf_append(&repairs->head, fetched->head);
	struct span rest = buf_span(&repairs->head);
	enum err err = frame_record_take(&rest, &repairs->record);
	if (err != OK || rest.len > 0 || repairs->record.value.len > 0 ||
	    fetched->body_bytes > FETCH_BODY_MAX)
		return ERR_INVALID;
	repairs->half = wish;
	repairs->is_resumed = goes_on;
	if (goes_on || fetched->body_bytes == 0)
		return OK;
	bool is_pooled = repairs->record.type == RECORD_IMAGE &&
	    body_new(engine->pool, (size_t)fetched->body_bytes, &repairs->body) == OK;
	if (!is_pooled)
		err = body_new_heap(&engine->memory.values, (size_t)fetched->body_bytes, &repairs->body);
	if (err != OK)
		repairs->body = NULL;
	return err;
}

static void take_bytes(struct repairs *repairs, struct repair_wish *wish, const struct fetched *fetched)
{
	struct body *body = repairs->body;
	uint64_t here = body == NULL ? 0 : body->filled, left = body == NULL ? 0 : body->len - here;
	/* One that was asked twice, as it was silent, may say some of it twice. */
	uint64_t twice = fetched->at <= here ? min_u64(here - fetched->at, fetched->bytes.len) : 0;
	struct span bytes = span_slice(fetched->bytes, (size_t)twice, fetched->bytes.len);
	if (repairs->half != wish || fetched->at > here || bytes.len > left) {
		wish_wronged(repairs, wish);
		return;
	}
	if (bytes.len > 0) {
		memcpy(body->ptr + here, bytes.ptr, bytes.len);
		body_advance(body, bytes.len);
	}
	if (body == NULL || body_is_full(body))
		answer_is_whole(repairs, wish);
}

enum err repair_fetched(struct engine *engine, struct replica_link *link, struct span payload)
{
	struct repairs *repairs = engine->repairs;
	struct repair_wish *wish = repairs->asked;
	struct fetched fetched;
	enum err err = OK;
	if (!fetched_read(payload, &fetched))
		return ERR_INVALID;
	if (repairs->moving || repairs->is_whole || wish == NULL || repairs->asked_link != link ||
	    fetched.lsn != wish->lsn)
		return OK;                    /* too late */
	bool is_later = fetched.at == FETCHED_LATER;
	repairs->asked_us = now_us(repairs);
	if (!is_later || wish->regain != NULL)        /* what was lost is gone if it is not taken back */
		wish->until_us = now_us(repairs) + WISH_US;
	if (is_later) {
		wish_go_on(repairs, wish);
		return OK;
	}
	if (fetched.at == 0 && fetched.head.len == 0) {
		wish_lacks(repairs, wish);
		return OK;
	}
	if (fetched.head.len > 0)
		err = take_head(repairs, wish, &fetched);
	if (err == ERR_MEMORY || err == ERR_OVERLOADED) {
		half_drop(repairs);
		wish_put_off(repairs, wish);  /* the peer has it */
	} else if (err != OK) {
		wish_wronged(repairs, wish);
	} else {
		take_bytes(repairs, wish, &fetched);
	}
	return OK;
}

/* The first one whose time has come. */
static struct repair_wish *wish_due(struct repairs *repairs)
{
	for (struct list *at = repairs->wishes.next; at != &repairs->wishes; at = at->next) {
		struct repair_wish *wish = LIST_OF(at, struct repair_wish, link);
		if (now_us(repairs) >= wish->not_before_us)
			return wish;
	}
	return NULL;
}

bool repairs_step(struct engine *engine)
{
	struct repairs *repairs = engine->repairs;
	bool more = servings_step(repairs);
	if (list_is_empty(&repairs->wishes) || repairs->moving)
		return more;
	struct repair_wish *wish = repairs->asked;
	if (repairs->is_whole)
		return regain_try(repairs, wish) || more;
	if (wish != NULL && now_us(repairs) - repairs->asked_us <= ANSWER_US)
		return more;
	wish = wish != NULL ? wish : wish_due(repairs);
	if (wish != NULL)
		wish_go_on(repairs, wish);
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
