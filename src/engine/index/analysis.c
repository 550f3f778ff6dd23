/* engine/index/analysis.c: see analysis.h. An image goes through these steps, each of which may wait:
 *
 *   read its metadata -> read its bytes -> a worker -> read its metadata again (it may have
 *   been edited) -> log the result
 *
 * Nothing is held meanwhile but its key and the LSN of its body: whatever happens to the
 * image, the next step looks for it again and drops the work when it is gone.
 */
#include "engine/index/analysis.h"

#include "engine/apply.h"
#include "image/pool.h"

enum {
	QUEUE_MAX = 1024, QUEUE_LOW = 256,
	SCAN_STEPS = 32,                  /* cursor positions of a directory in one pass */
	TRIES_MAX = 2,                    /* workers that an image may cost */
};
static const uint64_t soon_us = 20000, retry_us = 1000000, rescan_us = 10000000;

struct analysis_item {
	struct list link;
	uint64_t    body_lsn;
	uint8_t     db, tries;
	uint32_t    key_len;
	uint8_t     key[];
};

enum analysis_wait { WAIT_NOTHING, WAIT_META, WAIT_BODY, WAIT_WORKER };

/* One image at work. */
struct analysis_run {
	struct list           link;
	struct analyser      *analyser;
	struct analysis_item *item;
	enum analysis_wait    wait;
	struct metadata_load  meta_load;
	struct body_load      body_load;
	struct worker_job     work;
	struct transform_plan plan;
	struct image_analysis result;
	bool                  has_result;
};

struct analyser {
	struct engine  *engine;
	struct list     queue, runs;
	uint32_t        queued, running;
	uint64_t        left[DATABASE_COUNT];        /* entries that are marked */
	struct io_timer timer;                       /* when to try again */
	bool            scanning, scan_wanted, paused;
	unsigned        scan_db;
	uint64_t        scan_cursor, scan_next_us;
	uint64_t        done, failed, dropped, retried;
};

static void run_meta(struct analysis_run *run);
static void run_end(struct analysis_run *run);

/* ---- What is left to do ---- */

static uint64_t left_of(const struct analyser *analyser)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < DATABASE_COUNT; i++)
		sum += analyser->left[i];
	return sum;
}

static struct entry *item_entry(struct engine *engine, const struct analysis_item *item)
{
	struct directory *directory = &engine->directories[item->db];
	struct span key = span_of(item->key, item->key_len);
	struct entry *entry = directory_lookup(directory, key);
	bool same = entry != NULL && entry->type == ENTRY_IMAGE &&
	    (entry->flags & ENTRY_UNSEEN) != 0 &&
	    entry_image(entry)->body_lsn == item->body_lsn;
	return same ? entry : NULL;
}

static void item_free(struct analyser *analyser, struct analysis_item *item)
{
	memory_free(&analyser->engine->memory.images, item, sizeof(*item) + item->key_len);
}

static void enqueue(struct analyser *analyser, uint8_t db, struct entry *entry)
{
	struct span key = entry_key(entry);
	if (analyser->queued >= QUEUE_MAX) {
		analyser->scan_wanted = true;
		return;
	}
	struct analysis_item *item =
	    memory_alloc(&analyser->engine->memory.images, sizeof(*item) + key.len);
	*item = (struct analysis_item){
	    .db = db,
	    .body_lsn = entry_image(entry)->body_lsn,
	    .key_len = (uint32_t)key.len,
	};
	if (key.len > 0)
		memcpy(item->key, key.ptr, key.len);
	list_append(&analyser->queue, &item->link);
	analyser->queued++;
}

