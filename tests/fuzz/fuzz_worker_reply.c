/* tests/fuzz/fuzz_worker_reply.c: any behaviour of a worker program, in the simulated machine.
 *
 * The input is a script for the worker: each step is a byte that says what, and bytes that say
 * how. Whatever it does, every job ends exactly once, with what was ordered (an image, or in the
 * second job, which is one of the background, an analysis) or with an error and a reason, and
 * nothing is left behind.
 */
#include "image/probe.h"
#include "image/process.h"
#include "io/sim.h"
#include "modules/worker.h"

#include <stdlib.h>

enum { JOBS = 3, PASSES_MAX = 4000, ARENA_BYTES = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
	struct span left;
	struct io *io;
	struct sim_peer *channel;
	uint8_t *arena;
	pid_t pid;
	unsigned ended;
};

static const struct transform_plan plan = {
    .version = TRANSFORM_VERSION,
    .source_format = IMAGE_PNG,
    .source_width = 3,
    .source_height = 3,
    .width = 3,
    .height = 2,
    .target_format = IMAGE_BMP,
};

static const struct transform_plan analysis_plan = {
    .version = TRANSFORM_VERSION,
    .source_format = IMAGE_PNG,
    .source_width = 3,
    .source_height = 3,
    .width = ANALYSIS_SIDE,
    .height = ANALYSIS_SIDE,
    .target_format = IMAGE_PNG,
    .task = TASK_ANALYSE,
};

/* A bitmap of 3 x 2: the smallest format to write by hand. */
static const uint8_t good[] =
    "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x03\0\0\0\x02\0\0\0\x01\0\x18\0"
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0........................";

static void expect(bool condition)
{
	if (!condition)
		abort();
}

static struct span take(struct script *script, size_t len)
{
	struct span taken = span_slice(script->left, 0, len);
	script->left = span_slice(script->left, taken.len, script->left.len);
	return taken;
}

static uint8_t take_byte(struct script *script)
{
	struct span byte = take(script, 1);
	return byte.len == 0 ? 0 : byte.ptr[0];
}

/* Flips some bytes of a good message, as the script says, and sends it. */
static void say(struct script *script, struct worker_message message)
{
	uint8_t bytes[sizeof(message)];
	memcpy(bytes, &message, sizeof(message));
	for (unsigned count = take_byte(script) % 4; count > 0; count--) {
		uint8_t at = take_byte(script);
		bytes[at % sizeof(bytes)] ^= take_byte(script);
	}
	sim_peer_send(script->channel, span_of(bytes, sizeof(bytes)));
}

static void answer(struct script *script)
{
	struct worker_message result = worker_message_of(WORKER_RESULT, 0);
	uint8_t how = take_byte(script);
	result.number = 1 + how / 64;
	result.result.bytes = sizeof(good);
	result.result.width = plan.width;
	result.result.height = plan.height;
	result.result.format = plan.target_format;
	if (how % 4 == 3) {
		result.result.status = WORKER_BAD_SOURCE;
		result.result.why_bytes = how;
	}
	memcpy(script->arena + WORKER_NOTE_BYTES, good, sizeof(good));
	if (how % 8 == 6) {
		struct image_analysis analysis = {.version = ANALYSIS_VERSION,
		    .state = ANALYSIS_DONE, .quality = 70, .palette_count = how / 8 % 8,
		    .placeholder_bytes = how / 4};
		for (unsigned i = 0; i < PALETTE_MAX; i++)
			analysis.palette[i].percent = (uint8_t)(40 - how / 16 * i);
		memcpy(script->arena + WORKER_NOTE_BYTES, &analysis, sizeof(analysis));
		result.result.bytes = sizeof(analysis);
		result.result.width = result.result.height = ANALYSIS_SIDE;
		result.result.format = IMAGE_PNG;
	}
	say(script, result);
}

