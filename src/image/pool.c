/* image/pool.c: the queue of jobs, and how many workers there are; see pool.h.
 *
 * As many processes live as have jobs or wait for one, plus a warm spare, at most `workers` + 1, and
 * as many besides as background jobs run; they stay once they are there. Everything happens in one
 * place, pool_turn, run by a timer of no delay: so done() never runs inside of submit.
 *
 * A program that cannot be started, or dies before its first job is done, is tried again
 * after 0.1 s, 0.2 s, ... 30 s; while there is no worker at all, jobs fail at once.
 */
#include "image/process.h"

#include "base/arith.h"

#include <stdio.h>

enum { POOL_MAGIC = 0x57506f6f, JOB_MAGIC = 0x574a6f62 };
enum { RETRY_US_MIN = 100000, RETRY_US_MAX = 30000000, FAILURES_BEFORE_GIVING_UP = 2 };

/* Of the processes `from` .. `to` - 1. */
static uint32_t count_range(const struct worker_pool *pool, uint32_t from, uint32_t to,
    bool (*is)(enum process_state state))
{
	uint32_t count = 0;
	for (uint32_t i = from; i < to; i++)
		count += is(pool->processes[i].state);
	return count;
}

static uint32_t count_processes(
    const struct worker_pool *pool, bool (*is)(enum process_state state))
{
	return count_range(pool, 0, pool->process_count, is);
}

static bool state_lives(enum process_state state)
{
	return state != PROCESS_NONE && state != PROCESS_ENDING;
}

static bool state_runs(enum process_state state)
{
	return state == PROCESS_BUSY || state == PROCESS_COPYING;
}

static bool state_is_used(enum process_state state)
{
	return state != PROCESS_NONE;
}

void pool_kick(struct worker_pool *pool)
{
	io_timer_set(pool->io, &pool->kick, 0);
}

void pool_job_end(struct worker_pool *pool, struct worker_job *job, enum err err)
{
	DROP_OBJ(job, JOB_MAGIC);
	ASSERT((err == OK) == (job->result != NULL));
	pool->stats.jobs++;
	pool->stats.failures += err != OK;
	pool_kick(pool);
	job->done(job, err);
}

/* ---- One turn ---- */

static struct worker_job *take_queued(struct worker_pool *pool, bool background)
{
	struct list *queue = background ? &pool->background : &pool->queue;
	struct worker_job *job = LIST_OF(queue->next, struct worker_job, link);
	ASSERT(!list_is_empty(queue));
	list_remove(&job->link);
	if (background)
		pool->background_queued--;
	else
		pool->queued--;
	return job;
}

/* Processes for one kind of jobs, and how many of them are to run, and to stand by. */
struct part {
	uint32_t from, to, run_max, queued, spare;
};

static struct part pool_part(const struct worker_pool *pool, bool background)
{
	if (!background)
		return (struct part){0, pool->front_count, pool->options.workers, pool->queued, 1};
	uint32_t most = pool->options.background_max > 0 ? pool->options.background_max : 1;
	return (struct part){pool->front_count, pool->process_count, most, pool->background_queued, 0};
}

static void fail_queued(struct worker_pool *pool, enum err err, const char *why)
{
	/* Only those that are there now: a callback may submit again. */
	uint32_t count = pool->queued + pool->background_queued;
	for (; count > 0 && pool->queued + pool->background_queued > 0; count--) {
		struct worker_job *job = take_queued(pool, pool->queued == 0);
		snprintf(job->why, sizeof(job->why), "%s", why);
		pool_job_end(pool, job, err);
	}
}

static uint64_t retry_delay(uint32_t failures)
{
	ASSERT(failures > 0);
	uint32_t doubled = failures - 1 < 10 ? failures - 1 : 10;
	return min_u64((uint64_t)RETRY_US_MIN << doubled, RETRY_US_MAX);
}

