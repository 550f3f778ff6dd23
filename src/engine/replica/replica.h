/* engine/replica/replica.h: this server's part in replication: leader, or follower of another one.
 *
 * The log is what is replicated, records and all, with the LSNs that the leader gave (store/follow.h);
 * so a follower's memory is made by the same code as after a restart, and it decides nothing by
 * itself: no key expires, is evicted, analysed or moved on its own account. Whatever would append
 * to its log is refused by the store.
 *
 * Lineage. The SETTING record "replication:lineage" says to which family of copies a log belongs, and at
 * which LSN each epoch began: "<40 hex digits> <marks_from> <epoch> ..." (repl/epoch.h). It is written when the first
 * follower asks, and at each promotion, right behind the VOID that leaves out EPOCH_LSNS numbers
 * (store_skip). A follower's log belongs to that of a leader if it has the same lineage and its last
 * LSN lies before the end, as the leader knows it, of the follower's epoch; if the leader knows no such
 * epoch, before that one's first LSN. Otherwise it has
 * something that nobody else has (DIVERGED): see rejoin.h; or is another log (UNRELATED): it is put
 * aside as a whole (engine_events.put_aside) and the leader's comes in its place.
 *
 * Lives. Before a leader writes for the first time after a start it begins an epoch of the same number, with
 * a tag of its own, LIFE_LSNS further on. So a follower that has more of the life before than the leader
 * itself, whose disk lost the end of its log, is known for what it is: the leader takes what it lost
 * from there (rejoin.h).
 *
 * A group (EXEC, MSET, ...) is applied when its last record is here.
 */
#pragma once
#include "engine/internal.h"
#include "repl/follower.h"
#include "repl/leader.h"

enum {
	EPOCHS_MAX = 256,
	EPOCH_LSNS = 1 << 24,             /* more than a deposed leader wrote alone */
	LIFE_LSNS = 1 << 20,              /* more than what was lost at the end of a log */
	REPLICA_SYNC_US = 5000,           /* what nobody waits for is made durable, to be sent */
	REPLICA_ACK_US = 1000000,
	REPLICA_DEPOSED_US = 30000000,    /* so long a leader believes that another one leads */
	REPLICA_PENDING_MAX = 256 << 20,  /* bytes of one group */
};

/* A session that follows this server, or has said that it will. */
struct replica_link {
	struct list     link;             /* in the order of IMG.SYNC; else in no list */
	struct session *session;
	struct leader   leader;
	bool            streaming, has_said;      /* has_said: an ACK came */
	uint32_t        commands;         /* that came since IMG.SYNC, and itself */
	char            ip[128];          /* as announced; "": its address */
	uint16_t        port;
	uint64_t        applied, durable, received;
	uint64_t        heard_us, told_us;        /* last acknowledgement; last position sent */
	struct renewer *renewer;          /* renew.h; NULL: it has not compared */
	uint64_t        base;             /* if it compares: it lacked nothing up to there */
	uint64_t        allowed;          /* bytes that repl-max-bandwidth lets go now */
};

/* A walk left something out: see replica_partial.c. */
struct partial {
	uint64_t     base, whole;         /* whole: 0: nothing is left out */
	struct epoch epoch;
	char         lineage[41];
	struct place place;               /* of the SETTING that says so */
};

/* For a LINK: whose body that is. */
struct body_search {
	uint64_t   lsn, cursor;           /* lsn 0: of none */
	unsigned   db, found_db;
	bool       found;
	struct buf key;
};

enum failover_state { FAILOVER_NONE, FAILOVER_WAITING, FAILOVER_HANDING };

