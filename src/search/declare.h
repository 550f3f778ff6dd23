/* search/declare.h: attributes that are one thing only. Part of search.h. */
#pragma once
#include "search/search.h"

/* What an attribute of this name is from now on, in documents that are added: SEARCH_TAG,
 * SEARCH_NUMERIC, SEARCH_DATE (any date_parse takes), SEARCH_GEO ("lon,lat"), SEARCH_TEXT (its
 * words are sought), SEARCH_TEXT_TAG (it can be sorted by, too), or as it was, SEARCH_ATTRIBUTE.
 * A value that does not read so is left out. */
void index_declare(struct index *index, struct span name, enum search_kind kind);
/* Has the index this field by itself? */
bool index_field_is_built_in(struct span name);
