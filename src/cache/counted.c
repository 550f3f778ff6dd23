/* cache/counted.c: see counted.h. */
#include "cache/counted.h"

#include "base/arith.h"

#include <string.h>

enum {
	LEAF_SLOTS = 62, LEAF_FIRST = 4, LEAF_MIN = LEAF_SLOTS / 4,
	INNER_SLOTS = 31, INNER_MIN = INNER_SLOTS / 4,
};

struct counted_leaf {
	uint32_t             count, cap;
	struct counted_leaf *prev, *next;
	struct counted_slot  slots[];
};

struct child {
	void               *node;
	uint64_t            weight;       /* below it */
	struct counted_slot first;
};

struct counted_inner {
	uint32_t     count;
	struct child children[INNER_SLOTS];
};

void counted_init(struct counted *tree, bool is_weighted, struct memory *memory)
{
	*tree = (struct counted){.is_weighted = is_weighted, .memory = memory};
}

static size_t leaf_bytes(uint32_t cap)
{
	return sizeof(struct counted_leaf) + cap * sizeof(struct counted_slot);
}

static struct counted_leaf *leaf_new(struct counted *tree, uint32_t cap)
{
	struct counted_leaf *leaf = memory_alloc(tree->memory, leaf_bytes(cap));
	*leaf = (struct counted_leaf){.cap = cap};
	return leaf;
}

static uint64_t slot_weight(const struct counted *tree, const struct counted_slot *slot)
{
	return tree->is_weighted ? slot->weight : 1;
}

static uint64_t leaf_weight(const struct counted *tree, const struct counted_leaf *leaf)
{
	uint64_t weight = leaf->count;
	if (!tree->is_weighted)
		return weight;
	weight = 0;
	for (uint32_t i = 0; i < leaf->count; i++)
		weight += leaf->slots[i].weight;
	return weight;
}

static uint64_t inner_weight(const struct counted_inner *inner)
{
	uint64_t weight = 0;
	for (uint32_t i = 0; i < inner->count; i++)
		weight += inner->children[i].weight;
	return weight;
}

/* ---- Finding --------------------------------------------------------------------------------- */

static void *path_down(struct counted_at *at, uint32_t level, struct counted_inner *inner, uint32_t place)
{
	ASSERT(level < COUNTED_DEPTH && place < inner->count);
	at->path[level] = (struct counted_step){inner, place};
	return inner->children[place].node;
}

void counted_seek(const struct counted *tree, uint64_t weight, struct counted_at *at, uint64_t *rest)
{
	void *node = tree->root;
	ASSERT(weight <= tree->weight);
	*rest = 0;
	at->leaf = NULL;
	at->place = 0;
	if (node == NULL)
		return;
	uint64_t below = tree->weight;
	for (uint32_t level = 0; level < tree->depth; level++) {
		struct counted_inner *inner = node;
		uint32_t i = 0, last = inner->count - 1;
		uint64_t before_last = below - inner->children[last].weight;
		if (weight >= before_last) {          /* most are at an end */
			weight -= before_last;
			i = last;
		}
		for (; i < last && weight >= inner->children[i].weight; i++)
			weight -= inner->children[i].weight;
		below = inner->children[i].weight;
		node = path_down(at, level, inner, i);
	}
	struct counted_leaf *leaf = node;
	at->leaf = leaf;
	if (!tree->is_weighted) {
		at->place = (uint32_t)weight;
		return;
	}
	for (; at->place < leaf->count && weight >= leaf->slots[at->place].weight; at->place++)
		weight -= leaf->slots[at->place].weight;
	*rest = weight;
}

