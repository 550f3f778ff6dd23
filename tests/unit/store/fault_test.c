/* tests/unit/store/fault_test.c: what the store does when the disk does not. */
#include "tests/unit/store/owner.h"

#include "store/extend.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct owner_options small = {.segment_bytes = 1 << 20, .spares = 4};
static const struct owner_options two_tiers = {.segment_bytes = 1 << 20, .spares = 4, .warm = true};

static struct owner owner;
static struct sim_disk *disk;

static void setup(void)
{
	owner_init_sim(&owner);
	disk = sim_disk_new(1);
}

static void power_on(const struct owner_options *options)
{
	owner_use_sim(&owner, disk, 1);
	owner_start(&owner, options);
}

static void teardown(void)
{
	owner_stop(&owner);
	owner_fini(&owner);
	sim_disk_free(disk);
}

static void put(const char *key, size_t bytes)
{
	enum err err = owner_put(&owner, key, RECORD_IMAGE, bytes, SYNC_ALWAYS);
	while (err == ERR_OVERLOADED) {
		owner_wait(&owner);
		err = owner_put(&owner, key, RECORD_IMAGE, bytes, SYNC_ALWAYS);
	}
	cr_assert_eq(err, OK, "%s", err_name(err));
	owner_wait_durable(&owner, store_last_lsn(owner.store));
}

static void wait_seconds(unsigned seconds)
{
	uint64_t until = io_now_us(owner.io) + seconds * 1000000ULL;
	while (io_now_us(owner.io) < until)
		owner_wait(&owner);
}

/* Keeps what the model knew about bodies across a restart. */
static void restart(const struct owner_options *options)
{
	static struct owner_key before[OWNER_KEYS];
	memcpy(before, owner.keys, sizeof(before));
	power_on(options);
	for (int i = 0; i < OWNER_KEYS && owner.keys[i].used; i++) {
		for (int j = 0; j < OWNER_KEYS && before[j].used; j++) {
			if (strcmp(before[j].key, owner.keys[i].key) != 0)
				continue;
			cr_assert_eq(before[j].lsn, owner.keys[i].lsn);
			owner.keys[i].body_hash = before[j].body_hash;
		}
	}
}

Test(fault, write_error_moves_the_batch_to_a_fresh_segment, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("a", 5000);
	wait_seconds(2);
	uint32_t segment = owner_find(&owner, "a")->place.segment;
	sim_fail_call(disk, SIM_WRITE_EIO, 1);
	put("b", 50000);
	cr_assert_neq(owner_find(&owner, "b")->place.segment, segment);
	cr_assert_eq(owner.relocated, 1);
	cr_assert_eq(owner_stats(&owner).write_errors, 1);
	cr_assert_eq(store_state(owner.store), OK);
	cr_assert_eq(owner_check(&owner, "a"), OK);
	cr_assert_eq(owner_check(&owner, "b"), OK);
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_eq(owner.recovered, 2);
	cr_assert_eq(owner.corrupt, 0);
	cr_assert_eq(owner_check(&owner, "b"), OK);
}

/* They only make later writes cheaper, but a disk that fails is said all the same. */
Test(fault, failed_write_of_zeros_is_counted, .init = setup, .fini = teardown, .timeout = 60)
{
	power_on(&small);
	sim_fail_call(disk, SIM_WRITE_EIO, 1);
	for (int i = 0; i < 100 && owner_stats(&owner).write_errors == 0; i++)
		io_wait(owner.io, 1000);
	cr_assert_eq(owner_stats(&owner).write_errors, 1);
	put("a", 5000);
	cr_assert_eq(owner.relocated, 0);
	cr_assert_eq(store_state(owner.store), OK);
	cr_assert_eq(owner_check(&owner, "a"), OK);
}

