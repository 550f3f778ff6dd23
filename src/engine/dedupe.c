/* engine/dedupe.c: the same bytes are stored once.
 *
 * A PUT whose digest is known becomes a LINK to the body that is there, after the bytes were
 * compared: with the copy in memory, or with one read from disk, for which the session is
 * parked. A body that cannot be read is no twin: the new bytes are stored.
 *
 * A verdict is kept in the session until its command has run again.
 */
#include "engine/apply.h"
#include "engine/image.h"
#include "engine/twins.h"

enum { BYTES_MIN = 1024 };                /* below, a LINK is as large as the image */

struct dedupe {
	struct twins twins;
	uint64_t     hits, bytes_saved, reads, differences;
};

struct twin_check {
	struct list      link;            /* with the others, for dedupe_forget */
	struct engine   *engine;
	struct session  *session;         /* NULL: it has left */
	struct body     *body;            /* what is being put */
	struct body_load load;
};

/* Where a body lies of which an entry of twins.h speaks. False: it is gone. */
static bool twin_place(struct engine *engine, const struct twin *twin, struct place *place)
{
	const struct index *index = engine->indexes[twin->db];
	if (past_held_place(engine, twin->lsn, place))
		return true;
	struct entry *entry = index == NULL ? NULL : index_owner(index, twin->docid);
	if (entry == NULL || (entry->flags & ENTRY_SHARED) ||
	    entry_image(entry)->body_lsn != twin->lsn)
		return false;
	*place = entry_image(entry)->body;
	return true;
}

/* The newest metadata of an image with that body, if it is of today. */
static void twin_meta(const struct engine *engine, const struct twin *twin, struct image_ref *out)
{
	const struct index *index = engine->indexes[twin->db];
	struct entry *entry = index == NULL ? NULL : index_owner(index, twin->docid);
	struct image_ref ref;
	if (entry == NULL || entry_image(entry)->body_lsn != twin->lsn)
		return;
	image_ref_of(engine, entry, &ref);
	out->meta_lsn = ref.meta_lsn;
	out->meta = ref.meta;
}

static bool twin_is_alive(void *ctx, const struct twin *twin)
{
	struct place place;
	return twin_place(ctx, twin, &place);
}

void dedupe_new(struct engine *engine)
{
	struct dedupe *dedupe = memory_zalloc(&engine->memory.engine, sizeof(*dedupe));
	twins_init(&dedupe->twins, &engine->memory.history, twin_is_alive, engine);
	engine->dedupe = dedupe;
}

void dedupe_free(struct engine *engine)
{
	if (engine->dedupe == NULL)
		return;
	twins_fini(&engine->dedupe->twins);
	memory_free(&engine->memory.engine, engine->dedupe, sizeof(*engine->dedupe));
	engine->dedupe = NULL;
}

/* What is not to be found need not be known: many equal ones would only be in the way. */
static bool is_noted(const struct engine *engine, const struct entry_image *image)
{
	return engine->settings->dedupe && image->body.bytes >= BYTES_MIN;
}

void dedupe_note(struct engine *engine, uint8_t db, struct entry *entry, const struct digest *etag)
{
	const struct entry_image *image = entry_image(entry);
	struct twin twin = {.docid = image->docid};
	ASSERT(db < DATABASE_COUNT);
	if (!is_noted(engine, image))
		return;
	twin.lsn = image->body_lsn;
	twin.db = (uint32_t)db & 15U;
	twins_note(&engine->dedupe->twins, etag, &twin);
}

/* ---- Comparing ---- */

