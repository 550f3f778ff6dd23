/* tests/unit/store/owner.c: see owner.h. */
#include "tests/unit/store/owner.h"

#include "base/random.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void owner_sink(void *ctx, enum log_level level, struct span text)
{
	UNUSED(ctx);
	UNUSED(level);
	if (getenv("OWNER_LOG") != NULL)
		fprintf(stderr, "%.*s\n", (int)text.len, (const char *)text.ptr);
}

void owner_init_sim(struct owner *owner)
{
	memset(owner, 0, sizeof(*owner));
	owner->log.sink = owner_sink;
	owner->log.level = LOG_VERBOSE;
}

void owner_init(struct owner *owner)
{
	owner_init_sim(owner);
	for (int i = 0; i < 2; i++) {
		snprintf(owner->dir[i], sizeof(owner->dir[i]), "/tmp/tintype-store-XXXXXX");
		cr_assert_not_null(mkdtemp(owner->dir[i]));
	}
}

void owner_fini(struct owner *owner)
{
	for (int i = 0; i < 2 && owner->dir[0][1] == 't'; i++) {
		char command[256];
		snprintf(command, sizeof(command), "rm -r %s", owner->dir[i]);
		cr_assert_eq(system(command), 0);
	}
	cr_assert_eq(
	    owner->memory.bytes, 0, "%llu bytes leaked", (unsigned long long)owner->memory.bytes);
}

struct owner_key *owner_find(struct owner *owner, const char *key)
{
	for (int i = 0; i < OWNER_KEYS; i++) {
		if (owner->keys[i].used && strcmp(owner->keys[i].key, key) == 0)
			return &owner->keys[i];
	}
	return NULL;
}

static struct owner_key *owner_slot(struct owner *owner, struct span key)
{
	char text[32];
	snprintf(text, sizeof(text), "%.*s", (int)key.len, (const char *)key.ptr);
	struct owner_key *found = owner_find(owner, text);
	if (found != NULL)
		return found;
	for (int i = 0; i < OWNER_KEYS; i++) {
		if (owner->keys[i].used)
			continue;
		owner->keys[i].used = true;
		memcpy(owner->keys[i].key, text, sizeof(text));
		return &owner->keys[i];
	}
	cr_assert(false, "too many keys");
	return NULL;
}

static void owner_apply(struct owner *owner, const struct record *record, uint64_t hash,
    uint64_t body_bytes)
{
	struct owner_key *key = owner_slot(owner, record->key);
	if (key->place.segment != 0)
		store_release(owner->store, key->place);
	key->lsn = record->lsn;
	key->type = record->type;
	key->place = record->place;
	key->deleted = record->type == RECORD_DELETE;
	key->body_hash = hash;
	key->body_bytes = body_bytes;
	snprintf(key->meta, sizeof(key->meta), "%.*s", (int)record->meta.len,
	    (const char *)record->meta.ptr);
}

static void owner_recovered(void *ctx, const struct record *record)
{
	struct owner *owner = ctx;
	uint64_t hash = 0, bytes = record->body_bytes;
	owner->in_order = owner->in_order && record->lsn > owner->last_recovered_lsn;
	owner->last_recovered_lsn = record->lsn;
	owner->recovered++;
	if (record->type == RECORD_VALUE || record->type == RECORD_SETTING) {
		struct span body = record->body != NULL ? body_span(record->body) : record->value;
		hash = XXH3_64bits(body.ptr, body.len);
		bytes = body.len;
	}
	owner_apply(owner, record, hash, bytes);
}

static void owner_opened(void *ctx, enum err err)
{
	struct owner *owner = ctx;
	owner->opened = err;
	owner->is_opened = true;
}

static void owner_durable(void *ctx, uint64_t lsn)
{
	struct owner *owner = ctx;
	cr_assert_geq(lsn, owner->durable);
	owner->durable = lsn;
}

