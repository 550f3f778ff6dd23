/* search/near.c: the search for near hashes; see similar.h.
 *
 * First the runs, one table a unit for one of the hashes, then the windows. Ids that a probe
 * gives are compared a batch at a time, so that their hashes come from memory side by side.
 * The result is a bit a document, in pages of a window.
 */
#include "search/similar_parts.h"

enum { NEAR_MAGIC = 0x4e454152, BATCH = 128, EXACT_MAX = CHUNKS - 1, PROBES = 17, FEW_LATE = 512 };

struct near {
	uint32_t        magic;
	struct similar *similar;
	uint32_t        distance_max, hash_count;
	uint8_t         hashes[NEAR_HASHES_MAX][SIMILAR_HASH_BYTES];
	uint64_t      (**pages)[WINDOW_WORDS];
	uint32_t        page_cap;
	uint64_t        count;
	uint32_t        version;          /* of the runs it walks */
	bool            runs_done;
	uint32_t        slot, chunk, hash, window;      /* where it goes on */
	uint32_t        batch_count;
	uint32_t        batch[BATCH];     /* docids to compare with hashes[hash] */
};

struct near *near_new(struct similar *similar, const uint8_t (*hashes)[SIMILAR_HASH_BYTES],
    uint32_t hash_count, uint32_t distance_max)
{
	ASSERT(hash_count > 0 && hash_count <= NEAR_HASHES_MAX);
	ASSERT(distance_max <= NEAR_BITS);
	struct near *near = memory_zalloc(similar->memory, sizeof(*near));
	near->magic = NEAR_MAGIC;
	near->similar = similar;
	near->distance_max = distance_max;
	near->hash_count = hash_count;
	near->version = similar->version;
	near->runs_done = distance_max > NEAR_INDEXED_MAX;
	memcpy(near->hashes, hashes, hash_count * sizeof(near->hashes[0]));
	return near;
}

void near_free(struct near *near)
{
	if (near == NULL)
		return;
	DROP_OBJ(near, NEAR_MAGIC);
	struct memory *memory = near->similar->memory;
	for (uint32_t i = 0; i < near->page_cap; i++)
		if (near->pages[i] != NULL)
			memory_free(memory, near->pages[i], sizeof(*near->pages[i]));
	if (near->pages != NULL)
		memory_free(memory, near->pages, near->page_cap * sizeof(*near->pages));
	memory_free(memory, near, sizeof(*near));
}

static uint64_t *page_open(struct near *near, uint32_t window)
{
	struct memory *memory = near->similar->memory;
	if (window >= near->page_cap) {
		uint32_t cap = near->page_cap == 0 ? 64 : near->page_cap;
		while (cap <= window)
			cap *= 2;
		near->pages = memory_resize(memory, near->pages,
		    near->page_cap * sizeof(*near->pages), cap * sizeof(*near->pages));
		memset(near->pages + near->page_cap, 0,
		    (cap - near->page_cap) * sizeof(*near->pages));
		near->page_cap = cap;
	}
	if (near->pages[window] == NULL)
		near->pages[window] = memory_zalloc(memory, sizeof(*near->pages[window]));
	return *near->pages[window];
}

static void add(struct near *near, uint32_t window, uint32_t word, uint64_t bits)
{
	uint64_t *page = page_open(near, window);
	near->count += (uint64_t)__builtin_popcountll(bits & ~page[word]);
	page[word] |= bits;
}

/* ---- Runs ---- */

static void batch_compare(struct near *near)
{
	const uint8_t *wanted = near->hashes[near->hash];
	for (uint32_t i = 0; i < near->batch_count; i++) {
		uint32_t docid = near->batch[i], slot = docid % WINDOW_DOCS;
		const struct similar_window *window =
		    near->similar->windows[docid >> WINDOW_SHIFT];
		if (hash_distance(window->hashes[slot], wanted) <= near->distance_max &&
		    (window->hashed[slot / 64] >> (slot % 64) & 1) != 0)
			add(near, docid >> WINDOW_SHIFT, slot / 64, 1ULL << (slot % 64));
	}
	near->batch_count = 0;
}

static void probe(struct near *near, const struct similar_run *run, uint32_t from, uint32_t end)
{
	struct similar_window *const *windows = near->similar->windows;
	for (uint32_t at = from; at < end; at++) {
		uint32_t docid = run->first * WINDOW_DOCS + run_id(run, near->chunk, at);
		const struct similar_window *window = windows[docid >> WINDOW_SHIFT];
		if (window == NULL || window->hashes == NULL)
			continue;         /* all of it went since */
		__builtin_prefetch(window->hashes[docid % WINDOW_DOCS]);
		near->batch[near->batch_count++] = docid;
		if (near->batch_count == BATCH)
			batch_compare(near);
	}
}

static uint32_t probe_value(const struct near *near, uint32_t chunk, uint32_t at)
{
	return chunk_of(near->hashes[near->hash], chunk) ^ (at == 0 ? 0 : 1U << (at - 1));
}

/* One table of one run for one hash. Within EXACT_MAX bits one chunk is the same. Each list
 * is on its way from memory while others are looked at, and so are the ends for the next. */
