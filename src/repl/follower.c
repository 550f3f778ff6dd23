/* repl/follower.c: see follower.h. The link: connecting, the handshake, reading, acknowledging. What
 * frames say is follower_take.c's. */
#include "repl/follower_parts.h"

#include <stdio.h>
#include <stdlib.h>

static void on_connected(struct io_connect *connect, int32_t fd);
static void on_timer(struct io_timer *timer);
static const struct io_stream_events stream_events;

void follower_init(struct follower *follower, const struct follower_options *options)
{
	*follower = (struct follower){.magic = FOLLOWER_MAGIC, .options = *options};
	buf_init(&follower->in, options->memory);
	buf_init(&follower->out, options->memory);
	buf_init(&follower->sent, options->memory);
	buf_init(&follower->inflated, options->memory);
	buf_init(&follower->record_bytes, options->memory);
	io_timer_init(&follower->timer, on_timer, follower);
	follower->connect.done = on_connected;
	follower->connect.ctx = follower;
	follower->backoff_ms = FOLLOWER_BACKOFF_MIN_MS;
}

static void follower_set_state(struct follower *follower, enum follower_state state)
{
	if (follower->state == state)
		return;
	if (follower->state == FOLLOWER_STREAMING || follower->state == FOLLOWER_OFF)
		follower->down_since_us = io_now_us(follower->options.io);
	follower->state = (uint8_t)state;
	follower->options.events->changed(follower->options.ctx, state);
}

static void follower_close_link(struct follower *follower)
{
	io_connect_cancel(&follower->connect);
	io_timer_cancel(follower->options.io, &follower->timer);
	follower->records = (struct span){0};
	follower->stalled = false;
	if (!follower->open || (follower->closing && !follower->draining))
		return;
	/* A last word leaves first; who comes here again waits no longer. */
	follower->draining = follower->last_word && follower->sending && !follower->closing;
	follower->closing = true;
	follower->last_word = false;
	if (!follower->draining)
		io_stream_close(follower->options.io, &follower->stream);
}

/* Later, and ever later. */
static void follower_wait(struct follower *follower)
{
	follower_close_link(follower);
	follower_set_state(follower, FOLLOWER_WAITING);
	io_timer_set(follower->options.io, &follower->timer, follower->backoff_ms * 1000ULL);
	follower->backoff_ms *= 2;
	if (follower->backoff_ms > FOLLOWER_BACKOFF_MAX_MS)
		follower->backoff_ms = FOLLOWER_BACKOFF_MAX_MS;
}

void follower_restart(struct follower *follower)
{
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (follower->state != FOLLOWER_OFF)
		follower_wait(follower);
}

void follower_fail(struct follower *follower, const char *why)
{
	log_warning(follower->options.log, "replication: the link to %s:%u is closed: %s",
	    follower->target.host, follower->target.port, why);
	follower_restart(follower);
}

static void follower_connect(struct follower *follower)
{
	if (follower->open) {                 /* the old stream is still closing */
		io_timer_set(follower->options.io, &follower->timer, 1000);
		return;
	}
	follower_set_state(follower, FOLLOWER_CONNECTING);
	io_connect_start(follower->options.io, &follower->connect, follower->target.host,
	    follower->target.port, follower->target.timeout_ms * 1000);
}

void follower_start(struct follower *follower, const struct follower_target *target)
{
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	ASSERT(target->host[0] != 0 && target->port > 0 && target->timeout_ms > 0);
	follower_close_link(follower);
	follower->target = *target;
	follower->backoff_ms = FOLLOWER_BACKOFF_MIN_MS;
	follower_set_state(follower, FOLLOWER_WAITING);
	io_timer_set(follower->options.io, &follower->timer, 0);
}

void follower_stop(struct follower *follower, bool forget)
{
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	follower_close_link(follower);
	if (forget)
		follower_drop_body(follower);
	follower->state = FOLLOWER_OFF;
}

/* ---- Sending ---- */

static void follower_send(struct follower *follower)
{
	if (follower->sending || !follower->open || follower->out.len == 0 ||
	    (follower->closing && !follower->draining))
		return;
	struct buf swap = follower->sent;
	follower->sent = follower->out;
	follower->out = swap;
	buf_clear(&follower->out);
	follower->iov = (struct iovec){follower->sent.ptr, follower->sent.len};
	follower->sending = true;
	io_stream_send(follower->options.io, &follower->stream, &follower->iov, 1);
}

static void say_word(struct follower *follower, struct span word)
{
	buf_printf(&follower->out, "$%zu\r\n", word.len);
	buf_append(&follower->out, word);
	buf_append_text(&follower->out, "\r\n");
}

