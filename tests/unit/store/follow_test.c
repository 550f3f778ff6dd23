/* tests/unit/store/follow_test.c: one store's log, walked through and appended to another one. */
#include "tests/unit/store/owner.h"

#include "base/arith.h"
#include "base/random.h"
#include "store/follow.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const struct owner_options small = {.segment_bytes = 1 << 20, .spares = 8};

struct pipe {
	struct owner      *leader, *follower;
	struct store_walk *walk;
	bool               ready;
	struct record      record;            /* the one whose body is coming */
	uint8_t            key[64], meta[64];
	struct body       *body;
	uint64_t           records, position, body_bytes, last_lsn;
};

static void pipe_ready(void *ctx)
{
	((struct pipe *)ctx)->ready = true;
}

static void pipe_append(struct pipe *pipe, struct record *record)
{
	enum err err;
	record->sync = SYNC_ALWAYS;
	cr_assert_gt(record->lsn, pipe->last_lsn, "in order");
	pipe->last_lsn = record->lsn;
	while ((err = store_append_given(pipe->follower->store, record)) == ERR_OVERLOADED) {
		store_flush(pipe->follower->store);
		owner_wait(pipe->follower);
	}
	cr_assert_eq(err, OK, "%s: type %u, LSN %llu behind %llu, %zu bytes", err_name(err), record->type,
	    (unsigned long long)record->lsn,
	    (unsigned long long)store_last_lsn(pipe->follower->store),
	    record->body == NULL ? 0 : record->body->len);
	cr_assert_eq(store_last_lsn(pipe->follower->store), record->lsn);
	pipe->records++;
}

static void pipe_begin_body(struct pipe *pipe, const struct walk_item *item)
{
	pipe->record = item->record;
	memcpy(pipe->key, item->record.key.ptr, item->record.key.len);
	memcpy(pipe->meta, item->record.meta.ptr, item->record.meta.len);
	pipe->record.key.ptr = pipe->key;
	pipe->record.meta.ptr = pipe->meta;
	cr_assert_null(pipe->body);
	cr_assert_eq(body_new(pipe->follower->pool, (size_t)item->body_bytes, &pipe->body), OK);
}

static void pipe_body(struct pipe *pipe, const struct walk_item *item)
{
	struct body *body = pipe->body;
	cr_assert_eq(item->offset, body->filled);
	memcpy(body->ptr + body->filled, item->bytes.ptr, item->bytes.len);
	body_advance(body, item->bytes.len);
	pipe->body_bytes += item->bytes.len;
	if (!body_is_full(body))
		return;
	pipe->record.body = body;
	pipe_append(pipe, &pipe->record);
	body_unref(body);
	pipe->body = NULL;
}

static enum walk_step pipe_step(struct pipe *pipe, struct walk_item *item)
{
	pipe->ready = false;
	enum walk_step step = store_walk_next(pipe->walk, item);
	if (step == WALK_RECORD && item->body_bytes > 0)
		pipe_begin_body(pipe, item);
	else if (step == WALK_RECORD)
		pipe_append(pipe, &item->record);
	else if (step == WALK_BODY)
		pipe_body(pipe, item);
	cr_assert_neq(step, WALK_CORRUPT);
	while (step == WALK_WAIT && !pipe->ready)
		owner_wait(pipe->leader);
	return step;
}

/* All that is durable on the leader goes over. */
static void pipe_run(struct pipe *pipe)
{
	struct walk_item item;
	uint64_t until = store_durable_lsn(pipe->leader->store);
	while (pipe_step(pipe, &item) != WALK_POSITION || item.lsn < until)
		;
	pipe->position = item.lsn;
	owner_wait_durable(pipe->follower, pipe->last_lsn);
}

static void pipe_open(struct pipe *pipe, struct owner *leader, struct owner *follower)
{
	*pipe = (struct pipe){.leader = leader, .follower = follower};
	owner_init(leader);
	owner_init(follower);
	owner_start(leader, &small);
	owner_start(follower, &small);
	pipe->walk = store_walk_new(leader->store, pipe_ready, pipe);
	store_walk_seek(pipe->walk, 0);
}

