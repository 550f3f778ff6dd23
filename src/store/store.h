/* store/store.h: the log-structured store. Every change is one record; memory is a view.
 *
 * What it knows: records, LSNs, segments, commit, durability, recovery, reading back,
 * moving between tiers. What it does not know: keys as such, images, the meaning of
 * metadata. The owner keeps the directory (key -> struct place) and tells the store when a
 * record is dead.
 *
 * Life of a record
 *   store_append gives it an LSN and a place in the batch being filled. store_flush, at the
 *   end of each pass, lets batches go: one O_DIRECT write each, with RWF_DSYNC if a record
 *   in it asks for it. durable() tells how far the log is safe; replies wait for that.
 *   A record starts alive. store_release says that nobody needs it; a sealed segment with
 *   nothing alive is recycled or unlinked, once its tombstones are not needed either: a
 *   tombstone is needed while any other segment may hold a record that it deleted (clean.h).
 *   Marks (DELETE, EXPIRE, FLUSH, a SETTING without body) are kept by that rule alone: their place
 *   is nowhere (segment 0), for which store_release does nothing.
 *   A record may move (to another tier, out of a segment that is being cleaned, or to a fresh
 *   segment after a write error). It keeps its LSN; relocated() offers the new place and the
 *   owner takes it if its entry still names the old one.
 *
 * Atomic groups: records appended with RECORD_CONTINUES belong to the next record; recovery
 * shows either all of a group or none.
 *
 * Errors: ERR_DISKFULL (no segment can be made; META, EXPIRE, DELETE, FLUSH and SETTING still pass;
 * clears by itself), ERR_READONLY (a write failed twice), ERR_TOOLARGE, ERR_OVERLOADED (too much waits).
 */
#pragma once
#include "base/list.h"
#include "store/body.h"
#include "store/stats.h"

struct store;
struct store_load;

enum record_type {
	RECORD_IMAGE = 1,       /* key, metadata, body */
	RECORD_META,            /* key, new metadata; `refers` is the LSN of the IMAGE it describes */
	RECORD_VALUE,           /* key, metadata (cache type and encoding), body: a cache key's dump */
	RECORD_LINK,            /* key names the body of LSN `refers`; meta: {u64 LSN of its metadata} */
	RECORD_EXPIRE,          /* key, expire_ms (0: never) */
	RECORD_DELETE,          /* key; a tombstone */
	RECORD_FLUSH,           /* db (or RECORD_ALL_DBS); everything in it before this LSN is gone */
	RECORD_SETTING,         /* key names it (policy, preset, user), body: its text; empty: removed */
	RECORD_PART,            /* one piece of a long body; made by the store only */
	RECORD_VOID,            /* LSNs from `refers` to its own were cut off; by the store only */
	RECORD_END,             /* ends a transaction, or tells of a gap (follow.h); by the store only */
	RECORD_CHANGE,          /* key, metadata, body: of a value that a VALUE began */
	RECORD_TYPE_COUNT
};

enum {
	RECORD_CONTINUES = 1,   /* the next LSN belongs to the same atomic group */
	RECORD_CHAINED = 2,     /* the body is a table of PART records; made by the store only */
	RECORD_MOVES_SHIFT = 2, /* above: how often it was moved, modulo 64; the store's, too */
	RECORD_MOVES = 63,
	RECORD_ALL_DBS = 255,
};

enum sync_level { SYNC_ALWAYS, SYNC_EVERYSEC, SYNC_NO };

struct place {
	uint32_t segment;       /* id, 0: nowhere */
	uint32_t offset;        /* in RECORD_ALIGN units */
	uint32_t bytes;         /* record from header to the end of its body, without padding */
};

static inline bool place_equal(struct place a, struct place b)
{
	return a.segment == b.segment && a.offset == b.offset;
}

