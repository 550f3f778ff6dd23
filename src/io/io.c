/* io/io.c: the doors of io.h. Each checks its arguments and the state of what it is given,
 * then hands over to the back end. */
#include "io/backend.h"
#include "io/tls_impl.h"

static void io_check(const struct io *io)
{
	CHECK_OBJ(io, IO_MAGIC);
	ASSERT(io->ops != NULL);
}

enum err io_new(struct io **out, const struct io_options *options)
{
	ASSERT(out != NULL);
	ASSERT(options->backend != IO_SIM);
	*out = NULL;
	if (options->backend == IO_EPOLL)
		return epoll_new(out, options);
	enum err err = uring_new(out, options);
	if (err == OK || options->backend == IO_URING)
		return err;
	log_notice(options->log, "io: io_uring is refused (%s); using epoll", err_name(err));
	return epoll_new(out, options);
}

void io_free(struct io *io)
{
	io_check(io);
	ASSERT(!io->in_wait);
	io->ops->free(io);
}

const char *io_backend_name(const struct io *io)
{
	io_check(io);
	return io->ops->name;
}

/* ---- Start and end ---------------------------------------------------------------- */

enum err io_make_directory(struct io *io, const char *path)
{
	io_check(io);
	return io->ops->make_directory(io, path);
}

enum err io_list_directory(struct io *io, const char *path, io_list_entry *each, void *ctx)
{
	io_check(io);
	ASSERT(each != NULL);
	return io->ops->list_directory(io, path, each, ctx);
}

enum err io_load_file(struct io *io, const char *path, size_t max, struct buf *out)
{
	io_check(io);
	ASSERT(out != NULL);
	return io->ops->load_file(io, path, max, out);
}

enum err io_save_file(struct io *io, const char *path, struct span bytes)
{
	io_check(io);
	ASSERT(path != NULL);
	return io->ops->save_file(io, path, bytes);
}

enum err io_lock_file(struct io *io, const char *path)
{
	io_check(io);
	ASSERT(path != NULL);
	return io->ops->lock_file(io, path);
}

enum err io_disk_space(struct io *io, const char *path, uint64_t *free, uint64_t *total)
{
	io_check(io);
	ASSERT(free != NULL && total != NULL);
	return io->ops->disk_space(io, path, free, total);
}

/* ---- Time, chance, the pass --------------------------------------------------------- */

uint64_t io_now_us(const struct io *io)
{
	io_check(io);
	return io->now_us;
}

int64_t io_wall_ms(const struct io *io)
{
	io_check(io);
	return io->wall_ms;
}

uint64_t io_clock_us(struct io *io)
{
	io_check(io);
	return io->ops->clock(io);
}

void io_random(struct io *io, void *out, size_t len)
{
	io_check(io);
	ASSERT(out != NULL || len == 0);
	io->ops->random(io, out, len);
}

unsigned io_wait(struct io *io, uint64_t wait_us)
{
	io_check(io);
	ASSERT(!io->in_wait);
	io->in_wait = true;
	unsigned ran = io->ops->wait(io, wait_us);
	io->in_wait = false;
	return ran;
}

void io_submit(struct io *io)
{
	io_check(io);
	io->ops->submit(io);
}

const struct io_stats *io_get_stats(const struct io *io)
{
	io_check(io);
	return &io->stats;
}

/* ---- Files -------------------------------------------------------------------------- */

static void op_begin(struct io *io, struct io_op *op, enum io_kind kind)
{
	io_check(io);
	CHECK_OBJ(op, IO_OP_MAGIC);
	ASSERT(!op->in_flight);
	ASSERT(op->done != NULL);
	op->in_flight = 1;
	op->kind = (uint8_t)kind;
	op->fd = -1;
	op->result = 0;
	op->flags = 0;
	op->offset = 0;
	op->iov = NULL;
	op->iov_count = 0;
	list_init(&op->link);
	io->stats.submitted++;
}

