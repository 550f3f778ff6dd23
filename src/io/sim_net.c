/* io/sim_net.c: simulated connections: ends and what is between them, listeners, and the
 * test's side of sim.h. The machine's side is sim_stream.c.
 *
 * A connection is two ends. Bytes move from the sender's memory into the receiver's inbox
 * by `transmit` events, a seeded piece at a time, as far as there is room; whoever takes
 * bytes out of an inbox sets the sender going again.
 */
#include "base/arith.h"
#include "io/sim_machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NET_LATENCY_MIN_US = 5, NET_LATENCY_MAX_US = 120 };

struct sim_peer *sim_peer_new(struct sim *sim)
{
	struct memory *memory = &sim->disk->memory;
	struct sim_peer *peer = memory_zalloc(memory, sizeof(*peer));
	peer->magic = SIM_PEER_MAGIC;
	peer->sim = sim;
	peer->memory = memory;
	peer->fd = -1;
	peer->reading = true;
	buf_init(&peer->inbox, memory);
	buf_init(&peer->outbox, memory);
	buf_init(&peer->held, memory);
	sim_peer_init_events(peer);
	list_append(&sim->peers, &peer->link);
	return peer;
}

void sim_peer_join(struct sim_peer *a, struct sim_peer *b)
{
	ASSERT(a->other == NULL && b->other == NULL);
	a->other = b;
	b->other = a;
}

static void events_remove(struct sim *sim, struct sim_peer *peer)
{
	heap_remove(&sim->events, &peer->pump.node);
	heap_remove(&sim->events, &peer->transmit.node);
	heap_remove(&sim->events, &peer->pause.node);
	heap_remove(&sim->events, &peer->close.node);
}

/* The other end reads what has come, then the end; what it sends fails. */
static void part(struct sim_peer *peer)
{
	struct sim_peer *other = peer->other;
	if (other == NULL)
		return;
	peer->other = NULL;
	other->other = NULL;
	other->ended = true;
	other->closed = true;
	sim_peer_wake(other);
	sim_peer_push(other);
}

void sim_peer_drop(struct sim_peer *peer)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	part(peer);
	if (peer->sim != NULL) {
		events_remove(peer->sim, peer);
		if (peer->fd >= 0)
			sim_fd_remove(peer->sim, peer->fd);
	}
	list_remove(&peer->link);
	buf_fini(&peer->inbox);
	buf_fini(&peer->outbox);
	buf_fini(&peer->held);
	DROP_OBJ(peer, SIM_PEER_MAGIC);
	memory_free(peer->memory, peer, sizeof(*peer));
}

void sim_peer_wake(struct sim_peer *peer)
{
	if (peer->sim != NULL && (peer->stream != NULL || peer->by_test))
		sim_event_once(peer->sim, &peer->pump,
		    sim_latency(peer->sim, NET_LATENCY_MIN_US, NET_LATENCY_MAX_US));
}

void sim_peer_push(struct sim_peer *peer)
{
	bool stream_sends = peer->stream != NULL && peer->stream->sending;
	bool test_sends = peer->outbox.len > 0 || peer->finishing || peer->closing;
	if (peer->sim != NULL && (stream_sends || test_sends))
		sim_event_once(peer->sim, &peer->transmit,
		    sim_latency(peer->sim, NET_LATENCY_MIN_US, NET_LATENCY_MAX_US));
}

size_t sim_peer_room(const struct sim_peer *peer)
{
	if (peer->by_test)
		return peer->reading ? SIZE_MAX : peer->stalled_bytes;
	return peer->inbox.len >= SIM_WINDOW ? 0 : SIM_WINDOW - peer->inbox.len;
}

/* ---- The test's side -------------------------------------------------------------------- */