static bool start_some(struct worker_pool *pool, const struct part *part)
{
	uint32_t runs = count_range(pool, part->from, part->to, state_runs);
	uint32_t lives = count_range(pool, part->from, part->to, state_lives);
	uint64_t wanted = min_u64((uint64_t)runs + part->queued, part->run_max) + part->spare;
	if (lives >= wanted || io_timer_is_set(&pool->retry))
		return true;
	if (pool->start_failures > 0) {
		io_timer_set(pool->io, &pool->retry, retry_delay(pool->start_failures));
		return false;
	}
	for (uint32_t i = part->from; i < part->to && lives < wanted; i++) {
		if (pool->processes[i].state != PROCESS_NONE)
			continue;
		enum err err = process_start(&pool->processes[i]);
		if (err != OK) {
			pool->start_failures++;
			log_warning(pool->options.log, "image worker: cannot start %s: %s",
			    pool->options.program, err_name(err));
			pool_kick(pool);
			return false;
		}
		lives++;
	}
	return true;
}

/* Starts what is missing, unless it failed just now. */
static void start_missing(struct worker_pool *pool)
{
	const struct part front = pool_part(pool, false), back = pool_part(pool, true);
	if (start_some(pool, &front))
		(void)start_some(pool, &back);
}

static void recycle_old(struct worker_pool *pool)
{
	for (uint32_t i = 0; i < pool->process_count; i++) {
		struct process *process = &pool->processes[i];
		if (process->state != PROCESS_IDLE || process->jobs_done < pool->options.jobs_max)
			continue;
		process->recycled = true;
		process_kill(process);
	}
}

static void dispatch(struct worker_pool *pool, bool background)
{
	struct part part = pool_part(pool, background);
	uint32_t runs = count_range(pool, part.from, part.to, state_runs);
	for (uint32_t i = part.from; i < part.to && part.queued > 0 && runs < part.run_max; i++) {
		struct process *process = &pool->processes[i];
		if (process->state != PROCESS_IDLE || process->sending)
			continue;
		process_give(process, take_queued(pool, background));
		part.queued--;
		runs++;
	}
}

static void pool_turn(struct io_timer *timer)
{
	struct worker_pool *pool = timer->ctx;
	CHECK_OBJ(pool, POOL_MAGIC);
	if (pool->closing) {
		fail_queued(pool, ERR_CANCELLED, "the server is closing");
		if (pool->queued + pool->background_queued == 0 &&
		    count_processes(pool, state_is_used) == 0 && pool->closed != NULL) {
			void (*closed)(void *ctx) = pool->closed;
			pool->closed = NULL;
			io_timer_cancel(pool->io, &pool->kick);
			closed(pool->closed_ctx); /* may free the pool */
		}
		return;
	}
	recycle_old(pool);
	dispatch(pool, false);
	dispatch(pool, true);
	start_missing(pool);
	if (pool->start_failures >= FAILURES_BEFORE_GIVING_UP &&
	    count_processes(pool, state_lives) == 0)
		fail_queued(pool, ERR_IO, "the image worker cannot be started");
}

/* Time to try again: one process, whose fate decides whether more follow. */
static void retry_fired(struct io_timer *timer)
{
	struct worker_pool *pool = timer->ctx;
	CHECK_OBJ(pool, POOL_MAGIC);
	for (uint32_t i = 0; i < pool->process_count; i++) {
		if (pool->processes[i].state != PROCESS_NONE)
			continue;
		if (process_start(&pool->processes[i]) != OK)
			pool->start_failures++;
		break;
	}
	pool_kick(pool);
}

/* ---- The pool ---- */