void io_open(struct io *io, struct io_op *op, const char *path, uint32_t flags)
{
	ASSERT(path != NULL);
	ASSERT((flags & (IO_READ | IO_WRITE)) != 0);
	op_begin(io, op, IO_KIND_OPEN);
	op->path = path;
	op->flags = flags;
	io->ops->file(io, op);
}

void io_close(struct io *io, struct io_op *op, int fd)
{
	ASSERT(fd >= 0);
	op_begin(io, op, IO_KIND_CLOSE);
	op->fd = fd;
	io->ops->file(io, op);
}

static void op_transfer(struct io *io, struct io_op *op, enum io_kind kind,
    const struct io_transfer *transfer)
{
	ASSERT(transfer->fd >= 0);
	ASSERT(transfer->iov != NULL);
	ASSERT(transfer->iov_count >= 1 && transfer->iov_count <= IO_IOV_MAX);
	op_begin(io, op, kind);
	op->fd = transfer->fd;
	op->offset = transfer->offset;
	op->flags = transfer->durable ? (uint32_t)IO_DURABLE : 0;
	op->iov = transfer->iov;
	op->iov_count = transfer->iov_count;
	if (op->iov_count == 1) {
		op->iov_one = transfer->iov[0];
		op->iov = &op->iov_one;
	}
	io_lend(op->iov, op->iov_count, kind == IO_KIND_READ);
	io->ops->file(io, op);
}

void io_read(struct io *io, struct io_op *op, const struct io_transfer *transfer)
{
	ASSERT(!transfer->durable);
	op_transfer(io, op, IO_KIND_READ, transfer);
}

void io_write(struct io *io, struct io_op *op, const struct io_transfer *transfer)
{
	op_transfer(io, op, IO_KIND_WRITE, transfer);
}

void io_sync(struct io *io, struct io_op *op, int fd)
{
	ASSERT(fd >= 0);
	op_begin(io, op, IO_KIND_SYNC);
	op->fd = fd;
	io->ops->file(io, op);
}

void io_allocate(struct io *io, struct io_op *op, int fd, uint64_t bytes)
{
	ASSERT(fd >= 0);
	ASSERT(bytes > 0 && bytes <= INT64_MAX);
	op_begin(io, op, IO_KIND_ALLOCATE);
	op->fd = fd;
	op->offset = bytes;
	io->ops->file(io, op);
}

void io_truncate(struct io *io, struct io_op *op, int fd, uint64_t bytes)
{
	ASSERT(fd >= 0);
	ASSERT(bytes <= INT64_MAX);
	op_begin(io, op, IO_KIND_TRUNCATE);
	op->fd = fd;
	op->offset = bytes;
	io->ops->file(io, op);
}

void io_unlink(struct io *io, struct io_op *op, const char *path)
{
	ASSERT(path != NULL);
	op_begin(io, op, IO_KIND_UNLINK);
	op->path = path;
	io->ops->file(io, op);
}

void io_rename(struct io *io, struct io_op *op, const char *from, const char *to)
{
	ASSERT(from != NULL && to != NULL);
	op_begin(io, op, IO_KIND_RENAME);
	op->path = from;
	op->path_to = to;
	io->ops->file(io, op);
}

void io_sync_directory(struct io *io, struct io_op *op, const char *path)
{
	ASSERT(path != NULL);
	op_begin(io, op, IO_KIND_SYNC_DIRECTORY);
	op->path = path;
	io->ops->file(io, op);
}

void io_file_size(struct io *io, struct io_op *op, int fd, uint64_t *bytes)
{
	ASSERT(fd >= 0);
	ASSERT(bytes != NULL);
	op_begin(io, op, IO_KIND_FILE_SIZE);
	op->fd = fd;
	op->iov_one.iov_base = bytes;
	io->ops->file(io, op);
}

/* ---- Streams ------------------------------------------------------------------------- */

