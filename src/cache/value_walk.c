/* cache/value_walk.c: reading values: members, walks, ranges, scans, random ones. See value.h. */
#include "cache/value_impl.h"

#include "base/arith.h"
#include "base/number.h"

bool value_packed_find(const struct value *value, const struct needle *needle, uint32_t *at)
{
	unsigned stride = value->type == ENTRY_HASH || value->type == ENTRY_ZSET ? 2 : 1;
	*at = packed_find(&value->packed, PACKED_HEAD, needle, stride);
	return *at < packed_end(&value->packed);
}

bool hash_get(const struct value *value, struct span field, struct item *out)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->type == ENTRY_HASH);
	if (value->encoding == VALUE_TABLE) {
		struct member **found = table_find(value->table, field);
		if (found != NULL)
			out->bytes = member_view(MEMBER_HASH, *found).data;
		return found != NULL;
	}
	uint32_t at;
	struct needle needle = needle_of(field);
	if (!value_packed_find(value, &needle, &at))
		return false;
	packed_get(&value->packed, packed_next(&value->packed, at), out);
	return true;
}

bool set_has(const struct value *value, struct span member)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->type == ENTRY_SET);
	if (value->encoding == VALUE_TABLE)
		return table_find(value->table, member) != NULL;
	uint32_t at;
	struct needle needle = needle_of(member);
	if (value->encoding == VALUE_INTSET)
		return needle.is_number && intset_find(&value->packed, needle.number, &at);
	return value_packed_find(value, &needle, &at);
}

bool zset_score(const struct value *value, struct span member, double *score)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->type == ENTRY_ZSET);
	if (value->encoding == VALUE_RANKS)
		return ranks_score(value->ranks, member, score);
	uint32_t at;
	struct needle needle = needle_of(member);
	if (!value_packed_find(value, &needle, &at))
		return false;
	*score = packed_score(&value->packed, packed_next(&value->packed, at));
	return true;
}

bool zset_rank(const struct value *value, struct span member, uint64_t *rank)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->type == ENTRY_ZSET);
	if (value->encoding == VALUE_RANKS)
		return ranks_rank(value->ranks, member, rank);
	struct needle needle = needle_of(member);
	uint32_t at = PACKED_HEAD, end = packed_end(&value->packed);
	for (*rank = 0; at < end; ++*rank) {
		if (packed_is(&value->packed, at, &needle))
			return true;
		at = packed_next(&value->packed, packed_next(&value->packed, at));
	}
	return false;
}

static const struct table *value_table(const struct value *value)
{
	if (value->encoding == VALUE_TABLE)
		return value->table;
	return value->encoding == VALUE_RANKS ? value->ranks->table : NULL;
}

static void prefetch_one(struct value_ahead *ahead, unsigned step)
{
	if (step == 0) {
		prefetch(ahead->value);
		prefetch((const char *)ahead->value + sizeof(*ahead->value) - 1);
	} else if (step == 1) {
		ahead->table = value_table(ahead->value);
		prefetch(ahead->table);
	} else if (ahead->table == NULL) {
		return;
	} else if (step == 2) {
		ahead->hash = table_prefetch_bucket(ahead->table, ahead->member);
	} else {
		table_prefetch_members(ahead->table, ahead->hash);
	}
}

void value_prefetch(struct value_ahead *ahead, uint32_t count, unsigned step)
{
	ASSERT(step < VALUE_AHEAD_STEPS);
	for (uint32_t i = 0; i < count; i++)
		prefetch_one(&ahead[i], step);
}

/* ---- Ranges ------------------------------------------------------------------------------------ */

static bool score_below(double score, double bound, bool or_equal)
{
	return score < bound || (or_equal && score == bound);
}

static uint64_t below_score(const struct value *value, double bound, bool or_equal)
{
	if (value->encoding == VALUE_RANKS)
		return ranks_below_score(value->ranks, bound, or_equal);
	struct walk walk;
	walk_init(&walk, value);
	while (walk_next(&walk))
		if (!score_below(walk.score, bound, or_equal))
			return walk.place - 1;
	return value->count;
}

static uint64_t below_name(const struct value *value, struct span bound, bool or_equal)
{
	if (value->encoding == VALUE_RANKS)
		return ranks_below_name(value->ranks, bound, or_equal);
	struct walk walk;
	walk_init(&walk, value);
	while (walk_next(&walk)) {
		int order = span_compare(walk.name.bytes, bound);
		if (order > 0 || (order == 0 && !or_equal))
			return walk.place - 1;
	}
	return value->count;
}

