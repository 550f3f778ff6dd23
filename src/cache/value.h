/* cache/value.h: hashes, lists, sets and sorted sets in memory. Pure: no log, no clock, no key.
 *
 * A value is a `struct value`: small ones are one run of packed bytes in order of insertion
 * (packed.h), whose bytes are also their dump; large ones a table of members, a table and an
 * order of ranks, or a sequence of packed nodes. It never goes back to the small form.
 *
 * All changes come as operations (ops.h): a command reads, writes down the operations that do
 * what it wants, the engine logs them, value_apply does them. Recovery and a follower do the
 * same, so nothing else changes a value. Operations on members (OP_SET, OP_ADD, OP_SCORE, OP_DELETE)
 * say what is to be, so that doing one twice changes nothing; those on places in an order are not so.
 *
 * Text and numbers: a member that is a canonical 64-bit integer may be kept as one; readers
 * always see its text, through struct item.
 */
#pragma once
#include "base/buf.h"
#include "base/random.h"
#include "cache/packed.h"
#include "store/directory.h"          /* enum entry_type: ENTRY_HASH, ENTRY_LIST, ENTRY_SET, ENTRY_ZSET */

struct table;
struct walk;
struct ranks;
struct sequence;

/* As OBJECT ENCODING names them: listpack, intset, hashtable, skiplist, quicklist. */
enum value_encoding { VALUE_PACKED, VALUE_INTSET, VALUE_TABLE, VALUE_RANKS, VALUE_SEQUENCE };

/* Beyond these a value leaves its small form; the settings of the same names. */
struct value_limits {
	uint32_t hash_entries, hash_bytes, set_entries, set_bytes, intset_entries;
	uint32_t zset_entries, zset_bytes;
	int32_t  list_size;           /* list-max-listpack-size: > 0 elements, -1 .. -5: 4 to 64 KiB a node */
	uint64_t seed;                /* of the tables' hashes: nobody outside can guess it */
};

struct value {
	uint32_t       magic;
	uint8_t        type, encoding;
	bool           borrowed;      /* packed bytes that belong to somebody else: only for reading */
	uint64_t       count;         /* members, fields or elements */
	uint64_t       bytes;         /* allocated for it, sizeof(struct value) apart */
	int64_t        head_number;   /* list: of its first element, as list_head_number says */
	struct memory *memory;
	union {
		struct packed    packed;      /* VALUE_PACKED, VALUE_INTSET */
		struct table    *table;       /* hash, set */
		struct ranks    *ranks;       /* sorted set */
		struct sequence *sequence;    /* list */
	};
};

/* Empty. */
void value_init(struct value *value, enum entry_type type, struct memory *memory);
/* A packed value whose bytes are elsewhere (a dump of encoding VALUE_PACKED or VALUE_INTSET that
 * value_check found good), for reading, for as long as they stay. No bytes: an empty value. */
void value_borrow(struct value *value, enum entry_type type, enum value_encoding encoding, struct span bytes);
/* A borrowed one gets bytes of its own, and may be changed from then on. */
void value_own(struct value *value, struct memory *memory);
void value_fini(struct value *value);
/* Frees about `budget` elements. False: all of it is gone, value_fini has little left to do. */
bool value_shrink(struct value *value, unsigned budget);
static inline uint64_t value_bytes(const struct value *value) { return value->bytes; }
const char *value_encoding_name(const struct value *value);

/* ---- Changing -------------------------------------------------------------------------- */

/* Does the operations (ops.h), in order. `added`, `removed`: elements that were not there before; that
 * were there and are not any more; may be NULL. ERR_CORRUPT: these are no operations for this type
 * (those before the bad one are done). An operation on what is not there does nothing. */
MUST_CHECK enum err value_apply(struct value *value, struct span ops, const struct value_limits *limits,
    uint64_t *added, uint64_t *removed);

/* ---- Dump -------------------------------------------------------------------------------- */

/* All of it, behind what `out` holds. Of a packed value: its very bytes. */
void value_dump(const struct value *value, struct buf *out);
/* So many bytes at most. */
uint64_t value_dump_bytes(const struct value *value);
/* The same in pieces of about `bytes`: `walk` was begun on a value in its large form, which does not change
 * meanwhile. False: that was all. */
