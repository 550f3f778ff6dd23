/* search/pattern.h: does a word of the dictionary fit what a query asks for? */
#pragma once
#include "search/search.h"

enum pattern_kind {
	PATTERN_WORD,                     /* it itself */
	PATTERN_PREFIX, PATTERN_SUFFIX, PATTERN_INFIX,
	PATTERN_FUZZY_1, PATTERN_FUZZY_2, /* at most so many characters put in, left out, changed */
	PATTERN_WILDCARD,                 /* * any characters, ? one, \ the next one as it is */
	PATTERN_STEM,                     /* a byte that is the language; the stem */
};

/* Both folded. *dead: bytes at the beginning of the word such that no word that begins with
 * them fits; 0 if that is not known. */
MUST_CHECK bool pattern_match(
    enum pattern_kind kind, struct span pattern, struct span word, size_t *dead);

/* Every word that fits begins with these bytes of the pattern. */
struct span pattern_prefix(enum pattern_kind kind, struct span pattern);
