/* io/epoll_pool.c: file calls on a few threads, for the epoll back end.
 *
 * An operation is the threads' from pool_submit until pool_take_done; the lock orders the
 * two sides. The calls are made by number: ASan would check what goes through the C library
 * against the poison that marks lent buffers.
 */
#include "io/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int32_t result_of(long rc)
{
	return rc < 0 ? -errno : (int32_t)rc;
}

static int32_t transfer(struct io_op *op)
{
	long call = op->kind == IO_KIND_READ ? SYS_preadv2 : SYS_pwritev2;
	int flags = (op->flags & (uint32_t)IO_DURABLE) != 0 ? RWF_DSYNC : 0;
	for (;;) {
		int32_t result = result_of(syscall(call, op->fd, op->iov,
		    (unsigned long)op->iov_count, (unsigned long)op->offset, 0UL, flags));
		if (result != -EINTR)
			return result;
	}
}

static int32_t sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int32_t result = result_of(fsync(fd));
	close(fd);
	return result;
}

static int32_t file_size(struct io_op *op)
{
	struct stat st;
	if (fstat(op->fd, &st) != 0)
		return -errno;
	op->offset = (uint64_t)st.st_size;
	return 0;
}

static int32_t execute(struct io_op *op)
{
	switch ((enum io_kind)op->kind) {
	case IO_KIND_OPEN:
		return result_of(open(op->path, host_open_flags(op->flags), HOST_FILE_MODE));
	case IO_KIND_CLOSE:
		return result_of(close(op->fd));
	case IO_KIND_READ: case IO_KIND_WRITE:
		return transfer(op);
	case IO_KIND_SYNC:
		return result_of(fdatasync(op->fd));
	case IO_KIND_ALLOCATE:
		return result_of(fallocate(op->fd, 0, 0, (off_t)op->offset));
	case IO_KIND_TRUNCATE:
		return result_of(ftruncate(op->fd, (off_t)op->offset));
	case IO_KIND_UNLINK:
		return result_of(unlink(op->path));
	case IO_KIND_RENAME:
		return result_of(rename(op->path, op->path_to));
	case IO_KIND_SYNC_DIRECTORY:
		return sync_directory(op->path);
	case IO_KIND_FILE_SIZE:
		return file_size(op);
	default:
		ASSERT(false);
		return -EINVAL;
	}
}

static void *pool_main(void *ctx)
{
	struct pool *pool = ctx;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (list_is_empty(&pool->queue) && !pool->stop)
			pthread_cond_wait(&pool->work, &pool->lock);
		if (list_is_empty(&pool->queue))
			break;
		struct io_op *op = LIST_OF(pool->queue.next, struct io_op, link);
		list_remove(&op->link);
		pthread_mutex_unlock(&pool->lock);
		op->result = execute(op);
		pthread_mutex_lock(&pool->lock);
		bool first = list_is_empty(&pool->done);
		list_append(&pool->done, &op->link);
		if (first) {
			ssize_t rc = write(pool->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
			ASSERT(rc == (ssize_t)sizeof(uint64_t));
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

enum err pool_init(struct pool *pool)
{
	*pool = (struct pool){.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	list_init(&pool->queue);
	list_init(&pool->done);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	if (pool->wake_fd < 0)
		return io_err(-errno);
	/* Signals are the loop's. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = 0;
	while (rc == 0 && pool->thread_count < EPOLL_THREADS) {
		rc = pthread_create(&pool->threads[pool->thread_count], NULL, pool_main, pool);
		pool->thread_count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pool->thread_count > 0 ? OK : io_err(-rc);
}

void pool_fini(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	ASSERT(list_is_empty(&pool->queue));
	ASSERT(list_is_empty(&pool->done));
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	if (pool->wake_fd >= 0)
		close(pool->wake_fd);
}

void pool_submit(struct pool *pool, struct io_op *op)
{
	ASSERT(op->in_flight);
	ASSERT(op->kind >= IO_KIND_OPEN && op->kind <= IO_KIND_FILE_SIZE);
	pthread_mutex_lock(&pool->lock);
	list_append(&pool->queue, &op->link);
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

void pool_take_done(struct pool *pool, struct list *out)
{
	uint64_t count;
	ssize_t rc = read(pool->wake_fd, &count, sizeof(count));
	ASSERT(rc == (ssize_t)sizeof(count) || errno == EAGAIN);
	pthread_mutex_lock(&pool->lock);
	while (!list_is_empty(&pool->done)) {
		struct list *node = pool->done.next;
		list_remove(node);
		list_append(out, node);
	}
	pthread_mutex_unlock(&pool->lock);
}
