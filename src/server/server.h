/* server/server.h: one server: listeners, connections, the loop's pass, and the engine.
 *
 * It holds no global state: a process can hold several, on any back end of the seam. The
 * simulator drives whole servers through these calls.
 */
#pragma once
#include "engine/engine.h"
#include "io/tls.h"
#include "resp/parse.h"

enum {
	BATCH_REQUESTS = 64,              /* parsed, hashed and prefetched together */
	BATCH_ARGS = 1024,
	LISTENERS_MAX = 16,
};

struct server {
	uint32_t         magic;
	struct io       *io;
	struct log      *log;
	struct settings *settings;
	struct engine   *engine;
	struct listeners {
		struct io_listener at[LISTENERS_MAX];
		uint32_t count;
	} plain, secure[2];               /* secure: with TLS; the other one is used when tls-port changes */
	uint32_t         secure_at;
	struct tls      *tls;             /* what streams with TLS share; never NULL */
	struct list      connections, dirty;
	struct list      turns;           /* connections that have more to execute, in turn */
	uint64_t         heard_id;        /* whose input came last, */
	uint64_t         heard_another_us;          /* and when somebody else's than before came */
	uint32_t         connection_count;
	struct io_timer  cron;
	uint64_t         cron_ticks, last_commands, last_input, last_output;
	const char      *config_file;     /* "" without one */
	bool             started, stopping, stopped, puts_aside, restarts;
	bool             engine_closed, busy;
	int              exit_code;
	/* scratch of the pass */
	struct resp_arg  args[BATCH_ARGS];
	struct span      argv[BATCH_ARGS];
	uint8_t          words[RESP_INLINE_MAX];
	struct memory    memory;
};

struct server_options {
	struct settings *settings;        /* the server's from now on */
	struct log      *log;
	const char      *config_file;     /* "" without one */
	const char      *executable;
};

/* Makes the engine and starts recovery; listens at once (commands get -LOADING until the
 * data is there). */
MUST_CHECK enum err server_new(
    struct io *io, const struct server_options *options, struct server **out);
/* One turn of the loop: waits, receives, executes, commits, sends. False: it has stopped. */
bool server_pass(struct server *server);
/* Begins an orderly end: no more connections, log flushed, then server_pass says false. */
void server_stop(struct server *server, int exit_code);
void server_free(struct server *server);
/* The port for clients: without TLS if there is one. */
uint16_t server_port(const struct server *server);

/* listen.c: all that the settings ask for. ERR_INVALID, ERR_BUSY; the log says why. */
MUST_CHECK enum err server_listen(struct server *server);
void server_close_listeners(struct server *server);
/* tls-port becomes that of `settings`, at once; not OK: it stays, and `why` says why. Connections live on. */
MUST_CHECK enum err server_move_tls(
    struct server *server, const struct settings *settings, char *why, size_t why_bytes);

/* secure.c: reads certificates as `settings` (the server's own, or a trial) say, if TLS is used at
 * all. Not OK: what was in use stays; `why` says why. */
MUST_CHECK enum err server_secure(
    struct server *server, const struct settings *settings, char *why, size_t why_bytes);
