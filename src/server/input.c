/* server/input.c: from received bytes to executed requests.
 *
 * Requests are parsed where they lie, up to BATCH_REQUESTS at a time: all keys of a batch
 * are hashed and their buckets and entries prefetched before the first one is executed.
 * Only the tail of an incomplete request is copied into `in`, or what comes when the connection has had its
 * turn: so long its commands may run in one pass, and then others come first. An argument over
 * RESP_BULK_DIRECT goes into a body: first what has arrived, then, when much is missing,
 * straight from the socket. A client that sends one such argument will send more: from then
 * on the connection reads a few bytes of its own at a time, the head of the next request, so
 * that the body behind it is not copied, until heads without a body come.
 */
#include "server/connection.h"

#include "base/arith.h"
#include "commands/commands.h"
#include "engine/collection/collection.h"

#include <stdio.h>

enum {
	DIRECT_MIN = 64 << 10,   /* missing bytes that are worth leaving the shared buffers */
	DIRECT_STEP = 256 << 10, /* checksums advance in such steps */
	HEAD_BYTES = 1 << 10,
	SMALL_HEADS_MAX = 4,
	HELD_SLOTS = 1024,
	HELD_BODY_BYTES = 64 << 20,
	HELLO_ARGS = 7,
	BLOCKED_BYTES_MAX = 64 << 10,
	YIELDED_BYTES_MAX = 1 << 20,
	TURN_US = 1000,          /* at least one command */
	TURN_ALONE_US = 4000,    /* where nobody else was heard for ALONE_US */
	ALONE_US = 1000000,
};

struct batch {
	struct request request[BATCH_REQUESTS];
	size_t         end[BATCH_REQUESTS];      /* offset behind the request */
	uint32_t       count, args;
};

bool connection_is_held(const struct connection *connection)
{
	const struct session *session = &connection->session;
	const struct settings *settings = connection->server->settings;
	if (session->parked != NULL || connection->yielded || session->slot_count > HELD_SLOTS ||
	    session->pending_bytes > HELD_BODY_BYTES)
		return true;
	if (session->streams)                 /* what a follower says makes no output, and is urgent */
		return false;
	return session->out.bytes.len + connection->sending.bytes.len >
	    settings->client_output_limit ||
	    session->out.ref_bytes + connection->sending.ref_bytes > HELD_BODY_BYTES;
}

static struct resp_limits connection_limits(const struct connection *connection)
{
	bool authenticated = connection->session.authenticated;
	const struct settings *settings = connection->server->settings;
	return (struct resp_limits){
		.args_max = authenticated ? RESP_ARGS_MAX : HELLO_ARGS,
		.bulk_bytes_max = authenticated ? settings->proto_max_bulk_len : RESP_PREAUTH_BYTES,
		.inline_bytes_max = authenticated ? RESP_INLINE_MAX : RESP_PREAUTH_BYTES,
		.direct_bytes = RESP_BULK_DIRECT, .authenticated = authenticated,
	};
}

static void connection_protocol_error(struct connection *connection, const char *text)
{
	char line[160];
	struct engine *engine = connection->server->engine;
	snprintf(line, sizeof(line), "ERR %s", text);
	engine->counters.protocol_errors++;
	session_error(&connection->session, line);
	connection->session.close_after_reply = true;
	connection_mark_dirty(connection);
}

static void bodies_clear(struct connection *connection)
{
	for (uint32_t i = 0; i < connection->body_count; i++)
		body_unref(connection->bodies[i]);
	connection->body_count = 0;
	connection->refused = OK;
}

/* ---- Executing ---- */

/* The reply to a request whose argument was not taken. */
static void execute_refused(struct connection *connection)
{
	char text[160];
	if (connection->refused == ERR_TOOLARGE)
		snprintf(text, sizeof(text), "TOOLARGE %s", connection->refused_limit);
	else
		error_text(connection->refused, (struct span){0}, text, sizeof(text));
	session_error(&connection->session, text);
}

