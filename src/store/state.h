/* store/state.h: what the files of this folder share. Private to src/store.
 *
 * Streams of segments: one takes what is appended (and copies on their way back to hot), the
 * others take copies only: of the warm tier, and of the cleaner by expiry class. What is
 * appended is one stream on purpose: records are acknowledged in order, and durable as a
 * prefix; the classes part when records are cleaned for the first time. A stream has one open
 * batch and a list of closed ones in log order; a batch leaves the list when it is durable, so
 * that whatever is not durable yet is in memory and can be written again elsewhere.
 */
#pragma once
#include "base/arith.h"
#include "base/buf.h"
#include "store/batch.h"
#include "base/random.h"
#include "store/chain.h"
#include "store/checkpoint.h"
#include "store/read.h"
#include "store/footer.h"
#include "store/scan.h"

enum {
	STORE_MAGIC = 0x53746f72,
	STREAM_MAGIC = 0x53747265,
	SEGMENT_MAGIC = 0x5365676d,
	/* Spares that PUT leaves alone; DELETE and the like take all but the last, which is the
	 * cleaner's, and that of a batch whose write failed. */
	RESERVE_SEGMENTS = 4,
	RESERVE_CLEANER = 1,
	STREAM_BATCHES = 16,              /* open, waiting, in flight, not yet synced */
	STREAM_UNSYNCED = 8,              /* more than these are synced at once */
	GATHER_BYTES = 64 << 10,          /* somebody waits for them */
	GATHER_BYTES_IDLE = 512 << 10,    /* nobody does */
	PIECE_BYTES = 1 << 20,            /* one disk read, one slice of zeroing */
	TICK_US = 1000000,
};

enum segment_state {
	SEGMENT_MAKING,       /* not to be used yet */
	SEGMENT_SPARE,
	SEGMENT_ACTIVE,
	SEGMENT_SEALED,       /* nothing more is written to it */
	SEGMENT_RETIRING,     /* being recycled or unlinked */
	SEGMENT_LOST,         /* its file is missing, though a checkpoint names its records */
};

struct footer;

struct segment {
	uint32_t       magic;
	uint32_t       id, nonce, life;   /* life: of its latest commit block */
	uint8_t        state, tier;       /* see segment_set_state */
	uint8_t        stream;            /* who wrote to it; STREAM_COUNT: nobody, or not known */
	uint8_t        parts;             /* as its header says; reach.c */
	bool           failed;            /* a write failed: never used again */
	bool           evacuated;         /* the cleaner left nothing in it that anybody needs */
	bool           left_alone;        /* the cleaner found it corrupt, or could not read it */
	uint64_t       clean_after_us;    /* the cleaner tried in vain */
	uint32_t       moves_pending;     /* copies (move.c) that the owner was not yet offered */
	int            fd;
	int64_t        created_ms;
	uint64_t       bytes;             /* of the file; see segment_set_bytes */
	uint64_t       tail;              /* the next batch starts here */
	uint64_t       written;           /* every batch below was written */
	struct position ended[COMMIT_ENDED];      /* for its commit blocks */
	uint32_t       pins;              /* reads and writes in flight, batches not yet durable */
	uint64_t       live_records, live_bytes, records, record_bytes;
	uint64_t       marks, mark_bytes;         /* among them: */
	uint64_t       expires, expire_bytes;     /* those of type EXPIRE */
	/* For the cleaner (clean.h). All LSNs as store->next_lsn stood then, 0: not known. */
	uint64_t       birth_lsn;         /* when the first record came */
	bool           has_ended;         /* perhaps a living record that its own key no longer names */
	uint64_t       death_lsn;         /* a record first died at, or before; UINT64_MAX: none */
	int64_t        expire_last_ms;    /* no record lives longer; INT64_MAX: or not known */
	uint64_t       lsn_min, lsn_max, mark_lsn_max;        /* lsn_min: UINT64_MAX if empty */
	uint64_t       free_lsn;          /* must be durable before this can go */
	uint64_t       zero_from;         /* the file is zeroed from here to its end */
	bool           zero_first;        /* no use before it is zeroed: nothing is allocated */
	struct iovec   zero_iov;          /* the slice under way, below zero_from; length 0: none */
	struct io_op   zero_op, op;
	char          *path;
	size_t         path_bytes;
	struct store  *store;
	struct footer *footer;            /* being gathered or written; NULL: none yet */
	bool           footer_lost;       /* there will be none */
	uint64_t       footer_raw;        /* bytes of its items, for the room to keep */
};

