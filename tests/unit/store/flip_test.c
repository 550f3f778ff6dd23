/* tests/unit/store/flip_test.c: one bit of the disk changes. Either it is noticed, or nothing
 * that is read differs; and whatever is served is what was written.
 *
 * FLIPS=n in the environment sets how many bits are tried (400), FLIP_SEED where to begin. */
#include "tests/unit/store/owner.h"

#include "base/random.h"
#include "store/block.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERSIONS = 400, NAME = 32, LONG_BYTES = 1300000 };

struct version {
	uint64_t lsn, hash;
};

static const struct owner_options writing = {.segment_bytes = 1 << 20, .spares = 4};
static const struct owner_options reading = {
	.segment_bytes = 1 << 20, .spares = 4, .read_only = true};

static struct owner owner;
static struct sim_disk *disk;
static struct random flips;
static struct version versions[VERSIONS];
static size_t version_count;
static struct owner_key truth[OWNER_KEYS];
static struct store_stats truth_stats;
static uint32_t last_segment;

static void put(const char *key, uint8_t type, size_t bytes)
{
	enum err err;
	while ((err = owner_put(&owner, key, type, bytes, SYNC_ALWAYS)) == ERR_OVERLOADED) {
		store_flush(owner.store);
		owner_wait(&owner);
	}
	cr_assert_eq(err, OK);
	const struct owner_key *now = owner_find(&owner, key);
	cr_assert_lt(version_count, VERSIONS);
	versions[version_count++] = (struct version){now->lsn, now->body_hash};
	if (random_below(&flips, 3) == 0)
		owner_wait_durable(&owner, store_last_lsn(owner.store));
}

static void power_on(const struct owner_options *options)
{
	owner_use_sim(&owner, disk, 1);
	owner_start(&owner, options);
}

/* A store of a few segments: images, values, a long body, what was overwritten and deleted. */
static void write_all(void)
{
	char key[NAME];
	power_on(&writing);
	for (int i = 0; i < 150; i++) {
		snprintf(key, sizeof(key), "k%u", (unsigned)random_below(&flips, 60));
		uint64_t limit = random_below(&flips, 8) == 0 ? 90000 : 6000;
		put(key, random_below(&flips, 3) == 0 ? RECORD_VALUE : RECORD_IMAGE,
		    1 + random_below(&flips, limit));
		if (random_below(&flips, 9) == 0)
			cr_assert_eq(owner_delete(&owner, key), OK);
	}
	put("long", RECORD_IMAGE, LONG_BYTES);
	put("end", RECORD_VALUE, 500);
	owner_wait_durable(&owner, store_last_lsn(owner.store));
	uint64_t until = io_now_us(owner.io) + 3000000;
	while (io_now_us(owner.io) < until)
		owner_wait(&owner);           /* footers are written */
	owner_stop(&owner);
}

static uint64_t hash_of(uint64_t lsn)
{
	for (size_t i = 0; i < version_count; i++) {
		if (versions[i].lsn == lsn)
			return versions[i].hash;
	}
	cr_assert(false, "LSN %llu was never written", (unsigned long long)lsn);
	return 0;
}

/* Reads everything. The number of keys that are not what they were. */
static unsigned differences(bool *said)
{
	unsigned count = 0;
	for (int i = 0; i < OWNER_KEYS && owner.keys[i].used; i++) {
		struct owner_key *key = &owner.keys[i];
		if (key->deleted)
			continue;
		if (key->body_hash != 0)
			cr_assert_eq(key->body_hash, hash_of(key->lsn), "%s: a wrong value", key->key);
		key->body_hash = hash_of(key->lsn);
		enum err err = owner_check(&owner, key->key);       /* compares the bytes */
		cr_assert(err == OK || err == ERR_CORRUPT, "%s: %s", key->key, err_name(err));
		*said = *said || err == ERR_CORRUPT;
		count += err != OK;
	}
	for (int i = 0; i < OWNER_KEYS && truth[i].used; i++) {
		const struct owner_key *now = owner_find(&owner, truth[i].key);
		count += now == NULL ? !truth[i].deleted
		                     : now->lsn != truth[i].lsn || now->deleted != truth[i].deleted;
	}
	return count;
}

