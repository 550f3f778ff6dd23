/* tests/unit/store/clean_test.c: the cleaner: its policy, and what it does to a store. */
#include "tests/unit/store/owner.h"

#include "store/clean.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* ---- Policy ---- */

static struct clean_view view_live(uint64_t live_percent)
{
	return (struct clean_view){
		.bytes = 1000000,
		.used = 1000000,
		.records = 10,
		.record_bytes = 1000000,
		.live_records = live_percent / 10,
		.live_bytes = live_percent * 10000,
		.dense = true,
	};
}

Test(clean_policy, never_takes_a_segment_that_is_more_than_97_percent_live)
{
	for (uint64_t percent = 0; percent <= 100; percent++) {
		const struct clean_view view = view_live(percent);
		double share = clean_share(&view);
		cr_assert_float_eq(share, (double)percent / 100, 0.001);
		cr_assert_eq(clean_score(share, 1000) > 0, percent <= 97);
	}
	cr_assert_eq(clean_score(0.98, UINT64_MAX), 0);
}

Test(clean_policy, prefers_what_is_emptier_and_what_is_older)
{
	cr_assert_gt(clean_score(0.2, 100), clean_score(0.3, 100));
	cr_assert_gt(clean_score(0.3, 1000), clean_score(0.3, 100));
	/* The square root: a hundred times older counts ten times. */
	cr_assert_float_eq(clean_score(0.5, 9999) / clean_score(0.5, 99), 10, 0.01);
	cr_assert_gt(clean_score(0, 0), 0);
}

Test(clean_policy, marks_that_are_needed_count_as_alive)
{
	struct clean_view view = view_live(0);
	view.mark_bytes = view.record_bytes;
	cr_assert_eq(clean_score(clean_share(&view), 1000000), 0);
}

Test(clean_policy, padding_and_a_tail_that_did_not_fit_are_no_gain)
{
	struct clean_view view = view_live(100);
	view.record_bytes = view.live_bytes = 800000;
	cr_assert_eq(clean_share(&view), 1);
	view.used = 850000;
	cr_assert_eq(clean_share(&view), 1);
	view.dense = false;
	cr_assert_eq(clean_share(&view), 1);
}

Test(clean_policy, gaps_between_small_synced_batches_are_a_gain)
{
	const struct clean_view view = {
		.bytes = 1 << 20, .used = 1 << 20, .dense = false,
		.records = 250, .live_records = 250, .record_bytes = 25000, .live_bytes = 25000,
	};
	cr_assert_lt(clean_share(&view), 0.1);
}

Test(clean_policy, works_more_as_room_gets_less)
{
	struct clean_room room = {.total = 1000, .free = 1000};
	double last = 0;
	cr_assert_eq(clean_duty(&room), 0);
	for (room.free = 100; room.free > 0; room.free--) {
		double duty = clean_duty(&room);
		cr_assert_geq(duty, last);
		cr_assert_leq(duty, 1);
		last = duty;
	}
	cr_assert_eq(last, 1);
	room.free = RESERVE_SEGMENTS + 1;
	cr_assert_eq(clean_duty(&room), 1);
}

Test(clean_policy, is_not_idle_for_less_than_30_percent)
{
	const struct clean_view little = view_live(75), much = view_live(65);
	cr_assert(!clean_is_idle_gain(&little));
	cr_assert(clean_is_idle_gain(&much));
}

/* ---- On a simulated machine ---- */

static struct owner owner;
static struct sim_disk *disk;
static uint64_t boots;
static const struct owner_options tight = {
	.segment_bytes = 1 << 20, .spares = 4, .disk_bytes_max = 24 << 20};
static const struct owner_options roomy = {.segment_bytes = 1 << 20, .spares = 4};

static void setup(void)
{
	disk = sim_disk_new(5);
	owner_init_sim(&owner);
	boots = 0;
}

static void teardown(void)
{
	owner_fini(&owner);
	sim_disk_free(disk);
}

static void power_on(const struct owner_options *options)
{
	owner_use_sim(&owner, disk, ++boots);
	owner_start(&owner, options);
	cr_assert_eq(owner.opened, OK);
}