/* ---- Turns ---- */

static void turn_begin(struct connection *connection)
{
	const struct server *server = connection->server;
	const struct engine *engine = server->engine;
	bool alone = io_now_us(server->io) - server->heard_another_us > ALONE_US;
	uint64_t limit_us = alone ? TURN_ALONE_US : TURN_US;
	if (connection->turn_pass != engine->counters.passes)
		connection->turn_used_us = 0;
	connection->turn_pass = engine->counters.passes;
	connection->turn_end_us =
	    engine->clock_us + limit_us - min_u64(limit_us, connection->turn_used_us);
	connection->turn_from_us = engine->clock_us;
}

static void turn_end(struct connection *connection)
{
	connection->turn_used_us += connection->server->engine->clock_us - connection->turn_from_us;
}

static inline void turn_check(struct connection *connection)
{
	struct server *server = connection->server;
	if (LIKELY(server->engine->clock_us <= connection->turn_end_us) || connection->yielded ||
	    connection->session.closing)
		return;
	connection->yielded = true;
	list_append(&server->turns, &connection->turn);
}

/* Somebody else's input, but of the one that was heard last. */
static void turn_note(struct connection *connection, uint64_t now_us)
{
	struct server *server = connection->server;
	if (server->heard_id == connection->session.id)
		return;
	server->heard_id = connection->session.id;
	server->heard_another_us = now_us;
}

/* False: what follows must wait (or the connection ends). */
static bool execute_one(struct connection *connection, const struct request *request)
{
	struct session *session = &connection->session;
	if (request->argc > RESP_PREAUTH_ARGS && !session->authenticated &&
	    !span_is(request->argv[0], "HELLO")) {
		connection_protocol_error(
		    connection, "Protocol error: unauthenticated multibulk length");
		return false;
	}
	if (connection->refused != OK)
		execute_refused(connection);
	else
		(void)command_execute(session, request);
	turn_check(connection);
	return !session->close_after_reply && !session->closing && !connection_is_held(connection);
}

/* Executes a batch; returns the offset behind the last request that was executed. */
static size_t execute_batch(struct connection *connection, struct batch *batch)
{
	struct engine *engine = connection->server->engine;
	struct directory *directory = &engine->directories[connection->session.db];
	uint32_t count = batch->count;
	for (uint32_t i = 0; count > 1 && i < count; i++) {
		struct request *request = &batch->request[i];
		if (request->argc < 2)
			continue;
		request->hash = directory_hash(directory, request->argv[1]);
		request->has_hash = true;
		directory_prefetch(directory, request->hash);
	}
	for (uint32_t i = 0; count > 1 && i < count; i++)
		if (batch->request[i].has_hash)
			directory_prefetch_entry(directory, batch->request[i].hash);
	/* What follows is likely to be what was before: that tells whether there are members to be found. */
	const struct command *last = connection->session.last_command;
	if (count > 1 && last != NULL && (last->acl & (ACL_HASH | ACL_SET | ACL_SORTEDSET)) != 0)
		collections_prefetch(directory, batch->request, count);
	for (uint32_t i = 0; i < count; i++)
		if (!execute_one(connection, &batch->request[i]))
			return batch->end[i];
	return count == 0 ? 0 : batch->end[count - 1];
}

/* ---- Building requests ---- */

/* Arguments of a complete request as spans, into argv. */
static void resolve_args(struct connection *connection, const uint8_t *base, struct span *argv)
{
	const struct resp_parser *parser = &connection->parser;
	for (uint32_t i = 0; i < parser->argc; i++) {
		struct resp_arg arg = parser->args[i];
		if (arg.len != RESP_ARG_BODY)
			argv[i] = span_of(base + arg.offset, arg.len);
		else if (connection->bodies[arg.offset] != NULL)
			argv[i] = body_span(connection->bodies[arg.offset]);
		else
			argv[i] = (struct span){0};
	}
}

