/* engine/replica/renew.c: see renew.h. One request after the other; images are read from the disk first. */
#include "engine/replica/renew.h"

#include "base/endian.h"
#include "engine/collection/collection_log.h"
#include "engine/replica/rejoin.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"

enum {
	RENEWER_MAGIC = 0x52656e77,
	ITEMS_MAX = 4096,
	SLICE_ITEMS = 16,
	AT_ONCE_BYTES = 1 << 20,          /* of a collection; a longer one is written in slices */
	FRAMES_MAX = 2 << 20,             /* not yet sent: then the walk waits */
	LISTED_BYTES = 256 << 10,
};

struct renew_item {
	struct list link;
	bool        is_number;
	uint64_t    number, asked_lsn;
	struct renew_request request;     /* its key lies behind this struct */
	size_t      bytes;
};

struct renewer {
	uint32_t    magic;
	struct engine *engine;
	struct replica_link *link;
	struct list items;
	uint32_t    count;
	struct buf  frames, listed, meta;
	uint64_t    listed_lsn;
	/* The walk under way, if any. */
	struct compare_walk walk;
	bool        walking;
	uint8_t    *wanted;
	uint64_t    before_lsn;           /* what was sent when the slice began */
	/* The image being read for the first item. */
	struct store_read read;
	bool        reading, has_meta;
	uint64_t    entry_lsn;
	struct renew_item *item;
	struct regain regain;
	bool        regaining;
	bool        awaits_repair;        /* of what the first item needs */
};

static struct renewer *renewer_of(struct replica_link *link)
{
	struct engine *engine = link->session->engine;
	struct renewer *renewer = link->renewer;
	if (renewer != NULL) {
		CHECK_OBJ(renewer, RENEWER_MAGIC);
		return renewer;
	}
	renewer = memory_zalloc(&engine->memory.engine, sizeof(*renewer));
	renewer->magic = RENEWER_MAGIC;
	renewer->engine = engine;
	renewer->link = link;
	list_init(&renewer->items);
	buf_init(&renewer->frames, &engine->memory.replies);
	buf_init(&renewer->listed, &engine->memory.replies);
	buf_init(&renewer->meta, &engine->memory.engine);
	link->renewer = renewer;
	return renewer;
}

static void item_drop(struct renewer *renewer, struct renew_item *item)
{
	ASSERT(renewer->count > 0);
	if (renewer->read.state != NULL) {
		store_read_fini(&renewer->read);
		renewer->reading = false;
	}
	if (renewer->regaining)
		repair_regain_cancel(renewer->engine, &renewer->regain);
	renewer->regaining = false;
	list_remove(&item->link);
	renewer->count--;
	renewer->has_meta = false;
	memory_free(&renewer->engine->memory.engine, item, item->bytes);
}

static void walk_end(struct renewer *renewer)
{
	struct memory *memory = &renewer->engine->memory.engine;
	size_t buckets = (size_t)1 << renewer->walk.bits;
	if (renewer->walk.sums != NULL)
		memory_free(memory, renewer->walk.sums, buckets * sizeof(*renewer->walk.sums));
	if (renewer->wanted != NULL)
		memory_free(memory, renewer->wanted, buckets / 8);
	renewer->wanted = NULL;
	renewer->walk = (struct compare_walk){0};
	renewer->walking = false;
}

void renew_free(struct engine *engine, struct replica_link *link)
{
	struct renewer *renewer = link->renewer;
	if (renewer == NULL)
		return;
	CHECK_OBJ(renewer, RENEWER_MAGIC);
	link->renewer = NULL;
	walk_end(renewer);
	while (!list_is_empty(&renewer->items))
		item_drop(renewer, LIST_OF(renewer->items.next, struct renew_item, link));
	buf_fini(&renewer->frames);
	buf_fini(&renewer->listed);
	buf_fini(&renewer->meta);
	DROP_OBJ(renewer, RENEWER_MAGIC);
	memory_free(&engine->memory.engine, renewer, sizeof(*renewer));
}

struct buf *renew_frames_for(struct replica_link *link)
{
	return &renewer_of(link)->frames;
}

struct buf *renew_frames(struct replica_link *link)
{
	return link->renewer != NULL && link->renewer->frames.len > 0 ? &link->renewer->frames : NULL;
}

/* ---- What is asked for ---- */