static void setup(void)
{
	const char *seed = getenv("FLIP_SEED");
	random_init(&flips, seed != NULL ? strtoull(seed, NULL, 0) : 1);
	version_count = 0;
	owner_init_sim(&owner);
	disk = sim_disk_new(1);
	write_all();
	power_on(&reading);
	memcpy(truth, owner.keys, sizeof(truth));
	truth_stats = owner_stats(&owner);
	last_segment = 0;
	for (int i = 0; i < OWNER_KEYS && truth[i].used; i++) {
		if (truth[i].place.segment > last_segment)
			last_segment = truth[i].place.segment;
	}
	owner_stop(&owner);
}

static void teardown(void)
{
	owner_fini(&owner);
	sim_disk_free(disk);
}

/* Anywhere; or where it matters: in a head, in a footer, in a header. */
static uint64_t choose(char *path, size_t path_bytes)
{
	uint32_t segment = 1 + (uint32_t)random_below(&flips, last_segment);
	uint64_t at = random_below(&flips, 1 << 20);
	switch (random_below(&flips, 4)) {
	case 0:
		for (int i = 0; i < 100; i++) {
			const struct owner_key *key = &truth[random_below(&flips, 60)];
			if (!key->used || key->deleted)
				continue;
			segment = key->place.segment;
			at = (uint64_t)key->place.offset * RECORD_ALIGN + random_below(&flips, 160);
			break;
		}
		break;
	case 1:
		at = (1 << 20) - 1 - random_below(&flips, 4 * SECTOR);
		break;
	case 2:
		at = random_below(&flips, 2 * SECTOR);
		break;
	default:
		break;
	}
	snprintf(path, path_bytes, "/hot/hot-%08u.seg", (unsigned)segment);
	return at * 8 + random_below(&flips, 8);
}

static void try_one(unsigned *noticed)
{
	char path[64];
	uint64_t bit = choose(path, sizeof(path));
	cr_assert(sim_flip_bit(disk, path, bit), "%s", path);
	power_on(&reading);
	cr_assert_eq(owner.opened, OK);
	bool said = false;
	unsigned changed = differences(&said);
	struct store_stats stats = owner_stats(&owner);
	said = said || owner.corrupt > 0 || stats.corrupt_records > 0;
	cr_assert(changed == 0 || said, "bit %llu of %s: %u keys differ, and nobody noticed",
	    (unsigned long long)bit, path, changed);
	*noticed += said || stats.footers_missing > truth_stats.footers_missing;
	owner_stop(&owner);
	cr_assert(sim_flip_bit(disk, path, bit));
}

Test(flip, one_bit_is_noticed_or_changes_nothing, .init = setup, .fini = teardown, .timeout = 0)
{
	const char *asked = getenv("FLIPS");
	unsigned long count = asked != NULL ? strtoul(asked, NULL, 0) : 400;
	unsigned noticed = 0;
	cr_assert_geq(last_segment, 3);
	cr_assert_gt(truth_stats.footers_read, 0);
	cr_assert_eq(truth_stats.corrupt_records, 0);
	for (unsigned long i = 0; i < count; i++)
		try_one(&noticed);
	cr_assert_gt(noticed, count / 8);
}

Test(flip, every_bit_of_names_and_headers_counts)
{
	uint8_t store[STORE_FILE_BYTES], sector[SECTOR];
	const struct store_id id = {{1, 2, 3}};
	const struct segment_header header = {
		.store = id, .segment = 7, .nonce = 9, .bytes = 1 << 20, .created_ms = 1234};
	struct store_id id_back;
	struct segment_header back;
	store_file_write(store, &id);
	segment_header_write(sector, &header);
	cr_assert_eq(store_file_parse(span_of(store, sizeof(store)), &id_back), OK);
	cr_assert_eq(segment_header_parse(span_of(sector, SECTOR), &back), OK);
	for (size_t bit = 0; bit < 8 * sizeof(store); bit++) {
		store[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_neq(store_file_parse(span_of(store, sizeof(store)), &id_back), OK);
		store[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(header); bit++) {
		sector[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_neq(segment_header_parse(span_of(sector, SECTOR), &back), OK);
		sector[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}
