/* store/chain.h: bodies that lie in several records; see chain.c. Private to src/store. */
#pragma once
#include "store/chain_table.h"
#include "store/store.h"

struct chain {
	struct chain *next;
	struct place  head;
	uint32_t      refs;               /* owners of the head */
	bool          settled;            /* its parts are retained; false only while loading */
	uint64_t      lsn;                /* of the head, while loading */
	uint32_t      count;
	struct place  parts[];
};

void chain_init(struct store *store);
void chain_fini(struct store *store);
struct chain *chain_find(const struct store *store, struct place head);
struct chain *chain_add(struct store *store, struct place head, uint32_t count);
void chain_retain(struct store *store, struct place head);
void chain_drop(struct store *store, struct place head);      /* one owner fewer */
void chain_rehead(struct store *store, struct place from, struct place to);
/* Does any living chain name this part? */
bool chain_has_part(const struct store *store, struct place part);
bool chain_part_moved(struct store *store, struct place from, struct place to);
/* So many parts a record takes whose LSN is given (follow.c); 0: it is no chain. */
uint32_t chain_parts_given(const struct store *store, const struct record *record);
MUST_CHECK enum err chain_append(struct store *store, struct record *record);
struct chain *chain_next(const struct store *store, const struct chain *chain);   /* NULL: first */
void chain_forget(struct store *store, struct chain *chain);  /* nobody's, its parts not retained */
void chain_clear(struct store *store);                        /* all, likewise */
