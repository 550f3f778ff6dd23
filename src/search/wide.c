/* search/wide.c: prefixes and other patterns that fit many words, and long lists of tags.
 *
 * The words are gathered first, from the sorted dictionary. Their postings are then united
 * into pages of one bit a document, from the newest windows down and only as far as the
 * search has come: a search that soon has enough never reads the rest.
 *
 * The dictionary may change between slices, so that of a walk only the last word's text is
 * kept: the next one is sought after it. Words found are pinned.
 */
#include "search/run.h"

enum { WIDE_RUNS = 24, EXPAND_VISITS = 128, WIDE_WINDOWS = 4 };

/* ---- Gathering words -------------------------------------------------------------------- */

static void expand_keep(struct expand *expand, struct span text)
{
	ASSERT(text.len <= sizeof(expand->key));
	if (text.len > 0)
		memcpy(expand->key, text.ptr, text.len);
	expand->key_len = (uint32_t)text.len;
	expand->begun = true;
}

/* Behind all words that begin with these bytes: the last byte, one higher. */
static void expand_pass(struct expand *expand, struct dict *dict, struct span dead)
{
	expand_keep(expand, dead);
	expand->key[dead.len - 1]++;      /* UTF-8 has no byte 0xff */
	dict_seek(dict, expand->space, span_of(expand->key, expand->key_len), false,
	    &expand->cursor);
}

/* Where the walk begins, or went on to before this slice. */
static void expand_seek(struct expand *expand, struct dict *dict, struct span prefix)
{
	if (expand->begun)
		dict_seek(dict, expand->space, span_of(expand->key, expand->key_len), true,
		    &expand->cursor);
	else
		dict_seek(dict, expand->space, prefix, false, &expand->cursor);
	expand->sought = true;
}

enum expand_state expand_next(
    struct expand *expand, struct dict *dict, uint32_t *visits, struct term **out)
{
	size_t dead;
	struct span prefix = pattern_prefix(expand->kind, expand->text);
	if (expand->kind == PATTERN_WORD) {
		*out = expand->begun ? NULL : dict_find(dict, expand->space, expand->text);
		expand->begun = true;
		return *out == NULL ? EXPAND_END : EXPAND_FOUND;
	}
	if (!expand->sought)
		expand_seek(expand, dict, prefix);
	for (;;) {
		struct term *term = dict_next(dict, expand->space, prefix, &expand->cursor);
		if (term == NULL)
			return EXPAND_END;
		struct span text = term_text(term);
		bool fits = pattern_match(expand->kind, expand->text, text, &dead);
		if (fits || *visits <= 1) {
			expand_keep(expand, text);
			*visits -= *visits > 0;
			*out = fits ? term : NULL;
			return fits ? EXPAND_FOUND : EXPAND_PAUSED;
		}
		(*visits)--;
		if (dead > 0 && dead < text.len)
			expand_pass(expand, dict, span_slice(text, 0, dead));
	}
}

struct expand expand_of(const struct query *query, const struct node *node, uint32_t item)
{
	const struct query_item *of = &query->items[node->first_item + item];
	return (struct expand){
	    .space = node->space, .kind = of->kind, .text = query_span(query, of->text)};
}

struct wide *wide_new(struct search *search, const struct node *node)
{
	struct wide *wide = memory_zalloc(search->memory, sizeof(*wide));
	wide->page_count = wide->from = docs_window_count(&search->index->docs);
	if (wide->page_count > 0)
		wide->pages =
		    memory_zalloc(search->memory, wide->page_count * sizeof(*wide->pages));
	wide->to = wide->from;
	wide->expand = expand_of(search->texts, node, 0);
	return wide;
}

void wide_free(struct search *search, struct wide *wide)
{
	for (uint32_t i = 0; i < wide->term_count; i++)
		wide->terms[i]->pins--;
	for (uint32_t i = 0; i < wide->page_count; i++)
		memory_free(search->memory, wide->pages[i], WINDOW_WORDS * sizeof(uint64_t));
	memory_free(search->memory, wide->terms, wide->term_cap * sizeof(*wide->terms));
	memory_free(search->memory, wide->pages, wide->page_count * sizeof(*wide->pages));
	memory_free(search->memory, wide, sizeof(*wide));
}

static enum err wide_add_term(struct search *search, struct wide *wide, struct term *term)
{
	if (wide->term_count == wide->term_cap) {
		uint32_t cap = wide->term_cap == 0 ? 64 : wide->term_cap * 2;
		search->wide_bytes += (cap - wide->term_cap) * sizeof(*wide->terms);
		if (search->wide_bytes > SEARCH_MEMORY_MAX)
			return ERR_OVERLOADED;
		wide->terms = memory_resize(search->memory, wide->terms,
		    wide->term_cap * sizeof(*wide->terms), cap * sizeof(*wide->terms));
		wide->term_cap = cap;
	}
	wide->terms[wide->term_count++] = term;
	term->pins++;
	return OK;
}

/* All words are known. Few enough become cursors, as if they had been named. */
static void wide_settle(struct search *search, struct node *node)
{
	struct wide *wide = node->wide;
	wide->is_expanded = true;
	if (wide->term_count > RUN_CURSORS_MAX)
		return;
	node_set_terms(search, node, wide->terms, wide->term_count);
	node->wide = NULL;
	wide_free(search, wide);
}

