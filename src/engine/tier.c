/* engine/tier.c: see tier.h. */
#include "engine/tier.h"

#include "image/meta.h"
#include "resp/parse.h"

enum {
	MOVES_MAX = 4,                    /* under way at the same time */
	QUEUE_MAX = 256,
	SCAN_BUCKETS = 16,                /* cursor steps a pass */
};


struct tier_move {
	struct list          link;        /* queue, then active */
	struct tiers        *tiers;
	struct store_move    move;
	enum tier            tier;
	bool                 started;
	uint64_t             bytes;
	uint32_t             tries;
	struct tier_request *request;
	struct tier_run     *run;
	uint8_t              db;
	uint32_t             key_len;
	uint8_t              key[];
};

struct tiers {
	struct engine  *engine;
	struct list     policies, queue, active, runs, tag_checks;
	uint32_t        queued, moving, tag_checking;
	struct io_timer timer, pace;
	uint64_t        pace_until_us;
	struct tier_run periodic;
	bool            periodic_runs;
	/* the scan step's */
	struct tier_run *scanning;
};

/* An image whose policy asks for a tag and whose metadata must be read first. */
struct tag_check {
	struct list           link;
	struct tiers         *tiers;
	struct tier_run      *run;
	struct metadata_load  load;
	uint8_t               db;
	uint32_t              key_len;
	uint8_t               key[];
};

/* ---- Policies ---- */

static int policy_order(const char *a, const char *b)
{
	bool last_a = strcmp(a, "default") == 0, last_b = strcmp(b, "default") == 0;
	if (last_a || last_b)
		return (int)last_a - (int)last_b;
	return strcmp(a, b);
}

static struct policy *policy_find(struct tiers *tiers, const char *name)
{
	for (struct list *at = tiers->policies.next; at != &tiers->policies; at = at->next) {
		struct policy *policy = LIST_OF(at, struct policy, link);
		if (strcmp(policy->name, name) == 0)
			return policy;
	}
	return NULL;
}

static void policy_remove(struct tiers *tiers, struct policy *policy)
{
	if (policy->place.segment != 0)
		store_release(tiers->engine->store, policy->place);
	list_remove(&policy->link);
	memory_free(&tiers->engine->memory.engine, policy, sizeof(*policy));
}

static void policy_install(struct tiers *tiers, const struct policy *policy)
{
	struct policy *old = policy_find(tiers, policy->name);
	if (old != NULL)
		policy_remove(tiers, old);
	struct policy *copy = memory_alloc(&tiers->engine->memory.engine, sizeof(*copy));
	*copy = *policy;
	struct list *at = tiers->policies.next;
	while (at != &tiers->policies &&
	    policy_order(LIST_OF(at, struct policy, link)->name, copy->name) < 0)
		at = at->next;
	list_append(at, &copy->link);     /* in front of the first that is greater */
}

const struct list *tiers_policies(const struct engine *engine)
{
	return &engine->tiers->policies;
}

/* The SETTING record of a policy; an empty body removes it. */
static enum err policy_log(
    struct engine *engine, const char *name, struct span text, struct record *record)
{
	char key[sizeof(POLICY_SETTING) + POLICY_NAME_MAX];
	int len = snprintf(key, sizeof(key), "%s%s", POLICY_SETTING, name);
	*record = (struct record){
		.type = RECORD_SETTING, .db = RECORD_ALL_DBS, .key = span_of(key, (size_t)len),
		.value = text, .sync = SYNC_ALWAYS,
	};
	enum err err = store_append(engine->store, record);
	record->key = (struct span){0};
	return err;
}

enum err tiers_set_policy(struct engine *engine, const struct policy *policy, uint64_t *lsn)
{
	struct buf text;
	struct record record;
	uint32_t count = 0;
	for (struct list *at = engine->tiers->policies.next; at != &engine->tiers->policies;
	     at = at->next)
		count++;
	if (count >= POLICIES_MAX && policy_find(engine->tiers, policy->name) == NULL)
		return ERR_TOOLARGE;
	buf_init(&text, &engine->memory.engine);
	policy_format(policy, &text);
	enum err err = policy_log(engine, policy->name, buf_span(&text), &record);
	buf_fini(&text);
	if (err != OK)
		return err;
	struct policy copy = *policy;
	copy.place = record.place;
	policy_install(engine->tiers, &copy);
	*lsn = record.lsn;
	return OK;
}

