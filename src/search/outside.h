/* search/outside.h: parts of a query over what the index does not keep itself, perceptual
 * hashes and colours, and who answers them. Part of search.h.
 */
#pragma once
#include "base/err.h"
#include "base/span.h"

struct index;
struct query;
struct search_budget;

enum search_leaf_kind {
	SEARCH_LEAF_NEAR,                 /* @phash:[hash distance] */
	SEARCH_LEAF_PALETTE,              /* @palette:{red|blue} */
	SEARCH_LEAF_NEAR_MISSING,         /* ismissing(@phash) */
	SEARCH_LEAF_PALETTE_MISSING,
};

enum { SEARCH_HASH_BYTES = 32, SEARCH_HASH_BITS = 256, SEARCH_NAMES_MAX = 32 };

struct search_leaf {
	enum search_leaf_kind kind;
	uint8_t     hash[SEARCH_HASH_BYTES];
	uint32_t    distance;             /* 0..SEARCH_HASH_BITS */
	struct span names[SEARCH_NAMES_MAX];      /* folded; borrowed for the call */
	size_t      name_count;
};

/* Documents are named by id. Each search that has such a leaf opens it, steps it until it
 * is ready, asks it, and closes it. */
struct search_provider {
	void *ctx;
	/* *cost: documents that it may match, about. ERR_NOTFOUND: a name that is none. */
	enum err (*open)(void *ctx, const struct search_leaf *leaf, void **state, uint64_t *cost);
	enum err (*step)(void *state, const struct search_budget *budget);    /* OK: ready */
	/* Clears in `mask` what does not match of the ids 4096 * window and up. */
	void   (*filter)(void *state, uint32_t window, uint64_t mask[64]);
	bool   (*has)(void *state, uint32_t docid);
	void   (*close)(void *state);
	void   (*remove)(void *ctx, uint32_t docid);      /* the document is gone */
};

/* Copied. Without one, a query with such a leaf answers ERR_UNSUPPORTED at search_start. */
void index_set_provider(struct index *index, const struct search_provider *provider);

/* Narrows a parsed query to what is near `hash` also. */
void query_and_near(
    struct query *query, const uint8_t hash[SEARCH_HASH_BYTES], uint32_t distance);