/* A request with bodies, or with more arguments than a batch holds: executed alone. */
static bool execute_large(struct connection *connection, const uint8_t *base)
{
	struct server *server = connection->server;
	const struct resp_parser *parser = &connection->parser;
	size_t each = sizeof(struct span) + sizeof(struct body *);
	struct span *argv = memory_alloc(&server->memory, parser->argc * each);
	struct body **bodies = (struct body **)(void *)(argv + parser->argc);
	resolve_args(connection, base, argv);
	for (uint32_t i = 0; i < parser->argc; i++)
		bodies[i] = parser->args[i].len == RESP_ARG_BODY
		    ? connection->bodies[parser->args[i].offset]
		    : NULL;
	struct request request = {.argc = parser->argc, .argv = argv, .bodies = bodies};
	bool go_on = execute_one(connection, &request);
	memory_free(&server->memory, argv, parser->argc * each);
	bodies_clear(connection);
	return go_on;
}

static bool execute_inline(struct connection *connection, struct span line)
{
	struct server *server = connection->server;
	uint32_t count;
	while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
		line.len--;
	enum err err = resp_split_words(line, server->words, server->argv, BATCH_ARGS, &count);
	if (err != OK) {
		connection_protocol_error(connection,
		    err == ERR_INVALID ? "Protocol error: unbalanced quotes in request"
		                       : "Protocol error: too many inline words");
		return false;
	}
	if (count == 0)
		return true;
	struct request request = {.argc = count, .argv = server->argv};
	return execute_one(connection, &request);
}

/* The parser's arguments move from the shared vector into the connection's own. */
static void keep_args(struct connection *connection, uint32_t cap)
{
	struct resp_parser *parser = &connection->parser;
	if (parser->args == connection->own_args && cap <= connection->own_args_cap)
		return;
	if (cap > connection->own_args_cap) {
		connection->own_args = memory_resize(&connection->server->memory,
		    connection->own_args, connection->own_args_cap * sizeof(*parser->args),
		    cap * sizeof(*parser->args));
		connection->own_args_cap = cap;
	}
	if (parser->argc > 0 && parser->args != connection->own_args)
		memcpy(connection->own_args, parser->args, parser->argc * sizeof(*parser->args));
	parser->args = connection->own_args;
	parser->args_cap = connection->own_args_cap;
}

static void drop_args(struct connection *connection)
{
	if (connection->own_args == NULL)
		return;
	memory_free(&connection->server->memory, connection->own_args,
	    connection->own_args_cap * sizeof(*connection->own_args));
	connection->own_args = NULL;
	connection->own_args_cap = 0;
	connection->parser.args = NULL;
	connection->parser.args_cap = 0;
}

/* An argument of body_bytes follows: where shall it go? */
static void begin_body(struct connection *connection, const uint8_t *base)
{
	struct server *server = connection->server;
	const struct settings *settings = server->settings;
	struct resp_parser *parser = &connection->parser;
	uint64_t len = parser->body_bytes;
	struct span name = {0};
	enum err err = OK;
	if (parser->argc > 0 && parser->args[0].len != RESP_ARG_BODY)
		name = span_of(base + parser->args[0].offset, parser->args[0].len);
	bool pooled = name.len > 0 && command_takes_pool_body(server->engine, name, parser->argc);
	connection->body = NULL;
	connection->left = len;
	if (pooled && len > settings->image_max_bytes) {
		err = ERR_TOOLARGE;
		connection->refused_limit = "image-max-bytes";
	} else if (pooled) {
		err = body_new(server->engine->pool, len, &connection->body);
	} else {
		err = body_new_heap(&server->engine->memory.values, len, &connection->body);
	}
	if (connection->body_count == connection->body_cap) {
		uint32_t cap = connection->body_cap == 0 ? 2 : connection->body_cap * 2;
		connection->bodies = memory_resize(&server->memory, connection->bodies,
		    connection->body_cap * sizeof(struct body *), cap * sizeof(struct body *));
		connection->body_cap = cap;
	}
	connection->bodies[connection->body_count++] = connection->body;
	connection->state = err == OK ? CONNECTION_BODY : CONNECTION_DISCARD;
	if (err != OK && connection->refused == OK)
		connection->refused = err;
	if (err != OK || len < DIRECT_MIN)
		return;
	connection->small_heads = 0;
	if (connection->head == NULL)
		connection->head = memory_alloc(&server->memory, HEAD_BYTES);
}

