/* server/connection.c: the life of a connection, and its output.
 *
 * One send is in flight at a time. What is ready meanwhile gathers in session.out; the next
 * send takes all of it. References to bodies go to the socket from where they lie.
 */
#include "server/connection.h"

#include "commands/commands.h"
#include "engine/users.h"

enum { CONNECTION_MAGIC = 0x434f4e4e, OUT_KEPT = 1 << 10 };

static struct connection *connection_of(struct io_stream *stream)
{
	struct connection *connection = stream->ctx;
	CHECK_OBJ(connection, CONNECTION_MAGIC);
	return connection;
}

void connection_mark_dirty(struct connection *connection)
{
	if (connection->is_dirty)
		return;
	connection->is_dirty = true;
	list_append(&connection->server->dirty, &connection->dirty);
}

static void session_is_ready(struct session *session)
{
	connection_mark_dirty(CONTAINER_OF(session, struct connection, session));
}

static void session_must_close(struct session *session)
{
	connection_close(CONTAINER_OF(session, struct connection, session));
}

/* Not at once: another connection's command may be running. The pass does it. */
static void session_resume(struct session *session)
{
	struct connection *connection = CONTAINER_OF(session, struct connection, session);
	connection->resumed = true;
	connection_mark_dirty(connection);
}

void connection_run_parked(struct connection *connection)
{
	struct session *session = &connection->session;
	struct parked *parked = session->parked;
	struct request request;
	connection->resumed = false;
	if (parked == NULL)
		return;
	parked_request(parked, &request);
	if (!command_execute(session, &request))
		return;                   /* it waits once more */
	session->parked = NULL;
	parked_free(session->engine, parked);
}

static const struct session_ops session_ops = {
	.ready = session_is_ready, .resume = session_resume, .close = session_must_close,
};

/* ---- Output ---- */

static bool ref_gives_pages(const struct reply_ref *ref)
{
	return ref->release == body_release_ref && ref->span.len >= IO_PAGES_MIN &&
	    body_give_pages(ref->owner, ref->span.len);
}

/* Entries for what follows sent_bytes and sent_refs; how many, and where they end. `pages` becomes the one
 * whose pages may be given away, or stays as it is; another such one is for the next send. */
static uint32_t fill_iov(struct connection *connection, uint32_t *pages)
{
	struct reply *reply = &connection->sending;
	size_t at = connection->sent_bytes;
	uint32_t ref = connection->sent_refs, count = 0;
	bool gives = false;
	while (
	    count + 2 <= connection->iov_cap && (at < reply->bytes.len || ref < reply->ref_count)) {
		size_t until = ref < reply->ref_count ? reply->refs[ref].at : reply->bytes.len;
		if (until > at)
			connection->iov[count++] =
			    (struct iovec){reply->bytes.ptr + at, until - at};
		at = until;
		if (ref == reply->ref_count)
			break;
		if (ref_gives_pages(&reply->refs[ref])) {
			if (gives)
				break;
			gives = true;
			*pages = count;
		}
		struct span span = reply->refs[ref++].span;
		if (span.len > 0)
			connection->iov[count++] =
			    (struct iovec){(void *)(uintptr_t)span.ptr, span.len};
	}
	connection->batch_bytes = at;
	connection->batch_refs = ref;
	return count;
}

static void iov_release(struct connection *connection)
{
	if (connection->iov != connection->iov_few)
		memory_free(&connection->server->memory, connection->iov,
		    connection->iov_cap * sizeof(struct iovec));
	connection->iov = connection->iov_few;
	connection->iov_cap = sizeof(connection->iov_few) / sizeof(connection->iov_few[0]);
}

static void iov_reserve(struct connection *connection)
{
	uint32_t need = connection->sending.ref_count * 2 + 2;
	if (need > IO_IOV_MAX)
		need = IO_IOV_MAX;
	if (need <= connection->iov_cap)
		return;
	iov_release(connection);
	connection->iov = memory_alloc(&connection->server->memory, need * sizeof(struct iovec));
	connection->iov_cap = need;
}

