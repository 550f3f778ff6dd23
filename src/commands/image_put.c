/* commands/image_put.c: IMG.PUT, IMG.INFO and IMG.EDIT. */
#include "commands/image.h"

#include "image/probe.h"
#include "engine/pubsub.h"

struct put_words {
	bool    nx, xx, keep_ttl, has_expiry, has_tier;
	int64_t expire_ms;
	enum tier tier;
};

/* TIER hot|warm|cold at argv[*at]. */
bool parse_tier(struct call *call, struct span word, enum tier *tier)
{
	if (span_is(word, "hot")) {
		*tier = TIER_HOT;
		return true;
	}
	if (span_is(word, "cold")) {
		call_error(call, "ERR the cold tier is not available in this version");
		return false;
	}
	if (!span_is(word, "warm")) {
		reply_syntax_error(call);
		return false;
	}
	*tier = TIER_WARM;
	if (call->engine->settings->warm_dir[0] == 0) {
		call_error(call, "ERR there is no warm tier: start the server with warm-dir");
		return false;
	}
	return true;
}

/* One word that is not about metadata. False: an error was replied. */
static bool parse_put_word(struct call *call, uint32_t *at, struct put_words *words)
{
	struct span word = call->argv[*at];
	if (span_is(word, "NX") && !words->xx && !words->nx) {
		words->nx = true;
	} else if (span_is(word, "XX") && !words->nx && !words->xx) {
		words->xx = true;
	} else if (span_is(word, "KEEPTTL") && !words->has_expiry && !words->keep_ttl) {
		words->keep_ttl = true;
	} else if (span_is(word, "TIER") && !words->has_tier && *at + 1 < call->argc) {
		words->has_tier = true;
		*at += 2;
		return parse_tier(call, call->argv[*at - 1], &words->tier);
	} else if (is_expiry_word(word) && !words->has_expiry && !words->keep_ttl) {
		words->has_expiry = true;
		return parse_expiry(call, at, &words->expire_ms);
	} else {
		reply_syntax_error(call);
		return false;
	}
	(*at)++;
	return true;
}

static bool parse_put(struct call *call, struct image_meta *meta, struct put_words *words)
{
	unsigned seen = 0;
	for (uint32_t at = 3; at < call->argc;) {
		enum err err = parse_meta_option(call, &at, meta, &seen);
		if (err == ERR_INVALID)
			return false;
		if (err == ERR_NOTFOUND && !parse_put_word(call, &at, words))
			return false;
	}
	return true;
}

/* What the bytes say, unless the client said otherwise. False: an error was replied. */
static bool probe_into(
    struct call *call, struct span data, uint8_t *scratch, struct image_meta *probed)
{
	const struct settings *settings = call->engine->settings;
	char why[PROBE_WHY_BYTES];
	struct probe_limits limits = {
		.bytes_max = settings->image_max_bytes, .pixels_max = settings->image_max_pixels,
		.side_max = settings->image_max_side, .frames_max = settings->image_max_frames,
		.pixels_per_byte_max = settings->image_max_ratio,
	};
	enum err err = image_probe(data, &limits, scratch, probed, why);
	if (err == ERR_TOOLARGE)
		call_error(call, "TOOLARGE %s", why);
	else if (err != OK)
		call_error(call, "BADIMAGE %s", why);
	return err == OK;
}

static void merge_client_words(struct image_meta *meta, const struct image_meta *said)
{
	meta->title = said->title;
	meta->caption = said->caption;
	meta->tag_count = said->tag_count;
	meta->attr_count = said->attr_count;
	memcpy(meta->tags, said->tags, said->tag_count * sizeof(meta->tags[0]));
	memcpy(meta->attrs, said->attrs, said->attr_count * sizeof(meta->attrs[0]));
	if (said->has & IMAGE_HAS_LOCATION) {
		meta->has |= IMAGE_HAS_LOCATION;
		meta->lon = said->lon;
		meta->lat = said->lat;
	}
	if (said->has & IMAGE_HAS_TAKEN) {
		meta->has |= IMAGE_HAS_TAKEN;
		meta->taken_ms = said->taken_ms;
	}
}

/* The data as a body of the pool, with a reference for the caller. */
static enum err put_body(struct call *call, struct body **out)
{
	if (call->bodies != NULL && call->bodies[2] != NULL) {
		*out = body_ref(call->bodies[2]);
		return OK;
	}
	struct span data = call->argv[2];
	enum err err = body_new(call->engine->pool, data.len, out);
	if (err != OK)
		return err;
	memcpy((*out)->ptr, data.ptr, data.len);
	body_advance(*out, data.len);
	return OK;
}

