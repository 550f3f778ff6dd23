/* base/heap.h: a 4-ary min-heap of deadlines whose members know their place, so that one
 * can be moved or removed in O(log n). Used by timers and by key expiry.
 *
 * A member embeds `struct heap_node`; position HEAP_OUT means that it is in no heap.
 */
#pragma once
#include "base/memory.h"

enum { HEAP_OUT = 0xffffffff };

struct heap_node {
	uint32_t position;        /* HEAP_OUT when in no heap */
};

struct heap_item {
	uint64_t          deadline;
	struct heap_node *node;
};

struct heap {
	struct heap_item *items;
	uint32_t          count, cap;
	struct memory    *memory;
};

void heap_init(struct heap *heap, struct memory *memory);
void heap_fini(struct heap *heap);

static inline void heap_node_init(struct heap_node *node) { node->position = HEAP_OUT; }

/* Adds, or moves if it is there already. */
void heap_set(struct heap *heap, struct heap_node *node, uint64_t deadline);

/* Safe on a node that is in no heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* A member whose memory was moved: the heap follows it to its new address. */
void heap_relocated(struct heap *heap, struct heap_node *node);

/* The earliest item, or NULL. Borrowed until the next change. */
static inline const struct heap_item *heap_first(const struct heap *heap)
{
	return heap->count == 0 ? NULL : &heap->items[0];
}
