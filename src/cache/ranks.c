/* cache/ranks.c: see ranks.h. */
#include "cache/ranks.h"

#include "base/arith.h"

enum { RANKS_MAGIC = 0x2a9c5001 };

struct bound {
	double      score;
	struct span name;
	bool        or_equal;
};

static struct span slot_name(const struct counted_slot *slot) { return member_name(MEMBER_ZSET, slot->item); }

static bool below_score(const void *ctx, const struct counted_slot *slot)
{
	const struct bound *bound = ctx;
	return slot->score < bound->score || (bound->or_equal && slot->score == bound->score);
}

static bool below_name(const void *ctx, const struct counted_slot *slot)
{
	const struct bound *bound = ctx;
	int order = span_compare(slot_name(slot), bound->name);
	return order < 0 || (bound->or_equal && order == 0);
}

static bool below_member(const void *ctx, const struct counted_slot *slot)
{
	const struct bound *bound = ctx;
	if (slot->score != bound->score)
		return slot->score < bound->score;
	return span_compare(slot_name(slot), bound->name) < 0;
}

struct ranks *ranks_new(struct memory *memory, uint64_t seed)
{
	struct ranks *ranks = memory_alloc(memory, sizeof(*ranks));
	*ranks = (struct ranks){.magic = RANKS_MAGIC, .memory = memory};
	ranks->table = table_new(memory, MEMBER_ZSET, seed);
	counted_init(&ranks->order, false, memory);
	return ranks;
}

bool ranks_shrink(struct ranks *ranks, unsigned budget)
{
	CHECK_OBJ(ranks, RANKS_MAGIC);
	/* The order first: it refers to members without looking at them. */
	for (unsigned freed = 0; freed < budget; freed += 8)
		if (!counted_shrink(&ranks->order, NULL, NULL))
			return table_shrink(ranks->table, budget);
	return true;
}

void ranks_free(struct ranks *ranks)
{
	while (ranks_shrink(ranks, UINT32_MAX))
		;
	table_free(ranks->table);
	DROP_OBJ(ranks, RANKS_MAGIC);
	memory_free(ranks->memory, ranks, sizeof(*ranks));
}

bool ranks_score(const struct ranks *ranks, struct span name, double *score)
{
	CHECK_OBJ(ranks, RANKS_MAGIC);
	struct member **found = table_find(ranks->table, name);
	if (found == NULL)
		return false;
	*score = member_view(MEMBER_ZSET, *found).score;
	return true;
}

/* Where it would stand by this score; *rank: of that place. */
static void ranks_place(
    const struct ranks *ranks, struct span name, double score, struct counted_at *at, uint64_t *rank)
{
	struct bound bound = {.score = score, .name = name};
	counted_search(&ranks->order, below_member, &bound, at, rank);
}

bool ranks_rank(const struct ranks *ranks, struct span name, uint64_t *rank)
{
	struct counted_at at;
	double score;
	if (!ranks_score(ranks, name, &score))
		return false;
	ranks_place(ranks, name, score, &at, rank);
	ASSERT(counted_slot(&at) != NULL && span_equal(slot_name(counted_slot(&at)), name));
	return true;
}

/* Takes a member out of the order. */
static void order_leave(struct ranks *ranks, const struct member *member)
{
	struct member_view view = member_view(MEMBER_ZSET, member);
	struct counted_at at;
	uint64_t rank;
	ranks_place(ranks, view.name, view.score, &at, &rank);
	ASSERT(counted_slot(&at) != NULL && counted_slot(&at)->item == member);
	counted_remove(&ranks->order, &at);
}

static void order_enter(struct ranks *ranks, struct member *member)
{
	struct member_view view = member_view(MEMBER_ZSET, member);
	struct counted_at at;
	uint64_t rank;
	ranks_place(ranks, view.name, view.score, &at, &rank);
	counted_insert(&ranks->order, &at, (struct counted_slot){.item = member, .score = view.score});
}

/* If its new score leaves it between its neighbours in the leaf, it stays where it is. */
static bool order_stays(struct ranks *ranks, struct member *member, double score)
{
	struct member_view view = member_view(MEMBER_ZSET, member);
	struct counted_at at, near;
	uint64_t rank;
	ranks_place(ranks, view.name, view.score, &at, &rank);
	struct bound bound = {.score = score, .name = view.name};
	near = at;
	if (counted_back(&near) && !below_member(&bound, counted_slot(&near)))
		return false;
	near = at;
	if (counted_forward(&near) && below_member(&bound, counted_slot(&near)))
		return false;
	counted_set(&ranks->order, &at, (struct counted_slot){.item = member, .score = score});
	return true;
}

bool ranks_set(struct ranks *ranks, struct span name, double score)
{
	CHECK_OBJ(ranks, RANKS_MAGIC);
	ASSERT(score == score);
	struct member **found = table_find(ranks->table, name);
	if (found != NULL) {
		struct member *member = *found;
		if (member_view(MEMBER_ZSET, member).score == score)
			return false;         /* 0 does not take the place of -0 */
		bool stays = order_stays(ranks, member, score);
		if (!stays)
			order_leave(ranks, member);
		member_set_score(member, score);
		if (!stays)
			order_enter(ranks, member);
		return false;
	}
	struct member_view view = {.name = name, .score = score};
	struct member *member = member_new(ranks->memory, MEMBER_ZSET, &view);
	table_add(ranks->table, member);
	order_enter(ranks, member);
	return true;
}

bool ranks_remove(struct ranks *ranks, struct span name)
{
	CHECK_OBJ(ranks, RANKS_MAGIC);
	struct member *member = table_take(ranks->table, name);
	if (member == NULL)
		return false;
	order_leave(ranks, member);
	member_free(ranks->memory, MEMBER_ZSET, member);
	return true;
}

uint64_t ranks_cut(struct ranks *ranks, uint64_t first, uint64_t count)
{
	CHECK_OBJ(ranks, RANKS_MAGIC);
	if (first >= ranks->order.weight)
		return 0;
	count = min_u64(count, ranks->order.weight - first);
	for (uint64_t i = 0; i < count; i++) {
		struct counted_at at;
		ranks_seek(ranks, first, &at);
		struct member *member = counted_slot(&at)->item;
		struct member *taken = table_take(ranks->table, slot_name(counted_slot(&at)));
		ASSERT(taken == member);
		counted_remove(&ranks->order, &at);
		member_free(ranks->memory, MEMBER_ZSET, member);
	}
	return count;
}

static uint64_t ranks_below(const struct ranks *ranks, counted_below *is_below, const struct bound *bound)
{
	struct counted_at at;
	uint64_t rank;
	CHECK_OBJ(ranks, RANKS_MAGIC);
	counted_search(&ranks->order, is_below, bound, &at, &rank);
	return rank;
}

uint64_t ranks_below_score(const struct ranks *ranks, double score, bool or_equal)
{
	struct bound bound = {.score = score, .or_equal = or_equal};
	return ranks_below(ranks, below_score, &bound);
}

uint64_t ranks_below_name(const struct ranks *ranks, struct span name, bool or_equal)
{
	struct bound bound = {.name = name, .or_equal = or_equal};
	return ranks_below(ranks, below_name, &bound);
}

void ranks_seek(const struct ranks *ranks, uint64_t rank, struct counted_at *at)
{
	uint64_t rest;
	CHECK_OBJ(ranks, RANKS_MAGIC);
	counted_seek(&ranks->order, rank, at, &rest);
}
