/* tests/unit/io/stream_test.c: connections, on all three back ends, in the clear and in TLS. */
#include "rig.h"

#include <stdio.h>

#define EVERYWHERE(name) BACKENDS(name) BACKENDS_TLS(name)

struct pair {
	struct end a, b;
};

static void pair_open(struct rig *rig, struct pair *pair)
{
	int fds[2];
	cr_assert_eq(io_socket_pair(rig->io, fds), OK);
	end_open(rig, &pair->a, fds[0]);
	end_open_connecting(rig, &pair->b, fds[1]);
}

static void pair_fini(struct pair *pair)
{
	end_fini(&pair->a);
	end_fini(&pair->b);
}

enum { BIG = 8 << 20 };

/* A pair, and BIG bytes to send. */
static uint8_t *big_open(struct rig *rig, struct pair *pair, uint64_t seed)
{
	uint8_t *bytes = memory_alloc(&rig->memory, BIG);
	pattern_fill(bytes, BIG, seed);
	pair_open(rig, pair);
	return bytes;
}

static void big_close(struct rig *rig, struct pair *pair, uint8_t *bytes)
{
	memory_free(&rig->memory, bytes, BIG);
	pair_fini(pair);
}

static void small_messages_arrive_in_order(struct rig *rig)
{
	struct pair pair;
	pair_open(rig, &pair);
	struct buf all;
	buf_init(&all, &rig->memory);
	for (unsigned i = 0; i < 500; i++) {
		char text[32];
		int len = snprintf(text, sizeof(text), "message %u\n", i);
		end_send(&pair.a, span_of(text, (size_t)len));
		rig_until(rig, &pair.a.sent);
		cr_assert_eq(pair.a.sent_err, OK);
		buf_append(&all, span_of(text, (size_t)len));
	}
	end_until_received(&pair.b, all.len);
	cr_assert(span_equal(buf_span(&pair.b.received), buf_span(&all)));
	buf_fini(&all);
	pair_fini(&pair);
}
EVERYWHERE(small_messages_arrive_in_order)

static void one_large_message_arrives_whole(struct rig *rig)
{
	struct pair pair;
	uint8_t *bytes = big_open(rig, &pair, 5);
	end_send(&pair.a, span_of(bytes, BIG));
	end_until_received(&pair.b, BIG);
	rig_until(rig, &pair.a.sent);
	cr_assert_eq(pair.a.sent_err, OK);
	cr_assert_eq(pair.b.received.len, BIG);
	cr_assert_eq(memcmp(pair.b.received.ptr, bytes, BIG), 0);
	big_close(rig, &pair, bytes);
}
EVERYWHERE(one_large_message_arrives_whole)

static void vectors_are_sent_in_order(struct rig *rig)
{
	enum { PARTS = 1000, PART = 777 };
	struct pair pair;
	pair_open(rig, &pair);
	uint8_t *bytes = memory_alloc(&rig->memory, PARTS * PART);
	struct iovec *iov = memory_alloc(&rig->memory, PARTS * sizeof(*iov));
	pattern_fill(bytes, PARTS * PART, 6);
	for (size_t i = 0; i < PARTS; i++)
		iov[i] = (struct iovec){bytes + i * PART, PART};
	io_stream_send(rig->io, &pair.a.stream, iov, PARTS);
	end_until_received(&pair.b, PARTS * PART);
	rig_until(rig, &pair.a.sent);
	cr_assert_eq(memcmp(pair.b.received.ptr, bytes, PARTS * PART), 0);
	memory_free(&rig->memory, bytes, PARTS * PART);
	memory_free(&rig->memory, iov, PARTS * sizeof(*iov));
	pair_fini(&pair);
}
EVERYWHERE(vectors_are_sent_in_order)