enum err tiers_delete_policy(struct engine *engine, struct span name, uint64_t *lsn)
{
	char text[POLICY_NAME_MAX];
	struct record record;
	if (name.len >= sizeof(text))
		return ERR_NOTFOUND;
	memcpy(text, name.ptr, name.len);
	text[name.len] = 0;
	struct policy *policy = policy_find(engine->tiers, text);
	if (policy == NULL)
		return ERR_NOTFOUND;
	enum err err = policy_log(engine, policy->name, (struct span){0}, &record);
	if (err != OK)
		return err;
	*lsn = record.lsn;
	policy_remove(engine->tiers, policy);
	return OK;
}

static void policy_load(struct engine *engine, const char *name, struct span text,
    struct place place)
{
	uint8_t scratch[POLICY_TEXT_MAX];
	struct span words[32];
	uint32_t count = 0;
	const char *why;
	struct policy policy = {0};
	snprintf(policy.name, sizeof(policy.name), "%s", name);
	if (text.len > sizeof(scratch) ||
	    resp_split_words(text, scratch, words, ARRAY_COUNT(words), &count) != OK ||
	    policy_parse(&policy, words, count, &why) != OK) {
		log_warning(
		    engine->log, "tier policy %s cannot be read; it is ignored", policy.name);
		return;
	}
	policy.place = place;
	policy_install(engine->tiers, &policy);
}

void tiers_load_policy(struct engine *engine, struct span name, struct span text,
    struct place place)
{
	char copy[POLICY_NAME_MAX] = "";
	if (name.len >= sizeof(copy))
		return;
	memcpy(copy, name.ptr, name.len);
	policy_load(engine, copy, text, place);
}

/* The policy's name out of the key of its SETTING. False: it is none. */
static bool policy_name(const struct record *record, char out[POLICY_NAME_MAX])
{
	size_t prefix = sizeof(POLICY_SETTING) - 1;
	if (record->key.len <= prefix || record->key.len - prefix >= POLICY_NAME_MAX ||
	    memcmp(record->key.ptr, POLICY_SETTING, prefix) != 0)
		return false;
	memset(out, 0, POLICY_NAME_MAX);
	memcpy(out, record->key.ptr + prefix, record->key.len - prefix);
	return true;
}

void tiers_setting(struct engine *engine, const struct record *record)
{
	char name[POLICY_NAME_MAX];
	if (!policy_name(record, name))
		return;
	if (record->value.len > 0) {
		policy_load(engine, name, record->value, record->place);
		return;
	}
	struct policy *old = policy_find(engine->tiers, name);
	if (old != NULL)
		policy_remove(engine->tiers, old);
}

bool tiers_setting_follow(struct engine *engine, const struct record *record)
{
	char name[POLICY_NAME_MAX];
	if (record->value.len == 0 || !policy_name(record, name))
		return false;
	struct policy *policy = policy_find(engine->tiers, name);
	if (policy == NULL || policy->place.segment == 0)
		return false;
	store_release(engine->store, policy->place);
	policy->place = record->place;
	return true;
}

bool tiers_setting_relocated(
    struct engine *engine, const struct record *record, struct place from, struct place to)
{
	UNUSED(record);
	for (struct list *at = engine->tiers->policies.next; at != &engine->tiers->policies;
	     at = at->next) {
		struct policy *policy = LIST_OF(at, struct policy, link);
		if (policy->place.segment == from.segment && policy->place.offset == from.offset) {
			policy->place = to;
			return true;
		}
	}
	return false;
}

bool tiers_setting_is_live(struct engine *engine, const struct record *record)
{
	struct list *policies = &engine->tiers->policies;
	for (struct list *at = policies->next; at != policies; at = at->next) {
		const struct place *place = &LIST_OF(at, struct policy, link)->place;
		if (place->segment != 0 && place->segment == record->place.segment &&
		    place->offset == record->place.offset)
			return true;
	}
	return false;
}

/* ---- Which tier an image belongs on ---- */

