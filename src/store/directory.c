/* store/directory.c: the table of directory.h: finding, inserting, growing, scanning. */
#include "store/directory.h"

#include <emmintrin.h>

enum {
	BUCKET_SLOTS = 9,
	BUCKET_MASK = (1 << BUCKET_SLOTS) - 1,
	POINTER_BYTES = 6,
	TAGS_AT = BUCKET_SLOTS * POINTER_BYTES,
	TAG_FREE = 0,
	TAG_CHAIN = 1,                    /* of the last slot: it points to another bucket */
	TAGS = 2,                         /* the tags of entries begin here */
	BUCKETS_MIN = 4,
	BUCKET_FILL = 7,                  /* entries on average at which the table grows */
	GROWTH_MAX = 4,                   /* by so much if more are expected, else by 2 */
	RANDOM_TRIES = 256,
};

/* Addresses of a process have 47 bits here; memory_alloc's are never higher. */
struct bucket {
	uint8_t pointers[TAGS_AT];        /* little-endian */
	uint8_t tags[BUCKET_SLOTS];
	uint8_t spare;
};
_Static_assert(sizeof(struct bucket) == 64, "one cache line");

#define NOT_GROWING UINT64_MAX

static uint8_t hash_tag(uint64_t hash)
{
	uint8_t tag = (uint8_t)(hash >> 56);
	return tag < TAGS ? tag + TAGS : tag;
}

/* The last pointer is followed by ten bytes of this bucket, so that eight can be loaded. */
static void *slot_get(const struct bucket *bucket, unsigned slot)
{
	uint64_t bits;
	ASSERT(slot < BUCKET_SLOTS);
	memcpy(&bits, bucket->pointers + (size_t)slot * POINTER_BYTES, sizeof(bits));
	return (void *)(uintptr_t)(bits & ((UINT64_C(1) << POINTER_BYTES * 8) - 1));
}

static void slot_set(struct bucket *bucket, unsigned slot, const void *pointer, uint8_t tag)
{
	uint64_t bits = (uintptr_t)pointer;
	ASSERT(slot < BUCKET_SLOTS);
	ASSERT(bits >> POINTER_BYTES * 8 == 0);
	memcpy(bucket->pointers + (size_t)slot * POINTER_BYTES, &bits, POINTER_BYTES);
	bucket->tags[slot] = tag;
}

static struct bucket *bucket_next(const struct bucket *bucket)
{
	return bucket->tags[BUCKET_SLOTS - 1] == TAG_CHAIN ? slot_get(bucket, BUCKET_SLOTS - 1) : NULL;
}

/* Bit i is set if tags[i] is this one. */
static unsigned bucket_matches(const struct bucket *bucket, uint8_t tag)
{
	enum { FROM = sizeof(struct bucket) - sizeof(__m128i) };
	const __m128i line = _mm_loadu_si128((const void *)((const uint8_t *)bucket + FROM));
	const __m128i equal = _mm_cmpeq_epi8(line, _mm_set1_epi8((char)tag));
	return (unsigned)_mm_movemask_epi8(equal) >> (TAGS_AT - FROM) & BUCKET_MASK;
}

/* Bit i is set if an entry stands in slot i. */
static unsigned bucket_used(const struct bucket *bucket)
{
	unsigned used = ~bucket_matches(bucket, TAG_FREE) & BUCKET_MASK;
	return bucket_next(bucket) != NULL ? used & (BUCKET_MASK >> 1) : used;
}

static struct bucket *buckets_new(struct directory *directory, uint64_t count)
{
	enum { HUGE_MIN = 4 << 20 };
	size_t bytes = count * sizeof(struct bucket);
	void *buckets = memory_zalloc(&directory->overhead, bytes);
	/* Every lookup goes to another page of a large table. */
	if (bytes >= HUGE_MIN)
		io_memory_huge(buckets, bytes);
	return buckets;
}

