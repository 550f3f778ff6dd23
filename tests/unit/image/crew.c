/* tests/unit/image/crew.c: see crew.h. */
#include "crew.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { WAIT_US_MAX = 60000000 };

void crew_init_machine(struct crew *crew)
{
	const struct io_options io_options = {.backend = IO_AUTO};
	const struct body_pool_options body_options = {.bytes = 256 << 20};
	*crew = (struct crew){0};
	cr_assert_eq(io_new(&crew->io, &io_options), OK);
	cr_assert_eq(body_pool_new(crew->io, &body_options, &crew->bodies), OK);
}

const char *crew_program(struct crew *crew, const char *name)
{
	static char path[4096];
	cr_assert_eq(io_executable_path(crew->io, path, sizeof(path) / 2), OK);
	char *slash = strrchr(path, '/');
	cr_assert_not_null(slash);
	snprintf(slash + 1, sizeof(path) / 2, "%s", name);
	return path;
}

struct worker_pool_options crew_options(struct crew *crew, const char *program)
{
	return (struct worker_pool_options){
	    .program = crew_program(crew, program),
	    .workers = 2,
	    .queue_max = 64,
	    .deadline_us = 10000000,
	    .memory_bytes_max = 1536 << 20,
	    .output_bytes_max = 16 << 20,
	    .jobs_max = 1000,
	    .pool = crew->bodies,
	    .memory = &crew->memory,
	};
}

void crew_init_with(struct crew *crew, const struct worker_pool_options *options)
{
	cr_assert_eq(worker_pool_new(crew->io, options, &crew->pool), OK);
}

void crew_init(struct crew *crew, const char *program)
{
	crew_init_machine(crew);
	struct worker_pool_options options = crew_options(crew, program);
	crew_init_with(crew, &options);
}

static void crew_closed(void *ctx)
{
	*(bool *)ctx = true;
}

static void wait_for(struct crew *crew, const bool *flag)
{
	uint64_t until = io_clock_us(crew->io) + WAIT_US_MAX;
	while (!*flag) {
		cr_assert_lt(io_clock_us(crew->io), until, "nothing came");
		io_wait(crew->io, 100000);
	}
}

void crew_close(struct crew *crew)
{
	worker_pool_close(crew->pool, crew_closed, &crew->closed);
	cr_assert_not(crew->closed, "closed() ran within close");
	wait_for(crew, &crew->closed);
	worker_pool_free(crew->pool);
	crew->pool = NULL;
}

void crew_fini(struct crew *crew)
{
	if (crew->pool != NULL)
		crew_close(crew);
	body_pool_free(crew->bodies);
	io_free(crew->io);
	cr_assert_eq(crew->memory.bytes, 0, "%lu bytes leaked", crew->memory.bytes);
}

static void order_done(struct worker_job *job, enum err err)
{
	struct order *order = job->ctx;
	order->done = true;
	order->err = err;
}

void order_prepare(
    struct crew *crew, struct order *order, struct span source, const struct transform_plan *plan)
{
	*order = (struct order){.job = {.plan = *plan, .done = order_done, .ctx = order}};
	cr_assert_eq(body_new(crew->bodies, source.len, &order->job.source), OK);
	memcpy(order->job.source->ptr, source.ptr, source.len);
	body_advance(order->job.source, source.len);
}

void order_submit(
    struct crew *crew, struct order *order, struct span source, const struct transform_plan *plan)
{
	order_prepare(crew, order, source, plan);
	enum err err = worker_pool_submit(crew->pool, &order->job);
	cr_assert_eq(err, OK, "%s", err_name(err));
	cr_assert_not(order->done, "done() ran within submit");
}

void order_wait(struct crew *crew, struct order *order)
{
	wait_for(crew, &order->done);
}

void order_fini(struct order *order)
{
	body_unref(order->job.source);
	body_unref(order->job.result);
}

void order_run(
    struct crew *crew, struct order *order, struct span source, const struct transform_plan *plan)
{
	order_submit(crew, order, source, plan);
	order_wait(crew, order);
}

void crew_probe(struct span file, struct image_meta *meta)
{
	static uint8_t scratch[PROBE_SCRATCH_BYTES];
	static const struct probe_limits limits = {
	    .bytes_max = 128 << 20,
	    .pixels_max = 100000000,
	    .side_max = 32768,
	    .frames_max = 300,
	    .pixels_per_byte_max = 1100,
	};
	char why[PROBE_WHY_BYTES];
	enum err err = image_probe(file, &limits, scratch, meta, why);
	cr_assert_eq(err, OK, "%s: %s", err_name(err), why);
}

struct transform_plan crew_plan(struct span file, const char *words)
{
	enum { WORDS_MAX = 32 };
	struct span argv[WORDS_MAX];
	struct transform transform = {0};
	struct image_meta meta;
	struct transform_plan plan;
	char why[128] = "";
	uint32_t argc = 0;
	for (const char *at = words; *at != 0 && argc < WORDS_MAX;) {
		size_t len = strcspn(at, " ");
		if (len > 0)
			argv[argc++] = span_of(at, len);
		at += len + (at[len] == ' ');
	}
	crew_probe(file, &meta);
	for (uint32_t at = 0; at < argc;)
		cr_assert_eq(
		    transform_parse(&transform, argv, argc, &at, why, sizeof(why)), OK, "%s", why);
	enum err err = transform_resolve(&transform, &meta, 8192, &plan, why, sizeof(why));
	cr_assert_eq(err, OK, "%s: %s", err_name(err), why);
	return plan;
}

struct buf crew_file(struct crew *crew, const char *path)
{
	struct buf buf;
	buf_init(&buf, &crew->memory);
	enum err err = io_load_file(crew->io, path, 64 << 20, &buf);
	cr_assert_eq(err, OK, "%s: %s", path, err_name(err));
	return buf;
}
