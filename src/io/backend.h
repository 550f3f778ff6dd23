/* io/backend.h: what stands behind io.h. For files of this folder only.
 *
 * Every back end embeds `struct io` first in its own struct and fills a table of calls.
 * io.c checks the arguments and the state of operations and streams, then dispatches; so
 * a back end may rely on them. common.c keeps what all three share: timers, the mapping
 * of errno, and the state of lent buffers.
 */
#pragma once
#include "base/random.h"
#include "io/io.h"

#define IO_MAGIC 0x74696f00u
#define IO_OP_MAGIC 0x74696f01u
#define IO_STREAM_MAGIC 0x74696f02u
#define IO_LISTENER_MAGIC 0x74696f03u
#define IO_CHILD_MAGIC 0x74696f04u
#define IO_CONNECT_MAGIC 0x74696f05u

/* What an operation is; in io_op.kind. */
enum io_kind {
	IO_KIND_NONE,
	IO_KIND_OPEN, IO_KIND_CLOSE, IO_KIND_READ, IO_KIND_WRITE, IO_KIND_SYNC,
	IO_KIND_ALLOCATE, IO_KIND_TRUNCATE, IO_KIND_UNLINK, IO_KIND_RENAME,
	IO_KIND_SYNC_DIRECTORY, IO_KIND_FILE_SIZE,
	IO_KIND_RECEIVE, IO_KIND_FILL, IO_KIND_SEND, IO_KIND_CANCEL, IO_KIND_STREAM_CLOSE,
	IO_KIND_ACCEPT, IO_KIND_ACCEPT_CANCEL, IO_KIND_CHILD, IO_KIND_SIGNAL, IO_KIND_WAKE,
};

/* io_stream.mode. A stream whose peer ended stays RECEIVING, with nothing armed. */
enum io_stream_mode {
	STREAM_RECEIVING = 1,
	STREAM_PAUSING,                   /* paused() is still to come */
	STREAM_PAUSED,
	STREAM_FILLING,                   /* filled() is still to come */
};

/* io_op.flags of a write. */
enum { IO_DURABLE = 1u << 31 };

struct io_lookup;

struct io_backend_ops {
	const char *name;
	void       (*free)(struct io *io);
	unsigned   (*wait)(struct io *io, uint64_t wait_us);
	void       (*submit)(struct io *io);
	uint64_t   (*clock)(struct io *io);
	void       (*random)(struct io *io, void *out, size_t len);

	/* Any kind from OPEN to FILE_SIZE; ends in io_op_finish, from wait. */
	void       (*file)(struct io *io, struct io_op *op);

	void       (*stream_open)(struct io *io, struct io_stream *stream);
	void       (*stream_send)(struct io *io, struct io_stream *stream);
	void       (*stream_pause)(struct io *io, struct io_stream *stream);
	void       (*stream_resume)(struct io *io, struct io_stream *stream);
	void       (*stream_fill)(struct io *io, struct io_stream *stream);
	void       (*stream_close)(struct io *io, struct io_stream *stream);
	void       (*stream_address)(struct io *io, const struct io_stream *stream, bool local,
	    char out[IO_ADDRESS_MAX]);

	enum err   (*listen)(struct io *io, struct io_listener *listener,
	    const struct io_listen_options *options);
	uint16_t   (*listener_port)(struct io *io, const struct io_listener *listener);
	void       (*listener_close)(struct io *io, struct io_listener *listener);
	void       (*close_now)(struct io *io, int fd);
	/* A descriptor that is being connected, or -errno; -EINVAL: the address is not numeric. */
	int32_t    (*connect_begin)(struct io *io, const char *address, uint16_t port);
	int32_t    (*connect_check)(struct io *io, int fd);       /* 0; -EINPROGRESS; -errno */
	/* A name being looked up aside; NULL: that cannot be. */
	struct io_lookup *(*lookup_begin)(struct io *io, const char *name);
	/* 0, with the address; -EINPROGRESS; -ENOENT. */
	int32_t    (*lookup_check)(struct io_lookup *lookup, char out[IO_ADDRESS_MAX]);
	void       (*lookup_free)(struct io_lookup *lookup);      /* whether it has ended or not */

