/* commands/image_meta.c: what a client says of an image, as options; and what the server
 * says of it, as fields. */
#include "commands/image.h"

#include "base/date.h"
#include "base/number.h"

#include <stdio.h>

static struct span trim(struct span text)
{
	while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
		text = span_slice(text, 1, text.len);
	while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
		text.len--;
	return text;
}

static bool tag_is_listed(const struct span *tags, uint32_t count, struct span tag)
{
	for (uint32_t i = 0; i < count; i++)
		if (span_equal(tags[i], tag))
			return true;
	return false;
}

bool split_tags(struct call *call, struct span text, struct span *tags, uint32_t *count)
{
	*count = 0;
	while (text.len > 0) {
		const uint8_t *comma = memchr(text.ptr, ',', text.len);
		size_t len = comma == NULL ? text.len : (size_t)(comma - text.ptr);
		struct span tag = trim(span_slice(text, 0, len));
		text = span_slice(text, len + (comma != NULL), text.len);
		if (tag.len == 0 || tag_is_listed(tags, *count, tag))
			continue;
		if (tag.len > TAG_BYTES_MAX || *count == TAGS_MAX) {
			call_error(
			    call, "TOOLARGE at most %d tags of %d bytes", TAGS_MAX, TAG_BYTES_MAX);
			return false;
		}
		tags[(*count)++] = tag;
	}
	return true;
}

static enum err set_attr(
    struct call *call, struct image_meta *meta, struct span name, struct span value)
{
	uint32_t at = 0;
	if (name.len == 0 || name.len > ATTR_NAME_MAX || value.len > ATTR_VALUE_MAX) {
		call_error(call,
		    "TOOLARGE an attribute's name has 1 to %d bytes, its value at most %d",
		    ATTR_NAME_MAX, ATTR_VALUE_MAX);
		return ERR_INVALID;
	}
	while (at < meta->attr_count && !span_equal(meta->attrs[at].name, name))
		at++;
	if (at == ATTRS_MAX) {
		call_error(call, "TOOLARGE at most %d attributes", ATTRS_MAX);
		return ERR_INVALID;
	}
	meta->attrs[at] = (struct image_attr){name, value};
	if (at == meta->attr_count)
		meta->attr_count++;
	return OK;
}

static enum err set_location(
    struct call *call, struct image_meta *meta, struct span lon, struct span lat)
{
	if (!number_parse_double(lon, &meta->lon) || !number_parse_double(lat, &meta->lat)) {
		call_error(call, "ERR value is not a valid float");
		return ERR_INVALID;
	}
	if (!(meta->lon >= -180 && meta->lon <= 180 && meta->lat >= -90 && meta->lat <= 90)) {
		call_error(call, "ERR invalid longitude,latitude pair %f,%f", meta->lon, meta->lat);
		return ERR_INVALID;
	}
	meta->has |= IMAGE_HAS_LOCATION;
	return OK;
}

static enum err set_taken(struct call *call, struct image_meta *meta, struct span text)
{
	int64_t last_ms;
	if (!date_parse(text, &meta->taken_ms, &last_ms)) {
		call_error(call, "ERR invalid time: Unix milliseconds or ISO 8601");
		return ERR_INVALID;
	}
	meta->has |= IMAGE_HAS_TAKEN;
	return OK;
}

static enum err set_text(struct call *call, struct span *out, struct span text, size_t max)
{
	if (text.len > max) {
		call_error(call, "TOOLARGE a text may have at most %zu bytes", max);
		return ERR_INVALID;
	}
	*out = text;
	return OK;
}

static enum err apply_meta_option(
    struct call *call, unsigned option, const struct span *values, struct image_meta *meta)
{
	switch (option) {
	case SEEN_TITLE:
		return set_text(call, &meta->title, values[0], TITLE_BYTES_MAX);
	case SEEN_CAPTION:
		return set_text(call, &meta->caption, values[0], CAPTION_BYTES_MAX);
	case SEEN_TAGS:
		return split_tags(call, values[0], meta->tags, &meta->tag_count) ? OK : ERR_INVALID;
	case SEEN_LOCATION:
		return set_location(call, meta, values[0], values[1]);
	case SEEN_TAKEN:
		return set_taken(call, meta, values[0]);
	default:
		return set_attr(call, meta, values[0], values[1]);
	}
}

