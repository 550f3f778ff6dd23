/* search/aggregate_reduce.c: what reducers gather of a group, and make of it; see aggregate.h. */
#include "search/aggregate_parts.h"

#include <math.h>
#include <stdlib.h>

enum { CASCADE_LEVELS_MAX = 40 };

/* ---- Distinct values ---- */

/* False: it was there. */
static bool seen_put(uint64_t *seen, uint32_t cap, uint64_t hash)
{
	for (uint32_t at = (uint32_t)hash & (cap - 1);; at = (at + 1) & (cap - 1)) {
		if (seen[at] == hash)
			return false;
		if (seen[at] == 0) {
			seen[at] = hash;
			return true;
		}
	}
}

static bool seen_grow(struct aggregate *aggregate, struct tally *tally)
{
	uint32_t cap = tally->seen_cap == 0 ? 16 : tally->seen_cap * 2;
	uint64_t *seen = arena_alloc(&aggregate->kept, cap * sizeof(*seen));
	if (seen == NULL)
		return false;
	memset(seen, 0, cap * sizeof(*seen));
	for (uint32_t i = 0; i < tally->seen_cap; i++)
		if (tally->seen[i] != 0)
			(void)seen_put(seen, cap, tally->seen[i]);
	tally->seen = seen;               /* the old one goes with the arena */
	tally->seen_cap = cap;
	return true;
}

/* False: no room. */
static bool seen_add(
    struct aggregate *aggregate, struct tally *tally, const struct value *value, bool *is_new)
{
	uint64_t hash = value_hash(value, aggregate->seed);
	if (hash == 0)
		hash = 1;
	if ((tally->seen_count + 1) * 4 > tally->seen_cap * 3 && !seen_grow(aggregate, tally))
		return false;
	*is_new = seen_put(tally->seen, tally->seen_cap, hash);
	tally->seen_count += *is_new;
	return true;
}

static bool list_add(struct aggregate *aggregate, struct tally *tally, const struct value *value)
{
	bool is_new;
	uint32_t count = tally->seen_count;
	if (!seen_add(aggregate, tally, value, &is_new))
		return false;
	if (!is_new)
		return true;
	if (count == tally->item_cap) {
		uint32_t cap = tally->item_cap == 0 ? 8 : tally->item_cap * 2;
		struct value *items = arena_alloc(&aggregate->kept, cap * sizeof(*items));
		if (items == NULL)
			return false;
		if (count > 0)
			memcpy(items, tally->items, count * sizeof(*items));
		tally->items = items;
		tally->item_cap = cap;
	}
	return value_keep(&aggregate->kept, value_first(value), &tally->items[count]);
}

/* ---- Quantiles ---- */

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static struct cascade *cascade_new(struct aggregate *aggregate)
{
	struct cascade *level = arena_alloc(&aggregate->kept, sizeof(*level));
	double *values = arena_alloc(&aggregate->kept, QUANTILE_EXACT * sizeof(*values));
	if (level == NULL || values == NULL)
		return NULL;
	*level = (struct cascade){.values = values};
	return level;
}

/* Every other value goes up, with twice the weight. */
static void cascade_halve(struct tally *tally, struct cascade *level)
{
	struct cascade *above = level->above;
	ASSERT(level->count == QUANTILE_EXACT);
	ASSERT(above->count <= QUANTILE_EXACT / 2);
	qsort(level->values, level->count, sizeof(double), compare_doubles);
	for (uint32_t i = tally->odd; i < level->count; i += 2)
		above->values[above->count++] = level->values[i];
	level->count = 0;
	tally->odd = !tally->odd;
}

static bool cascade_add(struct aggregate *aggregate, struct tally *tally, double number)
{
	struct cascade *full[CASCADE_LEVELS_MAX];
	uint32_t count = 0;
	if (tally->cascade == NULL)
		tally->cascade = cascade_new(aggregate);
	struct cascade *level = tally->cascade;
	for (; level != NULL && level->count == QUANTILE_EXACT; level = level->above) {
		if (level->above == NULL)
			level->above = cascade_new(aggregate);
		if (count == CASCADE_LEVELS_MAX)
			return false;
		full[count++] = level;
	}
	if (level == NULL)
		return false;
	while (count > 0)
		cascade_halve(tally, full[--count]);
	tally->cascade->values[tally->cascade->count++] = number;
	return true;
}

struct weighted {
	double   value;
	uint64_t weight;
};

static int compare_weighted(const void *a, const void *b)
{
	return compare_doubles(a, b);
}