static bool owner_relocated(void *ctx, const struct record *record, struct place from,
    struct place to)
{
	struct owner *owner = ctx;
	struct owner_key *key = owner_slot(owner, record->key);
	owner->relocated++;
	if (key->place.segment != from.segment || key->place.offset != from.offset)
		return false;
	cr_assert_eq(key->lsn, record->lsn);
	key->place = to;
	return true;
}

static enum liveness owner_is_live(void *ctx, const struct record *record)
{
	const struct owner_key *key = owner_slot(ctx, record->key);
	bool same = key->place.segment == record->place.segment &&
	    key->place.offset == record->place.offset;
	return same && record->place.segment != 0 ? RECORD_LIVES : RECORD_DEAD;
}

static void owner_corrupt(void *ctx, struct place place, const struct record *record)
{
	struct owner *owner = ctx;
	UNUSED(place);
	UNUSED(record);
	owner->corrupt++;
}

static void owner_state(void *ctx, enum err state)
{
	((struct owner *)ctx)->state = state;
}

void owner_wait(struct owner *owner)
{
	io_wait(owner->io, 10000);
}

void owner_start(struct owner *owner, const struct owner_options *options)
{
	const struct store_events events = {
		.recovered = owner_recovered,
		.opened = owner_opened,
		.durable = owner_durable,
		.relocated = owner_relocated,
		.corrupt = owner_corrupt,
		.state = owner_state,
		.is_live = owner->no_cleaner ? NULL : owner_is_live,
	};
	if (owner->io == NULL) {
		struct io_options io_options = {.log = &owner->log};
		cr_assert_eq(io_new(&owner->io, &io_options), OK);
	}
	struct body_pool_options pool_options = {.bytes = (options->read_only ? 8U : 64U) << 20};
	cr_assert_eq(body_pool_new(owner->io, &pool_options, &owner->pool), OK);
	struct store_options store_options = {
		.dir = {owner->dir[0], options->warm ? owner->dir[1] : NULL},
		.segment_bytes = options->segment_bytes,
		.spare_segments = options->spares,
		.disk_bytes_max = options->disk_bytes_max,
		.read_only = options->read_only,
		.batches_in_flight = 4,
		.batch_delay_ms = options->delay_ms == 0 ? 2 : options->delay_ms,
		.pool = owner->pool,
		.memory = &owner->memory,
		.log = &owner->log,
	};
	memset(owner->keys, 0, sizeof(owner->keys));
	owner->is_opened = owner->is_closed = false;
	owner->recovered = owner->corrupt = owner->durable = owner->last_recovered_lsn = 0;
	owner->state = OK;
	owner->in_order = true;
	cr_assert_eq(store_new(owner->io, &store_options, &events, owner, &owner->store), OK);
	cr_assert_eq(store_open(owner->store), OK);
	while (!owner->is_opened)
		owner_wait(owner);
}

void owner_use_sim(struct owner *owner, struct sim_disk *disk, uint64_t seed)
{
	cr_assert_null(owner->io);
	snprintf(owner->dir[0], sizeof(owner->dir[0]), "/hot");
	snprintf(owner->dir[1], sizeof(owner->dir[1]), "/warm");
	owner->io = sim_new(disk, seed, &owner->log);
}

void owner_power_cut(struct owner *owner, struct sim_disk *disk)
{
	sim_crash(disk);
	store_abandon(owner->store);
	body_pool_free(owner->pool);
	sim_io_abandon(owner->io);
	owner->store = NULL;
	owner->io = NULL;
}

static void owner_closed(void *ctx)
{
	((struct owner *)ctx)->is_closed = true;
}

void owner_stop(struct owner *owner)
{
	store_close(owner->store, owner_closed);
	while (!owner->is_closed)
		owner_wait(owner);
	store_free(owner->store);
	body_pool_free(owner->pool);
	owner->store = NULL;
	io_free(owner->io);
	owner->io = NULL;
}

void owner_wait_durable(struct owner *owner, uint64_t lsn)
{
	store_flush(owner->store);
	while (store_written_lsn(owner->store) < lsn)
		owner_wait(owner);
}

