/* engine/index/language.h: stop words, synonyms and languages of the text fields of a database, as
 * search/language.h has them. They are declarations of fields.h whose names begin with a byte
 * that no attribute's name can have:
 *
 *   \1stop            the stop words
 *   \1syn:GROUP       words that mean the same
 *   \1stem:FIELD      the language of a text field, or of an attribute that was declared a text
 *
 * They are about queries alone: no document is made again.
 */
#pragma once
#include "engine/index/fields.h"
#include "search/search.h"

enum { LANGUAGE_MARK = 1, LANGUAGE_FIELD_MAX = ATTR_NAME_MAX - 6 };    /* "?stem:" stands before it */

/* What query_options.words wants; it points to itself. */
struct language {
	struct query_words words;
	struct engine     *engine;
	uint8_t            db;
	struct span        texts[QUERY_TEXTS_MAX];
};
_Static_assert((int)QUERY_TEXTS_MAX == (int)FIELD_TEXTS_MAX, "as many as may be declared");
void language_get(struct engine *engine, uint8_t db, struct language *out);
/* Verbatim: without synonyms and stems. */
void language_limit(struct language *language, bool verbatim, bool no_stop_words);

/* Name of a declaration of a kind ("stop", "syn", "stem"), of so much of a group or field as fits. */
void language_name(struct field_declaration *declaration, const char *kind, struct span of);
/* The group or field, if the declaration is of this kind. */
MUST_CHECK bool language_is(
    const struct field_declaration *declaration, const char *kind, struct span *of);
/* The at-th line of its text; empty: there are no more. */
struct span language_line(const struct field_declaration *declaration, uint32_t at);