static enum err wide_expand(struct search *search, struct node *node)
{
	struct wide *wide = node->wide;
	struct term *term;
	uint32_t visits = EXPAND_VISITS;
	wide->expand.sought = false;
	while (visits > 0) {
		enum expand_state state =
		    expand_next(&wide->expand, &search->index->dict, &visits, &term);
		if (state == EXPAND_PAUSED)
			return OK;
		if (state == EXPAND_FOUND) {
			enum err err = wide_add_term(search, wide, term);
			if (err != OK)
				return err;
			continue;
		}
		if (++wide->item == node->item_count) {
			wide_settle(search, node);
			return OK;
		}
		visits--;
		wide->expand = expand_of(search->texts, node, wide->item);
	}
	return OK;
}

/* ---- Uniting ---------------------------------------------------------------------------- */

bool wide_lacks(const struct search *search, uint32_t window)
{
	for (uint32_t i = 0; i < search->node_count && search->has_wide; i++) {
		const struct wide *wide = search->nodes[i].wide;
		if (wide != NULL && (!wide->is_expanded || wide->from > window))
			return true;
	}
	return false;
}

/* Windows that likely have as many matches as are asked for, if this is the whole query: what is
 * united in one go need not be decoded again for the next. */
static uint32_t windows_wanted(const struct search *search, const struct node *node)
{
	uint64_t wanted = search->top.cap, there = 0;
	const struct wide *wide = node->wide;
	if (!wide->is_expanded || node != search_root(search))
		return WIDE_WINDOWS;
	if (search->shows_all || search->options.count == SEARCH_EXACT)
		return wide->page_count;
	if (search->options.count == SEARCH_FAST && wanted < SEARCH_COUNT_FAST)
		wanted = SEARCH_COUNT_FAST;
	for (uint32_t i = 0; i < wide->term_count; i++)
		there += wide->terms[i]->list.count;
	uint64_t windows = (wanted + wanted / 8) * wide->page_count / (there + 1) + 1;
	windows = windows < WIDE_WINDOWS ? WIDE_WINDOWS : windows;
	return windows < wide->page_count ? (uint32_t)windows : wide->page_count;
}

void wide_want(struct search *search, uint32_t window)
{
	for (uint32_t i = 0; i < search->node_count; i++) {
		struct wide *wide = search->nodes[i].wide;
		if (wide == NULL || wide->from <= window || wide->to < wide->from)
			continue;
		/* Each step is twice as long as the one before, and at least long enough. */
		wide->size = wide->size > 0 ? wide->size * 2
		    : windows_wanted(search, &search->nodes[i]);
		wide->to = wide->from > wide->size ? wide->from - wide->size : 0;
		wide->to = wide->to < window ? wide->to : window;
		wide->at = 0;
		wide->next = wide->to << WINDOW_SHIFT;
	}
	search->expanding = 0;
	search->phase = PHASE_EXPAND;
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

static enum err wide_add_run(struct search *search, const struct node *node, uint64_t end)
{
	const struct posting_run *run = &node->wide->run;
	uint64_t *page = NULL;
	uint32_t page_at = DOCID_NONE;
	for (uint32_t i = 0; i < run->count && run->docids[i] < end; i++) {
		uint32_t docid = run->docids[i], slot = docid % WINDOW_DOCS;
		if (docid < node->wide->next)
			continue;
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

/* Some runs of the words, within the windows at work. */
static enum err wide_unite(struct search *search, struct node *node)
{
	struct wide *wide = node->wide;
	uint64_t end = (uint64_t)wide->from << WINDOW_SHIFT;
	uint32_t first, last;
	end = end < search->limit ? end : search->limit;
	for (uint32_t runs = WIDE_RUNS; runs > 0 && wide->at < wide->term_count; runs--) {
		const struct postings *list = &wide->terms[wide->at]->list;
		uint32_t count = postings_run_count(list);
		uint32_t at = postings_find(list, wide->next, 0, count);
		last = DOCID_NONE;
		if (at < count) {
			postings_bounds(list, at, &first, &last);
			if (first >= end) {
				last = DOCID_NONE;
			} else {
				wide->run.part = PART_NONE;
				search->blocks_read++;
				postings_load(list, at,
				    node->mask == FIELD_ANY ? PART_DOCIDS : PART_POSITIONS,
				    &wide->run);
				enum err err = wide_add_run(search, node, end);
				if (err != OK)
					return err;
			}
		}
		if (last >= end || last + 1 >= end) {         /* the next word */
			wide->at++;
			wide->next = wide->to << WINDOW_SHIFT;
		} else {
			wide->next = last + 1;
		}
	}
	if (wide->at == wide->term_count)
		wide->from = wide->to;
	return OK;
}

enum err wide_step(struct search *search, struct node *node, bool *done)
{
	struct wide *wide = node->wide;
	*done = wide == NULL;
	if (*done)
		return OK;
	if (!wide->is_expanded)
		return wide_expand(search, node);
	if (wide->to < wide->from)
		return wide_unite(search, node);
	*done = true;
	return OK;
}

uint32_t wide_before(const struct wide *wide, uint32_t window)
{
	window = window < wide->page_count ? window : wide->page_count;
	for (; window > wide->from; window--)
		if (wide->pages[window - 1] != NULL)
			return window - 1;
	return window == 0 ? DOCID_NONE : window - 1;         /* not known yet */
}
