/* repl/leader.h: what one follower gets: everything behind an LSN, in order, as frames.
 *
 * Near the end of the log it comes from the tail in memory (tail.h), else from the segments on the
 * disk (store/follow.h). Only what is durable here is sent, so that a leader that loses its last
 * batch in a power cut has nothing less than its followers. A follower that does not read costs a
 * window and one batch of frames (LEADER_BATCH), whatever lies ahead of it.
 *
 * A walk leaves out what died. Until the follower has what superseded that, it lacks something that it
 * once may have had to have: so before records of a walk WHOLE says how far that goes.
 *
 * The caller owns the struct and the bytes: leader_pump appends frames to a reply, which takes
 * references to bodies, whenever all of the one before has left.
 */
#pragma once
#include "repl/frame.h"
#include "repl/tail.h"
#include "resp/reply.h"
#include "store/follow.h"

/* A SETTING that a follower writes for itself; it is sent to nobody. */
#define LOCAL_SETTING "replication:partial"

enum {
	LEADER_MAGIC = 0x4c656164,
	LEADER_BATCH = 1 << 20,           /* gathered for one send */
	LEADER_RECORDS = 64 << 10,        /* bytes of records in a frame */
	LEADER_PIECE = 256 << 10,         /* bytes of a body in a frame */
};

struct leader_options {
	struct store  *store;
	struct tail   *tail;
	struct memory *memory;
	void         (*ready)(void *ctx);         /* there is more to pump; never from within a call */
	void          *ctx;
	uint64_t       after;                     /* the follower has everything up to this LSN */
	const uint64_t *whole_least;              /* what it lacks itself is superseded up to there */
	const bool    *follows;                   /* this server follows another one */
	uint64_t       partial_lsn, partial_bytes;        /* and so much of this one's body */
};

struct leader {
	uint32_t        magic;
	struct leader_options options;
	struct store_walk *walk;          /* NULL: it is near the end */
	uint64_t        sent;             /* everything up to here was put into frames */
	uint64_t        told, whole_told; /* the position it was told last; FRAME_WHOLE */
	struct buf      records;          /* of the next RECORDS frame */
	struct body    *body;             /* of the record under way, from the tail; NULL: none */
	uint64_t        body_lsn, body_at, body_bytes;    /* body_lsn: 0: none is under way */
	uint32_t        frames;           /* sealed so far */
	uint64_t        bytes_sent, bodies_sent, records_sent, corrupt;
};

void leader_init(struct leader *leader, const struct leader_options *options);
void leader_fini(struct leader *leader);
/* Appends frames of up to `budget` bytes, or a little more. Nothing is appended: ready() follows when
 * the disk has answered; call it as well whenever more of the log is durable. */
void leader_pump(struct leader *leader, struct reply *out, uint64_t budget);
/* Everything that was durable up to now is in frames. */
bool leader_is_done(const struct leader *leader);
uint64_t leader_memory(const struct leader *leader);