enum err parse_meta_option(struct call *call, uint32_t *at, struct image_meta *meta, unsigned *seen)
{
	static const struct { const char *name; unsigned option; uint32_t values; } options[] = {
		{"TITLE", SEEN_TITLE, 1}, {"CAPTION", SEEN_CAPTION, 1}, {"TAGS", SEEN_TAGS, 1},
		{"LOCATION", SEEN_LOCATION, 2}, {"TAKEN", SEEN_TAKEN, 1}, {"ATTR", 0, 2},
	};
	for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
		if (!span_is(call->argv[*at], options[i].name))
			continue;
		if (call->argc - *at <= options[i].values || (*seen & options[i].option)) {
			reply_syntax_error(call);
			return ERR_INVALID;
		}
		*seen |= options[i].option;
		const struct span *values = &call->argv[*at + 1];
		*at += 1 + options[i].values;
		return apply_meta_option(call, options[i].option, values, meta);
	}
	return ERR_NOTFOUND;
}

struct entry *image_entry(struct call *call, struct span key, bool for_writing)
{
	struct entry *entry =
	    for_writing ? call_lookup_write(call, key) : call_lookup_read(call, key);
	if (entry == NULL) {
		reply_null(call->reply);
		return NULL;
	}
	if (entry->type == ENTRY_IMAGE)
		return entry;
	reply_wrong_type(call);
	return NULL;
}

/* ---- Fields ---- */

const char *const info_fields[] = {
    "etag",
    "format",
    "width",
    "height",
    "frames",
    "orientation",
    "bytes",
    "stored-bytes",
    "tier",
    "created",
    "accessed",
    "title",
    "caption",
    "tags",
    "attrs",
    "taken",
    "camera",
    "lens",
    "iso",
    "aperture",
    "exposure",
    "focal",
    "location",
    "palette",
    "phash",
    "placeholder",
    "versions",
};
const size_t info_field_count = ARRAY_COUNT(info_fields);

static bool field_text(struct reply *reply, struct span text)
{
	if (text.len > 0)
		reply_bulk(reply, text);
	return text.len > 0;
}

static bool field_number(struct reply *reply, bool has, double value)
{
	if (has)
		reply_double(reply, value);
	return has;
}

static void field_tags(struct reply *reply, const struct image_meta *meta)
{
	reply_array(reply, meta->tag_count);
	for (uint32_t i = 0; i < meta->tag_count; i++)
		reply_bulk(reply, meta->tags[i]);
}

static void field_attrs(struct reply *reply, const struct image_meta *meta)
{
	reply_map(reply, meta->attr_count);
	for (uint32_t i = 0; i < meta->attr_count; i++) {
		reply_bulk(reply, meta->attrs[i].name);
		reply_bulk(reply, meta->attrs[i].value);
	}
}

static bool field_etag(struct reply *reply, const struct image_meta *meta)
{
	char hex[DIGEST_HEX];
	digest_hex(&meta->etag, hex);
	reply_bulk(reply, span_of(hex, sizeof(hex)));
	return true;
}

/* Fields that the photograph's EXIF gave, if it did. */
static bool reply_photo_field(struct reply *reply, struct span name, const struct image_meta *meta)
{
	if (span_is(name, "taken") && (meta->has & IMAGE_HAS_TAKEN)) {
		reply_int(reply, meta->taken_ms);
		return true;
	}
	if (span_is(name, "location") && (meta->has & IMAGE_HAS_LOCATION)) {
		reply_array(reply, 2);
		reply_double(reply, meta->lon);
		reply_double(reply, meta->lat);
		return true;
	}
	if (span_is(name, "camera"))
		return field_text(reply, meta->camera);
	if (span_is(name, "lens"))
		return field_text(reply, meta->lens);
	if (span_is(name, "iso"))
		return field_number(reply, meta->has & IMAGE_HAS_ISO, meta->iso);
	if (span_is(name, "aperture"))
		return field_number(reply, meta->has & IMAGE_HAS_APERTURE, meta->aperture);
	if (span_is(name, "exposure"))
		return field_number(reply, meta->has & IMAGE_HAS_EXPOSURE, meta->exposure_s);
	return span_is(name, "focal") &&
	    field_number(reply, meta->has & IMAGE_HAS_FOCAL, meta->focal_mm);
}

