/* image/process.c: one worker process; see process.h.
 *
 * What it says is checked before it is used: the form of every message, the size of the
 * result, and, on our own copy, that it is the image that was ordered. A process that says
 * anything else is killed. Its reason for a failure is text from a stranger: cut, and
 * printable only.
 */
#include "image/process.h"

#include "base/arith.h"
#include "image/probe.h"

#include <stdio.h>
#include <sys/wait.h>

enum {
	PROCESS_MAGIC = 0x50726f63,
	PAGE = 4096,
	BACKGROUND_NICE = 15,             /* one share of the processor against 28 */
	SLICE_BYTES = 1 << 20, /* copied, hashed and summed in one pass */
};
static const uint64_t hello_us_max = 10000000;

static void say_why(struct worker_job *job, const char *why)
{
	snprintf(job->why, sizeof(job->why), "%s", why);
}

/* Ends its job, and leaves the process without one. */
static void end_job(struct process *process, enum err err)
{
	struct worker_job *job = process->job;
	ASSERT(job != NULL);
	process->job = NULL;
	job->worker_us = io_clock_us(process->pool->io) - process->started_us;
	process->pool->stats.worker_us_total += job->worker_us;
	body_unref(process->result);
	process->result = NULL;
	pool_job_end(process->pool, job, err);
}

/* ---- Its end ---- */

void process_kill(struct process *process)
{
	CHECK_OBJ(process, PROCESS_MAGIC);
	if (process->state == PROCESS_NONE || process->state == PROCESS_ENDING)
		return;
	process->state = PROCESS_ENDING;
	io_timer_cancel(process->pool->io, &process->timer);
	if (process->child_lives)
		io_kill(process->pool->io, &process->child);
	if (process->stream_lives)
		io_stream_close(process->pool->io, &process->stream);
}

/* When both the child and the channel are gone the slot is free again. */
static void bury(struct process *process)
{
	if (process->child_lives || process->stream_lives)
		return;
	struct worker_pool *pool = process->pool;
	ASSERT(process->state == PROCESS_ENDING);
	ASSERT(process->job == NULL);
	io_memory_free(pool->io, &process->arena);
	process->state = PROCESS_NONE;
	/* One that died without ever finishing a job may do so for ever. */
	if (process->jobs_done == 0 && !process->recycled)
		pool->start_failures++;
	pool_kick(pool);
}

