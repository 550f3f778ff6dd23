/* tests/sim/worker.c: see worker.h. */
#include "tests/sim/worker.h"

#include "base/arith.h"
#include "base/buf.h"
#include "base/hash.h"
#include "image/transform.h"
#include "modules/worker.h"

#include <signal.h>

enum { PAGE = 4096 };

void sim_worker_phash(const struct digest *digest, uint8_t out[PHASH_BYTES])
{
	_Static_assert(2 * sizeof(*digest) == PHASH_BYTES, "twice over");
	memcpy(out, digest, sizeof(*digest));
	memcpy(out + sizeof(*digest), digest, sizeof(*digest));
}

static void say(struct sim_worker *worker, const struct worker_message *message)
{
	sim_peer_send(worker->channel, span_of(message, sizeof(*message)));
}

static void say_hello(struct sim_worker *worker)
{
	struct worker_message message = worker_message_of(WORKER_HELLO, 0);
	message.hello.message_bytes = sizeof(message);
	message.hello.note_bytes = WORKER_NOTE_BYTES;
	message.hello.plan_bytes = sizeof(struct transform_plan);
	message.hello.plan_version = TRANSFORM_VERSION;
	message.hello.arena_bytes = round_up(WORKER_NOTE_BYTES + SIM_WORKER_OUTPUT, PAGE);
	say(worker, &message);
}

static void answer(struct sim_worker *worker, const struct worker_message *job)
{
	struct transform_plan plan;
	struct worker_message message = worker_message_of(WORKER_RESULT, job->number);
	memcpy(&plan, worker->arena, sizeof(plan));
	ASSERT(plan.task == TASK_ANALYSE);
	struct span source =
	    span_of(worker->input + job->job.source_offset, (size_t)job->job.source_bytes);
	struct digest digest = digest_of(source);
	struct image_analysis analysis = {
	    .version = ANALYSIS_VERSION,
	    .state = ANALYSIS_DONE,
	    .quality = 100,
	    .palette_count = 1,
	    .placeholder_bytes = PLACEHOLDER_MAX,
	    .palette = {{.red = source.ptr[source.len - 1], .percent = 100}},
	};
	sim_worker_phash(&digest, analysis.phash);
	memcpy(analysis.placeholder, analysis.phash, PLACEHOLDER_MAX);
	memcpy(worker->arena + WORKER_NOTE_BYTES, &analysis, sizeof(analysis));
	message.result.bytes = sizeof(analysis);
	message.result.width = plan.width;
	message.result.height = plan.height;
	message.result.format = plan.target_format;
	worker->all->answers++;
	say(worker, &message);
}

/* One job. */
static void work(struct sim_worker *worker, const struct worker_message *job)
{
	struct worker_message message = worker_message_of(WORKER_RESULT, job->number);
	switch (random_below(&worker->all->random, 40)) {
	case 0:
		sim_program_exit(worker->io, worker->pid, SIGSEGV);
		break;
	case 1:
		break;                        /* it hangs until it is killed */
	case 2:
		message.number++;
		say(worker, &message);        /* the answer to another question */
		break;
	case 3:
		message.result.status = WORKER_BAD_SOURCE;
		say(worker, &message);
		break;
	default:
		answer(worker, job);
		break;
	}
}

static void received(void *ctx, struct sim_peer *peer)
{
	struct sim_worker *worker = ctx;
	struct buf *in = sim_peer_received(peer);
	struct worker_message job;
	while (in->len >= sizeof(job)) {
		memcpy(&job, in->ptr, sizeof(job));
		buf_consume(in, sizeof(job));
		work(worker, &job);
	}
}

static void started(void *ctx, struct io *io, pid_t pid, struct sim_peer *channel,
    const struct io_spawn_options *options)
{
	struct sim_workers *all = ctx;
	struct sim_worker *worker = &all->list[all->count++ % SIM_WORKERS];
	*worker = (struct sim_worker){
	    .all = all, .io = io, .pid = pid, .channel = channel,
	    .input = sim_memory_of(io, options->fds[1]), .arena = sim_memory_of(io, options->fds[2])};
	ASSERT(channel != NULL && worker->input != NULL && worker->arena != NULL);
	sim_peer_on_received(channel, received, worker);
	if (random_below(&all->random, 30) == 0)
		sim_program_exit(io, pid, 1 << 8);        /* it does not even start */
	else
		say_hello(worker);
}

void sim_workers_init(struct sim_workers *workers, uint64_t seed, const char *path)
{
	*workers = (struct sim_workers){.program = {.path = path, .start = started}};
	workers->program.ctx = workers;
	random_init(&workers->random, seed);
}
