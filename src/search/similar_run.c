/* search/similar_run.c: the tables of multi-index hashing, built in slices; see similar.h.
 *
 * A run is built when its windows are full: its ids are counted by value, the counts summed,
 * the ids placed, chunk by chunk. Four small runs side by side become a large one. A run of
 * which half is gone, or whose windows hold many hashes that came late, is built again.
 */
#include "search/similar_parts.h"

/* One unit is about 10 us. */
enum { WINDOW_UNITS = 6, SUM_UNITS = 8 };

static size_t ids_bytes(const struct similar_run *run)
{
	return (size_t)run->count * ID_BYTES + sizeof(uint32_t);
}

void similar_run_drop(struct similar *similar, struct similar_run *run)
{
	run->next = similar->trash;
	similar->trash = run;
	similar->version++;
}

/* One chunk's tables, or the run itself when there are none left. */
static void trash_step(struct similar *similar)
{
	struct similar_run *run = similar->trash;
	ASSERT(run != NULL);
	for (uint32_t i = 0; i < CHUNKS; i++) {
		if (run->ends[i] == NULL)
			continue;
		memory_free(similar->memory, run->ends[i], CHUNK_VALUES * sizeof(uint32_t));
		memory_free(similar->memory, run->ids[i], ids_bytes(run));
		run->ends[i] = NULL;
		return;
	}
	similar->trash = run->next;
	memory_free(similar->memory, run, sizeof(*run));
}

void similar_trash_free(struct similar *similar)
{
	while (similar->trash != NULL)
		trash_step(similar);
}

void similar_build_drop(struct similar *similar)
{
	struct similar_build *build = &similar->build;
	if (build->run == NULL)
		return;
	memory_free(similar->memory, build->taken, build->run->windows * sizeof(build->taken[0]));
	similar_run_drop(similar, build->run);
	*build = (struct similar_build){0};
}

/* ---- What to build ---- */

struct tally {
	uint64_t hashes, late;
};

static struct tally tally_windows(const struct similar *similar, uint32_t first, uint32_t count)
{
	struct tally tally = {0};
	for (uint32_t i = first; i < first + count; i++) {
		const struct similar_window *window = similar_window(similar, i);
		if (window == NULL)
			continue;
		tally.hashes += window->hash_count;
		tally.late += window->late_count;
	}
	return tally;
}

/* Is a run of these windows, which `known` documents of it came from, worth building? */
static bool is_worth(const struct tally *tally, uint32_t windows, uint64_t known)
{
	uint64_t docs = (uint64_t)windows * WINDOW_DOCS;
	if (tally->hashes < docs / 16)
		return false;             /* comparing them all is as fast */
	return tally->late > docs / 8 || tally->hashes * 2 < known;
}

static struct similar_run *run_at(const struct similar *similar, uint32_t slot)
{
	return slot < similar->run_cap ? similar->runs[slot] : NULL;
}

/* Windows of the run that should be built at this slot; 0: none. */
static uint32_t wanted_at(const struct similar *similar, uint32_t slot)
{
	uint32_t first = slot * RUN_SMALL, small = 0;
	uint64_t known = 0;
	/* The last windows still fill. */
	if (first + RUN_SMALL >= similar->window_count)
		return 0;
	const struct similar_run *own = run_at(similar, slot);
	if (own != NULL && own->windows == RUN_LARGE) {
		struct tally tally = tally_windows(similar, first, RUN_LARGE);
		return is_worth(&tally, RUN_LARGE, own->count) ? RUN_LARGE : 0;
	}
	uint32_t base = slot - slot % RUNS_IN_LARGE;
	for (uint32_t i = base; i < base + RUNS_IN_LARGE; i++) {
		const struct similar_run *run = run_at(similar, i);
		small += run != NULL && run->windows == RUN_SMALL;
	}
	if (small == RUNS_IN_LARGE && slot == base)
		return RUN_LARGE;
	const struct similar_run *large = run_at(similar, base);
	if (large != NULL && large->windows == RUN_LARGE)
		return 0;
	known = own == NULL ? 0 : own->count;
	struct tally tally = tally_windows(similar, first, RUN_SMALL);
	return is_worth(&tally, RUN_SMALL, known) ? RUN_SMALL : 0;
}

/* A run none of whose documents is left. */
static void drop_empty(struct similar *similar, uint32_t slot)
{
	struct similar_run *run = run_at(similar, slot);
	if (run == NULL)
		return;
	struct tally tally = tally_windows(similar, run->first, run->windows);
	if (tally.hashes > tally.late)
		return;
	similar_run_drop(similar, run);
	similar->runs[slot] = NULL;
}

/* ---- Building ---- */

static void build_begin(struct similar *similar, uint32_t slot, uint32_t windows)
{
	struct similar_build *build = &similar->build;
	struct similar_run *run = memory_zalloc(similar->memory, sizeof(*run));
	ASSERT(build->run == NULL);
	run->first = slot * RUN_SMALL;
	run->windows = windows;
	*build = (struct similar_build){.run = run, .phase = BUILD_COUNT};
	build->taken = memory_zalloc(similar->memory, windows * sizeof(build->taken[0]));
	for (uint32_t i = 0; i < windows; i++) {
		const struct similar_window *window = similar_window(similar, run->first + i);
		if (window == NULL)
			continue;
		memcpy(build->taken[i], window->hashed, sizeof(build->taken[i]));
		run->count += window->hash_count;
	}
}

