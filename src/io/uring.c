/* io/uring.c: the io_uring back end. The ring, its set-up and probing, and the pass.
 *
 * One kernel entry both submits and waits; the timeout of the wait serves the timers, so
 * that timers cost no entries of their own. Completions are drained before any stream that
 * found no receive buffer is started again: by then every buffer is back.
 *
 * The wait is our own call of io_uring_enter, because liburing 2.3 cannot pass NO_IOWAIT,
 * without which an idle server shows as 100 % iowait.
 */
#include "io/uring.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Submission --------------------------------------------------------------------- */

static void uring_prepare(struct uring *uring, struct io_op *op, struct io_uring_sqe *sqe)
{
	if (op->kind <= IO_KIND_FILE_SIZE)
		uring_file_prepare(op, sqe);
	else if (op->kind <= IO_KIND_STREAM_CLOSE)
		uring_stream_prepare(uring, op, sqe);
	else
		uring_watch_prepare(op, sqe);
	io_uring_sqe_set_data(sqe, op);
}

void uring_start(struct uring *uring, struct io_op *op)
{
	CHECK_OBJ(op, IO_OP_MAGIC);
	ASSERT(op->kind != IO_KIND_NONE);
	struct io_uring_sqe *sqe = NULL;
	if (list_is_empty(&uring->backlog))
		sqe = io_uring_get_sqe(&uring->ring);
	if (sqe != NULL)
		uring_prepare(uring, op, sqe);
	else
		list_append(&uring->backlog, &op->link);
}

void uring_defer(struct uring *uring, struct io_op *op)
{
	CHECK_OBJ(op, IO_OP_MAGIC);
	list_append(&uring->deferred, &op->link);
}

static void uring_backlog_prepare(struct uring *uring)
{
	while (!list_is_empty(&uring->backlog)) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
		if (sqe == NULL)
			return;
		struct io_op *op = LIST_OF(uring->backlog.next, struct io_op, link);
		list_remove(&op->link);
		uring_prepare(uring, op, sqe);
	}
}

/* Publishes the prepared entries; returns how many the kernel has not taken yet. */
static unsigned uring_flush(struct uring *uring)
{
	struct io_uring_sq *sq = &uring->ring.sq;
	if (sq->sqe_head != sq->sqe_tail) {
		sq->sqe_head = sq->sqe_tail;
		io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	}
	return sq->sqe_tail - *sq->khead;
}

/* A short reply fits into its socket: its send ends as soon as it is submitted, and that alone is nothing to
 * wake up for. An entry therefore sleeps until something else has happened too, or for so long, should one be
 * stuck. */
enum { SENDS_WAIT_US = 200 };

/* One entry: submits all, and with `wait` sleeps until a completion or the timeout. */
static void uring_enter(struct uring *uring, bool wait, uint64_t wait_us)
{
	unsigned sends = uring->short_sends;
	uring->short_sends = 0;
	if (sends > 0 && wait_us > SENDS_WAIT_US)
		wait_us = SENDS_WAIT_US;
	unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
	if (uring->ring_fd_registered)
		flags |= IORING_ENTER_REGISTERED_RING;
	if (uring->no_iowait)
		flags |= IORING_ENTER_NO_IOWAIT;
	struct __kernel_timespec timeout = {
		.tv_sec = (long long)(wait_us / 1000000),
		.tv_nsec = (long long)(wait_us % 1000000) * 1000,
	};
	struct io_uring_getevents_arg arg = {0};
	if (wait && wait_us != IO_FOREVER)
		arg.ts = (uint64_t)(uintptr_t)&timeout;
	unsigned submit = uring_flush(uring);
	int rc = io_uring_enter2((unsigned)uring->ring.enter_ring_fd, submit, wait ? sends + 1 : 0, flags,
	    (void *)&arg, sizeof(arg));
	uring->io.stats.enters++;
	/* EBUSY, EAGAIN: the kernel wants completions reaped first; what it did not take stays
	 * in the queue for the next entry. */
	ASSERT(rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EBUSY || rc == -EAGAIN);
}

static void uring_submit(struct io *io)
{
	struct uring *uring = uring_of(io);
	uring_backlog_prepare(uring);
	if (uring_flush(uring) > 0)
		uring_enter(uring, false, 0);
}

/* ---- Completion --------------------------------------------------------------------- */

static void uring_complete(struct uring *uring, struct io_op *op, int32_t result, uint32_t flags)
{
	CHECK_OBJ(op, IO_OP_MAGIC);
	uring->ran++;
	if (op->kind <= IO_KIND_FILE_SIZE)
		uring_file_complete(uring, op, result);
	else if (op->kind <= IO_KIND_STREAM_CLOSE)
		uring_stream_complete(uring, op, result, flags);
	else
		uring_watch_complete(uring, op, result, flags);
}

