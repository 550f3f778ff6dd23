/* engine/service.c: derivatives: the cache, the jobs under way, and the worker pool.
 *
 * A job goes through two waits: for the original's bytes (if they are cold) and for a
 * worker. Requests for the same key meanwhile join it.
 */
#include "engine/image.h"

#include "image/pool.h"

struct image_service {
	struct worker_pool *workers;      /* NULL: no program was found */
	struct body_cache  *derivatives;
	struct list         jobs;
	uint32_t            job_count;
	struct engine      *engine;
};

struct derive_job {
	struct list           link;
	struct image_service *service;
	struct digest         key;
	struct transform_plan plan;
	struct list           waiters;    /* struct derivation */
	struct body_load      load;
	struct worker_job     work;
};

struct body *derivative_cached(struct engine *engine, const struct digest *key)
{
	return body_cache_get(engine->service->derivatives, key);
}

static void job_end(struct derive_job *job, enum err err, struct body *result, const char *why)
{
	struct image_service *service = job->service;
	struct engine *engine = service->engine;
	list_remove(&job->link);
	service->job_count--;
	if (err == OK)
		engine->counters.derivatives_made++;
	else
		engine->counters.worker_failures++;
	while (!list_is_empty(&job->waiters)) {
		struct derivation *waiter = LIST_OF(job->waiters.next, struct derivation, link);
		list_remove(&waiter->link);
		waiter->done(waiter, err, result, why);
	}
	memory_free(&engine->memory.images, job, sizeof(*job));
}

static void job_worked(struct worker_job *work, enum err err)
{
	struct derive_job *job = work->ctx;
	struct body *result = err == OK ? work->result : NULL;
	body_unref(work->source);
	if (result != NULL)
		body_cache_put(job->service->derivatives, &job->key, result);
	job_end(job, err, result, work->why);
	body_unref(result);
}

/* Hands the source, whose reference it takes over, to the workers. */
static enum err job_submit(struct derive_job *job, struct body *source)
{
	job->work = (struct worker_job){
		.source = source, .plan = job->plan, .done = job_worked, .ctx = job,
	};
	enum err err = worker_pool_submit(job->service->workers, &job->work);
	if (err != OK)
		body_unref(source);
	return err;
}

static void job_loaded(struct body_load *load, enum err err, struct body *body)
{
	struct derive_job *job = load->ctx;
	if (err == OK)
		err = job_submit(job, body);
	if (err != OK)
		job_end(job, err, NULL, err_name(err));
}

static struct derive_job *job_find(struct image_service *service, const struct digest *key)
{
	for (struct list *at = service->jobs.next; at != &service->jobs; at = at->next) {
		struct derive_job *job = LIST_OF(at, struct derive_job, link);
		if (digest_equal(&job->key, key))
			return job;
	}
	return NULL;
}

enum err derivative_make(struct engine *engine, const struct image_ref *ref,
    const struct transform_plan *plan, const struct digest *key, struct derivation *derivation)
{
	struct image_service *service = engine->service;
	struct derive_job *job = job_find(service, key);
	if (service->workers == NULL)
		return ERR_UNSUPPORTED;
	if (job != NULL) {
		engine->counters.derivatives_shared++;
		list_append(&job->waiters, &derivation->link);
		return OK;
	}
	if (service->job_count >= (uint64_t)engine->settings->worker_queue)
		return ERR_OVERLOADED;
	job = memory_zalloc(&engine->memory.images, sizeof(*job));
	job->service = service;
	job->key = *key;
	job->plan = *plan;
	list_init(&job->waiters);
	struct body *source = image_cached(engine, ref);
	enum err err = source != NULL ? job_submit(job, source) : OK;
	if (err != OK) {
		memory_free(&engine->memory.images, job, sizeof(*job));
		return err;
	}
	list_append(&service->jobs, &job->link);
	service->job_count++;
	list_append(&job->waiters, &derivation->link);
	if (source == NULL) {
		job->load.done = job_loaded;
		job->load.ctx = job;
		body_load(engine, ref, &job->load);
	}
	return OK;
}

