/* search/wide.c: prefixes with many words (and long lists of tags), united once into pages
 * of bits before the windows are walked.
 *
 * The dictionary may change between slices, so that only the last word's text is kept: the
 * next one is sought after it. A word whose postings did not fit into one unit is held by
 * a cursor, which pins it.
 */
#include "search/run.h"

enum { WIDE_RUNS = 24 };

void wide_free(struct search *search, struct wide *wide)
{
	if (wide->has_cursor)
		cursor_fini(&wide->cursor);
	for (uint32_t i = 0; i < wide->page_count; i++)
		if (wide->pages[i] != NULL)
			memory_free(
			    search->memory, wide->pages[i], WINDOW_WORDS * sizeof(uint64_t));
	memory_free(search->memory, wide->pages, wide->page_count * sizeof(*wide->pages));
	memory_free(search->memory, wide, sizeof(*wide));
}

static uint64_t *wide_page(struct search *search, struct wide *wide, uint32_t at)
{
	size_t bytes = WINDOW_WORDS * sizeof(uint64_t);
	ASSERT(at < wide->page_count);
	if (wide->pages[at] == NULL && search->wide_bytes + bytes <= SEARCH_MEMORY_MAX) {
		wide->pages[at] = memory_zalloc(search->memory, bytes);
		search->wide_bytes += bytes;
	}
	return wide->pages[at];
}

static enum err wide_add_run(struct search *search, struct node *node, const struct cursor *cursor)
{
	const struct posting_run *run = &cursor->run;
	uint64_t *page = NULL;
	uint32_t page_at = DOCID_NONE;
	for (uint32_t i = 0; i < run->count && run->docids[i] < search->limit; i++) {
		uint32_t docid = run->docids[i], slot = docid % WINDOW_DOCS;
		if (node->mask != FIELD_ANY && (run->masks[i] & node->mask) == 0)
			continue;
		if (docid >> WINDOW_SHIFT != page_at) {
			page_at = docid >> WINDOW_SHIFT;
			page = wide_page(search, node->wide, page_at);
			if (page == NULL)
				return ERR_OVERLOADED;
		}
		page[slot / 64] |= 1ULL << (slot % 64);
	}
	return OK;
}

/* Runs of the term at hand, at most *runs; lets go of it at its end. */
static enum err wide_add_term(struct search *search, struct node *node, uint32_t *runs)
{
	struct wide *wide = node->wide;
	struct cursor *cursor = &wide->cursor;
	uint32_t first, last;
	ASSERT(wide->has_cursor);
	for (; *runs > 0; (*runs)--) {
		uint32_t at = cursor_find(cursor, wide->next);
		if (at == postings_run_count(&cursor->term->list) || wide->next >= search->limit) {
			cursor_fini(cursor);
			wide->has_cursor = false;
			return OK;
		}
		cursor_load(cursor, at, node->mask == FIELD_ANY ? PART_DOCIDS : PART_POSITIONS);
		enum err err = wide_add_run(search, node, cursor);
		if (err != OK)
			return err;
		postings_bounds(&cursor->term->list, at, &first, &last);
		wide->next = last + 1;
	}
	return OK;
}

/* The next word of the item at hand, or NULL. */
static struct term *wide_next_term(struct search *search, struct node *node)
{
	struct wide *wide = node->wide;
	struct dict *dict = &search->index->dict;
	struct dict_cursor cursor;
	const struct query_item *item = &search->texts->items[node->first_item + wide->item];
	struct span text = query_span(search->texts, item->text);
	if (!item->prefix)
		return wide->key_len > 0 ? NULL : dict_find(dict, node->space, text);
	if (wide->key_len == 0)
		dict_seek(dict, node->space, text, false, &cursor);
	else
		dict_seek(dict, node->space, span_of(wide->key, wide->key_len), true, &cursor);
	return dict_next(dict, node->space, text, &cursor);
}

enum err wide_step(struct search *search, struct node *node)
{
	struct wide *wide = node->wide;
	uint32_t runs = WIDE_RUNS;
	while (runs > 0) {
		if (wide->has_cursor) {
			enum err err = wide_add_term(search, node, &runs);
			if (err != OK)
				return err;
			continue;
		}
		struct term *term = wide_next_term(search, node);
		if (term == NULL) {
			wide->key_len = 0;
			if (++wide->item == node->item_count) {
				wide->is_done = true;
				return OK;
			}
			runs--;
			continue;
		}
		struct span text = term_text(term);
		ASSERT(text.len > 0);
		memcpy(wide->key, text.ptr, text.len);
		wide->key_len = (uint32_t)text.len;
		cursor_init(&wide->cursor, term);
		wide->has_cursor = true;
		wide->next = 0;
	}
	return OK;
}
