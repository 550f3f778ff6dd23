/* commands/ft_info.c: FT.INFO, FT._LIST and FT.TAGVALS: what RediSearch says of an index, of
 * ours. */
#include "commands/image.h"

#include "engine/index/fields.h"
#include "search/search.h"

#include <stdio.h>

void cmd_ft_list(struct call *call)
{
	reply_set(call->reply, 1);
	reply_text(call->reply, "images");
}

/* ---- FT.INFO ---- */

static const struct {
	const char *name, *type;
	bool        sortable;
} ft_fields[] = {
    {"title", "TEXT", true}, {"caption", "TEXT", false}, {"tags", "TAG", true},
    {"camera", "TAG", true}, {"format", "TAG", true}, {"orientation", "TAG", true},
    {"lens", "TAG", true}, {"palette", "TAG", false}, {"width", "NUMERIC", true},
    {"height", "NUMERIC", true}, {"megapixels", "NUMERIC", true}, {"bytes", "NUMERIC", true},
    {"frames", "NUMERIC", true}, {"iso", "NUMERIC", true}, {"aperture", "NUMERIC", true},
    {"exposure", "NUMERIC", true}, {"focal", "NUMERIC", true}, {"created", "NUMERIC", true},
    {"taken", "NUMERIC", true}, {"location", "GEO", false},
};

static void pair_text(struct reply *reply, const char *name, const char *value)
{
	reply_text(reply, name);
	reply_text(reply, value);
}

static void pair_int(struct reply *reply, const char *name, uint64_t value)
{
	reply_text(reply, name);
	reply_int(reply, (int64_t)value);
}

static void pair_megabytes(struct reply *reply, const char *name, uint64_t bytes)
{
	reply_text(reply, name);
	reply_double(reply, (double)bytes / (1 << 20));
}

static void reply_field(struct reply *reply, const char *name, const char *type, bool sortable)
{
	bool tag = type[0] == 'T' && type[1] == 'A', map = reply->resp == 3;
	if (map)
		reply_map(reply, 4 + (size_t)tag);
	else
		reply_array(reply, 6 + 2 * (size_t)tag + (size_t)sortable);
	pair_text(reply, "identifier", name);
	pair_text(reply, "attribute", name);
	pair_text(reply, "type", type);
	if (tag)
		pair_text(reply, "SEPARATOR", ",");
	if (map) {
		reply_text(reply, "flags");
		reply_array(reply, sortable);
	}
	if (sortable)
		reply_text(reply, "SORTABLE");
}

static bool is_attribute(const struct field_declaration *one, uint8_t db)
{
	return one->db == db && one->type != FIELD_TYPE_WORDS;
}

static void reply_attributes(struct call *call, struct reply *reply)
{
	static const char *const types[FIELD_TYPE_COUNT] = {"TAG", "NUMERIC", "NUMERIC", "GEO", "TAG", "TEXT"};
	const struct list *all = fields_list(call->engine);
	size_t own = 0;
	for (struct list *at = all->next; at != all; at = at->next)
		own += is_attribute(LIST_OF(at, struct field_declaration, link), call->session->db);
	reply_text(reply, "attributes");
	reply_array(reply, ARRAY_COUNT(ft_fields) + own);
	for (struct list *at = all->next; at != all; at = at->next) {
		const struct field_declaration *one = LIST_OF(at, struct field_declaration, link);
		char name[ATTR_NAME_MAX + 1] = "";
		memcpy(name, one->name, one->name_len);
		if (is_attribute(one, call->session->db))
			reply_field(reply, name, types[one->type], one->sortable);
	}
	for (size_t i = 0; i < ARRAY_COUNT(ft_fields); i++)
		reply_field(reply, ft_fields[i].name, ft_fields[i].type, ft_fields[i].sortable);
}

static void reply_definition(struct call *call, struct reply *reply)
{
	pair_text(reply, "index_name", "images");
	reply_text(reply, "index_options");
	reply_array(reply, 0);
	reply_text(reply, "index_definition");
	reply_map(reply, 3);
	pair_text(reply, "key_type", "IMAGE");
	reply_text(reply, "prefixes");
	reply_array(reply, 1);
	reply_text(reply, "");
	pair_text(reply, "default_score", "1");
	reply_attributes(call, reply);
}

static void reply_figures(struct reply *reply, const struct index_stats *stats, uint64_t left)
{
	double docs = stats->docs > 0 ? (double)stats->docs : 1;
	pair_int(reply, "num_docs", stats->docs);
	pair_int(reply, "max_doc_id", stats->docids_used);
	pair_int(reply, "num_terms", stats->terms);
	pair_int(reply, "num_records", stats->postings);
	pair_megabytes(reply, "inverted_sz_mb", stats->bytes_postings);
	pair_megabytes(reply, "vector_index_sz_mb", 0);
	pair_int(reply, "total_inverted_index_blocks", 0);
	pair_megabytes(reply, "offset_vectors_sz_mb", 0);
	pair_megabytes(reply, "doc_table_size_mb", stats->bytes_documents);
	pair_megabytes(reply, "sortable_values_size_mb", stats->bytes_columns);
	pair_megabytes(reply, "key_table_size_mb", stats->bytes_dictionary);
	reply_text(reply, "records_per_doc_avg");
	reply_double(reply, (double)stats->postings / docs);
	reply_text(reply, "bytes_per_record_avg");
	reply_double(reply,
	    stats->postings == 0 ? 0 : (double)stats->bytes_postings / (double)stats->postings);
	pair_int(reply, "hash_indexing_failures", stats->attributes_refused);
	pair_int(reply, "total_indexing_time", 0);
	pair_int(reply, "indexing", left > 0);
	reply_text(reply, "percent_indexed");
	reply_double(reply, stats->docs == 0 || left > stats->docs ? left == 0 : 1 - (double)left / docs);
	pair_int(reply, "number_of_uses", 0);
}