static void on_key(void *ctx, uint8_t db, struct span key, const struct compare_version *version)
{
	struct renewer *renewer = ctx;
	const struct frame_listed listed = {
	    .version = version->hash,
	    .lsn = version->lsn,
	    .body_lsn = version->body_lsn,
	    .db = db,
	    .key = key,
	};
	if (renewer->listed.len + FRAME_LISTED_KEY + key.len > LISTED_BYTES) {
		frame_write_compared(&renewer->frames, FRAME_LISTED, renewer->before_lsn, 0,
		    buf_span(&renewer->listed));
		buf_clear(&renewer->listed);
	}
	frame_listed_write(&renewer->listed, &listed);
}

bool renew_sums(struct replica_link *link, unsigned bits)
{
	struct renewer *renewer = renewer_of(link);
	size_t buckets = (size_t)1 << bits;
	if (renewer->walking)
		return false;
	renewer->walk = (struct compare_walk){.engine = renewer->engine, .bits = bits};
	renewer->walk.sums =
	    memory_zalloc(&renewer->engine->memory.engine, buckets * sizeof(*renewer->walk.sums));
	renewer->walking = true;
	renew_settings(renewer->engine);
	return true;
}

bool renew_list(struct replica_link *link, unsigned bits, struct span wanted)
{
	struct renewer *renewer = renewer_of(link);
	if (renewer->walking || wanted.len != ((size_t)1 << bits) / 8)
		return false;
	renewer->wanted = memory_alloc(&renewer->engine->memory.engine, wanted.len);
	memcpy(renewer->wanted, wanted.ptr, wanted.len);
	renewer->walk = (struct compare_walk){.engine = renewer->engine, .bits = bits,
	    .wanted = renewer->wanted, .each = on_key, .ctx = renewer};
	renewer->walking = true;
	return true;
}

static struct renew_item *item_new(struct renewer *renewer, struct span key)
{
	size_t bytes = sizeof(struct renew_item) + key.len;
	if (renewer->count >= ITEMS_MAX)
		return NULL;
	struct renew_item *item = memory_zalloc(&renewer->engine->memory.engine, bytes);
	item->bytes = bytes;
	if (key.len > 0)
		memcpy(item + 1, key.ptr, key.len);
	item->request.key = span_of((uint8_t *)(item + 1), key.len);
	list_append(&renewer->items, &item->link);
	renewer->count++;
	return item;
}

bool renew_key(struct replica_link *link, const struct renew_request *request)
{
	struct renew_item *item = item_new(renewer_of(link), request->key);
	if (item == NULL)
		return false;
	struct span key = item->request.key;
	item->request = *request;
	item->request.key = key;
	return true;
}

bool renew_until(struct replica_link *link, uint64_t number)
{
	struct renew_item *item = item_new(renewer_of(link), (struct span){0});
	if (item == NULL)
		return false;
	item->is_number = true;
	item->number = number;
	return true;
}

/* ---- One key ---- */

static enum err renew_absent(struct engine *engine, const struct renew_request *request)
{
	struct record record = {
	    .type = RECORD_DELETE,
	    .db = request->db,
	    .key = request->key,
	    .sync = SYNC_EVERYSEC,
	};
	return store_append(engine->store, &record);
}

static enum err renew_value(struct engine *engine, struct renew_item *item, const struct target *target)
{
	struct collection *collection = entry_large(target->entry);
	if (collection == NULL)
		return engine_rewrite_value(engine, target->db, target->entry);
	if (collection->value.bytes <= AT_ONCE_BYTES && collection->begin_lsn == 0)
		return collection_rewrite(engine, target);
	if (item->asked_lsn == 0) {
		item->asked_lsn = store_last_lsn(engine->store) + 1;
		collection_due(engine, target);
	}
	return collection->full_lsn >= item->asked_lsn ? OK : ERR_AGAIN;
}

static void on_read(struct store_read *read, enum err err)
{
	struct renewer *renewer = read->ctx;
	CHECK_OBJ(renewer, RENEWER_MAGIC);
	renewer->reading = false;
	if (err == OK && !renewer->has_meta && read->record.meta.len > 0) {
		buf_clear(&renewer->meta);
		buf_append(&renewer->meta, read->record.meta);
		renewer->has_meta = true;
		store_read_fini(read);
		return;
	}
	if (err == OK)
		return;                       /* the body: it stays until it is used */
	store_read_fini(read);
	renewer->has_meta = false;
	renewer->awaits_repair = err == ERR_CORRUPT && repairs_pending(renewer->engine) > 0;
	if (renewer->awaits_repair)
		return;                       /* another follower may have it; then it is read again */
	log_warning(renewer->engine->log, "replication: a key cannot be written again for a follower: %s",
	    err_name(err));
	if (err == ERR_CORRUPT || err == ERR_IO)
		item_drop(renewer, renewer->item);
}