/* Once a second the log says what is durable: a batch with no record in it. */
Test(fault, segment_in_which_only_a_mark_failed_takes_no_more_records, .init = setup,
    .fini = teardown, .timeout = 60)
{
	power_on(&small);
	wait_seconds(2);
	put("a", 5000);
	uint32_t segment = owner_find(&owner, "a")->place.segment;
	for (int i = 0; i < 100; i++)
		io_wait(owner.io, 1000);      /* the next spare is made */
	sim_fail_call(disk, SIM_WRITE_EIO, 1);
	wait_seconds(2);
	cr_assert_eq(owner_stats(&owner).write_errors, 1);
	for (int i = 0; i < 40; i++) {
		char key[8];
		snprintf(key, sizeof(key), "k%d", i);
		put(key, 50000);
		cr_assert_neq(owner_find(&owner, key)->place.segment, segment);
	}
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_eq(owner.recovered, 41);
	cr_assert_eq(owner.corrupt, 0);
	cr_assert_eq(owner_check(&owner, "a"), OK);
}

/* Where a failed segment ends is told by later ones of its stream, however many of them come and
 * go. */
Test(fault, segment_that_failed_long_ago_is_not_called_corrupt, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("a", 5000);
	put("b", 200);
	wait_seconds(2);
	sim_fail_call(disk, SIM_WRITE_EIO, 1);
	put("c", 50000);
	for (int i = 0; i < 200; i++) {       /* segments are filled and die */
		put("c", 60000);
		if (i % 20 == 0)
			wait_seconds(2);
	}
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_eq(owner.corrupt, 0);
	cr_assert_eq(owner_check(&owner, "a"), OK);
	cr_assert_eq(owner_check(&owner, "c"), OK);
}

Test(fault, failed_sync_acknowledges_nothing_from_that_segment, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("a", 5000);
	wait_seconds(2);                      /* spares are made: no other sync is struck */
	cr_assert_eq(owner_put(&owner, "b", RECORD_VALUE, 700, SYNC_EVERYSEC), OK);
	uint64_t lsn = store_last_lsn(owner.store);
	for (int i = 0; i < 20; i++)
		io_wait(owner.io, 1000);              /* it is written, but not yet synced */
	sim_fail_call(disk, SIM_SYNC_EIO, 1);
	while (store_durable_lsn(owner.store) < lsn)
		owner_wait(&owner);
	cr_assert_eq(sim_fault_count(disk, SIM_SYNC_EIO), 1);
	cr_assert_eq(owner.relocated, 1);
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_eq(owner.recovered, 2);
	cr_assert_eq(owner_check(&owner, "b"), OK);
}

Test(fault, second_write_error_makes_the_store_read_only, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("a", 5000);
	wait_seconds(2);
	struct sim_faults faults = {.chance_ppm[SIM_WRITE_EIO] = 1000000};
	sim_set_faults(disk, &faults);
	cr_assert_eq(owner_put(&owner, "b", RECORD_IMAGE, 100, SYNC_ALWAYS), OK);
	uint64_t lsn = store_last_lsn(owner.store);
	store_flush(owner.store);
	while (owner.state != ERR_READONLY)
		owner_wait(&owner);
	cr_assert_lt(owner.durable, lsn, "it was never acknowledged");
	cr_assert_eq(owner_put(&owner, "c", RECORD_IMAGE, 100, SYNC_ALWAYS), ERR_READONLY);
	faults = (struct sim_faults){0};
	sim_set_faults(disk, &faults);
	cr_assert_eq(owner_check(&owner, "a"), OK, "reads go on");
}

/* The second home is read back before anything is acknowledged. */
Test(fault, second_home_that_loses_the_write_makes_the_store_read_only, .init = setup,
    .fini = teardown, .timeout = 60)
{
	power_on(&small);
	put("a", 5000);
	wait_seconds(2);
	cr_assert_eq(owner_put(&owner, "b", RECORD_IMAGE, 30000, SYNC_ALWAYS), OK);
	uint64_t lsn = store_last_lsn(owner.store);
	sim_fail_call(disk, SIM_WRITE_EIO, 1);
	sim_fail_call(disk, SIM_WRITE_LOST, 1);       /* the one that failed does not count */
	store_flush(owner.store);
	for (int i = 0; i < 1000 && owner.state != ERR_READONLY; i++)
		owner_wait(&owner);
	cr_assert_eq(owner.state, ERR_READONLY);
	cr_assert_eq(sim_fault_count(disk, SIM_WRITE_LOST), 1);
	cr_assert_lt(owner.durable, lsn, "it was never acknowledged");
	cr_assert_eq(owner_check(&owner, "a"), OK, "reads go on");
}

