/* tests/unit/io/stress_test.c: a seeded random history of sends, pauses, direct receives and
 * closes on several connections, against the naive model of one byte sequence each. */
#include "rig.h"

#include "base/random.h"

enum { LINKS = 12, CHUNK_MAX = 200000, STEPS = 500 };

/* Byte number `at` of the sequence of one direction. */
static uint8_t byte_at(uint64_t at, uint32_t key)
{
	return (uint8_t)((at * 2654435761u + key) >> 11);
}

struct side {
	struct io_stream stream;
	struct rig      *rig;
	struct random   *random;
	struct side     *other;
	uint32_t         key;             /* of what it sends */
	uint64_t         sent, received;
	uint8_t         *out, *in;
	size_t           in_min, in_len;
	struct iovec     iov[3];
	uint64_t         sending;         /* bytes of the send in flight; 0: none */
	bool             pausing, paused, filling, open, ended, closing;
};

struct link {
	struct side a, b;
};

static void check(struct side *side, const uint8_t *bytes, size_t len)
{
	size_t good = 0;
	while (good < len && bytes[good] == byte_at(side->received + good, side->other->key))
		good++;
	cr_assert_eq(good, len, "byte %zu", (size_t)side->received + good);
	side->received += len;
}

static void side_received(struct io_stream *stream, struct span bytes, enum err err)
{
	struct side *side = stream->ctx;
	cr_assert(!side->paused && !side->filling && !side->closing);
	if (bytes.len == 0 || err != OK) {
		cr_assert(side->other->closing, "no end without a close");
		side->ended = true;
		return;
	}
	check(side, bytes.ptr, bytes.len);
	if (!side->pausing && random_below(side->random, 8) == 0) {
		side->pausing = true;
		io_stream_pause(side->rig->io, stream);
	}
}

static void side_sent(struct io_stream *stream, enum err err)
{
	struct side *side = stream->ctx;
	cr_assert(side->sending > 0 && !side->closing);
	cr_assert(err == OK || side->other->closing);
	side->sent += err == OK ? side->sending : 0;
	side->sending = 0;
	side->ended = side->ended || err != OK;
}

static void side_paused(struct io_stream *stream)
{
	struct side *side = stream->ctx;
	cr_assert(side->pausing && !side->closing);
	side->pausing = false;
	side->paused = true;
}

static void side_filled(struct io_stream *stream, size_t bytes, enum err err)
{
	struct side *side = stream->ctx;
	cr_assert(side->filling && !side->closing);
	cr_assert(bytes <= side->in_len);
	cr_assert(err == OK ? bytes >= side->in_min : side->other->closing);
	side->filling = false;
	side->paused = true;
	side->ended = side->ended || err != OK;
	check(side, side->in, bytes);
}

static void side_closed(struct io_stream *stream)
{
	struct side *side = stream->ctx;
	cr_assert(side->closing && side->open);
	side->open = false;
}

static const struct io_stream_events side_events = {
	.received = side_received,
	.sent = side_sent,
	.paused = side_paused,
	.filled = side_filled,
	.closed = side_closed,
};

static void side_open(struct side *side, struct side *other, int fd, uint32_t key)
{
	side->other = other;
	side->key = key;
	side->sent = side->received = side->sending = 0;
	side->pausing = side->paused = side->filling = side->ended = side->closing = false;
	side->open = true;
	io_stream_open(side->rig->io, &side->stream, fd, &side_events, side);
}

static void link_open(struct rig *rig, struct link *link, struct random *random)
{
	int fds[2];
	cr_assert_eq(io_socket_pair(rig->io, fds), OK);
	side_open(&link->a, &link->b, fds[0], (uint32_t)random_next(random));
	side_open(&link->b, &link->a, fds[1], (uint32_t)random_next(random));
}