static void put_image(
    struct call *call, struct image_meta *meta, const struct put_words *words, struct entry *old)
{
	struct body *body;
	char hex[DIGEST_HEX];
	enum err err = put_body(call, &body);
	if (err != OK) {
		call_fail(call, err, call->argv[1]);
		return;
	}
	ASSERT(body->has_digest);
	meta->etag = body->digest;
	struct image_put put = {.meta = meta, .body = body, .expire_ms = words->expire_ms};
	if (words->keep_ttl && old != NULL)
		put.expire_ms = (int64_t)entry_expire_ms(old);
	err = call_put_image(call, call->argv[1], &put);
	if (err == ERR_AGAIN && call->parked) {
		body_unref(body);
		return;
	}
	if (err == ERR_TOOLARGE) {
		call_error(call, "TOOLARGE the metadata may have at most %d bytes", META_BYTES_MAX);
	} else if (err != OK) {
		call_fail(call, err, call->argv[1]);
	} else {
		digest_hex(&body->digest, hex);
		reply_bulk(call->reply, span_of(hex, sizeof(hex)));
		call_notify(call, NOTIFY_IMAGE, "img.put", call->argv[1]);
	}
	body_unref(body);
	if (err == OK && words->has_tier && words->tier != TIER_HOT)
		image_wants_tier(call, call->argv[1], words->tier);
}

void cmd_img_put(struct call *call)
{
	uint8_t scratch[PROBE_SCRATCH_BYTES];
	struct image_meta said = {0}, meta = {0};
	struct put_words words = {0};
	if (call->argv[1].len > KEY_BYTES_MAX) {
		call_error(call, "TOOLARGE a key may have at most %d bytes", KEY_BYTES_MAX);
		return;
	}
	if (!parse_put(call, &said, &words))
		return;
	struct entry *old = call_lookup_write(call, call->argv[1]);
	if ((words.nx && old != NULL) || (words.xx && old == NULL)) {
		reply_null(call->reply);
		return;
	}
	if (!probe_into(call, call->argv[2], scratch, &meta))
		return;
	merge_client_words(&meta, &said);
	meta.created_ms = io_wall_ms(call->engine->io);
	put_image(call, &meta, &words, old);
}

/* ---- IMG.INFO ---- */

struct info_job {
	struct metadata_load load;
	struct slot         *slot;
	struct info_source   source;
	struct image_meta    meta;
	struct span          key;
	uint32_t             field_count;
	size_t               bytes;
	struct span          fields[];
};

static void reply_info(struct reply *reply, const struct info_source *source,
    const struct span *fields, uint32_t count)
{
	struct span all[32];
	if (count == 0) {
		ASSERT(info_field_count <= ARRAY_COUNT(all));
		for (size_t i = 0; i < info_field_count; i++)
			all[i] = span_text(info_fields[i]);
		fields = all;
		count = (uint32_t)info_field_count;
	}
	reply_map(reply, count);
	for (uint32_t i = 0; i < count; i++) {
		reply_bulk(reply, fields[i]);
		if (!reply_info_field(reply, fields[i], source))
			reply_null(reply);
	}
}

static void info_loaded(struct metadata_load *load, enum err err, struct body *body)
{
	struct info_job *job = load->ctx;
	struct engine *engine = job->source.engine;
	struct slot *slot = job->slot;
	if (err == OK)
		err = image_meta_decode(body_span(body), &job->meta);
	if (err == OK)
		reply_info(&slot->reply, &job->source, job->fields, job->field_count);
	body_unref(body);
	struct span key = job->key;
	if (err == OK)
		slot_finish(slot);
	else
		slot_fail(slot, err, key);
	memory_free(&engine->memory.engine, job, job->bytes);
}

static struct info_job *info_job_new(struct call *call)
{
	size_t bytes = sizeof(struct info_job) + call->argc * sizeof(struct span);
	for (uint32_t i = 1; i < call->argc; i++)
		bytes += call->argv[i].len;
	struct info_job *job = memory_zalloc(&call->engine->memory.engine, bytes);
	uint8_t *text = (uint8_t *)&job->fields[call->argc];
	job->bytes = bytes;
	job->field_count = call->argc - 2;
	for (uint32_t i = 1; i < call->argc; i++) {
		struct span copy = span_of(text, call->argv[i].len);
		if (copy.len > 0)
			memcpy(text, call->argv[i].ptr, copy.len);
		text += copy.len;
		if (i == 1)
			job->key = copy;
		else
			job->fields[i - 2] = copy;
	}
	return job;
}

void info_source_of_entry(struct engine *engine, struct entry *entry, struct info_source *source)
{
	const struct place body = past_body(engine, entry);
	*source = (struct info_source){
		.engine = engine, .tier = store_tier(engine->store, body),
		.stored_bytes = body.bytes, .accessed_s = entry->access_s, .versions = 1,
	};
}

static bool info_fields_are_known(struct call *call)
{
	for (uint32_t i = 2; i < call->argc; i++) {
		size_t k = 0;
		while (k < info_field_count && !span_is(call->argv[i], info_fields[k]))
			k++;
		if (k < info_field_count)
			continue;
		call_error(call, "ERR unknown field '%.*s'",
		    (int)(call->argv[i].len < 64 ? call->argv[i].len : 64),
		    (const char *)call->argv[i].ptr);
		return false;
	}
	return true;
}

