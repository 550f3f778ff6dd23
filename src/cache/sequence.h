/* cache/sequence.h: a large list: packed runs (packed.h) of elements, one behind the other, in a counted
 * tree (counted.h), so that both ends and any place are found in a few steps.
 *
 * `size` is list-max-listpack-size: above 0 so many elements a run (and 8 KiB at most), -1 to -5: 4, 8, 16,
 * 32 or 64 KiB. An element that is larger has a run of its own. No run is empty.
 */
#pragma once
#include "cache/counted.h"
#include "cache/packed.h"

struct sequence {
	uint32_t       magic;
	struct memory *memory;
	struct counted order;             /* of struct packed; weights are elements */
};

struct sequence *sequence_new(struct memory *memory);
/* Frees about `budget` elements; false when none is left. Only for one that is to be freed. */
bool sequence_shrink(struct sequence *sequence, unsigned budget);
void sequence_free(struct sequence *sequence);

static inline uint64_t sequence_count(const struct sequence *sequence) { return sequence->order.weight; }

/* place <= count: the element comes to stand there. */
void sequence_insert(struct sequence *sequence, uint64_t place, struct span element, int32_t size);
/* place < count. */
void sequence_put(struct sequence *sequence, uint64_t place, struct span element, int32_t size);
/* first + count <= that of the sequence. */
void sequence_remove(struct sequence *sequence, uint64_t first, uint64_t count, int32_t size);
/* Appends a whole run, which is taken over. Not empty. */
void sequence_take(struct sequence *sequence, struct packed *run);

/* The run that holds element `place`, and its number in it; at the end: that of no slot. */
void sequence_seek(
    const struct sequence *sequence, uint64_t place, struct counted_at *at, uint64_t *index);
static inline struct packed *sequence_run(const struct counted_at *at)
{
	struct counted_slot *slot = counted_slot(at);
	return slot == NULL ? NULL : slot->item;
}

/* Whether a run that holds so much is within `size`. */
bool sequence_fits(uint64_t count, uint64_t bytes, int32_t size);
