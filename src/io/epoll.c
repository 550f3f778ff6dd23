/* io/epoll.c: the epoll back end, for where io_uring is refused. The pass, listeners,
 * children and signals. Streams are in epoll_stream.c, file calls in epoll_pool.c.
 *
 * A pass: try the sends, wait, take what epoll reported, receive from the streams that are
 * ready, deliver the results that are known, fire the timers. Memory that epoll's answer
 * may still name (accept records, closed streams) is let go only after the answer was used.
 */
#include "io/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

void epoll_defer(struct epoll *epoll, struct io_op *op, int32_t result)
{
	CHECK_OBJ(op, IO_OP_MAGIC);
	op->result = result;
	list_remove(&op->link);
	list_append(&epoll->deferred, &op->link);
}

bool epoll_watch(struct epoll *epoll, struct io_op *op, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = op};
	return epoll_ctl(epoll->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void epoll_file(struct io *io, struct io_op *op)
{
	pool_submit(&epoll_of(io)->pool, op);
}

/* ---- Listeners ------------------------------------------------------------------------------ */

static void accept_retry(struct io_timer *timer)
{
	struct epoll *epoll = timer->ctx;
	struct io_listener *listener = CONTAINER_OF(timer, struct io_listener, retry);
	struct host_accept *accept = listener->accept;
	if (!epoll_watch(epoll, &accept->op, listener->fd, EPOLLIN))
		io_timer_set(&epoll->io, timer, HOST_ACCEPT_RETRY_US);
}

static enum err epoll_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options)
{
	struct epoll *epoll = epoll_of(io);
	enum err err = host_listen(io, listener, options);
	if (err != OK)
		return err;
	struct host_accept *accept = memory_zalloc(&io->memory, sizeof(*accept));
	io_op_prepare(&accept->op, IO_KIND_ACCEPT);
	list_init(&accept->link);
	accept->op.fd = listener->fd;
	accept->listener = listener;
	listener->accept = accept;
	io_timer_init(&listener->retry, accept_retry, epoll);
	if (fcntl(listener->fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 &&
	    epoll_watch(epoll, &accept->op, listener->fd, EPOLLIN))
		return OK;
	err = io_err(-errno);
	host_listener_close(io, listener);
	memory_free(&io->memory, accept, sizeof(*accept));
	return err;
}

static void epoll_listener_close(struct io *io, struct io_listener *listener)
{
	struct epoll *epoll = epoll_of(io);
	struct host_accept *accept = listener->accept;
	io_timer_cancel(io, &listener->retry);
	epoll_ctl(epoll->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
	host_listener_close(io, listener);
	listener->accept = NULL;
	accept->listener = NULL;
	list_append(&epoll->graveyard, &accept->link);
}

static void accept_event(struct epoll *epoll, struct host_accept *accept)
{
	for (int i = 0; i < EPOLL_ACCEPTS_MAX && accept->listener != NULL; i++) {
		struct io_listener *listener = accept->listener;
		int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		epoll->io.stats.enters++;
		if (fd < 0 && host_accept_should_wait(-errno)) {
			/* The connection stays in the queue: epoll would report it at once. */
			epoll_ctl(epoll->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
			io_timer_set(&epoll->io, &listener->retry, HOST_ACCEPT_RETRY_US);
		}
		if (fd < 0)
			return;
		epoll->ran++;
		listener->accepted(listener, fd);
	}
}

static void graveyard_clear(struct epoll *epoll)
{
	while (!list_is_empty(&epoll->graveyard)) {
		struct host_accept *accept =
		    LIST_OF(epoll->graveyard.next, struct host_accept, link);
		list_remove(&accept->link);
		memory_free(&epoll->io.memory, accept, sizeof(*accept));
	}
}

/* ---- Children and signals ------------------------------------------------------------------- */

static enum err epoll_spawn(struct io *io, struct io_child *child,
    const struct io_spawn_options *options)
{
	struct epoll *epoll = epoll_of(io);
	enum err err = host_spawn(io, child, options);
	if (err != OK)
		return err;
	child->armed = 1;
	bool watched = epoll_watch(epoll, &child->op, child->pid_fd, EPOLLIN);
	ASSERT(watched);
	return OK;
}

static void epoll_watch_signals(struct io *io)
{
	struct epoll *epoll = epoll_of(io);
	host_watch_signals(io);
	bool watched = epoll_watch(epoll, &io->signal_op, io->signal_fd, EPOLLIN);
	ASSERT(watched);
}

/* ---- The pass ------------------------------------------------------------------------------- */

static void event_dispatch(struct epoll *epoll, const struct epoll_event *event)
{
	struct io_op *op = event->data.ptr;
	switch ((enum io_kind)op->kind) {
	case IO_KIND_RECEIVE:
		epoll_stream_event(epoll, CONTAINER_OF(op, struct io_stream, receive_op),
		    event->events);
		break;
	case IO_KIND_ACCEPT:
		accept_event(epoll, CONTAINER_OF(op, struct host_accept, op));
		break;
	case IO_KIND_CHILD:
		epoll->ran++;
		host_child_exited(&epoll->io, CONTAINER_OF(op, struct io_child, op));
		break;
	case IO_KIND_SIGNAL:
		epoll->ran += host_signals_read(&epoll->io);
		break;
	case IO_KIND_WAKE:
		pool_take_done(&epoll->pool, &epoll->deferred);
		break;
	default:
		ASSERT(false);
	}
}

static void deferred_run(struct epoll *epoll)
{
	struct list now;
	list_init(&now);
	while (!list_is_empty(&epoll->deferred)) {
		struct list *node = epoll->deferred.next;
		list_remove(node);
		list_append(&now, node);
	}
	while (!list_is_empty(&now)) {
		struct io_op *op = LIST_OF(now.next, struct io_op, link);
		list_remove(&op->link);
		epoll->ran++;
		if (op->kind > IO_KIND_FILE_SIZE) {
			epoll_stream_deferred(epoll, op);
			continue;
		}
		if (op->kind == IO_KIND_FILE_SIZE && op->result == 0)
			*(uint64_t *)op->iov_one.iov_base = op->offset;
		io_op_finish(&epoll->io, op, op->result);
	}
}

static int wait_events(struct epoll *epoll, struct epoll_event *events, uint64_t wait_us)
{
	int count = -1;
	epoll->io.stats.enters++;
	if (epoll->has_pwait2) {
		struct timespec timeout = {(time_t)(wait_us / 1000000),
		    (long)(wait_us % 1000000) * 1000};
		count = epoll_pwait2(epoll->epoll_fd, events, EPOLL_EVENTS_MAX,
		    wait_us == IO_FOREVER ? NULL : &timeout, NULL);
		if (count < 0 && (errno == ENOSYS || errno == EPERM))
			epoll->has_pwait2 = false;
	}
	if (!epoll->has_pwait2) {
		uint64_t ms = wait_us / 1000 + (wait_us % 1000 != 0);
		int limit = wait_us == IO_FOREVER ? -1 : ms > INT32_MAX ? INT32_MAX : (int)ms;
		count = epoll_wait(epoll->epoll_fd, events, EPOLL_EVENTS_MAX, limit);
	}
	ASSERT(count >= 0 || errno == EINTR);
	return count < 0 ? 0 : count;
}

static unsigned epoll_pass(struct io *io, uint64_t wait_us)
{
	struct epoll *epoll = epoll_of(io);
	struct epoll_event events[EPOLL_EVENTS_MAX];
	epoll->ran = 0;
	epoll_sends_try(epoll);
	uint64_t sleep_us = wait_us;
	if (heap_first(&io->timers) != NULL) {
		io->now_us = host_clock(io);
		sleep_us = io_timers_wait(io, wait_us);
	}
	if (!list_is_empty(&epoll->deferred) || !list_is_empty(&epoll->ready))
		sleep_us = 0;
	int count = wait_events(epoll, events, sleep_us);
	host_pass_begin(io);
	for (int i = 0; i < count; i++)
		event_dispatch(epoll, &events[i]);
	epoll_streams_receive(epoll);
	deferred_run(epoll);
	epoll->ran += io_timers_run(io);
	graveyard_clear(epoll);
	return epoll->ran;
}

static void epoll_submit(struct io *io)
{
	epoll_sends_try(epoll_of(io));
}

/* ---- Begin and end -------------------------------------------------------------------------- */

static void epoll_free(struct io *io)
{
	struct epoll *epoll = epoll_of(io);
	pool_fini(&epoll->pool);
	graveyard_clear(epoll);
	ASSERT(list_is_empty(&epoll->ready));
	ASSERT(list_is_empty(&epoll->sending));
	if (epoll->epoll_fd >= 0)
		close(epoll->epoll_fd);
	host_splice_close(io);
	for (unsigned i = 0; i < io->lock_count; i++)
		close(io->lock_fds[i]);
	if (io->signal_fd >= 0)
		close(io->signal_fd);
	memory_free(&io->memory, epoll->receive_buffer, EPOLL_RECEIVE_BYTES);
	struct memory memory = io->memory;
	io_fini(io);
	memory_free(&memory, epoll, sizeof(*epoll));
}

static const struct io_backend_ops epoll_ops = {
	.name = "epoll",
	.free = epoll_free,
	.wait = epoll_pass,
	.submit = epoll_submit,
	.clock = host_clock,
	.random = host_random,
	.file = epoll_file,
	.stream_open = epoll_stream_open,
	.stream_send = epoll_stream_send,
	.stream_pause = epoll_stream_pause,
	.stream_resume = epoll_stream_resume,
	.stream_fill = epoll_stream_fill,
	.stream_close = epoll_stream_close,
	.stream_address = host_stream_address,
	.listen = epoll_listen,
	.listener_port = host_listener_port,
	.listener_close = epoll_listener_close,
	.close_now = host_close_now,
	.connect_begin = host_connect_begin,
	.connect_check = host_connect_check,
	.lookup_begin = host_lookup_begin,
	.lookup_check = host_lookup_check,
	.lookup_free = host_lookup_free,
	.spawn = epoll_spawn,
	.kill = host_kill,
	.socket_pair = host_socket_pair,
	.memory_new = host_memory_new,
	.memory_free = host_memory_free,
	.memory_release = host_memory_release,
	.watch_signals = epoll_watch_signals,
	.make_directory = host_make_directory,
	.list_directory = host_list_directory,
	.load_file = host_load_file,
	.save_file = host_save_file,
	.lock_file = host_lock_file,
	.disk_space = host_disk_space,
	.write_line = host_write_line,
	.usage = host_usage,
};

enum err epoll_new(struct io **out, const struct io_options *options)
{
	struct memory memory = {0};
	struct epoll *epoll = memory_zalloc(&memory, sizeof(*epoll));
	io_init(&epoll->io, &epoll_ops, options->log);
	epoll->io.memory = memory;
	epoll->has_pwait2 = true;
	list_init(&epoll->ready);
	list_init(&epoll->sending);
	list_init(&epoll->deferred);
	list_init(&epoll->graveyard);
	io_op_prepare(&epoll->wake_op, IO_KIND_WAKE);
	epoll->receive_buffer = memory_alloc(&epoll->io.memory, EPOLL_RECEIVE_BYTES);
	epoll->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	enum err err = epoll->epoll_fd < 0 ? io_err(-errno) : OK;
	enum err pool_err = pool_init(&epoll->pool);
	if (err == OK)
		err = pool_err;
	if (err == OK && !epoll_watch(epoll, &epoll->wake_op, epoll->pool.wake_fd, EPOLLIN))
		err = io_err(-errno);
	if (err != OK) {
		epoll_free(&epoll->io);
		return err;
	}
	host_pass_begin(&epoll->io);
	log_notice(options->log, "io: epoll, %u threads for files", epoll->pool.thread_count);
	*out = &epoll->io;
	return OK;
}