void counted_search(const struct counted *tree, counted_below *is_below, const void *ctx,
    struct counted_at *at, uint64_t *before)
{
	/* Whatever a comparison says, the item that is compared next is on its way. */
	void *node = tree->root;
	*before = 0;
	at->leaf = NULL;
	at->place = 0;
	if (node == NULL)
		return;
	for (uint32_t level = 0; level < tree->depth; level++) {
		struct counted_inner *inner = node;
		uint32_t low = 1, high = inner->count;        /* children whose first one is below, but one */
		while (low < high) {
			uint32_t middle = (low + high) / 2;
			prefetch(inner->children[(low + middle) / 2].first.item);
			prefetch(inner->children[(middle + high) / 2].first.item);
			if (is_below(ctx, &inner->children[middle].first))
				low = middle + 1;
			else
				high = middle;
		}
		for (uint32_t i = 0; i + 1 < low; i++)
			*before += inner->children[i].weight;
		node = path_down(at, level, inner, low - 1);
	}
	struct counted_leaf *leaf = node;
	uint32_t low = 0, high = leaf->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		prefetch(leaf->slots[(low + middle) / 2].item);
		prefetch(leaf->slots[(middle + high) / 2].item);
		if (is_below(ctx, &leaf->slots[middle]))
			low = middle + 1;
		else
			high = middle;
	}
	at->leaf = leaf;
	at->place = low;
	for (uint32_t i = 0; i < low; i++)
		*before += tree->is_weighted ? leaf->slots[i].weight : 0;
	*before += tree->is_weighted ? 0 : low;
	uint64_t rest;
	if (low == leaf->count && leaf->next != NULL)
		counted_seek(tree, *before, at, &rest);       /* the first of the next leaf, with its path */
}

struct counted_slot *counted_slot(const struct counted_at *at)
{
	if (at->leaf == NULL || at->place >= at->leaf->count)
		return NULL;
	return &at->leaf->slots[at->place];
}

bool counted_forward(struct counted_at *at)
{
	if (at->leaf == NULL)
		return false;
	if (at->place < at->leaf->count)
		at->place++;
	if (at->place == at->leaf->count && at->leaf->next != NULL) {
		at->leaf = at->leaf->next;
		at->place = 0;
	}
	return at->place < at->leaf->count;
}

bool counted_back(struct counted_at *at)
{
	if (at->leaf == NULL)
		return false;
	if (at->place == 0) {
		if (at->leaf->prev == NULL)
			return false;
		at->leaf = at->leaf->prev;
		at->place = at->leaf->count;
	}
	ASSERT(at->place > 0);
	at->place--;
	return true;
}

/* ---- Inserting ------------------------------------------------------------------------------- */

static struct counted_slot node_first(const void *node, bool is_leaf)
{
	if (is_leaf)
		return ((const struct counted_leaf *)node)->slots[0];
	return ((const struct counted_inner *)node)->children[0].first;
}

static struct child child_of(const struct counted *tree, void *node, bool is_leaf)
{
	uint64_t weight = is_leaf ? leaf_weight(tree, node) : inner_weight(node);
	return (struct child){node, weight, node_first(node, is_leaf)};
}

/* What the path above the leaf says is brought up to date, from the leaf's parent upwards. */
static void path_refresh(struct counted *tree, const struct counted_at *at, uint32_t levels, uint64_t delta)
{
	for (uint32_t level = levels; level-- > 0;) {
		struct counted_inner *inner = at->path[level].inner;
		struct child *child = &inner->children[at->path[level].place];
		child->weight += delta;
		child->first = node_first(child->node, level + 1 == tree->depth);
	}
}

static void leaf_insert(struct counted_leaf *leaf, uint32_t place, struct counted_slot slot)
{
	ASSERT(leaf->count < leaf->cap && place <= leaf->count);
	memmove(&leaf->slots[place + 1], &leaf->slots[place], (leaf->count - place) * sizeof(slot));
	leaf->slots[place] = slot;
	leaf->count++;
}

static void inner_insert(struct counted_inner *inner, uint32_t place, struct child child)
{
	ASSERT(inner->count < INNER_SLOTS && place <= inner->count);
	memmove(&inner->children[place + 1], &inner->children[place],
	    (inner->count - place) * sizeof(child));
	inner->children[place] = child;
	inner->count++;
}

/* The slot goes into a full leaf, whose upper half moves into the new one that is returned. */
static struct counted_leaf *leaf_split(
    struct counted *tree, struct counted_leaf *leaf, uint32_t place, struct counted_slot slot)
{
	struct counted_leaf *right = leaf_new(tree, LEAF_SLOTS);
	uint32_t keep = leaf->next == NULL && place == leaf->count ? leaf->count : LEAF_SLOTS / 2;
	right->count = leaf->count - keep;
	memcpy(right->slots, &leaf->slots[keep], right->count * sizeof(slot));
	leaf->count = keep;
	right->prev = leaf;
	right->next = leaf->next;
	if (right->next != NULL)
		right->next->prev = right;
	leaf->next = right;
	if (place < keep || (place == keep && right->count > 0))
		leaf_insert(leaf, place, slot);
	else
		leaf_insert(right, place - keep, slot);
	return right;
}