/* {"#rrggbb", name, percent} each, the most frequent first. */
static void field_palette(struct reply *reply, const struct image_analysis *analysis)
{
	char hex[8];
	reply_array(reply, analysis->palette_count);
	for (uint32_t i = 0; i < analysis->palette_count; i++) {
		const struct image_colour *colour = &analysis->palette[i];
		snprintf(hex, sizeof(hex), "#%02x%02x%02x", colour->red, colour->green, colour->blue);
		reply_array(reply, 3);
		reply_text(reply, hex);
		reply_text(reply,
		    colour_name(colour_of(colour->red, colour->green, colour->blue)));
		reply_int(reply, colour->percent);
	}
}

static void field_base64(struct reply *reply, struct span bytes)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[(PLACEHOLDER_MAX + 2) / 3 * 4];
	size_t len = 0;
	ASSERT(bytes.len <= PLACEHOLDER_MAX);
	for (size_t i = 0; i < bytes.len; i += 3) {
		uint32_t three = 0;
		for (size_t k = 0; k < 3; k++)
			three = three << 8 | (i + k < bytes.len ? bytes.ptr[i + k] : 0U);
		for (size_t k = 0; k < 4; k++)
			text[len++] =
			    i + k > bytes.len ? '=' : digits[three >> (18 - 6 * k) & 63];
	}
	reply_bulk(reply, span_of(text, len));
}

/* What the pixels say, once they were looked at. */
static bool reply_pixel_field(struct reply *reply, struct span name, const struct image_meta *meta)
{
	const struct image_analysis *analysis = &meta->analysis;
	char hex[2 * PHASH_BYTES];
	if (analysis->state != ANALYSIS_DONE)
		return false;
	if (span_is(name, "palette")) {
		field_palette(reply, analysis);
		return true;
	}
	if (span_is(name, "placeholder")) {
		field_base64(reply, span_of(analysis->placeholder, analysis->placeholder_bytes));
		return true;
	}
	if (!span_is(name, "phash") || !analysis_has_phash(analysis))
		return false;
	phash_format(analysis->phash, hex);
	reply_bulk(reply, span_of(hex, sizeof(hex)));
	return true;
}

static bool field_int(struct reply *reply, int64_t value)
{
	reply_int(reply, value);
	return true;
}

static bool field_bulk(struct reply *reply, const char *text)
{
	reply_text(reply, text);
	return true;
}

bool reply_info_field(struct reply *reply, struct span name, const struct info_source *source)
{
	const struct image_meta *meta = source->meta;
	uint32_t width, height;
	image_displayed_size(meta, &width, &height);
	if (span_is(name, "etag"))
		return field_etag(reply, meta);
	if (span_is(name, "format"))
		return field_bulk(reply, image_format_name(meta->format));
	if (span_is(name, "width"))
		return width > 0 && field_int(reply, width);
	if (span_is(name, "height"))
		return height > 0 && field_int(reply, height);
	if (span_is(name, "frames"))
		return field_int(reply, meta->frames);
	if (span_is(name, "orientation"))
		return field_int(reply, meta->orientation);
	if (span_is(name, "bytes"))
		return field_int(reply, (int64_t)meta->bytes);
	if (span_is(name, "stored-bytes"))
		return field_int(reply, (int64_t)source->stored_bytes);
	if (span_is(name, "tier"))
		return field_bulk(reply, source->tier == TIER_HOT ? "hot" : "warm");
	if (span_is(name, "created"))
		return field_int(reply, meta->created_ms);
	if (span_is(name, "accessed"))
		return field_int(reply, (int64_t)source->accessed_s * 1000);
	if (span_is(name, "versions"))
		return field_int(reply, source->versions);
	if (span_is(name, "title"))
		return field_text(reply, meta->title);
	if (span_is(name, "caption"))
		return field_text(reply, meta->caption);
	if (span_is(name, "tags")) {
		field_tags(reply, meta);
		return true;
	}
	if (span_is(name, "attrs")) {
		field_attrs(reply, meta);
		return true;
	}
	return reply_pixel_field(reply, name, meta) || reply_photo_field(reply, name, meta);
}

/* ---- Fields in search results: flat text, as FT.SEARCH shows a hash ---- */