enum taken { TAKEN_BATCH, TAKEN_DONE, TAKEN_LATER };

/* One complete request at `rest`: into the batch, or executed at once. *go_on turns false
 * when what follows must wait. TAKEN_LATER: the batch must be executed before it. */
static enum taken take_request(
    struct connection *connection, struct batch *batch, struct span rest, bool *go_on)
{
	struct resp_parser *parser = &connection->parser;
	bool is_inline = !parser->in_array && rest.ptr[0] != '*';
	bool large = parser->bodies > 0 || connection->refused != OK ||
	    parser->argc > BATCH_ARGS - batch->args;
	if ((is_inline || large) && batch->count > 0) {
		if (is_inline)
			resp_parser_reset(parser);
		return TAKEN_LATER;
	}
	if (is_inline) {
		*go_on = execute_inline(connection, span_slice(rest, 0, parser->at));
		return TAKEN_DONE;
	}
	if (large) {
		*go_on = execute_large(connection, rest.ptr);
		return TAKEN_DONE;
	}
	if (parser->argc == 0)
		return TAKEN_DONE;        /* "*0": nothing was asked */
	struct span *argv = connection->server->argv + batch->args;
	resolve_args(connection, rest.ptr, argv);
	batch->request[batch->count] = (struct request){.argc = parser->argc, .argv = argv};
	batch->args += parser->argc;
	return TAKEN_BATCH;
}

/* The parser stands before a request of which it has seen nothing. */
static bool parser_is_fresh(const struct connection *connection)
{
	const struct resp_parser *parser = &connection->parser;
	return !parser->in_array && parser->at == 0 && parser->scanned == 0 &&
	    connection->refused == OK && connection->session.authenticated;
}

/* Requests in the usual form, from input[*at] on, as many as are complete and fit. */
static void parse_whole(
    struct connection *connection, struct batch *batch, struct span input, size_t *at)
{
	struct span *argv = connection->server->argv + batch->args;
	size_t bytes;
	uint32_t bulk_max =
	    (uint32_t)min_u64(RESP_BULK_DIRECT, (uint64_t)connection->server->settings->proto_max_bulk_len);
	while (batch->count < BATCH_REQUESTS) {
		uint32_t argc = resp_parse_whole(span_of(input.ptr + *at, input.len - *at), argv,
		    BATCH_ARGS - batch->args, bulk_max, &bytes);
		if (argc == 0)
			return;
		struct request *request = &batch->request[batch->count];
		request->argc = argc;
		request->argv = argv;
		request->bodies = NULL;
		request->has_hash = false;
		argv += argc;
		batch->args += argc;
		*at += bytes;
		batch->end[batch->count++] = *at;
	}
}

/* What ended a run over the input. */
enum run_end { RUN_MORE, RUN_BODY, RUN_HELD, RUN_CLOSE };