static struct counted_inner *inner_split(
    struct counted *tree, struct counted_inner *inner, uint32_t place, struct child child)
{
	struct counted_inner *right = memory_alloc(tree->memory, sizeof(*right));
	uint32_t keep = place == inner->count ? inner->count - 1 : INNER_SLOTS / 2;
	right->count = inner->count - keep;
	memcpy(right->children, &inner->children[keep], right->count * sizeof(child));
	inner->count = keep;
	if (place <= keep)
		inner_insert(inner, place, child);
	else
		inner_insert(right, place - keep, child);
	return right;
}

/* `right` was split off the node at the end of the path's first `levels` steps. */
static void path_split(struct counted *tree, struct counted_at *at, uint32_t levels, void *right)
{
	uint32_t level = levels;
	for (; level-- > 0 && right != NULL;) {
		struct counted_step *step = &at->path[level];
		bool is_leaf = level + 1 == tree->depth;
		step->inner->children[step->place] =
		    child_of(tree, step->inner->children[step->place].node, is_leaf);
		struct child child = child_of(tree, right, is_leaf);
		if (step->inner->count < INNER_SLOTS) {
			inner_insert(step->inner, step->place + 1, child);
			right = NULL;
			break;
		}
		right = inner_split(tree, step->inner, step->place + 1, child);
	}
	if (right != NULL) {
		struct counted_inner *root = memory_alloc(tree->memory, sizeof(*root));
		bool is_leaf = tree->depth == 0;
		root->count = 2;
		root->children[0] = child_of(tree, tree->root, is_leaf);
		root->children[1] = child_of(tree, right, is_leaf);
		tree->root = root;
		ASSERT(tree->depth + 1 < COUNTED_DEPTH);
		tree->depth++;
		return;
	}
	for (; level-- > 0;) {
		struct counted_step *step = &at->path[level];
		struct child *child = &step->inner->children[step->place];
		*child = child_of(tree, child->node, false);
	}
}

void counted_insert(struct counted *tree, struct counted_at *at, struct counted_slot slot)
{
	uint64_t weight = slot_weight(tree, &slot);
	struct counted_leaf *leaf = at->leaf;
	tree->weight += weight;
	if (leaf == NULL) {
		ASSERT(tree->root == NULL);
		leaf = tree->root = leaf_new(tree, LEAF_FIRST);
	}
	if (leaf->count == leaf->cap && leaf->cap < LEAF_SLOTS) {     /* it is alone: nothing refers to it */
		ASSERT(tree->depth == 0 && tree->root == leaf);
		uint32_t cap = (uint32_t)min_u64(leaf->cap * 2, LEAF_SLOTS);
		leaf = tree->root = memory_resize(tree->memory, leaf, leaf_bytes(leaf->cap), leaf_bytes(cap));
		leaf->cap = cap;
	}
	if (leaf->count < leaf->cap) {
		leaf_insert(leaf, at->place, slot);
		path_refresh(tree, at, tree->depth, weight);
	} else {
		void *right = leaf_split(tree, leaf, at->place, slot);
		path_split(tree, at, tree->depth, right);
	}
	at->leaf = NULL;
}

void counted_set(struct counted *tree, struct counted_at *at, struct counted_slot slot)
{
	struct counted_slot *old = counted_slot(at);
	ASSERT(old != NULL);
	uint64_t delta = slot_weight(tree, &slot) - slot_weight(tree, old);
	*old = slot;
	tree->weight += delta;
	if (delta != 0 || at->place == 0)
		path_refresh(tree, at, tree->depth, delta);
}

/* ---- Removing -------------------------------------------------------------------------------- */

static void leaf_unlink(struct counted *tree, struct counted_leaf *leaf)
{
	if (leaf->prev != NULL)
		leaf->prev->next = leaf->next;
	if (leaf->next != NULL)
		leaf->next->prev = leaf->prev;
	memory_free(tree->memory, leaf, leaf_bytes(leaf->cap));
}

static void node_free(struct counted *tree, void *node, bool is_leaf)
{
	if (is_leaf)
		leaf_unlink(tree, node);
	else
		memory_free(tree->memory, node, sizeof(struct counted_inner));
}