	enum err   (*spawn)(struct io *io, struct io_child *child,
	    const struct io_spawn_options *options);
	void       (*kill)(struct io *io, struct io_child *child);
	enum err   (*socket_pair)(struct io *io, int fds[2]);
	enum err   (*memory_new)(struct io *io, size_t bytes, bool read_only_for_others,
	    struct io_memory *out);
	void       (*memory_free)(struct io *io, struct io_memory *memory);
	void       (*memory_release)(struct io *io, const struct io_memory *memory, size_t offset,
	    size_t bytes);
	void       (*watch_signals)(struct io *io);

	enum err   (*make_directory)(struct io *io, const char *path);
	enum err (*list_directory)(struct io *io, const char *path, io_list_entry *each, void *ctx);
	enum err   (*load_file)(struct io *io, const char *path, size_t max, struct buf *out);
	enum err   (*save_file)(struct io *io, const char *path, struct span bytes);
	enum err   (*lock_file)(struct io *io, const char *path);
	enum err   (*disk_space)(struct io *io, const char *path, uint64_t *free, uint64_t *total);
	void       (*write_line)(struct io *io, int fd, struct span line);
	void       (*usage)(struct io *io, struct io_usage *out);
};

enum { IO_LOCKS_MAX = 8 };

struct io {
	uint32_t        magic;
	bool            in_wait;
	const struct io_backend_ops *ops;
	struct log     *log;
	struct memory   memory;
	struct heap     timers;
	uint64_t        now_us;
	int64_t         wall_ms;
	struct {
		uint64_t ticks, us;           /* of this pass's begin */
		uint64_t first_ticks, first_us;         /* of the measurement under way */
		uint64_t us_per_tick;         /* in 2^-32; 0: not known, or the ticks are not steady */
		uint64_t last_us;             /* the clock never runs back */
		bool     steady;
	} clock;                              /* host_time.c */
	struct io_stats stats;
	void          (*caught)(void *ctx, int signal);
	void           *caught_ctx;
	int             signal_fd;        /* -1 until io_watch_signals; real back ends */
	struct io_op    signal_op;
	struct {
		int      pipe[2], null_fd;    /* 0: not open */
		bool     refused;             /* this machine cannot */
		uint8_t *notes;
		uint32_t noted;               /* bytes of it */
	} splice;                             /* host_splice.c */
	int             lock_fds[IO_LOCKS_MAX];
	unsigned        lock_count;
};

/* ---- common.c --------------------------------------------------------------------- */

void io_init(struct io *io, const struct io_backend_ops *ops, struct log *log);
void io_fini(struct io *io);

/* Ends an operation: takes its buffers back, counts, calls done(). */
void io_op_finish(struct io *io, struct io_op *op, int32_t result);
/* For operations inside streams, listeners and children, which have no done(). */
void io_op_prepare(struct io_op *op, enum io_kind kind);

/* Fires the timers that are due at io->now_us; returns how many. */
unsigned io_timers_run(struct io *io);
/* The time that a pass may sleep: until the first timer, at most wait_us. */
uint64_t io_timers_wait(const struct io *io, uint64_t wait_us);

/* Bytes are about to be lent: they must be addressable. With `kernel_writes` nobody may
 * touch them until io_regain. Both are nothing but an assertion outside of ASan. */
void io_lend(const struct iovec *iov, uint32_t count, bool kernel_writes);
void io_regain(const struct iovec *iov, uint32_t count);

uint64_t io_iov_bytes(const struct iovec *iov, uint32_t count);
/* Drops the first `bytes` of iov; returns the index of the first entry that is left. */
uint32_t io_iov_advance(struct iovec *iov, uint32_t count, size_t bytes);

/* ---- The back ends ------------------------------------------------------------------ */

MUST_CHECK enum err uring_new(struct io **out, const struct io_options *options);
MUST_CHECK enum err epoll_new(struct io **out, const struct io_options *options);
