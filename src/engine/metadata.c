/* engine/metadata.c: an image's metadata, from the cache or from its record on disk.
 *
 * Cached by the LSN of the record that holds it. A command that only reports waits in its
 * slot (metadata_load); one that decides parks its session (call_metadata).
 */
#include "engine/internal.h"

struct body *metadata_cached(struct engine *engine, const struct image_ref *ref)
{
	struct digest key = body_cache_key(0, ref->meta_lsn);
	return body_cache_get(engine->metas, &key);
}

enum err metadata_remember(
    struct engine *engine, uint64_t lsn, struct span encoded, struct body **out)
{
	struct body *body;
	enum err err = body_copy(&engine->memory.images, encoded, &body);
	if (err != OK)
		return err;
	struct digest key = body_cache_key(0, lsn);
	body_cache_put(engine->metas, &key, body);
	if (out != NULL)
		*out = body;
	else
		body_unref(body);
	return OK;
}

static void metadata_read_done(struct store_read *read, enum err err)
{
	struct metadata_load *load = read->ctx;
	struct body *body = NULL;
	if (err == OK && read->record.meta.len == 0)
		err = ERR_CORRUPT;
	if (err == OK)
		err = metadata_remember(load->engine, load->lsn, read->record.meta, &body);
	list_remove(&load->link);
	store_read_fini(read);
	load->done(load, err, body);      /* may free load; takes over `body` */
}

void metadata_load(
    struct engine *engine, const struct image_ref *ref, struct metadata_load *load)
{
	load->lsn = ref->meta_lsn;
	load->engine = engine;
	load->read = (struct store_read){
	    .done = metadata_read_done,
	    .ctx = load,
	    .place = ref->meta,
	    .lsn = load->lsn,
	    .meta_only = true,
	};
	list_append(&engine->loads, &load->link);
	store_read_start(engine->store, &load->read);
}

/* A load that only warms the cache, for the command that its session will run again. */
static void parked_load_done(struct metadata_load *load, enum err err, struct body *body)
{
	struct session *session = load->session;
	struct engine *engine = load->engine;
	body_unref(body);
	memory_free(&engine->memory.engine, load, sizeof(*load));
	if (session == NULL)
		return;
	session->load_error = err;
	engine_unpark(session);
}

enum err call_metadata(struct call *call, const struct image_ref *ref, struct body **out)
{
	struct engine *engine = call->engine;
	enum err err = call->session->load_error;
	call->session->load_error = OK;
	*out = metadata_cached(engine, ref);
	if (*out != NULL)
		return OK;
	if (err != OK)
		return err;
	if (engine->in_exec)
		return ERR_OVERLOADED;        /* it was read, and did not stay in the cache */
	struct metadata_load *load = memory_zalloc(&engine->memory.engine, sizeof(*load));
	load->session = call->session;
	load->done = parked_load_done;
	metadata_load(engine, ref, load);
	call_park(call);
	return ERR_AGAIN;
}

void loads_forget(struct engine *engine, struct session *session)
{
	for (struct list *at = engine->loads.next; at != &engine->loads; at = at->next) {
		struct metadata_load *load = LIST_OF(at, struct metadata_load, link);
		if (load->session == session)
			load->session = NULL;
	}
}
