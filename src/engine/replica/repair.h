/* engine/replica/repair.h: a record that cannot be read here is fetched from who has it: from the
 * leader, or by the leader from its followers, one after the other.
 *
 * Whatever finds one (the scrub, IMG.VERIFY, a GET, the cleaner) notes a wish: key, type, LSN and the
 * place where the record should be. One wish at a time is asked for:
 *
 *   REPLCONF FETCH lsn database type from key      a follower asks its leader
 *   FETCH     u64 LSN, u64 LSN behind, u64 from, u8 database, u8 type, key: a frame; a leader asks
 *   FETCHED   u64 LSN, u64 bytes of the body, u64 where in it what follows lies, u32 length of the
 *             head, head (a record without body, in the first one only), bytes: as a frame, or as
 *             REPLCONF FETCHED payload. Without a head and at 0: it is not there either; at the highest
 *             number: it cannot be told now.
 *
 * A body that was cut off goes on: from `from` on, whoever gives it. If two gave it and it is wrong, the
 * second one is asked for all of it. Who is cut off, silent, or short of memory may have it: all are asked
 * again, until a minute has passed without a byte; in vain it was only when all said that it is not there.
 *
 * What comes must have that LSN, key and type, and an image's bytes the digest that its metadata say. It
 * is written as a copy under the same LSN (store_move_given), so nothing else changes, and nobody sees
 * more than that the key can be read again. A body longer than half a segment, which lies in parts,
 * cannot be mended so; it stays -CORRUPT.
 *
 * Regaining. Of what a leader lost when it started (rejoin.h) not even a place is left: what a follower that
 * compares has and the leader has not is asked for by its key, with LSN 0. The follower answers when
 * everything up to `LSN behind` is applied there, so that a key which the leader deleted is not there either:
 * with one VALUE or IMAGE record for what the key is then. The leader writes it into its log like any other
 * change, unless the key has changed meanwhile.
 */
#pragma once
#include "engine/internal.h"

struct repairs;
struct replica_link;

void repairs_new(struct engine *engine);
/* Drops what is under way; engine_free calls it before the store goes. */
void repairs_free(struct engine *engine);
/* `record`: its header was read. May be called from within anything. */
void repair_note(struct engine *engine, const struct record *record, struct place place);
/* Nothing of it could be read: what its key says it is. */
void repair_note_key(struct engine *engine, uint8_t db, struct span key, struct place place, uint64_t lsn);
/* A slice. True: there is more to do at once. */
bool repairs_step(struct engine *engine);
/* A peer asks; `link` NULL: the leader does. False: it makes no sense. */
enum { REPAIR_ASK_HEAD = 26 };        /* of FETCH, before the key */
struct repair_ask {
	uint64_t    lsn, behind;          /* lsn 0: what the key is, once all up to `behind` is applied */
	uint64_t    from;                 /* so much of its body is there */
	uint8_t     db, type;
	struct span key;
};
MUST_CHECK bool repair_asked(struct engine *engine, struct replica_link *link, const struct repair_ask *ask);
/* A peer answers: the payload of FETCHED. */
MUST_CHECK enum err repair_fetched(struct engine *engine, struct replica_link *link, struct span payload);
/* The link is going; NULL: that to the leader. */
void repair_forget(struct engine *engine, const struct replica_link *link);

/* A key that was lost here, and that this follower has. */
struct regain {
	/* the caller's */
	struct replica_link *link;
	uint8_t     db;
	struct span key;                  /* borrowed until done */
	void      (*done)(struct regain *regain, enum err err);        /* never from within repair_regain */
	void       *ctx;
	/* its own */
	bool        changed;              /* a command has changed the key */
};
void repair_regain(struct engine *engine, struct regain *regain);
/* It is not done, and will not be. */
void repair_regain_cancel(struct engine *engine, struct regain *regain);
/* While any is under way: what enters the log. */
void repair_appended(struct engine *engine, const struct record *record);
uint32_t repairs_pending(const struct engine *engine);
void repairs_info(const struct engine *engine, struct buf *out);