MUST_CHECK bool value_dump_next(struct walk *walk, size_t bytes, struct buf *out);
/* The other way, into an empty value of that type. Everything is checked: foreign bytes may come here
 * (RESTORE). `encoding`: of the value that was dumped; a packed one beyond the limits takes its large
 * form at once. ERR_CORRUPT: the value is empty. */
MUST_CHECK enum err value_load(struct value *value, enum value_encoding encoding, struct span bytes,
    const struct value_limits *limits);
/* Of a value in its large form, in pieces: the next part of its dump, of about `bytes`, is taken off `rest`.
 * The first goes into an empty value. ERR_CORRUPT: as it is, it is no use. */
MUST_CHECK enum err value_load_some(
    struct value *value, struct span *rest, size_t bytes, const struct value_limits *limits);
/* Whether bytes that were written by this program can be borrowed: their shape, in one walk. Not whether
 * their members are in order and different, which only value_load does. */
MUST_CHECK bool value_check(enum entry_type type, enum value_encoding encoding, struct span bytes);
/* A dump in pieces while the value changes: operations (OP_SET, OP_ADD, OP_SCORE) for about `bytes` bytes
 * of what stands behind `cursor` (0 at first); returns the next cursor, 0 at the end. Whatever is there
 * from the first call to the last is in it at least once. Only of VALUE_TABLE and VALUE_RANKS. */
uint64_t value_dump_some(const struct value *value, uint64_t cursor, size_t bytes, struct buf *out);

/* ---- Reading ------------------------------------------------------------------------------ */

MUST_CHECK bool hash_get(const struct value *value, struct span field, struct item *out);
MUST_CHECK bool set_has(const struct value *value, struct span member);
MUST_CHECK bool zset_score(const struct value *value, struct span member, double *score);
/* Counted from the lowest; false: not there. */
MUST_CHECK bool zset_rank(const struct value *value, struct span member, uint64_t *rank);
/* Number of the first element: 0 in a new list, one less for each that was pushed before it, one more
 * for each that was popped there. OP_REMOVE and OP_INSERT do not change it. */
static inline int64_t list_head_number(const struct value *value) { return value->head_number; }

/* Warms the cache for members of large hashes, sets and sorted sets that are looked for soon, in steps: each
 * is taken for all of them before the next, so that their lines of memory come at the same time. */
enum { VALUE_AHEAD_STEPS = 4 };
struct value_ahead {
	const struct value *value;        /* step 0 takes only its address */
	struct span         member;
	const struct table *table;
	uint64_t            hash;
};
void value_prefetch(struct value_ahead *ahead, uint32_t count, unsigned step);

/* A walk: hash {name, data}, set {name}, zset {name, score}, list {name}. Hashes and sets in their own
 * order; sorted sets by score, then bytes; lists from the head. Nothing may change meanwhile. */
struct walk {
	const struct value *value;
	bool                reverse;
	uint64_t            place;        /* elements passed */
	struct item         name, data;
	double              score;
	uint64_t            left;         /* elements to come */
	uintptr_t           at[3];        /* the encoding's */
};
void walk_init(struct walk *walk, const struct value *value);
/* Lists and sorted sets: begins at element `place` (from the lowest or the head), towards either end.
 * place == count: nothing comes. */
void walk_init_at(struct walk *walk, const struct value *value, uint64_t place, bool reverse);
MUST_CHECK bool walk_next(struct walk *walk);

/* Ranges of sorted sets: how many stand below it; so the range [from, to) in ranks. */
struct score_range { double min, max; bool min_open, max_open; };
struct lex_range {
	struct span min, max;
	bool min_open, max_open, min_infinite, max_infinite;      /* "-" as min, "+" as max */
	bool is_empty;                /* "+" as min, or "-" as max */
};
void zset_score_ranks(
    const struct value *value, const struct score_range *range, uint64_t *from, uint64_t *to);
void zset_lex_ranks(
    const struct value *value, const struct lex_range *range, uint64_t *from, uint64_t *to);

/* HSCAN and its kin: as directory_scan, with the promises of SCAN; a small value comes whole. */
typedef void value_each(void *ctx, struct span name, struct span data, double score);
uint64_t value_scan(const struct value *value, uint64_t cursor, value_each *each, void *ctx);

/* Hashes, sets, sorted sets; every one as likely as any other. count > 0. */
void value_random(const struct value *value, struct random *random, struct item *name, struct item *data,
    double *score);
