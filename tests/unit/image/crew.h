/* tests/unit/image/crew.h: a worker pool on the real machine, one job at a time or many, for
 * the tests of the pool and of the libvips worker. */
#pragma once
#include "image/pool.h"
#include "image/probe.h"

struct crew {
	struct memory       memory;
	struct io          *io;
	struct body_pool   *bodies;
	struct worker_pool *pool;
	bool                closed;
};

/* The defaults: two workers, 10 s, results of at most 16 MiB. */
struct worker_pool_options crew_options(struct crew *crew, const char *program);
/* `program` is a file beside the test program, "tintype-vips" or one of "rogue-...". */
void crew_init(struct crew *crew, const char *program);
void crew_init_with(struct crew *crew, const struct worker_pool_options *options);
void crew_close(struct crew *crew);       /* the pool, and waits for that */
void crew_fini(struct crew *crew);        /* closes what is open; nothing may have leaked */
/* Everything but the pool. */
void crew_init_machine(struct crew *crew);
/* The path of a program beside the test program; a static buffer. */
const char *crew_program(struct crew *crew, const char *name);

struct order {
	struct worker_job job;
	bool              done;
	enum err          err;
};
/* All but the submission. */
void order_prepare(struct crew *crew, struct order *order, struct span source,
    const struct transform_plan *plan);
/* Submits; the order holds the reference to a body with these bytes until order_fini. */
void order_submit(struct crew *crew, struct order *order, struct span source,
    const struct transform_plan *plan);
void order_wait(struct crew *crew, struct order *order);
void order_fini(struct order *order);
/* All at once. */
void order_run(struct crew *crew, struct order *order, struct span source,
    const struct transform_plan *plan);

/* The metadata of a good image, and the plan for it. The test fails if it is not good. */
void crew_probe(struct span file, struct image_meta *meta);
struct transform_plan crew_plan(struct span file, const char *words);

/* A whole file; buf_fini is the caller's. */
struct buf crew_file(struct crew *crew, const char *path);