static enum err put(int number, size_t bytes)
{
	char key[32];
	snprintf(key, sizeof(key), "k%d", number);
	enum err err = owner_put(&owner, key, RECORD_IMAGE, bytes, SYNC_ALWAYS);
	for (int tries = 0; err == ERR_OVERLOADED && tries < 2000; tries++) {
		owner_wait(&owner);
		err = owner_put(&owner, key, RECORD_IMAGE, bytes, SYNC_ALWAYS);
	}
	store_flush(owner.store);
	owner_wait(&owner);
	return err;
}

static void drop(int number)
{
	char key[32];
	snprintf(key, sizeof(key), "k%d", number);
	enum err err = owner_delete(&owner, key);
	for (int tries = 0; err == ERR_OVERLOADED && tries < 2000; tries++) {
		owner_wait(&owner);
		err = owner_delete(&owner, key);
	}
	cr_assert_eq(err, OK);
}

static void check(int number, bool there)
{
	char key[32];
	snprintf(key, sizeof(key), "k%d", number);
	struct owner_key *found = owner_find(&owner, key);
	if (there)
		cr_assert_eq(owner_check(&owner, key), OK, "%s", key);
	else
		cr_assert(found == NULL || found->deleted, "%s came back", key);
}

static void wait_seconds(int seconds)
{
	uint64_t until = io_now_us(owner.io) + (uint64_t)seconds * 1000000;
	while (io_now_us(owner.io) < until)
		owner_wait(&owner);
}

Test(clean, disk_filled_to_the_last_byte_and_half_deleted_heals, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&tight);
	int count = 0;
	while (put(count, 90000) == OK)
		count++;
	cr_assert_eq(owner.state, ERR_DISKFULL);
	cr_assert_gt(count, 100);
	for (int i = 0; i < count; i += 2)
		drop(i);
	for (int tries = 0; owner.state != OK && tries < 5000; tries++)
		owner_wait(&owner);
	cr_assert_eq(owner.state, OK, "no operator was needed");
	for (int i = 0; i < count / 4; i++)
		cr_assert_eq(put(10000 + i, 90000), OK);
	cr_assert_gt(owner_stats(&owner).cleaner.records, 0);
	for (int i = 0; i < count; i++)
		check(i, i % 2 == 1);
	owner_power_cut(&owner, disk);
	power_on(&tight);
	for (int i = 0; i < count; i++)
		check(i, i % 2 == 1);
	for (int i = 0; i < count / 4; i++)
		check(10000 + i, true);
	owner_stop(&owner);
}

Test(clean, idle_store_in_which_all_lives_is_never_copied, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&tight);
	for (int i = 0; i < 10000 && put(i, 90000) == OK; i++)
		;
	wait_seconds(60);
	struct store_stats before = owner_stats(&owner);
	wait_seconds(600);
	struct store_stats after = owner_stats(&owner);
	cr_assert_eq(after.cleaner.bytes, before.cleaner.bytes);
	cr_assert_eq(after.written_bytes, before.written_bytes);
	owner_stop(&owner);
}

Test(clean, nothing_is_cleaned_while_there_is_room_but_what_is_worth_it_when_idle,
    .init = setup, .fini = teardown, .timeout = 60)
{
	power_on(&roomy);
	for (int i = 0; i < 60; i++)
		cr_assert_eq(put(i, 90000), OK);
	for (int i = 0; i < 60; i += 10)
		drop(i);
	wait_seconds(20);
	cr_assert_eq(owner_stats(&owner).cleaner.victims, 0, "a tenth is not worth it");
	for (int i = 0; i < 60; i++) {
		if (i % 2 == 1)
			drop(i);
	}
	wait_seconds(20);
	struct store_stats stats = owner_stats(&owner);
	cr_assert_gt(stats.cleaner.evacuated, 2);
	wait_seconds(200);
	cr_assert_eq(owner_stats(&owner).cleaner.bytes, stats.cleaner.bytes, "once");
	for (int i = 0; i < 60; i++)
		check(i, i % 2 == 0 && i % 10 != 0);
	owner_stop(&owner);
}

Test(clean, everything_that_dies_at_once_is_never_copied, .init = setup, .fini = teardown,
    .timeout = 60)
{
	power_on(&roomy);
	for (int i = 0; i < 4000; i++)
		cr_assert_eq(put(i, 3000), OK);
	for (int i = 0; i < 4000; i++)
		drop(i);
	wait_seconds(30);
	struct store_stats stats = owner_stats(&owner);
	cr_assert_eq(stats.cleaner.records, 0);
	cr_assert_lt(stats.tier[TIER_HOT].segments, 12);
	owner_stop(&owner);
}