struct stream {
	uint32_t        magic;
	uint8_t         tier;
	uint8_t         number;           /* enum log_stream */
	struct store   *store;
	struct segment *active;
	struct batch   *open;
	struct list     batches;          /* closed ones, oldest first */
	struct list     idle;             /* batch objects for reuse */
	uint32_t        batch_count;      /* open and closed */
	uint32_t        batch_limit;
	uint32_t        in_flight;        /* writes */
	bool            syncing;
	struct batch   *sync_upto;        /* last batch that the sync under way covers */
	struct io_op    sync_op;
	uint64_t        sync_started_us;
	bool            sync_wanted;
	bool            urge;             /* the open batch goes as soon as it can */
	bool            failed;           /* see fail.c */
	bool            unmarked;         /* no commit block on disk says what is durable */
	uint32_t        failures;         /* streams of copies: batches given up */
	uint32_t        durable_segment, durable_sector;
	struct segment *reach_segment;    /* whose header is being written; NULL: none (reach.c) */
	uint8_t         reach_parts;      /* what it will say */
	uint8_t        *reach_sector;
	struct iovec    reach_iov;
	struct io_op    reach_op;
	struct position ended[COMMIT_ENDED];      /* its last segments, latest first */
	struct list     moves_waiting;    /* move.c: for a segment or a batch */
};

/* LSNs from `from` to `to` were cut off by a recovery: no record with one of them counts. */
struct void_range {
	uint64_t from, to;
};

/* Makes one segment at a time, new or recycled. */
struct maker {
	struct io_op    op;
	uint8_t         step;
	bool            busy, recycling;
	struct segment *segment;
	char           *old_path;
	uint8_t        *header;           /* one sector */
	struct iovec    iov;
	uint32_t        failures;         /* one after the other, but for a full disk */
	uint64_t        retry_us;         /* not before this time, after a failure */
};

struct chain_table;
struct cleaner;
struct recovery;
struct repair;
struct store {
	uint32_t             magic;
	struct io           *io;
	struct store_options options;
	struct store_events  events;
	void                *ctx;
	struct log          *log;
	struct memory       *memory;
	struct store_id      id;
	char                *dir[TIER_COUNT];
	enum err             state;               /* OK, ERR_DISKFULL, ERR_READONLY */
	bool                 opened, closing, closed, direct, whole;      /* whole: all that lives is known */
	bool                 reclaim_due;         /* a segment may have died */
	uint64_t             reclaim_lsn;         /* one is dead once this is recorded; or MAX */
	void               (*closed_event)(void *ctx);
	struct stream        streams[STREAM_COUNT];      /* those of a tier by its number, too */
	bool                 tier_used[TIER_COUNT];       /* keep spares for it */
	struct segment     **segments;            /* by id */
	uint32_t             segment_count, segment_cap, next_segment;
	uint32_t             spares[TIER_COUNT];
	uint64_t             tier_bytes[TIER_COUNT];      /* of all files */
	struct maker         maker;
	struct segment      *zeroed;              /* a slice of it is being zeroed */
	uint8_t             *zeros;               /* PIECE_BYTES */
	uint64_t             next_lsn;
	uint64_t             durable_lsn, written_lsn, recorded_lsn, told_written, told_durable;
	uint32_t             recorded_in, life;   /* the segment that says recorded_lsn; for commit blocks */
	uint64_t             first_always;        /* oldest record that waits for the disk, or 0 */
	uint64_t             group_always;        /* first of the group that waits for the disk, or 0 */
	bool                 in_group, in_transaction;    /* in_group: the last record continues */
	bool                 is_given, is_following, asks_preface;        /* is_given: it has its LSN */
	uint32_t             epoch, epoch_seen, void_count, void_cap;
	uint64_t             keep_marks_lsn, void_from;   /* void_from: a VOID is owed; 0: none */
	uint64_t             cut_from;            /* recovery cut what it found from here on; 0: nothing */
	uint64_t             sync_lsn, appended_seen;     /* asked of store_sync; as of the last tick */
	bool                 is_heavy;            /* much was appended since the one before */
	uint32_t             expect_segments;     /* see store_expect */
	struct io_timer      tick, delay, deferred_timer, zero_timer;
	struct list          reads_waiting;       /* for a write, or for their turn */
	struct list          reads_deferred;      /* done() is owed to them */
	struct list          reads_running;       /* the rest */
	uint32_t             reads_active, moves_active;
	struct list          moves;               /* all under way */
	struct list          moves_ended;         /* done() is owed to them */
	uint32_t             retiring;
	uint32_t             footers_active;      /* being written */
	struct chain_table  *chains;
	struct checkpoint    checkpoint;
	struct cleaner      *cleaner;
	struct void_range   *voids;               /* LSNs that were cut; for the cleaner */
	struct recovery     *recovery;
	struct repair       *repair;
	struct store_stats   stats;
	struct random        random;
};

