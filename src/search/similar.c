/* search/similar.c: hashes and colours by docid; see similar.h. */
#include "search/similar_parts.h"

enum { SIMILAR_MAGIC = 0x534d4c52 };

struct similar *similar_new(struct memory *memory)
{
	struct similar *similar = memory_zalloc(memory, sizeof(*similar));
	similar->magic = SIMILAR_MAGIC;
	similar->memory = memory;
	return similar;
}

struct memory *similar_memory(const struct similar *similar)
{
	CHECK_OBJ(similar, SIMILAR_MAGIC);
	return similar->memory;
}

/* What is being built counts on the hashes that it saw first. */
static void build_notice(struct similar *similar, uint32_t at)
{
	const struct similar_run *run = similar->build.run;
	if (run != NULL && at >= run->first && at - run->first < run->windows)
		similar->build.restart = true;
}

static void window_free(struct similar *similar, uint32_t at)
{
	struct similar_window *window = similar->windows[at];
	build_notice(similar, at);
	if (window->hashes != NULL)
		memory_free(
		    similar->memory, window->hashes, WINDOW_DOCS * sizeof(window->hashes[0]));
	if (window->colours != NULL)
		memory_free(
		    similar->memory, window->colours, WINDOW_DOCS * sizeof(window->colours[0]));
	memory_free(similar->memory, window, sizeof(*window));
	similar->windows[at] = NULL;
}

void similar_free(struct similar *similar)
{
	if (similar == NULL)
		return;
	DROP_OBJ(similar, SIMILAR_MAGIC);
	struct memory *memory = similar->memory;
	similar_build_drop(similar);
	for (uint32_t i = 0; i < similar->run_cap; i++)
		if (similar->runs[i] != NULL)
			similar_run_drop(similar, similar->runs[i]);
	similar_trash_free(similar);
	for (uint32_t i = 0; i < similar->window_count; i++)
		if (similar->windows[i] != NULL)
			window_free(similar, i);
	if (similar->runs != NULL)
		memory_free(memory, similar->runs, similar->run_cap * sizeof(*similar->runs));
	if (similar->windows != NULL)
		memory_free(
		    memory, similar->windows, similar->window_cap * sizeof(*similar->windows));
	memory_free(memory, similar, sizeof(*similar));
}

/* Makes it. */
static struct similar_window *window_open(struct similar *similar, uint32_t at)
{
	if (at >= similar->window_cap) {
		uint32_t cap = similar->window_cap == 0 ? RUN_SMALL : similar->window_cap;
		while (cap <= at)
			cap *= 2;
		similar->windows = memory_resize(similar->memory, similar->windows,
		    similar->window_cap * sizeof(*similar->windows),
		    cap * sizeof(*similar->windows));
		memset(similar->windows + similar->window_cap, 0,
		    (cap - similar->window_cap) * sizeof(*similar->windows));
		similar->window_cap = cap;
	}
	if (at >= similar->window_count)
		similar->window_count = at + 1;
	if (similar->windows[at] == NULL)
		similar->windows[at] =
		    memory_zalloc(similar->memory, sizeof(*similar->windows[at]));
	return similar->windows[at];
}

static void set_late(struct similar *similar, struct similar_window *window, uint32_t slot)
{
	uint64_t bit = 1ULL << (slot % 64);
	if (window->late[slot / 64] & bit)
		return;
	window->late[slot / 64] |= bit;
	window->late_count++;
	similar->late++;
}

static void clear_late(struct similar *similar, struct similar_window *window, uint32_t slot)
{
	uint64_t bit = 1ULL << (slot % 64);
	if (!(window->late[slot / 64] & bit))
		return;
	window->late[slot / 64] &= ~bit;
	window->late_count--;
	similar->late--;
	if (similar->tried > similar->late)
		similar->tried = similar->late;
}

static void put_hash(struct similar *similar, uint32_t docid, const uint8_t *hash)
{
	uint32_t at = docid >> WINDOW_SHIFT, slot = docid % WINDOW_DOCS;
	struct similar_window *window = similar->windows[at];
	uint64_t bit = 1ULL << (slot % 64);
	bool had = (window->hashed[slot / 64] & bit) != 0;
	if (hash == NULL) {
		if (had) {
			window->hashed[slot / 64] &= ~bit;
			window->hash_count--;
			similar->hashes--;
			similar->gone += !(window->late[slot / 64] & bit);
			clear_late(similar, window, slot);
		}
		return;
	}
	if (window->hashes == NULL)
		window->hashes =
		    memory_zalloc(similar->memory, WINDOW_DOCS * sizeof(window->hashes[0]));
	if (memcmp(window->hashes[slot], hash, SIMILAR_HASH_BYTES) == 0 && had)
		return;
	build_notice(similar, at);
	memcpy(window->hashes[slot], hash, SIMILAR_HASH_BYTES);
	window->hashed[slot / 64] |= bit;
	window->hash_count += !had;
	similar->hashes += !had;
	set_late(similar, window, slot);
}

