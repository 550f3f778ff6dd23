/* tests/unit/cache/value_test.c: values changed by random operations, beside a naive model, in every
 * form and across the limits; dumps; random members; ranges. */
#include "naive.h"

#include "base/number.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The forms that a value goes through: never left, left at 20 elements, left at once. */
static struct value_limits limits_of(unsigned way)
{
	static const uint32_t entries[] = {100000, 20, 0};
	static const int32_t sizes[] = {-5, 20, 3};
	uint32_t most = entries[way];
	return (struct value_limits){
		.hash_entries = most, .hash_bytes = 40, .set_entries = most, .set_bytes = 40,
		.intset_entries = most, .zset_entries = most, .zset_bytes = 40, .list_size = sizes[way],
		.seed = 1234 + way,
	};
}

struct rig {
	struct memory       memory, buffers;
	struct value        value;
	struct value_limits limits;
	struct naive        model;
	struct buf          ops;
	struct random       random;
	uint64_t            names;        /* how many different ones */
};

static void rig_init(struct rig *rig, enum entry_type type, unsigned way, uint64_t names)
{
	*rig = (struct rig){.limits = limits_of(way), .names = names};
	random_init(&rig->random, 100 * type + way);
	value_init(&rig->value, type, &rig->memory);
	naive_init(&rig->model, type);
	buf_init(&rig->ops, &rig->buffers);
}

static void rig_fini(struct rig *rig)
{
	value_fini(&rig->value);
	naive_fini(&rig->model);
	buf_fini(&rig->ops);
	cr_assert_eq(rig->memory.bytes, 0);
}

static struct naive_element random_element(struct rig *rig)
{
	struct naive_element element = {0};
	uint64_t number = random_below(&rig->random, rig->names);
	unsigned kind = (unsigned)(number % 3);
	if (kind == 0)
		snprintf(element.name, NAIVE_TEXT, "%lld", (long long)number * (number % 2 ? 1 : -100000));
	else
		snprintf(element.name, NAIVE_TEXT, "%0*llu", kind == 1 ? 5 : 31, (unsigned long long)number);
	snprintf(element.data, NAIVE_TEXT, "%0*llu", (int)random_below(&rig->random, 45),
	    (unsigned long long)random_below(&rig->random, 1000));
	element.score = (double)random_below(&rig->random, 40) / (number % 2 ? 4 : 1) - 3;
	if (random_below(&rig->random, 50) == 0)
		element.score = random_below(&rig->random, 2) == 0 ? -INFINITY : INFINITY;
	return element;
}

/* One operation, for the value and for the model. */
static void step_member(struct rig *rig, bool growing)
{
	struct naive_element element = random_element(rig);
	struct span name = span_text(element.name);
	struct naive *model = &rig->model;
	uint64_t at = naive_find(model, element.name), kind = random_below(&rig->random, 40);
	if (kind == 0 && model->type == ENTRY_ZSET && model->count > 0) {
		uint64_t first = random_below(&rig->random, model->count);
		uint64_t count = 1 + random_below(&rig->random, 4);
		ops_range(&rig->ops, OP_CUT, first, count);
		naive_delete(model, first, count < model->count - first ? count : model->count - first);
		return;
	}
	if (kind < (growing ? 10U : 30U)) {
		ops_member(&rig->ops, OP_DELETE, name);
		if (at < model->count)
			naive_delete(model, at, 1);
		return;
	}
	if (model->type == ENTRY_HASH)
		ops_set(&rig->ops, name, span_text(element.data));
	else if (model->type == ENTRY_SET)
		ops_member(&rig->ops, OP_ADD, name);
	else
		ops_score(&rig->ops, name, element.score);
	naive_set(model, &element);
}

static void step_list_remove(struct rig *rig)
{
	struct naive *model = &rig->model;
	uint64_t count = 1 + random_below(&rig->random, 3), most = model->count;
	uint64_t part = count < most ? count : most, first;
	switch (random_below(&rig->random, 3)) {
	case 0:
		ops_count(&rig->ops, OP_POP_HEAD, count);
		naive_delete(model, 0, part);
		return;
	case 1:
		ops_count(&rig->ops, OP_POP_TAIL, count);
		naive_delete(model, most - part, part);
		return;
	default:
		first = random_below(&rig->random, most + 1);
		ops_range(&rig->ops, OP_REMOVE, first, count * 5);
		naive_delete(model, first, count * 5 < most - first ? count * 5 : most - first);
	}
}