Test(clean, long_bodies_are_moved_part_by_part, .init = setup, .fini = teardown, .timeout = 60)
{
	power_on(&tight);
	cr_assert_eq(put(1, 3000000), OK);
	cr_assert_eq(put(2, 700000), OK);
	for (int round = 0; round < 60; round++) {
		cr_assert_eq(put(100 + round % 7, 300000), OK);
		cr_assert_eq(put(1000 + round, 1000), OK);
	}
	wait_seconds(10);
	for (int i = 0; i < 60; i += 2)
		drop(1000 + i);
	for (int round = 0; round < 60; round++)
		cr_assert_eq(put(100 + round % 7, 300000), OK);
	wait_seconds(10);
	cr_assert_gt(owner_stats(&owner).cleaner.evacuated, 0);
	check(1, true);
	check(2, true);
	owner_power_cut(&owner, disk);
	power_on(&tight);
	check(1, true);
	check(2, true);
	for (int i = 0; i < 60; i++)
		check(1000 + i, i % 2 == 1);
	owner_stop(&owner);
}

Test(clean, records_longer_than_a_piece_are_copied_whole, .init = setup, .fini = teardown,
    .timeout = 60)
{
	static const struct owner_options large = {.segment_bytes = 8 << 20, .spares = 4};
	power_on(&large);
	for (int i = 0; i < 30; i++) {
		cr_assert_eq(put(i, i % 3 == 0 ? 2500000 : 900000), OK);
		cr_assert_eq(put(100 + i, 700), OK);
	}
	for (int i = 0; i < 30; i++) {
		if (i % 3 != 0 || i % 2 == 0)
			drop(i);
	}
	wait_seconds(60);
	cr_assert_gt(owner_stats(&owner).cleaner.bytes, 2500000);
	owner_power_cut(&owner, disk);
	power_on(&large);
	for (int i = 0; i < 30; i++) {
		check(i, i % 3 == 0 && i % 2 == 1);
		check(100 + i, true);
	}
	owner_stop(&owner);
}

Test(clean, corrupt_segment_is_reported_and_kept, .init = setup, .fini = teardown, .timeout = 60)
{
	power_on(&roomy);
	for (int i = 0; i < 30; i++)
		cr_assert_eq(put(i, 90000), OK);
	struct owner_key *key = owner_find(&owner, "k1");
	uint32_t segment = key->place.segment;
	char path[200];
	snprintf(path, sizeof(path), "%s/hot-%08u.seg", owner.dir[0], segment);
	uint64_t bit = ((uint64_t)key->place.offset * RECORD_ALIGN + 50000) * 8;
	cr_assert(sim_flip_bit(disk, path, bit));
	for (int i = 2; i < 30; i++) {
		if (i % 5 != 0)
			drop(i);
	}
	wait_seconds(30);
	cr_assert_gt(owner.corrupt, 0);
	cr_assert_eq(owner_find(&owner, "k1")->place.segment, segment);
	cr_assert_eq(owner_check(&owner, "k1"), ERR_CORRUPT);
	check(25, true);
	owner_stop(&owner);
}

/* What goes in slices is released after it died: the mark is needed from its own LSN on all the same. */
Test(clean, what_is_released_later_still_needs_the_mark_of_its_death, .timeout = 60)
{
	const struct owner_options options = {.segment_bytes = 1 << 20, .spares = 4};
	char key[16];
	owner_init(&owner);
	owner_start(&owner, &options);
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		cr_assert_eq(owner_put(&owner, key, RECORD_VALUE, 100, SYNC_NO), OK);
	}
	struct place place = owner_find(&owner, "k3")->place;
	cr_assert_eq(clean_pins(owner.store).first, UINT64_MAX);
	struct record mark = {.type = RECORD_DELETE, .key = SPAN_LIT("k3"), .sync = SYNC_NO};
	cr_assert_eq(store_append(owner.store, &mark), OK);
	store_note_deaths(owner.store);
	cr_assert_eq(owner_put(&owner, "later", RECORD_VALUE, 100, SYNC_NO), OK);
	cr_assert_leq(clean_pins(owner.store).first, mark.lsn);
	store_release(owner.store, place);
	cr_assert_leq(clean_pins(owner.store).first, mark.lsn);
	owner_stop(&owner);
	owner_fini(&owner);
}
