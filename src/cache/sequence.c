/* cache/sequence.c: see sequence.h. */
#include "cache/sequence.h"

#include "base/arith.h"

enum {
	SEQUENCE_MAGIC = 0x5e90ec01,
	RUN_BYTES_SAFE = 8 << 10,         /* of a run that is limited by its elements */
};

bool sequence_fits(uint64_t count, uint64_t bytes, int32_t size)
{
	if (size > 0)
		return count <= (uint64_t)size && bytes <= RUN_BYTES_SAFE;
	unsigned shift = size >= -1 ? 0 : size <= -5 ? 4 : (unsigned)(-size - 1);
	return bytes <= (uint64_t)4096 << shift;
}

struct sequence *sequence_new(struct memory *memory)
{
	struct sequence *sequence = memory_alloc(memory, sizeof(*sequence));
	*sequence = (struct sequence){.magic = SEQUENCE_MAGIC, .memory = memory};
	counted_init(&sequence->order, true, memory);
	return sequence;
}

static void run_free(struct sequence *sequence, struct packed *run)
{
	packed_fini(run, sequence->memory);
	memory_free(sequence->memory, run, sizeof(*run));
}

static void drop_run(void *ctx, void *item) { run_free(ctx, item); }

bool sequence_shrink(struct sequence *sequence, unsigned budget)
{
	CHECK_OBJ(sequence, SEQUENCE_MAGIC);
	for (unsigned freed = 0; freed < budget; freed += 512)
		if (!counted_shrink(&sequence->order, drop_run, sequence))
			return false;
	return true;
}

void sequence_free(struct sequence *sequence)
{
	while (sequence_shrink(sequence, UINT32_MAX))
		;
	DROP_OBJ(sequence, SEQUENCE_MAGIC);
	memory_free(sequence->memory, sequence, sizeof(*sequence));
}

void sequence_seek(
    const struct sequence *sequence, uint64_t place, struct counted_at *at, uint64_t *index)
{
	CHECK_OBJ(sequence, SEQUENCE_MAGIC);
	counted_seek(&sequence->order, place, at, index);
}

static struct counted_slot run_slot(struct packed *run)
{
	return (struct counted_slot){.item = run, .weight = packed_count(run)};
}

static struct packed *run_new(struct sequence *sequence)
{
	struct packed *run = memory_alloc(sequence->memory, sizeof(*run));
	*run = (struct packed){0};
	return run;
}

static bool run_fits(const struct packed *run, size_t more, int32_t size)
{
	return sequence_fits(packed_count(run) + 1, (uint64_t)run->len + more + PACKED_ELEMENT_EXTRA, size);
}

static void run_add(struct sequence *sequence, struct counted_at *at, uint64_t index, struct span element)
{
	struct needle needle = needle_of(element);
	struct packed *run = sequence_run(at);
	packed_insert(run, sequence->memory, packed_seek(run, (uint32_t)index), &needle);
	counted_set(&sequence->order, at, run_slot(run));
}

/* The run at `at` ends before `index`, the rest becomes one behind it. */
static void run_split(struct sequence *sequence, struct counted_at *at, uint64_t index)
{
	struct packed *run = sequence_run(at), *tail = run_new(sequence);
	packed_move_tail(run, sequence->memory, packed_seek(run, (uint32_t)index), tail);
	counted_set(&sequence->order, at, run_slot(run));
	at->place++;
	counted_insert(&sequence->order, at, run_slot(tail));
}

/* A run of its own for it, before `at`. */
static void run_insert(struct sequence *sequence, struct counted_at *at, struct span element)
{
	struct needle needle = needle_of(element);
	struct packed *run = run_new(sequence);
	packed_insert(run, sequence->memory, PACKED_HEAD, &needle);
	counted_insert(&sequence->order, at, run_slot(run));
}

