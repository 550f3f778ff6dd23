/* base/hash.h: keyed hashing of keys and content digests, by xxHash. */
#pragma once
#include "base/span.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

struct digest {
	uint8_t bytes[16];
};

/* Table hash. `seed` is random per process, so that a client cannot choose collisions. */
static inline uint64_t hash_key(struct span key, uint64_t seed)
{
	return XXH3_64bits_withSeed(key.ptr, key.len, seed);
}

/* XXH3-128 in canonical (big-endian) order: the ETag of an image. */
static inline struct digest digest_of(struct span bytes)
{
	XXH128_canonical_t canonical;
	struct digest digest;
	XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.ptr, bytes.len));
	memcpy(digest.bytes, canonical.digest, sizeof(digest.bytes));
	return digest;
}

/* The same over pieces, with the widest loops that the processor has (base/digest.c). */
void digest_begin(XXH3_state_t *state);
void digest_add(XXH3_state_t *state, struct span bytes);
struct digest digest_end(const XXH3_state_t *state);

static inline bool digest_equal(const struct digest *a, const struct digest *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

enum { DIGEST_HEX = 32 };

/* Writes 32 lower-case hex digits, no NUL. */
void digest_hex(const struct digest *digest, char out[DIGEST_HEX]);

/* False unless `text` is exactly 32 hex digits of either case. */
MUST_CHECK bool digest_parse(struct span text, struct digest *out);