static unsigned uring_reap(struct uring *uring)
{
	struct io_uring *ring = &uring->ring;
	unsigned reaped = 0;
	for (;;) {
		unsigned head = *ring->cq.khead;
		if (head == io_uring_smp_load_acquire(ring->cq.ktail))
			return reaped;
		/* Copied and released first: a callback may submit, and so cause completions. */
		const struct io_uring_cqe *cqe = &ring->cq.cqes[head & ring->cq.ring_mask];
		struct io_op *op = io_uring_cqe_get_data(cqe);
		int32_t result = cqe->res;
		uint32_t flags = cqe->flags;
		io_uring_cq_advance(ring, 1);
		uring_complete(uring, op, result, flags);
		reaped++;
	}
}

static bool uring_completions_ready(const struct uring *uring)
{
	const struct io_uring *ring = &uring->ring;
	return *ring->cq.khead != io_uring_smp_load_acquire(ring->cq.ktail);
}

/* Those deferred by callbacks of this very run wait for the next pass. */
static void uring_run_deferred(struct uring *uring)
{
	struct list now;
	list_init(&now);
	while (!list_is_empty(&uring->deferred)) {
		struct list *node = uring->deferred.next;
		list_remove(node);
		list_append(&now, node);
	}
	while (!list_is_empty(&now)) {
		struct io_op *op = LIST_OF(now.next, struct io_op, link);
		list_remove(&op->link);
		uring_complete(uring, op, op->result, 0);
	}
}

static unsigned uring_wait(struct io *io, uint64_t wait_us)
{
	struct uring *uring = uring_of(io);
	uring->ran = 0;
	for (;;) {
		uring_backlog_prepare(uring);
		if (list_is_empty(&uring->backlog) || uring_completions_ready(uring))
			break;
		uring_enter(uring, false, 0);
	}
	uint64_t sleep_us = wait_us;
	if (heap_first(&io->timers) != NULL) {
		io->now_us = host_clock(io);
		sleep_us = io_timers_wait(io, wait_us);
	}
	bool sleep = sleep_us > 0 && list_is_empty(&uring->deferred) &&
	    list_is_empty(&uring->backlog) && !uring_completions_ready(uring);
	uring_enter(uring, sleep, sleep_us);
	host_pass_begin(io);
	uring_reap(uring);
	uring_run_deferred(uring);
	uring->ran += io_timers_run(io);
	uring_streams_feed(uring);
	io->stats.cq_overflows = *uring->ring.cq.koverflow;
	return uring->ran;
}

/* ---- Buffers ------------------------------------------------------------------------ */

void uring_buffer_return(struct uring *uring, unsigned id)
{
	ASSERT(id < URING_BUFFERS);
	io_uring_buf_ring_add(uring->buffer_ring, uring->buffers + (size_t)id * URING_BUFFER_BYTES,
	    URING_BUFFER_BYTES, (unsigned short)id, URING_BUFFERS - 1, 0);
	io_uring_buf_ring_advance(uring->buffer_ring, 1);
}

static void *map_prefaulted(size_t bytes)
{
	void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ptr == MAP_FAILED)
		return NULL;
	madvise(ptr, bytes, MADV_HUGEPAGE);
	/* The kernel takes the buffers in turn: without this each one faults in service. */
	memset(ptr, 0, bytes);
	return ptr;
}

enum {
	BUFFER_RING_BYTES = URING_BUFFERS * sizeof(struct io_uring_buf),
	BUFFERS_BYTES = URING_BUFFERS * URING_BUFFER_BYTES,
};

static enum err uring_buffers_new(struct uring *uring)
{
	uring->buffer_ring = map_prefaulted(BUFFER_RING_BYTES);
	uring->buffers = map_prefaulted(BUFFERS_BYTES);
	if (uring->buffer_ring == NULL || uring->buffers == NULL)
		return ERR_MEMORY;
	struct io_uring_buf_reg reg = {
		.ring_addr = (uint64_t)(uintptr_t)uring->buffer_ring,
		.ring_entries = URING_BUFFERS,
		.bgid = URING_GROUP,
	};
	int rc = io_uring_register_buf_ring(&uring->ring, &reg, 0);
	if (rc < 0)
		return io_err(rc);
	uring->buffers_ready = true;
	io_uring_buf_ring_init(uring->buffer_ring);
	for (unsigned id = 0; id < URING_BUFFERS; id++)
		uring_buffer_return(uring, id);
	return OK;
}

/* ---- Set-up --------------------------------------------------------------------------- */

static const struct {
	unsigned    flags;
	const char *name;
} flag_sets[] = {
	{IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
	    IORING_SETUP_SUBMIT_ALL, "single-issuer, defer-taskrun"},
	{IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, "coop-taskrun"},
	{0, "plain"},
};

/* Each set of flags is tried in turn; the name of the one that worked, or NULL. */
static const char *uring_ring_new(struct uring *uring, int *why)
{
	for (size_t i = 0; i < ARRAY_COUNT(flag_sets); i++) {
		struct io_uring_params params = {
			.flags = flag_sets[i].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
			.cq_entries = URING_CQ_ENTRIES,
		};
		*why = io_uring_queue_init_params(URING_SQ_ENTRIES, &uring->ring, &params);
		if (*why == 0) {
			/* Slot i names entry i for good, so flushing is moving the tail. */
			for (unsigned slot = 0; slot < uring->ring.sq.ring_entries; slot++)
				uring->ring.sq.array[slot] = slot;
			return flag_sets[i].name;
		}
		if (*why != -EINVAL)
			return NULL;
	}
	return NULL;
}