struct replication {
	struct engine  *engine;
	/* Lineage. */
	char            lineage[41];      /* "": none yet */
	struct place    lineage_place;
	struct epoch    epochs[EPOCHS_MAX];
	uint32_t        epoch_count;
	uint64_t        marks_from;       /* no mark behind this LSN is missing; UINT64_MAX: none is kept */
	struct partial  partial;
	uint64_t        gap_whole;        /* what the leader said of gaps to come */
	uint64_t        whole_least;      /* for those who follow this one */
	struct epoch    leader_epoch;
	uint32_t        epoch_seen;       /* the highest that any peer spoke of */
	bool            deposed;          /* a peer has a higher one: nothing is acknowledged */
	bool            life_due;         /* it leads, and has not written since it started */
	/* As leader. */
	struct tail     tail;
	struct list     links;
	uint32_t        link_count;
	struct io_timer sync_timer, pace_timer, deposed_timer;
	uint64_t        paced_us;
	int64_t         last_link_ms;     /* when the last follower left, or acknowledged */
	uint64_t        last_link_lsn;    /* what it had */
	/* As follower. */
	bool            is_follower, freeing, closed, take_over;
	void          (*freed)(struct engine *engine);
	char            host[128];
	uint16_t        port;
	struct follower follower;
	struct io_timer retry;
	char            leader_lineage[41];
	uint64_t        received, applied, position, leader_lsn, take_over_lsn, sync_lsn;
	uint64_t        agreed_lsn;       /* the leader's last when the link began */
	uint64_t        level_us;         /* when it had all that the leader had */
	int64_t         leader_ms;        /* its clock when it said so */
	uint64_t        acked_applied, acked_durable, acked_us;
	struct list     pending;          /* of a group that is not complete */
	uint64_t        pending_bytes, pending_first;
	struct body_search search;
	enum err        stopped_by;       /* why nothing more is taken; OK: it is */
	uint64_t        records, syncs, refusals, lost_links;
	uint64_t        renewed_keys, renewed_bodies;         /* written again for a follower */
	uint32_t        regains;          /* repair.h: under way */
	char            refusal[160];
	/* FAILOVER. */
	uint8_t         failover;
	char            failover_host[IO_ADDRESS_MAX];
	uint16_t        failover_port;
	bool            failover_force;
	struct io_timer failover_timer;
};

void replication_new(struct engine *engine);
/* Its connection is closed first; `freed` follows. */
void replication_close(struct engine *engine, void (*freed)(struct engine *engine));
void replication_free(struct engine *engine);
/* Inside the store's opened(): follows if settings say so. */
void replication_opened(struct engine *engine);
/* Recovery could not read all, as engine->lost_some says. */
void replication_note_loss(struct engine *engine);
/* Once a pass. True: there is more to do at once. */
bool replication_step(struct engine *engine);
void replication_appended(struct engine *engine, const struct record *record);
void replication_extended(struct engine *engine, uint64_t lsn, struct span more);
/* The session is going. */
void replication_forget(struct session *session);

static inline bool engine_follows(const struct engine *engine)
{
	return engine->replication != NULL && engine->replication->is_follower;
}
/* How far this follower is behind, as far as it can know: records; and since when it did not have all that
 * the leader had, or did not hear of it. */
struct replication_lag {
	uint64_t records, us;
};
struct replication_lag replication_lag(struct engine *engine);
/* The link to the leader is up and what it sent is here. */
bool replication_link_is_up(const struct engine *engine);

/* ---- replica_state.c: lineage and roles ---- */
/* REPLICAOF host port. ERR_EXISTS: so it is already. NO ONE: `by_watch`: a Sentinel asks for
 * it, so that the leader, if it can be reached, is told that it leads no more. */
MUST_CHECK enum err replication_follow(struct engine *engine, const char *host, uint16_t port);
MUST_CHECK enum err replication_lead(struct engine *engine, bool by_watch);
uint32_t replication_epoch(const struct engine *engine);      /* its number */
struct epoch replication_epoch_now(const struct engine *engine);
/* Before anything else is appended. */
MUST_CHECK enum err replication_begin_life(struct engine *engine);
/* While that is due: the last LSN of the lives before. */
uint64_t replication_former_end(const struct engine *engine);
bool replication_knows_epoch(const struct replication *replication, const struct epoch *epoch);
/* A SETTING record: true if it is this one. */
MUST_CHECK bool replication_setting(struct engine *engine, const struct record *record);
bool replication_setting_relocated(
    struct engine *engine, const struct record *record, struct place from, struct place to);
