/* server/server.c: the loop's pass, the tick, and the end. */
#include "server/connection.h"

#include "commands/acl.h"
#include "engine/clients.h"
#include "engine/pubsub.h"
#include "engine/image.h"

enum { SERVER_MAGIC = 0x53455256, TICK_US = 100000, TICKS_PER_SECOND = 10 };
enum { BUSY_US_MAX = 2000000, BUSY_PAUSE_US = 10000, SERVER_SIGNAL_RELOAD = 1 /* SIGHUP */ };

static void close_idle(struct server *server)
{
	uint64_t limit_us = (uint64_t)server->settings->timeout_s * 1000000;
	uint64_t now_us = io_now_us(server->io);
	struct list *at = server->connections.next;
	while (limit_us > 0 && at != &server->connections) {
		struct connection *connection = LIST_OF(at, struct connection, link);
		at = at->next;
		if (!connection->session.closing &&
		    now_us - connection->session.active_us > limit_us &&
		    list_is_empty(&connection->session.slots) &&
		    connection->session.replica == NULL && !pubsub_listens(&connection->session))
			connection_close(connection);
	}
}

/* Ten times a second; expiry and the log's everysec rely on a pass at least so often. */
static void on_tick(struct io_timer *timer)
{
	struct server *server = timer->ctx;
	struct engine *engine = server->engine;
	const struct io_stats *io = io_get_stats(server->io);
	CHECK_OBJ(server, SERVER_MAGIC);
	io_timer_set(server->io, timer, TICK_US);
	clients_limit(engine);
	if (++server->cron_ticks % TICKS_PER_SECOND != 0)
		return;
	engine->rates.commands = engine->counters.commands - server->last_commands;
	engine->rates.input = io->bytes_received - server->last_input;
	engine->rates.output = io->bytes_sent - server->last_output;
	server->last_commands = engine->counters.commands;
	server->last_input = io->bytes_received;
	server->last_output = io->bytes_sent;
	uint64_t used = engine_used_memory(engine);
	if (used > engine->used_memory_peak)
		engine->used_memory_peak = used;
	close_idle(server);
}

/* ---- What the engine asks of the server ---- */

static void on_engine_closed(void *ctx)
{
	struct server *server = ctx;
	CHECK_OBJ(server, SERVER_MAGIC);
	server->engine_closed = true;
}

/* The store did not open: there is nothing to close but the workers. */
static void give_up(struct server *server)
{
	server->stopping = true;
	server_close_listeners(server);
	io_timer_cancel(server->io, &server->cron);
	image_service_close(server->engine, on_engine_closed, server);
}

static void on_opened(void *ctx, enum err err)
{
	struct server *server = ctx;
	CHECK_OBJ(server, SERVER_MAGIC);
	if (err != OK) {
		log_warning(server->log, "the data directory cannot be used: %s", err_name(err));
		server->exit_code = 1;
		give_up(server);
		return;
	}
	if (server->stopping) {           /* asked to stop while it loaded */
		engine_close(server->engine, on_engine_closed, server);
		return;
	}
	char why[ACL_WHY_MAX];
	uint64_t lsn;
	if (server->settings->aclfile[0] != 0 && acl_load_file(server->engine, why, &lsn) != OK) {
		log_warning(server->log, "the ACL file cannot be used: %s", why);
		server_stop(server, 1);
		return;
	}
	log_notice(server->log, "Ready to accept connections on port %u", server_port(server));
}

static void on_shutdown(void *ctx, bool now)
{
	struct server *server = ctx;
	UNUSED(now);                      /* there are no lagging followers to wait for */
	log_notice(server->log, "User requested shutdown...");
	server_stop(server, 0);
}

static enum err on_rewrite(void *ctx)
{
	struct server *server = ctx;
	struct buf old, text;
	if (server->config_file[0] == 0)
		return ERR_UNSUPPORTED;
	buf_init(&old, &server->memory);
	buf_init(&text, &server->memory);
	enum err err = io_load_file(server->io, server->config_file, 1 << 20, &old);
	if (err == OK || err == ERR_NOTFOUND) {
		settings_rewrite(server->settings, buf_span(&old), &text);
		err = io_save_file(server->io, server->config_file, buf_span(&text));
	}
	buf_fini(&old);
	buf_fini(&text);
	return err;
}

static void on_setting_changed(void *ctx, const struct setting *setting)
{
	struct server *server = ctx;
	server->log->level = (enum log_level)server->settings->loglevel;
	if (setting->flags & SETTING_SECRET)
		log_notice(server->log, "CONFIG SET %s", setting->name);
	if (setting->flags & SETTING_KEPT)
		log_notice(server->log, "%s is kept, but has no effect here", setting->name);
}

