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
	if (window->titles != NULL)
		memory_free(docs->memory, window->titles, WINDOW_DOCS * sizeof(*window->titles));
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

/* ---- Titles ----------------------------------------------------------------------------
 *
 * Units: 0 the end, 1 a blank, 2 other ASCII, 3 to 12 digits, 13 to 38 letters, 39 Latin
 * and Greek beyond ASCII, 40 to 59 the alphabets from U+0300 to U+07ff, 60 to 63 the rest. */

enum { KEY_UNITS = 10, KEY_BITS = 6 };

struct key {
	uint64_t value;
	int      units;
};

static void key_put(struct key *key, uint32_t unit)
{
	if (key->units == KEY_UNITS)
		return;
	key->value = key->value << KEY_BITS | unit;
	key->units++;
}

static void key_put_point(struct key *key, uint32_t point)
{
	if (point < 0x300) {
		key_put(key, 39);
		key_put(key, point >> 6);
		key_put(key, point & 63);
	} else if (point < 0x800) {
		key_put(key, 40 + (point >> 6) - 12);
		key_put(key, point & 63);
	} else {                          /* near neighbours are equal */
		uint32_t range = point < 0xc000 ? point / 0x4000 : 3;
		key_put(key, 60 + range);
		key_put(key, point >> (range == 3 ? 15 : 8) & 63);
		key_put(key, point >> (range == 3 ? 9 : 2) & 63);
	}
}

static uint32_t key_unit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return 3u + byte - '0';
	if (byte >= 'a' && byte <= 'z')
		return 13u + byte - 'a';
	return byte == ' ' ? 1 : 2;
}

uint64_t title_key(struct span folded)
{
	struct key key = {0};
	for (size_t at = 0; at < folded.len && key.units < KEY_UNITS;) {
		uint8_t byte = folded.ptr[at];
		uint32_t more = byte < 0x80 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
		uint32_t point = more == 0 ? byte : byte & (0x3fu >> more);
		for (at++; more > 0 && at < folded.len; more--)
			point = point << 6 | (folded.ptr[at++] & 63);
		if (byte < 0x80)
			key_put(&key, key_unit(byte));
		else
			key_put_point(&key, point);
	}
	return key.units == 0 ? 0 : key.value << (KEY_BITS * (KEY_UNITS - key.units));
}

static void window_add_title(struct docs *docs, struct doc_window *window, uint32_t slot,
    uint64_t title)
{
	if (title == 0)
		return;
	if (window->titles == NULL)
		window->titles =
		    memory_zalloc(docs->memory, WINDOW_DOCS * sizeof(*window->titles));
	window->titles[slot] = title;
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

static void docs_put(struct docs *docs, uint32_t docid, uint16_t words, uint64_t title)
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

void docs_restore(struct docs *docs, uint32_t docid, uint16_t words, uint64_t title)
{
	ASSERT(docid < docs->next);
	ASSERT(!docs_is_live(docs, docid));
	docs_put(docs, docid, words, title);
}

uint32_t docs_add(struct docs *docs, void *owner, uint32_t words, uint64_t title)
{
	uint32_t docid = docs->next++;
	ASSERT(docid < DOCID_NONE);
	docs_put(docs, docid, (uint16_t)(words < UINT16_MAX ? words : UINT16_MAX), title);
	docs->windows[docid >> WINDOW_SHIFT]->owners[docid % WINDOW_DOCS] = owner;
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
	window->owners[slot] = NULL;
	window->live_count--;
	docs->live_count--;
	docs->words -= window_length(window, slot);
	if (window->live_count == 0 && docs->next >= ((uint64_t)at + 1) << WINDOW_SHIFT)
		docs_drop_window(docs, at);
	return true;
}

uint64_t docs_title(const struct docs *docs, uint32_t docid)
{
	const struct doc_window *window = docs_window(docs, docid >> WINDOW_SHIFT);
	return window == NULL || window->titles == NULL
	    ? 0 : window->titles[docid % WINDOW_DOCS];
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