static void table_fini(struct directory *directory, struct directory_table *table)
{
	for (uint64_t i = 0; table->buckets != NULL && i <= table->mask; i++) {
		struct bucket *chained = bucket_next(&table->buckets[i]);
		while (chained != NULL) {
			struct bucket *next = bucket_next(chained);
			memory_free(&directory->overhead, chained, sizeof(*chained));
			chained = next;
		}
	}
	if (table->buckets != NULL)
		memory_free(&directory->overhead, table->buckets,
		    (table->mask + 1) * sizeof(struct bucket));
	*table = (struct directory_table){0};
}

void directory_init(struct directory *directory, struct memory *memory, uint64_t seed)
{
	*directory = (struct directory){.seed = seed, .memory = memory, .moved = NOT_GROWING};
	heap_init(&directory->expiry, memory);
}

void directory_reserve(struct directory *directory, uint64_t count)
{
	struct directory_table *table = &directory->tables[0];
	uint64_t buckets = BUCKETS_MIN;
	ASSERT(table->buckets == NULL && directory->moved == NOT_GROWING);
	if (count == 0)
		return;
	while (buckets * BUCKET_FILL < count)
		buckets *= 2;
	*table = (struct directory_table){buckets_new(directory, buckets), buckets - 1, 0};
}

void directory_expect(struct directory *directory, uint64_t count)
{
	directory->expected = count;
}

static void free_one(void *ctx, struct entry *entry)
{
	struct directory *directory = ctx;
	struct entry_expiry *expiry = entry_expiry(entry);
	if (expiry != NULL)
		heap_node_init(&expiry->node);
	entry_free(directory->memory, entry);
}

void directory_fini(struct directory *directory)
{
	uint64_t cursor = 0;
	heap_fini(&directory->expiry);
	directory_step(directory, 0xffffffff);
	do
		cursor = directory_scan(directory, cursor, free_one, directory);
	while (cursor != 0);
	table_fini(directory, &directory->tables[0]);
	table_fini(directory, &directory->tables[1]);
	ASSERT(directory->overhead.bytes == 0);
	directory_init(directory, directory->memory, directory->seed);
}

/* Empties one bucket and its chain; how many entries there were. */
static uint32_t bucket_drain(
    struct directory *directory, struct bucket *bucket, directory_each *each, void *ctx)
{
	uint32_t count = 0;
	bool first = true;
	while (bucket != NULL) {
		struct bucket *next = bucket_next(bucket);
		for (unsigned used = bucket_used(bucket); used != 0; used &= used - 1) {
			struct entry *entry = slot_get(bucket, (unsigned)__builtin_ctz(used));
			each(ctx, entry);
			directory->entry_bytes -= entry_bytes(entry);
			free_one(directory, entry);
			count++;
		}
		if (first)
			memset(bucket->tags, TAG_FREE, sizeof(bucket->tags));
		else
			memory_free(&directory->overhead, bucket, sizeof(*bucket));
		first = false;
		bucket = next;
	}
	return count;
}

/* Some buckets ahead: what stands there has not been touched for long. */
static void drain_prefetch(const struct directory_table *table, uint64_t at)
{
	enum { AHEAD = 4 };
	if (at + 2 * AHEAD <= table->mask)
		prefetch(&table->buckets[at + 2 * AHEAD]);
	if (at + AHEAD > table->mask)
		return;
	const struct bucket *bucket = &table->buckets[at + AHEAD];
	for (unsigned used = bucket_used(bucket); used != 0; used &= used - 1)
		prefetch(slot_get(bucket, (unsigned)__builtin_ctz(used)));
}

bool directory_drain(
    struct directory *directory, uint32_t entries, directory_each *each, void *ctx)
{
	enum { EMPTY_COST = 16 };         /* so many empty buckets are as much work as an entry */
	uint64_t work = (uint64_t)entries * EMPTY_COST;
	if (directory->expiry.items != NULL)
		heap_fini(&directory->expiry);
	for (unsigned i = 0; i < 2; i++) {
		struct directory_table *table = &directory->tables[i];
		while (table->buckets != NULL && directory->drained <= table->mask) {
			if (work == 0)
				return false;
			uint64_t at = directory->drained++;
			drain_prefetch(table, at);
			uint32_t count = bucket_drain(directory, &table->buckets[at], each, ctx);
			uint64_t cost = count == 0 ? 1 : (uint64_t)count * EMPTY_COST;
			work -= cost < work ? cost : work;
			ASSERT(table->count >= count);
			table->count -= count;
		}
		if (table->buckets == NULL)
			continue;
		ASSERT(table->count == 0);
		memory_free(&directory->overhead, table->buckets,
		    (table->mask + 1) * sizeof(struct bucket));
		*table = (struct directory_table){0};
		directory->drained = 0;
	}
	ASSERT(directory->entry_bytes == 0 && directory->overhead.bytes == 0);
	directory_init(directory, directory->memory, directory->seed);
	return true;
}

