/* io/sim_stream.c: streams on the simulated network, and the events that move bytes. */
#include "base/arith.h"
#include "base/crc32c.h"
#include "io/sim_machine.h"

#include <stdio.h>
#include <string.h>

enum { STREAM_LATENCY_MAX_US = 50 };

static struct sim_peer *peer_of(const struct io_stream *stream)
{
	struct sim_peer *peer = (struct sim_peer *)(uintptr_t)stream->opaque[0];
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	return peer;
}

/* ---- Sending ------------------------------------------------------------------------------ */

/* Bytes become the receiver's. */
static void deliver(struct sim_peer *to, struct span bytes)
{
	buf_append(&to->inbox, bytes);
	if (to->by_test && !to->reading)
		to->stalled_bytes -= min_u64(to->stalled_bytes, bytes.len);
	sim_peer_wake(to);
}

/* To another machine, perhaps past a relay. */
static void stream_deliver(struct sim_peer *peer, struct span bytes)
{
	struct sim *sim = peer->sim, *other = peer->other->sim;
	struct buf out;
	if (sim->relay == NULL || other == NULL || other == sim) {
		deliver(peer->other, bytes);
		return;
	}
	peer->way.from = &sim->io;
	peer->way.to = &other->io;
	buf_init(&out, peer->memory);
	buf_append(&peer->held, bytes);
	sim->relay(sim->relay_ctx, &peer->way, &peer->held, &out);
	if (out.len > 0)
		deliver(peer->other, buf_span(&out));
	buf_fini(&out);
}

static void stream_sent(struct sim_peer *peer, enum err err)
{
	struct io_stream *stream = peer->stream;
	stream->sending = 0;
	peer->sim->ran++;
	stream->events->sent(stream, err);
}

static void stream_transmit(struct sim_peer *peer)
{
	struct io_stream *stream = peer->stream;
	if (peer->other == NULL || peer->broken) {
		stream_sent(peer, ERR_CLOSED);
		return;
	}
	size_t room = min_u64(sim_peer_room(peer->other),
	    1 + random_below(&peer->sim->random, 4 * SIM_PIECE_MAX));
	while (room > 0 && stream->send_iov_count > 0) {
		size_t len = min_u64(stream->send_iov->iov_len, room);
		struct span bytes = span_of(stream->send_iov->iov_base, len);
		peer->sent_crc = crc32c(peer->sent_crc, bytes);
		peer->sim->io.stats.bytes_sent += len;
		stream_deliver(peer, bytes);
		uint32_t at = io_iov_advance(stream->send_iov, stream->send_iov_count, len);
		stream->send_iov += at;
		stream->send_iov_count -= at;
		room -= len;
	}
	if (stream->send_iov_count > 0) {
		if (sim_peer_room(peer->other) > 0)
			sim_peer_push(peer);
		return;
	}
	ASSERT(peer->sent_crc == peer->send_crc);     /* changed while lent? */
	stream_sent(peer, OK);
}

static void test_transmit(struct sim_peer *peer)
{
	struct sim_peer *other = peer->other;
	if (other == NULL) {
		buf_clear(&peer->outbox);
		return;
	}
	size_t len = min_u64(peer->outbox.len, sim_peer_room(other));
	len = min_u64(len, 1 + random_below(&peer->sim->random, 2 * SIM_PIECE_MAX));
	if (len > 0) {
		deliver(other, span_of(peer->outbox.ptr, len));
		buf_consume(&peer->outbox, len);
	}
	if (peer->outbox.len > 0) {
		if (sim_peer_room(other) > 0)
			sim_peer_push(peer);
		return;
	}
	if (!peer->finishing && !peer->closing)
		return;
	other->ended = true;
	sim_peer_wake(other);
	peer->finishing = false;
	if (peer->closing) {
		other->other = NULL;
		peer->other = NULL;
		sim_peer_push(other);
	}
}