static bool policy_names(const struct policy *policy, const struct entry *entry)
{
	struct span key = entry_key(entry);
	if (key.len < policy->prefix_len ||
	    memcmp(key.ptr, policy->prefix, policy->prefix_len) != 0)
		return false;
	return entry_image((struct entry *)(uintptr_t)entry)->body.bytes >= policy->bytes_min;
}

static bool meta_has_tag(const struct image_meta *meta, const char *tag)
{
	for (uint32_t i = 0; i < meta->tag_count; i++)
		if (span_is(meta->tags[i], tag))
			return true;
	return false;
}

/* The first policy that names the entry. `meta` NULL: not known yet; *needs_meta is then
 * set if a tag would decide. */
static const struct policy *policy_of(struct tiers *tiers, const struct entry *entry,
    const struct image_meta *meta, bool *needs_meta)
{
	*needs_meta = false;
	for (struct list *at = tiers->policies.next; at != &tiers->policies; at = at->next) {
		const struct policy *policy = LIST_OF(at, struct policy, link);
		if (!policy_names(policy, entry))
			continue;
		if (policy->tag[0] == 0)
			return policy;
		if (meta == NULL) {
			*needs_meta = true;
			return NULL;
		}
		if (meta_has_tag(meta, policy->tag))
			return policy;
	}
	return NULL;
}

enum verdict { STAY, TO_WARM, TO_DELETE, WANTS_COLD };

static enum verdict policy_verdict(
    struct engine *engine, const struct policy *policy, struct entry *entry)
{
	int64_t now_s = io_wall_ms(engine->io) / 1000;
	int64_t since =
	    policy->basis == BASIS_ACCESSED ? entry->access_s : entry_image(entry)->created_s;
	int64_t age_s = now_s - since;
	enum tier tier = store_tier(engine->store, past_body(engine, entry));
	if (policy->delete_s >= 0 && age_s >= policy->delete_s)
		return TO_DELETE;
	if (tier == TIER_HOT && engine->settings->warm_dir[0] != 0 &&
	    ((policy->warm_s >= 0 && age_s >= policy->warm_s) ||
	        (policy->cold_s >= 0 && age_s >= policy->cold_s)))
		return TO_WARM;
	if (policy->cold_s >= 0 && age_s >= policy->cold_s)
		return WANTS_COLD;
	return STAY;
}

/* ---- Moving ---- */

static void run_release(struct tiers *tiers, struct tier_run *run)
{
	if (run == NULL)
		return;
	ASSERT(run->waiting > 0);
	run->waiting--;
	if (run->waiting > 0 || !run->scanned_all)
		return;
	if (run == &tiers->periodic)
		tiers->periodic_runs = false;
	else
		run->done(run);
}

static void move_end(struct tier_move *move, enum err err)
{
	struct tiers *tiers = move->tiers;
	struct engine *engine = tiers->engine;
	struct tier_run *run = move->run;
	struct tier_request *request = move->request;
	list_remove(&move->link);
	if (move->started)
		tiers->moving--;
	else
		tiers->queued--;
	if (err == OK) {
		engine->counters.tier_moves += move->started;     /* else it was there already */
		engine->counters.tier_moved_bytes += move->bytes;
	} else if (err != ERR_NOTFOUND && err != ERR_CANCELLED) {
		log_warning(
		    engine->log, "an image could not be moved to another tier: %s", err_name(err));
	}
	struct directory *directory = &engine->directories[move->db];
	struct span key = span_of(move->key, move->key_len);
	struct entry *entry = directory_lookup(directory, key);
	if (entry != NULL)
		entry->flags &= ~(unsigned)ENTRY_MOVING & 0xfffU;
	memory_free(&engine->memory.engine, move, sizeof(*move) + move->key_len);
	if (request != NULL)
		request->done(request, err);
	run_release(tiers, run);
}

static void move_done(struct store_move *store_move, enum err err);

static void move_copy(struct tier_move *move, struct entry *entry)
{
	struct engine *engine = move->tiers->engine;
	const struct place body = past_body(engine, entry);
	move->bytes = body.bytes;
	move->tries++;
	move->move = (struct store_move){.done = move_done, .ctx = move, .tier = move->tier};
	store_move_start(engine->store, &move->move, body, entry_image(entry)->body_lsn);
}