/* Multishot receive has no bit of its own; it came in the same kernel as SEND_ZC. */
static bool uring_probe(struct uring *uring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(&uring->ring);
	if (probe == NULL)
		return false;
	bool enough = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC) &&
	    io_uring_opcode_supported(probe, IORING_OP_UNLINKAT) &&
	    io_uring_opcode_supported(probe, IORING_OP_RENAMEAT) &&
	    (uring->ring.features & IORING_FEAT_EXT_ARG) != 0 &&
	    (uring->ring.features & IORING_FEAT_NODROP) != 0;
	uring->has_truncate = io_uring_opcode_supported(probe, URING_OP_FTRUNCATE);
	io_uring_free_probe(probe);
	return enough;
}

static void uring_free(struct io *io)
{
	struct uring *uring = uring_of(io);
	io->in_wait = true;
	while (uring->ring_ready && uring->internal > 0) {
		uring_backlog_prepare(uring);
		uring_enter(uring, true, 100000);
		uring_reap(uring);
	}
	io->in_wait = false;
	ASSERT(list_is_empty(&uring->backlog));
	ASSERT(list_is_empty(&uring->starving));
	if (uring->buffers_ready)
		io_uring_unregister_buf_ring(&uring->ring, URING_GROUP);
	if (uring->ring_ready)
		io_uring_queue_exit(&uring->ring);
	host_splice_close(io);
	if (uring->buffer_ring != NULL)
		munmap(uring->buffer_ring, BUFFER_RING_BYTES);
	if (uring->buffers != NULL)
		munmap(uring->buffers, BUFFERS_BYTES);
	for (unsigned i = 0; i < io->lock_count; i++)
		close(io->lock_fds[i]);
	if (io->signal_fd >= 0)
		close(io->signal_fd);
	struct memory memory = io->memory;
	io_fini(io);
	memory_free(&memory, uring, sizeof(*uring));
}

static const struct io_backend_ops uring_ops = {
	.name = "io_uring",
	.free = uring_free,
	.wait = uring_wait,
	.submit = uring_submit,
	.clock = host_clock,
	.random = host_random,
	.file = uring_file,
	.stream_open = uring_stream_open,
	.stream_send = uring_stream_send,
	.stream_pause = uring_stream_pause,
	.stream_resume = uring_stream_resume,
	.stream_fill = uring_stream_fill,
	.stream_close = uring_stream_close,
	.stream_address = host_stream_address,
	.listen = uring_listen,
	.listener_port = host_listener_port,
	.listener_close = uring_listener_close,
	.close_now = host_close_now,
	.connect_begin = host_connect_begin,
	.connect_check = host_connect_check,
	.lookup_begin = host_lookup_begin,
	.lookup_check = host_lookup_check,
	.lookup_free = host_lookup_free,
	.spawn = uring_spawn,
	.kill = host_kill,
	.socket_pair = host_socket_pair,
	.memory_new = host_memory_new,
	.memory_free = host_memory_free,
	.memory_release = host_memory_release,
	.watch_signals = uring_watch_signals,
	.make_directory = host_make_directory,
	.list_directory = host_list_directory,
	.load_file = host_load_file,
	.save_file = host_save_file,
	.lock_file = host_lock_file,
	.disk_space = host_disk_space,
	.write_line = host_write_line,
	.usage = host_usage,
};

enum err uring_new(struct io **out, const struct io_options *options)
{
	struct memory memory = {0};
	struct uring *uring = memory_zalloc(&memory, sizeof(*uring));
	io_init(&uring->io, &uring_ops, options->log);
	uring->io.memory = memory;
	list_init(&uring->backlog);
	list_init(&uring->deferred);
	list_init(&uring->starving);

	int why = 0;
	enum err err;
	const char *mode = uring_ring_new(uring, &why);
	if (mode == NULL) {
		err = io_err(why);
		goto fail;
	}
	uring->ring_ready = true;
	if (!uring_probe(uring)) {
		err = ERR_UNSUPPORTED;
		goto fail;
	}
	err = uring_buffers_new(uring);
	if (err != OK)
		goto fail;
	uring->ring_fd_registered = io_uring_register_ring_fd(&uring->ring) == 1;
	uring->no_iowait = (uring->ring.features & IORING_FEAT_NO_IOWAIT) != 0;
	host_pass_begin(&uring->io);
	log_notice(options->log, "io: io_uring (%s%s%s%s), %u + %u entries, %d receive buffers "
	    "of %d KiB", mode, uring->ring_fd_registered ? ", registered ring" : "",
	    uring->no_iowait ? ", no-iowait" : "", uring->has_truncate ? ", ftruncate" : "",
	    uring->ring.sq.ring_entries, uring->ring.cq.ring_entries, URING_BUFFERS,
	    URING_BUFFER_BYTES >> 10);
	*out = &uring->io;
	return OK;
fail:
	uring_free(&uring->io);
	return err;
}
