/* search/docs.c: see docs.h. */
#include "search/docs.h"

void docs_init(struct docs *docs, struct memory *memory)
{
	ASSERT(memory != NULL);
	*docs = (struct docs){.memory = memory};
}

static void docs_drop_window(struct docs *docs, uint32_t at)
{
	struct doc_window *window = docs->windows[at];
	ASSERT(window != NULL);
	if (window->title_ends != NULL)
		memory_free(docs->memory, window->title_ends, WINDOW_DOCS * sizeof(uint32_t));
	if (window->titles != NULL)
		memory_free(docs->memory, window->titles, window->title_cap);
	memory_free(docs->memory, window, sizeof(*window));
	docs->windows[at] = NULL;
}

void docs_fini(struct docs *docs)
{
	for (uint32_t i = 0; i < docs->window_cap; i++)
		if (docs->windows[i] != NULL)
			docs_drop_window(docs, i);
	if (docs->windows != NULL)
		memory_free(docs->memory, docs->windows, docs->window_cap * sizeof(*docs->windows));
	*docs = (struct docs){.memory = docs->memory};
}

static struct doc_window *docs_open_window(struct docs *docs, uint32_t at)
{
	if (at >= docs->window_cap) {
		uint32_t cap = docs->window_cap == 0 ? 4 : docs->window_cap * 2;
		docs->windows = memory_resize(docs->memory, docs->windows,
		    docs->window_cap * sizeof(*docs->windows), cap * sizeof(*docs->windows));
		memset(docs->windows + docs->window_cap, 0,
		    (cap - docs->window_cap) * sizeof(*docs->windows));
		docs->window_cap = cap;
	}
	ASSERT(at < docs->window_cap);
	if (docs->windows[at] == NULL)
		docs->windows[at] = memory_zalloc(docs->memory, sizeof(struct doc_window));
	return docs->windows[at];
}

static void window_reserve_title(struct docs *docs, struct doc_window *window, uint32_t extra)
{
	if (window->title_ends == NULL)
		window->title_ends = memory_zalloc(docs->memory, WINDOW_DOCS * sizeof(uint32_t));
	if (window->title_bytes + extra <= window->title_cap)
		return;
	uint32_t cap = window->title_cap + window->title_cap / 2 + 1024;
	ASSERT(cap >= window->title_bytes + extra);
	window->titles = memory_resize(docs->memory, window->titles, window->title_cap, cap);
	window->title_cap = cap;
}

static void window_add_title(struct docs *docs, struct doc_window *window, uint32_t slot,
    struct span title)
{
	ASSERT(title.len <= SEARCH_SORT_BYTES_MAX);
	if (title.len > 0) {
		window_reserve_title(docs, window, (uint32_t)title.len);
		memcpy(window->titles + window->title_bytes, title.ptr, title.len);
		window->title_bytes += (uint32_t)title.len;
	}
	if (window->title_ends != NULL)
		window->title_ends[slot] = window->title_bytes;
	if (slot + 1 == WINDOW_DOCS && window->title_bytes > 0) {
		window->titles = memory_resize(docs->memory, window->titles, window->title_cap,
		    window->title_bytes);
		window->title_cap = window->title_bytes;
	}
}

uint32_t docs_add(struct docs *docs, void *owner, uint32_t words, struct span title)
{
	uint32_t docid = docs->next;
	uint32_t slot = docid % WINDOW_DOCS;
	ASSERT(docid < DOCID_NONE);
	struct doc_window *window = docs_open_window(docs, docid >> WINDOW_SHIFT);
	window->owners[slot] = owner;
	window->lengths[slot] = (uint16_t)(words < UINT16_MAX ? words : UINT16_MAX);
	window->live[slot / 64] |= 1ULL << (slot % 64);
	window->live_count++;
	window_add_title(docs, window, slot, title);
	docs->live_count++;
	docs->words += window->lengths[slot];
	docs->next++;
	return docid;
}

bool docs_remove(struct docs *docs, uint32_t docid)
{
	uint32_t at = docid >> WINDOW_SHIFT, slot = docid % WINDOW_DOCS;
	if (!docs_is_live(docs, docid))
		return false;
	struct doc_window *window = docs->windows[at];
	ASSERT(window->live_count > 0);
	ASSERT(docs->words >= window->lengths[slot]);
	window->live[slot / 64] &= ~(1ULL << (slot % 64));
	window->owners[slot] = NULL;
	window->live_count--;
	docs->live_count--;
	docs->words -= window->lengths[slot];
	if (window->live_count == 0 && docs->next >= ((uint64_t)at + 1) << WINDOW_SHIFT)
		docs_drop_window(docs, at);
	return true;
}

struct span docs_title(const struct docs *docs, uint32_t docid)
{
	const struct doc_window *window = docs_window(docs, docid >> WINDOW_SHIFT);
	uint32_t slot = docid % WINDOW_DOCS;
	if (window == NULL || window->title_ends == NULL)
		return (struct span){0};
	uint32_t from = slot == 0 ? 0 : window->title_ends[slot - 1];
	return span_of(window->titles + from, window->title_ends[slot] - from);
}

void docs_lengths(const struct docs *docs, const uint32_t *docids, uint32_t count, float *lengths)
{
	for (uint32_t i = 0; i < count;) {
		uint32_t at = docids[i] >> WINDOW_SHIFT;
		const struct doc_window *window = docs_window(docs, at);
		/* As a rule all of them are in one window. */
		uint32_t end = docids[count - 1] >> WINDOW_SHIFT == at ? count : i + 1;
		while (end < count && docids[end] >> WINDOW_SHIFT == at)
			end++;
		for (; i < end; i++)
			lengths[i] = window == NULL
			    ? 0 : (float)window->lengths[docids[i] % WINDOW_DOCS];
	}
}