static struct entry *move_entry(const struct tier_move *move)
{
	struct directory *directory = &move->tiers->engine->directories[move->db];
	struct span key = span_of(move->key, move->key_len);
	struct entry *entry = directory_lookup(directory, key);
	return entry != NULL && entry->type == ENTRY_IMAGE ? entry : NULL;
}

/* The cleaner may have been there first: the image is as it was, elsewhere on its old tier. */
static void move_done(struct store_move *store_move, enum err err)
{
	enum { TRIES_MAX = 4 };
	struct tier_move *move = store_move->ctx;
	struct entry *entry = move_entry(move);
	struct engine *engine = move->tiers->engine;
	bool again = (err == OK || err == ERR_NOTFOUND) && entry != NULL &&
	    store_tier(engine->store, past_body(engine, entry)) != move->tier;
	if (again && move->tries < TRIES_MAX)
		move_copy(move, entry);
	else
		move_end(move, err);
}

static void move_begin(struct tier_move *move)
{
	struct tiers *tiers = move->tiers;
	struct engine *engine = tiers->engine;
	struct entry *entry = move_entry(move);
	if (entry == NULL) {
		move_end(move, ERR_NOTFOUND);
		return;
	}
	const struct place body = past_body(engine, entry);
	if (store_tier(engine->store, body) == move->tier) {
		move_end(move, OK);
		return;
	}
	move->started = true;
	tiers->queued--;
	tiers->moving++;
	list_remove(&move->link);
	list_append(&tiers->active, &move->link);
	uint64_t bandwidth = engine->settings->tier_bandwidth;
	uint64_t now_us = io_now_us(engine->io);
	if (tiers->pace_until_us < now_us)
		tiers->pace_until_us = now_us;
	tiers->pace_until_us += body.bytes * 1000000 / bandwidth;
	move_copy(move, entry);
}

static enum err move_queue(struct tiers *tiers, uint8_t db, struct entry *entry, enum tier tier,
    struct tier_move **out)
{
	struct span key = entry_key(entry);
	if (tiers->queued >= QUEUE_MAX)
		return ERR_OVERLOADED;
	struct tier_move *move =
	    memory_zalloc(&tiers->engine->memory.engine, sizeof(*move) + key.len);
	move->tiers = tiers;
	move->tier = tier;
	move->db = db;
	move->key_len = (uint32_t)key.len;
	memcpy(move->key, key.ptr, key.len);
	list_append(&tiers->queue, &move->link);
	tiers->queued++;
	entry->flags |= ENTRY_MOVING;
	*out = move;
	return OK;
}

enum err tiers_move(struct engine *engine, uint8_t db, struct entry *entry, enum tier tier,
    struct tier_request *request)
{
	struct tier_move *move;
	ASSERT(entry->type == ENTRY_IMAGE);
	if (tier == TIER_WARM && engine->settings->warm_dir[0] == 0)
		return ERR_UNSUPPORTED;
	enum err err = move_queue(engine->tiers, db, entry, tier, &move);
	if (err == OK)
		move->request = request;
	return err;
}

/* ---- Scanning ---- */

static void act(struct tiers *tiers, struct tier_run *run, uint8_t db, struct entry *entry,
    const struct policy *policy)
{
	struct engine *engine = tiers->engine;
	struct tier_move *move;
	uint64_t lsn;
	switch (policy_verdict(engine, policy, entry)) {
	case STAY:
		return;
	case WANTS_COLD:
		run->plan.wants_cold++;
		return;
	case TO_DELETE:
		run->plan.to_delete++;
		run->plan.bytes += entry_image(entry)->body.bytes;
		if (!run->dry) {
			uint64_t hash = directory_hash(&engine->directories[db], entry_key(entry));
			enum err err = engine_delete(engine, db, entry, hash, &lsn);
			if (err != OK)
				log_warning(engine->log, "a policy could not delete an image: %s",
				    err_name(err));
		}
		return;
	case TO_WARM:
		run->plan.to_warm++;
		run->plan.bytes += entry_image(entry)->body.bytes;
		if (!run->dry && !(entry->flags & ENTRY_MOVING) &&
		    move_queue(tiers, db, entry, TIER_WARM, &move) == OK) {
			move->run = run;
			run->waiting++;
		}
		return;
	}
}

