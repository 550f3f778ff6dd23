/* io/uring_stream.c: connected sockets through the ring.
 *
 * Receiving is one multishot receive into the shared buffer ring; every completion is
 * tested for F_MORE, since its absence means that nothing is armed any more, whatever the
 * result. A buffer goes back as soon as received() returned. A receive that finds the ring
 * empty ends with ENOBUFS; its stream waits in `starving` and is armed again at the end of
 * the pass, when all buffers are back.
 *
 * Pausing cancels the receive by its user_data, never by descriptor: that would take the
 * send along. While a receive is being retried by the kernel the cancellation may not find
 * it (ENOENT); it is then repeated for as long as the receive is armed.
 *
 * One send is in flight per stream: two could reorder once one of them had to wait. Pages go to the socket by
 * system calls of their own (host_splice.c), the ring only tells when there is room again.
 *
 * Closing is shutdown, then the last completions, then close: close alone neither ends a
 * pending receive nor sends a FIN.
 */
#include "io/uring.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

enum { FILL_STEP_MAX = 1 << 30 };

_Static_assert(sizeof(struct msghdr) <= sizeof(((struct io_stream *)0)->opaque), "msghdr fits");

static void receive_arm(struct uring *uring, struct io_stream *stream, enum io_kind kind)
{
	ASSERT(!stream->armed);
	ASSERT(!stream->starving);
	stream->armed = 1;
	stream->receive_op.kind = (uint8_t)kind;
	uring_start(uring, &stream->receive_op);
}

void uring_stream_open(struct io *io, struct io_stream *stream)
{
	receive_arm(uring_of(io), stream, IO_KIND_RECEIVE);
}

/* Pages leave at once; where the socket is full the ring says when there is room. */
static void send_start(struct uring *uring, struct io_stream *stream)
{
	int32_t result = 0;
	while (result == 0 && stream->send_iov_count > 0 && host_splice_is_due(&uring->io, stream))
		result = host_splice_send(&uring->io, stream);
	stream->polling = result == -EAGAIN;
	if (stream->send_iov_count > 0 && (result == 0 || result == -EAGAIN)) {
		uring_start(uring, &stream->send_op);
		return;
	}
	stream->send_op.result = result;
	uring_defer(uring, &stream->send_op);
}

void uring_stream_send(struct io *io, struct io_stream *stream)
{
	send_start(uring_of(io), stream);
}

static void cancel_start(struct uring *uring, struct io_stream *stream)
{
	ASSERT(!stream->cancel_op.in_flight);
	stream->cancel_op.in_flight = 1;
	uring_start(uring, &stream->cancel_op);
}

static void starving_leave(struct io_stream *stream)
{
	stream->starving = 0;
	list_remove(&stream->link);
}

void uring_stream_pause(struct io *io, struct io_stream *stream)
{
	struct uring *uring = uring_of(io);
	starving_leave(stream);
	if (stream->armed) {
		cancel_start(uring, stream);
		return;
	}
	stream->cancel_op.in_flight = 1;
	stream->cancel_op.result = 0;
	uring_defer(uring, &stream->cancel_op);
}

void uring_stream_resume(struct io *io, struct io_stream *stream)
{
	receive_arm(uring_of(io), stream, IO_KIND_RECEIVE);
}

void uring_stream_fill(struct io *io, struct io_stream *stream)
{
	receive_arm(uring_of(io), stream, IO_KIND_FILL);
}

/* Closes once the kernel refers to nothing of the stream any more. */
static void close_settle(struct uring *uring, struct io_stream *stream)
{
	ASSERT(stream->closing);
	if (stream->armed || stream->sending || stream->cancel_op.in_flight ||
	    stream->close_op.in_flight)
		return;
	stream->close_op.in_flight = 1;
	uring_start(uring, &stream->close_op);
}

void uring_stream_close(struct io *io, struct io_stream *stream)
{
	struct uring *uring = uring_of(io);
	starving_leave(stream);
	if (stream->armed || stream->sending)
		shutdown(stream->fd, SHUT_RDWR);
	close_settle(uring, stream);
}

/* ---- Filling entries ------------------------------------------------------------------ */

