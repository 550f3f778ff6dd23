/* commands/image_verify.c: IMG.VERIFY: reads images from the disk and proves them. */
#include "commands/image.h"

#include "engine/replica/repair.h"
#include "engine/verify.h"

enum verdict { VERDICT_OK, VERDICT_CORRUPT, VERDICT_ABSENT, VERDICT_WRONG_TYPE, VERDICT_UNKNOWN };

/* One key after the other; of each the body, then the metadata if it has a record of its own. */
struct verify_job {
	struct engine      *engine;
	struct slot        *slot;
	struct record_check check;
	uint8_t             db;
	bool                meta_next;
	uint32_t            count, at;
	size_t              bytes;
	struct verify_key {
		struct span  key;
		enum verdict verdict;
	} keys[];
};

static void verify_reply(struct verify_job *job)
{
	static const char *const words[] = {"ok", "corrupt"};
	static const char wrong_type[] =
	    "WRONGTYPE Operation against a key holding the wrong kind of value";
	struct reply *reply = &job->slot->reply;
	reply_array(reply, job->count);
	for (uint32_t i = 0; i < job->count; i++) {
		switch (job->keys[i].verdict) {
		case VERDICT_OK:
		case VERDICT_CORRUPT:
			reply_text(reply, words[job->keys[i].verdict]);
			break;
		case VERDICT_ABSENT:
			reply_null(reply);
			break;
		case VERDICT_WRONG_TYPE:
			engine_error(job->engine, reply, wrong_type);
			break;
		case VERDICT_UNKNOWN:
			engine_error(job->engine, reply, "OVERLOADED it could not be read now: try again");
			break;
		}
	}
}

static void verify_checked(struct record_check *check, enum err err);

static void verify_begin(struct verify_job *job, struct place place, uint64_t lsn)
{
	job->check.done = verify_checked;
	job->check.ctx = job;
	record_check_start(job->engine, &job->check, place, lsn);
}

/* True: all keys have a verdict. */
static bool verify_step(struct verify_job *job)
{
	struct engine *engine = job->engine;
	struct directory *directory = &engine->directories[job->db];
	struct image_ref ref;
	for (; job->at < job->count; job->at++, job->meta_next = false) {
		struct verify_key *key = &job->keys[job->at];
		struct entry *entry =
		    directory_lookup(directory, key->key);
		if (key->verdict == VERDICT_CORRUPT || key->verdict == VERDICT_UNKNOWN)
			continue;
		if (entry == NULL || entry->type != ENTRY_IMAGE) {
			key->verdict = entry == NULL ? VERDICT_ABSENT : VERDICT_WRONG_TYPE;
			continue;
		}
		image_ref_of(engine, entry, &ref);
		if (!job->meta_next) {
			job->meta_next = true;
			verify_begin(job, ref.body, ref.body_lsn);
			return false;
		}
		if (ref.meta_lsn != ref.body_lsn && key->verdict != VERDICT_OK) {
			key->verdict = VERDICT_OK;
			verify_begin(job, ref.meta, ref.meta_lsn);
			return false;
		}
		key->verdict = VERDICT_OK;
	}
	return true;
}

static void verify_checked(struct record_check *check, enum err err)
{
	struct verify_job *job = check->ctx;
	struct engine *engine = job->engine;
	struct verify_key *key = &job->keys[job->at];
	if (engine->closing)
		err = ERR_CANCELLED;
	/* It died meanwhile: the next step sees what the key is by now. */
	if (err == ERR_CORRUPT) {
		key->verdict = VERDICT_CORRUPT;
		repair_note_key(engine, job->db, key->key, check->read.place, check->read.lsn);
	} else if (err != OK && err != ERR_NOTFOUND)
		key->verdict = VERDICT_UNKNOWN;
	for (uint32_t i = job->at; err == ERR_CANCELLED && i < job->count; i++)
		job->keys[i].verdict = VERDICT_UNKNOWN;
	if (!verify_step(job))
		return;
	verify_reply(job);
	slot_finish(job->slot);
	memory_free(&engine->memory.engine, job, job->bytes);
}

static struct verify_job *verify_job_new(struct call *call)
{
	struct engine *engine = call->engine;
	uint32_t count = call->argc - 1;
	size_t bytes = sizeof(struct verify_job) + count * sizeof(struct verify_key);
	for (uint32_t i = 1; i < call->argc; i++)
		bytes += call->argv[i].len;
	struct verify_job *job = memory_zalloc(&engine->memory.engine, bytes);
	uint8_t *text = (uint8_t *)&job->keys[count];
	for (uint32_t i = 0; i < count; i++) {
		struct span key = call->argv[i + 1];
		if (key.len > 0)
			memcpy(text, key.ptr, key.len);
		job->keys[i] = (struct verify_key){span_of(text, key.len), VERDICT_ABSENT};
		text += key.len;
		(void)call_lookup_quiet(call, key);       /* one that has expired is gone */
	}
	job->engine = engine;
	job->db = call->session->db;
	job->count = count;
	job->bytes = bytes;
	return job;
}

void cmd_img_verify(struct call *call)
{
	struct engine *engine = call->engine;
	if (call->argc == 1) {
		if (engine->settings->scrub_bytes_per_second == 0)
			call_error(call, "ERR scrubbing is off: set scrub-bytes-per-second");
		else if (scrub_begin(engine))
			reply_status(call->reply, "Background scrub started");
		else
			call_error(call, "ERR a scrub is under way");
		return;
	}
	struct verify_job *job = verify_job_new(call);
	job->slot = call_defer(call, 0);
	if (!verify_step(job))
		return;
	verify_reply(job);
	slot_finish(job->slot);
	memory_free(&engine->memory.engine, job, job->bytes);
}