void analysis_note(
    struct engine *engine, uint8_t db, struct entry *entry, const struct image_meta *meta)
{
	struct analyser *analyser = engine->analyser;
	const struct image_analysis *analysis = &meta->analysis;
	struct transform_plan plan;
	analysis_forget(engine, db, entry);
	if (entry_image(entry)->docid == DOCID_NONE)
		return;                   /* it comes again with its document */
	if (analysis->state == ANALYSIS_DONE)
		similar_put(engine->similars[db], entry_image(entry)->docid,
		    analysis_has_phash(analysis) ? analysis->phash : NULL, palette_mask(analysis));
	if (analysis->state != ANALYSIS_NONE || transform_analyse(meta, &plan) != OK)
		return;
	entry->flags |= ENTRY_UNSEEN;
	analyser->left[db]++;
	if (engine->loading)
		analyser->scan_wanted = true;
	else if (engine->settings->analysis)
		enqueue(analyser, db, entry);
}

void analysis_note_unseen(struct engine *engine, uint8_t db, struct entry *entry)
{
	ASSERT((entry->flags & ENTRY_UNSEEN) == 0);
	entry->flags |= ENTRY_UNSEEN;
	engine->analyser->left[db]++;
	engine->analyser->scan_wanted = true;
}

void analysis_forget(struct engine *engine, uint8_t db, struct entry *entry)
{
	if (!(entry->flags & ENTRY_UNSEEN))
		return;
	entry->flags &= ~(uint64_t)ENTRY_UNSEEN & 0xfff;
	ASSERT(engine->analyser->left[db] > 0);
	engine->analyser->left[db]--;
}

void analysis_forget_db(struct engine *engine, uint8_t db)
{
	engine->analyser->left[db] = 0;
}

void analysis_copy(struct engine *engine, const struct image_ref *twin, struct buf *encoded)
{
	struct image_meta meta;
	struct body *body = metadata_cached(engine, twin);
	if (body == NULL)
		return;
	bool known = image_meta_decode(body_span(body), &meta) == OK &&
	    meta.analysis.state != ANALYSIS_NONE;
	body_unref(body);
	if (known && encoded->len + ANALYSIS_ENCODED_MAX + 2 <= META_BYTES_MAX)
		image_meta_add_analysis(&meta.analysis, encoded);
}

static void scan_entry(void *ctx, struct entry *entry)
{
	struct analyser *analyser = ctx;
	if (entry->type == ENTRY_IMAGE && (entry->flags & ENTRY_UNSEEN) != 0)
		enqueue(analyser, (uint8_t)analyser->scan_db, entry);
}

/* A few steps of the walk. True: it has more to do at once. */
static bool scan_step(struct analyser *analyser)
{
	struct engine *engine = analyser->engine;
	for (unsigned i = 0; i < SCAN_STEPS && analyser->queued < QUEUE_LOW; i++) {
		struct directory *directory = &engine->directories[analyser->scan_db];
		if (analyser->left[analyser->scan_db] > 0)
			analyser->scan_cursor = directory_scan(
			    directory, analyser->scan_cursor, scan_entry, analyser);
		else
			analyser->scan_cursor = 0;
		if (analyser->scan_cursor != 0)
			continue;
		if (++analyser->scan_db == DATABASE_COUNT) {
			analyser->scan_db = 0;
			analyser->scanning = false;
			return false;
		}
	}
	return analyser->queued < QUEUE_LOW;
}

/* ---- The end of a run ---- */

/* Back to the queue, after a while. */
static void run_later(struct analysis_run *run, uint64_t delay_us)
{
	struct analyser *analyser = run->analyser;
	list_append(&analyser->queue, &run->item->link);
	analyser->queued++;
	analyser->retried++;
	run->item = NULL;
	analyser->paused = true;
	io_timer_set(analyser->engine->io, &analyser->timer, delay_us);
	run_end(run);
}

static void run_end(struct analysis_run *run)
{
	struct analyser *analyser = run->analyser;
	ASSERT(run->wait == WAIT_NOTHING);
	ASSERT(analyser->running > 0);
	if (run->item != NULL)
		item_free(analyser, run->item);
	list_remove(&run->link);
	analyser->running--;
	memory_free(&analyser->engine->memory.images, run, sizeof(*run));
}