static void send_prepare(struct uring *uring, struct io_stream *stream, struct io_uring_sqe *sqe)
{
	enum { SHORT_BYTES = 16 << 10 };
	ASSERT(stream->send_iov_count > 0);
	if (stream->polling) {
		io_uring_prep_poll_add(sqe, stream->fd, POLLOUT);
		return;
	}
	uint32_t count = host_copied_entries(stream);
	int flags = MSG_WAITALL | MSG_NOSIGNAL | (count < stream->send_iov_count ? MSG_MORE : 0);
	if (count == 1) {
		struct iovec *iov = stream->send_iov;
		size_t len = iov->iov_len < FILL_STEP_MAX ? iov->iov_len : FILL_STEP_MAX;
		uring->short_sends += len <= SHORT_BYTES;
		io_uring_prep_send(sqe, stream->fd, iov->iov_base, len, flags);
		return;
	}
	struct msghdr *message = (struct msghdr *)(void *)stream->opaque;
	*message = (struct msghdr){.msg_iov = stream->send_iov, .msg_iovlen = count};
	io_uring_prep_sendmsg(sqe, stream->fd, message, flags);
}

static void fill_prepare(struct io_stream *stream, struct io_uring_sqe *sqe)
{
	ASSERT(stream->filled_bytes < stream->fill.iov_len);
	size_t left = stream->fill.iov_len - stream->filled_bytes;
	io_uring_prep_recv(sqe, stream->fd, (char *)stream->fill.iov_base + stream->filled_bytes,
	    left < FILL_STEP_MAX ? left : FILL_STEP_MAX,
	    stream->fill_min == stream->fill.iov_len ? MSG_WAITALL : 0);
}