/* With the check behind them, which is left in follower->asked if it is number 0. */
static void say_words(struct follower *follower, const struct span *words, uint32_t count, uint32_t number)
{
	char check[FRAME_CHECK];
	frame_check_words(words, count, number, check);
	buf_printf(&follower->out, "*%u\r\n", count + 1);
	for (uint32_t i = 0; i < count; i++)
		say_word(follower, words[i]);
	say_word(follower, span_text(check));
	if (number == 0)
		memcpy(follower->asked, check, sizeof(check));
}

static void say(struct follower *follower, uint32_t argc, const char *const *argv)
{
	buf_printf(&follower->out, "*%u\r\n", argc);
	for (uint32_t i = 0; i < argc; i++)
		buf_printf(&follower->out, "$%zu\r\n%s\r\n", strlen(argv[i]), argv[i]);
}
#define SAY(follower, ...) \
	do { \
		const char *const argv_[] = {__VA_ARGS__}; \
		say(follower, ARRAY_COUNT(argv_), argv_); \
		(follower)->lines_sent++; \
	} while (0)

void follower_ack(struct follower *follower, uint64_t applied, uint64_t durable, uint64_t received)
{
	char text[3][24];
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (follower->out.len > 4096)
		return;                       /* it does not read: the next one says as much */
	const struct span words[] = {SPAN_LIT("REPLCONF"), SPAN_LIT("ACK"), frame_word(text[0], applied),
	    frame_word(text[1], durable), frame_word(text[2], received)};
	follower_command(follower, words, ARRAY_COUNT(words));
}

void follower_say_deposed(struct follower *follower, uint32_t epoch)
{
	char text[24];
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (follower->state != FOLLOWER_STREAMING)
		return;
	const struct span words[] = {
	    SPAN_LIT("REPLCONF"), SPAN_LIT("DEPOSED"), frame_word(text, epoch)};
	follower_command(follower, words, ARRAY_COUNT(words));
	follower->last_word = true;
}

void follower_command(struct follower *follower, const struct span *words, uint32_t count)
{
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (follower->state != FOLLOWER_STREAMING)
		return;
	say_words(follower, words, count, follower->commands++);
	follower_send(follower);
}

static void say_sync(struct follower *follower)
{
	char epoch[EPOCH_TEXT], lsn[24], segment[24], partial[24], bytes[24], from[24], base[24];
	enum { COMPARES = 3 };
	struct follower_greeting own = {0};
	follower->options.events->ask(follower->options.ctx, &own);
	const struct body *body = follower->body;
	const struct span words[] = {
	    SPAN_LIT("IMG.SYNC"),
	    span_text(own.lineage[0] == 0 ? "?" : own.lineage),
	    epoch_word(epoch, &own.epoch),
	    frame_word(lsn, own.lsn),
	    frame_word(segment, follower->target.segment_bytes),
	    frame_word(partial, body == NULL ? 0 : follower->record.lsn),
	    frame_word(bytes, body == NULL ? 0 : body->filled),
	    SPAN_LIT("COMPARE"),
	    frame_word(from, own.from),
	    frame_word(base, own.base),
	};
	say_words(follower, words, ARRAY_COUNT(words) - (own.compares ? 0 : COMPARES), 0);
	follower->lines_sent++;
	follower->frames = 0;
	follower->commands = 1;
}

static void follower_greet(struct follower *follower)
{
	const struct follower_target *target = &follower->target;
	char port[8];
	follower->lines_sent = 0;
	if (target->password[0] != 0 && target->user[0] != 0)
		SAY(follower, "AUTH", target->user, target->password);
	else if (target->password[0] != 0)
		SAY(follower, "AUTH", target->password);
	snprintf(port, sizeof(port), "%u", target->announce_port);
	SAY(follower, "PING");
	SAY(follower, "REPLCONF", "listening-port", port);
	if (target->announce_ip[0] != 0)
		SAY(follower, "REPLCONF", "ip-address", target->announce_ip);
	SAY(follower, "REPLCONF", "capa", "eof", "capa", "psync2");
	say_sync(follower);
	follower->lines_due = follower->lines_sent;
	follower_send(follower);
}

/* ---- Events of the link ---- */

static void follower_arm(struct follower *follower)
{
	io_timer_set(follower->options.io, &follower->timer, follower->target.timeout_ms * 1000 / 4);
}

/* TLS wraps the descriptor here. */
static void follower_open(struct follower *follower, int fd)
{
	const struct follower_target *target = &follower->target;
	const struct tls_stream_options options = {
	    .fd = fd, .connecting = true, .host = target->host, .check_host = target->check_host};
	if (target->tls != NULL)
		tls_stream_open(target->tls, &follower->stream, &options, &stream_events, follower);
	else
		io_stream_open(follower->options.io, &follower->stream, fd, &stream_events, follower);
}