struct record {
	uint8_t      type;
	uint8_t      flags;
	uint8_t      db;
	uint8_t      sync;          /* enum sync_level; append only */
	bool         can_wait;      /* append only: not from the room that is kept for deletes */
	uint64_t     lsn;           /* given by append */
	uint64_t     refers;
	int64_t      expire_ms;     /* Unix ms; 0: never */
	int64_t      time_ms;       /* wall clock at append */
	uint32_t     epoch;         /* of the leader that wrote it first; given by append, too */
	struct span  key, meta;     /* borrowed */
	struct span  value;         /* body of at most BODY_INLINE_MAX bytes, borrowed; or ... */
	struct body *body;          /* ... a full body; append takes its own reference */
	uint64_t     body_bytes;    /* recovery: length of a body that was not loaded */
	struct place place;         /* given by append; nowhere for marks */
};

enum liveness {
	RECORD_DEAD,            /* nobody needs it */
	RECORD_LIVES,           /* its own key does */
	RECORD_SHARED,          /* another key does, which a LINK gave it; its own key does not */
};

struct store_events {
	/* Recovery: each surviving record, in LSN order. Of VALUE, CHANGE and SETTING `value` is loaded
	 * (`body`, heap, over BODY_INLINE_MAX), of IMAGE nothing. The owner releases what is superseded. */
	void (*recovered)(void *ctx, const struct record *record);
	/* Recovery is over; with an error the store must be freed. */
	void (*opened)(void *ctx, enum err err);
	/* Every record up to lsn is as durable as it asked to be; or store_durable_lsn moved.
	 * A record that asked for SYNC_EVERYSEC or SYNC_NO waits only for the SYNC_ALWAYS ones
	 * before it: if there are none, store_written_lsn covers it as soon as it is appended. */
	void (*durable)(void *ctx, uint64_t lsn);
	/* Recovery from a checkpoint, before any recovered(): memory is empty and gets this seed;
	 * records below replay_lsn are in the chunks, so that recovered() tells of them only
	 * where they lie now (VALUE and SETTING; the others are followed by store_adopt). */
	void (*load_begin)(void *ctx, const struct store_load *load);
	/* One chunk as it was handed over: first those of no database, then the settings, then the
	 * rest, CHUNK_SET_DERIVED last. ERR_CORRUPT: this checkpoint is of no use. */
	enum err (*load_chunk)(void *ctx, uint8_t db, uint32_t count, struct span bytes);
	enum err (*load_settings)(void *ctx, struct span bytes);
	uint64_t (*key_hash)(void *ctx, uint8_t db, struct span key);
	/* recovered() will soon tell of that key, which is not checked yet. May be NULL. */
	void (*foreseen)(void *ctx, uint8_t db, struct span key);
	/* So many records were told, and about so many are still to be told. May be NULL. */
	void (*progress)(void *ctx, uint64_t told, uint64_t left);
	void (*loaded)(void *ctx, bool all);    /* after opened(): more chunks are there; or all */
	/* Memory is to be emptied, without a word to the store: recovery begins anew. */
	void (*load_reset)(void *ctx);
	/* A record has a second home. True: the owner's entry pointed to `from` and now points
	 * to `to`; the store releases `from`. False: `to` is released. */
	bool (*relocated)(void *ctx, const struct record *record, struct place from, struct place to);
	/* A record with later commit blocks fails its checksum. Its key is given if readable. In
	 * recovery it takes its turn among recovered(): unless a later record of that key follows,
	 * the key holds what cannot be read. Its place is not alive then: nothing to release. */
	void (*corrupt)(void *ctx, struct place place, const struct record *record_or_null);
	/* A record was appended, whoever asked for it; nothing of it is durable yet. May be NULL. */
	void (*appended)(void *ctx, const struct record *record);
	/* Before the first store_append after store_ask_preface (follow.h), alone or in a group: what this
	 * appends comes first. An error is that of the append, and the next one asks again. */
	enum err (*preface)(void *ctx);
	/* The last one got longer (extend.h). May be NULL. */
	void (*extended)(void *ctx, uint64_t lsn, struct span more);
	/* OK, ERR_DISKFULL or ERR_READONLY. */
	void (*state)(void *ctx, enum err state);
	/* Asked by the cleaner: does an entry name this record at this very place? Of an EXPIRE: is
	 * the deadline of its key, whose record is older, what this one says? The body is not loaded.
	 * NULL: the store has no cleaner, and a segment goes only when all of it is dead. */
	enum liveness (*is_live)(void *ctx, const struct record *record);
	/* Where lies what its key has of this type now, if it has any? May be NULL. */
	bool (*whereabouts)(void *ctx, const struct record *record, struct place *now);
};