void uring_stream_prepare(struct uring *uring, struct io_op *op, struct io_uring_sqe *sqe)
{
	switch ((enum io_kind)op->kind) {
	case IO_KIND_RECEIVE:
		io_uring_prep_recv_multishot(sqe, op->fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = URING_GROUP;
		break;
	case IO_KIND_FILL:
		fill_prepare(CONTAINER_OF(op, struct io_stream, receive_op), sqe);
		break;
	case IO_KIND_SEND:
		send_prepare(uring, CONTAINER_OF(op, struct io_stream, send_op), sqe);
		break;
	case IO_KIND_CANCEL: {
		struct io_stream *stream = CONTAINER_OF(op, struct io_stream, cancel_op);
		io_uring_prep_cancel(sqe, &stream->receive_op, 0);
		break;
	}
	case IO_KIND_STREAM_CLOSE:
		io_uring_prep_close(sqe, op->fd);
		break;
	default:
		ASSERT(false);
	}
}

/* ---- Completions ----------------------------------------------------------------------- */

static void pause_settle(struct io_stream *stream)
{
	if (stream->mode != STREAM_PAUSING || stream->armed || stream->cancel_op.in_flight)
		return;
	stream->mode = STREAM_PAUSED;
	stream->events->paused(stream);
}

/* The receive ended without bytes: what now? */
static void receive_ended(struct uring *uring, struct io_stream *stream, int32_t result)
{
	bool again = result == -EAGAIN || result == -EINTR || result == -ECANCELED;
	if (result == -ENOBUFS) {
		uring->io.stats.buffers_exhausted++;
		if (stream->mode == STREAM_RECEIVING) {
			stream->starving = 1;
			list_append(&uring->starving, &stream->link);
		}
	} else if (result == 0) {
		stream->events->received(stream, (struct span){0}, OK);
	} else if (!again) {
		stream->events->received(stream, (struct span){0}, io_err(result));
	} else if (stream->mode == STREAM_RECEIVING) {
		receive_arm(uring, stream, IO_KIND_RECEIVE);
	}
}

static void receive_complete(struct uring *uring, struct io_stream *stream, int32_t result,
    uint32_t flags)
{
	ASSERT(stream->armed);
	bool more = (flags & IORING_CQE_F_MORE) != 0;
	if (!more)
		stream->armed = 0;
	if (result > 0)
		uring->io.stats.bytes_received += (uint64_t)result;
	if (!stream->closing && result > 0) {
		ASSERT((flags & IORING_CQE_F_BUFFER) != 0);
		size_t id = flags >> IORING_CQE_BUFFER_SHIFT;
		ASSERT(id < URING_BUFFERS && result <= URING_BUFFER_BYTES);
		stream->events->received(stream,
		    span_of(uring->buffers + id * URING_BUFFER_BYTES, (size_t)result), OK);
	}
	if ((flags & IORING_CQE_F_BUFFER) != 0)
		uring_buffer_return(uring, flags >> IORING_CQE_BUFFER_SHIFT);
	if (!stream->closing && result <= 0 && !more)
		receive_ended(uring, stream, result);
	else if (!stream->closing && !more && stream->mode == STREAM_RECEIVING)
		receive_arm(uring, stream, IO_KIND_RECEIVE);
	if (stream->closing)
		close_settle(uring, stream);
	else
		pause_settle(stream);
}

static void fill_complete(struct uring *uring, struct io_stream *stream, int32_t result)
{
	ASSERT(stream->armed);
	ASSERT(stream->mode == STREAM_FILLING);
	stream->armed = 0;
	if (result > 0) {
		stream->filled_bytes += (size_t)result;
		uring->io.stats.bytes_received += (uint64_t)result;
	}
	bool again = result > 0 || result == -EAGAIN || result == -EINTR;
	if (!stream->closing && again && stream->filled_bytes < stream->fill_min) {
		receive_arm(uring, stream, IO_KIND_FILL);
		return;
	}
	io_regain(&stream->fill, 1);
	stream->mode = STREAM_PAUSED;
	if (stream->closing) {
		close_settle(uring, stream);
		return;
	}
	enum err err = result > 0 ? OK : result == 0 ? ERR_CLOSED : io_err(result);
	stream->events->filled(stream, stream->filled_bytes, err);
}

static void send_complete(struct uring *uring, struct io_stream *stream, int32_t result)
{
	ASSERT(stream->sending);
	bool again = result == -EAGAIN || result == -EINTR;
	if (result > 0) {
		if (!stream->polling)             /* else the events of the poll */
			host_sent(&uring->io, stream, (size_t)result);
		again = stream->send_iov_count > 0;
	}
	stream->polling = 0;
	if (again && !stream->closing) {
		send_start(uring, stream);
		return;
	}
	stream->sending = 0;
	if (stream->closing)
		close_settle(uring, stream);
	else
		stream->events->sent(stream, result < 0 ? io_err(result) : OK);
}

static void cancel_complete(struct uring *uring, struct io_stream *stream, int32_t result)
{
	ASSERT(stream->cancel_op.in_flight);
	stream->cancel_op.in_flight = 0;
	if (stream->closing)
		close_settle(uring, stream);
	else if (stream->armed && result < 0)
		cancel_start(uring, stream);
	else
		pause_settle(stream);
}

void uring_stream_complete(struct uring *uring, struct io_op *op, int32_t result, uint32_t flags)
{
	switch ((enum io_kind)op->kind) {
	case IO_KIND_RECEIVE:
		receive_complete(
		    uring, CONTAINER_OF(op, struct io_stream, receive_op), result, flags);
		break;
	case IO_KIND_FILL:
		fill_complete(uring, CONTAINER_OF(op, struct io_stream, receive_op), result);
		break;
	case IO_KIND_SEND:
		send_complete(uring, CONTAINER_OF(op, struct io_stream, send_op), result);
		break;
	case IO_KIND_CANCEL:
		cancel_complete(uring, CONTAINER_OF(op, struct io_stream, cancel_op), result);
		break;
	case IO_KIND_STREAM_CLOSE: {
		struct io_stream *stream = CONTAINER_OF(op, struct io_stream, close_op);
		stream->fd = -1;
		DROP_OBJ(stream, IO_STREAM_MAGIC);
		stream->events->closed(stream);
		break;
	}
	default:
		ASSERT(false);
	}
}

void uring_streams_feed(struct uring *uring)
{
	while (!list_is_empty(&uring->starving)) {
		struct io_stream *stream = LIST_OF(uring->starving.next, struct io_stream, link);
		starving_leave(stream);
		receive_arm(uring, stream, IO_KIND_RECEIVE);
	}
}
