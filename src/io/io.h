/* io/io.h: the seam. Everything that Tintype asks of the outside world passes here:
 * sockets, files, timers, child processes, signals, randomness and clocks.
 *
 * Three back ends stand behind it: io_uring (uring.c), epoll with a small pool of threads
 * for file calls (epoll.c), and a simulated machine (sim.c). Nobody above can tell them apart.
 *
 * Concepts
 *   One thread calls in. Callbacks run only inside io_wait, never inside the call that
 *   submitted. A callback may submit again, and may free the memory of its own operation.
 *   Results are as the kernel gives them: >= 0, or -errno. io_err() maps to enum err.
 *   A buffer is lent from the submit until its callback; under ASan it is poisoned for
 *   that time where the kernel writes into it, and its state is checked at submit.
 *   No call blocks, except those under "Start and end", which run before or after service.
 */
#pragma once
#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/log.h"
#include "base/span.h"
#include "io/memory.h"

#include <sys/types.h>
#include <sys/uio.h>

struct io;

enum io_backend { IO_AUTO, IO_URING, IO_EPOLL, IO_SIM };
enum err io_err(int32_t result);          /* OK for >= 0; -ENOSPC is ERR_DISKFULL, ... */

/* ---- Start and end ---------------------------------------------------------------- */
struct io_options {
	enum io_backend backend;          /* IO_AUTO: io_uring, or epoll where it is refused */
	struct log     *log;              /* says which back end and features, and why not */
};
/* Never IO_SIM: the simulator makes its own (sim.h). */
MUST_CHECK enum err io_new(struct io **out, const struct io_options *options);
void io_free(struct io *io);              /* nothing may be in flight */
const char *io_backend_name(const struct io *io);      /* "io_uring", "epoll", "sim" */

/* Blocking calls, for start-up, before anything is served. */
MUST_CHECK enum err io_make_directory(struct io *io, const char *path);   /* OK if it is there */
typedef void io_list_entry(void *ctx, const char *name, uint64_t bytes);
MUST_CHECK enum err io_list_directory(struct io *io, const char *path, io_list_entry *each,
    void *ctx);
/* Whole file into `out` (at most max bytes). ERR_NOTFOUND, ERR_TOOLARGE. */
struct buf;
MUST_CHECK enum err io_load_file(struct io *io, const char *path, size_t max, struct buf *out);
/* Writes path.tmp, syncs, renames over path, syncs the directory. */
MUST_CHECK enum err io_save_file(struct io *io, const char *path, struct span bytes);
/* Exclusive advisory lock on a file, held until io_free. ERR_BUSY if another has it. */
MUST_CHECK enum err io_lock_file(struct io *io, const char *path);
/* Bytes free for an unprivileged writer, and in all, on the file system of `path`. */
MUST_CHECK enum err io_disk_space(struct io *io, const char *path, uint64_t *free, uint64_t *total);

/* ---- Time and chance -------------------------------------------------------------- */
uint64_t io_now_us(const struct io *io);      /* monotonic; as of the start of this pass */
uint64_t io_clock_us(struct io *io);          /* monotonic; read now */
int64_t  io_wall_ms(const struct io *io);     /* Unix milliseconds; as of this pass */
void     io_random(struct io *io, void *out, size_t len);      /* fit for secrets */

struct io_timer {
	struct heap_node node;
	void           (*fired)(struct io_timer *timer);
	void            *ctx;
};

void io_timer_init(struct io_timer *timer, void (*fired)(struct io_timer *timer), void *ctx);
void io_timer_set(struct io *io, struct io_timer *timer, uint64_t delay_us);   /* moves it if set */
void io_timer_cancel(struct io *io, struct io_timer *timer);                   /* safe if not set */
bool io_timer_is_set(const struct io_timer *timer);

/* ---- The pass --------------------------------------------------------------------- */
/* Submits what was queued, waits until something happens or `wait_us` has passed (0: only
 * polls; IO_FOREVER), then runs every callback that is due. One kernel entry as a rule.
 * Returns the number of callbacks run. */
#define IO_FOREVER UINT64_MAX
unsigned io_wait(struct io *io, uint64_t wait_us);
/* Submits without waiting. For use when a callback made much work. */
void io_submit(struct io *io);

struct io_stats {
	uint64_t enters;                  /* system calls made by this back end */
	uint64_t submitted, completed;
	uint64_t cq_overflows;
	uint64_t buffers_exhausted;       /* receive buffer ring ran empty */
	uint64_t bytes_received, bytes_sent;
	uint64_t files_read, file_bytes_read, files_written, file_bytes_written;
};
const struct io_stats *io_get_stats(const struct io *io);

/* ---- Operations ------------------------------------------------------------------- */
struct io_op;
typedef void io_done(struct io_op *op, int32_t result);

