/* engine/index/document.c: an image's metadata as a document of the search index. */
#include "engine/index/analysis.h"
#include "engine/index/fields.h"
#include "engine/image.h"

#include "base/number.h"

enum { FIELDS_MAX = TAGS_MAX + ATTRS_MAX + 24 };

struct document {
	size_t              count;
	struct search_field fields[FIELDS_MAX];
};

static struct search_field *document_add(
    struct document *document, const char *name, enum search_kind kind)
{
	ASSERT(document->count < FIELDS_MAX);
	struct search_field *field = &document->fields[document->count++];
	*field = (struct search_field){.name = span_text(name), .kind = kind};
	return field;
}

static void add_text(
    struct document *document, const char *name, enum search_kind kind, struct span text)
{
	if (text.len > 0)
		document_add(document, name, kind)->text = text;
}

static void add_number(struct document *document, const char *name, double number)
{
	document_add(document, name, SEARCH_NUMERIC)->number = number;
}

static void add_camera(struct document *document, const struct image_meta *meta)
{
	add_text(document, "camera", SEARCH_TAG, meta->camera);
	add_text(document, "lens", SEARCH_TAG, meta->lens);
	if (meta->has & IMAGE_HAS_ISO)
		add_number(document, "iso", meta->iso);
	if (meta->has & IMAGE_HAS_APERTURE)
		add_number(document, "aperture", meta->aperture);
	if (meta->has & IMAGE_HAS_EXPOSURE)
		add_number(document, "exposure", meta->exposure_s);
	if (meta->has & IMAGE_HAS_FOCAL)
		add_number(document, "focal", meta->focal_mm);
	if (meta->has & IMAGE_HAS_TAKEN)
		document_add(document, "taken", SEARCH_DATE)->date_ms = meta->taken_ms;
	if (meta->has & IMAGE_HAS_LOCATION) {
		struct search_field *field = document_add(document, "location", SEARCH_GEO);
		field->lon = meta->lon;
		field->lat = meta->lat;
	}
}

const char *image_orientation_name(uint32_t width, uint32_t height)
{
	if (width == height)
		return "square";
	return width > height ? "landscape" : "portrait";
}

static void add_size(struct document *document, const struct image_meta *meta)
{
	uint32_t width, height;
	image_displayed_size(meta, &width, &height);
	add_number(document, "bytes", (double)meta->bytes);
	add_number(document, "frames", meta->frames);
	if (width == 0 || height == 0)
		return;
	add_number(document, "width", width);
	add_number(document, "height", height);
	add_number(document, "megapixels", (double)width * height / 1e6);
	add_text(
	    document, "orientation", SEARCH_TAG, span_text(image_orientation_name(width, height)));
}

/* Yes and no as people write them; empty: neither. */
static struct span truth_of(struct span text)
{
	static const char *const yes[] = {"true", "yes", "1", "on"}, *const no[] = {"false", "no", "0", "off"};
	for (size_t i = 0; i < ARRAY_COUNT(yes); i++) {
		if (span_is(text, yes[i]))
			return SPAN_LIT("true");
		if (span_is(text, no[i]))
			return SPAN_LIT("false");
	}
	return (struct span){0};
}

static void add_attribute(struct engine *engine, uint8_t db, struct document *document,
    const struct image_attr *attr)
{
	const struct field_declaration *declared = fields_find(engine, db, attr->name);
	bool truth = declared != NULL && declared->type == FIELD_TYPE_BOOL;
	struct span text = truth ? truth_of(attr->value) : attr->value;
	if (truth && text.len == 0)
		return;
	struct search_field *field = document_add(document, "", SEARCH_ATTRIBUTE);
	field->name = attr->name;
	field->text = text;
}

enum err engine_index_add(
    struct engine *engine, uint8_t db, struct entry *entry, const struct image_meta *meta)
{
	struct document document;
	document.count = 0;
	struct index *index = engine_index(engine, db);
	add_text(&document, "title", SEARCH_TEXT, meta->title);
	add_text(&document, "caption", SEARCH_TEXT, meta->caption);
	for (uint32_t i = 0; i < meta->tag_count; i++)
		add_text(&document, "tags", SEARCH_TAG, meta->tags[i]);
	add_text(&document, "format", SEARCH_TAG, span_text(image_format_name(meta->format)));
	add_size(&document, meta);
	add_camera(&document, meta);
	document_add(&document, "created", SEARCH_DATE)->date_ms = meta->created_ms;
	for (uint32_t i = 0; i < meta->attr_count; i++)
		add_attribute(engine, db, &document, &meta->attrs[i]);
	enum err err = index_add(index, document.fields, document.count, entry,
	    &entry_image(entry)->docid);
	if (err == OK)
		analysis_note(engine, db, entry, meta);
	return err;
}
