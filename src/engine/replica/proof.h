/* engine/replica/proof.h: digests of a whole database, by ranges of keys, for IMG.DIGEST: do two servers hold
 * the same?
 *
 * A key's digest is XXH3-128 of: type u8, deadline in Unix ms u64 (0: none), length of the key u32,
 * the key, and then
 *   string       its bytes
 *   list         of each element, in order: length u32, bytes
 *   sorted set   of each member, in order: score as 8 bytes of IEEE 754, length u32, bytes
 *   hash, set    the sum (of 128 bits) of XXH3-128(length u32, name, data) of all members
 *   image        the encoded metadata of its record, which begins with what the image's bytes
 *                are: format, sizes, ETag
 * all little-endian. Nothing of it depends on where or when something was stored, on the seeds of
 * tables, or on the form in memory. A key falls into the bucket that the upper bits of XXH3-64
 * of its name say; a bucket's digest is the sum of those of its keys.
 *
 * It works in slices while commands run: of what changes meanwhile either state is counted. Keys whose
 * time is up are left out. An image whose metadata cannot be read is counted as such.
 */
#pragma once
#include "engine/internal.h"

#include "cache/value.h"

enum { PROOF_BITS_MAX = 16, PROOF_READS_MAX = 32, PROOFS_MAX = 8 };

struct proof_sum {
	uint64_t low, high, keys;
};

struct proof {
	/* the caller's, all else zero */
	struct engine *engine;
	uint8_t        db;
	unsigned       bits;              /* 2^bits buckets */
	/* Every key of the buckets that are wanted (all if that is NULL) with its digest. */
	bool         (*wanted)(struct proof *proof, uint32_t bucket);
	void         (*each)(
	    struct proof *proof, uint32_t bucket, struct span key, const struct digest *digest);
	void         (*done)(struct proof *proof, enum err err);       /* never from within proof_start */
	void          *ctx;
	/* its own */
	struct list    link;
	XXH3_state_t  *hash;              /* of the item that is hashed piece by piece */
	struct list    keys;              /* struct proof_key: to be looked at, again or for the first time */
	struct list    reads;             /* struct proof_read */
	unsigned       reading;
	uint64_t       cursor;
	bool           walked;
	enum err       err;
	struct proof_key *item;           /* in pieces: a long string or collection */
	struct body   *body;              /* the string's, referenced */
	size_t         hashed;
	const void    *object;            /* the collection, as it was when the walk began */
	uint64_t       lsn;
	struct value   small;
	struct walk    walk;
	struct proof_sum sum;
};

/* Adds `digest` to a sum. */
void proof_add(struct proof_sum *sum, const struct digest *digest);
uint32_t proof_bucket(struct span key, unsigned bits);
/* ERR_OVERLOADED: PROOFS_MAX are under way; ERR_MEMORY. Of a server that is still loading nothing
 * can be said: the caller has seen to that. */
MUST_CHECK enum err proof_start(struct proof *proof);
