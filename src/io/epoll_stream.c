/* io/epoll_stream.c: connected sockets with epoll.
 *
 * A socket is registered once, edge-triggered for both directions, and never again: what an
 * edge said is remembered (a stream in `ready` may have bytes) until the kernel answers that
 * there are no more. A short receive says so too, unless the peer ended its side, since then
 * the end itself is still to be read and no further edge will tell.
 *
 * Sends are tried at the beginning of a pass, all together.
 */
#include "io/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* io_stream.opaque[0]: the peer's end, or an error, is waiting behind the bytes. */
static bool end_is_near(const struct io_stream *stream)
{
	return stream->opaque[0] != 0;
}

static bool wants_bytes(const struct io_stream *stream)
{
	return !stream->closing &&
	    (stream->mode == STREAM_RECEIVING || stream->mode == STREAM_FILLING);
}

static void ready_add(struct epoll *epoll, struct io_stream *stream)
{
	list_remove(&stream->receive_op.link);
	list_append(&epoll->ready, &stream->receive_op.link);
}

void epoll_stream_open(struct io *io, struct io_stream *stream)
{
	struct epoll *epoll = epoll_of(io);
	int flags = fcntl(stream->fd, F_GETFL);
	ASSERT(flags >= 0);
	int rc = fcntl(stream->fd, F_SETFL, flags | O_NONBLOCK);
	ASSERT(rc == 0);
	stream->armed = epoll_watch(epoll, &stream->receive_op, stream->fd,
	    EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	if (!stream->armed)
		epoll_defer(epoll, &stream->receive_op, -errno);
}

void epoll_stream_send(struct io *io, struct io_stream *stream)
{
	list_append(&epoll_of(io)->sending, &stream->send_op.link);
}

void epoll_stream_pause(struct io *io, struct io_stream *stream)
{
	list_remove(&stream->receive_op.link);
	epoll_defer(epoll_of(io), &stream->cancel_op, 0);
}

/* What edges said meanwhile is not known any more: asking is cheap. */
void epoll_stream_resume(struct io *io, struct io_stream *stream)
{
	ready_add(epoll_of(io), stream);
}

void epoll_stream_fill(struct io *io, struct io_stream *stream)
{
	ready_add(epoll_of(io), stream);
}

void epoll_stream_close(struct io *io, struct io_stream *stream)
{
	struct epoll *epoll = epoll_of(io);
	if (stream->mode == STREAM_FILLING)
		io_regain(&stream->fill, 1);
	list_remove(&stream->receive_op.link);
	list_remove(&stream->send_op.link);
	list_remove(&stream->cancel_op.link);
	if (stream->armed)
		epoll_ctl(epoll->epoll_fd, EPOLL_CTL_DEL, stream->fd, NULL);
	shutdown(stream->fd, SHUT_RDWR);
	close(stream->fd);
	stream->fd = -1;
	epoll_defer(epoll, &stream->close_op, 0);
}

void epoll_stream_event(struct epoll *epoll, struct io_stream *stream, uint32_t events)
{
	/* Closed by a callback of this very pass. */
	if (stream->closing)
		return;
	CHECK_OBJ(stream, IO_STREAM_MAGIC);
	if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		stream->opaque[0] = 1;
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && wants_bytes(stream))
		ready_add(epoll, stream);
	if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && stream->sending &&
	    list_is_empty(&stream->send_op.link))
		list_append(&epoll->sending, &stream->send_op.link);
}

/* ---- Sending ------------------------------------------------------------------------------ */

/* 0, or -errno. */
static int32_t send_copy(struct epoll *epoll, struct io_stream *stream)
{
	uint32_t count = host_copied_entries(stream);
	struct msghdr message = {.msg_iov = stream->send_iov, .msg_iovlen = count};
	int more = count < stream->send_iov_count ? MSG_MORE : 0;
	ssize_t sent = sendmsg(stream->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT | more);
	epoll->io.stats.enters++;
	if (sent < 0)
		return errno == EINTR ? 0 : -errno;
	host_sent(&epoll->io, stream, (size_t)sent);
	return 0;
}

static void send_try(struct epoll *epoll, struct io_stream *stream)
{
	while (stream->send_iov_count > 0) {
		bool splices = host_splice_is_due(&epoll->io, stream);
		int32_t result = splices ? host_splice_send(&epoll->io, stream) : send_copy(epoll, stream);
		if (result == -EAGAIN)
			return;
		if (result != 0) {
			epoll_defer(epoll, &stream->send_op, result);
			return;
		}
	}
	epoll_defer(epoll, &stream->send_op, 0);
}