/* Caller's storage; idle, or in flight from submit to callback. Cannot be submitted twice. */
struct io_op {
	uint32_t      magic;
	uint8_t       in_flight;
	uint8_t       kind;               /* back end's */
	io_done      *done;
	void         *ctx;                /* for done() */
	struct list   link;               /* back end's */
	int           fd;                 /* back end's, from here on */
	int32_t       result;
	uint32_t      flags;
	uint32_t      iov_count;
	uint64_t      offset;
	struct iovec *iov;
	struct iovec  iov_one;
	const char   *path, *path_to;
};

void io_op_init(struct io_op *op, io_done *done, void *ctx);
static inline bool io_op_is_idle(const struct io_op *op) { return !op->in_flight; }

/* ---- Files ------------------------------------------------------------------------ */

enum {
	IO_READ = 1, IO_WRITE = 2, IO_CREATE = 4, IO_EXCLUSIVE = 8, IO_TRUNCATE = 16,
	IO_DIRECT = 32,                   /* O_DIRECT; -EINVAL where the file system has none */
	IO_APPEND = 64,
};

/* `path` must stay valid until the callback. Result: a descriptor. */
void io_open(struct io *io, struct io_op *op, const char *path, uint32_t flags);
void io_close(struct io *io, struct io_op *op, int fd);

struct io_transfer {
	int           fd;
	bool          durable;            /* write: RWF_DSYNC */
	uint64_t      offset;
	struct iovec *iov;                /* stays valid until the callback */
	uint32_t      iov_count;          /* 1..IO_IOV_MAX */
};
enum { IO_IOV_MAX = 1024 };
/* Result: bytes moved, possibly fewer than asked (end of file, full disk). A short result
 * is the caller's to judge. */
void io_read(struct io *io, struct io_op *op, const struct io_transfer *transfer);
void io_write(struct io *io, struct io_op *op, const struct io_transfer *transfer);
void io_sync(struct io *io, struct io_op *op, int fd);              /* fdatasync */
/* Allocates [0, bytes) and extends the size. -ENOSPC; -EOPNOTSUPP. */
void io_allocate(struct io *io, struct io_op *op, int fd, uint64_t bytes);
void io_truncate(struct io *io, struct io_op *op, int fd, uint64_t bytes);
void io_unlink(struct io *io, struct io_op *op, const char *path);
void io_rename(struct io *io, struct io_op *op, const char *from, const char *to);
/* Makes creations, renames and unlinks in a directory durable. */
void io_sync_directory(struct io *io, struct io_op *op, const char *path);
/* Result: 0; *bytes holds the size at the callback. */
void io_file_size(struct io *io, struct io_op *op, int fd, uint64_t *bytes);

/* ---- Streams: connected sockets and worker channels --------------------------------- */
struct io_stream;

/* All are called from io_wait. After closed() the stream's memory is the caller's again. */
struct io_stream_events {
	/* Bytes arrived; they are valid only during the call. Empty with OK: the peer ended its
	 * side. With an error: the stream is broken; close it. */
	void (*received)(struct io_stream *stream, struct span bytes, enum err err);
	/* The one send in flight ended: all bytes left (OK), or the stream is broken. */
	void (*sent)(struct io_stream *stream, enum err err);
	/* io_stream_pause took effect: no more received() until resume. */
	void (*paused)(struct io_stream *stream);
	/* io_stream_receive_into ended. `bytes` may be fewer than `min` only with an error. */
	void (*filled)(struct io_stream *stream, size_t bytes, enum err err);
	/* The last reference of the kernel is gone; the descriptor is closed. */
	void (*closed)(struct io_stream *stream);
};

struct io_stream {
	uint32_t      magic;
	int           fd;
	uint8_t       mode;               /* back end's, from here on */
	uint8_t       sending, closing, armed, starving, polling, nonblocking;
	uint16_t      refs;
	const struct io_stream_events *events;
	void         *ctx;
	struct io_op  receive_op, send_op, cancel_op, close_op;
	struct list   link;
	struct iovec  fill, *send_iov, *pages;
	size_t        filled_bytes, fill_min;
	struct tls_stream *tls;           /* NULL: bytes pass as they are; else see tls.h */
	uint32_t      send_iov_count;
	uint64_t      opaque[8];          /* what a back end keeps besides (msghdr, ...) */
};
/* Takes over a connected descriptor and starts to receive. */
void io_stream_open(struct io *io, struct io_stream *stream, int fd,
    const struct io_stream_events *events, void *ctx);

/* Sends all bytes of iov, in order. One send at a time; iov and bytes are lent until
 * sent(). The back end may advance the iov entries. At most IO_IOV_MAX entries. */
void io_stream_send(struct io *io, struct io_stream *stream, struct iovec *iov, uint32_t count);
/* The same, and the bytes of iov[pages] may leave as the pages that they are, without a copy: sockets may
 * read them after sent() too. Before that memory is written again it is renewed (memory.h). */
