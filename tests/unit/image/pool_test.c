/* tests/unit/image/pool_test.c: the worker pool against programs that misbehave (rogue-NAME) and
 * one that tries to leave its sandbox (captive). */
#include "crew.h"

#include "image/process.h"
#include "io/sim.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/resource.h>

TestSuite(pool, .timeout = 60);

static const struct transform_plan plan = {
    .version = TRANSFORM_VERSION,
    .source_format = IMAGE_PNG,
    .source_width = 10,
    .source_height = 10,
    .width = 5,
    .height = 5,
    .target_format = IMAGE_BMP,
};

static struct worker_pool_stats stats_of(struct crew *crew)
{
	struct worker_pool_stats stats;
	worker_pool_get_stats(crew->pool, &stats);
	return stats;
}

struct misdeed {
	const char *program;
	enum err err;
	uint64_t crashes, timeouts, nonsense;
};

/* Two jobs, one after the other: the second shows that the pool went on. */
static void run_misdeed(const struct misdeed *misdeed)
{
	struct crew crew;
	crew_init_machine(&crew);
	struct worker_pool_options options = crew_options(&crew, misdeed->program);
	options.deadline_us = 150000;
	crew_init_with(&crew, &options);
	for (int i = 0; i < 2; i++) {
		struct order order;
		order_run(&crew, &order, SPAN_LIT("source"), &plan);
		cr_expect_eq(order.err, misdeed->err, "%s: %s, %s", misdeed->program,
		    err_name(order.err), order.job.why);
		cr_expect_neq(order.job.why[0], 0, "%s: no reason", misdeed->program);
		cr_expect_null(order.job.result);
		order_fini(&order);
	}
	struct worker_pool_stats stats = stats_of(&crew);
	cr_expect_eq(
	    stats.crashes, 2 * misdeed->crashes, "%s: %lu", misdeed->program, stats.crashes);
	cr_expect_eq(
	    stats.timeouts, 2 * misdeed->timeouts, "%s: %lu", misdeed->program, stats.timeouts);
	cr_expect_eq(
	    stats.nonsense, 2 * misdeed->nonsense, "%s: %lu", misdeed->program, stats.nonsense);
	cr_expect_eq(stats.jobs, 2);
	cr_expect_eq(stats.failures, 2);
	crew_fini(&crew);
}

Test(pool, a_worker_that_dies_fails_its_one_job)
{
	run_misdeed(&(struct misdeed){"rogue-crash", ERR_IO, 1, 0, 0});
	run_misdeed(&(struct misdeed){"rogue-quit", ERR_IO, 1, 0, 0});
}

Test(pool, a_worker_that_hangs_is_killed_at_the_deadline)
{
	run_misdeed(&(struct misdeed){"rogue-hang", ERR_TIMEOUT, 0, 1, 0});
}

Test(pool, a_worker_that_talks_nonsense_is_replaced)
{
	static const char *const programs[] = {"rogue-huge", "rogue-number", "rogue-magic",
	    "rogue-status", "rogue-kind", "rogue-size", "rogue-empty", "rogue-bytes",
	    "rogue-other"};
	for (size_t i = 0; i < ARRAY_COUNT(programs); i++)
		run_misdeed(&(struct misdeed){programs[i], ERR_IO, 0, 0, 1});
}

Test(pool, a_second_answer_is_nonsense_but_the_first_one_counts)
{
	struct crew crew;
	struct order order;
	crew_init(&crew, "rogue-twice");
	order_run(&crew, &order, SPAN_LIT("source"), &plan);
	cr_expect_eq(order.err, ERR_INVALID);
	while (stats_of(&crew).nonsense == 0)
		io_wait(crew.io, 100000);
	order_fini(&order);
	crew_fini(&crew);
}

/* The same program without a fault: what the others are refused for is their fault alone. */
Test(pool, a_worker_that_keeps_to_the_rules_is_believed)
{
	struct crew crew;
	struct order order;
	crew_init(&crew, "rogue-not");
	order_run(&crew, &order, SPAN_LIT("source"), &plan);
	cr_expect_eq(order.err, OK, "%s: %s", err_name(order.err), order.job.why);
	cr_expect_eq(order.job.result->len, 4096);
	order_fini(&order);
	crew_fini(&crew);
}

