/* tests/unit/cache/table_test.c: the table of members: growing, shrinking, scanning, choosing. */
#include "cache/table.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 20000 };

static struct span name_of(unsigned number, char text[32])
{
	return span_of(text, (size_t)snprintf(text, 32, "member:%u", number));
}

static void add(struct table *table, unsigned number)
{
	char text[32];
	struct member_view view = {.name = name_of(number, text), .data = name_of(number, text)};
	table_add(table, member_new(table->memory, table->kind, &view));
}

static void drop(struct table *table, unsigned number)
{
	char text[32];
	struct member *member = table_take(table, name_of(number, text));
	cr_assert(member != NULL);
	member_free(table->memory, table->kind, member);
}

static unsigned number_of(const struct table *table, const struct member *member)
{
	struct span name = member_name(table->kind, member);
	unsigned number = 0;
	for (size_t i = 7; i < name.len; i++)
		number = number * 10 + (unsigned)(name.ptr[i] - '0');
	return number;
}

Test(table, holds_what_was_added_and_not_taken)
{
	struct memory memory = {0};
	struct table *table = table_new(&memory, MEMBER_HASH, 99);
	struct random random;
	static bool there[NAMES];
	unsigned count = 0;
	char text[32];
	random_init(&random, 5);
	for (unsigned step = 0; step < 600000; step++) {
		unsigned number = (unsigned)random_below(&random, NAMES);
		bool growing = step / 100000 % 2 == 0;
		cr_assert_eq(table_find(table, name_of(number, text)) != NULL, there[number]);
		if (!there[number] && random_below(&random, 8) < (growing ? 8U : 1U)) {
			add(table, number);
			there[number] = true;
			count++;
		} else if (there[number] && random_below(&random, 8) < (growing ? 1U : 8U)) {
			drop(table, number);
			there[number] = false;
			count--;
		}
		cr_assert_eq(table->count, count);
	}
	struct table_walk walk = {0};
	const struct member *member;
	unsigned walked = 0;
	while ((member = table_next(table, &walk)) != NULL) {
		cr_assert(there[number_of(table, member)]);
		walked++;
	}
	cr_assert_eq(walked, count);
	table_free(table);
	cr_assert_eq(memory.bytes, 0);
}

Test(table, shrinks_to_next_to_nothing)
{
	struct memory memory = {0};
	struct table *table = table_new(&memory, MEMBER_SET, 1);
	for (unsigned i = 0; i < 100000; i++)
		add(table, i);
	cr_expect_lt(memory.bytes, 100000 * 32);
	for (unsigned i = 0; i < 99990; i++)
		drop(table, i);
	cr_expect_lt(memory.bytes, 6000);
	table_free(table);
	cr_assert_eq(memory.bytes, 0);
}

struct seen {
	const struct table *table;
	uint8_t            *seen;
};

static void see(void *ctx, const struct member *member)
{
	struct seen *seen = ctx;
	seen->seen[number_of(seen->table, member)] = 1;
}

Test(table, a_scan_passes_all_that_stay_however_it_grows_and_shrinks)
{
	struct memory memory = {0};
	struct random random;
	random_init(&random, 11);
	for (unsigned round = 0; round < 30; round++) {
		struct table *table = table_new(&memory, MEMBER_SET, round);
		struct seen seen = {table, calloc(1, 200000)};
		unsigned stay = 50 + (unsigned)random_below(&random, 3000), next = stay, gone = stay;
		for (unsigned i = 0; i < stay; i++)
			add(table, i);
		uint64_t cursor = 0;
		do {
			cursor = table_scan(table, cursor, see, &seen);
			unsigned change = (unsigned)random_below(&random, 60);
			bool growing = random_below(&random, 4000) / 400 % 2 == 0;
			for (unsigned i = 0; i < change && growing && next < 199999; i++)
				add(table, next++);
			for (unsigned i = 0; i < change && !growing && gone < next; i++)
				drop(table, gone++);
		} while (cursor != 0);
		for (unsigned i = 0; i < stay; i++)
			cr_assert(seen.seen[i] == 1, "round %u member %u of %u", round, i, stay);
		free(seen.seen);
		table_free(table);
	}
	cr_assert_eq(memory.bytes, 0);
}

Test(table, every_member_is_as_likely_as_any_other)
{
	struct memory memory = {0};
	struct random random;
	enum { MEMBERS = 77, DRAWS = 77 * 2000 };
	unsigned drawn[MEMBERS] = {0};
	struct table *table = table_new(&memory, MEMBER_SET, 4);
	random_init(&random, 2);
	for (unsigned i = 0; i < MEMBERS; i++)
		add(table, i);
	for (unsigned i = 0; i < DRAWS; i++)
		drawn[number_of(table, table_random(table, &random))]++;
	for (unsigned i = 0; i < MEMBERS; i++)
		cr_expect(drawn[i] > 1700 && drawn[i] < 2300, "member %u was drawn %u times", i, drawn[i]);
	table_free(table);
}

Test(table, is_freed_a_little_at_a_time)
{
	struct memory memory = {0};
	struct table *table = table_new(&memory, MEMBER_HASH, 4);
	for (unsigned i = 0; i < NAMES; i++)
		add(table, i);
	unsigned rounds = 1;
	for (uint64_t before = table->count; table_shrink(table, 100); rounds++) {
		cr_assert_lt(table->count, before);
		cr_assert_gt(table->count + 200, before);
		before = table->count;
	}
	cr_expect_gt(rounds, NAMES / 200);
	table_free(table);
	cr_assert_eq(memory.bytes, 0);
}
