/* io/connect.c: io_connect: the name first, then the connection, each asked for at intervals.
 *
 * The first questions come quickly, since most peers are near; then ever more rarely.
 */
#include "io/backend.h"
#include "io/connect.h"

#include <errno.h>
#include <stdio.h>

enum { CONNECT_WAIT_FIRST_US = 200, CONNECT_WAIT_MAX_US = 20000 };

static void connect_end(struct io_connect *connect, int32_t result)
{
	struct io *io = connect->io;
	int fd = connect->fd;
	if (connect->lookup != NULL)
		io->ops->lookup_free(connect->lookup);
	connect->lookup = NULL;
	connect->fd = -1;
	if (result != 0 && fd >= 0)
		io->ops->close_now(io, fd);
	io_timer_cancel(io, &connect->timer);
	DROP_OBJ(connect, IO_CONNECT_MAGIC);
	connect->done(connect, result != 0 ? result : fd);
}

static void connect_wait(struct io_connect *connect)
{
	uint64_t now_us = io_now_us(connect->io);
	if (now_us >= connect->deadline_us) {
		connect_end(connect, -ETIMEDOUT);
		return;
	}
	io_timer_set(connect->io, &connect->timer, connect->wait_us);
	connect->wait_us = connect->wait_us * 3 / 2;
	if (connect->wait_us > CONNECT_WAIT_MAX_US)
		connect->wait_us = CONNECT_WAIT_MAX_US;
}

static void connect_begin(struct io_connect *connect)
{
	struct io *io = connect->io;
	int32_t fd = io->ops->connect_begin(io, connect->address, connect->port);
	if (fd == -EINVAL && connect->lookup == NULL && io->ops->lookup_begin != NULL) {
		connect->lookup = io->ops->lookup_begin(io, connect->address);
		if (connect->lookup != NULL) {
			connect_wait(connect);
			return;
		}
	}
	if (fd < 0) {
		connect_end(connect, fd);
		return;
	}
	connect->fd = fd;
	connect_wait(connect);
}

static void connect_step(struct io_timer *timer)
{
	struct io_connect *connect = timer->ctx;
	CHECK_OBJ(connect, IO_CONNECT_MAGIC);
	struct io *io = connect->io;
	int32_t result;
	if (connect->fd >= 0) {
		result = io->ops->connect_check(io, connect->fd);
	} else if (connect->lookup != NULL) {
		result = io->ops->lookup_check(connect->lookup, connect->address);
		if (result == 0) {
			connect->wait_us = CONNECT_WAIT_FIRST_US;
			connect_begin(connect);
			return;
		}
	} else {
		connect_begin(connect);
		return;
	}
	if (result == -EINPROGRESS)
		connect_wait(connect);
	else
		connect_end(connect, result);
}

void io_connect_start(struct io *io, struct io_connect *connect, const char *host, uint16_t port,
    uint64_t timeout_us)
{
	CHECK_OBJ(io, IO_MAGIC);
	ASSERT(connect->magic != IO_CONNECT_MAGIC && connect->done != NULL);
	connect->magic = IO_CONNECT_MAGIC;
	connect->io = io;
	connect->fd = -1;
	connect->port = port;
	connect->lookup = NULL;
	connect->wait_us = CONNECT_WAIT_FIRST_US;
	connect->deadline_us = io_now_us(io) + timeout_us;
	snprintf(connect->address, sizeof(connect->address), "%s", host);
	io_timer_init(&connect->timer, connect_step, connect);
	io_timer_set(io, &connect->timer, 0);
}

void io_connect_cancel(struct io_connect *connect)
{
	if (connect->magic != IO_CONNECT_MAGIC)
		return;
	struct io *io = connect->io;
	io_timer_cancel(io, &connect->timer);
	if (connect->lookup != NULL)
		io->ops->lookup_free(connect->lookup);
	if (connect->fd >= 0)
		io->ops->close_now(io, connect->fd);
	connect->lookup = NULL;
	connect->fd = -1;
	DROP_OBJ(connect, IO_CONNECT_MAGIC);
}