static void probe_table(struct near *near, const struct similar_run *run)
{
	const uint32_t *ends = run->ends[near->chunk];
	uint32_t from[PROBES], end[PROBES];
	uint32_t count = near->distance_max > EXACT_MAX ? PROBES : 1;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t value = probe_value(near, near->chunk, i);
		from[i] = value == 0 ? 0 : ends[value - 1];
		end[i] = ends[value];
		__builtin_prefetch(&run->ids[near->chunk][(size_t)from[i] * ID_BYTES]);
		__builtin_prefetch(&run->ids[near->chunk][(size_t)end[i] * ID_BYTES]);
	}
	for (uint32_t i = 0; i < count && near->chunk + 1 < CHUNKS; i++)
		__builtin_prefetch(
		    &run->ends[near->chunk + 1][probe_value(near, near->chunk + 1, i)]);
	for (uint32_t i = 0; i < count; i++)
		probe(near, run, from[i], end[i]);
	batch_compare(near);
}

static void step_runs(struct near *near)
{
	struct similar *similar = near->similar;
	if (near->version != similar->version) {
		near->version = similar->version;
		near->slot = near->chunk = near->hash = 0;
	}
	while (near->slot < similar->run_cap && similar->runs[near->slot] == NULL)
		near->slot++;
	if (near->slot >= similar->run_cap) {
		near->runs_done = true;
		near->hash = 0;
		return;
	}
	probe_table(near, similar->runs[near->slot]);
	if (++near->hash < near->hash_count)
		return;
	near->hash = 0;
	if (++near->chunk < CHUNKS)
		return;
	near->chunk = 0;
	near->slot++;
}

/* ---- Windows ---- */

static void compare_few(struct near *near, const struct similar_window *window)
{
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		for (uint64_t bits = window->late[word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			const uint8_t *hash = window->hashes[slot];
			for (uint32_t i = 0; i < near->hash_count; i++)
				if (hash_distance(hash, near->hashes[i]) <= near->distance_max)
					add(near, near->window, word, 1ULL << (slot % 64));
		}
	}
}

static void compare_all(struct near *near, const struct similar_window *window)
{
	uint64_t found[WINDOW_WORDS];
	const uint8_t (*hashes)[SIMILAR_HASH_BYTES] =
	    (const uint8_t (*)[SIMILAR_HASH_BYTES])window->hashes;
	for (uint32_t i = 0; i < near->hash_count; i++) {
		similar_scan(hashes, near->hashes[i], near->distance_max, found);
		for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
			uint64_t bits = found[word] & window->hashed[word];
			if (bits != 0)
				add(near, near->window, word, bits);
		}
	}
}

/* Returns the units it took. */
static uint64_t step_window(struct near *near)
{
	const struct similar_window *window = near->similar->windows[near->window];
	bool all = near->distance_max > NEAR_INDEXED_MAX;
	if (window == NULL || (all ? window->hash_count : window->late_count) == 0)
		return 0;
	if (!all && window->late_count <= FEW_LATE) {
		compare_few(near, window);
		return 1;
	}
	compare_all(near, window);
	return near->hash_count;
}

enum err near_step(struct near *near, const struct search_budget *budget)
{
	uint64_t spent = 0, looked = 0;
	CHECK_OBJ(near, NEAR_MAGIC);
	do {
		if (!near->runs_done) {
			step_runs(near);
			spent++;
			continue;
		}
		if (near->window >= near->similar->window_count)
			return OK;
		spent += step_window(near);
		spent += ++looked % 64 == 0;
		near->window++;
	} while (spent == 0 || !budget_is_spent(budget, spent));
	return ERR_AGAIN;
}

/* ---- The result ---- */

uint64_t near_count(const struct near *near)
{
	return near->count;
}

void near_filter(const struct near *near, uint32_t window, uint64_t mask[WINDOW_WORDS])
{
	const struct similar_window *at = similar_window(near->similar, window);
	bool any = window < near->page_cap && near->pages[window] != NULL && at != NULL;
	for (uint32_t i = 0; i < WINDOW_WORDS; i++)
		mask[i] &= any ? (*near->pages[window])[i] & at->hashed[i] : 0;
}

bool near_has(const struct near *near, uint32_t docid)
{
	uint32_t window = docid >> WINDOW_SHIFT, slot = docid % WINDOW_DOCS;
	return window < near->page_cap && near->pages[window] != NULL &&
	    ((*near->pages[window])[slot / 64] >> (slot % 64) & 1) != 0 &&
	    similar_hash(near->similar, docid) != NULL;
}

uint32_t near_before(const struct near *near, uint32_t window)
{
	uint32_t at = window < near->page_cap ? window : near->page_cap;
	while (at > 0)
		if (near->pages[--at] != NULL)
			return at;
	return DOCID_NONE;
}

uint32_t near_distance(const struct near *near, uint32_t docid)
{
	const uint8_t *hash = similar_hash(near->similar, docid);
	uint32_t best = NEAR_BITS + 1;
	for (uint32_t i = 0; i < near->hash_count && hash != NULL; i++) {
		uint32_t distance = hash_distance(hash, near->hashes[i]);
		best = distance < best ? distance : best;
	}
	return best;
}