/* Parses one batch from input[*at]. *at moves behind what was understood as requests. */
static enum resp_status parse_batch(
    struct connection *connection, struct batch *batch, struct span input, size_t *at, bool *go_on)
{
	struct server *server = connection->server;
	struct resp_parser *parser = &connection->parser;
	enum resp_status status = RESP_MORE;
	const struct resp_limits limits = connection_limits(connection);
	batch->count = batch->args = 0;
	if (parser_is_fresh(connection))
		parse_whole(connection, batch, input, at);
	while (batch->count < BATCH_REQUESTS && *go_on) {
		struct span rest = span_slice(input, *at, input.len);
		if (connection->own_args == NULL && parser->argc == 0) {
			parser->args = server->args;
			parser->args_cap = BATCH_ARGS;
		}
		status = resp_parse(parser, &limits, rest);
		if (status == RESP_ARGS) {
			keep_args(connection, parser->argc_total);
			continue;
		}
		if (status != RESP_REQUEST)
			break;
		enum taken taken = take_request(connection, batch, rest, go_on);
		if (taken == TAKEN_LATER)
			break;
		if (taken == TAKEN_BATCH)
			batch->end[batch->count++] = *at + parser->at;
		*at += parser->at;
		drop_args(connection);
		resp_parser_reset(parser);
		if (!connection->session.authenticated)
			break;            /* limits may change with every command */
	}
	return status;
}

/* Executes all complete requests of `input`; *used becomes the offset of the first byte
 * that was not consumed. */
static enum run_end run_input(struct connection *connection, struct span input, size_t *used)
{
	struct batch batch;
	struct session *session = &connection->session;
	*used = 0;
	for (;;) {
		bool go_on = true;
		size_t at = *used;
		enum resp_status status = parse_batch(connection, &batch, input, &at, &go_on);
		if (batch.count > 0) {
			size_t done = execute_batch(connection, &batch);
			bool all = done == batch.end[batch.count - 1];
			if (!all || connection_is_held(connection) || session->close_after_reply) {
				/* The parser may be inside a later request: it begins again there. */
				drop_args(connection);
				resp_parser_reset(&connection->parser);
				*used = done;
				return session->close_after_reply ? RUN_CLOSE : RUN_HELD;
			}
		}
		*used = at;
		if (session->close_after_reply || session->closing)
			return RUN_CLOSE;
		if (!go_on || connection_is_held(connection))
			return RUN_HELD;
		if (status == RESP_ERROR) {
			connection_protocol_error(connection, connection->parser.error);
			return RUN_CLOSE;
		}
		if (status == RESP_BODY) {
			keep_args(connection, connection->parser.argc_total);
			begin_body(connection, input.ptr + at);
			*used = at;
			return RUN_BODY;
		}
		if (status == RESP_MORE && batch.count == 0) {
			if (connection->parser.argc > 0)
				keep_args(connection, connection->parser.argc_total);
			return RUN_MORE;
		}
	}
}

/* ---- Bytes ---- */

/* Feeds a body or a discarded argument; returns how many bytes were taken. */
static size_t feed_body(struct connection *connection, struct span bytes)
{
	size_t count = (size_t)min_u64(bytes.len, connection->left);
	if (connection->state == CONNECTION_BODY && count > 0) {
		memcpy(connection->body->ptr + connection->body->filled, bytes.ptr, count);
		body_advance(connection->body, count);
	}
	connection->left -= count;
	if (connection->left == 0) {
		connection->state = CONNECTION_PARSE;
		connection->body = NULL;
		resp_body_done(&connection->parser);
	}
	return count;
}

static void stop_reading(struct connection *connection)
{
	if (connection->reading && !connection->pausing) {
		connection->pausing = true;
		io_stream_pause(connection->server->io, &connection->stream);
	}
}

void connection_head_free(struct connection *connection)
{
	memory_free(&connection->server->memory, connection->head, HEAD_BYTES);
	connection->head = NULL;
}

static void start_reading(struct connection *connection)
{
	if (!connection->paused || connection->filling || connection->session.closing)
		return;
	if (connection->head != NULL && connection->small_heads < SMALL_HEADS_MAX) {
		connection->filling = connection->heading = true;
		io_stream_receive_into(connection->server->io, &connection->stream,
		    connection->head, 1, HEAD_BYTES);
		return;
	}
	if (connection->head != NULL)
		connection_head_free(connection);
	connection->paused = connection->pausing = false;
	connection->reading = true;
	io_stream_resume(connection->server->io, &connection->stream);
}

