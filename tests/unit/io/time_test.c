/* tests/unit/io/time_test.c: timers and clocks, on all three back ends. */
#include "rig.h"

struct bell {
	struct io_timer timer;
	unsigned       *order;
	unsigned        rang_as;          /* 1, 2, ... */
	bool            rang;
};

static void bell_rings(struct io_timer *timer)
{
	struct bell *bell = timer->ctx;
	cr_assert(!io_timer_is_set(timer));
	bell->rang = true;
	bell->rang_as = ++*bell->order;
}

static void timers_fire_in_order_of_time(struct rig *rig)
{
	unsigned order = 0;
	struct bell bells[5];
	const uint64_t delays[5] = {3000, 1000, 5000, 2000, 4000};
	const unsigned expect[5] = {3, 1, 5, 2, 4};
	uint64_t start = io_now_us(rig->io);
	for (int i = 0; i < 5; i++) {
		bells[i] = (struct bell){.order = &order};
		io_timer_init(&bells[i].timer, bell_rings, &bells[i]);
		io_timer_set(rig->io, &bells[i].timer, delays[i]);
		cr_assert(io_timer_is_set(&bells[i].timer));
	}
	rig_until(rig, &bells[2].rang);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(bells[i].rang_as, expect[i], "%d", i);
	cr_assert_geq(io_now_us(rig->io), start + 5000);
}
BACKENDS(timers_fire_in_order_of_time)

static void cancelled_and_moved_timers_obey(struct rig *rig)
{
	unsigned order = 0;
	struct bell never = {.order = &order}, moved = {.order = &order}, last = {.order = &order};
	io_timer_init(&never.timer, bell_rings, &never);
	io_timer_init(&moved.timer, bell_rings, &moved);
	io_timer_init(&last.timer, bell_rings, &last);
	io_timer_cancel(rig->io, &never.timer);
	io_timer_set(rig->io, &never.timer, 500);
	io_timer_set(rig->io, &moved.timer, 500);
	io_timer_set(rig->io, &last.timer, 2000);
	io_timer_set(rig->io, &moved.timer, 4000);
	io_timer_cancel(rig->io, &never.timer);
	rig_until(rig, &moved.rang);
	cr_assert(!never.rang);
	cr_assert_eq(last.rang_as, 1);
	cr_assert_eq(moved.rang_as, 2);
}
BACKENDS(cancelled_and_moved_timers_obey)

struct repeater {
	struct io_timer timer;
	struct rig     *rig;
	unsigned        count;
	bool            enough;
};

static void repeat(struct io_timer *timer)
{
	struct repeater *repeater = timer->ctx;
	repeater->enough = ++repeater->count == 50;
	if (!repeater->enough)
		io_timer_set(repeater->rig->io, timer, 0);
}

static void timer_set_anew_in_its_callback_waits_for_the_next_pass(struct rig *rig)
{
	struct repeater repeater = {.rig = rig};
	io_timer_init(&repeater.timer, repeat, &repeater);
	io_timer_set(rig->io, &repeater.timer, 0);
	for (unsigned i = 0; i < 10000 && !repeater.enough; i++) {
		unsigned before = repeater.count;
		io_wait(rig->io, 1000);
		cr_assert_leq(repeater.count, before + 1);
	}
	cr_assert(repeater.enough);
}
BACKENDS(timer_set_anew_in_its_callback_waits_for_the_next_pass)

static void waiting_ends_at_its_limit(struct rig *rig)
{
	uint64_t before = io_clock_us(rig->io);
	cr_assert_eq(io_wait(rig->io, 20000), 0);
	uint64_t after = io_clock_us(rig->io);
	cr_assert_geq(after - before, 19000);
	cr_assert_geq(io_now_us(rig->io), before);
	cr_assert_gt(io_wall_ms(rig->io), 1000000000000, "after 2001");
}
BACKENDS(waiting_ends_at_its_limit)

static void random_bytes_differ(struct rig *rig)
{
	uint8_t a[32] = {0}, b[32] = {0};
	io_random(rig->io, a, sizeof(a));
	io_random(rig->io, b, sizeof(b));
	cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
}
BACKENDS(random_bytes_differ)

static void bell_ends(struct io_timer *timer)
{
	*(bool *)timer->ctx = true;
}

static void the_clock_within_a_pass_goes_with_that_of_the_passes(struct rig *rig)
{
	enum { LONG_ENOUGH_US = 60000, SPAN_US = 2000, SLACK_US = 500000 };
	bool rang = false;
	struct io_timer timer;
	io_timer_init(&timer, bell_ends, &rang);
	io_timer_set(rig->io, &timer, LONG_ENOUGH_US);    /* so that what a tick takes is known */
	rig_until(rig, &rang);
	uint64_t begin = io_now_us(rig->io), last = begin, rounds = 0;
	while (last < begin + SPAN_US && rounds++ < 100000000) {
		uint64_t now = io_clock_us(rig->io);
		cr_assert_geq(now, last);
		last = now;
	}
	io_wait(rig->io, 0);
	cr_assert_geq(io_now_us(rig->io), last);
	cr_assert_lt(io_now_us(rig->io), last + SLACK_US);
}
HOSTS(the_clock_within_a_pass_goes_with_that_of_the_passes)