void *directory_drained(const struct directory *directory, size_t *bytes)
{
	bool second = directory->tables[0].buckets == NULL;
	*bytes = directory->drained * sizeof(struct bucket);
	return directory->tables[second].buckets;
}

/* The table and bucket where this hash lives now. */
static struct bucket *directory_home(const struct directory *directory, uint64_t hash)
{
	const struct directory_table *table = &directory->tables[0];
	if (table->buckets == NULL)
		return NULL;
	uint64_t at = hash & table->mask;
	if (directory->moved != NOT_GROWING && at < directory->moved) {
		table = &directory->tables[1];
		at = hash & table->mask;
	}
	return &table->buckets[at];
}

void directory_prefetch(const struct directory *directory, uint64_t hash)
{
	const struct bucket *bucket = directory_home(directory, hash);
	if (bucket != NULL)
		prefetch(bucket);
}

void directory_prefetch_entry(const struct directory *directory, uint64_t hash)
{
	const struct bucket *bucket = directory_home(directory, hash);
	if (bucket == NULL)
		return;
	unsigned matches = bucket_matches(bucket, hash_tag(hash));
	for (; matches != 0; matches &= matches - 1)
		prefetch(slot_get(bucket, (unsigned)__builtin_ctz(matches)));
}

/* Where an entry stands. */
struct position {
	struct bucket *bucket;
	unsigned       slot;
};

static bool bucket_find(struct bucket *bucket, struct span key, uint8_t tag, struct position *out)
{
	for (; bucket != NULL; bucket = bucket_next(bucket)) {
		unsigned matches = bucket_matches(bucket, tag);
		for (; matches != 0; matches &= matches - 1) {
			unsigned slot = (unsigned)__builtin_ctz(matches);
			if (span_equal(entry_key(slot_get(bucket, slot)), key)) {
				*out = (struct position){bucket, slot};
				return true;
			}
		}
	}
	return false;
}

struct entry *directory_find(const struct directory *directory, struct span key, uint64_t hash)
{
	struct position at;
	if (!bucket_find(directory_home(directory, hash), key, hash_tag(hash), &at))
		return NULL;
	return slot_get(at.bucket, at.slot);
}

struct entry *directory_find_undrained(const struct directory *directory, struct span key)
{
	uint64_t hash = directory_hash(directory, key);
	struct position at;
	for (unsigned i = 0; i < 2; i++) {
		const struct directory_table *table = &directory->tables[i];
		if (table->buckets != NULL &&
		    bucket_find(&table->buckets[hash & table->mask], key, hash_tag(hash), &at))
			return slot_get(at.bucket, at.slot);
	}
	return NULL;
}

static struct position directory_position(const struct directory *directory,
    const struct entry *entry, uint64_t hash)
{
	struct position at;
	bool found =
	    bucket_find(directory_home(directory, hash), entry_key(entry), hash_tag(hash), &at);
	ASSERT(found);
	ASSERT(slot_get(at.bucket, at.slot) == entry);
	return at;
}

static void bucket_add(struct directory *directory, struct bucket *bucket, struct entry *entry,
    uint8_t tag)
{
	enum { LAST = BUCKET_SLOTS - 1 };
	for (;;) {
		unsigned free = bucket_matches(bucket, TAG_FREE);
		if (free != 0) {
			slot_set(bucket, (unsigned)__builtin_ctz(free), entry, tag);
			return;
		}
		if (bucket->tags[LAST] != TAG_CHAIN) {
			struct bucket *child = buckets_new(directory, 1);
			slot_set(child, 0, slot_get(bucket, LAST), bucket->tags[LAST]);
			slot_set(bucket, LAST, child, TAG_CHAIN);
		}
		bucket = bucket_next(bucket);
	}
}

