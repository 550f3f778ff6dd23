/* image/pool.h: the pool of worker processes, and the jobs it gives them.
 *
 * Workers are programs (modules/): forked and executed, sandboxed, one job at a time, with
 * a deadline and a memory limit. They read the source out of the body pool's mapping, which
 * they cannot write, and put the result into an output arena of their own. Whatever a
 * worker says is checked. One that crashes, hangs or talks nonsense fails its one job with
 * ERR_IO (-CODEC) and is replaced; a spare stands warm. Jobs of the background have processes of
 * their own, which yield the processor to all others.
 */
#pragma once
#include "image/transform.h"
#include "store/body.h"

struct worker_pool;

enum { BACKGROUND_MAX = 64 };

struct worker_pool_options {
	const char *program;              /* path of tintype-vips */
	uint32_t    workers;              /* that run jobs at the same time; one spare besides */
	uint32_t    queue_max;            /* jobs that wait; more are ERR_OVERLOADED */
	uint32_t    background_max;       /* background jobs at the same time, up to BACKGROUND_MAX; 0: one */
	uint64_t    deadline_us;
	uint64_t    memory_bytes_max;     /* of one worker */
	uint64_t    output_bytes_max;     /* of one result */
	uint32_t    jobs_max;             /* a worker is replaced after so many */
	struct body_pool *pool;
	struct memory    *memory;
	struct log       *log;
};

/* Starts the first worker. ERR_NOTFOUND, ERR_UNSUPPORTED, ...: it cannot be started at all. */
MUST_CHECK enum err worker_pool_new(struct io *io, const struct worker_pool_options *options,
    struct worker_pool **out);
/* Kills every worker; `closed` follows, then worker_pool_free. Jobs end with ERR_CANCELLED. */
void worker_pool_close(struct worker_pool *pool, void (*closed)(void *ctx), void *ctx);
void worker_pool_free(struct worker_pool *pool);

struct worker_job {
	uint32_t    magic;
	struct list link;                 /* the pool's */
	/* The caller's storage; filled before submit: */
	struct body *source;              /* a body of the body pool; the job holds a reference */
	struct transform_plan plan;
	bool         background;          /* nobody waits for it; see background_max */
	/* The result: on OK one reference to a body in `result` (the callee's), and what it is. */
	void (*done)(struct worker_job *job, enum err err);
	void *ctx;
	struct body *result;
	uint32_t     width, height;
	enum image_format format;
	char         why[96];             /* on error: a short English reason */
	uint64_t     submitted_us, worker_us;
	bool         given;               /* a worker had it: an error may be the source's doing */
};

/* done() follows, never from within. ERR_OVERLOADED: the queue is full. */
MUST_CHECK enum err worker_pool_submit(struct worker_pool *pool, struct worker_job *job);

struct worker_pool_stats {
	uint32_t running, idle, queued, background_queued;
	uint64_t jobs, failures, crashes, timeouts, nonsense, spawned, worker_us_total;
};
void worker_pool_get_stats(const struct worker_pool *pool, struct worker_pool_stats *out);
/* Deadline and limits from changed settings. */
void worker_pool_configure(struct worker_pool *pool, uint32_t queue_max, uint64_t deadline_us,
    uint32_t jobs_max);
void worker_pool_set_background(struct worker_pool *pool, uint32_t background_max);
