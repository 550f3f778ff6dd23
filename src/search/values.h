/* search/values.h: what the index can tell of one document's fields. Part of search.h.
 *
 * Text is not kept; the document's owner has it. All here are void after the next change.
 */
#pragma once
#include "base/err.h"
#include "base/span.h"

struct index;
struct field;

enum { FIELD_TAGS_MAX = 65535 };          /* that are kept of one document and field */

/* NULL if no document has had it. */
struct field *index_find_field(struct index *index, struct span name);

/* False if the document has none, or the field is of another kind. */
MUST_CHECK bool index_get_number(const struct field *field, uint32_t docid, double *number);
MUST_CHECK bool index_get_date(const struct field *field, uint32_t docid, int64_t *ms);
MUST_CHECK bool index_get_place(const struct field *field, uint32_t docid, double *lon, double *lat);

/* The distinct tags of a document, in order of arrival, as ordinals: small numbers that
 * stand for the tags of one field. Returns how many there are; fills at most `cap`. */
uint32_t index_get_tags(const struct field *field, uint32_t docid, uint32_t *ordinals, uint32_t cap);

/* Every ordinal is less. */
uint32_t index_tag_end(const struct field *field);

/* Folded; empty for an ordinal that is not in use. *docs: how many have it, dead ones
 * included until the sweep meets them. `docs` may be NULL. */
struct span index_tag_text(
    const struct index *index, const struct field *field, uint32_t ordinal, uint64_t *docs);
