/* commands/aggregate_texts.c: see aggregate_texts.h. */
#include "commands/aggregate_texts.h"

struct text_read {
	struct metadata_load    load;
	struct aggregate_texts *texts;
	size_t                  row;
};

static struct span text_of(const struct image_meta *meta, struct span name)
{
	if (span_is(name, "title"))
		return meta->title;
	if (span_is(name, "caption"))
		return meta->caption;
	for (uint32_t i = 0; i < meta->attr_count; i++)
		if (span_equal(meta->attrs[i].name, name))
			return meta->attrs[i].value;
	return (struct span){0};
}

/* An image without the text, or one that cannot be read, has no such value. */
static void row_fill(struct aggregate_texts *texts, size_t row, const struct body *encoded)
{
	struct image_meta meta;
	if (image_meta_decode(body_span(encoded), &meta) != OK)
		return;
	for (uint32_t i = 0; i < aggregate_text_count(texts->aggregate); i++) {
		struct span text = text_of(&meta, aggregate_text_name(texts->aggregate, i));
		if (text.len > 0 && !aggregate_set_text(texts->aggregate, row, i, text))
			texts->err = ERR_OVERLOADED;
	}
}

static void rows_load(struct aggregate_texts *texts);

static void row_loaded(struct metadata_load *load, enum err err, struct body *encoded)
{
	struct text_read *read = load->ctx;
	struct aggregate_texts *texts = read->texts;
	ASSERT(texts->loading > 0);
	if (err == OK)
		row_fill(texts, read->row, encoded);
	body_unref(encoded);
	memory_free(&texts->scan->engine->memory.engine, read, sizeof(*read));
	texts->loading--;
	if (texts->starting)
		return;
	rows_load(texts);
	if (texts->loading == 0)
		image_scan_finish(texts->scan, texts->err);
}

static void row_load(struct aggregate_texts *texts, size_t row)
{
	struct engine *engine = texts->scan->engine;
	struct directory *directory = &engine->directories[texts->scan->db];
	struct span key = aggregate_row_key(texts->aggregate, row);
	struct entry *entry = directory_lookup(directory, key);
	struct image_ref ref;
	if (entry == NULL || entry->type != ENTRY_IMAGE)
		return;                   /* deleted since */
	image_ref_of(engine, entry, &ref);
	struct body *cached = metadata_cached(engine, &ref);
	if (cached != NULL) {
		row_fill(texts, row, cached);
		body_unref(cached);
		return;
	}
	struct text_read *read = memory_zalloc(&engine->memory.engine, sizeof(*read));
	read->texts = texts;
	read->row = row;
	read->load.done = row_loaded;
	read->load.ctx = read;
	texts->loading++;
	metadata_load(engine, &ref, &read->load);
}

/* Reads under way are bounded; each that ends starts the next. */
static void rows_load(struct aggregate_texts *texts)
{
	size_t count = aggregate_row_count(texts->aggregate);
	texts->starting = true;
	while (texts->next < count && texts->loading < TEXT_READS_MAX && texts->err == OK)
		row_load(texts, texts->next++);
	texts->starting = false;
}

enum err aggregate_texts_load(
    struct aggregate_texts *texts, struct image_scan *scan, struct aggregate *aggregate)
{
	*texts = (struct aggregate_texts){.scan = scan, .aggregate = aggregate};
	if (aggregate_text_count(aggregate) == 0)
		return OK;
	if (aggregate_row_count(aggregate) > AGGREGATE_TEXT_ROWS_MAX)
		return ERR_TOOLARGE;
	rows_load(texts);
	if (texts->loading == 0)
		return texts->err;
	image_scan_defer(scan);
	return ERR_AGAIN;
}
