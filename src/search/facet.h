/* search/facet.h: the values of one field counted over all matches (facet.c). Part of run.h. */
#pragma once
#include "search/index.h"

struct search;

/* Numbers and dates are counted in a hash table, tags by ordinal. */
struct facet_cell {
	double   number;
	uint64_t docs;                    /* 0: empty */
};

struct facet {
	const struct field  *field;       /* NULL: no document has it */
	const struct column *column;      /* NULL: tags */
	uint32_t          *counts;
	struct facet_cell *cells;
	uint32_t           cell_count, cell_used, end;       /* of counts, or of cells: a power of two */
	struct search_facet_value best[SEARCH_FACET_VALUES];
	uint32_t           best_count, scanned;
};

MUST_CHECK enum err facets_init(struct search *search);
void facets_free(struct search *search);
/* Counts the matches of this window in one facet. ERR_OVERLOADED over SEARCH_MEMORY_MAX. */
MUST_CHECK enum err facet_add_window(struct search *search, struct facet *facet);
/* Looks through some counts for the best; true when through all. */
MUST_CHECK bool facet_choose(struct search *search, struct facet *facet);
