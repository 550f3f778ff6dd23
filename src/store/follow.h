/* store/follow.h: what a store needs to follow another one, record by record, and to be followed.
 *
 * The log of a follower has the LSNs, times and epochs of its leader. LSNs may be missing in it:
 * what died and was cleaned away before it could be sent, the parts of long bodies, which every
 * store cuts in its own way. So that recovery does not take a gap for a torn tail, an END whose
 * `refers` is set says that the LSNs from there up to its own were left out.
 *
 * A leader that takes over leaves out many LSNs at once by a VOID (store_skip): whatever its
 * predecessor wrote that nobody else has lies in that range, and is void wherever the record comes.
 *
 * store_walk (walk.c) reads what survives of a log behind an LSN, in the order of LSNs.
 */
#pragma once
#include "store/store.h"

#define STORE_LSN_MAX ((UINT64_C(1) << 48) - 1)

/* As store_append, for a record of another store, with the LSN, time and epoch that it has there;
 * also for a VOID, and for the END of a transaction. ERR_INVALID: its LSN is not behind all others
 * here, or so few were left out that the parts of a long body have none (the segments there are
 * larger than here); nothing was changed but, perhaps, that a gap was told. */
MUST_CHECK enum err store_append_given(struct store *store, struct record *record);
/* If LSNs were left out before `next`, which comes next, then `note` takes the last of them: its LSN,
 * time and epoch are set. ERR_NOTFOUND: none were. */
MUST_CHECK enum err store_note_gap(struct store *store, const struct record *next, struct record *note);
/* Inside opened() and before the first append: the LSNs that recovery cut off will be given again,
 * by the leader, so no VOID is written. */
void store_follow(struct store *store);
/* The next LSN lies `lsns` further on. What is there from `first` on, of a group that will not be
 * completed, and what was left out, is void; the owner has released it. */
MUST_CHECK enum err store_skip(struct store *store, uint64_t first, uint64_t lsns);
/* The same, and nothing is void: the next `lsns` are left out, as in a log that follows another one. */
MUST_CHECK enum err store_leave_out(struct store *store, uint64_t lsns);
/* events.preface runs before the next store_append. */
void store_ask_preface(struct store *store);
/* While it follows, store_append answers ERR_READONLY. */
void store_set_following(struct store *store, bool follows);
/* Of what is appended from now on. */
void store_set_epoch(struct store *store, uint32_t epoch);
/* The latest in any commit block that recovery has read. */
uint32_t store_epoch_seen(const struct store *store);
/* Marks with a larger LSN are kept, whoever else needs them. UINT64_MAX: that asks for none. */
void store_keep_marks(struct store *store, uint64_t lsn);

/* ---- Reading the log in the order of LSNs ---- */

enum walk_step {
	WALK_RECORD,          /* the next one: walk_item.record, without its body, if that is long */
	WALK_BODY,            /* the next bytes of its body */
	WALK_POSITION,        /* all that survives up to walk_item.lsn was told; there is no more now */
	WALK_WAIT,            /* bytes are being read: ready() follows */
	WALK_CORRUPT,         /* the record walk_item.lsn cannot be read, or something behind it that may be
	                       * one; the walk goes on */
};

struct walk_item {
	uint64_t      lsn;
	struct record record;         /* spans are borrowed until the next call */
	uint64_t      body_bytes;     /* WALK_RECORD: > 0: WALK_BODY steps follow; its value is not set */
	uint64_t      offset;         /* WALK_BODY: of `bytes` in the body */
	struct span   bytes;          /* borrowed until the next call */
};

struct store_walk;
/* Reads up to WALK_MEMORY bytes ahead. `ready` is called from io_wait, never from within a call. */
struct store_walk *store_walk_new(struct store *store, void (*ready)(void *ctx), void *ctx);
void store_walk_free(struct store_walk *walk);
/* Everything behind this LSN is told next. */
void store_walk_seek(struct store_walk *walk, uint64_t lsn);
/* What is durable and survives: marks, and what the owner holds to be alive (is_live). A record
 * whose copy moved meanwhile is looked for again. At most a slice of work is done at a time: then
 * WALK_WAIT, too. */
enum walk_step store_walk_next(struct store_walk *walk, struct walk_item *out);
/* Inside a body: the rest of it is not wanted up to `offset`, a multiple of CHUNK_BYTES; or none of
 * it, with its length. */
void store_walk_skip(struct store_walk *walk, uint64_t offset);
uint64_t store_walk_memory(const struct store_walk *walk);
