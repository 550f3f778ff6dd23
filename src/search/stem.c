/* search/stem.c: see language.h. A stemmer is made for each word: they are few. */
#include "search/language.h"

#include "search/analyze.h"
#include "search/schema.h"

#include <libstemmer.h>

uint8_t stem_language(struct span name)
{
	const char **names = sb_stemmer_list();
	for (uint8_t i = 0; names[i] != NULL && i < UINT8_MAX; i++)
		if (span_is(name, names[i]))
			return (uint8_t)(i + 1);
	return 0;
}

const char *stem_language_name(uint8_t language)
{
	const char **names = sb_stemmer_list();
	ASSERT(language > 0);
	for (uint8_t i = 0; i + 1 < language; i++)
		if (names[i] == NULL)
			return NULL;
	return names[language - 1];
}

uint32_t query_language_field(struct span name)
{
	uint32_t id = schema_find(name);
	uint8_t mask = id == SCHEMA_COUNT ? 0 : schema_field(id)->text_mask;
	return mask == 0 ? QUERY_LANGUAGE_FIELDS : (uint32_t)__builtin_ctz(mask);
}

_Static_assert((int)QUERY_FOLD_MAX == (int)SEARCH_TAG_BYTES_MAX, "one and the same");

size_t query_fold(struct span text, uint8_t out[QUERY_FOLD_MAX])
{
	return analyze_tag(text, out);
}

size_t stem_word(uint8_t language, struct span word, uint8_t *out, size_t cap)
{
	size_t len = word.len < cap ? word.len : cap;
	const char *name = stem_language_name(language);
	struct sb_stemmer *stemmer = name == NULL ? NULL : sb_stemmer_new(name, "UTF_8");
	if (stemmer != NULL) {
		const sb_symbol *stem = sb_stemmer_stem(stemmer, word.ptr, (int)word.len);
		size_t stemmed = stem == NULL ? 0 : (size_t)sb_stemmer_length(stemmer);
		if (stemmed > 0 && stemmed <= cap) {
			memcpy(out, stem, stemmed);
			sb_stemmer_delete(stemmer);
			return stemmed;
		}
		sb_stemmer_delete(stemmer);
	}
	memcpy(out, word.ptr, len);
	return len;
}