static void tag_check_done(struct metadata_load *load, enum err err, struct body *body)
{
	struct tag_check *check = load->ctx;
	struct tiers *tiers = check->tiers;
	struct engine *engine = tiers->engine;
	struct tier_run *run = check->run;
	struct directory *directory = &engine->directories[check->db];
	struct span key = span_of(check->key, check->key_len);
	struct entry *entry = directory_lookup(directory, key);
	struct image_meta meta;
	bool needs_meta;
	if (err == OK && entry != NULL && entry->type == ENTRY_IMAGE &&
	    image_meta_decode(body_span(body), &meta) == OK) {
		const struct policy *policy = policy_of(tiers, entry, &meta, &needs_meta);
		if (policy != NULL)
			act(tiers, run, check->db, entry, policy);
	}
	body_unref(body);
	tiers->tag_checking--;
	memory_free(&engine->memory.engine, check, sizeof(*check) + check->key_len);
	run_release(tiers, run);
}

struct scan {
	struct tiers    *tiers;
	struct tier_run *run;
	uint32_t         count;
	struct entry    *found[64 * 16];
};

static void scan_collect(void *ctx, struct entry *entry)
{
	struct scan *scan = ctx;
	if (entry->type == ENTRY_IMAGE && scan->count < ARRAY_COUNT(scan->found))
		scan->found[scan->count++] = entry;
}

static void scan_entry(struct tiers *tiers, struct tier_run *run, uint8_t db, struct entry *entry)
{
	struct engine *engine = tiers->engine;
	bool needs_meta;
	run->plan.scanned++;
	const struct policy *policy = policy_of(tiers, entry, NULL, &needs_meta);
	if (policy != NULL) {
		act(tiers, run, db, entry, policy);
		return;
	}
	if (!needs_meta)
		return;
	struct span key = entry_key(entry);
	struct tag_check *check = memory_zalloc(&engine->memory.engine, sizeof(*check) + key.len);
	check->tiers = tiers;
	check->run = run;
	check->db = db;
	check->key_len = (uint32_t)key.len;
	memcpy(check->key, key.ptr, key.len);
	check->load.done = tag_check_done;
	check->load.ctx = check;
	run->waiting++;
	tiers->tag_checking++;
	struct image_ref ref;
	image_ref_of(engine, entry, &ref);
	metadata_load(engine, &ref, &check->load);
}

/* A few cursor positions of one run. */
static void scan_step(struct tiers *tiers, struct tier_run *run)
{
	struct engine *engine = tiers->engine;
	struct directory *directory = &engine->directories[run->db];
	for (int i = 0; i < SCAN_BUCKETS && !run->scanned_all; i++) {
		struct scan scan;
		scan.count = 0;
		uint8_t db = (uint8_t)run->db;
		run->cursor = directory_scan(directory, run->cursor, scan_collect, &scan);
		for (uint32_t k = 0; k < scan.count; k++)
			scan_entry(tiers, run, db, scan.found[k]);
		if (run->cursor != 0)
			continue;
		do
			run->db++;
		while (run->db < DATABASE_COUNT && engine->images[run->db] == 0);
		run->scanned_all = run->db == DATABASE_COUNT;
		directory = &engine->directories[run->scanned_all ? 0 : run->db];
	}
	if (!run->scanned_all)
		return;
	list_remove(&run->link);
	run->waiting++;
	run_release(tiers, run);
}

void tiers_run(struct engine *engine, struct tier_run *run)
{
	run->plan = (struct tier_plan){0};
	run->db = 0;
	run->cursor = 0;
	run->waiting = 0;
	run->scanned_all = false;
	list_append(&engine->tiers->runs, &run->link);
}

