/* repl/follower.h: the other end: connects to a leader, asks for what it lacks, and hands over, record
 * by record, what comes.
 *
 * The link is an ordinary client connection: PING, AUTH, REPLCONF as a Redis replica sends them, then
 *
 *   IMG.SYNC <lineage or ?> <epoch> <LSN> <segment bytes> <LSN of a body begun, or 0> <its bytes>
 *            [COMPARE <LSN> <base>] <check>
 *
 * The leader answers +SYNC <lineage> <epoch> <LSN> <run id> <check> and sends frames (frame.h) from then
 * on. What goes back are commands: REPLCONF ACK <applied> <durable> <received> <check>. Another first line
 * is a refusal; its text is kept for the log, and after a pause that doubles the follower tries anew. A
 * refusal on which data would be put aside ends with a check in brackets, too.
 *
 * Checks are those of frame_check_words; the answer's is over its words and the request's check.
 *
 * A body of which a part has come stays when the link breaks: the leader goes on where it ended.
 */
#pragma once
#include "io/connect.h"
#include "io/tls.h"
#include "repl/epoch.h"
#include "repl/frame.h"
#include "store/body.h"

enum {
	FOLLOWER_MAGIC = 0x466f6c6c,
	FOLLOWER_INPUT_MAX = 4 << 20,     /* of bytes not yet taken; then it stops reading */
	FOLLOWER_BACKOFF_MIN_MS = 50,
	FOLLOWER_BACKOFF_MAX_MS = 2000,
};

enum follower_state {
	FOLLOWER_OFF,
	FOLLOWER_WAITING,                 /* for the next attempt */
	FOLLOWER_CONNECTING,
	FOLLOWER_HANDSHAKE,
	FOLLOWER_STREAMING,
};

struct follower_greeting {
	char     lineage[41], run_id[41];
	struct epoch epoch;
	uint64_t lsn;
	bool     compares;                /* ask: it may lack something, or have too much, before that LSN */
	uint64_t from;                    /* ask: and takes only what has a larger LSN than this */
	uint64_t base;                    /* ask: and nothing is missing up to there */
};

struct follower_events {
	/* What to say; filled in before each attempt. */
	void (*ask)(void *ctx, struct follower_greeting *own);
	/* The leader agreed. Anything but OK ends the link. */
	enum err (*agreed)(void *ctx, const struct follower_greeting *leader);
	/* The next record, with its value or body. ERR_AGAIN: not now; follower_resume() when it may
	 * be offered again. Any other error ends the link. */
	enum err (*record)(void *ctx, struct record *record);
	/* What is left out of the records that follow is superseded by others up to this LSN. */
	void (*whole)(void *ctx, uint64_t lsn);
	/* Of what lies behind this LSN the leader cannot read all. Anything but OK ends the link. */
	enum err (*lost)(void *ctx, uint64_t lsn);
	enum err (*position)(void *ctx, const struct frame_position *position);
	/* SUMS, LISTED, RENEWED (engine/replica/compare.h), FETCH, FETCHED (engine/replica/repair.h). */
	enum err (*special)(void *ctx, enum frame_type type, struct span payload);
	/* Something came: what was received may be acknowledged. */
	void (*passed)(void *ctx);
	void (*changed)(void *ctx, enum follower_state state);
	/* The leader refused, with this line; `sure`: with a check that is right, which is left out. */
	void (*refused)(void *ctx, struct span line, bool sure);
};

struct follower_options {
	struct io     *io;
	struct memory *memory;
	struct log    *log;
	struct body_pool *pool;
	const struct follower_events *events;
	void          *ctx;
};

struct follower_target {
	char     host[128];
	uint16_t port;
	const char *user, *password;      /* "": none; borrowed for as long as it follows */
	char     announce_ip[128];        /* "": as the leader sees it */
	uint16_t announce_port;
	uint64_t segment_bytes;
	uint64_t timeout_ms;              /* nothing came for so long: the link is dead */
	struct tls *tls;                  /* NULL: in the clear */
	bool     check_host;              /* the leader's certificate must be for `host` */
};

struct follower {
	uint32_t        magic;
	struct follower_options options;
	struct follower_target target;
	uint8_t         state;
	bool            open, sending, pausing, paused, stalled, closing, freeing, draining, last_word;
	struct io_connect connect;
	struct io_stream stream;
	struct io_timer timer;
	uint32_t        backoff_ms, lines_due, lines_sent;
	uint32_t        frames, commands; /* taken, and said, since the leader agreed */
	struct buf      in, out, sent, inflated;
	size_t          taken;            /* of `in` */
	struct span     records;          /* what is left of the frame being taken */
	struct iovec    iov;
	char            asked[FRAME_CHECK];       /* the check of IMG.SYNC */
	struct body    *body;             /* of the record under way; its own copies: */
	struct record   record;
	struct buf      record_bytes;
	uint64_t        heard_us, down_since_us, connected_us;
	uint64_t        bytes_received, bodies_resumed;
	void          (*freed)(void *ctx);
};

void follower_init(struct follower *follower, const struct follower_options *options);
/* Follows this one from now on; a link to another one is closed. */
void follower_start(struct follower *follower, const struct follower_target *target);
/* No more callbacks. What has come of a body is dropped with `forget`. */
void follower_stop(struct follower *follower, bool forget);
/* The link is closed, and tried anew after a pause. */
void follower_restart(struct follower *follower);
void follower_resume(struct follower *follower);
/* The leader's last LSN, as what came and was not taken yet says; 0: it does not. */
uint64_t follower_peek(const struct follower *follower);
/* REPLCONF ACK. */
void follower_ack(struct follower *follower, uint64_t applied, uint64_t durable, uint64_t received);
/* REPLCONF DEPOSED: as the last word on this link. */
void follower_say_deposed(struct follower *follower, uint32_t epoch);
/* A command that gets no reply; nothing is said unless it streams. */
void follower_command(struct follower *follower, const struct span *words, uint32_t count);
/* Frees its memory, once its stream is closed; `freed` is called then, or at once. */
void follower_fini(struct follower *follower, void (*freed)(void *ctx));
