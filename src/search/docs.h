/* search/docs.h: what the index keeps for each document id: owner, length in words, live
 * bit, and which words its title has, for sorting.
 *
 * Ids are cut into windows of 4096, the unit in which searches work, columns are coded and
 * memory is given back: a full window of which no document lives is freed.
 */
#pragma once
#include "search/search.h"

enum {
	WINDOW_DOCS = 4096,
	WINDOW_SHIFT = 12,
	WINDOW_WORDS = WINDOW_DOCS / 64,
	TITLES_GROUP = 16,
	LENGTH_LONG = 255,
	DOCID_NONE = 0xffffffff,
};

/* Titles of the documents of a window: for each a varint of how many bytes follow, and these:
 * varints of the ids of its words, in order. */
struct doc_titles {
	uint8_t *bytes;
	uint32_t len, cap;
	uint32_t next;                    /* slots below are in it */
	uint32_t starts[WINDOW_DOCS / TITLES_GROUP]; /* where every 16th document's begins */
};

struct doc_window {
	uint32_t owners_low[WINDOW_DOCS];  /* addresses have 48 bits: see window_owner */
	uint16_t owners_high[WINDOW_DOCS];
	uint8_t  lengths[WINDOW_DOCS];    /* words; LENGTH_LONG: see long_lengths */
	uint16_t *long_lengths;           /* NULL, or of all: words, at most 65535 */
	uint64_t live[WINDOW_WORDS];
	uint32_t live_count;
	struct doc_titles *titles;        /* NULL: none has one */
};

struct docs {
	struct memory      *memory;
	struct doc_window **windows;      /* NULL: not yet, or all dead */
	uint32_t            window_cap;
	uint32_t            next;         /* the next id */
	uint64_t            live_count;
	uint64_t            words;        /* of live documents */
};

void docs_init(struct docs *docs, struct memory *memory);
void docs_fini(struct docs *docs);

/* Gives the next id. `title`: varints of the ids of its words; copied. */
uint32_t docs_add(struct docs *docs, void *owner, uint32_t words, struct span title);

/* A document that comes from a dump, without an owner; ids up to `next` were given. Those of a
 * window come in ascending order. */
void docs_restore(struct docs *docs, uint32_t docid, uint16_t words, struct span title);

/* False if it is not there. */
bool docs_remove(struct docs *docs, uint32_t docid);

static inline uint32_t docs_window_count(const struct docs *docs)
{
	return (uint32_t)(((uint64_t)docs->next + WINDOW_DOCS - 1) >> WINDOW_SHIFT);
}

static inline struct doc_window *docs_window(const struct docs *docs, uint32_t window)
{
	return window < docs->window_cap ? docs->windows[window] : NULL;
}

static inline bool docs_is_live(const struct docs *docs, uint32_t docid)
{
	const struct doc_window *window = docs_window(docs, docid >> WINDOW_SHIFT);
	uint32_t slot = docid % WINDOW_DOCS;
	return window != NULL && (window->live[slot / 64] >> (slot % 64) & 1) != 0;
}

/* NULL of one that came from a dump and was not claimed yet. */
static inline void *window_owner(const struct doc_window *window, uint32_t slot)
{
	return (void *)((uintptr_t)window->owners_high[slot] << 32 | window->owners_low[slot]);
}

static inline void window_set_owner(struct doc_window *window, uint32_t slot, const void *owner)
{
	ASSERT((uintptr_t)owner >> 48 == 0);
	window->owners_low[slot] = (uint32_t)(uintptr_t)owner;
	window->owners_high[slot] = (uint16_t)((uintptr_t)owner >> 32);
}

static inline uint32_t window_length(const struct doc_window *window, uint32_t slot)
{
	uint32_t length = window->lengths[slot];
	return LIKELY(length != LENGTH_LONG) ? length : window->long_lengths[slot];
}

static inline void docs_prefetch_length(const struct docs *docs, uint32_t docid)
{
	const struct doc_window *window = docs_window(docs, docid >> WINDOW_SHIFT);
	if (window != NULL)
		__builtin_prefetch(&window->lengths[docid % WINDOW_DOCS]);
}

static inline uint32_t docs_length(const struct docs *docs, uint32_t docid)
{
	const struct doc_window *window = docs_window(docs, docid >> WINDOW_SHIFT);
	return window == NULL ? 0 : window_length(window, docid % WINDOW_DOCS);
}

/* Of ascending ids. */
void docs_lengths(const struct docs *docs, const uint32_t *docids, uint32_t count, float *lengths);

/* Empty if there is none; borrowed until the next change. */
struct span docs_title(const struct docs *docs, uint32_t docid);
