/* engine/image.h: images, their metadata, derivatives and searches, for the commands. */
#pragma once
#include "engine/internal.h"
#include "image/transform.h"

struct image_put {
	const struct image_meta *meta;
	struct body             *body;    /* full; a body of the pool */
	int64_t                  expire_ms;
};
/* Stores it under `key`, replacing what the key named. ERR_TOOLARGE: the metadata is. ERR_AGAIN:
 * the session was parked, and the command will run again. */
MUST_CHECK enum err call_put_image(struct call *call, struct span key, const struct image_put *put);
/* New metadata for an image. */
MUST_CHECK enum err call_edit_image(
    struct call *call, struct entry *entry, const struct image_meta *meta);

/* `key` becomes the version that `ref` names, with its metadata as it was and no deadline. */
MUST_CHECK enum err call_restore_image(
    struct call *call, struct span key, const struct image_ref *ref, struct span meta);

/* The original's bytes if they are in memory: a reference, or NULL. */
struct body *image_cached(struct engine *engine, const struct image_ref *ref);
/* Reads them from disk: done() gets a reference with OK. */
struct body_load {
	struct engine    *engine;
	bool              once;           /* not kept: it will not be asked for again soon */
	struct store_read read;
	uint64_t          lsn;
	void            (*done)(struct body_load *load, enum err err, struct body *body);
	void             *ctx;
};
void body_load(struct engine *engine, const struct image_ref *ref, struct body_load *load);

const char *image_orientation_name(uint32_t width, uint32_t height);

/* ---- Derivatives (service.c) ---- */

/* One request for a derivative. Equal requests at the same time share one job. */
struct derivation {
	struct list link;
	void (*done)(
	    struct derivation *derivation, enum err err, struct body *result, const char *why);
	void       *ctx;
};
/* A reference from the cache, or NULL. */
struct body *derivative_cached(struct engine *engine, const struct digest *key);
/* Makes it; done() follows, never from within. `result` is borrowed during done().
 * ERR_OVERLOADED: too many wait. ERR_UNSUPPORTED: no worker program is installed. */
MUST_CHECK enum err derivative_make(struct engine *engine, const struct image_ref *ref,
    const struct transform_plan *plan, const struct digest *key, struct derivation *derivation);
/* A job of the background, for analysis.c. ERR_UNSUPPORTED, ERR_OVERLOADED. */
struct worker_job;
MUST_CHECK enum err image_service_analyse(struct engine *engine, struct worker_job *job);
bool image_service_works(const struct engine *engine);
void image_service_stats(struct engine *engine, struct buf *out);

/* ---- Searches (find.c) ---- */

struct search_task {
	struct list    link;
	struct engine *engine;
	struct search *search;
	struct query  *query;
	uint8_t        db;
	uint64_t       started_us, deadline_us, worked_us;      /* deadline 0: none */
	/* NULL, or what is left to do when the search has ended, in slices too (ERR_AGAIN). */
	enum err     (*work)(struct search_task *task, const struct search_budget *budget);
	enum err       err;               /* set by who visits the matches: the task ends with it */
	bool           searched;
	void         (*done)(struct search_task *task, enum err err);   /* ERR_TIMEOUT, ... */
	void          *ctx;
};
/* Steps once. OK: it is done already (done() does not run). ERR_AGAIN: done() will run. */
MUST_CHECK enum err search_task_start(struct engine *engine, struct search_task *task);
void search_task_fini(struct search_task *task);