struct store_options {
	const char *dir[TIER_COUNT];        /* TIER_WARM may be NULL: no such tier */
	uint32_t    segment_bytes;          /* power of two, 1 MiB .. 1 GiB; default 64 MiB */
	uint32_t    spare_segments;         /* kept ready; the last 4 are the reserve */
	uint64_t    disk_bytes_max;         /* hot segments; 0: the disk's limit; 4 more in need */
	uint32_t    batches_in_flight;      /* 1..4 */
	uint32_t    batch_delay_ms;         /* how long un-synced records may gather */
	bool        read_only;              /* nothing is written, whatever recovery finds: no seal, no
	                                       segment, no mark; every append is ERR_READONLY */
	uint64_t    load_bytes_first;       /* larger checkpoints are loaded after opened(); 0: none */
	bool        from_log;               /* checkpoints are not used, and removed */
	struct body_pool *pool;             /* where image bodies are read into */
	struct memory    *memory;
	struct log       *log;
};

MUST_CHECK enum err store_new(struct io *io, const struct store_options *options,
    const struct store_events *events, void *ctx, struct store **out);
/* Starts recovery; recovered() and opened() follow. ERR_BUSY: the directory is locked. */
MUST_CHECK enum err store_open(struct store *store);
/* Inside recovered() only: where the surviving IMAGE record with this LSN lies, dead or
 * alive. ERR_NOTFOUND. A record that was released may be retained again until opened(). */
MUST_CHECK enum err store_recovered_place(const struct store *store, uint64_t lsn, struct place *place);
/* Flushes, syncs, then closed() runs. Appends are refused from now on. */
void store_close(struct store *store, void (*closed)(void *ctx));
void store_free(struct store *store);           /* after closed(), or before store_open */
/* Frees a store whose machine lost power, with everything under way. For simulations only. */
void store_abandon(struct store *store);

/* ---- Writing ---- */

/* Adds one record to the open batch: sets record->lsn, time_ms and place. Nothing is kept
 * of the borrowed spans. On error nothing was changed. */
MUST_CHECK enum err store_append(struct store *store, struct record *record);
/* A body of `bytes` may be appended soon, longer than a segment: room is made ahead of it.
 * Until the next such append; calls do not add up. */
void store_expect(struct store *store, uint64_t bytes);
/* Before the first record of an atomic group: room for all of it, so that no append up to
 * store_end_group is refused. `bodies`: how many of the records carry a body of their own; `bytes`: of
 * all keys, metadata, values and bodies. ERR_OVERLOADED, ERR_DISKFULL, ERR_READONLY. */
MUST_CHECK enum err store_begin_group(struct store *store, uint32_t records, uint32_t bodies, uint64_t bytes);
void store_end_group(struct store *store);
/* Whatever is appended up to store_end_transaction is one group, however many records come, and also
 * what has groups of its own. Bounds as above. */
MUST_CHECK enum err store_begin_transaction(
    struct store *store, uint32_t records, uint32_t bodies, uint64_t bytes);
void store_end_transaction(struct store *store);
/* So much waits for the disk, or for a segment being made, that an append of ordinary size may
 * be refused with ERR_OVERLOADED. False when waiting would not help (disk full, read-only). */
bool store_is_pressed(const struct store *store);
/* No segment can be made for the hot tier beyond what is there already: the disk is full, or the
 * next segment will say so. */
bool store_is_short(const struct store *store);
/* End of a pass: submits what should go now. */
void store_flush(struct store *store);
/* Writes down at once what is durable, which otherwise happens within a second: only then can
 * segments that died since be used again. Nothing happens while batches are under way. */
