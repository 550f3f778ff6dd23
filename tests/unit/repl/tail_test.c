/* tests/unit/repl/tail_test.c: the latest records, and how far back they go. */
#include "repl/tail.h"

#include "base/random.h"
#include "store/body.h"

#include <criterion/criterion.h>

static void add(struct tail *tail, uint64_t lsn, size_t bytes)
{
	static uint8_t value[16 << 10];
	struct record record = {.type = RECORD_VALUE, .lsn = lsn, .key = SPAN_LIT("k"), .value = span_of(value, bytes)};
	tail_add(tail, &record);
}

Test(tail, gives_what_came_behind_an_lsn)
{
	struct memory memory = {0};
	struct tail tail;
	tail_init(&tail, &memory);
	tail_start(&tail, 10);
	cr_assert(tail_covers(&tail, 10));
	cr_assert_not(tail_covers(&tail, 9));
	cr_assert_null(tail_after(&tail, 10));
	add(&tail, 11, 3);
	add(&tail, 15, 3);
	cr_assert_eq(tail_after(&tail, 10)->record.lsn, 11);
	cr_assert_eq(tail_after(&tail, 11)->record.lsn, 15);
	cr_assert_eq(tail_after(&tail, 13)->record.lsn, 15);
	cr_assert_null(tail_after(&tail, 15));
	tail_fini(&tail);
	cr_assert_eq(memory.bytes, 0);
}

Test(tail, forgets_the_oldest_and_says_so)
{
	struct memory memory = {0};
	struct tail tail;
	tail_init(&tail, &memory);
	tail_start(&tail, 0);
	for (uint64_t lsn = 1; lsn <= 1000; lsn++)
		add(&tail, lsn, 16 << 10);
	cr_assert_leq(tail.bytes, TAIL_BYTES_MAX);
	cr_assert_leq(memory.bytes, TAIL_BYTES_MAX + (1 << 20));
	cr_assert_gt(tail.before, 500);
	cr_assert_eq(tail_after(&tail, tail.before)->record.lsn, tail.before + 1);
	tail_fini(&tail);
	cr_assert_eq(memory.bytes, 0);
}

Test(tail, a_body_larger_than_all_of_it_comes_from_the_disk)
{
	struct memory memory = {0};
	struct tail tail;
	struct body *body;
	tail_init(&tail, &memory);
	tail_start(&tail, 0);
	cr_assert_eq(body_new_heap(&memory, TAIL_BYTES_MAX + 1, &body), OK);
	memset(body->ptr, 7, body->len);
	body_advance(body, body->len);
	struct record record = {.type = RECORD_IMAGE, .lsn = 1, .key = SPAN_LIT("k"), .body = body};
	tail_add(&tail, &record);
	cr_assert_eq(body->refs, 1);
	cr_assert_not(tail_covers(&tail, 0));
	cr_assert(tail_covers(&tail, 1));
	body_unref(body);
	tail_fini(&tail);
	cr_assert_eq(memory.bytes, 0);
}

/* Against a walk from the oldest on, while records come, grow and are forgotten. */
Test(tail, finds_what_follows_wherever_it_lies)
{
	struct memory memory = {0};
	struct tail tail;
	struct random random;
	uint64_t lsn = 0;
	random_init(&random, 3);
	tail_init(&tail, &memory);
	for (int round = 0; round < 3; round++) {
		tail_start(&tail, lsn);
		for (int i = 0; i < 3000; i++) {
			lsn += 1 + random_below(&random, 3) * random_below(&random, 2);
			add(&tail, lsn, random_below(&random, 8000));
			if (random_below(&random, 4) == 0)
				tail_extend(&tail, lsn, SPAN_LIT("and more"));
			uint64_t at = tail.before + random_below(&random, lsn - tail.before + 2), next = 0;
			for (uint32_t slot = 0; slot < tail.count && next <= at; slot++)
				next = tail.slots[(tail.first + slot) & (tail.cap - 1)].item->record.lsn;
			const struct tail_item *item = tail_after(&tail, at);
			cr_assert_eq(item == NULL ? 0 : item->record.lsn, next <= at ? 0 : next);
		}
		cr_assert_gt(tail.before, 0);
		tail_stop(&tail);
	}
	cr_assert_eq(memory.bytes, 0);
}