static void step_list(struct rig *rig, bool growing)
{
	struct naive *model = &rig->model;
	struct naive_element element = random_element(rig);
	struct span name = span_text(element.name);
	uint64_t place = random_below(&rig->random, model->count + 1);
	if (random_below(&rig->random, 12) < (growing ? 1U : 5U)) {
		step_list_remove(rig);
		return;
	}
	switch (random_below(&rig->random, 4)) {
	case 0:
		ops_member(&rig->ops, OP_PUSH_HEAD, name);
		naive_insert(model, 0, &element);
		return;
	case 1:
		ops_member(&rig->ops, OP_PUSH_TAIL, name);
		naive_insert(model, model->count, &element);
		return;
	case 2:
		ops_place(&rig->ops, OP_INSERT, place, name);
		naive_insert(model, place, &element);
		return;
	default:
		ops_place(&rig->ops, OP_PUT, place, name);
		if (place < model->count)
			model->elements[place] = element;
	}
}

static void rig_step(struct rig *rig, unsigned step)
{
	uint64_t before = rig->model.count, added, removed;
	bool growing = step / 500 % 2 == 0;
	buf_clear(&rig->ops);
	for (uint64_t i = random_below(&rig->random, 3) + 1; i > 0; i--) {
		if (rig->model.type == ENTRY_LIST)
			step_list(rig, growing);
		else
			step_member(rig, growing);
	}
	if (step % 5000 == 4999) {
		ops_clear(&rig->ops);
		rig->model.count = 0;
	}
	cr_assert_eq(value_apply(&rig->value, buf_span(&rig->ops), &rig->limits, &added, &removed), OK);
	cr_assert_eq(before + added - removed, rig->model.count);
	cr_assert_eq(rig->value.bytes, rig->memory.bytes);
}

/* Out into bytes and back: the same, in the same form. */
static void check_dump(struct rig *rig)
{
	struct value loaded;
	struct buf dump;
	buf_init(&dump, &rig->buffers);
	value_dump(&rig->value, &dump);
	value_init(&loaded, rig->value.type, &rig->memory);
	enum err err = value_load(&loaded, rig->value.encoding, buf_span(&dump), &rig->limits);
	cr_assert_eq(err, OK, "%s: %s", value_encoding_name(&rig->value), err_name(err));
	cr_assert_eq(loaded.encoding, rig->value.encoding);
	naive_check(&rig->model, &loaded);
	for (size_t len = 0; len < dump.len; len += 1 + dump.len / 50) {
		struct value broken;
		value_init(&broken, rig->value.type, &rig->memory);
		struct span part = span_slice(buf_span(&dump), 0, len);
		if (value_load(&broken, rig->value.encoding, part, &rig->limits) == OK)
			cr_assert_lt(broken.count, rig->value.count);
		value_fini(&broken);
	}
	value_fini(&loaded);
	buf_fini(&dump);
}

struct found { const struct naive *model; uint64_t count; };

static void count_found(void *ctx, struct span name, struct span data, double score)
{
	struct found *found = ctx;
	char text[NAIVE_TEXT] = {0};
	UNUSED(data);
	UNUSED(score);
	memcpy(text, name.ptr, name.len);
	found->count += naive_find(found->model, text) < found->model->count;
}

static void check_scan(struct rig *rig)
{
	struct found found = {&rig->model, 0};
	uint64_t cursor = 0;
	do
		cursor = value_scan(&rig->value, cursor, count_found, &found);
	while (cursor != 0);
	cr_assert_eq(found.count, rig->model.count);
	for (unsigned i = 0; i < 10 && rig->model.count > 0; i++) {
		struct item name, data;
		char text[NAIVE_TEXT] = {0};
		double score = 0;
		value_random(&rig->value, &rig->random, &name, &data, &score);
		memcpy(text, name.bytes.ptr, name.bytes.len);
		uint64_t at = naive_find(&rig->model, text);
		cr_assert_lt(at, rig->model.count);
		cr_assert(rig->model.type != ENTRY_ZSET || score == rig->model.elements[at].score);
		cr_assert(rig->model.type != ENTRY_HASH ||
		    span_equal(data.bytes, span_text(rig->model.elements[at].data)));
	}
}

static void check_ranges(struct rig *rig)
{
	for (unsigned i = 0; i < 20; i++) {
		struct naive_element low = random_element(rig), high = random_element(rig);
		struct score_range range = {low.score, high.score, i % 2 != 0, i % 4 >= 2};
		uint64_t from, to, want_from = 0, want_to = 0;
		for (uint64_t at = 0; at < rig->model.count; at++) {
			double score = rig->model.elements[at].score;
			want_from += score < range.min || (range.min_open && score == range.min);
			want_to += score < range.max || (!range.max_open && score == range.max);
		}
		zset_score_ranks(&rig->value, &range, &from, &to);
		cr_assert_eq(from, want_from);
		cr_assert_eq(to, want_to < want_from ? want_from : want_to);
	}
}