enum err worker_pool_new(
    struct io *io, const struct worker_pool_options *options, struct worker_pool **out)
{
	ASSERT(options->workers > 0);
	ASSERT(options->output_bytes_max > 0);
	ASSERT(options->memory != NULL);
	size_t program_bytes = strlen(options->program) + 1;
	struct worker_pool *pool = memory_zalloc(options->memory, sizeof(*pool));
	char *program = memory_alloc(options->memory, program_bytes);
	memcpy(program, options->program, program_bytes);
	*pool = (struct worker_pool){.magic = POOL_MAGIC, .io = io, .options = *options};
	pool->options.program = program;
	pool->front_count = options->workers + 1;
	pool->process_count = pool->front_count + BACKGROUND_MAX;
	pool->processes =
	    memory_zalloc(options->memory, pool->process_count * sizeof(struct process));
	for (uint32_t i = 0; i < pool->process_count; i++)
		pool->processes[i].pool = pool;
	list_init(&pool->queue);
	list_init(&pool->background);
	io_timer_init(&pool->kick, pool_turn, pool);
	io_timer_init(&pool->retry, retry_fired, pool);
	enum err err = process_start(&pool->processes[0]);
	if (err != OK) {
		worker_pool_free(pool);
		return err;
	}
	*out = pool;
	return OK;
}

void worker_pool_close(struct worker_pool *pool, void (*closed)(void *ctx), void *ctx)
{
	CHECK_OBJ(pool, POOL_MAGIC);
	ASSERT(!pool->closing);
	pool->closing = true;
	pool->closed = closed;
	pool->closed_ctx = ctx;
	io_timer_cancel(pool->io, &pool->retry);
	for (uint32_t i = 0; i < pool->process_count; i++)
		if (pool->processes[i].state != PROCESS_NONE)
			process_kill(&pool->processes[i]);
	pool_kick(pool);
}

void worker_pool_free(struct worker_pool *pool)
{
	if (pool == NULL)
		return;
	DROP_OBJ(pool, POOL_MAGIC);
	ASSERT(pool->queued + pool->background_queued == 0);
	ASSERT(count_processes(pool, state_is_used) == 0);
	io_timer_cancel(pool->io, &pool->kick);
	io_timer_cancel(pool->io, &pool->retry);
	struct memory *memory = pool->options.memory;
	char *program = (char *)(uintptr_t)pool->options.program;
	memory_free(memory, program, strlen(program) + 1);
	memory_free(memory, pool->processes, pool->process_count * sizeof(struct process));
	memory_free(memory, pool, sizeof(*pool));
}

enum err worker_pool_submit(struct worker_pool *pool, struct worker_job *job)
{
	CHECK_OBJ(pool, POOL_MAGIC);
	ASSERT(job->magic != JOB_MAGIC);
	ASSERT(body_is_full(job->source));
	if (pool->closing)
		return ERR_CANCELLED;
	if ((job->background ? pool->background_queued : pool->queued) >= pool->options.queue_max)
		return ERR_OVERLOADED;
	job->magic = JOB_MAGIC;
	job->result = NULL;
	job->why[0] = 0;
	job->submitted_us = io_clock_us(pool->io);
	job->given = false;
	list_append(job->background ? &pool->background : &pool->queue, &job->link);
	if (job->background)
		pool->background_queued++;
	else
		pool->queued++;
	pool_kick(pool);
	return OK;
}

void worker_pool_get_stats(const struct worker_pool *pool, struct worker_pool_stats *out)
{
	CHECK_OBJ(pool, POOL_MAGIC);
	*out = pool->stats;
	out->running = count_processes(pool, state_runs);
	out->idle = 0;
	for (uint32_t i = 0; i < pool->process_count; i++)
		out->idle += pool->processes[i].state == PROCESS_IDLE;
	out->queued = pool->queued;
	out->background_queued = pool->background_queued;
}

void worker_pool_configure(
    struct worker_pool *pool, uint32_t queue_max, uint64_t deadline_us, uint32_t jobs_max)
{
	CHECK_OBJ(pool, POOL_MAGIC);
	pool->options.queue_max = queue_max;
	pool->options.deadline_us = deadline_us;
	pool->options.jobs_max = jobs_max;
}

void worker_pool_set_background(struct worker_pool *pool, uint32_t most)
{
	CHECK_OBJ(pool, POOL_MAGIC);
	ASSERT(most > 0);
	pool->options.background_max = most;
	pool_kick(pool);
}
