/* tests/unit/store/store_test.c: the store on the real back end. */
#include "tests/unit/store/owner.h"

#include "base/crc32c.h"
#include "base/endian.h"
#include "base/random.h"
#include "store/block.h"
#include "store/extend.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct owner_options small = {.segment_bytes = 1 << 20, .spares = 4};

Test(store, record_is_read_back_after_a_restart, .timeout = 60)
{
	static struct owner owner;
	owner_init(&owner);
	owner_start(&owner, &small);
	cr_assert_eq(owner.opened, OK);
	cr_assert_eq(owner_put(&owner, "a", RECORD_IMAGE, 100000, SYNC_ALWAYS), OK);
	cr_assert_eq(owner_put(&owner, "b", RECORD_VALUE, 300, SYNC_ALWAYS), OK);
	cr_assert_eq(owner_put(&owner, "c", RECORD_VALUE, 40000, SYNC_ALWAYS), OK);
	cr_assert_eq(owner_put(&owner, "d", RECORD_IMAGE, 0, SYNC_ALWAYS), OK);
	owner_wait_durable(&owner, 4);
	cr_assert_eq(owner_check(&owner, "a"), OK);
	cr_assert_eq(owner_check(&owner, "d"), OK);
	struct owner_key before[4];
	memcpy(before, owner.keys, sizeof(before));
	owner_stop(&owner);
	owner_start(&owner, &small);
	cr_assert_eq(owner.recovered, 4);
	cr_assert(owner.in_order);
	for (int i = 0; i < 4; i++) {
		struct owner_key *now = owner_find(&owner, before[i].key);
		cr_assert_eq(now->lsn, before[i].lsn);
		cr_assert_eq(now->body_bytes, before[i].body_bytes);
		if (now->type == RECORD_VALUE)
			cr_assert_eq(now->body_hash, before[i].body_hash);
		now->body_hash = before[i].body_hash;
		cr_assert_eq(owner_check(&owner, before[i].key), OK);
	}
	owner_stop(&owner);
	owner_fini(&owner);
}

Test(store, works_on_the_epoll_back_end, .timeout = 60)
{
	static struct owner owner;
	const struct io_options epoll = {.backend = IO_EPOLL};
	owner_init(&owner);
	for (int round = 0; round < 2; round++) {
		cr_assert_eq(io_new(&owner.io, &epoll), OK);
		owner_start(&owner, &small);
		cr_assert_eq(owner.recovered, (uint64_t)round);
		cr_assert_eq(
		    owner_put(&owner, round == 0 ? "a" : "b", RECORD_IMAGE, 50000, SYNC_ALWAYS),
		    OK);
		owner_wait_durable(&owner, store_last_lsn(owner.store));
		cr_assert_eq(owner_check(&owner, round == 0 ? "a" : "b"), OK);
		owner_stop(&owner);
	}
	owner_fini(&owner);
}

static void overwrite(const struct owner *owner, const char *name, long at, struct span bytes)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", owner->dir[0], name);
	FILE *file = fopen(path, "r+b");
	cr_assert_not_null(file);
	cr_assert_eq(fseek(file, at, SEEK_SET), 0);
	cr_assert_eq(fwrite(bytes.ptr, 1, bytes.len, file), bytes.len);
	cr_assert_eq(fclose(file), 0);
}

static enum err open_once(struct owner *owner)
{
	static const struct store_events none = {0};
	const struct io_options io_options = {0};
	const struct body_pool_options pool_options = {.bytes = 1 << 20};
	struct io *io;
	struct body_pool *pool;
	struct store *store;
	cr_assert_eq(io_new(&io, &io_options), OK);
	cr_assert_eq(body_pool_new(io, &pool_options, &pool), OK);
	const struct store_options options = {
		.dir = {owner->dir[0]}, .memory = &owner->memory, .pool = pool, .log = &owner->log,
	};
	cr_assert_eq(store_new(io, &options, &none, NULL, &store), OK);
	enum err err = store_open(store);
	store_free(store);
	body_pool_free(pool);
	io_free(io);
	return err;
}

Test(store, newer_or_damaged_identity_is_refused, .timeout = 60)
{
	static struct owner owner;
	uint8_t bytes[STORE_FILE_BYTES];
	const struct store_id id = {{9}};
	owner_init(&owner);
	owner_start(&owner, &small);
	owner_stop(&owner);
	store_file_write(bytes, &id);
	store_le32(bytes + 8, STORE_VERSION + 1);
	store_le32(bytes + 60, crc32c(0, span_of(bytes, 60)));
	overwrite(&owner, "store", 0, span_of(bytes, sizeof(bytes)));
	cr_assert_eq(open_once(&owner), ERR_VERSION);
	overwrite(&owner, "store", 20, SPAN_LIT("x"));
	cr_assert_eq(open_once(&owner), ERR_CORRUPT);
	owner_fini(&owner);
}