static enum err read_start(struct renewer *renewer, struct place place, uint64_t lsn, bool meta_only)
{
	if (place.segment == 0)
		return ERR_CORRUPT;
	renewer->read = (struct store_read){
	    .done = on_read, .ctx = renewer, .place = place, .lsn = lsn, .meta_only = meta_only};
	renewer->reading = true;
	store_read_start(renewer->engine->store, &renewer->read);
	return ERR_AGAIN;
}

/* Its metadata is at hand, and the follower has the body. */
static enum err renew_meta(struct renewer *renewer, const struct target *target, bool is_own)
{
	struct engine *engine = renewer->engine;
	struct entry *entry = target->entry;
	bool links = !is_own || (entry->flags & ENTRY_SHARED) != 0;
	struct record record = {
	    .type = links ? RECORD_LINK : RECORD_META,
	    .db = target->db,
	    .key = target->key,
	    .meta = buf_span(&renewer->meta),
	    .refers = entry_image(entry)->body_lsn,
	    .expire_ms = links ? (int64_t)entry_expire_ms(entry) : 0,
	    .sync = SYNC_EVERYSEC,
	};
	struct record expire = {
	    .type = RECORD_EXPIRE,
	    .db = target->db,
	    .key = target->key,
	    .expire_ms = (int64_t)entry_expire_ms(entry),
	    .sync = SYNC_EVERYSEC,
	};
	enum err err = store_append(engine->store, &record);
	if (err != OK)
		return err;
	if (links)
		return apply_link(engine, target, &record, past_body(engine, entry));
	err = apply_meta(engine, target, &record);
	if (err == OK)
		err = store_append(engine->store, &expire);
	if (err != OK)
		return err;
	struct target now = *target;
	now.entry = directory_find(&engine->directories[now.db], now.key, now.hash);
	(void)apply_expire(engine, &now, &expire);
	return OK;
}

static enum err renew_body(struct renewer *renewer, const struct target *target)
{
	struct engine *engine = renewer->engine;
	struct body *body = renewer->read.record.body;
	ASSERT(body != NULL);
	struct record record = {
	    .type = RECORD_IMAGE,
	    .db = target->db,
	    .key = target->key,
	    .meta = buf_span(&renewer->meta),
	    .expire_ms = (int64_t)entry_expire_ms(target->entry),
	    .sync = SYNC_EVERYSEC,
	};
	if (body->len > BODY_INLINE_MAX)
		record.body = body;
	else
		record.value = body_span(body);
	enum err err = store_append(engine->store, &record);
	if (err == OK)
		err = apply_image(engine, target, &record);
	engine->replication->renewed_bodies += err == OK;
	return err;
}

/* ERR_AGAIN: something is being read. */
static enum err renew_image(
    struct renewer *renewer, const struct renew_item *item, const struct target *target)
{
	const struct renew_request *request = &item->request;
	struct image_ref ref;
	enum err err;
	image_ref_of(renewer->engine, target->entry, &ref);
	bool has_body = request->have != RENEW_NO_BODY && request->body_lsn == ref.body_lsn;
	if (!renewer->has_meta || renewer->entry_lsn != target->entry->lsn) {
		if (renewer->read.state != NULL)
			store_read_fini(&renewer->read);
		renewer->has_meta = false;
		renewer->entry_lsn = target->entry->lsn;
		return read_start(renewer, ref.meta, ref.meta_lsn, true);
	}
	if (has_body)
		return renew_meta(renewer, target, request->have == RENEW_BODY);
	if (renewer->read.state == NULL)
		return read_start(renewer, ref.body, ref.body_lsn, false);
	err = renew_body(renewer, target);
	if (err == ERR_OVERLOADED || err == ERR_DISKFULL)
		return err;
	store_read_fini(&renewer->read);
	return err;
}

static void on_regained(struct regain *regain, enum err err)
{
	struct renewer *renewer = regain->ctx;
	CHECK_OBJ(renewer, RENEWER_MAGIC);
	renewer->regaining = false;
	if (err != OK && err != ERR_NOTFOUND)
		log_warning(renewer->engine->log, "replication: a key cannot be taken back from a follower: %s",
		    err_name(err));
	item_drop(renewer, renewer->item);
}