/* Entries lie all over the memory, and a move reads the key of each. */
static void bucket_prefetch(const struct directory_table *table, uint64_t at)
{
	if (at > table->mask)
		return;
	const struct bucket *bucket = &table->buckets[at];
	for (unsigned used = bucket_used(bucket); used != 0; used &= used - 1)
		__builtin_prefetch(slot_get(bucket, (unsigned)__builtin_ctz(used)));
}

/* Moves one bucket of the small table, with its chain, to the large one. */
static void directory_move(struct directory *directory, uint64_t at)
{
	enum { AHEAD = 4 };               /* of two with each insertion */
	struct directory_table *from = &directory->tables[0], *to = &directory->tables[1];
	struct bucket *bucket = &from->buckets[at];
	bool first = true;
	bucket_prefetch(from, at + AHEAD);
	while (bucket != NULL) {
		struct bucket *next = bucket_next(bucket);
		for (unsigned used = bucket_used(bucket); used != 0; used &= used - 1) {
			struct entry *entry = slot_get(bucket, (unsigned)__builtin_ctz(used));
			uint64_t hash = directory_hash(directory, entry_key(entry));
			bucket_add(directory, &to->buckets[hash & to->mask], entry, hash_tag(hash));
			from->count--;
			to->count++;
		}
		if (first)
			memset(bucket->tags, TAG_FREE, sizeof(bucket->tags));
		else
			memory_free(&directory->overhead, bucket, sizeof(*bucket));
		first = false;
		bucket = next;
	}
}

void directory_step(struct directory *directory, unsigned buckets)
{
	if (directory->moved == NOT_GROWING)
		return;
	struct directory_table *from = &directory->tables[0];
	for (; buckets > 0 && directory->moved <= from->mask; buckets--)
		directory_move(directory, directory->moved++);
	if (directory->moved <= from->mask)
		return;
	ASSERT(from->count == 0);
	memory_free(&directory->overhead, from->buckets, (from->mask + 1) * sizeof(struct bucket));
	directory->tables[0] = directory->tables[1];
	directory->tables[1] = (struct directory_table){0};
	directory->moved = NOT_GROWING;
}

/* Before an insertion: begins to grow when seven of nine slots are taken on average. */
static void directory_grow(struct directory *directory)
{
	struct directory_table *table = &directory->tables[0];
	if (directory->moved != NOT_GROWING) {
		directory_step(directory, 2);
		return;
	}
	if (table->buckets == NULL) {
		table->buckets = buckets_new(directory, BUCKETS_MIN);
		table->mask = BUCKETS_MIN - 1;
		return;
	}
	if (table->count < (table->mask + 1) * BUCKET_FILL)
		return;
	uint64_t now = table->mask + 1, count = now * 2;
	if (directory->expected > count * BUCKET_FILL)
		count = now * GROWTH_MAX;
	directory->tables[1] =
	    (struct directory_table){buckets_new(directory, count), count - 1, 0};
	directory->moved = 0;
	directory_step(directory, 2);
}

void directory_insert(struct directory *directory, struct entry *entry, uint64_t hash)
{
	directory_grow(directory);
	struct directory_table *table = &directory->tables[0];
	if (directory->moved != NOT_GROWING && (hash & table->mask) < directory->moved)
		table = &directory->tables[1];
	bucket_add(directory, &table->buckets[hash & table->mask], entry, hash_tag(hash));
	table->count++;
	directory->entry_bytes += entry_bytes(entry);
	struct entry_expiry *expiry = entry_expiry(entry);
	if (expiry != NULL && expiry->at_ms != 0)
		heap_set(&directory->expiry, &expiry->node, expiry->at_ms);
}

