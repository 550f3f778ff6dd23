/* search/suggest.h: completions of what somebody is typing: words of titles, captions, tags and
 * cameras, and whole tags, the most frequent first; among equals in order of their bytes.
 *
 * The last word of the text is completed, the words before it stay as they are (folded). A tag
 * is completed from the whole text. FUZZY also takes what begins with something one letter
 * away (inserted, left out, or another), which walks all of the dictionary. Texts of one
 * letter are completed, too. The walk goes in slices and finds its place again by the last
 * word seen, as words come and go meanwhile.
 */
#pragma once
#include "search/search.h"

enum { SUGGEST_MAX = 100, SUGGEST_BYTES_MAX = 256, SUGGEST_TEXT_MAX = 2 * SUGGEST_BYTES_MAX };

struct suggest;

/* Nothing of `text` is kept. `most` is 1..SUGGEST_MAX. */
struct suggest *suggest_new(struct index *index, struct span text, bool fuzzy, size_t most);
void suggest_free(struct suggest *suggest);
/* OK: all were seen. ERR_AGAIN: the budget ended. */
MUST_CHECK enum err suggest_step(struct suggest *suggest, const struct search_budget *budget);

struct suggestion {
	uint64_t weight;                  /* documents that have it */
	uint32_t len;
	uint8_t  text[SUGGEST_TEXT_MAX];
};
/* Best first, once suggest_step has returned OK. */
size_t suggest_get(struct suggest *suggest, const struct suggestion **out);
