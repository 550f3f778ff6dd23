/* base/heap.c: see heap.h. */
#include "base/heap.h"

void heap_init(struct heap *heap, struct memory *memory)
{
	*heap = (struct heap){.memory = memory};
}

void heap_fini(struct heap *heap)
{
	if (heap->items != NULL)
		memory_free(heap->memory, heap->items, heap->cap * sizeof(*heap->items));
	*heap = (struct heap){.memory = heap->memory};
}

static void heap_place(struct heap *heap, uint32_t at, struct heap_item item)
{
	heap->items[at] = item;
	item.node->position = at;
}

static void heap_up(struct heap *heap, uint32_t at, struct heap_item item)
{
	while (at > 0) {
		uint32_t parent = (at - 1) / 4;
		if (heap->items[parent].deadline <= item.deadline)
			break;
		heap_place(heap, at, heap->items[parent]);
		at = parent;
	}
	heap_place(heap, at, item);
}

static void heap_down(struct heap *heap, uint32_t at, struct heap_item item)
{
	for (;;) {
		uint64_t child = 4 * (uint64_t)at + 1;
		if (child >= heap->count)
			break;
		uint64_t last = child + 4 < heap->count ? child + 4 : heap->count;
		uint64_t best = child;
		for (uint64_t i = child + 1; i < last; i++)
			if (heap->items[i].deadline < heap->items[best].deadline)
				best = i;
		if (heap->items[best].deadline >= item.deadline)
			break;
		heap_place(heap, at, heap->items[best]);
		at = (uint32_t)best;
	}
	heap_place(heap, at, item);
}

static void heap_sift(struct heap *heap, uint32_t at, struct heap_item item)
{
	if (at > 0 && heap->items[(at - 1) / 4].deadline > item.deadline)
		heap_up(heap, at, item);
	else
		heap_down(heap, at, item);
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t deadline)
{
	struct heap_item item = {deadline, node};
	if (node->position != HEAP_OUT) {
		ASSERT(node->position < heap->count);
		ASSERT(heap->items[node->position].node == node);
		heap_sift(heap, node->position, item);
		return;
	}
	ASSERT(heap->count < HEAP_OUT - 1);
	if (heap->count == heap->cap) {
		uint32_t cap = heap->cap == 0 ? 16 : heap->cap * 2;
		heap->items = memory_resize(heap->memory, heap->items,
		    heap->cap * sizeof(*heap->items), cap * sizeof(*heap->items));
		heap->cap = cap;
	}
	heap_up(heap, heap->count++, item);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	uint32_t at = node->position;
	if (at == HEAP_OUT)
		return;
	ASSERT(at < heap->count);
	ASSERT(heap->items[at].node == node);
	node->position = HEAP_OUT;
	struct heap_item last = heap->items[--heap->count];
	if (last.node != node)
		heap_sift(heap, at, last);
}

void heap_relocated(struct heap *heap, struct heap_node *node)
{
	if (node->position == HEAP_OUT)
		return;
	ASSERT(node->position < heap->count);
	heap->items[node->position].node = node;
}