static void expiry_leave(struct directory *directory, struct entry *entry)
{
	struct entry_expiry *expiry = entry_expiry(entry);
	if (expiry != NULL)
		heap_remove(&directory->expiry, &expiry->node);
}

void directory_replace(
    struct directory *directory, struct entry *old, struct entry *new, uint64_t hash)
{
	struct position at = directory_position(directory, old, hash);
	expiry_leave(directory, old);
	slot_set(at.bucket, at.slot, new, hash_tag(hash));
	struct entry_expiry *expiry = entry_expiry(new);
	if (expiry != NULL && expiry->at_ms != 0)
		heap_set(&directory->expiry, &expiry->node, expiry->at_ms);
	directory->entry_bytes += entry_bytes(new);
	directory->entry_bytes -= entry_bytes(old);
	entry_free(directory->memory, old);
}

void directory_remove(struct directory *directory, struct entry *entry, uint64_t hash)
{
	struct position at = directory_position(directory, entry, hash);
	struct directory_table *table = &directory->tables[0];
	if (directory->moved != NOT_GROWING && (hash & table->mask) < directory->moved)
		table = &directory->tables[1];
	at.bucket->tags[at.slot] = TAG_FREE;
	ASSERT(table->count > 0);
	table->count--;
	expiry_leave(directory, entry);
	directory->entry_bytes -= entry_bytes(entry);
	entry_free(directory->memory, entry);
	directory_step(directory, 1);
}

static struct entry *value_reshape(
    struct directory *directory, struct entry *entry, unsigned flags)
{
	struct body *body = entry_body(entry);
	void *object = entry_object(entry);
	struct entry *new = object != NULL
	    ? entry_new_object(directory->memory, entry_key(entry), flags, object)
	    : entry_new_string(directory->memory, entry_key(entry), flags, entry_string(entry),
	          body != NULL ? body_ref(body) : NULL);
	new->type = entry->type;
	entry_value(new)->place = entry_value(entry)->place;
	return new;
}

/* A copy of `entry` with other optional parts; the value moves over. */
static struct entry *entry_reshape(struct directory *directory, struct entry *entry, unsigned flags)
{
	struct entry *new;
	if (entry->type == ENTRY_IMAGE) {
		new = entry_new_image(directory->memory, entry_key(entry),
		    flags & (ENTRY_HAS_EXPIRY | ENTRY_HAS_META));
		*entry_image(new) = *entry_image(entry);
		if (entry_meta(new) != NULL && entry_meta(entry) != NULL)
			*entry_meta(new) = *entry_meta(entry);
	} else {
		new = value_reshape(directory, entry, flags & ENTRY_HAS_EXPIRY);
	}
	unsigned shape = ENTRY_HAS_EXPIRY | ENTRY_HAS_META | ENTRY_VALUE_BODY | ENTRY_VALUE_BLOCK |
	    ENTRY_VALUE_OBJECT;
	new->flags |= entry->flags & ~shape & 0xfffU;
	new->lsn = entry->lsn;
	new->access_s = entry->access_s;
	struct entry_expiry *from = entry_expiry(entry), *to = entry_expiry(new);
	if (from != NULL && to != NULL)
		to->at_ms = from->at_ms;
	return new;
}

struct entry *directory_expire(struct directory *directory, struct entry *entry, uint64_t hash,
    uint64_t at_ms)
{
	bool has = (entry->flags & ENTRY_HAS_EXPIRY) != 0;
	if (has != (at_ms != 0)) {
		unsigned flags = has ? entry->flags & ~(unsigned)ENTRY_HAS_EXPIRY
		                     : entry->flags | ENTRY_HAS_EXPIRY;
		struct entry *new = entry_reshape(directory, entry, flags);
		directory_replace(directory, entry, new, hash);
		entry = new;
	}
	struct entry_expiry *expiry = entry_expiry(entry);
	if (expiry == NULL)
		return entry;
	expiry->at_ms = at_ms;
	heap_set(&directory->expiry, &expiry->node, at_ms);
	return entry;
}