/* The next step of a body that is received straight into place. */
static void fill_more(struct connection *connection)
{
	uint64_t step = min_u64(connection->left, DIRECT_STEP);
	connection->filling = true;
	io_stream_receive_into(connection->server->io, &connection->stream,
	    connection->body->ptr + connection->body->filled, (size_t)step, (size_t)step);
}

/* Of what was kept, so much is done. The rest moves to the front only when it is the smaller half. */
static void kept_consume(struct connection *connection, size_t bytes)
{
	struct buf *in = &connection->in;
	if (connection->session.closing)
		return;                       /* it is gone already */
	connection->in_done += bytes;
	ASSERT(connection->in_done <= in->len);
	if (connection->in_done < in->len - connection->in_done)
		return;
	buf_consume(in, connection->in_done);
	connection->in_done = 0;
}

static struct span kept_span(const struct connection *connection)
{
	return span_slice(buf_span(&connection->in), connection->in_done, connection->in.len);
}

/* Executes what `in` holds; a body whose bytes stand in it is fed from there. True: held. */
static bool run_kept(struct connection *connection)
{
	while (connection->in.len > 0 && connection->state == CONNECTION_PARSE) {
		size_t used;
		enum run_end end = run_input(connection, kept_span(connection), &used);
		if (end != RUN_BODY) {
			kept_consume(connection, used);
			return end == RUN_HELD;
		}
		/* The head of the request, which is short, moves over the bytes that were its body. */
		uint8_t *request = connection->in.ptr + connection->in_done + used;
		size_t head = connection->parser.at;
		size_t fed = feed_body(connection, span_slice(kept_span(connection), used + head, SIZE_MAX));
		memmove(request + fed, request, head);
		kept_consume(connection, used + fed);
		if (connection->state != CONNECTION_PARSE)
			return false;
	}
	return false;
}

/* Executes what stands in `bytes` itself, where nothing was kept. Returns how many bytes
 * were used up. */
static size_t run_fresh(struct connection *connection, struct span bytes, bool *held)
{
	size_t used;
	ASSERT(connection->in.len == 0);
	enum run_end end = run_input(connection, bytes, &used);
	*held = end == RUN_HELD;
	if (end != RUN_BODY)
		return used;
	size_t head = connection->parser.at;
	buf_append(&connection->in, span_slice(bytes, used, head));
	return used + head;
}

/* Handles newly received bytes; all of them are used up or kept. True: held. */
static bool handle_bytes(struct connection *connection, struct span bytes)
{
	struct session *session = &connection->session;
	bool held = connection_is_held(connection);
	while (bytes.len > 0 && !session->close_after_reply && !session->closing) {
		if (connection->state != CONNECTION_PARSE) {
			size_t fed = feed_body(connection, bytes);
			bytes = span_slice(bytes, fed, bytes.len);
			continue;
		}
		if (held || connection->in.len > 0) {
			buf_append(&connection->in, bytes);
			return held || run_kept(connection);
		}
		size_t used = run_fresh(connection, bytes, &held);
		bytes = span_slice(bytes, used, bytes.len);
		if (connection->state == CONNECTION_PARSE && !session->close_after_reply) {
			buf_append(&connection->in, bytes); /* an incomplete request, or held */
			return held;
		}
	}
	return held;
}

/* Decides whether to go on reading. */
static void after_bytes(struct connection *connection, bool held)
{
	struct session *session = &connection->session;
	const struct settings *settings = connection->server->settings;
	if (session->close_after_reply || session->closing) {
		buf_clear(&connection->in);
		connection->in_done = 0;
		return;
	}
	size_t waiting = connection->in.len - connection->in_done;
	session->input_bytes = waiting;
	connection->was_held = held;
	if (waiting > settings->client_query_buffer_limit) {
		log_warning(connection->server->log,
		    "client id=%llu closed: client-query-buffer-limit",
		    (unsigned long long)session->id);
		connection_close(connection);
		return;
	}
	/* Who waits for a key may wait for ever: it is heard, to notice when it leaves. */
	bool listens = session->blocked != NULL && waiting <= BLOCKED_BYTES_MAX;
	/* Who has had its turn goes on soon. */
	listens |= connection->yielded && waiting <= YIELDED_BYTES_MAX;
	if ((held && !listens) || connection->head != NULL)
		stop_reading(connection);
	if (connection->in.len == 0 && connection->in.cap > 1024)
		buf_fini(&connection->in);
}

