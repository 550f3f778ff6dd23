/* search/titles.c: sorting by title: the texts that are compared.
 *
 * A document has the ids of its title's words, which lead to their texts all over memory. As a rule
 * the first word tells that a title comes too late, and few words are first in many titles: what
 * they begin with is kept by id. Those that are not are asked for side by side.
 */
#include "search/titles.h"
#include "search/varint.h"

/* Words of the title, one blank between them, which sorts before all letters: so it is as if word
 * was compared with word. Those that begin in the first `bytes`. */
static struct span title_text(struct search *search, struct span ids, size_t bytes)
{
	struct buf *out = &search->text;
	buf_clear(out);
	for (const uint8_t *at = ids.ptr, *end = at + ids.len; at < end && out->len < bytes;) {
		uint32_t id;
		at = varint_get(at, &id);
		ASSERT(id < search->index->dict.id_end);
		const struct term *term = dict_term(&search->index->dict, id);
		ASSERT(term != NULL);     /* a live document has it */
		if (out->len > 0)
			buf_append_u8(out, ' ');
		buf_append(out, term_text(term));
	}
	return buf_span(out);
}

/* ---- The first word ---------------------------------------------------------------------- */

void titles_begin(struct search *search)
{
	if (search->top.sort != SORT_TITLE)
		return;
	bool is_new = search->title_words == NULL;
	if (is_new)
		search->title_words =
		    memory_alloc(search->memory, sizeof(*search->title_words));
	/* When a word has gone its id may be given to another. */
	struct title_words *words = search->title_words;
	if (is_new || words->dropped != search->index->dict.dropped)
		memset(words->ids, 0xff, sizeof(words->ids));
	words->dropped = search->index->dict.dropped;
}

void titles_end(struct search *search)
{
	if (search->title_words != NULL)
		memory_free(search->memory, search->title_words, sizeof(*search->title_words));
	search->title_words = NULL;
}

static void word_keep(struct search *search, uint32_t id)
{
	struct title_words *words = search->title_words;
	ASSERT(id < search->index->dict.id_end);
	const struct term *term = dict_term(&search->index->dict, id);
	ASSERT(term != NULL);             /* a live document has it */
	words->ids[id % TITLE_WORDS] = id;
	words->keys[id % TITLE_WORDS] = text_key(term_text(term));
}

/* Its first eight bytes, or all and zeros. */
static uint64_t word_key(struct search *search, uint32_t id)
{
	if (search->title_words->ids[id % TITLE_WORDS] != id)
		word_keep(search, id);
	return search->title_words->keys[id % TITLE_WORDS];
}

void titles_ahead(struct search *search, uint32_t count)
{
	const struct dict *dict = &search->index->dict;
	uint32_t ids[TITLES_AHEAD], asked = 0, id;
	struct title_words *words = search->title_words;
	ASSERT(count <= TITLES_AHEAD);
	words->ahead_count = words->ahead_at = 0;
	for (uint32_t word = search->words; word-- > 0 && count > 0;) {
		for (uint64_t bits = search->matches[word]; bits != 0 && count > 0; count--) {
			uint32_t bit = 63 - (uint32_t)__builtin_clzll(bits);
			bits &= ~(1ULL << bit);
			uint32_t docid = search_docid(search, word * 64 + bit);
			struct span title = docs_title(&search->index->docs, docid);
			words->ahead[words->ahead_count].docid = docid;
			words->ahead[words->ahead_count++].title = title;
			if (title.len == 0)
				continue;
			(void)varint_get(title.ptr, &id);
			if (words->ids[id % TITLE_WORDS] == id)
				continue;
			__builtin_prefetch(&dict->pages[id / DICT_PAGE_TERMS][id % DICT_PAGE_TERMS].key);
			ids[asked++] = id;
		}
	}
	for (uint32_t i = 0; i < asked; i++)
		__builtin_prefetch(dict_term(dict, ids[i])->key + DICT_SPACE_BYTES);
	for (uint32_t i = 0; i < asked; i++)
		word_keep(search, ids[i]);
}

/* Does the first word alone tell that the title comes behind the worst result? */
static bool first_word_loses(struct search *search, struct span ids, const struct entry *worst)
{
	uint32_t id;
	(void)varint_get(ids.ptr, &id);
	uint64_t key = word_key(search, id);
	/* Where it ends another may follow: only its own bytes are compared. */
	uint32_t unknown = key == 0 ? 64 : (uint32_t)__builtin_ctzll(key) / 8 * 8;
	if (unknown == 64 || key >> unknown == worst->key >> unknown)
		return false;
	return (key < worst->key) == search->top.descending;
}

/* ---- An entry ------------------------------------------------------------------------------ */

bool title_fill(struct search *search, struct entry *entry)
{
	const struct top *top = &search->top;
	struct title_words *words = search->title_words;
	ASSERT(words->ahead_at < words->ahead_count);
	ASSERT(words->ahead[words->ahead_at].docid == entry->docid);
	struct span ids = words->ahead[words->ahead_at++].title;
	entry->missing = ids.len == 0;
	if (entry->missing)
		return true;
	bool full = top_is_full(top) && !top->entries[0].missing;
	if (full && first_word_loses(search, ids, &top->entries[0]))
		return false;
	struct span text = title_text(search, ids, sizeof(entry->key));
	entry->key = text_key(text);
	if (full && entry->key != top->entries[0].key &&
	    (entry->key < top->entries[0].key) == top->descending)
		return false;
	text = title_text(search, ids, SIZE_MAX);
	entry->text = search->text.ptr;
	entry->text_len = (uint32_t)text.len;
	return true;
}