Test(fault, short_write_moves_the_batch_to_a_fresh_segment, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("a", 5000);
	wait_seconds(2);
	uint32_t segment = owner_find(&owner, "a")->place.segment;
	sim_fail_call(disk, SIM_WRITE_SHORT, 1);
	put("b", 50000);
	cr_assert_eq(sim_fault_count(disk, SIM_WRITE_SHORT), 1);
	cr_assert_neq(owner_find(&owner, "b")->place.segment, segment);
	cr_assert_eq(store_state(owner.store), OK);
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_eq(owner.recovered, 2);
	cr_assert_eq(owner.corrupt, 0);
	cr_assert_eq(owner_check(&owner, "a"), OK);
	cr_assert_eq(owner_check(&owner, "b"), OK);
}

/* Whoever knows a record by its first home hears of the second one; until then it must not grow there. */
Test(fault, record_in_an_open_batch_that_moved_does_not_grow_behind_its_owner, .init = setup,
    .fini = teardown, .timeout = 60)
{
	power_on(&small);
	put("a", 5000);
	wait_seconds(2);
	sim_fail_call(disk, SIM_WRITE_EIO, 1);
	cr_assert_eq(owner_put(&owner, "b", RECORD_VALUE, 700, SYNC_ALWAYS), OK);
	store_flush(owner.store);
	cr_assert_eq(owner_put(&owner, "c", RECORD_VALUE, 100, SYNC_NO), OK);
	struct owner_key *key = owner_find(&owner, "c");
	const uint32_t segment = key->place.segment;
	unsigned grown = 0, refused = 0;
	while (key->place.segment == segment) {
		struct place place;
		bool longer = store_extend(owner.store, key->lsn, SPAN_LIT("x"), &place);
		cr_assert(!longer || place.segment == key->place.segment);
		if (longer)
			key->place = place;
		grown += longer;
		refused += !longer;
		io_wait(owner.io, 10);
	}
	cr_assert_eq(sim_fault_count(disk, SIM_WRITE_EIO), 1);
	cr_assert(grown > 0 && refused > 0);
	owner_wait_durable(&owner, store_last_lsn(owner.store));
	cr_assert_eq(owner.relocated, 2);
	cr_assert_eq(owner_stats(&owner).tier[TIER_HOT].live_bytes,
	    owner_find(&owner, "a")->place.bytes + owner_find(&owner, "b")->place.bytes +
	        key->place.bytes);
}

/* The disk says that it wrote, and what lies there is whole, but of another time or place. */
static void is_never_served(enum sim_fault fault)
{
	power_on(&small);
	put("a", 5000);
	wait_seconds(2);
	sim_fail_call(disk, fault, 1);
	put("b", 50000);
	cr_assert_eq(sim_fault_count(disk, fault), 1);
	put("c", 3000);
	cr_assert_eq(owner_check(&owner, "b"), ERR_CORRUPT);
	cr_assert_eq(owner_check(&owner, "c"), OK);
	wait_seconds(2);
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_gt(owner.corrupt, 0, "an acknowledged record is missing");
	cr_assert_null(owner_find(&owner, "b"));
	cr_assert_eq(owner_check(&owner, "c"), OK);
}

Test(fault, lost_write_is_corrupt_for_that_key_alone, .init = setup, .fini = teardown, .timeout = 60)
{
	is_never_served(SIM_WRITE_LOST);
}

Test(fault, misdirected_write_is_corrupt_for_that_key_alone, .init = setup, .fini = teardown,
    .timeout = 60)
{
	is_never_served(SIM_WRITE_MISDIRECTED);
}

