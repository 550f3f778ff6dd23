/* engine/index/kept_index_load.c: the search index out of a checkpoint; see kept_index.h. */
#include "engine/index/kept_index_parts.h"

#include "base/endian.h"
#include "base/hash.h"

#include "engine/index/analysis.h"
#include "engine/index/fields.h"
#include "search/similar.h"

enum { MAP_CAP_MIN = 64, PURGE_UNITS = 64 };

/* ---- A database that is being loaded, or waits to be claimed ---- */

static void database_free(struct engine *engine, struct kept_database *database)
{
	struct memory *memory = &engine->memory.search;
	if (database == NULL)
		return;
	memory_free(memory, database->documents, database->ids * sizeof(*database->documents));
	memory_free(memory, database->map, database->map_cap * sizeof(*database->map));
	memory_free(memory, database, sizeof(*database));
}

static uint32_t *map_slot(const struct kept_database *database, uint64_t lsn)
{
	uint32_t at = (uint32_t)(lsn * 0x9e3779b97f4a7c15 >> 32) & (database->map_cap - 1);
	while (database->map[at] != 0 && database->documents[database->map[at] - 1].meta_lsn != lsn)
		at = (at + 1) & (database->map_cap - 1);
	return &database->map[at];
}

static void map_grow(struct engine *engine, struct kept_database *database)
{
	struct kept_database old = *database;
	if (old.map_used + old.map_used / 2 + 1 < old.map_cap)
		return;
	database->map_cap = old.map_cap == 0 ? MAP_CAP_MIN : 2 * old.map_cap;
	database->map =
	    memory_zalloc(&engine->memory.search, database->map_cap * sizeof(*database->map));
	for (uint32_t i = 0; i < old.map_cap; i++)
		if (old.map[i] != 0)
			*map_slot(database, old.documents[old.map[i] - 1].meta_lsn) = old.map[i];
	memory_free(&engine->memory.search, old.map, old.map_cap * sizeof(*old.map));
}

/* Room for all ids, which the first piece has told. */
static void database_reach(struct engine *engine)
{
	struct kept_index *kept = engine->kept;
	struct kept_database *database = kept->in.database;
	uint32_t ids = index_load_ids(kept->in.load);
	if (database->ids >= ids)
		return;
	ASSERT(database->ids == 0);
	database->documents =
	    memory_zalloc(&engine->memory.search, ids * sizeof(*database->documents));
	database->ids = ids;
}

static bool take(struct span *in, size_t len, struct span *out)
{
	if (in->len < len)
		return false;
	*out = span_slice(*in, 0, len);
	*in = span_slice(*in, len, in->len);
	return true;
}

static bool document_read(void *ctx, uint32_t docid, struct span *in)
{
	struct engine *engine = ctx;
	struct kept_index *kept = engine->kept;
	struct span head, hash = {0}, colours = {0};
	database_reach(engine);
	struct kept_database *database = kept->in.database;
	if (docid >= database->ids || !take(in, 9, &head))
		return false;
	if ((head.ptr[0] & KEPT_HASH) != 0 && !take(in, SIMILAR_HASH_BYTES, &hash))
		return false;
	if ((head.ptr[0] & KEPT_COLOURS) != 0 && !take(in, sizeof(uint32_t), &colours))
		return false;
	uint64_t lsn = load_le64(head.ptr + 1);
	uint32_t mask = colours.len == 0 ? 0 : load_le32(colours.ptr);
	struct kept_document *document = &database->documents[docid];
	if (lsn == 0 || lsn > LSN_MASK || document->meta_lsn != 0 || mask > UINT16_MAX)
		return false;
	map_grow(engine, database);
	uint32_t *slot = map_slot(database, lsn);
	database->map_used += *slot == 0;
	document->meta_lsn = lsn & LSN_MASK;
	document->is_unseen = (head.ptr[0] & KEPT_UNSEEN) != 0;
	*slot = docid + 1;
	if (hash.len > 0 || mask != 0)
		similar_put(kept->in.similar, docid, hash.ptr, mask);
	return true;
}

/* ---- Loading ---- */

static void load_drop(struct engine *engine)
{
	struct kept_index *kept = engine->kept;
	if (kept->in.load != NULL) {
		struct index *index = index_load_end(kept->in.load);
		if (index != NULL)
			index_free(index);
	}
	similar_free(kept->in.similar);
	database_free(engine, kept->in.database);
	kept->in.load = NULL;
	kept->in.similar = NULL;
	kept->in.database = NULL;
}

/* The database at hand is whole: its index is the one from now on. */
static void load_take(struct engine *engine)
{
	struct kept_index *kept = engine->kept;
	uint8_t db = kept->in.db;
	if (kept->in.load == NULL)
		return;
	bool fits = engine->indexes[db] == NULL &&
	    index_load_tag(kept->in.load) == fields_tag(engine, db);
	struct index *index = fits ? index_load_end(kept->in.load) : NULL;
	if (index != NULL) {
		kept->in.load = NULL;
		engine_index_adopt(engine, db, index, kept->in.similar);
		kept->in.similar = NULL;
		kept->databases[db] = kept->in.database;
		kept->in.database = NULL;
	} else {
		log_notice(engine->log,
		    "the search index of database %u in the checkpoint is not whole: it is made again", db);
		kept->in.load = fits ? NULL : kept->in.load;
	}
	load_drop(engine);
}

