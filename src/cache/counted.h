/* cache/counted.h: items in an order, each found by how much stands before it: a B+ tree whose
 * inner nodes know the weight of what is below them. The order of a sorted set (every item weighs 1) and
 * the nodes of a list (each weighs its elements) are such trees.
 *
 *   leaf   prev, next, slots {item, score or weight}
 *   inner  children {node, weight below, first slot below}
 *
 * The items are the caller's. A tree of one leaf is as small as what it holds. A leaf that is filled
 * from behind is left full, so that what arrives in order is packed tightly.
 */
#pragma once
#include "base/memory.h"

enum { COUNTED_DEPTH = 16 };

struct counted_slot {
	void *item;
	union {
		double   score;           /* of a tree that is not weighted */
		uint64_t weight;
	};
};

struct counted {
	void          *root;
	uint32_t       depth;             /* inner nodes above each leaf */
	bool           is_weighted;
	uint64_t       weight;            /* of all */
	struct memory *memory;
};

struct counted_leaf;
struct counted_inner;

/* A slot, or the end of the last leaf; valid until the tree changes. */
struct counted_at {
	struct counted_leaf *leaf;        /* NULL: the tree is empty */
	uint32_t             place;
	struct counted_step {
		struct counted_inner *inner;
		uint32_t              place;
	} path[COUNTED_DEPTH];            /* path[0] is the root */
};

void counted_init(struct counted *tree, bool is_weighted, struct memory *memory);
/* Takes the last leaf's items out, and gives each to `drop` (may be NULL). False: it is empty now. */
typedef void counted_drop(void *ctx, void *item);
bool counted_shrink(struct counted *tree, counted_drop *drop, void *ctx);

/* The slot in which unit `weight` (counted from 0) lies; *rest: units before it in that slot.
 * weight <= that of the tree; if they are equal, the end of the last leaf. */
void counted_seek(
    const struct counted *tree, uint64_t weight, struct counted_at *at, uint64_t *rest);
/* The first slot that is not below what is looked for, or the end of the last leaf; *before: weight of
 * all that is below. `is_below`: whether a slot is. */
typedef bool counted_below(const void *ctx, const struct counted_slot *slot);
void counted_search(const struct counted *tree, counted_below *is_below, const void *ctx,
    struct counted_at *at, uint64_t *before);

/* NULL at the end of a leaf. */
struct counted_slot *counted_slot(const struct counted_at *at);
/* To the next slot, or the one before; false: there is none. They use only `leaf` and `place`. */
bool counted_forward(struct counted_at *at);
bool counted_back(struct counted_at *at);

/* Before `at`, which is gone afterwards. */
void counted_insert(struct counted *tree, struct counted_at *at, struct counted_slot slot);
void counted_remove(struct counted *tree, struct counted_at *at);
/* The slot's item, score or weight changed: `slot` takes its place, in the same order. */
void counted_set(struct counted *tree, struct counted_at *at, struct counted_slot slot);