void sequence_insert(struct sequence *sequence, uint64_t place, struct span element, int32_t size)
{
	struct counted_at at;
	uint64_t index, before;
	ASSERT(place <= sequence_count(sequence));
	for (;;) {
		if (place > 0) {          /* into the run of the element before it, if there is room */
			sequence_seek(sequence, place - 1, &at, &before);
			if (run_fits(sequence_run(&at), element.len, size)) {
				run_add(sequence, &at, before + 1, element);
				return;
			}
		}
		sequence_seek(sequence, place, &at, &index);
		struct packed *run = sequence_run(&at);
		if (run != NULL && run_fits(run, element.len, size)) {
			run_add(sequence, &at, index, element);
			return;
		}
		if (index == 0)
			break;
		run_split(sequence, &at, index);      /* and once more: the place is between two runs */
	}
	run_insert(sequence, &at, element);
}

/* The runs that meet before element `place` become one, if that is small. */
static void sequence_join(struct sequence *sequence, uint64_t place, int32_t size)
{
	struct counted_at left, right;
	uint64_t index;
	if (place == 0 || place >= sequence_count(sequence))
		return;
	sequence_seek(sequence, place, &right, &index);
	if (index != 0)
		return;
	sequence_seek(sequence, place - 1, &left, &index);
	struct packed *to = sequence_run(&left), *from = sequence_run(&right);
	uint64_t count = (uint64_t)packed_count(to) + packed_count(from);
	uint64_t bytes = (uint64_t)to->len + from->len;
	if (!sequence_fits(count * 2, bytes * 2, size))
		return;
	counted_remove(&sequence->order, &right);
	packed_move_tail(from, sequence->memory, PACKED_HEAD, to);
	run_free(sequence, from);
	sequence_seek(sequence, place - 1, &left, &index);
	counted_set(&sequence->order, &left, run_slot(to));
}

void sequence_remove(struct sequence *sequence, uint64_t first, uint64_t count, int32_t size)
{
	struct counted_at at;
	uint64_t index;
	ASSERT(first <= sequence_count(sequence) && count <= sequence_count(sequence) - first);
	while (count > 0) {
		sequence_seek(sequence, first, &at, &index);
		struct packed *run = sequence_run(&at);
		uint32_t part = (uint32_t)min_u64(count, packed_count(run) - index);
		if (part == packed_count(run)) {
			counted_remove(&sequence->order, &at);
			run_free(sequence, run);
		} else {
			packed_remove(run, sequence->memory, packed_seek(run, (uint32_t)index), part);
			counted_set(&sequence->order, &at, run_slot(run));
		}
		count -= part;
	}
	if (first == 0 || first >= sequence_count(sequence))
		return;                       /* an end: its runs go as a whole soon */
	sequence_seek(sequence, first, &at, &index);
	uint64_t begin = first - index, end = begin + packed_count(sequence_run(&at));
	sequence_join(sequence, end, size);
	sequence_join(sequence, begin, size);
}

void sequence_put(struct sequence *sequence, uint64_t place, struct span element, int32_t size)
{
	struct counted_at at;
	uint64_t index;
	struct needle needle = needle_of(element);
	ASSERT(place < sequence_count(sequence));
	sequence_seek(sequence, place, &at, &index);
	struct packed *run = sequence_run(&at);
	if (!run_fits(run, element.len, size) && packed_count(run) > 1) {
		sequence_remove(sequence, place, 1, size);
		sequence_insert(sequence, place, element, size);
		return;
	}
	packed_replace(run, sequence->memory, packed_seek(run, (uint32_t)index), &needle);
}

void sequence_take(struct sequence *sequence, struct packed *run)
{
	struct counted_at at;
	uint64_t rest;
	ASSERT(packed_count(run) > 0);
	struct packed *own = run_new(sequence);
	*own = *run;
	*run = (struct packed){0};
	counted_seek(&sequence->order, sequence_count(sequence), &at, &rest);
	counted_insert(&sequence->order, &at, run_slot(own));
}