static void on_connected(struct io_connect *connect, int32_t fd)
{
	struct follower *follower = connect->ctx;
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (fd < 0) {
		log_verbose(follower->options.log, "replication: cannot connect to %s:%u: %s",
		    follower->target.host, follower->target.port, err_name(io_err(fd)));
		follower_wait(follower);
		return;
	}
	ASSERT(!follower->open);
	buf_clear(&follower->in);
	buf_clear(&follower->out);
	follower->taken = 0;
	follower->sending = follower->pausing = follower->paused = follower->closing = false;
	follower->draining = follower->last_word = false;
	follower->open = true;
	follower->heard_us = follower->connected_us = io_now_us(follower->options.io);
	follower_open(follower, fd);
	follower_set_state(follower, FOLLOWER_HANDSHAKE);
	follower_arm(follower);
	follower_greet(follower);
}

static void on_timer(struct io_timer *timer)
{
	struct follower *follower = timer->ctx;
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (follower->state == FOLLOWER_WAITING || follower->state == FOLLOWER_CONNECTING) {
		follower_connect(follower);
		return;
	}
	uint64_t silent_us = io_now_us(follower->options.io) - follower->heard_us;
	if (!follower->stalled && silent_us > follower->target.timeout_ms * 1000) {
		follower_fail(follower, "nothing came for too long");
		return;
	}
	follower_arm(follower);
}

/* The check at the end of `text`, of which it is cut off, is of the rest and of what was asked. */
static bool cut_check(const struct follower *follower, char *text, const char *before, const char *behind)
{
	char check[FRAME_CHECK];
	size_t len = strlen(text), tail = strlen(before) + FRAME_CHECK - 1 + strlen(behind);
	if (len < tail || memcmp(text + len - tail, before, strlen(before)) != 0 ||
	    memcmp(text + len - strlen(behind), behind, strlen(behind)) != 0)
		return false;
	const char *said = text + len - tail + strlen(before);
	const struct span words[] = {span_of(text, len - tail), span_text(follower->asked)};
	frame_check_words(words, ARRAY_COUNT(words), 0, check);
	if (memcmp(said, check, FRAME_CHECK - 1) != 0)
		return false;
	text[len - tail] = 0;
	return true;
}

/* The last line: +SYNC lineage epoch lsn run-id check. */
static enum err read_agreement(struct follower *follower, char *line)
{
	struct follower_greeting leader = {0};
	unsigned long long lsn;
	char epoch[EPOCH_TEXT];
	if (!cut_check(follower, line, " ", "") ||
	    sscanf(line, "+SYNC %40s %43s %llu %40s", leader.lineage, epoch, &lsn, leader.run_id) != 4 ||
	    epoch_scan(epoch, &leader.epoch) == 0)
		return ERR_INVALID;
	leader.lsn = lsn;
	enum err err = follower->options.events->agreed(follower->options.ctx, &leader);
	if (err != OK)
		return err;
	follower->backoff_ms = FOLLOWER_BACKOFF_MIN_MS;
	follower_set_state(follower, FOLLOWER_STREAMING);
	return OK;
}

/* False: the link is closed. */
static bool take_line(struct follower *follower, struct span line)
{
	char text[256];
	bool last = --follower->lines_due == 0;
	snprintf(text, sizeof(text), "%.*s", (int)(line.len < 255 ? line.len : 255),
	    (const char *)line.ptr);
	bool is_auth = follower->lines_due + 1 == follower->lines_sent && follower->target.password[0] != 0;
	if (!last && !(is_auth && text[0] == '-'))
		return true;                  /* an old leader may not know them all */
	if (last && text[0] == '+' && read_agreement(follower, text) == OK)
		return true;
	if (text[0] == '-') {
		bool sure = cut_check(follower, text, " [", "]");
		follower->options.events->refused(follower->options.ctx, span_text(text), sure);
	}
	if (follower->state == FOLLOWER_HANDSHAKE)
		follower_wait(follower);
	return false;
}