void io_stream_open(struct io *io, struct io_stream *stream, int fd,
    const struct io_stream_events *events, void *ctx)
{
	io_check(io);
	ASSERT(fd >= 0);
	ASSERT(events != NULL && events->received != NULL && events->closed != NULL);
	*stream = (struct io_stream){.magic = IO_STREAM_MAGIC, .fd = fd, .mode = STREAM_RECEIVING,
	    .events = events, .ctx = ctx};
	list_init(&stream->link);
	io_op_prepare(&stream->receive_op, IO_KIND_RECEIVE);
	io_op_prepare(&stream->send_op, IO_KIND_SEND);
	io_op_prepare(&stream->cancel_op, IO_KIND_CANCEL);
	io_op_prepare(&stream->close_op, IO_KIND_STREAM_CLOSE);
	stream->receive_op.fd = stream->send_op.fd = stream->cancel_op.fd = fd;
	stream->close_op.fd = fd;
	io->ops->stream_open(io, stream);
}

static void stream_send(struct io *io, struct io_stream *stream, struct iovec *iov, uint32_t count,
    struct iovec *pages)
{
	io_check(io);
	CHECK_OBJ(stream, IO_STREAM_MAGIC);
	ASSERT(!stream->sending && !stream->closing);
	ASSERT(stream->events->sent != NULL);
	ASSERT(count >= 1 && count <= IO_IOV_MAX);
	io_lend(iov, count, false);
	stream->send_iov = iov;
	stream->send_iov_count = count;
	stream->pages = stream->tls == NULL ? pages : NULL;
	stream->sending = 1;
	if (stream->tls != NULL)
		tls_stream_send(io, stream);
	else
		io->ops->stream_send(io, stream);
}

void io_stream_send(struct io *io, struct io_stream *stream, struct iovec *iov, uint32_t count)
{
	stream_send(io, stream, iov, count, NULL);
}

void io_stream_send_pages(
    struct io *io, struct io_stream *stream, struct iovec *iov, uint32_t count, uint32_t pages)
{
	ASSERT(pages < count);
	stream_send(io, stream, iov, count, &iov[pages]);
}

void io_stream_pause(struct io *io, struct io_stream *stream)
{
	io_check(io);
	CHECK_OBJ(stream, IO_STREAM_MAGIC);
	ASSERT(!stream->closing);
	ASSERT(stream->mode == STREAM_RECEIVING);
	ASSERT(stream->events->paused != NULL);
	stream->mode = STREAM_PAUSING;
	if (stream->tls != NULL)
		tls_stream_pause(io, stream);
	else
		io->ops->stream_pause(io, stream);
}

void io_stream_resume(struct io *io, struct io_stream *stream)
{
	io_check(io);
	CHECK_OBJ(stream, IO_STREAM_MAGIC);
	ASSERT(!stream->closing);
	ASSERT(stream->mode == STREAM_PAUSED);
	stream->mode = STREAM_RECEIVING;
	if (stream->tls != NULL)
		tls_stream_resume(io, stream);
	else
		io->ops->stream_resume(io, stream);
}

void io_stream_receive_into(struct io *io, struct io_stream *stream, void *buf, size_t min, size_t len)
{
	io_check(io);
	CHECK_OBJ(stream, IO_STREAM_MAGIC);
	ASSERT(!stream->closing);
	ASSERT(stream->mode == STREAM_PAUSED);
	ASSERT(stream->events->filled != NULL);
	ASSERT(min > 0 && min <= len);
	stream->mode = STREAM_FILLING;
	stream->fill_min = min;
	stream->fill = (struct iovec){.iov_base = buf, .iov_len = len};
	stream->filled_bytes = 0;
	if (stream->tls != NULL) {
		tls_stream_fill(io, stream);      /* decrypted into place: nothing is lent */
		return;
	}
	io_lend(&stream->fill, 1, true);
	io->ops->stream_fill(io, stream);
}

void io_stream_close(struct io *io, struct io_stream *stream)
{
	io_check(io);
	CHECK_OBJ(stream, IO_STREAM_MAGIC);
	if (stream->closing)
		return;
	stream->closing = 1;
	if (stream->tls != NULL)
		tls_stream_close(io, stream);
	else
		io->ops->stream_close(io, stream);
}

