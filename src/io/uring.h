/* io/uring.h: the parts of the io_uring back end among themselves.
 *
 * Every entry in the ring is a struct io_op whose address is the user_data and whose kind
 * says how to fill the entry (uring_*_prepare) and who gets the completion
 * (uring_*_complete). An operation that finds the submission queue full waits in
 * `backlog`, in order, until the next pass.
 */
#pragma once
#include "io/host.h"

#include <liburing.h>

/* Of kernels newer than the headers of liburing 2.3. */
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif

enum {
	URING_SQ_ENTRIES = 4096,
	URING_CQ_ENTRIES = 32768,
	URING_BUFFERS = 512,
	URING_BUFFER_BYTES = 16 << 10,
	URING_GROUP = 0,
	URING_OP_FTRUNCATE = 55,          /* Linux 6.9 */
};

struct uring {
	struct io         io;             /* first */
	struct io_uring   ring;
	bool              ring_ready, buffers_ready;
	bool              ring_fd_registered, no_iowait, has_truncate;
	struct io_uring_buf_ring *buffer_ring;
	uint8_t          *buffers;
	struct list       backlog;        /* io_op.link: no room in the submission queue yet */
	struct list       deferred;       /* io_op.link: results known without the kernel */
	struct list       starving;       /* io_stream.link: receives that met an empty ring */
	unsigned          internal;       /* accepts of closed listeners still in the kernel */
	unsigned          ran;            /* callbacks of this pass */
	unsigned          short_sends;    /* put into the ring since the last entry; see uring_enter */
};

static inline struct uring *uring_of(struct io *io)
{
	CHECK_OBJ(io, IO_MAGIC);
	return CONTAINER_OF(io, struct uring, io);
}

/* ---- uring.c ---- */

/* Puts the operation into the ring, now or as soon as there is room. */
void uring_start(struct uring *uring, struct io_op *op);
/* Its completion comes in this or the next pass, with op->result. */
void uring_defer(struct uring *uring, struct io_op *op);
/* Gives a receive buffer back to the kernel. */
void uring_buffer_return(struct uring *uring, unsigned id);

/* ---- uring_file.c ---- */
void uring_file(struct io *io, struct io_op *op);
void uring_file_prepare(struct io_op *op, struct io_uring_sqe *sqe);
void uring_file_complete(struct uring *uring, struct io_op *op, int32_t result);

/* ---- uring_stream.c ---- */
void uring_stream_open(struct io *io, struct io_stream *stream);
void uring_stream_send(struct io *io, struct io_stream *stream);
void uring_stream_pause(struct io *io, struct io_stream *stream);
void uring_stream_resume(struct io *io, struct io_stream *stream);
void uring_stream_fill(struct io *io, struct io_stream *stream);
void uring_stream_close(struct io *io, struct io_stream *stream);
void uring_stream_prepare(struct uring *uring, struct io_op *op, struct io_uring_sqe *sqe);
void uring_stream_complete(struct uring *uring, struct io_op *op, int32_t result, uint32_t flags);
/* Every buffer is back: those that found none start again. */
void uring_streams_feed(struct uring *uring);

/* ---- uring_watch.c: listeners, children, signals ---- */
enum err uring_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options);
void uring_listener_close(struct io *io, struct io_listener *listener);
enum err uring_spawn(struct io *io, struct io_child *child, const struct io_spawn_options *options);
void uring_watch_signals(struct io *io);
void uring_watch_prepare(struct io_op *op, struct io_uring_sqe *sqe);
void uring_watch_complete(struct uring *uring, struct io_op *op, int32_t result, uint32_t flags);
