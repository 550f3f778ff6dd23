/* search/titles.h: sorting by title. Part of run.h. */
#pragma once
#include "search/run.h"

enum { TITLE_WORDS = 1 << 12, TITLES_AHEAD = 32 };

/* What words begin with, by the lowest bits of their ids. */
struct title_words {
	uint64_t dropped;                 /* of the dictionary, when they were kept */
	uint32_t ids[TITLE_WORDS];        /* UINT32_MAX: none */
	uint64_t keys[TITLE_WORDS];
	/* Titles of the matches that come next, in their order; within one piece of work. */
	struct { uint32_t docid; struct span title; } ahead[TITLES_AHEAD];
	uint32_t ahead_count, ahead_at;
};

/* At the begin of each slice of a sort by title; once at the end of a search. */
void titles_begin(struct search *search);
void titles_end(struct search *search);

/* What the first words of the next matches begin with is needed soon: at most TITLES_AHEAD. */
void titles_ahead(struct search *search, uint32_t count);

/* Text and key of an entry's title. False: it cannot enter. */
MUST_CHECK bool title_fill(struct search *search, struct entry *entry);