/* Each document of a window that was there when the run was begun. */
static void build_window(struct similar *similar, struct similar_build *build)
{
	struct similar_run *run = build->run;
	const struct similar_window *window = similar_window(similar, run->first + build->window);
	if (window == NULL || window->hashes == NULL)
		return;
	uint32_t *ends = run->ends[build->chunk];
	for (uint32_t word = 0; word < WINDOW_WORDS; word++) {
		for (uint64_t bits = build->taken[build->window][word]; bits != 0; bits &= bits - 1) {
			uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
			uint32_t value = chunk_of(window->hashes[slot], build->chunk);
			if (build->phase == BUILD_COUNT) {
				ends[value]++;
				continue;
			}
			uint32_t id = build->window * WINDOW_DOCS + slot, at = ends[value]++;
			ASSERT(at < run->count);
			uint8_t *to = &run->ids[build->chunk][(size_t)at * ID_BYTES];
			to[0] = (uint8_t)id;
			to[1] = (uint8_t)(id >> 8);
			to[2] = (uint8_t)(id >> 16);
		}
	}
}

/* Counts become beginnings, which placing turns into ends. */
static void build_sum(struct similar_build *build)
{
	uint32_t *ends = build->run->ends[build->chunk], sum = 0;
	for (uint32_t value = 0; value < CHUNK_VALUES; value++) {
		uint32_t count = ends[value];
		ends[value] = sum;
		sum += count;
	}
	ASSERT(sum <= build->run->count);
}

/* The run takes the place of what was there. */
static void build_end(struct similar *similar)
{
	struct similar_build *build = &similar->build;
	struct similar_run *run = build->run;
	uint32_t slot = run->first / RUN_SMALL, slots = run->windows / RUN_SMALL;
	if (slot + slots > similar->run_cap) {
		uint32_t cap = (slot + slots) * 2;
		similar->runs = memory_resize(similar->memory, similar->runs,
		    similar->run_cap * sizeof(*similar->runs), cap * sizeof(*similar->runs));
		memset(similar->runs + similar->run_cap, 0,
		    (cap - similar->run_cap) * sizeof(*similar->runs));
		similar->run_cap = cap;
	}
	for (uint32_t i = slot; i < slot + slots; i++) {
		if (similar->runs[i] != NULL)
			similar_run_drop(similar, similar->runs[i]);
		similar->runs[i] = NULL;
	}
	similar->runs[slot] = run;
	similar->version++;
	for (uint32_t i = 0; i < run->windows; i++) {
		struct similar_window *window = similar_window(similar, run->first + i);
		for (uint32_t word = 0; window != NULL && word < WINDOW_WORDS; word++) {
			uint64_t known = window->late[word] & build->taken[i][word];
			uint32_t count = (uint32_t)__builtin_popcountll(known);
			window->late[word] &= ~known;
			window->late_count -= count;
			similar->late -= count;
		}
	}
	memory_free(similar->memory, build->taken, run->windows * sizeof(build->taken[0]));
	*build = (struct similar_build){0};
}

/* One unit. True: the run is through. */
static bool build_unit(struct similar *similar)
{
	struct similar_build *build = &similar->build;
	struct similar_run *run = build->run;
	if (build->phase == BUILD_COUNT && build->window == 0) {
		run->ends[build->chunk] =
		    memory_zalloc(similar->memory, CHUNK_VALUES * sizeof(uint32_t));
		run->ids[build->chunk] = memory_alloc(similar->memory, ids_bytes(run));
	}
	if (build->phase == BUILD_SUM) {
		build_sum(build);
		build->phase = BUILD_PLACE;
		build->window = 0;
		return false;
	}
	build_window(similar, build);
	if (++build->window < run->windows)
		return false;
	build->window = 0;
	if (build->phase == BUILD_COUNT) {
		build->phase = BUILD_SUM;
		return false;
	}
	build->phase = BUILD_COUNT;
	return ++build->chunk == CHUNKS;
}

bool similar_step_is_due(const struct similar *similar)
{
	/* As much as a small run holds has come, or gone; or what was begun goes on. */
	const uint64_t much = (uint64_t)RUN_SMALL * WINDOW_DOCS;
	return similar->build.run != NULL || similar->trash != NULL || similar->look != 0 ||
	    similar->late >= similar->tried + much || similar->gone >= much / 2;
}

enum err similar_step(struct similar *similar, const struct search_budget *budget)
{
	uint64_t spent = 0;
	do {
		struct similar_build *build = &similar->build;
		if (similar->trash != NULL) {
			trash_step(similar);
			spent += SUM_UNITS;
			continue;
		}
		if (build->run != NULL && build->restart) {
			similar_build_drop(similar);
			spent++;
			continue;
		}
		if (build->run != NULL) {
			if (build_unit(similar))
				build_end(similar);
			spent += build->phase == BUILD_SUM ? SUM_UNITS : WINDOW_UNITS;
			continue;
		}
		uint32_t slot = similar->look++;
		if (slot * RUN_SMALL >= similar->window_count) {
			similar->look = 0;
			similar->gone = 0;
			similar->tried = similar->late;
			return OK;
		}
		drop_empty(similar, slot);
		uint32_t windows = wanted_at(similar, slot);
		if (windows > 0) {
			build_begin(similar, slot, windows);
			similar->look = slot - slot % RUNS_IN_LARGE;
		}
		spent += 4;
	} while (!budget_is_spent(budget, spent));
	return ERR_AGAIN;
}