/* After a restart the follower has all that the leader has. */
static void pipe_check(struct pipe *pipe)
{
	struct owner *leader = pipe->leader, *follower = pipe->follower;
	owner_stop(follower);
	owner_start(follower, &small);
	cr_assert_eq(store_last_lsn(follower->store), pipe->last_lsn);
	cr_assert(follower->in_order);
	for (int i = 0; i < OWNER_KEYS; i++) {
		const struct owner_key *key = &leader->keys[i];
		struct owner_key *copy = key->used ? owner_find(follower, key->key) : NULL;
		if (!key->used || (key->deleted && copy == NULL))
			continue;
		cr_assert_not_null(copy, "%s is missing", key->key);
		cr_assert_eq(copy->deleted, key->deleted);
		if (key->deleted)
			continue;
		cr_assert_eq(copy->lsn, key->lsn, "%s", key->key);
		copy->body_hash = key->body_hash;
		cr_assert_eq(owner_check(follower, key->key), OK);
	}
}

static void pipe_close(struct pipe *pipe)
{
	store_walk_free(pipe->walk);
	owner_stop(pipe->leader);
	owner_stop(pipe->follower);
	owner_fini(pipe->leader);
	owner_fini(pipe->follower);
}

static void put(struct owner *owner, const char *key, uint8_t type, size_t bytes)
{
	enum err err;
	while ((err = owner_put(owner, key, type, bytes, SYNC_ALWAYS)) == ERR_OVERLOADED ||
	    err == ERR_DISKFULL)
		owner_wait(owner);
	cr_assert_eq(err, OK);
}

static void write_some(struct owner *owner, struct random *random, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char key[32];
		size_t bytes = random_below(random, 200);
		uint64_t kind = random_below(random, 20);
		snprintf(key, sizeof(key), "k%u", (unsigned)random_below(random, 150));
		if (kind == 0)
			bytes = 600000 + random_below(random, 2000000);
		else if (kind < 6)
			bytes = random_below(random, 150000);
		if (kind > 16 && owner_find(owner, key) != NULL)
			cr_assert_eq(owner_delete(owner, key), OK);
		else
			put(owner, key, kind < 10 ? RECORD_IMAGE : RECORD_VALUE,
			    kind < 10 ? bytes : bytes % 16000);
		if (i % 8 == 0)
			owner_wait(owner);
	}
	owner_wait_durable(owner, store_last_lsn(owner->store));
}

Test(follow, another_store_becomes_the_same, .timeout = 120)
{
	static struct owner leader, follower;
	struct pipe pipe;
	struct random random;
	pipe_open(&pipe, &leader, &follower);
	random_init(&random, 7);
	for (unsigned round = 0; round < 4; round++) {
		write_some(&leader, &random, 120);
		pipe_run(&pipe);
		cr_assert_eq(pipe.position, store_durable_lsn(leader.store));
	}
	cr_assert_gt(pipe.body_bytes, 1000000);
	pipe_check(&pipe);
	pipe_close(&pipe);
}

Test(follow, a_body_of_many_segments_is_taken_whole_or_not_at_all, .timeout = 60)
{
	static struct owner leader, follower;
	struct pipe pipe;
	pipe_open(&pipe, &leader, &follower);
	while (owner_find(&leader, "long") == NULL) {
		enum err err = owner_put(&leader, "long", RECORD_IMAGE, 60 << 20, SYNC_ALWAYS);
		cr_assert(err == OK || (err == ERR_OVERLOADED && store_last_lsn(leader.store) == 0),
		    "%s behind LSN %llu", err_name(err), (unsigned long long)store_last_lsn(leader.store));
		for (int i = 0; i < 50; i++)
			owner_wait(&leader);          /* segments are made meanwhile */
	}
	owner_wait_durable(&leader, store_last_lsn(leader.store));
	pipe_run(&pipe);
	pipe_check(&pipe);
	pipe_close(&pipe);
}

/* One that stays, and that the owner does not know of. */
static void append_unknown(struct owner *owner, unsigned number, size_t meta_bytes)
{
	static const uint8_t meta[3000];
	char key[32];
	snprintf(key, sizeof(key), "u%u", number);
	struct record record = {.type = RECORD_VALUE, .sync = SYNC_ALWAYS, .key = span_text(key),
	    .meta = span_of(meta, meta_bytes)};
	enum err err;
	while ((err = store_append(owner->store, &record)) == ERR_OVERLOADED)
		owner_wait(owner);
	cr_assert_eq(err, OK);
}