void cmd_ft_info(struct call *call)
{
	struct index_stats stats;
	if (!ft_index_is_known(call, call->argv[1]))
		return;
	index_get_stats(engine_index(call->engine, call->session->db), &stats);
	reply_map(call->reply, 4 + 18);
	reply_definition(call, call->reply);
	reply_figures(call->reply, &stats, fields_left(call->engine, call->session->db));
}

/* ---- FT.TAGVALS ---- */

struct tagvals_job {
	struct image_scan scan;
	struct memory    *memory;
	struct reply      reply;          /* the values */
	uint64_t          count;
	uint32_t          ordinal, name_len;
	uint8_t           name[ATTR_NAME_MAX];
};

enum { TAGVALS_BYTES_MAX = 64 << 20, TAGS_PER_UNIT = 64 };

static bool budget_is_over(const struct search_budget *budget, uint64_t spent)
{
	if (budget->units > 0 && spent >= budget->units)
		return true;
	return budget->clock_us != NULL && budget->clock_us(budget->ctx) >= budget->deadline_us;
}

static enum err tagvals_work(struct image_scan *scan, const struct search_budget *budget)
{
	struct tagvals_job *job = (struct tagvals_job *)scan;
	struct index *index = engine_index(scan->engine, scan->db);
	const struct field *field = index_find_field(index, span_of(job->name, job->name_len));
	uint32_t end = field == NULL ? 0 : index_tag_end(field);
	for (uint64_t spent = 0; job->ordinal < end; job->ordinal++) {
		uint64_t docs;
		struct span text = index_tag_text(index, field, job->ordinal, &docs);
		if (text.len == 0 || docs == 0)
			continue;
		if (job->reply.bytes.len > TAGVALS_BYTES_MAX)
			return ERR_OVERLOADED;
		reply_bulk(&job->reply, text);
		job->count++;
		if (job->ordinal % TAGS_PER_UNIT == 0 && budget_is_over(budget, ++spent)) {
			job->ordinal++;
			return ERR_AGAIN;
		}
	}
	return OK;
}

static void tagvals_reply(struct image_scan *scan, struct reply *reply)
{
	struct tagvals_job *job = (struct tagvals_job *)scan;
	reply_set(reply, job->count);
	reply_take(reply, &job->reply);
}

static void tagvals_free(struct image_scan *scan)
{
	struct tagvals_job *job = (struct tagvals_job *)scan;
	struct memory *memory = job->memory;
	reply_fini(&job->reply);
	memory_free(memory, job, sizeof(*job));
}

/* The names of colours, which are no tags of the index. */
static void reply_colours(struct call *call)
{
	const struct similar *similar = call->engine->similars[call->session->db];
	uint32_t mask = similar == NULL ? 0 : similar_colours_used(similar);
	reply_set(call->reply, (size_t)__builtin_popcount(mask));
	for (unsigned i = 0; i < COLOUR_NAMES; i++)
		if (mask >> i & 1)
			reply_text(call->reply, colour_name(i));
}

void cmd_ft_tagvals(struct call *call)
{
	struct memory *memory = &call->engine->memory.engine;
	struct span name = call->argv[2];
	if (!ft_index_is_known(call, call->argv[1]))
		return;
	if (span_equal(name, SPAN_LIT("palette"))) {
		reply_colours(call);
		return;
	}
	for (size_t i = 0; i < ARRAY_COUNT(ft_fields); i++) {
		if (span_equal(name, span_text(ft_fields[i].name)) &&
		    !span_is(span_text(ft_fields[i].type), "TAG")) {
			call_error(call, "ERR Not a tag field");
			return;
		}
	}
	if (name.len == 0 || name.len > ATTR_NAME_MAX) {
		call_error(call, "ERR No such field");
		return;
	}
	struct tagvals_job *job = memory_zalloc(memory, sizeof(*job));
	job->scan = (struct image_scan){
	    .work = tagvals_work, .reply = tagvals_reply, .free = tagvals_free};
	job->memory = memory;
	memcpy(job->name, name.ptr, name.len);
	job->name_len = (uint32_t)name.len;
	reply_init(&job->reply, &call->engine->memory.replies, call->reply->resp);
	const struct image_scan_words scan = {.no_query = true};
	image_scan_run(call, &job->scan, &scan);
}