Test(fault, full_disk_refuses_images_takes_deletes_and_clears, .init = setup, .fini = teardown,
    .timeout = 60)
{
	struct owner_options limited = small;
	limited.disk_bytes_max = 8 << 20;
	power_on(&limited);
	char key[16];
	enum err err = OK;
	int count = 0;
	for (; count < 200 && err == OK; count++) {
		snprintf(key, sizeof(key), "k%d", count);
		err = owner_put(&owner, key, RECORD_IMAGE, 100000, SYNC_ALWAYS);
		for (int tries = 0; err == ERR_OVERLOADED && tries < 1000; tries++) {
			owner_wait(&owner);
			err = owner_put(&owner, key, RECORD_IMAGE, 100000, SYNC_ALWAYS);
		}
		store_flush(owner.store);
		owner_wait(&owner);
	}
	cr_assert_eq(err, ERR_DISKFULL);
	cr_assert_eq(owner.state, ERR_DISKFULL);
	cr_assert_gt(count, 30);        /* all but the reserve */
	for (int i = 0; i < count - 1; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		cr_assert_eq(owner_delete(&owner, key), OK);
	}
	owner_wait_durable(&owner, store_last_lsn(owner.store));
	for (int tries = 0; owner.state != OK && tries < 1000; tries++)
		owner_wait(&owner);
	cr_assert_eq(owner.state, OK, "it clears by itself");
	put("again", 100000);
	cr_assert_eq(owner_check(&owner, "again"), OK);
	cr_assert_gt(
	    owner_stats(&owner).segments_recycled + owner_stats(&owner).segments_unlinked, 0);
}

Test(fault, no_space_for_segments_clears_when_there_is, .init = setup, .fini = teardown,
    .timeout = 60)
{
	sim_set_capacity(disk, 6 << 20);
	power_on(&small);
	enum err err = OK;
	for (int i = 0; i < 200 && (err == OK || err == ERR_OVERLOADED); i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%d", i);
		err = owner_put(&owner, key, RECORD_IMAGE, 100000, SYNC_ALWAYS);
		store_flush(owner.store);
		owner_wait(&owner);
	}
	cr_assert_eq(err, ERR_DISKFULL);
	sim_set_capacity(disk, 64 << 20);
	for (int tries = 0; owner.state != OK && tries < 1000; tries++)
		owner_wait(&owner);
	cr_assert_eq(owner.state, OK);
	put("again", 1000);
}

Test(fault, rotten_body_is_never_served, .init = setup, .fini = teardown, .timeout = 60)
{
	power_on(&small);
	put("a", 100000);
	put("b", 100000);
	const struct owner_key *a = owner_find(&owner, "a");
	char path[64];
	snprintf(path, sizeof(path), "/hot/hot-%08u.seg", a->place.segment);
	uint64_t middle = (uint64_t)a->place.offset * RECORD_ALIGN + 50000;
	cr_assert(sim_flip_bit(disk, path, middle * 8 + 3));
	cr_assert_eq(owner_check(&owner, "a"), ERR_CORRUPT);
	cr_assert_eq(owner.corrupt, 1);
	cr_assert_eq(owner_check(&owner, "b"), OK);
	wait_seconds(2);
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_eq(owner.recovered, 2, "its head is well, and was acknowledged");
	cr_assert_eq(owner_check(&owner, "a"), ERR_CORRUPT);
	cr_assert_eq(owner_check(&owner, "b"), OK);
}

Test(fault, rotten_head_loses_one_record_and_is_reported, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("a", 3000);
	put("b", 3000);
	put("c", 3000);
	const struct owner_key *b = owner_find(&owner, "b");
	char path[64];
	snprintf(path, sizeof(path), "/hot/hot-%08u.seg", b->place.segment);
	cr_assert(sim_flip_bit(disk, path, ((uint64_t)b->place.offset * RECORD_ALIGN + 20) * 8));
	wait_seconds(2);
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_eq(owner.corrupt, 1);
	cr_assert_eq(owner.recovered, 2);
	cr_assert_null(owner_find(&owner, "b"));
	cr_assert_eq(owner_check(&owner, "a"), OK);
	cr_assert_eq(owner_check(&owner, "c"), OK);
}

