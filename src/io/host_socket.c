/* io/host_socket.c: sockets as both real back ends set them up. */
#include "io/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

union address {
	struct sockaddr     any;
	struct sockaddr_in  v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un  local;
};

static bool address_parse(const struct io_listen_options *options, union address *out,
    socklen_t *len)
{
	*out = (union address){0};
	if (inet_pton(AF_INET, options->address, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(options->port);
		*len = sizeof(out->v4);
		return true;
	}
	if (inet_pton(AF_INET6, options->address, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(options->port);
		*len = sizeof(out->v6);
		return true;
	}
	return false;
}

static bool option_set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* Accepted sockets inherit these from the listener, which saves a call for each. */
static bool tcp_options(int fd, const struct io_listen_options *options, bool v6)
{
	if (!option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1))
		return false;
	if (v6 && !option_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
		return false;
	if (!option_set(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return false;
	if (options->keepalive_s == 0)
		return true;
	int idle = options->keepalive_s > 32767 ? 32767 : (int)options->keepalive_s;
	int interval = idle / 3 > 0 ? idle / 3 : 1;
	return option_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
	    option_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle) &&
	    option_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval) &&
	    option_set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

static enum err listen_tcp(struct io_listener *listener, const struct io_listen_options *options)
{
	union address address;
	socklen_t len;
	if (!address_parse(options, &address, &len))
		return ERR_INVALID;
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return io_err(-errno);
	if (!tcp_options(fd, options, address.any.sa_family == AF_INET6) ||
	    bind(fd, &address.any, len) != 0 || listen(fd, options->backlog) != 0) {
		enum err err = io_err(-errno);
		close(fd);
		return err;
	}
	listener->fd = fd;
	return OK;
}

/* A socket file that nobody listens on is left over from a server that died. */
static enum err unix_make_room(const union address *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return io_err(-errno);
	int rc = connect(fd, &address->any, sizeof(address->local));
	int why = errno;
	close(fd);
	if (rc == 0 || why == EAGAIN)
		return ERR_BUSY;
	if (why == ENOENT)
		return OK;
	struct stat st;
	if (lstat(address->local.sun_path, &st) != 0)
		return io_err(-errno);
	if (why != ECONNREFUSED || !S_ISSOCK(st.st_mode))
		return ERR_BUSY;
	return unlink(address->local.sun_path) == 0 ? OK : io_err(-errno);
}

static enum err listen_unix(struct io_listener *listener, const struct io_listen_options *options)
{
	union address address = {.local = {.sun_family = AF_UNIX}};
	size_t len = strlen(options->unix_path);
	if (len == 0 || len >= sizeof(address.local.sun_path))
		return ERR_INVALID;
	memcpy(address.local.sun_path, options->unix_path, len);
	enum err err = unix_make_room(&address);
	if (err != OK)
		return err;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return io_err(-errno);
	/* Permissions before listen(): until then nobody can connect. */
	if (bind(fd, &address.any, sizeof(address.local)) != 0 ||
	    (options->unix_mode != 0 && chmod(options->unix_path, options->unix_mode) != 0) ||
	    listen(fd, options->backlog) != 0) {
		err = io_err(-errno);
		close(fd);
		return err;
	}
	listener->fd = fd;
	listener->unix_socket = 1;
	memcpy(listener->path, options->unix_path, len + 1);
	return OK;
}

enum err host_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options)
{
	UNUSED(io);
	_Static_assert(
	    sizeof(listener->path) == sizeof(((struct sockaddr_un *)0)->sun_path), "path");
	ASSERT(options->backlog > 0);
	return options->unix_path != NULL ? listen_unix(listener, options)
	    : listen_tcp(listener, options);
}

uint16_t host_listener_port(struct io *io, const struct io_listener *listener)
{
	UNUSED(io);
	union address address = {0};
	socklen_t len = sizeof(address);
	if (getsockname(listener->fd, &address.any, &len) != 0)
		return 0;
	if (address.any.sa_family == AF_INET)
		return ntohs(address.v4.sin_port);
	return address.any.sa_family == AF_INET6 ? ntohs(address.v6.sin6_port) : 0;
}

void host_listener_close(struct io *io, struct io_listener *listener)
{
	UNUSED(io);
	ASSERT(listener->fd >= 0);
	/* An accept that the kernel still holds keeps the socket alive: shutdown ends both. */
	shutdown(listener->fd, SHUT_RDWR);
	close(listener->fd);
	listener->fd = -1;
	if (listener->unix_socket)
		unlink(listener->path);
}

bool host_accept_should_wait(int32_t result)
{
	return result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOBUFS;
}

static void address_print(const union address *address, socklen_t len, char out[IO_ADDRESS_MAX])
{
	char host[INET6_ADDRSTRLEN] = "";
	if (address->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		snprintf(out, IO_ADDRESS_MAX, "%s:%u", host, ntohs(address->v4.sin_port));
	} else if (address->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
		snprintf(out, IO_ADDRESS_MAX, "[%s]:%u", host, ntohs(address->v6.sin6_port));
	} else if (len > offsetof(struct sockaddr_un, sun_path)) {
		snprintf(out, IO_ADDRESS_MAX, "%.107s:0", address->local.sun_path);
	}
}

void host_stream_address(struct io *io, const struct io_stream *stream, bool local,
    char out[IO_ADDRESS_MAX])
{
	UNUSED(io);
	out[0] = 0;
	if (stream->fd < 0)
		return;           /* closed already */
	union address own = {0}, peer = {0};
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
	if (getsockname(stream->fd, &own.any, &own_len) != 0)
		return;
	/* A Unix client has no name: Redis prints the path that it came in by for both ends. */
	if (local || own.any.sa_family == AF_UNIX)
		address_print(&own, own_len, out);
	else if (getpeername(stream->fd, &peer.any, &peer_len) == 0)
		address_print(&peer, peer_len, out);
}

enum err host_socket_pair(struct io *io, int fds[2])
{
	UNUSED(io);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return io_err(-errno);
	return OK;
}

void host_close_now(struct io *io, int fd)
{
	UNUSED(io);
	int rc = close(fd);
	ASSERT(rc == 0 || errno != EBADF);
}
