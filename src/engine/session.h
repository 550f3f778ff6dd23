/* engine/session.h: a connection as commands see it. Part of engine.h. */
#pragma once
#include "base/hash.h"
#include "base/list.h"
#include "engine/observe.h"
#include "io/io.h"
#include "resp/reply.h"

struct engine;
struct session;
struct command;

enum session_reply_mode { REPLY_ON, REPLY_OFF, REPLY_SKIP };

struct session_ops {
	void (*ready)(struct session *session);     /* it has bytes to send */
	void (*resume)(struct session *session); /* it was parked and may run its command again */
	void (*close)(struct session *session);  /* drop it; out bytes are sent first if it asks */
};

struct session {
	uint32_t       magic;
	struct engine *engine;
	const struct session_ops *ops;
	struct list    link;              /* all sessions, oldest first */
	uint64_t       id;
	uint8_t        db, resp;
	struct user   *user;              /* engine/users.h: as whom it acts */
	bool           authenticated, close_after_reply, closing, no_evict, no_touch, unix_socket;
	enum session_reply_mode reply_mode;
	bool           skip_next;         /* CLIENT REPLY SKIP: the command after this one */
	char           name[SESSION_TEXT_MAX], lib_name[SESSION_TEXT_MAX];
	char           lib_version[SESSION_TEXT_MAX];
	char           address[IO_ADDRESS_MAX], local_address[IO_ADDRESS_MAX];
	int            fd;
	uint64_t       created_us, active_us, commands;
	const struct command *last_command;
	struct reply   out;               /* ready to be sent */
	struct list    slots;             /* struct slot, in order; what is behind `out` */
	uint32_t       slot_count;
	bool           new_slot;          /* the next reply must not share a slot with earlier ones */
	uint64_t       pending_bytes;     /* bodies that deferred replies will hold */
	struct parked *parked;            /* NULL unless a command waits to run again */
	struct blocked *blocked;          /* engine/block.h: it waits for a key; mostly NULL */
	struct subscriber *subscriber;    /* pubsub.h; mostly NULL, as is tracking.h's: */
	struct tracker *tracker;
	uint64_t       soft_since_us;     /* above pubsub-output-soft-limit; 0: it is not */
	struct list    monitor_link;      /* MONITOR */
	bool           overflowed;        /* too many messages wait: it is closed */
	struct transaction *transaction;  /* MULTI and WATCH: engine/transaction.h; mostly NULL */
	enum err       load_error;        /* how the read it waited for ended */
	struct digest  twin_digest;       /* what dedupe.c was asked last, and the answer */
	uint64_t       twin_lsn, write_lsn;         /* write_lsn: of the latest of its writes */
	uint64_t       input_bytes;       /* INFO's qbuf */
	struct replica_link *replica;     /* engine/replica/replica.h: it follows this server; mostly NULL */
	bool           streams;           /* the log is being sent to it */
	bool           sending;           /* bytes of it are with the kernel */
	struct list    press_link;        /* parked until the store takes more, or (partly.h) ... */
	uint64_t       pressed_us;        /* ... since then; 0: it is not */
};

void session_init(struct session *session, struct engine *engine, const struct session_ops *ops);
void session_fini(struct session *session);   /* slots still deferred live on without it */
/* An error reply that answers no command (protocol errors), behind all earlier replies. */
void session_error(struct session *session, const char *text);
/* Where a message goes that answers no command: behind all replies there are. */
struct reply *session_push(struct session *session);
/* A message was written there; `held_bytes` more wait elsewhere. Who does not read is closed. */
void session_pushed(struct session *session, uint64_t held_bytes);
/* Moves what may leave from slots to `out`, and calls ready(). */
void session_flush(struct session *session);
/* What waits for more than `written` will never hear of it: it is told so. */
void sessions_lose(struct engine *engine, uint64_t written);

/* ---- Calls: one command being executed ---------------------------------------------------- */