void cmd_img_info(struct call *call)
{
	struct info_source source;
	struct image_meta meta;
	if (!info_fields_are_known(call))
		return;
	struct entry *entry = image_entry(call, call->argv[1], false);
	if (entry == NULL)
		return;
	struct image_ref ref;
	info_source_of_entry(call->engine, entry, &source);
	source.versions =
	    past_versions(call->engine, call->session->db, call->argv[1], NULL, 0);
	image_ref_of(call->engine, entry, &ref);
	struct body *body = metadata_cached(call->engine, &ref);
	if (body == NULL) {
		struct info_job *job = info_job_new(call);
		job->source = source;
		job->source.meta = &job->meta;
		job->load.done = info_loaded;
		job->load.ctx = job;
		job->slot = call_defer(call, 0);
		metadata_load(call->engine, &ref, &job->load);
		return;
	}
	enum err err = image_meta_decode(body_span(body), &meta);
	source.meta = &meta;
	if (err != OK)
		call_fail(call, err, call->argv[1]);
	else
		reply_info(call->reply, &source, call->argv + 2, call->argc - 2);
	body_unref(body);
}

/* ---- IMG.EDIT ---- */

static void remove_tags(struct image_meta *meta, const struct span *tags, uint32_t count)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < meta->tag_count; i++) {
		bool drop = false;
		for (uint32_t k = 0; k < count; k++)
			drop |= span_equal(meta->tags[i], tags[k]);
		if (!drop)
			meta->tags[kept++] = meta->tags[i];
	}
	meta->tag_count = kept;
}

static bool add_tags(
    struct call *call, struct image_meta *meta, const struct span *tags, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t k = 0;
		while (k < meta->tag_count && !span_equal(meta->tags[k], tags[i]))
			k++;
		if (k < meta->tag_count)
			continue;
		if (meta->tag_count == TAGS_MAX) {
			call_error(
			    call, "TOOLARGE at most %d tags of %d bytes", TAGS_MAX, TAG_BYTES_MAX);
			return false;
		}
		meta->tags[meta->tag_count++] = tags[i];
	}
	return true;
}

static void delete_attr(struct image_meta *meta, struct span name)
{
	for (uint32_t i = 0; i < meta->attr_count; i++) {
		if (span_equal(meta->attrs[i].name, name)) {
			meta->attrs[i] = meta->attrs[--meta->attr_count];
			return;
		}
	}
}

/* ADDTAGS, REMTAGS and DELATTR at argv[*at]. False: an error was replied. */
static bool parse_edit_word(struct call *call, uint32_t *at, struct image_meta *meta)
{
	struct span tags[TAGS_MAX];
	uint32_t count;
	struct span word = call->argv[*at];
	bool add = span_is(word, "ADDTAGS"), drop = span_is(word, "REMTAGS");
	if ((!add && !drop && !span_is(word, "DELATTR")) || *at + 1 >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	struct span value = call->argv[*at + 1];
	*at += 2;
	if (!add && !drop) {
		delete_attr(meta, value);
		return true;
	}
	if (!split_tags(call, value, tags, &count))
		return false;
	if (add)
		return add_tags(call, meta, tags, count);
	remove_tags(meta, tags, count);
	return true;
}

/* All words from argv[2] on, into `meta`. False: an error was replied. */
static bool parse_edit(struct call *call, struct image_meta *meta)
{
	unsigned seen = 0;
	enum err err = OK;
	for (uint32_t at = 2; at < call->argc && err == OK;) {
		err = parse_meta_option(call, &at, meta, &seen);
		if (err == ERR_NOTFOUND)
			err = parse_edit_word(call, &at, meta) ? OK : ERR_INVALID;
	}
	return err == OK;
}

void cmd_img_edit(struct call *call)
{
	struct image_meta meta = {0};
	struct body *body;
	struct entry *entry = call_lookup_write(call, call->argv[1]);
	if (entry == NULL) {
		if (parse_edit(call, &meta))      /* wrong words are wrong whatever is there */
			reply_int(call->reply, 0);
		return;
	}
	if (entry->type != ENTRY_IMAGE) {
		reply_wrong_type(call);
		return;
	}
	struct image_ref ref;
	image_ref_of(call->engine, entry, &ref);
	enum err err = call_metadata(call, &ref, &body);
	if (err == ERR_AGAIN && call->parked)
		return;
	if (err == OK)
		err = image_meta_decode(body_span(body), &meta);
	if (err != OK) {
		call_fail(call, err, call->argv[1]);
		return;
	}
	if (parse_edit(call, &meta)) {
		err = call_edit_image(call, entry, &meta);
		if (err != OK) {
			call_fail(call, err, call->argv[1]);
		} else {
			call_notify(call, NOTIFY_IMAGE, "img.edit", call->argv[1]);
			reply_int(call->reply, 1);
		}
	}
	body_unref(body);
}
