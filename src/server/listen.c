/* server/listen.c: where clients connect to: port, tls-port and unixsocket. See server.h.
 *
 * Those with TLS are a set of their own, so that tls-port can change while the server runs: the new
 * ones are there before the old ones go.
 */
#include "server/connection.h"

#include <stdio.h>

/* A handshake is work: one client too many is not told why, as it is without TLS. */
static void accept_secure(struct server *server, int fd)
{
	if (server->connection_count < server->settings->maxclients) {
		connection_new(server, fd, ARRIVAL_TLS);
		return;
	}
	server->engine->counters.connections_rejected++;
	io_close_now(server->io, fd);
}

static void on_accepted(struct io_listener *listener, int fd)
{
	struct server *server = listener->ctx;
	if (server->stopping)
		io_close_now(server->io, fd);
	else
		connection_new(server, fd, listener->unix_socket ? ARRIVAL_UNIX : ARRIVAL_TCP);
}

static void on_accepted_secure(struct io_listener *listener, int fd)
{
	struct server *server = listener->ctx;
	if (server->stopping)
		io_close_now(server->io, fd);
	else
		accept_secure(server, fd);
}

static void set_close(struct server *server, struct listeners *set)
{
	while (set->count > 0)
		io_listener_close(server->io, &set->at[--set->count]);
}

void server_close_listeners(struct server *server)
{
	set_close(server, &server->plain);
	set_close(server, &server->secure[0]);
	set_close(server, &server->secure[1]);
}

static enum err set_listen(struct server *server, struct listeners *set,
    const struct io_listen_options *options, bool required)
{
	struct io_listener *listener = &set->at[set->count];
	listener->accepted = set == &server->plain ? on_accepted : on_accepted_secure;
	listener->ctx = server;
	enum err err = io_listen(server->io, listener, options);
	if (err == OK) {
		set->count++;
		return OK;
	}
	const char *where = options->unix_path != NULL ? options->unix_path : options->address;
	if (required && err != ERR_BUSY)
		log_warning(server->log, "cannot listen on %s port %u: %s", where, options->port,
		    err_name(err));
	return required ? err : OK;
}

/* Each address of `bind`; one with a leading '-' may be missing on this machine. Port 0 is
 * one that is free, the same for all. */
static enum err set_listen_port(struct server *server, struct listeners *set, int64_t port)
{
	const struct settings *settings = server->settings;
	char copy[SETTING_TEXT_MAX];
	struct io_listen_options options = {
		.port = (uint16_t)port, .backlog = (int)settings->tcp_backlog,
		.keepalive_s = (uint32_t)settings->tcp_keepalive,
	};
	memcpy(copy, settings->bind, sizeof(copy));
	char *rest = copy, *address;
	while ((address = strsep(&rest, " ")) != NULL) {
		bool optional = address[0] == '-';
		if (address[0] == 0)
			continue;
		if (set->count + 1 >= LISTENERS_MAX)
			return ERR_TOOLARGE;
		if (set->count > 0 && options.port == 0)
			options.port = io_listener_port(server->io, &set->at[0]);
		options.address = address + optional;
		enum err err = set_listen(server, set, &options, !optional);
		if (err != OK)
			return err;
	}
	return OK;
}

static enum err listen_unix(struct server *server)
{
	const struct settings *settings = server->settings;
	struct io_listen_options options = {
		.unix_path = settings->unixsocket, .unix_mode = (uint32_t)settings->unixsocketperm,
		.backlog = (int)settings->tcp_backlog,
	};
	return set_listen(server, &server->plain, &options, true);
}

/* Port 0 is none, but where nothing else is asked for. */
enum err server_listen(struct server *server)
{
	const struct settings *settings = server->settings;
	bool has_unix = settings->unixsocket[0] != 0;
	enum err err = OK;
	if (settings->tls_port != 0 && settings->tls_port == settings->port) {
		log_warning(server->log, "port and tls-port are the same");
		return ERR_INVALID;
	}
	if (settings->port != 0 || (settings->tls_port == 0 && !has_unix))
		err = set_listen_port(server, &server->plain, settings->port);
	if (err == OK && settings->tls_port != 0)
		err = set_listen_port(server, &server->secure[server->secure_at], settings->tls_port);
	if (err == OK && has_unix)
		err = listen_unix(server);
	if (err != OK)
		server_close_listeners(server);
	bool none = server->plain.count + server->secure[server->secure_at].count == 0;
	return err == OK && none ? ERR_INVALID : err;
}

enum err server_move_tls(
    struct server *server, const struct settings *settings, char *why, size_t why_bytes)
{
	struct listeners *now = &server->secure[server->secure_at];
	struct listeners *next = &server->secure[1 - server->secure_at];
	ASSERT(next->count == 0);
	if (settings->tls_port == 0 && server->plain.count == 0) {
		snprintf(why, why_bytes, "there is no other way to connect");
		return ERR_INVALID;
	}
	enum err err = OK;
	if (settings->tls_port != 0)
		err = set_listen_port(server, next, settings->tls_port);
	if (err == OK && settings->tls_port != 0 && next->count == 0)
		err = ERR_INVALID;
	if (err != OK) {
		set_close(server, next);
		snprintf(why, why_bytes, "cannot listen on port %lld: %s", (long long)settings->tls_port,
		    err_name(err));
		return err;
	}
	set_close(server, now);
	server->secure_at = 1 - server->secure_at;
	log_notice(server->log, "TLS: port %lld from now on", (long long)settings->tls_port);
	return OK;
}

uint16_t server_port(const struct server *server)
{
	const struct listeners *secure = &server->secure[server->secure_at];
	if (server->plain.count > 0)
		return io_listener_port(server->io, &server->plain.at[0]);
	return secure->count == 0 ? 0 : io_listener_port(server->io, &secure->at[0]);
}