void epoll_sends_try(struct epoll *epoll)
{
	while (!list_is_empty(&epoll->sending)) {
		struct io_op *op = LIST_OF(epoll->sending.next, struct io_op, link);
		list_remove(&op->link);
		send_try(epoll, CONTAINER_OF(op, struct io_stream, send_op));
	}
}

/* ---- Receiving ---------------------------------------------------------------------------- */

static ssize_t receive(struct epoll *epoll, struct io_stream *stream, void *to, size_t len)
{
	ssize_t got;
	do
		got = recv(stream->fd, to, len, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	epoll->io.stats.enters++;
	if (got > 0)
		epoll->io.stats.bytes_received += (uint64_t)got;
	return got;
}

static void receive_step(struct epoll *epoll, struct io_stream *stream)
{
	ssize_t got = receive(epoll, stream, epoll->receive_buffer, EPOLL_RECEIVE_BYTES);
	if (got < 0 && errno == EAGAIN)
		return;
	epoll->ran++;
	if (got <= 0) {
		enum err err = got == 0 ? OK : io_err(-errno);
		stream->events->received(stream, (struct span){0}, err);
		return;
	}
	if (got == EPOLL_RECEIVE_BYTES || end_is_near(stream))
		ready_add(epoll, stream);
	stream->events->received(stream, span_of(epoll->receive_buffer, (size_t)got), OK);
}

static void fill_step(struct epoll *epoll, struct io_stream *stream)
{
	enum err err = OK;
	io_regain(&stream->fill, 1);
	while (stream->filled_bytes < stream->fill.iov_len) {
		ssize_t got =
		    receive(epoll, stream, (char *)stream->fill.iov_base + stream->filled_bytes,
		        stream->fill.iov_len - stream->filled_bytes);
		bool enough = stream->filled_bytes >= stream->fill_min;
		if (got < 0 && errno == EAGAIN && !enough) {
			io_lend(&stream->fill, 1, true);
			return;
		}
		if (got <= 0) {
			if (enough)
				break;            /* an end or an error will be told again */
			err = got == 0 ? ERR_CLOSED : io_err(-errno);
			break;
		}
		stream->filled_bytes += (size_t)got;
	}
	stream->mode = STREAM_PAUSED;
	epoll->ran++;
	stream->events->filled(stream, stream->filled_bytes, err);
}

/* One receive of each: those that have more stay ready for the next pass. */
void epoll_streams_receive(struct epoll *epoll)
{
	struct list now;
	list_init(&now);
	while (!list_is_empty(&epoll->ready)) {
		struct list *node = epoll->ready.next;
		list_remove(node);
		list_append(&now, node);
	}
	while (!list_is_empty(&now)) {
		struct io_op *op = LIST_OF(now.next, struct io_op, link);
		struct io_stream *stream = CONTAINER_OF(op, struct io_stream, receive_op);
		list_remove(&op->link);
		ASSERT(wants_bytes(stream));
		if (stream->mode == STREAM_FILLING)
			fill_step(epoll, stream);
		else
			receive_step(epoll, stream);
	}
}

void epoll_stream_deferred(struct epoll *epoll, struct io_op *op)
{
	UNUSED(epoll);
	if (op->kind == IO_KIND_STREAM_CLOSE) {
		struct io_stream *stream = CONTAINER_OF(op, struct io_stream, close_op);
		DROP_OBJ(stream, IO_STREAM_MAGIC);
		stream->events->closed(stream);
	} else if (op->kind == IO_KIND_SEND) {
		struct io_stream *stream = CONTAINER_OF(op, struct io_stream, send_op);
		stream->sending = 0;
		stream->events->sent(stream, io_err(op->result));
	} else if (op->kind == IO_KIND_CANCEL) {
		struct io_stream *stream = CONTAINER_OF(op, struct io_stream, cancel_op);
		ASSERT(stream->mode == STREAM_PAUSING);
		stream->mode = STREAM_PAUSED;
		stream->events->paused(stream);
	} else {
		ASSERT(op->kind == IO_KIND_RECEIVE);
		struct io_stream *stream = CONTAINER_OF(op, struct io_stream, receive_op);
		stream->events->received(stream, (struct span){0}, io_err(op->result));
	}
}
