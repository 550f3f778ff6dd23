/* commands/image_similar.c: IMG.SIMILAR: images that look like one.
 *
 * A query for near hashes, of which the nearest are kept; with DIHEDRAL one for each of the
 * eight ways in which a picture can be turned and mirrored. Equally near: newest first. */
#include "commands/image.h"

#include "base/number.h"

enum { DISTANCE_DEFAULT = 31, LIMIT_DEFAULT = 10 };

bool image_phash(struct call *call, struct span key, uint8_t hash[PHASH_BYTES])
{
	struct entry *entry = image_entry(call, key, false);
	if (entry == NULL)
		return false;
	const uint8_t *found = similar_hash(
	    call->engine->similars[call->session->db], entry_image(entry)->docid);
	if (found != NULL) {
		memcpy(hash, found, PHASH_BYTES);
		return true;
	}
	if (entry->flags & ENTRY_UNSEEN)
		call_error(call, "NOHASH the image has not been analysed yet");
	else
		call_error(call, "NOHASH the image has no perceptual hash");
	return false;
}

struct similar_hit {
	uint32_t distance, docid;
};

struct similar_job {
	struct image_scan scan;
	struct memory    *memory;
	uint32_t          self;           /* not shown */
	uint8_t           hashes[PHASH_TURNS][PHASH_BYTES];
	uint32_t          hash_count;
	uint64_t          offset, limit, total;
	struct similar_hit *hits;         /* the best, worst first: a heap */
	size_t            count, cap;
};

static bool is_better(const struct similar_hit *a, const struct similar_hit *b)
{
	return a->distance != b->distance ? a->distance < b->distance : a->docid > b->docid;
}

static void sift(struct similar_hit *hits, size_t count, size_t at)
{
	for (;;) {
		size_t worst = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
			if (is_better(&hits[worst], &hits[child]))
				worst = child;
		if (worst == at)
			return;
		struct similar_hit kept = hits[at];
		hits[at] = hits[worst];
		hits[worst] = kept;
		at = worst;
	}
}

static void job_offer(struct similar_job *job, const struct similar_hit *hit)
{
	if (job->cap == 0)
		return;
	if (job->count < job->cap) {
		job->hits[job->count++] = *hit;
		if (job->count == job->cap)
			for (size_t i = job->count / 2; i-- > 0;)
				sift(job->hits, job->count, i);
	} else if (is_better(hit, &job->hits[0])) {
		job->hits[0] = *hit;
		sift(job->hits, job->count, 0);
	}
}

static void job_visit(void *ctx, const uint32_t *docids, const float *scores, size_t count)
{
	struct similar_job *job = ctx;
	const struct similar *similar = job->scan.engine->similars[job->scan.db];
	UNUSED(scores);
	for (size_t i = 0; i < count; i++) {
		const uint8_t *hash = similar_hash(similar, docids[i]);
		struct similar_hit hit = {.distance = PHASH_BITS, .docid = docids[i]};
		if (hash == NULL || docids[i] == job->self)
			continue;
		for (uint32_t k = 0; k < job->hash_count; k++) {
			unsigned distance = phash_distance(hash, job->hashes[k]);
			hit.distance = distance < hit.distance ? distance : hit.distance;
		}
		job->total++;
		job_offer(job, &hit);
	}
}

/* Best first: at most SEARCH_LIMIT_MAX of them. */
static void job_sort(struct similar_job *job)
{
	if (job->count < job->cap)
		for (size_t i = job->count / 2; i-- > 0;)
			sift(job->hits, job->count, i);
	for (size_t left = job->count; left > 1; left--) {
		struct similar_hit worst = job->hits[0];
		job->hits[0] = job->hits[left - 1];
		job->hits[left - 1] = worst;
		sift(job->hits, left - 1, 0);
	}
}

static size_t job_shown(const struct similar_job *job, const struct index *index)
{
	size_t shown = 0;
	for (size_t i = job->offset; i < job->count; i++)
		shown += index_owner(index, job->hits[i].docid) != NULL;
	return shown;
}

static void job_reply(struct image_scan *scan, struct reply *reply)
{
	struct similar_job *job = (struct similar_job *)scan;
	const struct index *index = scan->engine->indexes[scan->db];
	bool map = reply->resp == 3;
	job_sort(job);
	size_t shown = job_shown(job, index);
	if (map) {
		reply_map(reply, 2);
		reply_text(reply, "total_results");
		reply_int(reply, (int64_t)job->total);
		reply_text(reply, "results");
		reply_array(reply, shown);
	} else {
		reply_array(reply, 1 + 2 * shown);
		reply_int(reply, (int64_t)job->total);
	}
	for (size_t i = job->offset; i < job->count; i++) {
		const struct entry *entry = index_owner(index, job->hits[i].docid);
		if (entry == NULL)
			continue;
		if (map) {
			reply_map(reply, 2);
			reply_text(reply, "id");
		}
		reply_bulk(reply, entry_key(entry));
		if (map)
			reply_text(reply, "distance");
		reply_int(reply, job->hits[i].distance);
	}
}