static void side_send(struct side *side)
{
	size_t len = 1 + random_below(side->random, CHUNK_MAX), cut = random_below(side->random, len);
	for (size_t i = 0; i < len; i++)
		side->out[i] = byte_at(side->sent + i, side->key);
	side->iov[0] = (struct iovec){side->out, cut};
	side->iov[1] = (struct iovec){side->out + cut, 0};
	side->iov[2] = (struct iovec){side->out + cut, len - cut};
	side->sending = len;
	io_stream_send(side->rig->io, &side->stream, side->iov, 3);
}

static void side_act(struct side *side)
{
	struct io *io = side->rig->io;
	if (!side->open || side->closing)
		return;
	uint64_t choice = random_below(side->random, 100);
	if (choice < 40 && side->sending == 0 && !side->ended) {
		side_send(side);
	} else if (choice < 50 && !side->paused && !side->pausing && !side->filling) {
		side->pausing = true;
		io_stream_pause(io, &side->stream);
	} else if (choice < 75 && side->paused) {
		side->paused = false;
		io_stream_resume(io, &side->stream);
	} else if (choice < 95 && side->paused) {
		side->paused = false;
		side->filling = true;
		side->in_len = 1 + random_below(side->random, CHUNK_MAX);
		side->in_min = random_below(side->random, 2) == 0
		    ? side->in_len
		    : 1 + random_below(side->random, side->in_len);
		io_stream_receive_into(io, &side->stream, side->in, side->in_min, side->in_len);
	} else if (choice == 99) {
		side->closing = true;
		io_stream_close(io, &side->stream);
	}
}

static void links_end(struct rig *rig, struct link *links)
{
	for (unsigned i = 0; i < 2 * LINKS; i++) {
		struct side *side = i % 2 == 0 ? &links[i / 2].a : &links[i / 2].b;
		if (side->open && !side->closing) {
			side->closing = true;
			io_stream_close(rig->io, &side->stream);
		}
		for (unsigned pass = 0; pass < 10000 && side->open; pass++)
			io_wait(rig->io, 10000);
		cr_assert(!side->open);
		memory_free(&rig->memory, side->out, CHUNK_MAX);
		memory_free(&rig->memory, side->in, CHUNK_MAX);
	}
}

static void history(struct rig *rig, uint64_t seed)
{
	struct random random;
	random_init(&random, seed);
	struct link *links = memory_zalloc(&rig->memory, LINKS * sizeof(*links));
	uint64_t moved = 0, reopened = 0;
	for (unsigned i = 0; i < 2 * LINKS; i++) {
		struct side *side = i % 2 == 0 ? &links[i / 2].a : &links[i / 2].b;
		side->rig = rig;
		side->random = &random;
		side->out = memory_alloc(&rig->memory, CHUNK_MAX);
		side->in = memory_alloc(&rig->memory, CHUNK_MAX);
	}
	for (unsigned step = 0; step < STEPS; step++) {
		for (unsigned i = 0; i < LINKS; i++) {
			struct link *link = &links[i];
			if (!link->a.open && !link->b.open) {
				moved += link->a.received + link->b.received;
				link_open(rig, link, &random);
				reopened++;
			}
			side_act(&link->a);
			side_act(&link->b);
			/* One who is left alone follows. */
			if (link->a.open != link->b.open && random_below(&random, 20) == 0) {
				struct side *last = link->a.open ? &link->a : &link->b;
				last->closing = true;
				io_stream_close(rig->io, &last->stream);
			}
		}
		io_wait(rig->io, random_below(&random, 3) * 200);
	}
	cr_assert_gt(moved, 4 << 20);
	cr_assert_gt(reopened, LINKS + 4);
	links_end(rig, links);
	memory_free(&rig->memory, links, LINKS * sizeof(*links));
}

static void bytes_keep_their_order_through_any_history(struct rig *rig)
{
	for (uint64_t seed = 1; seed <= 4; seed++)
		history(rig, seed);
}
BACKENDS(bytes_keep_their_order_through_any_history)
