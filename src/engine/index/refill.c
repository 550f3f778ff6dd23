/* engine/index/refill.c: see refill.h.
 *
 * Documents are made again in the order of their ids, so that the newest stay first. What is
 * put or edited meanwhile gets an id among those that were made again, in front of older ones
 * that follow: a further pass makes just these again, until a pass finds none. PASSES_MAX
 * bounds that under steady writing.
 */
#include "engine/index/refill.h"

#include "image/meta.h"

enum { SLICE_US = 200, PASSES_MAX = 8 };

struct refill {
	struct engine *engine;
	bool           wanted[DATABASE_COUNT];
	bool           running, reading;
	uint8_t        db;
	struct index  *index;             /* it goes with a FLUSHDB */
	uint32_t       at, end, pass, found;
	uint64_t       since_lsn, next_lsn;  /* later passes: what changed after this */
	struct metadata_load load;
	uint32_t       docid;             /* whose metadata is read */
};

static struct refill *refill_of(const struct engine *engine)
{
	return engine->refill;
}

void refill_new(struct engine *engine)
{
	engine->refill = memory_zalloc(&engine->memory.engine, sizeof(struct refill));
	engine->refill->engine = engine;
}

void refill_free(struct engine *engine)
{
	struct refill *refill = refill_of(engine);
	if (refill->reading) {
		list_remove(&refill->load.link);
		store_read_fini(&refill->load.read);
	}
	memory_free(&engine->memory.engine, refill, sizeof(*refill));
	engine->refill = NULL;
}

void refill_start(struct engine *engine, uint8_t db)
{
	refill_of(engine)->wanted[db] = true;
}

static uint32_t docids_used(const struct index *index)
{
	struct index_stats stats;
	index_get_stats(index, &stats);
	return (uint32_t)stats.docids_used;
}

static void pass_begin(struct refill *refill)
{
	refill->at = refill->pass == 0 ? 0 : refill->end;
	refill->end = docids_used(refill->index);
	refill->since_lsn = refill->next_lsn;
	refill->next_lsn = store_last_lsn(refill->engine->store);
	refill->found = 0;
}

static bool refill_begin(struct refill *refill)
{
	struct engine *engine = refill->engine;
	for (unsigned db = 0; db < DATABASE_COUNT && !refill->running; db++) {
		if (!refill->wanted[db])
			continue;
		refill->wanted[db] = false;
		refill->db = (uint8_t)db;
		refill->index = engine->indexes[db];
		refill->running = refill->index != NULL;
		refill->pass = 0;
		if (refill->running)
			pass_begin(refill);
	}
	return refill->running;
}

/* The document of this entry again, if it is still the one that was looked at. */
static void make_again(struct refill *refill, uint32_t docid, struct span encoded)
{
	struct engine *engine = refill->engine;
	struct image_meta meta;
	struct entry *entry = index_owner(refill->index, docid);
	if (entry == NULL || image_meta_decode(encoded, &meta) != OK)
		return;
	ASSERT(entry_image(entry)->docid == docid);
	if (engine_index_add(engine, refill->db, entry, &meta) != OK)
		return;
	dedupe_note(engine, refill->db, entry, &meta.etag);
	index_remove(refill->index, docid);
	refill->found++;
}

static bool is_current(const struct refill *refill)
{
	return refill->engine->indexes[refill->db] == refill->index &&
	    !refill->wanted[refill->db];
}

static void meta_loaded(struct metadata_load *load, enum err err, struct body *body)
{
	struct refill *refill = load->ctx;
	struct entry *entry;
	refill->reading = false;
	if (err == OK && is_current(refill) &&
	    (entry = index_owner(refill->index, refill->docid)) != NULL) {
		struct image_ref ref;
		image_ref_of(refill->engine, entry, &ref);
		if (ref.meta_lsn == load->lsn)
			make_again(refill, refill->docid, body_span(body));
	}
	body_unref(body);
}

/* One document. False: its metadata is being read. */
static bool step_one(struct refill *refill, uint32_t docid)
{
	struct engine *engine = refill->engine;
	struct entry *entry = index_owner(refill->index, docid);
	struct image_ref ref;
	if (entry == NULL || (refill->pass > 0 && entry_version_lsn(entry) <= refill->since_lsn))
		return true;
	image_ref_of(engine, entry, &ref);
	struct body *body = metadata_cached(engine, &ref);
	if (body != NULL) {
		make_again(refill, docid, body_span(body));
		body_unref(body);
		return true;
	}
	refill->docid = docid;
	refill->reading = true;
	refill->load = (struct metadata_load){.done = meta_loaded, .ctx = refill};
	metadata_load(engine, &ref, &refill->load);
	return false;
}

static void pass_end(struct refill *refill)
{
	bool more = refill->pass == 0 || refill->found > 0;
	if (more && ++refill->pass < PASSES_MAX)
		pass_begin(refill);
	else
		refill->running = false;
}

bool refill_step(struct engine *engine)
{
	struct refill *refill = refill_of(engine);
	uint64_t from_us = io_clock_us(engine->io);
	if (refill->reading)
		return false;
	if (refill->running && !is_current(refill))
		refill->running = false;
	/* Documents that a checkpoint left out are made by reindex.c first. */
	if ((!refill->running && !refill_begin(refill)) || engine->unindexed[refill->db] > 0)
		return false;
	for (unsigned i = 1; refill->at < refill->end; i++) {
		if (!step_one(refill, refill->at++))
			return false;
		if (i % 16 == 0 && io_clock_us(engine->io) - from_us >= SLICE_US)
			return true;
	}
	pass_end(refill);
	return refill->running;
}

uint64_t refill_left(const struct engine *engine, uint8_t db)
{
	const struct refill *refill = refill_of(engine);
	if (refill->wanted[db])
		return engine->images[db];
	return refill->running && refill->db == db ? refill->end - refill->at + 1 : 0;
}