void connection_received(struct connection *connection, struct span bytes)
{
	struct engine *engine = connection->server->engine;
	uint64_t now_us = io_now_us(connection->server->io);
	connection->session.active_us = now_us;
	/* The first command after a wait does not answer for the time in which nobody asked for anything. */
	engine->clock_us = max_u64(engine->clock_us, now_us);
	turn_note(connection, now_us);
	turn_begin(connection);
	bool held = handle_bytes(connection, bytes);
	turn_end(connection);
	after_bytes(connection, held);
	connection_mark_dirty(connection);
}

void connection_continue(struct connection *connection)
{
	bool held = false;
	if (connection->session.closing || connection->session.close_after_reply ||
	    connection_is_held(connection))
		return;
	if (connection->was_held && connection->state == CONNECTION_PARSE &&
	    connection->in.len > 0) {
		turn_begin(connection);
		held = run_kept(connection);
		turn_end(connection);
		after_bytes(connection, held);
		connection_mark_dirty(connection);
	}
	if (held || !connection->paused || connection->filling ||
	    connection->session.close_after_reply)
		return;
	if (connection->state == CONNECTION_BODY && connection->head != NULL)
		fill_more(connection);
	else
		start_reading(connection);
}

void connection_take_turn(struct connection *connection)
{
	ASSERT(connection->yielded);
	connection->yielded = false;
	connection_continue(connection);
	connection_mark_dirty(connection);
}

void connection_paused(struct connection *connection)
{
	connection->reading = false;
	connection->paused = true;
	connection->pausing = false;
	if (connection->session.closing)
		return;
	if (connection->state == CONNECTION_BODY)
		fill_more(connection);
	else if (!connection_is_held(connection))
		connection_continue(connection);
}

/* The head of a request came, and perhaps more. */
static void connection_headed(struct connection *connection, size_t bytes, enum err err)
{
	connection->heading = false;
	if (err == ERR_CLOSED && bytes == 0) {
		connection->ended = true;         /* replies under way still leave */
		connection_mark_dirty(connection);
		return;
	}
	if (err != OK) {
		connection_close(connection);
		return;
	}
	connection_received(connection, span_of(connection->head, bytes));
	if (connection->session.closing || connection->session.close_after_reply)
		return;
	if (connection->state == CONNECTION_BODY) {
		fill_more(connection);
	} else if (!connection_is_held(connection)) {
		connection->small_heads++;
		start_reading(connection);
	}
}

void connection_filled(struct connection *connection, size_t bytes, enum err err)
{
	connection->filling = false;
	if (connection->session.closing)
		return;
	if (connection->heading) {
		connection_headed(connection, bytes, err);
		return;
	}
	ASSERT(connection->state == CONNECTION_BODY);
	connection->session.active_us = io_now_us(connection->server->io);
	body_advance(connection->body, bytes);
	connection->left -= bytes;
	if (err != OK || connection->ended) {
		connection_close(connection);
		return;
	}
	if (connection->left > 0) {
		fill_more(connection);
		return;
	}
	connection->state = CONNECTION_PARSE;
	connection->body = NULL;
	resp_body_done(&connection->parser);
	start_reading(connection);
}

void connection_input_fini(struct connection *connection)
{
	bodies_clear(connection);
	memory_free(&connection->server->memory, connection->bodies,
	    connection->body_cap * sizeof(struct body *));
	connection->bodies = NULL;
	connection->body_cap = 0;
	drop_args(connection);
	buf_fini(&connection->in);
	connection->in_done = 0;
}