static void send_rest(struct connection *connection)
{
	struct io *io = connection->server->io;
	uint32_t pages = UINT32_MAX;
	uint32_t count = fill_iov(connection, &pages);
	ASSERT(count > 0);
	connection->send_busy = connection->session.sending = true;
	if (pages < count)
		io_stream_send_pages(io, &connection->stream, connection->iov, count, pages);
	else
		io_stream_send(io, &connection->stream, connection->iov, count);
}

static bool connection_is_drained(const struct connection *connection)
{
	const struct session *session = &connection->session;
	return !connection->send_busy && !connection->yielded && reply_is_empty(&session->out) &&
	    list_is_empty(&session->slots) && (session->parked == NULL || session->blocked != NULL);
}

void connection_send(struct connection *connection)
{
	struct session *session = &connection->session;
	if (session->overflowed) {
		connection_close(connection);
		return;
	}
	if (session->closing || connection->send_busy)
		return;
	if (reply_is_empty(&session->out)) {
		if ((session->close_after_reply || connection->ended) &&
		    connection_is_drained(connection))
			connection_close(connection);
		return;
	}
	ASSERT(reply_is_empty(&connection->sending));
	struct reply swap = connection->sending;
	connection->sending = session->out;
	session->out = swap;
	session->out.resp = session->resp;
	connection->sent_bytes = 0;
	connection->sent_refs = 0;
	iov_reserve(connection);
	send_rest(connection);
}

static void on_sent(struct io_stream *stream, enum err err)
{
	struct connection *connection = connection_of(stream);
	connection->send_busy = connection->session.sending = false;
	if (connection->session.closing)
		return;
	if (err != OK) {
		connection_close(connection);
		return;
	}
	struct reply *reply = &connection->sending;
	for (uint32_t i = connection->sent_refs; i < connection->batch_refs; i++) {
		reply->refs[i].release(reply->refs[i].owner);
		reply->ref_bytes -= reply->refs[i].span.len;
	}
	connection->sent_bytes = connection->batch_bytes;
	connection->sent_refs = connection->batch_refs;
	if (connection->sent_bytes < reply->bytes.len || connection->sent_refs < reply->ref_count) {
		send_rest(connection);
		return;
	}
	reply->ref_count = 0;             /* released above, each as it left */
	connection->sent_refs = 0;
	connection->sent_bytes = 0;
	reply_clear(reply);
	if (reply->bytes.cap > OUT_KEPT || reply->ref_cap > 0)
		reply_fini(reply);
	iov_release(connection);
	connection_mark_dirty(connection);
}

/* ---- Input ---- */

static void on_received(struct io_stream *stream, struct span bytes, enum err err)
{
	struct connection *connection = connection_of(stream);
	if (connection->session.closing)
		return;
	if (err != OK) {
		connection_close(connection);
	} else if (bytes.len == 0) {
		connection->ended = true;         /* replies under way still leave */
		connection->reading = false;
		connection_mark_dirty(connection);
	} else {
		connection_received(connection, bytes);
	}
}

static void on_paused(struct io_stream *stream)
{
	connection_paused(connection_of(stream));
}

static void on_filled(struct io_stream *stream, size_t bytes, enum err err)
{
	connection_filled(connection_of(stream), bytes, err);
}

/* ---- Life ---- */

static void on_closed(struct io_stream *stream)
{
	struct connection *connection = connection_of(stream);
	struct server *server = connection->server;
	iov_release(connection);
	body_unref(connection->orphan);
	connection_head_free(connection);
	/* References that have left were released as they left. */
	struct reply *sending = &connection->sending;
	sending->ref_count -= connection->sent_refs;
	if (sending->ref_count > 0)
		memmove(sending->refs, sending->refs + connection->sent_refs,
		    sending->ref_count * sizeof(*sending->refs));
	reply_fini(&connection->sending);
	list_remove(&connection->link);
	server->connection_count--;
	DROP_OBJ(connection, CONNECTION_MAGIC);
	memory_free(&server->memory, connection, sizeof(*connection));
}

