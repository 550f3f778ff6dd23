/* io/host_splice.c: long, unchanging memory to a socket without a copy.
 *
 * vmsplice(2) puts the pages themselves into a pipe, splice(2) moves them on to the socket, which then
 * refers to them until the peer has acknowledged them. That costs less than half of what copying does, on
 * loopback too, where zero-copy sends copy all the same. Short entries before and behind the pages are
 * written into the pipe, so that a reply passes the socket at one go.
 *
 * One pipe serves all streams: it is empty between two calls. What a full socket leaves in it is thrown
 * away and given once more when there is room.
 */
#include "base/arith.h"
#include "io/host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
	PIPE_BYTES = 1 << 20,             /* what anybody may have: /proc/sys/fs/pipe-max-size */
	PIPE_COPY_MAX = PIPE_BUF,         /* of one short entry */
	STEP_BYTES = 512 << 10,           /* of pages: what a full socket refuses was done in vain */
	PAGES_LEFT_MIN = 16 << 10,        /* less than that is copied */
};

/* Linux 6.5 waits for room in a socket although it was told not to. */
static bool kernel_waits(void)
{
	struct utsname name;
	unsigned major = 0, minor = 0;
	return uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2 ||
	    (major == 6 && minor == 5);
}

void host_splice_close(struct io *io)
{
	for (int i = 0; i < 2; i++) {
		if (io->splice.pipe[i] > 0)
			close(io->splice.pipe[i]);
		io->splice.pipe[i] = 0;
	}
	if (io->splice.null_fd > 0)
		close(io->splice.null_fd);
	io->splice.null_fd = 0;
}

static void splice_refuse(struct io *io)
{
	host_splice_close(io);
	io->splice.refused = true;
}

static bool splice_open(struct io *io)
{
	if (io->splice.pipe[0] > 0)
		return true;
	ASSERT(!io->splice.refused);
	io->splice.null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (kernel_waits() || io->splice.null_fd <= 0 ||
	    pipe2(io->splice.pipe, O_CLOEXEC | O_NONBLOCK) != 0 ||
	    fcntl(io->splice.pipe[1], F_SETPIPE_SZ, PIPE_BYTES) < PIPE_BYTES) {
		splice_refuse(io);
		return false;
	}
	/* A socket whose peer has gone answers EPIPE, as sends do. */
	(void)signal(SIGPIPE, SIG_IGN);
	return true;
}

uint32_t host_copied_entries(const struct io_stream *stream)
{
	return stream->pages == NULL ? stream->send_iov_count
	                             : (uint32_t)(stream->pages - stream->send_iov);
}

bool host_splice_is_due(struct io *io, struct io_stream *stream)
{
	struct iovec *pages = stream->pages;
	if (pages == NULL)
		return false;
	ASSERT(pages >= stream->send_iov && pages < stream->send_iov + stream->send_iov_count);
	if (pages->iov_len < PAGES_LEFT_MIN || io->splice.refused || !splice_open(io)) {
		stream->pages = NULL;
		return false;
	}
	return io_iov_bytes(stream->send_iov, host_copied_entries(stream)) <= PIPE_COPY_MAX;
}

void host_sent(struct io *io, struct io_stream *stream, size_t bytes)
{
	io->stats.bytes_sent += bytes;
	uint32_t at = io_iov_advance(stream->send_iov, stream->send_iov_count, bytes);
	stream->send_iov += at;
	stream->send_iov_count -= at;
	if (stream->pages != NULL && stream->pages < stream->send_iov)
		stream->pages = NULL;
}

/* Fills the pipe with the pages and the short entries around them; how many bytes, or -errno. */
static ssize_t pipe_fill(struct io *io, const struct io_stream *stream)
{
	size_t total = 0;
	for (uint32_t i = 0; i < stream->send_iov_count; i++) {
		struct iovec entry = stream->send_iov[i];
		bool is_pages = &stream->send_iov[i] == stream->pages;
		if (!is_pages && entry.iov_len > PIPE_COPY_MAX)
			break;
		if (is_pages)
			entry.iov_len = min_u64(entry.iov_len, STEP_BYTES);
		ssize_t put = is_pages ? vmsplice(io->splice.pipe[1], &entry, 1, SPLICE_F_NONBLOCK)
		                       : writev(io->splice.pipe[1], &entry, 1);
		io->stats.enters++;
		if (put < 0 && total == 0)
			return -errno;
		total += put > 0 ? (size_t)put : 0;
		if (put != (ssize_t)stream->send_iov[i].iov_len)
			break;
	}
	return (ssize_t)total;
}

/* Non-blocking for this call alone: sends through the ring want to wait. */
static ssize_t pipe_to_socket(struct io *io, int fd, size_t len)
{
	int flags = fcntl(fd, F_GETFL);
	bool waits = flags >= 0 && (flags & O_NONBLOCK) == 0;
	if (waits && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return -errno;
	ssize_t sent = splice(io->splice.pipe[0], NULL, fd, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	ssize_t result = sent < 0 ? -errno : sent;
	if (waits) {
		int rc = fcntl(fd, F_SETFL, flags);
		ASSERT(rc == 0);
	}
	io->stats.enters += waits ? 4 : 2;
	return result;
}

static bool pipe_empty(struct io *io, size_t len)
{
	while (len > 0) {
		ssize_t gone = splice(
		    io->splice.pipe[0], NULL, io->splice.null_fd, NULL, len, SPLICE_F_NONBLOCK);
		io->stats.enters++;
		if (gone <= 0)
			return false;
		len -= (size_t)gone;
	}
	return true;
}

int32_t host_splice_send(struct io *io, struct io_stream *stream)
{
	ASSERT(stream->pages != NULL);
	ssize_t total = pipe_fill(io, stream);
	ssize_t sent = total < 0 ? total : pipe_to_socket(io, stream->fd, (size_t)total);
	bool waits = sent == -EAGAIN || sent == -EINTR;
	bool peer_gone = sent == -EPIPE || sent == -ECONNRESET || sent == -ETIMEDOUT;
	if (sent > 0)
		host_sent(io, stream, (size_t)sent);
	size_t left = total < 0 ? 0 : (size_t)total - (sent > 0 ? (size_t)sent : 0);
	bool refused = sent <= 0 && !waits && !peer_gone;
	if (refused || !pipe_empty(io, left))
		splice_refuse(io);                /* copies from now on */
	if (refused)
		return 0;
	return left > 0 && !peer_gone ? -EAGAIN : sent < 0 ? (int32_t)sent : 0;
}
