/* tests/unit/store/pages_test.c: the page allocator against a map of pages. */
#include "base/random.h"
#include "store/pages.h"

#include <criterion/criterion.h>

enum { PAGES = 5000, RUNS = 600 };

Test(pages, random_use_never_overlaps_and_gives_everything_back)
{
	static uint16_t owner[PAGES];
	static struct { uint32_t first, count; } runs[RUNS];
	struct memory memory = {0};
	struct pages pages;
	struct random random;
	random_init(&random, 42);
	pages_init(&pages, PAGES, &memory);
	uint32_t used = 0, full = 0;
	for (int step = 0; step < 200000; step++) {
		uint32_t at = (uint32_t)random_below(&random, RUNS);
		if (runs[at].count > 0) {
			for (uint32_t i = 0; i < runs[at].count; i++) {
				cr_assert_eq(owner[runs[at].first + i], at + 1);
				owner[runs[at].first + i] = 0;
			}
			pages_give(&pages, runs[at].first);
			used -= runs[at].count;
			runs[at].count = 0;
		} else {
			uint32_t count = 1 +
			    (uint32_t)random_below(&random, random_below(&random, 8) ? 12 : 300);
			uint32_t first = pages_take(&pages, count);
			if (first == PAGES_NONE) {
				full++;
				continue;
			}
			cr_assert_leq(first + count, PAGES);
			for (uint32_t i = 0; i < count; i++) {
				cr_assert_eq(
				    owner[first + i], 0, "page %u is somebody's", first + i);
				owner[first + i] = (uint16_t)(at + 1);
			}
			runs[at].first = first;
			runs[at].count = count;
			used += count;
		}
		cr_assert_eq(pages.used, used);
	}
	cr_assert_gt(full, 0, "it was never full: the test is too easy");
	for (uint32_t at = 0; at < RUNS; at++) {
		if (runs[at].count > 0)
			pages_give(&pages, runs[at].first);
	}
	cr_assert_eq(pages_take(&pages, PAGES), 0, "all runs joined again");
	pages_give(&pages, 0);
	pages_fini(&pages);
	cr_assert_eq(memory.bytes, 0);
}

Test(pages, waste_at_the_first_refusal_is_small)
{
	struct memory memory = {0};
	struct pages pages;
	struct random random;
	static uint32_t runs[PAGES];
	uint32_t count = 0, worst = PAGES;
	random_init(&random, 7);
	pages_init(&pages, PAGES, &memory);
	for (int round = 0; round < 200; round++) {
		for (;;) {
			uint32_t first =
			    pages_take(&pages, 1 + (uint32_t)random_below(&random, 40));
			if (first == PAGES_NONE)
				break;
			runs[count++] = first;
		}
		worst = pages.used < worst ? pages.used : worst;
		for (uint32_t drop = count / 4; drop > 0; drop--) {
			uint32_t at = (uint32_t)random_below(&random, count);
			pages_give(&pages, runs[at]);
			runs[at] = runs[--count];
		}
	}
	cr_assert_gt(worst, PAGES * 85 / 100, "only %u of %u pages were used", worst, PAGES);
	while (count > 0)
		pages_give(&pages, runs[--count]);
	pages_fini(&pages);
}
