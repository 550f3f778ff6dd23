/* io/uring_watch.c: listeners, children and signals through the ring.
 *
 * The kernel may complete an accept after its listener was closed, so what the ring refers
 * to is a record of our own that outlives the listener until the last completion.
 */
#include "io/uring.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static void accept_arm(struct uring *uring, struct host_accept *accept)
{
	ASSERT(!accept->op.in_flight);
	accept->op.in_flight = 1;
	uring_start(uring, &accept->op);
}

static void accept_retry(struct io_timer *timer)
{
	struct uring *uring = timer->ctx;
	struct io_listener *listener = CONTAINER_OF(timer, struct io_listener, retry);
	CHECK_OBJ(listener, IO_LISTENER_MAGIC);
	accept_arm(uring, listener->accept);
}

enum err uring_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options)
{
	struct uring *uring = uring_of(io);
	enum err err = host_listen(io, listener, options);
	if (err != OK)
		return err;
	struct host_accept *accept = memory_zalloc(&io->memory, sizeof(*accept));
	io_op_prepare(&accept->op, IO_KIND_ACCEPT);
	io_op_prepare(&accept->cancel_op, IO_KIND_ACCEPT_CANCEL);
	accept->op.fd = listener->fd;
	accept->listener = listener;
	listener->accept = accept;
	io_timer_init(&listener->retry, accept_retry, uring);
	accept_arm(uring, accept);
	return OK;
}

static void accept_settle(struct uring *uring, struct host_accept *accept)
{
	ASSERT(accept->listener == NULL);
	if (accept->op.in_flight || accept->cancel_op.in_flight)
		return;
	memory_free(&uring->io.memory, accept, sizeof(*accept));
	ASSERT(uring->internal > 0);
	uring->internal--;
}

void uring_listener_close(struct io *io, struct io_listener *listener)
{
	struct uring *uring = uring_of(io);
	struct host_accept *accept = listener->accept;
	io_timer_cancel(io, &listener->retry);
	host_listener_close(io, listener);
	listener->accept = NULL;
	accept->listener = NULL;
	uring->internal++;
	if (accept->op.in_flight) {
		accept->cancel_op.in_flight = 1;
		uring_start(uring, &accept->cancel_op);
	} else {
		accept_settle(uring, accept);
	}
}

static void accept_complete(struct uring *uring, struct host_accept *accept, int32_t result,
    uint32_t flags)
{
	if ((flags & IORING_CQE_F_MORE) == 0)
		accept->op.in_flight = 0;
	struct io_listener *listener = accept->listener;
	if (listener == NULL) {
		if (result >= 0)
			close(result);
		accept_settle(uring, accept);
		return;
	}
	bool ended = !accept->op.in_flight;
	/* First what concerns the record: the callback may close the listener. */
	if (ended && host_accept_should_wait(result))
		io_timer_set(&uring->io, &listener->retry, HOST_ACCEPT_RETRY_US);
	else if (ended)
		accept_arm(uring, accept);
	if (result >= 0)
		listener->accepted(listener, result);
}

enum err uring_spawn(struct io *io, struct io_child *child, const struct io_spawn_options *options)
{
	enum err err = host_spawn(io, child, options);
	if (err != OK)
		return err;
	child->armed = 1;
	child->op.fd = child->pid_fd;
	uring_start(uring_of(io), &child->op);
	return OK;
}

void uring_watch_signals(struct io *io)
{
	host_watch_signals(io);
	io->signal_op.fd = io->signal_fd;
	uring_start(uring_of(io), &io->signal_op);
}

void uring_watch_prepare(struct io_op *op, struct io_uring_sqe *sqe)
{
	switch ((enum io_kind)op->kind) {
	case IO_KIND_ACCEPT:
		io_uring_prep_multishot_accept(sqe, op->fd, NULL, NULL, SOCK_CLOEXEC);
		break;
	case IO_KIND_ACCEPT_CANCEL:
		io_uring_prep_cancel(sqe, &CONTAINER_OF(op, struct host_accept, cancel_op)->op, 0);
		break;
	case IO_KIND_CHILD: case IO_KIND_SIGNAL:
		io_uring_prep_poll_add(sqe, op->fd, POLLIN);
		break;
	default:
		ASSERT(false);
	}
}

void uring_watch_complete(struct uring *uring, struct io_op *op, int32_t result, uint32_t flags)
{
	struct io *io = &uring->io;
	switch ((enum io_kind)op->kind) {
	case IO_KIND_ACCEPT:
		accept_complete(uring, CONTAINER_OF(op, struct host_accept, op), result, flags);
		break;
	case IO_KIND_ACCEPT_CANCEL: {
		struct host_accept *accept = CONTAINER_OF(op, struct host_accept, cancel_op);
		op->in_flight = 0;
		if (accept->op.in_flight && result < 0) {
			op->in_flight = 1;
			uring_start(uring, op);
			return;
		}
		accept_settle(uring, accept);
		break;
	}
	case IO_KIND_CHILD:
		if (result < 0)
			uring_start(uring, op);
		else
			host_child_exited(io, CONTAINER_OF(op, struct io_child, op));
		break;
	case IO_KIND_SIGNAL:
		uring->ran += host_signals_read(io);
		uring_start(uring, op);
		break;
	default:
		ASSERT(false);
	}
}