/* ---- stream.c: where a record goes ---- */
void stream_init(struct store *store, struct stream *stream, enum log_stream number);
/* Takes copies only: what is not durable there may be given up. */
static inline bool stream_is_copies(const struct stream *stream)
{
	return stream->number != STREAM_USER;
}
void stream_fini(struct stream *stream);
void stream_abandon(struct stream *stream);
/* Adds the record to the open batch, closing it and changing segments as needed. */
MUST_CHECK enum err stream_append(struct stream *stream, const struct record *record,
    const struct payload *payload, struct place *place);
/* The segment ends at its tail; asked again, somewhere else. */
void stream_note_end(struct stream *stream, const struct segment *segment);
void stream_close_batch(struct stream *stream, bool seal);
/* A batch with nothing but a commit block, so that what is durable is known on disk. */
void stream_mark(struct stream *stream);
uint64_t stream_room(const struct stream *stream);      /* bytes left in the active segment */
struct batch *stream_batch_new(struct stream *stream);
void stream_batch_done(struct stream *stream, struct batch *batch);
/* Leaves `keep` spares of a hot tier. */
MUST_CHECK enum err stream_next_segment(struct stream *stream, uint32_t keep);
/* Seals the active segment; the next record begins another one. */
void stream_end_segment(struct stream *stream);

/* ---- commit.c: batches to the disk ---- */
/* A record was appended. A batch that holds the end of a group keeps back the durability of the
 * whole of it (group.c). */
void group_note(struct store *store, const struct record *record);
void commit_pump(struct stream *stream);
void commit_advance(struct stream *stream);
/* Something was written, or proven to be: acknowledge, and go on. */
void commit_written(struct stream *stream);
void commit_tick(struct store *store);
/* A dead segment is wanted, and waits for what it rests on to be durable, and recorded. */
void commit_hurry(struct store *store);
void commit_update_written(struct store *store);
void commit_tell(struct store *store);
bool commit_is_quiet(const struct stream *stream);      /* nothing open, nothing under way */

/* ---- fail.c ---- */
void fail_stream(struct stream *stream, struct segment *segment, const char *what,
    int32_t result);
void fail_pump(struct stream *stream);
void fail_batch_written(struct batch *batch);
void fail_offer(struct batch *batch);
void fail_abandon(struct store *store);

/* ---- store.c ---- */
MUST_CHECK enum err store_check_record(const struct store *store, const struct record *record);
/* With the LSN, the time and the epoch that it has. */
MUST_CHECK enum err store_append_as(struct store *store, struct record *record, bool chained);
/* Appends the VOID record that is owed. */
MUST_CHECK enum err store_append_void(struct store *store);
/* Asks the owner for what it wants to append before anything else. */
MUST_CHECK enum err store_preface(struct store *store);
void store_set_state(struct store *store, enum err state);
/* Why no segment can be had: ERR_DISKFULL, ERR_READONLY, or ERR_OVERLOADED (one will come). */
enum err store_no_room(const struct store *store);
void store_defer(struct store *store);                  /* runs read_deferred soon */
void store_check_closed(struct store *store);

void reclaim_pump(struct store *store);                 /* looks only if there is reason to */
bool segment_is_dead(const struct store *store, const struct segment *segment);
/* A dead segment of this tier that can become a spare, or NULL. */
struct segment *reclaim_reusable(const struct store *store, enum tier tier);
MUST_CHECK enum err recovery_start(struct store *store);
void recovery_free(struct store *store);
void recovery_maker_done(struct store *store);
void recovery_no_room(struct store *store);     /* it need not wait for more spares */

#include "store/segment.h"
#include "store/snapshot.h"