static void run(enum entry_type type, unsigned way, uint64_t names, unsigned steps)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	rig_init(rig, type, way, names);
	for (unsigned step = 0; step < steps; step++) {
		rig_step(rig, step);
		if (step % 97 == 0)
			naive_check(&rig->model, &rig->value);
		if (step % 997 == 0)
			check_dump(rig);
		if (step % 499 == 0 && type != ENTRY_LIST)
			check_scan(rig);
		if (step % 499 == 0 && type == ENTRY_ZSET)
			check_ranges(rig);
	}
	rig_fini(rig);
	free(rig);
}

static void run_ways(enum entry_type type, uint64_t names)
{
	for (unsigned way = 0; way < 3; way++)
		run(type, way, 60 + names * way, 6000);
}

Test(value, hashes_are_as_their_model) { run_ways(ENTRY_HASH, 300); }
Test(value, sets_are_as_their_model) { run_ways(ENTRY_SET, 300); }
Test(value, sorted_sets_are_as_their_model) { run_ways(ENTRY_ZSET, 300); }
Test(value, lists_are_as_their_model) { run_ways(ENTRY_LIST, 1000); }
Test(value, large_sorted_sets_are_as_their_model) { run(ENTRY_ZSET, 2, 4000, 9000); }

/* A rig with so many different members, or elements. */
static void rig_fill(struct rig *rig, uint64_t count)
{
	char text[32];
	buf_clear(&rig->ops);
	for (uint64_t i = 0; i < count; i++) {
		struct span name = span_of(text, (size_t)snprintf(text, sizeof(text), "m%06u", (unsigned)i));
		if (rig->value.type == ENTRY_HASH)
			ops_set(&rig->ops, name, name);
		else if (rig->value.type == ENTRY_ZSET)
			ops_score(&rig->ops, name, 0);
		else
			ops_member(&rig->ops, rig->value.type == ENTRY_SET ? OP_ADD : OP_PUSH_TAIL, name);
	}
	cr_assert_eq(value_apply(&rig->value, buf_span(&rig->ops), &rig->limits, NULL, NULL), OK);
	cr_assert_eq(rig->value.count, count);
}

Test(value, leaves_its_small_form_just_beyond_the_limits)
{
	static const struct { enum entry_type type; const char *small, *large; } rows[] = {
		{ENTRY_HASH, "listpack", "hashtable"}, {ENTRY_SET, "listpack", "hashtable"},
		{ENTRY_ZSET, "listpack", "skiplist"}, {ENTRY_LIST, "listpack", "quicklist"},
	};
	for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
		struct rig rig;
		rig_init(&rig, rows[i].type, 1, 1);
		rig_fill(&rig, 20);
		cr_expect_str_eq(value_encoding_name(&rig.value), rows[i].small);
		buf_clear(&rig.ops);
		value_fini(&rig.value);
		rig_fill(&rig, 21);
		cr_expect_str_eq(value_encoding_name(&rig.value), rows[i].large);
		rig_fini(&rig);
	}
}

Test(value, refuses_operations_of_another_type)
{
	struct rig rig;
	rig_init(&rig, ENTRY_SET, 0, 1);
	ops_score(&rig.ops, SPAN_LIT("a"), 1);
	cr_expect_eq(value_apply(&rig.value, buf_span(&rig.ops), &rig.limits, NULL, NULL), ERR_CORRUPT);
	buf_clear(&rig.ops);
	ops_member(&rig.ops, OP_ADD, SPAN_LIT("a"));
	struct span cut = span_slice(buf_span(&rig.ops), 0, rig.ops.len - 1);
	cr_expect_eq(value_apply(&rig.value, cut, &rig.limits, NULL, NULL), ERR_CORRUPT);
	rig_fini(&rig);
}

Test(value, a_dump_in_pieces_has_all_that_stays)
{
	struct rig rig;
	rig_init(&rig, ENTRY_ZSET, 2, 1);
	rig_fill(&rig, 3000);
	struct buf dump;
	struct value copy;
	uint64_t cursor = 0, pieces = 0;
	buf_init(&dump, &rig.buffers);
	do {
		cursor = value_dump_some(&rig.value, cursor, 500, &dump);
		buf_clear(&rig.ops);
		ops_range(&rig.ops, OP_CUT, 2000, 10);
		cr_assert_eq(value_apply(&rig.value, buf_span(&rig.ops), &rig.limits, NULL, NULL), OK);
		pieces++;
	} while (cursor != 0);
	cr_expect_gt(pieces, 20);
	value_init(&copy, ENTRY_ZSET, &rig.memory);
	cr_assert_eq(value_apply(&copy, buf_span(&dump), &rig.limits, NULL, NULL), OK);
	struct walk walk;
	walk_init(&walk, &rig.value);
	while (walk_next(&walk)) {
		double score;
		cr_assert(zset_score(&copy, walk.name.bytes, &score));
	}
	value_fini(&copy);
	buf_fini(&dump);
	rig_fini(&rig);
}