void zset_score_ranks(
    const struct value *value, const struct score_range *range, uint64_t *from, uint64_t *to)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->type == ENTRY_ZSET);
	*from = below_score(value, range->min, range->min_open);
	*to = max_u64(*from, below_score(value, range->max, !range->max_open));
}

void zset_lex_ranks(
    const struct value *value, const struct lex_range *range, uint64_t *from, uint64_t *to)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->type == ENTRY_ZSET);
	*from = *to = 0;
	if (range->is_empty)
		return;
	*from = range->min_infinite ? 0 : below_name(value, range->min, range->min_open);
	*to = range->max_infinite ? value->count : below_name(value, range->max, !range->max_open);
	*to = max_u64(*from, *to);
}

/* ---- Walks --------------------------------------------------------------------------------------- */

void walk_init(struct walk *walk, const struct value *value)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	walk->value = value;
	walk->reverse = false;
	walk->place = 0;
	walk->left = value->count;
	walk->score = 0;
	walk->name.bytes = walk->data.bytes = (struct span){0};
	memset(walk->at, 0, sizeof(walk->at));
	if (value->encoding == VALUE_TABLE || value->encoding == VALUE_INTSET)
		return;
	if (value->encoding == VALUE_PACKED)
		walk->at[0] = PACKED_HEAD;
	else
		walk_init_at(walk, value, 0, false);
}

static void walk_start(struct walk *walk, uint64_t place)
{
	const struct value *value = walk->value;
	struct counted_at at;
	uint64_t index = 0;
	if (value->encoding == VALUE_PACKED) {
		uint32_t stride = value->type == ENTRY_ZSET ? 2 : 1;
		if (walk->reverse)
			place++;              /* what is behind the first to come */
		walk->at[0] = packed_seek(&value->packed, (uint32_t)place * stride);
		return;
	}
	if (value->encoding == VALUE_RANKS)
		ranks_seek(value->ranks, place, &at);
	else
		sequence_seek(value->sequence, place, &at, &index);
	walk->at[0] = (uintptr_t)at.leaf;
	walk->at[1] = at.place;
	if (value->encoding == VALUE_SEQUENCE)
		walk->at[2] = packed_seek(sequence_run(&at), (uint32_t)index + (walk->reverse ? 1 : 0));
}

void walk_init_at(struct walk *walk, const struct value *value, uint64_t place, bool reverse)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->type == ENTRY_LIST || value->type == ENTRY_ZSET);
	ASSERT(place <= value->count);
	walk->value = value;
	walk->reverse = reverse;
	walk->place = 0;
	walk->score = 0;
	walk->left = place == value->count ? 0 : reverse ? place + 1 : value->count - place;
	if (walk->left > 0)
		walk_start(walk, place);
}

static void next_packed(struct walk *walk)
{
	const struct packed *packed = &walk->value->packed;
	uint32_t at = (uint32_t)walk->at[0], second;
	bool pairs = walk->value->type == ENTRY_HASH || walk->value->type == ENTRY_ZSET;
	if (walk->reverse) {
		at = packed_prev(packed, at);
		if (pairs)
			at = packed_prev(packed, at);
		walk->at[0] = at;
	}
	packed_get(packed, at, &walk->name);
	second = packed_next(packed, at);
	if (walk->value->type == ENTRY_ZSET)
		walk->score = packed_score(packed, second);
	else if (pairs)
		packed_get(packed, second, &walk->data);
	if (!walk->reverse)
		walk->at[0] = pairs ? packed_next(packed, second) : second;
}

static void next_ranks(struct walk *walk)
{
	struct counted_at at;
	at.leaf = (struct counted_leaf *)walk->at[0];
	at.place = (uint32_t)walk->at[1];
	const struct counted_slot *slot = counted_slot(&at);
	walk->name.bytes = member_name(MEMBER_ZSET, slot->item);
	walk->score = slot->score;
	if (walk->left == 0)
		return;
	bool more = walk->reverse ? counted_back(&at) : counted_forward(&at);
	ASSERT(more);
	walk->at[0] = (uintptr_t)at.leaf;
	walk->at[1] = at.place;
}

