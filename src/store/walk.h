/* store/walk.h: what walk.c and walk_window.c share. Private to src/store.
 *
 * A window holds the places of the next WALK_ENTRIES records, in the order of LSNs. They are found
 * in footers: those that segments being filled keep in memory, those on the disk, and, for a
 * segment without one, by going through its batches. Then the records are read one after the
 * other through a few slots, since survivors lie in a few segments side by side.
 *
 * Nothing is pinned but for the time of one read. A place may have become wrong meanwhile: the
 * record says so itself (record_parse), and the window is made anew from there on.
 */
#pragma once
#include "store/follow.h"
#include "store/state.h"

enum {
	WALK_MAGIC = 0x57616c6b,
	WALK_ENTRIES = 1 << 16,
	WALK_SLOTS = 4,
	WALK_SLOT_BYTES = 1 << 20,        /* more than any head */
	WALK_BODY_BYTES = 512 << 10,
	WALK_TRIES = 4,                   /* windows for one record, until it counts as lost */
	WALK_DAMAGED = 8,
	WALK_SLICE = 512,                 /* entries put in order without a break */
};

struct walk_entry {
	uint64_t lsn;
	uint32_t segment, offset, bytes;  /* as in struct place */
	uint8_t  type, flags;
	uint16_t spare;
};
_Static_assert(sizeof(struct walk_entry) == 24, "many of them");

struct walk_slot {
	uint8_t *bytes;                   /* WALK_SLOT_BYTES, aligned to sectors */
	uint32_t segment, nonce;          /* 0: empty */
	uint64_t from, len, used;         /* used: when, for the choice of a victim */
};

enum walk_phase { WALK_CHOOSE, WALK_COLLECT, WALK_SORT, WALK_TELL, WALK_IN_BODY };

struct walk_source {
	uint64_t lsn_min;
	uint32_t segment;
};

struct store_walk {
	uint32_t      magic;
	struct store *store;
	void        (*ready)(void *ctx);
	void         *ctx;
	uint8_t       phase;
	bool          reading, closing, failed;           /* failed: of this window not all was found */
	uint32_t      damaged[WALK_DAMAGED], damaged_at;  /* segments of which that was told */
	struct io_op  op;
	struct io_timer timer;
	struct iovec  iov;
	struct segment *pinned;           /* by the read under way */
	struct walk_slot slots[WALK_SLOTS], *filling;
	uint64_t      uses;
	/* The window: LSNs behind `after`, up to `upto`. */
	uint64_t      after, upto, bound; /* bound: the largest LSN kept, once some were left out */
	struct walk_entry *entries;       /* a heap with the largest on top, then ascending */
	uint32_t      count, sorted, at;
	bool          overflowed;
	struct walk_source *sources;
	uint32_t      source_count, source_cap, source;
	/* Of the source being collected. */
	uint8_t       source_step;
	bool          in_memory;          /* its footer was, when its blocks were begun */
	struct footer_tail tail;
	uint32_t      block;
	uint64_t      block_at;
	struct scan   scan;
	uint8_t      *raw;                /* see footer_peek_gathered */
	/* Of the record being told. */
	uint64_t      tried_lsn;
	bool          is_dead;            /* the one at hand, where it was found */
	uint32_t      tries;
	struct walk_item item;
	uint64_t      resume_lsn, resume_at;      /* of a body whose place became wrong half way */
	uint64_t      body_at;            /* bytes of the body that were told */
	struct span   table;              /* of a chain: its own copy */
	uint32_t      part;
	uint64_t      part_from;          /* where the part begins in the body */
	uint64_t      extent_at, extent_len;      /* of the part: in its segment */
	uint32_t      extent_segment;
	uint32_t     *crcs;               /* of the part */
	uint32_t      crc_count;
	struct place  head;
	uint8_t      *body;               /* WALK_BODY_BYTES */
	uint64_t      body_from, body_have;       /* offsets in the extent */
};

/* ---- walk.c ---- */
/* Bytes [at, at + len) of the segment: OK, ERR_AGAIN (a read was started), or ERR_NOTFOUND. */
MUST_CHECK enum err walk_need(
    struct store_walk *walk, uint32_t segment, uint64_t at, uint64_t len, struct span *out);
/* Goes on after other work. */
void walk_yield(struct store_walk *walk);

/* ---- walk_window.c ---- */
/* A slice of making the window. OK: it is there. ERR_AGAIN. */
MUST_CHECK enum err walk_collect(struct store_walk *walk);
/* The window is not wanted any more. */
void walk_unpin(struct store_walk *walk);
