/* search/wide.h: patterns that fit many words of the dictionary, and the union of their
 * postings (wide.c). Part of run.h. */
#pragma once
#include "search/cursor.h"
#include "search/index.h"
#include "search/query.h"

struct node;
struct search;

/* A walk through the words of the dictionary that fit a pattern. */
struct expand {
	uint16_t    space;
	enum pattern_kind kind;
	struct span text;                 /* the pattern; borrowed */
	bool        begun, sought;        /* sought: the cursor holds, within one slice */
	uint32_t    key_len;              /* the last word seen */
	uint8_t     key[SEARCH_TAG_BYTES_MAX];
	struct dict_cursor cursor;
};

enum expand_state { EXPAND_FOUND, EXPAND_PAUSED, EXPAND_END };

/* Union of many terms: one bit a document, in pages of a window. */
struct wide {
	uint64_t **pages;
	uint32_t   page_count;
	uint32_t   from;                  /* windows from here on are united */
	uint32_t   to, size;              /* those from `to` to `from` are at work */
	bool       is_expanded;           /* all terms are known */
	uint32_t   item;                  /* to expand */
	struct expand expand;
	struct term **terms;              /* pinned */
	uint32_t   term_count, term_cap;
	uint32_t   at, next;              /* to unite: term, and its next id */
	struct posting_run run;
};

struct expand expand_of(const struct query *query, const struct node *node, uint32_t item);

/* The next word, after looking at no more than *visits, which it counts down. */
MUST_CHECK enum expand_state expand_next(
    struct expand *expand, struct dict *dict, uint32_t *visits, struct term **out);

struct wide *wide_new(struct search *search, const struct node *node);
void wide_free(struct search *search, struct wide *wide);

/* One unit of gathering or uniting. ERR_OVERLOADED over SEARCH_MEMORY_MAX. */
MUST_CHECK enum err wide_step(struct search *search, struct node *node, bool *done);

/* Is there one that is not united down to this window? Then sets them to work. */
bool wide_lacks(const struct search *search, uint32_t window);
void wide_want(struct search *search, uint32_t window);

/* As leaf_before. */
uint32_t wide_before(const struct wide *wide, uint32_t window);
