/* io/host_splice.c: long, unchanging memory to a socket without a copy.
 *
 * vmsplice(2) puts the pages themselves into a pipe, splice(2) moves them on to the socket, which then
 * refers to them until the peer has acknowledged them. That costs less than half of what copying does, on
 * loopback too, where zero-copy sends copy all the same. Short entries before and behind the pages are
 * copied into notes, memory of this file whose pages go along, so that a reply is put into the pipe with one
 * call and passes the socket with another. Notes are written once; when there is no room left for more, other
 * pages take their place, for sockets may still refer to the old ones.
 *
 * One pipe serves all streams: it is empty between two calls. What a full socket leaves in it is thrown
 * away and given once more when there is room.
 */
#include "base/arith.h"
#include "io/host.h"
#include "io/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

enum {
	PIPE_BYTES = 1 << 20,             /* what anybody may have: /proc/sys/fs/pipe-max-size */
	NOTES_BYTES = 64 << 10,
	NOTE_MAX = 4096,                  /* of one short entry */
	PUT_ENTRIES = 8,                  /* at one go */
	STEP_BYTES = 512 << 10,           /* of pages: what a full socket refuses was done in vain */
	PAGES_LEFT_MIN = 8 << 10,         /* less than that is copied */
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
	if (io->splice.notes == NULL)
		return;
	io_memory_renew(io->splice.notes, NOTES_BYTES);
	memory_free(&io->memory, io->splice.notes, NOTES_BYTES);
	io->splice.notes = NULL;
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
	io->splice.notes = memory_try_alloc_aligned(&io->memory, NOTE_MAX, NOTES_BYTES);
	io->splice.noted = 0;
	if (kernel_waits() || io->splice.notes == NULL || io->splice.null_fd <= 0 ||
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
	return io_iov_bytes(stream->send_iov, host_copied_entries(stream)) <= NOTE_MAX;
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

/* A copy of a short entry that nobody will change. */
static struct iovec note_take(struct io *io, struct iovec entry)
{
	struct iovec note = {io->splice.notes + io->splice.noted, entry.iov_len};
	memcpy(note.iov_base, entry.iov_base, entry.iov_len);
	io->splice.noted += (uint32_t)entry.iov_len;
	return note;
}

/* Puts the pages and the short entries around them into the pipe; how many bytes, or -errno. */
static ssize_t pipe_fill(struct io *io, const struct io_stream *stream)
{
	struct iovec put[PUT_ENTRIES];
	unsigned count = 0;
	if (io->splice.noted + NOTE_MAX > NOTES_BYTES) {
		io_memory_renew(io->splice.notes, NOTES_BYTES);
		io->splice.noted = 0;
	}
	for (uint32_t i = 0; i < stream->send_iov_count && count < PUT_ENTRIES; i++) {
		struct iovec entry = stream->send_iov[i];
		if (&stream->send_iov[i] == stream->pages) {
			bool all = entry.iov_len <= STEP_BYTES;
			entry.iov_len = all ? entry.iov_len : STEP_BYTES;
			put[count++] = entry;
			if (!all)
				break;
		} else if (entry.iov_len <= NOTES_BYTES - io->splice.noted) {
			put[count++] = note_take(io, entry);
		} else {
			break;
		}
	}
	ssize_t total = vmsplice(io->splice.pipe[1], put, count, SPLICE_F_NONBLOCK);
	io->stats.enters++;
	return total < 0 ? -errno : total;
}

static ssize_t pipe_to_socket(struct io *io, struct io_stream *stream, size_t len)
{
	/* The ring's operations wait all the same; this one would, too. */
	if (!stream->nonblocking) {
		int flags = fcntl(stream->fd, F_GETFL);
		if (flags < 0 || fcntl(stream->fd, F_SETFL, flags | O_NONBLOCK) != 0)
			return -errno;
		stream->nonblocking = 1;
		io->stats.enters += 2;
	}
	ssize_t sent = splice(
	    io->splice.pipe[0], NULL, stream->fd, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	io->stats.enters++;
	return sent < 0 ? -errno : sent;
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
	ssize_t sent = total < 0 ? total : pipe_to_socket(io, stream, (size_t)total);
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
