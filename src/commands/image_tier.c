/* commands/image_tier.c: the IMG.TIER family, and IMG.STATS. */
#include "commands/image.h"

#include "engine/tier.h"

static const char *const tier_names[TIER_COUNT] = {"hot", "warm"};

void cmd_tier_get(struct call *call)
{
	struct entry *entry = image_entry(call, call->argv[2], false);
	if (entry != NULL)
		reply_text(call->reply,
		    tier_names[store_tier(call->engine->store, past_body(call->engine, entry))]);
}

/* ---- SET ---- */

/* One IMG.TIER SET: replies when the last of its moves has ended. */
struct tier_job {
	struct engine      *engine;
	struct slot        *slot;
	int64_t             there;
	uint32_t            waiting, count;
	enum err            err;
	struct tier_request requests[];
};

static void tier_job_step(struct tier_job *job)
{
	if (--job->waiting > 0)
		return;
	if (job->err != OK && job->there == 0) {
		slot_fail(job->slot, job->err, (struct span){0});
	} else {
		reply_int(&job->slot->reply, job->there);
		slot_finish(job->slot);
	}
	memory_free(
	    &job->engine->memory.engine, job, sizeof(*job) + job->count * sizeof(job->requests[0]));
}

static void tier_moved(struct tier_request *request, enum err err)
{
	struct tier_job *job = request->ctx;
	if (err == OK)
		job->there++;
	else if (err != ERR_NOTFOUND)
		job->err = err;
	tier_job_step(job);
}

static void tier_set_one(struct call *call, struct tier_job *job, uint32_t at, enum tier tier)
{
	struct entry *entry = call_lookup_write(call, call->argv[at]);
	struct tier_request *request = &job->requests[at - 3];
	if (entry == NULL || entry->type != ENTRY_IMAGE)
		return;
	*request = (struct tier_request){.done = tier_moved, .ctx = job};
	enum err err = tiers_move(call->engine, call->session->db, entry, tier, request);
	if (err == OK)
		job->waiting++;
	else
		job->err = err;
}

void cmd_tier_set(struct call *call)
{
	enum tier tier;
	uint32_t count = call->argc - 3;
	if (!parse_tier(call, call->argv[2], &tier))
		return;
	struct tier_job *job = memory_zalloc(
	    &call->engine->memory.engine, sizeof(*job) + count * sizeof(job->requests[0]));
	job->engine = call->engine;
	job->count = count;
	job->waiting = 1;
	job->slot = call_defer(call, 0);
	for (uint32_t i = 3; i < call->argc; i++)
		tier_set_one(call, job, i, tier);
	tier_job_step(job);
}

void image_wants_tier(struct call *call, struct span key, enum tier tier)
{
	struct directory *directory = call_directory(call);
	struct entry *entry = directory_find(directory, key, call_hash(call, key));
	ASSERT(entry != NULL);
	if (tiers_move(call->engine, call->session->db, entry, tier, NULL) != OK)
		log_verbose(call->engine->log, "an image stays hot: too many moves wait");
}

/* ---- POLICY ---- */

static void policy_set(struct call *call)
{
	struct policy policy = {0};
	const char *why;
	uint64_t lsn;
	struct span name = call->argc > 3 ? call->argv[3] : (struct span){0};
	if (call->argc < 5) {
		reply_syntax_error(call);
		return;
	}
	if (name.len == 0 || name.len >= POLICY_NAME_MAX || memchr(name.ptr, 0, name.len) != NULL) {
		call_error(call, "ERR a policy's name has 1 to %d bytes", POLICY_NAME_MAX - 1);
		return;
	}
	memcpy(policy.name, name.ptr, name.len);
	if (policy_parse(&policy, call->argv + 4, call->argc - 4, &why) != OK) {
		call_error(call, "ERR %s", why);
		return;
	}
	enum err err = tiers_set_policy(call->engine, &policy, &lsn);
	if (err == ERR_TOOLARGE) {
		call_error(call, "TOOLARGE at most %d policies", POLICIES_MAX);
	} else if (err != OK) {
		call_fail(call, err, name);
	} else {
		call->gate = lsn;
		reply_ok(call->reply);
	}
}

static void policy_list(struct call *call)
{
	const struct list *policies = tiers_policies(call->engine);
	struct buf text;
	size_t count = 0;
	for (struct list *at = policies->next; at != policies; at = at->next)
		count++;
	buf_init(&text, &call->engine->memory.replies);
	reply_map(call->reply, count);
	for (struct list *at = policies->next; at != policies; at = at->next) {
		const struct policy *policy = LIST_OF(at, struct policy, link);
		buf_clear(&text);
		policy_format(policy, &text);
		reply_text(call->reply, policy->name);
		reply_bulk(call->reply, buf_span(&text));
	}
	buf_fini(&text);
}