/* The follower has what was lost here. */
static bool was_lost(
    const struct renewer *renewer, const struct renew_request *request, const struct compare_version *own)
{
	const struct replication *replication = renewer->engine->replication;
	return request->lsn > own->lsn && request->lsn <= renewer->engine->rejoin->lost_lsn &&
	    renewer->link->base >= replication->marks_from;
}

static enum err renew_one(struct renewer *renewer, struct renew_item *item)
{
	struct engine *engine = renewer->engine;
	const struct renew_request *request = &item->request;
	if (request->db == RECORD_ALL_DBS)
		return renew_setting_absent(engine, request->key);
	struct directory *directory = &engine->directories[request->db];
	struct target target = {.db = request->db, .key = request->key};
	struct compare_version version;
	target.hash = directory_hash(directory, target.key);
	target.entry = directory_find(directory, target.key, target.hash);
	compare_find(engine, request->db, request->key, &version);
	if (version.hash == request->version)
		return OK;
	if (was_lost(renewer, request, &version)) {
		renewer->regain = (struct regain){.link = renewer->link, .db = request->db,
		    .key = request->key, .done = on_regained, .ctx = renewer};
		renewer->regaining = true;
		repair_regain(engine, &renewer->regain);
		return ERR_AGAIN;
	}
	if (target.entry == NULL)
		return renew_absent(engine, request);
	if (target.entry->type == ENTRY_IMAGE)
		return renew_image(renewer, item, &target);
	return renew_value(engine, item, &target);
}

/* False: the first one has to wait. */
static bool item_step(struct renewer *renewer)
{
	struct engine *engine = renewer->engine;
	struct renew_item *item = LIST_OF(renewer->items.next, struct renew_item, link);
	if (renewer->reading || renewer->regaining)
		return false;
	if (renewer->awaits_repair && repairs_pending(engine) > 0)
		return false;
	renewer->awaits_repair = false;
	if (item->is_number) {
		frame_write_renewed(&renewer->frames, item->number, store_last_lsn(engine->store));
		item_drop(renewer, item);
		return true;
	}
	renewer->item = item;
	enum err err = renew_one(renewer, item);
	if (err == ERR_AGAIN || err == ERR_OVERLOADED || err == ERR_DISKFULL || err == ERR_READONLY)
		return false;
	if (err != OK)
		log_warning(engine->log, "replication: a key cannot be written again for a follower: %s",
		    err_name(err));
	engine->replication->renewed_keys += err == OK;
	item_drop(renewer, item);
	return true;
}

/* ---- The walk ---- */

static void sums_write(struct renewer *renewer)
{
	const struct compare_walk *walk = &renewer->walk;
	struct buf payload;
	buf_init(&payload, &renewer->engine->memory.replies);
	for (size_t i = 0; i < (size_t)1 << walk->bits; i++) {
		uint8_t bytes[COMPARE_SUM_BYTES];
		store_le64(bytes, walk->sums[i].sum);
		store_le32(bytes + 8, walk->sums[i].keys);
		buf_append(&payload, span_of(bytes, sizeof(bytes)));
	}
	frame_write_compared(
	    &renewer->frames, FRAME_SUMS, renewer->before_lsn, walk->bits, buf_span(&payload));
	buf_fini(&payload);
}

/* True: there is more of it to do at once. */
static bool walk_step(struct renewer *renewer, struct replica_link *link)
{
	if (!renewer->walking || renewer->frames.len > FRAMES_MAX || renewer->engine->partly)
		return false;
	renewer->before_lsn = link->leader.sent;
	bool over = compare_step(&renewer->walk);
	if (over && renewer->walk.sums != NULL)
		sums_write(renewer);
	else if (over || renewer->listed.len > 0)
		frame_write_compared(&renewer->frames, FRAME_LISTED, renewer->before_lsn,
		    over ? FRAME_LAST : 0, buf_span(&renewer->listed));
	buf_clear(&renewer->listed);
	if (over)
		walk_end(renewer);
	return !over;
}

bool renew_step(struct engine *engine, struct replica_link *link)
{
	struct renewer *renewer = link->renewer;
	if (renewer == NULL || engine->loading || engine->closing)
		return false;
	CHECK_OBJ(renewer, RENEWER_MAGIC);
	bool more = walk_step(renewer, link);
	for (int i = 0; i < SLICE_ITEMS; i++) {
		if (list_is_empty(&renewer->items))
			return more;
		if (!item_step(renewer))
			return more;
	}
	return true;
}