static bool is_cut_off(const struct sim_peer *peer)
{
	struct sim *sim = peer->sim, *other = peer->other == NULL ? NULL : peer->other->sim;
	return other != NULL && other != sim && sim->is_cut != NULL &&
	    sim->is_cut(sim->cut_ctx, &sim->io, &other->io);
}

static void transmit_run(struct sim *sim, struct sim_event *event)
{
	struct sim_peer *peer = CONTAINER_OF(event, struct sim_peer, transmit);
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	sim_trace(sim, 4, (uint64_t)peer->fd, peer->outbox.len);
	if (is_cut_off(peer))
		return;                   /* sim_net_healed goes on */
	if (peer->by_test)
		test_transmit(peer);
	else if (peer->stream != NULL && peer->stream->sending && !peer->stream->closing)
		stream_transmit(peer);
}

/* ---- Receiving ---------------------------------------------------------------------------- */

static void fill_take(struct sim_peer *peer)
{
	struct io_stream *stream = peer->stream;
	size_t len = min_u64(stream->fill.iov_len - stream->filled_bytes, peer->inbox.len);
	io_regain(&stream->fill, 1);
	if (len > 0) {
		memcpy((char *)stream->fill.iov_base + stream->filled_bytes, peer->inbox.ptr, len);
		buf_consume(&peer->inbox, len);
		stream->filled_bytes += len;
		peer->sim->io.stats.bytes_received += len;
	}
	bool full = stream->filled_bytes >= stream->fill_min;
	if (!full && !peer->ended && !peer->broken) {
		io_lend(&stream->fill, 1, true);
		return;
	}
	stream->mode = STREAM_PAUSED;
	peer->sim->ran++;
	stream->events->filled(stream, stream->filled_bytes, full ? OK : ERR_CLOSED);
}

/* One call of received() at most. */
static void receive_take(struct sim_peer *peer)
{
	struct io_stream *stream = peer->stream;
	struct sim *sim = peer->sim;
	if (peer->broken) {
		if (!peer->ended_told) {
			peer->ended_told = true;
			sim->ran++;
			stream->events->received(stream, (struct span){0}, ERR_CLOSED);
		}
		return;
	}
	size_t len = min_u64(peer->inbox.len, SIM_PIECE_MAX);
	if (len == 0) {
		if (peer->ended && !peer->ended_told) {
			peer->ended_told = true;
			sim->ran++;
			stream->events->received(stream, (struct span){0}, OK);
		}
		return;
	}
	/* A copy that ends with the call: a callee that keeps the bytes is found out. */
	uint8_t *bytes = memory_alloc(&sim->io.memory, len);
	memcpy(bytes, peer->inbox.ptr, len);
	buf_consume(&peer->inbox, len);
	sim->io.stats.bytes_received += len;
	sim->ran++;
	if (peer->inbox.len > 0 || peer->ended)
		sim_event_in(sim, &peer->pump, 1);
	stream->events->received(stream, span_of(bytes, len), OK);
	memory_free(&sim->io.memory, bytes, len);
}

static void pump_run(struct sim *sim, struct sim_event *event)
{
	struct sim_peer *peer = CONTAINER_OF(event, struct sim_peer, pump);
	CHECK_OBJ(peer, SIM_PEER_MAGIC);
	struct sim_peer *other = peer->other;
	sim_trace(sim, 5, (uint64_t)peer->fd, peer->inbox.len);
	if (peer->by_test) {
		if (peer->on_received != NULL)
			peer->on_received(peer->on_received_ctx, peer);
		return;
	}
	struct io_stream *stream = peer->stream;
	if (stream == NULL || stream->closing)
		return;
	if (stream->mode == STREAM_FILLING)
		fill_take(peer);
	else if (stream->mode != STREAM_PAUSED)
		receive_take(peer);
	/* The stream is still there: closed() comes from an event of its own. */
	if (other != NULL && peer->other == other)
		sim_peer_push(other);
}