static uint32_t node_count(const void *node, bool is_leaf)
{
	return is_leaf ? ((const struct counted_leaf *)node)->count
	               : ((const struct counted_inner *)node)->count;
}

static void inner_drop(struct counted_inner *inner, uint32_t place)
{
	ASSERT(place < inner->count);
	inner->count--;
	memmove(&inner->children[place], &inner->children[place + 1],
	    (inner->count - place) * sizeof(inner->children[0]));
}

/* What the child behind `place` holds moves into that at `place`, if it stays comfortable. */
static bool inner_join(struct counted *tree, struct counted_inner *inner, uint32_t place, bool is_leaf)
{
	struct child *left = &inner->children[place], *right = left + 1;
	uint32_t room = (is_leaf ? LEAF_SLOTS : INNER_SLOTS) * 3 / 4;
	if (node_count(left->node, is_leaf) + node_count(right->node, is_leaf) > room)
		return false;
	if (is_leaf) {
		struct counted_leaf *to = left->node, *from = right->node;
		memcpy(&to->slots[to->count], from->slots, from->count * sizeof(from->slots[0]));
		to->count += from->count;
	} else {
		struct counted_inner *to = left->node, *from = right->node;
		memcpy(&to->children[to->count], from->children, from->count * sizeof(from->children[0]));
		to->count += from->count;
	}
	left->weight += right->weight;
	node_free(tree, right->node, is_leaf);
	inner_drop(inner, place + 1);
	return true;
}

/* A child that lost something: goes if it is empty, joins a neighbour if it is nearly so. */
static void inner_tend(struct counted *tree, struct counted_step *step, bool is_leaf)
{
	struct counted_inner *inner = step->inner;
	void *node = inner->children[step->place].node;
	uint32_t count = node_count(node, is_leaf);
	if (count == 0) {
		node_free(tree, node, is_leaf);
		inner_drop(inner, step->place);
		return;
	}
	inner->children[step->place].first = node_first(node, is_leaf);
	if (count >= (is_leaf ? LEAF_MIN : INNER_MIN))
		return;
	if (step->place + 1 < inner->count && inner_join(tree, inner, step->place, is_leaf))
		return;
	if (step->place > 0)
		(void)inner_join(tree, inner, step->place - 1, is_leaf);
}

static void root_tend(struct counted *tree)
{
	while (tree->root != NULL && node_count(tree->root, tree->depth == 0) == 0) {
		ASSERT(tree->weight == 0);
		node_free(tree, tree->root, tree->depth == 0);
		tree->root = NULL;
		tree->depth = 0;
	}
	while (tree->depth > 0 && ((struct counted_inner *)tree->root)->count == 1) {
		void *old = tree->root;
		tree->root = ((struct counted_inner *)old)->children[0].node;
		tree->depth--;
		node_free(tree, old, false);
	}
}

void counted_remove(struct counted *tree, struct counted_at *at)
{
	struct counted_slot *slot = counted_slot(at);
	ASSERT(slot != NULL);
	struct counted_leaf *leaf = at->leaf;
	uint64_t weight = slot_weight(tree, slot);
	tree->weight -= weight;
	leaf->count--;
	memmove(slot, slot + 1, (leaf->count - at->place) * sizeof(*slot));
	for (uint32_t level = tree->depth; level-- > 0;) {
		struct counted_step *step = &at->path[level];
		step->inner->children[step->place].weight -= weight;
		inner_tend(tree, step, level + 1 == tree->depth);
	}
	root_tend(tree);
	at->leaf = NULL;
}

bool counted_shrink(struct counted *tree, counted_drop *drop, void *ctx)
{
	struct counted_at at;
	uint64_t rest;
	if (tree->root == NULL)
		return false;
	counted_seek(tree, tree->weight, &at, &rest);
	struct counted_leaf *leaf = at.leaf;
	uint64_t weight = leaf_weight(tree, leaf);
	for (uint32_t i = 0; drop != NULL && i < leaf->count; i++)
		drop(ctx, leaf->slots[i].item);
	leaf->count = 0;
	tree->weight -= weight;
	for (uint32_t level = tree->depth; level-- > 0;) {
		at.path[level].inner->children[at.path[level].place].weight -= weight;
		inner_tend(tree, &at.path[level], level + 1 == tree->depth);
	}
	root_tend(tree);
	return tree->root != NULL;
}
