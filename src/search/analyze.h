/* search/analyze.h: text into words, and tags into their folded form.
 *
 * Folding is NFKC with full case folding; combining marks of Latin, Greek, Cyrillic,
 * Hebrew and Arabic are removed, those of other scripts belong to the letter before them.
 * Characters are utf8proc's; the scripts written without blanks are listed in analyze.c.
 * Nothing allocates; work is linear in the text.
 */
#pragma once
#include "search/search.h"

/* `word` is borrowed for the call; positions count words from 0. `source` is where in the
 * text it stands. */
typedef void analyze_emit(
    void *ctx, struct span word, uint32_t position, struct span source);

void analyze_words(struct span text, analyze_emit *emit, void *ctx);

/* True for an ideograph and the like: a word that no letter can prolong. */
bool analyze_is_single(struct span word);

/* Folds a whole tag: blanks trimmed and runs of them made one. Returns the length, which
 * is 0 for a tag of blanks. A longer one keeps its first 240 bytes, and a hash. */
size_t analyze_tag(struct span text, uint8_t out[SEARCH_TAG_BYTES_MAX]);

/* Characters (not bytes) of valid UTF-8. */
size_t analyze_length(struct span word);