Test(value, is_freed_a_little_at_a_time)
{
	static const enum entry_type types[] = {ENTRY_HASH, ENTRY_SET, ENTRY_ZSET, ENTRY_LIST};
	for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
		struct rig rig;
		unsigned rounds = 0;
		rig_init(&rig, types[i], 2, 1);
		rig_fill(&rig, 20000);
		cr_assert_eq(rig.value.bytes, rig.memory.bytes);
		while (value_shrink(&rig.value, 1000))
			rounds++;
		cr_expect_gt(rounds, types[i] == ENTRY_LIST ? 4 : 15);
		cr_expect_eq(rig.value.bytes, rig.memory.bytes);
		cr_expect_lt(rig.memory.bytes, 1000);
		rig_fini(&rig);
	}
}

Test(value, a_borrowed_one_reads_the_bytes_and_gets_its_own_to_change)
{
	struct rig rig;
	struct buf dump;
	struct value borrowed;
	rig_init(&rig, ENTRY_HASH, 0, 1);
	rig_fill(&rig, 10);
	buf_init(&dump, &rig.buffers);
	value_dump(&rig.value, &dump);
	cr_assert(value_check(ENTRY_HASH, VALUE_PACKED, buf_span(&dump)));
	value_borrow(&borrowed, ENTRY_HASH, VALUE_PACKED, buf_span(&dump));
	struct item item;
	cr_expect(hash_get(&borrowed, SPAN_LIT("m000004"), &item));
	value_own(&borrowed, &rig.memory);
	buf_fini(&dump);
	buf_clear(&rig.ops);
	ops_member(&rig.ops, OP_DELETE, SPAN_LIT("m000004"));
	cr_assert_eq(value_apply(&borrowed, buf_span(&rig.ops), &rig.limits, NULL, NULL), OK);
	cr_expect(!hash_get(&borrowed, SPAN_LIT("m000004"), &item));
	cr_expect(hash_get(&borrowed, SPAN_LIT("m000005"), &item));
	value_fini(&borrowed);
	rig_fini(&rig);
}

Test(value, lex_ranges_are_between_their_bounds)
{
	static const struct { struct lex_range range; uint64_t from, to; } cases[] = {
		{{.min_infinite = true, .max_infinite = true}, 0, 60},
		{{.min = SPAN_LIT("m000010"), .max = SPAN_LIT("m000020")}, 10, 21},
		{{.min = SPAN_LIT("m000010"), .max = SPAN_LIT("m000020"), .min_open = true, .max_open = true}, 11, 20},
		{{.min = SPAN_LIT("m00001"), .max_infinite = true}, 10, 60},
		{{.min_infinite = true, .max = SPAN_LIT("a")}, 0, 0},
		{{.min = SPAN_LIT("m000020"), .max = SPAN_LIT("m000010")}, 20, 20},
		{{.is_empty = true}, 0, 0},
	};
	for (unsigned way = 0; way < 3; way++) {
		struct rig rig;
		rig_init(&rig, ENTRY_ZSET, way, 1);
		rig_fill(&rig, 60);
		for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
			uint64_t from, to;
			zset_lex_ranks(&rig.value, &cases[i].range, &from, &to);
			cr_expect_eq(from, cases[i].from, "case %zu", i);
			cr_expect_eq(to, cases[i].to, "case %zu", i);
		}
		rig_fini(&rig);
	}
}

Test(ops, say_what_they_can_take_away_and_whether_they_speak_of_places)
{
	struct memory memory = {0};
	struct buf ops;
	buf_init(&ops, &memory);
	ops_member(&ops, OP_DELETE, SPAN_LIT("a"));
	ops_count(&ops, OP_POP_HEAD, 5);
	ops_place(&ops, OP_PUT, 3, SPAN_LIT("b"));
	cr_expect_eq(ops_removes(buf_span(&ops)), 6);
	cr_expect(!ops_have_places(buf_span(&ops)));
	ops_range(&ops, OP_REMOVE, 7, UINT64_MAX);
	cr_expect_eq(ops_removes(buf_span(&ops)), UINT64_MAX);
	cr_expect(ops_have_places(buf_span(&ops)));
	buf_fini(&ops);
}
