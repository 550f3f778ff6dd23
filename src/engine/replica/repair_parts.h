/* engine/replica/repair_parts.h: what repair.c and repair_serve.c share. Private to them. */
#pragma once
#include "cache/value.h"
#include "engine/replica/repair.h"
#include "engine/replica/replica.h"

enum { FETCH_PIECE = 256 << 10, FETCH_BODY_MAX = 512 << 20, VAIN_MAX = 64 };
#define FETCHED_LATER UINT64_MAX              /* where in the body: it cannot be told now */

struct repair_wish {
	struct list  link;
	uint64_t     lsn;
	uint8_t      db, type;
	unsigned     moves;               /* of the corrupt copy: the new one has one more */
	uint32_t     len;
	/* Of this round, in which each peer is asked once: */
	bool         is_tried;
	uint32_t     lacking;             /* so many have said that it is not there */
	uint64_t     tried_last;          /* of a leader: the follower asked last, by its connection's id */
	uint32_t     peers_most;          /* that there were at once, since it is wished for */
	uint64_t     not_before_us, until_us;     /* a round begins then; it is given up then */
	struct place place;
	struct regain *regain;            /* or NULL: it is a repair */
	uint64_t     behind;
	uint8_t      key[];
};

/* A record that a peer asked for. */
struct repair_serving {
	struct list link;
	struct repairs *repairs;
	struct replica_link *to;          /* NULL: the leader */
	struct repair_ask ask;            /* its key lies behind this struct */
	struct store_read read;
	bool        reading, is_read, has_begun;      /* is_read: err, record and bytes are set */
	enum err    err;
	uint64_t    again_us;             /* there was no memory to read it: not before */
	uint64_t    since_us;             /* when it was looked at first */
	struct record record;             /* without what `bytes` are */
	struct span bytes;
	uint64_t    at;
	/* Of what a key is now: */
	struct buf  meta, copy;
	uint64_t    entry_lsn;            /* of the image that is being read, or of the value; or 0 */
	bool        has_meta;
	bool        dumping;              /* a large collection, in slices */
	struct walk walk;
};

struct repairs {
	struct engine *engine;
	struct list wishes, servings;
	uint32_t    count, serving_count;
	struct repair_wish *asked;        /* which is asked for, or NULL */
	bool        moving, is_whole;     /* is_whole: of a regain */
	struct replica_link *asked_link;  /* NULL: the leader */
	uint64_t    asked_us;
	/* What has come so far; it outlives a link that is cut, until another one's begins. */
	struct repair_wish *half;         /* whose it is, or NULL */
	bool        is_resumed;           /* two gave it */
	bool        is_proven;            /* of a regain: nothing is wrong with it */
	struct buf  head;                 /* what `record` borrows from */
	struct record record;
	struct body *body;
	struct store_move move;
	/* What nobody had lately: two that lack the same record must not ask each other for ever. */
	struct repair_vain {
		uint64_t lsn, until_us;
	} vain[VAIN_MAX];
	uint32_t    vain_at;
	uint64_t    wished, repaired, failed, served, regained;
};

/* ---- regain.c ---- */
/* The answer is whole. ERR_AGAIN: it cannot be written now. ERR_BUSY: this was one slice of it. */
MUST_CHECK enum err regain_take(struct repairs *repairs, const struct repair_wish *wish);

/* ---- repair.c ---- */
struct repair_wish *wish_new(struct repairs *repairs, struct span key);
void wish_drop(struct repairs *repairs, struct repair_wish *wish);

/* ---- repair_serve.c ---- */
struct fetched {
	uint64_t    lsn, body_bytes, at;
	struct span head, bytes;
};
MUST_CHECK bool fetched_read(struct span payload, struct fetched *out);
void fetched_write(struct buf *out, const struct fetched *fetched);
void repair_ask_leader(struct engine *engine, const struct repair_ask *ask);
void repair_ask_follower(struct replica_link *link, const struct repair_ask *ask);
MUST_CHECK bool servings_step(struct repairs *repairs);
/* Those for `to`, or all. */
void servings_drop(struct repairs *repairs, const struct replica_link *to, bool all);