static bool load_next(struct engine *engine, struct span *bytes)
{
	struct kept_index *kept = engine->kept;
	struct index_options options = {.hash_seed = random_next(&engine->random)};
	const struct index_load_owner owner = {.ctx = engine, .read = document_read};
	struct span db;
	load_take(engine);
	if (!take(bytes, 1, &db) || db.ptr[0] >= DATABASE_COUNT ||
	    kept->databases[db.ptr[0]] != NULL)
		return false;
	kept->in.db = db.ptr[0];
	kept->in.load = index_load_new(&engine->memory.search, &options, &owner);
	kept->in.similar = similar_new(&engine->memory.search);
	kept->in.database = memory_zalloc(&engine->memory.search, sizeof(*kept->in.database));
	return true;
}

static bool load_twins(struct engine *engine, struct span *bytes)
{
	struct kept_database *database = engine->kept->in.database;
	struct span count, twin;
	if (database == NULL || !take(bytes, sizeof(uint32_t), &count))
		return false;
	for (uint32_t left = load_le32(count.ptr); left > 0; left--) {
		if (!take(bytes, KEPT_TWIN_BYTES, &twin))
			return false;
		uint32_t docid = load_le32(twin.ptr);
		if (docid >= database->ids)
			continue;
		database->documents[docid].body_lsn = load_le64(twin.ptr + 4);
		database->documents[docid].digest = load_le64(twin.ptr + 12);
	}
	return true;
}

static bool load_item(struct engine *engine, struct span *bytes)
{
	struct kept_index *kept = engine->kept;
	struct span type;
	switch (bytes->ptr[0]) {
	case KEPT_BEGIN:
		return take(bytes, 1, &type) && load_next(engine, bytes);
	case KEPT_TWINS:
		return take(bytes, 1, &type) && load_twins(engine, bytes);
	case KEPT_END:
		kept_index_loaded(engine);
		return take(bytes, 1, &type);
	default:
		return kept->in.load != NULL && index_load_step(kept->in.load, bytes) == OK;
	}
}

void kept_index_load_begin(struct engine *engine, uint64_t items)
{
	engine->kept->in.is_on = items > 0;
}

void kept_index_load(struct engine *engine, uint32_t count, struct span bytes)
{
	struct kept_index *kept = engine->kept;
	bool good = count > 0;
	while (kept->in.is_on && good && bytes.len > 0)
		good = load_item(engine, &bytes);
	if (good)
		return;
	log_warning(engine->log, "the search index in the checkpoint is damaged");
	load_drop(engine);
	kept->in.is_on = false;
}

void kept_index_loaded(struct engine *engine)
{
	struct kept_index *kept = engine->kept;
	if (kept->in.is_on)
		load_take(engine);
	kept->in.is_on = false;
}

bool kept_index_is_loading(const struct engine *engine)
{
	return engine->kept->in.is_on;
}

void kept_index_load_reset(struct engine *engine)
{
	load_drop(engine);
	engine->kept->in.is_on = false;
	for (unsigned db = 0; db < DATABASE_COUNT; db++)
		kept_index_drop(engine, (uint8_t)db);
}

/* ---- Claims ---- */

void kept_index_drop(struct engine *engine, uint8_t db)
{
	database_free(engine, engine->kept->databases[db]);
	engine->kept->databases[db] = NULL;
}

bool kept_index_is_settled(const struct engine *engine, uint8_t db)
{
	return engine->kept->databases[db] == NULL;
}

bool kept_index_claim(struct engine *engine, uint8_t db, struct entry *entry)
{
	struct kept_index *kept = engine->kept;
	const struct kept_database *database = kept->databases[db];
	struct entry_image *image = entry_image(entry);
	ASSERT(image->docid == DOCID_NONE);
	if (database == NULL || database->map_cap == 0)
		return false;
	uint32_t id = *map_slot(database, kept_meta_lsn(entry));
	if (id == 0 || !index_is_unowned(engine->indexes[db], id - 1))
		return false;
	const struct kept_document *document = &database->documents[id - 1];
	image->docid = id - 1;
	index_set_owner(engine->indexes[db], id - 1, entry);
	if (document->digest != 0 && document->body_lsn == image->body_lsn)
		dedupe_note_digest(engine, db, entry, document->digest);
	if (document->is_unseen)
		analysis_note_unseen(engine, db, entry);
	ASSERT(engine->unindexed[db] > 0);
	engine->unindexed[db]--;
	kept->claimed++;
	return true;
}

bool kept_index_purge(struct engine *engine, uint8_t db)
{
	struct kept_database *database = engine->kept->databases[db];
	const struct search_budget budget = {.units = PURGE_UNITS};
	struct index_stats before, after;
	if (database == NULL)
		return true;
	index_get_stats(engine->indexes[db], &before);
	enum err err =
	    index_purge(engine->indexes[db], &database->purged, database->ids, &budget);
	index_get_stats(engine->indexes[db], &after);
	engine->kept->dropped += before.docs - after.docs;
	if (err != OK)
		return false;
	kept_index_drop(engine, db);
	return true;
}