static void run_drop(struct analysis_run *run)
{
	run->analyser->dropped++;
	run_end(run);
}

/* It stays without an analysis until the server starts again. */
static void run_give_up(struct analysis_run *run)
{
	struct entry *entry = item_entry(run->analyser->engine, run->item);
	if (entry != NULL)
		analysis_forget(run->analyser->engine, run->item->db, entry);
	run_drop(run);
}

/* ---- The result ---- */

/* What it takes the place of: the record of the body, as long as that is the version's; else the
 * newest metadata. */
static uint64_t quiet_lsn(struct entry *entry)
{
	const struct entry_meta *meta = entry_meta(entry);
	bool plain = meta == NULL || (entry->flags & ENTRY_QUIET_META) != 0;
	return plain ? entry_image(entry)->body_lsn : meta->lsn;
}

/* As new metadata: of the same version where that is possible, else of a new one. */
static enum err log_result(struct analysis_run *run, struct entry *entry, struct image_meta *meta)
{
	struct engine *engine = run->analyser->engine;
	struct analysis_item *item = run->item;
	struct buf encoded;
	struct target target = {
	    .db = item->db,
	    .key = span_of(item->key, item->key_len),
	    .entry = entry,
	};
	bool linked = (entry->flags & ENTRY_SHARED) != 0;
	target.hash = directory_hash(&engine->directories[item->db], target.key);
	meta->analysis = run->result;
	buf_init(&encoded, &engine->memory.images);
	enum err err = image_meta_encode(meta, &encoded);
	image_meta_mark_quiet(&encoded, quiet_lsn(entry));
	struct record record = {
	    .type = linked ? RECORD_LINK : RECORD_META,
	    .refers = entry_image(entry)->body_lsn,
	    .expire_ms = linked ? (int64_t)entry_expire_ms(entry) : 0,
	    .sync = SYNC_NO,
	    .can_wait = true,
	    .db = item->db,
	    .key = target.key,
	    .meta = buf_span(&encoded),
	};
	if (err == OK && encoded.len > META_BYTES_MAX)
		err = ERR_TOOLARGE;
	if (err == OK)
		err = store_append(engine->store, &record);
	if (err == OK)
		err = linked ? apply_link(engine, &target, &record, past_body(engine, entry))
		             : apply_meta(engine, &target, &record);
	if (err == OK)
		err = metadata_remember(engine, record.lsn, record.meta, NULL);
	buf_fini(&encoded);
	return err;
}

static void run_finish(struct analysis_run *run, struct entry *entry, struct image_meta *meta)
{
	struct analyser *analyser = run->analyser;
	enum err err = log_result(run, entry, meta);
	if (err == ERR_OVERLOADED || err == ERR_DISKFULL) {
		run_later(run, err == ERR_OVERLOADED ? soon_us : retry_us);
		return;
	}
	if (err != OK) {
		run_give_up(run);
		return;
	}
	if (run->result.state == ANALYSIS_DONE)
		analyser->done++;
	else
		analyser->failed++;
	run_end(run);
}

static void run_worked(struct worker_job *work, enum err err)
{
	struct analysis_run *run = work->ctx;
	bool blamed = work->given && (err == ERR_IO || err == ERR_TIMEOUT);
	run->wait = WAIT_NOTHING;
	body_unref(work->source);
	run->has_result = true;
	if (err == OK) {
		ASSERT(work->result->len == sizeof(run->result));
		memcpy(&run->result, work->result->ptr, sizeof(run->result));
		body_unref(work->result);
		run_meta(run);
		return;
	}
	run->result = (struct image_analysis){.version = ANALYSIS_VERSION, .state = ANALYSIS_FAILED};
	if (err == ERR_CANCELLED || run->analyser->engine->closing)
		run_drop(run);
	else if (err == ERR_INVALID || (blamed && ++run->item->tries >= TRIES_MAX))
		run_meta(run);
	else
		run_later(run, retry_us);
}