Test(store, identity_to_which_no_segment_belongs_is_refused, .timeout = 60)
{
	static struct owner owner;
	uint8_t bytes[STORE_FILE_BYTES];
	const struct store_id id = {{9}};
	owner_init(&owner);
	owner_start(&owner, &small);
	cr_assert_eq(owner_put(&owner, "a", RECORD_IMAGE, 100, SYNC_ALWAYS), OK);
	owner_stop(&owner);
	store_file_write(bytes, &id);
	overwrite(&owner, "store", 0, span_of(bytes, sizeof(bytes)));
	owner_start(&owner, &small);
	cr_assert_eq(owner.opened, ERR_CORRUPT);
	cr_assert_eq(owner.recovered, 0);
	store_free(owner.store);
	body_pool_free(owner.pool);
	io_free(owner.io);
	owner_fini(&owner);
}

Test(store, many_records_over_many_segments_survive_restarts, .timeout = 120)
{
	static struct owner owner;
	static struct owner_key before[OWNER_KEYS];
	owner_init(&owner);
	struct random random;
	random_init(&random, 1);
	for (int round = 0; round < 4; round++) {
		owner_start(&owner, &small);
		for (int i = 0; round > 0 && i < OWNER_KEYS; i++) {
			struct owner_key *now = &owner.keys[i];
			if (!now->used || now->deleted)
				continue;
			for (int j = 0; j < OWNER_KEYS; j++) {
				if (strcmp(before[j].key, now->key) == 0) {
					cr_assert_eq(now->lsn, before[j].lsn);
					now->body_hash = before[j].body_hash;
				}
			}
			cr_assert_eq(owner_check(&owner, now->key), OK);
		}
		for (int i = 0; i < 400; i++) {
			char key[16];
			snprintf(key, sizeof(key), "k%u", (unsigned)random_below(&random, 200));
			size_t bytes = random_below(&random, 10) == 0
			    ? random_below(&random, 200000)
			    : random_below(&random, 20000);
			uint8_t type = random_below(&random, 2) ? RECORD_IMAGE : RECORD_VALUE;
			enum err err = ERR_OVERLOADED;
			while (err == ERR_OVERLOADED) {
				if (random_below(&random, 10) == 0 &&
				    owner_find(&owner, key) != NULL)
					err = owner_delete(&owner, key);
				else
					err = owner_put(
					    &owner, key, type, bytes, random_below(&random, 3) & 3);
				store_flush(owner.store);
				if (err == ERR_OVERLOADED || random_below(&random, 4) == 0)
					owner_wait(&owner);
			}
			cr_assert_eq(err, OK);
		}
		memcpy(before, owner.keys, sizeof(before));
		owner_stop(&owner);
	}
	owner_fini(&owner);
}

/* The last record of the open batch grows; any other, one that is long, one of a group do not. */
Test(store, the_last_record_of_the_open_batch_grows, .timeout = 60)
{
	static struct owner owner;
	static uint8_t bytes[BODY_INLINE_MAX], all[BODY_INLINE_MAX];
	struct random random;
	uint64_t lsns[40];
	size_t lens[40];
	owner_init(&owner);
	owner_start(&owner, &small);
	random_init(&random, 3);
	for (unsigned i = 0; i < 40; i++) {
		char key[16];
		size_t len = 1 + (size_t)random_below(&random, 90), grown = 0;
		struct place place;
		memset(bytes, (int)i + 1, sizeof(bytes));
		struct record record = {.type = RECORD_VALUE, .key = span_of(key, (size_t)snprintf(key, 16, "k%u", i)),
		    .value = span_of(bytes, len), .sync = i % 2 ? SYNC_ALWAYS : SYNC_NO};
		cr_assert_eq(store_append(owner.store, &record), OK);
		place = record.place;
		for (unsigned k = 0; k < i; k++) {
			size_t more = 1 + (size_t)random_below(&random, 40);
			uint32_t before = place.bytes;
			cr_assert(store_extend(owner.store, record.lsn, span_of(bytes, more), &place));
			cr_assert_eq(place.bytes, before + more);
			cr_assert_eq(place.offset, record.place.offset);
			grown += more;
		}
		lsns[i] = record.lsn;
		lens[i] = len + grown;
		cr_assert(i == 0 || !store_extend(owner.store, lsns[i - 1], span_of(bytes, 1), &place));
		cr_assert(!store_extend(owner.store, record.lsn, span_of(all, sizeof(all)), &place));
	}
	owner_wait_durable(&owner, lsns[39]);
	struct place place;
	cr_assert(!store_extend(owner.store, lsns[39], span_of(bytes, 1), &place));
	owner_stop(&owner);
	owner_start(&owner, &small);
	cr_assert_eq(owner.recovered, 40);
	for (unsigned i = 0; i < 40; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%u", i);
		memset(all, (int)i + 1, lens[i]);
		struct owner_key *now = owner_find(&owner, key);
		cr_assert_eq(now->lsn, lsns[i]);
		cr_assert_eq(now->body_bytes, lens[i]);
		cr_assert_eq(now->body_hash, XXH3_64bits(all, lens[i]));
		cr_assert_eq(owner_check(&owner, key), OK);
	}
	owner_stop(&owner);
	owner_fini(&owner);
}
