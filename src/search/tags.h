/* search/tags.h: which tags each document has in one field, for facets, sorting and
 * aggregation: the postings turned round.
 *
 * Ordinals number the tags of the field from 0; one whose tag is gone is given again. A
 * window of 4096 ids is open, a list of 4-byte ordinals and how many each document has, or
 * sealed: 4 bits (or 16, or none where all have one) a document that count its tags, where
 * every 16th document's begin, and the ordinals in as many bits as the greatest one needs,
 * less the least.
 */
#pragma once
#include "search/bits.h"
#include "search/docs.h"

enum { TAGS_GROUP = 16, TAGS_GROUPS = WINDOW_DOCS / TAGS_GROUP, ORDINAL_NONE = 0xffffffff };

struct tag_window {
	uint32_t  count;                  /* ordinals */
	uint32_t  cap;                    /* open: room in `ordinals` */
	uint32_t *ordinals;               /* open */
	uint16_t *counts;                 /* open: by slot, WINDOW_DOCS of them */
	uint8_t  *data;                   /* sealed: starts, counts, codes; see tags.c */
	uint32_t  bytes;                  /* of data */
	uint32_t  base;                   /* the least ordinal */
	uint8_t   width, count_width;
	uint16_t  open_slot;              /* the last that has any */
	uint32_t  open_start;             /* where its ordinals begin */
};

struct tags {
	struct memory      *memory;
	struct tag_window **windows;      /* NULL: none there */
	uint32_t            window_cap;
	uint32_t           *terms;        /* by ordinal: dictionary id, or the next free one */
	uint32_t            term_count, term_cap, free_ordinal;
};

void tags_init(struct tags *tags, struct memory *memory);
void tags_fini(struct tags *tags);

/* An ordinal for the term, which is new. */
uint32_t tags_add_term(struct tags *tags, uint32_t term);
void tags_drop_term(struct tags *tags, uint32_t ordinal);

/* `docid` is not below any before. An ordinal that the document has already is left out. */
void tags_put(struct tags *tags, uint32_t docid, uint32_t ordinal);

/* Codes a window that is full; frees it if `is_dead`. */
void tags_seal(struct tags *tags, uint32_t window, bool is_dead);

uint32_t tags_get(const struct tags *tags, uint32_t docid, uint32_t *ordinals, uint32_t cap);

/* Adds 1 to counts[ordinal] for every tag of the documents in `mask` of the window. */
void tags_count(const struct tags *tags, uint32_t window, const uint64_t mask[WINDOW_WORDS],
    uint32_t *counts);
void tags_count_one(const struct tags *tags, uint32_t docid, uint32_t *counts);

/* ---- For dump.c and load.c ---- */

/* Tags of the first `slots` documents of a window: how many each has, and all of them. Returns
 * how many there are; fills none if `cap` is less. */
uint32_t tags_copy(const struct tags *tags, uint32_t window, uint32_t slots, uint16_t *counts,
    uint32_t *ordinals, uint32_t cap);

/* A window as it was sealed; `data` is copied. False: that cannot be one. */
MUST_CHECK bool tags_restore(
    struct tags *tags, uint32_t window, const struct tag_window *sealed, const uint8_t *data);

/* Ordinals below `count` exist and are free; then term by term; then the free ones are known. */
void tags_restore_terms(struct tags *tags, uint32_t count);
MUST_CHECK bool tags_restore_term(struct tags *tags, uint32_t ordinal, uint32_t term);
void tags_restore_end(struct tags *tags);