static struct value cascade_quantile(
    struct aggregate *aggregate, const struct tally *tally, double quantile)
{
	uint32_t count = 0;
	uint64_t sum = 0, weight = 1, passed = 0;
	for (const struct cascade *level = tally->cascade; level != NULL; level = level->above)
		count += level->count;
	struct weighted *all = arena_alloc(&aggregate->scratch, count * sizeof(*all));
	if (all == NULL || count == 0)
		return (struct value){.kind = VALUE_NIL};
	count = 0;
	for (const struct cascade *level = tally->cascade; level != NULL; level = level->above) {
		for (uint32_t i = 0; i < level->count; i++)
			all[count++] = (struct weighted){level->values[i], weight};
		sum += weight * level->count;
		weight *= 2;
	}
	qsort(all, count, sizeof(*all), compare_weighted);
	/* The nearest rank. */
	uint64_t rank = (uint64_t)ceil(quantile * (double)sum);
	for (uint32_t i = 0; i < count; i++) {
		passed += all[i].weight;
		if (passed >= rank)
			return value_number(all[i].value);
	}
	return value_number(all[count - 1].value);
}

/* ---- All of them ---- */

static bool first_value(struct aggregate *aggregate, const struct reducer *reducer,
    struct tally *tally, const struct value *row)
{
	const struct value *by = reducer->has_by ? value_first(&row[reducer->by]) : NULL;
	if (tally->count > 1 && by == NULL)
		return true;
	if (tally->count > 1) {
		int order = value_compare(by, &tally->best_by);
		bool nil = by->kind == VALUE_NIL || tally->best_by.kind == VALUE_NIL;
		if (order == 0 || (nil ? order > 0 : reducer->descending ? order < 0 : order > 0))
			return true;
	}
	if (by != NULL && !value_keep(&aggregate->kept, by, &tally->best_by))
		return false;
	return value_keep(&aggregate->kept, value_first(&row[reducer->column]), &tally->best);
}

static void add_number(struct tally *tally, const struct reducer *reducer, double number)
{
	tally->count++;
	tally->sum += number;
	double delta = number - tally->mean;
	tally->mean += delta / (double)tally->count;
	tally->squares += delta * (number - tally->mean);
	if (tally->count == 1 ||
	    (reducer->kind == REDUCE_MIN ? number < tally->best.number : number > tally->best.number))
		tally->best = value_number(number);
}

bool tally_add(struct aggregate *aggregate, const struct reducer *reducer, struct tally *tally,
    const struct value *row)
{
	const struct value *value = &row[reducer->column];
	double number;
	bool is_new;
	switch (reducer->kind) {
	case REDUCE_COUNT:
		tally->count++;
		return true;
	case REDUCE_FIRST_VALUE:
		tally->count++;
		return first_value(aggregate, reducer, tally, row);
	case REDUCE_COUNT_DISTINCT:
	case REDUCE_TOLIST:
		for (uint32_t i = 0; i < (value->kind == VALUE_LIST ? value->count : 1); i++) {
			const struct value *one = value->kind == VALUE_LIST ? &value->items[i] : value;
			if (one->kind == VALUE_NIL)
				continue;
			if (reducer->kind == REDUCE_TOLIST ? !list_add(aggregate, tally, one)
			                                   : !seen_add(aggregate, tally, one, &is_new))
				return false;
		}
		return true;
	default:
		break;
	}
	if (!value_to_number(value, &number))
		return true;
	add_number(tally, reducer, number);
	return reducer->kind != REDUCE_QUANTILE || cascade_add(aggregate, tally, number);
}

struct value tally_value(
    struct aggregate *aggregate, const struct reducer *reducer, struct tally *tally)
{
	double count = (double)tally->count;
	switch (reducer->kind) {
	case REDUCE_COUNT:
		return value_number(count);
	case REDUCE_COUNT_DISTINCT:
		return value_number(tally->seen_count);
	case REDUCE_SUM:
		return value_number(tally->sum);
	case REDUCE_AVG:
		return count == 0 ? tally->best : value_number(tally->mean);
	case REDUCE_STDDEV:
		return value_number(count < 2 ? 0 : sqrt(tally->squares / (count - 1)));
	case REDUCE_QUANTILE:
		return cascade_quantile(aggregate, tally, reducer->quantile);
	case REDUCE_TOLIST:
		return (struct value){
		    .kind = VALUE_LIST, .count = tally->seen_count, .items = tally->items};
	default:
		return tally->best;
	}
}