static enum err on_try_settings(
    void *ctx, const struct settings *trial, char *why, size_t why_bytes)
{
	struct server *server = ctx;
	enum err err = server_secure(server, trial, why, why_bytes);
	if (err == OK && trial->tls_port != server->settings->tls_port)
		err = server_move_tls(server, trial, why, why_bytes);
	return err;
}

static uint16_t on_port(void *ctx)
{
	return server_port(ctx);
}

/* The leader cannot go on with what is here: it is kept elsewhere, and an empty server follows. */
static void on_put_aside(void *ctx)
{
	struct server *server = ctx;
	if (server->stopping)
		return;
	log_warning(server->log, "what is here is put aside, and all of the leader's comes in its place");
	server->puts_aside = true;
	server_stop(server, 0);
}

/* What it alone has is copied; its log is cut where the leader's parts from it (engine/replica/rejoin.h). */
static void on_restart(void *ctx)
{
	struct server *server = ctx;
	if (server->stopping)
		return;
	server->restarts = true;
	server_stop(server, 0);
}

static const struct engine_events engine_events = {
	.opened = on_opened, .shutdown = on_shutdown, .rewrite = on_rewrite,
	.setting_changed = on_setting_changed, .port = on_port,
	.put_aside = on_put_aside, .restart = on_restart, .try_settings = on_try_settings,
};

/* ---- Life ---- */

/* SIGHUP, the usual sign that files were replaced. */
static void reload_certificates(struct server *server)
{
	char why[TLS_WHY_MAX];
	if (server_secure(server, server->settings, why, sizeof(why)) != OK)
		log_warning(server->log, "TLS: the certificates in use stay: %s", why);
}

static void on_signal(void *ctx, int number)
{
	struct server *server = ctx;
	CHECK_OBJ(server, SERVER_MAGIC);
	if (number == SERVER_SIGNAL_RELOAD) {
		reload_certificates(server);
		return;
	}
	log_notice(server->log, "Received signal %d, scheduling shutdown...", number);
	server_stop(server, 0);
}

static enum err server_open(struct server *server)
{
	return engine_open(server->engine);
}

static void on_pause_over(struct io_timer *timer)
{
	UNUSED(timer);                    /* that it fired is all */
}

/* Of a predecessor that was killed, the kernel lets go a little after its death: of the port
 * and of the lock on the directory. Meanwhile nobody is served. */
static enum err patiently(struct server *server, enum err (*step)(struct server *server))
{
	struct io_timer pause;
	uint64_t end_us = io_clock_us(server->io) + BUSY_US_MAX;
	enum err err;
	io_timer_init(&pause, on_pause_over, server);
	server->stopping = true;
	while ((err = step(server)) == ERR_BUSY && io_clock_us(server->io) < end_us) {
		io_timer_set(server->io, &pause, BUSY_PAUSE_US);
		while (io_timer_is_set(&pause))
			io_wait(server->io, IO_FOREVER);
	}
	server->stopping = false;
	return err;
}

static enum err secure_at_start(struct server *server)
{
	char why[TLS_WHY_MAX];
	enum err err = server_secure(server, server->settings, why, sizeof(why));
	if (err != OK)
		log_warning(server->log, "TLS cannot be used: %s", why);
	return err;
}

/* A server recycles its segments in place: nobody else can rely on them while it runs. */
static void say_busy(const struct server *server)
{
	ASSERT(server->settings != NULL);
	log_warning(server->log, "%s is in use by another process",
	    server->engine == NULL ? "the address" : "the data directory");
	if (server->engine != NULL && server->settings->readonly)
		log_warning(server->log, "While its server runs, a clone is served from a copy: tintype-backup "
		    "makes one online, tintype-restore a data directory of it. Single images: IMG.GET key AT time");
}