/* ---- The steps before ---- */

static void run_work(struct analysis_run *run, struct body *source)
{
	struct engine *engine = run->analyser->engine;
	run->work = (struct worker_job){
	    .source = source, .plan = run->plan, .done = run_worked, .ctx = run};
	run->wait = WAIT_WORKER;
	enum err err = image_service_analyse(engine, &run->work);
	if (err == OK)
		return;
	run->wait = WAIT_NOTHING;
	body_unref(source);
	if (err == ERR_OVERLOADED)
		run_later(run, retry_us);
	else
		run_drop(run);
}

static void run_body_loaded(struct body_load *load, enum err err, struct body *body)
{
	struct analysis_run *run = load->ctx;
	run->wait = WAIT_NOTHING;
	if (err == OK && !run->analyser->engine->closing)
		run_work(run, body);
	else if (err == OK)
		body_unref(body);
	if (err == ERR_OVERLOADED)
		run_later(run, retry_us);
	else if (err != OK)
		run_give_up(run);
	else if (run->analyser->engine->closing)
		run_drop(run);
}

static void run_body(struct analysis_run *run, struct entry *entry, const struct image_meta *meta)
{
	struct engine *engine = run->analyser->engine;
	struct image_ref ref;
	if (transform_analyse(meta, &run->plan) != OK) {
		run_give_up(run);
		return;
	}
	image_ref_of(engine, entry, &ref);
	struct body *source = image_cached(engine, &ref);
	if (source != NULL) {
		run_work(run, source);
		return;
	}
	run->wait = WAIT_BODY;
	run->body_load = (struct body_load){.once = true, .done = run_body_loaded, .ctx = run};
	body_load(engine, &ref, &run->body_load);
}

/* The metadata as it is now: before the work, or to go with its result. */
static void run_with_meta(struct analysis_run *run, struct body *encoded)
{
	struct image_meta meta;
	struct entry *entry = item_entry(run->analyser->engine, run->item);
	enum err err = image_meta_decode(body_span(encoded), &meta);
	if (entry == NULL)
		run_drop(run);
	else if (err != OK)
		run_give_up(run);
	else if (run->has_result)
		run_finish(run, entry, &meta);
	else
		run_body(run, entry, &meta);
	body_unref(encoded);
}

static void run_meta_loaded(struct metadata_load *load, enum err err, struct body *body)
{
	struct analysis_run *run = load->ctx;
	struct engine *engine = run->analyser->engine;
	struct entry *entry = item_entry(engine, run->item);
	struct image_ref ref = {0};
	run->wait = WAIT_NOTHING;
	if (entry != NULL)
		image_ref_of(engine, entry, &ref);
	if (err == OK && !engine->closing && entry != NULL && ref.meta_lsn == load->lsn) {
		run_with_meta(run, body);
		return;
	}
	body_unref(body);
	if (engine->closing || entry == NULL)
		run_drop(run);
	else if (ref.meta_lsn != load->lsn)
		run_meta(run);            /* edited while it was read */
	else
		run_give_up(run);
}

static void run_meta(struct analysis_run *run)
{
	struct engine *engine = run->analyser->engine;
	struct entry *entry = item_entry(engine, run->item);
	struct image_ref ref;
	if (entry == NULL) {
		run_drop(run);
		return;
	}
	image_ref_of(engine, entry, &ref);
	struct body *body = metadata_cached(engine, &ref);
	if (body != NULL) {
		run_with_meta(run, body);
		return;
	}
	run->wait = WAIT_META;
	run->meta_load = (struct metadata_load){.done = run_meta_loaded, .ctx = run};
	metadata_load(engine, &ref, &run->meta_load);
}

/* ---- The pass ---- */