/* What a large PUT does: stop in mid stream, take the body directly, go on. */
static void body_is_received_directly_in_mid_stream(struct rig *rig)
{
	struct pair pair;
	uint8_t *bytes = big_open(rig, &pair, 7);
	pair.b.pause_at = 1;
	end_send(&pair.a, span_of(bytes, BIG));
	rig_until(rig, &pair.b.paused);
	size_t head = pair.b.received.len;
	cr_assert(head > 0 && head < BIG / 2, "%zu", head);

	size_t len = BIG / 2 - head;
	uint8_t *body = memory_alloc(&rig->memory, len);
	io_stream_receive_into(rig->io, &pair.b.stream, body, len, len);
	rig_until(rig, &pair.b.filled);
	cr_assert_eq(pair.b.filled_err, OK);
	cr_assert_eq(pair.b.filled_bytes, len);
	cr_assert_eq(memcmp(body, bytes + head, len), 0);
	cr_assert_eq(pair.b.received.len, head, "nothing went past the pause");

	pair.b.paused = false;
	pair.b.pause_at = 0;
	io_stream_resume(rig->io, &pair.b.stream);
	end_until_received(&pair.b, BIG - len);
	cr_assert_eq(memcmp(pair.b.received.ptr + head, bytes + BIG / 2, BIG / 2), 0);
	rig_until(rig, &pair.a.sent);
	memory_free(&rig->memory, body, len);
	big_close(rig, &pair, bytes);
}
EVERYWHERE(body_is_received_directly_in_mid_stream)

static void pause_and_resume_lose_nothing(struct rig *rig)
{
	struct pair pair;
	uint8_t *bytes = big_open(rig, &pair, 8);
	end_send(&pair.a, span_of(bytes, BIG));
	unsigned pauses = 0;
	while (pair.b.received.len < BIG) {
		pair.b.pause_at = pair.b.received.len + 300000;
		if (pair.b.pause_at > BIG)
			pair.b.pause_at = 0;
		if (pair.b.pause_at == 0) {
			end_until_received(&pair.b, BIG);
			break;
		}
		rig_until(rig, &pair.b.paused);
		pauses++;
		pair.b.paused = false;
		io_stream_resume(rig->io, &pair.b.stream);
	}
	cr_assert_gt(pauses, 3);
	cr_assert_eq(memcmp(pair.b.received.ptr, bytes, BIG), 0);
	rig_until(rig, &pair.a.sent);
	big_close(rig, &pair, bytes);
}
EVERYWHERE(pause_and_resume_lose_nothing)

static void pause_of_an_idle_stream_is_confirmed(struct rig *rig)
{
	struct pair pair;
	pair_open(rig, &pair);
	io_wait(rig->io, 0);
	io_stream_pause(rig->io, &pair.b.stream);
	cr_assert(!pair.b.paused);
	rig_until(rig, &pair.b.paused);
	end_send(&pair.a, SPAN_LIT("held back"));
	rig_until(rig, &pair.a.sent);
	for (int i = 0; i < 5; i++)
		io_wait(rig->io, 1000);
	cr_assert_eq(pair.b.received.len, 0);
	pair.b.paused = false;
	io_stream_resume(rig->io, &pair.b.stream);
	end_until_received(&pair.b, 9);
	pair_fini(&pair);
}
EVERYWHERE(pause_of_an_idle_stream_is_confirmed)

static void pause_does_not_cancel_a_send(struct rig *rig)
{
	struct pair pair;
	uint8_t *bytes = big_open(rig, &pair, 9);
	pair.b.pause_at = 1;
	end_send(&pair.a, span_of(bytes, BIG));       /* stays in flight: b pauses */
	rig_until(rig, &pair.b.paused);
	io_stream_pause(rig->io, &pair.a.stream);
	rig_until(rig, &pair.a.paused);
	cr_assert(!pair.a.sent);
	pair.b.paused = false;
	pair.b.pause_at = 0;
	io_stream_resume(rig->io, &pair.b.stream);
	end_until_received(&pair.b, BIG);
	rig_until(rig, &pair.a.sent);
	cr_assert_eq(pair.a.sent_err, OK);
	big_close(rig, &pair, bytes);
}
EVERYWHERE(pause_does_not_cancel_a_send)

static void end_of_peer_is_told(struct rig *rig)
{
	struct pair pair;
	pair_open(rig, &pair);
	end_send(&pair.a, SPAN_LIT("last words"));
	rig_until(rig, &pair.a.sent);
	end_close(&pair.a);
	rig_until(rig, &pair.b.eof);
	cr_assert(span_equal(buf_span(&pair.b.received), SPAN_LIT("last words")));
	pair_fini(&pair);
}
EVERYWHERE(end_of_peer_is_told)