Test(fault, what_was_only_written_is_cut_or_kept_but_never_half, .init = setup, .fini = teardown,
    .timeout = 60)
{
	struct owner_options slow = small;
	slow.delay_ms = 100000;
	power_on(&slow);
	put("a", 100);
	cr_assert_eq(owner_put(&owner, "b", RECORD_VALUE, 100, SYNC_NO), OK);
	owner_power_cut(&owner, disk);
	power_on(&slow);
	cr_assert_eq(owner.recovered, 1, "it had never left the memory");
	cr_assert_eq(owner.corrupt, 0);
	put("c", 100);
	cr_assert_gt(owner_find(&owner, "c")->lsn, 1);
}

Test(fault, what_is_cut_is_told_by_its_first_lsn, .init = setup, .fini = teardown, .timeout = 60)
{
	power_on(&small);
	put("a", 100);
	wait_seconds(2);
	cr_assert_eq(store_cut_from(owner.store), 0);
	/* The batch of "c" goes while that of "b" is under way, ends before it, and says no more than that "a"
	 * is durable. */
	sim_fail_call(disk, SIM_WRITE_LOST, 2);
	uint64_t b = store_last_lsn(owner.store) + 1;
	cr_assert_eq(owner_put(&owner, "b", RECORD_VALUE, 70000, SYNC_ALWAYS), OK);
	store_flush(owner.store);
	cr_assert_eq(owner_put(&owner, "c", RECORD_VALUE, 70000, SYNC_ALWAYS), OK);
	store_flush(owner.store);
	owner_wait_durable(&owner, b + 1);
	owner_power_cut(&owner, disk);
	power_on(&small);
	cr_assert_eq(store_cut_from(owner.store), b);
	cr_assert_null(owner_find(&owner, "c"));
	cr_assert_geq(store_last_lsn(owner.store), b + 1, "no LSN is given again that was seen");
}

Test(fault, moved_record_survives_a_power_cut_in_either_tier, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&two_tiers);
	put("a", 70000);
	put("long", 1800000);
	cr_assert_eq(owner_move(&owner, "a", TIER_WARM), OK);
	cr_assert_eq(owner_move(&owner, "long", TIER_WARM), OK);
	cr_assert_eq(store_tier(owner.store, owner_find(&owner, "a")->place), TIER_WARM);
	cr_assert_eq(owner_check(&owner, "a"), OK);
	cr_assert_eq(owner_check(&owner, "long"), OK);
	owner_power_cut(&owner, disk);
	restart(&two_tiers);
	cr_assert_eq(owner.recovered, 2);
	cr_assert_eq(store_tier(owner.store, owner_find(&owner, "long")->place), TIER_WARM);
	cr_assert_eq(owner_check(&owner, "a"), OK);
	cr_assert_eq(owner_check(&owner, "long"), OK);
	cr_assert_eq(owner_move(&owner, "long", TIER_HOT), OK);
	cr_assert_eq(store_tier(owner.store, owner_find(&owner, "long")->place), TIER_HOT);
	cr_assert_eq(owner_check(&owner, "long"), OK);
}

Test(fault, dead_segments_are_reused_and_nothing_comes_back, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	for (int round = 0; round < 60; round++) {
		char key[16];
		snprintf(key, sizeof(key), "k%d", round % 5);
		put(key, 200000);
		if (round % 7 == 0)
			cr_assert_eq(owner_delete(&owner, key), OK);
	}
	wait_seconds(3);
	struct store_stats stats = owner_stats(&owner);
	cr_assert_gt(stats.segments_recycled, 3);
	cr_assert_lt(stats.tier[TIER_HOT].segments, 12);
	owner_power_cut(&owner, disk);
	restart(&small);
	for (int i = 0; i < 5; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%d", i);
		if (!owner_find(&owner, key)->deleted)
			cr_assert_eq(owner_check(&owner, key), OK);
	}
}