static struct sim_listener *listener_find(struct sim *sim, const char *address, uint16_t port)
{
	for (uint32_t fd = SIM_FD_FIRST; fd < sim->fd_cap; fd++) {
		if (sim->fds[fd].kind != SIM_FD_LISTENER)
			continue;
		struct sim_listener *listener = sim->fds[fd].object;
		bool any = strcmp(listener->address, "0.0.0.0") == 0 ||
		    strcmp(listener->address, "::") == 0;
		if (listener->port == port && (any || strcmp(listener->address, address) == 0))
			return listener;
	}
	return NULL;
}

struct sim_peer *sim_connect(struct io *io, const char *address, uint16_t port)
{
	struct sim *sim = sim_of(io);
	struct sim_listener *listener = listener_find(sim, address, port);
	if (sim->dead || listener == NULL ||
	    listener->backlog_count == ARRAY_COUNT(listener->backlog))
		return NULL;
	struct sim_peer *ours = sim_peer_new(sim), *theirs = sim_peer_new(sim);
	ours->by_test = true;
	sim_peer_join(ours, theirs);
	bool local = port == 0;
	snprintf(theirs->address, IO_ADDRESS_MAX, "%.100s:%u", address, port);
	if (local)
		snprintf(theirs->address_other, IO_ADDRESS_MAX, "%.100s:0", address);
	else
		snprintf(theirs->address_other, IO_ADDRESS_MAX, "10.0.0.1:%u", sim->port_next++);
	listener->backlog[listener->backlog_count++] = theirs;
	sim_event_once(sim, &listener->accept,
	    sim_latency(sim, NET_LATENCY_MIN_US, NET_LATENCY_MAX_US));
	return ours;
}

void sim_peer_free(struct sim_peer *peer)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	ASSERT(peer->by_test && !peer->by_child);
	sim_peer_drop(peer);
}

void sim_peer_send(struct sim_peer *peer, struct span bytes)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	ASSERT(peer->by_test);
	ASSERT(!peer->finishing && !peer->closing);
	buf_append(&peer->outbox, bytes);
	sim_peer_push(peer);
}

struct buf *sim_peer_received(struct sim_peer *peer)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	ASSERT(peer->by_test);
	return &peer->inbox;
}

void sim_peer_set_reading(struct sim_peer *peer, bool reading)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	peer->reading = reading;
	peer->stalled_bytes = SIM_WINDOW;
	if (reading && peer->other != NULL)
		sim_peer_push(peer->other);
}

void sim_peer_finish(struct sim_peer *peer)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	peer->finishing = true;
	sim_peer_push(peer);
}

void sim_peer_close(struct sim_peer *peer)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	peer->closing = true;
	sim_peer_push(peer);
}

void sim_peer_reset(struct sim_peer *peer)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	if (peer->other != NULL)
		peer->other->broken = true;
	part(peer);
}

bool sim_peer_is_closed(const struct sim_peer *peer)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	return peer->closed || peer->sim == NULL || peer->sim->dead;
}

void sim_peer_on_received(struct sim_peer *peer, void (*received)(void *ctx, struct sim_peer *peer),
    void *ctx)
{
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	ASSERT(peer->by_test);
	peer->on_received = received;
	peer->on_received_ctx = ctx;
	if (peer->inbox.len > 0)
		sim_peer_wake(peer);
}

/* ---- Listeners and pairs -------------------------------------------------------------------- */

static void accept_run(struct sim *sim, struct sim_event *event)
{
	struct sim_listener *pending = CONTAINER_OF(event, struct sim_listener, accept);
	struct io_listener *listener = pending->listener;
	CHECK_OBJ(listener, IO_LISTENER_MAGIC);
	ASSERT(pending->backlog_count > 0);
	struct sim_peer *peer = pending->backlog[0];
	int32_t fd = sim_fd_add(sim, SIM_FD_PEER, peer);
	if (fd < 0) {
		io_timer_set(&sim->io, &listener->retry, 50000);
		return;
	}
	peer->fd = fd;
	pending->backlog_count--;
	memmove(&pending->backlog[0], &pending->backlog[1],
	    pending->backlog_count * sizeof(pending->backlog[0]));
	if (pending->backlog_count > 0)
		sim_event_in(sim, &pending->accept, 1);
	sim->ran++;
	sim_trace(sim, 3, (uint64_t)fd, 0);
	/* Last: it may close the listener. */
	listener->accepted(listener, fd);
}

