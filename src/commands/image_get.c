/* commands/image_get.c: IMG.GET: the original as it was stored, or a derivative.
 *
 * What is in memory answers at once. A cold original waits for one disk read, a derivative
 * for the worker; both in the call's slot, while commands behind run on.
 */
#include "commands/image.h"

#include "base/number.h"
#include "engine/tier.h"

struct get_words {
	struct transform transform;
	bool     has_etag, has_range, has_moment;
	struct moment moment;
	struct digest etag;
	int64_t  first, last;
};

/* A deferred IMG.GET. */
struct get_job {
	struct engine    *engine;
	struct slot      *slot;
	struct get_words  words;
	struct body_load  load;
	struct metadata_load meta_load;
	struct derivation derivation;
	uint8_t           db;
	uint64_t          body_lsn, meta_lsn;
	uint32_t          key_len;
	uint8_t           key[];
};

/* The bytes asked for, as a reference; takes over one reference of `body`. */
static void reply_body(struct reply *reply, struct body *body, const struct get_words *words)
{
	struct span bytes = body_span(body);
	if (words->has_range) {
		int64_t len = (int64_t)bytes.len;
		int64_t first = words->first < 0 ? words->first + len : words->first;
		int64_t last = words->last < 0 ? words->last + len : words->last;
		first = first < 0 ? 0 : first;
		last = last >= len ? len - 1 : last;
		bytes = first > last ? (struct span){bytes.ptr, 0}
		                     : span_slice(bytes, (size_t)first, (size_t)(last - first + 1));
	}
	if (bytes.len <= 4096) {
		reply_bulk(reply, bytes);
		body_unref(body);
	} else {
		reply_bulk_ref(reply, bytes, body_release_ref, body);
	}
}

static bool parse_range(struct call *call, uint32_t *at, struct get_words *words)
{
	if (call->argc - *at < 3 || words->has_range) {
		reply_syntax_error(call);
		return false;
	}
	if (!number_parse_i64(call->argv[*at + 1], &words->first) ||
	    !number_parse_i64(call->argv[*at + 2], &words->last)) {
		reply_not_integer(call);
		return false;
	}
	words->has_range = true;
	*at += 3;
	return true;
}

/* False: an error was replied. */
static bool parse_get(struct call *call, struct get_words *words)
{
	char why[128];
	for (uint32_t at = 2; at < call->argc;) {
		if (is_moment_word(call->argv[at]) && !words->has_moment) {
			words->has_moment = true;
			if (!parse_moment(call, &at, &words->moment))
				return false;
			continue;
		}
		if (span_is(call->argv[at], "RANGE")) {
			if (!parse_range(call, &at, words))
				return false;
			continue;
		}
		if (span_is(call->argv[at], "IFNOTMATCH") && !words->has_etag &&
		    at + 1 < call->argc) {
			/* Text that is no ETag matches nothing: the image is sent. */
			struct span text = call->argv[at + 1];
			if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
				text = span_slice(text, 1, text.len - 2);
			words->has_etag = digest_parse(text, &words->etag);
			at += 2;
			continue;
		}
		enum err err = transform_parse(
		    &words->transform, call->argv, call->argc, &at, why, sizeof(why));
		if (err == OK)
			continue;
		if (err == ERR_NOTFOUND)
			reply_syntax_error(call);
		else
			call_error(call, "ERR %s", why);
		return false;
	}
	return true;
}

static struct get_job *job_new(
    struct call *call, const struct get_words *words, const struct image_ref *ref)
{
	struct span key = call->argv[1];
	struct get_job *job = memory_zalloc(&call->engine->memory.engine, sizeof(*job) + key.len);
	job->engine = call->engine;
	job->words = *words;
	job->db = call->session->db;
	job->body_lsn = ref->body_lsn;
	job->meta_lsn = ref->meta_lsn;
	job->key_len = (uint32_t)key.len;
	if (key.len > 0)
		memcpy(job->key, key.ptr, key.len);
	job->slot = call_defer(call, ref->body.bytes);
	return job;
}

/* Ends the job: with a body, whose reference is taken over, or with an error. */
static void job_end(struct get_job *job, enum err err, struct body *body)
{
	struct slot *slot = job->slot;
	struct span key = span_of(job->key, job->key_len);
	if (err == OK) {
		reply_body(&slot->reply, body, &job->words);
		slot_finish(slot);
	} else {
		slot_fail(slot, err, key);
	}
	memory_free(&job->engine->memory.engine, job, sizeof(*job) + job->key_len);
}

static void job_codec_error(struct get_job *job, const char *why)
{
	char text[160];
	snprintf(text, sizeof(text), "CODEC %s", why);
	engine_error(job->engine, &job->slot->reply, text);
	slot_finish(job->slot);
	memory_free(&job->engine->memory.engine, job, sizeof(*job) + job->key_len);
}

/* Where the image lies now. False: it was deleted or replaced, and no moment was asked for. */
static bool job_ref(struct get_job *job, struct image_ref *ref)
{
	struct directory *directory = &job->engine->directories[job->db];
	struct span key = span_of(job->key, job->key_len);
	struct entry *entry = directory_lookup(directory, key);
	if (entry != NULL && entry->type == ENTRY_IMAGE &&
	    entry_image(entry)->body_lsn == job->body_lsn) {
		image_ref_of(job->engine, entry, ref);
		return true;
	}
	return job->words.has_moment &&
	    image_ref_find(job->engine, job->body_lsn, job->meta_lsn, ref);
}

/* ---- Originals ---- */

static void original_loaded(struct body_load *load, enum err err, struct body *body)
{
	job_end(load->ctx, err, body);
}

