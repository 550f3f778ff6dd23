/* engine/engine.h: the state machine. A command goes in; log records, replies and events
 * come out, in the order in which commands came.
 *
 * The engine owns the directories (one a database), the store, the search indexes, the
 * caches, tier policies and sessions. It knows no socket and no command by name: the
 * commands folder calls it, the server folder feeds it.
 *
 * Replies leave in order. A command writes to call->reply at once, or defers: it takes the
 * call's slot (call_defer), and finishes it later, from a callback. A reply that reveals a
 * change waits until that change is as durable as promised (call->gate). Commands behind
 * run on meanwhile; slots leave in order. A command that must know something from disk
 * before it can decide parks its session (call_park): the same command runs again later,
 * and nothing behind it runs before.
 *
 * Folders: collection/ (large values and their records in the log), index/ (documents of the search
 * index, what is declared of them, its checkpoint), past/ (versions within the history window), replica/
 * (leading, following, rejoining, repair, quarantine).
 */
#pragma once
#include "base/hash.h"
#include "base/random.h"
#include "engine/observe.h"
#include "engine/pause.h"
#include "engine/session.h"
#include "engine/settings.h"
#include "image/meta.h"
#include "resp/reply.h"
#include "search/search.h"
#include "search/similar.h"
#include "store/cache.h"
#include "store/directory.h"

struct request {
	uint32_t           argc;
	const struct span *argv;
	struct body      **bodies;        /* NULL, or bodies[i] holds the bytes of argv[i] */
	uint64_t           hash;          /* of argv[1], if has_hash */
	bool               has_hash;
};

struct call {
	struct engine        *engine;
	struct session       *session;
	const struct command *command;
	uint32_t              argc;
	const struct span    *argv;
	struct body         **bodies;
	uint64_t              hash;
	bool                  has_hash, parked, failed;      /* by call_park; an error was written */
	struct reply         *reply;
	uint64_t              gate;       /* LSN that must be safe before the reply leaves */
	struct slot          *slot;       /* set once deferred */
	struct slot_hook     *hook;       /* for that slot, or NULL */
	bool                  may_wait;   /* a full log parks it instead of failing it */
};

/* A reply to come. Its owner calls slot_finish exactly once, also when the session is gone
 * (slot->session is NULL then and nothing is sent). */
struct slot_hook { void (*finishing)(struct slot_hook *hook, struct slot *slot); };
struct slot {
	uint32_t        magic, calls;     /* calls: whose replies it holds, unless deferred */
	bool            pending, pushes;  /* pushes: it holds messages and nothing else */
	bool            lost;             /* what it waits for will not come */
	struct slot_hook *hook;           /* NULL, or who adds to the reply at its end */
	struct list     link;
	struct session *session;
	uint64_t        gate, pass, reserved_bytes;
	struct reply    reply;
	struct engine  *engine;
};

/* Runs `run` and puts its reply in its place. */
void call_execute(struct call *call, void (*run)(struct call *call));
/* `reserve` bytes of bodies are expected in the reply (0: few). */
struct slot *call_defer(struct call *call, uint64_t reserve);
void slot_finish(struct slot *slot);
/* An error reply in place of whatever the slot held; finishes it. */
void slot_fail(struct slot *slot, enum err err, struct span key);
/* The session waits; engine_unpark (or the end of a load) makes the command run again. */
void call_park(struct call *call);
void engine_unpark(struct session *session);
/* Parks the session until the store takes more. False: it waited long enough, refuse it. */
bool call_wait_for_store(struct call *call);
/* Request of the parked command, borrowed until parked_free. */
struct parked;
/* A copy of the call's request. */
struct parked *parked_new(const struct call *call);
void parked_request(const struct parked *parked, struct request *out);
void parked_free(struct engine *engine, struct parked *parked);

#define REPLY_FOLLOWS "READONLY You can't write against a read only replica."
/* An error reply, counted by its first word. */
void call_error(struct call *call, const char *format, ...) PRINTF_LIKE(2, 3);
/* The reply for an enum err: -DISKFULL, -READONLY, -OVERLOADED, -TOOLARGE, -CORRUPT, ... */
void call_fail(struct call *call, enum err err, struct span key);
/* The same text, without its '-'. */
void error_text(enum err err, struct span key, char *out, size_t bytes);
/* Writes and counts an error; `text` begins with its code. */
void engine_error(struct engine *engine, struct reply *reply, const char *text);