/* Lines up to the one that answers IMG.SYNC. */
static bool follower_shake_hands(struct follower *follower)
{
	enum { LINE_MAX_BYTES = 4096 };
	while (follower->state == FOLLOWER_HANDSHAKE) {
		struct span rest = span_slice(buf_span(&follower->in), follower->taken, follower->in.len);
		const uint8_t *end = rest.len == 0 ? NULL : memchr(rest.ptr, '\n', rest.len);
		if (end == NULL && rest.len > LINE_MAX_BYTES) {
			follower_fail(follower, "the peer does not speak this protocol");
			return false;
		}
		if (end == NULL)
			return false;
		size_t len = (size_t)(end - rest.ptr);
		follower->taken += len + 1;
		if (len > 0 && rest.ptr[len - 1] == '\r')
			len--;
		if (!take_line(follower, span_of(rest.ptr, len)))
			return false;
	}
	return follower->state == FOLLOWER_STREAMING;
}

/* Takes what it can of what has come. */
static void follower_go_on(struct follower *follower)
{
	if (follower->closing || !follower->open)
		return;
	if (follower->state == FOLLOWER_HANDSHAKE && !follower_shake_hands(follower))
		return;
	if (follower->state != FOLLOWER_STREAMING || !follower_take(follower))
		return;
	if (follower->taken == follower->in.len || follower->taken > FOLLOWER_INPUT_MAX / 4) {
		if (follower->records.len == 0) {     /* which may lie in there */
			buf_consume(&follower->in, follower->taken);
			follower->taken = 0;
		}
	}
	size_t waiting = follower->in.len - follower->taken;
	if (waiting > FOLLOWER_INPUT_MAX && !follower->pausing && !follower->paused) {
		follower->pausing = true;
		io_stream_pause(follower->options.io, &follower->stream);
	} else if (waiting < FOLLOWER_INPUT_MAX / 2 && follower->paused) {
		follower->paused = false;
		io_stream_resume(follower->options.io, &follower->stream);
	}
	follower->options.events->passed(follower->options.ctx);
}

void follower_resume(struct follower *follower)
{
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (!follower->stalled)
		return;
	follower->stalled = false;
	follower_go_on(follower);
}

static void on_received(struct io_stream *stream, struct span bytes, enum err err)
{
	struct follower *follower = stream->ctx;
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	if (follower->closing)
		return;
	if (err != OK || bytes.len == 0) {
		follower_fail(follower, err == OK ? "the leader ended it" : err_name(err));
		return;
	}
	follower->heard_us = io_now_us(follower->options.io);
	follower->bytes_received += bytes.len;
	follower_keep_records(follower);
	buf_append(&follower->in, bytes);
	if (!follower->stalled)
		follower_go_on(follower);
	else if (follower->in.len > FOLLOWER_INPUT_MAX && !follower->pausing && !follower->paused) {
		follower->pausing = true;
		io_stream_pause(follower->options.io, &follower->stream);
	}
}

static void on_sent(struct io_stream *stream, enum err err)
{
	struct follower *follower = stream->ctx;
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	follower->sending = false;
	if (follower->draining && err == OK && follower->out.len > 0) {
		follower_send(follower);
		return;
	}
	if (follower->draining) {
		follower->draining = false;
		io_stream_close(follower->options.io, &follower->stream);
		return;
	}
	if (follower->closing)
		return;
	if (err != OK)
		follower_fail(follower, err_name(err));
	else
		follower_send(follower);
}

static void on_paused(struct io_stream *stream)
{
	struct follower *follower = stream->ctx;
	follower->pausing = false;
	follower->paused = true;
	if (!follower->stalled)
		follower_go_on(follower);
}

static void on_filled(struct io_stream *stream, size_t bytes, enum err err)
{
	UNUSED(stream);
	UNUSED(bytes);
	UNUSED(err);
	ASSERT(false);                        /* it never asks for that */
}

static void follower_destroy(struct follower *follower)
{
	void (*freed)(void *) = follower->freed;
	void *ctx = follower->options.ctx;
	follower_drop_body(follower);
	buf_fini(&follower->in);
	buf_fini(&follower->out);
	buf_fini(&follower->sent);
	buf_fini(&follower->inflated);
	buf_fini(&follower->record_bytes);
	DROP_OBJ(follower, FOLLOWER_MAGIC);
	freed(ctx);
}

static void on_closed(struct io_stream *stream)
{
	struct follower *follower = stream->ctx;
	CHECK_OBJ(follower, FOLLOWER_MAGIC);
	follower->open = follower->closing = follower->sending = false;
	if (follower->freeing)
		follower_destroy(follower);
}

static const struct io_stream_events stream_events = {
    .received = on_received,
    .sent = on_sent,
    .paused = on_paused,
    .filled = on_filled,
    .closed = on_closed,
};

void follower_fini(struct follower *follower, void (*freed)(void *ctx))
{
	follower_stop(follower, true);
	follower_close_link(follower);        /* at once, if it was still talking */
	follower->freed = freed;
	follower->freeing = true;
	if (!follower->open)
		follower_destroy(follower);
}