static void job_free(struct image_scan *scan)
{
	struct similar_job *job = (struct similar_job *)scan;
	struct memory *memory = job->memory;
	if (job->hits != NULL)
		memory_free(memory, job->hits, job->cap * sizeof(*job->hits));
	memory_free(memory, job, sizeof(*job));
}

/* ---- The command ---- */

struct similar_words {
	int64_t distance, offset, limit;
	bool    has_distance, has_limit, dihedral;
};

static bool parse_number(struct call *call, uint32_t at, int64_t most, int64_t *out)
{
	if (at >= call->argc) {
		reply_syntax_error(call);
		return false;
	}
	if (!number_parse_i64(call->argv[at], out) || *out < 0) {
		reply_not_integer(call);
		return false;
	}
	if (*out > most) {
		call_error(call, "TOOLARGE a number here may be at most %lld", (long long)most);
		return false;
	}
	return true;
}

static bool parse_similar(struct call *call, struct similar_words *words)
{
	for (uint32_t at = 2; at < call->argc;) {
		struct span word = call->argv[at];
		if (span_is(word, "MAXDIST") && !words->has_distance) {
			words->has_distance = true;
			if (!parse_number(call, at + 1, PHASH_BITS, &words->distance))
				return false;
			at += 2;
		} else if (span_is(word, "LIMIT") && !words->has_limit) {
			words->has_limit = true;
			if (!parse_number(call, at + 1, SEARCH_LIMIT_MAX, &words->offset) ||
			    !parse_number(call, at + 2, SEARCH_LIMIT_MAX, &words->limit))
				return false;
			at += 3;
		} else if (span_is(word, "DIHEDRAL") && !words->dihedral) {
			words->dihedral = true;
			at++;
		} else {
			reply_syntax_error(call);
			return false;
		}
	}
	if (words->offset + words->limit <= SEARCH_LIMIT_MAX)
		return true;
	call_error(call, "TOOLARGE LIMIT: offset and count together may be at most %d",
	    SEARCH_LIMIT_MAX);
	return false;
}

/* @phash:[hash distance] for each way to turn it. */
static void job_query(const struct similar_job *job, int64_t distance, struct buf *query)
{
	char hex[2 * PHASH_BYTES];
	for (uint32_t i = 0; i < job->hash_count; i++) {
		phash_format(job->hashes[i], hex);
		buf_printf(query, "%s@phash:[%.*s %lld]", i > 0 ? "|" : "", (int)sizeof(hex), hex,
		    (long long)distance);
	}
}

void cmd_img_similar(struct call *call)
{
	struct similar_words words = {.distance = DISTANCE_DEFAULT, .limit = LIMIT_DEFAULT};
	uint8_t hash[PHASH_BYTES];
	struct memory *memory = &call->engine->memory.engine;
	if (!parse_similar(call, &words) || !image_phash(call, call->argv[1], hash))
		return;
	struct directory *directory = call_directory(call);
	struct entry *entry =
	    directory_find(directory, call->argv[1], call_hash(call, call->argv[1]));
	struct similar_job *job = memory_zalloc(memory, sizeof(*job));
	*job = (struct similar_job){
	    .scan = {.visit = job_visit, .reply = job_reply, .free = job_free},
	    .memory = memory,
	    .self = entry_image(entry)->docid,
	    .hash_count = words.dihedral ? PHASH_TURNS : 1,
	    .offset = (uint64_t)words.offset,
	    .limit = (uint64_t)words.limit,
	    .cap = (size_t)(words.limit > 0 ? words.offset + words.limit : 0),
	};
	for (uint32_t i = 0; i < job->hash_count; i++)
		phash_turn(hash, i, job->hashes[i]);
	if (job->cap > 0)
		job->hits = memory_alloc(memory, job->cap * sizeof(*job->hits));
	struct buf query;
	buf_init(&query, memory);
	job_query(job, words.distance, &query);
	const struct image_scan_words scan = {
	    .query = buf_span(&query),
	    .timeout_ms = (uint64_t)call->engine->settings->search_timeout_ms,
	};
	image_scan_run(call, &job->scan, &scan);
	buf_fini(&query);
}