enum err server_new(struct io *io, const struct server_options *options, struct server **out)
{
	struct memory boot = {0};
	struct server *server = memory_zalloc(&boot, sizeof(*server));
	server->magic = SERVER_MAGIC;
	server->memory = boot;
	server->io = io;
	server->log = options->log;
	server->settings = options->settings;
	server->config_file = options->config_file;
	list_init(&server->connections);
	list_init(&server->dirty);
	list_init(&server->turns);
	io_timer_init(&server->cron, on_tick, server);
	server->tls = tls_new(io, options->log);
	enum err err = secure_at_start(server);
	if (err == OK) {
		err = patiently(server, server_listen);
		if (err != OK && err != ERR_BUSY)
			log_warning(server->log, "cannot listen on '%s', port %lld", server->settings->bind,
			    (long long)server->settings->port);
	}
	if (err == OK)
		err = engine_new(
		    io, options->settings, options->log, &engine_events, server, &server->engine);
	if (err == OK) {
		server->engine->server_memory = &server->memory;
		server->engine->tls = server->tls;
		server->engine->executable = options->executable;
		server->engine->config_file = options->config_file;
		server->engine->commands = command_state_new(&server->engine->memory.engine);
		err = patiently(server, server_open);
		if (err != OK) {
			log_warning(server->log, "cannot use the data directory '%s'", server->settings->dir);
			give_up(server);
		}
		while (err != OK && !server->engine_closed)
			io_wait(io, IO_FOREVER);
	}
	if (err != OK) {
		if (err == ERR_BUSY)
			say_busy(server);
		server_free(server);
		return err;
	}
	io_watch_signals(io, on_signal, server);
	io_timer_set(io, &server->cron, TICK_US);
	server->started = true;
	*out = server;
	return OK;
}

void server_stop(struct server *server, int exit_code)
{
	CHECK_OBJ(server, SERVER_MAGIC);
	if (server->stopping)
		return;
	server->stopping = true;
	server->exit_code = exit_code;
	server_close_listeners(server);
	io_timer_cancel(server->io, &server->cron);
	if (!server->engine->loading)
		engine_close(server->engine, on_engine_closed, server);
}

/* Replies of this pass leave; connections that were held go on. */
static void serve_dirty(struct server *server)
{
	while (!list_is_empty(&server->dirty)) {
		struct connection *connection =
		    LIST_OF(server->dirty.next, struct connection, dirty);
		list_remove(&connection->dirty);
		connection->is_dirty = false;
		if (connection->resumed)
			connection_run_parked(connection);
		connection_send(connection);
		if (!connection->session.closing)
			connection_continue(connection);
	}
}

/* Those whose turn was over go on, when everybody else was heard; not all in one pass if they are many. */
static void serve_turns(struct server *server)
{
	enum { TURNS_US = 2000 };
	struct engine *engine = server->engine;
	uint64_t until_us = engine->clock_us + TURNS_US;
	struct list waiting;
	list_init(&waiting);
	while (!list_is_empty(&server->turns)) {
		struct list *link = server->turns.next;
		list_remove(link);
		list_append(&waiting, link);
	}
	while (!list_is_empty(&waiting) && engine->clock_us <= until_us) {
		struct connection *connection = LIST_OF(waiting.next, struct connection, turn);
		list_remove(&connection->turn);
		connection_take_turn(connection);
	}
	while (!list_is_empty(&waiting)) {        /* before those that have just had theirs */
		struct list *link = waiting.prev;
		list_remove(link);
		list_prepend(&server->turns, link);
	}
}

static void close_all(struct server *server)
{
	struct list *at = server->connections.next;
	while (at != &server->connections) {
		struct connection *connection = LIST_OF(at, struct connection, link);
		at = at->next;
		if (!connection->session.closing)
			connection_close(connection);
	}
}

bool server_pass(struct server *server)
{
	CHECK_OBJ(server, SERVER_MAGIC);
	struct engine *engine = server->engine;
	io_wait(server->io, server->busy ? 0 : IO_FOREVER);
	engine->clock_us = io_now_us(server->io);
	server->busy = engine_pass(engine);
	engine->clock_us = io_clock_us(server->io);
	if (!list_is_empty(&server->turns))
		serve_turns(server);
	serve_dirty(server);
	server->busy = server->busy || !list_is_empty(&server->turns);
	store_flush(engine->store);
	if (server->engine_closed) {
		/* The log is safe and its last replies were handed out: nothing keeps them. */
		close_all(server);
		server->stopped = list_is_empty(&server->connections);
		server->busy = false;
	}
	return !server->stopped;
}

void server_free(struct server *server)
{
	CHECK_OBJ(server, SERVER_MAGIC);
	ASSERT(list_is_empty(&server->connections));
	if (server->engine != NULL) {
		if (server->engine->commands != NULL)
			command_state_free(
			    &server->engine->memory.engine, server->engine->commands);
		engine_free(server->engine);
	}
	server_close_listeners(server);
	tls_free(server->tls);
	struct memory boot = server->memory;
	DROP_OBJ(server, SERVER_MAGIC);
	memory_free(&boot, server, sizeof(*server));
}
