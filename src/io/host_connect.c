/* io/host_connect.c: outgoing connections on the real machine, and the names of hosts.
 *
 * A socket is connected without waiting for it and asked from time to time whether that is
 * done (io/connect.c), so that neither back end has to hold anything for it. The C library looks
 * names up only with waiting: a thread of its own does it, which nobody joins; it and whoever
 * asked share a block that the last of them frees.
 */
#include "io/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
	struct sockaddr     any;
	struct sockaddr_in  v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_parse(const char *text, uint16_t port, union address *out)
{
	*out = (union address){0};
	if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		return sizeof(out->v4);
	}
	if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(port);
		return sizeof(out->v6);
	}
	return 0;
}

int32_t host_connect_begin(struct io *io, const char *address, uint16_t port)
{
	union address to;
	socklen_t len = address_parse(address, port, &to);
	UNUSED(io);
	if (len == 0)
		return -EINVAL;
	int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	int on = 1;
	int rc = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (rc == 0)
		rc = setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (rc == 0 && connect(fd, &to.any, len) != 0 && errno != EINPROGRESS)
		rc = -1;
	if (rc == 0)
		return fd;
	int32_t why = -errno;
	close(fd);
	return why;
}

int32_t host_connect_check(struct io *io, int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);
	UNUSED(io);
	ASSERT(fd >= 0);
	if (poll(&poll_fd, 1, 0) == 0)
		return -EINPROGRESS;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return -errno;
	if (error != 0)
		return -error;
	/* As an accepted socket is: back ends make it what they need. */
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0 ? -errno : 0;
}

struct io_lookup {
	struct memory memory;             /* its own account: two threads free it */
	atomic_int  refs;
	atomic_bool done;
	bool        found;
	char        name[IO_ADDRESS_MAX], address[IO_ADDRESS_MAX];
};

void host_lookup_free(struct io_lookup *lookup)
{
	if (atomic_fetch_sub(&lookup->refs, 1) != 1)
		return;
	struct memory memory = lookup->memory;
	memory_free(&memory, lookup, sizeof(*lookup));
}

static void *lookup_run(void *arg)
{
	struct io_lookup *lookup = arg;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	if (getaddrinfo(lookup->name, NULL, &hints, &list) == 0 && list != NULL)
		lookup->found = getnameinfo(list->ai_addr, list->ai_addrlen, lookup->address,
		                    sizeof(lookup->address), NULL, 0, NI_NUMERICHOST) == 0;
	if (list != NULL)
		freeaddrinfo(list);
	atomic_store(&lookup->done, true);
	host_lookup_free(lookup);
	return NULL;
}

struct io_lookup *host_lookup_begin(struct io *io, const char *name)
{
	struct memory memory = {0};
	struct io_lookup *lookup = memory_zalloc(&memory, sizeof(*lookup));
	pthread_t thread;
	UNUSED(io);
	lookup->memory = memory;
	snprintf(lookup->name, sizeof(lookup->name), "%s", name);
	atomic_init(&lookup->refs, 2);
	if (pthread_create(&thread, NULL, lookup_run, lookup) != 0) {
		memory = lookup->memory;
		memory_free(&memory, lookup, sizeof(*lookup));
		return NULL;
	}
	pthread_detach(thread);
	return lookup;
}

int32_t host_lookup_check(struct io_lookup *lookup, char out[IO_ADDRESS_MAX])
{
	if (!atomic_load(&lookup->done))
		return -EINPROGRESS;
	if (!lookup->found)
		return -ENOENT;
	memcpy(out, lookup->address, IO_ADDRESS_MAX);
	return 0;
}