static void send_to_a_closed_peer_fails(struct rig *rig)
{
	struct pair pair;
	uint8_t *bytes = big_open(rig, &pair, 10);
	pair.b.pause_at = 1;
	end_send(&pair.a, span_of(bytes, BIG));
	rig_until(rig, &pair.b.paused);
	end_close(&pair.b);
	rig_until(rig, &pair.a.sent);
	cr_assert_eq(pair.a.sent_err, ERR_CLOSED);
	big_close(rig, &pair, bytes);
}
EVERYWHERE(send_to_a_closed_peer_fails)

static void fill_from_a_closed_peer_is_short(struct rig *rig)
{
	struct pair pair;
	pair_open(rig, &pair);
	io_stream_pause(rig->io, &pair.b.stream);
	rig_until(rig, &pair.b.paused);
	uint8_t body[100] = {0};
	io_stream_receive_into(rig->io, &pair.b.stream, body, sizeof(body), sizeof(body));
	end_send(&pair.a, SPAN_LIT("half"));
	rig_until(rig, &pair.a.sent);
	end_close(&pair.a);
	rig_until(rig, &pair.b.filled);
	cr_assert_eq(pair.b.filled_bytes, 4);
	cr_assert_eq(pair.b.filled_err, ERR_CLOSED);
	cr_assert_arr_eq(body, "half", 4);
	pair_fini(&pair);
}
EVERYWHERE(fill_from_a_closed_peer_is_short)

/* Closing while everything is in flight: each callback but closed() is withheld. */
static void close_waits_for_what_is_in_flight(struct rig *rig)
{
	struct pair pair;
	pair_open(rig, &pair);
	uint8_t *bytes = memory_zalloc(&rig->memory, BIG), *body = memory_zalloc(&rig->memory, BIG);
	io_stream_pause(rig->io, &pair.b.stream);
	rig_until(rig, &pair.b.paused);
	end_send(&pair.b, span_of(bytes, BIG));
	pair.a.pause_at = 1;
	io_stream_receive_into(rig->io, &pair.b.stream, body, BIG, BIG);
	rig_until(rig, &pair.a.paused);
	end_close(&pair.b);
	cr_assert(!pair.b.sent);
	cr_assert(!pair.b.filled);
	memset(body, 1, BIG);         /* ours again: ASan would object */
	memory_free(&rig->memory, bytes, BIG);
	memory_free(&rig->memory, body, BIG);
	pair_fini(&pair);
}
EVERYWHERE(close_waits_for_what_is_in_flight)

/* ---- Pages ---- */

/* A head, pages that begin in the middle of one, a short entry, and one that is too long for the pipe. */
static void pages_arrive_between_other_bytes(struct rig *rig)
{
	static const size_t heads[] = {0, 9, 100000};
	enum { SKEW = 1234, PAGES = 5 << 20, TAIL = 20000 };
	struct pair pair;
	uint8_t *bytes = big_open(rig, &pair, 11);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		size_t head = heads[i], all = head + PAGES + 2 + TAIL;
		uint8_t *at = bytes + SKEW;
		struct iovec iov[] = {{at, head}, {at + head, PAGES}, {at + head + PAGES, 2},
		    {at + head + PAGES + 2, TAIL}};
		uint32_t skip = head == 0;
		pair.a.sent = false;
		io_stream_send_pages(rig->io, &pair.a.stream, iov + skip, 4 - skip, 1 - skip);
		cr_assert(!pair.a.sent, "a callback ran inside the call that submitted");
		end_until_received(&pair.b, all);
		rig_until(rig, &pair.a.sent);
		cr_assert_eq(pair.a.sent_err, OK);
		cr_assert_eq(pair.b.received.len, all);
		cr_assert_eq(memcmp(pair.b.received.ptr, at, all), 0);
		buf_clear(&pair.b.received);
	}
	big_close(rig, &pair, bytes);
}
EVERYWHERE(pages_arrive_between_other_bytes)

