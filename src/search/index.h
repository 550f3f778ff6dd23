/* search/index.h: the parts of an index and how they hang together. Internal.
 *
 * Each part counts its bytes for an account of its own inside the index; index_settle
 * carries the sum over to the caller's account at the end of every change.
 */
#pragma once
#include "search/column.h"
#include "search/declare.h"
#include "search/dict.h"
#include "search/schema.h"

enum { INDEX_MAGIC = 0x58444e49, ENTRIES_KEPT = 4096 };

struct field {
	uint8_t       kinds, text_mask;
	struct term  *present;            /* pinned; NULL where a column tells presence */
	struct column numbers;            /* or longitude */
	struct column dates;              /* or latitude */
	struct tags   tags;               /* of each document */
};

struct index_sweep {
	bool     active;
	uint32_t term, run, dead;         /* where it goes on */
	uint64_t removed_before;          /* what this pass will have reclaimed */
	uint64_t passes;
};

struct index {
	uint32_t       magic;
	struct memory *memory;            /* the caller's account */
	uint64_t       settled;           /* bytes carried over to it */
	struct memory  documents_memory, postings_memory, dictionary_memory, columns_memory;
	double         k1, b;
	float          inverse_tf[POSTING_TF_MAX + 1];       /* 1 / tf */
	struct docs    docs;
	struct dict    dict;
	struct dict    names;             /* field names; term ids are field ids */
	struct field **fields;
	uint32_t       field_count, field_cap;
	uint64_t       attributes_refused;
	uint64_t       postings;
	uint64_t       removed;           /* documents, ever */
	uint64_t       removed_swept;
	uint32_t       searches;          /* under way */
	uint32_t       ordinal_users;     /* of these, those that hold ordinals of tags */
	struct search_provider provider;  /* all NULL: none */
	uint32_t       seal_window, seal_field;
	bool           is_dumped;         /* dump.c is at it: nothing is swept */
	uint64_t      *entries;           /* scratch: words of one document */
	uint32_t       entry_count, entry_cap;
	struct index_sweep sweep;
};

void index_settle(struct index *index);

/* NULL if no document has had it. */
struct field *index_field(struct index *index, struct span name, uint32_t *id);

/* The tag that an ordinal stands for; NULL if it is not in use. */
struct term *index_tag_term(const struct index *index, const struct field *field, uint32_t ordinal);

/* Codes what has filled up in a window, or frees it. */
void field_seal(struct field *field, uint32_t window, bool is_dead);

/* Makes it. NULL, counted, for a bad name or over SEARCH_FIELDS_MAX. */
struct field *index_field_add(struct index *index, struct span name, uint32_t *id);

/* Documents in the list, without the dead that a sweep has counted: df. */
static inline uint32_t term_df(const struct term *term)
{
	return term->list.count - term->list.dead;
}

/* Has the budget ended? `spent` counts units. */
bool budget_is_spent(const struct search_budget *budget, uint64_t spent);

/* Places on Earth are kept as whole multiples of 1e-7 degrees. */
double geo_round(double degrees);