enum err owner_put(struct owner *owner, const char *key, uint8_t type, size_t bytes, uint8_t sync)
{
	struct body *body = NULL;
	char meta[64];
	struct record record = {.type = type, .sync = sync, .key = span_text(key)};
	snprintf(meta, sizeof(meta), "meta of %s, %zu", key, bytes);
	record.meta = span_text(meta);
	uint64_t hash = 0;
	if (bytes > 0) {
		if (body_new(owner->pool, bytes, &body) != OK)
			return ERR_OVERLOADED;
		struct random random;
		random_init(&random, store_last_lsn(owner->store) + bytes);
		for (size_t i = 0; i < bytes; i++)
			body->ptr[i] = i % 8 == 0 ? random_next(&random) & 255
			                          : (body->ptr[i - 1] * 7U + 1) & 255;
		body_advance(body, bytes);
		hash = XXH3_64bits(body->ptr, bytes);
		record.body = body;
	}
	enum err err = store_append(owner->store, &record);
	body_unref(body);
	if (err == OK)
		owner_apply(owner, &record, hash, bytes);
	return err;
}

enum err owner_delete(struct owner *owner, const char *key)
{
	struct record record = {.type = RECORD_DELETE, .sync = SYNC_ALWAYS, .key = span_text(key)};
	enum err err = store_append(owner->store, &record);
	if (err == OK)
		owner_apply(owner, &record, 0, 0);
	return err;
}

struct owner_wait_state {
	bool     done;
	enum err err;
};

static void owner_read_done(struct store_read *read, enum err err)
{
	struct owner_wait_state *state = read->ctx;
	state->done = true;
	state->err = err;
}

enum err owner_check(struct owner *owner, const char *name)
{
	const struct owner_key *key = owner_find(owner, name);
	cr_assert_not_null(key);
	cr_assert(!key->deleted);
	struct owner_wait_state state = {0};
	struct store_read read = {
		.done = owner_read_done, .ctx = &state, .place = key->place, .lsn = key->lsn,
	};
	store_read_start(owner->store, &read);
	cr_assert(!state.done);
	while (!state.done)
		owner_wait(owner);
	if (state.err == OK) {
		cr_assert_eq(read.record.type, key->type);
		cr_assert(span_equal(read.record.key, span_text(name)));
		cr_assert(span_equal(read.record.meta, span_text(key->meta)));
		if (key->body_bytes > 0) {
			cr_assert_eq(read.record.body->len, key->body_bytes);
			if (key->body_hash != 0)
				cr_assert_eq(XXH3_64bits(read.record.body->ptr, key->body_bytes),
				    key->body_hash);
		} else {
			cr_assert_null(read.record.body);
		}
	}
	store_read_fini(&read);
	return state.err;
}

enum err owner_check_meta(struct owner *owner, const char *name)
{
	const struct owner_key *key = owner_find(owner, name);
	struct owner_wait_state state = {0};
	struct store_read read = {
		.done = owner_read_done, .ctx = &state, .place = key->place, .lsn = key->lsn,
		.meta_only = true,
	};
	store_read_start(owner->store, &read);
	while (!state.done)
		owner_wait(owner);
	if (state.err == OK) {
		cr_assert(span_equal(read.record.meta, span_text(key->meta)));
		cr_assert_eq(read.record.body_bytes, key->body_bytes);
		cr_assert_null(read.record.body);
	}
	store_read_fini(&read);
	return state.err;
}

static void owner_move_done(struct store_move *move, enum err err)
{
	struct owner_wait_state *state = move->ctx;
	state->done = true;
	state->err = err;
}

enum err owner_move(struct owner *owner, const char *name, enum tier tier)
{
	const struct owner_key *key = owner_find(owner, name);
	cr_assert_not_null(key);
	struct owner_wait_state state = {0};
	struct store_move move = {.done = owner_move_done, .ctx = &state, .tier = tier};
	store_move_start(owner->store, &move, key->place, key->lsn);
	while (!state.done)
		owner_wait(owner);
	return state.err;
}

struct store_stats owner_stats(const struct owner *owner)
{
	struct store_stats stats;
	store_get_stats(owner->store, &stats);
	return stats;
}