void io_stream_address(struct io *io, const struct io_stream *stream, bool local,
    char out[IO_ADDRESS_MAX])
{
	io_check(io);
	CHECK_OBJ(stream, IO_STREAM_MAGIC);
	io->ops->stream_address(io, stream, local, out);
}

/* ---- Listeners ------------------------------------------------------------------------ */

enum err io_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options)
{
	io_check(io);
	ASSERT(listener->accepted != NULL);
	ASSERT((options->address == NULL) != (options->unix_path == NULL));
	*listener = (struct io_listener){.magic = IO_LISTENER_MAGIC, .fd = -1,
	    .accepted = listener->accepted, .ctx = listener->ctx};
	enum err err = io->ops->listen(io, listener, options);
	if (err != OK)
		DROP_OBJ(listener, IO_LISTENER_MAGIC);
	return err;
}

uint16_t io_listener_port(struct io *io, const struct io_listener *listener)
{
	io_check(io);
	CHECK_OBJ(listener, IO_LISTENER_MAGIC);
	return io->ops->listener_port(io, listener);
}

void io_listener_close(struct io *io, struct io_listener *listener)
{
	io_check(io);
	CHECK_OBJ(listener, IO_LISTENER_MAGIC);
	io->ops->listener_close(io, listener);
	DROP_OBJ(listener, IO_LISTENER_MAGIC);
}

void io_close_now(struct io *io, int fd)
{
	io_check(io);
	ASSERT(fd >= 0);
	io->ops->close_now(io, fd);
}

/* ---- Processes, memory, signals, lines ------------------------------------------------- */

enum err io_spawn(struct io *io, struct io_child *child, const struct io_spawn_options *options)
{
	io_check(io);
	ASSERT(child->exited != NULL);
	ASSERT(!child->armed);
	ASSERT(options->path != NULL && options->argv != NULL);
	*child = (struct io_child){.magic = IO_CHILD_MAGIC, .exited = child->exited,
	    .ctx = child->ctx, .pid_fd = -1};
	io_op_prepare(&child->op, IO_KIND_CHILD);
	return io->ops->spawn(io, child, options);
}

void io_kill(struct io *io, struct io_child *child)
{
	io_check(io);
	CHECK_OBJ(child, IO_CHILD_MAGIC);
	if (child->pid != 0)
		io->ops->kill(io, child);
}

enum err io_socket_pair(struct io *io, int fds[2])
{
	io_check(io);
	return io->ops->socket_pair(io, fds);
}

enum err io_memory_new(struct io *io, size_t bytes, bool read_only_for_others,
    struct io_memory *out)
{
	io_check(io);
	ASSERT(bytes > 0);
	return io->ops->memory_new(io, bytes, read_only_for_others, out);
}

void io_memory_free(struct io *io, struct io_memory *memory)
{
	io_check(io);
	ASSERT(memory->ptr != NULL);
	io->ops->memory_free(io, memory);
	*memory = (struct io_memory){.fd = -1};
}

void io_memory_release(struct io *io, const struct io_memory *memory, size_t offset, size_t bytes)
{
	io_check(io);
	ASSERT(offset <= memory->bytes);
	ASSERT(bytes <= memory->bytes - offset);
	if (bytes > 0)
		io->ops->memory_release(io, memory, offset, bytes);
}

void io_watch_signals(struct io *io, void (*caught)(void *ctx, int signal), void *ctx)
{
	io_check(io);
	ASSERT(caught != NULL);
	ASSERT(io->caught == NULL);
	io->caught = caught;
	io->caught_ctx = ctx;
	io->ops->watch_signals(io);
}

void io_write_line(struct io *io, int fd, struct span line)
{
	io_check(io);
	ASSERT(fd >= 0);
	io->ops->write_line(io, fd, line);
}

void io_get_usage(struct io *io, struct io_usage *out)
{
	io_check(io);
	io->ops->usage(io, out);
}
