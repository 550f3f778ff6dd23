/* engine/replica/rejoin.h: a follower that is not a prefix of its leader becomes one again, in place.
 *
 * It led, and wrote what nobody else has (DIVERGED); it was away for so long that the leader's marks of
 * what was deleted are gone (TOOLATE); its leader changed while records that had been left out of a walk
 * were still to come (replica_partial.c); it could not read all of its own log when it started; or the
 * leader could not (TOOLATE, too; or LOST, in the stream). Then
 *
 *   1. what it alone has, behind the last LSN in common, is copied to a store of its own in
 *      dir/quarantine (rejoin_export.c);
 *   2. the server begins anew, with a log that is cut there (past_window.c);
 *   3. it follows from there on, and when it has caught up, compares (compare.h): the leader writes
 *      those keys once more that differ, or a mark for what it has not.
 *
 * 1 and 2 only where it diverged. What both have is never sent again. Until it is over, the follower
 * is partial: it serves reads, and acknowledges nothing behind the last LSN in common.
 *
 * The file dir/rejoin says how far this has come, so that a crash begins again at 2 or 3:
 *
 *   tintype-rejoin 3 <cut: 0|1> <base> <common> <LSN of the cut, or 0> <lost, or 0> <epoch> <lineage>
 *
 * It goes when all is durable. A leader that could not read all of its log has such a file, too, until it
 * follows: what it lost lies at or before `lost`, and it takes that back from followers that compare
 * (repair.h). A log of another lineage, or one with LSNs that the leader gave to
 * something else, is put aside as a whole.
 */
#pragma once
#include "engine/replica/compare.h"
#include "repl/epoch.h"
#include "repl/frame.h"

enum rejoin_state {
	REJOIN_CATCHING_UP,               /* until it has what the leader had when the link began */
	REJOIN_SUMMING,
	REJOIN_LISTING,                   /* the leader's keys of some buckets come */
	REJOIN_SEEKING,                   /* its own that the leader did not name */
	REJOIN_RENEWING,
	REJOIN_SETTLING,                  /* until everything up to `whole` is durable */
};

struct rejoin_export;
struct rejoin {
	struct engine *engine;
	bool        pending, cut;         /* cut: at the next start, behind `common` */
	uint64_t    base;                 /* nothing is missing up to there */
	uint64_t    common, cut_lsn;      /* cut_lsn: of the VOID behind `common`; it follows from there on */
	uint64_t    lost_lsn;             /* of a leader; 0: it lost nothing */
	struct epoch epoch;
	char        lineage[41];
	struct rejoin_export *exporting;
	/* The comparison. */
	uint8_t     state;
	unsigned    bits;
	struct compare_walk walk;
	bool        walked, has_theirs;
	struct compare_sum *own, *theirs;
	uint8_t    *todo, *wanted;        /* buckets: that differ; of this round */
	uint64_t   *told;                 /* hashes of the keys that the leader named in this round */
	uint32_t    told_count, told_cap;
	uint64_t    told_lsn;             /* what the leader had sent when the round began */
	struct buf  wrong;                /* requests to send */
	size_t      wrong_at;
	uint64_t    number, number_got, whole;
	uint64_t    keys_wrong;
	struct io_op op;                  /* removes the file */
	bool        removing;
	char        path[SETTING_TEXT_MAX + 16];
	/* For INFO. */
	uint64_t    rejoins, keys_renewed;
};

/* Before the store is made: reads the file. */
void rejoin_new(struct engine *engine);
void rejoin_free(struct engine *engine);
/* Inside opened(). */
void rejoin_opened(struct engine *engine);
/* Something may be missing behind `base`; first it is written down. False: it cannot be. */
MUST_CHECK bool rejoin_begin(struct engine *engine, uint64_t base);
/* Recovery could not read all. As rejoin_begin; a leader has its followers compare. */
MUST_CHECK bool rejoin_begin_lost(struct engine *engine);
/* A leader has lost something up to this LSN. */
MUST_CHECK bool rejoin_note_lost(struct engine *engine, uint64_t lsn);
/* It follows now: what is missing is said to everybody else as replica_partial.c says it. */
void rejoin_follows(struct engine *engine);
/* What is missing behind this LSN will be compared when all has come that is to come first. */
bool rejoin_will_notice(const struct engine *engine, uint64_t lsn);
/* The same as rejoin_begin, and everything behind `common` is to be cut off at the next start. */
MUST_CHECK bool rejoin_begin_cut(struct engine *engine, uint64_t common);
/* The leader says that `common` is the last LSN in common, and `last` its latest. True: it is seen to; the
 * server will begin anew. */
MUST_CHECK bool rejoin_diverged(struct engine *engine, uint64_t common, uint64_t last);
/* This server leads now: whatever is missing stays missing. */
void rejoin_forget(struct engine *engine);
static inline bool rejoin_is_pending(const struct engine *engine)
{
	return engine->rejoin != NULL && engine->rejoin->pending;
}
/* The LSN to follow from. */
uint64_t rejoin_from(const struct engine *engine);
/* The link is gone, or new: it will be compared anew. */
void rejoin_reset(struct engine *engine);
/* A frame of the comparison. ERR_CORRUPT, ERR_INVALID: the link ends. */
MUST_CHECK enum err rejoin_frame(struct engine *engine, enum frame_type type, struct span payload);
/* A slice, while it streams; `durable`: everything up to there is. True: there is more to do at once. */
bool rejoin_step(struct engine *engine, uint64_t durable);

/* ---- rejoin_export.c ---- */
/* Copies what lies behind `base` to a store in quarantine; then begins anew, cut there. False: it cannot
 * be begun. */
MUST_CHECK bool rejoin_export_start(struct engine *engine, uint64_t base);
void rejoin_export_close(struct engine *engine);