void io_stream_send_pages(
    struct io *io, struct io_stream *stream, struct iovec *iov, uint32_t count, uint32_t pages);
enum { IO_PAGES_MIN = 24 << 10 };                 /* shorter ones are better copied */

/* Stops received(); paused() follows, after the last bytes that were under way. */
void io_stream_pause(struct io *io, struct io_stream *stream);
/* Starts received() again, from paused or after filled(). */
void io_stream_resume(struct io *io, struct io_stream *stream);
/* Only while paused: receives at least `min` and at most `len` bytes into `buf`, past every
 * shared buffer. filled() follows; the stream is then still paused. */
void io_stream_receive_into(struct io *io, struct io_stream *stream, void *buf, size_t min, size_t len);

/* Shuts down, waits until the kernel has let go of everything, closes; closed() follows.
 * No other callback comes after this call. Safe to call twice. */
void io_stream_close(struct io *io, struct io_stream *stream);

/* Which peer, as Redis prints it: "127.0.0.1:54321", "[::1]:80", or the socket's path and
 * ":0" for Unix sockets. `local` asks for our own end. */
enum { IO_ADDRESS_MAX = 128 };
void io_stream_address(struct io *io, const struct io_stream *stream, bool local,
    char out[IO_ADDRESS_MAX]);

/* ---- Listeners ------------------------------------------------------------------------ */

struct io_listener {
	uint32_t     magic;
	int          fd;
	void       (*accepted)(struct io_listener *listener, int fd);   /* the callee owns fd */
	void        *ctx;
	void        *accept;              /* back end's, from here on */
	uint8_t      unix_socket;
	struct io_timer retry;            /* after EMFILE */
	char         path[108];
};

struct io_listen_options {
	const char *address;              /* numeric; NULL with unix_path */
	uint16_t    port;
	const char *unix_path;            /* replaced if it is there and nobody listens */
	uint32_t    unix_mode;            /* permissions; 0: leave to the umask */
	int         backlog;
	uint32_t    keepalive_s;          /* 0: off */
};
/* The caller has set accepted and ctx; the rest is filled in. ERR_BUSY: the address is in use. */
MUST_CHECK enum err io_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options);
/* The port that was bound (for port 0). */
uint16_t io_listener_port(struct io *io, const struct io_listener *listener);
void io_listener_close(struct io *io, struct io_listener *listener);     /* at once */
void io_close_now(struct io *io, int fd);          /* an accepted fd that nobody wants */

/* ---- Processes, shared memory, signals, log lines ------------------------------------- */

struct io_child {
	uint32_t magic;
	pid_t    pid;                     /* 0 when none runs */
	void   (*exited)(struct io_child *child, int status);     /* status as waitpid gives it */
	void    *ctx;
	int      pid_fd;                  /* back end's */
	struct io_op op;
	uint8_t  armed;
};

struct io_spawn_options {
	const char        *path;
	const char *const *argv;          /* NULL-terminated */
	const int         *fds;           /* fds[i] becomes descriptor 3 + i; all others close */
	uint32_t           fd_count;
	uint64_t memory_bytes_max;        /* RLIMIT_AS; 0: none */
	int      nice;                    /* 0 .. 19: how much it yields to others */
};

/* The caller has set exited and ctx, all else zero. Starts a program with a clean environment
 * and signal mask, dying with its parent; input is /dev/null, output and error go where the
 * server's log goes. ERR_NOTFOUND, ...: it could not be executed. */
MUST_CHECK enum err io_spawn(struct io *io, struct io_child *child,
    const struct io_spawn_options *options);
void io_kill(struct io *io, struct io_child *child);      /* SIGKILL; exited() follows */
/* A connected pair of stream sockets: one for io_stream_open, one for a child. */
MUST_CHECK enum err io_socket_pair(struct io *io, int fds[2]);

/* Delivers SIGTERM, SIGINT, SIGHUP, SIGUSR1 as callbacks instead. */
void io_watch_signals(struct io *io, void (*caught)(void *ctx, int signal), void *ctx);

/* Writes one line to `fd` (2, or a file for appending), never blocking for long: for the log's sink only. */
void io_write_line(struct io *io, int fd, struct span line);
/* For start-up, on the real machine: a file for io_write_line; where this program lies. */
MUST_CHECK enum err io_open_log(struct io *io, const char *path, int *fd);
MUST_CHECK enum err io_executable_path(struct io *io, char *out, size_t bytes);
struct io_usage {                         /* what INFO and MEMORY print */
	uint64_t resident_bytes, resident_bytes_peak, total_system_bytes;
	double   cpu_user_s, cpu_system_s, cpu_user_children_s, cpu_system_children_s;
	int64_t  pid;
	uint64_t fd_limit;
	char     system[128];             /* "Linux 6.1.0 x86_64" */
};
void io_get_usage(struct io *io, struct io_usage *out);