struct entry *directory_add_meta(struct directory *directory, struct entry *entry, uint64_t hash)
{
	ASSERT(entry->type == ENTRY_IMAGE);
	if (entry->flags & ENTRY_HAS_META)
		return entry;
	struct entry *new = entry_reshape(directory, entry, entry->flags | ENTRY_HAS_META);
	directory_replace(directory, entry, new, hash);
	return new;
}

struct entry *directory_expired(const struct directory *directory, uint64_t now_ms)
{
	const struct heap_item *first = heap_first(&directory->expiry);
	if (first == NULL || first->deadline > now_ms)
		return NULL;
	struct entry_expiry *expiry = CONTAINER_OF(first->node, struct entry_expiry, node);
	return (struct entry *)(void *)expiry - 1;
}

struct entry *directory_expiring(const struct directory *directory, uint32_t at)
{
	ASSERT(at < directory->expiry.count);
	struct entry_expiry *expiry =
	    CONTAINER_OF(directory->expiry.items[at].node, struct entry_expiry, node);
	return (struct entry *)(void *)expiry - 1;
}

static void bucket_each(const struct bucket *bucket, directory_each *each, void *ctx)
{
	while (bucket != NULL) {
		const struct bucket *next = bucket_next(bucket);
		for (unsigned used = bucket_used(bucket); used != 0; used &= used - 1)
			each(ctx, slot_get(bucket, (unsigned)__builtin_ctz(used)));
		bucket = next;
	}
}

static uint64_t reverse_bits(uint64_t v)
{
	v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
	v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
	v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
	return __builtin_bswap64(v);
}

/* Adds one to the cursor, counted from the highest bit under the mask downwards. */
static uint64_t cursor_next(uint64_t cursor, uint64_t mask)
{
	return reverse_bits(reverse_bits(cursor | ~mask) + 1);
}

uint64_t directory_scan(
    const struct directory *directory, uint64_t cursor, directory_each *each, void *ctx)
{
	const struct directory_table *small = &directory->tables[0], *large = &directory->tables[1];
	if (small->buckets == NULL)
		return 0;
	bucket_each(&small->buckets[cursor & small->mask], each, ctx);
	if (directory->moved == NOT_GROWING)
		return cursor_next(cursor, small->mask);
	/* Every bucket of the large table that this bucket of the small one expands into. */
	do {
		bucket_each(&large->buckets[cursor & large->mask], each, ctx);
		cursor = cursor_next(cursor, large->mask);
	} while (cursor & (small->mask ^ large->mask));
	return cursor;
}

static void count_one(void *ctx, struct entry *entry)
{
	UNUSED(entry);
	++*(uint64_t *)ctx;
}

struct pick {
	uint64_t      skip;
	struct entry *entry;
};

static void pick_one(void *ctx, struct entry *entry)
{
	struct pick *pick = ctx;
	if (pick->skip-- == 0)
		pick->entry = entry;
}

struct entry *directory_random(const struct directory *directory, struct random *random)
{
	if (directory_count(directory) == 0)
		return NULL;
	for (unsigned tries = 0;; tries++) {
		bool large =
		    random_below(random, directory_count(directory)) >= directory->tables[0].count;
		const struct directory_table *table = &directory->tables[large ? 1 : 0];
		uint64_t at = random_next(random) & table->mask;
		uint64_t count = 0;
		const struct bucket *bucket = &table->buckets[at];
		/* A nearly empty table: the next taken bucket will do. */
		for (uint64_t i = 0; tries >= RANDOM_TRIES && bucket_used(bucket) == 0 && i < table->mask;
		     i++)
			bucket = &table->buckets[++at & table->mask];
		bucket_each(bucket, count_one, &count);
		/* A bucket is taken in proportion to what it holds, so that each key is as likely. */
		if (count == 0 || (tries < RANDOM_TRIES && random_below(random, 16) >= count))
			continue;
		struct pick pick = {.skip = random_below(random, count)};
		bucket_each(bucket, pick_one, &pick);
		return pick.entry;
	}
}

uint64_t directory_bytes(const struct directory *directory)
{
	uint64_t heap = directory->expiry.cap * sizeof(struct heap_item);
	return directory->entry_bytes + directory->overhead.bytes + heap;
}
