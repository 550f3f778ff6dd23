/* commands/image_search_reply.c: the reply of IMG.SEARCH: hits with their fields, words marked,
 * facets, and what the search did. */
#include "commands/image_search.h"

#include "base/number.h"
#include "engine/index/fields.h"

/* Is this a text, and to be shown with the query's words marked? */
static bool is_marked(const struct search_job *job, struct span name)
{
	static const char *const texts[] = {"title", "caption", "tags", "camera"};
	const struct search_words *words = &job->words;
	bool known = false, wanted = words->marked_count == 0;
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		known = known || span_is(name, texts[i]);
	const struct field_declaration *own =
	    fields_find(job->engine, job->task.db, name);
	known = known || (own != NULL && own->type == FIELD_TYPE_TEXT);
	for (uint32_t i = 0; i < words->marked_count; i++)
		wanted = wanted || span_equal(job->argv[words->marked_from + i], name);
	return words->highlight && known && wanted;
}

static struct span text_of(const struct image_meta *meta, struct span name)
{
	if (span_is(name, "title"))
		return meta->title;
	if (span_is(name, "caption"))
		return meta->caption;
	if (span_is(name, "camera"))
		return meta->camera;
	for (uint32_t i = 0; i < meta->attr_count; i++)
		if (span_equal(meta->attrs[i].name, name))
			return meta->attrs[i].value;
	return (struct span){0};
}

/* False: the field is shown as it is, or there is none. */
static bool reply_marked(struct reply *reply, const struct search_job *job, struct span name,
    const struct image_meta *meta)
{
	struct buf text, marked;
	if (!is_marked(job, name))
		return false;
	buf_init(&text, reply->bytes.memory);
	buf_init(&marked, reply->bytes.memory);
	for (uint32_t i = 0; span_is(name, "tags") && i < meta->tag_count; i++) {
		buf_append_text(&text, i > 0 ? "," : "");
		buf_append(&text, meta->tags[i]);
	}
	if (!span_is(name, "tags"))
		buf_append(&text, text_of(meta, name));
	bool found = text.len > 0 && query_highlight(job->task.query, name, buf_span(&text),
	    job->words.marks, &marked);
	if (found)
		reply_bulk(reply, buf_span(&marked));
	buf_fini(&text);
	buf_fini(&marked);
	return found;
}

static void reply_fields(struct reply *reply, const struct search_job *job,
    const struct search_hit_data *hit, const struct image_meta *meta)
{
	const struct search_words *words = &job->words;
	struct reply values;
	size_t count = 0;
	struct info_source source = hit->source;
	source.meta = meta;
	reply_init(&values, reply->bytes.memory, reply->resp);
	size_t total = words->has_return ? words->return_count : info_field_count;
	for (size_t i = 0; i < total; i++) {
		struct span name = words->has_return ? job->argv[words->return_from + i]
		                                     : span_text(info_fields[i]);
		size_t before = values.bytes.len;
		reply_bulk(&values, name);
		if (reply_marked(&values, job, name, meta) ||
		    reply_search_field(&values, name, &source))
			count++;
		else
			values.bytes.len = before;
	}
	reply_map(reply, count);
	reply_take(reply, &values);
	reply_fini(&values);
}

static void reply_hit(
    struct reply *reply, const struct search_job *job, const struct search_hit_data *hit)
{
	struct image_meta meta = {0};
	const struct search_words *words = &job->words;
	bool readable =
	    hit->encoded != NULL && image_meta_decode(body_span(hit->encoded), &meta) == OK;
	if (reply->resp == 3) {
		reply_map(reply, 1 + (size_t)words->with_scores + (size_t)!words->no_content);
		reply_text(reply, "id");
		reply_bulk(reply, hit->key);
		if (words->with_scores) {
			reply_text(reply, "score");
			reply_double(reply, hit->score);
		}
		if (words->no_content)
			return;
		reply_text(reply, "extra_attributes");
	} else {
		reply_bulk(reply, hit->key);
		if (words->with_scores)
			reply_double(reply, hit->score);
		if (words->no_content)
			return;
	}
	if (readable)
		reply_fields(reply, job, hit, &meta);
	else
		reply_map(reply, 0);
}

/* ---- Facets ---- */

static void reply_facet_value(struct reply *reply, const struct search_facet_value *value)
{
	char text[NUMBER_TEXT_MAX];
	if (value->text.len > 0)
		reply_bulk(reply, value->text);
	else
		reply_bulk(reply, span_of(text, number_format_double(value->number, text)));
	reply_int(reply, (int64_t)value->docs);
}

void image_search_facets(struct search_job *job, uint8_t resp)
{
	const struct search_words *words = &job->words;
	struct reply *reply = &job->facets;
	const struct search_facet_value *values;
	reply_init(reply, &job->engine->memory.replies, resp);
	reply_map(reply, words->facets_count);
	for (uint32_t i = 0; i < words->facets_count; i++) {
		size_t count = search_get_facet(job->task.search, i, &values);
		reply_bulk(reply, job->argv[words->facets_from + i]);
		reply_map(reply, count);
		for (size_t j = 0; j < count; j++)
			reply_facet_value(reply, &values[j]);
	}
}

/* ---- The whole ---- */

static void reply_results(struct reply *reply, struct search_job *job)
{
	const struct search_words *words = &job->words;
	if (reply->resp == 3) {
		reply_map(reply, words->facets_count > 0 ? 4 : 3);
		reply_text(reply, "total_results");
		reply_int(reply, (int64_t)job->total);
		reply_text(reply, "results");
		reply_array(reply, job->hit_count);
	} else {
		size_t each = 1 + (size_t)words->with_scores + (size_t)!words->no_content;
		reply_array(reply, 1 + job->hit_count * each + (words->facets_count > 0));
		reply_int(reply, (int64_t)job->total);
	}
	for (size_t i = 0; i < job->hit_count; i++)
		reply_hit(reply, job, &job->hits[i]);
	if (words->facets_count > 0) {
		if (reply->resp == 3)
			reply_text(reply, "facets");
		reply_take(reply, &job->facets);
	}
	if (reply->resp != 3)
		return;
	reply_text(reply, "warning");
	reply_array(reply, job->total_is_exact || words->count == SEARCH_NONE ? 0 : 1);
	if (!job->total_is_exact && words->count != SEARCH_NONE)
		reply_text(reply, "total_results is a lower bound (COUNT EXACT counts all)");
}

static void reply_number(struct reply *reply, const char *name, uint64_t value)
{
	reply_text(reply, name);
	reply_int(reply, (int64_t)value);
}

void image_search_reply(struct reply *reply, struct search_job *job)
{
	if (!job->words.profile) {
		reply_results(reply, job);
		return;
	}
	reply_array(reply, 2);
	reply_results(reply, job);
	reply_map(reply, 6);
	reply_number(reply, "microseconds", job->task.worked_us);
	reply_number(reply, "units", job->profile.units);
	reply_number(reply, "blocks_read", job->profile.blocks_read);
	reply_number(reply, "blocks_skipped", job->profile.blocks_skipped);
	reply_number(reply, "windows", job->profile.windows);
	reply_text(reply, "plan");
	reply_verbatim(reply, buf_span(&job->plan));
}