static void policy_delete(struct call *call)
{
	uint64_t lsn;
	enum err err = tiers_delete_policy(call->engine, call->argv[3], &lsn);
	if (err == OK) {
		call->gate = lsn;
		reply_int(call->reply, 1);
	} else if (err == ERR_NOTFOUND) {
		reply_int(call->reply, 0);
	} else {
		call_fail(call, err, call->argv[3]);
	}
}

void cmd_tier_policy(struct call *call)
{
	if (span_is(call->argv[2], "SET"))
		policy_set(call);
	else if (span_is(call->argv[2], "LIST") && call->argc == 3)
		policy_list(call);
	else if (span_is(call->argv[2], "DEL") && call->argc == 4)
		policy_delete(call);
	else
		reply_syntax_error(call);
}

/* ---- RUN ---- */

struct run_job {
	struct tier_run run;
	struct engine  *engine;
	struct slot    *slot;
};

static void run_ended(struct tier_run *run)
{
	struct run_job *job = run->ctx;
	struct reply *reply = &job->slot->reply;
	reply_map(reply, 6);
	reply_text(reply, "dryrun");
	reply_int(reply, run->dry);
	reply_text(reply, "scanned");
	reply_int(reply, (int64_t)run->plan.scanned);
	reply_text(reply, "to-warm");
	reply_int(reply, (int64_t)run->plan.to_warm);
	reply_text(reply, "to-delete");
	reply_int(reply, (int64_t)run->plan.to_delete);
	reply_text(reply, "wants-cold");
	reply_int(reply, (int64_t)run->plan.wants_cold);
	reply_text(reply, "bytes");
	reply_int(reply, (int64_t)run->plan.bytes);
	slot_finish(job->slot);
	memory_free(&job->engine->memory.engine, job, sizeof(*job));
}

void cmd_tier_run(struct call *call)
{
	bool dry = call->argc == 3 && span_is(call->argv[2], "DRYRUN");
	if (call->argc > 3 || (call->argc == 3 && !dry)) {
		reply_syntax_error(call);
		return;
	}
	struct run_job *job = memory_zalloc(&call->engine->memory.engine, sizeof(*job));
	job->engine = call->engine;
	job->slot = call_defer(call, 0);
	job->run.dry = dry;
	job->run.done = run_ended;
	job->run.ctx = job;
	tiers_run(call->engine, &job->run);
}

/* ---- STATS ---- */

void cmd_tier_stats(struct call *call)
{
	struct store_stats stats;
	store_get_stats(call->engine->store, &stats);
	reply_map(call->reply, TIER_COUNT);
	for (unsigned i = 0; i < TIER_COUNT; i++) {
		reply_text(call->reply, tier_names[i]);
		reply_map(call->reply, 5);
		reply_text(call->reply, "segments");
		reply_int(call->reply, (int64_t)stats.tier[i].segments);
		reply_text(call->reply, "bytes");
		reply_int(call->reply, (int64_t)stats.tier[i].bytes);
		reply_text(call->reply, "live-bytes");
		reply_int(call->reply, (int64_t)stats.tier[i].live_bytes);
		reply_text(call->reply, "dead-bytes");
		reply_int(call->reply, (int64_t)stats.tier[i].dead_bytes);
		reply_text(call->reply, "records");
		reply_int(call->reply, (int64_t)stats.tier[i].live_records);
	}
}

void cmd_img_stats(struct call *call)
{
	static const char *const names[] = {"images", "search", "store", "tiers"};
	struct span sections[ARRAY_COUNT(names)];
	struct buf text;
	size_t lines = 0;
	for (size_t i = 0; i < ARRAY_COUNT(names); i++)
		sections[i] = span_text(names[i]);
	buf_init(&text, &call->engine->memory.replies);
	info_write(call->engine, sections, ARRAY_COUNT(names), &text);
	for (size_t i = 0; i < text.len; i++)
		lines += text.ptr[i] == ':';
	reply_map(call->reply, lines);
	for (struct span rest = buf_span(&text); rest.len > 0;) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr) + 1;
		struct span line = span_slice(rest, 0, len);
		const uint8_t *colon = memchr(line.ptr, ':', line.len);
		rest = span_slice(rest, len, rest.len);
		if (colon == NULL)
			continue;
		while (line.len > 0 &&
		    (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
			line.len--;
		size_t name = (size_t)(colon - line.ptr);
		reply_bulk(call->reply, span_slice(line, 0, name));
		reply_bulk(call->reply, span_slice(line, name + 1, line.len));
	}
	buf_fini(&text);
}