Test(fault, tombstone_stays_while_an_older_record_lies_elsewhere, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("dead", 1000);
	put("alive", 1000);                   /* keeps the first segment, and "dead" in it */
	for (int i = 0; i < 6; i++)
		put("filler", 200000);
	cr_assert_eq(owner_delete(&owner, "dead"), OK);
	for (int i = 0; i < 40; i++)
		put("filler", 200000);
	wait_seconds(3);
	cr_assert_gt(owner_stats(&owner).segments_recycled, 2);
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert(owner_find(&owner, "dead")->deleted);
	cr_assert_eq(owner_check(&owner, "alive"), OK);
}

Test(fault, read_of_a_record_on_its_way_is_served_after_its_write, .init = setup,
    .fini = teardown, .timeout = 60)
{
	struct owner_options slow = small;
	slow.delay_ms = 100000;
	power_on(&slow);
	cr_assert_eq(owner_put(&owner, "a", RECORD_VALUE, 9000, SYNC_NO), OK);
	cr_assert_eq(owner_check(&owner, "a"), OK);
}

static void never(struct store_read *read, enum err err)
{
	UNUSED(read);
	UNUSED(err);
	cr_assert(false, "a cancelled read may not end");
}

Test(fault, cancelled_read_never_ends_and_holds_nothing, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("a", 100000);
	put("long", 1500000);
	uint64_t used = body_pool_used(owner.pool);
	for (int passes = 0; passes < 12; passes++) {
		const struct owner_key *key = owner_find(&owner, passes % 2 == 0 ? "a" : "long");
		struct store_read read = {.done = never, .place = key->place, .lsn = key->lsn};
		store_read_start(owner.store, &read);
		for (int i = 0; i < passes / 2 && passes % 2 == 1; i++)
			io_wait(owner.io, 1);
		store_read_fini(&read);
		for (int i = 0; i < 5; i++)
			owner_wait(&owner);
		cr_assert_eq(body_pool_used(owner.pool), used);
	}
}

Test(fault, metadata_can_be_read_without_the_body, .init = setup, .fini = teardown, .timeout = 60)
{
	power_on(&small);
	put("long", 1500000);
	wait_seconds(1);
	uint64_t before = owner_stats(&owner).read_bytes;
	cr_assert_eq(owner_check_meta(&owner, "long"), OK);
	put("a", 300000);
	cr_assert_eq(owner_check_meta(&owner, "a"), OK);
	cr_assert_leq(owner_stats(&owner).read_bytes - before, 2 * (16 << 10));
}

Test(fault, one_disk_read_brings_head_and_body, .init = setup, .fini = teardown, .timeout = 60)
{
	power_on(&small);
	put("a", 100000);
	uint64_t before = owner_stats(&owner).reads;
	cr_assert_eq(owner_check(&owner, "a"), OK);
	cr_assert_eq(owner_stats(&owner).reads - before, 1);
}

Test(fault, written_lsn_waits_only_for_those_who_ask, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	cr_assert_eq(owner_put(&owner, "a", RECORD_VALUE, 10, SYNC_EVERYSEC), OK);
	cr_assert_eq(store_written_lsn(owner.store), 1);
	cr_assert_eq(store_durable_lsn(owner.store), 0);
	cr_assert_eq(owner_put(&owner, "b", RECORD_VALUE, 10, SYNC_ALWAYS), OK);
	cr_assert_eq(owner_put(&owner, "c", RECORD_VALUE, 10, SYNC_NO), OK);
	cr_assert_eq(store_written_lsn(owner.store), 1);
	owner_wait_durable(&owner, 3);
	cr_assert_geq(store_durable_lsn(owner.store), 2);
	cr_assert_eq(owner_put(&owner, "d", RECORD_VALUE, 10, SYNC_NO), OK);
	store_sync(owner.store);
	while (store_durable_lsn(owner.store) < 4)
		owner_wait(&owner);
}