/* Sent, but not yet received by the peer, while the memory already serves for something else. */
static void renewed_memory_does_not_change_what_was_sent(struct rig *rig)
{
	enum { LEN = 100 << 10, PAGE = 4096 };
	struct pair pair;
	pair_open(rig, &pair);
	struct io_memory shared;
	cr_assert_eq(io_memory_new(rig->io, LEN, true, &shared), OK);
	uint8_t *own = memory_try_alloc_aligned(&rig->memory, PAGE, LEN);
	uint8_t *expected = memory_alloc(&rig->memory, LEN);
	pattern_fill(expected, LEN, 12);
	for (int kind = 0; kind < 2; kind++) {
		uint8_t *bytes = kind == 0 ? own : shared.ptr;
		memcpy(bytes, expected, LEN);
		io_stream_pause(rig->io, &pair.b.stream);
		rig_until(rig, &pair.b.paused);
		struct iovec iov = {bytes, LEN};
		pair.a.sent = pair.b.paused = false;
		io_stream_send_pages(rig->io, &pair.a.stream, &iov, 1, 0);
		rig_until(rig, &pair.a.sent);
		if (kind == 0)
			io_memory_renew(bytes, LEN);
		else
			io_memory_release(rig->io, &shared, 0, LEN);
		memset(bytes, 'x', LEN);
		io_stream_resume(rig->io, &pair.b.stream);
		end_until_received(&pair.b, LEN);
		cr_assert_eq(memcmp(pair.b.received.ptr, expected, LEN), 0);
		buf_clear(&pair.b.received);
	}
	memory_free(&rig->memory, expected, LEN);
	memory_free(&rig->memory, own, LEN);
	io_memory_free(rig->io, &shared);
	pair_fini(&pair);
}
HOSTS(renewed_memory_does_not_change_what_was_sent)

static void pages_to_a_closed_peer_fail(struct rig *rig)
{
	struct pair pair;
	uint8_t *bytes = big_open(rig, &pair, 1);
	struct iovec iov[] = {{bytes, 10}, {bytes, BIG}};
	pair.b.pause_at = 1;
	io_stream_send_pages(rig->io, &pair.a.stream, iov, 2, 1);
	rig_until(rig, &pair.b.paused);
	end_close(&pair.b);
	rig_until(rig, &pair.a.sent);
	cr_assert_eq(pair.a.sent_err, ERR_CLOSED);
	big_close(rig, &pair, bytes);
}
EVERYWHERE(pages_to_a_closed_peer_fail)

static void close_with_pages_under_way(struct rig *rig)
{
	struct pair pair;
	uint8_t *bytes = big_open(rig, &pair, 1);
	struct iovec iov = {bytes, BIG};
	pair.b.pause_at = 1;
	io_stream_send_pages(rig->io, &pair.a.stream, &iov, 1, 0);
	rig_until(rig, &pair.b.paused);
	end_close(&pair.a);
	cr_assert(!pair.a.sent);
	big_close(rig, &pair, bytes);
}
EVERYWHERE(close_with_pages_under_way)

enum { STREAMS = 200 };

static void two_hundred_streams_exchange(struct rig *rig)
{
	struct pair *pairs = memory_zalloc(&rig->memory, STREAMS * sizeof(*pairs));
	enum { LEN = 100000 };
	uint8_t *bytes = memory_alloc(&rig->memory, LEN + STREAMS);
	pattern_fill(bytes, LEN + STREAMS, 12);
	for (unsigned i = 0; i < STREAMS; i++)
		pair_open(rig, &pairs[i]);
	for (unsigned i = 0; i < STREAMS; i++) {
		end_send(&pairs[i].a, span_of(bytes + i, LEN));
		end_send(&pairs[i].b, span_of(bytes + i, 1000));
	}
	for (unsigned i = 0; i < STREAMS; i++) {
		end_until_received(&pairs[i].b, LEN);
		end_until_received(&pairs[i].a, 1000);
		cr_assert_eq(memcmp(pairs[i].b.received.ptr, bytes + i, LEN), 0);
		cr_assert_eq(memcmp(pairs[i].a.received.ptr, bytes + i, 1000), 0);
	}
	for (unsigned i = 0; i < STREAMS; i++) {
		rig_until(rig, &pairs[i].a.sent);
		rig_until(rig, &pairs[i].b.sent);
		pair_fini(&pairs[i]);
	}
	memory_free(&rig->memory, bytes, LEN + STREAMS);
	memory_free(&rig->memory, pairs, STREAMS * sizeof(*pairs));
}
EVERYWHERE(two_hundred_streams_exchange)
