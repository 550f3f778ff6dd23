/* tests/unit/engine/lineage_test.c: what a log of some epoch can share with this one. */
#include "engine/replica/replica.h"

#include <criterion/criterion.h>

/* Two lives of the leader of epoch 2, then a promotion. */
static struct replication replication = {
    .epochs = {{1, 11, 1}, {2, 22, 100}, {2, 23, 5000}, {3, 33, 9000}},
    .epoch_count = 4,
};

static uint64_t end_of(uint32_t number, uint32_t tag, uint64_t first)
{
	const struct epoch epoch = {number, tag, first};
	return replication_epoch_end(&replication, &epoch);
}

Test(lineage, an_epoch_and_each_life_end_where_the_next_begins)
{
	cr_assert_eq(end_of(1, 11, 1), 99);
	cr_assert_eq(end_of(2, 22, 100), 4999);
	cr_assert_eq(end_of(2, 23, 5000), 8999);
	cr_assert_eq(end_of(3, 33, 9000), UINT64_MAX);
}

Test(lineage, one_of_the_same_number_and_another_tag_is_another)
{
	const struct epoch own = {2, 23, 5000}, other = {2, 24, 5000};
	cr_assert(replication_knows_epoch(&replication, &own));
	cr_assert_not(replication_knows_epoch(&replication, &other));
	cr_assert_eq(end_of(2, 24, 5000), 99, "what both had before epoch 2");
	cr_assert_eq(end_of(2, 24, 60), 59, "or before the other one began");
	cr_assert_eq(end_of(3, 34, 20000), 8999);
	cr_assert_eq(end_of(7, 1, 20000), 19999);
	cr_assert_eq(end_of(7, 1, 0), 0);
}
