/* image/process.h: one slot of the worker pool: a worker process and its job. Private to
 * src/image. The process is started, spoken to and buried here; pool.c decides when. */
#pragma once
#include "image/pool.h"

#include "modules/worker.h"

enum process_state {
	PROCESS_NONE,
	PROCESS_STARTING,                 /* until its hello */
	PROCESS_IDLE,
	PROCESS_BUSY,                     /* it has a job */
	PROCESS_COPYING,                  /* its result is being copied, a slice a pass */
	PROCESS_ENDING,                   /* killed; until it is reaped and its channel closed */
};

struct process {
	uint32_t             magic;
	enum process_state   state;
	struct worker_pool  *pool;
	struct io_child      child;
	struct io_stream     stream;
	bool                 child_lives, stream_lives;
	bool                 said_hello, recycled;
	struct io_memory     arena;
	struct io_timer      timer;       /* hello, deadline, next slice */
	struct worker_message in, out;
	size_t               in_bytes;
	struct iovec         out_iov;
	bool                 sending;
	uint32_t             jobs_done;
	uint64_t             number;      /* of its job */
	uint64_t             started_us;  /* when the job went out */
	struct worker_job   *job;         /* NULL unless it has one */
	struct body         *result;      /* while it is copied */
};

struct worker_pool {
	uint32_t                   magic;
	struct io                 *io;
	struct worker_pool_options options;
	struct process            *processes;     /* `front_count` for jobs that somebody waits for, */
	uint32_t                   process_count, front_count;    /* then those of the background */
	struct list                queue;         /* struct worker_job */
	uint32_t                   queued;
	struct list                background;    /* the same, of jobs that can wait */
	uint32_t                   background_queued;
	uint64_t                   numbers;       /* jobs given out so far */
	uint32_t                   start_failures;        /* in a row */
	struct io_timer            retry;         /* the next start, after failures */
	struct io_timer            kick;          /* at once: dispatch, fail, or end */
	struct worker_pool_stats   stats;
	bool                       closing;
	void                     (*closed)(void *ctx);
	void                      *closed_ctx;
};

static inline bool process_is_background(const struct process *process)
{
	return process >= process->pool->processes + process->pool->front_count;
}

/* The slot is PROCESS_NONE. On error it still is. */
MUST_CHECK enum err process_start(struct process *process);
/* The slot is PROCESS_IDLE and not sending. */
void process_give(struct process *process, struct worker_job *job);
/* Ends it, whatever it does; a job that it has is failed when it is reaped. Safe when it is
 * ending already. */
void process_kill(struct process *process);

/* pool.c: ends a job of this process (or, with process NULL, a queued one). */
void pool_job_end(struct worker_pool *pool, struct worker_job *job, enum err err);
/* pool.c: something changed: start, dispatch or close as needed, in the next callback. */
void pool_kick(struct worker_pool *pool);
