/* tests/unit/cache/naive.c: see naive.h. */
#include "naive.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

void naive_init(struct naive *model, enum entry_type type)
{
	*model = (struct naive){.type = type, .cap = 64};
	model->elements = calloc(model->cap, sizeof(model->elements[0]));
}

void naive_fini(struct naive *model) { free(model->elements); }

uint64_t naive_find(const struct naive *model, const char *name)
{
	uint64_t at = 0;
	while (at < model->count && strcmp(model->elements[at].name, name) != 0)
		at++;
	return at;
}

void naive_insert(struct naive *model, uint64_t place, const struct naive_element *element)
{
	if (model->count == model->cap) {
		model->cap *= 2;
		model->elements = realloc(model->elements, model->cap * sizeof(model->elements[0]));
	}
	memmove(&model->elements[place + 1], &model->elements[place],
	    (model->count - place) * sizeof(*element));
	model->elements[place] = *element;
	model->count++;
}

void naive_delete(struct naive *model, uint64_t place, uint64_t count)
{
	memmove(&model->elements[place], &model->elements[place + count],
	    (model->count - place - count) * sizeof(model->elements[0]));
	model->count -= count;
}

void naive_set(struct naive *model, const struct naive_element *element)
{
	uint64_t at = naive_find(model, element->name);
	if (at < model->count)
		naive_delete(model, at, 1);
	if (model->type == ENTRY_ZSET)
		for (at = 0; at < model->count; at++) {
			const struct naive_element *other = &model->elements[at];
			if (other->score > element->score ||
			    (other->score == element->score && strcmp(other->name, element->name) > 0))
				break;
		}
	naive_insert(model, at, element);
}

static bool is_text(struct span bytes, const char *text) { return span_equal(bytes, span_text(text)); }

static void check_ordered(const struct naive *model, const struct value *value)
{
	struct walk walk;
	uint64_t from = model->count / 3;
	walk_init(&walk, value);
	for (uint64_t i = 0; i < model->count; i++) {
		cr_assert(walk_next(&walk));
		cr_assert(is_text(walk.name.bytes, model->elements[i].name), "element %lu is %.*s, not %s", i,
		    (int)walk.name.bytes.len, walk.name.bytes.ptr, model->elements[i].name);
		cr_assert(model->type != ENTRY_ZSET || walk.score == model->elements[i].score);
	}
	cr_assert(!walk_next(&walk));
	for (unsigned reverse = 0; reverse < 2; reverse++) {
		walk_init_at(&walk, value, from, reverse != 0);
		for (uint64_t i = from; i < model->count; i += reverse != 0 ? UINT64_MAX : 1) {
			cr_assert(walk_next(&walk));
			cr_assert(is_text(walk.name.bytes, model->elements[i].name));
		}
		cr_assert(!walk_next(&walk));
	}
}

static void check_unordered(const struct naive *model, const struct value *value)
{
	struct walk walk;
	bool *seen = calloc(model->count + 1, sizeof(*seen));
	walk_init(&walk, value);
	while (walk_next(&walk)) {
		char name[NAIVE_TEXT] = {0};
		memcpy(name, walk.name.bytes.ptr, walk.name.bytes.len);
		uint64_t at = naive_find(model, name);
		cr_assert(at < model->count && !seen[at]);
		cr_assert(model->type != ENTRY_HASH || is_text(walk.data.bytes, model->elements[at].data));
		seen[at] = true;
	}
	cr_assert_eq(walk.place, model->count);
	free(seen);
}

static void check_one(const struct naive *model, const struct value *value, uint64_t i)
{
	const struct naive_element *element = &model->elements[i];
	struct span name = span_text(element->name);
	struct item item;
	double score;
	uint64_t rank;
	if (model->type == ENTRY_HASH)
		cr_assert(hash_get(value, name, &item) && is_text(item.bytes, element->data));
	if (model->type == ENTRY_SET)
		cr_assert(set_has(value, name));
	if (model->type == ENTRY_ZSET) {
		cr_assert(zset_score(value, name, &score) && score == element->score);
		cr_assert(zset_rank(value, name, &rank) && rank == i);
	}
}

void naive_check(const struct naive *model, const struct value *value)
{
	cr_assert_eq(value->count, model->count, "%lu elements, not %lu", value->count, model->count);
	if (model->type == ENTRY_LIST || model->type == ENTRY_ZSET)
		check_ordered(model, value);
	else
		check_unordered(model, value);
	for (uint64_t i = 0; i < model->count && model->type != ENTRY_LIST; i++)
		check_one(model, value, i);
}
