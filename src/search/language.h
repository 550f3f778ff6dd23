/* search/language.h: what is made of the words of a query beyond their own letters. Part of
 * search.h.
 *
 * Nothing of it is in the index: a change shows in the next query. Single words are concerned,
 * not phrases or patterns. A stop word is left out. A word stands for its synonyms, too: any of
 * them will do. In a text field with a language a word stands for all words with the same
 * stem (Snowball, M. Porter 2001); such a match adds 1 to the score, the word itself its BM25.
 * A word of no field is sought in attributes that were declared to be texts, too.
 */
#pragma once
#include "base/span.h"

enum {
	QUERY_LANGUAGE_FIELDS = 4,        /* title, camera, caption, tags */
	QUERY_TEXTS_MAX = 12,
};

struct query_words {
	void *ctx;
	bool (*is_stopped)(void *ctx, struct span word);             /* folded */
	/* The at-th other word, or words, that mean the same; empty: no more. Borrowed. */
	struct span (*synonym)(void *ctx, struct span word, uint32_t at);
	const struct span *texts;         /* names of attributes with words; borrowed */
	uint32_t text_count;              /* at most QUERY_TEXTS_MAX */
	/* stem_language; 0: none. Of the four fields, then of the texts. */
	uint8_t languages[QUERY_LANGUAGE_FIELDS + QUERY_TEXTS_MAX];
};

/* A number for "english", "german", ...; 0: not known. And back, from 1 on; NULL behind the last. */
uint8_t stem_language(struct span name);
const char *stem_language_name(uint8_t language);
/* Which of the four this is; QUERY_LANGUAGE_FIELDS: it has no words. */
uint32_t query_language_field(struct span name);
/* Folds words as a tag is folded. Returns the length; 0: there is nothing in it. */
enum { QUERY_FOLD_MAX = 256 };
size_t query_fold(struct span text, uint8_t out[QUERY_FOLD_MAX]);
/* The stem of a folded word. Returns its length, at most `cap`. */
size_t stem_word(uint8_t language, struct span word, uint8_t *out, size_t cap);