Test(fault, second_store_on_the_same_directory_is_refused, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	static const struct store_events none = {0};
	const struct store_options options = {
		.dir = {"/hot"}, .memory = &owner.memory, .pool = owner.pool, .log = &owner.log,
	};
	struct store *second;
	cr_assert_eq(store_new(owner.io, &options, &none, NULL, &second), OK);
	cr_assert_eq(store_open(second), ERR_BUSY);
	store_free(second);
}

Test(fault, what_cannot_be_read_is_corrupt_until_it_can, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&small);
	put("a", 100000);
	put("b", 3000);
	sim_fail_call(disk, SIM_READ_EIO, 1);
	cr_assert_eq(owner_check(&owner, "a"), ERR_CORRUPT);
	cr_assert_eq(owner_stats(&owner).read_errors, 1);
	cr_assert_eq(owner.corrupt, 1);
	cr_assert_eq(owner_check(&owner, "b"), OK);
	cr_assert_eq(owner_check(&owner, "a"), OK);
	wait_seconds(2);
	owner_power_cut(&owner, disk);
	/* Any read of recovery may fail once; the first is of the store's name: it is not opened. */
	for (uint64_t call = 2; call < 12; call++) {
		sim_fail_call(disk, SIM_READ_EIO, call);
		owner_use_sim(&owner, disk, 1);
		owner_start(&owner, &small);
		cr_assert(owner.recovered == 2 || owner.corrupt > 0 || owner.opened != OK ||
		        owner_stats(&owner).corrupt_records > 0,
		    "call %llu: lost, and nothing is said", (unsigned long long)call);
		if (owner.opened == OK)
			cr_assert_eq(store_state(owner.store), OK);
		owner_power_cut(&owner, disk);
	}
	restart(&small);
	cr_assert_eq(owner.recovered, 2);
	cr_assert_eq(owner_check(&owner, "a"), OK);
}

Test(fault, one_error_in_making_a_segment_is_no_full_disk, .init = setup, .fini = teardown,
    .timeout = 60)
{
	struct owner_options few = small;
	few.spares = 5;
	power_on(&few);
	put("a", 5000);
	wait_seconds(2);
	uint64_t made = owner_stats(&owner).segments_created;
	for (int i = 0; i < 12; i++) {
		put("filler", 900000);
		if (i % 3 == 0)
			sim_fail_call(disk, SIM_SYNC_EIO, 1);     /* the next directory's */
		cr_assert_eq(owner.state, OK);
	}
	cr_assert_gt(sim_fault_count(disk, SIM_SYNC_EIO), 1);
	cr_assert_gt(owner_stats(&owner).segments_created, made + 5);
	cr_assert_eq(owner_check(&owner, "a"), OK);
}

Test(fault, syncs_that_always_fail_end_in_refusals_and_lose_nothing, .init = setup,
    .fini = teardown, .timeout = 60)
{
	power_on(&small);
	put("a", 5000);
	wait_seconds(2);
	struct sim_faults faults = {.chance_ppm[SIM_SYNC_EIO] = 1000000};
	sim_set_faults(disk, &faults);
	enum err err = OK;
	char key[16];
	for (int i = 0; i < 400 && (err == OK || err == ERR_OVERLOADED); i++) {
		snprintf(key, sizeof(key), "k%d", i);
		err = owner_put(&owner, key, RECORD_VALUE, 60000, SYNC_EVERYSEC);
		store_flush(owner.store);
		wait_seconds(1);
	}
	cr_assert(err == ERR_READONLY || err == ERR_DISKFULL, "%s", err_name(err));
	cr_assert_gt(owner_stats(&owner).write_errors, 2);
	cr_assert_eq(owner_check(&owner, "a"), OK, "reads go on");
	uint64_t durable = store_durable_lsn(owner.store);
	cr_assert_gt(durable, 1);
	faults = (struct sim_faults){0};
	sim_set_faults(disk, &faults);
	owner_power_cut(&owner, disk);
	restart(&small);
	cr_assert_eq(owner.corrupt, 0);
	cr_assert_geq(owner.last_recovered_lsn, durable);
	cr_assert_eq(owner_check(&owner, "a"), OK);
}