static void search_tags(struct reply *reply, const struct image_meta *meta)
{
	struct buf text;
	buf_init(&text, reply->bytes.memory);
	for (uint32_t i = 0; i < meta->tag_count; i++) {
		if (i > 0)
			buf_append_u8(&text, ',');
		buf_append(&text, meta->tags[i]);
	}
	reply_bulk(reply, buf_span(&text));
	buf_fini(&text);
}

/* The names that @palette finds. */
static bool search_palette(struct reply *reply, const struct image_meta *meta)
{
	uint32_t mask = palette_mask(&meta->analysis);
	struct buf text;
	buf_init(&text, reply->bytes.memory);
	for (unsigned i = 0; i < COLOUR_NAMES; i++) {
		if (!(mask >> i & 1))
			continue;
		if (text.len > 0)
			buf_append_u8(&text, ',');
		buf_append_text(&text, colour_name(i));
	}
	if (mask != 0)
		reply_bulk(reply, buf_span(&text));
	buf_fini(&text);
	return mask != 0;
}

static void search_number(struct reply *reply, double value)
{
	char text[NUMBER_TEXT_MAX];
	reply_bulk(reply, span_of(text, number_format_double(value, text)));
}

/* Numbers of the record as text. False: the name is none of them, or it has no value. */
static bool search_number_field(
    struct reply *reply, struct span name, const struct info_source *source)
{
	const struct image_meta *meta = source->meta;
	uint32_t width, height;
	image_displayed_size(meta, &width, &height);
	const struct { const char *name; bool has; double value;
	} numbers[] = {
	    {"width", width > 0, width},
	    {"height", height > 0, height},
	    {"frames", true, meta->frames},
	    {"bytes", true, (double)meta->bytes},
	    {"stored-bytes", true, (double)source->stored_bytes},
	    {"created", true, (double)meta->created_ms},
	    {"accessed", true, (double)source->accessed_s * 1000},
	    {"versions", true, source->versions},
	    {"taken", (meta->has & IMAGE_HAS_TAKEN) != 0, (double)meta->taken_ms},
	    {"iso", (meta->has & IMAGE_HAS_ISO) != 0, meta->iso},
	    {"aperture", (meta->has & IMAGE_HAS_APERTURE) != 0, meta->aperture},
	    {"exposure", (meta->has & IMAGE_HAS_EXPOSURE) != 0, meta->exposure_s},
	    {"focal", (meta->has & IMAGE_HAS_FOCAL) != 0, meta->focal_mm},
	    {"megapixels", width > 0 && height > 0, (double)width * height / 1e6},
	};
	for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
		if (!span_is(name, numbers[i].name))
			continue;
		if (numbers[i].has)
			search_number(reply, numbers[i].value);
		return numbers[i].has;
	}
	return false;
}

static bool search_location(struct reply *reply, const struct image_meta *meta)
{
	char text[2 * NUMBER_TEXT_MAX + 1];
	if (!(meta->has & IMAGE_HAS_LOCATION))
		return false;
	size_t len = number_format_double(meta->lon, text);
	text[len++] = ',';
	len += number_format_double(meta->lat, text + len);
	reply_bulk(reply, span_of(text, len));
	return true;
}

bool reply_search_field(struct reply *reply, struct span name, const struct info_source *source)
{
	const struct image_meta *meta = source->meta;
	uint32_t width, height;
	image_displayed_size(meta, &width, &height);
	if (search_number_field(reply, name, source))
		return true;
	if (span_is(name, "palette"))
		return search_palette(reply, meta);
	if (span_is(name, "location"))
		return search_location(reply, meta);
	if (span_is(name, "orientation"))
		return width > 0 && field_bulk(reply, image_orientation_name(width, height));
	if (span_is(name, "tags")) {
		if (meta->tag_count > 0)
			search_tags(reply, meta);
		return meta->tag_count > 0;
	}
	for (uint32_t i = 0; i < meta->attr_count; i++)
		if (span_equal(meta->attrs[i].name, name))
			return field_text(reply, meta->attrs[i].value);
	static const char *const texts[] = {
	    "etag", "format", "tier", "title", "caption", "camera", "lens", "phash", "placeholder"};
	for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
		if (span_is(name, texts[i]))
			return reply_info_field(reply, name, source);
	return false;
}