Test(pool, a_reason_is_cut_and_printable)
{
	struct crew crew;
	struct order order;
	crew_init(&crew, "rogue-why");
	order_run(&crew, &order, SPAN_LIT("source"), &plan);
	cr_expect_eq(order.err, ERR_INVALID);
	cr_expect_eq(strspn(order.job.why, "?"), sizeof(order.job.why) - 1);
	cr_expect_eq(order.job.why[sizeof(order.job.why) - 1], 0);
	order_fini(&order);
	crew_fini(&crew);
}

static void expect_never_ready(const char *program)
{
	struct crew crew;
	crew_init(&crew, program);
	for (int i = 0; i < 3; i++) {
		struct order order;
		order_run(&crew, &order, SPAN_LIT("source"), &plan);
		cr_expect_eq(order.err, ERR_IO, "%s: %s", program, err_name(order.err));
		cr_expect_str_eq(order.job.why, "the image worker cannot be started");
		order_fini(&order);
	}
	/* Half a second of waiting sees two or three more attempts: it does not spin. */
	uint64_t until = io_clock_us(crew.io) + 500000;
	while (io_clock_us(crew.io) < until)
		io_wait(crew.io, until - io_clock_us(crew.io));
	uint64_t spawned = stats_of(&crew).spawned;
	cr_expect_geq(spawned, 2);
	cr_expect_leq(spawned, 8, "%lu", spawned);
	crew_fini(&crew);
}

Test(pool, a_program_that_never_gets_ready_is_tried_ever_more_rarely)
{
	expect_never_ready("rogue-stillborn");
}

Test(pool, a_program_of_another_version_is_refused)
{
	expect_never_ready("rogue-version");
}

Test(pool, a_missing_program_is_said_at_once)
{
	struct crew crew;
	crew_init_machine(&crew);
	struct worker_pool_options options = crew_options(&crew, "no-such-program");
	struct worker_pool *none;
	cr_expect_eq(worker_pool_new(crew.io, &options, &none), ERR_NOTFOUND);
	crew_fini(&crew);
}

Test(pool, fails_cleanly_where_no_program_can_run)
{
	struct sim_disk *disk = sim_disk_new(1);
	struct crew crew = {.io = sim_new(disk, 1, NULL)};
	const struct body_pool_options body_options = {.bytes = 2 << 20};
	cr_assert_eq(body_pool_new(crew.io, &body_options, &crew.bodies), OK);
	const struct worker_pool_options options = {
	    .program = "/tintype-vips",
	    .workers = 2,
	    .queue_max = 4,
	    .deadline_us = 1000000,
	    .output_bytes_max = 1 << 20,
	    .jobs_max = 10,
	    .pool = crew.bodies,
	    .memory = &crew.memory,
	};
	struct worker_pool *none;
	cr_expect_eq(worker_pool_new(crew.io, &options, &none), ERR_UNSUPPORTED);
	crew_fini(&crew);
	sim_disk_free(disk);
}

Test(pool, the_other_back_end_drives_it_as_well)
{
	const struct io_options io_options = {.backend = IO_EPOLL};
	const struct body_pool_options body_options = {.bytes = 64 << 20};
	struct crew crew = {0};
	struct order order;
	cr_assert_eq(io_new(&crew.io, &io_options), OK);
	cr_assert_eq(body_pool_new(crew.io, &body_options, &crew.bodies), OK);
	const struct {
		const char *program;
		enum err err;
	} cases[] = {{"rogue-crash", ERR_IO}, {"rogue-bytes", ERR_IO}, {"rogue-hang", ERR_TIMEOUT}};
	for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
		struct worker_pool_options options = crew_options(&crew, cases[i].program);
		options.deadline_us = 100000;
		crew_init_with(&crew, &options);
		order_run(&crew, &order, SPAN_LIT("source"), &plan);
		cr_expect_eq(
		    order.err, cases[i].err, "%s: %s", cases[i].program, err_name(order.err));
		order_fini(&order);
		crew_close(&crew);
		crew.closed = false;
	}
	crew_fini(&crew);
}

