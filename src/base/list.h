/* base/list.h: an intrusive doubly linked ring. An unlinked node points to itself. */
#pragma once
#include "base/check.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *node) { node->next = node->prev = node; }
static inline bool list_is_empty(const struct list *head) { return head->next == head; }

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_append(head->next, node);
}

/* Safe on an unlinked node. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves all of `from` behind what `head` has. */
static inline void list_append_all(struct list *head, struct list *from)
{
	if (list_is_empty(from))
		return;
	head->prev->next = from->next;
	from->next->prev = head->prev;
	from->prev->next = head;
	head->prev = from->prev;
	list_init(from);
}

#define LIST_OF(node, type, member) CONTAINER_OF(node, type, member)
