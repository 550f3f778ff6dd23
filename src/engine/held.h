/* engine/held.h: records with more owners than one entry of a directory, or with none.
 *
 * The body of an image that was put belongs to its key's entry, which knows its place. As
 * soon as somebody else needs it (a copy under another key, a version of the past) its LSN
 * has a line here: where the record lies, how many need it, and how many of them are of
 * today. The store sees one owner whatever happens: `owned` says that it is this table, and
 * otherwise it is still the entry that was first.
 *
 * Open addressing in shards that grow by themselves, so that no growth takes long. 32 bytes
 * a record. Knows no store: the caller retains and releases.
 */
#pragma once
#include "store/store.h"

enum { HELD_SHARDS = 256 };

struct held {
	uint64_t     lsn : 48;            /* 0: no record */
	uint64_t     owned : 1;           /* the store's owner is this table */
	uint64_t     unsure : 1;          /* while loading: the first entry may own it as well */
	uint64_t     spare : 14;
	struct place place;
	uint32_t     refs;                /* all that need it but the first entry */
	uint32_t     today;               /* of those, entries of a directory */
	uint32_t     spare2;
};
_Static_assert(sizeof(struct held) == 32, "one per shared record in memory");

struct held_table {
	struct held_shard {
		struct held *slots;
		uint32_t     cap, count;      /* cap: a power of two, or 0 */
	} shards[HELD_SHARDS];
	uint64_t       count;
	struct memory *memory;
};

void held_init(struct held_table *table, struct memory *memory);
void held_fini(struct held_table *table);
/* NULL: nobody but an entry knows it. Valid until the next add or remove. */
struct held *held_find(const struct held_table *table, uint64_t lsn);
/* It must not be there. refs and today are 0. */
struct held *held_add(struct held_table *table, uint64_t lsn, struct place place, bool owned);
void held_remove(struct held_table *table, struct held *held);
uint64_t held_bytes(const struct held_table *table);

/* It is kept for the sake of the past alone. */
static inline bool held_is_past(const struct held *held)
{
	return held->owned && held->today == 0;
}
