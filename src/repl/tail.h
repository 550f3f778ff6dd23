/* repl/tail.h: the latest records of a leader's log, in memory, for the followers that are near its
 * end: one copy for all of them. Whoever falls behind what is kept here goes on from the disk
 * (store/follow.h). Bodies are kept by reference, and count.
 */
#pragma once
#include "store/store.h"

enum { TAIL_BYTES_MAX = 6 << 20, TAIL_RECORDS_MAX = 1 << 15 };

struct tail_item {
	struct record record;         /* its spans lie behind this struct; body: a reference, or NULL */
	size_t        bytes;          /* of this allocation */
};

struct tail_slot {
	uint64_t          lsn;
	struct tail_item *item;
};

struct tail {
	struct memory    *memory;
	struct tail_slot *slots;      /* a ring, in order of LSN */
	uint32_t          cap;        /* a power of two */
	uint32_t          first, count;
	uint64_t          before;     /* every record behind this LSN is here */
	uint64_t          bytes, bodies;      /* bodies: their bytes */
	bool              is_on;
};

void tail_init(struct tail *tail, struct memory *memory);
void tail_fini(struct tail *tail);
/* Keeps what is appended behind `lsn`, the last LSN so far. */
void tail_start(struct tail *tail, uint64_t lsn);
/* Nobody follows. */
void tail_stop(struct tail *tail);
/* A record was appended. */
void tail_add(struct tail *tail, const struct record *record);
/* The value of the last record appended, whose LSN this is, got longer by `more`. */
void tail_extend(struct tail *tail, uint64_t lsn, struct span more);
/* The first item behind `lsn`, or NULL. */
const struct tail_item *tail_after(const struct tail *tail, uint64_t lsn);
static inline bool tail_covers(const struct tail *tail, uint64_t lsn)
{
	return tail->is_on && lsn >= tail->before;
}