static void accept_retry(struct io_timer *timer)
{
	struct sim_listener *pending = timer->ctx;
	if (pending->backlog_count > 0)
		sim_event_once(pending->sim, &pending->accept, 1);
}

enum err sim_listen(struct io *io, struct io_listener *listener,
    const struct io_listen_options *options)
{
	struct sim *sim = sim_of(io);
	const char *address = options->unix_path != NULL ? options->unix_path : options->address;
	struct sim_listener *pending = memory_zalloc(&io->memory, sizeof(*pending));
	enum err err = ERR_INVALID;
	if (strlen(address) >= sizeof(pending->address))
		goto fail;
	pending->port = options->unix_path != NULL ? 0
	    : options->port != 0 ? options->port : sim->port_next++;
	err = ERR_BUSY;
	if (listener_find(sim, address, pending->port) != NULL)
		goto fail;
	memcpy(pending->address, address, strlen(address) + 1);
	int32_t fd = sim_fd_add(sim, SIM_FD_LISTENER, pending);
	err = io_err(fd);
	if (err != OK)
		goto fail;
	pending->listener = listener;
	pending->sim = sim;
	sim_event_init(&pending->accept, accept_run);
	listener->fd = fd;
	listener->accept = pending;
	io_timer_init(&listener->retry, accept_retry, pending);
	return OK;
fail:
	memory_free(&io->memory, pending, sizeof(*pending));
	return err;
}

uint16_t sim_listener_port(struct io *io, const struct io_listener *listener)
{
	UNUSED(sim_of(io));
	return ((struct sim_listener *)listener->accept)->port;
}

static void listener_free(struct sim *sim, struct sim_listener *pending)
{
	heap_remove(&sim->events, &pending->accept.node);
	for (unsigned i = 0; i < pending->backlog_count; i++)
		sim_peer_drop(pending->backlog[i]);
	memory_free(&sim->io.memory, pending, sizeof(*pending));
}

void sim_listener_close(struct io *io, struct io_listener *listener)
{
	struct sim *sim = sim_of(io);
	io_timer_cancel(io, &listener->retry);
	listener_free(sim, listener->accept);
	sim_fd_remove(sim, listener->fd);
	listener->accept = NULL;
	listener->fd = -1;
}

enum err sim_socket_pair(struct io *io, int fds[2])
{
	struct sim *sim = sim_of(io);
	struct sim_peer *a = sim_peer_new(sim), *b = sim_peer_new(sim);
	sim_peer_join(a, b);
	a->fd = sim_fd_add(sim, SIM_FD_PEER, a);
	b->fd = a->fd < 0 ? -1 : sim_fd_add(sim, SIM_FD_PEER, b);
	if (a->fd < 0 || b->fd < 0) {
		a->fd = a->fd < 0 ? -1 : a->fd;
		b->fd = -1;
		sim_peer_drop(a);
		sim_peer_drop(b);
		return ERR_OVERLOADED;
	}
	fds[0] = a->fd;
	fds[1] = b->fd;
	return OK;
}

void sim_close_now(struct io *io, int fd)
{
	struct sim *sim = sim_of(io);
	ASSERT(fd >= SIM_FD_FIRST && (uint32_t)fd < sim->fd_cap);
	struct sim_fd *entry = &sim->fds[fd];
	ASSERT(entry->kind == SIM_FD_PEER || entry->kind == SIM_FD_FILE);
	if (entry->kind == SIM_FD_FILE) {
		if (!sim->dead)
			((struct sim_file *)entry->object)->opens--;
		sim_fd_remove(sim, fd);
		return;
	}
	struct sim_peer *peer = entry->object;
	ASSERT(peer->stream == NULL);
	if (peer->by_child) {
		/* The child has its own copy. */
		peer->fd = -1;
		sim_fd_remove(sim, fd);
	} else {
		sim_peer_drop(peer);
	}
}