static bool is_ready;

static void note_ready(void *ctx)
{
	UNUSED(ctx);
	is_ready = true;
}

/* A segment's footer reaches the disk while its blocks are looked through in memory. */
Test(follow, a_window_made_while_footers_are_written_has_every_record, .timeout = 120)
{
	static const struct owner_options options = {.segment_bytes = 4 << 20, .spares = 8};
	static struct owner owner;
	struct walk_item item;
	struct random random;
	unsigned count = 0;
	random_init(&random, 12);
	owner_init(&owner);
	owner.no_cleaner = true;              /* then all is told, known or not */
	owner_start(&owner, &options);
	struct store_walk *walk = store_walk_new(owner.store, note_ready, NULL);
	for (unsigned round = 0; round < 400; round++) {
		size_t meta_bytes = random_below(&random, 3) == 0 ? random_below(&random, 3000) : 0;
		for (uint64_t i = random_below(&random, 20000); i > 0; i--)
			append_unknown(&owner, count++, meta_bytes);
		uint64_t at = store_last_lsn(owner.store);
		at -= random_below(&random, min_u64(at, 60000));
		store_walk_seek(walk, at);
		for (enum walk_step step = WALK_WAIT; step != WALK_POSITION;) {
			is_ready = false;
			step = store_walk_next(walk, &item);
			if (step == WALK_RECORD)
				cr_assert_eq(item.lsn, ++at);
			while (step == WALK_WAIT && !is_ready)
				owner_wait(&owner);
		}
		cr_assert_eq(item.lsn, at);
	}
	store_walk_free(walk);
	owner_stop(&owner);
	owner_fini(&owner);
}

Test(follow, a_walk_from_the_middle_tells_only_what_came_later, .timeout = 60)
{
	static struct owner leader, follower;
	struct pipe pipe;
	pipe_open(&pipe, &leader, &follower);
	put(&leader, "a", RECORD_IMAGE, 100000);
	put(&leader, "b", RECORD_VALUE, 10);
	put(&leader, "c", RECORD_VALUE, 10);
	owner_wait_durable(&leader, 3);
	store_walk_seek(pipe.walk, 2);
	pipe_run(&pipe);
	cr_assert_eq(pipe.records, 1);
	cr_assert_eq(pipe.last_lsn, 3);
	owner_stop(&follower);
	owner_start(&follower, &small);
	cr_assert_eq(follower.recovered, 1, "a gap at the start is no torn tail");
	pipe_close(&pipe);
}

Test(follow, what_is_dead_is_not_sent, .timeout = 60)
{
	static struct owner leader, follower;
	struct pipe pipe;
	pipe_open(&pipe, &leader, &follower);
	for (unsigned i = 0; i < 20; i++)
		put(&leader, "same", RECORD_IMAGE, 50000);
	owner_wait_durable(&leader, 20);
	pipe_run(&pipe);
	cr_assert_eq(pipe.records, 1);
	cr_assert_eq(pipe.body_bytes, 50000);
	pipe_check(&pipe);
	pipe_close(&pipe);
}

Test(follow, a_skip_voids_what_a_predecessor_wrote, .timeout = 60)
{
	static struct owner leader, follower;
	struct pipe pipe;
	pipe_open(&pipe, &leader, &follower);
	put(&leader, "a", RECORD_VALUE, 10);
	owner_wait_durable(&leader, 1);
	pipe_run(&pipe);
	/* The follower had more of its own: it was the leader before. */
	struct record stray = {.type = RECORD_VALUE, .key = SPAN_LIT("stray"), .meta = SPAN_LIT("m"),
	    .value = SPAN_LIT("lost"), .lsn = 2, .sync = SYNC_ALWAYS};
	cr_assert_eq(store_append_given(follower.store, &stray), OK);
	owner_wait_durable(&follower, 2);
	cr_assert_eq(store_skip(leader.store, 2, 1000), OK);
	put(&leader, "b", RECORD_VALUE, 10);
	cr_assert_eq(owner_find(&leader, "b")->lsn, 1002);
	owner_wait_durable(&leader, 1002);
	struct record skip = {.type = RECORD_VOID, .lsn = 1001, .refers = 2, .sync = SYNC_ALWAYS};
	cr_assert_eq(store_append_given(follower.store, &skip), OK);
	owner_wait_durable(&follower, 1001);
	owner_stop(&follower);
	owner_start(&follower, &small);
	cr_assert_null(owner_find(&follower, "stray"));
	cr_assert_not_null(owner_find(&follower, "a"));
	pipe.last_lsn = 1001;
	store_walk_seek(pipe.walk, 1001);
	pipe_run(&pipe);
	pipe_check(&pipe);
	store_walk_free(pipe.walk);
	owner_stop(&leader);
	owner_start(&leader, &small);
	cr_assert_eq(store_last_lsn(leader.store), 1002);
	pipe.walk = store_walk_new(leader.store, pipe_ready, &pipe);
	pipe_close(&pipe);
}

