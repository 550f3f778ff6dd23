/* io/epoll.h: the parts of the epoll back end among themselves.
 *
 * What epoll reports carries the address of a struct io_op, whose kind says what it belongs
 * to, as in the io_uring back end.
 */
#pragma once
#include "io/host.h"

#include <pthread.h>
#include <sys/epoll.h>

enum {
	EPOLL_THREADS = 4,
	EPOLL_EVENTS_MAX = 256,
	EPOLL_RECEIVE_BYTES = 64 << 10,
	EPOLL_ACCEPTS_MAX = 64,           /* of one listener in one pass */
};

/* File calls that may wait for a device. The only threads and locks of the server. */
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t  work;
	struct list     queue, done;      /* io_op.link; under the lock */
	bool            stop;             /* under the lock */
	int             wake_fd;          /* an eventfd: `done` is no longer empty */
	unsigned        thread_count;
	pthread_t       threads[EPOLL_THREADS];
};

struct epoll {
	struct io    io;                  /* first */
	int          epoll_fd;
	bool         has_pwait2;
	struct io_op wake_op;
	struct pool  pool;
	struct list  ready;               /* receive_op.link: streams that may have bytes */
	struct list  sending;             /* send_op.link: sends to be tried */
	struct list  deferred;            /* io_op.link: results that are known */
	struct list  graveyard;           /* host_accept.link: freed at the end of the pass */
	uint8_t     *receive_buffer;
	unsigned     ran;                 /* callbacks of this pass */
};

static inline struct epoll *epoll_of(struct io *io)
{
	CHECK_OBJ(io, IO_MAGIC);
	return CONTAINER_OF(io, struct epoll, io);
}

/* ---- epoll.c ---- */
void epoll_defer(struct epoll *epoll, struct io_op *op, int32_t result);
/* False, with errno set, when the kernel has no room. */
MUST_CHECK bool epoll_watch(struct epoll *epoll, struct io_op *op, int fd, uint32_t events);

/* ---- epoll_pool.c ---- */
MUST_CHECK enum err pool_init(struct pool *pool);
void pool_fini(struct pool *pool);
void pool_submit(struct pool *pool, struct io_op *op);
/* Moves what is done to `out`. */
void pool_take_done(struct pool *pool, struct list *out);

/* ---- epoll_stream.c ---- */
void epoll_stream_open(struct io *io, struct io_stream *stream);
void epoll_stream_send(struct io *io, struct io_stream *stream);
void epoll_stream_pause(struct io *io, struct io_stream *stream);
void epoll_stream_resume(struct io *io, struct io_stream *stream);
void epoll_stream_fill(struct io *io, struct io_stream *stream);
void epoll_stream_close(struct io *io, struct io_stream *stream);
void epoll_stream_event(struct epoll *epoll, struct io_stream *stream, uint32_t events);
void epoll_stream_deferred(struct epoll *epoll, struct io_op *op);
void epoll_sends_try(struct epoll *epoll);
void epoll_streams_receive(struct epoll *epoll);
