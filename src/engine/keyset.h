/* engine/keyset.h: a set of names of keys, each with a word of data or a set of pointers: what the
 * tracking of clients remembers.
 *
 * Linear hashing (Litwin, "Linear hashing: a new tool for file and table addressing", 1980): an
 * insertion splits one bucket at most, so that no operation works through all of the table.
 *
 * The caller owns `struct keyset`; nodes belong to the set and stay where they are until they are
 * removed. What the pointers in a node refer to is the caller's.
 */
#pragma once
#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"

enum { KEYSET_PAGE = 512, KEYSET_PAGES_MAX = 16384 }; /* buckets a page; pages at most */

struct keyset_node {
	struct keyset_node *next;         /* of its bucket */
	uint64_t hash;
	uint32_t len, count, cap;         /* of the name; of the pointers: cap 0 is one, or none */
	union {
		uint64_t word;            /* the caller's, as long as there are no pointers */
		void    *one;
		void   **many;            /* open addressing, NULL: free */
	};
	uint8_t name[];
};

struct keyset {
	uint32_t             magic, buckets, page_cap;        /* buckets: in use */
	uint64_t             count, members, seed;  /* members: pointers of all nodes together */
	struct memory       *memory;
	struct keyset_node ***pages;
};

struct keyset *keyset_new(struct memory *memory, uint64_t seed);
/* Frees up to `nodes` nodes and, when none is left, the set; `drop` is called for each of their pointers.
 * True: it is gone. */
bool keyset_free_some(struct keyset *set, uint32_t nodes, void (*drop)(void *pointer));

static inline struct span keyset_name(const struct keyset_node *node)
{
	return span_of(node->name, node->len);
}

struct keyset_node *keyset_find(const struct keyset *set, struct span name);       /* or NULL */
/* The node of this name; made, all zero, if there is none. */
struct keyset_node *keyset_put(struct keyset *set, struct span name);
/* Takes the node out and frees it; its pointers are forgotten. */
void keyset_remove(struct keyset *set, struct keyset_node *node);
/* Any one, not the same each time; NULL: there is none, or none was met soon. */
struct keyset_node *keyset_any(const struct keyset *set, struct random *random);

/* False: it is there already. */
bool keyset_add(struct keyset *set, struct keyset_node *node, void *pointer);
/* The pointers, from *at (0 at first) on; NULL at the end. */
void *keyset_next(const struct keyset_node *node, uint32_t *at);

/* Every node, in no order. `each` may not change the set. */
void keyset_each(
    const struct keyset *set, void (*each)(void *ctx, const struct keyset_node *node), void *ctx);