static void process_exited(struct io_child *child, int status)
{
	struct process *process = child->ctx;
	struct worker_job *job = process->job;
	CHECK_OBJ(process, PROCESS_MAGIC);
	process->child_lives = false;
	process_kill(process);
	if (!process->said_hello && !process->pool->closing)
		log_warning(process->pool->options.log,
		    "image worker: ended before it was ready (%s %d)",
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	if (job != NULL && process->pool->closing) {
		say_why(job, "the server is closing");
		end_job(process, ERR_CANCELLED);
	} else if (job != NULL) {
		process->pool->stats.crashes++;
		process->recycled = true; /* the job's doing, as a rule */
		snprintf(job->why, sizeof(job->why), "the worker died of this image (%s %d)",
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		end_job(process, ERR_IO);
	}
	bury(process);
}

static void stream_closed(struct io_stream *stream)
{
	struct process *process = stream->ctx;
	CHECK_OBJ(process, PROCESS_MAGIC);
	process->stream_lives = false;
	process->sending = false;
	bury(process);
}

/* It said what no worker says. */
static void nonsense(struct process *process, const char *what)
{
	struct worker_pool *pool = process->pool;
	pool->stats.nonsense++;
	log_warning(pool->options.log, "image worker: %s; it is replaced", what);
	process_kill(process);
	if (process->job == NULL)
		return;
	say_why(process->job, what);
	process->recycled = true;
	end_job(process, ERR_IO);
}

/* ---- Results ---- */

static bool is_ordered(const struct process *process)
{
	static const struct probe_limits no_limits = {
	    .bytes_max = UINT64_MAX,
	    .pixels_max = UINT64_MAX,
	    .side_max = UINT32_MAX,
	    .frames_max = 1,
	    .pixels_per_byte_max = UINT64_MAX,
	};
	uint8_t scratch[PROBE_SCRATCH_BYTES];
	char why[PROBE_WHY_BYTES];
	struct image_meta meta;
	const struct transform_plan *plan = &process->job->plan;
	if (plan->task == TASK_ANALYSE) {
		struct image_analysis analysis;
		if (process->result->len != sizeof(analysis))
			return false;
		memcpy(&analysis, process->result->ptr, sizeof(analysis));
		return analysis_is_sound(&analysis);
	}
	return image_probe(body_span(process->result), &no_limits, scratch, &meta, why) == OK &&
	    meta.format == (enum image_format)plan->target_format && meta.width == plan->width &&
	    meta.height == plan->height;
}

static void job_done(struct process *process)
{
	struct worker_pool *pool = process->pool;
	struct worker_job *job = process->job;
	if (!is_ordered(process)) {
		nonsense(process, "the worker's answer is not what was ordered");
		return;
	}
	/* A large result leaves the arena large: give it back. */
	if (process->result->len > SLICE_BYTES)
		io_memory_release(pool->io, &process->arena, 0, process->arena.bytes);
	job->result = process->result;
	job->width = job->plan.width;
	job->height = job->plan.height;
	job->format = (enum image_format)job->plan.target_format;
	process->result = NULL;
	process->state = PROCESS_IDLE;
	process->jobs_done++;
	pool->start_failures = 0;
	end_job(process, OK);
}

/* The next slice, of a result that the worker can no longer change under our hands: what
 * counts is the copy. */
static void copy_slice(struct process *process)
{
	struct body *body = process->result;
	const uint8_t *from = (const uint8_t *)process->arena.ptr + WORKER_NOTE_BYTES;
	size_t len = min_u64(body->len - body->filled, SLICE_BYTES);
	memcpy(body->ptr + body->filled, from + body->filled, len);
	body_advance(body, len);
	if (body_is_full(body))
		job_done(process);
	else
		io_timer_set(process->pool->io, &process->timer, 0);
}

static void take_result(struct process *process, const struct worker_message *message)
{
	struct worker_pool *pool = process->pool;
	const struct transform_plan *plan = &process->job->plan;
	uint64_t bytes = message->result.bytes;
	bool fits = plan->task != TASK_ANALYSE || bytes == sizeof(struct image_analysis);
	if (!fits || bytes == 0 || bytes > pool->options.output_bytes_max ||
	    bytes > process->arena.bytes - WORKER_NOTE_BYTES ||
	    message->result.width != plan->width || message->result.height != plan->height ||
	    message->result.format != plan->target_format) {
		nonsense(process, "the worker's answer does not fit the order");
		return;
	}
	enum err err = body_new(pool->options.pool, (size_t)bytes, &process->result);
	if (err != OK) {
		process->state = PROCESS_IDLE;
		process->jobs_done++;
		say_why(process->job, "no memory for the result (body-memory)");
		end_job(process, err);
		return;
	}
	process->state = PROCESS_COPYING;
	copy_slice(process);
}

/* The worker's own words. */
static void take_failure(struct process *process, const struct worker_message *message)
{
	struct worker_job *job = process->job;
	uint32_t len = message->result.why_bytes;
	if (len >= sizeof(job->why))
		len = sizeof(job->why) - 1;
	memcpy(job->why, process->arena.ptr, len);
	job->why[len] = 0;
	for (uint32_t i = 0; i < len; i++)
		if (job->why[i] < ' ' || job->why[i] > '~')
			job->why[i] = '?';
	if (len == 0)
		say_why(job, "the image could not be decoded");
	process->state = PROCESS_IDLE;
	process->jobs_done++;
	process->pool->start_failures = 0;
	end_job(process, ERR_INVALID);
}

/* ---- Messages ---- */

static bool hello_is_good(const struct process *process, const struct worker_message *message)
{
	return message->kind == WORKER_HELLO &&
	    message->hello.message_bytes == sizeof(struct worker_message) &&
	    message->hello.note_bytes == WORKER_NOTE_BYTES &&
	    message->hello.plan_bytes == sizeof(struct transform_plan) &&
	    message->hello.plan_version == TRANSFORM_VERSION &&
	    message->hello.arena_bytes == process->arena.bytes;
}

static void take_message(struct process *process)
{
	struct worker_pool *pool = process->pool;
	const struct worker_message *message = &process->in;
	bool formed = message->magic == WORKER_MAGIC && message->abi == WORKER_ABI;
	if (formed && process->state == PROCESS_STARTING && hello_is_good(process, message)) {
		io_timer_cancel(pool->io, &process->timer);
		process->said_hello = true;
		process->state = PROCESS_IDLE;
		pool_kick(pool);
	} else if (formed && process->state == PROCESS_STARTING) {
		nonsense(process, "the worker program is of another version");
	} else if (!formed || process->state != PROCESS_BUSY || message->kind != WORKER_RESULT ||
	    message->number != process->number || message->result.status > WORKER_NO_ROOM) {
		nonsense(process, "the worker talks nonsense");
	} else {
		io_timer_cancel(pool->io, &process->timer);
		if (message->result.status == WORKER_DONE)
			take_result(process, message);
		else
			take_failure(process, message);
		pool_kick(pool);
	}
}

static void stream_received(struct io_stream *stream, struct span bytes, enum err err)
{
	struct process *process = stream->ctx;
	CHECK_OBJ(process, PROCESS_MAGIC);
	if (err != OK || bytes.len == 0) {
		/* It died or is about to; its status says of what, so the job waits for that. */
		process_kill(process);
		return;
	}
	while (bytes.len > 0 && process->state != PROCESS_ENDING) {
		size_t len = min_u64(bytes.len, sizeof(process->in) - process->in_bytes);
		memcpy((char *)&process->in + process->in_bytes, bytes.ptr, len);
		process->in_bytes += len;
		bytes = span_slice(bytes, len, bytes.len);
		if (process->in_bytes < sizeof(process->in))
			return;
		process->in_bytes = 0;
		take_message(process);
	}
}

static void stream_sent(struct io_stream *stream, enum err err)
{
	struct process *process = stream->ctx;
	CHECK_OBJ(process, PROCESS_MAGIC);
	process->sending = false;
	if (err != OK)
		process_kill(process);
	else
		pool_kick(process->pool);
}

static const struct io_stream_events stream_events = {
    .received = stream_received,
    .sent = stream_sent,
    .closed = stream_closed,
};

static void process_timer_fired(struct io_timer *timer)
{
	struct process *process = timer->ctx;
	CHECK_OBJ(process, PROCESS_MAGIC);
	if (process->state == PROCESS_COPYING) {
		copy_slice(process);
		return;
	}
	process_kill(process);
	if (process->job == NULL) {
		log_warning(process->pool->options.log, "image worker: not ready in time");
		return;
	}
	process->pool->stats.timeouts++;
	process->recycled = true;
	say_why(process->job, "the worker took too long");
	end_job(process, ERR_TIMEOUT);
}

/* ---- Its start and its jobs ---- */

void process_give(struct process *process, struct worker_job *job)
{
	CHECK_OBJ(process, PROCESS_MAGIC);
	ASSERT(process->state == PROCESS_IDLE);
	ASSERT(!process->sending);
	struct worker_pool *pool = process->pool;
	_Static_assert(sizeof(job->plan) <= WORKER_NOTE_BYTES, "the plan fits the note");
	memcpy(process->arena.ptr, &job->plan, sizeof(job->plan));
	process->job = job;
	job->given = true;
	process->number = ++pool->numbers;
	process->started_us = io_clock_us(pool->io);
	process->state = PROCESS_BUSY;
	process->out = worker_message_of(WORKER_JOB, process->number);
	process->out.job.source_offset = body_offset(job->source);
	process->out.job.source_bytes = job->source->len;
	process->out.job.result_bytes_max = pool->options.output_bytes_max;
	process->out.job.plan_bytes = sizeof(job->plan);
	/* Behind our own deadline: it counts if we are gone by then. */
	process->out.job.seconds_max =
	    (uint32_t)min_u64(pool->options.deadline_us / 1000000, 1 << 20) + 2;
	process->out_iov = (struct iovec){&process->out, sizeof(process->out)};
	process->sending = true;
	io_timer_set(pool->io, &process->timer, pool->options.deadline_us);
	io_stream_send(pool->io, &process->stream, &process->out_iov, 1);
}

static enum err spawn(struct process *process, const int channel[2])
{
	struct worker_pool *pool = process->pool;
	const char *const argv[] = {pool->options.program, NULL};
	const int fds[] = {channel[1], body_pool_memory(pool->options.pool)->fd, process->arena.fd};
	_Static_assert(WORKER_FD_CHANNEL == 3 && WORKER_FD_INPUT == 4 && WORKER_FD_ARENA == 5,
	    "the order of the descriptors");
	const struct io_spawn_options options = {
	    .path = pool->options.program,
	    .argv = argv,
	    .fds = fds,
	    .fd_count = ARRAY_COUNT(fds),
	    .memory_bytes_max = pool->options.memory_bytes_max,
	    .nice = process_is_background(process) ? BACKGROUND_NICE : 0,
	};
	process->child = (struct io_child){.exited = process_exited, .ctx = process};
	return io_spawn(pool->io, &process->child, &options);
}

enum err process_start(struct process *process)
{
	struct worker_pool *pool = process->pool;
	int channel[2];
	ASSERT(process->state == PROCESS_NONE);
	*process = (struct process){.magic = PROCESS_MAGIC, .pool = pool};
	io_timer_init(&process->timer, process_timer_fired, process);
	uint64_t arena = round_up(WORKER_NOTE_BYTES + pool->options.output_bytes_max, PAGE);
	enum err err = io_memory_new(pool->io, (size_t)arena, false, &process->arena);
	if (err != OK)
		return err;
	err = io_socket_pair(pool->io, channel);
	if (err == OK) {
		err = spawn(process, channel);
		io_close_now(pool->io, channel[1]);
		if (err != OK)
			io_close_now(pool->io, channel[0]);
	}
	if (err != OK) {
		io_memory_free(pool->io, &process->arena);
		return err;
	}
	process->state = PROCESS_STARTING;
	process->child_lives = process->stream_lives = true;
	pool->stats.spawned++;
	io_stream_open(pool->io, &process->stream, channel[0], &stream_events, process);
	io_timer_set(pool->io, &process->timer, hello_us_max);
	return OK;
}