bool replication_setting_is_live(const struct engine *engine, const struct record *record);
void replication_dump(const struct engine *engine, struct buf *out);
bool replication_load(struct engine *engine, struct span name, struct span text, struct place place);
void replication_clear(struct engine *engine);
/* Writes the lineage record, a new lineage if there is none. */
MUST_CHECK enum err replication_log_lineage(struct engine *engine);
/* The last LSN that a log of this epoch can share with ours. */
uint64_t replication_epoch_end(const struct replication *replication, const struct epoch *epoch);

/* ---- replica_partial.c ---- */
/* Something may be missing before the last LSN: it was superseded by what has not come yet. */
bool replication_is_partial(const struct engine *engine);
/* Everything up to there is here and was applied. */
uint64_t replication_offset(const struct engine *engine);
/* `next` comes next: what was left out before it is noted. As store_append. */
MUST_CHECK enum err replication_note_gap(struct engine *engine, const struct record *next);
/* All up to there is here. */
void replication_reached(struct engine *engine, uint64_t lsn);
/* It speaks of another epoch than the one in which something was left out. */
bool replication_partial_is_lost(const struct engine *engine, const struct epoch *epoch);
/* Its SETTING record, and that in checkpoints, as those of the lineage. */
MUST_CHECK bool partial_setting(struct engine *engine, const struct record *record);
void partial_dump(const struct engine *engine, struct buf *out);
bool partial_load(struct engine *engine, struct span name, struct span text, struct place place);

/* ---- replica_leader.c ---- */
void replication_leader_init(struct engine *engine);
struct sync_request {
	struct span lineage;              /* "?": none */
	struct span check;                /* of the request itself */
	struct epoch epoch;
	uint64_t    lsn, segment_bytes, partial_lsn, partial_bytes;
	bool        compares;
	uint64_t    from;                 /* with compares: it has no use for what lies before */
	uint64_t    base;                 /* with compares: nothing is missing up to there */
};
/* The link of this session, made if it has none. */
struct replica_link *replication_link_of(struct session *session);
/* IMG.SYNC: replies. */
void replication_sync(struct call *call, const struct sync_request *request);
/* A follower was promoted by who watches us: nothing is acknowledged until it is settled who leads. */
void replication_deposed(struct engine *engine, uint32_t epoch);
/* True: there is more to do at once. */
bool replication_links_step(struct engine *engine);
void replication_links_close(struct engine *engine);
/* How many followers have everything up to `lsn`; good: were heard of lately. */
uint32_t replication_count(const struct engine *engine, uint64_t lsn, bool durable);
uint32_t replication_count_good(const struct engine *engine);
/* As far as replies may tell: durable here, and with min-replicas-to-ack on so many followers. */
uint64_t replication_written_lsn(const struct engine *engine);

/* A POSITION frame, at once. */
void replication_tell_position(struct engine *engine, struct replica_link *link, uint32_t flags);

/* ---- replica_failover.c ---- */
struct failover_options {
	const char *host;                 /* "", and port 0: whoever has everything first */
	uint16_t    port;
	bool        force;                /* when the time is up, whatever it has */
	uint64_t    timeout_ms;           /* 0: none */
};
void replication_failover_init(struct engine *engine);
void replication_failover_step(struct engine *engine);
/* NULL: it has begun; or the error to reply. */
const char *replication_failover(struct engine *engine, const struct failover_options *options);
const char *replication_failover_abort(struct engine *engine);
/* Where a follower is, as it says or as its connection does. */
void replication_link_ip(const struct replica_link *link, char out[IO_ADDRESS_MAX]);

/* ---- replica_follower.c ---- */
void replication_follower_init(struct engine *engine);
/* After a CONFIG SET: a link that shall now be in TLS, or no longer, is begun anew. */
void replication_configure(struct engine *engine);
void replication_follower_start(struct engine *engine);
bool replication_follower_step(struct engine *engine);
/* What is here of a group that will not be completed is dropped; its first LSN, or 0. */
uint64_t replication_drop_pending(struct engine *engine);

/* ---- recover.c ---- */
/* Before the LINK of a leader's is appended. False: it is still being looked for. */
MUST_CHECK bool engine_find_body(struct engine *engine, const struct record *record);
/* The effect of a record of a peer's, which was appended here. */
void engine_take_record(struct engine *engine, const struct record *record);