static void pause_run(struct sim *sim, struct sim_event *event)
{
	struct sim_peer *peer = CONTAINER_OF(event, struct sim_peer, pause);
	struct io_stream *stream = peer->stream;
	ASSERT(stream->mode == STREAM_PAUSING);
	stream->mode = STREAM_PAUSED;
	sim->ran++;
	stream->events->paused(stream);
}

static void close_run(struct sim *sim, struct sim_event *event)
{
	struct sim_peer *peer = CONTAINER_OF(event, struct sim_peer, close);
	struct io_stream *stream = peer->stream;
	ASSERT(stream->closing);
	sim_trace(sim, 6, (uint64_t)peer->fd, 0);
	sim_peer_drop(peer);
	stream->fd = -1;
	DROP_OBJ(stream, IO_STREAM_MAGIC);
	sim->ran++;
	stream->events->closed(stream);
}

void sim_peer_init_events(struct sim_peer *peer)
{
	sim_event_init(&peer->pump, pump_run);
	sim_event_init(&peer->transmit, transmit_run);
	sim_event_init(&peer->pause, pause_run);
	sim_event_init(&peer->close, close_run);
}

/* ---- The calls of io.h ------------------------------------------------------------------- */

void sim_stream_open(struct io *io, struct io_stream *stream)
{
	struct sim *sim = sim_of(io);
	struct sim_fd *fd = sim_fd_of(sim, stream->fd, SIM_FD_PEER);
	ASSERT(fd != NULL);
	struct sim_peer *peer = fd->object;
	ASSERT(peer->stream == NULL && !peer->by_test);
	peer->stream = stream;
	stream->opaque[0] = (uint64_t)(uintptr_t)peer;
	sim_peer_wake(peer);
}

void sim_stream_send(struct io *io, struct io_stream *stream)
{
	UNUSED(sim_of(io));
	struct sim_peer *peer = peer_of(stream);
	peer->send_crc = peer->sent_crc = 0;
	for (uint32_t i = 0; i < stream->send_iov_count; i++)
		peer->send_crc = crc32c(peer->send_crc,
		    span_of(stream->send_iov[i].iov_base, stream->send_iov[i].iov_len));
	sim_trace(peer->sim, 7, (uint64_t)peer->fd, peer->send_crc);
	sim_peer_push(peer);
}

void sim_stream_pause(struct io *io, struct io_stream *stream)
{
	struct sim *sim = sim_of(io);
	sim_event_in(sim, &peer_of(stream)->pause, sim_latency(sim, 1, STREAM_LATENCY_MAX_US));
}

void sim_stream_resume(struct io *io, struct io_stream *stream)
{
	UNUSED(sim_of(io));
	peer_of(stream)->ended_told = false;
	sim_peer_wake(peer_of(stream));
}

void sim_stream_fill(struct io *io, struct io_stream *stream)
{
	UNUSED(sim_of(io));
	sim_peer_wake(peer_of(stream));
}

void sim_stream_close(struct io *io, struct io_stream *stream)
{
	struct sim *sim = sim_of(io);
	struct sim_peer *peer = peer_of(stream);
	if (stream->mode == STREAM_FILLING)
		io_regain(&stream->fill, 1);
	heap_remove(&sim->events, &peer->pump.node);
	heap_remove(&sim->events, &peer->transmit.node);
	heap_remove(&sim->events, &peer->pause.node);
	sim_event_in(sim, &peer->close, sim_latency(sim, 1, STREAM_LATENCY_MAX_US));
}

void sim_stream_address(struct io *io, const struct io_stream *stream, bool local,
    char out[IO_ADDRESS_MAX])
{
	UNUSED(sim_of(io));
	const struct sim_peer *peer = peer_of(stream);
	snprintf(out, IO_ADDRESS_MAX, "%s", local ? peer->address : peer->address_other);
}
