/* io/common.c: what all back ends share. Timers on a heap, results as errors, and the
 * state of operations and of lent buffers. */
#include "io/backend.h"

#include <errno.h>
#include <limits.h>

#if defined(__SANITIZE_ADDRESS__)
#define IO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IO_ASAN 1
#endif
#endif
#ifdef IO_ASAN
#include <sanitizer/asan_interface.h>
#endif

enum err io_err(int32_t result)
{
	if (result >= 0)
		return OK;
	switch (-result) {
	case EAGAIN: case EINTR:
		return ERR_AGAIN;
	case EBUSY: case EADDRINUSE: case ETXTBSY:
		return ERR_BUSY;
	case ECANCELED:
		return ERR_CANCELLED;
	case EPIPE: case ECONNRESET: case ECONNABORTED: case ENOTCONN: case ESHUTDOWN:
	case EBADF: case ECONNREFUSED: case ENETDOWN: case ENETUNREACH: case EHOSTUNREACH:
		return ERR_CLOSED;
	case ENOSPC: case EDQUOT:
		return ERR_DISKFULL;
	case EEXIST: case ENOTEMPTY:
		return ERR_EXISTS;
	case EINVAL: case ENAMETOOLONG: case EDESTADDRREQ: case EADDRNOTAVAIL: case EISDIR:
	case ENOTDIR:
		return ERR_INVALID;
	case ENOMEM: case ENOBUFS:
		return ERR_MEMORY;
	case ENOENT: case ESRCH:
		return ERR_NOTFOUND;
	case EMFILE: case ENFILE:
		return ERR_OVERLOADED;
	case EACCES: case EPERM:
		return ERR_PERMISSION;
	case EROFS:
		return ERR_READONLY;
	case ETIMEDOUT: case ETIME:
		return ERR_TIMEOUT;
	case EFBIG: case EMSGSIZE: case E2BIG:
		return ERR_TOOLARGE;
	case EOPNOTSUPP: case ENOSYS: case EAFNOSUPPORT:
		return ERR_UNSUPPORTED;
	default:
		return ERR_IO;
	}
}

void io_init(struct io *io, const struct io_backend_ops *ops, struct log *log)
{
	ASSERT(ops != NULL);
	*io = (struct io){.magic = IO_MAGIC, .ops = ops, .log = log, .signal_fd = -1};
	heap_init(&io->timers, &io->memory);
	io_op_prepare(&io->signal_op, IO_KIND_SIGNAL);
}

void io_fini(struct io *io)
{
	ASSERT(!io->in_wait);
	heap_fini(&io->timers);
	DROP_OBJ(io, IO_MAGIC);
}

/* ---- Timers ----------------------------------------------------------------------- */

#define IO_TIMER_OF(at) CONTAINER_OF(at, struct io_timer, node)

void io_timer_init(struct io_timer *timer, void (*fired)(struct io_timer *timer), void *ctx)
{
	ASSERT(fired != NULL);
	*timer = (struct io_timer){.fired = fired, .ctx = ctx};
	heap_node_init(&timer->node);
}

void io_timer_set(struct io *io, struct io_timer *timer, uint64_t delay_us)
{
	CHECK_OBJ(io, IO_MAGIC);
	ASSERT(timer->fired != NULL);
	/* Never due in the pass that sets it, so that a timer cannot occupy a pass for good. */
	uint64_t delay = delay_us == 0 ? 1 : delay_us;
	uint64_t deadline =
	    delay > UINT64_MAX - 1 - io->now_us ? UINT64_MAX - 1 : io->now_us + delay;
	heap_set(&io->timers, &timer->node, deadline);
}

void io_timer_cancel(struct io *io, struct io_timer *timer)
{
	CHECK_OBJ(io, IO_MAGIC);
	ASSERT(timer->fired != NULL);
	heap_remove(&io->timers, &timer->node);
}

bool io_timer_is_set(const struct io_timer *timer)
{
	ASSERT(timer->fired != NULL);
	return timer->node.position != HEAP_OUT;
}

unsigned io_timers_run(struct io *io)
{
	unsigned ran = 0;
	for (;;) {
		const struct heap_item *first = heap_first(&io->timers);
		if (first == NULL || first->deadline > io->now_us)
			return ran;
		struct io_timer *timer = IO_TIMER_OF(first->node);
		heap_remove(&io->timers, &timer->node);
		timer->fired(timer);
		ran++;
	}
}

uint64_t io_timers_wait(const struct io *io, uint64_t wait_us)
{
	const struct heap_item *first = heap_first(&io->timers);
	if (first == NULL)
		return wait_us;
	uint64_t until = first->deadline <= io->now_us ? 0 : first->deadline - io->now_us;
	return until < wait_us ? until : wait_us;
}

/* ---- Buffers ------------------------------------------------------------------------ */

void io_lend(const struct iovec *iov, uint32_t count, bool kernel_writes)
{
	for (uint32_t i = 0; i < count; i++) {
		ASSERT(iov[i].iov_base != NULL || iov[i].iov_len == 0);
#ifdef IO_ASAN
		ASSERT(iov[i].iov_len == 0 ||
		    __asan_region_is_poisoned(iov[i].iov_base, iov[i].iov_len) == NULL);
		if (kernel_writes)
			__asan_poison_memory_region(iov[i].iov_base, iov[i].iov_len);
#endif
	}
	UNUSED(kernel_writes);
}

void io_regain(const struct iovec *iov, uint32_t count)
{
#ifdef IO_ASAN
	for (uint32_t i = 0; i < count; i++)
		__asan_unpoison_memory_region(iov[i].iov_base, iov[i].iov_len);
#endif
	UNUSED(iov);
	UNUSED(count);
}

uint64_t io_iov_bytes(const struct iovec *iov, uint32_t count)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

uint32_t io_iov_advance(struct iovec *iov, uint32_t count, size_t bytes)
{
	uint32_t at = 0;
	while (at < count && bytes >= iov[at].iov_len) {
		bytes -= iov[at].iov_len;
		iov[at].iov_base = (char *)iov[at].iov_base + iov[at].iov_len;
		iov[at++].iov_len = 0;
	}
	ASSERT(at < count || bytes == 0);
	if (bytes > 0) {
		iov[at].iov_base = (char *)iov[at].iov_base + bytes;
		iov[at].iov_len -= bytes;
	}
	return at;
}

/* ---- Operations ------------------------------------------------------------------- */

void io_op_init(struct io_op *op, io_done *done, void *ctx)
{
	ASSERT(done != NULL);
	*op = (struct io_op){.magic = IO_OP_MAGIC, .done = done, .ctx = ctx, .fd = -1};
	list_init(&op->link);
}

void io_op_prepare(struct io_op *op, enum io_kind kind)
{
	*op = (struct io_op){.magic = IO_OP_MAGIC, .kind = (uint8_t)kind, .fd = -1};
	list_init(&op->link);
}

void io_op_finish(struct io *io, struct io_op *op, int32_t result)
{
	CHECK_OBJ(op, IO_OP_MAGIC);
	ASSERT(op->in_flight);
	ASSERT(io->in_wait);
	op->in_flight = 0;
	if (op->kind == IO_KIND_READ) {
		io_regain(op->iov, op->iov_count);
		io->stats.files_read++;
		io->stats.file_bytes_read += result > 0 ? (uint64_t)result : 0;
	} else if (op->kind == IO_KIND_WRITE) {
		io->stats.files_written++;
		io->stats.file_bytes_written += result > 0 ? (uint64_t)result : 0;
	}
	io->stats.completed++;
	op->done(op, result);
}
