/* tests/unit/store/store_test.c: the store on the real back end. */
#include "tests/unit/store/owner.h"

#include "base/random.h"

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
			size_t bytes = random_below(&random, 10) == 0 ? random_below(&random, 200000)
			                                              : random_below(&random, 20000);
			uint8_t type = random_below(&random, 2) ? RECORD_IMAGE : RECORD_VALUE;
			enum err err = ERR_OVERLOADED;
			while (err == ERR_OVERLOADED) {
				if (random_below(&random, 10) == 0 && owner_find(&owner, key) != NULL)
					err = owner_delete(&owner, key);
				else
					err = owner_put(&owner, key, type, bytes, random_below(&random, 3) & 3);
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
