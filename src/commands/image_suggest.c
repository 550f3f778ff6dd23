/* commands/image_suggest.c: IMG.SUGGEST, and FT.SUGGET behind the name of its dictionary. */
#include "commands/image.h"

#include "base/number.h"
#include "search/suggest.h"

enum { COUNT_DEFAULT = 5 };

struct suggest_job {
	struct image_scan scan;
	struct memory    *memory;
	struct suggest   *suggest;
	bool              scores, payloads, ft;
};

static enum err job_work(struct image_scan *scan, const struct search_budget *budget)
{
	return suggest_step(((struct suggest_job *)scan)->suggest, budget);
}

static void job_reply(struct image_scan *scan, struct reply *reply)
{
	struct suggest_job *job = (struct suggest_job *)scan;
	const struct suggestion *found;
	size_t count = suggest_get(job->suggest, &found);
	reply_array(reply, count * (1 + (size_t)job->scores + (size_t)job->payloads));
	for (size_t i = 0; i < count; i++) {
		char text[NUMBER_TEXT_MAX];
		reply_bulk(reply, span_of(found[i].text, found[i].len));
		if (job->scores && job->ft)
			reply_bulk(reply,
			    span_of(text, number_format_u64(found[i].weight, text)));
		else if (job->scores)
			reply_int(reply, (int64_t)found[i].weight);
		if (job->payloads)
			reply_null(reply);        /* nobody can give one */
	}
}

static void job_free(struct image_scan *scan)
{
	struct suggest_job *job = (struct suggest_job *)scan;
	struct memory *memory = job->memory;
	suggest_free(job->suggest);
	memory_free(memory, job, sizeof(*job));
}

struct suggest_words {
	bool    fuzzy, scores, payloads, has_max;
	int64_t most;
};

static bool parse_suggest(struct call *call, uint32_t at, bool ft, struct suggest_words *words)
{
	for (; at < call->argc; at++) {
		struct span word = call->argv[at];
		bool *flag = span_is(word, "FUZZY")                 ? &words->fuzzy
		    : span_is(word, "WITHSCORES")                   ? &words->scores
		    : ft && span_is(word, "WITHPAYLOADS")           ? &words->payloads
		    : span_is(word, "MAX") && at + 1 < call->argc ? &words->has_max
		                                                    : NULL;
		if (flag == NULL || *flag) {
			reply_syntax_error(call);
			return false;
		}
		*flag = true;
		if (flag != &words->has_max)
			continue;
		if (!number_parse_range(call->argv[++at], 1, SUGGEST_MAX, &words->most)) {
			call_error(call, "ERR MAX is a number from 1 to %d", SUGGEST_MAX);
			return false;
		}
	}
	return true;
}

void image_suggest_run(struct call *call, uint32_t at, bool ft)
{
	struct suggest_words words = {.most = COUNT_DEFAULT};
	struct memory *memory = &call->engine->memory.search;
	if (!parse_suggest(call, at + 1, ft, &words))
		return;
	struct suggest_job *job = memory_zalloc(memory, sizeof(*job));
	*job = (struct suggest_job){
	    .scan = {.work = job_work, .reply = job_reply, .free = job_free},
	    .memory = memory,
	    .scores = words.scores,
	    .payloads = words.payloads,
	    .ft = ft,
	};
	job->suggest = suggest_new(engine_index(call->engine, call->session->db),
	    call->argv[at], words.fuzzy, (size_t)words.most);
	const struct image_scan_words scan = {
	    .no_query = true,
	    .timeout_ms = (uint64_t)call->engine->settings->search_timeout_ms,
	};
	image_scan_run(call, &job->scan, &scan);
}

void cmd_img_suggest(struct call *call)
{
	image_suggest_run(call, 1, false);
}