static void get_original(
    struct call *call, const struct image_ref *ref, const struct get_words *words)
{
	struct body *body = image_cached(call->engine, ref);
	if (body != NULL) {
		reply_body(call->reply, body, words);
		return;
	}
	struct get_job *job = job_new(call, words, ref);
	job->load.done = original_loaded;
	job->load.ctx = job;
	body_load(call->engine, ref, &job->load);
}

/* ---- What the metadata decides: ETag and derivatives ---- */

static void derived(
    struct derivation *derivation, enum err err, struct body *result, const char *why)
{
	struct get_job *job = derivation->ctx;
	if (err == OK)
		job_end(job, OK, body_ref(result));
	else if (err == ERR_IO || err == ERR_TIMEOUT || err == ERR_INVALID)
		job_codec_error(job, err == ERR_TIMEOUT ? "the worker took too long" : why);
	else
		job_end(job, err, NULL);
}

/* What is to be done once the metadata is known. */
enum step { STEP_REPLIED, STEP_ORIGINAL, STEP_DERIVE };

struct decision {
	struct transform_plan plan;
	struct digest         key;
};

/* Writes the reply if it can be known already; otherwise says what to do. */
static enum step decide(struct engine *engine, struct reply *reply, const struct get_words *words,
    const struct image_meta *meta, struct decision *decision)
{
	char why[128], text[160];
	struct digest etag = meta->etag;
	if (words->transform.any) {
		enum err err = transform_resolve(&words->transform, meta,
		    engine->settings->result_max_side, &decision->plan, why, sizeof(why));
		if (err != OK) {
			snprintf(text, sizeof(text), "%s %s",
			    err == ERR_TOOLARGE ? "TOOLARGE" : "ERR", why);
			engine_error(engine, reply, text);
			return STEP_REPLIED;
		}
		etag = decision->key = transform_key(&decision->plan, &meta->etag);
	}
	if (words->has_etag && digest_equal(&etag, &words->etag)) {
		engine->counters.not_modified++;
		reply_status(reply, "NOTMODIFIED");
		return STEP_REPLIED;
	}
	if (!words->transform.any)
		return STEP_ORIGINAL;
	struct body *body = derivative_cached(engine, &decision->key);
	if (body == NULL)
		return STEP_DERIVE;
	reply_body(reply, body, words);
	return STEP_REPLIED;
}

static void job_derive(
    struct get_job *job, const struct image_ref *ref, const struct decision *decision)
{
	job->derivation.done = derived;
	job->derivation.ctx = job;
	enum err err =
	    derivative_make(job->engine, ref, &decision->plan, &decision->key, &job->derivation);
	if (err == ERR_UNSUPPORTED)
		job_codec_error(job, "no image worker is installed");
	else if (err != OK)
		job_end(job, err, NULL);
}

static void metadata_loaded(struct metadata_load *load, enum err err, struct body *encoded)
{
	struct get_job *job = load->ctx;
	struct image_meta meta;
	struct decision decision;
	struct image_ref ref;
	bool found = job_ref(job, &ref);
	enum step step = STEP_REPLIED;
	if (err == OK)
		err = image_meta_decode(body_span(encoded), &meta);
	body_unref(encoded);
	if (err == OK)
		step = decide(job->engine, &job->slot->reply, &job->words, &meta, &decision);
	if (err == OK && step == STEP_REPLIED) {
		slot_finish(job->slot);
		memory_free(&job->engine->memory.engine, job, sizeof(*job) + job->key_len);
		return;
	}
	if (err == OK && !found) {
		/* Deleted or replaced while its metadata was read. */
		reply_null(&job->slot->reply);
		slot_finish(job->slot);
		memory_free(&job->engine->memory.engine, job, sizeof(*job) + job->key_len);
		return;
	}
	if (err != OK) {
		job_end(job, err, NULL);
	} else if (step == STEP_DERIVE) {
		job_derive(job, &ref, &decision);
	} else {
		job->load.done = original_loaded;
		job->load.ctx = job;
		body_load(job->engine, &ref, &job->load);
	}
}

/* The version asked for. False: a reply was written. */
static bool get_ref(struct call *call, const struct get_words *words, struct image_ref *ref)
{
	struct past_found found;
	if (words->has_moment) {
		if (!call_past(call, call->argv[1], &words->moment, &found))
			return false;
		*ref = found.ref;
		return true;
	}
	struct entry *entry = image_entry(call, call->argv[1], false);
	if (entry == NULL)
		return false;
	image_ref_of(call->engine, entry, ref);
	tiers_accessed(call->engine, call->session->db, entry);
	return true;
}

void cmd_img_get(struct call *call)
{
	struct get_words words = {0};
	struct image_meta meta;
	struct decision decision;
	if (call->argc > 2 && !parse_get(call, &words))
		return;
	struct image_ref ref;
	if (!get_ref(call, &words, &ref))
		return;
	call->engine->counters.images_get++;
	if (!words.transform.any && !words.has_etag) {
		get_original(call, &ref, &words);
		return;
	}
	struct body *encoded = metadata_cached(call->engine, &ref);
	if (encoded == NULL) {
		struct get_job *job = job_new(call, &words, &ref);
		job->meta_load.done = metadata_loaded;
		job->meta_load.ctx = job;
		metadata_load(call->engine, &ref, &job->meta_load);
		return;
	}
	enum err err = image_meta_decode(body_span(encoded), &meta);
	body_unref(encoded);
	if (err != OK) {
		call_fail(call, err, call->argv[1]);
		return;
	}
	switch (decide(call->engine, call->reply, &words, &meta, &decision)) {
	case STEP_REPLIED:
		break;
	case STEP_ORIGINAL:
		get_original(call, &ref, &words);
		break;
	case STEP_DERIVE:
		job_derive(job_new(call, &words, &ref), &ref, &decision);
		break;
	}
}
