/* tests/unit/engine/twins_test.c: bodies by digest, with bodies that die behind its back. */
#include "engine/twins.h"

#include "base/random.h"

#include <criterion/criterion.h>

enum { BODIES = 20000 };

static struct memory memory;
static bool alive[BODIES + 1];
static uint32_t docid_of[BODIES + 1];

static bool is_alive(void *ctx, const struct twin *twin)
{
	cr_assert(ctx == alive);
	return alive[twin->lsn] && docid_of[twin->lsn] == twin->docid;
}

static struct digest digest_number(uint64_t number)
{
	return digest_of(span_of(&number, sizeof(number)));
}

static void note(struct twins *twins, uint64_t lsn, uint64_t content, uint32_t docid)
{
	struct digest digest = digest_number(content);
	struct twin twin = {.docid = docid};
	twin.lsn = lsn & 0xffffffff;
	alive[lsn] = true;
	docid_of[lsn] = docid;
	twins_note(twins, &digest, &twin);
}

Test(twins, finds_what_lives_and_nothing_else)
{
	static uint64_t content_of[BODIES + 1];
	struct twins twins;
	struct random random;
	random_init(&random, 3);
	twins_init(&twins, &memory, is_alive, alive);
	for (uint64_t lsn = 1; lsn <= BODIES; lsn++) {
		content_of[lsn] = lsn;
		note(&twins, lsn, lsn, (uint32_t)lsn);
		uint64_t other = 1 + random_below(&random, lsn);
		if (random_below(&random, 4) > 0)
			alive[other] = false;
		struct digest digest = digest_number(content_of[other]);
		const struct twin *twin = twins_find(&twins, &digest);
		cr_assert_eq(twin != NULL, alive[other]);
		cr_assert(twin == NULL || twin->lsn == other);
	}
	/* What died does not pile up: shards are cleaned before they grow. */
	uint64_t living = 0;
	for (uint64_t lsn = 1; lsn <= BODIES; lsn++)
		living += alive[lsn];
	cr_assert(living > 1000 && living < BODIES / 2 + 2000);
	cr_assert(twins.count < 3 * living, "%llu entries for %llu", (unsigned long long)twins.count,
	    (unsigned long long)living);
	twins_fini(&twins);
	cr_assert_eq(memory.bytes, 0);
}

Test(twins, a_new_document_takes_the_place_of_the_old_one)
{
	struct twins twins;
	twins_init(&twins, &memory, is_alive, alive);
	note(&twins, 7, 1, 100);
	note(&twins, 7, 1, 101);
	struct digest digest = digest_number(1), other = digest_number(2);
	cr_assert_eq(twins.count, 1);
	cr_assert_eq(twins_find(&twins, &digest)->docid, 101);
	cr_assert(twins_find(&twins, &other) == NULL);
	twins_fini(&twins);
}

Test(twins, of_several_bodies_with_one_digest_a_living_one_is_found)
{
	struct twins twins;
	twins_init(&twins, &memory, is_alive, alive);
	for (uint64_t lsn = 1; lsn <= 50; lsn++)
		note(&twins, lsn, 9, (uint32_t)lsn);
	struct digest digest = digest_number(9);
	for (uint64_t lsn = 1; lsn < 50; lsn++) {
		alive[lsn] = false;
		cr_assert(twins_find(&twins, &digest)->lsn > lsn);
	}
	alive[50] = false;
	cr_assert(twins_find(&twins, &digest) == NULL);
	twins_fini(&twins);
}