/* One step of the worker. False: it has come to its end. */
static bool step(struct script *script)
{
	struct worker_message hello = worker_message_of(WORKER_HELLO, 0);
	if (script->left.len == 0 || script->channel == NULL)
		return false;
	switch (take_byte(script) % 6) {
	case 0:
		hello.hello.message_bytes = sizeof(hello);
		hello.hello.note_bytes = WORKER_NOTE_BYTES;
		hello.hello.plan_bytes = sizeof(plan);
		hello.hello.plan_version = TRANSFORM_VERSION;
		hello.hello.arena_bytes = WORKER_NOTE_BYTES + ARENA_BYTES;
		say(script, hello);
		break;
	case 1:
		answer(script);
		break;
	case 2:
		sim_peer_send(script->channel, take(script, take_byte(script)));
		break;
	case 3: {
		struct span bytes = take(script, 64);
		size_t at = (size_t)take_byte(script) * 64;
		memcpy(
		    script->arena + (at < WORKER_NOTE_BYTES + 128 ? at : 0), bytes.ptr, bytes.len);
		break;
	}
	case 4:
		sim_program_exit(script->io, script->pid, take_byte(script));
		script->channel = NULL;
		break;
	default:
		break; /* it waits */
	}
	return true;
}

static void started(void *ctx, struct io *io, pid_t pid, struct sim_peer *channel,
    const struct io_spawn_options *options)
{
	struct script *script = ctx;
	script->io = io;
	script->pid = pid;
	script->channel = channel;
	script->arena = sim_memory_of(io, options->fds[2]);
	expect(script->arena != NULL);
}

static void job_done(struct worker_job *job, enum err err)
{
	struct script *script = job->ctx;
	script->ended++;
	expect((err == OK) == (job->result != NULL));
	expect(err == OK || job->why[0] != 0);
	if (err == OK && job->plan.task == TASK_ANALYSE) {
		struct image_analysis analysis;
		struct memory memory = {0};
		struct buf kept;
		buf_init(&kept, &memory);
		expect(job->result->len == sizeof(analysis));
		memcpy(&analysis, job->result->ptr, sizeof(analysis));
		analysis_encode(&analysis, &kept);
		expect(analysis_decode(buf_span(&kept), &analysis) == OK);
		buf_fini(&kept);
	} else if (err == OK) {
		expect(image_sniff(body_span(job->result)) == IMAGE_BMP);
	}
	body_unref(job->result);
}

/* The channel goes with the process: nothing may be said after the pool has killed it. */
static void notice_death(struct script *script, const struct worker_pool *pool)
{
	bool lives = false;
	for (uint32_t i = 0; i < pool->process_count; i++)
		lives |=
		    pool->processes[i].child_lives && pool->processes[i].child.pid == script->pid;
	if (!lives)
		script->channel = NULL;
}

static void pool_closed(void *ctx)
{
	*(bool *)ctx = true;
}

static void run(
    struct script *script, struct io *io, struct body_pool *bodies, struct memory *memory)
{
	struct worker_pool *pool;
	struct worker_job jobs[JOBS] = {0};
	struct body *source;
	bool closed = false;
	const struct worker_pool_options options = {
	    .program = "/worker",
	    .workers = 1,
	    .queue_max = JOBS,
	    .deadline_us = 100000,
	    .output_bytes_max = ARENA_BYTES,
	    .jobs_max = 2,
	    .pool = bodies,
	    .memory = memory,
	};
	expect(worker_pool_new(io, &options, &pool) == OK);
	expect(body_new(bodies, 10, &source) == OK);
	memset(source->ptr, 1, 10);
	body_advance(source, 10);
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = (struct worker_job){
		    .source = source, .plan = i == 1 ? analysis_plan : plan, .background = i == 1,
		    .done = job_done, .ctx = script};
		expect(worker_pool_submit(pool, &jobs[i]) == OK);
	}
	unsigned pass = 0;
	while (step(script) || (script->ended < JOBS && pass < PASSES_MAX)) {
		io_wait(io, 50000);
		notice_death(script, pool);
		pass++;
	}
	worker_pool_close(pool, pool_closed, &closed);
	for (pass = 0; !closed && pass < PASSES_MAX; pass++)
		io_wait(io, 50000);
	expect(closed);
	expect(script->ended == JOBS);
	worker_pool_free(pool);
	body_unref(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* One machine for all inputs: making it takes longer than most of them. */
	static struct script script;
	static const struct sim_program program = {
	    .path = "/worker", .start = started, .ctx = &script};
	static struct io *io;
	static struct body_pool *bodies;
	struct memory memory = {0};
	if (io == NULL) {
		const struct body_pool_options body_options = {.bytes = 2 << 20};
		io = sim_new(sim_disk_new(1), 1, NULL);
		sim_add_program(io, &program);
		expect(body_pool_new(io, &body_options, &bodies) == OK);
	}
	script = (struct script){.left = span_of(data, size)};
	run(&script, io, bodies, &memory);
	expect(memory.bytes == 0);
	expect(body_pool_used(bodies) == 0);
	return 0;
}