static void next_sequence(struct walk *walk)
{
	struct counted_at at;
	at.leaf = (struct counted_leaf *)walk->at[0];
	at.place = (uint32_t)walk->at[1];
	const struct packed *run = sequence_run(&at);
	uint32_t place = (uint32_t)walk->at[2];
	if (place == (walk->reverse ? PACKED_HEAD : packed_end(run))) {
		bool more = walk->reverse ? counted_back(&at) : counted_forward(&at);
		ASSERT(more);
		run = sequence_run(&at);
		place = walk->reverse ? packed_end(run) : PACKED_HEAD;
		walk->at[0] = (uintptr_t)at.leaf;
		walk->at[1] = at.place;
	}
	if (walk->reverse)
		place = packed_prev(run, place);
	packed_get(run, place, &walk->name);
	walk->at[2] = walk->reverse ? place : packed_next(run, place);
}

static void next_table(struct walk *walk)
{
	const struct value *value = walk->value;
	struct table_walk at = {walk->at[0], (const struct bucket *)walk->at[1], (unsigned)walk->at[2]};
	const struct member *member = table_next(value->table, &at);
	ASSERT(member != NULL);
	struct member_view view = member_view(value->table->kind, member);
	walk->name.bytes = view.name;
	walk->data.bytes = view.data;
	walk->at[0] = at.next;
	walk->at[1] = (uintptr_t)at.bucket;
	walk->at[2] = at.slot;
}

static void item_number(struct item *item, int64_t number)
{
	item->bytes = span_of(item->number, number_format_i64(number, item->number));
}

bool walk_next(struct walk *walk)
{
	const struct value *value = walk->value;
	if (walk->left == 0)
		return false;
	walk->left--;
	if (value->encoding == VALUE_PACKED)
		next_packed(walk);
	else if (value->encoding == VALUE_INTSET)
		item_number(&walk->name, intset_get(&value->packed, (uint32_t)walk->place));
	else if (value->encoding == VALUE_TABLE)
		next_table(walk);
	else if (value->encoding == VALUE_RANKS)
		next_ranks(walk);
	else
		next_sequence(walk);
	walk->place++;
	return true;
}

/* ---- Scans, random members -------------------------------------------------------------------------- */

struct scan {
	enum member_kind kind;
	value_each      *each;
	void            *ctx;
};

static void scan_one(void *ctx, const struct member *member)
{
	const struct scan *scan = ctx;
	struct member_view view = member_view(scan->kind, member);
	scan->each(scan->ctx, view.name, view.data, view.score);
}

uint64_t value_scan(const struct value *value, uint64_t cursor, value_each *each, void *ctx)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->type != ENTRY_LIST);
	if (value->encoding == VALUE_TABLE || value->encoding == VALUE_RANKS) {
		const struct table *table =
		    value->encoding == VALUE_TABLE ? value->table : value->ranks->table;
		struct scan scan = {table->kind, each, ctx};
		return table_scan(table, cursor, scan_one, &scan);
	}
	struct walk walk;
	walk_init(&walk, value);
	while (walk_next(&walk))
		each(ctx, walk.name.bytes, walk.data.bytes, walk.score);
	return 0;
}

void value_random(const struct value *value, struct random *random, struct item *name, struct item *data,
    double *score)
{
	CHECK_OBJ(value, VALUE_MAGIC);
	ASSERT(value->count > 0 && value->type != ENTRY_LIST);
	struct item skipped;
	if (value->encoding == VALUE_TABLE || value->encoding == VALUE_RANKS) {
		const struct table *table =
		    value->encoding == VALUE_TABLE ? value->table : value->ranks->table;
		struct member_view view = member_view(table->kind, table_random(table, random));
		name->bytes = view.name;
		if (data != NULL)
			data->bytes = view.data;
		if (score != NULL)
			*score = view.score;
		return;
	}
	uint32_t index = (uint32_t)random_below(random, value->count);
	if (value->encoding == VALUE_INTSET) {
		item_number(name, intset_get(&value->packed, index));
		return;
	}
	bool pairs = value->type == ENTRY_HASH || value->type == ENTRY_ZSET;
	uint32_t at = packed_seek(&value->packed, pairs ? index * 2 : index);
	packed_get(&value->packed, at, name);
	if (value->type == ENTRY_HASH)
		packed_get(&value->packed, packed_next(&value->packed, at), data != NULL ? data : &skipped);
	if (value->type == ENTRY_ZSET && score != NULL)
		*score = packed_score(&value->packed, packed_next(&value->packed, at));
}
