/* store/recover_merge.c: puts all records that were found into the order of LSNs, in slices.
 *
 * What was found lies there in runs that ascend already: a stream of segments is one run,
 * unless records were moved. Runs are looked for, short ones are made longer by insertion, and
 * all are merged into a second array through a heap of runs. One run needs no merging.
 */
#include "store/recovery.h"

#include "base/heap.h"

enum { MERGE_SLICE = 8192, RUN_LEAST = 32 };

struct merge_run {
	struct heap_node node;
	size_t           at, end;
};

struct merge {
	size_t            at;             /* runs are known up to here; then: entries merged */
	struct merge_run *runs;
	size_t            run_count, run_cap;
	bool              merging;
	struct heap       heap;
	struct found     *out;
};

void recover_merge_free(struct recovery *recovery)
{
	struct memory *memory = recovery->store->memory;
	struct merge *merge = recovery->merge;
	if (merge == NULL)
		return;
	if (merge->merging)
		heap_fini(&merge->heap);
	memory_free(memory, merge->runs, merge->run_cap * sizeof(*merge->runs));
	if (merge->out != NULL)
		memory_free(memory, merge->out, recovery->found_count * sizeof(*merge->out));
	memory_free(memory, merge, sizeof(*merge));
	recovery->merge = NULL;
}

static void run_push(struct recovery *recovery, size_t from, size_t end)
{
	struct merge *merge = recovery->merge;
	if (merge->run_count == merge->run_cap) {
		size_t cap = merge->run_cap == 0 ? 16 : 2 * merge->run_cap;
		merge->runs = memory_resize(recovery->store->memory, merge->runs,
		    merge->run_cap * sizeof(*merge->runs), cap * sizeof(*merge->runs));
		merge->run_cap = cap;
	}
	merge->runs[merge->run_count++] = (struct merge_run){.at = from, .end = end};
}

/* Puts found[at] where it belongs within the run that begins at `from`. */
static void run_insert(struct found *found, size_t from, size_t at)
{
	struct found one = found[at];
	for (; at > from && found_compare(&found[at - 1], &one) > 0; at--)
		found[at] = found[at - 1];
	found[at] = one;
}

/* Looks for runs, MERGE_SLICE entries further. True when all are known. */
static bool merge_find_runs(struct recovery *recovery)
{
	struct merge *merge = recovery->merge;
	struct found *found = recovery->found;
	size_t count = recovery->found_count, upto = merge->at + MERGE_SLICE;
	while (merge->at < count && merge->at < upto) {
		bool fresh = merge->run_count == 0;
		struct merge_run *run = fresh ? NULL : &merge->runs[merge->run_count - 1];
		if (fresh) {
			run_push(recovery, 0, 1);
		} else if (found_compare(&found[merge->at - 1], &found[merge->at]) <= 0) {
			run->end++;
		} else if (run->end - run->at < RUN_LEAST) {
			run_insert(found, run->at, merge->at);
			run->end++;
		} else {
			run_push(recovery, merge->at, merge->at + 1);
		}
		merge->at++;
	}
	return merge->at == count;
}

static void merge_begin(struct recovery *recovery)
{
	struct merge *merge = recovery->merge;
	merge->at = 0;
	merge->merging = true;
	merge->out = memory_alloc(recovery->store->memory,
	    recovery->found_count * sizeof(*merge->out));
	heap_init(&merge->heap, recovery->store->memory);
	for (size_t i = 0; i < merge->run_count; i++) {
		struct merge_run *run = &merge->runs[i];
		heap_node_init(&run->node);
		heap_set(&merge->heap, &run->node, recovery->found[run->at].lsn);
	}
}

/* Merges the next MERGE_SLICE entries. True when all are in place. */
static bool merge_step(struct recovery *recovery)
{
	struct merge *merge = recovery->merge;
	const struct found *found = recovery->found;
	for (size_t done = 0; done < MERGE_SLICE && merge->at < recovery->found_count; done++) {
		struct merge_run *run =
		    CONTAINER_OF(heap_first(&merge->heap)->node, struct merge_run, node);
		merge->out[merge->at] = found[run->at++];
		/* The heap knows LSNs only: copies of one record are few and get in order here. */
		run_insert(merge->out, 0, merge->at);
		merge->at++;
		if (run->at == run->end)
			heap_remove(&merge->heap, &run->node);
		else
			heap_set(&merge->heap, &run->node, found[run->at].lsn);
	}
	return merge->at == recovery->found_count;
}

static void merge_end(struct recovery *recovery)
{
	struct merge *merge = recovery->merge;
	ASSERT(merge->heap.count == 0);
	memory_free(recovery->store->memory, recovery->found,
	    recovery->found_cap * sizeof(*recovery->found));
	recovery->found = merge->out;
	recovery->found_cap = recovery->found_count;
	merge->out = NULL;
}

/* The next slice follows from the loop. */
static bool merge_pause(struct recovery *recovery)
{
	io_timer_set(recovery->store->io, &recovery->timer, 0);
	return false;
}

bool recover_merge(struct recovery *recovery)
{
	if (recovery->merge == NULL)
		recovery->merge = memory_zalloc(recovery->store->memory, sizeof(*recovery->merge));
	struct merge *merge = recovery->merge;
	if (!merge->merging) {
		if (!merge_find_runs(recovery))
			return merge_pause(recovery);
		if (merge->run_count <= 1) {
			recover_merge_free(recovery);
			return true;
		}
		merge_begin(recovery);
	}
	if (!merge_step(recovery))
		return merge_pause(recovery);
	merge_end(recovery);
	recover_merge_free(recovery);
	return true;
}
