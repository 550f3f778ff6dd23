/* store/chunks.h: checkpoints, as the store's owner writes and loads them. Part of the folder's
 * public face; see manifest.h for what is on disk, and store_events for the way back.
 */
#pragma once
#include "store/store.h"

/* Sets of chunks: one for each database, one for what the owner keeps beside them, and one for
 * what it could make again: that one is loaded last, in order, and a chunk of it that is damaged
 * is told of with a count of 0 and does no harm. */
enum { CHUNK_SET_DERIVED = DATABASE_COUNT + 1, CHUNK_SETS };

/* What load_begin() is told. */
struct store_load {
	uint64_t seed;                      /* of the directories */
	uint64_t replay_lsn;
	uint64_t counts[CHUNK_SETS];        /* of what is in the chunks of each set */
};

/* One checkpoint being written; the owner's storage until done(). The owner takes its memory in
 * chunks, 2^bits of each set (of a database: keys whose hash has the same lowest bits). It need
 * not hand over a chunk that has not changed since it was last written to this slot. */
struct store_checkpoint {
	void   (*ready)(struct store_checkpoint *job);     /* the next chunk may be given, or the end */
	void   (*done)(struct store_checkpoint *job, enum err err);
	void    *ctx;
	uint64_t seed;                      /* of the directories */
	uint32_t slot;                      /* set by begin: 0 or 1 */
};

struct store_chunk {
	uint8_t     db;                     /* its set */
	uint32_t    index, count;           /* count: of what is in it */
	bool        first;                  /* it calls store_fetch when it is loaded */
	struct span bytes;
};
/* ready() follows, or done() with an error. ERR_BUSY, ERR_READONLY, ERR_CLOSED. */
MUST_CHECK enum err store_checkpoint_begin(struct store *store, struct store_checkpoint *job);
/* In ready() and after it: this set has 2^bits chunks. True: what was written to this slot
 * before still counts, chunk by chunk; false: every chunk must be given. */
bool store_checkpoint_bits(struct store *store, uint8_t db, uint8_t bits);
/* True: chunks are being written and ready() follows. False: give the next one at once. */
bool store_checkpoint_chunk(struct store *store, const struct store_chunk *chunk);
/* All is given. done() follows once log, chunks and manifest are durable. */
void store_checkpoint_finish(struct store *store, struct span settings);

/* A large checkpoint is loaded while the store is open already (see loaded() in store_events).
 * Until a key's chunk is there, nothing is known about the key. */
enum store_key { KEY_IS_LOADED, KEY_IS_LOADING, KEY_IS_DAMAGED };
/* LOADING: the chunk is read next, and loaded() will tell. */
enum store_key store_want_key(struct store *store, uint8_t db, uint64_t hash);
struct store_load_progress {
	uint32_t chunks, left, damaged;     /* chunks 0: nothing is being loaded */
};
void store_get_load(const struct store *store, struct store_load_progress *out);

/* Inside load_chunk() and load_settings() only. A record is alive at *place, or where it went
 * since; lsn 0: not known, it is not followed. True if it can be there; false: its segment
 * is missing, and unless a later record tells of it, it is lost. */
bool store_adopt(struct store *store, struct place *place, uint64_t lsn);
/* Could the record be there, or where it went since? Changes nothing. */
bool store_can_adopt(const struct store *store, struct place place, uint64_t lsn);
/* Does a LINK that recovered() is going to tell of name this record? */
bool store_is_linked(const struct store *store, uint64_t lsn);
/* The value of the VALUE record at `place`, which was adopted, follows by recovered(). False: it
 * is too late for that, the chunk was not said to be a first one. */
MUST_CHECK bool store_fetch(struct store *store, struct place place);