bool tiers_step(struct engine *engine)
{
	struct tiers *tiers = engine->tiers;
	uint64_t now_us = io_now_us(engine->io);
	while (!list_is_empty(&tiers->queue) && tiers->moving < MOVES_MAX &&
	    tiers->pace_until_us <= now_us)
		move_begin(LIST_OF(tiers->queue.next, struct tier_move, link));
	if (!list_is_empty(&tiers->queue) && tiers->pace_until_us > now_us &&
	    !io_timer_is_set(&tiers->pace))
		io_timer_set(engine->io, &tiers->pace, tiers->pace_until_us - now_us);
	if (list_is_empty(&tiers->runs))
		return false;
	if (tiers->queued > QUEUE_MAX / 4 || tiers->tag_checking > MOVES_MAX * 4)
		return false;
	scan_step(tiers, LIST_OF(tiers->runs.next, struct tier_run, link));
	return !list_is_empty(&tiers->runs);
}

void tiers_accessed(struct engine *engine, uint8_t db, struct entry *entry)
{
	struct tiers *tiers = engine->tiers;
	struct tier_move *move;
	struct image_meta meta;
	bool needs_meta;
	if (engine->settings->warm_dir[0] == 0 || engine->settings->readonly ||
	    (entry->flags & ENTRY_MOVING) ||
	    store_tier(engine->store, past_body(engine, entry)) == TIER_HOT)
		return;
	const struct policy *policy = policy_of(tiers, entry, NULL, &needs_meta);
	if (needs_meta) {
		struct image_ref ref;
		image_ref_of(engine, entry, &ref);
		struct body *body = metadata_cached(engine, &ref);
		if (body != NULL && image_meta_decode(body_span(body), &meta) == OK)
			policy = policy_of(tiers, entry, &meta, &needs_meta);
		body_unref(body);
	}
	if (policy != NULL && policy->promote)
		(void)!move_queue(tiers, db, entry, TIER_HOT, &move);
}

/* ---- Life ---- */

static void periodic_fired(struct io_timer *timer)
{
	struct tiers *tiers = timer->ctx;
	struct engine *engine = tiers->engine;
	int64_t interval_s = engine->settings->tier_interval_s;
	if (interval_s > 0 && !tiers->periodic_runs && engine->settings->warm_dir[0] != 0) {
		tiers->periodic_runs = true;
		tiers_run(engine, &tiers->periodic);
	}
	io_timer_set(engine->io, timer, (uint64_t)(interval_s > 0 ? interval_s : 60) * 1000000);
}

static void pace_fired(struct io_timer *timer)
{
	UNUSED(timer);                    /* the pass that follows goes on with the queue */
}

/* The platform's rule: warm after 30 days, cold after 90; nothing is deleted. */
void tiers_set_default(struct engine *engine)
{
	struct policy policy = {
		.name = "default", .warm_s = 30 * 86400, .cold_s = 90 * 86400, .delete_s = -1,
	};
	policy_install(engine->tiers, &policy);
}

void tiers_clear(struct engine *engine)
{
	struct list *policies = &engine->tiers->policies;
	while (!list_is_empty(policies)) {
		struct policy *policy = LIST_OF(policies->next, struct policy, link);
		list_remove(&policy->link);
		memory_free(&engine->memory.engine, policy, sizeof(*policy));
	}
}

enum err tiers_new(struct engine *engine)
{
	struct tiers *tiers = memory_zalloc(&engine->memory.engine, sizeof(*tiers));
	tiers->engine = engine;
	list_init(&tiers->policies);
	list_init(&tiers->queue);
	list_init(&tiers->active);
	list_init(&tiers->runs);
	list_init(&tiers->periodic.link);
	io_timer_init(&tiers->timer, periodic_fired, tiers);
	io_timer_init(&tiers->pace, pace_fired, tiers);
	engine->tiers = tiers;
	tiers_set_default(engine);
	return OK;
}

void tiers_opened(struct engine *engine)
{
	periodic_fired(&engine->tiers->timer);
}

void tiers_free(struct engine *engine)
{
	struct tiers *tiers = engine->tiers;
	if (tiers == NULL)
		return;
	io_timer_cancel(engine->io, &tiers->timer);
	io_timer_cancel(engine->io, &tiers->pace);
	while (!list_is_empty(&tiers->queue))
		move_end(LIST_OF(tiers->queue.next, struct tier_move, link), ERR_CANCELLED);
	tiers_clear(engine);
	memory_free(&engine->memory.engine, tiers, sizeof(*tiers));
	engine->tiers = NULL;
}