static bool same_bytes(const struct body *a, const struct body *b)
{
	return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

static void check_done(struct body_load *load, enum err err, struct body *stored)
{
	struct twin_check *check = load->ctx;
	struct engine *engine = check->engine;
	struct session *session = check->session;
	bool same = err == OK && same_bytes(stored, check->body);
	if (session != NULL)
		session->twin_digest = check->body->digest;
	uint64_t lsn = load->lsn;
	engine->dedupe->differences += err == OK && !same;
	body_unref(stored);
	body_unref(check->body);
	list_remove(&check->link);
	memory_free(&engine->memory.engine, check, sizeof(*check));
	if (session == NULL)
		return;
	session->twin_lsn = same ? lsn : 0;
	engine_unpark(session);
}

static void check_start(struct call *call, struct body *body, const struct image_ref *ref)
{
	struct engine *engine = call->engine;
	struct twin_check *check = memory_zalloc(&engine->memory.engine, sizeof(*check));
	check->engine = engine;
	check->session = call->session;
	check->body = body_ref(body);
	check->load.done = check_done;
	check->load.ctx = check;
	list_append(&engine->twin_checks, &check->link);
	engine->dedupe->reads++;
	call_park(call);
	body_load(engine, ref, &check->load);
}

void dedupe_forget(struct engine *engine, struct session *session)
{
	for (struct list *at = engine->twin_checks.next; at != &engine->twin_checks;
	     at = at->next) {
		struct twin_check *check = LIST_OF(at, struct twin_check, link);
		if (check->session == session)
			check->session = NULL;
	}
}

/* What is in memory answers at once; what is on disk was asked before, or is asked now. */
enum err call_find_twin(struct call *call, struct body *body, struct image_ref *out)
{
	struct engine *engine = call->engine;
	struct session *session = call->session;
	bool known = digest_equal(&session->twin_digest, &body->digest);
	uint64_t known_lsn = session->twin_lsn;
	session->twin_digest = (struct digest){0};
	ASSERT(body->has_digest);
	if (!engine->settings->dedupe || body->len < BYTES_MIN)
		return ERR_NOTFOUND;
	const struct twin *twin = twins_find(&engine->dedupe->twins, &body->digest);
	if (twin == NULL)
		return ERR_NOTFOUND;
	*out = (struct image_ref){.body_lsn = twin->lsn, .meta_lsn = twin->lsn};
	bool found = twin_place(engine, twin, &out->body);
	ASSERT(found);
	twin_meta(engine, twin, out);
	struct body *cached = image_cached(engine, out);
	if (cached != NULL) {
		bool same = same_bytes(cached, body);
		engine->dedupe->differences += !same;
		body_unref(cached);
		return same ? OK : ERR_NOTFOUND;
	}
	if (known)
		return known_lsn == twin->lsn ? OK : ERR_NOTFOUND;
	if (engine->in_exec)
		return ERR_NOTFOUND;          /* it cannot wait for the comparison: stored twice */
	check_start(call, body, out);
	return ERR_AGAIN;
}

bool dedupe_find(struct engine *engine, const struct digest *digest, uint64_t lsn, struct place *place)
{
	const struct twin *twin = twins_find(&engine->dedupe->twins, digest);
	return twin != NULL && twin->lsn == lsn && twin_place(engine, twin, place);
}

void dedupe_count(struct engine *engine, uint64_t body_bytes)
{
	engine->dedupe->hits++;
	engine->dedupe->bytes_saved += body_bytes;
}

void dedupe_info(const struct engine *engine, struct buf *out)
{
	const struct dedupe *dedupe = engine->dedupe;
	buf_printf(out,
	    "dedupe_hits:%llu\r\ndedupe_bytes_saved:%llu\r\ndedupe_reads:%llu\r\n"
	    "dedupe_differences:%llu\r\ndedupe_digests:%llu\r\n",
	    (unsigned long long)dedupe->hits, (unsigned long long)dedupe->bytes_saved,
	    (unsigned long long)dedupe->reads, (unsigned long long)dedupe->differences,
	    (unsigned long long)dedupe->twins.count);
}

void dedupe_dump(const struct engine *engine, uint8_t db, uint32_t shard, struct buf *out)
{
	twins_dump(&engine->dedupe->twins, shard, db, out);
}

void dedupe_note_digest(struct engine *engine, uint8_t db, struct entry *entry, uint64_t digest)
{
	const struct entry_image *image = entry_image(entry);
	struct twin twin = {.docid = image->docid};
	if (!is_noted(engine, image))
		return;
	twin.lsn = image->body_lsn;
	twin.db = (uint32_t)db & 15U;
	twins_note_tag(&engine->dedupe->twins, digest, &twin);
}
