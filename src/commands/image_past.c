/* commands/image_past.c: images as they were: moments, IMG.VERSIONS and IMG.RESTORE.
 *
 * Within history-window a moment has an exact answer. Before it there is one only where
 * nothing has changed since: otherwise -NOHISTORY, never a guess.
 */
#include "commands/image.h"

#include "base/date.h"
#include "base/number.h"
#include "engine/pubsub.h"

enum { VERSIONS_DEFAULT = 100, VERSIONS_MAX = 10000 };

bool is_moment_word(struct span word)
{
	return span_is(word, "AT") || span_is(word, "LSN");
}

static bool parse_lsn(struct call *call, struct span text, struct moment *moment)
{
	int64_t lsn;
	if (!number_parse_i64(text, &lsn) || lsn < 0) {
		call_error(call, "ERR invalid LSN");
		return false;
	}
	*moment = (struct moment){.by_lsn = true, .lsn = (uint64_t)lsn};
	return true;
}

bool parse_moment(struct call *call, uint32_t *at, struct moment *moment)
{
	int64_t last_ms;
	uint32_t i = *at;
	ASSERT(is_moment_word(call->argv[i]));
	if (span_is(call->argv[i], "AT") && i + 1 < call->argc &&
	    span_is(call->argv[i + 1], "LSN"))
		i++;
	if (i + 1 >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	*at = i + 2;
	if (span_is(call->argv[i], "LSN"))
		return parse_lsn(call, call->argv[i + 1], moment);
	*moment = (struct moment){0};
	if (date_parse(call->argv[i + 1], &moment->ms, &last_ms))
		return true;
	call_error(call, "ERR invalid time: Unix milliseconds or ISO 8601");
	return false;
}

static enum past_answer ask_past(
    struct call *call, struct span key, const struct moment *moment, struct past_found *found)
{
	/* One that has expired ends now, if it has not ended yet. */
	(void)call_lookup_quiet(call, key);
	enum past_answer answer = past_at(call->engine, call->session->db, key, moment, found);
	if (answer != PAST_FOUND)
		return answer;
	uint64_t lsn = found->end_lsn > found->lsn ? found->end_lsn : found->lsn;
	uint64_t gate = past_gate(call->engine, lsn);
	if (gate > call->gate)
		call->gate = gate;
	return answer;
}

static void reply_forgotten(struct call *call)
{
	call_error(call, "NOHISTORY that moment lies before what history-window keeps");
}

bool call_past(
    struct call *call, struct span key, const struct moment *moment, struct past_found *found)
{
	switch (ask_past(call, key, moment, found)) {
	case PAST_FOUND:
		return true;
	case PAST_ABSENT:
		reply_null(call->reply);
		return false;
	case PAST_FORGOTTEN:
		break;
	}
	reply_forgotten(call);
	return false;
}

/* ---- IMG.VERSIONS ---- */

/* Metadata is read one version after the other: what they say of themselves is on disk. */
struct versions_job {
	struct engine       *engine;
	struct slot         *slot;
	struct metadata_load load;
	uint32_t             count, at;
	size_t               bytes;
	struct version_line {
		struct past_found found;
		struct digest     etag;
		uint64_t          image_bytes;
		bool              has_meta;
	} lines[];
};

static void reply_version(struct reply *reply, const struct version_line *line)
{
	static const char *const states[] = {"current", "superseded", "deleted"};
	const struct past_found *found = &line->found;
	char hex[DIGEST_HEX];
	reply_map(reply, 6);
	reply_text(reply, "lsn");
	reply_int(reply, (int64_t)found->lsn);
	reply_text(reply, "time");
	reply_int(reply, found->since_ms);
	reply_text(reply, "size");
	if (line->has_meta)
		reply_int(reply, (int64_t)line->image_bytes);
	else
		reply_null(reply);
	reply_text(reply, "etag");
	digest_hex(&line->etag, hex);
	if (line->has_meta)
		reply_bulk(reply, span_of(hex, sizeof(hex)));
	else
		reply_null(reply);
	reply_text(reply, "state");
	reply_text(reply, states[found->state]);
	reply_text(reply, "until");
	if (found->state == VERSION_CURRENT)
		reply_null(reply);
	else
		reply_int(reply, found->until_ms);
}

static void line_learn(struct version_line *line, struct body *encoded)
{
	struct image_meta meta;
	if (image_meta_decode(body_span(encoded), &meta) != OK)
		return;                       /* shown without what cannot be read */
	line->has_meta = true;
	line->etag = meta.etag;
	line->image_bytes = meta.bytes;
}

static void versions_loaded(struct metadata_load *load, enum err err, struct body *encoded);

/* Goes on until something must be read. True: all are known. */
static bool versions_step(struct versions_job *job)
{
	struct engine *engine = job->engine;
	for (; job->at < job->count; job->at++) {
		struct version_line *line = &job->lines[job->at];
		struct image_ref *ref = &line->found.ref;
		struct body *encoded = metadata_cached(engine, ref);
		if (encoded != NULL) {
			line_learn(line, encoded);
			body_unref(encoded);
			continue;
		}
		/* It may have moved, or been forgotten, while others were read. */
		if (job->at > 0 && line->found.state != VERSION_CURRENT &&
		    !image_ref_find(engine, ref->body_lsn, ref->meta_lsn, ref))
			continue;
		job->load.done = versions_loaded;
		job->load.ctx = job;
		metadata_load(engine, ref, &job->load);
		return false;
	}
	return true;
}

static void versions_reply(struct versions_job *job, struct reply *reply)
{
	reply_array(reply, job->count);
	for (uint32_t i = 0; i < job->count; i++)
		reply_version(reply, &job->lines[i]);
}

static void versions_loaded(struct metadata_load *load, enum err err, struct body *encoded)
{
	struct versions_job *job = load->ctx;
	if (err == OK)
		line_learn(&job->lines[job->at], encoded);
	body_unref(encoded);
	job->at++;
	if (!versions_step(job))
		return;
	versions_reply(job, &job->slot->reply);
	slot_finish(job->slot);
	memory_free(&job->engine->memory.engine, job, job->bytes);
}

static bool parse_limit(struct call *call, int64_t *limit)
{
	*limit = VERSIONS_DEFAULT;
	if (call->argc == 2)
		return true;
	if (call->argc != 4 || !span_is(call->argv[2], "LIMIT")) {
		reply_syntax_error(call);
		return false;
	}
	if (number_parse_range(call->argv[3], 1, VERSIONS_MAX, limit))
		return true;
	call_error(call, "ERR LIMIT is an integer from 1 to %d", VERSIONS_MAX);
	return false;
}

void cmd_img_versions(struct call *call)
{
	struct engine *engine = call->engine;
	struct past_found *found;
	uint8_t db = call->session->db;
	int64_t limit;
	if (!parse_limit(call, &limit))
		return;
	(void)call_lookup_quiet(call, call->argv[1]);
	uint32_t count = past_versions(engine, db, call->argv[1], NULL, 0);
	if (count > limit)
		count = (uint32_t)limit;
	if (count == 0) {
		reply_array(call->reply, 0);
		return;
	}
	size_t found_bytes = count * sizeof(*found);
	size_t bytes = sizeof(struct versions_job) + count * sizeof(struct version_line);
	struct versions_job *job = memory_zalloc(&engine->memory.engine, bytes);
	found = memory_alloc(&engine->memory.engine, found_bytes);
	(void)past_versions(engine, db, call->argv[1], found, count);
	job->engine = engine;
	job->bytes = bytes;
	job->count = count;
	for (uint32_t i = 0; i < count; i++)
		job->lines[i].found = found[i];
	memory_free(&engine->memory.engine, found, found_bytes);
	uint64_t gate = past_gate(engine, job->lines[0].found.lsn);
	if (gate > call->gate)
		call->gate = gate;
	if (versions_step(job)) {
		versions_reply(job, call->reply);
		memory_free(&engine->memory.engine, job, bytes);
		return;
	}
	job->slot = call_defer(call, 0);
}

/* ---- IMG.RESTORE ---- */

static void restore_found(struct call *call, const struct past_found *found)
{
	struct image_meta meta;
	struct body *encoded;
	char hex[DIGEST_HEX];
	struct span key = call->argv[1];
	enum err err = call_metadata(call, &found->ref, &encoded);
	if (err == ERR_AGAIN && call->parked)
		return;
	if (err == OK)
		err = image_meta_decode(body_span(encoded), &meta);
	if (err != OK) {
		call_fail(call, err, key);
		return;
	}
	if (found->state != VERSION_CURRENT)
		err = call_restore_image(call, key, &found->ref, body_span(encoded));
	digest_hex(&meta.etag, hex);
	if (err != OK) {
		call_fail(call, err, key);
	} else {
		call_notify(call, NOTIFY_IMAGE, "img.restore", key);
		reply_bulk(call->reply, span_of(hex, sizeof(hex)));
	}
	body_unref(encoded);
}

void cmd_img_restore(struct call *call)
{
	struct moment moment;
	struct past_found found;
	uint32_t at = 2;
	if (!is_moment_word(call->argv[at])) {
		reply_syntax_error(call);
		return;
	}
	if (!parse_moment(call, &at, &moment))
		return;
	if (at != call->argc) {
		reply_syntax_error(call);
		return;
	}
	switch (ask_past(call, call->argv[1], &moment, &found)) {
	case PAST_FOUND:
		restore_found(call, &found);
		break;
	case PAST_ABSENT:
		call_error(call, "NOVERSION the image did not exist at that moment");
		break;
	case PAST_FORGOTTEN:
		reply_forgotten(call);
		break;
	}
}