uint64_t call_hash(struct call *call, struct span key);

/* ---- Keys ----------------------------------------------------------------------------------- */

/* An entry that lives: an expired one is deleted and NULL returned. Reading counts a hit or
 * a miss, touches it, and gates the reply on its durability. */
struct entry *call_lookup_read(struct call *call, struct span key);
struct entry *call_lookup_write(struct call *call, struct span key);
/* As lookup_read, but leaves access time and hit counts alone (TTL, TYPE, OBJECT, SCAN). */
struct entry *call_lookup_quiet(struct call *call, struct span key);
/* Who watches the key, or caches it, is told that it changed, though it did not: as Redis does, where a
 * command put there what was there already. */
void call_touch(struct call *call, struct span key);

/* Sets a string. `body`, if given, holds the value and a reference is taken. */
struct string_options {
	int64_t expire_ms;                /* Unix ms; 0: none */
	bool    keep_expiry;
	bool    continues;                /* part of an atomic group, and not its last */
	bool    grouped;                  /* the caller has begun a group, of two records a string */
};
MUST_CHECK enum err call_set_string(struct call *call, struct span key, struct span value,
    struct body *body, const struct string_options *options);
MUST_CHECK enum err call_delete(struct call *call, struct entry *entry);
/* at_ms 0: persist. Returns the entry, which may have moved, through *entry. */
MUST_CHECK enum err call_expire(struct call *call, struct entry **entry, int64_t at_ms);
MUST_CHECK enum err call_rename(
    struct call *call, struct entry *from, struct span to, uint8_t to_db);
/* ERR_AGAIN: the session was parked until the metadata is read. */
MUST_CHECK enum err call_copy(struct call *call, struct entry *from, struct span to, uint8_t to_db);
/* db: or RECORD_ALL_DBS. */
MUST_CHECK enum err call_flush(struct call *call, uint8_t db);
uint64_t engine_used_memory(const struct engine *engine);

/* ---- The engine -------------------------------------------------------------------------------- */

struct engine_events {
	void (*opened)(void *ctx, enum err err);
	void (*shutdown)(void *ctx, bool now);                 /* SHUTDOWN was asked for */
	enum err (*rewrite)(void *ctx);                        /* CONFIG REWRITE */
	void (*setting_changed)(void *ctx, const struct setting *setting);
	/* Before a CONFIG SET of a SETTING_TLS: not OK, it fails. NULL: there is no TLS here. */
	enum err (*try_settings)(void *ctx, const struct settings *trial, char *why, size_t bytes);
	void (*disconnect)(void *ctx, struct session *session);
	uint16_t (*port)(void *ctx);
	/* What is in the data directory is kept aside, and the server starts anew, as a follower. */
	void (*put_aside)(void *ctx);
	/* The server starts anew, with what is there (rejoin.h). */
	void (*restart)(void *ctx);
};

/* What a client's number of a database stands for: engine/databases.h. */
struct database_map {
	uint8_t of[DATABASE_COUNT];       /* a permutation */
};

struct databases {
	struct database_map map;
	struct place        place;        /* of its record; nowhere: never swapped */
};

