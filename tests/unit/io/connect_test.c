/* tests/unit/io/connect_test.c: outgoing connections, on all three back ends. */
#include "io/connect.h"
#include "rig.h"

#include "io/connect.h"

#include <errno.h>

struct dial {
	struct io_connect connect;
	int32_t           fd;
	bool              done;
};

static void dial_done(struct io_connect *connect, int32_t fd)
{
	struct dial *dial = connect->ctx;
	dial->fd = fd;
	dial->done = true;
}

static void dial_start(struct rig *rig, struct dial *dial, const char *host, uint16_t port)
{
	*dial = (struct dial){.connect = {.done = dial_done, .ctx = dial}};
	io_connect_start(rig->io, &dial->connect, host, port, 5000000);
	cr_assert(!dial->done, "never from within the call");
}

struct door {
	struct io_listener listener;
	int                fd;
	bool               accepted;
};

static void door_accepted(struct io_listener *listener, int fd)
{
	struct door *door = listener->ctx;
	door->fd = fd;
	door->accepted = true;
}

static uint16_t door_open(struct rig *rig, struct door *door)
{
	*door = (struct door){.listener = {.accepted = door_accepted, .ctx = door}};
	const struct io_listen_options options = {.address = "127.0.0.1", .backlog = 8};
	cr_assert_eq(io_listen(rig->io, &door->listener, &options), OK);
	return io_listener_port(rig->io, &door->listener);
}

static void connects_and_carries_bytes(struct rig *rig)
{
	struct door door;
	struct dial dial;
	struct end near, far;
	uint16_t port = door_open(rig, &door);
	dial_start(rig, &dial, "127.0.0.1", port);
	rig_until(rig, &dial.done);
	cr_assert_geq(dial.fd, 0);
	rig_until(rig, &door.accepted);
	end_open(rig, &near, dial.fd);
	end_open(rig, &far, door.fd);
	end_send(&near, SPAN_LIT("hello"));
	end_until_received(&far, 5);
	end_send(&far, SPAN_LIT("world!"));
	end_until_received(&near, 6);
	end_fini(&near);
	end_fini(&far);
	io_listener_close(rig->io, &door.listener);
}
BACKENDS(connects_and_carries_bytes)

static void nobody_listening_is_an_error(struct rig *rig)
{
	struct door door;
	struct dial dial;
	uint16_t port = door_open(rig, &door);
	io_listener_close(rig->io, &door.listener);
	dial_start(rig, &dial, "127.0.0.1", port);
	rig_until(rig, &dial.done);
	cr_assert_eq(dial.fd, -ECONNREFUSED);
}
BACKENDS(nobody_listening_is_an_error)

static void a_cancelled_connection_says_nothing(struct rig *rig)
{
	struct door door;
	struct dial dial, other;
	uint16_t port = door_open(rig, &door);
	dial_start(rig, &dial, "127.0.0.1", port);
	io_connect_cancel(&dial.connect);
	dial_start(rig, &other, "127.0.0.1", port);
	rig_until(rig, &other.done);
	cr_assert(!dial.done);
	io_connect_cancel(&dial.connect);
	rig_until(rig, &door.accepted);
	io_close_now(rig->io, other.fd);
	io_close_now(rig->io, door.fd);
	io_listener_close(rig->io, &door.listener);
}
BACKENDS(a_cancelled_connection_says_nothing)

static void names_are_looked_up(struct rig *rig)
{
	struct door door;
	struct dial dial;
	uint16_t port = door_open(rig, &door);
	dial_start(rig, &dial, "localhost", port);
	rig_until(rig, &dial.done);
	/* Where localhost is ::1 first, nobody listens there. */
	cr_assert(dial.fd >= 0 || dial.fd == -ECONNREFUSED);
	if (dial.fd >= 0) {
		rig_until(rig, &door.accepted);
		io_close_now(rig->io, door.fd);
		io_close_now(rig->io, dial.fd);
	}
	dial_start(rig, &dial, "no-such-host.invalid", port);
	rig_until(rig, &dial.done);
	cr_assert_eq(dial.fd, -ENOENT);
	io_listener_close(rig->io, &door.listener);
}
HOSTS(names_are_looked_up)
