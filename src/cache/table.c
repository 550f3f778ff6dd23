/* cache/table.c: see table.h. And the members themselves (member.h). */
#include "cache/table.h"

#include "base/arith.h"

#include <emmintrin.h>

enum {
	TABLE_MAGIC = 0x7ab1e001,
	SLOTS = 7,
	CHAINED = 0x80,                   /* the last slot points to another bucket */
	USED_MASK = 0x7f,
	FILL_MAX = 5,                     /* members a bucket on average, above which one is split */
	FILL_MIN = 2,                     /* below which one is merged */
	SEGMENT = 256,                    /* buckets */
	RANDOM_SPAN = 24,                 /* more than a bucket and its chain hold, but for luck */
};

struct bucket {
	uint8_t used;                     /* bit i: slots[i] is taken; CHAINED */
	uint8_t tags[SLOTS];
	void   *slots[SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "one cache line");

/* ---- Members -------------------------------------------------------------------------------- */

struct member *member_new(struct memory *memory, enum member_kind kind, const struct member_view *view)
{
	uint8_t head[8 + 2 * VARINT64_MAX], *at = head;
	size_t data = kind == MEMBER_HASH ? view->data.len : 0;
	if (kind == MEMBER_ZSET) {
		memcpy(at, &view->score, sizeof(view->score));
		at += sizeof(view->score);
	}
	at = varint64_put(at, view->name.len);
	if (kind == MEMBER_HASH)
		at = varint64_put(at, data);
	size_t fixed = (size_t)(at - head);
	uint8_t *bytes = memory_alloc(memory, fixed + view->name.len + data);
	memcpy(bytes, head, fixed);
	if (view->name.len > 0)
		memcpy(bytes + fixed, view->name.ptr, view->name.len);
	if (data > 0)
		memcpy(bytes + fixed + view->name.len, view->data.ptr, data);
	return (struct member *)bytes;
}

void member_free(struct memory *memory, enum member_kind kind, struct member *member)
{
	memory_free(memory, member, member_view(kind, member).bytes);
}

void member_set_score(struct member *member, double score) { memcpy(member, &score, sizeof(score)); }

bool member_set_data(struct member *member, struct span data)
{
	struct member_view view = member_view(MEMBER_HASH, member);
	if (view.data.len != data.len)
		return false;
	if (data.len > 0)
		memcpy((uint8_t *)member + (view.data.ptr - (const uint8_t *)member), data.ptr, data.len);
	return true;
}

/* ---- Buckets ----------------------------------------------------------------------------------- */

static uint8_t hash_tag(uint64_t hash) { return (uint8_t)(hash >> 56); }

static struct bucket *bucket_next(const struct bucket *bucket)
{
	return (bucket->used & CHAINED) ? bucket->slots[SLOTS - 1] : NULL;
}

static unsigned bucket_slots(const struct bucket *bucket)
{
	return (bucket->used & CHAINED) ? SLOTS - 1 : SLOTS;
}

static unsigned bucket_matches(const struct bucket *bucket, uint8_t tag)
{
	const __m128i line = _mm_loadl_epi64((const void *)bucket);
	const __m128i equal = _mm_cmpeq_epi8(line, _mm_set1_epi8((char)tag));
	unsigned slots = bucket->used & CHAINED ? USED_MASK >> 1 : USED_MASK;
	return (unsigned)_mm_movemask_epi8(equal) >> 1 & bucket->used & slots;
}

static struct bucket *table_bucket(const struct table *table, uint64_t at)
{
	ASSERT(at < table->buckets);
	return &table->segments[at / SEGMENT][at % SEGMENT];
}

/* The largest power of two that is not above the number of buckets. */
static uint64_t table_round(const struct table *table)
{
	return UINT64_C(1) << (63 - __builtin_clzll(table->buckets));
}

static uint64_t table_home(const struct table *table, uint64_t hash)
{
	uint64_t round = table_round(table), at = hash & (2 * round - 1);
	return at < table->buckets ? at : at & (round - 1);
}

static uint64_t table_hash(const struct table *table, const struct member *member)
{
	return hash_key(member_name(table->kind, member), table->seed);
}

/* ---- Room ---------------------------------------------------------------------------------------- */

static void table_append_segment(struct table *table, uint64_t at)
{
	if (at == table->segments_cap) {
		bool first = table->segments == &table->only;
		uint32_t cap = first ? 8 : table->segments_cap * 2;
		table->segments = memory_resize(table->memory, first ? NULL : table->segments,
		    first ? 0 : table->segments_cap * sizeof(struct bucket *), cap * sizeof(struct bucket *));
		table->segments[0] = table->only;
		table->segments_cap = cap;
	}
	table->segments[at] = memory_alloc(table->memory, SEGMENT * sizeof(struct bucket));
}

/* The first segment grows and shrinks by about a fifth. */
static void table_resize_only(struct table *table, uint64_t buckets)
{
	uint64_t cap = min_u64(SEGMENT, buckets < 8 ? buckets : round_up(buckets + buckets / 8, 4));
	table->only = memory_resize(table->memory, table->only,
	    table->only_cap * sizeof(struct bucket), cap * sizeof(struct bucket));
	table->only_cap = (uint32_t)cap;
	table->segments[0] = table->only;
}

/* One more bucket, empty. */
static void table_append(struct table *table)
{
	uint64_t at = table->buckets;
	if (at < SEGMENT && at == table->only_cap)
		table_resize_only(table, at + 1);
	if (at >= SEGMENT && at % SEGMENT == 0)
		table_append_segment(table, at / SEGMENT);
	table->buckets++;
	*table_bucket(table, at) = (struct bucket){0};
}

/* The last bucket, which is empty and has no chain, goes. */
static void table_chop(struct table *table)
{
	ASSERT(table->buckets > 1);
	uint64_t at = --table->buckets;
	if (at >= SEGMENT && at % SEGMENT == 0)
		memory_free(table->memory, table->segments[at / SEGMENT], SEGMENT * sizeof(struct bucket));
	if (at < SEGMENT && at < table->only_cap / 2)
		table_resize_only(table, at);
}

struct table *table_new(struct memory *memory, enum member_kind kind, uint64_t seed)
{
	struct table *table = memory_alloc(memory, sizeof(*table));
	*table = (struct table){.magic = TABLE_MAGIC, .kind = (uint8_t)kind, .seed = seed, .memory = memory};
	table->segments = &table->only;
	table->segments_cap = 1;
	table_append(table);
	return table;
}

/* ---- Finding, adding, taking ------------------------------------------------------------------------ */

struct position {
	struct bucket *bucket, *before;   /* before: whose chain leads to it; NULL: the first */
	unsigned       slot;
};

static bool table_position(const struct table *table, struct span name, uint64_t hash, struct position *out)
{
	struct bucket *bucket = table_bucket(table, table_home(table, hash)), *before = NULL;
	uint8_t tag = hash_tag(hash);
	for (; bucket != NULL; before = bucket, bucket = bucket_next(bucket)) {
		unsigned matches = bucket_matches(bucket, tag);
		for (; matches != 0; matches &= matches - 1) {
			unsigned slot = (unsigned)__builtin_ctz(matches);
			if (span_equal(member_name(table->kind, bucket->slots[slot]), name)) {
				*out = (struct position){bucket, before, slot};
				return true;
			}
		}
	}
	return false;
}

struct member **table_find(const struct table *table, struct span name)
{
	struct position at;
	CHECK_OBJ(table, TABLE_MAGIC);
	if (!table_position(table, name, hash_key(name, table->seed), &at))
		return NULL;
	return (struct member **)&at.bucket->slots[at.slot];
}

uint64_t table_prefetch_bucket(const struct table *table, struct span name)
{
	CHECK_OBJ(table, TABLE_MAGIC);
	uint64_t hash = hash_key(name, table->seed);
	prefetch(table_bucket(table, table_home(table, hash)));
	return hash;
}

void table_prefetch_members(const struct table *table, uint64_t hash)
{
	const struct bucket *bucket = table_bucket(table, table_home(table, hash));
	unsigned matches = bucket_matches(bucket, hash_tag(hash));
	for (; matches != 0; matches &= matches - 1)
		prefetch(bucket->slots[__builtin_ctz(matches)]);
	prefetch(bucket_next(bucket));
}

static void bucket_add(struct table *table, struct bucket *bucket, void *member, uint8_t tag)
{
	for (;; bucket = bucket_next(bucket)) {
		unsigned taken = bucket->used & USED_MASK, all = (1U << bucket_slots(bucket)) - 1;
		if ((taken & all) != all) {
			unsigned slot = (unsigned)__builtin_ctz(~taken);
			bucket->used |= (uint8_t)(1U << slot);
			bucket->tags[slot] = tag;
			bucket->slots[slot] = member;
			return;
		}
		if (bucket->used & CHAINED)
			continue;
		struct bucket *child = memory_zalloc(table->memory, sizeof(*child));
		child->used = 1;
		child->tags[0] = bucket->tags[SLOTS - 1];
		child->slots[0] = bucket->slots[SLOTS - 1];
		bucket->slots[SLOTS - 1] = child;
		bucket->used = CHAINED | USED_MASK >> 1;
	}
}

/* Takes everything out of a bucket that was copied away, and puts it where it belongs now. */
static void table_scatter(struct table *table, struct bucket copy)
{
	struct bucket *bucket = &copy;
	while (bucket != NULL) {
		struct bucket *next = bucket_next(bucket);
		for (unsigned i = 0, slots = bucket_slots(bucket); i < slots; i++) {
			if (!(bucket->used >> i & 1))
				continue;
			uint64_t hash = table_hash(table, bucket->slots[i]);
			bucket_add(table, table_bucket(table, table_home(table, hash)), bucket->slots[i],
			    hash_tag(hash));
		}
		if (bucket != &copy)
			memory_free(table->memory, bucket, sizeof(*bucket));
		bucket = next;
	}
}

static void table_split(struct table *table)
{
	uint64_t at = table->buckets - table_round(table);
	table_append(table);
	struct bucket *bucket = table_bucket(table, at), copy = *bucket;
	*bucket = (struct bucket){0};
	table_scatter(table, copy);
}

static void table_merge(struct table *table)
{
	struct bucket *last = table_bucket(table, table->buckets - 1), copy = *last;
	*last = (struct bucket){0};
	table_chop(table);
	table_scatter(table, copy);
}

void table_add(struct table *table, struct member *member)
{
	CHECK_OBJ(table, TABLE_MAGIC);
	if (table->count >= table->buckets * FILL_MAX)
		table_split(table);
	uint64_t hash = table_hash(table, member);
	bucket_add(table, table_bucket(table, table_home(table, hash)), member, hash_tag(hash));
	table->count++;
}

/* A chained bucket that holds nothing any more goes. */
static void position_clear(struct table *table, const struct position *at)
{
	struct bucket *bucket = at->bucket, *before = at->before;
	bucket->used &= (uint8_t)~(1U << at->slot);
	if (before == NULL || bucket->used != 0)
		return;
	before->used = before->used & (USED_MASK >> 1);
	memory_free(table->memory, bucket, sizeof(*bucket));
}

struct member *table_take(struct table *table, struct span name)
{
	struct position at;
	CHECK_OBJ(table, TABLE_MAGIC);
	if (!table_position(table, name, hash_key(name, table->seed), &at))
		return NULL;
	struct member *member = at.bucket->slots[at.slot];
	position_clear(table, &at);
	table->count--;
	if (table->buckets > 1 && table->count < table->buckets * FILL_MIN)
		table_merge(table);
	return member;
}

bool table_shrink(struct table *table, unsigned budget)
{
	CHECK_OBJ(table, TABLE_MAGIC);
	unsigned freed = 0;
	while (table->count > 0 && freed < budget) {
		struct bucket *first = table_bucket(table, table->buckets - 1), *bucket = first;
		while (bucket != NULL) {
			struct bucket *next = bucket_next(bucket);
			for (unsigned i = 0, slots = bucket_slots(bucket); i < slots; i++) {
				if (!(bucket->used >> i & 1))
					continue;
				member_free(table->memory, table->kind, bucket->slots[i]);
				table->count--;
				freed++;
			}
			if (bucket != first)
				memory_free(table->memory, bucket, sizeof(*bucket));
			bucket = next;
		}
		first->used = 0;
		freed++;
		if (table->buckets > 1)
			table_chop(table);
	}
	return table->count > 0;
}

void table_free(struct table *table)
{
	CHECK_OBJ(table, TABLE_MAGIC);
	while (table_shrink(table, UINT32_MAX))
		;
	while (table->buckets > 1)
		table_chop(table);
	if (table->segments != &table->only)
		memory_free(table->memory, table->segments, table->segments_cap * sizeof(struct bucket *));
	memory_free(table->memory, table->only, table->only_cap * sizeof(struct bucket));
	DROP_OBJ(table, TABLE_MAGIC);
	memory_free(table->memory, table, sizeof(*table));
}

/* ---- All of them ------------------------------------------------------------------------------------- */

static void bucket_each(const struct bucket *bucket, table_each *each, void *ctx)
{
	for (; bucket != NULL; bucket = bucket_next(bucket))
		for (unsigned i = 0, slots = bucket_slots(bucket); i < slots; i++)
			if (bucket->used >> i & 1)
				each(ctx, bucket->slots[i]);
}

static uint64_t reverse_bits(uint64_t v)
{
	v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
	v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
	v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
	return __builtin_bswap64(v);
}

static uint64_t cursor_next(uint64_t cursor, uint64_t mask)
{
	return reverse_bits(reverse_bits(cursor | ~mask) + 1);
}

static void prefetch_members(const struct bucket *bucket)
{
	for (unsigned used = bucket->used & USED_MASK; used != 0; used &= used - 1)
		prefetch(bucket->slots[__builtin_ctz(used)]);
}

/* Who scans on comes to the members of the next bucket, whose line the call before asked for, and then to
 * the bucket behind it. */
static void scan_prefetch(const struct table *table, uint64_t cursor, uint64_t round)
{
	uint64_t next = cursor_next(cursor, round - 1), after = cursor_next(next, round - 1);
	next &= round - 1;
	after &= round - 1;
	prefetch_members(table_bucket(table, next));
	prefetch(table_bucket(table, after));
	if (next + round < table->buckets)
		prefetch_members(table_bucket(table, next + round));
	if (after + round < table->buckets)
		prefetch(table_bucket(table, after + round));
}

uint64_t table_scan(const struct table *table, uint64_t cursor, table_each *each, void *ctx)
{
	CHECK_OBJ(table, TABLE_MAGIC);
	uint64_t round = table_round(table), mask = round - 1, at = cursor & mask;
	scan_prefetch(table, cursor, round);
	/* The bucket as it was before this round of splits: it and what was split off. */
	bucket_each(table_bucket(table, at), each, ctx);
	if (at + round < table->buckets)
		bucket_each(table_bucket(table, at + round), each, ctx);
	return cursor_next(cursor, mask);
}

const struct member *table_next(const struct table *table, struct table_walk *walk)
{
	for (;;) {
		while (walk->bucket != NULL && walk->slot < bucket_slots(walk->bucket)) {
			unsigned slot = walk->slot++;
			if (walk->bucket->used >> slot & 1)
				return walk->bucket->slots[slot];
		}
		if (walk->bucket != NULL)
			walk->bucket = bucket_next(walk->bucket);
		if (walk->bucket == NULL) {
			if (walk->next == table->buckets)
				return NULL;
			walk->bucket = table_bucket(table, walk->next++);
		}
		walk->slot = 0;
	}
}

static unsigned bucket_members(const struct bucket *bucket)
{
	unsigned count = 0;
	for (; bucket != NULL; bucket = bucket_next(bucket))
		count += (unsigned)__builtin_popcount(bucket->used & ((1U << bucket_slots(bucket)) - 1));
	return count;
}

const struct member *table_random(const struct table *table, struct random *random)
{
	ASSERT(table->count > 0);
	for (;;) {
		const struct bucket *bucket = table_bucket(table, random_below(random, table->buckets));
		unsigned count = bucket_members(bucket);
		/* A bucket is taken in proportion to what it holds. */
		if (random_below(random, RANDOM_SPAN) >= count)
			continue;
		struct table_walk walk = {.next = table->buckets, .bucket = bucket};
		for (uint64_t skip = random_below(random, count); skip > 0; skip--)
			(void)table_next(table, &walk);
		return table_next(table, &walk);
	}
}
