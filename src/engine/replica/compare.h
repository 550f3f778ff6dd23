/* engine/replica/compare.h: what two servers with one log hold, put side by side: which keys differ?
 *
 * A key is there in a version, which says by LSNs what it is: the same on every server that holds
 * the same records. Keys fall into buckets by a hash of their names; a bucket's sum, of the
 * versions of its keys, tells whether a bucket is worth a list of them. Bodies are not looked at
 * (proof.h does that, for IMG.DIGEST).
 *
 * Between a follower that may lack something and its leader (rejoin.h):
 *
 *   follower                               leader
 *   REPLCONF COMPARE bits                  SUMS, when a walk through all keys has made them
 *   REPLCONF LIST bits wanted              LISTED, ..., the last of which says so
 *   REPLCONF RENEW db have version lsn body key
 *                                          (writes the key once more, in its log, unless it has this
 *                                          version; a mark if it has no such key)
 *   REPLCONF RENEWED number                RENEWED number LSN: all that was asked for before is there
 *
 * RENEW of database 255 names a user, a policy or another setting that the follower has; the leader writes
 * its own once more when it is asked to compare. `wanted` has a bit for each bucket. A walk works in slices
 * while commands run: what changes meanwhile is in the stream of records, which says it better.
 */
#pragma once
#include "engine/internal.h"

enum { COMPARE_BITS_MAX = 16, COMPARE_KEYS_MAX = 1 << 20, COMPARE_SUM_BYTES = 12 };

struct compare_version {
	uint64_t hash;                    /* never 0, which is no version */
	uint64_t lsn;                     /* of the last change */
	uint64_t body_lsn;                /* of an image; else 0 */
};
void compare_version_of(struct engine *engine, struct entry *entry, struct compare_version *out);
uint32_t compare_bucket(uint8_t db, struct span key, unsigned bits);
/* Of the key as it is now; hash 0: there is none. */
void compare_find(struct engine *engine, uint8_t db, struct span key, struct compare_version *out);

struct compare_sum {
	uint64_t sum;
	uint32_t keys;
};

struct compare_walk {
	struct engine      *engine;
	unsigned            bits;
	const uint8_t      *wanted;       /* NULL: all buckets */
	struct compare_sum *sums;         /* of all buckets; or NULL, and: */
	void              (*each)(
	    void *ctx, uint8_t db, struct span key, const struct compare_version *version);
	void               *ctx;
	/* its own, zero at the start */
	unsigned            db;
	uint64_t            cursor;
};
/* So many that a bucket has few keys. */
unsigned compare_bits(const struct engine *engine);
/* A slice. True: all was told. */
MUST_CHECK bool compare_step(struct compare_walk *walk);
static inline bool compare_wants(const uint8_t *wanted, uint32_t bucket)
{
	return (wanted[bucket / 8] >> bucket % 8 & 1) != 0;
}
