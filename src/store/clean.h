/* store/clean.h: the cleaner makes whole segments out of partly dead ones. Private to src/store.
 *
 * One victim at a time is read front to back in pieces of 1 MiB. Of each record the owner is
 * asked whether it lives; what lives is verified and copied, with its LSN, into a segment of a
 * stream of its own: STREAM_SHORT for what expires within a day, STREAM_LONG for the rest,
 * STREAM_WARM for victims on the warm tier. When the batch of a copy is durable the owner is
 * offered its new place (relocated, a compare-and-swap), and the old one is released. A victim in
 * which nothing is left goes the way of every dead segment (reclaim.c), after everything that
 * the decisions rested on is durable. Nothing waits for the cleaner: it holds one window and at
 * most CLEAN_COPIES_BYTES of copies that are not durable, reads one piece at a time, and rests
 * between pieces as clean_duty says. What it finds corrupt stays, segment and all.
 *
 * Which victim: the best (1 - u) * sqrt(age) / (1 + u), never one with u > 97% (the formula is
 * Rosenblum's and Ousterhout's with a flatter age, as the simulations for this store found best).
 * u is 1 less what would be gained, over the size of a segment: the dead records with their padding,
 * the gaps that batches synced one by one left, the rest of a segment that a restart sealed early.
 * Age is counted in LSNs since the youngest record. Measured with Zipf overwrites of an 80% full
 * scaled disk (bench/bench_clean.c), none of these copied less by more than 2%: age since the seal or
 * of the mean record, age to the power of 0.75, a cost of u instead of 1 + u, a stream of its own for
 * records copied for the first time or written lately; without age, 17% more was written. Of a
 * segment that the cleaner wrote and in which nothing died u is 1, so what lives is never copied for ever.
 *
 * When: room is what disk_bytes_max (or else the disk) leaves, in segments. Above `start` = the
 * reserve and 4% nothing is cleaned, unless nobody has written for some seconds, and a segment
 * is more than 30% dead and will not soon expire as a whole. Below, the cleaner works a part of
 * the time that grows linearly to all of it at the reserve.
 *
 * Marks. DELETE and FLUSH keep older records from coming back: such a record may lie dead in
 * some segment. A mark with LSN m is not needed any more when no other segment could hold one:
 *   - each of its records is younger than m, or
 *   - its first record was copied there later than m: copies are made of living records only, so
 *     nothing that the mark had killed came along (birth_lsn); or
 *   - nothing in it had died yet when m was appended, nor since before it (death_lsn).
 * What is not known (after a start, after a failure, of a copy that is not durable yet or was not
 * taken, of an image that lives on in the past or under another key only) counts as 0: it needs
 * every mark, those beside it in the same segment too. An EXPIRE is
 * needed as long as the owner's deadline for that key comes from it. Marks that are needed are
 * carried along with the living records; a segment of needed marks counts as alive. So
 * that segments with a few dead records cannot keep every mark for ever: when marks take more
 * than CLEAN_MARKS_SHARE of the store and there is pressure, the segment in which something died
 * first is cleaned, however alive it is.
 */
#pragma once
#include "store/state.h"

enum {
	CLEANER_MAGIC = 0x436c6561,
	CLEAN_COPIES_BYTES = 4 << 20,
	CLEAN_SLICE_RECORDS = 256,        /* looked at without a break */
	CLEAN_IDLE_TICKS = 3,
	CLEAN_SHORT_MS = 24 * 3600 * 1000,
	CLEAN_RETRY_US = 30 * 1000 * 1000,
};

/* ---- For the rest of the store ---- */