/* To a listener of this machine, or of one that it was linked with. */
int32_t sim_connect_begin(struct io *io, const char *address, uint16_t port)
{
	struct sim *sim = sim_of(io);
	struct io *at = sim->network == NULL ? io : sim->network(sim->network_ctx, io, address, port);
	struct sim *target = at == NULL ? NULL : sim_of(at);
	struct sim_listener *listener =
	    target == NULL || target->dead ? NULL : listener_find(target, address, port);
	if (listener == NULL || listener->backlog_count == ARRAY_COUNT(listener->backlog))
		return -ECONNREFUSED;
	struct sim_peer *ours = sim_peer_new(sim), *theirs = sim_peer_new(target);
	ours->fd = sim_fd_add(sim, SIM_FD_PEER, ours);
	if (ours->fd < 0) {
		int32_t result = ours->fd;
		ours->fd = -1;
		sim_peer_drop(ours);
		sim_peer_drop(theirs);
		return result;
	}
	sim_peer_join(ours, theirs);
	ours->way.forth = true;
	snprintf(theirs->address, IO_ADDRESS_MAX, "%.100s:%u", address, port);
	snprintf(theirs->address_other, IO_ADDRESS_MAX, "10.0.0.2:%u", target->port_next++);
	snprintf(ours->address_other, IO_ADDRESS_MAX, "%.100s:%u", address, port);
	snprintf(ours->address, IO_ADDRESS_MAX, "%s", theirs->address_other);
	listener->backlog[listener->backlog_count++] = theirs;
	sim_event_once(target, &listener->accept,
	    sim_latency(target, NET_LATENCY_MIN_US, NET_LATENCY_MAX_US));
	return ours->fd;
}

int32_t sim_connect_check(struct io *io, int fd)
{
	const struct sim_fd *entry = sim_fd_of(sim_of(io), fd, SIM_FD_PEER);
	ASSERT(entry != NULL);
	const struct sim_peer *peer = entry->object;
	return peer->other == NULL ? -ECONNREFUSED : 0;
}

void sim_set_network(
    struct io *io, struct io *(*find)(void *ctx, struct io *from, const char *address, uint16_t port),
    void *ctx)
{
	struct sim *sim = sim_of(io);
	sim->network = find;
	sim->network_ctx = ctx;
}

void sim_set_cut(struct io *io, bool (*is_cut)(void *ctx, struct io *from, struct io *to), void *ctx)
{
	struct sim *sim = sim_of(io);
	sim->is_cut = is_cut;
	sim->cut_ctx = ctx;
}

void sim_set_relay(struct io *io, sim_relay *relay, void *ctx)
{
	struct sim *sim = sim_of(io);
	sim->relay = relay;
	sim->relay_ctx = ctx;
}

void sim_net_healed(struct io *io)
{
	struct sim *sim = sim_of(io);
	for (struct list *at = sim->peers.next; at != &sim->peers; at = at->next)
		sim_peer_push(LIST_OF(at, struct sim_peer, link));
}

void sim_net_free(struct sim *sim)
{
	for (uint32_t fd = SIM_FD_FIRST; fd < sim->fd_cap; fd++)
		if (sim->fds[fd].kind == SIM_FD_LISTENER)
			listener_free(sim, sim->fds[fd].object);
	for (struct list *at = sim->peers.next, *next; at != &sim->peers; at = next) {
		next = at->next;
		struct sim_peer *peer = LIST_OF(at, struct sim_peer, link);
		events_remove(sim, peer);
		if (peer->other != NULL)
			peer->other->other = NULL;
		peer->other = NULL;
		peer->sim = NULL;
		peer->stream = NULL;
		peer->fd = -1;
		list_remove(&peer->link);
		if (!peer->by_test || peer->by_child)
			sim_peer_drop(peer);
	}
}
