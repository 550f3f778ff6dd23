/* search/docs.c: see docs.h. */
#include "search/docs.h"
#include "search/varint.h"

void docs_init(struct docs *docs, struct memory *memory)
{
	ASSERT(memory != NULL);
	*docs = (struct docs){.memory = memory};
}

static void docs_drop_window(struct docs *docs, uint32_t at)
{
	struct doc_window *window = docs->windows[at];
	ASSERT(window != NULL);
	if (window->titles != NULL) {
		memory_free(docs->memory, window->titles->bytes, window->titles->cap);
		memory_free(docs->memory, window->titles, sizeof(*window->titles));
	}
	if (window->long_lengths != NULL)
		memory_free(docs->memory, window->long_lengths,
		    WINDOW_DOCS * sizeof(*window->long_lengths));
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
		uint32_t cap = at + 1 + at / 4;       /* a restored one may lie far behind the last */
		docs->windows = memory_resize(docs->memory, docs->windows,
		    docs->window_cap * sizeof(*docs->windows), cap * sizeof(*docs->windows));
		memset(docs->windows + docs->window_cap, 0,
		    (cap - docs->window_cap) * sizeof(*docs->windows));
		docs->window_cap = cap;
	}
	if (docs->windows[at] == NULL)
		docs->windows[at] = memory_zalloc(docs->memory, sizeof(struct doc_window));
	return docs->windows[at];
}

/* ---- Titles ---------------------------------------------------------------------------- */

static void titles_room(struct docs *docs, struct doc_titles *titles, uint32_t more)
{
	uint32_t cap = titles->len + more;
	if (cap <= titles->cap)
		return;
	cap += cap / 4;
	titles->bytes = memory_resize(docs->memory, titles->bytes, titles->cap, cap);
	titles->cap = cap;
}

/* The window is full: nothing more comes. */
static void titles_trim(struct docs *docs, struct doc_titles *titles)
{
	titles->bytes = memory_resize(docs->memory, titles->bytes, titles->cap, titles->len);
	titles->cap = titles->len;
}

/* Slots between the last one and this have none. */
static void window_add_title(
    struct docs *docs, struct doc_window *window, uint32_t slot, struct span title)
{
	struct doc_titles *titles = window->titles;
	if (titles == NULL && title.len == 0)
		return;
	if (titles == NULL)
		titles = window->titles = memory_zalloc(docs->memory, sizeof(*titles));
	ASSERT(slot >= titles->next);
	titles_room(docs, titles, slot - titles->next + VARINT_MAX + (uint32_t)title.len);
	for (; titles->next <= slot; titles->next++) {
		bool is_it = titles->next == slot;
		if (titles->next % TITLES_GROUP == 0)
			titles->starts[titles->next / TITLES_GROUP] = titles->len;
		uint8_t *end = varint_put(
		    titles->bytes + titles->len, is_it ? (uint32_t)title.len : 0);
		titles->len = (uint32_t)(end - titles->bytes);
	}
	if (title.len > 0)
		memcpy(titles->bytes + titles->len, title.ptr, title.len);
	titles->len += (uint32_t)title.len;
	if (titles->next == WINDOW_DOCS)
		titles_trim(docs, titles);
}

struct span docs_title(const struct docs *docs, uint32_t docid)
{
	const struct doc_window *window = docs_window(docs, docid >> WINDOW_SHIFT);
	const struct doc_titles *titles = window == NULL ? NULL : window->titles;
	uint32_t slot = docid % WINDOW_DOCS, len;
	if (titles == NULL || slot >= titles->next)
		return (struct span){0};
	const uint8_t *at = varint_get(titles->bytes + titles->starts[slot / TITLES_GROUP], &len);
	for (uint32_t left = slot % TITLES_GROUP; left > 0; left--)
		at = varint_get(at + len, &len);
	return span_of(at, len);
}

/* Long texts are rare: a byte says it of most documents, and stays in the processor's caches. */
static void window_set_length(
    struct docs *docs, struct doc_window *window, uint32_t slot, uint16_t words)
{
	window->lengths[slot] = (uint8_t)(words < LENGTH_LONG ? words : LENGTH_LONG);
	if (words < LENGTH_LONG)
		return;
	if (window->long_lengths == NULL)
		window->long_lengths =
		    memory_zalloc(docs->memory, WINDOW_DOCS * sizeof(*window->long_lengths));
	window->long_lengths[slot] = words;
}

static void docs_put(struct docs *docs, uint32_t docid, uint16_t words, struct span title)
{
	uint32_t slot = docid % WINDOW_DOCS;
	struct doc_window *window = docs_open_window(docs, docid >> WINDOW_SHIFT);
	window_set_length(docs, window, slot, words);
	window->live[slot / 64] |= 1ULL << (slot % 64);
	window->live_count++;
	window_add_title(docs, window, slot, title);
	docs->live_count++;
	docs->words += words;
}

void docs_restore(struct docs *docs, uint32_t docid, uint16_t words, struct span title)
{
	ASSERT(docid < docs->next);
	ASSERT(!docs_is_live(docs, docid));
	docs_put(docs, docid, words, title);
}

uint32_t docs_add(struct docs *docs, void *owner, uint32_t words, struct span title)
{
	uint32_t docid = docs->next++;
	ASSERT(docid < DOCID_NONE);
	docs_put(docs, docid, (uint16_t)(words < UINT16_MAX ? words : UINT16_MAX), title);
	window_set_owner(docs->windows[docid >> WINDOW_SHIFT], docid % WINDOW_DOCS, owner);
	return docid;
}

bool docs_remove(struct docs *docs, uint32_t docid)
{
	uint32_t at = docid >> WINDOW_SHIFT, slot = docid % WINDOW_DOCS;
	if (!docs_is_live(docs, docid))
		return false;
	struct doc_window *window = docs->windows[at];
	ASSERT(window->live_count > 0);
	ASSERT(docs->words >= window_length(window, slot));
	window->live[slot / 64] &= ~(1ULL << (slot % 64));
	window_set_owner(window, slot, NULL);
	window->live_count--;
	docs->live_count--;
	docs->words -= window_length(window, slot);
	if (window->live_count == 0 && docs->next >= ((uint64_t)at + 1) << WINDOW_SHIFT)
		docs_drop_window(docs, at);
	return true;
}

/* No length is long: bytes first, so that the rest is done side by side. */
static void window_lengths(const struct doc_window *window, const uint32_t *docids, uint32_t count,
    float *lengths)
{
	uint8_t bytes[64];
	for (uint32_t from = 0; from < count; from += sizeof(bytes)) {
		uint32_t some = count - from < sizeof(bytes) ? count - from : sizeof(bytes);
		for (uint32_t i = 0; i < some; i++)
			bytes[i] = window->lengths[docids[from + i] % WINDOW_DOCS];
		for (uint32_t i = 0; i < some; i++)
			lengths[from + i] = (float)bytes[i];
	}
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
		if (window != NULL && window->long_lengths == NULL)
			window_lengths(window, docids + i, end - i, lengths + i);
		for (uint32_t j = i; j < end && (window == NULL || window->long_lengths != NULL); j++)
			lengths[j] = window == NULL
			    ? 0 : (float)window_length(window, docids[j] % WINDOW_DOCS);
		i = end;
	}
}
