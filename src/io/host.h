/* io/host.h: the real machine, as both real back ends use it. For this folder only.
 *
 * Only calls that do not wait for a device, or that are made before service.
 */
#pragma once
#include "io/backend.h"

/* ---- host_time.c ---- */
uint64_t host_clock(struct io *io);
void host_random(struct io *io, void *out, size_t len);
/* Reads both clocks into io->now_us and io->wall_ms. */
void host_pass_begin(struct io *io);
void host_write_line(struct io *io, int fd, struct span line);
void host_usage(struct io *io, struct io_usage *out);

/* ---- host_file.c ---- */
enum err host_make_directory(struct io *io, const char *path);
enum err host_list_directory(struct io *io, const char *path, io_list_entry *each, void *ctx);
enum err host_load_file(struct io *io, const char *path, size_t max, struct buf *out);
enum err host_save_file(struct io *io, const char *path, struct span bytes);
enum err host_lock_file(struct io *io, const char *path);
enum err host_disk_space(struct io *io, const char *path, uint64_t *free, uint64_t *total);
/* open(2)'s flags for io_open's. */
int host_open_flags(uint32_t flags);
enum { HOST_FILE_MODE = 0640 };

/* ---- host_socket.c ---- */

/* What a back end keeps of a listener. It outlives io_listener_close for as long as the
 * kernel may still name it. */
struct host_accept {
	struct io_op        op, cancel_op;
	struct io_listener *listener;     /* NULL once closed */
	struct list         link;         /* back end's */
};

/* Socket, bind, listen. Fills listener->fd and what belongs to it. */
MUST_CHECK enum err host_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options);
uint16_t host_listener_port(struct io *io, const struct io_listener *listener);
/* Stops listening and closes, whoever else still refers to the socket. */
void host_listener_close(struct io *io, struct io_listener *listener);
/* Out of descriptors or memory: worth a pause before the next accept. */
bool host_accept_should_wait(int32_t result);
enum { HOST_ACCEPT_RETRY_US = 50000 };
void host_stream_address(struct io *io, const struct io_stream *stream, bool local,
    char out[IO_ADDRESS_MAX]);
enum err host_socket_pair(struct io *io, int fds[2]);
void host_close_now(struct io *io, int fd);

/* ---- host_connect.c ---- */
int32_t host_connect_begin(struct io *io, const char *address, uint16_t port);
int32_t host_connect_check(struct io *io, int fd);
struct io_lookup *host_lookup_begin(struct io *io, const char *name);
int32_t host_lookup_check(struct io_lookup *lookup, char out[IO_ADDRESS_MAX]);
void host_lookup_free(struct io_lookup *lookup);

/* ---- host_splice.c ---- */

/* Whether the next bytes of stream's send are pages that can be given, or short entries before them. */
bool host_splice_is_due(struct io *io, struct io_stream *stream);
/* Gives what fits into the socket, and advances the send. 0: more may fit, or it is done; -EAGAIN: the socket
 * is full; another -errno: it is broken. Refused by the machine, pages are copied from then on. */
int32_t host_splice_send(struct io *io, struct io_stream *stream);
void host_splice_close(struct io *io);
/* How many entries an ordinary send may take: those before the pages, or all. */
uint32_t host_copied_entries(const struct io_stream *stream);
/* `bytes` of the send have left. */
void host_sent(struct io *io, struct io_stream *stream, size_t bytes);

/* ---- host_process.c ---- */

/* Starts the program and opens child->pid_fd. */
MUST_CHECK enum err host_spawn(struct io *io, struct io_child *child,
    const struct io_spawn_options *options);
void host_kill(struct io *io, struct io_child *child);
/* The pid_fd became readable: reaps, closes it and calls exited(). */
void host_child_exited(struct io *io, struct io_child *child);
/* Blocks the signals and opens io->signal_fd. */
void host_watch_signals(struct io *io);
/* The signal_fd became readable: calls caught() for each. Returns how many. */
unsigned host_signals_read(struct io *io);

/* ---- host_memory.c ---- */
enum err host_memory_new(struct io *io, size_t bytes, bool read_only_for_others,
    struct io_memory *out);
void host_memory_free(struct io *io, struct io_memory *memory);
void host_memory_release(struct io *io, const struct io_memory *memory, size_t offset,
    size_t bytes);
