/* store/pages.h: hands out runs of pages of one region, any length, in constant time.
 *
 * Two-level segregated fit (Masmano, Ripoll, Crespo, Real, "TLSF", 2004): free runs hang in
 * lists by size class, 16 classes per power of two, so that a request takes a run at most
 * 1/16 longer than it needs before the rest is split off again: nothing is lost inside a
 * run. Freed runs join their free neighbours at once. Tags live outside the region, which
 * workers can see. Sizes and places count pages.
 */
#pragma once
#include "base/memory.h"

enum {
	PAGES_SUB_BITS = 4,
	PAGES_SUBS = 1 << PAGES_SUB_BITS,
	PAGES_CLASSES = 28,
	PAGES_NONE = 0xffffffff,
};

struct page_tag {
	uint32_t pages;               /* at both ends of a run: its length */
	uint32_t next, prev;          /* at the start of a free run: its list */
};

struct pages {
	uint32_t         magic;
	uint32_t         count, used;
	uint32_t         levels;                      /* bit l: level l has a free run */
	uint16_t         subs[PAGES_CLASSES];         /* bit s: list (l, s) is not empty */
	uint32_t         heads[PAGES_CLASSES][PAGES_SUBS];
	struct page_tag *tags;
	uint64_t        *free_bits;                   /* bit p: a free run begins or ends at p */
	struct memory   *memory;
};

/* `count` pages, 1 .. 2^27, all free. */
void pages_init(struct pages *pages, uint32_t count, struct memory *memory);
void pages_fini(struct pages *pages);

/* The first page of a run of `count` > 0, or PAGES_NONE. */
uint32_t pages_take(struct pages *pages, uint32_t count);
/* `first` came from pages_take and was not given back since. */
void pages_give(struct pages *pages, uint32_t first);
