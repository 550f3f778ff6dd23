/* commands/image_digest.c: IMG.DIGEST: what the database holds, as digests (engine/replica/proof.h).
 *
 *   IMG.DIGEST [BUCKETS n]                    -> [keys, digest, keys, digest, ...] of n buckets
 *   IMG.DIGEST [BUCKETS n] [LIMIT n] KEYS b...  -> [key, digest, ...] of the keys in these buckets
 */
#include "commands/collection.h"
#include "commands/image.h"

#include "engine/replica/proof.h"

enum { BUCKETS_DEFAULT = 256, LIMIT_DEFAULT = 100000 };

struct digest_job {
	struct proof      proof;
	struct slot      *slot;
	struct proof_sum *sums;           /* by bucket; NULL: keys are listed */
	uint8_t          *wanted;         /* a bit for each bucket */
	int64_t           limit;
	uint64_t          listed;
	struct reply      list;
};

static void job_free(struct digest_job *job)
{
	struct memory *memory = &job->proof.engine->memory.engine;
	size_t buckets = (size_t)1 << job->proof.bits;
	if (job->sums != NULL)
		memory_free(memory, job->sums, buckets * sizeof(*job->sums));
	if (job->wanted != NULL)
		memory_free(memory, job->wanted, (buckets + 7) / 8);
	reply_fini(&job->list);
	memory_free(memory, job, sizeof(*job));
}

static void on_sum(
    struct proof *proof, uint32_t bucket, struct span key, const struct digest *digest)
{
	struct digest_job *job = proof->ctx;
	UNUSED(key);
	proof_add(&job->sums[bucket], digest);
}

static bool on_wanted(struct proof *proof, uint32_t bucket)
{
	const struct digest_job *job = proof->ctx;
	return (job->wanted[bucket / 8] >> bucket % 8 & 1) != 0;
}

static void on_key(
    struct proof *proof, uint32_t bucket, struct span key, const struct digest *digest)
{
	char hex[DIGEST_HEX];
	struct digest_job *job = proof->ctx;
	UNUSED(bucket);
	if (job->listed++ >= (uint64_t)job->limit)
		return;
	digest_hex(digest, hex);
	reply_bulk(&job->list, key);
	reply_bulk(&job->list, span_of(hex, sizeof(hex)));
}

static void reply_sums(const struct digest_job *job, struct reply *reply)
{
	size_t buckets = (size_t)1 << job->proof.bits;
	reply_array(reply, buckets * 2);
	for (size_t i = 0; i < buckets; i++) {
		char hex[DIGEST_HEX + 1];
		const struct proof_sum *sum = &job->sums[i];
		snprintf(hex, sizeof(hex), "%016llx%016llx", (unsigned long long)sum->high,
		    (unsigned long long)sum->low);
		reply_int(reply, (int64_t)sum->keys);
		reply_bulk(reply, span_of(hex, DIGEST_HEX));
	}
}

static void on_done(struct proof *proof, enum err err)
{
	struct digest_job *job = proof->ctx;
	struct reply *reply = &job->slot->reply;
	if (err != OK) {
		slot_fail(job->slot, err, (struct span){0});
		job_free(job);
		return;
	}
	if (job->sums != NULL) {
		reply_sums(job, reply);
	} else {
		uint64_t told = job->listed < (uint64_t)job->limit ? job->listed : (uint64_t)job->limit;
		reply_array(reply, told * 2);
		buf_append(&reply->bytes, buf_span(&job->list.bytes));
	}
	slot_finish(job->slot);
	job_free(job);
}

/* False: an error was replied. */
static bool parse_words(struct call *call, struct digest_job *job, uint32_t *keys_at)
{
	int64_t buckets = BUCKETS_DEFAULT;
	job->limit = LIMIT_DEFAULT;
	*keys_at = 0;
	for (uint32_t i = 1; i < call->argc && *keys_at == 0; i++) {
		bool more = i + 1 < call->argc;
		if (span_is(call->argv[i], "BUCKETS") && more) {
			if (!parse_at_least(call, call->argv[++i], 1, &buckets, NULL))
				return false;
		} else if (span_is(call->argv[i], "LIMIT") && more) {
			if (!parse_at_least(call, call->argv[++i], 1, &job->limit, NULL))
				return false;
		} else if (span_is(call->argv[i], "KEYS") && more) {
			*keys_at = i + 1;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	if (buckets > 1 << PROOF_BITS_MAX || (buckets & (buckets - 1)) != 0) {
		call_error(call, "ERR BUCKETS is a power of two, at most %d", 1 << PROOF_BITS_MAX);
		return false;
	}
	job->proof.bits = (unsigned)__builtin_ctzll((unsigned long long)buckets);
	return true;
}

static bool parse_buckets(struct call *call, struct digest_job *job, uint32_t at)
{
	int64_t bucket;
	for (; at < call->argc; at++) {
		if (!parse_at_least(call, call->argv[at], 0, &bucket, NULL))
			return false;
		if (bucket >> job->proof.bits != 0) {
			call_error(call, "ERR no such bucket");
			return false;
		}
		job->wanted[bucket / 8] |= (uint8_t)(1u << bucket % 8);
	}
	return true;
}

void cmd_img_digest(struct call *call)
{
	struct engine *engine = call->engine;
	struct memory *memory = &engine->memory.engine;
	uint32_t keys_at;
	if (engine->partly) {
		call_error(call, "LOADING Tintype is loading the dataset in memory");
		return;
	}
	struct digest_job *job = memory_zalloc(memory, sizeof(*job));
	job->proof = (struct proof){.engine = engine, .db = call->session->db, .done = on_done, .ctx = job};
	reply_init(&job->list, &engine->memory.replies, 2);
	bool ok = parse_words(call, job, &keys_at);
	size_t buckets = (size_t)1 << job->proof.bits;
	if (ok && keys_at != 0) {
		job->wanted = memory_zalloc(memory, (buckets + 7) / 8);
		job->proof.wanted = on_wanted;
		job->proof.each = on_key;
		ok = parse_buckets(call, job, keys_at);
	} else if (ok) {
		job->sums = memory_zalloc(memory, buckets * sizeof(*job->sums));
		job->proof.each = on_sum;
	}
	if (ok && proof_start(&job->proof) != OK) {
		call_error(call, "OVERLOADED other digests are being made: try again");
		ok = false;
	}
	if (ok)
		job->slot = call_defer(call, 0);
	else
		job_free(job);
}
