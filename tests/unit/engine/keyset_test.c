/* tests/unit/engine/keyset_test.c: names with sets of pointers, beside a naive model. */
#include "engine/keyset.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 5000, OWNERS = 40 };

static struct span name_of(unsigned i, char out[16])
{
	return span_of(out, (size_t)snprintf(out, 16, "name:%u", i));
}

static void *owner(unsigned i)
{
	return (void *)(uintptr_t)(0x1000 + 64 * i);
}

struct model {
	bool     owners[NAMES][OWNERS];
	uint64_t drops;
};

static uint32_t members_of(const struct keyset *set, unsigned name, const struct model *model)
{
	char text[16];
	uint32_t at = 0, count = 0;
	void *pointer;
	const struct keyset_node *node = keyset_find(set, name_of(name, text));
	while (node != NULL && (pointer = keyset_next(node, &at)) != NULL) {
		unsigned who = (unsigned)(((uintptr_t)pointer - 0x1000) / 64);
		cr_assert(model->owners[name][who]);
		count++;
	}
	return count;
}

static uint64_t dropped;

static void drop(void *pointer)
{
	cr_assert_not_null(pointer);
	dropped++;
}

static void finish(struct keyset *set, uint64_t members)
{
	unsigned slices = 1;
	dropped = 0;
	while (!keyset_free_some(set, 100, drop))
		slices++;
	cr_assert_eq(dropped, members);
	cr_assert_gt(slices, 1);
}

Test(keyset, holds_what_a_naive_model_holds)
{
	struct memory memory = {0};
	struct random random;
	struct model *model = calloc(1, sizeof(*model));
	struct keyset *set = keyset_new(&memory, 5);
	char text[16];
	random_init(&random, 11);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned name = (unsigned)random_below(&random, NAMES);
		unsigned who = (unsigned)random_below(&random, name % 7 == 0 ? OWNERS : 2);
		if (random_below(&random, 10) == 0) {
			struct keyset_node *node = keyset_find(set, name_of(name, text));
			if (node != NULL)
				keyset_remove(set, node);
			memset(model->owners[name], 0, sizeof(model->owners[name]));
			continue;
		}
		bool added = keyset_add(set, keyset_put(set, name_of(name, text)), owner(who));
		cr_assert_eq(added, !model->owners[name][who]);
		model->owners[name][who] = true;
	}
	uint64_t names = 0, members = 0;
	for (unsigned name = 0; name < NAMES; name++) {
		uint32_t expected = 0;
		for (unsigned who = 0; who < OWNERS; who++)
			expected += model->owners[name][who];
		cr_assert_eq(members_of(set, name, model), expected);
		names += expected > 0;
		members += expected;
	}
	cr_assert_eq(set->count, names);
	cr_assert_eq(set->members, members);
	finish(set, members);
	cr_assert_eq(memory.bytes, 0);
	free(model);
}

static void count_node(void *ctx, const struct keyset_node *node)
{
	cr_assert_eq(node->word, node->len);
	++*(uint64_t *)ctx;
}

Test(keyset, visits_every_name_once_and_finds_any)
{
	struct memory memory = {0};
	struct random random;
	struct keyset *set = keyset_new(&memory, 5);
	char text[16];
	uint64_t seen = 0;
	random_init(&random, 3);
	cr_assert_null(keyset_any(set, &random));
	keyset_put(set, (struct span){0})->word = 0;
	for (unsigned i = 0; i < 3000; i++) {
		struct keyset_node *node = keyset_put(set, name_of(i, text));
		node->word = node->len;
	}
	keyset_each(set, count_node, &seen);
	cr_assert_eq(seen, 3001);
	while (set->count > 0) {
		struct keyset_node *node = keyset_any(set, &random);
		cr_assert_not_null(node);
		keyset_remove(set, node);
	}
	finish(set, 0);
	cr_assert_eq(memory.bytes, 0);
}