void clean_init(struct store *store);
void clean_fini(struct store *store);
void clean_abandon(struct store *store);
void clean_tick(struct store *store);
/* A batch became durable, or a segment was made: the cleaner goes on. */
void clean_pump(struct store *store);
/* There is hardly room: do not wait for the next tick. */
void clean_wake(struct store *store);
void clean_stop(struct store *store);                   /* takes up nothing new */
bool clean_is_idle(const struct store *store);          /* nothing of it is under way */
/* It may still make room: whoever needs a segment should wait. */
bool clean_is_helping(const struct store *store);
void clean_get_stats(const struct store *store, struct store_stats *out);
void clean_batch_durable(struct batch *batch);
void clean_batch_failed(struct batch *batch);
/* `record` was copied to its place, and the owner took the copy or not. */
void clean_note_copy(struct store *store, const struct record *record, bool taken);
/* Which marks other segments need: each needs those from some LSN on; the two smallest. */
struct clean_pins {
	uint64_t              first, second;
	const struct segment *whose;      /* the first one is this segment's; it does not need its own */
};
struct clean_pins clean_pins(const struct store *store);
/* Is a mark (EXPIRE apart) that lies in this segment needed for the sake of another? */
bool clean_needs_mark(const struct clean_pins *pins, const struct segment *lies_in, uint64_t lsn);
/* LSNs from `from` on and before `to` were cut off. */
void void_note(struct store *store, uint64_t from, uint64_t to);
bool void_covers(const struct store *store, uint64_t lsn);

/* ---- clean_policy.c: pure ---- */

/* What the choice of a victim looks at. */
struct clean_view {
	uint64_t bytes;                   /* of the segment */
	uint64_t used;                    /* written so far, headers apart */
	uint64_t records, record_bytes, live_records, live_bytes;
	uint64_t mark_bytes;              /* of marks that are needed */
	bool     dense;                   /* written by the cleaner: no closer packing is to be had */
};
/* 0 .. 1: the part of a segment that would not be gained. */
double clean_share(const struct clean_view *view);
/* 0: not worth it. */
double clean_score(double share, uint64_t age);
bool clean_is_idle_gain(const struct clean_view *view);

struct clean_room {
	uint64_t total, free;             /* segments */
};
/* 0 .. 1: the part of the time that the cleaner works. */
double clean_duty(const struct clean_room *room);

/* ---- clean_pick.c ---- */
struct clean_room clean_room(const struct store *store);
struct segment *clean_pick(const struct store *store);
struct segment *clean_pick_idle(const struct store *store);
/* The one for whose sake most marks are kept, if that is worth it. */
struct segment *clean_pick_pinning(const struct store *store);

/* ---- clean.c ---- */
enum clean_step {
	CLEAN_ON,                         /* one step was made */
	CLEAN_READ,                       /* bytes are being read */
	CLEAN_WAIT,                       /* for a batch or a segment */
	CLEAN_END,                        /* of the victim, or of what can be done with it */
};

struct cleaner {
	uint32_t        magic;
	struct store   *store;
	struct segment *victim;           /* pinned */
	struct scan     scan;
	struct body    *window;           /* whole sectors of the victim from `from` on */
	uint64_t        from;
	size_t          have;
	size_t          checked;          /* bytes of the body of the record at `checked_at` */
	uint64_t        checked_at;
	struct iovec    iov;
	struct io_op    op;
	struct io_timer timer;
	bool            reading, running, stopped, ended;
	bool            hopeless;         /* there was pressure, and no victim */
	bool            lost;             /* a copy was given up */
	uint32_t        copies;           /* not yet durable */
	uint64_t        copies_bytes;
	struct clean_pins pins;           /* asked for once in a slice, if it comes to a mark */
	bool            pins_known;
	double          duty;
	uint64_t        slice_us;         /* when the slice began */
	uint64_t        ticks, idle_ticks, appended_seen;
	uint64_t        disk_free;        /* as last asked, without disk_bytes_max */
	struct {
		uint64_t victims, evacuated, records, bytes, marks, marks_dropped;
		uint64_t slice_us_max;    /* the longest time without a break */
	} done;
};

/* ---- clean_copy.c ---- */
/* The record that the scan stands on: is it needed? */
bool clean_is_needed(struct cleaner *cleaner);
/* Appends its copy; all of it is in the window. OK, ERR_OVERLOADED, ... */
MUST_CHECK enum err clean_copy(struct cleaner *cleaner);