void connection_close(struct connection *connection)
{
	struct server *server = connection->server;
	CHECK_OBJ(connection, CONNECTION_MAGIC);
	if (connection->session.closing)
		return;
	io_timer_cancel(server->io, &connection->deadline);
	connection->session.closing = true;
	list_remove(&connection->turn);
	if (connection->is_dirty)
		list_remove(&connection->dirty);
	connection->is_dirty = false;
	if (connection->filling && connection->body != NULL)
		connection->orphan = body_ref(connection->body);
	connection_input_fini(connection);
	session_fini(&connection->session);
	io_stream_close(server->io, &connection->stream);
}

static void on_deadline(struct io_timer *timer)
{
	struct connection *connection = timer->ctx;
	CHECK_OBJ(connection, CONNECTION_MAGIC);
	if (!connection->session.authenticated)
		connection_close(connection);
}

static const struct io_stream_events stream_events = {
    .received = on_received,
    .sent = on_sent,
    .paused = on_paused,
    .filled = on_filled,
    .closed = on_closed,
};

/* Why a new connection is not wanted, as the error to send; NULL: it is. */
static const char *refusal(const struct server *server, const struct connection *connection)
{
	const struct settings *settings = server->settings;
	const char *address = connection->session.address;
	bool loopback = connection->session.unix_socket || strncmp(address, "127.", 4) == 0 ||
	    strncmp(address, "[::1]", 5) == 0 || strncmp(address, "sim", 3) == 0;
	if (server->connection_count > settings->maxclients)
		return "ERR max number of clients reached";
	if (settings->protected_mode && server->engine->users->first->is_open && !loopback)
		return "DENIED Tintype is running in protected mode because protected mode is enabled and no "
		       "password is set: connections are only accepted from the loopback interface. "
		       "Set requirepass, or protected-mode no.";
	return NULL;
}

static void connection_open(struct connection *connection, int fd, enum arrival arrival)
{
	struct server *server = connection->server;
	struct session *session = &connection->session;
	session->unix_socket = arrival == ARRIVAL_UNIX;
	session->fd = fd;
	if (arrival == ARRIVAL_TLS)
		tls_stream_open(server->tls, &connection->stream,
		    &(struct tls_stream_options){.fd = fd}, &stream_events, connection);
	else
		io_stream_open(server->io, &connection->stream, fd, &stream_events, connection);
	io_stream_address(server->io, &connection->stream, false, session->address);
	io_stream_address(server->io, &connection->stream, true, session->local_address);
}

void connection_new(struct server *server, int fd, enum arrival arrival)
{
	struct connection *connection = memory_zalloc(&server->memory, sizeof(*connection));
	connection->magic = CONNECTION_MAGIC;
	connection->server = server;
	connection->iov = connection->iov_few;
	connection->iov_cap = sizeof(connection->iov_few) / sizeof(connection->iov_few[0]);
	connection->reading = true;
	list_init(&connection->dirty);
	list_init(&connection->turn);
	list_append(&server->connections, &connection->link);
	server->connection_count++;
	buf_init(&connection->in, &server->memory);
	resp_parser_reset(&connection->parser);
	io_timer_init(&connection->deadline, on_deadline, connection);
	session_init(&connection->session, server->engine, &session_ops);
	reply_init(&connection->sending, &server->engine->memory.replies, 2);
	connection_open(connection, fd, arrival);
	const char *why = refusal(server, connection);
	if (why != NULL) {
		server->engine->counters.connections_rejected++;
		session_error(&connection->session, why);
		connection->session.close_after_reply = true;
		connection_mark_dirty(connection);
	} else if (!connection->session.authenticated) {
		io_timer_set(server->io, &connection->deadline, PREAUTH_MS_MAX * 1000ULL);
	}
}
