/* engine/verify.c: one check of one record: read, prove, hash. See verify.h. */
#include "engine/verify.h"

#include "image/meta.h"

enum { HASH_SLICE = 1 << 20 };

static void check_end(struct record_check *check, enum err err)
{
	struct engine *engine = check->engine;
	list_remove(&check->link);
	if (check->hash != NULL)
		memory_free(&engine->memory.engine, check->hash, sizeof(*check->hash));
	check->hash = NULL;
	store_read_fini(&check->read);
	check->done(check, err);          /* may free it */
}

static void check_read_done(struct store_read *read, enum err err)
{
	struct record_check *check = read->ctx;
	struct image_meta meta;
	if (err == OK && read->record.type == RECORD_IMAGE) {
		err = image_meta_decode(read->record.meta, &meta);
		if (err == OK && read->record.body == NULL)
			err = ERR_CORRUPT;
		if (err == OK)
			check->hash = memory_try_alloc_aligned(
			    &check->engine->memory.engine, 64, sizeof(*check->hash));
		if (err == OK && check->hash == NULL)
			err = ERR_MEMORY;
	}
	if (check->hash == NULL) {
		check_end(check, err);
		return;
	}
	check->etag = meta.etag;
	digest_begin(check->hash);
	list_append(&check->engine->checks, &check->link);
}

void record_check_start(
    struct engine *engine, struct record_check *check, struct place place, uint64_t lsn)
{
	ASSERT(check->done != NULL);
	ASSERT(place.segment != 0);
	check->engine = engine;
	check->hash = NULL;
	check->hashed = 0;
	list_init(&check->link);
	check->read = (struct store_read){
	    .done = check_read_done, .ctx = check, .place = place, .lsn = lsn};
	store_read_start(engine->store, &check->read);
}

/* A slice of the oldest. True: there is more. */
bool checks_step(struct engine *engine)
{
	if (list_is_empty(&engine->checks))
		return false;
	struct record_check *check = LIST_OF(engine->checks.next, struct record_check, link);
	struct span bytes = body_span(check->read.record.body);
	struct span slice = span_slice(bytes, check->hashed, check->hashed + HASH_SLICE);
	ASSERT(check->hash != NULL);
	digest_add(check->hash, slice);
	check->hashed += slice.len;
	if (check->hashed < bytes.len)
		return true;
	const struct digest digest = digest_end(check->hash);
	bool same = digest_equal(&digest, &check->etag);
	if (!same)
		log_warning(engine->log, "record %llu has not the digest with which it was put",
		    (unsigned long long)check->read.lsn);
	check_end(check, same ? OK : ERR_CORRUPT);
	return !list_is_empty(&engine->checks);
}

void checks_cancel(struct engine *engine)
{
	while (!list_is_empty(&engine->checks))
		check_end(LIST_OF(engine->checks.next, struct record_check, link), ERR_CANCELLED);
}