Test(follow, lsns_may_be_left_out_and_nothing_is_void, .timeout = 60)
{
	static struct owner leader, follower;
	struct pipe pipe;
	pipe_open(&pipe, &leader, &follower);
	put(&leader, "a", RECORD_VALUE, 10);
	cr_assert_eq(store_leave_out(leader.store, 1000), OK);
	put(&leader, "b", RECORD_VALUE, 10);
	cr_assert_eq(owner_find(&leader, "b")->lsn, 1002);
	owner_wait_durable(&leader, 1002);
	pipe_run(&pipe);
	cr_assert_eq(pipe.records, 2);
	pipe_check(&pipe);
	store_walk_free(pipe.walk);
	owner_stop(&leader);
	owner_start(&leader, &small);
	cr_assert_eq(store_last_lsn(leader.store), 1002);
	cr_assert_not_null(owner_find(&leader, "a"));
	pipe.walk = store_walk_new(leader.store, pipe_ready, &pipe);
	pipe_close(&pipe);
}

/* One bit of the record, in its header. */
static void flip_header(struct owner *owner, const char *key)
{
	const struct place place = owner_find(owner, key)->place;
	char path[400];
	uint8_t byte;
	off_t at = (off_t)place.offset * RECORD_ALIGN + 9;
	snprintf(path, sizeof(path), "%s/hot-%08x.seg", owner->dir[0], place.segment);
	int fd = open(path, O_RDWR);
	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 4;
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

Test(follow, a_walk_goes_on_behind_what_cannot_be_read_and_says_so_once, .timeout = 60)
{
	static struct owner leader, follower;
	struct pipe pipe;
	struct walk_item item;
	unsigned corrupt = 0, records = 0;
	enum walk_step step;
	pipe_open(&pipe, &leader, &follower);
	for (const char *key = "abcd"; *key != 0; key++) {
		char name[2] = {*key};
		put(&leader, name, RECORD_VALUE, 10);
		owner_wait_durable(&leader, store_last_lsn(leader.store));
	}
	store_walk_free(pipe.walk);
	owner_stop(&leader);
	owner_start(&leader, &small);         /* its segment is read from the disk now */
	flip_header(&leader, "b");
	pipe.walk = store_walk_new(leader.store, pipe_ready, &pipe);
	for (int round = 0; round < 2; round++) {
		store_walk_seek(pipe.walk, 0);
		while ((step = store_walk_next(pipe.walk, &item)) != WALK_POSITION) {
			corrupt += step == WALK_CORRUPT;
			records += step == WALK_RECORD;
			if (step == WALK_WAIT)
				owner_wait(&leader);
		}
		cr_assert_eq(item.lsn, 4);
	}
	cr_assert_eq(corrupt, 1);
	cr_assert_eq(records, 6, "%u", records);
	pipe_close(&pipe);
}

Test(follow, an_lsn_is_not_given_twice, .timeout = 60)
{
	static struct owner leader, follower;
	struct pipe pipe;
	pipe_open(&pipe, &leader, &follower);
	struct record record = {.type = RECORD_VALUE, .key = SPAN_LIT("k"), .meta = SPAN_LIT("m"),
	    .value = SPAN_LIT("v"), .lsn = 7, .sync = SYNC_ALWAYS};
	cr_assert_eq(store_append_given(follower.store, &record), OK);
	cr_assert_eq(store_append_given(follower.store, &record), ERR_INVALID);
	record.lsn = 3;
	cr_assert_eq(store_append_given(follower.store, &record), ERR_INVALID);
	owner_wait_durable(&follower, 7);
	pipe_close(&pipe);
}