void store_record_durable(struct store *store);
/* As store_flush, for everything appended so far, synced: for WAITAOF, SAVE, SHUTDOWN. */
void store_sync(struct store *store);

/* Inside opened() only: every record behind `lsn`, which the owner has released, is cut off for good. */
MUST_CHECK enum err store_rewind(struct store *store, uint64_t lsn);

uint64_t store_appended_bytes(const struct store *store);      /* since the start, as asked */
uint64_t store_last_lsn(const struct store *store);      /* of the latest append */
/* What was here from this LSN on, recovery cut: nobody had been told that it is durable, unless the disk lost
 * it, but others may have it. The LSN itself may be that of the VOID which says so. 0: it cut nothing. */
uint64_t store_cut_from(const struct store *store);
uint64_t store_durable_lsn(const struct store *store);   /* synced to the device */
uint64_t store_recorded_lsn(const struct store *store);  /* known on disk to be durable */
uint64_t store_written_lsn(const struct store *store);   /* as durable as each record asked */
enum err store_state(const struct store *store);

/* The record at `place` is dead. */
void store_release(struct store *store, struct place place);
void store_retain(struct store *store, struct place place);      /* one more owner of a living one */
/* The record lives on, but its own key says something else now, or it will be released later: the mark that
 * ended it is needed for as long as it lies anywhere. store_note_deaths: of all there are. */
void store_note_death(struct store *store, struct place place);
void store_note_deaths(struct store *store);
enum tier store_tier(const struct store *store, struct place place);

/* ---- Reading ---- */

struct store_read;
typedef void store_read_done(struct store_read *read, enum err err);

/* Caller's storage. One disk read for records up to 1 MiB, 1 MiB pieces above. Verified:
 * key and lsn must match, every checksum must hold; ERR_CORRUPT otherwise. A record that
 * is still on its way to the disk is served after its write. */
struct store_read {
	uint32_t         magic;
	struct store    *store;
	store_read_done *done;
	void            *ctx;
	struct place     place;
	uint64_t         lsn;               /* expected; 0: any, the place being proven by itself */
	bool             meta_only;         /* header, key and metadata, no body */
	struct record    record;            /* on OK: spans borrowed until store_read_fini; body: one
	                                       reference in `record.body`, taken over by the owner if
	                                       it sets it to NULL. Inline bodies come as a body too. */
	struct store_read_state *state;     /* the store's */
};

void store_read_start(struct store *store, struct store_read *read);
/* Releases what the read holds. If it is still under way it is cancelled: done never runs. */
void store_read_fini(struct store_read *read);

/* ---- Tiers ---- */

/* Copies the record to `tier` in small slices; relocated() follows when the copy is
 * durable, or nothing if the record died or the copy failed (logged). `done` always runs, and the
 * storage is the caller's again. A record that is there already is done at once. */
struct store_move {
	uint32_t      magic;
	void        (*done)(struct store_move *move, enum err err);
	void         *ctx;
	struct store_read read;
	enum tier     tier;
	struct list   link, batch_link;     /* the store's, from here on */
	struct place  from;
	enum err      err;
	uint8_t       step;
	uint32_t      entry;                /* of its record in the batch */
	uint32_t      failures;
	struct place *parts;                /* of a chain: the copies made so far */
	uint32_t      part_count, parts_done;
	uint64_t      parts_bytes;
	bool          is_given;
};
void store_move_start(struct store *store, struct store_move *move, struct place place,
    uint64_t lsn);
/* The record at `place` cannot be read; this is what it should be, with its LSN, and in `flags` how often
 * that copy had been moved. A copy is written to move->tier as above. ERR_TOOLARGE: it lies in parts. */
void store_move_given(
    struct store *store, struct store_move *move, struct place place, const struct record *record);

/* ---- Observation ---- */

/* How far recovery has come. */
struct store_progress {
	uint64_t total_bytes, loaded_bytes;
};
void store_get_progress(const struct store *store, struct store_progress *out);
void store_get_stats(const struct store *store, struct store_stats *out);