static void put_colours(
    struct similar *similar, struct similar_window *window, uint32_t slot, uint32_t colours)
{
	ASSERT(colours <= UINT16_MAX);
	for (uint32_t i = 0; i < COLOURS_MAX; i++) {
		uint32_t old = window->colours == NULL ? 0 : window->colours[slot];
		similar->colour_docs[i] += colours >> i & 1;
		similar->colour_docs[i] -= old >> i & 1;
	}
	if (window->colours == NULL && colours == 0)
		return;
	if (window->colours == NULL)
		window->colours =
		    memory_zalloc(similar->memory, WINDOW_DOCS * sizeof(window->colours[0]));
	bool had = window->colours[slot] != 0, has = colours != 0;
	window->colours[slot] = (uint16_t)colours;
	window->colour_count += has;
	window->colour_count -= had;
	similar->coloured += has;
	similar->coloured -= had;
}

static void put(struct similar *similar, uint32_t docid, const uint8_t *hash, uint32_t colours)
{
	uint32_t at = docid >> WINDOW_SHIFT;
	put_hash(similar, docid, hash);
	put_colours(similar, similar->windows[at], docid % WINDOW_DOCS, colours);
	if (similar->windows[at]->hash_count == 0 && similar->windows[at]->colour_count == 0)
		window_free(similar, at);
}

void similar_put(struct similar *similar, uint32_t docid,
    const uint8_t hash[SIMILAR_HASH_BYTES], uint32_t colours)
{
	CHECK_OBJ(similar, SIMILAR_MAGIC);
	ASSERT(docid < DOCID_NONE);
	if (hash == NULL && colours == 0) {
		similar_remove(similar, docid);
		return;
	}
	(void)window_open(similar, docid >> WINDOW_SHIFT);
	put(similar, docid, hash, colours);
}

void similar_remove(struct similar *similar, uint32_t docid)
{
	CHECK_OBJ(similar, SIMILAR_MAGIC);
	if (similar_window(similar, docid >> WINDOW_SHIFT) != NULL)
		put(similar, docid, NULL, 0);
}

const uint8_t *similar_hash(const struct similar *similar, uint32_t docid)
{
	const struct similar_window *window = similar_window(similar, docid >> WINDOW_SHIFT);
	uint32_t slot = docid % WINDOW_DOCS;
	if (window == NULL || !(window->hashed[slot / 64] >> (slot % 64) & 1))
		return NULL;
	return window->hashes[slot];
}

uint32_t similar_colours(const struct similar *similar, uint32_t docid)
{
	const struct similar_window *window = similar_window(similar, docid >> WINDOW_SHIFT);
	return window == NULL || window->colours == NULL ? 0
	                                                 : window->colours[docid % WINDOW_DOCS];
}

uint32_t similar_colours_used(const struct similar *similar)
{
	uint32_t mask = 0;
	for (uint32_t i = 0; i < COLOURS_MAX; i++)
		mask |= (uint32_t)(similar->colour_docs[i] > 0) << i;
	return mask;
}

/* ---- Filters ---- */

/* Bits of the documents with any of these colours. */
static void match_colours(
    const struct similar_window *window, uint32_t colours, uint64_t found[WINDOW_WORDS])
{
	memset(found, 0, WINDOW_WORDS * sizeof(found[0]));
	if (window == NULL || window->colour_count == 0)
		return;
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		const uint16_t *at = &window->colours[(size_t)word * 64];
		uint64_t bits = 0;
		for (uint32_t i = 0; i < 64; i++)
			bits |= (uint64_t)((at[i] & colours) != 0) << i;
		found[word] = bits;
	}
}

void similar_filter_colours(const struct similar *similar, uint32_t window, uint32_t colours,
    uint64_t mask[WINDOW_WORDS])
{
	uint64_t found[WINDOW_WORDS];
	match_colours(similar_window(similar, window), colours, found);
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		mask[i] &= found[i];
}

void similar_filter_uncoloured(
    const struct similar *similar, uint32_t window, uint64_t mask[WINDOW_WORDS])
{
	uint64_t found[WINDOW_WORDS];
	match_colours(similar_window(similar, window), UINT16_MAX, found);
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		mask[i] &= ~found[i];
}

void similar_filter_hashed(
    const struct similar *similar, uint32_t window, uint64_t mask[WINDOW_WORDS])
{
	const struct similar_window *at = similar_window(similar, window);
	for (uint32_t i = 0; i < WINDOW_WORDS && at != NULL; i++)
		mask[i] &= ~at->hashed[i];
}

void similar_get_stats(const struct similar *similar, struct similar_stats *out)
{
	CHECK_OBJ(similar, SIMILAR_MAGIC);
	*out = (struct similar_stats){
	    .hashes = similar->hashes,
	    .coloured = similar->coloured,
	    .indexed = similar->hashes - similar->late,
	};
	for (uint32_t i = 0; i < similar->run_cap; i++)
		out->runs += similar->runs[i] != NULL;
}
