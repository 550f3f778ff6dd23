/* cache/table.h: the members of a large hash, set or sorted set, by name.
 *
 * Linear hashing (W. Litwin, 1980) over buckets of one cache line: seven one-byte tags and
 * seven members; a bucket that overflows chains to another. The table always has just the
 * buckets that it needs: an insertion splits at most one, a removal merges at most one, and
 * buckets come and go in segments of 16 KiB, so that nothing ever takes long. Scanning counts the
 * cursor in reversed bits, as P. Noordhuis's dictScan does, so that it survives growing and shrinking.
 *
 * Why not the directory's table: that one doubles into a second table and never shrinks, which suits
 * a few large tables that are prefetched; here are many of a few hundred members, which must be
 * small, and some of many millions, whose doubling and release would be a pause.
 */
#pragma once
#include "base/hash.h"
#include "base/random.h"
#include "cache/member.h"

struct table {
	uint32_t        magic;
	uint8_t         kind;             /* enum member_kind */
	uint64_t        seed;
	uint64_t        count;            /* members */
	uint64_t        buckets;
	struct memory  *memory;
	struct bucket **segments;         /* points to `only` as long as that is the one */
	struct bucket  *only;
	uint32_t        segments_cap;
	uint32_t        only_cap;         /* buckets that fit the first segment */
};

struct table *table_new(struct memory *memory, enum member_kind kind, uint64_t seed);
/* Frees about `budget` members; false when none is left. Only for a table that is to be freed. */
bool table_shrink(struct table *table, unsigned budget);
/* Members too. */
void table_free(struct table *table);

/* Where its pointer stands, until the table changes; NULL: not there. */
struct member **table_find(const struct table *table, struct span name);
/* Two steps of warming the cache for a member that is looked for soon, by the hash of its name. */
uint64_t table_prefetch_bucket(const struct table *table, struct span name);
void table_prefetch_members(const struct table *table, uint64_t hash);
/* It must not be there yet. */
void table_add(struct table *table, struct member *member);
/* Takes it out; NULL: not there. */
MUST_CHECK struct member *table_take(struct table *table, struct span name);

/* Members of one cursor position; returns the next cursor, 0 at the end. `each` must not change the table.
 * One that is in the table from the first call to the last is passed at least once. */
typedef void table_each(void *ctx, const struct member *member);
uint64_t table_scan(const struct table *table, uint64_t cursor, table_each *each, void *ctx);
/* Every one as likely as any other. count > 0. */
const struct member *table_random(const struct table *table, struct random *random);

/* A walk, {0} at first, over all of them while nothing changes. */
struct table_walk {
	uint64_t             next;        /* bucket */
	const struct bucket *bucket;
	unsigned             slot;
};
const struct member *table_next(const struct table *table, struct table_walk *walk);
