/* search/aggregate_group.c: GROUPBY: groups by the values of some columns; see aggregate.h. */
#include "search/aggregate_parts.h"

enum { COMBINATIONS_MAX = 4096 };         /* of the values of one row */

static uint64_t keys_hash(const struct aggregate *aggregate, const struct value *keys, uint32_t count)
{
	uint64_t hash = aggregate->seed;
	for (uint32_t i = 0; i < count; i++)
		hash = value_hash(&keys[i], hash + i);
	return hash;
}

static bool keys_equal(const struct value *a, const struct value *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (a[i].kind != b[i].kind || value_compare(&a[i], &b[i]) != 0)
			return false;
	return true;
}

static bool slots_grow(struct aggregate *aggregate, struct stage *stage)
{
	uint32_t cap = stage->slot_cap == 0 ? 256 : stage->slot_cap * 2;
	uint32_t *slots = arena_alloc(&aggregate->kept, cap * sizeof(*slots));
	struct group *groups = arena_alloc(&aggregate->kept, cap / 2 * sizeof(*groups));
	if (slots == NULL || groups == NULL)
		return false;
	memset(slots, 0, cap * sizeof(*slots));
	if (stage->group_count > 0)
		memcpy(groups, stage->groups, stage->group_count * sizeof(*groups));
	for (uint32_t i = 0; i < stage->group_count; i++) {
		uint32_t at = (uint32_t)groups[i].hash & (cap - 1);
		while (slots[at] != 0)
			at = (at + 1) & (cap - 1);
		slots[at] = i + 1;
	}
	stage->slots = slots;
	stage->slot_cap = cap;
	stage->groups = groups;
	stage->group_cap = cap / 2;
	return true;
}

static struct group *group_new(
    struct aggregate *aggregate, struct stage *stage, const struct value *keys, uint64_t hash)
{
	struct group group = {.hash = hash};
	size_t tallies = stage->reducer_count * sizeof(*group.tallies);
	group.keys = arena_alloc(&aggregate->kept, stage->column_count * sizeof(*group.keys));
	group.tallies = arena_alloc(&aggregate->kept, tallies);
	if (group.keys == NULL || group.tallies == NULL)
		return NULL;
	memset(group.tallies, 0, tallies);
	for (uint32_t i = 0; i < stage->column_count; i++)
		if (!value_keep(&aggregate->kept, &keys[i], &group.keys[i]))
			return NULL;
	ASSERT(stage->group_count < stage->group_cap);
	stage->groups[stage->group_count++] = group;
	return &stage->groups[stage->group_count - 1];
}

/* Makes it if there is none. NULL: no room. */
static struct group *group_find(
    struct aggregate *aggregate, struct stage *stage, const struct value *keys)
{
	uint64_t hash = keys_hash(aggregate, keys, stage->column_count);
	if (stage->group_count == stage->group_cap && !slots_grow(aggregate, stage))
		return NULL;
	uint32_t at = (uint32_t)hash & (stage->slot_cap - 1);
	for (; stage->slots[at] != 0; at = (at + 1) & (stage->slot_cap - 1)) {
		struct group *group = &stage->groups[stage->slots[at] - 1];
		if (group->hash == hash && keys_equal(group->keys, keys, stage->column_count))
			return group;
	}
	struct group *group = group_new(aggregate, stage, keys, hash);
	if (group != NULL)
		stage->slots[at] = stage->group_count;
	return group;
}

static bool group_count_row(struct aggregate *aggregate, struct stage *stage,
    const struct value *keys, const struct value *row)
{
	struct group *group = group_find(aggregate, stage, keys);
	for (uint32_t i = 0; group != NULL && i < stage->reducer_count; i++)
		if (!tally_add(aggregate, &stage->reducers[i], &group->tallies[i], row))
			return false;
	return group != NULL;
}

/* Once for each combination of the values of its columns. */
enum err group_add(struct aggregate *aggregate, struct stage *stage, const struct value *row)
{
	struct value keys[AGGREGATE_PROPERTIES_MAX];
	uint32_t at[AGGREGATE_PROPERTIES_MAX] = {0};
	for (uint32_t done = 0; done < COMBINATIONS_MAX; done++) {
		for (uint32_t i = 0; i < stage->column_count; i++) {
			const struct value *value = &row[stage->columns[i]];
			bool list = value->kind == VALUE_LIST && value->count > 0;
			keys[i] = list ? value->items[at[i]] : *value_first(value);
		}
		if (!group_count_row(aggregate, stage, keys, row))
			return ERR_OVERLOADED;
		uint32_t i = 0;
		for (; i < stage->column_count; i++) {
			const struct value *value = &row[stage->columns[i]];
			if (value->kind == VALUE_LIST && ++at[i] < value->count)
				break;
			at[i] = 0;
		}
		if (i == stage->column_count)
			return OK;
	}
	return ERR_OVERLOADED;
}

enum err group_row(struct aggregate *aggregate, struct stage *stage, uint64_t at, struct value *row)
{
	ASSERT(at < stage->group_count);
	struct group *group = &stage->groups[at];
	for (uint32_t i = 0; i < stage->column_count; i++)
		row[stage->columns[i]] = group->keys[i];
	for (uint32_t i = 0; i < stage->reducer_count; i++)
		row[stage->reducers[i].to] =
		    tally_value(aggregate, &stage->reducers[i], &group->tallies[i]);
	return OK;
}