enum err image_service_new(struct engine *engine)
{
	const struct settings *settings = engine->settings;
	struct image_service *service = memory_zalloc(&engine->memory.images, sizeof(*service));
	char program[SETTING_TEXT_MAX + 32];
	service->engine = engine;
	list_init(&service->jobs);
	service->derivatives = body_cache_new(&engine->memory.images, settings->derivative_memory);
	engine->service = service;
	snprintf(program, sizeof(program), "%s/tintype-vips", settings->worker_dir);
	struct worker_pool_options options = {
	    .program = program,
	    .workers = (uint32_t)settings->worker_count,
	    .queue_max = (uint32_t)settings->worker_queue,
	    .background_max = (uint32_t)settings->analysis_concurrency,
	    .deadline_us = (uint64_t)settings->worker_deadline_ms * 1000,
	    .memory_bytes_max = settings->worker_memory,
	    .output_bytes_max = settings->worker_output,
	    .jobs_max = (uint32_t)settings->worker_jobs_max,
	    .pool = engine->pool,
	    .memory = &engine->memory.images,
	    .log = engine->log,
	};
	if (settings->worker_dir[0] == 0)
		return OK;
	enum err err = worker_pool_new(engine->io, &options, &service->workers);
	if (err == OK)
		return OK;
	log_warning(engine->log, "no image workers (%s): %s; transforms are refused", program,
	    err_name(err));
	service->workers = NULL;
	return OK;
}

void image_service_configure(struct engine *engine)
{
	const struct settings *settings = engine->settings;
	body_cache_set_budget(engine->service->derivatives, settings->derivative_memory);
	if (engine->service->workers != NULL)
		worker_pool_configure(engine->service->workers, (uint32_t)settings->worker_queue,
		    (uint64_t)settings->worker_deadline_ms * 1000,
		    (uint32_t)settings->worker_jobs_max);
	if (engine->service->workers != NULL)
		worker_pool_set_background(
		    engine->service->workers, (uint32_t)settings->analysis_concurrency);
}

enum err image_service_analyse(struct engine *engine, struct worker_job *job)
{
	if (engine->service->workers == NULL)
		return ERR_UNSUPPORTED;
	job->background = true;
	return worker_pool_submit(engine->service->workers, job);
}

bool image_service_works(const struct engine *engine)
{
	return engine->service != NULL && engine->service->workers != NULL;
}

uint64_t image_service_shrink(struct engine *engine, uint64_t bytes)
{
	return engine->service == NULL ? 0 : body_cache_shrink(engine->service->derivatives, bytes);
}

void image_service_close(struct engine *engine, void (*closed)(void *ctx), void *ctx)
{
	if (engine->service->workers == NULL)
		closed(ctx);
	else
		worker_pool_close(engine->service->workers, closed, ctx);
}

void image_service_free(struct engine *engine)
{
	struct image_service *service = engine->service;
	if (service == NULL)
		return;
	while (!list_is_empty(&service->jobs))
		job_end(LIST_OF(service->jobs.next, struct derive_job, link), ERR_CANCELLED, NULL,
		    "shutdown");
	if (service->workers != NULL)
		worker_pool_free(service->workers);
	body_cache_free(service->derivatives);
	memory_free(&engine->memory.images, service, sizeof(*service));
	engine->service = NULL;
}

void image_service_stats(struct engine *engine, struct buf *out)
{
	struct worker_pool_stats stats = {0};
	struct body_cache_stats cache;
	if (engine->service->workers != NULL)
		worker_pool_get_stats(engine->service->workers, &stats);
	body_cache_get_stats(engine->service->derivatives, &cache);
	buf_printf(out, "workers_running:%u\r\nworkers_idle:%u\r\nworker_jobs_queued:%u\r\n",
	    stats.running, stats.idle, stats.queued);
	buf_printf(out, "worker_jobs:%llu\r\nworker_failures:%llu\r\nworker_crashes:%llu\r\n",
	    (unsigned long long)stats.jobs, (unsigned long long)stats.failures,
	    (unsigned long long)stats.crashes);
	buf_printf(out,
	    "worker_timeouts:%llu\r\nworker_nonsense:%llu\r\nworker_spawned:%llu\r\nworker_us:%llu\r\n",
	    (unsigned long long)stats.timeouts, (unsigned long long)stats.nonsense,
	    (unsigned long long)stats.spawned, (unsigned long long)stats.worker_us_total);
	buf_printf(out, "derivative_cache_bytes:%llu\r\nderivative_cache_count:%llu\r\n",
	    (unsigned long long)cache.bytes, (unsigned long long)cache.bodies);
	buf_printf(out, "derivative_cache_hits:%llu\r\nderivative_cache_misses:%llu\r\n",
	    (unsigned long long)cache.hits, (unsigned long long)cache.misses);
	buf_printf(out, "derivatives_made:%llu\r\nderivatives_shared:%llu\r\n",
	    (unsigned long long)engine->counters.derivatives_made,
	    (unsigned long long)engine->counters.derivatives_shared);
}