static void start_one(struct analyser *analyser)
{
	struct analysis_item *item = LIST_OF(analyser->queue.next, struct analysis_item, link);
	list_remove(&item->link);
	analyser->queued--;
	if (item_entry(analyser->engine, item) == NULL) {
		item_free(analyser, item);        /* seen meanwhile, or gone */
		return;
	}
	struct analysis_run *run =
	    memory_zalloc(&analyser->engine->memory.images, sizeof(*run));
	run->analyser = analyser;
	run->item = item;
	list_append(&analyser->runs, &run->link);
	analyser->running++;
	run_meta(run);
}

bool analysis_step(struct engine *engine)
{
	struct analyser *analyser = engine->analyser;
	if (!engine->settings->analysis || analyser->paused || !image_service_works(engine) ||
	    engine->is_pressed)
		return false;
	for (unsigned i = 0; i < SCAN_STEPS && analyser->queued > 0 &&
	     analyser->running < (uint64_t)engine->settings->analysis_concurrency; i++)
		start_one(analyser);
	if (analyser->queued >= QUEUE_LOW)
		return false;
	if (analyser->scanning)
		return scan_step(analyser);
	if (analyser->queued > 0 || analyser->running > 0 || left_of(analyser) == 0)
		return false;
	/* Nothing in the queue, but there are marks: walk again, if the last was long ago. */
	uint64_t now_us = io_clock_us(engine->io);
	if (!analyser->scan_wanted && now_us < analyser->scan_next_us)
		return false;
	analyser->scanning = true;
	analyser->scan_wanted = false;
	analyser->scan_next_us = now_us + rescan_us;
	return true;
}

static void timer_fired(struct io_timer *timer)
{
	struct analyser *analyser = timer->ctx;
	analyser->paused = false;
}

void analysis_wake(struct engine *engine)
{
	engine->analyser->scan_wanted = true;
}

void analysis_new(struct engine *engine)
{
	struct analyser *analyser = memory_zalloc(&engine->memory.images, sizeof(*analyser));
	analyser->engine = engine;
	list_init(&analyser->queue);
	list_init(&analyser->runs);
	io_timer_init(&analyser->timer, timer_fired, analyser);
	engine->analyser = analyser;
}

void analysis_free(struct engine *engine)
{
	struct analyser *analyser = engine->analyser;
	if (analyser == NULL)
		return;
	io_timer_cancel(engine->io, &analyser->timer);
	while (!list_is_empty(&analyser->runs)) {
		struct analysis_run *run = LIST_OF(analyser->runs.next, struct analysis_run, link);
		ASSERT(run->wait != WAIT_WORKER); /* the pool has ended its jobs */
		if (run->wait == WAIT_META) {
			list_remove(&run->meta_load.link);
			store_read_fini(&run->meta_load.read);
		} else if (run->wait == WAIT_BODY) {
			store_read_fini(&run->body_load.read);
		}
		run->wait = WAIT_NOTHING;
		run_end(run);
	}
	while (!list_is_empty(&analyser->queue)) {
		struct analysis_item *item =
		    LIST_OF(analyser->queue.next, struct analysis_item, link);
		list_remove(&item->link);
		item_free(analyser, item);
	}
	memory_free(&engine->memory.images, analyser, sizeof(*analyser));
	engine->analyser = NULL;
}

void analysis_info(const struct engine *engine, struct buf *out)
{
	const struct analyser *analyser = engine->analyser;
	buf_printf(out,
	    "analysis_left:%llu\r\nanalysis_queued:%u\r\nanalysis_running:%u\r\nanalysis_done:%llu\r\n"
	    "analysis_failed:%llu\r\nanalysis_dropped:%llu\r\nanalysis_retried:%llu\r\n",
	    (unsigned long long)left_of(analyser), analyser->queued, analyser->running,
	    (unsigned long long)analyser->done, (unsigned long long)analyser->failed,
	    (unsigned long long)analyser->dropped, (unsigned long long)analyser->retried);
}
