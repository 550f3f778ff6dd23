/* tests/unit/store/reach_test.c: recovery reads no further than batches may lie, and finds all that do. */
#include "store/segment.h"
#include "tests/unit/store/owner.h"

#include <criterion/criterion.h>
#include <stdio.h>

static const struct owner_options options = {.segment_bytes = 4 << 20, .spares = 4};

static struct owner owner;
static struct sim_disk *disk;

static void setup(void)
{
	owner_init_sim(&owner);
	disk = sim_disk_new(1);
	owner_use_sim(&owner, disk, 1);
	owner_start(&owner, &options);
}

static void teardown(void)
{
	owner_stop(&owner);
	owner_fini(&owner);
	sim_disk_free(disk);
}

static void put(int number, size_t bytes)
{
	char key[16];
	snprintf(key, sizeof(key), "k%d", number);
	cr_assert_eq(owner_put(&owner, key, RECORD_IMAGE, bytes, SYNC_ALWAYS), OK);
	owner_wait_durable(&owner, store_last_lsn(owner.store));
}

static void restart(void)
{
	owner_power_cut(&owner, disk);
	owner_use_sim(&owner, disk, 1);
	owner_start(&owner, &options);
}

Test(reach, what_was_never_written_is_not_read_at_a_start, .init = setup, .fini = teardown, .timeout = 60)
{
	for (int number = 0; number < 20; number++)
		put(number, 5000);
	restart();
	cr_assert_eq(owner.recovered, 20);
	uint64_t read = io_get_stats(owner.io)->file_bytes_read;
	cr_assert_lt(read, 3 << 20, "%llu bytes", (unsigned long long)read);
}

Test(reach, batches_lie_within_what_the_header_says, .init = setup, .fini = teardown, .timeout = 60)
{
	uint32_t first = 0;
	for (int number = 0; number < 60; number++) {
		put(number, 40000);
		char key[16];
		snprintf(key, sizeof(key), "k%d", number);
		const struct segment *segment =
		    segment_find(owner.store, owner_find(&owner, key)->place.segment);
		first = number == 0 ? segment->parts : first;
		cr_assert_geq(reach_end(segment), segment->written);
		cr_assert_lt(reach_end(segment), segment->written + segment->bytes / 2);
	}
	const struct segment *segment = segment_find(owner.store, owner_find(&owner, "k59")->place.segment);
	cr_assert_gt(segment->parts, first);
	restart();
	cr_assert_eq(owner.recovered, 60);
}

/* A batch, or a header that was to say that more of the segment may hold some. */
Test(reach, whichever_write_the_disk_loses_no_other_record_is_lost, .timeout = 60)
{
	enum { RECORDS = 60 };
	unsigned headers = 0;
	for (int lost = 1; lost <= RECORDS + 8; lost++) {
		setup();
		sim_fail_call(disk, SIM_WRITE_LOST, (uint64_t)lost);
		for (int number = 0; number < RECORDS; number++)
			put(number, 40000);
		bool is_hit = sim_fault_count(disk, SIM_WRITE_LOST) > 0;
		restart();
		cr_assert_geq(owner.recovered, RECORDS - 1, "write %d", lost);
		headers += is_hit && owner.recovered == RECORDS;
		teardown();
	}
	cr_assert_gt(headers, 0, "some of these were headers");
}