struct engine {
	uint32_t               magic;
	struct io             *io;
	struct log            *log;
	struct settings       *settings;
	const struct engine_events *events;
	void                  *events_ctx;
	struct store          *store;
	struct body_pool      *pool;
	struct body_cache     *hot;       /* bodies by LSN */
	struct body_cache     *metas;     /* metadata by LSN */
	struct directory       directories[DATABASE_COUNT];
	struct databases       databases; /* whom clients mean by a number */
	struct index          *indexes[DATABASE_COUNT];      /* NULL until the first image */
	struct similar        *similars[DATABASE_COUNT];     /* NULL as long as the index is */
	struct image_service  *service;   /* transforms: engine/transform.c */
	struct analyser       *analyser;  /* engine/index/analysis.h */
	struct fields         *fields;    /* engine/index/fields.h */
	struct users          *users;     /* engine/users.h */
	struct refill         *refill;    /* engine/index/refill.h */
	struct tiers          *tiers;     /* policies and the mover: engine/tier.c */
	struct replication    *replication;           /* engine/replica/replica.h */
	struct repairs        *repairs;   /* engine/replica/repair.h */
	struct rejoin         *rejoin;    /* engine/replica/rejoin.h */
	struct quarantine     *quarantine;
	struct checkpoints    *checkpoints;           /* engine/checkpoint.c */
	struct collections    *collections;           /* engine/collection/collection_log.c */
	struct blockers       *blockers;  /* engine/block.c; NULL before the first */
	struct kept_index     *kept;      /* the index in checkpoints: engine/index/kept_index.h */
	struct reindex        *reindex;   /* engine/index/reindex.c; NULL: none is under way */
	uint8_t              (*marks)[CHECKPOINT_MARKS];      /* by database; see checkpoint.h */
	uint64_t images[DATABASE_COUNT], unindexed[DATABASE_COUNT], unsearchable[DATABASE_COUNT];
	uint64_t               replay_lsn, awaited;   /* while loading; see recover.c */
	struct past           *past;      /* versions, and shared records: engine/past/past.c */
	struct list            sessions;
	struct list            loads;     /* metadata reads under way */
	struct dedupe         *dedupe;    /* bodies by digest: engine/dedupe.c */
	struct scrub          *scrub;     /* engine/verify.h */
	struct list            twin_checks, checks, proofs;   /* of dedupe.c; verify.c; proof.c */
	struct list            searches;  /* queries that need another slice */
	struct list            pressed, waits, awaiting, awaiting_all;        /* sessions that wait */
	struct pause           pause;
	struct list            monitors;  /* sessions that see every command */
	struct list            watchers;  /* transactions with watched keys, */
	struct watch_filter   *watch_filter;        /* and their hashes; NULL without any */
	struct { uint64_t bytes, lsn; } evicting;    /* that the log may still hold, up to lsn */
	struct pubsub         *pubsub;    /* channels; NULL before the first subscription */
	struct flushed        *flushed;   /* engine/flush.h; NULL: nothing */
	struct { uint64_t freed, slice_us_max, images; } flushed_counts;
	uint64_t               adopted_elsewhere;         /* records of the checkpoint that had moved since */
	struct tracking       *tracking;  /* engine/tracking.h; NULL before the first CLIENT TRACKING */
	struct session        *running;   /* whose command is being executed, or NULL */
	bool                   by_itself; /* what goes now, goes by its time or for lack of memory */
	bool                   in_exec;   /* the commands of one EXEC run: nothing may park */
	struct random          random;
	struct engine_counters counters;
	struct list            slowlog, doubts;
	uint32_t               session_count, slowlog_len, doubt_count;
	uint64_t               session_next_id, slowlog_next_id;
	struct error_count     error_counts[64];
	struct latency_event   latency[16];
	struct command_state  *commands;  /* the commands folder's index and counters */
	uint64_t               clock_us;  /* when the last command ended, or the pass began */
	bool                   loading, closing, lost_some, flush_sessions, no_save, partly;
	bool                   is_pressed;          /* the store was, when this pass began */
	bool                   no_active_expire;    /* DEBUG SET-ACTIVE-EXPIRE 0 */
	struct closing        *closing_state;
	int64_t                started_ms, frozen_ms;        /* frozen: the moment of a clone, or 0 */
	uint64_t               started_us, used_memory_peak;
	char                   run_id[41], repl_id[41];
	const char *executable, *config_file; /* for INFO; the server's, never NULL */
	struct tls            *tls;       /* the server's, as is its memory; NULL without one */
	const struct memory   *server_memory;
	struct { uint64_t commands, input, output; } rates;   /* per second, over the last second */
	struct {
		struct memory directory, sessions, replies, store, search, images, engine, values,
		    history;
	} memory;
};

MUST_CHECK enum err engine_new(struct io *io, struct settings *settings, struct log *log,
    const struct engine_events *events, void *events_ctx, struct engine **out);
/* Starts recovery; events->opened follows. Until then commands are answered -LOADING. */
MUST_CHECK enum err engine_open(struct engine *engine);
/* Flushes the log; `closed` follows. */
void engine_close(struct engine *engine, void (*closed)(void *ctx), void *ctx);
void engine_free(struct engine *engine);

/* End of a pass: log batch out, next slices of all that goes on. True: again, without waiting. */
bool engine_pass(struct engine *engine);

/* After a CONFIG SET. */
void engine_setting_changed(struct engine *engine, const struct setting *setting);

static inline struct directory *call_directory(struct call *call)
{
	return &call->engine->directories[call->session->db];
}

static inline uint64_t engine_now_ms(const struct engine *engine)
{
	return (uint64_t)(engine->frozen_ms != 0 ? engine->frozen_ms : io_wall_ms(engine->io));
}