Test(pool, a_full_queue_refuses)
{
	struct crew crew;
	struct order orders[5];
	crew_init_machine(&crew);
	struct worker_pool_options options = crew_options(&crew, "rogue-hang");
	options.queue_max = 4;
	options.deadline_us = 100000;
	crew_init_with(&crew, &options);
	for (int i = 0; i < 4; i++)
		order_submit(&crew, &orders[i], SPAN_LIT("source"), &plan);
	orders[4].job = (struct worker_job){.source = orders[0].job.source, .plan = plan};
	cr_expect_eq(worker_pool_submit(crew.pool, &orders[4].job), ERR_OVERLOADED);
	for (int i = 0; i < 4; i++) {
		order_wait(&crew, &orders[i]);
		cr_expect_eq(orders[i].err, ERR_TIMEOUT);
		order_fini(&orders[i]);
	}
	crew_fini(&crew);
}

Test(pool, closing_cancels_what_runs_and_what_waits)
{
	struct crew crew;
	struct order orders[6];
	crew_init(&crew, "rogue-hang");
	for (size_t i = 0; i < ARRAY_COUNT(orders); i++)
		order_submit(&crew, &orders[i], SPAN_LIT("source"), &plan);
	while (stats_of(&crew).running < 2)
		io_wait(crew.io, 100000);
	cr_expect_eq(stats_of(&crew).queued, 4);
	crew_close(&crew);
	for (size_t i = 0; i < ARRAY_COUNT(orders); i++) {
		cr_expect(orders[i].done);
		cr_expect_eq(orders[i].err, ERR_CANCELLED, "%s", err_name(orders[i].err));
		order_fini(&orders[i]);
	}
	crew_fini(&crew);
}

/* ---- The sandbox ---- */

static void try_escape(struct crew *crew, struct order *order, const char *what)
{
	order_run(crew, order, span_text(what), &plan);
	cr_expect_neq(order->err, OK);
}

Test(pool, a_worker_has_no_files_and_no_memory_beyond_its_limit)
{
	static const char *const whats[] = {"open", "create", "input", "memory"};
	struct crew crew;
	crew_init(&crew, "captive");
	for (size_t i = 0; i < ARRAY_COUNT(whats); i++) {
		struct order order;
		char expected[64];
		snprintf(expected, sizeof(expected), "refused %s", whats[i]);
		try_escape(&crew, &order, whats[i]);
		cr_expect_str_eq(order.job.why, expected, "%s", order.job.why);
		order_fini(&order);
	}
	cr_expect_eq(stats_of(&crew).crashes, 0);
	crew_fini(&crew);
}

Test(pool, a_worker_that_asks_for_more_dies)
{
	static const char *const whats[] = {"socket", "fork", "exec", "kill", "ptrace", "chdir"};
	struct crew crew;
	crew_init(&crew, "captive");
	for (size_t i = 0; i < ARRAY_COUNT(whats); i++) {
		struct order order;
		try_escape(&crew, &order, whats[i]);
		cr_expect_eq(order.err, ERR_IO, "%s: %s", whats[i], order.job.why);
		cr_expect_str_eq(order.job.why, "the worker died of this image (signal 31)",
		    "%s: %s", whats[i], order.job.why);
		order_fini(&order);
	}
	cr_expect_eq(stats_of(&crew).crashes, ARRAY_COUNT(whats));
	crew_fini(&crew);
}

/* One that hangs in the background does not keep the only worker from those that wait. */
Test(pool, background_jobs_have_workers_of_their_own_that_yield)
{
	struct crew crew;
	struct order back, front;
	crew_init_machine(&crew);
	struct worker_pool_options options = crew_options(&crew, "rogue-hang");
	options.workers = 1;
	options.deadline_us = 400000;
	crew_init_with(&crew, &options);
	order_prepare(&crew, &back, SPAN_LIT("source"), &plan);
	back.job.background = true;
	cr_assert_eq(worker_pool_submit(crew.pool, &back.job), OK);
	order_submit(&crew, &front, SPAN_LIT("source"), &plan);
	while (stats_of(&crew).running < 2)
		(void)io_wait(crew.io, 100000);
	int nices[2] = {-1, -1};
	uint32_t seen = 0;
	for (uint32_t i = 0; i < crew.pool->process_count; i++)
		if (crew.pool->processes[i].job != NULL)
			nices[seen++] = getpriority(PRIO_PROCESS, (id_t)crew.pool->processes[i].child.pid);
	cr_expect_eq(seen, 2);
	cr_expect_eq(nices[0], getpriority(PRIO_PROCESS, 0));
	cr_expect_gt(nices[1], nices[0]);
	order_wait(&crew, &front);
	order_wait(&crew, &back);
	order_fini(&front);
	order_fini(&back);
	crew_fini(&crew);
}
