/* engine/index/reindex.c: after a start from a checkpoint the images have no documents yet. A walk
 * through the directories takes over those that the checkpoint kept (kept_index.h); of other
 * images it reads the metadata, a few at the same time, and makes the document. What is put or
 * edited meanwhile gets its document at once. Until a database is through, its searches are
 * answered -LOADING. */
#include "engine/checkpoint.h"
#include "engine/index/kept_index.h"

#include "image/meta.h"

enum { READS_MAX = 64, SLICE_US = 200 };

struct reindex {
	struct engine *engine;
	unsigned       db;
	uint64_t       cursor;
	bool           walking;
	struct list    jobs;
	uint32_t       reading;
	uint64_t       started_us, added, claimed;
	bool           walked;            /* this database */
};

struct reindex_job {
	struct list          link;
	struct reindex      *reindex;     /* NULL: the engine goes */
	struct metadata_load load;
	uint8_t              db;
	uint32_t             key_len;
	uint8_t              key[];
};

static void job_free(struct engine *engine, struct reindex_job *job)
{
	memory_free(&engine->memory.engine, job, sizeof(*job) + job->key_len);
}

static void reindex_add(struct engine *engine, uint8_t db, struct entry *entry, struct span encoded)
{
	struct image_meta meta;
	enum err err = image_meta_decode(encoded, &meta);
	if (err == OK)
		err = engine_index_add(engine, db, entry, &meta);
	if (err != OK) {
		entry_image(entry)->docid = DOCID_NONE;
		log_warning(engine->log, "image %.*s is not searchable: %s",
		    (int)(entry->key_len < 200 ? entry->key_len : 200),
		    (const char *)entry_key(entry).ptr, err_name(err));
		engine->unsearchable[db]++;
		return;
	}
	dedupe_note(engine, db, entry, &meta.etag);
	ASSERT(engine->unindexed[db] > 0);
	engine->unindexed[db]--;
	engine->reindex->added++;
}

static void job_loaded(struct metadata_load *load, enum err err, struct body *body)
{
	struct reindex_job *job = load->ctx;
	struct reindex *reindex = job->reindex;
	struct engine *engine = load->engine;
	if (reindex == NULL) {
		body_unref(body);
		job_free(engine, job);
		return;
	}
	struct directory *directory = &engine->directories[job->db];
	struct span key = span_of(job->key, job->key_len);
	struct entry *entry = directory_lookup(directory, key);
	list_remove(&job->link);
	reindex->reading--;
	if (entry != NULL && entry->type == ENTRY_IMAGE && entry_image(entry)->docid == DOCID_NONE) {
		struct image_ref ref;
		image_ref_of(engine, entry, &ref);
		if (err == OK && ref.meta_lsn == load->lsn) {
			reindex_add(engine, job->db, entry, body_span(body));
		} else {
			log_warning(engine->log, "the metadata of image %.*s cannot be read: %s",
			    (int)(key.len < 200 ? key.len : 200), (const char *)key.ptr,
			    err_name(err));
			engine->unsearchable[job->db]++;
		}
	}
	body_unref(body);
	job_free(engine, job);
}

static void reindex_each(void *ctx, struct entry *entry)
{
	struct reindex *reindex = ctx;
	struct engine *engine = reindex->engine;
	if (entry->type != ENTRY_IMAGE || entry_image(entry)->docid != DOCID_NONE)
		return;
	if (kept_index_claim(engine, (uint8_t)reindex->db, entry)) {
		reindex->claimed++;
		return;
	}
	struct span key = entry_key(entry);
	struct reindex_job *job =
	    memory_zalloc(&engine->memory.engine, sizeof(*job) + key.len);
	job->reindex = reindex;
	job->db = (uint8_t)reindex->db;
	job->key_len = (uint32_t)key.len;
	memcpy(job->key, key.ptr, key.len);
	job->load.done = job_loaded;
	job->load.ctx = job;
	list_init(&job->link);
	list_append(&reindex->jobs, &job->link);
	reindex->reading++;
	struct image_ref ref;
	image_ref_of(engine, entry, &ref);
	metadata_load(engine, &ref, &job->load);
}

void reindex_start(struct engine *engine)
{
	uint64_t images = 0;
	bool settled = true;
	kept_index_loaded(engine);
	for (unsigned db = 0; db < DATABASE_COUNT; db++) {
		images += engine->unindexed[db];
		settled = settled && kept_index_is_settled(engine, (uint8_t)db);
	}
	if (images == 0 && settled)
		return;
	struct reindex *reindex = memory_zalloc(&engine->memory.engine, sizeof(*reindex));
	reindex->engine = engine;
	reindex->walking = true;
	reindex->started_us = io_now_us(engine->io);
	list_init(&reindex->jobs);
	engine->reindex = reindex;
	log_notice(engine->log, "indexing %llu images in the background",
	    (unsigned long long)images);
}

void reindex_stop(struct engine *engine)
{
	struct reindex *reindex = engine->reindex;
	if (reindex == NULL)
		return;
	while (!list_is_empty(&reindex->jobs)) {
		struct reindex_job *job = LIST_OF(reindex->jobs.next, struct reindex_job, link);
		list_remove(&job->link);
		job->reindex = NULL;
	}
	memory_free(&engine->memory.engine, reindex, sizeof(*reindex));
	engine->reindex = NULL;
}

static void reindex_end(struct reindex *reindex)
{
	struct engine *engine = reindex->engine;
	log_notice(engine->log, "took %llu documents over from the checkpoint, made %llu, in %.3f s",
	    (unsigned long long)reindex->claimed, (unsigned long long)reindex->added,
	    (double)(io_now_us(engine->io) - reindex->started_us) / 1e6);
	for (unsigned db = 0; db < DATABASE_COUNT; db++)
		engine->unsearchable[db] = engine->unindexed[db];
	reindex_stop(engine);
}

bool reindex_step(struct engine *engine)
{
	struct reindex *reindex = engine->reindex;
	if (reindex == NULL)
		return false;
	uint64_t from_us = io_clock_us(engine->io);
	while (reindex->walking && reindex->reading < READS_MAX) {
		struct directory *directory = &engine->directories[reindex->db];
		if (!reindex->walked)
			reindex->cursor =
			    directory_scan(directory, reindex->cursor, reindex_each, reindex);
		reindex->walked = reindex->cursor == 0;
		if (reindex->walked && kept_index_purge(engine, (uint8_t)reindex->db)) {
			reindex->walked = false;
			reindex->walking = ++reindex->db < DATABASE_COUNT;
		}
		if (io_clock_us(engine->io) - from_us >= SLICE_US)
			return reindex->walking && reindex->reading < READS_MAX;
	}
	if (!reindex->walking && reindex->reading == 0)
		reindex_end(reindex);
	return false;
}
