/* io/uring_file.c: files through the ring.
 *
 * A durable write is one write with RWF_DSYNC; it is never linked to a sync, because a
 * short write breaks the link and a failed sync does not. What the ring cannot do (the
 * size of a file, and truncation before Linux 6.9) is answered by a call that does not
 * wait for the device, and delivered with the pass like everything else.
 */
#include "io/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* io_op.flags of IO_KIND_SYNC_DIRECTORY: which of its steps is in the ring. */
enum { STEP_OPEN = 0, STEP_SYNC = 1 };

static void file_size(struct uring *uring, struct io_op *op)
{
	struct stat st;
	op->result = fstat(op->fd, &st) == 0 ? 0 : -errno;
	op->offset = op->result == 0 ? (uint64_t)st.st_size : 0;
	uring_defer(uring, op);
}

void uring_file(struct io *io, struct io_op *op)
{
	struct uring *uring = uring_of(io);
	if (op->kind == IO_KIND_FILE_SIZE) {
		file_size(uring, op);
	} else if (op->kind == IO_KIND_TRUNCATE && !uring->has_truncate) {
		op->result = ftruncate(op->fd, (off_t)op->offset) == 0 ? 0 : -errno;
		uring_defer(uring, op);
	} else {
		uring_start(uring, op);
	}
}

static void transfer_prepare(struct io_op *op, struct io_uring_sqe *sqe)
{
	bool write = op->kind == IO_KIND_WRITE;
	ASSERT(op->iov_count >= 1);
	if (op->iov_count > 1) {
		if (write)
			io_uring_prep_writev(sqe, op->fd, op->iov, op->iov_count, op->offset);
		else
			io_uring_prep_readv(sqe, op->fd, op->iov, op->iov_count, op->offset);
	} else {
		unsigned len = (unsigned)op->iov->iov_len;
		ASSERT(op->iov->iov_len <= INT32_MAX);
		if (write)
			io_uring_prep_write(sqe, op->fd, op->iov->iov_base, len, op->offset);
		else
			io_uring_prep_read(sqe, op->fd, op->iov->iov_base, len, op->offset);
	}
	if ((op->flags & (uint32_t)IO_DURABLE) != 0)
		sqe->rw_flags = RWF_DSYNC;
}

void uring_file_prepare(struct io_op *op, struct io_uring_sqe *sqe)
{
	switch ((enum io_kind)op->kind) {
	case IO_KIND_OPEN:
		io_uring_prep_openat(
		    sqe, AT_FDCWD, op->path, host_open_flags(op->flags), HOST_FILE_MODE);
		break;
	case IO_KIND_CLOSE:
		io_uring_prep_close(sqe, op->fd);
		break;
	case IO_KIND_READ: case IO_KIND_WRITE:
		transfer_prepare(op, sqe);
		break;
	case IO_KIND_SYNC:
		io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
		break;
	case IO_KIND_ALLOCATE:
		io_uring_prep_fallocate(sqe, op->fd, 0, 0, (off_t)op->offset);
		break;
	case IO_KIND_TRUNCATE:
		io_uring_prep_rw(URING_OP_FTRUNCATE, sqe, op->fd, NULL, 0, op->offset);
		break;
	case IO_KIND_UNLINK:
		io_uring_prep_unlinkat(sqe, AT_FDCWD, op->path, 0);
		break;
	case IO_KIND_RENAME:
		io_uring_prep_renameat(sqe, AT_FDCWD, op->path, AT_FDCWD, op->path_to, 0);
		break;
	case IO_KIND_SYNC_DIRECTORY:
		if (op->flags == STEP_OPEN)
			io_uring_prep_openat(
			    sqe, AT_FDCWD, op->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
		else
			io_uring_prep_fsync(sqe, op->fd, 0);
		break;
	default:
		ASSERT(false);
	}
}

void uring_file_complete(struct uring *uring, struct io_op *op, int32_t result)
{
	ASSERT(op->in_flight);
	if (op->kind == IO_KIND_FILE_SIZE && result == 0) {
		*(uint64_t *)op->iov_one.iov_base = op->offset;
	} else if (op->kind == IO_KIND_SYNC_DIRECTORY) {
		if (op->flags == STEP_OPEN && result >= 0) {
			op->fd = result;
			op->flags = STEP_SYNC;
			uring_start(uring, op);
			uring->ran--;
			return;
		}
		if (op->flags == STEP_SYNC)
			close(op->fd);
	}
	io_op_finish(&uring->io, op, result);
}
